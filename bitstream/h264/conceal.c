/* What never arrived: macroblocks that no slice of the picture covered. No clause says how. */
#include <string.h>

#include "internal.h"

picture *h264_latest_picture(const h264_decoder *const dec) {
    picture *latest = NULL;
    for (int i = 0; i < dec->dpb.n_frames; i++) {
        picture *const p = dec->dpb.frames[i];
        if (p != dec->cur && !p->non_existing && p->plane[0] && (!latest || p->uid > latest->uid))
            latest = p;
    }
    return latest;
}

// Where samples come from: the same place in a picture (NULL: mid-grey), or some rows away from it
typedef struct source {
    const picture *pic;
    int rows;
} source;

static void conceal_samples(const h264_decoder *const dec, const source from) {
    const mb_ctx *const m = &dec->slice.mb;
    for (int plane = 0; plane < 3; plane++) {
        const int w = plane ? dec->mb_width_c : 16, h = plane ? dec->mb_height_c : 16;
        const size_t bytes = (size_t)(w * dec->k->sample_size);
        const int depth = plane ? dec->active_sps.BitDepthC : dec->active_sps.BitDepthY;
        for (int y = 0; y < h && w; y++) {
            uint8_t *const to = m->dst[plane] + y * m->stride[plane];
            if (from.pic)
                memcpy(to,
                       from.pic->plane[plane] + (to - dec->cur->plane[plane]) +
                           from.rows * from.pic->stride[plane],
                       bytes);
            else if (dec->k->sample_size == 1)
                memset(to, 1 << (depth - 1), bytes);
            else
                for (int x = 0; x < w; x++)
                    memcpy(to + 2 * x, &(uint16_t){(uint16_t)(1 << (depth - 1))}, 2);
        }
        if (w)
            h264_tap_prediction(dec, plane, (area){0, 0, w, h});
    }
}

/* No clause: what never arrived is copied from the picture before (mid-grey if there is none),
 * recorded as P_Skip of that sample values, and left alone by the deblocking filter. */
static void conceal_mb(h264_decoder *const dec, const source from) {
    mb_ctx *const m = &dec->slice.mb;
    const bool field = m->mb->field;
    *m->mb = (mb_info){
        .slice_num = INT32_MAX, .type = H264_P_SKIP, .field = field, .skip = true, .conceal = true};
    m->mb->disable_deblocking_filter_idc = 1;
    memset(m->mb->Intra4x4PredMode, 2, sizeof m->mb->Intra4x4PredMode);
    h264_motion_clear(m->motion, 0);
    h264_motion_clear(m->motion, 1);
    dec->cur->mb_field[m->addr] = field;
    m->transform_size_8x8_flag = m->TransformBypassModeFlag = false;
    m->coded[0] = m->coded[1] = m->coded[2] = 0;
    h264_tap_macroblock(dec);
    if (!(dec->settings.how & H264_NO_SAMPLES))
        conceal_samples(dec, from);
    dec->cur->concealed_mbs++;
    dec->warnings[H264_WARN_CONCEALED_MB]++;
}

// Both macroblocks of a pair are of one kind, also where only one of them came.
static bool pair_is_field(const h264_decoder *const dec, const mb_ctx *const m) {
    const int other = m->mb_x + (m->mb_y ^ 1) * dec->PicWidthInMbs;
    return dec->mb[other].slice_num >= 0 && dec->mb[other].field;
}

void h264_conceal_picture(h264_decoder *const dec, picture *const latest) {
    const slice_header *const h = &dec->slice.hdr;
    mb_ctx *const m = &dec->slice.mb;
    const source from = {.pic = latest};
    const int step = h->field_pic_flag ? 2 : 1;
    if (dec->rows.in_order && // then none was decoded twice
        dec->rows.decoded == (dec->FrameHeightInMbs >> h->field_pic_flag) * dec->PicWidthInMbs)
        return;
    for (m->mb_y = h->bottom_field_flag; m->mb_y < dec->FrameHeightInMbs; m->mb_y += step) {
        for (m->mb_x = 0; m->mb_x < dec->PicWidthInMbs; m->mb_x++) {
            mb_info *const mb = &dec->mb[m->mb_x + m->mb_y * dec->PicWidthInMbs];
            if (mb->slice_num >= 0 && !(mb->residual_lost && mb->is_intra))
                continue;
            if (latest)
                h264_await(dec, latest, ALL_ROWS);
            mb->field = h->MbaffFrameFlag && pair_is_field(dec, m);
            h264_neighbours(dec, m);
            conceal_mb(dec, from);
        }
    }
}

/* Half of a frame of which the other field never came shows the rows of the one that did. */
void h264_conceal_field(h264_decoder *const dec, const int structure) {
    mb_ctx *const m = &dec->slice.mb;
    const int bottom = structure == BOTTOM_FIELD;
    const source from = {.pic = dec->cur, .rows = bottom ? -1 : 1};
    for (m->mb_y = bottom; m->mb_y < dec->FrameHeightInMbs; m->mb_y += 2) {
        for (m->mb_x = 0; m->mb_x < dec->PicWidthInMbs; m->mb_x++) {
            h264_neighbours(dec, m);
            conceal_mb(dec, from);
        }
    }
}
