"""What a macroblock costs: positions of both entropy decoders, added up to the slice data."""

from pathlib import Path

import numpy as np
import pytest
from bitwriter import Picture, Sets, stream
from clips import encode
from davd.bitstream import Decoder, Frame, FrameRecord, iterate
from davd.bitstream.annexb import H264_NALS, split_nals
from davd.bitstream.demux import open_source
from davd.bitstream.priors.schema import MbType

PARTS = ("type", "motion", "luma", "chroma", "qp")
SHARED = [  # CABAC and CAVLC in frames, fields and MBAFF; PCM, slice groups, slices, formats, SP
    "CABA1_SVA_B.264", "SVA_BA1_B.264", "j2_field_cabac_te.264", "j2_mbaff_cavlc_te.264",
    "j2_paffmbaff_cabac_te.264", "j_base_fmo1_slices.264", "j_high10_ipcm_cabac.264",
    "j_high_gray_ipcm_cavlc.264", "j_high444_12_cabac.264", "m_lossless_mix.264", "j_ext_sp_b.264",
    "j_ext_dp_slices.264", "j_high444_sep_p_cavlc.264",
]  # fmt: skip


def assert_adds_up(frame: Frame | FrameRecord) -> None:
    """Parts to the macroblock, macroblocks to the picture."""
    parts = sum(getattr(frame, f"bits_{name}").astype(np.int64) for name in PARTS)
    np.testing.assert_array_equal(parts, frame.mb_bits)
    assert frame.mb_bits.astype(np.int64).sum() == frame.bits * 256
    assert (frame.mb_bits > 0).all()


def decoded(data: bytes) -> list[Frame]:
    decoder = Decoder(bits=True)
    decoder.send(data)
    decoder.flush()
    return list(iter(decoder.receive, None))


def test_pcm() -> None:
    sets = Sets(width_mbs=3, height_mbs=2)
    (frame,) = decoded(stream(sets, [Picture(idr=True, value=77)]))
    assert_adds_up(frame)
    assert (frame.bits_luma == 256 * 256 * 8).all() and (frame.bits_chroma == 256 * 128 * 8).all()
    assert (frame.bits_type.ravel()[1:] == 256 * 16).all()  # mb_type of 9 bits, and 7 to align
    assert not frame.bits_motion.any() and not frame.bits_qp.any()


def test_a_run_of_skipped_macroblocks_is_shared() -> None:
    sets = Sets(width_mbs=3, height_mbs=2)
    pictures = [Picture(idr=True, value=9), Picture(frame_num=1, poc=2, value=None)]
    _, frame = decoded(stream(sets, pictures))
    assert frame.bits == 5  # mb_skip_run 6
    assert_adds_up(frame)
    assert frame.mb_bits.max() - frame.mb_bits.min() <= 1


def rbsp_of(nal: bytes) -> bytes:
    """A slice without its NAL unit header."""
    return nal[nal.find(b"\0\0\1") + 4 :].replace(b"\0\0\3", b"\0\0").rstrip(b"\0")


@pytest.mark.parametrize("entropy", ["cabac=1", "cabac=0"])
def test_of_an_encoder(tmp_path: Path, entropy: str) -> None:
    options = {"x264-params": f"{entropy}:8x8dct=1:threads=1:sliced-threads=0"}
    video = encode(tmp_path / "a.264", frames=25, sound=False, options=options)
    nals = [n for p in open_source(video).packets() for n in split_nals(p.data)]
    slices = [n for n in nals if H264_NALS.type(n) in (1, 5)]
    frames = sorted((r for r, _ in iterate(video, bits=True)), key=lambda r: r.decode_order)
    assert len(frames) == len(slices) == 25
    for frame, nal in zip(frames, slices, strict=True):
        assert_adds_up(frame)
        rbsp = rbsp_of(nal)
        assert 0 < 8 * len(rbsp) - frame.bits < 200
        if entropy == "cabac=1":  # at a byte boundary it begins; x264 fills up behind the stop bit
            assert rbsp[-1] >> (7 - frame.bits % 8) & 1
        coded = frame.cbp > 0
        assert not frame.bits_qp[~coded & (frame.mb_type != MbType.I_16x16)].any()
        assert not frame.bits_motion[frame.mb_type <= MbType.I_PCM].any()
    sizes = [len(nal.rstrip(b"\0")) - nal.find(b"\0\0\1") - 3 for nal in nals]
    assert sum(frame.bytes for frame in frames) == sum(sizes)


def test_skipped_macroblocks_cost_little(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.mp4", frames=25, sound=False, options={"crf": "40"})
    skipped, coded = [], []
    for frame, _ in iterate(video):
        skip = np.isin(frame.mb_type, (MbType.P_Skip, MbType.B_Skip))
        skipped += frame.mb_bits[skip].tolist()
        coded += frame.mb_bits[~skip].tolist()
    assert np.mean(skipped) < 2 * 256 < 8 * 256 < np.mean(coded)


@pytest.mark.parametrize("name", SHARED)
def test_of_shared_streams(shared: Path, name: str) -> None:
    for frame, _ in iterate(shared / "vectors" / "streams" / name, bits=True):
        assert_adds_up(frame)


def test_the_arithmetic_code_is_found_to_the_bit(shared: Path) -> None:
    stream = shared / "vectors" / "streams" / "CABA1_SVA_B.264"
    nals = [n for p in open_source(stream).packets() for n in split_nals(p.data)]
    slices = [rbsp_of(n) for n in nals if H264_NALS.type(n) in (1, 5)]
    frames = sorted((r for r, _ in iterate(stream)), key=lambda r: r.decode_order)
    for frame, rbsp in zip(frames, slices, strict=True):
        before_stop = 8 * len(rbsp) - (rbsp[-1] & -rbsp[-1]).bit_length()
        assert before_stop - frame.bits == 48  # all its slice headers have 41 to 48 bits
