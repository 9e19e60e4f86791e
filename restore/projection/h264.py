"""Priors of H.264 frames for the projection: macroblocks, their transforms and what is coded."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ...bitstream.priors.schema import LAST_INTRA, PLANES, TU_KIND, TuType
from .transforms import UnitMaps, dc_places, integer_residual
from .units import (
    FLAT,
    FREQUENCIES,
    MODES,
    Maps,
    PlaneTensors,
    PriorsTensors,
    any_of,
    sent_lists,
    spread,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class H264Tensors(PriorsTensors):
    """Priors of `B` frames of H.264; maps and levels are in macroblock order."""

    SAMPLE: ClassVar[dict[str, str]] = {
        "tu": "tu/y", "mb_type": "mb/type", "field": "mb/field",
        "qp_y": "mb/qp_y", "qp_cb": "mb/qp_cb", "qp_cr": "mb/qp_cr",
        "scaling4x4": "scaling4x4", "scaling8x8": "scaling8x8",
    }  # fmt: skip
    MARK: ClassVar[str] = "mb/type"
    LISTS: ClassVar[tuple[str, ...]] = ("scaling4x4", "scaling8x8")
    GROUPS: ClassVar[tuple[str, ...]] = ("4x4", "8x8", "16x16", "chroma")
    # x264's --deadzone-inter 21 and --deadzone-intra 11 are subtracted from 32, in 64ths of a step.
    BIAS: ClassVar[tuple[float, float]] = (11 / 64, 21 / 64)
    UNKNOWN: ClassVar[str] = "trellis"
    # Final shift 1/2, scaling and the 8x8 transform's inner shifts the rest.
    ROUNDING: ClassVar[float] = 2.0

    tu: Tensor
    """uint8 `[B, H/4, W/4]`: transform in force, plus 8 where bypassed."""
    mb_type: Tensor
    """uint8 `[B, H/16, W/16]`."""
    qp: PlaneTensors
    """int8 `[B, H/16, W/16]` per plane: QP_Y, and QP_C of Cb and of Cr."""
    field: Tensor
    """bool `[B, H/16, W/16]`: field macroblocks."""
    scaling4x4: Tensor
    """uint8 `[B, 6, 16]`: scaling lists Intra Y Cb Cr, Inter Y Cb Cr, zig-zag order."""
    scaling8x8: Tensor
    """uint8 `[B, 6, 64]`: Intra Y, Inter Y, Intra Cb, Inter Cb, Intra Cr, Inter Cr, zig-zag."""
    intra_luma: Tensor | None = None
    """int8 `[B, H/4, W/4]`: intra prediction modes; for lossless blocks only."""
    intra_chroma: Tensor | None = None
    """int8 `[B, H/16, W/16]`: intra chroma prediction modes; for lossless blocks only."""

    @classmethod
    def needed(cls, planes: Sequence[str]) -> list[str]:
        """The datasets without which there is no projection of these planes."""
        return ["tu/y", "mb/type", *(f"mb/qp_{name}" for name in planes)]

    @classmethod
    def maps_of(cls, found: Mapping[str, Tensor], planes: Sequence[str]) -> dict[str, object]:
        """The fields of the codec, out of datasets by name.

        Raises:
            ValueError: A scaling list holds 0, or field macroblocks without their pair.
        """
        mb_type = found["mb/type"]
        field = found.get("mb/field")
        field = torch.zeros_like(mb_type, dtype=torch.bool) if field is None else field != 0
        if mb_type.shape[1] % 2 and bool(field.any()):
            raise ValueError(
                f"field macroblocks in {mb_type.shape[1]} macroblock rows: expected whole pairs, "
                "crops of interlaced video on a grid of 32 rows"
            )
        lists = {}
        for name, entries in (("scaling4x4", 16), ("scaling8x8", 64)):
            flat = torch.full((1, 6, entries), FLAT, dtype=torch.uint8, device=mb_type.device)
            lists[name] = sent_lists(found, name, flat.expand(len(mb_type), -1, -1))
        return {
            "tu": found["tu/y"],
            "mb_type": mb_type,
            "qp": tuple(found[f"mb/qp_{name}"] for name in planes),
            "field": field,
            "intra_luma": found.get("intra/luma"),
            "intra_chroma": found.get("intra/chroma"),
            **lists,
        }

    def __post_init__(self) -> None:
        """Check that the shapes belong together."""
        super().__post_init__()
        batch, height, width = self.level[0].shape
        if height % 16 or width % 16:
            raise ValueError(f"a luma plane of {width}x{height}: expected multiples of 16")
        grids = {"tu": (self.tu, 4), "mb_type": (self.mb_type, 16), "field": (self.field, 16)}
        grids |= {f"qp_{name}": (q, 16) for name, q in zip(PLANES, self.qp, strict=False)}
        for name, (grid, step) in grids.items():
            if grid.shape != (batch, height // step, width // step):
                raise ValueError(
                    f"{name} has shape {tuple(grid.shape)} beside a luma plane of "
                    f"shape {(batch, height, width)}"
                )
        if len(self.level) != len(self.qp):
            raise ValueError("level and qp differ in their number of planes")

    @property
    def fields(self) -> Tensor | None:
        """Bool `[B, H/16, W/16]`: field macroblocks; None where there are none."""
        return self.field if bool(self.field.any()) else None

    def macroblock(self, plane: int) -> tuple[int, int]:
        """Height and width of a macroblock in samples of a plane: MbHeightC, MbWidthC."""
        rows, columns = self.steps(plane)
        return 16 // rows, 16 // columns

    def like_luma(self, plane: int) -> bool:
        """Whether a plane is transformed as luma is: Y itself, and Cb and Cr of 4:4:4."""
        return self.macroblock(plane) == (16, 16)

    def bypassed(self) -> Tensor:
        """Mask `[B, H/16, W/16]` of lossless macroblocks: TransformBypassModeFlag.

        A macroblock without coded luma says nothing of it. It is lossless when its QP'_Y is 0 and
        another one of its frame is known to be: then qpprime_y_zero_transform_bypass_flag is set.
        """
        named = self.tu[:, ::4, ::4] & TuType.BYPASS != 0
        silent = self.tu[:, ::4, ::4] == TuType.NONE
        lowest = self.qp[0] == -6 * (self.bit_depth[0] - 8)
        return named | (silent & lowest & named.any(2).any(1)[:, None, None])

    def transform(self) -> Tensor:
        """Map `[B, H/4, W/4]` of the transform in force, whether bypassed or not."""
        return self.tu & TU_KIND

    def maps(self, plane: int, *, dtype: torch.dtype = torch.float32) -> Maps:
        """The linear maps of a plane (0 Y, 1 Cb, 2 Cr); `dtype` is what they compute in."""
        return UnitMaps(self, plane, dtype=dtype)

    def integer_residual(self, plane: int) -> Tensor:
        """The decoder's residual by the standard's integer arithmetic, int32, display rows."""
        return integer_residual(self, plane)

    def lossless(self, plane: int) -> Tensor:
        """Mask `[B, Hp, Wp]` of I_PCM and lossless macroblocks."""
        pcm = self.transform()[:, ::4, ::4] == TuType.PCM
        return spread(self.bypassed() | pcm, self.level[plane].shape)

    def rounded_as_inter(self, plane: int) -> Tensor:
        """Mask `[B, Hp, Wp]` of where encoders round as they do inter blocks: in inter blocks."""
        return spread(self.mb_type > LAST_INTRA, self.level[plane].shape)

    def coded(self, plane: int) -> Tensor:
        """Mask `[B, Hp, Wp]` of the coefficients of units that hold a level.

        A unit is what an encoder drops as one: 8x8 luma samples, the AC coefficients of
        Intra16x16, and of chroma the DC and the AC coefficients of a macroblock's plane. Intra16x16
        DC is never dropped.
        """
        used = self.level[plane] != 0
        height, width = self.macroblock(plane)
        if self.like_luma(plane):
            coded = spread(any_of(used, 8, 8), used.shape)
            staged = self.transform()[:, ::4, ::4] == TuType.INTRA16X16
            if not bool(staged.any()):
                return coded
        else:
            coded = torch.zeros_like(used)
            staged = torch.ones_like(self.mb_type, dtype=torch.bool)
        alternating = used.clone()
        dc_places(alternating, self, plane).fill_(False)
        in_stages = spread(any_of(alternating, height, width), used.shape).clone()
        dc = dc_places(used, self, plane).any(4).any(2) | torch.tensor(self.like_luma(plane))
        dc_places(in_stages, self, plane).copy_(dc[:, :, None, :, None])
        return torch.where(spread(staged, used.shape), in_stages, coded)

    def class_index(self, plane: int) -> Tensor:
        """int64 `[B, Hp, Wp]`: place of each coefficient in the flattened `CellTable`."""
        level = self.level[plane]
        _, height, width = level.shape
        mode = torch.where(spread(self.mb_type > LAST_INTRA, level.shape), 1, 0)
        mode = torch.where(self.coded(plane), mode, 2)
        rows = torch.arange(height, device=level.device)[:, None]
        columns = torch.arange(width, device=level.device)
        frequency = (rows % 4 * 4 + columns % 4).expand(level.shape)
        if self.like_luma(plane):
            transform = spread(self.transform(), level.shape)
            eight = transform == TuType.TU_8X8
            frequency = torch.where(eight, rows % 8 * 8 + columns % 8, frequency)
            group = eight + 2 * (transform == TuType.INTRA16X16).long()
        else:
            group = torch.full_like(frequency, self.GROUPS.index("chroma"))
        return ((group * len(MODES) + mode) * 2 + (level != 0)) * FREQUENCIES + frequency
