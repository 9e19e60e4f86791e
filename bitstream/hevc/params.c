/* 7.3.2.2 to 7.3.2.3, 7.3.3, 7.3.4, 7.3.7, Annex E: sequence and picture parameter sets.
 *
 * A set is parsed into a fresh structure and replaces the old one only when it is good. Values are
 * checked against 7.4.3 where they are read. Nothing of a video parameter set is needed. */
#include <stdlib.h>

#include "internal.h"

// ------------------------------------------------------------------------------- small structures

static void skip_profile(bits *const b, int *const profile_idc) { // 88 bits of 7.3.3
    bits_u(b, 3); // general_profile_space, general_tier_flag
    const int idc = (int)bits_u(b, 5);
    const uint32_t compatible = bits_u(b, 32);
    if (profile_idc != NULL) {
        *profile_idc = idc;
        for (int i = 1; idc == 0 && i < 12 && *profile_idc == 0; i++) // only compatible with one
            if (compatible >> (31 - i) & 1)
                *profile_idc = i;
    }
    bits_u(b, 32);
    bits_u(b, 16);
}

static void profile_tier_level(bits *const b, sps *const s) {
    skip_profile(b, &s->profile_idc);
    s->level_idc = (int)bits_u(b, 8);
    bool profile[MAX_SUB_LAYERS + 1], level[MAX_SUB_LAYERS + 1];
    for (int i = 0; i < s->max_sub_layers_minus1; i++) {
        profile[i] = bits_u1(b);
        level[i] = bits_u1(b);
    }
    if (s->max_sub_layers_minus1 > 0)
        for (int i = s->max_sub_layers_minus1; i < 8; i++)
            bits_u(b, 2);
    for (int i = 0; i < s->max_sub_layers_minus1; i++) {
        if (profile[i])
            skip_profile(b, NULL);
        if (level[i])
            bits_u(b, 8);
    }
}

// Table 7-6, in the order the lists are sent
static const uint8_t default_8x8[2 /* intra, inter */][64] = {
    {16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 17, 16, 17, 16, 17, 18, 17, 18, 18, 17, 18, 21,
     19, 20, 21, 20, 19, 21, 24, 22, 22, 24, 24, 22, 22, 24, 25, 25, 27, 30, 27, 25, 25, 29,
     31, 35, 35, 31, 29, 36, 41, 44, 41, 36, 47, 54, 54, 47, 65, 70, 65, 88, 88, 115},
    {16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 17, 17, 17, 17, 17, 18, 18, 18, 18, 18, 18, 20,
     20, 20, 20, 20, 20, 20, 24, 24, 24, 24, 24, 24, 24, 24, 25, 25, 25, 25, 25, 25, 25, 28,
     28, 28, 28, 28, 28, 33, 33, 33, 33, 33, 41, 41, 41, 41, 54, 54, 54, 71, 71, 91}};

static void default_list(scaling_list *const s, const int sizeId, const int matrixId) {
    if (sizeId == 0) {
        memset(s->list4x4[matrixId], 16, 16);
        return;
    }
    memcpy(s->list8x8[sizeId - 1][matrixId], default_8x8[matrixId >= 3], 64);
    if (sizeId > 1)
        s->dc[sizeId - 2][matrixId] = 16;
}

void hevc_scaling_default(scaling_list *const s) {
    for (int sizeId = 0; sizeId < 4; sizeId++)
        for (int matrixId = 0; matrixId < 6; matrixId++)
            default_list(s, sizeId, matrixId);
}

// In 4:4:4 the 32x32 lists of chroma are those of 16x16.
static void chroma_32x32(scaling_list *const s) {
    for (int matrixId = 0; matrixId < 6; matrixId++) {
        if (matrixId % 3 == 0)
            continue;
        memcpy(s->list8x8[2][matrixId], s->list8x8[1][matrixId], 64);
        s->dc[1][matrixId] = s->dc[0][matrixId];
    }
}

static void copy_list(scaling_list *const s, const int sizeId, const int to, const int from) {
    if (sizeId == 0) {
        memcpy(s->list4x4[to], s->list4x4[from], 16);
        return;
    }
    memcpy(s->list8x8[sizeId - 1][to], s->list8x8[sizeId - 1][from], 64);
    if (sizeId > 1)
        s->dc[sizeId - 2][to] = s->dc[sizeId - 2][from];
}

