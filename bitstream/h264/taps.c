/* What is recorded of a macroblock beside its samples: prediction, residual, levels, maps. The only
 * file that writes the taps (the inverse transforms fill the residual where it tells them to).
 * Samples and levels of large pictures go by way of tap_rows.c. Prediction is recorded after each
 * predict step and residual after each inverse transform, whatever the block size, because Intra
 * NxN blocks predict from their reconstructed neighbours. */
#include <string.h>

#include "internal.h"

// Row `y` of the macroblock in a tap plane. Sample planes are in display rows, level planes in
// macroblock order.
static size_t tap_offset(const h264_decoder *const dec, const int plane, const int x, const int y,
                         const bool display) {
    const mb_ctx *const m = &dec->slice.mb;
    const int mbw = plane ? dec->mb_width_c : 16, mbh = plane ? dec->mb_height_c : 16;
    int row = dec->tap_rows.used ? y : m->mb_y * mbh + y;
    if (display && m->mb->field)
        row = (m->mb_y >> 1) * 2 * mbh + (m->mb_y & 1) + 2 * y;
    return (size_t)row * (size_t)dec->width[plane] + (size_t)(m->mb_x * mbw + x);
}

// Where samples and levels are recorded
static const taps *samples_of(const h264_decoder *const dec) {
    return dec->tap_rows.used ? &dec->tap_rows.row : dec->cur->taps;
}

static size_t tap_step(const h264_decoder *const dec, const int plane) {
    return (size_t)dec->width[plane] << dec->slice.mb.mb->field;
}

// Rows of one macroblock; lengths that occur in 8-bit 4:2:0 are constants to the compiler
CORE_INLINE void copy_n(uint8_t *to, const size_t step, const uint8_t *from,
                        const ptrdiff_t from_step, const int rows, const size_t bytes) {
    for (int y = 0; y < rows; y++, to += step, from += from_step)
        memcpy(to, from, bytes);
}

void h264_copy_rows(uint8_t *const to, const size_t step, const uint8_t *const from,
                    const ptrdiff_t from_step, const int rows, const size_t bytes) {
    switch (bytes) {
    case 16: copy_n(to, step, from, from_step, rows, 16); break;
    case 8: copy_n(to, step, from, from_step, rows, 8); break;
    case 4: copy_n(to, step, from, from_step, rows, 4); break;
    default: copy_n(to, step, from, from_step, rows, bytes);
    }
}

CORE_INLINE void clear_n(uint8_t *to, const size_t step, const int rows, const size_t bytes) {
    for (int y = 0; y < rows; y++, to += step)
        memset(to, 0, bytes);
}

static void clear_rows(uint8_t *const to, const size_t step, const int rows, const size_t bytes) {
    switch (bytes) {
    case 32: clear_n(to, step, rows, 32); break;
    case 16: clear_n(to, step, rows, 16); break;
    default: clear_n(to, step, rows, bytes);
    }
}

void h264_tap_prediction(const h264_decoder *const dec, const int plane, const area a) {
    const taps *const t = samples_of(dec);
    if (!t || !t->prediction[plane])
        return;
    const size_t size = (size_t)dec->k->sample_size;
    h264_copy_rows((uint8_t *)t->prediction[plane] + tap_offset(dec, plane, a.x, a.y, true) * size,
                   tap_step(dec, plane) * size, h264_sample_at(dec, plane, a.x, a.y),
                   dec->slice.mb.stride[plane], a.h, (size_t)a.w * size);
}

void *h264_tap_residual(const h264_decoder *const dec, const int plane, const int x, const int y,
                        ptrdiff_t *const stride) {
    const taps *const t = samples_of(dec);
    const size_t size = dec->k->sample_size == 1 ? sizeof(int16_t) : sizeof(int32_t);
    if (!t || !t->residual[plane])
        return NULL;
    *stride = (ptrdiff_t)(tap_step(dec, plane) * size);
    return (uint8_t *)t->residual[plane] + tap_offset(dec, plane, x, y, true) * size;
}

/* Note [Touched parts]. Residual and levels of a macroblock lie far from each other in memory, row
 * by row, and most of them are zero. What is not is remembered by parts: a quarter of luma each,
 * Cb, and Cr. No more is cleared than an earlier picture wrote, and no more asked for than will be
 * touched. */
