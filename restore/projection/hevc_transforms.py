"""Clause 8.6 of Rec. ITU-T H.265 in torch: from transform coefficient levels to the residual.

As `transforms` does for H.264: `integer_residual` with every rounding in its place, and
`BlockMaps`, the linear maps that it rounds and their exact inverses.

Transform blocks of a plane are gathered by size, worked on together, and put back. The matrices of
8.6.4.2 are integers near those of the DCT and DST: their rows are orthogonal to within half a
percent only, and the dual is their inverse, not their transpose.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from .transforms import full_precision

if TYPE_CHECKING:
    from .hevc import HevcTensors

LEVEL_SCALE = (40, 45, 51, 57, 64, 72)  # levelScale of 8.6.4.1, by qP % 6
SIZES = (4, 8, 16, 32)  # nTbS
LARGEST = max(SIZES)
FIRST_STAGE = 7  # shift after the transform of columns, 8.6.4.2
COEFF_MIN, COEFF_MAX = -(1 << 15), (1 << 15) - 1
# First column of the 32x32 transMatrix of 8.6.4.2. All its entries are one of these, or less one.
FIRST_COLUMN = (
    64, 90, 90, 90, 89, 88, 87, 85, 83, 82, 80, 78, 75, 73, 70, 67,
    64, 61, 57, 54, 50, 46, 43, 38, 36, 31, 25, 22, 18, 13, 9, 4,
)  # fmt: skip
DST = ((29, 55, 74, 84), (74, 74, 0, -74), (84, -29, -74, 55), (55, -84, 74, -29))


@functools.cache
def trans_matrix(size: int) -> tuple[tuple[int, ...], ...]:
    """TransMatrix for blocks of a size; rows are basis functions.

    Entry (k, j) stands for 64 sqrt(2) cos(pi k (2j + 1) / 2n), and what cosines have in common the
    entries have: those of one angle but for its sign and quarter are one number.

    >>> trans_matrix(4)[1]
    (83, 36, -36, -83)
    """
    rows = []
    for k in range(0, LARGEST, LARGEST // size):
        angles = [k * (2 * j + 1) % 128 for j in range(size)]  # in 64ths of pi
        folded = [min(angle, 128 - angle) for angle in angles]
        rows.append(tuple(FIRST_COLUMN[a] if a < 32 else -FIRST_COLUMN[64 - a] for a in folded))
    return tuple(rows)


@functools.cache
def diagonal(size: int) -> tuple[int, ...]:
    """Raster index of each place of the up-right diagonal scan of a block (6.5.3).

    >>> diagonal(4)[:6]
    (0, 4, 1, 8, 5, 2)
    """
    places = []
    for line in range(2 * size - 1):
        columns = range(max(0, line - size + 1), min(line, size - 1) + 1)
        places += [(line - column) * size + column for column in columns]
    return tuple(places)


@functools.cache
def cores(size: int, dst: bool, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """TransMatrix transposed over 64, with which columns are transformed back, and its inverse."""
    with torch.inference_mode(False):  # they are kept, and may be used with gradients later
        rows = torch.tensor(DST if dst else trans_matrix(size), dtype=torch.float64) / 64
        return rows.T.contiguous().to(device, dtype), torch.linalg.inv(rows.T).to(device, dtype)


@dataclasses.dataclass(frozen=True)
class Blocks:
    """All transform blocks of one size of a plane; `K` of them, `n` samples a side."""

    size: int
    places: Tensor
    """int64 `[K]`: which of the plane's blocks of this size, all counted row by row."""
    scale: Tensor
    """int64 `[K, n, n]`: m * levelScale[qP % 6] << (qP / 6), of (8-309)."""
    dst: Tensor
    """bool `[K, 1, 1]`: DST instead of DCT."""
    skipped: Tensor
    """bool `[K, 1, 1]`: transform_skip_flag."""
    bypassed: Tensor
    """bool `[K, 1, 1]`: cu_transquant_bypass_flag."""
    turned: Tensor
    """bool `[K, 1, 1]`: levels are rotated by 180 degrees."""
    across: Tensor
    """bool `[K, 1, 1]`: RDPCM along rows."""
    down: Tensor
    """bool `[K, 1, 1]`: RDPCM along columns."""

    def rotated(self, blocks: Tensor) -> Tensor:
        """Those that are to be rotated."""
        if not bool(self.turned.any()):
            return blocks
        return torch.where(self.turned, blocks.flip(1, 2), blocks)

    def accumulated(self, blocks: Tensor) -> Tensor:
        """8.6.8: each sample added to the one after it, where that is done."""
        for flags, axis in ((self.across, 2), (self.down, 1)):
            if bool(flags.any()):
                blocks = torch.where(flags, blocks.cumsum(axis), blocks)
        return blocks

    def parted(self, blocks: Tensor) -> Tensor:
        """Undo `accumulated`."""
        for flags, axis in ((self.across, 2), (self.down, 1)):
            if bool(flags.any()):
                before = F.pad(blocks, (1, 0, 0, 0) if axis == 2 else (0, 0, 1, 0))
                before = before.narrow(axis, 0, self.size)
                blocks = torch.where(flags, blocks - before, blocks)
        return blocks


