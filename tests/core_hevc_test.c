/* Unit check of the HEVC core's functions on samples: those of this processor's instruction set
 * against their plain twins, over all sizes. */
#include <stdio.h>
#include <string.h>

#include "../bitstream/hevc/internal.h"
#include "core_check.h"

enum {
    SIDE = 128,
    AREA = SIDE * SIDE
};

typedef struct twins {
    kernels plain, fast;
    int size, depth; // of a sample, bytes and bits
} twins;

static void random_samples(void *const plane, const twins *const t) {
    const int extreme = rnd(4); // now and then only the least and the greatest value
    for (int i = 0; i < AREA; i++)
        put(plane, t->size, i, extreme == 0 ? rnd(2) * ((1 << t->depth) - 1) : rnd(1 << t->depth));
}

static bool same_rows(const int16_t *const a, const int16_t *const b, const int w, const int h) {
    for (int y = 0; y < h; y++)
        if (memcmp(a + y * PREDICTION_STRIDE, b + y * PREDICTION_STRIDE, (size_t)w * sizeof *a) !=
            0)
            return false;
    return true;
}

// Two predictions of a block, from them samples: each with every fraction, with none and with
// weights
static void test_prediction(const twins *const t, const int w, const int h, const bool is_luma) {
    static uint16_t plane[AREA], got[AREA], want[AREA];
    static int16_t a[2][64 * PREDICTION_STRIDE], b[2][64 * PREDICTION_STRIDE];
    const ptrdiff_t stride = SIDE * t->size;
    const int fractions = is_luma ? 4 : 8;
    for (int k = 0; k < 2; k++) {
        random_samples(plane, t);
        const uint8_t *const at = (const uint8_t *)plane + 16 * stride + (16 + rnd(8)) * t->size;
        const int fx = rnd(fractions), fy = rnd(fractions);
        (is_luma ? t->plain.luma : t->plain.chroma)(a[k], at, stride, w, h, fx, fy, t->depth);
        (is_luma ? t->fast.luma : t->fast.chroma)(b[k], at, stride, w, h, fx, fy, t->depth);
        check_true("hevc interpolation", same_rows(a[k], b[k], w, h));
    }
    const weights wt = {.log2WD = 14 - t->depth + rnd(8),
                        .w = {rnd(256) - 128, rnd(256) - 128},
                        .o = {rnd(256) - 128, rnd(256) - 128}};
    for (int form = 0; form < 4; form++) { // one or two predictions, by default or explicit
        const int16_t *const second = form & 1 ? a[1] : NULL;
        memset(got, 0x5a, sizeof got);
        memset(want, 0x5a, sizeof want);
        uint8_t *const g = (uint8_t *)got + 8 * stride + 8 * t->size;
        uint8_t *const v = (uint8_t *)want + 8 * stride + 8 * t->size;
        if (form & 2) {
            t->fast.weigh(g, stride, a[0], second, w, h, &wt, t->depth);
            t->plain.weigh(v, stride, a[0], second, w, h, &wt, t->depth);
        } else {
            t->fast.average(g, stride, a[0], second, w, h, t->depth);
            t->plain.average(v, stride, a[0], second, w, h, t->depth);
        }
        check_samples("hevc weighting", got, want, t->size, SIDE, SIDE, SIDE);
    }
}

static void test_transform(const twins *const t, const int log2) {
    static int32_t coeff[32 * 32], got[32 * 32], want[32 * 32];
    const int n = 1 << log2, columns = 4 * (1 + rnd(n / 4)), rows = 4 * (1 + rnd(n / 4));
    const int extreme = rnd(4), most = 1 << rnd(16);
    memset(coeff, 0, sizeof coeff);
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++)
            coeff[y * n + x] = extreme == 0 ? (rnd(2) ? 32767 : -32768) : rnd(2 * most) - most;
    t->fast.inverse_dct[log2 - 2](coeff, got, columns, rows, t->depth);
    t->plain.inverse_dct[log2 - 2](coeff, want, columns, rows, t->depth);
    check_true("hevc transform", memcmp(got, want, (size_t)(n * n) * sizeof *got) == 0);
    if (log2 == 2) {
        t->fast.inverse_dst(coeff, got, t->depth);
        t->plain.inverse_dst(coeff, want, t->depth);
        check_true("hevc sine transform", memcmp(got, want, 16 * sizeof *got) == 0);
    }
    static uint16_t a[AREA], b[AREA];
    random_samples(a, t);
    memcpy(b, a, sizeof a);
    const ptrdiff_t at = (ptrdiff_t)(4 * SIDE + 4) * t->size, stride = (ptrdiff_t)SIDE * t->size;
    t->fast.add((uint8_t *)a + at, stride, want, n, t->depth);
    t->plain.add((uint8_t *)b + at, stride, want, n, t->depth);
    check_samples("hevc residual", a, b, t->size, SIDE, SIDE, SIDE);
}

