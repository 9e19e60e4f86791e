/* 7.3.8.11 residual_coding() and 8.6.2 to 8.6.8: from bins to levels to the residual of one
 * transform block. */
#include "internal.h"

#include "context_tables.h"

// ctxIdxMap of 4x4 blocks, 9.3.4.2.5
static const uint8_t ctxIdxMap[16] = {0, 1, 4, 5, 2, 3, 4, 5, 6, 6, 8, 8, 7, 7, 8, 8};

/* The engine is a copy in registers while a block is parsed: what its fields would cost in memory
 * is most of a bin. So everything that reads bins here is part of parse_levels(). */
typedef struct reader {
    cabac_engine engine;
    contexts *ctx;
    bool error;
} reader;

static inline int bin(reader *const b, const int ctx) {
    return cabac_decision(&b->engine, &b->ctx->state[ctx]);
}

// ------------------------------------------------------------------------------ syntax, 7.3.8.11

static inline int last_prefix(reader *const b, const int base, const int cIdx, const int log2) {
    const int offset = cIdx == 0 ? 3 * (log2 - 2) + ((log2 - 1) >> 2) : 15;
    const int shift = cIdx == 0 ? (log2 + 1) >> 2 : log2 - 2;
    const int most = (log2 << 1) - 1;
    int v = 0;
    while (v < most && bin(b, base + offset + (v >> shift)))
        v++;
    return v;
}

static inline int last_place(reader *const b, const int prefix) {
    if (prefix <= 3)
        return prefix;
    const int n = (prefix >> 1) - 1;
    return (1 << n) * (2 + (prefix & 1)) + (int)cabac_bypass_bits(&b->engine, n);
}

// 9.3.4.2.5, of a position in its sub-block
static int sig_ctx(const int cIdx, const int log2, const int scanIdx, const int xP, const int yP,
                   const bool first_sub_block, const int csbf) {
    int ctx;
    if (log2 == 2) {
        ctx = ctxIdxMap[(yP << 2) + xP];
    } else if (first_sub_block && xP + yP == 0) {
        ctx = 0;
    } else {
        switch (csbf) {
        case 0: ctx = xP + yP == 0 ? 2 : xP + yP < 3 ? 1 : 0; break;
        case 1: ctx = yP == 0 ? 2 : yP == 1 ? 1 : 0; break;
        case 2: ctx = xP == 0 ? 2 : xP == 1 ? 1 : 0; break;
        default: ctx = 2;
        }
        if (cIdx == 0) {
            ctx += first_sub_block ? 0 : 3;
            ctx += log2 == 3 ? (scanIdx == 0 ? 9 : 15) : 21;
        } else {
            ctx += log2 == 3 ? 9 : 12;
        }
    }
    return CTX_SIG_COEFF_FLAG + (cIdx == 0 ? ctx : 27 + ctx);
}

// 9.3.3.11
static inline int32_t abs_level_remaining(reader *const b, const int rice) {
    int prefix = 0;
    while (prefix < 32 && cabac_bypass(&b->engine))
        prefix++;
    if (prefix <= 3)
        return (prefix << rice) + (int32_t)cabac_bypass_bits(&b->engine, rice);
    const int n = prefix - 3 + rice;
    if (prefix == 32 || n > 30) {
        b->error = true;
        return 0;
    }
    const uint32_t base = ((UINT32_C(1) << (prefix - 3)) + 2) << rice;
    return (int32_t)((base + cabac_bypass_bits(&b->engine, n)) & INT32_MAX);
}

typedef struct sub_blocks { // state over the sub-blocks of a block
    int greater1Ctx;
    bool first, bypass_coded; // bypass_coded: skipped transform or bypassed quantisation
    bool hide;
    int escape;
} sub_blocks;

static int scan_of(const slice_ctx *const c, const residual_block *const r) { // 7.4.9.11
    if (!c->cu.intra)
        return 0;
    if (r->log2 != 2 && !(r->log2 == 3 && (r->cIdx == 0 || c->sps->ChromaArrayType == 3)))
        return 0;
    return r->intra_mode >= 6 && r->intra_mode <= 14    ? 2
           : r->intra_mode >= 22 && r->intra_mode <= 30 ? 1
                                                        : 0;
}