// In which parts the macroblock has residual or levels
static unsigned parts_with_levels(const mb_ctx *const m) {
    if (m->switching_transform) // all blocks are decoded, with levels or not
        return ALL_PARTS;
    // lossless prediction sums across all of the macroblock
    const bool all = m->coded[0] >> BLOCK_DC & 1 || (m->coded[0] && m->TransformBypassModeFlag);
    unsigned parts = all ? LUMA_PARTS : 0;
    for (int quarter = 0; quarter < 4; quarter++)
        parts |= (m->coded[0] >> 4 * quarter & 15) != 0 ? 1u << quarter : 0;
    return parts | (m->coded[1] != 0 ? CHROMA_PART : 0) | (m->coded[2] != 0 ? CHROMA_PART << 1 : 0);
}

// Rows of a plane in a tap of `size` bytes a sample: a quarter of luma, or all of chroma
CORE_INLINE void clear_part(const h264_decoder *const dec, uint8_t *const tap, const int plane,
                            const area a, const size_t size, const bool display) {
    const size_t step = display ? tap_step(dec, plane) : (size_t)dec->width[plane];
    if (tap)
        clear_rows(tap + tap_offset(dec, plane, a.x, a.y, display) * size, step * size, a.h,
                   (size_t)a.w * size);
}

/* Residual and levels of the macroblock start at zero. Buffers come zeroed and are used again, by
 * decoders one after the other too, so only what an earlier picture wrote needs clearing. (Field
 * macroblocks of an earlier picture lie in other rows: no such thrift there.) */
static void clear_taps(const h264_decoder *const dec) {
    const taps *const t = dec->cur->taps;
    const mb_ctx *const m = &dec->slice.mb;
    const size_t size = dec->k->sample_size == 1 ? sizeof(int16_t) : sizeof(int32_t);
    if (!t->residual[0] && !t->level[0])
        return;
    const unsigned dirty =
        dec->active_sps.frame_mbs_only_flag ? ALL_PARTS & ~t->zero[m->addr] : ALL_PARTS;
    const unsigned parts = parts_with_levels(m);
    t->zero[m->addr] = (uint8_t)(ALL_PARTS & ~parts);
    if (dec->tap_rows.used) {
        dec->tap_rows.parts[m->mb_x] |= (uint8_t)(dirty | parts);
        return;
    }
    for (int quarter = 0; quarter < 4; quarter++) {
        const area a = {quarter % 2 * 8, quarter / 2 * 8, 8, 8};
        if (!(dirty >> quarter & 1))
            continue;
        clear_part(dec, t->residual[0], 0, a, size, true);
        clear_part(dec, t->level[0], 0, a, size, false);
    }
    for (int plane = 1; plane < 3; plane++) {
        const area a = {0, 0, dec->mb_width_c, dec->mb_height_c};
        if (!(dirty & (unsigned)CHROMA_PART << (plane - 1)))
            continue;
        clear_part(dec, t->residual[plane], plane, a, size, true);
        clear_part(dec, t->level[plane], plane, a, size, false);
    }
}

/* Tap buffers have left the caches since they were last written. Rows of residual and levels of a
 * macroblock are asked for before they are parsed, which takes about as long as they need to come;
 * those of what every macroblock has as in Note [Asking ahead] in inter.c. */
void h264_prefetch_taps(const h264_decoder *const dec) {
    const taps *const t = dec->cur->taps;
    const mb_ctx *const m = &dec->slice.mb;
    if (!t || (!t->residual[0] && !t->level[0]) || dec->tap_rows.used)
        return;
    const size_t size = (size_t)dec->k->sample_size;
    const bool with_chroma = m->mb->cbp >> 4 || dec->slice.sps->ChromaArrayType == 3;
    const unsigned expected = (m->mb->type == H264_I_16X16 ? LUMA_PARTS : m->mb->cbp & 15) |
                              (with_chroma ? CHROMA_PART * 3 : 0) | (ALL_PARTS & ~t->zero[m->addr]);
    for (int plane = 0; plane < 3; plane++) {
        const int rows = plane ? dec->mb_height_c : 16;
        const unsigned upper = plane ? (unsigned)CHROMA_PART << (plane - 1) : LUMA_UPPER;
        const unsigned lower = plane ? upper : LUMA_LOWER;
        const int first = expected & upper ? 0 : rows / 2, end = expected & lower ? rows : rows / 2;
        const size_t step = tap_step(dec, plane), at = tap_offset(dec, plane, 0, 0, true);
        const uint8_t *const level = t->level[plane], *const residual = t->residual[plane];
        for (size_t y = (size_t)first; y < (size_t)end; y++) {
            if (residual)
                CORE_PREFETCH_WRITE(residual + (at + y * step) * 2 * size);
            if (level)
                CORE_PREFETCH_WRITE(level + (at + y * step) * 2 * size);
        }
    }
}

