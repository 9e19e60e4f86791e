"""Deformable convolution against a slow loop (and torchvision where it is installed)."""

import math

import pytest
import torch
from davd.restore.networks.align import (
    DeformAlign,
    _bilinear_rows,
    _grid_samples,
    bilinear,
    deform_conv2d,
    gather_rows,
    motion_search,
    warp,
)
from torch import Tensor


def slow_sample(plane: Tensor, y: float, x: float) -> float:
    """One bilinear sample of a plane, zero outside."""
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for row, share_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, share_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total += share_y * share_x * float(plane[row, column])
    return total


def slow_deform_conv2d(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    side = weight.shape[-1]
    taps = side * side
    groups = mask.shape[1] // taps
    each = channels // groups
    out = torch.zeros(batch, weight.shape[0], height, width, dtype=torch.float64)
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                for c in range(channels):
                    group = c // each
                    for tap in range(taps):
                        place = 2 * (group * taps + tap)
                        y = i + tap // side - side // 2 + float(offset[b, place, i, j])
                        z = j + tap % side - side // 2 + float(offset[b, place + 1, i, j])
                        value = slow_sample(x[b, c], y, z) * float(
                            mask[b, group * taps + tap, i, j]
                        )
                        out[b, :, i, j] += value * weight[:, c, tap // side, tap % side].double()
    return out.float()


def inputs(
    groups: int, *, batch: int = 2, channels: int = 4, size: tuple[int, int] = (5, 6)
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(groups)
    x = torch.randn(batch, channels, *size, generator=generator)
    offset = 3 * torch.randn(batch, 2 * groups * 9, *size, generator=generator)
    mask = torch.rand(batch, groups * 9, *size, generator=generator)
    weight = torch.randn(3, channels, 3, 3, generator=generator)
    return x, offset, mask, weight


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_deform_conv2d_equals_a_slow_loop(groups: int) -> None:
    x, offset, mask, weight = inputs(groups)
    expected = slow_deform_conv2d(x, offset, mask, weight)
    torch.testing.assert_close(
        deform_conv2d(x, offset, mask, weight), expected, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("groups", [1, 4])
def test_deform_conv2d_equals_torchvision(groups: int) -> None:
    ops = pytest.importorskip("torchvision.ops")
    x, offset, mask, weight = inputs(groups, channels=8, size=(17, 13))
    expected = ops.deform_conv2d(x, offset, weight, padding=1, mask=mask)
    torch.testing.assert_close(
        deform_conv2d(x, offset, mask, weight), expected, atol=1e-5, rtol=1e-5
    )


def test_without_offsets_it_is_a_convolution() -> None:
    x, offset, mask, weight = inputs(2)
    expected = torch.nn.functional.conv2d(x, weight, padding=1)
    same = deform_conv2d(x, torch.zeros_like(offset), torch.ones_like(mask), weight)
    torch.testing.assert_close(same, expected, atol=1e-5, rtol=1e-5)


def test_both_ways_of_sampling_agree_in_value_and_gradient() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 6, 7, 9, generator=generator, dtype=torch.float64)
    place_x = 12 * torch.rand(2, 5, 4, 3, generator=generator, dtype=torch.float64) - 2
    place_y = 10 * torch.rand(2, 5, 4, 3, generator=generator, dtype=torch.float64) - 2
    results = []
    for path in ("rows", "grid"):
        tensors = [t.clone().requires_grad_() for t in (x, place_x, place_y)]
        if path == "rows":
            out = _bilinear_rows(*tensors)
        else:
            columns = (2 * tensors[1] + 1) / 9 - 1
            rows = (2 * tensors[2] + 1) / 7 - 1
            grid = torch.stack([columns, rows], -1).view(2, 20, 3, 2)
            out = torch.nn.functional.grid_sample(tensors[0], grid, align_corners=False)
            out = out.view(2, 6, 5, 4, 3)
        (out * torch.arange(out.numel()).view(out.shape).cos()).sum().backward()
        results.append([out.detach(), *(t.grad for t in tensors)])
    for first, second in zip(*results, strict=True):
        torch.testing.assert_close(first, second, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_path_for_gpus_samples_the_same(groups: int) -> None:
    random = torch.Generator().manual_seed(3)
    x = torch.randn(2, 4, 5, 6, generator=random)
    place_x, place_y = 9 * torch.rand(2, 2, 5, 6, groups, 9, generator=random) - 2
    rows = gather_rows(x, place_x, place_y, None)
    assert rows.shape == (2, 5, 6, groups, 9, 4 // groups)
    torch.testing.assert_close(rows, _grid_samples(x, place_x, place_y), atol=1e-5, rtol=1e-5)


def test_gradients_are_right() -> None:
    x, offset, mask, weight = (
        t.double().requires_grad_() for t in inputs(1, batch=1, channels=2, size=(3, 4))
    )
    assert torch.autograd.gradcheck(deform_conv2d, (x, offset, mask, weight))


def test_offsets_stay_within_reach() -> None:
    torch.manual_seed(0)
    align = DeformAlign(8, groups=2, reach=3.0)
    with torch.no_grad():
        align.aim.weight.normal_(0, 100)
        align.aim.bias.normal_(0, 100)
    x = torch.randn(1, 8, 6, 6)
    assert torch.isfinite(align(x, x)).all()
    assert 0 < align.spread <= 3.0


def test_warp_moves_by_whole_and_half_samples() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0] = 1
    assert torch.equal(warp(x, flow)[0, 0, 0], torch.tensor([1.0, 2.0, 3.0, 3.0]))
    flow[:, 0], flow[:, 1] = 0.5, 1
    torch.testing.assert_close(warp(x, flow)[0, 0, 0], torch.tensor([4.5, 5.5, 6.5, 7.0]))


def test_bilinear_is_zero_outside() -> None:
    x = torch.ones(1, 1, 4, 4)
    places = torch.tensor([-1.0, -0.5, 0.0, 3.5, 4.0]).view(1, 1, 1, 5)
    out = bilinear(x, places, torch.ones_like(places)).flatten()
    torch.testing.assert_close(out, torch.tensor([0.0, 0.5, 1.0, 0.5, 0.0]))


@pytest.mark.parametrize("move", [(0, 0), (2, -3), (-4, 1)])
def test_motion_search_finds_a_shift(move: tuple[int, int]) -> None:
    picture = torch.rand(1, 48, 48, generator=torch.Generator().manual_seed(2))
    moved = torch.roll(picture, (move[1], move[0]), (1, 2))
    flow = motion_search(picture, moved, reach=4)
    assert flow.shape == (1, 2, 12, 12)
    inner = flow[0, :, 2:-2, 2:-2].flatten(1)
    assert torch.equal(inner, torch.tensor(move, dtype=torch.float32)[:, None].expand_as(inner))
