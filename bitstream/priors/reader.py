"""Reads priors files (the schema is in schema.py, the writer in writer.py)."""

import json
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np

from .chunks import read_region
from .record import FrameRecord
from .schema import FIELDS, FORMAT, PLANE_GROUPS, PLANES, SCHEMA_VERSION

__all__ = ["PriorsError", "PriorsFile"]


class PriorsError(ValueError):
    """A file that is not a complete priors file of a version that can be read."""


class PriorsFile:
    """A priors file, open for reading.

    It is a sequence of frame records: `len(priors)`, `priors[k]`, iteration. The HDF5 file is
    opened again in every process that uses the object, and its handle is not pickled, so that one
    object can be handed to many workers.

        >>> with PriorsFile("priors.h5") as priors:  # doctest: +SKIP
        ...     y, cb, cr = priors[0].prediction
        ...     crop = priors.read("residual/y", range(3, 8), box=(16, 32, 128, 128))

    Attributes:
        path: the file.
        attrs: its root attributes, as `schema.ATTRIBUTES` lists them.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open a file and check that it can be used.

        Raises:
            FileNotFoundError: there is none.
            PriorsError: it is something else, of another version, or was never finished.
        """
        self.path = Path(path)
        self._pid = -1
        self._handle: h5py.File | None = None
        self._columns: dict[str, np.ndarray] = {}
        self._sets: dict[str, h5py.Dataset] = {}  # kept open: opening costs more than a small read
        self.attrs: dict[str, str | int | float | bool] = {}
        try:
            self.attrs = {k: _plain(v) for k, v in self._file().attrs.items()}
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        found = self.attrs.get("format")
        if found != FORMAT:
            what = f"its format is {found!r}" if found else "it names no format"
            raise PriorsError(f"{self.path} is an HDF5 file, but not a priors file: {what}")
        version = self.attrs.get("schema_version")
        if version != SCHEMA_VERSION:
            raise PriorsError(
                f"{self.path} has schema version {version}, this davd reads version "
                f"{SCHEMA_VERSION}: extract it again"
            )
        if self.attrs.get("complete") is not True:
            raise PriorsError(
                f"{self.path} is incomplete, its extraction was cut off: extract it again"
            )

    def _file(self) -> h5py.File:
        """The handle of this process."""
        if self._handle is None or self._pid != os.getpid():
            if not self.path.exists():
                raise FileNotFoundError(f"{self.path}: no such file")
            try:
                self._handle = h5py.File(self.path, "r")
            except OSError as error:
                raise PriorsError(f"{self.path} is not a readable HDF5 file ({error})") from error
            self._pid, self._sets = os.getpid(), {}
            for path in FIELDS:
                if path in self._handle:
                    self._sets[path] = self._handle[path]
        return self._handle

    def _dataset(self, path: str) -> h5py.Dataset:
        self._file()
        return self._sets[path]

    def dataset(self, path: str) -> h5py.Dataset:
        """A dataset of this process's handle, for reading parts of what has no row per frame.

        Raises:
            KeyError: it is not stored.
        """
        self._file()
        if path not in self._sets:
            raise KeyError(f"{self.path} has no {path!r}")
        return self._sets[path]

    def close(self) -> None:
        """Close the handle; the next use opens the file again."""
        if self._handle is not None and self._pid == os.getpid():
            self._handle.close()
        self._handle, self._sets = None, {}

    def __enter__(self) -> "PriorsFile":
        """The file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __getstate__(self) -> dict[str, object]:
        """Everything but the handle."""
        return self.__dict__ | {"_handle": None, "_pid": -1, "_sets": {}}

    def __repr__(self) -> str:
        """Name, size and length."""
        size = f"{self.attrs['width']}x{self.attrs['height']}"
        return f"PriorsFile({str(self.path)!r}: {len(self)} frames of {size})"

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.column("pts"))

    def __contains__(self, path: object) -> bool:
        """Whether a dataset, or a whole group such as `residual`, is stored."""
        return path in self._sets or path in self._file()

    def column(self, name: str) -> np.ndarray:
        """One of the `frames/*` datasets, `[N]`: `pts`, `time`, `poc`, `picture_type` ..."""
        if name not in self._columns:
            self._columns[name] = self._dataset(f"frames/{name}")[:]
        return self._columns[name]

    @property
    def coded_size(self) -> tuple[int, int]:
        """Height and width of a coded luma plane."""
        rows, columns = self._dataset("mb/type").shape[1:]
        return rows * 16, columns * 16

    @property
    def crop(self) -> tuple[slice, slice]:
        """Rows and columns of a coded luma plane that are shown."""
        a = self.attrs
        top, left = int(a["crop_top"]), int(a["crop_left"])
        return slice(top, top + int(a["height"])), slice(left, left + int(a["width"]))

    @property
    def frame_rate(self) -> Fraction:
        """Frames a second; the mean where it varies."""
        return Fraction(str(self.attrs["frame_rate"]))

    @property
    def time_base(self) -> Fraction:
        """Seconds that a unit of `frames/pts` lasts."""
        return Fraction(str(self.attrs["time_base"]))

    @property
    def planes(self) -> tuple[str, ...]:
        """`("y", "cb", "cr")`, or `("y",)` for monochrome."""
        return PLANES if self.attrs["chroma_format"] != "4:0:0" else PLANES[:1]

    def read(
        self,
        path: str,
        frames: Sequence[int] | slice | None = None,
        *,
        box: tuple[int, int, int, int] | None = None,
    ) -> np.ndarray:
        """Some frames of one dataset, or a crop of them.

        Args:
            path: a dataset with a row per frame, such as `residual/cb`.
            frames: indices in any order, doubles allowed, or a slice; all of them by default.
            box: top, left, height and width of the crop in coded luma samples; for chroma planes
                and maps it is scaled down, so that the same box serves all datasets.

        Returns:
            `[len(frames), ...]`.

        Raises:
            KeyError: the dataset is not stored in this file; the message says which are.
            IndexError: a frame that is not there.
            ValueError: a box that leaves the frame, or that does not fall on this dataset's grid.
        """
        field = FIELDS.get(path)
        if field is None or not field.per_frame or path not in self:
            stored = [p for p, f in FIELDS.items() if f.per_frame and p in self]
            raise KeyError(f"{self.path} has no {path!r}; it has {', '.join(stored)}")
        dataset = self._dataset(path)
        count = len(self)
        if frames is None or isinstance(frames, slice):
            frames = range(count)[frames or slice(None)]
        if len(frames) and not (0 <= min(frames) and max(frames) < count):
            raise IndexError(f"frames {min(frames)}..{max(frames)} of a file that has {count}")
        if dataset.ndim == 1:
            return self.column(field.record or "scaling")[list(frames)]
        where = self._region(path, dataset, box)
        if path.partition("/")[0] in PLANE_GROUPS:
            return read_region(dataset, frames, *where)
        if len(frames) == 0:
            return np.empty((0, *dataset.shape[1:]), dataset.dtype)[
                (slice(None), *self._axes(path, where))
            ]
        first, last = (
            min(frames),
            max(frames) + 1,
        )  # maps are small, and stored several frames a chunk
        if last - first > 4 * len(frames) + 64:
            return np.stack([dataset[(k, *self._axes(path, where))] for k in frames])
        rows = dataset[(slice(first, last), *self._axes(path, where))]
        return rows[np.asarray(frames) - first]

    @staticmethod
    def _axes(path: str, where: tuple[slice, slice]) -> tuple[slice, ...]:
        """Index of the axes after the first; motion has one for the list before the rows."""
        return (slice(None), *where) if path.startswith("motion/") else where

    def _region(
        self, path: str, dataset: h5py.Dataset, box: tuple[int, int, int, int] | None
    ) -> tuple[slice, slice]:
        """Rows and columns of a dataset that a box of luma samples covers."""
        axis = 2 if path.startswith("motion/") else 1
        sides = dataset.shape[axis], dataset.shape[axis + 1]
        if box is None:
            return slice(0, sides[0]), slice(0, sides[1])
        bounds = []
        for side, coded, start, length in zip(
            sides, self.coded_size, box[:2], box[2:], strict=True
        ):
            if start < 0 or length <= 0 or start + length > coded:
                raise ValueError(f"box {box} leaves the coded frame of {self.coded_size}")
            step = coded // side
            if start % step or length % step:
                raise ValueError(f"box {box} is not on the {step}-sample grid of {path}")
            bounds.append(slice(start // step, (start + length) // step))
        return bounds[0], bounds[1]

    def __getitem__(self, index: int) -> FrameRecord:
        """One frame, all that is stored of it.

        Raises:
            IndexError: there is no such frame.
        """
        count = len(self)
        k = index + count if index < 0 else index
        if not 0 <= k < count:
            raise IndexError(f"frame {index} of a file that has {count}")
        values: dict[str, object] = {}
        for path, field in FIELDS.items():
            if field.per_frame and field.record and path in self:
                row = self.read(path, [k])[0]
                if path.partition("/")[0] in PLANE_GROUPS:
                    values[field.record] = (*values.get(field.record, ()), row)  # type: ignore[misc]
                else:
                    values[field.record] = row if row.ndim else row.item()
        lists = self.scaling_lists(k)
        return FrameRecord(index=k, scaling4x4=lists[0], scaling8x8=lists[1], **values)

    def scaling_lists(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Scaling lists of a frame: uint8 `[6, 16]` and `[6, 64]`, zig-zag order."""
        for name in ("list4x4", "list8x8"):
            if name not in self._columns:
                self._columns[name] = self._dataset(f"scaling/{name}")[:]
        row = self.column("scaling")[index]
        return self._columns["list4x4"][row], self._columns["list8x8"][row]

    def audio(self) -> tuple[np.ndarray, int, float] | None:
        """The sound, if any: int16 `[S]`, samples a second, time of the first in seconds."""
        if "audio/samples" not in self:
            return None
        sound = self._dataset("audio/samples")
        return sound[:], int(sound.attrs["sample_rate"]), float(sound.attrs["start_time"])

    def audio_original(self) -> tuple[bytes, float] | None:
        """The video's own sound track, if any: a Matroska file, and its first packet's time."""
        if "audio/original" not in self:
            return None
        track = self._dataset("audio/original")
        return track[:].tobytes(), float(track.attrs["start_time"])

    def summary(self) -> dict[str, object]:
        """What the file says of itself, as values that JSON can carry."""
        return json.loads(json.dumps({"path": str(self.path), "frames": len(self)} | self.attrs))


def _plain(value: object) -> str | int | float | bool:
    """An attribute as a value of Python's own."""
    return value.item() if isinstance(value, np.generic) else value  # type: ignore[return-value]
