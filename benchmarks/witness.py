"""What can the sound tell of what H.264 took from a mouth? Asked without a network.

For each clip the error of the decoded mouth (original less decoded) is predicted by ridge
regression: from the decoded mouth of three frames, then from that and the sound around the frame,
then from that and the sound of another moment of the same clip. What counts is the share of the
error's energy that is explained in blocks of time that the fit has not seen, told in dB of PSNR. A
network can do better than a linear fit of one clip; but where sound adds nothing to the picture
here, there is little to learn from it.

    python -m benchmarks.witness WORK --crf 42 45 [--clips NAME ...]

Only clips of at least --seconds are asked, or those of --clips: a fit in a few seconds finds
nothing.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from davd.bitstream import PriorsFile
from davd.data.clean import CleanVideo
from davd.data.index import Clip, load_index
from davd.data.sync import band_energies

KEPT = 40  # components of the error that are predicted
SEEN = 30  # components of a decoded mouth that are predicted from
HEARD = 8  # frames of sound to either side
FOLDS = 8
APART = 12  # frames left out between what is fitted and what is tested
RIDGES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)  # the best counts, for every row
LEAST = 2 * FOLDS * APART  # frames of a clip, or too few are left to fit to
OTHER = (5.0, 8.0, -5.0)  # seconds to the other moments, whose mean counts


def axes(x: np.ndarray, count: int) -> np.ndarray:
    """The strongest principal axes `[count, D]` of the rows of `x`."""
    return np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:count]


def around(x: np.ndarray, offsets: Sequence[int]) -> np.ndarray:
    """Rows of `x` at some offsets from each row, side by side; the ends wrap round."""
    return np.hstack([np.roll(x, -k, axis=0) for k in offsets])


def explained(x: np.ndarray, y: np.ndarray, ridge: float) -> float:
    """Share of the energy of `y [T, C]` that `x [T, F]` explains in blocks not fitted to."""
    left = 0.0
    edges = np.linspace(0, len(x), FOLDS + 1).astype(int)
    for begin, end in zip(edges, edges[1:], strict=False):
        fitted = np.ones(len(x), bool)
        fitted[max(0, begin - APART) : end + APART] = False
        mean, scale = x[fitted].mean(0), x[fitted].std(0) + 1e-6
        a, middle = (x[fitted] - mean) / scale, y[fitted].mean(0)
        gram = a.T @ a + ridge * np.eye(a.shape[1])
        weights = np.linalg.solve(gram, a.T @ (y[fitted] - middle))
        guess = ((x[begin:end] - mean) / scale) @ weights + middle
        left += float(np.square(y[begin:end] - guess).sum())
    return 1 - left / float(np.square(y).sum())


def told(clip: Clip, crf: int) -> tuple[float, float, float]:
    """Decibels that picture, picture and sound, picture and other sound explain."""
    left, top, width, height = clip.mouth
    rows, columns = slice(top, top + height), slice(left, left + width)
    with PriorsFile(clip.priors[crf]) as priors, CleanVideo(clip.clean) as clean:
        decoded = np.stack([priors[k].decoded[0][rows, columns] for k in range(clip.frames)])
        original = np.stack([clean[k][0][rows, columns] for k in range(clip.frames)])
        samples = priors.dataset("audio/samples")[()]
    mouth = decoded.reshape(clip.frames, -1).astype(float)
    error = original.reshape(clip.frames, -1) - mouth
    strongest = error @ axes(error, KEPT).T  # the rest of the error stays as it is
    held = float(np.square(strongest).sum() / np.square(error).sum())
    seen = around((mouth - mouth.mean(0)) @ axes(mouth, SEEN).T, (-1, 0, 1))
    bands = band_energies(samples, clip.frames, clip.fps)

    def gain(*shifts: float) -> float:
        parts = [seen]
        for shift in shifts:
            moved = round(shift * clip.fps)
            parts.append(around(bands, range(moved - HEARD, moved + HEARD + 1)))
        x = np.hstack(parts)
        share = held * max(explained(x, strongest, ridge) for ridge in RIDGES)
        return -10 * float(np.log10(1 - share))

    return gain(), gain(0.0), float(np.mean([gain(shift) for shift in OTHER]))


def main() -> int:
    """Ask every clip and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("work", help="work folder of make dataset")
    parser.add_argument("--crf", type=int, nargs="+", default=[42, 45])
    parser.add_argument("--clips", nargs="+", help="names; default: all of --seconds")
    parser.add_argument("--seconds", type=float, default=24.0, help="least length of a clip (24)")
    arguments = parser.parse_args()
    wanted = [
        clip
        for clip in load_index(arguments.work).clips
        if clip.audio.present
        and clip.frames >= LEAST
        and (clip.name in arguments.clips if arguments.clips else clip.seconds >= arguments.seconds)
    ]
    if not wanted:
        print(f"no clip with sound is that long; {LEAST} frames are the least", file=sys.stderr)
        return 1
    print("dB at the mouth that a linear fit explains in parts not fitted to\n")
    print("| CRF | clip | picture | + sound | + sound of another moment |\n|---|---|---|---|---|")
    for crf in arguments.crf:
        for clip in wanted:
            numbers = " | ".join(f"{value:.3f}" for value in told(clip, crf))
            print(f"| {crf} | {clip.name} | {numbers} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
