"""The priors of a video, decoded when they are asked for.

The video is gone through once for its order and times, without slice data. What is then asked for
is decoded from the IDR or IRAP picture before it, with no more taps than have been asked for so
far. Frames read in order are decoded once, and so are those of overlapping windows.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ._core import StreamInfo
from .coded import KEPT, CodedVideo
from .decode import Run, Taps
from .demux import Packet, VideoError, open_source
from .kept import KeptFrame, Walk, store
from .output import attributes, refuse_change, sha256
from .pieces import (
    one_by_one,
    packets_from,
    pieces_of,
    several_at_once,
    usual_threads,
)
from .priors.reading import Priors, Stack
from .priors.record import SCALING, FrameRecord, owned, record_array, record_arrays
from .priors.schema import FORMAT, VERSIONS, Field, Grid
from .sound import whole_sound
from .timeline import Entry, look_through
from .tracks import Tracks, original_sound, plan

_SMALL = 32  # frames in a row that one decoder decodes, even over those
_BY_HEADERS = frozenset({"poc", "picture_type", "keyframe", "scaling", "bytes"})  # columns
_BY_SAMPLES = frozenset({"hash"})
_numbers = itertools.count()


class _Attributes(Mapping[str, Any]):
    """Attributes of which one is costly: the hash of the file is taken when it is looked at."""

    def __init__(self, values: dict[str, Any], path: Path) -> None:
        self._values, self._path = values, path

    def __getitem__(self, name: str) -> Any:
        if name == "source_sha256" and not self._values[name]:
            self._values[name] = sha256(self._path)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class PriorsVideo(Priors):
    """The priors of a video, decoded when they are asked for; see `open`.

    It can be pickled and may cross a fork: every process decodes for itself. Several threads may
    read at the same time.

    Attributes:
        warnings: What was odd in the stream where it was decoded so far, by name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        taps: Taps | None = None,
        *,
        stream: int | None = None,
        threads: int | None = None,
    ) -> None:
        """Go through a video, but for its slice data.

        Args:
            path: The video.
            taps: What there is of it; None: all.
            stream: As for `open`.
            threads: likewise.

        Raises:
            VideoError: There is no H.264 or HEVC video in the file, none that can be decoded, or
                it changes its size or format.
            UnsupportedStreamError: The stream needs what is not implemented.
        """
        self.path = Path(path)
        self._timeline = look_through(open_source(path, stream=stream), keep=KEPT)
        self.choice = self._timeline.source.choice
        if not len(self._timeline):
            raise VideoError(f"{path} holds no picture that can be decoded: get a complete copy")
        self._selection = self._timeline.select(range(len(self._timeline)))  # all of them
        refuse_change(self._timeline, self._selection)
        self._info = self._timeline.info(0)
        self._all = taps or Taps(motion=True, modes=True, bits=True)
        self._names: dict[str, None] = {}
        self._wanted = Taps(())  # grows with what is asked for
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}: it must be 1 or more")
        self._threads = threads or usual_threads()
        self._columns: dict[str, np.ndarray] = {}
        self._layouts: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        self._lists: tuple[np.ndarray, ...] | None = None
        self._sound: tuple[np.ndarray, int, float] | None = None
        self._track_start: float | None | bool = False  # False: not looked yet
        self._number = next(_numbers)
        if self._timeline.coded is not None:  # by the process, within its bounds
            store().put_coded(self._number, self._timeline.coded)
            self._timeline.coded = None
        self.warnings: dict[str, int] = {}
        codec = self._timeline.source.codec.name
        own = {"format": FORMAT, "schema_version": VERSIONS[codec], "codec": codec}
        values = own | attributes(self._timeline, self._info)
        values |= {"pixels": self._all.pixels, "complete": True}
        self.attrs = _Attributes(values, self.path)

    def __getstate__(self) -> dict[str, object]:
        """All but the sound, which is long."""
        return self.__dict__ | {"_sound": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        """As another video of the process that it comes to."""
        self.__dict__.update(state, _number=next(_numbers))

    def close(self) -> None:
        """Drop decoded frames and decoders; the next use decodes again."""
        self._sound = None
        store().forget(self._number)

    def keys(self) -> KeysView[str]:
        """Names of the datasets that can be had."""
        if not self._names:
            self._names = {path: None for path, field in self.fields.items() if self._has(field)}
        return self._names.keys()

    def _has(self, field: Field) -> bool:
        group, _, name = field.path.partition("/")
        if group == "audio":
            return self._timeline.source.sound >= 0 and (name == "samples" or self._track_is())
        if self._info.chroma_format_idc not in field.formats:
            return False
        return field.tap == "" or self._all.has(field.tap)

    def _track_is(self) -> bool:
        if self._track_start is False:
            tracks = Tracks(self._timeline.source.path)
            kept = plan(tracks, "matroska", encode=False).ways
            self._track_start = float(tracks.first or 0) if kept else None
        return self._track_start is not None

    # ------------------------------------------------------------------------------- frame facts

    def _column(self, name: str) -> np.ndarray:
        if name not in self._columns:
            if name in ("pts", "time", "decode_order"):
                self._read_timeline()
            else:
                self._read_facts(_BY_HEADERS if name in _BY_HEADERS else _BY_SAMPLES & {name})
        return self._columns[name]

    def _read_timeline(self) -> None:
        timeline = self._timeline
        orders = np.asarray(timeline.rows, np.int64)
        order = np.empty(len(timeline), np.int32)
        order[orders[orders >= 0]] = np.flatnonzero(orders >= 0)
        times = [timeline.time(row) for row in range(len(timeline))]
        self._columns |= {
            "pts": np.array(timeline.pts, np.int64),
            "time": np.array(times),
            "decode_order": order,
        }

    def _read_facts(self, only: Set[str]) -> None:
        """What takes decoding all slice headers, all samples, or (nothing named) all syntax."""
        names = [
            f.record or "scaling" for f in self.fields.values() if f.per_frame and len(f.shape) == 1
        ]
        taken = only or set(names) - _BY_SAMPLES
        names = [name for name in names if name not in self._columns and name in taken]
        found: dict[str, list[object]] = {name: [] for name in names}
        scaling = SCALING[str(self.attrs["codec"])]
        lists: dict[tuple[bytes, ...], int] = {}
        samples = ("decoded",) if only == _BY_SAMPLES and self._all.pixels else ()
        taps = Taps(samples, headers=only == _BY_HEADERS)
        for record, _ in one_by_one(self._timeline, taps, self._selection, {}):
            key = tuple(getattr(record, name).tobytes() for name in scaling)
            row = lists.setdefault(key, len(lists))
            for name, values in found.items():
                values.append(row if name == "scaling" else getattr(record, name))
        for name, values in found.items():
            self._columns[name] = np.array(values, self.fields[f"frames/{name}"].dtype)
        self._lists = tuple(
            np.frombuffer(b"".join(parts), np.uint8).reshape(-1, *field.shape[1:])
            for parts, field in zip(zip(*lists, strict=True), self._scaling_fields(), strict=True)
        )

    def _scaling_fields(self) -> list[Field]:
        return [field for path, field in self.fields.items() if path.startswith("scaling/")]

    def scaling_lists(self, index: int) -> tuple[np.ndarray, ...]:
        """Scaling lists of a frame, a row of each dataset `scaling/*`."""
        row = self._column("scaling")[index]
        assert self._lists is not None
        return tuple(lists[row].copy() for lists in self._lists)

    # ------------------------------------------------------------------------------------- sound

    def audio(self) -> tuple[np.ndarray, int, float] | None:
        """The sound, if any: int16 `[S]`, samples a second, time of the first in seconds."""
        heard = self._heard()
        return None if heard is None else (heard[0].copy(), *heard[1:])

    def _heard(self) -> tuple[np.ndarray, int, float] | None:
        if self._sound is None:
            self._sound = whole_sound(self._timeline.source)
        return self._sound

    def audio_original(self) -> tuple[bytes, float] | None:
        """The video's own sound track, if any: a Matroska file, and its first packet's time."""
        return original_sound(self._timeline.source)

    def dataset(self, path: str) -> Stack:
        """Any dataset.

        Raises:
            KeyError: There is none of this name.
        """
        if path not in self.keys():
            raise KeyError(f"{self.path} has no {path!r}")
        field = self.fields[path]
        if field.per_frame:
            return self[path]
        attrs: dict[str, object] = {"description": field.description}
        if path == "audio/samples":
            sound = self._heard()
            assert sound is not None
            data, attrs["sample_rate"], attrs["start_time"] = sound
        elif path == "audio/original":
            track = self.audio_original()
            assert track is not None
            data, attrs["start_time"] = np.frombuffer(track[0], np.uint8), track[1]
        else:
            self._column("scaling")
            assert self._lists is not None
            data = self._lists[self._scaling_fields().index(field)]
        return Stack(path, data.shape, data.dtype, attrs, lambda rows: data[rows].copy())

    # ------------------------------------------------------------------------------------ frames

    def _layout(self, field: Field) -> tuple[tuple[int, ...], np.dtype]:
        found = self._layouts.get(field.path)
        if found is None:
            info = self._info
            deep = info.bit_depth_luma > 8 or info.bit_depth_chroma > 8
            grid = Grid(info.coded_size, info.chroma_format_idc, info.ctu_size)
            found = field.row(grid), field.type(deep=deep, grey=info.chroma_format_idc == 0)
            self._layouts[field.path] = found
        return found

    def _record(self, index: int) -> FrameRecord:
        return self._records([index])[0]

    def _records(self, frames: list[int]) -> list[FrameRecord]:
        found: dict[int, FrameRecord] = {}
        self._fetch(frames, self._all, found.__setitem__)
        return [owned(found[k]) for k in frames]  # what is kept stays as it is

    def __iter__(self) -> Iterator[FrameRecord]:
        """Frame by frame, decoded ahead by several threads; nothing is kept.

        They take a piece each, or where there are not enough pieces, a picture each.
        """
        records: Iterator[tuple[FrameRecord, StreamInfo]]
        if len(pieces_of(self._timeline, self._selection)) < self._threads or self._threads == 1:
            records = one_by_one(
                self._timeline, self._all, self._selection, self.warnings, threads=self._threads
            )
        else:
            records = several_at_once(
                self._timeline,
                self._all,
                self._selection,
                self.warnings,
                jobs=self._threads,
                work=lambda record: record,
                size=_size,
            )
        return (record for record, _ in records)

    def _rows(self, field: Field, frames: list[int], where: tuple[slice, ...]) -> np.ndarray:
        self._wanted = self._wanted.with_tap(field.tap)
        places: dict[int, list[int]] = {}
        for place, row in enumerate(frames):
            places.setdefault(row, []).append(place)
        sides = (part.stop - part.start for part in where)
        found = np.empty((len(frames), *sides), self._layout(field)[1])

        def take(row: int, record: FrameRecord) -> None:
            for place in places[row]:
                found[place] = record_array(record, field.path)[where]

        self._fetch(places, self._wanted, take)
        return found

    def _fetch(
        self, rows: Iterable[int], taps: Taps, take: Callable[[int, FrameRecord], object]
    ) -> None:
        """Hand out frames that are kept or decoded now, each row once, in any order.

        What is taken of a frame is all that stays of it: however many are asked for, no more of
        them are held than are kept.
        """
        missing: dict[Entry, list[int]] = {}
        for row in sorted(set(rows)):
            record = store().get(self._number, row, taps)
            if record is None:
                missing.setdefault(self._timeline.entry(row), []).append(row)
            else:
                take(row, record)
        parts = list(missing.items())
        if sum(len(part) for part in missing.values()) <= _SMALL:
            parts = _joined(parts)

        def decode(part: tuple[Entry, list[int]]) -> None:
            self._decode(*part, taps, take)

        _each(decode, parts, self._threads)

    def _decode(
        self,
        entry: Entry,
        rows: list[int],
        taps: Taps,
        take: Callable[[int, FrameRecord], object],
    ) -> None:
        """Hand out frames that follow one entry, by a decoder that stands there or a new one."""
        walk = store().take_walk(self._number, entry.row, rows[0], taps)
        if walk is None:
            walk = Walk(self._walk(entry, rows[0], taps), rows[0], taps)
        wanted = set(rows)
        size = 0
        while walk.row <= rows[-1]:
            record = next(walk.records)
            if walk.row in wanted:
                take(walk.row, record)
            size = size or _size(record)  # all frames are alike
            store().put(self._number, walk.row, KeptFrame(record, walk.taps, size))
            walk.row += 1
        if walk.row < len(self):
            store().put_walk(self._number, walk)

    def _packets(self, entry: Entry) -> tuple[Iterable[tuple[int, Packet]], Iterable[bytes]]:
        """Packets from an entry on, with their numbers, and the parameter sets before them."""
        coded = store().coded(self._number)
        if coded is None:
            if self.path.stat().st_size > KEPT:
                return packets_from(self._timeline, entry, {})
            nals = self._timeline.source.codec.nals
            coded = CodedVideo(list(self._timeline.read()), nals)
            store().put_coded(self._number, coded)
        return coded.since(entry.packet)

    def _walk(self, entry: Entry, first: int, taps: Taps) -> Iterator[FrameRecord]:
        """All frames from `first` on, decoded from an entry on."""
        timeline = self._timeline
        packets, sets = self._packets(entry)
        run = Run(timeline, taps, self._selection, begin=first)
        for record, _ in run.records(packets, entry, sets):
            yield record


def _size(record: FrameRecord) -> int:
    """Bytes of a frame's arrays."""
    return sum(array.nbytes for array in record_arrays(record).values())


def _joined(parts: list[tuple[Entry, list[int]]]) -> list[tuple[Entry, list[int]]]:
    """Parts that follow without a gap, as one: a decoder may go on into the next."""
    joined: list[tuple[Entry, list[int]]] = []
    for entry, rows in parts:
        if joined and joined[-1][1][-1] + 1 == rows[0]:
            joined[-1][1].extend(rows)
        else:
            joined.append((entry, rows))
    return joined


def _each(
    work: Callable[[tuple[Entry, list[int]]], None],
    parts: list[tuple[Entry, list[int]]],
    threads: int,
) -> None:
    """Work on each part, several at once where there are several."""
    if len(parts) < 2 or threads < 2:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(min(threads, len(parts)), "davd-open") as pool:
        list(pool.map(work, parts))
