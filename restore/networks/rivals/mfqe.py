"""MFQE: the best frame on each side, moved into place, helps the one between.

    best before --+                     +-> 9x9x128 -> 7x7x64 --+
    frame --------+-> motion (x4, x2, 1) +-> 9x9x128 -> 7x7x64 --+-> 3x3x64 -> 1x1x32 -> 5x5
    best after ---+       and warp      +-> 9x9x128 -> 7x7x64 --+

Source:
    Yang, Xu, Wang, Li: Multi-frame quality enhancement for compressed video, CVPR 2018, sections
    3 to 5. Peak-quality frames are found there by a classifier on 36 features; here it is the
    frame of least mean QP on each side of the window, the nearest where QP is unknown or equal.
    The motion network is trained with the whole by the restoration loss alone. Three channels
    instead of luma, widths scaled by `channels` / 64.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....data.sample import Sample
from ...config import NetworkConfig
from ..align import warp
from ..picture import channels, input_channels
from ..restorer import Features, Restorer, grid_multiple

REACH = 4.0  # bound of each stage's motion at its own size, samples


class Mfqe(Restorer):
    """Multi-frame quality enhancement."""

    def __init__(self, config: NetworkConfig) -> None:
        """Build the layers."""
        super().__init__(config)
        seen = input_channels(config, self.scale)
        width = config.channels
        self.coarse = _Motion(4, 5)
        self.middle = _Motion(2, 5)
        self.fine = _Motion(1, 3)
        self.first = nn.ModuleList(nn.Conv2d(seen, 2 * width, 9, padding=4) for _ in range(3))
        self.second = nn.ModuleList(nn.Conv2d(2 * width, width, 7, padding=3) for _ in range(3))
        self.third = nn.Conv2d(3 * width, width, 3, padding=1)
        self.fourth = nn.Conv2d(width, width // 2, 1)
        self.tail = nn.Conv2d(width // 2, 3, 5, padding=2)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]
        self.margin = grid_multiple(10 + 4 * 10 + 2 * 10 + 5 + 7 * REACH)

    def features(self, sample: Sample) -> Features:
        """Input channels, and each frame's mean QP, which says how good it is."""
        seen = channels(sample, self.config, self.scale)
        if sample.qp_y is None:
            return seen, seen.new_zeros(seen.shape[:2])
        return seen, sample.qp_y.float().mean((-2, -1))

    def correction(self, features: Features, sample: Sample) -> Tensor:
        """Choose, move, enhance."""
        seen, qp = features  # [B, T, C, H, W], [B, T]
        batch, middle = seen.shape[0], seen.shape[1] - 2 * self.radius
        centre = seen[:, self.radius : self.radius + middle].flatten(0, 1)
        maps = []
        for branch, side in enumerate((-1, 0, 1)):
            frame = centre
            if side:
                frame = self._best(seen, qp, side, middle)
                frame = warp(frame, self._motion(centre[:, :3], frame[:, :3]))
            maps.append(F.relu(self.second[branch](F.relu(self.first[branch](frame)))))
        x = F.relu(self.third(torch.cat(maps, dim=1)))
        return self.tail(F.relu(self.fourth(x))).unflatten(0, (batch, middle))

    def _best(self, seen: Tensor, qp: Tensor, side: int, middle: int) -> Tensor:
        """The frame of least QP on one side of each centre, `[B N, C, H, W]`."""
        steps = [self.radius + side * k for k in range(1, self.radius + 1)]  # nearest first
        choice = torch.stack([qp[:, step : step + middle] for step in steps]).argmin(dim=0)
        index = torch.arange(middle, device=qp.device) + self.radius + side * (1 + choice)
        return seen[torch.arange(len(seen), device=qp.device)[:, None], index].flatten(0, 1)

    def _motion(self, centre: Tensor, other: Tensor) -> Tensor:
        """Motion from the centre to the other frame, coarse to fine, `[M, 2, H, W]`."""
        flow = self.coarse(centre, other, centre.new_zeros(len(centre), 2, *centre.shape[-2:]))
        flow = flow + self.middle(centre, warp(other, flow), flow)
        return flow + self.fine(centre, warp(other, flow), flow)


class _Motion(nn.Module):
    """One stage: looks at both frames at 1/step of their size and gives motion at full size."""

    def __init__(self, step: int, side: int) -> None:
        super().__init__()
        self.step = step
        self.layers = nn.Sequential(
            nn.Conv2d(8, 24, side, stride=step, padding=side // 2), nn.ReLU(),
            nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
            nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
            nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.tail = nn.Conv2d(24, 2 * step * step, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, centre: Tensor, other: Tensor, flow: Tensor) -> Tensor:
        x = self.tail(self.layers(torch.cat([centre, other, flow], dim=1))).float()
        return self.step * REACH * torch.tanh(F.pixel_shuffle(x, self.step))
