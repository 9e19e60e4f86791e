"""VMAF and XPSNR, as ffmpeg's filters compute them, of the luma and chroma of some frames in a row.

Both look at several frames, so that a clip is measured whole. VMAF's model was made for television
sizes: at face crops its figures are for comparing, not for what they claim of viewers. The ffmpeg
in the imageio-ffmpeg wheel has both filters, that of a distribution often neither.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np


@cache
def ffmpeg_with_filters() -> str:
    """An ffmpeg that has both filters.

    Raises:
        FileNotFoundError: None was found.
    """
    for program in _programs():
        done = subprocess.run([program, "-hide_banner", "-filters"], capture_output=True, text=True)
        names = {words[1] for line in done.stdout.splitlines() if len(words := line.split()) > 1}
        if {"libvmaf", "xpsnr"} <= names:
            return program
    raise FileNotFoundError(
        "no ffmpeg with libvmaf and xpsnr: pip install imageio-ffmpeg, or name one in DAVD_FFMPEG"
    )


def _programs() -> Iterable[str]:
    named = (os.environ.get("DAVD_FFMPEG"), shutil.which("ffmpeg"))
    yield from (name for name in named if name)
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError:
        return
    yield imageio_ffmpeg.get_ffmpeg_exe()


def vmaf_and_xpsnr(
    frames: Sequence[Sequence[np.ndarray]], source: Sequence[Sequence[np.ndarray]]
) -> dict[str, list[float]]:
    """Figures of each frame.

    Args:
        frames: Y, Cb, Cr of each, uint8 `[H, W]`, 4:2:0.
        source: Likewise, what they should be.

    Returns:
        `vmaf`, 0 to 100, and `xpsnr` of luma in decibels, capped at 100 where frames are equal.

    Raises:
        FileNotFoundError: No ffmpeg with these filters.
        ValueError: Frames of more than 8 bits, or not 4:2:0.
        RuntimeError: ffmpeg failed.
    """
    for planes in (*frames, *source):
        height, width = planes[0].shape
        halves = [plane.shape for plane in planes[1:]]
        if halves != [(height // 2, width // 2)] * 2 or planes[0].dtype != np.uint8:
            raise ValueError("VMAF and XPSNR are measured of 8-bit 4:2:0 frames")
    size = f"{frames[0][0].shape[1]}x{frames[0][0].shape[0]}"
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", "25"]
    filters = (
        "[0:v]split[a][b];[1:v]split[c][d];"
        "[a][c]libvmaf=log_fmt=json:log_path=vmaf.json[e];[b][d]xpsnr=stats_file=xpsnr.txt[f]"
    )
    with tempfile.TemporaryDirectory(prefix="davd-") as place:
        folder = Path(place)
        for name, pictures in (("a.yuv", frames), ("b.yuv", source)):
            (folder / name).write_bytes(b"".join(p.tobytes() for f in pictures for p in f))
        line = [ffmpeg_with_filters(), "-hide_banner", "-nostdin", "-v", "error"]
        line += [*raw, "-i", "a.yuv", *raw, "-i", "b.yuv", "-lavfi", filters]
        line += ["-map", "[e]", "-f", "null", "-", "-map", "[f]", "-f", "null", "-"]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"ffmpeg: {done.stderr.strip()[:200]}")
        logged = json.loads((folder / "vmaf.json").read_text())["frames"]
        lines = (folder / "xpsnr.txt").read_text()
    found = re.findall(r"XPSNR y: *([\d.]+|inf)", lines)[: len(frames)]
    return {
        "vmaf": [float(frame["metrics"]["vmaf"]) for frame in logged],
        "xpsnr": [min(float(value), 100.0) for value in found],
    }
