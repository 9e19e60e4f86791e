"""Clips that measurements encode for themselves, 25 frames a second."""

import io
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

RATE = 25


def encode(
    frames: Iterable[np.ndarray | av.VideoFrame],
    target: Path | io.BytesIO,
    encoder: str = "libx264",
    *,
    sound: tuple[np.ndarray, int] | None = None,
    **options: object,
) -> None:
    """Encode frames as 4:2:0.

    Args:
        frames: RGB arrays or frames of a video.
        target: A file, its suffix the container, or memory for an MP4.
        encoder: By FFmpeg's name.
        sound: Samples, 16 bit mono, and how many a second; encoded as AAC.
        options: Of the encoder.
    """
    file = (target, "w", "mp4") if isinstance(target, io.BytesIO) else (str(target), "w")
    with av.open(*file) as out:
        told = {name: str(value) for name, value in options.items()}
        video = out.add_stream(encoder, rate=RATE, options=told)
        video.codec_context.time_base = Fraction(1, RATE)
        heard = None
        if sound is not None:
            heard = out.add_stream("aac", rate=sound[1])
            heard.layout = "mono"
        for number, frame in enumerate(frames):
            if isinstance(frame, np.ndarray):
                frame = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if number == 0:
                video.width, video.height, video.pix_fmt = frame.width, frame.height, "yuv420p"
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            frame.pict_type = PictureType.NONE  # else key frames of another encode are forced
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound is not None and heard is not None:
            samples, rate = sound
            for begin in range(0, len(samples), 1024):
                part = samples[None, begin : begin + 1024]
                block = av.AudioFrame.from_ndarray(part, "s16", "mono")
                block.rate, block.pts, block.time_base = rate, begin, Fraction(1, rate)
                out.mux(heard.encode(block))
            out.mux(heard.encode(None))
