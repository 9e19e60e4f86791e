/* Frame slots and tap buffers: two pools that grow to what the stream needs and are used again, so
 * that memory does not grow with its length.
 *
 * Note [Geometry]. All buffers of a pool have the size that the active SPS asks for. When another
 * SPS changes it, stream_state.geometry counts on; slots that wait for output keep the old size,
 * and are freed instead of used again. */
#include <stdlib.h>

#include "../coding/memory.h"

#include "stream.h"

enum {
    PLANE_GUARD = 64, // bytes before and after each plane that may be read, not written
};

static size_t pic_size_in_mbs(const h264_decoder *const dec) {
    return (size_t)dec->PicWidthInMbs * (size_t)dec->FrameHeightInMbs;
}

// --------------------------------------------------------------------------------- colour planes

int h264_colour_planes(const h264_decoder *const dec) {
    return dec->mb_width_c == 0 && dec->width[1] > 0 ? 3 : 1;
}

void h264_select_colour_plane(h264_decoder *const dec, const int colour_plane_id) {
    const stream_state *const s = dec->stream;
    const size_t mbs = pic_size_in_mbs(dec) * (size_t)colour_plane_id;
    if (CORE_LIKELY(h264_colour_planes(dec) == 1))
        return;
    dec->mb = dec->luma_mb + mbs;
    for (int i = 0; i < s->n_pictures; i++) {
        picture *const pic = s->pictures[i];
        if (pic->geometry != s->geometry)
            continue;
        pic->plane[0] = colour_plane_id ? pic->plane[colour_plane_id] : pic->luma;
        pic->motion = pic->luma_motion + mbs;
        pic->mb_field = pic->luma_mb_field + mbs;
        if (pic->taps != NULL)
            pic->taps = pic->taps->luma + colour_plane_id;
    }
}

// ----------------------------------------------------------------------------------- frame slots

static bool is_free(const picture *const pic) {
    return !pic->current && !pic->in_dpb && !pic->queued && !pic->locked && pic->users == 0;
}

// What pictures that were made together share
typedef struct picture_memory {
    uint8_t *block;
    int pictures; // that are left of them
} picture_memory;

static void lay_out_picture(const h264_decoder *const dec, picture *const pic, carver *const c) {
    const size_t sample_size = (size_t)dec->k->sample_size;
    const size_t mbs = pic_size_in_mbs(dec) * (size_t)h264_colour_planes(dec);
    for (int p = 0; p < 3; p++) {
        size_t stride = memory_aligned((size_t)dec->width[p] * sample_size);
        if (stride % 1024 == 0) // rows must not all fall into the same cache sets
            stride += MEMORY_ALIGN;
        pic->stride[p] = (ptrdiff_t)stride;
        if (dec->width[p] == 0)
            continue;
        uint8_t *const at = carve(c, stride * (size_t)dec->height[p] + 2 * PLANE_GUARD);
        pic->plane[p] = at == NULL ? NULL : at + PLANE_GUARD;
    }
    pic->luma = pic->plane[0];
    pic->motion = pic->luma_motion = carve(c, mbs * sizeof(mb_motion));
    pic->mb_field = pic->luma_mb_field = carve(c, mbs);
    pic->geometry = dec->stream->geometry;
}

static void free_picture(stream_state *const s, const int i) {
    picture_memory *const memory = s->pictures[i]->memory;
    if (--memory->pictures == 0) {
        memory_free(memory->block);
        free(memory);
    }
    free(s->pictures[i]);
    s->pictures[i] = s->pictures[--s->n_pictures];
}

enum {
    TOGETHER = 4 // pictures, at most; hardly any stream does with less
};

// How many pictures of a size are made together: what fills a huge page, if that many do
static int pictures_together(const size_t size) {
    const int n = imin((int)(MEMORY_HUGE_PAGE / size), TOGETHER);
    return (size_t)n * size < MEMORY_HUGE_PAGE / 2 ? 1 : imax(n, 1);
}

