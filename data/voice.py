"""A voice made of formants: random syllables as sound and as mouth shapes.

The sound is harmonic synthesis: partials of a wandering pitch, each as strong as the formants of
the moment make it, plus noise in the band of the moment for fricatives and bursts. The mouth shapes
come from the same phoneme track, so that sound and mouth agree as they do in a speaker.

Source: formant frequencies after Peterson and Barney, "Control methods used in a study of the
vowels" (1952), rounded; the mouth shapes are ours.
"""

from dataclasses import dataclass

import numpy as np

RATE = 16000
"""Samples of sound a second."""

CONTROL = 200
"""Steps of the control tracks (formants, loudness, mouth) a second."""

# symbol: voice, noise (linear, 0..1) | F1 F2 F3 | noise centre, width (Hz)
#         | jaw, width, round, teeth, tuck (0..1: open, spread, pursed, teeth seen, lip under teeth)
_PHONEMES: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "a": ((1.0, 0.00, 730, 1090, 2440), (1500, 900), (1.00, 0.55, 0.00, 0.35, 0.0)),
    "e": ((0.9, 0.00, 530, 1840, 2480), (1500, 900), (0.55, 0.85, 0.00, 0.75, 0.0)),
    "i": ((0.8, 0.00, 270, 2290, 3010), (1500, 900), (0.25, 1.00, 0.00, 1.00, 0.0)),
    "o": ((0.9, 0.00, 570, 840, 2410), (1500, 900), (0.65, 0.25, 0.70, 0.05, 0.0)),
    "u": ((0.8, 0.00, 300, 870, 2240), (1500, 900), (0.25, 0.10, 1.00, 0.00, 0.0)),
    "@": ((0.7, 0.00, 500, 1500, 2500), (1500, 900), (0.40, 0.50, 0.05, 0.35, 0.0)),
    "m": ((0.3, 0.00, 250, 1000, 2200), (1500, 900), (0.00, 0.50, 0.10, 0.00, 0.0)),
    "b": ((0.1, 0.02, 220, 900, 2200), (900, 700), (0.00, 0.50, 0.10, 0.00, 0.0)),
    "p": ((0.0, 0.03, 300, 1000, 2300), (900, 700), (0.00, 0.50, 0.15, 0.00, 0.0)),
    "f": ((0.0, 0.22, 350, 1300, 2500), (5200, 3200), (0.12, 0.60, 0.00, 0.60, 1.0)),
    "v": ((0.4, 0.10, 300, 1300, 2500), (5200, 3200), (0.12, 0.60, 0.00, 0.60, 1.0)),
    "s": ((0.0, 0.55, 300, 1600, 2600), (6200, 1300), (0.12, 0.85, 0.00, 1.00, 0.0)),
    "S": ((0.0, 0.60, 300, 1700, 2600), (3400, 1300), (0.22, 0.25, 0.70, 0.80, 0.0)),
    "t": ((0.0, 0.30, 300, 1700, 2700), (4500, 2200), (0.20, 0.60, 0.00, 0.70, 0.0)),
    "n": ((0.4, 0.00, 280, 1500, 2500), (1500, 900), (0.25, 0.60, 0.00, 0.50, 0.0)),
    "l": ((0.6, 0.00, 350, 1200, 2700), (1500, 900), (0.35, 0.60, 0.00, 0.45, 0.0)),
    "w": ((0.6, 0.00, 290, 650, 2200), (1500, 900), (0.15, 0.05, 1.00, 0.00, 0.0)),
    ".": ((0.0, 0.00, 500, 1500, 2500), (1500, 900), (0.00, 0.50, 0.05, 0.00, 0.0)),
}
_VOWELS = "aeiou@"
_ONSETS = "mbpfvsStnlw"
_CODAS = "mnslft"
_HIGH_FORMANTS = (3500.0, 4500.0)  # F4 and F5 in Hz, the same for every sound of a voice
_NOISE_FLOOR = 0.0015  # of full scale: breath and room, so that silence is not digital zero


@dataclass(frozen=True)
class Speech:
    """What a voice said.

    Attributes:
        samples: `[S]` int16, mono, `RATE` samples a second.
        mouth: `[K, 5]` float, 0..1, `CONTROL` steps a second: jaw, width, round, teeth, tuck.
        phonemes: (symbol, start, end) in seconds; "." is a pause.
    """

    samples: np.ndarray
    mouth: np.ndarray
    phonemes: list[tuple[str, float, float]]


def babble(rng: np.random.Generator, seconds: float) -> list[tuple[str, float, float]]:
    """Random words of one to four syllables with pauses, filling `seconds`."""
    track: list[tuple[str, float, float]] = []
    now = 0.0

    def say(symbol: str, length: float) -> None:
        nonlocal now
        track.append((symbol, now, now + length))
        now += length

    say(".", rng.uniform(0.10, 0.25))
    while now < seconds:
        for _ in range(rng.integers(1, 5)):
            say(rng.choice(list(_ONSETS)), rng.uniform(0.07, 0.13))
            say(rng.choice(list(_VOWELS)), rng.uniform(0.11, 0.26))
            if rng.random() < 0.3:
                say(rng.choice(list(_CODAS)), rng.uniform(0.07, 0.12))
        say(".", rng.uniform(0.05, 0.12) if rng.random() < 0.7 else rng.uniform(0.3, 0.5))
    return track


