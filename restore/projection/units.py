"""What the projection needs of some frames, as tensors, whatever their codec.

`PriorsTensors` is made from a `davd.data.Sample`, from a priors file, its arrays or frame records;
what comes out is of the codec's kind, `h264.H264Tensors` or `hevc.HevcTensors`. Those two and the
transforms of each are all that knows a codec; cells, projection, audit and calibration do not.

Every plane has an order in which transform units lie whole. In HEVC it is that of display; in H.264
it is macroblock order, which differs where a macroblock pair is coded as fields: with the map
`fields` of such macroblocks `to_macroblock_rows` brings display rows into macroblock order, and
`to_display_rows` takes them back.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from ...bitstream.priors.record import record_arrays
from ...bitstream.priors.schema import PLANES

if TYPE_CHECKING:
    from ...bitstream import FrameRecord, PriorsFile
    from ...data.sample import Sample

FLAT = 16  # every entry of a scaling list where none is sent
MODES = ("intra", "inter", "uncoded")  # of classes of coefficients
FREQUENCIES = 64  # places in a transform block that classes tell apart

PlaneTensors = tuple[Tensor, ...]


class Maps(Protocol):
    """The linear maps between levels and residual of one plane, each the other's exact inverse.

    Planes are `[B, Hp, Wp]` in the order of units; both maps are differentiable.
    """

    def residual(self, level: Tensor) -> Tensor:
        """How the residual changes when the levels, which need not be integers, change so."""

    def level(self, residual: Tensor) -> Tensor:
        """How the levels have to change for the residual to change so: the dual."""

    def rounding(self, level: Tensor, stored: Tensor) -> Tensor:
        """What a stored residual has beside that of its levels: the decoder's rounding, samples."""

    def reach(self) -> Tensor:
        """How far a level can move when every sample moves by at most one."""

    def whole(self, flags: Tensor) -> Tensor:
        """Mask of the units with a flag in them: macroblocks, or transform blocks of HEVC."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PriorsTensors(ABC):
    """Priors of `B` frames of one size, chroma format and bit depth.

    `H W` are the luma plane's coded height and width; chroma planes have their own size, and are
    absent from the tuples for 4:0:0.
    """

    KINDS: ClassVar[list[type["PriorsTensors"]]] = []
    """The codecs there are."""
    SAMPLE: ClassVar[dict[str, str]]
    """Maps that are needed beside the planes: in a `Sample`, and in a priors file."""
    MARK: ClassVar[str]
    """One of those in a priors file, by which the codec is known."""
    LISTS: ClassVar[tuple[str, ...]]
    """The scaling lists, in a sample and in a frame record."""
    GROUPS: ClassVar[tuple[str, ...]]
    """Kinds of transforms that classes of coefficients are told apart by."""
    BIAS: ClassVar[tuple[float, float]]
    """What encoders usually add, in inter and in intra blocks, before they cut, in steps."""
    UNKNOWN: ClassVar[str]
    """The cell of encoders that say nothing of their rounding."""
    ROUNDING: ClassVar[float]
    """More than the decoder's rounding moves a sample; what is further off is not of the levels."""

    prediction: PlaneTensors
    """uint8 or int32 `[B, H, W]` per plane, display rows: the prediction P."""
    residual: PlaneTensors
    """int16 or int32 `[B, H, W]` per plane, display rows: the decoder's, before clipping."""
    level: PlaneTensors
    """int16 or int32 `[B, H, W]` per plane, order of units: transform coefficient levels."""
    bit_depth: tuple[int, int] = (8, 8)
    """Of luma and of chroma, bits."""
    concealed: Tensor | None = None
    """bool `[B]`: frames of which some is invented."""

    def __init_subclass__(cls) -> None:
        """Take note of a codec."""
        super().__init_subclass__()
        cls.KINDS.append(cls)

    @classmethod
    def classes(cls) -> tuple[int, int, int, int]:
        """Shape of a `CellTable`: transforms, `MODES`, zero or nonzero level, frequencies."""
        return len(cls.GROUPS), len(MODES), 2, FREQUENCIES

    @staticmethod
    def from_sample(sample: "Sample", frames: slice = slice(None)) -> "PriorsTensors":
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
        for kind in PriorsTensors.KINDS:
            for name, key in kind.SAMPLE.items():
                if (value := getattr(sample, name)) is not None:
                    values[key] = _join(value, frames)
        if any(getattr(sample, name) is None for name in ("scaling4x4", "scaling8x8")):
            raise ValueError("the projection needs the scaling lists, which were not read")
        return PriorsTensors.from_arrays(values, bit_depth=sample.bit_depth)

    @staticmethod
    def from_file(
        priors: "PriorsFile", frames: range, *, box: tuple[int, int, int, int] | None = None
    ) -> "PriorsTensors":
        """Read some frames of a priors file.

        Args:
            priors: An open priors file.
            frames: Display indices.
            box: Top, left, height and width of a crop in coded luma samples, multiples of 16 (of
                32 from the top where the material is interlaced; of HEVC multiples of 32).

        Raises:
            ValueError: The file was written without prediction, residual or level.
        """
        kind = next((k for k in PriorsTensors.KINDS if k.MARK in priors), None)
        if kind is None:
            raise ValueError(f"{priors.path} is of a codec of which no projection is known")
        names = [
            f"{group}/{plane}"
            for group in ("prediction", "residual", "level")
            for plane in priors.planes
        ]
        names += [key for key in kind.SAMPLE.values() if "/" in key]
        names += ["intra/luma", "intra/chroma"]
        values: dict[str, object] = {
            name: priors.read(name, frames, box=box) for name in names if name in priors
        }
        lists = zip(*(priors.scaling_lists(frame) for frame in frames), strict=True)
        values |= {name: np.stack(rows) for name, rows in zip(kind.LISTS, lists, strict=True)}
        for column in ("concealed", "picture_type"):
            values[f"frames/{column}"] = priors.column(column)[list(frames)]
        depth = int(priors.attrs["bit_depth_luma"]), int(priors.attrs["bit_depth_chroma"])
        return PriorsTensors.from_arrays(values, bit_depth=depth)

    @staticmethod
    def from_records(
        records: "Sequence[FrameRecord]", *, bit_depth: tuple[int, int] = (8, 8)
    ) -> "PriorsTensors":
        """Stack frame records of one size, as the decoder gives them.

        Raises:
            ValueError: A record lacks prediction, residual or level.
        """
        rows = []
        for record in records:
            row: dict[str, np.ndarray] = dict(record_arrays(record))
            kind = next(kind for kind in PriorsTensors.KINDS if kind.MARK in row)
            row |= {name: getattr(record, name) for name in kind.LISTS}
            row["frames/concealed"] = np.asarray(record.concealed, np.bool_)
            row["frames/picture_type"] = np.asarray(record.picture_type, np.uint8)
            rows.append(row)
        arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return PriorsTensors.from_arrays(arrays, bit_depth=bit_depth)

    @staticmethod
    def from_arrays(
        arrays: Mapping[str, object], *, bit_depth: tuple[int, int] = (8, 8)
    ) -> "PriorsTensors":
        """Collect arrays or tensors named as in a priors file.

        Args:
            arrays: `prediction/y`, `level/cb`, `mb/qp_y` or `qp/y`, ... each with a leading frame
                axis; a dot may stand for the slash. Scaling lists go by their names in a frame
                record, `scaling4x4`, `scaling8x8`, `scaling_dc`, and are flat where absent.
            bit_depth: Of luma and of chroma.

        Raises:
            ValueError: An array is missing, or shapes do not belong together.
        """
        found = {
            name.replace(".", "/"): _tensor(value)
            for name, value in arrays.items()
            if value is not None
        }
        names = [name for name in PLANES if name == "y" or f"level/{name}" in found]
        groups = ("prediction", "residual", "level")
        kind = next((k for k in PriorsTensors.KINDS if k.MARK in found), PriorsTensors.KINDS[0])
        needed = [*kind.needed(names), *(f"{g}/{n}" for g in groups for n in names)]
        if missing := [name for name in needed if name not in found]:
            raise ValueError(f"the projection needs {', '.join(missing)}, which is not there")
        values: dict[str, Any] = {
            group: tuple(found[f"{group}/{name}"] for name in names) for group in groups
        }
        values |= kind.maps_of(found, names)
        concealed = found.get("frames/concealed")
        return kind(bit_depth=bit_depth, concealed=concealed, **values)

    @classmethod
    @abstractmethod
    def needed(cls, planes: Sequence[str]) -> list[str]:
        """The datasets without which there is no projection of these planes."""

    @classmethod
    @abstractmethod
    def maps_of(cls, found: Mapping[str, Tensor], planes: Sequence[str]) -> dict[str, object]:
        """The fields of the codec, out of datasets by name."""

    def __post_init__(self) -> None:
        """Check that the planes belong together."""
        if not len(self.prediction) == len(self.residual) == len(self.level):
            raise ValueError("prediction, residual and level differ in their number of planes")

    def __len__(self) -> int:
        """Number of frames, `B`."""
        return len(self.level[0])

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def frames(self, index: slice) -> Self:
        """Some of the frames."""
        return self._map(lambda tensor: tensor[index])

    def depth(self, plane: int) -> int:
        """Bit depth of a plane."""
        return self.bit_depth[1 if plane else 0]

    def steps(self, plane: int) -> tuple[int, int]:
        """Luma rows and columns to a row and a column of a plane: SubHeightC, SubWidthC."""
        (rows, columns), (height, width) = (self.level[k].shape[1:] for k in (0, plane))
        return rows // height, columns // width

    @property
    def fields(self) -> Tensor | None:
        """Bool `[B, H/16, W/16]`: field macroblocks; None where there are none."""
        return None

    @abstractmethod
    def maps(self, plane: int, *, dtype: torch.dtype = torch.float32) -> Maps:
        """The linear maps of a plane (0 Y, 1 Cb, 2 Cr); `dtype` is what they compute in."""

    @abstractmethod
    def integer_residual(self, plane: int) -> Tensor:
        """The decoder's residual by the standard's integer arithmetic, int32, display rows."""

    @abstractmethod
    def lossless(self, plane: int) -> Tensor:
        """Mask `[B, Hp, Wp]` of what comes out as decoded: PCM, bypassed transforms."""

    @abstractmethod
    def rounded_as_inter(self, plane: int) -> Tensor:
        """Mask `[B, Hp, Wp]` of where encoders round as they do inter blocks."""

    @abstractmethod
    def coded(self, plane: int) -> Tensor:
        """Mask `[B, Hp, Wp]` of the coefficients of units that hold a level.

        A unit is what an encoder drops as one.
        """

    @abstractmethod
    def class_index(self, plane: int) -> Tensor:
        """int64 `[B, Hp, Wp]`: place of each coefficient in a flattened `CellTable`."""

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        changes: dict[str, object] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                changes[item.name] = function(value)
            elif isinstance(value, tuple) and value and isinstance(value[0], Tensor):
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


def spread(grid: Tensor, shape: torch.Size) -> Tensor:
    """Repeat each cell of a grid over the samples it stands for."""
    batch, rows, columns = grid.shape
    _, height, width = shape
    spread = grid[:, :, None, :, None].expand(-1, -1, height // rows, -1, width // columns)
    return spread.reshape(shape)


def any_of(flags: Tensor, height: int, width: int) -> Tensor:
    """Whether any flag is set in each block of a plane."""
    batch, rows, columns = flags.shape
    return flags.view(batch, rows // height, height, columns // width, width).any(4).any(2)


def sent_lists(found: Mapping[str, Tensor], name: str, flat: Tensor) -> Tensor:
    """Scaling lists of some frames; `flat` where none were sent.

    Raises:
        ValueError: An entry is 0.
    """
    lists = found.get(name, flat)
    if bool((lists == 0).any()):
        raise ValueError("a scaling list holds 0: expected 1..255")
    return lists


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
