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
    uint8_t *plane[3];   // first row of the frame or field
    ptrdiff_t stride[3]; // samples, between its rows
    bool field, mbaff;
    int parity;
} ref_filter;

// A sample's macroblock, and where it lies in that
typedef struct place {
    int addr, x, y;
} place;

static int plane_height(const ref_filter *const f, const int plane) {
    return plane ? f->dec->mb_height_c : 16;
}

static int plane_width(const ref_filter *const f, const int plane) {
    return plane ? f->dec->mb_width_c : 16;
}

// The sample in column x and row y of a plane
static place locate(const ref_filter *const f, const int plane, const int x, const int y) {
    const int w = plane_width(f, plane), h = plane_height(f, plane);
    const int stride = f->dec->PicWidthInMbs, mb_x = x / w;
    if (!f->mbaff)
        return (place){mb_x + (f->field ? 2 * (y / h) + f->parity : y / h) * stride, x % w, y % h};
    const int top = mb_x + y / (2 * h) * 2 * stride, in_pair = y % (2 * h);
    if (f->dec->mb[top].field)
        return (place){top + in_pair % 2 * stride, x % w, in_pair / 2};
    return (place){top + in_pair / h * stride, x % w, in_pair % h};
}

// The row of a plane that row y of a macroblock is
static int row_of(const ref_filter *const f, const int plane, const int addr, const int y) {
    const int h = plane_height(f, plane), row = addr / f->dec->PicWidthInMbs;
    if (f->field)
        return row / 2 * h + y;
    if (f->mbaff && f->dec->mb[addr].field)
        return row / 2 * 2 * h + row % 2 + 2 * y;
    return row * h + y;
}

static int motion_key(const mb_motion *const m, const int l, const int block) {
    const int quarter = block / 8 * 2 + block % 4 / 2;
    return m->uid[l][quarter] == NO_UID ? -1 : m->uid[l][quarter] * 4 + m->ref_parity[l][quarter];
}

static bool far_apart(const int16_t a[2], const int16_t b[2], const bool field) {
    return abs(a[0] - b[0]) >= 4 || abs(a[1] - b[1]) >= (field ? 2 : 4);
}

// bS 1 where mixedModeEdgeFlag is 0
static bool ref_moves(const ref_filter *const f, const int pa, const int pb, const int qa,
                      const int qb) {
    const bool field = f->dec->mb[qa].field;
    const mb_motion *const p0 = &f->dec->cur->motion[pa], *const q0 = &f->dec->cur->motion[qa];
    const int kp[2] = {motion_key(p0, 0, pb), motion_key(p0, 1, pb)};
    const int kq[2] = {motion_key(q0, 0, qb), motion_key(q0, 1, qb)};
    const int np = (kp[0] >= 0) + (kp[1] >= 0), nq = (kq[0] >= 0) + (kq[1] >= 0);
    if (np != nq)
        return 1;
    if (np == 1) {
        const int lp = kp[0] < 0, lq = kq[0] < 0;
        return kp[lp] != kq[lq] || far_apart(p0->mv[lp][pb], q0->mv[lq][qb], field);
    }
    const bool same = kp[0] == kq[0] && kp[1] == kq[1], cross = kp[0] == kq[1] && kp[1] == kq[0];
    if (!same && !cross)
        return 1;
    const bool far_same = far_apart(p0->mv[0][pb], q0->mv[0][qb], field) ||
                          far_apart(p0->mv[1][pb], q0->mv[1][qb], field);
    const bool far_cross = far_apart(p0->mv[0][pb], q0->mv[1][qb], field) ||
                           far_apart(p0->mv[1][pb], q0->mv[0][qb], field);
    if (kp[0] != kp[1])
        return same ? far_same : far_cross;
    return far_same && far_cross;
}

