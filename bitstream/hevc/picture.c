/* Frame slots, tap buffers and what belongs to the current picture; activation of a sequence
 * parameter set. All buffers of a pool have the size that the active set asks for; when another
 * changes it, `geometry` counts on and what is still out is freed when it comes back. */
#include <stdlib.h>

#include "../coding/memory.h"

#include "internal.h"

enum {
    PLANE_GUARD = 64, // bytes around each plane that may be read, not written
};

static size_t map_size(const hevc_decoder *const dec) {
    return (size_t)dec->map_stride * (size_t)dec->map_height;
}

// ------------------------------------------------------------------------------------ frame slots

static bool is_free(const picture *const pic) {
    return !pic->current && !pic->in_dpb && !pic->queued && !pic->locked;
}

static void lay_out_picture(const hevc_decoder *const dec, picture *const pic, carver *const c) {
    for (int p = 0; p < 3; p++) {
        pic->stride[p] = (ptrdiff_t)memory_aligned((size_t)(dec->width[p] * dec->k->sample_size));
        pic->plane[p] = NULL;
        if (dec->width[p] == 0)
            continue;
        uint8_t *const at =
            carve(c, (size_t)pic->stride[p] * (size_t)dec->height[p] + 2 * PLANE_GUARD);
        pic->plane[p] = at == NULL ? NULL : at + PLANE_GUARD;
    }
    pic->motion = carve(c, map_size(dec) * sizeof(motion));
}

static picture *new_picture(const hevc_decoder *const dec) {
    picture *const pic = calloc(1, sizeof *pic);
    if (pic == NULL)
        return NULL;
    carver c = {.base = NULL, .used = 0};
    lay_out_picture(dec, pic, &c);
    pic->memory = c.base = memory_block(c.used, 0);
    c.used = 0;
    if (c.base == NULL) {
        free(pic);
        return NULL;
    }
    lay_out_picture(dec, pic, &c);
    pic->geometry = dec->geometry;
    return pic;
}

static void free_picture(hevc_decoder *const dec, const int i) {
    memory_free(dec->pictures[i]->memory);
    free(dec->pictures[i]);
    dec->pictures[i] = dec->pictures[--dec->n_pictures];
}

static void reset_picture(picture *const pic) {
    picture fresh = {.motion = pic->motion, .memory = pic->memory, .geometry = pic->geometry};
    memcpy(fresh.plane, pic->plane, sizeof fresh.plane);
    memcpy(fresh.stride, pic->stride, sizeof fresh.stride);
    *pic = fresh;
    pic->pts = INT64_MIN;
    pic->picture_type = 0;
}

picture *hevc_picture_get(hevc_decoder *const dec) {
    for (int i = 0; i < dec->n_pictures; i++) {
        if (is_free(dec->pictures[i]) && dec->pictures[i]->geometry == dec->geometry) {
            reset_picture(dec->pictures[i]);
            return dec->pictures[i];
        }
    }
    if (dec->n_pictures == MAX_PICTURES)
        return NULL;
    picture *const pic = new_picture(dec);
    if (pic == NULL)
        return NULL;
    dec->pictures[dec->n_pictures++] = pic;
    reset_picture(pic);
    return pic;
}

static void give_back_taps(hevc_decoder *const dec, picture *const pic) {
    taps *const t = pic->taps;
    pic->taps = NULL;
    if (t == NULL)
        return;
    if (pic->geometry == dec->geometry) {
        t->next = dec->free_taps;
        dec->free_taps = t;
    } else {
        memory_free(t->memory);
        free(t);
    }
}

void hevc_picture_release(hevc_decoder *const dec, picture *const pic) {
    if (!pic->current && !pic->needed_for_output && !pic->queued && !pic->locked)
        give_back_taps(dec, pic);
    if (!is_free(pic) || pic->geometry == dec->geometry)
        return;
    for (int i = 0; i < dec->n_pictures; i++) {
        if (dec->pictures[i] == pic) {
            free_picture(dec, i);
            return;
        }
    }
}

/* Mid-grey, as if intra coded (8.3.3.2). */
void hevc_picture_grey(hevc_decoder *const dec, picture *const pic) {
    for (int p = 0; p < 3; p++) {
        const int value = 1 << (hevc_depth(&dec->active_sps, p) - 1);
        for (int y = 0; y < dec->height[p]; y++) {
            uint8_t *const row = pic->plane[p] + y * pic->stride[p];
            if (dec->k->sample_size == 1)
                memset(row, value, (size_t)dec->width[p]);
            else
                for (int x = 0; x < dec->width[p]; x++)
                    ((uint16_t *)(void *)row)[x] = (uint16_t)value;
        }
    }
    for (size_t i = 0; i < map_size(dec); i++)
        pic->motion[i] = hevc_no_motion;
}