// One more free picture, or some. False: no memory.
static bool new_pictures(const h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    picture layout = {.memory = NULL};
    carver c = {.base = NULL, .used = 0};
    lay_out_picture(dec, &layout, &c);
    picture_memory *const memory = calloc(1, sizeof *memory);
    const int n = imin(pictures_together(c.used), MAX_PICTURES - s->n_pictures);
    if (memory == NULL)
        return false;
    memory->block = memory_block((size_t)n * c.used, 0);
    c = (carver){.base = memory->block, .used = 0};
    while (memory->block != NULL && memory->pictures < n) {
        picture *const pic = calloc(1, sizeof *pic);
        if (pic == NULL)
            break;
        lay_out_picture(dec, pic, &c);
        pic->memory = memory;
        memory->pictures++;
        s->pictures[s->n_pictures++] = pic;
    }
    if (memory->pictures > 0)
        return true;
    memory_free(memory->block);
    free(memory);
    return false;
}

static void reset_picture(picture *const pic) {
    picture fresh = {.motion = pic->motion,
                     .mb_field = pic->mb_field,
                     .luma = pic->luma,
                     .luma_motion = pic->luma_motion,
                     .luma_mb_field = pic->luma_mb_field,
                     .memory = pic->memory,
                     .geometry = pic->geometry};
    memcpy(fresh.plane, pic->plane, sizeof fresh.plane);
    memcpy(fresh.stride, pic->stride, sizeof fresh.stride);
    *pic = fresh;
    pic->pts = INT64_MIN;
    shared_store(&pic->ready, ALL_ROWS);
}

picture *h264_picture_get(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    for (int i = 0; i < s->n_pictures; i++) {
        if (is_free(s->pictures[i])) {
            reset_picture(s->pictures[i]);
            return s->pictures[i];
        }
    }
    const int made = s->n_pictures;
    if (made == MAX_PICTURES || !new_pictures(dec))
        return NULL;
    reset_picture(s->pictures[made]);
    return s->pictures[made];
}

static void give_back_taps(stream_state *const s, picture *const pic) {
    taps *const t = pic->taps;
    pic->taps = NULL;
    if (t == NULL)
        return;
    if (pic->geometry == s->geometry) {
        t->next = s->free_taps;
        s->free_taps = t;
    } else {
        memory_free(t->memory);
        free(t);
    }
}

void h264_picture_release(h264_decoder *const dec, picture *const pic) {
    stream_state *const s = dec->stream;
    if (!pic->current && !pic->needed_for_output && !pic->queued && !pic->locked && pic->users == 0)
        give_back_taps(s, pic);
    if (!is_free(pic) || pic->geometry == s->geometry)
        return;
    for (int i = 0; i < s->n_pictures; i++) {
        if (s->pictures[i] == pic) {
            free_picture(s, i);
            return;
        }
    }
}

static void set_plane(uint8_t *row, const ptrdiff_t stride, const int width, const int height,
                      const int sample_size, const int value) {
    for (int y = 0; y < height; y++, row += stride) {
        if (sample_size == 1) {
            memset(row, value, (size_t)width);
            continue;
        }
        for (int x = 0; x < width; x++)
            memcpy(row + 2 * x, &(uint16_t){(uint16_t)value}, 2);
    }
}

/* Samples of `from`, or mid-grey; as if intra coded, for direct prediction. */
void h264_picture_copy_samples(h264_decoder *const dec, picture *const to,
                               const picture *const from) {
    for (int p = 0; p < 3 && !(dec->settings.how & H264_NO_SAMPLES); p++) {
        const int depth = p == 0 ? dec->active_sps.BitDepthY : dec->active_sps.BitDepthC;
        if (from != NULL && dec->height[p] > 0)
            memcpy(to->plane[p], from->plane[p], (size_t)to->stride[p] * (size_t)dec->height[p]);
        else
            set_plane(to->plane[p], to->stride[p], dec->width[p], dec->height[p],
                      dec->k->sample_size, 1 << (depth - 1));
    }
    const size_t n = pic_size_in_mbs(dec) * (size_t)h264_colour_planes(dec);
    memset(to->mb_field, 0, n);
    for (size_t i = 0; i < n; i++) {
        mb_motion *const m = &to->motion[i];
        memset(m, 0, sizeof *m);
        memset(m->ref_idx, -1, sizeof m->ref_idx);
        for (int q = 0; q < 8; q++)
            m->uid[q / 4][q % 4] = NO_UID;
    }
}

// ----------------------------------------------------------------------------------- tap buffers

