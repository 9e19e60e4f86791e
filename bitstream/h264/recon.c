/* 8.3 to 8.5 One macroblock in decoding order: prediction, residual, sum. The only file that writes
 * the taps. In: mb_ctx (levels, modes), mb_info, mb_motion. Out: samples before deblocking in the
 * current picture, tap planes and maps. Prediction is recorded after each predict step and residual
 * after each inverse transform, whatever the block size, because Intra NxN blocks predict from
 * their reconstructed neighbours. */
#include <string.h>

#include "internal.h"

// 8.5.11.1: place of a chroma DC level in its matrix of two columns (4:2:0, 4:2:2)
static const uint8_t chroma_dc_place[2][8] = {{0, 1, 2, 3}, {0, 2, 1, 4, 6, 3, 5, 7}};

enum {
    COEF_LIMIT = 1 << 22
}; // beyond any legal scaled coefficient; keeps hostile streams inside 32 bits

// -------------------------------------------------------------------------------------------------------
// taps

typedef struct area { // of one plane of the macroblock
    int x, y, w, h;   // samples within the macroblock
} area;

// Row `y` of the macroblock in a tap plane. Sample planes are in display rows, level planes in
// macroblock order.
static size_t tap_offset(const h264_decoder *const dec, const int plane, const int x, const int y,
                         const bool display) {
    const mb_ctx *const m = &dec->slice.mb;
    const int mbw = plane ? dec->mb_width_c : 16, mbh = plane ? dec->mb_height_c : 16;
    int row = m->mb_y * mbh + y;
    if (display && m->mb->field)
        row = (m->mb_y >> 1) * 2 * mbh + (m->mb_y & 1) + 2 * y;
    return (size_t)row * (size_t)dec->width[plane] + (size_t)(m->mb_x * mbw + x);
}

static size_t tap_step(const h264_decoder *const dec, const int plane) {
    return (size_t)dec->width[plane] << dec->slice.mb.mb->field;
}

static uint8_t *sample_at(const h264_decoder *const dec, const int plane, const int x,
                          const int y) {
    const mb_ctx *const m = &dec->slice.mb;
    return m->dst[plane] + y * m->stride[plane] + x * dec->k->sample_size;
}

static void tap_prediction(const h264_decoder *const dec, const int plane, const area a) {
    const taps *const t = dec->cur->taps;
    if (!t || !t->prediction[plane])
        return;
    const size_t size = (size_t)dec->k->sample_size, step = tap_step(dec, plane) * size,
                 bytes = (size_t)a.w * size;
    uint8_t *to = (uint8_t *)t->prediction[plane] + tap_offset(dec, plane, a.x, a.y, true) * size;
    const uint8_t *from = sample_at(dec, plane, a.x, a.y);
    for (int y = 0; y < a.h; y++, to += step, from += dec->slice.mb.stride[plane]) {
        if (bytes == 16)
            memcpy(to, from, 16);
        else if (bytes == 8)
            memcpy(to, from, 8);
        else
            memcpy(to, from, bytes);
    }
}

// r: packed n x n
static void tap_residual(const h264_decoder *const dec, const int plane, const int x, const int y,
                         const int n, const int32_t *r) {
    const size_t step = tap_step(dec, plane), at = tap_offset(dec, plane, x, y, true);
    void *const tap = dec->cur->taps->residual[plane];
    for (int j = 0; j < n; j++, r += n) {
        if (dec->k->sample_size == 1) {
            int16_t *const to = (int16_t *)tap + at + (size_t)j * step;
            for (int i = 0; i < n; i++)
                to[i] = (int16_t)iclip(r[i], INT16_MIN, INT16_MAX);
        } else {
            memcpy((int32_t *)tap + at + (size_t)j * step, r, (size_t)n * sizeof *r);
        }
    }
}

static void tap_level(const h264_decoder *const dec, const int plane, const int x, const int y,
                      const int32_t level) {
    const taps *const t = dec->cur->taps;
    if (!t || !t->level[plane])
        return;
    const size_t at = tap_offset(dec, plane, x, y, false);
    if (dec->k->sample_size == 1)
        ((int16_t *)t->level[plane])[at] = (int16_t)iclip(level, INT16_MIN, INT16_MAX);
    else
        ((int32_t *)t->level[plane])[at] = level;
}

