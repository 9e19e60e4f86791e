"""How late the sound is against the mouth, measured on a clip.

Bands of the sound's energy are predicted from the pixels of the mouth by ridge regression, for
every shift of the sound; the shift at which they are predicted best, on parts of the clip that the
regression has not seen, is the delay. The certainty says how far that best lies above the rest.
Lips move before the voice is heard, so that a delay of one frame is within what speakers do.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

REACH = 15
"""Largest delay looked for, frames."""

SURE = 4.0
"""Certainty from which a delay may be believed and corrected."""

_RATE = 16000
_BANDS = np.array([80, 250, 500, 900, 1500, 2500, 4000, 7000], float)  # edges, Hz
_PATCH = 20, 28  # rows and columns the mouth is scaled to
_MODELS = ((8, 0.1), (30, 0.3), (60, 1.0))  # principal components, ridge; their fits are averaged
_FOLDS = 5
_SLOW_SECONDS = 2.0  # slower changes (light, the head's turn) are taken out
_LEAST = 60  # frames; less cannot be measured


@dataclass(frozen=True)
class Delay:
    """What was measured.

    Attributes:
        ms: How late the sound is, milliseconds; negative: it is early.
        certainty: Height of the best fit above the others, in their standard deviations.
        sure: Certainty is at least `SURE` and the best shift is well inside what was looked for.
    """

    ms: float
    certainty: float
    sure: bool


def band_energies(samples: np.ndarray, frames: int, fps: Fraction) -> np.ndarray:
    """Log energies of seven bands of the sound around each frame's time.

    Args:
        samples: `[S]` int16 at 16 kHz, the first at the time of the first frame.
        frames: How many frames.
        fps: Their rate.

    Returns:
        `[frames, 7]`: log10 of the energy in a Hann window of two frames, centred on the middle of
        the frame's time.
    """
    step = float(_RATE / fps)
    size = int(2 * step) // 2 * 2
    padded = np.pad(samples.astype(np.float64) / 32768.0, (size, size))
    centre = ((np.arange(frames) + 0.5) * step).astype(int)
    windows = padded[centre[:, None] + size // 2 + np.arange(size)] * np.hanning(size)
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    f = np.fft.rfftfreq(size, 1.0 / _RATE)
    bands = [power[:, (f >= a) & (f < b)].sum(1) for a, b in zip(_BANDS, _BANDS[1:], strict=False)]
    return np.log10(np.stack(bands, axis=1) + 1e-6)


def _components(patches: np.ndarray) -> np.ndarray:
    """`[T, C]` principal components of `[T, h, w]` patches, the strongest first."""
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    flat = flat - flat.mean(0)
    _, _, axes = np.linalg.svd(flat[:: max(1, len(flat) // 600)], full_matrices=False)
    return flat @ axes[: max(count for count, _ in _MODELS)].T


def _with_changes(parts: np.ndarray) -> np.ndarray:
    """Put beside each column its change and the size of its change."""
    change = np.gradient(parts, axis=0)
    return np.concatenate([parts, change, np.abs(change)], axis=1)


def _level(x: np.ndarray, fps: Fraction) -> np.ndarray:
    """Take slow drift out of each column and scale it to 1."""
    half = round(_SLOW_SECONDS * fps / 2)
    kernel = np.hanning(2 * half + 3)[1:-1]
    padded = np.pad(x, ((half, half), (0, 0)), mode="reflect")
    slow = [np.convolve(c, kernel / kernel.sum(), mode="valid") for c in padded.T]
    x = x - np.stack(slow, axis=1)
    return x / (x.std(0) + 1e-9)


def _fit(x: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """`[C]` correlations of each column of `y` with its prediction on parts left out.

    Args:
        x: `[T, D]` what is predicted from.
        y: `[T, C]` what is predicted.
        ridge: Weight of the penalty.
    """
    edges = np.linspace(0, len(x), _FOLDS + 1).astype(int)
    predicted = np.empty_like(y)
    for a, b in zip(edges, edges[1:], strict=False):
        kept = np.r_[0 : max(a - 5, 0), min(b + 5, len(x)) : len(x)]
        gram = x[kept].T @ x[kept] + ridge * len(kept) * np.eye(x.shape[1])
        predicted[a:b] = x[a:b] @ np.linalg.solve(gram, x[kept].T @ y[kept])
    p, q = predicted - predicted.mean(0), y - y.mean(0)
    scale = np.linalg.norm(p, axis=0) * np.linalg.norm(q, axis=0) + 1e-9
    return (p * q).sum(0) / scale


def fits(patches: np.ndarray, samples: np.ndarray, fps: Fraction) -> np.ndarray:
    """How well the mouth predicts the sound at each shift, in frames.

    Args:
        patches: `[T, h, w]` grey levels of the mouth's region.
        samples: `[S]` int16 at 16 kHz, in step with the frames.
        fps: Frames a second.
    """
    parts = _components(patches)
    sound = _level(band_energies(samples, len(patches), fps), fps)
    count, inner = 2 * REACH + 1, len(sound) - 2 * REACH
    shifted = np.concatenate([sound[k : k + inner] for k in range(count)], axis=1)
    curve = np.zeros(count)
    for components, ridge in _MODELS:
        mouth = _level(_with_changes(parts[:, :components]), fps)[REACH : REACH + inner]
        curve += _fit(mouth, shifted, ridge).reshape(count, -1).mean(1)
    return curve / len(_MODELS)


def measure(patches: np.ndarray, samples: np.ndarray, fps: Fraction) -> Delay | None:
    """Measure the delay of the sound.

    Args:
        patches: `[T, h, w]` grey levels of the mouth's region.
        samples: `[S]` int16 at 16 kHz, in step with the frames.
        fps: Frames a second.

    Returns:
        The delay, to a fraction of a frame; None if the clip is too short or silent.
    """
    if len(patches) < _LEAST + 2 * REACH or np.abs(samples.astype(np.int32)).max(initial=0) < 50:
        return None
    curve = fits(patches, samples, fps)
    best = int(curve.argmax())
    rest = np.delete(curve, slice(max(best - 3, 0), best + 4))
    certainty = float((curve[best] - rest.mean()) / (rest.std() + 0.01))
    inside = 1 < best < len(curve) - 2
    offset = 0.0
    if 0 < best < len(curve) - 1:
        a, b, c = curve[best - 1 : best + 2]
        offset = 0.5 * (a - c) / (a - 2 * b + c - 1e-12)
    delay = (best - REACH + offset) * 1000 / float(fps)
    return Delay(round(float(delay), 1), round(certainty, 2), certainty >= SURE and inside)


def patches_of(luma: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """`[T, 10, 14]` grey levels: the mouth's box of every frame, averaged down.

    Args:
        luma: `[T, H, W]` uint8.
        box: X, y, width, height of the mouth's region.
    """
    x, y, w, h = box
    rows, columns = _PATCH
    region = luma[:, y : y + h, x : x + w].astype(np.float32)
    down = _averaging(h, rows)
    across = _averaging(w, columns)
    return down @ region @ across.T


def _averaging(size: int, parts: int) -> np.ndarray:
    """The `[parts, size]` matrix that averages `size` samples down to `parts`."""
    edges = np.linspace(0, size, parts + 1)
    at = np.arange(size)
    low = np.maximum(at[None], edges[:-1, None])
    high = np.minimum(at[None] + 1, edges[1:, None])
    weights = np.maximum(high - low, 0.0).astype(np.float32)
    return weights / weights.sum(1, keepdims=True)
