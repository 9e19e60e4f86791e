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
| `deadzone`   | b, 1 - b; H.264: b = 21/64 intra, 11/64 inter;  | free                 |
|              | HEVC: 171/512 in I slices, 85/512 in others     |                      |
| `signhide`   | 1, 1: dead zone, then sign data hiding          | free                 |
| `trellis`    | 1/2, 3/2: rate-distortion choice of levels      | free                 |
| `rdoq`       | 1, 3/2: such a choice, then sign data hiding    | free                 |
| `auto`       | the last four, as the encoder's text says       |                      |
| `calibrated` | quantiles of training data, per class           | their own class      |

Sign data hiding (HEVC) moves one level of a group by one where the parity of their sum is not that
of the hidden sign, and to the side on which the coefficient lies where it can: a level that was
rounded within the dead zone ends less than a step away.

PCM and lossless macroblocks come out as decoded, and so do units whose stored residual is
not what their levels give (those of SP and SI slices): about them nothing is known. Frames with
concealed macroblocks, whose priors are partly invented, are not bound at all.
"""

import dataclasses
import re
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import CELLS
from .units import Maps, PriorsTensors, to_macroblock_rows


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
    "signhide": Rounding((1.0, 1.0), (1.0, 1.0), True),
    "trellis": Rounding((0.5, 0.5), (1.5, 1.5), True),
    "rdoq": Rounding((1.0, 1.0), (1.5, 1.5), True),
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
    """Cells of one plane; tensors are `[B, Hp, Wp]` in the order of units."""

    maps: Maps
    """Between levels and residual."""
    offset: Tensor
    """P + E_int: the decoder's samples before clipping and deblocking."""
    low: Tensor
    """Least change from the decoder's residual, in steps."""
    high: Tensor
    """Greatest change."""
    peak: int
    """Greatest sample value, 2^depth - 1."""


@dataclasses.dataclass(frozen=True)
class Cells:
    """Cells of all planes of `B` frames."""

    name: str
    """One of `CELLS`; for `auto` the one that was chosen."""
    planes: tuple[PlaneCells, ...]
    field: Tensor | None
    """bool `[B, H/16, W/16]`: field macroblocks; None where there are none."""


