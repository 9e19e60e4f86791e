"""What commands do with odd inputs and outputs: one line, a status, and nothing lost."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from clips import encode
from davd.bitstream import extract
from davd.bitstream.partfile import PartFile
from davd.cli import exits
from davd.cli import main as davd
from davd.cli.exits import Exit


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("misuse") / "talk.mp4", frames=8)


@pytest.fixture(scope="module")
def priors(clip: Path) -> Path:
    extract(clip, clip.with_suffix(".h5"))
    return clip.with_suffix(".h5")


@pytest.fixture
def video(clip: Path, tmp_path: Path) -> Path:
    return shutil.copy(clip, tmp_path / "talk.mp4")


def status(*arguments: object) -> int:
    try:
        return davd.main([str(argument) for argument in arguments])
    except SystemExit as left:
        assert isinstance(left.code, int)
        return left.code


WRITERS = {
    "extract": ["extract", "IN", "-o", "OUT"],
    "figure": ["inspect", "IN", "--frame", "0", "-o", "OUT"],
    "yuview": ["inspect", "IN", "--yuview", "OUT"],
    "html": ["view", "IN", "--html", "OUT"],
    "audit": ["eval", "--audit", "IN", "PRIORS", "--json", "OUT"],
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest, priors: Path) -> Callable[..., int]:
    """Every way to write a file, from an input to an output."""

    def run(source: Path, output: Path, *more: str) -> int:
        places = {"IN": source, "OUT": output, "PRIORS": priors}
        return status(*(places.get(word, word) for word in WRITERS[request.param]), *more)

    return run


@pytest.mark.parametrize("name", ["itself", "a link", "another name"])
def test_an_output_is_never_the_input(
    write: Callable[..., int], name: str, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = video.rename(video.with_suffix(".png"))  # no figure is refused for its suffix
    output, before = video.with_name("other.png"), source.read_bytes()
    if name == "itself":
        output = source
    elif name == "a link":
        output.symlink_to(source.name)
    else:
        output.hardlink_to(source)
    assert write(source, output, "-f") == Exit.INPUT
    error = capsys.readouterr().err
    assert "is the input itself" in error and error.count("\n") == 1
    assert source.read_bytes() == before and {source, output} == set(video.parent.iterdir())


def test_an_output_that_exists_stays(
    write: Callable[..., int], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = video.with_name("mine.png")
    output.write_text("mine")
    assert write(video, output) == Exit.EXISTS and output.read_text() == "mine"
    assert "-f replaces it" in capsys.readouterr().err
    assert write(video, output, "-f") == Exit.DONE and output.read_bytes() != b"mine"
    assert {video, output} == set(video.parent.iterdir())


@pytest.mark.parametrize("place", ["no/a.png", "folder", "talk.mp4/a.png"])
def test_an_output_that_cannot_be_made(
    write: Callable[..., int], place: str, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video.with_name("folder").mkdir()
    assert write(video, video.parent / place, "-f") == Exit.OUTPUT
    assert "folder" in (error := capsys.readouterr().err) and error.count("\n") == 1


def test_a_device_is_not_replaced(
    write: Callable[..., int], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = video.with_name("pipe.png")
    os.mkfifo(pipe)
    for place in (pipe, Path(os.devnull)):
        assert write(video, place, "-f") == Exit.USAGE and place.is_file() is False
        assert f"{str(place)!r} is no file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["extract", "inspect", "view", "restore"])
def test_a_pipe_is_refused_before_it_is_read(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Opening one without a writer would wait for ever, and what is read from it is gone."""
    os.mkfifo(tmp_path / "talk.mp4")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(tmp_path / "end.mp4"))
    for name in ("talk.mp4", "end.mp4"):
        assert status(command, tmp_path / name) == Exit.USAGE
        assert "is no file that can be moved about in" in capsys.readouterr().err


