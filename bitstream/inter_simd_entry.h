/* Kernels of one instruction set: choice of the column width; see inter_simd.c. */
#undef FN
#undef CALL
#define CALL(name, column) PASTE3(name, column, ARCH)
#define FN(name) PASTE(name, ARCH)

TARGET static void FN(inter_luma)(void *const dst, const ptrdiff_t ds, const void *const src,
                                  const ptrdiff_t ss, const int w, const int h, const int fx,
                                  const int fy, const int depth) {
    (void)depth;
#ifdef HAVE_COLUMN_16
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

// Columns of 2 and 4 take fewer samples into their vectors, so that nothing outside the block is read.
TARGET static void FN(inter_chroma)(void *const dst, const ptrdiff_t ds, const void *const src,
                                    const ptrdiff_t ss, const int w, const int h, const int fx,
                                    const int fy, const int depth) {
    (void)depth;
    if (fx == 0 && fy == 0)
        FN(copy_narrow)(dst, ds, src, ss, w, h);
    else if (w == 8)
        CALL(chroma, 8)(dst, ds, src, ss, h, fx, fy);
    else if (w == 4)
        CALL(chroma, 4)(dst, ds, src, ss, h, fx, fy);
    else
        CALL(chroma, 2)(dst, ds, src, ss, h, fx, fy);
}

TARGET static void FN(average)(void *const block, const ptrdiff_t ds, const void *const other,
                               const ptrdiff_t ss, const int w, const int h) {
    uint8_t *dst = block;
    const uint8_t *src = other;
    for (int y = 0; y < h; y++, dst += ds, src += ss) {
        if (w == 16)
            store_bytes_16(dst, _mm_avg_epu8(load_bytes_16(dst), load_bytes_16(src)));
        else if (w == 8)
            store_bytes_8(dst, _mm_avg_epu8(load_bytes_8(dst), load_bytes_8(src)));
        else if (w == 4)
            store_bytes_4(dst, _mm_avg_epu8(load_bytes_4(dst), load_bytes_4(src)));
        else
            store_bytes_2(dst, _mm_avg_epu8(load_bytes_2(dst), load_bytes_2(src)));
    }
}

TARGET H264_INLINE void FN(weigh)(uint8_t *dst, const ptrdiff_t ds, const uint8_t *src,
                                  const ptrdiff_t ss, const int w, const int h,
                                  const weighting *const k) {
    for (int y = 0; y < h; y++, dst += ds, src += ss) {
        if (w == 2)
            CALL(weigh_row, 2)(dst, src, k);
        else if (w == 4)
            CALL(weigh_row, 4)(dst, src, k);
        else
            for (int x = 0; x < w; x += 8)
                CALL(weigh_row, 8)(dst + x, src + x, k);
    }
}

TARGET H264_INLINE weighting FN(weighting_of)(const int first, const int second, const int round,
                                              const int shift, const int offset) {
    const __m128i a = _mm_set1_epi16((int16_t)first), b = _mm_set1_epi16((int16_t)second);
    return (weighting){_mm_unpacklo_epi16(a, b), _mm_set1_epi32(round), _mm_cvtsi32_si128(shift),
                       _mm_set1_epi32(offset)};
}

// (8-298): the block itself is the second source, with factor 0
TARGET static void FN(weight_one)(void *const dst, const ptrdiff_t ds, const int w, const int h,
                                  const int log2_denom, const int weight, const int offset,
                                  const int depth) {
    const int round = log2_denom ? 1 << (log2_denom - 1) : 0;
    const weighting k = FN(weighting_of)(weight, 0, round, log2_denom, offset);
    (void)depth;
    FN(weigh)(dst, ds, dst, ds, w, h, &k);
}

// (8-299)
TARGET static void FN(weight_two)(void *const dst, const ptrdiff_t ds, const void *const src,
                                  const ptrdiff_t ss, const int w, const int h, const int log2_denom,
                                  const int weight[2], const int offset, const int depth) {
    const weighting k = FN(weighting_of)(weight[0], weight[1], 1 << log2_denom, log2_denom + 1, offset);
    (void)depth;
    FN(weigh)(dst, ds, src, ss, w, h, &k);
}

static void FN(fill)(kernels *const k) {
    k->inter_luma = FN(inter_luma);
    k->inter_chroma = FN(inter_chroma);
    k->average = FN(average);
    k->weight_one = FN(weight_one);
    k->weight_two = FN(weight_two);
}
