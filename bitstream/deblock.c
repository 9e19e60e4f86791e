/* Deblocking filter (8.7), over a whole picture once all its macroblocks are decoded: macroblock by macroblock, first
 * the vertical edges from left to right, then the horizontal ones from top to bottom, as the standard orders them
 * (later edges read what earlier ones wrote). Works on the planes of dec->cur alone; taps are not touched.
 *
 * Note [Chroma edges]. Chroma has an edge wherever its own 4x4 transform blocks meet, with the strength of the luma edge
 * at the same place: 4:2:0 takes every second luma edge in both directions, 4:2:2 every second vertical and every
 * horizontal one (those inside 8x8 luma transforms too), 4:4:4 is filtered as luma is. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

// Table 8-16
static const uint8_t table_8_16_alpha[52] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  4,  4,
    5,  6,  7,  8,  9,  10, 12, 13, 15, 17, 20, 22, 25, 28, 32, 36, 40, 45,
    50, 56, 63, 71, 80, 90, 101, 113, 127, 144, 162, 182, 203, 226, 255, 255,
};

static const uint8_t table_8_16_beta[52] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0,  0,  2,  2,  2,  3,  3,  3,  3,  4,  4,  4,
    6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 18, 18,
};

// Table 8-17: tC0 by indexA and bS; -1 marks samples that bS 0 leaves alone
static const int8_t table_8_17_tc0[52][4] = {
    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},
    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},
    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 0},
    {-1, 0, 0, 0},    {-1, 0, 0, 0},    {-1, 0, 0, 1},    {-1, 0, 0, 1},    {-1, 0, 0, 1},
    {-1, 0, 0, 1},    {-1, 0, 1, 1},    {-1, 0, 1, 1},    {-1, 1, 1, 1},    {-1, 1, 1, 1},
    {-1, 1, 1, 1},    {-1, 1, 1, 1},    {-1, 1, 1, 2},    {-1, 1, 1, 2},    {-1, 1, 1, 2},
    {-1, 1, 1, 2},    {-1, 1, 2, 3},    {-1, 1, 2, 3},    {-1, 2, 2, 3},    {-1, 2, 2, 4},
    {-1, 2, 3, 4},    {-1, 2, 3, 4},    {-1, 3, 3, 5},    {-1, 3, 4, 6},    {-1, 3, 4, 6},
    {-1, 4, 5, 7},    {-1, 4, 5, 8},    {-1, 4, 6, 9},    {-1, 5, 7, 10},   {-1, 6, 8, 11},
    {-1, 6, 8, 13},   {-1, 7, 10, 14},  {-1, 8, 11, 16},  {-1, 9, 12, 18},  {-1, 10, 13, 20},
    {-1, 11, 15, 23}, {-1, 13, 17, 25},
};

enum { VERTICAL_EDGES, HORIZONTAL_EDGES };

// Strengths of a macroblock's edges: [direction][edge][quarter of the edge], 0..4
typedef uint8_t strengths[2][4][4];

// What holds for all macroblocks of the picture (frame or field)
typedef struct picture_edges {
    const h264_decoder *dec;
    const picture *pic;
    uint8_t *plane[3];    // first row of the picture
    ptrdiff_t stride[3];  // between its rows
    int row_step, parity; // map row of macroblock row r: r * row_step + parity, Note [Macroblock addresses]
    int format;           // ChromaArrayType
    int depth[3];
    bool field;
    int mv_limit_y; // 4 quarter frame rows, which are 2 quarter field rows more (8.7.2.1)
} picture_edges;

// --------------------------------------------------------------------------------- strengths, 8.7.2.1

// The reference a block uses, comparable: by picture, and by parity where fields are referred to
H264_INLINE int64_t reference_key(const mb_motion *const m, const int list, const int block) {
    const int quarter = (block >> 3) * 2 + ((block >> 1) & 1);
    return m->uid[list][quarter] == NO_UID
               ? -1
               : (int64_t)m->uid[list][quarter] * 4 + m->ref_parity[list][quarter];
}

H264_INLINE bool vectors_differ(const int16_t a[2], const int16_t b[2], const int limit_y) {
    const int dx = a[0] - b[0], dy = a[1] - b[1];
    return dx >= 4 || dx <= -4 || dy >= limit_y || dy <= -limit_y;
}

// bS 1 of 8.7.2.1: other references, another number of vectors, or vectors at least one frame sample apart
static bool motion_differs(const mb_motion *const pm, const int p, const mb_motion *const qm,
                           const int q, const int limit_y) {
    const int64_t p0 = reference_key(pm, 0, p), p1 = reference_key(pm, 1, p);
    const int64_t q0 = reference_key(qm, 0, q), q1 = reference_key(qm, 1, q);
    const bool straight = p0 == q0 && p1 == q1, crossed = p0 == q1 && p1 == q0;
    if (!straight && !crossed)
        return true;
    const bool straight_differs =
        (p0 != -1 && vectors_differ(pm->mv[0][p], qm->mv[0][q], limit_y)) ||
        (p1 != -1 && vectors_differ(pm->mv[1][p], qm->mv[1][q], limit_y));
    const bool crossed_differs =
        (p0 != -1 && vectors_differ(pm->mv[0][p], qm->mv[1][q], limit_y)) ||
        (p1 != -1 && vectors_differ(pm->mv[1][p], qm->mv[0][q], limit_y));
    return (!straight || straight_differs) && (!crossed || crossed_differs);
}

// bS of one quarter of an edge between two inter macroblocks (or inside one)
static uint8_t inter_strength(const picture_edges *const c, const int p_addr, const int p,
                              const int q_addr, const int q) {
    const h264_decoder *const dec = c->dec;
    if ((dec->mb[p_addr].nonzero >> p & 1) || (dec->mb[q_addr].nonzero >> q & 1))
        return 2;
    const mb_motion *const motion = c->pic->motion;
    return motion_differs(&motion[p_addr], p, &motion[q_addr], q, c->mv_limit_y);
}

// All edges of a macroblock; p_addr[direction] is the neighbour before its first edge, -1: that edge is not filtered.
static void macroblock_strengths(const picture_edges *const c, const int addr, const int p_addr[2],
                                 strengths bS) {
    const mb_info *const mb = c->dec->mb;
    memset(bS, 0, sizeof(strengths));
    for (int dir = 0; dir < 2; dir++) {
        const int step = dir == VERTICAL_EDGES ? 1 : 4, along = dir == VERTICAL_EDGES ? 4 : 1;
        for (int edge = p_addr[dir] < 0; edge < 4; edge++) {
            const int p_mb = edge ? addr : p_addr[dir];
            if (mb[addr].is_intra || mb[p_mb].is_intra) {
                const bool strongest = edge == 0 && !(c->field && dir == HORIZONTAL_EDGES);
                memset(bS[dir][edge], strongest ? 4 : 3, 4);
                continue;
            }
            for (int i = 0; i < 4; i++) {
                const int q = edge * step + i * along, p = (q - step) & 15;
                const int p_block = edge ? p : 3 * step + i * along;
                bS[dir][edge][i] = inter_strength(c, p_mb, p_block, addr, q);
            }
        }
    }
}

// ------------------------------------------------------------------------------------- filtering, 8.7.2

// 8.7.2.2 and the choice of filter, for one edge of one plane. `lines` samples long, 4 strengths along it.
static void filter_edge(const picture_edges *const c, const int plane, uint8_t *const pix,
                        const int dir, const int lines, const int qPav, const mb_info *const q,
                        const uint8_t bS[4]) {
    const kernels *const k = c->dec->k;
    const int indexA = iclip(qPav + q->FilterOffsetA, 0, 51);
    const int indexB = iclip(qPav + q->FilterOffsetB, 0, 51);
    const int alpha = table_8_16_alpha[indexA], beta = table_8_16_beta[indexB];
    if (alpha == 0 || beta == 0)
        return;
    const bool luma_style = plane == 0 || c->format == 3; // chromaStyleFilteringFlag == 0
    if (bS[0] == 4) { // then all four are
        edge_filter_intra *const f =
            (luma_style ? k->deblock_luma_intra : k->deblock_chroma_intra)[dir];
        f(pix, c->stride[plane], lines, alpha, beta, c->depth[plane]);
        return;
    }
    int8_t tc0[4];
    for (int i = 0; i < 4; i++)
        tc0[i] = table_8_17_tc0[indexA][bS[i]];
    edge_filter *const f = (luma_style ? k->deblock_luma : k->deblock_chroma)[dir];
    f(pix, c->stride[plane], lines, alpha, beta, tc0, c->depth[plane]);
}

static bool is_zero(const uint8_t bS[4]) { return !(bS[0] | bS[1] | bS[2] | bS[3]); }

// Luma, or a plane of 4:4:4
static void filter_full_plane(const picture_edges *const c, const int plane, uint8_t *const origin,
                              const mb_info *const q, const mb_info *const p[2], strengths bS) {
    const int sample_size = c->dec->k->sample_size;
    const int qP = plane ? q->QPC[plane - 1] : q->QPY;
    for (int dir = 0; dir < 2; dir++) {
        const ptrdiff_t step = dir == VERTICAL_EDGES ? 4 * sample_size : 4 * c->stride[plane];
        for (int edge = 0; edge < 4; edge += 1 + q->transform_size_8x8_flag) {
            if (is_zero(bS[dir][edge]))
                continue;
            const mb_info *const other = edge ? q : p[dir];
            const int qPp = plane ? other->QPC[plane - 1] : other->QPY;
            filter_edge(c, plane, origin + edge * step, dir, 16, (qPp + qP + 1) >> 1, q,
                        bS[dir][edge]);
        }
    }
}

// A chroma plane of 4:2:0 or 4:2:2, Note [Chroma edges]
static void filter_chroma_plane(const picture_edges *const c, const int plane,
                                uint8_t *const origin, const mb_info *const q,
                                const mb_info *const p[2], strengths bS) {
    const int height = c->format == 1 ? 8 : 16, qP = q->QPC[plane - 1];
    for (int dir = 0; dir < 2; dir++) {
        const int every = dir == HORIZONTAL_EDGES && height == 16 ? 1 : 2;
        const ptrdiff_t step = dir == VERTICAL_EDGES ? c->dec->k->sample_size : c->stride[plane];
        for (int edge = 0; edge < 4; edge += every) {
            if (is_zero(bS[dir][edge]))
                continue;
            const int qPp = (edge ? q : p[dir])->QPC[plane - 1];
            filter_edge(c, plane, origin + 4 * (edge / every) * step, dir,
                        dir == VERTICAL_EDGES ? height : 8, (qPp + qP + 1) >> 1, q, bS[dir][edge]);
        }
    }
}

// 8.7: may the edge to this neighbour be filtered (filterLeftMbEdgeFlag, filterTopMbEdgeFlag)?
static bool edge_open(const mb_info *const q, const mb_info *const p) {
    return q->disable_deblocking_filter_idc == 0 || p->slice_num == q->slice_num;
}

// One macroblock of a frame without MBAFF, or of a field
static void filter_macroblock(const picture_edges *const c, const int mb_x, const int mb_row) {
    const h264_decoder *const dec = c->dec;
    const int width = dec->PicWidthInMbs;
    const int addr = mb_x + (mb_row * c->row_step + c->parity) * width;
    const mb_info *const q = &dec->mb[addr];
    if (q->disable_deblocking_filter_idc == 1)
        return;
    int p_addr[2] = {mb_x ? addr - 1 : -1, mb_row ? addr - c->row_step * width : -1};
    const mb_info *p[2] = {NULL, NULL};
    for (int dir = 0; dir < 2; dir++) {
        if (p_addr[dir] >= 0 && !edge_open(q, &dec->mb[p_addr[dir]]))
            p_addr[dir] = -1;
        if (p_addr[dir] >= 0)
            p[dir] = &dec->mb[p_addr[dir]];
    }
    strengths bS;
    macroblock_strengths(c, addr, p_addr, bS);

    const int n_planes = c->format ? 3 : 1, size = dec->k->sample_size;
    for (int plane = 0; plane < n_planes; plane++) {
        const int w = plane ? dec->mb_width_c : 16, h = plane ? dec->mb_height_c : 16;
        uint8_t *const origin = c->plane[plane] + mb_row * h * c->stride[plane] + mb_x * w * size;
        if (plane == 0 || c->format == 3)
            filter_full_plane(c, plane, origin, q, p, bS);
        else
            filter_chroma_plane(c, plane, origin, q, p, bS);
    }
}

static picture_edges edges_of_picture(const h264_decoder *const dec) {
    const int structure = dec->slice.hdr.structure;
    const bool field = structure != FRAME;
    picture_edges c = {
        .dec = dec,
        .pic = dec->cur,
        .row_step = field ? 2 : 1,
        .parity = structure == BOTTOM_FIELD,
        .format = dec->active_sps.ChromaArrayType,
        .depth = {dec->active_sps.BitDepthY, dec->active_sps.BitDepthC, dec->active_sps.BitDepthC},
        .field = field,
        .mv_limit_y = field ? 2 : 4,
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

// 8.7, for the frame or the field just decoded. MBAFF frames, whose pairs have edges of their own kind, never come here:
// the slice header refuses them.
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
