"""The first step: raw video to clean face crops with their sound.

One source gives one clip for each usable shot, at a constant frame rate that begins with the first
frame, FFV1 and 16 kHz mono PCM in Matroska. Both streams are put on the clock of the first frame by
ffmpeg's own timestamps, so that offsets between the streams, edit lists, variable frame rate and
gaps in the sound are undone; the sound has exactly the samples of the frames.
"""

import os
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import faces, sync
from .clean import CleanVideo
from .media import ClipError, Probe, complete, ffmpeg_version, probe, run_ffmpeg
from .work import SAMPLE_RATE, Settings, step

if TYPE_CHECKING:
    from ffmpeg.nodes import FilterableStream

_FFV1 = {"c:v": "ffv1", "level": 3, "g": 1, "slices": 4, "slicecrc": 1, "c:a": "pcm_s16le"}
_IN_STEP_MS = 40.0  # smaller delays are left: they are within what is measured
_EXACT = {"fflags": "+bitexact", "map_metadata": -1, "threads": 1, "f": "matroska"}


def crop_clip(source: Path, work: Path, name: str, settings: Settings) -> dict:
    """Make the clean clips of one source: `clips/NAME.mkv`, and the result `clips/ID.json`.

    Args:
        source: Any video.
        work: The work folder.
        name: ID of the source, a relative path without suffix.
        settings: Size, frame rate and so on.

    Returns:
        The result: `status`, `probe` of the source, `shots` with their boxes or the reason they
        were dropped, `clips` with frames, boxes and delay of the sound, and `commands`.

    Raises:
        OSError: The disk is full or the like, which is not the clip's fault.
    """
    folder = work / "clips"
    try:
        os.fspath(source).encode()
    except UnicodeEncodeError:  # ffmpeg-python has no such names; the link to it has one
        source = work / "source" / name
    return step(folder / f"{name}.json", lambda: _crop(source, folder, name, settings))


def _crop(source: Path, folder: Path, name: str, settings: Settings) -> dict:
    seen = probe(source)
    fps = Fraction(settings.fps) or seen.rate
    kept = settings.crop == "auto" and seen.width == seen.height == settings.size
    if kept or settings.crop == "none":
        shots = [_whole(source, seen, fps, settings)]
    else:
        shots = [_large(s, settings) for s in faces.find_shots(source, seen, fps)]
    used = [shot for shot in shots if not shot.dropped]
    result: dict = {
        "status": "done",
        "probe": {**asdict(seen), "rate": str(seen.rate)},
        "fps": str(fps),
        "kept": kept,
        "ffmpeg": ffmpeg_version(),
        "shots": [asdict(shot) for shot in shots],
        "clips": [],
        "commands": [],
    }
    if not used:
        reasons = sorted({shot.dropped for shot in shots})
        return {**result, "status": "failed", "reason": "; ".join(reasons)}
    names = [name] if len(used) == 1 else [f"{name}.s{k + 1}" for k in range(len(used))]
    targets = [folder / f"{n}.mkv" for n in names]
    result["commands"].append(_cut(source, seen, fps, used, targets, settings))
    for n, shot, target in zip(names, used, targets, strict=True):
        clip = _describe(target, n, shot, seen, fps)
        delay = clip["audio"]["delay_ms"]
        if settings.fix_sync and clip["audio"]["sure"] and abs(delay) > _IN_STEP_MS:
            result["commands"].append(_shift_sound(source, seen, fps, shot, target, delay))
            clip = _describe(target, n, shot, seen, fps)
            clip["audio"]["shift_applied_ms"] = delay
        result["clips"].append(clip)
    return result


