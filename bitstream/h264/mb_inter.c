/* 7.3.5.1, 7.3.5.2 Inter macroblocks: mb_pred() and sub_mb_pred() - partitions, ref_idx, mvd - with
 * the motion vectors made as they are parsed (8.4.1). In: mb_type of a P or B slice. Out:
 * mb_motion, mb_info.type, .direct, .mvd. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum {
    L0 = 1,
    L1 = 2,
    BI = 3
};

// Table 7-14: prediction of the two partitions by mb_type 1..21; 1 to 3 have one partition
static const uint8_t table_7_14_pred[22][2] = {
    {0, 0},   {L0, 0},  {L1, 0},  {BI, 0},  {L0, L0}, {L0, L0}, {L1, L1}, {L1, L1},
    {L0, L1}, {L0, L1}, {L1, L0}, {L1, L0}, {L0, BI}, {L0, BI}, {L1, BI}, {L1, BI},
    {BI, L0}, {BI, L0}, {BI, L1}, {BI, L1}, {BI, BI}, {BI, BI},
};

// Tables 7-17 and 7-18: prediction lists, and partition width and height in 4x4 blocks
typedef struct sub_type {
    uint8_t pred, w, h;
} sub_type;
static const sub_type table_7_17_sub_mb_type[4] = {{L0, 2, 2}, {L0, 2, 1}, {L0, 1, 2}, {L0, 1, 1}};
static const sub_type table_7_18_sub_mb_type[13] = {
    {0, 2, 2},  {L0, 2, 2}, {L1, 2, 2}, {BI, 2, 2}, {L0, 2, 1}, {L0, 1, 2}, {L1, 2, 1},
    {L1, 1, 2}, {BI, 2, 1}, {BI, 1, 2}, {L0, 1, 1}, {L1, 1, 1}, {BI, 1, 1},
};

static int read_ref_idx(h264_decoder *const dec, const int list, const int quarter,
                        const int8_t parsed[4]) {
    slice_ctx *const s = &dec->slice;
    const int n = s->hdr.num_ref_idx_active[list] << s->mb.frame_field;
    if (n == 1)
        return 0;
    const uint32_t v = s->pps->entropy_coding_mode_flag
                           ? (uint32_t)h264_cabac_ref_idx(dec, list, quarter, parsed)
                           : bits_te(&s->b, (uint32_t)n - 1);
    return v < (uint32_t)n ? (int)v : -1;
}

// mvd_lX and the motion vector of a partition of w x h blocks at (x, y); sums wrap as 16-bit
// numbers do
static void read_mv(h264_decoder *const dec, const int list, const int x, const int y, const int w,
                    const int h, const int shape, const int ref_idx) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    int16_t mv[2];
    int mvd[2];
    h264_mv_predict(m, list, ref_idx, x, y, w, shape, mv);
    if (s->pps->entropy_coding_mode_flag) {
        h264_cabac_mvd(dec, list, MV_CACHE(x, y), mvd);
    } else {
        mvd[0] = bits_se(&s->b);
        mvd[1] = bits_se(&s->b);
    }
    for (int c = 0; c < 2; c++)
        mv[c] = (int16_t)(uint16_t)((unsigned)mv[c] + (unsigned)mvd[c]);
    h264_motion_fill(m, list, x, y, w, h, ref_idx, mv);
    if (!s->pps->entropy_coding_mode_flag)
        return;
    const uint8_t abs_mvd[2] = {(uint8_t)imin(abs(mvd[0]), 255), (uint8_t)imin(abs(mvd[1]), 255)};
    for (int j = y; j < y + h; j++)
        for (int i = x; i < x + w; i++)
            memcpy(m->mvd_cache[list][MV_CACHE(i, j)], abs_mvd, 2);
}

static void unused(mb_ctx *const m, const int list, const int x, const int y, const int w,
                   const int h) {
    static const int16_t zero[2] = {0, 0};
    h264_motion_fill(m, list, x, y, w, h, -1, zero);
}

// 16x16, 16x8 and 8x16 partitions
static int partitions(h264_decoder *const dec, const int n, const int w, const int h,
                      const uint8_t pred[2]) {
    mb_ctx *const m = &dec->slice.mb;
    const int lists = dec->slice.hdr.slice_type == SLICE_B ? 2 : 1;
    const int dx = w & 3, dy = h & 3; // where the second partition starts
    int8_t ref[2][2] = {{-1, -1}, {-1, -1}};
    for (int list = 0; list < lists; list++) {
        int8_t parsed[4] = {0, 0, 0, 0};
        for (int i = 0; i < n; i++) {
            if (!(pred[i] >> list & 1))
                continue;
            const int quarter = i * (dx ? 1 : 2), v = read_ref_idx(dec, list, quarter, parsed);
            if (v < 0)
                return H264_CORRUPT;
            ref[list][i] = (int8_t)v;
            parsed[quarter] = (int8_t)v;
            if (n == 1 || dy)
                parsed[quarter + 1] = (int8_t)v;
        }
    }
    for (int list = 0; list < lists; list++) {
        for (int i = 0; i < n; i++) {
            if (ref[list][i] < 0)
                unused(m, list, i * dx, i * dy, w, h);
            else
                read_mv(dec, list, i * dx, i * dy, w, h, n == 1 ? 0 : dx ? 8 : 16, ref[list][i]);
        }
    }
    return H264_OK;
}

static int read_sub_mb_types(h264_decoder *const dec, sub_type sub[4]) {
    slice_ctx *const s = &dec->slice;
    const bool is_B = s->hdr.slice_type == SLICE_B;
    for (int i = 0; i < 4; i++) {
        const uint32_t v = s->pps->entropy_coding_mode_flag ? (uint32_t)h264_cabac_sub_mb_type(dec)
                                                            : bits_ue(&s->b);
        if (v >= (is_B ? 13 : 4))
            return H264_CORRUPT;
        sub[i] = is_B ? table_7_18_sub_mb_type[v] : table_7_17_sub_mb_type[v];
        if (sub[i].pred == 0)
            s->mb.mb->direct |= (uint8_t)(1 << i);
    }
    return H264_OK;
}

/* Direct quarters are predicted from neighbours of the whole macroblock (8.4.1.2.2), whenever that
 * happens; but other quarters may look at them only once they are decoded (6.4.11.7). Hence quarter
 * by quarter, in each list's turn. */
