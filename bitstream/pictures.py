"""A video that is not H.264, with what its pictures alone say: decoded by FFmpeg, no priors.

It has the interface of a priors file, and of its datasets `decoded/*`, `frames/*` and the sound.
Planes are filled up to whole macroblocks by repeating their last row and column, as if coded so.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, KeysView
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np

from .. import __version__
from .demux import (
    INVENTED_RATE,
    CodecError,
    Source,
    VideoError,
    codec_name,
    open_container,
    read_packets,
    shown_name,
)
from .priors.field import PictureType
from .priors.reading import Priors, Stack
from .priors.record import FrameRecord
from .priors.schema import CHROMA_FORMATS, COLOR_MATRICES, FORMAT, VERSIONS, Field, Grid
from .sound import whole_sound
from .stamps import increasing, usual_step
from .tracks import original_sound

_KEPT = 64  # decoded frames that are kept
_PIXELS = {
    name + (f"{depth}le" if depth > 8 else ""): (chroma, depth)
    for name, chroma in (("yuv420p", 1), ("yuv422p", 2), ("yuv444p", 3))
    for depth in (8, 10, 12, 14)
}  # format of FFmpeg -> chroma_format_idc, bits; others are converted to 8-bit 4:2:0
_UNKNOWN = frozenset({"frames/decode_order", "frames/poc", "frames/bits"})
_TYPES = {1: PictureType.I, 2: PictureType.P, 3: PictureType.B}  # by FFmpeg's numbers


class PicturesVideo(Priors):
    """The pictures of a video that FFmpeg decodes, as a priors file without priors.

    Several threads may read at the same time; frames read in order are decoded once.

    Args:
        path: The video.

    Attributes:
        codec: What it is, by FFmpeg's name.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Go through a video for its frames and their times.

        Raises:
            VideoError: There is no video in the file, or none that can be decoded.
        """
        self.path = Path(path)
        self._lock = threading.Lock()
        self._frames: OrderedDict[int, tuple[np.ndarray, ...]] = OrderedDict()
        self._walk: Iterator[tuple[int, av.VideoFrame]] | None = None
        self._next = 0
        try:
            self._look()
        except av.error.FFmpegError as error:
            raise VideoError(f"{path} cannot be decoded: {error.strerror}") from error

    def _look(self) -> None:
        with open_container(self.path) as container:
            video = container.streams.best("video")
            if video is None or video.codec_context is None:
                raise VideoError(f"{self.path} has no video that can be decoded")
            sound = container.streams.best("audio", related=video)
            audible = sound is not None and sound.codec_context is not None
            self.codec = codec_name(video)
            self._unit = video.time_base or Fraction(1, 90000)
            rate = Fraction(video.average_rate or video.guessed_rate or INVENTED_RATE)
            self._source = Source(
                self.path,
                bare=False,
                stream=video.index,
                sound=sound.index if audible else -1,
                sound_codec=codec_name(sound) if audible else "",
            )
        stamps: list[int | None] = []
        kept = ("picture_type", "keyframe", "concealed", "bytes")
        self._facts: dict[str, list[object]] = {name: [] for name in kept}
        sizes: dict[int | None, int] = {}
        first = None
        for frame in self._decoded(sizes):
            first = first or frame
            stamps.append(frame.pts)
            self._facts["bytes"].append(sizes.pop(frame.pts, 0))
            self._facts["picture_type"].append(_TYPES.get(int(frame.pict_type), PictureType.P))
            self._facts["keyframe"].append(bool(frame.key_frame))
            self._facts["concealed"].append(bool(frame.is_corrupt))
        if first is None:
            raise VideoError(f"{self.path} holds no picture that can be decoded")
        usual = usual_step(stamps, max(1, round(1 / (rate * self._unit))))
        self._pts = increasing(stamps, usual, self._unit)
        self._pixels = first.format.name.replace("yuvj", "yuv")
        self._pixels = self._pixels if self._pixels in _PIXELS else "yuv420p"
        self.attrs = self._attributes(first, rate)

    def _attributes(
        self, frame: av.VideoFrame, rate: Fraction
    ) -> dict[str, str | int | float | bool]:
        chroma, depth = _PIXELS[self._pixels]
        wide, high = (-(-side // 16) * 16 for side in (frame.width, frame.height))
        aspect = Fraction(getattr(frame, "sample_aspect_ratio", None) or 1) or Fraction(1)
        return {
            "format": FORMAT, "schema_version": VERSIONS["h264"], "davd_version": __version__,
            "codec": self.codec, "source": shown_name(self.path), "source_sha256": "",
            "profile_idc": 0, "level_idc": 0, "width": frame.width, "height": frame.height,
            "crop_left": 0, "crop_right": wide - frame.width, "crop_top": 0,
            "crop_bottom": high - frame.height,
            "chroma_format": CHROMA_FORMATS[chroma], "bit_depth_luma": depth,
            "bit_depth_chroma": depth,
            "color_matrix": COLOR_MATRICES.get(int(frame.colorspace), "unspecified"),
            "color_range": "full" if int(frame.color_range) == 2 else "limited",
            "color_primaries": int(getattr(frame, "color_primaries", 2)),
            "color_transfer": int(getattr(frame, "color_trc", 2)),
            "sample_aspect_ratio": f"{aspect.numerator}/{aspect.denominator}",
            "rotation": int(getattr(frame, "rotation", 0)),
            "frame_rate": f"{rate.numerator}/{rate.denominator}",
            "time_base": f"{self._unit.numerator}/{self._unit.denominator}",
            "time_invented": False, "encoder": "", "first_frame": 0, "verified": False,
            "complete": True,
        }  # fmt: skip

    def _decoded(self, sizes: dict[int | None, int] | None = None) -> Iterator[av.VideoFrame]:
        """All frames, from the first; `sizes` takes the bytes of their packets, by time."""
        with open_container(self.path) as container:
            video = container.streams[self._source.stream]
            video.thread_type = "AUTO"
            for packet in read_packets(container, video):
                if sizes is not None and packet.size:
                    time = packet.dts if packet.pts is None else packet.pts
                    sizes[time] = sizes.get(time, 0) + packet.size
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:  # a damaged one is left out
                    continue
                yield from (frame for frame in frames if isinstance(frame, av.VideoFrame))

    def keys(self) -> KeysView[str]:
        """Names of the datasets."""
        return {path: None for path in self.fields if self._has(path)}.keys()

    def _has(self, path: str) -> bool:
        group, _, name = path.partition("/")
        if group == "audio":
            return self._source.sound >= 0
        if group == "frames":
            return path not in _UNKNOWN
        return path in ("decoded/y", "decoded/cb", "decoded/cr")

    def _column(self, name: str) -> np.ndarray:
        if not self._has(f"frames/{name}"):
            raise KeyError(f"{self.path} is {self.codec}: it has no 'frames/{name}'")
        if name == "time":
            return np.array([float(pts * self._unit) for pts in self._pts])
        values = self._facts.get(name) or (self._pts if name == "pts" else [0] * len(self._pts))
        return np.array(values, self.fields[f"frames/{name}"].dtype)

    def dataset(self, path: str) -> Stack:
        """Any dataset.

        Raises:
            KeyError: There is none of this name.
        """
        if path not in self.keys():
            raise KeyError(f"{self.path} has no {path!r}")
        if self.fields[path].per_frame:
            return self[path]
        attrs: dict[str, object] = {"description": self.fields[path].description}
        if path == "audio/samples":
            heard = self.audio()
            assert heard is not None
            data, attrs["sample_rate"], attrs["start_time"] = heard
        else:
            track = self.audio_original()
            if track is None:
                raise KeyError(f"{self.path} has no {path!r}")
            data, attrs["start_time"] = np.frombuffer(track[0], np.uint8), track[1]
        return Stack(path, data.shape, data.dtype, attrs, lambda rows: data[rows])

    def scaling_lists(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat lists: nothing is known."""
        return np.full((6, 16), 16, np.uint8), np.full((6, 64), 16, np.uint8)

    def audio(self) -> tuple[np.ndarray, int, float] | None:
        """The sound, if any: int16 `[S]`, samples a second, time of the first in seconds."""
        return whole_sound(self._source)

    def audio_original(self) -> tuple[bytes, float] | None:
        """The video's own sound track, if any: a Matroska file, and its first packet's time."""
        return original_sound(self._source)

    def close(self) -> None:
        """Drop decoded frames and the decoder."""
        with self._lock:
            self._frames.clear()
            self._walk = None

    def _layout(self, field: Field) -> tuple[tuple[int, ...], np.dtype]:
        chroma, depth = _PIXELS[self._pixels]
        height = int(self.attrs["height"]) + int(self.attrs["crop_bottom"])
        width = int(self.attrs["width"]) + int(self.attrs["crop_right"])
        return field.row(Grid((height, width), chroma)), field.type(deep=depth > 8, grey=False)

    def _rows(self, field: Field, frames: list[int], where: tuple[slice, ...]) -> np.ndarray:
        plane = ("y", "cb", "cr").index(field.path.partition("/")[2])
        return np.stack([self._planes(k)[plane][where] for k in frames])

    def _record(self, index: int) -> FrameRecord:
        raise CodecError(
            f"{self.path} is {self.codec}: of its frames there are pictures, no records"
        )

    def _planes(self, index: int) -> tuple[np.ndarray, ...]:
        with self._lock:
            if index not in self._frames:
                if self._walk is None or index < self._next:
                    self._walk, self._next = iter(enumerate(self._decoded())), 0
                while self._next <= index:
                    number, frame = next(self._walk)
                    self._next = number + 1
                    if self._next > index - _KEPT:
                        self._frames[number] = self._whole(frame)
                while len(self._frames) > _KEPT:
                    self._frames.popitem(last=False)
            return self._frames[index]

    def _whole(self, frame: av.VideoFrame) -> tuple[np.ndarray, ...]:
        """Planes filled up to whole macroblocks."""
        size = int(self.attrs["width"]), int(self.attrs["height"])
        if (
            frame.format.name.replace("yuvj", "yuv") != self._pixels
            or (
                frame.width,
                frame.height,
            )
            != size
        ):
            frame = frame.reformat(*size, format=self._pixels)
        planes = []
        for name, plane in zip(("y", "cb", "cr"), frame.planes, strict=True):
            shape, kind = self._layout(self.fields[f"decoded/{name}"])
            rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
            shown = rows[: plane.height, : plane.width]
            fill = [(0, whole - side) for whole, side in zip(shape, shown.shape, strict=True)]
            planes.append(np.pad(shown, fill, mode="edge"))
        return tuple(planes)
