# cython: boundscheck=False, wraparound=False
"""Thin skin over the C decoder of h264.h (Decoder, Frame, StreamInfo, the errors) and over chunks.h.

It translates and does nothing else: allocates arrays, releases the GIL, calls C, checks the code.
"""

from collections import deque
from dataclasses import dataclass

cimport cython
cimport numpy as cnp
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport INT64_MIN, int8_t, int16_t, int32_t, int64_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cnp.import_array()


cdef extern from "h264.h" nogil:
    enum:
        H264_OK
        H264_AGAIN
        H264_END
        H264_NOMEM
        H264_BADARG
        H264_CORRUPT
        H264_UNSUPPORTED
        H264_TAP_PREDICTION
        H264_TAP_RESIDUAL
        H264_TAP_LEVEL
        H264_TAP_MOTION
        H264_TAP_MODES
        H264_TAP_BITS
        H264_UNITS
        H264_HEADERS
        H264_PATIENT
        H264_NO_SAMPLES
        H264_N_WARNINGS
    ctypedef struct h264_decoder:
        pass
    ctypedef struct h264_settings:
        unsigned taps, how
        uint32_t max_pixels
        int threads
    ctypedef struct h264_stream_info:
        int profile_idc, level_idc, constraint_flags
        int coded_width, coded_height
        int crop_left, crop_right, crop_top, crop_bottom
        int chroma_format_idc
        int bit_depth_luma, bit_depth_chroma
        int matrix_coefficients, colour_primaries, transfer_characteristics
        int video_full_range
        int sar_width, sar_height
        uint32_t num_units_in_tick, time_scale
    ctypedef struct h264_frame:
        h264_stream_info info
        const void *decoded[3]
        ptrdiff_t decoded_stride[3]
        const void *prediction[3]
        const void *residual[3]
        const void *level[3]
        int width[3]
        int height[3]
        const uint8_t *tu
        const uint8_t *mb_type
        const int8_t *qp[3]
        const uint8_t *cbp
        const uint16_t *slice
        const uint8_t *field
        const uint8_t *concealed
        const int8_t *intra_luma
        const int8_t *intra_chroma
        const int16_t *mv
        const int32_t *ref
        const uint32_t *mb_bits
        const uint32_t *part_bits[5]
        uint8_t scaling4x4[6][16]
        uint8_t scaling8x8[6][64]
        int32_t decode_order, poc
        int picture_type, keyframe, recovery_point, concealed_mbs
        uint32_t bits, bytes
        int64_t pts
    int h264_open(h264_decoder **out, const h264_settings *settings)
    int h264_set_extradata(h264_decoder *dec, const uint8_t *data, size_t size)
    int h264_send(h264_decoder *dec, const uint8_t *data, size_t size, int64_t pts)
    int h264_flush(h264_decoder *dec)
    int h264_receive(h264_decoder *dec, h264_frame *frame)
    void *h264_take_taps(h264_decoder *dec)
    const char *h264_error_text(const h264_decoder *dec)
    const char *h264_encoder_text(const h264_decoder *dec)
    uint64_t h264_warning_count(const h264_decoder *dec, int warning)
    const char *h264_warning_name(int warning)
    void h264_close(h264_decoder *dec)

include "memory.pxi"

cdef extern from "chunks.h" nogil:
    ctypedef struct cut_plane:
        const uint8_t *plane
        size_t height, width, item, chunk_height, chunk_width, period
        uint8_t fill
        bint deflated
    size_t davd_chunks_of(const cut_plane *c)
    size_t davd_chunks_memory(const cut_plane *c)
    void davd_pack_chunks(const cut_plane *c, uint8_t *memory, size_t *begin)


class DavdError(Exception):
    """Anything davd refuses or cannot do; the message says what was found and what to do."""


class CorruptStreamError(DavdError, ValueError):
    """The data break the syntax of H.264, or of HEVC."""


class UnsupportedStreamError(DavdError, NotImplementedError):
    """Legal H.264 or HEVC of a kind that is not decoded here; the message names the feature."""


class StreamMemoryError(DavdError, MemoryError):
    """No memory for a picture, or a picture larger than the limit."""


