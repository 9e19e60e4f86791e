/* Everything of a frame can be read and is within what hevc.h says. */
#include "codec.h"

#ifdef FUZZ_HEVC
static void check_planes(const hevc_frame *const f, const size_t blocks) {
    const bool wide = f->info.bit_depth_luma > 8 || f->info.bit_depth_chroma > 8;
    const size_t size = wide ? 2 : 1;
    for (int p = 0; p < 3; p++) {
        const size_t n = (size_t)f->width[p] * (size_t)f->height[p];
        for (int y = 0; y < f->height[p]; y++)
            touch((const uint8_t *)f->decoded[p] + y * f->decoded_stride[p],
                  (size_t)f->width[p] * size);
        touch(f->prediction[p], n * size);
        touch(f->residual[p], n * size * 2);
        touch(f->level[p], n * size * 2);
        touch(f->qp[p], blocks);
        touch(f->tu_kind[p], blocks);
        touch(f->res_scale[p], blocks);
    }
}

void check_frame(const hevc_frame *const f) {
    const size_t blocks = (size_t)f->width[0] * (size_t)f->height[0] / 16;
    const size_t units = (size_t)f->info.ctu_width * (size_t)f->info.ctu_height;
    require(f->width[0] == f->info.coded_width && f->height[0] == f->info.coded_height, "size");
    require((size_t)f->concealed_ctus <= units, "concealed_ctus");
    check_planes(f, blocks);
    for (size_t i = 0; i < blocks; i++) {
        require(f->cu_size[i] >= 3 && f->cu_size[i] <= 6 && f->tu_size[i] <= 5, "sizes");
        require(f->mode[i] <= HEVC_MODE_PCM && f->part[i] <= HEVC_NRX2N, "mode, part");
        require(f->bypass[i] <= 1 && f->merge[i] <= 1, "flags");
        require(f->intra_luma[i] <= 34 || f->intra_luma[i] == 255, "intra_luma");
        require(f->intra_chroma[i] <= 34 || f->intra_chroma[i] == 255, "intra_chroma");
    }
    touch(f->cu_bits, blocks / 4 * sizeof *f->cu_bits);
    for (int part = 0; part < 5; part++)
        touch(f->part_bits[part], blocks / 4 * sizeof *f->part_bits[part]);
    touch(f->mv, 4 * blocks * sizeof *f->mv);
    touch(f->ref, 2 * blocks * sizeof *f->ref);
    touch(f->ref_poc, 2 * blocks * sizeof *f->ref_poc);
    touch(f->ctu_bits, units * sizeof *f->ctu_bits);
    touch(f->ctu_slice, units * sizeof *f->ctu_slice);
    touch(f->ctu_tile, units * sizeof *f->ctu_tile);
    touch(f->ctu_sao, units * 18 * sizeof *f->ctu_sao);
    touch(f->ctu_concealed, units);
}
#endif
