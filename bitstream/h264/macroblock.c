/* 7.3.5 Macroblock layer: mb_type, intra prediction modes, coded_block_pattern, QP, residual,
 * I_PCM. In: the slice's bit reader or CABAC engine, neighbours in mb_ctx. Out: mb_ctx (levels,
 * modes), mb_info, and mb_motion by way of mb_inter.c. Nothing is reconstructed here. */
#include <string.h>

#include "internal.h"

// Table 9-4: coded_block_pattern by codeNum, [ChromaArrayType 1, 2 | 0, 3][Intra_4x4, Intra_8x8 |
// Inter]
static const uint8_t table_9_4_me[2][2][48] = {
    {{47, 31, 15, 0,  23, 27, 29, 30, 7,  11, 13, 14, 39, 43, 45, 46,
      16, 3,  5,  10, 12, 19, 21, 26, 28, 35, 37, 42, 44, 1,  2,  4,
      8,  17, 18, 20, 24, 6,  9,  22, 25, 32, 33, 34, 36, 40, 38, 41},
     {0,  16, 1,  2,  4,  8,  32, 3,  5,  10, 12, 15, 47, 7,  11, 13,
      14, 6,  9,  31, 35, 37, 42, 44, 33, 34, 36, 40, 39, 43, 45, 46,
      17, 18, 20, 24, 19, 21, 26, 28, 23, 27, 29, 30, 22, 25, 38, 41}},
    {{15, 0, 7, 11, 13, 14, 3, 5, 10, 12, 1, 2, 4, 8, 6, 9},
     {0, 1, 2, 4, 8, 3, 5, 10, 12, 15, 7, 11, 13, 14, 6, 9}},
};

// Table 8-15: QP_C for qPI 30..51
static const uint8_t table_8_15_QPC[22] = {29, 30, 31, 32, 32, 33, 34, 34, 35, 35, 36,
                                           36, 37, 37, 37, 38, 38, 38, 39, 39, 39, 39};

// 8.5.8: QP_C of chroma plane `c` (0 Cb, 1 Cr), without QpBdOffsetC
int h264_chroma_qp(const slice_ctx *const s, const int QPY, const int c) {
    const int qPI =
        iclip(QPY + s->pps->chroma_qp_index_offset[c], -6 * (s->sps->BitDepthC - 8), 51);
    return qPI < 30 ? qPI : table_8_15_QPC[qPI - 30];
}

// QP_C, QP' and the bypass flag of a QP_Y (7.4.5, 8.5.8)
static void change_qp(slice_ctx *const s, const int QPY) {
    mb_ctx *const m = &s->mb;
    m->QPY = QPY;
    m->QPprimeY = QPY + 6 * (s->sps->BitDepthY - 8);
    m->TransformBypassModeFlag = s->sps->qpprime_y_zero_transform_bypass_flag && m->QPprimeY == 0;
    for (int c = 0; c < 2; c++) {
        m->QPC[c] = (int8_t)h264_chroma_qp(s, QPY, c);
        m->QPprimeC[c] = m->QPC[c] + 6 * (s->sps->BitDepthC - 8);
    }
}

CORE_INLINE void set_qp(slice_ctx *const s, const int QPY) {
    mb_ctx *const m = &s->mb;
    if (m->QPY != QPY)
        change_qp(s, QPY);
    m->mb->QPY = (int8_t)QPY;
    m->mb->QPC[0] = m->QPC[0];
    m->mb->QPC[1] = m->QPC[1];
}

