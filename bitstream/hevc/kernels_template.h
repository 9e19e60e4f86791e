/* 8.4.4.2.4 to 8.4.4.2.6, 8.5.3.3.3, 8.5.3.3.4, 8.6.7, 8.7.2.5 and 8.7.3 for one sample type, in
 * plain C; see kernels.c. */
#include "../coding/sample.h"

#undef AT
#define AT(p, stride, x, y) ((SAMPLE *)(void *)((uint8_t *)(p) + (y) * (stride)))[x]

static inline SAMPLE FN(clip1)(const int v, const int depth) {
    return (SAMPLE)iclip(v, 0, (1 << DEPTH(depth)) - 1);
}

// ------------------------------------------------------------------------------------------ intra

static void FN(gather)(uint16_t *const to, const void *const from, const ptrdiff_t step,
                       const int n) {
    for (int i = 0; i < n; i++)
        to[i] = *(const SAMPLE *)(const void *)((const uint8_t *)from + i * step);
}

static void FN(planar)(void *const dst, const ptrdiff_t stride, const uint16_t *const left,
                       const uint16_t *const top, const int log2) {
    const int n = 1 << log2, tr = top[n], bl = left[-n]; // left[-y] is p[-1][y]
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            AT(dst, stride, x, y) = (SAMPLE)(((n - 1 - x) * left[-y] + (x + 1) * tr +
                                              (n - 1 - y) * top[x] + (y + 1) * bl + n) >>
                                             (log2 + 1));
}

static void FN(dc)(void *const dst, const ptrdiff_t stride, const uint16_t *const left,
                   const uint16_t *const top, const int log2, const bool edge_filter) {
    const int n = 1 << log2;
    int sum = n;
    for (int i = 0; i < n; i++)
        sum += left[-i] + top[i];
    const int dc = sum >> (log2 + 1);
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            AT(dst, stride, x, y) = (SAMPLE)dc;
    if (!edge_filter)
        return;
    AT(dst, stride, 0, 0) = (SAMPLE)((left[0] + 2 * dc + top[0] + 2) >> 2);
    for (int i = 1; i < n; i++) {
        AT(dst, stride, i, 0) = (SAMPLE)((top[i] + 3 * dc + 2) >> 2);
        AT(dst, stride, 0, i) = (SAMPLE)((left[-i] + 3 * dc + 2) >> 2);
    }
}

static void FN(angular)(void *const dst, const ptrdiff_t stride, const uint16_t *const corner,
                        const int log2, const int mode, const bool edge_filter, const int depth) {
    const int n = 1 << log2, angle = intraPredAngle[mode];
    const bool vertical = mode >= 18;
    // ref[0] is the corner; main: along the direction, side: the other border
    const int main_step = vertical ? 1 : -1, side_step = -main_step;
    uint16_t buffer[3 * 32 + 1], *const ref = buffer + 32;
    for (int i = 0; i <= n; i++)
        ref[i] = corner[i * main_step];
    if (angle < 0) {
        const int last = (n * angle) >> 5;
        for (int i = -1; last < -1 && i >= last; i--)
            ref[i] = corner[((i * invAngle[mode] + 128) >> 8) * side_step];
    } else {
        for (int i = n + 1; i <= 2 * n; i++)
            ref[i] = corner[i * main_step];
    }
    for (int j = 0; j < n; j++) { // j: away from the main border
        const int idx = ((j + 1) * angle) >> 5, fact = ((j + 1) * angle) & 31;
        for (int i = 0; i < n; i++) {
            const int a = ref[i + idx + 1], b = fact != 0 ? ref[i + idx + 2] : 0;
            const SAMPLE v = (SAMPLE)(fact != 0 ? ((32 - fact) * a + fact * b + 16) >> 5 : a);
            if (vertical)
                AT(dst, stride, i, j) = v;
            else
                AT(dst, stride, j, i) = v;
        }
    }
    if (angle != 0 || !edge_filter)
        return;
    for (int i = 0; i < n; i++) {
        const int v = ref[1] + ((corner[(i + 1) * side_step] - corner[0]) >> 1);
        if (vertical)
            AT(dst, stride, 0, i) = FN(clip1)(v, depth);
        else
            AT(dst, stride, i, 0) = FN(clip1)(v, depth);
    }
}

