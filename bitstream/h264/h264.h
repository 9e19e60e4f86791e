/* davd: an H.264 decoder that shows its inside. Public C API.
 *
 * Feed a stream NAL unit by NAL unit (or packet by packet), take frames in output order. Each frame
 * carries, beside the decoded samples, what the decoder knew while making them: prediction,
 * residual, transform coefficient levels, transform sizes, QP, macroblock types, motion. All arrays
 * have the coded size (whole macroblocks).
 *
 * Clause numbers everywhere in this folder refer to Rec. ITU-T H.264 (08/2021).
 */
#ifndef DAVD_H264_H
#define DAVD_H264_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Return codes. Zero or positive is success. */
enum {
    H264_OK = 0,
    H264_AGAIN = -1,       /* no frame ready: send more data */
    H264_END = -2,         /* no frame left after h264_flush() */
    H264_NOMEM = -3,       /* out of memory, or a picture larger than the limit */
    H264_BADARG = -4,      /* the caller's mistake */
    H264_CORRUPT = -5,     /* the data break the syntax or a constraint of clause 7.4 */
    H264_UNSUPPORTED = -6, /* legal, but not decoded here: h264_error_text() names the feature */
};

/* What to record beside the decoded samples; maps (tu, mb_type, qp, ...) are always recorded. */
enum {
    H264_TAP_PREDICTION = 1,
    H264_TAP_RESIDUAL = 2,
    H264_TAP_LEVEL = 4,
    H264_TAP_MOTION = 8,
    H264_TAP_MODES = 16,
    H264_TAP_BITS = 32, /* h264_frame.part_bits */
};

/* tu/y: transform in force for a 4x4 luma block; H264_TU_BYPASS is added in lossless macroblocks.
 */
enum {
    H264_TU_NONE,
    H264_TU_4X4,
    H264_TU_8X8,
    H264_TU_I16X16,
    H264_TU_PCM,
    H264_TU_BYPASS = 8
};

/* mb/type, numbered as in the priors file. */
enum {
    H264_I_4X4,
    H264_I_8X8,
    H264_I_16X16,
    H264_I_PCM,
    H264_P_SKIP,
    H264_P_16X16,
    H264_P_16X8,
    H264_P_8X16,
    H264_P_8X8,
    H264_B_SKIP,
    H264_B_DIRECT,
    H264_B_16X16,
    H264_B_16X8,
    H264_B_8X16,
    H264_B_8X8,
    H264_N_MB_TYPES
};

enum {
    H264_PICTURE_I,
    H264_PICTURE_P,
    H264_PICTURE_B
};

/* Counted oddities of a stream that was decoded all the same; h264_warning_name() gives each a
 * name. */
enum {
    H264_WARN_CONCEALED_MB,      /* macroblocks that had to be invented */
    H264_WARN_CORRUPT_SLICE,     /* slices with a syntax error */
    H264_WARN_MISSING_REFERENCE, /* macroblocks predicted from a picture that never came */
    H264_WARN_FRAME_NUM_GAP,     /* frame_num jumps where the SPS allows none */
    H264_WARN_BAD_PARAMETER_SET, /* SPS or PPS that broke the syntax, ignored */
    H264_WARN_BAD_NAL, /* NAL units with forbidden_zero_bit or of impossible size, ignored */
    H264_WARN_NO_PARAMETER_SET,  /* slices that name an SPS or PPS never received */
    H264_WARN_UNPAIRED_FIELD,    /* frames of which one field never came */
    H264_WARN_DISCARDED_PICTURE, /* pictures before the first that can be decoded */
    H264_WARN_OTHER_LAYER,  /* slices of SVC layers and MVC views other than the base, left out */
    H264_WARN_LATE_PICTURE, /* frames that were output after one that follows them */
    H264_N_WARNINGS
};

typedef struct h264_decoder h264_decoder;

/* How packets are taken and frames handed out. */
enum {
    H264_UNITS = 1,   /* h264_send() gets an access unit at a time, as containers have them */
    H264_HEADERS = 2, /* slice data are not decoded: frames come in order and with their facts, but
                         samples, maps and taps mean nothing */
    H264_PATIENT = 4, /* frames wait for others that may come before them as long as the buffer can
                         hold 16, whatever the SPS promises */
    H264_NO_SAMPLES = 8, /* nothing of 8.3, 8.4.2, 8.5 and 8.7 is done: maps, levels, motion, modes
                            and costs are as ever, samples, prediction and residual mean nothing */
};

enum {
    H264_MAX_THREADS = 16,
    H264_SMALL_PICTURE = 500 /* macroblocks: such are decoded by the caller, threads or not, because
                                to hand them over takes longer than to decode them */
};

typedef struct h264_settings {
    unsigned taps;       /* H264_TAP_* or-ed */
    unsigned how;        /* H264_UNITS ... or-ed */
    uint32_t max_pixels; /* luma samples of the largest picture accepted; 0: 36864 macroblocks,
                            level 5.2 */
    int threads; /* pictures decoded at the same time, H264_MAX_THREADS at most; 0 and 1: one, by
                    the caller. Negative: as many, small pictures too, as tests want it. Frames,
                    their order and the warnings are the same with any number; a frame may need 2 *
                    threads - 2 pictures more to be sent before it comes. */
} h264_settings;

