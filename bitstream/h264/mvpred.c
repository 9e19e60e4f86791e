/* 8.4.1 Derivation of motion vectors and reference indices, direct modes apart (direct.c).
 * In: neighbouring mb_motion of the slice, ref_idx and mvd as parsed. Out: motion caches of mb_ctx,
 * and mb_motion of the macroblock. */
#include <string.h>

#include "internal.h"

// ----------------------------------------------------------------------------------- motion caches

CORE_INLINE void copy_mv(int16_t *const to, const int16_t *const from) {
    memcpy(to, from, 2 * sizeof(int16_t));
}

// One neighbouring block into the cache; addr -1: not available
static void fill_one(h264_decoder *const dec, const int list, const int index, const int addr,
                     const int block) {
    mb_ctx *const m = &dec->slice.mb;
    if (addr < 0) {
        m->cache.ref[list][index] = REF_UNAVAILABLE;
        memset(m->cache.mv[list][index], 0, sizeof m->cache.mv[list][index]);
        return;
    }
    const mb_motion *const n = &dec->cur->motion[addr];
    m->cache.ref[list][index] = n->ref_idx[list][h264_quarter_of_block[block]];
    copy_mv(m->cache.mv[list][index], n->mv[list][block]);
}

static void fill_left(h264_decoder *const dec, const int list) {
    mb_ctx *const m = &dec->slice.mb;
    if (m->addr_A < 0 || CORE_UNLIKELY(dec->slice.hdr.MbaffFrameFlag)) {
        for (int y = 0; y < 4; y++)
            fill_one(dec, list, MV_CACHE(-1, y), m->addr_left[y >> 1], m->left_row[y] * 4 + 3);
        return;
    }
    const mb_motion *const n = &dec->cur->motion[m->addr_A];
    for (int y = 0; y < 4; y++) {
        m->cache.ref[list][MV_CACHE(-1, y)] = n->ref_idx[list][y / 2 * 2 + 1];
        copy_mv(m->cache.mv[list][MV_CACHE(-1, y)], n->mv[list][4 * y + 3]);
    }
}

static void fill_list(h264_decoder *const dec, const int list) {
    mb_ctx *const m = &dec->slice.mb;
    int8_t *const ref = m->cache.ref[list];
    if (m->addr_B >= 0) {
        const mb_motion *const n = &dec->cur->motion[m->addr_B];
        memcpy(m->cache.mv[list][MV_CACHE(0, -1)], n->mv[list][12], 4 * sizeof n->mv[0][0]);
        ref[MV_CACHE(0, -1)] = ref[MV_CACHE(1, -1)] = n->ref_idx[list][2];
        ref[MV_CACHE(2, -1)] = ref[MV_CACHE(3, -1)] = n->ref_idx[list][3];
    } else {
        memset(m->cache.mv[list][MV_CACHE(0, -1)], 0, 4 * sizeof m->cache.mv[0][0]);
        memset(&ref[MV_CACHE(0, -1)], REF_UNAVAILABLE, 4);
    }
    fill_left(dec, list);
    for (int y = 0; y < 4; y++) // not decoded yet, and never to the right of the macroblock
        memset(&ref[MV_CACHE(0, y)], REF_UNAVAILABLE, 5);
    fill_one(dec, list, MV_CACHE(4, -1), m->addr_C, 12);
    fill_one(dec, list, MV_CACHE(-1, -1), m->addr_D, m->block_D);
}

static void fill_mvd(const mb_ctx *const m, uint8_t (*const cache)[2], const int list) {
    memcpy(cache[MV_CACHE(0, -1)], m->B->mvd[list][12], 8);
    for (int y = 0; y < 4; y++) {
        memcpy(cache[MV_CACHE(-1, y)], m->left[y >> 1]->mvd[list][m->left_row[y] * 4 + 3], 2);
        memset(cache[MV_CACHE(0, y)], 0, 8);
    }
}

