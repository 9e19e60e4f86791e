"""Any container -> packets in decoding order with their times; no look into a slice.

Containers are opened with PyAV. Bare streams are read directly, NAL unit by NAL unit:
FFmpeg's parser would regroup, and sometimes drop, what lies in odd ones.
"""

import contextlib
import math
import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

import av
import av.error

from ._core import StreamInfo
from .annexb import read_nals, unpacked
from .codecs import CODECS, H264, TITLES, Codec

# AVFieldOrder: which field of a frame is shown first
FIELD_ORDERS = {2: "top", 3: "bottom", 4: "bottom", 5: "top"}
_HEAD = 1 << 20  # bytes looked at to tell a bare stream
_LOOKED_AT = 500  # packets until FFmpeg has a frame, at most
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_UNSPECIFIED = 2  # colour, Tables E-3 to E-5
_LOCKED = {"encv", "enca", "drmi", "drms"}  # sample entries of encrypted tracks
INVENTED_RATE = Fraction(25)


class VideoError(ValueError):
    """A file without readable video; the message says what was found and what to do."""


class CodecError(VideoError, NotImplementedError):
    """A video of a codec that is not looked into; the message names it."""


class Packet(NamedTuple):
    """A piece of the stream that goes to the decoder at once: in containers an access unit.

    Attributes:
        data: NAL units with start codes, whatever the container has before them.
        pts: Presentation time in `Source.time_base`; None where there is none.
        dts: Decoding time, likewise.
        duration: Of the packet, likewise; 0 where the container does not say.
        hidden: The container's edit list says: decode, but do not show.
    """

    data: bytes
    pts: int | None = None
    dts: int | None = None
    duration: int = 0
    hidden: bool = False


class Colour(NamedTuple):
    """Colour as a player takes it from container and stream; numbers of Tables E-3 to E-5."""

    full_range: bool = False
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED
    matrix: int = _UNSPECIFIED


