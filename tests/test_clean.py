"""The clean reference by frame number: in any order, in other processes."""

import multiprocessing
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from davd.data.clean import CleanVideo

COUNT, WIDTH, HEIGHT = 40, 48, 32


def luma(k: int) -> np.ndarray:
    return (np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) * 7 + 31 * k).astype(np.uint8)


@pytest.fixture(scope="module", params=[Fraction(25), Fraction(30000, 1001)], ids=str)
def path(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import av

    path = tmp_path_factory.mktemp("clean") / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=request.param)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = 1
        for k in range(COUNT):
            chroma = np.full((HEIGHT // 2, WIDTH), 100 + k, np.uint8)
            frame = av.VideoFrame.from_ndarray(np.concatenate([luma(k), chroma]), format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def same(planes, k: int) -> bool:
    y, cb, cr = planes
    return np.array_equal(y, luma(k)) and (cb == 100 + k).all() and (cr == 100 + k).all()


def test_any_order(path: Path) -> None:
    with CleanVideo(path) as clean:
        assert len(clean) == COUNT and clean.size == (WIDTH, HEIGHT)
        order = [*np.random.default_rng(0).permutation(COUNT), 5, 6, 7, 7, 6, 0, COUNT - 1]
        assert all(same(clean[int(k)], int(k)) for k in order)
        assert same(clean[-1], COUNT - 1)


def test_window(path: Path) -> None:
    with CleanVideo(path) as clean:
        y, cb, cr = clean.read(10, 15)
    assert y.shape == (5, HEIGHT, WIDTH) and cb.shape == cr.shape == (5, HEIGHT // 2, WIDTH // 2)
    assert all(same((y[k], cb[k], cr[k]), 10 + k) for k in range(5))


def test_no_such_frame(path: Path) -> None:
    clean = CleanVideo(path)
    with pytest.raises(IndexError, match="has no frame 40; it has 40"):
        clean[COUNT]
    assert same(clean[3], 3)
    with pytest.raises(ValueError, match="are none"):
        clean.read(4, 4)


def _reads(clean: CleanVideo, k: int) -> bool:
    return same(clean[k], k)


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_other_process(path: Path, way: str) -> None:
    if way not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {way} here")
    clean = CleanVideo(path)
    assert same(clean[9], 9)  # open before the other process starts
    with multiprocessing.get_context(way).Pool(2) as pool:
        assert all(pool.starmap(_reads, [(clean, k) for k in range(0, COUNT, 3)]))
    assert same(clean[10], 10)


def test_pickled(path: Path) -> None:
    clean = CleanVideo(path)
    clean[0]
    assert same(pickle.loads(pickle.dumps(clean))[4], 4)
