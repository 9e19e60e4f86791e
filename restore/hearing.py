"""The sound of a priors file as the network hears it, in constant memory.

Features are made a block at a time, when a frame first asks for one, from the samples of that block
and a little more on both sides, so that they are those of the whole track.
"""

import numpy as np

from ..bitstream import PriorsFile
from ..data.reader import HOP
from ..data.sample import FEATURE_FRAMES
from . import audio

BLOCK = 3000  # features made at once: 30 s
CONTEXT = 8  # features on each side that a block's edge depends on: 512 samples, two differences


class Hearing:
    """Features around any moment of a video.

    Args:
        priors: Open priors file; read while `around` is called.
        shift: Seconds by which the sound is moved, later if positive.

    Attributes:
        silent: The file holds no sound.
    """

    def __init__(self, priors: PriorsFile, *, shift: float = 0.0) -> None:
        """Look at the track; nothing is read yet."""
        self._samples = priors.dataset("audio/samples") if "audio/samples" in priors else None
        self.silent = self._samples is None or not len(self._samples)
        self._blocks: dict[int, np.ndarray] = {}
        if self._samples is None:
            return
        rate = int(self._samples.attrs["sample_rate"])
        if rate != audio.RATE:
            raise ValueError(f"sound of {rate} Hz: priors files hold {audio.RATE}")
        self._start = float(self._samples.attrs["start_time"]) + shift
        self._count = 1 + len(self._samples) // audio.HOP

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
        first = round((time - self._start) * audio.RATE)
        stop = first + max(round(length * audio.RATE), 1)
        wave = self._samples[max(first, 0) : max(stop, 0)].astype(np.float64) / 32768
        power = float(np.mean(wave**2)) if len(wave) else 0.0
        return 10 * float(np.log10(max(power, 1e-10)))

    def _block(self, number: int) -> np.ndarray:
        if number not in self._blocks:
            begin = number * BLOCK
            first = max(begin - CONTEXT, 0)
            assert self._samples is not None
            wave = self._samples[first * audio.HOP : (begin + BLOCK + CONTEXT) * audio.HOP]
            made = audio.features(wave)[begin - first : begin - first + BLOCK]
            self._blocks = dict([*self._blocks.items(), (number, made)][-2:])
        return self._blocks[number]
