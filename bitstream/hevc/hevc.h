/* davd: an HEVC decoder that shows its inside. Public C API.
 *
 * As h264.h: packets in, frames in output order out, and with each frame what the decoder knew
 * while making it. All arrays have the coded size, pic_width_in_luma_samples x
 * pic_height_in_luma_samples; maps have a value per 4x4 luma samples, of the unit that covers them.
 *
 * Clause numbers everywhere in this folder refer to Rec. ITU-T H.265 (08/2021).
 */
#ifndef DAVD_HEVC_H
#define DAVD_HEVC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Return codes. Zero or positive is success. */
enum {
    HEVC_OK = 0,
    HEVC_AGAIN = -1,       /* no frame ready: send more data */
    HEVC_END = -2,         /* no frame left after hevc_flush() */
    HEVC_NOMEM = -3,       /* out of memory, or a picture larger than the limit */
    HEVC_BADARG = -4,      /* the caller's mistake */
    HEVC_CORRUPT = -5,     /* the data break the syntax or a constraint of clause 7.4 */
    HEVC_UNSUPPORTED = -6, /* legal, but not decoded here: hevc_error_text() names the feature */
};

/* What to record beside the decoded samples; maps are always recorded. */
enum {
    HEVC_TAP_PREDICTION = 1,
    HEVC_TAP_RESIDUAL = 2,
    HEVC_TAP_LEVEL = 4,
    HEVC_TAP_MOTION = 8, /* mv, ref, ref_poc */
    HEVC_TAP_BITS = 16,  /* part_bits */
};

/* How to decode. */
enum {
    HEVC_HEADERS =
        1, /* no slice data: frames come in order with their facts, arrays mean nothing */
    HEVC_PATIENT = 2,    /* frames wait for others as long as the buffer may be large, whatever the
                            stream promises */
    HEVC_NO_SAMPLES = 4, /* syntax is all that is decoded: no prediction, residual and samples */
};

/* frame.mode */
enum {
    HEVC_MODE_SKIP,
    HEVC_MODE_INTER,
    HEVC_MODE_INTRA,
    HEVC_MODE_PCM
};

/* frame.tu_kind: what turned the levels of a block into its residual, and or-ed with it how the
 * residual of a skipped or bypassed transform was modified (8.6.2, 8.6.5, 8.6.8) */
enum {
    HEVC_TU_NONE, /* no levels */
    HEVC_TU_DCT,
    HEVC_TU_DST,
    HEVC_TU_SKIP,
    HEVC_TU_BYPASS,
    HEVC_TU_ACROSS = 8, /* RDPCM along rows, implicit or explicit */
    HEVC_TU_DOWN = 16,  /* RDPCM along columns */
    HEVC_TU_TURNED = 32 /* levels of a 4x4 block rotated by 180 degrees */
};

/* frame.part: PartMode, 7.4.9.5 */
enum {
    HEVC_2NX2N,
    HEVC_2NXN,
    HEVC_NX2N,
    HEVC_NXN,
    HEVC_2NXNU,
    HEVC_2NXND,
    HEVC_NLX2N,
    HEVC_NRX2N
};

/* frame.hash: what the decoded picture hash SEI says of decoded[], before cropping */
enum {
    HEVC_HASH_NONE, /* there is none, or the picture was concealed, or has no samples */
    HEVC_HASH_RIGHT,
    HEVC_HASH_WRONG
};

/* Counted oddities of a stream that was decoded all the same. */
enum {
    HEVC_WARN_CONCEALED_CTU,     /* coding tree units that had to be invented */
    HEVC_WARN_CORRUPT_SLICE,     /* slice segments with a syntax error */
    HEVC_WARN_MISSING_REFERENCE, /* reference pictures that never came */
    HEVC_WARN_BAD_PARAMETER_SET, /* parameter sets that broke the syntax, ignored */
    HEVC_WARN_BAD_NAL,           /* NAL units of impossible form, ignored */
    HEVC_WARN_NO_PARAMETER_SET,  /* slice segments that name a set never received */
    HEVC_WARN_DISCARDED_PICTURE, /* pictures that cannot be decoded from where decoding began */
    HEVC_WARN_WRONG_HASH,        /* pictures whose decoded picture hash SEI says otherwise */
    HEVC_WARN_OTHER_LAYER,       /* NAL units of enhancement layers, ignored */
    HEVC_N_WARNINGS
};

typedef struct hevc_decoder hevc_decoder;

typedef struct hevc_settings {
    unsigned taps;       /* HEVC_TAP_* or-ed */
    unsigned how;        /* HEVC_HEADERS, HEVC_PATIENT or-ed */
    uint32_t max_pixels; /* luma samples of the largest picture accepted; 0: level 6.2 */
} hevc_settings;

/* What holds for a whole coded video sequence. */
typedef struct hevc_stream_info {
    int profile_idc, level_idc;
    int coded_width, coded_height;                    /* luma samples */
    int crop_left, crop_right, crop_top, crop_bottom; /* luma samples */
    int chroma_format_idc;                            /* 0 4:0:0, 1 4:2:0, 2 4:2:2, 3 4:4:4 */
    int bit_depth_luma, bit_depth_chroma;             /* 8..16 */
    int matrix_coefficients, colour_primaries, transfer_characteristics; /* Annex E; 2: not said */
    int video_full_range;
    int sar_width, sar_height;              /* 0: not said */
    uint32_t num_units_in_tick, time_scale; /* 0: not said; a picture lasts a tick */
    int field_seq;                          /* every picture is a field */
    int ctu_size;                           /* luma samples */
    int ctu_width, ctu_height;              /* of the picture, coding tree units */
} hevc_stream_info;

