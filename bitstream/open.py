"""One way to read priors: out of a priors file, or out of a video that is decoded when asked."""

import os
from collections.abc import Sequence
from pathlib import Path

import h5py

from .decode import Taps
from .priors.reader import PriorsFile
from .priors.reading import Priors
from .priors.schema import PLANE_GROUPS
from .video import PriorsVideo

_SUFFIXES = {".h5", ".hdf5"}


def open(  # noqa: A001 - as h5py's File and Python's own
    path: str | os.PathLike[str],
    *,
    planes: Sequence[str] = PLANE_GROUPS,
    motion: bool = True,
    modes: bool = True,
    bits: bool = True,
    stream: int | None = None,
    threads: int | None = None,
) -> Priors:
    """Open a priors file or a video with H.264 or HEVC in it for reading its priors.

    The rows, shapes, types and values of a video are those of the file that `davd-extract` would
    write of it. Nothing is decoded that is not asked for.

    Args:
        path: The file.
        planes: Of a video, what there is of `decoded`, `prediction`, `residual`, `level`.
        motion: Of a video, whether there are motion vectors.
        modes: Of a video, whether there are intra prediction modes.
        bits: Of a video, whether there is what the bits of a macroblock (HEVC: coding unit) were
            spent on.
        stream: Of a video, index of the video stream in it; None: as FFmpeg chooses.
        threads: Of a video, how many pieces of it are decoded at the same time where a call asks
            for several; None: as the machine has cores, at most 4.

    Raises:
        FileNotFoundError: There is none.
        PriorsError: A priors file of another version, or one that was never finished.
        VideoError: Neither a priors file nor a video that can be decoded.
        UnsupportedStreamError: The video needs what is not implemented; the message names it.
    """
    if Path(path).suffix.lower() in _SUFFIXES or h5py.is_hdf5(path):
        return PriorsFile(path)
    groups = (planes,) if isinstance(planes, str) else tuple(planes)
    return PriorsVideo(path, Taps(groups, motion, modes, bits), stream=stream, threads=threads)
