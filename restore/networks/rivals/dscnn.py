"""DS-CNN: one frame at a time, one path for intra frames and a wider one for the others.

    frame -> 9x9x128 -> 7x7x64 -> 3x3x64 -> 1x1x32 -> 5x5 ----------------> correction, intra
        |       |         |         |         |
        +--> 9x9x128 -> 7x7x64 -> 3x3x64 -> 1x1x32 -> 5x5 ----------------> correction, inter
             (each layer after the first also reads the intra path's maps beside its own)

Source:
    Yang, Xu, Wang: Decoder-side HEVC quality enhancement with scalable convolutional neural
    network, ICME 2017, section 3. There luma alone is corrected; here three channels are, as in
    the DAVD-Net paper's comparison. A frame counts as intra when all its blocks are; without
    their types every frame takes the inter path. Layer widths scale with `channels` / 64.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....data.sample import Sample
from ....data.units import has_units, units_of
from ...config import NetworkConfig
from ..picture import input_channels
from ..restorer import Features, Restorer, grid_multiple

LAYERS = ((9, 128), (7, 64), (3, 64), (1, 32))  # kernel side, maps


class Dscnn(Restorer):
    """DS-CNN-I and DS-CNN-B."""

    def __init__(self, config: NetworkConfig) -> None:
        """Build the layers."""
        super().__init__(config)
        self.intra, self.inter = nn.ModuleList(), nn.ModuleList()
        before = input_channels(config, self.scale)
        beside = 0
        for side, maps in LAYERS:
            width = max(maps * config.channels // 64, 4)
            self.intra.append(nn.Conv2d(before, width, side, padding=side // 2))
            self.inter.append(nn.Conv2d(before + beside, width, side, padding=side // 2))
            before = beside = width
        self.intra_tail = nn.Conv2d(before, 3, 5, padding=2)
        self.inter_tail = nn.Conv2d(2 * before, 3, 5, padding=2)
        for tail in (self.intra_tail, self.inter_tail):
            nn.init.zeros_(tail.weight)
            nn.init.zeros_(tail.bias)  # type: ignore[arg-type]
        self.margin = grid_multiple(2 + sum(side // 2 for side, _ in LAYERS))

    def correction(self, features: Features, sample: Sample) -> Tensor:
        """Both paths; each frame keeps its own."""
        seen = features[0][:, self.radius : features[0].shape[1] - self.radius]
        batch = seen.shape[0]
        first = second = seen.flatten(0, 1)
        beside: Tensor | None = None
        for intra, inter in zip(self.intra, self.inter, strict=True):
            read = second if beside is None else torch.cat([second, beside], dim=1)
            second = F.relu(inter(read))
            first = F.relu(intra(first))
            beside = first
        from_intra = self.intra_tail(first)
        from_inter = self.inter_tail(torch.cat([second, first], dim=1))
        if not has_units(sample):
            return from_inter.unflatten(0, (batch, -1))
        is_intra = units_of(sample).intra.flatten(2).all(-1).flatten()[:, None, None, None]
        return torch.where(is_intra, from_intra, from_inter).unflatten(0, (batch, -1))
