/* The same functions on samples as in kernels.c, from the same template, compiled for AVX2: the
 * compiler makes vectors of the loops. Integers are integers, so the results are those of the plain
 * build.
 *
 * -DHEVC_NO_SIMD leaves them out. */
#include "../internal.h"

#if defined(__GNUC__) && defined(__x86_64__) && !defined(HEVC_NO_SIMD)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#include "../kernel_tables.h"
#include "../transform_template.h"

#define SAMPLE_SIZE 1
#include "../kernels_template.h"
#undef SAMPLE_SIZE

#define SAMPLE_SIZE 2
#include "../kernels_template.h"
#undef SAMPLE_SIZE
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

bool hevc_kernels_avx2(kernels *const k, const int sample_size) {
    if (!__builtin_cpu_supports("avx2"))
        return false;
    if (sample_size == 1)
        fill_8(k);
    else
        fill_16(k);
    fill_transforms(k);
    return true;
}
#else
bool hevc_kernels_avx2(kernels *const k, const int sample_size) {
    (void)k;
    (void)sample_size;
    return false;
}
#endif
