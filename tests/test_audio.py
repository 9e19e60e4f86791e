"""Sound features: against librosa where it is installed, and by what must hold anyway."""

import numpy as np
import pytest
from davd.data import hearing as audio


def speech_like(seconds: float = 1.3, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * audio.RATE)) / audio.RATE
    wave = sum(np.sin(2 * np.pi * f * time) / k for k, f in enumerate((140, 280, 850, 2400), 1))
    return (wave * np.sin(3 * time) * 0.2 + random.normal(0, 0.01, len(time))).astype(np.float32)


def test_mfcc_equals_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    wave = speech_like()
    power = librosa.feature.melspectrogram(
        y=wave, sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=40
    )
    expected = librosa.feature.mfcc(S=librosa.power_to_db(power, top_db=None), n_mfcc=13).T
    np.testing.assert_allclose(audio.mfcc(wave), expected, atol=1e-4, rtol=1e-4)


def test_mel_bands_have_known_edges() -> None:
    filters = audio._mel_filters()
    peaks = filters.argmax(1) * 8000 / 256
    assert filters.shape == (40, 257)
    assert np.all(np.diff(peaks) >= 0) and peaks[0] < 120 and 6800 < peaks[-1] < 8000
    # bands of equal area: height times half of the base is one, up to the grid of bins
    areas = filters[15:].sum(1) * 8000 / 256
    np.testing.assert_allclose(areas, 1, atol=0.02)


def test_frames_are_centred_on_every_tenth_of_a_tenth() -> None:
    assert audio.mfcc(np.zeros(16000, np.float32)).shape == (101, 13)
    click = np.zeros(16000, np.float32)
    click[8000] = 0.9
    loudness = audio.mfcc(click)[:, 0]
    assert loudness.argmax() == 50


def test_features_do_not_depend_on_sound_far_away() -> None:
    wave = speech_like(2.0)
    louder = wave.copy()
    louder[24000:] *= 20
    first = audio.features((wave * 8000).astype(np.int16))
    second = audio.features((louder * 8000).clip(-32768, 32767).astype(np.int16))
    np.testing.assert_array_equal(first[:140], second[:140])


def test_features_of_silence_and_of_long_sound_are_finite() -> None:
    assert np.isfinite(audio.features(np.zeros(100, np.int16))).all()
    long = np.tile((speech_like() * 9000).astype(np.int16), 40)
    whole = audio.features(long)
    assert whole.shape == (1 + len(long) // 160, 39) and whole.dtype == np.float32
    cut = audio.features(long[: 160 * 4200])  # the work is done in pieces of 4096 frames
    np.testing.assert_allclose(whole[4080:4190], cut[4080:4190], atol=1e-5)


def test_other_rates_are_resampled() -> None:
    time = np.arange(48000) / 48000
    wave = (np.sin(2 * np.pi * 500 * time) * 12000).astype(np.int16)
    fast, slow = audio.features(wave, 48000), audio.features(wave[::3], 16000)
    assert abs(len(fast) - len(slow)) <= 1
    assert np.abs(fast[20:80, :6] - slow[20:80, :6]).max() < 0.2
