"""One timeline: which packet each frame comes from, and when it is shown.

The whole stream is gone through once, without slice data: the frames that a player shows, their
order, and their times by the rule of `stamps.py`. Rows, ranges and verification rest on that.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from ._core import CorruptStreamError, StreamInfo
from .codecs import Decoder
from .coded import CodedVideo
from .demux import INVENTED_RATE, Packet, Source
from .stamps import increasing, usual_step

_ABSENT = -1  # of frames that are not shown


class Entry(NamedTuple):
    """Where decoding may begin.

    Attributes:
        packet: Number of the packet in which the picture begins: IDR, or IRAP in HEVC.
        row: Of it; all frames from there on can be decoded from it.
        order: Place of its picture in decoding order.
        closed: Frames that come after it are shown after it. From another one (CRA) those that are
            shown before it cannot all be decoded.
    """

    packet: int
    row: int
    order: int
    closed: bool = True


_BEGINNING = Entry(0, 0, 0)


@dataclass(frozen=True)
class Selection:
    """Which frames are wanted, and where decoding has to start for them.

    Attributes:
        entry: there.
        first: Row of the first wanted frame.
        stop: Row of the one after the last.
    """

    entry: Entry
    first: int
    stop: int

    @property
    def count(self) -> int:
        """How many frames are wanted."""
        return self.stop - self.first


@dataclass
class Timeline:
    """What `look_through` found; a row is a frame that is shown, in the order of showing.

    Attributes:
        source: The video.
        packets: By row, the number of the packet with the first slice of the frame.
        pts: By row, strictly increasing, in units of `time_base`.
        rows: By place in decoding order, the row; -1 for frames that are not shown.
        entries: Where decoding may begin.
        pocs: By row, PicOrderCnt as it is where decoding begins with the first packet.
        formats: By row from which on they hold, the properties of sequences, as they are shown.
        time_base: Seconds a unit of `pts` lasts.
        rate: Frames a second, the mean where it varies.
        invented: Neither container nor stream has times.
        step: Between two frames, usually, in units of `time_base`.
        length: Of the last frame, likewise.
        kept: The container's times are these, none had to be mended.
        patient: The stream's promise of how far frames are reordered is not to be believed.
        coded: All packets, where they were kept.
    """

    source: Source
    packets: "array[int]" = field(default_factory=lambda: array("l"))
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    rows: "array[int]" = field(default_factory=lambda: array("l"))
    pocs: "array[int]" = field(default_factory=lambda: array("l"))
    entries: list[Entry] = field(default_factory=list)
    formats: list[tuple[int, StreamInfo]] = field(default_factory=list)
    time_base: Fraction = Fraction(0)
    rate: Fraction = Fraction(0)
    invented: bool = False
    step: int = 1
    length: int = 1
    kept: bool = False
    patient: bool = False
    coded: CodedVideo | None = None

    def __len__(self) -> int:
        """How many frames are shown."""
        return len(self.packets)

    def read(self, faults: dict[str, int] | None = None) -> Iterator[Packet]:
        """All packets in decoding order, those kept or the file's; as `Source.packets`."""
        return self.source.packets(faults) if self.coded is None else iter(self.coded.packets)

    def time(self, row: int) -> float:
        """When a frame is shown, seconds; for the row after the last, when that one ends."""
        pts = self.pts[row] if row < len(self) else self.pts[-1] + self.length
        return pts * self.time_base.numerator / self.time_base.denominator

    def info(self, row: int) -> StreamInfo:
        """Properties of a frame's sequence, as a player shows it."""
        return self.formats[bisect_right(self.formats, row, key=lambda item: item[0]) - 1][1]

    def entry(self, row: int) -> Entry:
        """The last place from which decoding gives a frame exactly."""
        at = bisect_right(self.entries, row, key=lambda entry: entry.row)
        return self.entries[at - 1] if at else _BEGINNING

    def span(
        self,
        *,
        start: float | None = None,
        end: float | None = None,
        frames: tuple[int, int | None] | None = None,
    ) -> range:
        """Rows of a range.

        Args:
            start: Seconds from the first frame.
            end: Seconds from the first frame; the frame at this time is left out.
            frames: Rows of the first frame and of the one after the last (None: to the end),
                instead of times.

        Raises:
            ValueError: A range without frames.
        """
        low, high = frames or (0, None)
        empty = (high is not None and high <= low) or low < 0
        if empty or (end is not None and end <= (start or 0.0)):
            raise ValueError(f"an empty range: {frames if frames else (start, end)}")
        if frames is None and len(self):
            low = self._first_from(start or 0.0)
            high = None if end is None else self._first_from(end)
        if low >= len(self) and (low or high is not None):
            raise ValueError(f"the range begins after the last of {len(self)} frames")
        return range(low, len(self) if high is None else min(high, len(self)))

    def _first_from(self, seconds: float) -> int:
        """Row of the first frame at a time or after, counted from the first frame."""
        exact = exactly(seconds) / self.time_base
        return bisect_left(self.pts, self.pts[0] - (-exact.numerator // exact.denominator))

    def select(self, rows: range) -> Selection:
        """What has to be decoded for rows, from the first of the stream for all of them."""
        entry = self.entry(rows.start) if rows.start else _BEGINNING
        return Selection(entry, rows.start, rows.stop)

    def decoder(self, parameter_sets: bytes = b"", *, threads: int = 1, **taps: bool) -> Decoder:
        """A decoder for the source's packets, from one on before which these sets were sent."""
        return self.source.codec.decoder(
            extradata=self.source.parameter_sets + parameter_sets,
            units=not self.source.bare,
            patient=self.patient,
            threads=threads,
            **taps,
        )


def exactly(seconds: float) -> Fraction:
    """What was meant by a decimal number of seconds."""
    return Fraction(seconds).limit_denominator(1_000_000)


def look_through(source: Source, *, keep: int = 0) -> Timeline:
    """Find the frames of a video, their order and their times.

    Args:
        source: The video.
        keep: Bytes that its packets may have to be kept for decoding. To open a container again
            takes as long as to decode a few frames. One with faults is read again all the same, so
            that they are counted where they lie.

    Raises:
        VideoError: Its pictures are encrypted.
        UnsupportedStreamError: The stream needs what is not implemented; the message names it.
    """
    timeline, late = _looked_through(source, patient=False, keep=keep)
    if late:
        timeline, _ = _looked_through(source, patient=True, keep=keep)
    return timeline


def _looked_through(source: Source, *, patient: bool, keep: int) -> tuple[Timeline, bool]:
    timeline = Timeline(source, patient=patient)
    decoder = timeline.decoder(headers=True, prediction=False, residual=False, level=False)
    stamps, decoded = _Stamps(), 0
    faults: dict[str, int] = {}
    coded: list[Packet] = []
    last: StreamInfo | None = None

    def collect() -> None:
        nonlocal decoded, last
        while (frame := decoder.receive(skip=True)) is not None:
            packet, order, row = frame.pts or 0, frame.decode_order, len(timeline)
            timeline.rows.extend([_ABSENT] * (order + 1 - len(timeline.rows)))
            if frame.keyframe:
                timeline.entries.append(Entry(packet, row, order))
            if packet in stamps.hidden:
                continue
            timeline.rows[order] = row
            timeline.packets.append(packet)
            timeline.pocs.append(frame.poc)
            if frame.stream is not last:
                last = frame.stream
                timeline.formats.append((row, source.shown(last)))

    for number, packet in enumerate(source.packets(faults)):
        stamps.add(packet.pts, packet.dts, packet.duration, packet.hidden)
        keep -= len(packet.data)
        if keep >= 0:
            coded.append(packet)
        try:
            decoder.send(packet.data, number)
        except CorruptStreamError:  # counted when it is decoded
            continue
        collect()
    decoder.flush()
    collect()
    _tell_closed(timeline)
    _set_times(timeline, stamps)
    if keep >= 0 and not faults:
        timeline.coded = CodedVideo(coded, source.codec.nals)
    return timeline, "late_pictures" in decoder.warnings


def _tell_closed(timeline: Timeline) -> None:
    for k, entry in enumerate(timeline.entries):
        is_last = k + 1 == len(timeline.entries)
        end = len(timeline.rows) if is_last else timeline.entries[k + 1].order
        after = timeline.rows[entry.order + 1 : end]
        closed = not any(0 <= row < entry.row for row in after)
        timeline.entries[k] = entry._replace(closed=closed)


class _Stamps:
    """What a container says of the times of its packets."""

    def __init__(self) -> None:
        self.pts: list[int | None] = []
        self.dts: list[int | None] = []
        self.durations = array("q")
        self.hidden: set[int] = set()

    def add(self, pts: int | None, dts: int | None, duration: int, hidden: bool) -> None:
        """A packet's."""
        if hidden:
            self.hidden.add(len(self.pts))
        self.pts.append(pts)
        self.dts.append(dts)
        self.durations.append(duration)

    def of(self, packets: Iterable[int]) -> list[int | None]:
        """Presentation times of packets; decoding times where the container has only those."""
        numbers = list(packets)
        found = [self.pts[number] for number in numbers]
        return found if any(x is not None for x in found) else [self.dts[n] for n in numbers]


def _set_times(timeline: Timeline, stamps: _Stamps) -> None:
    source = timeline.source
    timeline.rate, timeline.time_base = source.frame_rate, source.time_base
    if source.bare:
        info = timeline.formats[0][1] if timeline.formats else None
        timeline.rate, timeline.invented = bare_frame_rate(info)
        timeline.time_base = 1 / timeline.rate
        timeline.pts.extend(range(len(timeline)))
        return
    found = stamps.of(timeline.packets)
    by_rate = max(1, round(1 / (timeline.rate * timeline.time_base)))
    timeline.step = usual_step(found, by_rate)
    timeline.pts.extend(increasing(found, timeline.step, timeline.time_base))
    timeline.kept = timeline.pts.tolist() == found
    timeline.length = timeline.step
    if len(timeline):
        timeline.length = stamps.durations[timeline.packets[-1]] or timeline.step


def bare_frame_rate(info: StreamInfo | None) -> tuple[Fraction, bool]:
    """Frame rate of a bare stream and whether it was invented (E.2.1: a frame is two ticks)."""
    if info is not None and info.num_units_in_tick and info.time_scale:
        rate = Fraction(info.time_scale, 2 * info.num_units_in_tick)
        if 0 < rate <= 1000:
            return rate, False
    return INVENTED_RATE, True
