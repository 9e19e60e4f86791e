"""Any container -> packets in decoding order with their times; no look into a slice.

Containers are opened with PyAV. Bare H.264 streams are read directly, NAL unit by NAL unit:
FFmpeg's parser would regroup, and sometimes drop, what lies in odd ones.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import av.error

from .annexb import (
    IDR,
    SLICE_TYPES,
    group_units,
    join_nals,
    length_size,
    looks_bare,
    nal_type,
    parameter_sets,
    read_nals,
    split_nals,
)

_BARE_SUFFIXES = {".264", ".h264", ".avc", ".jsv", ".26l", ".jvt", ".annexb"}
_HEAD = 1 << 20  # bytes looked at to tell a bare stream
INVENTED_RATE = Fraction(25)


class VideoError(ValueError):
    """A file without readable video; the message says what was found and what to do."""


class CodecError(VideoError, NotImplementedError):
    """A video that is not H.264; the message names what it is."""


class Packet(NamedTuple):
    """A piece of the stream that goes to the decoder at once.

    Attributes:
        data: NAL units, with start codes or lengths as `Source.extradata` says.
        pts: presentation time in `Source.time_base`; None for bare streams.
        idr: an IDR picture begins here, so that decoding may start here.
        hidden: the container's edit list says: decode, but do not show.
    """

    data: bytes
    pts: int | None
    idr: bool
    hidden: bool


@dataclass(frozen=True)
class Source:
    """A video file, looked at but not kept open.

    Attributes:
        path: the file.
        bare: a bare H.264 stream, without container and times.
        stream: index of the H.264 stream in the container; -1 when bare.
        extradata: what the decoder needs before the first packet (avcC record or parameter sets).
        time_base: seconds a unit of `pts` lasts; 0 when bare.
        frame_rate: mean frames a second as the container has it; 0 when bare.
        frames: number of frames as the container has it; 0 where it does not say.
        index_size: packets that its index promises; 0 where it has none.
        rotation: degrees that a player turns the picture counterclockwise.
        sound: index of the audio stream, -1 where there is none.
        sound_codec: name of its codec.
    """

    path: Path
    bare: bool
    stream: int = -1
    extradata: bytes | None = None
    time_base: Fraction = Fraction(0)
    frame_rate: Fraction = Fraction(0)
    frames: int = 0
    index_size: int = 0
    rotation: int = 0
    sound: int = -1
    sound_codec: str = ""

    @property
    def length_size(self) -> int:
        """Bytes of the NAL unit lengths in packets; 0 for start codes."""
        return length_size(self.extradata)

    def packets(self, faults: dict[str, int] | None = None) -> Iterator[Packet]:
        """All packets in decoding order.

        Args:
            faults: counts what is wrong with the container: `demux_error` (it could not be read
                further), `truncated_packet`, `missing_packet` (promised by its index).
        """
        if not self.bare:
            yield from self._container_packets({} if faults is None else faults)
            return
        with open(self.path, "rb") as file:
            for data, idr in group_units(read_nals(file)):
                yield Packet(data, None, idr, False)

    def _container_packets(self, faults: dict[str, int]) -> Iterator[Packet]:
        def fault(name: str, count: int = 1) -> None:
            faults[name] = faults.get(name, 0) + count

        left = self.index_size
        with _open(self.path) as container:
            demuxer = container.demux(container.streams[self.stream])
            while True:
                try:
                    packet = next(demuxer)
                except StopIteration:
                    break
                except av.error.FFmpegError:  # a file cut off or damaged: what came so far stands
                    fault("demux_error")
                    break
                if packet.size == 0:
                    continue
                left -= 1
                if packet.is_corrupt:
                    fault("truncated_packet")
                data = bytes(packet)
                if packet.has_sidedata("new_extradata"):
                    new = parameter_sets(bytes(packet.get_sidedata("new_extradata")))
                    data = join_nals(new, self.length_size) + data
                pts = packet.dts if packet.pts is None else packet.pts
                yield Packet(data, pts, self._begins_idr(data), packet.is_discard)
        if left > 0:
            fault("missing_packet", left)

    def _begins_idr(self, data: bytes) -> bool:
        """Whether the first slice of a packet belongs to an IDR picture."""
        kinds = (nal_type(n) for n in split_nals(data, self.length_size))
        return next((k for k in kinds if k in SLICE_TYPES), 0) == IDR


def open_source(path: str | os.PathLike[str]) -> Source:
    """Look at a video file.

    Raises:
        VideoError: it is no video.
        CodecError: it is one, but not H.264.
        OSError: it cannot be read.
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise VideoError(f"{path} is an empty file")
    if looks_bare(head, junk=path.suffix.lower() in _BARE_SUFFIXES):
        return Source(path, bare=True)
    try:
        with _open(path) as container:
            return _look(path, container)
    except av.error.FFmpegError as error:
        if path.suffix.lower() in _BARE_SUFFIXES and b"\0\0\1" in head:
            return Source(path, bare=True)
        logged = error.log[2] if error.log else ""
        if "moov" in logged or (head[4:8] == b"ftyp" and b"moov" not in head):
            raise VideoError(
                f"{path} is an MP4 file without its index (moov): it was cut off, or never "
                "finished; record or copy it again"
            ) from error
        raise VideoError(
            f"{path} is not a video file that can be opened ({error.strerror}); give a file with "
            "H.264 video in it"
        ) from error


def _open(path: Path) -> "av.container.InputContainer":
    return av.open(str(path), metadata_errors="ignore")


def _look(path: Path, container: "av.container.InputContainer") -> Source:
    found = [
        (s.type, getattr(s.codec_context, "name", None) or "unknown") for s in container.streams
    ]
    videos = [
        s for s in container.streams.video if s.codec_context and s.codec_context.name == "h264"
    ]
    if not videos:
        names = ", ".join(f"{name} ({kind})" for kind, name in found) or "no streams at all"
        if not container.streams.video:
            raise VideoError(f"{path} has no video: found {names}; give a file with H.264 in it")
        raise CodecError(
            f"{path} has no H.264 video: found {names}; only H.264 can be looked into (encoding it "
            "again as H.264 would show the new encoder's bitstream, not this one's)"
        )
    video = videos[0]
    sound = container.streams.best("audio")
    if sound is not None and sound.codec_context is None:
        sound = None
    rate = video.average_rate or video.guessed_rate or video.base_rate or INVENTED_RATE
    mov = "mov" in container.format.name
    return Source(
        path,
        bare=False,
        stream=video.index,
        extradata=video.codec_context.extradata,
        time_base=video.time_base or Fraction(1, 90000),
        frame_rate=Fraction(rate),
        frames=video.frames,
        index_size=len(video.index_entries) if mov else 0,
        rotation=_rotation(container, video.index) if mov else 0,
        sound=-1 if sound is None else sound.index,
        sound_codec="" if sound is None else sound.codec_context.name,
    )


def _rotation(container: "av.container.InputContainer", stream: int) -> int:
    """The display matrix as degrees; FFmpeg hands it out with the first decoded frame."""
    try:
        frame = next(container.decode(container.streams[stream]), None)
    except av.error.FFmpegError:
        return 0
    return int(frame.rotation) if isinstance(frame, av.VideoFrame) else 0
