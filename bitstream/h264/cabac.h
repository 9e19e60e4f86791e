/* Arithmetic decoding engine of CABAC (9.3.3.2), inlined into the two files that use it.
 *
 * codIOffset is kept with up to 55 further bits of the stream below it: `value` < `range` <<
 * `shift`. Renormalisation then only moves `shift`; the stream is read six bytes at a time, when
 * `shift` runs low. */
#ifndef DAVD_CABAC_H
#define DAVD_CABAC_H

#include "../coding/cabac_tables.h"
#include "internal.h"

typedef struct cabac_engine {
    uint64_t value;
    uint32_t range;
    int shift;
} cabac_engine;

// Bytes beyond the end read as the padding behind every RBSP; `next` stops there.
static inline void cabac_refill(cabac *const c, cabac_engine *const e) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | c->next[i];
    e->value = e->value << 48 | v >> 16;
    e->shift += 48;
    c->next += c->next < c->end + 8 ? 6 : 0;
}

H264_INLINE cabac_engine cabac_load(const cabac *const c) {
    return (cabac_engine){c->value, c->range, c->shift};
}

H264_INLINE void cabac_store(cabac *const c, const cabac_engine e) {
    c->value = e.value;
    c->range = e.range;
    c->shift = e.shift;
}

// DecodeDecision (9.3.3.2.1) without branches on the decoded bin: they are as unpredictable as the
// stream is dense.
H264_INLINE int cabac_decision(cabac *const c, cabac_engine *const e, uint8_t *const state) {
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
    if (H264_UNLIKELY(e->shift < 8))
        cabac_refill(c, e);
    return (int)(t & 1);
}

// DecodeBypass (9.3.3.2.3)
H264_INLINE int cabac_bypass(cabac *const c, cabac_engine *const e) {
    const uint64_t scaled = (uint64_t)e->range << --e->shift;
    const uint64_t one = e->value >= scaled ? ~UINT64_C(0) : 0;
    e->value -= scaled & one;
    if (H264_UNLIKELY(e->shift < 8)) // not before: value would not fit
        cabac_refill(c, e);
    return (int)(one & 1);
}

// DecodeTerminate (9.3.3.2.4)
H264_INLINE int cabac_terminate(cabac *const c, cabac_engine *const e) {
    e->range -= 2;
    if (e->value >= (uint64_t)e->range << e->shift)
        return 1;
    const int n = e->range < 256;
    e->range <<= n;
    e->shift -= n;
    if (H264_UNLIKELY(e->shift < 8))
        cabac_refill(c, e);
    return 0;
}

#endif
