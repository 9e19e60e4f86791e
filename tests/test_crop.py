"""The crop step: pictures untouched or cropped, sound in step whatever the container says."""

import dataclasses
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("skimage")
imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")

from davd.data.clean import CleanVideo  # noqa: E402
from davd.data.crop import crop_clip, samples_of  # noqa: E402
from davd.data.media import ClipError, ffmpeg_path, probe  # noqa: E402
from davd.data.synthetic import synthesise, write_video  # noqa: E402
from davd.data.work import Settings  # noqa: E402

RATE = 16000
WHOLE = Settings(size=0, crop="none")
FLASHES = (0.4, 1.0, 1.64, 2.2)  # seconds; on the grid of 25 frames a second


def run(*arguments: str | Path) -> None:
    subprocess.run([ffmpeg_path(), "-v", "error", "-y", *map(str, arguments)], check=True)


def burst(time: float, rate: int, count: int) -> np.ndarray:
    """A click of 8 ms around `time`: the sound of a flash."""
    t = np.arange(count) / rate - time
    return np.where(np.abs(t) < 0.004, np.cos(np.pi * t / 0.008) ** 2, 0) * np.sin(6283 * t + 1.57)


def flashing(path: Path, *, times: np.ndarray | None = None, rate: int = RATE) -> Path:
    """Write 3 s of video, white at `FLASHES` for a frame, with a click at the same instants.

    Args:
        path: Matroska file to write.
        times: of the frames, seconds; None: 25 a second.
        rate: of the sound, which is stereo unless it is 16 kHz.
    """
    import av

    times = np.arange(75) / 25 if times is None else times
    sound = sum(burst(t, rate, 3 * rate) for t in FLASHES) * 20000
    channels = 1 if rate == RATE else 2
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("pcm_s16le", rate=rate)
        audio.layout = "mono" if channels == 1 else "stereo"
        for time in times:
            white = any(abs(time - t) < 0.001 for t in FLASHES)
            picture = np.full((48, 64, 3), 235 if white else 20, np.uint8)
            picture[:, : round(time * 20)] += 10  # no two frames are equal
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        samples = np.repeat(sound.astype(np.int16), channels)[None]
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="s16", layout=audio.layout.name
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def offsets(clip: Path) -> list[float]:
    """Return, flash by flash, how much later than the picture the click is, in seconds."""
    with CleanVideo(clip) as clean:
        levels = np.array([clean[k][0].mean() for k in range(len(clean))])
        fps = float(clean.fps)
    white = np.flatnonzero((levels > 120) & (np.roll(levels, 1) <= 120)) / fps
    samples = samples_of(clip).astype(float)
    out = []
    for time in white:
        a = max(0, int((time - 0.15) * RATE))
        piece = samples[a : int((time + 0.15) * RATE)]
        template = burst(0.02, RATE, int(0.04 * RATE))
        match = np.correlate(piece, template, "valid")
        out.append((a + int(match.argmax())) / RATE + 0.02 - time)
    return out


def crop(source: Path, work: Path, settings: Settings = WHOLE) -> dict:
    result = crop_clip(source, work, source.stem, settings)
    assert result["status"] == "done", result
    return result


def test_picture_of_the_right_size_is_not_touched(tmp_path: Path) -> None:
    head = synthesise(0, 1.4, size=128)
    write_video(tmp_path / "a.mkv", head)
    result = crop(tmp_path / "a.mkv", tmp_path / "work", Settings())
    assert result["kept"]
    made = tmp_path / "work/clips/a.mkv"
    with CleanVideo(tmp_path / "a.mkv") as before, CleanVideo(made) as after:
        assert len(before) == len(after) == 35
        for old, new in zip(before.read(0, 35), after.read(0, 35), strict=True):
            assert np.array_equal(old, new)
    assert np.array_equal(samples_of(made), head.samples)


def test_face_is_cropped_and_scaled(tmp_path: Path) -> None:
    head = synthesise(4, 1.2, size=(480, 270), zoom=0.6, face="photograph")
    write_video(tmp_path / "wide.mkv", head)
    result = crop(tmp_path / "wide.mkv", tmp_path / "work", Settings())
    (clip,), (shot,) = result["clips"], result["shots"]
    assert (clip["width"], clip["height"], clip["frames"]) == (128, 128, 30)
    x, y, w, h = clip["face"]
    assert 10 < x < 30 and 80 < w < 100 and x + w < 118
    left, top, side, _ = shot["crop"]
    with (
        CleanVideo(tmp_path / "wide.mkv") as before,
        CleanVideo(tmp_path / "work/clips/wide.mkv") as after,
    ):
        cut = before[7][0][top : top + side, left : left + side].astype(float)
        import cv2

        scaled = cv2.resize(cut, (128, 128), interpolation=cv2.INTER_AREA)
        assert np.abs(scaled - after[7][0]).mean() < 3.0


