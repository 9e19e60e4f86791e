/* 7.3.8: slice segment data down to transform units. Blocks are predicted and reconstructed as they
 * are parsed; the syntax below residual_coding() is in residual.c. */
#include "internal.h"

#include "context_tables.h"

static int bin(slice_ctx *const c, const int ctx) {
    return cabac_decision(&c->engine, &c->ctx.state[ctx]);
}

static int bypass(slice_ctx *const c) {
    return cabac_bypass(&c->engine);
}

// ---------------------------------------------------------------------------------- SAO, 7.3.8.3

static void copy_sao(sao *const to, const sao *const from) {
    *to = *from;
}

static int sao_offset_abs(slice_ctx *const c, const int depth) {
    const int most = (1 << (imin(depth, 10) - 5)) - 1;
    int v = 0;
    while (v < most && bypass(c))
        v++;
    return v;
}

static void sao_offsets(slice_ctx *const c, sao *const s, const int cIdx) {
    const int scale =
        cIdx == 0 ? c->pps->log2_sao_offset_scale_luma : c->pps->log2_sao_offset_scale_chroma;
    int v[4];
    for (int i = 0; i < 4; i++)
        v[i] = sao_offset_abs(c, hevc_depth(c->sps, cIdx));
    if (s->type[cIdx] == 1) {
        for (int i = 0; i < 4; i++)
            if (v[i] != 0 && bypass(c))
                v[i] = -v[i];
        s->band_position[cIdx] = (uint8_t)cabac_bypass_bits(&c->engine, 5);
    } else {
        v[2] = -v[2];
        v[3] = -v[3];
        if (cIdx == 2)
            s->eo_class[2] = s->eo_class[1];
        else
            s->eo_class[cIdx] = (uint8_t)cabac_bypass_bits(&c->engine, 2);
    }
    for (int i = 0; i < 4; i++)
        s->offset[cIdx][i] = (int16_t)(v[i] * (1 << scale));
}

static void parse_sao(hevc_decoder *const dec, const int rx, const int ry) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    sao *const out = &dec->sao[c->CtbAddrInRs];
    memset(out, 0, sizeof *out);
    if (!c->hdr.slice_sao_luma_flag && !c->hdr.slice_sao_chroma_flag)
        return;
    const int size = 1 << s->CtbLog2SizeY, x = rx * size, y = ry * size;
    if (rx > 0 && hevc_available(dec, x, y, x - 1, y) && bin(c, CTX_SAO_MERGE_FLAG)) {
        copy_sao(out, out - 1);
        return;
    }
    if (ry > 0 && hevc_available(dec, x, y, x, y - 1) && bin(c, CTX_SAO_MERGE_FLAG)) {
        copy_sao(out, out - s->PicWidthInCtbs);
        return;
    }
    for (int cIdx = 0; cIdx < (s->ChromaArrayType != 0 ? 3 : 1); cIdx++) {
        if (cIdx == 0 ? !c->hdr.slice_sao_luma_flag : !c->hdr.slice_sao_chroma_flag)
            continue;
        if (cIdx == 2)
            out->type[2] = out->type[1];
        else if (bin(c, CTX_SAO_TYPE_IDX))
            out->type[cIdx] = (uint8_t)(1 + bypass(c));
        if (out->type[cIdx] != 0)
            sao_offsets(c, out, cIdx);
    }
}

// -------------------------------------------------------------- quantisation parameters, 8.6.1

static int8_t stored_qp(const hevc_decoder *const dec, const int x, const int y) {
    return dec->cur->taps->qp[0][hevc_map(dec, x, y)];
}

// QpY of a neighbour of the quantization group, qPY_PREV where it is not of this CTB
static int neighbour_qp(const hevc_decoder *const dec, const int x, const int y, const int prev) {
    const slice_ctx *const c = &dec->slice;
    if (!hevc_available(dec, c->cu.xQg, c->cu.yQg, x, y))
        return prev;
    const int log2 = c->sps->CtbLog2SizeY;
    const int ctb = (y >> log2) * c->sps->PicWidthInCtbs + (x >> log2);
    return ctb == c->CtbAddrInRs ? stored_qp(dec, x, y) : prev;
}

static void start_quantization_group(hevc_decoder *const dec, const int x, const int y) {
    slice_ctx *const c = &dec->slice;
    cu_ctx *const cu = &c->cu;
    cu->xQg = x;
    cu->yQg = y;
    cu->IsCuQpDeltaCoded = false;
    cu->CuQpDeltaVal = 0;
    const int prev = cu->first_qg ? c->hdr.SliceQpY : cu->last_QpY;
    const int a = neighbour_qp(dec, x - 1, y, prev), b = neighbour_qp(dec, x, y - 1, prev);
    cu->qPY_PRED = (a + b + 1) >> 1;
}

static void set_qp(slice_ctx *const c) { // (8-283)
    const int offset = 6 * (c->sps->BitDepthY - 8);
    c->cu.QpY = (c->cu.qPY_PRED + c->cu.CuQpDeltaVal + 52 + 2 * offset) % (52 + offset) - offset;
}

