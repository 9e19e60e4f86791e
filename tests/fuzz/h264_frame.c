/* Everything of a frame can be read and is within what h264.h says. */
#include "codec.h"

#ifndef FUZZ_HEVC
void check_frame(const h264_frame *const f) {
    const bool wide = f->info.bit_depth_luma > 8 || f->info.bit_depth_chroma > 8;
    const size_t size = wide ? 2 : 1;
    const size_t mbs = (size_t)f->width[0] * (size_t)f->height[0] / 256;
    require(f->width[0] == f->info.coded_width && f->height[0] == f->info.coded_height, "size");
    require((size_t)f->concealed_mbs <= mbs, "concealed_mbs");
    for (int p = 0; p < 3; p++) {
        const size_t n = (size_t)f->width[p] * (size_t)f->height[p];
        for (int y = 0; y < f->height[p]; y++)
            touch((const uint8_t *)f->decoded[p] + y * f->decoded_stride[p],
                  (size_t)f->width[p] * size);
        touch(f->prediction[p], n * size);
        touch(f->residual[p], n * size * 2);
        touch(f->level[p], n * size * 2);
        touch(f->qp[p], mbs);
    }
    for (size_t i = 0; i < mbs; i++)
        require(f->mb_type[i] < H264_N_MB_TYPES && f->field[i] <= 1, "mb_type, field");
    for (size_t i = 0; i < 16 * mbs; i++)
        require((f->tu[i] & 7) <= H264_TU_PCM && f->tu[i] < 16, "tu");
    touch(f->intra_luma, 16 * mbs);
    touch(f->mv, 2 * 16 * 2 * sizeof *f->mv * mbs);
    touch(f->ref, 2 * 4 * sizeof *f->ref * mbs);
}
#endif