static void FN(intra)(void *const dst, const ptrdiff_t stride, const uint16_t *const p,
                      const int log2, const int mode, const int cIdx, const bool edge_filter,
                      const int depth) {
    const uint16_t *const corner = p + (2 << log2);
    (void)cIdx;
    if (mode == 0)
        FN(planar)(dst, stride, corner - 1, corner + 1, log2);
    else if (mode == 1)
        FN(dc)(dst, stride, corner - 1, corner + 1, log2, edge_filter);
    else
        FN(angular)(dst, stride, corner, log2, mode, edge_filter, depth);
}

static void FN(add)(void *const dst, const ptrdiff_t stride, const int32_t *const r, const int n,
                    const int depth) {
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            AT(dst, stride, x, y) = FN(clip1)(AT(dst, stride, x, y) + r[y * n + x], depth);
}

// ------------------------------------------------------------------------------------------ inter

// The sum of a filter over samples of 8 bits fits 16 (88 * 255 at most), which doubles the lanes.
#undef SUM
#if SAMPLE_SIZE == 1
#define SUM int16_t
#else
#define SUM int
#endif

// One filter along one axis, `step` samples apart; n is a constant to the compiler
#define FILTER(name, SOURCE, TOTAL, n)                                                             \
    static inline void FN(name)(int16_t *restrict const to, const SOURCE *restrict src,            \
                                const ptrdiff_t stride, const ptrdiff_t step, const int w,         \
                                const int h, const int8_t *const taps, const int shift) {          \
        TOTAL c[n];                                                                                \
        for (int k = 0; k < (n); k++)                                                              \
            c[k] = taps[k];                                                                        \
        for (int y = 0; y < h; y++, src += stride)                                                 \
            for (int x = 0; x < w; x++) {                                                          \
                TOTAL sum = 0;                                                                     \
                for (int k = 0; k < (n); k++)                                                      \
                    sum = (TOTAL)(sum + c[k] * (TOTAL)src[x + (k - ((n) / 2 - 1)) * step]);        \
                to[y * PREDICTION_STRIDE + x] = (int16_t)(sum >> shift);                           \
            }                                                                                      \
    }
FILTER(filter8, SAMPLE, SUM, 8)
FILTER(filter4, SAMPLE, SUM, 4)
FILTER(filter8_rows, int16_t, int, 8)
FILTER(filter4_rows, int16_t, int, 4)
#undef FILTER

static void FN(widen)(int16_t *const to, const SAMPLE *src, const ptrdiff_t stride, const int w,
                      const int h, const int shift) {
    for (int y = 0; y < h; y++, src += stride)
        for (int x = 0; x < w; x++)
            to[y * PREDICTION_STRIDE + x] = (int16_t)(src[x] << shift);
}

static void FN(luma)(int16_t *const to, const void *const from, const ptrdiff_t bytes, const int w,
                     const int h, const int fx, const int fy, const int depth) {
    const SAMPLE *const src = from;
    const ptrdiff_t stride = bytes / (ptrdiff_t)sizeof(SAMPLE);
    const int shift = DEPTH(depth) - 8;
    int16_t rows[(64 + 7) * PREDICTION_STRIDE];
    if (fx == 0 && fy == 0) {
        FN(widen)(to, src, stride, w, h, 14 - DEPTH(depth));
    } else if (fy == 0) {
        FN(filter8)(to, src, stride, 1, w, h, luma_taps[fx], shift);
    } else if (fx == 0) {
        FN(filter8)(to, src, stride, stride, w, h, luma_taps[fy], shift);
    } else {
        FN(filter8)(rows, src - 3 * stride, stride, 1, w, h + 7, luma_taps[fx], shift);
        FN(filter8_rows)(to, rows + 3 * PREDICTION_STRIDE, PREDICTION_STRIDE, PREDICTION_STRIDE, w,
                         h, luma_taps[fy], 6);
    }
}

