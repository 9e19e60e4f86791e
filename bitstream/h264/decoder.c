/* From NAL units to slices: what each unit is for, and where a picture begins. */
#include <stdlib.h>
#include <string.h>

#include "stream.h"

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
    return s->unit_boundary && s->next.first_mb_in_slice == 0 && s->first_mb_seen &&
           s->next.redundant_pic_cnt == 0;
}

static void use_partitions(const stream_state *const s, slice_ctx *const c) {
    c->residual = &c->b;
    c->mb.inter_counts_as_0 = false;
    c->partitioned = c->hdr.nal_unit_type == NAL_DPA;
    for (int i = 0; i < 2; i++) {
        c->have_partition[i] = s->partitions[1 + i].present;
        c->partition[i] = s->partitions[1 + i].b;
    }
}

/* Only redundant slices may not be (7.4.3): they are where their first macroblock is missing, or in
 * a slice that broke off. (What has been filtered cannot be replaced; in pictures that announce
 * redundant slices nothing has, before their end.) */
static bool is_needed(h264_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    const broken_slices *const broken = &dec->broken;
    c->replaces = -1;
    if (c->hdr.redundant_pic_cnt == 0)
        return true;
    if (dec->settings.how & H264_HEADERS)
        return false;
    const int there = h264_first_slice_num(dec);
    const bool replaceable = there >= 0 && dec->rows.filtered == 0;
    for (int i = 0; i < imin(broken->count, N_BROKEN_SLICES) && replaceable; i++)
        if (broken->slice_num[i] == there)
            c->replaces = there;
    return there < 0 || c->replaces >= 0;
}

// Can a worker decode the slice? What needs to know about slices before it cannot wait there.
static bool for_worker(const slice_ctx *const c) {
    return !c->partitioned && !c->MbToSliceGroupMap && c->hdr.redundant_pic_cnt == 0;
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
    if (s->n_slices == 0)
        h264_scaling_lists(&dec->active_sps, &dec->active_pps, dec->cur->ScalingList4x4,
                           dec->cur->ScalingList8x8);
    c->hdr = s->next;
    c->sps = &dec->active_sps;
    c->pps = &dec->active_pps;
    c->pic = dec->cur;
    c->b = *b;
    use_partitions(s, c);
    rc = h264_slice_groups(dec);
    dec->warnings[H264_WARN_CORRUPT_SLICE] += rc == H264_CORRUPT;
    if (rc < 0)
        return h264_error(dec, rc, "slice groups do not fit the picture");
    if (h264_workers_have_it(dec) && !for_worker(c))
        h264_workers_give_back(dec);
    if (!is_needed(dec))
        return H264_OK;
    c->slice_num = s->n_slices++;
    dec->cur->picture_type = imax(dec->cur->picture_type, picture_type[c->hdr.slice_type]);
    rc = h264_ref_lists(dec);
    if (rc < 0)
        return rc;
    s->first_mb_seen |= s->next.first_mb_in_slice == 0;
    if (h264_workers_have_it(dec))
        h264_workers_slice(dec);
    else if (!(dec->settings.how & H264_HEADERS))
        h264_decode_slice(dec);
    return H264_OK;
}

/* Parses the slice header and begins a picture where it must. dec->cur is NULL where the slice
 * cannot be used. */
static int begin_slice(h264_decoder *const dec, nal_unit *const nal) {
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
    if (begins_picture(dec)) {
        if (dec->cur != NULL && !s->field_open)
            h264_finish_picture(dec);
        rc = h264_start_picture(dec);
    }
    s->unit_boundary = false;
    return rc;
}

static int decode_slice_nal(h264_decoder *const dec, nal_unit *const nal) {
    const int rc = begin_slice(dec, nal);
    return rc < 0 || dec->cur == NULL ? rc : decode_slice(dec, &nal->rbsp);
}

// ------------------------------------------------------------------------------- data partitioning

static int keep_partition(h264_decoder *const dec, partition *const p, const bits *const b) {
    const size_t size = (b->end >> 3) + BITS_PADDING;
    if (p->capacity < size) {
        uint8_t *const grown = realloc(p->rbsp, size);
        if (grown == NULL)
            return h264_error(dec, H264_NOMEM, "no memory for a partition of %zu bytes", size);
        p->rbsp = grown;
        p->capacity = size;
    }
    memcpy(p->rbsp, b->data, size);
    p->b = *b;
    p->b.data = p->rbsp;
    p->present = true;
    return H264_OK;
}

/* 7.3.2.9.1. The header is read at once; the slice is decoded when its other partitions have come,
 * or something else has. */
static int partition_a(h264_decoder *const dec, nal_unit *const nal) {
    stream_state *const s = dec->stream;
    const int rc = begin_slice(dec, nal);
    if (rc < 0 || dec->cur == NULL)
        return rc;
    s->slice_id = bits_ue(&nal->rbsp);
    return keep_partition(dec, &s->partitions[0], &nal->rbsp);
}

/* 7.3.2.9.2, 7.3.2.9.3 */
static int partition_b_or_c(h264_decoder *const dec, nal_unit *const nal) {
    stream_state *const s = dec->stream;
    partition *const p = &s->partitions[nal->nal_unit_type - NAL_DPA];
    const uint32_t slice_id = bits_ue(&nal->rbsp);
    if (!s->partitions[0].present || p->present || slice_id != s->slice_id ||
        (s->next_pps->redundant_pic_cnt_present_flag &&
         bits_ue(&nal->rbsp) != (uint32_t)s->next.redundant_pic_cnt))
        return H264_OK; // of a slice that is not there
    return keep_partition(dec, p, &nal->rbsp);
}

int h264_decode_partitions(h264_decoder *const dec) {
    partition *const p = dec->stream->partitions;
    if (!p[0].present)
        return H264_OK;
    const int rc = decode_slice(dec, &p[0].b);
    for (int i = 0; i < 3; i++)
        p[i].present = false;
    return rc;
}

// --------------------------------------------------------------------------------------- NAL units

static int decode_unit(h264_decoder *const dec, nal_unit *const nal) {
    stream_state *const s = dec->stream;
    s->nal_unit_type = nal->nal_unit_type;
    if (nal->nal_unit_type != NAL_DPB && nal->nal_unit_type != NAL_DPC) {
        const int rc = h264_decode_partitions(dec);
        if (rc == H264_NOMEM)
            return rc;
    }
    switch (nal->nal_unit_type) {
    case NAL_SLICE:
    case NAL_IDR: return decode_slice_nal(dec, nal);
    case NAL_DPA: return partition_a(dec, nal);
    case NAL_DPB:
    case NAL_DPC: return partition_b_or_c(dec, nal);
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
    case NAL_SLICE_EXT:
    case NAL_DEPTH_SLICE_EXT: dec->warnings[H264_WARN_OTHER_LAYER]++; return H264_OK;
    default: // filler, auxiliary pictures, reserved, unspecified
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
