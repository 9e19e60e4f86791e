"""Damaged streams: the decoder answers everything with frames or a davd error.

Every case is made from a fixed seed. The heavy runs, under sanitizers and over large streams, use
tests/decode_main.c; these few keep the Python tests honest.
"""

import dataclasses
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bitwriter import END_OF_SEQUENCE, BitWriter, P, Picture, Sets, nal, stream, units
from davd.bitstream._core import CorruptStreamError, DavdError, Decoder, UnsupportedStreamError
from davd.bitstream.priors.record import cropped

MAX_PIXELS = 1 << 18  # a damaged SPS may ask for more: refused, which keeps the test small


def survive(data: bytes, by_unit: bool = False) -> int:
    """Decode; check what comes out; number of frames."""
    decoder = Decoder(motion=True, modes=True, max_pixels=MAX_PIXELS)
    pieces = units(data) if by_unit and data.startswith(b"\0\0\0\1") else [data]
    n = 0
    try:
        for piece in [*pieces, None]:
            try:
                if piece is None:
                    decoder.flush()
                else:
                    decoder.send(piece)
            except CorruptStreamError:
                pass
            while (frame := decoder.receive()) is not None:
                n += 1
                info = frame.stream
                assert frame.decoded[0].shape == (info.coded_height, info.coded_width)
                assert 0 <= frame.concealed_mbs <= frame.mb_type.size
                assert int(frame.mb_type.max()) <= 14 and int(frame.tu.max()) <= 12
                assert -1 <= int(frame.intra_luma.min()) and int(frame.intra_luma.max()) <= 8
                summed = frame.prediction[0].astype(np.int32) + frame.residual[0]
                assert summed.shape == frame.decoded[0].shape
    except DavdError as error:
        assert str(error)
    return n


def small_stream() -> bytes:
    """Reordering, long-term references, list modification, a gap, two sequences."""
    a = Sets(num_ref_frames=3, gaps=1, reorder=1, buffering=3)
    b = Sets(num_ref_frames=1, poc_type=2, sps_id=1, pps_id=3, width_mbs=1, height_mbs=1)
    first = [
        Picture(idr=True, value=1, long_term_idr=1),
        Picture(frame_num=1, poc=4, value=200, mbs=2),
        Picture(frame_num=1, poc=4, value=None, first_mb=2, mods=((2, 0),)),
        Picture(frame_num=2, poc=2, value=None, ref_idc=0),
        Picture(frame_num=2, poc=8, value=None, num_ref=3, mmco=[(4, 2), (3, 0, 1)]),
        Picture(frame_num=5, poc=12, value=None, mods=((0, 0), (2, 1)), num_ref=2),
        Picture(frame_num=6, poc=14, value=None, mmco=[(5,)]),
        Picture(frame_num=1, poc=2, value=9, mbs=1),
    ]
    second = [Picture(idr=True, value=3), Picture(frame_num=1, value=None)]
    return stream(a, first) + nal(END_OF_SEQUENCE, b"", 0) + stream(b, second)


def interlaced_stream() -> bytes:
    """Fields in pairs and alone, frames of both kinds of pairs, marking by field, a gap."""
    s = Sets(frame_mbs_only=0, mbaff=1, num_ref_frames=3, gaps=1)
    top, bottom = (1, 0), (1, 1)
    return stream(
        s,
        [
            Picture(idr=True, value=1, field_bits=top, long_term_idr=1),
            Picture(value=None, poc=1, field_bits=bottom),
            Picture(frame_num=1, poc=4, pairs=[(0, 1, 2), (1, 3, 4)]),
            Picture(frame_num=2, poc=6, slice_type=P, pairs=[(1, None, 4), (0, None, None)]),
            Picture(frame_num=3, poc=9, value=7, field_bits=bottom, mmco=[(4, 2), (3, 1, 1)]),
            Picture(frame_num=3, poc=8, value=None, field_bits=top, mods=((0, 0), (2, 0))),
            Picture(frame_num=4, poc=10, value=None, field_bits=top, ref_idc=0),
            Picture(frame_num=6, poc=12, value=None, field_bits=top, mmco=[(1, 2), (5,)]),
            Picture(frame_num=0, poc=1, value=None, field_bits=bottom, num_ref=4),
            Picture(frame_num=1, poc=4, value=None, pairs=[(0, None, None), (0, None, None)]),
        ],
    )