// Fields of a frame have half its rows, and two entries in a list for each of its own (8.4.1.3.1).
static void convert(const bool to_field, int8_t *const ref_idx, int16_t mv[2]) {
    if (*ref_idx < 0)
        return;
    *ref_idx = (int8_t)(to_field ? *ref_idx * 2 : *ref_idx >> 1);
    mv[1] = (int16_t)(to_field ? mv[1] / 2 : mv[1] * 2);
}

static void convert_mvd(const bool to_field, uint8_t mvd[2]) { // 9.3.3.1.1.7
    mvd[1] = (uint8_t)(to_field ? mvd[1] >> 1 : imin(mvd[1] * 2, 255));
}

/* Blocks at (-1, 4 * y - 1) for partitions whose neighbour C is missing, beside a pair of the other
 * kind: odd rows of a frame lie in the bottom field, odd rows of a field in rows 2 and 3 of four of
 * the frame. */
static void fill_diagonal(h264_decoder *const dec, const int list) {
    mb_ctx *const m = &dec->slice.mb;
    const bool field = m->mb->field;
    for (int y = 1; y < 4; y++) {
        const int yN = 4 * y - 1;
        const bool lower = field ? yN > 7 : true;
        const int yM = field ? 2 * yN - 16 * lower : (yN + 16 * (m->mb_y & 1)) >> 1;
        const int block = (yM >> 2) * 4 + 3;
        const mb_motion *const n =
            &dec->cur->motion[m->left_pair + (lower ? dec->PicWidthInMbs : 0)];
        m->diagonal_ref[list][y] = n->ref_idx[list][h264_quarter_of_block[block]];
        copy_mv(m->diagonal_mv[list][y], n->mv[list][block]);
        convert(field, &m->diagonal_ref[list][y], m->diagonal_mv[list][y]);
    }
}

// In a frame with field pairs: neighbours of the other kind, as this macroblock takes them
static void convert_neighbours(h264_decoder *const dec, const int list, const bool with_mvd) {
    mb_ctx *const m = &dec->slice.mb;
    const bool field = m->mb->field;
    int at[10], n = 0;
    if (m->addr_B >= 0 && m->B->field != field)
        for (int x = 0; x < 4; x++)
            at[n++] = MV_CACHE(x, -1);
    if (m->left_differs)
        for (int y = 0; y < 4; y++)
            at[n++] = MV_CACHE(-1, y);
    for (int i = 0; i < n && with_mvd; i++)
        convert_mvd(field, m->mvd_cache[list][at[i]]);
    if (m->addr_C >= 0 && m->C->field != field)
        at[n++] = MV_CACHE(4, -1);
    if (m->addr_D >= 0 && m->D->field != field)
        at[n++] = MV_CACHE(-1, -1);
    for (int i = 0; i < n; i++)
        convert(field, &m->cache.ref[list][at[i]], m->cache.mv[list][at[i]]);
    if (m->left_differs)
        fill_diagonal(dec, list);
}

void h264_motion_cache_fill(h264_decoder *const dec, const int lists) {
    mb_ctx *const m = &dec->slice.mb;
    const bool cabac = dec->slice.pps->entropy_coding_mode_flag;
    for (int list = 0; list < lists; list++) {
        fill_list(dec, list);
        if (cabac)
            fill_mvd(m, m->mvd_cache[list], list);
        if (CORE_UNLIKELY(dec->slice.hdr.MbaffFrameFlag))
            convert_neighbours(dec, list, cabac);
    }
}

static void store_refs(const slice_ctx *const s, mb_motion *const motion, const int list,
                       const int quarter, const int ref_idx) {
    motion->ref_idx[list][quarter] = (int8_t)ref_idx;
    if (ref_idx < 0) {
        motion->uid[list][quarter] = NO_UID;
        motion->ref_parity[list][quarter] = 0;
    } else {
        const ref_entry *const r = &s->mb.ref_list[list][ref_idx];
        motion->uid[list][quarter] = r->pic->uid;
        motion->ref_parity[list][quarter] = (int8_t)r->structure;
    }
}

