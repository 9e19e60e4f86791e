"""How a command leaves: one table of exit statuses, and the one place where errors become them."""

import errno
import io
import os
import signal
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from types import FrameType


class Exit(IntEnum):
    """Exit statuses of every command of davd."""

    DONE = 0
    INPUT = 1
    USAGE = 2
    UNSUPPORTED = 3
    DAMAGED = 4
    EXISTS = 5
    OUTPUT = 6
    PARTLY = 7
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS = {
    Exit.DONE: "done",
    Exit.INPUT: "the input cannot be used: missing, no video, incomplete, or not what is needed",
    Exit.USAGE: "the command line is wrong",
    Exit.UNSUPPORTED: "the video needs what davd does not do: another codec, or another kind of "
    "H.264 or HEVC",
    Exit.DAMAGED: "the video is damaged, and --strict asks for a whole one",
    Exit.EXISTS: "the output exists; -f replaces it",
    Exit.OUTPUT: "the output cannot be written: no space, no such folder, no permission",
    Exit.PARTLY: "some files of several could not be done; the others are",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
    Exit.TERMINATED: "terminated (SIGTERM, or SIGHUP where the terminal is closed)",
}
"""The table, in words; docs/commands.md shows it."""

PACKAGES = {
    "cv2": "'opencv-python-headless<5'",
    "dask": "'dask[distributed]'",
    "distributed": "'dask[distributed]'",
    "ffmpeg": "ffmpeg-python imageio-ffmpeg",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "skimage": "scikit-image",
    "torch.utils.tensorboard": "tensorboard",
}
"""What pip is to install for a module that is not called like its package, as a shell takes it."""

_AGAIN = 0.01  # seconds until a signal that came at a bad time is sent again
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class Terminated(BaseException):
    """SIGTERM or SIGHUP has come; raised in the main thread: what was begun is cleared away."""


def carry_out(
    program: str, work: Callable[[], int | None], *, kept: str = "nothing was kept"
) -> int:
    """Run a command's work; errors become one line on stderr and an exit status.

    Args:
        program: Name of the command, before the line.
        work: Does everything; returns an exit status, or None where all is done.
        kept: What is left behind when it is interrupted.

    Returns:
        The exit status.
    """
    _open_streams()
    try:
        with _terminable():
            status = work() or Exit.DONE
            sys.stdout.flush()
            return status
    except BrokenPipeError:  # the reader of stdout has seen enough, as in `davd-inspect ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except KeyboardInterrupt:
        _say(program, f"interrupted, {kept}")
        return Exit.INTERRUPTED
    except Terminated:
        _say(program, f"terminated, {kept}")
        return Exit.TERMINATED
    except (ArithmeticError, ImportError, LookupError, OSError, RuntimeError, ValueError) as error:
        _say(program, explain(error))
        return exit_status(error)
    except MemoryError as error:
        _say(program, str(error) or "out of memory")
        return Exit.INPUT
    except Exception as error:
        if not _is_ffmpegs(error):
            raise
        _say(program, explain(error))
        return Exit.INPUT


def _open_streams() -> None:
    """Lead standard streams that are closed nowhere: else files would get their numbers.

    A name that is not in UTF-8 can be printed as it is.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest that is free
            pass
        os.close(number)
        sys.stdout = sys.stdout or open(1, "w", closefd=False)
        sys.stderr = sys.stderr or open(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


def _say(program: str, text: str) -> None:
    print(f"{program}: {' '.join(text.split())}", file=sys.stderr)


def exit_status(error: BaseException) -> Exit:
    """The exit status that belongs to an error."""
    from davd.bitstream import (
        CodecError,
        CorruptStreamError,
        OutputError,
        UnsupportedStreamError,
    )

    if isinstance(error, UnsupportedStreamError | CodecError):
        return Exit.UNSUPPORTED
    if isinstance(error, CorruptStreamError):
        return Exit.DAMAGED
    if isinstance(error, FileExistsError):
        return Exit.EXISTS
    if _is_unreadable(error):
        return Exit.INPUT
    if isinstance(error, OutputError) or is_full(error) or _number(error) in _CLOSED:
        return Exit.OUTPUT
    return Exit.INPUT


def explain(error: BaseException) -> str:
    """What a user can do about an error, in one line."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = PACKAGES.get(error.name, error.name.partition(".")[0])
        return f"this needs the module {error.name}, which is not installed: pip install {package}"
    if isinstance(error, RuntimeError) and "out of memory" in str(error):
        return "out of memory: give smaller tiles with --tile, or --device cpu"
    if _says(error, (errno.EFBIG,)):
        return (
            "the output grew larger than a file may be there (by ulimit -f, or the format of the "
            "disk): nothing was written; choose another folder with -o"
        )
    if is_full(error):
        where = getattr(error, "filename", None)
        if where and Path(where).is_relative_to(tempfile.gettempdir()):
            return f"{tempfile.gettempdir()} is full: name a folder with room by TMPDIR"
        disk = f"the disk that holds {where} is full" if where else "the disk is full"
        return f"{disk}: nothing was written; make room, or choose another folder with -o"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _is_unreadable(error: BaseException) -> bool:
    """Whether it is about a file that is there and may not be read: outputs are ours to read."""
    path = error.filename if isinstance(error, PermissionError) else None
    return path is not None and os.path.lexists(path) and not os.access(path, os.R_OK)


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no room."""
    return _says(error, _FULL) or "No space left" in str(error)


def _says(error: BaseException, numbers: Sequence[int]) -> bool:
    """Whether an error has one of some numbers; HDF5 says so in its own words."""
    text = str(error)
    return _number(error) in numbers or any(f"errno = {n}," in text for n in numbers)


def _is_ffmpegs(error: Exception) -> bool:
    """Whether FFmpeg raised it; some of its errors are no builtin ones."""
    return "av.error" in sys.modules and isinstance(error, sys.modules["av.error"].FFmpegError)


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the work as Ctrl-C does; only the main thread may ask for that.

    SIGHUP stays ignored where it is, as under nohup. A signal that comes while Python runs code
    whose exceptions it drops - the callback of a weak reference, a finaliser - is sent again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if _drops_exceptions(frame):
            again = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    names = (name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
    numbers = [number for name in names if _ends(number := getattr(signal, name))]
    before = [(number, signal.signal(number, stop)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _drops_exceptions(frame: FrameType | None) -> bool:
    """Whether an exception raised in a frame would be printed and forgotten."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename == weakref.__file__:
            return True
        frame = frame.f_back
    return False


def _ends(number: int) -> bool:
    return signal.getsignal(number) is not signal.SIG_IGN