SMALL = small_stream()
STREAMS = {"progressive": (SMALL, 9), "interlaced": (interlaced_stream(), 7)}
every_stream = pytest.mark.parametrize(("data", "n"), STREAMS.values(), ids=STREAMS)


@every_stream
def test_undamaged(data: bytes, n: int) -> None:
    assert survive(data) == survive(data, by_unit=True) == n


@every_stream
def test_cut_off_at_every_byte(data: bytes, n: int) -> None:
    """A shorter stream never gives more frames."""
    counts = [survive(data[:size]) for size in range(len(data))]
    assert counts == sorted(counts) and counts[-1] <= n


@every_stream
def test_every_bit_of_the_headers_flipped(data: bytes, n: int) -> None:
    damaged = bytearray(data)
    for unit_start in [i for i in range(len(data) - 4) if data[i : i + 4] == b"\0\0\0\1"]:
        for bit in range(8 * 24):
            at = unit_start + 4 + bit // 8
            if at < len(data):
                damaged[at] ^= 1 << bit % 8
                survive(bytes(damaged))
                damaged[at] ^= 1 << bit % 8


def dropped(parts: list[bytes], rng: random.Random) -> list[bytes]:
    return [part for part in parts if rng.random() > 0.2]


def doubled(parts: list[bytes], rng: random.Random) -> list[bytes]:
    return [part for part in parts for _ in range(1 + (rng.random() < 0.3))]


def reordered(parts: list[bytes], rng: random.Random) -> list[bytes]:
    return sorted(parts, key=dict(zip(parts, rng.sample(range(999), len(parts)), strict=True)).get)


def swapped(parts: list[bytes], rng: random.Random) -> list[bytes]:
    parts = list(parts)
    for i in range(len(parts) - 1):
        if rng.random() < 0.3:
            parts[i], parts[i + 1] = parts[i + 1], parts[i]
    return parts


def retyped(parts: list[bytes], rng: random.Random) -> list[bytes]:
    """nal_unit_type or nal_ref_idc changed."""
    return [
        part[:4] + bytes([rng.randrange(128)]) + part[5:] if rng.random() < 0.1 else part
        for part in parts
    ]


def flipped(parts: list[bytes], rng: random.Random) -> list[bytes]:
    out = []
    for part in parts:
        damaged = bytearray(part)
        while rng.random() < 0.3:
            damaged[rng.randrange(4, len(part))] ^= 1 << rng.randrange(8)
        out.append(bytes(damaged))
    return out


def shortened(parts: list[bytes], rng: random.Random) -> list[bytes]:
    return [
        part[: rng.randrange(5, len(part))] if rng.random() < 0.2 and len(part) > 6 else part
        for part in parts
    ]


def spliced(parts: list[bytes], rng: random.Random) -> list[bytes]:
    """Parameter sets and slices of other streams come in between."""
    others = []
    for _ in range(4):
        interlaced = rng.random() < 0.5
        s = Sets(
            frame_mbs_only=int(not interlaced),
            mbaff=rng.randrange(2),
            num_ref_frames=rng.randrange(5),
            width_mbs=rng.randrange(1, 5),
            height_mbs=rng.randrange(1, 3) * 2 if interlaced else rng.randrange(1, 5),
            poc_type=rng.randrange(3),
            poc_cycle=tuple(rng.randrange(-40, 40) for _ in range(rng.randrange(4))),
            log2_max_frame_num=rng.randrange(4, 9),
            sps_id=rng.randrange(2),
            pps_id=rng.choice([0, 3]),
            num_ref_default=rng.randrange(1, 17),
        )
        idr = rng.random() < 0.5
        picture = Picture(
            idr=idr,
            frame_num=0 if idr else rng.randrange(16),
            value=rng.randrange(256),
            field_bits=(1, rng.randrange(2)) if interlaced and rng.random() < 0.7 else (),
        )
        others += [s.sps(), s.pps(), picture.nal(s)]
    out = list(parts)
    for other in others:
        out.insert(rng.randrange(len(out) + 1), other)
    return out


MUTATIONS: list[Callable[[list[bytes], random.Random], list[bytes]]] = [
    dropped,
    doubled,
    reordered,
    swapped,
    retyped,
    flipped,
    shortened,
    spliced,
]


@every_stream
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda f: f.__name__)
def test_nal_units_mutated(
    mutation: Callable[[list[bytes], random.Random], list[bytes]], data: bytes, n: int
) -> None:
    for seed in range(150):
        parts = mutation(units(data), random.Random(seed))
        survive(b"".join(parts), by_unit=seed % 2 == 0)


