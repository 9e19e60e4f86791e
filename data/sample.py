"""What networks, projection and metrics are given: some frames in a row, with all that is known.

Every tensor of a `Sample` starts with the frames, `T`; `collate` puts the batch, `B`, before it.
Planes and maps stay in the integers of the priors file until a network reads them, which keeps
the way to a GPU narrow. `T` frames give `T - 2 * radius` restored ones: at the ends of a video the
reader repeats the first or the last frame.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..bitstream.priors.hevc import CuMode
from ..bitstream.priors.schema import MbType, PictureType

FEATURE_FRAMES = 21  # sound feature frames around a picture: 210 ms ("DAVD-Net, 4.2")
OLDEST = 255  # age of a place that was never coded in the file, frames
FEATURES = 39  # 13 MFCC, their first and second differences


class Planes(NamedTuple):
    """The three sample planes of pictures, `[..., H, W]` each; chroma at its own size."""

    y: Tensor
    cb: Tensor
    cr: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> "Planes":
        """The planes after a function of one plane."""
        return Planes(*(function(plane) for plane in self))


@dataclasses.dataclass(frozen=True)
class Sample:
    """Frames in a row, cut from the coded picture on its 16-sample grid.

    With a batch every tensor has one more leading axis, `B`. Names and values of the maps are
    those of the priors file. Maps of one codec are absent in samples of the other.
    """

    decoded: Planes
    """uint8 or int16 `[T, H, W]`: decoder output."""
    clean: Planes | None = None
    """Like `decoded`: the source before it was encoded."""
    prediction: Planes | None = None
    """Like `decoded`: prediction before the residual is added."""
    residual: Planes | None = None
    """int8, int16 or int32 `[T, H, W]`: decoded residual (int8: limited to -128..127)."""
    level: Planes | None = None
    """int16 or int32 `[T, H, W]`: transform coefficient levels."""
    qp_y: Tensor | None = None
    """int8 `[T, H/16, W/16]`: QP of luma; of HEVC `[T, H/4, W/4]`, and so those of chroma."""
    qp_cb: Tensor | None = None
    """int8 `[T, H/16, W/16]`."""
    qp_cr: Tensor | None = None
    """int8 `[T, H/16, W/16]`."""
    tu: Tensor | None = None
    """uint8 `[T, H/4, W/4]`: transform in force."""
    mb_type: Tensor | None = None
    """uint8 `[T, H/16, W/16]`."""
    cbp: Tensor | None = None
    """uint8 `[T, H/16, W/16]`: coded block pattern."""
    field: Tensor | None = None
    """uint8 `[T, H/16, W/16]`: field macroblock or field picture; None: there are none."""
    flow: Tensor | None = None
    """int16 `[T, 4, H/4, W/4]`: motion to the frame before and after, see `motion.flow`."""
    history: Tensor | None = None
    """uint8 `[T, 2, H/4, W/4]`: QP when last coded and age, see `motion.History`."""
    cu_size: Tensor | None = None
    """uint8 `[T, H/4, W/4]`, HEVC: log2 of the coding block's side."""
    cu_mode: Tensor | None = None
    """uint8 `[T, H/4, W/4]`, HEVC: how the coding unit is predicted."""
    cu_bypass: Tensor | None = None
    """bool `[T, H/4, W/4]`, HEVC: cu_transquant_bypass_flag."""
    tu_size: Tensor | None = None
    """uint8 `[T, H/4, W/4]`, HEVC: log2 of the luma transform block's side, 0 without one."""
    unit_x: Tensor | None = None
    """uint8 `[T, H/4, W/4]`, HEVC: how many 4x4 blocks further left the transform block, or without
    one the coding block, begins; a cut does not say where in its picture it lay."""
    unit_y: Tensor | None = None
    """uint8 `[T, H/4, W/4]`, HEVC: likewise, further up."""
    tu_kind: Tensor | None = None
    """uint8 `[T, H/4, W/4]`, HEVC: what makes the residual of luma."""
    tu_kind_cb: Tensor | None = None
    """uint8 `[T, H/4, W/4]`, HEVC."""
    tu_kind_cr: Tensor | None = None
    """uint8 `[T, H/4, W/4]`, HEVC."""
    res_scale_cb: Tensor | None = None
    """int8 `[T, H/4, W/4]`, HEVC in 4:4:4: ResScaleVal."""
    res_scale_cr: Tensor | None = None
    """int8 `[T, H/4, W/4]`, HEVC in 4:4:4."""
    picture_type: Tensor | None = None
    """uint8 `[T, 1, 1]`, HEVC: I 0, P 1, B 2."""
    scaling4x4: Tensor | None = None
    """uint8 `[T, 6, 16]`: scaling lists, in the order of the priors file."""
    scaling8x8: Tensor | None = None
    """uint8 `[T, 6, 64]`; of HEVC `[T, 18, 64]`: 8x8, 16x16, 32x32."""
    scaling_dc: Tensor | None = None
    """uint8 `[T, 2, 6]`, HEVC."""
    sound: Tensor | None = None
    """float32 `[T, 21, F]`: features around each frame; None: the network hears silence."""
    face: Tensor | None = None
    """int32 `[4]`: x, y, width, height of the face box in luma samples of this cut; None: all."""
    mouth: Tensor | None = None
    """int32 `[4]`: mouth region, likewise; width 0 where unknown."""
    start: Tensor | None = None
    """int64 `[]`: display index of the first frame."""
    bit_depth: tuple[int, int] = (8, 8)
    """Of luma and of chroma."""
    name: str | tuple[str, ...] = ""
    """The clip."""

    @property
    def frames(self) -> int:
        """Number of frames, `T`."""
        return self.decoded.y.shape[-3]

    def apply(self, function: Callable[[Tensor], Tensor]) -> "Sample":
        """The sample after a function of one tensor, planes included."""
        changes: dict[str, Tensor | Planes] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Planes):
                changes[field.name] = value.map(function)
            elif isinstance(value, Tensor):
                changes[field.name] = function(value)
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def to(self, device: torch.device | str) -> "Sample":
        """The sample on a device."""
        return self.apply(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Sample":
        """The sample in page-locked memory; called by `DataLoader`."""
        return self.apply(lambda tensor: tensor.pin_memory())

    def cut(self, start: int, stop: int) -> "Sample":
        """Frames `start` to `stop` of a batched sample; the boxes stay."""
        return self.apply(lambda tensor: tensor[:, start:stop] if tensor.dim() > 2 else tensor)


def collate(samples: Sequence[Sample]) -> Sample:
    """Stack samples of equal shape into a batch.

    Args:
        samples: At least one. Where some have sound, a face or field macroblocks, the others are
            given what stands for none: silence, the whole picture, zeros. All else is present in
            all or in none.

    Returns:
        One sample whose tensors have a leading axis `B`.
    """
    samples = _alike(samples)
    first = samples[0]
    fields: dict[str, object] = {
        "bit_depth": first.bit_depth,
        "name": tuple(str(sample.name) for sample in samples),
    }
    for field in dataclasses.fields(first):
        value = getattr(first, field.name)
        others = [getattr(sample, field.name) for sample in samples]
        if isinstance(value, Planes):
            fields[field.name] = Planes(*(torch.stack(planes) for planes in zip(*others)))  # noqa: B905 three planes each
        elif isinstance(value, Tensor):
            fields[field.name] = torch.stack(others)
    return Sample(**fields)  # type: ignore[arg-type]


def blinded(sample: Sample, *, priors: bool, qp: int = 0) -> Sample:
    """A sample as of a video whose bitstream says less.

    Args:
        sample: With or without a batch; what it lacks is made.
        priors: Nothing but the decoded picture is known; else all but motion is.
        qp: What QP is then guessed to be everywhere.

    Returns:
        With zeros for what is not known, the decoded picture as prediction, and the greatest age.
    """
    y = sample.decoded.y

    def zeros(step: int, kind: torch.dtype, *inner: int) -> Tensor:
        sides = y.shape[-2] // step, y.shape[-1] // step
        return y.new_zeros((*y.shape[:-2], *inner, *sides), dtype=kind)

    changes: dict[str, object] = {"flow": zeros(4, torch.int16, 4)}
    history = zeros(4, torch.uint8, 2)
    history[..., 1, :, :] = OLDEST
    if priors:
        history[..., 0, :, :] = qp
    elif sample.qp_y is not None:
        times = history.shape[-1] // sample.qp_y.shape[-1]
        coded = sample.qp_y.repeat_interleave(times, -2).repeat_interleave(times, -1)
        history[..., 0, :, :] = coded.to(torch.uint8)
    changes["history"] = history
    if priors:
        kind = torch.int16 if sample.residual is None else sample.residual.y.dtype
        changes |= {
            "prediction": sample.decoded,
            "residual": sample.decoded.map(lambda plane: torch.zeros_like(plane, dtype=kind)),
        }
        unknown = _nothing_of_h264 if sample.cu_mode is None else _nothing_of_hevc
        changes |= unknown(zeros, qp)
    return dataclasses.replace(sample, **changes)  # type: ignore[arg-type]


def _nothing_of_h264(zeros: Callable[..., Tensor], qp: int) -> dict[str, Tensor]:
    """Maps of a P picture of H.264 without levels, one vector a macroblock."""
    return {
        "qp_y": zeros(16, torch.int8) + qp,
        "tu": zeros(4, torch.uint8),
        "mb_type": zeros(16, torch.uint8) + MbType.P_16x16,
    }


def _nothing_of_hevc(zeros: Callable[..., Tensor], qp: int) -> dict[str, Tensor]:
    """The same in the maps of HEVC: inter coding units of 16x16."""
    none = zeros(4, torch.uint8)
    rows, columns = (torch.arange(n, device=none.device) % 4 for n in none.shape[-2:])
    return {
        "qp_y": none.to(torch.int8) + qp,
        "cu_mode": none + CuMode.INTER,
        "cu_size": none + 4,  # log2 of 16
        "tu_size": none,
        "tu_kind": none,
        "unit_x": none + columns.to(none.dtype),
        "unit_y": none + rows[:, None].to(none.dtype),
        "picture_type": none[..., :1, :1] + PictureType.P,
    }


def _alike(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Samples with sound, face and field macroblocks where any of them has."""
    heard = next((sample.sound for sample in samples if sample.sound is not None), None)
    seen = next((sample.face for sample in samples if sample.face is not None), None)
    field = next((sample.field for sample in samples if sample.field is not None), None)
    alike = []
    for sample in samples:
        if field is not None and sample.field is None:
            sample = dataclasses.replace(sample, field=torch.zeros_like(field))
        if heard is not None and sample.sound is None:
            sample = dataclasses.replace(sample, sound=torch.zeros_like(heard))
        if seen is not None and sample.face is None:
            height, width = sample.decoded.y.shape[-2:]
            sample = dataclasses.replace(sample, face=seen.new_tensor([0, 0, width, height]))
        alike.append(sample)
    return alike
