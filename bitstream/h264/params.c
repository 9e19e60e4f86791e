/* 7.3.2: sequence and picture parameter sets, scaling lists, and what follows from them; range
 * checks of 7.4.2.
 *
 * Note [Parameter sets change]. A set is parsed into a temporary and replaces the stored one only
 * when all of it was right. Pictures never look at the stored sets: the SPS is copied on activation
 * (only an IDR picture, or one where decoding starts anew, activates another), the PPS for each
 * slice. So a set that arrives in the middle, or is sent again with other content, cannot change
 * what is being decoded. */
#include <stdlib.h>

#include "stream.h"

enum {
    MAX_SIZE_IN_MBS = 1
        << 13, // each direction; the product is held against settings.max_pixels on activation
    EXTENDED_SAR = 255,
};

// Table 7-3, zig-zag order
static const uint8_t table_7_3_default_4x4[2][16] = {
    {6, 13, 13, 20, 20, 20, 28, 28, 28, 28, 32, 32, 32, 37, 37, 42},
    {10, 14, 14, 20, 20, 20, 24, 24, 24, 24, 27, 27, 27, 30, 30, 34},
};

// Table 7-4, zig-zag order
static const uint8_t table_7_4_default_8x8[2][64] = {
    {6,  10, 10, 13, 11, 13, 16, 16, 16, 16, 18, 18, 18, 18, 18, 23, 23, 23, 23, 23, 23, 25,
     25, 25, 25, 25, 25, 25, 27, 27, 27, 27, 27, 27, 27, 27, 29, 29, 29, 29, 29, 29, 29, 31,
     31, 31, 31, 31, 31, 33, 33, 33, 33, 33, 36, 36, 36, 36, 38, 38, 38, 40, 40, 42},
    {9,  13, 13, 15, 13, 15, 17, 17, 17, 17, 19, 19, 19, 19, 19, 21, 21, 21, 21, 21, 21, 22,
     22, 22, 22, 22, 22, 22, 24, 24, 24, 24, 24, 24, 24, 24, 25, 25, 25, 25, 25, 25, 25, 27,
     27, 27, 27, 27, 27, 28, 28, 28, 28, 28, 30, 30, 30, 30, 32, 32, 32, 33, 33, 35},
};

// Table E-1: aspect_ratio_idc 1..16
static const uint8_t table_e_1_sar[17][2] = {
    {0, 0},   {1, 1},   {12, 11}, {10, 11}, {16, 11},  {40, 33}, {24, 11}, {20, 11}, {32, 11},
    {80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3},   {3, 2},   {2, 1}};

// Table A-1
static const struct {
    int level_idc, MaxDpbMbs;
} table_a_1[] = {{9, 396},     {10, 396},    {11, 900},    {12, 2376},   {13, 2376},
                 {20, 2376},   {21, 4752},   {22, 8100},   {30, 8100},   {31, 18000},
                 {32, 20480},  {40, 32768},  {41, 32768},  {42, 34816},  {50, 110400},
                 {51, 184320}, {52, 184320}, {60, 696320}, {61, 696320}, {62, 696320}};

// ue(v) that must lie in 0..max; anything else marks the set as bad
static int ue_max(bits *const b, const uint32_t max, bool *const bad) {
    const uint32_t v = bits_ue(b);
    if (v <= max)
        return (int)v;
    *bad = true;
    return 0;
}

static int se_range(bits *const b, const int min, const int max, bool *const bad) {
    const int32_t v = bits_se(b);
    if (v >= min && v <= max)
        return v;
    *bad = true;
    return 0;
}

// ----------------------------------------------------------------------------------- scaling lists

/* 7.3.2.1.1.1. Returns 1 when the list was sent, 2 when it says "use default". */
static uint8_t scaling_list(bits *const b, uint8_t *const list, const int size, bool *const bad) {
    int lastScale = 8, nextScale = 8;
    for (int j = 0; j < size; j++) {
        if (nextScale != 0) {
            nextScale = (lastScale + se_range(b, -128, 127, bad) + 256) % 256;
            if (j == 0 && nextScale == 0)
                return 2;
        }
        list[j] = (uint8_t)(nextScale == 0 ? lastScale : nextScale);
        lastScale = list[j];
    }
    return 1;
}

