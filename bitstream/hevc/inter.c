/* 8.5.3.3: inter sample prediction of one prediction unit, from references with clamped
 * coordinates. */
#include "internal.h"

enum {
    PATCH = 64 + 8 // samples of a side with what the filters reach beyond
};

typedef struct block { // samples of a reference that a prediction needs
    const uint8_t *at;
    ptrdiff_t stride;
} block;

static block reach(const hevc_decoder *const dec, const picture *const ref, const int cIdx,
                   const int x, const int y, const int w, const int h, uint16_t *const patch) {
    const int taps = cIdx == 0 ? 8 : 4, before = taps / 2 - 1, size = dec->k->sample_size;
    const int width = dec->width[cIdx], height = dec->height[cIdx];
    if (x >= before && y >= before && x + w + taps / 2 <= width && y + h + taps / 2 <= height)
        return (block){hevc_sample(dec, ref, cIdx, x, y), ref->stride[cIdx]};
    dec->k->patch(patch, PATCH * size, ref->plane[cIdx], ref->stride[cIdx], width, height,
                  x - before, y - before, w + taps - 1, h + taps - 1);
    return (block){(const uint8_t *)patch + before * (PATCH + 1) * size, PATCH * size};
}

/* Are there explicit weights that say anything? Those of 1 without an offset give the same samples
 * as default weighting, (8-265) as (8-262), (8-266) as (8-263): numerators and divisors are both
 * multiplied by 1 << log2 of the denominator. */
static bool has_weights(const slice_ctx *const c, const motion *const m, const int cIdx) {
    const slice_header *const h = &c->hdr;
    if (!(h->slice_type == SLICE_P ? c->pps->weighted_pred_flag : c->pps->weighted_bipred_flag))
        return false;
    const int one = 1 << (cIdx == 0 ? h->luma_log2_weight_denom : h->ChromaLog2WeightDenom);
    for (int X = 0; X < 2; X++)
        if (m->flags >> X & 1 &&
            (h->weight[X][m->ref_idx[X]][cIdx] != one || h->offset[X][m->ref_idx[X]][cIdx] != 0))
            return true;
    return false;
}

static void component(hevc_decoder *const dec, const pu_ctx *const pu, const motion *const m,
                      const int cIdx) {
    const slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    const int sx = cIdx == 0 ? 0 : s->sub_x, sy = cIdx == 0 ? 0 : s->sub_y;
    const int x = pu->x >> sx, y = pu->y >> sy, w = pu->w >> sx, h = pu->h >> sy;
    const int depth = hevc_depth(s, cIdx);
    int16_t pred[2][64 * PREDICTION_STRIDE];
    const int16_t *used[2] = {NULL, NULL};
    weights wt = {.log2WD =
                      (cIdx == 0 ? c->hdr.luma_log2_weight_denom : c->hdr.ChromaLog2WeightDenom) +
                      14 - depth};
    const bool explicit_flag = has_weights(c, m, cIdx);
    uint16_t patch[PATCH * PATCH];
    const bool alone = m->flags >> 1 & 1 ? !(m->flags & 1) : true;
    int n = 0;
    for (int X = 0; X < 2; X++) {
        if (!(m->flags >> X & 1))
            continue;
        const int refIdx = m->ref_idx[X];
        const int bx = 2 + sx, by = 2 + sy; // bits of a fraction
        const int xi = iclip(x + (m->mv[X][0] >> bx), -PATCH * 2, dec->width[cIdx] + PATCH);
        const int yi = iclip(y + (m->mv[X][1] >> by), -PATCH * 2, dec->height[cIdx] + PATCH);
        int fx = m->mv[X][0] & ((1 << bx) - 1), fy = m->mv[X][1] & ((1 << by) - 1);
        if (cIdx > 0) { // eighths
            fx <<= 1 - sx;
            fy <<= 1 - sy;
        }
        const block b = reach(dec, c->list[X].pic[refIdx], cIdx, xi, yi, w, h, patch);
        if (alone && !explicit_flag && fx == 0 && fy == 0) {
            dec->k->copy(hevc_sample(dec, dec->cur, cIdx, x, y), dec->cur->stride[cIdx], b.at,
                         b.stride, w, h);
            hevc_tap_prediction(dec, cIdx, x, y, w, h);
            return;
        }
        (cIdx == 0 ? dec->k->luma : dec->k->chroma)(pred[n], b.at, b.stride, w, h, fx, fy, depth);
        wt.w[n] = c->hdr.weight[X][refIdx][cIdx];
        wt.o[n] = c->hdr.offset[X][refIdx][cIdx];
        used[n] = pred[n];
        n++;
    }
    uint8_t *const dst = hevc_sample(dec, dec->cur, cIdx, x, y);
    if (explicit_flag)
        dec->k->weigh(dst, dec->cur->stride[cIdx], used[0], used[1], w, h, &wt, depth);
    else
        dec->k->average(dst, dec->cur->stride[cIdx], used[0], used[1], w, h, depth);
    hevc_tap_prediction(dec, cIdx, x, y, w, h);
}

void hevc_predict_inter(hevc_decoder *const dec, const pu_ctx *const pu, const motion *const m) {
    const int planes = dec->active_sps.ChromaArrayType == 0 ? 1 : 3;
    for (int cIdx = 0; cIdx < planes && hevc_makes_samples(dec); cIdx++)
        component(dec, pu, m, cIdx);
}