bool hevc_parse_scaling_list(bits *const b, scaling_list *const s, const int chroma_format_idc) {
    hevc_scaling_default(s);
    for (int sizeId = 0; sizeId < 4; sizeId++) {
        const int step = sizeId == 3 ? 3 : 1;
        for (int matrixId = 0; matrixId < 6; matrixId += step) {
            if (!bits_u1(b)) { // scaling_list_pred_mode_flag
                const uint32_t delta = bits_ue(b);
                if (delta > (uint32_t)(matrixId / step))
                    return false;
                if (delta == 0)
                    default_list(s, sizeId, matrixId);
                else
                    copy_list(s, sizeId, matrixId, matrixId - (int)delta * step);
                continue;
            }
            int nextCoef = 8;
            const int n = imin(64, 1 << (4 + (sizeId << 1)));
            if (sizeId > 1) {
                const int32_t dc = bits_se(b);
                if (dc < -7 || dc > 247)
                    return false;
                nextCoef = dc + 8;
                s->dc[sizeId - 2][matrixId] = (uint8_t)nextCoef;
            }
            uint8_t *const list =
                sizeId == 0 ? s->list4x4[matrixId] : s->list8x8[sizeId - 1][matrixId];
            for (int i = 0; i < n; i++) {
                const int32_t delta = bits_se(b);
                if (delta < -128 || delta > 127)
                    return false;
                nextCoef = (nextCoef + delta + 256) & 255;
                list[i] = (uint8_t)nextCoef;
            }
        }
    }
    if (chroma_format_idc == 3)
        chroma_32x32(s);
    return true;
}

// ------------------------------------------------------------------- reference picture sets, 7.4.8

// (7-61), (7-62): one list of a predicted set
static bool predict_rps(rps *const set, const rps *const ref, const int32_t deltaRps,
                        const bool *const used, const bool *const use_delta, const int max_pics) {
    const int n0 = ref->NumNegativePics, n1 = ref->NumPositivePics;
    for (int side = 0; side < 2; side++) {
        int32_t *const delta = side == 0 ? set->DeltaPocS0 : set->DeltaPocS1;
        bool *const by_curr = side == 0 ? set->UsedByCurrPicS0 : set->UsedByCurrPicS1;
        const int sign = side == 0 ? 1 : -1;
        int n = 0;
        // from the other side, far to near; the picture itself; then the same side, near to far
        for (int k = 0; k < n0 + n1 + 1; k++) {
            const int other = side == 0 ? n1 : n0;
            int j; // place in used[]
            int32_t d;
            if (k < other) {
                const int i = other - 1 - k;
                j = side == 0 ? n0 + i : i;
                d = (side == 0 ? ref->DeltaPocS1[i] : ref->DeltaPocS0[i]) + deltaRps;
            } else if (k == other) {
                j = n0 + n1;
                d = deltaRps;
            } else {
                const int i = k - other - 1;
                j = side == 0 ? i : n0 + i;
                d = (side == 0 ? ref->DeltaPocS0[i] : ref->DeltaPocS1[i]) + deltaRps;
            }
            if (d * sign >= 0 || !use_delta[j])
                continue;
            if (n == max_pics)
                return false;
            delta[n] = d;
            by_curr[n++] = used[j];
        }
        if (side == 0)
            set->NumNegativePics = n;
        else
            set->NumPositivePics = n;
    }
    return set->NumNegativePics + set->NumPositivePics <= max_pics;
}