/* What holds for a whole coded video sequence. */
typedef struct h264_stream_info {
    int profile_idc, level_idc, constraint_flags;
    int coded_width, coded_height;                    /* luma samples, multiples of 16 */
    int crop_left, crop_right, crop_top, crop_bottom; /* luma samples */
    int chroma_format_idc;                            /* 0 4:0:0, 1 4:2:0, 2 4:2:2, 3 4:4:4 */
    int separate_colour_planes; /* 1: 4:4:4 coded as three monochrome pictures; maps are of Y */
    int bit_depth_luma, bit_depth_chroma; /* 8..14 */
    int matrix_coefficients, colour_primaries,
        transfer_characteristics;           /* Annex E; 2 when not said */
    int video_full_range;                   /* 0 or 1 */
    int sar_width, sar_height;              /* sample aspect ratio; 0 when not said */
    uint32_t num_units_in_tick, time_scale; /* 0 when not said; a frame lasts 2 ticks */
} h264_stream_info;

/* One frame in output order. Pointers stay valid until the next call with the same decoder. Planes
 * not asked for are NULL. Strides are in bytes; tap planes are packed (stride = coded width of the
 * plane * sample size). */
typedef struct h264_frame {
    h264_stream_info info;
    const void *decoded[3]; /* uint8_t, or uint16_t in all planes when either depth is over 8 */
    ptrdiff_t decoded_stride[3];
    const void *prediction[3]; /* type of decoded */
    const void *residual[3];   /* int16_t, or int32_t when either depth is over 8 */
    const void *level[3];      /* type of residual */
    int width[3],
        height[3];     /* coded size of each plane in samples; 0 where there is no such plane */
    const uint8_t *tu; /* [Hc/4][Wc/4] H264_TU_* */
    const uint8_t *mb_type;     /* [Hc/16][Wc/16] */
    const int8_t *qp[3];        /* [Hc/16][Wc/16] QP_Y, QP_Cb, QP_Cr; 0 for I_PCM */
    const uint8_t *cbp;         /* coded_block_pattern */
    const uint16_t *slice;      /* slice number in the picture, 65535 at most */
    const uint8_t *field;       /* 1 where the macroblock is a field macroblock */
    const uint8_t *concealed;   /* 1 where it was invented, in any colour plane */
    const int8_t *intra_luma;   /* [Hc/4][Wc/4] or NULL */
    const int8_t *intra_chroma; /* [Hc/16][Wc/16] or NULL */
    const int16_t *mv;          /* [2][Hc/4][Wc/4][2] quarter samples, x y; or NULL */
    const int32_t *ref; /* [2][Hc/8][Wc/8] decode_order of the reference frame, -1 none; or NULL */
    const uint32_t *mb_bits;      /* [Hc/16][Wc/16] cost of the macroblock, 1/256 bit */
    const uint32_t *part_bits[5]; /* the same by type and prediction, motion, luma, chroma, QP */
    uint8_t scaling4x4[6][16];    /* scaling lists in force, zig-zag order */
    uint8_t scaling8x8[6][64];
    int32_t decode_order; /* 0, 1, 2 ... in decoding order */
    int32_t poc;          /* PicOrderCnt */
    int picture_type;     /* H264_PICTURE_*: the most general slice type in the picture */
    int keyframe;         /* IDR */
    int recovery_point;   /* a recovery point SEI came with it */
    int concealed_mbs; /* macroblocks not decoded, or predicted from a picture that never came; at
                          least 1 where a slice broke the syntax */
    uint32_t bits;     /* slice data */
    uint32_t bytes;    /* NAL units of the access unit, without start codes or lengths */
    int64_t pts;       /* as given to h264_send() with the first slice; INT64_MIN when none */
} h264_frame;

/* Opens a decoder. H264_OK, H264_NOMEM, H264_BADARG. The caller closes it. One with threads stays
 * with its process: after a fork the other one may only close it. */
int h264_open(h264_decoder **out, const h264_settings *settings);

/* Takes an avcC record (ISO/IEC 14496-15: packets are then length-prefixed) or Annex B parameter
 * sets. H264_OK, H264_CORRUPT, H264_NOMEM. */
int h264_set_extradata(h264_decoder *dec, const uint8_t *data, size_t size);

/* Decodes one packet: NAL units with start codes, or length-prefixed after an avcC record. `pts`
 * belongs to the picture whose first slice is in the packet; INT64_MIN: none. Data are copied as
 * needed. H264_OK: all consumed. H264_AGAIN: nothing consumed, frames wait in h264_receive().
 * H264_UNSUPPORTED, H264_NOMEM: the stream cannot be decoded further; frames so far can be taken.
 * H264_CORRUPT: no usable NAL unit in the packet (decoding may go on with the next). Damage inside
 * a picture is concealed, marked and counted, and is no error. */
int h264_send(h264_decoder *dec, const uint8_t *data, size_t size, int64_t pts);

/* End of stream: the last picture is finished and all frames become available. */
int h264_flush(h264_decoder *dec);

/* Next frame in output order: H264_OK, H264_AGAIN (send more) or H264_END (flushed and empty). */
int h264_receive(h264_decoder *dec, h264_frame *frame);

/* Takes the memory of what is recorded of the frame received last (all of it but the samples) away
 * from the decoder: it stays as it is, also after h264_close(), until memory_free() of memory.h
 * gets it, in any thread. Nobody may write there: a decoder that uses it again relies on what it
 * holds. NULL: there is no such frame, or memory of that size is not kept for that. */
void *h264_take_taps(h264_decoder *dec);

/* One sentence about the last error; "" when there was none. Valid until the next call. */
const char *h264_error_text(const h264_decoder *dec);

/* Both as of the frame received last, when that was the last call of all; else as of everything
 * that was sent. Text of the newest unregistered user data SEI that is plain text (x264 and others
 * sign there); "" when none. */
const char *h264_encoder_text(const h264_decoder *dec);
uint64_t h264_warning_count(const h264_decoder *dec, int warning);
const char *h264_warning_name(int warning);

void h264_close(h264_decoder *dec);

#ifdef __cplusplus
}
#endif
#endif
