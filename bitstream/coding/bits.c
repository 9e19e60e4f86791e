/* 7.2, 9.1: the parts of the bit reader that are seldom needed or look at the whole RBSP. bits.h
 * has the rest. */
#include "bits.h"

void bits_init(bits *const b, const uint8_t *const data, const size_t size) {
    size_t n = size;
    while (n > 0 && data[n - 1] == 0) // cabac_zero_words, trailing_zero_8bits
        n--;
    b->data = data;
    b->pos = 0;
    b->end = (uint32_t)n * 8;
    b->limit = b->end + 64;
}

/* 9.1. A prefix of 32 zeros or more is no legal code: it gives a value that every range check
 * refuses. */
uint32_t bits_ue_long(bits *const b) {
    const uint32_t v = bits_peek32(b);
    if (v == 0) {
        bits_skip(b, 64);
        return UINT32_MAX - 1;
    }
    const int zeros = bits_leading_zeros(v);
    bits_skip(b, (uint32_t)zeros + 1);
    return (1u << zeros) - 1 + bits_u(b, zeros);
}

/* 7.2 more_rbsp_data(): anything before the last bit that is 1? */
bool bits_more_rbsp_data(const bits *const b) {
    if (b->pos + 8 < b->end)
        return true;
    if (b->pos >= b->end)
        return false;
    const uint32_t last = b->data[b->end / 8 - 1]; // not 0; its lowest 1 is rbsp_stop_one_bit
    const uint32_t stop = b->end - 32 + (uint32_t)bits_leading_zeros(last & (0u - last));
    return b->pos < stop;
}