// Levels of the positions `at` (scan places, falling) of one sub-block
static inline void sub_block_levels(reader *const b, const sps *const set, const int cIdx,
                                    sub_blocks *const s, const uint8_t *const at, const int n,
                                    const int i, int32_t *const out) {
    int ctxSet = i == 0 || cIdx > 0 ? 0 : 2;
    if (!s->first && s->greater1Ctx == 0)
        ctxSet++;
    s->first = false;
    s->greater1Ctx = 1;
    int greater2_at = -1;
    bool escape = n > 8;
    for (int k = 0; k < n; k++) {
        out[k] = 1;
        if (k >= 8)
            continue;
        const int flag = bin(b, CTX_COEFF_ABS_LEVEL_GREATER1_FLAG + ctxSet * 4 + s->greater1Ctx +
                                    (cIdx > 0 ? 16 : 0));
        if (flag) {
            s->greater1Ctx = 0;
            out[k] = 2;
            if (greater2_at < 0)
                greater2_at = k;
            else
                escape = true;
        } else if (s->greater1Ctx > 0 && s->greater1Ctx < 3) {
            s->greater1Ctx++;
        }
    }
    const bool hidden = s->hide && at[0] - at[n - 1] > 3;
    if (greater2_at >= 0 &&
        bin(b, CTX_COEFF_ABS_LEVEL_GREATER2_FLAG + ctxSet + (cIdx > 0 ? 4 : 0))) {
        out[greater2_at] = 3;
        escape = true;
    }
    if (set->cabac_bypass_alignment_enabled_flag && escape)
        b->engine.range = 256; // 9.3.4.3.6
    const int n_signs = n - hidden;
    const uint32_t signs = cabac_bypass_bits(&b->engine, n_signs) << (hidden ? 1 : 0);
    uint8_t *const stat = &b->ctx->StatCoeff[2 * (cIdx == 0) + s->bypass_coded];
    const bool adaptive = set->persistent_rice_adaptation_enabled_flag;
    int rice = adaptive ? *stat / 4 : 0;
    bool first_escape = true;
    int64_t sum = 0;
    for (int k = 0; k < n; k++) {
        if (out[k] == (k >= 8 ? 1 : k == greater2_at ? 3 : 2)) {
            const int32_t rest = abs_level_remaining(b, rice);
            out[k] = rest > INT32_MAX - 3 ? INT32_MAX : out[k] + rest;
            if (out[k] > INT64_C(3) << rice)
                rice = adaptive ? imin(rice + 1, 30) : imin(rice + 1, 4);
            if (adaptive && first_escape) {
                if (rest >= INT64_C(3) << (*stat / 4))
                    ++*stat;
                else if (INT64_C(2) * rest < INT64_C(1) << (*stat / 4) && *stat > 0)
                    --*stat;
            }
            first_escape = false;
        }
        sum += out[k];
        if (signs >> (n - 1 - k) & 1)
            out[k] = -out[k];
    }
    if (hidden && sum % 2 == 1)
        out[n - 1] = -out[n - 1];
}

