/* 9.3.2, 9.3.3.1 Binarisation and context selection of the syntax elements of 7.3.4 and 7.3.5,
 * residual apart (cabac.c). In: the engine and the neighbours in mb_ctx. Out: values as ue(v),
 * se(v) ... would give them in CAVLC. */
#include "internal.h"

// Offsets of Table 9-34
enum {
    CTX_MB_TYPE_I = 3,
    CTX_MB_SKIP_P = 11,
    CTX_MB_TYPE_P = 14,
    CTX_MB_TYPE_P_INTRA = 17,
    CTX_SUB_MB_TYPE_P = 21,
    CTX_MB_SKIP_B = 24,
    CTX_MB_TYPE_B = 27,
    CTX_MB_TYPE_B_INTRA = 32,
    CTX_SUB_MB_TYPE_B = 36,
    CTX_MVD_X = 40,
    CTX_MVD_Y = 47,
    CTX_REF_IDX = 54,
    CTX_MB_QP_DELTA = 60,
    CTX_INTRA_CHROMA_PRED_MODE = 64,
    CTX_PREV_INTRA_PRED_MODE_FLAG = 68,
    CTX_REM_INTRA_PRED_MODE = 69,
    CTX_MB_FIELD_DECODING_FLAG = 70,
    CTX_CBP_LUMA = 73,
    CTX_CBP_CHROMA = 77,
    CTX_TRANSFORM_SIZE_8X8_FLAG = 399,
};

// Through a local copy of the engine
CORE_INLINE int decide(cabac *const c, cabac_engine *const e, const int ctxIdx) {
    return cabac_decision(e, &c->state[ctxIdx]);
}

CORE_INLINE int bin(cabac *const c, const int ctxIdx) {
    cabac_engine e = c->engine;
    const int v = decide(c, &e, ctxIdx);
    c->engine = e;
    return v;
}

CORE_INLINE int terminate(cabac *const c) {
    cabac_engine e = c->engine;
    const int v = cabac_terminate(&e);
    c->engine = e;
    return v;
}

static bool is_available(const mb_info *const mb) {
    return mb->slice_num >= 0;
}

// 9.3.3.1.1.1
CORE_SHIFTS bool h264_cabac_mb_skip_flag(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    const int inc = (is_available(m->A) && !m->A->skip) + (is_available(m->B) && !m->B->skip);
    return bin(&dec->slice.cabac,
               (dec->slice.hdr.slice_type == SLICE_B ? CTX_MB_SKIP_B : CTX_MB_SKIP_P) + inc);
}

// 9.3.3.1.1.2
bool h264_cabac_mb_field_decoding_flag(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    const int inc = (m->left_pair >= 0 && dec->mb[m->left_pair].field) +
                    (m->above_pair >= 0 && dec->mb[m->above_pair].field);
    return bin(&dec->slice.cabac, CTX_MB_FIELD_DECODING_FLAG + inc);
}

bool h264_cabac_end_of_slice_flag(h264_decoder *const dec) {
    return terminate(&dec->slice.cabac);
}

// Table 9-36 after the first bin: I_16x16 and I_PCM. ctx[]: contexts of the bins behind the
// terminate bin.
static int intra_mb_type(cabac *const c, const int luma, const int chroma, const int chroma2,
                         const int mode, const int mode2) {
    if (terminate(c))
        return 25;
    int mb_type = 1 + 12 * bin(c, luma);
    if (bin(c, chroma))
        mb_type += 4 + 4 * bin(c, chroma2);
    mb_type += 2 * bin(c, mode);
    return mb_type + bin(c, mode2);
}

static int mb_type_I(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    cabac *const c = &dec->slice.cabac;
    const int a = is_available(m->A) && m->A->type != H264_I_4X4 && m->A->type != H264_I_8X8;
    const int b = is_available(m->B) && m->B->type != H264_I_4X4 && m->B->type != H264_I_8X8;
    if (!bin(c, CTX_MB_TYPE_I + a + b))
        return 0;
    const int i = CTX_MB_TYPE_I;
    return intra_mb_type(c, i + 3, i + 4, i + 5, i + 6, i + 7);
}

