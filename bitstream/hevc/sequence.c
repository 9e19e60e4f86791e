/* 8.1.3, 8.3: the life of a picture. A slice segment with first_slice_segment_in_pic_flag ends the
 * picture before (concealed where slices are missing, filtered, output by C.5.2) and begins the
 * next: parameter sets activated, PicOrderCntVal, reference picture set, slot and taps. */
#include <stdlib.h>

#include "internal.h"

void hevc_finish_picture(hevc_decoder *const dec) {
    picture *const pic = dec->cur;
    if (pic == NULL)
        return;
    if (!(dec->settings.how & HEVC_HEADERS)) {
        hevc_conceal_picture(dec);
        if (dec->slice_error)
            pic->concealed_ctus = imax(pic->concealed_ctus, 1);
        if (hevc_makes_samples(dec)) {
            hevc_deblock_picture(dec);
            hevc_sao_picture(dec);
            hevc_check_hash(dec, pic);
        }
        hevc_tap_picture(dec);
    }
    dec->slice_error = false;
    pic->current = false;
    hevc_dpb_after(dec);
    dec->cur = NULL;
    hevc_picture_release(dec, pic);
}

void hevc_end_sequence(hevc_decoder *const dec) {
    hevc_finish_picture(dec);
    hevc_dpb_flush(dec, true);
    dec->after_eos = true;
}

// ------------------------------------------------------------------------------- start of a
// picture

static int activate(hevc_decoder *const dec, const sps *const s, const pps *const p) {
    const bool changed = !dec->active_sps.valid || memcmp(&dec->active_sps, s, sizeof *s) != 0;
    if (changed) {
        const int rc = hevc_activate(dec, s);
        if (rc < 0)
            return rc;
    }
    const bool same =
        !changed && dec->lay.memory != NULL && memcmp(&dec->active_pps, p, sizeof *p) == 0;
    dec->active_pps = *p;
    if (p->diff_cu_qp_delta_depth > s->CtbLog2SizeY - s->MinCbLog2SizeY ||
        p->Log2ParMrgLevel > s->CtbLog2SizeY ||
        (p->cross_component_prediction_enabled_flag && s->ChromaArrayType != 3)) // 7.4.3.3.2
        return hevc_error(dec, HEVC_CORRUPT, "picture parameter set does not fit the sequence");
    if (same)
        return HEVC_OK;
    const int rc = hevc_layout_init(&dec->lay, s, p);
    if (rc < 0)
        dec->active_pps.valid = false;
    if (rc == HEVC_CORRUPT)
        return hevc_error(dec, rc, "tiles do not fit the picture");
    return rc;
}

static void note_irap(hevc_decoder *const dec, const slice_header *const h) {
    if (!is_irap(h->nal_unit_type))
        return;
    dec->NoRaslOutputFlag = h->nal_unit_type != NAL_CRA || dec->after_eos || !dec->started;
}

/* C.5.2.2 for an IRAP picture that begins a sequence. */
static void empty_buffer(hevc_decoder *const dec, const slice_header *const h, const bool first) {
    if (!is_irap(h->nal_unit_type) || !dec->NoRaslOutputFlag || first)
        return;
    const bool no_output = h->nal_unit_type == NAL_CRA || h->no_output_of_prior_pics_flag;
    hevc_dpb_flush(dec, !no_output);
}

static int new_frame(hevc_decoder *const dec, const slice_header *const h) {
    picture *const pic = hevc_picture_get(dec);
    if (pic == NULL || hevc_taps_get(dec, pic) < 0 || dec->n_dpb == MAX_PICTURES)
        return hevc_error(dec, HEVC_NOMEM, "no memory for a frame");
    taps *const t = pic->taps;
    pic->current = true;
    pic->decode_order = dec->next_decode_order++;
    pic->keyframe = is_irap(h->nal_unit_type);
    pic->pts = dec->pts;
    pic->info = dec->info;
    const sps *const s = &dec->active_sps;
    const pps *const p = &dec->active_pps;
    t->scaled = s->scaling_list_enabled_flag;
    if (t->scaled)
        t->scaling = p->scaling_list_data_present_flag ? p->scaling : s->scaling;
    for (int i = 0; i < dec->active_sps.PicWidthInCtbs * dec->active_sps.PicHeightInCtbs; i++)
        dec->ctb_slice[i] = -1;
    dec->n_filters = 0;
    dec->hash.present = false;
    dec->cur = pic;
    hevc_tap_planes(dec);
    return HEVC_OK;
}

