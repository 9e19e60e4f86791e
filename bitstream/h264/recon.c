/* 8.3 to 8.5 One macroblock in decoding order: prediction, residual, sum. In: mb_ctx (levels,
 * modes), mb_info, mb_motion. Out: samples before deblocking in the current picture; what is to be
 * recorded goes to taps.c as it is made. */
#include <string.h>

#include "internal.h"

enum {
    COEF_LIMIT = 1 << 22
}; // beyond any legal scaled coefficient; keeps hostile streams inside 32 bits

// ---------------------------------------------------------------------------------------- residual

// Residual of a block (packed n x n) into picture and tap; r is zero afterwards
static void add_residual(const h264_decoder *const dec, const int plane, const int x, const int y,
                         const int n, int32_t *const r) {
    ptrdiff_t stride = 0;
    void *const residual = h264_tap_residual(dec, plane, x, y, &stride);
    const int depth = plane ? dec->slice.sps->BitDepthC : dec->slice.sps->BitDepthY;
    dec->k->add_residual(h264_sample_at(dec, plane, x, y), dec->slice.mb.stride[plane], r, n, depth,
                         residual, stride);
    memset(r, 0, (size_t)(n * n) * sizeof *r);
}

// Scaled coefficients -> residual -> picture and tap (8.5.12.2, 8.5.13)
static void transform_block(const h264_decoder *const dec, const int plane, const int x,
                            const int y, const int n, const bool only_dc, int32_t *const d) {
    const kernels *const k = dec->k;
    const int depth = plane ? dec->slice.sps->BitDepthC : dec->slice.sps->BitDepthY;
    ptrdiff_t stride = 0;
    void *const residual = h264_tap_residual(dec, plane, x, y, &stride);
    add_transformed *const f = n == 4 ? (only_dc ? k->idct4x4_dc_add : k->idct4x4_add)
                                      : (only_dc ? k->idct8x8_dc_add : k->idct8x8_add);
    f(h264_sample_at(dec, plane, x, y), dec->slice.mb.stride[plane], d, depth, residual, stride);
}

static int32_t limit(const int64_t v) {
    return v < -COEF_LIMIT ? -COEF_LIMIT : v > COEF_LIMIT ? COEF_LIMIT : (int32_t)v;
}

/* 8.5.12.1, 8.5.13.1: levels of a block times LevelScale. base: qP / 6 at which the product needs
 * no shift (4, or 6 for 8x8 blocks). first: 1 where the DC place is filled elsewhere. */
static void scale_levels(const mb_ctx *const m, const block_levels b, const uint8_t *const scan,
                         const int first, const int32_t *const scale, const int qP, const int base,
                         int32_t *const d) {
    const int up = qP / 6 - base;
    for (int i = b.first; i < b.first + b.count; i++) {
        const int at = scan[m->scan_pos[i] + first];
        const int64_t v = (int64_t)m->level[i] * scale[at];
        d[at] = limit(up >= 0 ? v * (1 << up) : (v + (1 << (-up - 1))) >> -up);
    }
}

// 8.5.15: lossless with horizontal or vertical prediction sums the residual along the prediction
enum {
    BYPASS_PLAIN,
    BYPASS_VERTICAL,
    BYPASS_HORIZONTAL
};

static void accumulate(int32_t *const r, const int w, const int h, const int direction) {
    if (direction == BYPASS_VERTICAL)
        for (int i = w; i < w * h; i++)
            r[i] += r[i - w];
    else if (direction == BYPASS_HORIZONTAL)
        for (int i = 0; i < w * h; i++)
            if (i % w)
                r[i] += r[i - 1];
}

static void bypass_levels(const mb_ctx *const m, const block_levels b, const uint8_t *const scan,
                          const int first, const int n, int32_t *const r, const int stride) {
    for (int i = b.first; i < b.first + b.count; i++) {
        const int at = scan[m->scan_pos[i] + first];
        r[at / n * stride + at % n] = limit(m->level[i]);
    }
}

// 8.5.9: Y, Cb or Cr
static int list_colour(const slice_ctx *const s, const int plane) {
    return plane + s->hdr.colour_plane_id;
}

// Table 7-2: of 4x4 blocks Y, Cb, Cr intra, then inter; of 8x8 blocks Y intra, Y inter, Cb intra
// ...
static int scaling_list(const slice_ctx *const s, const int plane) {
    return (s->mb.mb->is_intra ? 0 : 3) + list_colour(s, plane);
}