cdef dict _ERRORS = {
    H264_CORRUPT: CorruptStreamError,
    H264_UNSUPPORTED: UnsupportedStreamError,
    H264_NOMEM: StreamMemoryError,
}


@dataclass(frozen=True)
class StreamInfo:
    """What holds for a whole coded video sequence.

    Attributes:
        profile_idc, level_idc: as in the sequence parameter set.
        coded_width, coded_height: luma samples, multiples of 16 (HEVC: of 8).
        width, height: luma samples after cropping.
        crop_left, crop_right, crop_top, crop_bottom: luma samples.
        chroma_format_idc: 0 4:0:0, 1 4:2:0, 2 4:2:2, 3 4:4:4.
        bit_depth_luma, bit_depth_chroma: 8 to 14 (HEVC: to 16).
        matrix_coefficients: Table E-5; 2 where the stream does not say.
        colour_primaries, transfer_characteristics: Tables E-3 and E-4; likewise.
        video_full_range: whether samples use the full range.
        sar_width, sar_height: sample aspect ratio; 0 where the stream does not say.
        num_units_in_tick, time_scale: seconds per tick as a fraction, two ticks a frame; 0 absent.
        encoder: text that the encoder left in user data, "" if none.
        ctu_size: side of a coding tree unit, of a macroblock in H.264, luma samples.
        field_seq: every picture of the sequence is a field (HEVC).
    """

    profile_idc: int
    level_idc: int
    coded_width: int
    coded_height: int
    width: int
    height: int
    crop_left: int
    crop_right: int
    crop_top: int
    crop_bottom: int
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    matrix_coefficients: int
    colour_primaries: int
    transfer_characteristics: int
    video_full_range: bool
    sar_width: int
    sar_height: int
    num_units_in_tick: int
    time_scale: int
    encoder: str
    ctu_size: int = 16
    field_seq: bool = False

    @property
    def coded_size(self):
        """Height and width of a coded luma plane."""
        return self.coded_height, self.coded_width

    @property
    def crop(self):
        """Rows and columns of a coded luma plane that are shown."""
        return (
            slice(self.crop_top, self.crop_top + self.height),
            slice(self.crop_left, self.crop_left + self.width),
        )


cdef object _stream_info(const h264_stream_info *i, str encoder):
    return StreamInfo(
        i.profile_idc, i.level_idc, i.coded_width, i.coded_height,
        i.coded_width - i.crop_left - i.crop_right, i.coded_height - i.crop_top - i.crop_bottom,
        i.crop_left, i.crop_right, i.crop_top, i.crop_bottom,
        i.chroma_format_idc, i.bit_depth_luma, i.bit_depth_chroma,
        i.matrix_coefficients, i.colour_primaries, i.transfer_characteristics,
        bool(i.video_full_range), i.sar_width, i.sar_height, i.num_units_in_tick, i.time_scale,
        encoder,
    )


cdef enum:
    MAX_COPIES = 40


cdef struct Copy:
    # rows of `bytes` bytes, `stride` apart at the source, packed at the destination
    char *to
    const char *source
    size_t rows, bytes
    ptrdiff_t stride


cdef struct Copies:
    # what to copy once the GIL is released
    Copy items[MAX_COPIES]
    int n
    PyObject *lent  # a Block in which all sources are; arrays are made of it then. NULL: of copies


cdef void _run(const Copies *c) noexcept nogil:
    cdef int i
    cdef size_t y
    cdef const Copy *k
    for i in range(c.n):
        k = &c.items[i]
        if k.stride == <ptrdiff_t>k.bytes:
            memcpy(k.to, k.source, k.rows * k.bytes)
            continue
        for y in range(k.rows):
            memcpy(k.to + y * k.bytes, k.source + <ptrdiff_t>y * k.stride, k.bytes)


cdef void _add_copy(Copies *c, cnp.ndarray array, const void *source, ptrdiff_t stride):
    """Fill a new array from rows that are a stride apart; 0: packed."""
    cdef size_t size = <size_t>cnp.PyArray_NBYTES(array)
    if c.n == MAX_COPIES:
        raise SystemError("MAX_COPIES is less than a frame has arrays")
    cdef Copy *k = &c.items[c.n]
    c.n += 1
    k.to = cnp.PyArray_BYTES(array)
    k.source = <const char *>source
    k.rows = 1 if stride == 0 else <size_t>cnp.PyArray_DIM(array, 0)
    k.bytes = size // k.rows
    k.stride = <ptrdiff_t>k.bytes if stride == 0 else stride


