/* 6.4 Inverse scanning and neighbours: where a macroblock lies, and whom it may look at.
 * In: the macroblock address in mb_ctx. Out: positions, sample pointers and neighbouring
 * macroblocks A, B, C, D. Macroblocks of other slices, and those not decoded yet, appear as
 * h264_unavailable_mb. */
#include "internal.h"

const uint8_t h264_block_x[16] = {0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3};
const uint8_t h264_block_y[16] = {0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3};
const uint8_t h264_quarter_of_block[16] = {0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3};

// cbp 15: no coded_block_pattern bit of a missing neighbour counts as 0 (9.3.3.1.1.4)
const mb_info h264_unavailable_mb = {
    .slice_num = -1,
    .cbp = 15,
    .Intra4x4PredMode = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
};

static const mb_info *available(const h264_decoder *const dec, const bool inside, const int addr,
                                int *const addr_out) {
    if (inside && dec->mb[addr].slice_num == dec->slice.slice_num) {
        *addr_out = addr;
        return &dec->mb[addr];
    }
    *addr_out = -1;
    return &h264_unavailable_mb;
}

// 6.4.9: in pictures without MBAFF. In a field picture map rows of the other parity lie between
// those of this one.
void h264_neighbours(h264_decoder *const dec, mb_ctx *const m) {
    const int w = dec->PicWidthInMbs, step = dec->slice.hdr.field_pic_flag ? 2 * w : w;
    const int addr = m->mb_x + m->mb_y * w, above = addr - step;
    const bool left = m->mb_x > 0, right = m->mb_x < w - 1, top = above >= 0;
    m->addr = addr;
    m->mb = &dec->mb[addr];
    m->motion = &dec->cur->motion[addr];
    m->A = available(dec, left, addr - 1, &m->addr_A);
    m->B = available(dec, top, above, &m->addr_B);
    m->C = available(dec, top && right, above + 1, &m->addr_C);
    m->D = available(dec, top && left, above - 1, &m->addr_D);
    m->left[0] = m->left[1] = m->A;
    m->addr_left[0] = m->addr_left[1] = m->addr_A;
    for (int i = 0; i < 4; i++)
        m->left_row[i] = m->left_row_c[i] = (uint8_t)i;
    m->chroma_rows = dec->mb_height_c / 4;
    const int field = dec->slice.hdr.field_pic_flag;
    const int bottom = dec->slice.hdr.bottom_field_flag;
    for (int plane = 0; plane < 3; plane++) {
        const int mbw = plane ? dec->mb_width_c : 16, mbh = plane ? dec->mb_height_c : 16;
        if (!mbw)
            continue;
        const ptrdiff_t stride = dec->cur->stride[plane];
        const ptrdiff_t row = field ? (m->mb_y >> 1) * mbh * 2 + bottom : m->mb_y * mbh;
        m->stride[plane] = stride << field;
        m->dst[plane] =
            dec->cur->plane[plane] + row * stride + (ptrdiff_t)m->mb_x * mbw * dec->k->sample_size;
    }
}