bool hevc_parse_rps(bits *const b, rps *const sets, const int idx, const int num,
                    const int max_pics) {
    rps *const set = &sets[idx];
    memset(set, 0, sizeof *set);
    if (idx != 0 && bits_u1(b)) { // inter_ref_pic_set_prediction_flag
        const uint32_t delta_idx = idx == num ? bits_ue(b) : 0;
        if (delta_idx >= (uint32_t)idx)
            return false;
        const rps *const ref = &sets[idx - 1 - (int)delta_idx];
        const bool negative = bits_u1(b);
        const uint32_t abs_delta = bits_ue(b);
        if (abs_delta > 32767)
            return false;
        const int32_t deltaRps = negative ? -(int32_t)abs_delta - 1 : (int32_t)abs_delta + 1;
        bool used[2 * MAX_REFS + 1], use_delta[2 * MAX_REFS + 1];
        for (int j = 0; j <= ref->NumNegativePics + ref->NumPositivePics; j++) {
            used[j] = bits_u1(b);
            use_delta[j] = used[j] || bits_u1(b);
        }
        return !bits_overrun(b) && predict_rps(set, ref, deltaRps, used, use_delta, max_pics);
    }
    const uint32_t negative = bits_ue(b), positive = bits_ue(b);
    if (negative > (uint32_t)max_pics || positive > (uint32_t)max_pics - negative)
        return false;
    set->NumNegativePics = (int)negative;
    set->NumPositivePics = (int)positive;
    int32_t poc = 0;
    for (int i = 0; i < (int)negative; i++) {
        const uint32_t d = bits_ue(b);
        if (d > 32767)
            return false;
        poc -= (int32_t)d + 1;
        set->DeltaPocS0[i] = poc;
        set->UsedByCurrPicS0[i] = bits_u1(b);
    }
    poc = 0;
    for (int i = 0; i < (int)positive; i++) {
        const uint32_t d = bits_ue(b);
        if (d > 32767)
            return false;
        poc += (int32_t)d + 1;
        set->DeltaPocS1[i] = poc;
        set->UsedByCurrPicS1[i] = bits_u1(b);
    }
    return !bits_overrun(b);
}

// -------------------------------------------------------------------------------------- Annex E

static bool sub_layer_hrd(bits *const b, const uint32_t cpb_cnt, const bool sub_pic) {
    for (uint32_t i = 0; i < cpb_cnt; i++) {
        bits_ue(b);
        bits_ue(b);
        if (sub_pic) {
            bits_ue(b);
            bits_ue(b);
        }
        bits_u1(b);
    }
    return !bits_overrun(b);
}

static bool hrd_parameters(bits *const b, const int max_sub_layers_minus1) { // E.2.2
    const bool nal = bits_u1(b), vcl = bits_u1(b);
    bool sub_pic = false;
    if (nal || vcl) {
        sub_pic = bits_u1(b);
        if (sub_pic)
            bits_u(b, 19);
        bits_u(b, 8);
        if (sub_pic)
            bits_u(b, 4);
        bits_u(b, 15);
    }
    for (int i = 0; i <= max_sub_layers_minus1; i++) {
        const bool general = bits_u1(b);
        const bool within_cvs = general || bits_u1(b);
        bool low_delay = false;
        if (within_cvs)
            bits_ue(b); // elemental_duration_in_tc_minus1
        else
            low_delay = bits_u1(b);
        const uint32_t cpb_cnt_minus1 = low_delay ? 0 : bits_ue(b);
        if (cpb_cnt_minus1 > 31)
            return false;
        if (nal && !sub_layer_hrd(b, cpb_cnt_minus1 + 1, sub_pic))
            return false;
        if (vcl && !sub_layer_hrd(b, cpb_cnt_minus1 + 1, sub_pic))
            return false;
    }
    return true;
}