static void parse_qp_delta(slice_ctx *const c) {
    int v = 0;
    while (v < 5 && bin(c, CTX_CU_QP_DELTA_ABS + (v > 0)))
        v++;
    if (v == 5) { // suffix: EG0
        int k = 0;
        while (k < 16 && bypass(c))
            v += 1 << k++;
        v += (int)cabac_bypass_bits(&c->engine, k);
    }
    const int offset = 6 * (c->sps->BitDepthY - 8);
    if (v != 0 && bypass(c))
        v = -v;
    if (v < -26 - offset / 2 || v > 25 + offset / 2) {
        c->error = true;
        v = 0;
    }
    c->cu.IsCuQpDeltaCoded = true;
    c->cu.CuQpDeltaVal = v;
    set_qp(c);
}

static void parse_chroma_qp_offset(slice_ctx *const c) {
    cu_ctx *const cu = &c->cu;
    const pps *const p = c->pps;
    cu->IsCuChromaQpOffsetCoded = true;
    cu->CuQpOffsetCb = cu->CuQpOffsetCr = 0;
    if (!bin(c, CTX_CU_CHROMA_QP_OFFSET_FLAG))
        return;
    int i = 0;
    while (i < p->chroma_qp_offset_list_len_minus1 && bin(c, CTX_CU_CHROMA_QP_OFFSET_IDX))
        i++;
    cu->CuQpOffsetCb = p->cb_qp_offset_list[i];
    cu->CuQpOffsetCr = p->cr_qp_offset_list[i];
}

// ------------------------------------------------------------------------ transform tree, 7.3.8.8

typedef struct tu_ctx {
    int x, y, x_base, y_base, log2, depth, blkIdx;
    uint8_t cbf_luma, cbf[3]; // cbf[1], cbf[2]: bit per chroma block (two in 4:2:2)
} tu_ctx;

static int luma_mode(const cu_ctx *const cu, const int x, const int y) {
    if (!cu->IntraSplitFlag)
        return cu->IntraPredModeY[0];
    const int half = 1 << (cu->log2 - 1);
    return cu->IntraPredModeY[(x >= cu->x + half) + 2 * (y >= cu->y + half)];
}

static int chroma_part(const slice_ctx *const c, const int x, const int y) {
    const cu_ctx *const cu = &c->cu;
    if (!cu->IntraSplitFlag || c->sps->ChromaArrayType != 3)
        return 0;
    const int half = 1 << (cu->log2 - 1);
    return (x >= cu->x + half) + 2 * (y >= cu->y + half);
}

static void luma_block(hevc_decoder *const dec, const tu_ctx *const t) {
    slice_ctx *const c = &dec->slice;
    const int mode = c->cu.intra ? luma_mode(&c->cu, t->x, t->y) : NO_MODE;
    const int n = 1 << t->log2;
    if (c->cu.intra) {
        hevc_predict_intra(dec, 0, t->x, t->y, t->log2, mode);
        hevc_tap_prediction(dec, 0, t->x, t->y, n, n);
    }
    residual_block r = {.cIdx = 0, .log2 = t->log2, .x = t->x, .y = t->y, .intra_mode = mode};
    hevc_residual_coding(dec, &r, t->cbf_luma, 0);
    if (c->pps->cross_component_prediction_enabled_flag && t->cbf_luma)
        memcpy(c->luma_residual, c->residual, (size_t)(n * n) * sizeof *c->residual);
}

// 7.3.8.12; returns ResScaleVal
static int cross_comp_pred(slice_ctx *const c, const int which) {
    int v = 0;
    while (v < 4 && bin(c, CTX_LOG2_RES_SCALE_ABS_PLUS1 + 4 * which + v))
        v++;
    if (v == 0)
        return 0;
    const int sign = bin(c, CTX_RES_SCALE_SIGN_FLAG + which);
    return (1 << (v - 1)) * (1 - 2 * sign);
}

// The blocks of both chroma planes of a transform unit, of n samples at luma (x, y)
static void chroma_blocks(hevc_decoder *const dec, const tu_ctx *const t, const int x, const int y,
                          const int log2) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    const int part = chroma_part(c, x, y), n = 1 << log2;
    const int mode = c->cu.intra ? c->cu.IntraPredModeC[part] : NO_MODE;
    const bool cross = c->pps->cross_component_prediction_enabled_flag && t->cbf_luma &&
                       (!c->cu.intra || c->cu.intra_chroma_pred_mode[part] == 4);
    for (int cIdx = 1; cIdx < 3 && !c->error; cIdx++) {
        const int res_scale = cross ? cross_comp_pred(c, cIdx - 1) : 0;
        for (int k = 0; k < (s->ChromaArrayType == 2 ? 2 : 1) && !c->error; k++) {
            const int xC = x >> s->sub_x, yC = (y >> s->sub_y) + k * n;
            if (c->cu.intra) {
                hevc_predict_intra(dec, cIdx, xC, yC, log2, mode);
                hevc_tap_prediction(dec, cIdx, xC, yC, n, n);
            }
            residual_block r = {.cIdx = cIdx, .log2 = log2, .x = xC, .y = yC, .intra_mode = mode};
            hevc_residual_coding(dec, &r, t->cbf[cIdx] >> k & 1, res_scale);
        }
    }
}

