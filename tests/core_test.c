/* Unit checks of the sample kernels (8.3 to 8.5, 8.7), each against a plain reference written here
 * sample by sample from the standard's formulas, on seeded random input. Built and run under
 * sanitizers by `make check-c`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../bitstream/coding/memory.h"
#include "core_test.h"

static int n_checks, n_failures;
static uint32_t seed = 1;

int rnd(const int n) { // 0..n-1
    seed = seed * 1664525u + 1013904223u;
    return (int)((uint64_t)(seed >> 8) * (uint32_t)n >> 24);
}

int get(const void *const p, const int size, const ptrdiff_t i) {
    return size == 1 ? ((const uint8_t *)p)[i] : ((const uint16_t *)p)[i];
}

void put(void *const p, const int size, const ptrdiff_t i, const int v) {
    if (size == 1)
        ((uint8_t *)p)[i] = (uint8_t)v;
    else
        ((uint16_t *)p)[i] = (uint16_t)v;
}

void check_samples(const char *const what, const void *const got, const void *const want,
                   const int size, const ptrdiff_t stride, const int w, const int h) {
    n_checks++;
    bool same = true;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            same &= get(got, size, y * stride + x) == get(want, size, y * stride + x);
    if (same)
        return;
    n_failures++;
    printf("FAIL %s\n", what);
    if (n_failures > 3)
        return;
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            const int a = get(got, size, y * stride + x), b = get(want, size, y * stride + x);
            if (a == b)
                printf(" %5d      ", a);
            else
                printf("*%5d(%4d)", a, b);
        }
        printf("\n");
    }
}

void check_true(const char *const what, const bool ok) {
    n_checks++;
    if (ok)
        return;
    n_failures++;
    printf("FAIL %s\n", what);
}

static void check_int(const char *const what, const int32_t *const got, const int32_t *const want,
                      const int n) {
    n_checks++;
    if (!memcmp(got, want, (size_t)n * sizeof(*got)))
        return;
    n_failures++;
    printf("FAIL %s\n", what);
    for (int i = 0; i < n; i++)
        printf("%s%d(%d)%s", got[i] == want[i] ? " " : "*", got[i], want[i],
               i % 8 == 7 ? "\n" : "");
}

// -------------------------------------------------------------------------------------------
// shared

h264_decoder *new_decoder(const int format, const int size, const int depth_y, const int depth_c) {
    h264_decoder *const dec = calloc(1, sizeof(*dec));
    dec->k = h264_kernels(&dec->kernel_table, size);
    dec->active_sps.ChromaArrayType = format;
    dec->active_sps.BitDepthY = depth_y;
    dec->active_sps.BitDepthC = depth_c;
    dec->PicWidthInMbs = PIC_W / 16;
    dec->FrameHeightInMbs = PIC_H / 16;
    dec->mb_width_c = format == 3 ? 16 : format ? 8 : 0;
    dec->mb_height_c = format == 1 ? 8 : format ? 16 : 0;
    for (int i = 0; i < 3; i++) {
        dec->width[i] = i ? PIC_W * dec->mb_width_c / 16 : PIC_W;
        dec->height[i] = i ? PIC_H * dec->mb_height_c / 16 : PIC_H;
    }
    dec->mb = calloc(PIC_W * PIC_H / 256, sizeof(*dec->mb));
    return dec;
}

picture *new_picture(const h264_decoder *const dec, const int contrast) {
    picture *const pic = calloc(1, sizeof(*pic));
    const int size = dec->k->sample_size;
    for (int i = 0; i < 3; i++) {
        const int depth = i ? dec->active_sps.BitDepthC : dec->active_sps.BitDepthY;
        const int n = dec->width[i] * dec->height[i], max = (1 << depth) - 1;
        if (!n)
            continue;
        pic->stride[i] = dec->width[i] * size;
        uint8_t *const memory = calloc(1, (size_t)(n * size + 2 * GUARD));
        pic->plane[i] = memory + GUARD;
        for (int j = 0; j < n; j++)
            put(pic->plane[i], size, j,
                contrast ? iclip(max / 2 + rnd(2 * contrast) - contrast, 0, max)
                         : (rnd(8) ? rnd(max + 1) : max * rnd(2)));
    }
    pic->motion = calloc(PIC_W * PIC_H / 256, sizeof(*pic->motion));
    return pic;
}

void free_picture(picture *const pic) {
    for (int i = 0; i < 3; i++)
        free(pic->plane[i] ? pic->plane[i] - GUARD : NULL);
    free(pic->motion);
    free(pic);
}

void free_decoder(h264_decoder *const dec) {
    free(dec->mb);
    free(dec);
}

// ------------------------------------------------------------------------------------------
// transforms

static void ref_row4(const int32_t d[4], int32_t r[4]) { // 8.5.12.2
    const int32_t e[4] = {d[0] + d[2], d[0] - d[2], (d[1] >> 1) - d[3], d[1] + (d[3] >> 1)};
    r[0] = e[0] + e[3];
    r[1] = e[1] + e[2];
    r[2] = e[1] - e[2];
    r[3] = e[0] - e[3];
}

static void ref_row8(const int32_t d[8], int32_t m[8]) { // 8.5.13.2
    const int32_t a[8] = {d[0] + d[4],        -d[3] + d[5] - d[7] - (d[7] >> 1),
                          d[0] - d[4],        d[1] + d[7] - d[3] - (d[3] >> 1),
                          (d[2] >> 1) - d[6], -d[1] + d[7] + d[5] + (d[5] >> 1),
                          d[2] + (d[6] >> 1), d[3] + d[5] + d[1] + (d[1] >> 1)};
    const int32_t b[8] = {a[0] + a[6], a[1] + (a[7] >> 2), a[2] + a[4], a[3] + (a[5] >> 2),
                          a[2] - a[4], (a[3] >> 2) - a[5], a[0] - a[6], a[7] - (a[1] >> 2)};
    for (int i = 0; i < 4; i++) {
        static const int odd[4] = {7, 5, 3, 1};
        const int32_t even = b[2 * i];
        m[i] = even + b[odd[i]];
        m[7 - i] = even - b[odd[i]];
    }
}

static void ref_idct(const int32_t *const d, int32_t *const r, const int n) {
    int32_t rows[8][8], in[8], out[8];
    for (int i = 0; i < n; i++)
        (n == 4 ? ref_row4 : ref_row8)(d + n * i, rows[i]);
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < n; i++)
            in[i] = rows[i][j];
        (n == 4 ? ref_row4 : ref_row8)(in, out);
        for (int i = 0; i < n; i++)
            r[n * i + j] = (out[i] + 32) >> 6;
    }
}

static int32_t random_coefficient(const int range) {
    return rnd(3) ? 0 : rnd(2 * range + 1) - range;
}

static void test_idct(void) {
    static const int32_t zero[64];
    static const int ranges[] = {40, 3000, 1 << 22};
    for (int round = 0; round < 600; round++) {
        const int range = ranges[round % 3], n = round & 1 ? 8 : 4, size = round & 2 ? 2 : 1;
        const int depth = size == 1 ? 8 : 8 + rnd(7), dc_only = round % 5 == 0;
        kernels table;
        const kernels *const k = h264_kernels(&table, size);
        int32_t d[64] = {0}, want[64], residual[64] = {0}, recorded[64] = {0};
        uint16_t a[16 * 8 + 8], b[16 * 8 + 8]; // rows of 16 samples
        for (int i = 0; i < (dc_only ? 1 : n * n); i++)
            d[i] = random_coefficient(range);
        ref_idct(d, want, n);
        for (int i = 0; i < 128; i++)
            put(a, size, i, rnd(1 << depth));
        memcpy(b, a, sizeof(a));
        for (int y = 0; y < n; y++)
            for (int x = 0; x < n; x++)
                put(b, size, 16 * y + x,
                    iclip(get(b, size, 16 * y + x) + want[n * y + x], 0, (1 << depth) - 1));
        const int kind = rnd(3); // 0: add_residual, 1: transform with a tap, 2: without
        if (kind == 0) {
            k->add_residual(a, 16 * size, want, n, depth, NULL, 0);
        } else {
            add_transformed *const add = dc_only ? (n == 4 ? k->idct4x4_dc_add : k->idct8x8_dc_add)
                                                 : (n == 4 ? k->idct4x4_add : k->idct8x8_add);
            add(a, 16 * size, d, depth, kind == 1 ? residual : NULL, 2 * size * n);
            check_int("cleared", d, zero, n * n);
        }
        check_samples("idct add", a, b, size, 16, 16, 8);
        for (int i = 0; i < n * n && kind == 1; i++) {
            recorded[i] = size == 1 ? ((int16_t *)residual)[i] : residual[i];
            want[i] = size == 1 ? iclip(want[i], INT16_MIN, INT16_MAX) : want[i];
        }
        check_int("idct residual", recorded, kind == 1 ? want : zero, n * n);
    }
}

static int32_t ref_scale_dc(const int64_t f, const int scale, const int qP) {
    const int64_t v = qP >= 36 ? f * scale * (1 << (qP / 6 - 6))
                               : (f * scale + (1 << (5 - qP / 6))) >> (6 - qP / 6);
    const int64_t limit = 1 << 22;
    return (int32_t)(v < -limit ? -limit : v > limit ? limit : v);
}

static void test_dc(void) {
    static const int m[4][4] = {{1, 1, 1, 1}, {1, 1, -1, -1}, {1, -1, -1, 1}, {1, -1, 1, -1}};
    for (int round = 0; round < 400; round++) {
        const int range = round % 4 ? 200 : 1 << 22, qP = rnd(88), scale = 1 + rnd(255 * 29);
        int32_t c[16], got[16], want[16];
        for (int i = 0; i < 16; i++)
            c[i] = random_coefficient(range);

        for (int i = 0; i < 16; i++) {
            int64_t f = 0;
            for (int u = 0; u < 16; u++)
                f += (int64_t)m[i / 4][u / 4] * c[u] * m[u % 4][i % 4];
            want[i] = ref_scale_dc(f, scale, qP);
        }
        memcpy(got, c, sizeof(c));
        h264_luma_dc(got, scale, qP);
        check_int("luma dc", got, want, 16);

        for (int i = 0; i < 8; i++) {
            int64_t f = 0;
            for (int u = 0; u < 8; u++)
                f += (int64_t)m[i / 2][u / 2] * c[u] * (u % 2 && i % 2 ? -1 : 1);
            want[i] = ref_scale_dc(f, scale, qP);
        }
        memcpy(got, c, sizeof(c));
        h264_chroma_dc_422(got, scale, qP);
        check_int("chroma dc 4:2:2", got, want, 8);

        for (int i = 0; i < 4; i++) {
            int64_t f = 0;
            for (int u = 0; u < 4; u++)
                f += (int64_t)(i / 2 && u / 2 ? -1 : 1) * c[u] * (u % 2 && i % 2 ? -1 : 1);
            const int64_t v = (f * scale * (1 << (qP / 6))) >> 5, limit = 1 << 22;
            want[i] = (int32_t)(v < -limit ? -limit : v > limit ? limit : v);
        }
        memcpy(got, c, sizeof(c));
        h264_chroma_dc_420(got, scale, qP);
        check_int("chroma dc 4:2:0", got, want, 4);
    }
}

// 8.5.9 by its position rules, with lists that tell every place from every other
static void test_level_scale(void) {
    static level_scale s;
    static const int v4[3] = {11, 18, 14}, v8[6] = {22, 19, 35, 21, 28, 26}; // m = 1
    for (int i = 0; i < 16; i++)
        s.ScalingList4x4[2][i] = (uint8_t)(i + 1);
    for (int i = 0; i < 64; i++)
        s.ScalingList8x8[3][i] = (uint8_t)(i + 1);
    h264_level_scale_init(&s);
    for (int n = 4; n <= 8; n += 4) {
        int32_t want[64];
        int x = 0, y = 0;
        for (int k = 0; k < n * n; k++) { // the zig-zag of Figure 8-8 walked step by step
            const int four = x % 2 == 0 && y % 2 == 0 ? 0 : x % 2 && y % 2 ? 1 : 2;
            const int eight = x % 4 == 0 && y % 4 == 0                                   ? 0
                              : x % 2 && y % 2                                           ? 1
                              : x % 4 == 2 && y % 4 == 2                                 ? 2
                              : (x % 4 == 0 && y % 2 == 1) || (y % 4 == 0 && x % 2 == 1) ? 3
                              : (x % 4 == 0 && y % 4 == 2) || (y % 4 == 0 && x % 4 == 2) ? 4
                                                                                         : 5;
            want[n * y + x] = (k + 1) * (n == 4 ? v4[four] : v8[eight]);
            if ((x + y) % 2 == 0) { // going up
                if (x == n - 1)
                    y++;
                else if (y == 0)
                    x++;
                else
                    x++, y--;
            } else {
                if (y == n - 1)
                    x++;
                else if (x == 0)
                    y++;
                else
                    x--, y++;
            }
        }
        check_int("level scale", n == 4 ? s.s4x4[2][1] : s.s8x8[3][1], want, n * n);
    }
}

// ---------------------------------------------------------------------------------- intra
// prediction

enum {
    CANVAS = 40
}; // samples a row; the block is at 8, 8

typedef struct neighbours {
    int top[33], left[17]; // [1 + x], [1 + y]; [0] is p[-1, -1]
    unsigned avail;
    int depth;
} neighbours;

static int p(const neighbours *const e, const int x, const int y) {
    return y < 0 ? e->top[x + 1] : e->left[y + 1];
}

static int line3(const int a, const int b, const int c) {
    return (a + 2 * b + c + 2) >> 2;
}
static int line2(const int a, const int b) {
    return (a + b + 1) >> 1;
}

// 8.3.1.2.1 to 8.3.1.2.9 and 8.3.2.2.2 to 8.3.2.2.10: one sample
static int ref_nxn(const neighbours *const e, const int n, const int mode, const int x,
                   const int y) {
    const int zVR = 2 * x - y, zHD = 2 * y - x, zHU = x + 2 * y, i = x - (y >> 1), j = y - (x >> 1);
    const bool left = e->avail & AVAIL_LEFT, top = e->avail & AVAIL_TOP;
    int sum_left = 0, sum_top = 0;
    switch (mode) {
    case 0: return p(e, x, -1);
    case 1: return p(e, -1, y);
    case 2:
        for (int k = 0; k < n; k++) {
            sum_left += p(e, -1, k);
            sum_top += p(e, k, -1);
        }
        return left && top ? (sum_left + sum_top + n) / (2 * n)
               : left      ? (sum_left + n / 2) / n
               : top       ? (sum_top + n / 2) / n
                           : 1 << (e->depth - 1);
    case 3:
        if (x == n - 1 && y == n - 1)
            return line3(p(e, 2 * n - 2, -1), p(e, 2 * n - 1, -1), p(e, 2 * n - 1, -1));
        return line3(p(e, x + y, -1), p(e, x + y + 1, -1), p(e, x + y + 2, -1));
    case 4:
        if (x > y)
            return line3(p(e, x - y - 2, -1), p(e, x - y - 1, -1), p(e, x - y, -1));
        if (x < y)
            return line3(y - x > 1 ? p(e, -1, y - x - 2) : p(e, -1, -1), p(e, -1, y - x - 1),
                         p(e, -1, y - x));
        return line3(p(e, 0, -1), p(e, -1, -1), p(e, -1, 0));
    case 5:
        if (zVR >= 0 && zVR % 2 == 0)
            return line2(p(e, i - 1, -1), p(e, i, -1));
        if (zVR > 0)
            return line3(p(e, i - 2, -1), p(e, i - 1, -1), p(e, i, -1));
        if (zVR == -1)
            return line3(p(e, -1, 0), p(e, -1, -1), p(e, 0, -1));
        return line3(p(e, -1, y - 2 * x - 1), p(e, -1, y - 2 * x - 2), p(e, -1, y - 2 * x - 3));
    case 6:
        if (zHD >= 0 && zHD % 2 == 0)
            return line2(p(e, -1, j - 1), p(e, -1, j));
        if (zHD > 0)
            return line3(p(e, -1, j - 2), p(e, -1, j - 1), p(e, -1, j));
        if (zHD == -1)
            return line3(p(e, -1, 0), p(e, -1, -1), p(e, 0, -1));
        return line3(p(e, x - 2 * y - 1, -1), p(e, x - 2 * y - 2, -1), p(e, x - 2 * y - 3, -1));
    case 7:
        return y % 2 == 0
                   ? line2(p(e, x + y / 2, -1), p(e, x + y / 2 + 1, -1))
                   : line3(p(e, x + y / 2, -1), p(e, x + y / 2 + 1, -1), p(e, x + y / 2 + 2, -1));
    default:
        if (zHU > 2 * n - 3)
            return p(e, -1, n - 1);
        if (zHU == 2 * n - 3)
            return line3(p(e, -1, n - 2), p(e, -1, n - 1), p(e, -1, n - 1));
        return zHU % 2 == 0
                   ? line2(p(e, -1, y + x / 2), p(e, -1, y + x / 2 + 1))
                   : line3(p(e, -1, y + x / 2), p(e, -1, y + x / 2 + 1), p(e, -1, y + x / 2 + 2));
    }
}

// 8.3.2.2.1
static neighbours ref_filtered(const neighbours *const e) {
    neighbours f = *e;
    const bool left = e->avail & AVAIL_LEFT, top = e->avail & AVAIL_TOP;
    const bool corner = e->avail & AVAIL_TOPLEFT;
    f.top[1] = corner ? line3(p(e, -1, -1), p(e, 0, -1), p(e, 1, -1))
                      : (3 * p(e, 0, -1) + p(e, 1, -1) + 2) >> 2;
    for (int x = 1; x < 15; x++)
        f.top[x + 1] = line3(p(e, x - 1, -1), p(e, x, -1), p(e, x + 1, -1));
    f.top[16] = (p(e, 14, -1) + 3 * p(e, 15, -1) + 2) >> 2;
    if (corner && top && left)
        f.top[0] = line3(p(e, 0, -1), p(e, -1, -1), p(e, -1, 0));
    else if (corner && top)
        f.top[0] = (3 * p(e, -1, -1) + p(e, 0, -1) + 2) >> 2;
    else if (corner && left)
        f.top[0] = (3 * p(e, -1, -1) + p(e, -1, 0) + 2) >> 2;
    f.left[0] = f.top[0];
    f.left[1] = corner ? line3(p(e, -1, -1), p(e, -1, 0), p(e, -1, 1))
                       : (3 * p(e, -1, 0) + p(e, -1, 1) + 2) >> 2;
    for (int y = 1; y < 7; y++)
        f.left[y + 1] = line3(e->left[y], e->left[y + 1], e->left[y + 2]);
    f.left[8] = (p(e, -1, 6) + 3 * p(e, -1, 7) + 2) >> 2;
    return f;
}

// Which neighbours a mode of 4x4 and 8x8 blocks needs (8.3.1.2.1 to 8.3.1.2.9)
static unsigned needed(const int mode) {
    static const unsigned need[9] = {AVAIL_TOP,
                                     AVAIL_LEFT,
                                     0,
                                     AVAIL_TOP,
                                     AVAIL_LEFT | AVAIL_TOP | AVAIL_TOPLEFT,
                                     AVAIL_LEFT | AVAIL_TOP | AVAIL_TOPLEFT,
                                     AVAIL_LEFT | AVAIL_TOP | AVAIL_TOPLEFT,
                                     AVAIL_TOP,
                                     AVAIL_LEFT};
    return need[mode];
}

// Random canvas and what of it a block of n samples at 8, 8 sees
static neighbours random_canvas(uint16_t *const canvas, const int size, const int depth,
                                const int n, const unsigned avail) {
    neighbours e = {.avail = avail, .depth = depth};
    const int extreme = rnd(4) == 0, max = (1 << depth) - 1;
    for (int i = 0; i < CANVAS * CANVAS; i++)
        put(canvas, size, i, extreme ? max * rnd(2) : rnd(max + 1));
    for (int x = -1; x < 2 * n && x < 32; x++) {
        const int from = x >= n && !(avail & AVAIL_TOPRIGHT) ? n - 1 : x;
        e.top[x + 1] = n == 16 && x >= n ? 0 : get(canvas, size, 7 * CANVAS + 8 + from);
    }
    for (int y = -1; y < n; y++)
        e.left[y + 1] = get(canvas, size, (8 + y) * CANVAS + 7);
    return e;
}

static void test_intra_nxn(void) {
    for (int round = 0; round < 8000; round++) {
        const int n = round & 1 ? 8 : 4, size = round & 2 ? 2 : 1, mode = (round >> 2) % 9;
        const int depth = size == 1 ? 8 : 9 + rnd(6);
        unsigned avail = (unsigned)rnd(16) | needed(mode);
        if (!(avail & AVAIL_TOP))
            avail &= ~(unsigned)AVAIL_TOPRIGHT;
        uint16_t got[CANVAS * CANVAS], want[CANVAS * CANVAS];
        neighbours e = random_canvas(got, size, depth, n, avail);
        memcpy(want, got, sizeof(got));
        if (n == 8)
            e = ref_filtered(&e);
        for (int y = 0; y < n; y++)
            for (int x = 0; x < n; x++)
                put(want, size, (8 + y) * CANVAS + 8 + x, ref_nxn(&e, n, mode, x, y));
        uint8_t *const dst = (uint8_t *)got + (8 * CANVAS + 8) * size;
        kernels table;
        const kernels *const k = h264_kernels(&table, size);
        (n == 4 ? k->intra4x4 : k->intra8x8)(dst, CANVAS * size, dst - size, CANVAS * size, mode,
                                             avail, depth);
        char what[64];
        snprintf(what, sizeof(what), "intra %dx%d mode %d avail %u size %d", n, n, mode, avail,
                 size);
        check_samples(what, got, want, size, CANVAS, CANVAS, CANVAS);
    }
}

// 8.3.3.4 and 8.3.4.4: one sample of plane prediction, w x h
static int ref_plane_sample(const neighbours *const e, const int w, const int h, const int x,
                            const int y) {
    const int xCF = w == 16 ? 4 : 0, yCF = h == 16 ? 4 : 0;
    int H = 0, V = 0;
    for (int i = 0; i <= 3 + xCF; i++)
        H += (i + 1) * (p(e, 4 + xCF + i, -1) - p(e, 2 + xCF - i, -1));
    for (int i = 0; i <= 3 + yCF; i++)
        V += (i + 1) * (e->left[5 + yCF + i] - e->left[3 + yCF - i]);
    const int a = 16 * (p(e, -1, h - 1) + p(e, w - 1, -1));
    const int b = ((34 - 29 * (w == 16)) * H + 32) >> 6, c = ((34 - 29 * (h == 16)) * V + 32) >> 6;
    return iclip((a + b * (x - 3 - xCF) + c * (y - 3 - yCF) + 16) >> 5, 0, (1 << e->depth) - 1);
}

static int mean_or(const int sum, const int n, const int none) {
    return n ? (sum + n / 2) / n : none;
}

// 8.3.3.3: mean of what there is
static int ref_dc16(const neighbours *const e) {
    const bool left = e->avail & AVAIL_LEFT, top = e->avail & AVAIL_TOP;
    int sum = 0;
    for (int i = 0; i < 16; i++)
        sum += left * p(e, -1, i) + top * p(e, i, -1);
    return mean_or(sum, 16 * (left + top), 1 << (e->depth - 1));
}

// 8.3.4.1 to 8.3.4.3, written out case by case
static int ref_chroma_dc(const neighbours *const e, const int x, const int y) {
    const bool left = e->avail & AVAIL_LEFT, top = e->avail & AVAIL_TOP;
    const int xO = x & ~3, yO = y & ~3, none = 1 << (e->depth - 1);
    int sum_left = 0, sum_top = 0;
    for (int i = 0; i < 4; i++) {
        sum_left += p(e, -1, yO + i);
        sum_top += p(e, xO + i, -1);
    }
    if ((xO == 0 && yO == 0) || (xO > 0 && yO > 0))
        return mean_or(left * sum_left + top * sum_top, 4 * (left + top), none);
    if (xO > 0)
        return top ? mean_or(sum_top, 4, 0) : mean_or(sum_left, 4 * left, none);
    return left ? mean_or(sum_left, 4, 0) : mean_or(sum_top, 4 * top, none);
}

static void test_intra_large(void) {
    for (int round = 0; round < 2000; round++) {
        const int size = round & 1 ? 2 : 1, mode = (round >> 1) % 4,
                  depth = size == 1 ? 8 : 9 + rnd(6);
        const int h = round & 8 ? 16 : 8;
        const bool chroma = round & 16;
        const int w = chroma ? 8 : 16;
        const int vertical = chroma ? 2 : 0, dc = chroma ? 0 : 2;
        const unsigned need = mode == 3          ? AVAIL_LEFT | AVAIL_TOP | AVAIL_TOPLEFT
                              : mode == vertical ? AVAIL_TOP
                              : mode == 1        ? AVAIL_LEFT
                                                 : 0;
        const unsigned avail = (unsigned)rnd(16) | need;
        uint16_t got[CANVAS * CANVAS], want[CANVAS * CANVAS];
        const neighbours e = random_canvas(got, size, depth, 16, avail);
        memcpy(want, got, sizeof(got));
        for (int y = 0; y < (chroma ? h : 16); y++)
            for (int x = 0; x < w; x++)
                put(want, size, (8 + y) * CANVAS + 8 + x,
                    mode == vertical ? p(&e, x, -1)
                    : mode == 1      ? p(&e, -1, y)
                    : mode == 3      ? ref_plane_sample(&e, w, chroma ? h : 16, x, y)
                    : mode != dc     ? -1
                    : chroma         ? ref_chroma_dc(&e, x, y)
                                     : ref_dc16(&e));
        uint8_t *const dst = (uint8_t *)got + (8 * CANVAS + 8) * size;
        kernels table;
        const kernels *const k = h264_kernels(&table, size);
        if (chroma)
            k->intra_chroma(dst, CANVAS * size, dst - size, CANVAS * size, h, mode, avail, depth);
        else
            k->intra16x16(dst, CANVAS * size, dst - size, CANVAS * size, mode, avail, depth);
        char what[64];
        snprintf(what, sizeof(what), "intra large chroma %d mode %d avail %u size %d", chroma, mode,
                 avail, size);
        check_samples(what, got, want, size, CANVAS, CANVAS, CANVAS);
    }
}

// Blocks that are used again keep no more than the caller allows; ten are held at a time, more than
// are kept.
static void test_memory(void) {
    enum {
        MB = 1 << 20,
        N = 10
    };
    static const int sizes[] = {1, 2, 5, 16, 33};
    uint8_t *blocks[N];
    for (int round = 0; round < 12; round++) {
        const size_t size = (size_t)sizes[rnd(5)] * MB - (size_t)rnd(2), zeroed = size / 16;
        for (int i = 0; i < N; i++) {
            blocks[i] = memory_block(size, zeroed);
            check_true("memory", blocks[i] != NULL && (uintptr_t)blocks[i] % MEMORY_ALIGN == 0);
            size_t k = 0;
            while (blocks[i] && k < zeroed && blocks[i][k] == 0)
                k++;
            check_true("zeroed memory", k == zeroed);
            for (k = 0; blocks[i] && k < size; k += k < zeroed ? 1 : 4096)
                blocks[i][k] = 0xa5;
        }
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < i; j++)
                check_true("memory of its own", blocks[i] != blocks[j]);
            memory_free(blocks[i]);
        }
    }
}

int main(void) {
    test_memory();
    test_idct();
    test_dc();
    test_level_scale();
    test_intra_nxn();
    test_intra_large();
    test_inter();
    test_deblock();
    test_stream();
    test_chunks();
    test_slice_groups();
    test_switching();
    test_hevc();
    printf("%d checks, %d failures\n", n_checks, n_failures);
    return n_failures != 0;
}
