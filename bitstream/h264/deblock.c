/* Deblocking filter (8.7), row by row as the picture is decoded, Note [One row behind]: macroblock
 * by macroblock, first the vertical edges from left to right, then the horizontal ones from top to
 * bottom, as the standard orders them (later edges read what earlier ones wrote). Works on the
 * planes of dec->cur alone; taps are not touched.
 *
 * Note [Chroma edges]. Chroma has an edge wherever its own 4x4 transform blocks meet, with the
 * strength of the luma edge at the same place: 4:2:0 takes every second luma edge in both
 * directions, 4:2:2 every second vertical and every horizontal one (those inside 8x8 luma
 * transforms too), 4:4:4 is filtered as luma is. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

// Table 8-16
static const uint8_t table_8_16_alpha[52] = {
    0,  0,  0,  0,  0,  0,  0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   4,  4,
    5,  6,  7,  8,  9,  10, 12,  13,  15,  17,  20,  22,  25,  28,  32,  36,  40, 45,
    50, 56, 63, 71, 80, 90, 101, 113, 127, 144, 162, 182, 203, 226, 255, 255,
};

static const uint8_t table_8_16_beta[52] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0,  0,  2,  2,  2,  3,  3,  3,  3,  4,  4,  4,
    6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 18, 18,
};

// Table 8-17: tC0 by indexA and bS; -1 marks samples that bS 0 leaves alone
static const int8_t table_8_17_tc0[52][4] = {
    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},   {-1, 0, 0, 0},   {-1, 0, 0, 0},
    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},   {-1, 0, 0, 0},   {-1, 0, 0, 0},
    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},   {-1, 0, 0, 0},   {-1, 0, 0, 0},
    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 1},   {-1, 0, 0, 1},   {-1, 0, 0, 1},
    {-1, 0, 0, 1},    {-1, 0, 1, 1},    {-1, 0, 1, 1},   {-1, 1, 1, 1},   {-1, 1, 1, 1},
    {-1, 1, 1, 1},    {-1, 1, 1, 1},    {-1, 1, 1, 2},   {-1, 1, 1, 2},   {-1, 1, 1, 2},
    {-1, 1, 1, 2},    {-1, 1, 2, 3},    {-1, 1, 2, 3},   {-1, 2, 2, 3},   {-1, 2, 2, 4},
    {-1, 2, 3, 4},    {-1, 2, 3, 4},    {-1, 3, 3, 5},   {-1, 3, 4, 6},   {-1, 3, 4, 6},
    {-1, 4, 5, 7},    {-1, 4, 5, 8},    {-1, 4, 6, 9},   {-1, 5, 7, 10},  {-1, 6, 8, 11},
    {-1, 6, 8, 13},   {-1, 7, 10, 14},  {-1, 8, 11, 16}, {-1, 9, 12, 18}, {-1, 10, 13, 20},
    {-1, 11, 15, 23}, {-1, 13, 17, 25},
};

enum {
    VERTICAL_EDGES,
    HORIZONTAL_EDGES
};

// What holds for all macroblocks of the picture (frame or field)
typedef struct picture_edges {
    const h264_decoder *dec;
    uint8_t *plane[3];                   // first row of the picture
    ptrdiff_t stride[2 /* fields */][3]; // between its rows, and between those of MBAFF fields
    int row_step,
        parity; // map row of macroblock row r: r * row_step + parity, Note [Macroblock addresses]
    int format; // ChromaArrayType
    int depth[3];
    bool field;
} picture_edges;

// One macroblock: its strengths, and where it is
typedef struct mb_edges {
    const mb_info *q;
    const mb_info *p[2];         // before its left and upper edge; NULL: not filtered, or mixed
    const mb_info *mixed[2];     // upper macroblock of the pair before a mixed edge, or NULL
    bool field;                  // its rows are those of a field
    bool intra, intra_before[2]; // bS 3 or 4 inside, or on the first edge
    edge_masks masks;            // otherwise
    uint16_t active[2];          // bS > 0; bits as in the masks
    uint8_t *origin[3];
    const ptrdiff_t *stride; // [plane]
} mb_edges;

