"""Priors of HEVC frames for the projection: transform blocks of every plane and how they are coded.

A transform block of chroma is that of the luma block at its place, halved with the chroma format;
those of 4x4 luma blocks in 4:2:0 and 4:2:2 are 4 samples wide and belong to four of them. Where a
coding unit has no transform tree, its own size takes the place of the transform block's, 32 at
most, since no transform is larger.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ...bitstream.priors.hevc import KIND, CuMode, TuKind
from ...bitstream.priors.schema import PLANES, PictureType
from .hevc_transforms import (
    LEVEL_SCALE,
    SIZES,
    BlockMaps,
    Blocks,
    diagonal,
    integer_residual,
)
from .units import (
    FLAT,
    FREQUENCIES,
    MODES,
    Maps,
    PlaneTensors,
    PriorsTensors,
    sent_lists,
    spread,
)

MOST_QP = 51 + 6 * 8  # Qp of any plane, QpBdOffset added


@dataclasses.dataclass(frozen=True, kw_only=True)
class HevcTensors(PriorsTensors):
    """Priors of `B` frames of HEVC; maps have a value per 4x4 luma samples."""

    SAMPLE: ClassVar[dict[str, str]] = {
        "cu_size": "cu/size", "cu_mode": "cu/mode", "cu_bypass": "cu/bypass",
        "tu_size": "tu/size", "tu_kind": "tu/kind",
        "tu_kind_cb": "tu/kind_cb", "tu_kind_cr": "tu/kind_cr",
        "res_scale_cb": "tu/res_scale_cb", "res_scale_cr": "tu/res_scale_cr",
        "qp_y": "qp/y", "qp_cb": "qp/cb", "qp_cr": "qp/cr",
        "scaling4x4": "scaling4x4", "scaling8x8": "scaling8x8", "scaling_dc": "scaling_dc",
        "picture_type": "frames/picture_type",
    }  # fmt: skip
    MARK: ClassVar[str] = "cu/size"
    LISTS: ClassVar[tuple[str, ...]] = ("scaling4x4", "scaling8x8", "scaling_dc")
    GROUPS: ClassVar[tuple[str, ...]] = ("dst", "4x4", "8x8", "16x16", "32x32", "skip", "chroma")
    # HM and x265 add 171/512 of a step in I slices and 85/512 in others.
    BIAS: ClassVar[tuple[float, float]] = (85 / 512, 171 / 512)
    UNKNOWN: ClassVar[str] = "rdoq"
    # At most 1/2 by the last shift and, at 12 bits, 3.7 by the one between the stages.
    ROUNDING: ClassVar[float] = 4.5

    cu_size: Tensor
    """uint8 `[B, H/4, W/4]`: log2 of the coding block's side."""
    cu_mode: Tensor
    """uint8 `[B, H/4, W/4]`."""
    cu_bypass: Tensor
    """bool `[B, H/4, W/4]`: cu_transquant_bypass_flag."""
    tu_size: Tensor
    """uint8 `[B, H/4, W/4]`: log2 of the luma transform block's side, 0 without a tree."""
    tu_kind: PlaneTensors
    """uint8 `[B, H/4, W/4]` per plane: what makes the residual, `TuKind`."""
    qp: PlaneTensors
    """int8 `[B, H/4, W/4]` per plane."""
    res_scale: PlaneTensors = ()
    """int8 `[B, H/4, W/4]` of Cb and of Cr: ResScaleVal; empty but in 4:4:4."""
    scaling4x4: Tensor
    """uint8 `[B, 6, 16]`: scaling lists Intra Y Cb Cr, Inter Y Cb Cr, up-right diagonal."""
    scaling8x8: Tensor
    """uint8 `[B, 3, 6, 64]`: the same of 8x8, 16x16 and 32x32 blocks."""
    scaling_dc: Tensor
    """uint8 `[B, 2, 6]`: the DC entries of 16x16 and 32x32 blocks."""
    picture_type: Tensor
    """uint8 `[B]`."""

    @classmethod
    def needed(cls, planes: Sequence[str]) -> list[str]:
        """The datasets without which there is no projection of these planes."""
        names = ["cu/size", "cu/mode", "cu/bypass", "tu/size", "tu/kind", "frames/picture_type"]
        names += [f"tu/kind_{name}" for name in planes[1:]]
        return names + [f"qp/{name}" for name in planes]

    @classmethod
    def maps_of(cls, found: Mapping[str, Tensor], planes: Sequence[str]) -> dict[str, object]:
        """The fields of the codec, out of datasets by name.

        Raises:
            ValueError: A scaling list holds 0.
        """
        size = found["cu/size"]
        lists = {}
        for name, shape in zip(cls.LISTS, ((6, 16), (3, 6, 64), (2, 6)), strict=True):
            flat = torch.full((1, *shape), FLAT, dtype=torch.uint8, device=size.device)
            lists[name] = sent_lists(found, name, flat.expand(len(size), *shape))
            lists[name] = lists[name].reshape(len(size), *shape)  # samples hold matrices, flat
        scales = [f"tu/res_scale_{name}" for name in planes[1:]]
        return {
            "cu_size": size,
            "cu_mode": found["cu/mode"],
            "cu_bypass": found["cu/bypass"] != 0,
            "tu_size": found["tu/size"],
            "tu_kind": tuple(
                found["tu/kind" if name == "y" else f"tu/kind_{name}"] for name in planes
            ),
            "qp": tuple(found[f"qp/{name}"] for name in planes),
            "res_scale": tuple(found[name] for name in scales if name in found),
            "picture_type": found["frames/picture_type"].flatten(),
            **lists,
        }

    def __post_init__(self) -> None:
        """Check that the shapes belong together."""
        super().__post_init__()
        batch, height, width = self.level[0].shape
        if height % 8 or width % 8:
            raise ValueError(f"a luma plane of {width}x{height}: expected multiples of 8")
        maps = {
            name: getattr(self, name) for name in ("cu_size", "cu_mode", "cu_bypass", "tu_size")
        }
        for kind in ("tu_kind", "qp"):
            maps |= {f"{kind}_{n}": m for n, m in zip(PLANES, getattr(self, kind), strict=False)}
        maps |= {f"res_scale_{n}": m for n, m in zip(PLANES[1:], self.res_scale, strict=False)}
        for name, grid in maps.items():
            if grid.shape != (batch, height // 4, width // 4):
                raise ValueError(
                    f"{name} has shape {tuple(grid.shape)} beside a luma plane of "
                    f"shape {(batch, height, width)}"
                )
        if not len(self.level) == len(self.qp) == len(self.tu_kind):
            raise ValueError("level, qp and tu_kind differ in their number of planes")

    def like_luma(self, plane: int) -> bool:
        """Whether a plane has luma's size."""
        return self.steps(plane) == (1, 1)

    def at(self, plane: int, grid: Tensor) -> Tensor:
        """A map as one of a value per 4x4 samples of a plane."""
        rows, columns = self.steps(plane)
        return grid[:, ::rows, ::columns]

    def sizes(self, plane: int) -> Tensor:
        """uint8 map of a plane's own 4x4 blocks: log2 of the transform block's side, 2 to 5."""
        size = torch.where(self.tu_size > 0, self.tu_size, self.cu_size)
        if not self.like_luma(plane):
            size = size.clamp(min=3) - 1
        return self.at(plane, size).clamp(2, 5)

    @functools.cached_property
    def _blocks(self) -> dict[int, tuple[Blocks, ...]]:
        return {}

    def blocks(self, plane: int) -> tuple[Blocks, ...]:
        """All transform blocks of a plane, those of a size together."""
        if plane not in self._blocks:
            found = [self._of_size(plane, size) for size in SIZES]
            self._blocks[plane] = tuple(group for group in found if len(group.places))
        return self._blocks[plane]

    def maps(self, plane: int, *, dtype: torch.dtype = torch.float32) -> Maps:
        """The linear maps of a plane (0 Y, 1 Cb, 2 Cr); `dtype` is what they compute in."""
        return BlockMaps(self, plane, dtype=dtype)

    def integer_residual(self, plane: int) -> Tensor:
        """The decoder's residual by the standard's integer arithmetic, int32."""
        return integer_residual(self, plane)

    def lossless(self, plane: int) -> Tensor:
        """Mask `[B, Hp, Wp]` of PCM and of cu_transquant_bypass_flag."""
        fixed = self.cu_bypass | (self.cu_mode == CuMode.PCM)
        return spread(self.at(plane, fixed), self.level[plane].shape)

    def rounded_as_inter(self, plane: int) -> Tensor:
        """Mask `[B, Hp, Wp]` of where encoders round as they do inter blocks: not in I slices."""
        inter = self.picture_type != PictureType.I
        return inter[:, None, None].expand(self.level[plane].shape)

    def coded(self, plane: int) -> Tensor:
        """Mask `[B, Hp, Wp]` of the coefficients of transform blocks that hold a level."""
        return BlockMaps(self, plane).whole(self.level[plane] != 0)

    def class_index(self, plane: int) -> Tensor:
        """int64 `[B, Hp, Wp]`: place of each coefficient in the flattened `CellTable`."""
        level = self.level[plane]
        _, height, width = level.shape
        mode = torch.where(self.cu_mode >= CuMode.INTRA, 0, 1)
        mode = spread(self.at(plane, mode), level.shape)
        mode = torch.where(self.coded(plane), mode, MODES.index("uncoded"))
        size = self.sizes(plane).long()
        kind = self.at(plane, self.tu_kind[plane]) & KIND
        group = torch.where(kind == TuKind.DST, 0, size - 1)
        group = torch.where(kind >= TuKind.SKIP, self.GROUPS.index("skip"), group)
        if plane:
            group = torch.full_like(group, self.GROUPS.index("chroma"))
        # Places of large blocks are those of an 8x8 one, as in scaling lists.
        size = spread(size, level.shape)
        rows = torch.arange(height, device=level.device)[:, None] % (1 << size)
        columns = torch.arange(width, device=level.device) % (1 << size)
        coarse = (size - 3).clamp(min=0)
        side = (1 << size).clamp(max=8)
        frequency = (rows >> coarse) * side + (columns >> coarse)
        group = spread(group, level.shape)
        return ((group * len(MODES) + mode) * 2 + (level != 0)) * FREQUENCIES + frequency

    def _of_size(self, plane: int, size: int) -> Blocks:
        def of_blocks(grid: Tensor) -> Tensor:
            """The value of a map at the first sample of every block of this size."""
            cells = F.pad(grid, (0, -grid.shape[2] % 8, 0, -grid.shape[1] % 8))
            return cells[:, :: size // 4, :: size // 4]

        def chosen(grid: Tensor) -> Tensor:
            return of_blocks(self.at(plane, grid)).flatten()[places][:, None, None]

        sizes = of_blocks(self.sizes(plane))
        places = (sizes.flatten() == size.bit_length() - 1).nonzero()[:, 0]
        kind, intra = chosen(self.tu_kind[plane]), chosen(self.cu_mode) >= CuMode.INTRA
        transform = kind & KIND
        skipped = transform == TuKind.SKIP
        frame = places // max(sizes[0].numel(), 1)
        factor = self._factors(plane, size)[frame, torch.where(intra, 0, 1).flatten()]
        if size > 4:
            factor = torch.where(skipped, FLAT, factor)
        qp = (chosen(self.qp[plane]).long() + 6 * (self.depth(plane) - 8)).clamp(0, MOST_QP)
        level_scale = torch.tensor(LEVEL_SCALE, device=qp.device)[qp % 6] << (qp // 6)
        dst = intra & (transform < TuKind.SKIP) & (size == 4 and plane == 0)
        return Blocks(
            size=size,
            places=places,
            scale=factor * level_scale,
            dst=dst,
            skipped=skipped,
            bypassed=chosen(self.cu_bypass) | (transform == TuKind.BYPASS),
            turned=kind & TuKind.ROTATED != 0,
            across=kind & TuKind.RDPCM_HORIZONTAL != 0,
            down=kind & TuKind.RDPCM_VERTICAL != 0,
        )

    def _factors(self, plane: int, size: int) -> Tensor:
        """ScalingFactor of intra and of inter blocks of a plane, int64 `[B, 2, n, n]` (7.4.5)."""
        lists = self.scaling4x4
        if size > 4:
            lists = self.scaling8x8[:, size.bit_length() - 4]
        lists = lists[:, [plane, plane + 3]].long()
        side = min(size, 8)
        raster = torch.empty_like(lists)
        raster[:, :, list(diagonal(side))] = lists
        factors = raster.view(len(lists), 2, side, side)
        factors = factors.repeat_interleave(size // side, 2).repeat_interleave(size // side, 3)
        if size > 8:
            factors[:, :, 0, 0] = self.scaling_dc[
                :, size.bit_length() - 5, [plane, plane + 3]
            ].long()
        return factors
