"""Speed of extraction, as ratios against FFmpeg on one thread in the same run.

    python -m benchmarks.extract [--json] [--only 1280x720]

The streams are encoded on the spot by libx264 (through PyAV) from pictures that this program
draws, so that everybody measures the same thing. Decoding is timed in seconds of the one thread
that does it, which a busy machine does not change much; each figure is the median of several
rounds that take turns. "two" is how many times as fast two threads decode the stream over and over
as one, by the clock, best of several rounds: on a machine that has two cores to spare. "stored" is
the whole command, everything into a priors file (sound left out), in seconds of the clock; "CPU"
is what its threads together take of it, in frames per second of one core.
"""

import argparse
import io
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from davd.bitstream import Decoder, extract

from .clips import encode

# width, height, rate factor, frames
STREAMS = [
    (128, 128, 42, 300),
    (224, 224, 45, 250),
    (640, 360, 23, 60),
    (1280, 720, 23, 24),
    (1920, 1080, 23, 24),
]
ROUNDS = 3
LASTING = 240  # frames that two threads decode, at least


def picture(k: int, width: int, height: int) -> np.ndarray:
    """A head that nods before a textured wall, with a little noise; RGB."""
    rng = np.random.default_rng(k)
    scale = height / 360
    y, x = np.mgrid[:height, :width] / scale
    wall = (
        18 * np.sin(x / 13) * np.cos(y / 17) + 9 * np.sin((x + 2 * y) / 5) + 6 * np.sin(x * y / 900)
    )
    cy, cx = 190 + 9 * np.sin(k / 7), width / scale / 2 + 25 * np.sin(k / 19)
    head = ((y - cy) / 130) ** 2 + ((x - cx) / 95) ** 2 < 1
    mouth = ((y - cy - 60) / (5 + 9 * abs(np.sin(k / 3)))) ** 2 + ((x - cx) / 30) ** 2 < 1
    hair = 22 * np.sin((x - cx) / 2.3 + np.sin((y - cy) / 9)) * (y < cy - 60)
    skin = 12 * np.cos((x - cx) / 40) + 5 * np.sin((x - cx) / 3) * np.sin((y - cy) / 4) + hair
    rgb = np.stack([120 + wall, 128 + wall * 0.8, 110 + wall * 1.1], axis=-1)
    rgb[head] = np.stack([200 + skin, 150 + skin, 125 + skin], axis=-1)[head]
    rgb[mouth] = (90, 30, 40)
    noise = rng.normal(0, 2.5, (height, width, 1))
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def encode_drawn(width: int, height: int, crf: int, frames: int) -> bytes:
    """An MP4 of such pictures, to and fro, so that there is no cut."""
    period = [picture(k, width, height) for k in range(min(frames, 60))]
    there_and_back = itertools.cycle([*period, *period[-2:0:-1]])
    out = io.BytesIO()
    encode(itertools.islice(there_and_back, frames), out, crf=crf)
    return out.getvalue()


def packets_of(video: bytes) -> tuple[bytes, list[bytes]]:
    """The avcC record and the packets."""
    with av.open(io.BytesIO(video)) as container:
        stream = container.streams.video[0]
        return stream.codec_context.extradata, [bytes(p) for p in container.demux(stream) if p.size]


def ffmpeg_decodes(extradata: bytes, packets: list[bytes]) -> int:
    """FFmpeg on one thread, with its assembly."""
    context = av.CodecContext.create("h264", "r")
    context.extradata, context.thread_count, context.thread_type = extradata, 1, "NONE"
    count = sum(len(context.decode(av.Packet(data))) for data in packets)
    return count + len(context.decode(None))


def davd_decodes(
    extradata: bytes,
    packets: list[bytes],
    taps: bool,
    *,
    pixels: bool = True,
    threads: int = 1,
) -> int:
    """Our decoder; with taps, all of them recorded and handed to nobody."""
    decoder = Decoder(
        extradata=extradata,
        prediction=taps,
        residual=taps,
        level=taps,
        motion=taps,
        modes=taps,
        pixels=pixels,
        threads=threads,
    )
    count = 0
    for data in [*packets, None]:
        if data is None:
            decoder.flush()
        else:
            decoder.send(data)
        while decoder.receive(skip=True) is not None:
            count += 1
    return count


