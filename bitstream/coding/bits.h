/* Bit reader over an RBSP (7.2, 9.1): u(n), ue(v), se(v), te(v).
 *
 * Reading never fails half-way: past the end the reader returns zeros and stands still, and
 * bits_overrun() tells afterwards. The buffer must be followed by BITS_PADDING readable bytes. */
#ifndef DAVD_BITS_H
#define DAVD_BITS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

enum {
    BITS_PADDING = 32
};

typedef struct bits {
    const uint8_t *data;
    uint32_t pos;   // next bit, 0..limit
    uint32_t end;   // number of bits before the padding
    uint32_t limit; // end + 64: where pos stops
} bits;

// Zero bits before the first 1 of v, which is not 0.
static inline int bits_leading_zeros(const uint32_t v) {
#if defined(__GNUC__)
    return __builtin_clz(v);
#elif defined(_MSC_VER)
    unsigned long place;
    _BitScanReverse(&place, v);
    return 31 - (int)place;
#else
    int n = 0;
    for (uint32_t bit = UINT32_C(1) << 31; !(v & bit); bit >>= 1)
        n++;
    return n;
#endif
}

// The 32 bits from pos on, first bit uppermost. A loop of byte loads is one bswap load to the
// compiler.
static inline uint32_t bits_peek32(const bits *const b) {
    const uint8_t *const p = b->data + (b->pos >> 3);
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return (uint32_t)(v << (b->pos & 7) >> 32);
}

static inline void bits_skip(bits *const b, const uint32_t n) {
    const uint32_t pos = b->pos + n;
    b->pos = pos < b->limit ? pos : b->limit;
}

// u(n), n 1..32
static inline uint32_t bits_u(bits *const b, const int n) {
    const uint32_t v = bits_peek32(b) >> (32 - n);
    bits_skip(b, (uint32_t)n);
    return v;
}

static inline uint32_t bits_u1(bits *const b) {
    const uint32_t v = (uint32_t)(b->data[b->pos >> 3] >> (7 - (b->pos & 7)) & 1);
    bits_skip(b, 1);
    return v;
}

static inline bool bits_overrun(const bits *const b) {
    return b->pos > b->end;
}

uint32_t bits_ue_long(bits *b); // prefixes of 16 zeros and more

// ue(v), 9.1: 0..2^32-2
static inline uint32_t bits_ue(bits *const b) {
    const uint32_t v = bits_peek32(b);
    if (v < 1u << 16)
        return bits_ue_long(b);
    const int zeros = bits_leading_zeros(v);
    bits_skip(b, (uint32_t)(2 * zeros + 1));
    return (v >> (31 - 2 * zeros)) - 1;
}

// se(v), 9.1.1
static inline int32_t bits_se(bits *const b) {
    const uint32_t k = bits_ue(b);
    return k & 1 ? (int32_t)(k / 2 + 1) : -(int32_t)(k / 2);
}

// te(v), 9.1: range is the largest value the element may take
static inline uint32_t bits_te(bits *const b, const uint32_t range) {
    return range > 1 ? bits_ue(b) : !bits_u1(b);
}

void bits_init(bits *b, const uint8_t *data, size_t size); // size < 2^28 bytes
bool bits_more_rbsp_data(const bits *b);                   // 7.2 more_rbsp_data()

#endif
