"""HEVC that no encoder at hand writes: it is written here, and decoded by FFmpeg beside."""

import numpy as np
import pytest
from bitwriter import BitWriter
from davd.bitstream import CorruptStreamError, HevcDecoder, HevcFrame, UnsupportedStreamError
from hevcwriter import PARTS, SIDE, Picture, Stream, inter, pcm
from test_hevc import by_ffmpeg, decode


def check(s: Stream, pictures: list[Picture]) -> list[HevcFrame]:
    """Decoded as FFmpeg does."""
    data = s.headers() + b"".join(picture.nal(s) for picture in pictures)
    found, odd = decode(data, motion=True)
    assert odd == {} and len(found) == len(pictures) and not any(f.concealed for f in found)
    for frame, theirs in zip(found, by_ffmpeg(data), strict=True):
        for mine, other in zip(frame.decoded, theirs, strict=True):
            np.testing.assert_array_equal(mine, other)
    return found


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("seed", range(4))
def test_partitions_of_the_smallest_blocks(parts: str, seed: int) -> None:
    """x265 never codes four parts; merging and predicting vectors look at their neighbours."""
    pictures = [Picture(pcm(seed))]
    pictures += [Picture(inter(seed + n, parts=parts), poc=n) for n in (1, 2)]
    frames = check(Stream(), pictures)
    assert all((frame.cu_part == list(PARTS).index(parts)).all() for frame in frames[1:])
    assert any(np.unique(frame.mv[0].reshape(-1, 2), axis=0).shape[0] > 4 for frame in frames[1:])


@pytest.mark.parametrize(
    ("columns", "rows"), [((1, 3), (3,)), ((4,), (2, 1)), ((2, 1, 1), (1, 2))], ids=str
)
def test_tiles_of_given_sizes(columns: tuple[int, ...], rows: tuple[int, ...]) -> None:
    s = Stream(columns=columns, rows=rows)
    frames = check(s, [Picture(pcm()), Picture(inter(7, parts="NxN"), poc=1)])
    wanted = np.zeros((s.height, s.width), int)
    for number, tile in enumerate(s.tiles()):
        for y, x in tile:
            wanted[y, x] = number
    for frame in frames:
        np.testing.assert_array_equal(frame.ctu_tile, wanted)


def test_long_term_references_that_the_sps_lists() -> None:
    s = Stream(long_term=(5, 0, 9))
    pictures = [Picture(pcm(1)), Picture(inter(2), poc=1)]
    pictures += [Picture(inter(n, references=2), poc=n, long=[1]) for n in (2, 3, 4)]
    frames = check(s, pictures)
    for frame in frames[2:]:
        assert {int(poc) for poc in np.unique(frame.ref_poc[0])} == {0, frame.poc - 1}


@pytest.mark.parametrize("cycles", [None, 1])
def test_long_term_references_that_a_slice_spells_out(cycles: int | None) -> None:
    """Beyond 16 pictures the low bits alone tell none from another."""
    s = Stream(width=1, height=1, long_term=())
    kept = [Picture(pcm(1))]
    for n in range(1, 16):
        kept.append(Picture(inter(n), poc=n, short=0, spelled=[(0, None)]))
    kept.append(Picture(inter(16), poc=16, short=0, spelled=[(0, 1)]))
    kept.append(Picture(inter(17, references=2), poc=17, short=1, spelled=[(0, cycles)]))
    if cycles is None:
        kept[-1] = Picture(inter(17), poc=17, short=0, spelled=[(0, 1)])
    frames = check(s, kept)
    assert all((frame.ref_poc[0] == 0).all() for frame in frames[1:17])
    assert {int(v) for v in np.unique(frames[17].ref_poc[0])} <= {0, 16}


def test_chroma_offsets_of_a_slice() -> None:
    s = Stream(chroma_offsets=True)
    pictures = [Picture(pcm()), Picture(inter(3), poc=1, offsets=(-7, 12))]
    first, second = check(s, pictures)
    assert (second.qp_y == 26).all() and (second.qp_cb == 19).all()
    assert second.decoded[0].shape == (3 * SIDE, 4 * SIDE)
    assert (second.qp_cr == 35).all()  # 38, by the table of 4:2:0


