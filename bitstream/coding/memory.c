/* Blocks of memory: see memory.h. */
#ifdef __linux__
#define _DEFAULT_SOURCE // madvise()
#include <sys/mman.h>
#endif
#include "memory.h"

#include <stdlib.h>

enum {
    HUGE_PAGE = 2 << 20
};

/* aligned_alloc() is not everywhere. Large blocks are asked for in huge pages: a row of macroblocks
 * writes to hundreds of small ones, each of which the system has to clear first and the processor
 * to look up. */
uint8_t *memory_block(const size_t size, void **const block) {
    const size_t align = size < HUGE_PAGE ? MEMORY_ALIGN : HUGE_PAGE;
    *block = calloc(1, size + align);
    if (*block == NULL)
        return NULL;
    uint8_t *const start = (uint8_t *)*block + (align - (uintptr_t)*block % align);
#ifdef MADV_HUGEPAGE
    if (align == HUGE_PAGE)
        (void)madvise(start, size, MADV_HUGEPAGE); // no more than a wish
#endif
    return start;
}