static int quantiser(const mb_ctx *const m, const int plane) {
    return plane ? m->QPprimeC[plane - 1] : m->QPprimeY;
}

// One block of a 4x4 or 8x8 transform macroblock (8.5.1, 8.5.3; 8.5.5 for Cb and Cr of 4:4:4).
// direction: 8.5.15
static void residual_block(h264_decoder *const dec, const int plane, const int blkIdx, const int n,
                           const int direction) {
    mb_ctx *const m = &dec->slice.mb;
    if (!(m->coded[plane] >> blkIdx & 1))
        return;
    const int x = h264_block_x[blkIdx] * 4, y = h264_block_y[blkIdx] * 4, field = m->mb->field;
    const uint8_t *const scan = n == 4 ? h264_scan_4x4[field] : h264_scan_8x8[field];
    const block_levels b = m->blocks[plane][blkIdx];
    if (m->TransformBypassModeFlag) {
        bypass_levels(m, b, scan, 0, n, m->coef, n);
        accumulate(m->coef, n, n, direction);
        add_residual(dec, plane, x, y, n, m->coef);
        return;
    }
    const int qP = quantiser(m, plane);
    const level_scale *const ls = dec->slice.scale;
    if (n == 4)
        scale_levels(m, b, scan, 0, ls->s4x4[scaling_list(&dec->slice, plane)][qP % 6], qP, 4,
                     m->coef);
    else
        scale_levels(m, b, scan, 0,
                     ls->s8x8[2 * list_colour(&dec->slice, plane) + !m->mb->is_intra][qP % 6], qP,
                     6, m->coef);
    transform_block(dec, plane, x, y, n, b.count == 1 && m->scan_pos[b.first] == 0, m->coef);
}

static void residual_luma(h264_decoder *const dec, const int plane) {
    const mb_ctx *const m = &dec->slice.mb;
    const int n = m->transform_size_8x8_flag ? 8 : 4;
    for (int blkIdx = 0; blkIdx < 16; blkIdx += n == 8 ? 4 : 1)
        residual_block(dec, plane, blkIdx, n, BYPASS_PLAIN);
}

// A whole plane of a lossless macroblock with DC levels apart (Intra16x16, chroma): w x h samples
static void residual_bypass(h264_decoder *const dec, const int plane, const int w, const int h,
                            const int32_t *const dc, const int direction) {
    mb_ctx *const m = &dec->slice.mb;
    int32_t r[256] = {0};
    for (int i = 0; i < w * h / 16; i++) {
        const int bx = w == 16 ? h264_block_x[i] : i & 1, by = w == 16 ? h264_block_y[i] : i >> 1;
        int32_t *const block = r + by * 4 * w + bx * 4;
        if (m->coded[plane] >> i & 1)
            bypass_levels(m, m->blocks[plane][i], h264_scan_4x4[m->mb->field], 1, 4, block, w);
        block[0] = dc[by * (w / 4) + bx];
    }
    accumulate(r, w, h, direction);
    for (int y = 0; y < h; y += 4)
        for (int x = 0; x < w; x += 4) {
            for (int j = 0; j < 4; j++)
                memcpy(m->coef + 4 * j, r + (y + j) * w + x, 4 * sizeof *r);
            add_residual(dec, plane, x, y, 4, m->coef);
        }
}

// 8.5.2 Intra16x16: DC levels through their own transform, then sixteen 4x4 blocks
static void residual_i16x16(h264_decoder *const dec, const int plane) {
    mb_ctx *const m = &dec->slice.mb;
    const int field = m->mb->field, qP = quantiser(m, plane);
    const int32_t *const scale = dec->slice.scale->s4x4[scaling_list(&dec->slice, plane)][qP % 6];
    int32_t dc[16] = {0};
    if (!m->coded[plane])
        return;
    if (m->coded[plane] >> BLOCK_DC & 1) {
        const block_levels b = m->blocks[plane][BLOCK_DC];
        for (int i = b.first; i < b.first + b.count; i++) {
            const int at = h264_scan_4x4[field][m->scan_pos[i]];
            dc[at] = limit(m->level[i]);
        }
    }
    if (m->TransformBypassModeFlag) {
        const int mode = m->Intra16x16PredMode;
        residual_bypass(dec, plane, 16, 16, dc,
                        mode == 0   ? BYPASS_VERTICAL
                        : mode == 1 ? BYPASS_HORIZONTAL
                                    : BYPASS_PLAIN);
        return;
    }
    if (m->coded[plane] >> BLOCK_DC & 1)
        h264_luma_dc(dc, scale[0], qP);
    for (int i = 0; i < 16; i++) {
        const int x = h264_block_x[i], y = h264_block_y[i];
        const bool ac = m->coded[plane] >> i & 1;
        if (ac)
            scale_levels(m, m->blocks[plane][i], h264_scan_4x4[field], 1, scale, qP, 4, m->coef);
        m->coef[0] = limit(dc[y * 4 + x]);
        if (ac || m->coef[0])
            transform_block(dec, plane, x * 4, y * 4, 4, !ac, m->coef);
    }
}