def cell_from_encoder(
    encoder: str, *, unknown: str = "trellis"
) -> tuple[str, tuple[int, int] | None]:
    """Which cell an encoder's description of itself calls for.

    Args:
        encoder: The attribute `encoder` of a priors file: what x264 and x265 write into their
            streams.
        unknown: The cell where it says nothing of its rounding.

    Returns:
        A cell, and x264's dead zones (inter, intra) in 64ths, of 32; None: those that are usual
        with the codec.

    >>> cell_from_encoder("x264 - core 164 - options: trellis=0 deadzone=21,11 nr=0")
    ('deadzone', (21, 11))
    >>> cell_from_encoder("x265 (build 209) - options: rdoq-level=0 signhide nr-intra=0 nr-inter=0")
    ('signhide', None)
    >>> cell_from_encoder("")[0]
    'trellis'
    """
    words = encoder.split()
    found = dict(re.findall(r"(\S+)=([-\w,.]+)", encoder))
    if "x265" in encoder and found.get("rdoq-level", "").isdigit():
        if any(found.get(name, "0") != "0" for name in ("nr-intra", "nr-inter")):
            return "rdoq", None
        cells = ("deadzone", "signhide") if found["rdoq-level"] == "0" else ("trellis", "rdoq")
        return cells[0 if "no-signhide" in words else 1], None
    zones = re.fullmatch(r"(\d+),(\d+)", found.get("deadzone", ""))
    plain = "x264" in encoder and found.get("trellis") == "0" and found.get("nr", "0") == "0"
    if not (plain and zones and all(int(zone) <= 32 for zone in zones.groups())):
        return unknown, None
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
        ValueError: No such cell, or no table for `calibrated`, or one of another codec.
    """
    if name not in CELLS:
        raise ValueError(f"cell {name!r}: expected one of {', '.join(CELLS)}")
    zones = None
    if name == "auto":
        name, zones = cell_from_encoder(encoder, unknown=priors.UNKNOWN)
    if name == "calibrated" and table is None:
        raise ValueError("calibrated cells need a table; checkpoints trained with them hold one")
    field = priors.fields
    if name == "none":
        return Cells(name, (), field)
    with torch.no_grad():
        planes = tuple(
            _plane_cells(priors, plane, name, zones, table, dtype)
            for plane in range(len(priors.level))
        )
    return Cells(name, planes, field)


def rounding_of(
    name: str,
    plane: int,
    zones: tuple[int, int] | None = None,
    *,
    bias: tuple[float, float] = (11 / 64, 21 / 64),
) -> Rounding:
    """The rounding a cell assumes.

    Args:
        name: One of `CELLS`.
        plane: 0 Y, 1 Cb, 2 Cr.
        zones: Luma's dead zones, inter and intra, in 64ths subtracted from a half; None: usual.
        bias: What encoders of the codec usually add before they cut, inter and intra, in steps.

    Raises:
        ValueError: No such cell, or one that assumes none (`none`, `auto`, `calibrated`).
    """
    if name == "deadzone":
        if zones is not None and plane == 0:
            bias = (32 - zones[0]) / 64, (32 - zones[1]) / 64
        inter, intra = bias
        return Rounding((intra, inter), (1 - intra, 1 - inter), True)
    if name not in _ROUNDINGS:
        known = ", ".join(("deadzone", *_ROUNDINGS))
        raise ValueError(f"cell {name!r} assumes no rounding; those that do: {known}")
    return _ROUNDINGS[name]


def decoded_exactly(priors: PriorsTensors, plane: int, maps: Maps, rounding: Tensor) -> Tensor:
    """Mask `[B, Hp, Wp]` of units that come out as decoded, whatever the cell.

    Args:
        priors: Priors of `B` frames.
        plane: 0 Y, 1 Cb, 2 Cr.
        maps: Of the plane.
        rounding: What `maps.rounding` says of the stored residual.
    """
    return priors.lossless(plane) | maps.whole(rounding.abs() > priors.ROUNDING)


def _plane_cells(
    priors: PriorsTensors,
    plane: int,
    name: str,
    zones: tuple[int, int] | None,
    table: CellTable | None,
    dtype: torch.dtype,
) -> PlaneCells:
    maps = priors.maps(plane, dtype=dtype)
    level = priors.level[plane].to(dtype)
    residual = to_macroblock_rows(priors.residual[plane], priors.fields).to(dtype)
    prediction = to_macroblock_rows(priors.prediction[plane], priors.fields).to(dtype)
    rounding = maps.rounding(priors.level[plane], priors.residual[plane])
    below, above = _sides(priors, plane, name, zones, table, dtype)
    zero = level == 0
    low = -torch.where(level > 0, below, above)
    high = torch.where((level < 0) & ~zero, below, above)
    # Bounds are on the change from the decoder's residual, which is off by its own rounding.
    shift = maps.level(rounding)
    exact = decoded_exactly(priors, plane, maps, rounding) | ((low == 0) & (high == 0))
    low, high = ((bound - shift).masked_fill(exact, 0.0) for bound in (low, high))
    if priors.concealed is not None:
        invented = priors.concealed[:, None, None]
        low = low.masked_fill(invented, -torch.inf)
        high = high.masked_fill(invented, torch.inf)
    return PlaneCells(maps, prediction + residual, low, high, (1 << priors.depth(plane)) - 1)


def _sides(
    priors: PriorsTensors,
    plane: int,
    name: str,
    zones: tuple[int, int] | None,
    table: CellTable | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """`below` and `above` of every coefficient, `[B, Hp, Wp]`."""
    if name == "calibrated" and table is not None:
        if len(table.below) != len(priors.GROUPS):
            raise ValueError("the calibrated cells are those of another codec")
        index = priors.class_index(plane)
        return tuple(t.to(index.device, dtype).flatten()[index] for t in (table.below, table.above))  # type: ignore[return-value]
    rounding = rounding_of(name, plane, zones, bias=priors.BIAS)
    inter = priors.rounded_as_inter(plane)
    sides = [torch.where(inter, side[1], side[0]).to(dtype) for side in rounding[:2]]
    if rounding.free:
        free = ~priors.coded(plane)
        sides = [side.masked_fill(free, torch.inf) for side in sides]
    return sides[0], sides[1]
