"""What both codecs say of every block of a picture, as networks are told it.

    H.264: mb_type, tu, qp_y            of macroblocks and 4x4 blocks  \
                                                                         units_of -> Units
    HEVC:  cu_mode, cu_size, tu_size,   of 4x4 blocks                  /
           tu_kind, unit_x, unit_y, qp_y, picture_type

Maps keep the grid that their codec has them on; whoever reads them spreads them over a picture.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..bitstream.priors.hevc import CuMode, TuKind
from ..bitstream.priors.schema import FIRST_B, LAST_INTRA, TU_KIND, MbType, PictureType, TuType
from .sample import Sample


class Units(NamedTuple):
    """Maps of some frames, `[..., T, h, w]`, each on a grid of its own over the same picture."""

    skip: Tensor
    """bool: P_Skip, B_Skip, or cu_skip_flag."""
    intra: Tensor
    """bool: intra predicted, or PCM."""
    two_way: Tensor
    """bool: not intra, and of a kind that B slices have."""
    large: Tensor
    """bool: a transform of more than 4x4; 16x16 of H.264, which is made of small ones, is none."""
    silent: Tensor
    """bool: no level of luma is coded."""
    side: Tensor
    """int64: luma samples of the transform's side; where there is none, of the macroblock or coding
    block."""
    across: Tensor
    """int64: luma samples from its left side to each 4x4 block."""
    down: Tensor
    """int64: likewise from its upper side."""


def has_units(sample: Sample) -> bool:
    """Whether a sample holds the maps of a codec."""
    return sample.cu_mode is not None or (sample.mb_type is not None and sample.tu is not None)


def units_of(sample: Sample) -> Units:
    """The units of a sample's frames.

    Raises:
        ValueError: It holds the maps of neither codec.
    """
    if sample.cu_mode is not None:
        return _of_hevc(sample)
    if not has_units(sample):
        raise ValueError("this network reads macroblocks or coding units: not in the priors")
    assert sample.mb_type is not None and sample.tu is not None
    kind, unit = sample.mb_type, sample.tu & TU_KIND
    small, large = unit == TuType.TU_4X4, unit == TuType.TU_8X8
    side = torch.where(small, 4, torch.where(large, 8, 16))
    rows, columns = (4 * torch.arange(n, device=side.device) for n in side.shape[-2:])
    return Units(
        skip=skipped(sample),
        intra=kind <= LAST_INTRA,
        two_way=kind >= FIRST_B,
        large=large,
        silent=unit == TuType.NONE,
        side=side,
        across=columns % side,
        down=rows[:, None] % side,
    )


def skipped(sample: Sample) -> Tensor:
    """bool: P_Skip, B_Skip, or cu_skip_flag.

    Raises:
        ValueError: It holds the maps of neither codec.
    """
    for name, path in (("cu_mode", "cu/mode"), ("mb_type", "mb/type")):
        if (kinds := getattr(sample, name)) is not None:
            return skips(kinds, path)
    raise ValueError("macroblocks or coding units are wanted: not in the priors")


def skips(kinds: Tensor, path: str) -> Tensor:
    """bool: what is skipped, by values of the dataset `mb/type` or `cu/mode`."""
    if path == "cu/mode":
        return kinds == CuMode.SKIP
    return (kinds == MbType.P_Skip) | (kinds == MbType.B_Skip)


def _of_hevc(sample: Sample) -> Units:
    mode, unit, size, kind = sample.cu_mode, sample.tu_size, sample.cu_size, sample.tu_kind
    assert mode is not None and unit is not None and size is not None and kind is not None
    assert sample.picture_type is not None
    assert sample.unit_x is not None and sample.unit_y is not None
    intra = mode >= CuMode.INTRA
    coded = kind != TuKind.NONE
    side = torch.where(unit > 0, unit, size).long().clamp(2, 6)
    return Units(
        skip=skipped(sample),
        intra=intra,
        two_way=~intra & (sample.picture_type == PictureType.B),
        large=coded & (unit > 2),
        silent=~coded & (mode != CuMode.PCM),
        side=torch.ones_like(side) << side,
        across=4 * sample.unit_x.long(),
        down=4 * sample.unit_y.long(),
    )
