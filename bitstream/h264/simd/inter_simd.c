/* Interpolation and weighting of 8-bit samples (8.4.2.2, 8.4.2.3) in SSE2 and AVX2; the plain twins
 * are in inter_template.h. Blocks are done in columns of 16, 8 or 4 samples held as 16-bit lanes,
 * row by row.
 *
 * Note [j in 16 bits]. The second 6-tap filter runs over unrounded results X of the first,
 * -2550..10710, and its sum does not fit 16 bits. With a = X0 + X5, b = X1 + X4, c = X2 + X3, the
 * sum is a - 5b + 20c = (a - b) + 4 (c - b) + 16c, so that, >> rounding down, (a - 5b + 20c + 512)
 * >> 10 = (((((a - b) >> 2) + (c - b)) >> 2) + c + 32) >> 6 exactly: what the two inner shifts drop
 * is less than the 16ths of one unit that the last one drops anyway. Only
 * ((a - b) >> 2) + (c - b) can leave 16 bits, so it is added with saturation. Above 32767 it needs
 * a - b > 24988 and then c >= 21037, below -32768 it needs c <= -4718: there the result is beyond
 * 255 or below 0 either way. */
#include "internal.h"

#if H264_X86_SIMD
#include <emmintrin.h>
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

typedef int16_t i16x8 __attribute__((vector_size(16)));
typedef int16_t i16x16 __attribute__((vector_size(32)));
typedef __m128i bytes; // packed samples: 16, or fewer in the low bytes

CORE_INLINE bytes load_bytes_4(const uint8_t *const p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm_cvtsi32_si128(v);
}

CORE_INLINE void store_bytes_4(uint8_t *const p, const bytes v) {
    const int32_t four = _mm_cvtsi128_si32(v);
    memcpy(p, &four, 4);
}

CORE_INLINE bytes load_bytes_2(const uint8_t *const p) {
    uint16_t v;
    memcpy(&v, p, 2);
    return _mm_cvtsi32_si128(v);
}

CORE_INLINE void store_bytes_2(uint8_t *const p, const bytes v) {
    const uint16_t two = (uint16_t)_mm_cvtsi128_si32(v);
    memcpy(p, &two, 2);
}

CORE_INLINE bytes load_bytes_8(const uint8_t *const p) {
    return _mm_loadl_epi64((const __m128i *)p);
}
CORE_INLINE void store_bytes_8(uint8_t *const p, const bytes v) {
    _mm_storel_epi64((__m128i *)p, v);
}
CORE_INLINE bytes load_bytes_16(const uint8_t *const p) {
    return _mm_loadu_si128((const __m128i *)p);
}
CORE_INLINE void store_bytes_16(uint8_t *const p, const bytes v) {
    _mm_storeu_si128((__m128i *)p, v);
}

// A weighted prediction: ((a * first + b * second + round) >> shift) + offset
typedef struct weights {
    int first, second, round, shift, offset;
} weights;

// Its constants in registers
typedef struct weighting {
    __m128i factors, round, shift, offset; // 16-bit pairs; 32-bit lanes; a count; 32-bit lanes
} weighting;

// What a vertical half sample is averaged with
enum {
    ALONE,
    WITH_FULL,
    WITH_B
};

#define PASTE3_(a, b, c) a##_##b##_##c
#define PASTE3(a, b, c) PASTE3_(a, b, c)
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)

// The six taps as factors of pairs of bytes, the first in the low byte
enum {
    TAPS_01 = -5 * 256 + 1,
    TAPS_23 = 20 * 256 + 20,
    TAPS_45 = 1 * 256 + (256 - 5)
};

// Unrounded horizontal filters in AVX2: neighbouring samples are brought together, then multiplied
// and added in pairs. Reads 16 bytes from p - 2.
H264_TARGET_AVX2 CORE_INLINE i16x8 across_8_samples(const uint8_t *const p) {
    const __m128i pairs = _mm_setr_epi8(0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8);
    const __m128i from_2 = _mm_add_epi8(pairs, _mm_set1_epi8(2));
    const __m128i from_4 = _mm_add_epi8(pairs, _mm_set1_epi8(4)), v = load_bytes_16(p - 2);
    const __m128i a = _mm_maddubs_epi16(_mm_shuffle_epi8(v, pairs), _mm_set1_epi16(TAPS_01));
    const __m128i b = _mm_maddubs_epi16(_mm_shuffle_epi8(v, from_2), _mm_set1_epi16(TAPS_23));
    const __m128i c = _mm_maddubs_epi16(_mm_shuffle_epi8(v, from_4), _mm_set1_epi16(TAPS_45));
    return (i16x8)_mm_add_epi16(_mm_add_epi16(a, b), c);
}

