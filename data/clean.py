"""The clean reference: the frames that the encoder saw, read by number.

A clean file is FFV1 (every frame a key frame, lossless) at a constant frame rate, so frame `k` is
found by its time and costs one seek and one decode: 1.3 ms at 224x224.
"""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from ..bitstream.priors.handles import HANDLES

if TYPE_CHECKING:
    import av
    import av.video.plane

Picture = tuple[np.ndarray, np.ndarray, np.ndarray]


class CleanVideo:
    """A clean reference; opened when first read, once in every process.

    May be pickled and may cross a fork. Not thread-safe.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Take note of the file.

        Args:
            path: A clip that `crop.crop_clip` wrote.
        """
        self.path = Path(path)
        self._opened: _Opened | None = None
        self._frames: int | None = None

    def __getstate__(self) -> dict[str, object]:
        """Leave the open file behind."""
        return self.__dict__ | {"_opened": None}

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; reading again opens it again."""
        if self._opened is not None and self._opened.owner == os.getpid():
            self._opened.container.close()
        self._opened = None
        HANDLES.closed(self)

    def _file(self) -> "_Opened":
        if self._opened is None or self._opened.owner != os.getpid():
            self._opened = _Opened(self.path)
        HANDLES.used(self)
        return self._opened

    @property
    def fps(self) -> Fraction:
        """Frames a second."""
        return self._file().rate

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        video = self._file().video
        return video.width, video.height

    def __len__(self) -> int:
        """The number of frames."""
        if self._frames is None:
            self._frames = self._file().count()
        return self._frames

    def __getitem__(self, frame: int) -> Picture:
        """Frame `frame` as `[H, W]`, `[H/2, W/2]`, `[H/2, W/2]` uint8: Y, Cb, Cr.

        Raises:
            IndexError: There is no such frame.
        """
        at = frame + len(self) if frame < 0 else frame
        picture = self._file().decode(at)
        if picture is None:
            raise IndexError(f"{self.path.name} has no frame {frame}; it has {len(self)}")
        y, cb, cr = (plane_array(plane) for plane in picture.planes)
        return y, cb, cr

    def read(self, start: int, stop: int) -> Picture:
        """Frames `start` to `stop - 1` as `[T, H, W]` and two `[T, H/2, W/2]` uint8.

        Raises:
            IndexError: One of them does not exist.
            ValueError: Nothing is asked for.
        """
        if not 0 <= start < stop:
            raise ValueError(f"frames {start} to {stop} are none; 0 <= start < stop is allowed")
        frames = [self[k] for k in range(start, stop)]
        y, cb, cr = (np.stack(plane) for plane in zip(*frames, strict=True))
        return y, cb, cr


class _Opened:
    """The open file of one process."""

    def __init__(self, path: Path) -> None:
        from ..bitstream.demux import open_container

        self.owner = os.getpid()
        self.container = open_container(path)
        self.video = self.container.streams.video[0]
        self.video.codec_context.thread_count = 1
        self.rate = Fraction(self.video.average_rate or 0)
        self._next = -1  # frame that the decoder gives next without a seek
        self._decoder: Iterator[av.VideoFrame] = iter(())

    def count(self) -> int:
        """The number of frames."""
        self._seek(0)
        packets = self.container.demux(self.video)
        frames = sum(1 for packet in packets if packet.size > 0)
        self._next = -1
        return frames

    def _seek(self, frame: int) -> None:
        base = Fraction(self.video.time_base or 1)
        self.container.seek(int(frame / self.rate / base + Fraction(1, 2)), stream=self.video)
        self._decoder = self.container.decode(self.video)
        self._next = frame

    def decode(self, frame: int) -> "av.VideoFrame | None":
        """A frame, or None if there is none of that number."""
        if frame != self._next:
            self._seek(frame)
        for picture in self._decoder:
            time = Fraction(picture.pts or 0) * Fraction(picture.time_base or 1)
            at = round(time * self.rate)
            if at >= frame:
                self._next = at + 1
                return picture if at == frame else None
        self._next = -1
        return None


def plane_array(plane: "av.video.plane.VideoPlane") -> np.ndarray:
    """Copy a plane of 8-bit samples, `[H, W]`."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width].copy()
