"""Compare the integer transforms of davd.restore with the decoder, on every stream of a folder.

    python -m benchmarks.transforms --vectors ../shared/vectors [--only 'x_*']
    python -m benchmarks.transforms --vectors ../shared/vectors-hevc

For each stream with a golden file, which was taken inside the reference decoder (JM, or HM for
HEVC), the residual is worked out from levels, QP, scaling lists and, of HEVC, what is said of each
transform block, and compared with the residual in the stream's frame records, sample by sample.
A stream that is not read exactly as its golden file says is reported as such. Macroblocks of SP and
SI slices of H.264 transform their prediction too (8.6), so that levels alone do not give their
residual; streams that have them are told apart by `SWITCHING`.
"""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import torch
from davd.bitstream import DavdError, FrameRecord
from davd.bitstream.extract import iterate
from davd.restore.projection.units import PriorsTensors

from . import hevc
from .conformance import digests

SWITCHING = ("j_ext_si*", "sp1_bt*", "sp2_bt*", "SI1_*")


@dataclass
class Parity:
    """What came of one stream.

    Attributes:
        frames: frames compared.
        samples: samples compared, over all planes.
        wrong: samples whose residual differs.
        golden: the residual, level and prediction are those of the golden file.
        error: why the stream could not be read; empty where it could.
        seconds: time spent in `integer_residual`.
    """

    frames: int = 0
    samples: int = 0
    wrong: int = 0
    golden: bool = True
    error: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """One word for the table."""
        if self.error:
            return "unread"
        if not self.golden:
            return "not golden"
        return "differs" if self.wrong else "equal"


def compare(stream: Path, golden: Path) -> Parity:
    """Go through one stream."""
    torch.set_num_threads(1)
    wanted = json.loads(golden.read_text())
    parity = Parity()
    try:
        for record, info in iterate(stream, modes=True):
            if parity.frames < len(wanted["frames"]):
                row = wanted["frames"][parity.frames]
                got = _digests(record) if row else {}
                for column, value in zip(wanted["columns"], (row or "").split(), strict=False):
                    parity.golden &= value in ("-", got.get(column, value))
            began = time.perf_counter()
            depth = info.bit_depth_luma, info.bit_depth_chroma
            priors = PriorsTensors.from_records([record], bit_depth=depth)
            for plane, stored in enumerate(priors.residual):
                parity.wrong += int((priors.integer_residual(plane) != stored).sum())
                parity.samples += stored.numel()
            parity.seconds += time.perf_counter() - began
            parity.frames += 1
        parity.golden &= parity.frames == len(wanted["frames"])
    except DavdError as error:
        parity.error = f"{type(error).__name__}: {error}"
    return parity


def _digests(record: FrameRecord) -> dict[str, str]:
    """Of what the residual is made of, by the columns of a golden file."""
    if record.codec == "h264":
        return digests(record)
    groups = {name: getattr(record, name) for name in ("prediction", "residual", "level")}
    return {name: hevc.digest(name, planes) for name, planes in groups.items()}


def main() -> None:
    """Run the command; status 1 when a stream that is read exactly differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--vectors", type=Path, default=Path("../shared/vectors"))
    parser.add_argument("--only", default="*", help="name pattern")
    parser.add_argument("--bad", action="store_true", help="print only what is not equal")
    arguments = parser.parse_args()
    streams = [
        (arguments.vectors / "streams" / golden.stem, golden)
        for golden in sorted((arguments.vectors / "golden").glob("*.json"))
        if fnmatch(golden.stem, arguments.only)
    ]
    counts: dict[str, int] = {}
    failed = False
    total = Parity()
    for stream, golden in streams:
        with ProcessPoolExecutor(1) as pool:
            try:
                parity = pool.submit(compare, stream, golden).result()
            except BrokenProcessPool:
                parity = Parity(error="crashed")
        switching = any(fnmatch(stream.name, pattern) for pattern in SWITCHING)
        verdict = "SP or SI" if switching and parity.verdict == "differs" else parity.verdict
        failed |= verdict == "differs"
        counts[verdict] = counts.get(verdict, 0) + 1
        if verdict == "equal":
            total.frames += parity.frames
            total.samples += parity.samples
            total.seconds += parity.seconds
        if not (arguments.bad and verdict == "equal"):
            wrong = f"{parity.wrong} of {parity.samples} samples wrong" if parity.wrong else ""
            text = f"{stream.name:38} {verdict:10} {parity.frames:4} frames {wrong} {parity.error}"
            print(text.rstrip(), flush=True)
    print(", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items())))
    if total.frames:
        print(
            f"equal: {total.samples} residual samples of {total.frames} frames, "
            f"{1e3 * total.seconds / total.frames:.1f} ms a frame"
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