static bool vui_parameters(bits *const b, sps *const s) { // E.2.1
    static const uint8_t sar[17][2] = {{0, 0},   {1, 1},    {12, 11}, {10, 11}, {16, 11}, {40, 33},
                                       {24, 11}, {20, 11},  {32, 11}, {80, 33}, {18, 11}, {15, 11},
                                       {64, 33}, {160, 99}, {4, 3},   {3, 2},   {2, 1}};
    if (bits_u1(b)) {
        const uint32_t idc = bits_u(b, 8);
        if (idc == 255) {
            s->sar_width = (int)bits_u(b, 16);
            s->sar_height = (int)bits_u(b, 16);
        } else if (idc < 17) {
            s->sar_width = sar[idc][0];
            s->sar_height = sar[idc][1];
        }
    }
    if (bits_u1(b))
        bits_u1(b); // overscan_appropriate_flag
    if (bits_u1(b)) {
        bits_u(b, 3); // video_format
        s->video_full_range_flag = (int)bits_u1(b);
        if (bits_u1(b)) {
            s->colour_primaries = (int)bits_u(b, 8);
            s->transfer_characteristics = (int)bits_u(b, 8);
            s->matrix_coeffs = (int)bits_u(b, 8);
        }
    }
    if (bits_u1(b)) { // chroma_loc_info_present_flag
        bits_ue(b);
        bits_ue(b);
    }
    bits_u1(b); // neutral_chroma_indication_flag
    s->field_seq_flag = bits_u1(b);
    bits_u1(b);       // frame_field_info_present_flag
    if (bits_u1(b)) { // default_display_window_flag
        for (int i = 0; i < 4; i++)
            bits_ue(b);
    }
    if (bits_u1(b)) {
        s->num_units_in_tick = bits_u(b, 32);
        s->time_scale = bits_u(b, 32);
        if (bits_u1(b))
            bits_ue(b);
        if (bits_u1(b) && !hrd_parameters(b, s->max_sub_layers_minus1))
            return false;
    }
    if (bits_u1(b)) { // bitstream_restriction_flag
        bits_u(b, 3);
        for (int i = 0; i < 5; i++)
            bits_ue(b);
    }
    return !bits_overrun(b);
}

// -------------------------------------------------------------------------- sequence parameter set

// An element of ue(v) that must not exceed a bound; *ok falls where it does.
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

static bool picture_format(bits *const b, sps *const s) {
    bool ok = true;
    s->chroma_format_idc = bounded(b, 3, &ok);
    s->separate_colour_plane_flag = s->chroma_format_idc == 3 && bits_u1(b);
    s->ChromaArrayType = s->separate_colour_plane_flag ? 0 : s->chroma_format_idc;
    s->sub_x = s->ChromaArrayType == 1 || s->ChromaArrayType == 2;
    s->sub_y = s->ChromaArrayType == 1;
    s->width = bounded(b, 65535, &ok);
    s->height = bounded(b, 65535, &ok);
    if (bits_u1(b)) { // conformance_window_flag
        const int unit_x = s->chroma_format_idc == 1 || s->chroma_format_idc == 2 ? 2 : 1;
        const int unit_y = s->chroma_format_idc == 1 ? 2 : 1;
        s->conf_win_left_offset = bounded(b, 65535, &ok) * unit_x;
        s->conf_win_right_offset = bounded(b, 65535, &ok) * unit_x;
        s->conf_win_top_offset = bounded(b, 65535, &ok) * unit_y;
        s->conf_win_bottom_offset = bounded(b, 65535, &ok) * unit_y;
        ok &= s->conf_win_left_offset + s->conf_win_right_offset < s->width &&
              s->conf_win_top_offset + s->conf_win_bottom_offset < s->height;
    }
    s->BitDepthY = 8 + bounded(b, 8, &ok);
    s->BitDepthC = 8 + bounded(b, 8, &ok);
    if (s->chroma_format_idc == 0) // there is no chroma to have another depth
        s->BitDepthC = s->BitDepthY;
    s->log2_max_pic_order_cnt_lsb = 4 + bounded(b, 12, &ok);
    return ok;
}

static bool buffering(bits *const b, sps *const s) {
    bool ok = true;
    const bool each = bits_u1(b); // sps_sub_layer_ordering_info_present_flag
    for (int i = each ? 0 : s->max_sub_layers_minus1; i <= s->max_sub_layers_minus1; i++) {
        s->max_dec_pic_buffering = 1 + bounded(b, MAX_REFS, &ok);
        s->max_num_reorder_pics = bounded(b, MAX_REFS, &ok);
        s->max_latency_increase_plus1 = (int)imin((int)(bits_ue(b) & 0x7fffffff), 1 << 20);
    }
    return ok;
}