static void transform_unit(hevc_decoder *const dec, const tu_ctx *const t) { // 7.3.8.10
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    cu_ctx *const cu = &c->cu;
    const bool cbf_chroma = t->cbf[1] != 0 || t->cbf[2] != 0;
    hevc_cost_part(c, COST_TYPE);
    if (t->cbf_luma || cbf_chroma) {
        if (c->pps->cu_qp_delta_enabled_flag && !cu->IsCuQpDeltaCoded)
            parse_qp_delta(c);
        if (c->hdr.cu_chroma_qp_offset_enabled_flag && cbf_chroma && !cu->bypass &&
            !cu->IsCuChromaQpOffsetCoded)
            parse_chroma_qp_offset(c);
        hevc_cost_part(c, COST_QP);
    }
    luma_block(dec, t);
    hevc_cost_part(c, COST_LUMA);
    if (s->ChromaArrayType == 0 || c->error)
        return;
    if (t->log2 > 2 || s->ChromaArrayType == 3)
        chroma_blocks(dec, t, t->x, t->y, s->ChromaArrayType == 3 ? t->log2 : t->log2 - 1);
    else if (t->blkIdx == 3)
        chroma_blocks(dec, t, t->x_base, t->y_base, 2);
    hevc_cost_part(c, COST_CHROMA);
}

static void mark_transform(hevc_decoder *const dec, const tu_ctx *const t) {
    const int n = 1 << t->log2;
    hevc_map_fill(dec, dec->cur->taps->tu_size, t->x, t->y, n, n, t->log2);
    for (int i = 0; i < n; i += 4) {
        dec->edges[hevc_map(dec, t->x, t->y + i)] |= EDGE_LEFT_TU;
        dec->edges[hevc_map(dec, t->x + i, t->y)] |= EDGE_TOP_TU;
    }
    if (t->cbf_luma)
        for (int y = 0; y < n; y += 4)
            for (int x = 0; x < n; x += 4)
                dec->edges[hevc_map(dec, t->x + x, t->y + y)] |= CODED_LUMA;
}

static uint8_t parse_cbf_chroma(slice_ctx *const c, const tu_ctx *const t, const bool split) {
    uint8_t v = (uint8_t)bin(c, CTX_CBF_CHROMA + t->depth);
    if (c->sps->ChromaArrayType == 2 && (!split || t->log2 == 3))
        v |= (uint8_t)(bin(c, CTX_CBF_CHROMA + t->depth) << 1);
    return v;
}

static void transform_tree(hevc_decoder *const dec, tu_ctx t) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    const cu_ctx *const cu = &c->cu;
    const bool inter_split = s->max_transform_hierarchy_depth_inter == 0 && !cu->intra &&
                             cu->PartMode != HEVC_2NX2N && t.depth == 0;
    bool split;
    if (t.log2 <= s->MaxTbLog2SizeY && t.log2 > s->MinTbLog2SizeY && t.depth < cu->MaxTrafoDepth &&
        !(cu->IntraSplitFlag && t.depth == 0))
        split = bin(c, CTX_SPLIT_TRANSFORM_FLAG + 5 - t.log2);
    else
        split = t.log2 > s->MaxTbLog2SizeY || (cu->IntraSplitFlag && t.depth == 0) || inter_split;
    if ((t.log2 > 2 && s->ChromaArrayType != 0) || s->ChromaArrayType == 3) {
        for (int cIdx = 1; cIdx < 3; cIdx++)
            if (t.cbf[cIdx] != 0) // of the parent; all set at the root
                t.cbf[cIdx] = parse_cbf_chroma(c, &t, split);
    }
    if (split) {
        const int half = 1 << (t.log2 - 1);
        for (int i = 0; i < 4 && !c->error; i++) {
            tu_ctx sub = t;
            sub.x += half * (i & 1);
            sub.y += half * (i >> 1);
            sub.x_base = t.x;
            sub.y_base = t.y;
            sub.log2--;
            sub.depth++;
            sub.blkIdx = i;
            transform_tree(dec, sub);
        }
        return;
    }
    t.cbf_luma = 1;
    if (cu->intra || t.depth != 0 || t.cbf[1] != 0 || t.cbf[2] != 0)
        t.cbf_luma = (uint8_t)bin(c, CTX_CBF_LUMA + (t.depth == 0));
    mark_transform(dec, &t);
    transform_unit(dec, &t);
}

// ------------------------------------------------------------------------ intra
// modes, 8.4.2, 8.4.3

static int neighbour_mode(const hevc_decoder *const dec, const int x, const int y, const int xN,
                          const int yN) {
    if (!hevc_available(dec, x, y, xN, yN))
        return 1; // DC
    if (yN < y && yN < (y >> dec->active_sps.CtbLog2SizeY) << dec->active_sps.CtbLog2SizeY)
        return 1;
    const int mode = dec->cur->taps->intra_luma[hevc_map(dec, xN, yN)];
    return mode == NO_MODE ? 1 : mode; // inter or PCM
}

static void most_probable(const int a, const int b, int cand[3]) {
    if (a == b) {
        if (a < 2) {
            cand[0] = 0;
            cand[1] = 1;
            cand[2] = 26;
        } else {
            cand[0] = a;
            cand[1] = 2 + (a + 29) % 32;
            cand[2] = 2 + (a - 2 + 1) % 32;
        }
        return;
    }
    cand[0] = a;
    cand[1] = b;
    cand[2] = a != 0 && b != 0 ? 0 : a != 1 && b != 1 ? 1 : 26;
}

