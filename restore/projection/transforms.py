"""Clause 8.5 of Rec. ITU-T H.264 in torch: from transform coefficient levels to the residual.

Twice, over the same scale factors:

- `integer_residual` is the standard's integer arithmetic with every rounding in its place. It
  gives the decoder's residual bit for bit.
- `UnitMaps` are the linear maps that this arithmetic rounds, in real numbers: `residual` from
  levels to samples, and its exact inverse `level`, the dual. Both are differentiable.

Whole batches of planes are worked on at once; which transform is in force where is a matter of
masks. Planes are `[B, Hp, Wp]` in macroblock order inside this module, unless said otherwise.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...bitstream.priors.schema import LAST_INTRA, TuType
from .lossless import accumulated
from .units import any_of, spread, to_display_rows, to_macroblock_rows

if TYPE_CHECKING:
    from .h264 import H264Tensors

# normAdjust4x4(m, i, j), 8.5.9, per m = qP % 6: places with i and j even, both odd, the others
NORM_4X4 = ((10, 16, 13), (11, 18, 14), (13, 20, 16), (14, 23, 18), (16, 25, 20), (18, 29, 23))
# normAdjust8x8(m, i, j), 8.5.9, its six classes of places in the order of the standard
NORM_8X8 = (
    (20, 18, 32, 19, 25, 24), (22, 19, 35, 21, 28, 26), (26, 23, 42, 24, 33, 31),
    (28, 25, 45, 26, 35, 33), (32, 28, 51, 30, 40, 38), (36, 32, 58, 34, 46, 43),
)  # fmt: skip

# Rows are the basis functions of 8.5.12.2 and 8.5.13.
CORE_4X4 = ((1.0, 1.0, 1.0, 1.0), (1.0, 0.5, -0.5, -1.0), (1.0, -1.0, -1.0, 1.0),
            (0.5, -1.0, 1.0, -0.5))  # fmt: skip
CORE_8X8_EIGHTHS = (
    (8, 8, 8, 8, 8, 8, 8, 8), (12, 10, 6, 3, -3, -6, -10, -12), (8, 4, -4, -8, -8, -4, 4, 8),
    (10, -3, -12, -6, 6, 12, 3, -10), (8, -8, -8, 8, 8, -8, -8, 8),
    (6, -12, 3, 10, -10, -3, 12, -6), (4, -8, 8, -4, -4, 8, -8, 4),
    (3, -6, 10, -12, 12, -10, 6, -3),
)  # fmt: skip
# The second stage, of the DC coefficients: 8.5.10 and 8.5.11.1.
HADAMARD = {
    2: ((1, 1), (1, -1)),
    4: ((1, 1, 1, 1), (1, 1, -1, -1), (1, -1, -1, 1), (1, -1, 1, -1)),
}


@functools.cache
def zigzag(size: int) -> tuple[int, ...]:
    """Raster index of each place of the zig-zag scan of a block (8.5.6, 8.5.7).

    >>> zigzag(4)[:6]
    (0, 1, 4, 8, 5, 2)
    """
    places = []
    for diagonal in range(2 * size - 1):
        rows = range(max(0, diagonal - size + 1), min(diagonal, size - 1) + 1)
        for row in rows if diagonal % 2 else reversed(rows):
            places.append(row * size + diagonal - row)
    return tuple(places)


@functools.cache
def norm_adjust(size: int) -> tuple[tuple[int, ...], ...]:
    """normAdjust4x4 or normAdjust8x8 of 8.5.9, for each qP % 6: a block in raster order."""

    def kind(i: int, j: int) -> int:
        if size == 4:
            return 0 if i % 2 == j % 2 == 0 else 1 if i % 2 == j % 2 == 1 else 2
        if i % 2 != j % 2:
            return 3 if (i if j % 2 else j) % 4 == 0 else 5
        return 1 if i % 2 else 0 if i % 4 == j % 4 == 0 else 2 if i % 4 == j % 4 else 4

    kinds = [kind(i, j) for i in range(size) for j in range(size)]
    return tuple(tuple(row[k] for k in kinds) for row in (NORM_4X4 if size == 4 else NORM_8X8))


@functools.cache
def core(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The matrices `A`, `B` of `A d A^T`, the real-valued inverse transform, and of its inverse."""
    with torch.inference_mode(False):  # they are kept, and may be used with gradients later
        rows = torch.tensor(CORE_4X4 if size == 4 else CORE_8X8_EIGHTHS, dtype=torch.float64)
        rows = rows if size == 4 else rows / 8
        inverse, forward = rows.T / 8, 8 * rows / (rows * rows).sum(1, keepdim=True)
        return inverse.to(device, dtype), forward.to(device, dtype)