def test_native_size_is_cropped_without_scaling(tmp_path: Path) -> None:
    head = synthesise(4, 1.2, size=(480, 270), zoom=0.6, face="photograph")
    write_video(tmp_path / "wide.mkv", head)
    result = crop(tmp_path / "wide.mkv", tmp_path / "work", Settings(size=0))
    left, top, side, _ = result["shots"][0]["crop"]
    assert side % 16 == 0 and side >= 80
    with (
        CleanVideo(tmp_path / "wide.mkv") as before,
        CleanVideo(tmp_path / "work/clips/wide.mkv") as after,
    ):
        assert np.array_equal(before[9][0][top : top + side, left : left + side], after[9][0])
        half = slice(top // 2, (top + side) // 2), slice(left // 2, (left + side) // 2)
        assert np.array_equal(before[9][1][half], after[9][1])


def test_shots_become_clips_of_their_own(tmp_path: Path) -> None:
    heads = [synthesise(s, 1.2, size=(320, 240), zoom=0.7, face="photograph") for s in (0, 1)]
    joined = dataclasses.replace(
        heads[0],
        frames=np.concatenate([h.frames for h in heads]),
        samples=np.concatenate([h.samples for h in heads]),
    )
    write_video(tmp_path / "two.mkv", joined)
    result = crop(tmp_path / "two.mkv", tmp_path / "work", Settings())
    assert [c["name"] for c in result["clips"]] == ["two.s1", "two.s2"]
    for head, clip in zip(heads, result["clips"], strict=True):
        made = tmp_path / "work/clips" / f"{clip['name']}.mkv"
        assert clip["frames"] == 30
        assert np.array_equal(samples_of(made), head.samples)


SHIFTED = {
    "plain": (),
    "sound starts late": ("-itsoffset", "0.12"),
    "sound starts early": ("-itsoffset", "-0.1"),
}


@pytest.mark.parametrize("kind", SHIFTED)
@pytest.mark.parametrize("container", ["mkv", "mp4", "ts"])
def test_offsets_of_the_container_are_obeyed(tmp_path: Path, container: str, kind: str) -> None:
    source, made = flashing(tmp_path / "source.mkv"), tmp_path / f"made.{container}"
    pictures = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "10")  # B frames: edit lists
    sound = ("-c:a", "pcm_s16le" if container == "mkv" else "aac", "-b:a", "128k")
    shift = SHIFTED[kind]
    streams = ("-i", source, *shift, "-i", source, "-map", "0:v", "-map", "1:a")
    run(*streams, *pictures, *sound, made)
    crop(made, tmp_path / "work")
    found = offsets(tmp_path / "work/clips/made.mkv")
    assert len(found) >= 3
    expected = float(shift[1]) if shift else 0.0
    assert len(found) == 4
    assert np.abs(np.array(found) - expected).max() <= 1e-3


