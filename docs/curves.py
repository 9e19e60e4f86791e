"""Draw the learning curves of run folders: gain over decoded, in training and in validation.

    python docs/curves.py RUN [RUN ...] [-o docs/images/curves.png]

Left, the mean over the validation clips (`val.csv`) and the gain on the training crops between two
log rows (`train.csv`, smoothed), one colour a run; right, the first run's validation by CRF.
"""

import argparse
import csv
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")
from matplotlib import pyplot as plt  # noqa: E402 after the choice of the backend

Columns = dict[str, np.ndarray]


def columns(path: Path) -> Columns:
    """The columns of a log; a step logged again after a run went on counts as logged last."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file)}
    return {
        key: np.array([float(row[key]) for row in rows.values()]) for key in [*rows.values()][0]
    }


def smooth(values: np.ndarray, reach: int = 2) -> np.ndarray:
    """Mean over the values up to `reach` places away, over fewer at the ends."""
    places = range(len(values))
    return np.array([values[max(k - reach, 0) : k + reach + 1].mean() for k in places])


def draw(runs: list[Path], out: Path) -> None:
    """Draw the figure."""
    plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), sharex=True, layout="constrained")
    for number, run in enumerate(runs):
        trained, checked = columns(run / "train.csv"), columns(run / "val.csv")
        left.plot(trained["step"], smooth(trained["gain"]), color=f"C{number}", lw=0.8, alpha=0.5)
        left.plot(checked["step"], checked["gain"], color=f"C{number}", marker="o", ms=3,
                  label=run.name)  # fmt: skip
    checked = columns(runs[0] / "val.csv")
    names = sorted(key for key in checked if key.startswith("gain_crf"))
    for shade, name in zip(np.linspace(0.25, 0.9, len(names)), names, strict=True):
        right.plot(checked["step"], checked[name], color=plt.cm.viridis(1 - shade), marker="o",
                   ms=3, label=f"CRF {name.removeprefix('gain_crf')}")  # fmt: skip
    left.set_title("validation (dots) and training crops (thin)", fontsize=9)
    right.set_title(f"validation by CRF, {runs[0].name}", fontsize=9)
    left.set_ylabel("gain over decoded, luma PSNR, dB")
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    plt.close(figure)


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of davd-train")
    kept = Path(__file__).parent / "images" / "curves.png"
    parser.add_argument("-o", "--out", type=Path, default=kept, help="default: %(default)s")
    arguments = parser.parse_args(argv)
    draw(arguments.runs, arguments.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
