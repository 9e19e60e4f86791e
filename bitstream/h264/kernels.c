/* The tables of functions on samples, Note [Sample type]. */
#include <stdatomic.h>

#include "internal.h"

// Filled by whichever decoder asks first; decoders in several threads may ask at once.
const kernels *h264_kernels(const int sample_size) {
    static kernels table[2];
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    kernels *const k = &table[sample_size - 1];
    while (atomic_flag_test_and_set(&busy))
        continue;
    if (!k->sample_size) {
        if (sample_size == 1) {
            h264_intra_kernels_8(k);
            h264_inter_kernels_8(k);
            h264_inter_kernels_simd(k);
            h264_transform_kernels_8(k);
            h264_transform_kernels_simd(k);
            h264_deblock_kernels_8(k);
            h264_deblock_kernels_simd(k);
        } else {
            h264_intra_kernels_16(k);
            h264_inter_kernels_16(k);
            h264_transform_kernels_16(k);
            h264_deblock_kernels_16(k);
        }
        k->sample_size = sample_size;
    }
    atomic_flag_clear(&busy);
    return k;
}
