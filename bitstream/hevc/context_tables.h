/* Context variables of Rec. ITU-T H.265: their places, and initValue by initType (9.3.2.2). */
#ifndef DAVD_HEVC_CONTEXT_TABLES_H
#define DAVD_HEVC_CONTEXT_TABLES_H

#include <stdint.h>

enum { // place of the first context of a syntax element
    CTX_SPLIT_CU_FLAG = 0,
    CTX_CU_SKIP_FLAG = CTX_SPLIT_CU_FLAG + 3,
    CTX_PART_MODE = CTX_CU_SKIP_FLAG + 3,
    CTX_PREV_INTRA_LUMA_PRED_FLAG = CTX_PART_MODE + 4,
    CTX_INTRA_CHROMA_PRED_MODE = CTX_PREV_INTRA_LUMA_PRED_FLAG + 1,
    CTX_RQT_ROOT_CBF = CTX_INTRA_CHROMA_PRED_MODE + 1,
    CTX_MERGE_FLAG = CTX_RQT_ROOT_CBF + 1,
    CTX_MERGE_IDX = CTX_MERGE_FLAG + 1,
    CTX_INTER_PRED_IDC = CTX_MERGE_IDX + 1,
    CTX_REF_IDX_LX = CTX_INTER_PRED_IDC + 5,
    CTX_MVP_LX_FLAG = CTX_REF_IDX_LX + 2,
    CTX_SPLIT_TRANSFORM_FLAG = CTX_MVP_LX_FLAG + 1,
    CTX_CBF_LUMA = CTX_SPLIT_TRANSFORM_FLAG + 3,
    CTX_CBF_CHROMA = CTX_CBF_LUMA + 2,
    CTX_ABS_MVD_GREATER0_FLAG = CTX_CBF_CHROMA + 5,
    CTX_ABS_MVD_GREATER1_FLAG = CTX_ABS_MVD_GREATER0_FLAG + 1,
    CTX_CU_QP_DELTA_ABS = CTX_ABS_MVD_GREATER1_FLAG + 1,
    CTX_TRANSFORM_SKIP_FLAG = CTX_CU_QP_DELTA_ABS + 2,
    CTX_LAST_SIG_COEFF_X_PREFIX = CTX_TRANSFORM_SKIP_FLAG + 2,
    CTX_LAST_SIG_COEFF_Y_PREFIX = CTX_LAST_SIG_COEFF_X_PREFIX + 18,
    CTX_CODED_SUB_BLOCK_FLAG = CTX_LAST_SIG_COEFF_Y_PREFIX + 18,
    CTX_SIG_COEFF_FLAG = CTX_CODED_SUB_BLOCK_FLAG + 4,
    CTX_SIG_COEFF_FLAG_SKIP = CTX_SIG_COEFF_FLAG + 42,
    CTX_COEFF_ABS_LEVEL_GREATER1_FLAG = CTX_SIG_COEFF_FLAG_SKIP + 2,
    CTX_COEFF_ABS_LEVEL_GREATER2_FLAG = CTX_COEFF_ABS_LEVEL_GREATER1_FLAG + 24,
    CTX_SAO_MERGE_FLAG = CTX_COEFF_ABS_LEVEL_GREATER2_FLAG + 6,
    CTX_SAO_TYPE_IDX = CTX_SAO_MERGE_FLAG + 1,
    CTX_CU_TRANSQUANT_BYPASS_FLAG = CTX_SAO_TYPE_IDX + 1,
    CTX_PRED_MODE_FLAG = CTX_CU_TRANSQUANT_BYPASS_FLAG + 1,
    CTX_EXPLICIT_RDPCM_FLAG = CTX_PRED_MODE_FLAG + 1,
    CTX_EXPLICIT_RDPCM_DIR_FLAG = CTX_EXPLICIT_RDPCM_FLAG + 2,
    CTX_LOG2_RES_SCALE_ABS_PLUS1 = CTX_EXPLICIT_RDPCM_DIR_FLAG + 2,
    CTX_RES_SCALE_SIGN_FLAG = CTX_LOG2_RES_SCALE_ABS_PLUS1 + 8,
    CTX_CU_CHROMA_QP_OFFSET_FLAG = CTX_RES_SCALE_SIGN_FLAG + 2,
    CTX_CU_CHROMA_QP_OFFSET_IDX = CTX_CU_CHROMA_QP_OFFSET_FLAG + 1,
    N_CONTEXTS = CTX_CU_CHROMA_QP_OFFSET_IDX + 1
};

