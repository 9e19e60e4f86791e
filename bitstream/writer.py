"""Writes priors files: streaming, in bounded memory, never one that only looks finished."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO, Self

import h5py
import numpy as np

from .chunks import COMPRESSIONS, Layout, filters, pack, write_chunks
from .schema import ATTRIBUTES, FIELDS, FORMAT, PLANE_GROUPS, SCHEMA_VERSION, FrameRecord
from .schema import record_arrays as arrays_of

_OWN_ATTRIBUTES = {"format", "schema_version", "codec", "complete"}
_ROWS = 1024  # rows of frames/* that are kept before they are written
_ROOM = 64  # frames by which the stacks grow; a multiple of every chunk depth


@dataclass
class PackedFrame:
    """A frame record whose large arrays are compressed chunks already.

    Attributes:
        record: the same record, without its arrays.
        stacks: layout and content per dataset: chunks, or the array where HDF5 has to do the
            packing.
    """

    record: FrameRecord
    stacks: dict[str, tuple[Layout, list[bytes | None] | np.ndarray]]

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return sum(
            c.nbytes if isinstance(c, np.ndarray) else sum(len(b) for b in c if b)
            for _, c in self.stacks.values()
        )

    def moved(self, index: int) -> "PackedFrame":
        """The same with `index` added to the numbers in `motion/ref`, not compressed yet."""
        if index == 0 or "motion/ref" not in self.stacks:
            return self
        layout, ref = self.stacks["motion/ref"]
        assert isinstance(ref, np.ndarray)
        ref = np.where(ref >= 0, ref + index, ref).astype(ref.dtype)
        return PackedFrame(self.record, self.stacks | {"motion/ref": (layout, ref)})


def pack_record(record: FrameRecord, compression: str, later: Collection[str] = ()) -> PackedFrame:
    """Compress what can be compressed frame by frame. Runs in any thread and touches no HDF5.

    Args:
        record: the frame.
        compression: as the writer's.
        later: datasets that are left as arrays, since they may still change.
    """
    stacks: dict[str, tuple[Layout, list[bytes | None] | np.ndarray]] = {}
    for path, array in arrays_of(record).items():
        plane = path.partition("/")[0] in PLANE_GROUPS
        layout = Layout.of(array, tiled=plane, fill=FIELDS[path].fill)
        whole = layout.depth > 1 or compression == "blosc" or path in later
        stacks[path] = (layout, array if whole else pack(array, layout, compression))
    return PackedFrame(_without_arrays(record), stacks)


def _without_arrays(record: FrameRecord) -> FrameRecord:
    small = {"scaling4x4", "scaling8x8"}
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    for name, value in values.items():
        if name not in small and isinstance(value, np.ndarray | tuple):
            values[name] = None
    return FrameRecord(**values)


class PriorsWriter:
    """Writes one priors file, frame by frame in display order.

    The data go to `NAME.part`, which becomes `NAME` in `finish` (fsync, then rename). Used as a
    context manager, it removes `NAME.part` unless `finish` was called. Not thread-safe.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        attributes: Mapping[str, object],
        *,
        compression: str = "gzip",
        threads: int = 1,
        overwrite: bool = False,
    ) -> None:
        """Begin a file.

        Args:
            path: the final name.
            attributes: the root attributes of `schema.ATTRIBUTES`, without `format`,
                `schema_version`, `codec` and `complete`.
            compression: `gzip`, `blosc` or `none`.
            threads: threads that compress beside the caller's; 0 compresses in the caller's.
            overwrite: replace an existing file.

        Raises:
            FileExistsError: the file exists and `overwrite` is not set.
            ValueError: an unknown compression, or attributes that are missing or not of the schema.
        """
        self.path = Path(path)
        if compression not in COMPRESSIONS:
            filters(compression)
        if self.path.exists() and not overwrite:
            raise FileExistsError(f"{self.path} exists")
        wanted = set(ATTRIBUTES) - _OWN_ATTRIBUTES
        if wanted != set(attributes):
            raise ValueError(f"attributes missing or unknown: {sorted(wanted ^ set(attributes))}")
        self.compression = compression
        self.frames = 0
        self._part = self.path.with_name(self.path.name + ".part")
        self._file = h5py.File(self._part, "w")
        self._file.attrs["format"] = FORMAT
        self._file.attrs["schema_version"] = SCHEMA_VERSION
        self._file.attrs["codec"] = "h264"
        for name, value in attributes.items():
            self._file.attrs[name] = value
        self._file.attrs["complete"] = False
        self._pool = ThreadPoolExecutor(threads, "davd-pack") if threads > 0 else None
        self._pending: deque[Future[PackedFrame]] = deque()
        self._queue = 2 * threads  # frames that wait to be packed
        self._sets: dict[str, h5py.Dataset] = {}  # kept open: opening costs more than a chunk
        self._layouts: dict[str, Layout] = {}
        self._deep: dict[str, list[np.ndarray]] = {}
        self._rows: dict[str, list[object]] = {
            f.path: [] for f in FIELDS.values() if f.per_frame and len(f.shape) == 1
        }
        self._rows_written = 0
        self._room = 0
        self._scaling: dict[tuple[bytes, bytes], int] = {}

    def append(self, record: FrameRecord) -> None:
        """Add the next frame.

        Raises:
            ValueError: its arrays are not of the first frame's shapes, types and names.
            OSError: the disk is full, or the like.
        """
        if self._pool is None:
            self.append_packed(pack_record(record, self.compression))
            return
        if sum(not packing.done() for packing in self._pending) < self._queue:
            self._pending.append(self._pool.submit(pack_record, record, self.compression))
        else:  # the pool has enough to do: this thread helps
            done: Future[PackedFrame] = Future()
            done.set_result(pack_record(record, self.compression))
            self._pending.append(done)
        while self._pending and (self._pending[0].done() or len(self._pending) > 2 * self._queue):
            self.append_packed(self._pending.popleft().result())

    def _drain(self) -> None:
        """Write the frames that are still being packed, so that the order in the file is fixed."""
        while self._pending:
            self.append_packed(self._pending.popleft().result())

    def append_packed(self, packed: PackedFrame) -> None:
        """Add the next frame, packed by `pack_record` with this writer's compression."""
        layouts = {path: layout for path, (layout, _) in packed.stacks.items()}
        if self.frames == 0:
            self._create(layouts)
        elif layouts != self._layouts:
            changed = sorted(p for p in layouts if layouts[p] != self._layouts.get(p))
            raise ValueError(f"frame {self.frames} differs from the first in shape: {changed}")
        if self.frames == self._room:
            self._room += _ROOM
            self._resize(self._room)
        for path, (layout, content) in packed.stacks.items():
            if layout.depth > 1:
                assert isinstance(content, np.ndarray)
                self._deep[path].append(content)
                if len(self._deep[path]) == layout.depth:
                    self._flush_deep(path)
            elif self.compression == "blosc":
                self._sets[path][self.frames] = content
            else:
                if isinstance(content, np.ndarray):
                    content = pack(content, layout, self.compression)
                write_chunks(self._sets[path], self.frames, layout, content)
        self._add_row(packed.record)
        self.frames += 1

    def _create(self, layouts: dict[str, Layout]) -> None:
        self._layouts = layouts
        for field in FIELDS.values():
            dtype = np.dtype(field.dtype) if field.dtype[0] not in "sd" else None
            if field.values:
                dtype = h5py.enum_dtype(field.values, basetype=dtype)
            if field.path in layouts:
                layout = layouts[field.path]
                dataset = layout.create(
                    self._file, field.path, self.compression, dtype or layout.dtype
                )
                if layout.depth > 1:
                    self._deep[field.path] = []
            elif field.path in self._rows:
                dataset = self._file.create_dataset(
                    field.path, (0,), dtype, maxshape=(None,), chunks=(_ROWS,)
                )
            else:
                continue
            self._sets[field.path] = dataset
            self._describe(dataset)

    def _describe(self, dataset: h5py.Dataset) -> None:
        field = FIELDS[dataset.name.lstrip("/")]
        dataset.attrs["description"] = field.description
        if field.units:
            dataset.attrs["units"] = field.units

    def _resize(self, frames: int) -> None:
        for path in self._layouts:
            self._sets[path].resize(frames, axis=0)

    def _flush_deep(self, path: str) -> None:
        arrays, layout = self._deep[path], self._layouts[path]
        first = (self.frames if len(arrays) == layout.depth else self.frames - 1) + 1 - len(arrays)
        if self.compression == "blosc":
            self._sets[path][first : first + len(arrays)] = np.stack(arrays)
        else:
            whole = np.full((layout.depth, *layout.shape), layout.fill, layout.dtype)
            whole[: len(arrays)] = arrays
            write_chunks(self._sets[path], first, layout, pack(whole, layout, self.compression))
        arrays.clear()

    def _add_row(self, record: FrameRecord) -> None:
        lists = (record.scaling4x4.tobytes(), record.scaling8x8.tobytes())
        row = self._scaling.setdefault(lists, len(self._scaling))
        if row > 255:
            raise ValueError("more than 256 different sets of scaling lists")
        for path, values in self._rows.items():
            name = FIELDS[path].record
            values.append(getattr(record, name) if name else row)
        if len(self._rows["frames/pts"]) == _ROWS:
            self._flush_rows()

    def _flush_rows(self) -> None:
        count = len(self._rows["frames/pts"])
        for path, values in self._rows.items():
            dataset = self._sets[path]
            dataset.resize(self._rows_written + count, axis=0)
            dataset[self._rows_written :] = np.array(values, dataset.dtype)
            values.clear()
        self._rows_written += count

    def write_audio(
        self,
        blocks: Iterable[np.ndarray],
        *,
        sample_rate: int,
        start_time: float | Callable[[], float],
    ) -> None:
        """Store the sound.

        Args:
            blocks: pieces of mono int16 samples, one after the other.
            sample_rate: samples a second.
            start_time: time of the first sample, seconds on the video's clock; a function is asked
                when all blocks have come.
        """
        dataset = self._stream("audio/samples", blocks, np.dtype("i2"))
        dataset.attrs["sample_rate"] = sample_rate
        dataset.attrs["start_time"] = start_time() if callable(start_time) else start_time

    def write_original(self, file: BinaryIO, *, start_time: float) -> None:
        """Store the source's own sound track.

        Args:
            file: a Matroska file, read from its start to its end.
            start_time: time of its first packet, seconds on the video's clock (inside the Matroska
                file the times may be shifted, as it has none below zero).
        """
        file.seek(0)
        pieces = iter(lambda: file.read(1 << 20), b"")
        blocks = (np.frombuffer(p, np.uint8) for p in pieces)
        self._stream("audio/original", blocks, np.dtype("u1")).attrs["start_time"] = start_time

    def _stream(self, path: str, blocks: Iterable[np.ndarray], dtype: np.dtype) -> h5py.Dataset:
        self._drain()
        options = filters(self.compression) if path == "audio/samples" else {}
        dataset = self._file.create_dataset(
            path, (0,), dtype, maxshape=(None,), chunks=(65536,), **options
        )
        self._describe(dataset)
        written = 0
        for block in blocks:
            dataset.resize(written + len(block), axis=0)
            dataset[written:] = block
            written += len(block)
        return dataset

    def finish(self, **attributes: object) -> None:
        """Write what is left, mark the file complete and give it its name.

        Args:
            attributes: root attributes that were not known at the beginning.

        Raises:
            ValueError: no frame was added.
        """
        self._drain()
        if self.frames == 0:
            raise ValueError("a priors file needs at least one frame")
        for path, arrays in self._deep.items():
            if arrays:
                self._flush_deep(path)
        self._flush_rows()
        self._resize(self.frames)
        for i, (path, length) in enumerate((("scaling/list4x4", 16), ("scaling/list8x8", 64))):
            lists = [np.frombuffer(key[i], np.uint8).reshape(6, length) for key in self._scaling]
            self._describe(self._file.create_dataset(path, data=np.stack(lists)))
        for name, value in attributes.items():
            self._file.attrs[name] = value
        self._file.flush()
        self._file.attrs["complete"] = True
        self._file.close()
        with open(self._part, "rb+") as part:
            os.fsync(part.fileno())
        os.replace(self._part, self.path)
        self._shut()

    def _shut(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def discard(self) -> None:
        """Give up: nothing is left, not even `NAME.part`. Harmless after `finish`."""
        self._shut()
        if self._file:
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # the disk may be full
                self._file.close()
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not finished."""
        self.discard()
