/* zlib streams (RFC 1950, RFC 1951) of planes and maps, made in one go and fast. */
#ifndef DAVD_DEFLATE_H
#define DAVD_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

enum {
    DEFLATE_MARGIN = 8 // readable bytes that have to follow what is compressed
};

/* Bytes that a stream of `size` bytes may take, with those that are written on the way. */
size_t davd_deflate_bound(size_t size);

/* Bytes that have to be writable at `room`, which is aligned for any type. */
size_t davd_deflate_room(size_t size);

/* Write a stream of `size` bytes, less than 2^31, and return its length. The same bytes always give
 * the same stream. `period` is a distance at which bytes may repeat themselves: that of a row, or
 * of a frame. */
size_t davd_deflate(const uint8_t *from, size_t size, size_t period, uint8_t *to, void *room);

#endif
