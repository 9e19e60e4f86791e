"""A frame on its way: all that the bitstream says of it, under the names of the schema."""

from collections.abc import Sequence
from dataclasses import field, make_dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from .schema import FIELDS, PLANE_GROUPS, PLANES, Field


def _attributes() -> dict[str, list[Field]]:
    """Datasets by the attribute of a record that holds a row of theirs, in the schema's order."""
    found: dict[str, list[Field]] = {}
    for item in FIELDS.values():
        if item.record:
            found.setdefault(item.record, []).append(item)
    return found


_FIELDS = _attributes()
FACTS = tuple(name for name, (first, *_) in _FIELDS.items() if first.shape == ("N",))
ARRAYS = tuple(name for name in _FIELDS if name not in FACTS)


class _Record:
    """What every frame record can do."""

    def but(self, **changes: object) -> Self:
        """As `dataclasses.replace`, which sets the attributes one by one, for once a frame."""
        record = object.__new__(type(self))
        record.__dict__.update(self.__dict__, **changes)
        return record


def _text() -> str:
    lines = [
        "One frame with all that the bitstream says about it; what was not asked for is None.",
        "",
        "Attributes:",
        "    index: place in display order, from 0 in the file (or in the range asked for).",
    ]
    for name, (first, *more) in _FIELDS.items():
        text = first.description.partition(": ")[2] if more else first.description
        shape = ", ".join(str(n) for n in first.shape[1:])
        kind = f"{first.dtype} [{shape}]" if shape else "a number"
        lines.append(f"    {name}: {text} ({'planes y, cb, cr, each ' if more else ''}{kind}).")
    return "\n".join(lines)


if TYPE_CHECKING:

    class FrameRecord(_Record):
        """The attributes are those of the schema; a type checker knows planes from the rest."""

        index: int
        pts: int
        time: float
        decode_order: int
        poc: int
        picture_type: int
        keyframe: bool
        concealed: bool
        decoded: tuple[np.ndarray, ...] | None
        prediction: tuple[np.ndarray, ...] | None
        residual: tuple[np.ndarray, ...] | None
        level: tuple[np.ndarray, ...] | None

        def __init__(self, **values: object) -> None:
            """All attributes by name."""

        def __getattr__(self, name: str) -> np.ndarray:
            """Any other array of the schema."""

else:
    FrameRecord = make_dataclass(
        "FrameRecord",
        [
            ("index", int),
            *((name, Any, field(default=0, kw_only=True)) for name in FACTS),
            *((name, Any, field(default=None, kw_only=True)) for name in ARRAYS),
        ],
        bases=(_Record,),
        frozen=True,
        eq=False,
        namespace={"__doc__": _text(), "__module__": __name__},
    )


_PLACES = [  # name, attribute of a record and number of the plane, of all datasets of arrays
    (f.path, f.record, PLANES.index(f.path.split("/")[1]) if f.record in PLANE_GROUPS else None)
    for f in FIELDS.values()
    if f.per_frame and f.record in ARRAYS
]


_PLACE_OF = {path: (name, plane) for path, name, plane in _PLACES}


def record_array(record: FrameRecord, path: str) -> np.ndarray:
    """The array of a frame record that belongs to a dataset, which must be recorded."""
    name, plane = _PLACE_OF[path]
    value = getattr(record, name)
    return value if plane is None else value[plane]


def record_arrays(record: FrameRecord) -> dict[str, np.ndarray]:
    """The arrays of a frame record under the names of their datasets, those that it has."""
    arrays: dict[str, np.ndarray] = {}
    for path, name, plane in _PLACES:
        value = getattr(record, name)
        if plane is not None and value is not None:
            value = value[plane] if plane < len(value) else None
        if value is not None:
            arrays[path] = value
    return arrays


class Shown(Protocol):
    """What says which part of a coded picture is shown: a sequence's properties, a priors file."""

    @property
    def coded_size(self) -> tuple[int, int]:
        """Height and width of a coded luma plane."""

    @property
    def crop(self) -> tuple[slice, slice]:
        """Rows and columns of a coded luma plane that are shown."""


def cropped(planes: Sequence[np.ndarray], shown: Shown) -> list[np.ndarray]:
    """What is shown of planes of the coded picture, chroma at its own size."""
    rows, columns = shown.crop
    height, width = shown.coded_size
    out = []
    for plane in planes:
        down, across = height // plane.shape[0], width // plane.shape[1]
        out.append(
            plane[
                rows.start // down : -(-rows.stop // down),
                columns.start // across : -(-columns.stop // across),
            ]
        )
    return out
