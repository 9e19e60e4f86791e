"""Pictures of what the bitstream says about one frame, as in Figure 6 of the DAVD-Net paper."""

import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..priors.blocks import blocks
from ..priors.reading import Priors
from ..priors.record import FrameRecord
from ..priors.schema import TU_KIND, PictureType, TuType
from .colour import to_rgb

Box = tuple[int, int, int, int]  # left, right, bottom, top of what is shown, luma samples

_INK, _FAINT = "#1f2430", "#767c8c"
# Side in 4x4 blocks, colour, name and, of H.264, value of transform units, in the order of drawing.
_BARE = "no residual"
_UNITS: dict[str, list[tuple[int, str, str, TuType | None]]] = {
    "h264": [
        (4, "#ffffff", _BARE, TuType.NONE),
        (4, "#ffd23f", "Intra16x16", TuType.INTRA16X16),
        (2, "#3bceac", "8x8", TuType.TU_8X8),
        (1, "#ff5d8f", "4x4", TuType.TU_4X4),
        (4, "#7c3aed", "PCM", TuType.PCM),
    ],
    "hevc": [
        *[(side, "#ffffff", _BARE, None) for side in (16, 8, 4, 2, 1)],
        (8, "#4aa3f0", "32x32", None),
        (4, "#ffd23f", "16x16", None),
        (2, "#3bceac", "8x8", None),
        (1, "#ff5d8f", "4x4", None),
    ],
}


def shown_rgb(planes: tuple[np.ndarray, ...], priors: Priors) -> np.ndarray:
    """Coded planes as a player shows them: cropped, uint8 RGB `[H, W, 3]`."""
    attrs = priors.attrs
    rows, columns = priors.crop
    depths = int(attrs["bit_depth_luma"]), int(attrs["bit_depth_chroma"])
    rgb = to_rgb(
        planes,
        depth=depths,
        matrix=str(attrs["color_matrix"]),
        full_range=attrs["color_range"] == "full",
    )
    return rgb[rows, columns]