cdef object _array(
    Copies *c, const void *source, int typenum, int ndim, cnp.npy_intp *shape, ptrdiff_t stride
):
    """A new array; what fills it is added to `c`. A stride of 0: packed."""
    cdef cnp.ndarray array
    if c.lent != NULL:
        return lent_array(source, typenum, ndim, shape, <object>c.lent)
    array = cnp.PyArray_SimpleNew(ndim, shape, typenum)
    _add_copy(c, array, source, stride)
    return array


cdef object _plane(
    Copies *c, const void *source, int typenum, int height, int width, ptrdiff_t stride
):
    cdef cnp.npy_intp[2] shape
    shape[0] = height
    shape[1] = width
    return _array(c, source, typenum, 2, shape, stride)


cdef tuple _planes(
    Copies *c, const h264_frame *f, const void *const *sources, int typenum, int size,
    const ptrdiff_t *strides,
):
    """Planes of samples of `size` bytes, or None where there are none. Strides NULL: packed."""
    cdef int p
    if sources[0] == NULL:
        return None
    cdef list planes = None
    if c.lent == NULL:
        planes = kept_planes(f.width, f.height, typenum, size)
    if planes is None:
        return tuple([
            _plane(c, sources[p], typenum, f.height[p], f.width[p], strides[p] if strides else 0)
            for p in range(3) if f.width[p] > 0
        ])
    for p in range(len(planes)):
        _add_copy(c, planes[p], sources[p], strides[p] if strides else 0)
    return tuple(planes)


@cython.final
cdef class Frame:
    """A decoded frame and what the decoder knew while making it. Planes have the coded size.

    Arrays are None when they were not asked for, and after `receive(skip=True)` but for the
    scaling lists.

    Attributes:
        decoded, prediction: `[Hc, Wc]` uint8 (uint16 over 8 bits) for Y, Cb, Cr.
        residual, level: `[Hc, Wc]` int16 (int32 over 8 bits) for Y, Cb, Cr.
        tu: `[H/4, W/4]` uint8, transform in force: none 0, 4x4 1, 8x8 2, Intra16x16 3, PCM 4; plus 8
            where it is bypassed.
        mb_type: `[H/16, W/16]` uint8, I_4x4 0 to B_8x8 14.
        qp_y, qp_cb, qp_cr: `[H/16, W/16]` int8.
        cbp, slice, field: `[H/16, W/16]` uint8, uint16, uint8.
        mb_concealed: `[H/16, W/16]` bool, macroblocks that had to be invented.
        intra_luma, intra_chroma: `[H/4, W/4]`, `[H/16, W/16]` int8, prediction modes, -1 not intra.
        mv: `[2, H/4, W/4, 2]` int16, quarter samples, x and y, for lists 0 and 1.
        ref: `[2, H/8, W/8]` int32, decode_order of the reference frame, -1 none.
        mb_bits, bits_type, bits_motion, bits_luma, bits_chroma, bits_qp: `[H/16, W/16]` uint32,
            1/256 bit: cost of a macroblock, and its parts.
        bits, bytes: of the slice data; of the NAL units of the access unit.
        scaling4x4, scaling8x8: `[6, 16]`, `[6, 64]` uint8, lists in force in zig-zag order.
        decode_order: place in decoding order; poc: PicOrderCnt; picture_type: I 0, P 1, B 2.
        keyframe: IDR; concealed_mbs: macroblocks that had to be invented; concealed: any.
        pts: as given to the decoder's send; stream: StreamInfo of its sequence.
    """

    cdef readonly tuple decoded, prediction, residual, level
    cdef readonly object tu, mb_type, qp_y, qp_cb, qp_cr, cbp, slice, field, mb_concealed
    cdef readonly object intra_luma, intra_chroma, mv, ref
    cdef readonly object scaling4x4, scaling8x8
    cdef readonly object mb_bits, bits_type, bits_motion, bits_luma, bits_chroma, bits_qp
    cdef readonly int decode_order, poc, picture_type, concealed_mbs
    cdef readonly unsigned int bits, bytes
    cdef readonly bint keyframe, recovery_point, concealed
    cdef readonly object pts, stream

    def __init__(self):
        raise TypeError("frames come from Decoder.receive()")

    def __repr__(self):
        kind = "IPB"[self.picture_type]
        return f"<Frame {kind} decode_order={self.decode_order} poc={self.poc} pts={self.pts}>"