// 8.5.4 chroma of 4:2:0 and 4:2:2
static void residual_chroma(h264_decoder *const dec, const int plane) {
    mb_ctx *const m = &dec->slice.mb;
    const int field = m->mb->field, qP = quantiser(m, plane), n_blocks = dec->mb_height_c / 2;
    const bool is_422 = dec->mb_height_c == 16;
    const int list = scaling_list(&dec->slice, plane);
    int32_t dc[8] = {0};
    if (m->coded[plane] >> BLOCK_DC & 1) {
        const block_levels b = m->blocks[plane][BLOCK_DC];
        for (int i = b.first; i < b.first + b.count; i++) {
            const int at = h264_chroma_dc_place[is_422][m->scan_pos[i]];
            dc[at] = limit(m->level[i]);
        }
    }
    if (m->TransformBypassModeFlag) {
        const int mode = m->mb->is_intra ? m->mb->intra_chroma_pred_mode : 0;
        residual_bypass(dec, plane, 8, dec->mb_height_c, dc,
                        mode == 2   ? BYPASS_VERTICAL
                        : mode == 1 ? BYPASS_HORIZONTAL
                                    : BYPASS_PLAIN);
        return;
    }
    const int32_t (*const scale)[16] = dec->slice.scale->s4x4[list];
    if (is_422)
        h264_chroma_dc_422(dc, scale[(qP + 3) % 6][0], qP + 3);
    else
        h264_chroma_dc_420(dc, scale[qP % 6][0], qP);
    for (int i = 0; i < n_blocks; i++) {
        const bool ac = m->coded[plane] >> i & 1;
        if (ac)
            scale_levels(m, m->blocks[plane][i], h264_scan_4x4[field], 1, scale[qP % 6], qP, 4,
                         m->coef);
        m->coef[0] = limit(dc[i]);
        if (ac || m->coef[0])
            transform_block(dec, plane, i % 2 * 4, i / 2 * 4, 4, !ac, m->coef);
    }
}

// ------------------------------------------------------------------------- SP and SI slices, 8.6

// Prediction of a 4x4 block; samples have 8 bits in the Extended profile
static void predicted_block(const h264_decoder *const dec, const int plane, const int x,
                            const int y, int32_t pred[16]) {
    const uint8_t *const from = h264_sample_at(dec, plane, x, y);
    for (int i = 0; i < 16; i++)
        pred[i] = from[i / 4 * dec->slice.mb.stride[plane] + i % 4];
}

static switching_quantiser quantiser_of(const slice_ctx *const s, const int plane) {
    const mb_ctx *const m = &s->mb;
    return (switching_quantiser){.QP = quantiser(m, plane),
                                 .QS =
                                     plane ? h264_chroma_qp(s, s->hdr.QSY, plane - 1) : s->hdr.QSY,
                                 .scale = s->scale->s4x4[scaling_list(s, plane)],
                                 .switching = m->mb->is_SI || s->hdr.sp_for_switch_flag};
}

// Levels of a 4x4 block in raster order, from scan index `first` on
static void gather_levels(const mb_ctx *const m, const int plane, const int block, const int first,
                          int32_t c[16]) {
    if (m->coded[plane] >> block & 1)
        bypass_levels(m, m->blocks[plane][block], h264_scan_4x4[m->mb->field], first, 4, c, 4);
}

static void switching_luma(h264_decoder *const dec, const int blkIdx) {
    const switching_quantiser q = quantiser_of(&dec->slice, 0);
    const int x = h264_block_x[blkIdx] * 4, y = h264_block_y[blkIdx] * 4;
    int32_t *const c = dec->slice.mb.coef, pred[16];
    gather_levels(&dec->slice.mb, 0, blkIdx, 0, c);
    predicted_block(dec, 0, x, y, pred);
    h264_switching_luma(c, pred, &q);
    add_residual(dec, 0, x, y, 4, c);
}

