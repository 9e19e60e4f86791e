/* What compilers are told beside the language. Others than GCC and Clang do without. */
#ifndef DAVD_CODING_COMPILER_H
#define DAVD_CODING_COMPILER_H

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

#endif
