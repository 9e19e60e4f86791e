"""The writer for MP4 and Matroska: H.264 by x264 or FFV1, and the sound track beside it."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np

from ...bitstream.priors.schema import COLOR_MATRICES
from .remux import SoundTrack
from .video import VideoFormat, VideoWriter

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
CRF = 16.0  # default of the output: no visible loss, so that what is seen is the network's work


class MovieWriter(VideoWriter):
    """A video file with one picture track and, where there is one, the original sound.

    Args:
        path: Where to.
        kind: A value of `CONTAINERS`.
        format: Of the pictures.
        sound: The track; None: without sound.
        crf: Constant rate factor of x264.
        lossless: Exact samples: FFV1 in Matroska, x264 at QP 0 elsewhere.
        start: pts of the first picture.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        format: VideoFormat,
        *,
        sound: SoundTrack | None = None,
        crf: float = CRF,
        lossless: bool = False,
        start: int = 0,
    ) -> None:
        """Open file, encoder and sound track.

        Raises:
            ValueError: The encoder has no such format, or the container no place for the sound.
        """
        codec = "ffv1" if lossless and kind == "matroska" else "libx264"
        known = [f.name for f in av.codec.Codec(codec, "w").video_formats or []]
        if format.pixels not in known:
            raise ValueError(
                f"x264 has no {format.pixels}: write .mkv with --lossless, or .y4m, .yuv or .h5"
                if codec == "libx264"
                else f"FFV1 has no {format.pixels}: write .yuv or .h5"
            )
        self._format, self._sound = format, sound
        first = [start * format.time_base]
        if sound is not None and sound.first is not None:
            first.append(Fraction(sound.first).limit_denominator(10**6))
        # In whole units of the picture's clock, so that its times stay exact.
        self._origin = max(0, int(min(first) / format.time_base))
        # The index first, so that a browser begins to play before it has the whole file.
        index = {} if kind == "matroska" else {"movflags": "+faststart"}
        self._file = av.open(str(path), "w", format=kind, container_options=index)
        try:
            options = {"qp": "0"} if lossless else {"crf": f"{crf:g}"}
            self._open_video(codec, options if codec == "libx264" else {"slicecrc": "1"})
            self._track = self._open_sound(kind)
        except BaseException:
            self._file.close()
            raise
        self._last: tuple[av.VideoFrame, int] | None = None

    def _open_video(self, codec: str, options: dict[str, str]) -> None:
        format = self._format
        self._video = self._file.add_stream(codec, rate=format.rate, options=options)
        self._video.time_base = format.time_base
        context = self._video.codec_context
        context.width, context.height, context.pix_fmt = format.width, format.height, format.pixels
        context.time_base, context.framerate = format.time_base, format.rate
        context.sample_aspect_ratio = format.aspect
        matrices = {name: number for number, name in COLOR_MATRICES.items()}
        context.colorspace = matrices.get(format.matrix, 2)
        context.color_primaries, context.color_trc = format.primaries, format.transfer
        context.color_range = 2 if format.full_range else 1
        if format.rotation and keeps_rotation():
            self._video.set_display_rotation(format.rotation)

    def _open_sound(self, kind: str) -> "av.AudioStream | None":
        track = None
        try:
            if self._sound is not None:
                track = self._file.add_stream_from_template(self._sound.template)
            self._file.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            if self._sound is None:
                raise ValueError(f"the encoder cannot be opened: {error}") from None
            raise ValueError(
                f"{self._sound.codec} sound has no place in {kind}: write .mkv, or .y4m without it"
            ) from None
        return track

    def write(self, planes: Sequence[np.ndarray], pts: int) -> None:
        """Encode a picture, and copy the sound up to its time."""
        frame = av.VideoFrame(self._format.width, self._format.height, self._format.pixels)
        for place, plane in zip(frame.planes, planes, strict=True):
            item = plane.dtype.itemsize
            rows = np.frombuffer(place, plane.dtype).reshape(-1, place.line_size // item)
            rows[: plane.shape[0], : plane.shape[1]] = plane
        frame.pts, frame.time_base = pts - self._origin, self._format.time_base
        if self._last is not None:
            self._encode(*self._last, length=pts - self._last[1])
        self._last = frame, pts

    def finish(self) -> None:
        """Encode what is held back, and copy the rest of the sound."""
        if self._last is not None:
            usual = round(1 / (self._format.rate * self._format.time_base))
            self._encode(*self._last, length=max(usual, 1))
        self._file.mux(self._video.encode(None))
        self._copy_sound(None)

    def close(self) -> None:
        """Write the index and close."""
        self._file.close()

    def _encode(self, frame: av.VideoFrame, pts: int, *, length: int) -> None:
        if hasattr(frame, "duration"):
            frame.duration = length
        self._copy_sound(float(pts * self._format.time_base))
        self._file.mux(self._video.encode(frame))

    def _copy_sound(self, time: float | None) -> None:
        if self._sound is None or self._track is None:
            return
        origin = self._origin * self._format.time_base
        for when, packet in self._sound.until(time):
            base = packet.time_base
            late = 0 if packet.dts is None else packet.pts - packet.dts
            packet.pts = round((when - origin) / base)
            packet.dts = packet.pts - late
            packet.stream = self._track
            self._file.mux(packet)


def keeps_rotation() -> bool:
    """Whether this PyAV can say how a player turns the picture."""
    return hasattr(av.VideoStream, "set_display_rotation")