static const uint8_t init_values[3 /* initType */][N_CONTEXTS] = {
    {
        139, 141, 157,           // split_cu_flag
        154, 154, 154,           // cu_skip_flag
        184, 154, 154, 154,      // part_mode
        184,                     // prev_intra_luma_pred_flag
        63,                      // intra_chroma_pred_mode
        154,                     // rqt_root_cbf
        154,                     // merge_flag
        154,                     // merge_idx
        154, 154, 154, 154, 154, // inter_pred_idc
        154, 154,                // ref_idx_lx
        154,                     // mvp_lx_flag
        153, 138, 138,           // split_transform_flag
        111, 141,                // cbf_luma
        94,  138, 182, 154, 154, // cbf_chroma
        154,                     // abs_mvd_greater0_flag
        154,                     // abs_mvd_greater1_flag
        154, 154,                // cu_qp_delta_abs
        139, 139,                // transform_skip_flag
        110, 110, 124, 125, 140, 153, 125, 127, 140, 109, 111, 143, 127, 111,
        79,  108, 123, 63, // last_sig_coeff_x_prefix
        110, 110, 124, 125, 140, 153, 125, 127, 140, 109, 111, 143, 127, 111,
        79,  108, 123, 63,  // last_sig_coeff_y_prefix
        91,  171, 134, 141, // coded_sub_block_flag
        111, 111, 125, 110, 110, 94,  124, 108, 124, 107, 125, 141, 179, 153,
        125, 107, 125, 141, 179, 153, 125, 107, 125, 141, 179, 153, 125, 140,
        139, 182, 182, 152, 136, 152, 136, 153, 136, 139, 111, 136, 139, 111, // sig_coeff_flag
        141, 111,                                                             // sig_coeff_flag_skip
        140, 92,  137, 138, 140, 152, 138, 139, 153, 74,  149, 92,  139, 107,
        122, 152, 140, 179, 166, 182, 140, 227, 122, 197, // coeff_abs_level_greater1_flag
        138, 153, 136, 167, 152, 152,                     // coeff_abs_level_greater2_flag
        153,                                              // sao_merge_flag
        200,                                              // sao_type_idx
        154,                                              // cu_transquant_bypass_flag
        154,                                              // pred_mode_flag
        154, 154,                                         // explicit_rdpcm_flag
        154, 154,                                         // explicit_rdpcm_dir_flag
        154, 154, 154, 154, 154, 154, 154, 154,           // log2_res_scale_abs_plus1
        154, 154,                                         // res_scale_sign_flag
        154,                                              // cu_chroma_qp_offset_flag
        154,                                              // cu_chroma_qp_offset_idx
    },
    {
        107, 139, 126,           // split_cu_flag
        197, 185, 201,           // cu_skip_flag
        154, 139, 154, 154,      // part_mode
        154,                     // prev_intra_luma_pred_flag
        152,                     // intra_chroma_pred_mode
        79,                      // rqt_root_cbf
        110,                     // merge_flag
        122,                     // merge_idx
        95,  79,  63,  31,  31,  // inter_pred_idc
        153, 153,                // ref_idx_lx
        168,                     // mvp_lx_flag
        124, 138, 94,            // split_transform_flag
        153, 111,                // cbf_luma
        149, 107, 167, 154, 154, // cbf_chroma
        140,                     // abs_mvd_greater0_flag
        198,                     // abs_mvd_greater1_flag
        154, 154,                // cu_qp_delta_abs
        139, 139,                // transform_skip_flag
        125, 110, 94,  110, 95,  79,  125, 111, 110, 78,  110, 111, 111, 95,
        94,  108, 123, 108, // last_sig_coeff_x_prefix
        125, 110, 94,  110, 95,  79,  125, 111, 110, 78,  110, 111, 111, 95,
        94,  108, 123, 108, // last_sig_coeff_y_prefix
        121, 140, 61,  154, // coded_sub_block_flag
        155, 154, 139, 153, 139, 123, 123, 63,  153, 166, 183, 140, 136, 153,
        154, 166, 183, 140, 136, 153, 154, 166, 183, 140, 136, 153, 154, 170,
        153, 123, 123, 107, 121, 107, 121, 167, 151, 183, 140, 151, 183, 140, // sig_coeff_flag
        140, 140,                                                             // sig_coeff_flag_skip
        154, 196, 196, 167, 154, 152, 167, 182, 182, 134, 149, 136, 153, 121,
        136, 137, 169, 194, 166, 167, 154, 167, 137, 182, // coeff_abs_level_greater1_flag
        107, 167, 91,  122, 107, 167,                     // coeff_abs_level_greater2_flag
        153,                                              // sao_merge_flag
        185,                                              // sao_type_idx
        154,                                              // cu_transquant_bypass_flag
        149,                                              // pred_mode_flag
        139, 139,                                         // explicit_rdpcm_flag
        139, 139,                                         // explicit_rdpcm_dir_flag
        154, 154, 154, 154, 154, 154, 154, 154,           // log2_res_scale_abs_plus1
        154, 154,                                         // res_scale_sign_flag
        154,                                              // cu_chroma_qp_offset_flag
        154,                                              // cu_chroma_qp_offset_idx
    },
    {
        107, 139, 126,           // split_cu_flag
        197, 185, 201,           // cu_skip_flag
        154, 139, 154, 154,      // part_mode
        183,                     // prev_intra_luma_pred_flag
        152,                     // intra_chroma_pred_mode
        79,                      // rqt_root_cbf
        154,                     // merge_flag
        137,                     // merge_idx
        95,  79,  63,  31,  31,  // inter_pred_idc
        153, 153,                // ref_idx_lx
        168,                     // mvp_lx_flag
        224, 167, 122,           // split_transform_flag
        153, 111,                // cbf_luma
        149, 92,  167, 154, 154, // cbf_chroma
        169,                     // abs_mvd_greater0_flag
        198,                     // abs_mvd_greater1_flag
        154, 154,                // cu_qp_delta_abs
        139, 139,                // transform_skip_flag
        125, 110, 124, 110, 95,  94,  125, 111, 111, 79,  125, 126, 111, 111,
        79,  108, 123, 93, // last_sig_coeff_x_prefix
        125, 110, 124, 110, 95,  94,  125, 111, 111, 79,  125, 126, 111, 111,
        79,  108, 123, 93,  // last_sig_coeff_y_prefix
        121, 140, 61,  154, // coded_sub_block_flag
        170, 154, 139, 153, 139, 123, 123, 63,  124, 166, 183, 140, 136, 153,
        154, 166, 183, 140, 136, 153, 154, 166, 183, 140, 136, 153, 154, 170,
        153, 138, 138, 122, 121, 122, 121, 167, 151, 183, 140, 151, 183, 140, // sig_coeff_flag
        140, 140,                                                             // sig_coeff_flag_skip
        154, 196, 167, 167, 154, 152, 167, 182, 182, 134, 149, 136, 153, 121,
        136, 122, 169, 208, 166, 167, 154, 152, 167, 182, // coeff_abs_level_greater1_flag
        107, 167, 91,  107, 107, 167,                     // coeff_abs_level_greater2_flag
        153,                                              // sao_merge_flag
        160,                                              // sao_type_idx
        154,                                              // cu_transquant_bypass_flag
        134,                                              // pred_mode_flag
        139, 139,                                         // explicit_rdpcm_flag
        139, 139,                                         // explicit_rdpcm_dir_flag
        154, 154, 154, 154, 154, 154, 154, 154,           // log2_res_scale_abs_plus1
        154, 154,                                         // res_scale_sign_flag
        154,                                              // cu_chroma_qp_offset_flag
        154,                                              // cu_chroma_qp_offset_idx
    },
};

#endif
