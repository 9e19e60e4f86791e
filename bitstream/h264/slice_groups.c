/* 8.2.2 Slice groups (flexible macroblock ordering): which macroblock belongs to which group, and
 * which one follows another in its slice (8.2.2, NextMbAddress()). In: the active parameter sets
 * and the slice header. Out: slice_ctx.MbToSliceGroupMap. */
#include <string.h>

#include "internal.h"

typedef struct map_units { // 8.2.2: of a frame, or of fields and pairs where these are coded
    uint8_t *group;
    int width, height, size;
    int in_group_0; // mapUnitsInSliceGroup0
} map_units;

// 8.2.2.1
static void interleaved(const pps *const p, const map_units *const m) {
    int i = 0;
    while (i < m->size) {
        for (int group = 0; group < p->num_slice_groups && i < m->size; group++) {
            const int run = imin(p->run_length_minus1[group] + 1, m->size - i);
            memset(m->group + i, group, (size_t)run);
            i += run;
        }
    }
}

// 8.2.2.2
static void dispersed(const pps *const p, const map_units *const m) {
    const int n = p->num_slice_groups;
    for (int i = 0; i < m->size; i++)
        m->group[i] = (uint8_t)((i % m->width + i / m->width * n / 2) % n);
}

// 8.2.2.3: of two rectangles that overlap the one with the smaller number lies above
static bool foreground(const pps *const p, const map_units *const m) {
    memset(m->group, p->num_slice_groups - 1, (size_t)m->size);
    for (int group = p->num_slice_groups - 2; group >= 0; group--) {
        const int first = p->top_left[group], last = p->bottom_right[group];
        const int left = first % m->width, right = last % m->width;
        if (last >= m->size || left > right)
            return false;
        for (int y = first / m->width; y <= last / m->width; y++)
            memset(m->group + y * m->width + left, group, (size_t)(right - left + 1));
    }
    return true;
}

/* 8.2.2.4: a spiral around the centre. A side of the box that lies at the edge of the picture, and
 * so did not move out at the last corner, has been walked along before: it is left out. */
static void box_out(const pps *const p, const map_units *const m) {
    const int dir = p->slice_group_change_direction_flag;
    int x = (m->width - dir) / 2, y = (m->height - dir) / 2;
    int left = x, right = x, top = y, bottom = y, dx = dir - 1, dy = dir;
    bool fresh = true;
    memset(m->group, 1, (size_t)m->size);
    for (int k = 0; k < m->in_group_0;) {
        uint8_t *const group = &m->group[y * m->width + x];
        k += *group;
        *group = 0;
        int *const bound = dx < 0 ? &left : dx > 0 ? &right : dy < 0 ? &top : &bottom;
        int *const at = dx ? &x : &y;
        const int step = dx + dy, end = dx ? m->width - 1 : m->height - 1;
        if (*at != *bound) {
            *at = fresh ? *at + step : *bound;
            continue;
        }
        *bound = iclip(*bound + step, 0, end);
        fresh = *at != *bound;
        *at = *bound;
        const int turn = 2 * dir - 1, old_dx = dx;
        dx = dx ? 0 : dy * turn;
        dy = old_dx ? -old_dx * turn : 0;
    }
}

// 8.2.2.5
static void raster(const map_units *const m, const int upper_left, const int dir) {
    memset(m->group, dir, (size_t)upper_left);
    memset(m->group + upper_left, 1 - dir, (size_t)(m->size - upper_left));
}

// 8.2.2.6
static void wipe(const map_units *const m, const int upper_left, const int dir) {
    int k = 0;
    for (int x = 0; x < m->width; x++)
        for (int y = 0; y < m->height; y++)
            m->group[y * m->width + x] = (uint8_t)(k++ < upper_left ? dir : 1 - dir);
}

static bool fill_map_units(const pps *const p, const map_units *const m) {
    const int dir = p->slice_group_change_direction_flag;
    const int upper_left = dir ? m->size - m->in_group_0 : m->in_group_0;
    switch (p->slice_group_map_type) {
    case 0: interleaved(p, m); return true;
    case 1: dispersed(p, m); return true;
    case 2: return foreground(p, m);
    case 3: box_out(p, m); return true;
    case 4: raster(m, upper_left, dir); return true;
    case 5: wipe(m, upper_left, dir); return true;
    default: // 8.2.2.7
        if (p->pic_size_in_map_units != m->size)
            return false;
        memcpy(m->group, p->slice_group_id, (size_t)m->size);
        return true;
    }
}

/* 8.2.2.8, in place. Map units of frame macroblocks in a stream that may have fields cover two
 * rows, those of MBAFF a pair of macroblocks: the map grows from its end. */
static void spread(const map_units *const m, const bool pairs) {
    for (int i = 2 * m->size - 1; i >= 0; i--) {
        const int row = i / m->width, column = i % m->width;
        m->group[i] = m->group[pairs ? i / 2 : row / 2 * m->width + column];
    }
}

int h264_slice_groups(h264_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    const pps *const p = c->pps;
    c->MbToSliceGroupMap = NULL;
    if (p->num_slice_groups == 1)
        return H264_OK;
    map_units m = {
        .group = dec->slice_groups, .width = s->PicWidthInMbs, .height = s->PicHeightInMapUnits};
    m.size = m.width * m.height;
    const uint64_t change =
        (uint64_t)c->hdr.slice_group_change_cycle * (uint64_t)p->slice_group_change_rate;
    m.in_group_0 = change < (uint64_t)m.size ? (int)change : m.size;
    if (!fill_map_units(p, &m))
        return H264_CORRUPT;
    if (!s->frame_mbs_only_flag && !c->hdr.field_pic_flag)
        spread(&m, c->hdr.MbaffFrameFlag);
    c->MbToSliceGroupMap = dec->slice_groups;
    return H264_OK;
}

uint32_t h264_next_mb_address(const slice_ctx *const s, const uint32_t n, const uint32_t end) {
    const uint8_t *const map = s->MbToSliceGroupMap;
    uint32_t i = n + 1;
    while (map && i < end && map[i] != map[n])
        i++;
    return i;
}