// ------------------------------------------------------------------------------------ tap buffers

// Returns how much at the beginning is zero where zero_residual and zero_level say so.
static size_t lay_out_taps(const hevc_decoder *const dec, taps *const t, carver *const c) {
    const unsigned want = dec->settings.taps;
    const size_t maps = map_size(dec), difference = 2 * (size_t)dec->k->sample_size;
    for (int p = 0; p < 3; p++) {
        const size_t n = (size_t)dec->width[p] * (size_t)dec->height[p];
        t->residual[p] = n > 0 && want & HEVC_TAP_RESIDUAL ? carve(c, n * difference) : NULL;
        t->level[p] = n > 0 && want & HEVC_TAP_LEVEL ? carve(c, n * difference) : NULL;
    }
    t->zero_residual = carve(c, 3 * dec->ctbs);
    t->zero_level = carve(c, 3 * dec->ctbs);
    const size_t zeroed = c->used;
    for (int p = 0; p < 3; p++) {
        const size_t n = (size_t)dec->width[p] * (size_t)dec->height[p];
        t->prediction[p] =
            n > 0 && want & HEVC_TAP_PREDICTION ? carve(c, n * (size_t)dec->k->sample_size) : NULL;
        t->qp[p] = carve(c, maps);
        t->res_scale[p] = p > 0 && dec->active_sps.chroma_format_idc == 3 ? carve(c, maps) : NULL;
    }
    uint8_t **const of_bytes[] = {&t->cu_size, &t->mode,       &t->part,        &t->bypass,
                                  &t->tu_size, &t->tu_kind[0], &t->tu_kind[1],  &t->tu_kind[2],
                                  &t->merge,   &t->intra_luma, &t->intra_chroma};
    for (size_t i = 0; i < sizeof of_bytes / sizeof *of_bytes; i++)
        *of_bytes[i] = carve(c, maps);
    if (want & HEVC_TAP_MOTION) {
        t->mv = carve(c, maps * 4 * sizeof *t->mv);
        t->ref_poc = carve(c, maps * 2 * sizeof *t->ref_poc);
        t->ref = carve(c, maps * 2 * sizeof *t->ref);
    }
    t->cu_bits = carve(c, maps / 4 * sizeof *t->cu_bits); // coding blocks have 8x8 samples at least
    for (int part = 0; part < N_COSTS && want & HEVC_TAP_BITS; part++)
        t->part_bits[part] = carve(c, maps / 4 * sizeof *t->part_bits[part]);
    t->ctu_concealed = carve(c, dec->ctbs);
    t->ctu_bits = carve(c, dec->ctbs * sizeof *t->ctu_bits);
    t->ctu_slice = carve(c, dec->ctbs * sizeof *t->ctu_slice);
    t->ctu_tile = carve(c, dec->ctbs * sizeof *t->ctu_tile);
    t->ctu_sao = carve(c, dec->ctbs * 3 * 6 * sizeof *t->ctu_sao);
    return zeroed;
}

// What tells layouts of tap buffers from each other, and where coding tree units are in them
static uint64_t kind_of_taps(const hevc_decoder *const dec) {
    const sps *const s = &dec->active_sps;
    uint64_t kind = 1;
    kind = kind << 20 | (uint64_t)dec->map_stride;
    kind = kind << 20 | (uint64_t)dec->map_height;
    kind = kind << 8 | (dec->settings.taps & 255);
    kind = kind << 2 | (uint64_t)s->chroma_format_idc;
    kind = kind << 2 | (uint64_t)dec->k->sample_size;
    return kind << 3 | (uint64_t)s->CtbLog2SizeY;
}

static taps *new_taps(const hevc_decoder *const dec) {
    taps *const t = calloc(1, sizeof *t);
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
    if (!again) {
        memset(t->zero_residual, ALL_BANDS, 3 * dec->ctbs);
        memset(t->zero_level, ALL_BANDS, 3 * dec->ctbs);
    }
    return t;
}

int hevc_taps_get(hevc_decoder *const dec, picture *const pic) {
    pic->taps = dec->free_taps;
    if (pic->taps != NULL)
        dec->free_taps = pic->taps->next;
    else
        pic->taps = new_taps(dec);
    if (pic->taps == NULL)
        return HEVC_NOMEM;
    taps *const t = pic->taps;
    memset(t->ctu_concealed, 0, dec->ctbs);
    memset(t->ctu_bits, 0, dec->ctbs * sizeof *t->ctu_bits);
    return HEVC_OK;
}

