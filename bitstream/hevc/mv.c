/* 8.5.3.2: merge candidates, motion vector prediction, temporal candidates. */
#include "internal.h"

static const motion *motion_at(const picture *const pic, const int stride, const int x,
                               const int y) {
    return &pic->motion[(y >> 2) * stride + (x >> 2)];
}

/* 6.4.2: the motion of a neighbouring prediction block; NULL: not available, or intra. */
static const motion *neighbour(const hevc_decoder *const dec, const pu_ctx *const pu, const int xN,
                               const int yN) {
    const cu_ctx *const cu = &dec->slice.cu;
    const int n = 1 << cu->log2;
    if (xN >= cu->x && yN >= cu->y && xN < cu->x + n && yN < cu->y + n) {
        // of the same coding block; the fourth of four is not there yet when the second is made
        if (pu->w << 1 == n && pu->h << 1 == n && pu->partIdx == 1 && cu->y + pu->h <= yN &&
            cu->x + pu->w > xN)
            return NULL;
    } else if (!hevc_available(dec, pu->x, pu->y, xN, yN)) {
        return NULL;
    }
    const motion *const m = motion_at(dec->cur, dec->map_stride, xN, yN);
    return m->flags & (PRED_L0 | PRED_L1) ? m : NULL;
}

static bool same_motion(const motion *const a, const motion *const b) {
    for (int X = 0; X < 2; X++) {
        if (a->ref_idx[X] != b->ref_idx[X])
            return false;
        if (a->ref_idx[X] >= 0 && (a->mv[X][0] != b->mv[X][0] || a->mv[X][1] != b->mv[X][1]))
            return false;
    }
    return true;
}

static void scale_mv(int16_t mv[2], const int poc_diff, const int col_diff) { // (8-179) ff.
    const int td = iclip(col_diff, -128, 127), tb = iclip(poc_diff, -128, 127);
    if (td == 0)
        return;
    const int tx = (16384 + (iabs(td) >> 1)) / td;
    const int factor = iclip((tb * tx + 32) >> 6, -4096, 4095);
    for (int k = 0; k < 2; k++) {
        const int v = factor * mv[k];
        const int scaled = (iabs(v) + 127) >> 8;
        mv[k] = (int16_t)iclip(v < 0 ? -scaled : scaled, -32768, 32767);
    }
}

// ------------------------------------------------------------------------- temporal, 8.5.3.2.8, 9

static bool col_vector(const hevc_decoder *const dec, const int x, const int y, const int list,
                       const int refIdx, int16_t mv[2]) {
    const slice_ctx *const c = &dec->slice;
    const picture *const col = c->collocated;
    const motion *const m = motion_at(col, dec->map_stride, x >> 4 << 4, y >> 4 << 4);
    int from;
    if (!(m->flags & (PRED_L0 | PRED_L1)))
        return false;
    if (!(m->flags & PRED_L0))
        from = 1;
    else if (!(m->flags & PRED_L1))
        from = 0;
    else
        from = c->NoBackwardPredFlag ? list : c->hdr.collocated_from_l0_flag;
    const bool long_term = c->list[list].long_term[refIdx];
    if (long_term != ((m->flags & (LONG_L0 << from)) != 0))
        return false;
    const int64_t col_diff = (int64_t)col->poc - m->poc[from];
    const int64_t poc_diff = (int64_t)dec->cur->poc - c->list[list].poc[refIdx];
    mv[0] = m->mv[from][0];
    mv[1] = m->mv[from][1];
    if (!long_term && col_diff != poc_diff)
        scale_mv(mv,
                 (int)(poc_diff < -128  ? -128
                       : poc_diff > 127 ? 127
                                        : poc_diff),
                 (int)(col_diff < -128  ? -128
                       : col_diff > 127 ? 127
                                        : col_diff));
    return true;
}

static bool temporal(const hevc_decoder *const dec, const pu_ctx *const pu, const int list,
                     const int refIdx, int16_t mv[2]) {
    const slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    if (!c->hdr.slice_temporal_mvp_enabled_flag || c->collocated == NULL ||
        c->collocated->geometry != dec->geometry)
        return false;
    const int x = pu->x + pu->w, y = pu->y + pu->h;
    if (pu->y >> s->CtbLog2SizeY == y >> s->CtbLog2SizeY && y < s->height && x < s->width &&
        col_vector(dec, x, y, list, refIdx, mv))
        return true;
    return col_vector(dec, pu->x + pu->w / 2, pu->y + pu->h / 2, list, refIdx, mv);
}

// ------------------------------------------------------------------------------- merge, 8.5.3.2.2

static bool in_merge_region(const slice_ctx *const c, const pu_ctx *const pu, const int x,
                            const int y) {
    const int level = c->pps->Log2ParMrgLevel;
    return pu->x >> level == x >> level && pu->y >> level == y >> level;
}