// What every macroblock starts from: no levels, no modes. Motion and mvd are set by whoever knows
// them.
CORE_INLINE void reset(slice_ctx *const s, const bool is_intra) {
    mb_ctx *const m = &s->mb;
    mb_info *const mb = m->mb;
    mb->is_intra = is_intra;
    mb->filter_as_intra = is_intra || s->hdr.slice_type >= SLICE_SP;
    mb->skip = false;
    mb->is_SI = false;
    mb->residual_lost = false;
    mb->conceal = false;
    mb->transform_size_8x8_flag = false;
    mb->direct = 0;
    mb->moves_as_one = false;
    mb->cbp = 0;
    mb->intra_chroma_pred_mode = 0;
    mb->coded_dc = 0;
    mb->nonzero = 0;
    memset(mb->total_coeff, 0, sizeof mb->total_coeff);
    // With constrained_intra_pred_flag inter neighbours make intra modes fall back to DC as missing
    // ones do (8.3.1.1)
    memset(mb->Intra4x4PredMode, !is_intra && s->pps->constrained_intra_pred_flag ? -1 : 2,
           sizeof mb->Intra4x4PredMode);
    mb->FilterOffsetA = (int8_t)s->hdr.FilterOffsetA;
    mb->FilterOffsetB = (int8_t)s->hdr.FilterOffsetB;
    mb->disable_deblocking_filter_idc = (uint8_t)s->hdr.disable_deblocking_filter_idc;
    m->n_levels = 0;
    m->coded[0] = m->coded[1] = m->coded[2] = 0;
    m->transform_size_8x8_flag = false;
    m->repeats_left = false;
    m->switching_transform = s->hdr.slice_type == SLICE_SP && !is_intra;
}

static void no_motion(slice_ctx *const s) {
    h264_motion_clear(s->mb.motion, 0);
    h264_motion_clear(s->mb.motion, 1);
    if (s->pps->entropy_coding_mode_flag)
        memset(s->mb.mb->mvd, 0, sizeof s->mb.mb->mvd);
}

// ------------------------------------------------------------------------------------- intra modes

static int read_intra_pred_mode(h264_decoder *const dec) {
    if (dec->slice.pps->entropy_coding_mode_flag)
        return h264_cabac_intra_pred_mode(dec);
    bits *const b = &dec->slice.b;
    return bits_u1(b) ? -1 : (int)bits_u(b, 3);
}

// 8.3.1.1, 8.3.2.1: mode of the n x n blocks (n in 4x4 blocks: 1 or 2) at block (x, y) from those
// left and above
static int intra_pred_mode(h264_decoder *const dec, const int x, const int y) {
    const mb_ctx *const m = &dec->slice.mb;
    const int8_t *const own = m->mb->Intra4x4PredMode;
    const int a =
        x ? own[y * 4 + x - 1] : m->left[y >> 1]->Intra4x4PredMode[m->left_row[y] * 4 + 3];
    const int b = y ? own[(y - 1) * 4 + x] : m->B->Intra4x4PredMode[12 + x];
    const int predicted = a < 0 || b < 0 ? 2 : imin(a, b);
    const int rem = read_intra_pred_mode(dec);
    return rem < 0 ? predicted : rem < predicted ? rem : rem + 1;
}

static void intra_nxn_modes(h264_decoder *const dec) {
    mb_ctx *const m = &dec->slice.mb;
    const bool is_8x8 = m->transform_size_8x8_flag;
    for (int i = 0; i < (is_8x8 ? 4 : 16); i++) {
        const int blk = is_8x8 ? 4 * i : i, x = h264_block_x[blk], y = h264_block_y[blk];
        const int mode = intra_pred_mode(dec, x, y);
        int8_t *const to = &m->mb->Intra4x4PredMode[y * 4 + x];
        m->intra_modes[i] = mode;
        to[0] = (int8_t)mode;
        if (is_8x8)
            to[1] = to[4] = to[5] = (int8_t)mode;
    }
}

static int intra_chroma_mode(h264_decoder *const dec) {
    const slice_ctx *const s = &dec->slice;
    const int type = s->sps->ChromaArrayType;
    if (type != 1 && type != 2)
        return H264_OK;
    const uint32_t mode = s->pps->entropy_coding_mode_flag
                              ? (uint32_t)h264_cabac_intra_chroma_pred_mode(dec)
                              : bits_ue(&dec->slice.b);
    if (mode > 3)
        return H264_CORRUPT;
    s->mb.mb->intra_chroma_pred_mode = (uint8_t)mode;
    return H264_OK;
}

