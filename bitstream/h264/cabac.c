/* 9.3 CABAC: initialisation of the context variables, residual_block_cabac()
 * (7.3.5.3.3). In: slice data at a byte boundary. Out: levels of one block in mb_ctx. The other
 * syntax elements: cabac_syntax.c. */
#include <string.h>

#include "cabac_tables.h"
#include "internal.h"

// Table 9-43: ctxIdxInc of significant_coeff_flag (frame, field) and last_significant_coeff_flag in
// 8x8 blocks
static const uint8_t table_9_43_sig[2][63] = {
    {
        0,  1,  2, 3, 4, 5,  5,  4,  4,  3, 3, 4,  4,  4,  5,  5,  4,  4,  4,  4,  3,
        3,  6,  7, 7, 7, 8,  9,  10, 9,  8, 7, 7,  6,  11, 12, 13, 11, 6,  7,  8,  9,
        14, 10, 9, 8, 6, 11, 12, 13, 11, 6, 9, 14, 10, 9,  11, 12, 13, 11, 14, 10, 12,
    },
    {
        0,  1,  1,  2,  2,  3,  3,  4,  5,  6,  7,  7,  7, 8,  4,  5,  6,  9,  10, 10, 8,
        11, 12, 11, 9,  9,  10, 10, 8,  11, 12, 11, 9,  9, 10, 10, 8,  11, 12, 11, 9,  9,
        10, 10, 8,  13, 13, 9,  9,  10, 10, 8,  13, 13, 9, 9,  10, 10, 14, 14, 14, 14, 14,
    },
};
static const uint8_t table_9_43_last[63] = {
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8,
};

static void first_states(uint8_t *const state, const int column, const int qp) {
    for (int i = 0; i < 1024; i++) {
        const int8_t *const mn = table_9_12_context_init[i][column];
        const int preCtxState = iclip(((mn[0] * qp) >> 4) + mn[1], 1, 126);
        state[i] =
            (uint8_t)(preCtxState <= 63 ? (63 - preCtxState) << 1 : (preCtxState - 64) << 1 | 1);
    }
}

enum {
    N_KNOWN = sizeof((cabac *)0)->known / sizeof((cabac *)0)->known[0]
};

// 9.3.1.1
void h264_cabac_init_states(cabac *const c, const int slice_type, const int cabac_init_idc,
                            const int SliceQPY) {
    const int column = slice_type == SLICE_I || slice_type == SLICE_SI ? 0 : 1 + cabac_init_idc;
    const int qp = iclip(SliceQPY, 0, 51), begin = 52 * column + qp + 1;
    unsigned k = 0;
    while (k < N_KNOWN && c->known[k].begin != begin)
        k++;
    if (k == N_KNOWN) {
        k = c->next_known++ % N_KNOWN;
        c->known[k].begin = begin;
        first_states(c->known[k].state, column, qp);
    }
    memcpy(c->state, c->known[k].state, sizeof c->state);
}

/* Table 9-34 and Table 9-40: first context of a block kind in each plane (Cb and Cr have contexts
 * of their own in 4:4:4 only; there they code blocks of the luma kinds). ctxBlockCatOffset is
 * already added. */
typedef struct residual_contexts {
    uint16_t coded_block_flag, sig[2 /* field */], last[2], abs_level;
} residual_contexts;

