/* From NAL units to slices: what each unit is for, where a picture begins, and what cannot be
 * decoded. */
#include <stdlib.h>

#include "stream.h"

/* Name of what the slice needs and this decoder lacks; NULL: nothing. Each is looked for only where
 * its profile or the SPS allows it: elsewhere it is damage, see impossible(). */
static const char *unsupported_feature(const sps *const s, const slice_header *const h) {
    if (s->separate_colour_plane_flag)
        return "separate colour planes";
    if (h->nal_unit_type == NAL_DPA)
        return "data partitioning";
    return NULL;
}

/* A.2: tools that the profile does not have. */
static bool impossible(const sps *const s, const pps *const p, const slice_header *const h) {
    const bool extended = s->profile_idc == 88;
    if (p->num_slice_groups > 1 && !extended && s->profile_idc != 66)
        return true;
    if (h->nal_unit_type == NAL_DPA || h->slice_type == SLICE_SP || h->slice_type == SLICE_SI)
        return !extended || p->entropy_coding_mode_flag || p->extension[0].transform_8x8_mode_flag;
    return false;
}

// ------------------------------------------------------------------------------------------ slices

static bool begins_picture(const h264_decoder *const dec) {
    const stream_state *const s = dec->stream;
    if (dec->cur == NULL || s->field_open || s->next_sps != &dec->active_sps)
        return true;
    if (h264_first_of_picture(&s->first, &s->next, &dec->active_sps))
        return true;
    // pictures that no header tells apart, as from encoders that never change idr_pic_id
    return s->unit_boundary && s->next.first_mb_in_slice == 0 && s->first_mb_seen;
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
    int rc = h264_pps_activate(&dec->active_pps, s->next_pps, &dec->active_sps);
    dec->warnings[H264_WARN_CORRUPT_SLICE] += rc == H264_CORRUPT;
    if (rc < 0)
        return h264_error(dec, rc, "parameter set %d cannot be used", s->next.pic_parameter_set_id);
    activate_scaling(dec);
    c->hdr = s->next;
    c->sps = &dec->active_sps;
    c->pps = &dec->active_pps;
    c->scale = &dec->scale;
    c->slice_num = s->n_slices++;
    c->pic = dec->cur;
    c->b = *b;
    rc = h264_slice_groups(dec);
    dec->warnings[H264_WARN_CORRUPT_SLICE] += rc == H264_CORRUPT;
    if (rc < 0)
        return h264_error(dec, rc, "slice groups do not fit the picture");
    dec->cur->picture_type = imax(dec->cur->picture_type, picture_type[c->hdr.slice_type]);
    rc = h264_ref_lists(dec);
    if (rc < 0)
        return rc;
    s->first_mb_seen |= s->next.first_mb_in_slice == 0;
    if (dec->settings.how & H264_HEADERS)
        return H264_OK;
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
    const char *const feature = unsupported_feature(s->next_sps, &s->next);
    if (feature != NULL && (s->started || h264_may_start_here(s)))
        return h264_error(dec, H264_UNSUPPORTED, "%s cannot be decoded", feature);
    if (begins_picture(dec)) {
        if (dec->cur != NULL && !s->field_open)
            h264_finish_picture(dec);
        rc = h264_start_picture(dec);
    }
    s->unit_boundary = false;
    if (rc < 0 || dec->cur == NULL)
        return rc;
    return decode_slice(dec, &nal->rbsp);
}

// --------------------------------------------------------------------------------------- NAL units

static int decode_unit(h264_decoder *const dec, nal_unit *const nal) {
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
    // 7.4.1.2.3 wants an IDR picture after the end of a sequence, which would empty the buffer;
    // there are recorders that end it after every picture and go on with P
    case NAL_AUD:
    case NAL_END_SEQ:
    case NAL_END_STREAM: s->unit_boundary = true; return H264_OK;
    default: // filler, auxiliary pictures, SVC and MVC, reserved, unspecified
        return H264_OK;
    }
}

/* 7.4.1.2.3: which access unit a NAL unit counts for. What may stand before the first slice of a
 * picture waits for it. */
static void count_bytes(h264_decoder *const dec, const nal_unit *const nal) {
    stream_state *const s = dec->stream;
    const int type = nal->nal_unit_type;
    s->unit_bytes += nal->size;
    if ((type >= NAL_SEI && type <= NAL_AUD) || (type >= NAL_PREFIX && type <= 18))
        return;
    if (dec->cur != NULL)
        dec->cur->bytes += s->unit_bytes;
    s->unit_bytes = 0;
}

int h264_decode_nal(h264_decoder *const dec, nal_unit *const nal) {
    const int rc = decode_unit(dec, nal);
    count_bytes(dec, nal);
    return rc;
}
