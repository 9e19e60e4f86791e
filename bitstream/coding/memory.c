/* Blocks of memory: see memory.h. */
#ifdef __linux__
#define _DEFAULT_SOURCE // MAP_ANONYMOUS, madvise()
#include <sys/mman.h>
#include <unistd.h>
#endif
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/* Large blocks come from the system in whole huge pages: a row of macroblocks writes to hundreds of
 * small ones, each of which the system has to clear first and the processor to look up. Address
 * sanitizers watch the heap alone.
 *
 * Blocks that are freed are kept for the next decoder, as malloc() keeps small ones: to map and
 * clear the pages of a few pictures takes as long as to decode one. The system may take the pages
 * of those kept whenever it needs some (MADV_FREE). */
#if defined(MADV_HUGEPAGE) && defined(MADV_FREE) && !defined(__SANITIZE_ADDRESS__) &&              \
    !__has_feature(address_sanitizer)
#define HUGE_PAGES 1
#include <stdatomic.h>
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
    uint64_t kind;
} origin;

static uint8_t *block_at(void *const base, const size_t align, const size_t mapped,
                         const uint64_t kind) {
    // at least an origin further on
    const uintptr_t before = (uintptr_t)base + MEMORY_ALIGN;
    uint8_t *const start = (uint8_t *)base + MEMORY_ALIGN + (align - 1 - (before - 1) % align);
    origin *const o = (origin *)(void *)(start - MEMORY_ALIGN);
    *o = (origin){base, mapped, kind};
    return start;
}

#if HUGE_PAGES

enum {
    N_KEPT = 32,
    LARGEST_KEPT = 32 << 20, // bytes of a block
    ALL_KEPT = 6 * LARGEST_KEPT
};

/* Whoever exchanges a slot for NULL owns what was in it, so that decoders of any thread share them
 * without waiting for each other, and a fork leaves nothing locked. */
static _Atomic(uint8_t *) kept[N_KEPT];
static atomic_size_t kept_bytes; // of their pages
static atomic_uint next_kept;    // where room is made

static origin *origin_of(uint8_t *const start) {
    return (origin *)(void *)(start - MEMORY_ALIGN);
}

// Bytes of its pages
static size_t pages_of(uint8_t *const start) {
    return origin_of(start)->mapped - HUGE_PAGE - MEMORY_ALIGN;
}

static void unmap(uint8_t *const start) {
    const origin o = *origin_of(start);
    (void)munmap(o.base, o.mapped);
}

static uint8_t *take_kept(const int i) {
    uint8_t *const start = atomic_exchange(&kept[i], NULL);
    if (start != NULL)
        atomic_fetch_sub(&kept_bytes, pages_of(start));
    return start;
}

// False: there is something in the slot already.
static bool put_kept(const int i, uint8_t *const start) {
    uint8_t *empty = NULL;
    atomic_fetch_add(&kept_bytes, pages_of(start));
    if (atomic_compare_exchange_strong(&kept[i], &empty, start))
        return true;
    atomic_fetch_sub(&kept_bytes, pages_of(start));
    return false;
}

static void keep(uint8_t *const start) {
    (void)madvise(start, pages_of(start), MADV_FREE);
    for (int i = 0; i < N_KEPT; i++)
        if (atomic_load_explicit(&kept[i], memory_order_relaxed) == NULL && put_kept(i, start))
            return;
    unmap(start);
}

// Room for so many bytes: the blocks that have been kept longest go, as far as can be told.
static void make_room(const size_t size) {
    for (int n = 0; n < N_KEPT && atomic_load(&kept_bytes) + size > ALL_KEPT; n++) {
        uint8_t *const old = take_kept((int)(atomic_fetch_add(&next_kept, 1) % N_KEPT));
        if (old != NULL)
            unmap(old);
    }
}

// One of so many bytes, of a kind or of any; NULL: there is none
static uint8_t *find_kept(const size_t size, const uint64_t kind, const bool any) {
    for (int i = 0; i < N_KEPT; i++) {
        uint8_t *const start = take_kept(i);
        if (start == NULL)
            continue;
        if (pages_of(start) == size && (any || origin_of(start)->kind == kind))
            return start;
        if (!put_kept(i, start))
            unmap(start);
    }
    return NULL;
}

static uint8_t *huge_block(const size_t size, const size_t zeroed, const uint64_t kind,
                           bool *const again) {
    const size_t whole = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const size_t mapped = whole + HUGE_PAGE + MEMORY_ALIGN;
    uint8_t *const same = find_kept(whole, kind, false);
    uint8_t *const old = same != NULL ? same : find_kept(whole, kind, true);
    *again = same != NULL && kind != 0;
    if (old != NULL) {
        origin_of(old)->kind = kind;
        return *again ? old : memset(old, 0, zeroed);
    }
    void *const base =
        mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    uint8_t *const start = block_at(base, HUGE_PAGE, mapped, kind);
    (void)madvise(start, whole, MADV_HUGEPAGE); // no more than a wish
    return start;
}

#endif

uint8_t *memory_block_of_kind(const size_t size, const size_t zeroed, const uint64_t kind,
                              bool *const again) {
#if HUGE_PAGES
    if (size >= HUGE_PAGE / 2)
        return huge_block(size, zeroed, kind, again);
#endif
    (void)zeroed;
    *again = false;
    void *const base = calloc(1, size + 2 * MEMORY_ALIGN); // aligned_alloc() is not everywhere
    return base == NULL ? NULL : block_at(base, MEMORY_ALIGN, 0, kind);
}

uint8_t *memory_block(const size_t size, const size_t zeroed) {
    bool again;
    return memory_block_of_kind(size, zeroed, 0, &again);
}

bool memory_keeps(const size_t size) {
#if HUGE_PAGES
    return size >= HUGE_PAGE / 2 && size <= LARGEST_KEPT;
#else
    (void)size;
    return false;
#endif
}

void memory_free(void *const block) {
    if (block == NULL)
        return;
    const origin o = *(const origin *)(const void *)((const uint8_t *)block - MEMORY_ALIGN);
#if HUGE_PAGES
    if (o.mapped && pages_of(block) > LARGEST_KEPT) {
        unmap(block);
        return;
    }
    if (o.mapped) {
        make_room(pages_of(block));
        keep(block);
        return;
    }
#endif
    free(o.base);
}
