/* Every structure and cross-file prototype of the HEVC decoder, in the order of the path: NAL units
 * -> parameter sets -> slice segment header -> reference pictures -> coding tree units ->
 * prediction and residual, with taps -> in-loop filters -> decoded picture buffer. Read hevc.h
 * first.
 *
 * Clauses, tables and names are those of Rec. ITU-T H.265 (08/2021). Syntax elements keep their
 * spelling.
 *
 * Lifetimes: hevc_decoder (stream), picture (frame slot), slice_ctx (slice segment), cu_ctx (coding
 * unit).
 *
 * Note [Maps]. What later blocks, the in-loop filters or the taps need of a block is kept in maps
 * of one value per 4x4 luma samples, `map_stride` values a row; a map entry covers the smallest
 * prediction and transform block, so that no shape is lost.
 *
 * Note [Sample type]. Planes hold uint8_t when both bit depths are 8, else uint16_t. Code that
 * touches samples sits behind the table `kernels`, compiled once per sample type; strides are in
 * bytes everywhere else.
 */
#ifndef DAVD_HEVC_INTERNAL_H
#define DAVD_HEVC_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../coding/arithmetic.h"
#include "../coding/bits.h"
#include "../coding/nal.h"
#include "hevc.h"

enum {
    MAX_VPS = 16,
    MAX_SPS = 16,
    MAX_PPS = 64,
    MAX_REFS = 16,
    MAX_SUB_LAYERS = 7,
    MAX_RPS = 64,    // num_short_term_ref_pic_sets
    MAX_LT_SPS = 32, // num_long_term_ref_pics_sps
    MAX_TILE_COLUMNS = 20,
    MAX_TILE_ROWS = 22,
    MAX_CONTEXTS = 192,
    MAX_PICTURES = 2 * MAX_REFS + 8,
    NO_POC = INT32_MIN,
    NO_MODE = 255, // in the maps of intra modes
};

static inline int imin(const int a, const int b) {
    return a < b ? a : b;
}
static inline int imax(const int a, const int b) {
    return a > b ? a : b;
}
static inline int iclip(const int v, const int lo, const int hi) {
    return v < lo ? lo : v > hi ? hi : v;
}
static inline int iabs(const int v) {
    return v < 0 ? -v : v;
}
static inline int ceil_log2(const uint32_t v) {
    return v <= 1 ? 0 : 32 - bits_leading_zeros(v - 1);
}

enum { // nal_unit_type, Table 7-1
    NAL_TRAIL_N = 0,
    NAL_RADL_N = 6,
    NAL_RADL_R = 7,
    NAL_RASL_N = 8,
    NAL_RASL_R = 9,
    NAL_RSV_VCL_R15 = 15,
    NAL_BLA_W_LP = 16,
    NAL_BLA_N_LP = 18,
    NAL_IDR_W_RADL = 19,
    NAL_IDR_N_LP = 20,
    NAL_CRA = 21,
    NAL_RSV_IRAP_VCL23 = 23,
    NAL_VPS = 32,
    NAL_SPS = 33,
    NAL_PPS = 34,
    NAL_AUD = 35,
    NAL_EOS = 36,
    NAL_EOB = 37,
    NAL_PREFIX_SEI = 39,
    NAL_SUFFIX_SEI = 40,
};

typedef struct nal_unit {
    int nal_unit_type; // 0..63
    int nuh_layer_id, TemporalId;
    bits rbsp; // after the two header bytes, emulation prevention removed
} nal_unit;

static inline bool is_irap(const int nal_unit_type) {
    return nal_unit_type >= NAL_BLA_W_LP && nal_unit_type <= NAL_RSV_IRAP_VCL23;
}
static inline bool is_idr(const int nal_unit_type) {
    return nal_unit_type == NAL_IDR_W_RADL || nal_unit_type == NAL_IDR_N_LP;
}
static inline bool is_rasl(const int nal_unit_type) {
    return nal_unit_type == NAL_RASL_N || nal_unit_type == NAL_RASL_R;
}

// ------------------------------------------------------------------------------- parameter sets

typedef struct rps { // short-term reference picture set, 7.4.8
    int NumNegativePics, NumPositivePics;
    int32_t DeltaPocS0[MAX_REFS], DeltaPocS1[MAX_REFS];
    bool UsedByCurrPicS0[MAX_REFS], UsedByCurrPicS1[MAX_REFS];
} rps;