def _whole(source: Path, seen: Probe, fps: Fraction, settings: Settings) -> faces.Shot:
    """Take the whole video as one shot; its face is looked for, but need not be found."""
    side = 160 if seen.width == seen.height else 360  # a square is a head crop: the face is large
    shots = faces.find_shots(source, seen, fps, least_seconds=0.0, short_side=side)
    stop = shots[-1].stop
    best = max(shots, key=lambda s: s.found)
    crop = (0, 0, seen.width // 16 * 16, seen.height // 16 * 16)
    if settings.size:
        if seen.width != seen.height:
            size = f"{seen.width}x{seen.height}"
            raise ClipError(f"a whole picture of {size} is no square of {settings.size}")
        crop = (0, 0, seen.width, seen.height)
    dropped = "shorter than a second" if stop < fps else ""
    return faces.Shot(0, stop, best.face, crop, best.found, dropped)


def _large(shot: faces.Shot, settings: Settings) -> faces.Shot:
    """Drop a face that would be blown up more than twofold; put SIZE=0 on the 16-sample grid."""
    if shot.dropped or shot.crop is None:
        return shot
    x, y, side, _ = shot.crop
    if settings.size == 0:
        side = max(16, side // 16 * 16)
        return replace(shot, crop=(x, y, side, side))
    if 2 * side < settings.size:
        reason = f"the head's box of {side} pixels is less than half of {settings.size}"
        return replace(shot, crop=None, dropped=reason)
    return shot


def _span(shot: faces.Shot, fps: Fraction) -> tuple[int, int]:
    """The first and the past-the-last sound sample of a shot."""
    return round(shot.start * SAMPLE_RATE / fps), round(shot.stop * SAMPLE_RATE / fps)


def _sound(node: "FilterableStream", start: float, span: tuple[int, int]) -> "FilterableStream":
    """Chain filters: 16 kHz mono with sample 0 at time `start`, gaps filled, samples of `span`."""
    node = node.filter("asetpts", f"PTS-({start:.6f})/TB")
    fill = {"async": 1, "min_hard_comp": 0.005, "first_pts": 0}
    node = node.filter("aresample", SAMPLE_RATE, **fill)
    node = node.filter("aformat", sample_fmts="s16", channel_layouts="mono").filter("apad")
    node = node.filter("atrim", start_sample=span[0], end_sample=span[1])
    return node.filter("asetpts", "PTS-STARTPTS")


def _cut(
    source: Path,
    seen: Probe,
    fps: Fraction,
    shots: list[faces.Shot],
    targets: list[Path],
    settings: Settings,
) -> str:
    """Write all shots with one command, which reads the source once; return the command."""
    import contextlib

    import ffmpeg

    node = ffmpeg.input(f"file:{source}", copyts=None)
    pictures = faces.on_grid(node.video, seen, fps).filter_multi_output("split", len(shots))
    sounds = node.audio.filter_multi_output("asplit", len(shots)) if seen.sound else None
    with contextlib.ExitStack() as stack:
        outputs = []
        for k, (shot, target) in enumerate(zip(shots, targets, strict=True)):
            part = stack.enter_context(complete(target))
            streams = [_picture(pictures[k], shot, seen, settings)]
            if sounds is not None:
                streams.append(_sound(sounds[k], seen.start, _span(shot, fps)))
            outputs.append(ffmpeg.output(*streams, str(part), **_FFV1, **_EXACT))
        arguments = ffmpeg.merge_outputs(*outputs).overwrite_output().get_args()
        command = run_ffmpeg(arguments)
        for target in targets:
            command = _public(command, source, target)
        return command


def _public(command: str, source: Path, target: Path) -> str:
    """Name the files of a command by their last part, so that results do not depend on folders."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    return command.replace(str(part), target.name).replace(f"file:{source}", source.name)


def _picture(
    node: "FilterableStream", shot: faces.Shot, seen: Probe, settings: Settings
) -> "FilterableStream":
    """Chain filters: frames of the shot, cropped, scaled, 8-bit 4:2:0."""
    node = node.filter("trim", start_frame=shot.start, end_frame=shot.stop)
    node = node.filter("setpts", "PTS-STARTPTS")
    assert shot.crop is not None, shot
    x, y, w, h = shot.crop
    if (x, y, w, h) != (0, 0, seen.width, seen.height):
        node = node.filter("crop", w, h, x, y, exact=1)
    if settings.size and (w, h) != (settings.size, settings.size):
        flags = "lanczos+accurate_rnd+full_chroma_int+bitexact"
        node = node.filter("scale", settings.size, settings.size, flags=flags)
    if seen.pix_fmt != "yuv420p":
        node = node.filter("format", "yuv420p")
    return node.filter("setsar", "1")


def _shift_sound(
    source: Path, seen: Probe, fps: Fraction, shot: faces.Shot, target: Path, delay: float
) -> str:
    """Take the sound `delay` milliseconds later from the source; the pictures are copied."""
    import ffmpeg

    sound = _sound(
        ffmpeg.input(f"file:{source}", copyts=None).audio,
        seen.start + delay / 1000,
        _span(shot, fps),
    )
    pictures = ffmpeg.input(str(target)).video
    with complete(target) as part:
        options = {**_FFV1, **_EXACT, "c:v": "copy"}
        for encoder_only in ("level", "g", "slices", "slicecrc"):
            del options[encoder_only]
        output = ffmpeg.output(pictures, sound, str(part), **options).overwrite_output()
        return _public(run_ffmpeg(output.get_args()), source, target).replace(
            str(target), target.name
        )


def _describe(target: Path, name: str, shot: faces.Shot, seen: Probe, fps: Fraction) -> dict:
    """Say what a clip holds: frames, boxes in its own pixels, delay of its sound."""
    with CleanVideo(target) as clean:
        frames, (width, height) = len(clean), clean.size
        if frames != shot.stop - shot.start:
            raise ClipError(f"{shot.stop - shot.start} frames were expected, {frames} came")
        face = _in_crop(shot, width)
        region = faces.mouth(face or faces.usual_face(width, height), (width, height))
        delay = None
        if seen.sound:
            pieces = [
                sync.patches_of(clean.read(k, min(k + 250, frames))[0], region)
                for k in range(0, frames, 250)
            ]
            delay = sync.measure(np.concatenate(pieces), samples_of(target), fps)
    return {
        "name": name,
        "frames": frames,
        "seconds": round(float(frames / fps), 3),
        "width": width,
        "height": height,
        "start_in_source": round(float(shot.start / fps), 3),
        "face": face,
        "mouth": region,
        "audio": {
            "present": bool(seen.sound),
            "delay_ms": delay.ms if delay else None,
            "certainty": delay.certainty if delay else 0.0,
            "sure": bool(delay and delay.sure),
            "shift_applied_ms": 0.0,
        },
    }


def _in_crop(shot: faces.Shot, width: int) -> faces.Box | None:
    """The face's box in the clip's pixels."""
    if shot.face is None or shot.crop is None:
        return None
    scale = width / shot.crop[2]
    x, y, w, h = shot.face
    return (
        round((x - shot.crop[0]) * scale),
        round((y - shot.crop[1]) * scale),
        round(w * scale),
        round(h * scale),
    )


def samples_of(path: Path) -> np.ndarray:
    """The sound of a clip, `[S]` int16."""
    from ..bitstream.demux import open_container

    with open_container(path) as container:
        pieces = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