void h264_motion_clear(mb_motion *const motion, const int list) {
    memset(motion->mv[list], 0, sizeof motion->mv[list]);
    memset(motion->ref_idx[list], -1, sizeof motion->ref_idx[list]);
    memset(motion->ref_parity[list], 0, sizeof motion->ref_parity[list]);
    for (int q = 0; q < 4; q++)
        motion->uid[list][q] = NO_UID;
}

// The whole macroblock moves alike in this list
static void store_whole_mb(const slice_ctx *const s, const int list, const int ref_idx,
                           const int16_t mv[2]) {
    mb_motion *const motion = s->mb.motion;
    const ref_entry *const r = ref_idx < 0 ? NULL : &s->mb.ref_list[list][ref_idx];
    const int32_t uid = r ? r->pic->uid : NO_UID;
    const int16_t row[4][2] = {{mv[0], mv[1]}, {mv[0], mv[1]}, {mv[0], mv[1]}, {mv[0], mv[1]}};
    for (int y = 0; y < 4; y++)
        memcpy(motion->mv[list][4 * y], row, sizeof row);
    const int32_t uids[4] = {uid, uid, uid, uid};
    memcpy(motion->uid[list], uids, sizeof uids);
    memset(motion->ref_idx[list], ref_idx, sizeof motion->ref_idx[list]);
    memset(motion->ref_parity[list], r ? r->structure : 0, sizeof motion->ref_parity[list]);
}

void h264_note_whole_motion(mb_info *const mb, const mb_motion *const motion) {
    for (int list = 0; list < 2; list++) {
        copy_mv(mb->whole.mv[list], motion->mv[list][0]);
        mb->whole.key[list] = motion->uid[list][0] * 4 + motion->ref_parity[list][0];
        mb->whole.ref_idx[list] = motion->ref_idx[list][0];
    }
}

void h264_motion_store(h264_decoder *const dec, const bool with_mvd) {
    slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &s->mb;
    const int lists = s->hdr.slice_type == SLICE_B ? 2 : 1;
    for (int list = 0; list < lists; list++) {
        for (int y = 0; y < 4 && with_mvd; y++)
            memcpy(m->mb->mvd[list][y * 4], m->mvd_cache[list][MV_CACHE(0, y)], 8);
        if (m->mb->moves_as_one) {
            store_whole_mb(s, list, m->cache.ref[list][MV_CACHE(0, 0)],
                           m->cache.mv[list][MV_CACHE(0, 0)]);
            continue;
        }
        for (int y = 0; y < 4; y++)
            memcpy(m->motion->mv[list][y * 4], m->cache.mv[list][MV_CACHE(0, y)],
                   4 * sizeof m->cache.mv[0][0]);
        for (int q = 0; q < 4; q++)
            store_refs(s, m->motion, list, q, m->cache.ref[list][MV_CACHE(q % 2 * 2, q / 2 * 2)]);
    }
    if (lists == 1)
        h264_motion_clear(m->motion, 1);
    if (m->mb->moves_as_one)
        h264_note_whole_motion(m->mb, m->motion);
}

// --------------------------------------------------------------- motion vector prediction, 8.4.1.3

typedef struct neighbour_motion {
    int ref_idx;
    const int16_t *mv;
} neighbour_motion;

CORE_INLINE int median(const int a, const int b, const int c) {
    return imax(imin(a, b), imin(imax(a, b), c));
}

// 8.4.1.3.1, without branches: which case it is cannot be guessed
CORE_INLINE void median_prediction(const neighbour_motion A, const neighbour_motion B,
                                   const neighbour_motion C, const int ref_idx, int16_t mvp[2]) {
    const bool a = A.ref_idx == ref_idx, b = B.ref_idx == ref_idx, c = C.ref_idx == ref_idx;
    const bool only_A = (B.ref_idx == REF_UNAVAILABLE) & (C.ref_idx == REF_UNAVAILABLE) &
                        (A.ref_idx != REF_UNAVAILABLE);
    const int16_t *const one = (a | only_A) ? A.mv : b ? B.mv : C.mv;
    const int takes_one = -(int)(only_A | (a + b + c == 1));
    int16_t mv[2]; // nobody else's
    for (int i = 0; i < 2; i++) {
        const int middle = median(A.mv[i], B.mv[i], C.mv[i]);
        mv[i] = (int16_t)(middle ^ ((middle ^ one[i]) & takes_one));
    }
    copy_mv(mvp, mv);
}

