/* 7.3.3: the slice header, with the range checks of 7.4.3, and the test for the first slice of a
 * picture (7.4.1.2.4). The macroblocks that follow are in slice_data.c. */
#include "stream.h"

typedef struct reader {
    bits *b;
    bool bad; // an element was out of range
} reader;

static int ue_max(reader *const r, const uint32_t max) {
    const uint32_t v = bits_ue(r->b);
    if (v <= max)
        return (int)v;
    r->bad = true;
    return 0;
}

static int se_range(reader *const r, const int min, const int max) {
    const int32_t v = bits_se(r->b);
    if (v >= min && v <= max)
        return v;
    r->bad = true;
    return 0;
}

/* 7.3.3.1. modification_of_pic_nums_idc 4 and 5 belong to MVC. */
static void ref_pic_list_modification(reader *const r, slice_header *const h, const int list,
                                      const sps *const s) {
    const uint32_t MaxPicNum = 1u << (s->log2_max_frame_num + h->field_pic_flag);
    h->n_mods[list] = 0;
    if (h->num_ref_idx_active[list] == 0 || !bits_u1(r->b)) // ref_pic_list_modification_flag_lX
        return;
    for (;;) {
        const int idc = ue_max(r, 3);
        if (idc == 3 || r->bad)
            return;
        if (h->n_mods[list] == h->num_ref_idx_active[list]) {
            r->bad = true;
            return;
        }
        ref_list_mod *const mod = &h->mods[list][h->n_mods[list]++];
        mod->idc = (uint8_t)idc;
        mod->value = (uint32_t)ue_max(r, MaxPicNum - 1);
    }
}

/* 7.3.3.2, one list */
static void pred_weights(reader *const r, slice_header *const h, const int list,
                         const bool chroma) {
    for (int i = 0; i < h->num_ref_idx_active[list]; i++) {
        int16_t *const weight = h->weight[list][i], *const offset = h->offset[list][i];
        weight[0] = (int16_t)(1 << h->luma_log2_weight_denom);
        weight[1] = weight[2] = (int16_t)(1 << h->chroma_log2_weight_denom);
        offset[0] = offset[1] = offset[2] = 0;
        h->weight_flag[list][i][0] = bits_u1(r->b); // luma_weight_lX_flag
        if (h->weight_flag[list][i][0]) {
            weight[0] = (int16_t)se_range(r, -128, 127);
            offset[0] = (int16_t)se_range(r, -128, 127);
        }
        h->weight_flag[list][i][1] = chroma && bits_u1(r->b); // chroma_weight_lX_flag
        for (int c = 1; c < 3 && h->weight_flag[list][i][1]; c++) {
            weight[c] = (int16_t)se_range(r, -128, 127);
            offset[c] = (int16_t)se_range(r, -128, 127);
        }
    }
}

static void pred_weight_table(reader *const r, slice_header *const h, const sps *const s) {
    const bool chroma = s->ChromaArrayType != 0;
    h->luma_log2_weight_denom = ue_max(r, 7);
    h->chroma_log2_weight_denom = chroma ? ue_max(r, 7) : 0;
    pred_weights(r, h, 0, chroma);
    pred_weights(r, h, 1, chroma);
}

/* 7.3.3.3 */
static void dec_ref_pic_marking(reader *const r, slice_header *const h, const sps *const s) {
    const uint32_t max_diff = (1u << (s->log2_max_frame_num + 1)) - 1;
    if (h->IdrPicFlag) {
        h->no_output_of_prior_pics_flag = bits_u1(r->b);
        h->long_term_reference_flag = bits_u1(r->b);
        return;
    }
    h->adaptive_ref_pic_marking_mode_flag = bits_u1(r->b);
    if (!h->adaptive_ref_pic_marking_mode_flag)
        return;
    for (;;) {
        const int op = ue_max(r, 6); // memory_management_control_operation
        if (op == 0 || r->bad)
            return;
        if (h->n_mmco == MAX_MMCO) {
            r->bad = true;
            return;
        }
        mmco_op *const m = &h->mmco[h->n_mmco++];
        *m = (mmco_op){.op = op};
        if (op == 1 || op == 3)
            m->difference_of_pic_nums_minus1 = (uint32_t)ue_max(r, max_diff);
        if (op == 2)
            m->long_term_pic_num = (uint32_t)ue_max(r, 2 * MAX_DPB_FRAMES - 1);
        if (op == 3 || op == 6)
            m->long_term_frame_idx = (uint32_t)ue_max(r, MAX_DPB_FRAMES - 1);
        if (op == 4)
            m->max_long_term_frame_idx_plus1 = (uint32_t)ue_max(r, MAX_DPB_FRAMES);
    }
}

