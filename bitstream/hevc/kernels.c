/* The functions on samples, Note [Sample type], compiled for both types from kernels_template.h. */
#include "internal.h"

#include "kernel_tables.h"
#include "transform_template.h"

#define SAMPLE_SIZE 1
#include "kernels_template.h"
#undef SAMPLE_SIZE

#define SAMPLE_SIZE 2
#include "kernels_template.h"
#undef SAMPLE_SIZE

void hevc_kernels_plain(kernels *const k, const int sample_size) {
    if (sample_size == 1)
        fill_8(k);
    else
        fill_16(k);
    fill_transforms(k);
}

void hevc_kernels(kernels *const k, const int sample_size) {
    if (!hevc_kernels_avx2(k, sample_size))
        hevc_kernels_plain(k, sample_size);
    hevc_kernels_inter_avx2(k);
    hevc_kernels_transform_avx2(k);
    hevc_kernels_deblock_avx2(k);
}
