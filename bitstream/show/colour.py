"""The one conversion from planes to RGB: figures, reports, networks and measures use it.

    R'G'B' = matrix @ (Y', Cb, Cr - offset)          `coefficients`, from Kr and Kb of the matrix
    planes, chroma of any format -> RGB picture      `to_rgb`

A video that does not name its matrix is taken for BT.601, of whatever size, as FFmpeg takes it.

Source:
    Rec. ITU-T H.264 (08/2021), E.2.1: Table E-5 and equations E-1 to E-15 and E-22 to E-41.
"""

from collections.abc import Sequence

import numpy as np

# Kr and Kb by name, Table E-5. bt2020c (constant luminance) is shown as bt2020nc.
_BT601 = (0.299, 0.114)
_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": _BT601,
    "smpte170m": _BT601,
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
    "bt2020c": (0.2627, 0.0593),
}
# R, G, B of Y, Cb, Cr where they are not weights: G B R in the three planes; Y Cg Co.
_SPECIAL = {
    "gbr": ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "ycgco": ((1.0, -1.0, 1.0), (1.0, 1.0, 0.0), (1.0, -1.0, -1.0)),
}


def coefficients(matrix: str, *, full_range: bool, depth: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """What turns samples into R'G'B': `matrix @ (samples - offset)`.

    Args:
        matrix: Colour matrix by name, as priors files have it; others are taken for BT.601.
        full_range: Samples use all codes.
        depth: Bits of a sample.

    Returns:
        float64 `[3, 3]` and `[3]`, for samples as shares of the largest code; R'G'B' in 0..1.
    """
    top = (1 << depth) - 1
    unit = (1 << (depth - 8)) / top
    middle = (1 << (depth - 1)) / top
    scale = np.array([1.0, 1.0, 1.0] if full_range else [219 * unit, 224 * unit, 224 * unit])
    offset = np.array([0.0 if full_range else 16 * unit, middle, middle])
    if matrix == "gbr":
        scale[1:], offset[1:] = scale[0], offset[0]
    if matrix in _SPECIAL:
        return np.array(_SPECIAL[matrix]) / scale, offset
    red, blue = _WEIGHTS.get(matrix, _BT601)
    green = 1 - red - blue
    by_cb, by_cr = 2 * (1 - blue), 2 * (1 - red)
    rows = [
        [1.0, 0.0, by_cr],
        [1.0, -by_cb * blue / green, -by_cr * red / green],
        [1.0, by_cb, 0.0],
    ]
    return np.array(rows) / scale, offset


def to_rgb(
    planes: Sequence[np.ndarray], *, depth: int | tuple[int, int], matrix: str, full_range: bool
) -> np.ndarray:
    """Planes of a picture as 8-bit RGB.

    Args:
        planes: Y, Cb, Cr as codes, chroma of any format (interpolated linearly, as if it lay in
            the middle of its luma samples); Y alone for 4:0:0.
        depth: Bits of a sample; of luma and of chroma where they differ.
        matrix: Name of the colour matrix.
        full_range: Samples use all codes.

    Returns:
        uint8 `[H, W, 3]`.
    """
    depths = (depth, depth) if isinstance(depth, int) else depth
    height, width = planes[0].shape
    shares = [
        _enlarged(plane / np.float32((1 << depths[min(i, 1)]) - 1), height, width)
        for i, plane in enumerate(planes)
    ]
    luma, offset = coefficients(matrix, full_range=full_range, depth=depths[0])
    if len(planes) == 1:
        grey = (shares[0] - offset[0]) * luma[1, 0]
        return _codes(np.repeat(grey[..., None], 3, axis=-1))
    chroma, middle = coefficients(matrix, full_range=full_range, depth=depths[1])
    terms = np.concatenate([luma[:, :1], chroma[:, 1:]], axis=1).astype(np.float32)
    samples = np.stack(shares, axis=-1) - np.array([offset[0], *middle[1:]], np.float32)
    return _codes(samples @ terms.T)


def _codes(rgb: np.ndarray) -> np.ndarray:
    return (np.clip(rgb, 0, 1) * 255).round().astype(np.uint8)


def _enlarged(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    for axis, size in enumerate((height, width)):
        if plane.shape[axis] < size:
            plane = _doubled(plane, axis)
    return plane[:height, :width]


def _doubled(plane: np.ndarray, axis: int) -> np.ndarray:
    """Twice the samples along an axis; new ones lie a quarter of the way to their neighbours."""
    plane = np.moveaxis(plane, axis, 0)
    before = np.concatenate([plane[:1], plane[:-1]])
    after = np.concatenate([plane[1:], plane[-1:]])
    pairs = np.stack([0.75 * plane + 0.25 * before, 0.75 * plane + 0.25 * after], axis=1)
    return np.moveaxis(pairs.reshape(-1, *plane.shape[1:]), 0, axis)
