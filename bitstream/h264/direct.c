/* 8.4.1.2 Direct modes: motion of B_Skip, B_Direct_16x16 and direct sub-macroblocks, and the
 * implicit weights (8.4.2.3.1) that use the same distances. In: reference lists, neighbouring and
 * co-located mb_motion. Out: motion caches of mb_ctx. Frame macroblocks and field pictures; MBAFF
 * pairs are not handled yet. */
#include <stdlib.h>

#include "internal.h"

// ------------------------------------------------------------------------------------ once a slice

// 8.4.1.2.3: DistScaleFactor; 0x7fff where the reference is long-term or the distance is zero (no
// scaling then)
enum {
    NO_SCALING = 0x7fff
};

static int dist_scale_factor(const int32_t cur, const ref_entry *const r0,
                             const ref_entry *const r1) {
    const int64_t diff = (int64_t)r1->poc - r0->poc, diff_b = (int64_t)cur - r0->poc;
    if (diff == 0 || r0->long_term)
        return NO_SCALING;
    const int td = diff < -128 ? -128 : diff > 127 ? 127 : (int)diff;
    const int tb = diff_b < -128 ? -128 : diff_b > 127 ? 127 : (int)diff_b;
    const int tx = (16384 + abs(td / 2)) / td;
    return iclip((tb * tx + 32) >> 6, -1024, 1023);
}

static void init_implicit_weights(slice_ctx *const s, const int32_t poc) {
    for (int i = 0; i < s->hdr.num_ref_idx_active[0]; i++) {
        for (int j = 0; j < s->hdr.num_ref_idx_active[1]; j++) {
            const ref_entry *const r0 = &s->RefPicList[0][i], *const r1 = &s->RefPicList[1][j];
            const int factor = r1->long_term ? NO_SCALING : dist_scale_factor(poc, r0, r1);
            const int w1 = factor >> 2;
            s->implicit.w1[i][j] =
                (int16_t)(factor == NO_SCALING || w1 < -64 || w1 > 128 ? 32 : w1);
        }
    }
}

// PicOrderCnt( CurrPic ) or that of the current field
static int32_t current_poc(const slice_ctx *const s) {
    switch (s->hdr.structure) {
    case TOP_FIELD: return s->pic->TopFieldOrderCnt;
    case BOTTOM_FIELD: return s->pic->BottomFieldOrderCnt;
    default: return s->pic->PicOrderCnt;
    }
}

void h264_slice_prediction_init(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    if (s->hdr.slice_type != SLICE_B)
        return;
    const int32_t poc = current_poc(s);
    if (!s->hdr.direct_spatial_mv_pred_flag)
        for (int i = 0; i < s->hdr.num_ref_idx_active[0]; i++)
            s->dist_scale_factor[i] =
                (int16_t)dist_scale_factor(poc, &s->RefPicList[0][i], &s->RefPicList[1][0]);
    if (s->pps->weighted_bipred_idc == 2)
        init_implicit_weights(s, poc);
}

// ------------------------------------------------------------------------------- co-located blocks

typedef struct colocated {
    const int16_t *mv; // mvCol
    int ref_idx;       // refIdxCol, -1 intra
    int32_t uid;       // the frame it refers to
} colocated;

// 8.4.1.2.1 for a frame macroblock whose co-located picture is a frame, or field in field
static colocated colocated_block(const h264_decoder *const dec, const int block) {
    static const int16_t zero[2] = {0, 0};
    const mb_motion *const col = &dec->slice.RefPicList[1][0].pic->motion[dec->slice.mb.addr];
    const int q = h264_quarter_of_block[block];
    for (int list = 0; list < 2; list++)
        if (col->ref_idx[list][q] >= 0)
            return (colocated){col->mv[list][block], col->ref_idx[list][q], col->uid[list][q]};
    return (colocated){zero, -1, NO_UID};
}

// With direct_8x8_inference_flag a quarter takes the motion of its corner
static int colocated_index(const bool inference, const int x, const int y) {
    return inference ? (y >> 1) * 12 + (x >> 1) * 3 : y * 4 + x;
}

// One 4x4 block, or a whole quarter under direct_8x8_inference_flag: n blocks wide and high
typedef struct direct_block {
    int x, y, n;
} direct_block;