static void switching_chroma(h264_decoder *const dec, const int plane) {
    const switching_quantiser q = quantiser_of(&dec->slice, plane);
    const mb_ctx *const m = &dec->slice.mb;
    int32_t c[4][16] = {{0}}, pred[4][16];
    if (m->coded[plane] >> BLOCK_DC & 1) {
        const block_levels b = m->blocks[plane][BLOCK_DC];
        for (int i = b.first; i < b.first + b.count; i++) {
            const int at = h264_chroma_dc_place[0][m->scan_pos[i]];
            c[at][0] = limit(m->level[i]);
        }
    }
    for (int i = 0; i < 4; i++) {
        gather_levels(m, plane, i, 1, c[i]);
        predicted_block(dec, plane, i % 2 * 4, i / 2 * 4, pred[i]);
    }
    h264_switching_chroma(c, (const int32_t (*)[16])pred, &q);
    for (int i = 0; i < 4; i++)
        add_residual(dec, plane, i % 2 * 4, i / 2 * 4, 4, c[i]);
}

// -------------------------------------------------------------------------------- intra prediction

// May intra prediction use samples of this neighbour?
static bool usable(const slice_ctx *const s, const mb_info *const mb) {
    if (mb->slice_num < 0 || !s->pps->constrained_intra_pred_flag)
        return mb->slice_num >= 0;
    return mb->is_intra && (!mb->is_SI || s->mb.mb->is_SI);
}

/* 8.3.1.2 ...: neighbouring macroblocks whose samples intra prediction may use, AVAIL_* of the
 * macroblock's corners. In MBAFF the left column may lie in two macroblocks: of a field macroblock
 * its halves, of a frame macroblock its even and odd rows. */
static unsigned intra_available(const h264_decoder *const dec) {
    const slice_ctx *const s = &dec->slice;
    const mb_ctx *const m = &s->mb;
    bool upper = usable(s, m->left[0]), lower = usable(s, m->left[1]);
    if (CORE_UNLIKELY(m->left_differs) && !m->mb->field)
        upper = lower = upper && usable(s, m->left[0] + dec->PicWidthInMbs);
    unsigned avail = upper && lower ? AVAIL_LEFT
                     : upper        ? AVAIL_LEFT_UPPER
                     : lower        ? AVAIL_LEFT_LOWER
                                    : 0;
    avail |= usable(s, m->B) ? AVAIL_TOP : 0;
    avail |= usable(s, m->C) ? AVAIL_TOPRIGHT : 0;
    return avail | (usable(s, m->D) ? AVAIL_TOPLEFT : 0);
}

/* The same for a block at (x, y) of `size` 4x4 blocks within the macroblock. Inside the macroblock
 * the block above right is there unless it comes later in decoding order (6.4.11.4): odd columns of
 * odd rows, and the right edge. */
static unsigned block_available(const unsigned mb_avail, const int x, const int y, const int size) {
    const unsigned upper = AVAIL_LEFT | AVAIL_LEFT_UPPER, lower = AVAIL_LEFT | AVAIL_LEFT_LOWER;
    unsigned avail = 0;
    if (x > 0 || mb_avail & (y < 2 ? upper : lower))
        avail |= AVAIL_LEFT;
    if (y > 0 || mb_avail & AVAIL_TOP)
        avail |= AVAIL_TOP;
    const unsigned corner = x > 0   ? (y > 0 ? AVAIL_TOPLEFT : mb_avail & AVAIL_TOP)
                            : y > 0 ? mb_avail & (y < 3 ? upper : lower)
                                    : mb_avail & AVAIL_TOPLEFT;
    if (corner)
        avail |= AVAIL_TOPLEFT;
    const int right = x + size;
    bool top_right;
    if (y == 0)
        top_right = right < 4 ? mb_avail & AVAIL_TOP : mb_avail & AVAIL_TOPRIGHT;
    else if (right >= 4)
        top_right = false;
    else
        top_right = size == 2 || (x & 1) == 0 || (x == 1 && y == 2);
    return avail | (top_right ? AVAIL_TOPRIGHT : 0);
}

