"""Curves over the frames of a video as inline SVG."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 960, 220  # of the drawing, its own units
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 30  # margins
Scale = Callable[[float], float]
POINTS = 600  # most points of a curve; longer videos are averaged


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes:
        name: For the legend.
        style: CSS class: `decoded`, `restored` or `plain`.
        values: One per frame; NaN leaves a gap.
    """

    name: str
    style: str
    values: Sequence[float]


def plot(
    title: str,
    remark: str,
    unit: str,
    curves: Sequence[Curve],
    times: Sequence[float],
    *,
    zero: bool = False,
) -> str:
    """A figure with one or more curves over time.

    Args:
        title: What is drawn.
        remark: A sentence below it.
        unit: Of the values.
        curves: At least one.
        times: Seconds of each frame.
        zero: The axis begins at zero.

    Returns:
        HTML of a `<figure>`; the values for the pointer are in its `data-plot`.
    """
    points = [_averaged(curve.values) for curve in curves]
    moments = _averaged(times)
    everything = np.concatenate(points)
    everything = everything[np.isfinite(everything)]
    low, high = (everything.min(), everything.max()) if len(everything) else (0.0, 1.0)
    low = min(low, 0.0) if zero else low
    marks = _marks(float(low), float(high))
    low, high = min(marks[0], low), max(marks[-1], high)
    first, last = float(moments[0]), float(max(moments[-1], moments[0] + 1e-9))

    def x(time: float) -> float:
        return LEFT + (time - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for mark in marks:
        parts.append(
            f'<path class="grid" d="M{LEFT} {y(mark):.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="axis" x="{LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">'
            f"{mark:.6g}</text>"
        )
    for mark in _marks(first, last):
        if first <= mark <= last:
            parts.append(
                f'<text class="axis" x="{x(mark):.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
                f"{mark:.6g} s</text>"
            )
    for curve, values in zip(curves, points, strict=True):
        parts.append(f'<path class="curve {curve.style}" d="{_path(moments, values, x, y)}"/>')
    parts.append(f'<path class="cursor" d="M0 {TOP}V{HEIGHT - BOTTOM}"/></svg>')
    legend = "".join(
        f'<span class="key {curve.style}">{escape(curve.name)} <b></b></span>' for curve in curves
    )
    data = {
        "unit": unit,
        "times": [round(float(t), 4) for t in moments],
        "values": [[round(float(v), 4) if math.isfinite(v) else None for v in p] for p in points],
    }
    return (
        f"<figure class=\"plot\" data-plot='{escape(json.dumps(data))}'>"
        f"<figcaption><strong>{escape(title)}</strong><span class=legend>{legend}</span>"
        f"</figcaption>{''.join(parts)}<p>{escape(remark)}</p></figure>"
    )


def _path(times: np.ndarray, values: np.ndarray, x: Scale, y: Scale) -> str:
    """Lines through the finite points; one that stands alone is drawn as a dot."""
    out, pen = [], "M"
    for time, value in zip(times, values, strict=True):
        if not math.isfinite(value):
            pen = "M"
            continue
        out.append(f"{pen}{x(time):.1f} {y(value):.1f}" + ("h0" if pen == "M" else ""))
        pen = "L"
    return "".join(out)


def _averaged(values: Sequence[float]) -> np.ndarray:
    """At most `POINTS` values, each the mean of those it stands for."""
    array = np.asarray(values, np.float64)
    if len(array) <= POINTS:
        return array
    edges = np.arange(POINTS) * len(array) // POINTS
    return np.add.reduceat(array, edges) / np.diff([*edges, len(array)])


def _marks(low: float, high: float) -> list[float]:
    """Round values from at or below `low` to at or above `high`, four to seven of them."""
    span = high - low if high - low > 1e-9 else max(abs(high), 1.0) * 0.1
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    stop = math.ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, max(stop, first + 1) + 1)]
