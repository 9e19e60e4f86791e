/* Every structure and cross-file prototype of the decoder, in the order of the path:
 * NAL -> parameter sets -> slice header -> reference lists -> macroblock syntax -> reconstruction
 * with taps
 * -> deblocking -> decoded picture buffer. Read h264.h first.
 *
 * Clauses, tables and names are those of Rec. ITU-T H.264 (08/2021). Syntax elements keep their
 * spelling.
 *
 * Lifetimes: h264_decoder (stream), picture (frame slot), slice_ctx (slice), mb_ctx (macroblock).
 *
 * Note [Macroblock addresses]. Everything kept per macroblock (mb_info, mb_motion, tap maps) is
 * indexed by mb_x + mb_row * PicWidthInMbs, where mb_row is the row of the *frame's* macroblock
 * map: in frame macroblocks the row on screen; for a field macroblock (MBAFF field pair, or any
 * macroblock of a field picture) 2 * pair row + parity. The priors file uses the same order.
 *
 * Note [Colour planes]. With separate_colour_plane_flag a picture is three monochrome ones, which
 * have nothing in common but the list of references. h264_select_colour_plane() exchanges the
 * pointers to samples, macroblocks, motion and taps, so that the macroblock layer, concealment and
 * deblocking see one of them as luma. Between slices, luma is selected.
 *
 * Note [Sample type]. Planes hold uint8_t when both bit depths are 8, else uint16_t. Code that
 * touches samples sits behind the function table `kernels`, compiled once per sample type; strides
 * are in bytes everywhere else.
 */
#ifndef DAVD_INTERNAL_H
#define DAVD_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../coding/arithmetic.h"
#include "../coding/bits.h"
#include "../coding/compiler.h"
#include "../coding/threads.h"
#include "h264.h"

// Intrinsics of x86 and a second build of hot functions for AVX2; everything has a plain C twin.
// -DH264_NO_SIMD: only that; -DH264_HAS_AVX2=0: no AVX2.
#if defined(__GNUC__) && defined(__SSE2__) && !defined(H264_NO_SIMD)
#define H264_X86_SIMD 1
#define H264_TARGET_AVX2 __attribute__((target("avx2")))
#ifndef H264_HAS_AVX2
#define H264_HAS_AVX2 __builtin_cpu_supports("avx2")
#endif
#else
#define H264_X86_SIMD 0
#endif

enum {
    H264_CACHE_LINE = 64, // bytes; hints assume it, nothing else does
    MAX_SPS = 32,
    MAX_PPS = 256,
    MAX_REFS = 32, // entries of a reference list (fields)
    MAX_DPB_FRAMES = 16,
    MAX_SLICE_GROUPS = 8,
    MAX_MMCO = 66,
};

enum { // "no reference" wherever picture uids are kept
    NO_UID = -1
};

enum { // no QP_Y
    NO_QP = INT_MIN
};

CORE_INLINE int imin(const int a, const int b) {
    return a < b ? a : b;
}
CORE_INLINE int imax(const int a, const int b) {
    return a > b ? a : b;
}
CORE_INLINE int iclip(const int v, const int lo, const int hi) {
    return v < lo ? lo : v > hi ? hi : v;
}

// ------------------------------------------------------------------------------- NAL units (nal.c)

enum { // nal_unit_type, Table 7-1
    NAL_SLICE = 1,
    NAL_DPA = 2,
    NAL_DPB = 3,
    NAL_DPC = 4,
    NAL_IDR = 5,
    NAL_SEI = 6,
    NAL_SPS = 7,
    NAL_PPS = 8,
    NAL_AUD = 9,
    NAL_END_SEQ = 10,
    NAL_END_STREAM = 11,
    NAL_FILLER = 12,
    NAL_SPS_EXT = 13,
    NAL_PREFIX = 14,
    NAL_SUBSET_SPS = 15,
    NAL_AUX_SLICE = 19,
    NAL_SLICE_EXT = 20,
    NAL_DEPTH_SLICE_EXT = 21,
};

typedef struct nal_unit {
    int nal_ref_idc;   // 0..3
    int nal_unit_type; // 0..31
    uint32_t size;     // bytes, as sent, start code or length not counted
    bits rbsp;         // after the header byte, emulation prevention removed
} nal_unit;

// ---------------------------------------------------------------- parameter sets (params.c, 7.3.2)

typedef struct sps {
    bool valid;
    int profile_idc, constraint_flags, level_idc, seq_parameter_set_id;
    int chroma_format_idc; // 0..3
    bool separate_colour_plane_flag;
    int ChromaArrayType;      // 0 when colour planes are separate
    int BitDepthY, BitDepthC; // 8..14
    bool qpprime_y_zero_transform_bypass_flag;
    bool seq_scaling_matrix_present_flag;
    uint8_t ScalingList4x4[6][16]; // zig-zag order, fall-back rule A applied; flat 16 when absent
    uint8_t ScalingList8x8[6][64];
    int log2_max_frame_num;         // 4..16
    int pic_order_cnt_type;         // 0..2
    int log2_max_pic_order_cnt_lsb; // 4..16
    bool delta_pic_order_always_zero_flag;
    int32_t offset_for_non_ref_pic, offset_for_top_to_bottom_field;
    int num_ref_frames_in_pic_order_cnt_cycle; // 0..255
    int32_t offset_for_ref_frame[255];
    int max_num_ref_frames; // 0..16
    bool gaps_in_frame_num_value_allowed_flag;
    int PicWidthInMbs, PicHeightInMapUnits, FrameHeightInMbs;
    bool frame_mbs_only_flag, mb_adaptive_frame_field_flag, direct_8x8_inference_flag;
    int frame_crop_left_offset, frame_crop_right_offset, frame_crop_top_offset,
        frame_crop_bottom_offset;
    // Annex E
    int sar_width, sar_height;
    int video_full_range_flag, colour_primaries, transfer_characteristics, matrix_coefficients;
    uint32_t num_units_in_tick, time_scale;
    bool bitstream_restriction_flag;
    int max_num_reorder_frames, max_dec_frame_buffering;
} sps;

// The end of a PPS, whose number of scaling lists depends on the SPS. Fall-back rules (Table 7-2)
// are applied on activation.
typedef struct pps_extension {
    bool valid, transform_8x8_mode_flag, pic_scaling_matrix_present_flag;
    uint8_t list_present[12]; // 0 absent, 1 sent, 2 "use default"
    uint8_t sent4x4[6][16], sent8x8[6][64];
    int second_chroma_qp_index_offset;
} pps_extension;