/* From frame_num to delta_pic_order_cnt[1]: what tells pictures apart. */
static void picture_identity(reader *const r, slice_header *const h, const sps *const s,
                             const pps *const p) {
    if (s->separate_colour_plane_flag)
        h->colour_plane_id = (int)bits_u(r->b, 2);
    if (h->colour_plane_id > 2)
        r->bad = true;
    h->frame_num = (int)bits_u(r->b, s->log2_max_frame_num);
    if (!s->frame_mbs_only_flag) {
        h->field_pic_flag = bits_u1(r->b);
        if (h->field_pic_flag)
            h->bottom_field_flag = bits_u1(r->b);
    }
    h->MbaffFrameFlag = s->mb_adaptive_frame_field_flag && !h->field_pic_flag;
    h->structure = !h->field_pic_flag ? FRAME : h->bottom_field_flag ? BOTTOM_FIELD : TOP_FIELD;
    if (h->IdrPicFlag)
        h->idr_pic_id = (uint32_t)ue_max(r, 65535);
    const bool frame_with_delta =
        p->bottom_field_pic_order_in_frame_present_flag && !h->field_pic_flag;
    if (s->pic_order_cnt_type == 0) {
        h->pic_order_cnt_lsb = bits_u(r->b, s->log2_max_pic_order_cnt_lsb);
        if (frame_with_delta)
            h->delta_pic_order_cnt_bottom = bits_se(r->b);
    } else if (s->pic_order_cnt_type == 1 && !s->delta_pic_order_always_zero_flag) {
        h->delta_pic_order_cnt[0] = bits_se(r->b);
        if (frame_with_delta)
            h->delta_pic_order_cnt[1] = bits_se(r->b);
    }
    if (p->redundant_pic_cnt_present_flag)
        h->redundant_pic_cnt = ue_max(r, 127);
}

static void reference_counts(reader *const r, slice_header *const h, const pps *const p) {
    const bool inter = h264_is_inter_slice(h);
    h->num_ref_idx_active[0] = h->num_ref_idx_active[1] = 0;
    if (!inter)
        return;
    const uint32_t max_minus1 = h->field_pic_flag ? 31 : 15;
    if (h->slice_type == SLICE_B)
        h->direct_spatial_mv_pred_flag = bits_u1(r->b);
    const bool override = bits_u1(r->b); // num_ref_idx_active_override_flag
    for (int list = 0; list < (h->slice_type == SLICE_B ? 2 : 1); list++) {
        const int n = override ? 1 + ue_max(r, max_minus1) : p->num_ref_idx_default_active[list];
        if (n > (int)max_minus1 + 1)
            r->bad = true;
        else
            h->num_ref_idx_active[list] = n;
    }
}

static void quantiser_and_filter(reader *const r, slice_header *const h, const sps *const s,
                                 const pps *const p) {
    const bool switching = h->slice_type == SLICE_SP || h->slice_type == SLICE_SI;
    h->SliceQPY = p->pic_init_qp + se_range(r, -128, 128); // slice_qp_delta
    if (h->SliceQPY < -6 * (s->BitDepthY - 8) || h->SliceQPY > 51)
        r->bad = true;
    if (h->slice_type == SLICE_SP)
        h->sp_for_switch_flag = bits_u1(r->b);
    if (switching) {
        h->QSY = p->pic_init_qs + se_range(r, -128, 128); // slice_qs_delta
        if (h->QSY < 0 || h->QSY > 51)
            r->bad = true;
    }
    h->disable_deblocking_filter_idc = h->FilterOffsetA = h->FilterOffsetB = 0;
    if (p->deblocking_filter_control_present_flag) {
        h->disable_deblocking_filter_idc = ue_max(r, 2);
        if (h->disable_deblocking_filter_idc != 1) {
            h->FilterOffsetA = 2 * se_range(r, -6, 6);
            h->FilterOffsetB = 2 * se_range(r, -6, 6);
        }
    }
}

static void slice_group_change_cycle(reader *const r, slice_header *const h, const sps *const s,
                                     const pps *const p) {
    if (p->num_slice_groups < 2 || p->slice_group_map_type < 3 || p->slice_group_map_type > 5)
        return;
    const uint32_t units = (uint32_t)(s->PicWidthInMbs * s->PicHeightInMapUnits);
    const uint32_t rate = (uint32_t)p->slice_group_change_rate;
    const uint32_t max = (units + rate - 1) / rate; // 7.4.3
    int n = 0;                                      // Ceil(Log2(max + 1))
    while (1u << n < max + 1)
        n++;
    h->slice_group_change_cycle = n > 0 ? bits_u(r->b, n) : 0;
    if (h->slice_group_change_cycle > max)
        r->bad = true;
}