typedef struct scaling_list { // 7.3.4, in the order the lists are sent (up-right diagonal)
    uint8_t list4x4[6][16];
    uint8_t list8x8[3 /* 8x8, 16x16, 32x32 */][6][64];
    uint8_t dc[2 /* 16x16, 32x32 */][6];
} scaling_list;

typedef struct sps {
    bool valid;
    int sps_seq_parameter_set_id, profile_idc, level_idc, max_sub_layers_minus1;
    int chroma_format_idc;
    bool separate_colour_plane_flag;
    int ChromaArrayType;
    int width, height; // pic_width_in_luma_samples, ...
    int conf_win_left_offset, conf_win_right_offset, conf_win_top_offset, conf_win_bottom_offset;
    int BitDepthY, BitDepthC;
    int log2_max_pic_order_cnt_lsb;                                              // 4..16
    int max_dec_pic_buffering, max_num_reorder_pics, max_latency_increase_plus1; // HighestTid
    int MinCbLog2SizeY, CtbLog2SizeY, MinTbLog2SizeY, MaxTbLog2SizeY;
    int max_transform_hierarchy_depth_inter, max_transform_hierarchy_depth_intra;
    bool scaling_list_enabled_flag, scaling_list_data_present_flag;
    scaling_list scaling;
    bool amp_enabled_flag, sample_adaptive_offset_enabled_flag, pcm_enabled_flag,
        pcm_loop_filter_disabled_flag;
    int PcmBitDepthY, PcmBitDepthC, Log2MinIpcmCbSizeY, Log2MaxIpcmCbSizeY;
    int num_short_term_ref_pic_sets;
    rps sets[MAX_RPS + 1]; // one more: room for that of a slice header
    bool long_term_ref_pics_present_flag;
    int num_long_term_ref_pics_sps;
    uint32_t lt_ref_pic_poc_lsb_sps[MAX_LT_SPS];
    bool used_by_curr_pic_lt_sps_flag[MAX_LT_SPS];
    bool temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag;
    // sps_range_extension()
    bool transform_skip_rotation_enabled_flag, transform_skip_context_enabled_flag,
        implicit_rdpcm_enabled_flag, explicit_rdpcm_enabled_flag,
        extended_precision_processing_flag, intra_smoothing_disabled_flag,
        high_precision_offsets_enabled_flag, persistent_rice_adaptation_enabled_flag,
        cabac_bypass_alignment_enabled_flag;
    const char *unsupported; // name of what the sequence needs and this decoder lacks
    // Annex E
    int sar_width, sar_height, video_full_range_flag, colour_primaries, transfer_characteristics,
        matrix_coeffs;
    bool field_seq_flag;
    uint32_t num_units_in_tick, time_scale;
    // derived
    int PicWidthInCtbs, PicHeightInCtbs, PicWidthInMinTbs, PicHeightInMinTbs;
    int sub_x, sub_y; // log2 of SubWidthC, SubHeightC; 0 also without chroma
} sps;

typedef struct pps {
    bool valid;
    int pps_pic_parameter_set_id, pps_seq_parameter_set_id;
    bool dependent_slice_segments_enabled_flag, output_flag_present_flag,
        sign_data_hiding_enabled_flag, cabac_init_present_flag;
    int num_extra_slice_header_bits;
    int num_ref_idx_default_active[2]; // 1..15
    int init_qp_minus26;
    bool constrained_intra_pred_flag, transform_skip_enabled_flag, cu_qp_delta_enabled_flag;
    int diff_cu_qp_delta_depth;
    int cb_qp_offset, cr_qp_offset;
    bool slice_chroma_qp_offsets_present_flag, weighted_pred_flag, weighted_bipred_flag,
        transquant_bypass_enabled_flag, tiles_enabled_flag, entropy_coding_sync_enabled_flag;
    int num_tile_columns, num_tile_rows;
    bool uniform_spacing_flag;
    int column_width_minus1[MAX_TILE_COLUMNS], row_height_minus1[MAX_TILE_ROWS];
    bool loop_filter_across_tiles_enabled_flag, loop_filter_across_slices_enabled_flag;
    bool deblocking_filter_override_enabled_flag, deblocking_filter_disabled_flag;
    int beta_offset_div2, tc_offset_div2;
    bool scaling_list_data_present_flag;
    scaling_list scaling;
    bool lists_modification_present_flag, slice_segment_header_extension_present_flag;
    int Log2ParMrgLevel;
    // pps_range_extension()
    int Log2MaxTransformSkipSize;
    bool cross_component_prediction_enabled_flag, chroma_qp_offset_list_enabled_flag;
    int diff_cu_chroma_qp_offset_depth, chroma_qp_offset_list_len_minus1;
    int cb_qp_offset_list[6], cr_qp_offset_list[6];
    int log2_sao_offset_scale_luma, log2_sao_offset_scale_chroma;
    const char *unsupported;
} pps;