def macroblock_rows(plane: np.ndarray, field: np.ndarray) -> np.ndarray:
    """A plane with the rows of field pairs parted as its macroblocks have them: top, then bottom.

    Args:
        plane: `[Hp, Wp]` in display rows.
        field: `[H/16, W/16]`, not 0 for field macroblocks.
    """
    if not field.any():
        return plane
    rows, columns = field.shape
    height, width = plane.shape[0] // rows, plane.shape[1] // columns
    pairs = plane.reshape(rows // 2, height, 2, columns, width)
    parted = pairs.transpose(0, 2, 1, 3, 4).reshape(plane.shape)
    mask = (field != 0).repeat(height, 0).repeat(width, 1)
    return np.where(mask, parted, plane)


def unit_edges(where: np.ndarray, side: int) -> np.ndarray:
    """Outlines of square units of one size, which lie at multiples of it.

    Args:
        where: `[H/4, W/4]`, the blocks that they cover.
        side: Side of such a unit in 4x4 blocks.

    Returns:
        Corners of one open polygon (top and left side) per unit, luma samples, `[units, 3, 2]`.
    """
    rows, columns = np.nonzero(where[::side, ::side])
    y, x, length = rows * 4 * side, columns * 4 * side, 4 * side
    return np.stack(
        [np.stack([x, y + length], -1), np.stack([x, y], -1), np.stack([x + length, y], -1)], axis=1
    )


def _unit_kinds(record: FrameRecord) -> list[tuple[int, str, str, np.ndarray]]:
    """Side, colour and name of the kinds of transform units, and the 4x4 blocks they cover."""
    table = _UNITS[record.codec]
    if record.codec == "h264":
        tu = record.tu & TU_KIND
        return [(side, colour, name, tu == kind) for side, colour, name, kind in table]
    sides, coded = blocks(record).side // 4, record.tu_kind > 0
    return [
        (side, colour, name, (sides == side) & (coded != (name == _BARE)))
        for side, colour, name, _ in table
    ]


def _panel(figure: Figure, place: int, title: str, note: str = "") -> Axes:
    axes = figure.add_subplot(2, 3, place)
    axes.set_title(title, loc="left", fontsize=11, color=_INK, fontweight="bold", pad=6)
    axes.set_title(note, loc="right", fontsize=8.5, color=_FAINT, pad=6)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _missing(axes: Axes, name: str) -> None:
    _note(axes, f"{name} is not stored\nin this file")


def _note(axes: Axes, text: str) -> None:
    axes.text(
        0.5,
        0.5,
        text,
        ha="center",
        va="center",
        color=_FAINT,
        transform=axes.transAxes,
    )


def frame_figure(priors: Priors, index: int) -> Figure:
    """Decoded picture, transform units, QP, prediction, residual and cost of one frame.

    Raises:
        IndexError: There is no such frame.
    """
    record = priors[index]
    rows, columns = priors.crop
    height, width = rows.stop - rows.start, columns.stop - columns.start
    panel = 4.6
    figure = Figure(figsize=(3 * panel + 1.9, 2 * (panel * height / width + 0.42) + 0.95), dpi=150)
    FigureCanvasAgg(figure)
    figure.set_facecolor("white")
    figure.subplots_adjust(
        left=0.02, right=0.955, top=1 - 0.95 / figure.get_figheight(), bottom=0.03, wspace=0.13
    )
    figure.subplots_adjust(hspace=0.42 / (panel * height / width))
    _heading(figure, priors, record)
    box = (columns.start, columns.stop, rows.stop, rows.start)
    _pictures(figure, priors, record, box)
    _qp_panel(figure, record, box)
    _signed_panel(figure, 5, "Residual", record.residual, box, "luma, before clipping")
    if record.mb_bits is not None or record.cu_bits is not None:
        _bits_panel(figure, record, box)
    else:
        _level_panel(figure, record, box)
    return figure


def _heading(figure: Figure, priors: Priors, record: FrameRecord) -> None:
    hevc = record.codec == "hevc"
    key = " (IRAP)" if hevc else " (IDR)"
    kind = PictureType(record.picture_type).name + (key if record.keyframe else "")
    skipped, of = blocks(record).skip.mean(), "picture" if hevc else "macroblocks"
    text = (
        f"frame {record.index} at {record.time:.3f} s    {kind} picture    "
        f"QP {record.qp_y.min()} to {record.qp_y.max()}, mean {record.qp_y.mean():.1f}    "
        f"{skipped:.0%} of the {of} skipped"
    )
    y = 1 - 0.32 / figure.get_figheight()
    name = f"{priors.attrs['source']}"
    figure.text(0.02, y, name, fontsize=15, fontweight="bold", color=_INK, va="center")
    figure.text(0.955, y, text, fontsize=10.5, color=_FAINT, va="center", ha="right")


def _pictures(figure: Figure, priors: Priors, record: FrameRecord, box: Box) -> None:
    axes = _panel(figure, 1, "Decoded", "as a player shows it")
    shown = record.decoded or record.prediction
    if record.decoded is not None:
        axes.imshow(shown_rgb(record.decoded, priors), extent=box, interpolation="nearest")
    else:
        _missing(axes, "decoded")
    fields = record.field is not None and bool(record.field.any())
    axes = _panel(
        figure, 2, "Transform units", "fields apart, as coded" if fields else "over the picture"
    )
    if shown is not None:
        rows = shown
        if fields:
            rows = tuple(macroblock_rows(plane, record.field) for plane in shown)
        grey = shown_rgb(rows, priors).mean(axis=-1) / 255
        axes.imshow(0.12 + 0.55 * grey, extent=box, cmap="gray", vmin=0, vmax=1)
    handles: list[Line2D] = []
    width = float(np.clip(300 / (box[1] - box[0]), 0.12, 0.9))  # lines of large pictures are thin
    for side, colour, name, where in _unit_kinds(record):
        edges = unit_edges(where, side)
        if not len(edges):
            continue
        if name != _BARE:
            _tint(axes, where, colour)
        lines = LineCollection(list(edges), colors=colour, linewidths=width, alpha=0.9)
        if name == _BARE:
            lines.set(linewidths=width / 2, alpha=0.35)
        axes.add_collection(lines)
        if name not in [handle.get_label() for handle in handles]:
            handles.append(Line2D([], [], color=colour, lw=2.4, label=name))
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    axes.set_aspect("equal")
    legend = axes.legend(
        handles=handles,
        loc="lower left",
        fontsize=8,
        frameon=True,
        facecolor="#1f2430",
        edgecolor="none",
        labelcolor="white",
        framealpha=0.85,
        handlelength=1.2,
    )
    legend.set_zorder(5)
    axes = _panel(figure, 4, "Prediction", "intra or inter, before the residual")
    if record.prediction is not None:
        axes.imshow(shown_rgb(record.prediction, priors), extent=box, interpolation="nearest")
    else:
        _missing(axes, "prediction")


def _tint(axes: Axes, where: np.ndarray, colour: str) -> None:
    """Colour some 4x4 blocks lightly."""
    image = np.zeros((*where.shape, 4))
    image[where] = to_rgba(colour, 0.28)
    height, width = where.shape
    axes.imshow(image, extent=(0, width * 4, height * 4, 0), interpolation="nearest")


def _qp_panel(figure: Figure, record: FrameRecord, box: Box) -> None:
    hevc = record.codec == "hevc"
    axes = _panel(
        figure, 3, "Quantisation", f"QP of each {'coding unit' if hevc else 'macroblock'}"
    )
    qp, step = record.qp_y.astype(int), 4 if hevc else 16
    low, high = int(qp.min()), int(qp.max())
    low, high = (low - 2, high + 2) if high - low < 4 else (low, high)
    image = axes.imshow(
        qp,
        extent=(0, qp.shape[1] * step, qp.shape[0] * step, 0),
        cmap="magma",
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    if qp.shape[1] <= 24 and not hevc:
        middle = (low + high) / 2
        for (row, column), value in np.ndenumerate(qp):
            colour = "#ffffff" if value < middle + (high - low) * 0.2 else "#1f2430"
            at = column * 16 + 8, row * 16 + 8
            if box[0] <= at[0] <= box[1] and box[3] <= at[1] <= box[2]:
                size = 6.5 if qp.shape[1] > 14 else 8.5
                axes.text(*at, str(value), ha="center", va="center", fontsize=size, color=colour)
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    _bar(figure, axes, image)


def _bar(figure: Figure, axes: Axes, image: AxesImage) -> None:
    inset = axes.inset_axes((1.015, 0.0, 0.022, 1.0))
    bar = figure.colorbar(image, cax=inset, ticks=MaxNLocator(integer=True))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, colors=_FAINT, length=0, pad=2)


def _signed_panel(
    figure: Figure,
    place: int,
    title: str,
    planes: tuple[np.ndarray, ...] | None,
    box: Box,
    note: str,
) -> None:
    axes = _panel(figure, place, title, note)
    if planes is None:
        _missing(axes, title.lower())
        return
    luma = planes[0]
    coded = np.abs(luma[luma != 0])
    limit = max(4.0, float(np.percentile(coded, 98)) if coded.size else 4.0)
    extent = (0, luma.shape[1], luma.shape[0], 0)
    if not coded.size:
        _note(axes, "all zero in this frame")
    image = axes.imshow(
        luma, extent=extent, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
    )
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    _bar(figure, axes, image)


def _bits_panel(figure: Figure, record: FrameRecord, box: Box) -> None:
    """Where the bits went, on a scale of doublings: skipped blocks cost less than one."""
    hevc = record.codec == "hevc"
    bits = (record.cu_bits if hevc else record.mb_bits) / 256
    step, unit = (8, "coding unit") if hevc else (16, "macroblock")
    axes = _panel(figure, 6, "Bits", f"of each {unit}, {record.bits:,} in all")
    image = axes.imshow(
        np.log2(1 + bits),
        extent=(0, bits.shape[1] * step, bits.shape[0] * step, 0),
        cmap="inferno",
        vmin=0,
        vmax=max(4.0, float(np.log2(1 + bits.max()))),
        interpolation="nearest",
    )
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    inset = axes.inset_axes((1.015, 0.0, 0.022, 1.0))
    bar = figure.colorbar(image, cax=inset, ticks=range(0, 20, 2))
    bar.ax.set_yticklabels([f"{2**k - 1:,}" if k else "0" for k in bar.get_ticks().astype(int)])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, colors=_FAINT, length=0, pad=2)


