"""Planes of a sample as the channels that a network sees, and its correction back on the planes.

    Sample (integers, 4:2:0) -> normal() -> channels() [B, T, C, H/s, W/s] -> network
        -> correction [B, N, 3 or 6, H/s, W/s] -> apply_correction() -> Planes in [0, 1]

At scale 1 a picture has three channels at luma's size, RGB or YCbCr; at scale 2 luma is folded two
by two and stands beside chroma at chroma's own size, six channels, and nothing is interpolated.
Chroma of 4:2:2 and 4:4:4 is averaged to that size first and its correction is repeated.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ...bitstream.show.colour import coefficients
from ...data.sample import Planes, Sample
from ...data.units import units_of
from ..config import NetworkConfig
from ..projection.units import to_display_rows

GAIN = 1.0  # of the picture's channels over samples in [0, 1]
MAP_GAIN = 1 / 16  # of the maps, which are about one in size
MAPS = 8  # channels that `maps` makes


def normal(planes: Planes, bit_depth: tuple[int, int]) -> Planes:
    """Integer planes as float in [0, 1].

    Args:
        planes: `[..., H, W]` each, any integer type.
        bit_depth: Of luma and of chroma.

    Returns:
        float32 planes; 1.0 is the largest code.
    """
    luma, chroma = (float((1 << depth) - 1) for depth in bit_depth)
    return Planes(planes.y.float() / luma, planes.cb.float() / chroma, planes.cr.float() / chroma)


def picture(planes: Planes, scale: int, colour: str = "ycbcr") -> Tensor:
    """Float planes as channels of one size.

    Args:
        planes: `[..., H, W]`, and chroma of any format.
        scale: 1: three channels at luma's size; 2: six at half of it.
        colour: "rgb" or "ycbcr"; rgb at scale 1 only.

    Returns:
        `[..., 3, H, W]` or `[..., 6, H/2, W/2]`.
    """
    height, width = planes.y.shape[-2:]
    chroma = [halved(plane, height // 2, width // 2) for plane in planes[1:]]
    if scale == 2:
        folded = F.pixel_unshuffle(planes.y.unsqueeze(-3), 2)
        return torch.cat([folded, *(plane.unsqueeze(-3) for plane in chroma)], dim=-3)
    whole = torch.stack([planes.y, *(_double(plane) for plane in chroma)], dim=-3)
    return ycbcr_to_rgb(whole) if colour == "rgb" else whole


def ycbcr_to_rgb(picture: Tensor) -> Tensor:
    """YCbCr (BT.601, limited range) to RGB, both `[..., 3, H, W]`, not clipped."""
    matrix, offset = _to_rgb(picture)
    return torch.einsum("rc,...chw->...rhw", matrix, picture - offset[:, None, None])


def _to_rgb(like: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix and offset of BT.601, limited range, which networks see whatever the video says."""
    matrix, offset = coefficients("smpte170m", full_range=False)
    return like.new_tensor(matrix), like.new_tensor(offset)


