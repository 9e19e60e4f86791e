"""Chunks are cut out of planes as NumPy would cut them, and their bytes shuffled as HDF5 does."""

import numpy as np
import pytest
from davd.bitstream._core import cut_chunks


def expected(
    plane: np.ndarray, height: int, width: int, fill: int, *, shuffled: bool
) -> list[bytes | None]:
    """The same with NumPy, chunk by chunk."""
    chunks: list[bytes | None] = []
    for top in range(0, plane.shape[0], height):
        for left in range(0, plane.shape[1], width):
            part = plane[top : top + height, left : left + width]
            whole = np.full((height, width), fill, plane.dtype)
            whole[: part.shape[0], : part.shape[1]] = part
            columns = whole.reshape(-1).view(np.uint8).reshape(-1, plane.itemsize)
            data = columns.T.tobytes() if shuffled else whole.tobytes()
            chunks.append(data if (part != fill).any() else None)
    return chunks


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [("u1", 0), ("i1", -1), ("u2", 0), ("i2", 0), ("i4", 0), ("i4", -1), ("i8", 0)],
)
@pytest.mark.parametrize("chunk", [(7, 5), (8, 16), (40, 30), (41, 31), (1, 30), (64, 64)])
def test_chunks_are_those_of_numpy(dtype: str, fill: int, chunk: tuple[int, int]) -> None:
    rng = np.random.default_rng(chunk[0])
    bounds = np.iinfo(dtype)
    plane = rng.integers(bounds.min, bounds.max, (40, 30), dtype, endpoint=True)
    plane[:16] = fill  # whole chunks, and parts of some
    plane[3, 29] = 1
    height, width = plane.shape
    shuffled = cut_chunks(plane, height, width, plane.itemsize, *chunk, fill & 0xFF)
    assert shuffled == expected(plane, *chunk, fill, shuffled=True)
    wide = (chunk[0], chunk[1] * plane.itemsize)
    kept = cut_chunks(plane, height, width * plane.itemsize, 1, *wide, fill & 0xFF)
    assert kept == expected(plane, *chunk, fill, shuffled=False)


def test_the_last_byte_counts() -> None:
    for size in (1, 255, 256, 257, 1000):
        plane = np.zeros((1, size), np.uint8)
        assert cut_chunks(plane, 1, size, 1, 1, size, 0) == [None]
        plane[0, -1] = 1
        assert cut_chunks(plane, 1, size, 1, 1, size, 0) == [plane.tobytes()]


def test_arrays_of_another_size_are_refused() -> None:
    plane = np.zeros((4, 6), np.int16)
    for arguments in ((4, 6, 1, 2, 2), (5, 6, 2, 2, 2), (4, 6, 2, 0, 2), (4, 6, 2, 2, 0)):
        with pytest.raises(ValueError, match="chunks are cut"):
            cut_chunks(plane, *arguments, 0)
    with pytest.raises(ValueError, match="contiguous"):
        cut_chunks(plane.T, 6, 4, 2, 2, 2, 0)