/* Table 7-2. `present`: 0 absent, 1 sent, 2 "use default". Absent lists take the one before, or for
 * lists 0, 3, 6 and 7 the fall-back: the default (rule A, base4x4 NULL) or the list of the sequence
 * (rule B). */
static void fall_back(const uint8_t present[12], const uint8_t sent4x4[6][16],
                      const uint8_t sent8x8[6][64], const uint8_t (*const base4x4)[16],
                      const uint8_t (*const base8x8)[64], uint8_t list4x4[6][16],
                      uint8_t list8x8[6][64]) {
    for (int i = 0; i < 6; i++) {
        const uint8_t *from = sent4x4[i];
        if (present[i] == 2 || (present[i] == 0 && i % 3 == 0 && base4x4 == NULL))
            from = table_7_3_default_4x4[i / 3];
        else if (present[i] == 0)
            from = i % 3 == 0 ? base4x4[i] : list4x4[i - 1];
        memcpy(list4x4[i], from, 16);
    }
    for (int i = 0; i < 6; i++) { // Intra Y, Inter Y, Intra Cb, Inter Cb, Intra Cr, Inter Cr
        const uint8_t *from = sent8x8[i];
        if (present[6 + i] == 2 || (present[6 + i] == 0 && i < 2 && base8x8 == NULL))
            from = table_7_4_default_8x8[i & 1];
        else if (present[6 + i] == 0)
            from = i < 2 ? base8x8[i] : list8x8[i - 2];
        memcpy(list8x8[i], from, 64);
    }
}

static void scaling_matrix(bits *const b, const int n_lists, uint8_t present[12],
                           uint8_t list4x4[6][16], uint8_t list8x8[6][64], bool *const bad) {
    for (int i = 0; i < n_lists; i++) {
        if (!bits_u1(b)) // *_scaling_list_present_flag[i]
            present[i] = 0;
        else if (i < 6)
            present[i] = scaling_list(b, list4x4[i], 16, bad);
        else
            present[i] = scaling_list(b, list8x8[i - 6], 64, bad);
    }
}

static int extension_of(const sps *const s) {
    return s->chroma_format_idc == 3;
}

void h264_scaling_lists(const sps *const s, const pps *const p, uint8_t list4x4[6][16],
                        uint8_t list8x8[6][64]) {
    const pps_extension *const e = &p->extension[extension_of(s)];
    if (e->pic_scaling_matrix_present_flag) {
        const bool rule_b = s->seq_scaling_matrix_present_flag;
        fall_back(e->list_present, e->sent4x4, e->sent8x8, rule_b ? s->ScalingList4x4 : NULL,
                  rule_b ? s->ScalingList8x8 : NULL, list4x4, list8x8);
    } else {
        memcpy(list4x4, s->ScalingList4x4, sizeof s->ScalingList4x4);
        memcpy(list8x8, s->ScalingList8x8, sizeof s->ScalingList8x8);
    }
}

// --------------------------------------------------------------------------------------------- SPS

static bool has_chroma_format(const int profile_idc) {
    static const uint8_t profiles[] = {100, 110, 122, 244, 44,  83, 86,
                                       118, 128, 138, 139, 134, 135};
    return memchr(profiles, profile_idc, sizeof profiles) != NULL;
}

static void sps_chroma_format(bits *const b, sps *const s, bool *const bad) {
    s->chroma_format_idc = ue_max(b, 3, bad);
    if (s->chroma_format_idc == 3)
        s->separate_colour_plane_flag = bits_u1(b);
    s->BitDepthY = 8 + ue_max(b, 6, bad);
    s->BitDepthC = 8 + ue_max(b, 6, bad);
    s->qpprime_y_zero_transform_bypass_flag = bits_u1(b);
    s->seq_scaling_matrix_present_flag = bits_u1(b);
    if (s->seq_scaling_matrix_present_flag) {
        uint8_t present[12] = {0}, sent4x4[6][16] = {{0}}, sent8x8[6][64] = {{0}};
        scaling_matrix(b, s->chroma_format_idc != 3 ? 8 : 12, present, sent4x4, sent8x8, bad);
        fall_back(present, (const uint8_t (*)[16])sent4x4, (const uint8_t (*)[64])sent8x8, NULL,
                  NULL, s->ScalingList4x4, s->ScalingList8x8);
    }
}

