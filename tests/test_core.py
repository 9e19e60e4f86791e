"""The decoder behind its Python skin: frames, order, references, parameter sets, errors."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bitwriter import (
    AUD,
    END_OF_SEQUENCE,
    PARTITION_A,
    PARTITION_B,
    PARTITION_C,
    SEI,
    SLICE,
    SP,
    BitWriter,
    Picture,
    Sets,
    avcc,
    nal,
    stream,
    units,
)
from davd.bitstream._core import (
    CorruptStreamError,
    Decoder,
    Frame,
    StreamMemoryError,
)


def frames(decoder: Decoder) -> Iterator[Frame]:
    """All frames that can be had now."""
    while (frame := decoder.receive()) is not None:
        yield frame


def decode(data: bytes, **options: bool | int) -> list[Frame]:
    """All frames of a stream."""
    decoder = Decoder(**options)  # type: ignore[arg-type]
    decoder.send(data)
    decoder.flush()
    return list(frames(decoder))


def values(data: bytes) -> list[int]:
    """First luma sample of every frame: with flat pictures that says it all."""
    decoded = decode(data)
    for frame in decoded:
        assert all(np.unique(plane).size == 1 for plane in frame.decoded)
    return [int(frame.decoded[0][0, 0]) for frame in decoded]


def test_pcm_frame() -> None:
    s = Sets(width_mbs=3, height_mbs=2)
    (frame,) = decode(stream(s, [Picture(idr=True, value=77)]), motion=True, modes=True)
    assert [p.shape for p in frame.decoded] == [(32, 48), (16, 24), (16, 24)]
    for planes in (frame.decoded, frame.prediction):
        assert all(p.dtype == np.uint8 and (p == 77).all() for p in planes)
    for planes in (frame.residual, frame.level):
        assert all(p.dtype == np.int16 and not p.any() for p in planes)
    assert frame.tu.shape == (8, 12) and (frame.tu == 4).all()
    assert frame.mb_type.shape == (2, 3) and (frame.mb_type == 3).all()
    assert not frame.qp_y.any() and not frame.qp_cb.any() and not frame.slice.any()
    assert frame.mv is not None and frame.mv.shape == (2, 8, 12, 2) and not frame.mv.any()
    assert frame.ref is not None and frame.ref.shape == (2, 4, 6) and (frame.ref == -1).all()
    assert (frame.scaling4x4 == 16).all() and frame.scaling8x8.shape == (6, 64)
    assert frame.keyframe and frame.picture_type == 0 and not frame.concealed and frame.pts is None


def test_skipped_picture_copies_its_reference() -> None:
    s = Sets()
    first, second = decode(
        stream(s, [Picture(idr=True, value=9), Picture(frame_num=1, poc=2, value=None)]),
        motion=True,
    )
    assert all((a == b).all() for a, b in zip(first.decoded, second.decoded, strict=True))
    assert (second.mb_type == 4).all() and second.picture_type == 1 and not second.tu.any()
    assert second.ref is not None and (second.ref[0] == first.decode_order).all()
    assert (second.ref[1] == -1).all()
    assert (second.qp_y == s.init_qp).all()


def test_stream_info() -> None:
    s = Sets(width_mbs=2, height_mbs=2, crop=(1, 2, 3, 4), level_idc=21)
    text = b"0123456789abcdefx264 - core 164"
    sei = nal(SEI, bytes([5, len(text)]) + text + b"\x80", 0)
    (frame,) = decode(sei + stream(s, [Picture(idr=True)]))
    info = frame.stream
    assert (info.width, info.height, info.coded_width, info.coded_height) == (26, 18, 32, 32)
    assert (info.crop_left, info.crop_right, info.crop_top, info.crop_bottom) == (2, 4, 6, 8)
    assert (info.profile_idc, info.level_idc, info.chroma_format_idc) == (77, 21, 1)
    assert (info.bit_depth_luma, info.matrix_coefficients, info.time_scale) == (8, 2, 0)
    assert info.encoder == "x264 - core 164"


def test_vui_is_read_to_its_end() -> None:
    w = BitWriter().u(1, 1).u(8, 255).u(16, 12).u(16, 11)  # Extended_SAR
    w.u(1, 1).u(1, 0).u(1, 1).u(3, 5).u(1, 1).u(1, 1).u(8, 9).u(8, 16).u(8, 9)
    w.u(1, 1).ue(1, 2)  # chroma_sample_loc_type
    w.u(1, 1).u(32, 1001).u(32, 48000).u(1, 1)
    for _ in range(2):  # NAL and VCL HRD
        w.u(1, 1).ue(1).u(4, 0).u(4, 0)
        for _ in range(2):
            w.ue(9, 9).u(1, 0)
        w.u(5, 23).u(5, 23).u(5, 23).u(5, 24)
    w.u(1, 0).u(1, 1).u(1, 1).u(1, 1).ue(2, 1, 10, 10, 1, 2)
    (frame,) = decode(stream(Sets(vui=w.bits), [Picture(idr=True)]))
    info = frame.stream
    assert (info.sar_width, info.sar_height) == (12, 11) and info.video_full_range
    assert (info.colour_primaries, info.transfer_characteristics) == (9, 16)
    assert (info.matrix_coefficients, info.num_units_in_tick, info.time_scale) == (9, 1001, 48000)


@pytest.mark.parametrize("wrong", ["chroma_sample_loc_type", "max_num_reorder_frames", "cut off"])
def test_vui_that_is_wrong_is_left_out(wrong: str) -> None:
    """Nothing in it is needed to decode; what was read of it is not believed."""
    w = BitWriter().u(1, 1).u(8, 255).u(16, 12).u(16, 11).u(1, 0).u(1, 0)
    if wrong == "chroma_sample_loc_type":
        w.u(1, 1).ue(6, 0).u(5, 0)
    elif wrong == "max_num_reorder_frames":
        w.u(5, 0).u(1, 1).u(1, 1).ue(2, 1, 10, 10, 3, 2)
    (frame,) = decode(stream(Sets(vui=w.bits), [Picture(idr=True, value=9)]))
    assert (frame.stream.sar_width, frame.stream.sar_height) == (0, 0)
    assert (frame.decoded[0] == 9).all()


def test_taps_are_optional_and_change_nothing() -> None:
    data = stream(Sets(), [Picture(idr=True, value=50), Picture(frame_num=1, poc=2, value=None)])
    bare = decode(data, prediction=False, residual=False, level=False)
    for with_taps, without in zip(decode(data), bare, strict=True):
        assert without.prediction is None and without.residual is None and without.level is None
        assert without.mv is None and without.ref is None and without.intra_luma is None
        for a, b in zip(with_taps.decoded, without.decoded, strict=True):
            assert np.array_equal(a, b)


def test_skip_returns_facts_without_arrays() -> None:
    decoder = Decoder()
    decoder.send(stream(Sets(), [Picture(idr=True, poc=0)]), 41)
    decoder.flush()
    frame = decoder.receive(skip=True)
    assert frame is not None and frame.pts == 41 and frame.keyframe
    assert frame.decoded is None and frame.tu is None and frame.mb_type is None


def test_frames_outlive_the_decoder() -> None:
    decoder = Decoder()
    decoder.send(stream(Sets(), [Picture(idr=True, value=5)]))
    decoder.flush()
    frame = decoder.receive()
    del decoder
    assert frame is not None and (frame.decoded[0] == 5).all()


# ------------------------------------------------------------------------------------- output order


def test_large_planes_are_not_used_again_while_they_are_held() -> None:
    """Their memory is kept for the next frame, but each plane holds on to its own."""
    s = Sets(width_mbs=80, height_mbs=48)
    data = stream(s, [Picture(idr=True, value=40), Picture(frame_num=1, poc=2, value=None)])
    for held in decode(data):
        luma, cb = held.decoded[0], held.prediction[1]
        want = luma.copy(), cb.copy()
        del held
        other = decode(stream(s, [Picture(idr=True, value=90)]))[0]
        assert (other.decoded[0] == 90).all()
        np.testing.assert_array_equal(luma, want[0])
        np.testing.assert_array_equal(cb, want[1])
        luma[...] = 7  # whoever holds it may write into it
        assert (decode(stream(s, [Picture(idr=True, value=90)]))[0].decoded[0] == 90).all()


def reordered(s: Sets) -> bytes:
    pictures = [Picture(idr=True, poc=0, value=1)]
    for k in range(4):  # P first, then the picture shown before it
        pictures.append(Picture(frame_num=k + 1, poc=4 * k + 4, value=4 * k + 5))
        pictures.append(Picture(frame_num=k + 2, poc=4 * k + 2, value=4 * k + 3, ref_idc=0))
    return stream(s, pictures)


@pytest.mark.parametrize("reorder", [None, 1, 2])
def test_output_order_is_that_of_pic_order_cnt(reorder: int | None) -> None:
    s = Sets(reorder=reorder, buffering=2)
    assert values(reordered(s)) == list(range(1, 18, 2))


def test_frames_come_out_as_early_as_reordering_allows() -> None:
    s = Sets(reorder=1, buffering=2)
    decoder, counts = Decoder(), []
    for unit in units(reordered(s)):
        decoder.send(unit)
        counts.append(len(list(frames(decoder))))
    # a picture is complete when the next begins; from then on one frame comes with every picture
    assert counts == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]


def test_wrong_reorder_count_does_not_lose_frames() -> None:
    s = Sets(reorder=0, buffering=2)
    assert sorted(values(reordered(s))) == list(range(1, 18, 2))


def test_decode_order_and_pts() -> None:
    s = Sets(reorder=1, buffering=2)
    decoder, out = Decoder(), []
    for i, unit in enumerate(units(reordered(s))):
        decoder.send(unit, i)
        out += frames(decoder)
    decoder.flush()
    out += frames(decoder)
    assert [f.decode_order for f in out] == [0, 2, 1, 4, 3, 6, 5, 8, 7]
    assert [f.pts for f in out] == [2 + f.decode_order for f in out]
    assert [f.poc for f in out] == list(range(0, 18, 2))


@pytest.mark.parametrize(("poc_type", "last"), [(1, 44), (2, 44)])
def test_pic_order_cnt_types_without_lsb(poc_type: int, last: int) -> None:
    s = Sets(poc_type=poc_type, poc_cycle=(2,), non_ref_offset=-1, num_ref_frames=1)
    # frame_num wraps at 16
    pictures = [Picture(frame_num=n, value=n, idr=n == 0) for n in range(23)]
    out = decode(stream(s, pictures))
    assert [f.poc for f in out] == list(range(0, last + 1, 2))
    assert [int(f.decoded[0][0, 0]) for f in out] == list(range(23))


def test_pic_order_cnt_lsb_wraps() -> None:
    s = Sets(log2_max_poc_lsb=4, num_ref_frames=1)
    pictures = [Picture(frame_num=n, poc=2 * n, value=n, idr=n == 0) for n in range(40)]
    assert [f.poc for f in decode(stream(s, pictures))] == list(range(0, 80, 2))


def test_idr_pictures_start_the_order_again() -> None:
    s = Sets()
    pictures = [
        Picture(idr=True, idr_pic_id=n % 2, value=n, no_output_of_prior_pics=1) for n in range(5)
    ]
    assert values(stream(s, pictures)) == [0, 1, 2, 3, 4]


def test_pictures_that_no_header_tells_apart() -> None:
    s = Sets()
    data = s.headers() + b"".join(
        nal(AUD, b"\x10", 0) + Picture(idr=True, value=n).nal(s) for n in range(3)
    )
    assert values(data) == [0, 1, 2]


# --------------------------------------------------------------------------------------- references


def five(s: Sets, *last: Picture, **fields: object) -> bytes:
    """Five pictures of values 0 to 4, and then others."""
    pictures = [Picture(idr=True, value=0)]
    pictures += [Picture(frame_num=n, poc=2 * n, value=n) for n in range(1, 5)]
    return stream(s, [*pictures, *last])


@pytest.mark.parametrize(
    ("mods", "expected"),
    [
        ((), 4),
        (((0, 0),), 4),
        (((0, 1),), 3),
        (((0, 3),), 1),
        (((0, 2), (1, 1)), 2),
        (((1, 12),), 2),
    ],
)
def test_list_modification_by_pic_num(mods: tuple[tuple[int, int], ...], expected: int) -> None:
    s = Sets(num_ref_frames=4)
    data = five(s, Picture(frame_num=5, poc=10, value=None, mods=mods, num_ref=2))
    assert values(data)[5] == expected


def test_sliding_window_drops_the_oldest() -> None:
    s = Sets(num_ref_frames=2)
    decoder = Decoder()
    last = Picture(frame_num=5, poc=10, value=None, mods=((0, 2),))  # asks for picture 2
    decoder.send(five(s, last))
    decoder.flush()
    *before, last_frame = frames(decoder)
    assert len(before) == 5 and not any(frame.concealed for frame in before)
    assert last_frame.concealed_mbs == 4 and decoder.warnings == {"missing_references": 4}


def test_long_term_reference_outlives_the_window() -> None:
    s = Sets(num_ref_frames=2)
    pictures = [Picture(idr=True, value=90, long_term_idr=1)]
    pictures += [Picture(frame_num=n, poc=2 * n, value=n) for n in range(1, 6)]
    pictures.append(Picture(frame_num=6, poc=12, value=None, mods=((2, 0),)))
    assert values(stream(s, pictures))[-1] == 90


MARKING = {
    "1: a short-term picture goes": ([(1, 0)], (), 3),
    "3: a short-term picture becomes long-term": ([(4, 2), (3, 2, 1)], ((2, 1),), 2),
    "2: a long-term picture goes": ([(4, 2), (3, 0, 0), (3, 1, 1), (2, 0)], ((2, 1),), 3),
    "4: long-term indices are limited": ([(4, 2), (3, 0, 0), (3, 1, 1), (4, 1)], ((2, 0),), 4),
    "6: the current picture becomes long-term": ([(4, 1), (6, 0)], ((2, 0),), 5),
    "5: nothing is left but the current picture": ([(5,)], (), 5),
}


@pytest.mark.parametrize("case", MARKING, ids=lambda c: c[0])
def test_memory_management(case: str) -> None:
    mmco, mods, expected = MARKING[case]
    s = Sets(num_ref_frames=5)
    reset = mmco == [(5,)]
    marked = Picture(frame_num=5, poc=10, value=5, mmco=mmco)
    after = Picture(frame_num=1 if reset else 6, poc=2 if reset else 12, value=None, mods=mods)
    if case[0] == "1":
        after = Picture(frame_num=6, poc=12, value=None, mods=((0, 1),))  # picture 4 is asked for
        decoder = Decoder()
        decoder.send(five(s, marked, after))
        decoder.flush()
        assert len(list(frames(decoder))) == 7 and decoder.warnings == {"missing_references": 4}
    else:
        out = values(five(s, marked, after))
        assert out[-1] == expected and out[:6] == [0, 1, 2, 3, 4, 5]


def test_memory_management_5_restarts_the_order() -> None:
    s = Sets(num_ref_frames=2)
    out = decode(
        five(
            s,
            Picture(frame_num=5, poc=10, value=5, mmco=[(5,)]),
            Picture(frame_num=1, poc=2, value=6),
        )
    )
    assert [f.poc for f in out] == [0, 2, 4, 6, 8, 0, 2]
    assert [int(f.decoded[0][0, 0]) for f in out] == list(range(7))


def test_allowed_gap_in_frame_num() -> None:
    """Non-existing frames take places in the window and are not shown."""
    s = Sets(num_ref_frames=3, gaps=1)
    pictures = [Picture(idr=True, value=0), Picture(frame_num=1, poc=2, value=1)]
    # frames 2 and 3 do not exist: 1 is the third entry of the list
    pictures.append(Picture(frame_num=4, poc=8, value=None, mods=((0, 2),)))
    decoder = Decoder()
    decoder.send(stream(s, pictures))
    decoder.flush()
    assert [int(f.decoded[0][0, 0]) for f in frames(decoder)] == [0, 1, 1]
    assert decoder.warnings == {}


def test_forbidden_gap_is_counted() -> None:
    s = Sets(num_ref_frames=1)
    decoder = Decoder()
    decoder.send(stream(s, [Picture(idr=True, value=8), Picture(frame_num=9, poc=2, value=None)]))
    decoder.flush()
    first, second = frames(decoder)
    assert int(first.decoded[0][0, 0]) == int(second.decoded[0][0, 0]) == 8
    assert second.concealed and not first.concealed
    assert decoder.warnings == {"frame_num_gaps": 1, "missing_references": 4}


# ------------------------------------------------------------------------------- slices, start, end


def test_slices_and_their_numbers() -> None:
    s = Sets(width_mbs=3, height_mbs=2)
    parts = [
        Picture(idr=True, value=v, first_mb=f, mbs=n)
        for v, f, n in ((1, 0, 2), (2, 2, 3), (3, 5, 1))
    ]
    (frame,) = decode(stream(s, parts))
    assert frame.slice.ravel().tolist() == [0, 0, 1, 1, 1, 2]
    assert frame.decoded[0][::16, ::16].ravel().tolist() == [1, 1, 2, 2, 2, 3]


def test_missing_slice_is_concealed_and_counted() -> None:
    s = Sets(width_mbs=2, height_mbs=2)
    decoder = Decoder()
    decoder.send(
        stream(s, [Picture(idr=True, value=60), Picture(frame_num=1, poc=2, value=70, mbs=3)])
    )
    decoder.flush()
    whole, damaged = frames(decoder)
    assert not whole.concealed
    assert damaged.concealed and damaged.concealed_mbs == 1
    assert decoder.warnings == {"concealed_macroblocks": 1}


def test_redundant_slices_are_ignored() -> None:
    s = Sets(redundant=1)
    pictures = [Picture(idr=True, value=1), Picture(idr=True, value=2, redundant_pic_cnt=1)]
    assert values(stream(s, pictures)) == [1]


def test_pictures_before_the_first_intra_picture_are_discarded() -> None:
    s = Sets()
    pictures = [Picture(frame_num=n, poc=2 * n, value=None) for n in (3, 4)]
    pictures += [Picture(frame_num=5, poc=10, value=7), Picture(frame_num=6, poc=12, value=None)]
    decoder = Decoder()
    decoder.send(stream(s, pictures))
    decoder.flush()
    out = list(frames(decoder))
    assert [int(f.decoded[0][0, 0]) for f in out] == [7, 7]
    assert not any(f.keyframe for f in out)
    assert decoder.warnings == {"discarded_pictures": 2}


def test_leading_pictures_of_a_joined_stream_are_discarded() -> None:
    """They follow the I picture in the stream, precede it on screen, and lack references."""
    s = Sets(reorder=1, buffering=2)
    pictures = [
        Picture(frame_num=5, poc=10, value=7),
        Picture(frame_num=6, poc=8, value=None, ref_idc=0),
    ]
    pictures.append(Picture(frame_num=6, poc=12, value=None))
    assert values(stream(s, pictures)) == [7, 7]


def test_recovery_point_with_a_distance() -> None:
    s = Sets(log2_max_frame_num=4)
    sei = nal(
        SEI, bytes([6, 1]) + BitWriter().ue(2).u(1, 0).u(1, 0).u(2, 0).trailing()[:1] + b"\x80", 0
    )
    pictures = [Picture(frame_num=n, poc=2 * n, value=n, slice_type=0) for n in range(14, 20)]
    data = s.headers() + sei + b"".join(p.nal(s) for p in pictures)
    assert values(data) == [16, 17, 18, 19]


def test_end_of_sequence() -> None:
    s = Sets()
    end = nal(END_OF_SEQUENCE, b"", 0)
    data = (
        stream(s, [Picture(idr=True, value=1)])
        + end
        + stream(s, [Picture(idr=True, value=2)])
        + end
    )
    assert values(data) == [1, 2]


def test_more_can_be_sent_after_flush() -> None:
    decoder, out = Decoder(), []
    for value in (1, 2):
        decoder.send(stream(Sets(), [Picture(idr=True, value=value)]))
        decoder.flush()
        out += [int(f.decoded[0][0, 0]) for f in frames(decoder)]
    assert out == [1, 2]


@pytest.mark.parametrize("junk", [12, 13, 14, 15, 16, 18, 19, 20, 21, 24, 31])
def test_other_nal_units_are_ignored(junk: int) -> None:
    s = Sets()
    noise = nal(junk, bytes(range(40)))
    data = s.sps() + noise + s.pps() + noise + Picture(idr=True, value=3).nal(s) + noise
    assert values(data + Picture(frame_num=1, poc=2, value=None).nal(s)) == [3, 3]


# ----------------------------------------------------------------------------------- parameter sets


def test_changed_sps_waits_for_an_idr_picture() -> None:
    small, large = Sets(), Sets(width_mbs=4, height_mbs=3)
    data = stream(small, [Picture(idr=True, value=1)]) + large.sps()
    data += Picture(frame_num=1, poc=2, value=None).nal(small)
    data += large.headers() + Picture(idr=True, idr_pic_id=1, value=2).nal(large)
    out = decode(data)
    assert [f.decoded[0].shape for f in out] == [(32, 32), (32, 32), (48, 64)]
    assert [f.stream.coded_width for f in out] == [32, 32, 64]


def test_pps_redefined_between_pictures() -> None:
    first, second = Sets(init_qp=20), Sets(init_qp=30)
    data = stream(first, [Picture(idr=True), Picture(frame_num=1, poc=2, value=None)])
    data += second.pps() + Picture(frame_num=2, poc=4, value=None).nal(second)
    assert [int(f.qp_y[0, 0]) for f in decode(data)] == [0, 20, 30]


def test_several_parameter_sets_sent_up_front() -> None:
    a, b = Sets(), Sets(sps_id=31, pps_id=255, width_mbs=1)
    data = a.headers() + b.headers()
    data += Picture(idr=True, value=1).nal(b) + Picture(idr=True, value=2).nal(a)
    assert [f.decoded[0].shape for f in decode(data)] == [(32, 16), (32, 32)]


def test_bad_parameter_set_does_not_replace_a_good_one() -> None:
    s = Sets()
    bad = nal(7, BitWriter().u(8, 77).u(8, 0).u(8, 10).ue(0, 99).trailing())
    decoder = Decoder()
    decoder.send(s.headers() + bad + Picture(idr=True, value=4).nal(s))
    decoder.flush()
    assert [int(f.decoded[0][0, 0]) for f in frames(decoder)] == [4]
    assert decoder.warnings == {"bad_parameter_sets": 1}


def test_slice_without_parameter_sets() -> None:
    decoder = Decoder()
    with pytest.raises(CorruptStreamError, match="never came"):
        decoder.send(Picture(idr=True).nal(Sets()))
    decoder.flush()
    assert decoder.receive() is None
    assert decoder.warnings == {"slices_without_parameter_sets": 1}


# ------------------------------------------------------------------------------------ input, errors


def test_pieces_and_the_whole_give_the_same() -> None:
    data = reordered(Sets())
    decoder, out = Decoder(), []
    for unit in units(data):
        decoder.send(unit)
        out += frames(decoder)
    decoder.flush()
    out += frames(decoder)
    for a, b in zip(out, decode(data), strict=True):
        assert np.array_equal(a.decoded[0], b.decoded[0]) and a.poc == b.poc


def test_packets_sent_without_taking_frames_are_kept() -> None:
    data = reordered(Sets(reorder=1, buffering=2))
    decoder = Decoder()
    for unit in units(data):
        decoder.send(bytearray(unit))
    decoder.flush()
    decoder.send(data)
    decoder.flush()
    assert [int(f.decoded[0][0, 0]) for f in frames(decoder)] == 2 * list(range(1, 18, 2))


def test_avcc_packets() -> None:
    data = reordered(Sets())
    record, packets = avcc(data)
    decoder, out = Decoder(extradata=record), []
    for packet in packets:
        decoder.send(packet)
        out += frames(decoder)
    decoder.flush()
    out += frames(decoder)
    assert [int(f.decoded[0][0, 0]) for f in out] == values(data)


def test_cut_avcc_record() -> None:
    record, _ = avcc(stream(Sets(), []))
    for cut in range(6, len(record)):
        with pytest.raises(CorruptStreamError, match="cut off|no parameter sets"):
            Decoder(extradata=record[:cut])


def test_a_unit_longer_than_its_packet_is_cut() -> None:
    record, (first, second) = avcc(
        stream(Sets(), [Picture(idr=True, value=n, idr_pic_id=n) for n in (3, 4)])
    )
    decoder = Decoder(extradata=record)
    decoder.send((int.from_bytes(first[:4], "big") + 9).to_bytes(4, "big") + first[4:])
    decoder.send(second)
    decoder.flush()
    assert [int(f.decoded[0][0, 0]) for f in frames(decoder)] == [3, 4]
    assert decoder.warnings == {"bad_nal_units": 1}


@pytest.mark.parametrize("depth", [8, 10])
def test_what_is_lost_of_a_first_picture_is_grey(depth: int) -> None:
    s = Sets(profile_idc=110, bit_depth=depth)
    (frame,) = decode(stream(s, [Picture(idr=True, value=7, mbs=2)]))
    for plane in frame.decoded:
        half = plane.shape[0] // 2
        assert (plane[:half] == 7).all() and (plane[half:] == 1 << depth - 1).all()
    assert frame.mb_concealed.tolist() == [[False] * 2, [True] * 2]


@pytest.mark.parametrize("depth", [8, 10])
def test_a_reference_that_never_was_is_grey(depth: int) -> None:
    """Decoding begins at a recovery point: the P picture there refers to nothing."""
    s = Sets(profile_idc=110, bit_depth=depth)
    point = nal(SEI, BitWriter().u(8, 6).u(8, 1).ue(0).u(3, 0).align(1).trailing(), 0)
    data = s.headers() + point + Picture(frame_num=3, poc=6, value=None).nal(s)
    (frame,) = decode(data)
    assert all((plane == 1 << depth - 1).all() for plane in frame.decoded) and frame.concealed


def test_annex_b_extradata() -> None:
    s = Sets()
    decoder = Decoder(extradata=s.headers())
    decoder.send(Picture(idr=True, value=6).nal(s))
    decoder.flush()
    assert [int(f.decoded[0][0, 0]) for f in frames(decoder)] == [6]


@pytest.mark.parametrize("data", [b"not a video at all", b"\0\0\1", b"\0" * 100])
def test_no_nal_unit(data: bytes) -> None:
    with pytest.raises(CorruptStreamError, match="no NAL unit|NAL"):
        Decoder().send(data)


def test_empty_input_gives_nothing() -> None:
    decoder = Decoder()
    decoder.send(b"")
    decoder.flush()
    assert decoder.receive() is None and decoder.warnings == {}


def test_picture_larger_than_the_limit() -> None:
    s = Sets(width_mbs=5000, height_mbs=5000)
    decoder = Decoder()
    decoder.send(s.headers() + Picture(idr=True, mbs=1).nal(s))
    with pytest.raises(StreamMemoryError, match="80000x80000"):
        decoder.receive()
    with pytest.raises(MemoryError):
        decoder.send(b"\0\0\1\x09\x10")
    small = Decoder(max_pixels=1023)
    small.send(stream(Sets(), [Picture(idr=True)]))
    with pytest.raises(StreamMemoryError, match="32x32"):
        small.receive()


@pytest.mark.parametrize(("idc", "shape"), [(0, None), (2, (32, 16)), (3, (32, 32))])
def test_chroma_formats(idc: int, shape: tuple[int, int] | None) -> None:
    s = Sets(profile_idc=244, chroma_format_idc=idc)
    pictures = [Picture(idr=True, value=77), Picture(frame_num=1, poc=2, value=None)]
    for frame in decode(stream(s, pictures)):
        assert [p.shape for p in frame.decoded] == [(32, 32)] + [shape] * (2 if shape else 0)
        for planes in (frame.decoded, frame.prediction):
            assert all(p.dtype == np.uint8 and (p == 77).all() for p in planes)
        assert frame.stream.chroma_format_idc == idc


@pytest.mark.parametrize("idc", [0, 1, 2, 3])
@pytest.mark.parametrize(("luma", "chroma"), [(9, 9), (14, 14), (8, 12), (13, 8)])
def test_bit_depths(idc: int, luma: int, chroma: int) -> None:
    s = Sets(profile_idc=244, chroma_format_idc=idc, bit_depth=luma, bit_depth_chroma=chroma)
    value = (1 << min(luma, chroma)) - 3
    pictures = [Picture(idr=True, value=value), Picture(frame_num=1, poc=2, value=None)]
    # where there is no chroma its depth means nothing
    wide = np.uint16 if max(luma, chroma if idc else luma) > 8 else np.uint8
    for frame in decode(stream(s, pictures)):
        for planes in (frame.decoded, frame.prediction):
            assert all(p.dtype == wide and (p == value).all() for p in planes)
        info = frame.stream
        assert (info.bit_depth_luma, info.bit_depth_chroma) == (luma, chroma if idc else luma)


@pytest.mark.parametrize("idc", [1, 3])
def test_pps_that_comes_before_its_sps(idc: int) -> None:
    # 4:4:4 has six lists of 8x8 blocks, other formats two: only the SPS tells
    s = Sets(profile_idc=244, chroma_format_idc=idc, flat_list=17, second_chroma_offset=-5)
    other = Sets(profile_idc=244, chroma_format_idc=4 - idc)
    skipped = Picture(frame_num=1, poc=2, value=None).nal(s)
    for before in (b"", other.sps()):
        data = before + s.pps() + s.sps() + Picture(idr=True, value=3).nal(s) + skipped
        _, frame = decode(data)
        assert (frame.scaling4x4 == 17).all() and (frame.scaling8x8 == 17).all()
        assert (frame.qp_cb == 26).all() and (frame.qp_cr == 21).all()


def test_slice_groups() -> None:
    s = Sets(profile_idc=66, slice_groups=2)  # dispersed: a chequerboard
    groups = [Picture(idr=True, value=10 + i, first_mb=i, mbs=2) for i in (1, 0)]  # in any order
    (frame,) = decode(stream(s, groups))
    assert (frame.decoded[0][::16, ::16] == [[10, 11], [11, 10]]).all()
    assert (frame.slice == [[1, 0], [0, 1]]).all() and not frame.concealed


def test_a_slice_group_lost_is_concealed() -> None:
    s = Sets(profile_idc=66, slice_groups=2)
    lost = Picture(frame_num=1, poc=2, value=50, first_mb=1, mbs=2)
    _, frame = decode(
        stream(s, [Picture(idr=True, value=i, first_mb=i, mbs=2) for i in (0, 1)] + [lost])
    )
    assert (frame.decoded[0][::16, ::16] == [[0, 50], [50, 0]]).all() and frame.concealed_mbs == 2
    assert (frame.mb_concealed == [[True, False], [False, True]]).all()


def test_separate_colour_planes() -> None:
    s = Sets(profile_idc=244, chroma_format_idc=3, separate_planes=1)
    planes = [Picture(idr=True, value=10 + c, colour_plane=c) for c in (2, 0, 1)]  # in any order
    skipped = [Picture(frame_num=1, poc=2, value=None, colour_plane=c) for c in range(3)]
    change = [
        Picture(frame_num=2, poc=4, value=None if c else 70, colour_plane=c) for c in range(3)
    ]
    decoded = decode(stream(s, planes + skipped + change))
    for frame, luma in zip(decoded, (10, 10, 70), strict=True):
        for planes_of in (frame.decoded, frame.prediction):
            assert [np.unique(p).tolist() for p in planes_of] == [[luma], [11], [12]]
        assert not frame.concealed and all(not p.any() for p in frame.residual)
    assert (decoded[1].qp_cb == 26).all() and not decoded[0].qp_cb.any()  # QP_Y of each plane
    assert (decoded[2].mb_type == 3).all() and (decoded[1].mb_type == 4).all()


def test_a_colour_plane_lost_is_concealed() -> None:
    s = Sets(profile_idc=244, chroma_format_idc=3, separate_planes=1)
    planes = [Picture(idr=True, value=10 + c, colour_plane=c) for c in range(3)]
    kept = [Picture(frame_num=1, poc=2, value=50 + c, colour_plane=c) for c in (0, 2)]
    _, frame = decode(stream(s, planes + kept))
    assert [np.unique(p).tolist() for p in frame.decoded] == [[50], [11], [52]]
    assert frame.concealed_mbs == s.mbs and frame.mb_concealed.all()


def partitions(s: Sets, picture: Picture, a: BitWriter, b: BitWriter, c: BitWriter) -> list[bytes]:
    """A picture of one slice in three partitions, slice data given; slice_id 0."""
    header, _ = picture.header(s)
    header.ue(0).bits.extend(a.bits)
    rest = [BitWriter().ue(0) for _ in range(2)]
    out = [nal(PARTITION_A, header.trailing(), picture.ref_idc)]
    for kind, writer, data in zip((PARTITION_B, PARTITION_C), rest, (b, c), strict=True):
        if kind == PARTITION_B:
            writer.align()  # I_PCM
        writer.bits.extend(data.bits)
        out.append(nal(kind, writer.trailing(), picture.ref_idc))
    return out


def two_intra_two_inter(s: Sets) -> list[bytes]:
    """Four macroblocks: I_PCM of value 50, P_L0_16x16 with a Cb DC level, and both once more."""
    a, b, c = BitWriter(), BitWriter(), BitWriter()
    for _ in range(2):
        a.ue(0, 30)  # mb_skip_run, I_PCM
        b.raw(bytes([50]) * 384)
        # P_L0_16x16, mvd, coded_block_pattern 16 (code number 1), mb_qp_delta
        a.ue(0, 0).se(0, 0).ue(1).se(0)
        c.u(3, 0b101).u(2, 0b01)  # Cb: a trailing one, +, no zeros before it; Cr: no levels
    return partitions(s, Picture(frame_num=1, poc=2, value=None), a, b, c)


LEFT = np.array([[True, False], [True, False]])  # the intra macroblocks of two_intra_two_inter


def test_data_partitions() -> None:
    s = Sets(profile_idc=88)
    data = stream(s, [Picture(idr=True, value=9)]) + b"".join(two_intra_two_inter(s))
    _, frame = decode(data)
    assert (frame.decoded[0][::16, ::16] == np.where(LEFT, 50, 9)).all()
    assert (frame.decoded[1][::8, ::8] == np.where(LEFT, 50, 11)).all()
    assert (frame.decoded[2][::8, ::8] == np.where(LEFT, 50, 9)).all()
    assert not frame.concealed and (frame.level[1][::8, ::8] == ~LEFT).all()
    # types, a skip run and vectors in A; in B 384 bytes after the alignment; in C five bits
    assert (frame.mb_bits[LEFT] >= 3072 * 256).all() and (frame.mb_bits[~LEFT] == 13 * 256).all()


@pytest.mark.parametrize("lost", ["B", "C", "B of another slice", "half of B", "all but A"])
def test_partitions_that_are_lost(lost: str) -> None:
    s = Sets(profile_idc=88)
    a, b, c = two_intra_two_inter(s)
    if lost == "B of another slice":
        b = b[:5] + bytes([0b01000000]) + b[6:]  # slice_id 1
    kept = {"B": a + c, "C": a + b, "all but A": a, "half of B": a + b[:500] + c}.get(
        lost, a + b + c
    )
    _, frame = decode(stream(s, [Picture(idr=True, value=9)]) + kept)
    # The residual of inter macroblocks cannot be read where that of intra neighbours is unknown.
    intra = {"C": LEFT, "half of B": LEFT & [[True], [False]]}.get(lost, LEFT & False)
    inter = ~LEFT & [[True], [False]] if lost == "half of B" else LEFT & False
    assert (frame.decoded[0][::16, ::16] == np.where(intra, 50, 9)).all()
    assert (frame.decoded[1][::8, ::8] == np.where(intra, 50, 9 + 2 * inter)).all()
    assert frame.concealed_mbs == 4 - np.count_nonzero(intra | inter)
    assert (frame.mb_concealed == ~(intra | inter)).all()


def test_redundant_slices_replace_what_is_lost() -> None:
    s = Sets(redundant=1, width_mbs=1, height_mbs=4)

    def part(first: int, value: int, count: int) -> bytes:
        fields = {"first_mb": first, "mbs": 2, "value": value, "redundant_pic_cnt": count}
        return Picture(frame_num=1, poc=2, **fields).nal(s)  # type: ignore[arg-type]

    start = stream(s, [Picture(idr=True, value=1)])
    redundant = part(0, 50, 1) + part(2, 60, 1) + part(0, 70, 2)
    broken = part(0, 30, 0)
    for primary, wanted in [
        (part(0, 30, 0) + part(2, 40, 0), [30, 30, 40, 40]),
        (part(0, 30, 0), [30, 30, 60, 60]),
        (part(2, 40, 0), [50, 50, 40, 40]),
        (broken[:500] + part(2, 40, 0), [50, 50, 40, 40]),
        (b"", [50, 50, 60, 60]),
    ]:
        _, frame = decode(start + primary + redundant)
        assert frame.decoded[0][::16, 0].tolist() == wanted


def test_tools_that_the_profile_lacks_are_damage() -> None:
    s = Sets(profile_idc=77)
    switching = Picture(frame_num=1, poc=2, value=None, slice_type=3).nal(s)
    decoder = Decoder()
    decoder.send(stream(s, [Picture(idr=True)]) + switching)
    decoder.flush()
    assert len(list(frames(decoder))) == 1
    assert decoder.warnings["corrupt_slices"] == 1


def test_other_layers_are_left_out_and_counted() -> None:
    s = Sets()
    view = Picture(idr=True, value=99).nal(s)
    view = view[:4] + bytes([view[4] & ~31 | 20, 0x80, 0, 0]) + view[5:]  # with its extension
    decoder = Decoder()
    decoder.send(stream(s, [Picture(idr=True, value=5)]) + view)
    decoder.flush()
    assert [int(f.decoded[0][0, 0]) for f in frames(decoder)] == [5]
    assert decoder.warnings == {"slices_of_other_layers_or_views": 1}


def test_frame_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError, match="receive"):
        Frame()


@pytest.mark.parametrize(
    ("sets", "wrong"),
    [
        ({}, {"first_mb": 4, "mbs": 1}),
        ({}, {"mods": ((4, 0),)}),
        ({}, {"num_ref": 17}),
        ({"num_ref_default": 17}, {}),
        ({}, {"mmco": [(7,)]}),
        ({}, {"mmco": [(1, 0)] * 67}),  # more than a picture can have
        (
            {"profile_idc": 244, "chroma_format_idc": 3, "separate_planes": 1},
            {"colour_plane": 3},
        ),
        ({"profile_idc": 88}, {"slice_type": SP, "qs": 52}),
        ({"profile_idc": 88}, {"slice_type": SP, "qs": -1}),
    ],
    ids=str,
)
def test_slice_header_out_of_range(sets: dict[str, int], wrong: dict[str, object]) -> None:
    s = Sets(**sets)  # type: ignore[arg-type]
    first = [Picture(idr=True, colour_plane=c) for c in range(3 if s.separate_planes else 1)]
    decoder = Decoder()
    decoder.send(stream(s, first))
    with pytest.raises(CorruptStreamError, match=f"NAL unit type {SLICE}: bad slice header"):
        decoder.send(Picture(frame_num=1, poc=2, value=None, **wrong).nal(s))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------- real streams


@pytest.mark.parametrize(
    ("name", "md5"),
    [
        ("m_start_nonidr.264", "81edfc5e"),
        ("m_gap2.264", "5a816412"),
        ("m_refs_change.264", "5486ee81"),
        ("m_dpb_frame_cavlc_bref_rplm_mmco_lt6.264", "1a3ebac6"),
        ("x_croprect.264", None),
    ],
)
def test_cropped_frames_of_shared_streams(shared: Path, name: str, md5: str | None) -> None:
    digest = hashlib.md5()
    for frame in decode((shared / "vectors" / "streams" / name).read_bytes()):
        i = frame.stream
        for plane, scale in zip(frame.decoded, (1, 2, 2), strict=True):
            top, left = i.crop_top // scale, i.crop_left // scale
            digest.update(plane[top:, left:][: i.height // scale, : i.width // scale].tobytes())
    manifest = (shared / "vectors" / "manifest.csv").read_text()
    (row,) = [line for line in manifest.splitlines() if line.startswith(name + ",")]
    assert digest.hexdigest() in row
    assert md5 is None or digest.hexdigest().startswith(md5)
