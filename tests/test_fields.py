"""Interlaced video, written field by field, pair by pair: what goes where, who refers to whom."""

from collections.abc import Sequence

import numpy as np
import pytest
from bitwriter import IDR, BitWriter, I, P, Picture, Sets, nal, stream
from davd.bitstream._core import Decoder, Frame

TOP, BOTTOM = (1, 0), (1, 1)
FIELDS = Sets(frame_mbs_only=0)


def field(
    parity: tuple[int, int], value: int | None, frame_num: int = 0, **more: object
) -> Picture:
    """A field in decoding order: its picture order count follows from frame_num and parity."""
    poc = 2 * frame_num + parity[1]
    return Picture(frame_num=frame_num, poc=poc, value=value, field_bits=parity, **more)  # type: ignore[arg-type]


FIRST = [field(TOP, 10, idr=True), field(BOTTOM, 20)]


def decode(
    s: Sets, pictures: Sequence[Picture], **options: bool
) -> tuple[list[Frame], dict[str, int]]:
    """All frames of a stream, and the warnings."""
    decoder = Decoder(**options)
    decoder.send(stream(s, pictures))
    decoder.flush()
    frames = []
    while (frame := decoder.receive()) is not None:
        frames.append(frame)
    return frames, decoder.warnings


def rows(frame: Frame) -> tuple[int, int]:
    """The value of both fields of a frame; they must be flat in all planes."""
    for plane in frame.decoded:
        for parity in range(2):
            assert (plane[parity::2] == frame.decoded[0][parity, 0]).all()
    return int(frame.decoded[0][0, 0]), int(frame.decoded[0][1, 0])


def fields_of(pictures: Sequence[Picture]) -> list[tuple[int, int]]:
    return [rows(frame) for frame in decode(FIELDS, pictures)[0]]


def test_two_fields_make_a_frame() -> None:
    (frame,), warnings = decode(FIELDS, FIRST, motion=True, modes=True)
    assert rows(frame) == (10, 20) and warnings == {} and not frame.concealed
    for tap, planes in ((frame.prediction, (10, 20)), (frame.residual, (0, 0))):
        assert all((plane[0::2] == planes[0]).all() for plane in tap)
        assert all((plane[1::2] == planes[1]).all() for plane in tap)
    assert (frame.field == 1).all() and (frame.mb_type == 3).all()
    assert frame.poc == 0 and frame.keyframe


def test_the_bottom_field_may_come_first() -> None:
    first = [field(BOTTOM, 20, idr=True), Picture(field_bits=TOP, poc=2, value=10)]
    (frame,), warnings = decode(FIELDS, first)
    assert rows(frame) == (10, 20) and warnings == {} and frame.poc == 1


def test_a_second_field_refers_to_the_first() -> None:
    assert fields_of([FIRST[0], field(BOTTOM, None)]) == [(10, 10)]


def test_fields_refer_to_their_own_parity_first() -> None:
    skipped = [field(TOP, None, 1), field(BOTTOM, None, 1)]
    assert fields_of([*FIRST, *skipped]) == [(10, 20), (10, 20)]


def test_a_modified_list_names_the_other_parity() -> None:
    # CurrPicNum 3; the bottom field of frame 0 has picNum 0
    other = field(TOP, None, 1, mods=[(0, 2)])
    assert fields_of([*FIRST, other, field(BOTTOM, 7, 1)]) == [(10, 20), (20, 7)]


def test_memory_management_frees_one_field_of_a_frame() -> None:
    frees_bottom = field(TOP, 30, 1, mmco=[(1, 2)])
    assert fields_of([*FIRST, frees_bottom, field(BOTTOM, None, 1)]) == [(10, 20), (30, 30)]


# The fields of frame 0 as long-term ones with index 0, sent in the top field of frame 1.
LONG = field(TOP, 30, 1, mmco=[(4, 1), (3, 1, 0), (3, 2, 0)])


@pytest.mark.parametrize(
    ("freed", "parity", "left"), [(0, BOTTOM, (40, 20)), (1, TOP, (10, 50))], ids=["top", "bottom"]
)
def test_memory_management_frees_one_long_term_field(
    freed: int, parity: tuple[int, int], left: tuple[int, int]
) -> None:
    """LongTermPicNum is 0 for the other parity, 1 for the own."""
    frees = field(BOTTOM, 31, 1, mmco=[(2, freed)])

    def then(skipped: tuple[int, int]) -> tuple[list[Frame], dict[str, int]]:
        by_parity = {TOP: field(TOP, 40, 2), BOTTOM: field(BOTTOM, 50, 2)}
        by_parity[skipped] = field(skipped, None, 2, mods=[(2, 1)])
        return decode(FIELDS, [*FIRST, LONG, frees, *by_parity.values()])

    frames, warnings = then(parity)
    assert [rows(frame) for frame in frames] == [(10, 20), (30, 31), left] and warnings == {}
    assert "missing_references" in then(TOP if parity == BOTTOM else BOTTOM)[1]


