"""The units of HEVC as rectangles, out of maps that have their sizes at every 4x4 block."""

from collections.abc import Iterator

import numpy as np

from ..priors.hevc import PartMode

_SIZES = range(2, 7)  # log2 of sides, 4 to 64

# Rectangles of prediction units in quarters of the coding block: x, y, width, height (Table 7-10).
PARTS = {
    PartMode.PART_2Nx2N: [(0, 0, 4, 4)],
    PartMode.PART_2NxN: [(0, 0, 4, 2), (0, 2, 4, 2)],
    PartMode.PART_Nx2N: [(0, 0, 2, 4), (2, 0, 2, 4)],
    PartMode.PART_NxN: [(0, 0, 2, 2), (2, 0, 2, 2), (0, 2, 2, 2), (2, 2, 2, 2)],
    PartMode.PART_2NxnU: [(0, 0, 4, 1), (0, 1, 4, 3)],
    PartMode.PART_2NxnD: [(0, 0, 4, 3), (0, 3, 4, 1)],
    PartMode.PART_nLx2N: [(0, 0, 1, 4), (1, 0, 3, 4)],
    PartMode.PART_nRx2N: [(0, 0, 3, 4), (3, 0, 1, 4)],
}


def units(size: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Square units: row and column of the first luma sample, and side.

    Args:
        size: `[H/4, W/4]`, log2 of the side; units lie at multiples of it, 0 is none.
    """
    for log2 in _SIZES:
        step = 1 << (log2 - 2)
        for row, column in np.argwhere(size[::step, ::step] == log2).tolist():
            yield row << log2, column << log2, 1 << log2


def parts(size: np.ndarray, part: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Prediction units: row and column of the first luma sample, width and height.

    Args:
        size: `cu/size`, `[H/4, W/4]`.
        part: `cu/part`, likewise.
    """
    for top, left, side in units(size):
        for x, y, width, height in PARTS[PartMode(int(part[top // 4, left // 4]))]:
            quarter = side // 4
            yield top + y * quarter, left + x * quarter, width * quarter, height * quarter