// Scan conversions of 6.5 and the scaling factors of 7.4.5, for the active sets (tables.c)
typedef struct layout {
    int32_t *CtbAddrRsToTs, *CtbAddrTsToRs, *TileId; // TileId by CtbAddrTs
    int32_t *MinTbAddrZs;                            // [PicHeightInMinTbs][PicWidthInMinTbs]
    uint8_t ScalingFactor[4 /* 4x4 .. 32x32 */][6][32 * 32];
    void *memory;
} layout;

// ------------------------------------------------------------------------------- slice headers

typedef struct slice_header {
    int nal_unit_type, TemporalId;
    bool first_slice_segment_in_pic_flag, no_output_of_prior_pics_flag,
        dependent_slice_segment_flag;
    int slice_segment_address;
    int SliceAddrRs;
    int pps_id;
    int slice_type; // SLICE_B, SLICE_P, SLICE_I
    bool pic_output_flag;
    int slice_pic_order_cnt_lsb;
    rps st;
    int num_long_term; // num_long_term_sps + num_long_term_pics
    int32_t PocLsbLt[MAX_REFS * 2];
    bool UsedByCurrPicLt[MAX_REFS * 2], delta_poc_msb_present_flag[MAX_REFS * 2];
    int32_t DeltaPocMsbCycleLt[MAX_REFS * 2];
    bool slice_temporal_mvp_enabled_flag, slice_sao_luma_flag, slice_sao_chroma_flag;
    int num_ref_idx_active[2]; // 0..15
    bool ref_pic_list_modification_flag[2];
    int list_entry[2][MAX_REFS];
    bool mvd_l1_zero_flag, cabac_init_flag, collocated_from_l0_flag;
    int collocated_ref_idx;
    // pred_weight_table(), with the defaults filled in
    int luma_log2_weight_denom, ChromaLog2WeightDenom;
    int32_t weight[2][MAX_REFS][3], offset[2][MAX_REFS][3]; // offsets in units of the bit depth
    int MaxNumMergeCand;
    int SliceQpY, slice_cb_qp_offset, slice_cr_qp_offset;
    bool cu_chroma_qp_offset_enabled_flag, deblocking_filter_disabled_flag,
        loop_filter_across_slices_enabled_flag;
    int beta_offset_div2, tc_offset_div2;
    int NumPicTotalCurr;
} slice_header;

enum {
    SLICE_B,
    SLICE_P,
    SLICE_I
};

// ------------------------------------------------------------------------------------ pictures

enum {
    PRED_L0 = 1,
    PRED_L1 = 2,
    LONG_L0 = 4, // the reference was marked "used for long-term reference"
    LONG_L1 = 8
};

typedef struct motion { // of a 4x4 luma block
    int16_t mv[2][2];   // [list][x, y], quarter samples; 0 where unused
    int32_t poc[2];     // PicOrderCntVal of the references; NO_POC where unused
    int8_t ref_idx[2];  // -1 where unused
    uint8_t flags;      // PRED_* and LONG_*; 0: intra
} motion;

// cost.c: what the syntax elements of a coding unit cost, 1/256 bit
enum {
    COST_TYPE, // split and skip flags, modes, partitions, the transform tree
    COST_MOTION,
    COST_LUMA,
    COST_CHROMA,
    COST_QP,
    N_COSTS
};

/* Note [Zero bands]. Residual and level are zero nearly everywhere. Of every coding tree block it
 * is known which of its eight bands, of as many rows each, hold nothing but zeros, so that a buffer
 * that is used again is cleared where an earlier picture wrote and this one does not. A bit that
 * got lost only costs time: memory that was freed may have become zero in pages. */
enum {
    LOG2_BANDS = 3,
    ALL_BANDS = 255
};

