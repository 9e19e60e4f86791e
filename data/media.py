"""Video files as the data pipeline sees them: what is inside, and ffmpeg run on them.

Commands are built with ffmpeg-python and run by the ffmpeg on PATH, else by the one inside the
imageio-ffmpeg wheel. `DAVD_FFMPEG` names another.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from av.container import InputContainer
    from av.video.stream import VideoStream


class ClipError(Exception):
    """This clip cannot be used, for the reason given; other clips may well be."""


@dataclass(frozen=True)
class Probe:
    """What a file holds.

    Attributes:
        codec: Name of the video codec, "h264".
        width: Of the picture as it is to be shown, in pixels.
        height: likewise.
        pix_fmt: "yuv420p".
        rate: Average frames a second.
        constant: Every frame lies on the grid of `rate` to within 1 ms.
        interlaced: The first frame says that it is two fields.
        frames: Number of frames.
        start: Time of the first frame in the container's clock, seconds.
        stop: End of the last frame.
        sound: "aac 48000 Hz 2 ch", or "" if there is none.
    """

    codec: str
    width: int
    height: int
    pix_fmt: str
    rate: Fraction
    constant: bool
    interlaced: bool
    frames: int
    start: float
    stop: float
    sound: str


@cache
def ffmpeg_path() -> str:
    """The ffmpeg to run.

    Raises:
        FileNotFoundError: There is none.
    """
    found = os.environ.get("DAVD_FFMPEG") or shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError as error:
        raise FileNotFoundError(
            "no ffmpeg on PATH and no imageio-ffmpeg wheel; pip install imageio-ffmpeg"
        ) from error
    return imageio_ffmpeg.get_ffmpeg_exe()


@cache
def ffmpeg_version() -> str:
    """The first line of `ffmpeg -version` without the copyright."""
    text = subprocess.run([ffmpeg_path(), "-version"], capture_output=True, text=True, check=True)
    return text.stdout.split(" Copyright")[0].strip()


def run_ffmpeg(arguments: Sequence[str], *, folder: Path | None = None) -> str:
    """Run ffmpeg.

    Args:
        arguments: What follows the program's name, as `ffmpeg.get_args` gives it.
        folder: Working folder; relative names in `arguments` are looked up there.

    Returns:
        The command as one line, with "ffmpeg" for the program, to be recorded.

    Raises:
        ClipError: ffmpeg failed; the reason is its last words.
        OSError: The disk is full.
    """
    arguments = ["-hide_banner", "-nostdin", "-v", "error", *arguments]
    done = subprocess.run(
        [ffmpeg_path(), *arguments], capture_output=True, text=True, errors="replace", cwd=folder,
        process_group=0,  # Ctrl-C is for us; ffmpeg's way of stopping would look like a bad clip
    )  # fmt: skip
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        if "No space left on device" in done.stderr:
            raise OSError(28, "No space left on device", str(folder))
        raise ClipError(f"ffmpeg: {words[0].strip()[:200]}")
    import shlex

    return shlex.join(["ffmpeg", *arguments])


@contextlib.contextmanager
def complete(path: Path) -> Iterator[Path]:
    """Give a name to write to; what was written becomes `path` only if all went well.

    Example: `with complete(Path("a.mkv")) as part: write(part)`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def probe(path: Path) -> Probe:
    """Read headers and timestamps of a file; no picture but the first is decoded.

    Raises:
        ClipError: Not a video, empty, or nothing in it can be decoded.
    """
    from av.error import FFmpegError

    from ..bitstream.demux import VideoError, first_video, open_container

    if path.stat().st_size == 0:
        raise ClipError("the file is empty")
    try:
        with open_container(path) as container:
            return _probe(container, first_video(container, path))
    except VideoError:
        raise ClipError("no video stream that can be decoded") from None
    except FFmpegError as error:
        raise ClipError(f"not a video that FFmpeg can open: {error.strerror}") from error


def _probe(container: "InputContainer", video: "VideoStream") -> Probe:
    from ..bitstream.demux import codec_name

    sound = container.streams.audio[0] if container.streams.audio else None
    times = sorted(
        p.pts for p in container.demux(video) if p.pts is not None and p.size and not p.is_discard
    )
    if not times:
        raise ClipError("the video stream holds no frame with a time")
    container.seek(0, any_frame=False, backward=True)
    first = next(container.decode(video), None)
    if first is None:
        raise ClipError("no frame could be decoded")
    base = float(video.time_base or 1)
    span = (times[-1] - times[0]) * base
    rate = Fraction(video.average_rate or 25)
    if len(times) > 1 and span > 0:
        measured = Fraction((len(times) - 1) / span).limit_denominator(1001)
        rate = rate if abs(float(rate / measured) - 1) < 0.002 else measured
    grid = [times[0] * base + k / rate for k in range(len(times))]
    constant = all(abs(float(g) - t * base) <= 1e-3 for g, t in zip(grid, times, strict=True))
    width, height = first.width, first.height
    if abs(getattr(first, "rotation", 0)) % 180 == 90:
        width, height = height, width
    name = ""
    if sound is not None:
        name = f"{codec_name(sound)} {sound.rate} Hz {sound.channels} ch"
    return Probe(
        codec=codec_name(video),
        width=width,
        height=height,
        pix_fmt=first.format.name,
        rate=rate,
        constant=constant,
        interlaced=bool(first.interlaced_frame),
        frames=len(times),
        start=float(first.time if first.time is not None else times[0] * base),
        stop=times[-1] * base + 1 / float(rate),
        sound=name,
    )


def write_frames(
    path: str | os.PathLike[str],
    frames: "Iterable[np.ndarray]",
    fps: Fraction,
    samples: "np.ndarray | None" = None,
    rate: int = 16000,
) -> None:
    """Write pictures, and sound where there is any, without loss: FFV1 and PCM in Matroska.

    Args:
        path: File to write; an existing one is replaced.
        frames: uint8 RGB `[H, W, 3]` each.
        fps: Frames a second.
        samples: int16 mono; None: a file without sound.
        rate: Samples a second.
    """
    import av

    from ..bitstream.demux import MediaName

    with (
        MediaName(path, write=True) as name,
        av.open(name.url, "w", format="matroska") as container,
    ):
        video = container.add_stream("ffv1", rate=fps)
        video.pix_fmt, video.codec_context.gop_size = "yuv420p", 1
        sound = None
        if samples is not None:
            sound = container.add_stream("pcm_s16le", rate=rate)
            sound.layout = "mono"
        step = Fraction(rate) / fps
        for k, rgb in enumerate(frames):
            if k == 0:
                video.height, video.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = k, 1 / fps
            container.mux(video.encode(frame))
            if sound is None or samples is None:
                continue
            start, stop = round(k * step), round((k + 1) * step)
            piece = av.AudioFrame.from_ndarray(
                samples[None, start:stop], format="s16", layout="mono"
            )
            piece.sample_rate, piece.pts, piece.time_base = rate, start, Fraction(1, rate)
            container.mux(sound.encode(piece))
        container.mux(video.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