static void lay_out_maps(const h264_decoder *const dec, taps *const t, carver *const c) {
    const unsigned want = dec->settings.taps;
    const size_t mbs = pic_size_in_mbs(dec);
    for (int p = 0; p < 3; p++)
        t->qp[p] = carve(c, mbs);
    t->tu = carve(c, mbs * 16);
    t->mb_type = carve(c, mbs);
    t->cbp = carve(c, mbs);
    t->field = carve(c, mbs);
    t->concealed = carve(c, mbs);
    t->slice = carve(c, mbs * sizeof *t->slice);
    t->bits = carve(c, mbs * sizeof *t->bits);
    for (int part = 0; part < N_COSTS && want & H264_TAP_BITS; part++)
        t->part[part] = carve(c, mbs * sizeof *t->part[part]);
    if (want & H264_TAP_MODES) {
        t->intra_luma = carve(c, mbs * 16);
        t->intra_chroma = carve(c, mbs);
    }
    if (want & H264_TAP_MOTION) {
        t->mv = carve(c, mbs * 2 * 16 * 2 * sizeof *t->mv);
        t->ref = carve(c, mbs * 2 * 4 * sizeof *t->ref);
    }
}

// t: one, or one for each colour plane. Returns how much at the beginning is zero where `zero` says
// so.
static size_t lay_out_taps(const h264_decoder *const dec, taps *const t, carver *const c) {
    const unsigned want = dec->settings.taps;
    const size_t sample_size = (size_t)dec->k->sample_size;
    for (int p = 0; p < 3; p++) {
        const size_t n = (size_t)dec->width[p] * (size_t)dec->height[p];
        if (n > 0 && want & H264_TAP_RESIDUAL)
            t->residual[p] = carve(c, n * sample_size * 2);
        if (n > 0 && want & H264_TAP_LEVEL)
            t->level[p] = carve(c, n * sample_size * 2);
    }
    for (int p = 0; p < h264_colour_planes(dec); p++)
        t[p].zero = carve(c, pic_size_in_mbs(dec));
    const size_t zeroed = c->used;
    for (int p = 0; p < 3; p++) {
        const size_t n = (size_t)dec->width[p] * (size_t)dec->height[p];
        if (n > 0 && want & H264_TAP_PREDICTION)
            t->prediction[p] = carve(c, n * sample_size);
    }
    for (int p = 0; p < h264_colour_planes(dec); p++) {
        t[p].luma = t;
        t[p].prediction[0] = t->prediction[p];
        t[p].residual[0] = t->residual[p];
        t[p].level[0] = t->level[p];
        lay_out_maps(dec, &t[p], c);
    }
    return zeroed;
}

// What tells layouts of tap buffers from each other, and where macroblocks are in them
static uint64_t kind_of_taps(const h264_decoder *const dec) {
    const sps *const s = &dec->active_sps;
    uint64_t kind = 1;
    kind = kind << 16 | (uint64_t)dec->PicWidthInMbs;
    kind = kind << 16 | (uint64_t)dec->FrameHeightInMbs;
    kind = kind << 8 | (dec->settings.taps & 255);
    kind = kind << 2 | (uint64_t)s->chroma_format_idc;
    kind = kind << 2 | (uint64_t)dec->k->sample_size;
    return kind << 2 | (uint64_t)(h264_colour_planes(dec) == 3) << 1 | s->frame_mbs_only_flag;
}

static taps *new_taps(const h264_decoder *const dec) {
    taps *const t = calloc((size_t)h264_colour_planes(dec), sizeof *t);
    if (t == NULL)
        return NULL;
    carver c = {.base = NULL, .used = 0};
    const size_t zeroed = lay_out_taps(dec, t, &c);
    t->size = c.used;
    bool again;
    t->memory = c.base = memory_block_of_kind(t->size, zeroed, kind_of_taps(dec), &again);
    c.used = 0;
    if (c.base == NULL) {
        free(t);
        return NULL;
    }
    (void)lay_out_taps(dec, t, &c);
    for (int p = 0; p < h264_colour_planes(dec) && !again; p++)
        memset(t[p].zero, ALL_PARTS, pic_size_in_mbs(dec));
    return t;
}

