"""Writes priors files: streaming, in bounded memory, never one that only looks finished."""

import contextlib
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self

import h5py
import numpy as np

from .chunks import COMPRESSIONS, Layout, pack, pack_deep, write_chunks
from .objects import add_attribute, create_dataset
from .packing import PackedFrame, Stacks, fit, layouts_of, pack_frames
from .part import check_output, make_part
from .record import SCALING, FrameRecord
from .record import record_arrays as arrays_of
from .schema import FORMAT, VERSIONS, attributes_of, fields_of

_OWN_ATTRIBUTES = {"format", "schema_version", "complete"}
_ROWS = 1024  # rows of frames/* that are kept before they are written
_ROOM = 64  # frames by which the stacks grow; a multiple of every chunk depth
_WRITTEN_OUT = 4 << 20  # bytes that are put on the disk together
_STREAM = 65536  # samples or bytes of sound in a chunk
_BATCH = 1 << 20  # bytes that are packed together, of frames or of parts of one


class _Packing:
    """A batch of frames that is being packed, in parts that any thread may take."""

    def __init__(
        self,
        pool: ThreadPoolExecutor | None,
        batch: list[dict[str, np.ndarray]],
        parts: list[dict[str, Layout]],
        compression: str,
    ) -> None:
        """Offer it to the pool."""
        self.frames = len(batch)
        self._work = [partial(pack_frames, batch, part, compression) for part in parts]
        self._done: list[Future[Stacks]] = [
            pool.submit(work) if pool else Future() for work in self._work
        ]

    def left(self) -> int:
        """How many parts are not packed yet."""
        return sum(not done.done() for done in self._done)

    def help(self) -> bool:
        """Pack the last part that nobody has begun with; False: there is none."""
        for k in reversed(range(len(self._done))):
            if self._done[k].cancel():
                self._done[k] = Future()
                self._done[k].set_result(self._work[k]())
                return True
        return False

    def result(self) -> Stacks:
        """The frames, packed."""
        return {path: stack for done in self._done for path, stack in done.result().items()}


