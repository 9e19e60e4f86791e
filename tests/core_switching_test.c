/* Transform decoding of SP and SI (8.6) against its formulas written out as matrix products, and
 * against itself with rows and columns exchanged. */
#include <stdlib.h>
#include <string.h>

#include "core_test.h"

static const int forward[4][4] = {{1, 1, 1, 1}, {2, 1, -1, -2}, {1, -1, -1, 1}, {1, -2, 2, -1}};
static const int w[6][3] = {{13107, 5243, 8066}, {11916, 4660, 7490}, {10082, 4194, 6554},
                            {9362, 3647, 5825},  {8192, 3355, 5243},  {7282, 2893, 4559}};

static int class_of(const int i, const int j) {
    return i % 2 == 0 && j % 2 == 0 ? 0 : i % 2 == 1 && j % 2 == 1 ? 1 : 2;
}

static int64_t sign(const int64_t v) {
    return v < 0 ? -1 : v > 0;
}

static void ref_forward(const int32_t p[16], int64_t c[16]) {
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            c[4 * i + j] = 0;
            for (int u = 0; u < 4; u++)
                for (int v = 0; v < 4; v++)
                    c[4 * i + j] += forward[i][u] * p[4 * u + v] * forward[j][v];
        }
}

// The level that stands for prediction (cp) and residual (cr) together; dc 1: chroma DC
static int64_t ref_level(const switching_quantiser *const q, const int64_t cp, const int64_t cr,
                         const int i, const int j, const int dc) {
    static const int A[3] = {16, 25, 20};
    const int class = class_of(i, j), LevelScale2 = w[q->QS % 6][class];
    const int64_t half = (int64_t)1 << (14 + dc + q->QS / 6);
    if (q->switching)
        return cr + sign(cp) * ((llabs(cp) * LevelScale2 + half) >> (15 + dc + q->QS / 6));
    const int64_t cs =
        cp + ((cr * q->scale[q->QP % 6][4 * i + j] * A[class] * (1 << q->QP / 6)) >> (10 - dc));
    return sign(cs) * ((llabs(cs) * LevelScale2 + half) >> (15 + dc + q->QS / 6));
}

static int32_t ref_scaled(const switching_quantiser *const q, const int64_t c, const int i) {
    const int64_t v = c * q->scale[q->QS % 6][i];
    const int per = q->QS / 6;
    return (int32_t)(per >= 4 ? v * (1 << (per - 4)) : (v + (1 << (3 - per))) >> (4 - per));
}

static void ref_luma(int32_t c[16], const int32_t pred[16], const switching_quantiser *const q) {
    int64_t p[16];
    ref_forward(pred, p);
    for (int i = 0; i < 16; i++)
        c[i] = ref_scaled(q, ref_level(q, p[i], c[i], i / 4, i % 4, 0), i);
    h264_idct4x4(c);
    for (int i = 0; i < 16; i++)
        c[i] -= pred[i];
}

static void ref_chroma(int32_t c[4][16], const int32_t pred[4][16],
                       const switching_quantiser *const q) {
    static const int h[2][2] = {{1, 1}, {1, -1}};
    int64_t p[4][16];
    int32_t dc[4] = {0};
    for (int b = 0; b < 4; b++)
        ref_forward(pred[b], p[b]);
    for (int b = 0; b < 4; b++) { // [1 1; 1 -1] * [p0 p1; p2 p3] * [1 1; 1 -1]
        int64_t sum = 0;
        for (int k = 0; k < 4; k++)
            sum += h[b / 2][k / 2] * p[k][0] * h[k % 2][b % 2];
        dc[b] = (int32_t)ref_level(q, sum, c[b][0], 0, 0, 1);
    }
    h264_chroma_dc_420(dc, q->scale[q->QS % 6][0], q->QS);
    for (int b = 0; b < 4; b++) {
        for (int i = 1; i < 16; i++)
            c[b][i] = ref_scaled(q, ref_level(q, p[b][i], c[b][i], i / 4, i % 4, 0), i);
        c[b][0] = dc[b];
        h264_idct4x4(c[b]);
        for (int i = 0; i < 16; i++)
            c[b][i] -= pred[b][i];
    }
}

static void transpose(int32_t b[16]) {
    int32_t t[16];
    for (int i = 0; i < 16; i++)
        t[i] = b[i % 4 * 4 + i / 4];
    memcpy(b, t, sizeof t);
}

static void transpose_plane(int32_t b[4][16]) {
    int32_t t[16];
    memcpy(t, b[1], sizeof t);
    memcpy(b[1], b[2], sizeof t);
    memcpy(b[2], t, sizeof t);
    for (int i = 0; i < 4; i++)
        transpose(b[i]);
}

void test_switching(void) {
    static level_scale scale;
    memset(scale.ScalingList4x4, 16, sizeof scale.ScalingList4x4);
    memset(scale.ScalingList8x8, 16, sizeof scale.ScalingList8x8);
    h264_level_scale_init(&scale);
    for (int round = 0; round < 2000; round++) {
        const switching_quantiser q = {.QP = rnd(52),
                                       .QS = rnd(52),
                                       .scale = (const int32_t (*)[16])scale.s4x4[0],
                                       .switching = rnd(2)};
        int32_t pred[4][16], c[4][16], want[4][16], turned[4][16];
        for (int b = 0; b < 4; b++)
            for (int i = 0; i < 16; i++) {
                pred[b][i] = rnd(256);
                c[b][i] = rnd(3) ? 0 : rnd(9) - 4;
            }
        memcpy(want, c, sizeof c);
        memcpy(turned, c, sizeof c);
        ref_luma(want[0], pred[0], &q);
        h264_switching_luma(c[0], pred[0], &q);
        check_true("SP luma", memcmp(c[0], want[0], sizeof c[0]) == 0);
        memcpy(c, turned, sizeof c);
        memcpy(want, c, sizeof c);
        ref_chroma(want, (const int32_t (*)[16])pred, &q);
        h264_switching_chroma(c, (const int32_t (*)[16])pred, &q);
        check_true("SP chroma", memcmp(c, want, sizeof c) == 0);
        transpose_plane(turned);
        transpose_plane(pred);
        h264_switching_chroma(turned, (const int32_t (*)[16])pred, &q);
        int32_t error = 0; // rows before columns rounds otherwise than columns before rows
        transpose_plane(turned);
        for (int b = 0; b < 4; b++)
            for (int i = 0; i < 16; i++)
                error = imax(error, abs(turned[b][i] - c[b][i]));
        check_true("SP chroma with rows and columns exchanged", error <= 1);
    }
}
