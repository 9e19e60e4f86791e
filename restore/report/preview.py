"""The moving pictures of the page: before above after in one video, so that they cannot part.

Pictures are 8-bit 4:2:0, upright, with square samples, coded by x264; the sound track is copied.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np

from ...bitstream import Priors
from ...bitstream.demux import turn
from ...bitstream.priors.part import check_output, make_part
from ...bitstream.priors.schema import COLOR_MATRICES
from ...bitstream.show.colour import to_rgb
from ...bitstream.tracks import Plan, Tracks, open_lanes, open_output, plan
from ..output.movie import fill_frame
from ..output.remux import stored_tracks
from ..output.video import VideoFormat, turned_by

LONGEST = 1280  # samples of the longer side of each picture
INSIDE = 8 << 20  # bytes up to which the video is put into the page
GAP = 16  # rows between both pictures, so that neither bleeds into the other
_OPTIONS = {"crf": "18", "preset": "veryfast"}
_NOT_WEIGHTS = ("gbr", "ycgco")  # matrices that players do not know


@dataclass(frozen=True)
class FaceBox:
    """Where a face is for some frames: x, y, width and height in luma samples of what is shown."""

    start: int
    stop: int
    box: tuple[int, int, int, int]


Shares = tuple[float, float, float, float]  # x, y, width and height of a box in a picture


@dataclass(frozen=True)
class Upright:
    """How pictures are turned and mirrored as a player does.

    Attributes:
        turns: Quarters counterclockwise.
        mirrored: Left and right are exchanged after that.
    """

    turns: int
    mirrored: bool

    @classmethod
    def of(cls, priors: Priors) -> "Upright":
        """What a video asks for; odd angles are rounded."""
        turned = turned_by(priors.attrs)
        if len(turned) < 9:
            return cls(round(sum(turned) / 90) % 4, False)
        mirrored = turned[0] * turned[4] < turned[1] * turned[3]
        return cls(round(turn(turned) / 90) % 4, mirrored)

    @property
    def lies(self) -> bool:
        """Whether width and height are exchanged."""
        return self.turns % 2 == 1

    def picture(self, samples: np.ndarray) -> np.ndarray:
        """A picture `[H, W, ...]` as shown."""
        turned = np.rot90(samples, self.turns)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)

    def box(self, box: Shares) -> Shares:
        """A box in it."""
        for _ in range(self.turns):  # right becomes top
            box = (box[1], 1 - box[0] - box[2], box[3], box[2])
        return (1 - box[0] - box[2], *box[1:]) if self.mirrored else box


class Preview:
    """Writes the video of a page.

    Args:
        page: Where the page goes; a video that is too large for it lies beside it.
        priors: What is restored.
        frames: Those that will come.
        shift: Seconds by which the sound is moved, later if positive.
        overwrite: Replace an existing file.

    Attributes:
        size: Width and height of each picture.
        path: Where the video lies if it is not put into the page.
    """

    def __init__(
        self,
        page: Path,
        priors: Priors,
        frames: range,
        *,
        shift: float = 0.0,
        overwrite: bool = False,
    ) -> None:
        """Open the file, and the sound track where MP4 has a place for it.

        Raises:
            ValueError: The pictures are of a kind that no video file holds.
            FileExistsError: The file exists and may not be replaced.
        """
        self._priors, self._format = priors, VideoFormat.of(priors)
        self._pts = priors.column("pts")
        self._view = Upright.of(priors)
        self.size = _shown_size(self._format, self._view)
        self.path = page.with_suffix(".preview.mp4")
        check_output(self.path, overwrite=overwrite)
        self._part = make_part(self.path)
        self._first = int(self._pts[frames.start]) * self._format.time_base
        self._open(_sound(priors, frames, shift))

    def _open(self, tracks: Tracks | None) -> None:
        sound = plan(tracks, "mp4") if tracks else Plan("mp4")
        self._file = open_output(self._part, sound, {"movflags": "+faststart"})
        track = self._file.add_stream("libx264", rate=self._format.rate, options=_OPTIONS)
        track.width, track.height, track.pix_fmt = self.size[0], 2 * self.size[1] + GAP, "yuv420p"
        track.codec_context.time_base = track.time_base = self._format.time_base
        names = {name: number for number, name in COLOR_MATRICES.items()}
        special = self._format.matrix in _NOT_WEIGHTS
        track.codec_context.colorspace = 6 if special else names.get(self._format.matrix, 2)
        track.codec_context.color_range = 2 if self._format.full_range and not special else 1
        self._track = track
        self._lanes = open_lanes(tracks, sound, self._file) if tracks else []
        self._file.start_encoding()

    @property
    def has_sound(self) -> bool:
        """Whether sound goes with the pictures."""
        return any(lane.track.kind == "audio" for lane in self._lanes)

    def add(
        self, index: int, decoded: Sequence[np.ndarray], restored: Sequence[np.ndarray]
    ) -> None:
        """Take a frame's planes as shown, before and after."""
        both = _stacked(self._half(decoded), self._half(restored), self.size[1])
        frame = av.VideoFrame.from_ndarray(both, format="yuv420p")
        base = self._format.time_base
        frame.pts = int(self._pts[index]) - int(self._first / base)
        frame.time_base = base
        self._copy_sound(frame.pts * base)
        self._file.mux(self._track.encode(frame))

    def _half(self, planes: Sequence[np.ndarray]) -> np.ndarray:
        """One picture as an array of the format yuv420p, upright."""
        format = self._format
        if format.matrix in _NOT_WEIGHTS:
            rgb = to_rgb(planes, depth=format.depth, matrix=format.matrix,
                         full_range=format.full_range)  # fmt: skip
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        else:
            frame = fill_frame(planes, format.width, format.height, format.pixels)
        width, height = self.size[::-1] if self._view.lies else self.size
        array = frame.reformat(width=width, height=height, format="yuv420p").to_ndarray()
        planes = [self._view.picture(p).reshape(-1) for p in _parts(array, width, height)]
        return np.concatenate(planes).reshape(-1, self.size[0])

    def _copy_sound(self, time: Fraction | None) -> None:
        limit = None if time is None else time + self._first
        for lane in self._lanes:
            for packet in lane.packets(limit, self._first):
                self._file.mux(packet)

    def finish(self) -> str:
        """Complete the video; its address for the page, itself where it is small."""
        self._file.mux(self._track.encode(None))
        self._copy_sound(None)
        self.close()
        if self._part.stat().st_size <= INSIDE:
            data = self._part.read_bytes()
            self._part.unlink()
            return f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
        os.replace(self._part, self.path)
        return self.path.name

    def place(self, face: FaceBox) -> Shares:
        """A box of luma samples shown as shares of the picture: x, y, width, height."""
        x, y, width, height = face.box
        left, top = x / self._format.width, y / self._format.height
        box = (left, top, width / self._format.width, height / self._format.height)
        return self._view.box(box)

    def close(self) -> None:
        """Let go of the files."""
        self._file.close()

    def __enter__(self) -> Self:
        """The preview itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it, and remove what was not finished."""
        self.close()
        self._part.unlink(missing_ok=True)


