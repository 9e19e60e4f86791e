"""HEVC streams of the kinds that have broken other decoders, each written for one weakness."""

import functools
import time

import numpy as np
import pytest
from bitwriter import BitWriter, escape
from davd.bitstream import CorruptStreamError, DavdError, HevcDecoder, HevcFrame
from test_hevc import encode

real = functools.cache(encode)

VPS, SPS, PPS, SEI = 32, 33, 34, 39
LARGEST_UE = 2**32 - 2
IDR = BitWriter().u(1, 1).u(1, 0).ue(0, 2).se(0).trailing()  # header of an I slice


def nal(kind: int, rbsp: bytes) -> bytes:
    """A NAL unit of layer 0, temporal layer 0."""
    return b"\0\0\0\1" + bytes([kind << 1, 1]) + escape(rbsp)


def units(data: bytes) -> list[bytes]:
    """NAL units of a stream, each with a start code."""
    return [b"\0\0\0\1" + unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]]


def kind(unit: bytes) -> int:
    return unit[4] >> 1 & 63


def decode(*packets: bytes) -> tuple[list[HevcFrame], dict[str, int]]:
    """All pictures of a stream, and the warnings; packets of nothing usable are passed over."""
    decoder = HevcDecoder(max_pixels=1 << 20)
    frames = []
    for packet in (*packets, None):
        try:
            decoder.flush() if packet is None else decoder.send(packet)
        except CorruptStreamError:
            pass
        while (frame := decoder.receive()) is not None:
            frames.append(frame)
    return frames, decoder.warnings


def sps(
    *,
    size: tuple[int, int] = (96, 64),
    depth: int = 8,
    min_cb: int = 3,
    ctb: int = 4,
    sets: int = 0,
    negative: int = 0,
    buffering: int = 4,
) -> bytes:
    """A sequence parameter set, its values open."""
    w = BitWriter().u(4, 0).u(3, 0).u(1, 1)
    w.u(2, 0).u(1, 0).u(5, 1).u(32, 1 << 30).u(32, 0).u(16, 0).u(8, 93)  # profile_tier_level
    w.ue(0, 1, *size).u(1, 0).ue(depth - 8, depth - 8, 0).u(1, 1).ue(buffering, 0, 0)
    w.ue(min_cb - 3, ctb - min_cb, 0, 2, 1, 1).u(1, 0).u(1, 0).u(1, 0).u(1, 0)
    w.ue(sets)
    for k in range(sets):
        if k:
            w.u(1, 0)  # inter_ref_pic_set_prediction_flag
        w.ue(negative, 0)
        for _ in range(negative):
            w.ue(0).u(1, 1)
    w.u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 0)
    return nal(SPS, w.trailing())


def pps(
    *,
    tiles: tuple[int, int] | None = None,
    qp_delta_depth: int = 0,
    merge: int = 0,
    cross_component: bool = False,
    dependent: bool = False,
    modification: bool = False,
) -> bytes:
    """A picture parameter set, its values open."""
    w = (
        BitWriter()
        .ue(0, 0)
        .u(1, int(dependent))
        .u(1, 0)
        .u(3, 0)
        .u(1, 0)
        .u(1, 0)
        .ue(0, 0)
        .se(0)
        .u(1, 0)
        .u(1, 0)
    )
    w.u(1, int(qp_delta_depth > 0))
    if qp_delta_depth:
        w.ue(qp_delta_depth)
    w.se(0, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, int(tiles is not None)).u(1, 0)
    if tiles is not None:
        w.ue(tiles[0] - 1, tiles[1] - 1).u(1, 1).u(1, 1)
    w.u(1, 0).u(1, 0).u(1, 0).u(1, int(modification))
    w.ue(merge).u(1, 0).u(1, int(cross_component))
    if cross_component:
        w.u(1, 1).u(7, 0).u(1, 1).u(1, 0).ue(0, 0)  # pps_range_extension()
    return nal(PPS, w.trailing())


def slices(**options: object) -> list[bytes]:
    """Slices of a real stream, which fit none of the sets written here."""
    return [unit for unit in units(real(**options)) if kind(unit) < 32]  # type: ignore[arg-type]


