"""What goes beside the picture: sound, languages, subtitles, chapters, turns, times, names."""

import itertools
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace

import av
import numpy as np
import pytest
from clips import encode
from davd.bitstream import PriorsFile, extract
from davd.bitstream.chapters import add_chapters
from davd.bitstream.demux import codec_name, open_source
from davd.bitstream.priors.record import cropped
from davd.bitstream.sound import Sound
from davd.bitstream.tracks import (
    AS_TEXT,
    COPIED,
    ENCODED,
    Plan,
    Tracks,
    _presented,
    copy_tracks,
    open_output,
    plan,
    write_tracks,
)
from davd.cli import extract as extracting
from davd.cli import restore as command
from davd.restore.output.movie import MovieWriter
from davd.restore.output.remux import source_tracks, stored_tracks
from davd.restore.output.video import VideoFormat
from recorders import in_mkv, in_mp4, in_ts, lengths, units
from restoring import checkpoint
from test_docs import ROOT, script

SUFFIXES = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}


@pytest.fixture(scope="module")
def sounds() -> ModuleType:
    return script("sounds")


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video with two languages, subtitles, chapters and a title."""
    folder = tmp_path_factory.mktemp("rich")
    picture = encode(folder / "p.mkv", frames=10, sound=False)
    path = folder / "rich.mkv"
    with av.open(str(picture)) as source, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        heard = [out.add_stream("aac", rate=48000, layout="mono") for _ in range(2)]
        for stream, language in zip(heard, ("eng", "fra"), strict=True):
            stream.metadata["language"] = language
        text = out.add_stream("subrip")
        text.codec_context.subtitle_header = b"[Script Info]\n[V4+ Styles]\n[Events]\n"
        text.metadata["language"] = "deu"
        out.metadata["title"] = "A talk"
        out.set_chapters([
            {"id": k, "start": 200 * k, "end": 200 * k + 200, "time_base": Fraction(1, 1000),
             "metadata": {"title": f"part {k}"}}
            for k in range(2)
        ])  # fmt: skip
        out.start_encoding()
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
        for stream in heard:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 19200), np.float32), "fltp", "mono")
            frame.rate, frame.pts = 48000, 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        for k in range(2):
            packet = av.Packet(f"words {k}".encode())
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = 200 * k
            packet.duration = 150
            out.mux(packet)
    return path


def rewritten(source: Path, path: Path, *, priors: Path | None = None, **limits: float) -> Path:
    """The tracks of a video, or those that its priors keep, beside its own decoded pictures."""
    own = priors or path.with_suffix(".h5")
    if priors is None:
        extract(source, own, planes=("decoded",), overwrite=True)
    with PriorsFile(own) as file:
        rows, columns = file.crop
        tracks = source_tracks(source, **limits) if priors is None else stored_tracks(file)
        pts = file.column("pts")
        with MovieWriter(path, SUFFIXES[path.suffix], VideoFormat.of(file), tracks=tracks,
                         start=int(pts[0])) as out:  # fmt: skip
            for k in range(len(file)):
                luma, cb, cr = file[k].decoded
                half = (slice(rows.start // 2, -(-rows.stop // 2)),
                        slice(columns.start // 2, -(-columns.stop // 2)))  # fmt: skip
                out.write([luma[rows, columns], cb[half], cr[half]], int(pts[k]))
    return path


def facts(path: Path) -> dict[str, object]:
    with av.open(str(path)) as file:
        return {
            "languages": [s.language for s in file.streams.audio],
            "subtitles": [s.language for s in file.streams.subtitles],
            "chapters": [(c["metadata"]["title"], round(c["start"] * c["time_base"], 3),
                          round(c["end"] * c["time_base"], 3)) for c in file.chapters()],
            "title": file.metadata.get("title"),
        }  # fmt: skip


def words(path: Path) -> list[str]:
    with av.open(str(path)) as file:
        found = []
        for packet in file.demux(subtitles=0):
            if packet.size:
                for subtitle in packet.decode():
                    found.append(subtitle.dialogue.decode().strip())
        return found


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("stored", [False, True])
def test_languages_subtitles_chapters_and_title_are_kept(
    tmp_path: Path, rich: Path, suffix: str, stored: bool
) -> None:
    priors = None
    if stored:
        priors = tmp_path / "p.h5"
        extract(rich, priors)
    out = rewritten(rich, tmp_path / f"a{suffix}", priors=priors)
    found = facts(out)
    assert found["languages"] == ["eng", "fra"] and found["title"] == "A talk"
    assert (
        found["subtitles"] == ["deu" if suffix == ".mkv" else "ger"]
        or len(
            found["subtitles"]  # type: ignore[arg-type]
        )
        == 1
    )
    assert [c[0] for c in found["chapters"]] == ["part 0", "part 1"]  # type: ignore[attr-defined]
    assert words(out) == ["words 0", "words 1"]


def test_a_range_cuts_chapters_and_subtitles(rich: Path) -> None:
    tracks = Tracks(rich, start=0.3, end=0.38)
    assert [(c["start"], c["end"]) for c in tracks.chapters(Fraction(3, 10))] == [(0, 80)]
    text = next(track for track in tracks.all if track.kind == "subtitle")
    assert [float(time) for time, _ in tracks.packets(text)] == [pytest.approx(0.2)]


def test_every_sound_is_copied_or_encoded(tmp_path: Path, sounds: ModuleType) -> None:
    """As docs/restore.md says, and as long as it was."""
    page = (ROOT / "docs" / "restore.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", page, re.M)
    rows = {row[0]: row[1:] for row in found}
    for name, encoder, suffix, rate in sounds.ENCODED:
        path = tmp_path / f"{encoder}.{suffix}"
        sounds.write_tone(path, encoder, rate)
        assert sounds.ways(path) == list(rows[name]), name
        tracks = Tracks(path)
        assert len(tracks.all) == 1 and tracks.all[0].codec != "mp3float"


def heard(path: Path) -> float:
    """Seconds of sound."""
    with av.open(str(path)) as file:
        return sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))


@pytest.mark.parametrize("encoder", ["pcm_alaw", "adpcm_ms", "wmav2", "alac", "g726", "opus"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sound_is_as_long_as_it_was(
    tmp_path: Path, sounds: ModuleType, encoder: str, suffix: str
) -> None:
    entry = next(row for row in sounds.ENCODED if row[1] in (encoder, f"lib{encoder}"))
    tone = tmp_path / f"tone.{entry[2]}"
    sounds.write_tone(tone, entry[1], entry[3])
    picture = encode(tmp_path / "p.mp4", frames=13, sound=False)
    extract(picture, tmp_path / "p.h5", planes=("decoded",))
    tracks = Tracks(tone)
    how = plan(tracks, SUFFIXES[suffix])
    with PriorsFile(tmp_path / "p.h5") as file:
        format, frame = VideoFormat.of(file), file[0].decoded
        rows, columns = file.crop
        out = tmp_path / f"a{suffix}"
        with MovieWriter(out, SUFFIXES[suffix], format, tracks=tracks) as writer:
            for k in range(13):
                luma, cb, cr = frame
                writer.write([luma[rows, columns], cb[:69, :87], cr[:69, :87]], 512 * k)
    assert -0.025 < heard(out) - heard(tone) < 0.1
    with av.open(str(out)) as file:
        name = codec_name(file.streams.audio[0])
    way = next(iter(how.ways.values()))
    assert name == ("aac" if way == ENCODED else tracks.all[0].codec)
    assert bool(how.notes) == (way == ENCODED) and bool(writer.notes) == (way == ENCODED)
    assert writer.copies == (way == COPIED)


def test_what_is_encoded_is_said_with_its_name(tmp_path: Path, sounds: ModuleType) -> None:
    path = tmp_path / "tone.nut"
    sounds.write_tone(path, "pcm_alaw", 8000)
    assert plan(Tracks(path), "matroska").ways == {0: COPIED}
    how = plan(Tracks(path), "mp4")
    assert how.ways == {0: ENCODED}
    assert "sound track 0 is pcm_alaw, which mp4 does not hold: encoded as AAC" in how.notes


def test_sound_that_nobody_decodes_is_refused_before_the_start(
    tmp_path: Path, sounds: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from davd.bitstream import tracks as module

    path = tmp_path / "tone.nut"
    sounds.write_tone(path, "pcm_alaw", 8000)
    taken = module._takes

    def never_encoded(tracks: object, track: object, kind: str, way: str, tee: bool) -> bool:
        return way != ENCODED and taken(tracks, track, kind, way, tee)

    monkeypatch.setattr(module, "_takes", never_encoded)
    with pytest.raises(ValueError, match="pcm_alaw, which mp4 does not hold and nobody here"):
        plan(Tracks(path), "mp4")


def test_subtitles_change_their_form(rich: Path, tmp_path: Path) -> None:
    assert sorted(plan(Tracks(rich), "mp4").ways.values()) == [AS_TEXT, COPIED, COPIED]
    out = tmp_path / "t.mka"
    assert copy_tracks(Tracks(rich), out) == pytest.approx(0.0, abs=0.03)
    assert facts(out)["languages"] == ["eng", "fra"]


def test_chapters_are_kept_beside_sound_that_pyav_does_not_mux(
    tmp_path: Path, sounds: ModuleType, rich: Path
) -> None:
    tone = tmp_path / "tone.nut"
    sounds.write_tone(tone, "pcm_alaw", 8000)
    tracks = Tracks(tone)
    tracks._chapters = Tracks(rich)._chapters
    assert plan(tracks, "matroska").relayed and not plan(tracks, "matroska").notes
    copy_tracks(tracks, tmp_path / "a.mka")
    found = facts(tmp_path / "a.mka")
    fifth = Fraction(1, 5)
    assert found["chapters"] == [("part 0", 0, fifth), ("part 1", fifth, 2 * fifth)]
    assert heard(tmp_path / "a.mka") == heard(tone)
    with pytest.raises(ValueError, match="not as FFmpeg writes"):
        add_chapters(in_mkv(tmp_path / "b.mkv", b"", []), [])


def test_more_packets_than_the_container_has_stamps(tmp_path: Path) -> None:
    """40 samples at 48 kHz are less than a millisecond: stamps of Matroska are equal then."""
    path = tmp_path / "short.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48000, layout="mono")
        out.start_encoding()
        for k in range(1200):
            packet = av.Packet(bytes(80))
            packet.stream, packet.time_base = stream, Fraction(1, 48000)
            packet.pts = packet.dts = 40 * k
            packet.duration = 40
            out.mux(packet)
    tracks = Tracks(path)
    times = tracks.all[0].times
    assert len(times) == 1200 and all(a < b for a, b in itertools.pairwise(times))
    assert float(times[-1] - times[0]) == pytest.approx(1199 / 1200, abs=0.002)
    copy_tracks(tracks, tmp_path / "a.mka")
    with av.open(str(tmp_path / "a.mka")) as file:
        last = [packet.pts for packet in file.demux() if packet.size][-1]
    assert last == pytest.approx(1000, abs=2)


def test_what_an_edit_list_hides_is_not_heard(tmp_path: Path) -> None:
    """Half a second of sound lies before zero, where the edit list of the file begins."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48000, layout="mono")
        samples = np.zeros((1, 48000), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
        frame.rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), -24000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    assert heard(path) == pytest.approx(0.5, abs=0.03)
    copy_tracks(Tracks(path), tmp_path / "a.mka")
    assert heard(tmp_path / "a.mka") == pytest.approx(0.5, abs=0.06)


