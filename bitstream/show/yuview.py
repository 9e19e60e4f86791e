"""Priors as block statistics that YUView lays over a video (its CSV format, version 1.22)."""

from collections.abc import Iterator
from typing import TextIO

import numpy as np

from ..priors.hevc import CU_MODES, KIND, PART_MODES, TuKind
from ..priors.reading import Priors
from ..priors.schema import MB_TYPES, TU_KIND, TuType
from .units import parts, units

_QP, _TYPE, _UNIT, _MV0, _MV1, _PART = range(6)
_TU = {  # side and colour
    TuType.TU_4X4: (4, (255, 93, 143)),
    TuType.TU_8X8: (8, (59, 206, 172)),
    TuType.INTRA16X16: (16, (255, 210, 63)),
    TuType.PCM: (16, (124, 58, 237)),
}
_KINDS = {  # colour
    TuKind.DCT: (59, 206, 172),
    TuKind.DST: (255, 93, 143),
    TuKind.SKIP: (255, 210, 63),
    TuKind.BYPASS: (124, 58, 237),
}

Block = tuple[int, int, int, int, int, str]  # row, column, width, height, statistic, value


def write_statistics(priors: Priors, out: TextIO) -> int:
    """Write QP, types, transform units and, where stored, motion vectors of all frames.

    Types are those of macroblocks, or modes and partitions of coding units.

    Args:
        priors: The file.
        out: An open text file.

    Returns:
        The number of rows written.
    """
    attrs = priors.attrs
    hevc = attrs["codec"] == "hevc"
    out.write("%;syntax-version;v1.22\n")
    out.write(
        f"%;seq-specs;{' '.join(str(attrs['source']).replace(';', ',').split())};layer0;"
        f"{attrs['width']};{attrs['height']};{float(priors.frame_rate):g}\n"
    )
    low, high = -6 * (int(attrs["bit_depth_luma"]) - 8), 51
    out.write(f"%;type;{_QP};QP;range\n%;defaultRange;{low};{high};jet\n")
    if hevc:
        _write_type(out, _TYPE, "Coding unit", CU_MODES)
        _write_type(out, _PART, "PartMode", PART_MODES)
        out.write(f"%;type;{_UNIT};Transform (1 DCT, 2 DST, 3 skip, 4 bypass);map\n")
    else:
        _write_type(out, _TYPE, "Macroblock type", MB_TYPES)
        out.write(f"%;type;{_UNIT};Transform (1 4x4, 2 8x8, 3 Intra16x16, 4 PCM);map\n")
    colours = _KINDS if hevc else {unit: colour for unit, (_, colour) in _TU.items()}
    for unit, (r, g, b) in colours.items():
        out.write(f"%;mapColor;{int(unit)};{r};{g};{b};110\n")
    if "motion/mv" in priors:
        for number, colour in ((_MV0, "200;0;0;255"), (_MV1, "0;120;0;255")):
            out.write(f"%;type;{number};Motion list {number - _MV0};vector\n")
            out.write(f"%;vectorColor;{colour}\n%;scaleFactor;4\n")
    blocks = _of_hevc if hevc else _of_h264
    return sum(_write_frame(priors, k, blocks(priors, k), out) for k in range(len(priors)))


def _write_type(out: TextIO, number: int, title: str, names: dict[str, int]) -> None:
    legend = ", ".join(f"{value} {name}" for name, value in names.items())
    out.write(f"%;type;{number};{title} ({legend});range\n")
    out.write(f"%;defaultRange;0;{max(names.values())};jet\n")


def _write_frame(priors: Priors, k: int, blocks: Iterator[Block], out: TextIO) -> int:
    rows, columns = priors.crop
    lines: list[str] = []
    for row, column, width, height, kind, value in blocks:
        y, x = row - rows.start, column - columns.start
        if (
            y > -height
            and x > -width
            and y < rows.stop - rows.start
            and x < columns.stop - columns.start
        ):
            lines.append(f"{k};{x};{y};{width};{height};{kind};{value}\n")
    out.writelines(lines)
    return len(lines)


def _of_h264(priors: Priors, k: int) -> Iterator[Block]:
    for path, kind in (("mb/qp_y", _QP), ("mb/type", _TYPE)):
        for (row, column), value in np.ndenumerate(priors.read(path, [k])[0]):
            yield row * 16, column * 16, 16, 16, kind, str(value)
    tu = priors.read("tu/y", [k])[0] & TU_KIND
    for unit, (side, _) in _TU.items():
        step = side // 4
        for row, column in np.argwhere(tu[::step, ::step] == unit):
            yield row * side, column * side, side, side, _UNIT, str(int(unit))
    if "motion/mv" in priors:
        mv, ref = priors.read("motion/mv", [k])[0], priors.read("motion/ref", [k])[0]
        for which in (0, 1):
            for row, column in np.argwhere(ref[which] != -1):
                x, y = mv[which, row * 2, column * 2]
                yield row * 8, column * 8, 8, 8, _MV0 + which, f"{x};{y}"


def _of_hevc(priors: Priors, k: int) -> Iterator[Block]:
    paths = "cu/size", "cu/mode", "cu/part", "qp/y", "tu/size", "tu/kind"
    size, mode, part, qp, tu, made = (priors.read(path, [k])[0] for path in paths)
    for top, left, side in units(size):
        at = top // 4, left // 4
        for kind, values in ((_QP, qp), (_TYPE, mode), (_PART, part)):
            yield top, left, side, side, kind, str(values[at])
    for top, left, side in units(tu):
        if value := int(made[top // 4, left // 4]) & KIND:
            yield top, left, side, side, _UNIT, str(value)
    if "motion/mv" in priors:
        mv, ref = priors.read("motion/mv", [k])[0], priors.read("motion/ref", [k])[0]
        for top, left, width, height in parts(size, part):
            for which in (0, 1):
                if ref[which, top // 4, left // 4] != -1:
                    x, y = mv[which, top // 4, left // 4]
                    yield top, left, width, height, _MV0 + which, f"{x};{y}"