def apply_correction(decoded: Planes, correction: Tensor, scale: int, colour: str) -> Planes:
    """Add a network's correction to the decoded planes.

    Args:
        decoded: Float planes `[..., H, W]`.
        correction: `[..., 3, H, W]` or `[..., 6, H/2, W/2]`, as `picture` lays channels out.
        scale: 1 or 2.
        colour: What the three channels of scale 1 are.

    Returns:
        Corrected planes, float, not clipped, each of its own size.
    """
    correction = correction.float()
    if scale == 2:
        y = F.pixel_shuffle(correction[..., :4, :, :], 2).squeeze(-3)
        chroma = [correction[..., 4, :, :], correction[..., 5, :, :]]
    else:
        if colour == "rgb":
            inverse = torch.linalg.inv(_to_rgb(correction)[0])
            correction = torch.einsum("cr,...rhw->...chw", inverse, correction)
        y = correction[..., 0, :, :]
        height, width = y.shape[-2:]
        chroma = [halved(correction[..., c, :, :], height // 2, width // 2) for c in (1, 2)]
    changed = [
        plane + spread(change, plane.shape[-2:]) if plane.numel() else plane
        for plane, change in zip(decoded[1:], chroma, strict=True)
    ]
    return Planes(decoded.y + y, *changed)


def input_channels(config: NetworkConfig, scale: int) -> int:
    """How many channels `channels` gives for one frame."""
    each = 6 if scale == 2 else 3
    return each + (2 * each + MAPS if config.priors else 1 if config.qp else 0)


def channels(sample: Sample, config: NetworkConfig, scale: int) -> Tensor:
    """All that a network sees of each frame.

    Args:
        sample: A batch.
        config: Says whether priors or QP are asked for.
        scale: 1 or 2.

    Returns:
        `[B, T, C, H/scale, W/scale]`: the picture; with priors prediction less decoded, residual
        and the maps, QP first of them. Pictures come out about one in size and maps a quarter:
        where maps are as large as pictures, the first layer sees little else and learns slowly.

    Raises:
        ValueError: Planes or maps that the network reads are not in the sample.
    """
    decoded = picture(normal(sample.decoded, sample.bit_depth), scale, config.colour)
    size = decoded.shape[-2:]
    parts = [GAIN * (decoded - 0.5)]
    if config.priors:
        if sample.prediction is None or sample.residual is None:
            raise ValueError("this network reads prediction and residual: not in the priors")
        predicted = picture(normal(sample.prediction, sample.bit_depth), scale, config.colour)
        residual = normal(sample.residual, sample.bit_depth)
        parts += [2 * GAIN * (predicted - decoded), 2 * GAIN * picture(residual, scale)]
        parts.append(maps(sample, size) * MAP_GAIN)
    elif config.qp:
        if sample.qp_y is None:
            raise ValueError("this network reads QP: not in the priors")
        qp = spread(_qp(sample.qp_y), size).unsqueeze(-3)
        parts.append(_shown(qp, sample) * MAP_GAIN)
    return torch.cat(parts, dim=-3)


def _qp(qp: Tensor) -> Tensor:
    """QP as about -1..1 over the range where restoration is wanted."""
    return (qp.float() - 36) / 12


def maps(sample: Sample, size: torch.Size) -> Tensor:
    """QP, kind of macroblock and transform grid, `[B, T, MAPS, *size]`, on the rows of display."""
    return _shown(_maps(sample, size), sample)


def _shown(made: Tensor, sample: Sample) -> Tensor:
    """Maps made in macroblock order, `[B, T, C, h, w]`, on the rows of display.

    At half of luma's size and less a row holds lines of both fields: the mean of their values.
    """
    if sample.field is None or not sample.field.any():
        return made
    size = made.shape[-2:]
    field = sample.field.unsqueeze(-3)
    shown = display_rows(made, field)
    if size == sample.decoded.y.shape[-2:]:
        return shown
    both = shown.unflatten(-2, (-1, 2)).mean(-2).repeat_interleave(2, -2)
    return torch.where(spread(field != 0, size), both, shown)


def _maps(sample: Sample, size: torch.Size) -> Tensor:
    """`maps` in macroblock order."""
    assert sample.qp_y is not None
    units = units_of(sample)
    blocks = [_qp(sample.qp_y), units.skip, units.intra, units.two_way, units.large, units.silent]
    made = [spread(plane.float(), size) for plane in blocks]
    # Transform edges: 1 in the first row or column of a unit, -1 in its last one.
    side = spread(units.side, size)
    begins = spread(units.down, size), spread(units.across, size)
    scale = sample.decoded.y.shape[-1] // size[1]
    for axis in (0, 1):
        inside = torch.arange(size[axis], device=side.device) * scale % 4
        place = begins[axis] + (inside[:, None] if axis == 0 else inside)
        first, last = place == 0, place == side - scale
        made.append(first.float() - last.float())
    return torch.stack(made, dim=-3)


def spread(blocks: Tensor, size: torch.Size) -> Tensor:
    """Repeat the values of blocks over their samples: `[..., h, w]` to `[..., *size]`."""
    down, across = size[0] // blocks.shape[-2], size[1] // blocks.shape[-1]
    return blocks.repeat_interleave(down, -2).repeat_interleave(across, -1)


def display_rows(plane: Tensor, field: Tensor | None) -> Tensor:
    """Bring a plane, or a map spread over it, from macroblock order into the rows of display.

    Args:
        plane: `[..., H, W]`.
        field: `[..., h, w]`, not 0 for field macroblocks, or None where there are none.
    """
    if field is None or not field.any():
        return plane
    flags = (field != 0).expand(*plane.shape[:-2], *field.shape[-2:]).flatten(0, -3)
    return to_display_rows(plane.flatten(0, -3), flags).view(plane.shape)


def halved(plane: Tensor, height: int, width: int) -> Tensor:
    """A chroma plane of any format at 4:2:0's size, by averaging."""
    if plane.numel() == 0:
        return plane.new_full((*plane.shape[:-2], height, width), 128 / 255)
    down, across = plane.shape[-2] // height, plane.shape[-1] // width
    if (down, across) == (1, 1):
        return plane
    return plane.unflatten(-1, (width, across)).unflatten(-3, (height, down)).mean((-3, -1))


def _double(plane: Tensor) -> Tensor:
    """A plane at twice its size, each sample repeated."""
    return plane.repeat_interleave(2, -2).repeat_interleave(2, -1)
