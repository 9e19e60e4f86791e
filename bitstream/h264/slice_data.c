/* 7.3.4 Slice data: the loop over the macroblocks of a slice, skipped ones included.
 * In: dec->slice as slice.c and refs.c left it. Out: macroblocks parsed and reconstructed in the
 * current picture. */
#include <string.h>

#include "internal.h"

// Macroblocks of the picture (frame or field) in raster order: address -> place in the map, Note
// [Macroblock addresses]
static void locate(h264_decoder *const dec, const uint32_t CurrMbAddr) {
    mb_ctx *const m = &dec->slice.mb;
    if (CORE_LIKELY(m->is_located && CurrMbAddr == (uint32_t)m->addr + 1 &&
                    m->mb_x + 1 < dec->PicWidthInMbs && !dec->slice.hdr.field_pic_flag)) {
        h264_next_neighbours(dec, m);
        return;
    }
    const int row = (int)(CurrMbAddr / (uint32_t)dec->PicWidthInMbs);
    m->mb_x = (int)(CurrMbAddr % (uint32_t)dec->PicWidthInMbs);
    m->mb_y = dec->slice.hdr.field_pic_flag ? 2 * row + dec->slice.hdr.bottom_field_flag : row;
    h264_neighbours(dec, m);
}

// Is the macroblock free to be decoded? A second slice that covers it is a repetition or damage.
static bool is_free(const h264_decoder *const dec, const mb_info *const mb) {
    return mb->slice_num < 0 || mb->slice_num == dec->slice.replaces;
}

static bool is_new(const h264_decoder *const dec) {
    return is_free(dec, dec->slice.mb.mb);
}

// Rows are halved in fields, and where they are rows of pairs.
static bool is_halved(const slice_header *const h) {
    return h->field_pic_flag || h->MbaffFrameFlag;
}

int h264_rows_of_picture(const h264_decoder *const dec) {
    return dec->FrameHeightInMbs >> is_halved(&dec->slice.hdr);
}

enum {
    FILTERED_AT_ONCE = 20, // macroblocks, at least: the change of code costs small pictures 2 %
    CHANGED_ABOVE = 4      // luma rows that the filter may still change above an edge, and one
};

// The row of the current macroblock is complete, and those above may be filtered.
static void finish_row(h264_decoder *const dec) {
    const int row = dec->slice.mb.mb_y >> is_halved(&dec->slice.hdr);
    h264_tap_rows_move(dec);
    if (!dec->rows.in_order)
        return;
    if (dec->settings.how & H264_NO_SAMPLES) { // motion is all that other pictures read
        h264_rows_ready(dec, 16 * (row + 1));
        return;
    }
    if ((row - dec->rows.filtered) * dec->PicWidthInMbs < FILTERED_AT_ONCE)
        return;
    h264_deblock_rows(dec, dec->rows.filtered, row);
    dec->rows.filtered = row;
    h264_rows_ready(dec, 16 * row - CHANGED_ABOVE);
}

static void finish_macroblock(h264_decoder *const dec) {
    const mb_ctx *const m = &dec->slice.mb;
    m->mb->slice_num = dec->slice.slice_num;
    dec->rows.decoded++;
    h264_recon_mb(dec);
    if (CORE_UNLIKELY(m->mb_x == dec->PicWidthInMbs - 1) &&
        (!dec->slice.hdr.MbaffFrameFlag || m->mb_y & 1))
        finish_row(dec);
}

static int decode_cavlc(h264_decoder *const dec, uint32_t CurrMbAddr, const uint32_t end) {
    slice_ctx *const s = &dec->slice;
    const bool inter = h264_is_inter_slice(&s->hdr);
    for (;;) {
        if (inter) {
            uint32_t mb_skip_run = bits_ue(&s->b);
            if (mb_skip_run > end - CurrMbAddr || bits_overrun(&s->b))
                return H264_CORRUPT;
            h264_cost_skip_run(s, mb_skip_run);
            while (mb_skip_run-- > 0) {
                if (CurrMbAddr >= end)
                    return H264_CORRUPT;
                locate(dec, CurrMbAddr);
                CurrMbAddr = h264_next_mb_address(s, CurrMbAddr, end);
                if (!is_new(dec))
                    return H264_CORRUPT;
                h264_macroblock_skip(dec);
                finish_macroblock(dec);
                h264_cost_macroblock(dec, false);
            }
            if (!bits_more_rbsp_data(&s->b))
                return H264_OK;
        }
        if (CurrMbAddr >= end)
            return H264_CORRUPT;
        locate(dec, CurrMbAddr);
        CurrMbAddr = h264_next_mb_address(s, CurrMbAddr, end);
        if (!is_new(dec) || h264_macroblock_layer(dec) < 0)
            return H264_CORRUPT;
        finish_macroblock(dec);
        h264_cost_macroblock(dec, false);
        if (!bits_more_rbsp_data(&s->b))
            return H264_OK;
    }
}

