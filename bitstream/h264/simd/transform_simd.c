/* Inverse transforms of 8.5.12 and 8.5.13 added to 8-bit samples, in SSE2 and AVX2; the plain twins
 * are in transform.c and transform_template.h. Coefficients stay 32 bits wide, so that any input
 * gives what the plain functions give.
 *
 * The rows come first in the standard. A register holds a row, and the transform works between
 * registers: so the block is transposed, transformed, transposed back and transformed again. */
#include "internal.h"

#if H264_X86_SIMD
#include <emmintrin.h>
#include <immintrin.h>
#include <string.h>

typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef int32_t i32x8 __attribute__((vector_size(32)));

// One dimension of 8.5.12.2
CORE_INLINE void transform4(i32x4 d[4]) {
    const i32x4 e0 = d[0] + d[2], e1 = d[0] - d[2];
    const i32x4 e2 = (d[1] >> 1) - d[3], e3 = d[1] + (d[3] >> 1);
    d[0] = e0 + e3;
    d[1] = e1 + e2;
    d[2] = e1 - e2;
    d[3] = e0 - e3;
}

CORE_INLINE void transpose4(i32x4 d[4]) {
    const __m128i a = _mm_unpacklo_epi32((__m128i)d[0], (__m128i)d[1]);
    const __m128i b = _mm_unpackhi_epi32((__m128i)d[0], (__m128i)d[1]);
    const __m128i c = _mm_unpacklo_epi32((__m128i)d[2], (__m128i)d[3]);
    const __m128i e = _mm_unpackhi_epi32((__m128i)d[2], (__m128i)d[3]);
    d[0] = (i32x4)_mm_unpacklo_epi64(a, c);
    d[1] = (i32x4)_mm_unpackhi_epi64(a, c);
    d[2] = (i32x4)_mm_unpacklo_epi64(b, e);
    d[3] = (i32x4)_mm_unpackhi_epi64(b, e);
}

CORE_INLINE __m128i load_4(const uint8_t *const p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm_cvtsi32_si128(v);
}

CORE_INLINE void store_4(uint8_t *const p, const __m128i v) {
    const int32_t four = _mm_cvtsi128_si32(v);
    memcpy(p, &four, 4);
}

// Two rows of four residual samples, 16 bits wide, onto the rows at p and below
CORE_INLINE void add_two_rows(uint8_t *const p, const ptrdiff_t stride, const __m128i r) {
    const __m128i both = _mm_unpacklo_epi32(load_4(p), load_4(p + stride));
    const __m128i sum = _mm_adds_epi16(_mm_unpacklo_epi8(both, _mm_setzero_si128()), r);
    const __m128i out = _mm_packus_epi16(sum, sum);
    store_4(p, out);
    store_4(p + stride, _mm_srli_si128(out, 4));
}

// Two rows of four residual samples, 16 bits wide, into their tap
CORE_INLINE void record_two_rows(uint8_t *const to, const ptrdiff_t stride, const __m128i r) {
    _mm_storel_epi64((__m128i *)to, r);
    _mm_storel_epi64((__m128i *)(to + stride), _mm_unpackhi_epi64(r, r));
}

CORE_INLINE void idct4x4(uint8_t *const dst, const ptrdiff_t stride, int32_t *const coefficients,
                         uint8_t *const residual, const ptrdiff_t residual_stride) {
    i32x4 d[4];
    memcpy(d, coefficients, sizeof(d));
    memset(coefficients, 0, sizeof(d));
    transpose4(d);
    transform4(d);
    transpose4(d);
    transform4(d);
    for (int i = 0; i < 4; i++)
        d[i] = (d[i] + 32) >> 6;
    const __m128i upper = _mm_packs_epi32((__m128i)d[0], (__m128i)d[1]);
    const __m128i lower = _mm_packs_epi32((__m128i)d[2], (__m128i)d[3]);
    add_two_rows(dst, stride, upper);
    add_two_rows(dst + 2 * stride, stride, lower);
    if (residual) {
        record_two_rows(residual, residual_stride, upper);
        record_two_rows(residual + 2 * residual_stride, residual_stride, lower);
    }
}

// A constant r is added to bytes as what of it is positive, and what is negative subtracted, with
// saturation.
typedef struct constant {
    __m128i plus, minus, r; // bytes, bytes, 16 bits
} constant;

CORE_INLINE constant dc_of(int32_t *const coefficients) {
    const int r = iclip((coefficients[0] + 32) >> 6, INT16_MIN, INT16_MAX);
    coefficients[0] = 0;
    return (constant){_mm_set1_epi8((char)iclip(r, 0, 255)), _mm_set1_epi8((char)iclip(-r, 0, 255)),
                      _mm_set1_epi16((int16_t)r)};
}

CORE_INLINE __m128i add_constant(const __m128i v, const constant c) {
    return _mm_subs_epu8(_mm_adds_epu8(v, c.plus), c.minus);
}

static void idct4x4_dc(void *const dst, const ptrdiff_t stride, int32_t *const d, const int depth,
                       void *const residual, const ptrdiff_t residual_stride) {
    const constant c = dc_of(d);
    (void)depth;
    for (int y = 0; y < 4; y++) {
        uint8_t *const row = (uint8_t *)dst + y * stride;
        store_4(row, add_constant(load_4(row), c));
        if (residual)
            _mm_storel_epi64((__m128i *)((uint8_t *)residual + y * residual_stride), c.r);
    }
}

