/* Inter prediction samples (8.4.2.2, 8.4.2.3): fractional sample interpolation from one or two
 * reference frames or fields, then default or weighted combination. Motion vectors and weights come
 * ready from mvpred.c.
 *
 * Note [Reference reads]. Reference pictures have no border. A block that with its filter margin
 * lies inside the reference is read in place; any other is first copied, with coordinates clamped
 * as in (8-239), (8-240), into a small patch. Motion vectors may point anywhere: start coordinates
 * are clamped so far outside that the patch no longer depends on them, which keeps all arithmetic
 * small. Rows are read 32 samples at a time, or some samples past the margin where a vector
 * register is wider than what is needed: never more than the PLANE_GUARD bytes around every plane.
 */
#include <string.h>

#include "internal.h"

enum {
    MARGIN_BEFORE = 2, // samples the 6-tap filter reads before and after a block
    MARGIN_AFTER = 3,
    MAX_BLOCK = 16,
    FAR_OUTSIDE = 64, // blocks this far outside a plane see one sample value along that axis
    PATCH_ROWS = MAX_BLOCK + MARGIN_BEFORE + MARGIN_AFTER,
    RUN = 32,               // samples moved or filled at a time
    PATCH_STRIDE = 2 * RUN, // a row of a patch: room for the fill before it, and the samples
};

// A plane of a reference frame, or every second row of it for a field.
typedef struct ref_plane {
    const uint8_t *data;
    ptrdiff_t stride; // bytes
    int width, height;
} ref_plane;

// What to read: integer position and size, fraction in quarters (luma) or eighths (chroma), and how
// many samples before and after are needed on each side
typedef struct region {
    int x, y, w, h, fx, fy, before, after;
} region;

typedef struct patch {
    uint16_t samples[PATCH_ROWS * PATCH_STRIDE + RUN];
} patch;

#define SAMPLE_SIZE 1
#include "inter_template.h"
#undef SAMPLE_SIZE

#define SAMPLE_SIZE 2
#include "inter_template.h"
#undef SAMPLE_SIZE

CORE_INLINE ref_plane reference_plane(const h264_decoder *const dec, const ref_entry *const ref,
                                      const int plane) {
    const ptrdiff_t stride = ref->pic->stride[plane];
    const uint8_t *const data = ref->pic->plane[plane];
    if (CORE_LIKELY(ref->structure == FRAME))
        return (ref_plane){data, stride, dec->width[plane], dec->height[plane]};
    return (ref_plane){ref->structure == BOTTOM_FIELD ? data + stride : data, 2 * stride,
                       dec->width[plane], dec->height[plane] / 2};
}

// 8.4.1.4, Table 8-9: fields of different parity lie half a luma row apart, a quarter of a chroma
// row in 4:2:0
CORE_INLINE int chroma_vertical_offset(const h264_decoder *const dec, const ref_entry *const ref) {
    if (CORE_LIKELY(ref->structure == FRAME) || dec->active_sps.ChromaArrayType != 1)
        return 0;
    const int parity = dec->slice.mb.mb_y & 1 ? BOTTOM_FIELD : TOP_FIELD;
    if (ref->structure == parity)
        return 0;
    return ref->structure == BOTTOM_FIELD ? -2 : 2;
}

// 8.4.2.2.1, (8-227), (8-228)
CORE_INLINE region luma_region(const inter_block *const b, const int list) {
    const int16_t *const mv = b->mv[list];
    const int fx = mv[0] & 3, fy = mv[1] & 3;
    const bool whole = !(fx | fy);
    return (region){b->x + (mv[0] >> 2),       b->y + (mv[1] >> 2),     b->w, b->h, fx, fy,
                    whole ? 0 : MARGIN_BEFORE, whole ? 0 : MARGIN_AFTER};
}

// 8.4.2.2.2, (8-229) to (8-232), for ChromaArrayType 1 and 2
CORE_INLINE region chroma_region(const h264_decoder *const dec, const inter_block *const b,
                                 const int list) {
    const int mvx = b->mv[list][0];
    const int mvy = b->mv[list][1] + chroma_vertical_offset(dec, b->ref[list]);
    region r = {.x = b->x / 2 + (mvx >> 3), .w = b->w / 2, .fx = mvx & 7};
    if (dec->active_sps.ChromaArrayType == 1) {
        r.y = b->y / 2 + (mvy >> 3);
        r.h = b->h / 2;
        r.fy = mvy & 7;
    } else {
        r.y = b->y + (mvy >> 2);
        r.h = b->h;
        r.fy = (mvy & 3) << 1;
    }
    r.after = r.fx || r.fy;
    return r;
}

