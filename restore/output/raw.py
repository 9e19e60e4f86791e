"""The writers for raw video and for HDF5: `.y4m`, `.yuv`, `.h5`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from ...bitstream import Priors
from .video import CHROMA_NAMES, VideoFormat, VideoWriter

FORMAT = "davd-restored"
VERSION = 1


class RawWriter(VideoWriter):
    """Planes after planes, in a file of bytes; over 8 bit two bytes a sample, the low one first.

    Args:
        path: Where to.
        format: Of the pictures.
        y4m: Write the headers of YUV4MPEG2. It knows one frame rate, the mean.
    """

    def __init__(self, path: Path, format: VideoFormat, *, y4m: bool) -> None:
        """Open the file and write its header."""
        self._file = open(path, "wb")  # noqa: SIM115 closed in close()
        self._mark = b"FRAME\n" if y4m else b""
        if y4m:
            self._file.write(y4m_header(format))

    def write(self, planes: Sequence[np.ndarray], pts: int) -> None:
        """Add a picture."""
        self._file.write(self._mark)
        for plane in planes:
            kind = plane.dtype.newbyteorder("<")
            self._file.write(np.ascontiguousarray(plane.astype(kind)).tobytes())

    def finish(self) -> None:
        """Nothing is missing."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def y4m_header(format: VideoFormat) -> bytes:
    """The first line of a YUV4MPEG2 file."""
    wide = "" if format.depth == 8 else f"p{format.depth}"
    if format.chroma == "4:0:0":
        kind = f"mono{format.depth}" if wide else "mono"
    else:
        kind = CHROMA_NAMES[format.chroma] + (wide or ("mpeg2" if format.chroma == "4:2:0" else ""))
    return (
        f"YUV4MPEG2 W{format.width} H{format.height} "
        f"F{format.rate.numerator}:{format.rate.denominator} I{format.field_order[0]} "
        f"A{format.aspect.numerator}:{format.aspect.denominator} C{kind} "
        f"XCOLORRANGE={'FULL' if format.full_range else 'LIMITED'}\n"
    ).encode()


class ArrayWriter:
    """An HDF5 file of restored planes in coded size, to be laid beside the priors file.

    `restored/{y,cb,cr}` `[N, Hp, Wp]`, `frames/pts`, `frames/time` and `frames/index` (the frame's
    place in the priors file); crop, colour and time attributes are the priors file's.

    Args:
        path: Where to.
        priors: The file that is restored.
        settings: What is written down of how it was made.
    """

    def __init__(self, path: Path, priors: Priors, settings: Mapping[str, object]) -> None:
        """Make the datasets."""
        self._priors = priors
        self._file = h5py.File(path, "w", locking=False)  # whoever made the file holds its lock
        kept = ("codec", "schema_version", "davd_version", "verified", "complete", "encoder")
        attributes = {k: v for k, v in priors.attrs.items() if k not in kept}
        attributes |= {"format": FORMAT, "version": VERSION}
        attributes |= {f"restore_{k}": str(v) for k, v in settings.items()}
        self._file.attrs.update(attributes)
        for name in priors.planes:
            stored = priors.dataset(f"decoded/{name}")
            shape = stored.shape[1:]
            self._file.create_dataset(
                f"restored/{name}", (0, *shape), stored.dtype, maxshape=(None, *shape),
                chunks=(1, *shape), compression="gzip", compression_opts=1, shuffle=True,
            )  # fmt: skip
        for name, kind in (("pts", "i8"), ("time", "f8"), ("index", "i4")):
            self._file.create_dataset(
                f"frames/{name}", (0,), kind, maxshape=(None,), chunks=(4096,)
            )

    def add(self, planes: Sequence[np.ndarray], index: int) -> None:
        """Add a picture of coded size, and its index in the priors file."""
        values = {f"restored/{n}": p for n, p in zip(self._priors.planes, planes, strict=True)}
        values["frames/index"] = np.asarray(index, np.int32)
        for column in ("pts", "time"):
            values[f"frames/{column}"] = self._priors.column(column)[index]
        for path, value in values.items():
            dataset = self._file[path]
            dataset.resize(len(dataset) + 1, axis=0)
            dataset[-1] = value

    def finish(self) -> None:
        """Say that nothing is missing."""
        self._file.attrs["complete"] = True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
