"""Pictures for a page: values as colours, RGB as PNG."""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

# Stops of the colour scales, R G B: nothing to much, and less - nothing - more.
HEAT = ((12, 10, 24), (74, 21, 92), (168, 41, 84), (236, 104, 52), (252, 190, 80), (255, 250, 214))
LESS_MORE = ((36, 92, 214), (120, 164, 240), (250, 250, 248), (244, 150, 96), (200, 52, 24))
WORSE_BETTER = ((178, 44, 60), (236, 158, 150), (250, 250, 248), (122, 196, 176), (10, 118, 104))


def colours(values: np.ndarray, scale: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Values in 0..1 along a colour scale, uint8 `[H, W, 3]`."""
    stops = np.array(scale, np.float64)
    place = np.clip(values, 0, 1) * (len(stops) - 1)
    return np.stack(
        [np.interp(place, np.arange(len(stops)), stops[:, c]) for c in range(3)], axis=-1
    ).round().astype(np.uint8)  # fmt: skip


def png(rgb: np.ndarray) -> bytes:
    """A PNG file of uint8 `[H, W, 3]`, lossless.

    Source:
        PNG, third edition: 5 (chunks), 9 (filter type 2, Up).
    """
    height, width, _ = rgb.shape
    rows = rgb.reshape(height, width * 3)
    above = np.concatenate([np.zeros((1, width * 3), np.uint8), rows[:-1]])
    data = np.concatenate([np.full((height, 1), 2, np.uint8), rows - above], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(data.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def data_uri(rgb: np.ndarray) -> str:
    """A picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png(rgb)).decode()
