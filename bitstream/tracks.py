"""All of a video that is not its picture: sound tracks, subtitles, chapters, title.

    file --Tracks--> packets of each track, with times that increase, on the video's clock
         --plan--> how a container takes each track: copied, encoded, as text, or not at all
         --Lane--> what is muxed into it

What a container takes is tried, with the first packets of the track: tables of FFmpeg and of PyAV
say less than the muxer itself.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.error
import numpy as np

from .chapters import add_chapters
from .demux import MediaName, Source, codec_name, open_container, read_packets
from .stamps import TICK, increasing, usual_step

COPIED, ENCODED, AS_TEXT = "copied", "encoded", "as text"
_TRIED = 64  # packets that a container is tried with
_JITTER = Fraction(1, 50)  # seconds that stamps may be off before silence is put in
_TEXT = {"mov_text", "subrip", "ass", "ssa", "webvtt", "text", "srt"}
_TEXT_IN = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip"}
_RATES = (32000, 44100, 48000, 64000, 88200, 96000)  # AAC; of lower ones its blocks are long
_SPARED = 50
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_BITS = 96_000  # a second and channel, of encoded sound
_MACINTOSH = {
    "bod": "tib", "cym": "wel", "cze": "ces", "deu": "ger", "ell": "gre", "eus": "baq",
    "fas": "per", "fre": "fra", "hrv": "hr ", "hye": "arm", "isl": "ice", "kat": "geo",
    "mkd": "mac", "msa": "may", "mya": "bur", "nld": "dut", "rum": "ron", "slo": "slk",
    "sqi": "alb", "swe": "sve", "zho": "chi",
}  # fmt: skip
"""Languages whose number FFmpeg finds in QuickTime's list by another name only."""
_OF_A_CONTAINER = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
_OF_A_MUXER = _OF_A_CONTAINER | {"handler_name", "vendor_id"}

Opener = Callable[[], "av.container.InputContainer"]


@dataclass(frozen=True)
class Track:
    """A sound or subtitle track.

    Attributes:
        index: Of the stream in its file.
        kind: "audio" or "subtitle".
        codec: Its name.
        metadata: Language, title and the like.
        disposition: Default, forced and the like, as FFmpeg numbers them.
        times: Of its packets, seconds in its file, strictly increasing.
        encrypted: Nobody can hear it.
    """

    index: int
    kind: str
    codec: str
    metadata: Mapping[str, str]
    disposition: int
    times: list[Fraction]
    encrypted: bool = False

    def __str__(self) -> str:
        """As in messages."""
        language = self.metadata.get("language", "")
        named = f" ({language})" if language not in ("", "und") else ""
        return f"{'sound' if self.kind == 'audio' else 'subtitle'} track {self.index}{named}"


class Tracks:
    """The tracks of a file.

    Args:
        file: A path, or what opens the file with FFmpeg.
        start: Leave out what ends before this time, seconds on the video's clock; None: nothing.
        end: Leave out what begins at this time or later.
        shift: Seconds by which all is moved, later if positive.
        first: Time of the first packet of all, seconds, where the file has moved them.

    Attributes:
        all: The tracks that have packets.
        title: Metadata of the file.
    """

    def __init__(
        self,
        file: Path | Opener,
        *,
        start: float | None = None,
        end: float | None = None,
        shift: float = 0.0,
        first: float | None = None,
    ) -> None:
        """Go through the file once.

        Raises:
            av.error.FFmpegError: It cannot be read.
        """
        self._open: Opener = (lambda: open_container(file)) if isinstance(file, Path) else file
        self._limits = start, end
        with self._open() as container:
            self.all = _found(container)
            self.title = _kept(container.metadata, _OF_A_CONTAINER)
            self._chapters = container.chapters() if hasattr(container, "chapters") else []
        begin = min((track.times[0] for track in self.all), default=Fraction(0))
        self._move = _exact(shift) + (0 if first is None else _exact(first) - begin)

    @property
    def first(self) -> Fraction | None:
        """Time of the first packet that is kept, seconds; None where there is none."""
        times = [next(self.packets(track), (None,))[0] for track in self.all]
        return min((time for time in times if time is not None), default=None)

    def packets(self, track: Track) -> Iterator[tuple[Fraction, av.Packet]]:
        """Packets of a track that are kept, with their times on the video's clock."""
        start, end = self._limits
        with self._open() as container:
            found = _presented(read_packets(container, container.streams[track.index]))
            for stored, packet in zip(track.times, found, strict=False):
                time = stored + self._move
                length = (packet.duration or 0) * packet.time_base
                if start is not None and time + length <= start:
                    continue
                if end is not None and time >= end:
                    return
                packet.duration, packet.time_base = round(length / TICK), TICK
                packet.pts = packet.dts = round(stored / TICK)
                yield time, packet

    def chapters(self, origin: Fraction) -> list[dict[str, object]]:
        """Chapters of what is kept, in milliseconds from a time on."""
        begin, end = ((None if t is None else _exact(t)) for t in self._limits)
        kept = []
        for chapter in self._chapters:
            unit = chapter["time_base"]
            times = [chapter[key] * unit + self._move for key in ("start", "end")]
            low = times[0] if begin is None else max(times[0], begin)
            high = times[1] if end is None else min(times[1], end)
            if low < high:
                places = {
                    "start": max(0, round((low - origin) * 1000)),
                    "end": max(0, round((high - origin) * 1000)),
                }
                kept.append(chapter | places | {"time_base": Fraction(1, 1000)})
        return kept