def _in_parts(layouts: dict[str, Layout], frames: int) -> list[dict[str, Layout]]:
    """The datasets in their order, each part of so many bytes that it is worth handing over."""
    parts: list[dict[str, Layout]] = [{}]
    size = 0
    for path, layout in layouts.items():
        if size >= _BATCH:
            parts.append({})
            size = 0
        parts[-1][path] = layout
        size += frames * math.prod(layout.shape) * layout.dtype.itemsize
    return parts


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
            path: The final name.
            attributes: The root attributes of `schema.attributes_of` the codec, without `format`,
                `schema_version` and `complete`; `codec` is h264 and `pixels` true unless told.
            compression: `gzip`, `blosc` or `none`.
            threads: Threads that compress beside the caller's; 0 compresses in the caller's.
            overwrite: Replace an existing file.

        Raises:
            FileExistsError: The file exists and `overwrite` is not set.
            OutputError: Nothing can be written there.
            ValueError: An unknown compression, or attributes that are missing or not of the schema.
        """
        self.path = Path(path)
        if compression not in COMPRESSIONS:
            known = ", ".join(COMPRESSIONS)
            raise ValueError(f"compression {compression!r}: must be one of {known}")
        check_output(self.path, overwrite=overwrite)
        attributes = {"codec": "h264", "pixels": True, **attributes}
        self.codec = str(attributes["codec"])
        self._fields = fields_of(self.codec)
        wanted = set(attributes_of(self.codec)) - _OWN_ATTRIBUTES
        if wanted != set(attributes) or self.codec not in VERSIONS:
            raise ValueError(f"attributes missing or unknown: {sorted(wanted ^ set(attributes))}")
        self.compression = compression
        self.frames = 0
        self._pool = ThreadPoolExecutor(threads, "davd-pack") if threads > 0 else None
        self._batch: list[dict[str, np.ndarray]] = []  # frames that are packed together
        self._batch_size = 1
        self._parts: list[dict[str, Layout]] = []  # of what they are made of, packed one by one
        self._pending: deque[_Packing] = deque()
        self._queue = 2 * threads  # batches that wait to be packed
        self._sets: dict[str, h5py.Dataset] = {}  # kept open: opening costs more than a chunk
        self._layouts: dict[str, Layout] = {}
        self._deep: dict[str, deque[np.ndarray]] = {}
        self._deep_written: dict[str, int] = {}
        self._rows: dict[str, list[object]] = {
            f.path: [] for f in self._fields.values() if f.per_frame and len(f.shape) == 1
        }
        self._rows_written = 0
        self._written = 0  # frames whose arrays have been written
        self._room = 0
        self._scaling: dict[tuple[bytes, ...], int] = {}
        self._part = make_part(self.path)
        self._written_out = 0  # bytes of it that are on their way to the disk
        try:
            self._file = h5py.File(self._part, "w")
            own = {"format": FORMAT, "schema_version": VERSIONS[self.codec], "codec": self.codec}
            for name, value in (own | dict(attributes) | {"complete": False}).items():
                add_attribute(self._file, name, value)
            self._disk = open(self._part, "rb+")
        except BaseException:  # interrupted: nobody knows of the part file yet
            self._part.unlink(missing_ok=True)
            raise

    def append(self, record: FrameRecord) -> None:
        """Add the next frame.

        Raises:
            ValueError: Its arrays are not of the first frame's shapes, types and names, or it is
                of another codec.
            OSError: The disk is full, or the like.
        """
        arrays = arrays_of(record)
        same = fit(arrays, self._layouts)  # as all frames do but the first: that costs less
        self._begin_frame(record, self._layouts if same else layouts_of(arrays))
        if self.frames == 1:
            size = sum(array.nbytes for array in arrays.values())
            self._batch_size = max(1, min(_ROOM, _BATCH // size))
            self._parts = _in_parts(self._layouts, self._batch_size)
        self._batch.append(arrays)
        if len(self._batch) == self._batch_size:
            self._submit()

    def _begin_frame(self, record: FrameRecord, layouts: dict[str, Layout]) -> None:
        """Check the layouts against those of the first frame and note the frame's row."""
        if record.codec != self.codec:
            raise ValueError(f"frame {self.frames} is of {record.codec}, the file of {self.codec}")
        if self.frames == 0:
            self._layouts = layouts
        elif layouts != self._layouts:
            changed = sorted(p for p in layouts if layouts[p] != self._layouts.get(p))
            raise ValueError(f"frame {self.frames} differs from the first in shape: {changed}")
        self._add_row(record)
        self.frames += 1

    def _submit(self) -> None:
        """Have the batch packed, and write what is ready."""
        batch, self._batch = self._batch, []
        self._pending.append(_Packing(self._pool, batch, self._parts, self.compression))
        while self._waiting() > self._queue * len(self._parts) and self._help():
            pass  # the pool has enough to do
        while self._pending and (
            self._pending[0].left() == 0 or len(self._pending) > 2 * self._queue
        ):
            self._write_oldest()

    def _waiting(self) -> int:
        """How many parts are not packed yet."""
        return sum(packing.left() for packing in self._pending)

    def _help(self) -> bool:
        """Pack a part in this thread; False: others have begun with all of them."""
        return any(packing.help() for packing in self._pending)

    def _write_oldest(self) -> None:
        packing = self._pending.popleft()
        self._write(packing.frames, packing.result())

    def _drain(self) -> None:
        """Write the frames that are still being packed, so that the order in the file is fixed."""
        if self._batch:
            self._submit()
        while self._pending:
            if self._pending[0].left() == 0 or not self._help():
                self._write_oldest()

    def append_packed(self, packed: PackedFrame) -> None:
        """Add the next frame, packed by `pack_record` with this writer's compression."""
        self._drain()
        self._begin_frame(packed.record, {p: layout for p, (layout, _) in packed.stacks.items()})
        self._write(1, packed.stacks)

    def _write(self, count: int, stacks: Stacks) -> None:
        """Write the arrays of the next frames."""
        if not self._sets:  # only now: others pack in the meantime
            self._create()
        first, self._written = self._written, self._written + count
        if self._written > self._room:
            self._room = -(-self._written // _ROOM) * _ROOM
            self._resize(self._room)
        for path, (layout, content) in stacks.items():
            if layout.depth > 1:
                assert isinstance(content, tuple)
                self._deep[path].extend(content)
                while len(self._deep[path]) >= layout.depth:
                    self._write_deep(path)
            elif self.compression == "blosc":
                self._sets[path][first : self._written] = content
            else:
                if isinstance(content, tuple):
                    content = pack(content, layout, self.compression)
                write_chunks(self._sets[path], first, layout, content)
        while self._written - self._rows_written >= _ROWS:
            self._write_rows(_ROWS)
        self._write_out()

    def _write_out(self) -> None:
        """Have the disk begin, so that there is little left to wait for at the end."""
        if not hasattr(os, "posix_fadvise"):
            return
        disk, begin = self._disk.fileno(), self._written_out
        end = os.fstat(disk).st_size
        if end - begin < _WRITTEN_OUT:
            return
        with contextlib.suppress(OSError):  # no more than a wish: Linux starts with these pages
            os.posix_fadvise(disk, begin, end - begin, os.POSIX_FADV_DONTNEED)
        self._written_out = end

    def _create(self) -> None:
        layouts = self._layouts
        for field in self._fields.values():
            dtype = np.dtype(field.dtype) if field.dtype[0] not in "sd" else None
            if field.values:
                dtype = h5py.enum_dtype(field.values, basetype=dtype)
            if field.path in layouts:
                layout = layouts[field.path]
                dataset = layout.create(
                    self._file, field.path, self.compression, dtype or layout.dtype
                )
                if layout.depth > 1:
                    self._deep[field.path], self._deep_written[field.path] = deque(), 0
            elif field.path in self._rows:
                assert dtype is not None
                dataset = create_dataset(self._file, field.path, (), dtype, (_ROWS,))
            else:
                continue
            self._sets[field.path] = dataset
            self._describe(dataset)

    def _describe(self, dataset: h5py.Dataset) -> None:
        field = self._fields[dataset.name.lstrip("/")]
        add_attribute(dataset, "description", field.description)
        if field.units:
            add_attribute(dataset, "units", field.units)

    def _resize(self, frames: int) -> None:
        for path, layout in self._layouts.items():
            self._sets[path].id.set_extent((frames, *layout.shape))

    def _write_deep(self, path: str) -> None:
        """Write one chunk of a stack that is several frames deep, or what there is of it."""
        layout, waiting = self._layouts[path], self._deep[path]
        arrays = [waiting.popleft() for _ in range(min(layout.depth, len(waiting)))]
        stack = np.concatenate(arrays).reshape(len(arrays), *layout.shape)
        first = self._deep_written[path]
        if self.compression == "blosc":
            self._sets[path][first : first + len(stack)] = stack
        else:
            chunk = pack_deep(stack, layout, self.compression)
            write_chunks(self._sets[path], first, layout, chunk)
        self._deep_written[path] = first + len(stack)

    def _add_row(self, record: FrameRecord) -> None:
        lists = tuple(getattr(record, name).tobytes() for name in SCALING[self.codec])
        row = self._scaling.setdefault(lists, len(self._scaling))
        if row > 255:
            raise ValueError("more than 256 different sets of scaling lists")
        for path, values in self._rows.items():
            name = self._fields[path].record
            values.append(getattr(record, name) if name else row)

    def _write_rows(self, count: int) -> None:
        """Write the oldest rows of `frames/*`, a chunk or the last; threads do not change when."""
        for path, values in self._rows.items():
            dataset = self._sets[path].id
            chunk = np.zeros(_ROWS, dataset.dtype)
            chunk[:count] = values[:count]
            dataset.set_extent((self._rows_written + count,))
            dataset.write_direct_chunk((self._rows_written,), chunk.tobytes(), 0)
            del values[:count]
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
            blocks: Pieces of mono int16 samples, one after the other.
            sample_rate: Samples a second.
            start_time: Time of the first sample, seconds on the video's clock; a function is asked
                when all blocks have come.
        """
        dataset = self._stream("audio/samples", blocks, np.dtype("i2"))
        add_attribute(dataset, "sample_rate", sample_rate)
        add_attribute(dataset, "start_time", start_time() if callable(start_time) else start_time)

    def write_original(self, file: BinaryIO, *, start_time: float) -> None:
        """Store the source's own sound track.

        Args:
            file: A Matroska file, read from its start to its end.
            start_time: Time of its first packet, seconds on the video's clock (inside the Matroska
                file the times may be shifted, as it has none below zero).
        """
        file.seek(0)
        pieces = iter(lambda: file.read(1 << 20), b"")
        blocks = (np.frombuffer(p, np.uint8) for p in pieces)
        dataset = self._stream("audio/original", blocks, np.dtype("u1"))
        add_attribute(dataset, "start_time", start_time)

    def _stream(self, path: str, blocks: Iterable[np.ndarray], dtype: np.dtype) -> h5py.Dataset:
        self._drain()
        compression = self.compression if path == "audio/samples" else "none"
        layout = Layout((), dtype, (), _STREAM)
        dataset = layout.create(self._file, path, compression, dtype)
        self._describe(dataset)
        written = 0
        for block in _regrouped(blocks, _STREAM):
            dataset.resize(written + len(block), axis=0)
            if compression == "blosc":
                dataset[written:] = block
            else:
                write_chunks(dataset, written, layout, pack_deep(block, layout, compression))
            written += len(block)
        return dataset

    def finish(self, **attributes: object) -> None:
        """Write what is left, mark the file complete and give it its name.

        Args:
            attributes: Root attributes that were not known at the beginning.

        Raises:
            ValueError: No frame was added.
        """
        self._drain()
        if self.frames == 0:
            raise ValueError("a priors file needs at least one frame")
        for path, arrays in self._deep.items():
            if arrays:
                self._write_deep(path)
        if self.frames > self._rows_written:
            self._write_rows(self.frames - self._rows_written)
        self._resize(self.frames)
        scaling = [f for f in self._fields.values() if f.path.startswith("scaling/")]
        for i, field in enumerate(scaling):
            shape = [int(axis) for axis in field.shape[1:]]
            lists = [np.frombuffer(key[i], np.uint8).reshape(shape) for key in self._scaling]
            self._describe(self._file.create_dataset(field.path, data=np.stack(lists)))
        for name, value in attributes.items():
            self._file.attrs.modify(name, value)
        self._file.flush()
        self._file.attrs.modify("complete", True)
        self._file.close()
        with self._disk:
            os.fsync(self._disk.fileno())
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
            self._disk.close()
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not finished."""
        self.discard()


def _regrouped(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same elements in blocks of one size; the last may be shorter."""
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count >= size:
            whole = np.concatenate(held)
            end = count // size * size
            yield from whole[:end].reshape(-1, size)
            held, count = [whole[end:]], count - end
    if count:
        yield np.concatenate(held)