int h264_taps_get(h264_decoder *const dec, picture *const pic) {
    stream_state *const s = dec->stream;
    pic->taps = s->free_taps;
    if (pic->taps != NULL)
        s->free_taps = pic->taps->next;
    else
        pic->taps = new_taps(dec);
    if (pic->taps == NULL)
        return H264_NOMEM;
    memset(pic->taps->concealed, 0, pic_size_in_mbs(dec));
    return H264_OK;
}

void *h264_taps_take(picture *const pic) {
    taps *const t = pic->taps;
    if (t == NULL || !memory_keeps(t->size))
        return NULL;
    void *const memory = t->memory;
    pic->taps = NULL;
    free(t);
    return memory;
}

static void free_pooled_taps(stream_state *const s) {
    while (s->free_taps != NULL) {
        taps *const t = s->free_taps;
        s->free_taps = t->next;
        memory_free(t->memory);
        free(t);
    }
}

// From how large on a picture is recorded by rows, Note [Taps by rows]: small ones stay in a cache.
#ifndef H264_LARGE_TAPS
#define H264_LARGE_TAPS (memory_own_cache() / 2) // bytes of a picture
#endif

static void lay_out_row(const h264_decoder *const dec, tap_rows *const r, carver *const c) {
    const taps *const t = dec->cur->taps;
    const size_t size = (size_t)dec->k->sample_size;
    r->parts = carve(c, (size_t)dec->PicWidthInMbs);
    for (int p = 0; p < 3; p++) {
        const int rows = p ? dec->mb_height_c : 16;
        const size_t n = (size_t)rows * (size_t)dec->width[p] * size;
        if (t->prediction[p])
            r->row.prediction[p] = carve(c, n);
        if (t->residual[p])
            r->row.residual[p] = carve(c, n * 2);
        if (t->level[p])
            r->row.level[p] = carve(c, n * 2);
    }
}

void h264_tap_rows_free(h264_decoder *const dec) {
    memory_free(dec->tap_rows.row.memory);
    dec->tap_rows = (tap_rows){.used = false};
}

void h264_tap_rows_fit(h264_decoder *const dec) {
    tap_rows r = {.width = dec->width[0], .sample_size = dec->k->sample_size};
    carver c = {.base = NULL, .used = 0};
    if (dec->cur->taps == NULL || dec->cur->taps->size <= H264_LARGE_TAPS ||
        h264_colour_planes(dec) == 3) {
        h264_tap_rows_free(dec);
        return;
    }
    lay_out_row(dec, &r, &c);
    r.row.size = c.used;
    const tap_rows *const old = &dec->tap_rows;
    if (old->row.size == r.row.size && old->width == r.width && old->sample_size == r.sample_size)
        return;
    h264_tap_rows_free(dec);
    r.row.memory = c.base = memory_block(r.row.size, r.row.size);
    c.used = 0;
    if (r.row.memory == NULL)
        return;
    lay_out_row(dec, &r, &c);
    dec->tap_rows = r;
}

// ------------------------------------------------------------------------------------ activation

static void set_geometry(h264_decoder *const dec, const sps *const s) {
    static const int MbWidthC[4] = {0, 8, 8, 16}, MbHeightC[4] = {0, 8, 16, 16}; // Table 6-1
    dec->PicWidthInMbs = s->PicWidthInMbs;
    dec->FrameHeightInMbs = s->FrameHeightInMbs;
    for (int p = 0; p < 3; p++) {
        dec->width[p] = s->PicWidthInMbs * (p == 0 ? 16 : MbWidthC[s->chroma_format_idc]);
        dec->height[p] = s->FrameHeightInMbs * (p == 0 ? 16 : MbHeightC[s->chroma_format_idc]);
    }
    dec->mb_width_c = MbWidthC[s->ChromaArrayType];
    dec->mb_height_c = MbHeightC[s->ChromaArrayType];
    dec->k = h264_kernels(&dec->kernel_table, s->BitDepthY > 8 || s->BitDepthC > 8 ? 2 : 1);
}

bool h264_same_geometry(const sps *const a, const sps *const b) {
    const bool a16 = a->BitDepthY > 8 || a->BitDepthC > 8,
               b16 = b->BitDepthY > 8 || b->BitDepthC > 8;
    return a->PicWidthInMbs == b->PicWidthInMbs && a->FrameHeightInMbs == b->FrameHeightInMbs &&
           a->chroma_format_idc == b->chroma_format_idc &&
           a->separate_colour_plane_flag == b->separate_colour_plane_flag && a16 == b16 &&
           // what fields leave in tap buffers lies in other rows than the frames' (taps.zero)
           a->frame_mbs_only_flag == b->frame_mbs_only_flag;
}

