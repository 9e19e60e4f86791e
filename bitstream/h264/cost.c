/* What a macroblock costs: bits between the first and the last of its syntax elements, in 1/256
 * bit.
 *
 * The entropy decoder's position is taken after each macroblock, and after each kind of syntax
 * element where that is asked for; what lies between two positions belongs to what was read there.
 * So the costs of a slice add up to its slice data, without the alignment before the first
 * macroblock (cabac_alignment_one_bit). An arithmetic decoder stands between bits: a range of R has
 * log2(510 / R) bits behind it of what has been shifted in (9.3.1.2, 9.3.3.2). */
#include <string.h>

#include "stream.h"

// In partitions B and C
static uint32_t partitions_read(const slice_ctx *const s) {
    return CORE_UNLIKELY(s->partitioned) ? s->partition[0].pos + s->partition[1].pos : 0;
}

// ended: after the last syntax element of the slice
static uint64_t position(const slice_ctx *const s, const bool ended) {
    if (s->pps->entropy_coding_mode_flag)
        return cabac_cost(&s->cabac.engine, s->b.data, ended);
    return ((uint64_t)s->b.pos + partitions_read(s)) << 8;
}

void h264_cost_begin(slice_ctx *const s) {
    s->cost = (cost){.mark = position(s, false), .detailed = s->pic->taps && s->pic->taps->part[0]};
}

static void count_until(cost *const c, const int part, const uint64_t until) {
    c->part[part] += (uint32_t)(until - c->mark);
    c->mark = until;
}

void h264_cost_part_until(slice_ctx *const s, const int part, const uint64_t until) {
    if (!s->cost.detailed)
        return;
    count_until(&s->cost, part, until);
}

void h264_cost_part_now(slice_ctx *const s, const int part) {
    count_until(&s->cost, part, position(s, false));
}

// A run of no macroblocks is a flag of the macroblock that follows.
void h264_cost_skip_run(slice_ctx *const s, const uint32_t length) {
    if (length == 0)
        return;
    const uint64_t now = position(s, false);
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
    count_until(c, COST_TYPE, position(s, last));
    if (c->run_done < c->run_length && s->mb.mb->skip)
        c->part[COST_TYPE] += share_of_run(c);
    uint32_t sum = c->part[COST_TYPE]; // all of it, where details are not asked for
    for (int part = COST_TYPE + 1; part < N_COSTS && c->detailed; part++)
        sum += c->part[part];
    dec->cur->cost += sum;
    if (t) {
        t->bits[s->mb.addr] = sum;
        for (int part = 0; part < N_COSTS && c->detailed; part++)
            t->part[part][s->mb.addr] = c->part[part];
    }
    memset(c->part, 0, sizeof c->part);
}

void h264_cost_join_planes(const h264_decoder *const dec, const taps *const t) {
    const int mbs = dec->PicWidthInMbs * dec->FrameHeightInMbs;
    for (int plane = 1; plane < h264_colour_planes(dec); plane++) {
        for (int i = 0; i < mbs; i++) {
            t[0].bits[i] += t[plane].bits[i];
            for (int part = 0; part < N_COSTS && t[0].part[0]; part++)
                t[0].part[part == COST_LUMA ? COST_CHROMA : part][i] += t[plane].part[part][i];
        }
    }
}
