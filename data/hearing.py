"""Sound as the network hears it: mel-frequency cepstral coefficients, 16 kHz, 25 ms, hop 10 ms.

    int16 samples -> mfcc() [n, 13] -> first and second differences -> features() [n, 39]

Feature frame `k` is centred on sample `160 k`, that is on the time `k / 100` s after the first
sample. `mfcc` equals librosa's for the same parameters (librosa 0.10 and later: n_fft 512,
win_length 400, Hann, 40 Slaney mel bands, power 2, decibels without a floor relative to the
loudest, orthonormal DCT-II); a relative floor would make a feature depend on sound minutes away.

`Hearing` makes the features of a priors file's sound in constant memory: a block at a time, when a
frame first asks for one, from the samples of that block and a little more on both sides, so that
they are those of the whole track.

Source:
    DAVD-Net, 3.2 (MFCC, their parameters unstated); 25 ms and 10 ms are the usual ones for speech.
"""

import dataclasses
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy import fft, signal

from ..bitstream import Priors
from .sample import FEATURE_FRAMES

RATE = 16000  # samples a second
HOP_SAMPLES = 160  # between features: 10 ms
HOP = HOP_SAMPLES / RATE  # seconds
WINDOW = 400  # samples: 25 ms
TRANSFORM = 512  # samples of the FFT, the window in its middle
BANDS = 40  # mel bands, 0 to 8000 Hz
COEFFICIENTS = 13
FLOOR = 1e-10  # smallest power
BLOCK = 3000  # features made at once: 30 s
CONTEXT = 8  # features on each side that a block's edge depends on: 512 samples, two differences
# Mean and spread of the coefficients over ordinary speech, rounded: features come out about one.
_MEAN = np.array([-250.0] + [0.0] * 12, np.float32)
_SPREAD = np.array([150.0, 80.0] + [35.0] * 3 + [20.0] * 8, np.float32)


def features(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    """Network features of a whole sound track.

    Args:
        samples: int16 `[S]`, mono.
        rate: Samples a second; other than 16000 is resampled.

    Returns:
        float32 `[n, 39]`: coefficients, first and second differences, 100 a second.
    """
    if rate != RATE:
        share = Fraction(RATE, rate)
        wave = signal.resample_poly(samples.astype(np.float64), share.numerator, share.denominator)
    else:
        wave = samples.astype(np.float64)
    still = (mfcc((wave / 32768).astype(np.float32)) - _MEAN) / _SPREAD
    first = _difference(still)
    return np.concatenate([still, 4 * first, 8 * _difference(first)], axis=1).astype(np.float32)


def mfcc(wave: np.ndarray) -> np.ndarray:
    """Mel-frequency cepstral coefficients at 16 kHz.

    Args:
        wave: Float `[S]` in -1..1.

    Returns:
        float32 `[1 + S // 160, 13]`.
    """
    padded = np.pad(wave.astype(np.float64), TRANSFORM // 2)
    count = 1 + len(wave) // HOP_SAMPLES
    window = np.zeros(TRANSFORM)
    margin = (TRANSFORM - WINDOW) // 2
    window[margin : margin + WINDOW] = signal.get_window("hann", WINDOW)
    out = np.empty((count, COEFFICIENTS), np.float32)
    for begin in range(0, count, 4096):  # some 40 s at a time, so that memory stays small
        stop = min(begin + 4096, count)
        index = HOP_SAMPLES * np.arange(begin, stop)[:, None] + np.arange(TRANSFORM)
        power = np.abs(fft.rfft(padded[index] * window)) ** 2
        decibels = 10 * np.log10(np.maximum(power @ _mel_filters().T, FLOOR))
        out[begin:stop] = fft.dct(decibels, type=2, norm="ortho")[:, :COEFFICIENTS]
    return out


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    """Triangular bands of equal area, `[40, 257]` (Slaney's Auditory Toolbox)."""
    edges = _hertz(np.linspace(_mel(0.0), _mel(RATE / 2), BANDS + 2))
    bins = np.linspace(0, RATE / 2, 1 + TRANSFORM // 2)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def _mel(hertz: float) -> float:
    """Slaney's mel scale: linear to 1000 Hz (15 mel), logarithmic above (27 mel to 6.4 times)."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def _hertz(mel: np.ndarray) -> np.ndarray:
    """Inverse of `_mel`."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


def _difference(values: np.ndarray) -> np.ndarray:
    """Half the central difference along time, the ends repeated."""
    padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    return (padded[2:] - padded[:-2]) / 2


@dataclasses.dataclass(frozen=True)
class Track:
    """Sound features of a clip, `[n, F]` float32, and the time of the first one in seconds."""

    features: np.ndarray
    start: float

    def around(self, time: float) -> np.ndarray:
        """The features centred on a moment, `[21, F]`; the ends are repeated."""
        centre = round((time - self.start) / HOP)
        index = centre + np.arange(FEATURE_FRAMES) - FEATURE_FRAMES // 2
        return self.features[index.clip(0, len(self.features) - 1)]


class Hearing:
    """Features around any moment of a video.

    Args:
        priors: Open priors file; read while `around` is called.
        shift: Seconds by which the sound is moved, later if positive.

    Attributes:
        silent: The file holds no sound.
    """

    def __init__(self, priors: Priors, *, shift: float = 0.0) -> None:
        """Look at the track; nothing is read yet."""
        self._samples = priors.dataset("audio/samples") if "audio/samples" in priors else None
        self.silent = self._samples is None or not len(self._samples)
        self._blocks: dict[int, np.ndarray] = {}
        if self._samples is None:
            return
        rate = int(self._samples.attrs["sample_rate"])
        if rate != RATE:
            raise ValueError(f"sound of {rate} Hz: priors files hold {RATE}")
        self._start = float(self._samples.attrs["start_time"]) + shift
        self._count = 1 + len(self._samples) // HOP_SAMPLES

    def around(self, time: float) -> np.ndarray | None:
        """Features centred on a moment, float32 `[21, F]`; None where there is no sound."""
        if self.silent:
            return None
        centre = round((time - self._start) / HOP)
        index = centre + np.arange(FEATURE_FRAMES) - FEATURE_FRAMES // 2
        rows = index.clip(0, self._count - 1)
        return np.stack([self._block(k // BLOCK)[k % BLOCK] for k in rows.tolist()])

    def loudness(self, time: float, length: float) -> float:
        """Level of the sound over `length` seconds from `time`, decibels of full scale."""
        if self._samples is None:
            return -100.0
        first = round((time - self._start) * RATE)
        stop = first + max(round(length * RATE), 1)
        wave = self._samples[max(first, 0) : max(stop, 0)].astype(np.float64) / 32768
        power = float(np.mean(wave**2)) if len(wave) else 0.0
        return 10 * float(np.log10(max(power, 1e-10)))

    def _block(self, number: int) -> np.ndarray:
        if number not in self._blocks:
            begin = number * BLOCK
            first = max(begin - CONTEXT, 0)
            assert self._samples is not None
            wave = self._samples[first * HOP_SAMPLES : (begin + BLOCK + CONTEXT) * HOP_SAMPLES]
            made = features(wave)[begin - first : begin - first + BLOCK]
            self._blocks = dict([*self._blocks.items(), (number, made)][-2:])
        return self._blocks[number]