static void sps_pic_order_cnt(bits *const b, sps *const s, bool *const bad) {
    s->pic_order_cnt_type = ue_max(b, 2, bad);
    if (s->pic_order_cnt_type == 0) {
        s->log2_max_pic_order_cnt_lsb = 4 + ue_max(b, 12, bad);
    } else if (s->pic_order_cnt_type == 1) {
        s->delta_pic_order_always_zero_flag = bits_u1(b);
        s->offset_for_non_ref_pic = bits_se(b);
        s->offset_for_top_to_bottom_field = bits_se(b);
        s->num_ref_frames_in_pic_order_cnt_cycle = ue_max(b, 255, bad);
        for (int i = 0; i < s->num_ref_frames_in_pic_order_cnt_cycle; i++)
            s->offset_for_ref_frame[i] = bits_se(b);
    }
}

static void hrd_parameters(bits *const b, bool *const bad) { // E.1.2: nothing here is needed
    const int cpb_cnt = 1 + ue_max(b, 31, bad);
    bits_skip(b, 8); // bit_rate_scale, cpb_size_scale
    for (int i = 0; i < cpb_cnt; i++) {
        bits_ue(b);
        bits_ue(b);
        bits_skip(b, 1); // cbr_flag
    }
    bits_skip(b, 20); // three delay lengths, time_offset_length
}

static void vui_video_signal_type(bits *const b, sps *const s) {
    bits_skip(b, 3); // video_format
    s->video_full_range_flag = (int)bits_u1(b);
    if (bits_u1(b)) { // colour_description_present_flag
        s->colour_primaries = (int)bits_u(b, 8);
        s->transfer_characteristics = (int)bits_u(b, 8);
        s->matrix_coefficients = (int)bits_u(b, 8);
    }
}

/* E.1.1 */
static void vui_parameters(bits *const b, sps *const s, bool *const bad) {
    if (bits_u1(b)) { // aspect_ratio_info_present_flag
        const uint32_t aspect_ratio_idc = bits_u(b, 8);
        if (aspect_ratio_idc == EXTENDED_SAR) {
            s->sar_width = (int)bits_u(b, 16);
            s->sar_height = (int)bits_u(b, 16);
        } else if (aspect_ratio_idc <= 16) {
            s->sar_width = table_e_1_sar[aspect_ratio_idc][0];
            s->sar_height = table_e_1_sar[aspect_ratio_idc][1];
        }
    }
    if (bits_u1(b))      // overscan_info_present_flag
        bits_skip(b, 1); // overscan_appropriate_flag
    if (bits_u1(b))      // video_signal_type_present_flag
        vui_video_signal_type(b, s);
    if (bits_u1(b)) { // chroma_loc_info_present_flag
        ue_max(b, 5, bad);
        ue_max(b, 5, bad);
    }
    if (bits_u1(b)) { // timing_info_present_flag
        s->num_units_in_tick = bits_u(b, 32);
        s->time_scale = bits_u(b, 32);
        bits_skip(b, 1); // fixed_frame_rate_flag
    }
    const bool nal_hrd = bits_u1(b);
    if (nal_hrd)
        hrd_parameters(b, bad);
    const bool vcl_hrd = bits_u1(b);
    if (vcl_hrd)
        hrd_parameters(b, bad);
    if (nal_hrd || vcl_hrd)
        bits_skip(b, 1); // low_delay_hrd_flag
    bits_skip(b, 1);     // pic_struct_present_flag
    s->bitstream_restriction_flag = bits_u1(b);
    if (s->bitstream_restriction_flag) {
        bits_skip(b, 1); // motion_vectors_over_pic_boundaries_flag
        for (int i = 0; i < 4; i++)
            bits_ue(b); // max_bytes_per_pic_denom .. log2_max_mv_length_vertical
        s->max_num_reorder_frames = ue_max(b, MAX_DPB_FRAMES, bad);
        s->max_dec_frame_buffering = ue_max(b, MAX_DPB_FRAMES, bad);
        if (s->max_num_reorder_frames > s->max_dec_frame_buffering)
            *bad = true;
    }
}

static void sps_vui_defaults(sps *const s) {
    s->sar_width = s->sar_height = 0;
    s->video_full_range_flag = 0;
    s->colour_primaries = s->transfer_characteristics = s->matrix_coefficients = 2;
    s->num_units_in_tick = s->time_scale = 0;
    s->bitstream_restriction_flag = false;
    s->max_num_reorder_frames = s->max_dec_frame_buffering = 0;
}