static int luma_pred_mode(const int cand_in[3], const int mpm_idx, const int rem) {
    int cand[3] = {cand_in[0], cand_in[1], cand_in[2]};
    if (mpm_idx >= 0)
        return cand[mpm_idx];
    for (int i = 0; i < 2; i++) // rising order
        for (int j = 0; j < 2 - i; j++)
            if (cand[j] > cand[j + 1]) {
                const int t = cand[j];
                cand[j] = cand[j + 1];
                cand[j + 1] = t;
            }
    int mode = rem;
    for (int i = 0; i < 3; i++)
        mode += mode >= cand[i];
    return mode;
}

static int chroma_pred_mode(const sps *const s, const int syntax, const int luma) {
    static const uint8_t modes[4] = {0, 26, 10, 1};
    static const uint8_t of_422[35] = {0,  1,  2,  2,  2,  2,  3,  5,  7,  8,  10, 12,
                                       13, 15, 17, 18, 19, 20, 21, 22, 23, 23, 24, 24,
                                       25, 25, 26, 27, 27, 28, 28, 29, 29, 30, 31};
    int mode = syntax == 4 ? luma : modes[syntax] == luma ? 34 : modes[syntax];
    return s->ChromaArrayType == 2 ? of_422[mode] : mode;
}

static int parse_intra_chroma_pred_mode(slice_ctx *const c) {
    return bin(c, CTX_INTRA_CHROMA_PRED_MODE) ? (int)cabac_bypass_bits(&c->engine, 2) : 4;
}

static void intra_modes(hevc_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    cu_ctx *const cu = &c->cu;
    const int parts = cu->IntraSplitFlag ? 4 : 1, size = 1 << (cu->log2 - cu->IntraSplitFlag);
    int mpm_idx[4], rem[4];
    bool prev[4];
    for (int i = 0; i < parts; i++)
        prev[i] = bin(c, CTX_PREV_INTRA_LUMA_PRED_FLAG);
    for (int i = 0; i < parts; i++) {
        mpm_idx[i] = -1;
        rem[i] = 0;
        if (prev[i])
            mpm_idx[i] = bypass(c) ? 1 + bypass(c) : 0;
        else
            rem[i] = (int)cabac_bypass_bits(&c->engine, 5);
    }
    for (int i = 0; i < parts; i++) {
        const int x = cu->x + size * (i & 1), y = cu->y + size * (i >> 1);
        int cand[3];
        most_probable(neighbour_mode(dec, x, y, x - 1, y), neighbour_mode(dec, x, y, x, y - 1),
                      cand);
        cu->IntraPredModeY[i] = (uint8_t)luma_pred_mode(cand, mpm_idx[i], rem[i]);
        hevc_map_fill(dec, dec->cur->taps->intra_luma, x, y, size, size, cu->IntraPredModeY[i]);
    }
    if (c->sps->ChromaArrayType == 0)
        return;
    const int chroma_parts = c->sps->ChromaArrayType == 3 ? parts : 1;
    for (int i = 0; i < chroma_parts; i++) {
        const int full = 1 << cu->log2, n = chroma_parts == 4 ? size : full;
        cu->intra_chroma_pred_mode[i] = (uint8_t)parse_intra_chroma_pred_mode(c);
        cu->IntraPredModeC[i] =
            (uint8_t)chroma_pred_mode(c->sps, cu->intra_chroma_pred_mode[i], cu->IntraPredModeY[i]);
        hevc_map_fill(dec, dec->cur->taps->intra_chroma, cu->x + n * (i & 1), cu->y + n * (i >> 1),
                      n, n, cu->IntraPredModeC[i]);
    }
}

// ------------------------------------------------------------------------- PCM samples, 7.3.8.7

static void pcm_sample(hevc_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    const cu_ctx *const cu = &c->cu;
    bits b;
    const uint8_t *const at = cabac_position(&c->engine);
    if (at >= c->engine.end) {
        c->error = true;
        return;
    }
    bits_init(&b, at, (size_t)(c->engine.end - at));
    const uint64_t before = (uint64_t)(at - c->data) << 3;
    hevc_cost_part_until(c, COST_TYPE, before << 8); // pcm_flag, and what aligns
    for (int cIdx = 0; cIdx < (s->ChromaArrayType != 0 ? 3 : 1); cIdx++) {
        const int sx = cIdx == 0 ? 0 : s->sub_x, sy = cIdx == 0 ? 0 : s->sub_y;
        const int w = (1 << cu->log2) >> sx, h = (1 << cu->log2) >> sy;
        const int n = cIdx == 0 ? s->PcmBitDepthY : s->PcmBitDepthC;
        const int shift = hevc_depth(s, cIdx) - n;
        for (int y = 0; y < h; y++) {
            uint8_t *const row = hevc_sample(dec, dec->cur, cIdx, cu->x >> sx, (cu->y >> sy) + y);
            for (int x = 0; x < w; x++) {
                const uint32_t v = bits_u(&b, n) << shift;
                if (dec->k->sample_size == 1)
                    row[x] = (uint8_t)v;
                else
                    ((uint16_t *)(void *)row)[x] = (uint16_t)v;
            }
        }
        hevc_tap_prediction(dec, cIdx, cu->x >> sx, cu->y >> sy, w, h);
        hevc_cost_part_until(c, cIdx == 0 ? COST_LUMA : COST_CHROMA, (before + b.pos) << 8);
    }
    c->error |= bits_overrun(&b);
    cabac_start(&c->engine, at + (b.pos + 7) / 8, c->engine.end);
}

// -------------------------------------------------------------- prediction units, 7.3.8.6, 7.3.8.9

