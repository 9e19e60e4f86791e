"""Reads priors files (the schema is in schema.py, the writer in writer.py)."""

import os
from collections.abc import KeysView
from pathlib import Path

import h5py
import numpy as np

from .chunks import read_region
from .handles import HANDLES
from .reading import Priors, is_plane
from .record import SCALING, FrameRecord
from .schema import FORMAT, SCHEMA_VERSION, VERSIONS, Field

__all__ = ["PriorsError", "PriorsFile"]


class PriorsError(ValueError):
    """A file that is not a complete priors file of a version that can be read."""


class PriorsFile(Priors):
    """A priors file, open for reading.

    It is a sequence of frame records: `len(priors)`, `priors[k]`, iteration. The HDF5 file is
    opened again in every process that uses the object, and its handle is not pickled, so that one
    object can be handed to many workers. Of many, those not used for longest are closed until they
    are used again.

        >>> with PriorsFile("priors.h5") as priors:  # doctest: +SKIP
        ...     y, cb, cr = priors[0].prediction
        ...     crop = priors.read("residual/y", range(3, 8), box=(16, 32, 128, 128))

    Attributes:
        path: The file.
        attrs: Its root attributes, as `schema.ATTRIBUTES` lists them.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open a file and check that it can be used.

        Raises:
            FileNotFoundError: There is none.
            PriorsError: It is something else, of another version, or was never finished.
        """
        self.path = Path(path)
        self._pid = -1
        self._handle: h5py.File | None = None
        self._columns: dict[str, np.ndarray] = {}
        self._names: dict[str, None] = {}  # of the datasets that are stored
        self._sets: dict[str, h5py.Dataset] = {}  # kept open: opening costs more than a small read
        self.attrs: dict[str, str | int | float | bool] = {}
        try:
            file = self._file()
            self.attrs = {k: _plain(v) for k, v in file.attrs.items()}
            self._check()
            self._names = {path: None for path in self.fields if path in file}
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        found = self.attrs.get("format")
        if found != FORMAT:
            what = f"its format is {found!r}" if found else "it names no format"
            raise PriorsError(f"{self.path} is an HDF5 file, but not a priors file: {what}")
        version = self.attrs.get("schema_version")
        codec = self.attrs.get("codec")
        if version not in VERSIONS.values():
            raise PriorsError(
                f"{self.path} has schema version {version}, this davd reads versions 1 to "
                f"{SCHEMA_VERSION}: extract it again"
            )
        if version != VERSIONS.get(str(codec)):
            raise PriorsError(
                f"{self.path} has schema version {version} and codec {codec!r}, which do not go "
                "together: extract it again"
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
        HANDLES.used(self)
        return self._handle

    def _dataset(self, path: str) -> h5py.Dataset:
        file = self._file()
        found = self._sets.get(path)
        if found is None:
            found = self._sets[path] = file[path]
        return found

    def dataset(self, path: str) -> h5py.Dataset:
        """A dataset of this process's handle, for reading parts of what has no row per frame.

        Raises:
            KeyError: It is not stored.
        """
        if path not in self._names:
            raise KeyError(f"{self.path} has no {path!r}")
        return self._dataset(path)

    def close(self) -> None:
        """Close the handle; the next use opens the file again."""
        if self._handle is not None and self._pid == os.getpid():
            self._handle.close()
        self._handle, self._sets = None, {}
        HANDLES.closed(self)

    def __getstate__(self) -> dict[str, object]:
        """Everything but the handle."""
        return self.__dict__ | {"_handle": None, "_pid": -1, "_sets": {}}

    def keys(self) -> KeysView[str]:
        """Names of the datasets that are stored."""
        return self._names.keys()

    def _column(self, name: str) -> np.ndarray:
        if name not in self._columns:
            self._columns[name] = self.dataset(f"frames/{name}")[:]
        return self._columns[name]

    def _layout(self, field: Field) -> tuple[tuple[int, ...], np.dtype]:
        dataset = self._dataset(field.path)
        return dataset.shape[1:], dataset.dtype

    def _rows(self, field: Field, frames: list[int], where: tuple[slice, ...]) -> np.ndarray:
        dataset = self._dataset(field.path)
        if is_plane(field.path):
            return read_region(dataset, frames, *where)
        # Maps are small, and stored several frames a chunk
        first, last = min(frames), max(frames) + 1
        if last - first > 4 * len(frames) + 64:
            return np.stack([dataset[(k, *where)] for k in frames])
        rows = dataset[(slice(first, last), *where)]
        return rows[np.asarray(frames) - first]

    def _record(self, index: int) -> FrameRecord:
        values: dict[str, object] = {}
        for path, field in self.fields.items():
            if field.per_frame and field.record and path in self:
                row = self.read(path, [index])[0]
                if is_plane(path):
                    values[field.record] = (*values.get(field.record, ()), row)  # type: ignore[misc]
                else:
                    values[field.record] = row if row.ndim else row.item()
        codec = str(self.attrs["codec"])
        values |= zip(SCALING[codec], self.scaling_lists(index), strict=True)
        return FrameRecord(index=index, codec=codec, **values)

    def scaling_lists(self, index: int) -> tuple[np.ndarray, ...]:
        """Scaling lists of a frame, a row of each dataset `scaling/*`."""
        paths = [path for path in self.fields if path.startswith("scaling/")]
        for path in paths:
            if path not in self._columns:
                self._columns[path] = self._dataset(path)[:]
        row = self._column("scaling")[index]
        return tuple(self._columns[path][row].copy() for path in paths)

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


def _plain(value: object) -> str | int | float | bool:
    """An attribute as a value of Python's own."""
    return value.item() if isinstance(value, np.generic) else value  # type: ignore[return-value]
