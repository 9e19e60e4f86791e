/* The arithmetic decoding engine of CABAC (9.3.3.2 of H.264, 9.3.4.3 of H.265).
 *
 * codIOffset (ivlOffset) is kept with up to 47 further bits of the stream below it: `value` <
 * `range` << `shift`. Renormalisation then only moves `shift`; the stream is read five bytes at a
 * time, when `shift` runs low. The data must be followed by 24 readable bytes. A hot loop copies
 * the engine into a local variable, which the compiler keeps in registers. */
#ifndef DAVD_CODING_ARITHMETIC_H
#define DAVD_CODING_ARITHMETIC_H

#include <stdint.h>

#include "bits.h"
#include "cabac_tables.h"
#include "compiler.h"

typedef struct cabac_engine {
    uint64_t value;
    uint32_t range; // 256..510
    int shift;
    const uint8_t *next, *end;
} cabac_engine;

enum {
    // Bytes that are decoded behind the end, as if there were more: so much more than the engine
    // reads ahead that cabac_is_spent notices
    CABAC_BEHIND_THE_END = 6
};

// Bytes beyond the end read as the padding; `next` stops there.
CORE_INLINE void cabac_refill(cabac_engine *const e) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | e->next[i];
    e->value = e->value << 40 | v >> 24;
    e->shift += 40;
    e->next += e->next < e->end + CABAC_BEHIND_THE_END + 2 ? 5 : 0;
}

// 9.3.1.2 of H.264, 9.3.2.5 of H.265
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

// Does the engine live on the padding only? To be asked between syntax elements of unbroken data
static inline int cabac_is_spent(const cabac_engine *const e) {
    return cabac_position(e) > e->end + 1;
}

// How far the engine has come since `data`, in 1/256 bit. It stands between bits: a range of R has
// log2(510 / R) bits behind it of what has been shifted in, and nine are in the offset when nothing
// has been decoded yet. ended: after a terminating bin of 1, when all bits count but the last.
static inline uint64_t cabac_cost(const cabac_engine *const e, const uint8_t *const data,
                                  const int ended) {
    const uint64_t read = (uint64_t)(e->next - data) * 8 - (uint64_t)e->shift;
    return ended ? (read - 1) * 256 : (read - 9) * 256 + coding_range_cost[e->range & 255];
}

// What one of the two outcomes of a decision leaves
typedef struct cabac_outcome {
    uint64_t value;
    uint32_t range, shift /* of renormalisation */, state, bin /* in bit 0 */;
} cabac_outcome;

// The outcome of the more probable symbol where value < scaled, else that of the less probable one.
// Compilers make masks of such conditions, or branches: here five moves hang on one subtraction.
CORE_INLINE cabac_outcome cabac_choose(const uint64_t scaled, const cabac_outcome mps,
                                       cabac_outcome lps) {
#if defined(__GNUC__) && defined(__x86_64__)
    lps.value = mps.value;
    __asm__("subq %[scaled], %[value]\n\t"
            "cmovbq %[mps_value], %[value]\n\t"
            "cmovbl %[mps_range], %[range]\n\t"
            "cmovbl %[mps_shift], %[shift]\n\t"
            "cmovbl %[mps_state], %[state]\n\t"
            "cmovbl %[mps_bin], %[bin]"
            : [value] "+&r"(lps.value), [range] "+&r"(lps.range), [shift] "+&r"(lps.shift),
              [state] "+&r"(lps.state), [bin] "+&r"(lps.bin)
            : [scaled] "r"(scaled), [mps_value] "rm"(mps.value), [mps_range] "rm"(mps.range),
              [mps_shift] "rm"(mps.shift), [mps_state] "rm"(mps.state), [mps_bin] "rm"(mps.bin)
            : "cc");
    return lps;
#else
    const uint64_t is_mps = (uint64_t)((int64_t)(mps.value - scaled) >> 63); // all bits, or none
    const uint32_t mask = (uint32_t)is_mps;
    return (cabac_outcome){
        mps.value - (scaled & ~is_mps), lps.range ^ ((lps.range ^ mps.range) & mask),
        lps.shift ^ ((lps.shift ^ mps.shift) & mask), lps.state ^ ((lps.state ^ mps.state) & mask),
        lps.bin ^ ((lps.bin ^ mps.bin) & mask)};
#endif
}

// DecodeDecision without branches on the decoded bin: they are as unpredictable as the stream is
// dense. Both outcomes are made ready, renormalised, and the right one is taken. What depends on
// the state alone is loaded at once, so that it does not wait for the range.
CORE_INLINE int cabac_decision(cabac_engine *const e, uint8_t *const state) {
    const uint32_t s = *state;
    const coding_state *const now = &coding_states[s];
    const uint32_t row = (uint32_t)(now->lps >> (e->range >> 2 & 48));
    const uint32_t lps = row & 0xff, lps_shift = row >> 8 & 7;
    const uint32_t mps = e->range - lps; // 128 or more
    const uint32_t mps_shift = mps >> 8 ^ 1;
    const cabac_outcome next =
        cabac_choose((uint64_t)mps << e->shift,
                     (cabac_outcome){e->value, mps << mps_shift, mps_shift, now->after_mps, s},
                     (cabac_outcome){0, lps << lps_shift, lps_shift, now->after_lps, s ^ 1});
    e->value = next.value;
    e->range = next.range;
    e->shift -= (int)next.shift;
    *state = (uint8_t)next.state;
    if (CORE_UNLIKELY(e->shift < 8))
        cabac_refill(e);
    return (int)(next.bin & 1);
}

// DecodeBypass
CORE_INLINE int cabac_bypass(cabac_engine *const e) {
    const uint64_t scaled = (uint64_t)e->range << --e->shift;
    const int64_t rest = (int64_t)(e->value - scaled);
    const uint64_t zero = (uint64_t)(rest >> 63); // all bits where the bin is 0
    e->value = (uint64_t)rest + (scaled & zero);
    if (CORE_UNLIKELY(e->shift < 8))
        cabac_refill(e);
    return (int)(1 + zero);
}

static inline uint32_t cabac_bypass_bits(cabac_engine *const e, const int n) {
    uint32_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 1 | (uint32_t)cabac_bypass(e);
    return v;
}

// DecodeTerminate
CORE_INLINE int cabac_terminate(cabac_engine *const e) {
    e->range -= 2;
    if (e->value >= (uint64_t)e->range << e->shift)
        return 1;
    const int n = e->range < 256;
    e->range <<= n;
    e->shift -= n;
    if (CORE_UNLIKELY(e->shift < 8))
        cabac_refill(e);
    return 0;
}

#endif
