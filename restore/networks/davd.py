"""DAVD-Net, whole, top to bottom.

    frame t-2 .. t+2      sound around t
        | channels()          | 21 x F MFCC
       head, front blocks    BiLSTM x 3
        | (per frame, once)   | linear, 5 upsampling blocks
       align to t            maps over the face box
        | fuse                |
       V-subnet               |
        +----------+----------+
              attention fusion
                   |
              reconstruction blocks
                   |
        decoded t + correction  ->  projection  ->  clip

`full` is the paper's: features at luma's own size, residual blocks per frame, one deformable
convolution per neighbour. `lite` is ours, for CPUs and short training: luma folded two by two
beside chroma, a quarter of the positions; a neighbour is moved as it was decoded, by a motion
search with whole folded samples, and enters as its difference from the centre and its QP; all
frames meet in the first convolution (`front_blocks = 0`): nearly all work is once per output.

Source:
    Zhang et al., DAVD-Net: Deep Audio-aided Video Decompression of Talking Heads, CVPR 2020,
    section 3 and figures 2 to 4. What the paper leaves open is said where it is decided.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.sample import FEATURES, Sample
from ..config import NetworkConfig
from .align import DeformAlign, motion_search, warp
from .picture import GAIN, channels, input_channels
from .restorer import Features, Restorer, grid_multiple

UPSAMPLINGS = 5  # "DAVD-Net, 3.2": five upsampling residual blocks
LSTM_LAYERS = 3  # "DAVD-Net, 3.2"
NEAR = 3.0  # a neighbour's difference is small and is multiplied by this
CELL = 4  # side of the squares of the motion search, samples of the folded picture


class ResidualBlock(nn.Module):
    """`x + conv(relu(conv(x)))` without normalisation, as in EDVR; begins near the identity.

    Args:
        channels: Of input and output.
        hidden: Between the convolutions; 0: as many.
    """

    def __init__(self, channels: int, hidden: int = 0) -> None:
        """Build the layers."""
        super().__init__()
        self.first = nn.Conv2d(channels, hidden or channels, 3, padding=1)
        self.second = nn.Conv2d(hidden or channels, channels, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.1)
            self.second.bias.zero_()  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to the same."""
        return x + self.second(F.relu(self.first(x)))


def blocks(count: int, channels: int, hidden: int = 0) -> nn.Sequential:
    """Residual blocks in a row."""
    return nn.Sequential(*(ResidualBlock(channels, hidden) for _ in range(count)))


