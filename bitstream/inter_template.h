/* 8.4.2.2 and 8.4.2.3 for one sample type; see inter.c. Strides inside are in samples. */
#include "sample.h"

#undef MID
#if SAMPLE_SIZE == 1
#define MID int16_t // holds the unrounded output of one 6-tap filter
#else
#define MID int32_t
#endif

// ------------------------------------------------------------------------------------------------- fetching

// (8-239): w x h samples from x, y with clamped coordinates, into rows of PATCH_STRIDE samples
static void FN(copy_clamped)(SAMPLE *patch, const ref_plane *const ref, const int x, const int y,
                             const int w, const int h) {
    const int before = iclip(-x, 0, w), after = iclip(x + w - ref->width, 0, w);
    for (int r = 0; r < h; r++, patch += PATCH_STRIDE) {
        const int row = iclip(y + r, 0, ref->height - 1);
        const SAMPLE *const line = (const SAMPLE *)(ref->data + row * ref->stride);
        for (int i = 0; i < before; i++)
            patch[i] = line[0];
        for (int i = before; i < w - after; i++)
            patch[i] = line[x + i];
        for (int i = imax(w - after, 0); i < w; i++)
            patch[i] = line[ref->width - 1];
    }
}

// Sample 0, 0 of a block with `lead` samples before and `trail` after it readable; Note [Reference reads].
H264_INLINE const SAMPLE *FN(fetch)(const ref_plane *const ref, const position *const pos,
                                    const int w, const int h, const int lead, const int trail,
                                    SAMPLE *const patch, ptrdiff_t *const stride) {
    const int x = pos->x - lead, y = pos->y - lead;
    const int full_w = w + lead + trail, full_h = h + lead + trail;
    if (H264_LIKELY(x >= 0 && y >= 0 && x + full_w <= ref->width && y + full_h <= ref->height)) {
        *stride = ref->stride / SAMPLE_SIZE;
        return (const SAMPLE *)(ref->data + pos->y * ref->stride) + pos->x;
    }
    FN(copy_clamped)(patch, ref, iclip(x, -FAR_OUTSIDE, ref->width + FAR_OUTSIDE),
                     iclip(y, -FAR_OUTSIDE, ref->height + FAR_OUTSIDE), full_w, full_h);
    *stride = PATCH_STRIDE;
    return patch + lead * PATCH_STRIDE + lead;
}

// ------------------------------------------------------------------------------ luma, 8.4.2.2.1, Figure 8-4

H264_INLINE int FN(tap6)(const int a, const int b, const int c, const int d, const int e,
                         const int f) {
    return a - 5 * b + 20 * c + 20 * d - 5 * e + f;
}

H264_INLINE void FN(copy)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                          const int w, const int h) {
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        memcpy(dst, src, (size_t)w * sizeof(SAMPLE));
}

// Samples b (and s): horizontal half positions
H264_INLINE void FN(half_h)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                            const int w, const int h, const int max) {
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        for (int x = 0; x < w; x++) {
            const SAMPLE *const s = src + x;
            dst[x] = (SAMPLE)iclip(
                (FN(tap6)(s[-2], s[-1], s[0], s[1], s[2], s[3]) + 16) >> 5, 0, max);
        }
}

// Samples h (and m): vertical half positions
H264_INLINE void FN(half_v)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                            const int w, const int h, const int max) {
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        for (int x = 0; x < w; x++) {
            const SAMPLE *const s = src + x;
            dst[x] = (SAMPLE)iclip(
                (FN(tap6)(s[-2 * ss], s[-ss], s[0], s[ss], s[2 * ss], s[3 * ss]) + 16) >> 5, 0, max);
        }
}

