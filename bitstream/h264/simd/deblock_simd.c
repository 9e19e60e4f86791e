/* Edge filters of 8.7.2.3 and 8.7.2.4 for 8-bit samples, 16 lines at a time in SSE2; the plain twin
 * is deblock_template.h. Lines across a vertical edge are transposed first.
 *
 * All comparisons are on unsigned bytes: a < b is "b minus a, saturated at 0, is not 0". Everything
 * is compiled a second time for AVX2, which saves the register copies of two-operand instructions.
 */
#include "internal.h"

#if H264_X86_SIMD
#include <emmintrin.h>
#include <string.h>

typedef __m128i v16; // 16 samples, one of each line

// Samples of 16 lines, p3 to q3 as in Figure 8-11
typedef struct lines {
    v16 p3, p2, p1, p0, q0, q1, q2, q3;
} lines;

CORE_INLINE v16 load16(const void *const p) {
    return _mm_loadu_si128(p);
}
CORE_INLINE void store16(void *const p, const v16 v) {
    _mm_storeu_si128(p, v);
}
CORE_INLINE v16 splat(const int v) {
    return _mm_set1_epi8((char)v);
}

CORE_INLINE v16 distance(const v16 a, const v16 b) {
    return _mm_or_si128(_mm_subs_epu8(a, b), _mm_subs_epu8(b, a));
}

// 0xff where |a - b| >= limit
CORE_INLINE v16 far_apart(const v16 a, const v16 b, const v16 limit) {
    return _mm_cmpeq_epi8(_mm_subs_epu8(limit, distance(a, b)), _mm_setzero_si128());
}

// filterSamplesFlag (8-460), less the part of bS: 0xff where the line is left alone
CORE_INLINE v16 lines_off(const lines *const s, const v16 alpha, const v16 beta) {
    return _mm_or_si128(far_apart(s->p0, s->q0, alpha),
                        _mm_or_si128(far_apart(s->p1, s->p0, beta), far_apart(s->q1, s->q0, beta)));
}

CORE_INLINE v16 low16(const v16 v) {
    return _mm_unpacklo_epi8(v, _mm_setzero_si128());
}
CORE_INLINE v16 high16(const v16 v) {
    return _mm_unpackhi_epi8(v, _mm_setzero_si128());
}

// (4 * (q0 - p0) + (p1 - q1) + 4) >> 3 of (8-463), in 16 bits
CORE_INLINE v16 step_of_half(const v16 p1, const v16 p0, const v16 q0, const v16 q1) {
    const v16 step = _mm_slli_epi16(_mm_sub_epi16(q0, p0), 2), slope = _mm_sub_epi16(p1, q1);
    return _mm_srai_epi16(_mm_add_epi16(_mm_add_epi16(step, slope), _mm_set1_epi16(4)), 3);
}

// (8-463) to (8-465): p0 and q0 moved towards each other by up to tc
CORE_INLINE void move_middle(lines *const s, const v16 tc) {
    const v16 zero = _mm_setzero_si128();
    const v16 low = step_of_half(low16(s->p1), low16(s->p0), low16(s->q0), low16(s->q1));
    const v16 high = step_of_half(high16(s->p1), high16(s->p0), high16(s->q0), high16(s->q1));
    const v16 up = _mm_min_epu8(_mm_packus_epi16(low, high), tc);
    const v16 down =
        _mm_min_epu8(_mm_packus_epi16(_mm_sub_epi16(zero, low), _mm_sub_epi16(zero, high)), tc);
    s->p0 = _mm_subs_epu8(_mm_adds_epu8(s->p0, up), down);
    s->q0 = _mm_adds_epu8(_mm_subs_epu8(s->q0, up), down);
}