/* Levels into slice.coeff at their places, r->columns and r->rows; false: the syntax is broken. */
static bool read_levels(slice_ctx *const c, reader *const b, residual_block *const r) {
    const sps *const s = c->sps;
    const pps *const p = c->pps;
    const int log2 = r->log2, cIdx = r->cIdx, n = 1 << log2;
    if (p->transform_skip_enabled_flag && !c->cu.bypass && log2 <= p->Log2MaxTransformSkipSize)
        r->transform_skip_flag = bin(b, CTX_TRANSFORM_SKIP_FLAG + (cIdx > 0));
    const bool plain = r->transform_skip_flag || c->cu.bypass;
    if (!c->cu.intra && s->explicit_rdpcm_enabled_flag && plain) {
        r->explicit_rdpcm_flag = bin(b, CTX_EXPLICIT_RDPCM_FLAG + (cIdx > 0));
        if (r->explicit_rdpcm_flag)
            r->explicit_rdpcm_dir_flag = bin(b, CTX_EXPLICIT_RDPCM_DIR_FLAG + (cIdx > 0));
    }
    const int x_prefix = last_prefix(b, CTX_LAST_SIG_COEFF_X_PREFIX, cIdx, log2);
    const int y_prefix = last_prefix(b, CTX_LAST_SIG_COEFF_Y_PREFIX, cIdx, log2);
    int last_x = last_place(b, x_prefix), last_y = last_place(b, y_prefix);
    const int scanIdx = scan_of(c, r);
    if (scanIdx == 2) {
        const int t = last_x;
        last_x = last_y;
        last_y = t;
    }
    if (last_x >= n || last_y >= n)
        return false;
    const uint8_t (*const places)[2] = hevc_scan_4x4[scanIdx];
    const uint8_t (*const blocks)[2] = log2 == 2   ? hevc_scan_4x4[0]
                                       : log2 == 3 ? hevc_scan_2x2[scanIdx]
                                       : log2 == 4 ? hevc_scan_4x4[scanIdx]
                                                   : hevc_scan_8x8[scanIdx];
    int last_block = 0, last_pos = 0;
    while (blocks[last_block][0] != last_x >> 2 || blocks[last_block][1] != last_y >> 2)
        last_block++;
    while (places[last_pos][0] != (last_x & 3) || places[last_pos][1] != (last_y & 3))
        last_pos++;
    const bool implicit = c->cu.intra && s->implicit_rdpcm_enabled_flag && plain &&
                          (r->intra_mode == 10 || r->intra_mode == 26);
    sub_blocks state = {.greater1Ctx = 1,
                        .first = true,
                        .bypass_coded = plain,
                        .hide = p->sign_data_hiding_enabled_flag && !c->cu.bypass && !implicit &&
                                !r->explicit_rdpcm_flag};
    uint8_t coded[9][9] = {{0}};
    for (int i = last_block; i >= 0 && !b->error; i--) {
        const int xS = blocks[i][0], yS = blocks[i][1];
        const int csbf = coded[yS][xS + 1] | coded[yS + 1][xS] << 1;
        bool infer_dc = false;
        if (i < last_block && i > 0) {
            coded[yS][xS] =
                (uint8_t)bin(b, CTX_CODED_SUB_BLOCK_FLAG + (csbf != 0) + (cIdx > 0 ? 2 : 0));
            infer_dc = true;
        } else {
            coded[yS][xS] = 1;
        }
        if (!coded[yS][xS])
            continue;
        uint8_t at[16];
        int count = 0, k = 15;
        if (i == last_block) {
            at[count++] = (uint8_t)last_pos;
            k = last_pos - 1;
        }
        for (; k >= 0; k--) {
            if (k == 0 && infer_dc) {
                at[count++] = 0;
                break;
            }
            const int ctx =
                s->transform_skip_context_enabled_flag && plain
                    ? CTX_SIG_COEFF_FLAG_SKIP + (cIdx > 0)
                    : sig_ctx(cIdx, log2, scanIdx, places[k][0], places[k][1], i == 0, csbf);
            if (bin(b, ctx)) {
                at[count++] = (uint8_t)k;
                infer_dc = false;
            }
        }
        if (count == 0)
            continue;
        int32_t level[16];
        sub_block_levels(b, s, cIdx, &state, at, count, i, level);
        r->columns = imax(r->columns, (xS + 1) << 2);
        r->rows = imax(r->rows, (yS + 1) << 2);
        for (int j = 0; j < count; j++) {
            const int x = (xS << 2) + places[at[j]][0], y = (yS << 2) + places[at[j]][1];
            c->coeff[y * n + x] = iclip(level[j], -32768, 32767);
        }
    }
    r->only_dc = last_block == 0 && last_pos == 0;
    return !b->error;
}

