/* 9.2 CAVLC parsing of transform coefficient levels (7.3.5.3.2 residual_block_cavlc()).
 * In: the slice's bit reader. Out: levels of one block in mb_ctx, total_coeff in mb_info. */
#include "cavlc_tables.h"
#include "internal.h"

// nC from the counts of the blocks to the left and above (9.2.1)
static int context_nC(const mb_ctx *const m, const int plane, const int x, const int y,
                      const int width, const int rows) {
    const bool no_inter = m->inter_counts_as_0;
    int nA = 0, nB = 0, have = 0;
    if (x > 0) {
        nA = m->mb->total_coeff[plane][y * width + x - 1];
        have = 1;
    } else {
        const mb_info *const left = m->left[y >= rows / 2];
        if (left->slice_num >= 0) {
            const int row = width == 4 ? m->left_row[y] : m->left_row_c[y];
            nA = CORE_UNLIKELY(no_inter) && !left->is_intra
                     ? 0
                     : left->total_coeff[plane][row * width + width - 1];
            have = 1;
        }
    }
    if (y > 0) {
        nB = m->mb->total_coeff[plane][(y - 1) * width + x];
        have += 2;
    } else if (m->B->slice_num >= 0) {
        nB = CORE_UNLIKELY(no_inter) && !m->B->is_intra
                 ? 0
                 : m->B->total_coeff[plane][(rows - 1) * width + x];
        have += 2;
    }
    return have == 3 ? (nA + nB + 1) >> 1 : nA + nB;
}

// coeff_token: length << 8 | TotalCoeff << 2 | TrailingOnes, 0 when there is no such code word
static unsigned coeff_token(bits *const b, const int nC) {
    const uint32_t v = bits_peek32(b);
    if (nC >= 8)
        return table_9_5_coeff_token_nC8[v >> 26];
    const int zeros = bits_leading_zeros(v | 1u << 16);
    const unsigned index = (unsigned)zeros * 8 + (v << zeros << 1 >> 29);
    if (nC < 0)
        return nC == -1 ? table_9_5_coeff_token_420[index] : table_9_5_coeff_token_422[index];
    return table_9_5_coeff_token[nC < 2 ? 0 : nC < 4 ? 1 : 2][index];
}

// Levels in order of decreasing frequency (9.2.2). false: a level_prefix that no legal level has.
static bool levels(bits *const b, int32_t *const level, const int total, const int trailing_ones) {
    for (int i = 0; i < trailing_ones; i++)
        level[i] = bits_u1(b) ? -1 : 1;
    int suffixLength = total > 10 && trailing_ones < 3;
    for (int i = trailing_ones; i < total; i++) {
        const uint32_t v = bits_peek32(b);
        const int level_prefix = v < 64 ? 32 : bits_leading_zeros(v);
        if (level_prefix > 25)
            return false;
        bits_skip(b, (uint32_t)level_prefix + 1);
        int levelCode = imin(15, level_prefix) << suffixLength;
        const int size = level_prefix >= 15                        ? level_prefix - 3
                         : level_prefix == 14 && suffixLength == 0 ? 4
                                                                   : suffixLength;
        if (size)
            levelCode += (int)bits_u(b, size);
        if (level_prefix >= 15 && suffixLength == 0)
            levelCode += 15;
        if (level_prefix >= 16)
            levelCode += (1 << (level_prefix - 3)) - 4096;
        if (i == trailing_ones && trailing_ones < 3)
            levelCode += 2;
        level[i] = levelCode & 1 ? (-levelCode - 1) >> 1 : (levelCode + 2) >> 1;
        if (suffixLength == 0)
            suffixLength = 1;
        if (suffixLength < 6 && ((levelCode + 2) >> 1) > 3 << (suffixLength - 1))
            suffixLength++;
    }
    return true;
}

// total_zeros (9.2.3, Tables 9-7 to 9-9); -1: no such code word
static int total_zeros(bits *const b, const int total, const int max_coeff) {
    const uint32_t v = bits_peek32(b);
    const int zeros = bits_leading_zeros(v | 1u << 22);
    const unsigned index = (unsigned)zeros * 4 + (v << zeros << 1 >> 30);
    const unsigned entry = max_coeff == 4   ? table_9_9_total_zeros_420[total - 1][index]
                           : max_coeff == 8 ? table_9_9_total_zeros_422[total - 1][index]
                                            : table_9_7_total_zeros[total - 1][index];
    bits_skip(b, entry >> 4);
    return entry ? (int)(entry & 15) : -1;
}

