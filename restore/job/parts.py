"""A video whose picture size or format changes: its parts are restored one by one, then joined.

Pictures of other sizes are brought to the first one's, as FFmpeg does it for its outputs. In
between, the restored parts lie without loss in a folder that is thrown away.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from ...bitstream import PriorsFile
from ...bitstream.demux import open_container
from ...bitstream.tracks import Tracks
from ..output.movie import CONTAINERS, MovieWriter
from ..output.raw import RawWriter
from ..output.video import VideoFormat
from .request import Outcome, ProgressListener, Request

Run = Callable[[Request, ProgressListener], Outcome]


def can_be_joined(request: Request) -> bool:
    """Whether what is asked for can be of pictures of several sizes."""
    measured = request.reference or request.metrics or request.report
    return request.kind != ".h5" and not measured


def restore_parts(
    run: Run,
    request: Request,
    paths: Sequence[Path],
    tracks: Tracks | None,
    part: Path,
    progress: ProgressListener,
) -> Outcome:
    """Restore priors files of one video after the other, into one output.

    Args:
        run: Restores one of them.
        request: What is asked for of the video.
        paths: The priors files.
        tracks: What goes beside the pictures.
        part: Where the output is written.
        progress: Told how far it is.
    """
    done = []
    for path in paths:
        asked = replace(
            request, source=path, output=path.with_suffix(".mkv"), format="", lossless=True,
            start=None, end=None, is_priors=True, overwrite=True, resume=False,
        )  # fmt: skip
        done.append(run(asked, progress))
    progress.stage("joining", sum(outcome.frames for outcome in done))
    with PriorsFile(paths[0]) as priors:
        format = VideoFormat.of(priors)
    times = [int(pts) for path in paths for pts in _times(path)]
    pictures = _pictures([path.with_suffix(".mkv") for path in paths])
    outcome = replace(done[0], output=str(request.output), frames=len(times))
    outcome.elapsed = sum(other.elapsed for other in done)
    outcome.notes = list(dict.fromkeys(note for other in done for note in other.notes))
    _write(request, format, tracks, part, zip(pictures, times, strict=True), outcome, progress)
    return outcome


def _write(
    request: Request,
    format: VideoFormat,
    tracks: Tracks | None,
    part: Path,
    pictures: Iterator[tuple[av.VideoFrame, int]],
    outcome: Outcome,
    progress: ProgressListener,
) -> None:
    first, start = next(pictures)
    format = replace(format, width=first.width, height=first.height)  # twice as wide, to compare
    size = f"{format.width}x{format.height}"
    outcome.notes.append(f"the size or format of the picture changes: all are written as {size}")
    writer: MovieWriter | RawWriter
    if kind := CONTAINERS.get(request.kind):
        writer = MovieWriter(part, kind, format, tracks=tracks, crf=request.crf,
                             lossless=request.lossless, start=start)  # fmt: skip
        outcome.notes += writer.notes
    else:
        writer = RawWriter(part, format, y4m=request.kind == ".y4m")
    with writer:
        writer.write(_planes(first, format), start)
        progress.step(1)
        for frame, pts in pictures:
            writer.write(_planes(frame, format), pts)
            progress.step(1)


def _times(path: Path) -> np.ndarray:
    with PriorsFile(path) as priors:
        return priors.column("pts")


def _pictures(paths: Sequence[Path]) -> Iterator[av.VideoFrame]:
    for path in paths:
        with open_container(path) as file:
            yield from file.decode(video=0)


def _planes(frame: av.VideoFrame, format: VideoFormat) -> list[np.ndarray]:
    """A picture's planes in another size and format, where it has not those already."""
    wanted = (format.width, format.height, format.pixels)
    if (frame.width, frame.height, frame.format.name) != wanted:
        frame = frame.reformat(
            width=format.width, height=format.height, format=format.pixels, interpolation="BICUBIC"
        )
    kind = np.uint8 if format.depth == 8 else np.dtype("<u2")
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        planes.append(np.ascontiguousarray(rows.view(kind)[:, : plane.width]))
    return planes
