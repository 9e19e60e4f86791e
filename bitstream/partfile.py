"""A file of any kind that appears under its name only when it is finished."""

import contextlib
import os
from pathlib import Path
from typing import Self

from .priors.part import OutputError, check_output, make_part, part_of

try:
    import fcntl
except ImportError:  # Windows, where an open file is neither replaced nor removed anyway
    fcntl = None  # type: ignore[assignment]


class PartFile:
    """A file that appears under its name only when it is finished.

    As a context it is dropped unless `commit` was called.

    Args:
        path: The name.
        overwrite: Replace an existing file.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Make the part file, to learn early whether that is possible.

        Raises:
            FileExistsError: There is such a file and `overwrite` is not set.
            OutputError: The folder is missing or cannot be written to, or another run is writing
                the same file.
        """
        check_output(path, overwrite=overwrite)
        self.path = path
        self.part = make_part(path)
        self._lock = _lock(path)
        self._finished = False

    def commit(self) -> None:
        """Give the finished file its name."""
        with open(self.part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self.part, self.path)
        self._finished = True

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not finished."""
        if not self._finished:
            self.part.unlink(missing_ok=True)
        if self._lock >= 0:
            os.close(self._lock)


def refuse_busy(path: Path) -> None:
    """Refuse a name under which another run is about to put a file.

    HDF5 locks what it writes, as `PartFile` does. A part that a run has left that was killed is not
    locked.

    Raises:
        OutputError: There is such a run.
    """
    with contextlib.suppress(FileNotFoundError):
        if (lock := _lock(path)) >= 0:
            os.close(lock)


def _lock(path: Path) -> int:
    """Lock the part of a file for as long as the descriptor is open; -1 where there are no locks.

    Raises:
        FileNotFoundError: It has none.
        OutputError: Another run has.
    """
    if fcntl is None:
        return -1
    descriptor = os.open(part_of(path), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OutputError(
            f"{path} is being written by another run; wait for it, or choose another name"
        ) from None
    except OSError:  # a disk that knows no locks
        pass
    return descriptor
