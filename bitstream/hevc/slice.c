/* 7.3.6: slice segment headers. Out: a slice_header; of a dependent slice segment, that of the
 * slice segment before with the few elements of its own. */
#include "internal.h"

static int bounded(bits *const b, const uint32_t most, bool *const ok) {
    const uint32_t v = bits_ue(b);
    *ok &= v <= most;
    return v <= most ? (int)v : 0;
}

static int bounded_se(bits *const b, const int least, const int most, bool *const ok) {
    const int32_t v = bits_se(b);
    *ok &= v >= least && v <= most;
    return v >= least && v <= most ? (int)v : 0;
}

static uint32_t bits_v(bits *const b, const int n) { // u(v), n may be 0
    return n == 0 ? 0 : bits_u(b, n);
}

static bool long_term_pictures(bits *const b, const sps *const s, slice_header *const h) {
    bool ok = true;
    const int in_sps = s->num_long_term_ref_pics_sps > 0
                           ? bounded(b, (uint32_t)s->num_long_term_ref_pics_sps, &ok)
                           : 0;
    h->num_long_term = in_sps + bounded(b, MAX_REFS, &ok);
    if (h->num_long_term > MAX_REFS)
        return false;
    for (int i = 0; i < h->num_long_term; i++) {
        if (i < in_sps) {
            const uint32_t lt_idx = bits_v(b, ceil_log2((uint32_t)s->num_long_term_ref_pics_sps));
            if (lt_idx >= (uint32_t)s->num_long_term_ref_pics_sps)
                return false;
            h->PocLsbLt[i] = (int32_t)s->lt_ref_pic_poc_lsb_sps[lt_idx];
            h->UsedByCurrPicLt[i] = s->used_by_curr_pic_lt_sps_flag[lt_idx];
        } else {
            h->PocLsbLt[i] = (int32_t)bits_u(b, s->log2_max_pic_order_cnt_lsb);
            h->UsedByCurrPicLt[i] = bits_u1(b);
        }
        h->delta_poc_msb_present_flag[i] = bits_u1(b);
        h->DeltaPocMsbCycleLt[i] =
            h->delta_poc_msb_present_flag[i] ? bounded(b, INT_MAX / 4, &ok) : 0;
        if (i != 0 && i != in_sps) // (7-52)
            h->DeltaPocMsbCycleLt[i] = (int32_t)((uint32_t)h->DeltaPocMsbCycleLt[i] +
                                                 (uint32_t)h->DeltaPocMsbCycleLt[i - 1]);
    }
    return ok;
}

static bool pred_weight_table(bits *const b, const sps *const s, slice_header *const h) {
    bool ok = true;
    const bool chroma = s->ChromaArrayType != 0;
    h->luma_log2_weight_denom = bounded(b, 7, &ok);
    h->ChromaLog2WeightDenom = h->luma_log2_weight_denom + (chroma ? bounded_se(b, -7, 7, &ok) : 0);
    if (h->ChromaLog2WeightDenom < 0 || h->ChromaLog2WeightDenom > 7)
        return false;
    const bool high = s->high_precision_offsets_enabled_flag;
    const int half_y = 1 << (high ? s->BitDepthY - 1 : 7),
              half_c = 1 << (high ? s->BitDepthC - 1 : 7);
    const int unit_y = 1 << (high ? 0 : s->BitDepthY - 8),
              unit_c = 1 << (high ? 0 : s->BitDepthC - 8);
    for (int list = 0; list < (h->slice_type == SLICE_B ? 2 : 1); list++) {
        bool luma_flag[MAX_REFS], chroma_flag[MAX_REFS] = {false};
        for (int i = 0; i < h->num_ref_idx_active[list]; i++)
            luma_flag[i] = bits_u1(b);
        for (int i = 0; chroma && i < h->num_ref_idx_active[list]; i++)
            chroma_flag[i] = bits_u1(b);
        for (int i = 0; i < h->num_ref_idx_active[list]; i++) {
            int32_t *const w = h->weight[list][i], *const o = h->offset[list][i];
            w[0] = 1 << h->luma_log2_weight_denom;
            w[1] = w[2] = 1 << h->ChromaLog2WeightDenom;
            o[0] = o[1] = o[2] = 0;
            if (luma_flag[i]) {
                w[0] += bounded_se(b, -128, 127, &ok);
                o[0] = bounded_se(b, -half_y, half_y - 1, &ok) * unit_y;
            }
            for (int c = 1; chroma_flag[i] && c < 3; c++) {
                w[c] += bounded_se(b, -128, 127, &ok);
                const int delta = bounded_se(b, -4 * half_c, 4 * half_c - 1, &ok);
                o[c] = iclip(half_c + delta - ((half_c * w[c]) >> h->ChromaLog2WeightDenom),
                             -half_c, half_c - 1) *
                       unit_c;
            }
        }
    }
    return ok;
}