// Rows of one macroblock; lengths that occur in 8-bit 4:2:0 are constants to the compiler
static void clear_rows(uint8_t *to, const size_t step, const int rows, const size_t bytes) {
    for (int y = 0; y < rows; y++, to += step) {
        if (bytes == 32)
            memset(to, 0, 32);
        else if (bytes == 16)
            memset(to, 0, 16);
        else
            memset(to, 0, bytes);
    }
}

/* Residual and levels of the macroblock start at zero. Buffers come zeroed and are used again, so
 * only what an earlier picture wrote needs clearing. (Field macroblocks of an earlier picture lie
 * in other rows: no such thrift there.) */
static void clear_taps(const h264_decoder *const dec) {
    const taps *const t = dec->cur->taps;
    const mb_ctx *const m = &dec->slice.mb;
    const size_t size = dec->k->sample_size == 1 ? sizeof(int16_t) : sizeof(int32_t);
    const bool dirty = t->dirty[m->addr] || !dec->active_sps.frame_mbs_only_flag;
    t->dirty[m->addr] = (m->coded[0] | m->coded[1] | m->coded[2]) != 0;
    for (int plane = 0; plane < 3 && dirty; plane++) {
        const int w = plane ? dec->mb_width_c : 16, h = plane ? dec->mb_height_c : 16;
        uint8_t *const residual = t->residual[plane], *const level = t->level[plane];
        if (residual)
            clear_rows(residual + tap_offset(dec, plane, 0, 0, true) * size,
                       tap_step(dec, plane) * size, h, (size_t)w * size);
        if (level)
            clear_rows(level + tap_offset(dec, plane, 0, 0, false) * size,
                       (size_t)dec->width[plane] * size, h, (size_t)w * size);
    }
}

/* Tap buffers have left the caches since they were last written. Their rows of a macroblock are
 * asked for before its residual is parsed, which takes about as long as they need to come. */
void h264_prefetch_taps(const h264_decoder *const dec) {
    const taps *const t = dec->cur->taps;
    const size_t size = (size_t)dec->k->sample_size;
    for (int plane = 0; plane < 3 && t; plane++) {
        const int rows = plane ? dec->mb_height_c : 16;
        const size_t step = tap_step(dec, plane), at = tap_offset(dec, plane, 0, 0, true);
        const uint8_t *const prediction = t->prediction[plane], *const level = t->level[plane];
        const uint8_t *const residual = t->residual[plane];
        for (size_t y = 0; y < (size_t)rows; y++) {
            if (prediction)
                H264_PREFETCH_WRITE(prediction + (at + y * step) * size);
            if (residual)
                H264_PREFETCH_WRITE(residual + (at + y * step) * 2 * size);
            if (level)
                H264_PREFETCH_WRITE(level + (at + y * step) * 2 * size);
        }
    }
}

static uint8_t tu_type(const mb_ctx *const m) {
    const uint8_t bypass = m->TransformBypassModeFlag ? H264_TU_BYPASS : 0;
    if (m->mb->type == H264_I_PCM)
        return H264_TU_PCM;
    if (m->mb->type == H264_I_16X16)
        return H264_TU_I16X16 | bypass;
    if (!(m->mb->cbp & 15))
        return H264_TU_NONE;
    return (m->transform_size_8x8_flag ? H264_TU_8X8 : H264_TU_4X4) | bypass;
}

static void tap_motion(const h264_decoder *const dec, const taps *const t) {
    const mb_ctx *const m = &dec->slice.mb;
    const size_t w4 = (size_t)dec->PicWidthInMbs * 4, h4 = (size_t)dec->FrameHeightInMbs * 4;
    for (int list = 0; list < 2; list++) {
        int16_t *const mv =
            t->mv + ((size_t)list * h4 + (size_t)m->mb_y * 4) * w4 * 2 + (size_t)m->mb_x * 8;
        int32_t *const ref =
            t->ref + ((size_t)list * h4 / 2 + (size_t)m->mb_y * 2) * (w4 / 2) + (size_t)m->mb_x * 2;
        for (size_t y = 0; y < 4; y++)
            memcpy(mv + y * w4 * 2, m->motion->mv[list][y * 4], 16);
        for (size_t q = 0; q < 4; q++)
            ref[q / 2 * (w4 / 2) + q % 2] =
                imax(m->motion->uid[list][q], NO_UID); // frames never coded count as none
    }
}

