/* 8.7.2: the deblocking filter, over the whole picture: vertical edges first, then horizontal ones.
 * What the edges are was noted while parsing (decoder.edges); the strength follows here. */
#include "internal.h"

// Table 8-12
static const uint8_t table_beta[52] = {0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
                                       0,  0,  0,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                       16, 17, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38,
                                       40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62, 64};
static const uint8_t table_tc[54] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0,  0,  0,
                                     1, 1, 1, 1, 1, 1, 1, 1, 1, 2,  2,  2,  2,  3,  3,  3,  3,  4,
                                     4, 4, 5, 5, 6, 6, 7, 8, 9, 10, 11, 13, 14, 16, 18, 20, 22, 24};

static const slice_filter *filter_at(const hevc_decoder *const dec, const int x, const int y) {
    const sps *const s = &dec->active_sps;
    const int index =
        dec->ctb_slice[(y >> s->CtbLog2SizeY) * s->PicWidthInCtbs + (x >> s->CtbLog2SizeY)];
    return index < 0 ? NULL : &dec->filters[index];
}

static int tile_at(const hevc_decoder *const dec, const int x, const int y) {
    const sps *const s = &dec->active_sps;
    const int rs = (y >> s->CtbLog2SizeY) * s->PicWidthInCtbs + (x >> s->CtbLog2SizeY);
    return dec->lay.TileId[dec->lay.CtbAddrRsToTs[rs]];
}

static bool far_apart(const int16_t a[2], const int16_t b[2]) {
    return iabs(a[0] - b[0]) >= 4 || iabs(a[1] - b[1]) >= 4;
}

/* 8.7.2.4: do two blocks move differently? */
static bool moves_differ(const motion *const p, const motion *const q) {
    const int np = (p->flags & 1) + (p->flags >> 1 & 1), nq = (q->flags & 1) + (q->flags >> 1 & 1);
    if (np != nq)
        return true;
    if (np == 1) {
        const int a = p->flags & PRED_L0 ? 0 : 1, b = q->flags & PRED_L0 ? 0 : 1;
        return p->poc[a] != q->poc[b] || far_apart(p->mv[a], q->mv[b]);
    }
    const bool straight = p->poc[0] == q->poc[0] && p->poc[1] == q->poc[1];
    const bool crossed = p->poc[0] == q->poc[1] && p->poc[1] == q->poc[0];
    if (!straight && !crossed)
        return true;
    const bool d_straight = far_apart(p->mv[0], q->mv[0]) || far_apart(p->mv[1], q->mv[1]);
    const bool d_crossed = far_apart(p->mv[0], q->mv[1]) || far_apart(p->mv[1], q->mv[0]);
    if (straight && crossed) // both references are one picture
        return d_straight && d_crossed;
    return straight ? d_straight : d_crossed;
}

/* bS of the edge on the left of (vertical) or above the 4x4 block at (x, y); 0: not filtered. */
static int strength(const hevc_decoder *const dec, const int x, const int y, const bool vertical) {
    const int xp = vertical ? x - 1 : x, yp = vertical ? y : y - 1;
    const int q = hevc_map(dec, x, y), p = hevc_map(dec, xp, yp);
    const uint8_t kinds = dec->edges[q];
    const uint8_t tu = vertical ? EDGE_LEFT_TU : EDGE_TOP_TU;
    const uint8_t pu = vertical ? EDGE_LEFT_PU : EDGE_TOP_PU;
    if (!(kinds & (tu | pu)))
        return 0;
    const uint8_t *const mode = dec->cur->taps->mode;
    if (mode[p] == HEVC_MODE_INTRA || mode[p] == HEVC_MODE_PCM || mode[q] == HEVC_MODE_INTRA ||
        mode[q] == HEVC_MODE_PCM)
        return 2;
    if (kinds & tu && (kinds | dec->edges[p]) & CODED_LUMA)
        return 1;
    return moves_differ(&dec->cur->motion[p], &dec->cur->motion[q]);
}

/* 8.7.2.3: may the edge be filtered at all, slices and tiles considered? */
static bool allowed(const hevc_decoder *const dec, const slice_filter *const q, const int x,
                    const int y, const bool vertical) {
    const int xp = vertical ? x - 1 : x, yp = vertical ? y : y - 1;
    const int mask = (1 << dec->active_sps.CtbLog2SizeY) - 1;
    if (q->deblocking_disabled)
        return false;
    if ((vertical ? x : y) & mask) // inside a coding tree block
        return true;
    const slice_filter *const p = filter_at(dec, xp, yp);
    if (p == NULL)
        return false;
    if (p->SliceAddrRs != q->SliceAddrRs && !q->across_slices)
        return false;
    return dec->active_pps.loop_filter_across_tiles_enabled_flag ||
           tile_at(dec, xp, yp) == tile_at(dec, x, y);
}

