"""Frames get their place in time."""

from ._core import StreamInfo
from .decode import NO_PTS, Selection, bare_frame_rate
from .demux import Source
from .priors.record import FrameRecord


class Timeline:
    """Gives frames their index, time stamp and time."""

    def __init__(self, source: Source, selection: Selection, info: StreamInfo) -> None:
        """Begin with the first frame's sequence."""
        self.time_base, self.rate, self.invented = source.time_base, source.frame_rate, False
        self._bare = source.bare
        if source.bare:
            self.rate, self.invented = bare_frame_rate(info)
            self.time_base = 1 / self.rate
        self.step = max(1, round(1 / (self.rate * self.time_base)))
        self._next = selection.first if source.bare else 0

    def stamp(self, record: FrameRecord, *, index: int = 0, decoded: int = 0) -> FrameRecord:
        """The record with its numbers set; `index` and `decoded` frames came before its piece."""
        pts = self._next if self._bare or record.pts == NO_PTS else record.pts
        self._next = pts + self.step
        return record.but(
            index=record.index + index,
            decode_order=record.decode_order + decoded,
            pts=pts,
            time=pts * self.time_base.numerator / self.time_base.denominator,
        )
