"""Priors of a video without a file that stays: one small function, the rest of the viewer's."""

import tempfile
from pathlib import Path

from ..extract import extract
from ..priors.reader import PriorsFile


def open_priors(path: Path) -> PriorsFile:
    """A priors file, or a video's priors in a file that is gone with the process."""
    with open(path, "rb") as file:
        if file.read(8) == b"\x89HDF\r\n\x1a\n":
            return PriorsFile(path)
    with tempfile.TemporaryDirectory(prefix="davd-view-") as folder:
        target = Path(folder) / f"{path.stem}.h5"
        extract(path, target, motion=True, modes=True, audio=False)
        priors = PriorsFile(target)
        len(priors)
        return priors
