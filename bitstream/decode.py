"""Packets -> frame records: one run of a decoder over a stream, or the wanted part of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ._core import CorruptStreamError, StreamInfo
from .codecs import CODECS, AnyFrame, Decoder
from .demux import Packet
from .priors.record import ARRAYS, FACTS, FrameRecord
from .priors.schema import PLANE_GROUPS, fields_of
from .timeline import Entry, Selection, Timeline

_OUTSIDE = -2  # file index of frames that are not wanted


@dataclass(frozen=True)
class Taps:
    """What is recorded of each frame beside the maps.

    Attributes:
        planes: Of `decoded`, `prediction`, `residual`, `level`.
        motion: Motion vectors and references.
        modes: Intra prediction modes.
        bits: What the bits of a macroblock or coding unit were spent on.
        headers: Slice data are not decoded; there are no arrays but the scaling lists.
        lent: Arrays may be the decoder's own memory, which cannot be written to.
    """

    planes: tuple[str, ...] = PLANE_GROUPS
    motion: bool = False
    modes: bool = False
    bits: bool = False
    headers: bool = False
    lent: bool = False

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            ValueError: A group of planes that does not exist.
        """
        if unknown := set(self.planes) - set(PLANE_GROUPS):
            names = ", ".join(PLANE_GROUPS)
            raise ValueError(f"planes {', '.join(sorted(unknown))}: must be of {names}")

    @property
    def pixels(self) -> bool:
        """Whether samples have to be made for it; without, syntax is all that is decoded."""
        return not set(self.planes) <= {"level"}

    def has(self, tap: str) -> bool:
        """Whether a tap of `schema.Field.tap` is recorded."""
        return tap in self.planes if tap in PLANE_GROUPS else bool(getattr(self, tap))

    def with_tap(self, tap: str) -> "Taps":
        """The same and a tap of `schema.Field.tap`; an empty name asks for nothing."""
        if not tap or self.has(tap):
            return self
        if tap in PLANE_GROUPS:
            return replace(self, planes=(*self.planes, tap))
        return replace(self, **{tap: True})  # type: ignore[arg-type]

    def __le__(self, other: "Taps") -> bool:
        """Whether the other records all of this."""
        return (
            self is other
            or set(self.planes) <= set(other.planes)
            and all(
                getattr(self, name) <= getattr(other, name) for name in ("motion", "modes", "bits")
            )
        )

    def decoder(
        self, timeline: Timeline, parameter_sets: bytes = b"", *, threads: int = 1
    ) -> Decoder:
        """A decoder of a video that records this; it is given some more parameter sets."""
        return timeline.decoder(
            parameter_sets,
            threads=threads,
            motion=self.motion,
            modes=self.modes,
            bits=self.bits,
            headers=self.headers,
            pixels=self.pixels,
            lent=self.lent,
            **{group: group in self.planes for group in PLANE_GROUPS},
        )


