"""What must hold of the projection, whatever the codec: checks that the tests of both share."""

import torch
from davd.restore.projection import PriorsTensors
from davd.restore.projection.cells import CELLS, Cells, CellTable, make_cells
from davd.restore.projection.project import consistency, project
from hypothesis import strategies as st
from random_priors import random_planes
from torch import Tensor

BOUND = [name for name in CELLS if name != "none"]

seeds = st.integers(0, 2**32 - 1)
cells_of = st.sampled_from(BOUND)
spreads = st.sampled_from([0.1, 3.0, 60.0])


def cells_for(priors: PriorsTensors, name: str, dtype: torch.dtype = torch.float64) -> Cells:
    """Cells by name; `calibrated` is drawn by chance."""
    generator = torch.Generator().manual_seed(1)
    table = CellTable(*(torch.rand(priors.classes(), generator=generator) * 2 for _ in range(2)))
    return make_cells(priors, name, table=table, dtype=dtype)


def decoder_samples(priors: PriorsTensors, dtype: torch.dtype) -> list[Tensor]:
    """The decoder's samples before clipping and filtering, in [0, 1]."""
    return [
        (prediction + residual).to(dtype) / ((1 << priors.depth(plane)) - 1)
        for plane, (prediction, residual) in enumerate(
            zip(priors.prediction, priors.residual, strict=True)
        )
    ]


def assert_idempotent_and_inside(
    priors: PriorsTensors, name: str, seed: int, spread: float, *, slack: float, far: float
) -> None:
    """What is projected is in its cell, give or take `slack`, and stays, give or take `far`."""
    cells = cells_for(priors, name)
    planes = random_planes(priors, seed, spread=spread, dtype=torch.float64)
    once = project(planes, cells)
    assert (consistency(once, cells, slack=slack) == 0).all()
    for first, second in zip(once, project(once, cells), strict=True):
        torch.testing.assert_close(second, first, rtol=0, atol=far)


def assert_identity_inside(priors: PriorsTensors, name: str, seed: int) -> None:
    """Pictures in their cells come out bit for bit."""
    cells = cells_for(priors, name)
    generator = torch.Generator().manual_seed(seed)
    planes = []
    for of_plane in cells.planes:
        low, high = of_plane.low.clone(), of_plane.high.clone()
        low[low.isinf()], high[high.isinf()] = -9.0, 9.0
        place = 0.02 + 0.96 * torch.rand(low.shape, generator=generator, dtype=torch.float64)
        change = of_plane.maps.residual(low + place * (high - low))
        fixed = of_plane.maps.whole((low == 0) & (high == 0))
        planes.append((of_plane.offset + change.masked_fill(fixed, 0)) / of_plane.peak)
    for plane, projected in zip(planes, project(planes, cells), strict=True):
        assert torch.equal(projected, plane)


def assert_no_width_is_the_decoder(priors: PriorsTensors, seed: int, spread: float) -> None:
    """Cells of no width give the decoder's samples exactly."""
    nothing = CellTable(*(torch.zeros(priors.classes()) for _ in range(2)))
    cells = make_cells(priors, "calibrated", table=nothing)
    planes = random_planes(priors, seed, spread=spread)
    wanted = decoder_samples(priors, torch.float32)
    for got, want in zip(project(planes, cells), wanted, strict=True):
        assert torch.equal(got, want)
