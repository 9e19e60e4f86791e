/* 8.5.3.3.3 and the default weighting of 8.5.3.3.4 for samples of 8 bits in AVX2; the plain twins
 * are in kernels_template.h. Sixteen columns at a time: what is read beyond a block lies in the
 * plane's guard or the patch, what is written beyond it in the same row of the prediction.
 *
 * Pairs of samples meet pairs of taps: the sum of two products of a sample of 8 bits fits 16, and
 * so does the sum of four such pairs, as the taps of a filter with their signs dropped add up to
 * 112 at most. */
#include "avx2.h"

#ifdef HEVC_AVX2
AVX2_BEGIN
#include "../kernel_tables.h"

typedef __m256i lanes; // sixteen of 16 bits, in the order of the samples

static inline __m128i load16(const uint8_t *const p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
static inline lanes load(const int16_t *const p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline void store(int16_t *const p, const lanes v) {
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

// Two neighbouring taps over and over, as bytes and as words
static inline lanes tap_bytes(const int8_t *const taps) {
    return _mm256_set1_epi16((int16_t)((uint8_t)taps[0] | taps[1] * 256));
}
static inline lanes tap_words(const int8_t *const taps) {
    return _mm256_set1_epi32((int32_t)((uint16_t)taps[0] | (uint32_t)(taps[1] * 65536)));
}

// The samples of a row from p[first] on, each with the one after it
static inline lanes pairs_along(const uint8_t *const p, const lanes at) {
    const lanes both = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(p)), load16(p + 8), 1);
    return _mm256_shuffle_epi8(both, at);
}

// Samples of two rows side by side
static inline lanes pairs_across(const __m128i upper, const __m128i lower) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi8(upper, lower)),
                                   _mm_unpackhi_epi8(upper, lower), 1);
}

// n is 8 or 4, a constant
static inline void along(int16_t *to, const uint8_t *src, const ptrdiff_t stride, const int w,
                         const int h, const int8_t *const taps, const int n) {
    const lanes first =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8));
    lanes c[4], at[4];
    for (int k = 0; k < n / 2; k++) {
        c[k] = tap_bytes(taps + 2 * k);
        at[k] = _mm256_add_epi8(first, _mm256_set1_epi8((char)(2 * k)));
    }
    for (int y = 0; y < h; y++, src += stride, to += PREDICTION_STRIDE)
        for (int x = 0; x < w; x += 16) {
            const uint8_t *const p = src + x - (n / 2 - 1);
            lanes sum = _mm256_maddubs_epi16(pairs_along(p, at[0]), c[0]);
            for (int k = 1; k < n / 2; k++)
                sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(pairs_along(p, at[k]), c[k]));
            store(to + x, sum);
        }
}

static inline void across(int16_t *const to, const uint8_t *const src, const ptrdiff_t stride,
                          const int w, const int h, const int8_t *const taps, const int n) {
    lanes c[4];
    for (int k = 0; k < n / 2; k++)
        c[k] = tap_bytes(taps + 2 * k);
    for (int x = 0; x < w; x += 16) {
        const uint8_t *p = src + x - (n / 2 - 1) * stride;
        lanes pair[8]; // of the rows y + k and y + k + 1
        __m128i row = load16(p);
        for (int k = 0; k < n - 2; k++) {
            const __m128i next = load16(p += stride);
            pair[k] = pairs_across(row, next);
            row = next;
        }
        for (int y = 0; y < h; y++) {
            const __m128i next = load16(p += stride);
            pair[n - 2] = pairs_across(row, next);
            row = next;
            lanes sum = _mm256_maddubs_epi16(pair[0], c[0]);
            for (int k = 1; k < n / 2; k++)
                sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(pair[2 * k], c[k]));
            store(to + y * PREDICTION_STRIDE + x, sum);
            for (int k = 0; k < n - 2; k++)
                pair[k] = pair[k + 1];
        }
    }
}

