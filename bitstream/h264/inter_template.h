/* 8.4.2.2 and 8.4.2.3 for one sample type, in plain C; see inter.c, and inter_simd.c for the fast
 * twins of the 8-bit set. Strides are in bytes at the entry of each kernel, in samples inside. */
#include "../coding/sample.h"

#undef MID
#if SAMPLE_SIZE == 1
#define MID int16_t // holds the unrounded output of one 6-tap filter
#else
#define MID int32_t
#endif

CORE_INLINE void FN(fill_run)(SAMPLE *const p, const SAMPLE value) {
    for (int i = 0; i < RUN; i++)
        p[i] = value;
}

// (8-239): w x h samples from x, y with clamped coordinates, w at most RUN, into rows of
// PATCH_STRIDE samples. Copies and fills are RUN samples long whatever is needed: a fill before a
// row lies before its first sample in the patch, and what is too much after a row is overwritten by
// the next one or lies in between.
static void FN(copy_clamped)(SAMPLE *patch, const ref_plane *const ref, const int x, const int y,
                             const int w, const int h) {
    const int before = iclip(-x, 0, w), after = iclip(x + w - ref->width, 0, w);
    const int first = iclip(x, 0, ref->width - 1);
    for (int r = 0; r < h; r++, patch += PATCH_STRIDE) {
        const int row = iclip(y + r, 0, ref->height - 1);
        const SAMPLE *const line = (const SAMPLE *)(ref->data + row * ref->stride);
        memcpy(patch + before, line + first, RUN * sizeof(SAMPLE));
        if (before)
            FN(fill_run)(patch + before - RUN, line[0]);
        if (after)
            FN(fill_run)(patch + w - after, line[ref->width - 1]);
    }
}

// --------------------------------------------------------------------- luma, 8.4.2.2.1, Figure 8-4

CORE_INLINE int FN(tap6)(const int a, const int b, const int c, const int d, const int e,
                         const int f) {
    return a - 5 * b + 20 * c + 20 * d - 5 * e + f;
}

CORE_INLINE void FN(copy)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                          const int w, const int h) {
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        memcpy(dst, src, (size_t)w * sizeof(SAMPLE));
}

// Samples b (and s): horizontal half positions
CORE_INLINE void FN(half_h)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                            const int w, const int h, const int max) {
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        for (int x = 0; x < w; x++) {
            const SAMPLE *const s = src + x;
            dst[x] =
                (SAMPLE)iclip((FN(tap6)(s[-2], s[-1], s[0], s[1], s[2], s[3]) + 16) >> 5, 0, max);
        }
}

// Samples h (and m): vertical half positions
CORE_INLINE void FN(half_v)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                            const int w, const int h, const int max) {
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        for (int x = 0; x < w; x++) {
            const SAMPLE *const s = src + x;
            dst[x] = (SAMPLE)iclip(
                (FN(tap6)(s[-2 * ss], s[-ss], s[0], s[ss], s[2 * ss], s[3 * ss]) + 16) >> 5, 0,
                max);
        }
}

// Samples j: both. The unrounded horizontal results of all rows needed, then the vertical filter.
CORE_INLINE void FN(half_hv)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
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

// The quarter positions of 8.4.2.2.1
CORE_INLINE void FN(mean)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src, const ptrdiff_t ss,
                          const int w, const int h) {
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)((dst[x] + src[x] + 1) >> 1);
}

// Table 8-12. Each quarter position is the mean of two of: the full sample, b or s, h or m, j.
CORE_INLINE void FN(luma_block)(SAMPLE *const dst, const ptrdiff_t ds, const SAMPLE *const src,
                                const ptrdiff_t ss, const int w, const int h, const int fx,
                                const int fy, const int max) {
    const SAMPLE *const right = src + (fx == 3), *const below = src + (fy == 3) * ss;
    SAMPLE other[MAX_BLOCK * MAX_BLOCK];
    if (fx == 0 && fy == 0) {
        FN(copy)(dst, ds, src, ss, w, h);
    } else if (fy == 0) { // a, b, c
        FN(half_h)(dst, ds, src, ss, w, h, max);
        if (fx != 2)
            FN(mean)(dst, ds, right, ss, w, h);
    } else if (fx == 0) { // d, h, n
        FN(half_v)(dst, ds, src, ss, w, h, max);
        if (fy != 2)
            FN(mean)(dst, ds, below, ss, w, h);
    } else if (fx == 2 || fy == 2) { // j, f, i, k, q
        FN(half_hv)(dst, ds, src, ss, w, h, max);
        if (fx == 2 && fy == 2)
            return;
        if (fx == 2)
            FN(half_h)(other, w, below, ss, w, h, max);
        else
            FN(half_v)(other, w, right, ss, w, h, max);
        FN(mean)(dst, ds, other, w, w, h);
    } else { // e, g, p, r
        FN(half_h)(dst, ds, below, ss, w, h, max);
        FN(half_v)(other, w, right, ss, w, h, max);
        FN(mean)(dst, ds, other, w, w, h);
    }
}

