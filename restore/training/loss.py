"""What training makes small, and how fast: the loss of restored planes and the learning rate."""

import math

import torch
from torch import Tensor

from ...data.sample import Planes, Sample
from ..config import NetworkConfig, TrainConfig
from ..networks.picture import normal

FLOOR = 1e-4  # added to a crop's squared error before its logarithm: 40 dB, flat crops count less


def plane_loss(
    restored: Planes, sample: Sample, network: NetworkConfig, settings: TrainConfig
) -> Tensor:
    """Mean error of luma, and of chroma at its weight; values in [0, 1].

    Args:
        restored: `[B, N, H, W]`.
        sample: The `N + 2 * radius` frames it was restored from, with their source.
        network: For its radius.
        settings: Which error, and chroma's weight.
    """
    assert sample.clean is not None
    middle = sample.cut(network.radius, sample.frames - network.radius)
    assert middle.clean is not None
    total = restored.y.new_zeros(())
    weights = (1.0, settings.chroma, settings.chroma)
    clean = normal(middle.clean, sample.bit_depth)
    for weight, plane, wanted in zip(weights, restored, clean, strict=True):
        if not wanted.numel() or not weight:
            continue
        error = plane - wanted
        if settings.loss == "l1":
            total = total + weight * error.abs().mean()
        elif settings.loss == "rms":
            total = total + weight * (error.square().mean((-2, -1)) + 1e-8).sqrt().mean()
        elif settings.loss == "log":  # a fixed share of the error counts the same in any picture
            total = total + weight * 0.1 * (error.square().mean((-2, -1)) + FLOOR).log().mean()
        else:  # Charbonnier, as EDVR's with its 1e-6
            total = total + weight * torch.sqrt(error.square() + 1e-6).mean()
    return total


def learning_rate(settings: TrainConfig, step: int, share: float) -> float:
    """Rate of a step: linear warm-up, then constant or half a cosine down to 1 %."""
    warm = min(1.0, (step + 1) / max(settings.warmup, 1))
    if settings.schedule == "constant":
        return settings.lr * warm
    return settings.lr * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * min(share, 1.0))) / 2)