// (8-466), (8-467): x1 + Clip3(-tc0, tc0, (x2 + middle - 2 * x1) >> 1), which is the mean of x2 and
// middle, rounded down, kept within tc0 of x1
CORE_INLINE v16 move_second(const v16 x2, const v16 x1, const v16 middle, const v16 tc0) {
    const v16 odd = _mm_and_si128(_mm_xor_si128(x2, middle), _mm_set1_epi8(1));
    const v16 mean = _mm_sub_epi8(_mm_avg_epu8(x2, middle), odd);
    return _mm_min_epu8(_mm_max_epu8(mean, _mm_subs_epu8(x1, tc0)), _mm_adds_epu8(x1, tc0));
}

// 8.7.2.3 for luma. False: nothing changed.
CORE_INLINE bool filter_luma(lines *const s, const int alpha_, const int beta_, v16 tc0) {
    const v16 beta = splat(beta_), off = lines_off(s, splat(alpha_), beta);
    const v16 on = _mm_andnot_si128(off, _mm_cmpgt_epi8(tc0, splat(-1)));
    if (!_mm_movemask_epi8(on))
        return false;
    tc0 = _mm_and_si128(tc0, on);
    const v16 ap = _mm_andnot_si128(far_apart(s->p2, s->p0, beta), on);
    const v16 aq = _mm_andnot_si128(far_apart(s->q2, s->q0, beta), on);
    const v16 middle = _mm_avg_epu8(s->p0, s->q0);
    const v16 p1 = move_second(s->p2, s->p1, middle, _mm_and_si128(tc0, ap));
    const v16 q1 = move_second(s->q2, s->q1, middle, _mm_and_si128(tc0, aq));
    move_middle(s, _mm_sub_epi8(_mm_sub_epi8(tc0, ap), aq));
    s->p1 = p1;
    s->q1 = q1;
    return true;
}

// 8.7.2.3 for chroma; alpha and beta by line
CORE_INLINE bool filter_chroma(lines *const s, const v16 alpha, const v16 beta, const v16 tc0) {
    const v16 off = lines_off(s, alpha, beta);
    const v16 on = _mm_andnot_si128(off, _mm_cmpgt_epi8(tc0, splat(-1)));
    if (!_mm_movemask_epi8(on))
        return false;
    move_middle(s, _mm_and_si128(_mm_add_epi8(tc0, splat(1)), on));
    return true;
}

CORE_INLINE v16 choose(const v16 mask, const v16 yes, const v16 no) {
    return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
}

CORE_INLINE v16 sum3(const v16 a, const v16 b, const v16 c) {
    return _mm_add_epi16(_mm_add_epi16(a, b), c);
}

// One side of 8.7.2.4 in 16 bits: out[0..2] are (8-470) to (8-472), out[3] is (8-473)
CORE_INLINE void strong_side(const v16 s3, const v16 s2, const v16 s1, const v16 s0, const v16 o0,
                             const v16 o1, v16 out[4]) {
    const v16 two = _mm_set1_epi16(2), four = _mm_set1_epi16(4);
    const v16 sum = _mm_add_epi16(sum3(s2, s1, s0), o0), outer = _mm_add_epi16(s3, s2);
    out[0] = _mm_srli_epi16(sum3(_mm_add_epi16(sum, sum), _mm_sub_epi16(o1, s2), four), 3);
    out[1] = _mm_srli_epi16(_mm_add_epi16(sum, two), 2);
    out[2] = _mm_srli_epi16(sum3(_mm_add_epi16(outer, outer), sum, four), 3);
    out[3] = _mm_srli_epi16(_mm_add_epi16(sum3(s1, s1, s0), _mm_add_epi16(o1, two)), 2);
}

// (8-468) to (8-473) for one side of the edge; `smooth`: ap < beta and a small step, `on`:
// filterSamplesFlag
CORE_INLINE void filter_side(v16 *const s2, v16 *const s1, v16 *const s0, const v16 s3,
                             const v16 o0, const v16 o1, const v16 smooth, const v16 on) {
    v16 low[4], high[4];
    strong_side(low16(s3), low16(*s2), low16(*s1), low16(*s0), low16(o0), low16(o1), low);
    strong_side(high16(s3), high16(*s2), high16(*s1), high16(*s0), high16(o0), high16(o1), high);
    const v16 weak = choose(on, _mm_packus_epi16(low[3], high[3]), *s0);
    *s0 = choose(smooth, _mm_packus_epi16(low[0], high[0]), weak);
    *s1 = choose(smooth, _mm_packus_epi16(low[1], high[1]), *s1);
    *s2 = choose(smooth, _mm_packus_epi16(low[2], high[2]), *s2);
}

