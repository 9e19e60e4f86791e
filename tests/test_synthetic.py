"""The synthetic talking head: same seed, same clip; sound and mouth belong together."""

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("skimage")

from davd.data import faces, sync  # noqa: E402
from davd.data.clean import CleanVideo  # noqa: E402
from davd.data.crop import samples_of  # noqa: E402
from davd.data.synthetic import TalkingHead, synthesise, write_video  # noqa: E402
from davd.data.voice import RATE, speak  # noqa: E402


@pytest.fixture(scope="module")
def head() -> TalkingHead:
    return synthesise(3, 8.0, face="photograph")


def patches(head: TalkingHead) -> np.ndarray:
    height, width = head.frames.shape[1:3]
    return sync.patches_of(head.frames[..., 1], faces.mouth(head.face, (width, height)))


def test_shapes_and_lengths(head: TalkingHead) -> None:
    assert head.frames.shape == (200, 128, 128, 3) and head.frames.dtype == np.uint8
    assert head.samples.shape == (8 * RATE,) and head.samples.dtype == np.int16
    assert head.opening.shape == (200,)
    assert head.phonemes[-1][2] <= 8.0


@pytest.mark.parametrize("face", ["photograph", "drawn"])
def test_same_seed_same_clip_other_seed_other_clip(face: str) -> None:
    first, again, other = (synthesise(s, 0.4, size=64, face=face) for s in (1, 1, 2))
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, other.samples)
    assert np.abs(first.frames[0].astype(int) - other.frames[0]).mean() > 5


def test_speaker_keeps_face_and_voice_while_the_words_change() -> None:
    first, second = (synthesise(s, 0.4, size=64, speaker=7, motion=0.0, noise=0.0) for s in (1, 2))
    assert first.speaker == second.speaker
    assert np.array_equal(first.frames[0, :20], second.frames[0, :20])  # hair and background
    assert not np.array_equal(first.samples, second.samples)


def test_other_frame_rate_and_shape() -> None:
    head = synthesise(0, 1.0, size=(96, 64), fps=Fraction(30000, 1001))
    assert head.frames.shape == (30, 64, 96, 3)
    assert len(head.samples) == round(30 * 1001 / 30000 * RATE)


def test_detector_sees_the_face_where_it_is_said_to_be() -> None:
    head = synthesise(4, 0.2, size=(640, 360), zoom=0.6, face="photograph", motion=0.0)
    grey = head.frames[0].mean(-1).astype(np.uint8)
    x, y, w, h = faces.detect(grey)[0]
    said = head.face
    assert abs(x + w / 2 - said[0] - said[2] / 2) < 0.15 * said[2]
    assert abs(y + h / 2 - said[1] - said[3] / 2) < 0.15 * said[3]
    assert 0.7 < w / said[2] < 1.3


def test_mouth_is_dark_where_it_is_open() -> None:
    head = synthesise(5, 4.0, face="photograph", motion=0.0, noise=0.0)
    x, y, w, h = faces.mouth(head.face, (128, 128))
    region = head.frames[:, y : y + h, x : x + w].mean(-1)
    dark = (region < 70).mean((1, 2))
    assert np.corrcoef(dark, head.opening)[0, 1] > 0.8


@pytest.mark.parametrize("shift", [-5, 0, 7])
def test_sound_fits_the_mouth_at_its_own_time_only(head: TalkingHead, shift: int) -> None:
    samples = np.roll(head.samples, shift * RATE // 25)
    delay = sync.measure(patches(head), samples, head.fps)
    assert delay is not None and delay.sure
    assert abs(delay.ms - shift * 40) <= 30


def test_sound_of_another_does_not_fit(head: TalkingHead) -> None:
    other = speak(np.random.default_rng(11), 8.0)
    delay = sync.measure(patches(head), other.samples, head.fps)
    assert delay is not None and not delay.sure


def test_loudness_follows_the_jaw() -> None:
    speech = speak(np.random.default_rng(0), 6.0)
    step = RATE // 200
    loud = np.abs(speech.samples[: len(speech.samples) // step * step].astype(float))
    loud = loud.reshape(-1, step).mean(1)
    jaw = speech.mouth[: len(loud), 0]
    smooth = np.convolve(loud, np.hanning(30) / np.hanning(30).sum(), "same")
    assert np.corrcoef(smooth, jaw)[0, 1] > 0.6


def test_written_without_loss(tmp_path) -> None:
    head = synthesise(0, 1.0, size=64)
    write_video(tmp_path / "head.mkv", head)
    assert np.array_equal(samples_of(tmp_path / "head.mkv"), head.samples)
    with CleanVideo(tmp_path / "head.mkv") as clean:
        assert len(clean) == 25 and clean.size == (64, 64) and clean.fps == 25
        y = clean[10][0].astype(float)
    luma = head.frames[10] @ np.array([65.481, 128.553, 24.966]) / 255 + 16
    assert np.abs(y - luma).max() <= 2.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"face": "mask"}, "'mask'; allowed are photograph, drawn"), ({"seconds": 0.0}, "0 frames")],
)
def test_refuses(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        synthesise(0, **arguments)
