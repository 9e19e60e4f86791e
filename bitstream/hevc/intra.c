/* 8.4.4.2: intra sample prediction: which neighbours there are, the substitution of those that are
 * not and their smoothing. The predictions themselves are kernels. */
#include "internal.h"

/* A neighbour block at luma (xN, yN), 4x4 samples: may its samples be used? */
static bool usable(const hevc_decoder *const dec, const int x, const int y, const int xN,
                   const int yN) {
    if (!hevc_available(dec, x, y, xN, yN))
        return false;
    if (!dec->active_pps.constrained_intra_pred_flag)
        return true;
    const uint8_t mode = dec->cur->taps->mode[hevc_map(dec, xN, yN)];
    return mode == HEVC_MODE_INTRA || mode == HEVC_MODE_PCM;
}

typedef struct border { // p[-1][2n-1] .. p[-1][-1] .. p[2n-1][-1]
    uint16_t p[4 * 32 + 1];
} border;

/* 8.4.4.2.2: gathers the border and fills what is missing. */
static void gather_border(const hevc_decoder *const dec, const int cIdx, const int x, const int y,
                          const int log2, border *const out) {
    const sps *const s = &dec->active_sps;
    const picture *const pic = dec->cur;
    const int n = 1 << log2, sx = cIdx == 0 ? 0 : s->sub_x, sy = cIdx == 0 ? 0 : s->sub_y;
    const int ux = 4 >> sx, uy = 4 >> sy; // samples of a 4x4 luma block
    const int xL = x << sx, yL = y << sy; // of the block, luma
    const ptrdiff_t stride = pic->stride[cIdx], size = dec->k->sample_size;
    bool there[4 * 32 + 1] = {false};
    bool any = false;
    for (int k = 2 * n - uy; k >= 0; k -= uy) { // left, from below
        if (!usable(dec, xL, yL, xL - 1, yL + (k << sy)))
            continue;
        const int at = 2 * n - uy - k; // p[2n-1] is first: rows k+uy-1 .. k
        dec->k->gather(&out->p[at], hevc_sample(dec, pic, cIdx, x - 1, y + k + uy - 1), -stride,
                       uy);
        memset(&there[at], true, (size_t)uy);
        any = true;
    }
    if (usable(dec, xL, yL, xL - 1, yL - 1)) {
        dec->k->gather(&out->p[2 * n], hevc_sample(dec, pic, cIdx, x - 1, y - 1), size, 1);
        there[2 * n] = any = true;
    }
    for (int k = 0; k < 2 * n; k += ux) {
        if (!usable(dec, xL, yL, xL + (k << sx), yL - 1))
            continue;
        dec->k->gather(&out->p[2 * n + 1 + k], hevc_sample(dec, pic, cIdx, x + k, y - 1), size, ux);
        memset(&there[2 * n + 1 + k], true, (size_t)ux);
        any = true;
    }
    if (!any) {
        for (int i = 0; i <= 4 * n; i++)
            out->p[i] = (uint16_t)(1 << (hevc_depth(s, cIdx) - 1));
        return;
    }
    int first = 0;
    while (!there[first])
        first++;
    for (int i = 0; i < first; i++)
        out->p[i] = out->p[first];
    for (int i = first + 1; i <= 4 * n; i++)
        if (!there[i])
            out->p[i] = out->p[i - 1];
}

/* 8.4.4.2.3 */
static void smooth(border *const b, const int n, const bool strong, const int depth) {
    const border in = *b;
    const int last = 4 * n, corner = 2 * n;
    const int limit = 1 << (depth - 5);
    if (strong && iabs(in.p[corner] + in.p[last] - 2 * in.p[corner + n]) < limit &&
        iabs(in.p[corner] + in.p[0] - 2 * in.p[n]) < limit) {
        for (int i = 1; i < 64; i++) {
            b->p[64 - i] = (uint16_t)(((64 - i) * in.p[64] + i * in.p[0] + 32) >> 6);
            b->p[64 + i] = (uint16_t)(((64 - i) * in.p[64] + i * in.p[128] + 32) >> 6);
        }
        return;
    }
    for (int i = 1; i < last; i++)
        b->p[i] = (uint16_t)((in.p[i - 1] + 2 * in.p[i] + in.p[i + 1] + 2) >> 2);
}

static bool is_smoothed(const sps *const s, const int cIdx, const int log2, const int mode) {
    static const uint8_t intraHorVerDistThres[6] = {0, 0, 0, 7, 1, 0};
    if (s->intra_smoothing_disabled_flag || (cIdx > 0 && s->ChromaArrayType != 3) || mode == 1 ||
        log2 == 2)
        return false;
    return imin(iabs(mode - 26), iabs(mode - 10)) > intraHorVerDistThres[log2];
}

void hevc_predict_intra(hevc_decoder *const dec, const int cIdx, const int x, const int y,
                        const int log2, const int mode) {
    const sps *const s = &dec->active_sps;
    const int n = 1 << log2, depth = hevc_depth(s, cIdx);
    border b;
    if (!hevc_makes_samples(dec))
        return;
    gather_border(dec, cIdx, x, y, log2, &b);
    if (is_smoothed(s, cIdx, log2, mode))
        smooth(&b, n, s->strong_intra_smoothing_enabled_flag && cIdx == 0 && n == 32, depth);
    const bool disable = s->implicit_rdpcm_enabled_flag && dec->slice.cu.bypass;
    dec->k->intra(hevc_sample(dec, dec->cur, cIdx, x, y), dec->cur->stride[cIdx], b.p, log2, mode,
                  cIdx, cIdx == 0 && n < 32 && !(disable && mode > 1), depth);
}
