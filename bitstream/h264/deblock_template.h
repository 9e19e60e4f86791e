/* Sample filters of 8.7.2.3 and 8.7.2.4 for one sample type; see deblock.c. alpha, beta and tC0 are
 * those of the tables; here they are scaled to the bit depth. `across` steps over the edge, `along`
 * follows it, both in samples. */
#include "../coding/sample.h"

// 8.7.2.3 for one line of samples: bS < 4
CORE_INLINE void FN(filter_line)(SAMPLE *const q, const ptrdiff_t across, const int alpha,
                                 const int beta, const int tc0, const int max, const bool luma) {
    const int p0 = q[-across], p1 = q[-2 * across], q0 = q[0], q1 = q[across];
    if (abs(p0 - q0) >= alpha || abs(p1 - p0) >= beta || abs(q1 - q0) >= beta)
        return;
    int tc = tc0 + 1;
    if (luma) {
        const int p2 = q[-3 * across], q2 = q[2 * across], middle = (p0 + q0 + 1) >> 1;
        const bool ap = abs(p2 - p0) < beta, aq = abs(q2 - q0) < beta;
        tc = tc0 + ap + aq;
        if (ap)
            q[-2 * across] = (SAMPLE)(p1 + iclip((p2 + middle - 2 * p1) >> 1, -tc0, tc0));
        if (aq)
            q[across] = (SAMPLE)(q1 + iclip((q2 + middle - 2 * q1) >> 1, -tc0, tc0));
    }
    const int delta = iclip((4 * (q0 - p0) + (p1 - q1) + 4) >> 3, -tc, tc);
    q[-across] = (SAMPLE)iclip(p0 + delta, 0, max);
    q[0] = (SAMPLE)iclip(q0 - delta, 0, max);
}

// 8.7.2.4, bS 4: one side of the edge. s0..s3 go away from it, o0 and o1 are the nearest samples of
// the other side.
CORE_INLINE void FN(strong_side)(SAMPLE *const s, const ptrdiff_t away, const int o0, const int o1,
                                 const bool smooth, const int beta) {
    const int s0 = s[0], s1 = s[away], s2 = s[2 * away];
    if (smooth && abs(s2 - s0) < beta) {
        const int s3 = s[3 * away];
        s[0] = (SAMPLE)((s2 + 2 * s1 + 2 * s0 + 2 * o0 + o1 + 4) >> 3);
        s[away] = (SAMPLE)((s2 + s1 + s0 + o0 + 2) >> 2);
        s[2 * away] = (SAMPLE)((2 * s3 + 3 * s2 + s1 + s0 + o0 + 4) >> 3);
    } else {
        s[0] = (SAMPLE)((2 * s1 + s0 + o1 + 2) >> 2);
    }
}

CORE_INLINE void FN(filter_line_intra)(SAMPLE *const q, const ptrdiff_t across, const int alpha,
                                       const int beta, const bool luma) {
    const int p0 = q[-across], p1 = q[-2 * across], q0 = q[0], q1 = q[across];
    if (abs(p0 - q0) >= alpha || abs(p1 - p0) >= beta || abs(q1 - q0) >= beta)
        return;
    if (luma) {
        const bool smooth = abs(p0 - q0) < (alpha >> 2) + 2;
        FN(strong_side)(q - across, -across, q0, q1, smooth, beta);
        FN(strong_side)(q, across, p0, p1, smooth, beta);
    } else {
        q[-across] = (SAMPLE)((2 * p1 + p0 + q1 + 2) >> 2);
        q[0] = (SAMPLE)((2 * q1 + q0 + p1 + 2) >> 2);
    }
}

CORE_INLINE void FN(filter_lines)(SAMPLE *q, const ptrdiff_t across, const ptrdiff_t along,
                                  const int lines, const int alpha, const int beta,
                                  const int8_t tc0[4], const int depth, const bool luma) {
    const int scale = 1 << (depth - 8), max = (1 << depth) - 1;
    for (int i = 0; i < lines; i++, q += along) {
        const int t = tc0[4 * i / lines];
        if (t >= 0)
            FN(filter_line)(q, across, alpha * scale, beta * scale, t * scale, max, luma);
    }
}

