/* 8.3 for one sample type; see intra.c.
 *
 * Note [Edge array]. The neighbours of an n x n block stand in one array, walked from the lowest
 * sample on the left up to the corner and on to the right: edge[n] is p[-1, -1], edge[n - 1 - y] is
 * p[-1, y], edge[n + 1 + x] is p[x, -1]. In it the directional modes are stencils of two or three
 * adjacent entries, and each row of the prediction is a window that slides along the row of
 * results. Blocks of 4x4 and 8x8 share these formulas (8.3.1.2, 8.3.2.2). */
#include "../coding/sample.h"

CORE_INLINE int FN(smooth2)(const int *const e) {
    return (e[0] + e[1] + 1) >> 1;
}
CORE_INLINE int FN(smooth3)(const int *const e) {
    return (e[-1] + 2 * e[0] + e[1] + 2) >> 2;
}

CORE_INLINE void FN(fill)(SAMPLE *dst, const ptrdiff_t stride, const int w, const int h,
                          const int value) {
    for (int y = 0; y < h; y++, dst += stride)
        for (int x = 0; x < w; x++)
            dst[x] = (SAMPLE)value;
}

// Rows that are windows of `line`, starting at `first` and moving on by `step` from row to row.
CORE_INLINE void FN(slide)(SAMPLE *dst, const ptrdiff_t stride, const SAMPLE *line, const int step,
                           const int w, const int h) {
    for (int y = 0; y < h; y++, dst += stride, line += step)
        memcpy(dst, line, (size_t)w * sizeof(SAMPLE));
}

// 8.3.1.1, 8.3.2.1: neighbours into an edge array of 3 * n + 1 entries, Note [Edge array].
CORE_INLINE void FN(load_edge)(int *const edge, const SAMPLE *const above, const SAMPLE *const left,
                               const ptrdiff_t left_stride, const unsigned avail, const int n,
                               const int depth) {
    const int grey = 1 << (depth - 1);
    for (int y = 0; y < n; y++)
        edge[n - 1 - y] = avail & AVAIL_LEFT ? left[y * left_stride] : grey;
    edge[n] = avail & AVAIL_TOPLEFT ? left[-left_stride] : grey;
    for (int x = 0; x < n; x++)
        edge[n + 1 + x] = avail & AVAIL_TOP ? above[x] : grey;
    for (int x = n; x < 2 * n; x++)
        edge[n + 1 + x] = (avail & AVAIL_TOP) && (avail & AVAIL_TOPRIGHT) ? above[x] : edge[2 * n];
}

CORE_INLINE int FN(edge_dc)(const int *const edge, const unsigned avail, const int n,
                            const int depth) {
    const int shift = n == 4 ? 2 : 3;
    int left = 0, top = 0;
    for (int i = 0; i < n; i++) {
        left += edge[i];
        top += edge[n + 1 + i];
    }
    switch (avail & (AVAIL_LEFT | AVAIL_TOP)) {
    case AVAIL_LEFT | AVAIL_TOP: return (left + top + n) >> (shift + 1);
    case AVAIL_LEFT: return (left + n / 2) >> shift;
    case AVAIL_TOP: return (top + n / 2) >> shift;
    default: return 1 << (depth - 1);
    }
}

// 8.3.1.2.4, 8.3.2.2.5
CORE_INLINE void FN(diagonal_down_left)(SAMPLE *const dst, const ptrdiff_t stride,
                                        const int *const edge, const int n) {
    SAMPLE line[16];
    const int *const top = edge + n + 1;
    for (int i = 0; i < 2 * n - 2; i++)
        line[i] = (SAMPLE)FN(smooth3)(top + i + 1);
    line[2 * n - 2] = (SAMPLE)((top[2 * n - 2] + 3 * top[2 * n - 1] + 2) >> 2);
    FN(slide)(dst, stride, line, 1, n, n);
}

// 8.3.1.2.5, 8.3.2.2.6
CORE_INLINE void FN(diagonal_down_right)(SAMPLE *const dst, const ptrdiff_t stride,
                                         const int *const edge, const int n) {
    SAMPLE line[16];
    for (int i = 0; i < 2 * n - 1; i++)
        line[i] = (SAMPLE)FN(smooth3)(edge + i + 1);
    FN(slide)(dst, stride, line + n - 1, -1, n, n);
}

