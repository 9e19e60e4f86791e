"""The priors file: what is written is what is read, by this reader and by plain h5py."""

import multiprocessing
import pickle
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from davd.bitstream.priors.reader import PriorsError, PriorsFile
from davd.bitstream.priors.record import FrameRecord
from davd.bitstream.priors.schema import ATTRIBUTES, fields_of
from davd.bitstream.priors.writer import PriorsWriter

COSTS = ("mb_bits", "bits_type", "bits_motion", "bits_luma", "bits_chroma", "bits_qp")
SET_BY_THE_WRITER = {"format", "schema_version", "codec", "complete"}


def attributes(**changes: object) -> dict[str, object]:
    values: dict[str, object] = dict.fromkeys(set(ATTRIBUTES) - SET_BY_THE_WRITER, 0)
    values |= {"davd_version": "0", "source": "a.mp4", "source_sha256": "0" * 64, "encoder": ""}
    values |= {"width": 170, "height": 140, "crop_left": 2, "crop_right": 4, "crop_bottom": 4}
    values |= {"chroma_format": "4:2:0", "bit_depth_luma": 8, "bit_depth_chroma": 8}
    values |= {"frame_rate": "25/1", "time_base": "1/12800", "verified": False}
    return values | changes


def record(
    k: int, *, height: int = 144, width: int = 176, high: bool = False, mono: bool = False
) -> FrameRecord:
    rng = np.random.default_rng(k)
    sample, difference = (np.uint16, np.int32) if high else (np.uint8, np.int16)
    shapes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)][
        : 1 if mono else 3
    ]

    def planes(dtype: type, low: int, top: int, share: float = 1.0) -> tuple[np.ndarray, ...]:
        return tuple(
            (rng.integers(low, top, s) * (rng.random(s) < share)).astype(dtype) for s in shapes
        )

    def grid(step: int, top: int, dtype: type = np.uint8) -> np.ndarray:
        return rng.integers(0, top, (height // step, width // step)).astype(dtype)

    top = 1024 if high else 256
    residual = planes(difference, -300, 300, 0.1)
    if k % 3 == 0:  # whole planes of zeros are not stored
        residual = tuple(np.zeros_like(p) for p in residual)
    return FrameRecord(
        index=k,
        pts=512 * k,
        time=k / 25,
        decode_order=k ^ 1,
        poc=2 * k,
        picture_type=k % 3,
        keyframe=k == 0,
        concealed=k == 5,
        decoded=planes(sample, 0, top),
        prediction=planes(sample, 0, top),
        residual=residual,
        level=planes(difference, -9, 9, 0.02),
        tu=grid(4, 5),
        mb_type=grid(16, 15),
        qp_y=grid(16, 52, np.int8),
        qp_cb=None if mono else grid(16, 40, np.int8),
        qp_cr=None if mono else grid(16, 40, np.int8),
        cbp=grid(16, 48),
        slice=grid(16, 4, np.uint16),
        field=grid(16, 2),
        mb_concealed=grid(16, 2, np.bool_),
        bits=100 * k,
        bytes=20 * k,
        **{name: grid(16, 9999, np.uint32) for name in COSTS},
        scaling4x4=np.full((6, 16), 16 + k // 40, np.uint8),
        scaling8x8=np.full((6, 64), 16, np.uint8),
        mv=rng.integers(-99, 99, (2, height // 4, width // 4, 2)).astype(np.int16),
        ref=rng.integers(-1, 3, (2, height // 8, width // 8)).astype(np.int32),
        intra_luma=grid(4, 9, np.int8),
        intra_chroma=np.full((height // 16, width // 16), -1, np.int8),
    )


def write(
    path: Path, count: int = 7, *, attrs: dict[str, object] | None = None, **how: object
) -> Path:
    options = {k: how.pop(k) for k in ("compression", "threads", "overwrite") if k in how}
    with PriorsWriter(path, attrs or attributes(), **options) as out:
        for k in range(count):
            out.append(record(k, **how))
        out.finish()
    return path


def assert_equal(a: FrameRecord, b: FrameRecord) -> None:
    for f in fields(FrameRecord):
        x, y = getattr(a, f.name), getattr(b, f.name)
        if isinstance(x, tuple):
            assert len(x) == len(y)
            for p, q in zip(x, y, strict=True):
                assert p.dtype == q.dtype
                np.testing.assert_array_equal(p, q, f.name)
        elif isinstance(x, np.ndarray):
            assert x.dtype == y.dtype, f.name
            np.testing.assert_array_equal(x, y, f.name)
        else:
            assert x == y, f.name


@pytest.mark.parametrize("compression", ["gzip", "blosc", "none"])
@pytest.mark.parametrize("threads", [0, 2])
def test_what_is_written_is_read(tmp_path: Path, compression: str, threads: int) -> None:
    path = write(tmp_path / "a.h5", 70, compression=compression, threads=threads)
    with PriorsFile(path) as priors:
        assert len(priors) == 70
        for k in (0, 1, 5, 63, 64, 69):
            assert_equal(priors[k], record(k))
        assert_equal(priors[-1], record(69))
        with pytest.raises(IndexError, match="frame 70 of a file that has 70"):
            priors[70]
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("kind", [{"high": True}, {"mono": True}, {"height": 32, "width": 416}])
def test_other_formats(tmp_path: Path, kind: dict) -> None:
    with PriorsFile(write(tmp_path / "a.h5", 3, **kind)) as priors:
        for k in range(3):
            assert_equal(priors[k], record(k, **kind))


def test_plain_h5py_reads_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", height=288, width=352)
    with PriorsFile(path) as priors, h5py.File(path) as plain:
        for name, field in fields_of("h264").items():
            assert name in plain or name.startswith("audio/"), name
            if name in plain:
                assert plain[name].attrs["description"]
                assert field.units == plain[name].attrs.get("units", "")
            if field.per_frame:
                np.testing.assert_array_equal(priors.read(name), plain[name][:], name)
        assert plain["mb/type"].dtype.metadata["enum"]["B_8x8"] == 14
        assert plain["decoded/y"].chunks[0] == 1
        assert max(plain["decoded/y"].chunks) <= 160
        assert set(plain.attrs) == set(ATTRIBUTES)
        assert plain["residual/y"].id.get_num_chunks() < plain["decoded/y"].id.get_num_chunks()


def test_crops_and_windows(tmp_path: Path) -> None:
    with PriorsFile(write(tmp_path / "a.h5", height=288, width=352)) as priors:
        frames, box = [0, 0, 1, 2, 6], (112, 48, 96, 208)
        for name, step in (("prediction/y", 1), ("level/cb", 2), ("tu/y", 4), ("mb/qp_y", 16)):
            t, left, h, w = (v // step for v in box)
            want = priors.read(name)[frames][:, t : t + h, left : left + w]
            np.testing.assert_array_equal(priors.read(name, frames, box=box), want, name)
        want = priors.read("motion/mv")[1:3, :, 28:52, 12:64]
        np.testing.assert_array_equal(priors.read("motion/mv", slice(1, 3), box=box), want)
        np.testing.assert_array_equal(priors.read("frames/pts", [2, 1]), [1024, 512])
        with pytest.raises(ValueError, match="16-sample grid of mb/type"):
            priors.read("mb/type", [0], box=(8, 0, 16, 16))
        with pytest.raises(ValueError, match="leaves the coded frame"):
            priors.read("mb/type", [0], box=(0, 0, 304, 16))
        with pytest.raises(IndexError, match="that has 7"):
            priors.read("mb/type", [7])
        with pytest.raises(KeyError, match="it has .*residual/y"):
            priors.read("residual/x")


def test_only_what_was_asked_for(tmp_path: Path) -> None:
    with PriorsWriter(tmp_path / "a.h5", attributes()) as out:
        out.append(
            replace(record(0), residual=None, level=None, mv=None, ref=None, intra_luma=None)
        )
        out.finish(verified=True)
    with PriorsFile(tmp_path / "a.h5") as priors:
        assert "residual" not in priors and "motion" not in priors and "decoded/cr" in priors
        assert priors[0].residual is None and priors[0].mv is None
        assert priors.attrs["verified"] is True
        assert priors.audio() is None and priors.audio_original() is None


def test_sound(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-9999, 9999, 100_000).astype(np.int16)
    with PriorsWriter(tmp_path / "a.h5", attributes()) as out, open(tmp_path / "s", "wb+") as track:
        out.append(record(0))
        out.write_audio([samples[:70_000], samples[70_000:]], sample_rate=16000, start_time=-0.02)
        track.write(b"matroska" * 300_000)
        out.write_original(track, start_time=-0.04)
        out.finish()
    with PriorsFile(tmp_path / "a.h5") as priors:
        got, rate, start = priors.audio()
        np.testing.assert_array_equal(got, samples)
        assert (rate, start) == (16000, -0.02)
        assert priors.audio_original() == (b"matroska" * 300_000, -0.04)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    a = write(tmp_path / "a.h5", 70, threads=0)
    b = write(tmp_path / "b.h5", 70, threads=2)
    assert a.read_bytes() == b.read_bytes()


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), PriorsWriter(tmp_path / "a.h5", attributes()) as out:
        out.append(record(0))
        assert (tmp_path / "a.h5.part").exists()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    with PriorsWriter(tmp_path / "a.h5", attributes(), threads=0) as out:
        out.append(record(0))
        with pytest.raises(ValueError, match="frame 1 differs"):
            out.append(record(1, width=192))


def test_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", 1)
    with pytest.raises(FileExistsError, match="exists"):
        write(path, 2)
    with PriorsFile(path) as priors:
        assert len(priors) == 1
    write(path, 2, overwrite=True)
    with PriorsFile(path) as priors:
        assert len(priors) == 2


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="compression 'lzf'"):
        PriorsWriter(tmp_path / "a.h5", attributes(), compression="lzf")
    with pytest.raises(ValueError, match="colour"):
        PriorsWriter(tmp_path / "a.h5", attributes(colour=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "other"}, "its format is 'other'"),
        ({"schema_version": 3}, "schema version 3, this davd reads versions 1 to 2"),
        ({"schema_version": 2}, "schema version 2 and codec 'h264', which do not go together"),
        ({"complete": False}, "incomplete"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, change: dict, match: str) -> None:
    path = write(tmp_path / "a.h5", 1)
    with h5py.File(path, "r+") as file:
        file.attrs.update(change)
    with pytest.raises(PriorsError, match=match):
        PriorsFile(path)


def test_what_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("text")
    with pytest.raises(PriorsError, match="not a readable HDF5 file"):
        PriorsFile(tmp_path / "a.h5")
    with pytest.raises(FileNotFoundError, match="no such file"):
        PriorsFile(tmp_path / "b.h5")
    h5py.File(tmp_path / "c.h5", "w").close()
    with pytest.raises(PriorsError, match="it names no format"):
        PriorsFile(tmp_path / "c.h5")


def test_pickled_object_opens_its_own_handle(tmp_path: Path) -> None:
    priors = PriorsFile(write(tmp_path / "a.h5", 3))
    with pickle.loads(pickle.dumps(priors)) as other:
        assert_equal(other[2], record(2))
        assert other._handle is not priors._handle
    priors.close()
    assert_equal(priors[1], record(1))
    priors.close()


def _sum(arguments: tuple[PriorsFile, int]) -> int:
    priors, k = arguments
    return int(priors[k].decoded[0].sum())


def test_read_in_other_processes(tmp_path: Path) -> None:
    priors = PriorsFile(write(tmp_path / "a.h5"))
    want = [int(record(k).decoded[0].sum()) for k in range(7)]
    assert _sum((priors, 0)) == want[0]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_sum, [(priors, k) for k in range(7)]) == want
    priors.close()
