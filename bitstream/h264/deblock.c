/* Deblocking filter (8.7), over a whole picture once all its macroblocks are decoded: macroblock by
 * macroblock, first the vertical edges from left to right, then the horizontal ones from top to
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
    uint8_t *plane[3];   // first row of the picture
    ptrdiff_t stride[3]; // between its rows
    int row_step,
        parity; // map row of macroblock row r: r * row_step + parity, Note [Macroblock addresses]
    int format; // ChromaArrayType
    int depth[3];
    bool field;
} picture_edges;

// One macroblock: its strengths, and where it is
typedef struct mb_edges {
    const mb_info *q;
    const mb_info *p[2];         // before its left and upper edge; NULL: that edge is not filtered
    bool intra, intra_before[2]; // bS 3 or 4 inside, or on the first edge
    edge_masks masks;            // otherwise; bS 2 taken out of bS 1
    uint8_t *origin[3];
} mb_edges;

// Thresholds of 8.7.2.2 for one average of quantisation parameters
typedef struct thresholds {
    uint8_t alpha, beta;
    const int8_t *tc0; // by bS
} thresholds;

H264_INLINE thresholds thresholds_for(const mb_info *const q, const int qPp, const int qPq) {
    const int qPav = (qPp + qPq + 1) >> 1;
    const int indexA = iclip(qPav + q->FilterOffsetA, 0, 51);
    const int indexB = iclip(qPav + q->FilterOffsetB, 0, 51);
    return (thresholds){table_8_16_alpha[indexA], table_8_16_beta[indexB], table_8_17_tc0[indexA]};
}

H264_INLINE unsigned edge_bits(const uint16_t mask, const int edge) {
    return mask >> (4 * edge) & 15;
}

H264_INLINE bool intra_edge(const mb_edges *const m, const int dir, const int edge) {
    return edge ? m->intra : m->intra_before[dir];
}

// bS > 0 anywhere on the edge?
H264_INLINE bool edge_active(const mb_edges *const m, const int dir, const int edge) {
    if (edge == 0 && !m->p[dir])
        return false;
    return intra_edge(m, dir, edge) ||
           edge_bits(m->masks.coefficients[dir] | m->masks.motion[dir], edge);
}

// bS 4 rather than 3 (8.7.2.1): macroblock edges, but not horizontal ones in fields
H264_INLINE bool strongest(const picture_edges *const c, const int dir, const int edge) {
    return edge == 0 && !(c->field && dir == HORIZONTAL_EDGES);
}

// Table 8-17 for the four quarters of an edge
H264_INLINE void edge_tc0(const mb_edges *const m, const int dir, const int edge,
                          const int8_t table[4], int8_t tc0[4]) {
    if (intra_edge(m, dir, edge)) {
        memset(tc0, table[3], 4);
        return;
    }
    const unsigned two = edge_bits(m->masks.coefficients[dir], edge);
    const unsigned one = edge_bits(m->masks.motion[dir], edge);
    for (int i = 0; i < 4; i++)
        tc0[i] = table[two >> i & 1 ? 2 : one >> i & 1];
}

// -------------------------------------------------------------------------------- filtering, 8.7.2

// Luma, or a plane of 4:4:4
static void filter_full_plane(const picture_edges *const c, const mb_edges *const m,
                              const int plane) {
    const kernels *const k = c->dec->k;
    const int every = m->q->transform_size_8x8_flag ? 2 : 1;
    const int qP = plane ? m->q->QPC[plane - 1] : m->q->QPY;
    const thresholds inner = thresholds_for(m->q, qP, qP);
    for (int dir = 0; dir < 2; dir++) {
        const ptrdiff_t step = 4 * (dir == VERTICAL_EDGES ? k->sample_size : c->stride[plane]);
        for (int edge = 0; edge < 4; edge += every) {
            if (!edge_active(m, dir, edge))
                continue;
            thresholds t = inner;
            if (edge == 0)
                t = thresholds_for(m->q, plane ? m->p[dir]->QPC[plane - 1] : m->p[dir]->QPY, qP);
            if (t.alpha == 0 || t.beta == 0)
                continue;
            uint8_t *const pix = m->origin[plane] + edge * step;
            if (intra_edge(m, dir, edge) && strongest(c, dir, edge)) {
                k->deblock_luma_intra[dir](pix, c->stride[plane], t.alpha, t.beta, c->depth[plane]);
                continue;
            }
            int8_t tc0[4];
            edge_tc0(m, dir, edge, t.tc0, tc0);
            k->deblock_luma[dir](pix, c->stride[plane], t.alpha, t.beta, tc0, c->depth[plane]);
        }
    }
}

// Eight lines of a chroma edge of 4:2:0 or 4:2:2, in both planes. quarters: which quarters of the
// edge's strengths the lines lie in, two lines to each entry.
static void filter_chroma_edge(const picture_edges *const c, const mb_edges *const m, const int dir,
                               const int edge, const ptrdiff_t offset, const uint8_t quarters[4]) {
    edge_pair e = {.intra = intra_edge(m, dir, edge) && strongest(c, dir, edge),
                   .depth = c->depth[1]};
    for (int i = 0; i < 2; i++) {
        const mb_info *const p = edge ? m->q : m->p[dir];
        const thresholds t = thresholds_for(m->q, p->QPC[i], m->q->QPC[i]);
        int8_t tc0[4];
        edge_tc0(m, dir, edge, t.tc0, tc0);
        e.alpha[i] = t.alpha;
        e.beta[i] = t.beta;
        for (int j = 0; j < 4; j++)
            e.tc0[i][j] = tc0[quarters[j]];
    }
    if ((e.alpha[0] && e.beta[0]) || (e.alpha[1] && e.beta[1]))
        c->dec->k->deblock_chroma[dir](m->origin[1] + offset, m->origin[2] + offset, c->stride[1],
                                       &e);
}

// Both chroma planes of 4:2:0 or 4:2:2, Note [Chroma edges]
static void filter_chroma(const picture_edges *const c, const mb_edges *const m) {
    static const uint8_t all[4] = {0, 1, 2, 3}, upper[4] = {0, 0, 1, 1}, lower[4] = {2, 2, 3, 3};
    const bool tall = c->format == 2;
    const int size = c->dec->k->sample_size;
    const ptrdiff_t stride = c->stride[1];
    for (int edge = 0; edge < 4; edge += 2) {
        if (!edge_active(m, VERTICAL_EDGES, edge))
            continue;
        filter_chroma_edge(c, m, VERTICAL_EDGES, edge, 2 * edge * size, tall ? upper : all);
        if (tall)
            filter_chroma_edge(c, m, VERTICAL_EDGES, edge, 2 * edge * size + 8 * stride, lower);
    }
    for (int edge = 0; edge < 4; edge += tall ? 1 : 2)
        if (edge_active(m, HORIZONTAL_EDGES, edge))
            filter_chroma_edge(c, m, HORIZONTAL_EDGES, edge, (tall ? 4 : 2) * edge * stride, all);
}

// -------------------------------------------------------------------------------- macroblocks, 8.7

// filterLeftMbEdgeFlag, filterTopMbEdgeFlag: the neighbour, or NULL where the edge is not to be
// filtered
H264_INLINE const mb_info *neighbour_across(const mb_info *const q, const bool inside,
                                            const int distance) {
    if (!inside)
        return NULL;
    const mb_info *const p = q - distance;
    return q->disable_deblocking_filter_idc == 0 || p->slice_num == q->slice_num ? p : NULL;
}

// 8.7.2.1 for all edges of a macroblock. False: all are 0.
static bool find_strengths(const picture_edges *const c, const int addr, mb_edges *const m) {
    const mb_info *const mb = c->dec->mb;
    m->intra = m->q->is_intra;
    int other[2];
    for (int dir = 0; dir < 2; dir++) {
        m->intra_before[dir] = m->p[dir] && (m->intra || m->p[dir]->is_intra);
        other[dir] = m->p[dir] && !m->intra_before[dir] ? (int)(m->p[dir] - mb) : -1;
    }
    memset(&m->masks, 0, sizeof(m->masks));
    if (m->intra)
        return true;
    h264_edge_masks(c->dec, addr, other[0], other[1], c->field, &m->masks);
    bool any = m->intra_before[0] || m->intra_before[1];
    for (int dir = 0; dir < 2; dir++) {
        m->masks.motion[dir] &= (uint16_t)~m->masks.coefficients[dir];
        any |= m->masks.motion[dir] || m->masks.coefficients[dir];
    }
    return any;
}

// One macroblock of a frame without MBAFF, or of a field
static void filter_macroblock(const picture_edges *const c, const int mb_x, const int mb_row) {
    const h264_decoder *const dec = c->dec;
    const int width = dec->PicWidthInMbs;
    const int addr = mb_x + (mb_row * c->row_step + c->parity) * width;
    const mb_info *const q = &dec->mb[addr];
    if (q->disable_deblocking_filter_idc == 1)
        return;
    mb_edges m = {.q = q};
    m.p[VERTICAL_EDGES] = neighbour_across(q, mb_x > 0, 1);
    m.p[HORIZONTAL_EDGES] = neighbour_across(q, mb_row > 0, c->row_step * width);
    if (!find_strengths(c, addr, &m))
        return;
    const int n_planes = c->format ? 3 : 1, size = dec->k->sample_size;
    for (int plane = 0; plane < n_planes; plane++) {
        const int w = plane ? dec->mb_width_c : 16, h = plane ? dec->mb_height_c : 16;
        m.origin[plane] = c->plane[plane] + mb_row * h * c->stride[plane] + mb_x * w * size;
        if (plane == 0 || c->format == 3)
            filter_full_plane(c, &m, plane);
    }
    if (c->format == 1 || c->format == 2)
        filter_chroma(c, &m);
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
        c.stride[plane] = stride * c.row_step;
        if (c.plane[plane] && c.parity)
            c.plane[plane] += stride;
    }
    return c;
}

// 8.7, for the frame or the field just decoded. MBAFF frames, whose pairs have edges of their own
// kind, never come here: the slice header refuses them.
void h264_deblock_picture(h264_decoder *const dec) {
    const picture_edges c = edges_of_picture(dec);
    const int rows = dec->FrameHeightInMbs / c.row_step;
    for (int row = 0; row < rows; row++)
        for (int x = 0; x < dec->PicWidthInMbs; x++)
            filter_macroblock(&c, x, row);
}

#define SAMPLE_SIZE 1
#include "deblock_template.h"
#undef SAMPLE_SIZE

#define SAMPLE_SIZE 2
#include "deblock_template.h"
#undef SAMPLE_SIZE
