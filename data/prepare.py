"""One clip: raw video to face crops, to H.264 or HEVC at a rate factor, to priors.

    source/ID.mp4 --crop--> clips/NAME.mkv --encode--> coded/crf42/NAME.mp4
                                           --extract--> priors/crf42/NAME.h5

NAME is the ID of the source, or `ID.s1`, `ID.s2` ... where it has several shots. Each step leaves
one result a source beside its files (`clips/ID.json`, `coded/crf42/ID.json`,
`priors/crf42/ID.json`). A clip that cannot be used has a result too, with the reason: it is not
tried again, and it stops nobody else.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from .clean import CleanVideo, plane_array
from .crop import crop_clip
from .media import ClipError, complete, ffmpeg_version, run_ffmpeg
from .work import CODECS, LARGEST_CRF, SAMPLE_RATE, Settings, read_result, step

__all__ = ["crop_clip", "encode_clip", "extract_clip", "prepare_clip"]

# FLAC in frames of a quarter of a second: left alone, ffmpeg makes them as short as Matroska's
# blocks, which takes a fifth more bytes, and a quarter of the time that the priors take to extract.
_SOUND: dict[str, dict[str, object]] = {
    "flac": {
        "c:a": "flac",
        "compression_level": 5,
        "frame_size": 4096,
        "strict": "experimental",
    },
    "aac": {"c:a": "aac", "b:a": "64k"},
}


def _clips_before(path: Path, what: str) -> list[dict] | dict:
    """The clips of the step before, or the result that says why there are none.

    Raises:
        FileNotFoundError: That step has not been run.
    """
    before = read_result(path)
    if before is None:
        raise FileNotFoundError(f"{path} is missing; run davd-prepare {what} first")
    if before["status"] == "failed":
        return {"status": "skipped", "reason": f"{what}: {before['reason']}"}
    if before["status"] == "skipped":
        return before
    return before["clips"]


def encode_clip(work: Path, name: str, crf: int, settings: Settings) -> dict:
    """Encode the clips of one source: `coded/crfNN/NAME.mp4` and its result.

    Args:
        work: The work folder.
        name: ID of the source.
        crf: The encoder's constant rate factor, 0..51; of openh264, which has none, its QP.
        settings: The codecs, the encoder and what came before it.

    Returns:
        The result: for each clip `bytes`, `frames` and `psnr_y` (dB, over the whole clip's luma),
        and the command.

    Raises:
        ValueError: There is no such rate factor.
    """
    if not 0 <= crf <= LARGEST_CRF:
        raise ValueError(f"rate factor {crf}: 0 to {LARGEST_CRF} is allowed")
    folder = work / "coded" / f"crf{crf}"

    def body() -> dict:
        clips = _clips_before(work / "clips" / f"{name}.json", "crop")
        if isinstance(clips, dict):
            return clips
        out: dict = {"status": "done", "clips": [], "ffmpeg": ffmpeg_version()}
        for clip in clips:
            out["clips"].append(_encode(work, clip, folder, crf, settings))
        return out

    return step(folder / f"{name}.json", body)


def _encode(work: Path, clip: dict, folder: Path, crf: int, settings: Settings) -> dict:
    import ffmpeg

    clean, target = work / "clips" / f"{clip['name']}.mkv", folder / f"{clip['name']}.mp4"
    encoder = settings.encoder or CODECS[settings.codec]
    options = _pictures(encoder, crf, settings) | {"map_metadata": -1, "f": "mp4"}
    if settings.codec == "hevc":
        options |= {"tag:v": "hvc1"}
    with complete(target) as part, _encoded_before(clean, target, settings) as (pictures, before):
        streams = [ffmpeg.input(str(pictures)).video]
        if clip["audio"]["present"]:
            streams.append(ffmpeg.input(str(clean)).audio)
            options |= _SOUND[settings.sound] | {"ar": SAMPLE_RATE, "ac": 1}
        output = ffmpeg.output(*streams, str(part), **options).overwrite_output()
        command = " && ".join([*before, run_ffmpeg(output.get_args())])
        psnr = psnr_y(part, clean)
        size = part.stat().st_size
        for path, name in ((part, target.name), (clean, clean.name), (pictures, pictures.name)):
            command = command.replace(str(path), name)
    return {
        "name": clip["name"],
        "frames": clip["frames"],
        "bytes": size,
        "psnr_y": round(psnr, 3),
        "command": command,
    }


def _pictures(encoder: str, crf: int, settings: Settings) -> dict[str, object]:
    """Options of ffmpeg for one encode of the pictures, by one thread."""
    options: dict[str, object] = {"c:v": f"lib{encoder}", "pix_fmt": "yuv420p"}
    options |= {"threads": 1, "fflags": "+bitexact"}
    if encoder == "openh264":  # it knows no rate factor: QP
        return options | {"rc_mode": "quality", "qmin": crf, "qmax": crf, "allow_skip_frames": 0}
    options |= {"preset": settings.preset, "crf": crf}
    if settings.tune:
        options |= {"tune": settings.tune}
    if encoder == "x265":
        options |= {"x265-params": "pools=none:frame-threads=1:log-level=error"}
    return options


@contextlib.contextmanager
def _encoded_before(
    clean: Path, target: Path, settings: Settings
) -> Iterator[tuple[Path, list[str]]]:
    """A clip's pictures and the commands that made them, while they are needed.

    They are the clean ones, or have gone through one of the encodes that `settings.before` names.
    """
    import ffmpeg

    earlier = settings.earlier
    if not earlier:
        yield clean, []
        return
    digest = hashlib.sha256(f"{target.parent.name}/{target.stem}".encode()).digest()
    encoder, crf = earlier[digest[0] % len(earlier)]
    with tempfile.TemporaryDirectory(prefix="davd-") as folder:
        file = Path(folder) / "before.mkv"
        options = _pictures(encoder, crf, settings)
        output = ffmpeg.output(ffmpeg.input(str(clean)).video, str(file), **options)
        yield file, [run_ffmpeg(output.get_args())]


def psnr_y(coded: Path, clean: Path) -> float:
    """The PSNR of a coded clip's luma in dB, over all frames as one.

    Raises:
        ClipError: The two have not the same number of frames, or the coded one does not decode.
    """
    from av.error import FFmpegError

    from ..bitstream.demux import open_container

    squares, samples, frames = 0.0, 0, 0
    try:
        with CleanVideo(clean) as reference, open_container(coded) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for picture in container.decode(video=0):
                y = reference[frames][0]
                error = plane_array(picture.planes[0]).astype(np.int32) - y
                squares += float(np.square(error).sum())
                samples, frames = samples + y.size, frames + 1
            if frames != len(reference):
                raise ClipError(f"{frames} frames were coded of {len(reference)}")
    except (FFmpegError, IndexError) as error:
        raise ClipError(f"the coded clip does not match the clean one: {error}") from error
    return 10 * float(np.log10(255.0**2 * samples / squares)) if squares else float("inf")


def extract_clip(work: Path, name: str, crf: int) -> dict:
    """Extract the priors of the coded clips of one source: `priors/crfNN/NAME.h5` and its result.

    Args:
        work: The work folder.
        name: ID of the source.
        crf: Names the folder of the coded clips.

    Returns:
        The result: for each clip `frames` and `bytes`.
    """
    coded, folder = work / "coded" / f"crf{crf}", work / "priors" / f"crf{crf}"

    def body() -> dict:
        clips = _clips_before(coded / f"{name}.json", "encode")
        if isinstance(clips, dict):
            return clips
        return {"status": "done", "clips": [_extract(coded, folder, clip) for clip in clips]}

    return step(folder / f"{name}.json", body)


def _extract(coded: Path, folder: Path, clip: dict) -> dict:
    from davd.bitstream._core import DavdError
    from davd.bitstream.demux import VideoError
    from davd.bitstream.extract import extract

    source, target = coded / f"{clip['name']}.mp4", folder / f"{clip['name']}.h5"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # clips run side by side: one thread each
        done = extract(source, target, motion=True, overwrite=True, threads=0)
    except (DavdError, VideoError) as error:
        raise ClipError(str(error).replace(str(source), source.name)) from error
    if done.frames != clip["frames"]:
        raise ClipError(f"{done.frames} frames of {clip['frames']}")
    return {"name": clip["name"], "frames": done.frames, "bytes": target.stat().st_size}


def stale(work: Path, name: str, crfs: Iterable[int]) -> list[Path]:
    """Results of a source that are older than what they were made from, as make sees it.

    Args:
        work: The work folder.
        name: ID of the source.
        crfs: Rate factors.
    """
    found = []
    for crf in crfs:
        last = work / "source" / name
        newer = False
        for folder in ("clips", f"coded/crf{crf}", f"priors/crf{crf}"):
            path = work / folder / f"{name}.json"
            if not path.exists():
                break
            newer = newer or last.exists() and last.stat().st_mtime_ns > path.stat().st_mtime_ns
            if newer:
                found.append(path)
            last = path
    return found


def prepare_clip(
    source: Path,
    work: Path,
    name: str,
    crfs: Iterable[int],
    settings: Settings,
    *,
    priors: bool = True,
) -> dict[str, dict]:
    """Run all steps of one source that are not finished, or older than what they were made from.

    Args:
        source: The video.
        work: The work folder.
        name: ID of the source.
        crfs: Rate factors.
        settings: Of the work folder.
        priors: Extract priors files; without, training decodes the coded clips.

    Returns:
        The results by step: "crop", and "encode 42", "extract 42" for every rate factor.
    """
    crfs = tuple(crfs)
    for path in stale(work, name, crfs):
        path.unlink(missing_ok=True)
    results = {"crop": crop_clip(source, work, name, settings)}
    for crf in crfs:
        results[f"encode {crf}"] = encode_clip(work, name, crf, settings)
        if priors:
            results[f"extract {crf}"] = extract_clip(work, name, crf)
    return results
