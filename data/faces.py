"""Shots of a video and the one fixed face box of each.

    grey thumbnails on the output's frame grid --> cuts --> shots
    every fifth of a second: face boxes (opencv's cascades) --> the steadiest track of each shot
        --> median box --> square crop of 1.4 times the face, inside the picture, at even samples

The crop is fixed for the whole shot: a box that follows the face would move the background under
the encoder and spend its bits on that.
"""

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .media import ClipError, Probe, ffmpeg_path

if TYPE_CHECKING:
    import cv2
    from ffmpeg.nodes import FilterableStream

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

CROP_FACTOR = 1.4
"""Side of the crop over side of the face."""

LOOKS_A_SECOND = 5
"""How often a face is looked for."""

RAISE = 0.05
"""Share of the face by which a crop is centred above the middle of the detector's box: hair reaches
further over the box than the chin under it."""

SHORT_SIDE = 360
"""Pixels of the short side of pictures that faces are looked for in; one of 45 is found."""

_CUT_LEVEL = 14.0  # mean absolute change from frame to frame, grey levels, that may be a cut
_CUT_RATIO = 4.0  # ... if it is so many times the changes around it
_STEADY = 0.6  # share of looks at which the face must be found
_INSIDE = 0.9  # share of found faces that must lie inside the fixed crop
_DETECTORS = threading.local()
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Shot:
    """Frames between two cuts and what is seen in them.

    Attributes:
        start: First frame on the output's grid.
        stop: One past the last frame.
        face: Median box of the face in source pixels; None if there is no steady one.
        crop: Square to be cut out, source pixels; None likewise.
        found: Share of looks at which the face was found.
        dropped: Why the shot is not used; "" if it is.
    """

    start: int
    stop: int
    face: Box | None = None
    crop: Box | None = None
    found: float = 0.0
    dropped: str = ""


def grey_frames(
    path: Path, seen: Probe, fps: Fraction, *, short_side: int = SHORT_SIDE
) -> Iterator[np.ndarray]:
    """Yield the video's frames on the output's grid as `[h, w]` uint8, small.

    The grid is that of `prepare`: frame k stands for the time `start + k / fps`.

    Raises:
        ClipError: ffmpeg could not decode the file.
    """
    import ffmpeg

    scale = short_side / min(seen.width, seen.height)
    width, height = (max(2, round(n * scale)) for n in (seen.width, seen.height))
    stream = ffmpeg.input(f"file:{path}", copyts=None).video
    stream = on_grid(stream, seen, fps).filter("scale", width, height, flags="area")
    command = stream.output("pipe:", format="rawvideo", pix_fmt="gray", fps_mode="passthrough")
    arguments = [ffmpeg_path(), "-hide_banner", "-nostdin", "-v", "error", *command.get_args()]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
    ) as process:
        assert process.stdout is not None
        try:
            while len(data := process.stdout.read(width * height)) == width * height:
                yield np.frombuffer(data, np.uint8).reshape(height, width)
        finally:
            process.stdout.close()
            process.terminate()


def on_grid(stream: "FilterableStream", seen: Probe, fps: Fraction) -> "FilterableStream":
    """Put a video stream on a constant frame rate that begins with its first frame.

    Interlaced video is made progressive first: a comb of two moments would be learnt as truth.
    """
    if seen.interlaced:
        stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
    moved = stream.filter("setpts", f"PTS-{seen.start:.6f}/TB")
    return moved.filter("fps", fps=str(fps), start_time=0, round="near")


def _cascade(name: str) -> "cv2.CascadeClassifier":
    """A detector of this thread's own: neither it nor opencv's import is made for two at once."""
    own: dict[str, cv2.CascadeClassifier] = vars(_DETECTORS)
    if name not in own:
        with _LOADING:
            from cv2 import CascadeClassifier, data

            own[name] = CascadeClassifier(f"{data.haarcascades}haarcascade_{name}.xml")
        assert not own[name].empty(), name
    return own[name]