def _level_panel(figure: Figure, record: FrameRecord, box: Box) -> None:
    """How many levels are not zero in each 8x8 block: where the bits went."""
    axes = _panel(figure, 6, "Coded levels", "nonzero per 8x8 luma block")
    if record.level is None:
        _missing(axes, "level")
        return
    luma = record.level[0]
    height, width = luma.shape
    count = (luma.reshape(height // 8, 8, width // 8, 8) != 0).sum(axis=(1, 3))
    bounds = [0, 1, 2, 4, 8, 16, 65]
    colours = ["#f3f4f7", "#cfe8f3", "#93cde4", "#4aa3cc", "#1d6fa5", "#0b3c6f"]
    image = axes.imshow(
        count,
        extent=(0, width, height, 0),
        cmap=ListedColormap(colours),
        norm=BoundaryNorm(bounds, len(colours)),
        interpolation="nearest",
    )
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    inset = axes.inset_axes((1.015, 0.0, 0.022, 1.0))
    bar = figure.colorbar(
        image, cax=inset, ticks=[(a + b) / 2 for a, b in zip(bounds, bounds[1:], strict=False)]
    )
    names = [
        str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    names[-1] = f"{bounds[-2]}+"
    bar.ax.set_yticklabels(names)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, colors=_FAINT, length=0, pad=2)
    bar.ax.minorticks_off()


def save_figure(
    priors: Priors, index: int, path: str | os.PathLike[str], *, kind: str = ""
) -> None:
    """Write the figure of one frame.

    Args:
        priors: The file.
        index: Of the frame.
        path: Where to.
        kind: png, pdf, svg; empty: as the suffix says.

    Raises:
        IndexError: There is no such frame.
        ValueError: A kind that cannot be written.
    """
    frame_figure(priors, index).savefig(path, format=kind or None)