typedef struct pps {
    bool valid;
    int pic_parameter_set_id, seq_parameter_set_id;
    bool entropy_coding_mode_flag, bottom_field_pic_order_in_frame_present_flag;
    int num_slice_groups;     // 1..8
    int slice_group_map_type; // 0..6
    int run_length_minus1[MAX_SLICE_GROUPS], top_left[MAX_SLICE_GROUPS],
        bottom_right[MAX_SLICE_GROUPS];
    bool slice_group_change_direction_flag;
    int slice_group_change_rate;
    uint8_t *slice_group_id; // type 6, owned; NULL otherwise
    int pic_size_in_map_units;
    int num_ref_idx_default_active[2]; // 1..32
    bool weighted_pred_flag;
    int weighted_bipred_idc;       // 0..2
    int pic_init_qp, pic_init_qs;  // 26 + the syntax element
    int chroma_qp_index_offset[2]; // Cb, Cr (that of Cr: on activation); -12..12
    bool deblocking_filter_control_present_flag, constrained_intra_pred_flag,
        redundant_pic_cnt_present_flag;
    pps_extension extension[2];   // as read for chroma_format_idc 0 to 2, and for 3
    bool transform_8x8_mode_flag; // on activation
} pps;

// LevelScale4x4 and LevelScale8x8 (8.5.9) for the lists in force, times nothing: weightScale *
// normAdjust.
typedef struct level_scale {
    uint8_t ScalingList4x4[6][16], ScalingList8x8[6][64]; // zig-zag order; key of this cache
    int32_t s4x4[6 /* list */][6 /* qP % 6 */][16];       // raster order: row * 4 + column
    int32_t s8x8[6][6][64];                               // raster order: row * 8 + column
} level_scale;

// -------------------------------------------------------------------------------- pictures (dpb.c)

enum {
    TOP_FIELD = 1,
    BOTTOM_FIELD = 2,
    FRAME = 3
};

// What later pictures (temporal direct) and the deblocking filter need of a macroblock's motion.
typedef struct mb_motion {
    // [list][4x4 block in raster order][x, y], quarter samples; 0 where unused
    int16_t mv[2][16][2];
    // [list][8x8 quarter]: uid of the reference frame, NO_UID none; see picture.uid
    int32_t uid[2][4];
    int8_t ref_idx[2][4];    // -1 none. Intra: all -1
    int8_t ref_parity[2][4]; // structure of the reference: FRAME, TOP_FIELD, BOTTOM_FIELD; 0 none
} mb_motion;

// Tap buffers of a picture waiting for output; taps.c alone writes them.
typedef struct taps {
    void *prediction[3], *residual[3], *level[3]; // NULL when not asked for
    uint8_t *tu, *mb_type, *cbp, *field, *concealed;
    int8_t *qp[3];
    uint16_t *slice;
    struct taps *luma; // Note [Colour planes]: the first of three in an array, or the only one
    uint8_t *zero;     // [PicSizeInMbs] what of residual and level of the macroblock is all zero:
                       // Note [Touched parts] in taps.c
    int8_t *intra_luma, *intra_chroma;
    int16_t *mv;
    int32_t *ref;
    uint32_t *bits, *part[5 /* COST_* */]; // part: NULL when not asked for
    void *memory;                          // one block holds them all
    size_t size;
    struct taps *next; // free list
} taps;

enum {
    ENCODER_TEXT = 1024,   // bytes
    ALL_ROWS = INT_MAX / 2 // of a picture that is finished
};

enum { // parts of a macroblock: Note [Touched parts] in taps.c
    LUMA_PARTS = 15,
    LUMA_UPPER = 3,
    LUMA_LOWER = 12,
    CHROMA_PART = 16, // of Cb; that of Cr is the next bit
    ALL_PARTS = 63,
    IN_PICTURE = 64 // its prediction is: Note [Taps by rows] in tap_rows.c
};

typedef struct picture {
    uint8_t *plane[3];   // samples of the frame, fields interleaved
    ptrdiff_t stride[3]; // bytes between frame rows
    mb_motion *motion;   // [PicSizeInMbs], Note [Macroblock addresses]
    uint8_t *mb_field;   // [PicSizeInMbs] 1 for field macroblocks
    // Note [Colour planes]: where plane[0], motion and mb_field are when none is selected
    uint8_t *luma;
    mb_motion *luma_motion;
    uint8_t *luma_mb_field;
    taps *taps;  // until output; NULL afterwards and in non-existing frames
    int32_t uid; // decode_order >= 0 of a decoded frame; <= -2 and unique for a non-existing one
    bool field_pair; // coded as (complementary) fields
    bool mbaff;
    int fields_decoded; // TOP_FIELD | BOTTOM_FIELD bits
    int32_t TopFieldOrderCnt, BottomFieldOrderCnt, PicOrderCnt;
    // marking, 8.2.5
    int short_ref, long_ref; // bits TOP_FIELD | BOTTOM_FIELD
    int frame_num, FrameNumWrap, LongTermFrameIdx;
    bool non_existing, is_reference, is_idr, mmco5,
        recovery_point; // is_reference: nal_ref_idc of its first field != 0
    bool first_shown;   // decoding began without an IDR picture, and is exact from this one on
    // Who holds the slot; it is free when nobody does. locked: lent to the caller of h264_receive()
    bool current, in_dpb, needed_for_output, queued, locked;
    int users;        // workers whose picture it is, or that may read it
    shared_int ready; // Note [Pictures side by side]: luma rows that are finished
    int awaited;      // rows with which somebody who waits can go on; guarded by progress.lock
    // As of when it was queued: pictures given to workers, and what h264.h says of them
    int begun_before;
    uint64_t warnings[H264_N_WARNINGS];
    char encoder_text[ENCODER_TEXT];
    uint32_t geometry;             // of the sequence it was allocated for: see picture.c
    struct picture_memory *memory; // planes, motion and mb_field; see picture.c
    int picture_type, concealed_mbs;
    uint64_t cost;  // of its slice data, 1/256 bit
    uint32_t bytes; // of its NAL units
    int64_t pts;
    uint8_t ScalingList4x4[6][16], ScalingList8x8[6][64];
    h264_stream_info info;
} picture;

// ------------------------------------------------------------------- slice header (slice.c, 7.3.3)

enum {
    SLICE_P,
    SLICE_B,
    SLICE_I,
    SLICE_SP,
    SLICE_SI
}; // slice_type % 5

typedef struct ref_list_mod {
    uint8_t idc;
    uint32_t value;
} ref_list_mod; // modification_of_pic_nums_idc and its operand