typedef struct taps {
    void *prediction[3];
    void *residual[3], *level[3];        // int16_t where the samples are uint8_t, else int32_t
    uint8_t *zero_residual, *zero_level; // [PicSizeInCtbsY][3 planes], Note [Zero bands]
    uint8_t *cu_size, *mode, *part, *bypass, *tu_size, *tu_kind[3], *merge, *intra_luma,
        *intra_chroma;
    uint32_t *cu_bits, *part_bits[N_COSTS]; // part_bits: NULL when not asked for
    uint8_t *ctu_concealed;
    int8_t *qp[3], *res_scale[3]; // res_scale: 4:4:4 only, and not of luma
    bool scaled;                  // scaling_list_enabled_flag
    scaling_list scaling;
    int16_t *mv;
    int32_t *ref_poc, *ref;
    uint32_t *ctu_bits;
    uint16_t *ctu_slice, *ctu_tile;
    int16_t *ctu_sao;
    void *memory;
    size_t size;
    struct taps *next;
} taps;

// Where coding tree units are recorded: in the picture's planes, or in a group's
typedef struct tap_target {
    uint8_t *prediction[3], *residual[3], *level[3]; // NULL: not asked for
    size_t width[3];                                 // samples from row to row
    int x_mask[3], y_mask[3]; // what counts of a sample's place, of which there may be several
    uint8_t *zero_residual, *zero_level; // of the current unit: [3 planes], Note [Zero bands]
} tap_target;

enum {
    GROUP_WIDTH = 128, // luma samples: chroma of 8 bits and 4:2:0 fills a cache line
    GROUP_UNITS = GROUP_WIDTH / 8
};

typedef struct tap_group { // Note [Taps by groups] in tap_group.c
    bool used;
    int first, end; // CtbAddrInRs of its units
    uint8_t *prediction[3], *residual[3], *level[3];
    uint8_t zero_residual[GROUP_UNITS][3], zero_level[GROUP_UNITS][3];
} tap_group;

typedef enum marking {
    UNUSED,
    SHORT_TERM,
    LONG_TERM
} marking;

typedef struct picture {
    uint8_t *plane[3];
    ptrdiff_t stride[3];
    motion *motion; // Note [Maps]
    taps *taps;     // until output; NULL in generated pictures
    int32_t poc, decode_order;
    marking reference;
    bool needed_for_output, in_dpb, current, queued, locked, keyframe;
    int latency; // pictures that followed it in decoding order
    int picture_type, concealed_ctus, hash;
    uint64_t cost; // of its slice data, 1/256 bit
    uint32_t bytes;
    uint32_t geometry;
    int64_t pts;
    void *memory;
    hevc_stream_info info;
} picture;

// ------------------------------------------------------------------------------- slice decoding

typedef struct sao {
    uint8_t type[3]; // 0 none, 1 band, 2 edge
    uint8_t band_position[3], eo_class[3];
    int16_t offset[3][4]; // SaoOffsetVal[1..4]
} sao;

// What the in-loop filters need of a slice
typedef struct slice_filter {
    bool deblocking_disabled, across_slices;
    int8_t beta_offset, tc_offset; // in units of the tables (div2 times 2)
    int32_t SliceAddrRs;
} slice_filter;

enum { // edges of a 4x4 block, decoder.edges
    EDGE_LEFT_TU = 1,
    EDGE_TOP_TU = 2,
    EDGE_LEFT_PU = 4,
    EDGE_TOP_PU = 8,
    CODED_LUMA = 16, // its luma transform block has levels
    NO_FILTER = 32,  // bypassed, or PCM with pcm_loop_filter_disabled_flag
};

typedef struct contexts {
    uint8_t state[MAX_CONTEXTS];
    uint8_t StatCoeff[4];
} contexts;

typedef struct ref_list {
    picture *pic[MAX_REFS];
    int32_t poc[MAX_REFS];
    bool long_term[MAX_REFS];
} ref_list;

// Residual of one transform block while it is made
typedef struct residual_block {
    int cIdx, log2, x, y; // x, y: samples of its plane
    bool transform_skip_flag, explicit_rdpcm_flag, explicit_rdpcm_dir_flag;
    int intra_mode;    // predModeIntra of the block, NO_MODE in inter units
    int columns, rows; // all levels are in the first ones; multiples of 4, or 0
    bool only_dc;      // no level but the first
} residual_block;

