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

// The same for the macroblock `distance` away from this one in the map
CORE_INLINE const mb_info *nearby(const slice_ctx *const s, const bool inside, const int distance,
                                  int *const addr_out) {
    const mb_info *const mb = s->mb.mb + distance;
    const bool is_there = inside && mb->slice_num == s->slice_num;
    *addr_out = is_there ? s->mb.addr + distance : -1;
    return is_there ? mb : &h264_unavailable_mb;
}

// 6.4.9: in pictures without MBAFF. In a field picture map rows of the other parity lie between
// those of this one.
static void plain_neighbours(const h264_decoder *const dec, mb_ctx *const m) {
    const slice_ctx *const s = &dec->slice;
    const int w = dec->PicWidthInMbs, step = s->hdr.field_pic_flag ? 2 * w : w;
    const bool left = m->mb_x > 0, right = m->mb_x < w - 1, top = m->addr >= step;
    m->A = nearby(s, left, -1, &m->addr_A);
    m->B = nearby(s, top, -step, &m->addr_B);
    m->C = nearby(s, top && right, 1 - step, &m->addr_C);
    m->D = nearby(s, top && left, -1 - step, &m->addr_D);
    m->left[0] = m->left[1] = m->A;
    m->addr_left[0] = m->addr_left[1] = m->addr_A;
}

// -------------------------------------------------------------------------------- MBAFF, 6.4.12.2

// Top macroblock of a pair in the same slice; -1: there is none
static int pair_at(const h264_decoder *const dec, const bool inside, const int addr) {
    return inside && dec->mb[addr].slice_num == dec->slice.slice_num ? addr : -1;
}

// Which macroblock of the pair above (or above left, above right) touches this one: the lower one,
// but for a top field macroblock that of its own parity where the pair has such
static int touching(const h264_decoder *const dec, const mb_ctx *const m, const int pair) {
    const bool top_field = m->mb->field && !(m->mb_y & 1);
    return pair < 0 || (top_field && dec->mb[pair].field) ? pair : pair + dec->PicWidthInMbs;
}

static void set_rows(uint8_t rows[4], const int a, const int b, const int c, const int d) {
    rows[0] = (uint8_t)a;
    rows[1] = (uint8_t)b;
    rows[2] = (uint8_t)c;
    rows[3] = (uint8_t)d;
}

// Table 6-4 for xN < 0 and yN 0..maxH - 1
static void left_column(const h264_decoder *const dec, mb_ctx *const m) {
    const int bottom = m->mb_y & 1, w = dec->PicWidthInMbs;
    const bool field = m->mb->field, tall = m->chroma_rows == 4;
    int upper = m->left_pair, lower = m->left_pair;
    m->left_differs = m->left_pair >= 0 && dec->mb[m->left_pair].field != field;
    set_rows(m->left_row, 0, 1, 2, 3);
    set_rows(m->left_row_c, 0, 1, 2, 3);
    if (!m->left_differs) {
        upper = lower = m->left_pair < 0 ? -1 : m->left_pair + bottom * w;
    } else if (field) { // rows 0..7 of a field lie in the upper frame macroblock
        lower += w;
        set_rows(m->left_row, 0, 2, 0, 2);
        set_rows(m->left_row_c, 0, tall ? 2 : 0, 0, 2);
    } else { // even rows lie in the top field
        const int r = 2 * bottom, c = tall ? r : bottom;
        set_rows(m->left_row, r, r, r + 1, r + 1);
        set_rows(m->left_row_c, c, c, c + 1, c + 1);
    }
    m->left[0] = available(dec, upper >= 0, upper, &m->addr_left[0]);
    m->left[1] = available(dec, lower >= 0, lower, &m->addr_left[1]);
    m->A = m->left[0];
    m->addr_A = m->addr_left[0];
}

static void pair_neighbours(const h264_decoder *const dec, mb_ctx *const m) {
    const int w = dec->PicWidthInMbs, bottom = m->mb_y & 1, top_addr = m->addr - bottom * w;
    const int above = top_addr - 2 * w;
    const bool left = m->mb_x > 0, right = m->mb_x < w - 1, top = above >= 0;
    m->left_pair = pair_at(dec, left, top_addr - 1);
    m->above_pair = pair_at(dec, top, above);
    left_column(dec, m);
    int B = touching(dec, m, m->above_pair);
    int C = touching(dec, m, pair_at(dec, top && right, above + 1));
    int D = touching(dec, m, pair_at(dec, top && left, above - 1));
    m->block_D = 15;
    if (bottom && !m->mb->field) { // the pair itself lies above
        B = top_addr;
        C = -1;
        D = m->left_pair;
        if (m->left_differs) { // row 7 of the bottom field
            D += w;
            m->block_D = 7;
        }
    }
    m->B = available(dec, B >= 0, B, &m->addr_B);
    m->C = available(dec, C >= 0, C, &m->addr_C);
    m->D = available(dec, D >= 0, D, &m->addr_D);
}

