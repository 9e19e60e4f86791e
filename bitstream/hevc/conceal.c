/* Coding tree units that no slice brought: the picture before in output order, or grey. Whatever a
 * broken slice segment left of one goes. */
#include "internal.h"

static const picture *latest(const hevc_decoder *const dec) {
    const picture *best = NULL;
    for (int i = 0; i < dec->n_dpb; i++) {
        const picture *const pic = dec->dpb[i];
        if (pic != dec->cur && pic->geometry == dec->geometry && pic->decode_order >= 0 &&
            (best == NULL || pic->decode_order > best->decode_order))
            best = pic;
    }
    return best;
}

static void conceal_ctu(hevc_decoder *const dec, const picture *const from, const int x,
                        const int y, const int w, const int h) {
    const sps *const s = &dec->active_sps;
    taps *const t = dec->cur->taps;
    for (int c = 0; c < 3 && dec->width[c] > 0; c++) {
        const int sx = c == 0 ? 0 : s->sub_x, sy = c == 0 ? 0 : s->sub_y;
        const int cx = x >> sx, cy = y >> sy, cw = w >> sx, ch = h >> sy;
        for (int r = 0; r < ch; r++) {
            uint8_t *const to = hevc_sample(dec, dec->cur, c, cx, cy + r);
            if (from != NULL)
                memcpy(to, hevc_sample(dec, from, c, cx, cy + r),
                       (size_t)(cw * dec->k->sample_size));
            else if (dec->k->sample_size == 1)
                memset(to, 128, (size_t)cw);
            else
                for (int i = 0; i < cw; i++)
                    ((uint16_t *)(void *)to)[i] = (uint16_t)(1 << (hevc_depth(s, c) - 1));
        }
        hevc_tap_prediction(dec, c, cx, cy, cw, ch);
    }
    hevc_map_fill(dec, t->cu_size, x, y, w, h, s->CtbLog2SizeY);
    hevc_map_fill(dec, t->mode, x, y, w, h, HEVC_MODE_SKIP);
    hevc_map_fill(dec, t->part, x, y, w, h, HEVC_2NX2N);
    hevc_map_fill(dec, t->bypass, x, y, w, h, 0);
    for (int c = 0; c < 3; c++)
        hevc_map_fill(dec, (uint8_t *)t->qp[c], x, y, w, h, 0);
    hevc_map_fill(dec, dec->edges, x, y, w, h, NO_FILTER);
    hevc_motion_fill(dec, x, y, w, h, &hevc_no_motion);
}

// Does a block of the area refer to a picture that never came?
static bool refers_to_generated(const hevc_decoder *const dec, const int x, const int y,
                                const int w, const int h) {
    for (int i = 0; i < dec->n_dpb; i++) {
        if (dec->dpb[i]->decode_order >= 0)
            continue;
        for (int r = y; r < y + h; r += 4)
            for (int k = x; k < x + w; k += 4) {
                const motion *const m = &dec->cur->motion[hevc_map(dec, k, r)];
                if (m->poc[0] == dec->dpb[i]->poc || m->poc[1] == dec->dpb[i]->poc)
                    return true;
            }
    }
    return false;
}

void hevc_conceal_picture(hevc_decoder *const dec) {
    const sps *const s = &dec->active_sps;
    const picture *const from = latest(dec);
    const int size = 1 << s->CtbLog2SizeY;
    int invented = 0;
    for (int i = 0; i < s->PicWidthInCtbs * s->PicHeightInCtbs; i++) {
        const int x = i % s->PicWidthInCtbs * size, y = i / s->PicWidthInCtbs * size;
        const int w = imin(size, s->width - x), h = imin(size, s->height - y);
        uint8_t *const concealed = &dec->cur->taps->ctu_concealed[i];
        if (dec->ctb_slice[i] >= 0) {
            *concealed = dec->cur->concealed_ctus > 0 && refers_to_generated(dec, x, y, w, h);
            continue;
        }
        *concealed = 1;
        hevc_tap_unit(dec, i);
        conceal_ctu(dec, from, x, y, w, h);
        memset(&dec->sao[i], 0, sizeof dec->sao[i]);
        invented++;
        dec->warnings[HEVC_WARN_CONCEALED_CTU]++;
    }
    // 1 already where a reference is missing
    dec->cur->concealed_ctus = imax(dec->cur->concealed_ctus, invented);
}