// Samples of a plane, and the bytes between their rows
typedef struct source {
    const uint8_t *at;
    ptrdiff_t stride;
} source;

// A region that lies at least in part outside its reference, into the patch
static source fetch_outside(const ref_plane ref, const region r, const int size,
                            patch *const patch) {
    const int x = iclip(r.x - r.before, -FAR_OUTSIDE, ref.width + FAR_OUTSIDE);
    const int y = iclip(r.y - r.before, -FAR_OUTSIDE, ref.height + FAR_OUTSIDE);
    const int w = r.w + r.before + r.after, h = r.h + r.before + r.after;
    if (size == 1)
        copy_clamped_8((uint8_t *)patch->samples + RUN, &ref, x, y, w, h);
    else
        copy_clamped_16(patch->samples + RUN, &ref, x, y, w, h);
    return (source){(const uint8_t *)patch->samples +
                        (r.before * PATCH_STRIDE + RUN + r.before) * size,
                    PATCH_STRIDE * size};
}

CORE_INLINE bool is_inside(const ref_plane ref, const region r) {
    return r.x >= r.before && r.y >= r.before && r.x + r.w + r.after <= ref.width &&
           r.y + r.h + r.after <= ref.height;
}

CORE_INLINE source fetch_inside(const ref_plane ref, const region r, const int size) {
    return (source){ref.data + r.y * ref.stride + r.x * size, ref.stride};
}

// The first sample of a region with its margins readable around it; Note [Reference reads].
CORE_INLINE source fetch(const ref_plane ref, const region r, const int size, patch *const patch) {
    return CORE_LIKELY(is_inside(ref, r)) ? fetch_inside(ref, r, size)
                                          : fetch_outside(ref, r, size, patch);
}

// 8.4.2.3 for one plane: p[list] are the predictions of the references that b has. That of one
// reference without weights is in place already.
CORE_INLINE void combine(const kernels *const k, const inter_block *const b, const int plane,
                         uint8_t *const dst, const ptrdiff_t ds, const source p[2], const int w,
                         const int h, const int depth) {
    if (!b->weighted) {
        k->average(dst, ds, p[0].at, p[0].stride, p[1].at, p[1].stride, w, h);
        return;
    }
    const int denom = b->log2_denom[plane];
    if (b->ref[0] && b->ref[1]) {
        const int weight[2] = {b->weight[0][plane], b->weight[1][plane]};
        const int offset = (b->offset[0][plane] + b->offset[1][plane] + 1) >> 1;
        k->weight_two(dst, ds, p[0].at, p[0].stride, p[1].at, p[1].stride, w, h, denom, weight,
                      offset, depth);
    } else {
        const int list = b->ref[0] ? 0 : 1;
        k->weight_one(dst, ds, p[list].at, p[list].stride, w, h, denom, b->weight[list][plane],
                      b->offset[list][plane], depth);
    }
}

typedef uint16_t block_samples[MAX_BLOCK * MAX_BLOCK];
enum {
    BLOCK_STRIDE = MAX_BLOCK * sizeof(uint16_t)
};

// Luma, and chroma of 4:4:4. What is to be combined and lies at full samples is taken from where it
// is; the rest goes through the filters, list 0 into the block itself.
static void predict_luma(const h264_decoder *const dec, const inter_block *const b, const int plane,
                         uint8_t *const dst, const ptrdiff_t ds) {
    const int depth = plane ? dec->active_sps.BitDepthC : dec->active_sps.BitDepthY;
    const int size = dec->k->sample_size;
    const bool combined = b->weighted || (b->ref[0] && b->ref[1]);
    patch patches[2];
    block_samples second;
    source p[2];
    for (int list = 0; list < 2; list++) {
        if (!b->ref[list])
            continue;
        const region r = luma_region(b, list);
        const ref_plane ref = reference_plane(dec, b->ref[list], plane);
        p[list] = fetch(ref, r, size, &patches[list]);
        if (combined && !(r.fx | r.fy))
            continue;
        const bool apart = list == 1 && b->ref[0];
        uint8_t *const to = apart ? (uint8_t *)second : dst;
        const ptrdiff_t step = apart ? (ptrdiff_t)BLOCK_STRIDE : ds;
        dec->k->inter_luma(to, step, p[list].at, p[list].stride, r.w, r.h, r.fx, r.fy, depth);
        p[list] = (source){to, step};
    }
    if (combined)
        combine(dec->k, b, plane, dst, ds, p, b->w, b->h, depth);
}