@every_stream
def test_mutations_together(data: bytes, n: int) -> None:
    for seed in range(300):
        rng = random.Random(seed)
        parts = units(data) + units(SMALL)
        for mutation in rng.sample(MUTATIONS, 3):
            parts = mutation(parts, rng)
        survive(b"".join(parts), by_unit=seed % 2 == 0)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes(seed: int) -> None:
    data = np.random.default_rng(seed).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    survive(b"\0\0\0\1".join(data[i : i + 100] for i in range(0, 4000, 100)))
    survive(Sets().headers() + nal(5, data) + nal(1, data))
    survive(Sets(cabac=1).headers() + nal(5, b"\x88\x84" + data) + nal(1, b"\x9a" + data))


def test_endless_gaps_cost_nothing() -> None:
    """frame_num jumps by thousands in every picture: work is bounded by the reference frames."""
    s = Sets(log2_max_frame_num=16, num_ref_frames=4, gaps=1)
    pictures = [Picture(idr=True, value=1)]
    pictures += [Picture(frame_num=n * 9999, poc=2 * n, value=None) for n in range(1, 400)]
    assert survive(stream(s, pictures)) == 400


REAL = [
    "x_high_cabac.264",
    "x_main_cavlc.264",
    "x_slices4.264",
    "j_base_multiref_reorder.264",
    "j2_paffmbaff_cabac_te.264",
    "j2_paff_cavlc_te.264",
    "x_tff_cavlc.264",
]


@pytest.mark.parametrize("name", REAL)
def test_real_streams_damaged(shared: Path, name: str) -> None:
    data = (shared / "vectors" / "streams" / name).read_bytes()[:12000]
    whole = survive(data)
    assert whole > 1
    for seed in range(12):
        rng = random.Random(seed)
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 30)):
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        survive(bytes(damaged))


def test_real_streams_joined_anywhere(shared: Path) -> None:
    """Pieces of different streams one after the other, cut without regard to anything."""
    folder = shared / "vectors" / "streams"
    streams = [(folder / name).read_bytes() for name in REAL]
    for seed in range(12):
        rng = random.Random(seed)
        pieces = []
        for _ in range(6):
            data = rng.choice(streams)
            start = rng.randrange(len(data)) if rng.random() < 0.5 else 0
            pieces.append(data[start : start + rng.randrange(500, 4000)])
        try:
            survive(b"".join(pieces))
        except UnsupportedStreamError:
            pass


# ------------------------------------------------------- what has brought other decoders down


def test_more_slices_than_any_table_has_room_for() -> None:
    s = Sets()
    slices = [Picture(frame_num=1, poc=2, value=None, first_mb=n % 4, mbs=1) for n in range(4)]
    many = b"".join(p.nal(s) for p in slices[1:]) * 22_000
    decoder = Decoder()
    decoder.send(stream(s, [Picture(idr=True, value=7), slices[0]]) + many)
    decoder.flush()
    frames = list(iter(decoder.receive, None))
    assert len(frames) == 2 and int(frames[1].slice.max()) <= 3
    assert all((frame.decoded[0] == 7).all() for frame in frames)


@pytest.mark.parametrize("between", ["slices", "pictures", "output"])
@pytest.mark.parametrize("other", [(8, 8), (1, 1), (2, 16)])
def test_a_parameter_set_of_another_size(between: str, other: tuple[int, int]) -> None:
    """Under the same number, in the midst: pictures keep the size that they were begun with."""
    small = Sets(reorder=1, buffering=2)
    large = dataclasses.replace(small, width_mbs=other[0], height_mbs=other[1])
    half = Picture(frame_num=1, poc=4, value=30, mbs=2)
    rest = Picture(frame_num=1, poc=4, value=40, first_mb=2, mbs=2)
    after = Picture(frame_num=2, poc=2, value=None, mbs=4)
    begun = [*units(stream(small, [Picture(idr=True, value=20)])), half.nal(small)]
    sets = [large.sps(), large.pps()]
    parts = {
        "slices": [*begun, *sets, rest.nal(small), after.nal(small)],
        "pictures": [*begun, rest.nal(small), *sets, after.nal(small)],
        "output": [*begun, rest.nal(small), after.nal(small), *sets],
    }[between]
    assert survive(b"".join(parts), by_unit=True) >= 2
    assert survive(b"".join(parts)) >= 2
    assert survive(b"".join([*parts, *units(stream(large, [Picture(idr=True, mbs=1)]))])) >= 2