static void intra_nxn(h264_decoder *const dec, const int plane, const unsigned mb_avail) {
    const mb_ctx *const m = &dec->slice.mb;
    const int depth = plane ? dec->slice.sps->BitDepthC : dec->slice.sps->BitDepthY;
    const int n = m->transform_size_8x8_flag ? 8 : 4;
    const ptrdiff_t stride = m->stride[plane];
    for (int blkIdx = 0; blkIdx < 16; blkIdx += n == 8 ? 4 : 1) {
        const int x = h264_block_x[blkIdx], y = h264_block_y[blkIdx];
        const int mode = m->intra_modes[n == 8 ? blkIdx / 4 : blkIdx];
        const unsigned avail = block_available(mb_avail, x, y, n / 4);
        uint8_t *const dst = h264_sample_at(dec, plane, x * 4, y * 4);
        (n == 8 ? dec->k->intra8x8 : dec->k->intra4x4)(dst, stride, dst - dec->k->sample_size,
                                                       stride, mode, avail, depth);
        h264_tap_prediction(dec, plane, (area){x * 4, y * 4, n, n});
        if (CORE_UNLIKELY(m->switching_transform)) {
            switching_luma(dec, blkIdx);
            continue;
        }
        residual_block(dec, plane, blkIdx, n,
                       mode == 0   ? BYPASS_VERTICAL
                       : mode == 1 ? BYPASS_HORIZONTAL
                                   : BYPASS_PLAIN);
    }
}

static void intra_16x16(h264_decoder *const dec, const int plane, const unsigned mb_avail) {
    const mb_ctx *const m = &dec->slice.mb;
    const int depth = plane ? dec->slice.sps->BitDepthC : dec->slice.sps->BitDepthY;
    uint8_t *const dst = m->dst[plane];
    dec->k->intra16x16(dst, m->stride[plane], dst - dec->k->sample_size, m->stride[plane],
                       m->Intra16x16PredMode, mb_avail, depth);
    h264_tap_prediction(dec, plane, (area){0, 0, 16, 16});
    residual_i16x16(dec, plane);
}

static void recon_intra(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    const unsigned avail = intra_available(dec);
    const int type = dec->slice.sps->ChromaArrayType;
    for (int plane = 0; plane < (type == 3 ? 3 : 1); plane++) {
        if (m->mb->type == H264_I_16X16)
            intra_16x16(dec, plane, avail);
        else
            intra_nxn(dec, plane, avail);
    }
    for (int plane = 1; plane < 3 && (type == 1 || type == 2); plane++) {
        uint8_t *const dst = m->dst[plane];
        dec->k->intra_chroma(dst, m->stride[plane], dst - dec->k->sample_size, m->stride[plane],
                             dec->mb_height_c, m->mb->intra_chroma_pred_mode, avail,
                             dec->slice.sps->BitDepthC);
        h264_tap_prediction(dec, plane, (area){0, 0, dec->mb_width_c, dec->mb_height_c});
        if (CORE_UNLIKELY(m->switching_transform))
            switching_chroma(dec, plane);
        else if (m->coded[plane])
            residual_chroma(dec, plane);
    }
}

static void recon_pcm(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    const uint16_t *from = m->pcm;
    for (int plane = 0; plane < 3; plane++) {
        const int w = plane ? dec->mb_width_c : 16, h = plane ? dec->mb_height_c : 16;
        for (int y = 0; y < h && w; y++, from += w) {
            uint8_t *const to = m->dst[plane] + y * m->stride[plane];
            if (dec->k->sample_size == 2)
                memcpy(to, from, (size_t)w * 2);
            else
                for (int x = 0; x < w; x++)
                    to[x] = (uint8_t)from[x];
        }
        if (w)
            h264_tap_prediction(dec, plane, (area){0, 0, w, h});
    }
}

// -------------------------------------------------------------------------------- inter prediction

// 8.4.3: weights for the references in b, which is plain so far; explicit ones whose flags are off
// equal the plain prediction
static void set_weights(const h264_decoder *const dec, inter_block *const b, const int refIdxL0,
                        const int refIdxL1) {
    const slice_ctx *const s = &dec->slice;
    const slice_header *const h = &s->hdr;
    const bool is_B = h->slice_type == SLICE_B;
    const int fields = s->mb.frame_field; // both of a frame have its explicit weights
    const int ref[2] = {refIdxL0 >> fields, refIdxL1 >> fields};
    if (is_B && s->pps->weighted_bipred_idc == 2) {
        const implicit_weights *const implicit = &s->implicit[s->mb.distances];
        if (refIdxL0 < 0 || refIdxL1 < 0 || implicit->w1[refIdxL0][refIdxL1] == 32)
            return;
        const int w1 = implicit->w1[refIdxL0][refIdxL1];
        b->weighted = true;
        for (int plane = 0; plane < 3; plane++) {
            b->log2_denom[plane] = 5;
            b->weight[0][plane] = 64 - w1;
            b->weight[1][plane] = w1;
            b->offset[0][plane] = b->offset[1][plane] = 0;
        }
        return;
    }
    for (int list = 0; list < 2; list++) {
        if (ref[list] < 0)
            continue;
        b->weighted |= h->weight_flag[list][ref[list]][0] || h->weight_flag[list][ref[list]][1];
        for (int plane = 0; plane < 3; plane++) {
            const int depth = plane ? s->sps->BitDepthC : s->sps->BitDepthY;
            b->log2_denom[plane] = plane ? h->chroma_log2_weight_denom : h->luma_log2_weight_denom;
            b->weight[list][plane] = h->weight[list][ref[list]][plane];
            b->offset[list][plane] = h->offset[list][ref[list]][plane] * (1 << (depth - 8));
        }
    }
}