def test_vui_is_read_to_its_end() -> None:
    w = BitWriter().u(1, 1).u(8, 255).u(16, 12).u(16, 11)  # EXTENDED_SAR
    w.u(1, 1).u(1, 0).u(1, 1).u(3, 5).u(1, 1).u(1, 1).u(8, 9).u(8, 16).u(8, 9)
    w.u(1, 1).ue(1, 1).u(3, 0)  # chroma_sample_loc_type
    w.u(1, 1).ue(1, 1, 1, 1)  # default display window, which players do not look at
    w.u(1, 1).u(32, 1001).u(32, 24000).u(1, 1).ue(0)
    w.u(1, 1).u(1, 1).u(1, 1).u(1, 1).u(19, 9).u(8, 0).u(4, 0).u(15, 1 << 10)  # HRD of both kinds
    for general in (1, 0, 0):  # sub-layers: a fixed rate, low delay, neither
        w.u(1, general)
        if general:
            w.ue(0)
        else:
            w.u(1, 0).u(1, w.bits[-2] == 0)
        low_delay = not general and w.bits[-1]
        if not low_delay:
            w.ue(1)
        for _ in range(2 * (1 if low_delay else 2)):
            w.ue(9, 9, 8, 8).u(1, 0)
    w.u(1, 1).u(3, 2).ue(0, 0, 0, 10, 10)  # bitstream restriction
    s = Stream(vui=w.bits, sub_layers=2, profile_idc=0)
    for frame in check(s, [Picture(pcm()), Picture(inter(5), poc=1)]):
        info = frame.stream
        assert (info.sar_width, info.sar_height, info.profile_idc) == (12, 11, 1)
        assert (info.width, info.num_units_in_tick, info.time_scale) == (64, 1001, 48000)
        assert (info.colour_primaries, info.transfer_characteristics) == (9, 16)
        assert info.matrix_coefficients == 9 and info.video_full_range


@pytest.mark.parametrize(
    ("s", "named"),
    [
        (Stream(depth=14), "more than 12 bits"),
        (Stream(range_extension=(0, 0, 0, 0, 1, 0, 0, 0, 0)), "extended precision"),
        (Stream(separate=True), "separate colour planes"),
    ],
    ids=["depth", "precision", "planes"],
)
def test_what_is_not_decoded_is_named(s: Stream, named: str) -> None:
    with pytest.raises(UnsupportedStreamError, match=named):
        decode(s.headers() + Picture(pcm()).nal(s))


def test_cut_anywhere_in_pcm() -> None:
    """Units whose samples are all there are as they were; from the first other on all is marked."""
    s = Stream()
    head, unit = s.headers(), Picture(pcm()).nal(s)
    (whole,), _ = decode(head + unit)
    size = SIDE * SIDE * 3 // 2
    for there in (*range(9, 30), *range(30, len(unit) - 1, 41)):
        frames, odd = decode(head + unit[:there])
        if not frames:
            assert there < 12
            continue
        marked = frames[0].ctu_concealed.ravel()
        count = int((~marked).sum())
        assert odd and marked[count:].all() and abs(count - (there - 10) / (size + 2)) < 1
        for k in range(count):
            y, x = SIDE * (k // s.width), SIDE * (k % s.width)
            area = slice(y, y + SIDE - 4), slice(x, x + SIDE - 4)  # not what is filtered
            inner = slice(area[0].start + 4, area[0].stop), slice(area[1].start + 4, area[1].stop)
            np.testing.assert_array_equal(frames[0].decoded[0][inner], whole.decoded[0][inner])


@pytest.mark.parametrize("data", [b"not a video at all", b"\0\0\1", b"\0" * 100])
def test_no_nal_unit(data: bytes) -> None:
    with pytest.raises(CorruptStreamError, match="no NAL unit|NAL"):
        HevcDecoder().send(data)
    if len(data) < 23:  # else an hvcC record
        with pytest.raises(CorruptStreamError, match="no parameter sets"):
            HevcDecoder(extradata=data)
