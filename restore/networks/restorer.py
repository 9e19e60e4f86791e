"""What every network here is: a correction to decoded planes, in two steps.

    features(sample)            per frame, no neighbour seen: computed once a frame
    restore(features, sample)   per window of `2 * radius + 1` frames: align, fuse, correct

`forward` does both for all windows of a sample. What `stream` gives keeps the features of the
frames that are still needed, so that a video goes through with each frame's features computed once.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...data.augment import mirrored
from ...data.sample import Planes, Sample, collate
from ..config import NetworkConfig
from ..projection.cells import CellTable
from .picture import apply_correction, channels, display_rows, normal, spread

FULL_TRUST = 46  # QP from which on the whole correction is applied
# By so much less QP a picture of H.264 is as damaged as one of HEVC, to weights that know H.264
# alone: of 0, 4, 6, 8 and 11 the best on clips by x265 at CRF 38 and 42 (12 frames of 4 speakers).
KINDER = 6

Features = tuple[Tensor, ...]
"""Tensors `[B, T, ...]` that belong to frames one by one."""

Projector = Callable[[Planes, Sample], Planes]
"""Takes restored float planes and the sample of the same frames; gives planes in their cells."""


class Restorer(nn.Module, ABC):
    """A network that restores frames from their decoded neighbourhood.

    Attributes:
        config: What it was built from.
        scale: 1: sees luma at its own size; 2: luma folded two by two beside chroma.
        margin: Luma samples by which a tile must be larger on each inner side, a multiple of 16,
            for its inside to come out as in the whole frame.
        projector: Applied to every output when set (CPM); then gradients pass through it.
        cells: Calibrated cells that came with the weights, for a projector made later.
        codec: Of the clips that the weights were trained on.
        blind: They have learnt to do without priors.
    """

    scale: int = 1
    margin: int = 64
    projector: Projector | None = None
    cells: CellTable | None = None
    codec: str = "h264"
    blind: bool = False

    def __init__(self, config: NetworkConfig) -> None:
        """Keep the configuration."""
        super().__init__()
        self.config = config

    @property
    def radius(self) -> int:
        """Frames used on each side of the one restored."""
        return self.config.radius

    @property
    def context(self) -> tuple[int, int]:
        """Frames before the first one wanted and after the last that a stream makes use of."""
        return self.radius, self.radius

    @property
    def burst(self) -> int:
        """Frames that a stream computes at a time."""
        return 1

    def stream(self, *, amp: bool = False, quiet: float = 0.0) -> "Stream":
        """Something that restores a video frame by frame.

        Args:
            amp: bf16 in the convolutions; planes and projection stay float32.
            quiet: Share of skipped macroblocks from which on a frame is not restored by itself:
                its neighbours' corrections are moved to it. 0: every frame is restored.
        """
        if quiet:
            from .moving import MovingStream

            return MovingStream(self, amp=amp, quiet=quiet)
        return Stream(self, amp=amp)

    def features(self, sample: Sample) -> Features:
        """What a window needs of each of its frames: by default the input channels themselves.

        Args:
            sample: A batch of `T` frames, in any relation to each other.

        Returns:
            Tensors `[B, T, ...]`.
        """
        return (channels(sample, self.config, self.scale),)

    @abstractmethod
    def correction(self, features: Features, sample: Sample) -> Tensor:
        """The correction to each frame that has `radius` neighbours on both sides.

        Args:
            features: Of `T` frames.
            sample: The `N = T - 2 * radius` frames in the middle.

        Returns:
            `[B, N, 3, H, W]` at scale 1, `[B, N, 6, H/2, W/2]` at scale 2.
        """

    def restore(self, features: Features, middle: Sample) -> Planes:
        """Restored planes of the frames in the middle.

        Args:
            features: Of `T` frames.
            middle: The `N = T - 2 * radius` frames that have neighbours on both sides.

        Returns:
            Planes `[B, N, H, W]` in [0, 1].
        """
        return self.finish(self.corrected(features, middle), middle)

    def corrected(self, features: Features, middle: Sample) -> Planes:
        """`restore` before projection and clipping."""
        change = self.correction(features, middle)
        decoded = normal(middle.decoded, middle.bit_depth)
        return apply_correction(decoded, change, self.scale, self.config.colour)

    def as_known(self, sample: Sample) -> Sample:
        """A sample as the weights know such pictures.

        At the same QP HEVC leaves less damage than H.264: its blocks fit better and SAO takes some
        away. Weights that were trained on H.264 alone, told the QP of HEVC, correct too much.
        """
        if self.codec != "h264" or sample.cu_mode is None or sample.qp_y is None:
            return sample
        history = sample.history
        if history is not None:
            qp, age = history.unbind(-3)
            history = torch.stack([_kinder(qp), age], dim=-3)
        return dataclasses.replace(sample, qp_y=_kinder(sample.qp_y), history=history)

    def damped(self, restored: Planes, middle: Sample) -> Planes:
        """Hold back a share of the correction, by QP, where the configuration says so.

        On pictures unlike those trained with, a correction is right in its direction and too
        large, the more so the finer the quantisation was: there is less to repair, and what looks
        like a flaw is more often detail. A macroblock keeps `1 - damp * (46 - QP)` of it, 0 to 1.

        Raises:
            ValueError: QP is not in the sample.
        """
        if not self.config.damp:
            return restored
        if middle.qp_y is None:
            raise ValueError("this network holds back by QP: not in the priors")
        share = (1 - self.config.damp * (FULL_TRUST - middle.qp_y.float())).clamp(0, 1)
        decoded = normal(middle.decoded, middle.bit_depth)
        return Planes(
            *(
                before
                + display_rows(spread(share, before.shape[-2:]), middle.field) * (after - before)
                if before.numel()
                else before
                for before, after in zip(decoded, restored, strict=True)
            )
        )

    def finish(self, restored: Planes, middle: Sample) -> Planes:
        """Project, where there is a projector, and clip."""
        if self.projector is not None:
            with torch.autocast(restored.y.device.type, enabled=False):
                restored = self.projector(restored, middle)
        return restored.map(lambda plane: plane.clamp(0, 1))

    def forward(self, sample: Sample) -> Planes:
        """Restore all frames of a batch but the first and last `radius`.

        Args:
            sample: A batch, `T > 2 * radius` frames.

        Returns:
            Planes `[B, T - 2 * radius, H, W]` in [0, 1].

        Raises:
            ValueError: Fewer frames than a window has.
        """
        if sample.frames <= 2 * self.radius:
            raise ValueError(f"{sample.frames} frames: a window is {2 * self.radius + 1}")
        middle = sample.cut(self.radius, sample.frames - self.radius)
        return self.restore(self.features(sample), middle)

    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())


class Stream:
    """Restores a video frame by frame, in constant memory.

    The first and the last frame stand in for the neighbours that they lack. A frame comes out
    `radius` frames after it went in; for each that goes in one comes out in the end. With `mirror`
    in the network's configuration every frame is also restored left-right mirrored, in the same
    batch, and the two are averaged.

    Args:
        network: In evaluation mode, on its device.
        amp: bf16 in the network's convolutions; planes and projection stay float32.
    """

    def __init__(self, network: Restorer, *, amp: bool = False) -> None:
        """Begin with an empty window."""
        self._network = network
        self._amp = amp
        self._window: list[tuple[Features, Sample]] = []

    def push(self, frame: Sample) -> Planes | None:
        """Take the next frame.

        Args:
            frame: A batch of one frame in time (`T = 1`), on the network's device.

        Returns:
            The restored frame `radius` places back, planes `[B, 1, H, W]`; None while the first
            ones are on their way.
        """
        with torch.inference_mode(), self._autocast(frame):
            entry = (self._network.features(self._both(frame)), frame)
        if not self._window:
            self._window = [entry] * self._network.radius
        self._window.append(entry)
        return self._step()

    def flush(self) -> list[Planes]:
        """End of the video: the frames still on their way, in order. The stream is then empty."""
        restored = []
        for _ in range(self._network.radius if self._window else 0):
            self._window.append(self._window[-1])
            step = self._step()
            if step is not None:
                restored.append(step)
        self._window = []
        return restored

    def _step(self) -> Planes | None:
        size = 2 * self._network.radius + 1
        if len(self._window) < size:
            return None
        self._window = self._window[-size:]
        return self._restored(self._window[self._network.radius][1])

    def _restored(self, middle: Sample) -> Planes | None:
        """The frame in the middle of the window."""
        features = tuple(
            torch.cat(parts, dim=1)
            for parts in zip(*(entry[0] for entry in self._window), strict=True)
        )
        with torch.inference_mode(), self._autocast(middle):
            if not (self._network.config.mirror or self._network.config.damp):
                return self._network.restore(features, middle)
            return self._finish(self._network.corrected(features, self._both(middle)), middle)

    def _finish(self, restored: Planes, frame: Sample) -> Planes:
        """A frame as it comes out: the mean with its mirror image, damped, in its cells."""
        if self._network.config.mirror:
            restored = restored.map(lambda plane: (plane[:1] + plane[1:].flip(-1)) / 2)
        known = self._network.as_known(frame)
        return self._network.finish(self._network.damped(restored, known), frame)

    def _both(self, frame: Sample) -> Sample:
        """What the network sees of a frame; with its mirror image, where mirroring is asked for."""
        frame = self._network.as_known(frame)
        if not self._network.config.mirror:
            return frame
        bare = dataclasses.replace(frame, level=None)
        single = bare.apply(lambda tensor: tensor[0])
        return collate([single, mirrored(single)])

    def _autocast(self, sample: Sample) -> torch.autocast:
        device = sample.decoded.y.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self._amp)


def _kinder(qp: Tensor) -> Tensor:
    """QP of HEVC as that of H.264."""
    return (qp.to(torch.int16) - KINDER).clamp(min=0).to(qp.dtype)


def grid_multiple(samples: float) -> int:
    """The multiple of 16 at or above a number of luma samples."""
    return 16 * math.ceil(samples / 16)


def fast_bf16(device: torch.device | str) -> bool:
    """Whether a device computes bfloat16 faster than float32.

    On CPUs that is so with AMX or AVX-512 BF16; elsewhere bfloat16 is emulated and slower.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu":
        return False
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in names)
