/* What a macroblock costs: bits between the first and the last of its syntax elements, in 1/256
 * bit.
 *
 * The entropy decoder's position is taken after each macroblock, and after each kind of syntax
 * element where that is asked for; what lies between two positions belongs to what was read there.
 * So the costs of a slice add up to its slice data, without the alignment before the first
 * macroblock (cabac_alignment_one_bit). An arithmetic decoder stands between bits: a range of R has
 * log2(510 / R) bits behind it of what has been shifted in (9.3.1.2, 9.3.3.2). */
#include <string.h>

#include "internal.h"

// 256 * log2(510 / codIRange) for codIRange 256..511
static const uint8_t range_cost[256] = {
    255, 253, 252, 250, 249, 247, 246, 245, 243, 242, 240, 239, 238, 236, 235, 234, 232, 231, 229,
    228, 227, 225, 224, 223, 221, 220, 219, 218, 216, 215, 214, 212, 211, 210, 208, 207, 206, 205,
    203, 202, 201, 200, 198, 197, 196, 195, 194, 192, 191, 190, 189, 187, 186, 185, 184, 183, 181,
    180, 179, 178, 177, 176, 174, 173, 172, 171, 170, 169, 168, 166, 165, 164, 163, 162, 161, 160,
    159, 157, 156, 155, 154, 153, 152, 151, 150, 149, 148, 147, 145, 144, 143, 142, 141, 140, 139,
    138, 137, 136, 135, 134, 133, 132, 131, 130, 129, 128, 127, 126, 125, 124, 123, 122, 121, 120,
    119, 118, 117, 116, 115, 114, 113, 112, 111, 110, 109, 108, 107, 106, 105, 104, 103, 102, 101,
    100, 99,  98,  97,  96,  95,  94,  93,  93,  92,  91,  90,  89,  88,  87,  86,  85,  84,  83,
    82,  82,  81,  80,  79,  78,  77,  76,  75,  74,  73,  73,  72,  71,  70,  69,  68,  67,  66,
    66,  65,  64,  63,  62,  61,  60,  60,  59,  58,  57,  56,  55,  55,  54,  53,  52,  51,  50,
    50,  49,  48,  47,  46,  45,  45,  44,  43,  42,  41,  41,  40,  39,  38,  37,  37,  36,  35,
    34,  33,  33,  32,  31,  30,  29,  29,  28,  27,  26,  25,  25,  24,  23,  22,  22,  21,  20,
    19,  19,  18,  17,  16,  16,  15,  14,  13,  13,  12,  11,  10,  10,  9,   8,   7,   7,   6,
    5,   4,   4,   3,   2,   1,   1,   0,   0,
};

static uint64_t cabac_bits_read(const slice_ctx *const s) {
    return (uint64_t)(s->cabac.next - s->b.data) * 8 - (uint64_t)s->cabac.shift;
}

static uint64_t position(const slice_ctx *const s) {
    if (!s->pps->entropy_coding_mode_flag)
        return (uint64_t)s->b.pos << 8;
    // nine bits are in codIOffset when nothing has been decoded yet
    return (cabac_bits_read(s) - 9) * 256 + range_cost[s->cabac.range & 255];
}

void h264_cost_begin(slice_ctx *const s) {
    s->cost = (cost){.mark = position(s), .detailed = s->pic->taps && s->pic->taps->part[0]};
}

void h264_cost_part_until(slice_ctx *const s, const int part, const uint64_t until) {
    s->cost.part[part] += (uint32_t)(until - s->cost.mark);
    s->cost.mark = until;
}

void h264_cost_part_now(slice_ctx *const s, const int part) {
    h264_cost_part_until(s, part, position(s));
}

// A run of no macroblocks is a flag of the macroblock that follows.
void h264_cost_skip_run(slice_ctx *const s, const uint32_t length) {
    if (length == 0)
        return;
    const uint64_t now = position(s);
    s->cost.run = now - s->cost.mark;
    s->cost.run_length = length;
    s->cost.run_done = 0;
    s->cost.mark = now;
}

// What a skipped macroblock has of mb_skip_run; the shares of a run add up to it
static uint32_t share_of_run(cost *const c) {
    const uint64_t before = c->run * c->run_done / c->run_length;
    c->run_done++;
    return (uint32_t)(c->run * c->run_done / c->run_length - before);
}

void h264_cost_macroblock(h264_decoder *const dec, const bool last) {
    slice_ctx *const s = &dec->slice;
    const taps *const t = dec->cur->taps;
    cost *const c = &s->cost;
    // the last bit shifted in before the end of a slice is rbsp_stop_one_bit (9.3.1.2)
    const bool ended = last && s->pps->entropy_coding_mode_flag;
    h264_cost_part_until(s, COST_TYPE, ended ? (cabac_bits_read(s) - 1) << 8 : position(s));
    if (s->mb.mb->skip && c->run_done < c->run_length)
        c->part[COST_TYPE] += share_of_run(c);
    uint32_t sum = 0;
    for (int part = 0; part < N_COSTS; part++)
        sum += c->part[part];
    dec->cur->cost += sum;
    if (t) {
        t->bits[s->mb.addr] = sum;
        for (int part = 0; part < N_COSTS && c->detailed; part++)
            t->part[part][s->mb.addr] = c->part[part];
    }
    memset(c->part, 0, sizeof c->part);
}