cdef void _fill_facts(Frame frame, const h264_frame *f, object stream, Copies *c):
    frame.decode_order = f.decode_order
    frame.poc = f.poc
    frame.picture_type = f.picture_type
    frame.concealed_mbs = f.concealed_mbs
    frame.bits = f.bits
    frame.bytes = f.bytes
    frame.concealed = f.concealed_mbs > 0
    frame.keyframe = f.keyframe
    frame.recovery_point = f.recovery_point
    frame.pts = None if f.pts == INT64_MIN else f.pts
    frame.stream = stream
    frame.scaling4x4 = _plane(c, f.scaling4x4, cnp.NPY_UINT8, 6, 16, 0)
    frame.scaling8x8 = _plane(c, f.scaling8x8, cnp.NPY_UINT8, 6, 64, 0)


cdef void _fill_decoded(Frame frame, const h264_frame *f, Copies *c):
    cdef bint deep = f.info.bit_depth_luma > 8 or f.info.bit_depth_chroma > 8
    cdef int sample = cnp.NPY_UINT16 if deep else cnp.NPY_UINT8
    frame.decoded = _planes(c, f, f.decoded, sample, 2 if deep else 1, f.decoded_stride)


cdef void _fill_planes(Frame frame, const h264_frame *f, Copies *c):
    cdef bint deep = f.info.bit_depth_luma > 8 or f.info.bit_depth_chroma > 8
    cdef int sample = cnp.NPY_UINT16 if deep else cnp.NPY_UINT8
    cdef int wide = cnp.NPY_INT32 if deep else cnp.NPY_INT16
    cdef int size = 2 if deep else 1
    frame.prediction = _planes(c, f, f.prediction, sample, size, NULL)
    frame.residual = _planes(c, f, f.residual, wide, 2 * size, NULL)
    frame.level = _planes(c, f, f.level, wide, 2 * size, NULL)


cdef void _fill_maps(Frame frame, const h264_frame *f, Copies *c):
    cdef int h = f.height[0] // 16, w = f.width[0] // 16
    frame.tu = _plane(c, f.tu, cnp.NPY_UINT8, 4 * h, 4 * w, 0)
    frame.mb_type = _plane(c, f.mb_type, cnp.NPY_UINT8, h, w, 0)
    frame.qp_y = _plane(c, f.qp[0], cnp.NPY_INT8, h, w, 0)
    if f.width[1] > 0:
        frame.qp_cb = _plane(c, f.qp[1], cnp.NPY_INT8, h, w, 0)
        frame.qp_cr = _plane(c, f.qp[2], cnp.NPY_INT8, h, w, 0)
    frame.cbp = _plane(c, f.cbp, cnp.NPY_UINT8, h, w, 0)
    frame.slice = _plane(c, f.slice, cnp.NPY_UINT16, h, w, 0)
    frame.field = _plane(c, f.field, cnp.NPY_UINT8, h, w, 0)
    frame.mb_concealed = _plane(c, f.concealed, cnp.NPY_BOOL, h, w, 0)
    frame.mb_bits = _plane(c, f.mb_bits, cnp.NPY_UINT32, h, w, 0)


