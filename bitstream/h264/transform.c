/* Scaling and inverse transforms (8.5): level scale tables, DC stages, and the 4x4 and 8x8
 * transforms with or without adding to the prediction. Bypass (8.5.15) and the scaling of AC
 * coefficients belong to recon.c.
 *
 * Coefficients of legal streams fit 16 bits (8 bits of depth); these functions take anything within
 * +-2^22, to which the caller clamps, without overflow. */
#include <string.h>

#include "internal.h"

enum {
    MAX_COEFFICIENT = 1 << 22
};

// 8.5.9: v of normAdjust4x4 by position class
static const uint8_t norm_adjust_4x4[6][3] = {
    {10, 16, 13}, {11, 18, 14}, {13, 20, 16}, {14, 23, 18}, {16, 25, 20}, {18, 29, 23},
};

// 8.5.9: v of normAdjust8x8
static const uint8_t norm_adjust_8x8[6][6] = {
    {20, 18, 32, 19, 25, 24}, {22, 19, 35, 21, 28, 26}, {26, 23, 42, 24, 33, 31},
    {28, 25, 45, 26, 35, 33}, {32, 28, 51, 30, 40, 38}, {36, 32, 58, 34, 46, 43},
};

// 8.5.6, 8.5.7: zig-zag (frame) and field scan (Tables 8-13 and 8-14): place in the block (raster)
// by scan index
const uint8_t h264_scan_4x4[2 /* field */][16] = {
    {0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15},
    {0, 4, 1, 8, 12, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
};
const uint8_t h264_scan_8x8[2][64] = {
    {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
     41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
     30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63},
    {0,  8,  16, 1,  9,  24, 32, 17, 2, 25, 40, 48, 56, 33, 10, 3,  18, 41, 49, 57, 26, 11,
     4,  19, 34, 42, 50, 58, 27, 12, 5, 20, 35, 43, 51, 59, 28, 13, 6,  21, 36, 44, 52, 60,
     29, 14, 22, 37, 45, 53, 61, 30, 7, 15, 38, 46, 54, 62, 23, 31, 39, 47, 55, 63},
};

// 8.5.4: place of a chroma DC level in its matrix of two columns (4:2:0, 4:2:2)
const uint8_t h264_chroma_dc_place[2][8] = {{0, 1, 2, 3}, {0, 2, 1, 4, 6, 3, 5, 7}};

static int position_class_4x4(const int i, const int j) {
    return i % 2 == 0 && j % 2 == 0 ? 0 : i % 2 == 1 && j % 2 == 1 ? 1 : 2;
}

static int position_class_8x8(const int i, const int j) {
    if (i % 4 == 0 && j % 4 == 0)
        return 0;
    if (i % 2 == 1 && j % 2 == 1)
        return 1;
    if (i % 4 == 2 && j % 4 == 2)
        return 2;
    if ((i % 4 == 0 && j % 2 == 1) || (i % 2 == 1 && j % 4 == 0))
        return 3;
    if (i % 2 == 0 && j % 2 == 0)
        return 4;
    return 5;
}

// 8.5.9: the weight scales are always in frame zig-zag order, for field macroblocks as well
void h264_level_scale_init(level_scale *const s) {
    for (int list = 0; list < 6; list++)
        for (int m = 0; m < 6; m++) {
            for (int k = 0; k < 16; k++) {
                const int p = h264_scan_4x4[0][k], class = position_class_4x4(p / 4, p % 4);
                s->s4x4[list][m][p] = s->ScalingList4x4[list][k] * norm_adjust_4x4[m][class];
            }
            for (int k = 0; k < 64; k++) {
                const int p = h264_scan_8x8[0][k], class = position_class_8x8(p / 8, p % 8);
                s->s8x8[list][m][p] = s->ScalingList8x8[list][k] * norm_adjust_8x8[m][class];
            }
        }
}

// One dimension of 8.5.12.2, of elements `step` apart
CORE_INLINE void transform4(int32_t *const d, const int step) {
    const int32_t e0 = d[0] + d[2 * step], e1 = d[0] - d[2 * step];
    const int32_t e2 = (d[step] >> 1) - d[3 * step], e3 = d[step] + (d[3 * step] >> 1);
    d[0] = e0 + e3;
    d[step] = e1 + e2;
    d[2 * step] = e1 - e2;
    d[3 * step] = e0 - e3;
}

// One dimension of 8.5.13.2
CORE_INLINE void transform8(int32_t *const d, const int step) {
    const int32_t d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    const int32_t d4 = d[4 * step], d5 = d[5 * step], d6 = d[6 * step], d7 = d[7 * step];
    const int32_t a0 = d0 + d4, a2 = d0 - d4;
    const int32_t a4 = (d2 >> 1) - d6, a6 = d2 + (d6 >> 1);
    const int32_t a1 = d5 - d3 - d7 - (d7 >> 1), a3 = d1 + d7 - d3 - (d3 >> 1);
    const int32_t a5 = d7 - d1 + d5 + (d5 >> 1), a7 = d3 + d5 + d1 + (d1 >> 1);
    const int32_t b0 = a0 + a6, b2 = a2 + a4, b4 = a2 - a4, b6 = a0 - a6;
    const int32_t b1 = a1 + (a7 >> 2), b3 = a3 + (a5 >> 2);
    const int32_t b5 = (a3 >> 2) - a5, b7 = a7 - (a1 >> 2);
    d[0] = b0 + b7;
    d[step] = b2 + b5;
    d[2 * step] = b4 + b3;
    d[3 * step] = b6 + b1;
    d[4 * step] = b6 - b1;
    d[5 * step] = b4 - b3;
    d[6 * step] = b2 - b5;
    d[7 * step] = b0 - b7;
}

// 8.5.12.2: rows first, then columns. The order matters to the last bit.
CORE_INLINE void idct4x4(int32_t d[16]) {
    for (int i = 0; i < 4; i++)
        transform4(d + 4 * i, 1);
    for (int j = 0; j < 4; j++)
        transform4(d + j, 4);
    for (int i = 0; i < 16; i++)
        d[i] = (d[i] + 32) >> 6;
}

void h264_idct4x4(int32_t d[16]) {
    idct4x4(d);
}

// 8.5.13.2
CORE_INLINE void idct8x8(int32_t d[64]) {
    for (int i = 0; i < 8; i++)
        transform8(d + 8 * i, 1);
    for (int j = 0; j < 8; j++)
        transform8(d + j, 8);
    for (int i = 0; i < 64; i++)
        d[i] = (d[i] + 32) >> 6;
}

// The 4-point transform of the DC stages, 8.5.10 and (4:2:2) 8.5.11.1
CORE_INLINE void hadamard4(int64_t *const c, const int step) {
    const int64_t s0 = c[0] + c[step], s1 = c[0] - c[step];
    const int64_t s2 = c[2 * step] + c[3 * step], s3 = c[2 * step] - c[3 * step];
    c[0] = s0 + s2;
    c[step] = s0 - s2;
    c[2 * step] = s1 - s3;
    c[3 * step] = s1 + s3;
}

CORE_INLINE int32_t clamp_coefficient(const int64_t v) {
    return (int32_t)(v < -MAX_COEFFICIENT  ? -MAX_COEFFICIENT
                     : v > MAX_COEFFICIENT ? MAX_COEFFICIENT
                                           : v);
}

// 8.5.10 and (4:2:2) 8.5.11.2: the scale of a 4-point stage squared, rounded below qP 36
CORE_INLINE int32_t scale_dc(const int64_t f, const int32_t scale, const int qP) {
    if (qP >= 36)
        return clamp_coefficient(f * scale * (1 << (qP / 6 - 6)));
    return clamp_coefficient((f * scale + (1 << (5 - qP / 6))) >> (6 - qP / 6));
}

// 8.5.10
void h264_luma_dc(int32_t c[16], const int32_t scale, const int qP) {
    int64_t f[16];
    for (int i = 0; i < 16; i++)
        f[i] = c[i];
    for (int i = 0; i < 4; i++)
        hadamard4(f + 4 * i, 1);
    for (int j = 0; j < 4; j++)
        hadamard4(f + j, 4);
    for (int i = 0; i < 16; i++)
        c[i] = scale_dc(f[i], scale, qP);
}

// 8.5.11, ChromaArrayType 1
void h264_chroma_dc_420(int32_t c[4], const int32_t scale, const int qP) {
    const int64_t s0 = (int64_t)c[0] + c[1], s1 = (int64_t)c[0] - c[1];
    const int64_t s2 = (int64_t)c[2] + c[3], s3 = (int64_t)c[2] - c[3];
    const int64_t f[4] = {s0 + s2, s1 + s3, s0 - s2, s1 - s3};
    for (int i = 0; i < 4; i++)
        c[i] = clamp_coefficient((f[i] * scale * (1 << (qP / 6))) >> 5);
}

// 8.5.11, ChromaArrayType 2
void h264_chroma_dc_422(int32_t c[8], const int32_t scale, const int qP_dc) {
    int64_t f[8];
    for (int i = 0; i < 4; i++) {
        f[2 * i] = (int64_t)c[2 * i] + c[2 * i + 1];
        f[2 * i + 1] = (int64_t)c[2 * i] - c[2 * i + 1];
    }
    hadamard4(f, 2);
    hadamard4(f + 1, 2);
    for (int i = 0; i < 8; i++)
        c[i] = scale_dc(f[i], scale, qP_dc);
}

#define SAMPLE_SIZE 1
#include "transform_template.h"
#undef SAMPLE_SIZE

#define SAMPLE_SIZE 2
#include "transform_template.h"
#undef SAMPLE_SIZE
