"""EDVR: pyramid, cascaded deformable alignment and attention over time and space.

    frames -> two strided convolutions -> residual blocks -> pyramid of three sizes
        -> PCD: aligned to the centre, coarse to fine, and once more
        -> TSA: weighed by likeness to the centre, then by place
        -> residual blocks -> two pixel shuffles -> correction

Source:
    Wang, Chan, Yu, Dong, Loy: EDVR: Video restoration with enhanced deformable convolutional
    networks, CVPRW 2019, sections 3.1 to 3.3. Inputs as large as outputs are brought to a quarter
    first, as there. Offsets are bounded here, which theirs are not; the spatial attention has one
    level of its pyramid instead of two. Groups of offsets: 8.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....data.sample import Sample
from ...config import NetworkConfig
from ..align import DeformAlign, deform_conv2d
from ..davd import blocks
from ..picture import channels, input_channels
from ..restorer import Features, Restorer, grid_multiple

LEVELS = 3
GROUPS = 8


class Edvr(Restorer):
    """EDVR for inputs of the output's size."""

    def __init__(self, config: NetworkConfig) -> None:
        """Build the layers."""
        super().__init__(config)
        width = config.channels
        self.head = nn.ModuleList([
            nn.Conv2d(input_channels(config, self.scale), width, 3, padding=1),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
        ])  # fmt: skip
        self.front = blocks(config.front_blocks, width)
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, stride=2, padding=1), nn.LeakyReLU(0.1),
                nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.1),
            )
            for _ in range(LEVELS - 1)
        )  # fmt: skip
        self.pcd = _PyramidAlign(width, config.reach)
        self.tsa = _Attention(width, 2 * config.radius + 1)
        self.rebuild = blocks(config.blocks, width)
        self.up = nn.ModuleList(nn.Conv2d(width, 4 * width, 3, padding=1) for _ in range(2))
        self.tail = nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]
        convolutions = 2 * (config.front_blocks + config.blocks) + 8
        self.margin = grid_multiple(8 + 4 * (convolutions + 7 * (6 + config.reach)))

    def features(self, sample: Sample) -> Features:
        """The pyramid of every frame, largest first."""
        seen = channels(sample, self.config, self.scale)
        batch = seen.shape[0]
        x = seen.flatten(0, 1)
        for conv in self.head:
            x = F.leaky_relu(conv(x), 0.1)
        pyramid = [self.front(x)]
        for down in self.down:
            pyramid.append(down(pyramid[-1]))
        return tuple(level.unflatten(0, (batch, -1)) for level in pyramid)

    def correction(self, features: Features, sample: Sample) -> Tensor:
        """Align, weigh, rebuild."""
        batch, middle = features[0].shape[0], features[0].shape[1] - 2 * self.radius

        def at(step: int) -> list[Tensor]:
            return [level[:, step : step + middle].flatten(0, 1) for level in features]

        centre = at(self.radius)
        aligned = [self.pcd(at(step), centre) for step in range(2 * self.radius + 1)]
        x = self.rebuild(self.tsa(torch.stack(aligned, dim=1), self.radius))
        for up in self.up:
            x = F.leaky_relu(F.pixel_shuffle(up(x), 2), 0.1)
        return self.tail(x).unflatten(0, (batch, middle))


class _PyramidAlign(nn.Module):
    """PCD: offsets of a coarser level guide the finer one; a last alignment refines."""

    def __init__(self, width: int, reach: float) -> None:
        super().__init__()
        self.reach = reach
        self.look = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(LEVELS))
        self.guide = nn.ModuleList(
            nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(LEVELS - 1)
        )
        self.aim = nn.ModuleList(_aim(width) for _ in range(LEVELS))
        self.weight = nn.ParameterList(_kernel(width) for _ in range(LEVELS))
        self.join = nn.ModuleList(
            nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(LEVELS - 1)
        )
        self.cascade = DeformAlign(width, groups=GROUPS, reach=reach)

    def forward(self, neighbour: list[Tensor], centre: list[Tensor]) -> Tensor:
        seen: Tensor | None = None
        found: Tensor | None = None
        for level in reversed(range(LEVELS)):
            x = torch.cat([neighbour[level], centre[level]], dim=1)
            x = F.leaky_relu(self.look[level](x), 0.1)
            if seen is not None:
                seen = 2 * F.interpolate(seen, scale_factor=2, mode="bilinear")
                x = F.leaky_relu(self.guide[level](torch.cat([x, seen], dim=1)), 0.1)
            seen = x
            aligned = self._sample(neighbour[level], self.aim[level](x), level)
            if found is not None:
                found = F.interpolate(found, scale_factor=2, mode="bilinear")
                aligned = self.join[level](torch.cat([aligned, found], dim=1))
            found = F.leaky_relu(aligned, 0.1) if level else aligned
        assert found is not None
        return F.leaky_relu(self.cascade(found, centre[0]), 0.1)

    def _sample(self, x: Tensor, aim: Tensor, level: int) -> Tensor:
        aim = aim.float()
        offset, mask = aim.split([aim.shape[1] * 2 // 3, aim.shape[1] // 3], dim=1)
        offset = self.reach * torch.tanh(offset / self.reach)
        return deform_conv2d(
            x, offset, torch.sigmoid(mask).to(x.dtype), self.weight[level].to(x.dtype)
        )


class _Attention(nn.Module):
    """TSA: frames weighed by their likeness to the centre, then places by a small pyramid."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(width, width, 3, padding=1)
        self.key = nn.Conv2d(width, width, 3, padding=1)
        self.fuse = nn.Conv2d(frames * width, width, 1)
        self.pool = nn.Conv2d(frames * width, width, 1)
        self.inner = nn.Conv2d(2 * width, width, 3, padding=1)
        self.scale = nn.Conv2d(width, width, 3, padding=1)
        self.shift = nn.Conv2d(width, width, 1)

    def forward(self, aligned: Tensor, centre: int) -> Tensor:
        count = aligned.shape[1]
        query = self.query(aligned[:, centre])
        key = self.key(aligned.flatten(0, 1)).unflatten(0, (-1, count))
        likeness = torch.sigmoid((key * query.unsqueeze(1)).sum(2, keepdim=True))
        weighed = (aligned * likeness).flatten(1, 2)
        fused = F.leaky_relu(self.fuse(weighed), 0.1)
        place = F.leaky_relu(self.pool(weighed), 0.1)
        pooled = torch.cat([F.max_pool2d(place, 3, 2, 1), F.avg_pool2d(place, 3, 2, 1)], dim=1)
        place = F.interpolate(
            F.leaky_relu(self.inner(pooled), 0.1), size=place.shape[-2:], mode="bilinear"
        )
        attention = self.scale(place)
        return 2 * fused * torch.sigmoid(attention) + self.shift(F.leaky_relu(attention, 0.1))


def _aim(width: int) -> nn.Conv2d:
    """Offsets and masks; begins with none and one half."""
    conv = nn.Conv2d(width, 3 * GROUPS * 9, 3, padding=1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _kernel(width: int) -> nn.Parameter:
    kernel = torch.empty(width, width, 3, 3)
    nn.init.kaiming_uniform_(kernel, a=5**0.5)
    return nn.Parameter(kernel)