@pytest.mark.parametrize("which", [VPS, SPS, PPS, SEI, 0, 1, 19, 21])
@pytest.mark.parametrize("before", ["", "0" * 24, "1" * 9, "1" * 30, "10" * 60])
def test_exp_golomb_codes_beyond_all_bounds(which: int, before: str) -> None:
    w = BitWriter()
    for bit in before:
        w.u(1, int(bit))
    for _ in range(8):
        w.ue(LARGEST_UE)
    good = real(frames=2)
    frames, _ = decode(good, nal(which, w.trailing()), good)
    # a slice that cannot be read marks the picture it came with
    assert len(frames) == 4 and sum(frame.concealed for frame in frames) <= 1


@pytest.mark.parametrize(
    "changes",
    [
        {"size": (65535 // 8 * 8, 65535 // 8 * 8)},  # more samples than there may be
        {"size": (96, 8)},
        {"size": (8, 64)},
        {"depth": 12},
        {"min_cb": 5, "ctb": 6},
        {"ctb": 6},
    ],
    ids=str,
)
def test_a_sequence_parameter_set_that_does_not_fit_the_slices(changes: dict[str, object]) -> None:
    """Between the pictures of a stream: other buffers, other blocks."""
    parts = units(real(frames=4, params="bframes=0"))
    at = next(k for k, unit in enumerate(parts) if kind(unit) in (0, 1))
    for place in (at, at + 1, len(parts)):
        try:
            decode(b"".join([*parts[:place], sps(**changes), pps(), *parts[place:]]))  # type: ignore[arg-type]
        except DavdError as error:
            assert "limit" in str(error) or "memory" in str(error)


@pytest.mark.parametrize(
    "changes",
    [{"tiles": (20, 22)}, {"qp_delta_depth": 3}, {"merge": 4}, {"cross_component": True}],
    ids=str,
)
def test_a_picture_parameter_set_that_does_not_fit_its_sequence(changes: dict[str, object]) -> None:
    """More tiles than units, small groups, merging over more than a unit, 4:2:0 as if 4:4:4."""
    frames, odd = decode(sps(size=(64, 64)) + pps(**changes) + b"".join(slices(frames=3)))  # type: ignore[arg-type]
    assert odd or all(frame.decoded[0].shape == (64, 64) for frame in frames)


@pytest.mark.parametrize(("sets", "negative"), [(64, 16), (65, 1), (1, 16), (1, 17), (64, 4)])
def test_reference_picture_sets_of_every_size(sets: int, negative: int) -> None:
    """More sets than 64, more pictures than the buffer holds: the set is refused, not cut."""
    frames, odd = decode(sps(sets=sets, negative=negative) + pps() + b"".join(slices(frames=2)))
    allowed = sets <= 64 and negative <= 4
    assert ("bad_parameter_sets" in odd) != allowed
    assert len(frames) <= 2


def test_a_slice_whose_parameter_sets_are_replaced_before_the_next() -> None:
    """Sets between the slices of a picture belong to the next one; nothing old is looked at."""
    parts = units(real(frames=3, params="slices=2:ctu=32"))
    at = [k for k, unit in enumerate(parts) if kind(unit) < 32]
    for place in at[1:]:
        frames, _ = decode(b"".join([*parts[:place], sps(size=(160, 128)), pps(), *parts[place:]]))
        assert len(frames) <= 8


def segment(
    address: int, slice_type: int | None, negative: int = 0, entry: int | None = None
) -> bytes:
    """A slice segment header of the picture after the first, in 24 units.

    Args:
        address: Of its first unit; 0: it begins the picture.
        slice_type: P 1 or I 2; None: the segment is dependent.
        negative: Pictures that its own st_ref_pic_set() names, one after the other.
        entry: list_entry_l0[0], where the lists may be modified.
    """
    w = BitWriter().u(1, int(address == 0)).ue(0)
    if address:
        w.u(1, int(slice_type is None)).u(5, address)
    if slice_type is not None:
        w.ue(slice_type).u(4, 1).u(1, 0).ue(negative, 0)  # slice_pic_order_cnt_lsb
        for _ in range(negative):
            w.ue(0).u(1, 1)
        if slice_type == 1:
            w.u(1, 0)  # num_ref_idx_active_override_flag
            if entry is not None:
                w.u(1, 1).u((negative - 1).bit_length(), entry)
            w.ue(0)
        w.se(0)
    return w.trailing()


SLICE_DATA = pytest.mark.parametrize(
    "data", [b"\0" * 40, b"\x55\xaa" * 20, b"\xff" * 40], ids=bytes.hex
)


@SLICE_DATA
def test_a_segment_that_depends_on_a_slice_without_references(data: bytes) -> None:
    """The picture's first slice names no picture, so a P slice of it has none to predict from."""
    headers = [segment(0, 2), segment(1, 1, 1), *(segment(k, None) for k in range(2, 24))]
    frames, odd = decode(
        sps() + pps(dependent=True) + nal(19, IDR + data),
        *(nal(1, header + data) for header in headers),
    )
    assert len(frames) == 2 and odd["corrupt_slices"] >= 22  # the dependent ones


@SLICE_DATA
@pytest.mark.parametrize("entry", [0, 1, 2, 3])
def test_a_slice_that_names_more_pictures_than_its_pictures_first_one(
    entry: int, data: bytes
) -> None:
    """A list entry beyond those of the first slice is one of them all the same."""
    headers = [segment(0, 1, 1, None), segment(1, 1, 4, entry), segment(2, None)]
    frames, _ = decode(
        sps() + pps(dependent=True, modification=True) + nal(19, IDR + data),
        *(nal(1, header + data) for header in headers),
    )
    assert len(frames) == 2


@pytest.mark.parametrize("address", [24, 31])
def test_a_slice_beyond_the_picture(address: int) -> None:
    """Of 24 units; the picture is read as without it."""
    good = sps() + pps() + nal(19, IDR + b"\x55" * 40) + nal(1, segment(0, 2))
    (_, one), before = decode(good)
    (_, two), after = decode(good, nal(1, segment(address, 2)))
    assert after["corrupt_slices"] == before["corrupt_slices"] + 1
    assert all(np.array_equal(a, b) for a, b in zip(one.decoded, two.decoded, strict=True))


def test_many_tiny_units_take_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        data = (b"\0\0\1\x02\x01\x80" + b"\0\0\1\x46\x01\x50") * count
        began = time.perf_counter()
        decode(data)
        return time.perf_counter() - began

    seconds(2000)
    few, many = min(seconds(2000) for _ in range(3)), min(seconds(32000) for _ in range(3))
    assert many < 16 * few * 8 + 0.5


def test_slices_sent_over_and_over_do_not_grow() -> None:
    parts = units(real(frames=1))
    frames, odd = decode(b"".join(parts + parts[-1:] * 3000))
    assert 1 <= len(frames) <= 3001 and frames[0].decoded[0].any()
    assert odd == {} or "corrupt_slices" in odd


def test_entry_points_without_end() -> None:
    """num_entry_point_offsets is bounded by the units of the picture."""
    w = BitWriter().u(1, 1).u(1, 0).ue(0, 2).ue(*[0] * 4)
    for _ in range(50):
        w.ue(LARGEST_UE)
    frames, odd = decode(sps() + pps(tiles=(2, 2)) + nal(19, w.trailing()))
    assert len(frames) <= 1 and (odd or not frames)


def test_the_smallest_picture() -> None:
    """One coding block of 8x8 in a coding tree block of 16."""
    frames, _ = decode(sps(size=(8, 8)) + pps() + b"".join(slices(frames=2)))
    for frame in frames:
        assert frame.decoded[0].shape == (8, 8) and frame.decoded[1].shape == (4, 4)
        assert np.isin(frame.cu_size, (3, 4)).all()


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.7, 0.9])
def test_behind_the_end_of_slice_data_nothing_is_decoded_from_padding(kept: float) -> None:
    """The units that the data reach to are as they were, and all others are marked."""
    parts = units(real(frames=1, qp=16, params="ctu=16:wpp=0"))
    at = next(k for k, unit in enumerate(parts) if kind(unit) < 32)
    (whole,), _ = decode(b"".join(parts))
    size = int(len(parts[at]) * kept)
    bits = whole.ctu_bits.ravel().cumsum() / 256
    header = 8 * len(parts[at]) - bits[-1]
    parts[at] = parts[at][:size]
    (cut,), odd = decode(b"".join(parts))
    reached = int(np.searchsorted(header + bits, 8 * size))
    marked = cut.ctu_concealed.ravel()
    assert odd["corrupt_slices"] == 1
    assert not marked[:reached].any() and marked[reached + 1 :].all()
