"""Training samples varied in ways that the codec would not mind.

A few minutes of video hold few faces, and a network soon knows them by heart. What is done here
gives samples as another encode would have: mirrored, with another contrast, in another light. H.264
works in steps that double with every six of QP, so samples scaled by `2 ** (k / 6)` around mid-grey
are what QP + k would have given; QP is changed along. It codes differences, so a plane that is a
little brighter all over makes none. (Samples upside down or on their side, as is common elsewhere,
slowed learning to a half: what is lost at such rates differs between directions.)
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from .sample import Planes, Sample, blinded

GUESS_ERROR = 5.0
"""Standard deviation of a QP that is guessed from how many bits a picture takes."""

_MAPS = (
    "qp_y", "qp_cb", "qp_cr", "tu", "mb_type", "cbp", "field", "history",
    "cu_mode", "cu_size", "tu_size", "tu_kind", "unit_y",
)  # fmt: skip
_QPS = ("qp_y", "qp_cb", "qp_cr")


@dataclasses.dataclass(frozen=True)
class Augment:
    """How samples are varied; the numbers drawn are the sample's own."""

    mirror: bool = True
    """Exchange left and right in every other sample."""
    contrast: int = 0
    """Largest change of contrast, in steps of QP."""
    light: int = 0
    """Largest change of luma, and twice the largest of each chroma plane, in steps of 8 bit."""
    blind: float = 0.0
    """Share of the samples that lose their motion, and as many that lose all priors."""
    mute: float = 0.0
    """Share of the samples that lose their sound, so that silence says nothing of the picture."""

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        """A sample, varied.

        Raises:
            ValueError: It carries levels, which a changed picture would not have.
        """
        if self.mirror and random.integers(0, 2):
            sample = mirrored(sample)
        if self.contrast:
            sample = contrasted(sample, int(random.integers(-self.contrast, self.contrast + 1)))
        if self.light:
            reach = np.array([self.light, self.light // 2, self.light // 2])
            sample = lit(sample, random.integers(-reach, reach + 1).tolist())
        if self.blind and (chance := random.random()) < 2 * self.blind:
            sample = _blinded(sample, random, priors=chance < self.blind)
        if self.mute and random.random() < self.mute:
            sample = dataclasses.replace(sample, sound=None)
        return sample


def _blinded(sample: Sample, random: np.random.Generator, *, priors: bool) -> Sample:
    """A sample as of a video whose bitstream says less, told a QP that is roughly guessed."""
    qp = 0
    if sample.qp_y is not None:
        mean = float(sample.qp_y.float().mean()) + random.normal(0, GUESS_ERROR)
        qp = min(max(round(mean), 1), 51)
    blind = blinded(sample, priors=priors, qp=qp)
    if sample.flow is None:  # nor have those of its batch motion
        blind = dataclasses.replace(blind, flow=None, history=None)
    return blind


def mirrored(sample: Sample) -> Sample:
    """A sample, left and right exchanged.

    Raises:
        ValueError: It carries levels, which a mirrored picture would not have.
    """
    if sample.level is not None:
        raise ValueError("a sample with levels cannot be mirrored")
    width = sample.decoded.y.shape[-1]
    changes: dict[str, object] = {}
    for field in dataclasses.fields(sample):
        value = getattr(sample, field.name)
        if isinstance(value, Planes):
            changes[field.name] = value.map(lambda plane: plane.flip(-1))
        elif field.name in ("face", "mouth") and value is not None:
            x, y, across, down = value.tolist()
            changes[field.name] = value.new_tensor([width - x - across, y, across, down])
        elif field.name == "flow" and value is not None:
            across = value.new_tensor([-1, 1, -1, 1])[:, None, None]
            changes[field.name] = value.flip(-1) * across
        elif field.name == "unit_x" and value is not None:
            assert sample.tu_size is not None and sample.cu_size is not None
            size = torch.where(sample.tu_size > 0, sample.tu_size, sample.cu_size).int()
            last = (1 << (size - 2).clamp(0, 4)) - 1
            changes[field.name] = (last - value).to(value.dtype).flip(-1)
        elif field.name in _MAPS and value is not None:
            changes[field.name] = value.flip(-1)
    return dataclasses.replace(sample, **changes)  # type: ignore[arg-type]


def contrasted(sample: Sample, steps: int) -> Sample:
    """A sample as it would be with `2 ** (steps / 6)` times the contrast, and QP accordingly.

    Raises:
        ValueError: It carries levels; they would be those of the other contrast.
    """
    if sample.level is not None:
        raise ValueError("a sample with levels cannot be given another contrast")
    if steps == 0:
        return sample
    gain = 2.0 ** (steps / 6)
    residual = sample.residual
    if residual is not None:
        wide = torch.int16 if max(sample.bit_depth) == 8 else torch.int32
        residual = residual.map(lambda plane: (plane.float() * gain).round().to(wide))
    qps = {
        name: (value.to(torch.int16) + steps).clamp(0, 51).to(value.dtype)
        for name in _QPS
        if (value := getattr(sample, name)) is not None
    }
    if sample.history is not None:
        qp, age = sample.history.unbind(-3)
        qp = (qp.to(torch.int16) + steps).clamp(0, 51).to(age.dtype)
        qps["history"] = torch.stack([qp, age], dim=-3)
    seen = _pictures(sample, lambda plane, _, depth: _scaled(plane, gain, depth))
    return dataclasses.replace(sample, residual=residual, **seen, **qps)  # type: ignore[arg-type]


def lit(sample: Sample, steps: Sequence[int]) -> Sample:
    """A sample with each plane brighter or darker by so many 256ths of its range.

    Raises:
        ValueError: It carries levels; where samples are clipped, they would be other ones.
    """
    if sample.level is not None:
        raise ValueError("a sample with levels cannot be put in another light")
    seen = _pictures(sample, lambda plane, k, depth: _shifted(plane, steps[k], depth))
    return dataclasses.replace(sample, **seen)  # type: ignore[arg-type]


def _pictures(sample: Sample, change: Callable[[Tensor, int, int], Tensor]) -> dict[str, Planes]:
    """What is to be seen of a sample, changed by `change(plane, its number, its bit depth)`."""
    depths = (sample.bit_depth[0], sample.bit_depth[1], sample.bit_depth[1])
    seen = {name: getattr(sample, name) for name in ("decoded", "clean", "prediction")}
    return {
        name: Planes(*(change(planes[k], k, depth) for k, depth in enumerate(depths)))
        for name, planes in seen.items()
        if planes is not None
    }


def _shifted(plane: Tensor, step: int, depth: int) -> Tensor:
    wide = plane.to(torch.int32) + (step << (depth - 8))
    return wide.clamp(0, (1 << depth) - 1).to(plane.dtype)


def _scaled(plane: Tensor, gain: float, depth: int) -> Tensor:
    middle = float(1 << (depth - 1))
    scaled = (plane.float() - middle) * gain + middle
    return scaled.round().clamp(0, (1 << depth) - 1).to(plane.dtype)