/* Everything before the arrays: the arrays are filled as far as their counts go. */
static void clear_header(slice_header *const h, const nal_unit *const nal) {
    h->nal_ref_idc = nal->nal_ref_idc;
    h->nal_unit_type = nal->nal_unit_type;
    h->IdrPicFlag = nal->nal_unit_type == NAL_IDR;
    h->colour_plane_id = h->frame_num = 0;
    h->field_pic_flag = h->bottom_field_flag = h->MbaffFrameFlag = false;
    h->idr_pic_id = h->pic_order_cnt_lsb = 0;
    h->delta_pic_order_cnt_bottom = h->delta_pic_order_cnt[0] = h->delta_pic_order_cnt[1] = 0;
    h->redundant_pic_cnt = 0;
    h->direct_spatial_mv_pred_flag = false;
    h->luma_log2_weight_denom = h->chroma_log2_weight_denom = 0;
    h->no_output_of_prior_pics_flag = h->long_term_reference_flag =
        h->adaptive_ref_pic_marking_mode_flag = false;
    h->n_mmco = 0;
    h->cabac_init_idc = h->QSY = 0;
    h->sp_for_switch_flag = false;
    h->slice_group_change_cycle = 0;
}

/* The PPS named, and the SPS it names: the active copy, unless an IDR picture or a recovery point
 * may bring another. */
static int parameter_sets(h264_decoder *const dec, const slice_header *const h) {
    stream_state *const s = dec->stream;
    s->next_pps = &dec->stream->pps[h->pic_parameter_set_id];
    s->next_sps = &dec->stream->sps[s->next_pps->seq_parameter_set_id];
    if (!s->next_pps->valid || !s->next_sps->valid) {
        dec->warnings[H264_WARN_NO_PARAMETER_SET]++;
        return h264_error(dec, H264_CORRUPT, "slice names parameter set %d, which never came",
                          h->pic_parameter_set_id);
    }
    const sps *const active = &dec->active_sps;
    const bool may_change = h->IdrPicFlag || s->recovery.pending;
    if (active->valid && active->seq_parameter_set_id == s->next_sps->seq_parameter_set_id &&
        (!may_change || memcmp(active, s->next_sps, sizeof *active) == 0))
        s->next_sps = active;
    return H264_OK;
}

int h264_parse_slice_header(h264_decoder *const dec, const nal_unit *const nal, bits *const b) {
    stream_state *const state = dec->stream;
    slice_header *const h = &state->next;
    reader r = {.b = b};
    clear_header(h, nal);
    h->first_mb_in_slice = bits_ue(b);
    h->slice_type = ue_max(&r, 9) % 5;
    h->pic_parameter_set_id = ue_max(&r, MAX_PPS - 1);
    if (r.bad || bits_overrun(b))
        return h264_error(dec, H264_CORRUPT, "NAL unit type %d: bad slice header",
                          nal->nal_unit_type);
    const int rc = parameter_sets(dec, h);
    if (rc < 0)
        return rc;
    const sps *const s = state->next_sps;
    const pps *const p = state->next_pps;

    picture_identity(&r, h, s, p);
    reference_counts(&r, h, p);
    ref_pic_list_modification(&r, h, 0, s);
    ref_pic_list_modification(&r, h, 1, s);
    if ((p->weighted_pred_flag && (h->slice_type == SLICE_P || h->slice_type == SLICE_SP)) ||
        (p->weighted_bipred_idc == 1 && h->slice_type == SLICE_B))
        pred_weight_table(&r, h, s);
    if (h->nal_ref_idc != 0)
        dec_ref_pic_marking(&r, h, s);
    if (p->entropy_coding_mode_flag && h264_is_inter_slice(h))
        h->cabac_init_idc = ue_max(&r, 2);
    quantiser_and_filter(&r, h, s, p);
    slice_group_change_cycle(&r, h, s, p);

    const uint32_t units = (uint32_t)(s->PicWidthInMbs * s->FrameHeightInMbs) >>
                           (h->field_pic_flag || h->MbaffFrameFlag);
    const bool idr_ok = h->nal_ref_idc != 0 && !h264_is_inter_slice(h);
    if (r.bad || bits_overrun(b) || h->first_mb_in_slice >= units || (h->IdrPicFlag && !idr_ok))
        return h264_error(dec, H264_CORRUPT, "NAL unit type %d: bad slice header",
                          nal->nal_unit_type);
    return H264_OK;
}

/* 7.4.1.2.4, except that another PPS alone begins no new picture: legal pictures always differ
 * elsewhere too, and encoders that change the PPS from slice to slice exist. */
bool h264_first_of_picture(const slice_header *const last, const slice_header *const h,
                           const sps *const s) {
    if (last->frame_num != h->frame_num || last->structure != h->structure ||
        last->IdrPicFlag != h->IdrPicFlag || (last->nal_ref_idc == 0) != (h->nal_ref_idc == 0))
        return true;
    if (h->IdrPicFlag && last->idr_pic_id != h->idr_pic_id)
        return true;
    if (s->pic_order_cnt_type == 0)
        return last->pic_order_cnt_lsb != h->pic_order_cnt_lsb ||
               last->delta_pic_order_cnt_bottom != h->delta_pic_order_cnt_bottom;
    if (s->pic_order_cnt_type == 1)
        return last->delta_pic_order_cnt[0] != h->delta_pic_order_cnt[0] ||
               last->delta_pic_order_cnt[1] != h->delta_pic_order_cnt[1];
    return false;
}