void *hevc_taps_take(picture *const pic) {
    taps *const t = pic->taps;
    if (t == NULL || !memory_keeps(t->size))
        return NULL;
    void *const memory = t->memory;
    pic->taps = NULL;
    free(t);
    return memory;
}

static void free_pooled_taps(hevc_decoder *const dec) {
    while (dec->free_taps != NULL) {
        taps *const t = dec->free_taps;
        dec->free_taps = t->next;
        memory_free(t->memory);
        free(t);
    }
}

// ------------------------------------------------------------------------------------- activation

static void fill_info(const sps *const s, hevc_stream_info *const info) {
    *info = (hevc_stream_info){.profile_idc = s->profile_idc,
                               .level_idc = s->level_idc,
                               .coded_width = s->width,
                               .coded_height = s->height,
                               .crop_left = s->conf_win_left_offset,
                               .crop_right = s->conf_win_right_offset,
                               .crop_top = s->conf_win_top_offset,
                               .crop_bottom = s->conf_win_bottom_offset,
                               .chroma_format_idc = s->chroma_format_idc,
                               .bit_depth_luma = s->BitDepthY,
                               .bit_depth_chroma = s->BitDepthC,
                               .matrix_coefficients = s->matrix_coeffs,
                               .colour_primaries = s->colour_primaries,
                               .transfer_characteristics = s->transfer_characteristics,
                               .video_full_range = s->video_full_range_flag,
                               .sar_width = s->sar_width,
                               .sar_height = s->sar_height,
                               .num_units_in_tick = s->num_units_in_tick,
                               .time_scale = s->time_scale,
                               .field_seq = s->field_seq_flag,
                               .ctu_size = 1 << s->CtbLog2SizeY,
                               .ctu_width = s->PicWidthInCtbs,
                               .ctu_height = s->PicHeightInCtbs};
}

// Returns how much at the beginning is zero.
static size_t lay_out_current(hevc_decoder *const dec, const sps *const s, carver *const c) {
    const size_t ctbs = (size_t)s->PicWidthInCtbs * (size_t)s->PicHeightInCtbs;
    const size_t size = (size_t)dec->k->sample_size, rows = (size_t)1 << s->CtbLog2SizeY;
    tap_group *const g = &dec->group;
    for (int p = 0; p < 3; p++) {
        const size_t n = dec->width[p] == 0 ? 0 : GROUP_WIDTH * rows * size;
        g->residual[p] = carve(c, 2 * n);
        g->level[p] = carve(c, 2 * n);
    }
    const size_t zeroed = c->used;
    for (int p = 0; p < 3; p++)
        g->prediction[p] = carve(c, dec->width[p] == 0 ? 0 : GROUP_WIDTH * rows * size);
    dec->edges = carve(c, map_size(dec));
    dec->sao = carve(c, ctbs * sizeof *dec->sao);
    dec->ctb_slice = carve(c, ctbs * sizeof *dec->ctb_slice);
    size_t most = 0;
    for (int p = 0; p < 3; p++) {
        const size_t n = (memory_aligned((size_t)(dec->width[p] * dec->k->sample_size))) *
                             (size_t)dec->height[p] +
                         2 * PLANE_GUARD;
        most = n > most ? n : most;
    }
    dec->deblocked_ = carve(c, most);
    return zeroed;
}

static int change_geometry(hevc_decoder *const dec, const sps *const s) {
    dec->geometry++;
    free_pooled_taps(dec);
    for (int i = dec->n_pictures - 1; i >= 0; i--)
        if (is_free(dec->pictures[i]))
            free_picture(dec, i);
    const bool wide = s->BitDepthY > 8 || s->BitDepthC > 8;
    hevc_kernels(&dec->kernels, wide ? 2 : 1);
    dec->k = &dec->kernels;
    for (int p = 0; p < 3; p++) {
        const bool none = p > 0 && s->chroma_format_idc == 0;
        dec->width[p] = none ? 0 : p == 0 ? s->width : s->width >> s->sub_x;
        dec->height[p] = none ? 0 : p == 0 ? s->height : s->height >> s->sub_y;
    }
    dec->map_stride = s->width >> 2;
    dec->map_height = s->height >> 2;
    dec->ctbs = (size_t)s->PicWidthInCtbs * (size_t)s->PicHeightInCtbs;
    memory_free(dec->picture_memory);
    dec->picture_memory = NULL;
    carver c = {.base = NULL, .used = 0};
    const size_t zeroed = lay_out_current(dec, s, &c);
    dec->picture_memory = c.base = memory_block(c.used, zeroed);
    c.used = 0;
    if (c.base == NULL)
        return HEVC_NOMEM;
    (void)lay_out_current(dec, s, &c);
    return HEVC_OK;
}