// I macroblock types behind the prefix that P and B slices use
static int mb_type_I_suffix(cabac *const c, const int first) {
    return bin(c, first) ? intra_mb_type(c, first + 1, first + 2, first + 2, first + 3, first + 3)
                         : 0;
}

// Table 9-37, P
static int mb_type_P(cabac *const c) {
    const int i = CTX_MB_TYPE_P;
    cabac_engine e = c->engine;
    const int intra = decide(c, &e, i);
    int v = 0;
    if (!intra && decide(c, &e, i + 1))
        v = decide(c, &e, i + 3) ? 1 : 2; // P_L0_L0_16x8, P_L0_L0_8x16
    else if (!intra)
        v = decide(c, &e, i + 2) ? 3 : 0; // P_8x8, P_L0_16x16
    c->engine = e;
    return intra ? 5 + mb_type_I_suffix(c, CTX_MB_TYPE_P_INTRA) : v;
}

// Table 9-37, B
static int mb_type_B(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    cabac *const c = &dec->slice.cabac;
    const int i = CTX_MB_TYPE_B;
    const int a = is_available(m->A) && m->A->type != H264_B_SKIP && m->A->type != H264_B_DIRECT;
    const int b = is_available(m->B) && m->B->type != H264_B_SKIP && m->B->type != H264_B_DIRECT;
    cabac_engine e = c->engine;
    int v = 0 - 3; // B_Direct_16x16
    if (decide(c, &e, i + a + b)) {
        if (decide(c, &e, i + 3)) {
            v = decide(c, &e, i + 4) << 3;
            v |= decide(c, &e, i + 5) << 2;
            v |= decide(c, &e, i + 5) << 1;
            v |= decide(c, &e, i + 5);
        } else {
            v = 1 - 3 + decide(c, &e, i + 5); // B_L0_16x16, B_L1_16x16
        }
    }
    c->engine = e;
    if (v < 8)
        return v + 3;
    if (v == 13)
        return 23 + mb_type_I_suffix(c, CTX_MB_TYPE_B_INTRA);
    if (v == 14)
        return 11; // B_L1_L0_8x16
    if (v == 15)
        return 22; // B_8x8
    return (v << 1 | bin(c, i + 5)) - 4;
}

CORE_SHIFTS int h264_cabac_mb_type(h264_decoder *const dec) {
    switch (dec->slice.hdr.slice_type) {
    case SLICE_P: return mb_type_P(&dec->slice.cabac);
    case SLICE_B: return mb_type_B(dec);
    default: return mb_type_I(dec);
    }
}

// Table 9-38, P
CORE_INLINE int sub_mb_type_P(cabac *const c, cabac_engine *const e) {
    const int i = CTX_SUB_MB_TYPE_P;
    if (decide(c, e, i))
        return 0;
    if (!decide(c, e, i + 1))
        return 1;
    return decide(c, e, i + 2) ? 2 : 3;
}

// Table 9-38, B
CORE_INLINE int sub_mb_type_B(cabac *const c, cabac_engine *const e) {
    const int i = CTX_SUB_MB_TYPE_B;
    if (!decide(c, e, i))
        return 0;
    int v = 1;
    if (decide(c, e, i + 1)) {
        v = 3;
        if (decide(c, e, i + 2)) {
            v = 7;
            if (decide(c, e, i + 3))
                return 11 + decide(c, e, i + 3);
        }
        v += 2 * decide(c, e, i + 3);
    }
    return v + decide(c, e, i + 3);
}

