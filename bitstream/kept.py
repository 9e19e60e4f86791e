"""Decoded frames and decoders at rest, of all videos of a process together, within fixed bounds."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .coded import CodedVideo
from .decode import Taps
from .priors.record import FrameRecord

KEPT = 256 << 20  # bytes of decoded frames that a process keeps
CODED = 64 << 20  # bytes of coded videos that it keeps
RESTING = 4  # decoders that a process keeps for going on where they stopped


class KeptFrame(NamedTuple):
    """A decoded frame that is kept."""

    record: FrameRecord
    taps: Taps
    size: int


@dataclass
class Walk:
    """A decoder at rest: what comes next from it."""

    records: Iterator[FrameRecord]
    row: int
    taps: Taps


class Store:
    """What a process keeps of all its videos. A video is known by a number."""

    def __init__(self) -> None:
        """Empty."""
        self._lock = threading.Lock()
        self._frames: OrderedDict[tuple[int, int], KeptFrame] = OrderedDict()
        self._walks: list[tuple[int, Walk]] = []
        self._bytes = 0
        self._coded: OrderedDict[int, CodedVideo] = OrderedDict()

    def get(self, video: int, row: int, taps: Taps) -> FrameRecord | None:
        """A frame that is kept with all of the taps."""
        with self._lock:
            frame = self._frames.get((video, row))
            if frame is None or not taps <= frame.taps:
                return None
            self._frames.move_to_end((video, row))
            return frame.record

    def put(self, video: int, row: int, frame: KeptFrame) -> None:
        """Keep a frame; the ones that were not used for longest go."""
        with self._lock:
            old = self._frames.pop((video, row), None)
            self._bytes += frame.size - (old.size if old else 0)
            self._frames[video, row] = frame
            while self._bytes > KEPT and len(self._frames) > 1:
                self._bytes -= self._frames.popitem(last=False)[1].size

    def coded(self, video: int) -> CodedVideo | None:
        """A coded video that is kept."""
        with self._lock:
            found = self._coded.get(video)
            if found is not None:
                self._coded.move_to_end(video)
            return found

    def put_coded(self, video: int, coded: CodedVideo) -> None:
        """Keep a coded video; those that were not used for longest go."""
        with self._lock:
            self._coded[video] = coded
            while sum(item.size for item in self._coded.values()) > CODED:
                self._coded.popitem(last=False)

    def take_walk(self, video: int, first: int, last: int, taps: Taps) -> Walk | None:
        """A decoder that comes to row `last` next after row `first`, or stands between them."""
        with self._lock:
            for k, (owner, walk) in enumerate(self._walks):
                if owner == video and first <= walk.row <= last and taps <= walk.taps:
                    return self._walks.pop(k)[1]
        return None

    def put_walk(self, video: int, walk: Walk) -> None:
        """Let a decoder rest; the one that has for longest goes."""
        with self._lock:
            self._walks.append((video, walk))
            gone = self._walks[:-RESTING]
            del self._walks[:-RESTING]
        del gone

    def forget(self, video: int) -> None:
        """Drop all that is kept of a video."""
        with self._lock:
            for key in [key for key in self._frames if key[0] == video]:
                self._bytes -= self._frames.pop(key).size
            self._walks = [item for item in self._walks if item[0] != video]
            self._coded.pop(video, None)


_shared = Store()


def store() -> Store:
    """That of this process."""
    return _shared


def _start_anew() -> None:
    """A forked process: what its parent keeps is the parent's, and so may be its locks."""
    global _shared
    _shared = Store()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