// A macroblock predicted from a picture that never came is invented too.
static void note_missing_references(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    if (CORE_LIKELY(!dec->slice.missing_references))
        return;
    for (int i = 0; i < 8; i++) {
        const int list = i / 4, ref_idx = m->motion->ref_idx[list][i % 4];
        if (ref_idx < 0 || CORE_LIKELY(!m->ref_list[list][ref_idx].missing))
            continue;
        m->mb->conceal = true;
        dec->cur->concealed_mbs++;
        dec->warnings[H264_WARN_MISSING_REFERENCE]++;
        return;
    }
}

// w x h luma samples at (x, y) of the macroblock; all their motion is that of the 4x4 block there
CORE_INLINE void set_block(const h264_decoder *const dec, const int x, const int y, const int w,
                           const int h, inter_block *const b) {
    const slice_ctx *const s = &dec->slice;
    const mb_ctx *const m = &s->mb;
    const int block = y / 4 * 4 + x / 4, quarter = h264_quarter_of_block[block];
    const int mb_row = m->mb->field ? m->mb_y >> 1 : m->mb_y;
    b->x = m->mb_x * 16 + x;
    b->y = mb_row * 16 + y;
    b->w = w;
    b->h = h;
    for (int list = 0; list < 2; list++) {
        const int ref_idx = m->motion->ref_idx[list][quarter];
        b->ref[list] = ref_idx >= 0 ? &m->ref_list[list][ref_idx] : NULL;
        memcpy(b->mv[list], m->motion->mv[list][block], sizeof b->mv[list]);
    }
    b->weighted = false;
    if (s->weighted)
        set_weights(dec, b, m->motion->ref_idx[0][quarter], m->motion->ref_idx[1][quarter]);
}

// The samples of all planes at luma sample (x, y) of the macroblock
static void samples_at(const h264_decoder *const dec, const int x, const int y, uint8_t *dst[3]) {
    dst[0] = h264_sample_at(dec, 0, x, y);
    dst[1] = dst[2] = NULL;
    for (int plane = 1; plane < 3 && dec->mb_width_c; plane++)
        dst[plane] =
            h264_sample_at(dec, plane, x * dec->mb_width_c / 16, y * dec->mb_height_c / 16);
}

static void predict_part(h264_decoder *const dec, const int x, const int y, const int w,
                         const int h) {
    inter_block b;
    set_block(dec, x, y, w, h, &b);
    uint8_t *dst[3];
    samples_at(dec, x, y, dst);
    h264_inter_predict(dec, &b, dst, dec->slice.mb.stride);
}

// Do the w x h blocks from `block` on move alike, in both lists? (References are constant within a
// quarter.)
static bool moves_alike(const mb_motion *const motion, const int block, const int w, const int h) {
    for (int list = 0; list < 2; list++)
        for (int j = 0; j < h; j++)
            for (int i = 0; i < w; i++)
                if (memcmp(motion->mv[list][block + j * 4 + i], motion->mv[list][block], 4) != 0)
                    return false;
    return true;
}

static bool same_references(const mb_motion *const motion) {
    for (int list = 0; list < 2; list++)
        for (int q = 1; q < 4; q++)
            if (motion->ref_idx[list][q] != motion->ref_idx[list][0])
                return false;
    return true;
}

// Do all blocks? Two vectors at a time
static bool all_move_alike(const mb_motion *const motion) {
    uint64_t differences = 0;
    for (int list = 0; list < 2; list++) {
        uint64_t first, two;
        memcpy(&first, motion->mv[list][0], sizeof first);
        for (int i = 0; i < 16; i += 2) {
            memcpy(&two, motion->mv[list][i], sizeof two);
            differences |= two ^ first;
        }
        differences |= first >> 32 ^ (first & UINT32_MAX);
    }
    return differences == 0;
}