// 8.7.2.4 for luma
CORE_INLINE bool filter_luma_intra(lines *const s, const int alpha, const int beta_) {
    const v16 beta = splat(beta_), ones = splat(-1);
    const v16 on = _mm_andnot_si128(lines_off(s, splat(alpha), beta), ones);
    if (!_mm_movemask_epi8(on))
        return false;
    const v16 small = _mm_andnot_si128(far_apart(s->p0, s->q0, splat((alpha >> 2) + 2)), on);
    const v16 p_smooth = _mm_andnot_si128(far_apart(s->p2, s->p0, beta), small);
    const v16 q_smooth = _mm_andnot_si128(far_apart(s->q2, s->q0, beta), small);
    const v16 p0 = s->p0, p1 = s->p1;
    filter_side(&s->p2, &s->p1, &s->p0, s->p3, s->q0, s->q1, p_smooth, on);
    filter_side(&s->q2, &s->q1, &s->q0, s->q3, p0, p1, q_smooth, on);
    return true;
}

// (2 * x1 + x0 + y1 + 2) >> 2
CORE_INLINE v16 weak_mean(const v16 x1, const v16 x0, const v16 y1) {
    const v16 odd = _mm_and_si128(_mm_xor_si128(x0, y1), _mm_set1_epi8(1));
    return _mm_avg_epu8(x1, _mm_sub_epi8(_mm_avg_epu8(x0, y1), odd));
}

// 8.7.2.4 for chroma
CORE_INLINE bool filter_chroma_intra(lines *const s, const v16 alpha, const v16 beta) {
    const v16 off = lines_off(s, alpha, beta);
    if (_mm_movemask_epi8(off) == 0xffff)
        return false;
    const v16 p0 = weak_mean(s->p1, s->p0, s->q1), q0 = weak_mean(s->q1, s->q0, s->p1);
    s->p0 = choose(off, s->p0, p0);
    s->q0 = choose(off, s->q0, q0);
    return true;
}

// --------------------------------------------------------------------------------- lines in memory

// Bytes of each of four values of tc0, four or two times
CORE_INLINE v16 spread_tc0(const int8_t tc0[4]) {
    int32_t four;
    memcpy(&four, tc0, 4);
    const v16 v = _mm_cvtsi32_si128(four), twice = _mm_unpacklo_epi8(v, v);
    return _mm_unpacklo_epi16(twice, twice);
}

CORE_INLINE v16 load4(const uint8_t *const p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm_cvtsi32_si128(v);
}

CORE_INLINE v16 load8(const uint8_t *const p) {
    return _mm_loadl_epi64((const __m128i *)p);
}

// One row of a pair of planes: 8 samples of each
CORE_INLINE v16 load_pair(const uint8_t *const a, const uint8_t *const b) {
    return _mm_unpacklo_epi64(load8(a), load8(b));
}

CORE_INLINE void store_pair(uint8_t *const a, uint8_t *const b, const v16 v) {
    _mm_storel_epi64((__m128i *)a, v);
    _mm_storel_epi64((__m128i *)b, _mm_unpackhi_epi64(v, v));
}