@dataclass
class Run:
    """One decoder's way through packets, and what it counted.

    Attributes:
        timeline: Of the video.
        taps: What to record.
        selection: The wanted frames.
        begin: Frames of them before this row are decoded, but not handed out.
        threads: Of the decoder.
        ended: A frame after the wanted ones was seen.
        warnings: What was odd, by name.
    """

    timeline: Timeline
    taps: Taps
    selection: Selection
    begin: int = 0
    threads: int = 1
    ended: bool = False
    warnings: dict[str, int] = field(default_factory=dict)

    def records(
        self,
        packets: Iterable[tuple[int, Packet]],
        entry: Entry,
        parameter_sets: Iterable[bytes] = (),
        *,
        until: int | None = None,
    ) -> Iterator[tuple[FrameRecord, StreamInfo]]:
        """Wanted frames in display order, each with the properties of its sequence.

        Args:
            packets: To decode, with their numbers, from an entry on.
            entry: That one.
            parameter_sets: What was sent in the packets before.
            until: Place in decoding order of the first picture that is not among them.

        Raises:
            CorruptStreamError: A frame that was not there when the stream was looked through.
        """
        first, stop, timeline = self.selection.first, self.selection.stop, self.timeline
        table = self._table(entry, until) if self.taps.motion else None
        shown: StreamInfo | None = None
        shown_of: StreamInfo | None = None
        for frame in self._frames(packets, entry, parameter_sets):
            order = entry.order + frame.decode_order
            row = timeline.rows[order] if order < len(timeline.rows) else _OUTSIDE
            if row < 0:
                continue
            if timeline.packets[row] != frame.pts:
                raise CorruptStreamError(f"frame {row} comes from packet {frame.pts}")
            if row < max(first, self.begin):
                continue
            if frame.stream is not shown_of:
                shown, shown_of = timeline.source.shown(frame.stream), frame.stream
            assert shown is not None
            yield self._placed(to_record(frame, row - first), row, order, table), shown
            self.ended = row + 1 == stop < len(timeline)
            if self.ended:
                return

    def _frames(
        self, packets: Iterable[tuple[int, Packet]], entry: Entry, parameter_sets: Iterable[bytes]
    ) -> Iterator[AnyFrame]:
        """All frames; those before the wanted ones without their arrays."""
        sets = b"".join(parameter_sets)
        decoder = self.taps.decoder(self.timeline, sets, threads=self.threads)
        left = max(self.selection.first, self.begin) - entry.row
        if self.taps.headers:
            left = len(self.timeline)
        try:
            for number, packet in packets:
                self._send(decoder, packet.data, number)
                while (frame := decoder.receive(skip=left > 0)) is not None:
                    left -= self._is_shown(entry.order + frame.decode_order)
                    yield frame
            decoder.flush()
            while (frame := decoder.receive(skip=left > 0)) is not None:
                left -= self._is_shown(entry.order + frame.decode_order)
                yield frame
        finally:
            for name, count in decoder.warnings.items():
                if name == "discarded_pictures" and not entry.closed:
                    continue  # they are shown before the entry, and are not wanted
                self.warnings[name] = self.warnings.get(name, 0) + count

    def _is_shown(self, order: int) -> bool:
        rows = self.timeline.rows
        return order < len(rows) and rows[order] >= 0

    def _send(self, decoder: Decoder, data: bytes, number: int) -> None:
        try:
            decoder.send(data, number)
        except CorruptStreamError:
            self.warnings["unusable_packet"] = self.warnings.get("unusable_packet", 0) + 1

    def _table(self, entry: Entry, until: int | None) -> np.ndarray:
        """File index by place in decoding order from an entry on; the last is for -1, none."""
        rows = np.array(self.timeline.rows[entry.order : until], np.int64)
        inside = (rows >= self.selection.first) & (rows < self.selection.stop)
        index = np.where(inside, rows - self.selection.first, _OUTSIDE)
        return np.append(index, [_OUTSIDE] * 64 + [-1]).astype(np.int32)

    def _placed(
        self, record: FrameRecord, row: int, order: int, table: np.ndarray | None
    ) -> FrameRecord:
        """The record with its place in time and order, and with its references'."""
        return record.but(
            pts=self.timeline.pts[row],
            time=self.timeline.time(row),
            poc=self.timeline.pocs[row],
            decode_order=order - self.selection.entry.order,
            ref=None if table is None else table[record.ref],
        )


_TAKEN = {  # by the class of a frame: its codec, and the attributes that a record takes
    codec.frame: (
        codec.name,
        tuple(name for name in (*FACTS, *ARRAYS) if hasattr(codec.frame, name)),
    )
    for codec in CODECS.values()
}


def to_record(frame: AnyFrame, index: int) -> FrameRecord:
    """A decoder's frame as a frame record; `ref` still counts in decoding order."""
    codec, names = _TAKEN[type(frame)]
    values = {name: getattr(frame, name) for name in names}
    info = frame.stream
    deep = info.bit_depth_luma > 8 or info.bit_depth_chroma > 8
    dtype = fields_of(codec)["residual/y"].type(deep=deep, grey=info.chroma_format_idc == 0)
    for name in ("residual", "level"):
        values[name] = values[name] and tuple(_as_type(plane, dtype) for plane in values[name])
    return FrameRecord(index=index, codec=codec, time=0.0, **values)


def _as_type(plane: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Whole numbers as another type; where they do not fit they end at its bounds.

    Bounds of 16 bits change no picture of 8 bits.
    """
    if plane.dtype == dtype:
        return plane
    if plane.dtype.itemsize > dtype.itemsize:
        bounds = np.iinfo(dtype)
        plane = plane.clip(bounds.min, bounds.max)
    return plane.astype(dtype)