static void idct8x8_dc(void *const dst, const ptrdiff_t stride, int32_t *const d, const int depth,
                       void *const residual, const ptrdiff_t residual_stride) {
    const constant c = dc_of(d);
    (void)depth;
    for (int y = 0; y < 8; y++) {
        uint8_t *const row = (uint8_t *)dst + y * stride;
        const __m128i v = _mm_loadl_epi64((const __m128i *)row);
        _mm_storel_epi64((__m128i *)row, add_constant(v, c));
        if (residual)
            _mm_storeu_si128((__m128i *)((uint8_t *)residual + y * residual_stride), c.r);
    }
}

static void idct4x4_sse2(void *const dst, const ptrdiff_t stride, int32_t *const d, const int depth,
                         void *const residual, const ptrdiff_t residual_stride) {
    (void)depth;
    idct4x4(dst, stride, d, residual, residual_stride);
}

H264_TARGET_AVX2 static void idct4x4_avx2(void *const dst, const ptrdiff_t stride, int32_t *const d,
                                          const int depth, void *const residual,
                                          const ptrdiff_t residual_stride) {
    (void)depth;
    idct4x4(dst, stride, d, residual, residual_stride);
}

// One dimension of 8.5.13.2
H264_TARGET_AVX2 CORE_INLINE void transform8(i32x8 d[8]) {
    const i32x8 a0 = d[0] + d[4], a2 = d[0] - d[4];
    const i32x8 a4 = (d[2] >> 1) - d[6], a6 = d[2] + (d[6] >> 1);
    const i32x8 a1 = d[5] - d[3] - d[7] - (d[7] >> 1), a3 = d[1] + d[7] - d[3] - (d[3] >> 1);
    const i32x8 a5 = d[7] - d[1] + d[5] + (d[5] >> 1), a7 = d[3] + d[5] + d[1] + (d[1] >> 1);
    const i32x8 b0 = a0 + a6, b2 = a2 + a4, b4 = a2 - a4, b6 = a0 - a6;
    const i32x8 b1 = a1 + (a7 >> 2), b3 = a3 + (a5 >> 2);
    const i32x8 b5 = (a3 >> 2) - a5, b7 = a7 - (a1 >> 2);
    d[0] = b0 + b7;
    d[1] = b2 + b5;
    d[2] = b4 + b3;
    d[3] = b6 + b1;
    d[4] = b6 - b1;
    d[5] = b4 - b3;
    d[6] = b2 - b5;
    d[7] = b0 - b7;
}

// 4x4 quarters are transposed within the halves of the registers, then exchanged between them.
H264_TARGET_AVX2 CORE_INLINE void transpose8(i32x8 d[8]) {
    __m256i t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_epi32((__m256i)d[i], (__m256i)d[i + 1]);
        t[i + 1] = _mm256_unpackhi_epi32((__m256i)d[i], (__m256i)d[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            u[i + 2 * j] = _mm256_unpacklo_epi64(t[i + j], t[i + j + 2]);
            u[i + 2 * j + 1] = _mm256_unpackhi_epi64(t[i + j], t[i + j + 2]);
        }
    for (int i = 0; i < 4; i++) {
        d[i] = (i32x8)_mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
        d[i + 4] = (i32x8)_mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
    }
}

// Two rows of eight residual samples, 16 bits wide, onto the rows at p and below
H264_TARGET_AVX2 CORE_INLINE void add_rows_of_8(uint8_t *const p, const ptrdiff_t stride,
                                                const __m256i r) {
    const __m128i both = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)p),
                                            _mm_loadl_epi64((const __m128i *)(p + stride)));
    const __m256i sum = _mm256_adds_epi16(_mm256_cvtepu8_epi16(both), r);
    const __m256i out = _mm256_packus_epi16(sum, sum);
    _mm_storel_epi64((__m128i *)p, _mm256_castsi256_si128(out));
    _mm_storel_epi64((__m128i *)(p + stride), _mm256_extracti128_si256(out, 1));
}

H264_TARGET_AVX2 static void idct8x8_avx2(void *const dst, const ptrdiff_t stride,
                                          int32_t *const coefficients, const int depth,
                                          void *const residual, const ptrdiff_t residual_stride) {
    i32x8 d[8];
    (void)depth;
    memcpy(d, coefficients, sizeof(d));
    memset(coefficients, 0, sizeof(d));
    transpose8(d);
    transform8(d);
    transpose8(d);
    transform8(d);
    for (int i = 0; i < 8; i += 2) {
        const __m256i packed =
            _mm256_packs_epi32((__m256i)((d[i] + 32) >> 6), (__m256i)((d[i + 1] + 32) >> 6));
        const __m256i r = _mm256_permute4x64_epi64(packed, 0xd8); // packing interleaves the halves
        add_rows_of_8((uint8_t *)dst + i * stride, stride, r);
        if (residual) {
            uint8_t *const to = (uint8_t *)residual + i * residual_stride;
            _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(r));
            _mm_storeu_si128((__m128i *)(to + residual_stride), _mm256_extracti128_si256(r, 1));
        }
    }
}

void h264_transform_kernels_simd(kernels *const k) {
    k->idct4x4_add = idct4x4_sse2;
    k->idct4x4_dc_add = idct4x4_dc;
    k->idct8x8_dc_add = idct8x8_dc;
    if (H264_HAS_AVX2) {
        k->idct4x4_add = idct4x4_avx2;
        k->idct8x8_add = idct8x8_avx2;
    }
}

#else

void h264_transform_kernels_simd(kernels *const k) {
    (void)k;
}

#endif
