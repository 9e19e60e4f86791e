"""DKFN: a recursive filter whose prediction, measurement and gain are networks.

    x_t^- = decoded t + predict(restored t-1, decoded t, residual t)
    z_t   = decoded t + measure(decoded t)
    P_t^- = a^2 P_t-1 + q          K = P_t^- / (P_t^- + r)
    x_t   = x_t^- + K (z_t - x_t^-)          P_t = (1 - K) P_t^-

`a`, `q` and `r` are maps that the networks give, one value per sample and channel: the covariance
is kept as its diagonal, where the paper learns one matrix per block.

Source:
    Lu, Ouyang, Xu, Zhang, Gao, Sun: Deep Kalman filtering network for video compression artifact
    reduction, ECCV 2018, section 3. The recursion begins `radius` frames before the one restored,
    at the decoded frame, so that every frame can be restored from its window alone. The
    prediction residual is read where priors are (as the paper's network does).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....data.sample import Sample
from ...config import NetworkConfig
from ..davd import blocks
from ..picture import GAIN, input_channels
from ..restorer import Features, Restorer, grid_multiple

START = 1.0  # covariance of the decoded frame that the recursion begins with


class Dkfn(Restorer):
    """Deep Kalman filter over the frames before and including the one restored."""

    def __init__(self, config: NetworkConfig) -> None:
        """Build the layers."""
        super().__init__(config)
        seen = input_channels(config, self.scale)
        self.predict = _Branch(seen + 3, 9, config)
        self.measure = _Branch(seen, 6, config)
        steps = config.radius + 1
        self.margin = grid_multiple(steps * (2 + 2 * config.video_blocks))

    def correction(self, features: Features, sample: Sample) -> Tensor:
        """Run the recursion of every window."""
        seen = features[0]  # [B, T, C, H, W]
        batch, middle = seen.shape[0], seen.shape[1] - 2 * self.radius

        def at(step: int) -> Tensor:
            return seen[:, step : step + middle].flatten(0, 1)

        state = at(0)[:, :3]
        covariance = torch.full_like(state, START)
        for step in range(1, self.radius + 1):
            now = at(step)
            change, transition, noise = self.predict(torch.cat([now, state], dim=1)).chunk(3, 1)
            before = now[:, :3] + change
            spread = (1 + transition).square() * covariance + F.softplus(noise)
            update, doubt = self.measure(now).chunk(2, dim=1)
            gain = spread / (spread + F.softplus(doubt) + 1e-6)
            state = before + gain * (now[:, :3] + update - before)
            covariance = (1 - gain) * spread
        return (state - at(self.radius)[:, :3]).unflatten(0, (batch, middle)) / GAIN


class _Branch(nn.Module):
    """Head, residual blocks, tail; begins by giving zeros."""

    def __init__(self, inputs: int, outputs: int, config: NetworkConfig) -> None:
        super().__init__()
        self.head = nn.Conv2d(inputs, config.channels, 3, padding=1)
        self.body = blocks(config.video_blocks, config.channels)
        self.tail = nn.Conv2d(config.channels, outputs, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.body(F.relu(self.head(x)))).float()
