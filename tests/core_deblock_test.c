/* Unit check of deblock.c: whole pictures of random macroblocks against a filter that goes
 * through 8.7 sample line by sample line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_test.h"

// Tables 8-16 and 8-17, typed in once more, in rows of bS
static void ref_thresholds(const int indexA, const int indexB, const int bS, int *const alpha,
                           int *const beta, int *const tc0) {
    static const int alphas[52] = {[16] = 4, 4,  5,   6,   7,   8,   9,   10,  12,  13,  15,  17,
                                   20,       22, 25,  28,  32,  36,  40,  45,  50,  56,  63,  71,
                                   80,       90, 101, 113, 127, 144, 162, 182, 203, 226, 255, 255};
    static const int betas[52] = {[16] = 2, 2,  2,  3,  3,  3,  3,  4,  4,  4,  6,  6,
                                  7,        7,  8,  8,  9,  9,  10, 10, 11, 11, 12, 12,
                                  13,       13, 14, 14, 15, 15, 16, 16, 17, 17, 18, 18};
    static const int tc[3][52] = {{[23] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2,  2,  2, 3,
                                   3,        3, 4, 4, 4, 5, 6, 6, 7, 8, 9, 10, 11, 13},
                                  {[21] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  2,  2,  2,  2,  3, 3,
                                   3,        4, 4, 5, 5, 6, 7, 8, 8, 10, 11, 12, 13, 15, 17},
                                  {[17] = 1, 1, 1,  1,  1,  1,  1,  1,  1,  1,  2, 2,
                                   2,        2, 3,  3,  3,  4,  4,  4,  5,  6,  6, 7,
                                   8,        9, 10, 11, 13, 14, 16, 18, 20, 23, 25}};
    *alpha = alphas[indexA];
    *beta = betas[indexB];
    *tc0 = bS >= 1 && bS <= 3 ? tc[bS - 1][indexA] : 0;
}

typedef struct ref_filter {
    const h264_decoder *dec;
    uint8_t *plane[3];
    ptrdiff_t stride[3]; // samples
    bool field;
    int parity;
} ref_filter;

static int motion_key(const mb_motion *const m, const int l, const int block) {
    const int quarter = block / 8 * 2 + block % 4 / 2;
    return m->uid[l][quarter] == NO_UID ? -1 : m->uid[l][quarter] * 4 + m->ref_parity[l][quarter];
}

static bool far_apart(const int16_t a[2], const int16_t b[2], const bool field) {
    return abs(a[0] - b[0]) >= 4 || abs(a[1] - b[1]) >= (field ? 2 : 4);
}

// 8.7.2.1, mixedModeEdgeFlag 0
static int ref_strength(const ref_filter *const f, const int pa, const int pb, const int qa,
                        const int qb, const bool vertical) {
    const mb_info *const mp = &f->dec->mb[pa], *const mq = &f->dec->mb[qa];
    if (mp->is_intra || mq->is_intra)
        return pa != qa && (vertical || !f->field) ? 4 : 3;
    if ((mp->nonzero >> pb & 1) || (mq->nonzero >> qb & 1))
        return 2;
    const mb_motion *const p0 = &f->dec->cur->motion[pa], *const q0 = &f->dec->cur->motion[qa];
    const int kp[2] = {motion_key(p0, 0, pb), motion_key(p0, 1, pb)};
    const int kq[2] = {motion_key(q0, 0, qb), motion_key(q0, 1, qb)};
    const int np = (kp[0] >= 0) + (kp[1] >= 0), nq = (kq[0] >= 0) + (kq[1] >= 0);
    if (np != nq)
        return 1;
    if (np == 1) {
        const int lp = kp[0] < 0, lq = kq[0] < 0;
        return kp[lp] != kq[lq] || far_apart(p0->mv[lp][pb], q0->mv[lq][qb], f->field);
    }
    const bool same = kp[0] == kq[0] && kp[1] == kq[1], cross = kp[0] == kq[1] && kp[1] == kq[0];
    if (!same && !cross)
        return 1;
    const bool far_same = far_apart(p0->mv[0][pb], q0->mv[0][qb], f->field) ||
                          far_apart(p0->mv[1][pb], q0->mv[1][qb], f->field);
    const bool far_cross = far_apart(p0->mv[0][pb], q0->mv[1][qb], f->field) ||
                           far_apart(p0->mv[1][pb], q0->mv[0][qb], f->field);
    if (kp[0] != kp[1])
        return same ? far_same : far_cross;
    return far_same && far_cross;
}

// 8.7.2.3 and 8.7.2.4 for the samples of one line; pix is q0
static void ref_line(void *const pix, const int size, const ptrdiff_t step, const int depth,
                     const int bS, const int indexA, const int indexB, const bool chroma_style) {
    int alpha, beta, tc0, v[8];
    const int max = (1 << depth) - 1;
    ref_thresholds(indexA, indexB, bS, &alpha, &beta, &tc0);
    alpha *= 1 << (depth - 8);
    beta *= 1 << (depth - 8);
    tc0 *= 1 << (depth - 8);
    for (int i = chroma_style ? 2 : 0; i < (chroma_style ? 6 : 8); i++)
        v[i] = get(pix, size, (i - 4) * step);
    const int p0 = v[3], p1 = v[2], q0 = v[4], q1 = v[5];
    if (!bS || abs(p0 - q0) >= alpha || abs(p1 - p0) >= beta || abs(q1 - q0) >= beta)
        return;
    const bool ap = !chroma_style && abs(v[1] - p0) < beta,
               aq = !chroma_style && abs(v[6] - q0) < beta;
    if (bS < 4) {
        const int tC = chroma_style ? tc0 + 1 : tc0 + ap + aq;
        const int delta = iclip((((q0 - p0) * 4) + (p1 - q1) + 4) >> 3, -tC, tC);
        put(pix, size, -step, iclip(p0 + delta, 0, max));
        put(pix, size, 0, iclip(q0 - delta, 0, max));
        if (ap)
            put(pix, size, -2 * step,
                p1 + iclip((v[1] + ((p0 + q0 + 1) >> 1) - 2 * p1) >> 1, -tc0, tc0));
        if (aq)
            put(pix, size, step,
                q1 + iclip((v[6] + ((p0 + q0 + 1) >> 1) - 2 * q1) >> 1, -tc0, tc0));
        return;
    }
    const bool near = abs(p0 - q0) < ((alpha >> 2) + 2);
    put(pix, size, -step,
        ap && near ? (v[1] + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3 : (2 * p1 + p0 + q1 + 2) >> 2);
    put(pix, size, 0,
        aq && near ? (p1 + 2 * p0 + 2 * q0 + 2 * q1 + v[6] + 4) >> 3 : (2 * q1 + q0 + p1 + 2) >> 2);
    if (ap && near) {
        put(pix, size, -2 * step, (v[1] + p1 + p0 + q0 + 2) >> 2);
        put(pix, size, -3 * step, (2 * v[0] + 3 * v[1] + p1 + p0 + q0 + 4) >> 3);
    }
    if (aq && near) {
        put(pix, size, step, (p0 + q0 + q1 + v[6] + 2) >> 2);
        put(pix, size, 2 * step, (2 * v[7] + 3 * v[6] + q1 + q0 + p0 + 4) >> 3);
    }
}

// One edge of a plane, sample line by sample line (8.7.1, 8.7.2). x, y: q0 of the first line, in
// the macroblock.
static void ref_edge(const ref_filter *const f, const int plane, const int mb_x, const int mb_row,
                     const int offset, const bool vertical) {
    const h264_decoder *const dec = f->dec;
    const int format = dec->active_sps.ChromaArrayType, step = f->field ? 2 : 1;
    const int w = plane ? dec->mb_width_c : 16, h = plane ? dec->mb_height_c : 16;
    const int qa = mb_x + (mb_row * step + f->parity) * dec->PicWidthInMbs;
    const int pa = offset ? qa : vertical ? qa - 1 : qa - step * dec->PicWidthInMbs;
    const mb_info *const mq = &dec->mb[qa], *const mp = &dec->mb[pa];
    const int qPav =
        plane ? (mp->QPC[plane - 1] + mq->QPC[plane - 1] + 1) >> 1 : (mp->QPY + mq->QPY + 1) >> 1;
    for (int k = 0; k < (vertical ? h : w); k++) {
        const int x = vertical ? offset : k, y = vertical ? k : offset;
        const int lx = x * 16 / w, ly = y * 16 / h; // luma location of q0
        const int px = vertical ? (lx + 15) % 16 : lx, py = vertical ? ly : (ly + 15) % 16;
        const int bS = ref_strength(f, pa, py / 4 * 4 + px / 4, qa, ly / 4 * 4 + lx / 4, vertical);
        const int size = dec->k->sample_size;
        ref_line(f->plane[plane] + ((mb_row * h + y) * f->stride[plane] + mb_x * w + x) * size,
                 size, vertical ? 1 : f->stride[plane],
                 plane ? dec->active_sps.BitDepthC : dec->active_sps.BitDepthY, bS,
                 iclip(qPav + mq->FilterOffsetA, 0, 51), iclip(qPav + mq->FilterOffsetB, 0, 51),
                 plane && format != 3);
    }
}

static void ref_macroblock(const ref_filter *const f, const int mb_x, const int mb_row) {
    const h264_decoder *const dec = f->dec;
    const int format = dec->active_sps.ChromaArrayType, step = f->field ? 2 : 1;
    const int width = dec->PicWidthInMbs, a = mb_x + (mb_row * step + f->parity) * width;
    const mb_info *const mb = &dec->mb[a];
    if (mb->disable_deblocking_filter_idc == 1)
        return;
    for (int plane = 0; plane < (format ? 3 : 1); plane++)
        for (int dir = 0; dir < 2; dir++) {
            const bool vertical = dir == 0, full = plane == 0 || format == 3;
            const int end = vertical ? (plane ? dec->mb_width_c : 16)
                            : plane  ? dec->mb_height_c
                                     : 16;
            const int every = full && mb->transform_size_8x8_flag ? 8 : 4;
            const int neighbour = vertical ? a - 1 : a - step * width;
            const bool first =
                (vertical ? mb_x : mb_row) > 0 && (mb->disable_deblocking_filter_idc == 0 ||
                                                   dec->mb[neighbour].slice_num == mb->slice_num);
            for (int offset = first ? 0 : every; offset < end; offset += every)
                ref_edge(f, plane, mb_x, mb_row, offset, vertical);
        }
}

static void set_motion(mb_motion *const m, const int l, const int x, const int y, const int w,
                       const int h, const int mvx, const int mvy) {
    for (int j = y; j < y + h; j++)
        for (int i = x; i < x + w; i++) {
            m->mv[l][4 * j + i][0] = (int16_t)mvx;
            m->mv[l][4 * j + i][1] = (int16_t)mvy;
        }
}

// A macroblock such as parsing leaves it: motion in partitions of its type, 8x8 transform bits in
// fours
static void random_macroblock(mb_info *const mb, mb_motion *const m, const bool field,
                              const bool b_slice) {
    static const int sides[4][2] = {{4, 4}, {4, 2}, {2, 4}, {2, 2}};
    const int shape = rnd(4), qp = rnd(8) ? 20 + rnd(32) : rnd(52);
    memset(mb, 0, sizeof(*mb));
    memset(m, 0, sizeof(*m));
    mb->is_intra = rnd(6) == 0;
    mb->field = field;
    mb->slice_num = rnd(2);
    mb->disable_deblocking_filter_idc = (uint8_t)(rnd(3) ? 0 : rnd(3));
    mb->QPY = (int8_t)qp;
    mb->QPC[0] = (int8_t)iclip(qp - 3, 0, 39);
    mb->QPC[1] = (int8_t)iclip(qp + 2, 0, 39);
    mb->FilterOffsetA = (int8_t)(2 * rnd(13) - 12);
    mb->FilterOffsetB = (int8_t)(2 * rnd(13) - 12);
    mb->transform_size_8x8_flag = rnd(2);
    if (rnd(2))
        mb->nonzero = (uint16_t)(rnd(65536) & rnd(65536));
    if (mb->transform_size_8x8_flag)
        mb->nonzero = (uint16_t)((mb->nonzero & 0x0505) * 0x33);
    mb->type =
        mb->is_intra ? H264_I_16X16 : (uint8_t)((b_slice ? H264_B_16X16 : H264_P_16X16) + shape);
    if (!mb->is_intra && shape == 0 && rnd(2)) {
        mb->type = b_slice ? H264_B_SKIP : H264_P_SKIP;
        mb->nonzero = 0;
        mb->skip = true;
    }
    memset(m->uid, 0xff, sizeof(m->uid)); // NO_UID
    memset(m->ref_idx, 0xff, sizeof(m->ref_idx));
    if (mb->is_intra)
        return;
    const int w = sides[shape][0], h = sides[shape][1], spread = rnd(3) ? 6 : 2;
    for (int y = 0; y < 4; y += h)
        for (int x = 0; x < 4; x += w) {
            const int lists = b_slice ? 1 + rnd(3) : 1, split = shape == 3 && rnd(3) == 0;
            for (int l = 0; l < 2; l++) {
                if (!(lists >> l & 1))
                    continue;
                const int uid = rnd(2), parity = field ? 1 + rnd(2) : FRAME;
                for (int j = y / 2; j < (y + h) / 2; j++)
                    for (int i = x / 2; i < (x + w) / 2; i++) {
                        m->uid[l][2 * j + i] = uid;
                        m->ref_idx[l][2 * j + i] = 0;
                        m->ref_parity[l][2 * j + i] = (int8_t)parity;
                    }
                set_motion(m, l, x, y, w, h, rnd(spread), rnd(spread));
                for (int i = 0; i < 4 && split; i++)
                    set_motion(m, l, x + i % 2, y + i / 2, 1, 1, rnd(6), rnd(6));
            }
        }
}

void test_deblock(void) {
    for (int round = 0; round < 480; round++) {
        const int format = round % 4, size = round / 4 % 2 ? 2 : 1;
        const int depth = size == 1 ? 8 : 9 + rnd(6);
        const int structure = round % 3 ? FRAME : 1 + rnd(2);
        h264_decoder *const dec = new_decoder(format, size, depth, size == 1 ? 8 : depth - 1);
        // fields need an even number of macroblock rows
        const bool field = structure != FRAME, b_slice = rnd(2);
        dec->FrameHeightInMbs = field ? 2 : 3;
        dec->slice.hdr.structure = structure;
        dec->cur = new_picture(dec, 4 << rnd(6));
        for (int i = 0; i < PIC_W * PIC_H / 256; i++)
            random_macroblock(&dec->mb[i], &dec->cur->motion[i], field, b_slice);
        ref_filter f = {.dec = dec, .field = field, .parity = structure == BOTTOM_FIELD};
        uint8_t *copy[3] = {NULL, NULL, NULL};
        for (int i = 0; i < 3; i++) {
            const size_t bytes = (size_t)(dec->width[i] * dec->height[i] * size);
            if (!bytes)
                continue;
            copy[i] = malloc(bytes);
            memcpy(copy[i], dec->cur->plane[i], bytes);
            f.plane[i] = copy[i] + (f.parity ? dec->width[i] * size : 0);
            f.stride[i] = dec->width[i] * (field ? 2 : 1);
        }
        for (int y = 0; y < dec->FrameHeightInMbs / (field ? 2 : 1); y++)
            for (int x = 0; x < dec->PicWidthInMbs; x++)
                ref_macroblock(&f, x, y);
        h264_deblock_picture(dec);
        for (int i = 0; i < 3; i++) {
            char what[64];
            snprintf(what, sizeof(what), "deblock plane %d format %d size %d structure %d", i,
                     format, size, structure);
            if (copy[i])
                check_samples(what, dec->cur->plane[i], copy[i], size, dec->width[i], dec->width[i],
                              dec->height[i]);
            free(copy[i]);
        }
        free_picture(dec->cur);
        free_decoder(dec);
    }
}
