/* Tables of the arithmetic decoding engine of CABAC, the same in H.264 and H.265. */
#ifndef DAVD_CODING_CABAC_TABLES_H
#define DAVD_CODING_CABAC_TABLES_H

#include <stdint.h>

// rangeTabLps by qRangeIdx, then pStateIdx << 1 | valMps
extern const uint8_t coding_rangeTabLps[4][128];
// next state: [128 + s] after an MPS, [127 - s] after an LPS
extern const uint8_t coding_transIdx[256];
// 256 * log2(510 / range) for a range of 256 and more
extern const uint8_t coding_range_cost[256];

#endif
