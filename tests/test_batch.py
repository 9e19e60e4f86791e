"""Many videos, stopped runs, and what davd-restore says on the way."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import encode
from davd.cli import progress
from davd.cli import restore as command
from davd.cli.exits import Exit
from davd.cli.progress import Bar, in_words
from davd.restore import restore
from davd.restore.job import Request, apply, batch, job, run
from davd.restore.output import movie, pieces
from restoring import checkpoint, talk


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("w"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("video") / "talk.mp4", frames=12, size=(64, 64))


@pytest.fixture
def calls(tmp_path: Path, video: Path) -> Path:
    """A folder of three videos, one of which is none, and a text."""
    folder = tmp_path / "calls"
    (folder / "anna").mkdir(parents=True)
    shutil.copy(video, folder / "anna" / "one.mp4")
    shutil.copy(video, folder / "two.mp4")
    (folder / "text.mp4").write_text("this is no video\n" * 99)
    (folder / "notes.txt").write_text("about the calls")
    return folder


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_folder_is_restored_and_what_fails_is_written_down(
    tmp_path: Path, calls: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "better"
    arguments = [str(calls), "-o", str(out), "--checkpoint", str(weights), "--json"]
    assert command.main(arguments) == Exit.PARTLY
    told = {Path(row["file"]).name: row for row in lines(capsys)}
    assert {name: row["status"] for name, row in told.items()} == {
        "one.mp4": 0,
        "two.mp4": 0,
        "text.mp4": 1,
    }
    assert told["one.mp4"]["frames"] == 12
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert names == {"anna/one.mp4", "two.mp4", "failed.csv", "davd-restore.json"}
    with (out / "failed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == ["text.mp4"]
    assert rows[0]["status"] == "1" and "not a video file" in rows[0]["reason"]

    (calls / "text.mp4").unlink()
    before = (out / "two.mp4").stat().st_mtime_ns
    os.utime(calls / "anna" / "one.mp4")  # newer than its output
    assert command.main(arguments) == Exit.DONE
    assert [Path(row["file"]).name for row in lines(capsys)] == ["one.mp4"]
    assert (out / "two.mp4").stat().st_mtime_ns == before
    assert not (out / "failed.csv").exists()
    assert command.main([*arguments, "--crf", "20"]) == Exit.INPUT
    assert "was made with crf=16.0 (now 20.0)" in capsys.readouterr().err


def test_outputs_are_told_apart(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.ts", "a.mkv", "b.MOV", "out/c.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    out = tmp_path / "out"
    found = {str(item.output.relative_to(out)) for item in batch.plan([tmp_path], out)}
    assert found == {"a.mkv", "a.mp4", "a_ts.mkv", "b.mov"}
    found = {str(i.output.relative_to(out)) for i in batch.plan([tmp_path / "a.ts"], out, "mp4")}
    assert found == {"a.mp4"}
    with pytest.raises(ValueError, match="would be replaced"):
        batch.plan([tmp_path], tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        batch.plan([tmp_path / "none"], out)


@pytest.mark.parametrize(
    "arguments",
    [["a.mp4", "b.mp4"], ["a.mp4", "b.mp4", "-o", "o/", "--report", "r.html"], ["-"], []],
)
def test_what_does_not_go_with_many(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command.main(arguments)
    assert left.value.code == Exit.USAGE


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jobs_side_by_side_do_the_same(
    tmp_path: Path, calls: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    for jobs in ("1", "2"):
        arguments = [str(calls), "-o", str(tmp_path / jobs), "--jobs", jobs, "-q"]
        status = command.main([*arguments, "--checkpoint", str(weights), "--threads", "1"])
        assert status == Exit.PARTLY
    for name in ("anna/one.mp4", "two.mp4"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert (tmp_path / "2" / "failed.csv").is_file()
    assert not list(temporary.iterdir())


def test_a_folder_killed_twice_is_as_one_run(tmp_path: Path, weights: Path, video: Path) -> None:
    """The process is killed outright, in the middle of a file; pieces are of two pictures."""
    calls = tmp_path / "calls"
    calls.mkdir()
    for k in range(3):
        shutil.copy(video, calls / f"{k}.mp4")

    def start(out: Path) -> subprocess.Popen:
        code = (
            "import sys, torch\n"
            "from davd.restore.output import movie, pieces\n"
            "movie.LENGTH = pieces.LENGTH = 2\n"
            "torch.set_num_threads(1)\n"
            "from davd.cli.restore import main\n"
            f"sys.exit(main([{str(calls)!r}, '-o', {str(out)!r}, '--checkpoint', {str(weights)!r},"
            " '--threads', '1', '-q']))"
        )
        return subprocess.Popen([sys.executable, "-c", code])

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(whole).wait() == 0
    for wanted in ("0.mp4.pieces/000001.nut", "2.mp4.pieces/000002.nut"):
        process = start(broken)
        deadline = time.monotonic() + 120
        while not (broken / wanted).exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(broken).wait() == 0
    names = sorted(path.name for path in broken.iterdir())
    assert names == ["0.mp4", "1.mp4", "2.mp4", "davd-restore.json"]
    for name in names:
        assert (broken / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("quiet", [0.0, 0.02], ids=["every frame", "corrections moved"])
def test_a_stopped_restore_goes_on(
    tmp_path: Path, video: Path, weights: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], quiet: float,
) -> None:  # fmt: skip
    monkeypatch.setattr(job, "set_speed", lambda network, speed: quiet)
    for module in (movie, pieces):
        monkeypatch.setattr(module, "LENGTH", 5)
    whole, broken = tmp_path / "whole.mkv", tmp_path / "broken.mkv"
    common = [str(video), "--checkpoint", str(weights), "-o"]
    assert command.main([*common, str(whole), "-q"]) == Exit.DONE

    original = movie.MovieWriter.write

    def stop(self: movie.MovieWriter, *picture: object) -> None:
        if len(self._pts) == 7:
            raise KeyboardInterrupt
        original(self, *picture)  # type: ignore[arg-type]

    monkeypatch.setattr(movie.MovieWriter, "write", stop)
    assert command.main([*common, str(broken), "-q"]) == Exit.INTERRUPTED
    assert "--resume" in capsys.readouterr().err
    monkeypatch.setattr(movie.MovieWriter, "write", original)
    assert {p.name for p in tmp_path.iterdir()} == {"whole.mkv", "broken.mkv.pieces"}
    assert command.main([*common, str(broken), "--resume", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["kept"] == 5
    assert broken.read_bytes() == whole.read_bytes()
    assert {p.name for p in tmp_path.iterdir()} == {"whole.mkv", "broken.mkv"}


def test_strength_is_a_share_of_the_change(tmp_path: Path, video: Path, weights: Path) -> None:
    import h5py

    shown = {}
    for strength in (0.0, 0.5, 1.0):
        out = tmp_path / f"{strength}.h5"
        restore(str(video), str(out), checkpoint=str(weights), strength=strength)
        with h5py.File(out) as file:
            shown[strength] = file["restored/y"][:].astype(int)
    from davd.bitstream import iterate

    decoded = np.stack([record.decoded[0] for record, _ in iterate(video) if record.decoded])
    np.testing.assert_array_equal(shown[0.0], decoded)
    assert (shown[1.0] != decoded).any()
    assert np.abs(2 * shown[0.5] - decoded - shown[1.0]).max() <= 2


def test_paths_may_be_texts(tmp_path: Path, video: Path, weights: Path) -> None:
    outcome = run(Request(str(video), str(tmp_path / "b.mp4"), checkpoint=str(weights)))
    assert outcome.frames == 12 and (tmp_path / "b.mp4").is_file()
    with pytest.raises(TypeError):
        restore(video, tmp_path / "c.mp4", colour="blue")


def test_raw_video_goes_to_standard_output(tmp_path: Path, video: Path, weights: Path) -> None:
    command_line = [sys.executable, "-m", "davd.cli.restore", str(video), "--checkpoint",
                    str(weights), "-q", "--threads", "1"]  # fmt: skip
    done = subprocess.run([*command_line, "-o", "-"], capture_output=True, check=True)
    subprocess.run([*command_line, "-o", str(tmp_path / "a.y4m")], check=True)
    assert done.stdout == (tmp_path / "a.y4m").read_bytes()
    assert done.stdout.startswith(b"YUV4MPEG2 W64 H64")


def test_a_movie_does_not(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(video), "-o", "-", "--format", "mp4"]) == Exit.INPUT
    assert "standard output takes y4m and yuv" in capsys.readouterr().err


def test_without_a_terminal_a_line_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Bar("restoring", "frames", 100) as bar:
        for _ in range(50):
            now[0] += 0.5
            bar.update(1)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "restoring: 20 of 100 frames, 2 a second, 40 s to go",
        "restoring: 40 of 100 frames, 2 a second, 30 s to go",
    ]
    assert [in_words(n) for n in (89, 600, 3 * 3600 + 300)] == ["89 s", "10 min", "3 h 05 min"]


def test_the_time_is_estimated_before_the_start(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(apply, "TRIAL", 16)
    priors = talk(tmp_path, frames=12, size=(64, 64), sound=False)
    common = ["--priors", str(priors), "--checkpoint", str(weights), "-f"]
    assert command.main(common) == Exit.DONE
    error = capsys.readouterr().err
    assert "restoring will take about " in error
    assert error.index("will take about") < error.index("frames in")


def test_a_quiet_bar_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar("x", "frames", 10, quiet=True)
    bar.update(3)
    assert "3 of 10 frames" in bar.line(1.0)
    assert capsys.readouterr().err == ""


def test_no_priors_are_written_to_the_folder_for_temporary_files(
    tmp_path: Path, video: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    sizes = []
    original = movie.MovieWriter.write

    def look(self: movie.MovieWriter, *picture: object) -> None:
        sizes.append(sum(path.stat().st_size for path in place.rglob("*") if path.is_file()))
        original(self, *picture)  # type: ignore[arg-type]

    monkeypatch.setattr(movie.MovieWriter, "write", look)
    line = [str(video), "--checkpoint", str(weights), "-q", "-o", str(tmp_path / "a.mp4")]
    assert command.main(line) == Exit.DONE
    assert len(sizes) == 12 and max(sizes) == 0
