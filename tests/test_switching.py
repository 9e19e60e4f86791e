"""SP and SI slices: prediction that is quantised again (8.6), and what is recorded of it."""

import numpy as np
import pytest
from bitwriter import IDR, SI, SP, Picture, Sets, nal, stream, units
from davd.bitstream._core import Decoder, Frame

# 8.5.9 and 8.6.1: the DC place of a flat block, by QS % 6
LEVEL_SCALE = [10, 11, 13, 14, 16, 18]
LEVEL_SCALE_2 = [13107, 11916, 10082, 9362, 8192, 7282]
S = Sets(profile_idc=88, num_ref_frames=1, unfiltered=1, reorder=0, buffering=1)


def decode(data: bytes) -> list[Frame]:
    """Frames taken as they come, so that the decoder uses their memory again."""
    decoder, frames = Decoder(), []
    for unit in units(data):
        decoder.send(unit)
        frames += iter(decoder.receive, None)
    decoder.flush()
    frames += iter(decoder.receive, None)
    assert decoder.warnings == {}
    return frames


def again(sample: int, qs: int) -> int:
    """A flat block of samples, quantised and scaled again by QS_Y."""
    step = qs // 6
    level = (16 * sample * LEVEL_SCALE_2[qs % 6] + (1 << 14 + step)) >> 15 + step
    scaled = level * LEVEL_SCALE[qs % 6] << step
    return min((scaled + 32) >> 6, 255)


@pytest.mark.parametrize("qs", [0, 13, 26, 33, 40, 46, 51])
def test_a_skipped_macroblock_is_quantised_again(qs: int) -> None:
    first, second = decode(
        stream(
            S,
            [
                Picture(idr=True, value=101),
                Picture(frame_num=1, poc=2, value=None, slice_type=SP, qs=qs),
            ],
        )
    )
    assert (second.prediction[0] == 101).all() and (second.decoded[0] == again(101, qs)).all()
    assert (second.mb_type == 4).all() and not any(plane.any() for plane in second.level)
    for predicted, residual, decoded in zip(
        second.prediction, second.residual, second.decoded, strict=True
    ):
        assert np.array_equal(predicted + residual, decoded)


def test_residual_without_levels_is_gone_from_the_next_pictures() -> None:
    """Memory of residual is used again, and cleared where something was: here all of it was."""
    pictures = [Picture(idr=True, value=101)]
    for n in range(1, 13):
        kind = SP if n % 4 == 1 else None
        pictures.append(Picture(frame_num=n, poc=2 * n, value=None, slice_type=kind, qs=46 - n))
    for n, frame in enumerate(decode(stream(S, pictures))):
        assert bool(frame.residual[0].any()) == (n % 4 == 1)
        for predicted, residual, decoded in zip(
            frame.prediction, frame.residual, frame.decoded, strict=True
        ):
            assert np.array_equal(predicted + residual, decoded)


@pytest.mark.parametrize("qs", [13, 26, 29])
def test_an_si_picture_is_quantised_prediction(qs: int) -> None:
    """Macroblocks of type SI, Intra_4x4 of DC prediction, without levels: 128, quantised again."""
    picture = Picture(idr=True, value=None, slice_type=SI, qs=qs)
    w, _ = picture.header(S)
    for _ in range(S.mbs):
        w.ue(0).u(16, 0xFFFF).ue(0, 3)  # mb_type SI, predicted modes, DC of chroma, no levels
    (frame,) = decode(S.headers() + nal(IDR, w.trailing()))
    value = again(128, qs)
    assert again(value, qs) == value and frame.keyframe and frame.picture_type == 0
    assert (frame.mb_type == 0).all() and not frame.tu.any()
    assert (frame.decoded[0] == value).all() and frame.prediction[0][0, 0] == 128
    for predicted, residual, decoded in zip(
        frame.prediction, frame.residual, frame.decoded, strict=True
    ):
        assert np.array_equal(predicted + residual, decoded)
    assert len({int(plane[0, 0]) for plane in frame.decoded[1:]}) == 1
