/* Unit check of inter.c: 8.4.2.2 and 8.4.2.3 against the formulas of single samples, for all chroma
 * formats, sample sizes, frames and fields, with vectors near and far. */
#include <stdio.h>
#include <string.h>

#include "core_test.h"

static int line2(const int a, const int b) {
    return (a + b + 1) >> 1;
}

typedef struct source { // a plane of a frame or field
    const h264_decoder *dec;
    const ref_entry *ref;
    int plane, max;
} source;

static int at(const source *const s, const int x, const int y) { // (8-239), (8-240)
    const bool field = s->ref->structure != FRAME;
    const int rows = s->dec->height[s->plane] / (field ? 2 : 1);
    const int row = iclip(y, 0, rows - 1) * (field ? 2 : 1) + (s->ref->structure == BOTTOM_FIELD);
    return get(s->ref->pic->plane[s->plane], s->dec->k->sample_size,
               row * s->dec->width[s->plane] + iclip(x, 0, s->dec->width[s->plane] - 1));
}

static int six(const int t[6]) {
    return t[0] - 5 * t[1] + 20 * t[2] + 20 * t[3] - 5 * t[4] + t[5];
}

static int b1(const source *const s, const int x, const int y) {
    int t[6];
    for (int i = 0; i < 6; i++)
        t[i] = at(s, x + i - 2, y);
    return six(t);
}

static int half_b(const source *const s, const int x, const int y) {
    return iclip((b1(s, x, y) + 16) >> 5, 0, s->max);
}

static int half_h(const source *const s, const int x, const int y) {
    int t[6];
    for (int i = 0; i < 6; i++)
        t[i] = at(s, x, y + i - 2);
    return iclip((six(t) + 16) >> 5, 0, s->max);
}

static int half_j(const source *const s, const int x, const int y) {
    int t[6];
    for (int i = 0; i < 6; i++)
        t[i] = b1(s, x, y + i - 2);
    return iclip((six(t) + 512) >> 10, 0, s->max);
}

// Table 8-12 and (8-241) to (8-262), position by position
static int ref_luma(const source *const s, const int x, const int y, const int fx, const int fy) {
    switch (fy * 4 + fx) {
    case 0: return at(s, x, y);
    case 1: return line2(at(s, x, y), half_b(s, x, y));
    case 2: return half_b(s, x, y);
    case 3: return line2(at(s, x + 1, y), half_b(s, x, y));
    case 4: return line2(at(s, x, y), half_h(s, x, y));
    case 5: return line2(half_b(s, x, y), half_h(s, x, y));
    case 6: return line2(half_b(s, x, y), half_j(s, x, y));
    case 7: return line2(half_b(s, x, y), half_h(s, x + 1, y));
    case 8: return half_h(s, x, y);
    case 9: return line2(half_h(s, x, y), half_j(s, x, y));
    case 10: return half_j(s, x, y);
    case 11: return line2(half_j(s, x, y), half_h(s, x + 1, y));
    case 12: return line2(at(s, x, y + 1), half_h(s, x, y));
    case 13: return line2(half_h(s, x, y), half_b(s, x, y + 1));
    case 14: return line2(half_j(s, x, y), half_b(s, x, y + 1));
    default: return line2(half_h(s, x + 1, y), half_b(s, x, y + 1));
    }
}

// (8-229) to (8-232), (8-266), Table 8-9. `parity` is the current field's.
static int ref_chroma(const source *const s, const inter_block *const b, const int list,
                      const int x, const int y, const int parity) {
    const int format = s->dec->active_sps.ChromaArrayType, v = format == 1 ? 2 : 1;
    int mvy = b->mv[list][1];
    if (format == 1 && s->ref->structure != FRAME && s->ref->structure != parity)
        mvy += s->ref->structure == BOTTOM_FIELD ? -2 : 2;
    const int xI = b->x / 2 + (b->mv[list][0] >> 3) + x, xF = b->mv[list][0] & 7;
    const int yI = b->y / v + (mvy >> (v + 1)) + y, yF = v == 2 ? mvy & 7 : (mvy & 3) << 1;
    return ((8 - xF) * (8 - yF) * at(s, xI, yI) + xF * (8 - yF) * at(s, xI + 1, yI) +
            (8 - xF) * yF * at(s, xI, yI + 1) + xF * yF * at(s, xI + 1, yI + 1) + 32) >>
           6;
}

