"""Streams that have broken other decoders, each written for one weakness."""

import time

import numpy as np
import pytest
from bitwriter import IDR, PPS, SEI, SLICE, SPS, BitWriter, Picture, Sets, nal, stream
from davd.bitstream._core import CorruptStreamError, Decoder, Frame

LARGEST_UE = "0" * 31 + "1" + "1" * 31  # 2**32 - 2
LONGER_THAN_ANY = "0" * 40 + "1" + "1" * 40


def decode(*packets: bytes) -> tuple[list[Frame], dict[str, int]]:
    """All frames of a stream, and the warnings; packets of nothing usable are passed over."""
    decoder = Decoder(max_pixels=1 << 20)
    frames = []
    for packet in (*packets, None):
        try:
            decoder.flush() if packet is None else decoder.send(packet)
        except CorruptStreamError:
            pass
        while (frame := decoder.receive()) is not None:
            frames.append(frame)
    return frames, decoder.warnings


def bits(text: str) -> bytes:
    w = BitWriter()
    for bit in text:
        w.u(1, int(bit))
    return w.trailing()


@pytest.mark.parametrize("code", [LARGEST_UE, LONGER_THAN_ANY], ids=["largest", "no code at all"])
@pytest.mark.parametrize("kind", [SPS, PPS, SLICE, IDR, SEI])
@pytest.mark.parametrize("before", ["", "0" * 24, "1" * 9, "1" * 30])
def test_exp_golomb_codes_beyond_all_bounds(kind: int, code: str, before: str) -> None:
    good = Picture(idr=True, value=7)
    hostile = nal(kind, bits(before + code * 8))
    frames, _ = decode(stream(Sets(), [good]), hostile, stream(Sets(), [good]))
    assert [int(frame.decoded[0][0, 0]) for frame in frames if not frame.concealed] == [7, 7]


@pytest.mark.parametrize("chroma_format_idc", [1, 2])
def test_a_picture_cropped_to_one_chroma_column(chroma_format_idc: int) -> None:
    s = Sets(
        profile_idc=122,
        width_mbs=1,
        height_mbs=1,
        chroma_format_idc=chroma_format_idc,
        crop=(7, 0, 0, 0),
    )
    (frame,), warnings = decode(stream(s, [Picture(idr=True, value=9)]))
    assert (frame.stream.width, frame.stream.crop_left) == (2, 14) and warnings == {}
    assert frame.decoded[1][:, 7:].shape[1] == 1 and (frame.decoded[1] == 9).all()


@pytest.mark.parametrize("width", [1, 2])
def test_the_narrowest_pictures_with_vectors_far_outside(width: int) -> None:
    """P_L0_16x16 with vectors of thousands of samples see the edge of the picture."""
    s = Sets(width_mbs=width, height_mbs=1)
    w = BitWriter().ue(0, 0, s.pps_id).u(s.log2_max_frame_num, 1).u(s.log2_max_poc_lsb, 2)
    w.u(1, 0).u(1, 0).u(1, 0).se(0)  # no override, no modification, sliding window, QP
    for x in range(width):
        w.ue(0, 0).se(*((-32768, 32767) if x == 0 else (0, 0))).ue(0)
    frames, warnings = decode(stream(s, [Picture(idr=True, value=5)]) + nal(SLICE, w.trailing()))
    assert warnings == {} and (frames[1].decoded[0] == 5).all()


@pytest.mark.parametrize("unit", [b"\x0c", b"\x09", b"\x65", b"\x41\x9a", b"\x67\x42", b"\x06\x06"])
def test_very_many_very_small_nal_units(unit: bytes) -> None:
    """Work is proportional to their number: a quadratic decoder would need hours."""
    data = stream(Sets(), [Picture(idr=True, value=3)]) + (b"\0\0\1" + unit) * 300_000
    began = time.process_time()
    frames, _ = decode(data)
    assert time.process_time() - began < 10
    assert [int(frame.decoded[0][0, 0]) for frame in frames] == [3]


