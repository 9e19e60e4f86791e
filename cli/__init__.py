"""Commands: arguments in, messages out; no algorithm. Here is what they share."""

import argparse
import contextlib
import math
import os
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from .exits import Exit, carry_out, exit_status, explain

__all__ = [
    "Exit",
    "Version",
    "carry_out",
    "exit_status",
    "explain",
    "finite",
    "number",
    "parse",
    "rate_factor",
    "refuse_input",
    "refuse_stream",
    "seconds",
    "share_processors",
    "version_text",
    "whole",
]


def share_processors() -> None:
    """Let threads that wait give way at once; call before torch is loaded.

    OpenMP threads spin while they wait for each other. Where other programs run they then wait for
    threads that are not even running: restoring was seen to take six times as long.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line in which names of files may begin with a dash.

    What is no option of the command is a name where there is such a file, or where an option before
    it waits for one.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    options = {name: action for action in parser._actions for name in action.option_strings}
    for i, text in enumerate(given):
        if len(text) < 2 or text[0] != "-" or text.partition("=")[0] in options:
            continue
        if text == "--":
            break
        before = options.get(given[i - 1]) if i else None
        awaited = before is not None and before.nargs is None and before.type in (None, Path)
        if awaited or os.path.lexists(text):
            given[i] = os.path.join(os.curdir, text)
    return parser.parse_args(given)


def refuse_stream(
    parser: argparse.ArgumentParser, name: str, value: str | os.PathLike[str] | None
) -> None:
    """Refuse `-`, pipes and devices, by name, where a file has to be moved about in or replaced."""
    if value is not None and (str(value) == "-" or _is_stream(value)):
        parser.error(
            f"{name}: {str(value)!r} is no file that can be moved about in, as is needed: give "
            "the name of one"
        )


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether there is something under a name that is neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def refuse_input(output: str | os.PathLike[str], *inputs: str | os.PathLike[str]) -> None:
    """Refuse an output that is one of the files that are read, by whatever name.

    Raises:
        ValueError: It is.
    """
    for path in inputs:
        with contextlib.suppress(OSError):  # said where it is opened
            if os.path.samefile(output, path):
                raise ValueError(f"{output} is the input itself; choose another name")


def seconds(text: str) -> float:
    """An argument in seconds, or [hours:]minutes:seconds."""
    total = 0.0
    try:
        for part in text.split(":"):
            total = total * 60 + float(part)
    except ValueError:
        total = math.nan
    if not math.isfinite(total):
        raise argparse.ArgumentTypeError(f"{text!r}: must be seconds or mm:ss")
    return total


def finite(text: str) -> float:
    """A number that is no infinity and not none at all."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number")
    return value


def number(least: float, most: float = math.inf) -> Callable[[str], float]:
    """A type of arguments: finite numbers between bounds."""

    def within(text: str) -> float:
        value = finite(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: must be {_bounds(least, most)}")
        return value

    return within


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """A type of arguments: whole numbers between bounds."""

    def within(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: must be {_bounds(least, most)}")
        return value

    return within


rate_factor = whole(0, 51)
"""A type of arguments: rate factors of x264 and x265."""


def _bounds(least: float, most: float) -> str:
    return f"{least} or more" if math.isinf(most) else f"{least} to {most}"


class Version(argparse.Action):
    """`--version`: ours, the schema's and the libraries', loaded for nothing else."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: object) -> None:
        """An option without a value."""
        super().__init__(option_strings, dest, nargs=0, help="versions of davd and what it uses")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print and leave."""
        raise SystemExit(carry_out(parser.prog, lambda: print(version_text())))


def version_text() -> str:
    """One line per thing that has a version."""
    from importlib.metadata import PackageNotFoundError, version

    from davd.bitstream.priors.schema import SCHEMA_VERSION

    from davd import __version__

    lines = [f"davd {__version__} (priors schema {SCHEMA_VERSION})"]
    for package in ("numpy", "h5py", "av", "isal", "torch"):
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} is not installed")
    return "\n".join(lines)
