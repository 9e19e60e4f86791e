"""Measures of a picture against its source: pure functions of two tensors.

All take `[..., H, W]` and give `[...]`, one figure per plane or picture. `data_range` is the
largest code. Whoever compares with published figures rounds to 8 bits first, `as_codes`.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ...data.sample import Planes
from ..networks.picture import picture, ycbcr_to_rgb


def as_codes(plane: Tensor, bit_depth: int = 8) -> Tensor:
    """A plane in [0, 1] as the codes that a file would hold, float.

    >>> as_codes(torch.tensor([0.0, 0.5, 1.2]))
    tensor([  0., 128., 255.])
    """
    top = (1 << bit_depth) - 1
    return (plane.float().clamp(0, 1) * top).round()


def psnr(picture: Tensor, reference: Tensor, *, data_range: float) -> Tensor:
    """Peak signal-to-noise ratio over the last two axes, decibels; infinite for equal pictures.

    >>> psnr(torch.full((4, 4), 10.0), torch.full((4, 4), 12.0), data_range=255.0)
    tensor(42.1102)
    """
    error = (picture.double() - reference.double()).square().mean((-2, -1))
    return (10 * torch.log10(data_range**2 / error)).float()


def ssim(picture: Tensor, reference: Tensor, *, data_range: float) -> Tensor:
    """Structural similarity with a Gaussian window of 11 and sigma 1.5, borders left out.

    Args:
        picture: `[..., H, W]`, sides of at least 11.
        reference: Likewise.
        data_range: Largest code.

    Returns:
        `[...]`, 1 for equal pictures.

    Source:
        Wang et al., Image quality assessment, 2004; constants 0.01 and 0.03.

    >>> round(float(ssim(torch.zeros(16, 16), torch.full((16, 16), 255.0), data_range=255.0)), 4)
    0.0001
    """
    shape = picture.shape[:-2]
    x, y = (p.double().reshape(-1, 1, *p.shape[-2:]) for p in (picture, reference))
    place = torch.arange(11, dtype=torch.float64, device=x.device) - 5
    line = torch.exp(-(place**2) / (2 * 1.5**2))
    line = line / line.sum()

    def blurred(plane: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(plane, line.view(1, 1, 11, 1)), line.view(1, 1, 1, 11))

    mean_x, mean_y = blurred(x), blurred(y)
    var_x = blurred(x * x) - mean_x**2
    var_y = blurred(y * y) - mean_y**2
    both = blurred(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    index = ((2 * mean_x * mean_y + c1) * (2 * both + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    return index.mean((-3, -2, -1)).reshape(shape).float()


def rgb_codes(planes: Planes, bit_depth: tuple[int, int] = (8, 8)) -> Tensor:
    """8-bit RGB of float planes (BT.601 limited range, chroma repeated), `[..., 3, H, W]`.

    Planes are rounded to their own codes first, as a file would hold them.
    """
    luma, chroma = ((1 << depth) - 1 for depth in bit_depth)
    rounded = Planes(
        as_codes(planes.y, bit_depth[0]) / luma,
        *(as_codes(plane, bit_depth[1]) / chroma for plane in planes[1:]),
    )
    return as_codes(ycbcr_to_rgb(picture(rounded, 1)))


def rgb_psnr(picture: Tensor, reference: Tensor) -> Tensor:
    """PSNR over the three channels together, `[..., 3, H, W]` codes to `[...]` decibels."""
    return psnr(picture.flatten(-3, -2), reference.flatten(-3, -2), data_range=255.0)


def fluctuation(series: Tensor) -> float:
    """Standard deviation of a clip's PSNR over its frames, decibels: how much quality flickers.

    Source:
        Yang et al., MFQE, section 3 (SD of PSNR curves).

    >>> fluctuation(torch.tensor([30.0, 32.0]))
    1.0
    """
    return float(series.double().std(unbiased=False)) if len(series) else 0.0


def flicker(frames: Tensor, reference: Tensor) -> float:
    """Mean absolute error of the change from frame to frame, grey levels.

    Args:
        frames: `[T, H, W]` codes.
        reference: Likewise.

    Returns:
        Mean over frames and samples of `|(x_t - x_t-1) - (r_t - r_t-1)|`; 0 for one frame.
    """
    if len(frames) < 2:
        return 0.0
    change = frames.double().diff(dim=0) - reference.double().diff(dim=0)
    return float(change.abs().mean())
