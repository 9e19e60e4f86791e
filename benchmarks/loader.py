"""Training samples a second out of priors files and out of the coded clips themselves.

    python -m benchmarks.loader [--clips 4] [--samples 240] [--json]

A DataLoader with two worker processes reads random windows of seven frames, cut to 128x128, with
all that the network is given, from clips of 224x224 that are encoded on the spot (8 s at CRF 42,
an IDR picture every 25 frames or every 250). Both ways give the same samples to the bit, which is
checked; they take turns, and the better of two rounds counts. How many samples a core makes of its
own time, without what a DataLoader takes to hand them over, is measured in this process.
"""

import argparse
import hashlib
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from davd.bitstream import extract
from davd.data.reader import ClipReader
from davd.data.sample import Sample, collate
from torch.utils.data import DataLoader, Dataset

from .clips import encode
from .extract import picture

SIZE, FRAMES, WINDOW, CROP, CRF = 224, 200, 7, 128, 42
ROUNDS = 2


class Windows(Dataset[Sample]):
    """Random windows of some clips; item `k` is the same in every way of reading."""

    def __init__(self, paths: list[Path], length: int) -> None:
        """Open the clips."""
        self._readers = [ClipReader(path, name=path.stem) for path in paths]
        self._length = length

    def __len__(self) -> int:
        """Number of items."""
        return self._length

    def __getitem__(self, number: int) -> Sample:
        """One window."""
        random = np.random.default_rng(number)
        reader = self._readers[random.integers(len(self._readers))]
        start = int(random.integers(0, len(reader) - WINDOW + 1))
        top, left = (16 * int(n) for n in random.integers(0, (SIZE - CROP) // 16 + 1, 2))
        return reader.read(start, start + WINDOW, (top, left, CROP, CROP))


def make_clips(folder: Path, count: int, group: int) -> list[Path]:
    """Clips with an IDR picture every `group` frames."""
    paths = []
    for number in range(count):
        path = folder / f"clip{number}-{group}.mp4"
        frames = (picture(k % 40 + 60 * number, SIZE, SIZE) for k in range(FRAMES))
        encode(frames, path, crf=CRF, g=group, threads=1)
        paths.append(path)
    return paths


def rate(paths: list[Path], samples: int) -> tuple[float, str]:
    """Samples a second, the workers' start left out, and a digest of all they gave."""
    loader = DataLoader(Windows(paths, samples + 2), num_workers=2, collate_fn=collate)
    batches = iter(loader)
    total = [next(batches), next(batches)]
    began = time.perf_counter()
    total += batches
    seconds = time.perf_counter() - began
    digest = hashlib.sha256()
    for sample in total:
        sample.apply(lambda tensor: (digest.update(tensor.numpy().tobytes()), tensor)[1])
    return samples / seconds, digest.hexdigest()


def of_a_core(paths: list[Path], samples: int) -> float:
    """Samples a second of processor time of this process."""
    windows = Windows(paths, samples)
    windows[0]
    began = time.process_time()
    for number in range(samples):
        windows[number]
    return samples / (time.process_time() - began)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--samples", type=int, default=240)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for group in (25, 250):
            coded = make_clips(Path(folder), arguments.clips, group)
            files = [path.with_suffix(".h5") for path in coded]
            for video, file in zip(coded, files, strict=True):
                extract(video, file, motion=True)
            rounds = [
                (rate(files, arguments.samples), rate(coded, arguments.samples))
                for _ in range(ROUNDS)
            ]
            for (_, stored), (_, decoded) in rounds:
                assert stored == decoded, "the samples differ"
            best = [max(each[way][0] for each in rounds) for way in (0, 1)]
            alone = [of_a_core(paths, arguments.samples) for paths in (files, coded)]
            size = [sum(path.stat().st_size for path in paths) for paths in (files, coded)]
            results.append({
                "group": group,
                "priors_files": round(best[0], 1),
                "coded_clips": round(best[1], 1),
                "priors_files_of_a_core": round(alone[0], 1),
                "coded_clips_of_a_core": round(alone[1], 1),
                "priors_bytes": size[0],
                "coded_bytes": size[1],
            })  # fmt: skip
            if not arguments.json:
                print(
                    f"samples/s, two workers, an IDR picture every {group:3} frames: "
                    f"{best[0]:.0f} from priors files ({size[0] / 1e6:.1f} MB), "
                    f"{best[1]:.0f} from coded clips ({size[1] / 1e6:.2f} MB), equal to the bit; "
                    f"a core's own time makes {alone[0]:.0f} and {alone[1]:.0f}",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps({"name": "loader", "results": results}, indent=2))


if __name__ == "__main__":
    main()