def test_a_frame_has_one_long_term_index() -> None:
    """Where its second field is given another, that of the first is lost."""
    twice = field(TOP, 30, 1, mmco=[(4, 2), (3, 1, 0), (3, 2, 1)])
    rest = [field(TOP, 40, 2), field(BOTTOM, None, 2, mods=[(2, 3)])]
    frames, warnings = decode(FIELDS, [*FIRST, twice, field(BOTTOM, 31, 1), *rest])
    assert rows(frames[2]) == (40, 20) and warnings == {}
    _, warnings = decode(
        FIELDS, [*FIRST, twice, field(BOTTOM, 31, 1), field(TOP, None, 2, mods=[(2, 1)])]
    )
    assert "missing_references" in warnings


def test_a_frame_refers_to_a_pair_of_fields() -> None:
    frames, _ = decode(FIELDS, [*FIRST, Picture(frame_num=1, poc=2, value=None)])
    assert [rows(frame) for frame in frames] == [(10, 20), (10, 20)]
    assert [int(frame.field.max()) for frame in frames] == [1, 0]


def test_mmco_5_in_a_first_field_begins_again_at_frame_num_0() -> None:
    again = [field(TOP, 30, 1, mmco=[(5,)]), field(BOTTOM, None)]
    frames, warnings = decode(FIELDS, [*FIRST, *again])
    assert [rows(frame) for frame in frames] == [(10, 20), (30, 30)] and warnings == {}


@pytest.mark.parametrize("parity", [TOP, BOTTOM])
def test_a_field_without_its_second_fills_the_frame(parity: tuple[int, int]) -> None:
    alone = field(parity, 30, 1)
    whole = Picture(frame_num=2, poc=6, value=40)
    frames, warnings = decode(FIELDS, [*FIRST, alone, whole])
    assert [rows(frame) for frame in frames] == [(10, 20), (30, 30), (40, 40)]
    assert [frame.concealed_mbs for frame in frames] == [0, 2, 0]
    assert warnings["unpaired_fields"] == 1
    assert not any(plane.any() for plane in frames[1].residual)


def test_a_field_without_its_second_in_separate_colour_planes() -> None:
    s = Sets(frame_mbs_only=0, profile_idc=244, chroma_format_idc=3, separate_planes=1)
    alone = [field(TOP, 30 + c, idr=True, colour_plane=c) for c in range(3)]
    whole = [Picture(frame_num=1, poc=4, value=40 + c, colour_plane=c) for c in range(3)]
    frames, warnings = decode(s, [*alone, *whole])
    for frame, value in zip(frames, (30, 40), strict=True):
        assert all((plane == value + c).all() for c, plane in enumerate(frame.decoded))
        assert all((plane == value + c).all() for c, plane in enumerate(frame.prediction))
    assert warnings["unpaired_fields"] == 1


def test_two_fields_of_one_parity_are_two_frames() -> None:
    frames, warnings = decode(FIELDS, [FIRST[0], field(TOP, 30, 1), field(BOTTOM, 40, 1)])
    assert [rows(frame) for frame in frames] == [(10, 10), (30, 40)]
    assert warnings["unpaired_fields"] == 1


def test_decoding_may_begin_with_the_later_field_of_a_frame() -> None:
    first = [Picture(field_bits=BOTTOM, poc=1, value=20), Picture(field_bits=TOP, poc=0, value=10)]
    frames, warnings = decode(FIELDS, first)
    assert [rows(frame) for frame in frames] == [(10, 20)] and warnings == {}


def test_a_gap_in_frame_num_before_fields() -> None:
    s = Sets(frame_mbs_only=0, num_ref_frames=3, gaps=1)
    after = [field(TOP, 30, 3), field(BOTTOM, 40, 3)]
    frames, warnings = decode(s, [*FIRST, *after])
    assert [rows(frame) for frame in frames] == [(10, 20), (30, 40)] and warnings == {}
    # picNum 0 is the bottom field of frame 0, which the frames of the gap have not displaced
    far = field(TOP, None, 3, mods=[(0, 6)])
    frames, warnings = decode(s, [*FIRST, far, field(BOTTOM, 40, 3)])
    assert [rows(frame) for frame in frames] == [(10, 20), (20, 40)] and warnings == {}