static void test_intra_block(const twins *const t, const int log2, const int mode) {
    static uint16_t plane[AREA], got[AREA], want[AREA];
    const ptrdiff_t at = (ptrdiff_t)(4 * SIDE + 4) * t->size, stride = (ptrdiff_t)SIDE * t->size;
    uint16_t border[4 * 32 + 1];
    random_samples(plane, t);
    for (int i = 0; i <= 4 << log2; i++)
        border[i] = (uint16_t)get(plane, t->size, i);
    const bool edge_filter = rnd(2);
    memset(got, 0x5a, sizeof got);
    memset(want, 0x5a, sizeof want);
    t->fast.intra((uint8_t *)got + at, stride, border, log2, mode, 0, edge_filter, t->depth);
    t->plain.intra((uint8_t *)want + at, stride, border, log2, mode, 0, edge_filter, t->depth);
    check_samples("hevc intra", got, want, t->size, SIDE, SIDE, SIDE);
}

// Samples about an edge that differ so little that filters have something to do
static void random_edge(void *const plane, const twins *const t) {
    const int base = rnd(1 << t->depth), spread = 1 << rnd(t->depth - 1);
    for (int i = 0; i < AREA; i++)
        put(plane, t->size, i, iclip(base + rnd(spread) - spread / 2, 0, (1 << t->depth) - 1));
}

static void test_filters(const twins *const t) {
    static uint16_t a[AREA], b[AREA];
    const ptrdiff_t size = t->size, stride = SIDE * size, at = 16 * stride + 16 * size;
    const bool vertical = rnd(2), keep_p = rnd(4) == 0, keep_q = rnd(4) == 0;
    const ptrdiff_t step = vertical ? size : stride, line = vertical ? stride : size;
    const int up = 1 << (t->depth - 8), beta = rnd(65) * up, tc = rnd(25) * up;
    random_edge(a, t);
    memcpy(b, a, sizeof a);
    t->fast.deblock_luma((uint8_t *)a + at, step, line, beta, tc, keep_p, keep_q, t->depth);
    t->plain.deblock_luma((uint8_t *)b + at, step, line, beta, tc, keep_p, keep_q, t->depth);
    check_samples("hevc luma edge", a, b, t->size, SIDE, SIDE, SIDE);
    t->fast.deblock_chroma((uint8_t *)a + at, step, line, 4, tc, keep_p, keep_q, t->depth);
    t->plain.deblock_chroma((uint8_t *)b + at, step, line, 4, tc, keep_p, keep_q, t->depth);
    check_samples("hevc chroma edge", a, b, t->size, SIDE, SIDE, SIDE);
    int16_t table[32], offset[5];
    for (int i = 0; i < 32; i++)
        table[i] = (int16_t)((rnd(63) - 31) * up);
    memcpy(offset, table, sizeof offset);
    offset[2] = 0;
    static uint16_t c[AREA];
    const int w = 1 + rnd(64);
    const ptrdiff_t to = rnd(2) ? size : stride + rnd(3) * size - size;
    memcpy(c, a, sizeof c);
    memcpy(b, a, sizeof b);
    t->fast.sao_edge((uint8_t *)b + at, (uint8_t *)a + at, -to, to, w, offset, t->depth);
    t->plain.sao_edge((uint8_t *)c + at, (uint8_t *)a + at, -to, to, w, offset, t->depth);
    check_samples("hevc edge offset", b, c, t->size, SIDE, SIDE, SIDE);
    t->fast.sao_band((uint8_t *)b + at, (uint8_t *)a + at, w, table, t->depth);
    t->plain.sao_band((uint8_t *)c + at, (uint8_t *)a + at, w, table, t->depth);
    check_samples("hevc band offset", b, c, t->size, SIDE, SIDE, SIDE);
}

void test_hevc(void) {
    static const int depths[] = {8, 10, 12};
    static const int sides[] = {2, 4, 6, 8, 12, 16, 24, 32, 48, 64};
    for (int d = 0; d < 3; d++) {
        twins t = {.size = depths[d] > 8 ? 2 : 1, .depth = depths[d]};
        hevc_kernels_plain(&t.plain, t.size);
        hevc_kernels(&t.fast, t.size);
        for (int i = 0; i < 10; i++)
            for (int j = 0; j < 10; j++)
                for (int k = 0; k < 4; k++)
                    test_prediction(&t, sides[i], sides[j], k & 1);
        for (int log2 = 2; log2 <= 5; log2++) {
            for (int k = 0; k < 300; k++)
                test_transform(&t, log2);
            for (int mode = 0; mode < 35; mode++)
                for (int k = 0; k < 8; k++)
                    test_intra_block(&t, log2, mode);
        }
        for (int k = 0; k < 2000; k++)
            test_filters(&t);
    }
}