void h264_prefetch_taps_ahead(const h264_decoder *const dec) {
    const taps *const t = dec->cur->taps;
    const mb_ctx *const m = &dec->slice.mb;
    const size_t size = (size_t)dec->k->sample_size;
    for (int plane = 0; plane < (dec->mb_width_c ? 3 : 1) && !dec->tap_rows.used; plane++) {
        const int rows = plane ? 1 : 4, first = plane ? m->mb_x & 7 : 4 * (m->mb_x & 3);
        const size_t at = tap_offset(dec, plane, 0, first, true), step = tap_step(dec, plane);
        const uint8_t *const row = (const uint8_t *)t->prediction[plane] + at * size;
        for (size_t y = 0; y < (size_t)rows && t->prediction[plane]; y++)
            CORE_PREFETCH_WRITE(row + y * step * size + H264_CACHE_LINE);
    }
    const size_t w4 = (size_t)dec->PicWidthInMbs * 4, h4 = (size_t)dec->FrameHeightInMbs * 4;
    const size_t mv_row = ((size_t)m->mb_y * 4 + (m->mb_x & 3)) * w4 + (size_t)m->mb_x * 4;
    for (size_t list = 0; list < 2 && t->mv; list++)
        CORE_PREFETCH_WRITE((const uint8_t *)(t->mv + 2 * (list * h4 * w4 + mv_row)) +
                            H264_CACHE_LINE);
}

