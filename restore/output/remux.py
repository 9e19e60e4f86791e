"""The sound track that a priors file keeps, packet by packet, for the restored video."""

import bisect
import io
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import av.error
import h5py

from ...bitstream import PriorsFile

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


class SoundTrack:
    """The video's own sound, packets untouched, on the video's clock.

    Args:
        priors: With `audio/original`.
        start: Leave out packets that end before this time, seconds; None: from the first.
        end: Leave out packets from this time on.
        shift: Seconds by which the sound is moved, later if positive.

    Attributes:
        first: Time of the first packet kept, seconds; None where none is kept.
        codec: Name of the codec.
    """

    def __init__(
        self,
        priors: PriorsFile,
        *,
        start: float | None = None,
        end: float | None = None,
        shift: float = 0.0,
    ) -> None:
        """Open the track.

        Raises:
            KeyError: The priors file keeps none.
            ValueError: What it keeps cannot be read.
        """
        dataset = priors.dataset("audio/original")
        self._limits = start, end
        try:
            stored = self._open(dataset)
            first = min(self._times(stored), default=None)
            stored.close()
            self._container = self._open(dataset)
        except av.error.FFmpegError as error:
            raise ValueError(f"{priors.path}: its sound track cannot be read: {error}") from None
        self.template = self._container.streams.audio[0]
        self.codec = self.template.codec_context.name
        # What the Matroska file calls the first time, and what it is on the video's clock.
        kept = Fraction(float(dataset.attrs["start_time"]) + shift).limit_denominator(10**6)
        self._move = kept - (first or Fraction(0))
        self._next = self._packets()
        self._held = next(self._next, None)
        self.first = None if self._held is None else float(self._held[0])

    @staticmethod
    def _open(dataset: h5py.Dataset) -> "av.container.InputContainer":
        return av.open(io.BufferedReader(_Bytes(dataset), 1 << 16), format="matroska")

    @staticmethod
    def _times(container: "av.container.InputContainer") -> list[Fraction]:
        """The smallest times among the first packets; decoding order may differ from time."""
        times: list[Fraction] = []
        for packet in container.demux(container.streams.audio[0]):
            if packet.size and packet.pts is not None:
                bisect.insort(times, packet.pts * packet.time_base)
                if len(times) == 16:
                    break
        return times

    def _packets(self) -> Iterator[tuple[Fraction, av.Packet]]:
        start, end = self._limits
        for packet in self._container.demux(self.template):
            if not packet.size or packet.pts is None:
                continue
            time = packet.pts * packet.time_base + self._move
            length = (packet.duration or 0) * packet.time_base
            if start is not None and time + length <= start:
                continue
            if end is not None and time >= end:
                return
            yield time, packet

    def until(self, time: float | None) -> Iterator[tuple[Fraction, av.Packet]]:
        """Packets not yet handed out that begin at or before a time; None: all that are left."""
        while self._held is not None and (time is None or self._held[0] <= time):
            yield self._held
            self._held = next(self._next, None)

    def close(self) -> None:
        """Close the track."""
        self._container.close()
