"""What clause 8.5 and the projection need of some frames, as tensors.

`PriorsTensors` is made from a `davd.data.Sample` or from the arrays of a priors file. Maps and
levels are in macroblock order and sample planes in display rows, as in the file; where a
macroblock pair is coded as fields, `to_macroblock_rows` brings display rows into macroblock order
and `to_display_rows` takes them back.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...bitstream.priors.record import record_arrays
from ...bitstream.priors.schema import PLANES, TU_KIND, TuType

if TYPE_CHECKING:
    from ...bitstream import FrameRecord, PriorsFile
    from ...data.sample import Sample

FLAT = 16  # every entry of a scaling list where none is sent: Flat_4x4_16, Flat_8x8_16

# Fields of a sample, and what the priors file calls them; scaling lists have a table of their own.
MAPS = {
    "tu": "tu/y", "mb_type": "mb/type", "field": "mb/field",
    "qp_y": "mb/qp_y", "qp_cb": "mb/qp_cb", "qp_cr": "mb/qp_cr",
    "scaling4x4": "scaling4x4", "scaling8x8": "scaling8x8",
}  # fmt: skip

PlaneTensors = tuple[Tensor, ...]


@dataclasses.dataclass(frozen=True)
class PriorsTensors:
    """Priors of `B` frames of one size, chroma format and bit depth.

    `H W` are the luma plane's coded height and width; chroma planes have their own size, and are
    absent from the tuples for 4:0:0.
    """

    prediction: PlaneTensors
    """uint8 or int32 `[B, H, W]` per plane: the prediction P."""
    residual: PlaneTensors
    """int16 or int32 `[B, H, W]` per plane: the decoder's residual before clipping."""
    level: PlaneTensors
    """int16 or int32 `[B, H, W]` per plane, macroblock order: transform coefficient levels."""
    tu: Tensor
    """uint8 `[B, H/4, W/4]`, macroblock order: transform in force, plus 8 where bypassed."""
    mb_type: Tensor
    """uint8 `[B, H/16, W/16]`, macroblock order."""
    qp: PlaneTensors
    """int8 `[B, H/16, W/16]` per plane: QP_Y, and QP_C of Cb and of Cr."""
    field: Tensor
    """bool `[B, H/16, W/16]`: field macroblocks."""
    scaling4x4: Tensor
    """uint8 `[B, 6, 16]`: scaling lists Intra Y Cb Cr, Inter Y Cb Cr, zig-zag order."""
    scaling8x8: Tensor
    """uint8 `[B, 6, 64]`: Intra Y, Inter Y, Intra Cb, Inter Cb, Intra Cr, Inter Cr, zig-zag."""
    bit_depth: tuple[int, int] = (8, 8)
    """Of luma and of chroma, bits."""
    intra_luma: Tensor | None = None
    """int8 `[B, H/4, W/4]`, macroblock order: intra prediction modes; for lossless blocks only."""
    intra_chroma: Tensor | None = None
    """int8 `[B, H/16, W/16]`: intra chroma prediction modes; for lossless blocks only."""
    concealed: Tensor | None = None
    """bool `[B]`: frames with concealed macroblocks, whose priors are invented."""

    def __post_init__(self) -> None:
        """Check that the shapes belong together."""
        batch, height, width = self.level[0].shape
        if height % 16 or width % 16:
            raise ValueError(f"a luma plane of {width}x{height}: expected multiples of 16")
        grids = {"tu": (self.tu, 4), "mb_type": (self.mb_type, 16), "field": (self.field, 16)}
        grids |= {f"qp_{name}": (q, 16) for name, q in zip(PLANES, self.qp, strict=False)}
        for name, (grid, step) in grids.items():
            if grid.shape != (batch, height // step, width // step):
                raise ValueError(
                    f"{name} has shape {tuple(grid.shape)} beside a luma plane of "
                    f"shape {(batch, height, width)}"
                )
        if not len(self.prediction) == len(self.residual) == len(self.level) == len(self.qp):
            raise ValueError("prediction, residual, level and qp differ in their number of planes")

    @classmethod
    def from_sample(cls, sample: "Sample", frames: slice = slice(None)) -> "PriorsTensors":
        """Take what is needed from a sample, its frames (and batch) joined into one axis.

        Args:
            sample: With prediction, residual (in full), level and all maps.
            frames: Which of the `T` frames; for a network, those it restores.

        Raises:
            ValueError: The sample was read without some of them.
        """
        if sample.residual is not None and sample.residual.y.dtype == torch.int8:
            raise ValueError("the projection needs the residual in full, not limited to int8")
        values: dict[str, object] = {}
        for group in ("prediction", "residual", "level"):
            for name, plane in zip(PLANES, getattr(sample, group) or (), strict=False):
                if plane is not None and plane.numel():
                    values[f"{group}/{name}"] = _join(plane, frames)
        for name, key in MAPS.items():
            if (value := getattr(sample, name)) is not None:
                values[key] = _join(value, frames)
        if sample.scaling4x4 is None or sample.scaling8x8 is None:
            raise ValueError("the projection needs the scaling lists, which were not read")
        return cls.from_arrays(values, bit_depth=sample.bit_depth)

    @classmethod
    def from_file(
        cls, priors: "PriorsFile", frames: range, *, box: tuple[int, int, int, int] | None = None
    ) -> "PriorsTensors":
        """Read some frames of a priors file.

        Args:
            priors: An open priors file.
            frames: Display indices.
            box: Top, left, height and width of a crop in coded luma samples, multiples of 16 (of
                32 from the top where the material is interlaced).

        Raises:
            ValueError: The file was written without prediction, residual or level.
        """
        names = [
            f"{group}/{plane}"
            for group in ("prediction", "residual", "level")
            for plane in priors.planes
        ]
        names += [key for name, key in MAPS.items() if "/" in key]
        names += ["intra/luma", "intra/chroma"]
        values: dict[str, object] = {
            name: priors.read(name, frames, box=box) for name in names if name in priors
        }
        lists = [priors.scaling_lists(frame) for frame in frames]
        values["scaling4x4"] = np.stack([both[0] for both in lists])
        values["scaling8x8"] = np.stack([both[1] for both in lists])
        values["frames/concealed"] = priors.column("concealed")[list(frames)]
        depth = int(priors.attrs["bit_depth_luma"]), int(priors.attrs["bit_depth_chroma"])
        return cls.from_arrays(values, bit_depth=depth)

    @classmethod
    def from_records(
        cls, records: "Sequence[FrameRecord]", *, bit_depth: tuple[int, int] = (8, 8)
    ) -> "PriorsTensors":
        """Stack frame records of one size, as the decoder gives them.

        Raises:
            ValueError: A record lacks prediction, residual or level.
        """
        rows = [
            record_arrays(record)
            | {"scaling4x4": record.scaling4x4, "scaling8x8": record.scaling8x8}
            | {"frames/concealed": np.bool_(record.concealed)}
            for record in records
        ]
        arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return cls.from_arrays(arrays, bit_depth=bit_depth)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, object], *, bit_depth: tuple[int, int] = (8, 8)
    ) -> "PriorsTensors":
        """Collect arrays or tensors named as in a priors file.

        Args:
            arrays: `prediction/y`, `level/cb`, `mb/qp_y`, ... each with a leading frame axis;
                a dot may stand for the slash. `scaling4x4` and `scaling8x8` (`[B, 6, 16]`,
                `[B, 6, 64]`) are flat where absent, `mb/field` is 0.
            bit_depth: Of luma and of chroma.

        Raises:
            ValueError: An array is missing, or shapes do not belong together.
        """
        found = {name.replace(".", "/"): value for name, value in arrays.items()}
        names = [name for name in PLANES if name == "y" or f"level/{name}" in found]
        needed = ["tu/y", "mb/type"]
        needed += [f"{g}/{n}" for g in ("prediction", "residual", "level") for n in names]
        needed += [f"mb/qp_{name}" for name in names]
        if missing := [name for name in needed if name not in found]:
            raise ValueError(f"the projection needs {', '.join(missing)}, which is not there")

        def planes(kind: str) -> PlaneTensors:
            return tuple(_tensor(found[f"{kind}{name}"]) for name in names)

        def optional(name: str) -> Tensor | None:
            return _tensor(found[name]) if name in found else None

        mb_type = _tensor(found["mb/type"])
        field = optional("mb/field")
        field = torch.zeros_like(mb_type, dtype=torch.bool) if field is None else field != 0
        lists = []
        for name, entries in (("scaling4x4", 16), ("scaling8x8", 64)):
            flat = torch.full((1, 6, entries), FLAT, dtype=torch.uint8, device=mb_type.device)
            sent = optional(name)
            lists.append(flat.expand(len(mb_type), -1, -1) if sent is None else sent)
            if bool((lists[-1] == 0).any()):
                raise ValueError("a scaling list holds 0: expected 1..255")
        if mb_type.shape[1] % 2 and bool(field.any()):
            raise ValueError(
                f"field macroblocks in {mb_type.shape[1]} macroblock rows: expected whole pairs, "
                "crops of interlaced video on a grid of 32 rows"
            )
        return cls(
            prediction=planes("prediction/"),
            residual=planes("residual/"),
            level=planes("level/"),
            tu=_tensor(found["tu/y"]),
            mb_type=mb_type,
            qp=planes("mb/qp_"),
            field=field,
            scaling4x4=lists[0],
            scaling8x8=lists[1],
            bit_depth=bit_depth,
            intra_luma=optional("intra/luma"),
            intra_chroma=optional("intra/chroma"),
            concealed=optional("frames/concealed"),
        )

    def to(self, device: torch.device | str) -> "PriorsTensors":
        """The same on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def frames(self, index: slice) -> "PriorsTensors":
        """Some of the frames."""
        return self._map(lambda tensor: tensor[index])

    def depth(self, plane: int) -> int:
        """Bit depth of a plane."""
        return self.bit_depth[1 if plane else 0]

    def macroblock(self, plane: int) -> tuple[int, int]:
        """Height and width of a macroblock in samples of a plane: MbHeightC, MbWidthC."""
        rows, columns = self.mb_type.shape[1:]
        height, width = self.level[plane].shape[1:]
        return height // rows, width // columns

    def like_luma(self, plane: int) -> bool:
        """Whether a plane is transformed as luma is: Y itself, and Cb and Cr of 4:4:4."""
        return self.macroblock(plane) == (16, 16)

    def bypassed(self) -> Tensor:
        """Mask `[B, H/16, W/16]` of lossless macroblocks: TransformBypassModeFlag.

        A macroblock without coded luma says nothing of it. It is lossless when its QP'_Y is 0 and
        another one of its frame is known to be: then qpprime_y_zero_transform_bypass_flag is set.
        """
        named = self.tu[:, ::4, ::4] & TuType.BYPASS != 0
        silent = self.tu[:, ::4, ::4] == TuType.NONE
        lowest = self.qp[0] == -6 * (self.bit_depth[0] - 8)
        return named | (silent & lowest & named.any(2).any(1)[:, None, None])

    def transform(self) -> Tensor:
        """Map `[B, H/4, W/4]` of the transform in force, whether bypassed or not."""
        return self.tu & TU_KIND

    def _map(self, function: Callable[[Tensor], Tensor]) -> "PriorsTensors":
        changes: dict[str, object] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                changes[item.name] = function(value)
            elif item.name in ("prediction", "residual", "level", "qp"):
                changes[item.name] = tuple(function(plane) for plane in value)
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def to_macroblock_rows(plane: Tensor, field: Tensor | None) -> Tensor:
    """Bring the display rows of a plane into macroblock order.

    The rows of a field pair are parted: those of the top field go to the upper macroblock, those
    of the bottom field to the lower one (6.4.1).

    Args:
        plane: `[B, Hp, Wp]`.
        field: bool `[B, H/16, W/16]`, or None where no macroblock is a field macroblock.
    """
    if field is None:
        return plane
    batch, rows, columns = field.shape
    height, width = plane.shape[1] // rows, plane.shape[2] // columns
    split = plane.view(batch, rows // 2, height, 2, columns, width).transpose(2, 3)
    whole = plane.view(batch, rows // 2, 2, height, columns, width)
    pairs = field[:, ::2].view(batch, rows // 2, 1, 1, columns, 1)
    return torch.where(pairs, split, whole).reshape(plane.shape)


def to_display_rows(plane: Tensor, field: Tensor | None) -> Tensor:
    """Undo `to_macroblock_rows`."""
    if field is None:
        return plane
    batch, rows, columns = field.shape
    height, width = plane.shape[1] // rows, plane.shape[2] // columns
    woven = plane.view(batch, rows // 2, 2, height, columns, width).transpose(2, 3)
    whole = plane.view(batch, rows // 2, height, 2, columns, width)
    pairs = field[:, ::2].view(batch, rows // 2, 1, 1, columns, 1)
    return torch.where(pairs, woven, whole).reshape(plane.shape)


def _join(value: Tensor, frames: slice) -> Tensor:
    """Cut the frame axis, third from the end, and join it with the batch before it."""
    value = value[..., frames, :, :]
    return value.reshape(-1, *value.shape[-2:])


def _tensor(value: object) -> Tensor:
    """A tensor of a type that torch can count with."""
    if isinstance(value, Tensor):
        return value.to(torch.int32) if value.dtype == torch.uint16 else value
    array = np.asarray(value)
    if array.dtype == np.uint16:
        array = array.astype(np.int32)
    return torch.from_numpy(np.ascontiguousarray(array))
