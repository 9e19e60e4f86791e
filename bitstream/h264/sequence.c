/* Activation of a sequence parameter set, and the life of a picture from its first slice to the
 * output queue: stream.h, Note [Life of a picture]. */
#include "stream.h"

// -------------------------------------------------------------------------------- end of a picture

// A field that stays without its second
static void fill_frame(h264_decoder *const dec) {
    dec->warnings[H264_WARN_UNPAIRED_FIELD]++;
    for (int plane = 0; plane < h264_colour_planes(dec); plane++) {
        if (dec->settings.how & H264_HEADERS)
            break;
        h264_select_colour_plane(dec, plane);
        h264_conceal_field(dec, dec->cur->fields_decoded ^ FRAME);
    }
    h264_select_colour_plane(dec, 0);
}

/* The frame goes to the buffer, unless nobody will ever want it. */
static void complete_frame(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    picture *const pic = dec->cur;
    if (pic->fields_decoded != FRAME)
        fill_frame(dec);
    dec->cur = NULL;
    s->field_open = false;
    pic->current = false;
    if (pic->taps)
        h264_cost_join_planes(dec, pic->taps);
    pic->needed_for_output = s->recovered && pic->PicOrderCnt >= s->recovery_poc;
    if (!pic->needed_for_output)
        dec->warnings[H264_WARN_DISCARDED_PICTURE]++;
    h264_dpb_insert(dec, pic);
    h264_dpb_bump(dec);
    h264_picture_release(dec, pic);
}

static bool has_mmco5(const slice_header *const h) {
    for (int i = 0; i < h->n_mmco; i++)
        if (h->mmco[i].op == 5)
            return true;
    return false;
}

void h264_finish_picture(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    picture *const pic = dec->cur;
    const slice_header *const h = &s->first;
    picture *const latest = h264_latest_picture(dec);
    if (h264_workers_have_it(dec))
        h264_workers_end(dec, latest);
    else
        h264_end_slices(dec, latest);
    // PicOrderCnt changes, and those of fields are asked for while the picture is decoded
    if (has_mmco5(h))
        h264_workers_wait_for_all(dec);
    h264_dpb_mark(dec);
    if (h->nal_ref_idc != 0)
        s->PrevRefFrameNum = pic->mmco5 ? 0 : h->frame_num;
    h264_poc_done(dec, pic, h);
    if (pic->field_pair && pic->fields_decoded != FRAME) {
        s->field_open = true;
        h264_dpb_insert(dec, pic);
        h264_dpb_bump(dec);
    } else {
        complete_frame(dec);
    }
}

/* No more slices belong to the current frame. */
static void finish_frame(h264_decoder *const dec) {
    if (dec->cur != NULL && !dec->stream->field_open)
        h264_finish_picture(dec);
    if (dec->cur != NULL)
        complete_frame(dec);
}

/* Everything decoded so far becomes available, and the next picture must be one that decoding can
 * start from. */
void h264_end_sequence(h264_decoder *const dec) {
    finish_frame(dec);
    h264_dpb_empty(dec);
    dec->stream->started = false;
}

// -------------------------------------------------------------------------------------- activation

/* Makes `s` the active SPS. The buffer must have been emptied. */
static int activate(h264_decoder *const dec, const sps *const s) {
    h264_workers_wait_for_all(dec);
    const uint64_t pixels = (uint64_t)s->PicWidthInMbs * (uint64_t)s->FrameHeightInMbs * 256;
    if (pixels > dec->settings.max_pixels)
        return h264_error(
            dec, H264_NOMEM, "picture of %dx%d samples is larger than the limit of %u",
            s->PicWidthInMbs * 16, s->FrameHeightInMbs * 16, dec->settings.max_pixels);
    if (!dec->active_sps.valid || !h264_same_geometry(&dec->active_sps, s)) {
        dec->active_sps.valid = false; // until all is allocated
        if (h264_set_geometry(dec, s) < 0)
            return h264_error(dec, H264_NOMEM, "no memory for pictures of %dx%d samples",
                              s->PicWidthInMbs * 16, s->FrameHeightInMbs * 16);
    }
    memcpy(&dec->active_sps, s, sizeof *s);
    h264_stream_info_fill(s, &dec->info);
    h264_dpb_size_init(dec);
    return H264_OK;
}

// ------------------------------------------------------------------------------ start of a picture

bool h264_may_start_here(const stream_state *const s) {
    return s->next.IdrPicFlag || s->recovery.pending || s->next.slice_type == SLICE_I;
}

/* An IDR picture, or a place where decoding begins without one: the buffer is emptied, the named
 * SPS becomes active. */