// Both chroma planes of 4:2:0 and 4:2:2
static void predict_chroma(const h264_decoder *const dec, const inter_block *const b,
                           uint8_t *const dst[2], const ptrdiff_t ds) {
    const bool combined = b->weighted || (b->ref[0] && b->ref[1]);
    const int w = b->w / 2, h = dec->active_sps.ChromaArrayType == 1 ? b->h / 2 : b->h;
    patch patches[2][2];
    block_samples second[2];
    source p[2 /* plane */][2];
    for (int list = 0; list < 2; list++) {
        if (!b->ref[list])
            continue;
        const region r = chroma_region(dec, b, list);
        const ref_plane ref = reference_plane(dec, b->ref[list], 1);
        const uint8_t *const *const plane = (const uint8_t *const *)b->ref[list]->pic->plane;
        if (CORE_LIKELY(is_inside(ref, r))) { // Cr is as far away as Cb is
            p[0][list] = fetch_inside(ref, r, dec->k->sample_size);
            p[1][list] = (source){p[0][list].at + (plane[2] - plane[1]), p[0][list].stride};
        } else {
            const ref_plane other = reference_plane(dec, b->ref[list], 2);
            p[0][list] = fetch_outside(ref, r, dec->k->sample_size, &patches[0][list]);
            p[1][list] = fetch_outside(other, r, dec->k->sample_size, &patches[1][list]);
        }
        if (combined && !(r.fx | r.fy))
            continue;
        const bool apart = list == 1 && b->ref[0];
        uint8_t *const to[2] = {apart ? (uint8_t *)second[0] : dst[0],
                                apart ? (uint8_t *)second[1] : dst[1]};
        const ptrdiff_t step = apart ? (ptrdiff_t)BLOCK_STRIDE : ds;
        const uint8_t *const from[2] = {p[0][list].at, p[1][list].at};
        dec->k->inter_chroma(to, step, from, p[0][list].stride, w, h, r.fx, r.fy);
        for (int i = 0; i < 2; i++)
            p[i][list] = (source){to[i], step};
    }
    for (int i = 0; i < 2 && combined; i++)
        combine(dec->k, b, 1 + i, dst[i], ds, p[i], w, h, dec->active_sps.BitDepthC);
}

// Note [Pictures side by side]: the rows that filters read, and one that wide registers run into
static void await_references(const h264_decoder *const dec, const inter_block *const b) {
    for (int list = 0; list < 2 && CORE_UNLIKELY(dec->progress != NULL); list++) {
        const int end = b->y + (b->mv[list][1] >> 2) + b->h + MARGIN_AFTER + 1;
        if (b->ref[list])
            h264_await(dec, b->ref[list]->pic, iclip(end, 1, dec->height[0]));
    }
}

void h264_inter_predict(const h264_decoder *const dec, const inter_block *const b,
                        uint8_t *const dst[3], const ptrdiff_t stride[3]) {
    const int type = dec->active_sps.ChromaArrayType;
    await_references(dec, b);
    predict_luma(dec, b, 0, dst[0], stride[0]);
    if (type == 3) {
        predict_luma(dec, b, 1, dst[1], stride[1]);
        predict_luma(dec, b, 2, dst[2], stride[2]);
    } else if (type) {
        predict_chroma(dec, b, dst + 1, stride[1]);
    }
}

// A block whose rows have a multiple of 8 bytes
CORE_INLINE void copy_rows(uint8_t *to, const ptrdiff_t ds, const source from, const int bytes,
                           const int h) {
    const uint8_t *at = from.at;
    int x = 0;
    for (; x + 16 <= bytes; x += 16, to += 16, at += 16)
        for (int y = 0; y < h; y++)
            memcpy(to + y * ds, at + y * from.stride, 16);
    for (int y = 0; y < h && x < bytes; y++)
        memcpy(to + y * ds, at + y * from.stride, 8);
}