CORE_SHIFTS int h264_cabac_sub_mb_type(h264_decoder *const dec) {
    cabac *const c = &dec->slice.cabac;
    cabac_engine e = c->engine;
    const int v =
        dec->slice.hdr.slice_type == SLICE_P ? sub_mb_type_P(c, &e) : sub_mb_type_B(c, &e);
    c->engine = e;
    return v;
}

// 9.3.3.1.1.10
CORE_SHIFTS bool h264_cabac_transform_size_8x8_flag(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    const int inc = m->A->transform_size_8x8_flag + m->B->transform_size_8x8_flag;
    return bin(&dec->slice.cabac, CTX_TRANSFORM_SIZE_8X8_FLAG + inc);
}

// 9.3.3.1.1.4: a luma bit of 0 in the neighbouring 8x8 block counts; I_PCM and missing macroblocks
// have all bits set.
CORE_INLINE int cbp_luma(cabac *const c, cabac_engine *const e, const mb_ctx *const m) {
    const unsigned top = m->B->cbp;
    unsigned v = 0;
    for (int b8 = 0; b8 < 4; b8++) {
        const int half = b8 >> 1;
        const unsigned left_bit = (unsigned)(m->left_row[2 * half] >> 1) * 2 + 1;
        const unsigned a =
            b8 & 1 ? v >> (b8 - 1) & 1 : (unsigned)m->left[half]->cbp >> left_bit & 1;
        const unsigned b = half ? v >> (b8 - 2) & 1 : top >> (b8 + 2) & 1;
        v |= (unsigned)decide(c, e, CTX_CBP_LUMA + (int)(!a + 2 * !b)) << b8;
    }
    return (int)v;
}

CORE_INLINE int cbp_chroma(cabac *const c, cabac_engine *const e, const mb_ctx *const m) {
    const int a = is_available(m->A) ? m->A->cbp >> 4 : 0,
              b = is_available(m->B) ? m->B->cbp >> 4 : 0;
    if (!decide(c, e, CTX_CBP_CHROMA + (a != 0) + 2 * (b != 0)))
        return 0;
    return 1 + decide(c, e, CTX_CBP_CHROMA + 4 + (a == 2) + 2 * (b == 2));
}

CORE_SHIFTS int h264_cabac_coded_block_pattern(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    cabac *const c = &dec->slice.cabac;
    const int type = dec->slice.sps->ChromaArrayType;
    cabac_engine e = c->engine;
    int cbp = cbp_luma(c, &e, m);
    if (type == 1 || type == 2)
        cbp |= cbp_chroma(c, &e, m) << 4;
    c->engine = e;
    return cbp;
}

// 9.3.3.1.1.5; unary, mapped as se(v). Values beyond any legal one end the loop: the caller checks
// the range.
CORE_SHIFTS int h264_cabac_mb_qp_delta(h264_decoder *const dec) {
    cabac *const c = &dec->slice.cabac;
    cabac_engine e = c->engine;
    int v = 0;
    int ctx = CTX_MB_QP_DELTA + (dec->slice.mb.last_mb_qp_delta != 0);
    while (v < 256 && decide(c, &e, ctx)) {
        ctx = CTX_MB_QP_DELTA + (v == 0 ? 2 : 3);
        v++;
    }
    c->engine = e;
    return v & 1 ? (v + 1) >> 1 : -(v >> 1);
}

CORE_SHIFTS int h264_cabac_intra_pred_mode(h264_decoder *const dec) {
    cabac *const c = &dec->slice.cabac;
    cabac_engine e = c->engine;
    int v = -1;
    if (!decide(c, &e, CTX_PREV_INTRA_PRED_MODE_FLAG)) {
        v = decide(c, &e, CTX_REM_INTRA_PRED_MODE);
        v |= decide(c, &e, CTX_REM_INTRA_PRED_MODE) << 1;
        v |= decide(c, &e, CTX_REM_INTRA_PRED_MODE) << 2;
    }
    c->engine = e;
    return v;
}