cdef void _fill_optional_maps(Frame frame, const h264_frame *f, Copies *c):
    cdef int h = f.height[0] // 16, w = f.width[0] // 16
    cdef cnp.npy_intp[4] shape = [2, 4 * h, 4 * w, 2]
    if f.mv != NULL:
        frame.mv = _array(c, f.mv, cnp.NPY_INT16, 4, shape, 0)
    shape = [2, 2 * h, 2 * w, 0]
    if f.ref != NULL:
        frame.ref = _array(c, f.ref, cnp.NPY_INT32, 3, shape, 0)
    if f.part_bits[0] != NULL:
        frame.bits_type = _plane(c, f.part_bits[0], cnp.NPY_UINT32, h, w, 0)
        frame.bits_motion = _plane(c, f.part_bits[1], cnp.NPY_UINT32, h, w, 0)
        frame.bits_luma = _plane(c, f.part_bits[2], cnp.NPY_UINT32, h, w, 0)
        frame.bits_chroma = _plane(c, f.part_bits[3], cnp.NPY_UINT32, h, w, 0)
        frame.bits_qp = _plane(c, f.part_bits[4], cnp.NPY_UINT32, h, w, 0)
    if f.intra_luma != NULL:
        frame.intra_luma = _plane(c, f.intra_luma, cnp.NPY_INT8, 4 * h, 4 * w, 0)
        frame.intra_chroma = _plane(c, f.intra_chroma, cnp.NPY_INT8, h, w, 0)


include "packets.pxi"

if (OK, AGAIN, END, CORRUPT) != (H264_OK, H264_AGAIN, H264_END, H264_CORRUPT):
    raise ImportError("the core has other return codes")


@cython.final
cdef class Decoder(PacketQueue):
    """Decoder of one H.264 stream. Not thread-safe; releases the GIL while decoding.

    Args:
        extradata: avcC record (packets are then length-prefixed), or Annex B parameter sets.
        decoded: hand out the decoded samples.
        prediction, residual, level, motion, modes, bits: what to record beside them; the maps of types,
            QPs, transforms and slices always are.
        units: every packet is an access unit, as in containers.
        headers: decode no slice data: frames come in order with their facts, arrays mean nothing.
        patient: frames wait for others that may come before them for as long as 16 can, whatever
            the stream promises.
        pixels: make the samples; without, syntax is all that is decoded, and there is no `decoded`,
            `prediction` and `residual`.
        max_pixels: luma samples of the largest picture accepted; 0: 4096x2304.
        threads: pictures decoded at the same time, 1 to 16; those of less than 500 macroblocks are
            decoded one by one all the same, which is faster (a negative number, as tests want it,
            spares none). Frames, their order and the warnings are the same with any number; frames
            come up to `2 * threads - 2` pictures later. With more than one the decoder does not
            cross a fork.
        lent: large arrays are the decoder's own memory where that is worth while, not copies: they
            cannot be written to, and one that is held holds all of the frame.

    Raises:
        CorruptStreamError: extradata that cannot be read.
    """

    cdef h264_decoder *_dec
    cdef h264_frame _frame  # the one taken last
    cdef h264_stream_info _info
    cdef object _stream, _text
    cdef bint _decoded  # hand out decoded samples
    cdef bint _lent

    def __cinit__(
        self, *, extradata=None, bint decoded=True, bint prediction=True, bint residual=True,
        bint level=True, bint motion=False, bint modes=False, bint bits=False, bint units=False,
        bint headers=False, bint patient=False, bint pixels=True, uint32_t max_pixels=0,
        int threads=1, bint lent=False,
    ):
        cdef h264_settings settings
        settings.taps = (
            (H264_TAP_PREDICTION if prediction and pixels else 0)
            | (H264_TAP_RESIDUAL if residual and pixels else 0)
            | (H264_TAP_LEVEL if level else 0) | (H264_TAP_MOTION if motion else 0)
            | (H264_TAP_MODES if modes else 0) | (H264_TAP_BITS if bits else 0)
        )
        settings.how = (
            (H264_UNITS if units else 0) | (H264_HEADERS if headers else 0)
            | (H264_PATIENT if patient else 0) | (0 if pixels else H264_NO_SAMPLES)
        )
        settings.max_pixels = max_pixels
        settings.threads = threads
        self._decoded = decoded and pixels
        self._lent = lent
        self._waiting = deque()
        if h264_open(&self._dec, &settings) != H264_OK:
            raise MemoryError("no memory for a decoder")
        cdef const uint8_t[::1] data
        if extradata is not None and len(extradata) > 0:
            data = extradata
            self._check(h264_set_extradata(self._dec, &data[0], data.shape[0]))

    def __dealloc__(self):
        h264_close(self._dec)

    cdef int _check(self, int rc) except -1:
        if rc >= 0:
            return 0
        raise _ERRORS.get(rc, DavdError)(h264_error_text(self._dec).decode("utf-8", "replace"))

    cdef int _put(self, const uint8_t *data, size_t size, int64_t pts) noexcept nogil:
        return h264_send(self._dec, data, size, pts)

    cdef int _end(self) noexcept nogil:
        return h264_flush(self._dec)

    cdef int _take(self) noexcept nogil:
        return h264_receive(self._dec, &self._frame)

    cdef object _taken(self, bint skip):
        cdef const h264_frame *f = &self._frame
        cdef Frame frame = Frame.__new__(Frame)
        cdef Copies copies
        cdef Block block = Block.__new__(Block)
        copies.n, copies.lent = 0, NULL
        _fill_facts(frame, f, self._stream_of(f), &copies)
        if not skip:
            if self._decoded:
                _fill_decoded(frame, f, &copies)
            _fill_maps(frame, f, &copies)
            block.start = <uint8_t *>h264_take_taps(self._dec) if self._lent else NULL
            copies.lent = NULL if block.start == NULL else <PyObject *>block
            _fill_planes(frame, f, &copies)
            _fill_optional_maps(frame, f, &copies)
        with nogil:
            _run(&copies)
        return frame

    cdef object _stream_of(self, const h264_frame *f):
        """The StreamInfo of a frame; one object for all frames that share it."""
        cdef bytes text = h264_encoder_text(self._dec)
        if (
            self._stream is None or self._text != text
            or memcmp(&self._info, &f.info, sizeof(h264_stream_info)) != 0
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
            h264_warning_name(i).decode(): h264_warning_count(self._dec, i)
            for i in range(H264_N_WARNINGS) if h264_warning_count(self._dec, i) > 0
        }


