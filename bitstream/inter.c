/* Inter prediction samples (8.4.2.2, 8.4.2.3): fractional sample interpolation from one or two reference frames or
 * fields, then default or weighted combination. Motion vectors and weights come ready from mvpred.c.
 *
 * Note [Reference reads]. Reference pictures have no border. A block that with its filter margin lies inside the
 * reference is read in place; any other is first copied, with coordinates clamped as in (8-239) and (8-241) to
 * (8-244), into a small patch. Motion vectors may point anywhere: start coordinates are clamped so far outside that the
 * patch no longer depends on them, which keeps all arithmetic small. */
#include <string.h>

#include "internal.h"

enum {
    MARGIN_BEFORE = 2,  // samples the 6-tap filter reads before and after a block
    MARGIN_AFTER = 3,
    MAX_BLOCK = 16,
    PATCH_STRIDE = 32,  // samples
    PATCH_ROWS = MAX_BLOCK + MARGIN_BEFORE + MARGIN_AFTER,
    FAR_OUTSIDE = 64,   // blocks this far outside a plane see one sample value along that axis
};

// A plane of a reference frame, or every second row of it for a field.
typedef struct ref_plane {
    const uint8_t *data;
    ptrdiff_t stride; // bytes
    int width, height;
} ref_plane;

// Which samples a block needs: integer position of its first sample, fraction in quarters (luma) or eighths (chroma).
typedef struct position {
    int x, y, fx, fy;
} position;

static ref_plane reference_plane(const h264_decoder *const dec, const ref_entry *const ref,
                                 const int plane) {
    const ptrdiff_t stride = ref->pic->stride[plane];
    const uint8_t *const data = ref->pic->plane[plane];
    if (ref->structure == FRAME)
        return (ref_plane){data, stride, dec->width[plane], dec->height[plane]};
    return (ref_plane){ref->structure == BOTTOM_FIELD ? data + stride : data, 2 * stride,
                       dec->width[plane], dec->height[plane] / 2};
}

// 8.4.1.4, Table 8-9: fields of different parity lie half a luma row apart, a quarter of a chroma row in 4:2:0
static int chroma_vertical_offset(const h264_decoder *const dec, const ref_entry *const ref) {
    if (ref->structure == FRAME || dec->active_sps.ChromaArrayType != 1)
        return 0;
    const int parity = dec->slice.mb.mb_y & 1 ? BOTTOM_FIELD : TOP_FIELD;
    if (ref->structure == parity)
        return 0;
    return ref->structure == BOTTOM_FIELD ? -2 : 2;
}

// 8.4.2.2.1, (8-227), (8-228)
static position luma_position(const inter_block *const b, const int list) {
    const int16_t *const mv = b->mv[list];
    return (position){b->x + (mv[0] >> 2), b->y + (mv[1] >> 2), mv[0] & 3, mv[1] & 3};
}

// 8.4.2.2.2, (8-229) to (8-232), for ChromaArrayType 1 and 2
static position chroma_position(const h264_decoder *const dec, const inter_block *const b,
                                const int list) {
    const int mvx = b->mv[list][0];
    const int mvy = b->mv[list][1] + chroma_vertical_offset(dec, b->ref[list]);
    if (dec->active_sps.ChromaArrayType == 1)
        return (position){b->x / 2 + (mvx >> 3), b->y / 2 + (mvy >> 3), mvx & 7, mvy & 7};
    return (position){b->x / 2 + (mvx >> 3), b->y + (mvy >> 2), mvx & 7, (mvy & 3) << 1};
}

#define SAMPLE_SIZE 1
#include "inter_template.h"
#undef SAMPLE_SIZE

#define SAMPLE_SIZE 2
#include "inter_template.h"
#undef SAMPLE_SIZE

void h264_inter_predict(const h264_decoder *const dec, const inter_block *const b,
                        uint8_t *const dst[3], const ptrdiff_t stride[3]) {
    const sps *const sps = &dec->active_sps;
    const bool is_16 = dec->k->sample_size == 2;
    const int n_planes = sps->ChromaArrayType ? 3 : 1;
    for (int i = 0; i < n_planes; i++) {
        const int plane = sps->separate_colour_plane_flag ? dec->slice.hdr.colour_plane_id : i;
        const int depth = plane ? sps->BitDepthC : sps->BitDepthY;
        if (is_16)
            predict_plane_16(dec, b, i, plane, dst[i], stride[i], depth);
        else
            predict_plane_8(dec, b, i, plane, dst[i], stride[i], depth);
    }
}