@dataclasses.dataclass(frozen=True)
class UnitScales:
    """Scale factors of one plane, as integers still to be shifted right.

    The shifts of 8.5.12.1 are to the left for large qP and to the right, rounding, for small. Both
    are one: scaled to the left by `qP / 6` first, then rounded to the right by a constant.
    """

    ac: Tensor
    """int32 `[B, Hp, Wp]`: LevelScale(qP % 6, i, j) << (qP / 6), of the transform in force."""
    ac_shift: Tensor | int
    """What follows: 4 for 4x4, 6 for 8x8 transforms; int32 `[B, Hp, Wp]` where both occur."""
    dc: Tensor | None
    """int32 `[B, h, w]`: likewise for DC coefficients with a second stage."""
    dc_shift: int
    """What follows: 6, and for 4:2:0 chroma 5, which does not round."""
    eight: Tensor | None
    """bool `[B, Hp, Wp]`: 8x8 transforms; None where there are none."""
    staged: Tensor | None
    """bool `[B, h, w]`: macroblocks with a second stage; None where there are none."""

    @classmethod
    def of(cls, priors: "H264Tensors", plane: int) -> "UnitScales":
        """Work out the scale factors of a plane (8.5.9, 8.5.10, 8.5.11.2, 8.5.12.1)."""
        height, width = priors.macroblock(plane)
        qp = (priors.qp[plane].to(torch.int32) + 6 * (priors.depth(plane) - 8)).clamp(min=0)
        inter = (priors.mb_type > LAST_INTRA).long()
        small = _level_scale(priors.scaling4x4, plane + 3 * inter, qp)
        ac, eight = _tile(small, height, width), None
        shift: Tensor | int = 4
        dc = small[..., 0, 0]
        if not priors.like_luma(plane):
            if height == 16:  # 4:2:2 codes its DC coefficients with QP'c + 3 (8.5.11.2)
                dc = _level_scale(priors.scaling4x4, plane + 3 * inter, qp + 3)[..., 0, 0]
            staged = torch.ones_like(inter, dtype=torch.bool)
            return cls(ac, shift, dc, 5 if height == 8 else 6, None, staged)
        transform = priors.transform()
        if bool((transform == TuType.TU_8X8).any()):
            eight = spread(transform == TuType.TU_8X8, ac.shape)
            large = _tile(_level_scale(priors.scaling8x8, 2 * plane + inter, qp), height, width)
            ac = torch.where(eight, large, ac)
            shift = 4 + 2 * eight.to(torch.int32)
        staged = transform[:, ::4, ::4] == TuType.INTRA16X16
        return cls(ac, shift, dc, 6, eight, staged if bool(staged.any()) else None)


def integer_residual(priors: "H264Tensors", plane: int) -> Tensor:
    """The decoder's residual of a plane, by the standard's integer arithmetic.

    Lossless macroblocks with horizontal or vertical intra prediction add up their residual
    (8.5.15); that is done where the priors hold the intra prediction modes.

    Args:
        priors: Priors of `B` frames.
        plane: 0 Y, 1 Cb, 2 Cr.

    Returns:
        int32 `[B, Hp, Wp]` in display rows, before clipping.

    Source:
        8.5.2 to 8.5.15.
    """
    scales = UnitScales.of(priors, plane)
    level = priors.level[plane].long()
    rounding = 1 << (scales.ac_shift - 1)
    d = (level * scales.ac + rounding) >> scales.ac_shift
    if scales.staged is not None and scales.dc is not None:
        f = _second_stage(dc_places(level, priors, plane).double()).long() * _dc_shape(scales.dc)
        dc = (f + (32 if scales.dc_shift == 6 else 0)) >> scales.dc_shift
        places = dc_places(d, priors, plane)
        places.copy_(torch.where(_dc_shape(scales.staged), dc, places))
    residual = (_both_ways(d, 4, _inverse_4) + 32) >> 6
    if scales.eight is not None:
        residual = torch.where(scales.eight, (_both_ways(d, 8, _inverse_8) + 32) >> 6, residual)
    bypassed = priors.bypassed()
    if bool(bypassed.any()):
        lossless = accumulated(level, priors, plane)
        residual = torch.where(spread(bypassed, residual.shape), lossless, residual)
    return to_display_rows(residual.to(torch.int32), priors.fields)


