/* Chunks of planes, as chunks.h says. The loops are written for the compiler to vectorise. */
#include "chunks.h"

#include <string.h>

enum {
    AT_ONCE = 256
}; // bytes that are looked at before it is asked whether any differed

static bool all_equal(const uint8_t *const at, const size_t size, const uint8_t value) {
    for (size_t first = 0; first < size; first += AT_ONCE) {
        const size_t stop = size - first < AT_ONCE ? size : first + AT_ONCE;
        uint8_t other = 0;
        for (size_t k = first; k < stop; k++)
            other |= at[k] ^ value;
        if (other)
            return false;
    }
    return true;
}

bool davd_chunk_is_fill(const chunk *const t) {
    const size_t bytes = t->columns * t->item;
    if (bytes == t->stride) // no gaps between the rows
        return all_equal(t->source, t->rows * bytes, t->fill);
    for (size_t y = 0; y < t->rows; y++)
        if (!all_equal(t->source + y * t->stride, bytes, t->fill))
            return false;
    return true;
}

// One row: byte k of every element goes to the k-th of `item` planes, `apart` bytes from each
// other.
static inline void shuffle_row(uint8_t *restrict to, const uint8_t *restrict from,
                               const size_t count, const size_t item, const size_t apart) {
    for (size_t k = 0; k < item; k++)
        for (size_t x = 0; x < count; x++)
            to[k * apart + x] = from[x * item + k];
}

void davd_chunk_shuffle(const chunk *const t, uint8_t *const to) {
    const size_t apart = t->height * t->width;
    if (t->rows < t->height || t->columns < t->width)
        memset(to, t->fill, apart * t->item);
    for (size_t y = 0; y < t->rows; y++) {
        const uint8_t *const from = t->source + y * t->stride;
        uint8_t *const row = to + y * t->width;
        switch (t->item) { // a constant stride can be vectorised
        case 1: memcpy(row, from, t->columns); break;
        case 2: shuffle_row(row, from, t->columns, 2, apart); break;
        case 4: shuffle_row(row, from, t->columns, 4, apart); break;
        default: shuffle_row(row, from, t->columns, t->item, apart);
        }
    }
}
