/* 8.7.3: sample adaptive offset, over the whole picture, from a copy of the deblocked samples. */
#include "internal.h"

typedef struct area { // of a CTB in a plane, samples
    int cIdx, x, y, w, h;
} area;

/* Samples that were bypassed keep their values: they are put back. */
static void restore_kept(hevc_decoder *const dec, const area *const a, const uint8_t *const copy) {
    const sps *const s = &dec->active_sps;
    const int sx = a->cIdx == 0 ? 0 : s->sub_x, sy = a->cIdx == 0 ? 0 : s->sub_y;
    const int ux = 4 >> sx, uy = 4 >> sy;
    const ptrdiff_t stride = dec->cur->stride[a->cIdx], size = dec->k->sample_size;
    for (int y = a->y; y < a->y + a->h; y += uy)
        for (int x = a->x; x < a->x + a->w; x += ux) {
            if (!(dec->edges[hevc_map(dec, x << sx, y << sy)] & NO_FILTER))
                continue;
            for (int r = 0; r < uy; r++)
                memcpy(hevc_sample(dec, dec->cur, a->cIdx, x, y + r),
                       copy + (y + r) * stride + x * size, (size_t)(ux * size));
        }
}

static void band(hevc_decoder *const dec, const sao *const p, const area *const a,
                 const uint8_t *const copy) {
    int16_t table[32] = {0};
    for (int k = 0; k < 4; k++)
        table[(k + p->band_position[a->cIdx]) & 31] = p->offset[a->cIdx][k];
    const ptrdiff_t stride = dec->cur->stride[a->cIdx];
    for (int y = a->y; y < a->y + a->h; y++)
        dec->k->sao_band(hevc_sample(dec, dec->cur, a->cIdx, a->x, y),
                         copy + y * stride + a->x * dec->k->sample_size, a->w, table,
                         hevc_depth(&dec->active_sps, a->cIdx));
}

/* May samples of the CTB `here` be compared with those of the CTB at (cx, cy)? */
static bool reachable(const hevc_decoder *const dec, const int here, const int cx, const int cy) {
    const sps *const s = &dec->active_sps;
    if (cx < 0 || cy < 0 || cx >= s->PicWidthInCtbs || cy >= s->PicHeightInCtbs)
        return false;
    const int there = cy * s->PicWidthInCtbs + cx;
    if (dec->ctb_slice[here] < 0 || dec->ctb_slice[there] < 0)
        return false;
    const slice_filter *const a = &dec->filters[dec->ctb_slice[here]];
    const slice_filter *const b = &dec->filters[dec->ctb_slice[there]];
    const int32_t *const ts = dec->lay.CtbAddrRsToTs;
    if (a->SliceAddrRs != b->SliceAddrRs && !(ts[there] < ts[here] ? a : b)->across_slices)
        return false;
    return dec->active_pps.loop_filter_across_tiles_enabled_flag ||
           dec->lay.TileId[ts[here]] == dec->lay.TileId[ts[there]];
}

static void edge(hevc_decoder *const dec, const sao *const p, const area *const a, const int rx,
                 const int ry, const uint8_t *const copy) {
    static const int8_t dx[4] = {-1, 0, -1, 1}, dy[4] = {0, -1, -1, -1}; // of the first neighbour
    const sps *const s = &dec->active_sps;
    const int c = p->eo_class[a->cIdx], here = ry * s->PicWidthInCtbs + rx;
    const ptrdiff_t stride = dec->cur->stride[a->cIdx], size = dec->k->sample_size;
    const ptrdiff_t step = dy[c] * stride + dx[c] * size;
    const int16_t *const o = p->offset[a->cIdx];
    // edgeIdx by 2 + the signs: a valley first, a peak last
    const int16_t offset[5] = {o[0], o[1], 0, o[2], o[3]};
    const int depth = hevc_depth(s, a->cIdx);
    bool ok[3][3];
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < 3; i++)
            ok[j][i] = (i == 1 && j == 1) || reachable(dec, here, rx + i - 1, ry + j - 1);
    for (int y = 0; y < a->h; y++) {
        const int up = y + dy[c] < 0 ? 0 : 1, down = y - dy[c] >= a->h ? 2 : 1;
        // the columns at both ends may look into other CTBs than those between
        int first = 0, last = a->w;
        const bool mid = ok[up][1] && ok[down][1];
        if (dx[c] != 0) {
            const int left = dx[c] < 0 ? up : down, right = dx[c] < 0 ? down : up;
            const int left_other = dx[c] < 0 ? down : up, right_other = dx[c] < 0 ? up : down;
            const bool ok_left = ok[left][0] && (a->w > 1 ? ok[left_other][1] : ok[left_other][2]);
            const bool ok_right = ok[right][2] && ok[right_other][1];
            if (!mid) { // only the ends may be reachable
                for (int end = 0; end < 2; end++) {
                    const int x = end == 0 ? 0 : a->w - 1;
                    if (end == 0 ? !ok_left : !ok_right)
                        continue;
                    dec->k->sao_edge(hevc_sample(dec, dec->cur, a->cIdx, a->x + x, a->y + y),
                                     copy + (a->y + y) * stride + (a->x + x) * size, step, -step, 1,
                                     offset, depth);
                }
                continue;
            }
            first = ok_left ? 0 : 1;
            last = ok_right ? a->w : a->w - 1;
        } else if (!mid) {
            continue;
        }
        if (last > first)
            dec->k->sao_edge(hevc_sample(dec, dec->cur, a->cIdx, a->x + first, a->y + y),
                             copy + (a->y + y) * stride + (a->x + first) * size, step, -step,
                             last - first, offset, depth);
    }
}

