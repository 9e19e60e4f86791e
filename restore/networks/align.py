"""Bringing a neighbour's features into the place of the centre frame's, in plain torch.

    motion_search: where does each neighbourhood of the centre frame lie in the neighbour?
    warp:          features from there, bilinear
    deform_conv2d: modulated deformable convolution, as torchvision.ops.deform_conv2d
    DeformAlign:   offsets and masks found by the network itself, bounded

On a CPU sampling reads rows of a `[positions, channels]` table with `embedding_bag`, which does
the four-corner weighted sum in one pass (several times faster than `grid_sample`); elsewhere
`grid_sample` is used. Both are tested against a slow loop.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def motion_search(
    centre: Tensor,
    neighbour: Tensor,
    *,
    reach: int,
    cell: int = 4,
    box: int = 3,
    still: float = 0.002,
) -> Tensor:
    """Whole-sample motion with the least mean absolute difference around each cell of samples.

    Args:
        centre: `[B, H, W]`, values about 0..1; sides that are multiples of `cell`.
        neighbour: `[B, H, W]`.
        reach: Largest motion along each axis, samples.
        cell: Side of the squares that move as one, samples.
        box: Side of the neighbourhood that is compared, cells, odd.
        still: Added to the difference per sample of motion, so that flat areas stay in place.

    Returns:
        `[B, 2, H/cell, W/cell]` float: x and y of the place in the neighbour less the place in
        the centre.
    """
    height, width = centre.shape[-2:]
    padded = F.pad(neighbour, (reach,) * 4, mode="replicate")
    moves = _spiral(reach)
    costs = []
    for dy, dx in moves:
        moved = padded[:, reach + dy : reach + dy + height, reach + dx : reach + dx + width]
        costs.append(F.avg_pool2d((centre - moved).abs(), cell))
    cost = torch.stack(costs, dim=1)  # [B, moves, H/cell, W/cell]
    cost = F.avg_pool2d(cost, box, 1, box // 2, count_include_pad=False)
    length = cost.new_tensor([abs(dy) + abs(dx) for dy, dx in moves])
    best = (cost + still * length[:, None, None]).argmin(dim=1)
    return cost.new_tensor([(dx, dy) for dy, dx in moves])[best].permute(0, 3, 1, 2)


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Read features where a flow points, bilinear, the edge repeated outside.

    Args:
        x: `[B, C, H, W]`.
        flow: `[B, 2, H, W]`: x and y, samples of `x`.

    Returns:
        `[B, C, H, W]`.
    """
    height, width = x.shape[-2:]
    place_x, place_y = _places(height, width, x.device)
    place_x = (place_x + flow[:, 0]).clamp(0, width - 1)
    place_y = (place_y + flow[:, 1]).clamp(0, height - 1)
    return bilinear(x, place_x.unsqueeze(1), place_y.unsqueeze(1))[:, :, 0]


def bilinear(x: Tensor, place_x: Tensor, place_y: Tensor) -> Tensor:
    """Sample feature maps at real places; zero outside, as in deformable convolution.

    Args:
        x: `[B, C, H, W]`.
        place_x: `[B, K, h, w]`: K places for each of h x w outputs, in samples of `x`.
        place_y: Likewise.

    Returns:
        `[B, C, K, h, w]`, in channels-last order in memory on a CPU.
    """
    if x.device.type == "cpu":
        return _bilinear_rows(x, place_x, place_y)
    batch, taps, height, width = place_x.shape
    grid = torch.stack(
        [(2 * place_x + 1) / x.shape[3] - 1, (2 * place_y + 1) / x.shape[2] - 1], dim=-1
    ).view(batch, taps * height, width, 2)
    out = F.grid_sample(x, grid.to(x.dtype), align_corners=False, padding_mode="zeros")
    return out.view(batch, x.shape[1], taps, height, width)


def _bilinear_rows(x: Tensor, place_x: Tensor, place_y: Tensor) -> Tensor:
    across, down = (place.permute(0, 2, 3, 1).unsqueeze(3) for place in (place_x, place_y))
    return gather_rows(x, across, down, None)[:, :, :, 0].permute(0, 4, 3, 1, 2)