static const residual_contexts contexts[3][6] = {
    {
        [KIND_DC16] = {85 + 0, {105 + 0, 277 + 0}, {166 + 0, 338 + 0}, 227 + 0},
        [KIND_AC16] = {85 + 4, {105 + 15, 277 + 15}, {166 + 15, 338 + 15}, 227 + 10},
        [KIND_4X4] = {85 + 8, {105 + 29, 277 + 29}, {166 + 29, 338 + 29}, 227 + 20},
        [KIND_8X8] = {1012, {402, 436}, {417, 451}, 426},
    },
    {
        [KIND_DC16] = {460 + 0, {484 + 0, 776 + 0}, {572 + 0, 864 + 0}, 952 + 0},
        [KIND_AC16] = {460 + 4, {484 + 15, 776 + 15}, {572 + 15, 864 + 15}, 952 + 10},
        [KIND_4X4] = {460 + 8, {484 + 29, 776 + 29}, {572 + 29, 864 + 29}, 952 + 20},
        [KIND_CHROMA_DC] = {85 + 12, {105 + 44, 277 + 44}, {166 + 44, 338 + 44}, 227 + 30},
        [KIND_CHROMA_AC] = {85 + 16, {105 + 47, 277 + 47}, {166 + 47, 338 + 47}, 227 + 39},
        [KIND_8X8] = {1012 + 4, {660, 675}, {690, 699}, 708},
    },
    {
        [KIND_DC16] = {472 + 0, {528 + 0, 820 + 0}, {616 + 0, 908 + 0}, 982 + 0},
        [KIND_AC16] = {472 + 4, {528 + 15, 820 + 15}, {616 + 15, 908 + 15}, 982 + 10},
        [KIND_4X4] = {472 + 8, {528 + 29, 820 + 29}, {616 + 29, 908 + 29}, 982 + 20},
        [KIND_CHROMA_DC] = {85 + 12, {105 + 44, 277 + 44}, {166 + 44, 338 + 44}, 227 + 30},
        [KIND_CHROMA_AC] = {85 + 16, {105 + 47, 277 + 47}, {166 + 47, 338 + 47}, 227 + 39},
        [KIND_8X8] = {1012 + 8, {718, 733}, {748, 757}, 766},
    },
};

// 9.3.3.1.1.9: does the neighbouring block of the same kind have levels? An unavailable one counts
// as coded for intra.
CORE_INLINE int coded_block_flag_inc(const mb_ctx *const m, const block_kind kind, const int plane,
                                     const int block) {
    const int outside = m->mb->is_intra;
    if (block == BLOCK_DC) {
        const int a = m->A->slice_num < 0 ? outside : m->A->coded_dc >> plane & 1;
        const int b = m->B->slice_num < 0 ? outside : m->B->coded_dc >> plane & 1;
        return a + 2 * b;
    }
    int x, y, width, rows;
    if (kind == KIND_CHROMA_AC) {
        x = block & 1, y = block >> 1, width = 2, rows = m->chroma_rows;
    } else {
        x = h264_block_x[block], y = h264_block_y[block], width = 4, rows = 4;
    }
    int a, b;
    if (x > 0) {
        a = m->mb->total_coeff[plane][y * width + x - 1] != 0;
    } else {
        const mb_info *const left = m->left[y >= rows / 2];
        const int row = kind == KIND_CHROMA_AC ? m->left_row_c[y] : m->left_row[y];
        a = left->slice_num < 0 ? outside : left->total_coeff[plane][row * width + width - 1] != 0;
    }
    if (y > 0)
        b = m->mb->total_coeff[plane][(y - 1) * width + x] != 0;
    else
        b = m->B->slice_num < 0 ? outside : m->B->total_coeff[plane][(rows - 1) * width + x] != 0;
    return a + 2 * b;
}

// The same for 8x8 blocks, whose flag is coded in 4:4:4 only: 4x4 blocks next to them count as not
// coded.
static int coded_block_flag_inc_8x8(const mb_ctx *const m, const int plane, const int block) {
    const int x = h264_block_x[block], y = h264_block_y[block];
    const mb_info *const left = x ? m->mb : m->left[y >> 1], *const above = y ? m->mb : m->B;
    const int left_row = x ? y : m->left_row[y],
              n[2] = {left_row * 4 + ((x - 1) & 3), ((y - 1) & 3) * 4 + x};
    const mb_info *const mbs[2] = {left, above};
    int inc = 0;
    for (int i = 0; i < 2; i++) {
        const mb_info *const mb = mbs[i];
        const bool own = mb == m->mb;
        if (!own && mb->slice_num < 0)
            inc |= m->mb->is_intra << i;
        else if (own || mb->transform_size_8x8_flag || mb->type == H264_I_PCM)
            inc |= (mb->total_coeff[plane][n[i]] != 0) << i;
    }
    return inc;
}