static int parse_merge_idx(slice_ctx *const c) {
    const int most = c->hdr.MaxNumMergeCand - 1;
    if (most <= 0 || !bin(c, CTX_MERGE_IDX))
        return 0;
    int v = 1;
    while (v < most && bypass(c))
        v++;
    return v;
}

static int parse_ref_idx(slice_ctx *const c, const int list) {
    const int most = c->hdr.num_ref_idx_active[list] - 1;
    int v = 0;
    while (v < most && v < 2 && bin(c, CTX_REF_IDX_LX + v))
        v++;
    if (v == 2)
        while (v < most && bypass(c))
            v++;
    return v;
}

static int mvd_component(slice_ctx *const c, const bool greater0, const bool greater1) {
    if (!greater0)
        return 0;
    int v = 1;
    if (greater1) { // EG1
        int k = 1;
        v = 2;
        while (k < 17 && bypass(c))
            v += 1 << k++;
        v += (int)cabac_bypass_bits(&c->engine, k);
    }
    return bypass(c) ? -v : v;
}

static void mvd_coding(slice_ctx *const c, int mvd[2]) {
    const bool x0 = bin(c, CTX_ABS_MVD_GREATER0_FLAG), y0 = bin(c, CTX_ABS_MVD_GREATER0_FLAG);
    const bool x1 = x0 && bin(c, CTX_ABS_MVD_GREATER1_FLAG);
    const bool y1 = y0 && bin(c, CTX_ABS_MVD_GREATER1_FLAG);
    mvd[0] = mvd_component(c, x0, x1);
    mvd[1] = mvd_component(c, y0, y1);
}

static int parse_inter_pred_idc(slice_ctx *const c, const pu_ctx *const pu) { // PRED_* bits
    const int depth = c->sps->CtbLog2SizeY - c->cu.log2;                      // CtDepth
    if (pu->w + pu->h != 12 && bin(c, CTX_INTER_PRED_IDC + depth))
        return PRED_L0 | PRED_L1;
    return bin(c, CTX_INTER_PRED_IDC + 4) ? PRED_L1 : PRED_L0;
}

static void amvp(hevc_decoder *const dec, const pu_ctx *const pu, motion *const m) {
    slice_ctx *const c = &dec->slice;
    const int lists = c->hdr.slice_type == SLICE_B ? parse_inter_pred_idc(c, pu) : PRED_L0;
    int mvd[2][2] = {{0}}, mvp[2] = {0};
    *m = (motion){.poc = {NO_POC, NO_POC}, .ref_idx = {-1, -1}, .flags = (uint8_t)lists};
    for (int X = 0; X < 2; X++) {
        if (!(lists >> X & 1))
            continue;
        m->ref_idx[X] = (int8_t)parse_ref_idx(c, X);
        if (X == 0 || !c->hdr.mvd_l1_zero_flag || lists != (PRED_L0 | PRED_L1))
            mvd_coding(c, mvd[X]);
        mvp[X] = bin(c, CTX_MVP_LX_FLAG);
    }
    for (int X = 0; X < 2; X++) {
        if (!(lists >> X & 1))
            continue;
        int16_t p[2];
        hevc_mv_predict(dec, pu, X, m->ref_idx[X], mvp[X], p);
        for (int k = 0; k < 2; k++)
            m->mv[X][k] = (int16_t)(uint16_t)((uint32_t)p[k] + (uint32_t)mvd[X][k]);
    }
}

static void store_motion(hevc_decoder *const dec, const pu_ctx *const pu, motion *const m) {
    const slice_ctx *const c = &dec->slice;
    m->flags &= PRED_L0 | PRED_L1;
    for (int X = 0; X < 2; X++) {
        if (m->flags >> X & 1) {
            m->poc[X] = c->list[X].poc[m->ref_idx[X]];
            if (c->list[X].long_term[m->ref_idx[X]])
                m->flags |= (uint8_t)(LONG_L0 << X);
        } else {
            m->poc[X] = NO_POC;
            m->ref_idx[X] = -1;
            m->mv[X][0] = m->mv[X][1] = 0;
        }
    }
    hevc_motion_fill(dec, pu->x, pu->y, pu->w, pu->h, m);
}

static void prediction_unit(hevc_decoder *const dec, const int x, const int y, const int w,
                            const int h, const int partIdx) {
    slice_ctx *const c = &dec->slice;
    const pu_ctx pu = {x, y, w, h, partIdx};
    motion m;
    const bool merge = c->cu.skip || bin(c, CTX_MERGE_FLAG);
    if (partIdx == 0)
        c->cu.merge_flag = merge;
    if (merge)
        hevc_merge_motion(dec, &pu, parse_merge_idx(c), &m);
    else
        amvp(dec, &pu, &m);
    store_motion(dec, &pu, &m);
    hevc_map_fill(dec, dec->cur->taps->merge, x, y, w, h, merge);
    for (int i = 0; i < h; i += 4)
        dec->edges[hevc_map(dec, x, y + i)] |= EDGE_LEFT_PU;
    for (int i = 0; i < w; i += 4)
        dec->edges[hevc_map(dec, x + i, y)] |= EDGE_TOP_PU;
    hevc_predict_inter(dec, &pu, &m);
}

