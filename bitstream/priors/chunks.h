/* Chunks of a file from arrays: cut out of a plane, their bytes shuffled and deflated. */
#ifndef DAVD_CHUNKS_H
#define DAVD_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A plane and how it is cut. Past its right and lower edge chunks are filled up with `fill`.
typedef struct cut_plane {
    const uint8_t *plane;
    size_t height, width;             // elements
    size_t item;                      // bytes of an element
    size_t chunk_height, chunk_width; // elements, not 0
    size_t period;                    // elements after which a chunk may repeat itself
    uint8_t fill;                     // each byte of the value that stands for nothing
    bool deflated;
} cut_plane;

/* How many chunks it is cut into. */
size_t davd_chunks_of(const cut_plane *c);

/* Bytes of memory that davd_pack_chunks needs, aligned for any type. */
size_t davd_chunks_memory(const cut_plane *c);

/* Put the chunks into memory, one after the other in raster order: chunk k is from begin[k] to
 * begin[k + 1], and empty where every element is the fill value. Inside a chunk, in raster order,
 * stand the first bytes of all elements, then the second bytes, and so on, as HDF5's shuffle filter
 * has them; deflated, it is a zlib stream of them. */
void davd_pack_chunks(const cut_plane *c, uint8_t *memory, size_t *begin);

#endif
