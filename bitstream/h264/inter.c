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

static ref_plane reference_plane(const h264_decoder *const dec, const ref_entry *const ref,
                                 const int plane) {
    const ptrdiff_t stride = ref->pic->stride[plane];
    const uint8_t *const data = ref->pic->plane[plane];
    if (H264_LIKELY(ref->structure == FRAME))
        return (ref_plane){data, stride, dec->width[plane], dec->height[plane]};
    return (ref_plane){ref->structure == BOTTOM_FIELD ? data + stride : data, 2 * stride,
                       dec->width[plane], dec->height[plane] / 2};
}

// 8.4.1.4, Table 8-9: fields of different parity lie half a luma row apart, a quarter of a chroma
// row in 4:2:0
static int chroma_vertical_offset(const h264_decoder *const dec, const ref_entry *const ref) {
    if (H264_LIKELY(ref->structure == FRAME) || dec->active_sps.ChromaArrayType != 1)
        return 0;
    const int parity = dec->slice.mb.mb_y & 1 ? BOTTOM_FIELD : TOP_FIELD;
    if (ref->structure == parity)
        return 0;
    return ref->structure == BOTTOM_FIELD ? -2 : 2;
}

// 8.4.2.2.1, (8-227), (8-228)
static region luma_region(const inter_block *const b, const int list) {
    const int16_t *const mv = b->mv[list];
    const int fx = mv[0] & 3, fy = mv[1] & 3;
    const bool whole = !(fx | fy);
    return (region){b->x + (mv[0] >> 2),       b->y + (mv[1] >> 2),     b->w, b->h, fx, fy,
                    whole ? 0 : MARGIN_BEFORE, whole ? 0 : MARGIN_AFTER};
}

