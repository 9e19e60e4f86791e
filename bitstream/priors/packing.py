"""Frame records -> compressed chunks, in any thread; what the writer then puts into the file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .chunks import Layout, pack
from .record import SCALING, FrameRecord
from .record import record_arrays as arrays_of
from .schema import FIELDS, PLANE_GROUPS, PLANES

_PLANES = frozenset(f"{group}/{plane}" for group in PLANE_GROUPS for plane in PLANES)
_FILLS = {path: field.fill for fields in FIELDS.values() for path, field in fields.items()}

Stacks = dict[str, tuple[Layout, list[bytes | None] | tuple[np.ndarray, ...]]]
"""Frames in a row: layout and content per dataset. The content is chunks, or the arrays of the
frames where they wait for more or HDF5 has to do the packing."""


@dataclass
class PackedFrame:
    """A frame record whose large arrays are compressed chunks already.

    Attributes:
        record: The same record, without its arrays.
        stacks: Its arrays.
    """

    record: FrameRecord
    stacks: Stacks

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return sum(
            part.nbytes if isinstance(part, np.ndarray) else len(part or b"")
            for _, content in self.stacks.values()
            for part in content
        )

    def moved(self, index: int) -> "PackedFrame":
        """The same with `index` added to the numbers in `motion/ref`, not compressed yet."""
        if index == 0 or "motion/ref" not in self.stacks:
            return self
        layout, refs = self.stacks["motion/ref"]
        assert isinstance(refs, tuple)
        refs = tuple(np.where(ref >= 0, ref + index, ref).astype(ref.dtype) for ref in refs)
        return PackedFrame(self.record, self.stacks | {"motion/ref": (layout, refs)})


def pack_record(record: FrameRecord, compression: str, later: Collection[str] = ()) -> PackedFrame:
    """Compress what can be compressed frame by frame. Runs in any thread and touches no HDF5.

    Args:
        record: The frame.
        compression: As the writer's.
        later: Datasets that are left as arrays, since they may still change.
    """
    arrays = arrays_of(record)
    stacks = pack_frames([arrays], layouts_of(arrays), compression, later)
    return PackedFrame(_without_arrays(record), stacks)


def layouts_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Layout]:
    """Layouts of a frame's datasets."""
    return {
        path: Layout.of(array.shape, array.dtype, cut=path in _PLANES, fill=_FILLS[path])
        for path, array in arrays.items()
    }


def fit(arrays: Mapping[str, np.ndarray], layouts: Mapping[str, Layout]) -> bool:
    """Whether `layouts_of` would give these layouts for these arrays."""
    return arrays.keys() == layouts.keys() and all(
        array.shape == layouts[path].shape and array.dtype == layouts[path].dtype
        for path, array in arrays.items()
    )


def pack_frames(
    frames: Sequence[Mapping[str, np.ndarray]],
    layouts: Mapping[str, Layout],
    compression: str,
    later: Collection[str] = (),
) -> Stacks:
    """Compress frames of the same layouts together."""
    stacks: Stacks = {}
    for path, layout in layouts.items():
        arrays = tuple(frame[path] for frame in frames)
        whole = layout.depth > 1 or compression == "blosc" or path in later
        stacks[path] = (layout, arrays if whole else pack(arrays, layout, compression))
    return stacks


def _without_arrays(record: FrameRecord) -> FrameRecord:
    small = SCALING[record.codec]
    values = record.__dict__.items()
    large = (n for n, v in values if n not in small and isinstance(v, np.ndarray | tuple))
    return record.but(**dict.fromkeys(large))