static bool block_sizes(bits *const b, sps *const s) {
    bool ok = true;
    s->MinCbLog2SizeY = 3 + bounded(b, 3, &ok);
    s->CtbLog2SizeY = s->MinCbLog2SizeY + bounded(b, 3, &ok);
    s->MinTbLog2SizeY = 2 + bounded(b, 3, &ok);
    s->MaxTbLog2SizeY = s->MinTbLog2SizeY + bounded(b, 3, &ok);
    s->max_transform_hierarchy_depth_inter = bounded(b, 4, &ok);
    s->max_transform_hierarchy_depth_intra = bounded(b, 4, &ok);
    const int mask = (1 << s->MinCbLog2SizeY) - 1;
    return ok && s->CtbLog2SizeY >= 4 && s->CtbLog2SizeY <= 6 &&
           s->MinTbLog2SizeY < s->MinCbLog2SizeY && s->MaxTbLog2SizeY <= imin(s->CtbLog2SizeY, 5) &&
           s->width > 0 && s->height > 0 && (s->width & mask) == 0 && (s->height & mask) == 0;
}

static bool pcm(bits *const b, sps *const s) {
    bool ok = true;
    s->PcmBitDepthY = 1 + (int)bits_u(b, 4);
    s->PcmBitDepthC = 1 + (int)bits_u(b, 4);
    s->Log2MinIpcmCbSizeY = 3 + bounded(b, 2, &ok);
    s->Log2MaxIpcmCbSizeY = s->Log2MinIpcmCbSizeY + bounded(b, 2, &ok);
    s->pcm_loop_filter_disabled_flag = bits_u1(b);
    return ok && s->PcmBitDepthY <= s->BitDepthY && s->PcmBitDepthC <= s->BitDepthC &&
           s->Log2MaxIpcmCbSizeY <= imin(s->CtbLog2SizeY, 5);
}

static bool reference_sets(bits *const b, sps *const s) {
    bool ok = true;
    s->num_short_term_ref_pic_sets = bounded(b, MAX_RPS, &ok);
    for (int i = 0; ok && i < s->num_short_term_ref_pic_sets; i++)
        ok = hevc_parse_rps(b, s->sets, i, s->num_short_term_ref_pic_sets,
                            s->max_dec_pic_buffering - 1);
    s->long_term_ref_pics_present_flag = bits_u1(b);
    if (ok && s->long_term_ref_pics_present_flag) {
        s->num_long_term_ref_pics_sps = bounded(b, MAX_LT_SPS, &ok);
        for (int i = 0; i < s->num_long_term_ref_pics_sps; i++) {
            s->lt_ref_pic_poc_lsb_sps[i] = bits_u(b, s->log2_max_pic_order_cnt_lsb);
            s->used_by_curr_pic_lt_sps_flag[i] = bits_u1(b);
        }
    }
    return ok;
}

static void sps_range_extension(bits *const b, sps *const s) {
    s->transform_skip_rotation_enabled_flag = bits_u1(b);
    s->transform_skip_context_enabled_flag = bits_u1(b);
    s->implicit_rdpcm_enabled_flag = bits_u1(b);
    s->explicit_rdpcm_enabled_flag = bits_u1(b);
    s->extended_precision_processing_flag = bits_u1(b);
    s->intra_smoothing_disabled_flag = bits_u1(b);
    s->high_precision_offsets_enabled_flag = bits_u1(b);
    s->persistent_rice_adaptation_enabled_flag = bits_u1(b);
    s->cabac_bypass_alignment_enabled_flag = bits_u1(b);
    if (s->extended_precision_processing_flag)
        s->unsupported = "extended precision processing";
}

static void sps_extensions(bits *const b, sps *const s) {
    if (!bits_u1(b)) // sps_extension_present_flag
        return;
    const bool range = bits_u1(b);
    bits_u1(b); // sps_multilayer_extension_flag
    bits_u1(b); // sps_3d_extension_flag
    const bool scc = bits_u1(b);
    bits_u(b, 4);
    if (range)
        sps_range_extension(b, s);
    if (scc)
        s->unsupported = "screen content coding";
}