static bool is_col_zero(const h264_decoder *const dec, const direct_block b) {
    const colocated col = colocated_block(dec, colocated_index(b.n == 2, b.x, b.y));
    return col.ref_idx == 0 && col.mv[0] >= -1 && col.mv[0] <= 1 && col.mv[1] >= -1 &&
           col.mv[1] <= 1;
}

// 8.4.1.2.2
static void spatial_direct(h264_decoder *const dec, const direct_block *const blocks,
                           const int n_blocks) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    static const int16_t zero[2] = {0, 0};
    int ref[2];
    int16_t mvp[2][2];
    h264_predict_whole_mb(dec, ref, mvp);
    const bool directZeroPrediction = ref[0] < 0 && ref[1] < 0;
    if (directZeroPrediction)
        ref[0] = ref[1] = 0;
    const bool may_be_zero =
        !directZeroPrediction && !s->RefPicList[1][0].long_term && (ref[0] == 0 || ref[1] == 0);
    const bool all_zero = (ref[0] != 0 || (mvp[0][0] | mvp[0][1]) == 0) &&
                          (ref[1] != 0 || (mvp[1][0] | mvp[1][1]) == 0);
    if (n_blocks * blocks[0].n * blocks[0].n == 16 &&
        (!may_be_zero || all_zero)) { // colZeroFlag changes nothing
        for (int list = 0; list < 2; list++)
            h264_motion_fill(m, list, 0, 0, 4, 4, ref[list], mvp[list]);
        return;
    }
    for (int i = 0; i < n_blocks; i++) {
        const direct_block b = blocks[i];
        const bool colZeroFlag = may_be_zero && is_col_zero(dec, b);
        for (int list = 0; list < 2; list++)
            h264_motion_fill(m, list, b.x, b.y, b.n, b.n, ref[list],
                             ref[list] == 0 && colZeroFlag ? zero : mvp[list]);
    }
}

// The lowest refIdxL0 that refers to the frame the co-located block refers to
static int map_col_to_list0(const slice_ctx *const s, const colocated col) {
    if (col.ref_idx < 0)
        return 0;
    for (int i = 0; i < s->hdr.num_ref_idx_active[0]; i++)
        if (s->RefPicList[0][i].pic->uid == col.uid)
            return i;
    return 0; // not allowed by the standard: some picture is missing
}

// 8.4.1.2.3
static void temporal_direct(h264_decoder *const dec, const direct_block *const blocks,
                            const int n_blocks) {
    slice_ctx *const s = &dec->slice;
    for (int i = 0; i < n_blocks; i++) {
        const direct_block b = blocks[i];
        const colocated col = colocated_block(dec, colocated_index(b.n == 2, b.x, b.y));
        const int refIdxL0 = map_col_to_list0(s, col);
        const int factor = s->dist_scale_factor[refIdxL0];
        int16_t mvL0[2], mvL1[2];
        for (int c = 0; c < 2; c++) {
            mvL0[c] = (int16_t)(factor == NO_SCALING ? col.mv[c] : (factor * col.mv[c] + 128) >> 8);
            mvL1[c] = (int16_t)(factor == NO_SCALING ? 0 : mvL0[c] - col.mv[c]);
        }
        h264_motion_fill(&s->mb, 0, b.x, b.y, b.n, b.n, refIdxL0, mvL0);
        h264_motion_fill(&s->mb, 1, b.x, b.y, b.n, b.n, 0, mvL1);
    }
}

void h264_predict_direct(h264_decoder *const dec, const int quarters) {
    direct_block blocks[16];
    int n = 0;
    for (int q = 0; q < 4; q++) {
        const int x = q % 2 * 2, y = q / 2 * 2;
        if (!(quarters >> q & 1))
            continue;
        if (dec->slice.sps->direct_8x8_inference_flag)
            blocks[n++] = (direct_block){x, y, 2};
        else
            for (int i = 0; i < 4; i++)
                blocks[n++] = (direct_block){x + i % 2, y + i / 2, 1};
    }
    if (dec->slice.hdr.direct_spatial_mv_pred_flag)
        spatial_direct(dec, blocks, n);
    else
        temporal_direct(dec, blocks, n);
}
