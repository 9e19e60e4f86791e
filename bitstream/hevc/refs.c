/* 8.3.1 to 8.3.4: picture order count, reference picture sets, missing references, lists. */
#include "internal.h"

int32_t hevc_poc(hevc_decoder *const dec, const slice_header *const h, const sps *const s) {
    const int32_t MaxLsb = 1 << s->log2_max_pic_order_cnt_lsb;
    const int32_t lsb = h->slice_pic_order_cnt_lsb;
    int32_t msb = 0;
    if (!(is_irap(h->nal_unit_type) && dec->NoRaslOutputFlag)) {
        const int32_t prev_lsb = dec->prev_tid0_poc & (MaxLsb - 1);
        const int32_t prev_msb = dec->prev_tid0_poc - prev_lsb;
        msb = lsb < prev_lsb && prev_lsb - lsb >= MaxLsb / 2  ? prev_msb + MaxLsb
              : lsb > prev_lsb && lsb - prev_lsb > MaxLsb / 2 ? prev_msb - MaxLsb
                                                              : prev_msb;
    }
    msb = iclip(msb, -(1 << 30), 1 << 30); // differences then fit 32 bits
    const int32_t poc = msb + lsb;
    const bool sub_layer_non_reference =
        h->nal_unit_type < NAL_RSV_VCL_R15 && h->nal_unit_type % 2 == 0;
    if (h->TemporalId == 0 && !sub_layer_non_reference &&
        !(h->nal_unit_type >= NAL_RADL_N && h->nal_unit_type <= NAL_RASL_R))
        dec->prev_tid0_poc = poc;
    return poc;
}

// ------------------------------------------------------------------------------------------ 8.3.2

static picture *find(hevc_decoder *const dec, const int32_t poc, const int32_t mask) {
    for (int i = 0; i < dec->n_dpb; i++)
        if (dec->dpb[i]->reference != UNUSED && (dec->dpb[i]->poc & mask) == poc)
            return dec->dpb[i];
    return NULL;
}

/* 8.3.3: a picture that is not there, as if it were grey and intra coded. */
static picture *generate(hevc_decoder *const dec, const int32_t poc, const marking m) {
    picture *const pic = dec->n_dpb < MAX_PICTURES ? hevc_picture_get(dec) : NULL;
    if (pic == NULL)
        return NULL;
    hevc_picture_grey(dec, pic);
    pic->poc = poc;
    pic->reference = m;
    pic->decode_order = -1;
    pic->in_dpb = true;
    dec->dpb[dec->n_dpb++] = pic;
    return pic;
}

typedef struct wanted {
    int32_t poc, mask;
    marking kind;
    picture *pic;
    picture **list; // of pictures that the current one may use; NULL: of later ones only
    int *count;
} wanted;

static int collect(hevc_decoder *const dec, const slice_header *const h, wanted *const w) {
    const int32_t cur = dec->cur->poc, MaxLsb = 1 << dec->active_sps.log2_max_pic_order_cnt_lsb;
    int n = 0;
    for (int i = 0; i < h->num_long_term; i++) {
        const bool msb = h->delta_poc_msb_present_flag[i];
        int64_t poc = h->PocLsbLt[i];
        if (msb)
            poc += (int64_t)cur - (int64_t)h->DeltaPocMsbCycleLt[i] * MaxLsb - (cur & (MaxLsb - 1));
        const bool used = h->UsedByCurrPicLt[i];
        w[n++] = (wanted){.poc = (int32_t)poc,
                          .mask = msb ? -1 : MaxLsb - 1,
                          .kind = LONG_TERM,
                          .list = used ? dec->RefPicSetLtCurr : NULL,
                          .count = used ? &dec->NumPocLtCurr : NULL};
    }
    for (int i = 0; i < h->st.NumNegativePics; i++) {
        const bool used = h->st.UsedByCurrPicS0[i];
        w[n++] = (wanted){.poc = cur + h->st.DeltaPocS0[i],
                          .mask = -1,
                          .kind = SHORT_TERM,
                          .list = used ? dec->RefPicSetStCurrBefore : NULL,
                          .count = used ? &dec->NumPocStCurrBefore : NULL};
    }
    for (int i = 0; i < h->st.NumPositivePics; i++) {
        const bool used = h->st.UsedByCurrPicS1[i];
        w[n++] = (wanted){.poc = cur + h->st.DeltaPocS1[i],
                          .mask = -1,
                          .kind = SHORT_TERM,
                          .list = used ? dec->RefPicSetStCurrAfter : NULL,
                          .count = used ? &dec->NumPocStCurrAfter : NULL};
    }
    return n;
}