static int start_picture(hevc_decoder *const dec, const slice_header *const h, const sps *const s,
                         const pps *const p) {
    const bool first = !dec->started;
    note_irap(dec, h);
    if ((first && !is_irap(h->nal_unit_type)) ||
        (is_rasl(h->nal_unit_type) && dec->NoRaslOutputFlag)) {
        dec->warnings[HEVC_WARN_DISCARDED_PICTURE]++;
        dec->next_decode_order += !first; // as where decoding began before
        return HEVC_OK;
    }
    if (is_irap(h->nal_unit_type) && dec->NoRaslOutputFlag)
        empty_buffer(dec, h, first);
    int rc = activate(dec, s, p);
    if (rc == HEVC_OK)
        rc = new_frame(dec, h);
    if (rc < 0)
        return rc;
    dec->started = true;
    dec->after_eos = false;
    picture *const pic = dec->cur;
    pic->poc = hevc_poc(dec, h, s);
    rc = hevc_reference_picture_set(dec, h);
    if (rc < 0) {
        pic->current = false;
        dec->cur = NULL;
        hevc_picture_release(dec, pic);
        return rc;
    }
    hevc_dpb_before(dec);
    if (dec->n_dpb == MAX_PICTURES)
        hevc_dpb_flush(dec, true);
    pic->needed_for_output = h->pic_output_flag;
    pic->reference = SHORT_TERM;
    pic->in_dpb = true;
    dec->dpb[dec->n_dpb++] = pic;
    return HEVC_OK;
}

// ------------------------------------------------------------------------------------------ slices

static int remember_filter(hevc_decoder *const dec, const slice_header *const h) {
    if (dec->n_filters == dec->filters_capacity) {
        const int capacity = dec->filters_capacity == 0 ? 16 : 2 * dec->filters_capacity;
        slice_filter *const grown = realloc(dec->filters, (size_t)capacity * sizeof *dec->filters);
        if (grown == NULL)
            return hevc_error(dec, HEVC_NOMEM, "no memory for slices");
        dec->filters = grown;
        dec->filters_capacity = capacity;
    }
    dec->filters[dec->n_filters] =
        (slice_filter){.deblocking_disabled = h->deblocking_filter_disabled_flag,
                       .across_slices = h->loop_filter_across_slices_enabled_flag,
                       .beta_offset = (int8_t)(h->beta_offset_div2 * 2),
                       .tc_offset = (int8_t)(h->tc_offset_div2 * 2),
                       .SliceAddrRs = h->SliceAddrRs};
    dec->slice.slice_index = dec->n_filters++;
    return HEVC_OK;
}

static int decode_slice(hevc_decoder *const dec, const bits *const b) {
    static const uint8_t picture_type[3] = {[SLICE_B] = 2, [SLICE_P] = 1, [SLICE_I] = 0};
    slice_ctx *const c = &dec->slice;
    if (!c->hdr.dependent_slice_segment_flag) {
        c->hdr.SliceAddrRs = c->hdr.slice_segment_address;
        c->has_lists = false;
    }
    // a slice segment more than there are coding tree units is one sent twice
    if (dec->n_filters > dec->active_sps.PicWidthInCtbs * dec->active_sps.PicHeightInCtbs) {
        dec->warnings[HEVC_WARN_CORRUPT_SLICE]++;
        return HEVC_CORRUPT;
    }
    c->sps = &dec->active_sps;
    c->pps = &dec->active_pps;
    c->pic = dec->cur;
    dec->cur->picture_type = imax(dec->cur->picture_type, picture_type[c->hdr.slice_type]);
    int rc = remember_filter(dec, &c->hdr);
    if (rc == HEVC_OK && !c->hdr.dependent_slice_segment_flag)
        rc = hevc_ref_lists(dec);
    if (rc < 0)
        return rc;
    c->has_lists = true;
    if (dec->settings.how & HEVC_HEADERS)
        return HEVC_OK;
    hevc_tap_group_begin(dec);
    hevc_decode_slice_data(dec, b);
    hevc_tap_group_end(dec);
    if (c->error) {
        dec->warnings[HEVC_WARN_CORRUPT_SLICE]++;
        dec->slice_error = true;
    }
    return HEVC_OK;
}