typedef struct cu_ctx {
    int x, y, log2; // coding block, luma samples
    bool bypass, intra, skip, pcm;
    int PartMode;
    int MaxTrafoDepth;
    bool IntraSplitFlag;
    uint8_t IntraPredModeY[4], IntraPredModeC[4], intra_chroma_pred_mode[4];
    bool merge_flag; // of the first prediction unit
    // 7.4.9.14
    bool IsCuQpDeltaCoded, IsCuChromaQpOffsetCoded;
    int CuQpDeltaVal, CuQpOffsetCb, CuQpOffsetCr;
    int qPY_PRED, QpY, last_QpY; // last_QpY: of the previous coding unit in decoding order
    int xQg, yQg;
    bool first_qg; // the next quantization group is the first of a slice, tile or wavefront row
} cu_ctx;

typedef struct cost {
    uint64_t mark;          // position up to which all has been counted
    uint32_t part[N_COSTS]; // of the coding unit so far
    bool detailed;
} cost;

typedef struct slice_ctx {
    slice_header hdr;
    const sps *sps;
    const pps *pps;
    ref_list list[2];
    const picture *collocated; // NULL: none
    bool NoBackwardPredFlag;
    picture *pic;
    cabac_engine engine;
    contexts ctx, wpp, ds; // now; after the second CTU of a row; at the end of a slice segment
    int CtbAddrInRs, CtbAddrInTs;
    int slice_index;     // into decoder.filters
    const uint8_t *data; // where the slice data begin
    bool has_lists;      // the slice's reference picture lists are made, for its dependent segments
    bool error;          // the syntax is broken: the slice segment ends
    cu_ctx cu;
    cost cost;
    int32_t coeff[32 * 32];         // levels, then scaled coefficients; zero between blocks
    int32_t residual[32 * 32];      // of the block
    int32_t luma_residual[32 * 32]; // rY, for cross-component prediction
    bool luma_residual_set;
} slice_ctx;

// ------------------------------------------------------------------------------- sample kernels

typedef struct weights { // 8.5.3.3.4.3: explicit weighted prediction of one component
    int log2WD, w[2], o[2];
} weights;

enum {
    PREDICTION_STRIDE = 64 // of 14 bit predictions, values a row
};

typedef struct kernels {
    int sample_size; // 1 or 2
    // 8.4.4.2: border holds 4 * n + 1 neighbours, p[-1][2n-1] first, corner at [2n]; values as int
    void (*intra)(void *dst, ptrdiff_t stride, const uint16_t *border, int log2, int mode, int cIdx,
                  bool edge_filter, int depth);
    void (*gather)(uint16_t *to, const void *from, ptrdiff_t step, int n); // samples, step in bytes
    // 8.6.4.2: scaled coefficients, of 16 bits, to a residual, n x n packed; all but the first rows
    // and columns, multiples of four, are zero. 4x4, 8x8, 16x16, 32x32
    void (*inverse_dct[4])(const int32_t *coeff, int32_t *residual, int columns, int rows,
                           int depth);
    void (*inverse_dst)(const int32_t *coeff, int32_t *residual, int depth);
    // dst += residual, with clipping; residual n x n packed
    void (*add)(void *dst, ptrdiff_t stride, const int32_t *residual, int n, int depth);
    // 8.5.3.3.3: w x h samples at an integer place with a fraction (quarters, eighths), 14 bit
    void (*luma)(int16_t *to, const void *src, ptrdiff_t stride, int w, int h, int fx, int fy,
                 int depth);
    void (*chroma)(int16_t *to, const void *src, ptrdiff_t stride, int w, int h, int fx, int fy,
                   int depth);
    // w x h samples as they are
    void (*copy)(void *dst, ptrdiff_t stride, const void *src, ptrdiff_t src_stride, int w, int h);
    // 8.5.3.3.4.2: from one or two predictions (b NULL: one) to samples
    void (*average)(void *dst, ptrdiff_t stride, const int16_t *a, const int16_t *b, int w, int h,
                    int depth);
    // 8.5.3.3.4.3: the same with explicit weights
    void (*weigh)(void *dst, ptrdiff_t stride, const int16_t *a, const int16_t *b, int w, int h,
                  const weights *wt, int depth);
    // A block with clamped coordinates, into `to` of stride bytes
    void (*patch)(void *to, ptrdiff_t to_stride, const void *plane, ptrdiff_t stride, int width,
                  int height, int x, int y, int w, int h);
    // 8.7.2.5: four lines of an edge; step: from sample to sample across it, line: along it (bytes)
    void (*deblock_luma)(void *q0, ptrdiff_t step, ptrdiff_t line, int beta, int tc, bool keep_p,
                         bool keep_q, int depth);
    void (*deblock_chroma)(void *q0, ptrdiff_t step, ptrdiff_t line, int n, int tc, bool keep_p,
                           bool keep_q, int depth);
    // 8.7.3, w samples of a row
    void (*sao_band)(void *dst, const void *src, int w, const int16_t table[32], int depth);
    void (*sao_edge)(void *dst, const void *src, ptrdiff_t a, ptrdiff_t b, int w,
                     const int16_t offset[5], int depth);
} kernels;