// coeff_abs_level_minus1 (prefix TU with cMax 14, suffix Exp-Golomb of order 0) and
// sign: 9.3.2.3, 9.3.3.1.3
CORE_INLINE int32_t coefficient(cabac_engine *const e, uint8_t *const ctx, const int first,
                                const int more) {
    uint32_t abs_minus1 = 0;
    if (cabac_decision(e, ctx + first)) {
        abs_minus1 = 1;
        while (abs_minus1 < 14 && cabac_decision(e, ctx + more))
            abs_minus1++;
        if (abs_minus1 == 14) {
            int k = 0;
            while (k < 24 && cabac_bypass(e)) // longer prefixes are no legal level at any bit depth
                abs_minus1 += 1u << k++;
            while (k-- > 0)
                abs_minus1 += (uint32_t)cabac_bypass(e) << k;
        }
    }
    const int32_t level = (int32_t)abs_minus1 + 1;
    const int32_t sign = -cabac_bypass(e);
    return (level ^ sign) - sign;
}

/* significant_coeff_flag and last_significant_coeff_flag of a block of n coefficients: scan
 * positions of the levels into pos, ascending; returns how many. inc == NULL: ctxIdxInc is the
 * position itself. */
CORE_INLINE int significance_map(cabac_engine *const e, uint8_t *const sig, uint8_t *const last,
                                 const int n, const uint8_t *const sig_inc,
                                 const uint8_t *const last_inc, uint8_t *const pos) {
    int count = 0;
    for (int i = 0; i < n - 1; i++) {
        if (cabac_decision(e, sig + (sig_inc ? sig_inc[i] : i))) {
            pos[count++] = (uint8_t)i;
            if (cabac_decision(e, last + (last_inc ? last_inc[i] : i)))
                return count;
        }
    }
    pos[count++] = (uint8_t)(n - 1); // the last one is inferred
    return count;
}

// ChromaDCLevel: ctxIdxInc = Min(numDecod / NumC8x8, 2)
static const uint8_t chroma_dc_inc[2][8] = {{0, 1, 2, 2}, {0, 0, 1, 1, 2, 2, 2, 2}};

// 7.3.5.3.3 residual_block_cabac()
CORE_SHIFTS int h264_cabac_residual_block(h264_decoder *const dec, const block_kind kind,
                                          const int plane, const int block) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    cabac *const c = &s->cabac;
    const residual_contexts *const r = &contexts[plane][kind];
    cabac_engine e = c->engine;
    if (kind != KIND_8X8 || s->sps->ChromaArrayType == 3) {
        const int inc = kind == KIND_8X8 ? coded_block_flag_inc_8x8(m, plane, block)
                                         : coded_block_flag_inc(m, kind, plane, block);
        if (!cabac_decision(&e, &c->state[r->coded_block_flag + inc])) {
            c->engine = e;
            return 0;
        }
    }
    const int field = m->mb->field;
    uint8_t *const sig = &c->state[r->sig[field]], *const last = &c->state[r->last[field]];
    uint8_t *const pos = m->scan_pos + m->n_levels;
    int count;
    if (kind == KIND_8X8) {
        count = significance_map(&e, sig, last, 64, table_9_43_sig[field], table_9_43_last, pos);
    } else if (kind == KIND_CHROMA_DC) {
        const uint8_t *const inc = chroma_dc_inc[dec->mb_height_c == 16];
        count = significance_map(&e, sig, last, dec->mb_height_c / 2, inc, inc, pos);
    } else {
        const int n = kind == KIND_AC16 || kind == KIND_CHROMA_AC ? 15 : 16;
        count = significance_map(&e, sig, last, n, NULL, NULL, pos);
    }
    uint8_t *const ctx = &c->state[r->abs_level];
    const int cap = kind == KIND_CHROMA_DC ? 3 : 4;
    int32_t *const level = m->level + m->n_levels;
    int eq1 = 0, gt1 = 0;
    for (int i = count - 1; i >= 0; i--) {
        const int32_t v = coefficient(&e, ctx, gt1 ? 0 : imin(4, 1 + eq1), 5 + imin(cap, gt1));
        level[i] = v;
        const int is_one = v == 1 || v == -1;
        eq1 += is_one;
        gt1 += !is_one;
    }
    c->engine = e;
    m->blocks[plane][block] = (block_levels){(uint16_t)m->n_levels, (uint8_t)count};
    m->coded[plane] |= 1u << block;
    m->n_levels += count;
    return count;
}
