"""What QP a video has of which nothing but the pictures is known, guessed from its bits.

Networks are told how coarsely a video is quantised. Where the bitstream is not read, bits and
pictures together say so roughly: a codec needs the fewer bits, the larger its quantiser step is
against the detail in the picture, and the step doubles with every six of QP. That holds of moving
frames where something moves. A still scene costs next to nothing after its key frame, however fine
it is, and shows what the key frame was: the less the picture changes, the more is believed what the
key frame's own bits say, where they say finer. Pictures that are all key frames have only those.

The constants were fitted to where restoring gains most: 25 clips of talking heads at 128x128, and
still scenes made of them and of drawn text, encoded by x264, VP8, VP9, AV1, MPEG-4, MPEG-2 and
Motion JPEG and restored at six QPs each. Of 27 other clips, encoded finely and coarsely by all but
the last, the guess is off from the best QP by 2.7 (root mean square; guessed from moving frames
alone it was 4.9).
"""

import math

import numpy as np

from ...bitstream import Priors
from ...bitstream.priors.field import PictureType
from .twice import FIRST, looks

UNKNOWN = 36  # where no bits are told
FINEST, COARSEST = 0, 40  # told 0, hardly anything is changed; over 40 gains fall again
STEP = 6.0  # QP by which the quantiser step doubles
MOVING = -4.5  # of H.264: QP of moving frames at a bit a sample and a gradient of one
KEY, RISE, FALL = 15.0, 3.0, 10.0  # likewise of key frames; by how much with gradient and bits
STILL = 0.2  # change over gradient where moving frames and key frames are believed alike
DENSER = {
    "mjpeg": -10.0,
    "mpeg1video": -8.0,
    "mpeg2video": -8.0,
    "mpeg4": -4.0,
    "h263": -4.0,
    "vp9": 5.0,
    "av1": 7.0,
}  # by how much QP is lower than that of H.264 of as many bits; MPEG-1 and H.263 as their kin
LOOKS = 12  # moving frames looked at
MOST_BITS = 24.0  # of a sample; more is padding
AROUND = 32  # frames on both sides of a range whose bits count, for some of it are paid there


def guessed_qp(priors: Priors, frames: range) -> int:
    """The QP at which H.264 pictures would be about as damaged as a video's.

    Args:
        priors: Its pictures, with `frames/bytes`.
        frames: Display indices in a row; some of the first are looked at.
    """
    height, width = priors.coded_size
    bits = 8.0 * priors.column("bytes").astype(float) / (height * width)
    key, moving = _key_and_moving(priors, frames)
    seen = moving[np.linspace(0, len(moving) - 1, min(LOOKS, len(moving))).astype(int)].tolist()
    measured = [_measure(priors, k) for k in seen or looks(frames)[::4]]
    gradient, change = np.mean(measured, axis=0).tolist()
    spent, paid = (float(bits[k].mean()) if len(k) else 0.0 for k in (moving, key))
    if gradient == 0 or spent == paid == 0:
        return UNKNOWN
    fine = math.inf
    if paid:  # bits of quantised noise are about log2(1 + size / step); QP falls faster with them
        held = 2.0 ** min(paid, MOST_BITS) - 1
        fine = KEY + RISE * math.log2(gradient) - FALL * math.log2(held)
    qp = MOVING + STEP * math.log2(gradient / spent) if spent else fine
    if fine < qp:
        qp += (fine - qp) / (1 + (change / (STILL * gradient)) ** 2)
    qp -= DENSER.get(str(priors.attrs["codec"]), 0.0)
    return min(max(round(qp), FINEST), COARSEST)


def _key_and_moving(priors: Priors, frames: range) -> tuple[np.ndarray, np.ndarray]:
    """Display indices of key frames and of others by whose bits a range is judged."""
    kind = priors.column("picture_type")
    stop = min(frames.stop, frames.start + FIRST) + AROUND
    near = np.arange(max(frames.start - AROUND, 0), min(stop, len(kind)))
    key = near[kind[near] == PictureType.I]
    if not len(key):  # the last one before
        key = np.flatnonzero(kind[: near[0]] == PictureType.I)[-1:]
    return key, near[(kind[near] != PictureType.I) & (near > 0)]


def _measure(priors: Priors, index: int) -> tuple[float, float]:
    """Mean step between neighbours down and across, and from the frame before; 8-bit luma."""
    pair = priors.read("decoded/y", [max(index - 1, 0), index])[:, *priors.crop].astype(np.float32)
    if min(pair.shape[1:]) < 2:
        return 0.0, 0.0
    before, down, across = (float(np.abs(np.diff(pair, axis=axis)).mean()) for axis in range(3))
    unit = 2 ** (int(priors.attrs["bit_depth_luma"]) - 8)
    return (down + across) / 2 / unit, before / unit