// 9.3.3.1.1.8; inter and I_PCM macroblocks keep intra_chroma_pred_mode 0
CORE_SHIFTS int h264_cabac_intra_chroma_pred_mode(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    cabac *const c = &dec->slice.cabac;
    const int inc = (m->A->intra_chroma_pred_mode != 0) + (m->B->intra_chroma_pred_mode != 0);
    const int i = CTX_INTRA_CHROMA_PRED_MODE;
    if (!bin(c, i + inc))
        return 0;
    if (!bin(c, i + 3))
        return 1;
    return 2 + bin(c, i + 3);
}

// refIdxZeroFlagN and predModeEqualFlagN of 9.3.3.1.1.6 for an 8x8 quarter of another macroblock
static bool ref_idx_counts(const h264_decoder *const dec, const mb_info *const mb, const int addr,
                           const int list, const int quarter) {
    // to a frame macroblock both fields of the first frame are reference 0
    const int zero = mb->field && !dec->slice.mb.mb->field;
    return addr >= 0 && !mb->is_intra && !(mb->direct >> quarter & 1) &&
           dec->cur->motion[addr].ref_idx[list][quarter] > zero;
}

// 9.3.3.1.1.6; `parsed` holds the values already parsed for this macroblock, 0 or less where there
// are none or direct
CORE_SHIFTS int h264_cabac_ref_idx(h264_decoder *const dec, const int list, const int quarter,
                                   const int8_t parsed[4]) {
    const mb_ctx *const m = &dec->slice.mb;
    cabac *const c = &dec->slice.cabac;
    bool a, b;
    if (quarter & 1) {
        a = parsed[quarter - 1] > 0;
    } else {
        const int half = quarter >> 1;
        a = ref_idx_counts(dec, m->left[half], m->addr_left[half], list,
                           (m->left_row[2 * half] >> 1) * 2 + 1);
    }
    if (quarter & 2)
        b = parsed[quarter - 2] > 0;
    else
        b = ref_idx_counts(dec, m->B, m->addr_B, list, quarter + 2);
    cabac_engine e = c->engine;
    int ctx = CTX_REF_IDX + a + 2 * b, v = 0;
    while (v < 32 && decide(c, &e, ctx)) { // 32: more than any list holds, the caller checks
        v++;
        ctx = CTX_REF_IDX + (v == 1 ? 4 : 5);
    }
    c->engine = e;
    return v;
}

// 9.3.3.1.1.7, UEG3 with uCoff 9; state: of the first context variable, sum: of the neighbours
CORE_INLINE int mvd_component(cabac_engine *const engine, uint8_t *const state, const int sum) {
    cabac_engine e = *engine;
    int v = 0;
    if (cabac_decision(&e, &state[(sum > 2) + (sum > 32)])) {
        v = 1;
        while (v < 9 && cabac_decision(&e, &state[imin(v + 2, 6)]))
            v++;
        if (v == 9) {
            int k = 3;
            while (k < 24 && cabac_bypass(&e)) // longer prefixes are no legal mvd
                v += 1 << k++;
            while (k-- > 0)
                v += cabac_bypass(&e) << k;
        }
        const int sign = -cabac_bypass(&e);
        v = (v ^ sign) - sign;
    }
    *engine = e;
    return v;
}

CORE_SHIFTS void h264_cabac_mvd(h264_decoder *const dec, const int list, const int cache_index,
                                int mvd[2]) {
    const mb_ctx *const m = &dec->slice.mb;
    cabac *const c = &dec->slice.cabac;
    const uint8_t *const A = m->mvd_cache[list][cache_index - 1],
                         *const B = m->mvd_cache[list][cache_index - 8];
    const int sum[2] = {A[0] + B[0], A[1] + B[1]};
    mvd[0] = mvd_component(&c->engine, c->state + CTX_MVD_X, sum[0]);
    mvd[1] = mvd_component(&c->engine, c->state + CTX_MVD_Y, sum[1]);
}