def test_a_gap_and_another_sps_at_once() -> None:
    other = Sets(frame_mbs_only=0, width_mbs=4, height_mbs=4, gaps=1)
    late = [field(TOP, 30, 5, idr=True), field(BOTTOM, 40, 5)]
    frames, _ = decode(FIELDS, FIRST)
    decoder = Decoder()
    decoder.send(stream(FIELDS, FIRST) + stream(other, late) + stream(FIELDS, FIRST))
    decoder.flush()
    sizes = []
    while (frame := decoder.receive()) is not None:
        sizes.append((frame.decoded[0].shape, rows(frame)))
    assert sizes == [((32, 32), (10, 20)), ((64, 64), (30, 40)), ((32, 32), (10, 20))]


def test_a_second_field_of_another_sps_is_no_second_field() -> None:
    progressive = Sets(width_mbs=3, height_mbs=3)
    decoder = Decoder()
    decoder.send(stream(FIELDS, FIRST[:1]) + stream(progressive, [Picture(idr=True, value=50)]))
    decoder.flush()
    shapes = []
    while (frame := decoder.receive()) is not None:
        shapes.append((frame.decoded[0].shape, rows(frame)))
    assert shapes == [((32, 32), (10, 10)), ((48, 48), (50, 50))]


# ------------------------------------------------------------------------------------ MBAFF

ADAPTIVE = Sets(frame_mbs_only=0, mbaff=1, unfiltered=1)


def test_pairs_of_both_kinds() -> None:
    (frame,), warnings = decode(ADAPTIVE, [Picture(idr=True, pairs=[(0, 1, 2), (1, 3, 4)])])
    luma = frame.decoded[0]
    assert (luma[:16, :16] == 1).all() and (luma[16:, :16] == 2).all()
    assert (luma[0::2, 16:] == 3).all() and (luma[1::2, 16:] == 4).all()
    assert (frame.field == [[0, 1], [0, 1]]).all() and warnings == {}


# mb_field_decoding_flag of pairs where it is not sent (7.4.4)
INFERRED = {
    "of the pair to the left": ([(1, 3, 4), (0, None, None)], [1, 1]),
    "of a skipped pair": ([(0, None, None), (1, 3, 4)], [0, 1]),
    "of the bottom macroblock": ([(1, None, 4), (0, 5, None)], [1, 0]),
}


@pytest.mark.parametrize("case", INFERRED)
def test_the_kind_of_a_skipped_pair(case: str) -> None:
    pairs, kinds = INFERRED[case]
    start = Picture(idr=True, pairs=[(0, 9, 9), (0, 9, 9)])
    second = Picture(frame_num=1, poc=2, slice_type=P, pairs=pairs)
    frame = decode(ADAPTIVE, [start, second])[0][1]
    assert (frame.field == [kinds, kinds]).all() and not frame.concealed
    for x, (flag, *values) in enumerate(pairs):
        pair = frame.decoded[0][:, 16 * x : 16 * x + 16]
        parts = (pair[0::2], pair[1::2]) if flag else (pair[:16], pair[16:])
        for part, value in zip(parts, values, strict=True):
            assert (part == (9 if value is None else value)).all()


def test_half_a_pair_is_damage() -> None:
    start = Picture(idr=True, pairs=[(0, 9, 9), (0, 9, 9)])
    cut = Picture(frame_num=1, poc=2, slice_type=P, pairs=[(1, 3, 4), (None, None)])
    frames, warnings = decode(ADAPTIVE, [start, cut])
    assert [frame.concealed_mbs for frame in frames] == [0, 1]
    assert warnings == {"concealed_macroblocks": 1, "corrupt_slices": 1}
    assert (frames[1].field[0] == frames[1].field[1]).all()


# ------------------------------------------------------------------------------------ slices


def one_macroblock(s: Sets, first_mb: int) -> bytes:
    """A slice of one Intra16x16 macroblock predicted from nothing: mid-grey."""
    w = BitWriter().ue(first_mb, I, s.pps_id).u(s.log2_max_frame_num, 0).ue(0)
    w.u(s.log2_max_poc_lsb, 0).u(1, 0).u(1, 0).se(0)
    w.ue(3, 0).se(0)  # I_16x16_2_0_0, DC for chroma, mb_qp_delta
    return nal(IDR, w.trailing())


def test_more_slices_than_16_bits_count() -> None:
    s = Sets(width_mbs=256, height_mbs=257, level_idc=62)
    data = s.headers() + b"".join(one_macroblock(s, i) for i in range(s.mbs))
    decoder = Decoder(residual=False, level=False, max_pixels=s.mbs * 256)
    decoder.send(data)
    decoder.flush()
    frame = decoder.receive()
    assert frame is not None and decoder.warnings == {} and not frame.concealed
    assert (frame.decoded[0] == 128).all()
    expected = np.minimum(np.arange(s.mbs), 65535).reshape(257, 256)
    assert (frame.slice == expected).all()