static bool parse_sps(bits *const b, sps *const s) {
    bool ok = true;
    s->colour_primaries = s->transfer_characteristics = s->matrix_coeffs = 2;
    bits_u(b, 4); // sps_video_parameter_set_id
    s->max_sub_layers_minus1 = (int)bits_u(b, 3);
    if (s->max_sub_layers_minus1 >= MAX_SUB_LAYERS)
        return false;
    bits_u1(b); // sps_temporal_id_nesting_flag
    profile_tier_level(b, s);
    s->sps_seq_parameter_set_id = bounded(b, MAX_SPS - 1, &ok);
    if (!ok || !picture_format(b, s) || !buffering(b, s) || !block_sizes(b, s))
        return false;
    s->scaling_list_enabled_flag = bits_u1(b);
    if (s->scaling_list_enabled_flag) {
        s->scaling_list_data_present_flag = bits_u1(b);
        hevc_scaling_default(&s->scaling);
        if (s->scaling_list_data_present_flag &&
            !hevc_parse_scaling_list(b, &s->scaling, s->chroma_format_idc))
            return false;
    }
    s->amp_enabled_flag = bits_u1(b);
    s->sample_adaptive_offset_enabled_flag = bits_u1(b);
    s->pcm_enabled_flag = bits_u1(b);
    if (s->pcm_enabled_flag && !pcm(b, s))
        return false;
    if (!reference_sets(b, s))
        return false;
    s->temporal_mvp_enabled_flag = bits_u1(b);
    s->strong_intra_smoothing_enabled_flag = bits_u1(b);
    if (bits_u1(b) && !vui_parameters(b, s))
        return false;
    sps_extensions(b, s);
    s->PicWidthInCtbs = (s->width + (1 << s->CtbLog2SizeY) - 1) >> s->CtbLog2SizeY;
    s->PicHeightInCtbs = (s->height + (1 << s->CtbLog2SizeY) - 1) >> s->CtbLog2SizeY;
    s->PicWidthInMinTbs = s->PicWidthInCtbs << (s->CtbLog2SizeY - s->MinTbLog2SizeY);
    s->PicHeightInMinTbs = s->PicHeightInCtbs << (s->CtbLog2SizeY - s->MinTbLog2SizeY);
    if (s->BitDepthY > 12 || s->BitDepthC > 12)
        s->unsupported = "more than 12 bits per sample";
    s->valid = !bits_overrun(b);
    return s->valid;
}

int hevc_parse_sps(hevc_decoder *const dec, bits *const b) {
    sps *const s = calloc(1, sizeof *s);
    if (s == NULL)
        return hevc_error(dec, HEVC_NOMEM, "no memory for a sequence parameter set");
    if (!parse_sps(b, s)) {
        free(s);
        dec->warnings[HEVC_WARN_BAD_PARAMETER_SET]++;
        return HEVC_OK;
    }
    const int id = s->sps_seq_parameter_set_id;
    free(dec->sps[id]);
    dec->sps[id] = s;
    return HEVC_OK;
}

// --------------------------------------------------------------------------- picture parameter set

static bool tiles(bits *const b, pps *const p) {
    bool ok = true;
    p->num_tile_columns = 1 + bounded(b, MAX_TILE_COLUMNS - 1, &ok);
    p->num_tile_rows = 1 + bounded(b, MAX_TILE_ROWS - 1, &ok);
    p->uniform_spacing_flag = bits_u1(b);
    if (!p->uniform_spacing_flag) {
        for (int i = 0; i < p->num_tile_columns - 1; i++)
            p->column_width_minus1[i] = bounded(b, 65535, &ok);
        for (int i = 0; i < p->num_tile_rows - 1; i++)
            p->row_height_minus1[i] = bounded(b, 65535, &ok);
    }
    p->loop_filter_across_tiles_enabled_flag = bits_u1(b);
    return ok;
}

static bool pps_range_extension(bits *const b, pps *const p) {
    bool ok = true;
    if (p->transform_skip_enabled_flag)
        p->Log2MaxTransformSkipSize = 2 + bounded(b, 3, &ok);
    p->cross_component_prediction_enabled_flag = bits_u1(b);
    p->chroma_qp_offset_list_enabled_flag = bits_u1(b);
    if (p->chroma_qp_offset_list_enabled_flag) {
        p->diff_cu_chroma_qp_offset_depth = bounded(b, 3, &ok);
        p->chroma_qp_offset_list_len_minus1 = bounded(b, 5, &ok);
        for (int i = 0; i <= p->chroma_qp_offset_list_len_minus1; i++) {
            p->cb_qp_offset_list[i] = bounded_se(b, -12, 12, &ok);
            p->cr_qp_offset_list[i] = bounded_se(b, -12, 12, &ok);
        }
    }
    p->log2_sao_offset_scale_luma = bounded(b, 6, &ok);
    p->log2_sao_offset_scale_chroma = bounded(b, 6, &ok);
    return ok;
}

