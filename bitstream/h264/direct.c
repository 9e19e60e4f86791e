/* 8.4.1.2 Direct modes: motion of B_Skip, B_Direct_16x16 and direct sub-macroblocks, and the
 * implicit weights (8.4.3) that use the same distances. In: reference lists, neighbouring and
 * co-located mb_motion. Out: motion caches of mb_ctx. */
#include <stdlib.h>

#include "../coding/memory.h"
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

// Distances between the current picture or field at `poc` and the entries of two lists
static void init_distances(slice_ctx *const s, const int kind, const int32_t poc,
                           const ref_entry *const list0, const ref_entry *const list1) {
    const int fields = kind != DISTANCES_OF_PICTURE;
    const int n0 = s->hdr.num_ref_idx_active[0] << fields,
              n1 = s->hdr.num_ref_idx_active[1] << fields;
    if (!s->hdr.direct_spatial_mv_pred_flag)
        for (int i = 0; i < n0; i++)
            s->dist_scale_factor[kind][i] = (int16_t)dist_scale_factor(poc, &list0[i], &list1[0]);
    if (s->pps->weighted_bipred_idc != 2)
        return;
    for (int i = 0; i < n0; i++) { // 8.4.3
        for (int j = 0; j < n1; j++) {
            const ref_entry *const r0 = &list0[i], *const r1 = &list1[j];
            const int factor = r1->long_term ? NO_SCALING : dist_scale_factor(poc, r0, r1);
            const int w1 = factor >> 2;
            s->implicit[kind].w1[i][j] =
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

// Does more than a cache of the processor's own lie between a macroblock and the same one of the
// next picture: samples and motion of the picture, and of one it refers to?
static bool is_large(const h264_decoder *const dec) {
    const size_t bytes_per_mb = 384 * (size_t)dec->k->sample_size + sizeof(mb_motion);
    return (size_t)(dec->PicWidthInMbs * dec->FrameHeightInMbs) * bytes_per_mb * 2 >
           memory_own_cache();
}

void h264_slice_prediction_init(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    const bool is_B = s->hdr.slice_type == SLICE_B;
    s->weighted = is_B ? s->pps->weighted_bipred_idc != 0 : s->pps->weighted_pred_flag;
    s->asks_ahead = is_large(dec);
    s->missing_references = false;
    for (int list = 0; list < 2; list++)
        for (int i = 0; i < s->hdr.num_ref_idx_active[list]; i++)
            s->missing_references |= s->RefPicList[list][i].missing;
    if (!is_B)
        return;
    init_distances(s, DISTANCES_OF_PICTURE, current_poc(s), s->RefPicList[0], s->RefPicList[1]);
    if (!s->hdr.MbaffFrameFlag)
        return;
    init_distances(s, DISTANCES_OF_TOP, s->pic->TopFieldOrderCnt, s->field_list[0][0],
                   s->field_list[0][1]);
    init_distances(s, DISTANCES_OF_BOTTOM, s->pic->BottomFieldOrderCnt, s->field_list[1][0],
                   s->field_list[1][1]);
}

// ------------------------------------------------------------------------------- co-located blocks

// vertMvScale of Table 8-6
typedef enum vertical_scale {
    ONE_TO_ONE,
    FRM_TO_FLD,
    FLD_TO_FRM
} vertical_scale;

typedef struct colocated_mb {
    const mb_motion *half[2]; // mbAddrCol of the upper and the lower 8x8 quarters
    vertical_scale scale;
} colocated_mb;

static int32_t poc_distance(const int32_t a, const int32_t b) {
    return a < b ? b - a : a - b;
}

/* 8.4.1.2.1, Table 8-6. Macroblock maps hold field pairs and field pictures alike, Note [Macroblock
 * addresses], so that mbAddrCol1 to mbAddrCol7 are all in the pair at the place of the current one.
 */
static colocated_mb colocated_macroblock(const h264_decoder *const dec) {
    const slice_ctx *const s = &dec->slice;
    const mb_ctx *const m = &s->mb;
    const ref_entry *const ref = &m->ref_list[1][0];
    const picture *const pic = ref->pic;
    const mb_motion *const same = &pic->motion[m->addr];
    h264_await(dec, ref->pic, 16 * m->mb_y + 1);
    if (CORE_LIKELY(s->sps->frame_mbs_only_flag))
        return (colocated_mb){{same, same}, ONE_TO_ONE};
    const int w = dec->PicWidthInMbs, pair = m->addr - (m->mb_y & 1) * w;
    const mb_motion *const top = &pic->motion[pair], *const bottom = top + w;
    const bool field = m->mb->field, col_field = pic->mb_field[pair];
    if (field && !col_field)
        return (colocated_mb){{top, bottom}, FRM_TO_FLD};
    if (!field && col_field) {
        const int32_t poc = s->pic->PicOrderCnt;
        const bool nearer =
            poc_distance(pic->TopFieldOrderCnt, poc) < poc_distance(pic->BottomFieldOrderCnt, poc);
        const mb_motion *const col = nearer ? top : bottom;
        return (colocated_mb){{col, col}, FLD_TO_FRM};
    }
    if (field && !pic->mbaff) {
        const mb_motion *const col = ref->structure == BOTTOM_FIELD ? bottom : top;
        return (colocated_mb){{col, col}, ONE_TO_ONE};
    }
    return (colocated_mb){{same, same}, ONE_TO_ONE};
}

// With direct_8x8_inference_flag a quarter takes the motion of its corner
static int colocated_index(const mb_ctx *const m, const vertical_scale scale, const bool inference,
                           const int x, const int y) {
    if (!inference)
        return y * 4 + x;
    const int column = (x >> 1) * 3, lower = y >> 1;
    switch (scale) { // yM
    case FRM_TO_FLD: return lower * 8 + column;
    case FLD_TO_FRM: return (m->mb_y & 1) * 8 + lower * 4 + column;
    default: return lower * 12 + column;
    }
}

typedef struct colocated {
    const int16_t *mv; // mvCol
    int ref_idx;       // refIdxCol, -1 intra
    int32_t uid;       // the frame it refers to
    int structure;     // and the field of it
} colocated;

// The block of the co-located macroblock for block (x, y)
CORE_INLINE colocated colocated_block(const mb_ctx *const m, const colocated_mb *const mb,
                                      const bool inference, const int x, const int y) {
    static const int16_t zero[2] = {0, 0};
    const mb_motion *const col = mb->half[y >> 1];
    const int block = colocated_index(m, mb->scale, inference, x, y);
    const int q = h264_quarter_of_block[block];
    for (int list = 0; list < 2; list++)
        if (col->ref_idx[list][q] >= 0)
            return (colocated){col->mv[list][block], col->ref_idx[list][q], col->uid[list][q],
                               col->ref_parity[list][q]};
    return (colocated){zero, -1, NO_UID, 0};
}

// ---------------------------------------------------------------------------------- direct modes

// One 4x4 block, or a whole quarter under direct_8x8_inference_flag: n blocks wide and high
typedef struct direct_block {
    int x, y, n;
} direct_block;

static bool is_col_zero(const mb_ctx *const m, const colocated_mb *const mb, const direct_block b) {
    const colocated col = colocated_block(m, mb, b.n == 2, b.x, b.y);
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
        !directZeroPrediction && !m->ref_list[1][0].long_term && (ref[0] == 0 || ref[1] == 0);
    const bool all_zero = (ref[0] != 0 || (mvp[0][0] | mvp[0][1]) == 0) &&
                          (ref[1] != 0 || (mvp[1][0] | mvp[1][1]) == 0);
    if (n_blocks * blocks[0].n * blocks[0].n == 16 &&
        (!may_be_zero || all_zero)) { // colZeroFlag changes nothing
        m->mb->moves_as_one = true;
        const int n = m->mb->type == H264_B_8X8 ? 4 : 1; // h264_motion_store() takes the first
        for (int list = 0; list < 2; list++)
            h264_motion_fill(m, list, 0, 0, n, n, ref[list], mvp[list]);
        return;
    }
    const colocated_mb mb = colocated_macroblock(dec);
    for (int i = 0; i < n_blocks; i++) {
        const direct_block b = blocks[i];
        const bool colZeroFlag = may_be_zero && is_col_zero(m, &mb, b);
        for (int list = 0; list < 2; list++)
            h264_motion_fill(m, list, b.x, b.y, b.n, b.n, ref[list],
                             ref[list] == 0 && colZeroFlag ? zero : mvp[list]);
    }
}

// The lowest refIdxL0 that refers to the frame of the co-located block's reference (in a frame
// macroblock), or to a field of it: that one, or from frame to field the one of the same parity
static int map_col_to_list0(const slice_ctx *const s, const colocated col,
                            const vertical_scale scale) {
    const mb_ctx *const m = &s->mb;
    if (col.ref_idx < 0)
        return 0;
    const int n = s->hdr.num_ref_idx_active[0] << m->frame_field;
    const int structure = !m->mb->field         ? FRAME
                          : scale == ONE_TO_ONE ? col.structure
                          : m->mb_y & 1         ? BOTTOM_FIELD
                                                : TOP_FIELD;
    for (int i = 0; i < n; i++)
        if (m->ref_list[0][i].pic->uid == col.uid && m->ref_list[0][i].structure == structure)
            return i;
    return 0; // not allowed by the standard: some picture is missing
}

// 8.4.1.2.3
static void temporal_direct(h264_decoder *const dec, const direct_block *const blocks,
                            const int n_blocks) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    const colocated_mb mb = colocated_macroblock(dec);
    for (int i = 0; i < n_blocks; i++) {
        const direct_block b = blocks[i];
        const colocated col = colocated_block(m, &mb, b.n == 2, b.x, b.y);
        const int refIdxL0 = map_col_to_list0(s, col, mb.scale);
        const int factor = s->dist_scale_factor[m->distances][refIdxL0];
        const int mvCol[2] = {col.mv[0], mb.scale == FRM_TO_FLD   ? col.mv[1] / 2
                                         : mb.scale == FLD_TO_FRM ? col.mv[1] * 2
                                                                  : col.mv[1]};
        int16_t mvL0[2], mvL1[2];
        for (int c = 0; c < 2; c++) {
            mvL0[c] = (int16_t)(factor == NO_SCALING ? mvCol[c] : (factor * mvCol[c] + 128) >> 8);
            mvL1[c] = (int16_t)(factor == NO_SCALING ? 0 : mvL0[c] - mvCol[c]);
        }
        h264_motion_fill(m, 0, b.x, b.y, b.n, b.n, refIdxL0, mvL0);
        h264_motion_fill(m, 1, b.x, b.y, b.n, b.n, 0, mvL1);
    }
}

// What the macroblock after the next may ask the co-located picture for
static void prefetch_colocated(const mb_ctx *const m) {
    const uint8_t *const ahead = (const uint8_t *)(m->ref_list[1][0].pic->motion + m->addr + 2);
    for (size_t i = 0; i < sizeof(mb_motion); i += H264_CACHE_LINE)
        CORE_PREFETCH(ahead + i);
}

void h264_predict_direct(h264_decoder *const dec, const int quarters) {
    direct_block blocks[16];
    prefetch_colocated(&dec->slice.mb);
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
