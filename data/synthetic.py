r"""A talking head that the program draws and voices itself.

    voice (formants) --> mouth shapes 200/s --> frame times --> warp of a portrait --> frames
                     \-> sound, 16 kHz

The warp is a backward map: for each pixel of the frame, where in the portrait it comes from. Lips
and chin follow the jaw; between the lips stand the portrait's own teeth, which are fixed to the
skull, the lower teeth and tongue, which move with the jaw, and the dark. Sound and mouth are of one
phoneme track, so what a low bit rate takes from the mouth can be told from the sound.

Needs opencv (for the warp) and, for the photographed face, scikit-image.
"""

from dataclasses import dataclass
from fractions import Fraction
from os import PathLike

import numpy as np

from .media import write_frames
from .portraits import LIP_NODES, Portrait, drawn, photographed
from .voice import CONTROL, RATE, speak

FACES = ("photograph", "drawn")
"""Kinds of face."""

_SKULL_TO_JAW = 0.3  # share of the mouth's gap that comes from the upper lip rising


@dataclass(frozen=True)
class TalkingHead:
    """A synthetic clip.

    Attributes:
        frames: `[T, H, W, 3]` uint8 RGB.
        samples: `[S]` int16 mono sound, 16000 samples a second, `S = T / fps * 16000`.
        fps: Frames a second.
        phonemes: (symbol, start, end), seconds; "." is a pause.
        opening: `[T]` height of the gap between the lips, as a share of the mouth's width.
        face: X, y, width, height of the face in the first frame, as a detector would box it.
        speaker: A name for the pair of voice and face.
    """

    frames: np.ndarray
    samples: np.ndarray
    fps: Fraction
    phonemes: list[tuple[str, float, float]]
    opening: np.ndarray
    face: tuple[int, int, int, int]
    speaker: str


def synthesise(
    seed: int = 0,
    seconds: float = 4.0,
    *,
    size: int | tuple[int, int] = 128,
    fps: Fraction | int = 25,
    face: str | None = None,
    speaker: int | None = None,
    zoom: float = 1.0,
    noise: float = 1.5,
    motion: float = 1.0,
) -> TalkingHead:
    """Draw and voice a talking head.

    Args:
        seed: What is said and how the head moves.
        seconds: Length; rounded to whole frames.
        size: Width and height of the frames in pixels, or both.
        fps: Frames a second.
        face: "photograph" or "drawn"; None: by the speaker.
        speaker: Seed of voice and face; None: `seed`.
        zoom: 1 fills the frame with the head, as a face crop does; 0.4 leaves room around it.
        noise: Standard deviation of the camera's noise, in grey levels.
        motion: How much the head moves; 0 not at all.

    Returns:
        The clip. The same arguments give the same clip.

    Raises:
        ValueError: Unknown kind of face, or nothing to draw.
    """
    if face not in (None, *FACES):
        raise ValueError(f"face is {face!r}; allowed are {', '.join(FACES)} and None")
    width, height = (size, size) if isinstance(size, int) else size
    count = round(seconds * fps)
    if count < 1 or min(width, height) < 16:
        raise ValueError(f"a clip of {count} frames of {width}x{height} cannot be drawn")
    who = seed if speaker is None else speaker
    looks = np.random.default_rng([who, 1])
    kind = face or FACES[int(looks.random() < 0.5)]
    portrait = photographed(looks) if kind == "photograph" else drawn(looks)
    rng = np.random.default_rng([seed, 2])
    speech = speak(rng, float(count / Fraction(fps)), voice=np.random.default_rng([who, 3]))

    times = (np.arange(count) + 0.5) / float(fps)
    steps = np.arange(len(speech.mouth)) / CONTROL
    shapes = np.stack([np.interp(times, steps, c) for c in speech.mouth.T], axis=1)
    sway = _sway(rng, times) * motion
    blink = _blinks(rng, times)
    stage = _Stage(portrait, width, height, zoom)
    frames = np.empty((count, height, width, 3), np.uint8)
    for k in range(count):
        picture = stage.render(shapes[k], sway[k], blink[k])
        picture = picture + noise * rng.standard_normal(picture.shape)
        frames[k] = np.clip(picture.round(), 0, 255)
    return TalkingHead(
        frames=frames,
        samples=speech.samples,
        fps=Fraction(fps),
        phonemes=speech.phonemes,
        opening=np.array([_gap(s) for s in shapes]),
        face=stage.face_box(),
        speaker=f"{kind} {who}",
    )


