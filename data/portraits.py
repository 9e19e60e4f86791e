"""Faces for the synthetic talking head: one photographed, any number drawn.

The photograph is NASA's portrait of Eileen Collins, public domain, as shipped with scikit-image
(`skimage.data.astronaut`, inside its wheel). Every portrait smiles with its teeth showing: between
the two inner lip lines lies the mouth's inside, and `synthetic` opens and closes it from there.
"""

from dataclasses import dataclass

import numpy as np

LIP_NODES = np.linspace(-1.0, 1.0, 9)
"""Places along the mouth, left corner -1 to right corner 1, at which lip lines are given."""


@dataclass(frozen=True)
class Portrait:
    """A still face and where its parts are, in pixels of `image`.

    Attributes:
        image: `[H, W, 3]` float RGB, 0..255.
        mouth: Centre x and half the width between the mouth's corners.
        upper: `[9]` y of the upper lip's inner edge at `LIP_NODES`.
        lower: `[9]` y of the lower lip's inner edge; the teeth are seen in between.
        eyes: (x, y, half width, half height) of each eye's opening.
        chin: Y of the chin's lower edge.
        head: Centre x, y and radii of the head with its hair.
        face: X, y, width, height of the face as a detector would box it.
    """

    image: np.ndarray
    mouth: tuple[float, float]
    upper: np.ndarray
    lower: np.ndarray
    eyes: tuple[tuple[float, float, float, float], ...]
    chin: float
    head: tuple[float, float, float, float]
    face: tuple[float, float, float, float]


def photographed(rng: np.random.Generator) -> Portrait:
    """The photographed portrait with light, tint and facing drawn from `rng`.

    Raises:
        ModuleNotFoundError: Scikit-image, which ships the picture, is not installed.
    """
    from skimage.data import astronaut

    image = astronaut().astype(np.float64)
    tint = 1.0 + rng.uniform(-0.12, 0.12, 3)
    image = 255.0 * (image / 255.0) ** rng.uniform(0.8, 1.25) * tint * rng.uniform(0.8, 1.05)
    portrait = Portrait(
        image=np.clip(image, 0.0, 255.0),
        mouth=(223.5, 20.5),
        upper=np.array([140.3, 141.6, 142.8, 143.6, 144.0, 144.1, 143.9, 142.6, 140.8]),
        lower=np.array([140.3, 145.0, 148.2, 149.8, 150.3, 150.0, 148.4, 145.2, 140.8]),
        eyes=((203.0, 101.5, 9.5, 4.5), (247.0, 104.0, 9.5, 4.5)),
        chin=178.0,
        head=(227.0, 100.0, 78.0, 92.0),
        face=(169.0, 68.0, 112.0, 112.0),
    )
    return _mirrored(portrait) if rng.random() < 0.5 else portrait


def _mirrored(p: Portrait) -> Portrait:
    """Turn a portrait left to right."""
    last = p.image.shape[1] - 1
    x, y, w, h = p.face
    return Portrait(
        image=p.image[:, ::-1],
        mouth=(last - p.mouth[0], p.mouth[1]),
        upper=p.upper[::-1],
        lower=p.lower[::-1],
        eyes=tuple((last - ex, ey, ew, eh) for ex, ey, ew, eh in p.eyes),
        chin=p.chin,
        head=(last - p.head[0], *p.head[1:]),
        face=(last - x - w + 1, y, w, h),
    )


def _texture(rng: np.random.Generator, size: int, grains: tuple[int, ...]) -> np.ndarray:
    """`[size, size]` noise of about -1..1: one octave for each grain (pixels)."""
    out = np.zeros((size, size))
    at = np.arange(size)
    for grain in grains:
        count = size // grain + 3
        coarse = rng.standard_normal((count, count))
        i, f = at // grain, (at % grain) / grain
        f = f * f * (3 - 2 * f)
        rows = coarse[i] * (1 - f)[:, None] + coarse[i + 1] * f[:, None]
        out += rows[:, i] * (1 - f) + rows[:, i + 1] * f
    return out / (2.0 * np.sqrt(len(grains)))


class _Canvas:
    """A square picture to paint soft shapes on."""

    def __init__(self, size: int, colour: np.ndarray) -> None:
        self.image = np.broadcast_to(colour, (size, size, 3)).copy()
        self.y, self.x = np.mgrid[0:size, 0:size].astype(np.float64)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, soft: float = 1.5) -> np.ndarray:
        """The mask of an ellipse, its edge `soft` pixels wide."""
        distance = np.hypot((self.x - cx) / rx, (self.y - cy) / ry) - 1.0
        return np.clip(0.5 - distance * min(rx, ry) / soft, 0.0, 1.0)

    def paint(self, mask: np.ndarray, colour: np.ndarray, opacity: float = 1.0) -> None:
        """Lay `colour` (one, or one a pixel) over the picture where `mask` is."""
        cover = (opacity * mask)[..., None]
        self.image = (1.0 - cover) * self.image + cover * colour


