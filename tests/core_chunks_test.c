/* Unit check of chunks.c: chunks of planes of exactly the size they need, byte by byte. */
#include <stdlib.h>

#include "chunks.h"
#include "core_test.h"

static size_t below(const size_t n) {
    return (size_t)rnd((int)n);
}

// Byte k of the element at row y and column x of a chunk; outside the plane fill value
static uint8_t element(const chunk *const t, const size_t y, const size_t x, const size_t k) {
    const bool inside = y < t->rows && x < t->columns;
    return inside ? t->source[y * t->stride + x * t->item + k] : t->fill;
}

static void check_chunk(const chunk *const t) {
    const size_t count = t->height * t->width;
    uint8_t *const got = malloc(count * t->item);
    bool same = true, empty = true;
    davd_chunk_shuffle(t, got);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < t->item; k++) {
            const uint8_t want = element(t, i / t->width, i % t->width, k);
            same &= got[k * count + i] == want;
            empty &= want == t->fill;
        }
    check_true("shuffled chunk", same);
    check_true("chunk of fill value", davd_chunk_is_fill(t) == empty);
    free(got);
}

void test_chunks(void) {
    static const size_t items[] = {1, 2, 4, 8};
    for (int n = 0; n < 400; n++) {
        chunk t = {.item = items[n % 4], .fill = n % 3 ? 0 : 0xFF};
        const size_t height = 1 + below(20), width = 1 + below(300);
        const size_t top = below(height), left = below(width);
        const size_t bytes = height * width * t.item;
        uint8_t *const plane = malloc(bytes);
        const int share = n % 5 * 25; // of the bytes that are not fill value, percent
        for (size_t i = 0; i < bytes; i++)
            plane[i] = rnd(100) < share ? (uint8_t)rnd(256) : t.fill;
        if (n % 7 == 0)
            plane[below(bytes)] = 1;
        t.stride = width * t.item;
        t.source = plane + top * t.stride + left * t.item;
        t.rows = height - top;
        t.columns = width - left;
        t.height = t.rows + below(3);
        t.width = t.columns + below(3);
        check_chunk(&t);
        free(plane);
    }
}
