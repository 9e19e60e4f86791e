"""A stream in pieces that begin at IDR or IRAP pictures, decoded one by one or several at once.

Nothing reaches across the places where a piece begins, so a decoder of its own for every piece
gives the same frames. Each job walks through the whole file by itself and decodes every n-th piece;
what it has ready waits in a queue of bounded size until the pieces before are through.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar, cast

from ._core import StreamInfo
from .coded import collect_sets
from .decode import Run, Taps
from .demux import Packet
from .priors.record import FrameRecord
from .timeline import Entry, Selection, Timeline

_SHORTEST = 24  # packets in a piece, at least
_MOST_THREADS = 4  # that are taken by themselves
_QUEUE = 40 << 20  # bytes of finished frames that a job may be ahead

T = TypeVar("T")


class _PieceEnd(NamedTuple):
    """After the last frame of a piece: what it counted, and whether no piece follows."""

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
            _Stopped: Nobody will take it.
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


def usual_threads() -> int:
    """How many threads decode where nobody says."""
    return min(_MOST_THREADS, os.cpu_count() or 1)


def one_by_one(
    timeline: Timeline,
    taps: Taps,
    selection: Selection,
    counts: dict[str, int],
    *,
    threads: int = 1,
) -> Iterator[tuple[FrameRecord, StreamInfo]]:
    """Frames of the selection, by one decoder; warnings are added to `counts`.

    Args:
        timeline: Of the video.
        taps: What to record.
        selection: Which frames.
        counts: Warnings are added to it.
        threads: Of the decoder.
    """
    run = Run(timeline, taps, selection, threads=threads, warnings=counts)
    packets, sets = packets_from(timeline, selection.entry, counts)
    yield from run.records(packets, selection.entry, sets)


def packets_from(
    timeline: Timeline, entry: Entry, counts: dict[str, int]
) -> tuple[Iterator[tuple[int, Packet]], dict[bytes, None]]:
    """Packets with their numbers from an entry on, and the parameter sets that came before."""
    if timeline.coded is not None:
        return timeline.coded.since(entry.packet)
    sets: dict[bytes, None] = {}
    packets = enumerate(timeline.read(counts))
    before = (packet for _, packet in islice(packets, entry.packet))
    collect_sets(before, sets, timeline.source.codec.nals)
    return packets, sets


def several_at_once(
    timeline: Timeline,
    taps: Taps,
    selection: Selection,
    counts: dict[str, int],
    *,
    jobs: int,
    work: Callable[[FrameRecord], T],
    size: Callable[[T], int],
) -> Iterator[tuple[T, StreamInfo]]:
    """Frames of the selection, `jobs` pieces decoded at the same time.

    Args:
        timeline: Of the video.
        taps: What to record.
        selection: Which frames.
        counts: Warnings are added to it.
        jobs: threads.
        work: Done with each frame in the job's thread.
        size: Bytes that its result holds.
    """
    stop = threading.Event()
    queues = [_Queue(stop) for _ in range(jobs)]
    threads = [
        threading.Thread(
            target=_job,
            args=(timeline, taps, selection, number, jobs, work, size, queue),
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


def _in_order(queues: list[_Queue], counts: dict[str, int]) -> Iterator[tuple[T, StreamInfo]]:
    piece = 0
    while True:
        item = queues[piece % len(queues)].get()
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, _PieceEnd):
            piece += 1
            for name, count in item.warnings.items():
                counts[name] = counts.get(name, 0) + count
            if item.last:
                return
        else:
            yield cast(tuple[T, StreamInfo], item)


def _job(
    timeline: Timeline,
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
    pieces = pieces_of(timeline, selection)

    def seen(packets: Iterable[tuple[int, Packet]]) -> Iterator[tuple[int, Packet]]:
        for item in packets:
            collect_sets(item[1:], sets, timeline.source.codec.nals)
            yield item

    try:
        faults: dict[str, int] = {}
        numbered = enumerate(timeline.read(faults))
        _exhaust(seen(islice(numbered, pieces[0].packet)))
        for piece, entry in enumerate(pieces):
            last = piece + 1 == len(pieces)
            length = None if last else pieces[piece + 1].packet - entry.packet
            until = None if last else pieces[piece + 1].order
            packets = seen(islice(numbered, length))
            if piece % jobs == number:
                run, before = Run(timeline, taps, selection), list(sets)
                for record, info in run.records(packets, entry, before, until=until):
                    result = work(record)
                    queue.put((result, info), size(result))
                queue.put(_PieceEnd(run.warnings, run.ended))
            _exhaust(packets)
        queue.put(_PieceEnd(faults, True))
    except _Stopped:
        pass
    except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
        queue.put(error)


def _exhaust(items: Iterable[object]) -> None:
    deque(items, maxlen=0)


def pieces_of(timeline: Timeline, selection: Selection) -> list[Entry]:
    """Where the pieces of a selection begin."""
    found = [selection.entry]
    for entry in timeline.entries:
        far = entry.packet - found[-1].packet >= _SHORTEST
        if entry.closed and far and entry.row < selection.stop:
            found.append(entry)
    return found
