/* Samples and levels that are recorded, a row of macroblocks at a time.
 *
 * Note [Taps by rows]. In a large picture, what a macroblock writes beside its samples has to come
 * into the caches line by line, of which it fills a part, only to leave them before anybody reads
 * it. So prediction, residual and levels go to buffers of one row of macroblocks, which stay in the
 * caches. When the row is decoded, or the slice ends, they are moved to the picture's by whole
 * lines and past the caches: residual and levels where there are any, or were some of an earlier
 * picture, Note [Touched parts] in taps.c; predictions of macroblocks without residual out of the
 * picture itself, whose row is not filtered yet, Note [One row behind]. Only slices whose
 * macroblocks follow each other on the screen, as frame macroblocks, are recorded so. */
#include "../coding/lines.h"
#include "internal.h"

enum {
    GROUP = 8 // macroblocks looked at together: their chroma, of 8 bits and 4:2:0, fills lines
};

// One plane of a tap
typedef struct tap_plane {
    uint8_t *from, *to;     // the row of macroblocks; where it goes
    size_t step;            // bytes between rows of samples, in both
    size_t mb;              // bytes of a row of a macroblock
    int rows;               // of a macroblock
    const uint8_t *picture; // the row there, and its step
    ptrdiff_t stride;
    unsigned upper, lower; // parts in its halves
} tap_plane;

void h264_tap_rows_begin(h264_decoder *const dec) {
    const slice_ctx *const s = &dec->slice;
    tap_rows *const r = &dec->tap_rows;
    r->used = r->row.memory != NULL && !s->hdr.field_pic_flag && !s->hdr.MbaffFrameFlag &&
              !s->MbToSliceGroupMap && !s->partitioned && !s->pps->redundant_pic_cnt_present_flag;
    r->next = s->hdr.first_mb_in_slice;
    r->moved = dec->rows.decoded;
}

static void move_rows(uint8_t *to, const size_t step, const uint8_t *from,
                      const ptrdiff_t from_step, const int rows, const size_t n) {
    for (int y = 0; y < rows; y++, to += step, from += from_step)
        lines_move(to, from, n);
}

// Macroblocks [x, end); all: parts that each of them has
static void move_prediction(const tap_plane *const p, const uint8_t *const parts,
                            const unsigned all, const size_t x, const size_t end) {
    const size_t at = x * p->mb, n = (end - x) * p->mb;
    if (all & IN_PICTURE) {
        move_rows(p->to + at, p->step, p->picture + at, p->stride, p->rows, n);
        return;
    }
    for (size_t i = x; i < end; i++)
        if (parts[i] & IN_PICTURE)
            h264_copy_rows(p->from + i * p->mb, p->step, p->picture + i * p->mb, p->stride, p->rows,
                           p->mb);
    move_rows(p->to + at, p->step, p->from + at, (ptrdiff_t)p->step, p->rows, n);
}

// The upper or lower half of macroblocks [first, end) with any of `wanted`, and of what shares
// their lines. What has been moved is zero again.
static void move_half(const tap_plane *const p, const uint8_t *const parts, const unsigned wanted,
                      const size_t first, const size_t end, const int y) {
    const size_t in_line = p->mb < LINE ? LINE / p->mb : 1;
    for (size_t x = first, last; x < end; x = last) {
        unsigned found = 0;
        for (last = x; last < end && last < x + in_line; last++)
            found |= parts[last];
        if (!(found & wanted))
            continue;
        const size_t at = x * p->mb + (size_t)y * p->step, n = (last - x) * p->mb;
        move_rows(p->to + at, p->step, p->from + at, (ptrdiff_t)p->step, p->rows / 2, n);
        for (int row = 0; row < p->rows / 2; row++)
            memset(p->from + at + (size_t)row * p->step, 0, n);
    }
}

static void move_group(const tap_plane *const prediction, const int n_predictions,
                       const tap_plane *const other, const int n_others, const uint8_t *const parts,
                       const size_t x, const size_t end) {
    unsigned any = 0, all = UINT_MAX;
    for (size_t i = x; i < end; i++) {
        any |= parts[i];
        all &= parts[i];
    }
    for (int i = 0; i < n_predictions; i++)
        move_prediction(&prediction[i], parts, all, x, end);
    for (int i = 0; i < n_others && any & ALL_PARTS; i++) {
        const tap_plane *const p = &other[i];
        if (any & p->upper)
            move_half(p, parts, p->upper, x, end, 0);
        if (any & p->lower)
            move_half(p, parts, p->lower, x, end, p->rows / 2);
    }
}

// size: bytes of a sample in the tap
static tap_plane plane_of(const h264_decoder *const dec, const int plane, const size_t mb_row,
                          void *const from, void *const to, const size_t size) {
    const int rows = plane ? dec->mb_height_c : 16;
    const size_t step = (size_t)dec->width[plane] * size;
    const ptrdiff_t stride = dec->cur->stride[plane];
    const unsigned chroma = plane == 2 ? CHROMA_PART << 1 : CHROMA_PART;
    return (tap_plane){.from = from,
                       .to = (uint8_t *)to + mb_row * (size_t)rows * step,
                       .step = step,
                       .mb = (size_t)(plane ? dec->mb_width_c : 16) * size,
                       .rows = rows,
                       .picture = dec->cur->plane[plane] + (ptrdiff_t)mb_row * rows * stride,
                       .stride = stride,
                       .upper = plane ? chroma : LUMA_UPPER,
                       .lower = plane ? chroma : LUMA_LOWER};
}

void h264_tap_rows_move(h264_decoder *const dec) {
    tap_rows *const r = &dec->tap_rows;
    const taps *const t = dec->cur->taps, *const row = &r->row;
    const size_t w = (size_t)dec->PicWidthInMbs, size = (size_t)dec->k->sample_size;
    const size_t n = (size_t)(dec->rows.decoded - r->moved);
    if (!r->used || n == 0)
        return;
    const size_t mb_row = r->next / w, first = r->next % w;
    tap_plane prediction[3], other[6];
    int n_predictions = 0, n_others = 0;
    for (int p = 0; p < 3; p++) {
        if (t->prediction[p])
            prediction[n_predictions++] =
                plane_of(dec, p, mb_row, row->prediction[p], t->prediction[p], size);
        if (t->residual[p])
            other[n_others++] =
                plane_of(dec, p, mb_row, row->residual[p], t->residual[p], 2 * size);
        if (t->level[p])
            other[n_others++] = plane_of(dec, p, mb_row, row->level[p], t->level[p], 2 * size);
    }
    for (size_t x = first, end; x < first + n; x = end) {
        end = x / GROUP * GROUP + GROUP;
        end = end < first + n ? end : first + n;
        move_group(prediction, n_predictions, other, n_others, r->parts, x, end);
    }
    r->next += n;
    r->moved = dec->rows.decoded;
}

void h264_tap_rows_end(h264_decoder *const dec) {
    if (!dec->tap_rows.used)
        return;
    h264_tap_rows_move(dec);
    dec->tap_rows.used = false;
    lines_done(); // before anybody is told that the picture is there
}
