# cython: boundscheck=False, wraparound=False
"""Thin skin over the C decoder of hevc.h: HevcDecoder, HevcFrame. Errors and StreamInfo are `_core`'s.

It translates and does nothing else: allocates arrays, releases the GIL, calls C, checks the code.
"""

from collections import deque

import numpy as np

cimport cython
cimport numpy as cnp
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport INT64_MIN, int8_t, int16_t, int32_t, int64_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from ._core import (
    CorruptStreamError,
    DavdError,
    StreamInfo,
    StreamMemoryError,
    UnsupportedStreamError,
)

cnp.import_array()


cdef extern from "hevc.h" nogil:
    enum:
        HEVC_OK
        HEVC_AGAIN
        HEVC_END
        HEVC_NOMEM
        HEVC_CORRUPT
        HEVC_UNSUPPORTED
        HEVC_TAP_PREDICTION
        HEVC_TAP_RESIDUAL
        HEVC_TAP_LEVEL
        HEVC_TAP_MOTION
        HEVC_TAP_BITS
        HEVC_HEADERS
        HEVC_PATIENT
        HEVC_NO_SAMPLES
        HEVC_N_WARNINGS
    ctypedef struct hevc_decoder:
        pass
    ctypedef struct hevc_settings:
        unsigned taps, how
        uint32_t max_pixels
    ctypedef struct hevc_stream_info:
        int profile_idc, level_idc
        int coded_width, coded_height
        int crop_left, crop_right, crop_top, crop_bottom
        int chroma_format_idc
        int bit_depth_luma, bit_depth_chroma
        int matrix_coefficients, colour_primaries, transfer_characteristics
        int video_full_range
        int sar_width, sar_height
        uint32_t num_units_in_tick, time_scale
        int field_seq
        int ctu_size, ctu_width, ctu_height
    ctypedef struct hevc_frame:
        hevc_stream_info info
        const void *decoded[3]
        ptrdiff_t decoded_stride[3]
        const void *prediction[3]
        const void *residual[3]
        const void *level[3]
        int width[3]
        int height[3]
        const uint8_t *cu_size
        const uint8_t *mode
        const uint8_t *part
        const uint8_t *bypass
        const uint8_t *tu_size
        const uint8_t *tu_kind[3]
        const int8_t *res_scale[3]
        const uint8_t *scaling4x4
        const uint8_t *scaling8x8
        const uint8_t *scaling_dc
        const uint8_t *merge
        const int8_t *qp[3]
        const uint8_t *intra_luma
        const uint8_t *intra_chroma
        const int16_t *mv
        const int32_t *ref_poc
        const int32_t *ref
        const uint32_t *cu_bits
        const uint32_t *part_bits[5]
        const uint8_t *ctu_concealed
        const uint32_t *ctu_bits
        const uint16_t *ctu_slice
        const uint16_t *ctu_tile
        const int16_t *ctu_sao
        int32_t decode_order, poc
        int picture_type, keyframe, concealed_ctus, hash
        uint32_t bits, bytes
        int64_t pts
    int hevc_open(hevc_decoder **out, const hevc_settings *settings)
    int hevc_set_extradata(hevc_decoder *dec, const uint8_t *data, size_t size)
    int hevc_send(hevc_decoder *dec, const uint8_t *data, size_t size, int64_t pts)
    int hevc_flush(hevc_decoder *dec)
    int hevc_receive(hevc_decoder *dec, hevc_frame *frame)
    void *hevc_take_taps(hevc_decoder *dec)
    const char *hevc_error_text(const hevc_decoder *dec)
    const char *hevc_encoder_text(const hevc_decoder *dec)
    uint64_t hevc_warning_count(const hevc_decoder *dec, int warning)
    const char *hevc_warning_name(int warning)
    void hevc_close(hevc_decoder *dec)

include "memory.pxi"


cdef dict _ERRORS = {
    HEVC_CORRUPT: CorruptStreamError,
    HEVC_UNSUPPORTED: UnsupportedStreamError,
    HEVC_NOMEM: StreamMemoryError,
}


