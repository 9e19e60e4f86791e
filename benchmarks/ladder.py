"""The paper's ablation ladder and its comparison group, trained and measured on one's own clips.

    python -m benchmarks.ladder WORK [WORK ...] --steps 600 --minutes 6 --out runs/ladder

Every row is trained on the same samples from the same seed for so many steps, or until its minutes
are over. A row is a run folder in OUT, so that a call that was stopped goes on where it was when
called again, and a call after that only measures. Prints a table in Markdown: means over the test
clips, and what a row gains over the first one with the standard error of the clips' differences.
OUT/ladder.csv has a line per row and clip.
"""

import argparse
import csv
import sys
from pathlib import Path
from statistics import fmean, stdev

from davd.data.dataset import open_segments
from davd.restore.checkpoint import load_checkpoint
from davd.restore.config import Config, load_config
from davd.restore.measuring.evaluate import measure_clip
from davd.restore.measuring.tables import Row, as_csv, multiply_adds
from davd.restore.networks.restorer import fast_bf16
from davd.restore.training.train import train

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "ladder.toml"
MEASURES = {"psnr_y": 3, "ssim_y": 4, "psnr_rgb": 3, "psnr_mouth": 3}  # and their digits
# What each row lays over CONFIG. Rivals have widths at which a frame costs about as many
# multiply-adds as VPB's; DKFN's own paper gives it the residual, which comes with the priors.
ROWS: dict[str, tuple[str, ...]] = {
    "VPB": (),
    "+ APB": ("audio=true", "attention=false"),
    "+ SAF": ("audio=true",),
    "+ CPM": ("audio=true", "cell=paper"),
    "+ SAF, priors": ("audio=true", "priors=true"),
    "DSCNN": ("name=dscnn", "channels=24"),
    "DKFN": ("name=dkfn", "channels=24", "priors=true"),
    "MFQE": ("name=mfqe", "channels=16"),
    "EDVR": ("name=edvr", "channels=40", "front_blocks=2"),
    "BasicVSR++": ("name=basicvsrpp", "channels=16", "front_blocks=2"),
}


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", nargs="+", help="work folders made by davd-prepare")
    parser.add_argument("--speakers", nargs="+", default=[], help="only these; all where left out")
    parser.add_argument("--rows", nargs="+", default=[*ROWS], choices=[*ROWS], metavar="ROW",
                        help=f"of {', '.join(ROWS)} (default all)")  # fmt: skip
    parser.add_argument("--crf", type=int, default=42)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=0.0, help="at most; 0: all steps")
    parser.add_argument("--limit", type=int, default=0, help="test frames per clip; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch decides")
    parser.add_argument("--out", type=Path, default=Path("runs/ladder"))
    return parser


def configuration(row: str, arguments: argparse.Namespace) -> Config:
    """What a row is trained with."""
    folder = arguments.out / "".join(c for c in row.lower() if c.isalnum())
    settings = [
        *(f"network.{switch}" for switch in ROWS[row]),
        f"data.index={arguments.work!r}",
        f"data.speakers={arguments.speakers!r}",
        f"data.crf=[{arguments.crf}]",
        f"train.out={folder}",
        f"train.minutes={float(arguments.minutes)}",
    ]
    settings += [f"train.{key}={getattr(arguments, key)}" for key in ("steps", "seed", "threads")]
    return load_config(CONFIG, settings)


def measured(row: str, checkpoint: Path, arguments: argparse.Namespace) -> Row:
    """A trained row on the test clips."""
    network = load_checkpoint(checkpoint)
    segments = open_segments(
        arguments.work, "test", crf=[arguments.crf], listen=True,
        level=network.projector is not None, speakers=arguments.speakers,
    )  # fmt: skip
    amp = fast_bf16("cpu")
    clips = [measure_clip(network, part, amp=amp, limit=arguments.limit) for part in segments]
    return Row(row, "right", clips, network.parameter_count(), multiply_adds(network))


def line(row: Row, first: Row, crf: int, folder: Path) -> str:
    """A row of the Markdown table."""
    with (folder / "val.csv").open(newline="") as file:
        *_, last = csv.DictReader(file)
    gain, _, least = row.gain("psnr_y", crf)
    pairs = zip(row.clips, first.clips, strict=True)
    more = [a.mean("psnr_y", "restored") - b.mean("psnr_y", "restored") for a, b in pairs]
    cells = [row.label, last["step"], f"{float(last['seconds']) / 60:.1f}"]
    cells += [f"{gain:+.3f}", f"{least:+.3f}", f"{fmean(more):+.3f}"]
    cells.append(f"{stdev(more) / len(more) ** 0.5:.3f}" if len(more) > 1 else "")
    cells += [f"{row.mean(name, crf):.{digits}f}" for name, digits in MEASURES.items()]
    cells += [f"{row.parameters / 1e6:.2f}", f"{row.multiply_adds / 1e9:.1f}"]
    return f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> int:
    """Train what is not trained yet; measure and print all."""
    arguments = get_parser().parse_args(argv)
    rows: list[Row] = []
    lines = []
    for name in arguments.rows:
        config = configuration(name, arguments)
        print(f"{name}: {config.train.out}", file=sys.stderr, flush=True)
        rows.append(measured(name, train(config), arguments))
        lines.append(line(rows[-1], rows[0], arguments.crf, Path(config.train.out)))
        (arguments.out / "ladder.csv").write_text(as_csv(rows))
    head = "row", "steps", "minutes", "gain Y", "least", "over the first", "+-"
    head = *head, *MEASURES, "Mparams", "GMAC"
    decoded = [f"{rows[0].mean(m, arguments.crf, 'decoded'):.{d}f}" for m, d in MEASURES.items()]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    print(f"| decoded |  |  |  |  |  |  | {' | '.join(decoded)} |  |  |", *lines, sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