def _smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    """Blur `[K, C]` along time with a raised cosine of the given width."""
    width = max(3, int(seconds * CONTROL) | 1)
    window = np.hanning(width + 2)[1:-1]
    window /= window.sum()
    padded = np.pad(track, ((width // 2, width // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(c, window, mode="valid") for c in padded.T], axis=1)


def _resonance(f: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    """Gain of one formant (a two-pole resonator, 1 at 0 Hz) at the frequencies `f`."""
    return centre**2 / np.sqrt((centre**2 - f**2) ** 2 + (width * f) ** 2)


def _voiced(pitch: np.ndarray, formants: np.ndarray, loud: np.ndarray) -> np.ndarray:
    """Sum the partials of `pitch` (Hz, `[S]`), shaped by `formants` (Hz, `[S, 5]`)."""
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    out = np.zeros(len(pitch))
    for k in range(1, int(0.45 * RATE / pitch.min()) + 1):
        f = k * pitch
        gain = k**-0.8  # glottal slope with the lips' radiation
        for n, width in enumerate((70.0, 100.0, 160.0, 250.0, 300.0)):
            gain = gain * _resonance(f, formants[:, n], width)
        out += np.where(f < 0.45 * RATE, gain, 0.0) * np.sin(k * phase)
    return loud * out


def _hiss(rng: np.random.Generator, band: np.ndarray, loud: np.ndarray, hop: int) -> np.ndarray:
    """Noise shaped step by step to `band` (centre, width in Hz, `[K, 2]`) by overlap-add."""
    size, window = 4 * hop, np.hanning(4 * hop)
    f = np.fft.rfftfreq(size, 1.0 / RATE)
    out = np.zeros((len(loud) + 4) * hop)
    for k, ((centre, width), gain) in enumerate(zip(band, loud, strict=True)):
        if gain > 1e-4:
            shape = np.exp(-(((f - centre) / width) ** 2))
            piece = np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * shape, size)
            out[k * hop : k * hop + size] += gain * window * piece
    return out[size // 2 : size // 2 + len(loud) * hop]


def speak(
    rng: np.random.Generator, seconds: float, *, voice: np.random.Generator | None = None
) -> Speech:
    """Let a random voice say random syllables.

    Args:
        rng: Chance for what is said.
        seconds: Length; the sound has exactly `round(seconds * RATE)` samples.
        voice: Chance for who says it (pitch, length of the vocal tract); None: `rng`.

    Returns:
        Sound, mouth shapes and phonemes of the same length.
    """
    voice = rng if voice is None else voice
    base = voice.uniform(90, 220)
    tract = voice.uniform(0.95, 1.05) * (1.0 + (base - 150) / 1000)
    phonemes = babble(rng, seconds)
    steps = int(np.ceil(seconds * CONTROL)) + 1
    sound = np.empty((steps, 7))
    mouth = np.empty((steps, 5))
    for symbol, start, end in phonemes:
        source, noise, lips = _PHONEMES[symbol]
        stress = rng.uniform(0.6, 1.1)  # a louder vowel opens the jaw further
        while_said = slice(round(start * CONTROL), round(end * CONTROL))
        sound[while_said] = (stress * source[0], *source[1:], *noise)
        mouth[while_said] = (stress * lips[0], *lips[1:])
    sound = _smooth(sound, 0.035)
    mouth = np.clip(_smooth(mouth, 0.09), 0.0, 1.0)

    count = round(seconds * RATE)
    t = np.arange(count) / RATE
    at = t * CONTROL
    track = np.stack([np.interp(at, np.arange(steps), c) for c in sound.T], axis=1)
    drift = sum(np.sin(2 * np.pi * (t * f + rng.random())) for f in rng.uniform(0.3, 2.5, 4))
    pitch = base * (1 + 0.05 * drift) * (1 - 0.08 * t / max(seconds, 1.0))
    high = np.broadcast_to(_HIGH_FORMANTS, (count, 2))
    formants = np.concatenate([track[:, 2:5], high], axis=1) * tract
    voiced = _voiced(pitch, formants, track[:, 0])
    hiss = _hiss(rng, sound[:, 5:7], sound[:, 1], RATE // CONTROL)[:count]
    mixed = 0.055 * voiced + 0.12 * hiss + _NOISE_FLOOR * rng.standard_normal(count)
    mixed *= 0.5 / max(float(np.abs(mixed).max()), 1e-6)
    cut = [(s, a, min(b, seconds)) for s, a, b in phonemes if a < seconds]
    return Speech((mixed * 32767).round().astype(np.int16), mouth, cut)
