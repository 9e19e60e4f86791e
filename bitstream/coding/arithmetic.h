/* An arithmetic decoding engine of CABAC (9.3.4.3 of H.265, 9.3.3.2 of H.264), kept in one piece.
 *
 * ivlOffset (codIOffset) is kept with up to 55 further bits of the stream below it: `value` <
 * `range` << `shift`. Renormalisation then only moves `shift`; the stream is read six bytes at a
 * time, when `shift` runs low. The data must be followed by 16 readable bytes. */
#ifndef DAVD_CODING_ARITHMETIC_H
#define DAVD_CODING_ARITHMETIC_H

#include <stdint.h>

#include "bits.h"
#include "cabac_tables.h"

typedef struct cabac_engine {
    uint64_t value;
    uint32_t range; // 256..510
    int shift;
    const uint8_t *next, *end;
} cabac_engine;

// Bytes beyond the end read as the padding; `next` stops there.
static inline void cabac_refill(cabac_engine *const e) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | e->next[i];
    e->value = e->value << 48 | v >> 16;
    e->shift += 48;
    e->next += e->next < e->end + 2 ? 6 : 0;
}

static inline void cabac_start(cabac_engine *const e, const uint8_t *const data,
                               const uint8_t *const end) {
    e->next = data;
    e->end = end;
    e->range = 510;
    e->value = 0;
    e->shift = -9;
    cabac_refill(e);
}

// First byte after the bin that ended a run of bins, alignment included.
static inline const uint8_t *cabac_position(const cabac_engine *const e) {
    return e->next - e->shift / 8;
}

// How far the engine has come since `data`, in 1/256 bit. It stands between bits: a range of R has
// log2(510 / R) bits behind it of what has been shifted in, and nine are in the offset when nothing
// has been decoded yet. ended: after a terminating bin of 1, when all bits count but the last.
static inline uint64_t cabac_cost(const cabac_engine *const e, const uint8_t *const data,
                                  const int ended) {
    const uint64_t read = (uint64_t)(e->next - data) * 8 - (uint64_t)e->shift;
    return ended ? (read - 1) * 256 : (read - 9) * 256 + coding_range_cost[e->range & 255];
}

static inline int cabac_decision(cabac_engine *const e, uint8_t *const state) {
    const uint32_t s = *state;
    const uint32_t lps = coding_rangeTabLps[e->range >> 6 & 3][s];
    const uint32_t mps = e->range - lps;
    const uint64_t scaled = (uint64_t)mps << e->shift;
    const uint64_t is_lps = e->value >= scaled ? ~UINT64_C(0) : 0;
    e->value -= scaled & is_lps;
    const uint32_t range = mps + ((lps - mps) & (uint32_t)is_lps);
    const uint32_t t = s ^ (uint32_t)is_lps; // s, or ~s
    *state = coding_transIdx[(int32_t)t + 128];
    const int n = bits_leading_zeros(range) - 23;
    e->range = range << n;
    e->shift -= n;
    if (e->shift < 8)
        cabac_refill(e);
    return (int)(t & 1);
}

static inline int cabac_bypass(cabac_engine *const e) {
    const uint64_t scaled = (uint64_t)e->range << --e->shift;
    const uint64_t one = e->value >= scaled ? ~UINT64_C(0) : 0;
    e->value -= scaled & one;
    if (e->shift < 8)
        cabac_refill(e);
    return (int)(one & 1);
}

static inline uint32_t cabac_bypass_bits(cabac_engine *const e, const int n) {
    uint32_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 1 | (uint32_t)cabac_bypass(e);
    return v;
}

static inline int cabac_terminate(cabac_engine *const e) {
    e->range -= 2;
    if (e->value >= (uint64_t)e->range << e->shift)
        return 1;
    const int n = e->range < 256;
    e->range <<= n;
    e->shift -= n;
    if (e->shift < 8)
        cabac_refill(e);
    return 0;
}

#endif