typedef struct mmco_op {
    int op;
    uint32_t difference_of_pic_nums_minus1, long_term_pic_num, long_term_frame_idx,
        max_long_term_frame_idx_plus1;
} mmco_op;

typedef struct slice_header {
    int nal_ref_idc, nal_unit_type;
    bool IdrPicFlag;
    uint32_t first_mb_in_slice;
    int slice_type; // SLICE_*
    int pic_parameter_set_id, colour_plane_id;
    int frame_num;
    bool field_pic_flag, bottom_field_flag, MbaffFrameFlag;
    int structure; // FRAME, TOP_FIELD, BOTTOM_FIELD
    uint32_t idr_pic_id, pic_order_cnt_lsb;
    int32_t delta_pic_order_cnt_bottom, delta_pic_order_cnt[2];
    int redundant_pic_cnt;
    bool direct_spatial_mv_pred_flag;
    int num_ref_idx_active[2]; // 0..32, 0 where the list is not used
    int n_mods[2];
    ref_list_mod mods[2][MAX_REFS + 1];
    // pred_weight_table(); defaults filled in where a flag was 0
    int luma_log2_weight_denom, chroma_log2_weight_denom; // 0..7
    int16_t weight[2][MAX_REFS][3],
        offset[2][MAX_REFS][3];       // [list][refIdx][Y Cb Cr]; offsets in 8-bit units
    bool weight_flag[2][MAX_REFS][2]; // luma_weight_l?_flag, chroma_weight_l?_flag
    // dec_ref_pic_marking()
    bool no_output_of_prior_pics_flag, long_term_reference_flag, adaptive_ref_pic_marking_mode_flag;
    int n_mmco;
    mmco_op mmco[MAX_MMCO];
    int cabac_init_idc, SliceQPY, QSY; // SliceQPY may be negative down to -QpBdOffsetY
    bool sp_for_switch_flag;
    int disable_deblocking_filter_idc, FilterOffsetA, FilterOffsetB;
    uint32_t slice_group_change_cycle;
} slice_header;

CORE_INLINE bool h264_is_inter_slice(const slice_header *const h) {
    return h->slice_type != SLICE_I && h->slice_type != SLICE_SI;
}

typedef struct ref_entry {
    // never NULL for refIdx < num_ref_idx_active (missing ones are replaced, and counted)
    picture *pic;
    int structure; // FRAME, TOP_FIELD or BOTTOM_FIELD
    int32_t poc;   // PicOrderCnt of the frame or field
    bool long_term;
    bool missing; // pic is a substitute for "no reference picture", or a "non-existing" frame
} ref_entry;

// ----------------------------------------------------------------------------- macroblocks (7.3.5)

// Kept for every macroblock of the current picture: for neighbours in parsing, and for the
// deblocking filter.
typedef struct whole_motion { // of a macroblock that moves as one
    int16_t mv[2][2];
    int32_t key[2];    // of the reference frame or field: uid * 4 + ref_parity
    int8_t ref_idx[2]; // -1 none
} whole_motion;

typedef struct mb_info {
    int32_t slice_num; // number in the picture, -1: not decoded (yet)
    uint8_t type;      // H264_I_4X4 ...
    bool is_intra, field, transform_size_8x8_flag;
    bool filter_as_intra; // intra, or in an SP or SI slice (8.7.2.1)
    bool skip;            // P_Skip or B_Skip
    bool is_SI;           // mb_type SI; its type is H264_I_4X4
    bool residual_lost;   // it was in a partition that did not come
    bool conceal;         // invented: not decoded, or predicted from a missing picture
    bool moves_as_one;    // inter: all of it is predicted with the same references and vectors
    whole_motion whole;   // of such
    uint8_t direct;       // bit per 8x8 quarter predicted in direct mode (B_Skip, B_Direct, direct
                          // sub-macroblock)
    int8_t QPY;           // QP_Y in force; 0 for I_PCM (as the deblocking filter takes it, 8.7.2.2)
    int8_t QPC[2];        // QP_C for Cb, Cr; for I_PCM that of QP_Y = 0
    uint8_t cbp;          // coded_block_pattern; Intra16x16: luma 0 or 15
    uint8_t intra_chroma_pred_mode;
    uint8_t coded_dc; // bit plane: the DC block of that plane (Intra16x16 or chroma) has levels
    uint16_t nonzero; // bit per 4x4 luma block (raster): its transform block has levels (8x8: all
                      // four bits)
    uint8_t total_coeff[3][16];  // [plane][4x4 block, raster; 4:2:0 chroma: 0..3, 4:2:2: 0..7]:
                                 // total_coeff(coeff_token) in CAVLC, 0 or 1 in CABAC; I_PCM 16
    int8_t Intra4x4PredMode[16]; // raster; Intra8x8 modes four times; 2 in other intra, -1 "not
                                 // available as intra NxN"
    uint8_t mvd[2][16][2];       // |mvd| in CABAC, raster, saturated at 255
    // slice parameters the deblocking filter needs
    int8_t FilterOffsetA, FilterOffsetB;
    uint8_t disable_deblocking_filter_idc;
} mb_info;

// Transform coefficient levels of a macroblock as parsed: a list per block, in parsing order.
enum {
    BLOCK_DC = 16, // block number of a plane's DC block (Intra16x16DCLevel, ChromaDCLevel)
    BLOCKS_PER_PLANE = 17,
    MAX_LEVELS = 3 * 16 * 16 + 3 * 16 + 32,
};

typedef struct block_levels {
    uint16_t first; // index into mb_ctx.level / scan_pos
    uint8_t count;  // 0..64
} block_levels;

// Motion of a macroblock and its neighbours, by MV_CACHE(x, y)
typedef struct motion_cache {
    int16_t mv[2][5 * 8][2];
    int8_t ref[2][5 * 8];
} motion_cache;