@dataclass(frozen=True)
class Source:
    """A video file, looked at but not kept open.

    Attributes:
        path: The file.
        codec: Of the video.
        bare: A bare stream, without container and times.
        stream: Index of the video stream in the container; -1 when bare.
        choice: Which of several video streams it is, in words; empty where there is one.
        parameter_sets: What the decoder needs before the first packet, with start codes.
        length_size: Bytes of the lengths before NAL units, as the container says; 0: start codes.
        time_base: Seconds a unit of `pts` lasts; 0 when bare.
        frame_rate: Mean frames a second as the container has it; 0 when bare.
        frames: Number of frames as the container has it; 0 where it does not say.
        index_size: Packets that its index promises; 0 where it has none.
        size: Width and height of the picture as the container has them; 0 where it does not say.
        aspect: Width to height of a sample, where the container says other than the stream.
        colour: As a player takes it.
        matrix: How a player turns and mirrors the picture, nine numbers as FFmpeg has them; empty
            where it does not.
        field_order: Of `FIELD_ORDERS`.
        sound: Index of the audio stream that is heard, -1 where there is none.
        sound_codec: Name of its codec.
        kind: Of the container, as FFmpeg names it.
    """

    path: Path
    codec: Codec = H264
    bare: bool = False
    stream: int = -1
    choice: str = ""
    parameter_sets: bytes = b""
    length_size: int = 0
    time_base: Fraction = Fraction(0)
    frame_rate: Fraction = Fraction(0)
    frames: int = 0
    index_size: int = 0
    size: tuple[int, int] = (0, 0)
    aspect: Fraction | None = None
    colour: Colour = Colour()
    matrix: tuple[int, ...] = ()
    field_order: str = "progressive"
    sound: int = -1
    sound_codec: str = ""
    kind: str = ""

    @property
    def rotation(self) -> int:
        """Degrees that a player turns the picture counterclockwise, mirroring apart."""
        return turn(self.matrix)

    def shown(self, info: StreamInfo) -> StreamInfo:
        """A sequence as a player shows it: what the container says of its pictures goes in."""
        width, height = self._cropped(info)
        sar = self.aspect or Fraction(info.sar_width or 1, info.sar_height or 1)
        told = info.colour_primaries, info.transfer_characteristics, info.matrix_coefficients
        primaries, transfer, matrix = (
            other if own == _UNSPECIFIED else own
            for own, other in zip(told, self.colour[1:], strict=True)
        )
        return replace(
            info,
            width=width,
            height=height,
            crop_right=info.crop_right + info.width - width,
            crop_bottom=info.crop_bottom + info.height - height,
            sar_width=sar.numerator,
            sar_height=sar.denominator,
            colour_primaries=primaries,
            transfer_characteristics=transfer,
            matrix_coefficients=matrix,
            video_full_range=info.video_full_range or self.colour.full_range,
        )

    def _cropped(self, info: StreamInfo) -> tuple[int, int]:
        """Width and height: the container's where they cut less than a macroblock off."""
        own = info.width, info.height
        less = all(
            0 < there <= here and -(-there // 16) == -(-here // 16)
            for there, here in zip(self.size, own, strict=True)
        )
        return self.size if less and not info.crop_left and not info.crop_top else own

    def packets(self, faults: dict[str, int] | None = None) -> Iterator[Packet]:
        """All packets in decoding order.

        Args:
            faults: Counts what is wrong with the container: `demux_error` (it could not be read
                further), `truncated_packet`, `missing_packet` (promised by its index).

        Raises:
            VideoError: The pictures are encrypted.
        """
        if not self.bare:
            yield from self._container_packets({} if faults is None else faults)
            return
        with open(self.path, "rb") as file:
            for data in self.codec.nals.units(read_nals(file)):
                yield Packet(data)

    def _container_packets(self, faults: dict[str, int]) -> Iterator[Packet]:
        def fault(name: str, count: int = 1) -> None:
            faults[name] = faults.get(name, 0) + count

        left, size = self.index_size, self.length_size
        with open_container(self.path) as container:
            stream = container.streams[self.stream]
            for packet in read_packets(container, stream, damaged=lambda: fault("demux_error")):
                if packet.size == 0:
                    continue
                left -= 1
                if packet.is_corrupt:
                    fault("truncated_packet")
                if packet.has_sidedata("encryption_info"):
                    raise VideoError(_encrypted(self.path))
                raw, data = bytes(packet), b""
                if packet.has_sidedata("new_extradata"):
                    record = bytes(packet.get_sidedata("new_extradata"))
                    size = self.codec.nals.length_size(record)
                    data = b"".join(self.codec.nals.sets_of(record))
                data += unpacked(raw, size)
                yield Packet(
                    data,
                    packet.pts,
                    packet.dts,
                    packet.duration or 0,
                    packet.is_discard,
                )
        if left > 0:
            fault("missing_packet", left)


def _encrypted(path: Path) -> str:
    return f"{path} is encrypted: its pictures cannot be read; decrypt it first, with its key"


def turn(matrix: tuple[int, ...]) -> int:
    """Degrees counterclockwise by which a display matrix turns; mirroring, left to right, apart."""
    if not matrix:
        return 0
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if a * d < b * c:
        a, c = -a, -c
    across, along = math.hypot(a, c), math.hypot(b, d)
    return round(-math.degrees(math.atan2(b / along, a / across))) if across and along else 0


class MediaName:
    """What FFmpeg is to open for a file, whatever its name: colons make no protocol of it.

    As a context it holds what the name stands for; a name to write to must be held until the file
    is whole.
    """

    def __init__(self, path: str | os.PathLike[str], *, write: bool = False) -> None:
        """A name for the file; one that is not in UTF-8, as FFmpeg's are, goes by its descriptor.

        Raises:
            OSError: Such a file cannot be opened.
        """
        self._descriptor = -1
        self.url = f"file:{os.fspath(path)}"
        try:
            self.url.encode()
        except UnicodeEncodeError:
            how = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
            self._descriptor = os.open(path, how, 0o666)
            self.url = f"file:/dev/fd/{self._descriptor}"

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """The name itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file."""
        self.close()


def shown_name(path: Path) -> str:
    """The file's name as text; what is not UTF-8 in it is replaced."""
    return os.fsencode(path.name).decode(errors="replace")


def open_container(
    path: str | os.PathLike[str], kind: str | None = None
) -> "av.container.InputContainer":
    """Open a file to be read.

    Raises:
        av.error.FFmpegError: FFmpeg cannot.
    """
    with MediaName(path) as name:
        return av.open(name.url, format=kind, metadata_errors="ignore")


def read_packets(
    container: "av.container.InputContainer",
    *streams: "av.stream.Stream",
    damaged: Callable[[], object] = lambda: None,
) -> Iterator[av.Packet]:
    """Packets of streams up to the end, or to where the file cannot be read further.

    Args:
        container: Read from its beginning.
        streams: Of it.
        damaged: Called where reading failed; what came so far stands.
    """
    demuxer = container.demux(*streams)
    while True:
        try:
            packet = next(demuxer)
        except StopIteration:
            return
        except av.error.FFmpegError:
            damaged()
            return
        except IndexError:  # PyAV at the end, of a stream that appeared on the way
            return
        yield packet


def open_source(path: str | os.PathLike[str], *, stream: int | None = None) -> Source:
    """Look at a video file.

    Args:
        path: The file.
        stream: Index of the video stream in it; None: as FFmpeg chooses.

    Raises:
        VideoError: It is no video.
        CodecError: It is one, but of a codec that is not looked into.
        OSError: It cannot be read.
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise VideoError(f"{path} is an empty file")
    suffix = path.suffix.lower()
    for codec in CODECS.values():
        if codec.nals.looks_bare(head, junk=suffix in codec.suffixes):
            return _bare(path, codec)
    try:
        with open_container(path) as container:
            return _look(path, container, stream)
    except av.error.FFmpegError as error:
        named = next((codec for codec in CODECS.values() if suffix in codec.suffixes), None)
        if named and b"\0\0\1" in head:
            return _bare(path, named)
        raise VideoError(_unopened(path, head, error)) from error


def _bare(path: Path, codec: Codec) -> Source:
    """A bare stream; its field order is what FFmpeg finds in its first pictures."""
    order = 0
    with contextlib.suppress(av.error.FFmpegError), open_container(path, codec.name) as container:
        if container.streams.video:
            order = container.streams.video[0].codec_context.field_order
    return Source(path, codec, bare=True, field_order=FIELD_ORDERS.get(order, "progressive"))


def _unopened(path: Path, head: bytes, error: av.error.FFmpegError) -> str:
    """Why a file cannot be opened, and what to do."""
    logged = error.log[2] if error.log else ""
    if head[4:8] in (b"styp", b"moof", b"sidx") and b"moov" not in head:
        return (
            f"{path} is a media segment of a fragmented MP4: what describes it is in the "
            "initialisation segment; join them (cat init.mp4 segment1.m4s ... > whole.mp4)"
        )
    if "moov" in logged or (head[4:8] == b"ftyp" and b"moov" not in head):
        return (
            f"{path} is an MP4 file without its index (moov): it was cut off, or never "
            "finished; record or copy it again"
        )
    return (
        f"{path} is not a video file that can be opened ({error.strerror}); give a file with "
        f"{TITLES} in it"
    )


def first_video(
    container: "av.container.InputContainer", path: str | os.PathLike[str]
) -> "av.video.stream.VideoStream":
    """The first video stream of a file whose codec FFmpeg knows.

    Raises:
        VideoError: There is none.
    """
    for stream in container.streams.video:
        if stream.codec_context is not None:
            return stream
    raise VideoError(f"{path} has no video that can be decoded")


def codec_name(stream: "av.stream.Stream") -> str:
    """Name of a stream's codec - not of FFmpeg's decoder, as `mp3float` - or "unknown"."""
    context = stream.codec_context
    return "unknown" if context is None else str(context.codec.canonical_name)


def _look(path: Path, container: "av.container.InputContainer", wanted: int | None) -> Source:
    video, choice = _choose(path, container, wanted)
    codec = CODECS[codec_name(video)]
    context, sound = video.codec_context, container.streams.best("audio", related=video)
    if context.codec_tag in _LOCKED or _is_locked(path, container.format.name, video.id):
        raise VideoError(_encrypted(path))
    if sound is not None and sound.codec_context is None:
        sound = None
    rate = video.average_rate or video.guessed_rate or video.base_rate or INVENTED_RATE
    record, own_aspect = context.extradata or b"", context.sample_aspect_ratio
    aspect = video.sample_aspect_ratio
    size = context.width, context.height
    colour, matrix = _first_look(path, container, video)  # last: it reads on
    return Source(
        path,
        codec,
        field_order=FIELD_ORDERS.get(context.field_order, "progressive"),
        stream=video.index,
        choice=choice,
        parameter_sets=b"".join(codec.nals.sets_of(record)),
        length_size=codec.nals.length_size(record),
        time_base=video.time_base or Fraction(1, 90000),
        frame_rate=Fraction(rate),
        frames=video.frames,
        index_size=len(video.index_entries) if "mov" in container.format.name else 0,
        size=size,
        aspect=Fraction(aspect) if aspect and aspect != own_aspect else None,
        colour=colour,
        matrix=matrix,
        sound=-1 if sound is None else sound.index,
        sound_codec="" if sound is None else codec_name(sound),
        kind=container.format.name,
    )


def _is_locked(path: Path, kind: str, number: int) -> bool:
    """Whether the container says, where FFmpeg does not tell, that its pictures are encrypted.

    Args:
        path: The file.
        kind: Of the container.
        number: Of the stream, as the container counts: in transport streams the PID.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if (
        "matroska" in kind
    ):  # before the first cluster: ContentEncodingType, length 1 or 00 ... 01, 1
        front = head.partition(b"\x1f\x43\xb6\x75")[0]
        return re.search(rb"\x50\x33(\x81|\x01\0{6}\x01)\x01", front) is not None
    if kind != "mpegts":
        return False
    at = next((k for k in range(188) if head[k : k + 377 : 188] == b"GGG"), len(head))
    own = [
        head[k + 3] >> 6
        for k in range(at, len(head) - 187, 188)
        if (head[k + 1] & 31) << 8 | head[k + 2] == number and head[k] == 0x47
    ]
    return 2 * sum(control != 0 for control in own) > len(own)


def _choose(
    path: Path, container: "av.container.InputContainer", wanted: int | None
) -> "tuple[av.video.stream.VideoStream, str]":
    """The stream that can be looked into, and the choice in words where there is one.

    As the ffmpeg command does: one marked as default before others, then the largest picture.
    """
    cover = av.stream.Disposition.attached_pic
    found = [s for s in container.streams.video if not s.disposition & cover]
    videos = [s for s in found if s.codec_context and codec_name(s) in CODECS]
    names = ", ".join(f"{codec_name(s)} ({s.type})" for s in container.streams)
    if not container.streams.video:
        said = f"found {names}" if names else "it has no streams at all"
        raise VideoError(f"{path} has no video: {said}; give a file with {TITLES} in it")
    if not videos:
        raise CodecError(
            f"{path} has no {TITLES} video: found {names}; only those can be looked into (encoding "
            "it again would show the new encoder's bitstream, not this one's)"
        )
    listed = ", ".join(
        f"{s.index} {codec_name(s)} {s.codec_context.width}x{s.codec_context.height}"
        if s.codec_context
        else f"{s.index} unknown"
        for s in found
    )
    if wanted is not None:
        chosen = next((s for s in videos if s.index == wanted), None)
        if chosen is None:
            raise VideoError(f"{path} has no {TITLES} video stream {wanted}: it has {listed}")
        return chosen, f"video stream {wanted} of {listed}" if len(found) > 1 else ""

    def rank(stream: "av.video.stream.VideoStream") -> tuple[bool, int]:
        context, default = stream.codec_context, av.stream.Disposition.default
        return bool(stream.disposition & default), context.width * context.height

    chosen = max(videos, key=rank)
    if len(found) == 1:
        return chosen, ""
    return chosen, f"video stream {chosen.index} of {listed}; --stream chooses another"


def _first_look(
    path: Path, container: "av.container.InputContainer", video: "av.video.stream.VideoStream"
) -> tuple[Colour, tuple[int, ...]]:
    """Colour and display matrix: FFmpeg hands them out with the first decoded frame."""
    video.codec_context.thread_count = 1
    video.codec_context.options = {
        "skip_loop_filter": "all",
        "skip_idct": "all",
    }  # no sample counts
    for packet in islice(read_packets(container, video), _LOOKED_AT):
        if packet.has_sidedata("encryption_info"):
            raise VideoError(_encrypted(path))
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        if frames:
            return _colour(frames[0]), _matrix(frames[0])
    return Colour(), ()


def _colour(frame: av.VideoFrame) -> Colour:
    return Colour(
        int(frame.color_range) == _FULL_RANGE,
        int(frame.color_primaries),
        int(frame.color_trc),
        int(frame.colorspace),
    )


def _matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    try:
        stored = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV gives none of a frame's where one is of a kind it has no name for
        return ()
    return () if stored is None else struct.unpack("9i", bytes(stored))