// 8.3.1.2.6, 8.3.2.2.7: even and odd rows slide each along their own line; what enters from the
// left skips every second sample.
CORE_INLINE void FN(vertical_right)(SAMPLE *const dst, const ptrdiff_t stride,
                                    const int *const edge, const int n) {
    SAMPLE even[12], odd[12];
    const int lead = n / 2 - 1;
    for (int i = 0; i < lead; i++) {
        even[i] = (SAMPLE)FN(smooth3)(edge + n + 1 - 2 * (lead - i));
        odd[i] = (SAMPLE)FN(smooth3)(edge + n - 2 * (lead - i));
    }
    for (int x = 0; x < n; x++) {
        even[lead + x] = (SAMPLE)FN(smooth2)(edge + n + x);
        odd[lead + x] = (SAMPLE)FN(smooth3)(edge + n + x);
    }
    FN(slide)(dst, 2 * stride, even + lead, -1, n, n / 2);
    FN(slide)(dst + stride, 2 * stride, odd + lead, -1, n, n / 2);
}

// 8.3.1.2.7, 8.3.2.2.8: one line in the order of falling zHD
CORE_INLINE void FN(horizontal_down)(SAMPLE *const dst, const ptrdiff_t stride,
                                     const int *const edge, const int n) {
    SAMPLE line[24];
    for (int i = 0; i < n; i++) {
        line[2 * i] = (SAMPLE)FN(smooth2)(edge + i);
        line[2 * i + 1] = (SAMPLE)FN(smooth3)(edge + i + 1);
    }
    for (int i = 0; i < n - 2; i++)
        line[2 * n + i] = (SAMPLE)FN(smooth3)(edge + n + 1 + i);
    FN(slide)(dst, stride, line + 2 * n - 2, -2, n, n);
}

// 8.3.1.2.8, 8.3.2.2.9
CORE_INLINE void FN(vertical_left)(SAMPLE *const dst, const ptrdiff_t stride, const int *const edge,
                                   const int n) {
    SAMPLE even[12], odd[12];
    const int *const top = edge + n + 1;
    for (int x = 0; x < n + n / 2 - 1; x++) {
        even[x] = (SAMPLE)FN(smooth2)(top + x);
        odd[x] = (SAMPLE)FN(smooth3)(top + x + 1);
    }
    FN(slide)(dst, 2 * stride, even, 1, n, n / 2);
    FN(slide)(dst + stride, 2 * stride, odd, 1, n, n / 2);
}

// 8.3.1.2.9, 8.3.2.2.10: one line in the order of rising zHU; below the last sample everything
// equals it
CORE_INLINE void FN(horizontal_up)(SAMPLE *const dst, const ptrdiff_t stride, const int *const edge,
                                   const int n) {
    SAMPLE line[24];
    const int last = edge[0];
    for (int y = 0; y < n - 1; y++) {
        line[2 * y] = (SAMPLE)FN(smooth2)(edge + n - 2 - y);
        line[2 * y + 1] =
            (SAMPLE)(y < n - 2 ? FN(smooth3)(edge + n - 2 - y) : (edge[1] + 3 * last + 2) >> 2);
    }
    for (int i = 2 * n - 2; i < 3 * n - 2; i++)
        line[i] = (SAMPLE)last;
    FN(slide)(dst, stride, line, 2, n, n);
}

CORE_INLINE void FN(predict_block)(SAMPLE *const dst, const ptrdiff_t stride, const int *const edge,
                                   const int mode, const unsigned avail, const int n,
                                   const int depth) {
    switch (mode) {
    case INTRA_VERTICAL:
        for (int y = 0; y < n; y++)
            for (int x = 0; x < n; x++)
                dst[y * stride + x] = (SAMPLE)edge[n + 1 + x];
        break;
    case INTRA_HORIZONTAL:
        for (int y = 0; y < n; y++)
            FN(fill)(dst + y * stride, stride, n, 1, edge[n - 1 - y]);
        break;
    case INTRA_DIAGONAL_DOWN_LEFT: FN(diagonal_down_left)(dst, stride, edge, n); break;
    case INTRA_DIAGONAL_DOWN_RIGHT: FN(diagonal_down_right)(dst, stride, edge, n); break;
    case INTRA_VERTICAL_RIGHT: FN(vertical_right)(dst, stride, edge, n); break;
    case INTRA_HORIZONTAL_DOWN: FN(horizontal_down)(dst, stride, edge, n); break;
    case INTRA_VERTICAL_LEFT: FN(vertical_left)(dst, stride, edge, n); break;
    case INTRA_HORIZONTAL_UP: FN(horizontal_up)(dst, stride, edge, n); break;
    default: FN(fill)(dst, stride, n, n, FN(edge_dc)(edge, avail, n, depth));
    }
}

