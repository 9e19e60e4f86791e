"""A network that carries what it has seen from frame to frame along the decoded motion vectors.

    frame t -> channels -> head, front blocks -> x(t)                    once a frame, no neighbour
    h(t) = blocks(join(x(t), gate * h(t-1) moved))                       forward, from the start
    b(t) = blocks(join(h(t), gate * b(t+1) moved))                       backward, some frames ahead
    b(t) -> rebuild -> tail -> correction of frame t

Luma is folded four by four beside chroma folded two by two, so that every convolution works on a
sixteenth of the positions; nothing is interpolated. A place is moved as the bitstream says
(`data/motion.py`), without a search. The gate, one value a position, can let go of what was
carried: where a residual was sent, at a cut, where a vector is no motion.

`carry` says how far this goes: "none" sees one frame, "neighbours" sees x(t-1) and x(t+1) moved,
"forward" is h alone, "both" is all of it. What the bitstream does not say (no motion, no priors)
is given as zeros, QP 0 and the greatest age, which training shows now and then (`data.blind`).

In a stream the forward state is kept for ever and the backward one begins anew a few frames ahead;
a tile, a cut and a seek begin with an empty state.
"""

from collections import deque

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.motion import UNIT
from ...data.sample import FEATURES, Planes, Sample, blinded
from ...data.units import has_units
from ..config import NetworkConfig
from .align import warp
from .davd import Fusion, SoundBranch, blocks, joining_conv, lay_over_face
from .picture import GAIN, MAP_GAIN, MAPS, halved, maps, normal, spread
from .restorer import Features, Restorer, Stream, grid_multiple

