/* The only writer of what is recorded beside the maps. Samples and levels of large pictures go by
 * way of tap_group.c. */
#include "internal.h"

void hevc_tap_planes(hevc_decoder *const dec) {
    const taps *const t = dec->cur->taps;
    tap_target *const to = &dec->tap;
    for (int p = 0; p < 3; p++) {
        to->prediction[p] = t->prediction[p];
        to->residual[p] = t->residual[p];
        to->level[p] = t->level[p];
        to->width[p] = (size_t)dec->width[p];
        to->x_mask[p] = to->y_mask[p] = INT_MAX;
    }
}

// Where a sample of a plane is recorded
static size_t place(const tap_target *const t, const int cIdx, const int x, const int y) {
    return (size_t)(y & t->y_mask[cIdx]) * t->width[cIdx] + (size_t)(x & t->x_mask[cIdx]);
}

void hevc_tap_prediction(const hevc_decoder *const dec, const int cIdx, const int x, const int y,
                         const int w, const int h) {
    const tap_target *const t = &dec->tap;
    const size_t size = (size_t)dec->k->sample_size;
    if (t->prediction[cIdx] == NULL)
        return;
    dec->k->copy(t->prediction[cIdx] + place(t, cIdx, x, y) * size,
                 (ptrdiff_t)(t->width[cIdx] * size), hevc_sample(dec, dec->cur, cIdx, x, y),
                 dec->cur->stride[cIdx], w, h);
}

int hevc_log2_band(const hevc_decoder *const dec, const int cIdx) {
    const sps *const s = &dec->active_sps;
    return imax(s->CtbLog2SizeY - (cIdx == 0 ? 0 : s->sub_y) - LOG2_BANDS, 0);
}

// w x h differences, n a row, into a plane cIdx that holds int16_t or int32_t
static void put(const hevc_decoder *const dec, uint8_t *const plane, uint8_t *const zero,
                const int cIdx, const int x, const int y, const int w, const int h, const int n,
                const int32_t *const from) {
    const size_t at = place(&dec->tap, cIdx, x, y), width = dec->tap.width[cIdx];
    if (plane == NULL || h == 0)
        return;
    const int log2 = hevc_log2_band(dec, cIdx), mask = (1 << LOG2_BANDS) - 1;
    const int first = y >> log2 & mask, last = (y + h - 1) >> log2 & mask;
    zero[cIdx] &= (uint8_t)~((2 << last) - (1 << first));
    for (int r = 0; r < h; r++) {
        if (dec->k->sample_size == 2) {
            memcpy((int32_t *)(void *)plane + at + (size_t)r * width, from + r * n,
                   (size_t)w * sizeof *from);
            continue;
        }
        int16_t *const to = (int16_t *)(void *)plane + at + (size_t)r * width;
        for (int i = 0; i < w; i++)
            to[i] = (int16_t)iclip(from[r * n + i], INT16_MIN, INT16_MAX);
    }
}

static void clear(const hevc_decoder *const dec, uint8_t *const plane, uint8_t *const zero,
                  const int p, const int ctb) {
    const sps *const s = &dec->active_sps;
    const size_t difference = 2 * (size_t)dec->k->sample_size, width = (size_t)dec->width[p];
    const int w = (1 << s->CtbLog2SizeY) >> (p == 0 ? 0 : s->sub_x);
    const int h = (1 << s->CtbLog2SizeY) >> (p == 0 ? 0 : s->sub_y);
    const int x = ctb % s->PicWidthInCtbs * w, y = ctb / s->PicWidthInCtbs * h;
    if (plane == NULL || zero[p] == ALL_BANDS)
        return;
    const int log2 = hevc_log2_band(dec, p);
    const size_t row = (size_t)imin(w, dec->width[p] - x) * difference;
    for (int r = 0; r < imin(h, dec->height[p] - y); r++)
        if (!(zero[p] >> (r >> log2) & 1))
            memset(plane + ((size_t)(y + r) * width + (size_t)x) * difference, 0, row);
    zero[p] = ALL_BANDS;
}

// Where a unit is recorded, and nothing of a picture before is left there
static void begin_unit(hevc_decoder *const dec, const int ctb) {
    const taps *const t = dec->cur->taps;
    tap_target *const to = &dec->tap;
    if (dec->group.used) {
        hevc_tap_group_unit(dec, ctb);
        return;
    }
    to->zero_residual = t->zero_residual + 3 * ctb;
    to->zero_level = t->zero_level + 3 * ctb;
    for (int p = 0; p < 3; p++) {
        clear(dec, to->residual[p], to->zero_residual, p, ctb);
        clear(dec, to->level[p], to->zero_level, p, ctb);
    }
}

static void clear_costs(const hevc_decoder *const dec, uint32_t *const map, const int x,
                        const int y, const int w, const int h) {
    for (int r = y >> 3; map != NULL && r < (y + h) >> 3; r++)
        memset(map + r * (dec->map_stride >> 1) + (x >> 3), 0, (size_t)(w >> 3) * sizeof *map);
}