def seconds(action: Callable[[], int], frames: int) -> float:
    """Seconds of this thread that an action takes which has to give so many frames."""
    began = time.thread_time()
    found = action()
    assert found == frames, f"{found} frames for {frames}"
    return time.thread_time() - began


def two_threads(extradata: bytes, packets: list[bytes], times: int) -> float:
    """Speed of two threads over that of one, by the clock."""
    took: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for threads, found in took.items():
            began = time.perf_counter()
            davd_decodes(extradata, packets * times, False, threads=threads)
            found.append(time.perf_counter() - began)
    return min(took[1]) / min(took[2])


def measure(width: int, height: int, crf: int, frames: int) -> dict[str, float | int | str]:
    """All figures of one stream."""
    video = encode_drawn(width, height, crf, frames)
    extradata, packets = packets_of(video)
    actions: dict[str, Callable[[], int]] = {
        "ffmpeg": lambda: ffmpeg_decodes(extradata, packets),
        "decode": lambda: davd_decodes(extradata, packets, False),
        "taps": lambda: davd_decodes(extradata, packets, True),
        "syntax": lambda: davd_decodes(extradata, packets, True, pixels=False),
    }
    rounds = [{n: seconds(a, frames) for n, a in actions.items()} for _ in range(ROUNDS)]
    took = {name: statistics.median(r[name] for r in rounds) for name in actions}
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "a.mp4", Path(folder) / "a.h5"
        path.write_bytes(video)
        clock, cpu = [], []
        for _ in range(ROUNDS):
            began = time.process_time()
            clock.append(extract(path, out, audio=False, overwrite=True).elapsed)
            cpu.append(time.process_time() - began)
        size = out.stat().st_size
    return {
        "stream": f"{width}x{height} crf {crf}",
        "frames": frames,
        "ffmpeg_fps": round(frames / took["ffmpeg"], 1),
        "decode_fps": round(frames / took["decode"], 1),
        "decode_ratio": round(took["ffmpeg"] / took["decode"], 2),
        "taps_fps": round(frames / took["taps"], 1),
        "taps_ratio": round(took["ffmpeg"] / took["taps"], 2),
        "two_threads": round(two_threads(extradata, packets, 1 + LASTING // frames), 2),
        "stored_fps": round(frames / min(clock), 1),
        "stored_fps_per_core": round(frames / statistics.median(cpu), 1),
        "video_bytes": len(video),
        "priors_bytes": size,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def machine() -> str:
    """Processor, threads and commit."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            (n.partition(":")[2].strip() for n in lines if n.startswith("model name")), name
        )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"{name}, {os.cpu_count()} threads, commit {commit or 'unknown'}"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--only", default="", help="only streams whose name contains this")
    arguments = parser.parse_args()
    if not arguments.json:
        print(f"extraction on {machine()}")
        heads = f"{'FFmpeg':>9}{'decode':>16}{'with taps':>17}{'two':>6}{'stored':>9}{'CPU':>7}"
        print(f"{'frames/s of':20}{heads}")
    results = []
    for stream in STREAMS:
        name = f"{stream[0]}x{stream[1]} crf {stream[2]}"
        if arguments.only not in name:
            continue
        r = measure(*stream)
        results.append(r)
        if not arguments.json:
            print(
                f"{name:20}{r['ffmpeg_fps']:9.0f}{r['decode_fps']:9.0f} ({r['decode_ratio']:.2f})"
                f"{r['taps_fps']:10.0f} ({r['taps_ratio']:.2f}){r['two_threads']:6.2f}"
                f"{r['stored_fps']:9.0f}"
                f"{r['stored_fps_per_core']:7.0f}",
                flush=True,
            )
    if arguments.json:
        json.dump(
            {"name": "extraction", "machine": machine(), "results": results}, sys.stdout, indent=2
        )
        print()


if __name__ == "__main__":
    main()
