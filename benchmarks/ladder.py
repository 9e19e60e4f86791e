"""Ladders of networks, trained and measured on one's own clips.

    python -m benchmarks.ladder WORK [WORK ...] --steps 600 --minutes 6 --out runs/ladder
    python -m benchmarks.ladder WORK [WORK ...] --ladder motion --steps 100000 --minutes 8

`paper` is the paper's ablation ladder and its comparison group; `motion` asks what knowing the
decoded motion is worth: nothing of the neighbours, neighbours moved by the decoded vectors,
features carried forward, and both ways; the last without its parts; and beside them the window
of five unmoved frames that the shipped small weights look through.

Every row is trained on the same samples from the same seed for so many steps, or until its minutes
are over. A row is a run folder in OUT, so that a call that was stopped goes on where it was when
called again, and a call after that only measures. Prints a table in Markdown: means over the test
clips, and what a row gains over the first one with the standard error of the clips' differences;
frames/s are those of one stream of 128x128 in so many threads. OUT/ladder.csv has a line per row
and clip.
"""

import argparse
import csv
import dataclasses
import sys
from pathlib import Path
from statistics import fmean, stdev

import torch
from davd.data.dataset import open_segments
from davd.restore.checkpoint import load_checkpoint
from davd.restore.config import Config, load_config
from davd.restore.measuring.evaluate import measure_clip
from davd.restore.measuring.tables import Row, as_csv, multiply_adds
from davd.restore.networks.restorer import fast_bf16
from davd.restore.training.train import train

from benchmarks.networks import seconds_per_frame

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
MEASURES = {"psnr_y": 3, "ssim_y": 4, "psnr_rgb": 3, "psnr_mouth": 3}  # and their digits


@dataclasses.dataclass(frozen=True)
class Ladder:
    """A configuration, and by name what each row lays over it."""

    config: str
    rows: dict[str, tuple[str, ...]]


LADDERS = {
    # Rivals have widths at which a frame costs about as many multiply-adds as VPB's; DKFN's own
    # paper gives it the residual, which comes with the priors.
    "paper": Ladder(
        "ladder.toml",
        {
            "VPB": (),
            "+ APB": ("network.audio=true", "network.attention=false"),
            "+ SAF": ("network.audio=true",),
            "+ CPM": ("network.audio=true", "network.cell=paper"),
            "+ SAF, priors": ("network.audio=true", "network.priors=true"),
            "DSCNN": ("network.name=dscnn", "network.channels=24"),
            "DKFN": ("network.name=dkfn", "network.channels=24", "network.priors=true"),
            "MFQE": ("network.name=mfqe", "network.channels=16"),
            "EDVR": ("network.name=edvr", "network.channels=40", "network.front_blocks=2"),
            "BasicVSR++": (
                "network.name=basicvsrpp", "network.channels=16", "network.front_blocks=2",
            ),
        },
    ),
    # Blocks are shared out so that all rows cost about as many multiply-adds.
    "motion": Ladder(
        "recurrent.toml",
        {
            "frame alone": ("network.carry=none", "network.video_blocks=7"),
            "neighbours moved": (
                "network.carry=neighbours", "network.radius=1", "network.video_blocks=5",
            ),
            "forward": ("network.carry=forward", "network.video_blocks=6"),
            "both ways": (),
            "both, no gate": ("network.gate=false",),
            "both, no history": ("network.history=false",),
            "window of 5": (
                "network.name=davd", "network.width=lite", "network.radius=2",
                "network.hidden=32", "network.front_blocks=0", "network.blocks=5",
                "network.align=false", "data.crop=64", "data.frames=5", "train.batch=16",
            ),
        },
    ),
}  # fmt: skip


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", nargs="+", help="work folders made by davd-prepare")
    parser.add_argument("--speakers", nargs="+", default=[], help="only these; all where left out")
    parser.add_argument("--ladder", choices=LADDERS, default="paper")
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW",
                        help="of that ladder, by the names in its table (default all)")  # fmt: skip
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
    ladder = LADDERS[arguments.ladder]
    settings = [
        *ladder.rows[row],
        f"data.index={arguments.work!r}",
        f"data.speakers={arguments.speakers!r}",
        f"data.crf=[{arguments.crf}]",
        f"train.out={folder}",
        f"train.minutes={float(arguments.minutes)}",
    ]
    settings += [f"train.{key}={getattr(arguments, key)}" for key in ("steps", "seed", "threads")]
    return load_config(CONFIGS / ladder.config, settings)


def measured(row: str, checkpoint: Path, arguments: argparse.Namespace) -> tuple[Row, float]:
    """A trained row on the test clips, and its frames a second."""
    network = load_checkpoint(checkpoint)
    segments = open_segments(
        arguments.work, "test", crf=[arguments.crf], listen=True,
        level=network.projector is not None, motion=network.config.motion,
        speakers=arguments.speakers,
    )  # fmt: skip
    amp = fast_bf16("cpu")
    clips = [measure_clip(network, part, amp=amp, limit=arguments.limit) for part in segments]
    row_of = Row(row, "right", clips, network.parameter_count(), multiply_adds(network))
    return row_of, 1 / seconds_per_frame(network, 128, "cpu", amp=amp)


def line(row: Row, first: Row, crf: int, folder: Path, speed: float) -> str:
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
    cells += [f"{row.parameters / 1e6:.2f}", f"{row.multiply_adds / 1e9:.1f}", f"{speed:.1f}"]
    return f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> int:
    """Train what is not trained yet; measure and print all."""
    parser = get_parser()
    arguments = parser.parse_args(argv)
    known = LADDERS[arguments.ladder].rows
    if unknown := [name for name in arguments.rows if name not in known]:
        parser.error(f"no row {unknown[0]!r}: those of {arguments.ladder} are {', '.join(known)}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows: list[Row] = []
    lines = []
    for name in arguments.rows or known:
        config = configuration(name, arguments)
        print(f"{name}: {config.train.out}", file=sys.stderr, flush=True)
        row, speed = measured(name, train(config), arguments)
        rows.append(row)
        lines.append(line(row, rows[0], arguments.crf, Path(config.train.out), speed))
        (arguments.out / "ladder.csv").write_text(as_csv(rows))
    head = "row", "steps", "minutes", "gain Y", "least", "over the first", "+-"
    head = *head, *MEASURES, "Mparams", "GMAC", "frames/s"
    decoded = [f"{rows[0].mean(m, arguments.crf, 'decoded'):.{d}f}" for m, d in MEASURES.items()]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    print(f"| decoded |  |  |  |  |  |  | {' | '.join(decoded)} |  |  |  |", *lines, sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