def _shown_size(format: VideoFormat, view: Upright) -> tuple[int, int]:
    """Width and height as shown, even and not over `LONGEST`."""
    width, height = format.width * (format.aspect or Fraction(1)), Fraction(format.height)
    if view.lies:
        width, height = height, width
    scale = min(Fraction(1), LONGEST / max(width, height))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def _sound(priors: Priors, frames: range, shift: float) -> Tracks | None:
    """The original track, cut to the frames."""
    if "audio/original" not in priors:
        return None
    times = priors.column("time")
    end = float(times[frames.stop]) if frames.stop < len(times) else None
    return stored_tracks(priors, start=float(times[frames.start]), end=end, shift=shift)


def _parts(array: np.ndarray, width: int, height: int) -> list[np.ndarray]:
    """Planes of an array of the format yuv420p."""
    flat, luma, small = array.reshape(-1), width * height, width * height // 4
    return [
        flat[:luma].reshape(height, width),
        flat[luma : luma + small].reshape(height // 2, width // 2),
        flat[luma + small :].reshape(height // 2, width // 2),
    ]


def _stacked(above: np.ndarray, below: np.ndarray, height: int) -> np.ndarray:
    """Two arrays of the format yuv420p as one, the gap filled with the rows beside it."""
    width, planes = above.shape[1], []
    pairs = zip(_parts(above, width, height), _parts(below, width, height), strict=True)
    for one, other in pairs:
        half = GAP // 2 * one.shape[0] // height
        gap = [one[-1:].repeat(half, 0), other[:1].repeat(half, 0)]
        planes.append(np.concatenate([one, *gap, other]).reshape(-1))
    return np.concatenate(planes).reshape(-1, width)
