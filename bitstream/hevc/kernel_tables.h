/* Tables of the functions on samples, for every file that compiles kernels_template.h. */
#ifndef DAVD_HEVC_KERNEL_TABLES_H
#define DAVD_HEVC_KERNEL_TABLES_H

#include <stdint.h>

// 8.4.4.2.6
static const int8_t intraPredAngle[35] = {0,  0,  32,  26,  21,  17,  13,  9,   5,   2,   0,   -2,
                                          -5, -9, -13, -17, -21, -26, -32, -26, -21, -17, -13, -9,
                                          -5, -2, 0,   2,   5,   9,   13,  17,  21,  26,  32};
static const int16_t invAngle[35] = {[11] = -4096, [12] = -1638, [13] = -910, [14] = -630,
                                     [15] = -482,  [16] = -390,  [17] = -315, [18] = -256,
                                     [19] = -315,  [20] = -390,  [21] = -482, [22] = -630,
                                     [23] = -910,  [24] = -1638, [25] = -4096};

// 8.5.3.3.3.2, 8.5.3.3.3.3
static const int8_t luma_taps[4][8] = {{0, 0, 0, 64, 0, 0, 0, 0},
                                       {-1, 4, -10, 58, 17, -5, 1, 0},
                                       {-1, 4, -11, 40, 40, -11, 4, -1},
                                       {0, 1, -5, 17, 58, -10, 4, -1}};
static const int8_t chroma_taps[8][4] = {{0, 64, 0, 0},    {-2, 58, 10, -2}, {-4, 54, 16, -2},
                                         {-6, 46, 28, -4}, {-4, 36, 36, -4}, {-4, 28, 46, -6},
                                         {-2, 16, 54, -4}, {-2, 10, 58, -2}};

#endif
