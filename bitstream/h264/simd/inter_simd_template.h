/* Luma and chroma interpolation of a block COLUMN samples wide; see inter_simd.c for the macros. */
#undef FN
#undef LOAD
#undef STORE
#define FN(name) PASTE3(name, COLUMN, ARCH)
#define LOAD PASTE(load_bytes, COLUMN)
#define STORE PASTE(store_bytes, COLUMN)

TARGET CORE_INLINE V FN(row)(const uint8_t *const p) {
    return WIDEN(LOAD(p));
}

TARGET CORE_INLINE void FN(copy)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *src,
                                 const ptrdiff_t ss, const int h) {
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        STORE(dst, LOAD(src));
}

#ifndef HAVE_AVX2
// One row of 8.4.2.2.2 less its vertical part: 8 times the samples at p, moved fx eighths to the
// right
TARGET CORE_INLINE V FN(chroma_row)(const bytes here, const bytes next, const int16_t fx) {
    const V a = WIDEN(here), b = WIDEN(next);
    return (a << 3) + (b - a) * fx;
}

// 8.4.2.2.2
TARGET CORE_INLINE void FN(chroma)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *src,
                                   const ptrdiff_t ss, const int h, const int fx, const int fy) {
    const int16_t right = (int16_t)fx, down = (int16_t)fy;
    V above = FN(chroma_row)(LOAD(src), LOAD(src + 1), right);
    for (int y = 0; y < h; y++, dst += ds) {
        src += ss;
        const V below = FN(chroma_row)(LOAD(src), LOAD(src + 1), right);
        STORE(dst, NARROW(((above << 3) + (below - above) * down + 32) >> 6));
        above = below;
    }
}
#endif

#if COLUMN <= 8
// A row of 8.4.2.3.2: sums of two products, 32 bits wide
TARGET CORE_INLINE void FN(weigh_row)(uint8_t *const dst, const uint8_t *const first,
                                      const uint8_t *const second, const weighting *const k) {
    const __m128i a = (__m128i)FN(row)(first), b = (__m128i)FN(row)(second);
    const __m128i low = _mm_madd_epi16(_mm_unpacklo_epi16(a, b), k->factors);
    const __m128i high = _mm_madd_epi16(_mm_unpackhi_epi16(a, b), k->factors);
    const __m128i l = _mm_sra_epi32(_mm_add_epi32(low, k->round), k->shift);
    const __m128i h = _mm_sra_epi32(_mm_add_epi32(high, k->round), k->shift);
    const __m128i sum = _mm_packs_epi32(_mm_add_epi32(l, k->offset), _mm_add_epi32(h, k->offset));
    STORE(dst, _mm_packus_epi16(sum, sum));
}
#endif

#if COLUMN >= 4
TARGET CORE_INLINE V FN(six_tap)(const V a, const V b, const V c, const V d, const V e, const V f) {
    return (a + f) + 5 * (((c + d) << 2) - (b + e));
}

// Unrounded horizontal filter at p
TARGET CORE_INLINE V FN(across)(const uint8_t *const p) {
#ifdef ACROSS
    return ACROSS(p);
#else
    return FN(six_tap)(FN(row)(p - 2), FN(row)(p - 1), FN(row)(p), FN(row)(p + 1), FN(row)(p + 2),
                       FN(row)(p + 3));
#endif
}

// Rounded and clipped to samples
TARGET CORE_INLINE bytes FN(rounded)(const V v) {
    return NARROW((v + 16) >> 5);
}

// Note [j in 16 bits]
TARGET CORE_INLINE bytes FN(rounded_twice)(const V x[6]) {
    const V a = x[0] + x[5], b = x[1] + x[4], c = x[2] + x[3];
    const V t = ADD_SATURATED((a - b) >> 2, c - b) >> 2;
    return NARROW((t + c + 32) >> 6);
}

TARGET CORE_INLINE void FN(slide)(V x[6], const V next) {
    for (int i = 0; i < 5; i++)
        x[i] = x[i + 1];
    x[5] = next;
}