static neighbour_motion cached(const mb_ctx *const m, const int list, const int index) {
    return (neighbour_motion){m->cache.ref[list][index], m->cache.mv[list][index]};
}

void h264_mv_predict(const mb_ctx *const m, const int list, const int ref_idx, const int x,
                     const int y, const int w, const int shape, int16_t mvp[2]) {
    const int at = MV_CACHE(x, y);
    const neighbour_motion A = cached(m, list, at - 1), B = cached(m, list, at - 8);
    neighbour_motion C = cached(m, list, at - 8 + w);
    if (C.ref_idx == REF_UNAVAILABLE) // D
        C = CORE_UNLIKELY(m->left_differs) && x == 0 && y > 0
                ? (neighbour_motion){m->diagonal_ref[list][y], m->diagonal_mv[list][y]}
                : cached(m, list, at - 8 - 1);
    // directional prediction of 16x8 and 8x16 partitions
    if (shape == 16 && y == 0 && B.ref_idx == ref_idx)
        copy_mv(mvp, B.mv);
    else if (shape == 16 && y != 0 && A.ref_idx == ref_idx)
        copy_mv(mvp, A.mv);
    else if (shape == 8 && x == 0 && A.ref_idx == ref_idx)
        copy_mv(mvp, A.mv);
    else if (shape == 8 && x != 0 && C.ref_idx == ref_idx)
        copy_mv(mvp, C.mv);
    else
        median_prediction(A, B, C, ref_idx, mvp);
}

static const mb_motion unavailable_motion = {
    .ref_idx = {{REF_UNAVAILABLE, REF_UNAVAILABLE, REF_UNAVAILABLE, REF_UNAVAILABLE},
                {REF_UNAVAILABLE, REF_UNAVAILABLE, REF_UNAVAILABLE, REF_UNAVAILABLE}}};

// A 4x4 block of a macroblock beside this one
typedef struct neighbour_block {
    const mb_motion *motion;
    int block, addr; // addr -1: not available
} neighbour_block;

CORE_INLINE neighbour_block block_at(const h264_decoder *const dec, const int addr,
                                     const int block) {
    return (neighbour_block){addr < 0 ? &unavailable_motion : &dec->cur->motion[addr], block, addr};
}

// A, B and C of the whole macroblock (8.4.1.3.2)
CORE_INLINE void whole_mb_neighbours(const h264_decoder *const dec, neighbour_block n[3]) {
    const mb_ctx *const m = &dec->slice.mb;
    n[0] = block_at(dec, m->addr_left[0], m->left_row[0] * 4 + 3);
    n[1] = block_at(dec, m->addr_B, 12);
    n[2] = m->addr_C >= 0 ? block_at(dec, m->addr_C, 12) : block_at(dec, m->addr_D, m->block_D);
}

// Their motion in a list, straight from mb_motion; `converted` keeps vectors of macroblocks of the
// other kind
CORE_INLINE void whole_mb_motion(const h264_decoder *const dec, const neighbour_block n[3],
                                 const int list, neighbour_motion out[3], int16_t converted[3][2]) {
    const bool field = dec->slice.mb.mb->field;
    for (int i = 0; i < 3; i++) {
        const int block = n[i].block;
        out[i] = (neighbour_motion){n[i].motion->ref_idx[list][h264_quarter_of_block[block]],
                                    n[i].motion->mv[list][block]};
        if (CORE_LIKELY(!dec->slice.hdr.MbaffFrameFlag) || n[i].addr < 0 ||
            dec->mb[n[i].addr].field == field)
            continue;
        int8_t ref_idx = (int8_t)out[i].ref_idx;
        copy_mv(converted[i], out[i].mv);
        convert(field, &ref_idx, converted[i]);
        out[i] = (neighbour_motion){ref_idx, converted[i]};
    }
}

