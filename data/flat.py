"""Flat files: every plane and map of a clip uncompressed, in the safetensors layout, mapped.

Processes share one, and reading a training window takes well under a millisecond. Written here as
well as read, so that nothing but numpy is needed.
"""

import json
import mmap
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .hearing import Track
from .sample import Planes, Sample

PLANES = ("y", "cb", "cr")
_DTYPES: dict[str, np.dtype] = {
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

Box = tuple[int, int, int, int]
"""Top, left, height, width in luma samples."""


def write_flat(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays whole or not at all."""
    header: dict[str, object] = {}
    place = 0
    arrays = {k: v.view(np.uint8) if v.dtype == np.bool_ else v for k, v in arrays.items()}
    for name, array in arrays.items():
        kind = _NAMES[array.dtype.newbyteorder("<")]
        stop = place + array.nbytes
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [place, stop]}
        place = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array))
    os.replace(part, path)


class FlatFile:
    """Arrays of a file, mapped into memory; mapped again in every process."""

    def __init__(self, path: Path) -> None:
        """Take note of the file."""
        self._path = path
        self._pid = -1
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Read-only views of the file."""
        if self._pid != os.getpid():
            with self._path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(length))
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._arrays = {
                name: np.frombuffer(
                    data,
                    _DTYPES[entry["dtype"]],
                    count=int(np.prod(entry["shape"])),
                    offset=8 + length + entry["data_offsets"][0],
                ).reshape(entry["shape"])
                for name, entry in header.items()
                if name != "__metadata__"
            }
            self._pid = os.getpid()
        return self._arrays

    def __getstate__(self) -> dict[str, object]:
        """Without the mapping, which belongs to one process."""
        return {"_path": self._path, "_pid": -1, "_arrays": {}}

    def read(self, frames: list[int], box: Box | None) -> dict[str, Tensor | Planes]:
        """Planes and maps of some frames, cut."""
        index: slice | list[int] = frames
        if frames == list(range(frames[0], frames[0] + len(frames))):
            index = slice(frames[0], frames[0] + len(frames))
        height_of_all = self.arrays["decoded.y"].shape[1]
        values: dict[str, Tensor | Planes] = {}
        gathered: dict[str, dict[str, Tensor]] = {}
        for name, array in self.arrays.items():
            step = height_of_all // array.shape[-2]
            cut = array[index]
            if box is not None and array.shape[-2:] != (1, 1):  # which is of the whole picture
                top, left, height, width = (side // step for side in box)
                cut = cut[..., top : top + height, left : left + width]
            group, dot, plane = name.partition(".")
            if dot:
                gathered.setdefault(group, {})[plane] = torch.from_numpy(np.array(cut))
            else:
                values[name] = torch.from_numpy(np.array(cut))
        for group, planes in gathered.items():
            values[group] = Planes(*(planes[plane] for plane in PLANES))
        return values


class FlatClip:
    """A clip out of a flat file alone: what `ClipReader` is to a priors file and its source.

    Args:
        path: The flat file, with the source's planes under `clean`, 8 bit.
        name: Of the clip.
        fps: Frames a second; the first one is shown at 0 s.
        track: Sound features, or None.
        delay: Seconds by which the sound is late against the picture.
        face: x, y, width, height in luma samples of the whole picture.
        mouth: Likewise.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        fps: float = 25.0,
        track: Track | None = None,
        delay: float = 0.0,
        face: Box | None = None,
        mouth: Box | None = None,
    ) -> None:
        """Look at the file's shapes."""
        self.name, self.track = name, track
        self._fps, self._delay, self._boxes = fps, delay, (face, mouth)
        self._flat = FlatFile(path)
        self._count, *size = self._flat.arrays["decoded.y"].shape
        self.size = (size[0], size[1])
        self.has_clean = "clean.y" in self._flat.arrays

    def __len__(self) -> int:
        """Number of frames."""
        return self._count

    @property
    def grid(self) -> tuple[int, int]:
        """Luma rows and columns that crops keep together, see `ClipReader.grid`."""
        field = self._flat.arrays.get("field")
        return 32 if field is not None and field.any() else 16, 16

    def read(self, start: int, stop: int, box: Box | None = None) -> Sample:
        """Frames `start` to `stop`; outside the clip the first or last frame is repeated."""
        frames = [min(max(k, 0), len(self) - 1) for k in range(start, stop)]
        values: dict[str, object] = dict(self._flat.read(frames, box))
        field = values.pop("field", None)
        if isinstance(field, Tensor) and field.any():
            values["field"] = field
        if self.track is not None:
            times = [k / self._fps + self._delay for k in frames]
            sound = np.stack([self.track.around(time) for time in times])
            values["sound"] = torch.from_numpy(sound)
        values |= boxes_of(self._boxes, box)
        return Sample(start=torch.tensor(start), name=self.name, **values)  # type: ignore[arg-type]


def boxes_of(places: tuple[Box | None, Box | None], box: Box | None) -> dict[str, Tensor]:
    """Face and mouth, as far as they are known, in samples of a cut."""
    top, left = (0, 0) if box is None else box[:2]
    return {
        name: torch.tensor([place[0] - left, place[1] - top, place[2], place[3]], dtype=torch.int32)
        for name, place in zip(("face", "mouth"), places, strict=True)
        if place is not None
    }