// 16 lines of 8 samples p3 ... q3 become 8 vectors. Rows i and i + 8 are interleaved, then what is
// 4 apart, 2, 1.
CORE_INLINE void load_transposed(lines *const s, const uint8_t *const pix, const ptrdiff_t stride) {
    v16 t[8], u[8];
    const uint8_t *const row = pix - 4;
    for (int i = 0; i < 8; i++)
        t[i] = _mm_unpacklo_epi8(load8(row + i * stride), load8(row + (i + 8) * stride));
    for (int i = 0; i < 4; i++) {
        u[i] = _mm_unpacklo_epi8(t[i], t[i + 4]);
        u[i + 4] = _mm_unpackhi_epi8(t[i], t[i + 4]);
    }
    for (int i = 0; i < 2; i++)
        for (int half = 0; half < 8; half += 4) {
            t[half + i] = _mm_unpacklo_epi8(u[half + i], u[half + i + 2]);
            t[half + i + 2] = _mm_unpackhi_epi8(u[half + i], u[half + i + 2]);
        }
    s->p3 = _mm_unpacklo_epi8(t[0], t[1]);
    s->p2 = _mm_unpackhi_epi8(t[0], t[1]);
    s->p1 = _mm_unpacklo_epi8(t[2], t[3]);
    s->p0 = _mm_unpackhi_epi8(t[2], t[3]);
    s->q0 = _mm_unpacklo_epi8(t[4], t[5]);
    s->q1 = _mm_unpackhi_epi8(t[4], t[5]);
    s->q2 = _mm_unpacklo_epi8(t[6], t[7]);
    s->q3 = _mm_unpackhi_epi8(t[6], t[7]);
}

// p1 p0 q0 q1 of 16 lines back to their rows
CORE_INLINE void store_transposed4(const lines *const s, uint8_t *const pix,
                                   const ptrdiff_t stride) {
    const v16 p_low = _mm_unpacklo_epi8(s->p1, s->p0), p_high = _mm_unpackhi_epi8(s->p1, s->p0);
    const v16 q_low = _mm_unpacklo_epi8(s->q0, s->q1), q_high = _mm_unpackhi_epi8(s->q0, s->q1);
    const v16 rows[4] = {_mm_unpacklo_epi16(p_low, q_low), _mm_unpackhi_epi16(p_low, q_low),
                         _mm_unpacklo_epi16(p_high, q_high), _mm_unpackhi_epi16(p_high, q_high)};
    for (int i = 0; i < 4; i++) {
        v16 v = rows[i];
        for (int j = 0; j < 4; j++, v = _mm_srli_si128(v, 4)) {
            const int32_t four = _mm_cvtsi128_si32(v);
            memcpy(pix - 2 + (4 * i + j) * stride, &four, 4);
        }
    }
}

// All 8 samples of 16 lines back to their rows
CORE_INLINE void store_transposed8(const lines *const s, uint8_t *const pix,
                                   const ptrdiff_t stride) {
    const v16 pairs[4][2] = {
        {_mm_unpacklo_epi8(s->p3, s->p2), _mm_unpackhi_epi8(s->p3, s->p2)},
        {_mm_unpacklo_epi8(s->p1, s->p0), _mm_unpackhi_epi8(s->p1, s->p0)},
        {_mm_unpacklo_epi8(s->q0, s->q1), _mm_unpackhi_epi8(s->q0, s->q1)},
        {_mm_unpacklo_epi8(s->q2, s->q3), _mm_unpackhi_epi8(s->q2, s->q3)},
    };
    uint8_t *row = pix - 4;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const v16 p = j ? _mm_unpackhi_epi16(pairs[0][i], pairs[1][i])
                            : _mm_unpacklo_epi16(pairs[0][i], pairs[1][i]);
            const v16 q = j ? _mm_unpackhi_epi16(pairs[2][i], pairs[3][i])
                            : _mm_unpacklo_epi16(pairs[2][i], pairs[3][i]);
            store_pair(row, row + stride, _mm_unpacklo_epi32(p, q));
            store_pair(row + 2 * stride, row + 3 * stride, _mm_unpackhi_epi32(p, q));
            row += 4 * stride;
        }
}

