"""Priors as block statistics that YUView lays over a video (its CSV format, version 1.22)."""

from typing import TextIO

import numpy as np

from ..priors.reading import Priors
from ..priors.schema import MB_TYPES, TU_KIND, TuType

_QP, _TYPE, _UNIT, _MV0, _MV1 = range(5)
_TU = {  # side and colour
    TuType.TU_4X4: (4, (255, 93, 143)),
    TuType.TU_8X8: (8, (59, 206, 172)),
    TuType.INTRA16X16: (16, (255, 210, 63)),
    TuType.PCM: (16, (124, 58, 237)),
}


def write_statistics(priors: Priors, out: TextIO) -> int:
    """Write QP, macroblock type, transform units and, where stored, motion vectors of all frames.

    Args:
        priors: The file.
        out: An open text file.

    Returns:
        The number of rows written.
    """
    attrs = priors.attrs
    out.write("%;syntax-version;v1.22\n")
    out.write(
        f"%;seq-specs;{str(attrs['source']).replace(';', ',')};layer0;{attrs['width']};"
        f"{attrs['height']};{float(priors.frame_rate):g}\n"
    )
    low, high = -6 * (int(attrs["bit_depth_luma"]) - 8), 51
    out.write(f"%;type;{_QP};QP;range\n%;defaultRange;{low};{high};jet\n")
    out.write(f"%;type;{_TYPE};Macroblock type ({_legend()});range\n")
    out.write(f"%;defaultRange;0;{max(MB_TYPES.values())};jet\n")
    out.write(f"%;type;{_UNIT};Transform (1 4x4, 2 8x8, 3 Intra16x16, 4 PCM);map\n")
    for unit, (_, (r, g, b)) in _TU.items():
        out.write(f"%;mapColor;{int(unit)};{r};{g};{b};110\n")
    motion = "motion/mv" in priors
    if motion:
        for number, colour in ((_MV0, "200;0;0;255"), (_MV1, "0;120;0;255")):
            out.write(f"%;type;{number};Motion list {number - _MV0};vector\n")
            out.write(f"%;vectorColor;{colour}\n%;scaleFactor;4\n")
    return sum(_write_frame(priors, k, motion, out) for k in range(len(priors)))


def _legend() -> str:
    return ", ".join(f"{number} {name}" for name, number in MB_TYPES.items())


def _write_frame(priors: Priors, k: int, motion: bool, out: TextIO) -> int:
    rows, columns = priors.crop
    lines: list[str] = []

    def add(y: int, x: int, side: int, kind: int, value: str) -> None:
        y, x = y - rows.start, x - columns.start
        if (
            y > -side
            and x > -side
            and y < rows.stop - rows.start
            and x < columns.stop - columns.start
        ):
            lines.append(f"{k};{x};{y};{side};{side};{kind};{value}\n")

    for path, kind in (("mb/qp_y", _QP), ("mb/type", _TYPE)):
        for (row, column), value in np.ndenumerate(priors.read(path, [k])[0]):
            add(row * 16, column * 16, 16, kind, str(value))
    tu = priors.read("tu/y", [k])[0] & TU_KIND
    for kind, (side, _) in _TU.items():
        step = side // 4
        for row, column in np.argwhere(tu[::step, ::step] == kind):
            add(row * side, column * side, side, _UNIT, str(int(kind)))
    if motion:
        mv, ref = priors.read("motion/mv", [k])[0], priors.read("motion/ref", [k])[0]
        for which in (0, 1):
            for row, column in np.argwhere(ref[which] != -1):
                x, y = mv[which, row * 2, column * 2]
                add(row * 8, column * 8, 8, _MV0 + which, f"{x};{y}")
    out.writelines(lines)
    return len(lines)