static void sps_frame_size(bits *const b, sps *const s, bool *const bad) {
    s->PicWidthInMbs = 1 + ue_max(b, MAX_SIZE_IN_MBS - 1, bad);
    s->PicHeightInMapUnits = 1 + ue_max(b, MAX_SIZE_IN_MBS - 1, bad);
    s->frame_mbs_only_flag = bits_u1(b);
    s->FrameHeightInMbs = (2 - s->frame_mbs_only_flag) * s->PicHeightInMapUnits;
    if (!s->frame_mbs_only_flag)
        s->mb_adaptive_frame_field_flag = bits_u1(b);
    s->direct_8x8_inference_flag = bits_u1(b);
    if (!s->frame_mbs_only_flag && !s->direct_8x8_inference_flag)
        *bad = true;
    if (bits_u1(b)) { // frame_cropping_flag
        const int unit_x =
            s->ChromaArrayType == 1 || s->ChromaArrayType == 2 ? 2 : 1; // (7-19) to (7-22)
        const int unit_y = (s->ChromaArrayType == 1 ? 2 : 1) * (2 - s->frame_mbs_only_flag);
        const uint32_t width = (uint32_t)(s->PicWidthInMbs * 16 / unit_x);
        const uint32_t height = (uint32_t)(s->FrameHeightInMbs * 16 / unit_y);
        s->frame_crop_left_offset = ue_max(b, width - 1, bad);
        s->frame_crop_right_offset =
            ue_max(b, width - 1 - (uint32_t)s->frame_crop_left_offset, bad);
        s->frame_crop_top_offset = ue_max(b, height - 1, bad);
        s->frame_crop_bottom_offset =
            ue_max(b, height - 1 - (uint32_t)s->frame_crop_top_offset, bad);
    }
}

/* 7.3.2.1.1; every se(v) fits the range of its element by itself. */
static bool seq_parameter_set_data(bits *const b, sps *const s) {
    bool bad = false;
    s->profile_idc = (int)bits_u(b, 8);
    s->constraint_flags = (int)bits_u(b, 8);
    s->level_idc = (int)bits_u(b, 8);
    s->seq_parameter_set_id = ue_max(b, MAX_SPS - 1, &bad);
    s->chroma_format_idc = 1;
    s->BitDepthY = s->BitDepthC = 8;
    memset(s->ScalingList4x4, 16, sizeof s->ScalingList4x4);
    memset(s->ScalingList8x8, 16, sizeof s->ScalingList8x8);
    if (has_chroma_format(s->profile_idc))
        sps_chroma_format(b, s, &bad);
    s->ChromaArrayType = s->separate_colour_plane_flag ? 0 : s->chroma_format_idc;
    if (s->ChromaArrayType == 0)
        s->BitDepthC = s->BitDepthY; // 7.4.2.1.1: bit_depth_chroma_minus8 may have any value
    s->log2_max_frame_num = 4 + ue_max(b, 12, &bad);
    sps_pic_order_cnt(b, s, &bad);
    s->max_num_ref_frames = ue_max(b, MAX_DPB_FRAMES, &bad);
    s->gaps_in_frame_num_value_allowed_flag = bits_u1(b);
    sps_frame_size(b, s, &bad);
    if (bad || bits_overrun(b))
        return false;
    sps_vui_defaults(s);
    if (bits_u1(b)) { // vui_parameters_present_flag
        bool bad_vui = false;
        vui_parameters(b, s, &bad_vui);
        if (bad_vui || bits_overrun(b))
            sps_vui_defaults(s); // nothing in it is needed to decode
    }
    s->valid = true;
    return true;
}

void h264_parse_sps(h264_decoder *const dec, bits *const b) {
    sps s;
    memset(&s, 0, sizeof s); // padding too: sets are compared as bytes
    if (seq_parameter_set_data(b, &s))
        memcpy(&dec->stream->sps[s.seq_parameter_set_id], &s, sizeof s);
    else
        dec->warnings[H264_WARN_BAD_PARAMETER_SET]++;
}