CORE_INLINE bool move_alike(const mb_info *const a, const mb_info *const b) {
    return a->moves_as_one && b->moves_as_one &&
           memcmp(a->whole.mv, b->whole.mv, sizeof a->whole.mv) == 0 &&
           memcmp(a->whole.key, b->whole.key, sizeof a->whole.key) == 0 &&
           memcmp(a->whole.ref_idx, b->whole.ref_idx, sizeof a->whole.ref_idx) == 0;
}

// The median of what is equal is that, and so is the least of equal references.
bool h264_repeat_left(h264_decoder *const dec) {
    const slice_ctx *const s = &dec->slice;
    mb_ctx *const m = &dec->slice.mb;
    const whole_motion *const whole = &m->A->whole;
    if (!move_alike(m->A, m->B) || !move_alike(m->A, m->addr_C >= 0 ? m->C : m->D) ||
        CORE_UNLIKELY(s->hdr.MbaffFrameFlag))
        return false;
    if (s->hdr.slice_type == SLICE_B) { // colZeroFlag must change nothing
        const bool moves[2] = {whole->mv[0][0] | whole->mv[0][1],
                               whole->mv[1][0] | whole->mv[1][1]};
        if (!s->hdr.direct_spatial_mv_pred_flag ||
            ((moves[0] & (whole->ref_idx[0] == 0)) | (moves[1] & (whole->ref_idx[1] == 0))))
            return false;
    } else if (whole->ref_idx[0] != 0) {
        return false;
    }
    *m->motion = m->motion[-1];
    m->mb->whole = *whole;
    m->mb->moves_as_one = true;
    m->repeats_left = true;
    return true;
}

// 8.4.1.1; writes mb_motion itself, the caches are not used
void h264_predict_p_skip(h264_decoder *const dec) {
    const slice_ctx *const s = &dec->slice;
    neighbour_block blocks[3];
    neighbour_motion n[3];
    int16_t mv[2] = {0, 0}, converted[3][2];
    whole_mb_neighbours(dec, blocks);
    whole_mb_motion(dec, blocks, 0, n, converted);
    bool still = false;
    for (int i = 0; i < 2; i++)
        still |= n[i].ref_idx == REF_UNAVAILABLE ||
                 (n[i].ref_idx == 0 && n[i].mv[0] == 0 && n[i].mv[1] == 0);
    if (!still)
        median_prediction(n[0], n[1], n[2], 0, mv);
    s->mb.mb->moves_as_one = true;
    store_whole_mb(s, 0, 0, mv);
    h264_motion_clear(s->mb.motion, 1);
    h264_note_whole_motion(s->mb.mb, s->mb.motion);
}

// MinPositive (8.4.1.2.2); negative where both are
CORE_INLINE int min_positive(const int a, const int b) {
    return (unsigned)a < (unsigned)b ? a : b;
}

void h264_predict_whole_mb(const h264_decoder *const dec, int ref_idx[2], int16_t mvp[2][2]) {
    neighbour_block blocks[3];
    whole_mb_neighbours(dec, blocks);
    for (int list = 0; list < 2; list++) {
        neighbour_motion n[3];
        int16_t converted[3][2];
        whole_mb_motion(dec, blocks, list, n, converted);
        ref_idx[list] = min_positive(n[0].ref_idx, min_positive(n[1].ref_idx, n[2].ref_idx));
        mvp[list][0] = mvp[list][1] = 0;
        if (ref_idx[list] >= 0)
            median_prediction(n[0], n[1], n[2], ref_idx[list], mvp[list]);
        else
            ref_idx[list] = -1;
    }
}
