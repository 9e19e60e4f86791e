"""The tracks beside the picture - sound, subtitles, chapters - for the restored video."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
import h5py

from ...bitstream import Priors
from ...bitstream.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Buffer  # of Python 3.12 on


class _Bytes(io.RawIOBase):
    """A one-dimensional uint8 dataset as a file, read as it is asked for."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._dataset)}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._dataset[self._place : self._place + len(view)].tobytes()
        view[: len(data)] = data
        self._place += len(data)
        return len(data)


def stored_tracks(
    priors: Priors,
    *,
    start: float | None = None,
    end: float | None = None,
    shift: float = 0.0,
) -> Tracks:
    """The tracks that a priors file keeps, on the video's clock.

    Args:
        priors: With `audio/original`.
        start: Leave out packets that end before this time, seconds; None: from the first.
        end: Leave out packets from this time on.
        shift: Seconds by which the sound is moved, later if positive.

    Raises:
        KeyError: The priors file keeps none.
        ValueError: What it keeps cannot be read.
    """
    dataset = priors.dataset("audio/original")

    def opened() -> "av.container.InputContainer":
        return av.open(io.BufferedReader(_Bytes(dataset), 1 << 16), format="matroska")

    try:
        first = float(dataset.attrs["start_time"])
        return Tracks(opened, start=start, end=end, shift=shift, first=first)
    except av.error.FFmpegError as error:
        raise ValueError(f"{priors.path}: its sound track cannot be read: {error}") from None


def source_tracks(
    video: Path, *, start: float | None = None, end: float | None = None, shift: float = 0.0
) -> Tracks:
    """The tracks of a video, on its own clock; as for `stored_tracks`.

    Raises:
        ValueError: They cannot be read.
    """
    try:
        return Tracks(video, start=start, end=end, shift=shift)
    except av.error.FFmpegError as error:
        raise ValueError(f"{video}: its tracks cannot be read: {error}") from None