// ---------------------------------------------------------------------------------------- residual

static int block(h264_decoder *const dec, const block_kind kind, const int plane,
                 const int number) {
    return dec->slice.pps->entropy_coding_mode_flag
               ? h264_cabac_residual_block(dec, kind, plane, number)
               : h264_cavlc_residual_block(dec, kind, plane, number);
}

// CABAC keeps "has levels" where CAVLC keeps total_coeff
static void mark_coded(const slice_ctx *const s, const int plane, const int blkIdx, const int n,
                       const int count) {
    if (!s->pps->entropy_coding_mode_flag)
        return;
    uint8_t *const to =
        &s->mb.mb->total_coeff[plane][h264_block_y[blkIdx] * 4 + h264_block_x[blkIdx]];
    to[0] = count > 0;
    if (n == 4)
        to[1] = to[4] = to[5] = count > 0;
}

// 7.3.5.3.1 residual_luma(), for Cb and Cr too in 4:4:4
static int residual_luma(h264_decoder *const dec, const int plane) {
    const slice_ctx *const s = &dec->slice;
    mb_info *const mb = s->mb.mb;
    const bool is_16x16 = mb->type == H264_I_16X16;
    if (is_16x16) {
        const int count = block(dec, KIND_DC16, plane, BLOCK_DC);
        if (count < 0)
            return H264_CORRUPT;
        mb->coded_dc |= (uint8_t)((count > 0) << plane);
    }
    for (int i8 = 0; i8 < 4; i8++) {
        if (!(mb->cbp >> i8 & 1))
            continue;
        if (s->mb.transform_size_8x8_flag) {
            const int count = block(dec, KIND_8X8, plane, 4 * i8);
            if (count < 0)
                return H264_CORRUPT;
            mark_coded(s, plane, 4 * i8, 4, count);
            continue;
        }
        for (int i = 4 * i8; i < 4 * i8 + 4; i++) {
            const int count = block(dec, is_16x16 ? KIND_AC16 : KIND_4X4, plane, i);
            if (count < 0)
                return H264_CORRUPT;
            mark_coded(s, plane, i, 1, count);
        }
    }
    return H264_OK;
}

// Chroma of 4:2:0 and 4:2:2
static int residual_chroma(h264_decoder *const dec) {
    mb_info *const mb = dec->slice.mb.mb;
    const bool cabac = dec->slice.pps->entropy_coding_mode_flag;
    if (!(mb->cbp >> 4))
        return H264_OK;
    for (int plane = 1; plane < 3; plane++) {
        const int count = block(dec, KIND_CHROMA_DC, plane, BLOCK_DC);
        if (count < 0)
            return H264_CORRUPT;
        mb->coded_dc |= (uint8_t)((count > 0) << plane);
    }
    if (!(mb->cbp >> 5))
        return H264_OK;
    for (int plane = 1; plane < 3; plane++) {
        for (int i = 0; i < dec->mb_height_c / 2; i++) {
            const int count = block(dec, KIND_CHROMA_AC, plane, i);
            if (count < 0)
                return H264_CORRUPT;
            if (cabac)
                mb->total_coeff[plane][i] = count > 0;
        }
    }
    return H264_OK;
}

// Which 4x4 luma blocks lie in a transform block with levels, for the deblocking filter (8.7.2.1)
static uint16_t nonzero_map(const mb_ctx *const m) {
    static const uint8_t first[4] = {0, 2, 8, 10}; // blocks of the quarters, in raster order
    unsigned map = 0;
    for (int q = 0; q < 4; q++) {
        const unsigned four = m->coded[0] >> 4 * q & 15;
        const unsigned blocks = m->transform_size_8x8_flag ? (four & 1) * 15 : four;
        map |= ((blocks & 3) | (blocks & 12) << 2) << first[q];
    }
    return (uint16_t)map;
}

