"""Packets -> frame records: one run of a decoder over a stream, or the wanted part of it."""

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ._core import CorruptStreamError, Decoder, Frame, StreamInfo
from .annexb import join_nals
from .demux import INVENTED_RATE, Packet, Source
from .priors.record import ARRAYS, FACTS, FrameRecord
from .priors.schema import PLANE_GROUPS

NO_PTS = -(1 << 63)  # as in FFmpeg
_HELD = 17  # frames held back until their references have a display index: a full DPB and one
_OUTSIDE, _UNKNOWN = -2, -3  # display index of frames that are not wanted, and of those not out yet


@dataclass(frozen=True)
class Taps:
    """What is recorded of each frame beside the maps.

    Attributes:
        planes: of `decoded`, `prediction`, `residual`, `level`.
        motion: motion vectors and references.
        modes: intra prediction modes.
    """

    planes: tuple[str, ...] = PLANE_GROUPS
    motion: bool = False
    modes: bool = False

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            ValueError: a group of planes that does not exist.
        """
        if unknown := set(self.planes) - set(PLANE_GROUPS):
            names = ", ".join(PLANE_GROUPS)
            raise ValueError(f"planes {', '.join(sorted(unknown))}: must be of {names}")

    def decoder(self, extradata: bytes | None) -> Decoder:
        """A decoder that records this."""
        return Decoder(
            extradata=extradata,
            motion=self.motion,
            modes=self.modes,
            **{group: group in self.planes for group in PLANE_GROUPS},
        )


@dataclass(frozen=True)
class Selection:
    """Which frames are wanted, and where decoding has to start for them.

    Attributes:
        packet: first packet that has to be decoded; an IDR picture begins there.
        low: first wanted pts, or first wanted display index of a bare stream.
        high: first pts (index) no longer wanted; None: to the end.
        first: display index of the first wanted frame.
        count: wanted frames; None where that is not known.
    """

    packet: int = 0
    low: int | None = None
    high: int | None = None
    first: int = 0
    count: int | None = None

    def place(self, at: int | None) -> int:
        """-1 before, 0 inside, 1 after what is wanted, by pts (index); 0 when there is none."""
        if at is None or self.low is None or at >= self.low:
            return int(at is not None and self.high is not None and at >= self.high)
        return -1


def select(
    source: Source,
    *,
    start: float | None = None,
    end: float | None = None,
    frames: tuple[int, int | None] | None = None,
) -> Selection:
    """Find a range of frames.

    Args:
        source: the video.
        start: seconds from the first frame.
        end: seconds from the first frame; the frame at this time is left out.
        frames: display indices of the first frame and of the one after the last (None: to the end),
            instead of times.

    Raises:
        ValueError: a range without frames.
    """
    if start is None and end is None and frames is None:
        return Selection()
    low, high = frames or (0, None)
    if (high is not None and high <= low) or low < 0 or (end is not None and end <= (start or 0.0)):
        raise ValueError(f"an empty range: {frames if frames else (start, end)}")
    if source.bare:
        return _select_bare(source, start, end, low, high)
    packets = list(_times(source))
    shown = sorted(pts for pts, _, hidden in packets if not hidden)
    if frames is None:
        zero = shown[0] if shown else 0
        unit = source.time_base
        low = bisect_left(shown, zero + _ceil(_exact(start or 0.0) / unit))
        high = bisect_left(shown, zero + _ceil(_exact(end) / unit)) if end is not None else None
    if low >= len(shown):
        raise ValueError(f"the range begins after the last of {len(shown)} frames")
    begin = 0
    for i, (pts, idr, _) in enumerate(packets):
        if idr and pts <= shown[low]:
            begin = i
    stop = shown[high] if high is not None and high < len(shown) else None
    return Selection(begin, shown[low], stop, low, min(high or len(shown), len(shown)) - low)


def _select_bare(
    source: Source, start: float | None, end: float | None, low: int, high: int | None
) -> Selection:
    """A bare stream has no index: it is decoded from its beginning."""
    if start is not None or end is not None:
        rate = bare_frame_rate(next(_frames(source, Taps(()), source.packets())).stream)[0]
        low = _ceil(_exact(start or 0.0) * rate)
        high = _ceil(_exact(end) * rate) if end is not None else None
    return Selection(0, low, high, low)


def _times(source: Source) -> Iterator[tuple[int, bool, bool]]:
    for packet in source.packets():
        yield packet.pts or 0, packet.idr, packet.hidden


def _exact(seconds: float) -> Fraction:
    """What was meant by a decimal number of seconds."""
    return Fraction(seconds).limit_denominator(1_000_000)


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


def bare_frame_rate(info: StreamInfo) -> tuple[Fraction, bool]:
    """Frame rate of a bare stream and whether it was invented (E.2.1: a frame is two ticks)."""
    if info.num_units_in_tick and info.time_scale:
        rate = Fraction(info.time_scale, 2 * info.num_units_in_tick)
        if 0 < rate <= 1000:
            return rate, False
    return INVENTED_RATE, True


def _frames(source: Source, taps: Taps, packets: Iterable[Packet]) -> Iterator[Frame]:
    decoder = taps.decoder(source.extradata)
    for packet in packets:
        decoder.send(packet.data, packet.pts)
        while (frame := decoder.receive()) is not None:
            yield frame
    decoder.flush()
    while (frame := decoder.receive()) is not None:
        yield frame


@dataclass
class Run:
    """One decoder's way through packets, and what it counted.

    Attributes:
        decoded: frames decoded, wanted or not.
        shown: wanted frames handed out.
        ended: a frame after the wanted ones was seen.
        warnings: what was odd, by name.
    """

    source: Source
    taps: Taps
    selection: Selection = Selection()
    decoded: int = 0
    shown: int = 0
    ended: bool = False
    warnings: dict[str, int] = field(default_factory=dict)
    _table: "array[int]" = field(default_factory=lambda: array("i"))  # file index by decode_order

    def records(
        self, packets: Iterable[Packet], parameter_sets: Iterable[bytes] = ()
    ) -> Iterator[tuple[FrameRecord, StreamInfo]]:
        """Wanted frames in display order, each with the properties of its sequence.

        `index` counts the wanted frames of this run, and `ref` refers to it; `pts` is what the
        packet had (`NO_PTS` for bare streams), `time` is not set yet.

        Args:
            packets: to decode, from an IDR picture on.
            parameter_sets: what was sent in the packets before.
        """
        held: deque[tuple[FrameRecord, StreamInfo]] = deque()
        for frame, place in self._placed(packets, parameter_sets):
            self._note(frame.decode_order, self.shown if place == 0 else _OUTSIDE)
            if place == 0:
                held.append((to_record(frame, self.shown), frame.stream))
                self.shown += 1
            while held and (len(held) > _HELD or self._known(held[0][0])):
                yield self._resolved(held.popleft())
            self.ended = place > 0
            if self.ended and not held:
                return
        while held:
            yield self._resolved(held.popleft())

    def _placed(
        self, packets: Iterable[Packet], parameter_sets: Iterable[bytes]
    ) -> Iterator[tuple[Frame, int]]:
        """Frames that the container shows, and their place before, inside or after the wanted."""
        decoder = self.taps.decoder(self.source.extradata)
        hidden: set[int] = set()
        index, bare = 0, self.source.bare
        try:
            if sets := join_nals(parameter_sets, self.source.length_size):
                self._send(decoder, Packet(sets, None, False, False))
            for packet in _and_none(packets):
                if packet is None:
                    decoder.flush()
                else:
                    if packet.hidden and packet.pts is not None:
                        hidden.add(packet.pts)
                    self._send(decoder, packet)
                while (
                    frame := decoder.receive(skip=bare and self.selection.place(index) < 0)
                ) is not None:
                    self.decoded = max(self.decoded, frame.decode_order + 1)
                    if frame.pts in hidden:
                        hidden.discard(frame.pts)
                        self._note(frame.decode_order, _OUTSIDE)
                        continue
                    yield frame, self.selection.place(index if bare else frame.pts)
                    index += 1
        finally:
            for name, count in decoder.warnings.items():
                self.warnings[name] = self.warnings.get(name, 0) + count

    def _send(self, decoder: Decoder, packet: Packet) -> None:
        try:
            decoder.send(packet.data, packet.pts)
        except CorruptStreamError:
            self.warnings["unusable_packet"] = self.warnings.get("unusable_packet", 0) + 1

    def _note(self, decode_order: int, index: int) -> None:
        self._table.extend([_UNKNOWN] * (decode_order + 1 - len(self._table)))
        self._table[decode_order] = index

    def _known(self, record: FrameRecord) -> bool:
        if record.ref is None:
            return True
        used = np.unique(record.ref)
        used = used[used >= 0]
        return all(u < len(self._table) and self._table[u] != _UNKNOWN for u in used.tolist())

    def _resolved(self, held: tuple[FrameRecord, StreamInfo]) -> tuple[FrameRecord, StreamInfo]:
        record, info = held
        if record.ref is None:
            return held
        known = np.array(self._table, np.int32)
        known[known == _UNKNOWN] = _OUTSIDE
        size = max(len(known), int(record.ref.max(initial=-1)) + 1)
        table = np.full(size + 1, _OUTSIDE, np.int32)
        table[: len(known)] = known
        table[-1] = -1  # index -1: no reference
        return record.but(ref=table[record.ref]), info


def _and_none(packets: Iterable[Packet]) -> Iterator[Packet | None]:
    yield from packets
    yield None


_FROM_FRAME = tuple(name for name in (*FACTS, *ARRAYS) if hasattr(Frame, name))


def to_record(frame: Frame, index: int) -> FrameRecord:
    """A decoder's frame as a frame record; `ref` still counts in decoding order."""
    values = {name: getattr(frame, name) for name in _FROM_FRAME}
    if frame.pts is None:
        values["pts"] = NO_PTS
    if frame.stream.chroma_format_idc == 0:  # the file has these in 32 bits whatever the depth
        for name in ("residual", "level"):
            planes = values[name]
            values[name] = planes and tuple(plane.astype(np.int32) for plane in planes)
    return FrameRecord(index=index, time=0.0, **values)