// p1 p0 q0 q1 of 8 rows of each of two planes
CORE_INLINE void load_transposed_pair(lines *const s, const uint8_t *const a,
                                      const uint8_t *const b, const ptrdiff_t stride) {
    v16 t[8], u[4];
    for (int i = 0; i < 8; i++)
        t[i] = _mm_unpacklo_epi8(load4(a - 2 + i * stride), load4(b - 2 + i * stride));
    for (int i = 0; i < 4; i++)
        u[i] = _mm_unpacklo_epi8(t[i], t[i + 4]);
    for (int i = 0; i < 2; i++) {
        t[i] = _mm_unpacklo_epi8(u[i], u[i + 2]);
        t[i + 2] = _mm_unpackhi_epi8(u[i], u[i + 2]);
    }
    s->p1 = _mm_unpacklo_epi8(t[0], t[1]);
    s->p0 = _mm_unpackhi_epi8(t[0], t[1]);
    s->q0 = _mm_unpacklo_epi8(t[2], t[3]);
    s->q1 = _mm_unpackhi_epi8(t[2], t[3]);
}

CORE_INLINE void store_transposed_pair(const lines *const s, uint8_t *const a, uint8_t *const b,
                                       const ptrdiff_t stride) {
    uint16_t rows[16];
    store16(rows, _mm_unpacklo_epi8(s->p0, s->q0));
    store16(rows + 8, _mm_unpackhi_epi8(s->p0, s->q0));
    for (int i = 0; i < 8; i++) {
        memcpy(a - 1 + i * stride, &rows[i], 2);
        memcpy(b - 1 + i * stride, &rows[i + 8], 2);
    }
}

// ----------------------------------------------------------------------------------------- filters

CORE_INLINE void luma_vertical(uint8_t *const pix, const ptrdiff_t stride, const int alpha,
                               const int beta, const int8_t tc0[4]) {
    lines s;
    load_transposed(&s, pix, stride);
    if (filter_luma(&s, alpha, beta, spread_tc0(tc0)))
        store_transposed4(&s, pix, stride);
}

CORE_INLINE void luma_horizontal(uint8_t *const pix, const ptrdiff_t stride, const int alpha,
                                 const int beta, const int8_t tc0[4]) {
    lines s = {.p2 = load16(pix - 3 * stride),
               .p1 = load16(pix - 2 * stride),
               .p0 = load16(pix - stride),
               .q0 = load16(pix),
               .q1 = load16(pix + stride),
               .q2 = load16(pix + 2 * stride)};
    if (!filter_luma(&s, alpha, beta, spread_tc0(tc0)))
        return;
    store16(pix - 2 * stride, s.p1);
    store16(pix - stride, s.p0);
    store16(pix, s.q0);
    store16(pix + stride, s.q1);
}

CORE_INLINE void luma_intra_vertical(uint8_t *const pix, const ptrdiff_t stride, const int alpha,
                                     const int beta) {
    lines s;
    load_transposed(&s, pix, stride);
    if (filter_luma_intra(&s, alpha, beta))
        store_transposed8(&s, pix, stride);
}

CORE_INLINE void luma_intra_horizontal(uint8_t *const pix, const ptrdiff_t stride, const int alpha,
                                       const int beta) {
    lines s = {load16(pix - 4 * stride),
               load16(pix - 3 * stride),
               load16(pix - 2 * stride),
               load16(pix - stride),
               load16(pix),
               load16(pix + stride),
               load16(pix + 2 * stride),
               load16(pix + 3 * stride)};
    if (!filter_luma_intra(&s, alpha, beta))
        return;
    store16(pix - 3 * stride, s.p2);
    store16(pix - 2 * stride, s.p1);
    store16(pix - stride, s.p0);
    store16(pix, s.q0);
    store16(pix + stride, s.q1);
    store16(pix + 2 * stride, s.q2);
}

CORE_INLINE v16 splat_pair(const int a, const int b) {
    return _mm_unpacklo_epi64(splat(a), splat(b));
}

// tc0 of four quarters of 8 lines, for each plane
CORE_INLINE v16 spread_tc0_pair(const int8_t tc0[2][4]) {
    const v16 v = _mm_loadl_epi64((const __m128i *)tc0);
    return _mm_unpacklo_epi8(v, v);
}