class UnitMaps:
    """The linear maps between levels and residual of one plane, and what they need.

    With `c` the levels of a transform unit and `step` their scale, `residual` is
    `C^T (c * step) C / 64`, the DC coefficients of Intra16x16 and chroma macroblocks having gone
    through their Hadamard transform first; `level` is the inverse of exactly that.
    """

    def __init__(
        self, priors: "H264Tensors", plane: int, *, dtype: torch.dtype = torch.float32
    ) -> None:
        """Prepare the maps of a plane (0 Y, 1 Cb, 2 Cr); `dtype` is what they compute in."""
        scales = UnitScales.of(priors, plane)
        self.dtype = dtype
        self._priors, self._plane = priors, plane
        self._eight, self._staged = scales.eight, scales.staged
        self.step = scales.ac.to(dtype) / (1 << scales.ac_shift)
        """`[B, Hp, Wp]`: size of one level, in scaled coefficients d."""
        if scales.staged is not None and scales.dc is not None:
            places = dc_places(self.step, priors, plane)
            dc = scales.dc.to(dtype) / (1 << scales.dc_shift)
            places.copy_(torch.where(_dc_shape(scales.staged), _dc_shape(dc), places))
        cores = {size: core(size, dtype, self.step.device) for size in (4, 8)}
        self._inverse = {size: both[0] for size, both in cores.items()}
        self._forward = {size: both[1] for size, both in cores.items()}

    def residual(self, level: Tensor) -> Tensor:
        """Residual of levels that need not be integers, `[B, Hp, Wp]` to `[B, Hp, Wp]`."""
        with full_precision(level.device):
            return self._apply(self._stage(level * self.step, inverse=False), self._inverse)

    def level(self, residual: Tensor) -> Tensor:
        """The levels that give a residual: the exact inverse of `residual`."""
        with full_precision(residual.device):
            d = self._apply(residual, self._forward)
            return self._stage(d, inverse=True) / self.step

    def rounding(self, level: Tensor, stored: Tensor) -> Tensor:
        """What a stored residual, in display rows, has beside that of its levels, in samples."""
        stored = to_macroblock_rows(stored, self._priors.fields).to(self.dtype)
        return stored - self.residual(level.to(self.dtype))

    def whole(self, flags: Tensor) -> Tensor:
        """Mask of the macroblocks with a flag in them."""
        return spread(any_of(flags, *self._priors.macroblock(self._plane)), flags.shape)

    def reach(self) -> Tensor:
        """`[B, Hp, Wp]`: how far a level can move when every sample moves by at most one."""
        sizes = {n: m.abs().sum(1) for n, m in self._forward.items()}
        tile = {n: torch.outer(v, v).repeat(4 // (n // 4), 4 // (n // 4)) for n, v in sizes.items()}
        batch, height, width = self.step.shape
        reach = tile[4][:4, :4].repeat(height // 4, width // 4).expand(batch, -1, -1)
        if self._eight is not None:
            reach = torch.where(self._eight, tile[8][:8, :8].repeat(height // 8, width // 8), reach)
        # The inverse Hadamard transform is a mean of +- the blocks' DC: its reach is theirs.
        return reach / self.step

    def _apply(self, plane: Tensor, matrices: dict[int, Tensor]) -> Tensor:
        out = _both_sides(plane, matrices[4], matrices[4])
        if self._eight is None:
            return out
        return torch.where(self._eight, _both_sides(plane, matrices[8], matrices[8]), out)

    def _stage(self, d: Tensor, *, inverse: bool) -> Tensor:
        if self._staged is None:
            return d
        d = d.clone()
        places = dc_places(d, self._priors, self._plane)
        dc = _second_stage(places)
        if inverse:
            dc = dc / (places.shape[2] * places.shape[4])
        places.copy_(torch.where(_dc_shape(self._staged), dc, places))
        return d


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No autocast and no TF32 inside: the projection's exactness needs all bits of float32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _level_scale(lists: Tensor, which: Tensor, qp: Tensor) -> Tensor:
    """LevelScale(qP % 6, i, j) << (qP / 6) per macroblock, `[B, h, w, n, n]` (8.5.9)."""
    batch, count, entries = lists.shape
    size = 4 if entries == 16 else 8
    raster = torch.empty(batch, count, entries, dtype=torch.int32, device=lists.device)
    raster[:, :, list(zigzag(size))] = lists.to(torch.int32)
    norm = torch.tensor(norm_adjust(size), dtype=torch.int32, device=lists.device)
    table = (raster[:, :, None] * norm).view(-1, entries)
    remainder, octave = qp % 6, torch.div(qp, 6, rounding_mode="floor")
    frame = torch.arange(batch, device=lists.device).view(-1, 1, 1)
    row = (frame * count + which) * 6 + remainder
    scale = table.index_select(0, row.flatten()).view(*qp.shape, size, size)
    return scale << octave[..., None, None]


def _tile(blocks: Tensor, height: int, width: int) -> Tensor:
    """Repeat a block per macroblock, `[B, h, w, n, n]`, over its macroblock: `[B, Hp, Wp]`."""
    batch, rows, columns, size, _ = blocks.shape
    tiled = blocks.permute(0, 1, 3, 2, 4)[:, :, None, :, :, None]
    tiled = tiled.expand(batch, rows, height // size, size, columns, width // size, size)
    return tiled.reshape(batch, rows * height, columns * width)


def dc_places(plane: Tensor, priors: "H264Tensors", index: int) -> Tensor:
    """View of the DC coefficients of a plane's 4x4 blocks, `[B, h, rows, w, columns]`."""
    height, width = priors.macroblock(index)
    batch, h, w = priors.mb_type.shape
    return plane.view(batch, h, height // 4, 4, w, width // 4, 4)[:, :, :, 0, :, :, 0]


def _dc_shape(grid: Tensor) -> Tensor:
    return grid[:, :, None, :, None]


def _second_stage(dc: Tensor) -> Tensor:
    """Hadamard transform of each macroblock's DC matrix, floating point (8.5.10, 8.5.11.1)."""
    batch, rows, ny, columns, nx = dc.shape
    vertical, horizontal = (
        torch.tensor(HADAMARD[n], dtype=dc.dtype, device=dc.device) for n in (ny, nx)
    )
    flat = dc.reshape(batch, rows * ny, columns * nx)
    return _both_sides(flat, vertical, horizontal).view(dc.shape)


def _both_sides(plane: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """`V X H^T` of every block X of a plane.

    Both products are of one small matrix and one long one, which stays in one thread: batched
    products of tiny matrices are dealt out to all of them, and wait for the slowest.
    """
    batch, height, width = plane.shape
    size = len(vertical)
    strips = plane.reshape(-1, size, width).transpose(0, 1).reshape(size, -1)
    done = torch.mm(torch.mm(vertical, strips).view(-1, len(horizontal)), horizontal.T)
    return done.view(size, -1, width).transpose(0, 1).reshape(batch, height, width)


def _both_ways(plane: Tensor, size: int, one_way: Callable[..., list[Tensor]]) -> Tensor:
    """An integer transform of every block's rows, then of its columns."""
    batch, height, width = plane.shape
    blocks = plane.view(batch, height // size, size, width // size, size)
    rows = torch.stack(one_way(*blocks.unbind(4)), 4)
    return torch.stack(one_way(*rows.unbind(2)), 2).view(batch, height, width)


def _inverse_4(d0: Tensor, d1: Tensor, d2: Tensor, d3: Tensor) -> list[Tensor]:
    """One dimension of 8.5.12.2."""
    e0, e1 = d0 + d2, d0 - d2
    e2, e3 = (d1 >> 1) - d3, d1 + (d3 >> 1)
    return [e0 + e3, e1 + e2, e1 - e2, e0 - e3]


def _inverse_8(*d: Tensor) -> list[Tensor]:
    """One dimension of 8.5.13."""
    a0, a2 = d[0] + d[4], d[0] - d[4]
    a4, a6 = (d[2] >> 1) - d[6], d[2] + (d[6] >> 1)
    a1 = d[5] - d[3] - d[7] - (d[7] >> 1)
    a3 = d[1] + d[7] - d[3] - (d[3] >> 1)
    a5 = d[7] - d[1] + d[5] + (d[5] >> 1)
    a7 = d[3] + d[5] + d[1] + (d[1] >> 1)
    b0, b2, b4, b6 = a0 + a6, a2 + a4, a2 - a4, a0 - a6
    b1, b7 = a1 + (a7 >> 2), a7 - (a1 >> 2)
    b3, b5 = a3 + (a5 >> 2), (a3 >> 2) - a5
    return [b0 + b7, b2 + b5, b4 + b3, b6 + b1, b6 - b1, b4 - b3, b2 - b5, b0 - b7]
