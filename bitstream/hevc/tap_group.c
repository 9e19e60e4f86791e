/* Samples and levels that are recorded, a few coding tree units at a time.
 *
 * Note [Taps by groups]. In a large picture, what a block writes beside its samples has to come
 * into the caches line by line, of which it fills a part, only to leave them before anybody reads
 * it. So the units of a slice segment that follow each other on the screen, up to GROUP_WIDTH
 * samples of them, are recorded in buffers that stay in the caches. When another group begins, or
 * the slice segment ends, these are moved to the picture's by whole lines and past the caches: of
 * residual and levels those bands that hold anything, or did in an earlier picture, Note [Zero
 * bands]. What is invented for missing units is recorded in the picture's at once. */
#include "../coding/lines.h"
#include "../coding/memory.h"
#include "internal.h"

// From how large on a picture is recorded so: small ones stay in a cache.
#ifndef HEVC_LARGE_TAPS
#define HEVC_LARGE_TAPS (memory_own_cache() / 2) // bytes of a picture
#endif

// A plane of the units that are moved
typedef struct area {
    int x, y, w, h;   // samples; of the units together
    int unit;         // samples of a row of one
    size_t from, to;  // places of the first sample, in samples
    size_t step, row; // samples from row to row, there and in the picture
} area;

void hevc_tap_group_begin(hevc_decoder *const dec) {
    tap_group *const g = &dec->group;
    const sps *const s = &dec->active_sps;
    tap_target *const to = &dec->tap;
    g->used = dec->cur->taps->size > HEVC_LARGE_TAPS;
    if (!g->used)
        return;
    g->first = g->end = -1;
    memset(g->zero_residual, ALL_BANDS, sizeof g->zero_residual);
    memset(g->zero_level, ALL_BANDS, sizeof g->zero_level);
    for (int p = 0; p < 3; p++) {
        to->prediction[p] = to->prediction[p] == NULL ? NULL : g->prediction[p];
        to->residual[p] = to->residual[p] == NULL ? NULL : g->residual[p];
        to->level[p] = to->level[p] == NULL ? NULL : g->level[p];
        to->width[p] = (size_t)(GROUP_WIDTH >> (p == 0 ? 0 : s->sub_x));
        to->x_mask[p] = (int)to->width[p] - 1;
        to->y_mask[p] = ((1 << s->CtbLog2SizeY) >> (p == 0 ? 0 : s->sub_y)) - 1;
    }
}

static area area_of(const hevc_decoder *const dec, const int p) {
    const tap_group *const g = &dec->group;
    const sps *const s = &dec->active_sps;
    const int w = (1 << s->CtbLog2SizeY) >> (p == 0 ? 0 : s->sub_x);
    const int h = (1 << s->CtbLog2SizeY) >> (p == 0 ? 0 : s->sub_y);
    const int x = g->first % s->PicWidthInCtbs * w, y = g->first / s->PicWidthInCtbs * h;
    return (area){.x = x,
                  .y = y,
                  .w = imin((g->end - g->first) * w, dec->width[p] - x),
                  .h = imin(h, dec->height[p] - y),
                  .unit = w,
                  .from = (size_t)(x & dec->tap.x_mask[p]),
                  .to = (size_t)y * (size_t)dec->width[p] + (size_t)x,
                  .step = dec->tap.width[p],
                  .row = (size_t)dec->width[p]};
}

// Rows [y, end) of columns [x, x + w) of an area; size: bytes of a sample in the tap
static void move_rows(const area *const a, uint8_t *const to, const uint8_t *const from,
                      const size_t size, const int x, const int w, const int y, const int end) {
    for (int r = y; r < end; r++)
        lines_move(to + (a->to + (size_t)r * a->row + (size_t)x) * size,
                   from + (a->from + (size_t)r * a->step + (size_t)x) * size, (size_t)w * size);
}

// What has been moved is zero again.
static void clear_rows(const area *const a, uint8_t *const from, const size_t size, const int x,
                       const int w, const int y, const int end) {
    for (int r = y; r < end; r++)
        memset(from + (a->from + (size_t)r * a->step + (size_t)x) * size, 0, (size_t)w * size);
}

/* The bands of plane p that are not zero, or were not, of units that share cache lines. zero: of
 * the group's units; was: the same of the picture's */
static void move_bands(const hevc_decoder *const dec, const area *const a, const int p,
                       uint8_t *const to, uint8_t *const from, uint8_t (*const zero)[3],
                       uint8_t *const was) {
    const size_t size = 2 * (size_t)dec->k->sample_size;
    const int log2 = hevc_log2_band(dec, p), n = dec->group.end - dec->group.first;
    const int in_line = imax(LINE / (a->unit * (int)size), 1);
    if (to == NULL)
        return;
    for (int i = 0, end; i < n; i = end) {
        end = imin(i + in_line - (dec->group.first + i) % dec->active_sps.PicWidthInCtbs % in_line,
                   n);
        unsigned is_zero = ALL_BANDS, was_zero = ALL_BANDS;
        for (int k = i; k < end; k++) {
            is_zero &= zero[k][p];
            was_zero &= was[3 * k + p];
            was[3 * k + p] = zero[k][p];
            zero[k][p] = ALL_BANDS;
        }
        const int x = i * a->unit, w = imin(end * a->unit, a->w) - x;
        for (int band = 0; band <= (a->h - 1) >> log2; band++) {
            const int y = band << log2, last = imin(y + (1 << log2), a->h);
            if (!((is_zero & was_zero) >> band & 1))
                move_rows(a, to, from, size, x, w, y, last);
            if (!(is_zero >> band & 1))
                clear_rows(a, from, size, x, w, y, last);
        }
    }
}

static void move_group(hevc_decoder *const dec) {
    tap_group *const g = &dec->group;
    const taps *const t = dec->cur->taps;
    for (int p = 0; p < 3 && dec->width[p] > 0 && g->first < g->end; p++) {
        const area a = area_of(dec, p);
        if (t->prediction[p] != NULL)
            move_rows(&a, t->prediction[p], g->prediction[p], (size_t)dec->k->sample_size, 0, a.w,
                      0, a.h);
        move_bands(dec, &a, p, t->residual[p], g->residual[p], g->zero_residual,
                   t->zero_residual + 3 * g->first);
        move_bands(dec, &a, p, t->level[p], g->level[p], g->zero_level,
                   t->zero_level + 3 * g->first);
    }
    g->first = g->end;
}

void hevc_tap_group_unit(hevc_decoder *const dec, const int ctb) {
    tap_group *const g = &dec->group;
    const sps *const s = &dec->active_sps;
    const int x = ctb % s->PicWidthInCtbs << s->CtbLog2SizeY;
    if (ctb != g->end || x % GROUP_WIDTH == 0) {
        move_group(dec);
        g->first = ctb;
    }
    g->end = ctb + 1;
    dec->tap.zero_residual = g->zero_residual[ctb - g->first];
    dec->tap.zero_level = g->zero_level[ctb - g->first];
}

void hevc_tap_group_end(hevc_decoder *const dec) {
    if (!dec->group.used)
        return;
    move_group(dec);
    lines_done();
    dec->group.used = false;
    hevc_tap_planes(dec);
}
