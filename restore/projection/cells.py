"""Quantisation cells: what the encoder's rounding leaves possible for each coefficient.

A level `c` says that the encoder's coefficient, in steps, lay in some interval around `c`. With
`e = sign(c) * (true - c)` every cell here is `-below <= e <= above` for levels that are not 0 and
`|true| <= above` for those that are. What differs is `below`, `above` and whether units without
any level, which an encoder may have emptied whatever was in them, are bound at all:

| cell         | below, above                                    | units without levels |
|--------------|-------------------------------------------------|----------------------|
| `none`       | nothing is bound                                |                      |
| `paper`      | 1/2, 1/2: rounding to nearest                   | bound                |
| `coded`      | 1/2, 1/2                                        | free                 |
| `deadzone`   | b, 1 - b; b = 21/64 intra, 11/64 inter          | free                 |
| `trellis`    | 1/2, 3/2: rate-distortion choice of levels      | free                 |
| `auto`       | `deadzone` or `trellis`, as the encoder's text says |                  |
| `calibrated` | quantiles of training data, per class           | their own class      |

I_PCM and lossless macroblocks come out as decoded, and so do macroblocks whose stored residual is
not what their levels give (those of SP and SI slices): about them nothing is known. Frames with
concealed macroblocks, whose priors are partly invented, are not bound at all.
"""

import dataclasses
import re
from typing import NamedTuple

import torch
from torch import Tensor

from ...bitstream.priors.schema import LAST_INTRA, TuType
from ..config import CELLS
from .transforms import UnitMaps, dc_places, spread
from .units import PriorsTensors, to_macroblock_rows

GROUPS = ("4x4", "8x8", "16x16", "chroma")  # transforms; DC of the last two is frequency 0
MODES = ("intra", "inter", "uncoded")
FREQUENCIES = 64  # raster place in the transform block; 4x4 blocks use the first 16

# x264: --deadzone-inter 21 and --deadzone-intra 11 are subtracted from 32 to give 64ths of a step.
DEADZONE = (21, 11)
# The most that clause 8.5's rounding can move a sample (final shift 1/2, scaling and the 8x8
# transform's inner shifts the rest); beyond it levels and residual are not of one kind.
ROUNDING = 2.0


class Rounding(NamedTuple):
    """What is assumed of an encoder's rounding, in steps."""

    below: tuple[float, float]
    """Of intra and of inter macroblocks."""
    above: tuple[float, float]
    free: bool
    """Whether units without levels are unbound."""


_ROUNDINGS = {  # deadzone's depends on the encoder's settings, see rounding_of
    "paper": Rounding((0.5, 0.5), (0.5, 0.5), False),
    "coded": Rounding((0.5, 0.5), (0.5, 0.5), True),
    "trellis": Rounding((0.5, 0.5), (1.5, 1.5), True),
}


@dataclasses.dataclass(frozen=True)
class CellTable:
    """Calibrated cells: `below` and `above` per class, float32 `[groups, modes, 2, 64]`."""

    below: Tensor
    above: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"cell.below": self.below, "cell.above": self.above}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "CellTable | None":
        """From a checkpoint's tensors; None where it has no such table."""
        if "cell.below" not in tensors:
            return None
        return cls(tensors["cell.below"], tensors["cell.above"])


@dataclasses.dataclass(frozen=True)
class PlaneCells:
    """Cells of one plane; tensors are `[B, Hp, Wp]` in macroblock order."""

    maps: UnitMaps
    """Between levels and residual."""
    offset: Tensor
    """P + E_int: the decoder's samples before clipping and deblocking."""
    low: Tensor
    """Least change from the decoder's residual, in steps."""
    high: Tensor
    """Greatest change."""
    peak: int
    """Greatest sample value, 2^depth - 1."""
    macroblock: tuple[int, int]
    """Its height and width in samples of this plane."""


@dataclasses.dataclass(frozen=True)
class Cells:
    """Cells of all planes of `B` frames."""

    name: str
    """One of `CELLS`; for `auto` the one that was chosen."""
    planes: tuple[PlaneCells, ...]
    field: Tensor | None
    """bool `[B, H/16, W/16]`: field macroblocks; None where there are none."""


