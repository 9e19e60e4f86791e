/* 8.6 Transform decoding of P macroblocks in SP slices and of SI macroblocks: prediction and
 * levels are added as transform coefficients and quantised with QS, so that streams which predict
 * in other ways can arrive at the same picture. In: levels and predicted samples of one macroblock.
 * Out: the residual that leads there from the prediction. */
#include "internal.h"

enum {
    LEVEL_LIMIT = 1 << 22
}; // as in recon.c; beyond any legal level

// 8.6.1: LevelScale2 and A by the class of the place: both coordinates even, both odd, other
static const uint16_t LevelScale2[6][3] = {{13107, 5243, 8066}, {11916, 4660, 7490},
                                           {10082, 4194, 6554}, {9362, 3647, 5825},
                                           {8192, 3355, 5243},  {7282, 2893, 4559}};
static const uint8_t A[3] = {16, 25, 20};

static int place_class(const int i) {
    const int x = i & 1, y = i >> 2 & 1;
    return x && y ? 1 : x || y ? 2 : 0;
}

// One dimension of the forward transform, of elements `step` apart
static void forward(int32_t *const p, const int step) {
    const int32_t sum = p[0] + p[3 * step], inner_sum = p[step] + p[2 * step];
    const int32_t difference = p[0] - p[3 * step], inner_difference = p[step] - p[2 * step];
    p[0] = sum + inner_sum;
    p[step] = 2 * difference + inner_difference;
    p[2 * step] = sum - inner_sum;
    p[3 * step] = difference - 2 * inner_difference;
}

static void forward4x4(const int32_t pred[16], int32_t c[16]) {
    for (int i = 0; i < 16; i++)
        c[i] = pred[i];
    for (int i = 0; i < 4; i++)
        forward(c + 4 * i, 1);
    for (int i = 0; i < 4; i++)
        forward(c + i, 4);
}

static int32_t quantise(const int64_t c, const int scale, const int shift) {
    const int64_t magnitude = ((c < 0 ? -c : c) * scale + (INT64_C(1) << (shift - 1))) >> shift;
    const int32_t level = (int32_t)(magnitude < LEVEL_LIMIT ? magnitude : LEVEL_LIMIT);
    return c < 0 ? -level : level;
}

/* The level of prediction (coefficient c) and residual (`level`) together. `dc`: 1 for chroma DC
 * coefficients, which are sums of four. */
static int32_t combine(const switching_quantiser *const q, const int32_t c, const int32_t level,
                       const int i, const int dc) {
    const int class = place_class(i), scale2 = LevelScale2[q->QS % 6][class];
    const int shift = 15 + dc + q->QS / 6;
    if (q->switching) // 8.6.2
        return iclip(level, -LEVEL_LIMIT, LEVEL_LIMIT) + quantise(c, scale2, shift);
    const int64_t step = (int64_t)q->scale[q->QP % 6][i] * A[class] * (1 << q->QP / 6);
    return quantise(c + ((level * step) >> (10 - dc)), scale2, shift);
}

// 8.5.12.1
static int32_t scaled(const switching_quantiser *const q, const int64_t level, const int i) {
    const int64_t v = level * q->scale[q->QS % 6][i] * (1 << q->QS / 6);
    const int64_t d = (v + 8) >> 4;
    return (int32_t)(d < -LEVEL_LIMIT ? -LEVEL_LIMIT : d > LEVEL_LIMIT ? LEVEL_LIMIT : d);
}

static void residual_of(int32_t d[16], const int32_t pred[16]) {
    h264_idct4x4(d);
    for (int i = 0; i < 16; i++)
        d[i] -= pred[i];
}

void h264_switching_luma(int32_t c[16], const int32_t pred[16],
                         const switching_quantiser *const q) {
    int32_t p[16];
    forward4x4(pred, p);
    for (int i = 0; i < 16; i++)
        c[i] = scaled(q, combine(q, p[i], c[i], i, 0), i);
    residual_of(c, pred);
}

static void hadamard2x2(int32_t c[4]) {
    const int32_t s0 = c[0] + c[1], s1 = c[0] - c[1], s2 = c[2] + c[3], s3 = c[2] - c[3];
    c[0] = s0 + s2;
    c[1] = s1 + s3;
    c[2] = s0 - s2;
    c[3] = s1 - s3;
}

void h264_switching_chroma(int32_t c[4][16], const int32_t pred[4][16],
                           const switching_quantiser *const q) {
    int32_t p[4][16], dc[4];
    for (int b = 0; b < 4; b++) {
        forward4x4(pred[b], p[b]);
        dc[b] = p[b][0];
    }
    hadamard2x2(dc);
    for (int b = 0; b < 4; b++)
        dc[b] = combine(q, dc[b], c[b][0], 0, 1);
    h264_chroma_dc_420(dc, q->scale[q->QS % 6][0], q->QS);
    for (int b = 0; b < 4; b++) {
        for (int i = 1; i < 16; i++)
            c[b][i] = scaled(q, combine(q, p[b][i], c[b][i], i, 0), i);
        c[b][0] = dc[b];
        residual_of(c[b], pred[b]);
    }
}
