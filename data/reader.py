"""One clip's priors, source and sound as samples: any frames, any cut on the 16-sample grid.

`ClipReader` reads straight from the priors file and the clean video, or through a cache: one flat
file a clip (see `flat`).
"""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..bitstream import Priors
from ..bitstream import open as open_priors
from .clean import CleanVideo
from .flat import PLANES, FlatFile, boxes_of, write_flat
from .hearing import Track, features
from .motion import History, flow
from .sample import Planes, Sample

MAPS = {  # of H.264, and of HEVC
    "tu": "tu/y", "mb_type": "mb/type", "qp_y": "mb/qp_y", "field": "mb/field",
}  # fmt: skip
HEVC_MAPS = {
    "cu_mode": "cu/mode", "cu_size": "cu/size", "tu_size": "tu/size", "tu_kind": "tu/kind",
    "qp_y": "qp/y",
}  # fmt: skip
PROJECTION_MAPS = {"qp_cb": "mb/qp_cb", "qp_cr": "mb/qp_cr", "cbp": "mb/cbp"}
HEVC_PROJECTION_MAPS = {
    "cu_bypass": "cu/bypass", "tu_kind_cb": "tu/kind_cb", "tu_kind_cr": "tu/kind_cr",
    "qp_cb": "qp/cb", "qp_cr": "qp/cr",
    "res_scale_cb": "tu/res_scale_cb", "res_scale_cr": "tu/res_scale_cr",
}  # fmt: skip
LISTS = ("scaling4x4", "scaling8x8", "scaling_dc")  # as `Priors.scaling_lists` gives them


