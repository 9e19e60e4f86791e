"""A stream in pieces that begin at IDR pictures, decoded one by one or several at once.

Nothing reaches across an IDR picture, so a decoder of its own for every piece gives the same
frames. Each job walks through the whole file by itself and decodes every n-th piece; what it has
ready waits in a queue of bounded size until the pieces before are through.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Generic, NamedTuple, TypeVar, cast

from ._core import StreamInfo
from .annexb import PARAMETER_SETS, nal_type, split_nals
from .decode import Run, Selection, Taps
from .demux import Packet, Source
from .priors.record import FrameRecord

_SHORTEST = 24  # packets in a piece, at least
_QUEUE = 40 << 20  # bytes of finished frames that a job may be ahead

T = TypeVar("T")


class Part(NamedTuple, Generic[T]):
    """A frame on its way, with what has to be added to its numbers.

    Attributes:
        frame: the frame, as the job made it.
        info: properties of its sequence.
        shown: frames shown before its piece.
        decoded: frames decoded before its piece.
    """

    frame: T
    info: StreamInfo
    shown: int
    decoded: int


class _PieceEnd(NamedTuple):
    """After the last frame of a piece: what it counted, and whether no piece follows."""

    shown: int
    decoded: int
    warnings: dict[str, int]
    last: bool


class _Stopped(Exception):
    """The consumer has gone."""


class _Queue:
    """Frames between one job and the consumer, bounded by their size in bytes."""

    def __init__(self, stop: threading.Event) -> None:
        self._items: deque[tuple[object, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._stop = stop

    def put(self, item: object, size: int = 0) -> None:
        """Add an item; waits while there is too much.

        Raises:
            _Stopped: nobody will take it.
        """
        with self._changed:
            while self._bytes and self._bytes + size > _QUEUE and not self._stop.is_set():
                self._changed.wait(0.5)
            if self._stop.is_set():
                raise _Stopped
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify_all()

    def get(self) -> object:
        """Take the oldest item; waits for one."""
        with self._changed:
            while not self._items:
                self._changed.wait()
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return item


def one_by_one(
    source: Source, taps: Taps, selection: Selection, counts: dict[str, int]
) -> Iterator[tuple[FrameRecord, StreamInfo]]:
    """Frames of the selection, by one decoder in this thread; warnings are added to `counts`."""
    run = Run(source, taps, selection, warnings=counts)
    sets: dict[bytes, None] = {}
    packets = source.packets(counts)
    for _ in range(selection.packet):
        _collect(next(packets), source.length_size, sets)
    yield from run.records(packets, sets)


def _collect(packet: Packet, length_size: int, sets: dict[bytes, None]) -> None:
    """Remember the parameter sets of a packet, the newest last."""
    for nal in split_nals(packet.data, length_size):
        if nal_type(nal) in PARAMETER_SETS:
            sets.pop(nal, None)
            sets[nal] = None


def several_at_once(
    source: Source,
    taps: Taps,
    selection: Selection,
    counts: dict[str, int],
    *,
    jobs: int,
    work: Callable[[FrameRecord], T],
    size: Callable[[T], int],
) -> Iterator[Part[T]]:
    """Frames of the selection, `jobs` pieces decoded at the same time.

    Args:
        source: the video.
        taps: what to record.
        selection: which frames; of a bare stream all, or from the first on.
        counts: warnings are added to it.
        jobs: threads.
        work: done with each frame in the job's thread.
        size: bytes that its result holds.
    """
    stop = threading.Event()
    queues = [_Queue(stop) for _ in range(jobs)]
    threads = [
        threading.Thread(
            target=_job,
            args=(source, taps, selection, number, jobs, work, size, queue),
            name=f"davd-job-{number}",
            daemon=True,
        )
        for number, queue in enumerate(queues)
    ]
    for thread in threads:
        thread.start()
    try:
        yield from _in_order(queues, counts)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _in_order(queues: list[_Queue], counts: dict[str, int]) -> Iterator[Part[T]]:
    shown = decoded = piece = 0
    while True:
        item = queues[piece % len(queues)].get()
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, _PieceEnd):
            shown += item.shown
            decoded += item.decoded
            piece += 1
            for name, count in item.warnings.items():
                counts[name] = counts.get(name, 0) + count
            if item.last:
                return
        else:
            frame, info = cast(tuple[T, StreamInfo], item)
            yield Part(frame, info, shown, decoded)


def _job(
    source: Source,
    taps: Taps,
    selection: Selection,
    number: int,
    jobs: int,
    work: Callable[[FrameRecord], T],
    size: Callable[[T], int],
    queue: _Queue,
) -> None:
    """Decode pieces `number`, `number + jobs` ... into the queue."""
    sets: dict[bytes, None] = {}

    def seen(packets: Iterator[tuple[int, Packet]]) -> Iterator[Packet]:
        for _, packet in packets:
            _collect(packet, source.length_size, sets)
            yield packet

    try:
        faults: dict[str, int] = {}
        for piece, packets in groupby(_numbered(source, selection, faults), lambda item: item[0]):
            if piece < 0 or piece % jobs != number:
                for _ in seen(packets):
                    pass
                continue
            run = Run(source, taps, selection)
            for record, info in run.records(seen(packets), list(sets)):
                result = work(record)
                queue.put((result, info), size(result))
            queue.put(_PieceEnd(run.shown, run.decoded, run.warnings, run.ended))
        queue.put(_PieceEnd(0, 0, faults, True))
    except _Stopped:
        pass
    except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
        queue.put(error)


def _numbered(
    source: Source, selection: Selection, faults: dict[str, int]
) -> Iterator[tuple[int, Packet]]:
    """Packets with the number of their piece, -1 before the selection."""
    piece, length = -1, 0
    for i, packet in enumerate(source.packets(faults)):
        if i == selection.packet or (piece >= 0 and packet.idr and length >= _SHORTEST):
            piece, length = piece + 1, 0
        length += 1
        yield piece, packet
