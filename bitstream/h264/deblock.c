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
    h264_decoder *dec;
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

// 8.7.2.2 and Table 8-17 by qPav, for the offsets of a slice
static void fill_thresholds(edge_thresholds *const t, const mb_info *const q) {
    t->FilterOffsetA = q->FilterOffsetA;
    t->FilterOffsetB = q->FilterOffsetB;
    t->filled = true;
    for (int i = 0; i < N_AVERAGE_QP; i++) {
        const int qPav = i + LOWEST_AVERAGE_QP;
        const int indexA = iclip(qPav + q->FilterOffsetA, 0, 51);
        const int indexB = iclip(qPav + q->FilterOffsetB, 0, 51);
        edge_threshold *const to = &t->by_qPav[i];
        to->alpha = table_8_16_alpha[indexA];
        to->beta = table_8_16_beta[indexB];
        for (int bS = 1; bS < 4; bS++)
            to->tc0[bS] = 0x01010101u * (uint8_t)table_8_17_tc0[indexA][bS];
    }
}

CORE_INLINE void choose_thresholds(edge_thresholds *const t, const mb_info *const q) {
    if (CORE_UNLIKELY(t->FilterOffsetA != q->FilterOffsetA ||
                      t->FilterOffsetB != q->FilterOffsetB || !t->filled))
        fill_thresholds(t, q);
}

CORE_INLINE const edge_threshold *threshold_for(const picture_edges *const c, const int qPp,
                                                const int qPq) {
    return &c->dec->edge_thresholds.by_qPav[((qPp + qPq + 1) >> 1) - LOWEST_AVERAGE_QP];
}

CORE_INLINE int plane_qp(const mb_info *const mb, const int plane) {
    return plane ? mb->QPC[plane - 1] : mb->QPY;
}

// Thresholds of luma, Cb and Cr between two macroblocks
typedef struct plane_thresholds {
    const edge_threshold *of[3];
} plane_thresholds;

CORE_INLINE plane_thresholds thresholds_between(const picture_edges *const c,
                                                const mb_info *const p, const mb_info *const q) {
    return (plane_thresholds){{threshold_for(c, p->QPY, q->QPY),
                               threshold_for(c, p->QPC[0], q->QPC[0]),
                               threshold_for(c, p->QPC[1], q->QPC[1])}};
}

CORE_INLINE bool intra_edge(const mb_edges *const m, const int dir, const int edge) {
    return edge ? m->intra : m->intra_before[dir];
}

// bS 4 rather than 3 (8.7.2.1): macroblock edges, but not horizontal ones in fields
CORE_INLINE bool strongest(const mb_edges *const m, const int dir, const int edge) {
    return edge == 0 && !(m->field && dir == HORIZONTAL_EDGES);
}

// The four quarters of an edge, as four bits and as four bytes in memory
static const uint8_t spread[16][4] = {
    {0, 0, 0, 0},     {255, 0, 0, 0},     {0, 255, 0, 0},     {255, 255, 0, 0},
    {0, 0, 255, 0},   {255, 0, 255, 0},   {0, 255, 255, 0},   {255, 255, 255, 0},
    {0, 0, 0, 255},   {255, 0, 0, 255},   {0, 255, 0, 255},   {255, 255, 0, 255},
    {0, 0, 255, 255}, {255, 0, 255, 255}, {0, 255, 255, 255}, {255, 255, 255, 255},
};

// Which of them have which bS, as bytes; bS 3 stands for 4 too
typedef struct edge_strengths {
    uint32_t by_bS[4];
} edge_strengths;

CORE_INLINE edge_strengths strengths_of(const mb_edges *const m, const int dir, const int edge) {
    edge_strengths e = {{0, 0, 0, UINT32_MAX}};
    if (intra_edge(m, dir, edge))
        return e;
    const unsigned one = m->masks.motion[dir] >> 4 * edge & 15,
                   two = m->masks.coefficients[dir] >> 4 * edge & 15;
    memcpy(&e.by_bS[0], spread[15 ^ (one | two)], 4);
    memcpy(&e.by_bS[1], spread[one], 4);
    memcpy(&e.by_bS[2], spread[two], 4);
    e.by_bS[3] = 0;
    return e;
}

