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
    }
}
