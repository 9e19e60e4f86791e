"""How much is computed for a frame, by name: what `--speed` chooses.

    best      all that the network was made for, its mirror image included
    balanced  without the mirror image: half of the work
    fast      without it, and frames of which nearly all is skipped are not computed anew

Which one is taken where none is named depends on the device and on how many samples there are, not
on how fast this machine is today: a video comes out the same wherever it is restored.
"""

import dataclasses

import numpy as np
import torch

from ...bitstream import Priors
from ...data.units import skips
from ..networks.moving import quiet_share
from ..networks.restorer import Restorer

BLOCK = 64  # frames whose maps are read at a time


@dataclasses.dataclass(frozen=True)
class Speed:
    """What is left out.

    Attributes:
        mirror: Restore the mirror image too, where the network asks for it.
        quiet: Share of skipped macroblocks from which on a frame is not computed; 0: all are.
        most: Luma samples of a video up to which this speed is taken where none is named.
    """

    mirror: bool
    quiet: float
    most: float


SPEEDS = {
    "best": Speed(True, 0.0, 4.5e7),  # 900 frames of 224x224
    "balanced": Speed(False, 0.0, 3e8),  # 6000 frames of 224x224
    "fast": Speed(False, 0.9, float("inf")),
}


def usual_speed(device: str, samples: float) -> str:
    """The speed where none is named.

    Args:
        device: What computes.
        samples: Luma samples of all frames.
    """
    if device.startswith("cuda"):
        return "best"
    return next(name for name, speed in SPEEDS.items() if samples <= speed.most)


def set_speed(network: Restorer, name: str) -> float:
    """Make a network so fast.

    Returns:
        `quiet` for its streams.

    Raises:
        ValueError: No such speed.
    """
    if name not in SPEEDS:
        raise ValueError(f"speed {name!r}: expected one of {', '.join(SPEEDS)}")
    if not SPEEDS[name].mirror:
        network.config = dataclasses.replace(network.config, mirror=False)
    return SPEEDS[name].quiet


def busy_share(priors: Priors, frames: range, quiet: float) -> float:
    """Share of the frames that are computed, by what of them is skipped."""
    if not quiet or "motion/mv" not in priors or not len(frames):
        return 1.0
    path = "cu/mode" if "cu/mode" in priors else "mb/type"
    busy = 0
    for start in range(frames.start, frames.stop, BLOCK):
        stop = min(start + BLOCK, frames.stop)
        kinds = torch.from_numpy(np.asarray(priors.read(path, range(start, stop))))
        busy += sum(quiet_share(skip) < quiet for skip in skips(kinds, path))
    return max(busy, 1) / len(frames)