def gather_rows(x: Tensor, place_x: Tensor, place_y: Tensor, mask: Tensor | None) -> Tensor:
    """Bilinear samples as sums of table rows, zero outside: the fast way on a CPU.

    Args:
        x: `[B, C, H, W]`.
        place_x: `[B, h, w, G, K]`: K places for each of G groups of channels.
        place_y: Likewise.
        mask: Weight of each sample, likewise; None for one.

    Returns:
        `[B, h, w, G, K, C/G]`.
    """
    batch, channels, height, width = x.shape
    groups = place_x.shape[3]
    # A border of zeros stands for everything outside, so that no corner needs a test.
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 2, 1, 2))
    across = width + 3
    place_x, place_y = place_x.clamp(-1, width), place_y.clamp(-1, height)
    left, top = place_x.floor(), place_y.floor()
    share_x, share_y = place_x - left, place_y - top
    first = torch.arange(batch, device=x.device, dtype=torch.int32) * ((height + 3) * across)
    corner = (top.int() + 1) * across + left.int() + 1 + first[:, None, None, None, None]
    steps = corner.new_tensor([0, 1, across, across + 1])
    of_group = torch.arange(groups, device=x.device, dtype=torch.int32)[:, None, None]
    index = (corner.unsqueeze(-1) + steps) * groups + of_group
    if mask is not None:
        upper, lower = mask * (1 - share_y), mask * share_y
    else:
        upper, lower = 1 - share_y, share_y
    weight = torch.stack(
        [upper * (1 - share_x), upper * share_x, lower * (1 - share_x), lower * share_x], dim=-1
    )
    table = padded.reshape(-1, channels // groups)
    out = F.embedding_bag(
        index.reshape(-1, 4),
        table,
        per_sample_weights=weight.reshape(-1, 4).to(table.dtype),
        mode="sum",
    )
    return out.view(*place_x.shape, channels // groups)


def deform_conv2d(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Modulated deformable convolution, stride 1, same size; torchvision's layout of arguments.

    Args:
        x: `[B, C, H, W]`.
        offset: `[B, 2 * G * K, H, W]`: for each of G channel groups and K taps y then x, samples.
        mask: `[B, G * K, H, W]`: weight of each tap.
        weight: `[C', C, k, k]` with `k * k = K`, k odd.
        bias: `[C']`.

    Returns:
        `[B, C', H, W]`.

    Source:
        Zhu et al., Deformable ConvNets v2, equation 1.
    """
    batch, channels, height, width = x.shape
    side = weight.shape[-1]
    taps = side * side
    groups = mask.shape[1] // taps
    assert offset.shape[1] == 2 * groups * taps, (offset.shape, mask.shape)
    columns, rows = _places(height, width, x.device)
    step = torch.arange(taps, device=x.device)
    step_y, step_x = step // side - side // 2, step % side - side // 2
    offset = offset.permute(0, 2, 3, 1).reshape(batch, height, width, groups, taps, 2)
    mask = mask.permute(0, 2, 3, 1).reshape(batch, height, width, groups, taps)
    place_x = columns[:, :, None, None] + step_x + offset[..., 1]
    place_y = rows[:, :, None, None] + step_y + offset[..., 0]
    if x.device.type == "cpu":
        sampled = gather_rows(x, place_x, place_y, mask)  # [B, H, W, G, K, C/G]
    else:
        sampled = _grid_samples(x, place_x, place_y) * mask.unsqueeze(-1)
    table = sampled.reshape(batch, height, width, taps * channels)  # one matrix product
    kernel = weight.view(-1, groups, channels // groups, taps).transpose(2, 3)
    return F.linear(table, kernel.reshape(-1, taps * channels), bias).permute(0, 3, 1, 2)


def _grid_samples(x: Tensor, place_x: Tensor, place_y: Tensor) -> Tensor:
    """As `gather_rows` without a mask, by `grid_sample`."""
    batch, channels, height, width = x.shape
    groups = place_x.shape[3]
    places = [p.permute(0, 3, 4, 1, 2).flatten(0, 1) for p in (place_x, place_y)]
    sampled = bilinear(x.reshape(batch * groups, channels // groups, height, width), *places)
    return sampled.unflatten(0, (batch, groups)).permute(0, 4, 5, 1, 3, 2)


class DeformAlign(nn.Module):
    """A neighbour's features aligned to the centre's by one modulated deformable convolution.

        neighbour --+--> concat -> conv -> conv -> offset = reach * tanh(.) , mask = sigmoid(.)
        centre -----+                                   |
        neighbour --------------------------------> deform_conv2d -> aligned

    Offsets start at `flow` (zero without one) and mask at one half, and no offset leaves `reach`:
    unbounded offsets are how such networks are known to break in training. `spread` holds the
    mean size of the last offsets, for the log.

    Args:
        channels: Of both inputs and of the output.
        groups: Channel groups with offsets of their own.
        reach: Bound of an offset, samples.
    """

    spread: float

    def __init__(self, channels: int, *, groups: int = 4, reach: float = 8.0) -> None:
        """Build the layers."""
        super().__init__()
        self.reach = reach
        self.spread = 0.0
        self.look = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.aim = nn.Conv2d(channels, 3 * groups * 9, 3, padding=1)
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        nn.init.zeros_(self.aim.weight)
        nn.init.zeros_(self.aim.bias)  # type: ignore[arg-type]

    def forward(self, neighbour: Tensor, centre: Tensor, flow: Tensor | None = None) -> Tensor:
        """Align.

        Args:
            neighbour: `[B, C, H, W]`.
            centre: `[B, C, H, W]`.
            flow: `[B, 2, H, W]`, x and y, added to every offset; None for zero.

        Returns:
            `[B, C, H, W]`.
        """
        seen = torch.cat([neighbour, centre], dim=1)
        aim = self.aim(F.leaky_relu(self.look(seen), 0.1)).float()
        offset, mask = aim.split([aim.shape[1] * 2 // 3, aim.shape[1] // 3], dim=1)
        offset = self.reach * torch.tanh(offset / self.reach)
        if not torch.jit.is_tracing():
            self.spread = float(offset.detach().abs().mean())
        if flow is not None:
            offset = offset + flow.flip(1).repeat(1, offset.shape[1] // 2, 1, 1)
        mask = torch.sigmoid(mask).to(neighbour.dtype)
        return deform_conv2d(neighbour, offset, mask, self.weight.to(neighbour.dtype), self.bias)


def _places(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Columns and rows of a grid, float, `[1, W]` and `[H, 1]`."""
    columns = torch.arange(width, device=device, dtype=torch.float32)
    rows = torch.arange(height, device=device, dtype=torch.float32)
    return columns[None, :], rows[:, None]


def _spiral(reach: int) -> list[tuple[int, int]]:
    """All motions up to `reach`, smallest first, so that ties go to the smaller."""
    span = range(-reach, reach + 1)
    moves = [(y, x) for y in span for x in span]
    return sorted(moves, key=lambda move: (abs(move[0]) + abs(move[1]), move))