static int ref_predict(const h264_decoder *const dec, const inter_block *const b, const int plane,
                       const int x, const int y, const int parity) {
    const int format = dec->active_sps.ChromaArrayType;
    const int max = (1 << (plane ? dec->active_sps.BitDepthC : dec->active_sps.BitDepthY)) - 1;
    int v[2] = {0, 0};
    for (int l = 0; l < 2; l++) {
        const source s = {dec, b->ref[l], plane, max};
        if (!b->ref[l])
            continue;
        v[l] = plane && format != 3
                   ? ref_chroma(&s, b, l, x, y, parity)
                   : ref_luma(&s, b->x + (b->mv[l][0] >> 2) + x, b->y + (b->mv[l][1] >> 2) + y,
                              b->mv[l][0] & 3, b->mv[l][1] & 3);
    }
    const int *const w[2] = {b->weight[0], b->weight[1]}, *const o[2] = {b->offset[0],
                                                                         b->offset[1]};
    const int logWD = b->log2_denom[plane];
    if (b->ref[0] && b->ref[1])
        return !b->weighted ? (v[0] + v[1] + 1) >> 1
                            : iclip(((v[0] * w[0][plane] + v[1] * w[1][plane] + (1 << logWD)) >>
                                     (logWD + 1)) +
                                        ((o[0][plane] + o[1][plane] + 1) >> 1),
                                    0, max);
    const int l = b->ref[0] ? 0 : 1;
    if (!b->weighted)
        return v[l];
    if (logWD >= 1)
        return iclip(((v[l] * w[l][plane] + (1 << (logWD - 1))) >> logWD) + o[l][plane], 0, max);
    return iclip(v[l] * w[l][plane] + o[l][plane], 0, max);
}

static inter_block random_block(const ref_entry refs[2], const int depth) {
    static const int sides[7][2] = {{16, 16}, {16, 8}, {8, 16}, {8, 8}, {8, 4}, {4, 8}, {4, 4}};
    const int *const side = sides[rnd(7)], lists = 1 + rnd(3);
    const int rows = refs[0].structure == FRAME ? PIC_H : PIC_H / 2;
    inter_block b = {.w = side[0], .h = side[1], .weighted = rnd(3) == 0};
    b.x = rnd((PIC_W - b.w) / 4 + 1) * 4;
    b.y = rnd((rows - b.h) / 4 + 1) * 4;
    const int reach = rnd(4) == 0 ? 65536 : rnd(3) ? 40 : 300, implicit = rnd(2);
    for (int l = 0; l < 2; l++) {
        b.ref[l] = lists >> l & 1 ? &refs[l] : NULL;
        b.mv[l][0] = (int16_t)(rnd(reach) - reach / 2);
        b.mv[l][1] = (int16_t)(rnd(reach) - reach / 2);
    }
    for (int i = 0; i < 3; i++) {
        b.log2_denom[i] = implicit ? 5 : rnd(8);
        for (int l = 0; l < 2; l++) {
            b.weight[l][i] = rnd(257) - 128;
            b.offset[l][i] = implicit ? 0 : (rnd(256) - 128) * (1 << (depth - 8));
        }
        if (implicit || rnd(2)) // the sum that 7.4.3.2 allows; else anything
            b.weight[1][i] = iclip(64 - b.weight[0][i], -128, 128);
    }
    return b;
}