int h264_max_dpb_frames(const sps *const s) {
    int level_idc = s->level_idc;
    const bool level_1b = level_idc == 11 && s->constraint_flags & 0x10 && // constraint_set3_flag
                          (s->profile_idc == 66 || s->profile_idc == 77 || s->profile_idc == 88);
    if (level_1b)
        level_idc = 9;
    for (size_t i = 0; i < sizeof table_a_1 / sizeof *table_a_1; i++)
        if (table_a_1[i].level_idc == level_idc)
            return imin(table_a_1[i].MaxDpbMbs / (s->PicWidthInMbs * s->FrameHeightInMbs),
                        MAX_DPB_FRAMES);
    return MAX_DPB_FRAMES;
}

void h264_stream_info_fill(const sps *const s, h264_stream_info *const info) {
    const int unit_x = s->ChromaArrayType == 1 || s->ChromaArrayType == 2 ? 2 : 1;
    const int unit_y = (s->ChromaArrayType == 1 ? 2 : 1) * (2 - s->frame_mbs_only_flag);
    *info = (h264_stream_info){
        .profile_idc = s->profile_idc,
        .level_idc = s->level_idc,
        .constraint_flags = s->constraint_flags,
        .coded_width = s->PicWidthInMbs * 16,
        .coded_height = s->FrameHeightInMbs * 16,
        .crop_left = s->frame_crop_left_offset * unit_x,
        .crop_right = s->frame_crop_right_offset * unit_x,
        .crop_top = s->frame_crop_top_offset * unit_y,
        .crop_bottom = s->frame_crop_bottom_offset * unit_y,
        .chroma_format_idc = s->chroma_format_idc,
        .separate_colour_planes = s->separate_colour_plane_flag,
        .bit_depth_luma = s->BitDepthY,
        .bit_depth_chroma = s->BitDepthC,
        .matrix_coefficients = s->matrix_coefficients,
        .colour_primaries = s->colour_primaries,
        .transfer_characteristics = s->transfer_characteristics,
        .video_full_range = s->video_full_range_flag,
        .sar_width = s->sar_width,
        .sar_height = s->sar_height,
        .num_units_in_tick = s->num_units_in_tick,
        .time_scale = s->time_scale,
    };
}

// --------------------------------------------------------------------------------------------- PPS

static bool slice_group_ids(bits *const b, pps *const p,
                            bool *const bad) { // slice_group_map_type 6
    p->pic_size_in_map_units = 1 + ue_max(b, MAX_SIZE_IN_MBS * MAX_SIZE_IN_MBS - 1, bad);
    const int n_bits = p->num_slice_groups > 4 ? 3 : p->num_slice_groups > 2 ? 2 : 1;
    if (*bad || bits_overrun(b) ||
        (uint32_t)p->pic_size_in_map_units > (b->end - b->pos) / (uint32_t)n_bits)
        return false;
    p->slice_group_id = malloc((size_t)p->pic_size_in_map_units);
    if (p->slice_group_id == NULL)
        return false;
    for (int i = 0; i < p->pic_size_in_map_units; i++) {
        p->slice_group_id[i] = (uint8_t)bits_u(b, n_bits);
        if (p->slice_group_id[i] >= p->num_slice_groups)
            *bad = true;
    }
    return true;
}

static bool slice_groups(bits *const b, pps *const p, bool *const bad) {
    const uint32_t max_map_unit = MAX_SIZE_IN_MBS * MAX_SIZE_IN_MBS - 1;
    p->slice_group_map_type = ue_max(b, 6, bad);
    switch (p->slice_group_map_type) {
    case 0:
        for (int i = 0; i < p->num_slice_groups; i++)
            p->run_length_minus1[i] = ue_max(b, max_map_unit, bad);
        return true;
    case 2:
        for (int i = 0; i < p->num_slice_groups - 1; i++) {
            p->top_left[i] = ue_max(b, max_map_unit, bad);
            p->bottom_right[i] = ue_max(b, max_map_unit, bad);
            if (p->top_left[i] > p->bottom_right[i])
                *bad = true;
        }
        return true;
    case 3:
    case 4:
    case 5:
        p->slice_group_change_direction_flag = bits_u1(b);
        p->slice_group_change_rate = 1 + ue_max(b, max_map_unit, bad);
        if (p->num_slice_groups != 2)
            *bad = true;
        return true;
    case 6: return slice_group_ids(b, p, bad);
    default: // 1: dispersed, needs nothing
        return true;
    }
}

