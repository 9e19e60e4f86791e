"""Commands: arguments in, messages out; no algorithm. Here is what they share."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .exits import Exit, carry_out, exit_status, explain, fatal

__all__ = [
    "Exit",
    "Version",
    "carry_out",
    "exit_status",
    "explain",
    "fatal",
    "parse",
    "refuse_dash",
    "seconds",
    "share_processors",
    "version_text",
]


def share_processors() -> None:
    """Let threads that wait give way at once; call before torch is loaded.

    OpenMP threads spin while they wait for each other. Where other programs run they then wait for
    threads that are not even running: restoring was seen to take six times as long.
    """
    import os

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


def refuse_dash(parser: argparse.ArgumentParser, name: str, value: object) -> None:
    """Refuse `-`, standard input or output, by name where a file has to be moved about in."""
    if str(value) == "-":
        parser.error(
            f"{name}: '-' is no file that can be moved about in, as is needed: give a name"
        )


def seconds(text: str) -> float:
    """An argument in seconds, or [hours:]minutes:seconds."""
    try:
        total = 0.0
        for part in text.split(":"):
            total = total * 60 + float(part)
        return total
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be seconds or mm:ss") from None


class Version(argparse.Action):
    """`--version`: ours, the schema's and the libraries', loaded for nothing else."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: object) -> None:
        """An option without a value."""
        super().__init__(option_strings, dest, nargs=0, help="versions of davd and what it uses")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print and leave."""
        print(version_text())
        raise SystemExit(0)


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
