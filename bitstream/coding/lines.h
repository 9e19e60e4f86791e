/* Copies to memory that is not read again soon: whole cache lines go past the caches, which neither
 * have to fetch them before nor lose others for them. */
#ifndef DAVD_CODING_LINES_H
#define DAVD_CODING_LINES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "compiler.h"

#if defined(__GNUC__) && defined(__SSE2__) && !defined(H264_NO_SIMD) && !defined(HEVC_NO_SIMD)
#include <emmintrin.h>
#define LINES_PAST_CACHES 1
#else
#define LINES_PAST_CACHES 0
#endif

enum {
    LINE = 64 // bytes of a cache line
};

CORE_INLINE void lines_move_one(uint8_t *const to, const uint8_t *const from) {
#if LINES_PAST_CACHES
    for (int i = 0; i < LINE; i += 16)
        _mm_stream_si128((__m128i *)(void *)(to + i),
                         _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
#else
    memcpy(to, from, LINE);
#endif
}

// n bytes, wherever they begin
CORE_INLINE void lines_move(uint8_t *to, const uint8_t *from, size_t n) {
    const size_t before = (size_t)(-(uintptr_t)to % LINE);
    const size_t first = before < n ? before : n;
    if (first > 0)
        memcpy(to, from, first);
    to += first, from += first, n -= first;
    for (; n >= LINE; n -= LINE) {
        lines_move_one(to, from);
        to += LINE, from += LINE;
    }
    if (n > 0)
        memcpy(to, from, n);
}

// Before another thread is told that the memory has been written
CORE_INLINE void lines_done(void) {
#if LINES_PAST_CACHES
    _mm_sfence();
#endif
}

#endif