// Thresholds of 8.7.2.2 for one average of quantisation parameters
typedef struct thresholds {
    uint8_t alpha, beta;
    const int8_t *tc0; // by bS
} thresholds;

CORE_INLINE thresholds thresholds_for(const mb_info *const q, const int qPp, const int qPq) {
    const int qPav = (qPp + qPq + 1) >> 1;
    const int indexA = iclip(qPav + q->FilterOffsetA, 0, 51);
    const int indexB = iclip(qPav + q->FilterOffsetB, 0, 51);
    return (thresholds){table_8_16_alpha[indexA], table_8_16_beta[indexB], table_8_17_tc0[indexA]};
}

CORE_INLINE int plane_qp(const mb_info *const mb, const int plane) {
    return plane ? mb->QPC[plane - 1] : mb->QPY;
}

CORE_INLINE unsigned edge_bits(const uint16_t mask, const int edge) {
    return mask >> (4 * edge) & 15;
}

CORE_INLINE bool intra_edge(const mb_edges *const m, const int dir, const int edge) {
    return edge ? m->intra : m->intra_before[dir];
}

// bS > 0 anywhere on the edge?
CORE_INLINE bool edge_active(const mb_edges *const m, const int dir, const int edge) {
    return edge_bits(m->active[dir], edge);
}

// bS 4 rather than 3 (8.7.2.1): macroblock edges, but not horizontal ones in fields
CORE_INLINE bool strongest(const mb_edges *const m, const int dir, const int edge) {
    return edge == 0 && !(m->field && dir == HORIZONTAL_EDGES);
}

// Four bits become the lowest ones of four bytes
CORE_INLINE uint32_t spread_bits(const unsigned four) {
    return four * 0x00204081u & 0x01010101u;
}

// Table 8-17 for the four quarters of an edge, one in each byte, the first in the lowest
CORE_INLINE uint32_t edge_tc0(const mb_edges *const m, const int dir, const int edge,
                              const int8_t table[4]) {
    if (intra_edge(m, dir, edge))
        return 0x01010101u * (uint8_t)table[3];
    const unsigned two = edge_bits(m->masks.coefficients[dir], edge);
    const unsigned one = edge_bits(m->masks.motion[dir], edge);
    return spread_bits(two) * (uint8_t)table[2] + spread_bits(one) * (uint8_t)table[1] +
           spread_bits(15 ^ (one | two)) * (uint8_t)table[0];
}

CORE_INLINE void store_tc0(const uint32_t four, int8_t tc0[4]) {
    for (int i = 0; i < 4; i++)
        tc0[i] = (int8_t)(uint8_t)(four >> 8 * i);
}

// -------------------------------------------------------------------------- mixed edges (MBAFF)

/* Note [Mixed edges]. Where a frame macroblock and a pair of field macroblocks meet, each of the
 * two macroblocks before the edge touches a part of it: at a left edge 8 lines, those of one parity
 * when the current macroblock is the frame one, else an upper or lower half; at the top of a frame
 * macroblock all 16 columns twice, once in the lines of each field. A part has four strengths. A
 * field macroblock below frame macroblocks needs none of this: its lines meet only the lower one,
 * and as the two refer to fields and to frames, no bS is 0. */
typedef struct edge_part {
    const mb_info *p;
    bool intra;      // bS 4 at a left edge, 3 at an upper one
    uint8_t bS[4];   // otherwise, 1 or 2
    ptrdiff_t start; // rows from the macroblock's first to the part's first, of 16
    int row_step;    // rows of the macroblock from line to line
} edge_part;

static bool has_levels(const mb_info *const mb, const int row, const int column) {
    return mb->nonzero >> (4 * row + column) & 1;
}

static edge_part left_part(const picture_edges *const c, const mb_edges *const m, const int i) {
    const int width = c->dec->PicWidthInMbs;
    const bool lower = (m->q - c->dec->mb) / width & 1;
    edge_part part = {.p = m->mixed[VERTICAL_EDGES] + i * width,
                      .start = m->field ? 8 * i : i,
                      .row_step = m->field ? 1 : 2};
    part.intra = m->intra || part.p->filter_as_intra;
    for (int j = 0; j < 4; j++) {
        const int q_row = m->field ? 2 * i + j / 2 : j;
        const int p_row = m->field ? j : 2 * lower + j / 2;
        part.bS[j] = has_levels(m->q, q_row, 0) || has_levels(part.p, p_row, 3) ? 2 : 1;
    }
    return part;
}

