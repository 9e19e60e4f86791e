/* Chunks of a file from arrays: chunks are cut out of a plane and their bytes shuffled. */
#ifndef DAVD_CHUNKS_H
#define DAVD_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A chunk of a plane. Past the plane's right and lower edge a chunk is filled up with `fill`.
typedef struct chunk {
    const uint8_t *source; // its first element
    size_t stride;         // bytes from one row of the plane to the next
    size_t rows, columns;  // of the plane's elements in it
    size_t height, width;  // its size, elements
    size_t item;           // bytes of an element
    uint8_t fill;          // each byte of the value that stands for nothing
} chunk;

/* Whether every element is the fill value. */
bool davd_chunk_is_fill(const chunk *t);

/* The elements in raster order, height * width * item bytes: the first bytes of all, then the
 * second bytes, and so on, as HDF5's shuffle filter has them. With item 1 (a wider element taken
 * as so many columns) they are the elements as they are. */
void davd_chunk_shuffle(const chunk *t, uint8_t *to);

#endif
