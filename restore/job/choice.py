"""Which of the shipped weights a video is restored with, where nobody names any."""

from ...bitstream import Priors
from .twice import mean_qp

GENERAL = "generic"
COARSE = 42.0  # mean QP of luma from which on the weights made for it are better than the general


def variants(priors: Priors, frames: range) -> tuple[str, ...]:
    """Variants of weights that fit a video, the best first.

    Weights for H.264 that was quantised coarsely correct too much where it was not, and weights
    that know H.264 alone know little of HEVC: docs/results.md has the figures. Some of the first
    frames are looked at.

    Args:
        priors: Of the video, or its pictures alone.
        frames: Those that are restored.
    """
    if "cu/mode" in priors:
        return "hevc", GENERAL
    if "mb/qp_y" in priors and len(frames) > 0 and mean_qp(priors, frames) >= COARSE:
        return "coarse", GENERAL
    return (GENERAL,)