mb_info *h264_new_macroblocks(const h264_decoder *const dec) {
    const size_t size = pic_size_in_mbs(dec) * (size_t)h264_colour_planes(dec) * sizeof(mb_info);
    return (mb_info *)(void *)memory_block(size, size);
}

int h264_set_geometry(h264_decoder *const dec, const sps *const s) {
    stream_state *const state = dec->stream;
    state->geometry++;
    free_pooled_taps(state);
    if (state->substitute != NULL)
        state->substitute->locked = false;
    state->substitute = NULL;
    for (int i = state->n_pictures - 1; i >= 0; i--)
        if (is_free(state->pictures[i]))
            free_picture(state, i);
    set_geometry(dec, s);
    memory_free(dec->luma_mb);
    free(dec->slice_groups);
    dec->mb = dec->luma_mb = h264_new_macroblocks(dec);
    dec->slice_groups = calloc(pic_size_in_mbs(dec), 1);
    return dec->mb != NULL && dec->slice_groups != NULL ? H264_OK : H264_NOMEM;
}

void h264_pictures_free(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    while (s->n_pictures > 0) {
        taps *const t = s->pictures[0]->taps;
        if (t != NULL) {
            memory_free(t->memory);
            free(t);
        }
        free_picture(s, 0);
    }
    free_pooled_taps(s);
    h264_tap_rows_free(dec);
    memory_free(dec->luma_mb);
    free(dec->slice_groups);
    dec->mb = dec->luma_mb = NULL;
    dec->slice_groups = NULL;
}

// ---------------------------------------------------------------------------------------- output

/* A picture of the old geometry may be handed out after the change: sizes come from its own info.
 */
void h264_frame_fill(const picture *const pic, h264_frame *const f) {
    static const int sub_x[4] = {0, 2, 2, 1}, sub_y[4] = {0, 2, 1, 1};
    const taps *const t = pic->taps;
    memset(f, 0, sizeof *f);
    f->info = pic->info;
    for (int p = 0; p < 3; p++) {
        f->decoded[p] = pic->plane[p];
        f->decoded_stride[p] = pic->stride[p];
        f->prediction[p] = t->prediction[p];
        f->residual[p] = t->residual[p];
        f->level[p] = t->level[p];
        f->qp[p] = pic->info.separate_colour_planes ? t[p].qp[0] : t->qp[p];
        const int c = pic->info.chroma_format_idc;
        f->width[p] = p == 0   ? pic->info.coded_width
                      : c == 0 ? 0
                               : pic->info.coded_width / sub_x[c];
        f->height[p] = p == 0   ? pic->info.coded_height
                       : c == 0 ? 0
                                : pic->info.coded_height / sub_y[c];
    }
    f->tu = t->tu;
    f->mb_type = t->mb_type;
    f->cbp = t->cbp;
    f->slice = t->slice;
    f->field = t->field;
    f->concealed = t->concealed;
    f->intra_luma = t->intra_luma;
    f->intra_chroma = t->intra_chroma;
    f->mb_bits = t->bits;
    for (int part = 0; part < N_COSTS; part++)
        f->part_bits[part] = t->part[part];
    f->bits = (uint32_t)((pic->cost + 128) >> 8);
    f->bytes = pic->bytes;
    f->mv = t->mv;
    f->ref = t->ref;
    memcpy(f->scaling4x4, pic->ScalingList4x4, sizeof f->scaling4x4);
    memcpy(f->scaling8x8, pic->ScalingList8x8, sizeof f->scaling8x8);
    f->decode_order = pic->uid;
    f->poc = pic->PicOrderCnt;
    f->picture_type = pic->picture_type;
    f->keyframe = pic->is_idr;
    f->recovery_point = pic->recovery_point;
    // slices sent twice may count twice
    f->concealed_mbs =
        imin(pic->concealed_mbs, pic->info.coded_width / 16 * (pic->info.coded_height / 16));
    f->pts = pic->pts;
}
