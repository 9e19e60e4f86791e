"""Datasets and attributes of HDF5 through h5py's low-level interface.

A priors file has some thirty datasets and eighty attributes. Made with h5py's `create_dataset` and
`attrs`, they take a tenth of the extraction of a clip of a few seconds. What is made here is the
same to the byte.
"""

from functools import cache

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t

_TEXT = h5py.string_dtype()


def create_dataset(
    file: h5py.File,
    path: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    chunks: tuple[int, ...],
    *,
    fill: int | None = None,
    deflated: bool = False,
) -> h5py.Dataset:
    """An empty dataset that grows along its first axis; groups on the way are made.

    Args:
        file: where.
        path: Its name.
        shape: Of one row.
        dtype: Of an element, enumerations included.
        chunks: Shape of a chunk.
        fill: Value of what was never written; None for HDF5's own, 0.
        deflated: With the shuffle and gzip filters.
    """
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_chunk(chunks)
    if deflated:
        properties.set_shuffle()
        properties.set_deflate(1)
    if fill is not None:
        properties.set_fill_value(np.array(fill))
    properties.set_obj_track_times(False)
    space = h5s.create_simple((0, *shape), (h5s.UNLIMITED, *shape))
    kind = h5t.py_create(dtype, logical=True)
    return h5py.Dataset(h5d.create(file.id, path.encode(), kind, space, properties, _links()))


@cache
def _links() -> h5p.PropLCID:
    """Properties of the names that lead to a dataset, as h5py sets them."""
    links = h5p.create(h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    return links


def _types(dtype: np.dtype) -> tuple[h5t.TypeID, h5t.TypeID]:
    """In the file and in memory."""
    return h5t.py_create(dtype, logical=True), h5t.py_create(dtype)


@cache
def _text_types() -> tuple[h5t.TypeID, h5t.TypeID]:
    return _types(_TEXT)


def add_attribute(node: h5py.Group | h5py.Dataset, name: str, value: object) -> None:
    """Give a file, group or dataset an attribute that it does not have yet.

    Args:
        node: which.
        name: Of the attribute.
        value: A text, a number or a truth value.
    """
    array = np.asarray(value, _TEXT if isinstance(value, str) else None)
    kind, memory = _text_types() if isinstance(value, str) else _types(array.dtype)
    attribute = h5a.create(node.id, name.encode(), kind, h5s.create(h5s.SCALAR))
    attribute.write(array, mtype=memory)
