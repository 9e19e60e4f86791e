"""The writer for MP4 and Matroska: H.264 by x264 or FFV1, and the sound track beside it."""

import math
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error
import av.filter
import numpy as np
import torch

from ...bitstream.demux import MediaName
from ...bitstream.priors.schema import COLOR_MATRICES
from ...bitstream.stamps import usual_step
from ...bitstream.tracks import (
    ENCODED,
    Lane,
    Plan,
    Tracks,
    begin,
    end,
    open_lanes,
    open_output,
    plan,
)
from .pieces import LENGTH, Pieces
from .video import VideoFormat, VideoWriter

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
FIELD_ORDERS = {"progressive": 1, "top": 2, "bottom": 3}  # AVFieldOrder
EXACT = {"fflags": "+bitexact"}  # no random numbers in the file: it is the same whenever made
_LONGEST = 1 << 30  # units between two pictures in MP4, which counts to 2^31 between any two times
_PRIMING = Fraction(1, 10)  # seconds of a codec's priming, at most
CRF = 16.0  # default of the output: no visible loss, so that what is seen is the network's work


class MovieWriter(VideoWriter):
    """A video file with one picture track and, where there are any, the tracks of the original.

        pictures --encoder, `LENGTH` at a time--> pieces --packets, tracks beside them--> file

    Args:
        path: Where to.
        kind: A value of `CONTAINERS`.
        format: Of the pictures.
        tracks: Sound, subtitles and chapters; None: none.
        crf: Constant rate factor of x264.
        lossless: Exact samples: FFV1 in Matroska, x264 at QP 0 elsewhere.
        start: pts of the first picture.
        pieces: Where the pictures are kept until the file is whole; those that are there already
            are the first ones of the movie. By default in a folder beside the file.

    Attributes:
        notes: What a user would not expect of the tracks.
        copies: All sound is the original's, packet by packet.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        format: VideoFormat,
        *,
        tracks: Tracks | None = None,
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
        self._path, self._kind, self._format, self._tracks = path, kind, format, tracks
        self._plan = plan(tracks, kind) if tracks else Plan(kind)
        self.notes = self._plan.notes
        self.copies = ENCODED not in self._plan.ways.values()
        options = {"qp": "0"} if lossless else {"crf": f"{crf:g}"}
        self._fields = _FieldMarker(format) if format.interlaced else None
        self._options = {"slicecrc": "1"}
        if self._codec == "libx264":
            self._options = options | _own_options(format)
        self._origin = _origin(start, tracks.first if tracks else None, format.time_base)
        self._pts: list[int] = []
        self._piece: av.container.OutputContainer | None = None
        self._try_encoder()
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
        context.field_order = FIELD_ORDERS[format.field_order]
        return track

    def _try_encoder(self) -> None:
        format = self._format
        try:
            with tempfile.TemporaryDirectory(prefix="davd-") as folder:
                with open_output(Path(folder) / "trial", Plan(self._kind)) as trial:
                    self._open_video(trial)
                    trial.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            odd = format.width % 2 or format.height % 2
            raise ValueError(
                f"x264 encodes no odd sizes, and this is {format.width}x{format.height}: write "
                ".mkv with --lossless, or .y4m"
                if odd and self._codec == "libx264"
                else f"the encoder cannot be opened: {error}"
            ) from None

    def write(self, planes: Sequence[np.ndarray], pts: int) -> None:
        """Encode a picture."""
        if self._piece is None:
            name = MediaName(self._pieces.begin(), write=True)
            self._piece = av.open(name.url, "w", format="nut")
            self._video = self._open_video(self._piece)
        frame = fill_frame(planes, self._format.width, self._format.height, self._format.pixels)
        self._pts.append(pts - self._origin)
        frame.pts, frame.time_base = self._pts[-1], self._format.time_base
        if self._fields is not None:
            frame = self._fields.marked(frame)
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
        base = self._format.time_base
        with (
            self._pieces.template() as first,
            open_output(self._path, self._plan, index | EXACT) as file,
        ):
            video = file.add_stream_from_template(first.streams.video[0])
            video.time_base = self._clock(base)
            self._turn(video)
            lanes = open_lanes(self._tracks, self._plan, file) if self._tracks else []
            begin(file, self._tracks, self._origin * base)
            for packet in self._pieces.packets(self._pts, usual_step(self._pts, self._by_rate())):
                self._copy(file, lanes, packet.pts * base)
                packet.stream, packet.time_base = video, base
                file.mux(packet)
            self._copy(file, lanes, None)
        end(self._path, self._plan, self._tracks, self._origin * base)
        self._pieces.remove()

    def close(self) -> None:
        """Let go of the piece that is not finished; the others stay for another run."""
        if self._piece is not None:
            self._piece.close()
            self._piece = None
        self._pieces.close()

    def _by_rate(self) -> int:
        return max(round(1 / (self._format.rate * self._format.time_base)), 1)

    def _clock(self, base: Fraction) -> Fraction:
        """Seconds that the file counts: MP4 has 31 bits for the time between pictures."""
        longest = max((b - a for a, b in zip(self._pts, self._pts[1:], strict=False)), default=0)
        if self._kind == "matroska" or longest <= _LONGEST:
            return base
        return Fraction(1, max(1, int(_LONGEST / (longest * base))))

    def _turn(self, video: "av.VideoStream") -> None:
        turned = self._format.turned
        if len(turned) == 1:
            video.set_display_rotation(*turned)
        elif turned:
            video.set_display_matrix(turned)

    def _copy(
        self, file: "av.container.OutputContainer", lanes: list[Lane], time: Fraction | None
    ) -> None:
        """Copy the tracks up to a time; None: all that is left of them."""
        origin = self._origin * self._format.time_base
        for lane in lanes:
            for packet in lane.packets(None if time is None else time + origin, origin):
                file.mux(packet)


def _origin(start: int, sound: Fraction | None, base: Fraction) -> int:
    """The time that is 0 in the file, in whole units of the picture's clock: exact for pictures.

    What begins first begins at 0. A codec's priming alone, before pictures from 0 on, stays before
    0: the file says that it is not to be heard.
    """
    picture = start * base
    first = picture if sound is None else min(picture, sound)
    priming = picture >= 0 > first > -_PRIMING
    return 0 if priming else math.floor(first / base)


class _FieldMarker:
    """Says of frames which of their fields is shown first, which x264 asks of each."""

    def __init__(self, format: VideoFormat) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=format.width, height=format.height, format=av.VideoFormat(format.pixels),
            time_base=format.time_base,
        )  # fmt: skip
        order = {"top": "tff", "bottom": "bff"}[format.field_order]
        marker, sink = self._graph.add("setfield", order), self._graph.add("buffersink")
        source.link_to(marker)
        marker.link_to(sink)
        self._graph.configure()

    def marked(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame, marked."""
        self._graph.push(frame)
        done = self._graph.pull()
        assert isinstance(done, av.VideoFrame)
        return done


def fill_frame(planes: Sequence[np.ndarray], width: int, height: int, pixels: str) -> av.VideoFrame:
    """Planes as a frame of PyAV."""
    frame = av.VideoFrame(width, height, pixels)
    for place, plane in zip(frame.planes, planes, strict=True):
        item = plane.dtype.itemsize
        rows = np.frombuffer(place, plane.dtype).reshape(-1, place.line_size // item)
        rows[: plane.shape[0], : plane.shape[1]] = plane
    return frame


def _own_options(format: VideoFormat) -> dict[str, str]:
    """Options of x264 for fields, and those with which the same pictures give the same bytes.

    A resumed run needs the latter. x264's code for AVX-512 (of the version in PyAV 18) reads memory
    that it never wrote, and decides differently from run to run; that for AVX2 does not.
    """
    own = ["asm=avx2"] if "AVX512" in torch.backends.cpu.get_cpu_capability() else []
    options = {}
    if format.interlaced:
        options["flags"] = "+ilme+ildct"
        own.append({"top": "tff=1", "bottom": "bff=1"}[format.field_order])
    return options | ({"x264-params": ":".join(own)} if own else {})
