"""A file of any kind that appears under its name only when it is finished."""

import os
from pathlib import Path
from typing import Self

from .priors.part import check_output, make_part


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
            OutputError: The folder is missing or cannot be written to.
        """
        check_output(path, overwrite=overwrite)
        self.path = path
        self.part = make_part(path)

    def commit(self) -> None:
        """Give the finished file its name."""
        with open(self.part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self.part, self.path)

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not finished."""
        self.part.unlink(missing_ok=True)
