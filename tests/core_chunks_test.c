/* Unit check of chunks.c: chunks of planes of exactly the size they need, byte by byte. And of
 * deflate.c, in buffers of exactly the sizes that it names (test_chunks.py inflates). */
#include <stdlib.h>

#include "chunks.h"
#include "core_test.h"
#include "deflate.h"

static size_t below(const size_t n) {
    return (size_t)rnd((int)n);
}

static size_t smaller(const size_t a, const size_t b) {
    return a < b ? a : b;
}

// Whether bytes are those of the chunk at a place of the plane; outside the plane fill value
static bool is_chunk(const cut_plane *const c, const uint8_t *const got, const size_t top,
                     const size_t left) {
    const size_t count = c->chunk_height * c->chunk_width;
    bool same = true;
    for (size_t i = 0; i < count; i++) {
        const size_t y = top + i / c->chunk_width, x = left + i % c->chunk_width;
        for (size_t k = 0; k < c->item; k++)
            same &= got[k * count + i] == (y < c->height && x < c->width
                                               ? c->plane[(y * c->width + x) * c->item + k]
                                               : c->fill);
    }
    return same;
}

static bool is_fill(const cut_plane *const c, const size_t top, const size_t left) {
    bool empty = true;
    for (size_t y = top; y < smaller(top + c->chunk_height, c->height); y++)
        for (size_t x = left; x < smaller(left + c->chunk_width, c->width); x++)
            for (size_t k = 0; k < c->item; k++)
                empty &= c->plane[(y * c->width + x) * c->item + k] == c->fill;
    return empty;
}

static void check_cuts(const cut_plane *const c) {
    const size_t n = davd_chunks_of(c), size = c->chunk_height * c->chunk_width * c->item;
    uint8_t *const memory = malloc(davd_chunks_memory(c));
    size_t *const begin = malloc((n + 1) * sizeof *begin);
    davd_pack_chunks(c, memory, begin);
    size_t k = 0;
    for (size_t top = 0; top < c->height; top += c->chunk_height)
        for (size_t left = 0; left < c->width; left += c->chunk_width, k++) {
            const size_t packed = begin[k + 1] - begin[k];
            if (is_fill(c, top, left))
                check_true("chunk of fill value", packed == 0);
            else if (c->deflated)
                check_true("deflated chunk", packed > 0 && packed <= davd_deflate_bound(size));
            else
                check_true("shuffled chunk",
                           packed == size && is_chunk(c, memory + begin[k], top, left));
        }
    check_true("number of chunks", k == n && begin[0] == 0);
    free(begin);
    free(memory);
}

static void check_deflate(const size_t size, const size_t period, const int kind) {
    uint8_t *const from = malloc(size + DEFLATE_MARGIN), *const to =
                                                             malloc(davd_deflate_bound(size));
    void *const room = malloc(davd_deflate_room(size));
    for (size_t k = 0; k < size + DEFLATE_MARGIN; k++) {
        const bool again = kind > 0 && k >= period && rnd(kind * 20) > 0;
        from[k] = again ? from[k - period] : (uint8_t)rnd(kind == 3 ? 2 : 256);
    }
    const size_t n = davd_deflate(from, size, period, to, room);
    uint32_t a = 1, b = 0; // RFC 1950, 8.2
    for (size_t k = 0; k < size; k++) {
        a = (a + from[k]) % 65521;
        b = (b + a) % 65521;
    }
    const uint32_t sum = (uint32_t)to[n - 4] << 24 | (uint32_t)to[n - 3] << 16 |
                         (uint32_t)to[n - 2] << 8 | to[n - 1];
    check_true("length of a zlib stream", n > 6 && n <= size + 5 * (size / 65535 + 1) + 6);
    check_true("checksum of a zlib stream", sum == (b << 16 | a));
    free(room);
    free(to);
    free(from);
}

void test_chunks(void) {
    static const size_t items[] = {1, 2, 4, 8};
    for (int n = 0; n < 400; n++) {
        cut_plane c = {.item = items[n % 4], .fill = n % 3 ? 0 : 0xFF, .deflated = n % 8 > 3};
        c.height = 1 + below(20);
        c.width = 1 + below(300);
        c.chunk_height = 1 + below(24);
        c.chunk_width = 1 + below(320);
        c.period = n % 2 ? c.chunk_width : 0;
        const size_t bytes = c.height * c.width * c.item;
        uint8_t *const plane = malloc(bytes);
        const int share = n % 5 * 25; // of the bytes that are not fill value, percent
        for (size_t i = 0; i < bytes; i++)
            plane[i] = rnd(100) < share ? (uint8_t)rnd(256) : c.fill;
        if (n % 7 == 0)
            plane[below(bytes)] = 1;
        c.plane = plane;
        check_cuts(&c);
        free(plane);
    }
    for (size_t size = 0; size < 300; size++)
        check_deflate(size, 1 + size % 9, (int)size % 4);
    for (int n = 0; n < 60; n++)
        check_deflate(below(n % 6 ? 9000 : 150000), 1 + below(n % 3 ? 40 : 40000), n % 4);
}