static void predict_quarters(h264_decoder *const dec) {
    const mb_motion *const motion = dec->slice.mb.motion;
    for (int q = 0; q < 4; q++) {
        const int x = q % 2 * 8, y = q / 2 * 8, block = y / 4 * 4 + x / 4;
        const bool rows = moves_alike(motion, block, 2, 1) && moves_alike(motion, block + 4, 2, 1);
        const bool columns =
            moves_alike(motion, block, 1, 2) && moves_alike(motion, block + 1, 1, 2);
        const int w = rows ? 8 : 4, h = columns ? 8 : 4;
        for (int j = 0; j < 8; j += h)
            for (int i = 0; i < 8; i += w)
                predict_part(dec, x + i, y + j, w, h);
    }
}

static void predict_parts(h264_decoder *const dec) {
    switch (dec->slice.mb.mb->type) {
    case H264_P_16X8:
    case H264_B_16X8:
        predict_part(dec, 0, 0, 16, 8);
        predict_part(dec, 0, 8, 16, 8);
        break;
    case H264_P_8X16:
    case H264_B_8X16:
        predict_part(dec, 0, 0, 8, 16);
        predict_part(dec, 8, 0, 8, 16);
        break;
    default: predict_quarters(dec);
    }
}

// Is all motion the same, whatever the partitions are?
static bool moves_as_one(const mb_ctx *const m) {
    switch (m->mb->type) {
    case H264_P_16X8:
    case H264_B_16X8:
    case H264_P_8X16:
    case H264_B_8X16: return false;
    default: return same_references(m->motion) && all_move_alike(m->motion);
    }
}

static void residual_inter(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    const int type = dec->slice.sps->ChromaArrayType;
    if (CORE_UNLIKELY(m->switching_transform)) {
        for (int blkIdx = 0; blkIdx < 16; blkIdx++)
            switching_luma(dec, blkIdx);
        for (int plane = 1; plane < 3; plane++)
            switching_chroma(dec, plane);
        return;
    }
    for (int plane = 0; plane < 3; plane++) {
        if (!m->coded[plane])
            continue;
        if (plane == 0 || type == 3)
            residual_luma(dec, plane);
        else
            residual_chroma(dec, plane);
    }
}

// w x h luma samples from x, y of the macroblock on, in a plane
CORE_INLINE area area_of(const h264_decoder *const dec, const int plane, const int x, const int y,
                         const int w, const int h) {
    const int mbw = dec->mb_width_c, mbh = dec->mb_height_c;
    return plane ? (area){x * mbw / 16, y * mbh / 16, w * mbw / 16, h * mbh / 16}
                 : (area){x, y, w, h};
}

// in_picture: of macroblocks that h264_is_prediction()
static void tap_inter(const h264_decoder *const dec, const int x, const int y, const int w,
                      const bool in_picture) {
    const taps *const t = dec->cur->taps;
    if (in_picture && dec->tap_rows.used)
        return;
    for (int plane = 0; plane < (dec->mb_width_c ? 3 : 1) && t && t->prediction[0]; plane++)
        h264_tap_prediction(dec, plane, area_of(dec, plane, x, y, w, 16));
}

/* Note [Runs]. Most macroblocks of a still scene have no residual and are the samples of a
 * reference, or the means of two, as they stand; many such lie side by side and move alike. They
 * wait for each other and are predicted together: whole rows of samples are moved instead of 16 at
 * a time. A run ends with the row, with the slice, and before a macroblock that does not go on with
 * it. There are none in fields and in MBAFF frames. */
void h264_recon_end_run(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    mb_run *const run = &dec->slice.run;
    if (run->n == 0)
        return;
    // the current macroblock may be another one of the slice
    const int x = run->block.x - 16 * m->mb_x, y = run->block.y - 16 * m->mb_y;
    uint8_t *dst[3];
    samples_at(dec, x, y, dst);
    run->block.w = 16 * run->n;
    h264_inter_predict_run(dec, &run->block, dst, m->stride);
    tap_inter(dec, x, y, 16 * run->n, true);
    run->n = 0;
}

CORE_INLINE bool goes_on(const mb_run *const run, const mb_ctx *const m,
                         const inter_block *const b) {
    const int16_t (*const mv)[2] = b->mv, (*const first)[2] = run->block.mv;
    // one by one: a wide load of what narrow stores have just written would wait for them
    return run->n > 0 && m->addr == run->addr + run->n && b->ref[0] == run->block.ref[0] &&
           b->ref[1] == run->block.ref[1] && mv[0][0] == first[0][0] && mv[0][1] == first[0][1] &&
           mv[1][0] == first[1][0] && mv[1][1] == first[1][1];
}

