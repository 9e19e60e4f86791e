"""Frame stacks in HDF5, read and written chunk by chunk around HDF5's own filter pipeline.

zlib inside HDF5 is the slowest step of an extraction and runs under one global lock. The chunks are
therefore compressed here, in any thread, by an encoder made for planes (deflate.c), and handed over
whole (H5Dwrite_chunk). What lies in the file is what HDF5's shuffle and gzip filters might have
written, so every HDF5 reads it. A chunk that holds nothing but the fill value is not stored at all:
HDF5 reads it back as the fill value, and most of a residual at low bit rates is such.

Chunks of planes are one frame deep, so that a crop of a few frames touches little else; small maps
are several frames deep, so that a chunk is worth its overhead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

import h5py
import numpy as np
from isal import isal_zlib

from .._core import pack_chunks
from .objects import create_dataset

COMPRESSIONS = ("gzip", "blosc", "none")
_SIDE = 160  # largest side of a chunk of a plane, samples
_WHOLE = 128  # planes up to this side are not cut
_DEEP = 16384  # bytes that a chunk of a small map should have
_MAX_DEPTH = 64  # frames that such a chunk has at most


def _chunk_side(side: int) -> int:
    """The side in equal parts, each a multiple of 8 and at most `_SIDE`."""
    if side <= _WHOLE:
        return side
    parts = -(-side // _SIDE)
    return -(-side // (8 * parts)) * 8


@dataclass(frozen=True)
class Layout:
    """How a dataset of one array per frame is cut into chunks.

    Attributes:
        shape: Shape of one frame's array.
        dtype: Its type.
        chunk: Shape of a chunk within a frame.
        depth: Frames in a chunk.
        fill: Value that is not stored, 0 or -1.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    chunk: tuple[int, ...]
    depth: int
    fill: int = 0

    @staticmethod
    @cache
    def of(shape: tuple[int, ...], dtype: np.dtype, *, cut: bool, fill: int = 0) -> "Layout":
        """The layout for arrays of this kind; `cut` for planes, which are read in crops."""
        if cut:
            return Layout(shape, dtype, (_chunk_side(shape[0]), _chunk_side(shape[1])), 1, fill)
        depth = max(1, min(_MAX_DEPTH, _DEEP // max(1, math.prod(shape) * dtype.itemsize)))
        return Layout(shape, dtype, shape, depth, fill)

    @cached_property
    def period(self) -> int:
        """Elements after which a chunk may repeat itself: those of a row, or of a frame."""
        rows_at = min(2, len(self.chunk) - 1)  # of [2, H, W, 2] and [H, W] it is the last axes
        return math.prod(self.shape if self.depth > 1 else self.chunk[rows_at:])

    @cached_property
    def places(self) -> list[tuple[int, ...]]:
        """Where the chunks of a frame begin in it, in raster order."""
        starts = (range(0, n, step) for n, step in zip(self.shape, self.chunk, strict=True))
        return list(product(*starts))

    def create(self, file: h5py.File, path: str, compression: str, dtype: np.dtype) -> h5py.Dataset:
        """An empty, growing dataset of this layout."""
        chunks = (self.depth, *self.chunk)
        if compression == "blosc":
            import hdf5plugin

            return file.create_dataset(
                path,
                shape=(0, *self.shape),
                maxshape=(None, *self.shape),
                chunks=chunks,
                dtype=dtype,
                fillvalue=self.fill,
                **hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.SHUFFLE),
            )
        deflated = compression == "gzip"
        return create_dataset(
            file, path, self.shape, dtype, chunks, fill=self.fill, deflated=deflated
        )


def pack(arrays: Sequence[np.ndarray], layout: Layout, compression: str) -> list[bytes | None]:
    """The chunks of some frames, in raster order and frame by frame, as they go into the file.

    Runs in any thread and touches no HDF5. None stands for a chunk that is all fill value.

    Args:
        arrays: One `[*layout.shape]` a frame.
        layout: How to cut them, one frame deep.
        compression: `gzip` or `none`; blosc goes through HDF5 itself.
    """
    if len(layout.shape) == 2:
        (height, width), (chunk_height, chunk_width) = layout.shape, layout.chunk
        return _packed(arrays, (height, width), (chunk_height, chunk_width), layout, compression)
    row = (1, math.prod(layout.shape))
    return _packed(arrays, row, row, layout, compression)


def pack_deep(stack: np.ndarray, layout: Layout, compression: str) -> list[bytes | None]:
    """The one chunk of up to `layout.depth` frames, filled up with the fill value."""
    size = layout.depth * math.prod(layout.shape)
    return _packed([stack], (1, stack.size), (1, size), layout, compression)


def _packed(
    arrays: Sequence[np.ndarray],
    plane: tuple[int, int],
    chunk: tuple[int, int],
    layout: Layout,
    compression: str,
) -> list[bytes | None]:
    """Chunks of planes, both of the given size: shuffled and deflated for gzip."""
    (height, width), (chunk_height, chunk_width) = plane, chunk
    item, fill = layout.dtype.itemsize, layout.fill & 0xFF  # 0 and -1 are of equal bytes
    deflated = compression == "gzip"
    if not deflated:
        width, chunk_width, item = width * item, chunk_width * item, 1
    size = (height, width, item, chunk_height, chunk_width)
    return [
        chunk
        for array in arrays
        for chunk in pack_chunks(array, *size, layout.period, fill, deflated)
    ]


def write_chunks(
    dataset: h5py.Dataset, first: int, layout: Layout, chunks: list[bytes | None]
) -> None:
    """Store packed chunks whose first frame is `first`."""
    write, places = dataset.id.write_direct_chunk, layout.places
    across = len(places)
    for i, chunk in enumerate(chunks):
        if chunk is not None:
            write((first + i // across * layout.depth, *places[i % across]), chunk, 0)


def read_region(
    dataset: h5py.Dataset, frames: Sequence[int], rows: slice, columns: slice
) -> np.ndarray:
    """A crop of some frames of a stack of planes, faster than HDF5's own filters give it.

    Args:
        dataset: `[N, H, W]`.
        frames: Which frames, in any order, doubles allowed.
        rows: Rows of the crop, bounds within the plane, no step.
        columns: Columns likewise.

    Returns:
        `[len(frames), rows, columns]`.
    """
    shape = (len(frames), rows.stop - rows.start, columns.stop - columns.start)
    out = np.full(shape, dataset.fillvalue, dataset.dtype)
    ours = dataset.compression == "gzip" and dataset.shuffle and dataset.chunks[0] == 1
    for k, crop in zip(frames, out, strict=True):
        if ours:
            _read_crop(dataset, k, rows, columns, crop)
        else:
            crop[...] = dataset[k, rows, columns]
    return out


def _read_crop(
    dataset: h5py.Dataset, k: int, rows: slice, columns: slice, crop: np.ndarray
) -> None:
    """Fill `crop` with what is stored of frame `k`."""
    _, height, width = dataset.chunks
    for top in range(rows.start // height * height, rows.stop, height):
        for left in range(columns.start // width * width, columns.stop, width):
            chunk = _read_chunk(dataset, (k, top, left))
            if chunk is None:
                continue
            y0, y1 = max(top, rows.start), min(top + height, rows.stop)
            x0, x1 = max(left, columns.start), min(left + width, columns.stop)
            crop[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start] = (
                chunk.reshape(height, width)[y0 - top : y1 - top, x0 - left : x1 - left]
            )


def _read_chunk(dataset: h5py.Dataset, place: tuple[int, ...]) -> np.ndarray | None:
    """One chunk, unpacked and flat; None where it is not stored."""
    if dataset.id.get_chunk_info_by_coord(place).byte_offset is None:
        return None
    mask, raw = dataset.id.read_direct_chunk(place)
    if mask:
        raise OSError(f"{dataset.name}: chunk {place} was written with filters left out")
    data = np.frombuffer(isal_zlib.decompress(raw), np.uint8)
    size = dataset.dtype.itemsize
    if size > 1:  # the reverse of HDF5's shuffle
        parts = data.reshape(size, -1)
        whole = parts[0].astype(f"<u{size}")
        for k in range(1, size):
            whole |= parts[k].astype(whole.dtype) << (8 * k)
        data = whole
    return data.view(dataset.dtype.newbyteorder("<") if size > 1 else dataset.dtype).reshape(-1)