// 8.4.2.2.2, (8-229) to (8-232), for ChromaArrayType 1 and 2
static region chroma_region(const h264_decoder *const dec, const inter_block *const b,
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

// The first sample of a region with its margins readable around it; Note [Reference reads].
static const uint8_t *fetch(const ref_plane *const ref, const region *const r, const int size,
                            patch *const patch, ptrdiff_t *const stride) {
    const int x = r->x - r->before, y = r->y - r->before;
    const int w = r->w + r->before + r->after, h = r->h + r->before + r->after;
    if (H264_LIKELY(x >= 0 && y >= 0 && x + w <= ref->width && y + h <= ref->height)) {
        *stride = ref->stride;
        return ref->data + r->y * ref->stride + r->x * size;
    }
    const int near_x = iclip(x, -FAR_OUTSIDE, ref->width + FAR_OUTSIDE);
    const int near_y = iclip(y, -FAR_OUTSIDE, ref->height + FAR_OUTSIDE);
    if (size == 1)
        copy_clamped_8((uint8_t *)patch->samples + RUN, ref, near_x, near_y, w, h);
    else
        copy_clamped_16(patch->samples + RUN, ref, near_x, near_y, w, h);
    *stride = PATCH_STRIDE * size;
    return (const uint8_t *)patch->samples + (r->before * PATCH_STRIDE + RUN + r->before) * size;
}

// 8.4.2.3 for one plane: the first reference's prediction is in place, the second's, if there is
// one, in `second`.
static void combine(const kernels *const k, const inter_block *const b, const int plane,
                    uint8_t *const dst, const ptrdiff_t ds, const void *const second,
                    const ptrdiff_t ss, const region *const r, const int depth) {
    const int denom = b->log2_denom[plane];
    if (!second) {
        const int list = b->ref[0] ? 0 : 1;
        k->weight_one(dst, ds, r->w, r->h, denom, b->weight[list][plane], b->offset[list][plane],
                      depth);
    } else if (b->weighted) {
        const int weight[2] = {b->weight[0][plane], b->weight[1][plane]};
        const int offset = (b->offset[0][plane] + b->offset[1][plane] + 1) >> 1;
        k->weight_two(dst, ds, second, ss, r->w, r->h, denom, weight, offset, depth);
    } else {
        k->average(dst, ds, second, ss, r->w, r->h);
    }
}

typedef uint16_t block_samples[MAX_BLOCK * MAX_BLOCK];
enum {
    BLOCK_STRIDE = MAX_BLOCK * sizeof(uint16_t)
};

// One reference's prediction with the luma filters
static void luma_from(const h264_decoder *const dec, const ref_entry *const entry, const int plane,
                      const region *const r, uint8_t *const dst, const ptrdiff_t ds,
                      const int depth) {
    const ref_plane ref = reference_plane(dec, entry, plane);
    patch patch;
    ptrdiff_t ss;
    const uint8_t *const src = fetch(&ref, r, dec->k->sample_size, &patch, &ss);
    dec->k->inter_luma(dst, ds, src, ss, r->w, r->h, r->fx, r->fy, depth);
}

// Luma, and chroma of 4:4:4
static void predict_luma(const h264_decoder *const dec, const inter_block *const b, const int plane,
                         uint8_t *const dst, const ptrdiff_t ds) {
    const int depth = plane ? dec->active_sps.BitDepthC : dec->active_sps.BitDepthY;
    const bool both = b->ref[0] && b->ref[1];
    const int list = b->ref[0] ? 0 : 1;
    const region r = luma_region(b, list);
    block_samples second;
    luma_from(dec, b->ref[list], plane, &r, dst, ds, depth);
    if (both) {
        const region other = luma_region(b, 1);
        luma_from(dec, b->ref[1], plane, &other, (uint8_t *)second, BLOCK_STRIDE, depth);
    }
    if (both || b->weighted)
        combine(dec->k, b, plane, dst, ds, both ? second : NULL, BLOCK_STRIDE, &r, depth);
}

// One reference's prediction of both chroma planes
static void chroma_from(const h264_decoder *const dec, const ref_entry *const entry,
                        const region *const r, uint8_t *const dst[2], const ptrdiff_t ds) {
    patch patches[2];
    const uint8_t *src[2];
    ptrdiff_t ss = 0;
    for (int i = 0; i < 2; i++) {
        const ref_plane ref = reference_plane(dec, entry, 1 + i);
        src[i] = fetch(&ref, r, dec->k->sample_size, &patches[i], &ss);
    }
    dec->k->inter_chroma(dst, ds, src, ss, r->w, r->h, r->fx, r->fy);
}

// Both chroma planes of 4:2:0 and 4:2:2
static void predict_chroma(const h264_decoder *const dec, const inter_block *const b,
                           uint8_t *const dst[2], const ptrdiff_t ds) {
    const bool both = b->ref[0] && b->ref[1];
    const int list = b->ref[0] ? 0 : 1;
    const region r = chroma_region(dec, b, list);
    block_samples second[2];
    chroma_from(dec, b->ref[list], &r, dst, ds);
    if (both) {
        const region other = chroma_region(dec, b, 1);
        uint8_t *const out[2] = {(uint8_t *)second[0], (uint8_t *)second[1]};
        chroma_from(dec, b->ref[1], &other, out, BLOCK_STRIDE);
    }
    for (int i = 0; i < 2 && (both || b->weighted); i++)
        combine(dec->k, b, 1 + i, dst[i], ds, both ? second[i] : NULL, BLOCK_STRIDE, &r,
                dec->active_sps.BitDepthC);
}

void h264_inter_predict(const h264_decoder *const dec, const inter_block *const b,
                        uint8_t *const dst[3], const ptrdiff_t stride[3]) {
    const int type = dec->active_sps.ChromaArrayType;
    predict_luma(dec, b, 0, dst[0], stride[0]);
    if (type == 3) {
        predict_luma(dec, b, 1, dst[1], stride[1]);
        predict_luma(dec, b, 2, dst[2], stride[2]);
    } else if (type) {
        predict_chroma(dec, b, dst + 1, stride[1]);
    }
}