// 8.3.1.2
static void FN(intra4x4)(void *const dst, ptrdiff_t stride, const void *const left,
                         ptrdiff_t left_stride, const int mode, const unsigned avail,
                         const int depth) {
    int edge[13];
    stride /= SAMPLE_SIZE;
    left_stride /= SAMPLE_SIZE;
    FN(load_edge)(edge, (const SAMPLE *)dst - stride, left, left_stride, avail, 4, DEPTH(depth));
    FN(predict_block)(dst, stride, edge, mode, avail, 4, DEPTH(depth));
}

// 8.3.2.2.1: reference sample filtering, Note [Edge array]
CORE_INLINE void FN(filter_edge)(int out[25], const int in[25], const unsigned avail) {
    const bool left = avail & AVAIL_LEFT, top = avail & AVAIL_TOP, corner = avail & AVAIL_TOPLEFT;
    for (int i = 1; i < 24; i++)
        out[i] = FN(smooth3)(in + i);
    out[0] = (in[1] + 3 * in[0] + 2) >> 2;
    out[24] = (in[23] + 3 * in[24] + 2) >> 2;
    if (!corner) {
        out[7] = (3 * in[7] + in[6] + 2) >> 2;
        out[9] = (3 * in[9] + in[10] + 2) >> 2;
    } else if (!left || !top) {
        out[8] = top ? (3 * in[8] + in[9] + 2) >> 2 : left ? (3 * in[8] + in[7] + 2) >> 2 : in[8];
    }
}

// 8.3.2.2
static void FN(intra8x8)(void *const dst, ptrdiff_t stride, const void *const left,
                         ptrdiff_t left_stride, const int mode, const unsigned avail,
                         const int depth) {
    int raw[25], edge[25];
    stride /= SAMPLE_SIZE;
    left_stride /= SAMPLE_SIZE;
    FN(load_edge)(raw, (const SAMPLE *)dst - stride, left, left_stride, avail, 8, DEPTH(depth));
    FN(filter_edge)(edge, raw, avail);
    FN(predict_block)(dst, stride, edge, mode, avail, 8, DEPTH(depth));
}

CORE_INLINE void FN(copy_above)(SAMPLE *const dst, const ptrdiff_t stride, const int w, const int h,
                                const unsigned avail, const int depth) {
    if (!(avail & AVAIL_TOP)) {
        FN(fill)(dst, stride, w, h, 1 << (depth - 1));
        return;
    }
    for (int y = 0; y < h; y++)
        memcpy(dst + y * stride, dst - stride, (size_t)w * sizeof(SAMPLE));
}

CORE_INLINE void FN(copy_left)(SAMPLE *const dst, const ptrdiff_t stride, const SAMPLE *const left,
                               const ptrdiff_t left_stride, const int w, const int h,
                               const unsigned avail, const int depth) {
    for (int y = 0; y < h; y++)
        FN(fill)(dst + y * stride, stride, w, 1,
                 avail & AVAIL_LEFT ? left[y * left_stride] : 1 << (depth - 1));
}

// 8.3.3.4 and 8.3.4.4: w, h 8 or 16. A side of 8 has the slope factor 34, one of 16 the factor 5
// (34 - 29).
CORE_INLINE void FN(plane)(SAMPLE *const dst, const ptrdiff_t stride, const SAMPLE *const left,
                           const ptrdiff_t left_stride, const int w, const int h,
                           const unsigned avail, const int depth) {
    const unsigned need = AVAIL_LEFT | AVAIL_TOP | AVAIL_TOPLEFT;
    if ((avail & need) != need) {
        FN(fill)(dst, stride, w, h, 1 << (depth - 1));
        return;
    }
    const SAMPLE *const above = dst - stride;
    const int max = (1 << depth) - 1, cx = w / 2 - 1, cy = h / 2 - 1;
    int H = (w / 2) * (above[w - 1] - left[-left_stride]), V = 0;
    for (int i = 0; i < cx; i++)
        H += (i + 1) * (above[cx + 1 + i] - above[cx - 1 - i]);
    for (int i = 0; i <= cy; i++)
        V += (i + 1) * (left[(cy + 1 + i) * left_stride] - left[(cy - 1 - i) * left_stride]);
    const int b = ((w == 16 ? 5 : 34) * H + 32) >> 6, c = ((h == 16 ? 5 : 34) * V + 32) >> 6;
    const int a = 16 * (left[(h - 1) * left_stride] + above[w - 1]);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            dst[y * stride + x] =
                (SAMPLE)iclip((a + b * (x - cx) + c * (y - cy) + 16) >> 5, 0, max);
}

