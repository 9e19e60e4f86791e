/* Large blocks of aligned memory, and the pieces that a layout takes of one. */
#ifndef DAVD_CODING_MEMORY_H
#define DAVD_CODING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MEMORY_ALIGN = 64,          // of blocks and their pieces
    MEMORY_HUGE_PAGE = 2 << 20, // blocks of half of it and more are made of such
};

static inline size_t memory_aligned(const size_t size) {
    return (size + MEMORY_ALIGN - 1) & ~(size_t)(MEMORY_ALIGN - 1);
}

typedef struct carver { // hands out pieces of a block; with base NULL it only adds up
    uint8_t *base;
    size_t used;
} carver;

static inline void *carve(carver *const c, const size_t size) {
    void *const piece = c->base == NULL ? NULL : c->base + c->used;
    c->used += memory_aligned(size);
    return piece;
}

// Bytes of the largest cache that a core has for itself, or what one has at least
size_t memory_own_cache(void);

// Aligned; what lies behind the first `zeroed` bytes may be anything. NULL: no memory
uint8_t *memory_block(size_t size, size_t zeroed);

/* The same, of a kind that stands for all that is known of the content of such blocks, not 0.
 * *again: it was of that kind when it was freed; nothing has been zeroed, and all is as it was, but
 * any pages may have become zero, and may yet until they are written. */
uint8_t *memory_block_of_kind(size_t size, size_t zeroed, uint64_t kind, bool *again);
void memory_free(void *block); // of memory_block(), or NULL
// Is a block of that size kept when it is freed, and handed out again?
bool memory_keeps(size_t size);

#endif
