/* 8.7.2.5.3, 8.7.2.5.6, 8.7.2.5.7 for samples of 8 bits: four lines of a luma edge at once; the
 * plain twin is in kernels_template.h. Both sides of the edge are in one register, side P in the
 * lower four lanes and side Q in the upper ones, as nearly all is the same for both. */
#include "avx2.h"

#ifdef HEVC_AVX2
AVX2_BEGIN

typedef __m128i sides; // eight of 16 bits: P of four lines, Q of four lines

typedef struct edge {
    sides x[4]; // samples by their distance from the edge
} edge;

static inline __m128i load4(const uint8_t *const p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm_cvtsi32_si128(v);
}
static inline void store4(uint8_t *const p, const __m128i v) {
    const int32_t four = _mm_cvtsi128_si32(v);
    memcpy(p, &four, sizeof four);
}

// The four lines of an edge between columns
static inline edge load_lines(const uint8_t *const q0, const ptrdiff_t line) {
    __m128i r[4];
    for (int k = 0; k < 4; k++)
        r[k] = _mm_loadl_epi64((const __m128i *)(const void *)(q0 - 4 + k * line));
    const __m128i a = _mm_unpacklo_epi8(r[0], r[1]), b = _mm_unpacklo_epi8(r[2], r[3]);
    const __m128i p = _mm_unpacklo_epi16(a, b); // p3, p2, p1, p0 of four lines each
    const __m128i q = _mm_shuffle_epi32(_mm_unpackhi_epi16(a, b), _MM_SHUFFLE(0, 1, 2, 3));
    const __m128i far = _mm_unpacklo_epi32(p, q), near = _mm_unpackhi_epi32(p, q);
    return (edge){{_mm_cvtepu8_epi16(_mm_srli_si128(near, 8)), _mm_cvtepu8_epi16(near),
                   _mm_cvtepu8_epi16(_mm_srli_si128(far, 8)), _mm_cvtepu8_epi16(far)}};
}

static inline void store_lines(uint8_t *const q0, const ptrdiff_t line, const edge *const e) {
    const __m128i turn = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m128 far = _mm_castsi128_ps(_mm_packus_epi16(e->x[3], e->x[2])); // p3, q3, p2, q2
    const __m128 near = _mm_castsi128_ps(_mm_packus_epi16(e->x[1], e->x[0]));
    const __m128i p = _mm_castps_si128(_mm_shuffle_ps(far, near, _MM_SHUFFLE(2, 0, 2, 0)));
    const __m128i q = _mm_castps_si128(_mm_shuffle_ps(near, far, _MM_SHUFFLE(1, 3, 1, 3)));
    const __m128i pr = _mm_shuffle_epi8(p, turn), qr = _mm_shuffle_epi8(q, turn);
    const __m128i r01 = _mm_unpacklo_epi32(pr, qr), r23 = _mm_unpackhi_epi32(pr, qr);
    _mm_storel_epi64((__m128i *)(void *)(q0 - 4), r01);
    _mm_storel_epi64((__m128i *)(void *)(q0 - 4 + line), _mm_srli_si128(r01, 8));
    _mm_storel_epi64((__m128i *)(void *)(q0 - 4 + 2 * line), r23);
    _mm_storel_epi64((__m128i *)(void *)(q0 - 4 + 3 * line), _mm_srli_si128(r23, 8));
}

// ... and between rows
static inline edge load_rows(const uint8_t *const q0, const ptrdiff_t step) {
    edge e;
    for (int k = 0; k < 4; k++)
        e.x[k] =
            _mm_cvtepu8_epi16(_mm_unpacklo_epi32(load4(q0 - (k + 1) * step), load4(q0 + k * step)));
    return e;
}

static inline void store_rows(uint8_t *const q0, const ptrdiff_t step, const edge *const e) {
    for (int k = 0; k < 3; k++) {
        const __m128i v = _mm_packus_epi16(e->x[k], e->x[k]);
        store4(q0 - (k + 1) * step, v);
        store4(q0 + k * step, _mm_srli_si128(v, 4));
    }
}

static inline sides swapped(const sides v) {
    return _mm_shuffle_epi32(v, _MM_SHUFFLE(1, 0, 3, 2));
}
static inline sides within(const sides v, const sides least, const sides most) {
    return _mm_min_epi16(_mm_max_epi16(v, least), most);
}
static inline sides around(const sides v, const sides centre, const sides reach) {
    return within(v, _mm_sub_epi16(centre, reach), _mm_add_epi16(centre, reach));
}
static inline sides sum(const sides a, const sides b) {
    return _mm_add_epi16(a, b);
}
static inline sides times2(const sides v) {
    return _mm_slli_epi16(v, 1);
}