static bool pps_extensions(bits *const b, pps *const p) {
    if (!bits_u1(b)) // pps_extension_present_flag
        return true;
    const bool range = bits_u1(b);
    bits_u(b, 2); // multilayer, 3D
    const bool scc = bits_u1(b);
    bits_u(b, 4);
    if (scc)
        p->unsupported = "screen content coding";
    return !range || pps_range_extension(b, p);
}

static bool parse_pps(bits *const b, pps *const p) {
    bool ok = true;
    p->num_tile_columns = p->num_tile_rows = 1;
    p->uniform_spacing_flag = p->loop_filter_across_tiles_enabled_flag = true;
    p->Log2MaxTransformSkipSize = 2;
    p->pps_pic_parameter_set_id = bounded(b, MAX_PPS - 1, &ok);
    p->pps_seq_parameter_set_id = bounded(b, MAX_SPS - 1, &ok);
    p->dependent_slice_segments_enabled_flag = bits_u1(b);
    p->output_flag_present_flag = bits_u1(b);
    p->num_extra_slice_header_bits = (int)bits_u(b, 3);
    p->sign_data_hiding_enabled_flag = bits_u1(b);
    p->cabac_init_present_flag = bits_u1(b);
    for (int list = 0; list < 2; list++)
        p->num_ref_idx_default_active[list] = 1 + bounded(b, 14, &ok);
    p->init_qp_minus26 = bounded_se(b, -26 - 48, 25, &ok);
    p->constrained_intra_pred_flag = bits_u1(b);
    p->transform_skip_enabled_flag = bits_u1(b);
    p->cu_qp_delta_enabled_flag = bits_u1(b);
    if (p->cu_qp_delta_enabled_flag)
        p->diff_cu_qp_delta_depth = bounded(b, 3, &ok);
    p->cb_qp_offset = bounded_se(b, -12, 12, &ok);
    p->cr_qp_offset = bounded_se(b, -12, 12, &ok);
    p->slice_chroma_qp_offsets_present_flag = bits_u1(b);
    p->weighted_pred_flag = bits_u1(b);
    p->weighted_bipred_flag = bits_u1(b);
    p->transquant_bypass_enabled_flag = bits_u1(b);
    p->tiles_enabled_flag = bits_u1(b);
    p->entropy_coding_sync_enabled_flag = bits_u1(b);
    if (p->tiles_enabled_flag)
        ok &= tiles(b, p);
    p->loop_filter_across_slices_enabled_flag = bits_u1(b);
    if (bits_u1(b)) { // deblocking_filter_control_present_flag
        p->deblocking_filter_override_enabled_flag = bits_u1(b);
        p->deblocking_filter_disabled_flag = bits_u1(b);
        if (!p->deblocking_filter_disabled_flag) {
            p->beta_offset_div2 = bounded_se(b, -6, 6, &ok);
            p->tc_offset_div2 = bounded_se(b, -6, 6, &ok);
        }
    }
    p->scaling_list_data_present_flag = bits_u1(b);
    // 32x32 chroma lists are derived for every format: only 4:4:4 looks at them
    if (p->scaling_list_data_present_flag)
        ok = ok && hevc_parse_scaling_list(b, &p->scaling, 3);
    p->lists_modification_present_flag = bits_u1(b);
    p->Log2ParMrgLevel = 2 + bounded(b, 4, &ok);
    p->slice_segment_header_extension_present_flag = bits_u1(b);
    ok = ok && pps_extensions(b, p);
    p->valid = ok && !bits_overrun(b);
    return p->valid;
}

int hevc_parse_pps(hevc_decoder *const dec, bits *const b) {
    pps *const p = calloc(1, sizeof *p);
    if (p == NULL)
        return hevc_error(dec, HEVC_NOMEM, "no memory for a picture parameter set");
    if (!parse_pps(b, p)) {
        free(p);
        dec->warnings[HEVC_WARN_BAD_PARAMETER_SET]++;
        return HEVC_OK;
    }
    free(dec->pps[p->pps_pic_parameter_set_id]);
    dec->pps[p->pps_pic_parameter_set_id] = p;
    return HEVC_OK;
}
