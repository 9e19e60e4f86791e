"""The exact projection onto what the bitstream allows, and what each choice of cells costs."""

from .cells import CELLS, CellTable, make_cells
from .h264 import H264Tensors
from .hevc import HevcTensors
from .project import Projector, consistency, project
from .units import PriorsTensors

__all__ = [
    "CELLS",
    "CellTable",
    "H264Tensors",
    "HevcTensors",
    "PriorsTensors",
    "Projector",
    "consistency",
    "make_cells",
    "project",
]