void hevc_tap_unit(hevc_decoder *const dec, const int ctb) {
    const sps *const s = &dec->active_sps;
    const taps *const t = dec->cur->taps;
    const int x = ctb % s->PicWidthInCtbs << s->CtbLog2SizeY;
    const int y = ctb / s->PicWidthInCtbs << s->CtbLog2SizeY;
    const int w = imin(1 << s->CtbLog2SizeY, s->width - x);
    const int h = imin(1 << s->CtbLog2SizeY, s->height - y);
    begin_unit(dec, ctb);
    hevc_map_fill(dec, dec->edges, x, y, w, h, 0);
    hevc_map_fill(dec, t->tu_size, x, y, w, h, 0);
    hevc_map_fill(dec, t->merge, x, y, w, h, 0);
    hevc_map_fill(dec, t->intra_luma, x, y, w, h, NO_MODE);
    hevc_map_fill(dec, t->intra_chroma, x, y, w, h, NO_MODE);
    for (int c = 0; c < 3; c++) {
        hevc_map_fill(dec, t->tu_kind[c], x, y, w, h, HEVC_TU_NONE);
        if (t->res_scale[c] != NULL)
            hevc_map_fill(dec, (uint8_t *)t->res_scale[c], x, y, w, h, 0);
    }
    clear_costs(dec, t->cu_bits, x, y, w, h);
    for (int part = 0; part < N_COSTS; part++)
        clear_costs(dec, t->part_bits[part], x, y, w, h);
}

void hevc_tap_residual(const hevc_decoder *const dec, const int cIdx, const int x, const int y,
                       const int n, const int32_t *const r) {
    put(dec, dec->tap.residual[cIdx], dec->tap.zero_residual, cIdx, x, y, n, n, n, r);
}

void hevc_tap_level(const hevc_decoder *const dec, const residual_block *const r,
                    const int32_t *const level) {
    put(dec, dec->tap.level[r->cIdx], dec->tap.zero_level, r->cIdx, r->x, r->y, r->columns, r->rows,
        1 << r->log2, level);
}

void hevc_tap_transform(const hevc_decoder *const dec, const residual_block *const r,
                        const int kind, const int res_scale) {
    const taps *const t = dec->cur->taps;
    const int n = 1 << r->log2, sx = r->cIdx == 0 ? 0 : dec->active_sps.sub_x,
              sy = r->cIdx == 0 ? 0 : dec->active_sps.sub_y;
    hevc_map_fill(dec, t->tu_kind[r->cIdx], r->x << sx, r->y << sy, n << sx, n << sy, kind);
    if (res_scale != 0)
        hevc_map_fill(dec, (uint8_t *)t->res_scale[r->cIdx], r->x, r->y, n, n, res_scale);
}

// decode_order of a reference, by its PicOrderCntVal
static int32_t order_of(const hevc_decoder *const dec, const int32_t poc) {
    for (int i = 0; i < dec->n_dpb; i++)
        if (dec->dpb[i]->poc == poc && dec->dpb[i] != dec->cur)
            return dec->dpb[i]->decode_order < 0 ? -2 : dec->dpb[i]->decode_order;
    return -2;
}

static void tap_motion(const hevc_decoder *const dec) {
    const picture *const pic = dec->cur;
    const size_t n = (size_t)dec->map_stride * (size_t)dec->map_height;
    for (size_t list = 0; list < 2; list++) {
        int32_t poc = NO_POC, order = -1;
        for (size_t i = 0; i < n; i++) {
            const motion *const m = &pic->motion[i];
            memcpy(&pic->taps->mv[2 * (list * n + i)], m->mv[list], sizeof m->mv[list]);
            pic->taps->ref_poc[list * n + i] = m->poc[list];
            if (m->poc[list] != poc) {
                poc = m->poc[list];
                order = poc == NO_POC ? -1 : order_of(dec, poc);
            }
            pic->taps->ref[list * n + i] = order;
        }
    }
}

static void tap_units(const hevc_decoder *const dec) {
    taps *const t = dec->cur->taps;
    for (size_t i = 0; i < dec->ctbs; i++) {
        const sao *const s = &dec->sao[i];
        t->ctu_slice[i] = (uint16_t)imin(dec->ctb_slice[i], UINT16_MAX);
        if (dec->ctb_slice[i] < 0)
            t->ctu_slice[i] = 0;
        t->ctu_tile[i] = (uint16_t)dec->lay.TileId[dec->lay.CtbAddrRsToTs[i]];
        for (size_t c = 0; c < 3; c++) {
            int16_t *const to = &t->ctu_sao[6 * (3 * i + c)];
            const bool used = s->type[c] != 0;
            to[0] = s->type[c];
            to[1] = s->type[c] == 1 ? s->band_position[c] : used ? s->eo_class[c] : 0;
            for (int k = 0; k < 4; k++)
                to[2 + k] = used ? s->offset[c][k] : 0;
        }
    }
}

void hevc_tap_picture(const hevc_decoder *const dec) {
    if (dec->settings.taps & HEVC_TAP_MOTION)
        tap_motion(dec);
    tap_units(dec);
}