static bool inter_elements(bits *const b, const sps *const s, const pps *const p,
                           slice_header *const h) {
    bool ok = true;
    const int lists = h->slice_type == SLICE_B ? 2 : 1;
    h->num_ref_idx_active[0] = p->num_ref_idx_default_active[0];
    h->num_ref_idx_active[1] = lists == 2 ? p->num_ref_idx_default_active[1] : 0;
    if (bits_u1(b))
        for (int list = 0; list < lists; list++)
            h->num_ref_idx_active[list] = 1 + bounded(b, 14, &ok);
    if (h->NumPicTotalCurr == 0)
        return false;
    if (p->lists_modification_present_flag && h->NumPicTotalCurr > 1)
        for (int list = 0; list < lists; list++) {
            h->ref_pic_list_modification_flag[list] = bits_u1(b);
            for (int i = 0;
                 h->ref_pic_list_modification_flag[list] && i < h->num_ref_idx_active[list]; i++) {
                h->list_entry[list][i] = (int)bits_v(b, ceil_log2((uint32_t)h->NumPicTotalCurr));
                ok &= h->list_entry[list][i] < h->NumPicTotalCurr;
            }
        }
    h->mvd_l1_zero_flag = lists == 2 && bits_u1(b);
    h->cabac_init_flag = p->cabac_init_present_flag && bits_u1(b);
    h->collocated_from_l0_flag = true;
    if (h->slice_temporal_mvp_enabled_flag) {
        if (lists == 2)
            h->collocated_from_l0_flag = bits_u1(b);
        const int n = h->num_ref_idx_active[!h->collocated_from_l0_flag];
        if (n > 1)
            h->collocated_ref_idx = bounded(b, (uint32_t)(n - 1), &ok);
    }
    if (lists == 1 ? p->weighted_pred_flag : p->weighted_bipred_flag)
        ok = ok && pred_weight_table(b, s, h);
    h->MaxNumMergeCand = 5 - bounded(b, 4, &ok);
    return ok;
}

static bool order_and_references(bits *const b, const sps *const s, slice_header *const h) {
    h->slice_pic_order_cnt_lsb = (int)bits_u(b, s->log2_max_pic_order_cnt_lsb);
    if (!bits_u1(b)) { // short_term_ref_pic_set_sps_flag
        rps sets[MAX_RPS + 1];
        const int n = s->num_short_term_ref_pic_sets;
        memcpy(sets, s->sets, sizeof sets);
        if (!hevc_parse_rps(b, sets, n, n, s->max_dec_pic_buffering - 1))
            return false;
        h->st = sets[n];
    } else {
        const uint32_t idx = bits_v(b, ceil_log2((uint32_t)s->num_short_term_ref_pic_sets));
        if (idx >= (uint32_t)s->num_short_term_ref_pic_sets)
            return false;
        h->st = s->sets[idx];
    }
    if (s->long_term_ref_pics_present_flag && !long_term_pictures(b, s, h))
        return false;
    h->slice_temporal_mvp_enabled_flag = s->temporal_mvp_enabled_flag && bits_u1(b);
    for (int i = 0; i < h->st.NumNegativePics; i++)
        h->NumPicTotalCurr += h->st.UsedByCurrPicS0[i];
    for (int i = 0; i < h->st.NumPositivePics; i++)
        h->NumPicTotalCurr += h->st.UsedByCurrPicS1[i];
    for (int i = 0; i < h->num_long_term; i++)
        h->NumPicTotalCurr += h->UsedByCurrPicLt[i];
    return h->NumPicTotalCurr <= MAX_REFS;
}

static bool quantisation_and_filters(bits *const b, const sps *const s, const pps *const p,
                                     slice_header *const h) {
    bool ok = true;
    h->SliceQpY = 26 + p->init_qp_minus26 + bounded_se(b, -128, 127, &ok);
    ok &= h->SliceQpY >= -6 * (s->BitDepthY - 8) && h->SliceQpY <= 51;
    if (p->slice_chroma_qp_offsets_present_flag) {
        h->slice_cb_qp_offset = bounded_se(b, -12, 12, &ok);
        h->slice_cr_qp_offset = bounded_se(b, -12, 12, &ok);
    }
    h->cu_chroma_qp_offset_enabled_flag = p->chroma_qp_offset_list_enabled_flag && bits_u1(b);
    const bool overrides = p->deblocking_filter_override_enabled_flag && bits_u1(b);
    h->deblocking_filter_disabled_flag = p->deblocking_filter_disabled_flag;
    h->beta_offset_div2 = p->beta_offset_div2;
    h->tc_offset_div2 = p->tc_offset_div2;
    if (overrides) {
        h->deblocking_filter_disabled_flag = bits_u1(b);
        if (!h->deblocking_filter_disabled_flag) {
            h->beta_offset_div2 = bounded_se(b, -6, 6, &ok);
            h->tc_offset_div2 = bounded_se(b, -6, 6, &ok);
        }
    }
    h->loop_filter_across_slices_enabled_flag = p->loop_filter_across_slices_enabled_flag;
    if (p->loop_filter_across_slices_enabled_flag &&
        (h->slice_sao_luma_flag || h->slice_sao_chroma_flag || !h->deblocking_filter_disabled_flag))
        h->loop_filter_across_slices_enabled_flag = bits_u1(b);
    return ok;
}