// The second of two filters: words of 32 bits, six of which go
static inline void across_rows(int16_t *const to, const int16_t *const src, const int w,
                               const int h, const int8_t *const taps, const int n) {
    lanes c[4];
    for (int k = 0; k < n / 2; k++)
        c[k] = tap_words(taps + 2 * k);
    for (int x = 0; x < w; x += 16) {
        const int16_t *p = src + x;
        lanes low[8], high[8];
        lanes row = load(p);
        for (int k = 0; k < n - 2; k++) {
            const lanes next = load(p += PREDICTION_STRIDE);
            low[k] = _mm256_unpacklo_epi16(row, next);
            high[k] = _mm256_unpackhi_epi16(row, next);
            row = next;
        }
        for (int y = 0; y < h; y++) {
            const lanes next = load(p += PREDICTION_STRIDE);
            low[n - 2] = _mm256_unpacklo_epi16(row, next);
            high[n - 2] = _mm256_unpackhi_epi16(row, next);
            row = next;
            lanes a = _mm256_madd_epi16(low[0], c[0]), b = _mm256_madd_epi16(high[0], c[0]);
            for (int k = 1; k < n / 2; k++) {
                a = _mm256_add_epi32(a, _mm256_madd_epi16(low[2 * k], c[k]));
                b = _mm256_add_epi32(b, _mm256_madd_epi16(high[2 * k], c[k]));
            }
            store(to + y * PREDICTION_STRIDE + x,
                  _mm256_packs_epi32(_mm256_srai_epi32(a, 6), _mm256_srai_epi32(b, 6)));
            for (int k = 0; k < n - 2; k++) {
                low[k] = low[k + 1];
                high[k] = high[k + 1];
            }
        }
    }
}

static void widen(int16_t *const to, const uint8_t *const src, const ptrdiff_t stride, const int w,
                  const int h) {
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x += 16)
            store(to + y * PREDICTION_STRIDE + x,
                  _mm256_slli_epi16(_mm256_cvtepu8_epi16(load16(src + y * stride + x)), 6));
}

static void luma(int16_t *const to, const void *const from, const ptrdiff_t stride, const int w,
                 const int h, const int fx, const int fy, const int depth) {
    const uint8_t *const src = from;
    int16_t rows[(64 + 7) * PREDICTION_STRIDE];
    (void)depth;
    if (fx == 0 && fy == 0) {
        widen(to, src, stride, w, h);
    } else if (fy == 0) {
        along(to, src, stride, w, h, luma_taps[fx], 8);
    } else if (fx == 0) {
        across(to, src, stride, w, h, luma_taps[fy], 8);
    } else {
        along(rows, src - 3 * stride, stride, w, h + 7, luma_taps[fx], 8);
        across_rows(to, rows, w, h, luma_taps[fy], 8);
    }
}

static void chroma(int16_t *const to, const void *const from, const ptrdiff_t stride, const int w,
                   const int h, const int fx, const int fy, const int depth) {
    const uint8_t *const src = from;
    int16_t rows[(64 + 3) * PREDICTION_STRIDE];
    (void)depth;
    if (fx == 0 && fy == 0) {
        widen(to, src, stride, w, h);
    } else if (fy == 0) {
        along(to, src, stride, w, h, chroma_taps[fx], 4);
    } else if (fx == 0) {
        across(to, src, stride, w, h, chroma_taps[fy], 4);
    } else {
        along(rows, src - stride, stride, w, h + 3, chroma_taps[fx], 4);
        across_rows(to, rows, w, h, chroma_taps[fy], 4);
    }
}

static inline void store_samples(uint8_t *const to, const lanes v, const int n) {
    const __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    if (n >= 16) {
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
        return;
    }
    uint8_t some[16];
    _mm_storeu_si128((__m128i *)(void *)some, bytes);
    int at = 0;
    if (n & 8) {
        memcpy(to, some, 8);
        at = 8;
    }
    if (n & 4) {
        memcpy(to + at, some + at, 4);
        at += 4;
    }
    if (n & 2)
        memcpy(to + at, some + at, 2);
}

/* The sums saturate: what leaves 16 bits is beyond 255 after the shift, or below 0, either way. */
static void average(void *const dst, const ptrdiff_t stride, const int16_t *a, const int16_t *b,
                    const int w, const int h, const int depth) {
    const lanes half = _mm256_set1_epi16(b == NULL ? 32 : 64);
    uint8_t *to = dst;
    (void)depth;
    for (int y = 0; y < h; y++, to += stride, a += PREDICTION_STRIDE) {
        for (int x = 0; x < w; x += 16) {
            lanes v = load(a + x);
            if (b != NULL)
                v = _mm256_srai_epi16(_mm256_adds_epi16(_mm256_adds_epi16(v, load(b + x)), half),
                                      7);
            else
                v = _mm256_srai_epi16(_mm256_adds_epi16(v, half), 6);
            store_samples(to + x, v, w - x);
        }
        b = b == NULL ? NULL : b + PREDICTION_STRIDE;
    }
}
AVX2_END

void hevc_kernels_inter_avx2(kernels *const k) {
    if (k->sample_size != 1 || !__builtin_cpu_supports("avx2"))
        return;
    k->luma = luma;
    k->chroma = chroma;
    k->average = average;
}
#else
void hevc_kernels_inter_avx2(kernels *const k) {
    (void)k;
}
#endif