def test_variable_frame_rate(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    times = np.arange(75) / 25
    flash = np.isin(np.round(times * 25), np.round(np.array(FLASHES) * 25))
    keep = flash | np.roll(flash, 1) | (rng.random(75) > 0.5)
    source = flashing(tmp_path / "vfr.mkv", times=times[keep])
    seen = probe(source)
    assert not seen.constant and seen.frames == keep.sum()
    result = crop(source, tmp_path / "work")
    assert result["clips"][0]["frames"] in (74, 75)
    found = offsets(tmp_path / "work/clips/vfr.mkv")
    assert len(found) == 4 and np.abs(found).max() <= 1e-3


def test_other_rates_of_sound_and_picture(tmp_path: Path) -> None:
    source = flashing(tmp_path / "cd.mkv", rate=44100)
    crop(source, tmp_path / "work")
    found = offsets(tmp_path / "work/clips/cd.mkv")
    assert len(found) == 4 and np.abs(found).max() <= 1e-3


def test_gap_in_the_sound_is_filled(tmp_path: Path) -> None:
    source = flashing(tmp_path / "source.mkv")
    gap = "aselect='not(between(t,1.2,1.5))'"
    run("-i", source, "-c:v", "copy", "-af", gap, "-c:a", "pcm_s16le", tmp_path / "gap.mkv")
    crop(tmp_path / "gap.mkv", tmp_path / "work")
    found = offsets(tmp_path / "work/clips/gap.mkv")
    assert len(found) == 4 and np.abs(found).max() <= 1e-3


def test_turned_video_stands_upright(tmp_path: Path) -> None:
    source = flashing(tmp_path / "source.mkv")
    run("-i", source, "-c:v", "libx264", "-c:a", "aac", tmp_path / "flat.mp4")
    turn = [
        "-display_rotation",
        "90",
        "-i",
        tmp_path / "flat.mp4",
        "-c",
        "copy",
        tmp_path / "t.mp4",
    ]
    program = imageio_ffmpeg.get_ffmpeg_exe()  # older ones lack the option
    subprocess.run([program, "-v", "error", *turn], check=True)
    result = crop(tmp_path / "t.mp4", tmp_path / "work")
    assert (result["probe"]["width"], result["probe"]["height"]) == (48, 64)
    assert (result["clips"][0]["width"], result["clips"][0]["height"]) == (48, 64)


def test_interlaced_video_is_made_progressive(tmp_path: Path) -> None:
    fields = "testsrc2=size=128x96:rate=50:duration=1.2,interlace"
    run("-f", "lavfi", "-i", fields, "-c:v", "libx264", "-flags", "+ildct", tmp_path / "tv.mp4")
    result = crop(tmp_path / "tv.mp4", tmp_path / "work")
    assert result["probe"]["interlaced"] and result["clips"][0]["frames"] == 30

    def combing(y: np.ndarray) -> float:
        """Return how much neighbouring rows differ, against rows two apart."""
        y = y.astype(float)
        return np.abs(np.diff(y, axis=0)).mean() / np.abs(y[2:] - y[:-2]).mean()

    with CleanVideo(tmp_path / "work/clips/tv.mkv") as clean:
        made = np.mean([combing(clean[k][0]) for k in range(5, 25)])
    import av

    with av.open(str(tmp_path / "tv.mp4")) as container:
        raw = [combing(f.to_ndarray()[:96]) for f in container.decode(video=0)]
    assert made < 0.9 * np.mean(raw[5:25])


def test_file_that_was_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    whole = flashing(tmp_path / "whole.mkv")
    run(
        "-i", whole, "-c:v", "libx264", "-c:a", "aac", "-movflags", "+faststart", tmp_path / "a.mp4"
    )
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 2 // 3])
    result = crop(tmp_path / "cut.mp4", tmp_path / "work")
    frames = result["clips"][0]["frames"]
    assert 25 <= frames < 75
    assert len(samples_of(tmp_path / "work/clips/cut.mkv")) == frames * 640


def test_sound_has_exactly_the_samples_of_the_frames(tmp_path: Path) -> None:
    source = flashing(tmp_path / "source.mkv")
    run("-i", source, "-t", "1.3", "-c:v", "ffv1", "-c:a", "copy", tmp_path / "short.mkv")
    run("-i", tmp_path / "short.mkv", "-c:v", "copy", "-af", "atrim=end=0.7", tmp_path / "s.mkv")
    settings = dataclasses.replace(WHOLE, fps="30000/1001")
    result = crop(tmp_path / "s.mkv", tmp_path / "work", settings)
    frames = result["clips"][0]["frames"]
    samples = samples_of(tmp_path / "work/clips/s.mkv")
    assert len(samples) == round(frames * RATE * 1001 / 30000)
    assert not samples[int(0.72 * RATE) :].any()


def test_late_sound_is_shifted_when_that_is_sure(tmp_path: Path) -> None:
    head = synthesise(3, 8.0, face="photograph", size=128)
    late = dataclasses.replace(head, samples=np.roll(head.samples, 5 * 640))
    write_video(tmp_path / "late.mkv", late)
    plain = crop(tmp_path / "late.mkv", tmp_path / "plain", Settings())["clips"][0]["audio"]
    assert plain["sure"] and plain["delay_ms"] == pytest.approx(200, abs=30)
    fixed = crop(tmp_path / "late.mkv", tmp_path / "fixed", Settings(fix_sync=True))
    audio = fixed["clips"][0]["audio"]
    assert audio["shift_applied_ms"] == plain["delay_ms"] and abs(audio["delay_ms"]) <= 20
    shift = round(audio["shift_applied_ms"] * 16)
    made = samples_of(tmp_path / "fixed/clips/late.mkv")
    shifts = (shift - 1, shift, shift + 1)  # a sample is 0.06 ms
    assert any(np.array_equal(made[: 7 * RATE], late.samples[s : 7 * RATE + s]) for s in shifts)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"Dear diary,\n" * 400, "not a video"),
    ],
)
def test_what_is_no_video(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClipError, match=reason):
        probe(tmp_path / name)
    result = crop_clip(tmp_path / name, tmp_path / "work", Path(name).stem, WHOLE)
    assert result["status"] == "failed" and reason in result["reason"]


def test_sound_only(tmp_path: Path) -> None:
    run("-i", flashing(tmp_path / "source.mkv"), "-vn", tmp_path / "sound.mkv")
    with pytest.raises(ClipError, match="no video stream"):
        probe(tmp_path / "sound.mkv")