static int residual(h264_decoder *const dec) {
    mb_ctx *const m = &dec->slice.mb;
    if (residual_luma(dec, 0) < 0)
        return H264_CORRUPT;
    h264_cost_part(&dec->slice, COST_LUMA);
    m->mb->nonzero = nonzero_map(m);
    int rc = H264_OK;
    const int type = dec->slice.sps->ChromaArrayType;
    if (type == 1 || type == 2)
        rc = residual_chroma(dec);
    for (int plane = 1; plane < 3 && type == 3 && rc == H264_OK; plane++)
        rc = residual_luma(dec, plane);
    h264_cost_part(&dec->slice, COST_CHROMA);
    return rc;
}

static int read_mb_qp_delta(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    const int delta =
        s->pps->entropy_coding_mode_flag ? h264_cabac_mb_qp_delta(dec) : bits_se(&s->b);
    const int offset = 6 * (s->sps->BitDepthY - 8);
    if (delta < -(26 + offset / 2) || delta > 25 + offset / 2)
        return H264_CORRUPT;
    s->mb.last_mb_qp_delta = delta;
    s->QPY = (s->QPY + delta + 52 + 2 * offset) % (52 + offset) - offset;
    return H264_OK;
}

/* The partition that has the residual of the macroblock. False: it is lost, or cannot be read any
 * more because a neighbour's is, whose total_coeff would be needed. */
static bool open_partition(slice_ctx *const s) {
    mb_ctx *const m = &s->mb;
    const bool intra = m->mb->is_intra;
    const mb_info *const neighbours[3] = {m->left[0], m->left[1], m->B};
    m->inter_counts_as_0 = intra && s->pps->constrained_intra_pred_flag;
    for (int i = 0; i < 3; i++)
        if (neighbours[i]->residual_lost && (neighbours[i]->is_intra || !m->inter_counts_as_0))
            s->have_partition[!intra] = false;
    s->residual = &s->partition[!intra];
    return s->have_partition[!intra];
}

// What follows in the partition is lost with it. Inter prediction stands for an inter macroblock.
static void lose_residual(h264_decoder *const dec) {
    mb_ctx *const m = &dec->slice.mb;
    mb_info *const mb = m->mb;
    dec->slice.have_partition[!mb->is_intra] = false;
    m->n_levels = 0;
    m->coded[0] = m->coded[1] = m->coded[2] = 0;
    mb->nonzero = 0;
    memset(mb->total_coeff, 0, sizeof mb->total_coeff);
    mb->residual_lost = mb->conceal = true;
    if (mb->is_intra) // counted by conceal.c
        return;
    dec->cur->concealed_mbs++;
    dec->warnings[H264_WARN_CONCEALED_MB]++;
}

static int partitioned_residual(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    if (!open_partition(s) || residual(dec) < 0 || bits_overrun(s->residual))
        lose_residual(dec);
    return H264_OK;
}

// mb_qp_delta and residual(), present or not
static int qp_and_residual(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    const bool present = m->mb->cbp || m->mb->type == H264_I_16X16;
    if (present)
        h264_prefetch_taps(dec);
    h264_cost_part(s, COST_TYPE);
    if (!present)
        m->last_mb_qp_delta = 0;
    else if (read_mb_qp_delta(dec) < 0)
        return H264_CORRUPT;
    h264_cost_part(s, COST_QP);
    set_qp(s, s->QPY);
    if (!present)
        return H264_OK;
    return CORE_UNLIKELY(s->partitioned) ? partitioned_residual(dec) : residual(dec);
}