// Eight pairs of neighbouring bytes from the start of each half
H264_TARGET_AVX2 CORE_INLINE __m256i neighbours_from(const __m256i v, const int first) {
    const __m256i pairs = _mm256_setr_epi8(0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 0, 1, 1,
                                           2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8);
    return _mm256_shuffle_epi8(v, _mm256_add_epi8(pairs, _mm256_set1_epi8((char)first)));
}

H264_TARGET_AVX2 CORE_INLINE __m256i two_halves(const uint8_t *const low,
                                                const uint8_t *const high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_bytes_16(low)), load_bytes_16(high),
                                   1);
}

// Reads 24 bytes from p - 2.
H264_TARGET_AVX2 CORE_INLINE i16x16 across_16_samples(const uint8_t *const p) {
    const __m256i v = two_halves(p - 2, p + 6);
    const __m256i a = _mm256_maddubs_epi16(neighbours_from(v, 0), _mm256_set1_epi16(TAPS_01));
    const __m256i b = _mm256_maddubs_epi16(neighbours_from(v, 2), _mm256_set1_epi16(TAPS_23));
    const __m256i c = _mm256_maddubs_epi16(neighbours_from(v, 4), _mm256_set1_epi16(TAPS_45));
    return (i16x16)_mm256_add_epi16(_mm256_add_epi16(a, b), c);
}

// Columns of 2, 4 and 8 in SSE2, then again with those of 16 in AVX2. V is a vector of COLUMN or
// more 16-bit lanes.
#define TARGET
#define ARCH sse2
#define V i16x8
#define WIDEN(b) ((i16x8)_mm_unpacklo_epi8(b, _mm_setzero_si128()))
#define NARROW(v) _mm_packus_epi16((__m128i)(v), (__m128i)(v))
#define ADD_SATURATED(a, b) ((i16x8)_mm_adds_epi16((__m128i)(a), (__m128i)(b)))

#define COLUMN 2
#include "inter_simd_template.h"
#undef COLUMN
#define COLUMN 4
#include "inter_simd_template.h"
#undef COLUMN
#define COLUMN 8
#include "inter_simd_template.h"
#undef COLUMN
#include "inter_simd_entry.h"

#undef TARGET
#undef ARCH
#define TARGET H264_TARGET_AVX2
#define ARCH avx2
#define HAVE_AVX2
#define ACROSS across_8_samples

#define COLUMN 2
#include "inter_simd_template.h"
#undef COLUMN
#define COLUMN 4
#include "inter_simd_template.h"
#undef COLUMN
#define COLUMN 8
#include "inter_simd_template.h"
#undef COLUMN

// 8.4.2.3.2 where all sums fit 16 bits: |first| + |second| is below 128. w: a multiple of 8
H264_TARGET_AVX2 static void weigh_in_16_bits(uint8_t *dst, const ptrdiff_t ds, const uint8_t *a,
                                              const ptrdiff_t as, const uint8_t *b,
                                              const ptrdiff_t bs, const int w, const int h,
                                              const weights *const v) {
    const __m128i factors =
        _mm_unpacklo_epi8(_mm_set1_epi8((char)v->first), _mm_set1_epi8((char)v->second));
    const __m128i round = _mm_set1_epi16((int16_t)v->round), shift = _mm_cvtsi32_si128(v->shift);
    const __m128i offset = _mm_set1_epi16((int16_t)v->offset);
    for (int y = 0; y < h; y++, dst += ds, a += as, b += bs)
        for (int x = 0; x < w; x += 8) {
            const __m128i both = _mm_unpacklo_epi8(load_bytes_8(a + x), load_bytes_8(b + x));
            const __m128i sum = _mm_add_epi16(_mm_maddubs_epi16(both, factors), round);
            const __m128i out = _mm_add_epi16(_mm_sra_epi16(sum, shift), offset);
            store_bytes_8(dst + x, _mm_packus_epi16(out, out));
        }
}

#undef ACROSS
#define ACROSS across_16_samples
#undef V
#undef WIDEN
#undef NARROW
#undef ADD_SATURATED
#define V i16x16
#define WIDEN(b) ((i16x16)_mm256_cvtepu8_epi16(b))
#define NARROW(v)                                                                                  \
    _mm_packus_epi16(_mm256_castsi256_si128((__m256i)(v)),                                         \
                     _mm256_extracti128_si256((__m256i)(v), 1))
#define ADD_SATURATED(a, b) ((i16x16)_mm256_adds_epi16((__m256i)(a), (__m256i)(b)))
#define COLUMN 16
#include "inter_simd_template.h"
#undef COLUMN
#include "inter_simd_entry.h"

void h264_inter_kernels_simd(kernels *const k) {
    if (H264_HAS_AVX2)
        fill_avx2(k);
    else
        fill_sse2(k);
}

#else

void h264_inter_kernels_simd(kernels *const k) {
    (void)k;
}

#endif