static uint8_t tu_type(const mb_ctx *const m) {
    const uint8_t bypass = m->TransformBypassModeFlag ? H264_TU_BYPASS : 0;
    if (m->mb->type == H264_I_PCM)
        return H264_TU_PCM;
    if (m->mb->type == H264_I_16X16)
        return H264_TU_I16X16 | bypass;
    const uint8_t with_levels = (m->transform_size_8x8_flag ? H264_TU_8X8 : H264_TU_4X4) | bypass;
    return m->mb->cbp & 15 ? with_levels : H264_TU_NONE;
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

static void tap_level(const h264_decoder *const dec, void *const tap, const size_t at,
                      const int32_t level) {
    if (CORE_LIKELY(dec->k->sample_size == 1))
        ((int16_t *)tap)[at] = (int16_t)iclip(level, INT16_MIN, INT16_MAX);
    else
        ((int32_t *)tap)[at] = level;
}

// Levels of an n x n block at x, y; first: 1 where they are those behind the DC place
static void tap_block(const h264_decoder *const dec, const int plane, const int block, const int x,
                      const int y, const int n, const int first) {
    const mb_ctx *const m = &dec->slice.mb;
    const uint8_t *const scan = n == 4 ? h264_scan_4x4[m->mb->field] : h264_scan_8x8[m->mb->field];
    const block_levels b = m->blocks[plane][block];
    const size_t corner = tap_offset(dec, plane, x, y, false), step = (size_t)dec->width[plane];
    void *const tap = samples_of(dec)->level[plane];
    const int shift = n == 4 ? 2 : 3;
    for (int i = b.first; i < b.first + b.count; i++) {
        const unsigned at = scan[m->scan_pos[i] + first];
        tap_level(dec, tap, corner + (at >> shift) * step + (at & ((unsigned)n - 1)), m->level[i]);
    }
}

// DC levels go to the DC places of the blocks of the same raster position.
static void tap_dc(const h264_decoder *const dec, const int plane, const uint8_t *const place,
                   const int columns) {
    const mb_ctx *const m = &dec->slice.mb;
    const block_levels b = m->blocks[plane][BLOCK_DC];
    void *const tap = samples_of(dec)->level[plane];
    for (int i = b.first; i < b.first + b.count; i++) {
        const int at = place[m->scan_pos[i]];
        tap_level(dec, tap, tap_offset(dec, plane, at % columns * 4, at / columns * 4, false),
                  m->level[i]);
    }
}

// A plane that is coded as luma is
static void tap_luma_levels(const h264_decoder *const dec, const int plane) {
    const mb_ctx *const m = &dec->slice.mb;
    const int n = m->transform_size_8x8_flag ? 8 : 4, first = m->mb->type == H264_I_16X16;
    if (m->coded[plane] >> BLOCK_DC & 1)
        tap_dc(dec, plane, h264_scan_4x4[m->mb->field], 4);
    for (int i = 0; i < 16; i += n == 8 ? 4 : 1)
        if (m->coded[plane] >> i & 1)
            tap_block(dec, plane, i, h264_block_x[i] * 4, h264_block_y[i] * 4, n, first);
}

static void tap_chroma_levels(const h264_decoder *const dec, const int plane) {
    const mb_ctx *const m = &dec->slice.mb;
    if (m->coded[plane] >> BLOCK_DC & 1)
        tap_dc(dec, plane, h264_chroma_dc_place[dec->mb_height_c == 16], 2);
    for (int i = 0; i < dec->mb_height_c / 2; i++)
        if (m->coded[plane] >> i & 1)
            tap_block(dec, plane, i, i % 2 * 4, i / 2 * 4, 4, 1);
}

static void tap_levels(const h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    if (!dec->cur->taps->level[0] || !(m->coded[0] | m->coded[1] | m->coded[2]))
        return;
    for (int plane = 0; plane < 3; plane++) {
        if (!m->coded[plane] || !dec->cur->taps->level[plane])
            continue;
        if (plane == 0 || dec->mb_width_c == 16)
            tap_luma_levels(dec, plane);
        else
            tap_chroma_levels(dec, plane);
    }
}

static void tap_maps(const h264_decoder *const dec) {
    const slice_ctx *const s = &dec->slice;
    const mb_ctx *const m = &s->mb;
    const taps *const t = dec->cur->taps;
    const mb_info *const mb = m->mb;
    const bool pcm = mb->type == H264_I_PCM;
    const size_t w4 = (size_t)dec->PicWidthInMbs * 4, addr = (size_t)m->addr;
    // all is read before anything is written: to the compiler bytes may lie anywhere
    uint8_t *const to = t->tu + (size_t)m->mb_y * 4 * w4 + (size_t)m->mb_x * 4;
    uint8_t *const mb_type = t->mb_type + addr, *const cbp = t->cbp + addr;
    uint8_t *const field = t->field + addr, *const concealed = t->luma->concealed + addr;
    int8_t *const qp[3] = {t->qp[0] + addr, t->qp[1] + addr, t->qp[2] + addr};
    const int8_t qp_of[3] = {pcm ? 0 : mb->QPY, pcm ? 0 : mb->QPC[0], pcm ? 0 : mb->QPC[1]};
    const uint8_t type = mb->type, pattern = pcm ? 0 : mb->cbp, is_field = mb->field;
    const uint32_t tus = UINT32_C(0x01010101) * tu_type(m);
    const uint8_t invented = *concealed | mb->conceal;
    t->slice[addr] = (uint16_t)imin(s->slice_num, UINT16_MAX);
    for (size_t y = 0; y < 4; y++)
        memcpy(to + y * w4, &tus, 4);
    *mb_type = type;
    *cbp = pattern;
    *field = is_field;
    *concealed = invented;
    for (int plane = 0; plane < 3; plane++)
        *qp[plane] = qp_of[plane];
    if (t->mv)
        tap_motion(dec, t);
    if (t->intra_luma)
        tap_modes(dec, t);
}

// Costs are known when the macroblock has been parsed to its end; those of a concealed one are
// none.
static void clear_costs(const h264_decoder *const dec) {
    const taps *const t = dec->cur->taps;
    const int addr = dec->slice.mb.addr;
    t->bits[addr] = 0;
    for (int part = 0; part < N_COSTS && t->part[0]; part++)
        t->part[part][addr] = 0;
}

void h264_tap_macroblock(const h264_decoder *const dec) {
    if (!dec->cur->taps)
        return;
    if (dec->tap_rows.used)
        dec->tap_rows.parts[dec->slice.mb.mb_x] =
            h264_is_prediction(&dec->slice.mb) ? IN_PICTURE : 0;
    clear_taps(dec);
    tap_maps(dec);
    tap_levels(dec);
    clear_costs(dec);
}