static void prediction_units(hevc_decoder *const dec) {
    const cu_ctx *const cu = &dec->slice.cu;
    const int x = cu->x, y = cu->y, n = 1 << cu->log2, half = n / 2, q = n / 4;
    switch (cu->PartMode) {
    case HEVC_2NX2N: prediction_unit(dec, x, y, n, n, 0); break;
    case HEVC_2NXN:
        prediction_unit(dec, x, y, n, half, 0);
        prediction_unit(dec, x, y + half, n, half, 1);
        break;
    case HEVC_NX2N:
        prediction_unit(dec, x, y, half, n, 0);
        prediction_unit(dec, x + half, y, half, n, 1);
        break;
    case HEVC_2NXNU:
        prediction_unit(dec, x, y, n, q, 0);
        prediction_unit(dec, x, y + q, n, n - q, 1);
        break;
    case HEVC_2NXND:
        prediction_unit(dec, x, y, n, n - q, 0);
        prediction_unit(dec, x, y + n - q, n, q, 1);
        break;
    case HEVC_NLX2N:
        prediction_unit(dec, x, y, q, n, 0);
        prediction_unit(dec, x + q, y, n - q, n, 1);
        break;
    case HEVC_NRX2N:
        prediction_unit(dec, x, y, n - q, n, 0);
        prediction_unit(dec, x + n - q, y, q, n, 1);
        break;
    default:
        for (int i = 0; i < 4; i++)
            prediction_unit(dec, x + half * (i & 1), y + half * (i >> 1), half, half, i);
    }
}

// ------------------------------------------------------------------------- coding unit, 7.3.8.5

static int parse_part_mode(slice_ctx *const c) {
    const cu_ctx *const cu = &c->cu;
    const bool least = cu->log2 == c->sps->MinCbLog2SizeY;
    if (bin(c, CTX_PART_MODE))
        return HEVC_2NX2N;
    if (cu->intra)
        return HEVC_NXN;
    if (least) {
        if (bin(c, CTX_PART_MODE + 1))
            return HEVC_2NXN;
        if (cu->log2 == 3)
            return HEVC_NX2N;
        return bin(c, CTX_PART_MODE + 2) ? HEVC_NX2N : HEVC_NXN;
    }
    const bool rows = bin(c, CTX_PART_MODE + 1);
    if (!c->sps->amp_enabled_flag || bin(c, CTX_PART_MODE + 3))
        return rows ? HEVC_2NXN : HEVC_NX2N;
    const int second = bypass(c);
    return rows ? (second ? HEVC_2NXND : HEVC_2NXNU) : (second ? HEVC_NRX2N : HEVC_NLX2N);
}

static bool parse_skip_flag(hevc_decoder *const dec, const int x, const int y) {
    const uint8_t *const mode = dec->cur->taps->mode;
    const bool left =
        hevc_available(dec, x, y, x - 1, y) && mode[hevc_map(dec, x - 1, y)] == HEVC_MODE_SKIP;
    const bool above =
        hevc_available(dec, x, y, x, y - 1) && mode[hevc_map(dec, x, y - 1)] == HEVC_MODE_SKIP;
    return bin(&dec->slice, CTX_CU_SKIP_FLAG + left + above);
}

static void mark_coding_unit(hevc_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    const cu_ctx *const cu = &c->cu;
    taps *const t = dec->cur->taps;
    const int n = 1 << cu->log2;
    hevc_map_fill(dec, t->cu_size, cu->x, cu->y, n, n, cu->log2);
    hevc_map_fill(dec, t->bypass, cu->x, cu->y, n, n, cu->bypass);
    hevc_map_fill(dec, t->mode, cu->x, cu->y, n, n,
                  cu->skip    ? HEVC_MODE_SKIP
                  : cu->intra ? HEVC_MODE_INTRA
                              : HEVC_MODE_INTER);
    hevc_map_fill(dec, t->part, cu->x, cu->y, n, n, cu->PartMode);
    for (int i = 0; i < n; i += 4) { // a coding block's edge is one of transform blocks
        dec->edges[hevc_map(dec, cu->x, cu->y + i)] |= EDGE_LEFT_TU;
        dec->edges[hevc_map(dec, cu->x + i, cu->y)] |= EDGE_TOP_TU;
    }
    if (cu->bypass)
        for (int y = 0; y < n; y += 4)
            for (int x = 0; x < n; x += 4)
                dec->edges[hevc_map(dec, cu->x + x, cu->y + y)] |= NO_FILTER;
}

static void mark_pcm(hevc_decoder *const dec) {
    const cu_ctx *const cu = &dec->slice.cu;
    const int n = 1 << cu->log2;
    hevc_map_fill(dec, dec->cur->taps->mode, cu->x, cu->y, n, n, HEVC_MODE_PCM);
    if (dec->active_sps.pcm_loop_filter_disabled_flag)
        for (int y = 0; y < n; y += 4)
            for (int x = 0; x < n; x += 4)
                dec->edges[hevc_map(dec, cu->x + x, cu->y + y)] |= NO_FILTER;
}

static void mark_qp(hevc_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    const cu_ctx *const cu = &c->cu;
    const int n = 1 << cu->log2;
    for (int cIdx = 0; cIdx < 3; cIdx++) {
        const int qp = cIdx == 0                      ? cu->QpY
                       : c->sps->ChromaArrayType != 0 ? hevc_chroma_qp(c, cIdx, cu->QpY)
                                                      : 0;
        hevc_map_fill(dec, (uint8_t *)dec->cur->taps->qp[cIdx], cu->x, cu->y, n, n, qp);
    }
}

