"""The pipeline as a whole: by hand, by make, killed and taken up again, with bad files in it."""

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("skimage")

from davd.bitstream import PriorsFile  # noqa: E402
from davd.bitstream.priors.field import PictureType  # noqa: E402
from davd.cli.prepare import main  # noqa: E402
from davd.data.clean import CleanVideo  # noqa: E402
from davd.data.crop import crop_clip  # noqa: E402
from davd.data.dataset import PriorsDataset, open_segments  # noqa: E402
from davd.data.index import load_index  # noqa: E402
from davd.data.media import ffmpeg_path  # noqa: E402
from davd.data.prepare import prepare_clip, stale  # noqa: E402
from davd.data.sample import collate  # noqa: E402
from davd.data.schedule import finished  # noqa: E402
from davd.data.sources import scan  # noqa: E402
from davd.data.synthetic import synthesise, write_video  # noqa: E402
from davd.data.work import Settings, keep_settings, write_result  # noqa: E402
from davd.restore.projection import HevcTensors, PriorsTensors  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = ROOT / "data" / "Makefile"

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


def ffmpeg(*arguments: str | Path) -> str:
    done = subprocess.run(
        [ffmpeg_path(), "-hide_banner", "-y", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of two speakers, in VoxCeleb's folders and with one name unfit for make."""
    folder = tmp_path_factory.mktemp("raw")
    for k, name in enumerate(("id1/v1/00001.mkv", "id1/v2/00001.mkv", "id2/v 3/a (b).mkv")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / name, synthesise(k, 1.2, size=64, face="drawn"))
    return folder


def sums(work: Path) -> dict[str, str]:
    """Return the checksum of every file that was made."""
    return {
        str(p.relative_to(work)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(work.rglob("*"))
        if p.is_file() and not p.is_symlink()
    }


def make(raw: Path, work: Path, *more: str, **options) -> subprocess.CompletedProcess[str]:
    """Run data/Makefile with the davd under test."""
    prepare = f"{sys.executable} -P -m davd.cli.prepare"
    command = ["make", "-f", str(MAKEFILE), f"SOURCE={raw}", f"WORK={work}", f"PREPARE={prepare}"]
    command += ["SIZE=64", "CRF=42", *more]
    # A make above this one must not hand its flags down.
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, **options)


@pytest.fixture(scope="module")
def made(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of an undisturbed run."""
    if shutil.which("make") is None:
        pytest.skip("no make")
    work = tmp_path_factory.mktemp("made") / "work"
    done = make(raw, work, "-j2")
    assert done.returncode == 0, done.stderr
    return work


def test_one_clip_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = synthesise(0, 1.2, size=64, face="drawn")
    write_video(tmp_path / "talk.mkv", head)
    command = ["all", str(tmp_path / "talk.mkv"), "--work", str(tmp_path / "work")]
    assert main([*command, "--size", "64", "--crf", "42", "30"]) == 0
    assert '"command": "ffmpeg ' in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["talk.mkv", "work"]
    assert main(["extract", "talk", "--work", str(tmp_path / "work"), "--crf", "30"]) == 0
    with PriorsFile(tmp_path / "work/priors/crf30/talk.h5") as priors:
        assert len(priors) == 30


def test_index_of_a_run(made: Path) -> None:
    index = load_index(made)
    assert [c.name for c in index.clips][:2] == ["id1/v1/00001", "id1/v2/00001"]
    assert [c.speaker for c in index.clips] == ["id1", "id1", "id2"]
    assert len({c.split for c in index.clips if c.speaker == "id1"}) == 1
    for clip in index.clips:
        assert clip.frames == 30 and clip.audio.present
        assert clip.clean.is_file() and clip.priors[42].is_file()
        assert clip.coded[42].bytes == clip.coded[42].path.stat().st_size
    assert not index.failed


def test_priors_and_clean_reference_are_frame_for_frame(made: Path) -> None:
    """PSNR from the priors is that of ffmpeg's own filter, and the sound has lost nothing."""
    from davd.data.crop import samples_of

    clip = load_index(made).clips[0]
    with PriorsFile(clip.priors[42]) as priors, CleanVideo(clip.clean) as clean:
        assert len(priors) == len(clean) == clip.frames
        decoded = np.stack([priors[k].decoded[0] for k in range(len(priors))]).astype(float)
        error = ((decoded - clean.read(0, len(clean))[0]) ** 2).mean()
    ours = 10 * np.log10(255**2 / error)
    said = ffmpeg(
        "-i", clip.coded[42].path, "-i", clip.clean, "-lavfi", "[0:v][1:v]psnr", "-f", "null", "-"
    )
    theirs = float(said.split("PSNR y:")[1].split()[0])
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert clip.coded[42].psnr_y == pytest.approx(theirs, abs=1e-3)
    assert np.array_equal(samples_of(clip.coded[42].path), samples_of(clip.clean))


@needs_make
def test_nothing_is_left_to_do(raw: Path, made: Path) -> None:
    before = sums(made)
    for flags in (["-n"], []):
        done = make(raw, made, *flags)
        assert done.returncode == 0 and "Nothing to be done" in done.stdout, done.stdout
    assert sums(made) == before


@needs_make
def test_killed_run_goes_on_where_it_stopped(raw: Path, made: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    prepare = f"{sys.executable} -P -m davd.cli.prepare"
    command = ["make", "-f", str(MAKEFILE), f"SOURCE={raw}", f"WORK={work}", f"PREPARE={prepare}"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    run = subprocess.Popen(
        [*command, "SIZE=64", "CRF=42"],
        env=env,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not list(work.glob("coded/crf42/**/*.json")) and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    finished = {
        p: p.stat().st_mtime_ns
        for p in work.rglob("*.json")
        if "crf42" in p.parts or "clips" in p.parts
    }
    assert 0 < len(finished) < 9
    assert not (work / "index.json").exists()
    done = make(raw, work)
    assert done.returncode == 0, done.stderr
    assert all(p.stat().st_mtime_ns == before for p, before in finished.items())
    assert sums(work) == sums(made)
    assert not list(work.rglob("*.part"))


@needs_make
def test_changed_source_is_made_again_and_no_other(raw: Path, made: Path, tmp_path: Path) -> None:
    shutil.copytree(raw, tmp_path / "raw")
    shutil.copytree(made, tmp_path / "work", symlinks=True)
    done = make(tmp_path / "raw", tmp_path / "work")
    assert done.returncode == 0 and " crop " not in done.stdout  # moved, but nothing is new
    before = sums(tmp_path / "work")
    write_video(tmp_path / "raw/id1/v1/00001.mkv", synthesise(9, 1.2, size=64, face="drawn"))
    done = make(tmp_path / "raw", tmp_path / "work")
    assert done.returncode == 0 and done.stdout.count(" crop ") == 1
    after = sums(tmp_path / "work")
    changed = {name for name in after if after[name] != before.get(name)}
    assert all("id1/v1/00001" in n or n == "index.json" for n in changed)
    assert "priors/crf42/id1/v1/00001.h5" in changed


@needs_make
def test_other_settings_need_another_folder(raw: Path, made: Path) -> None:
    done = make(raw, made, "SIZE=128")
    assert done.returncode != 0
    assert "was made with size=64 (now 128)" in done.stderr


@needs_make
def test_hevc_is_prepared_stopped_and_resumed_as_h264_is(tmp_path: Path) -> None:
    raw, work = tmp_path / "raw", tmp_path / "work"
    raw.mkdir()
    for k in range(2):
        write_video(raw / f"talk{k}.mkv", synthesise(k, 1.2, size=64, face="drawn"))
    options = ("CODEC=hevc", "SIZE=64", "CROP=none", "CRF=34")
    done = make(raw, work, *options)
    assert done.returncode == 0, done.stderr
    index = load_index(work)
    assert index.settings["codec"] == "hevc" and len(index.clips) == 2
    for clip in index.clips:
        with PriorsFile(clip.priors[34]) as priors:
            assert priors.attrs["codec"] == "hevc" and len(priors) == clip.frames
            assert "motion/mv" in priors and "rdoq-level=0" in str(priors.attrs["encoder"])
        assert clip.coded[34].psnr_y > 25
    priors = index.clips[0].priors[34]
    before = priors.read_bytes()
    for path in (priors, priors.with_suffix(".json")):
        path.unlink()
    again = make(raw, work, *options)
    assert again.returncode == 0, again.stderr
    assert priors.read_bytes() == before
    with pytest.raises(ValueError, match="holds hevc, where h264 is wanted"):
        open_segments(work, "train", crf=[34], codec="h264")
    segments = open_segments(work, "train", crf=[34], codec="hevc", level=True, motion=True)
    dataset = PriorsDataset(segments, length=3, crop=32, frames=3)
    sample = collate([dataset[k] for k in range(3)])
    assert sample.cu_mode is not None and sample.cu_mode.shape == (3, 3, 8, 8)
    assert isinstance(PriorsTensors.from_sample(sample), HevcTensors)
    other = make(raw, work, "CODEC=h264", "SIZE=64", "CROP=none", "CRF=34")
    assert other.returncode != 0 and "was made with codec=hevc (now h264)" in other.stderr


def test_folders_from_before_there_was_a_second_codec_are_of_h264(tmp_path: Path) -> None:
    old = {"size": 64, "fps": "25", "crop": "auto", "preset": "medium", "sound": "flac"}
    write_result(tmp_path / "settings.json", old | {"fix_sync": False})
    keep_settings(tmp_path, Settings(size=64))
    with pytest.raises(ValueError, match="codec=h264"):
        keep_settings(tmp_path, Settings(size=64, codec="hevc"))


def test_other_encoders_and_encodes_before(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", synthesise(1, 1.4, size=64, face="drawn"))
    ways = {
        "usual": Settings(size=64, crop="none"),
        "call": Settings(size=64, crop="none", preset="veryfast", tune="zerolatency"),
        "twice": Settings(size=64, crop="none", before="x264:44"),
        "after-hevc": Settings(size=64, crop="none", before="x265:40"),
        "openh264": Settings(size=64, crop="none", encoder="openh264"),
    }
    made, types, qp = {}, {}, {}
    for way, settings in ways.items():
        work = tmp_path / way
        done = prepare_clip(tmp_path / "a.mkv", work, "a", [30], settings)
        assert [step["status"] for step in done.values()] == ["done"] * 3, done
        made[way] = done["encode 30"]["clips"][0]
        with PriorsFile(work / "priors/crf30/a.h5") as priors:
            assert len(priors) == made[way]["frames"]
            types[way] = {int(t) for t in priors.column("picture_type")}
            qp[way] = priors.read("mb/qp_y", range(len(priors)))
    assert PictureType.B in types["usual"] and PictureType.B not in types["call"]
    assert (qp["openh264"] == 30).all()
    for way, before in (("twice", "libx264 -crf 44"), ("after-hevc", "libx265 -crf 40")):
        first, second = made[way]["command"].split(" && ")
        assert before in first and "-i a.mkv" in first and "-crf 30" in second
        assert "before.mkv" in first and "-i before.mkv -i a.mkv" in second  # the sound is its own
        assert made[way]["psnr_y"] < made["usual"]["psnr_y"] - 1
    assert not list(tmp_path.rglob("before.mkv"))


@needs_make
def test_bad_files_are_reported_and_the_rest_is_done(tmp_path: Path) -> None:
    raw, work = tmp_path / "raw", tmp_path / "work"
    raw.mkdir()
    wide = {"size": (160, 120), "zoom": 0.75, "face": "photograph"}
    write_video(tmp_path / "wide.mkv", synthesise(1, 1.4, **wide))
    write_video(tmp_path / "other.mkv", synthesise(2, 1.4, **wide))
    (raw / "text.mp4").write_text("this is no video\n" * 300)
    (raw / "empty.mp4").write_bytes(b"")
    hevc = ("-c:v", "libx265", "-x265-params", "log-level=none", "-tag:v", "hvc1")
    ffmpeg("-i", tmp_path / "wide.mkv", *hevc, "-crf", "12", raw / "hevc.mp4")
    ffmpeg("-i", tmp_path / "wide.mkv", "-an", "-c:v", "libx264", "-crf", "12", raw / "silent.mp4")
    pattern = "testsrc2=size=160x120:rate=25:duration=1.4"
    ffmpeg("-f", "lavfi", "-i", pattern, "-c:v", "libx264", raw / "faceless.mp4")
    three = "[0:v][0:a][1:v][1:a][0:v][0:a]concat=n=3:v=1:a=1[v][a]"
    inputs = ("-i", tmp_path / "wide.mkv", "-i", tmp_path / "other.mkv")
    maps = ("-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-crf", "12")
    ffmpeg(*inputs, "-filter_complex", three, *maps, raw / "cuts.mp4")

    done = make(raw, work, "CROP=face", "-j2")
    assert done.returncode == 0, done.stderr
    index = load_index(work)
    assert [c.name for c in index.clips] == ["cuts.s1", "cuts.s2", "cuts.s3", "hevc", "silent"]
    assert {c.name for c in index.clips if not c.audio.present} == {"silent"}
    assert all(c.priors[42].is_file() for c in index.clips)
    with (work / "failed.csv").open(newline="") as lines:
        told = {(r["clip"], r["kind"]): r["reason"] for r in csv.DictReader(lines)}
    assert told.keys() == {
        ("text", "failed"),
        ("empty", "failed"),
        ("faceless", "failed"),
        ("silent", "note"),
    }
    assert "not a video" in told["text", "failed"]
    assert told["empty", "failed"] == "the file is empty"
    assert "no face" in told["faceless", "failed"]
    assert "no sound" in told["silent", "note"]
    assert "Nothing to be done" in make(raw, work, "CROP=face").stdout

    assert main(["retry", str(work)]) == 0
    shutil.copy(tmp_path / "other.mkv", raw / "empty.mp4")
    assert make(raw, work, "CROP=face").returncode == 0
    assert "empty" in {c.name for c in load_index(work).clips}


def test_any_name_is_cropped(tmp_path: Path) -> None:
    raw, work = tmp_path / "raw", tmp_path / "work"
    raw.mkdir()
    write_video(tmp_path / "v.mkv", synthesise(1, 1.2, size=64, face="drawn"))
    for name in ("12:30:00.mkv", "-dash b.mkv", os.fsdecode(b"\xe9t\xe9.mkv")):
        try:
            shutil.copy(tmp_path / "v.mkv", raw / name)
        except OSError:  # the file system has no such names
            continue
    settings = Settings(size=64, crop="none")
    for source in scan(raw, work, settings):
        done = crop_clip(raw / source.path, work, source.name, settings)
        assert done["status"] == "done", done["reason"]


def test_coded_file_that_is_damaged_is_reported(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", synthesise(0, 1.2, size=64, face="drawn"))
    work = tmp_path / "work"
    assert main(["all", str(tmp_path / "a.mkv"), "--work", str(work), "--size", "64"]) == 0
    (work / "priors/crf42/a.json").unlink()
    coded = work / "coded/crf42/a.mp4"
    coded.write_bytes(coded.read_bytes()[:200])
    assert main(["extract", "a", "--work", str(work)]) == 1
    assert main(["extract", "a", "--work", str(work), "--keep-going"]) == 0


def test_extract_before_encode_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "a.mkv", synthesise(0, 1.2, size=64, face="drawn"))
    assert main(["extract", str(tmp_path / "a.mkv"), "--work", str(tmp_path / "work")]) == 1
    assert "run davd-prepare encode first" in capsys.readouterr().err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0 and "crop" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert "ffmpeg version" in capsys.readouterr().out


def test_results_older_than_what_they_were_made_from_are_forgotten(tmp_path: Path) -> None:
    """As make does: a newer source makes all of it stale, a newer clip what follows it."""

    names = ("source/a", "clips/a.json", "coded/crf42/a.json", "priors/crf42/a.json")
    paths = [tmp_path / name for name in names]
    for k, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        os.utime(path, (1000 + k, 1000 + k))
    assert stale(tmp_path, "a", [42]) == [] and finished(tmp_path, "a", [42])
    os.utime(paths[1], (2000, 2000))
    assert stale(tmp_path, "a", [42]) == paths[2:]
    os.utime(paths[0], (3000, 3000))
    assert stale(tmp_path, "a", [42]) == paths[1:] and not finished(tmp_path, "a", [42])


def test_a_repeat_that_finds_failures_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, work = tmp_path / "raw", tmp_path / "work"
    raw.mkdir()
    (raw / "text.mp4").write_text("this is no video\n" * 99)
    scan(raw, work, Settings())
    prepare_clip(raw / "text.mp4", work, "text", [42], Settings())
    assert main(["run", str(raw), str(work), "--crf", "42"]) == 7
    assert "0 sources, 0 lost; 1 failed" in capsys.readouterr().out
