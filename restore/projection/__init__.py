"""The exact projection onto what the bitstream allows, and what each choice of cells costs."""

from .cells import CELLS, CellTable, make_cells
from .project import Projector, consistency, project
from .units import PriorsTensors

__all__ = [
    "CELLS",
    "CellTable",
    "PriorsTensors",
    "Projector",
    "consistency",
    "make_cells",
    "project",
]