static void FN(chroma)(int16_t *const to, const void *const from, const ptrdiff_t bytes,
                       const int w, const int h, const int fx, const int fy, const int depth) {
    const SAMPLE *const src = from;
    const ptrdiff_t stride = bytes / (ptrdiff_t)sizeof(SAMPLE);
    const int shift = DEPTH(depth) - 8;
    int16_t rows[(64 + 3) * PREDICTION_STRIDE];
    if (fx == 0 && fy == 0) {
        FN(widen)(to, src, stride, w, h, 14 - DEPTH(depth));
    } else if (fy == 0) {
        FN(filter4)(to, src, stride, 1, w, h, chroma_taps[fx], shift);
    } else if (fx == 0) {
        FN(filter4)(to, src, stride, stride, w, h, chroma_taps[fy], shift);
    } else {
        FN(filter4)(rows, src - stride, stride, 1, w, h + 3, chroma_taps[fx], shift);
        FN(filter4_rows)(to, rows + PREDICTION_STRIDE, PREDICTION_STRIDE, PREDICTION_STRIDE, w, h,
                         chroma_taps[fy], 6);
    }
}

// A prediction that is the reference itself
static void FN(copy)(void *const dst, const ptrdiff_t stride, const void *const src,
                     const ptrdiff_t src_stride, const int w, const int h) {
    for (int y = 0; y < h; y++)
        memcpy((uint8_t *)dst + y * stride, (const uint8_t *)src + y * src_stride,
               (size_t)w * sizeof(SAMPLE));
}

static void FN(average)(void *const to, const ptrdiff_t bytes, const int16_t *const a,
                        const int16_t *const b, const int w, const int h, const int depth) {
    const int shift = 14 - DEPTH(depth);
    for (int y = 0; y < h; y++) {
        SAMPLE *const dst = (SAMPLE *)(void *)((uint8_t *)to + y * bytes);
        const int16_t *const p = a + y * PREDICTION_STRIDE;
        const int16_t *const q = b == NULL ? p : b + y * PREDICTION_STRIDE;
        if (b == NULL)
            for (int x = 0; x < w; x++)
                dst[x] = FN(clip1)((p[x] + (1 << shift >> 1)) >> shift, depth);
        else
            for (int x = 0; x < w; x++)
                dst[x] = FN(clip1)((p[x] + q[x] + (1 << shift)) >> (shift + 1), depth);
    }
}

static void FN(weigh)(void *const to, const ptrdiff_t bytes, const int16_t *const a,
                      const int16_t *const b, const int w, const int h, const weights *const wt,
                      const int depth) {
    const int log2WD = wt->log2WD, w0 = wt->w[0], w1 = wt->w[1];
    const int o0 = wt->o[0], o = (wt->o[0] + wt->o[1] + 1) * (1 << log2WD);
    for (int y = 0; y < h; y++) {
        SAMPLE *const dst = (SAMPLE *)(void *)((uint8_t *)to + y * bytes);
        const int16_t *const p = a + y * PREDICTION_STRIDE;
        const int16_t *const q = b == NULL ? p : b + y * PREDICTION_STRIDE;
        if (b == NULL) // log2WD is 2 at least
            for (int x = 0; x < w; x++)
                dst[x] = FN(clip1)(((p[x] * w0 + (1 << (log2WD - 1))) >> log2WD) + o0, depth);
        else
            for (int x = 0; x < w; x++)
                dst[x] = FN(clip1)((p[x] * w0 + q[x] * w1 + o) >> (log2WD + 1), depth);
    }
}

