"""The writer for MP4 and Matroska: H.264 by x264 or FFV1, and the sound track beside it."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
import torch

from ...bitstream.priors.schema import COLOR_MATRICES
from .pieces import LENGTH, Pieces
from .remux import SoundTrack
from .video import VideoFormat, VideoWriter

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
EXACT = {"fflags": "+bitexact"}  # no random numbers in the file: it is the same whenever made
CRF = 16.0  # default of the output: no visible loss, so that what is seen is the network's work


class MovieWriter(VideoWriter):
    """A video file with one picture track and, where there is one, the original sound.

        pictures --encoder, `LENGTH` at a time--> pieces --packets, sound beside them--> file

    Args:
        path: Where to.
        kind: A value of `CONTAINERS`.
        format: Of the pictures.
        sound: The track; None: without sound.
        crf: Constant rate factor of x264.
        lossless: Exact samples: FFV1 in Matroska, x264 at QP 0 elsewhere.
        start: pts of the first picture.
        pieces: Where the pictures are kept until the file is whole; those that are there already
            are the first ones of the movie. By default in a folder beside the file.
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
        pieces: Pieces | None = None,
    ) -> None:
        """Try encoder and container, so that what they cannot do is said early.

        Raises:
            ValueError: The encoder has no such format, or the container no place for the sound.
        """
        self._codec = "ffv1" if lossless and kind == "matroska" else "libx264"
        known = [f.name for f in av.codec.Codec(self._codec, "w").video_formats or []]
        if format.pixels not in known:
            raise ValueError(
                f"x264 has no {format.pixels}: write .mkv with --lossless, or .y4m, .yuv or .h5"
                if self._codec == "libx264"
                else f"FFV1 has no {format.pixels}: write .yuv or .h5"
            )
        self._path, self._kind, self._format, self._sound = path, kind, format, sound
        options = {"qp": "0"} if lossless else {"crf": f"{crf:g}"}
        self._options = options | _steady() if self._codec == "libx264" else {"slicecrc": "1"}
        first = [start * format.time_base]
        if sound is not None and sound.first is not None:
            first.append(Fraction(sound.first).limit_denominator(10**6))
        # In whole units of the picture's clock, so that its times stay exact.
        self._origin = max(0, int(min(first) / format.time_base))
        self._pts: list[int] = []
        self._piece: av.container.OutputContainer | None = None
        with av.open(io.BytesIO(), "w", format=kind) as trial:
            self._open_video(trial)
            self._start(trial)
        self._pieces = pieces or Pieces(path.with_name(path.name + ".pieces"))

    def resume(self, pts: Sequence[int]) -> int:
        """Take the pictures of the pieces that are there for the first ones of the movie.

        Args:
            pts: Of the movie's pictures.

        Returns:
            How many there are; `write` goes on after them.
        """
        self._pts = [int(at) - self._origin for at in pts[: LENGTH * self._pieces.whole]]
        return len(self._pts)

    def _open_video(self, file: "av.container.OutputContainer") -> "av.VideoStream":
        """Give a file a picture track with an encoder behind it."""
        format = self._format
        track = file.add_stream(self._codec, rate=format.rate, options=self._options)
        track.time_base = format.time_base
        context = track.codec_context
        context.width, context.height, context.pix_fmt = format.width, format.height, format.pixels
        context.time_base, context.framerate = format.time_base, format.rate
        context.sample_aspect_ratio = format.aspect
        matrices = {name: number for number, name in COLOR_MATRICES.items()}
        context.colorspace = matrices.get(format.matrix, 2)
        context.color_primaries, context.color_trc = format.primaries, format.transfer
        context.color_range = 2 if format.full_range else 1
        return track

    def _start(self, file: "av.container.OutputContainer") -> "av.AudioStream | None":
        """Give a file the sound track and write its header."""
        track = None
        try:
            if self._sound is not None:
                track = file.add_stream_from_template(self._sound.template)
            file.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            if self._sound is None:
                raise ValueError(f"the encoder cannot be opened: {error}") from None
            raise ValueError(
                f"{self._sound.codec} sound has no place in {self._kind}: write .mkv, or .y4m "
                "without it"
            ) from None
        return track

    def write(self, planes: Sequence[np.ndarray], pts: int) -> None:
        """Encode a picture."""
        if self._piece is None:
            self._piece = av.open(str(self._pieces.begin()), "w", format="nut")
            self._video = self._open_video(self._piece)
        frame = fill_frame(planes, self._format.width, self._format.height, self._format.pixels)
        self._pts.append(pts - self._origin)
        frame.pts, frame.time_base = self._pts[-1], self._format.time_base
        self._piece.mux(self._video.encode(frame))
        if len(self._pts) % LENGTH == 0:
            self._end_piece()

    def _end_piece(self) -> None:
        if self._piece is not None:
            self._piece.mux(self._video.encode(None))
            self._piece.close()
            self._piece = None
            self._pieces.finish()

    def finish(self) -> None:
        """Join the pieces, and copy the sound beside them."""
        self._end_piece()
        # The index first, so that a browser begins to play before it has the whole file.
        index = {"movflags": "+faststart"} if self._kind != "matroska" else {}
        with (
            self._pieces.template() as first,
            av.open(
                str(self._path), "w", format=self._kind, container_options=index | EXACT
            ) as file,
        ):
            video = file.add_stream_from_template(first.streams.video[0])
            video.time_base = self._format.time_base
            if self._format.rotation and keeps_rotation():
                video.set_display_rotation(self._format.rotation)
            sound = self._start(file)
            usual = max(round(1 / (self._format.rate * self._format.time_base)), 1)
            for packet in self._pieces.packets(self._pts, usual):
                self._copy_sound(file, sound, float(packet.pts * self._format.time_base))
                packet.stream, packet.time_base = video, self._format.time_base
                file.mux(packet)
            self._copy_sound(file, sound, None)
        self._pieces.remove()

    def close(self) -> None:
        """Let go of the piece that is not finished; the others stay for another run."""
        if self._piece is not None:
            self._piece.close()
            self._piece = None
        self._pieces.close()

    def _copy_sound(
        self,
        file: "av.container.OutputContainer",
        track: "av.AudioStream | None",
        time: float | None,
    ) -> None:
        """Copy the sound up to a time; None: all that is left of it."""
        if self._sound is None or track is None:
            return
        origin = self._origin * self._format.time_base
        for when, packet in self._sound.until(time):
            base = packet.time_base
            late = 0 if packet.dts is None else packet.pts - packet.dts
            packet.pts = round((when - origin) / base)
            packet.dts = packet.pts - late
            packet.stream = track
            file.mux(packet)


def fill_frame(planes: Sequence[np.ndarray], width: int, height: int, pixels: str) -> av.VideoFrame:
    """Planes as a frame of PyAV."""
    frame = av.VideoFrame(width, height, pixels)
    for place, plane in zip(frame.planes, planes, strict=True):
        item = plane.dtype.itemsize
        rows = np.frombuffer(place, plane.dtype).reshape(-1, place.line_size // item)
        rows[: plane.shape[0], : plane.shape[1]] = plane
    return frame


def _steady() -> dict[str, str]:
    """Options with which x264 gives the same bytes for the same pictures, as a resumed run needs.

    Its code for AVX-512 (of the version in PyAV 18) reads memory that it never wrote, and decides
    differently from run to run; that for AVX2 does not.
    """
    wide = "AVX512" in torch.backends.cpu.get_cpu_capability()
    return {"x264-params": "asm=avx2"} if wide else {}


def keeps_rotation() -> bool:
    """Whether this PyAV can say how a player turns the picture."""
    return hasattr(av.VideoStream, "set_display_rotation")
