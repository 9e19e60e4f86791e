/* Chunks of planes, as chunks.h says. The loops are written for the compiler to vectorise. */
#include "chunks.h"

#include <string.h>

#include "../coding/memory.h"
#include "deflate.h"

enum {
    AT_ONCE = 256
}; // bytes that are looked at before it is asked whether any differed

// A chunk, or what the plane has of it
typedef struct part {
    const uint8_t *source;
    size_t stride;        // bytes from one row of the plane to the next
    size_t rows, columns; // elements
} part;

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

static bool is_fill(const cut_plane *const c, const part *const t) {
    const size_t bytes = t->columns * c->item;
    if (bytes == t->stride) // no gaps between the rows
        return all_equal(t->source, t->rows * bytes, c->fill);
    for (size_t y = 0; y < t->rows; y++)
        if (!all_equal(t->source + y * t->stride, bytes, c->fill))
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

static void shuffle(const cut_plane *const c, const part *const t, uint8_t *const to) {
    const size_t apart = c->chunk_height * c->chunk_width;
    if (t->rows < c->chunk_height || t->columns < c->chunk_width)
        memset(to, c->fill, apart * c->item);
    for (size_t y = 0; y < t->rows; y++) {
        const uint8_t *const from = t->source + y * t->stride;
        uint8_t *const row = to + y * c->chunk_width;
        switch (c->item) { // a constant stride can be vectorised
        case 1: memcpy(row, from, t->columns); break;
        case 2: shuffle_row(row, from, t->columns, 2, apart); break;
        case 4: shuffle_row(row, from, t->columns, 4, apart); break;
        default: shuffle_row(row, from, t->columns, c->item, apart);
        }
    }
}

static size_t chunk_size(const cut_plane *const c) {
    return c->chunk_height * c->chunk_width * c->item;
}

static size_t parts(const size_t whole, const size_t step) {
    return (whole + step - 1) / step;
}

size_t davd_chunks_of(const cut_plane *const c) {
    return parts(c->height, c->chunk_height) * parts(c->width, c->chunk_width);
}

// Where in the memory a chunk is shuffled before it is deflated, and what the deflating needs
static size_t shuffled_at(const cut_plane *const c) {
    return memory_aligned(davd_chunks_of(c) * davd_deflate_bound(chunk_size(c)));
}

static size_t room_at(const cut_plane *const c) {
    return shuffled_at(c) + memory_aligned(chunk_size(c) + DEFLATE_MARGIN);
}

size_t davd_chunks_memory(const cut_plane *const c) {
    return room_at(c) + davd_deflate_room(chunk_size(c));
}

void davd_pack_chunks(const cut_plane *const c, uint8_t *const memory, size_t *const begin) {
    uint8_t *const shuffled = memory + shuffled_at(c);
    const size_t size = chunk_size(c), stride = c->width * c->item;
    size_t end = 0, k = 0;
    memset(shuffled + size, 0, DEFLATE_MARGIN);
    for (size_t top = 0; top < c->height; top += c->chunk_height)
        for (size_t left = 0; left < c->width; left += c->chunk_width) {
            const size_t below = c->height - top, right = c->width - left;
            const part t = {c->plane + top * stride + left * c->item, stride,
                            below < c->chunk_height ? below : c->chunk_height,
                            right < c->chunk_width ? right : c->chunk_width};
            begin[k++] = end;
            if (is_fill(c, &t))
                continue;
            shuffle(c, &t, c->deflated ? shuffled : memory + end);
            end += c->deflated
                       ? davd_deflate(shuffled, size, c->period, memory + end, memory + room_at(c))
                       : size;
        }
    begin[k] = end;
}