def _sway(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """`[T, 4]` head motion: x, y (share of the head's radius), roll (radians), log scale."""
    out = np.zeros((len(times), 4))
    for axis, reach in enumerate((0.035, 0.03, 0.03, 0.012)):
        for f in rng.uniform(0.15, 1.1, 3):
            out[:, axis] += reach * np.sin(2 * np.pi * (f * times + rng.random()))
    return out


def _blinks(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """How far the lids are shut, `[T]`, 0..1: blinks of 0.2 s every few seconds."""
    out, at = np.zeros(len(times)), rng.uniform(0.3, 2.5)
    while at < times[-1]:
        out = np.maximum(out, np.clip(1.3 - np.abs(times - at) / 0.1, 0.0, 1.0))
        at += rng.uniform(1.5, 4.5)
    return out


def _gap(shape: np.ndarray) -> float:
    """The height of the gap between the lips, as a share of the mouth's width at rest."""
    jaw, _, pursed, teeth, tuck = shape
    gap = 0.36 * jaw * (1.0 - 0.3 * pursed) + 0.15 * teeth * (1.0 - jaw)
    return float((1.0 - tuck) * gap + tuck * 0.09)


def _fade(distance: np.ndarray, start: float, stop: float) -> np.ndarray:
    """1 below `start`, 0 above `stop`, smooth between."""
    t = np.clip((stop - distance) / (stop - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


class _Stage:
    """A portrait in front of a camera; everything that does not change from frame to frame."""

    def __init__(self, portrait: Portrait, width: int, height: int, zoom: float) -> None:
        self.portrait = portrait
        self.size = width, height
        self.image = portrait.image.astype(np.float32)
        hx, hy, rx, ry = portrait.head
        self.centre = hx, hy + 0.06 * ry
        self.pixel = 2.1 * max(rx, ry) / (min(width, height) * zoom)  # of the portrait
        self.fine = 2 if min(width, height) <= 192 else 1  # drawn this much finer, then averaged
        across = (np.arange(width * self.fine) + 0.5) / self.fine - width / 2
        down = (np.arange(height * self.fine) + 0.5) / self.fine - height / 2
        self.x = np.broadcast_to(self.centre[0] + across * self.pixel, (len(down), len(across)))
        self.y = np.broadcast_to(
            (self.centre[1] + down * self.pixel)[:, None], (len(down), len(across))
        )
        distance = np.hypot((self.x - hx) / rx, (self.y - hy) / ry)
        self.stiff = _fade(distance, 1.0, 1.7)  # 1 on the head, 0 on what stands still

    def face_box(self) -> tuple[int, int, int, int]:
        """The face box in frame pixels: x, y, width, height."""
        x, y, w, h = self.portrait.face
        left = (x - self.centre[0]) / self.pixel + self.size[0] / 2
        top = (y - self.centre[1]) / self.pixel + self.size[1] / 2
        return round(left), round(top), round(w / self.pixel), round(h / self.pixel)

    def render(self, shape: np.ndarray, sway: np.ndarray, blink: float) -> np.ndarray:
        """Draw one frame.

        Args:
            shape: `[5]` mouth: jaw, width, round, teeth, tuck, 0..1.
            sway: `[4]` head: x, y, roll, log scale.
            blink: 0 open eyes, 1 shut.

        Returns:
            `[H, W, 3]` float RGB, 0..255.
        """
        import cv2

        x, y = self._head(sway)
        x, y, cover, paint = self._mouth(x, y, shape)
        picture = cv2.remap(
            self.image,
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        picture = (1.0 - cover[..., None]) * picture + cover[..., None] * paint
        if blink > 0.0:
            picture = self._lids(picture, x, y, blink)
        return cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA).astype(np.float64)

    def _head(self, sway: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Undo the head's motion; what is outside the head stays where it is."""
        hx, hy, rx, ry = self.portrait.head
        px, py = hx, hy + 0.8 * ry  # the neck, about which the head turns
        dx, dy = self.x - px - sway[0] * rx, self.y - py - sway[1] * ry
        c, s = np.cos(sway[2]) * np.exp(-sway[3]), np.sin(sway[2]) * np.exp(-sway[3])
        mx, my = px + c * dx + s * dy - self.x, py - s * dx + c * dy - self.y
        return self.x + self.stiff * mx, self.y + self.stiff * my

    def _lids(self, picture: np.ndarray, x: np.ndarray, y: np.ndarray, blink: float) -> np.ndarray:
        """Draw the lids down over the eyes, in the colour of the skin above them."""
        import cv2

        for ex, ey, ew, eh in self.portrait.eyes:
            edge = ey + eh * (2.5 * blink - 1.6)
            opening = _fade(np.hypot((x - ex) / (1.2 * ew), (y - ey) / (1.65 * eh)), 0.7, 1.0)
            lid = opening * np.clip((edge - y) / self.pixel + 0.5, 0.0, 1.0)
            row = ey - 1.75 * eh + 0.04 * (y - ey)
            skin = cv2.remap(
                self.image, x.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR
            )
            lash = 1.0 - 0.7 * np.exp(-(((y - edge) / (0.22 * eh)) ** 2))
            picture = picture + lid[..., None] * (skin * lash[..., None] - picture)
        return picture

    def _mouth(
        self, x: np.ndarray, y: np.ndarray, shape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Open, spread and purse the mouth.

        Returns:
            Portrait x and y of each pixel, where (0..1) the mouth's inside covers it, and the
            colours of that inside, `[h, w, 3]`.
        """
        p, (jaw, spread, pursed, teeth, tuck) = self.portrait, shape
        cx, half = p.mouth
        gap = _gap(shape) * 2.0 * half
        middle = 0.55 * p.upper + 0.45 * p.lower
        line = float(middle.mean())

        # Across: the mouth is `wide` times its width in the portrait.
        wide = (0.84 + 0.16 * spread) * (1.0 - 0.2 * pursed)
        radius = np.hypot((x - cx) / (wide * half), (y - line) / (0.75 * half))
        x = cx + (x - cx) * (1.0 + (1.0 / wide - 1.0) * _fade(radius, 1.05, 2.8))
        u = np.clip((x - cx) / half, -1.0, 1.0)
        arch = np.maximum(1.0 - u * u, 0.0) ** (0.5 + 0.3 * (1 - jaw))

        # Down: where the lips' inner edges are now, against where they are in the portrait.
        rest = np.interp(u, LIP_NODES, middle) * (1 - 0.4 * pursed) + 0.4 * pursed * line
        top = rest - _SKULL_TO_JAW * gap * arch
        bottom = rest + (1.0 - _SKULL_TO_JAW) * gap * arch - 0.08 * half * tuck * arch
        was_top, was_bottom = np.interp(u, LIP_NODES, p.upper), np.interp(u, LIP_NODES, p.lower)
        drop = 0.62 * (0.36 * jaw * (1.0 - 0.3 * pursed)) * 2.0 * half
        breadth = _fade(np.abs(x - cx) / half, 1.2, 2.6)
        reach = p.chin - line
        lip = _fade(y - bottom, 0.35 * half, 0.8 * reach)
        below = lip * (was_bottom - bottom) - (1.0 - lip) * drop * breadth
        below *= _fade(y - p.chin - drop, 0.05 * half, 1.3 * half)
        above = (was_top - top) * _fade(top - y, 0.25 * half, 0.9 * half)
        corner = _fade(np.abs(x - cx) / half, 1.0, 1.25)  # lips end at the corners
        above = np.where(np.abs(x - cx) <= half, above, above * corner)
        moved = np.where(y < 0.5 * (top + bottom), y + above, y + below)

        soft = 1.2 * self.pixel / self.fine
        inside = np.clip((y - top) / soft, 0, 1) * np.clip((bottom - y) / soft, 0, 1)
        inside *= np.clip((1.0 - np.abs(x - cx) / half) / 0.04, 0.0, 1.0)
        return x, moved, inside, self._cavity(x, y, u, (top, bottom), (jaw, teeth, pursed), drop)

    def _cavity(
        self,
        x: np.ndarray,
        y: np.ndarray,
        u: np.ndarray,
        lips: tuple[np.ndarray, np.ndarray],
        shape: tuple[float, float, float],
        drop: float,
    ) -> np.ndarray:
        """Colour the mouth's inside: teeth of the skull, teeth and tongue of the jaw, and dark."""
        import cv2

        p, (top, bottom), (jaw, teeth, pursed) = self.portrait, lips, shape
        half = p.mouth[1]
        was_top, was_bottom = np.interp(u, LIP_NODES, p.upper), np.interp(u, LIP_NODES, p.lower)
        paint = np.empty((*x.shape, 3))
        paint[:] = (46.0, 16.0, 16.0)
        tongue = np.hypot(u / 0.62, (y - bottom - 0.02 * half) / (0.16 * half + 0.35 * drop))
        paint += (0.8 * jaw * _fade(tongue, 0.6, 1.1))[..., None] * np.array([105.0, 45.0, 48.0])

        # The portrait's own teeth, never the lip above or below them.
        row = np.clip(y, was_top + 0.12 * half, was_bottom - 0.06 * half)
        own = cv2.remap(self.image, x.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)
        edge = was_bottom - 0.05 * half
        upper = np.clip((edge - y) / (0.05 * half), 0.0, 1.0) * (1.0 - 0.75 * pursed)
        shadow = 0.5 + 0.5 * np.clip((y - top) / (0.12 * half), 0.0, 1.0)
        paint += (upper * shadow * (0.6 + 0.4 * teeth))[..., None] * (own - paint)
        lower = np.clip((y - (edge + drop + 0.03 * half)) / (0.05 * half), 0.0, 1.0)
        lower *= (0.75 * teeth) * np.clip(1.0 - np.abs(u) ** 2 / 0.6, 0.0, 1.0)
        paint += lower[..., None] * (np.array([196.0, 186.0, 170.0]) - paint)
        return paint


def write_video(path: str | PathLike[str], head: TalkingHead) -> None:
    """Write a talking head without loss: FFV1 and PCM in Matroska.

    Args:
        path: File to write; an existing one is replaced.
        head: What `synthesise` returned. Its RGB is turned to BT.601 yuv420p once, by FFmpeg.
    """
    write_frames(path, head.frames, head.fps, head.samples, RATE)
