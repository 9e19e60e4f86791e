"""One reading interface: a video, decoded when asked, gives what its priors file gives."""

import multiprocessing
import os
import pickle
import threading
import weakref
from pathlib import Path

import davd.bitstream as bitstream
import numpy as np
import pytest
from clips import FRAMES, encode
from davd.bitstream import (
    FrameRecord,
    Priors,
    PriorsError,
    PriorsFile,
    PriorsVideo,
    VideoError,
    extract,
)
from davd.bitstream.priors.record import FACTS, record_arrays

KINDS = ["clip.mp4", "bare.264", "sound.mkv"]
SHARED = [  # of every kind that is decoded: containers, reordering, entropy modes, formats, fields
    "CABA1_SVA_B.264", "CVBS3_Sony_C.jsv", "c_mkv.mkv", "c_mp4_rotate.mp4", "c_ts_audio.ts",
    "j2_frame_cabac_bref.264", "j_high422_cavlc.264", "j_high_gray_ipcm_cavlc.264",
    "j_cavlc444.264", "j_main_paff_cabac_sp.264", "m_gap1.264", "r_start_intra_refresh.264",
    "x_b8_strict.264", "x_infinite_gop.264",
]  # fmt: skip


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Videos of three key frames, and their priors files."""
    folder = tmp_path_factory.mktemp("pairs")
    made = {}
    for name in KINDS:
        video = encode(folder / name, sound=not name.endswith(".264"))
        extract(video, folder / f"{name}.h5", motion=True, modes=True, bits=True)
        made[name] = video, folder / f"{name}.h5"
    return made


def assert_same(video: Priors, file: Priors) -> None:
    """All that the file holds, by every way of reading."""
    assert list(video.keys()) == list(file.keys())
    assert {k: v for k, v in video.attrs.items() if k != "verified"} == {
        k: v for k, v in file.attrs.items() if k != "verified"
    }
    assert (len(video), video.coded_size, video.crop) == (len(file), file.coded_size, file.crop)
    some = sorted({0, len(file) // 3, len(file) - 1})
    for path in file.keys():
        ours, theirs = video[path], file[path]
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), path
        wanted = some if video.fields[path].per_frame and len(ours.shape) > 1 else slice(None)
        np.testing.assert_array_equal(ours[wanted], theirs[wanted], path)
    for a, b in zip(video, file, strict=True):
        assert [getattr(a, n) for n in FACTS] == [getattr(b, n) for n in FACTS]
        ours, theirs = record_arrays(a), record_arrays(b)
        assert ours.keys() == theirs.keys()
        for path, array in ours.items():
            assert array.dtype == theirs[path].dtype
            np.testing.assert_array_equal(array, theirs[path], path)


@pytest.mark.parametrize("name", KINDS)
def test_a_video_is_its_file(pairs: dict[str, tuple[Path, Path]], name: str) -> None:
    video, path = pairs[name]
    with bitstream.open(video) as ours, bitstream.open(path) as theirs:
        assert isinstance(ours, PriorsVideo) and isinstance(theirs, PriorsFile)
        assert_same(ours, theirs)
        assert (ours.audio() is None) == (theirs.audio() is None)
        if (sound := ours.audio()) is not None and (other := theirs.audio()) is not None:
            np.testing.assert_array_equal(sound[0], other[0])
            assert sound[1:] == other[1:]
            assert ours.audio_original() == theirs.audio_original()


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_stream_is_its_file(shared: Path, tmp_path: Path, name: str) -> None:
    stream = shared / "vectors" / "streams" / name
    extract(stream, tmp_path / "a.h5", motion=True, modes=True, bits=True)
    with bitstream.open(stream) as ours, bitstream.open(tmp_path / "a.h5") as theirs:
        assert_same(ours, theirs)


def test_any_order_of_reading(pairs: dict[str, tuple[Path, Path]]) -> None:
    video, path = pairs["clip.mp4"]
    rng = np.random.default_rng(0)
    paths = ["residual/y", "prediction/cb", "motion/mv", "intra/luma", "mb/type", "level/cr"]
    with bitstream.open(video, threads=2) as ours, bitstream.open(path) as theirs:
        for _ in range(40):
            name = paths[rng.integers(len(paths))]
            frames = rng.integers(0, FRAMES, rng.integers(1, 5)).tolist()
            box = (16 * int(rng.integers(4)), 32, 64, 16 * int(rng.integers(1, 8)))
            a, b = (priors.read(name, frames, box=box) for priors in (ours, theirs))
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, f"{name} {frames}")


def test_indices(pairs: dict[str, tuple[Path, Path]]) -> None:
    for path in pairs["clip.mp4"]:
        with bitstream.open(path) as priors:
            assert [record.index for record in priors[3:9:2]] == [3, 5, 7]
            assert priors[-1].index == FRAMES - 1
            stack = priors["residual/y"]
            whole = priors.read("residual/y")
            np.testing.assert_array_equal(np.asarray(stack), whole)
            np.testing.assert_array_equal(stack[2], whole[2])
            np.testing.assert_array_equal(stack[-1, 16:32], whole[-1, 16:32])
            np.testing.assert_array_equal(stack[5:40:7, :, 3], whole[5:40:7, :, 3])
            np.testing.assert_array_equal(stack[[4, 1, 4]], whole[[4, 1, 4]])
            mask = priors.column("picture_type") == 0
            np.testing.assert_array_equal(stack[mask], whole[mask])
            assert len(stack) == FRAMES and "residual" in priors and "bits/none" not in priors
            with pytest.raises(IndexError):
                stack[FRAMES]
            with pytest.raises(IndexError, match=f"that has {FRAMES}"):
                priors[FRAMES]
            with pytest.raises(KeyError, match="it has .*residual/y"):
                priors["residual/x"]
            with pytest.raises(ValueError, match="16-sample grid of mb/type"):
                priors.read("mb/type", [0], box=(8, 0, 16, 16))


def test_frames_are_chosen_as_of_arrays(pairs: dict[str, tuple[Path, Path]]) -> None:
    """Slices of any step, lists and masks with NumPy's numbers, by every way of reading alike."""
    whole = np.arange(FRAMES)
    choices = [
        slice(None, None, -7), slice(50, 3, -9), slice(-5, None), slice(9, 2), [-1, 0, -1], [],
        range(3, 9), np.array([200 % FRAMES, 3], np.uint8), np.array([-1], np.int8), whole % 7 == 0,
    ]  # fmt: skip
    for path in pairs["clip.mp4"]:
        with bitstream.open(path) as priors:
            bits = priors["mb/bits"][()]
            assert bits.ndim == priors["mb/bits"].ndim and bits.size == priors["mb/bits"].size
            np.testing.assert_array_equal(bits, priors["mb/bits"][...])
            for choice in choices:
                some = whole[np.array(choice, int) if isinstance(choice, list) else choice]
                assert [record.index for record in priors[choice]] == some.tolist()
                np.testing.assert_array_equal(priors["mb/bits"][choice], bits[some])
                np.testing.assert_array_equal(priors.read("mb/bits", choice), bits[some])
            for number in (np.uint8(3), np.int8(-FRAMES + 3), np.int64(3), np.array(3)):
                assert priors[number].index == 3
                np.testing.assert_array_equal(priors["mb/bits"][number], bits[3])
            for wrong in (1.0, None, [1.5], [[1]], {1: 2}):
                for way in (priors.__getitem__, priors["mb/bits"].__getitem__):
                    with pytest.raises(TypeError, match="is no choice of frames"):
                        way(wrong)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="3 is no choice of frames"):
                priors.read("mb/bits", 3)  # type: ignore[arg-type]
            with pytest.raises(IndexError, match=f"a mask of 3 for {FRAMES} frames"):
                priors.read("mb/bits", np.ones(3, bool))
            with pytest.raises(IndexError, match=f"frame -{FRAMES + 1} of a file"):
                priors["mb/bits"][[-FRAMES - 1]]
            with pytest.raises(ValueError, match="top, left, height and width"):
                priors.read("mb/bits", [0], box=(0, 0, 16))  # type: ignore[arg-type]
            assert 3 not in priors