int hevc_decode_slice_nal(hevc_decoder *const dec, nal_unit *const nal) {
    slice_header h = dec->slice.hdr;
    const sps *s;
    const pps *p;
    const uint64_t unknown = dec->warnings[HEVC_WARN_NO_PARAMETER_SET];
    int rc = hevc_parse_slice_header(dec, nal, &nal->rbsp, &h, &s, &p);
    if (rc == HEVC_UNSUPPORTED)
        return rc;
    if (rc < 0) {
        dec->warnings[HEVC_WARN_CORRUPT_SLICE] +=
            unknown == dec->warnings[HEVC_WARN_NO_PARAMETER_SET];
        dec->slice_error |= dec->cur != NULL;
        return rc;
    }
    if (h.first_slice_segment_in_pic_flag) {
        hevc_finish_picture(dec);
        dec->slice.has_lists = false;
        rc = start_picture(dec, &h, s, p);
    } else if (dec->cur != NULL &&
               (p->pps_pic_parameter_set_id != dec->active_pps.pps_pic_parameter_set_id ||
                (h.dependent_slice_segment_flag && !dec->slice.has_lists))) {
        dec->warnings[HEVC_WARN_CORRUPT_SLICE]++;
        dec->slice_error = true;
        return hevc_error(dec, HEVC_CORRUPT, "slice segment does not belong to the picture");
    }
    if (rc < 0 || dec->cur == NULL)
        return rc;
    dec->slice.hdr = h;
    return decode_slice(dec, &nal->rbsp);
}

/* 7.4.2.4.4: after the last slice of a picture these are of the next access unit. */
static bool begins_access_unit(const int nal_unit_type) {
    return (nal_unit_type >= NAL_VPS && nal_unit_type <= NAL_AUD) ||
           nal_unit_type == NAL_PREFIX_SEI || (nal_unit_type >= 41 && nal_unit_type <= 44) ||
           (nal_unit_type >= 48 && nal_unit_type <= 55);
}

bool hevc_ends_access_unit(const int nal_unit_type) {
    return nal_unit_type >= NAL_VPS && !begins_access_unit(nal_unit_type);
}

int hevc_decode_nal(hevc_decoder *const dec, nal_unit *const nal) {
    dec->nal_unit_type = nal->nal_unit_type;
    if (nal->nuh_layer_id > 0) {
        dec->warnings[HEVC_WARN_OTHER_LAYER]++;
        return HEVC_OK;
    }
    if (nal->nal_unit_type <= NAL_RASL_R ||
        (nal->nal_unit_type >= NAL_BLA_W_LP && nal->nal_unit_type <= NAL_CRA))
        return hevc_decode_slice_nal(dec, nal);
    if (begins_access_unit(nal->nal_unit_type))
        hevc_finish_picture(dec);
    switch (nal->nal_unit_type) {
    case NAL_SPS: return hevc_parse_sps(dec, &nal->rbsp);
    case NAL_PPS: return hevc_parse_pps(dec, &nal->rbsp);
    case NAL_PREFIX_SEI: hevc_parse_sei(dec, &nal->rbsp, false); break;
    case NAL_SUFFIX_SEI: hevc_parse_sei(dec, &nal->rbsp, true); break;
    case NAL_EOS:
    case NAL_EOB:
        hevc_finish_picture(dec);
        dec->after_eos = true;
        break;
    default: break; // VPS, AUD, filler, reserved, unspecified
    }
    return HEVC_OK;
}
