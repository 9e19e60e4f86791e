"""The HEVC core: streams that x265 encodes here, against FFmpeg and against itself."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import picture
from davd.bitstream import (
    CorruptStreamError,
    DavdError,
    FrameRecord,
    HevcDecoder,
    HevcFrame,
    iterate,
)
from davd.bitstream.priors.hevc import CuMode

SIZE = (96, 64)  # width, height
PARTS = ("type", "motion", "luma", "chroma", "qp")
PIXELS = {
    "yuv420p": (8, 1),
    "yuv422p": (8, 2),
    "yuv444p": (8, 3),
    "gray": (8, 0),
    "yuv420p10le": (10, 1),
    "yuv422p12le": (12, 2),
}
# What an x265 stream may use, by name; every one writes the MD5 of its pictures into the stream.
KINDS = {
    "plain": "",
    "small-units": "ctu=16:min-cu-size=8:max-tu-size=16",
    "one-reference": "ref=1:bframes=0",
    "many-references": "ref=5:bframes=6:b-adapt=0",
    "partitions": "rect=1:amp=1:tu-inter-depth=3:tu-intra-depth=3",
    "lossless": "lossless=1",
    "lossless-units": "cu-lossless=1",
    "transform-skip": "tskip=1",
    "scaling-lists": "scaling-list=default",
    "no-filters": "deblock=0:no-deblock=1:no-sao=1",
    "offsets": "cbqpoffs=5:crqpoffs=-6:aq-mode=2",
    "weighted": "weightp=1:weightb=1",
    "slices": "slices=3",
    "wavefront": "wpp=1:ctu=16",
    "no-hiding": "no-signhide=1",
    "constrained": "constrained-intra=1:intra-refresh=0",
    "intra": "keyint=1",
    "few-candidates": "max-merge=1:no-temporal-mvp=1",
    "described": "display-window=2,4,2,4:overscan=crop:videoformat=pal:range=full:sar=3:"
    "chromaloc=1:hrd=1:vbv-bufsize=900:vbv-maxrate=900:crf=28",
}


def encode(
    *,
    params: str = "",
    pixels: str = "yuv420p",
    frames: int = 6,
    qp: int = 30,
    size: tuple[int, int] = SIZE,
) -> bytes:
    """A bare stream of pictures that differ, with their hashes in it."""
    out = io.BytesIO()
    options = {"x265-params": f"log-level=none:pools=none:hash=1:qp={qp}:{params}"}
    with av.open(out, "w", format="hevc") as container:
        stream = container.add_stream("libx265", rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 25)
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(3 * k, *size), format="rgb24")
            frame = frame.reformat(format=pixels)
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def by_ffmpeg(data: bytes) -> Iterator[list[np.ndarray]]:
    """The planes of each picture."""
    from davd.bitstream.verify import planes

    with av.open(io.BytesIO(data), format="hevc") as container:
        for frame in container.decode(video=0):
            yield [plane.copy() for plane in planes(frame)]


def decode(data: bytes, **options: bool) -> tuple[list[HevcFrame], dict[str, int]]:
    """All pictures of a stream, and what was odd."""
    decoder = HevcDecoder(**options)  # type: ignore[arg-type]
    decoder.send(data)
    decoder.flush()
    found = []
    while (frame := decoder.receive()) is not None:
        found.append(frame)
    return found, decoder.warnings


def check(data: bytes) -> list[HevcFrame]:
    """Decoded as FFmpeg decodes it, and every tap agrees with the others."""
    found, odd = decode(data, motion=True, modes=True, bits=True)
    assert not odd  # a hash that is wrong counts as odd
    wanted = list(by_ffmpeg(data))
    assert len(found) == len(wanted) > 0
    for frame, theirs in zip(found, wanted, strict=True):
        rows, columns = frame.stream.crop
        ours = frame.decoded[0][rows, columns]
        np.testing.assert_array_equal(ours, theirs[0])
        for mine, other in zip(frame.decoded[1:], theirs[1:], strict=True):
            np.testing.assert_array_equal(mine[: other.shape[0], : other.shape[1]], other)
        consistent(frame)
    return found


def consistent(frame: HevcFrame) -> None:
    """What must hold between the taps of a picture."""
    coded = frame.tu_kind > 0
    assert (frame.tu_size[coded] > 0).all()
    units = frame.cu_bits / 4.0 ** (frame.cu_size[::2, ::2] - 3.0)  # what each has 8x8 blocks
    assert units.sum() <= frame.ctu_bits.sum()
    costs_add_up(frame)
    assert not frame.level[0].any() or coded.any()
    skipped = frame.cu_mode == 0
    big = np.kron(skipped, np.ones((4, 4), bool))
    assert not frame.residual[0][big].any() and not frame.level[0][big].any()
    assert (frame.cu_size >= 3).all() and (frame.tu_size <= 5).all()
    intra = np.isin(frame.cu_mode, (2, 3))
    assert (frame.ref[:, intra] == -1).all() and (frame.intra_luma[~intra] == -1).all()
    assert ((frame.ref >= 0).any(axis=0) == ~intra).all()
    assert abs(int(frame.ctu_bits.sum()) / 256 - frame.bits) < 1
    assert frame.bits <= 8 * frame.bytes


def costs_add_up(frame: HevcFrame | FrameRecord) -> None:
    """Parts to the coding unit, and each part only where there is what it is for."""
    parts = [getattr(frame, f"bits_{name}").astype(np.int64) for name in PARTS]
    np.testing.assert_array_equal(sum(parts), frame.cu_bits)
    _, motion, luma, chroma, _ = parts
    mode, size = frame.cu_mode[::2, ::2], frame.cu_size[::2, ::2]
    pcm = mode == CuMode.PCM
    assert not motion[mode >= CuMode.INTRA].any() and motion[mode == CuMode.INTER].all()

    def coded(kind: np.ndarray) -> np.ndarray:
        """8x8 blocks with levels."""
        return (kind > 0).reshape(mode.shape[0], 2, mode.shape[1], 2).any((1, 3))

    y = coded(frame.tu_kind)
    assert luma[y | pcm].all() and not luma[~y & ~pcm & (size == 3)].any()
    if frame.tu_kind_cb is None:
        assert not chroma.any()
        return
    c = coded(frame.tu_kind_cb) | coded(frame.tu_kind_cr)
    assert chroma[c | pcm].all()
    if frame.res_scale_cb is None:  # else there is ResScaleVal of blocks without levels
        assert not chroma[~c & ~pcm & (size == 3)].any()


PCM = ("h_pcm_mix.hevc", "h_pcm_hi.hevc", "h_pcm_only3.hevc")
OTHERS = ("h_ccp_10.hevc", "h_tiles_wpp.hevc", "k_slices_wpp.hevc", "h_rdpcm_e.hevc")


@pytest.mark.parametrize("name", [*PCM, *OTHERS])
def test_costs_of_shared_streams(shared: Path, name: str) -> None:
    """PCM samples cost what they are, in bits."""
    depths = set()
    for frame, info in iterate(shared / "vectors-hevc" / "streams" / name, bits=True):
        costs_add_up(frame)
        pcm = frame.cu_mode[::2, ::2] == CuMode.PCM
        samples = 4.0 ** frame.cu_size[::2, ::2][pcm]
        chroma = (0, 0.5, 1, 2)[info.chroma_format_idc] * samples
        depths |= set(
            zip(frame.bits_luma[pcm] / samples, frame.bits_chroma[pcm] / chroma, strict=True)
        )
        assert not frame.bits_qp[pcm].any()
    assert len(depths) == (name in PCM)
    assert all(depth % 256 == 0 and depth <= 256 * 12 for both in depths for depth in both)


def test_damage_costs_no_more_than_there_is() -> None:
    """Behind the end of broken slice data the arithmetic decoder's position goes back."""
    whole = encode(params="slices=2")
    for seed in range(40):
        random, data = np.random.default_rng(seed), bytearray(whole)
        for place in random.integers(len(data) // 4, len(data), 12).tolist():
            data[place] ^= 1 << int(random.integers(8))
        for frame in decode(bytes(data), bits=True)[0]:
            assert max(frame.cu_bits.max(), frame.ctu_bits.max()) <= 256 * 8 * len(data)
            assert frame.bits <= 8 * len(data)


@pytest.mark.parametrize("kind", [1, 2, 3], ids=["MD5", "CRC", "checksum"])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
def test_hashes_of_every_kind(kind: int, pixels: str) -> None:
    data = encode(params=f"hash={kind}", pixels=pixels, frames=2)
    frames, odd = decode(data)
    assert [frame.hash for frame in frames] == [1, 1] and odd == {}
    units = data.split(b"\0\0\1")
    at = max(k for k, unit in enumerate(units) if unit[0] >> 1 & 63 == 40)  # suffix SEI
    units[at] = units[at][:8] + bytes([units[at][8] ^ 1]) + units[at][9:]
    frames, odd = decode(b"\0\0\1".join(units))
    assert sum(odd.values()) == 1


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
def test_what_is_lost_of_a_first_picture_is_grey(pixels: str) -> None:
    data = encode(params="ctu=16:wpp=0:no-deblock=1:no-sao=1", pixels=pixels, frames=1, qp=16)
    begins = next(
        at for at, byte in enumerate(data) if data[at - 3 : at] == b"\0\0\1" and byte < 64
    )
    (frame,), _ = decode(data[: (begins + len(data)) // 2])
    middle = 1 << PIXELS[pixels][0] - 1
    assert frame.concealed and not frame.ctu_concealed[0, 0] and frame.ctu_concealed[-1].all()
    assert all((plane[-8:] == middle).all() for plane in frame.decoded)


def test_what_is_sent_behind_a_flush_comes_after_all_before() -> None:
    data = encode(frames=6)
    decoder, found = HevcDecoder(), []
    for _ in range(2):
        decoder.send(data)
        decoder.flush()
    while (frame := decoder.receive()) is not None:
        found.append(frame.poc)
    assert found == 2 * list(range(6))


def test_no_qp_is_sent_where_it_never_changes() -> None:
    found, _ = decode(encode(params="aq-mode=0"), bits=True)
    assert not any(frame.bits_qp.any() for frame in found)
    found, _ = decode(encode(params="crf=28:aq-mode=3:aq-strength=3"), bits=True)
    assert any(frame.bits_qp.any() for frame in found)
    assert decode(encode())[0][0].bits_qp is None  # not asked for


@pytest.mark.parametrize("kind", KINDS)
def test_what_x265_encodes(kind: str) -> None:
    check(encode(params=KINDS[kind]))


@pytest.mark.parametrize("pixels", PIXELS)
def test_formats_and_depths(pixels: str) -> None:
    depth, chroma = PIXELS[pixels]
    for frame in check(encode(pixels=pixels, frames=4, qp=24)):
        info = frame.stream
        assert (info.bit_depth_luma, info.chroma_format_idc) == (depth, chroma)
        assert frame.decoded[0].dtype == (np.uint8 if depth == 8 else np.uint16)
        assert len(frame.decoded) == (3 if chroma else 1)


def test_prediction_and_residual_make_the_picture() -> None:
    """Without in-loop filters the picture is their clipped sum."""
    for frame in check(encode(params="no-deblock=1:no-sao=1", qp=22)):
        for decoded, prediction, residual in zip(
            frame.decoded, frame.prediction, frame.residual, strict=True
        ):
            whole = prediction.astype(np.int64) + residual
            np.testing.assert_array_equal(decoded, whole.clip(0, 255))
        assert not frame.ctu_sao[..., 0].any()


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p12le", "gray"])
@pytest.mark.parametrize("params", ["ctu=64", "ctu=32", "ctu=16:max-tu-size=16"])
def test_large_pictures_are_recorded_as_small_ones(params: str, pixels: str) -> None:
    """By groups of coding tree units, whose rows begin anywhere in a cache line."""
    params += ":no-deblock=1:no-sao=1:keyint=3"
    for frame in check(encode(params=params, pixels=pixels, qp=26, size=(856, 488))):
        for decoded, before, added in zip(
            frame.decoded, frame.prediction, frame.residual, strict=True
        ):
            most = (1 << frame.stream.bit_depth_luma) - 1
            whole = np.clip(before.astype(np.int32) + added, 0, most)
            np.testing.assert_array_equal(whole, decoded)


def arrays(frame: HevcFrame) -> list[np.ndarray]:
    """Planes and maps."""
    values = [getattr(frame, name) for name in dir(frame) if name[0] != "_"]
    groups = [value if isinstance(value, tuple) else (value,) for value in values]
    return [value for group in groups for value in group if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("size", [(856, 488), SIZE])
def test_lent_arrays_hold_the_same(size: tuple[int, int]) -> None:
    """Also in memory that others gave back, and while they are held."""
    data = encode(params="bframes=2", frames=8, size=size)
    copied = [arrays(frame) for frame in decode(data, motion=True, modes=True, bits=True)[0]]
    for _ in range(3):
        held, odd = decode(data, motion=True, modes=True, bits=True, lent=True)
        assert not odd
        for frame, theirs in zip(held, copied, strict=True):
            for ours, other in zip(arrays(frame), theirs, strict=True):
                np.testing.assert_array_equal(ours, other)


def test_only_large_arrays_are_lent() -> None:
    frame = decode(encode(frames=1, size=(856, 488)), lent=True)[0][0]
    lent = (*frame.prediction, *frame.residual, *frame.level)
    assert not any(array.flags.writeable for array in lent)
    with pytest.raises(ValueError, match="WRITEABLE"):
        lent[0].flags.writeable = True
    assert all(array.flags.writeable for array in (*frame.decoded, frame.qp_y, frame.cu_size))


def test_filters_are_told_from_the_rest() -> None:
    """With SAO some unit says so, and the sum is not the picture any more."""
    frames = check(encode(params="sao=1:deblock=2", qp=40))
    assert any(frame.ctu_sao[..., 0].any() for frame in frames)
    assert any(
        (
            frame.decoded[0] != (frame.prediction[0].astype(int) + frame.residual[0]).clip(0, 255)
        ).any()
        for frame in frames
    )


def test_lossless_blocks_bypass_the_transform() -> None:
    for frame in check(encode(params="lossless=1")):
        assert frame.cu_bypass.all() and set(np.unique(frame.tu_kind)) <= {0, 4}
        np.testing.assert_array_equal(frame.residual[1], frame.level[1])


def test_references_are_in_decoding_order() -> None:
    frames = check(encode(params="bframes=4:b-adapt=0:keyint=50", frames=12))
    by_order = {frame.decode_order: frame for frame in frames}
    assert [frame.poc for frame in frames] == list(range(12))
    for frame in frames:
        used = frame.ref >= 0
        for order, poc in zip(frame.ref[used], frame.ref_poc[used], strict=True):
            assert order < frame.decode_order and by_order[int(order)].poc == poc


def test_headers_alone_give_the_same_order() -> None:
    data = encode(params="bframes=4:b-adapt=0", frames=12)
    whole, _ = decode(data)
    quick, _ = decode(data, headers=True)
    assert [(f.poc, f.decode_order, f.picture_type) for f in quick] == [
        (f.poc, f.decode_order, f.picture_type) for f in whole
    ]


def test_taps_change_nothing() -> None:
    data = encode()
    bare, _ = decode(data, prediction=False, residual=False, level=False)
    for frame, other in zip(bare, decode(data)[0], strict=True):
        assert frame.prediction is None and frame.residual is None and frame.level is None
        for a, b in zip(frame.decoded, other.decoded, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_cut_hvcc_record() -> None:
    out = io.BytesIO()
    with av.open(io.BytesIO(encode(frames=1)), format="hevc") as source:
        with av.open(out, "w", format="mp4") as target:
            copy = target.add_stream_from_template(source.streams.video[0])
            packet = next(source.demux(video=0))
            packet.stream, packet.pts, packet.dts = copy, 0, 0
            target.mux(packet)
    out.seek(0)
    with av.open(out) as container:
        record = bytes(container.streams.video[0].codec_context.extradata)
    HevcDecoder(extradata=record)
    for cut in range(23, len(record)):
        with pytest.raises(CorruptStreamError, match="cut off|no parameter sets"):
            HevcDecoder(extradata=record[:cut])


def test_packets_of_a_container() -> None:
    out = io.BytesIO()
    with av.open(io.BytesIO(encode()), format="hevc") as source:
        with av.open(out, "w", format="mp4") as target:
            copy = target.add_stream_from_template(source.streams.video[0])
            for k, packet in enumerate(source.demux(video=0)):
                if packet.size:
                    packet.stream, packet.pts, packet.dts = copy, k, k
                    target.mux(packet)
    out.seek(0)
    with av.open(out) as container:
        stream = container.streams.video[0]
        decoder = HevcDecoder(extradata=stream.codec_context.extradata)
        frames = []
        for number, packet in enumerate(container.demux(stream)):
            decoder.send(bytes(packet), number)
            while (frame := decoder.receive()) is not None:
                frames.append(frame)
        decoder.flush()
        while (frame := decoder.receive()) is not None:
            frames.append(frame)
    assert len(frames) == 6 and {frame.pts for frame in frames} == set(range(6))


@pytest.mark.parametrize("seed", range(12))
def test_damage_ends_in_pictures_or_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(encode(frames=8))
    for place in rng.integers(40, len(data), 1 + seed):
        data[place] ^= 1 << int(rng.integers(8))
    try:
        frames, odd = decode(bytes(data))
    except DavdError:
        return
    assert len(frames) <= 9
    assert odd or all(not frame.concealed for frame in frames)


def test_cut_off_anywhere() -> None:
    data = encode(frames=3)
    for size in range(0, len(data), 37):
        try:
            frames, _ = decode(data[:size])
        except CorruptStreamError:
            continue
        assert len(frames) <= 3


def test_a_lost_picture_is_told() -> None:
    """Those that refer to it are marked, and so is its absence."""
    units = encode(params="bframes=0:ref=1:keyint=50", frames=6).split(b"\0\0\1")[1:]
    slices = [k for k, unit in enumerate(units) if unit[0] >> 1 & 63 in (0, 1)]
    del units[slices[1]]
    frames, odd = decode(b"".join(b"\0\0\1" + unit for unit in units))
    assert odd["missing_references"] >= 1 and sum(frame.concealed for frame in frames) >= 1


@pytest.mark.conformance
@pytest.mark.parametrize("only", ["x_t*", "h_pcm*", "h_tiles*", "m_lt*", "r_*"])
def test_streams_of_others(only: str, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.hevc import conformance

    vectors = shared / "vectors-hevc"
    if not (vectors / "manifest.csv").exists():
        pytest.skip(f"there are no HEVC test streams in {vectors}")
    assert conformance(vectors, only) == 0, capsys.readouterr().out
