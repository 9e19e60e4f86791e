"""Clause 8.5.15: the residual of lossless macroblocks, where the transform is bypassed."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...bitstream.priors.schema import ChromaMode, LumaMode, MbType

if TYPE_CHECKING:
    from .h264 import H264Tensors


def accumulated(level: Tensor, priors: "H264Tensors", plane: int) -> Tensor:
    """Residual of a plane as if every macroblock were lossless.

    It is the levels themselves; where intra prediction runs along columns or rows, each sample is
    predicted from its neighbour, so that levels add up along the block (8.5.15). Blocks are 4x4,
    8x8 or the macroblock.

    Args:
        level: `[B, Hp, Wp]` in macroblock order.
        priors: Its priors. Without intra modes nothing is added up.
        plane: 0 Y, 1 Cb, 2 Cr.

    Returns:
        `[B, Hp, Wp]` in macroblock order.
    """
    height, width = priors.macroblock(plane)
    cases: tuple[tuple[int | None, int, int], ...]
    if priors.like_luma(plane):
        modes = priors.intra_luma
        cases = ((MbType.I_4x4, 4, 4), (MbType.I_8x8, 8, 8), (MbType.I_16x16, 16, 16))
        vertical, horizontal = int(LumaMode.VERTICAL), int(LumaMode.HORIZONTAL)
    else:
        modes = priors.intra_chroma
        cases = ((None, height, width),)
        vertical, horizontal = int(ChromaMode.VERTICAL), int(ChromaMode.HORIZONTAL)
    if modes is None:
        return level
    out = level
    for mb_type, rows, columns in cases:
        wanted = torch.ones_like(priors.mb_type, dtype=torch.bool)
        if mb_type is not None:
            wanted = priors.mb_type == mb_type
        batch, total, across = level.shape
        blocks = level.view(batch, total // rows, rows, across // columns, columns)
        for mode, axis in ((vertical, 2), (horizontal, 4)):
            chosen = _grid(wanted, modes, mode, blocks.shape)
            out = torch.where(chosen, blocks.cumsum(axis), out.view(blocks.shape)).view(level.shape)
    return out


def _grid(wanted: Tensor, modes: Tensor, mode: int, shape: torch.Size) -> Tensor:
    """Which blocks are of a wanted macroblock type and predicted in a mode, `[B, r, 1, c, 1]`."""
    batch, rows, _, columns, _ = shape
    step = modes.shape[1] // rows, modes.shape[2] // columns
    block_modes = modes[:, :: max(step[0], 1), :: max(step[1], 1)]
    per = rows // wanted.shape[1], columns // wanted.shape[2]
    of_type = wanted.repeat_interleave(per[0], 1).repeat_interleave(per[1], 2)
    return (of_type & (block_modes == mode)).view(batch, rows, 1, columns, 1)