int hevc_reference_picture_set(hevc_decoder *const dec, const slice_header *const h) {
    wanted w[3 * MAX_REFS];
    dec->NumPocStCurrBefore = dec->NumPocStCurrAfter = dec->NumPocLtCurr = 0;
    if (is_idr(h->nal_unit_type))
        return HEVC_OK;
    const int n = collect(dec, h, w);
    for (int i = 0; i < n; i++) {
        picture *const pic = find(dec, w[i].poc, w[i].mask);
        if (pic != NULL && !(w[i].kind == SHORT_TERM && pic->reference == LONG_TERM))
            w[i].pic = pic;
    }
    for (int i = 0; i < dec->n_dpb; i++)
        dec->dpb[i]->reference = UNUSED;
    for (int i = 0; i < n; i++)
        if (w[i].pic != NULL && w[i].pic->reference != LONG_TERM)
            w[i].pic->reference = w[i].kind;
    for (int i = 0; i < n; i++) {
        if (w[i].pic == NULL) {
            if (w[i].list == NULL && !(is_irap(h->nal_unit_type) && dec->NoRaslOutputFlag))
                continue; // only later pictures would want it
            dec->warnings[HEVC_WARN_MISSING_REFERENCE] += w[i].list != NULL;
            w[i].pic = generate(dec, w[i].poc, w[i].kind);
            if (w[i].pic == NULL)
                return hevc_error(dec, HEVC_NOMEM, "no memory for a missing reference");
            if (w[i].list != NULL)
                dec->cur->concealed_ctus = imax(dec->cur->concealed_ctus, 1);
        }
        if (w[i].list != NULL && *w[i].count < MAX_REFS)
            w[i].list[(*w[i].count)++] = w[i].pic;
    }
    return HEVC_OK;
}

// ------------------------------------------------------------------------------------------ 8.3.4

/* RefPicListTemp0 and 1. As long as any may be: a later slice may name more pictures than the first
 * one, which says what pictures there are, and may then choose among as many. */
static void initial_list(const hevc_decoder *const dec, const int list, ref_list *const out) {
    picture *const *const first =
        list == 0 ? dec->RefPicSetStCurrBefore : dec->RefPicSetStCurrAfter;
    picture *const *const second =
        list == 0 ? dec->RefPicSetStCurrAfter : dec->RefPicSetStCurrBefore;
    const int n_first = list == 0 ? dec->NumPocStCurrBefore : dec->NumPocStCurrAfter;
    const int n_second = list == 0 ? dec->NumPocStCurrAfter : dec->NumPocStCurrBefore;
    for (int k = 0; k < MAX_REFS;) {
        for (int i = 0; i < n_first && k < MAX_REFS; i++)
            out->pic[k++] = first[i];
        for (int i = 0; i < n_second && k < MAX_REFS; i++)
            out->pic[k++] = second[i];
        for (int i = 0; i < dec->NumPocLtCurr && k < MAX_REFS; i++)
            out->pic[k++] = dec->RefPicSetLtCurr[i];
    }
}

int hevc_ref_lists(hevc_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    const slice_header *const h = &c->hdr;
    const int total = dec->NumPocStCurrBefore + dec->NumPocStCurrAfter + dec->NumPocLtCurr;
    memset(c->list, 0, sizeof c->list);
    c->collocated = NULL;
    if (h->slice_type == SLICE_I)
        return HEVC_OK;
    if (total == 0)
        return hevc_error(dec, HEVC_CORRUPT, "an inter slice without references");
    c->NoBackwardPredFlag = true;
    for (int list = 0; list < (h->slice_type == SLICE_B ? 2 : 1); list++) {
        ref_list initial;
        initial_list(dec, list, &initial);
        for (int i = 0; i < h->num_ref_idx_active[list]; i++) {
            const int from = h->ref_pic_list_modification_flag[list] ? h->list_entry[list][i] : i;
            picture *const pic = initial.pic[from];
            c->list[list].pic[i] = pic;
            c->list[list].poc[i] = pic->poc;
            c->list[list].long_term[i] = pic->reference == LONG_TERM;
            c->NoBackwardPredFlag &= pic->poc <= dec->cur->poc;
        }
    }
    if (h->slice_temporal_mvp_enabled_flag)
        c->collocated = c->list[!h->collocated_from_l0_flag].pic[h->collocated_ref_idx];
    return HEVC_OK;
}