// ------------------------------------------------------------------------------------- decoder

typedef struct hash_sei {
    bool present;
    int type; // 0 MD5, 1 CRC, 2 checksum
    uint8_t digest[3][16];
} hash_sei;

struct hevc_decoder {
    hevc_settings settings;
    char error_text[256];
    char encoder_text[1024];
    uint64_t warnings[HEVC_N_WARNINGS];
    int nal_length_size; // 0: Annex B
    sps *sps[MAX_SPS];   // owned; NULL: never received
    pps *pps[MAX_PPS];
    sps active_sps;
    pps active_pps;
    layout lay;
    hevc_stream_info info;
    kernels kernels;
    const kernels *k;
    uint32_t geometry;
    int width[3], height[3]; // planes, samples
    int map_stride, map_height;
    size_t ctbs; // PicSizeInCtbsY
    // of the current picture
    picture *cur;
    tap_target tap;
    tap_group group;
    uint8_t *edges;      // Note [Maps]
    uint8_t *deblocked_; // scratch of SAO: a copy of the deblocked planes
    sao *sao;            // [PicSizeInCtbs]
    int32_t *ctb_slice;  // slice_index by CtbAddrRs; -1: not decoded
    slice_filter *filters;
    int n_filters, filters_capacity;
    void *picture_memory;
    slice_ctx slice;
    // stream level
    rbsp_buffer rbsp;
    uint8_t *rest;
    size_t rest_pos, rest_size, rest_capacity;
    int64_t pts;
    uint32_t pending_bytes; // of NAL units before a picture begins
    int nal_unit_type;
    int failure;
    bool flushing;
    picture *pictures[MAX_PICTURES];
    int n_pictures;
    taps *free_taps;
    picture *dpb[MAX_PICTURES];
    int n_dpb;
    picture *queue[MAX_PICTURES];
    int queue_length;
    picture *lent;
    int32_t next_decode_order;
    int32_t prev_tid0_poc;
    bool after_eos;        // the next picture begins a coded video sequence
    bool NoRaslOutputFlag; // of the last IRAP picture
    bool started;
    bool slice_error;
    hash_sei hash;
    picture *RefPicSetStCurrBefore[MAX_REFS], *RefPicSetStCurrAfter[MAX_REFS],
        *RefPicSetLtCurr[MAX_REFS];
    int NumPocStCurrBefore, NumPocStCurrAfter, NumPocLtCurr;
};

// error.c: notes what went wrong; returns code
int hevc_error(hevc_decoder *dec, int code, const char *format, ...);

// nal.c: data[0..size) is one NAL unit without start code
int hevc_nal_parse(hevc_decoder *dec, const uint8_t *data, size_t size, nal_unit *nal);
bool hevc_nal_next(hevc_decoder *dec, const uint8_t *data, size_t size, size_t *pos,
                   const uint8_t **nal, size_t *nal_size);

// params.c, 7.3.2; a set that breaks the syntax is counted and ignored. HEVC_OK, HEVC_NOMEM
int hevc_parse_sps(hevc_decoder *dec, bits *b);
int hevc_parse_pps(hevc_decoder *dec, bits *b);
bool hevc_parse_rps(bits *b, rps *sets, int idx, int num, int max_pics); // 7.3.7
void hevc_scaling_default(scaling_list *s);
bool hevc_parse_scaling_list(bits *b, scaling_list *s, int chroma_format_idc); // 7.3.4

// tables.c
int hevc_layout_init(layout *lay, const sps *s, const pps *p); // HEVC_OK, HEVC_NOMEM, HEVC_CORRUPT
extern const uint8_t hevc_scan_4x4[3 /* scanIdx */][16][2];    // x, y
extern const uint8_t hevc_scan_2x2[3][4][2];
extern const uint8_t hevc_scan_8x8[3][64][2];
extern const uint8_t hevc_QpC[58];  // ChromaArrayType 1
extern const motion hevc_no_motion; // of intra blocks