typedef struct mb_ctx {
    int mb_x, mb_y;    // mb_y: Note [Macroblock addresses], frame macroblock map row
    int addr;          // mb_x + mb_y * PicWidthInMbs
    bool is_located;   // what follows from these is that of a macroblock of the slice
    mb_info *mb;       // &dec->mb[addr]
    mb_motion *motion; // &cur->motion[addr]
    // neighbours in the same slice (6.4.9, 6.4.10); &h264_unavailable_mb when not available
    const mb_info *A, *B, *C, *D;
    int addr_A, addr_B, addr_C, addr_D; // -1 when not available
    // 6.4.12: whom the left column of 4x4 blocks meets. In MBAFF the halves may lie in two
    // macroblocks of the pair.
    const mb_info *left[2]; // of block rows 0..1 and 2..3
    int addr_left[2];
    uint8_t left_row[4];   // luma block row there
    uint8_t left_row_c[4]; // chroma block row there (by chroma block row)
    int block_D;           // 4x4 block of D that touches this macroblock, raster
    // MBAFF: pairs to the left and above in the same slice, by their top macroblock; -1: none
    int left_pair, above_pair;
    bool left_differs; // one of this pair and the left one is a field pair, the other a frame pair
    bool frame_field;  // field macroblock of a frame: ref_idx counts fields
    int distances;     // which of slice_ctx.dist_scale_factor and .implicit: DISTANCES_*
    const ref_entry *ref_list[2]; // what ref_idx refers to
    int chroma_rows;              // rows of 4x4 chroma blocks: 2 (4:2:0) or 4 (4:2:2)
    // samples: where this macroblock starts in each plane, and the stride of its rows (doubled in
    // field macroblocks)
    uint8_t *dst[3];
    ptrdiff_t stride[3];
    // syntax
    int Intra16x16PredMode;
    int intra_modes[16]; // Intra4x4PredMode by luma4x4BlkIdx, or Intra8x8PredMode by luma8x8BlkIdx
    int last_mb_qp_delta;
    int QPY; // NO_QP before the first macroblock of a slice; the next two follow from it
    int QPprimeY, QPprimeC[2];
    int8_t QPC[2];
    bool TransformBypassModeFlag;
    bool switching_transform; // decoded by 8.6
    bool inter_counts_as_0;   // total_coeff of inter neighbours: 9.2.1, with data partitioning
    bool transform_size_8x8_flag;
    bool repeats_left; // moves as one, as the macroblock to the left does
    // residual
    uint32_t coded[3];                        // bit per block number with levels (bit 16: DC)
    block_levels blocks[3][BLOCKS_PER_PLANE]; // by blkIdx (not raster); valid where coded
    int n_levels;
    int32_t level[MAX_LEVELS];
    uint8_t scan_pos[MAX_LEVELS]; // index in scan order within the block
    // motion caches with a border of neighbours: see mvpred.c
    motion_cache cache;
    // block at (-1, 4 * y - 1) of rows y = 1..3 where that is not the one left of row y - 1
    int16_t diagonal_mv[2][4][2];
    int8_t diagonal_ref[2][4];
    uint8_t mvd_cache[2][5 * 8][2];
    uint16_t pcm[3 * 256]; // I_PCM samples: Y, Cb, Cr
    int32_t coef[64 * 4];  // scaled coefficients of one block, zero between uses
} mb_ctx;

typedef struct cabac {
    cabac_engine engine; // codIOffset, codIRange
    uint8_t state[1024]; // pStateIdx << 1 | valMPS
    // What slices began with: in small pictures a table costs as much as many macroblocks, and
    // there are few quantisers in a stream
    struct {
        int begin; // of what: 52 * column of the tables + qp + 1; 0: nothing yet
        uint8_t state[1024];
    } known[8];
    unsigned next_known;
} cabac;

typedef struct implicit_weights {
    int16_t w1[MAX_REFS][MAX_REFS];
} implicit_weights; // 8.4.3, -64..128; w0 = 64 - w1

// One rectangle of a macroblock, or of a run of them, predicted from up to two references (8.4.2)
typedef struct inter_block {
    int x, y, w, h; // luma samples; x, y in the picture (rows of the field for field macroblocks)
    const ref_entry *ref[2]; // NULL where the list is not used
    int16_t mv[2][2];        // quarter luma samples
    bool weighted;     // explicit or implicit weights below, else the plain (average) prediction
    int log2_denom[3]; // logWD per plane; these are of no meaning unless weighted
    int weight[2][3], offset[2][3]; // offsets already scaled by 1 << (BitDepth - 8)
} inter_block;
// Macroblocks side by side that wait for their prediction: Note [Runs] in recon.c
typedef struct mb_run {
    int n, addr;       // how many, and the first
    inter_block block; // all of them
} mb_run;

// Between which pictures distances in PicOrderCnt are taken: those of the slice's own lists, or, in
// field macroblocks of frames, the fields that macroblocks of each parity refer to
enum {
    DISTANCES_OF_PICTURE,
    DISTANCES_OF_TOP,
    DISTANCES_OF_BOTTOM,
    N_DISTANCES
};

// cost.c: what the syntax elements of a macroblock cost, 1/256 bit
enum {
    COST_TYPE, // types, prediction modes, coded_block_pattern, flags
    COST_MOTION,
    COST_LUMA,
    COST_CHROMA,
    COST_QP,
    N_COSTS
};

typedef struct cost {
    uint64_t mark; // position up to which all has been counted
    uint64_t run;  // mb_skip_run and how many of its macroblocks have had their share
    uint32_t run_length, run_done;
    uint32_t part[N_COSTS]; // of the current macroblock so far
    bool detailed;
} cost;

typedef struct slice_ctx {
    slice_header hdr;
    const sps *sps;
    const pps *pps;
    const level_scale *scale;
    const uint8_t *MbToSliceGroupMap;         // by macroblock address; NULL: one slice group
    int slice_num;                            // in the picture, from 0
    picture *pic;                             // the current picture
    ref_entry RefPicList[2][MAX_REFS];        // 8.2.4, after modification; frame or field lists
    ref_entry field_list[2][2][2 * MAX_REFS]; // MBAFF: [parity of the macroblock][list], 8.4.2.1
    // 8.4.1.2.3, temporal direct, and 8.4.3; [DISTANCES_*]
    int16_t dist_scale_factor[N_DISTANCES][MAX_REFS];
    implicit_weights implicit[N_DISTANCES];
    bool asks_ahead;         // Note [Asking ahead] in inter.c: the picture is large
    bool missing_references; // some entry of the lists is a substitute, or "non-existing"
    bool weighted; // predictions may have weights: explicit, or implicit of two references
    bits b;
    // Data partitioning (7.3.2.9): where the residual of intra macroblocks [0] and of inter ones
    // [1] is, and whether that came and can be read. `residual`: what the macroblock reads, else
    // &b.
    bool partitioned, have_partition[2];
    bits partition[2], *residual;
    int replaces; // slice whose macroblocks this redundant one may replace; -1: none
    cabac cabac;
    cost cost;
    int QPY; // QP_Y,PRED: of the previous macroblock in the slice
    mb_run run;
    mb_ctx mb;
} slice_ctx;