static edge_part upper_part(const picture_edges *const c, const mb_edges *const m, const int i) {
    edge_part part = {
        .p = m->mixed[HORIZONTAL_EDGES] + i * c->dec->PicWidthInMbs, .start = i, .row_step = 2};
    part.intra = m->intra || part.p->filter_as_intra;
    for (int j = 0; j < 4; j++)
        part.bS[j] = has_levels(m->q, 0, j) || has_levels(part.p, 3, j) ? 2 : 1;
    return part;
}

static void part_tc0(const edge_part *const part, const int8_t table[4], int8_t tc0[4]) {
    for (int j = 0; j < 4; j++)
        tc0[j] = table[part->intra ? 3 : part->bS[j]];
}

// One part of a left edge in one plane
static void filter_left_part(const picture_edges *const c, const mb_edges *const m,
                             const edge_part *const part, const int plane) {
    const thresholds t = thresholds_for(m->q, plane_qp(part->p, plane), plane_qp(m->q, plane));
    const int h = plane ? c->dec->mb_height_c : 16;
    const ptrdiff_t stride = m->stride[plane];
    line_edge e = {.lines = h / 2,
                   .intra = part->intra,
                   .luma = plane == 0 || c->format == 3,
                   .alpha = t.alpha,
                   .beta = t.beta,
                   .depth = c->depth[plane]};
    part_tc0(part, t.tc0, e.tc0);
    const ptrdiff_t start = m->field ? part->start * h / 16 : part->start;
    c->dec->k->deblock_lines(m->origin[plane] + start * stride, part->row_step * stride, &e);
}

static void filter_upper_part_full(const picture_edges *const c, const mb_edges *const m,
                                   const edge_part *const part, const int plane) {
    const thresholds t = thresholds_for(m->q, plane_qp(part->p, plane), plane_qp(m->q, plane));
    const ptrdiff_t stride = m->stride[plane];
    int8_t tc0[4];
    part_tc0(part, t.tc0, tc0);
    if (t.alpha && t.beta)
        c->dec->k->deblock_luma[HORIZONTAL_EDGES](m->origin[plane] + part->start * stride,
                                                  part->row_step * stride, t.alpha, t.beta, tc0,
                                                  c->depth[plane]);
}

static void filter_upper_part_chroma(const picture_edges *const c, const mb_edges *const m,
                                     const edge_part *const part) {
    edge_pair e = {.depth = c->depth[1]};
    for (int i = 0; i < 2; i++) {
        const thresholds t = thresholds_for(m->q, part->p->QPC[i], m->q->QPC[i]);
        e.alpha[i] = t.alpha;
        e.beta[i] = t.beta;
        part_tc0(part, t.tc0, e.tc0[i]);
    }
    const ptrdiff_t offset = part->start * m->stride[1];
    c->dec->k->deblock_chroma[HORIZONTAL_EDGES](m->origin[1] + offset, m->origin[2] + offset,
                                                part->row_step * m->stride[1], &e);
}

// The mixed edge of one direction, if there is one, in a plane filtered as luma is
static void filter_mixed_full(const picture_edges *const c, const mb_edges *const m, const int dir,
                              const int plane) {
    for (int i = 0; i < 2 && m->mixed[dir]; i++) {
        const edge_part part = dir == VERTICAL_EDGES ? left_part(c, m, i) : upper_part(c, m, i);
        if (dir == VERTICAL_EDGES)
            filter_left_part(c, m, &part, plane);
        else
            filter_upper_part_full(c, m, &part, plane);
    }
}

static void filter_mixed_chroma(const picture_edges *const c, const mb_edges *const m,
                                const int dir) {
    for (int i = 0; i < 2 && m->mixed[dir]; i++) {
        const edge_part part = dir == VERTICAL_EDGES ? left_part(c, m, i) : upper_part(c, m, i);
        if (dir == HORIZONTAL_EDGES)
            filter_upper_part_chroma(c, m, &part);
        for (int plane = 1; plane < 3 && dir == VERTICAL_EDGES; plane++)
            filter_left_part(c, m, &part, plane);
    }
}

