/* The only writer of what is recorded beside the maps. */
#include "internal.h"

void hevc_tap_prediction(const hevc_decoder *const dec, const int cIdx, const int x, const int y,
                         const int w, const int h) {
    uint8_t *const to = dec->cur->taps->prediction[cIdx];
    if (to == NULL)
        return;
    const size_t size = (size_t)dec->k->sample_size;
    for (int r = 0; r < h; r++)
        memcpy(to + ((size_t)(y + r) * (size_t)dec->width[cIdx] + (size_t)x) * size,
               hevc_sample(dec, dec->cur, cIdx, x, y + r), (size_t)w * size);
}

static void put(int32_t *const to, const int width, const int x, const int y, const int n,
                const int32_t *const from) {
    for (int r = 0; r < n; r++)
        memcpy(to + (size_t)(y + r) * (size_t)width + x, from + r * n, (size_t)n * sizeof *to);
}

void hevc_tap_residual(const hevc_decoder *const dec, const int cIdx, const int x, const int y,
                       const int n, const int32_t *const r) {
    if (dec->cur->taps->residual[cIdx] != NULL)
        put(dec->cur->taps->residual[cIdx], dec->width[cIdx], x, y, n, r);
}

void hevc_tap_level(const hevc_decoder *const dec, const int cIdx, const int x, const int y,
                    const int n, const int32_t *const level) {
    if (dec->cur->taps->level[cIdx] != NULL)
        put(dec->cur->taps->level[cIdx], dec->width[cIdx], x, y, n, level);
}

void hevc_tap_motion(const hevc_decoder *const dec) {
    const picture *const pic = dec->cur;
    const size_t n = (size_t)dec->map_stride * (size_t)dec->map_height;
    for (size_t list = 0; list < 2; list++)
        for (size_t i = 0; i < n; i++) {
            const motion *const m = &pic->motion[i];
            memcpy(&pic->taps->mv[2 * (list * n + i)], m->mv[list], sizeof m->mv[list]);
            pic->taps->ref_poc[list * n + i] = m->poc[list];
        }
}
