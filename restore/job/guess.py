"""What QP a video has of which nothing but the pictures is known, guessed from its bits.

Networks are told how coarsely a video is quantised. Where the bitstream is not read, bits and
pictures together say so roughly: a codec needs the fewer bits, the larger its quantiser step is
against the detail in the picture, and the step doubles with every six of QP. Of talking heads at
128x128 and 224x224, encoded by x264 and openh264 at mean QPs of 22 to 48, the guess is off by 3.5
(standard deviation over clips).
"""

import math

import numpy as np

from ...bitstream import Priors
from ...bitstream.priors.field import PictureType
from .twice import looks

UNKNOWN = 36  # where no bits are told
FINEST, COARSEST = 10, 40  # coarser, and a still scene with fine texture is taken for a ruin
STEP = 6.0  # QP by which the quantiser step doubles
OFFSET = -12.0  # of H.264: QP at a bit a sample and a gradient of one
DENSER = {
    "mpeg1video": -6.0,
    "mpeg2video": -6.0,
    "mpeg4": -3.0,
    "h263": -3.0,
    "hevc": 3.0,
    "vp9": 3.0,
    "av1": 5.0,
}  # by how much QP is lower than that of H.264 of as many bits


def guessed_qp(priors: Priors, frames: range) -> int:
    """The QP at which H.264 pictures would be about as damaged as a video's.

    Args:
        priors: Its pictures, with `frames/bytes`.
        frames: Display indices in a row; some of the first are looked at.
    """
    height, width = priors.coded_size
    size, kind = priors.column("bytes"), priors.column("picture_type")
    moving = kind != PictureType.I
    bits = 8.0 * float(size[moving if moving.any() else ...].mean()) / (height * width)
    detail = float(np.mean([_gradient(priors, k) for k in looks(frames)[::4]]))
    if bits == 0 or detail == 0:
        return UNKNOWN
    denser = DENSER.get(str(priors.attrs["codec"]), 0.0)
    qp = OFFSET + STEP * math.log2(detail / bits) - denser
    return min(max(round(qp), FINEST), COARSEST)


def _gradient(priors: Priors, index: int) -> float:
    """Mean step between neighbours down and across, in units of 8-bit luma."""
    luma = priors.read("decoded/y", [index])[0][priors.crop].astype(np.float32)
    if min(luma.shape) < 2:
        return 0.0
    down, across = (float(np.abs(np.diff(luma, axis=axis)).mean()) for axis in (0, 1))
    return (down + across) / 2 ** (int(priors.attrs["bit_depth_luma"]) - 8)
