/* Slice group maps (8.2.2) against the formulas of the standard taken literally, on random sizes
 * and parameters. */
#include <stdlib.h>
#include <string.h>

#include "core_test.h"

enum {
    MAX_UNITS = 24 * 24
};

static void ref_box_out(const pps *const p, const int w, const int h, const int units,
                        uint8_t *const map) {
    const int dir = p->slice_group_change_direction_flag;
    memset(map, 1, (size_t)(w * h));
    int x = (w - dir) / 2, y = (h - dir) / 2;
    int leftBound = x, rightBound = x, topBound = y, bottomBound = y, xDir = dir - 1, yDir = dir;
    int mapUnitVacant;
    for (int k = 0; k < units; k += mapUnitVacant) {
        mapUnitVacant = map[y * w + x] == 1;
        if (mapUnitVacant)
            map[y * w + x] = 0;
        if (xDir == -1 && x == leftBound) {
            leftBound = imax(leftBound - 1, 0);
            x = leftBound;
            xDir = 0;
            yDir = 2 * dir - 1;
        } else if (xDir == 1 && x == rightBound) {
            rightBound = imin(rightBound + 1, w - 1);
            x = rightBound;
            xDir = 0;
            yDir = 1 - 2 * dir;
        } else if (yDir == -1 && y == topBound) {
            topBound = imax(topBound - 1, 0);
            y = topBound;
            xDir = 1 - 2 * dir;
            yDir = 0;
        } else if (yDir == 1 && y == bottomBound) {
            bottomBound = imin(bottomBound + 1, h - 1);
            y = bottomBound;
            xDir = 2 * dir - 1;
            yDir = 0;
        } else {
            x += xDir;
            y += yDir;
        }
    }
}

static void ref_foreground(const pps *const p, const int w, const int h, uint8_t *const map) {
    const int n = p->num_slice_groups;
    for (int i = 0; i < w * h; i++) {
        map[i] = (uint8_t)(n - 1);
        for (int group = n - 2; group >= 0; group--) {
            const int first = p->top_left[group], last = p->bottom_right[group];
            if (i / w >= first / w && i / w <= last / w && i % w >= first % w && i % w <= last % w)
                map[i] = (uint8_t)group;
        }
    }
}

static void ref_map_units(const pps *const p, const int w, const int h, const int in_group_0,
                          uint8_t *const map) {
    const int size = w * h, n = p->num_slice_groups, dir = p->slice_group_change_direction_flag;
    const int upper_left = dir ? size - in_group_0 : in_group_0;
    int run = 0, group = 0;
    for (int i = 0; i < size; i++) {
        switch (p->slice_group_map_type) {
        case 0:
            map[i] = (uint8_t)group;
            if (++run > p->run_length_minus1[group]) {
                group = (group + 1) % n;
                run = 0;
            }
            break;
        case 1: map[i] = (uint8_t)(((i % w) + (((i / w) * n) / 2)) % n); break;
        case 4: map[i] = (uint8_t)(i < upper_left ? dir : 1 - dir); break;
        case 5: map[i] = (uint8_t)(i % w * h + i / w < upper_left ? dir : 1 - dir); break;
        default: map[i] = p->slice_group_id ? p->slice_group_id[i] : 0;
        }
    }
    if (p->slice_group_map_type == 2)
        ref_foreground(p, w, h, map);
    if (p->slice_group_map_type == 3)
        ref_box_out(p, w, h, in_group_0, map);
}

static void random_groups(pps *const p, const int w, const int h, uint8_t *const ids) {
    p->slice_group_map_type = rnd(7);
    const bool two = p->slice_group_map_type >= 3 && p->slice_group_map_type <= 5;
    p->num_slice_groups = two ? 2 : 2 + rnd(MAX_SLICE_GROUPS - 1);
    p->slice_group_change_direction_flag = rnd(2);
    p->slice_group_change_rate = 1 + rnd(5);
    for (int i = 0; i < MAX_SLICE_GROUPS; i++) {
        p->run_length_minus1[i] = rnd(w * 2);
        const int x = rnd(w), y = rnd(h);
        p->top_left[i] = y * w + x;
        p->bottom_right[i] = (y + rnd(h - y)) * w + x + rnd(w - x);
    }
    for (int i = 0; i < w * h; i++)
        ids[i] = (uint8_t)rnd(p->num_slice_groups);
    p->slice_group_id = p->slice_group_map_type == 6 ? ids : NULL;
    p->pic_size_in_map_units = w * h;
}

static bool equal_maps(h264_decoder *const dec, const uint8_t *const units) {
    const sps *const s = dec->slice.sps;
    const int w = s->PicWidthInMbs, n = w * s->PicHeightInMapUnits;
    const bool frame = !s->frame_mbs_only_flag && !dec->slice.hdr.field_pic_flag;
    const uint8_t *const got = dec->slice.MbToSliceGroupMap;
    for (int i = 0; i < (frame ? 2 * n : n); i++) {
        const int unit = !frame                          ? i
                         : dec->slice.hdr.MbaffFrameFlag ? i / 2
                                                         : i / (2 * w) * w + i % w;
        if (got[i] != units[unit])
            return false;
    }
    return true;
}

static bool follows_its_group(const h264_decoder *const dec, const int n) {
    const slice_ctx *const s = &dec->slice;
    for (int i = 0; i < n; i++) {
        int next = i + 1;
        while (next < n && s->MbToSliceGroupMap[next] != s->MbToSliceGroupMap[i])
            next++;
        if (h264_next_mb_address(s, (uint32_t)i, (uint32_t)n) != (uint32_t)next)
            return false;
    }
    return true;
}

void test_slice_groups(void) {
    static uint8_t ids[MAX_UNITS], want[MAX_UNITS];
    h264_decoder *const dec = calloc(1, sizeof *dec);
    dec->slice_groups = malloc(2 * MAX_UNITS);
    sps s = {0};
    pps p = {0};
    dec->slice.sps = &s;
    dec->slice.pps = &p;
    for (int round = 0; round < 2000; round++) {
        const int w = 1 + rnd(24), h = 1 + rnd(24), size = w * h;
        s.PicWidthInMbs = w;
        s.PicHeightInMapUnits = h;
        s.frame_mbs_only_flag = rnd(2);
        dec->slice.hdr.field_pic_flag = !s.frame_mbs_only_flag && rnd(2);
        dec->slice.hdr.MbaffFrameFlag =
            !s.frame_mbs_only_flag && !dec->slice.hdr.field_pic_flag && rnd(2);
        random_groups(&p, w, h, ids);
        const int cycle = rnd(size / p.slice_group_change_rate + 2);
        dec->slice.hdr.slice_group_change_cycle = (uint32_t)cycle;
        ref_map_units(&p, w, h, imin(cycle * p.slice_group_change_rate, size), want);
        check_true("slice groups fit", h264_slice_groups(dec) == H264_OK);
        check_true("slice group map", equal_maps(dec, want));
        check_true("next macroblock", follows_its_group(dec, size));
    }
    p.slice_group_map_type = 6;
    p.pic_size_in_map_units = s.PicWidthInMbs * s.PicHeightInMapUnits + 1;
    check_true("slice groups of another size", h264_slice_groups(dec) == H264_CORRUPT);
    free(dec->slice_groups);
    free(dec);
}