def test_parameter_sets_replaced_while_slices_come() -> None:
    """What a picture was begun with stays, whatever is sent in between."""
    s = Sets(height_mbs=4)
    others = [
        Sets(width_mbs=7, height_mbs=7),
        Sets(frame_mbs_only=0, mbaff=1, cabac=1),
        Sets(profile_idc=244, chroma_format_idc=3, bit_depth=12),
        Sets(poc_type=2, log2_max_frame_num=9, num_ref_frames=0),
    ]
    data = stream(s, [Picture(idr=True, value=0)])
    for n, other in enumerate(others, 1):
        first, *rest = [
            Picture(frame_num=n, poc=2 * n, value=n, first_mb=i, mbs=2).nal(s) for i in (0, 2, 4, 6)
        ]
        data += first + other.sps() + rest[0] + rest[1] + s.sps() + other.sps() + rest[2]
    frames, warnings = decode(data)
    assert [int(frame.decoded[0][0, 0]) for frame in frames] == [0, 1, 2, 3, 4]
    assert not any(np.unique(frame.decoded[0]).size > 1 for frame in frames) and warnings == {}


def test_frames_of_the_old_size_wait_while_the_new_one_comes() -> None:
    small = Sets(num_ref_frames=4, reorder=2, buffering=4)
    large = Sets(width_mbs=9, height_mbs=9, num_ref_frames=4)
    order = [Picture(idr=True, value=0)] + [
        Picture(frame_num=n, poc=2 * n, value=n) for n in range(1, 5)
    ]
    frames, warnings = decode(stream(small, order) + stream(large, order) + stream(small, order))
    assert [frame.decoded[0].shape[0] for frame in frames] == [32] * 5 + [144] * 5 + [32] * 5
    assert [int(frame.decoded[0][-1, -1]) for frame in frames] == [0, 1, 2, 3, 4] * 3
    assert warnings == {}


@pytest.mark.parametrize("before", ["frame", "pairs", "fields"])
def test_a_picture_of_which_no_slice_is_usable_is_not_taken_for_the_one_before(before: str) -> None:
    """Its parameter sets do not fit each other: lists of eight for a picture that needs twelve."""
    old = Sets(frame_mbs_only=int(before == "frame"), mbaff=int(before == "pairs"), height_mbs=4)
    parts = {
        "frame": [Picture(idr=True, value=7)],
        "pairs": [Picture(idr=True, pairs=[(1, 7, 7)] * 4)],
        "fields": [
            Picture(idr=True, value=7, field_bits=(1, 0)),
            Picture(value=7, poc=1, field_bits=(1, 1), slice_type=2),
        ],
    }[before]
    new = Sets(profile_idc=244, chroma_format_idc=3, width_mbs=1, height_mbs=5)
    lists = Sets(flat_list=16).pps()
    unusable = new.sps() + lists + Picture(idr=True, value=9).nal(new)
    frames, _ = decode(stream(old, parts), unusable)
    assert frames[0].decoded[0].shape == (64, 32) and (frames[0].decoded[0] == 7).all()
    assert len(frames) == 2 and frames[1].decoded[0].shape == (80, 16)
    assert all((plane == 128).all() for plane in frames[1].decoded)
    assert frames[1].mb_concealed.all() and frames[1].concealed_mbs == 5


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize(
    ("luma", "chroma"), [(0, 2), (1, 1), (3, 3)], ids=["above", "left", "plane"]
)
def test_intra_prediction_from_samples_that_are_not_there_is_grey(
    luma: int, chroma: int, depth: int
) -> None:
    """A picture of one Intra_16x16 macroblock, which has no neighbours."""
    s = Sets(profile_idc=110, width_mbs=1, height_mbs=1, bit_depth=depth)
    w, _ = Picture(idr=True, value=None, slice_type=2).header(s)
    w.ue(1 + luma, chroma).se(0).u(1, 1)  # mb_type, modes, mb_qp_delta, no DC levels
    (frame,), warnings = decode(s.headers() + nal(IDR, w.trailing()))
    assert warnings == {} and not frame.concealed
    assert all((plane == 1 << depth - 1).all() for plane in frame.decoded)