// b, or its mean with the full samples at `full` (a, c)
TARGET CORE_INLINE void FN(half_h)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *src,
                                   const ptrdiff_t ss, const int h, const bool quarter, int right) {
    for (int y = 0; y < h; y++, dst += ds, src += ss) {
        bytes v = FN(rounded)(FN(across)(src));
        if (quarter)
            v = _mm_avg_epu8(v, LOAD(src + right));
        STORE(dst, v);
    }
}

// h at src + right (h, m): alone, or its mean with the full samples `below` (d, n), or with b of
// that row (e, g, p, r)
TARGET CORE_INLINE void FN(half_v)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *src,
                                   const ptrdiff_t ss, const int h, const int mean, const int right,
                                   const ptrdiff_t below) {
    const uint8_t *next = src + right + 3 * ss;
    V x[6];
    for (int i = 0; i < 5; i++)
        x[i + 1] = FN(row)(src + right + (i - 2) * ss);
    for (int y = 0; y < h; y++, dst += ds, src += ss, next += ss) {
        FN(slide)(x, FN(row)(next));
        bytes v = FN(rounded)(FN(six_tap)(x[0], x[1], x[2], x[3], x[4], x[5]));
        if (mean == WITH_FULL)
            v = _mm_avg_epu8(v, LOAD(src + below));
        if (mean == WITH_B)
            v = _mm_avg_epu8(v, FN(rounded)(FN(across)(src + below)));
        STORE(dst, v);
    }
}

// j: alone, or its mean with b or s (f, q: row 2 or 3 of the window)
TARGET CORE_INLINE void FN(half_hv)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *src,
                                    const ptrdiff_t ss, const int h, const int b_row) {
    const uint8_t *next = src + 3 * ss;
    V x[6];
    for (int i = 0; i < 5; i++)
        x[i + 1] = FN(across)(src + (i - 2) * ss);
    for (int y = 0; y < h; y++, dst += ds, next += ss) {
        FN(slide)(x, FN(across)(next));
        bytes v = FN(rounded_twice)(x);
        if (b_row)
            v = _mm_avg_epu8(v, FN(rounded)(x[b_row]));
        STORE(dst, v);
    }
}

// The mean of what is in dst (j) and h at src (i, k)
TARGET CORE_INLINE void FN(mean_with_h)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *src,
                                        const ptrdiff_t ss, const int h) {
    V x[6];
    for (int i = 0; i < 5; i++)
        x[i + 1] = FN(row)(src + (i - 2) * ss);
    for (int y = 0; y < h; y++, dst += ds, src += ss) {
        FN(slide)(x, FN(row)(src + 3 * ss));
        const bytes v = FN(rounded)(FN(six_tap)(x[0], x[1], x[2], x[3], x[4], x[5]));
        STORE(dst, _mm_avg_epu8(LOAD(dst), v));
    }
}

// Table 8-12
TARGET static void FN(luma)(uint8_t *const dst, const ptrdiff_t ds, const uint8_t *const src,
                            const ptrdiff_t ss, const int h, const int fx, const int fy) {
    const int right = fx == 3;
    const ptrdiff_t below = fy == 3 ? ss : 0;
    switch (4 * fy + fx) {
    case 0: FN(copy)(dst, ds, src, ss, h); break;
    case 1:
    case 3: FN(half_h)(dst, ds, src, ss, h, true, right); break;
    case 2: FN(half_h)(dst, ds, src, ss, h, false, 0); break;
    case 4:
    case 12: FN(half_v)(dst, ds, src, ss, h, WITH_FULL, 0, below); break;
    case 8: FN(half_v)(dst, ds, src, ss, h, ALONE, 0, 0); break;
    case 6: FN(half_hv)(dst, ds, src, ss, h, 2); break;
    case 10: FN(half_hv)(dst, ds, src, ss, h, 0); break;
    case 14: FN(half_hv)(dst, ds, src, ss, h, 3); break;
    case 9:
    case 11:
        FN(half_hv)(dst, ds, src, ss, h, 0);
        FN(mean_with_h)(dst, ds, src + right, ss, h);
        break;
    default: FN(half_v)(dst, ds, src, ss, h, WITH_B, right, below);
    }
}
#endif