void h264_inter_predict_run(const h264_decoder *const dec, const inter_block *const b,
                            uint8_t *const dst[3], const ptrdiff_t stride[3]) {
    const int size = dec->k->sample_size;
    await_references(dec, b);
    for (int plane = 0; plane < (dec->mb_width_c ? 3 : 1); plane++) {
        const int half_x = plane && dec->mb_width_c == 8, half_y = plane && dec->mb_height_c == 8;
        const int w = b->w >> half_x, h = b->h >> half_y;
        source p[2] = {{NULL, 0}, {NULL, 0}};
        for (int list = 0; list < 2; list++) {
            if (!b->ref[list])
                continue;
            const picture *const pic = b->ref[list]->pic;
            const int x = (b->x + (b->mv[list][0] >> 2)) >> half_x;
            const int y = (b->y + (b->mv[list][1] >> 2)) >> half_y;
            p[list] =
                (source){pic->plane[plane] + y * pic->stride[plane] + x * size, pic->stride[plane]};
        }
        if (b->weighted || (b->ref[0] && b->ref[1]))
            combine(dec->k, b, plane, dst[plane], stride[plane], p, w, h,
                    plane ? dec->active_sps.BitDepthC : dec->active_sps.BitDepthY);
        else
            copy_rows(dst[plane], stride[plane], p[b->ref[0] ? 0 : 1], w * size, h);
    }
}

/* Note [Asking ahead]. Rows of a picture lie too far apart for a processor to guess that the next
 * one is wanted: what is not in a cache then costs its whole latency, row by row. So a macroblock
 * asks for what the ones behind it will need. A cache line of 64 samples serves four macroblocks
 * (of chroma, eight): each asks for a quarter (an eighth) of the rows of the next lines. Small
 * pictures stay in the caches, and are better off without. */
void h264_prefetch_references(const h264_decoder *const dec, const inter_block *const b) {
    const int mb_x = dec->slice.mb.mb_x, size = dec->k->sample_size;
    for (int list = 0; list < 2; list++) {
        if (!b->ref[list] || b->ref[list]->structure != FRAME)
            continue;
        const picture *const pic = b->ref[list]->pic;
        const int x = 16 * mb_x + (b->mv[list][0] >> 2), y = b->y + (b->mv[list][1] >> 2);
        const ptrdiff_t stride = pic->stride[0], stride_c = pic->stride[1];
        const uint8_t *const row =
            pic->plane[0] + (y + 4 * (mb_x & 3)) * stride + x * size + H264_CACHE_LINE;
        CORE_PREFETCH(row);
        CORE_PREFETCH(row + stride);
        CORE_PREFETCH(row + 2 * stride);
        CORE_PREFETCH(row + 3 * stride);
        if (dec->active_sps.ChromaArrayType != 1)
            continue;
        const ptrdiff_t at = ((y >> 1) + (mb_x & 7)) * stride_c + (x >> 1) * size + H264_CACHE_LINE;
        CORE_PREFETCH(pic->plane[1] + at);
        CORE_PREFETCH(pic->plane[2] + at);
    }
}

// Does the first block move much as the macroblock to the left does, which asked for what lies
// beside its own reference?
CORE_INLINE bool was_asked_for(const mb_ctx *const m, const int list) {
    if (m->addr_A < 0 || m->motion->ref_idx[list][0] != m->motion[-1].ref_idx[list][1])
        return false;
    const int16_t *const own = m->motion->mv[list][0], *const left = m->motion[-1].mv[list][3];
    return (unsigned)(own[0] - left[0] + 16) <= 32 && (unsigned)(own[1] - left[1] + 16) <= 32;
}

// The references of the first block; those of the others, where they differ, lie near
void h264_prefetch_prediction(const h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    const int size = dec->k->sample_size, mb_row = m->mb->field ? m->mb_y >> 1 : m->mb_y;
    for (int list = 0; list < 2; list++) {
        const int ref_idx = m->motion->ref_idx[list][0];
        if (ref_idx < 0 || was_asked_for(m, list))
            continue;
        const ref_entry *const ref = &m->ref_list[list][ref_idx];
        const ref_plane luma = reference_plane(dec, ref, 0);
        const int16_t *const mv = m->motion->mv[list][0];
        const int x = 16 * m->mb_x + (mv[0] >> 2) + 8, y = 16 * mb_row + (mv[1] >> 2);
        const uint8_t *const row = luma.data + y * luma.stride + x * size;
        for (int i = -1; i < 18; i++)
            CORE_PREFETCH(row + i * luma.stride);
        if (dec->active_sps.ChromaArrayType != 1)
            continue;
        const ref_plane Cb = reference_plane(dec, ref, 1);
        const uint8_t *const c = Cb.data + (y >> 1) * Cb.stride + (x >> 1) * size;
        for (int i = 0; i < 9; i++) {
            CORE_PREFETCH(c + i * Cb.stride);
            CORE_PREFETCH(c + i * Cb.stride + (ref->pic->plane[2] - ref->pic->plane[1]));
        }
    }
}
