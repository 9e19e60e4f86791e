/* The same functions on samples as in kernels.c, from the same template, compiled for AVX2: the
 * compiler makes vectors of the loops. Integers are integers, so the results are those of the plain
 * build. */
#include "avx2.h"

#ifdef HEVC_AVX2
AVX2_BEGIN
#include "../kernel_tables.h"
#include "../transform_template.h"

#define SAMPLE_SIZE 1
#include "../kernels_template.h"
#undef SAMPLE_SIZE

#define SAMPLE_SIZE 2
#include "../kernels_template.h"
#undef SAMPLE_SIZE
AVX2_END

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
