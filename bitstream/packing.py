"""Frame records -> compressed chunks, in any thread; what the writer then puts into the file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .chunks import Layout, pack
from .schema import FIELDS, PLANE_GROUPS, FrameRecord
from .schema import record_arrays as arrays_of

_TILED = frozenset(path for path in FIELDS if path.partition("/")[0] in PLANE_GROUPS)

Stacks = dict[str, tuple[Layout, list[bytes | None] | np.ndarray]]
"""Frames in a row: layout and content per dataset, which is chunks, or the arrays `[frames, ...]`
where they wait for more frames or HDF5 has to do the packing."""


@dataclass
class PackedFrame:
    """A frame record whose large arrays are compressed chunks already.

    Attributes:
        record: the same record, without its arrays.
        stacks: its arrays.
    """

    record: FrameRecord
    stacks: Stacks

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return sum(
            c.nbytes if isinstance(c, np.ndarray) else sum(len(b) for b in c if b)
            for _, c in self.stacks.values()
        )

    def moved(self, index: int) -> "PackedFrame":
        """The same with `index` added to the numbers in `motion/ref`, not compressed yet."""
        if index == 0 or "motion/ref" not in self.stacks:
            return self
        layout, ref = self.stacks["motion/ref"]
        assert isinstance(ref, np.ndarray)
        ref = np.where(ref >= 0, ref + index, ref).astype(ref.dtype)
        return PackedFrame(self.record, self.stacks | {"motion/ref": (layout, ref)})


def pack_record(record: FrameRecord, compression: str, later: Collection[str] = ()) -> PackedFrame:
    """Compress what can be compressed frame by frame. Runs in any thread and touches no HDF5.

    Args:
        record: the frame.
        compression: as the writer's.
        later: datasets that are left as arrays, since they may still change.
    """
    arrays = arrays_of(record)
    stacks = pack_frames([arrays], layouts_of(arrays), compression, later)
    return PackedFrame(_without_arrays(record), stacks)


def layouts_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Layout]:
    """Layouts of a frame's datasets."""
    return {
        path: Layout.of(array.shape, array.dtype, tiled=path in _TILED, fill=FIELDS[path].fill)
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
    """Compress frames of the same layouts together: small ones cost little more than one."""
    stacks: Stacks = {}
    for path, layout in layouts.items():
        arrays = [frame[path] for frame in frames]
        joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        stack = joined.reshape(len(arrays), *layout.shape)
        whole = layout.depth > 1 or compression == "blosc" or path in later
        stacks[path] = (layout, stack if whole else pack(stack, layout, compression))
    return stacks


def _without_arrays(record: FrameRecord) -> FrameRecord:
    small = {"scaling4x4", "scaling8x8"}
    values = record.__dict__.items()
    large = (n for n, v in values if n not in small and isinstance(v, np.ndarray | tuple))
    return record.but(**dict.fromkeys(large))
