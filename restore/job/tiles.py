"""Parts of a picture that are restored one by one, with a result equal to the whole.

    region (what is to be restored) -> tiles: `inner` covers the region once,
                                              `outer` is larger by the network's margin

A network sees `outer` and only `inner` of what it gives is kept. The margin is at least the reach
of its convolutions and its alignment, and every edge lies on the macroblock grid, so that what is
kept does not depend on where the tiles were cut.
"""

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor

from ...data.sample import Planes, Sample

GRID = (32, 16)  # rows of a macroblock pair, columns of a macroblock: luma samples


class Box(NamedTuple):
    """A rectangle in luma samples of the coded picture."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """Row after the last."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """Column after the last."""
        return self.left + self.width

    def grown(self, rows: int, columns: int, size: tuple[int, int]) -> "Box":
        """The box larger on every side, inside a picture of `size` (height, width)."""
        top, left = max(self.top - rows, 0), max(self.left - columns, 0)
        bottom, right = min(self.bottom + rows, size[0]), min(self.right + columns, size[1])
        return Box(top, left, max(bottom - top, 0), max(right - left, 0))

    def on_grid(self, size: tuple[int, int], grid: tuple[int, int] = GRID) -> "Box":
        """The smallest box on a grid that holds this one's inside, in a picture of `size`."""
        top, left = (max(n, 0) // step * step for n, step in zip(self[:2], grid, strict=True))
        bottom, right = (
            min(math.ceil(n / step) * step, limit)
            for n, step, limit in zip((self.bottom, self.right), grid, size, strict=True)
        )
        return Box(top, left, max(bottom - top, 0), max(right - left, 0))

    def of_plane(self, plane: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns that the box covers in a plane or map of a picture of `size`."""
        down, across = size[0] // plane[0], size[1] // plane[1]
        return (
            slice(self.top // down, self.bottom // down),
            slice(self.left // across, self.right // across),
        )


class Tile(NamedTuple):
    """What a network is given, and what of it is kept."""

    outer: Box
    inner: Box


def plan_tiles(
    region: Box,
    size: tuple[int, int],
    *,
    side: int,
    margin: int,
    grid: tuple[int, int] = GRID,
) -> list[Tile]:
    """Cut a region into tiles.

    Args:
        region: On the grid.
        size: Height and width of the coded picture.
        side: Longest side of an `inner`, luma samples; 0: one tile.
        margin: Of the network.
        grid: Luma rows and columns on whose multiples the video may be cut, not less than `GRID`.

    Returns:
        Tiles in raster order; none for an empty region.

    Raises:
        ValueError: `side` is shorter than a grid cell.
    """
    if side and side < max(GRID):
        raise ValueError(f"tiles of {side} samples: expected 0 or at least {max(GRID)}")
    rows, columns = (
        _cuts(start, length, side, step)
        for start, length, step in zip(region[:2], region[2:], GRID, strict=True)
    )
    down, across = (math.ceil(margin / step) * step for step in GRID)
    inner = [Box(top, left, height, width) for top, height in rows for left, width in columns]
    return [Tile(box.grown(down, across, size).on_grid(size, grid), box) for box in inner]


def _cuts(start: int, length: int, side: int, step: int) -> list[tuple[int, int]]:
    """Start and length of near-equal pieces, each at most `side`, edges on the grid."""
    if length <= 0:
        return []
    cells, most = math.ceil(length / step), max(side // step, 1) if side else math.inf
    count = math.ceil(cells / most) if side else 1
    edges = [start + step * (cells * k // count) for k in range(count)] + [start + length]
    return [(a, b - a) for a, b in zip(edges, edges[1:], strict=False)]


def cut_sample(sample: Sample, box: Box) -> Sample:
    """A box of a batched sample: planes, maps and levels cut, the face box moved along."""
    height, width = sample.decoded.y.shape[-2:]
    if box == Box(0, 0, height, width):
        return sample
    kept = ("scaling4x4", "scaling8x8", "scaling_dc", "picture_type", "sound", "start")

    def cut(tensor: Tensor) -> Tensor:
        if not tensor.numel():  # chroma of a picture without
            return tensor
        plane = tensor.shape[-2], tensor.shape[-1]
        return tensor[..., *box.of_plane(plane, (height, width))]

    changes: dict[str, Tensor | Planes] = {}
    for field in dataclasses.fields(sample):
        value = getattr(sample, field.name)
        if field.name in kept or value is None:
            continue
        if isinstance(value, Planes):
            changes[field.name] = value.map(cut)
        elif field.name in ("face", "mouth"):
            changes[field.name] = value - torch.tensor(
                [box.left, box.top, 0, 0], dtype=value.dtype, device=value.device
            )
        elif isinstance(value, Tensor):
            changes[field.name] = cut(value)
    return dataclasses.replace(sample, **changes)  # type: ignore[arg-type]