def test_of_hidden_packets_the_one_before_what_is_heard_stays() -> None:
    hidden = [True, True, False, True, False, True]
    found = _presented(
        SimpleNamespace(number=k, size=1, stream_index=1, is_discard=how)  # type: ignore[misc]
        for k, how in enumerate(hidden)
    )
    assert [packet.number for packet in found] == [1, 2, 4]  # type: ignore[attr-defined]


@pytest.mark.parametrize("language", ["deu", "nld", "swe", "eng", "fra"])
def test_languages_that_quicktime_calls_otherwise(tmp_path: Path, language: str) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        stream.metadata["language"] = language
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate, frame.pts = 8000, 0
        out.mux(stream.encode(frame))
    tracks = Tracks(path)
    how = plan(tracks, "mov")
    with open_output(tmp_path / "a.mov", how) as file:
        write_tracks(tracks, how, file, Fraction(0))
    other = {"deu": "ger", "nld": "dut", "swe": "sve"}
    assert facts(tmp_path / "a.mov")["languages"] == [other.get(language, language)]


def test_silence_fills_a_gap_of_encoded_sound(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s24le", rate=8000, layout="stereo")
        for k in range(10):
            frame = av.AudioFrame.from_ndarray(np.full((1, 1600), 9999, np.int16), "s16", "stereo")
            frame.rate, frame.time_base = 8000, Fraction(1, 8000)
            frame.pts = 800 * k + (4000 if k >= 5 else 0)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = frame.pts
                packet.time_base = Fraction(1, 8000)
                out.mux(packet)
        out.mux(stream.encode(None))
    tracks = Tracks(path)
    how = Plan("mp4", {0: ENCODED})
    with open_output(tmp_path / "a.mp4", how) as file:
        write_tracks(tracks, how, file, Fraction(0))
    assert heard(tmp_path / "a.mp4") == pytest.approx(1.5, abs=0.15)


def test_sound_whose_clock_was_set_back_is_heard_to_its_end(tmp_path: Path) -> None:
    """Two recordings in one transport stream: both clocks begin at the same time."""
    one = encode(tmp_path / "a.ts", frames=25).read_bytes()
    (tmp_path / "two.ts").write_bytes(one + one)
    source = open_source(tmp_path / "two.ts")
    sound = Sound(source)
    samples = sum(len(block) for block in sound.blocks())
    assert samples / 16000 == pytest.approx(2.0, abs=0.1)
    tracks = Tracks(tmp_path / "two.ts")
    times = tracks.all[0].times
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[-1] - times[0] == pytest.approx(2.0, abs=0.1)


MATRICES = {
    "turned": (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
    "mirrored": (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30),
    "upside down": (65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    "mirrored and turned": (0, 65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
}


def turned(path: Path) -> tuple[int, ...]:
    return tuple(np.sign(np.array(open_source(path).matrix or (0,) * 9)[[0, 1, 3, 4]]).tolist())


@pytest.mark.parametrize("name", MATRICES)
def test_turns_and_mirrors_are_kept(tmp_path: Path, name: str) -> None:
    matrix = MATRICES[name]
    plain = encode(tmp_path / "p.mp4", frames=4, sound=False)
    video = tmp_path / "v.mp4"
    with av.open(str(plain)) as source, av.open(str(video), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        stream.set_display_matrix(matrix)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    wanted = tuple(np.sign(np.array(matrix)[[0, 1, 3, 4]]).tolist())
    assert turned(video) == wanted
    for suffix in SUFFIXES:
        out_path = rewritten(video, tmp_path / f"a{suffix}")
        assert turned(out_path) == wanted, suffix


def test_times_before_a_clock_wraps_are_kept(tmp_path: Path) -> None:
    record, found = units(tmp_path / "s.mp4", options={"bf": "0"})
    from davd.bitstream.annexb import H264_NALS

    sets = b"".join(H264_NALS.sets_of(record))
    begin = (1 << 33) - 5 * 3600
    packets = [((sets if u.key else b"") + u.data, u.pts + begin, u.pts + begin) for u in found]
    video = in_ts(tmp_path / "a.ts", packets)
    for suffix in SUFFIXES:
        out = rewritten(video, tmp_path / f"a{suffix}")
        with av.open(str(out)) as file:
            times = [frame.time for frame in file.decode(video=0)]
        assert len(times) == len(found)
        np.testing.assert_allclose(np.diff(times), 0.04, atol=0.0011)


def test_the_last_frame_after_a_pause_is_as_long_as_others(tmp_path: Path) -> None:
    record, found = units(tmp_path / "s.mp4", options={"bf": "0"})
    stamps = [u.pts + (60 * 90000 if k > 5 else 0) for k, u in enumerate(found)]
    samples = [(lengths(u.data), t, t) for u, t in zip(found, stamps, strict=True)]
    out = rewritten(in_mp4(tmp_path / "a.mp4", [record], samples), tmp_path / "b.mp4")
    with av.open(str(out)) as file:
        video = file.streams.video[0]
        assert float(video.duration * video.time_base) == pytest.approx(60.48, abs=0.01)


@pytest.mark.parametrize("unit", [Fraction(1, 10**9), Fraction(1, 10**6)])
def test_a_pause_that_mp4_cannot_count_in_the_units_of_the_source(
    tmp_path: Path, unit: Fraction
) -> None:
    """MP4 has 31 bits for the time between two pictures."""
    one = round(Fraction(1, 25) / unit)
    pause = (1 << 31) + 12345
    pts = [one * k + (pause if k > 4 else 0) for k in range(9)]
    picture = encode(tmp_path / "p.mp4", frames=1, sound=False)
    extract(picture, tmp_path / "p.h5", planes=("decoded",))
    with PriorsFile(tmp_path / "p.h5") as file:
        format = replace(VideoFormat.of(file), time_base=unit)
        planes = cropped(file[0].decoded or (), file)
    for suffix, kind in SUFFIXES.items():
        out = tmp_path / f"a{suffix}"
        with MovieWriter(out, kind, format) as writer:
            for at in pts:
                writer.write(planes, at)
        with av.open(str(out)) as file:
            times = sorted(p.pts * p.time_base for p in file.demux(video=0) if p.size)
        told = [float(time - times[0]) for time in times]
        assert told == pytest.approx([float(at * unit) for at in pts], abs=0.001)


def test_silence_comes_in_blocks_however_long_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tone = np.full(160, 9, np.int16)
    monkeypatch.setattr(Sound, "_pieces", lambda self: iter([(0.0, tone), (100.0, tone)]))
    blocks = list(Sound(open_source(encode(tmp_path / "v.mp4", frames=2))).blocks())
    assert max(map(len, blocks)) <= 30 * 16000
    whole = np.concatenate(blocks)
    assert len(whole) == 100 * 16000 + 160 and np.flatnonzero(whole[160:])[0] == 100 * 16000 - 160


def test_sound_whose_rate_and_channels_change_is_heard_on(tmp_path: Path) -> None:
    """A transport stream goes on after a cut with other sound, as broadcast does."""
    parts = []
    for rate, layout, at in ((48000, "mono", 0), (32000, "stereo", 90000)):
        path = tmp_path / f"{rate}.ts"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("mp2", rate=rate, layout=layout)
            count = rate * len(stream.layout.channels)
            samples = np.full((1, count), 9999, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", layout)
            frame.rate, frame.time_base, frame.pts = rate, Fraction(1, rate), at * rate // 90000
            for packet in (*stream.encode(frame), *stream.encode(None)):
                out.mux(packet)
        parts.append(path.read_bytes())
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(parts))
    sound = Sound(replace(open_source(encode(tmp_path / "v.mp4", frames=2)), path=path, sound=0))
    assert sum(len(block) for block in sound.blocks()) / 16000 == pytest.approx(2.0, abs=0.1)
    tracks, how = Tracks(path), Plan("mp4", {0: ENCODED})
    with open_output(tmp_path / "a.mp4", how) as file:
        write_tracks(tracks, how, file, Fraction(0))
    assert heard(tmp_path / "a.mp4") == pytest.approx(2.0, abs=0.15)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("w"))


def test_a_video_whose_size_changes_is_restored_in_one(tmp_path: Path, weights: Path) -> None:
    first = encode(tmp_path / "a.ts", frames=6).read_bytes()
    second = encode(tmp_path / "b.ts", frames=4, size=(96, 80)).read_bytes()
    (tmp_path / "two.ts").write_bytes(first + second)
    for suffix in ("mp4", "y4m"):
        out = tmp_path / f"o.{suffix}"
        status = command.main([str(tmp_path / "two.ts"), "--checkpoint", str(weights), "-q",
                               "-o", str(out)])  # fmt: skip
        assert status == 0
        with av.open(str(out)) as file:
            sizes = [(frame.width, frame.height) for frame in file.decode(video=0)]
        assert sizes == [(174, 138)] * 10
    assert {p.name for p in tmp_path.iterdir()} == {"a.ts", "b.ts", "two.ts", "o.mp4", "o.y4m"}


@pytest.mark.parametrize(
    "name", ["2024-05-01T12:30:00.mp4", "-dash.mp4", "a|b'c [d].mp4", b"\xe9t\xe9.mp4"]
)
def test_any_name_will_do(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, name: str | bytes
) -> None:
    name = os.fsdecode(name)
    monkeypatch.chdir(tmp_path)
    try:
        encode(tmp_path / "v.mp4", frames=3).rename(tmp_path / name)
    except OSError:
        pytest.skip("the file system has no such names")
    assert extracting.main([name, "-q"]) == 0
    assert Path(name).with_suffix(".h5").exists()
    assert command.main([name, "--checkpoint", str(weights), "-q"]) == 0
    assert Path(name).with_suffix(".restored.mp4").exists()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(
    tmp_path: Path, weights: Path, number: signal.Signals
) -> None:
    video = encode(tmp_path / "v.mp4", frames=100, size=(320, 240))
    (tmp_path / "tmp").mkdir()
    code = (
        "import os, signal, threading, time\n"
        "from davd.cli import restore\n"
        f"stop = lambda: (time.sleep(3), os.kill(os.getpid(), {int(number)}))\n"
        "threading.Thread(target=stop, daemon=True).start()\n"
        f"raise SystemExit(restore.main(['{video}', '--checkpoint', '{weights}', '-o', "
        f"'{tmp_path}/o.mp4']))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    made = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )
    if made.returncode == 0:
        pytest.skip("it was faster than the signal")
    assert made.returncode == 143, made.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tmp", "v.mp4"]
    assert list((tmp_path / "tmp").iterdir()) == []
