"""The clean reference: the frames that the encoder saw, read by number.

A clean file is FFV1 (every frame a key frame, lossless) at a constant frame rate, so frame `k` is
found by its time and costs one seek and one decode: 1.3 ms at 224x224.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]


class CleanVideo:
    """A clean reference; opened when first read, once in every process.

    May be pickled and may cross a fork. Not thread-safe.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Take note of the file.

        Args:
            path: a clip that `crop.crop_clip` wrote.
        """
        self.path = Path(path)
        self._owner = 0
        self._container = None
        self._next = 0  # frame that the decoder gives next without a seek

    def __getstate__(self) -> dict[str, object]:
        """Leave the open file behind."""
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        """Start closed."""
        self.__init__(state["path"])  # type: ignore[misc]

    def __enter__(self) -> CleanVideo:
        """Return the reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; reading again opens it again."""
        if self._container is not None and self._owner == os.getpid():
            self._container.close()
        self._container = None

    def _open(self) -> None:
        import av

        self._container = av.open(str(self.path))
        self._owner = os.getpid()
        self._video = self._container.streams.video[0]
        self._video.codec_context.thread_count = 1
        self._rate = Fraction(self._video.average_rate)
        self._decoder = self._container.decode(self._video)
        self._next = 0
        self._count: int | None = None

    def _ready(self) -> None:
        if self._container is None or self._owner != os.getpid():
            self._open()

    @property
    def fps(self) -> Fraction:
        """Frames a second."""
        self._ready()
        return self._rate

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        self._ready()
        return self._video.codec_context.width, self._video.codec_context.height

    def __len__(self) -> int:
        """Return the number of frames."""
        self._ready()
        if self._count is None:
            self._container.seek(0)
            self._count = sum(1 for packet in self._container.demux(self._video) if packet.size)
            self._seek(0)
        return self._count

    def _seek(self, frame: int) -> None:
        time = int(frame / self._rate / self._video.time_base + Fraction(1, 2))
        self._container.seek(time, stream=self._video)
        self._decoder = self._container.decode(self._video)
        self._next = frame

    def _decode(self, frame: int) -> Planes:
        if frame != self._next:
            self._seek(frame)
        for picture in self._decoder:
            at = round(picture.pts * picture.time_base * self._rate)
            if at >= frame:
                self._next = at + 1
                if at > frame:
                    break
                return _planes(picture)
        self._next = -1
        raise IndexError(f"{self.path.name} has no frame {frame}; it has {len(self)}")

    def __getitem__(self, frame: int) -> Planes:
        """Return frame `frame` as `[H, W]`, `[H/2, W/2]`, `[H/2, W/2]` uint8: Y, Cb, Cr.

        Raises:
            IndexError: there is no such frame.
        """
        self._ready()
        frame = frame + len(self) if frame < 0 else frame
        return self._decode(frame)

    def read(self, start: int, stop: int) -> Planes:
        """Return frames `start` to `stop - 1` as `[T, H, W]` and two `[T, H/2, W/2]` uint8.

        Raises:
            IndexError: one of them does not exist.
            ValueError: nothing is asked for.
        """
        if not 0 <= start < stop:
            raise ValueError(f"frames {start} to {stop} are none; 0 <= start < stop is allowed")
        frames = [self[k] for k in range(start, stop)]
        y, cb, cr = (np.stack(plane) for plane in zip(*frames, strict=True))
        return y, cb, cr


def _planes(picture) -> Planes:  # noqa: ANN001 - av.VideoFrame, imported late
    """Copy the three planes of a yuv420p frame."""
    out = []
    for plane in picture.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        out.append(rows[: plane.height, : plane.width].copy())
    return out[0], out[1], out[2]