def test_a_broken_write_leaves_nothing(
    write: Callable[..., int], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file may not grow beyond 2000 bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        left = write(video, video.with_name("out.png"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    error = capsys.readouterr().err
    assert left == Exit.OUTPUT and "larger than a file may be" in error and error.count("\n") == 1
    assert list(video.parent.iterdir()) == [video]


def test_two_runs_do_not_write_one_file(
    write: Callable[..., int], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second leaves, and takes nothing of the first away; a part left behind is no run."""
    output = video.with_name("out.png")
    part = video.with_name("out.png.part")
    with PartFile(output) as first:
        first.part.write_text("first")
        assert write(video, output) == Exit.OUTPUT
        error = capsys.readouterr().err
        assert "is being written by another run" in error and error.count("\n") == 1
        assert part.read_text() == "first"
        first.commit()
    assert output.read_text() == "first"
    part.write_text("left behind")
    assert write(video, output, "-f") == Exit.DONE and not part.exists()


def test_two_extractions_to_one_file(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """HDF5's own lock is looked at."""
    output = video.with_name("out.h5")
    with h5py.File(video.with_name("out.h5.part"), "w") as first:
        assert status("extract", video, "-o", output) == Exit.OUTPUT
        assert "is being written by another run" in capsys.readouterr().err
        first["a"] = 1
    assert status("extract", video, "-o", output) == Exit.DONE


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("command", ["inspect IN", "extract IN -o OUT.h5", "--version", "--help"])
def test_closed_streams(closed: str, command: str, video: Path) -> None:
    """Nothing is said there, everything else is done; no file gets a stream's number."""
    line = command.replace("IN", str(video)).replace("OUT", str(video.with_name("out")))
    done = subprocess.run(
        f"{sys.executable} -m davd {line} {closed}", shell=True, capture_output=True, text=True
    )
    assert done.returncode == Exit.DONE and "Traceback" not in done.stderr
    assert video.with_name("out.h5").exists() == ("OUT" in command)


def test_an_input_that_may_not_be_read_is_no_output(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = PermissionError(13, "Permission denied", str(video))
    assert exits.exit_status(error) == Exit.OUTPUT
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(video))
    assert exits.exit_status(error) == Exit.INPUT


@pytest.mark.parametrize(
    "arguments",
    [
        ["extract", "IN", "--start", "nan"],
        ["extract", "IN", "--end", "1e400"],
        ["extract", "IN", "--audio-shift", "inf"],
        ["extract", "IN", "--audio-shift", "late"],
        ["extract", "IN", "--jobs", "²"],
        ["restore", "IN", "--audio-shift", "nan"],
        ["adapt", "IN", "-o", "OUT", "--minutes", "nan"],
        ["adapt", "IN", "-o", "OUT", "--minutes", "-1"],
        ["adapt", "IN", "-o", "OUT", "--crf", "52"],
        ["extract", "IN", "--stream", "-1"],
        ["restore", "IN", "--jobs", "0"],
        ["restore", "IN", "--threads", "-2"],
        ["restore", "IN", "--strength", "1.1"],
        ["eval", "IN", "--threads", "-1"],
        ["eval", "IN", "--limit", "-1"],
        ["eval", "IN", "--crf", "42", "99"],
        ["prepare", "run", "IN", "OUT", "--workers", "-1"],
        ["prepare", "run", "IN", "OUT", "--workers", "0"],
        ["prepare", "run", "IN", "OUT", "--retries", "-1"],
        ["prepare", "run", "IN", "OUT", "--crf", "-5"],
        ["prepare", "encode", "OUT", "--crf", "99", "a"],
        ["prepare", "scan", "IN", "OUT", "--size", "-16"],
    ],
    ids=" ".join,
)
def test_numbers_that_are_none_or_out_of_bounds(
    arguments: list[str], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*(str(video) if a == "IN" else a for a in arguments)) == Exit.USAGE
    assert ": must be " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("fps", ["1/0", "fast", "nan", "-1", "1e9"])
def test_frame_rates_that_are_none(
    fps: str, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["prepare", "all", video, "--work", video.with_name("work"), f"--fps={fps}"]
    assert status(*arguments) == Exit.INPUT
    assert f"fps is {fps!r}; 0 to 300 are allowed" in capsys.readouterr().err


def test_a_clip_that_fails_is_told_once(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video.write_text("no video")
    work = video.with_name("work")
    for more in (["all", video], ["encode", "talk"]):
        assert status("prepare", *more, "--work", work, "--crf", "42") == Exit.INPUT
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1 and "not a video" in captured.err
        assert json.loads(captured.out)


@pytest.mark.parametrize("content", [None, b"\xd6 no text", b"[1, 2]", b"{}"], ids=str)
def test_what_is_no_index(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "index.json").write_bytes(content)
    assert status("eval", tmp_path) == Exit.INPUT
    error = capsys.readouterr().err
    assert error.startswith(f"davd-eval: {tmp_path / 'index.json'} is ") and error.count("\n") == 1
    assert ("davd-prepare index" in error) == (content is None)


def test_what_is_no_work_folder(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (video, video.parent, video.with_name("no")):
        assert status("prepare", "retry", place) == Exit.INPUT
        assert f"{place} is no work folder" in capsys.readouterr().err


def test_a_port_that_cannot_be_had(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for port in (70000, -1, taken.getsockname()[1]):
            assert status("view", video, "--no-browser", "--port", port) == Exit.INPUT
            error = capsys.readouterr().err
            assert f"port {port} cannot be had" in error and error.count("\n") == 1


def test_a_name_that_is_no_text(video: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    odd = video.rename(video.parent / os.fsdecode(b"t\xe9lk.mp4"))
    page, table = video.with_name("page.html"), video.with_name("a.csv")
    assert status("view", odd, "--html", page) == Exit.DONE
    assert "t\N{REPLACEMENT CHARACTER}lk.mp4" in page.read_text("utf-8")
    assert status("inspect", odd, "--yuview", table) == Exit.DONE
    assert status("inspect", odd) == Exit.DONE


def test_lines_stay_lines_whatever_a_file_is_called(video: Path) -> None:
    odd = video.rename(video.with_name("a;b\nc.mp4"))
    assert status("inspect", odd, "--yuview", video.with_name("a.csv")) == Exit.DONE
    lines = video.with_name("a.csv").read_text().splitlines()
    assert lines[1] == "%;seq-specs;a,b c.mp4;layer0;174;138;25"


def test_a_video_of_no_known_codec(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = video.with_name("whole.mp4")
    data = video.rename(whole).read_bytes()
    video.write_bytes(data.replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    assert status("extract", video) == status("view", video) == Exit.UNSUPPORTED
    assert capsys.readouterr().err.count("found unknown (video)") == 2
    assert status("extract", whole, "-o", whole.with_suffix(".h5"), "-q") == Exit.DONE
    assert status("eval", "--audit", video, whole.with_suffix(".h5")) == Exit.INPUT
    arguments = ["restore", whole, "-o", video.with_name("r.mp4"), "--end", "0.1", "-q"]
    assert status(*arguments, "--reference", video) == Exit.INPUT
    assert capsys.readouterr().err.count(f"{video} has no video that can be decoded") == 2
    work = ["--work", video.with_name("work"), "--crop", "none", "--size", "0"]
    assert status("prepare", "all", video, *work) == Exit.INPUT
    assert "no video stream that can be decoded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is an empty file"), (b"text\n" * 99, "is not a video file"),
     (b"\x89HDF\r\n\x1a\n", "is not a readable HDF5 file")],
    ids=["empty", "text", "hdf5"],
)  # fmt: skip
@pytest.mark.parametrize("command", ["extract", "inspect", "view"])
def test_what_is_wrong_with_a_file_is_said_alike(
    command: str, content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ("a.h5" if b"HDF" in content else "a.mp4")
    path.write_bytes(content)
    assert status(command, path) == Exit.INPUT
    error = capsys.readouterr().err
    assert error.startswith(f"davd-{command}: {path}") and error.count("\n") == 1
    assert says in error or (command == "extract" and b"HDF" in content)


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_names_of_folders(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("extract", name) == Exit.INPUT
    assert "Is a directory" in (error := capsys.readouterr().err) and error.count("\n") == 1


def test_audits_have_no_table(clip: Path, priors: Path, tmp_path: Path) -> None:
    arguments = ["--audit", clip, priors, "--csv", tmp_path / "a.csv"]
    assert status("eval", *arguments) == Exit.USAGE
