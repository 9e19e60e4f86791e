/* What a coding unit costs: bits between the first and the last of its syntax elements, in 1/256
 * bit, split_cu_flag before it included.
 *
 * The arithmetic decoder's position (cabac_cost()) is taken after each coding unit, and after each
 * kind of syntax element where that is asked for; what lies between two positions belongs to what
 * was read there. SAO, and what ends slice segments, tiles and rows, belongs to the coding tree
 * unit alone. */
#include "internal.h"

static uint64_t position(const slice_ctx *const c) {
    return cabac_cost(&c->engine, c->data, 0);
}

void hevc_cost_begin(slice_ctx *const c) {
    const taps *const t = c->pic->taps;
    c->cost = (cost){.mark = position(c), .detailed = t->part_bits[0] != NULL};
}

static void count_until(cost *const k, const int part, const uint64_t until) {
    if (until <= k->mark) // behind the end of broken slice data the position goes back
        return;
    k->part[part] += (uint32_t)(until - k->mark);
    k->mark = until;
}

void hevc_cost_part_until(slice_ctx *const c, const int part, const uint64_t until) {
    if (c->cost.detailed)
        count_until(&c->cost, part, until);
}

void hevc_cost_part_now(slice_ctx *const c, const int part) {
    count_until(&c->cost, part, position(c));
}

// Into each 8x8 block of the coding unit
static void put(const hevc_decoder *const dec, uint32_t *const map, const uint32_t value) {
    const cu_ctx *const cu = &dec->slice.cu;
    const int n = 1 << (cu->log2 - 3), stride = dec->map_stride >> 1;
    uint32_t *const to = map + (cu->y >> 3) * stride + (cu->x >> 3);
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            to[y * stride + x] = value;
}

void hevc_cost_unit(hevc_decoder *const dec) {
    cost *const k = &dec->slice.cost;
    const taps *const t = dec->cur->taps;
    hevc_cost_part_now(&dec->slice, COST_TYPE);
    uint32_t sum = k->part[COST_TYPE]; // all of it, where details are not asked for
    for (int part = 0; part < N_COSTS && k->detailed; part++) {
        put(dec, t->part_bits[part], k->part[part]);
        sum += part != COST_TYPE ? k->part[part] : 0;
    }
    put(dec, t->cu_bits, sum);
    memset(k->part, 0, sizeof k->part);
}
