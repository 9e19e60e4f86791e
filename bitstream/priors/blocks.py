"""What both codecs say of every block of 4x4 luma samples, in one form.

    H.264: tu/y, mb/type, mb/qp_y, mb/bits, mb/field  \
                                                        blocks_of -> QP, skip, edges, bits
    HEVC: cu/size, cu/mode, cu/bits, tu/size, qp/y    /

Rows are those of display. Where an H.264 frame has field macroblocks, a block of display holds
lines of two of them: QP is their mean, the bits half of each, it is skipped where both are, and has
an edge where one has.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from .h264 import TU_KIND, MbType, TuType
from .hevc import CuMode
from .record import FrameRecord, record_arrays

MAPS = {
    "h264": ("tu/y", "mb/type", "mb/qp_y", "mb/bits", "mb/field"),
    "hevc": ("cu/size", "cu/mode", "cu/bits", "tu/size", "qp/y"),
}
"""Datasets that `blocks_of` reads, by codec."""


class Blocks(NamedTuple):
    """Maps with a value per 4x4 luma samples, `[..., H/4, W/4]`.

    Attributes:
        qp: float32, QP of luma.
        skip: bool, P_Skip, B_Skip or cu_skip_flag.
        intra: bool, PCM too.
        side: uint8, luma samples of the side of the transform block; of the macroblock or coding
            block where there is no transform, and in Intra16x16, whose DC levels have one.
        left: bool, a transform block begins at the left side.
        top: bool, a transform block begins at the upper side.
        bits: float32, 1/256 bit: its share of what its macroblock or coding unit cost.
    """

    qp: np.ndarray
    skip: np.ndarray
    intra: np.ndarray
    side: np.ndarray
    left: np.ndarray
    top: np.ndarray
    bits: np.ndarray


def blocks(record: FrameRecord) -> Blocks:
    """Those of a frame."""
    return blocks_of(record_arrays(record), record.codec)


def blocks_of(maps: Mapping[str, np.ndarray], codec: str) -> Blocks:
    """Those of some frames, or of a crop of them on the grid of macroblocks or of 8x8 samples.

    Args:
        maps: `[..., h, w]` under the names of the datasets; those of `MAPS`.
        codec: "h264" or "hevc".
    """
    return _of_hevc(maps) if codec == "hevc" else _of_h264(maps)


def _spread(values: np.ndarray, times: int) -> np.ndarray:
    return values.repeat(times, -2).repeat(times, -1)


def _edges(side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where blocks begin, which lie at multiples of their own size."""
    rows, columns = (4 * np.arange(n) for n in side.shape[-2:])
    return columns % side == 0, rows[:, None] % side == 0


def _of_hevc(maps: Mapping[str, np.ndarray]) -> Blocks:
    mode, unit = maps["cu/mode"], maps["cu/size"]
    own = np.where(maps["tu/size"] > 0, maps["tu/size"], unit)
    side = np.left_shift(np.uint8(1), own)
    area = np.ldexp(np.float32(1), 2 * (unit.astype(np.int32) - 2))  # 4x4 blocks of the unit
    return Blocks(
        maps["qp/y"].astype(np.float32),
        mode == CuMode.SKIP,
        mode >= CuMode.INTRA,
        side,
        *_edges(side),
        (_spread(maps["cu/bits"], 2) / area).astype(np.float32),
    )


def _of_h264(maps: Mapping[str, np.ndarray]) -> Blocks:
    kind, unit = maps["mb/type"], maps["tu/y"] & TU_KIND
    side = np.select([unit == TuType.TU_4X4, unit == TuType.TU_8X8], [4, 8], 16).astype(np.uint8)
    skip = (kind == MbType.P_Skip) | (kind == MbType.B_Skip)
    left, top = _edges(side)
    made = Blocks(
        _spread(maps["mb/qp_y"].astype(np.float32), 4),
        _spread(skip, 4),
        _spread(kind <= MbType.I_PCM, 4),
        side,
        left,
        top,
        _spread((maps["mb/bits"] / 16).astype(np.float32), 4),
    )
    if not maps["mb/field"].any():
        return made
    field = _spread(maps["mb/field"] != 0, 4)
    joined: tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], ...] = (
        _mean, np.logical_and, np.logical_and, np.maximum, np.logical_or, np.logical_or, _mean,
    )  # fmt: skip
    shown = [
        np.where(field, _interleaved(values, join), values)
        for values, join in zip(made, joined, strict=True)
    ]
    shown[5][..., 1::2, :] &= ~field[..., 1::2, :]  # a field's block is eight lines high
    return Blocks(*shown)


def _mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a + b) / 2


def _interleaved(
    values: np.ndarray, join: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Rows of display, were all macroblocks of fields: four of the one above the other's four."""
    pairs = values.reshape(*values.shape[:-2], -1, 2, 4, values.shape[-1])
    both = join(pairs[..., 0, :, :], pairs[..., 1, :, :]).repeat(2, -2)
    return both.reshape(values.shape)
