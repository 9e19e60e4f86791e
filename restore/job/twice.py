"""Whether a video was encoded before, as its pictures show it: block edges finer than its QP makes.

A coarse encode leaves edges on a grid of eight samples (H.264's and HEVC's deblocking does not hide
them all). An encode with a small QP makes none of its own: where they are seen, they came with the
pictures, and what the bitstream says is of the second encode, not of the damage.
"""

from typing import NamedTuple

import numpy as np

from ...bitstream import Priors

LOOKS = 24  # frames looked at
GRID = 8  # samples between the edges of earlier blocks
FINE = 29.0  # mean QP over which edges may be this encode's own
SURE, LIKELY = 6.0, 3.5  # standard errors by which edges stand out; without any, under 2
FIRST = 1500  # frames among which the looks are spread


class Trace(NamedTuple):
    """Edges on a grid.

    Attributes:
        excess: Standard errors by which the strongest phase of the grid stands out.
        offset: Where that grid lies, columns or rows from the left or the top.
        qp: Mean QP of the video.
    """

    excess: float
    offset: int
    qp: float

    def text(self) -> str:
        """What is to be said of it; empty where nothing is."""
        if self.qp > FINE or self.excess < LIKELY:
            return ""
        sure = "almost surely" if self.excess >= SURE else "probably"
        return (
            f"the video was {sure} encoded before, more coarsely (block edges stand out by "
            f"{self.excess:.0f} standard errors at a mean QP of {self.qp:.0f}): its bitstream says "
            "nothing of that damage, and less is gained; restore the first encode if it is at hand"
        )


def trace(priors: Priors, frames: range) -> Trace | None:
    """Look for the edges of earlier blocks.

    Args:
        priors: With decoded luma and QP.
        frames: Display indices in a row.

    Returns:
        What was found; None where the video says no QP or its pictures are too small.
    """
    if "mb/qp_y" not in priors or min(side.stop - side.start for side in priors.crop) < 8 * GRID:
        return None
    steps: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for k in looks(frames):
        luma = priors.read("decoded/y", [k])[0][priors.crop].astype(np.float32)
        for axis in (0, 1):
            steps[axis].append(_edges(luma if axis else luma.T))
    found = [_strongest(np.mean(rows, axis=0)) for rows in steps]
    excess, offset = max(found)
    return Trace(excess, offset, mean_qp(priors, frames))


def looks(frames: range) -> list[int]:
    """Some of the first of a video's frames, enough to judge its coding by."""
    last = min(frames.stop, frames.start + FIRST) - 1
    return sorted({int(k) for k in np.linspace(frames.start, last, LOOKS)})


def mean_qp(priors: Priors, frames: range) -> float:
    """Mean QP of luma of some of the first frames."""
    return float(np.mean([priors.read("mb/qp_y", [k]).mean() for k in looks(frames)]))


def _edges(luma: np.ndarray) -> np.ndarray:
    """By column, how much larger the step to it is than those beside it."""
    step = np.abs(np.diff(luma, axis=1))
    return (step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2).mean(axis=0)


def _strongest(edges: np.ndarray) -> tuple[float, int]:
    """Standard errors by which the strongest phase stands out, and the phase."""
    place = (np.arange(len(edges)) + 2) % GRID
    groups = [edges[place == phase] for phase in range(GRID)]
    found = []
    for phase, group in enumerate(groups):
        others = np.concatenate([g for p, g in enumerate(groups) if p != phase])
        spread = group.var(ddof=1) / len(group) + others.var(ddof=1) / len(others)
        found.append((float((group.mean() - others.mean()) / np.sqrt(spread + 1e-12)), phase))
    return max(found)
