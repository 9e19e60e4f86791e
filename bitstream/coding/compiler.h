/* What compilers are told beside the language. Others than GCC and Clang do without. */
#ifndef DAVD_CODING_COMPILER_H
#define DAVD_CODING_COMPILER_H

#include <stdint.h> // which tells what library there is

#if defined(__GNUC__)
#define CORE_INLINE static inline __attribute__((always_inline))
#define CORE_NOINLINE __attribute__((noinline))
#define CORE_LIKELY(x) __builtin_expect(!!(x), 1)
#define CORE_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CORE_PREFETCH(p) __builtin_prefetch(p)
#define CORE_PREFETCH_WRITE(p) __builtin_prefetch((p), 1)
#else
#define CORE_INLINE static inline
#define CORE_NOINLINE
#define CORE_LIKELY(x) (x)
#define CORE_UNLIKELY(x) (x)
#define CORE_PREFETCH(p) ((void)(p))
#define CORE_PREFETCH_WRITE(p) ((void)(p))
#endif

// Before a function full of shifts by variable numbers, as arithmetic decoding is: it is compiled
// twice, and x86 processors of after 2013, which have an instruction for them, take one of the two
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) &&       \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CORE_SHIFTS __attribute__((target_clones("bmi2", "default")))
#define CORE_VECTORS __attribute__((target_clones("avx2", "default"))) // the same for loops
#else
#define CORE_SHIFTS
#define CORE_VECTORS
#endif

#endif