def cell_from_encoder(encoder: str) -> tuple[str, tuple[int, int]]:
    """Which cell an encoder's description of itself calls for.

    Args:
        encoder: The attribute `encoder` of a priors file: what x264 writes into its streams.

    Returns:
        `deadzone` or `trellis`, and the dead zones (inter, intra) in 64ths, of 32.

    >>> cell_from_encoder("x264 - core 164 - options: trellis=0 deadzone=21,11 nr=0")
    ('deadzone', (21, 11))
    >>> cell_from_encoder("")[0]
    'trellis'
    """
    found = dict(re.findall(r"(\w+)=([-\w,.]+)", encoder))
    zones = re.fullmatch(r"(\d+),(\d+)", found.get("deadzone", ""))
    plain = "x264" in encoder and found.get("trellis") == "0" and found.get("nr", "0") == "0"
    if not (plain and zones and all(int(zone) <= 32 for zone in zones.groups())):
        return "trellis", DEADZONE
    return "deadzone", (int(zones[1]), int(zones[2]))


def make_cells(
    priors: PriorsTensors,
    name: str,
    *,
    encoder: str = "",
    table: CellTable | None = None,
    dtype: torch.dtype = torch.float32,
) -> Cells:
    """Work out the cells of some frames.

    Args:
        priors: Priors of `B` frames.
        name: One of `CELLS`.
        encoder: The attribute `encoder` of their file; for `auto`.
        table: For `calibrated`.
        dtype: What the projection computes in, float32 or float64.

    Raises:
        ValueError: No such cell, or no table for `calibrated`.
    """
    if name not in CELLS:
        raise ValueError(f"cell {name!r}: expected one of {', '.join(CELLS)}")
    zones = DEADZONE
    if name == "auto":
        name, zones = cell_from_encoder(encoder)
    if name == "calibrated" and table is None:
        raise ValueError("calibrated cells need a table; checkpoints trained with them hold one")
    field = priors.field if bool(priors.field.any()) else None
    if name == "none":
        return Cells(name, (), field)
    with torch.no_grad():
        planes = tuple(
            _plane_cells(priors, plane, name, zones, table, field, dtype)
            for plane in range(len(priors.level))
        )
    return Cells(name, planes, field)


def rounding_of(name: str, plane: int, zones: tuple[int, int] = DEADZONE) -> Rounding:
    """The rounding a cell assumes; `zones` are luma's, x264's chroma always has the default.

    Raises:
        ValueError: No such cell, or one that assumes none (`none`, `auto`, `calibrated`).
    """
    if name == "deadzone":
        inter, intra = zones if plane == 0 else DEADZONE
        below = (32 - intra) / 64, (32 - inter) / 64
        return Rounding(below, (1 - below[0], 1 - below[1]), True)
    if name not in _ROUNDINGS:
        known = ", ".join(("deadzone", *_ROUNDINGS))
        raise ValueError(f"cell {name!r} assumes no rounding; those that do: {known}")
    return _ROUNDINGS[name]


def coded_units(priors: PriorsTensors, plane: int) -> Tensor:
    """Mask `[B, Hp, Wp]` of the coefficients of units that hold a level.

    A unit is what an encoder drops as one: 8x8 luma samples, the AC coefficients of Intra16x16,
    and of chroma the DC and the AC coefficients of a macroblock's plane. Intra16x16 DC is never
    dropped.
    """
    used = priors.level[plane] != 0
    height, width = priors.macroblock(plane)
    if priors.like_luma(plane):
        coded = spread(_any(used, 8, 8), used.shape)
        staged = priors.transform()[:, ::4, ::4] == TuType.INTRA16X16
        if not bool(staged.any()):
            return coded
    else:
        coded = torch.zeros_like(used)
        staged = torch.ones_like(priors.mb_type, dtype=torch.bool)
    alternating = used.clone()
    dc_places(alternating, priors, plane).fill_(False)
    in_stages = spread(_any(alternating, height, width), used.shape).clone()
    dc = dc_places(used, priors, plane).any(4).any(2) | torch.tensor(priors.like_luma(plane))
    dc_places(in_stages, priors, plane).copy_(dc[:, :, None, :, None])
    return torch.where(spread(staged, used.shape), in_stages, coded)