// Samples j: both. The unrounded horizontal results of all rows needed, then the vertical filter.
H264_INLINE void FN(half_hv)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                             const int w, const int h, const int max) {
    MID mid[PATCH_ROWS * MAX_BLOCK];
    src -= MARGIN_BEFORE * ss;
    for (int y = 0; y < h + MARGIN_BEFORE + MARGIN_AFTER; y++, src += ss)
        for (int x = 0; x < w; x++) {
            const SAMPLE *const s = src + x;
            mid[y * w + x] = (MID)FN(tap6)(s[-2], s[-1], s[0], s[1], s[2], s[3]);
        }
    for (int y = 0; y < h; y++, dst += ds)
        for (int x = 0; x < w; x++) {
            const MID *const m = mid + y * w + x;
            dst[x] = (SAMPLE)iclip(
                (FN(tap6)(m[0], m[w], m[2 * w], m[3 * w], m[4 * w], m[5 * w]) + 512) >> 10, 0, max);
        }
}

// (8-273), and the quarter positions of (8-251) to (8-262)
H264_INLINE void FN(average)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                             const int w, const int h) {
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)((dst[x] + src[x] + 1) >> 1);
}

// Table 8-12. Each quarter position is the mean of two of: the full sample, b or s, h or m, j.
H264_INLINE void FN(luma_block)(SAMPLE *const dst, const ptrdiff_t ds, const SAMPLE *const src,
                                const ptrdiff_t ss, const int w, const int h, const int fx,
                                const int fy, const int max) {
    const SAMPLE *const right = src + (fx == 3), *const below = src + (fy == 3) * ss;
    SAMPLE other[MAX_BLOCK * MAX_BLOCK];
    if (fx == 0 && fy == 0) {
        FN(copy)(dst, ds, src, ss, w, h);
    } else if (fy == 0) { // a, b, c
        FN(half_h)(dst, ds, src, ss, w, h, max);
        if (fx != 2)
            FN(average)(dst, ds, right, ss, w, h);
    } else if (fx == 0) { // d, h, n
        FN(half_v)(dst, ds, src, ss, w, h, max);
        if (fy != 2)
            FN(average)(dst, ds, below, ss, w, h);
    } else if (fx == 2 || fy == 2) { // j, f, i, k, q
        FN(half_hv)(dst, ds, src, ss, w, h, max);
        if (fx == 2 && fy == 2)
            return;
        if (fx == 2)
            FN(half_h)(other, w, below, ss, w, h, max);
        else
            FN(half_v)(other, w, right, ss, w, h, max);
        FN(average)(dst, ds, other, w, w, h);
    } else { // e, g, p, r
        FN(half_h)(dst, ds, below, ss, w, h, max);
        FN(half_v)(other, w, right, ss, w, h, max);
        FN(average)(dst, ds, other, w, w, h);
    }
}

static void FN(interpolate_luma)(const ref_plane *const ref, const position *const pos,
                                 SAMPLE *const dst, const ptrdiff_t ds, const int w, const int h,
                                 const int depth) {
    SAMPLE patch[PATCH_ROWS * PATCH_STRIDE];
    ptrdiff_t ss;
    const bool whole = pos->fx == 0 && pos->fy == 0;
    const SAMPLE *const src = FN(fetch)(ref, pos, w, h, whole ? 0 : MARGIN_BEFORE,
                                        whole ? 0 : MARGIN_AFTER, patch, &ss);
    const int max = (1 << DEPTH(depth)) - 1;
    if (w == 16)
        FN(luma_block)(dst, ds, src, ss, 16, h, pos->fx, pos->fy, max);
    else if (w == 8)
        FN(luma_block)(dst, ds, src, ss, 8, h, pos->fx, pos->fy, max);
    else
        FN(luma_block)(dst, ds, src, ss, 4, h, pos->fx, pos->fy, max);
}

// ---------------------------------------------------------------------------------- chroma, 8.4.2.2.2

// (8-266)
H264_INLINE void FN(chroma_block)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src,
                                  const ptrdiff_t ss, const int w, const int h, const int fx,
                                  const int fy) {
    const int a = (8 - fx) * (8 - fy), b = fx * (8 - fy), c = (8 - fx) * fy, d = fx * fy;
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)((a * src[x] + b * src[x + 1] + c * src[x + ss] +
                               d * src[x + ss + 1] + 32) >> 6);
}