static const motion *merge_neighbour(const hevc_decoder *const dec, const pu_ctx *const pu,
                                     const int x, const int y) {
    return in_merge_region(&dec->slice, pu, x, y) ? NULL : neighbour(dec, pu, x, y);
}

static int spatial_merge(const hevc_decoder *const dec, const pu_ctx *const pu, motion *const out) {
    const int part = dec->slice.cu.PartMode, x = pu->x, y = pu->y, w = pu->w, h = pu->h;
    const bool second = pu->partIdx == 1;
    const bool columns = part == HEVC_NX2N || part == HEVC_NLX2N || part == HEVC_NRX2N;
    const bool rows = part == HEVC_2NXN || part == HEVC_2NXNU || part == HEVC_2NXND;
    int n = 0;
    const motion *const A1 = second && columns ? NULL : merge_neighbour(dec, pu, x - 1, y + h - 1);
    if (A1 != NULL)
        out[n++] = *A1;
    const motion *B1 = second && rows ? NULL : merge_neighbour(dec, pu, x + w - 1, y - 1);
    const bool B1_there = B1 != NULL;
    if (B1_there && !(A1 != NULL && same_motion(A1, B1)))
        out[n++] = *B1;
    const motion *const B0 = merge_neighbour(dec, pu, x + w, y - 1);
    if (B0 != NULL && !(B1_there && same_motion(B1, B0)))
        out[n++] = *B0;
    const motion *const A0 = merge_neighbour(dec, pu, x - 1, y + h);
    if (A0 != NULL && !(A1 != NULL && same_motion(A1, A0)))
        out[n++] = *A0;
    if (n == 4)
        return n;
    const motion *const B2 = merge_neighbour(dec, pu, x - 1, y - 1);
    if (B2 != NULL && !(A1 != NULL && same_motion(A1, B2)) && !(B1_there && same_motion(B1, B2)))
        out[n++] = *B2;
    return n;
}

static int temporal_merge(const hevc_decoder *const dec, const pu_ctx *const pu,
                          motion *const out) {
    const int lists = dec->slice.hdr.slice_type == SLICE_B ? 2 : 1;
    motion m = {.ref_idx = {-1, -1}};
    for (int X = 0; X < lists; X++)
        if (temporal(dec, pu, X, 0, m.mv[X])) {
            m.ref_idx[X] = 0;
            m.flags |= (uint8_t)(PRED_L0 << X);
        }
    if (m.flags == 0)
        return 0;
    *out = m;
    return 1;
}

static int combined_merge(const hevc_decoder *const dec, motion *const list, int n) { // 8.5.3.2.4
    static const uint8_t l0[12] = {0, 1, 0, 2, 1, 2, 0, 3, 1, 3, 2, 3};
    static const uint8_t l1[12] = {1, 0, 2, 0, 2, 1, 3, 0, 3, 1, 3, 2};
    const slice_ctx *const c = &dec->slice;
    const int original = n;
    for (int i = 0; i < original * (original - 1) && n < c->hdr.MaxNumMergeCand; i++) {
        const motion *const a = &list[l0[i]], *const b = &list[l1[i]];
        if (!(a->flags & PRED_L0) || !(b->flags & PRED_L1))
            continue;
        if (c->list[0].pic[a->ref_idx[0]] == c->list[1].pic[b->ref_idx[1]] &&
            a->mv[0][0] == b->mv[1][0] && a->mv[0][1] == b->mv[1][1])
            continue;
        list[n++] = (motion){.mv = {{a->mv[0][0], a->mv[0][1]}, {b->mv[1][0], b->mv[1][1]}},
                             .ref_idx = {a->ref_idx[0], b->ref_idx[1]},
                             .flags = PRED_L0 | PRED_L1};
    }
    return n;
}

static void zero_merge(const hevc_decoder *const dec, motion *const list, int n) { // 8.5.3.2.5
    const slice_header *const h = &dec->slice.hdr;
    const bool b = h->slice_type == SLICE_B;
    const int refs =
        b ? imin(h->num_ref_idx_active[0], h->num_ref_idx_active[1]) : h->num_ref_idx_active[0];
    for (int zero = 0; n < h->MaxNumMergeCand; zero++) {
        const int8_t ref = (int8_t)(zero < refs ? zero : 0);
        list[n++] = (motion){.ref_idx = {ref, b ? ref : (int8_t)-1},
                             .flags = (uint8_t)(b ? PRED_L0 | PRED_L1 : PRED_L0)};
    }
}