static bool parse_levels(slice_ctx *const c, residual_block *const r) {
    reader b = {.engine = c->engine, .ctx = &c->ctx};
    const bool ok = read_levels(c, &b, r);
    c->engine = b.engine;
    return ok;
}

// ----------------------------------------------------------------------------- scaling, 8.6.3

static int block_qp(const slice_ctx *const c, const int cIdx) { // 8.6.1: Qp'Y, Qp'Cb, Qp'Cr
    const sps *const s = c->sps;
    if (cIdx == 0)
        return c->cu.QpY + 6 * (s->BitDepthY - 8);
    return hevc_chroma_qp(c, cIdx, c->cu.QpY) + 6 * (s->BitDepthC - 8);
}

int hevc_chroma_qp(const slice_ctx *const c, const int cIdx, const int QpY) {
    const sps *const s = c->sps;
    const int offset = cIdx == 1
                           ? c->pps->cb_qp_offset + c->hdr.slice_cb_qp_offset + c->cu.CuQpOffsetCb
                           : c->pps->cr_qp_offset + c->hdr.slice_cr_qp_offset + c->cu.CuQpOffsetCr;
    const int qPi = iclip(QpY + offset, -6 * (s->BitDepthC - 8), 57);
    if (s->ChromaArrayType != 1)
        return imin(qPi, 51);
    return qPi < 0 ? qPi : hevc_QpC[qPi];
}

static void scale(hevc_decoder *const dec, const residual_block *const r, const int depth) {
    static const uint8_t levelScale[6] = {40, 45, 51, 57, 64, 72};
    slice_ctx *const c = &dec->slice;
    const int n = 1 << r->log2, qP = block_qp(c, r->cIdx);
    const int bdShift = depth + r->log2 - 5;
    const int64_t factor = (int64_t)levelScale[qP % 6] << (qP / 6), round = INT64_C(1)
                                                                            << (bdShift - 1);
    const bool flat = !c->sps->scaling_list_enabled_flag || (r->transform_skip_flag && n > 4);
    const uint8_t *const m =
        flat ? NULL : dec->lay.ScalingFactor[r->log2 - 2][r->cIdx + (c->cu.intra ? 0 : 3)];
    for (int y = 0; y < r->rows; y++)
        for (int i = y * n; i < y * n + r->columns; i++) {
            if (c->coeff[i] == 0)
                continue;
            const int64_t v = (c->coeff[i] * (m == NULL ? 16 : m[i]) * factor + round) >> bdShift;
            c->coeff[i] = (int32_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
        }
}

// ---------------------------------------------------------- residual modification, 8.6.2, 8.6.5
// ff.

static void rotate(int32_t *const d) { // 4x4, by 180 degrees
    for (int i = 0; i < 8; i++) {
        const int32_t t = d[i];
        d[i] = d[15 - i];
        d[15 - i] = t;
    }
}

static void accumulate(int32_t *const r, const int n, const bool vertical) {
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++) {
            if (vertical && y > 0)
                r[y * n + x] += r[(y - 1) * n + x];
            else if (!vertical && x > 0)
                r[y * n + x] += r[y * n + x - 1];
        }
}

// HEVC_TU_* of a block that has levels
static int kind_of(const slice_ctx *const c, const residual_block *const r) {
    const sps *const s = c->sps;
    if (!c->cu.bypass && !r->transform_skip_flag)
        return c->cu.intra && r->log2 == 2 && r->cIdx == 0 ? HEVC_TU_DST : HEVC_TU_DCT;
    int kind = c->cu.bypass ? HEVC_TU_BYPASS : HEVC_TU_SKIP;
    if (s->transform_skip_rotation_enabled_flag && r->log2 == 2 && c->cu.intra)
        kind |= HEVC_TU_TURNED;
    if (r->explicit_rdpcm_flag)
        kind |= r->explicit_rdpcm_dir_flag ? HEVC_TU_DOWN : HEVC_TU_ACROSS;
    else if (c->cu.intra && s->implicit_rdpcm_enabled_flag &&
             (r->intra_mode == 10 || r->intra_mode == 26))
        kind |= r->intra_mode == 26 ? HEVC_TU_DOWN : HEVC_TU_ACROSS;
    return kind;
}