static area area_of(const hevc_decoder *const dec, const int cIdx, const int rx, const int ry) {
    const sps *const s = &dec->active_sps;
    const int w = (1 << s->CtbLog2SizeY) >> (cIdx == 0 ? 0 : s->sub_x);
    const int h = (1 << s->CtbLog2SizeY) >> (cIdx == 0 ? 0 : s->sub_y);
    area a = {.cIdx = cIdx, .x = rx * w, .y = ry * h};
    a.w = imin(w, dec->width[cIdx] - a.x);
    a.h = imin(h, dec->height[cIdx] - a.y);
    return a;
}

// Copies what a row of coding tree blocks needs: those that are changed, and a sample around them.
static void copy_row(const hevc_decoder *const dec, const int cIdx, const int ry,
                     uint8_t *const copy) {
    const sps *const s = &dec->active_sps;
    const sao *const row = &dec->sao[ry * s->PicWidthInCtbs];
    const ptrdiff_t stride = dec->cur->stride[cIdx], size = dec->k->sample_size;
    for (int rx = 0, end; rx < s->PicWidthInCtbs; rx = end + 1) {
        for (end = rx; end < s->PicWidthInCtbs && row[end].type[cIdx] != 0; end++)
            ;
        if (end == rx)
            continue;
        const area a = area_of(dec, cIdx, rx, ry), b = area_of(dec, cIdx, end - 1, ry);
        const int x = imax(a.x - 1, 0), w = imin(b.x + b.w + 1, dec->width[cIdx]) - x;
        for (int y = imax(a.y - 1, 0); y < imin(a.y + a.h + 1, dec->height[cIdx]); y++)
            memcpy(copy + y * stride + x * size, hevc_sample(dec, dec->cur, cIdx, x, y),
                   (size_t)(w * size));
    }
}

static void offset_row(hevc_decoder *const dec, const int cIdx, const int ry,
                       const uint8_t *const copy) {
    const sps *const s = &dec->active_sps;
    const bool keeps = dec->active_pps.transquant_bypass_enabled_flag ||
                       (s->pcm_enabled_flag && s->pcm_loop_filter_disabled_flag);
    for (int rx = 0; rx < s->PicWidthInCtbs; rx++) {
        const sao *const p = &dec->sao[ry * s->PicWidthInCtbs + rx];
        const area a = area_of(dec, cIdx, rx, ry);
        if (p->type[cIdx] == 1)
            band(dec, p, &a, copy);
        else if (p->type[cIdx] == 2)
            edge(dec, p, &a, rx, ry, copy);
        else
            continue;
        if (keeps)
            restore_kept(dec, &a, copy);
    }
}

static void plane(hevc_decoder *const dec, const int cIdx) {
    const int rows = dec->active_sps.PicHeightInCtbs;
    uint8_t *const copy = dec->deblocked_ + 64;
    copy_row(dec, cIdx, 0, copy);
    for (int ry = 0; ry < rows; ry++) {
        if (ry + 1 < rows)
            copy_row(dec, cIdx, ry + 1, copy); // the last samples of this row are among them
        offset_row(dec, cIdx, ry, copy);
    }
}

void hevc_sao_picture(hevc_decoder *const dec) {
    if (!dec->active_sps.sample_adaptive_offset_enabled_flag)
        return;
    for (int cIdx = 0; cIdx < 3 && dec->width[cIdx] > 0; cIdx++)
        plane(dec, cIdx);
}