void hevc_merge_motion(hevc_decoder *const dec, const pu_ctx *const original, const int merge_idx,
                       motion *const m) {
    const slice_ctx *const c = &dec->slice;
    pu_ctx pu = *original;
    motion list[8];
    const int part = c->cu.PartMode;
    if (c->pps->Log2ParMrgLevel > 2 && c->cu.log2 == 3) { // one list for all units
        pu = (pu_ctx){c->cu.x, c->cu.y, 8, 8, 0};
        dec->slice.cu.PartMode = HEVC_2NX2N;
    }
    int n = spatial_merge(dec, &pu, list);
    dec->slice.cu.PartMode = part;
    if (n < c->hdr.MaxNumMergeCand)
        n += temporal_merge(dec, &pu, &list[n]);
    if (c->hdr.slice_type == SLICE_B && n > 1 && n < c->hdr.MaxNumMergeCand)
        n = combined_merge(dec, list, n);
    zero_merge(dec, list, n);
    *m = list[merge_idx];
    if ((m->flags & (PRED_L0 | PRED_L1)) == (PRED_L0 | PRED_L1) &&
        original->w + original->h == 12) { // 8x4 and 4x8 are predicted from one reference
        m->ref_idx[1] = -1;
        m->flags &= (uint8_t)~PRED_L1;
    }
}

// -------------------------------------------------------------------- vector prediction, 8.5.3.2.6

// A neighbour's vector that points to the very same picture
static bool same_reference(const hevc_decoder *const dec, const motion *const m, const int X,
                           const int refIdx, int16_t mv[2]) {
    const int32_t poc = dec->slice.list[X].poc[refIdx];
    if (m == NULL)
        return false;
    for (int k = 0; k < 2; k++) {
        const int Y = k == 0 ? X : !X;
        if (m->flags >> Y & 1 && m->poc[Y] == poc) {
            mv[0] = m->mv[Y][0];
            mv[1] = m->mv[Y][1];
            return true;
        }
    }
    return false;
}

// A neighbour's vector to any picture of the same kind, scaled by the distances
static bool other_reference(const hevc_decoder *const dec, const motion *const m, const int X,
                            const int refIdx, int16_t mv[2]) {
    const ref_list *const list = &dec->slice.list[X];
    if (m == NULL)
        return false;
    for (int k = 0; k < 2; k++) {
        const int Y = k == 0 ? X : !X;
        const bool long_term = (m->flags & (LONG_L0 << Y)) != 0;
        if (!(m->flags >> Y & 1) || long_term != list->long_term[refIdx])
            continue;
        mv[0] = m->mv[Y][0];
        mv[1] = m->mv[Y][1];
        if (!long_term && m->poc[Y] != list->poc[refIdx]) {
            const int64_t td = (int64_t)dec->cur->poc - m->poc[Y];
            const int64_t tb = (int64_t)dec->cur->poc - list->poc[refIdx];
            scale_mv(mv,
                     (int)(tb < -128  ? -128
                           : tb > 127 ? 127
                                      : tb),
                     (int)(td < -128  ? -128
                           : td > 127 ? 127
                                      : td));
        }
        return true;
    }
    return false;
}

void hevc_mv_predict(hevc_decoder *const dec, const pu_ctx *const pu, const int X, const int refIdx,
                     const int mvp_flag, int16_t mv[2]) {
    const int x = pu->x, y = pu->y, w = pu->w, h = pu->h;
    const motion *const A[2] = {neighbour(dec, pu, x - 1, y + h),
                                neighbour(dec, pu, x - 1, y + h - 1)};
    const motion *const B[3] = {neighbour(dec, pu, x + w, y - 1),
                                neighbour(dec, pu, x + w - 1, y - 1),
                                neighbour(dec, pu, x - 1, y - 1)};
    const bool isScaledFlag = A[0] != NULL || A[1] != NULL;
    int16_t a[2] = {0, 0}, b[2] = {0, 0}, list[3][2];
    bool has_a = false, has_b = false;
    for (int k = 0; k < 2 && !has_a; k++)
        has_a = same_reference(dec, A[k], X, refIdx, a);
    for (int k = 0; k < 2 && !has_a; k++)
        has_a = other_reference(dec, A[k], X, refIdx, a);
    for (int k = 0; k < 3 && !has_b; k++)
        has_b = same_reference(dec, B[k], X, refIdx, b);
    if (!isScaledFlag) {
        if (has_b) {
            a[0] = b[0];
            a[1] = b[1];
            has_a = true;
        }
        has_b = false;
        for (int k = 0; k < 3 && !has_b; k++)
            has_b = other_reference(dec, B[k], X, refIdx, b);
    }
    int n = 0;
    if (has_a) {
        list[n][0] = a[0];
        list[n++][1] = a[1];
    }
    if (has_b && !(has_a && a[0] == b[0] && a[1] == b[1])) {
        list[n][0] = b[0];
        list[n++][1] = b[1];
    }
    if (n < 2 && temporal(dec, pu, X, refIdx, list[n]))
        n++;
    for (; n < 2; n++)
        list[n][0] = list[n][1] = 0;
    mv[0] = list[mvp_flag][0];
    mv[1] = list[mvp_flag][1];
}
