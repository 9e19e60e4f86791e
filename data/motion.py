"""What the decoded motion vectors say to a network: where each place was, and how old it is.

    motion/mv, motion/ref, and mb/* or cu/*, tu/*, qp/y of a priors file
        -> flow     where each 4x4 block lies in the frame before and in the frame after
        -> history  with which QP each block was last coded, and how many frames ago

Vectors point to reference frames that may be several frames away; motion is taken to be steady
between, so that a vector over `n` frames is `n` times the motion of one. A macroblock without
residual repeats what its reference holds: its own QP says nothing, so QP and age follow the
vectors back to the frame in which the place was last coded.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..bitstream.priors.hevc import CuMode, TuKind
from ..bitstream.priors.schema import LAST_INTRA
from .sample import OLDEST

UNIT = 16  # steps of a flow to a luma sample
_KEPT = 64  # frames whose history is held
_NEVER = -1  # in place of a frame's index


def flow(vectors: np.ndarray, references: np.ndarray, index: int) -> np.ndarray:
    """Motion of one frame's blocks to its neighbours in time.

    Args:
        vectors: int16 `[2 or 1, 2, h, w, 2]`, `motion/mv` of the frame and of the one after it.
        references: int32 `[2 or 1, 2, h/2, w/2]` (HEVC: `h, w`), `motion/ref` likewise.
        index: Display index of the frame.

    Returns:
        int16 `[4, h, w]`: x and y of the place in the frame before less the place here, then
        likewise in the frame after, in sixteenths of a luma sample; 0 where nothing is known.
    """
    back, ahead = (_towards(vectors[0], references[0], index, sign) for sign in (-1, 1))
    if len(vectors) > 1:  # what comes next knows better than what was
        after = _towards(vectors[1], references[1], index + 1, -1)
        ahead = np.where(np.isnan(ahead), -after, ahead)
    pair = [np.where(np.isnan(a), -b, a) for a, b in ((back, ahead), (ahead, back))]
    both = np.nan_to_num(np.concatenate(pair, axis=-1)).round().clip(-32768, 32767)
    return np.moveaxis(both, -1, 0).astype(np.int16)


def _towards(vectors: np.ndarray, references: np.ndarray, index: int, sign: int) -> np.ndarray:
    """Motion to the next frame into one direction of time, `[h, w, 2]`; NaN without a vector."""
    refs = _over(references, vectors.shape[-3:-1])
    away = np.where(refs < 0, 0, sign * (refs - index))[..., None]  # frames
    step = np.where(away > 0, 4 * vectors.astype(np.float32) / np.maximum(away, 1), np.nan)
    return np.where(np.isnan(step[0]), step[1], step[0])


def _over(grid: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """The values of a grid over a finer one of a size."""
    times = size[0] // grid.shape[-2]
    return grid if times == 1 else grid.repeat(times, -2).repeat(times, -1)


class Rows(Protocol):
    """What frames of a dataset can be had from: anything that priors are read from."""

    def read(self, path: str, frames: Sequence[int]) -> np.ndarray:
        """Some frames of one dataset."""

    def __contains__(self, path: str) -> bool:
        """Whether there is such a dataset."""


class History:
    """QP and age of what each block repeats, frame by frame.

    Args:
        priors: With motion.
    """

    def __init__(self, priors: Rows) -> None:
        """Nothing is read yet."""
        self._priors = priors
        self._done: OrderedDict[int, np.ndarray] = OrderedDict()  # QP, and frame where coded

    def of(self, index: int) -> np.ndarray:
        """uint8 `[2, H/4, W/4]`: QP of luma when last coded, and frames between then and now.

        The frames that this one refers to are worked out first, and theirs, as far as they are
        in the file.
        """
        waiting = [index]
        while waiting:
            frame = waiting[-1]
            own = None if frame in self._done else self._read(frame)
            missing = [] if own is None else [r for r in own[1] if r not in self._done]
            if own is not None and not missing:
                self._done[frame] = self._follow(frame, *own)
            if missing:
                waiting += missing
            else:
                waiting.pop()
        self._done.move_to_end(index)
        while len(self._done) > _KEPT:
            self._done.popitem(last=False)
        qp, when = self._done[index]
        age = np.where(when == _NEVER, OLDEST, abs(index - when))
        return np.stack([qp, age.clip(0, OLDEST)]).astype(np.uint8)

    def _read(self, index: int) -> tuple[np.ndarray, list[int], np.ndarray, np.ndarray]:
        """Reference and vector of the list in use, the references, QP or -1 where not coded."""
        read = self._priors.read
        vectors = read("motion/mv", [index])[0]
        size = vectors.shape[1:3]
        refs = _over(read("motion/ref", [index])[0], size)
        second = refs[0] < 0
        ref = np.where(second, refs[1], refs[0])
        vector = np.where(second[..., None], vectors[1], vectors[0])
        qp, renewed = self._renewed(index)
        coded = _over(np.stack([qp, np.where(renewed, index, _NEVER)]), size)
        ref = np.where(coded[1] == _NEVER, ref, -1)
        return coded, [k for k in np.unique(ref).tolist() if k >= 0], ref, vector

    def _renewed(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """QP of luma, int32, and what is intra or has a residual, on the codec's grid."""

        def read(path: str) -> np.ndarray:
            return self._priors.read(path, [index])[0]

        if "cu/mode" not in self._priors:
            renewed = (read("mb/type") <= LAST_INTRA) | (read("mb/cbp") != 0)
            return read("mb/qp_y").astype(np.int32), renewed
        renewed = read("cu/mode") >= CuMode.INTRA
        for path in ("tu/kind", "tu/kind_cb", "tu/kind_cr"):
            if path in self._priors:
                renewed = renewed | (read(path) != TuKind.NONE)
        return read("qp/y").astype(np.int32), renewed

    def _follow(
        self, index: int, coded: np.ndarray, used: list[int], ref: np.ndarray, vector: np.ndarray
    ) -> np.ndarray:
        """QP and frame where coded, those of the references where they are repeated."""
        places = np.indices(ref.shape)
        rows, columns = places[0], places[1]
        for frame in used:
            here = ref == frame
            move: np.ndarray = (vector[here].astype(np.int32) + 8) >> 4  # whole blocks
            y = (rows[here] + move[:, 1]).clip(0, ref.shape[0] - 1)
            x = (columns[here] + move[:, 0]).clip(0, ref.shape[1] - 1)
            coded[:, here] = self._done[frame][:, y, x]
        return coded