static void FN(inter_luma)(void *const dst, ptrdiff_t ds, const void *const src, ptrdiff_t ss,
                           const int w, const int h, const int fx, const int fy, const int depth) {
    const int max = (1 << DEPTH(depth)) - 1;
    ds /= SAMPLE_SIZE;
    ss /= SAMPLE_SIZE;
    if (w == 16)
        FN(luma_block)(dst, ds, src, ss, 16, h, fx, fy, max);
    else if (w == 8)
        FN(luma_block)(dst, ds, src, ss, 8, h, fx, fy, max);
    else
        FN(luma_block)(dst, ds, src, ss, 4, h, fx, fy, max);
}

// ------------------------------------------------------------------------------- chroma, 8.4.2.2.2

// 8.4.2.2.2
CORE_INLINE void FN(chroma_block)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *src,
                                  const ptrdiff_t ss, const int w, const int h, const int fx,
                                  const int fy) {
    const int a = (8 - fx) * (8 - fy), b = fx * (8 - fy), c = (8 - fx) * fy, d = fx * fy;
    for (int y = 0; y < h; y++, dst += ds, src += ss)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)((a * src[x] + b * src[x + 1] + c * src[x + ss] + d * src[x + ss + 1] +
                               32) >>
                              6);
}

static void FN(inter_chroma)(uint8_t *const dst[2], const ptrdiff_t ds, const uint8_t *const src[2],
                             const ptrdiff_t ss, const int w, const int h, const int fx,
                             const int fy) {
    const ptrdiff_t d = ds / SAMPLE_SIZE, s = ss / SAMPLE_SIZE;
    for (int i = 0; i < 2; i++) {
        SAMPLE *const to = (SAMPLE *)dst[i];
        const SAMPLE *const from = (const SAMPLE *)src[i];
        if (fx == 0 &&
            fy == 0) // the only case where the samples to the right and below may not be there
            FN(copy)(to, d, from, s, w, h);
        else if (w == 8)
            FN(chroma_block)(to, d, from, s, 8, h, fx, fy);
        else if (w == 4)
            FN(chroma_block)(to, d, from, s, 4, h, fx, fy);
        else
            FN(chroma_block)(to, d, from, s, 2, h, fx, fy);
    }
}

// ---------------------------------------------------------------------------- combination, 8.4.2.3

CORE_INLINE void FN(mean_of)(SAMPLE *dst, const ptrdiff_t ds, const SAMPLE *a, const ptrdiff_t as,
                             const SAMPLE *b, const ptrdiff_t bs, const int w, const int h) {
    for (int y = 0; y < h; y++, dst += ds, a += as, b += bs)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)((a[x] + b[x] + 1) >> 1);
}

// 8.4.2.3.1
static void FN(average)(void *const dst, ptrdiff_t ds, const void *const a, ptrdiff_t as,
                        const void *const b, ptrdiff_t bs, const int w, const int h) {
    ds /= SAMPLE_SIZE;
    as /= SAMPLE_SIZE;
    bs /= SAMPLE_SIZE;
    if (w == 16)
        FN(mean_of)(dst, ds, a, as, b, bs, 16, h);
    else if (w == 8)
        FN(mean_of)(dst, ds, a, as, b, bs, 8, h);
    else
        FN(mean_of)(dst, ds, a, as, b, bs, w, h);
}

// 8.4.2.3.2, one list
static void FN(weight_one)(void *const block, const ptrdiff_t ds, const void *const from,
                           const ptrdiff_t ss, const int w, const int h, const int log2_denom,
                           const int weight, const int offset, const int depth) {
    const int round = log2_denom ? 1 << (log2_denom - 1) : 0, max = (1 << DEPTH(depth)) - 1;
    SAMPLE *dst = block;
    const SAMPLE *src = from;
    for (int y = 0; y < h; y++, dst += ds / SAMPLE_SIZE, src += ss / SAMPLE_SIZE)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)iclip(((src[x] * weight + round) >> log2_denom) + offset, 0, max);
}

// 8.4.2.3.2, both lists
static void FN(weight_two)(void *const block, const ptrdiff_t ds, const void *const first,
                           const ptrdiff_t as, const void *const second, const ptrdiff_t bs,
                           const int w, const int h, const int log2_denom, const int weight[2],
                           const int offset, const int depth) {
    const int w0 = weight[0], w1 = weight[1], round = 1 << log2_denom;
    const int max = (1 << DEPTH(depth)) - 1;
    SAMPLE *dst = block;
    const SAMPLE *a = first, *b = second;
    for (int y = 0; y < h;
         y++, dst += ds / SAMPLE_SIZE, a += as / SAMPLE_SIZE, b += bs / SAMPLE_SIZE)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)iclip(((a[x] * w0 + b[x] * w1 + round) >> (log2_denom + 1)) + offset,
                                   0, max);
}

void FN(h264_inter_kernels)(kernels *const k) {
    k->inter_luma = FN(inter_luma);
    k->inter_chroma = FN(inter_chroma);
    k->average = FN(average);
    k->weight_one = FN(weight_one);
    k->weight_two = FN(weight_two);
}