def drawn(rng: np.random.Generator) -> Portrait:
    """A drawn face with random proportions, colours and texture."""
    size, cx = 512, 256.0
    broad, tall = rng.uniform(0.9, 1.1), rng.uniform(0.93, 1.07)
    skin = np.array([224.0, 172.0, 140.0]) * rng.uniform(0.5, 1.05) * rng.uniform(0.98, 1.02, 3)
    hair = np.array([90.0, 62.0, 40.0]) * rng.uniform(0.3, 1.9) * rng.uniform(0.85, 1.15, 3)
    canvas = _Canvas(size, rng.uniform(60.0, 200.0, 3))
    canvas.image *= 1.0 + 0.12 * _texture(rng, size, (128, 64))[..., None]
    grain = _texture(rng, size, (16, 4, 2))[..., None]
    strand = _texture(rng, size, (2,))[:1] + 0.5 * _texture(rng, size, (8, 3))
    shade = 1.0 - 0.35 * np.abs((canvas.x - cx + rng.uniform(-30, 30)) / 130.0)[..., None] ** 1.5
    skin_map = skin * shade * (1.0 + 0.035 * grain)
    rx, ry, cy = 74.0 * broad, 100.0 * tall, 230.0

    canvas.paint(canvas.ellipse(cx, 520, 190, 160), rng.uniform(20.0, 180.0, 3) * (1 + 0.1 * grain))
    hair_map = hair * (1.0 + 0.25 * strand[..., None])
    canvas.paint(canvas.ellipse(cx, cy - 18, rx * 1.28, ry * rng.uniform(1.1, 1.35)), hair_map)
    canvas.paint(canvas.ellipse(cx, cy + 105, 42 * broad, 70), skin_map * 0.75)
    for side in (-1, 1):
        canvas.paint(canvas.ellipse(cx + side * rx, cy + 8, 11, 22), skin_map * 0.85)
    canvas.paint(canvas.ellipse(cx, cy, rx, ry, soft=3), skin_map)
    fringe = canvas.ellipse(cx + rng.uniform(-30, 30), cy - ry * 0.95, rx * 1.15, ry * 0.42)
    canvas.paint(fringe, hair_map)
    for side in (-1, 1):
        canvas.paint(canvas.ellipse(cx + side * 40, cy + 30, 28, 24, soft=24), skin * 1.1, 0.3)

    eye_y, brow = cy - 12.0, hair * 0.7
    eyes = tuple((cx + side * 32.0 * broad, eye_y, 13.0, 6.0) for side in (-1, 1))
    iris = rng.uniform(20.0, 130.0, 3)
    for ex, ey, ew, eh in eyes:
        canvas.paint(canvas.ellipse(ex, ey, ew + 5, eh + 6, soft=7), skin * 0.6, 0.6)
        white = canvas.ellipse(ex, ey, ew, eh)
        canvas.paint(white, np.array([225.0, 222.0, 218.0]))
        canvas.paint(white * canvas.ellipse(ex, ey - 0.5, 5.8, 5.8), iris)
        canvas.paint(white * canvas.ellipse(ex, ey - 0.5, 2.6, 2.6), np.array([10.0, 8.0, 8.0]))
        canvas.paint(canvas.ellipse(ex - 2, ey - 2.5, 1.2, 1.2), np.array([250.0] * 3))
        arch = canvas.ellipse(ex, ey - 17, 19, 6.5) * (1 - canvas.ellipse(ex, ey - 12.5, 20, 6.5))
        canvas.paint(arch, brow, 0.9)
    canvas.paint(canvas.ellipse(cx + 6, cy + 12, 9, 30, soft=9), skin * 0.7, 0.35)
    canvas.paint(canvas.ellipse(cx - 3, cy + 20, 6, 22, soft=6), np.minimum(skin * 1.2, 255), 0.5)
    for side in (-1, 1):
        canvas.paint(canvas.ellipse(cx + side * 9, cy + 37, 5, 2.6, soft=3), skin * 0.3, 0.8)

    half, mouth_y = 27.0 * rng.uniform(0.9, 1.1), cy + 59.0 * tall
    upper = mouth_y + 3.0 * (1 - LIP_NODES**2) - 1.0
    lower = mouth_y + 10.0 * (1 - np.abs(LIP_NODES) ** 2.5) - 1.0
    _paint_mouth(canvas, (cx, half), upper, lower, skin * np.array([0.92, 0.58, 0.60]))
    canvas.image += 1.5 * rng.standard_normal(canvas.image.shape)
    return Portrait(
        image=np.clip(canvas.image, 0.0, 255.0),
        mouth=(cx, half),
        upper=upper,
        lower=lower,
        eyes=eyes,
        chin=cy + ry,
        head=(cx, cy - 12.0, rx * 1.3, ry * 1.25),
        face=(cx - 72.0, cy - 58.0, 144.0, 144.0),
    )


def _paint_mouth(
    canvas: _Canvas,
    mouth: tuple[float, float],
    upper: np.ndarray,
    lower: np.ndarray,
    colour: np.ndarray,
) -> None:
    """Paint lips around the two inner lines and teeth between them."""
    u = (canvas.x - mouth[0]) / mouth[1]
    top, bottom = np.interp(u, LIP_NODES, upper), np.interp(u, LIP_NODES, lower)
    inside = np.clip(1.03 - np.abs(u), 0.0, 0.03) / 0.03
    full = np.clip(1.0 - u**2, 0.0, 1.0) ** 0.6
    dip = 1.0 - 0.25 * np.exp(-((u / 0.12) ** 2))
    lips = np.clip(canvas.y - top + 7.5 * full * dip, 0, 1) * np.clip(
        bottom + 10.5 * full - canvas.y, 0, 1
    )
    light = 1.0 + 0.25 * np.exp(-(((canvas.y - bottom - 4.0) / 2.5) ** 2)) * full
    canvas.paint(lips * inside, np.minimum(colour * light[..., None], 255.0), 0.9)
    gap = np.clip(canvas.y - top, 0, 1) * np.clip(bottom - canvas.y, 0, 1) * inside
    seam = 1.0 - 0.25 * (np.abs((canvas.x - mouth[0]) / 5.5 % 1.0 - 0.5) > 0.42)
    teeth = np.array([232.0, 226.0, 212.0]) * (seam * (1.0 - 0.55 * u**2))[..., None]
    canvas.paint(gap, np.clip(teeth, 0.0, 255.0))
