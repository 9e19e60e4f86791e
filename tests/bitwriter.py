"""Writes tiny legal H.264 streams of I_PCM and skipped macroblocks, headers open to the test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

IDR, SLICE, SEI, SPS, PPS, AUD, END_OF_SEQUENCE = 5, 1, 6, 7, 8, 9, 10
PARTITION_A, PARTITION_B, PARTITION_C = 2, 3, 4
P, B, I, SP, SI = range(5)  # noqa: E741 - slice_type as the standard names it


class BitWriter:
    """Bits, first one uppermost (7.2, 9.1)."""

    def __init__(self) -> None:
        """Start empty."""
        self.bits: list[int] = []

    def u(self, n: int, value: int) -> "BitWriter":
        """u(n)."""
        assert 0 <= value < 1 << n, (n, value)
        self.bits += [value >> (n - 1 - i) & 1 for i in range(n)]
        return self

    def ue(self, *values: int) -> "BitWriter":
        """ue(v), one after the other."""
        for value in values:
            n = (value + 1).bit_length()
            self.u(n - 1, 0).u(n, value + 1)
        return self

    def se(self, *values: int) -> "BitWriter":
        """se(v), one after the other."""
        for value in values:
            self.ue(2 * value - 1 if value > 0 else -2 * value)
        return self

    def align(self, bit: int = 0) -> "BitWriter":
        """Fill up the byte."""
        while len(self.bits) % 8:
            self.bits.append(bit)
        return self

    def raw(self, data: bytes) -> "BitWriter":
        """Whole bytes, at a byte boundary."""
        assert len(self.bits) % 8 == 0
        self.bits += np.unpackbits(np.frombuffer(data, np.uint8)).tolist()
        return self

    def trailing(self) -> bytes:
        """rbsp_trailing_bits(), and all of it as bytes."""
        self.u(1, 1).align()
        return np.packbits(np.array(self.bits, np.uint8)).tobytes()


def escape(rbsp: bytes) -> bytes:
    """Emulation prevention (7.4.1.1)."""
    out, zeros = bytearray(), 0
    for byte in rbsp:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def nal(kind: int, rbsp: bytes, ref_idc: int = 1) -> bytes:
    """A NAL unit with start code."""
    return b"\0\0\0\1" + bytes([ref_idc << 5 | kind]) + escape(rbsp)


@dataclass(frozen=True)
class Sets:
    """What the parameter sets say; the defaults are the smallest legal stream."""

    profile_idc: int = 77
    level_idc: int = 10
    sps_id: int = 0
    pps_id: int = 0
    width_mbs: int = 2
    height_mbs: int = 2
    chroma_format_idc: int = 1  # written for profile_idc 100 and above
    separate_planes: int = 0  # separate_colour_plane_flag, written for chroma_format_idc 3
    bit_depth: int = 8
    bit_depth_chroma: int | None = None  # None: that of luma
    log2_max_frame_num: int = 4
    poc_type: int = 0
    log2_max_poc_lsb: int = 6
    poc_cycle: tuple[int, ...] = ()  # poc_type 1: offset_for_ref_frame
    non_ref_offset: int = 0  # poc_type 1
    num_ref_frames: int = 2
    gaps: int = 0
    frame_mbs_only: int = 1
    mbaff: int = 0
    crop: tuple[int, int, int, int] | None = None  # left right top bottom, in crop units
    reorder: int | None = None  # max_num_reorder_frames
    buffering: int = 0  # max_dec_frame_buffering
    vui: Sequence[int] | None = None  # vui_parameters(), bit by bit, instead of the last two
    slice_groups: int = 1
    cabac: int = 0
    weighted: int = 0
    redundant: int = 0  # redundant_pic_cnt_present_flag
    unfiltered: int = 0  # disable_deblocking_filter_idc is sent, and 1
    num_ref_default: int = 1
    init_qp: int = 26
    flat_list: int = 0  # all scaling lists of the PPS are flat and of this value; 0: none sent
    second_chroma_offset: int = 0  # second_chroma_qp_index_offset, written where lists are

    @property
    def mbs(self) -> int:
        """Macroblocks of a frame."""
        return self.width_mbs * self.height_mbs

    @property
    def chroma_samples(self) -> int:
        """Chroma samples of a macroblock, both planes together."""
        return 0 if self.separate_planes else (0, 128, 256, 512)[self.chroma_format_idc]

    @property
    def depths(self) -> tuple[int, int]:
        """Bit depths of luma and chroma."""
        return self.bit_depth, self.bit_depth_chroma or self.bit_depth

    def sps(self) -> bytes:
        """7.3.2.1.1."""
        w = BitWriter().u(8, self.profile_idc).u(8, 0).u(8, self.level_idc).ue(self.sps_id)
        if self.profile_idc >= 100:
            w.ue(self.chroma_format_idc)
            if self.chroma_format_idc == 3:
                w.u(1, self.separate_planes)
            w.ue(self.bit_depth - 8, self.depths[1] - 8).u(1, 0).u(1, 0)
        w.ue(self.log2_max_frame_num - 4, self.poc_type)
        if self.poc_type == 0:
            w.ue(self.log2_max_poc_lsb - 4)
        elif self.poc_type == 1:
            w.u(1, 1).se(self.non_ref_offset, 0).ue(len(self.poc_cycle)).se(*self.poc_cycle)
        w.ue(self.num_ref_frames).u(1, self.gaps)
        w.ue(self.width_mbs - 1, self.height_mbs // (2 - self.frame_mbs_only) - 1)
        w.u(1, self.frame_mbs_only)
        if not self.frame_mbs_only:
            w.u(1, self.mbaff)
        w.u(1, 1)  # direct_8x8_inference_flag
        w.u(1, self.crop is not None)
        if self.crop is not None:
            w.ue(*self.crop)
        w.u(1, self.vui is not None or self.reorder is not None)
        if self.vui is not None:
            w.bits.extend(self.vui)
        elif self.reorder is not None:
            w.u(4, 0).u(1, 0).u(2, 0).u(1, 0).u(1, 1)  # all absent but bitstream_restriction
            w.u(1, 1).ue(0, 0, 10, 10, self.reorder, self.buffering)
        return nal(SPS, w.trailing())

    def pps(self) -> bytes:
        """7.3.2.2."""
        w = BitWriter().ue(self.pps_id, self.sps_id).u(1, self.cabac).u(1, 0)
        w.ue(self.slice_groups - 1)
        if self.slice_groups > 1:
            w.ue(1)  # dispersed
        w.ue(self.num_ref_default - 1, 0).u(1, self.weighted).u(2, 0)
        w.se(self.init_qp - 26, 0, 0).u(1, self.unfiltered).u(1, 0).u(1, self.redundant)
        if self.flat_list:
            w.u(1, 1).u(1, 1)  # transform_8x8_mode_flag, pic_scaling_matrix_present_flag
            for size in [16] * 6 + [64] * (6 if self.chroma_format_idc == 3 else 2):
                w.u(1, 1).se(self.flat_list - 8, *[0] * (size - 1))
            w.se(self.second_chroma_offset)
        return nal(PPS, w.trailing())

    def headers(self) -> bytes:
        """Both sets."""
        return self.sps() + self.pps()


@dataclass(frozen=True)
class Picture:
    """One picture of a single slice, or a slice of it.

    `value` gives every sample of I_PCM macroblocks; None makes all macroblocks skipped (P_Skip
    copies the first entry of list 0). In MBAFF frames `pairs` has an entry for each pair:
    mb_field_decoding_flag, and the values of its top and its bottom macroblock.
    """

    frame_num: int = 0
    poc: int = 0
    value: int | None = 0
    idr: bool = False
    ref_idc: int = 1
    slice_type: int | None = None  # I where there are values, else P
    first_mb: int = 0
    mbs: int | None = None  # macroblocks in the slice; None: to the end
    idr_pic_id: int = 0
    mods: Sequence[tuple[int, int]] = ()  # list 0: modification_of_pic_nums_idc and its operand
    mmco: Sequence[tuple[int, ...]] | None = None  # None: sliding window
    long_term_idr: int = 0
    no_output_of_prior_pics: int = 0
    redundant_pic_cnt: int = 0
    colour_plane: int = 0
    num_ref: int | None = None  # override of num_ref_idx_l0_active
    qs: int = 26  # QS_Y of SP and SI slices
    field_bits: tuple[int, ...] = field(default=())  # field_pic_flag, bottom_field_flag
    pairs: Sequence[tuple[int | None, ...]] = ()

    def nal(self, s: Sets) -> bytes:
        """The slice as a NAL unit of a stream with these parameter sets."""
        w, kind = self.header(s)
        self._macroblocks(w, s, kind)
        return nal(IDR if self.idr else SLICE, w.trailing(), self.ref_idc)

    def header(self, s: Sets) -> tuple[BitWriter, int]:
        """The slice header alone, for slice data that a test writes itself; and the slice type."""
        kind = I if self.value is not None or self.pairs else P
        kind = kind if self.slice_type is None else self.slice_type
        w = BitWriter().ue(self.first_mb, kind, s.pps_id)
        if s.separate_planes:
            w.u(2, self.colour_plane)
        w.u(s.log2_max_frame_num, self.frame_num % (1 << s.log2_max_frame_num))
        for bit in self.field_bits:
            w.u(1, bit)
        if not s.frame_mbs_only and not self.field_bits:
            w.u(1, 0)
        if self.idr:
            w.ue(self.idr_pic_id)
        if s.poc_type == 0:
            w.u(s.log2_max_poc_lsb, self.poc % (1 << s.log2_max_poc_lsb))
        if s.redundant:
            w.ue(self.redundant_pic_cnt)
        if kind in (P, B, SP):
            self._inter(w, kind)
        if self.ref_idc:
            self._marking(w)
        w.se(0)  # slice_qp_delta
        if kind == SP:
            w.u(1, 0)  # sp_for_switch_flag
        if kind in (SP, SI):
            w.se(self.qs - 26)  # slice_qs_delta
        if s.unfiltered:
            w.ue(1)
        return w, kind

    def _inter(self, w: BitWriter, kind: int) -> None:
        if kind == B:
            w.u(1, 1)  # direct_spatial_mv_pred_flag
        w.u(1, self.num_ref is not None)
        if self.num_ref is not None:
            w.ue(self.num_ref - 1)
            if kind == B:
                w.ue(0)
        w.u(1, len(self.mods) > 0)
        for idc, operand in self.mods:
            w.ue(idc, operand)
        if self.mods:
            w.ue(3)
        if kind == B:
            w.u(1, 0)

    def _marking(self, w: BitWriter) -> None:
        if self.idr:
            w.u(1, self.no_output_of_prior_pics).u(1, self.long_term_idr)
        else:
            w.u(1, self.mmco is not None)
            for op in self.mmco or ():
                w.ue(*op)
            if self.mmco is not None:
                w.ue(0)

    def _macroblocks(self, w: BitWriter, s: Sets, kind: int) -> None:
        if self.pairs:
            self._pairs(w, s, kind)
            return
        mbs = s.mbs // 2 if self.field_bits[:1] == (1,) else s.mbs
        mbs = mbs - self.first_mb if self.mbs is None else self.mbs
        if self.value is None:
            w.ue(mbs)  # mb_skip_run
            return
        for _ in range(mbs):
            if kind != I:
                w.ue(0)
            self._pcm(w, s, kind, self.value)

    def _pairs(self, w: BitWriter, s: Sets, kind: int) -> None:
        skipped = 0
        for flag, *values in self.pairs:
            told = False
            for value in values:
                if value is None:
                    skipped += 1
                    continue
                if kind != I:
                    w.ue(skipped)
                    skipped = 0
                if not told:
                    w.u(1, flag or 0)
                    told = True
                self._pcm(w, s, kind, value)
        if skipped:
            w.ue(skipped)

    def _pcm(self, w: BitWriter, s: Sets, kind: int, value: int) -> None:
        w.ue({I: 25, P: 30, B: 48}[kind]).align()
        for depth, samples in zip(s.depths, (256, s.chroma_samples), strict=True):
            for _ in range(samples):
                w.u(depth, value)


def stream(s: Sets, pictures: Iterable[Picture]) -> bytes:
    """Parameter sets and pictures."""
    return s.headers() + b"".join(p.nal(s) for p in pictures)


def units(data: bytes) -> list[bytes]:
    """NAL units of a stream written here, with their start codes."""
    return [b"\0\0\0\1" + part for part in data.split(b"\0\0\0\1")[1:]]


def avcc(data: bytes) -> tuple[bytes, list[bytes]]:
    """The same stream as an avcC record and length-prefixed packets (ISO/IEC 14496-15)."""
    sets: dict[int, list[bytes]] = {SPS: [], PPS: []}
    packets = []
    for unit in units(data):
        body = unit[4:]
        if body[0] & 31 in sets:
            sets[body[0] & 31].append(body)
        else:
            packets.append(len(body).to_bytes(4, "big") + body)
    record = bytearray(b"\x01\x4d\x00\x0a\xff") + bytes([0xE0 | len(sets[SPS])])
    for body in sets[SPS]:
        record += len(body).to_bytes(2, "big") + body
    record.append(len(sets[PPS]))
    for body in sets[PPS]:
        record += len(body).to_bytes(2, "big") + body
    return bytes(record), packets