cdef object _stream_info(const hevc_stream_info *i, str encoder):
    # a picture lasts one tick here and two in StreamInfo
    return StreamInfo(
        i.profile_idc, i.level_idc, i.coded_width, i.coded_height,
        i.coded_width - i.crop_left - i.crop_right, i.coded_height - i.crop_top - i.crop_bottom,
        i.crop_left, i.crop_right, i.crop_top, i.crop_bottom,
        i.chroma_format_idc, i.bit_depth_luma, i.bit_depth_chroma,
        i.matrix_coefficients, i.colour_primaries, i.transfer_characteristics,
        bool(i.video_full_range), i.sar_width, i.sar_height,
        i.num_units_in_tick, 2 * <uint64_t>i.time_scale, encoder, i.ctu_size, bool(i.field_seq),
    )


cdef cnp.ndarray _array(
    const void *source, int typenum, tuple shape, ptrdiff_t stride=0, Block lent=None,
):
    """A copy of rows `stride` bytes apart; a stride of 0: packed. The same memory, where it is lent."""
    cdef cnp.npy_intp[4] sides
    cdef int k, n = len(shape)
    cdef cnp.ndarray array
    for k in range(n):
        sides[k] = shape[k]
    if lent is None:
        array = cnp.PyArray_SimpleNew(n, sides, typenum)
        _copy(array, source, stride)
        return array
    return lent_array(source, typenum, n, sides, lent)


cdef void _copy(cnp.ndarray array, const void *source, ptrdiff_t stride):
    """Fill a new array from rows that are a stride apart; 0: packed."""
    cdef size_t size = <size_t>cnp.PyArray_NBYTES(array)
    cdef size_t rows = 1 if stride == 0 else <size_t>cnp.PyArray_DIM(array, 0)
    cdef size_t row = size // rows, y
    cdef char *to = cnp.PyArray_BYTES(array)
    with nogil:
        for y in range(rows):
            memcpy(to + y * row, <const char *>source + <ptrdiff_t>y * stride, row)


cdef tuple _planes(
    const hevc_frame *f, const void *const *sources, int typenum, int size,
    const ptrdiff_t *strides, Block lent,
):
    """Planes of samples of `size` bytes, or None where there are none. Strides NULL: packed."""
    cdef int p
    if sources[0] == NULL:
        return None
    cdef list planes = None
    if lent is None:
        planes = kept_planes(f.width, f.height, typenum, size)
    if planes is None:
        return tuple([
            _array(
                sources[p], typenum, (f.height[p], f.width[p]), strides[p] if strides else 0, lent
            )
            for p in range(3) if f.width[p] > 0
        ])
    for p in range(len(planes)):
        _copy(planes[p], sources[p], strides[p] if strides else 0)
    return tuple(planes)