static void transform_tree_of_unit(hevc_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    cu_ctx *const cu = &c->cu;
    if (!cu->intra && !(cu->PartMode == HEVC_2NX2N && cu->merge_flag) && !bin(c, CTX_RQT_ROOT_CBF))
        return;
    cu->MaxTrafoDepth = cu->intra ? c->sps->max_transform_hierarchy_depth_intra + cu->IntraSplitFlag
                                  : c->sps->max_transform_hierarchy_depth_inter;
    const uint8_t root = c->sps->ChromaArrayType != 0;
    const tu_ctx t = {.x = cu->x,
                      .y = cu->y,
                      .x_base = cu->x,
                      .y_base = cu->y,
                      .log2 = cu->log2,
                      .cbf = {0, root, root}};
    transform_tree(dec, t);
}

static void coding_unit(hevc_decoder *const dec, const int x, const int y, const int log2) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    cu_ctx *const cu = &c->cu;
    cu->x = x;
    cu->y = y;
    cu->log2 = log2;
    cu->skip = cu->pcm = cu->IntraSplitFlag = cu->merge_flag = false;
    cu->intra = true;
    cu->PartMode = HEVC_2NX2N;
    set_qp(c);
    cu->bypass = c->pps->transquant_bypass_enabled_flag && bin(c, CTX_CU_TRANSQUANT_BYPASS_FLAG);
    if (c->hdr.slice_type != SLICE_I) {
        cu->skip = parse_skip_flag(dec, x, y);
        cu->intra = !cu->skip && bin(c, CTX_PRED_MODE_FLAG);
    }
    if (!cu->skip && (!cu->intra || log2 == s->MinCbLog2SizeY)) {
        cu->PartMode = parse_part_mode(c);
        cu->IntraSplitFlag = cu->intra && cu->PartMode == HEVC_NXN;
    }
    mark_coding_unit(dec);
    if (!cu->intra) {
        hevc_cost_part(c, COST_TYPE);
        prediction_units(dec);
        hevc_cost_part(c, COST_MOTION);
    } else {
        hevc_motion_fill(dec, x, y, 1 << log2, 1 << log2, &hevc_no_motion);
        if (cu->PartMode == HEVC_2NX2N && s->pcm_enabled_flag && log2 >= s->Log2MinIpcmCbSizeY &&
            log2 <= s->Log2MaxIpcmCbSizeY)
            cu->pcm = cabac_terminate(&c->engine);
        if (cu->pcm) {
            mark_pcm(dec);
            pcm_sample(dec);
        } else {
            intra_modes(dec);
        }
    }
    if (!cu->pcm && !cu->skip)
        transform_tree_of_unit(dec);
    mark_qp(dec);
    hevc_cost_unit(dec);
    cu->last_QpY = cu->QpY;
    cu->first_qg = false;
}

static void coding_quadtree(hevc_decoder *const dec, const int x, const int y, const int log2,
                            const int depth) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    const int n = 1 << log2;
    bool split = log2 > s->MinCbLog2SizeY;
    if (split && x + n <= s->width && y + n <= s->height) {
        const uint8_t *const size = dec->cur->taps->cu_size;
        const int coded =
            s->CtbLog2SizeY - depth; // log2 of a neighbour that is split further is less
        const int left =
            hevc_available(dec, x, y, x - 1, y) && size[hevc_map(dec, x - 1, y)] < coded;
        const int above =
            hevc_available(dec, x, y, x, y - 1) && size[hevc_map(dec, x, y - 1)] < coded;
        split = bin(c, CTX_SPLIT_CU_FLAG + left + above);
    }
    if (c->pps->cu_qp_delta_enabled_flag &&
        log2 >= s->CtbLog2SizeY - c->pps->diff_cu_qp_delta_depth)
        start_quantization_group(dec, x, y);
    if (c->hdr.cu_chroma_qp_offset_enabled_flag &&
        log2 >= s->CtbLog2SizeY - c->pps->diff_cu_chroma_qp_offset_depth)
        c->cu.IsCuChromaQpOffsetCoded = false;
    if (!split) {
        coding_unit(dec, x, y, log2);
        return;
    }
    for (int i = 0; i < 4 && !c->error; i++) {
        const int xS = x + (n / 2) * (i & 1), yS = y + (n / 2) * (i >> 1);
        if (xS < s->width && yS < s->height)
            coding_quadtree(dec, xS, yS, log2 - 1, depth + 1);
    }
}

// ------------------------------------------------------------------------- slice data, 7.3.8.1

static int init_type(const slice_header *const h) {
    return h->slice_type == SLICE_I ? 0 : (h->slice_type == SLICE_P) != h->cabac_init_flag ? 1 : 2;
}

// Is the coding tree unit the first of a row of its tile?
static bool first_in_row(const hevc_decoder *const dec, const int rs) {
    const layout *const l = &dec->lay;
    return rs % dec->active_sps.PicWidthInCtbs == 0 ||
           l->TileId[l->CtbAddrRsToTs[rs]] != l->TileId[l->CtbAddrRsToTs[rs - 1]];
}

static bool first_in_tile(const hevc_decoder *const dec, const int ts) {
    return ts == 0 || dec->lay.TileId[ts] != dec->lay.TileId[ts - 1];
}

/* 9.3.1: context variables at the start of a coding tree unit that begins a tile, a row of a
 * wavefront, or (start) a slice segment. */