// -------------------------------------------------------------------------------- filtering, 8.7.2

// The thresholds of an edge in a plane; `inner`: those of edges inside the macroblock
CORE_INLINE thresholds edge_thresholds(const mb_edges *const m, const int dir, const int edge,
                                       const int plane, const thresholds inner) {
    const int qPp = edge ? 0 : plane_qp(m->p[dir], plane), qPq = plane_qp(m->q, plane);
    return edge || qPp == qPq ? inner : thresholds_for(m->q, qPp, qPq);
}

// Luma, or a plane of 4:4:4
CORE_INLINE void filter_full_plane(const picture_edges *const c, const mb_edges *const m,
                                   const int plane) {
    const kernels *const k = c->dec->k;
    const unsigned edges = m->q->transform_size_8x8_flag ? 0x0f0f : 0xffff;
    const int qP = plane_qp(m->q, plane);
    const ptrdiff_t stride = m->stride[plane];
    const thresholds inner = thresholds_for(m->q, qP, qP);
    for (int dir = 0; dir < 2; dir++) {
        const ptrdiff_t step = 4 * (dir == VERTICAL_EDGES ? k->sample_size : stride);
        if (CORE_UNLIKELY(m->mixed[dir]))
            filter_mixed_full(c, m, dir, plane);
        unsigned active = m->active[dir] & edges;
        for (int edge = 0; active; edge++, active >>= 4) {
            if (!(active & 15))
                continue;
            const thresholds t = edge_thresholds(m, dir, edge, plane, inner);
            if (t.alpha == 0 || t.beta == 0)
                continue;
            uint8_t *const pix = m->origin[plane] + edge * step;
            if (intra_edge(m, dir, edge) && strongest(m, dir, edge)) {
                k->deblock_luma_intra[dir](pix, stride, t.alpha, t.beta, c->depth[plane]);
                continue;
            }
            int8_t tc0[4];
            store_tc0(edge_tc0(m, dir, edge, t.tc0), tc0);
            k->deblock_luma[dir](pix, stride, t.alpha, t.beta, tc0, c->depth[plane]);
        }
    }
}

// Which quarters of an edge's strengths eight lines of chroma lie in, two lines to each entry
typedef enum chroma_lines {
    ALL_QUARTERS,
    UPPER_QUARTERS,
    LOWER_QUARTERS
} chroma_lines;

// tc0 of the lines' quarters
CORE_INLINE uint32_t select_quarters(const uint32_t tc0, const chroma_lines which) {
    if (which == ALL_QUARTERS)
        return tc0;
    const uint32_t two = which == UPPER_QUARTERS ? tc0 & 0xffff : tc0 >> 16;
    return (two & 0xff) * 0x0101 + (two >> 8) * 0x01010000;
}

// Eight lines of a chroma edge of 4:2:0 or 4:2:2, in both planes
CORE_INLINE void filter_chroma_edge(const picture_edges *const c, const mb_edges *const m,
                                    const thresholds inner[2], const int dir, const int edge,
                                    const ptrdiff_t offset, const chroma_lines which) {
    edge_pair e = {.intra = intra_edge(m, dir, edge) && strongest(m, dir, edge),
                   .depth = c->depth[1]};
    for (int i = 0; i < 2; i++) {
        const thresholds t = edge_thresholds(m, dir, edge, 1 + i, inner[i]);
        e.alpha[i] = t.alpha;
        e.beta[i] = t.beta;
        store_tc0(select_quarters(edge_tc0(m, dir, edge, t.tc0), which), e.tc0[i]);
    }
    if ((e.alpha[0] && e.beta[0]) || (e.alpha[1] && e.beta[1]))
        c->dec->k->deblock_chroma[dir](m->origin[1] + offset, m->origin[2] + offset, m->stride[1],
                                       &e);
}