@cython.final
cdef class HevcFrame:
    """A decoded picture and what the decoder knew while making it. Planes have the coded size.

    Maps have a value per 4x4 luma samples, `[H/4, W/4]`, of the unit that covers them. Arrays are
    None when they were not asked for, and after `receive(skip=True)` but for the scaling lists.

    Attributes:
        decoded, prediction: `[Hc, Wc]` uint8 (uint16 over 8 bits) for Y, Cb, Cr;
            clip(prediction + residual) is the picture before deblocking and SAO.
        residual, level: `[Hc, Wc]` int16 (int32 over 8 bits) for Y, Cb, Cr; a residual that 16 bits
            do not hold is clipped, which changes no sample.
        cu_size: uint8, log2 of the coding block's size; cu_mode: skip 0, inter 1, intra 2, PCM 3;
            cu_part: PartMode; cu_bypass: bool, cu_transquant_bypass_flag.
        cu_bits, bits_type, bits_motion, bits_luma, bits_chroma, bits_qp: `[H/8, W/8]` uint32,
            1/256 bit: cost of a coding unit, and its parts.
        tu_size: uint8, log2 of the luma transform block's size, 0 without a transform tree.
        tu_kind, tu_kind_cb, tu_kind_cr: uint8, of the transform block of each plane: none 0, DCT 1,
            DST 2, transform skip 3, bypass 4; plus 8 RDPCM along rows or 16 along columns, plus 32
            levels rotated.
        res_scale_cb, res_scale_cr: int8, ResScaleVal; None but in 4:4:4.
        scaling4x4, scaling8x8, scaling_dc: `[6, 16]`, `[3, 6, 64]`, `[2, 6]` uint8, scaling lists
            in up-right diagonal order, the second for 8x8, 16x16 and 32x32, and the DC entries of
            the last two; matrices Intra Y, Cb, Cr, Inter Y, Cb, Cr. All are 16 where the
            stream has none.
        pu_merge: bool, merge_flag.
        qp_y, qp_cb, qp_cr: int8, without QpBdOffset.
        intra_luma, intra_chroma: int8, prediction modes, -1 not intra.
        mv: `[2, H/4, W/4, 2]` int16, quarter samples, x and y, for lists 0 and 1.
        ref: `[2, H/4, W/4]` int32, decode_order of the reference, -1 none, -2 one that never came;
            ref_poc: its PicOrderCntVal, -2**31 none.
        ctu_bits: uint32, 1/256 bit, `[rows, columns]` of coding tree units; ctu_slice, ctu_tile:
            uint16, numbers of slice segment and tile; ctu_concealed: bool, invented, or refers to a
            picture that never came; ctu_sao: `[rows, columns, 3, 6]` int16, per
            plane type (0 none, 1 band, 2 edge), band position or edge class, four offsets.
        bits, bytes: of the slice data; of the NAL units of the access unit.
        decode_order: place in decoding order; poc: PicOrderCntVal; picture_type: I 0, P 1, B 2.
        keyframe: IRAP; concealed_ctus: coding tree units that had to be invented; concealed: any.
        hash: what the decoded picture hash SEI says: none 0, right 1, wrong 2.
        pts: as given to the decoder's send; stream: StreamInfo of its sequence.
    """

    cdef readonly tuple decoded, prediction, residual, level
    cdef readonly object cu_size, cu_mode, cu_part, cu_bypass, cu_bits, tu_size, pu_merge
    cdef readonly object tu_kind, tu_kind_cb, tu_kind_cr, res_scale_cb, res_scale_cr
    cdef readonly object scaling4x4, scaling8x8, scaling_dc
    cdef readonly object qp_y, qp_cb, qp_cr, intra_luma, intra_chroma, mv, ref, ref_poc
    cdef readonly object bits_type, bits_motion, bits_luma, bits_chroma, bits_qp
    cdef readonly object ctu_bits, ctu_slice, ctu_tile, ctu_sao, ctu_concealed
    cdef readonly int decode_order, poc, picture_type, concealed_ctus, hash
    cdef readonly unsigned int bits, bytes
    cdef readonly bint keyframe, concealed
    cdef readonly object pts, stream

    def __init__(self):
        raise TypeError("frames come from HevcDecoder.receive()")

    def __repr__(self):
        kind = "IPB"[self.picture_type]
        return f"<HevcFrame {kind} decode_order={self.decode_order} poc={self.poc} pts={self.pts}>"


cdef object _list(const uint8_t *entries, tuple shape):
    return np.full(shape, 16, np.uint8) if entries == NULL else _array(
        entries, cnp.NPY_UINT8, shape
    )


cdef void _fill_facts(HevcFrame frame, const hevc_frame *f, object stream):
    frame.decode_order = f.decode_order
    frame.poc = f.poc
    frame.picture_type = f.picture_type
    frame.concealed_ctus = f.concealed_ctus
    frame.hash = f.hash
    frame.bits = f.bits
    frame.bytes = f.bytes
    frame.concealed = f.concealed_ctus > 0
    frame.keyframe = f.keyframe
    frame.pts = None if f.pts == INT64_MIN else f.pts
    frame.stream = stream
    frame.scaling4x4 = _list(f.scaling4x4, (6, 16))
    frame.scaling8x8 = _list(f.scaling8x8, (3, 6, 64))
    frame.scaling_dc = _list(f.scaling_dc, (2, 6))


cdef void _fill_decoded(HevcFrame frame, const hevc_frame *f):
    cdef bint deep = f.info.bit_depth_luma > 8 or f.info.bit_depth_chroma > 8
    cdef int sample = cnp.NPY_UINT16 if deep else cnp.NPY_UINT8
    frame.decoded = _planes(f, f.decoded, sample, 2 if deep else 1, f.decoded_stride, None)


cdef void _fill_planes(HevcFrame frame, const hevc_frame *f, Block lent):
    cdef bint deep = f.info.bit_depth_luma > 8 or f.info.bit_depth_chroma > 8
    cdef int sample = cnp.NPY_UINT16 if deep else cnp.NPY_UINT8
    cdef int difference = cnp.NPY_INT32 if deep else cnp.NPY_INT16
    cdef int size = 2 if deep else 1
    frame.prediction = _planes(f, f.prediction, sample, size, NULL, lent)
    frame.residual = _planes(f, f.residual, difference, 2 * size, NULL, lent)
    frame.level = _planes(f, f.level, difference, 2 * size, NULL, lent)


