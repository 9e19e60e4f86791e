/* The public API of h264.h, and the life of a picture from its first slice to the output queue:
 * stream.h, Note [Life of a picture]. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "stream.h"

enum {
    DEFAULT_MAX_PIXELS = 36864 * 256,
    MAX_SLICES = 65535
}; // slice numbers are kept in 16 bits

int h264_error(h264_decoder *const dec, const int code, const char *const format, ...) {
    const stream_state *const s = dec->stream;
    size_t n = 0;
    if (s->nal_unit_type != 0)
        n = (size_t)snprintf(dec->error_text, sizeof dec->error_text,
                             "picture %d, NAL unit type %d: ", (int)s->next_decode_order,
                             s->nal_unit_type);
    va_list args;
    va_start(args, format);
    vsnprintf(dec->error_text + n, sizeof dec->error_text - n, format, args);
    va_end(args);
    return code;
}

// --------------------------------------------------------------------------------------------- end
// of a picture

/* The frame (or the field that stays without its second) goes to the buffer, unless nobody will
 * ever want it. */
static void complete_frame(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    picture *const pic = dec->cur;
    dec->cur = NULL;
    s->field_open = false;
    pic->current = false;
    if (pic->fields_decoded != FRAME)
        dec->warnings[H264_WARN_UNPAIRED_FIELD]++;
    // slices sent twice may count twice
    pic->concealed_mbs = imin(pic->concealed_mbs, dec->PicWidthInMbs * dec->FrameHeightInMbs);
    pic->needed_for_output = s->recovered && pic->PicOrderCnt >= s->recovery_poc;
    if (!pic->needed_for_output)
        dec->warnings[H264_WARN_DISCARDED_PICTURE]++;
    h264_dpb_insert(dec, pic);
    h264_dpb_bump(dec);
    h264_picture_release(dec, pic);
}

static void finish_picture(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    picture *const pic = dec->cur;
    const slice_header *const h = &s->first;
    h264_conceal_picture(dec);
    // An error is seen some macroblocks after the damage: the picture is marked even if in the end
    // nothing of it is missing.
    if (s->slice_error && dec->cur->concealed_mbs == 0)
        dec->cur->concealed_mbs = 1;
    s->slice_error = false;
    h264_deblock_picture(dec);
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
        finish_picture(dec);
    if (dec->cur != NULL)
        complete_frame(dec);
}

/* Everything decoded so far becomes available, and the next picture must be one that decoding can
 * start from. */
static void end_sequence(h264_decoder *const dec) {
    finish_frame(dec);
    h264_dpb_empty(dec);
    dec->stream->started = false;
}

// ------------------------------------------------------------------------------------------- start
// of a picture

/* Name of what the slice needs and this decoder lacks; NULL: nothing. Each is looked for only where
 * its profile or the SPS allows it: elsewhere it is damage, see impossible(). */
static const char *unsupported_feature(const sps *const s, const pps *const p,
                                       const slice_header *const h) {
    if (s->chroma_format_idc == 0)
        return "monochrome video (4:0:0)";
    if (s->chroma_format_idc != 1)
        return s->chroma_format_idc == 2 ? "4:2:2 chroma" : "4:4:4 chroma";
    if (s->BitDepthY > 8 || s->BitDepthC > 8)
        return "more than 8 bits per sample";
    if (h->field_pic_flag)
        return "interlaced video (field pictures)";
    if (h->MbaffFrameFlag)
        return "interlaced video (macroblock-adaptive frame/field coding)";
    if (p->num_slice_groups > 1)
        return "flexible macroblock ordering (slice groups)";
    if (h->nal_unit_type == NAL_DPA)
        return "data partitioning";
    if (h->slice_type == SLICE_SP || h->slice_type == SLICE_SI)
        return "SP and SI slices";
    return NULL;
}

/* A.2: tools that the profile does not have. */
static bool impossible(const sps *const s, const pps *const p, const slice_header *const h) {
    const bool extended = s->profile_idc == 88;
    if (p->num_slice_groups > 1 && !extended && s->profile_idc != 66)
        return true;
    return !extended &&
           (h->nal_unit_type == NAL_DPA || h->slice_type == SLICE_SP || h->slice_type == SLICE_SI);
}

static bool may_start_here(const stream_state *const s) {
    return s->next.IdrPicFlag || s->recovery.pending || s->next.slice_type == SLICE_I;
}

/* An IDR picture, or a place where decoding begins without one: the buffer is emptied, the named
 * SPS becomes active. */