// Both chroma planes of 4:2:0 or 4:2:2, Note [Chroma edges]
CORE_INLINE void filter_chroma(const picture_edges *const c, const mb_edges *const m) {
    const bool tall = c->format == 2;
    const int size = c->dec->k->sample_size;
    const ptrdiff_t stride = m->stride[1];
    const int8_t *const qP = m->q->QPC;
    thresholds inner[2] = {thresholds_for(m->q, qP[0], qP[0])};
    inner[1] = qP[1] == qP[0] ? inner[0] : thresholds_for(m->q, qP[1], qP[1]);
    if (CORE_UNLIKELY(m->mixed[VERTICAL_EDGES]))
        filter_mixed_chroma(c, m, VERTICAL_EDGES);
    for (int edge = 0; edge < 4; edge += 2) {
        if (!edge_active(m, VERTICAL_EDGES, edge))
            continue;
        filter_chroma_edge(c, m, inner, VERTICAL_EDGES, edge, 2 * edge * size,
                           tall ? UPPER_QUARTERS : ALL_QUARTERS);
        if (tall)
            filter_chroma_edge(c, m, inner, VERTICAL_EDGES, edge, 2 * edge * size + 8 * stride,
                               LOWER_QUARTERS);
    }
    if (CORE_UNLIKELY(m->mixed[HORIZONTAL_EDGES]))
        filter_mixed_chroma(c, m, HORIZONTAL_EDGES);
    for (int edge = 0; edge < 4; edge += tall ? 1 : 2)
        if (edge_active(m, HORIZONTAL_EDGES, edge))
            filter_chroma_edge(c, m, inner, HORIZONTAL_EDGES, edge, (tall ? 4 : 2) * edge * stride,
                               ALL_QUARTERS);
}

// -------------------------------------------------------------------------------- macroblocks, 8.7

// filterLeftMbEdgeFlag, filterTopMbEdgeFlag: the neighbour, or NULL where the edge is not to be
// filtered
CORE_INLINE const mb_info *neighbour_across(const mb_info *const q, const bool inside,
                                            const int distance) {
    if (!inside)
        return NULL;
    const mb_info *const p = q - distance;
    return q->disable_deblocking_filter_idc == 0 || p->slice_num == q->slice_num ? p : NULL;
}

// 8.7.2.1 for all edges of a macroblock that are not mixed. False: all are 0.
CORE_INLINE bool find_strengths(const picture_edges *const c, const int addr, mb_edges *const m) {
    const mb_info *const mb = c->dec->mb;
    m->intra = m->q->filter_as_intra;
    int other[2];
    for (int dir = 0; dir < 2; dir++) {
        m->intra_before[dir] = m->p[dir] && (m->intra || m->p[dir]->filter_as_intra);
        other[dir] = m->p[dir] && !m->intra_before[dir] ? (int)(m->p[dir] - mb) : -1;
    }
    if (!m->intra)
        h264_edge_masks(c->dec, addr, other[0], other[1], m->field, &m->masks);
    unsigned any = 0;
    for (int dir = 0; dir < 2; dir++) {
        const unsigned first = m->p[dir] ? 15 : 0;
        const unsigned active = m->intra
                                    ? 0xfff0 | first
                                    : (unsigned)m->masks.motion[dir] | m->masks.coefficients[dir] |
                                          (m->intra_before[dir] ? first : 0);
        m->active[dir] = (uint16_t)active;
        any |= active;
    }
    return any != 0;
}

// All planes of a macroblock whose first luma row is `row` of the picture
CORE_INLINE void filter_planes(const picture_edges *const c, mb_edges *const m, const int mb_x,
                               const int mb_row, const int line) {
    const h264_decoder *const dec = c->dec;
    const int n_planes = c->format ? 3 : 1, size = dec->k->sample_size;
    for (int plane = 0; plane < n_planes; plane++) {
        const int w = plane ? dec->mb_width_c : 16, h = plane ? dec->mb_height_c : 16;
        m->origin[plane] =
            c->plane[plane] + (mb_row * h + line) * c->stride[0][plane] + mb_x * w * size;
        if (plane == 0 || c->format == 3)
            filter_full_plane(c, m, plane);
    }
    if (c->format == 1 || c->format == 2)
        filter_chroma(c, m);
}