def test_a_gap_together_with_another_size() -> None:
    small = Sets(gaps=1, num_ref_frames=4)
    large = Sets(gaps=1, num_ref_frames=2, width_mbs=5, height_mbs=3)
    jump = Picture(frame_num=9, poc=18, value=None)
    data = stream(small, [Picture(idr=True, value=1), Picture(frame_num=1, poc=2, value=2)])
    data += large.headers() + jump.nal(large)
    assert survive(data) >= 2 and survive(data, by_unit=True) >= 2
    assert survive(data + stream(large, [Picture(idr=True, value=3), jump])) >= 4


def test_chroma_one_sample_wide() -> None:
    s = Sets(width_mbs=1, height_mbs=1, crop=(7, 0, 7, 0))
    decoder = Decoder()
    decoder.send(stream(s, [Picture(idr=True, value=77), Picture(frame_num=1, value=None)]))
    decoder.flush()
    for frame in iter(decoder.receive, None):
        shown = [plane.tolist() for plane in cropped(frame.decoded, frame.stream)]
        assert shown == [[[77, 77]] * 2, [[77]], [[77]]]


@pytest.mark.parametrize("value", [(1 << 32) - 2, (1 << 31) - 1, 1 << 31, 1 << 16])
def test_huge_numbers_in_parameter_sets_and_slice_headers(value: int) -> None:
    fields = [0, 0, 0, 4, 0, 10, 10, 1, 1]
    for place in range(len(fields)):
        numbers = [value if k == place else n for k, n in enumerate(fields)]
        sps = BitWriter().u(8, 77).u(8, 0).u(8, 10).ue(*numbers[:5]).u(1, 0).ue(*numbers[5:7])
        pps = BitWriter().ue(*numbers[:2]).u(2, 0).ue(numbers[2]).ue(*numbers[7:9]).u(3, 0)
        header = BitWriter().ue(*numbers[:3]).u(4, 0).ue(numbers[3])
        for kind, writer in ((7, sps), (8, pps), (5, header), (1, header)):
            survive(Sets().headers() + nal(kind, writer.trailing()) + SMALL)
    assert survive(SMALL) == 9


def test_many_tiny_nal_units_take_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        data = Sets().headers() + b"\0\0\1\x09\xf0\0\0\1\x0c\0\0\1\x65\0\0\1\x41\x9a" * count
        began = time.process_time()
        survive(data)
        return time.process_time() - began

    seconds(1000)
    assert seconds(160_000) < 16 * max(seconds(20_000), 0.01)  # 8 where linear, 64 where not


def test_a_slice_outlives_its_parameter_sets() -> None:
    """They are replaced by such as cannot have been meant, before its picture is finished."""
    s = Sets()
    begun = [*units(stream(s, [Picture(idr=True, value=5)])),
             Picture(frame_num=1, poc=2, value=9, mbs=1).nal(s)]  # fmt: skip
    for other in (
        Sets(width_mbs=9, height_mbs=1, num_ref_frames=0),
        Sets(sps_id=31, pps_id=0),
        Sets(profile_idc=122, chroma_format_idc=2, bit_depth=10),
        Sets(frame_mbs_only=0, mbaff=1, cabac=1, height_mbs=4),
    ):
        for replaced in ([other.pps()], [other.sps()], [other.sps(), other.pps()]):
            data = b"".join([*begun, *replaced])
            assert survive(data) == survive(data, by_unit=True) == 2


def test_chroma_levels_named_where_there_is_no_chroma() -> None:
    """Intra16x16 types name chroma levels (Table 7-11); in 4:0:0 none follow."""
    s = Sets(profile_idc=100, chroma_format_idc=0)
    slice_data = BitWriter().ue(0, 2, 0).u(4, 0).ue(0).u(6, 0).u(2, 0).se(0)
    for _ in range(4):
        slice_data.ue(7).se(0).u(1, 1)  # I_16x16_2_1_0, mb_qp_delta, no levels
    decoder = Decoder()
    decoder.send(s.headers() + nal(5, slice_data.trailing()))
    decoder.flush()
    frame = decoder.receive()
    assert frame is not None and not frame.concealed_mbs
    assert (frame.decoded[0] == 128).all() and not any(decoder.warnings.values())
