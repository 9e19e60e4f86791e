/* 8.5.14, picture construction, for one sample type; see transform.c. */
#include "sample.h"

H264_INLINE void FN(add_block)(SAMPLE *dst, const ptrdiff_t stride, const int32_t *r, const int n,
                               const int max) {
    for (int y = 0; y < n; y++, dst += stride, r += n)
        for (int x = 0; x < n; x++)
            dst[x] = (SAMPLE)iclip(dst[x] + r[x], 0, max);
}

H264_INLINE void FN(add_constant)(SAMPLE *dst, const ptrdiff_t stride, const int32_t r, const int n,
                                  const int max) {
    for (int y = 0; y < n; y++, dst += stride)
        for (int x = 0; x < n; x++)
            dst[x] = (SAMPLE)iclip(dst[x] + r, 0, max);
}

static void FN(add_residual)(void *const dst, ptrdiff_t stride, const int32_t *const r, const int n,
                             const int depth) {
    const int max = (1 << DEPTH(depth)) - 1;
    stride /= SAMPLE_SIZE;
    if (n == 4)
        FN(add_block)(dst, stride, r, 4, max);
    else if (n == 8)
        FN(add_block)(dst, stride, r, 8, max);
    else
        FN(add_block)(dst, stride, r, n, max);
}

static void FN(idct4x4_add)(void *const dst, const ptrdiff_t stride, int32_t *const d,
                            const int depth) {
    idct4x4(d);
    FN(add_block)(dst, stride / SAMPLE_SIZE, d, 4, (1 << DEPTH(depth)) - 1);
    memset(d, 0, 16 * sizeof(*d));
}

static void FN(idct8x8_add)(void *const dst, const ptrdiff_t stride, int32_t *const d,
                            const int depth) {
    idct8x8(d);
    FN(add_block)(dst, stride / SAMPLE_SIZE, d, 8, (1 << DEPTH(depth)) - 1);
    memset(d, 0, 64 * sizeof(*d));
}

static void FN(idct4x4_dc_add)(void *const dst, const ptrdiff_t stride, int32_t *const d,
                               const int depth) {
    FN(add_constant)(dst, stride / SAMPLE_SIZE, (d[0] + 32) >> 6, 4, (1 << DEPTH(depth)) - 1);
    d[0] = 0;
}

static void FN(idct8x8_dc_add)(void *const dst, const ptrdiff_t stride, int32_t *const d,
                               const int depth) {
    FN(add_constant)(dst, stride / SAMPLE_SIZE, (d[0] + 32) >> 6, 8, (1 << DEPTH(depth)) - 1);
    d[0] = 0;
}

void FN(h264_transform_kernels)(kernels *const k) {
    k->add_residual = FN(add_residual);
    k->idct4x4_add = FN(idct4x4_add);
    k->idct8x8_add = FN(idct8x8_add);
    k->idct4x4_dc_add = FN(idct4x4_dc_add);
    k->idct8x8_dc_add = FN(idct8x8_dc_add);
}