// 6.4.3: column and row of the 4x4 luma block with a given luma4x4BlkIdx
extern const uint8_t h264_block_x[16], h264_block_y[16];
// 8.5.6, 8.5.7: place in the block (raster order) by scan index, zig-zag and field scan
// (transform.c)
extern const uint8_t h264_scan_4x4[2 /* field */][16], h264_scan_8x8[2][64];
extern const uint8_t h264_chroma_dc_place[2 /* 4:2:2 */][8]; // 8.5.4 (transform.c)
extern const uint8_t h264_quarter_of_block[16]; // 8x8 quarter of a 4x4 block in raster order

extern const mb_info h264_unavailable_mb; // slice_num -1, intra modes "not available"

// ---------------------------------------------------------------------------------- sample kernels

enum {
    AVAIL_LEFT = 1,
    AVAIL_TOP = 2,
    AVAIL_TOPRIGHT = 4,
    AVAIL_TOPLEFT = 8,
    // of a macroblock whose left neighbours are there in part: those of its upper and lower half
    AVAIL_LEFT_UPPER = 16,
    AVAIL_LEFT_LOWER = 32
};

// Filters of an edge 16 samples long, 8.7.2.3 (bS 1..3, tc0 of each quarter, -1: bS 0) and 8.7.2.4
// (bS 4). Table values of alpha, beta and tC0, not yet scaled to the bit depth.
typedef void edge_filter(void *pix, ptrdiff_t stride, int alpha, int beta, const int8_t tc0[4],
                         int depth);
typedef void edge_filter_intra(void *pix, ptrdiff_t stride, int alpha, int beta, int depth);

// The same for 8 lines of both chroma planes with chroma filtering (chromaStyleFilteringFlag 1);
// index Cb, Cr. A plane with alpha or beta 0 is left alone.
typedef struct edge_pair {
    bool intra; // bS 4
    uint8_t alpha[2], beta[2];
    int8_t tc0[2][4];
    int depth;
} edge_pair;
typedef void edge_filter_pair(uint8_t *cb, uint8_t *cr, ptrdiff_t stride, const edge_pair *e);

// The same across a part of a vertical edge in one plane: 4 or 8 lines, the first at pix
typedef struct line_edge {
    int lines;
    bool intra, luma; // luma: chromaStyleFilteringFlag 0
    int alpha, beta, depth;
    int8_t tc0[4];
} line_edge;
typedef void edge_filter_lines(void *pix, ptrdiff_t stride, const line_edge *e);

typedef void add_transformed(void *dst, ptrdiff_t stride, int32_t *d, int depth, void *residual,
                             ptrdiff_t residual_stride);

/* Functions on samples, one set for 8-bit planes and one for 16-bit planes. Strides in bytes;
 * `depth` is the plane's bit depth. Intra: neighbours above are at dst - stride; those to the left
 * at left[0], left[left_stride] ... (in the plane itself, in MBAFF too), and the top-left one at
 * left[-left_stride]. Constant inputs are never written. */
typedef struct kernels {
    int sample_size; // 1 or 2
    void (*intra4x4)(void *dst, ptrdiff_t stride, const void *left, ptrdiff_t left_stride, int mode,
                     unsigned avail, int depth);
    void (*intra8x8)(void *dst, ptrdiff_t stride, const void *left, ptrdiff_t left_stride, int mode,
                     unsigned avail, int depth);
    void (*intra16x16)(void *dst, ptrdiff_t stride, const void *left, ptrdiff_t left_stride,
                       int mode, unsigned avail, int depth);
    // h: 8 (4:2:0) or 16 (4:2:2)
    void (*intra_chroma)(void *dst, ptrdiff_t stride, const void *left, ptrdiff_t left_stride,
                         int h, int mode, unsigned avail, int depth);
    // Residual r (row-major, packed n x n, n 4 or 8) added to dst with clipping. residual: where it
    // is recorded (int16_t of the 8-bit set, int32_t of the other; stride in bytes), or NULL.
    void (*add_residual)(void *dst, ptrdiff_t stride, const int32_t *r, int n, int depth,
                         void *residual, ptrdiff_t residual_stride);
    // The same with the inverse transform of scaled coefficients d, which are zero afterwards
    add_transformed *idct4x4_add, *idct8x8_add;
    add_transformed *idct4x4_dc_add, *idct8x8_dc_add; // only d[0] is not zero
    // w x h samples (luma w 16, 8, 4; chroma 8, 4, 2) at a fraction of fx, fy quarters (luma) or
    // eighths (chroma) from src. Readable: for luma 2 samples before and 3 after on both axes, for
    // chroma 1 after; none where fx and fy are 0.
    void (*inter_luma)(void *dst, ptrdiff_t ds, const void *src, ptrdiff_t ss, int w, int h, int fx,
                       int fy, int depth);
    // Both chroma planes at once.
    void (*inter_chroma)(uint8_t *const dst[2], ptrdiff_t ds, const uint8_t *const src[2],
                         ptrdiff_t ss, int w, int h, int fx, int fy);
    // 8.4.2.3: the mean of a and b, or the weighted src, or the weighted sum of a and b; dst may be
    // one of them, w also a multiple of 8
    void (*average)(void *dst, ptrdiff_t ds, const void *a, ptrdiff_t as, const void *b,
                    ptrdiff_t bs, int w, int h);
    void (*weight_one)(void *dst, ptrdiff_t ds, const void *src, ptrdiff_t ss, int w, int h,
                       int log2_denom, int weight, int offset, int depth);
    void (*weight_two)(void *dst, ptrdiff_t ds, const void *a, ptrdiff_t as, const void *b,
                       ptrdiff_t bs, int w, int h, int log2_denom, const int weight[2], int offset,
                       int depth);
    // [0]: across a vertical edge, [1]: across a horizontal one; pix is the first sample q0
    edge_filter *deblock_luma[2];
    edge_filter_intra *deblock_luma_intra[2];
    edge_filter_pair *deblock_chroma[2];
    edge_filter_lines *deblock_lines;
} kernels;

const kernels *h264_kernels(kernels *k, int sample_size); // fills *k for 8-bit or 16-bit planes

// ----------------------------------------------------------------------------------------- decoder

// Note [Taps by rows] in tap_rows.c
typedef struct tap_rows {
    taps row;       // of one row of macroblocks: samples and levels, in one block of memory
    uint8_t *parts; // [PicWidthInMbs] what of residual and levels is to be moved, IN_PICTURE
    int width, sample_size; // of luma, as they were laid out for
    bool used;              // in the current slice
    size_t next;            // macroblock, by address, that is moved next
    int moved;              // picture_rows.decoded before it
} tap_rows;