def joining_conv(parts: int, keep: int, width: int, *, size: int = 1) -> nn.Conv2d:
    """A convolution of several maps that begins by passing one of them through.

    Args:
        parts: Channels of all maps joined.
        keep: First channel of the map passed through.
        width: Its channels, and those of the output.
        size: Side of the kernel.
    """
    conv = nn.Conv2d(parts, width, size, padding=size // 2)
    with torch.no_grad():
        conv.weight.mul_(0.1)
        conv.bias.zero_()  # type: ignore[union-attr]
        index = torch.arange(width)
        conv.weight[index, keep + index, size // 2, size // 2] += 1
    return conv


class UpsamplingBlock(nn.Module):
    """Residual block that doubles its maps' size; the shortcut repeats samples.

    The paper says that deconvolution upsamples; the drawing's kernel sizes are lost, ours are 4
    and 3.
    """

    def __init__(self, channels: int) -> None:
        """Build the layers."""
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, 2H, 2W]`."""
        return F.interpolate(x, scale_factor=2) + self.conv(F.relu(self.up(F.relu(x))))


class SoundBranch(nn.Module):
    """APB: sound features around a frame to maps over the face box.

        [M, 21, F] -> BiLSTM x 3 -> [M, 21 * 2C] -> linear -> [M, C, s, s]
            -> 5 x up -> [M, C, 32 s, 32 s]

    Args:
        channels: Of the maps.
        start: `s`, side of the maps before upsampling.
    """

    def __init__(self, channels: int, start: int) -> None:
        """Build the layers."""
        super().__init__()
        self.start = start
        self.channels = channels
        self.norm = nn.LayerNorm(FEATURES)
        self.lstm = nn.LSTM(FEATURES, channels, LSTM_LAYERS, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(21 * 2 * channels, channels * start * start)
        self.up = nn.Sequential(*(UpsamplingBlock(channels) for _ in range(UPSAMPLINGS)))

    def forward(self, sound: Tensor) -> Tensor:
        """Maps of `M` moments.

        Args:
            sound: `[M, 21, F]`.

        Returns:
            `[M, C, 32 s, 32 s]`.
        """
        with torch.autocast(sound.device.type, enabled=False):
            heard, _ = self.lstm(self.norm(sound.float()))  # [M, 21, 2 C]
        maps = self.linear(heard.flatten(1)).view(-1, self.channels, self.start, self.start)
        return self.up(maps)


def lay_over_face(maps: Tensor, face: Tensor | None, size: torch.Size, scale: int) -> Tensor:
    """Maps laid over the face box of a picture, zero elsewhere.

    Args:
        maps: `[M, C, S, S]`.
        face: int32 `[M, 4]`: x, y, width, height in luma samples; may reach outside the picture.
            None: the whole picture.
        size: Height and width of the feature maps to cover.
        scale: Luma samples to a feature sample.

    Returns:
        `[M, C, *size]`.
    """
    if face is None:
        return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
    box = face.to(torch.float32) / scale
    rows = torch.arange(size[0], device=maps.device) + 0.5
    columns = torch.arange(size[1], device=maps.device) + 0.5
    x = 2 * (columns - box[:, :1]) / box[:, 2:3].clamp(min=1) - 1  # [M, w]
    y = 2 * (rows - box[:, 1:2]) / box[:, 3:4].clamp(min=1) - 1  # [M, h]
    grid = torch.stack(
        [x[:, None, :].expand(-1, size[0], -1), y[:, :, None].expand(-1, -1, size[1])], dim=-1
    )
    return F.grid_sample(maps, grid.to(maps.dtype), align_corners=False, padding_mode="zeros")


class Fusion(nn.Module):
    """Sound and picture joined; with attention (SAF) or by convolution alone.

        M = sigmoid(linear([Fv, Fa]));  Fagg = conv([Fv, M * Fa])

    `M` is one value per position, 0 where the sound does not help. The convolution begins by
    passing the picture through, so that the sound is learnt as an addition.

    Source:
        DAVD-Net, 3.4, equations 3 and 4; "a few convolutional layers" are two here.
    """

    def __init__(self, channels: int, sound_channels: int, *, attention: bool) -> None:
        """Build the layers."""
        super().__init__()
        both = channels + sound_channels
        self.attend = nn.Conv2d(both, 1, 1) if attention else None
        self.join = joining_conv(both, 0, channels, size=3)
        self.refine = ResidualBlock(channels)

    def forward(self, picture: Tensor, sound: Tensor) -> Tensor:
        """`[B, C, H, W]` and `[B, Cs, H, W]` to `[B, C, H, W]`."""
        if self.attend is not None:
            sound = sound * torch.sigmoid(self.attend(torch.cat([picture, sound], dim=1)))
        return self.refine(self.join(torch.cat([picture, sound], dim=1)))


class DavdNet(Restorer):
    """The network of the paper and its switches.

    Args:
        config: `audio` is APB, `attention` SAF; CPM is `projector`, set by who builds the network.
    """

    def __init__(self, config: NetworkConfig) -> None:
        """Build the layers."""
        super().__init__(config)
        lite = config.width == "lite"
        self.scale = 2 if lite else 1
        width = config.channels
        window = 2 * config.radius + 1
        seen = input_channels(config, self.scale)
        self.pictures = 6 if lite else 3
        self.head: nn.Conv2d | None = None
        if config.front_blocks:
            self.head = nn.Conv2d(seen, width, 3, padding=1)
            self.front = blocks(config.front_blocks, width, config.hidden)
            self.fuse = joining_conv(window * width, config.radius * width, width)
        else:
            beside = self.pictures + (config.priors or config.qp)
            self.fuse = nn.Conv2d(seen + (window - 1) * beside, width, 3, padding=1)
            self._begin_with_the_picture(config.radius * beside)
        self.align: DeformAlign | None = None
        if config.align and not lite:
            self.align = DeformAlign(width if self.head else seen, reach=config.reach)
        self.video = blocks(config.video_blocks, width, config.hidden)
        self.sound = SoundBranch(config.sound_channels, 1 if lite else 4) if config.audio else None
        if config.audio:
            self.join = Fusion(width, config.sound_channels, attention=config.attention)
        self.rebuild = blocks(config.blocks, width, config.hidden)
        self.tail = nn.Conv2d(width, self.pictures, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        convolutions = 3 + 2 * (config.front_blocks + config.video_blocks + config.blocks)
        convolutions += 4 if config.audio else 0
        reach = config.reach + (2 * CELL if lite else 3) if config.align else 0
        self.margin = grid_multiple(self.scale * (convolutions + reach))

    @torch.no_grad()
    def _begin_with_the_picture(self, first: int) -> None:
        """Let the first layer see the decoded picture alone; the rest grows as it proves useful.

        Random weights on forty channels of side information drown the picture's six, which slows
        the start of the training.
        """
        share = self.pictures / self.fuse.weight.shape[1]
        kept = self.fuse.weight[:, first : first + self.pictures] / share**0.5
        self.fuse.weight.zero_()
        self.fuse.weight[:, first : first + self.pictures] = kept

    def features(self, sample: Sample) -> Features:
        """What each frame brings: front features, and luma where a motion search will want it."""
        seen = channels(sample, self.config, self.scale)  # [B, T, C, h, w]
        front = seen
        if self.head is not None:
            flat = seen.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            front = self.front(F.relu(self.head(flat))).unflatten(0, seen.shape[:2])
        if self.config.align and self.align is None:
            return front, seen[:, :, :4].mean(2) / GAIN
        return (front,)

    def correction(self, features: Features, sample: Sample) -> Tensor:
        """Align, fuse, hear, rebuild."""
        front = features[0]  # [B, T, C, h, w]
        batch, middle = front.shape[0], front.shape[1] - 2 * self.radius
        centre = front[:, self.radius : self.radius + middle].flatten(0, 1)  # [B N, C, h, w]
        parts = []
        for step in range(2 * self.radius + 1):
            part = centre
            if step != self.radius:
                part = front[:, step : step + middle].flatten(0, 1)
                if self.config.align:
                    part = self._aligned(part, centre, features, step)
                if self.head is None:
                    part = self._beside(part, centre)
            parts.append(part)
        x = self.fuse(torch.cat(parts, dim=1).contiguous(memory_format=torch.channels_last))
        x = self.video(F.relu(x) if self.head is None else x)
        if self.sound is not None:
            x = self.join(x, self._heard(sample, x))
        return self.tail(self.rebuild(x)).unflatten(0, (batch, middle))

    def _beside(self, part: Tensor, centre: Tensor) -> Tensor:
        """Of a neighbour's channels the picture, as its difference, and QP."""
        change = NEAR * (part[:, : self.pictures] - centre[:, : self.pictures])
        place = 3 * self.pictures if self.config.priors else self.pictures
        return torch.cat([change, part[:, place : place + 1]], dim=1)

    def _aligned(self, part: Tensor, centre: Tensor, features: Features, step: int) -> Tensor:
        """A neighbour's maps in the centre's place; `step` is its place in the window."""
        if self.align is not None:
            return self.align(part, centre)
        luma = features[1]
        middle = luma.shape[1] - 2 * self.radius
        with torch.no_grad():
            flow = motion_search(
                luma[:, self.radius : self.radius + middle].flatten(0, 1),
                luma[:, step : step + middle].flatten(0, 1),
                reach=int(self.config.reach),
                cell=CELL,
            )
            flow = flow.repeat_interleave(CELL, -2).repeat_interleave(CELL, -1)
        return warp(part, flow)

    def _heard(self, sample: Sample, x: Tensor) -> Tensor:
        """Sound maps over the face boxes, `[B N, Cs, h, w]`; silence where there is no sound."""
        assert self.sound is not None
        if sample.sound is None:
            sound = x.new_zeros(x.shape[0], 21, FEATURES, dtype=torch.float32)
        else:
            sound = sample.sound.flatten(0, 1)
        face = sample.face
        if face is not None:
            face = face.repeat_interleave(x.shape[0] // face.shape[0], dim=0)
        maps = self.sound(sound)
        return lay_over_face(maps, face, x.shape[-2:], self.scale)
