/* Tables of the arithmetic decoding engine of CABAC, the same in H.264 and H.265. */
#ifndef DAVD_CODING_CABAC_TABLES_H
#define DAVD_CODING_CABAC_TABLES_H

#include <stdint.h>

// A range after the less probable symbol, and what renormalisation makes of it
typedef struct coding_lps {
    uint8_t range, shift;
    uint16_t renormalised; // range << shift, 256..511
} coding_lps;

// rangeTabLps by pStateIdx << 1 | valMps, then qRangeIdx
extern const coding_lps coding_rangeTabLps[128][4];
// next state: [128 + s] after an LPS, [127 - s] after an MPS
extern const uint8_t coding_transIdx[256];
// 256 * log2(510 / range) for a range of 256 and more
extern const uint8_t coding_range_cost[256];

#endif