static int start_cabac(slice_ctx *const s) {
    s->b.pos = (s->b.pos + 7) & ~7u; // cabac_alignment_one_bit
    if (s->b.pos >= s->b.end)
        return H264_CORRUPT;
    h264_cabac_init_states(&s->cabac, s->hdr.slice_type, s->hdr.cabac_init_idc, s->hdr.SliceQPY);
    cabac_start(&s->cabac.engine, s->b.data + (s->b.pos >> 3), s->b.data + (s->b.end >> 3));
    return H264_OK;
}

static int decode_cabac(h264_decoder *const dec, uint32_t CurrMbAddr, const uint32_t end) {
    slice_ctx *const s = &dec->slice;
    const bool inter = h264_is_inter_slice(&s->hdr);
    for (;;) {
        locate(dec, CurrMbAddr);
        CurrMbAddr = h264_next_mb_address(s, CurrMbAddr, end);
        if (!is_new(dec))
            return H264_CORRUPT;
        if (inter && h264_cabac_mb_skip_flag(dec))
            h264_macroblock_skip(dec);
        else if (h264_macroblock_layer(dec) < 0)
            return H264_CORRUPT;
        if (cabac_is_spent(&s->cabac.engine))
            return H264_CORRUPT;
        finish_macroblock(dec);
        const bool last = h264_cabac_end_of_slice_flag(dec);
        h264_cost_macroblock(dec, last);
        if (last)
            return H264_OK;
        if (CurrMbAddr >= end)
            return H264_CORRUPT;
    }
}

// ------------------------------------------------------------------------------------ MBAFF frames

// Top macroblock of the pair in the map
static int pair_address(const h264_decoder *const dec, const uint32_t pair) {
    const uint32_t w = (uint32_t)dec->PicWidthInMbs;
    return (int)(pair / w * 2 * w + pair % w);
}

static uint32_t next_pair(const slice_ctx *const s, const uint32_t pair, const uint32_t end) {
    return h264_next_mb_address(s, 2 * pair + 1, 2 * end) / 2;
}

static void locate_in_pair(h264_decoder *const dec, const uint32_t pair, const int bottom) {
    mb_ctx *const m = &dec->slice.mb;
    m->mb_x = (int)(pair % (uint32_t)dec->PicWidthInMbs);
    m->mb_y = (int)(pair / (uint32_t)dec->PicWidthInMbs) * 2 + bottom;
    h264_neighbours(dec, m);
}

static void set_field(h264_decoder *const dec, const uint32_t pair, const bool field) {
    mb_info *const top = &dec->mb[pair_address(dec, pair)];
    top->field = top[dec->PicWidthInMbs].field = field;
}

// 7.4.4: mb_field_decoding_flag where it is not sent, or not yet: that of the pair to the left, or
// above, in the same slice
static void infer_field(h264_decoder *const dec, const uint32_t pair) {
    const mb_ctx *const m = &dec->slice.mb;
    locate_in_pair(dec, pair, 0);
    const int from = m->left_pair >= 0 ? m->left_pair : m->above_pair;
    set_field(dec, pair, from >= 0 && dec->mb[from].field);
}

static int decode_in_pair(h264_decoder *const dec, const uint32_t pair, const int bottom,
                          const bool skipped) {
    locate_in_pair(dec, pair, bottom);
    if (skipped)
        h264_macroblock_skip(dec);
    else if (h264_macroblock_layer(dec) < 0)
        return H264_CORRUPT;
    finish_macroblock(dec);
    return H264_OK;
}

static bool is_new_pair(const h264_decoder *const dec, const uint32_t pair) {
    const mb_info *const top = &dec->mb[pair_address(dec, pair)];
    return is_free(dec, top) && is_free(dec, top + dec->PicWidthInMbs);
}

/* Is the next macroblock skipped? *run: what is left of mb_skip_run, or -1 where the next one must
 * be read. */
static bool next_is_skipped(slice_ctx *const s, int64_t *const run) {
    if (!h264_is_inter_slice(&s->hdr))
        return false;
    if (*run < 0) {
        *run = bits_ue(&s->b);
        h264_cost_skip_run(s, (uint32_t)*run);
    }
    return --*run >= 0;
}

static int decode_cavlc_pairs(h264_decoder *const dec, uint32_t pair, const uint32_t end) {
    slice_ctx *const s = &dec->slice;
    int64_t run = -1;
    for (; pair < end && is_new_pair(dec, pair); pair = next_pair(s, pair, end)) {
        infer_field(dec, pair);
        const bool top_skipped = next_is_skipped(s, &run);
        if (run > 2 * (int64_t)(end - pair) || bits_overrun(&s->b))
            return H264_CORRUPT;
        if (!top_skipped)
            set_field(dec, pair, bits_u1(&s->b)); // mb_field_decoding_flag
        else if (run == 0) // the flag of the bottom macroblock comes next, and counts for both
            set_field(dec, pair, bits_peek32(&s->b) >> 31);
        if (decode_in_pair(dec, pair, 0, top_skipped) < 0)
            return H264_CORRUPT;
        h264_cost_macroblock(dec, false);
        if (run <= 0 && !bits_more_rbsp_data(&s->b))
            return H264_CORRUPT; // half a pair
        const bool bottom_skipped = next_is_skipped(s, &run);
        if (top_skipped && !bottom_skipped)
            bits_skip(&s->b, 1);
        if (decode_in_pair(dec, pair, 1, bottom_skipped) < 0)
            return H264_CORRUPT;
        h264_cost_macroblock(dec, false);
        if (run <= 0 && !bits_more_rbsp_data(&s->b))
            return H264_OK;
    }
    return H264_CORRUPT;
}

