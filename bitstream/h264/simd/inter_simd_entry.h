/* Kernels of one instruction set: choice of the column width; see inter_simd.c. */
#undef FN
#undef CALL
#define CALL(name, column) PASTE3(name, column, ARCH)
#define FN(name) PASTE(name, ARCH)

TARGET static void FN(inter_luma)(void *const dst, const ptrdiff_t ds, const void *const src,
                                  const ptrdiff_t ss, const int w, const int h, const int fx,
                                  const int fy, const int depth) {
    (void)depth;
#ifdef HAVE_AVX2
    if (w == 16) {
        CALL(luma, 16)(dst, ds, src, ss, h, fx, fy);
        return;
    }
#endif
    if (w == 4) {
        CALL(luma, 4)(dst, ds, src, ss, h, fx, fy);
        return;
    }
    for (int x = 0; x < w; x += 8)
        CALL(luma, 8)((uint8_t *)dst + x, ds, (const uint8_t *)src + x, ss, h, fx, fy);
}

TARGET static void FN(copy_narrow)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *src,
                                   const ptrdiff_t ss, const int w, const int h) {
    if (w == 8)
        CALL(copy, 8)(dst, ds, src, ss, h);
    else if (w == 4)
        CALL(copy, 4)(dst, ds, src, ss, h);
    else
        for (int y = 0; y < h; y++, dst += ds, src += ss)
            store_bytes_2(dst, load_bytes_2(src));
}

#ifdef HAVE_AVX2

// The low 8, 4 or 2 samples of each half, to the two planes
TARGET CORE_INLINE void FN(store_halves)(uint8_t *const a, uint8_t *const b, const __m256i v,
                                         const int w) {
    const __m128i low = _mm256_castsi256_si128(v), high = _mm256_extracti128_si256(v, 1);
    if (w == 8) {
        store_bytes_8(a, low);
        store_bytes_8(b, high);
    } else if (w == 4) {
        store_bytes_4(a, low);
        store_bytes_4(b, high);
    } else {
        store_bytes_2(a, low);
        store_bytes_2(b, high);
    }
}

// 8.4.2.2.2 for both planes, one in each half of a register: first within the rows, then between
// them
TARGET CORE_INLINE void FN(chroma_planes)(uint8_t *const dst[2], const ptrdiff_t ds,
                                          const uint8_t *const src[2], const ptrdiff_t ss,
                                          const int w, const int h, const int fx, const int fy) {
    const __m256i right = _mm256_set1_epi16((int16_t)(fx * 256 + 8 - fx));
    const __m256i upper = _mm256_set1_epi16((int16_t)(8 - fy)),
                  lower = _mm256_set1_epi16((int16_t)fy);
    const __m256i round = _mm256_set1_epi16(32);
    __m256i row = _mm256_maddubs_epi16(neighbours_from(two_halves(src[0], src[1]), 0), right);
    for (int y = 0; y < h; y++) {
        const __m256i v = two_halves(src[0] + (y + 1) * ss, src[1] + (y + 1) * ss);
        const __m256i next = _mm256_maddubs_epi16(neighbours_from(v, 0), right);
        const __m256i sum =
            _mm256_add_epi16(_mm256_mullo_epi16(row, upper), _mm256_mullo_epi16(next, lower));
        const __m256i out = _mm256_srli_epi16(_mm256_add_epi16(sum, round), 6);
        FN(store_halves)(dst[0] + y * ds, dst[1] + y * ds, _mm256_packus_epi16(out, out), w);
        row = next;
    }
}

#else

// Columns of 2 and 4 take fewer samples into their vectors, so that nothing outside the block is
// read.
TARGET CORE_INLINE void FN(chroma_planes)(uint8_t *const dst[2], const ptrdiff_t ds,
                                          const uint8_t *const src[2], const ptrdiff_t ss,
                                          const int w, const int h, const int fx, const int fy) {
    for (int i = 0; i < 2; i++) {
        if (w == 8)
            CALL(chroma, 8)(dst[i], ds, src[i], ss, h, fx, fy);
        else if (w == 4)
            CALL(chroma, 4)(dst[i], ds, src[i], ss, h, fx, fy);
        else
            CALL(chroma, 2)(dst[i], ds, src[i], ss, h, fx, fy);
    }
}

#endif