static int start_sequence(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    const slice_header *const h = &s->next;
    h264_dpb_empty(dec);
    if (s->next_sps != &dec->active_sps) {
        const int rc = activate(dec, s->next_sps);
        if (rc < 0)
            return rc;
        s->next_sps = &dec->active_sps;
    }
    s->poc = (poc_state){.prevPicOrderCntLsb = (int32_t)h->pic_order_cnt_lsb,
                         .prevFrameNum = h->frame_num};
    s->PrevRefFrameNum = h->frame_num;
    s->started = true;
    s->recovered = false;
    s->recovery_poc = INT32_MIN;
    s->recovery_frame_num = h->frame_num;
    s->recovery_frames_left = s->recovery.pending ? (int)s->recovery.frame_cnt : 0;
    return H264_OK;
}

/* D.2.8: pictures are exact once frame_num has gone recovery_frame_cnt on from the picture where
 * decoding began. */
static void check_recovery(h264_decoder *const dec, picture *const pic) {
    stream_state *const s = dec->stream;
    const int MaxFrameNum = 1 << dec->active_sps.log2_max_frame_num;
    if (s->recovered) {
        if (pic->first_shown) // its second field may come before its first in output order
            s->recovery_poc = imin(s->recovery_poc, pic->PicOrderCnt);
        return;
    }
    s->recovery_frames_left -=
        (s->next.frame_num - s->recovery_frame_num + MaxFrameNum) % MaxFrameNum;
    s->recovery_frame_num = s->next.frame_num;
    if (s->next.IdrPicFlag || s->recovery_frames_left <= 0) {
        s->recovered = true;
        s->recovery_poc = s->next.IdrPicFlag ? INT32_MIN : pic->PicOrderCnt;
        pic->first_shown = !s->next.IdrPicFlag;
    }
}

/* 3.30: is the field in `next` the second field of dec->cur? (MMCO 5 in the first has made its
 * frame_num 0.) */
static bool is_second_field(const h264_decoder *const dec) {
    const stream_state *const s = dec->stream;
    const slice_header *const h = &s->next;
    return s->field_open && s->next_sps == &dec->active_sps &&
           h->structure == (dec->cur->fields_decoded ^ FRAME) &&
           h->frame_num == dec->cur->frame_num && (!h->IdrPicFlag || dec->cur->is_idr) &&
           (h->nal_ref_idc == 0 || dec->cur->is_reference) && !has_mmco5(h);
}

static int new_frame(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    const slice_header *const h = &s->next;
    picture *const pic = h264_picture_get(dec);
    if (pic == NULL || h264_taps_get(dec, pic) < 0)
        return h264_error(dec, H264_NOMEM, "no memory for a frame");
    pic->current = true;
    pic->uid = s->next_decode_order++;
    pic->field_pair = h->field_pic_flag;
    pic->mbaff = h->MbaffFrameFlag;
    pic->frame_num = h->frame_num;
    pic->is_reference = h->nal_ref_idc != 0;
    pic->is_idr = h->IdrPicFlag;
    pic->recovery_point = s->recovery.pending;
    pic->picture_type = H264_PICTURE_I;
    pic->pts = s->pts;
    pic->info = dec->info;
    memset(pic->mb_field, h->field_pic_flag,
           (size_t)(dec->PicWidthInMbs * dec->FrameHeightInMbs * h264_colour_planes(dec)));
    dec->cur = pic;
    return H264_OK;
}

/* dec->stream->next is the first slice of a new picture. When that cannot be decoded dec->cur stays
 * NULL. */
int h264_start_picture(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    const slice_header *const h = &s->next;
    const bool second_field = is_second_field(dec);
    if (dec->cur != NULL && !second_field)
        complete_frame(dec);
    const bool other_sps = s->next_sps != &dec->active_sps;
    if (!h264_may_start_here(s) && (!s->started || other_sps)) {
        dec->warnings[H264_WARN_DISCARDED_PICTURE] += h->first_mb_in_slice == 0;
        return H264_OK;
    }
    int rc = H264_OK;
    if (!second_field && (h->IdrPicFlag || !s->started || other_sps))
        rc = start_sequence(dec);
    const int MaxFrameNum = 1 << dec->active_sps.log2_max_frame_num;
    if (rc == H264_OK && h->frame_num != s->PrevRefFrameNum &&
        h->frame_num != (s->PrevRefFrameNum + 1) % MaxFrameNum) {
        h264_workers_wait_for_all(dec); // for the samples that are copied
        rc = h264_dpb_fill_gap(dec, h);
    }
    if (rc == H264_OK && !second_field)
        rc = new_frame(dec);
    if (rc < 0)
        return rc;
    s->first = *h;
    s->n_slices = 0;
    s->first_mb_seen = false;
    s->field_open = false;
    dec->cur->mmco5 = false;
    dec->cur->fields_decoded |= h->structure;
    // what conceals the picture looks here, also where none of its slices can be decoded
    dec->slice.hdr = *h;
    dec->slice.sps = &dec->active_sps;
    dec->slice.pic = dec->cur;
    h264_poc_decode(dec, dec->cur, h);
    check_recovery(dec, dec->cur);
    s->recovery.pending = false;
    if (h264_workers_begin(dec))
        return H264_OK;
    h264_tap_rows_fit(dec);
    h264_begin_slices(dec);
    return H264_OK;
}