static int read_coded_block_pattern(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    mb_info *const mb = s->mb.mb;
    if (s->pps->entropy_coding_mode_flag) {
        mb->cbp = (uint8_t)h264_cabac_coded_block_pattern(dec);
        return H264_OK;
    }
    const bool no_chroma = s->sps->ChromaArrayType == 0 || s->sps->ChromaArrayType == 3;
    const uint32_t codeNum = bits_ue(&s->b);
    if (codeNum >= (no_chroma ? 16 : 48))
        return H264_CORRUPT;
    mb->cbp = table_9_4_me[no_chroma][!mb->is_intra][codeNum];
    return H264_OK;
}

static bool read_transform_size_8x8_flag(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    const bool flag =
        s->pps->entropy_coding_mode_flag ? h264_cabac_transform_size_8x8_flag(dec) : bits_u1(&s->b);
    s->mb.transform_size_8x8_flag = s->mb.mb->transform_size_8x8_flag = flag;
    return flag;
}

// -------------------------------------------------------------------------------- macroblock types

// Where the samples of an I_PCM macroblock lie: CABAC has read nine bits ahead of where it stands
// (9.3.1.2)
static bits pcm_reader(slice_ctx *const s) {
    bits b = *s->residual;
    if (s->pps->entropy_coding_mode_flag) {
        const uint8_t *const at = cabac_position(&s->cabac.engine);
        b.pos = (uint32_t)(at - b.data) * 8;
    }
    b.pos = (b.pos + 7) & ~7u; // pcm_alignment_zero_bit
    return b;
}

static int i_pcm(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    mb_info *const mb = m->mb;
    reset(s, true);
    no_motion(s);
    mb->type = H264_I_PCM;
    mb->cbp = 0x2f; // as neighbours see it
    mb->coded_dc = 7;
    mb->nonzero = 0xffff;
    memset(mb->total_coeff, 16, sizeof mb->total_coeff);
    set_qp(s, 0);
    m->last_mb_qp_delta = 0;
    if (s->partitioned && !open_partition(s)) {
        lose_residual(dec);
        return H264_OK;
    }
    bits b = pcm_reader(s);
    const int chroma = dec->mb_width_c * dec->mb_height_c;
    const uint32_t size =
        256u * (uint32_t)s->sps->BitDepthY + 2u * (uint32_t)chroma * (uint32_t)s->sps->BitDepthC;
    if (b.pos > b.end || b.end - b.pos < size) {
        if (!s->partitioned)
            return H264_CORRUPT;
        lose_residual(dec);
        return H264_OK;
    }
    // where the bits of partitions A and C stand, for the costs
    const uint64_t others = s->partitioned ? (uint64_t)s->b.pos + s->partition[1].pos : 0;
    h264_cost_part_until(s, COST_TYPE, (others + b.pos) << 8);
    for (int i = 0; i < 256; i++)
        m->pcm[i] = (uint16_t)bits_u(&b, s->sps->BitDepthY);
    h264_cost_part_until(s, COST_LUMA, (others + b.pos) << 8);
    for (int i = 0; i < 2 * chroma; i++)
        m->pcm[256 + i] = (uint16_t)bits_u(&b, s->sps->BitDepthC);
    h264_cost_part_until(s, COST_CHROMA, (others + b.pos) << 8);
    if (s->pps->entropy_coding_mode_flag)
        cabac_start(&s->cabac.engine, b.data + (b.pos >> 3), b.data + (b.end >> 3));
    else
        *s->residual = b;
    return H264_OK;
}