TARGET static void FN(inter_chroma)(uint8_t *const dst[2], const ptrdiff_t ds,
                                    const uint8_t *const src[2], const ptrdiff_t ss, const int w,
                                    const int h, const int fx, const int fy) {
    if (fx == 0 && fy == 0)
        for (int i = 0; i < 2; i++)
            FN(copy_narrow)(dst[i], ds, src[i], ss, w, h);
    else if (w == 8)
        FN(chroma_planes)(dst, ds, src, ss, 8, h, fx, fy);
    else if (w == 4)
        FN(chroma_planes)(dst, ds, src, ss, 4, h, fx, fy);
    else
        FN(chroma_planes)(dst, ds, src, ss, 2, h, fx, fy);
}

// 8.4.2.3.1
TARGET static void FN(average)(void *const block, const ptrdiff_t ds, const void *const first,
                               const ptrdiff_t as, const void *const second, const ptrdiff_t bs,
                               const int w, const int h) {
    uint8_t *to = block;
    const uint8_t *a = first, *b = second;
    int x = 0;
    for (; x + 16 <= w; x += 16, to += 16, a += 16, b += 16)
        for (int y = 0; y < h; y++)
            store_bytes_16(to + y * ds,
                           _mm_avg_epu8(load_bytes_16(a + y * as), load_bytes_16(b + y * bs)));
    if (w & 8)
        for (int y = 0; y < h; y++)
            store_bytes_8(to + y * ds,
                          _mm_avg_epu8(load_bytes_8(a + y * as), load_bytes_8(b + y * bs)));
    else if (w == 4)
        for (int y = 0; y < h; y++)
            store_bytes_4(to + y * ds,
                          _mm_avg_epu8(load_bytes_4(a + y * as), load_bytes_4(b + y * bs)));
    else if (w == 2)
        for (int y = 0; y < h; y++)
            store_bytes_2(to + y * ds,
                          _mm_avg_epu8(load_bytes_2(a + y * as), load_bytes_2(b + y * bs)));
}

TARGET CORE_INLINE void FN(weigh)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *a,
                                  const ptrdiff_t as, const uint8_t *b, const ptrdiff_t bs,
                                  const int w, const int h, const weighting *const k) {
    for (int y = 0; y < h; y++, dst += ds, a += as, b += bs) {
        if (w == 2)
            CALL(weigh_row, 2)(dst, a, b, k);
        else if (w == 4)
            CALL(weigh_row, 4)(dst, a, b, k);
        else
            for (int x = 0; x < w; x += 8)
                CALL(weigh_row, 8)(dst + x, a + x, b + x, k);
    }
}

TARGET CORE_INLINE weighting FN(weighting_of)(const weights *const v) {
    const __m128i a = _mm_set1_epi16((int16_t)v->first), b = _mm_set1_epi16((int16_t)v->second);
    return (weighting){_mm_unpacklo_epi16(a, b), _mm_set1_epi32(v->round),
                       _mm_cvtsi32_si128(v->shift), _mm_set1_epi32(v->offset)};
}

// 8.4.2.3.2
TARGET CORE_INLINE void FN(weigh_block)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *a,
                                        const ptrdiff_t as, const uint8_t *b, const ptrdiff_t bs,
                                        const int w, const int h, const weights *const v) {
#ifdef HAVE_AVX2
    if (w % 8 == 0 && abs(v->first) + abs(v->second) < 128) {
        weigh_in_16_bits(dst, ds, a, as, b, bs, w, h, v);
        return;
    }
#endif
    const weighting k = FN(weighting_of)(v);
    FN(weigh)(dst, ds, a, as, b, bs, w, h, &k);
}

// One list: the block itself is the second source, with factor 0
TARGET static void FN(weight_one)(void *const dst, const ptrdiff_t ds, const void *const src,
                                  const ptrdiff_t ss, const int w, const int h,
                                  const int log2_denom, const int weight, const int offset,
                                  const int depth) {
    const int round = log2_denom ? 1 << (log2_denom - 1) : 0;
    const weights v = {weight, 0, round, log2_denom, offset};
    (void)depth;
    FN(weigh_block)(dst, ds, src, ss, src, ss, w, h, &v);
}

// Both lists
TARGET static void FN(weight_two)(void *const dst, const ptrdiff_t ds, const void *const a,
                                  const ptrdiff_t as, const void *const b, const ptrdiff_t bs,
                                  const int w, const int h, const int log2_denom,
                                  const int weight[2], const int offset, const int depth) {
    const weights v = {weight[0], weight[1], 1 << log2_denom, log2_denom + 1, offset};
    (void)depth;
    FN(weigh_block)(dst, ds, a, as, b, bs, w, h, &v);
}

static void FN(fill)(kernels *const k) {
    k->inter_luma = FN(inter_luma);
    k->inter_chroma = FN(inter_chroma);
    k->average = FN(average);
    k->weight_one = FN(weight_one);
    k->weight_two = FN(weight_two);
}
