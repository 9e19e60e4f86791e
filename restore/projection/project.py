"""Exact projection of a restored picture onto what its bitstream allows (the CPM).

How to use it, from a `Sample` or from the arrays of a priors file:

    priors = PriorsTensors.from_file(file, range(8))          # or .from_sample, .from_arrays
    cells = make_cells(priors, "auto", encoder=file.attrs["encoder"])      # without gradient
    y, cb, cr = project((y, cb, cr), cells)                   # gradients pass
    share = consistency((y, cb, cr), cells)                   # [B], 0: no contradiction

or as the last step of a network, `network.projector = Projector("paper")`.

Planes are the codec's own, coded size, float `[B, Hp, Wp]` in [0, 1] (sample / peak), display rows.
`project` neither clips to [0, 1] nor rounds: that is left to the caller.

**Derivation.** The decoder made its picture (before deblocking) as `P + E_int`, where `E_int` is
clause 8.5 of the levels `c`, with the standard's integer rounding. Let `T` be the linear map that
8.5 rounds and `dual` its exact inverse (`UnitMaps`). The picture Y~ that a network offers has the
residual `E~ = Y~ - P`. Its coefficients, measured in steps from the levels, are

    delta = dual(E~) - c = dual(E~ - E_int) + dual(E_int - T c)

and the bitstream says `delta` lies in the cell [low, high] (see `cells.py`). The second term is
the decoder's rounding, known and fixed. So the change from the decoder's own residual,
`u = dual(E~ - E_int)`, has to lie in `[low - rho, high - rho]` with `rho = dual(E_int - T c)`, and

    project(Y~) = P + E_int + T clamp(u, low - rho, high - rho)

A cell of no width stands for the decoder's own value: `u = 0`, which gives `P + E_int` exactly.

**Why it is a projection.** `dual` is the inverse of `T`, so the result's own `u` is the clamped
one: it lies in the cell, and projecting again changes nothing. A macroblock, or a transform block
of HEVC, in which no coefficient is clamped is returned untouched, bit for bit. The gradient is that
of the clamp: it passes where a coefficient lies in its cell and is 0 where it was cut.

Source:
    DAVD-Net, 3.4 (the constrained projection); Rec. ITU-T H.264, 8.5.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...data.sample import Planes, Sample
from .cells import CELLS, Cells, CellTable, PlaneCells, make_cells
from .units import PriorsTensors, to_display_rows, to_macroblock_rows

__all__ = [
    "CELLS",
    "CellTable",
    "Cells",
    "PriorsTensors",
    "Projector",
    "consistency",
    "make_cells",
    "outside",
    "project",
]


def project(planes: Sequence[Tensor], cells: Cells) -> tuple[Tensor, ...]:
    """Bring every coefficient of a picture into its cell.

    Args:
        planes: Y, Cb, Cr of `B` frames, each float `[B, Hp, Wp]` in [0, 1]; Y alone for 4:0:0, or
            to leave chroma out.
        cells: Of the same frames.

    Returns:
        The planes, in the cells' floating-point type; values may leave [0, 1].
    """
    if cells.name == "none":
        return tuple(planes)
    return tuple(
        _project(plane, of_plane, cells.field)
        for plane, of_plane in zip(planes, cells.planes, strict=False)
    )


def consistency(planes: Sequence[Tensor], cells: Cells, *, slack: float = 1 / 64) -> Tensor:
    """Share of the coefficients of a picture that the bitstream contradicts.

    Args:
        planes: As for `project`.
        cells: Of the same frames; `none` contradicts nothing.
        slack: How far, in samples, each sample may be from where it was meant to be: the default
            covers float32 arithmetic; 0.5 is for planes that were rounded to integers.

    Returns:
        float64 `[B]`: coefficients outside their cell over all coefficients of the planes.
    """
    share = torch.zeros(planes[0].shape[0], dtype=torch.float64, device=planes[0].device)
    masks = outside(planes, cells, slack=slack)
    for mask in masks:
        share += mask.sum((1, 2))
    return share / max(sum(mask[0].numel() for mask in masks), 1)


def outside(planes: Sequence[Tensor], cells: Cells, *, slack: float = 1 / 64) -> list[Tensor]:
    """Which coefficients lie outside their cell: masks `[B, Hp, Wp]` in the order of units.

    Arguments are those of `consistency`.
    """
    masks = []
    for plane, of_plane in zip(planes, cells.planes, strict=False):
        change = of_plane.maps.level(_change(plane, of_plane, cells.field)[1])
        room = slack * of_plane.maps.reach()
        masks.append((change < of_plane.low - room) | (change > of_plane.high + room))
    return masks


class Projector:
    """The projection as a step of a network: restored planes and their sample in, planes out."""

    def __init__(self, cell: str, *, encoder: str = "", table: CellTable | None = None) -> None:
        """Choose the cell.

        Args:
            cell: One of `CELLS`.
            encoder: What the encoder says of itself; for `auto`.
            table: For `calibrated`.
        """
        self.cell, self.encoder, self.table = cell, encoder, table

    def __call__(self, planes: Planes, sample: Sample) -> Planes:
        """Project `[..., H, W]` planes in [0, 1] of exactly the frames of a sample."""
        priors = PriorsTensors.from_sample(sample)
        cells = make_cells(priors, self.cell, encoder=self.encoder, table=self.table)
        count = len(priors.level)  # 4:0:0 has no chroma to project
        flat = [plane.reshape(-1, *plane.shape[-2:]) for plane in planes[:count]]
        done = [new.view(old.shape) for new, old in zip(project(flat, cells), planes, strict=False)]
        return Planes(*done, *planes[count:])


def _project(plane: Tensor, cells: PlaneCells, field: Tensor | None) -> Tensor:
    samples, difference = _change(plane, cells, field)
    change = cells.maps.level(difference)
    kept = torch.clamp(change, cells.low, cells.high)
    projected = (cells.offset + cells.maps.residual(kept)) / cells.peak
    out = torch.where(cells.maps.whole(kept != change), projected, samples)
    return to_display_rows(out, field)


def _change(plane: Tensor, cells: PlaneCells, field: Tensor | None) -> tuple[Tensor, Tensor]:
    """A plane in the order of units, and E~ - E_int in samples."""
    samples = to_macroblock_rows(plane, field).to(cells.offset.dtype).contiguous()
    return samples, samples * cells.peak - cells.offset