// One macroblock of a frame without MBAFF, or of a field
static void filter_macroblock(const picture_edges *const c, const int mb_x, const int mb_row) {
    const h264_decoder *const dec = c->dec;
    const int width = dec->PicWidthInMbs;
    const int addr = mb_x + (mb_row * c->row_step + c->parity) * width;
    const mb_info *const q = &dec->mb[addr];
    if (q->disable_deblocking_filter_idc == 1)
        return;
    mb_edges m = {.q = q, .field = c->field, .stride = c->stride[0]};
    m.p[VERTICAL_EDGES] = neighbour_across(q, mb_x > 0, 1);
    m.p[HORIZONTAL_EDGES] = neighbour_across(q, mb_row > 0, c->row_step * width);
    if (find_strengths(c, addr, &m))
        filter_planes(c, &m, mb_x, mb_row, 0);
}

// Whom the left and the upper edge of a macroblock of an MBAFF frame meet, Note [Mixed edges]
static void find_neighbours_mbaff(const picture_edges *const c, const int mb_x, const int mb_row,
                                  mb_edges *const m) {
    const int width = c->dec->PicWidthInMbs, lower = mb_row & 1;
    const mb_info *const q = m->q;
    // the upper macroblocks of the pairs to the left and above
    const mb_info *const left = neighbour_across(q, mb_x > 0, lower * width + 1);
    const mb_info *const above = neighbour_across(q, mb_row > 1, lower * width + 2 * width);
    if (left && left->field != q->field)
        m->mixed[VERTICAL_EDGES] = left;
    else if (left)
        m->p[VERTICAL_EDGES] = q - 1;
    if (lower && !q->field)
        m->p[HORIZONTAL_EDGES] = q - width;
    else if (above && above->field && !q->field)
        m->mixed[HORIZONTAL_EDGES] = above;
    else if (above)
        m->p[HORIZONTAL_EDGES] = above + (above->field ? lower : 1) * width;
}

// One macroblock of an MBAFF frame
static void filter_macroblock_mbaff(const picture_edges *const c, const int mb_x,
                                    const int mb_row) {
    const int addr = mb_x + mb_row * c->dec->PicWidthInMbs, lower = mb_row & 1;
    const mb_info *const q = &c->dec->mb[addr];
    if (q->disable_deblocking_filter_idc == 1)
        return;
    mb_edges m = {.q = q, .field = q->field, .stride = c->stride[q->field]};
    find_neighbours_mbaff(c, mb_x, mb_row, &m);
    if (find_strengths(c, addr, &m) || m.mixed[0] || m.mixed[1])
        filter_planes(c, &m, mb_x, q->field ? mb_row - lower : mb_row, q->field ? lower : 0);
}

static picture_edges edges_of_picture(const h264_decoder *const dec) {
    const int structure = dec->slice.hdr.structure;
    const bool field = structure != FRAME;
    picture_edges c = {
        .dec = dec,
        .row_step = field ? 2 : 1,
        .parity = structure == BOTTOM_FIELD,
        .format = dec->active_sps.ChromaArrayType,
        .depth = {dec->active_sps.BitDepthY, dec->active_sps.BitDepthC, dec->active_sps.BitDepthC},
        .field = field,
    };
    for (int plane = 0; plane < 3; plane++) {
        const ptrdiff_t stride = dec->cur->stride[plane];
        c.plane[plane] = dec->cur->plane[plane];
        c.stride[0][plane] = stride * c.row_step;
        c.stride[1][plane] = stride * 2;
        if (c.plane[plane] && c.parity)
            c.plane[plane] += stride;
    }
    return c;
}

// 8.7, for a frame or field
void h264_deblock_rows(h264_decoder *const dec, const int first, const int end) {
    const picture_edges c = edges_of_picture(dec);
    for (int row = first; row < end && !dec->cur->mbaff; row++)
        for (int x = 0; x < dec->PicWidthInMbs; x++)
            filter_macroblock(&c, x, row);
    for (int row = first; row < end && dec->cur->mbaff; row++)
        for (int i = 0; i < 2 * dec->PicWidthInMbs; i++)
            filter_macroblock_mbaff(&c, i / 2, 2 * row + i % 2);
}

#define SAMPLE_SIZE 1
#include "deblock_template.h"
#undef SAMPLE_SIZE

#define SAMPLE_SIZE 2
#include "deblock_template.h"
#undef SAMPLE_SIZE