// A run of macroblocks at full samples, beside the formulas
static void check_run(h264_decoder *const dec, const ref_entry refs[2], const int size,
                      const int depth) {
    inter_block b = random_block(refs, depth);
    b.w = 16 * (1 + rnd(PIC_W / 16));
    b.h = 16;
    b.x = rnd((PIC_W - b.w) / 16 + 1) * 16;
    b.y = rnd(PIC_H / 16) * 16;
    for (int l = 0; l < 2; l++)
        for (int c = 0; c < 2; c++)
            b.mv[l][c] = (int16_t)(8 * (rnd(9) - 4) + (rnd(8) == 0));
    if (!h264_is_full_sample(dec, &b))
        return;
    uint16_t got[3][PIC_W * 16], want[3][PIC_W * 16];
    uint8_t *const dst[3] = {(uint8_t *)got[0], (uint8_t *)got[1], (uint8_t *)got[2]};
    const ptrdiff_t strides[3] = {PIC_W * size, PIC_W * size, PIC_W * size};
    memset(got, 77, sizeof(got));
    memcpy(want, got, sizeof(got));
    h264_inter_predict_run(dec, &b, dst, strides);
    for (int i = 0; i < (dec->active_sps.ChromaArrayType ? 3 : 1); i++) {
        const int w = i ? b.w * dec->mb_width_c / 16 : b.w, h = i ? dec->mb_height_c : 16;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                put(want[i], size, y * PIC_W + x, ref_predict(dec, &b, i, x, y, FRAME));
        check_samples("inter run", got[i], want[i], size, PIC_W, PIC_W, 16);
    }
}

void test_inter(void) {
    for (int round = 0; round < 4000; round++) {
        static h264_decoder *dec;
        static picture *pics[2];
        static ref_entry refs[2];
        static int size, depth;
        if (round % 100 == 0) { // other pictures
            const int format = round / 100 % 4;
            size = round / 400 % 2 ? 2 : 1;
            depth = size == 1 ? 8 : 9 + rnd(6);
            dec = new_decoder(format, size, depth, size == 1 ? 8 : depth == 9 ? 10 : depth - 1);
            for (int l = 0; l < 2; l++)
                pics[l] = new_picture(dec, 0);
        }
        const bool field = rnd(3) == 0;
        for (int l = 0; l < 2; l++)
            refs[l] = (ref_entry){.pic = pics[l], .structure = field ? 1 + rnd(2) : FRAME};
        const int parity = 1 + rnd(2);
        dec->slice.mb.mb_y = parity == BOTTOM_FIELD;
        const inter_block b = random_block(refs, depth);
        uint16_t got[3][24 * 16], want[3][24 * 16];
        uint8_t *const dst[3] = {(uint8_t *)got[0], (uint8_t *)got[1], (uint8_t *)got[2]};
        const ptrdiff_t strides[3] = {24 * size, 24 * size, 24 * size};
        memset(got, 77, sizeof(got));
        memcpy(want, got, sizeof(got));
        h264_inter_predict(dec, &b, dst, strides);
        for (int i = 0; i < (dec->active_sps.ChromaArrayType ? 3 : 1); i++) {
            const int w = i ? b.w * dec->mb_width_c / 16 : b.w,
                      h = i ? b.h * dec->mb_height_c / 16 : b.h;
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++)
                    put(want[i], size, y * 24 + x, ref_predict(dec, &b, i, x, y, parity));
            char what[128];
            snprintf(what, sizeof(what), "inter %dx%d plane %d mv %d %d, %d %d weighted %d size %d",
                     b.w, b.h, i, b.mv[0][0], b.mv[0][1], b.mv[1][0], b.mv[1][1], b.weighted, size);
            check_samples(what, got[i], want[i], size, 24, 24, 16);
        }
        if (!field)
            check_run(dec, refs, size, depth);
        if (round % 100 == 99) {
            free_picture(pics[0]);
            free_picture(pics[1]);
            free_decoder(dec);
        }
    }
}
