"""Arrays as bytes for a browser, and back.

Four bytes, low first: length of the head. The head, JSON: `meta`, and `arrays`, a list of name,
type (`u1`, `i2` ...), shape and place after the head. Then the arrays, each at a multiple of eight
bytes from the beginning, little endian.
"""

import json
from collections.abc import Mapping

import numpy as np

_KINDS = {"b1": "u1", "i8": "f8", "u8": "f8"}  # what a browser has no array for, as what it has


def pack(arrays: Mapping[str, np.ndarray], **meta: object) -> bytes:
    """Arrays and a few values as bytes.

    Args:
        arrays: By name.
        meta: Values that JSON can carry.
    """
    listed, parts, place = [], [], 0
    for name, array in arrays.items():
        kind = array.dtype.str[1:]
        kind = _KINDS.get(kind, kind)
        data = np.ascontiguousarray(array, np.dtype(f"<{kind}")).tobytes()
        listed.append([name, kind, list(array.shape), place])
        parts += [data, bytes(-len(data) % 8)]
        place += len(data) + -len(data) % 8
    head = json.dumps({"meta": meta, "arrays": listed}).encode()
    head += b" " * (-(len(head) + 4) % 8)
    return b"".join([len(head).to_bytes(4, "little"), head, *parts])


def unpack(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """The arrays and the values of `pack`."""
    start = 4 + int.from_bytes(data[:4], "little")
    head = json.loads(data[4:start])
    arrays = {}
    for name, kind, shape, place in head["arrays"]:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(data, f"<{kind}", count, start + place).reshape(shape)
    return arrays, head["meta"]
