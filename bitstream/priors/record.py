"""A frame on its way: all that the bitstream says of it, under the names of the schema."""

from collections.abc import Sequence
from dataclasses import field, make_dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from .schema import FIELDS, PLANE_GROUPS, PLANES, Field


def _attributes() -> dict[str, dict[str, list[Field]]]:
    """Datasets by the attribute of a record that holds a row of theirs, and by codec."""
    found: dict[str, dict[str, list[Field]]] = {}
    for codec, fields in FIELDS.items():
        for item in fields.values():
            if item.record:
                found.setdefault(item.record, {}).setdefault(codec, []).append(item)
    return found


_FIELDS = _attributes()
FACTS = tuple(
    name
    for name, by_codec in _FIELDS.items()
    if all(first.shape == ("N",) for first, *_ in by_codec.values())
)
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
        "    codec: whose attributes it has, h264 or hevc.",
    ]
    for name, by_codec in _FIELDS.items():
        texts = [f"{_described(fields)}" for fields in by_codec.values()]
        if len(set(texts)) > 1 or len(by_codec) < len(FIELDS):
            texts = [f"{codec}: {text}" for codec, text in zip(by_codec, texts, strict=True)]
        lines.append(f"    {name}: {'; '.join(dict.fromkeys(texts))}.")
    return "\n".join(lines)


def _described(fields: list[Field]) -> str:
    first, *more = fields
    text = first.description.partition(": ")[2] if more else first.description
    shape = ", ".join(str(n) for n in first.shape[1:])
    kind = f"{first.dtype} [{shape}]" if shape else "a number"
    return f"{text} ({'planes y, cb, cr, each ' if more else ''}{kind})"


if TYPE_CHECKING:

    class FrameRecord(_Record):
        """The attributes are those of the schema; a type checker knows planes from the rest."""

        index: int
        codec: str
        pts: int
        time: float
        decode_order: int
        poc: int
        picture_type: int
        hash: int
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
            ("codec", str, field(default="h264", kw_only=True)),
            *((name, Any, field(default=0, kw_only=True)) for name in FACTS),
            *((name, Any, field(default=None, kw_only=True)) for name in ARRAYS),
        ],
        bases=(_Record,),
        frozen=True,
        eq=False,
        namespace={"__doc__": _text(), "__module__": __name__},
    )


_PLACES = {  # by codec: name, attribute of a record and number of the plane, of datasets of arrays
    codec: [
        (f.path, f.record, PLANES.index(f.path.split("/")[1]) if f.record in PLANE_GROUPS else None)
        for f in fields.values()
        if f.per_frame and f.record in ARRAYS
    ]
    for codec, fields in FIELDS.items()
}
_PLACE_OF = {path: (name, plane) for places in _PLACES.values() for path, name, plane in places}
SCALING = {
    codec: tuple(f.record for f in fields.values() if f.path.startswith("scaling/"))
    for codec, fields in FIELDS.items()
}
"""Attributes that hold the scaling lists of a frame, by codec."""


def record_array(record: FrameRecord, path: str) -> np.ndarray:
    """The array of a frame record that belongs to a dataset, which must be recorded."""
    name, plane = _PLACE_OF[path]
    value = getattr(record, name)
    return value if plane is None else value[plane]


def record_arrays(record: FrameRecord) -> dict[str, np.ndarray]:
    """The arrays of a frame record under the names of their datasets, those that it has."""
    arrays: dict[str, np.ndarray] = {}
    for path, name, plane in _PLACES.get(record.codec, _PLACES["h264"]):
        value = getattr(record, name)
        if plane is not None and value is not None:
            value = value[plane] if plane < len(value) else None
        if value is not None:
            arrays[path] = value
    return arrays


def owned(record: FrameRecord) -> FrameRecord:
    """The same with arrays of its own, which may be written into."""

    def copy(value: Any) -> Any:
        return tuple(map(copy, value)) if isinstance(value, tuple) else value.copy()

    values = {name: getattr(record, name) for name in ARRAYS}
    return record.but(**{k: copy(value) for k, value in values.items() if value is not None})


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