class ClipReader:
    """A clip at one CRF.

    Args:
        priors: The priors file, or a video; or what `davd.bitstream.open` gave of one.
        clean: The video it was encoded from; None where it is not at hand.
        listen: Samples carry the sound, as the network hears it.
        delay: Seconds by which the sound is late against the picture.
        level: Read levels and all that projection needs, residuals unlimited.
        bitstream: Read prediction and residual, where they are stored.
        motion: Read where places were and when they were coded, where the file holds motion.
        face: X, y, width, height in luma samples of the whole picture.
        mouth: Likewise.
        cache: Folder for the flat file; None reads the sources each time.
        name: Of the clip, for messages.

    Attributes:
        track: Sound features, or None; may be exchanged for another clip's.
    """

    track: Track | None

    def __init__(
        self,
        priors: Path | Priors,
        clean: Path | None = None,
        *,
        listen: bool = False,
        delay: float = 0.0,
        level: bool = False,
        bitstream: bool = True,
        motion: bool = False,
        face: tuple[int, int, int, int] | None = None,
        mouth: tuple[int, int, int, int] | None = None,
        cache: Path | None = None,
        name: str = "",
    ) -> None:
        """Open a clip; nothing but its sound and times is read yet.

        Raises:
            FileNotFoundError: A file that is not there.
            ValueError: Neither a priors file nor a video, one without what is asked for, or a
                clean video that does not belong to it.
        """
        self._priors = priors if isinstance(priors, Priors) else open_priors(priors)
        path = self._priors.path
        self.name = name or path.stem
        self._clean = None if clean is None else CleanVideo(clean)
        self._level = level
        self._boxes = face, mouth
        self._times = self._priors.column("time").astype(float) + delay
        self.track = self._heard() if listen else None
        groups = ("prediction", "residual") if bitstream else ()
        self.planes = [group for group in groups if group in self._priors]
        if level and "level" not in self._priors:
            raise ValueError(f"{path}: levels are not stored in it; extract it with them")
        if self._clean is not None and len(self._clean) != len(self):
            raise ValueError(f"{clean} has {len(self._clean)} frames, {path} {len(self)}")
        moving = motion and "motion/mv" in self._priors
        self._history = History(self._priors) if moving else None
        self._flat = None if cache is None else FlatFile(self._cached(cache, path))

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._times)

    @property
    def size(self) -> tuple[int, int]:
        """Coded height and width of luma."""
        return self._priors.coded_size

    @property
    def grid(self) -> tuple[int, int]:
        """Luma rows and columns on whose multiples a cut may begin and end.

        A macroblock, or a pair of them where there are fields. Of HEVC with levels, the largest
        transform block.
        """
        if self._hevc:
            return (32, 32) if self._level else (16, 16)
        still = self._priors.attrs.get("field_order", "progressive") == "progressive"
        return 16 if still else 32, 16

    @property
    def has_clean(self) -> bool:
        """Whether the source is at hand."""
        return self._clean is not None

    def time(self, index: int) -> float:
        """When a frame is shown, seconds, the delay of the sound added."""
        return float(self._times[index])

    def close(self) -> None:
        """Close the priors file; the next read opens it again."""
        self._priors.close()

    def read(self, start: int, stop: int, box: tuple[int, int, int, int] | None = None) -> Sample:
        """Frames `start` to `stop`; outside the clip the first or last frame is repeated.

        Args:
            start: Display index, may be negative.
            stop: May be over the number of frames.
            box: Top, left, height, width in luma samples, multiples of `grid`, and no more than a
                coded picture has; None: all.

        Returns:
            A sample without batch.
        """
        frames = [min(max(k, 0), len(self) - 1) for k in range(start, stop)]
        fetch = self._from_sources if self._flat is None else self._flat.read
        values: dict[str, object] = dict(fetch(frames, box))
        field = values.get("field")
        if not self._level and isinstance(field, Tensor) and not field.any():
            del values["field"]
        if self._level:
            lists = zip(*(self._priors.scaling_lists(k) for k in frames), strict=True)
            for name, rows in zip(LISTS, lists, strict=False):
                entries = np.stack(rows).reshape(len(frames), -1, rows[0].shape[-1])
                values[name] = torch.from_numpy(entries)
        if self.track is not None:
            sound = np.stack([self.track.around(self._times[k]) for k in frames])
            values["sound"] = torch.from_numpy(sound)
        values |= boxes_of(self._boxes, box)
        attrs = self._priors.attrs
        depth = int(attrs["bit_depth_luma"]), int(attrs["bit_depth_chroma"])
        return Sample(
            start=torch.tensor(start),
            bit_depth=depth,
            name=self.name,
            **values,  # type: ignore[arg-type]
        )

    def _heard(self) -> Track | None:
        audio = self._priors.audio()
        if audio is None or not len(audio[0]):
            return None
        samples, rate, start = audio
        return Track(features(samples, rate), start)

    @property
    def _hevc(self) -> bool:
        return "cu/mode" in self._priors

    def _names(self) -> dict[str, str]:
        if self._hevc:
            names = HEVC_MAPS | (HEVC_PROJECTION_MAPS if self._level else {})
        else:
            names = MAPS | (PROJECTION_MAPS if self._level else {})
        return {name: path for name, path in names.items() if path in self._priors}

    def _groups(self) -> list[str]:
        return ["decoded", *self.planes, *(["level"] if self._level else [])]

    def _from_sources(
        self, frames: list[int], box: tuple[int, int, int, int] | None
    ) -> dict[str, Tensor | Planes]:
        values: dict[str, Tensor | Planes] = {}
        for group in self._groups():
            planes = []
            for plane in PLANES:
                path = f"{group}/{plane}"
                if path in self._priors:
                    planes.append(_tensor(self._priors.read(path, frames, box=box)))
                else:  # monochrome
                    planes.append(planes[0].new_empty((len(frames), 0, 0)))
            values[group] = Planes(*planes)
        for name, path in self._names().items():
            values[name] = _tensor(self._priors.read(path, frames, box=box))
        if self._hevc:
            types = self._priors.column("picture_type")[frames]
            values["picture_type"] = _tensor(types[:, None, None])
            tree, unit = (values[name] for name in ("tu_size", "cu_size"))
            assert isinstance(tree, Tensor) and isinstance(unit, Tensor)
            values |= _places(torch.where(tree > 0, tree, unit), (0, 0) if box is None else box[:2])
        if self._history is not None:
            values |= self._moved(frames, box)
        if self._clean is not None:
            values["clean"] = self._clean_planes(frames, box)
        return values

    def _moved(self, frames: list[int], box: tuple[int, int, int, int] | None) -> dict[str, Tensor]:
        """Flow and history of frames, where the file has motion."""
        assert self._history is not None
        top, left, height, width = (0, 0, *self.size) if box is None else box
        rows, columns = slice(top // 4, (top + height) // 4), slice(left // 4, (left + width) // 4)
        flows = []
        for k in frames:
            pair = range(k, min(k + 2, len(self)))
            vectors = self._priors.read("motion/mv", pair)
            flows.append(flow(vectors, self._priors.read("motion/ref", pair), k))
        ages = [self._history.of(k) for k in frames]
        return {
            name: _tensor(np.stack(maps)[..., rows, columns])
            for name, maps in (("flow", flows), ("history", ages))
        }

    def _clean_planes(self, frames: list[int], box: tuple[int, int, int, int] | None) -> Planes:
        assert self._clean is not None
        first, last = min(frames), max(frames)
        planes = []
        for plane in self._clean.read(first, last + 1):
            step = self.size[0] // plane.shape[-2]
            if box is not None:
                top, left, height, width = (side // step for side in box)
                plane = plane[:, top : top + height, left : left + width]
            planes.append(_tensor(plane[np.asarray(frames) - first]))
        return Planes(*planes)

    def _cached(self, folder: Path, priors: Path) -> Path:
        """Path of the flat file, written first where it is missing or older than the priors.

        It bears the whole path of the priors: clips in folders of their own are called alike at
        every rate factor.
        """
        kind = (".level" if self._level else "") + (".motion" if self._history else "")
        own = os.path.relpath(priors, folder.parent).replace(os.sep, "~")
        path = folder / f"{own}{kind}.planes"
        if path.exists() and path.stat().st_mtime >= priors.stat().st_mtime:
            return path
        whole = self._from_sources(list(range(len(self))), None)
        arrays: dict[str, np.ndarray] = {}
        for name, value in whole.items():
            if isinstance(value, Tensor):
                arrays[name] = value.numpy()
                continue
            for plane, tensor in zip(PLANES, value, strict=True):
                array = tensor.numpy()
                if name == "residual" and not self._level and array.dtype == np.int16:
                    array = array.clip(-128, 127).astype(np.int8)  # an input channel, no more
                arrays[f"{name}.{plane}"] = array
        write_flat(path, arrays)
        return path


def _places(size: Tensor, corner: tuple[int, int]) -> dict[str, Tensor]:
    """How far into their units the 4x4 blocks of a cut lie, by the units' log2 sizes."""
    last = (1 << (size.int() - 2).clamp(0, 4)) - 1
    rows, columns = (
        torch.arange(count, dtype=torch.int32) + start // 4
        for count, start in zip(size.shape[-2:], corner, strict=True)
    )
    found = {"unit_x": columns & last, "unit_y": rows[:, None] & last}
    return {name: place.to(torch.uint8) for name, place in found.items()}


def _tensor(array: np.ndarray) -> Tensor:
    """A tensor with memory of its own; int16 for uint16, with which torch can do little."""
    own = np.array(array)
    return torch.from_numpy(own.view(np.int16) if own.dtype == np.uint16 else own)
