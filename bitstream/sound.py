"""The sound of a video as mono 16 kHz samples on its clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np

from .demux import Source, open_container, read_packets
from .stamps import TICK, increasing, usual_step

SAMPLE_RATE = 16000  # Hz
_SILENCE = 30 * SAMPLE_RATE  # samples of a block of silence, at most
_JITTER = 0.02  # seconds that time stamps may be off before samples are put in or left out


@dataclass
class Sound:
    """Sound while it is being decoded.

    Attributes:
        start_time: Time of the first sample, seconds on the video's clock; set with the first
            block.
        samples: Samples handed out so far.
        faults: Packets that could not be decoded; their time is silence.
    """

    source: Source
    start: float | None = None
    end: float | None = None
    start_time: float = 0.0
    samples: int = 0
    faults: int = 0

    def blocks(self) -> Iterator[np.ndarray]:
        """Pieces of mono int16 samples at `SAMPLE_RATE`, from `start` to `end` (None: all).

        Silence fills gaps of the time stamps, and what overlaps is left out, so that sample k is
        heard at `start_time + k / SAMPLE_RATE`.
        """
        first: float | None = None
        for time, block in self._pieces():
            if first is None:
                first = time
                self.start_time = time if self.start is None else max(time, self._on_grid(time))
            skip = round((self.start_time - time) * SAMPLE_RATE) + self.samples
            while skip < 0:
                gap = min(-skip, _SILENCE)
                yield from self._limited(np.zeros(gap, np.int16))
                skip += gap
            yield from self._limited(block[max(0, skip) :])
            if self.end is not None and time > self.end:
                return

    def _on_grid(self, time: float) -> float:
        """The first sample time at or after `start`, of samples that begin at `time`."""
        assert self.start is not None
        return time - (time - self.start) * SAMPLE_RATE // 1 / SAMPLE_RATE

    def _limited(self, block: np.ndarray) -> Iterator[np.ndarray]:
        if self.end is not None:
            room = round((self.end - self.start_time) * SAMPLE_RATE) - self.samples
            block = block[: max(0, room)]
        if len(block):
            self.samples += len(block)
            yield block

    def _pieces(self) -> Iterator[tuple[float, np.ndarray]]:
        """Resampled blocks with the time of their first sample."""
        resampler = _resampler()
        begin, taken, given = 0.0, 0.0, 0  # seconds taken in and samples given out since `begin`
        kind: tuple[object, ...] = ()
        for frame in self._frames():
            time = begin + taken if frame.time is None else frame.time
            was, kind = kind, (frame.format.name, frame.layout.name, frame.sample_rate)
            if kind != was or abs(time - begin - taken) > _JITTER:
                for block in _resampled(resampler, None):
                    yield begin + given / SAMPLE_RATE, block
                    given += len(block)
                resampler, begin, taken, given = _resampler(), time, 0.0, 0
            taken += frame.samples / frame.sample_rate
            frame.pts = None  # the resampler is not to mend what is mended here
            for block in _resampled(resampler, frame):
                yield begin + given / SAMPLE_RATE, block
                given += len(block)
        for block in _resampled(resampler, None):
            yield begin + given / SAMPLE_RATE, block
            given += len(block)

    def _frames(self) -> Iterator[av.AudioFrame]:
        for packet in steady(self.source.path, self.source.sound):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self.faults += 1
                continue
            yield from (f for f in frames if isinstance(f, av.AudioFrame))


def whole_sound(source: Source) -> tuple[np.ndarray, int, float] | None:
    """All sound of a video at once.

    Returns:
        int16 `[S]`, samples a second, time of the first in seconds; None where it has no sound.
    """
    if source.sound < 0:
        return None
    sound = Sound(source)
    samples = np.concatenate([np.zeros(0, np.int16), *sound.blocks()])
    return samples, SAMPLE_RATE, sound.start_time


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)


def _resampled(resampler: av.AudioResampler, frame: av.AudioFrame | None) -> Iterator[np.ndarray]:
    if frame is None and resampler.format is None:
        return
    for out in resampler.resample(frame):
        yield out.to_ndarray().reshape(-1)


def steady(path: Path, index: int) -> Iterator[av.Packet]:
    """Packets of a stream, up to the first that cannot be read, with times that increase.

    They are gone through twice: the rule of `stamps.py` looks ahead.
    """
    with open_container(path) as container:
        stream = container.streams[index]
        ticks = Fraction(stream.time_base or 1) / TICK
        stamps = [
            packet.dts if packet.pts is None else packet.pts
            for packet in read_packets(container, stream)
            if packet.size
        ]
    found = [None if stamp is None else round(stamp * ticks) for stamp in stamps]
    times = iter(increasing(found, usual_step(found, 1), TICK))
    with open_container(path) as container:
        for packet in read_packets(container, container.streams[index]):
            if packet.size:
                packet.pts = packet.dts = round(next(times) / ticks)
            yield packet