typedef struct dpb {
    // in the buffer: reference, or waiting for output; in decoding order
    picture *frames[MAX_DPB_FRAMES + 2];
    int n_frames, size;      // size: MaxDpbFrames, or max_dec_frame_buffering
    int reorder;             // frames that may wait before the first of them must be output
    int MaxLongTermFrameIdx; // "no long-term frame indices" is -1
    int32_t last_output_poc; // since the last IDR picture or MMCO 5; INT32_MIN: none yet
} dpb;

/* How far the current picture has come, in rows of macroblocks, of pairs in MBAFF frames.
 *
 * Note [One row behind]. Intra prediction wants the row above as it was before deblocking (8.3),
 * which changes no sample below the row that is filtered: so a row is filtered as soon as the one
 * below it is decoded, while both are still in the caches. That holds as long as slices cover the
 * picture from its beginning on without a hole, and what is decoded stays (no redundant slices, no
 * partitions that may be missing, one slice group, one colour plane). From the first slice on that
 * breaks this rule, the rest waits for the end of the picture. */
typedef struct picture_rows {
    bool in_order; // the rule has held so far
    int next;      // macroblock, or pair, that the next slice must begin with
    int filtered;  // rows that are deblocked
    int decoded;   // macroblocks
} picture_rows;

enum {
    N_BROKEN_SLICES = 8,
};

// Slices of the current picture that broke the syntax
typedef struct broken_slices {
    int count;
    int slice_num[N_BROKEN_SLICES]; // of the last of them, a ring
} broken_slices;

/* Note [Pictures side by side]. With several threads each picture has a worker, which decodes it
 * with an h264_decoder of its own: the same structure, in which only what the macroblock layer uses
 * has a meaning. Headers, reference lists, marking, order and output stay with the decoder that the
 * caller has, in his thread, so that nothing there depends on time. Pictures only wait for pictures
 * that come before them in decoding order, for rows that are deblocked, or for motion:
 * picture.ready. Whoever reads samples or motion of another picture calls h264_await() first. */
typedef struct progress {
    thread_lock lock;
    thread_signal moved; // some picture.ready reached its picture.awaited
} progress;

enum { // averages of quantisation parameters across an edge, of any bit depth
    LOWEST_AVERAGE_QP = -64,
    N_AVERAGE_QP = 128
};

// Thresholds of 8.7.2.2, and tC0 by bS in each byte (0: of no meaning)
typedef struct edge_threshold {
    uint8_t alpha, beta;
    uint32_t tc0[4];
} edge_threshold;

typedef struct edge_thresholds { // kept from slice to slice: few have offsets of their own
    bool filled;
    int8_t FilterOffsetA, FilterOffsetB;
    edge_threshold by_qPav[N_AVERAGE_QP];
} edge_thresholds;

struct h264_decoder {
    h264_settings settings;
    char error_text[256];
    char encoder_text[ENCODER_TEXT];
    uint64_t warnings[H264_N_WARNINGS];
    int nal_length_size; // 0: Annex B
    // active for the current coded video sequence / picture (copies: Note [Parameter sets change]
    // in params.c)
    sps active_sps;
    pps active_pps;
    level_scale scale;
    h264_stream_info info;
    kernels kernel_table;    // of the sample type of the active SPS
    const kernels *k;        // &kernel_table, once there is an active SPS
    int width[3], height[3]; // coded plane sizes in samples
    int PicWidthInMbs, FrameHeightInMbs;
    int mb_width_c, mb_height_c;     // MbWidthC, MbHeightC: 0, 8 or 16
    mb_info *mb;                     // [PicSizeInMbs] of the current picture
    mb_info *luma_mb;                // Note [Colour planes]: what mb is when none is selected
    uint8_t *slice_groups;           // [PicSizeInMbs] what slice_groups.c fills
    picture *cur;                    // being decoded; NULL between pictures
    picture_rows rows;               // of it
    broken_slices broken;            // of it
    tap_rows tap_rows;               // of it, if it is large
    progress *progress;              // NULL: no other thread decodes
    edge_thresholds edge_thresholds; // deblock.c
    slice_ctx slice;
    dpb dpb;
    struct stream_state *stream; // stream.h: what the macroblock layer does not need
};

// nal.c, sei.c, params.c, slice.c, refs.c, dpb.c, picture.c, slices.c, workers.c: stream.h

// progress.c: waits until that many luma rows of the frame are finished
void h264_await_rows(const h264_decoder *dec, picture *pic, int rows);
CORE_INLINE void h264_await(const h264_decoder *const dec, picture *const pic, const int rows) {
    if (CORE_UNLIKELY(dec->progress != NULL) && shared_load(&pic->ready) < rows)
        h264_await_rows(dec, pic, rows);
}
void h264_rows_begin(const h264_decoder *dec); // none is finished, and nobody waits
// dec->cur has come so far. Never less than before.
void h264_rows_ready(const h264_decoder *dec, int rows);

// slice_data.c (7.3.4, 7.3.5): decodes the macroblocks of dec->slice into dec->cur. Returns H264_OK
// or H264_CORRUPT; either way macroblocks it decoded have slice_num >= 0, the rest of the picture
// is left for h264_conceal_picture().
int h264_decode_slice_data(h264_decoder *dec);
// Rows of macroblocks, or of pairs, of the frame or field that dec->slice belongs to
int h264_rows_of_picture(const h264_decoder *dec);
// mb_info.slice_num of the macroblock that dec->slice begins with: who decoded it before, if any
int h264_first_slice_num(h264_decoder *dec);

// slice_groups.c (8.2.2): dec->slice.MbToSliceGroupMap. H264_OK; H264_CORRUPT where the picture
// parameter set does not fit the picture
int h264_slice_groups(h264_decoder *dec);
// NextMbAddress(n); `end` or more: none follows
uint32_t h264_next_mb_address(const slice_ctx *s, uint32_t n, uint32_t end);

// neighbour.c (6.4): everything of mb_ctx that follows from mb_x, mb_y and, in MBAFF frames, from
// mb_info.field of this macroblock
void h264_neighbours(h264_decoder *dec, mb_ctx *m);
// The same for the macroblock to the right of the one that mb_ctx was at, in frames without MBAFF
void h264_next_neighbours(h264_decoder *dec, mb_ctx *m);
void h264_neighbours_init(slice_ctx *s); // once a slice

// macroblock.c (7.3.5): parses one macroblock into mb_ctx, mb_info and mb_motion. H264_OK or
// H264_CORRUPT
int h264_macroblock_layer(h264_decoder *dec);
void h264_macroblock_skip(h264_decoder *dec);           // P_Skip, B_Skip
int h264_chroma_qp(const slice_ctx *s, int QPY, int c); // 8.5.8: QP_C of Cb (c 0) or Cr (1)