// 8.3.3.3
CORE_INLINE int FN(dc16)(const SAMPLE *const above, const SAMPLE *const left,
                         const ptrdiff_t left_stride, const unsigned avail, const int depth) {
    int sum = 0;
    for (int i = 0; i < 16 && avail & AVAIL_TOP; i++)
        sum += above[i];
    for (int i = 0; i < 16 && avail & AVAIL_LEFT; i++)
        sum += left[i * left_stride];
    switch (avail & (AVAIL_LEFT | AVAIL_TOP)) {
    case AVAIL_LEFT | AVAIL_TOP: return (sum + 16) >> 5;
    case 0: return 1 << (depth - 1);
    default: return (sum + 8) >> 4;
    }
}

// 8.3.3
static void FN(intra16x16)(void *const dst, ptrdiff_t stride, const void *const left,
                           ptrdiff_t left_stride, const int mode, const unsigned avail,
                           const int depth) {
    stride /= SAMPLE_SIZE;
    left_stride /= SAMPLE_SIZE;
    switch (mode) {
    case INTRA16_VERTICAL: FN(copy_above)(dst, stride, 16, 16, avail, DEPTH(depth)); break;
    case INTRA16_HORIZONTAL:
        FN(copy_left)(dst, stride, left, left_stride, 16, 16, avail, DEPTH(depth));
        break;
    case INTRA16_PLANE:
        FN(plane)(dst, stride, left, left_stride, 16, 16, avail, DEPTH(depth));
        break;
    default:
        FN(fill)(dst, stride, 16, 16,
                 FN(dc16)((const SAMPLE *)dst - stride, left, left_stride, avail, DEPTH(depth)));
    }
}

// 8.3.4.1: DC of the 4x4 chroma block at x, y. Blocks on the upper edge but not in the
// corner prefer what is above, blocks on the left edge what is to the left, all others take both.
CORE_INLINE int FN(chroma_dc)(const SAMPLE *const above, const SAMPLE *const left,
                              const ptrdiff_t left_stride, const int h, const int x, const int y,
                              const unsigned avail, const int depth) {
    bool use_top = avail & AVAIL_TOP;
    bool use_left = avail & (AVAIL_LEFT | (2 * y < h ? AVAIL_LEFT_UPPER : AVAIL_LEFT_LOWER));
    if (use_top && use_left && (x == 0) != (y == 0)) {
        use_top = y == 0;
        use_left = x == 0;
    }
    if (!use_top && !use_left)
        return 1 << (depth - 1);
    int sum = 0;
    for (int i = 0; i < 4 && use_top; i++)
        sum += above[x + i];
    for (int i = 0; i < 4 && use_left; i++)
        sum += left[(y + i) * left_stride];
    return use_top && use_left ? (sum + 4) >> 3 : (sum + 2) >> 2;
}

// 8.3.4 for ChromaArrayType 1 and 2
static void FN(intra_chroma)(void *const dst, ptrdiff_t stride, const void *const left,
                             ptrdiff_t left_stride, const int h, const int mode,
                             const unsigned avail, const int depth) {
    SAMPLE *const d = dst;
    stride /= SAMPLE_SIZE;
    left_stride /= SAMPLE_SIZE;
    switch (mode) {
    case CHROMA_HORIZONTAL:
        FN(copy_left)(d, stride, left, left_stride, 8, h, avail, DEPTH(depth));
        break;
    case CHROMA_VERTICAL: FN(copy_above)(d, stride, 8, h, avail, DEPTH(depth)); break;
    case CHROMA_PLANE: FN(plane)(d, stride, left, left_stride, 8, h, avail, DEPTH(depth)); break;
    default: {
        for (int y = 0; y < h; y += 4)
            for (int x = 0; x < 8; x += 4)
                FN(fill)(
                    d + y * stride + x, stride, 4, 4,
                    FN(chroma_dc)(d - stride, left, left_stride, h, x, y, avail, DEPTH(depth)));
    }
    }
}

void FN(h264_intra_kernels)(kernels *const k) {
    k->intra4x4 = FN(intra4x4);
    k->intra8x8 = FN(intra8x8);
    k->intra16x16 = FN(intra16x16);
    k->intra_chroma = FN(intra_chroma);
}