cdef void _fill_maps(HevcFrame frame, const hevc_frame *f, bint motion, bint modes):
    cdef tuple map = (f.height[0] // 4, f.width[0] // 4)
    cdef tuple blocks = (f.height[0] // 8, f.width[0] // 8)
    cdef tuple units = (f.info.ctu_height, f.info.ctu_width)
    frame.cu_size = _array(f.cu_size, cnp.NPY_UINT8, map)
    frame.cu_mode = _array(f.mode, cnp.NPY_UINT8, map)
    frame.cu_part = _array(f.part, cnp.NPY_UINT8, map)
    frame.cu_bypass = _array(f.bypass, cnp.NPY_BOOL, map)
    frame.cu_bits = _array(f.cu_bits, cnp.NPY_UINT32, blocks)
    if f.part_bits[0] != NULL:
        frame.bits_type = _array(f.part_bits[0], cnp.NPY_UINT32, blocks)
        frame.bits_motion = _array(f.part_bits[1], cnp.NPY_UINT32, blocks)
        frame.bits_luma = _array(f.part_bits[2], cnp.NPY_UINT32, blocks)
        frame.bits_chroma = _array(f.part_bits[3], cnp.NPY_UINT32, blocks)
        frame.bits_qp = _array(f.part_bits[4], cnp.NPY_UINT32, blocks)
    frame.tu_size = _array(f.tu_size, cnp.NPY_UINT8, map)
    frame.tu_kind = _array(f.tu_kind[0], cnp.NPY_UINT8, map)
    frame.pu_merge = _array(f.merge, cnp.NPY_BOOL, map)
    frame.qp_y = _array(f.qp[0], cnp.NPY_INT8, map)
    if f.width[1] > 0:
        frame.qp_cb = _array(f.qp[1], cnp.NPY_INT8, map)
        frame.qp_cr = _array(f.qp[2], cnp.NPY_INT8, map)
        frame.tu_kind_cb = _array(f.tu_kind[1], cnp.NPY_UINT8, map)
        frame.tu_kind_cr = _array(f.tu_kind[2], cnp.NPY_UINT8, map)
    if f.res_scale[1] != NULL:
        frame.res_scale_cb = _array(f.res_scale[1], cnp.NPY_INT8, map)
        frame.res_scale_cr = _array(f.res_scale[2], cnp.NPY_INT8, map)
    frame.ctu_concealed = _array(f.ctu_concealed, cnp.NPY_BOOL, units)
    frame.ctu_bits = _array(f.ctu_bits, cnp.NPY_UINT32, units)
    frame.ctu_slice = _array(f.ctu_slice, cnp.NPY_UINT16, units)
    frame.ctu_tile = _array(f.ctu_tile, cnp.NPY_UINT16, units)
    frame.ctu_sao = _array(f.ctu_sao, cnp.NPY_INT16, (*units, 3, 6))
    if motion:
        frame.mv = _array(f.mv, cnp.NPY_INT16, (2, *map, 2))
        frame.ref = _array(f.ref, cnp.NPY_INT32, (2, *map))
        frame.ref_poc = _array(f.ref_poc, cnp.NPY_INT32, (2, *map))
    if modes:  # 255, "none", is -1 as a signed byte
        frame.intra_luma = _array(f.intra_luma, cnp.NPY_INT8, map)
        if f.width[1] > 0:
            frame.intra_chroma = _array(f.intra_chroma, cnp.NPY_INT8, map)


include "packets.pxi"

if (OK, AGAIN, END, CORRUPT) != (HEVC_OK, HEVC_AGAIN, HEVC_END, HEVC_CORRUPT):
    raise ImportError("the core has other return codes")


@cython.final
cdef class HevcDecoder(PacketQueue):
    """Decoder of one HEVC stream. Not thread-safe; releases the GIL while decoding.

    Args:
        extradata: hvcC record (packets are then length-prefixed), or Annex B parameter sets.
        decoded: hand out the decoded samples.
        prediction, residual, level: what to record beside them.
        motion, modes: hand out vectors and references; intra prediction modes.
        bits: record what the bits of a coding unit were spent on.
        headers: decode no slice data: frames come in order with their facts, arrays mean nothing.
        patient: frames wait for others that may come before them for as long as 16 can, whatever
            the stream promises.
        pixels: make the samples; without, syntax is all that is decoded, and there is no `decoded`,
            `prediction` and `residual`.
        max_pixels: luma samples of the largest picture accepted; 0: those of level 6.2.
        lent: prediction, residual and level are the decoder's own memory where that is worth while,
            not copies: they cannot be written to, and one that is held holds all of the frame.

    Raises:
        CorruptStreamError: extradata that cannot be read.
    """

    cdef hevc_decoder *_dec
    cdef hevc_frame _frame  # the one taken last
    cdef hevc_stream_info _info
    cdef object _stream, _text
    cdef bint _decoded, _motion, _modes, _lent

    def __cinit__(
        self, *, extradata=None, bint decoded=True, bint prediction=True, bint residual=True,
        bint level=True, bint motion=False, bint modes=False, bint bits=False,
        bint headers=False, bint patient=False, bint pixels=True, uint32_t max_pixels=0,
        bint lent=False,
    ):
        cdef hevc_settings settings
        settings.taps = (
            (HEVC_TAP_PREDICTION if prediction and pixels else 0)
            | (HEVC_TAP_RESIDUAL if residual and pixels else 0)
            | (HEVC_TAP_LEVEL if level else 0) | (HEVC_TAP_MOTION if motion else 0)
            | (HEVC_TAP_BITS if bits else 0)
        )
        settings.how = (
            (HEVC_HEADERS if headers else 0) | (HEVC_PATIENT if patient else 0)
            | (0 if pixels else HEVC_NO_SAMPLES)
        )
        settings.max_pixels = max_pixels
        self._decoded, self._motion, self._modes = decoded and pixels, motion, modes
        self._lent = lent
        self._waiting = deque()
        if hevc_open(&self._dec, &settings) != HEVC_OK:
            raise MemoryError("no memory for a decoder")
        cdef const uint8_t[::1] data
        if extradata is not None and len(extradata) > 0:
            data = extradata
            self._check(hevc_set_extradata(self._dec, &data[0], data.shape[0]))

    def __dealloc__(self):
        hevc_close(self._dec)

    cdef int _check(self, int rc) except -1:
        if rc >= 0:
            return 0
        raise _ERRORS.get(rc, DavdError)(hevc_error_text(self._dec).decode("utf-8", "replace"))

    cdef int _put(self, const uint8_t *data, size_t size, int64_t pts) noexcept nogil:
        return hevc_send(self._dec, data, size, pts)

    cdef int _end(self) noexcept nogil:
        return hevc_flush(self._dec)

    cdef int _take(self) noexcept nogil:
        return hevc_receive(self._dec, &self._frame)

    cdef object _taken(self, bint skip):
        cdef const hevc_frame *f = &self._frame
        cdef HevcFrame frame = HevcFrame.__new__(HevcFrame)
        _fill_facts(frame, f, self._stream_of(f))
        if not skip:
            if self._decoded:
                _fill_decoded(frame, f)
            _fill_maps(frame, f, self._motion, self._modes)
            _fill_planes(frame, f, self._taps() if self._lent else None)
        return frame

    cdef Block _taps(self):
        """The memory of what is recorded of the frame taken, or None."""
        cdef void *start = hevc_take_taps(self._dec)
        if start == NULL:
            return None
        cdef Block block = Block.__new__(Block)
        block.start = <uint8_t *>start
        return block

    cdef object _stream_of(self, const hevc_frame *f):
        """The StreamInfo of a frame; one object for all frames that share it."""
        cdef bytes text = hevc_encoder_text(self._dec)
        if (
            self._stream is None or self._text != text
            or memcmp(&self._info, &f.info, sizeof(hevc_stream_info)) != 0
        ):
            self._info = f.info
            self._text = text
            self._stream = _stream_info(&f.info, text.decode("ascii", "replace"))
        return self._stream

    @property
    def warnings(self):
        """What was odd in the stream and decoded all the same: how often, by name."""
        cdef int i
        return {
            hevc_warning_name(i).decode(): hevc_warning_count(self._dec, i)
            for i in range(HEVC_N_WARNINGS) if hevc_warning_count(self._dec, i) > 0
        }