CORE_INLINE void FN(filter_lines_intra)(SAMPLE *q, const ptrdiff_t across, const ptrdiff_t along,
                                        const int lines, const int alpha, const int beta,
                                        const int depth, const bool luma) {
    const int scale = 1 << (depth - 8);
    for (int i = 0; i < lines; i++, q += along)
        FN(filter_line_intra)(q, across, alpha * scale, beta * scale, luma);
}

static void FN(luma_v)(void *const pix, const ptrdiff_t stride, const int alpha, const int beta,
                       const int8_t tc0[4], const int depth) {
    FN(filter_lines)(pix, 1, stride / SAMPLE_SIZE, 16, alpha, beta, tc0, DEPTH(depth), true);
}

static void FN(luma_h)(void *const pix, const ptrdiff_t stride, const int alpha, const int beta,
                       const int8_t tc0[4], const int depth) {
    FN(filter_lines)(pix, stride / SAMPLE_SIZE, 1, 16, alpha, beta, tc0, DEPTH(depth), true);
}

static void FN(luma_intra_v)(void *const pix, const ptrdiff_t stride, const int alpha,
                             const int beta, const int depth) {
    FN(filter_lines_intra)(pix, 1, stride / SAMPLE_SIZE, 16, alpha, beta, DEPTH(depth), true);
}

static void FN(luma_intra_h)(void *const pix, const ptrdiff_t stride, const int alpha,
                             const int beta, const int depth) {
    FN(filter_lines_intra)(pix, stride / SAMPLE_SIZE, 1, 16, alpha, beta, DEPTH(depth), true);
}

CORE_INLINE void FN(chroma)(uint8_t *const planes[2], const ptrdiff_t across, const ptrdiff_t along,
                            const edge_pair *const e) {
    for (int i = 0; i < 2; i++) {
        SAMPLE *const pix = (SAMPLE *)planes[i];
        if (e->intra)
            FN(filter_lines_intra)(pix, across, along, 8, e->alpha[i], e->beta[i], DEPTH(e->depth),
                                   false);
        else
            FN(filter_lines)(pix, across, along, 8, e->alpha[i], e->beta[i], e->tc0[i],
                             DEPTH(e->depth), false);
    }
}

static void FN(chroma_v)(uint8_t *const cb, uint8_t *const cr, const ptrdiff_t stride,
                         const edge_pair *const e) {
    FN(chroma)((uint8_t *const[2]){cb, cr}, 1, stride / SAMPLE_SIZE, e);
}

static void FN(chroma_h)(uint8_t *const cb, uint8_t *const cr, const ptrdiff_t stride,
                         const edge_pair *const e) {
    FN(chroma)((uint8_t *const[2]){cb, cr}, stride / SAMPLE_SIZE, 1, e);
}

static void FN(lines_v)(void *const pix, const ptrdiff_t stride, const line_edge *const e) {
    if (e->intra)
        FN(filter_lines_intra)(pix, 1, stride / SAMPLE_SIZE, e->lines, e->alpha, e->beta,
                               DEPTH(e->depth), e->luma);
    else
        FN(filter_lines)(pix, 1, stride / SAMPLE_SIZE, e->lines, e->alpha, e->beta, e->tc0,
                         DEPTH(e->depth), e->luma);
}

void FN(h264_deblock_kernels)(kernels *const k) {
    k->deblock_luma[0] = FN(luma_v);
    k->deblock_luma[1] = FN(luma_h);
    k->deblock_luma_intra[0] = FN(luma_intra_v);
    k->deblock_luma_intra[1] = FN(luma_intra_h);
    k->deblock_chroma[0] = FN(chroma_v);
    k->deblock_chroma[1] = FN(chroma_h);
    k->deblock_lines = FN(lines_v);
}
