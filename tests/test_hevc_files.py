"""HEVC by the same ways as H.264: containers, ranges, pieces, files, a video read directly."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from clips import encode, ffmpeg_frames
from davd.bitstream import (
    CodecError,
    CorruptStreamError,
    DavdError,
    FrameRecord,
    PriorsError,
    PriorsFile,
    PriorsWriter,
    VideoError,
    extract,
    iterate,
)
from davd.bitstream import open as open_priors
from davd.bitstream.annexb import HEVC_NALS, split_nals
from davd.bitstream.priors.blocks import MAPS, blocks, blocks_of
from davd.bitstream.priors.contents import spent
from davd.bitstream.priors.hevc import KIND, TuKind
from davd.bitstream.priors.record import record_arrays
from davd.bitstream.show.yuview import write_statistics
from davd.cli.extract import main
from davd.cli.inspect import describe
from test_hevc import PARTS, costs_add_up
from test_open import assert_same

# CRA pictures with leading ones that cannot be decoded from them; IDR pictures without
OPEN = "bframes=3:b-adapt=0:keyint=8:min-keyint=8:open-gop=1:scenecut=0:hash=1"
CLOSED = "bframes=3:b-adapt=0:keyint=30:min-keyint=30:open-gop=0:scenecut=0:hash=1"
PIXELS = ("decoded", "prediction", "residual")
FRAMES = 40


def clip(path: Path, params: str = OPEN, *, frames: int = FRAMES, **options: object) -> Path:
    return encode(
        path,
        codec="libx265",
        frames=frames,
        sound=path.suffix != ".hevc",
        options={"x265-params": f"log-level=none:pools=none:{params}"},
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hevc")


@pytest.fixture(scope="module")
def bare(folder: Path) -> Path:
    return clip(folder / "open.hevc")


@pytest.fixture(scope="module")
def priors(bare: Path) -> Path:
    extract(bare, bare.with_suffix(".h5"), motion=True, modes=True, bits=True, verify=True)
    return bare.with_suffix(".h5")


@pytest.mark.parametrize("suffix", ["hevc", "mp4", "mkv", "ts", "mov"])
def test_containers(folder: Path, suffix: str) -> None:
    path = clip(folder / f"c.{suffix}", CLOSED, frames=12)
    out = folder / f"{suffix}.h5"
    summary = extract(path, out, motion=True, modes=True, bits=True, verify=True)
    assert summary.frames == 12 and summary.verified and not summary.concealed
    assert "every frame equal to FFmpeg's" in summary.text()
    with PriorsFile(out) as file:
        a = file.attrs
        assert (a["codec"], a["schema_version"], a["ctu_size"]) == ("hevc", 2, 64)
        assert (a["width"], a["height"], file.coded_size) == (174, 138, (144, 176))
        assert a["field_seq"] is False and a["verified"] is True
        assert str(a["encoder"]).startswith("x265")
        assert (file.column("hash") == 1).all() and file.column("keyframe").sum() == 1
        assert ("audio/samples" in file) == (suffix != "hevc")
        times = [pts for pts, _ in ffmpeg_frames(path)]
        if suffix != "hevc":
            assert file.column("pts").tolist() == times


def test_a_video_is_its_file(bare: Path, priors: Path) -> None:
    with open_priors(bare) as video, PriorsFile(priors) as file:
        assert_same(video, file)


def test_what_a_file_holds_belongs_together(priors: Path) -> None:
    with PriorsFile(priors) as file:
        for record in file:
            for p, r, d in zip(record.prediction, record.residual, record.decoded, strict=True):
                assert r.dtype == np.int16 and p.dtype == d.dtype == np.uint8
            assert abs(int(record.ctu_bits.sum()) / 256 - record.bits) < 1
            inside = record.cu_bits / 4.0 ** (record.cu_size[::2, ::2] - 3.0)
            assert 0 < inside.sum() <= record.ctu_bits.sum()
            coded = record.tu_kind & KIND
            assert set(np.unique(coded)) <= {TuKind.NONE, TuKind.DCT, TuKind.DST}
            assert (record.tu_size[coded > 0] >= 2).all()
            assert ((record.cu_mode == 0) <= (record.tu_size == 0)).all()
            refers = record.ref >= 0
            assert (refers.any(0) == (record.cu_mode < 2)).all()
            assert (record.ref[refers] != record.index).all()
            for kind, plane in zip(
                (record.tu_kind, record.tu_kind_cb), (record.level[0], record.level[1]), strict=True
            ):
                side = 4 * plane.shape[0] // record.decoded[0].shape[0]
                there = plane.reshape(kind.shape[0], side, kind.shape[1], side).any((1, 3))
                assert not there[kind == 0].any()


@pytest.mark.parametrize(("first", "stop"), [(0, 5), (3, 20), (9, 10), (17, 30), (33, 40)])
def test_ranges_are_the_same_frames(bare: Path, priors: Path, first: int, stop: int) -> None:
    """From CRA pictures on, with those before them, and PicOrderCnt as from the beginning."""
    with PriorsFile(priors) as file:
        summary = extract(bare, None, frames=(first, stop), strict=True)
        assert not summary.warnings and summary.frames == stop - first
        found = [r for r, _ in iterate(bare, frames=(first, stop), motion=True, modes=True)]
        assert len(found) == stop - first
        for record in found:
            whole = file[first + record.index]
            assert (record.poc, record.bits, record.bytes) == (whole.poc, whole.bits, whole.bytes)
            ours, theirs = record_arrays(record), record_arrays(whole)
            for path, array in ours.items():
                if path != "motion/ref":  # counts from the range's beginning
                    np.testing.assert_array_equal(array, theirs[path], path)
            inside = record.ref >= 0
            np.testing.assert_array_equal(record.ref[inside] + first, whole.ref[inside])


def test_random_access_begins_at_irap_pictures(bare: Path, priors: Path) -> None:
    with open_priors(bare, threads=2) as video, PriorsFile(priors) as file:
        for k in (37, 2, 21, 8, 7, 39, 15, 16):
            np.testing.assert_array_equal(video[k].decoded[0], file[k].decoded[0])
            np.testing.assert_array_equal(video["residual/cb"][k], file["residual/cb"][k])


@pytest.mark.parametrize("params", [OPEN, CLOSED])
def test_pieces_give_the_same_file(folder: Path, params: str) -> None:
    path = clip(folder / "pieces.hevc", params, frames=90)
    written = []
    for jobs in (1, 3):
        written.append(folder / f"jobs{jobs}.h5")
        extract(path, written[-1], motion=True, modes=True, jobs=jobs, overwrite=True)
    with h5py.File(written[0]) as one, h5py.File(written[1]) as other:
        for name in one["frames"]:
            np.testing.assert_array_equal(one["frames"][name][:], other["frames"][name][:], name)
    with PriorsFile(written[0]) as a, PriorsFile(written[1]) as b:
        assert_same(a, b)


def test_syntax_without_pixels(bare: Path, priors: Path, folder: Path) -> None:
    out = folder / "syntax.h5"
    extract(bare, out, planes=("level",), motion=True, modes=True, bits=True)
    with PriorsFile(out) as quick, PriorsFile(priors) as whole:
        assert quick.attrs["pixels"] is False
        assert set(whole.keys()) - set(quick.keys()) == {
            path for path in whole.keys() if path.partition("/")[0] in PIXELS
        }
        for path in quick.keys():
            if path != "frames/hash":  # of samples
                np.testing.assert_array_equal(quick[path][:], whole[path][:], path)
        assert not quick.column("hash").any()


def test_boxes_on_every_grid(priors: Path) -> None:
    with PriorsFile(priors) as file:
        whole = file.read("cu/mode", [3])[0]
        crop = file.read("cu/mode", [3], box=(16, 32, 64, 48))
        np.testing.assert_array_equal(crop[0], whole[4:20, 8:20])
        assert file.read("motion/ref", [3], box=(16, 32, 64, 48)).shape == (1, 2, 16, 12)
        # the last coding tree units reach out of the picture
        assert file.read("ctu/sao", [3], box=(64, 128, 80, 48)).shape == (1, 2, 1, 3, 6)
        with pytest.raises(ValueError, match="not on the 64-sample grid of ctu/bits"):
            file.read("ctu/bits", [3], box=(16, 0, 64, 64))


def test_blocks_of_both_codecs(priors: Path, folder: Path) -> None:
    """What networks see means the same: shares of bits, edges at multiples of sides."""
    encode(folder / "a.264", frames=4, sound=False)
    extract(folder / "a.264", folder / "a.h5")
    for path in (priors, folder / "a.h5"):
        with PriorsFile(path) as file:
            for k in (0, 3):
                record = file[k]
                found = blocks(record)
                rows, columns = (side // 4 for side in file.coded_size)
                assert {array.shape for array in found} == {(rows, columns)}
                ctu = record.ctu_bits if record.codec == "hevc" else record.mb_bits
                assert 0.5 * ctu.sum() < found.bits.sum() <= ctu.sum() + 1
                assert found.left[:, 0].all() and found.top[0].all()
                for y, x in ((0, 0), (5, 7), (rows - 1, columns - 1)):
                    side = int(found.side[y, x])
                    assert found.left[y, x] == (4 * x % side == 0)
                    assert found.top[y, x] == (4 * y % side == 0)
                maps = {p: file.read(p, [0, k], box=(32, 48, 64, 64)) for p in MAPS[record.codec]}
                part = blocks_of(maps, record.codec)
                for name in ("qp", "skip", "intra", "bits"):
                    whole = getattr(found, name)[8:24, 12:28]
                    np.testing.assert_array_equal(getattr(part, name)[1], whole, name)


def test_blocks_of_field_pairs() -> None:
    """A display block of a field pair holds half of two macroblocks."""
    maps = {
        "tu/y": np.full((8, 4), 1, np.uint8),
        "mb/type": np.array([[4], [5]], np.uint8),  # P_Skip over P_16x16
        "mb/qp_y": np.array([[30], [33]], np.int8),
        "mb/bits": np.array([[16 * 256], [48 * 256]], np.uint32),
        "mb/field": np.ones((2, 1), np.uint8),
    }
    found = blocks_of(maps, "h264")
    assert (found.qp == 31.5).all() and not found.skip.any()
    assert found.bits.sum() == 64 * 256 and (found.bits == 2 * 256).all()
    assert found.left.all() and found.top[::2].all() and not found.top[1::2].any()
    frame = blocks_of(maps | {"mb/field": np.zeros((2, 1), np.uint8)}, "h264")
    assert frame.skip[:4].all() and not frame.skip[4:].any() and frame.top.all()
    assert frame.bits[:4].sum() == 16 * 256


def test_high_depths_and_other_formats(folder: Path) -> None:
    import test_hevc

    for pixels, levels in (("yuv444p", np.int16), ("yuv420p10le", np.int32), ("gray", np.int32)):
        path = folder / f"{pixels}.hevc"
        path.write_bytes(test_hevc.encode(pixels=pixels, frames=3))
        out = path.with_suffix(".h5")
        extract(path, out, motion=True, modes=True, bits=True, verify=True)
        with open_priors(path) as video, PriorsFile(out) as file:
            assert_same(video, file)
            assert file["level/y"].dtype == levels
            assert ("tu/res_scale_cb" in file) == (pixels == "yuv444p")
            assert ("qp/cb" in file) == ("intra/chroma" in file) == (pixels != "gray")


def test_the_command(bare: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "command.h5"
    assert main([str(bare), "-o", str(out), "--json", "--start", "0.4", "--end", "0.8"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 10
    assert main([str(bare), "-o", "md5", "-q"]) == 0
    assert len(capsys.readouterr().out.strip()) == 32
    assert main([str(bare), "-o", str(out), "-f", "-q", "--planes", "", "--bits", "detailed"]) == 0
    with PriorsFile(out) as file:
        for record in file:
            costs_add_up(record)
        cost = spent(file)
        text = describe(file)
    assert f"luma {100 * cost['luma'] / cost['all']:.1f}%" in text
    parts = sum(cost[name] for name in PARTS)
    assert 0.9 * cost["all"] < parts < cost["all"]  # the rest is SAO, and what ends slices


def test_words_and_statistics(priors: Path, folder: Path) -> None:
    with PriorsFile(priors) as file:
        text = describe(file)
        for words in ("video     HEVC Main, level", "5 IRAP", "40 of 40 pictures", "SKIP"):
            assert words in text
        with open(folder / "s.csv", "w") as out:
            assert write_statistics(file, out) > 0
        record = file[0]
    rows = (folder / "s.csv").read_text().splitlines()
    first = [tuple(row.split(";")[1:5]) for row in rows if row.startswith("0;") and ";0;" in row]
    sides = sum(int(w) * int(h) for *_, w, h in {tuple(t) for t in first})
    assert sides >= record.decoded[0].size  # the units cover the picture


def test_a_writer_takes_frames_of_its_codec_alone(priors: Path, folder: Path) -> None:
    with PriorsFile(priors) as file:
        record = file[0]
        values = {k: v for k, v in file.attrs.items()}
        for name in ("format", "schema_version", "complete"):
            del values[name]
        with PriorsWriter(folder / "again.h5", values) as writer:
            writer.append(record)
            writer.finish()
            wrong = FrameRecord(index=1, **{"scaling4x4": None})
            with pytest.raises(ValueError, match="frame 1 is of h264, the file of hevc"):
                writer._begin_frame(wrong, {})
        with PriorsFile(folder / "again.h5") as again:
            np.testing.assert_array_equal(again[0].cu_bits, record.cu_bits)


# ------------------------------------------------------------------------------------ what is wrong


def test_units_of_a_bare_stream(bare: Path) -> None:
    """Every slice with what belongs to it, and nothing lost."""
    data = bare.read_bytes()
    nals = split_nals(data)
    units = list(HEVC_NALS.units(nals))
    assert b"".join(units) == data[data.find(b"\0\0\1") :]
    assert len(units) == FRAMES
    for unit in units:
        kinds = [HEVC_NALS.type(nal) for nal in split_nals(unit)]
        assert kinds[-1] == 40 and kinds[-2] in HEVC_NALS.slices  # its hash
        assert sum(kind in HEVC_NALS.slices for kind in kinds) == 1


@pytest.mark.parametrize("record", [b"\1" * 22, b"\1" + bytes(21) + b"\xff", b"\1" + b"\xff" * 400])
def test_records_that_lie(record: bytes) -> None:
    """hvcC that promises more than it has ends where it ends."""
    assert len(HEVC_NALS.sets_of(record)) < 300
    cut = b"\1" + bytes(20) + b"\xff\1\x20\0\1\0\x08\x40\1\x0c\1"
    assert HEVC_NALS.sets_of(cut) == [b"\0\0\1\x40\1\x0c\1"] and HEVC_NALS.length_size(cut) == 4


def test_cut_off_anywhere(bare: Path, folder: Path) -> None:
    data, path = bare.read_bytes(), folder / "cut.hevc"
    for size in range(60, len(data), len(data) // 25):
        path.write_bytes(data[:size])
        try:
            summary = extract(path, folder / "cut.h5", overwrite=True)
        except (VideoError, DavdError) as error:
            assert str(error).count("\n") == 0
        else:
            assert 0 < summary.frames <= FRAMES
            with PriorsFile(folder / "cut.h5") as file:
                assert len(file) == summary.frames


def test_damage_is_marked(bare: Path, folder: Path) -> None:
    data, path = bytearray(bare.read_bytes()), folder / "damaged.hevc"
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(range(3, 43))
    path.write_bytes(data)
    summary = extract(path, folder / "damaged.h5", motion=True)
    with PriorsFile(folder / "damaged.h5") as file:
        marked = file.column("concealed")
        assert marked.sum() == summary.concealed
        wrong = file.column("hash") == 2
        assert marked.any() or wrong.any()
        for k in np.flatnonzero(marked):
            record = file[k]
            bad = np.kron(record.ctu_concealed, np.ones((16, 16), bool))
            bad = bad[: record.cu_mode.shape[0], : record.cu_mode.shape[1]]
            invented = bad & (record.ref < 0).all(0)
            assert (record.cu_mode[invented] == 0).all() and not record.tu_size[invented].any()
    with pytest.raises(CorruptStreamError, match="damaged"):
        extract(path, None, strict=True)


def test_a_size_that_changes(folder: Path) -> None:
    one = clip(folder / "one.hevc", CLOSED, frames=4).read_bytes()
    other = clip(folder / "other.hevc", CLOSED, frames=4, size=(96, 64)).read_bytes()
    path = folder / "both.hevc"
    path.write_bytes(one + other)
    with pytest.raises(VideoError, match=r"changes from 174x138 .* to 96x64"):
        extract(path, folder / "both.h5")
    summary = extract(path, folder / "both.h5", split=True, verify=True, motion=True)
    assert [PriorsFile(p).attrs["width"] for p in summary.outputs] == [174, 96]


def test_a_container_that_lies_about_its_codec(folder: Path) -> None:
    """The other codec's name over the packets: refused in one line."""
    for real, name, said in (("libx265", b"hvc1", b"avc1"), ("libx264", b"avc1", b"hvc1")):
        path = folder / "lies.mp4"
        options = {"x265-params": "log-level=none:pools=none"} if real == "libx265" else {}
        encode(path, codec=real, frames=6, sound=False, options=options)
        data = path.read_bytes()
        for tag in ((b"hev1", said), (name, said)):
            data = data.replace(*tag)
        path.write_bytes(data)
        try:
            summary = extract(path, None)
        except (VideoError, CodecError, DavdError) as error:
            assert str(error).count("\n") == 0
        else:
            assert summary.frames == 6  # FFmpeg found out by the record


def test_a_file_that_lies_about_its_codec(priors: Path, folder: Path) -> None:
    path = folder / "lies.h5"
    for changes, says in (
        ({"codec": "h264"}, "schema version 2 and codec 'h264'"),
        ({"codec": "vvc"}, "schema version 2 and codec 'vvc'"),
        ({"schema_version": 1}, "schema version 1 and codec 'hevc'"),
    ):
        path.write_bytes(priors.read_bytes())
        with h5py.File(path, "r+") as file:
            for name, value in changes.items():
                file.attrs[name] = value
        with pytest.raises(PriorsError, match=says):
            PriorsFile(path)
    path.write_bytes(priors.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["ctu_size"] = 0
    with PriorsFile(path) as lying, pytest.raises(ValueError, match="units of 0 samples"):
        lying.read("cu/mode", [0], box=(0, 0, 16, 16))


@pytest.mark.conformance
@pytest.mark.parametrize("only", ["c_*", "m_cut_cra*", "x_qp*", "h_dep*", "k_interlace*"])
def test_streams_of_others_through_files(
    only: str, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.hevc import conformance

    assert conformance(shared / "vectors-hevc", only, files=True) == 0, capsys.readouterr().out
