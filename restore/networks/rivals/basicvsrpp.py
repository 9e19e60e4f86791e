"""BasicVSR++: features carried through the window both ways, twice, with guided alignment.

    frames, folded two by two -> residual blocks
        -> backward, forward, backward, forward:
               carried = residual blocks([own, all passes before, aligned carried t-1 and t-2])
               aligned: deformable convolution around the motion between the frames
        -> residual blocks -> correction

Source:
    Chan, Zhou, Xu, Loy: BasicVSR++: Improving video super-resolution with enhanced propagation
    and alignment, CVPR 2022, sections 3.1 and 3.2. Motion is found by search on the decoded
    pictures instead of a pretrained SPyNet; features live at half size; a sequence is the window
    around each frame, so that a video passes in constant memory.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....data.sample import Sample
from ...config import NetworkConfig
from ..align import DeformAlign, motion_search, warp
from ..davd import CELL, blocks
from ..picture import GAIN, channels, input_channels
from ..restorer import Features, Restorer, grid_multiple

PASSES = 4  # backward and forward, twice
SEARCH = 4  # reach of the motion search, folded samples
GROUPS = 8


class BasicVsrPlusPlus(Restorer):
    """Second-order grid propagation over each frame's window."""

    def __init__(self, config: NetworkConfig) -> None:
        """Build the layers."""
        super().__init__(config)
        self.scale = 2
        width = config.channels
        self.head = nn.Conv2d(input_channels(config, self.scale), width, 3, padding=1)
        self.front = blocks(config.front_blocks, width)
        self.align = nn.ModuleList(
            DeformAlign(width, groups=GROUPS, reach=config.reach) for _ in range(2 * PASSES)
        )
        self.carry = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d((4 + step) * width, width, 3, padding=1), nn.LeakyReLU(0.1),
                *blocks(max(config.video_blocks // 2, 1), width),
            )
            for step in range(PASSES)
        )  # fmt: skip
        self.join = nn.Conv2d((1 + PASSES) * width, width, 3, padding=1)
        self.rebuild = blocks(config.blocks, width)
        self.tail = nn.Conv2d(width, 6, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]
        each = 4 + config.reach + 2 * SEARCH + 2 * max(config.video_blocks // 2, 1)
        outer = 4 + 2 * (config.front_blocks + config.blocks)
        self.margin = grid_multiple(2 * (outer + PASSES * 2 * config.radius * each))

    def features(self, sample: Sample) -> Features:
        """Front features, and the folded picture's mean luma for the motion search."""
        seen = channels(sample, self.config, self.scale)
        x = self.front(F.relu(self.head(seen.flatten(0, 1))))
        return x.unflatten(0, (seen.shape[0], -1)), seen[:, :, :4].mean(2) / GAIN

    def correction(self, features: Features, sample: Sample) -> Tensor:
        """Carry features through every window."""
        count = 2 * self.radius + 1
        batch, middle = features[0].shape[0], features[0].shape[1] - 2 * self.radius
        own, luma = (
            [part[:, step : step + middle].flatten(0, 1) for step in range(count)]
            for part in features
        )
        passes = [own]
        for step in range(PASSES):
            order = list(range(count)) if step % 2 else list(reversed(range(count)))
            passes.append(self._pass(step, order, passes, luma))
        centre = torch.cat([maps[self.radius] for maps in passes], dim=1)
        x = self.rebuild(F.leaky_relu(self.join(centre), 0.1))
        return self.tail(x).unflatten(0, (batch, middle))

    def _pass(
        self, step: int, order: list[int], passes: list[list[Tensor]], luma: list[Tensor]
    ) -> list[Tensor]:
        """One walk through the window; gives the carried features of every frame."""
        own = passes[0]
        carried: dict[int, Tensor] = {}
        for place, frame in enumerate(order):
            helpers = []
            for back in (1, 2):
                if place < back:
                    helpers.append(torch.zeros_like(own[frame]))
                    continue
                other = order[place - back]
                with torch.no_grad():
                    flow = motion_search(luma[frame], luma[other], reach=SEARCH, cell=CELL)
                    flow = flow.repeat_interleave(CELL, -2).repeat_interleave(CELL, -1)
                there = carried[other]
                align = self.align[2 * step + back - 1]
                helpers.append(align(there, warp(there, flow).to(there.dtype), flow))
            before = [maps[frame] for maps in passes]
            helpers = [helper.to(own[frame].dtype) for helper in helpers]
            x = torch.cat([own[frame], *before, *helpers], dim=1)
            carried[frame] = own[frame] + self.carry[step](x)
        return [carried[frame] for frame in range(len(order))]
