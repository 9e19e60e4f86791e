"""Chunks are cut, shuffled and deflated as NumPy, HDF5 and zlib say."""

import zlib

import numpy as np
import pytest
from davd.bitstream._core import pack_chunks
from isal import isal_zlib


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
    size, fill_byte = (height, width, plane.itemsize), fill & 0xFF
    shuffled = expected(plane, *chunk, fill, shuffled=True)
    assert pack_chunks(plane, *size, *chunk, 0, fill_byte, False) == shuffled
    for period in (0, chunk[1]):
        deflated = pack_chunks(plane, *size, *chunk, period, fill_byte, True)
        assert [data and zlib.decompress(data) for data in deflated] == shuffled
    wide = (chunk[0], chunk[1] * plane.itemsize)
    kept = pack_chunks(plane, height, width * plane.itemsize, 1, *wide, 0, fill_byte, False)
    assert kept == expected(plane, *chunk, fill, shuffled=False)


def deflated(data: bytes, period: int = 0) -> bytes:
    """One chunk of bytes, which are not all zero."""
    size = len(data)
    (chunk,) = pack_chunks(np.frombuffer(data, np.uint8), 1, size, 1, 1, size, period, 0, True)
    assert chunk is not None
    return chunk


def assert_inflates(data: bytes, period: int = 0) -> int:
    """Both inflaters give the bytes back; the length of the stream."""
    stream = deflated(data, period)
    assert zlib.decompress(stream) == data
    assert isal_zlib.decompress(stream) == data
    return len(stream)


def test_any_bytes_are_inflated_again() -> None:
    rng = np.random.default_rng(5)
    for n in range(1500):
        size = int(rng.integers(1, 400 if n % 3 else 90000))
        period = int(rng.integers(0, 300 if n % 2 else 40000))
        spread = int(rng.choice([1, 2, 5, 60, 255]))
        data = rng.integers(0, spread, size, np.uint8, endpoint=True)
        for _ in range(int(rng.integers(0, 40))):  # runs, and what was at the period before
            at, length = int(rng.integers(0, size)), int(rng.integers(0, 2000))
            if rng.integers(0, 2):
                data[at : at + length] = data[at]
            elif at >= period:
                for k in range(at, min(at + length, size)):
                    data[k] = data[k - period]
        data[0] |= 1
        assert_inflates(data.tobytes(), period)


def test_runs_of_every_length_are_inflated_again() -> None:
    for length in [*range(1, 800), 65535, 65536, 100_000]:
        run = bytes(range(1, 30)) + bytes(length) + b"end"
        for data in (run, run + run):
            assert_inflates(data)
            assert_inflates(data, len(run))


def test_every_period_is_inflated_again() -> None:
    rng = np.random.default_rng(6)
    for period in [*range(2, 300), 511, 512, 513, 16384, 24577, 32767, 32768, 32769, 40000]:
        row = rng.integers(0, 256, period, np.uint8).tobytes()
        size = assert_inflates(row * 3 + b"end", period)
        if 100 <= period <= 32768:  # the second row and the third cost next to nothing
            assert size < period + 250 + period // 40
        else:
            assert size <= 3 * period + 3 + 16


def test_symbols_of_all_probabilities_have_short_enough_codes() -> None:
    """Counts in the ratio of Fibonacci numbers make the deepest of Huffman's trees."""
    counts = [1, 1]
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    for most in range(2, len(counts)):
        data = np.repeat(np.arange(1, most + 1, dtype=np.uint8), counts[:most])
        data = np.random.default_rng(most).permutation(data)
        assert_inflates(data.tobytes())


def test_noise_becomes_no_longer_than_stored_blocks() -> None:
    for size in (1, 100, 65535, 65536, 140_000):
        data = np.random.default_rng(size).integers(1, 256, size, np.uint8).tobytes()
        assert assert_inflates(data) <= size + 5 * (size // 65535 + 1) + 6


def test_planes_become_as_small_as_their_values_allow() -> None:
    """Where nothing repeats itself, within 2 % and the codes of the entropy of single bytes."""
    y, x = np.mgrid[:144, :160]
    noise = np.random.default_rng(1).normal(0, 2, y.shape)
    plane = (100 + 40 * np.sin(x / 30) + y / 4 + noise).astype(np.uint8)
    share = np.bincount(plane.reshape(-1)) / plane.size
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum() / 8
    assert assert_inflates(plane.tobytes(), 160) < 1.02 * entropy * plane.size + 170
    levels = (np.random.default_rng(2).random(40000) < 0.02).astype(np.uint8).tobytes()
    assert assert_inflates(b"\1" + levels) < len(zlib.compress(levels, 1))


def test_the_last_byte_counts() -> None:
    for size in (1, 255, 256, 257, 1000):
        plane = np.zeros((1, size), np.uint8)
        assert pack_chunks(plane, 1, size, 1, 1, size, 0, 0, True) == [None]
        plane[0, -1] = 1
        assert pack_chunks(plane, 1, size, 1, 1, size, 0, 0, False) == [plane.tobytes()]
        assert_inflates(plane.tobytes())


def test_arrays_of_another_size_are_refused() -> None:
    plane = np.zeros((4, 6), np.int16)
    for arguments in ((4, 6, 1, 2, 2), (5, 6, 2, 2, 2), (4, 6, 2, 0, 2), (4, 6, 2, 2, 0)):
        with pytest.raises(ValueError, match="chunks are cut"):
            pack_chunks(plane, *arguments, 0, 0, True)
    with pytest.raises(ValueError, match="contiguous"):
        pack_chunks(plane.T, 6, 4, 2, 2, 2, 0, 0, True)