int hevc_activate(hevc_decoder *const dec, const sps *const s) {
    const sps *const a = &dec->active_sps;
    if ((uint64_t)s->width * (uint64_t)s->height > dec->settings.max_pixels)
        return hevc_error(dec, HEVC_NOMEM,
                          "picture of %dx%d samples is larger than the limit of %u", s->width,
                          s->height, dec->settings.max_pixels);
    const bool wide = s->BitDepthY > 8 || s->BitDepthC > 8;
    const bool same = a->valid && a->width == s->width && a->height == s->height &&
                      a->chroma_format_idc == s->chroma_format_idc &&
                      a->CtbLog2SizeY == s->CtbLog2SizeY &&
                      (a->BitDepthY > 8 || a->BitDepthC > 8) == wide;
    dec->active_sps.valid = false; // until all is allocated
    if (!same)
        hevc_dpb_flush(dec, true); // nothing of another size is ever referred to
    if (!same && change_geometry(dec, s) < 0)
        return hevc_error(dec, HEVC_NOMEM, "no memory for pictures of %dx%d samples", s->width,
                          s->height);
    dec->active_sps = *s;
    fill_info(s, &dec->info);
    return HEVC_OK;
}

void hevc_pictures_free(hevc_decoder *const dec) {
    while (dec->n_pictures > 0) {
        taps *const t = dec->pictures[0]->taps;
        if (t != NULL) {
            memory_free(t->memory);
            free(t);
        }
        free_picture(dec, 0);
    }
    free_pooled_taps(dec);
    memory_free(dec->picture_memory);
    free(dec->lay.memory);
    free(dec->filters);
}

// ----------------------------------------------------------------------------------------- output

void hevc_frame_fill(const picture *const pic, hevc_frame *const f) {
    const taps *const t = pic->taps;
    const int c = pic->info.chroma_format_idc;
    memset(f, 0, sizeof *f);
    f->info = pic->info;
    for (int p = 0; p < 3; p++) {
        f->decoded[p] = pic->plane[p];
        f->decoded_stride[p] = pic->stride[p];
        f->prediction[p] = t->prediction[p];
        f->residual[p] = t->residual[p];
        f->level[p] = t->level[p];
        f->qp[p] = t->qp[p];
        f->tu_kind[p] = t->tu_kind[p];
        f->res_scale[p] = t->res_scale[p];
        const bool none = p > 0 && c == 0;
        f->width[p] = none ? 0 : pic->info.coded_width >> (p > 0 && (c == 1 || c == 2));
        f->height[p] = none ? 0 : pic->info.coded_height >> (p > 0 && c == 1);
    }
    f->cu_size = t->cu_size;
    f->mode = t->mode;
    f->part = t->part;
    f->bypass = t->bypass;
    f->tu_size = t->tu_size;
    f->merge = t->merge;
    f->intra_luma = t->intra_luma;
    f->intra_chroma = t->intra_chroma;
    f->mv = t->mv;
    f->ref_poc = t->ref_poc;
    f->ref = t->ref;
    if (t->scaled) {
        f->scaling4x4 = &t->scaling.list4x4[0][0];
        f->scaling8x8 = &t->scaling.list8x8[0][0][0];
        f->scaling_dc = &t->scaling.dc[0][0];
    }
    f->cu_bits = t->cu_bits;
    for (int part = 0; part < N_COSTS; part++)
        f->part_bits[part] = t->part_bits[part];
    f->ctu_concealed = t->ctu_concealed;
    f->ctu_bits = t->ctu_bits;
    f->ctu_slice = t->ctu_slice;
    f->ctu_tile = t->ctu_tile;
    f->ctu_sao = t->ctu_sao;
    f->bits = (uint32_t)((pic->cost + 128) >> 8);
    f->bytes = pic->bytes;
    f->decode_order = pic->decode_order;
    f->poc = pic->poc;
    f->picture_type = pic->picture_type;
    f->keyframe = pic->keyframe;
    f->concealed_ctus = pic->concealed_ctus;
    f->hash = pic->hash;
    f->pts = pic->pts;
}