// 8.7.2.1 for luma samples p0 and q0
static int ref_strength(const ref_filter *const f, const place p, const place q,
                        const bool vertical) {
    const int pb = p.y / 4 * 4 + p.x / 4, qb = q.y / 4 * 4 + q.x / 4;
    const mb_info *const mp = &f->dec->mb[p.addr], *const mq = &f->dec->mb[q.addr];
    const bool frames = !mp->field && !mq->field, mixed = mp->field != mq->field;
    if (mp->filter_as_intra || mq->filter_as_intra)
        return p.addr != q.addr && (frames || ((f->mbaff || f->field) && vertical)) ? 4 : 3;
    if ((mp->nonzero >> pb & 1) || (mq->nonzero >> qb & 1))
        return 2;
    return mixed || ref_moves(f, p.addr, pb, q.addr, qb);
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

// The luma samples whose bS the chroma samples p and q of an edge take: (SubWidthC * x, SubHeightC
// * y) in the macroblock of p, and what lies beyond the edge from there, in the macroblock of q.
// (The row in that of p may be one of the other parity.)
static void luma_places(const ref_filter *const f, const int plane, const bool vertical,
                        place *const p, place *const q) {
    const int sub_x = 16 / plane_width(f, plane), sub_y = 16 / plane_height(f, plane);
    *p = (place){p->addr, p->x * sub_x, p->y * sub_y};
    *q = (place){q->addr, q->x * sub_x, q->y * sub_y};
    if (vertical)
        q->y = locate(f, 0, q->addr % f->dec->PicWidthInMbs * 16, row_of(f, 0, p->addr, p->y)).y;
}

// One edge of a plane, sample line by sample line (8.7.1, 8.7.2). offset: of q0 from the
// macroblock's first column or row, (E) in the clause; dy: 1 + fieldModeInFrameFilteringFlag
static void ref_edge(const ref_filter *const f, const int plane, const int addr, const int offset,
                     const bool vertical, const int dy) {
    const h264_decoder *const dec = f->dec;
    const int w = plane_width(f, plane), h = plane_height(f, plane), size = dec->k->sample_size;
    const int xI = addr % dec->PicWidthInMbs * w, yI = row_of(f, plane, addr, 0);
    for (int k = 0; k < (vertical ? h : w); k++) {
        const int x = xI + (vertical ? offset : k);
        const int y = yI + (vertical ? dy * k : dy * offset - offset % 2);
        place q = locate(f, plane, x, y);
        place p = locate(f, plane, vertical ? x - 1 : x, vertical ? y : y - dy);
        const mb_info *const mp = &dec->mb[p.addr], *const mq = &dec->mb[q.addr];
        const int qPav = plane ? (mp->QPC[plane - 1] + mq->QPC[plane - 1] + 1) >> 1
                               : (mp->QPY + mq->QPY + 1) >> 1;
        luma_places(f, plane, vertical, &p, &q);
        ref_line(f->plane[plane] + (y * f->stride[plane] + x) * size, size,
                 vertical ? 1 : dy * f->stride[plane],
                 plane ? dec->active_sps.BitDepthC : dec->active_sps.BitDepthY,
                 ref_strength(f, p, q, vertical), iclip(qPav + mq->FilterOffsetA, 0, 51),
                 iclip(qPav + mq->FilterOffsetB, 0, 51),
                 plane && dec->active_sps.ChromaArrayType != 3);
    }
}

// Address of the macroblock at a macroblock edge whose slice decides (6.4.11.1), -1: none in the
// picture
static int ref_neighbour(const ref_filter *const f, const int addr, const bool vertical) {
    const int width = f->dec->PicWidthInMbs, row = addr / width;
    const int step = f->field || f->mbaff ? 2 : 1;
    if (vertical)
        return addr % width ? addr - 1 : -1;
    if (f->mbaff && row % 2 && !f->dec->mb[addr].field)
        return addr - width;
    return row < step ? -1 : addr - step * width;
}

// The left or the upper edge of a macroblock
static void ref_first_edge(const ref_filter *const f, const int plane, const int addr,
                           const bool vertical) {
    const mb_info *const mb = &f->dec->mb[addr];
    const int neighbour = ref_neighbour(f, addr, vertical), dy = f->mbaff && mb->field ? 2 : 1;
    if (neighbour < 0 || (mb->disable_deblocking_filter_idc == 2 &&
                          f->dec->mb[neighbour].slice_num != mb->slice_num))
        return;
    const bool upper = addr / f->dec->PicWidthInMbs % 2 == 0;
    if (!vertical && f->mbaff && upper && !mb->field && f->dec->mb[neighbour].field) {
        ref_edge(f, plane, addr, 0, false, 2);
        ref_edge(f, plane, addr, 1, false, 2);
        return;
    }
    ref_edge(f, plane, addr, 0, vertical, dy);
}

static void ref_macroblock(const ref_filter *const f, const int addr) {
    const int format = f->dec->active_sps.ChromaArrayType;
    const mb_info *const mb = &f->dec->mb[addr];
    if (mb->disable_deblocking_filter_idc == 1)
        return;
    for (int plane = 0; plane < (format ? 3 : 1); plane++)
        for (int dir = 0; dir < 2; dir++) {
            const bool vertical = dir == 0, full = plane == 0 || format == 3;
            const int end = vertical ? plane_width(f, plane) : plane_height(f, plane);
            const int every = full && mb->transform_size_8x8_flag ? 8 : 4;
            ref_first_edge(f, plane, addr, vertical);
            for (int offset = every; offset < end; offset += every)
                ref_edge(f, plane, addr, offset, vertical, f->mbaff && mb->field ? 2 : 1);
        }
}

// The picture, macroblock by macroblock in the order of addresses
static void ref_picture(const ref_filter *const f) {
    const int width = f->dec->PicWidthInMbs, rows = f->dec->FrameHeightInMbs;
    const int together = f->mbaff ? 2 : 1; // rows of macroblocks that are gone through in columns
    for (int row = f->parity; row < rows; row += f->field ? 2 : together)
        for (int i = 0; i < together * width; i++)
            ref_macroblock(f, i / together + (row + i % together) * width);
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
    mb->filter_as_intra = mb->is_intra || rnd(12) == 0;
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
    mb->moves_as_one = shape == 0;
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
    if (mb->moves_as_one)
        h264_note_whole_motion(mb, m);
}

// Pairs of frame or of field macroblocks, each in one slice
static void random_pairs(h264_decoder *const dec, const bool b_slice) {
    const int width = dec->PicWidthInMbs;
    for (int row = 0; row < dec->FrameHeightInMbs; row += 2)
        for (int top = row * width; top < (row + 1) * width; top++) {
            const bool field = rnd(2);
            for (int i = top; i <= top + width; i += width)
                random_macroblock(&dec->mb[i], &dec->cur->motion[i], field, b_slice);
            dec->mb[top + width].slice_num = dec->mb[top].slice_num;
        }
}

static void random_macroblocks(h264_decoder *const dec, const bool field) {
    const bool b_slice = rnd(2);
    if (dec->cur->mbaff)
        random_pairs(dec, b_slice);
    for (int i = 0; i < PIC_W * PIC_H / 256 && !dec->cur->mbaff; i++)
        random_macroblock(&dec->mb[i], &dec->cur->motion[i], field, b_slice);
}

void test_deblock(void) {
    for (int round = 0; round < 640; round++) {
        const int format = round % 4, size = round / 4 % 2 ? 2 : 1;
        const int depth = size == 1 ? 8 : 9 + rnd(6);
        const int structure = round % 3 ? FRAME : 1 + rnd(2);
        h264_decoder *const dec = new_decoder(format, size, depth, size == 1 ? 8 : depth - 1);
        const bool field = structure != FRAME;
        dec->slice.hdr.structure = structure;
        dec->cur = new_picture(dec, 4 << rnd(6));
        dec->cur->mbaff = round % 3 == 1;
        random_macroblocks(dec, field);
        ref_filter f = {.dec = dec,
                        .field = field,
                        .mbaff = dec->cur->mbaff,
                        .parity = structure == BOTTOM_FIELD};
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
        ref_picture(&f);
        const int rows = dec->FrameHeightInMbs >> (field || f.mbaff), row = rnd(rows + 1);
        h264_deblock_rows(dec, 0, row);
        h264_deblock_rows(dec, row, rows);
        for (int i = 0; i < 3; i++) {
            char what[80];
            snprintf(what, sizeof(what), "deblock plane %d format %d size %d structure %d%s", i,
                     format, size, structure, f.mbaff ? " MBAFF" : "");
            if (copy[i])
                check_samples(what, dec->cur->plane[i], copy[i], size, dec->width[i], dec->width[i],
                              dec->height[i]);
            free(copy[i]);
        }
        free_picture(dec->cur);
        free_decoder(dec);
    }
}
