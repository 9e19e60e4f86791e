/* Tables of the arithmetic decoding engine of CABAC, the same in H.264 and H.265. */
#ifndef DAVD_CODING_CABAC_TABLES_H
#define DAVD_CODING_CABAC_TABLES_H

#include <stdint.h>

// A state of a context variable, pStateIdx << 1 | valMps
typedef struct coding_state {
    // rangeTabLps by qRangeIdx, 16 bits each, the first lowest: the range after the less probable
    // symbol, and from bit 8 on the shift that brings it back to 256 or more
    uint64_t lps;
    uint8_t after_mps, after_lps; // the next state
} coding_state;

extern const coding_state coding_states[128];
// 256 * log2(510 / range) for a range of 256 and more
extern const uint8_t coding_range_cost[256];

#endif