/* mb_skip_flag of both macroblocks as far as they come before the first of them that is coded, with
 * mb_field_decoding_flag: a skipped top macroblock needs to know what the bottom one says. */
static void pair_flags(h264_decoder *const dec, const uint32_t pair, bool skipped[2]) {
    slice_ctx *const s = &dec->slice;
    const bool inter = h264_is_inter_slice(&s->hdr);
    infer_field(dec, pair);
    locate_in_pair(dec, pair, 0);
    skipped[0] = inter && h264_cabac_mb_skip_flag(dec);
    skipped[1] = false;
    if (skipped[0]) {
        s->mb.mb->skip = true;
        s->mb.mb->slice_num = s->slice_num;
        locate_in_pair(dec, pair, 1);
        skipped[1] = h264_cabac_mb_skip_flag(dec);
    }
    if (!skipped[0] || !skipped[1])
        set_field(dec, pair, h264_cabac_mb_field_decoding_flag(dec));
}

static int decode_cabac_pairs(h264_decoder *const dec, uint32_t pair, const uint32_t end) {
    slice_ctx *const s = &dec->slice;
    const bool inter = h264_is_inter_slice(&s->hdr);
    for (; pair < end && is_new_pair(dec, pair); pair = next_pair(s, pair, end)) {
        bool skipped[2];
        pair_flags(dec, pair, skipped);
        if (decode_in_pair(dec, pair, 0, skipped[0]) < 0)
            return H264_CORRUPT;
        h264_cost_macroblock(dec, false);
        if (!skipped[0] && inter) {
            locate_in_pair(dec, pair, 1);
            skipped[1] = h264_cabac_mb_skip_flag(dec);
        }
        if (decode_in_pair(dec, pair, 1, skipped[1]) < 0 || cabac_is_spent(&s->cabac.engine))
            return H264_CORRUPT;
        const bool last = h264_cabac_end_of_slice_flag(dec);
        h264_cost_macroblock(dec, last);
        if (last)
            return H264_OK;
    }
    return H264_CORRUPT;
}

// ------------------------------------------------------------------------------------------------

// One more than the last macroblock address, or pair, of the frame or field
static uint32_t end_address(const h264_decoder *const dec) {
    return (uint32_t)(h264_rows_of_picture(dec) * dec->PicWidthInMbs);
}

int h264_first_slice_num(h264_decoder *const dec) {
    const slice_header *const h = &dec->slice.hdr;
    if (h->MbaffFrameFlag)
        locate_in_pair(dec, h->first_mb_in_slice, 0);
    else
        locate(dec, h->first_mb_in_slice);
    return dec->slice.mb.mb->slice_num;
}

static int decode_macroblocks(h264_decoder *const dec) {
    slice_ctx *const s = &dec->slice;
    const uint32_t end = end_address(dec), first = s->hdr.first_mb_in_slice;
    const bool cabac = s->pps->entropy_coding_mode_flag;
    if (first >= end || (cabac && start_cabac(s) < 0))
        return H264_CORRUPT;
    s->QPY = s->hdr.SliceQPY;
    s->mb.last_mb_qp_delta = 0;
    s->mb.QPY = NO_QP;
    h264_cost_begin(s);
    h264_neighbours_init(s);
    h264_slice_prediction_init(dec);
    if (s->hdr.MbaffFrameFlag)
        return cabac ? decode_cabac_pairs(dec, first, end) : decode_cavlc_pairs(dec, first, end);
    return cabac ? decode_cabac(dec, first, end) : decode_cavlc(dec, first, end);
}

int h264_decode_slice_data(h264_decoder *const dec) {
    const slice_ctx *const s = &dec->slice;
    picture_rows *const rows = &dec->rows;
    // Note [One row behind]
    rows->in_order &= s->hdr.first_mb_in_slice == (uint32_t)rows->next && !s->MbToSliceGroupMap &&
                      !s->partitioned && !s->pps->redundant_pic_cnt_present_flag;
    h264_tap_rows_begin(dec);
    const int rc = decode_macroblocks(dec);
    h264_recon_end_run(dec);
    h264_tap_rows_end(dec);
    rows->in_order &= rc == H264_OK;
    rows->next = (s->mb.mb_y >> is_halved(&s->hdr)) * dec->PicWidthInMbs + s->mb.mb_x + 1;
    return rc;
}
