"""What each cell of the projection allows and gains, by CRF, on one's own clips.

    python -m benchmarks.cells WORK --checkpoint generic --crf 23 28 35 42 45 --limit 24

Prints a table in Markdown: coefficients of the source that lie inside the cell; PSNR of Y of the
projected source, the ceiling; gain in PSNR of Y over the decoded frames of what the network
restores, as it is (`none`) and projected; and the share of the restored frames' coefficients that
lie outside the cell. Of the test clips the middle frames; `calibrated` is fitted per CRF on every
sixth frame of the training clips.
"""

import argparse
import math
from collections.abc import Iterator

import torch
from davd.data.dataset import Segment, open_segments
from davd.data.sample import Planes, Sample, collate
from davd.restore.checkpoint import load_checkpoint
from davd.restore.measuring.metrics import as_codes, psnr
from davd.restore.networks.restorer import Restorer, Stream, fast_bf16
from davd.restore.projection.calibrate import fit_cells
from davd.restore.projection.cells import CellTable
from davd.restore.projection.project import PriorsTensors, consistency, make_cells, outside, project
from torch import Tensor

CELLS = ("paper", "coded", "deadzone", "trellis", "calibrated")
EVERY = 6  # frames between those that calibrated cells are fitted on
TAIL = 0.001  # share of each class that calibrated cells leave outside


def windows(part: Segment, limit: int, radius: int) -> Iterator[tuple[Sample, bool]]:
    """A segment's middle frames one by one, and whether each is more than a neighbour."""
    start, stop = part.start, part.stop
    if limit and stop - start > limit:
        start += (stop - start - limit) // 2
        stop = start + limit
    for k in range(start - radius, stop + radius):
        yield collate([part.reader.read(k, k + 1)]), start <= k < stop


def fitted(parts: list[Segment]) -> CellTable:
    """Calibrated cells of training clips."""
    frames = (
        part.reader.read(k, k + 1) for part in parts for k in range(part.start, part.stop, EVERY)
    )
    return fit_cells(frames, tail=TAIL)


class Tally:
    """Sums over the frames of a clip."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.sums: dict[tuple[str, str], list[float]] = {}

    def add(self, cell: str, column: str, value: float) -> None:
        """Count one frame."""
        self.sums.setdefault((cell, column), []).append(value)

    def mean(self, cell: str, column: str) -> float:
        """Over what was counted; NaN where nothing was."""
        values = self.sums.get((cell, column), [])
        return sum(values) / len(values) if values else math.nan


def luma_psnr(luma: Tensor, frame: Sample) -> float:
    """PSNR of Y in [0, 1], rounded to 8 bit, against the source."""
    assert frame.clean is not None
    codes = as_codes(luma.reshape(frame.clean.y.shape), 8)
    return float(psnr(codes, frame.clean.y.float(), data_range=255.0))


def measure(frame: Sample, restored: Planes, table: CellTable, tally: Tally) -> None:
    """One frame, all cells."""
    assert frame.clean is not None
    flat = [plane.float().flatten(0, -3) for plane in restored]
    truth = [plane.flatten(0, -3).float() / 255 for plane in frame.clean]
    before = luma_psnr(frame.decoded.y.float() / 255, frame)
    tally.add("none", "decoded", before)
    tally.add("none", "gain", luma_psnr(restored.y, frame) - before)
    priors = PriorsTensors.from_sample(frame)
    for name in CELLS:
        cells = make_cells(priors, name, table=table)
        wrong = outside(truth, cells)
        share = sum(int(mask.sum()) for mask in wrong) / sum(mask.numel() for mask in wrong)
        tally.add(name, "inside", 100 * (1 - share))
        error = (project(truth, cells)[0].clamp(0, 1) - truth[0]).double().square().mean()
        tally.add(name, "error", float(error))
        tally.add(name, "gain", luma_psnr(project(flat, cells)[0], frame) - before)
        codes = [as_codes(plane, 8) / 255 for plane in flat]
        tally.add(name, "outside", 100 * float(consistency(codes, cells, slack=0.5).mean()))


def of_crf(work: str, crf: int, network: Restorer, limit: int) -> Tally:
    """All test clips at one CRF."""
    tests, trains = (
        open_segments(work, split, crf=[crf], listen=True, level=True)
        for split in ("test", "train")
    )
    table, tally = fitted(trains), Tally()
    for part in tests:
        stream, waiting = Stream(network, amp=fast_bf16("cpu")), []
        for frame, counts in windows(part, limit, network.radius):
            waiting.append((frame, counts))
            restored = stream.push(frame)
            if restored is None:
                continue
            shown, counts = waiting.pop(0)
            if counts:
                measure(shown, restored, table, tally)
    return tally


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", help="work folder made by davd-prepare")
    parser.add_argument("--checkpoint", default="generic")
    parser.add_argument("--crf", nargs="+", type=int, default=[23, 28, 35, 42, 45])
    parser.add_argument("--limit", type=int, default=24, help="frames per clip; 0: all")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch decides")
    arguments = parser.parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    network = load_checkpoint(arguments.checkpoint)
    print("| CRF | decoded dB | cell | inside % | ceiling dB | gain dB | restored outside % |")
    print("|---|---|---|---|---|---|---|")
    for crf in arguments.crf:
        tally = of_crf(arguments.work, crf, network, arguments.limit)
        decoded = f"{tally.mean('none', 'decoded'):.2f}"
        print(f"| {crf} | {decoded} | none |  |  | {tally.mean('none', 'gain'):+.3f} |  |")
        for name in CELLS:
            error = tally.mean(name, "error")
            ceiling = f"{-10 * math.log10(error):.1f}" if error > 1e-13 else "exact"
            inside, outside_ = (f"{tally.mean(name, c):.4f}" for c in ("inside", "outside"))
            gain = f"{tally.mean(name, 'gain'):+.3f}"
            print(f"| {crf} |  | {name} | {inside} | {ceiling} | {gain} | {outside_} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