def class_index(priors: PriorsTensors, plane: int) -> Tensor:
    """int64 `[B, Hp, Wp]`: place of each coefficient in the flattened `CellTable`."""
    level = priors.level[plane]
    _, height, width = level.shape
    mode = torch.where(spread(priors.mb_type > LAST_INTRA, level.shape), 1, 0)
    mode = torch.where(coded_units(priors, plane), mode, 2)
    rows = torch.arange(height, device=level.device)[:, None]
    columns = torch.arange(width, device=level.device)
    frequency = (rows % 4 * 4 + columns % 4).expand(level.shape)
    if priors.like_luma(plane):
        transform = spread(priors.transform(), level.shape)
        eight = transform == TuType.TU_8X8
        frequency = torch.where(eight, rows % 8 * 8 + columns % 8, frequency)
        group = eight + 2 * (transform == TuType.INTRA16X16).long()
    else:
        group = torch.full_like(frequency, GROUPS.index("chroma"))
    return ((group * len(MODES) + mode) * 2 + (level != 0)) * FREQUENCIES + frequency


def decoded_exactly(priors: PriorsTensors, plane: int, error: Tensor) -> Tensor:
    """Mask `[B, Hp, Wp]` of macroblocks that come out as decoded, whatever the cell.

    Args:
        priors: Priors of `B` frames.
        plane: 0 Y, 1 Cb, 2 Cr.
        error: `[B, Hp, Wp]`: stored residual less that of the levels, in samples.
    """
    height, width = priors.macroblock(plane)
    fixed = priors.bypassed() | (priors.transform()[:, ::4, ::4] == TuType.PCM)
    return spread(fixed | _any(error.abs() > ROUNDING, height, width), error.shape)


def _plane_cells(
    priors: PriorsTensors,
    plane: int,
    name: str,
    zones: tuple[int, int],
    table: CellTable | None,
    field: Tensor | None,
    dtype: torch.dtype,
) -> PlaneCells:
    maps = UnitMaps(priors, plane, dtype=dtype)
    level = priors.level[plane].to(dtype)
    residual = to_macroblock_rows(priors.residual[plane], field).to(dtype)
    prediction = to_macroblock_rows(priors.prediction[plane], field).to(dtype)
    error = residual - maps.residual(level)
    below, above = _sides(priors, plane, name, zones, table, dtype)
    zero = level == 0
    low = -torch.where(level > 0, below, above)
    high = torch.where((level < 0) & ~zero, below, above)
    # Bounds are on the change from the decoder's residual, which is off by its own rounding.
    shift = maps.level(error)
    exact = decoded_exactly(priors, plane, error) | ((low == 0) & (high == 0))
    low, high = ((bound - shift).masked_fill(exact, 0.0) for bound in (low, high))
    if priors.concealed is not None:
        invented = priors.concealed[:, None, None]
        low = low.masked_fill(invented, -torch.inf)
        high = high.masked_fill(invented, torch.inf)
    peak = (1 << priors.depth(plane)) - 1
    return PlaneCells(maps, prediction + residual, low, high, peak, priors.macroblock(plane))


def _sides(
    priors: PriorsTensors,
    plane: int,
    name: str,
    zones: tuple[int, int],
    table: CellTable | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """`below` and `above` of every coefficient, `[B, Hp, Wp]`."""
    shape = priors.level[plane].shape
    if name == "calibrated" and table is not None:
        index = class_index(priors, plane)
        return tuple(t.to(index.device, dtype).flatten()[index] for t in (table.below, table.above))  # type: ignore[return-value]
    rounding = rounding_of(name, plane, zones)
    inter = spread(priors.mb_type > LAST_INTRA, shape)
    sides = [torch.where(inter, side[1], side[0]).to(dtype) for side in rounding[:2]]
    if rounding.free:
        free = ~coded_units(priors, plane)
        sides = [side.masked_fill(free, torch.inf) for side in sides]
    return sides[0], sides[1]


def _any(flags: Tensor, height: int, width: int) -> Tensor:
    """Whether any flag is set in each block of a plane."""
    batch, rows, columns = flags.shape
    return flags.view(batch, rows // height, height, columns // width, width).any(4).any(2)
