"""Speed and size of the networks, and of the loader that feeds them in training.

    python -m benchmarks.networks [--threads 2] [--device cpu] [--work WORK]

Prints, per network, seconds a frame in a stream (features computed once a frame) at 128x128 and
224x224, parameters and multiply-adds (`full-nocpm` is full without its projection); with --work,
training samples a second of the loader alone.
"""

import argparse
import dataclasses
import platform
import time
from pathlib import Path

import torch
from davd.data.sample import FEATURE_FRAMES, FEATURES, Planes, Sample
from davd.restore.checkpoint import build_network
from davd.restore.config import Config, NetworkConfig, load_config
from davd.restore.measuring.tables import multiply_adds
from davd.restore.networks.restorer import Restorer, fast_bf16

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def frame(size: int, device: str) -> Sample:
    """One noisy frame with everything a network may read."""
    random = torch.Generator().manual_seed(size)

    def planes(low: int, high: int, kind: torch.dtype) -> Planes:
        sides = (size, size // 2, size // 2)
        made = [torch.randint(low, high, (1, 1, s, s), generator=random) for s in sides]
        return Planes(*(plane.to(kind) for plane in made))

    def grid(step: int, value: int, kind: torch.dtype) -> torch.Tensor:
        return torch.full((1, 1, size // step, size // step), value, dtype=kind)

    return Sample(
        decoded=planes(0, 256, torch.uint8),
        prediction=planes(0, 256, torch.uint8),
        residual=planes(-20, 20, torch.int16),
        qp_y=grid(16, 42, torch.int8),
        tu=grid(4, 2, torch.uint8),
        mb_type=grid(16, 5, torch.uint8),
        level=planes(-1, 2, torch.int16),
        qp_cb=grid(16, 36, torch.int8),
        qp_cr=grid(16, 36, torch.int8),
        cbp=grid(16, 47, torch.uint8),
        field=grid(16, 0, torch.uint8),
        scaling4x4=torch.full((1, 1, 6, 16), 16, dtype=torch.uint8),
        scaling8x8=torch.full((1, 1, 6, 64), 16, dtype=torch.uint8),
        sound=torch.randn(1, 1, FEATURE_FRAMES, FEATURES, generator=random),
        face=torch.tensor([[size // 4] * 2 + [size // 2] * 2], dtype=torch.int32),
    ).to(device)


def seconds_per_frame(network: Restorer, size: int, device: str, *, amp: bool) -> float:
    """Best of three short streams, once what a stream waits for has come."""
    sample, best = frame(size, device), float("inf")
    for _ in range(3):
        stream = network.stream(amp=amp)
        for _ in range(max(5, network.burst + network.context[1])):
            stream.push(sample)
        if device == "cuda":
            torch.cuda.synchronize()
        count, begin = 0, time.perf_counter()
        while count < 3 or count % network.burst or time.perf_counter() - begin < 0.5:
            stream.push(sample)
            count += 1
            if device == "cuda":
                torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - begin) / count)
    return best


def networks() -> dict[str, NetworkConfig]:
    """What is measured, by name."""
    full = load_config(CONFIGS / "full.toml").network
    found = {
        "lite": load_config(CONFIGS / "lite.toml").network,
        "lite-sound": load_config(CONFIGS / "lite-sound.toml").network,
        "full": full,
        "full-nocpm": dataclasses.replace(full, cell="none"),
    }
    for name in ("dscnn", "dkfn", "mfqe", "edvr", "basicvsrpp"):
        found[name] = NetworkConfig(name=name, width="full")
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--work", help="work folder: measure the loader too")
    parser.add_argument("--only", help="one network")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    amp = fast_bf16(arguments.device)
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.processor()
    print(f"{where or platform.machine()}, {arguments.threads} threads, bfloat16 {amp}, "
          f"torch {torch.__version__}")  # fmt: skip
    print(f"{'network':12}{'ms 128':>9}{'fps':>7}{'ms 224':>9}{'fps':>7}{'params':>10}{'GMAC':>8}")
    for name, config in networks().items():
        if arguments.only in (None, name):
            network = build_network(config).to(arguments.device).eval()
            times = [seconds_per_frame(network, s, arguments.device, amp=amp) for s in (128, 224)]
            work = multiply_adds(network) / 1e9
            shown = "".join(f"{1000 * t:9.1f}{1 / t:7.1f}" for t in times)
            print(f"{name:12}{shown}{network.parameter_count():10d}{work:8.2f}", flush=True)
    if arguments.work:
        _loader(load_config(CONFIGS / "lite.toml", [f"data.index={arguments.work}"]))


def _loader(config: Config) -> None:
    from davd.restore.training.train import loader_speed

    print(f"loader: {loader_speed(config):.0f} samples a second in one process, "
          f"crops of {config.data.crop}, {config.data.frames} frames")  # fmt: skip


if __name__ == "__main__":
    main()
