/* HEVC_AVX2 is defined where functions can be compiled for AVX2: those between AVX2_BEGIN and
 * AVX2_END are. Whoever calls them has asked the processor. -DHEVC_NO_SIMD leaves all out. */
#ifndef DAVD_HEVC_SIMD_AVX2_H
#define DAVD_HEVC_SIMD_AVX2_H

#include "../internal.h"

#if defined(__GNUC__) && defined(__x86_64__) && !defined(HEVC_NO_SIMD)
#define HEVC_AVX2
#include <immintrin.h>
#if defined(__clang__)
#define AVX2_BEGIN                                                                                 \
    _Pragma("clang attribute push(__attribute__((target(\"avx2\"))), apply_to = function)")
#define AVX2_END _Pragma("clang attribute pop")
#else
#define AVX2_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"avx2\")")
#define AVX2_END _Pragma("GCC pop_options")
#endif
#endif

#endif