// The macroblock, whose prediction is b, goes into a run. False: it must be predicted now.
static bool join_run(h264_decoder *const dec, const inter_block *const b) {
    const slice_ctx *const s = &dec->slice;
    const mb_ctx *const m = &s->mb;
    mb_run *const run = &dec->slice.run;
    const bool joins = h264_is_prediction(m) && !m->mb->field && !s->hdr.MbaffFrameFlag &&
                       h264_is_full_sample(dec, b);
    if (!joins || !goes_on(run, m, b))
        h264_recon_end_run(dec);
    if (!joins)
        return false;
    if (run->n == 0) {
        run->addr = m->addr;
        run->block = *b;
    }
    run->n++;
    if (m->mb_x == dec->PicWidthInMbs - 1)
        h264_recon_end_run(dec);
    return true;
}

// Is a skipped macroblock that moves as the one to the left does part of the run which that one
// ended? Its references must not begin to lie outside.
CORE_INLINE bool prolongs_run(const h264_decoder *const dec, const mb_ctx *const m) {
    const mb_run *const run = &dec->slice.run;
    const int16_t (*const mv)[2] = run->block.mv;
    const int limit = dec->width[0] - 16 * m->mb_x - 16;
    return m->repeats_left && run->n > 0 && m->addr == run->addr + run->n &&
           mv[0][0] >> 2 <= limit && mv[1][0] >> 2 <= limit && !m->switching_transform;
}

static void recon_inter(h264_decoder *const dec) {
    mb_ctx *const m = &dec->slice.mb;
    mb_run *const run = &dec->slice.run;
    if (prolongs_run(dec, m)) {
        run->n++;
        if (dec->slice.asks_ahead)
            h264_prefetch_references(dec, &run->block);
        if (m->mb_x == dec->PicWidthInMbs - 1)
            h264_recon_end_run(dec);
        return;
    }
    if (!m->mb->moves_as_one && moves_as_one(m)) {
        m->mb->moves_as_one = true;
        h264_note_whole_motion(m->mb, m->motion);
    }
    if (m->mb->moves_as_one) {
        inter_block b;
        set_block(dec, 0, 0, 16, 16, &b);
        if (dec->slice.asks_ahead)
            h264_prefetch_references(dec, &b);
        if (join_run(dec, &b))
            return;
        h264_inter_predict(dec, &b, m->dst, m->stride);
    } else {
        h264_recon_end_run(dec);
        predict_parts(dec);
    }
    tap_inter(dec, 0, 0, 16, h264_is_prediction(m));
    residual_inter(dec);
}

CORE_INLINE void prefetch_struct(const void *const p, const size_t size) {
    for (size_t i = 0; i < size; i += H264_CACHE_LINE)
        CORE_PREFETCH_WRITE((const uint8_t *)p + i);
}

// What the macroblocks behind this one will write, Note [Asking ahead] in inter.c
static void prefetch_ahead(const h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    uint8_t *const row = m->dst[0] + 4 * (m->mb_x & 3) * m->stride[0] + H264_CACHE_LINE;
    for (int i = 0; i < 4; i++)
        CORE_PREFETCH_WRITE(row + i * m->stride[0]);
    for (int plane = 1; plane < 3 && dec->mb_width_c; plane++)
        CORE_PREFETCH_WRITE(m->dst[plane] + (m->mb_x & 7) * m->stride[plane] + H264_CACHE_LINE);
    prefetch_struct(m->motion + 3, sizeof *m->motion);
    prefetch_struct(m->mb + 3, sizeof *m->mb);
    if (dec->cur->taps && (dec->cur->taps->prediction[0] || dec->cur->taps->mv))
        h264_prefetch_taps_ahead(dec);
}

void h264_recon_mb(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    dec->cur->mb_field[m->addr] = m->mb->field;
    if (CORE_UNLIKELY(m->mb->residual_lost) && m->mb->is_intra)
        return; // left to conceal.c
    if (!m->mb->is_intra)
        note_missing_references(dec);
    h264_tap_macroblock(dec);
    if (dec->settings.how & H264_NO_SAMPLES)
        return;
    if (dec->slice.asks_ahead)
        prefetch_ahead(dec);
    if (!m->mb->is_intra) {
        recon_inter(dec);
        return;
    }
    h264_recon_end_run(dec);
    if (m->mb->type == H264_I_PCM)
        recon_pcm(dec);
    else
        recon_intra(dec);
}
