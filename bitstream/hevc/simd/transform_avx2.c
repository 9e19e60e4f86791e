/* 8.6.4.2: the inverse cosine transforms of 8x8 samples and more in AVX2; the plain twin is in
 * transform_template.h. Scaled coefficients and what the first stage makes of them fit 16 bits, so
 * that two products at a time go into a sum of 32.
 *
 * Rows of the matrix are taken in fours: two even ones, which are symmetric, and two odd ones,
 * which are antisymmetric, so that half of each will do. Four coefficients meet one such group. */
#include "avx2.h"

#ifdef HEVC_AVX2
AVX2_BEGIN
#include "../kernel_tables.h"

typedef struct group { // [even, odd][i]: entries i of both rows, in the halves of 32 bits
    _Alignas(32) int32_t pair[2][16];
} group;

static void pair_rows(int32_t *const to, const int16_t *const a, const int16_t *const b,
                      const int half) {
    for (int i = 0; i < half; i += 4) {
        const __m128i p = _mm_loadl_epi64((const __m128i *)(const void *)(a + i));
        const __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)(b + i));
        _mm_store_si128((__m128i *)(void *)(to + i), _mm_unpacklo_epi16(p, q));
    }
}

static inline __m256i load8(const int32_t *const p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline void store8(int32_t *const p, const __m256i v) {
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}
static inline __m256i madd(const __m256i sum, const __m256i a, const int32_t pair) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, _mm256_set1_epi32(pair)));
}

// Eight results of the first stage, fours of them in the order that group.pair wants
static inline void store_mid(int16_t *const to, const __m256i sum) {
    const __m256i v = _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(64)), 7);
    const __m256i order = _mm256_shuffle_epi32(v, _MM_SHUFFLE(3, 1, 2, 0));
    const __m256i words = _mm256_packs_epi32(order, order);
    _mm_storel_epi64((__m128i *)(void *)to, _mm256_castsi256_si128(words));
    _mm_storel_epi64((__m128i *)(void *)(to + 4), _mm256_extracti128_si256(words, 1));
}

static inline void columns_stage(const int32_t *const coeff, int16_t (*const mid)[32],
                                 const group *const groups, const int n, const int columns,
                                 const int rows) {
    for (int x = 0; x < columns; x += 8) {
        __m256i even[8], odd[8];
        for (int g = 0; g < rows / 4; g++) {
            const int32_t *const c = coeff + 4 * g * n + x;
            even[g] = _mm256_blend_epi16(load8(c), _mm256_slli_epi32(load8(c + 2 * n), 16), 0xaa);
            odd[g] =
                _mm256_blend_epi16(load8(c + n), _mm256_slli_epi32(load8(c + 3 * n), 16), 0xaa);
        }
        for (int y = 0; y < n / 2; y++) {
            __m256i e = _mm256_setzero_si256(), o = e;
            for (int g = 0; g < rows / 4; g++) {
                e = madd(e, even[g], groups[g].pair[0][y]);
                o = madd(o, odd[g], groups[g].pair[1][y]);
            }
            store_mid(&mid[y][x], _mm256_add_epi32(e, o));
            store_mid(&mid[n - 1 - y][x], _mm256_sub_epi32(e, o));
        }
    }
}

static inline void rows_stage(const int16_t (*const mid)[32], int32_t *const residual,
                              const group *const groups, const int n, const int columns,
                              const int shift) {
    const __m256i round = _mm256_set1_epi32(1 << (shift - 1));
    const __m256i mirror = _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    for (int y = 0; y < n; y++) {
        int32_t *const row = residual + y * n;
        int32_t c[16];
        memcpy(c, mid[y], sizeof c);
        for (int i = 0; i < n / 2; i += 8) {
            __m256i e = round, o = _mm256_setzero_si256();
            for (int g = 0; g < columns / 4; g++) {
                e = madd(e, load8(&groups[g].pair[0][i]), c[2 * g]);
                o = madd(o, load8(&groups[g].pair[1][i]), c[2 * g + 1]);
            }
            const __m256i a = _mm256_srai_epi32(_mm256_add_epi32(e, o), shift);
            const __m256i b = _mm256_srai_epi32(_mm256_sub_epi32(e, o), shift);
            if (n == 8) { // four lanes are used
                _mm_storeu_si128((__m128i *)(void *)row, _mm256_castsi256_si128(a));
                _mm_storeu_si128((__m128i *)(void *)(row + 4),
                                 _mm_shuffle_epi32(_mm256_castsi256_si128(b), 0x1b));
            } else {
                store8(row + i, a);
                store8(row + n - 8 - i, _mm256_permutevar8x32_epi32(b, mirror));
            }
        }
    }
}

// n is a constant
static inline void transform(const int32_t *const coeff, int32_t *const residual, const int n,
                             const int columns, const int rows, const int depth) {
    group groups[8];
    _Alignas(32) int16_t mid[32][32];
    const int step = 32 / n; // of the rows of the matrix of 32
    for (int g = 0; g < imax(columns, rows) / 4; g++)
        for (int odd = 0; odd < 2; odd++)
            pair_rows(groups[g].pair[odd], transMatrix[(4 * g + odd) * step],
                      transMatrix[(4 * g + odd + 2) * step], n / 2);
    columns_stage(coeff, mid, groups, n, columns, rows);
    rows_stage(mid, residual, groups, n, columns, 20 - depth);
}

static void inverse_dct_8(const int32_t *const coeff, int32_t *const residual, const int columns,
                          const int rows, const int depth) {
    transform(coeff, residual, 8, columns, rows, depth);
}
static void inverse_dct_16(const int32_t *const coeff, int32_t *const residual, const int columns,
                           const int rows, const int depth) {
    transform(coeff, residual, 16, columns, rows, depth);
}
static void inverse_dct_32(const int32_t *const coeff, int32_t *const residual, const int columns,
                           const int rows, const int depth) {
    transform(coeff, residual, 32, columns, rows, depth);
}
AVX2_END

void hevc_kernels_transform_avx2(kernels *const k) {
    if (!__builtin_cpu_supports("avx2"))
        return;
    k->inverse_dct[1] = inverse_dct_8;
    k->inverse_dct[2] = inverse_dct_16;
    k->inverse_dct[3] = inverse_dct_32;
}
#else
void hevc_kernels_transform_avx2(kernels *const k) {
    (void)k;
}
#endif