static void tap_modes(const h264_decoder *const dec, const taps *const t) {
    const mb_ctx *const m = &dec->slice.mb;
    const size_t w4 = (size_t)dec->PicWidthInMbs * 4;
    int8_t *to = t->intra_luma + (size_t)m->mb_y * 4 * w4 + (size_t)m->mb_x * 4;
    const bool has_modes = m->mb->is_intra && m->mb->type != H264_I_PCM;
    for (size_t y = 0; y < 4; y++, to += w4) {
        if (!has_modes)
            memset(to, -1, 4);
        else if (m->mb->type == H264_I_16X16)
            memset(to, m->Intra16x16PredMode, 4);
        else
            memcpy(to, &m->mb->Intra4x4PredMode[y * 4], 4);
    }
    t->intra_chroma[m->addr] =
        has_modes && dec->mb_width_c && dec->mb_width_c + dec->mb_height_c < 32
            ? (int8_t)m->mb->intra_chroma_pred_mode
            : -1;
}

static void tap_maps(const h264_decoder *const dec) {
    const slice_ctx *const s = &dec->slice;
    const mb_ctx *const m = &s->mb;
    const taps *const t = dec->cur->taps;
    const bool pcm = m->mb->type == H264_I_PCM;
    const uint8_t tu = tu_type(m);
    for (int y = 0; y < 4; y++)
        memset(t->tu + (size_t)(m->mb_y * 4 + y) * (size_t)dec->PicWidthInMbs * 4 + m->mb_x * 4, tu,
               4);
    t->mb_type[m->addr] = m->mb->type;
    t->cbp[m->addr] = pcm ? 0 : m->mb->cbp;
    t->field[m->addr] = m->mb->field;
    t->slice[m->addr] = (uint16_t)imin(s->slice_num, UINT16_MAX);
    t->qp[0][m->addr] = pcm ? 0 : m->mb->QPY;
    t->qp[1][m->addr] = pcm ? 0 : m->mb->QPC[0];
    t->qp[2][m->addr] = pcm ? 0 : m->mb->QPC[1];
    if (t->mv)
        tap_motion(dec, t);
    if (t->intra_luma)
        tap_modes(dec, t);
}

// ---------------------------------------------------------------------------------------------------
// residual

// Residual of a block (packed n x n) into tap and picture; r is zero afterwards
static void add_residual(const h264_decoder *const dec, const int plane, const int x, const int y,
                         const int n, int32_t *const r) {
    const taps *const t = dec->cur->taps;
    if (t && t->residual[plane])
        tap_residual(dec, plane, x, y, n, r);
    const int depth = plane ? dec->slice.sps->BitDepthC : dec->slice.sps->BitDepthY;
    dec->k->add_residual(sample_at(dec, plane, x, y), dec->slice.mb.stride[plane], r, n, depth);
    memset(r, 0, (size_t)(n * n) * sizeof *r);
}