// sei.c
void hevc_parse_sei(hevc_decoder *dec, bits *b, bool suffix);
void hevc_check_hash(hevc_decoder *dec, picture *pic);

// slice.c, 7.3.6: HEVC_OK, HEVC_CORRUPT
int hevc_parse_slice_header(hevc_decoder *dec, const nal_unit *nal, bits *b, slice_header *h,
                            const sps **s, const pps **p);

// refs.c
int32_t hevc_poc(hevc_decoder *dec, const slice_header *h, const sps *s); // 8.3.1
int hevc_reference_picture_set(hevc_decoder *dec, const slice_header *h); // 8.3.2, 8.3.3
int hevc_ref_lists(hevc_decoder *dec);                                    // 8.3.4

// dpb.c, C.5.2
void hevc_dpb_flush(hevc_decoder *dec, bool output);
void hevc_dpb_before(hevc_decoder *dec);
void hevc_dpb_after(hevc_decoder *dec);

// picture.c
int hevc_activate(hevc_decoder *dec, const sps *s);
picture *hevc_picture_get(hevc_decoder *dec);
void hevc_picture_release(hevc_decoder *dec, picture *pic);
int hevc_taps_get(hevc_decoder *dec, picture *pic);
void *hevc_taps_take(picture *pic); // their memory, the caller's from now on; NULL: they stay
void hevc_picture_grey(hevc_decoder *dec, picture *pic);
void hevc_pictures_free(hevc_decoder *dec);
void hevc_frame_fill(const picture *pic, hevc_frame *f);

// sequence.c
int hevc_decode_slice_nal(hevc_decoder *dec, nal_unit *nal);
void hevc_finish_picture(hevc_decoder *dec);
void hevc_end_sequence(hevc_decoder *dec);
int hevc_decode_nal(hevc_decoder *dec, nal_unit *nal);
bool hevc_ends_access_unit(int nal_unit_type); // 7.4.2.4.4: it comes after the slices of its own

// contexts.c, 9.3
void hevc_contexts_init(contexts *c, int initType, int SliceQpY);

// ctu.c, 7.3.8
void hevc_decode_slice_data(hevc_decoder *dec, const bits *b);

// cost.c: hevc_cost_begin() before the first coding unit of a tree, hevc_cost_unit() after each;
// what is read between two calls belongs to the part (COST_*) that the second names
void hevc_cost_begin(slice_ctx *c);
void hevc_cost_unit(hevc_decoder *dec);
void hevc_cost_part_now(slice_ctx *c, int part);
void hevc_cost_part_until(slice_ctx *c, int part, uint64_t until); // a position in 1/256 bit
static inline void hevc_cost_part(slice_ctx *const c, const int part) {
    if (CORE_UNLIKELY(c->cost.detailed))
        hevc_cost_part_now(c, part);
}

// tables.c: are samples of another coding tree block available? of the same slice and tile
bool hevc_block_available(const hevc_decoder *dec, int ctb);

// residual.c, 7.3.8.11 and 8.6: parses a block into slice.coeff and reconstructs it into
// slice.residual; false when the syntax breaks
bool hevc_residual_coding(hevc_decoder *dec, residual_block *r, bool coded, int res_scale);
int hevc_chroma_qp(const slice_ctx *c, int cIdx, int QpY); // 8.6.1: QpCb, QpCr without QpBdOffsetC

// mv.c, 8.5.3.2
typedef struct pu_ctx {
    int x, y, w, h, partIdx;
} pu_ctx;
void hevc_merge_motion(hevc_decoder *dec, const pu_ctx *pu, int merge_idx, motion *m);
void hevc_mv_predict(hevc_decoder *dec, const pu_ctx *pu, int list, int refIdx, int mvp_flag,
                     int16_t mv[2]);

// inter.c, 8.5.3.3
void hevc_predict_inter(hevc_decoder *dec, const pu_ctx *pu, const motion *m);

// intra.c, 8.4.4.2
void hevc_predict_intra(hevc_decoder *dec, int cIdx, int x, int y, int log2, int mode);

// taps.c
void hevc_tap_picture(
    const hevc_decoder *dec);            // motion, and what there is of each coding tree unit