// n_8x8: how many lists of 8x8 blocks there are, if any
static void read_extension(bits b, pps_extension *const e, const int n_8x8) {
    bool bad = false;
    e->transform_8x8_mode_flag = bits_u1(&b);
    e->pic_scaling_matrix_present_flag = bits_u1(&b);
    if (e->pic_scaling_matrix_present_flag)
        scaling_matrix(&b, e->transform_8x8_mode_flag ? 6 + n_8x8 : 6, e->list_present, e->sent4x4,
                       e->sent8x8, &bad);
    e->second_chroma_qp_index_offset = se_range(&b, -12, 12, &bad);
    e->valid = !bad && !bits_overrun(&b);
}

/* The SPS may come later, or be replaced: what depends on it is read in both ways. */
static bool extensions(const bits *const b, pps *const p) {
    if (!bits_more_rbsp_data(b)) {
        for (int i = 0; i < 2; i++)
            p->extension[i] = (pps_extension){
                .valid = true, .second_chroma_qp_index_offset = p->chroma_qp_index_offset[0]};
        return true;
    }
    read_extension(*b, &p->extension[0], 2);
    read_extension(*b, &p->extension[1], 6);
    return p->extension[0].valid || p->extension[1].valid;
}

/* 7.3.2.2 */
static bool pic_parameter_set(bits *const b, pps *const p) {
    bool bad = false;
    p->pic_parameter_set_id = ue_max(b, MAX_PPS - 1, &bad);
    p->seq_parameter_set_id = ue_max(b, MAX_SPS - 1, &bad);
    p->entropy_coding_mode_flag = bits_u1(b);
    p->bottom_field_pic_order_in_frame_present_flag = bits_u1(b);
    p->num_slice_groups = 1 + ue_max(b, MAX_SLICE_GROUPS - 1, &bad);
    if (p->num_slice_groups > 1 && !slice_groups(b, p, &bad))
        return false;
    p->num_ref_idx_default_active[0] = 1 + ue_max(b, MAX_REFS - 1, &bad);
    p->num_ref_idx_default_active[1] = 1 + ue_max(b, MAX_REFS - 1, &bad);
    p->weighted_pred_flag = bits_u1(b);
    p->weighted_bipred_idc = (int)bits_u(b, 2);
    if (p->weighted_bipred_idc > 2)
        bad = true;
    p->pic_init_qp =
        26 + se_range(b, -62, 25, &bad); // -(26 + QpBdOffsetY): the slice header checks the sum
    p->pic_init_qs = 26 + se_range(b, -26, 25, &bad);
    p->chroma_qp_index_offset[0] = se_range(b, -12, 12, &bad);
    p->deblocking_filter_control_present_flag = bits_u1(b);
    p->constrained_intra_pred_flag = bits_u1(b);
    p->redundant_pic_cnt_present_flag = bits_u1(b);
    p->valid = !bad && !bits_overrun(b) && extensions(b, p);
    return p->valid;
}

void h264_parse_pps(h264_decoder *const dec, bits *const b) {
    pps p;
    memset(&p, 0, sizeof p);
    if (pic_parameter_set(b, &p)) {
        pps *const stored = &dec->stream->pps[p.pic_parameter_set_id];
        free(stored->slice_group_id);
        memcpy(stored, &p, sizeof p);
    } else {
        free(p.slice_group_id);
        dec->warnings[H264_WARN_BAD_PARAMETER_SET]++;
    }
}

int h264_pps_activate(pps *const to, const pps *const from, const sps *const s) {
    const pps_extension *const e = &from->extension[extension_of(s)];
    uint8_t *ids = NULL;
    if (!e->valid)
        return H264_CORRUPT;
    if (from->slice_group_id != NULL) {
        ids = malloc((size_t)from->pic_size_in_map_units);
        if (ids == NULL)
            return H264_NOMEM;
        memcpy(ids, from->slice_group_id, (size_t)from->pic_size_in_map_units);
    }
    free(to->slice_group_id);
    memcpy(to, from, sizeof *to);
    to->slice_group_id = ids;
    to->transform_8x8_mode_flag = e->transform_8x8_mode_flag;
    to->chroma_qp_index_offset[1] = e->second_chroma_qp_index_offset;
    return H264_OK;
}
