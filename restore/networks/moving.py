"""Corrections carried along the decoded vectors over frames that say next to nothing new.

    busy frame          quiet frames              busy frame
    network             half of each side's       network
    correction --moved--> correction <--moved-- correction

Most B pictures of a low bit rate video are skipped macroblocks: copies of their neighbours, and so
is what the network finds in them. Here a frame of which nearly all is skipped is not given to the
network; its correction is the mean of those of the busy frames on both sides, moved along the
vectors step by step. On talking heads about half of the frames are left out for less than 0.1 dB.
"""

from collections import deque

import torch
from torch import Tensor
from torch.nn import functional as F

from ...data.motion import UNIT
from ...data.sample import Planes, Sample
from ...data.units import has_units, skipped
from .picture import normal, spread
from .restorer import Restorer, Stream

MOST = 8  # quiet frames in a row; the next one is restored


def quiet_share(skip: Tensor) -> float:
    """Share of a frame that is skipped, by the map of what is."""
    return float(skip.float().mean())


def moved(plane: Tensor, flow: Tensor, size: tuple[int, int]) -> Tensor:
    """A plane where a flow finds it, bilinear, its edge repeated outside.

    Args:
        plane: `[1, 1, H, W]`, of any plane of the picture.
        flow: `[1, 1, 2, h, w]`, x and y in steps of luma as in `motion.flow`.
        size: Height and width of luma.
    """
    height, width = plane.shape[-2:]
    steps = torch.tensor([2 / (UNIT * side) for side in (size[1], size[0])], device=plane.device)
    step = spread(flow[0, 0].float(), plane.shape[-2:]) * steps[:, None, None]
    across = (2 * torch.arange(width, device=plane.device) + 1) / width - 1
    down = (2 * torch.arange(height, device=plane.device) + 1) / height - 1
    grid = torch.stack([across + step[0], down[:, None] + step[1]], dim=-1)
    return F.grid_sample(plane, grid[None], padding_mode="border", align_corners=False)


class MovingStream(Stream):
    """Restores busy frames, and moves their corrections over the quiet ones between.

    Args:
        network: In evaluation mode, on its device.
        amp: bf16 in the network's convolutions.
        quiet: Share of skipped macroblocks from which on a frame is not given to the network.
    """

    def __init__(self, network: Restorer, *, amp: bool = False, quiet: float) -> None:
        """Begin with an empty window."""
        super().__init__(network, amp=amp)
        self._least = quiet
        self._last: Planes | None = None
        self._quiet: list[Sample] = []
        self._ready: deque[Planes] = deque()

    def flush(self) -> list[Planes]:
        """End of the video: the frames still on their way, in order. The stream is then empty."""
        rest = super().flush()
        self._fill(None)
        rest += self._ready
        self._ready.clear()
        self._last = None
        return rest

    def _restored(self, middle: Sample) -> Planes | None:
        """The next frame that is done, if there is one."""
        if self._is_quiet(middle):
            self._quiet.append(middle)
        else:
            restored = super()._restored(middle)
            assert restored is not None
            change = _less(restored, normal(middle.decoded, middle.bit_depth))
            self._fill(change)
            self._last = change
            self._ready.append(restored)
        return self._ready.popleft() if self._ready else None

    def _is_quiet(self, frame: Sample) -> bool:
        if self._last is None or frame.flow is None or not has_units(frame):
            return False
        return len(self._quiet) < MOST and quiet_share(skipped(frame)) >= self._least

    def _fill(self, after: Planes | None) -> None:
        """Finish the quiet frames between the last correction and the one after them."""
        sides = [_carried(self._last, self._quiet, ahead=False)]
        if after is not None:
            sides.append(_carried(after, self._quiet[::-1], ahead=True)[::-1])
        for frame, *changes in zip(self._quiet, *sides, strict=True):
            decoded = normal(frame.decoded, frame.bit_depth)
            restored = [
                plane + sum(parts) / len(parts)
                for plane, *parts in zip(decoded, *changes, strict=True)
            ]
            self._ready.append(self._network.finish(Planes(*restored), frame))
        self._quiet = []


def _carried(change: Planes | None, frames: list[Sample], *, ahead: bool) -> list[Planes]:
    """A correction moved into one frame after another, each from the one after or before it."""
    out = []
    for frame in frames:
        assert frame.flow is not None and change is not None
        flow = frame.flow[:, :, 2:] if ahead else frame.flow[:, :, :2]
        size = (frame.decoded.y.shape[-2], frame.decoded.y.shape[-1])
        change = Planes(*(moved(p, flow, size) if p.numel() else p for p in change))
        out.append(change)
    return out


def _less(planes: Planes, others: Planes) -> Planes:
    return Planes(*(a - b for a, b in zip(planes, others, strict=True)))
