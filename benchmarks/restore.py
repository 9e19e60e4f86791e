"""Speed of davd-restore from file to file, and what of it is not the network.

    python -m benchmarks.restore [--threads 2] [--device cpu] [--size 128] [--frames 50] [--json]

The clip is drawn and encoded on the spot (H.264 at CRF 42, sound from a made-up voice), weights
are random: what a network computes does not change how long it takes. "frames/s" is the whole
command by the clock once it runs, "CPU" its processor seconds a frame, "beside" what of these
reading, sound, composing and encoding take. "memory" is the largest that the process held.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
NETWORKS = ("lite", "lite-sound", "full")
WARM = 5  # frames of the run that is subtracted: loading and looking for faces is not counted


def make_clip(folder: Path, size: int, frames: int) -> Path:
    """Priors of a drawn head that a made-up voice speaks for."""
    import av
    import numpy as np
    from davd.bitstream import extract
    from davd.data.voice import RATE, speak

    from benchmarks.extract import picture

    video = folder / f"clip{size}.mp4"
    with av.open(str(video), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "42", "threads": "1"})
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        sound = out.add_stream("aac", rate=RATE)
        sound.layout = "mono"
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(k, size, size), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        wave = speak(np.random.default_rng(0), frames / 25).samples
        for begin in range(0, len(wave), 1024):
            block = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], "s16", "mono")
            block.rate, block.pts, block.time_base = RATE, begin, Fraction(1, RATE)
            out.mux(sound.encode(block))
        out.mux(sound.encode(None))
    priors = video.with_suffix(".h5")
    extract(video, priors)
    return priors


def measure(name: str, size: int, frames: int, device: str, threads: int) -> dict[str, float]:
    """One network on one clip, in this process."""
    from davd.cli import share_processors

    share_processors()
    import torch
    from davd.restore.checkpoint import build_network, save_checkpoint
    from davd.restore.config import load_config
    from davd.restore.job import apply
    from davd.restore.job.job import run
    from davd.restore.job.request import Request
    from davd.restore.networks.picture import normal

    class Idle(apply.Stream):
        """Gives back what was decoded, as late as the network would."""

        def push(self, frame):  # noqa: ANN001, ANN202 - as it is called
            self._window.append(frame)
            if len(self._window) <= self._network.radius:
                return None
            first = self._window.pop(0)
            return normal(first.decoded, first.bit_depth)

        def flush(self):  # noqa: ANN202 - as it is called
            return [normal(frame.decoded, frame.bit_depth) for frame in self._window]

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config, stream = load_config(CONFIGS / f"{name}.toml"), apply.Stream
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        weights = build_network(config.network).state_dict()
        path = save_checkpoint(folder, name, weights, config, step=0)
        priors = make_clip(folder, size, frames)

        def cost(count: int) -> tuple[float, float]:
            """Processor seconds and seconds by the clock of so many frames."""
            begin = time.process_time()
            outcome = run(
                Request(
                    priors,
                    folder / "out.mp4",
                    checkpoint=str(path),
                    device=device,
                    end=count / 25,
                    overwrite=True,
                )  # fmt: skip
            )
            return time.process_time() - begin, outcome.elapsed

        cost(WARM)  # loads libraries
        few, many = cost(WARM), cost(frames)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        apply.Stream = Idle  # type: ignore[misc]
        idle = cost(frames)[0] - cost(WARM)[0]
        apply.Stream = stream  # type: ignore[misc]
    more = frames - WARM
    return {
        "frames_per_second": more / (many[1] - few[1]),
        "cpu_seconds_per_frame": (many[0] - few[0]) / more,
        "beside_seconds_per_frame": idle / more,
        "memory_mb": memory / 1024,
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, action="append", help="of the picture; repeatable")
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--only", choices=NETWORKS, help="one network")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes, names = arguments.size or [128, 224], [arguments.only] if arguments.only else NETWORKS
    if arguments.one:  # a process of its own, so that memory is that of one network
        found = measure(names[0], sizes[0], arguments.frames, arguments.device, arguments.threads)
        print(json.dumps(found))
        return
    if not arguments.json:
        print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, "
              f"{arguments.device}; {arguments.frames} frames")  # fmt: skip
        print(f"{'network':12}{'size':>6}{'frames/s':>10}{'CPU s':>9}{'beside':>9}{'memory':>10}")
    rows = []
    for size in sizes:
        for name in names:
            command = [sys.executable, "-m", "benchmarks.restore", "--one", "--only", name]
            command += ["--size", str(size), "--frames", str(arguments.frames)]
            command += ["--threads", str(arguments.threads), "--device", arguments.device]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            row = {"network": name, "size": size} | json.loads(done.stdout)
            rows.append(row)
            if not arguments.json:
                print(f"{name:12}{size:6}{row['frames_per_second']:10.2f}"
                      f"{row['cpu_seconds_per_frame']:9.4f}{row['beside_seconds_per_frame']:9.4f}"
                      f"{row['memory_mb']:7.0f} MB", flush=True)  # fmt: skip
    if arguments.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