// Scaled coefficients -> residual -> picture and tap (8.5.12.2, 8.5.13)
static void transform_block(const h264_decoder *const dec, const int plane, const int x,
                            const int y, const int n, const bool only_dc, int32_t *const d) {
    const taps *const t = dec->cur->taps;
    const kernels *const k = dec->k;
    const int depth = plane ? dec->slice.sps->BitDepthC : dec->slice.sps->BitDepthY;
    const size_t sample = k->sample_size == 1 ? sizeof(int16_t) : sizeof(int32_t);
    uint8_t *residual = t ? t->residual[plane] : NULL;
    if (residual)
        residual += tap_offset(dec, plane, x, y, true) * sample;
    const ptrdiff_t stride = residual ? (ptrdiff_t)(tap_step(dec, plane) * sample) : 0;
    add_transformed *const f = n == 4 ? (only_dc ? k->idct4x4_dc_add : k->idct4x4_add)
                                      : (only_dc ? k->idct8x8_dc_add : k->idct8x8_add);
    f(sample_at(dec, plane, x, y), dec->slice.mb.stride[plane], d, depth, residual, stride);
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

static void tap_block_levels(const h264_decoder *const dec, const int plane, const int x,
                             const int y, const int n, const block_levels b,
                             const uint8_t *const scan, const int first) {
    const taps *const t = dec->cur->taps;
    if (!t || !t->level[plane])
        return;
    const mb_ctx *const m = &dec->slice.mb;
    const int shift = n == 4 ? 2 : 3;
    for (int i = b.first; i < b.first + b.count; i++) {
        const int at = scan[m->scan_pos[i] + first];
        tap_level(dec, plane, x + (at & (n - 1)), y + (at >> shift), m->level[i]);
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

static int scaling_list(const mb_ctx *const m, const int plane) {
    return m->mb->is_intra
               ? plane
               : 3 + plane; // Table 7-2, 4x4 lists; 8x8 lists go Y intra, Y inter, Cb intra ...
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
    tap_block_levels(dec, plane, x, y, n, b, scan, 0);
    if (m->TransformBypassModeFlag) {
        bypass_levels(m, b, scan, 0, n, m->coef, n);
        accumulate(m->coef, n, n, direction);
        add_residual(dec, plane, x, y, n, m->coef);
        return;
    }
    const int qP = quantiser(m, plane);
    const level_scale *const ls = dec->slice.scale;
    if (n == 4)
        scale_levels(m, b, scan, 0, ls->s4x4[scaling_list(m, plane)][qP % 6], qP, 4, m->coef);
    else
        scale_levels(m, b, scan, 0, ls->s8x8[2 * plane + !m->mb->is_intra][qP % 6], qP, 6, m->coef);
    transform_block(dec, plane, x, y, n, b.count == 1 && m->scan_pos[b.first] == 0, m->coef);
}

static void residual_luma(h264_decoder *const dec, const int plane) {
    const mb_ctx *const m = &dec->slice.mb;
    const int n = m->transform_size_8x8_flag ? 8 : 4;
    if (!m->coded[plane])
        return;
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
    const int32_t *const scale = dec->slice.scale->s4x4[scaling_list(m, plane)][qP % 6];
    int32_t dc[16] = {0};
    if (!m->coded[plane])
        return;
    if (m->coded[plane] >> BLOCK_DC & 1) {
        const block_levels b = m->blocks[plane][BLOCK_DC];
        for (int i = b.first; i < b.first + b.count; i++) {
            const int at = h264_scan_4x4[field][m->scan_pos[i]];
            dc[at] = limit(m->level[i]);
            tap_level(dec, plane, at % 4 * 4, at / 4 * 4, m->level[i]);
        }
    }
    for (int i = 0; i < 16; i++)
        if (m->coded[plane] >> i & 1)
            tap_block_levels(dec, plane, h264_block_x[i] * 4, h264_block_y[i] * 4, 4,
                             m->blocks[plane][i], h264_scan_4x4[field], 1);
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
    const int list = scaling_list(m, plane);
    int32_t dc[8] = {0};
    if (!m->coded[plane])
        return;
    if (m->coded[plane] >> BLOCK_DC & 1) {
        const block_levels b = m->blocks[plane][BLOCK_DC];
        for (int i = b.first; i < b.first + b.count; i++) {
            const int at = chroma_dc_place[is_422][m->scan_pos[i]];
            dc[at] = limit(m->level[i]);
            tap_level(dec, plane, at % 2 * 4, at / 2 * 4, m->level[i]);
        }
    }
    for (int i = 0; i < n_blocks; i++)
        if (m->coded[plane] >> i & 1)
            tap_block_levels(dec, plane, i % 2 * 4, i / 2 * 4, 4, m->blocks[plane][i],
                             h264_scan_4x4[field], 1);
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

// --------------------------------------------------------------------------------------------
// intra prediction

// 8.3.1.2 ...: neighbouring macroblocks whose samples intra prediction may use, AVAIL_* of the
// macroblock's corners
static unsigned intra_available(const slice_ctx *const s) {
    const mb_ctx *const m = &s->mb;
    const bool constrained = s->pps->constrained_intra_pred_flag;
    const mb_info *const n[4] = {m->A, m->B, m->C, m->D};
    static const unsigned bit[4] = {AVAIL_LEFT, AVAIL_TOP, AVAIL_TOPRIGHT, AVAIL_TOPLEFT};
    unsigned avail = 0;
    for (int i = 0; i < 4; i++)
        if (n[i]->slice_num >= 0 && (n[i]->is_intra || !constrained))
            avail |= bit[i];
    return avail;
}

/* The same for a block at (x, y) of `size` 4x4 blocks within the macroblock. Inside the macroblock
 * the block above right is there unless it comes later in decoding order (6.4.11.4): odd columns of
 * odd rows, and the right edge. */
static unsigned block_available(const unsigned mb_avail, const int x, const int y, const int size) {
    unsigned avail = 0;
    if (x > 0 || mb_avail & AVAIL_LEFT)
        avail |= AVAIL_LEFT;
    if (y > 0 || mb_avail & AVAIL_TOP)
        avail |= AVAIL_TOP;
    const unsigned corner = x > 0   ? (y > 0 ? AVAIL_TOPLEFT : mb_avail & AVAIL_TOP)
                            : y > 0 ? mb_avail & AVAIL_LEFT
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
        uint8_t *const dst = sample_at(dec, plane, x * 4, y * 4);
        (n == 8 ? dec->k->intra8x8 : dec->k->intra4x4)(dst, stride, dst - dec->k->sample_size,
                                                       stride, mode, avail, depth);
        tap_prediction(dec, plane, (area){x * 4, y * 4, n, n});
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
    tap_prediction(dec, plane, (area){0, 0, 16, 16});
    residual_i16x16(dec, plane);
}

static void recon_intra(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    const unsigned avail = intra_available(&dec->slice);
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
        tap_prediction(dec, plane, (area){0, 0, dec->mb_width_c, dec->mb_height_c});
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
            tap_prediction(dec, plane, (area){0, 0, w, h});
    }
}

// --------------------------------------------------------------------------------------------
// inter prediction

// 8.4.2.3: weights for the references in b; explicit ones whose flags are off equal the plain
// prediction
static void set_weights(const h264_decoder *const dec, inter_block *const b, const int refIdxL0,
                        const int refIdxL1) {
    const slice_ctx *const s = &dec->slice;
    const slice_header *const h = &s->hdr;
    const bool is_B = h->slice_type == SLICE_B;
    const int ref[2] = {refIdxL0, refIdxL1};
    b->weighted = false;
    if (is_B && s->pps->weighted_bipred_idc == 2) {
        if (refIdxL0 < 0 || refIdxL1 < 0 || s->implicit.w1[refIdxL0][refIdxL1] == 32)
            return;
        const int w1 = s->implicit.w1[refIdxL0][refIdxL1];
        b->weighted = true;
        for (int plane = 0; plane < 3; plane++) {
            b->log2_denom[plane] = 5;
            b->weight[0][plane] = 64 - w1;
            b->weight[1][plane] = w1;
            b->offset[0][plane] = b->offset[1][plane] = 0;
        }
        return;
    }
    if (is_B ? s->pps->weighted_bipred_idc != 1 : !s->pps->weighted_pred_flag)
        return;
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
static void note_missing_reference(h264_decoder *const dec) {
    mb_info *const mb = dec->slice.mb.mb;
    if (mb->conceal)
        return;
    mb->conceal = true;
    dec->cur->concealed_mbs++;
    dec->warnings[H264_WARN_MISSING_REFERENCE]++;
}

// w x h luma samples at (x, y) of the macroblock; all their motion is that of the 4x4 block there
static void predict_part(h264_decoder *const dec, const int x, const int y, const int w,
                         const int h) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    const int block = y / 4 * 4 + x / 4, quarter = h264_quarter_of_block[block];
    const int mb_row = m->mb->field ? m->mb_y >> 1 : m->mb_y;
    inter_block b = {.x = m->mb_x * 16 + x, .y = mb_row * 16 + y, .w = w, .h = h};
    for (int list = 0; list < 2; list++) {
        const int ref_idx = m->motion->ref_idx[list][quarter];
        b.ref[list] = ref_idx >= 0 ? &s->RefPicList[list][ref_idx] : NULL;
        memcpy(b.mv[list], m->motion->mv[list][block], sizeof b.mv[list]);
        if (ref_idx >= 0 && H264_UNLIKELY(b.ref[list]->missing))
            note_missing_reference(dec);
    }
    set_weights(dec, &b, m->motion->ref_idx[0][quarter], m->motion->ref_idx[1][quarter]);
    uint8_t *dst[3] = {sample_at(dec, 0, x, y), NULL, NULL};
    for (int plane = 1; plane < 3 && dec->mb_width_c; plane++)
        dst[plane] = sample_at(dec, plane, x * dec->mb_width_c / 16, y * dec->mb_height_c / 16);
    h264_inter_predict(dec, &b, dst, m->stride);
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

static void predict_quarters(h264_decoder *const dec) {
    const mb_motion *const motion = dec->slice.mb.motion;
    if (same_references(motion) && moves_alike(motion, 0, 4, 4)) {
        predict_part(dec, 0, 0, 16, 16);
        return;
    }
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

static void recon_inter(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    switch (m->mb->type) {
    case H264_P_SKIP:
    case H264_P_16X16:
    case H264_B_16X16: predict_part(dec, 0, 0, 16, 16); break;
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
    const int type = dec->slice.sps->ChromaArrayType;
    for (int plane = 0; plane < 3; plane++)
        if (!plane || dec->mb_width_c)
            tap_prediction(
                dec, plane,
                (area){0, 0, plane ? dec->mb_width_c : 16, plane ? dec->mb_height_c : 16});
    residual_luma(dec, 0);
    for (int plane = 1; plane < 3; plane++) {
        if (type == 3)
            residual_luma(dec, plane);
        else if (type)
            residual_chroma(dec, plane);
    }
}

void h264_recon_mb(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    dec->cur->mb_field[m->addr] = m->mb->field;
    if (dec->cur->taps) {
        clear_taps(dec);
        tap_maps(dec);
    }
    if (m->mb->type == H264_I_PCM)
        recon_pcm(dec);
    else if (m->mb->is_intra)
        recon_intra(dec);
    else
        recon_inter(dec);
}

// ------------------------------------------------------------------------------------------------
// concealment

// The picture decoded last before the current one, if any
static const picture *latest_picture(const h264_decoder *const dec) {
    const picture *latest = NULL;
    for (int i = 0; i < dec->dpb.n_frames; i++) {
        const picture *const p = dec->dpb.frames[i];
        if (p != dec->cur && !p->non_existing && p->plane[0] && (!latest || p->uid > latest->uid))
            latest = p;
    }
    return latest;
}

static void conceal_samples(const h264_decoder *const dec, const picture *const from) {
    const mb_ctx *const m = &dec->slice.mb;
    for (int plane = 0; plane < 3; plane++) {
        const int w = plane ? dec->mb_width_c : 16, h = plane ? dec->mb_height_c : 16;
        const size_t bytes = (size_t)(w * dec->k->sample_size);
        const int depth = plane ? dec->active_sps.BitDepthC : dec->active_sps.BitDepthY;
        for (int y = 0; y < h && w; y++) {
            uint8_t *const to = m->dst[plane] + y * m->stride[plane];
            if (from)
                memcpy(to, from->plane[plane] + (to - dec->cur->plane[plane]), bytes);
            else if (dec->k->sample_size == 1)
                memset(to, 1 << (depth - 1), bytes);
            else
                for (int x = 0; x < w; x++)
                    memcpy(to + 2 * x, &(uint16_t){(uint16_t)(1 << (depth - 1))}, 2);
        }
        if (w)
            tap_prediction(dec, plane, (area){0, 0, w, h});
    }
}

/* No clause: what never arrived is copied from the picture before (mid-grey if there is none),
 * recorded as P_Skip of that sample values, and left alone by the deblocking filter. */
static void conceal_mb(h264_decoder *const dec, const picture *const from) {
    mb_ctx *const m = &dec->slice.mb;
    const bool field = dec->slice.hdr.field_pic_flag;
    *m->mb = (mb_info){
        .slice_num = INT32_MAX, .type = H264_P_SKIP, .field = field, .skip = true, .conceal = true};
    m->mb->disable_deblocking_filter_idc = 1;
    memset(m->mb->Intra4x4PredMode, 2, sizeof m->mb->Intra4x4PredMode);
    h264_motion_clear(m->motion, 0);
    h264_motion_clear(m->motion, 1);
    dec->cur->mb_field[m->addr] = field;
    m->transform_size_8x8_flag = m->TransformBypassModeFlag = false;
    m->coded[0] = m->coded[1] = m->coded[2] = 0;
    if (dec->cur->taps) {
        clear_taps(dec);
        tap_maps(dec);
    }
    conceal_samples(dec, from);
    dec->cur->concealed_mbs++;
    dec->warnings[H264_WARN_CONCEALED_MB]++;
}

void h264_conceal_picture(h264_decoder *const dec) {
    const slice_header *const h = &dec->slice.hdr;
    mb_ctx *const m = &dec->slice.mb;
    const picture *const from = latest_picture(dec);
    const int step = h->field_pic_flag ? 2 : 1;
    for (m->mb_y = h->bottom_field_flag; m->mb_y < dec->FrameHeightInMbs; m->mb_y += step) {
        for (m->mb_x = 0; m->mb_x < dec->PicWidthInMbs; m->mb_x++) {
            if (dec->mb[m->mb_x + m->mb_y * dec->PicWidthInMbs].slice_num >= 0)
                continue;
            h264_neighbours(dec, m);
            conceal_mb(dec, from);
        }
    }
}