static inline void strong_filter(edge *const e, const int tc, const sides keep) {
    const sides x0 = e->x[0], x1 = e->x[1], x2 = e->x[2], y0 = swapped(x0), y1 = swapped(x1);
    const sides reach = _mm_set1_epi16((int16_t)(2 * tc)), four = _mm_set1_epi16(4);
    const sides middle = sum(sum(x1, x0), y0);
    const sides v0 = sum(sum(sum(x2, y1), times2(middle)), four);
    const sides v1 = sum(sum(x2, middle), _mm_set1_epi16(2));
    const sides v2 = sum(sum(times2(e->x[3]), sum(times2(x2), x2)), sum(middle, four));
    e->x[0] = _mm_blendv_epi8(around(_mm_srai_epi16(v0, 3), x0, reach), x0, keep);
    e->x[1] = _mm_blendv_epi8(around(_mm_srai_epi16(v1, 2), x1, reach), x1, keep);
    e->x[2] = _mm_blendv_epi8(around(_mm_srai_epi16(v2, 3), x2, reach), x2, keep);
}

// more: lanes of the sides whose second sample is changed as well. False: nothing is
static inline bool normal_filter(edge *const e, const int tc, const sides keep, const sides more) {
    const sides x0 = e->x[0], x1 = e->x[1], y0 = swapped(x0), y1 = swapped(x1);
    const sides d0 = _mm_sub_epi16(y0, x0), d1 = _mm_sub_epi16(y1, x1); // as P sees it
    const sides nine = sum(_mm_slli_epi16(d0, 3), d0), three = sum(times2(d1), d1);
    const sides all = _mm_srai_epi16(sum(_mm_sub_epi16(nine, three), _mm_set1_epi16(8)), 4);
    const sides p = _mm_unpacklo_epi64(all, all);
    const sides small = _mm_cmpgt_epi16(_mm_set1_epi16((int16_t)(10 * tc)), _mm_abs_epi16(p));
    if (_mm_movemask_epi8(small) == 0)
        return false;
    const sides most = _mm_set1_epi16((int16_t)tc), half = _mm_srai_epi16(most, 1);
    const sides zero = _mm_setzero_si128();
    const sides clipped = within(p, _mm_sub_epi16(zero, most), most);
    const sides delta = _mm_unpacklo_epi64(clipped, _mm_sub_epi16(zero, clipped));
    const sides mean = _mm_avg_epu16(e->x[2], x0);
    const sides second = _mm_srai_epi16(sum(_mm_sub_epi16(mean, x1), delta), 1);
    const sides change = _mm_andnot_si128(keep, small);
    const sides byte = _mm_set1_epi16(255);
    e->x[0] = _mm_blendv_epi8(x0, within(sum(x0, delta), zero, byte), change);
    e->x[1] = _mm_blendv_epi8(
        x1, within(sum(x1, within(second, _mm_sub_epi16(zero, half), half)), zero, byte),
        _mm_and_si128(change, more));
    return true;
}

static inline sides lanes_of(const bool p, const bool q) {
    return _mm_set_epi64x(-(int64_t)q, -(int64_t)p);
}

static void deblock_luma(void *const q0, const ptrdiff_t step, const ptrdiff_t line, const int beta,
                         const int tc, const bool keep_p, const bool keep_q, const int depth) {
    (void)depth;
    edge e = step == 1 ? load_lines(q0, line) : load_rows(q0, step);
    int16_t d[8], flat[8], near[8];
    const sides bend = _mm_abs_epi16(_mm_sub_epi16(sum(e.x[2], e.x[0]), times2(e.x[1])));
    _mm_storeu_si128((__m128i *)(void *)d, bend);
    const int size0 = d[0] + d[4], size3 = d[3] + d[7];
    if (size0 + size3 >= beta)
        return;
    _mm_storeu_si128((__m128i *)(void *)flat, _mm_abs_epi16(_mm_sub_epi16(e.x[3], e.x[0])));
    _mm_storeu_si128((__m128i *)(void *)near,
                     _mm_abs_epi16(_mm_sub_epi16(e.x[0], swapped(e.x[0]))));
    const int limit = (5 * tc + 1) >> 1;
    const sides keep = lanes_of(keep_p, keep_q);
    if (2 * size0 < beta >> 2 && 2 * size3 < beta >> 2 && flat[0] + flat[4] < beta >> 3 &&
        flat[3] + flat[7] < beta >> 3 && near[0] < limit && near[3] < limit) {
        strong_filter(&e, tc, keep);
    } else {
        const int side = (beta + (beta >> 1)) >> 3;
        if (!normal_filter(&e, tc, keep, lanes_of(d[0] + d[3] < side, d[4] + d[7] < side)))
            return;
    }
    if (step == 1)
        store_lines(q0, line, &e);
    else
        store_rows(q0, step, &e);
}
AVX2_END

void hevc_kernels_deblock_avx2(kernels *const k) {
    if (k->sample_size == 1 && __builtin_cpu_supports("avx2"))
        k->deblock_luma = deblock_luma;
}
#else
void hevc_kernels_deblock_avx2(kernels *const k) {
    (void)k;
}
#endif