static void FN(patch)(void *const to, const ptrdiff_t to_stride, const void *const plane,
                      const ptrdiff_t stride, const int width, const int height, const int x,
                      const int y, const int w, const int h) {
    const int before = iclip(-x, 0, w), after = iclip(x + w - width, 0, w - before);
    const int inside = w - before - after;
    for (int r = 0; r < h; r++) {
        const SAMPLE *const line = &AT(plane, stride, 0, iclip(y + r, 0, height - 1));
        SAMPLE *const out = &AT(to, to_stride, 0, r);
        if (r > 0 && (y + r <= 0 || y + r >= height)) { // as the row above
            memcpy(out, &AT(to, to_stride, 0, r - 1), (size_t)w * sizeof(SAMPLE));
            continue;
        }
        for (int i = 0; i < before; i++)
            out[i] = line[0];
        memcpy(out + before, line + iclip(x + before, 0, width - 1),
               (size_t)inside * sizeof(SAMPLE));
        for (int i = w - after; i < w; i++)
            out[i] = line[width - 1];
    }
}

// ---------------------------------------------------------------------------------- in-loop
// filters

#undef TAP
#define TAP(i) (*(SAMPLE *)(void *)(s + (i) * step))

static void FN(deblock_luma)(void *const q0, const ptrdiff_t step, const ptrdiff_t line,
                             const int beta, const int tc, const bool keep_p, const bool keep_q,
                             const int depth) {
    uint8_t *s = q0;
    int dp[2], dq[2], size[2], flat[2], near[2];
    for (int k = 0; k < 2; k++) {
        s = (uint8_t *)q0 + 3 * k * line;
        dp[k] = iabs(TAP(-3) - 2 * TAP(-2) + TAP(-1));
        dq[k] = iabs(TAP(2) - 2 * TAP(1) + TAP(0));
        size[k] = dp[k] + dq[k];
        flat[k] = iabs(TAP(-4) - TAP(-1)) + iabs(TAP(0) - TAP(3));
        near[k] = iabs(TAP(-1) - TAP(0));
    }
    if (size[0] + size[1] >= beta)
        return;
    bool strong = true;
    for (int k = 0; k < 2; k++)
        strong &= 2 * size[k] < beta >> 2 && flat[k] < beta >> 3 && near[k] < (5 * tc + 1) >> 1;
    const int side = (beta + (beta >> 1)) >> 3;
    const bool more_p = dp[0] + dp[1] < side, more_q = dq[0] + dq[1] < side;
    for (int k = 0; k < 4; k++) {
        s = (uint8_t *)q0 + k * line;
        const int p0 = TAP(-1), p1 = TAP(-2), p2 = TAP(-3), p3 = TAP(-4);
        const int v0 = TAP(0), v1 = TAP(1), v2 = TAP(2), v3 = TAP(3);
        if (strong) {
            if (!keep_p) {
                TAP(-1) = (SAMPLE)iclip((p2 + 2 * p1 + 2 * p0 + 2 * v0 + v1 + 4) >> 3, p0 - 2 * tc,
                                        p0 + 2 * tc);
                TAP(-2) = (SAMPLE)iclip((p2 + p1 + p0 + v0 + 2) >> 2, p1 - 2 * tc, p1 + 2 * tc);
                TAP(-3) = (SAMPLE)iclip((2 * p3 + 3 * p2 + p1 + p0 + v0 + 4) >> 3, p2 - 2 * tc,
                                        p2 + 2 * tc);
            }
            if (!keep_q) {
                TAP(0) = (SAMPLE)iclip((p1 + 2 * p0 + 2 * v0 + 2 * v1 + v2 + 4) >> 3, v0 - 2 * tc,
                                       v0 + 2 * tc);
                TAP(1) = (SAMPLE)iclip((p0 + v0 + v1 + v2 + 2) >> 2, v1 - 2 * tc, v1 + 2 * tc);
                TAP(2) = (SAMPLE)iclip((p0 + v0 + v1 + 3 * v2 + 2 * v3 + 4) >> 3, v2 - 2 * tc,
                                       v2 + 2 * tc);
            }
            continue;
        }
        int delta = (9 * (v0 - p0) - 3 * (v1 - p1) + 8) >> 4;
        if (iabs(delta) >= tc * 10)
            continue;
        delta = iclip(delta, -tc, tc);
        if (!keep_p) {
            TAP(-1) = FN(clip1)(p0 + delta, depth);
            if (more_p)
                TAP(-2) = FN(clip1)(
                    p1 + iclip((((p2 + p0 + 1) >> 1) - p1 + delta) >> 1, -(tc >> 1), tc >> 1),
                    depth);
        }
        if (!keep_q) {
            TAP(0) = FN(clip1)(v0 - delta, depth);
            if (more_q)
                TAP(1) = FN(clip1)(
                    v1 + iclip((((v2 + v0 + 1) >> 1) - v1 - delta) >> 1, -(tc >> 1), tc >> 1),
                    depth);
        }
    }
}