// Table 7-11; mb_type 0..24
static int intra_macroblock(h264_decoder *const dec, const int mb_type) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    reset(s, true);
    no_motion(s);
    if (mb_type == 0) {
        if (s->pps->transform_8x8_mode_flag)
            read_transform_size_8x8_flag(dec);
        m->mb->type = m->transform_size_8x8_flag ? H264_I_8X8 : H264_I_4X4;
        intra_nxn_modes(dec);
        for (int i = 0; i < (m->transform_size_8x8_flag ? 4 : 16); i++)
            if (m->intra_modes[i] > 8)
                return H264_CORRUPT;
    } else {
        m->mb->type = H264_I_16X16;
        m->Intra16x16PredMode = (mb_type - 1) & 3;
    }
    if (intra_chroma_mode(dec) < 0)
        return H264_CORRUPT;
    if (mb_type == 0) {
        if (read_coded_block_pattern(dec) < 0)
            return H264_CORRUPT;
    } else {
        m->mb->cbp = (uint8_t)((mb_type - 1) / 4 % 3 << 4 | (mb_type > 12 ? 15 : 0));
    }
    return qp_and_residual(dec);
}

static int inter_macroblock(h264_decoder *const dec, const int mb_type) {
    slice_ctx *const s = &dec->slice;
    reset(s, false);
    bool transform_8x8_allowed = false;
    if (h264_inter_pred_syntax(dec, mb_type, &transform_8x8_allowed) < 0 ||
        read_coded_block_pattern(dec) < 0)
        return H264_CORRUPT;
    if ((s->mb.mb->cbp & 15) && s->pps->transform_8x8_mode_flag && transform_8x8_allowed)
        read_transform_size_8x8_flag(dec);
    return qp_and_residual(dec);
}

// Table 7-12: intra, with Intra_4x4 prediction
static int si_macroblock(h264_decoder *const dec) {
    mb_ctx *const m = &dec->slice.mb;
    reset(&dec->slice, true);
    no_motion(&dec->slice);
    m->mb->type = H264_I_4X4;
    m->mb->is_SI = m->switching_transform = true;
    intra_nxn_modes(dec);
    for (int i = 0; i < 16; i++)
        if (m->intra_modes[i] > 8)
            return H264_CORRUPT;
    if (intra_chroma_mode(dec) < 0 || read_coded_block_pattern(dec) < 0)
        return H264_CORRUPT;
    return qp_and_residual(dec);
}

int h264_macroblock_layer(h264_decoder *const dec) {
    static const int before_intra[] = {
        [SLICE_P] = 5, [SLICE_B] = 23, [SLICE_I] = 0, [SLICE_SP] = 5, [SLICE_SI] = 1};
    slice_ctx *const s = &dec->slice;
    const int inter_types = before_intra[s->hdr.slice_type];
    const uint32_t value =
        s->pps->entropy_coding_mode_flag ? (uint32_t)h264_cabac_mb_type(dec) : bits_ue(&s->b);
    if (value > (uint32_t)inter_types + 25)
        return H264_CORRUPT;
    const int mb_type = (int)value;
    int rc;
    if (mb_type < inter_types && s->hdr.slice_type == SLICE_SI)
        rc = si_macroblock(dec);
    else if (mb_type < inter_types)
        rc = inter_macroblock(dec, mb_type);
    else if (mb_type - inter_types == 25)
        rc = i_pcm(dec);
    else
        rc = intra_macroblock(dec, mb_type - inter_types);
    return rc < 0 || bits_overrun(&s->b) ? H264_CORRUPT : H264_OK;
}

void h264_macroblock_skip(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    reset(s, false);
    m->mb->skip = true;
    if (s->pps->entropy_coding_mode_flag)
        memset(m->mb->mvd, 0, sizeof m->mb->mvd);
    if (s->hdr.slice_type == SLICE_B) {
        m->mb->type = H264_B_SKIP;
        m->mb->direct = 15;
        if (!h264_repeat_left(dec)) {
            h264_predict_direct(dec, 15);
            h264_motion_store(dec, false);
        }
    } else {
        m->mb->type = H264_P_SKIP;
        if (!h264_repeat_left(dec))
            h264_predict_p_skip(dec);
    }
    m->last_mb_qp_delta = 0;
    set_qp(s, s->QPY);
}
