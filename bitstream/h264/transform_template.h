/* 8.5.14, picture construction, for one sample type; see transform.c. */
#include "../coding/sample.h"

#undef RESIDUAL
#if SAMPLE_SIZE == 1
#define RESIDUAL int16_t
#else
#define RESIDUAL int32_t
#endif

CORE_INLINE void FN(add_block)(SAMPLE *dst, const ptrdiff_t stride, const int32_t *r, const int n,
                               const int max) {
    for (int y = 0; y < n; y++, dst += stride, r += n)
        for (int x = 0; x < n; x++)
            dst[x] = (SAMPLE)iclip(dst[x] + r[x], 0, max);
}

// n x n samples of residual into its tap
CORE_INLINE void FN(record)(void *const residual, const ptrdiff_t stride, const int32_t *const r,
                            const int n) {
    for (int y = 0; y < n && residual; y++) {
        RESIDUAL *const to = (RESIDUAL *)((uint8_t *)residual + y * stride);
        for (int x = 0; x < n; x++)
            to[x] = (RESIDUAL)(SAMPLE_SIZE == 1 ? iclip(r[n * y + x], INT16_MIN, INT16_MAX)
                                                : r[n * y + x]);
    }
}

static void FN(add_residual)(void *const dst, ptrdiff_t stride, const int32_t *const r, const int n,
                             const int depth, void *const residual,
                             const ptrdiff_t residual_stride) {
    const int max = (1 << DEPTH(depth)) - 1;
    stride /= SAMPLE_SIZE;
    FN(record)(residual, residual_stride, r, n);
    if (n == 4)
        FN(add_block)(dst, stride, r, 4, max);
    else
        FN(add_block)(dst, stride, r, 8, max);
}

static void FN(idct4x4_add)(void *const dst, const ptrdiff_t stride, int32_t *const d,
                            const int depth, void *const residual,
                            const ptrdiff_t residual_stride) {
    idct4x4(d);
    FN(record)(residual, residual_stride, d, 4);
    FN(add_block)(dst, stride / SAMPLE_SIZE, d, 4, (1 << DEPTH(depth)) - 1);
    memset(d, 0, 16 * sizeof(*d));
}

static void FN(idct8x8_add)(void *const dst, const ptrdiff_t stride, int32_t *const d,
                            const int depth, void *const residual,
                            const ptrdiff_t residual_stride) {
    idct8x8(d);
    FN(record)(residual, residual_stride, d, 8);
    FN(add_block)(dst, stride / SAMPLE_SIZE, d, 8, (1 << DEPTH(depth)) - 1);
    memset(d, 0, 64 * sizeof(*d));
}

CORE_INLINE void FN(dc_add)(void *const dst, const ptrdiff_t stride, int32_t *const d,
                            const int depth, void *const residual, const ptrdiff_t residual_stride,
                            const int n) {
    int32_t r[64];
    for (int i = 0; i < n * n; i++)
        r[i] = (d[0] + 32) >> 6;
    FN(record)(residual, residual_stride, r, n);
    FN(add_block)(dst, stride / SAMPLE_SIZE, r, n, (1 << depth) - 1);
    d[0] = 0;
}

static void FN(idct4x4_dc_add)(void *const dst, const ptrdiff_t stride, int32_t *const d,
                               const int depth, void *const residual,
                               const ptrdiff_t residual_stride) {
    FN(dc_add)(dst, stride, d, DEPTH(depth), residual, residual_stride, 4);
}

static void FN(idct8x8_dc_add)(void *const dst, const ptrdiff_t stride, int32_t *const d,
                               const int depth, void *const residual,
                               const ptrdiff_t residual_stride) {
    FN(dc_add)(dst, stride, d, DEPTH(depth), residual, residual_stride, 8);
}

void FN(h264_transform_kernels)(kernels *const k) {
    k->add_residual = FN(add_residual);
    k->idct4x4_add = FN(idct4x4_add);
    k->idct8x8_add = FN(idct8x8_add);
    k->idct4x4_dc_add = FN(idct4x4_dc_add);
    k->idct8x8_dc_add = FN(idct8x8_dc_add);
}