def gathered(plane: Tensor, size: int) -> Tensor:
    """All blocks of a size that a plane has, its edge filled up with zeros: `[*, n, n]`."""
    plane = _padded(plane)
    batch, height, width = plane.shape
    blocks = plane.view(batch, height // size, size, width // size, size)
    return blocks.transpose(2, 3).reshape(-1, size, size)


def by_blocks(
    plane: Tensor, groups: tuple[Blocks, ...], function: Callable[[Blocks, Tensor], Tensor]
) -> Tensor:
    """A plane of what a function makes of its transform blocks, `[K, n, n]` of a size at a time."""
    batch, height, width = plane.shape
    padded = _padded(plane)
    out: Tensor | None = None
    for group in groups:
        size = group.size
        made = function(group, gathered(padded, size)[group.places])
        if out is None:
            out = padded.new_zeros(padded.shape, dtype=made.dtype)
        rows, columns = padded.shape[1] // size, padded.shape[2] // size
        whole = made.new_zeros(batch * rows * columns, size, size)
        whole = whole.index_copy(0, group.places, made)
        whole = whole.view(batch, rows, columns, size, size).transpose(2, 3)
        out = (
            out + whole.reshape(padded.shape)
            if made.dtype != torch.bool
            else (out | whole.reshape(padded.shape))
        )
    assert out is not None
    return out[:, :height, :width]


def integer_residual(priors: "HevcTensors", plane: int) -> Tensor:
    """The decoder's residual of a plane, by the standard's integer arithmetic.

    Args:
        priors: Priors of `B` frames.
        plane: 0 Y, 1 Cb, 2 Cr.

    Returns:
        int32 `[B, Hp, Wp]`, before clipping.

    Source:
        8.6.2, 8.6.4 to 8.6.8; without extended_precision_processing_flag.
    """
    depth = priors.depth(plane)

    def made(group: Blocks, level: Tensor) -> Tensor:
        shift = depth + group.size.bit_length() - 1 - 5
        d = (level * group.scale + (1 << (shift - 1))) >> shift
        d = d.clamp(COEFF_MIN, COEFF_MAX)
        last = 20 - depth
        residual = _inverse(d, group, last)
        skip = (group.rotated(d) << (4 + group.size.bit_length())) + (1 << (last - 1)) >> last
        residual = torch.where(group.skipped, skip, residual)
        residual = torch.where(group.bypassed, group.rotated(level), residual)
        return group.accumulated(residual)

    residual = by_blocks(priors.level[plane].long(), priors.blocks(plane), made)
    if plane and priors.res_scale:
        residual = residual + cross_component(priors, plane, integer_residual(priors, 0))
    return residual.to(torch.int32)


def _inverse(d: Tensor, group: Blocks, last: int) -> Tensor:
    """8.6.4.2 of scaled coefficients; in float64, which holds all sums exactly."""
    kinds = [False, True] if bool(group.dst.any()) else [False]
    found = []
    for dst in kinds:
        rows = torch.tensor(
            DST if dst else trans_matrix(group.size), dtype=torch.float64, device=d.device
        )
        e = _left(rows.T, d.double()).long()
        g = ((e + (1 << (FIRST_STAGE - 1))) >> FIRST_STAGE).clamp(COEFF_MIN, COEFF_MAX)
        r = _right(g.double(), rows).long()
        found.append((r + (1 << (last - 1))) >> last)
    return found[0] if len(found) == 1 else torch.where(group.dst, found[1], found[0])


def cross_component(priors: "HevcTensors", plane: int, luma: Tensor) -> Tensor:
    """What a residual of chroma takes from that of luma, int64 `[B, Hp, Wp]` (7.4.9.12, 8.6.6)."""
    depth_y, depth_c = priors.bit_depth
    scale = priors.res_scale[plane - 1].long().repeat_interleave(4, 1).repeat_interleave(4, 2)
    return (scale * ((luma.long() << depth_c) >> depth_y)) >> 3


class BlockMaps:
    """The linear maps between levels and residual of one plane of HEVC, and what they need.

    With `c` the levels of a transform block, `M` its transMatrix and `step` the scale of 8.6.4.1,
    `residual` is `M^T (c * step) M` over 2^(27 - depth), and `level` the inverse of exactly that.
    Where the transform is skipped both only scale. RDPCM is no part of them: an encoder that uses
    it codes each sample from the decoded one before, so that its rounding is that of each sample.
    """

    def __init__(
        self, priors: "HevcTensors", plane: int, *, dtype: torch.dtype = torch.float32
    ) -> None:
        """Prepare the maps of a plane (0 Y, 1 Cb, 2 Cr); `dtype` is what they compute in."""
        self.dtype = dtype
        self._priors, self._plane = priors, plane
        self._groups = priors.blocks(plane)
        depth = priors.depth(plane)
        self._steps = {}
        for group in self._groups:
            log2 = group.size.bit_length() - 1
            step = group.scale.to(dtype) / 2 ** (depth + log2 - 5)  # levels to coefficients d
            transformed = step / 2 ** (15 - depth)  # and what remains of 2^(27 - depth) with M / 64
            plain = step * 2.0 ** (5 + log2 - (20 - depth))
            step = torch.where(group.skipped, plain, transformed)
            self._steps[group.size] = torch.where(group.bypassed, 1.0, step)

    def residual(self, level: Tensor) -> Tensor:
        """Residual of levels that need not be integers, `[B, Hp, Wp]` to `[B, Hp, Wp]`."""

        def made(group: Blocks, blocks: Tensor) -> Tensor:
            d = blocks * self._steps[group.size]
            out = self._transformed(d, group, 0)
            return self._plain(group, group.rotated(d), out)

        with full_precision(level.device):
            return by_blocks(level, self._groups, made)

    def level(self, residual: Tensor) -> Tensor:
        """The levels that give a residual: the exact inverse of `residual`."""

        def made(group: Blocks, blocks: Tensor) -> Tensor:
            d = self._plain(group, group.rotated(blocks), self._transformed(blocks, group, 1))
            return d / self._steps[group.size]

        with full_precision(residual.device):
            return by_blocks(residual, self._groups, made)

    def rounding(self, level: Tensor, stored: Tensor) -> Tensor:
        """What a stored residual has beside that of its levels, in samples, before RDPCM."""
        if self._plane and self._priors.res_scale:
            luma = self._priors.residual[0]
            stored = stored - cross_component(self._priors, self._plane, luma)
        parted = by_blocks(stored.to(self.dtype), self._groups, Blocks.parted)
        return parted - self.residual(level.to(self.dtype))

    def reach(self) -> Tensor:
        """`[B, Hp, Wp]`: how far a level can move when every sample moves by at most one."""

        def made(group: Blocks, blocks: Tensor) -> Tensor:
            sides = {dst: self._core(group.size, dst)[1].abs().sum(1) for dst in (False, True)
                     if not dst or group.size == 4}  # fmt: skip
            reach = torch.outer(sides[False], sides[False]).expand_as(blocks)
            if group.size == 4:
                reach = torch.where(group.dst, torch.outer(sides[True], sides[True]), reach)
            return self._plain(group, torch.ones_like(reach), reach) / self._steps[group.size]

        shape = self._priors.level[self._plane].shape
        plane = torch.zeros(shape, dtype=self.dtype, device=self._priors.level[0].device)
        return by_blocks(plane, self._groups, made)

    def whole(self, flags: Tensor) -> Tensor:
        """Mask of the transform blocks with a flag in them."""
        return by_blocks(
            flags, self._groups, lambda _, b: b.flatten(1).any(1)[:, None, None].expand_as(b)
        )

    def _core(self, size: int, dst: bool) -> tuple[Tensor, Tensor]:
        return cores(size, dst, self.dtype, self._priors.level[0].device)

    def _transformed(self, blocks: Tensor, group: Blocks, which: int) -> Tensor:
        core = self._core(group.size, False)[which]
        out = _right(_left(core, blocks), core.T)
        if group.size == 4 and bool(group.dst.any()):
            core = self._core(4, True)[which]
            out = torch.where(group.dst, _right(_left(core, blocks), core.T), out)
        return out

    @staticmethod
    def _plain(group: Blocks, plain: Tensor, transformed: Tensor) -> Tensor:
        """One where the transform is skipped or bypassed, the other elsewhere."""
        return torch.where(group.skipped | group.bypassed, plain, transformed)


def _padded(plane: Tensor) -> Tensor:
    height, width = plane.shape[1:]
    if height % LARGEST == 0 == width % LARGEST:
        return plane
    return F.pad(plane, (0, -width % LARGEST, 0, -height % LARGEST))


def _left(matrix: Tensor, blocks: Tensor) -> Tensor:
    """`M X` of every block X: one product of a small matrix and a long one, in one thread."""
    count, size, _ = blocks.shape
    columns = blocks.transpose(0, 1).reshape(size, -1)
    return torch.mm(matrix, columns).view(size, count, size).transpose(0, 1)


def _right(blocks: Tensor, matrix: Tensor) -> Tensor:
    """`X M` of every block X."""
    return torch.mm(blocks.reshape(-1, len(matrix)), matrix).view(blocks.shape)