// run_before (9.2.3, Table 9-10)
static int run_before(bits *const b, const int zerosLeft) {
    const uint32_t v = bits_peek32(b);
    const unsigned entry = table_9_10_run_before[imin(zerosLeft, 7) - 1][v >> 29];
    if (entry) {
        bits_skip(b, entry >> 4);
        return (int)(entry & 15);
    }
    const int zeros = bits_leading_zeros(v | 1u << 20); // 3..11
    bits_skip(b, (uint32_t)zeros + 1);
    return zeros + 4;
}

/* One residual_block_cavlc() of up to max_coeff levels. Scan positions are stored as position *
 * stride + phase: 8x8 blocks come as four interleaved blocks of 16 (7.3.5.3.2). Returns TotalCoeff
 * or -1. */
static int residual_block(bits *const b, mb_ctx *const m, const int nC, const int max_coeff,
                          const int stride, const int phase) {
    const unsigned token = coeff_token(b, nC);
    if (!token)
        return -1;
    bits_skip(b, token >> 8);
    const int total = (int)(token >> 2 & 31), trailing_ones = (int)(token & 3);
    if (total == 0)
        return 0;
    int32_t *const level = m->level + m->n_levels;
    uint8_t *const pos = m->scan_pos + m->n_levels;
    if (total > max_coeff || !levels(b, level, total, trailing_ones))
        return -1;
    int zerosLeft = 0;
    if (total < max_coeff) {
        zerosLeft = total_zeros(b, total, max_coeff);
        if (zerosLeft < 0 || zerosLeft + total > max_coeff)
            return -1;
    }
    int p = total + zerosLeft - 1;
    for (int i = 0; i < total; i++) {
        pos[i] = (uint8_t)(p * stride + phase);
        if (zerosLeft > 0 && i < total - 1) {
            const int run = run_before(b, zerosLeft);
            if (run > zerosLeft)
                return -1;
            zerosLeft -= run;
            p -= run;
        }
        p--;
    }
    m->n_levels += total;
    return total;
}

static int add_block(mb_ctx *const m, const int plane, const int block, const int first) {
    const int count = m->n_levels - first;
    if (count) {
        m->blocks[plane][block] = (block_levels){(uint16_t)first, (uint8_t)count};
        m->coded[plane] |= 1u << block;
    }
    return count;
}

int h264_cavlc_residual_block(h264_decoder *const dec, const block_kind kind, const int plane,
                              const int block) {
    bits *const b = dec->slice.residual;
    mb_ctx *const m = &dec->slice.mb;
    const int first = m->n_levels;
    if (kind == KIND_CHROMA_DC) {
        const int max_coeff = dec->mb_height_c / 2;
        if (residual_block(b, m, max_coeff == 4 ? -1 : -2, max_coeff, 1, 0) < 0)
            return -1;
        return add_block(m, plane, block, first);
    }
    if (kind == KIND_CHROMA_AC) {
        const int nC = context_nC(m, plane, block & 1, block >> 1, 2, m->chroma_rows);
        const int total = residual_block(b, m, nC, 15, 1, 0);
        if (total < 0)
            return -1;
        m->mb->total_coeff[plane][block] = (uint8_t)total;
        return add_block(m, plane, block, first);
    }
    const int n = kind == KIND_8X8 ? 4 : 1;
    for (int i = 0; i < n; i++) {
        const int blkIdx = block == BLOCK_DC ? 0 : block + i;
        const int x = h264_block_x[blkIdx], y = h264_block_y[blkIdx];
        const int nC = context_nC(m, plane, x, y, 4, 4);
        const int total = residual_block(b, m, nC, kind == KIND_AC16 ? 15 : 16, n, i);
        if (total < 0)
            return -1;
        if (kind != KIND_DC16)
            m->mb->total_coeff[plane][y * 4 + x] = (uint8_t)total;
    }
    return add_block(m, plane, block, first);
}
