/* What becomes of one picture, in the thread that decodes it: beginning, slice after slice, end.
 * `dec` is the caller's decoder, or that of a worker. */
#include "stream.h"

static void activate_scaling(h264_decoder *const dec) {
    level_scale *const scale = &dec->scale;
    uint8_t list4x4[6][16], list8x8[6][64];
    h264_scaling_lists(&dec->active_sps, &dec->active_pps, list4x4, list8x8);
    if (memcmp(list4x4, scale->ScalingList4x4, sizeof list4x4) != 0 ||
        memcmp(list8x8, scale->ScalingList8x8, sizeof list8x8) != 0) {
        memcpy(scale->ScalingList4x4, list4x4, sizeof list4x4);
        memcpy(scale->ScalingList8x8, list8x8, sizeof list8x8);
        h264_level_scale_init(scale);
    }
}

void h264_begin_slices(h264_decoder *const dec) {
    const slice_header *const h = &dec->slice.hdr;
    // FrameHeightInMbs is even where there are fields: the rows of colour planes alternate too
    const int step = h->field_pic_flag ? 2 : 1, w = dec->PicWidthInMbs;
    const int rows = dec->FrameHeightInMbs * h264_colour_planes(dec);
    for (int row = h->structure == BOTTOM_FIELD; row < rows; row += step)
        for (int i = row * w; i < (row + 1) * w; i++)
            dec->mb[i].slice_num = -1;
    dec->rows = (picture_rows){.in_order = h264_colour_planes(dec) == 1};
    dec->broken = (broken_slices){.count = 0};
}

void h264_decode_slice(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    broken_slices *const broken = &dec->broken;
    activate_scaling(dec);
    s->scale = &dec->scale;
    h264_select_colour_plane(dec, s->hdr.colour_plane_id);
    if (h264_decode_slice_data(dec) < 0 && s->hdr.redundant_pic_cnt == 0) {
        dec->warnings[H264_WARN_CORRUPT_SLICE]++;
        broken->slice_num[broken->count++ % N_BROKEN_SLICES] = s->slice_num;
    }
    h264_select_colour_plane(dec, 0);
}

void h264_end_slices(h264_decoder *const dec, picture *const latest) {
    const bool samples = !(dec->settings.how & H264_HEADERS);
    for (int plane = 0; plane < h264_colour_planes(dec) && samples; plane++) {
        h264_select_colour_plane(dec, plane);
        h264_conceal_picture(dec, latest);
        if (!(dec->settings.how & H264_NO_SAMPLES))
            h264_deblock_rows(dec, dec->rows.filtered, h264_rows_of_picture(dec));
    }
    h264_select_colour_plane(dec, 0);
    // An error is seen some macroblocks after the damage: the picture is marked even if in the end
    // nothing of it is missing.
    if (dec->broken.count > 0 && dec->cur->concealed_mbs == 0)
        dec->cur->concealed_mbs = 1;
    h264_rows_ready(dec, ALL_ROWS);
}