static void FN(interpolate_chroma)(const ref_plane *const ref, const position *const pos,
                                   SAMPLE *const dst, const ptrdiff_t ds, const int w,
                                   const int h) {
    SAMPLE patch[PATCH_ROWS * PATCH_STRIDE];
    ptrdiff_t ss;
    const SAMPLE *const src = FN(fetch)(ref, pos, w, h, 0, 1, patch, &ss);
    if (w == 8)
        FN(chroma_block)(dst, ds, src, ss, 8, h, pos->fx, pos->fy);
    else if (w == 4)
        FN(chroma_block)(dst, ds, src, ss, 4, h, pos->fx, pos->fy);
    else
        FN(chroma_block)(dst, ds, src, ss, 2, h, pos->fx, pos->fy);
}

// ----------------------------------------------------------------------- combination, 8.4.2.3

// (8-298)
static void FN(weight_one)(SAMPLE *dst, const ptrdiff_t ds, const int w, const int h,
                           const int log2_denom, const int weight, const int offset,
                           const int max) {
    const int round = log2_denom ? 1 << (log2_denom - 1) : 0;
    for (int y = 0; y < h; y++, dst += ds)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)iclip(((dst[x] * weight + round) >> log2_denom) + offset, 0, max);
}

// (8-299)
static void FN(weight_two)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                           const int w, const int h, const int log2_denom, const int weight[2],
                           const int offset, const int max) {
    const int w0 = weight[0], w1 = weight[1], round = 1 << log2_denom;
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)iclip(
                ((dst[x] * w0 + src[x] * w1 + round) >> (log2_denom + 1)) + offset, 0, max);
}

// One reference's prediction of a block in one plane
static void FN(predict_from)(const h264_decoder *const dec, const inter_block *const b,
                             const int list, const int plane, const bool luma, SAMPLE *const dst,
                             const ptrdiff_t ds, const int w, const int h, const int depth) {
    const ref_plane ref = reference_plane(dec, b->ref[list], plane);
    if (luma) {
        const position pos = luma_position(b, list);
        FN(interpolate_luma)(&ref, &pos, dst, ds, w, h, depth);
    } else {
        const position pos = chroma_position(dec, b, list);
        FN(interpolate_chroma)(&ref, &pos, dst, ds, w, h);
    }
}

// `component` is the plane in the macroblock, `plane` that in the picture: they differ where colour planes are coded
// separately. 4:4:4 chroma is interpolated as luma (8.4.2.2).
static void FN(predict_plane)(const h264_decoder *const dec, const inter_block *const b,
                              const int component, const int plane, uint8_t *const out,
                              const ptrdiff_t stride, const int depth) {
    const int format = dec->active_sps.ChromaArrayType;
    const bool luma = component == 0 || format == 3;
    const int w = luma ? b->w : b->w / 2, h = luma || format == 2 ? b->h : b->h / 2;
    const int max = (1 << DEPTH(depth)) - 1, denom = b->log2_denom[component];
    const ptrdiff_t ds = stride / SAMPLE_SIZE;
    SAMPLE *const dst = (SAMPLE *)out;
    SAMPLE second[MAX_BLOCK * MAX_BLOCK];

    if (!b->ref[0] || !b->ref[1]) {
        const int list = b->ref[0] ? 0 : 1;
        FN(predict_from)(dec, b, list, plane, luma, dst, ds, w, h, depth);
        if (b->weighted)
            FN(weight_one)(dst, ds, w, h, denom, b->weight[list][component],
                           b->offset[list][component], max);
        return;
    }
    FN(predict_from)(dec, b, 0, plane, luma, dst, ds, w, h, depth);
    FN(predict_from)(dec, b, 1, plane, luma, second, MAX_BLOCK, w, h, depth);
    if (b->weighted) {
        const int weight[2] = {b->weight[0][component], b->weight[1][component]};
        const int offset = (b->offset[0][component] + b->offset[1][component] + 1) >> 1;
        FN(weight_two)(dst, ds, second, MAX_BLOCK, w, h, denom, weight, offset, max);
    } else if (w == 16) {
        FN(average)(dst, ds, second, MAX_BLOCK, 16, h);
    } else if (w == 8) {
        FN(average)(dst, ds, second, MAX_BLOCK, 8, h);
    } else {
        FN(average)(dst, ds, second, MAX_BLOCK, w, h);
    }
}
