"""Print which sound codec goes into which restored video, for docs/restore.md: all are tried.

Usage: python docs/sounds.py
"""

import tempfile
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from davd.bitstream.tracks import Tracks, plan

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
# Codec, its encoder in FFmpeg, a container that it is found in, samples a second.
ENCODED = [
    ("AAC", "aac", "mp4", 48000),
    ("AAC in ADTS", "aac", "ts", 48000),
    ("AAC in LATM", "aac", "latm", 48000),
    ("AC-3", "ac3", "ts", 48000),
    ("E-AC-3", "eac3", "ts", 48000),
    ("MP2", "mp2", "ts", 48000),
    ("MP3", "libmp3lame", "avi", 44100),
    ("Opus", "libopus", "mkv", 48000),
    ("Vorbis", "vorbis", "mkv", 48000),
    ("ALAC", "alac", "mov", 48000),
    ("FLAC", "flac", "mkv", 48000),
    ("TTA", "tta", "mkv", 48000),
    ("WavPack", "wavpack", "mkv", 48000),
    ("PCM, 16 bits, little-endian", "pcm_s16le", "mkv", 48000),
    ("PCM, 16 bits, big-endian", "pcm_s16be", "mov", 48000),
    ("PCM, 24 bits", "pcm_s24le", "mkv", 48000),
    ("PCM, 8 bits", "pcm_u8", "avi", 8000),
    ("PCM, 32-bit float", "pcm_f32le", "mov", 48000),
    ("G.711 A-law", "pcm_alaw", "nut", 8000),
    ("G.711 mu-law", "pcm_mulaw", "nut", 8000),
    ("G.722", "g722", "nut", 16000),
    ("G.726", "g726", "wav", 8000),
    ("ADPCM, IMA in WAV", "adpcm_ima_wav", "avi", 44100),
    ("ADPCM, IMA in QuickTime", "adpcm_ima_qt", "mov", 44100),
    ("ADPCM, Microsoft", "adpcm_ms", "avi", 44100),
    ("ADPCM, Flash", "adpcm_swf", "flv", 44100),
    ("Nellymoser", "nellymoser", "flv", 44100),
    ("WMA 1", "wmav1", "asf", 44100),
    ("WMA 2", "wmav2", "asf", 44100),
    ("RealAudio 1", "real_144", "rm", 8000),
]
BIT_RATES = {"g726": 32000, "wmav1": 64000, "wmav2": 64000, "real_144": 8000}
AMR = {"AMR-NB": (b"#!AMR\n", b"\x3c" + bytes(31)), "AMR-WB": (b"#!AMR-WB\n", b"\x44" + bytes(60))}


def write_tone(path: Path, encoder: str, rate: int) -> None:
    """Half a second of a tone, mono where the encoder can."""
    kinds = {"ts": "mpegts", "mkv": "matroska"}
    kind = kinds.get(path.suffix[1:], path.suffix[1:])
    with av.open(str(path), "w", format=kind) as out:
        stream = out.add_stream(encoder, rate=rate, options={"strict": "experimental"})
        stream.layout = "stereo" if encoder == "vorbis" else "mono"
        stream.bit_rate = BIT_RATES.get(encoder, 0)
        resampler = av.AudioResampler(stream.format, stream.layout, rate)
        time = np.arange(rate // 2) / rate
        wave = (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(wave, "s16", "mono")
        frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for part in (frame, None):
            for made in resampler.resample(part):
                out.mux(stream.encode(made))
        out.mux(stream.encode(None))


def ways(path: Path) -> list[str]:
    """How each container takes the sound of a file."""
    found = []
    tracks = Tracks(path)
    for kind in CONTAINERS.values():
        try:
            taken = plan(tracks, kind).ways
            found.append(next(iter(taken.values()), "left out"))
        except ValueError:
            found.append("refused")
    return found


def table() -> str:
    """The matrix as a table of Markdown."""
    lines = [f"| sound | {' | '.join(f'`{suffix}`' for suffix in CONTAINERS)} |"]
    lines.append("|---" * (1 + len(CONTAINERS)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for name, encoder, suffix, rate in ENCODED:
            path = Path(folder) / f"tone.{suffix}"
            write_tone(path, encoder, rate)
            lines.append(f"| {name} | {' | '.join(ways(path))} |")
        for name, (head, frame) in AMR.items():
            path = Path(folder) / "tone.amr"
            path.write_bytes(head + 25 * frame)
            lines.append(f"| {name} | {' | '.join(ways(path))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