static void synchronise(hevc_decoder *const dec, const bool start) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    const int rs = c->CtbAddrInRs, size = 1 << s->CtbLog2SizeY;
    const int x = rs % s->PicWidthInCtbs * size, y = rs / s->PicWidthInCtbs * size;
    const bool tile = first_in_tile(dec, c->CtbAddrInTs);
    const bool row = c->pps->entropy_coding_sync_enabled_flag && first_in_row(dec, rs);
    if (!tile && row) {
        if (hevc_available(dec, x, y, x + size, y - size))
            c->ctx = c->wpp;
        else
            hevc_contexts_init(&c->ctx, init_type(&c->hdr), c->hdr.SliceQpY);
    } else if (start && !tile && c->hdr.dependent_slice_segment_flag) {
        c->ctx = c->ds;
    } else {
        hevc_contexts_init(&c->ctx, init_type(&c->hdr), c->hdr.SliceQpY);
    }
    if (tile || row || (start && !c->hdr.dependent_slice_segment_flag))
        c->cu.first_qg = true;
}

// Does another run of bins begin with the coding tree unit `ts`?
static bool begins_subset(const hevc_decoder *const dec, const int ts) {
    const pps *const p = dec->slice.pps;
    return (p->tiles_enabled_flag && first_in_tile(dec, ts)) ||
           (p->entropy_coding_sync_enabled_flag &&
            (first_in_tile(dec, ts) || first_in_row(dec, dec->lay.CtbAddrTsToRs[ts])));
}

static void coding_tree_unit(hevc_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    const int rx = c->CtbAddrInRs % s->PicWidthInCtbs, ry = c->CtbAddrInRs / s->PicWidthInCtbs;
    dec->ctb_slice[c->CtbAddrInRs] = c->slice_index;
    hevc_tap_unit(dec, c->CtbAddrInRs);
    parse_sao(dec, rx, ry);
    hevc_cost_begin(c);
    if (!c->pps->cu_qp_delta_enabled_flag) { // one group, that of the slice
        c->cu.qPY_PRED = c->hdr.SliceQpY;
        c->cu.CuQpDeltaVal = 0;
    }
    coding_quadtree(dec, rx << s->CtbLog2SizeY, ry << s->CtbLog2SizeY, s->CtbLog2SizeY, 0);
}

static bool next_subset(slice_ctx *const c) {
    const uint8_t *const at = cabac_position(&c->engine);
    if (at >= c->engine.end)
        return false;
    cabac_start(&c->engine, at, c->engine.end);
    return true;
}

/* The bins after a coding tree unit, and what it cost. *end: the slice segment ends. */
static bool end_of_unit(hevc_decoder *const dec, const int next_ts, const uint8_t *const data,
                        const uint64_t mark, bool *const end) {
    slice_ctx *const c = &dec->slice;
    *end = cabac_terminate(&c->engine); // end_of_slice_segment_flag
    const bool inside = next_ts < c->sps->PicWidthInCtbs * c->sps->PicHeightInCtbs;
    const bool subset = !*end && inside && begins_subset(dec, next_ts);
    if (subset && !cabac_terminate(&c->engine)) // end_of_subset_one_bit
        return false;
    const uint64_t now = cabac_cost(&c->engine, data, *end || subset);
    const uint32_t cost = now > mark ? (uint32_t)(now - mark) : 0; // as in cost.c
    dec->cur->taps->ctu_bits[c->CtbAddrInRs] = cost;
    dec->cur->cost += cost;
    return *end || (inside && (!subset || next_subset(c)));
}

void hevc_decode_slice_data(hevc_decoder *const dec, const bits *const b) {
    slice_ctx *const c = &dec->slice;
    const sps *const s = c->sps;
    c->error = b->pos >= b->end;
    if (c->error)
        return;
    cabac_start(&c->engine, b->data + b->pos / 8, b->data + b->end / 8);
    c->data = b->data;
    int ts = dec->lay.CtbAddrRsToTs[c->hdr.slice_segment_address];
    c->cu.CuQpOffsetCb = c->cu.CuQpOffsetCr = 0;
    for (bool start = true;; start = false) {
        c->CtbAddrInTs = ts;
        c->CtbAddrInRs = dec->lay.CtbAddrTsToRs[ts];
        if (dec->ctb_slice[c->CtbAddrInRs] >= 0) { // twice: the slice is not where it says
            c->error = true;
            return;
        }
        dec->ctb_slice[c->CtbAddrInRs] = c->slice_index;
        if (start || begins_subset(dec, ts))
            synchronise(dec, start);
        const uint64_t mark = cabac_cost(&c->engine, b->data, 0);
        coding_tree_unit(dec);
        if (c->error || cabac_is_spent(&c->engine)) {
            c->error = true;
            dec->ctb_slice[c->CtbAddrInRs] = -1; // no part of it can be believed
            return;
        }
        const int rs = c->CtbAddrInRs;
        if (c->pps->entropy_coding_sync_enabled_flag &&
            (first_in_row(dec, rs) ? s->PicWidthInCtbs == 1 : first_in_row(dec, rs - 1)))
            c->wpp = c->ctx;
        bool end;
        ts++;
        if (!end_of_unit(dec, ts, b->data, mark, &end)) {
            c->error = true;
            return;
        }
        if (end) {
            c->ds = c->ctx;
            return;
        }
    }
}