static void FN(deblock_chroma)(void *const q0, const ptrdiff_t step, const ptrdiff_t line,
                               const int n, const int tc, const bool keep_p, const bool keep_q,
                               const int depth) {
    for (int k = 0; k < n; k++) {
        uint8_t *const s = (uint8_t *)q0 + k * line;
        const int p0 = TAP(-1), v0 = TAP(0);
        const int delta = iclip((((v0 - p0) * 4) + TAP(-2) - TAP(1) + 4) >> 3, -tc, tc);
        if (!keep_p)
            TAP(-1) = FN(clip1)(p0 + delta, depth);
        if (!keep_q)
            TAP(0) = FN(clip1)(v0 - delta, depth);
    }
}

static void FN(sao_band)(void *const dst, const void *const src, const int w,
                         const int16_t table[32], const int depth) {
    const int shift = DEPTH(depth) - 5;
    for (int x = 0; x < w; x++) {
        const int v = ((const SAMPLE *)src)[x];
        ((SAMPLE *)dst)[x] = FN(clip1)(v + table[v >> shift], depth);
    }
}

// a, b: bytes to the two neighbours; offset by 2 + the two signs
static void FN(sao_edge)(void *const dst, const void *const src, const ptrdiff_t a,
                         const ptrdiff_t b, const int w, const int16_t offset[5], const int depth) {
    const SAMPLE *const s = src;
    const SAMPLE *const n = (const SAMPLE *)(const void *)((const uint8_t *)src + a);
    const SAMPLE *const m = (const SAMPLE *)(const void *)((const uint8_t *)src + b);
    SAMPLE *restrict const to = dst;
    const int o0 = offset[0], o1 = offset[1], o3 = offset[3], o4 = offset[4];
    for (int x = 0; x < w; x++) {
        const int v = s[x];
        const int edge = (v > n[x]) - (v < n[x]) + (v > m[x]) - (v < m[x]);
        const int o = (edge == -2 ? o0 : 0) + (edge == -1 ? o1 : 0) + (edge == 1 ? o3 : 0) +
                      (edge == 2 ? o4 : 0);
        to[x] = FN(clip1)(v + o, depth);
    }
}

static void FN(fill)(kernels *const k) {
    *k = (kernels){.sample_size = SAMPLE_SIZE,
                   .intra = FN(intra),
                   .gather = FN(gather),
                   .add = FN(add),
                   .copy = FN(copy),
                   .luma = FN(luma),
                   .chroma = FN(chroma),
                   .average = FN(average),
                   .weigh = FN(weigh),
                   .patch = FN(patch),
                   .deblock_luma = FN(deblock_luma),
                   .deblock_chroma = FN(deblock_chroma),
                   .sao_band = FN(sao_band),
                   .sao_edge = FN(sao_edge)};
}
