"""From a video to its priors file, and from bad input to one line of text."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from bitwriter import Picture, Sets, stream
from clips import FRAMES, HEIGHT, RATE, WIDTH, encode, ffmpeg_frames, same_content
from davd.bitstream import (
    CorruptStreamError,
    PriorsFile,
    VerificationError,
    extract,
    iterate,
)
from davd.bitstream.annexb import H264_NALS, split_nals
from davd.bitstream.demux import open_source
from davd.bitstream.timeline import look_through
from davd.bitstream.verify import Verifier
from davd.cli.extract import main


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module")
def whole(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "whole.h5"
    extract(clip, path, motion=True, modes=True, verify=True)
    return path


def test_attributes(clip: Path, whole: Path) -> None:
    with PriorsFile(whole) as priors:
        attrs = priors.attrs
        assert (attrs["width"], attrs["height"]) == (WIDTH, HEIGHT)
        assert (attrs["crop_right"], attrs["crop_bottom"]) == (2, 6)
        assert priors.coded_size == (144, 176)
        assert attrs["source"] == "clip.mp4" and len(str(attrs["source_sha256"])) == 64
        assert (attrs["frame_rate"], attrs["time_base"]) == ("25/1", "1/12800")
        assert attrs["verified"] is True and attrs["complete"] is True
        assert attrs["time_invented"] is False
        assert str(attrs["encoder"]).startswith("x264")
        assert len(priors) == FRAMES


def test_frames_are_ffmpegs_with_its_times(clip: Path, whole: Path) -> None:
    with PriorsFile(whole) as priors:
        rows, columns = priors.crop
        for k, (pts, luma) in enumerate(ffmpeg_frames(clip)):
            assert priors.column("pts")[k] == pts
            np.testing.assert_array_equal(priors[k].decoded[0][rows, columns], luma)
        np.testing.assert_allclose(priors.column("time"), np.arange(FRAMES) / RATE)


# (large pictures are recorded by rows; this one's do not begin with a cache line each)
@pytest.mark.parametrize(("size", "frames"), [((WIDTH, HEIGHT), 12), ((1296, 720), 7)])
def test_prediction_and_residual_make_the_picture(
    tmp_path: Path, size: tuple[int, int], frames: int
) -> None:
    options = {"x264-params": "no-deblock=1"}
    video = encode(tmp_path / "a.mp4", frames=frames, size=size, options=options)
    for record, _ in iterate(video):
        for plane, prediction, residual in zip(
            record.decoded, record.prediction, record.residual, strict=True
        ):
            np.testing.assert_array_equal(plane, np.clip(prediction + residual, 0, 255))


def test_motion_refers_to_display_order(whole: Path) -> None:
    with PriorsFile(whole) as priors:
        order, kinds = priors.column("decode_order"), priors.column("picture_type")
        assert sorted(order) == list(range(FRAMES)) and set(kinds) == {0, 1, 2}
        assert priors.column("keyframe").tolist() == [k % 20 == 0 for k in range(FRAMES)]
        forward = backward = 0
        for k in range(FRAMES):
            record = priors[k]
            used = np.unique(record.ref[record.ref >= 0])
            assert (record.ref >= -1).all()
            assert all(order[r] < order[k] and r // 20 == k // 20 for r in used)
            assert (len(used) > 0) == (kinds[k] > 0)
            forward, backward = forward + (used < k).sum(), backward + (used > k).sum()
            inter = np.repeat(np.repeat(record.mb_type >= 4, 2, 0), 2, 1)
            np.testing.assert_array_equal((record.ref != -1).any(0), inter)
            np.testing.assert_array_equal(record.intra_chroma >= 0, record.mb_type < 3)
        assert forward > 0 and backward > 0


@pytest.mark.parametrize("jobs", [2, 3])
def test_jobs_write_the_same(clip: Path, whole: Path, tmp_path: Path, jobs: int) -> None:
    extract(clip, tmp_path / "1.h5", motion=True, modes=True)
    extract(clip, tmp_path / "n.h5", motion=True, modes=True, jobs=jobs)
    same_content(tmp_path / "1.h5", tmp_path / "n.h5")


@pytest.mark.parametrize("kind", ["mp4", "264"])
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("span", [(0, 7), (23, 41), (58, None)])
def test_a_range_is_a_part_of_the_whole(
    clip: Path, tmp_path: Path, kind: str, jobs: int, span: tuple[int, int | None]
) -> None:
    video = clip if kind == "mp4" else encode(tmp_path / "a.264", sound=False)
    extract(video, tmp_path / "whole.h5", motion=True)
    extract(video, tmp_path / "part.h5", frames=span, motion=True, jobs=jobs)
    first, last = span[0], span[1] or FRAMES
    with PriorsFile(tmp_path / "whole.h5") as want, PriorsFile(tmp_path / "part.h5") as got:
        assert len(got) == last - first
        assert got.attrs["first_frame"] == first
        for name in ("pts", "time", "poc", "picture_type"):
            np.testing.assert_array_equal(got.column(name), want.column(name)[first:last])
        for path in ("decoded/y", "prediction/cb", "residual/y", "level/cr", "tu/y", "mb/qp_y"):
            np.testing.assert_array_equal(got.read(path), want.read(path, slice(first, last)))
        ref = want.read("motion/ref", slice(first, last))
        inside = (ref >= first) & (ref < last)
        ref = np.where(inside, ref - first, np.where(ref >= 0, -2, ref))
        np.testing.assert_array_equal(got.read("motion/ref"), ref)


@pytest.mark.parametrize(("start", "end"), [(0.4, 0.8), (0.36, 1.2), (0.0, 0.12)])
@pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv", "264"])
def test_decimal_times_mean_what_they_say(
    tmp_path: Path, suffix: str, start: float, end: float
) -> None:
    video = encode(tmp_path / f"a.{suffix}", frames=40, sound=False)
    first = next(iterate(video))[0].time
    times = [record.time - first for record, _ in iterate(video, start=start, end=end)]
    np.testing.assert_allclose(
        times, np.arange(round(start * 25), round(end * 25)) / RATE, atol=1e-6
    )


def test_times_select_frames_and_sound(clip: Path, tmp_path: Path) -> None:
    extract(clip, tmp_path / "part.h5", start=0.5, end=1.0)
    with PriorsFile(tmp_path / "part.h5") as part:
        np.testing.assert_allclose(part.column("time"), np.arange(13, 25) / RATE)
        samples, rate, start = part.audio()
        assert 0 <= start - 13 / RATE < 1 / rate
        assert abs(len(samples) - rate * 12 / RATE) <= 1
        track, begin = part.audio_original()
        assert len(track) > 0 and 13 / RATE - 0.03 < begin <= 13 / RATE


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv", "mov", "avi"])
def test_containers(tmp_path: Path, suffix: str) -> None:
    options = {"bf": "0"} if suffix == "avi" else None
    video = encode(tmp_path / f"a.{suffix}", frames=25, sound=suffix != "avi", options=options)
    extract(video, tmp_path / "a.h5", verify=True)
    with PriorsFile(tmp_path / "a.h5") as priors:
        assert priors.column("pts").tolist() == [pts for pts, _ in ffmpeg_frames(video)]
        steps = np.diff(priors.column("time"))
        np.testing.assert_allclose(steps, 1 / RATE, atol=0.0011)
        if suffix == "avi":
            assert priors.audio() is None
            return
        samples, rate, start = priors.audio()
        loud = np.flatnonzero(np.abs(samples.astype(int)) > 4000)[0] / rate + start
        # the tone begins half a second after the first frame; codecs smear it by a few milliseconds
        assert abs(loud - priors.column("time")[0] - 0.5) < (0.06 if suffix == "flv" else 0.012)
        import io

        import av

        with av.open(io.BytesIO(priors.audio_original()[0])) as track:
            assert track.streams.audio[0].codec_context.name in ("aac", "pcm_s16le", "mp2")


def test_variable_frame_rate(tmp_path: Path) -> None:
    stamps = [0, 1, 2, 5, 6, 9, 10, 14, 15, 20]
    video = encode(tmp_path / "a.mkv", frames=10, sound=False, pts=stamps.__getitem__)
    extract(video, tmp_path / "a.h5")
    with PriorsFile(tmp_path / "a.h5") as priors:
        np.testing.assert_allclose(priors.column("time"), np.array(stamps) / RATE, atol=0.0006)


def test_bare_stream(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.264", frames=30, sound=False)
    summary = extract(video, tmp_path / "a.h5", verify=True)
    assert summary.frames == 30 and summary.verified
    with PriorsFile(tmp_path / "a.h5") as priors:
        assert priors.attrs["time_invented"] is False  # x264 writes its rate into the stream
        assert priors.attrs["frame_rate"] == "25/1" and priors.attrs["time_base"] == "1/25"
        assert priors.column("pts").tolist() == list(range(30))


@pytest.mark.parametrize("suffix", [".mp4", ".264"])
def test_interlaced_video_is_verified_to_its_qp(tmp_path: Path, suffix: str) -> None:
    options = {"flags": "+ilme+ildct", "x264-params": "bff=1"}
    video = encode(
        tmp_path / f"a{suffix}", frames=12, size=(112, 84), sound=False, options=options
    )  # 84 rows: 5 of macroblocks as shown, 3 pairs as coded
    extract(video, tmp_path / "a.h5", motion=True, modes=True, verify=True)
    with PriorsFile(tmp_path / "a.h5") as priors:
        assert priors.attrs["verified"] and priors.coded_size == (96, 112)
        assert priors.attrs["field_order"] == "bottom"


def test_audio_shift(clip: Path, whole: Path, tmp_path: Path) -> None:
    extract(clip, tmp_path / "a.h5", audio_shift=-120, planes=())
    with PriorsFile(tmp_path / "a.h5") as shifted, PriorsFile(whole) as plain:
        np.testing.assert_array_equal(shifted.audio()[0], plain.audio()[0])
        assert shifted.audio()[2] == pytest.approx(plain.audio()[2] - 0.12)
        assert shifted.audio_original()[1] == pytest.approx(plain.audio_original()[1] - 0.12)


def test_only_what_is_asked_for(clip: Path, tmp_path: Path) -> None:
    main(
        [
            str(clip),
            "-o",
            str(tmp_path / "a.h5"),
            "--planes",
            "prediction,level",
            "--no-audio",
            "-q",
        ]
    )
    with PriorsFile(tmp_path / "a.h5") as priors:
        assert "prediction" in priors and "level/cr" in priors
        for absent in ("decoded", "residual", "motion", "intra", "audio"):
            assert absent not in priors
        assert priors[3].decoded is None and priors[3].tu.shape == (36, 44)


def test_outputs_without_file(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    os.chdir(tmp_path)
    main([str(clip), "-o", "md5", "-q"])
    md5 = capsys.readouterr().out.strip()
    main([str(clip), "-o", "null", "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert summary["frames"] == FRAMES and summary["outputs"] == []
    assert list(tmp_path.iterdir()) == []
    import hashlib

    import av

    want = hashlib.md5()
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            want.update(frame.to_ndarray())
    assert md5 == want.hexdigest()


def test_cropping_from_the_left_is_verified(tmp_path: Path) -> None:
    """FFmpeg by default leaves out what would move its rows off their alignment."""
    sets = Sets(crop=(3, 1, 2, 1))
    pictures = [Picture(idr=True, value=90), Picture(frame_num=1, poc=2, value=None)]
    (tmp_path / "a.264").write_bytes(stream(sets, pictures))
    summary = extract(tmp_path / "a.264", verify=True)
    assert (summary.width, summary.height, summary.frames) == (24, 26, 2)


def test_packets_are_kept_where_they_are_few_and_sound(clip: Path, tmp_path: Path) -> None:
    source = open_source(clip)
    packets = list(source.packets())
    size = sum(len(packet.data) for packet in packets)
    kept = look_through(source, keep=size)
    assert kept.coded is not None and kept.coded.packets == list(kept.read()) == packets
    assert kept.coded.size == size
    assert look_through(source).coded is None
    assert look_through(source, keep=size - 1).coded is None
    cut = encode(tmp_path / "cut.mp4", container={"movflags": "faststart"}, sound=False)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    faults: dict[str, int] = {}
    timeline = look_through(open_source(cut), keep=size)
    assert list(timeline.read(faults)) and faults and timeline.coded is None


def test_verification_sees_one_sample(clip: Path) -> None:
    timeline = look_through(open_source(clip))
    verifier = Verifier(timeline)
    frames = iterate(clip)
    verifier.check(*next(frames))
    record, info = next(frames)
    record.decoded[2][9, 11] ^= 1
    with pytest.raises(
        VerificationError, match="in 1 samples of cr, the first at row 9, column 11"
    ):
        verifier.check(record, info)
    verifier = Verifier(timeline)
    record, info = next(iterate(clip))
    record.qp_y[4, 5] += 1
    with pytest.raises(VerificationError, match="QP of macroblock row 4, column 5"):
        verifier.check(record, info)
    with pytest.raises(VerificationError, match="more than 0 frames"):
        Verifier(timeline).finish()


def failure(arguments: list[str], capsys: pytest.CaptureFixture, status: int = 1) -> str:
    """Run the command, which has to fail; its one line."""
    assert main([*arguments, "-q"]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.startswith("davd-extract: ")
    return captured.err


def test_bad_input(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "text.mp4").write_text("this is no video\n" * 99)
    (tmp_path / "empty.mp4").touch()
    encode(tmp_path / "mpeg4.mp4", codec="mpeg4", frames=5, options={"bf": "0"})
    bare = encode(tmp_path / "a.264", frames=5, sound=False).read_bytes()
    (tmp_path / "head.264").write_bytes(bare[:40])
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:9000])
    small = encode(tmp_path / "b.264", frames=9, sound=False, size=(96, 80)).read_bytes()
    (tmp_path / "two.264").write_bytes(bare + small)
    for name, says in {
        "none.mp4": "none.mp4: No such file",
        "text.mp4": "text.mp4 is not a video file",
        "empty.mp4": "empty.mp4 is an empty file",
        "mpeg4.mp4": "no H.264 or HEVC video: found mpeg4 (video), aac (audio)",
        "head.264": "no picture that can be decoded",
        "cut.mp4": "without its index",
        "two.264": "changes from 174x138 4:2:0 8 bit to 96x80 4:2:0 8 bit at 0.200 s; give --split",
        ".": "Is a directory",
    }.items():
        before = sorted(tmp_path.iterdir())
        command = [str(tmp_path / name), "-o", str(tmp_path / "o.h5")]
        assert says in failure(command, capsys, 3 if name == "mpeg4.mp4" else 1)
        assert sorted(tmp_path.iterdir()) == before
    (tmp_path / "o.h5").write_text("mine")
    assert "o.h5 exists; -f" in failure([str(clip), "-o", str(tmp_path / "o.h5")], capsys, 5)
    assert (tmp_path / "o.h5").read_text() == "mine"
    assert "is not a folder" in failure([str(clip), "-o", str(tmp_path / "no/o.h5")], capsys, 6)
    assert "after the last of 60" in failure([str(clip), "-o", "null", "--frames", "90:"], capsys)


def test_split_writes_a_file_per_format(tmp_path: Path) -> None:
    first = encode(tmp_path / "a.264", frames=5, sound=False).read_bytes()
    second = encode(tmp_path / "b.264", frames=9, sound=False, size=(96, 80)).read_bytes()
    (tmp_path / "two.264").write_bytes(first + second)
    summary = extract(tmp_path / "two.264", tmp_path / "o.h5", split=True, motion=True)
    assert [p.name for p in summary.outputs] == ["o.h5", "o-2.h5"]
    extract(tmp_path / "b.264", tmp_path / "b.h5", motion=True)
    with PriorsFile(tmp_path / "o-2.h5") as part, PriorsFile(tmp_path / "b.h5") as alone:
        assert part.attrs["first_frame"] == 5 and len(part) == 9
        np.testing.assert_array_equal(part.column("pts"), np.arange(5, 14))
        for path in ("residual/y", "motion/ref", "motion/mv"):
            np.testing.assert_array_equal(part.read(path), alone.read(path))


def test_lost_slices_are_marked_and_counted(tmp_path: Path) -> None:
    options = {"x264-params": "slices=4"}
    video = encode(tmp_path / "a.264", frames=30, sound=False, options=options)
    nals = split_nals(video.read_bytes())
    slices = [i for i, nal in enumerate(nals) if H264_NALS.type(nal) in (1, 5)]
    assert len(slices) == 120
    for lost in (slices[1], slices[57], slices[118]):
        video.write_bytes(b"".join(nal for i, nal in enumerate(nals) if i != lost))
        summary = extract(video, tmp_path / "a.h5", overwrite=True)
        assert summary.frames == 30 and summary.concealed >= 1
        with PriorsFile(tmp_path / "a.h5") as priors:
            assert priors.column("concealed").sum() == summary.concealed
        with pytest.raises(CorruptStreamError, match="concealed"):
            extract(video, tmp_path / "b.h5", strict=True)
        assert not (tmp_path / "b.h5").exists()


def test_damage_is_counted_and_strict(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    video = encode(tmp_path / "a.264", frames=30, sound=False)
    whole, seen = video.read_bytes(), 0
    for at in range(len(whole) // 6, len(whole) * 5 // 6, len(whole) // 5):
        damaged = bytes(b ^ 0x5A for b in whole[at : at + 60])
        video.write_bytes(whole[:at] + damaged + whole[at + 60 :])
        summary = extract(video, tmp_path / "a.h5", overwrite=True)
        assert summary.frames > 0
        if summary.warnings:  # a lucky damage cannot be told from video
            seen += 1
            command = [str(video), "-o", str(tmp_path / "b.h5"), "--strict"]
            assert "damaged" in failure(command, capsys, 4)
    assert seen >= 2


def test_further_views_are_left_out_and_not_called_damage(tmp_path: Path) -> None:
    s = Sets()
    view = Picture(idr=True, value=99).nal(s)
    view = view[:4] + bytes([view[4] & ~31 | 20, 0x80, 0, 0]) + view[5:]  # with its extension
    (tmp_path / "a.264").write_bytes(stream(s, [Picture(idr=True, value=5)]) + view)
    summary = extract(tmp_path / "a.264", tmp_path / "a.h5", strict=True)
    assert summary.left_out == {"slices_of_other_layers_or_views": 1} and not summary.damage
    assert "left out: slices_of_other_layers_or_views 1" in summary.text()
    assert "DAMAGED" not in summary.text()


def test_a_file_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.mp4", container={"movflags": "+faststart"})
    (tmp_path / "cut.mp4").write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    summary = extract(tmp_path / "cut.mp4", tmp_path / "a.h5")
    assert 10 < summary.frames < FRAMES
    assert summary.warnings["missing_packet"] >= 5
    with PriorsFile(tmp_path / "a.h5") as priors:
        assert len(priors) == summary.frames
    with pytest.raises(CorruptStreamError, match="missing_packet"):
        extract(tmp_path / "cut.mp4", tmp_path / "b.h5", strict=True)


def test_killed_run_leaves_nothing_finished(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.mp4", frames=600, sound=False, options={"preset": "ultrafast"})
    command = [
        sys.executable,
        "-m",
        "davd.cli.extract",
        str(video),
        "-o",
        str(tmp_path / "a.h5"),
        "-q",
    ]
    process = subprocess.Popen(command, cwd=tmp_path)
    part = tmp_path / "a.h5.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 100_000):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "a.h5").exists()
    main([str(video), "-o", str(tmp_path / "a.h5"), "-q"])
    assert not part.exists()
    with PriorsFile(tmp_path / "a.h5") as priors:
        assert len(priors) == 600


def test_full_disk_leaves_nothing(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    import davd.bitstream.priors.writer as writer

    original, calls = writer.write_chunks, iter(range(1000))

    def full(*arguments: object) -> None:
        if next(calls) > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(*arguments)

    monkeypatch.setattr(writer, "write_chunks", full)
    assert "disk is full" in failure([str(clip), "-o", str(tmp_path / "a.h5")], capsys, 6)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_run_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    for jobs in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            extract(clip, tmp_path / "a.h5", progress=stop, jobs=jobs)
    assert list(tmp_path.iterdir()) == []


def test_help_and_version(capsys: pytest.CaptureFixture) -> None:
    for option, says in (("--help", "examples:"), ("--version", "priors schema 2")):
        with pytest.raises(SystemExit) as exit_:
            main([option])
        assert exit_.value.code == 0
        assert says in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--frames", "3"], ["--planes", "depth"], ["--jobs", "0"]])
def test_bad_arguments(wrong: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["a.mp4", *wrong])
    assert exit_.value.code == 2
    assert wrong[1] in capsys.readouterr().err


def test_plain_h5py_reads_the_file(whole: Path) -> None:
    with h5py.File(whole) as file:
        residual, prediction = file["residual/y"][5].astype(int), file["prediction/y"][5]
        assert np.clip(residual + prediction, 0, 255).shape == (144, 176)
        assert file["audio/samples"].attrs["sample_rate"] == 16000
