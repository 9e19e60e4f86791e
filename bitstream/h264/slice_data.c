/* 7.3.4 Slice data: the loop over the macroblocks of a slice, skipped ones included.
 * In: dec->slice as slice.c and refs.c left it. Out: macroblocks parsed and reconstructed in the
 * current picture. */
#include <string.h>

#include "internal.h"

// Macroblocks of the picture (frame or field) in raster order: address -> place in the map, Note
// [Macroblock addresses]
static void locate(h264_decoder *const dec, const uint32_t CurrMbAddr) {
    mb_ctx *const m = &dec->slice.mb;
    const int row = (int)(CurrMbAddr / (uint32_t)dec->PicWidthInMbs);
    m->mb_x = (int)(CurrMbAddr % (uint32_t)dec->PicWidthInMbs);
    m->mb_y = dec->slice.hdr.field_pic_flag ? 2 * row + dec->slice.hdr.bottom_field_flag : row;
    h264_neighbours(dec, m);
    m->mb->field = dec->slice.hdr.field_pic_flag;
}

// Is the macroblock free to be decoded? A second slice that covers it is a repetition or damage.
static bool is_new(const h264_decoder *const dec) {
    return dec->slice.mb.mb->slice_num < 0;
}

static void finish_macroblock(h264_decoder *const dec) {
    dec->slice.mb.mb->slice_num = dec->slice.slice_num;
    h264_recon_mb(dec);
}

static int decode_cavlc(h264_decoder *const dec, uint32_t CurrMbAddr, const uint32_t end) {
    slice_ctx *const s = &dec->slice;
    const bool inter = s->hdr.slice_type == SLICE_P || s->hdr.slice_type == SLICE_B;
    for (;;) {
        if (inter) {
            uint32_t mb_skip_run = bits_ue(&s->b);
            if (mb_skip_run > end - CurrMbAddr || bits_overrun(&s->b))
                return H264_CORRUPT;
            while (mb_skip_run-- > 0) {
                if (CurrMbAddr >= end)
                    return H264_CORRUPT;
                locate(dec, CurrMbAddr);
                CurrMbAddr = h264_next_mb_address(s, CurrMbAddr, end);
                if (!is_new(dec))
                    return H264_CORRUPT;
                h264_macroblock_skip(dec);
                finish_macroblock(dec);
            }
            if (!h264_bits_more_rbsp_data(&s->b))
                return H264_OK;
        }
        if (CurrMbAddr >= end)
            return H264_CORRUPT;
        locate(dec, CurrMbAddr);
        CurrMbAddr = h264_next_mb_address(s, CurrMbAddr, end);
        if (!is_new(dec) || h264_macroblock_layer(dec) < 0)
            return H264_CORRUPT;
        finish_macroblock(dec);
        if (!h264_bits_more_rbsp_data(&s->b))
            return H264_OK;
    }
}

static int decode_cabac(h264_decoder *const dec, uint32_t CurrMbAddr, const uint32_t end) {
    slice_ctx *const s = &dec->slice;
    const bool inter = s->hdr.slice_type == SLICE_P || s->hdr.slice_type == SLICE_B;
    const uint8_t *const data_end = s->b.data + (s->b.end >> 3);
    s->b.pos = (s->b.pos + 7) & ~7u; // cabac_alignment_one_bit
    if (s->b.pos >= s->b.end)
        return H264_CORRUPT;
    h264_cabac_init_states(&s->cabac, s->hdr.slice_type, s->hdr.cabac_init_idc, s->hdr.SliceQPY);
    h264_cabac_init_engine(&s->cabac, s->b.data + (s->b.pos >> 3), data_end);
    for (;;) {
        locate(dec, CurrMbAddr);
        CurrMbAddr = h264_next_mb_address(s, CurrMbAddr, end);
        if (!is_new(dec))
            return H264_CORRUPT;
        if (inter && h264_cabac_mb_skip_flag(dec))
            h264_macroblock_skip(dec);
        else if (h264_macroblock_layer(dec) < 0)
            return H264_CORRUPT;
        // An engine that lives on the padding only has run out of data
        if (s->cabac.next - (s->cabac.shift >> 3) > data_end + 1)
            return H264_CORRUPT;
        finish_macroblock(dec);
        if (h264_cabac_end_of_slice_flag(dec))
            return H264_OK;
        if (CurrMbAddr >= end)
            return H264_CORRUPT;
    }
}

int h264_decode_slice_data(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    const int rows = s->hdr.field_pic_flag ? dec->FrameHeightInMbs / 2 : dec->FrameHeightInMbs;
    const uint32_t end = (uint32_t)(rows * dec->PicWidthInMbs);
    if (s->hdr.first_mb_in_slice >= end)
        return H264_CORRUPT;
    s->QPY = s->hdr.SliceQPY;
    s->mb.last_mb_qp_delta = 0;
    h264_slice_prediction_init(dec);
    return s->pps->entropy_coding_mode_flag ? decode_cabac(dec, s->hdr.first_mb_in_slice, end)
                                            : decode_cavlc(dec, s->hdr.first_mb_in_slice, end);
}
