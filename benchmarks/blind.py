"""What the bitstream is worth to the weights: clips restored with their priors, and without.

    python -m benchmarks.blind WORK [WORK ...] --crf 34 38 42 --limit 8

WORK is a folder made by `make dataset`, of either codec; its test clips are measured. Without
priors a sample is what davd-restore makes of a video whose bitstream it does not read: the pictures
alone, a QP guessed from their bits and no motion. Prints a table in Markdown: PSNR of luma, the
mean over the middle frames of each clip, then over clips.
"""

import argparse
import dataclasses
from statistics import fmean, stdev

import torch
from davd.bitstream import open as open_priors
from davd.data.dataset import Segment, open_segments
from davd.data.reader import ClipReader
from davd.data.sample import Sample, blinded
from davd.restore.checkpoint import find_checkpoint, load_checkpoint
from davd.restore.job.guess import guessed_qp
from davd.restore.measuring.evaluate import measure_clip
from davd.restore.networks.restorer import Restorer


class Blind:
    """A clip of which nothing but the pictures is known."""

    def __init__(self, reader: ClipReader, qp: int) -> None:
        """Take the clip, and what its QP is guessed to be."""
        self._reader, self._qp = reader, qp
        self.name = reader.name

    def read(self, start: int, stop: int, box: tuple[int, int, int, int] | None = None) -> Sample:
        """Frames `start` to `stop`."""
        return blinded(self._reader.read(start, stop, box), priors=True, qp=self._qp)


def blind(segment: Segment) -> Segment:
    """A clip whose bitstream is not looked at but for its length."""
    with open_priors(segment.clip.priors[segment.crf]) as priors:
        qp = guessed_qp(priors, range(segment.start, segment.stop))
    return dataclasses.replace(segment, reader=Blind(segment.reader, qp))  # type: ignore[arg-type]


def gains(network: Restorer, segments: list[Segment], limit: int) -> tuple[list[float], float]:
    """Gain of each clip, dB, and the mean PSNR of the decoded pictures."""
    found, decoded = [], []
    for segment in segments:
        result = measure_clip(network, segment, limit=limit)
        decoded.append(result.mean("psnr_y", "decoded"))
        found.append(result.mean("psnr_y", "restored") - decoded[-1])
    return found, fmean(decoded)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", nargs="+", help="work folders made by davd-prepare")
    parser.add_argument("--checkpoint", default="generic")
    parser.add_argument("--crf", type=int, nargs="+", default=[42])
    parser.add_argument("--limit", type=int, default=8, help="frames per clip")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = load_checkpoint(find_checkpoint(arguments.checkpoint)).eval()
    print("| folder, CRF | clips | PSNR Y decoded | with priors | +- | least | pictures alone |")
    print("|---|---|---|---|---|---|---|")
    for work in arguments.work:
        for crf in arguments.crf:
            segments = open_segments(work, "test", crf=[crf], listen=True, motion=True)
            seen, before = gains(network, segments, arguments.limit)
            alone, _ = gains(network, [blind(segment) for segment in segments], arguments.limit)
            spread = stdev(seen) / len(seen) ** 0.5 if len(seen) > 1 else 0.0
            columns = [f"{work}, {crf}", str(len(seen)), f"{before:.3f}", f"{fmean(seen):+.3f}"]
            columns += [f"{spread:.3f}", f"{min(seen):+.3f}", f"{fmean(alone):+.3f}"]
            print(f"| {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
