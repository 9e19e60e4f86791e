"""Speed of davd-restore from file to file, and what of it is not the network.

    python -m benchmarks.restore [--size 128 224 640x360] [--speed fast balanced best]
        [--checkpoint OLD.safetensors ...] [--avx2] [--random lite full] [--json]

Each row is a process of its own. The shipped weights are taken as davd-restore takes them;
`--checkpoint` sets others beside them, those of a version before for instance, in turn with them
in one run. `--random` measures widths of networks with random weights: what a network computes
does not change how long it takes. The clip is drawn and encoded on the spot (H.264 at CRF 42,
sound from a made-up voice), or is `--video`. `--avx2` holds PyTorch to AVX2 and float32, as a
processor without AVX-512 and bfloat16 computes.

"frames/s" is the whole command by the clock once it runs, "CPU" its processor seconds a frame,
"beside" what of these reading, sound, composing and encoding take. "memory" is the largest that
the process held.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
NETWORKS = ("lite", "lite-sound", "full")
SPEEDS = ("fast", "balanced", "best")
WARM = 5  # frames of the run that is subtracted: loading and looking for faces is not counted
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


def make_clip(folder: Path, width: int, height: int, frames: int) -> Path:
    """A drawn head that a made-up voice speaks for."""
    import numpy as np
    from davd.data.voice import RATE, speak

    from benchmarks.clips import encode
    from benchmarks.extract import picture

    video = folder / "clip.mp4"
    wave = speak(np.random.default_rng(0), frames / 25).samples
    drawn = (picture(k, width, height) for k in range(frames))
    encode(drawn, video, crf=42, threads=1, sound=(wave, RATE))
    return video


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """One row, in this process."""
    from davd.cli import share_processors

    share_processors()
    import torch
    from davd.bitstream import extract
    from davd.restore.checkpoint import build_network, save_checkpoint
    from davd.restore.config import load_config
    from davd.restore.job import job
    from davd.restore.job.request import Request
    from davd.restore.networks.picture import normal
    from davd.restore.networks.restorer import Restorer, Stream

    class Idle(Stream):
        """Gives back what was decoded, as late as the network would."""

        def push(self, frame):  # noqa: ANN001, ANN202 - as it is called
            self._window.append(frame)
            if len(self._window) <= self._network.radius:
                return None
            first = self._window.pop(0)
            return normal(first.decoded, first.bit_depth)

        def flush(self):  # noqa: ANN202 - as it is called
            return [normal(frame.decoded, frame.bit_depth) for frame in self._window]

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.avx2:
        job.fast_bf16 = lambda device: False  # type: ignore[assignment]
    (width, height), (speed,), frames = arguments.size[0], arguments.speed, arguments.frames
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        checkpoint = "".join(arguments.checkpoint)
        if arguments.random:
            config = load_config(CONFIGS / f"{arguments.random[0]}.toml")
            weights = build_network(config.network).state_dict()
            checkpoint = str(save_checkpoint(folder, arguments.random[0], weights, config, step=0))
        source = arguments.video or make_clip(folder, width, height, frames)
        priors = folder / "priors.h5"
        extract(source, priors)

        def cost(count: int) -> tuple[float, float]:
            """Processor seconds and seconds by the clock of so many frames."""
            begin = time.process_time()
            outcome = job.run(
                Request(
                    priors,
                    folder / "out.mp4",
                    checkpoint=checkpoint,
                    speed=speed,
                    device=arguments.device,
                    end=count / 25,
                    overwrite=True,
                )  # fmt: skip
            )
            return time.process_time() - begin, outcome.elapsed

        cost(WARM)  # loads libraries
        few, many = cost(WARM), cost(frames)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        Restorer.stream = lambda self, **how: Idle(self)  # type: ignore[method-assign]
        idle = cost(frames)[0] - cost(WARM)[0]
    more = frames - WARM
    return {
        "frames_per_second": more / (many[1] - few[1]),
        "cpu_seconds_per_frame": (many[0] - few[0]) / more,
        "beside_seconds_per_frame": idle / more,
        "memory_mb": memory / 1024,
    }


def size_of(text: str) -> tuple[int, int]:
    """Width and height of `224` or `640x360`."""
    width, _, height = text.partition("x")
    return int(width), int(height or width)


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", nargs="+", type=size_of, default=[(128, 128), (224, 224)],
                        metavar="SIZE", help="of the picture: 224, or 640x360")  # fmt: skip
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--video", type=Path, help="instead of the drawn clip; of 25 frames/s")
    parser.add_argument("--speed", nargs="+", choices=SPEEDS, default=[*SPEEDS])
    parser.add_argument("--checkpoint", nargs="+", default=[], help="weights beside the shipped")
    parser.add_argument("--random", nargs="+", choices=NETWORKS, default=[],
                        help="networks with random weights, instead of weights")  # fmt: skip
    parser.add_argument("--avx2", action="store_true", help="no AVX-512 and no bfloat16")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Run the command."""
    arguments = get_parser().parse_args()
    if arguments.one:  # a process of its own, so that memory is that of one network
        print(json.dumps(measure(arguments)))
        return
    if not arguments.json:
        print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, "
              f"{arguments.device}; {arguments.frames} frames")  # fmt: skip
        print(f"{'weights':30}{'speed':10}{'size':>9}{'frames/s':>10}{'CPU s':>9}{'beside':>9}"
              f"{'memory':>10}")  # fmt: skip
    weights = [
        ("shipped", []),
        *((Path(c).stem, ["--checkpoint", c]) for c in arguments.checkpoint),
    ]
    if arguments.random:
        weights = [(name, ["--random", name]) for name in arguments.random]
    common = ["--frames", str(arguments.frames), "--threads", str(arguments.threads)]
    common += ["--device", arguments.device, *(["--avx2"] if arguments.avx2 else [])]
    common += ["--video", str(arguments.video)] if arguments.video else []
    sizes = [(0, 0)] if arguments.video else arguments.size
    rows = []
    for width, height in sizes:
        for speed in arguments.speed:
            for name, chosen in weights:
                command = [sys.executable, "-m", "benchmarks.restore", "--one", *common, *chosen]
                command += ["--size", f"{width}x{height}", "--speed", speed]
                environment = os.environ | (AVX2 if arguments.avx2 else {})
                done = subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, check=True, env=environment
                )
                row = {"weights": name, "speed": speed, "width": width, "height": height}
                row |= json.loads(done.stdout)
                rows.append(row)
                if not arguments.json:
                    size = f"{width}x{height}" if width else "video"
                    print(f"{name:30}{speed:10}{size:>9}{row['frames_per_second']:10.2f}"
                          f"{row['cpu_seconds_per_frame']:9.4f}{row['beside_seconds_per_frame']:9.4f}"
                          f"{row['memory_mb']:7.0f} MB", flush=True)  # fmt: skip
    if arguments.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