/* One picture in output order. Pointers stay valid until the next call with the same decoder.
 * Planes not asked for are NULL. Strides are in bytes; tap planes are packed. */
typedef struct hevc_frame {
    hevc_stream_info info;
    const void *decoded[3]; /* uint8_t, or uint16_t in all planes when either depth is over 8 */
    ptrdiff_t decoded_stride[3];
    const void *prediction[3];   /* type of decoded */
    const void *residual[3];     /* int16_t, or int32_t when either depth is over 8; what 16 bits do
                                    not hold is clipped, which changes no sample */
    const void *level[3];        /* type of residual */
    int width[3], height[3];     /* coded size of each plane; 0 where there is no such plane */
    const uint8_t *cu_size;      /* log2 of the coding block's size */
    const uint8_t *mode;         /* HEVC_MODE_* */
    const uint8_t *part;         /* PartMode; 0 in skipped units */
    const uint8_t *bypass;       /* cu_transquant_bypass_flag */
    const uint8_t *tu_size;      /* log2 of the luma transform block's size; 0: no transform tree */
    const uint8_t *tu_kind[3];   /* HEVC_TU_* of the transform block of each plane */
    const int8_t *res_scale[3];  /* ResScaleVal of Cb and Cr (7.4.9.12); NULL but in 4:4:4 */
    const uint8_t *merge;        /* merge_flag */
    const int8_t *qp[3];         /* QpY, QpCb, QpCr without QpBdOffset */
    const uint8_t *intra_luma;   /* IntraPredModeY; 255 where there is none */
    const uint8_t *intra_chroma; /* IntraPredModeC; 255 where there is none */
    const int16_t *mv;           /* [2][h/4][w/4][2] quarter samples, x y; 0 where unused */
    const int32_t *ref_poc;      /* [2][h/4][w/4] PicOrderCntVal of the reference; INT32_MIN none */
    const int32_t *ref;          /* the same: its decode_order; -1 none, -2 a generated picture */
    /* scaling lists in force, in up-right diagonal order; NULL: all of 16. Matrices Intra Y, Cb,
     * Cr, Inter Y, Cb, Cr */
    const uint8_t *scaling4x4; /* [6][16] */
    const uint8_t *scaling8x8; /* [3: 8x8, 16x16, 32x32][6][64] */
    const uint8_t *scaling_dc; /* [2: 16x16, 32x32][6] */
    const uint32_t *cu_bits;   /* [h/8][w/8] cost of the coding unit in the slice data, 1/256 bit */
    const uint32_t *part_bits[5]; /* the same by type and prediction, motion, luma, chroma, QP */
    /* per coding tree unit, rows of info.ctu_width */
    const uint8_t *ctu_concealed; /* 1: invented, or refers to a picture that never came */
    const uint32_t *ctu_bits;     /* cost in the slice data, 1/256 bit */
    const uint16_t *ctu_slice;    /* number of its slice segment in the picture */
    const uint16_t *ctu_tile;
    const int16_t *ctu_sao; /* [3 planes][6]: type (0 none, 1 band, 2 edge), band position or edge
                               class, four offsets */
    int32_t decode_order, poc;
    int picture_type; /* 0 I, 1 P, 2 B: the most general slice type */
    int keyframe;     /* IRAP picture */
    int concealed_ctus;
    int hash;       /* HEVC_HASH_* */
    uint32_t bits;  /* slice data */
    uint32_t bytes; /* NAL units of the access unit, without start codes or lengths */
    int64_t pts;    /* as given to hevc_send() with the first slice; INT64_MIN when none */
} hevc_frame;

/* Opens a decoder. HEVC_OK, HEVC_NOMEM, HEVC_BADARG. The caller closes it. */
int hevc_open(hevc_decoder **out, const hevc_settings *settings);

/* Takes an hvcC record (ISO/IEC 14496-15: packets are then length-prefixed) or Annex B parameter
 * sets. HEVC_OK, HEVC_CORRUPT, HEVC_NOMEM. */
int hevc_set_extradata(hevc_decoder *dec, const uint8_t *data, size_t size);

/* Decodes one packet; see h264_send(), whose contract this has. */
int hevc_send(hevc_decoder *dec, const uint8_t *data, size_t size, int64_t pts);

/* End of stream: the last picture is finished and all frames become available. */
int hevc_flush(hevc_decoder *dec);

/* Next frame in output order: HEVC_OK, HEVC_AGAIN (send more) or HEVC_END (flushed and empty). */
int hevc_receive(hevc_decoder *dec, hevc_frame *frame);

/* Takes the memory of what is recorded of the frame received last (all of it but the samples and
 * the scaling lists) away from the decoder; see h264_take_taps(), whose contract this has. */
void *hevc_take_taps(hevc_decoder *dec);

/* One sentence about the last error; "" when there was none. Valid until the next call. */
const char *hevc_error_text(const hevc_decoder *dec);

/* Text of the newest unregistered user data SEI that is plain text; "" when none. */
const char *hevc_encoder_text(const hevc_decoder *dec);

uint64_t hevc_warning_count(const hevc_decoder *dec, int warning);
const char *hevc_warning_name(int warning);

void hevc_close(hevc_decoder *dec);

#ifdef __cplusplus
}
#endif
#endif