// cost.c: h264_cost_begin() where slice data begin, h264_cost_macroblock() after each macroblock;
// what is read between two calls belongs to the part (COST_*) that the second names
void h264_cost_begin(slice_ctx *s);
void h264_cost_skip_run(slice_ctx *s, uint32_t length); // mb_skip_run has been read
void h264_cost_macroblock(h264_decoder *dec, bool last);
void h264_cost_part_now(slice_ctx *s, int part);
void h264_cost_part_until(slice_ctx *s, int part, uint64_t until); // a position in 1/256 bit
// Adds the costs of the second and third colour plane, Note [Colour planes], to those of the first
void h264_cost_join_planes(const h264_decoder *dec, const struct taps *t);
CORE_INLINE void h264_cost_part(slice_ctx *const s, const int part) {
    if (CORE_UNLIKELY(s->cost.detailed))
        h264_cost_part_now(s, part);
}

// mb_inter.c (7.3.5.1, 7.3.5.2): partitions, references and vectors of an inter macroblock into
// mb_motion
int h264_inter_pred_syntax(h264_decoder *dec, int mb_type, bool *transform_8x8_allowed);

// cavlc.c (9.2), cabac.c (9.3): one residual block. Levels go to mb_ctx.level; returns their
// number, -1 when corrupt. `block` is blkIdx within the plane (for 8x8 blocks that of their first
// 4x4 block) or BLOCK_DC.
typedef enum block_kind {
    KIND_DC16,
    KIND_AC16,
    KIND_4X4,
    KIND_CHROMA_DC,
    KIND_CHROMA_AC,
    KIND_8X8
} block_kind;
int h264_cavlc_residual_block(h264_decoder *dec, block_kind kind, int plane, int block);
int h264_cabac_residual_block(h264_decoder *dec, block_kind kind, int plane, int block);

// cabac.c: 9.3.1
void h264_cabac_init_states(cabac *c, int slice_type, int cabac_init_idc, int SliceQPY);

// cabac_syntax.c: syntax elements of 7.3.4 and 7.3.5 (9.3.2, 9.3.3.1)
bool h264_cabac_mb_skip_flag(h264_decoder *dec);
bool h264_cabac_mb_field_decoding_flag(h264_decoder *dec);
bool h264_cabac_end_of_slice_flag(h264_decoder *dec);
int h264_cabac_mb_type(h264_decoder *dec);
int h264_cabac_sub_mb_type(h264_decoder *dec);
bool h264_cabac_transform_size_8x8_flag(h264_decoder *dec);
int h264_cabac_coded_block_pattern(h264_decoder *dec);
int h264_cabac_mb_qp_delta(h264_decoder *dec);
// -1: prev_intra?x?_pred_mode_flag, else rem_intra?x?_pred_mode
int h264_cabac_intra_pred_mode(h264_decoder *dec);
int h264_cabac_intra_chroma_pred_mode(h264_decoder *dec);
int h264_cabac_ref_idx(h264_decoder *dec, int list, int mbPartQuarter, const int8_t parsed[4]);
void h264_cabac_mvd(h264_decoder *dec, int list, int cache_index, int mvd[2]);

// mvpred.c (8.4.1)
// Motion caches: 4x4 block (x, y) of the macroblock, -1..4 and -1..3, is entry MV_CACHE(x, y)
#define MV_CACHE(x, y) (((y) + 1) * 8 + (x) + 4)
enum {
    REF_UNAVAILABLE = -2
}; // in motion_cache.ref: partition not available; -1: list not used, or intra
// Neighbours of the macroblock into the caches
void h264_motion_cache_fill(h264_decoder *dec, int lists);
// A rectangle of 4x4 blocks of the caches: ref_idx -1 where the list is not used (mv 0 then)
CORE_INLINE void h264_motion_fill(mb_ctx *const m, const int list, const int x, const int y,
                                  const int w, const int h, const int ref_idx,
                                  const int16_t mv[2]) {
    const int16_t row[4][2] = {{mv[0], mv[1]}, {mv[0], mv[1]}, {mv[0], mv[1]}, {mv[0], mv[1]}};
    int8_t *ref = &m->cache.ref[list][MV_CACHE(x, y)];
    int16_t (*to)[2] = &m->cache.mv[list][MV_CACHE(x, y)];
    for (int j = 0; j < h; j++, ref += 8, to += 8) {
        if (w == 4) { // sizes that the compiler turns into single stores
            memset(ref, ref_idx, 4);
            memcpy(to, row, 16);
        } else if (w == 2) {
            memset(ref, ref_idx, 2);
            memcpy(to, row, 8);
        } else {
            ref[0] = (int8_t)ref_idx;
            memcpy(to, row, 4);
        }
    }
}
void h264_motion_store(h264_decoder *dec, bool with_mvd); // caches -> mb_motion, and mvd -> mb_info
void h264_motion_clear(mb_motion *motion, int list);      // no motion
// 8.4.1.3: mvp for a partition of w 4x4 blocks at (x, y); shape: 0, or 16 for 16x8, 8 for 8x16
void h264_mv_predict(const mb_ctx *m, int list, int ref_idx, int x, int y, int w, int shape,
                     int16_t mvp[2]);
void h264_predict_p_skip(h264_decoder *dec); // 8.4.1.1
/* Where the left macroblock moves as one, and all that P_Skip or spatial direct prediction look at
 * move alike, so does this one: its mb_motion is that of the left one then. False: they do not. */
bool h264_repeat_left(h264_decoder *dec);
void h264_note_whole_motion(mb_info *mb, const mb_motion *motion); // mb_info.whole
// 8.4.1.2.2: what the neighbours of the whole macroblock predict in each list; ref_idx -1: nothing
void h264_predict_whole_mb(const h264_decoder *dec, int ref_idx[2], int16_t mvp[2][2]);

// direct.c (8.4.1.2)
// Once a slice: distances, implicit weights, what its lists hold
void h264_slice_prediction_init(h264_decoder *dec);
// Fills the caches for the 8x8 quarters in the mask.
void h264_predict_direct(h264_decoder *dec, int quarters);

// intra.c (8.3): fills the kernels
void h264_intra_kernels_8(kernels *k);
void h264_intra_kernels_16(kernels *k);

// inter.c (8.4.2)
void h264_inter_predict(const h264_decoder *dec, const inter_block *b, uint8_t *const dst[3],
                        const ptrdiff_t stride[3]);
