/* The table of functions on samples, Note [Sample type]. */
#include "internal.h"

const kernels *h264_kernels(kernels *const k, const int sample_size) {
    memset(k, 0, sizeof *k);
    k->sample_size = sample_size;
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
    return k;
}