CORE_INLINE lines load_rows_pair(const uint8_t *const a, const uint8_t *const b,
                                 const ptrdiff_t stride) {
    return (lines){.p1 = load_pair(a - 2 * stride, b - 2 * stride),
                   .p0 = load_pair(a - stride, b - stride),
                   .q0 = load_pair(a, b),
                   .q1 = load_pair(a + stride, b + stride)};
}

CORE_INLINE void chroma_pair(uint8_t *const a, uint8_t *const b, const ptrdiff_t stride,
                             const edge_pair *const e, const bool vertical) {
    lines s;
    if (vertical)
        load_transposed_pair(&s, a, b, stride);
    else
        s = load_rows_pair(a, b, stride);
    const v16 alpha = splat_pair(e->alpha[0], e->alpha[1]),
              beta = splat_pair(e->beta[0], e->beta[1]);
    if (!(e->intra ? filter_chroma_intra(&s, alpha, beta)
                   : filter_chroma(&s, alpha, beta, spread_tc0_pair(e->tc0))))
        return;
    if (vertical) {
        store_transposed_pair(&s, a, b, stride);
    } else {
        store_pair(a - stride, b - stride, s.p0);
        store_pair(a, b, s.q0);
    }
}

// ---------------------------------------------------------------------------------- the two builds

#define EDGE_FILTERS(target, suffix)                                                               \
    target static void luma_v_##suffix(void *pix, ptrdiff_t stride, int alpha, int beta,           \
                                       const int8_t tc0[4], int depth) {                           \
        (void)depth;                                                                               \
        luma_vertical(pix, stride, alpha, beta, tc0);                                              \
    }                                                                                              \
    target static void luma_h_##suffix(void *pix, ptrdiff_t stride, int alpha, int beta,           \
                                       const int8_t tc0[4], int depth) {                           \
        (void)depth;                                                                               \
        luma_horizontal(pix, stride, alpha, beta, tc0);                                            \
    }                                                                                              \
    target static void luma_intra_v_##suffix(void *pix, ptrdiff_t stride, int alpha, int beta,     \
                                             int depth) {                                          \
        (void)depth;                                                                               \
        luma_intra_vertical(pix, stride, alpha, beta);                                             \
    }                                                                                              \
    target static void luma_intra_h_##suffix(void *pix, ptrdiff_t stride, int alpha, int beta,     \
                                             int depth) {                                          \
        (void)depth;                                                                               \
        luma_intra_horizontal(pix, stride, alpha, beta);                                           \
    }                                                                                              \
    target static void chroma_v_##suffix(uint8_t *cb, uint8_t *cr, ptrdiff_t stride,               \
                                         const edge_pair *e) {                                     \
        chroma_pair(cb, cr, stride, e, true);                                                      \
    }                                                                                              \
    target static void chroma_h_##suffix(uint8_t *cb, uint8_t *cr, ptrdiff_t stride,               \
                                         const edge_pair *e) {                                     \
        chroma_pair(cb, cr, stride, e, false);                                                     \
    }                                                                                              \
    static void fill_##suffix(kernels *const k) {                                                  \
        k->deblock_luma[0] = luma_v_##suffix;                                                      \
        k->deblock_luma[1] = luma_h_##suffix;                                                      \
        k->deblock_luma_intra[0] = luma_intra_v_##suffix;                                          \
        k->deblock_luma_intra[1] = luma_intra_h_##suffix;                                          \
        k->deblock_chroma[0] = chroma_v_##suffix;                                                  \
        k->deblock_chroma[1] = chroma_h_##suffix;                                                  \
    }

EDGE_FILTERS(, sse2)
EDGE_FILTERS(H264_TARGET_AVX2, avx2)

void h264_deblock_kernels_simd(kernels *const k) {
    if (H264_HAS_AVX2)
        fill_avx2(k);
    else
        fill_sse2(k);
}

#else

void h264_deblock_kernels_simd(kernels *const k) {
    (void)k;
}

#endif
