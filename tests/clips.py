"""Small videos that tests encode for themselves: pictures drawn by a formula, sound of one tone."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np

WIDTH, HEIGHT, RATE, FRAMES = 174, 138, 25, 60  # the crop is 2 columns and 6 rows


def picture(k: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A textured ball over a moving pattern, RGB."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    ground = np.sin(x / 9 + k / 5) + np.cos(y / 7 - k / 8) + np.sin((x + y) / 3)
    cy, cx = height * (0.5 + 0.3 * np.sin(k / 9)), width * (0.5 + 0.3 * np.cos(k / 7))
    ball = (y - cy) ** 2 + (x - cx) ** 2 < (height / 4) ** 2
    rgb = np.stack([ground * 40 + 128, ground * 25 + 110, 150 - ground * 30], axis=-1)
    rgb[ball] = np.stack([200 + 30 * np.sin(x - cx), 120 + 60 * np.cos(y - cy), 0 * x + 60], -1)[
        ball
    ]
    return np.clip(rgb, 0, 255).astype(np.uint8)


def encode(
    path: Path,
    *,
    frames: int = FRAMES,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    sound: bool = True,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    pts: Callable[[int], int] = lambda k: k,
    container: dict[str, str] | None = None,
) -> Path:
    """Encode a clip; the suffix of `path` says into which container."""
    settings = {"preset": "veryfast", "crf": "30", "g": "20", "bf": "3", "threads": "1"}
    kind = {".264": "h264", ".hevc": "hevc"}.get(path.suffix)
    with av.open(str(path), "w", format=kind, options=container or {}) as out:
        video = out.add_stream(codec, rate=RATE, options=settings | (options or {}))
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        video.codec_context.time_base = Fraction(1, RATE)
        tone = None
        if sound:
            rate = 44100 if path.suffix == ".flv" else 48000
            tone = out.add_stream("aac" if path.suffix != ".mkv" else "pcm_s16le", rate=rate)
            tone.layout = "mono"
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(k, *size), format="rgb24")
            frame.pts, frame.time_base = pts(k), Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if tone is not None:
            _encode_tone(out, tone, frames / RATE)
    return path


def _encode_tone(
    out: "av.container.OutputContainer", stream: "av.AudioStream", seconds: float
) -> None:
    """Silence, then from 0.5 s on 440 Hz."""
    rate = stream.rate
    time = np.arange(int(seconds * rate)) / rate
    wave = (12000 * np.sin(2 * np.pi * 440 * time) * (time >= 0.5)).astype(np.int16)
    for begin in range(0, len(wave), 1024):
        block = wave[None, begin : begin + 1024]
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
        frame.rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def same_content(a: Path, b: Path) -> None:
    """Two HDF5 files have the same datasets, values and attributes."""
    with h5py.File(a) as one, h5py.File(b) as other:
        assert dict(one.attrs) == dict(other.attrs)
        names: list[str] = []
        one.visit(names.append)
        found: list[str] = []
        other.visit(found.append)
        assert names == found
        for name in names:
            if isinstance(one[name], h5py.Dataset):
                assert (
                    one[name].dtype == other[name].dtype and one[name].chunks == other[name].chunks
                )
                assert dict(one[name].attrs) == dict(other[name].attrs)
                np.testing.assert_array_equal(one[name][:], other[name][:], name)


def ffmpeg_frames(path: Path) -> list[tuple[int | None, np.ndarray]]:
    """Time stamp and luma of every frame as FFmpeg decodes them."""
    with av.open(str(path), metadata_errors="ignore") as container:
        return [
            (
                frame.pts,
                frame.to_ndarray(format="gray") if frame.format.name == "gray" else _luma(frame),
            )
            for frame in container.decode(video=0)
        ]


def _luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width].copy()