def test_what_is_given_away_is_the_readers_own(pairs: dict[str, tuple[Path, Path]]) -> None:
    """Writing into it changes nothing of what is read later."""
    for path in pairs["clip.mp4"]:
        with bitstream.open(path) as priors:

            def everything(priors: Priors = priors) -> list[np.ndarray]:
                sound = priors.audio()
                assert sound is not None
                arrays = [
                    *record_arrays(priors[3]).values(),
                    *record_arrays(priors[3:5][1]).values(),
                ]
                arrays += [priors.column("time"), sound[0], priors["audio/samples"][5:9]]
                arrays += [*priors.scaling_lists(3), priors["scaling/list4x4"][:]]
                return [*arrays, priors.read("decoded/y", [3]), priors["frames/time"][:]]

            first = everything()
            kept = [array.copy() for array in first]
            for array in first:
                array[:] = 0
            for array, other in zip(everything(), kept, strict=True):
                np.testing.assert_array_equal(array, other)


def test_no_more_frames_are_held_than_are_kept(
    pairs: dict[str, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A map of a whole video, after planes were looked at, is not read by holding all planes."""
    import davd.bitstream.video as video

    alive, most = weakref.WeakSet(), 0
    record_array = video.record_array

    def seen(record: FrameRecord, path: str) -> np.ndarray:
        nonlocal most
        alive.add(record)
        most = max(most, len(alive))
        return record_array(record, path)

    monkeypatch.setattr("davd.bitstream.kept.KEPT", 1)
    monkeypatch.setattr(video, "record_array", seen)
    with bitstream.open(pairs["clip.mp4"][0], threads=1) as priors:
        priors.read("decoded/y", [0])
        assert len(priors.read("mb/bits")) == FRAMES
    assert most <= 4


def test_threads_that_there_cannot_be(pairs: dict[str, tuple[Path, Path]]) -> None:
    with pytest.raises(ValueError, match="threads is 0"):
        bitstream.open(pairs["clip.mp4"][0], threads=0)


def test_frames_at(pairs: dict[str, tuple[Path, Path]]) -> None:
    for path in pairs["clip.mp4"]:
        with bitstream.open(path) as priors:
            assert priors.frames_at(0.0) == 0 and priors.frames_at(0.5) == 12
            times = priors.column("time")
            np.testing.assert_array_equal(priors.frames_at(times), np.arange(FRAMES))
            np.testing.assert_array_equal(priors.frames_at(times + 0.039), np.arange(FRAMES))
            with pytest.raises(IndexError, match="they last from 0 to 2.4 s"):
                priors.frames_at(2.41)
            for wrong in ([-0.01, 0.0], [0.0, np.nan]):
                with pytest.raises(IndexError, match="no frame at"):
                    priors.frames_at(wrong)


def test_only_what_was_asked_for(pairs: dict[str, tuple[Path, Path]]) -> None:
    with bitstream.open(pairs["clip.mp4"][0], planes=["residual"], motion=False) as priors:
        assert "decoded" not in priors and "motion" not in priors and "intra/luma" in priors
        assert priors[0].decoded is None and priors[0].residual is not None


def test_what_is_kept_is_bounded(
    pairs: dict[str, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from davd.bitstream.kept import store

    monkeypatch.setattr("davd.bitstream.kept.KEPT", 1 << 20)
    with bitstream.open(pairs["clip.mp4"][0]) as priors:
        priors.read("decoded/y")
        priors[5]
        assert 0 < store()._bytes <= 1 << 20
        assert store()._bytes == sum(frame.size for frame in store()._frames.values())
    assert not store()._frames and not store()._walks and store()._bytes == 0


def test_packets_are_read_once_and_kept_within_bounds(
    pairs: dict[str, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from davd.bitstream.demux import Source
    from davd.bitstream.kept import Store, store

    monkeypatch.setattr("davd.bitstream.kept._shared", Store())  # nobody else's videos are in it
    begun: list[Path] = []
    packets = Source.packets
    monkeypatch.setattr(
        Source, "packets", lambda self, *a: (begun.append(self.path), packets(self, *a))[1]
    )
    video = pairs["clip.mp4"][0]
    with bitstream.open(video) as priors:
        wanted = [priors[k].decoded[0] for k in (FRAMES - 1, 0, 30)]
        assert begun == [video]
        size = sum(coded.size for coded in store()._coded.values())
        monkeypatch.setattr("davd.bitstream.kept.CODED", size)
        with bitstream.open(video) as other:
            assert len(store()._coded) == 1  # the other's; the first is read anew
            assert begun == [video] * 2 and np.array_equal(other[0].decoded[0], wanted[1])
        monkeypatch.setattr("davd.bitstream.kept.KEPT", 0)
        priors.close()
        for k, plane in zip((FRAMES - 1, 0, 30), wanted, strict=True):
            assert np.array_equal(priors[k].decoded[0], plane)


def test_frames_in_order_are_decoded_once(
    pairs: dict[str, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    walk = PriorsVideo._walk
    monkeypatch.setattr(PriorsVideo, "_walk", lambda *a: (begun.append(a[2]), walk(*a))[1])
    with bitstream.open(pairs["clip.mp4"][0]) as priors:
        for first in range(0, FRAMES - 7, 3):  # overlapping windows
            priors.read("decoded/y", range(first, first + 7))
    assert begun == [0]


def _read(priors: Priors, k: int) -> np.ndarray:
    return priors.read("residual/y", [k, k + 20])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_worker_processes(pairs: dict[str, tuple[Path, Path]], start: str) -> None:
    if start == "fork" and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    video, path = pairs["clip.mp4"]
    with bitstream.open(video) as ours, bitstream.open(path) as theirs:
        _read(ours, 0)  # what is kept and rests here must not disturb there
        jobs = [(ours, k) for k in range(0, 24, 3)]
        with multiprocessing.get_context(start).Pool(2) as pool:
            for (_, k), got in zip(jobs, pool.starmap(_read, jobs), strict=True):
                np.testing.assert_array_equal(got, _read(theirs, k))


def test_pickled(pairs: dict[str, tuple[Path, Path]]) -> None:
    with bitstream.open(pairs["clip.mp4"][0]) as priors:
        want = _read(priors, 3)
        other = pickle.loads(pickle.dumps(priors))
        np.testing.assert_array_equal(_read(other, 3), want)
        assert other.attrs["source_sha256"] == priors.attrs["source_sha256"]


def test_several_threads(pairs: dict[str, tuple[Path, Path]]) -> None:
    video, path = pairs["clip.mp4"]
    wrong: list[int] = []
    with bitstream.open(video) as ours, bitstream.open(path) as theirs:
        want = {k: _read(theirs, k) for k in range(FRAMES - 20)}

        def work(seed: int) -> None:
            for k in np.random.default_rng(seed).integers(0, FRAMES - 20, 20).tolist():
                if not np.array_equal(_read(ours, k), want[k]):
                    wrong.append(k)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_what_is_neither(tmp_path: Path, pairs: dict[str, tuple[Path, Path]]) -> None:
    with pytest.raises(FileNotFoundError):
        bitstream.open(tmp_path / "none")
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(VideoError, match="not a video file"):
        bitstream.open(tmp_path / "a.txt")
    whole = pairs["clip.mp4"][1].read_bytes()
    (tmp_path / "a.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PriorsError, match="not a readable HDF5 file"):
        bitstream.open(tmp_path / "a.h5")
