"""Calibrated cells: how far the truth lies from the levels, measured on training data.

    calibration = Calibration()
    for priors, source in training_frames:
        calibration.add(priors, source)
    table = calibration.table(tail=0.001)     # kept in the checkpoint: table.tensors()

or `fit_cells(loader)`.

A class is a kind of transform (`PriorsTensors.GROUPS`), intra or inter block or a unit without
levels, zero or nonzero level, and a frequency. Per class the errors are counted in a histogram, so
that memory does not grow with the data, and the table holds the quantiles that leave a share `tail`
of the coefficients outside.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ...data.sample import Sample
from .cells import CellTable, decoded_exactly
from .units import PriorsTensors, to_macroblock_rows

LIMIT = 4.0  # steps: errors beyond it are counted together, and a quantile there is no bound
PER_STEP = 64  # bins in a step
BINS = int(2 * LIMIT * PER_STEP)
ENOUGH = 10  # errors expected in a tail, for its quantile to mean anything


class Calibration:
    """Histograms of level errors per class."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._shape = (0, 0, 0, 0)
        self._counts = torch.zeros(0, BINS + 2, dtype=torch.int64)

    def add(self, priors: PriorsTensors, source: Sequence[Tensor]) -> None:
        """Count the errors of some frames.

        Args:
            priors: Of `B` frames.
            source: What was encoded: integer planes `[B, Hp, Wp]` of coded size, display rows.

        Raises:
            ValueError: Frames of another codec than those before.
        """
        if not len(self._counts):
            self._shape = priors.classes()
            self._counts = torch.zeros(math.prod(self._shape), BINS + 2, dtype=torch.int64)
        if self._shape != priors.classes():
            raise ValueError("cells are calibrated for one codec, and these are frames of two")
        for plane, samples in enumerate(source):
            error, known = level_errors(priors, plane, samples)
            bins = ((error + LIMIT) * PER_STEP).floor().clamp(-1, BINS).long() + 1
            index = priors.class_index(plane) * (BINS + 2) + bins
            count = torch.bincount(index[known].flatten(), minlength=self._counts.numel())
            self._counts += count.view_as(self._counts).cpu()

    def table(self, tail: float = 0.001) -> CellTable:
        """Cells that leave a share `tail` of each class outside, half of it on each side.

        A class seen too seldom takes the quantiles of all frequencies together, and where they are
        too few as well it is not bound. A bound includes the level itself.

        Raises:
            ValueError: `tail` is not between 0 and 1, or nothing was counted.
        """
        if not 0 < tail < 1:
            raise ValueError(f"tail {tail}: expected between 0 and 1")
        if not len(self._counts):
            raise ValueError("there is nothing to calibrate cells on")
        counts = self._counts.view(*self._shape, BINS + 2)
        pooled = counts.sum(3, keepdim=True)
        wanted = torch.tensor([tail, tail / 2])[:, None]  # zeros have one tail, |true| being bound
        below, above = (_quantiles(counts, wanted, upper) for upper in (False, True))
        for found, upper in ((below, False), (above, True)):
            few = counts.sum(-1) * tail < ENOUGH
            found[few] = _quantiles(pooled, wanted, upper).expand(self._shape)[few]
            found[(pooled.sum(-1) * tail < ENOUGH).expand(self._shape)] = torch.inf
        below[:, :, 0] = above[:, :, 0]
        return CellTable(below.float(), above.float())


def fit_cells(samples: Iterable[Sample], *, tail: float = 0.001) -> CellTable:
    """Calibrated cells of samples that hold their source, such as a training loader gives.

    Args:
        samples: With `clean`, prediction, residual, level and all maps.
        tail: Share of each class to leave outside.

    Raises:
        ValueError: A sample lacks what is needed, or `tail` is out of range.
    """
    calibration = Calibration()
    for sample in samples:
        priors = PriorsTensors.from_sample(sample)
        if sample.clean is None:
            raise ValueError("calibration needs the source, which was not read")
        clean = [plane.reshape(-1, *plane.shape[-2:]) for plane in sample.clean]
        calibration.add(priors, clean[: len(priors.level)])
    return calibration.table(tail)


def level_errors(
    priors: PriorsTensors, plane: int, source: Tensor, *, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """How far the source's coefficients lie from the levels.

    Args:
        priors: Of `B` frames.
        plane: 0 Y, 1 Cb, 2 Cr.
        source: Integer samples `[B, Hp, Wp]` of coded size, display rows.
        dtype: What to compute in.

    Returns:
        `[B, Hp, Wp]` in the order of units, steps: `sign(c) * (true - c)`, `|true|` where c = 0;
        and a mask of the coefficients about which levels say something.
    """
    maps = priors.maps(plane, dtype=dtype)
    stored, prediction = (group[plane].to(dtype) for group in (priors.residual, priors.prediction))
    missing = to_macroblock_rows(source.to(dtype) - prediction - stored, priors.fields)
    rounding = maps.rounding(priors.level[plane], priors.residual[plane])
    error = maps.level(missing + rounding)
    level = priors.level[plane]
    error = torch.where(level == 0, error.abs(), error * level.sign())
    return error, ~decoded_exactly(priors, plane, maps, rounding)


def _quantiles(counts: Tensor, tail: Tensor, upper: bool) -> Tensor:
    """Distance from the level, at least 0, beyond which a share `tail` lies on one side.

    Args:
        counts: `[..., 2, F, bins]`, zero and nonzero levels apart.
        tail: `[2, 1]`.
        upper: Which side.
    """
    ordered = counts.flip(-1) if upper else counts
    reached = ordered.cumsum(-1) > (tail * counts.sum(-1))[..., None]
    first = reached.to(torch.int8).argmax(-1)  # bin in which the tail is used up, from outside
    bound = LIMIT - (first - 1).double() / PER_STEP
    return torch.where(first == 0, torch.inf, bound.clamp(min=0.0))