static int luma_qp(const hevc_decoder *const dec, const int x, const int y) {
    return dec->cur->taps->qp[0][hevc_map(dec, x, y)];
}

static void luma_edge(hevc_decoder *const dec, const slice_filter *const f, const int x,
                      const int y, const bool vertical, const int bS) {
    const int depth = dec->active_sps.BitDepthY;
    const int xp = vertical ? x - 1 : x, yp = vertical ? y : y - 1;
    const int qPL = (luma_qp(dec, x, y) + luma_qp(dec, xp, yp) + 1) >> 1;
    const int beta = table_beta[iclip(qPL + f->beta_offset, 0, 51)] * (1 << (depth - 8));
    const int tc = table_tc[iclip(qPL + 2 * (bS - 1) + f->tc_offset, 0, 53)] * (1 << (depth - 8));
    const ptrdiff_t stride = dec->cur->stride[0], size = dec->k->sample_size;
    dec->k->deblock_luma(hevc_sample(dec, dec->cur, 0, x, y), vertical ? size : stride,
                         vertical ? stride : size, beta, tc,
                         dec->edges[hevc_map(dec, xp, yp)] & NO_FILTER,
                         dec->edges[hevc_map(dec, x, y)] & NO_FILTER, depth);
}

static void chroma_edge(hevc_decoder *const dec, const slice_filter *const f, const int x,
                        const int y, const bool vertical) {
    const sps *const s = &dec->active_sps;
    const int depth = s->BitDepthC, xp = vertical ? x - 1 : x, yp = vertical ? y : y - 1;
    const ptrdiff_t size = dec->k->sample_size;
    const int lines = 4 >> (vertical ? s->sub_y : s->sub_x);
    for (int cIdx = 1; cIdx < 3; cIdx++) {
        const int offset = cIdx == 1 ? dec->active_pps.cb_qp_offset : dec->active_pps.cr_qp_offset;
        const int qPi = ((luma_qp(dec, x, y) + luma_qp(dec, xp, yp) + 1) >> 1) + offset;
        const int QpC = s->ChromaArrayType != 1 ? imin(qPi, 51)
                        : qPi < 0               ? qPi
                                                : hevc_QpC[imin(qPi, 57)];
        const int tc = table_tc[iclip(QpC + 2 + f->tc_offset, 0, 53)] * (1 << (depth - 8));
        const ptrdiff_t stride = dec->cur->stride[cIdx];
        dec->k->deblock_chroma(hevc_sample(dec, dec->cur, cIdx, x >> s->sub_x, y >> s->sub_y),
                               vertical ? size : stride, vertical ? stride : size, lines, tc,
                               dec->edges[hevc_map(dec, xp, yp)] & NO_FILTER,
                               dec->edges[hevc_map(dec, x, y)] & NO_FILTER, depth);
    }
}

static void filter_edge(hevc_decoder *const dec, const int x, const int y, const bool vertical) {
    const sps *const s = &dec->active_sps;
    // chroma edges lie on its own 8x8 grid
    const int chroma = (8 << (vertical ? s->sub_x : s->sub_y)) - 1;
    const int bS = strength(dec, x, y, vertical);
    if (bS == 0)
        return;
    const slice_filter *const f = filter_at(dec, x, y);
    if (f == NULL || !allowed(dec, f, x, y, vertical))
        return;
    luma_edge(dec, f, x, y, vertical, bS);
    if (bS == 2 && s->ChromaArrayType != 0 && ((vertical ? x : y) & chroma) == 0)
        chroma_edge(dec, f, x, y, vertical);
}

static void filter_edges(hevc_decoder *const dec, const bool vertical) {
    enum {
        SPAN = 8
    }; // blocks that are looked at together: most have no edge
    const sps *const s = &dec->active_sps;
    const uint8_t kinds = vertical ? EDGE_LEFT_TU | EDGE_LEFT_PU : EDGE_TOP_TU | EDGE_TOP_PU;
    uint8_t wanted[SPAN];
    uint64_t mask, some;
    for (int i = 0; i < SPAN; i++)
        wanted[i] = vertical && i % 2 != 0 ? 0 : kinds;
    memcpy(&mask, wanted, sizeof mask);
    for (int y = vertical ? 0 : 8; y < s->height; y += vertical ? 4 : 8)
        for (int first = 0; first < dec->map_stride; first += SPAN) {
            const uint8_t *const row = dec->edges + hevc_map(dec, first * 4, y);
            const int n = imin(SPAN, dec->map_stride - first);
            if (n == SPAN) {
                memcpy(&some, row, sizeof some);
                if ((some & mask) == 0)
                    continue;
            }
            for (int i = 0; i < n; i++)
                if (row[i] & wanted[i] && (!vertical || first + i > 0))
                    filter_edge(dec, (first + i) * 4, y, vertical);
        }
}

void hevc_deblock_picture(hevc_decoder *const dec) {
    filter_edges(dec, true);
    filter_edges(dec, false);
}