def pack_chunks(
    cnp.ndarray array not None, size_t height, size_t width, size_t item, size_t chunk_height,
    size_t chunk_width, size_t period, uint8_t fill, bint deflated,
):
    """Cut a plane into chunks as HDF5's shuffle filter, and its deflate filter, make them.

    Args:
        array: contiguous, `height * width * item` bytes.
        height, width: of the plane, elements.
        item: bytes of an element; 1 and a wider plane for no shuffling.
        chunk_height, chunk_width: of a chunk; what lies outside the plane is fill value.
        period: elements after which the content of a chunk may repeat itself, a row for example;
            chunks get smaller by it where it does. 0: none.
        fill: each byte of the fill value.
        deflated: compress them.

    Returns:
        A list of bytes in raster order, None where a chunk is all fill value.

    Raises:
        ValueError: the array is not of that size, not contiguous, or a chunk has no elements.
    """
    if (
        not cnp.PyArray_IS_C_CONTIGUOUS(array)
        or <size_t>cnp.PyArray_NBYTES(array) != height * width * item
        or chunk_height == 0 or chunk_width == 0
    ):
        raise ValueError("chunks are cut from a contiguous array of the size that is given")
    cdef cut_plane c
    c.plane = <const uint8_t *>cnp.PyArray_BYTES(array)
    c.height, c.width, c.item, c.period = height, width, item, period
    c.chunk_height, c.chunk_width = chunk_height, chunk_width
    c.fill, c.deflated = fill, deflated
    cdef size_t n = davd_chunks_of(&c), k
    cdef size_t places = memory_aligned((n + 1) * sizeof(size_t))
    cdef Block block = Block.__new__(Block)
    block.start = memory_block(places + davd_chunks_memory(&c), 0)
    if block.start == NULL:
        raise MemoryError("no memory for the chunks of a plane")
    cdef size_t *begin = <size_t *>block.start
    cdef const char *packed = <const char *>block.start + places
    with nogil:
        davd_pack_chunks(&c, block.start + places, begin)
    return [
        PyBytes_FromStringAndSize(packed + begin[k], <Py_ssize_t>(begin[k + 1] - begin[k]))
        if begin[k + 1] > begin[k] else None
        for k in range(n)
    ]
