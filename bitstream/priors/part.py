"""A file that bears another name until it is whole."""

from pathlib import Path


class OutputError(OSError):
    """An output cannot be written where it was asked for; the message says why and what to do."""


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuse a name under which nothing can be written, before any work is done.

    Raises:
        OutputError: It is a folder, or its folder is missing.
        FileExistsError: There is such a file and `overwrite` is not set.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give a file name with -o")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; -f replaces it")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is not a folder; make it, or choose another with -o")


def part_of(path: Path) -> Path:
    """What an output is called until it is whole."""
    return path.with_name(path.name + ".part")


def make_part(path: Path) -> Path:
    """Make the empty file `NAME.part` beside an output, and return its path.

    Raises:
        OutputError: Nothing can be made in that folder.
    """
    part = part_of(path)
    try:
        part.touch()
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror} in {path.parent}; "
            "choose another folder with -o"
        ) from error
    return part
