/* Blocks of memory: see memory.h. */
#ifdef __linux__
#define _DEFAULT_SOURCE // MAP_ANONYMOUS, madvise()
#include <sys/mman.h>
#include <unistd.h>
#endif
#include "memory.h"

#include <stdlib.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/* Large blocks come from the system in whole huge pages: a row of macroblocks writes to hundreds of
 * small ones, each of which the system has to clear first and the processor to look up. Address
 * sanitizers watch the heap alone. */
#if defined(MADV_HUGEPAGE) && !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
#define HUGE_PAGES 1
#else
#define HUGE_PAGES 0
#endif

enum {
    HUGE_PAGE = MEMORY_HUGE_PAGE
};

enum {
    SMALL_CACHE = 512 << 10
};

size_t memory_own_cache(void) {
#ifdef _SC_LEVEL2_CACHE_SIZE
    const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return size > SMALL_CACHE ? (size_t)size : SMALL_CACHE;
#else
    return SMALL_CACHE;
#endif
}

// What stands before a block, in MEMORY_ALIGN bytes
typedef struct origin {
    void *base;
    size_t mapped; // bytes from the system; 0: base is of calloc()
} origin;

static uint8_t *block_at(void *const base, const size_t align, const size_t mapped) {
    // at least an origin further on
    const uintptr_t before = (uintptr_t)base + MEMORY_ALIGN;
    uint8_t *const start = (uint8_t *)base + MEMORY_ALIGN + (align - 1 - (before - 1) % align);
    origin *const o = (origin *)(void *)(start - MEMORY_ALIGN);
    *o = (origin){base, mapped};
    return start;
}

#if HUGE_PAGES
static uint8_t *huge_block(const size_t size) {
    const size_t whole = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const size_t mapped = whole + HUGE_PAGE + MEMORY_ALIGN;
    void *const base =
        mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    uint8_t *const start = block_at(base, HUGE_PAGE, mapped);
    (void)madvise(start, whole, MADV_HUGEPAGE); // no more than a wish
    return start;
}
#endif

uint8_t *memory_block(const size_t size) {
#if HUGE_PAGES
    if (size >= HUGE_PAGE / 2)
        return huge_block(size);
#endif
    void *const base = calloc(1, size + 2 * MEMORY_ALIGN); // aligned_alloc() is not everywhere
    return base == NULL ? NULL : block_at(base, MEMORY_ALIGN, 0);
}

void memory_free(void *const block) {
    if (block == NULL)
        return;
    const origin o = *(const origin *)(const void *)((const uint8_t *)block - MEMORY_ALIGN);
#if HUGE_PAGES
    if (o.mapped) {
        (void)munmap(o.base, o.mapped);
        return;
    }
#endif
    free(o.base);
}