// 8.4.2.1: field macroblocks of a frame refer to the fields of its references
static void choose_lists(slice_ctx *const s) {
    mb_ctx *const m = &s->mb;
    const int bottom = m->mb_y & 1;
    m->frame_field = m->mb->field;
    m->distances = !m->frame_field ? DISTANCES_OF_PICTURE
                   : bottom        ? DISTANCES_OF_BOTTOM
                                   : DISTANCES_OF_TOP;
    for (int list = 0; list < 2; list++)
        m->ref_list[list] = m->frame_field ? s->field_list[bottom][list] : s->RefPicList[list];
}

// ------------------------------------------------------------------------------------------------

void h264_neighbours_init(slice_ctx *const s) {
    mb_ctx *const m = &s->mb;
    m->frame_field = m->left_differs = m->is_located = false;
    m->distances = DISTANCES_OF_PICTURE;
    m->block_D = 15;
    m->left_pair = m->above_pair = -1;
    for (int list = 0; list < 2; list++)
        m->ref_list[list] = s->RefPicList[list];
    set_rows(m->left_row, 0, 1, 2, 3);
    set_rows(m->left_row_c, 0, 1, 2, 3);
}

// Offset of the macroblock's samples in a plane where it is w x h samples large
CORE_INLINE ptrdiff_t offset_of(const h264_decoder *const dec, const mb_ctx *const m,
                                const ptrdiff_t stride, const int w, const int h) {
    const ptrdiff_t row =
        m->mb->field ? (m->mb_y >> 1) * h * 2 + (m->mb_y & 1) : m->mb_y * (ptrdiff_t)h;
    return row * stride + (ptrdiff_t)m->mb_x * w * dec->k->sample_size;
}

CORE_INLINE void locate_samples(const h264_decoder *const dec, mb_ctx *const m) {
    const picture *const cur = dec->cur;
    m->stride[0] = cur->stride[0] << m->mb->field;
    m->dst[0] = cur->plane[0] + offset_of(dec, m, cur->stride[0], 16, 16);
    if (!dec->mb_width_c)
        return;
    const ptrdiff_t offset = offset_of(dec, m, cur->stride[1], dec->mb_width_c, dec->mb_height_c);
    m->stride[1] = m->stride[2] = cur->stride[1] << m->mb->field;
    m->dst[1] = cur->plane[1] + offset;
    m->dst[2] = cur->plane[2] + offset;
}

void h264_next_neighbours(h264_decoder *const dec, mb_ctx *const m) {
    const slice_ctx *const s = &dec->slice;
    const int w = dec->PicWidthInMbs, size = dec->k->sample_size;
    m->mb_x++;
    m->addr++;
    m->mb++;
    m->motion++;
    m->mb->field = false;
    m->D = m->B;
    m->addr_D = m->addr_B;
    m->B = m->C;
    m->addr_B = m->addr_C;
    m->A = nearby(s, true, -1, &m->addr_A);
    m->C = nearby(s, m->addr >= w && m->mb_x < w - 1, 1 - w, &m->addr_C);
    m->left[0] = m->left[1] = m->A;
    m->addr_left[0] = m->addr_left[1] = m->addr_A;
    m->dst[0] += 16 * size;
    if (!dec->mb_width_c)
        return;
    m->dst[1] += dec->mb_width_c * size;
    m->dst[2] += dec->mb_width_c * size;
}

void h264_neighbours(h264_decoder *const dec, mb_ctx *const m) {
    m->is_located = true;
    m->addr = m->mb_x + m->mb_y * dec->PicWidthInMbs;
    m->mb = &dec->mb[m->addr];
    m->motion = &dec->cur->motion[m->addr];
    m->chroma_rows = dec->mb_height_c / 4;
    if (CORE_UNLIKELY(dec->slice.hdr.MbaffFrameFlag)) {
        pair_neighbours(dec, m);
        choose_lists(&dec->slice);
    } else {
        m->mb->field = dec->slice.hdr.field_pic_flag;
        plain_neighbours(dec, m);
    }
    locate_samples(dec, m);
}