// Table 8-17 for the four quarters of an edge, as bytes
CORE_INLINE uint32_t edge_tc0(const edge_strengths *const e, const edge_threshold *const t) {
    return e->by_bS[0] /* -1 */ | (e->by_bS[1] & t->tc0[1]) | (e->by_bS[2] & t->tc0[2]) |
           (e->by_bS[3] & t->tc0[3]);
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

static void part_tc0(const edge_part *const part, const edge_threshold *const t, int8_t tc0[4]) {
    for (int j = 0; j < 4; j++)
        tc0[j] = (int8_t)(uint8_t)(t->tc0[part->intra ? 3 : part->bS[j]] & 0xff);
}

// One part of a left edge in one plane
static void filter_left_part(const picture_edges *const c, const mb_edges *const m,
                             const edge_part *const part, const int plane) {
    const edge_threshold *const t =
        threshold_for(c, plane_qp(part->p, plane), plane_qp(m->q, plane));
    const int h = plane ? c->dec->mb_height_c : 16;
    const ptrdiff_t stride = m->stride[plane];
    line_edge e = {.lines = h / 2,
                   .intra = part->intra,
                   .luma = plane == 0 || c->format == 3,
                   .alpha = t->alpha,
                   .beta = t->beta,
                   .depth = c->depth[plane]};
    part_tc0(part, t, e.tc0);
    const ptrdiff_t start = m->field ? part->start * h / 16 : part->start;
    c->dec->k->deblock_lines(m->origin[plane] + start * stride, part->row_step * stride, &e);
}

static void filter_upper_part_full(const picture_edges *const c, const mb_edges *const m,
                                   const edge_part *const part, const int plane) {
    const edge_threshold *const t =
        threshold_for(c, plane_qp(part->p, plane), plane_qp(m->q, plane));
    const ptrdiff_t stride = m->stride[plane];
    int8_t tc0[4];
    part_tc0(part, t, tc0);
    if (t->alpha && t->beta)
        c->dec->k->deblock_luma[HORIZONTAL_EDGES](m->origin[plane] + part->start * stride,
                                                  part->row_step * stride, t->alpha, t->beta, tc0,
                                                  c->depth[plane]);
}

static void filter_upper_part_chroma(const picture_edges *const c, const mb_edges *const m,
                                     const edge_part *const part) {
    edge_pair e = {.depth = c->depth[1]};
    for (int i = 0; i < 2; i++) {
        const edge_threshold *const t = threshold_for(c, part->p->QPC[i], m->q->QPC[i]);
        e.alpha[i] = t->alpha;
        e.beta[i] = t->beta;
        part_tc0(part, t, e.tc0[i]);
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

// An edge of luma, or of a plane of 4:4:4
CORE_INLINE void filter_full_edge(const picture_edges *const c, const mb_edges *const m,
                                  const plane_thresholds *const thresholds,
                                  const edge_strengths *const e, const int dir, const int edge,
                                  const int plane) {
    const kernels *const k = c->dec->k;
    const ptrdiff_t stride = m->stride[plane];
    const edge_threshold *const t = thresholds->of[plane];
    uint8_t *const pix =
        m->origin[plane] + 4 * edge * (dir == VERTICAL_EDGES ? k->sample_size : stride);
    if (t->alpha == 0 || t->beta == 0)
        return;
    if (CORE_UNLIKELY(e->by_bS[3]) && strongest(m, dir, edge)) {
        k->deblock_luma_intra[dir](pix, stride, t->alpha, t->beta, c->depth[plane]);
        return;
    }
    int8_t tc0[4];
    const uint32_t four = edge_tc0(e, t);
    memcpy(tc0, &four, 4);
    k->deblock_luma[dir](pix, stride, t->alpha, t->beta, tc0, c->depth[plane]);
}

// Which quarters of an edge's strengths eight lines of chroma lie in, two lines to each entry
typedef enum chroma_lines {
    ALL_QUARTERS,
    UPPER_QUARTERS,
    LOWER_QUARTERS
} chroma_lines;

// tc0 of the lines' quarters
CORE_INLINE void select_quarters(int8_t tc0[4], const chroma_lines which) {
    if (which == ALL_QUARTERS)
        return;
    const int first = which == UPPER_QUARTERS ? 0 : 2;
    const int8_t two[2] = {tc0[first], tc0[first + 1]};
    tc0[0] = tc0[1] = two[0];
    tc0[2] = tc0[3] = two[1];
}

// Eight lines of a chroma edge of 4:2:0 or 4:2:2, in both planes
CORE_INLINE void filter_chroma_lines(const picture_edges *const c, const mb_edges *const m,
                                     const plane_thresholds *const thresholds,
                                     const edge_strengths *const e, const int dir, const int edge,
                                     const ptrdiff_t offset, const chroma_lines which) {
    const edge_threshold *const *const t = thresholds->of + 1;
    edge_pair pair;
    pair.intra = e->by_bS[3] && strongest(m, dir, edge);
    pair.depth = c->depth[1];
    for (int i = 0; i < 2; i++) {
        pair.alpha[i] = t[i]->alpha;
        pair.beta[i] = t[i]->beta;
    }
    if (!(pair.alpha[0] && pair.beta[0]) && !(pair.alpha[1] && pair.beta[1]))
        return;
    // one store: filters load both at once, which would wait for two
    const uint32_t tc0[2] = {edge_tc0(e, t[0]),
                             t[1] == t[0] ? edge_tc0(e, t[0]) : edge_tc0(e, t[1])};
    memcpy(pair.tc0, tc0, sizeof pair.tc0);
    for (int i = 0; i < 2; i++)
        select_quarters(pair.tc0[i], which);
    c->dec->k->deblock_chroma[dir](m->origin[1] + offset, m->origin[2] + offset, m->stride[1],
                                   &pair);
}

// Both chroma planes of 4:2:0 or 4:2:2, Note [Chroma edges]
CORE_INLINE void filter_chroma_edge(const picture_edges *const c, const mb_edges *const m,
                                    const plane_thresholds *const t, const edge_strengths *const e,
                                    const int dir, const int edge, const bool tall) {
    const ptrdiff_t stride = m->stride[1];
    if (edge & 1 && !(tall && dir == HORIZONTAL_EDGES))
        return;
    if (dir == HORIZONTAL_EDGES) {
        filter_chroma_lines(c, m, t, e, dir, edge, (tall ? 4 : 2) * edge * stride, ALL_QUARTERS);
        return;
    }
    const ptrdiff_t column = 2 * edge * c->dec->k->sample_size;
    filter_chroma_lines(c, m, t, e, dir, edge, column, tall ? UPPER_QUARTERS : ALL_QUARTERS);
    if (CORE_UNLIKELY(tall))
        filter_chroma_lines(c, m, t, e, dir, edge, column + 8 * stride, LOWER_QUARTERS);
}

static int lowest_bit(const unsigned v) { // which is not 0
    int n = 0;
#if defined(__GNUC__)
    n = __builtin_ctz(v);
#else
    while (!(v >> n & 1))
        n++;
#endif
    return n;
}

// All edges of one direction in all planes. Planes do not meet, so that it does not matter which of
// them comes first.
CORE_INLINE void filter_direction(const picture_edges *const c, const mb_edges *const m,
                                  const int dir, const int format) {
    const bool subsampled = format == 1 || format == 2;
    if (CORE_UNLIKELY(m->mixed[dir])) {
        for (int plane = 0; plane < (format == 3 ? 3 : 1); plane++)
            filter_mixed_full(c, m, dir, plane);
        if (subsampled)
            filter_mixed_chroma(c, m, dir);
    }
    unsigned active = m->active[dir];
    plane_thresholds t;
    if (active & 15)
        t = thresholds_between(c, m->p[dir], m->q);
    else
        t = thresholds_between(c, m->q, m->q);
    while (active) {
        const int edge = lowest_bit(active) >> 2;
        const edge_strengths e = strengths_of(m, dir, edge);
        active &= ~(15u << 4 * edge);
        if (!(edge & 1 && m->q->transform_size_8x8_flag)) {
            filter_full_edge(c, m, &t, &e, dir, edge, 0);
            for (int plane = 1; plane < 3 && format == 3; plane++)
                filter_full_edge(c, m, &t, &e, dir, edge, plane);
        }
        if (subsampled)
            filter_chroma_edge(c, m, &t, &e, dir, edge, format == 2);
        if (edge == 0 && active)
            t = thresholds_between(c, m->q, m->q);
    }
}

static void filter_direction_420(const picture_edges *const c, const mb_edges *const m,
                                 const int dir) {
    filter_direction(c, m, dir, 1);
}

static void filter_directions(const picture_edges *const c, const mb_edges *const m) {
    for (int dir = 0; dir < 2; dir++)
        filter_direction(c, m, dir, c->format);
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
    choose_thresholds(&c->dec->edge_thresholds, m->q);
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
    }
    if (CORE_LIKELY(c->format == 1)) {
        filter_direction_420(c, m, VERTICAL_EDGES);
        filter_direction_420(c, m, HORIZONTAL_EDGES);
    } else {
        filter_directions(c, m);
    }
}

// Is bS 0 across the edge between a macroblock that moves as one and has no levels, and another
// one? touching: blocks of that one at the edge. True where it moves alike and has none there.
CORE_INLINE bool goes_on_smoothly(const mb_info *const q, const mb_info *const p,
                                  const unsigned touching) {
    return p == NULL || (p->moves_as_one && !p->filter_as_intra && !(p->nonzero & touching) &&
                         memcmp(p->whole.mv, q->whole.mv, sizeof p->whole.mv) == 0 &&
                         memcmp(p->whole.key, q->whole.key, sizeof p->whole.key) == 0);
}

// What most macroblocks of a still scene are: there is nothing to be filtered
CORE_INLINE bool is_smooth(const mb_info *const q, const mb_info *const left,
                           const mb_info *const top) {
    return q->moves_as_one && !q->nonzero && !q->filter_as_intra &&
           goes_on_smoothly(q, left, 0x8888) && goes_on_smoothly(q, top, 0xf000);
}

static CORE_NOINLINE void filter_edges(const picture_edges *const c, const mb_info *const q,
                                       const mb_info *const left, const mb_info *const top,
                                       const int mb_x, const int mb_row) {
    mb_edges m = {.q = q, .p = {left, top}, .field = c->field, .stride = c->stride[0]};
    if (find_strengths(c, (int)(q - c->dec->mb), &m))
        filter_planes(c, &m, mb_x, mb_row, 0);
}

// One row of macroblocks of a frame without MBAFF, or of a field
static void filter_row(const picture_edges *const c, const int mb_row) {
    const int width = c->dec->PicWidthInMbs;
    const mb_info *q = &c->dec->mb[(mb_row * c->row_step + c->parity) * width];
    for (int x = 0; x < width; x++, q++) {
        if (CORE_UNLIKELY(q->disable_deblocking_filter_idc == 1))
            continue;
        const mb_info *const left = neighbour_across(q, x > 0, 1);
        const mb_info *const top = neighbour_across(q, mb_row > 0, c->row_step * width);
        if (!is_smooth(q, left, top))
            filter_edges(c, q, left, top, x, mb_row);
    }
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

static picture_edges edges_of_picture(h264_decoder *const dec) {
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
        filter_row(&c, row);
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