static bool independent(bits *const b, const sps *const s, const pps *const p,
                        slice_header *const h) {
    bool ok = true;
    for (int i = 0; i < p->num_extra_slice_header_bits; i++)
        bits_u1(b);
    h->slice_type = bounded(b, 2, &ok);
    h->pic_output_flag = !p->output_flag_present_flag || bits_u1(b);
    if (s->separate_colour_plane_flag)
        bits_u(b, 2); // colour_plane_id
    if (!ok || (!is_idr(h->nal_unit_type) && !order_and_references(b, s, h)))
        return false;
    if (s->sample_adaptive_offset_enabled_flag) {
        h->slice_sao_luma_flag = bits_u1(b);
        h->slice_sao_chroma_flag = s->ChromaArrayType != 0 && bits_u1(b);
    }
    if (h->slice_type != SLICE_I && !inter_elements(b, s, p, h))
        return false;
    return quantisation_and_filters(b, s, p, h);
}

static bool entry_points(bits *const b, const sps *const s) {
    bool ok = true;
    const int n = bounded(b, (uint32_t)(s->PicWidthInCtbs * s->PicHeightInCtbs), &ok);
    if (n > 0) {
        const int length = 1 + bounded(b, 31, &ok);
        // The places follow from the data: a run of bins says where it ends.
        for (int i = 0; i < n && !bits_overrun(b); i++)
            bits_u(b, length);
    }
    return ok;
}

int hevc_parse_slice_header(hevc_decoder *const dec, const nal_unit *const nal, bits *const b,
                            slice_header *const h, const sps **const s_out,
                            const pps **const p_out) {
    const bool first = bits_u1(b);
    const bool no_output = is_irap(nal->nal_unit_type) && bits_u1(b);
    const uint32_t id = bits_ue(b);
    const pps *const p = id < MAX_PPS ? dec->pps[id] : NULL;
    const sps *const s = p == NULL ? NULL : dec->sps[p->pps_seq_parameter_set_id];
    if (s == NULL) {
        dec->warnings[HEVC_WARN_NO_PARAMETER_SET]++;
        return hevc_error(dec, HEVC_CORRUPT, "slice of an unknown parameter set");
    }
    if (s->unsupported != NULL || p->unsupported != NULL)
        return hevc_error(dec, HEVC_UNSUPPORTED, "%s cannot be decoded",
                          s->unsupported != NULL ? s->unsupported : p->unsupported);
    if (s->separate_colour_plane_flag)
        return hevc_error(dec, HEVC_UNSUPPORTED, "separate colour planes cannot be decoded");
    const bool dependent = !first && p->dependent_slice_segments_enabled_flag && bits_u1(b);
    const uint32_t ctbs = (uint32_t)(s->PicWidthInCtbs * s->PicHeightInCtbs);
    const uint32_t address = first ? 0 : bits_v(b, ceil_log2(ctbs));
    if (address >= ctbs || (!first && address == 0))
        return hevc_error(dec, HEVC_CORRUPT, "slice segment address %u of %u", address, ctbs);
    if (!dependent) {
        memset(h, 0, sizeof *h);
        h->SliceAddrRs = -1;
    }
    h->nal_unit_type = nal->nal_unit_type;
    h->TemporalId = nal->TemporalId;
    h->first_slice_segment_in_pic_flag = first;
    h->no_output_of_prior_pics_flag = no_output;
    h->pps_id = (int)id;
    h->dependent_slice_segment_flag = dependent;
    h->slice_segment_address = (int)address;
    *s_out = s;
    *p_out = p;
    bool ok = dependent || independent(b, s, p, h);
    if (ok && (p->tiles_enabled_flag || p->entropy_coding_sync_enabled_flag))
        ok = entry_points(b, s);
    if (ok && p->slice_segment_header_extension_present_flag) {
        const uint32_t length = bits_ue(b);
        ok = length <= 256;
        for (uint32_t i = 0; ok && i < length; i++)
            bits_u(b, 8);
    }
    bits_u1(b); // alignment_bit_equal_to_one
    b->pos = (b->pos + 7) & ~7u;
    if (!ok || bits_overrun(b))
        return hevc_error(dec, HEVC_CORRUPT, "slice segment header breaks the syntax");
    return HEVC_OK;
}