static int start_sequence(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    const slice_header *const h = &s->next;
    h264_dpb_empty(dec);
    if (s->next_sps != &dec->active_sps) {
        const int rc = h264_activate(dec, s->next_sps);
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
static void check_recovery(h264_decoder *const dec, const picture *const pic) {
    stream_state *const s = dec->stream;
    const int MaxFrameNum = 1 << dec->active_sps.log2_max_frame_num;
    if (s->recovered)
        return;
    s->recovery_frames_left -=
        (s->next.frame_num - s->recovery_frame_num + MaxFrameNum) % MaxFrameNum;
    s->recovery_frame_num = s->next.frame_num;
    if (s->next.IdrPicFlag || s->recovery_frames_left <= 0) {
        s->recovered = true;
        s->recovery_poc = s->next.IdrPicFlag ? INT32_MIN : pic->PicOrderCnt;
    }
}

static bool has_mmco5(const slice_header *const h) {
    for (int i = 0; i < h->n_mmco; i++)
        if (h->mmco[i].op == 5)
            return true;
    return false;
}

/* 3.30: is the field in `next` the second field of dec->cur? */
static bool is_second_field(const h264_decoder *const dec) {
    const stream_state *const s = dec->stream;
    const slice_header *const h = &s->next;
    return s->field_open && h->structure == (dec->cur->fields_decoded ^ FRAME) &&
           h->frame_num == s->first.frame_num && (!h->IdrPicFlag || dec->cur->is_idr) &&
           (h->nal_ref_idc == 0 || dec->cur->is_reference) && !dec->cur->mmco5 && !has_mmco5(h);
}

static int new_frame(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    const slice_header *const h = &s->next;
    picture *const pic = h264_picture_get(dec);
    if (pic == NULL || h264_taps_get(dec, pic) < 0)
        return h264_error(dec, H264_NOMEM, "no memory for a frame");
    pic->current = true;
    pic->uid = s->next_decode_order++;
    pic->coding = pic->field_pair = h->field_pic_flag;
    pic->coding = h->structure;
    pic->mbaff = h->MbaffFrameFlag;
    pic->frame_num = h->frame_num;
    pic->is_reference = h->nal_ref_idc != 0;
    pic->is_idr = h->IdrPicFlag;
    pic->recovery_point = s->recovery.pending;
    pic->picture_type = H264_PICTURE_I;
    pic->pts = s->pts;
    pic->info = dec->info;
    memset(pic->mb_field, h->field_pic_flag, (size_t)(dec->PicWidthInMbs * dec->FrameHeightInMbs));
    dec->cur = pic;
    return H264_OK;
}

/* dec->stream->next is the first slice of a new picture. When that cannot be decoded dec->cur stays
 * NULL. */
static int start_picture(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    const slice_header *const h = &s->next;
    const bool second_field = is_second_field(dec);
    if (dec->cur != NULL && !second_field)
        complete_frame(dec);
    const bool other_sps = s->next_sps != &dec->active_sps;
    if (!may_start_here(s) && (!s->started || other_sps)) {
        dec->warnings[H264_WARN_DISCARDED_PICTURE] += h->first_mb_in_slice == 0;
        return H264_OK;
    }
    int rc = H264_OK;
    if (!second_field && (h->IdrPicFlag || !s->started || other_sps))
        rc = start_sequence(dec);
    const int MaxFrameNum = 1 << dec->active_sps.log2_max_frame_num;
    if (rc == H264_OK && h->frame_num != s->PrevRefFrameNum &&
        h->frame_num != (s->PrevRefFrameNum + 1) % MaxFrameNum)
        rc = h264_dpb_fill_gap(dec, h);
    if (rc == H264_OK && !second_field)
        rc = new_frame(dec);
    if (rc < 0)
        return rc;
    s->first = *h;
    s->n_slices = 0;
    s->field_open = false;
    dec->cur->fields_decoded |= h->structure;
    h264_poc_decode(dec, dec->cur, h);
    check_recovery(dec, dec->cur);
    s->recovery.pending = false;
    const int step = h->field_pic_flag ? 2 : 1, n = dec->PicWidthInMbs * dec->FrameHeightInMbs;
    for (int row = h->structure == BOTTOM_FIELD; row < dec->FrameHeightInMbs; row += step)
        for (int i = row * dec->PicWidthInMbs; i < (row + 1) * dec->PicWidthInMbs && i < n; i++)
            dec->mb[i].slice_num = -1;
    return H264_OK;
}

// -------------------------------------------------------------------------------------------------------
// slices

static bool begins_picture(const h264_decoder *const dec) {
    const stream_state *const s = dec->stream;
    if (dec->cur == NULL || s->field_open || s->next_sps != &dec->active_sps)
        return true;
    if (h264_first_of_picture(&s->first, &s->next, &dec->active_sps))
        return true;
    // pictures that no header tells apart, as from encoders that never change idr_pic_id
    const int first_mb = s->next.structure == BOTTOM_FIELD ? dec->PicWidthInMbs : 0;
    return s->unit_boundary && s->next.first_mb_in_slice == 0 && dec->mb[first_mb].slice_num >= 0;
}

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
    if (dec->stream->n_slices == 0) {
        memcpy(dec->cur->ScalingList4x4, list4x4, sizeof list4x4);
        memcpy(dec->cur->ScalingList8x8, list8x8, sizeof list8x8);
    }
}

/* dec->stream->next is a slice of dec->cur; b stands at slice_data(). */
static int decode_slice(h264_decoder *const dec, const bits *const b) {
    stream_state *const s = dec->stream;
    slice_ctx *const c = &dec->slice;
    static const uint8_t picture_type[] = {H264_PICTURE_P, H264_PICTURE_B, H264_PICTURE_I,
                                           H264_PICTURE_P, H264_PICTURE_I};
    if (s->n_slices >= imin(MAX_SLICES, dec->PicWidthInMbs * dec->FrameHeightInMbs)) {
        dec->warnings[H264_WARN_CORRUPT_SLICE]++;
        return H264_CORRUPT;
    }
    if (h264_pps_copy(&dec->active_pps, s->next_pps) < 0)
        return h264_error(dec, H264_NOMEM, "no memory for slice groups");
    activate_scaling(dec);
    c->hdr = s->next;
    c->sps = &dec->active_sps;
    c->pps = &dec->active_pps;
    c->scale = &dec->scale;
    c->slice_num = s->n_slices++;
    c->pic = dec->cur;
    c->b = *b;
    dec->cur->picture_type = imax(dec->cur->picture_type, picture_type[c->hdr.slice_type]);
    const int rc = h264_ref_lists(dec);
    if (rc < 0)
        return rc;
    if (h264_decode_slice_data(dec) < 0) {
        dec->warnings[H264_WARN_CORRUPT_SLICE]++;
        s->slice_error = true;
    }
    return H264_OK;
}

static int decode_slice_nal(h264_decoder *const dec, nal_unit *const nal) {
    stream_state *const s = dec->stream;
    const uint64_t unknown = dec->warnings[H264_WARN_NO_PARAMETER_SET];
    int rc = h264_parse_slice_header(dec, nal, &nal->rbsp);
    if (rc == H264_OK && impossible(s->next_sps, s->next_pps, &s->next))
        rc = h264_error(dec, H264_CORRUPT, "slice uses a tool that profile %d lacks",
                        s->next_sps->profile_idc);
    if (rc < 0) {
        dec->warnings[H264_WARN_CORRUPT_SLICE] +=
            unknown == dec->warnings[H264_WARN_NO_PARAMETER_SET];
        return rc;
    }
    if (s->next.redundant_pic_cnt > 0)
        return H264_OK;
    const char *const feature = unsupported_feature(s->next_sps, s->next_pps, &s->next);
    if (feature != NULL && (s->started || may_start_here(s)))
        return h264_error(dec, H264_UNSUPPORTED, "%s cannot be decoded", feature);
    if (begins_picture(dec)) {
        if (dec->cur != NULL && !s->field_open)
            finish_picture(dec);
        rc = start_picture(dec);
    }
    s->unit_boundary = false;
    if (rc < 0 || dec->cur == NULL)
        return rc;
    return decode_slice(dec, &nal->rbsp);
}

// ------------------------------------------------------------------------------------------------
// NAL units, packets

static int decode_nal(h264_decoder *const dec, nal_unit *const nal) {
    stream_state *const s = dec->stream;
    s->nal_unit_type = nal->nal_unit_type;
    switch (nal->nal_unit_type) {
    case NAL_SLICE:
    case NAL_IDR:
    case NAL_DPA: return decode_slice_nal(dec, nal);
    case NAL_SEI:
        s->unit_boundary = true;
        h264_parse_sei(dec, &nal->rbsp);
        return H264_OK;
    case NAL_SPS:
        s->unit_boundary = true;
        h264_parse_sps(dec, &nal->rbsp);
        return H264_OK;
    case NAL_PPS:
        s->unit_boundary = true;
        h264_parse_pps(dec, &nal->rbsp);
        return H264_OK;
    case NAL_AUD: s->unit_boundary = true; return H264_OK;
    case NAL_END_SEQ:
    case NAL_END_STREAM: end_sequence(dec); return H264_OK;
    default: // filler, auxiliary pictures, SVC and MVC, reserved, unspecified
        return H264_OK;
    }
}

/* Decodes NAL units from *pos on until a frame is ready or the packet ends. *usable counts those
 * that were any good. */
static void decode_packet(h264_decoder *const dec, const uint8_t *const data, const size_t size,
                          size_t *const pos, size_t *const usable) {
    stream_state *const s = dec->stream;
    const uint8_t *unit;
    size_t unit_size;
    while (s->queue_length == 0 && s->failure == 0 &&
           h264_nal_next(dec, data, size, pos, &unit, &unit_size)) {
        nal_unit nal;
        int rc = h264_nal_parse(dec, unit, unit_size, &nal);
        if (rc == H264_OK)
            rc = decode_nal(dec, &nal);
        *usable += rc == H264_OK;
        if (rc == H264_UNSUPPORTED || rc == H264_NOMEM) {
            s->failure = rc;
            end_sequence(dec);
        }
    }
    s->nal_unit_type = 0;
}

static void decode_rest(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    size_t usable = 0;
    if (s->rest_pos < s->rest_size)
        decode_packet(dec, s->rest, s->rest_size, &s->rest_pos, &usable);
    if (s->failure != 0)
        s->rest_pos = s->rest_size;
    if (s->flushing && s->rest_pos >= s->rest_size && s->queue_length == 0)
        end_sequence(dec);
}

static int keep_rest(h264_decoder *const dec, const uint8_t *const data, const size_t size) {
    stream_state *const s = dec->stream;
    if (s->rest_capacity < size) {
        uint8_t *const grown = realloc(s->rest, size);
        if (grown == NULL)
            return s->failure =
                       h264_error(dec, H264_NOMEM, "no memory for a packet of %zu bytes", size);
        s->rest = grown;
        s->rest_capacity = size;
    }
    if (size > 0)
        memcpy(s->rest, data, size);
    s->rest_pos = 0;
    s->rest_size = size;
    return H264_OK;
}

static void unlock_lent(h264_decoder *const dec) {
    picture *const pic = dec->stream->lent;
    dec->stream->lent = NULL;
    if (pic != NULL) {
        pic->locked = false;
        h264_picture_release(dec, pic);
    }
}

// ---------------------------------------------------------------------------------------------------
// public API

int h264_open(h264_decoder **const out, const h264_settings *const settings) {
    if (out == NULL || settings == NULL)
        return H264_BADARG;
    *out = NULL;
    h264_decoder *const dec = calloc(1, sizeof *dec);
    if (dec == NULL)
        return H264_NOMEM;
    dec->stream = calloc(1, sizeof *dec->stream);
    if (dec->stream == NULL) {
        free(dec);
        return H264_NOMEM;
    }
    dec->settings = *settings;
    if (dec->settings.max_pixels == 0)
        dec->settings.max_pixels = DEFAULT_MAX_PIXELS;
    dec->stream->next_artificial_uid = -2;
    dec->dpb.MaxLongTermFrameIdx = -1;
    dec->dpb.last_output_poc = INT32_MIN;
    *out = dec;
    return H264_OK;
}

static int avcc_record(h264_decoder *const dec, const uint8_t *const data, const size_t size) {
    size_t pos = 5;
    for (int kind = 0; kind < 2; kind++) { // SPS, then PPS
        if (pos >= size)
            return h264_error(dec, H264_CORRUPT, "avcC record is cut off");
        const int count = kind == 0 ? data[pos] & 31 : data[pos];
        pos++;
        for (int i = 0; i < count; i++) {
            if (size - pos < 2 || (size_t)(data[pos] << 8 | data[pos + 1]) > size - pos - 2)
                return h264_error(dec, H264_CORRUPT, "avcC record is cut off");
            const size_t length = (size_t)(data[pos] << 8 | data[pos + 1]);
            nal_unit nal;
            int rc = h264_nal_parse(dec, data + pos + 2, length, &nal);
            if (rc == H264_OK && (nal.nal_unit_type == NAL_SPS || nal.nal_unit_type == NAL_PPS))
                rc = decode_nal(dec, &nal);
            dec->stream->nal_unit_type = 0;
            if (rc == H264_NOMEM)
                return rc;
            pos += 2 + length;
        }
    }
    return H264_OK;
}

int h264_set_extradata(h264_decoder *const dec, const uint8_t *const data, const size_t size) {
    if (dec == NULL || (data == NULL && size > 0))
        return H264_BADARG;
    if (size >= 7 && data[0] == 1) { // configurationVersion
        dec->nal_length_size = (data[4] & 3) + 1;
        return avcc_record(dec, data, size);
    }
    dec->nal_length_size = 0;
    size_t pos = 0, usable = 0;
    decode_packet(dec, data, size, &pos, &usable);
    if (dec->stream->failure != 0)
        return dec->stream->failure;
    return usable > 0 || size == 0
               ? H264_OK
               : h264_error(dec, H264_CORRUPT, "no parameter sets in the extradata");
}

int h264_send(h264_decoder *const dec, const uint8_t *const data, const size_t size,
              const int64_t pts) {
    if (dec == NULL || (data == NULL && size > 0))
        return H264_BADARG;
    stream_state *const s = dec->stream;
    unlock_lent(dec);
    if (s->failure != 0)
        return s->failure;
    if (s->flushing && s->queue_length == 0)
        decode_rest(dec); // the end of the stream before comes first
    if (s->rest_pos < s->rest_size || s->queue_length > 0)
        return H264_AGAIN;
    if (size == 0)
        return H264_OK;
    s->flushing = false;
    s->pts = pts;
    dec->error_text[0] = 0;
    size_t pos = 0, usable = 0;
    decode_packet(dec, data, size, &pos, &usable);
    if (s->failure != 0)
        return s->failure;
    if (pos < size)
        return keep_rest(dec, data + pos, size - pos);
    if (usable == 0) {
        if (dec->error_text[0] == 0)
            h264_error(dec, H264_CORRUPT, "no NAL unit in %zu bytes", size);
        return H264_CORRUPT;
    }
    return H264_OK;
}

int h264_flush(h264_decoder *const dec) {
    if (dec == NULL)
        return H264_BADARG;
    unlock_lent(dec);
    dec->stream->flushing = true;
    if (dec->stream->queue_length == 0)
        decode_rest(dec);
    return H264_OK;
}

int h264_receive(h264_decoder *const dec, h264_frame *const frame) {
    if (dec == NULL || frame == NULL)
        return H264_BADARG;
    stream_state *const s = dec->stream;
    unlock_lent(dec);
    if (s->queue_length == 0)
        decode_rest(dec);
    if (s->queue_length > 0) {
        picture *const pic = s->queue[0];
        memmove(&s->queue[0], &s->queue[1], (size_t)--s->queue_length * sizeof s->queue[0]);
        pic->queued = false;
        pic->locked = true;
        s->lent = pic;
        h264_frame_fill(pic, frame);
        return H264_OK;
    }
    if (s->failure != 0)
        return s->failure;
    return s->flushing ? H264_END : H264_AGAIN;
}

const char *h264_error_text(const h264_decoder *const dec) {
    return dec == NULL ? "" : dec->error_text;
}

const char *h264_encoder_text(const h264_decoder *const dec) {
    return dec == NULL ? "" : dec->encoder_text;
}

uint64_t h264_warning_count(const h264_decoder *const dec, const int warning) {
    return dec == NULL || warning < 0 || warning >= H264_N_WARNINGS ? 0 : dec->warnings[warning];
}

const char *h264_warning_name(const int warning) {
    static const char *const names[H264_N_WARNINGS] = {
        [H264_WARN_CONCEALED_MB] = "concealed_macroblocks",
        [H264_WARN_CORRUPT_SLICE] = "corrupt_slices",
        [H264_WARN_MISSING_REFERENCE] = "missing_references",
        [H264_WARN_FRAME_NUM_GAP] = "frame_num_gaps",
        [H264_WARN_BAD_PARAMETER_SET] = "bad_parameter_sets",
        [H264_WARN_BAD_NAL] = "bad_nal_units",
        [H264_WARN_NO_PARAMETER_SET] = "slices_without_parameter_sets",
        [H264_WARN_UNPAIRED_FIELD] = "unpaired_fields",
        [H264_WARN_DISCARDED_PICTURE] = "discarded_pictures",
    };
    return warning < 0 || warning >= H264_N_WARNINGS ? NULL : names[warning];
}

void h264_close(h264_decoder *const dec) {
    if (dec == NULL)
        return;
    for (int i = 0; i < MAX_PPS; i++)
        free(dec->pps[i].slice_group_id);
    free(dec->active_pps.slice_group_id);
    h264_pictures_free(dec);
    free(dec->stream->rbsp);
    free(dec->stream->rest);
    free(dec->stream);
    free(dec);
}