static void modify(int32_t *const res, const int n, const int kind) {
    if (kind & (HEVC_TU_ACROSS | HEVC_TU_DOWN))
        accumulate(res, n, kind & HEVC_TU_DOWN);
}

// 8.6.4.2 of a block with no more than its first coefficient
static void constant_residual(slice_ctx *const c, const int n, const int depth) {
    const int shift = 20 - depth;
    const int32_t column = iclip((64 * c->coeff[0] + 64) >> 7, -32768, 32767);
    const int32_t v = (64 * column + (1 << (shift - 1))) >> shift;
    for (int i = 0; i < n * n; i++)
        c->residual[i] = v;
}

static void make_residual(hevc_decoder *const dec, const residual_block *const r, const int kind) {
    slice_ctx *const c = &dec->slice;
    const int n = 1 << r->log2, depth = hevc_depth(c->sps, r->cIdx);
    if (c->cu.bypass) {
        if (kind & HEVC_TU_TURNED)
            rotate(c->coeff);
        memcpy(c->residual, c->coeff, (size_t)(n * n) * sizeof *c->coeff);
        modify(c->residual, n, kind);
        return;
    }
    scale(dec, r, depth);
    if (r->transform_skip_flag) {
        if (kind & HEVC_TU_TURNED)
            rotate(c->coeff);
        const int tsShift = 5 + r->log2, bdShift = 20 - depth;
        for (int i = 0; i < n * n; i++)
            c->residual[i] =
                (int32_t)(((int64_t)c->coeff[i] * (1 << tsShift) + (INT64_C(1) << (bdShift - 1))) >>
                          bdShift);
        modify(c->residual, n, kind);
        return;
    }
    if (kind == HEVC_TU_DST)
        dec->k->inverse_dst(c->coeff, c->residual, depth);
    else if (r->only_dc)
        constant_residual(c, n, depth);
    else
        dec->k->inverse_dct[r->log2 - 2](c->coeff, c->residual, r->columns, r->rows, depth);
}

// 7.4.9.12, 8.6.6: what luma says about the residual of chroma
static void cross_component(slice_ctx *const c, const int n, const int scale_value) {
    const int up = c->sps->BitDepthC, down = c->sps->BitDepthY;
    for (int i = 0; i < n * n; i++)
        c->residual[i] +=
            (int32_t)((scale_value * (((int64_t)c->luma_residual[i] * (1 << up)) >> down)) >> 3);
}

bool hevc_residual_coding(hevc_decoder *const dec, residual_block *const r, const bool coded,
                          const int res_scale) {
    slice_ctx *const c = &dec->slice;
    const int n = 1 << r->log2;
    const size_t size = (size_t)(n * n) * sizeof *c->coeff;
    int kind = HEVC_TU_NONE;
    if (coded) {
        if (!parse_levels(c, r)) {
            memset(c->coeff, 0, size);
            c->error = true;
            return false;
        }
        hevc_tap_level(dec, r, c->coeff);
        kind = kind_of(c, r);
        if (hevc_makes_samples(dec))
            make_residual(dec, r, kind);
        for (int y = 0; y < r->rows; y++) // all zero again
            memset(c->coeff + y * n, 0, (size_t)r->columns * sizeof *c->coeff);
    } else if (res_scale != 0) {
        memset(c->residual, 0, size);
    }
    if (!coded && res_scale == 0)
        return true;
    hevc_tap_transform(dec, r, kind, res_scale);
    if (!hevc_makes_samples(dec))
        return true;
    if (res_scale != 0)
        cross_component(c, n, res_scale);
    hevc_tap_residual(dec, r->cIdx, r->x, r->y, n, c->residual);
    dec->k->add(hevc_sample(dec, dec->cur, r->cIdx, r->x, r->y), dec->cur->stride[r->cIdx],
                c->residual, n, hevc_depth(c->sps, r->cIdx));
    return true;
}