FOLD = 4  # luma samples to a position, each way
FOLDED = FOLD * FOLD + 2 * (FOLD // 2) ** 2  # channels of a folded picture
NOTES = 6  # QP last coded, age, and the flows
LEAD = 12  # frames before the first one wanted that a state is made of
_SPAN = 8.0  # luma samples of flow that count as one


def fold(planes: Planes) -> Tensor:
    """Float planes as channels, `[..., H, W]` to `[..., 24, H/4, W/4]`; chroma as of 4:2:0."""
    height, width = planes.y.shape[-2:]
    parts = [F.pixel_unshuffle(planes.y.unsqueeze(-3), FOLD)]
    for plane in planes[1:]:
        small = halved(plane, height // 2, width // 2)
        parts.append(F.pixel_unshuffle(small.unsqueeze(-3), FOLD // 2))
    return torch.cat(parts, dim=-3)


def unfold(channels: Tensor) -> Planes:
    """The planes of what `fold` made, 4:2:0."""
    y, cb, cr = channels.split([FOLD * FOLD, 4, 4], dim=-3)
    planes = [F.pixel_shuffle(y, FOLD), F.pixel_shuffle(cb, 2), F.pixel_shuffle(cr, 2)]
    return Planes(*(plane.squeeze(-3) for plane in planes))


class Carry(nn.Module):
    """One step in time: what was carried is gated, joined and worked on.

    Args:
        channels: Of everything.
        count: Residual blocks.
        gate: Weigh what is carried by position.
        carried: Maps that are carried: 0, 1 or 2 of `channels` each.
    """

    def __init__(self, channels: int, count: int, *, gate: bool, carried: int = 1) -> None:
        """Build the layers."""
        super().__init__()
        self.gate: nn.Conv2d | None = None
        if gate and carried:
            self.gate = nn.Conv2d((1 + carried) * channels, carried, 3, padding=1)
            nn.init.zeros_(self.gate.weight)
            nn.init.constant_(self.gate.bias, 2.0)  # type: ignore[arg-type]
        self.join = joining_conv((1 + carried) * channels, 0, channels, size=3) if carried else None
        self.blocks = blocks(count, channels)

    def forward(self, here: Tensor, *moved: Tensor) -> Tensor:
        """`[B, C, H, W]` each, to the same."""
        if self.join is None:
            return self.blocks(here)
        if self.gate is not None:
            shares = torch.sigmoid(self.gate(torch.cat([here, *moved], dim=1)))
            moved = tuple(m * shares[:, k : k + 1] for k, m in enumerate(moved))
        return self.blocks(F.relu(self.join(torch.cat([here, *moved], dim=1))))


class RecurrentNet(Restorer):
    """See the head of this file.

    Args:
        config: `front_blocks` before the carrying, `video_blocks` in each direction, `blocks`
            after it; `carry`, `gate`, `history`, `priors`; `audio` as in DAVD-Net.
    """

    def __init__(self, config: NetworkConfig) -> None:
        """Build the layers."""
        super().__init__(config)
        width = config.channels
        self.scale = FOLD
        seen = FOLDED + (2 * FOLDED + MAPS + NOTES if config.priors else 0)
        self.head = nn.Conv2d(seen, width, 3, padding=1)
        self._begin_with_the_picture()
        self.front = blocks(config.front_blocks, width)
        carried = {"none": 0, "neighbours": 2}.get(config.carry, 1)
        self.ahead = Carry(width, config.video_blocks, gate=config.gate, carried=carried)
        self.back: Carry | None = None
        if config.carry == "both":
            self.back = Carry(width, config.video_blocks, gate=config.gate)
        self.sound = SoundBranch(config.sound_channels, 1) if config.audio else None
        if config.audio:
            self.hear = Fusion(width, config.sound_channels, attention=config.attention)
        self.rebuild = blocks(config.blocks, width)
        self.tail = nn.Conv2d(width, FOLDED, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        steps = 1 if self.back is None else 2
        convolutions = 2 + 2 * (config.front_blocks + config.blocks)
        convolutions += steps * (2 + 2 * config.video_blocks) + (4 if config.audio else 0)
        self.margin = grid_multiple(FOLD * convolutions)

    @torch.no_grad()
    def _begin_with_the_picture(self) -> None:
        """The first layer sees the decoded picture alone at first, as DAVD-Net's here does."""
        share = FOLDED / self.head.weight.shape[1]
        self.head.weight[:, :FOLDED] /= share**0.5
        self.head.weight[:, FOLDED:] = 0

    @property
    def context(self) -> tuple[int, int]:
        """Frames before the first one wanted and after the last that a stream makes use of."""
        carries = self.config.carry in ("forward", "both")
        return (LEAD, self.config.look if self.back else 0) if carries else (self.radius,) * 2

    @property
    def burst(self) -> int:
        """Frames that a stream computes at a time."""
        return self.config.chunk if self.back else 1

    def stream(self, *, amp: bool = False, quiet: float = 0.0) -> Stream:
        """Something that restores a video frame by frame; with a state, which no frame may miss."""
        if self.config.carry in ("forward", "both"):
            return CarryStream(self, amp=amp)
        return super().stream(amp=amp, quiet=quiet)

    def features(self, sample: Sample) -> Features:
        """Features of each frame by itself, and where its places were and will be."""
        seen = self._channels(sample)
        flat = seen.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        front = self.front(F.relu(self.head(flat)))
        if sample.flow is None:
            flow = seen.new_zeros(*seen.shape[:2], 4, *seen.shape[-2:])
        else:
            flow = sample.flow.float() / (UNIT * FOLD)
        return front.unflatten(0, seen.shape[:2]), flow

    def correction(self, features: Features, sample: Sample) -> Tensor:
        """Carry over all frames given, beginning with nothing on either side."""
        front, flow = features
        x = self.carried(list(front.unbind(1)), list(flow.unbind(1)))
        return self.finished(torch.stack(x, dim=1), sample)

    def carried(self, front: list[Tensor], flow: list[Tensor]) -> list[Tensor]:
        """Features of some frames in a row after both directions."""
        if self.config.carry == "none":
            return [self.ahead(x) for x in front]
        if self.config.carry == "neighbours":
            return [
                self.ahead(
                    front[k],
                    warp(front[k - 1], flow[k][:, :2]),
                    warp(front[k + 1], flow[k][:, 2:]),
                )
                for k in range(1, len(front) - 1)
            ]
        state: Tensor | None = None
        forward = []
        for x, move in zip(front, flow, strict=True):
            state = self.step_ahead(x, state, move)
            forward.append(state)
        return self.backward(forward, flow)

    def step_ahead(self, x: Tensor, state: Tensor | None, flow: Tensor) -> Tensor:
        """The forward state of a frame from that of the frame before."""
        return self.ahead(x, _moved(state, flow[:, :2], x))

    def backward(self, forward: list[Tensor], flow: list[Tensor]) -> list[Tensor]:
        """From the last of some frames to the first."""
        if self.back is None:
            return forward
        state: Tensor | None = None
        out = []
        for x, move in zip(reversed(forward), reversed(flow), strict=True):
            state = self.back(x, _moved(state, move[:, 2:], x))
            out.append(state)
        return out[::-1]

    def finished(self, x: Tensor, sample: Sample) -> Tensor:
        """Hear, rebuild: `[B, T, C, h, w]` to the correction, `[B, T, 24, h, w]`."""
        batch = x.shape[:2]
        x = x.flatten(0, 1)
        if self.sound is not None:
            x = self.hear(x, self._heard(sample, x))
        return self.tail(self.rebuild(x)).unflatten(0, batch)

    def corrected(self, features: Features, middle: Sample) -> Planes:
        """`restore` before projection and clipping."""
        return self.added(self.correction(features, middle), middle)

    def added(self, correction: Tensor, middle: Sample) -> Planes:
        """Decoded planes with a correction, not clipped."""
        decoded, change = normal(middle.decoded, middle.bit_depth), unfold(correction.float())
        return Planes(
            *(
                plane + spread(step, plane.shape[-2:]) if plane.numel() else plane
                for plane, step in zip(decoded, change, strict=True)
            )
        )

    def _channels(self, sample: Sample) -> Tensor:
        """All that the network sees of each frame, `[B, T, C, H/4, W/4]`."""
        decoded = fold(normal(sample.decoded, sample.bit_depth))
        parts = [GAIN * (decoded - 0.5)]
        if self.config.priors:
            if sample.prediction is None or sample.residual is None or not has_units(sample):
                sample = blinded(sample, priors=True)
            elif sample.flow is None or sample.history is None:
                sample = blinded(sample, priors=False)
            assert sample.prediction is not None and sample.residual is not None
            predicted = fold(normal(sample.prediction, sample.bit_depth)) - decoded
            residual = fold(normal(sample.residual, sample.bit_depth))
            notes = torch.cat([maps(sample, decoded.shape[-2:]), self._moves(sample)], dim=-3)
            parts += [2 * GAIN * predicted, 2 * GAIN * residual, MAP_GAIN * notes]
        return torch.cat(parts, dim=-3)

    def _moves(self, sample: Sample) -> Tensor:
        """QP last coded, age and flows, `[B, T, 6, h, w]`."""
        assert sample.history is not None and sample.flow is not None
        qp, age = sample.history.float().unbind(-3)
        both = torch.stack([(qp - 36) / 12, torch.log2(1 + age) / 4], dim=-3)
        if not self.config.history:
            both = torch.zeros_like(both)
        return torch.cat([both, (sample.flow.float() / (UNIT * _SPAN)).clamp(-2, 2)], dim=-3)

    def _heard(self, sample: Sample, x: Tensor) -> Tensor:
        """Sound maps over the face boxes, `[B T, Cs, h, w]`; silence where there is no sound."""
        assert self.sound is not None
        if sample.sound is None:
            sound = x.new_zeros(x.shape[0], 21, FEATURES, dtype=torch.float32)
        else:
            sound = sample.sound.flatten(0, 1)
        face = sample.face
        if face is not None:
            face = face.repeat_interleave(x.shape[0] // face.shape[0], dim=0)
        return lay_over_face(self.sound(sound), face, x.shape[-2:], FOLD)


def _moved(state: Tensor | None, flow: Tensor, like: Tensor) -> Tensor:
    """A state where a frame's flow finds it; zeros where there is none."""
    if state is None:
        return torch.zeros_like(like)
    return warp(state, flow).contiguous(memory_format=torch.channels_last)


class CarryStream(Stream):
    """Restores a video frame by frame; the forward state goes on, the backward one is made anew.

    `chunk` frames come out one by one when `look` frames after them have gone in; what is held
    does not grow.

    Args:
        network: In evaluation mode, on its device.
        amp: bf16 in the network's convolutions.
    """

    def __init__(self, network: RecurrentNet, *, amp: bool = False) -> None:
        """Begin with an empty state."""
        super().__init__(network, amp=amp)
        self._carrier = network
        both = network.back is not None
        self._chunk, self._look = (network.config.chunk, network.config.look) if both else (1, 0)
        self._state: Tensor | None = None
        self._waiting: list[tuple[Tensor, Tensor, Sample]] = []
        self._ready: deque[Planes] = deque()

    def push(self, frame: Sample) -> Planes | None:
        """Take the next frame; give the next restored one, if there is one."""
        with torch.inference_mode(), self._autocast(frame):
            front, flow = self._carrier.features(self._both(frame))
            self._state = self._carrier.step_ahead(front[:, 0], self._state, flow[:, 0])
        self._waiting.append((self._state, flow[:, 0], frame))
        if len(self._waiting) == self._chunk + self._look:
            self._restore(self._chunk)
        return self._ready.popleft() if self._ready else None

    def flush(self) -> list[Planes]:
        """End of the video: the frames still on their way, in order. The stream is then empty."""
        self._restore(len(self._waiting))
        rest = list(self._ready)
        self._ready.clear()
        self._state = None
        return rest

    def _restore(self, count: int) -> None:
        """Go back over all frames waiting and finish the first ones."""
        if not self._waiting:
            return
        states, flows, frames = zip(*self._waiting, strict=True)
        del self._waiting[:count]
        with torch.inference_mode(), self._autocast(frames[0]):
            done = self._carrier.backward(list(states), list(flows))
            for x, frame in zip(done[:count], frames[:count], strict=True):
                both = self._both(frame)
                change = self._carrier.finished(x[:, None], both)
                self._ready.append(self._finish(self._carrier.added(change, both), frame))