// Is the prediction of a block of a frame made of samples as they are, luma and chroma?
CORE_INLINE bool h264_is_full_sample(const h264_decoder *const dec, const inter_block *const b) {
    if ((b->mv[0][0] | b->mv[0][1] | b->mv[1][0] | b->mv[1][1]) & 7)
        return false;     // a vector of a list not used is 0
    unsigned outside = 0; // negative numbers are large ones
    for (int list = 0; list < 2; list++) {
        const unsigned x = (unsigned)(b->x + (b->mv[list][0] >> 2)),
                       y = (unsigned)(b->y + (b->mv[list][1] >> 2));
        outside |= (x > (unsigned)(dec->width[0] - b->w)) | (y > (unsigned)(dec->height[0] - b->h));
    }
    return !outside;
}
// The same for a block of any width in frames where h264_is_full_sample()
void h264_inter_predict_run(const h264_decoder *dec, const inter_block *b, uint8_t *const dst[3],
                            const ptrdiff_t stride[3]);
// A hint: the current macroblock, whose residual is yet to be parsed, will be predicted
void h264_prefetch_prediction(const h264_decoder *dec);
// A hint: macroblocks after the current one, which moves as b does, will read their references at
// much the same distance
void h264_prefetch_references(const h264_decoder *dec, const inter_block *b);
void h264_inter_kernels_8(kernels *k);
void h264_inter_kernels_16(kernels *k);
void h264_inter_kernels_simd(kernels *k);

// transform.c (8.5)
void h264_level_scale_init(level_scale *s); // from its scaling lists
// 8.5.10: c in raster order of the 4x4 matrix -> dcY, same order. scale: that of place (0, 0)
void h264_luma_dc(int32_t c[16], int32_t scale, int qP);
void h264_chroma_dc_420(int32_t c[4], int32_t scale, int qP); // 8.5.11, c = {c00, c01, c10, c11}
// The same for 4 rows of 2; qP_dc = QP'c + 3
void h264_chroma_dc_422(int32_t c[8], int32_t scale, int qP_dc);
void h264_idct4x4(int32_t d[16]); // 8.5.12.2, rounding included
void h264_transform_kernels_8(kernels *k);
void h264_transform_kernels_16(kernels *k);
void h264_transform_kernels_simd(kernels *k);

// switching.c (8.6): 4x4 blocks in raster order of P macroblocks in SP slices, of SI macroblocks
typedef struct switching_quantiser {
    int QP, QS;                 // of the plane
    const int32_t (*scale)[16]; // LevelScale4x4 by qP % 6
    bool switching;             // 8.6.2: SI macroblocks, and where sp_for_switch_flag is 1
} switching_quantiser;
// Levels in, residual out: what is missing from the predicted samples
void h264_switching_luma(int32_t c[16], const int32_t pred[16], const switching_quantiser *q);
// The four blocks of a chroma plane of 4:2:0, with their DC levels in place
void h264_switching_chroma(int32_t c[4][16], const int32_t pred[4][16],
                           const switching_quantiser *q);

// deblock.c (8.7)
// Rows first to end - 1 of dec->cur (of pairs in MBAFF frames), by dec->mb and dec->cur->motion;
// those before `first` have been filtered. A row changes up to three samples above itself.
void h264_deblock_rows(h264_decoder *dec, int first, int end);
void h264_deblock_kernels_8(kernels *k);
void h264_deblock_kernels_16(kernels *k);
// Replaces those of the 8-bit set that have a vector version
void h264_deblock_kernels_simd(kernels *k);

// deblock_strength.c (8.7.2.1): strengths inside and before a macroblock of which no sample is
// filtered as intra, as bit masks. Bit 4 * edge + quarter of [0] vertical, [1] horizontal edges.
typedef struct edge_masks {
    uint16_t coefficients[2]; // bS 2
    uint16_t motion[2];       // bS 1, where not 2
} edge_masks;
// left, top: address of the neighbouring macroblock, -1: that edge is of no interest. `field`: all
// macroblocks involved are field macroblocks.
void h264_edge_masks(const h264_decoder *dec, int addr, int left, int top, bool field,
                     edge_masks *out);

// recon.c (8.3-8.5)
void h264_recon_mb(h264_decoder *dec);
void h264_recon_end_run(h264_decoder *dec); // at the end of a slice

// conceal.c: macroblocks of dec->cur (its structure) with slice_num < 0, from `latest`
void h264_conceal_picture(h264_decoder *dec, picture *latest);
// The picture decoded last before the current one, if any
picture *h264_latest_picture(const h264_decoder *dec);
void h264_conceal_field(h264_decoder *dec, int structure); // of dec->cur, a field picture

// taps.c: everything a picture keeps beside its samples. Nothing happens where nobody asked for it.
typedef struct area { // of one plane of the macroblock
    int x, y, w, h;   // samples within the macroblock
} area;
// The maps and levels of the current macroblock, and zeros for its residual
void h264_tap_macroblock(const h264_decoder *dec);
void h264_tap_prediction(const h264_decoder *dec, int plane, area a); // the samples there now
// Where the residual at x, y is recorded, with the bytes between its rows; NULL: nowhere
void *h264_tap_residual(const h264_decoder *dec, int plane, int x, int y, ptrdiff_t *stride);
// Hints: the current macroblock will have a residual; there will be macroblocks behind it
void h264_prefetch_taps(const h264_decoder *dec);
void h264_prefetch_taps_ahead(const h264_decoder *dec);

// Are the samples of the current macroblock, until they are filtered, those predicted?
CORE_INLINE bool h264_is_prediction(const mb_ctx *const m) {
    return !m->mb->is_intra && !(m->coded[0] | m->coded[1] | m->coded[2]) &&
           !m->switching_transform;
}
// Rows of a block in picture or tap
void h264_copy_rows(uint8_t *to, size_t step, const uint8_t *from, ptrdiff_t from_step, int rows,
                    size_t bytes);

// tap_rows.c: where a slice begins; macroblocks of a row are decoded; where it ends
void h264_tap_rows_begin(h264_decoder *dec);
void h264_tap_rows_move(h264_decoder *dec);
void h264_tap_rows_end(h264_decoder *dec);

// Sample (x, y) of the current macroblock
CORE_INLINE uint8_t *h264_sample_at(const h264_decoder *const dec, const int plane, const int x,
                                    const int y) {
    const mb_ctx *const m = &dec->slice.mb;
    return m->dst[plane] + y * m->stride[plane] + x * dec->k->sample_size;
}

// error.c: notes what went wrong, for h264_error_text(); returns code
int h264_error(h264_decoder *dec, int code, const char *format, ...);

#endif