static void sub_mb_vectors(h264_decoder *const dec, const int list, const sub_type sub[4],
                           const int8_t ref[4], const motion_cache *const direct) {
    mb_ctx *const m = &dec->slice.mb;
    for (int q = 0; q < 4; q++) {
        const int x = q % 2 * 2, y = q / 2 * 2;
        if (sub[q].pred == 0) {
            for (int i = 0; i < 4; i++) {
                const int at = MV_CACHE(x + i % 2, y + i / 2);
                m->cache.ref[list][at] = direct->ref[list][at];
                memcpy(m->cache.mv[list][at], direct->mv[list][at], 4);
            }
        } else if (ref[q] < 0) {
            unused(m, list, x, y, 2, 2);
        } else {
            for (int j = 0; j < 2; j += sub[q].h)
                for (int i = 0; i < 2; i += sub[q].w)
                    read_mv(dec, list, x + i, y + j, sub[q].w, sub[q].h, 0, ref[q]);
        }
    }
}

// sub_mb_pred()
static int quarters(h264_decoder *const dec, const bool ref0, bool *const transform_8x8_allowed) {
    slice_ctx *const s = &dec->slice;
    const int lists = s->hdr.slice_type == SLICE_B ? 2 : 1;
    sub_type sub[4];
    int8_t ref[2][4] = {{-1, -1, -1, -1}, {-1, -1, -1, -1}};
    if (read_sub_mb_types(dec, sub) < 0)
        return H264_CORRUPT;
    h264_cost_part(s, COST_TYPE);
    *transform_8x8_allowed = true;
    for (int q = 0; q < 4; q++)
        if (sub[q].pred == 0 ? !s->sps->direct_8x8_inference_flag : sub[q].w + sub[q].h < 4)
            *transform_8x8_allowed = false;
    for (int list = 0; list < lists; list++) {
        for (int q = 0; q < 4; q++) {
            if (!(sub[q].pred >> list & 1))
                continue;
            const int v = ref0 ? 0 : read_ref_idx(dec, list, q, ref[list]);
            if (v < 0)
                return H264_CORRUPT;
            ref[list][q] = (int8_t)v;
        }
    }
    motion_cache direct;
    if (s->mb.mb->direct) {
        h264_predict_direct(dec, s->mb.mb->direct);
        direct = s->mb.cache;
        for (int list = 0; list < lists; list++)
            for (int y = 0; y < 4; y++)
                memset(&s->mb.cache.ref[list][MV_CACHE(0, y)], REF_UNAVAILABLE, 4);
    }
    for (int list = 0; list < lists; list++)
        sub_mb_vectors(dec, list, sub, ref[list], &direct);
    return H264_OK;
}

int h264_inter_pred_syntax(h264_decoder *const dec, const int mb_type,
                           bool *const transform_8x8_allowed) {
    slice_ctx *const s = &dec->slice;
    mb_info *const mb = s->mb.mb;
    const bool is_B = s->hdr.slice_type == SLICE_B;
    static const uint8_t list0[2] = {L0, L0};
    const uint8_t *const pred = is_B ? table_7_14_pred[mb_type % 22] : list0;
    int rc = H264_OK;
    h264_motion_cache_fill(dec, is_B ? 2 : 1);
    *transform_8x8_allowed = true;
    h264_cost_part(s, COST_TYPE);
    if (is_B && mb_type == 0) {
        mb->type = H264_B_DIRECT;
        mb->direct = 15;
        *transform_8x8_allowed = s->sps->direct_8x8_inference_flag;
        h264_predict_direct(dec, 15);
    } else if (is_B ? mb_type == 22 : mb_type >= 3) {
        mb->type = is_B ? H264_B_8X8 : H264_P_8X8;
        rc = quarters(dec, !is_B && mb_type == 4, transform_8x8_allowed);
    } else if (is_B ? mb_type <= 3 : mb_type == 0) {
        mb->type = is_B ? H264_B_16X16 : H264_P_16X16;
        mb->moves_as_one = true;
        rc = partitions(dec, 1, 4, 4, pred);
    } else if (is_B ? mb_type % 2 == 0 : mb_type == 1) {
        mb->type = is_B ? H264_B_16X8 : H264_P_16X8;
        rc = partitions(dec, 2, 4, 2, pred);
    } else {
        mb->type = is_B ? H264_B_8X16 : H264_P_8X16;
        rc = partitions(dec, 2, 2, 4, pred);
    }
    h264_cost_part(s, COST_MOTION);
    if (rc == H264_OK)
        h264_motion_store(dec, s->pps->entropy_coding_mode_flag);
    if (rc == H264_OK && s->asks_ahead)
        h264_prefetch_prediction(dec);
    return rc;
}