def detect(grey: np.ndarray) -> list[Box]:
    """The face boxes in one grey picture, the largest first.

    Args:
        grey: `[h, w]` uint8.
    """
    least = max(40, min(grey.shape) // 8)
    for name in ("frontalface_alt2", "frontalface_default"):
        found = _cascade(name).detectMultiScale(
            grey, scaleFactor=1.12, minNeighbors=4, minSize=(least, least)
        )
        if len(found):
            boxes: list[Box] = [(int(x), int(y), int(w), int(h)) for x, y, w, h in found]
            return sorted(boxes, key=lambda box: (-box[2] * box[3], box))
    return []


def cuts(changes: np.ndarray) -> list[int]:
    """The frames at which a new shot begins.

    Args:
        changes: `[T]` mean absolute change of each frame against the one before, grey levels;
            the first is 0.
    """
    out = []
    for k in range(1, len(changes)):
        around = np.concatenate([changes[max(1, k - 12) : k], changes[k + 1 : k + 13]])
        usual = float(np.median(around)) if len(around) else 0.0
        if changes[k] > _CUT_LEVEL and changes[k] > _CUT_RATIO * (usual + 1.0):
            out.append(k)
    return out


def find_shots(
    path: Path,
    seen: Probe,
    fps: Fraction,
    *,
    least_seconds: float = 1.0,
    short_side: int = SHORT_SIDE,
) -> list[Shot]:
    """Split a video at its cuts and find the face of each shot.

    Args:
        path: The video.
        seen: What `probe` says of it.
        fps: Frame rate of the output's grid.
        least_seconds: Shorter shots are dropped.
        short_side: Of the thumbnails, pixels; faces down to an eighth of it are found.

    Returns:
        All shots in order, with the reason in `dropped` where one cannot be used.

    Raises:
        ClipError: No frame could be decoded.
    """
    step = max(1, round(fps / LOOKS_A_SECOND))
    changes: list[float] = []
    looks: list[tuple[int, list[Box]]] = []
    last: np.ndarray | None = None
    shape = (1, 1)
    for k, grey in enumerate(grey_frames(path, seen, fps, short_side=short_side)):
        shape = grey.shape
        small = grey[: shape[0] // 8 * 8, : shape[1] // 8 * 8].astype(np.float32)
        small = small.reshape(shape[0] // 8, 8, -1, 8).mean((1, 3))
        changes.append(0.0 if last is None else float(np.abs(small - last).mean()))
        last = small
        if k % step == 0:
            looks.append((k, detect(grey)))
    if not changes:
        raise ClipError("no frame could be decoded")
    edges = [0, *cuts(np.array(changes)), len(changes)]
    scale = seen.width / shape[1]
    out = []
    for start, stop in zip(edges, edges[1:], strict=False):
        inside = [boxes for k, boxes in looks if start <= k < stop]
        out.append(_judge(start, stop, inside, (seen.width, seen.height), scale))
    return [_too_short(s) if (s.stop - s.start) < least_seconds * fps else s for s in out]


def _too_short(shot: Shot) -> Shot:
    """Drop a shot."""
    return Shot(shot.start, shot.stop, found=shot.found, dropped="shorter than a second")


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def steadiest(looks: list[list[Box]]) -> list[Box]:
    """The boxes of the face that is seen most, by area times times seen."""
    tracks: list[list[Box]] = []
    for boxes in looks:
        free = list(range(len(tracks)))
        for box in boxes:
            overlaps = {k: _overlap(tracks[k][-1], box) for k in free}
            best = max(overlaps, key=lambda k: overlaps[k], default=-1)
            if best >= 0 and overlaps[best] > 0.3:
                tracks[best].append(box)
                free.remove(best)
            else:
                tracks.append([box])
    return max(tracks, key=lambda t: sum(w * h for _, _, w, h in t), default=[])


def _judge(
    start: int, stop: int, looks: list[list[Box]], size: tuple[int, int], scale: float
) -> Shot:
    """Turn the looks at a shot, in thumbnail pixels, into a crop in source pixels."""
    boxes = steadiest(looks)
    found = len(boxes) / max(len(looks), 1)
    if not boxes:
        return Shot(start, stop, dropped="no face")
    if found < _STEADY:
        return Shot(start, stop, found=found, dropped=f"face found in {found:.0%} of looks only")
    scaled = np.array(boxes) * scale
    x, y, w, h = (float(v) for v in np.median(scaled, axis=0))
    face = (round(x), round(y), round(w), round(h))
    crop = square(face, size)
    centres = scaled[:, :2] + scaled[:, 2:] / 2
    within = np.all((centres - w / 2 >= np.array(crop[:2]) - 0.1 * w), axis=1)
    within &= np.all(centres + w / 2 <= np.array(crop[:2]) + crop[2] + 0.1 * w, axis=1)
    if within.mean() < _INSIDE:
        return Shot(start, stop, face, found=found, dropped="the face leaves a fixed box")
    return Shot(start, stop, face, crop, found)


def square(face: Box, size: tuple[int, int], *, factor: float = CROP_FACTOR) -> Box:
    """The crop around a face: `factor` times its side, inside the picture, on even samples.

    Args:
        face: In source pixels.
        size: Width and height of the picture.
        factor: Crop's side over face's side.
    """
    side = min(round(factor * max(face[2:])), *size) // 2 * 2
    x = face[0] + face[2] / 2 - side / 2
    y = face[1] + (0.5 - RAISE) * face[3] - side / 2
    x = min(max(round(x / 2) * 2, 0), (size[0] - side) // 2 * 2)
    y = min(max(round(y / 2) * 2, 0), (size[1] - side) // 2 * 2)
    return int(x), int(y), side, side


def usual_face(width: int, height: int) -> Box:
    """Where the face is taken to be in a picture in which none was found.

    That is where `square` would have put it, in the largest square around the picture's centre.
    """
    side = min(width, height)
    face = side / CROP_FACTOR
    x, y = (width - face) / 2, height / 2 - (0.5 - RAISE) * face
    return round(x), round(y), round(face), round(face)


def mouth(face: Box, size: tuple[int, int]) -> Box:
    """The region of the mouth below the nose, from the face box, clipped to the picture."""
    x0, x1 = face[0] + 0.22 * face[2], face[0] + 0.78 * face[2]
    y0, y1 = face[1] + 0.62 * face[3], face[1] + 1.05 * face[3]
    x0, y0 = max(round(x0), 0), max(round(y0), 0)
    return x0, y0, min(round(x1), size[0]) - x0, min(round(y1), size[1]) - y0
