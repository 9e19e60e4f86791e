"""What all commands share: one name over them, exit statuses, and how they leave."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from av.error import PatchWelcomeError
from clips import encode
from davd.bitstream import (
    CodecError,
    CorruptStreamError,
    OutputError,
    UnsupportedStreamError,
    extract,
)
from davd.cli import exits
from davd.cli import extract as extract_command
from davd.cli import inspect as inspect_command
from davd.cli import main as davd
from davd.cli.exits import MEANINGS, Exit, Terminated, carry_out

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("commands") / "talk.mp4", frames=8)


@pytest.fixture(scope="module")
def priors(video: Path) -> Path:
    extract(video, video.with_suffix(".h5"))
    return video.with_suffix(".h5")


def test_the_table_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    rows = [f"| {status:d} | {text} |" for status, text in MEANINGS.items()]
    assert list(MEANINGS) == list(Exit) and "\n".join(rows) in page


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no video"), Exit.INPUT),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.mp4"), Exit.INPUT),
        (CodecError("hevc"), Exit.UNSUPPORTED),
        (UnsupportedStreamError("SP slices"), Exit.UNSUPPORTED),
        (CorruptStreamError("cut"), Exit.DAMAGED),
        (FileExistsError("a.h5 exists"), Exit.EXISTS),
        (OSError(errno.ENOSPC, "No space left on device", "a.h5"), Exit.OUTPUT),
        (OSError("file write failed: errno = 122, error message = ..."), Exit.OUTPUT),
        (OutputError("no is not a folder"), Exit.OUTPUT),
        (PermissionError(errno.EROFS, "Read-only file system", "a.h5"), Exit.OUTPUT),
        (PatchWelcomeError(1, "Not yet implemented in FFmpeg"), Exit.INPUT),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (Terminated(), Exit.TERMINATED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_has_its_status_and_one_line(
    error: BaseException, status: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert carry_out("davd-x", fail) == status
    captured = capsys.readouterr()
    assert captured.err.startswith("davd-x: ") and captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_error_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(TypeError):
        carry_out("davd-x", lambda: len(3))  # type: ignore[arg-type]


def test_a_missing_package_is_named_with_its_install_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def need() -> None:
        raise ModuleNotFoundError("No module named 'ffmpeg'", name="ffmpeg")

    assert carry_out("davd-prepare", need) == Exit.INPUT
    assert "pip install ffmpeg-python imageio-ffmpeg" in capsys.readouterr().err


def test_a_full_disk_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/out/part.h5")
    assert "the disk that holds /out/part.h5 is full" in exits.explain(error)
    place = Path(tempfile.gettempdir()) / "davd-x" / "a"
    told = exits.explain(OSError(errno.ENOSPC, "No space left on device", str(place)))
    assert "by TMPDIR" in told and "-o" not in told


def test_every_script_is_a_command_of_davd(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    names = {
        f"davd-{name}": f"davd.cli.{module}:main" for name, (module, _) in davd.COMMANDS.items()
    }
    assert scripts == {"davd": "davd.cli.main:main"} | names
    assert davd.main(["--help"]) == Exit.DONE
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in davd.COMMANDS)
    for name, (module, _) in davd.COMMANDS.items():
        parser = import_module(f"davd.cli.{module}").get_parser()
        assert parser.prog == f"davd-{name}"


def test_davd_names_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert davd.main([]) == davd.main(["paint"]) == Exit.USAGE
    error = capsys.readouterr().err
    assert "no command 'paint'" in error and "davd COMMAND --help" in error
    assert davd.main(["--version"]) == Exit.DONE
    assert capsys.readouterr().out.startswith("davd ")


def test_davd_is_a_module_too(priors: Path) -> None:
    command = [sys.executable, "-m", "davd", "inspect", str(priors), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and json.loads(done.stdout)["frames"] == 8


def test_a_reader_that_has_seen_enough_is_no_error(priors: Path) -> None:
    command = f"{sys.executable} -m davd inspect {priors} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1


def test_a_figure_needs_a_frame(priors: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        inspect_command.main([str(priors), "-o", str(tmp_path / "f.png")])
    assert left.value.code == Exit.USAGE


@pytest.mark.parametrize("place", ["/sys/a.h5", "/proc/a.h5"])
def test_a_folder_that_cannot_be_written(
    place: str, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path(place).parent.is_dir():
        pytest.skip(f"no {Path(place).parent} on this system")
    assert extract_command.main([str(video), "-o", place, "-q"]) == Exit.OUTPUT
    error = capsys.readouterr().err
    assert f"{place} cannot be written" in error and "choose another folder" in error
    assert error.count("\n") == 1 and "errno" not in error


def test_standard_input_and_output_are_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    for command, arguments in (
        (extract_command, ["-"]),
        (extract_command, ["a.mp4", "-o", "-"]),
        (inspect_command, ["-"]),
    ):
        with pytest.raises(SystemExit) as left:
            command.main(arguments)  # type: ignore[attr-defined]
        assert left.value.code == Exit.USAGE and "'-'" in capsys.readouterr().err


def test_a_file_cut_off_says_how_much_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = encode(tmp_path / "a.mp4", container={"movflags": "+faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert extract_command.main([str(cut)]) == Exit.DONE
    error = capsys.readouterr().err
    assert "CUT OFF: " in error and " of 60 frames are in the file" in error
    assert "0 frames concealed" not in error


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, Exit.TERMINATED), (signal.SIGINT, Exit.INTERRUPTED)]
)
def test_a_stopped_command_says_so(tmp_path: Path, number: int, status: Exit) -> None:
    video = encode(tmp_path / "a.264", frames=8, sound=False)
    video.write_bytes(3000 * video.read_bytes())
    command = [sys.executable, "-m", "davd", "extract", str(video), "-q"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.glob("*.part")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == status
    assert "nothing was kept" in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.264"]


def test_a_name_with_moov_in_it_says_nothing_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "moov.mp4"
    path.write_text("this is no video\n" * 99)
    assert extract_command.main([str(path), "-q"]) == Exit.INPUT
    error = capsys.readouterr().err
    assert "is not a video file" in error and "index" not in error


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, Exit.TERMINATED), (signal.SIGINT, Exit.INTERRUPTED)]
)
def test_a_signal_inside_a_finaliser_is_not_lost(
    number: int, status: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python drops what is raised there; the signal must end the command all the same."""

    class Thing:
        def __del__(self) -> None:
            signal.raise_signal(number)
            time.sleep(0.001)  # the handler runs in here

    def work() -> int:
        thing = Thing()
        del thing
        time.sleep(20)
        return Exit.DONE

    assert carry_out("davd", work) == status
    assert "nothing was kept" in capsys.readouterr().err