def _presented(packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
    """Packets with data, but for those that an edit list hides.

    The hidden one before all that is heard stays: decoders begin with it.
    """
    first: dict[int, av.Packet | None] = {}
    for packet in packets:
        if packet.size == 0:
            continue
        index = packet.stream_index
        if packet.is_discard:
            if first.get(index, packet) is not None:
                first[index] = packet
            continue
        before, first[index] = first.get(index), None
        if before is not None:
            yield before
        yield packet


def _exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(10**6)


def _kept(metadata: Mapping[str, str], but: Iterable[str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.lower() not in but}


def _found(container: "av.container.InputContainer") -> list[Track]:
    streams = [s for s in container.streams if s.type in ("audio", "subtitle")]
    stamps: dict[int, list[int | None]] = {s.index: [] for s in streams}
    locked = set()
    for packet in _presented(read_packets(container, *streams)) if streams else ():
        stamp = packet.dts if packet.pts is None else packet.pts
        at = None if stamp is None else round(stamp * packet.time_base / TICK)
        stamps[packet.stream_index].append(at)
        if packet.has_sidedata("encryption_info"):
            locked.add(packet.stream_index)
    tracks = []
    for s in streams:
        found = stamps[s.index]
        times = increasing(found, usual_step(found, 1), TICK)
        if times:
            metadata = _kept(s.metadata, _OF_A_MUXER)
            tracks.append(
                Track(
                    s.index, s.type, codec_name(s), metadata, int(s.disposition),
                    [time * TICK for time in times], s.index in locked,
                )
            )  # fmt: skip
    return tracks


# ------------------------------------------------------------------------------------------ plan


@dataclass(frozen=True)
class Plan:
    """How a container takes tracks.

    Attributes:
        kind: Of the container, as FFmpeg names it.
        ways: `COPIED`, `ENCODED` or `AS_TEXT` by index of the track; the others are left out.
        relayed: PyAV has no stream for one of the codecs: FFmpeg's tee muxer stands in between.
        notes: What a user would not expect.
    """

    kind: str
    ways: Mapping[int, str] = field(default_factory=dict)
    relayed: bool = False
    notes: tuple[str, ...] = ()


def plan(tracks: Tracks, kind: str, *, encode: bool = True) -> Plan:
    """Try how a container takes the tracks.

    Args:
        tracks: Of the source.
        kind: Of the container, as FFmpeg names it.
        encode: Encode sound that it does not take, and refuse what cannot be decoded for that;
            else such sound is left out.

    Raises:
        ValueError: Sound that it does not take, and that cannot be decoded.
    """
    ways: dict[int, str] = {}
    notes: list[str] = []
    relayed = False
    for track in tracks.all:
        way, relay = _way(tracks, track, kind, encode)
        if way is None:
            notes.append(_left_out(track, kind, encode))
            continue
        ways[track.index] = way
        relayed |= relay
        if way == ENCODED:
            notes.append(f"{track} is {track.codec}, which {kind} does not hold: encoded as AAC")
    if relayed and kind != "matroska" and tracks.chapters(Fraction(0)):
        notes.append("chapters are left out beside sound of this kind")
    return Plan(kind, ways, relayed, tuple(notes))


def _left_out(track: Track, kind: str, refuse: bool) -> str:
    if track.encrypted:
        return f"{track} is encrypted: left out"
    if track.kind == "audio" and refuse:
        raise ValueError(
            f"{track} is {track.codec}, which {kind} does not hold and nobody here can decode: "
            "write another kind of file, or .y4m without sound"
        )
    return f"{track} is {track.codec}, which {kind} does not hold: left out"


def _way(tracks: Tracks, track: Track, kind: str, encode: bool) -> tuple[str | None, bool]:
    """How a container takes a track, and whether by the tee muxer."""
    if track.encrypted:
        return None, False
    ways = [(COPIED, False), (COPIED, True)]
    if track.kind == "audio" and encode:
        ways.append((ENCODED, False))
    elif track.codec in _TEXT:
        ways.append((AS_TEXT, False))
    found = (way for way in ways if _takes(tracks, track, kind, *way))
    return next(found, (None, False))


def _takes(tracks: Tracks, track: Track, kind: str, way: str, relayed: bool) -> bool:
    with tempfile.TemporaryDirectory(prefix="davd-") as folder:
        tried = Plan(kind, {track.index: way}, relayed)
        try:
            with open_output(Path(folder) / "trial", tried) as file:
                lanes = open_lanes(tracks, tried, file)
                file.start_encoding()
                count = 0
                for packet in islice(lanes[0].packets(None, Fraction(0)), _TRIED):
                    file.mux(packet)
                    count += 1
            return count > 0 and _speaks_as_before(tracks, track, way, Path(folder) / "trial")
        except (av.error.FFmpegError, ValueError, NotImplementedError):
            return False


def _speaks_as_before(tracks: Tracks, track: Track, way: str, path: Path) -> bool:
    """Whether what was written can be heard, if it could be heard before.

    Some muxers write a codec without what its decoder needs to begin.
    """
    if track.kind != "audio":
        return True
    with tracks._open() as source:
        if not _decodes(source, source.streams[track.index]):
            return way == COPIED
    with open_container(path) as written:
        return _decodes(written, written.streams.audio[0])


def _decodes(container: "av.container.InputContainer", stream: "av.stream.Stream") -> bool:
    if stream.codec_context is None:
        return False
    for packet in islice(read_packets(container, stream), _TRIED):
        try:
            if packet.decode():
                return True
        except av.error.FFmpegError:
            continue
    return False


# --------------------------------------------------------------------------------------- writing


def open_output(
    path: str | os.PathLike[str], plan: Plan, options: Mapping[str, str] | None = None
) -> "av.container.OutputContainer":
    """A file for the tracks of a plan, and pictures beside them.

    Args:
        path: Where to.
        plan: For its container.
        options: Of the muxer.
    """
    name = MediaName(path, write=True)
    if not plan.relayed:
        return av.open(name.url, "w", format=plan.kind, container_options=dict(options or {}))
    slave = "".join(f":{key}={value}" for key, value in (options or {}).items())
    url = name.url.translate({ord(c): f"\\{c}" for c in "\\'|"})
    return av.open(f"[f={plan.kind}{slave}]{url}", "w", format="tee")


def open_lanes(tracks: Tracks, plan: Plan, file: "av.container.OutputContainer") -> "list[Lane]":
    """Give a file the streams of the tracks that a plan keeps."""
    kinds = {COPIED: Lane, ENCODED: EncodedLane, AS_TEXT: TextLane}
    return [
        kinds[plan.ways[track.index]](tracks, track, plan.kind, file)
        for track in tracks.all
        if track.index in plan.ways
    ]


class Lane:
    """A track on its way into a file; this one copies.

    Args:
        tracks: Of the source.
        track: Which of them.
        kind: Of the file.
        file: That gets a stream for it.
    """

    def __init__(
        self, tracks: Tracks, track: Track, kind: str, file: "av.container.OutputContainer"
    ) -> None:
        """Add the stream."""
        self._tracks, self.track, self._kind = tracks, track, kind
        with tracks._open() as container:
            self.stream = self._add(file, container.streams[track.index])
        self.stream.metadata.update(track.metadata)
        language = track.metadata.get("language", "")
        if kind == "mov" and language in _MACINTOSH:
            self.stream.metadata["language"] = _MACINTOSH[language]
        self.stream.disposition = track.disposition
        self._made: Iterator[tuple[Fraction, av.Packet]] | None = None
        self._held: tuple[Fraction, av.Packet] | None = None

    @property
    def waits(self) -> bool:
        """Whether there is more to hand out."""
        return self._made is None or self._held is not None

    def _add(
        self, file: "av.container.OutputContainer", source: "av.stream.Stream"
    ) -> "av.stream.Stream":
        return file.add_stream_from_template(source, opaque=True)

    def packets(self, time: Fraction | None, origin: Fraction) -> Iterator[av.Packet]:
        """What begins at or before a time (None: all that is left) and was not handed out yet.

        Args:
            time: Seconds on the video's clock.
            origin: The time that is 0 in the file.
        """
        if self._made is None:
            self._made = self._make(origin)
            self._held = next(self._made, None)
        while self._held is not None and (time is None or self._held[0] <= time):
            packet = self._held[1]
            packet.stream = self.stream
            yield packet
            self._held = next(self._made, None)

    def _make(self, origin: Fraction) -> Iterator[tuple[Fraction, av.Packet]]:
        last: int | None = None
        for time, packet in self._tracks.packets(self.track):
            at = round((time - origin) / TICK)
            last = at if last is None else max(at, last + 1)
            packet.pts = packet.dts = last
            yield time, packet


class EncodedLane(Lane):
    """Sound that is decoded and encoded as AAC; silence fills the gaps of its times."""

    def _add(
        self, file: "av.container.OutputContainer", source: "av.stream.Stream"
    ) -> "av.stream.Stream":
        context = source.codec_context
        if context is None:
            raise ValueError("no decoder")
        rate = next((r for r in _RATES if r >= context.sample_rate), _RATES[-1])
        stream = file.add_stream("aac", rate=rate)
        stream.layout = _LAYOUTS.get(context.layout.nb_channels, "stereo")
        stream.bit_rate = min(_BITS, 6 * rate) * stream.layout.nb_channels
        return stream

    def _make(self, origin: Fraction) -> Iterator[tuple[Fraction, av.Packet]]:
        begin: Fraction | None = None
        count = 0
        for time, frame in self._resampled():
            begin = time if begin is None else begin
            yield from self._encode(frame, begin, count, origin)
            count += frame.samples
        if begin is not None:
            last = begin
            yield from ((last, packet) for packet in self.stream.encode(None))

    def _resampled(self) -> Iterator[tuple[Fraction, av.AudioFrame]]:
        """Frames as the encoder takes them, whatever rate and channels each had."""
        resampler: av.AudioResampler | None = None
        kind: tuple[object, ...] = ()
        time = Fraction(0)
        for time, frame in self._continuous():
            was, kind = kind, (frame.format.name, frame.layout.name, frame.sample_rate)
            if kind != was:
                yield from ((time, out) for out in resampler.resample(None)) if resampler else ()
                layout, rate = self.stream.layout, self.stream.rate
                resampler = av.AudioResampler("fltp", layout, rate, frame_size=1024)
            assert resampler is not None
            frame.pts = None
            yield from ((time, out) for out in resampler.resample(frame))
        if resampler is not None:
            yield from ((time, out) for out in resampler.resample(None))

    def _encode(
        self, frame: av.AudioFrame, begin: Fraction, count: int, origin: Fraction
    ) -> Iterator[tuple[Fraction, av.Packet]]:
        rate = self.stream.rate
        frame.pts = round((begin - origin) * rate) + count
        frame.time_base = Fraction(1, rate)
        for packet in self.stream.encode(frame):
            yield begin + Fraction(count, rate), packet

    def _continuous(self) -> Iterator[tuple[Fraction, av.AudioFrame]]:
        """Frames one after the other, held to their times: by silence, or by a frame left out.

        Not more than one frame in `_SPARED` is: times that are denser than the sound are wrong.
        """
        begin: Fraction | None = None
        taken, since = Fraction(0), 0
        for time, frame in self._frames():
            begin = time if begin is None else begin
            length = Fraction(frame.samples, frame.sample_rate)
            gap = time - begin - taken
            since += 1
            if gap < -_JITTER and since > _SPARED:
                since = 0
                continue
            while gap > _JITTER:
                silence = _silence(frame, min(gap, Fraction(1)))
                part = Fraction(silence.samples, frame.sample_rate)
                yield begin + taken, silence
                taken, gap = taken + part, gap - part
            yield begin + taken, frame
            taken += length

    def _frames(self) -> Iterator[tuple[Fraction, av.AudioFrame]]:
        for time, packet in self._tracks.packets(self.track):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame):
                    yield time, frame
                    time += Fraction(frame.samples, frame.sample_rate)


def _silence(like: av.AudioFrame, seconds: Fraction) -> av.AudioFrame:
    samples = max(1, round(seconds * like.sample_rate))
    frame = av.AudioFrame(like.format.name, like.layout.name, samples)
    zero = 128 if like.format.name.startswith("u8") else 0
    for plane in frame.planes:
        plane.update(np.full(plane.buffer_size, zero, np.uint8).tobytes())
    frame.sample_rate = like.sample_rate
    return frame


class TextLane(Lane):
    """Subtitles that become the text of another container."""

    def _add(
        self, file: "av.container.OutputContainer", source: "av.stream.Stream"
    ) -> "av.stream.Stream":
        if self._kind not in _TEXT_IN or source.codec_context is None:
            raise ValueError("no text")
        source.codec_context.open(strict=False)
        stream = file.add_stream(_TEXT_IN[self._kind])
        stream.codec_context.subtitle_header = source.codec_context.subtitle_header
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        return stream

    def _make(self, origin: Fraction) -> Iterator[tuple[Fraction, av.Packet]]:
        for time, packet in self._tracks.packets(self.track):
            found = packet.stream.codec_context.decode2(packet)
            if found is None:
                continue
            made = self.stream.codec_context.encode_subtitle(found)
            made.time_base = Fraction(1, 1000)
            made.pts = made.dts = round((time - origin) * 1000)
            made.duration = round((packet.duration or 0) * packet.time_base * 1000)
            yield time, made


def copy_tracks(tracks: Tracks, path: Path) -> float | None:
    """Write tracks, packets untouched, into a Matroska file.

    Returns:
        Time of the first packet, seconds on the video's clock; None where nothing could be copied,
        and there is no file.
    """
    how = plan(tracks, "matroska", encode=False)
    first = tracks.first
    if not how.ways or first is None:
        return None
    with open_output(path, how, {"fflags": "+bitexact"}) as out:
        write_tracks(tracks, how, out, first)
    end(path, how, tracks, first)
    return float(first)


def original_sound(source: Source) -> tuple[bytes, float] | None:
    """A video's tracks beside the picture: a Matroska file, and its first packet's time in seconds.

    Returns:
        None where the video has no sound.
    """
    if source.sound < 0:
        return None
    with tempfile.TemporaryDirectory(prefix="davd-") as folder:
        file = Path(folder) / "tracks.mka"
        start = copy_tracks(Tracks(source.path), file)
        return None if start is None else (file.read_bytes(), start)


def write_tracks(
    tracks: Tracks, how: Plan, file: "av.container.OutputContainer", origin: Fraction
) -> None:
    """Write tracks, chapters and title into a file that has nothing else."""
    lanes = open_lanes(tracks, how, file)
    begin(file, tracks, origin)
    time = origin
    while any(lane.waits for lane in lanes):
        time += 1
        for lane in lanes:
            for packet in lane.packets(time, origin):
                file.mux(packet)


def begin(file: "av.container.OutputContainer", tracks: Tracks | None, origin: Fraction) -> None:
    """Give a file its chapters and title, and write its header."""
    if tracks is not None:
        file.metadata.update(tracks.title)
        chapters = tracks.chapters(origin)
        if chapters and hasattr(file, "set_chapters"):
            file.set_chapters(chapters)
    file.start_encoding()


def end(path: Path, how: Plan, tracks: Tracks | None, origin: Fraction) -> None:
    """Give a closed file the chapters that were lost on the way."""
    chapters = tracks.chapters(origin) if tracks and how.relayed else []
    if chapters and how.kind == "matroska":
        add_chapters(path, chapters)