void hevc_tap_planes(hevc_decoder *dec); // units are recorded in the planes of the current picture
int hevc_log2_band(const hevc_decoder *dec, int cIdx); // of its rows, Note [Zero bands]
void hevc_tap_prediction(const hevc_decoder *dec, int cIdx, int x, int y, int w, int h);
void hevc_tap_residual(const hevc_decoder *dec, int cIdx, int x, int y, int n, const int32_t *r);
void hevc_tap_level(const hevc_decoder *dec, const residual_block *r, const int32_t *level);
// forgets what is known of a coding tree unit of the picture before, or of a broken slice segment
void hevc_tap_unit(hevc_decoder *dec, int ctb);
void hevc_tap_transform(const hevc_decoder *dec, const residual_block *r, int kind, int res_scale);

// tap_group.c: before and after the units of a slice segment; before a unit
void hevc_tap_group_begin(hevc_decoder *dec);
void hevc_tap_group_unit(hevc_decoder *dec, int ctb);
void hevc_tap_group_end(hevc_decoder *dec);

// deblock.c, sao.c
void hevc_deblock_picture(hevc_decoder *dec);
void hevc_sao_picture(hevc_decoder *dec);

// conceal.c
void hevc_conceal_picture(hevc_decoder *dec);

// kernels.c; simd/kernels_avx2.c: false where the processor lacks it
void hevc_kernels(kernels *k, int sample_size);
bool hevc_kernels_avx2(kernels *k, int sample_size);
void hevc_kernels_plain(kernels *k, int sample_size);
// simd/inter_avx2.c, simd/transform_avx2.c, simd/deblock_avx2.c: where the processor has it
void hevc_kernels_inter_avx2(kernels *k);
void hevc_kernels_transform_avx2(kernels *k);
void hevc_kernels_deblock_avx2(kernels *k);

static inline uint8_t *hevc_sample(const hevc_decoder *const dec, const picture *const pic,
                                   const int cIdx, const int x, const int y) {
    return pic->plane[cIdx] + y * pic->stride[cIdx] + (ptrdiff_t)x * dec->k->sample_size;
}
static inline bool hevc_makes_samples(const hevc_decoder *const dec) {
    return !(dec->settings.how & HEVC_NO_SAMPLES);
}
static inline int hevc_depth(const sps *const s, const int cIdx) {
    return cIdx == 0 ? s->BitDepthY : s->BitDepthC;
}
static inline int hevc_map(const hevc_decoder *const dec, const int x, const int y) {
    return (y >> 2) * dec->map_stride + (x >> 2);
}
// 6.4.1
static inline bool hevc_available(const hevc_decoder *const dec, const int xCurr, const int yCurr,
                                  const int xN, const int yN) {
    const sps *const s = &dec->active_sps;
    if (xN < 0 || yN < 0 || xN >= s->width || yN >= s->height)
        return false;
    const int d = s->MinTbLog2SizeY, w = s->PicWidthInMinTbs, c = s->CtbLog2SizeY;
    const int32_t *const zs = dec->lay.MinTbAddrZs;
    if (zs[(yN >> d) * w + (xN >> d)] > zs[(yCurr >> d) * w + (xCurr >> d)])
        return false;
    const int ctb = (yN >> c) * s->PicWidthInCtbs + (xN >> c);
    return ctb == dec->slice.CtbAddrInRs || hevc_block_available(dec, ctb);
}
// A rectangle of a map of bytes, luma samples
static inline void hevc_map_fill(const hevc_decoder *const dec, uint8_t *const map, const int x,
                                 const int y, const int w, const int h, const int value) {
    const uint64_t many = (uint64_t)(uint8_t)value * UINT64_C(0x0101010101010101);
    uint8_t *row = map + hevc_map(dec, x, y);
    for (int r = h >> 2; r > 0; r--, row += dec->map_stride) {
        switch (w >> 2) { // nearly always a power of 2, for which a store is quicker than a call
        case 1: *row = (uint8_t)value; break;
        case 2: memcpy(row, &many, 2); break;
        case 4: memcpy(row, &many, 4); break;
        case 8: memcpy(row, &many, 8); break;
        case 16:
            memcpy(row, &many, 8);
            memcpy(row + 8, &many, 8);
            break;
        default: memset(row, value, (size_t)(w >> 2));
        }
    }
}
static inline void hevc_motion_fill(const hevc_decoder *const dec, const int x, const int y,
                                    const int w, const int h, const motion *const m) {
    motion *row = dec->cur->motion + hevc_map(dec, x, y);
    for (int r = 0; r < h; r += 4, row += dec->map_stride)
        for (int i = 0; i < w >> 2; i++)
            row[i] = *m;
}

#endif
