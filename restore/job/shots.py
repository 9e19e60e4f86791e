"""Shots of a decoded video, and where the face is in each.

    every fifth of a second: a small grey picture, faces in it (opencv's cascades)
        --> where two of these differ like two shots, the frame of the cut is looked for between
        --> per shot the steadiest face, its median box

The sound is laid over that box, as it was over the box of the clip in training, and a window never
reaches over a cut. Without opencv there are cuts, and a box by rule: networks are trained on crops
of 1.4 times the face, so in a small square picture the face is taken to be where it is in those,
and in any other picture where it is in the largest square around the centre.
"""

import dataclasses
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np

from ...bitstream import Priors
from ...data import faces
from ...data.faces import CROP_FACTOR, LOOKS_A_SECOND, RAISE, SHORT_SIDE, cuts, detect, steadiest
from .tiles import Box

STEADY = 0.3  # share of looks at which the face must be found to be believed
PORTRAIT = 512  # pictures up to this side, nearly square, are taken for crops around a face


@dataclasses.dataclass(frozen=True)
class Shot:
    """Frames between two cuts.

    Attributes:
        start: First frame.
        stop: One past the last frame.
        face: Box of the face in the coded picture; None where none is seen.
    """

    start: int
    stop: int
    face: Box | None


def can_detect() -> bool:
    """Whether faces can be looked for: opencv is installed."""
    return find_spec("cv2") is not None


def shots_of(
    priors: Priors,
    frames: range,
    *,
    look: bool = True,
    progress: Callable[[int], object] | None = None,
) -> list[Shot]:
    """Split some frames of a video at its cuts and find the face of each shot.

    Args:
        priors: With decoded luma.
        frames: Display indices in a row.
        look: Look for faces; else, or without opencv, boxes are those of `usual_face`.
        progress: Called with the number of frames just passed.

    Returns:
        Shots in order, covering `frames`.
    """
    look_for = look and can_detect()
    step = max(1, round(priors.frame_rate / LOOKS_A_SECOND))
    looks = list(frames[::step])
    if looks and looks[-1] != frames[-1]:
        looks.append(frames[-1])
    found: list[list[Box]] = []
    changes: list[float] = []
    last: np.ndarray | None = None
    for k in looks:
        grey, scale = _small(priors, k)
        blocks = _blocks(grey)
        changes.append(0.0 if last is None else _change(last, blocks))
        last = blocks
        found.append([_to_coded(priors, box, scale) for box in detect(grey)] if look_for else [])
        if progress:
            progress(min(step, frames[-1] + 1 - k))
    starts = [_cut_frame(priors, looks[n - 1], looks[n]) for n in cuts(np.array(changes))]
    edges = [frames[0], *starts, frames[-1] + 1]
    shots = []
    for start, stop in zip(edges, edges[1:], strict=False):
        inside = [boxes for k, boxes in zip(looks, found, strict=True) if start <= k < stop]
        shots.append(Shot(start, stop, _face(priors, inside) if look_for else usual_face(priors)))
    return shots


def usual_face(priors: Priors) -> Box:
    """Where the face is by rule, for want of a look: as in the training crops."""
    rows, columns = priors.crop
    height, width = rows.stop - rows.start, columns.stop - columns.start
    x, y, w, h = faces.usual_face(width, height)
    return Box(rows.start + y, columns.start + x, h, w)


def head(face: Box, size: tuple[int, int]) -> Box:
    """The head around a face box, on the grid, inside a coded picture of `size`."""
    side = CROP_FACTOR * max(face.height, face.width)
    top = face.top + (0.5 - RAISE) * face.height - side / 2
    left = face.left + face.width / 2 - side / 2
    return Box(round(top), round(left), round(side), round(side)).on_grid(size)


def is_portrait(priors: Priors) -> bool:
    """Whether the picture looks like a crop around one face: small and nearly square."""
    rows, columns = priors.crop
    height, width = rows.stop - rows.start, columns.stop - columns.start
    return max(height, width) <= min(PORTRAIT, 1.25 * min(height, width))


def _face(priors: Priors, looks: Sequence[list[Box]]) -> Box | None:
    """The face of a shot from the boxes of its looks."""
    # `steadiest` takes x, y, width, height
    boxes = steadiest([[(b.left, b.top, b.width, b.height) for b in boxes] for boxes in looks])
    if len(boxes) >= STEADY * max(len(looks), 1) and boxes:
        left, top, width, height = (round(float(n)) for n in np.median(np.array(boxes), axis=0))
        return Box(top, left, height, width)
    return usual_face(priors) if is_portrait(priors) else None


def _small(priors: Priors, frame: int) -> tuple[np.ndarray, int]:
    """Luma of the shown picture, uint8, each side divided by the whole number returned."""
    luma = priors.read("decoded/y", [frame])[0][priors.crop]
    depth = int(priors.attrs["bit_depth_luma"])
    scale = max(1, round(min(luma.shape) / SHORT_SIDE))
    height, width = (side // scale for side in luma.shape)
    if scale > 1:
        cut = luma[: height * scale, : width * scale].astype(np.float32)
        luma = cut.reshape(height, scale, width, scale).mean((1, 3))
    return np.ascontiguousarray((luma / (1 << (depth - 8))).astype(np.uint8)), scale


def _to_coded(priors: Priors, box: tuple[int, int, int, int], scale: int) -> Box:
    """A detector's x, y, width, height in the small picture as a box of the coded one."""
    rows, columns = priors.crop
    x, y, width, height = (n * scale for n in box)
    return Box(y + rows.start, x + columns.start, height, width)


def _blocks(grey: np.ndarray) -> np.ndarray:
    """Means of 8x8 samples (of all where there are fewer)."""
    side = max(1, min(8, *grey.shape))
    height, width = (n // side for n in grey.shape)
    cut = grey[: height * side, : width * side].astype(np.float32)
    return cut.reshape(height, side, width, side).mean((1, 3))


def _change(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(second - first).mean())


def _cut_frame(priors: Priors, before: int, after: int) -> int:
    """The first frame of the new shot, between two looks that differ."""
    blocks = [_blocks(_small(priors, k)[0]) for k in range(before, after + 1)]
    jumps = [_change(a, b) for a, b in zip(blocks, blocks[1:], strict=False)]
    return before + 1 + int(np.argmax(jumps))
