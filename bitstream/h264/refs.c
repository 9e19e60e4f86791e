/* 8.2.1 picture order count, and 8.2.4 reference picture lists: initialisation and modification,
 * for frames and fields.
 *
 * In: the header in dec->slice.hdr, the marks of the pictures in dec->dpb. Out: PicOrderCnt,
 * dec->slice.RefPicList. */
#include "stream.h"

// ----------------------------------------------------------------------------- picture order count

int32_t h264_limit_poc(const int64_t poc) {
    return (int32_t)(poc < -POC_LIMIT ? -POC_LIMIT : poc > POC_LIMIT ? POC_LIMIT : poc);
}

typedef struct field_pocs {
    int64_t top, bottom;
} field_pocs;

/* 8.2.1.1 */
static field_pocs poc_type_0(poc_state *const p, const sps *const s, const slice_header *const h) {
    if (h->IdrPicFlag)
        p->prevPicOrderCntMsb = p->prevPicOrderCntLsb = 0;
    const int32_t lsb = (int32_t)h->pic_order_cnt_lsb, max_lsb = 1 << s->log2_max_pic_order_cnt_lsb;
    int64_t msb = p->prevPicOrderCntMsb;
    if (lsb < p->prevPicOrderCntLsb && p->prevPicOrderCntLsb - lsb >= max_lsb / 2)
        msb += max_lsb;
    else if (lsb > p->prevPicOrderCntLsb && lsb - p->prevPicOrderCntLsb > max_lsb / 2)
        msb -= max_lsb;
    p->PicOrderCntMsb = h264_limit_poc(msb);
    const int64_t first = (int64_t)p->PicOrderCntMsb + lsb;
    return (field_pocs){first, h->field_pic_flag ? first : first + h->delta_pic_order_cnt_bottom};
}

static void frame_num_offset(poc_state *const p, const sps *const s,
                             const slice_header *const h) { // (8-6), (8-11)
    const int32_t MaxFrameNum = 1 << s->log2_max_frame_num;
    if (h->IdrPicFlag)
        p->FrameNumOffset = 0;
    else
        p->FrameNumOffset = h264_limit_poc((int64_t)p->prevFrameNumOffset +
                                           (p->prevFrameNum > h->frame_num ? MaxFrameNum : 0));
}

/* 8.2.1.2 */
static field_pocs poc_type_1(poc_state *const p, const sps *const s, const slice_header *const h) {
    frame_num_offset(p, s, h);
    const int n = s->num_ref_frames_in_pic_order_cnt_cycle;
    int64_t absFrameNum = n != 0 ? (int64_t)p->FrameNumOffset + h->frame_num : 0;
    if (h->nal_ref_idc == 0 && absFrameNum > 0)
        absFrameNum--;
    int64_t expected = 0;
    if (absFrameNum > 0) {
        const int64_t cycle = (absFrameNum - 1) / n, in_cycle = (absFrameNum - 1) % n;
        int64_t per_cycle = 0;
        for (int i = 0; i < n; i++)
            per_cycle += s->offset_for_ref_frame[i];
        expected = cycle * h264_limit_poc(per_cycle);
        for (int i = 0; i <= in_cycle; i++)
            expected += s->offset_for_ref_frame[i];
    }
    if (h->nal_ref_idc == 0)
        expected += s->offset_for_non_ref_pic;
    const int64_t top = expected + h->delta_pic_order_cnt[0],
                  bottom = top + s->offset_for_top_to_bottom_field;
    return (field_pocs){top, h->field_pic_flag ? bottom : bottom + h->delta_pic_order_cnt[1]};
}

/* 8.2.1.3 */
static field_pocs poc_type_2(poc_state *const p, const sps *const s, const slice_header *const h) {
    frame_num_offset(p, s, h);
    int64_t poc = 0;
    if (!h->IdrPicFlag)
        poc = 2 * ((int64_t)p->FrameNumOffset + h->frame_num) - (h->nal_ref_idc == 0);
    return (field_pocs){poc, poc};
}

static void set_pic_order_cnt(picture *const pic) { // (8-1)
    if (pic->fields_decoded == FRAME)
        pic->PicOrderCnt = imin(pic->TopFieldOrderCnt, pic->BottomFieldOrderCnt);
    else
        pic->PicOrderCnt =
            pic->fields_decoded == TOP_FIELD ? pic->TopFieldOrderCnt : pic->BottomFieldOrderCnt;
}

void h264_poc_decode(h264_decoder *const dec, picture *const pic, const slice_header *const h) {
    poc_state *const p = &dec->stream->poc;
    const sps *const s = &dec->active_sps;
    const field_pocs poc = s->pic_order_cnt_type == 0   ? poc_type_0(p, s, h)
                           : s->pic_order_cnt_type == 1 ? poc_type_1(p, s, h)
                                                        : poc_type_2(p, s, h);
    if (h->structure & TOP_FIELD)
        pic->TopFieldOrderCnt = h264_limit_poc(poc.top);
    if (h->structure & BOTTOM_FIELD)
        pic->BottomFieldOrderCnt = h264_limit_poc(poc.bottom);
    set_pic_order_cnt(pic);
}

/* What the next picture's derivation needs. After MMCO 5 PicOrderCnt has been reset by marking. */
void h264_poc_done(h264_decoder *const dec, const picture *const pic, const slice_header *const h) {
    poc_state *const p = &dec->stream->poc;
    if (pic->mmco5) {
        p->prevPicOrderCntMsb = 0;
        p->prevPicOrderCntLsb = h->structure == BOTTOM_FIELD ? 0 : pic->TopFieldOrderCnt;
        p->prevFrameNumOffset = p->prevFrameNum = 0;
        return;
    }
    if (h->nal_ref_idc != 0) {
        p->prevPicOrderCntMsb = p->PicOrderCntMsb;
        p->prevPicOrderCntLsb = (int32_t)h->pic_order_cnt_lsb;
    }
    p->prevFrameNumOffset = p->FrameNumOffset;
    p->prevFrameNum = h->frame_num;
}

int32_t h264_field_poc(const picture *const pic, const int structure) {
    if (structure == FRAME)
        return pic->PicOrderCnt;
    return structure == TOP_FIELD ? pic->TopFieldOrderCnt : pic->BottomFieldOrderCnt;
}

// ------------------------------------------------------------------------- initial reference lists

/* 8.2.4.1 */
void h264_frame_num_wrap(h264_decoder *const dec, const int frame_num) {
    const int MaxFrameNum = 1 << dec->active_sps.log2_max_frame_num;
    for (int i = 0; i < dec->dpb.n_frames; i++) {
        picture *const pic = dec->dpb.frames[i];
        pic->FrameNumWrap =
            pic->frame_num > frame_num ? pic->frame_num - MaxFrameNum : pic->frame_num;
    }
}

typedef struct sorted_frames { // a refFrameList of 8.2.4.2
    picture *pic[MAX_DPB_FRAMES + 2];
    int32_t key[MAX_DPB_FRAMES + 2];
    int n;
} sorted_frames;

static void insert_ascending(sorted_frames *const f, picture *const pic, const int32_t key) {
    int i = f->n++;
    for (; i > 0 && f->key[i - 1] > key; i--) {
        f->key[i] = f->key[i - 1];
        f->pic[i] = f->pic[i - 1];
    }
    f->key[i] = key;
    f->pic[i] = pic;
}

/* A frame list takes whole frames, a field list every frame with a marked field. */
static bool has_mark(const int marks, const int structure) {
    return structure == FRAME ? marks == FRAME : marks != 0;
}

static void collect_long_term(const dpb *const d, const int structure, sorted_frames *const f) {
    f->n = 0;
    for (int i = 0; i < d->n_frames; i++)
        if (has_mark(d->frames[i]->long_ref, structure))
            insert_ascending(f, d->frames[i], d->frames[i]->LongTermFrameIdx);
}

/* 8.2.4.2.1, 8.2.4.2.2: descending FrameNumWrap */
static void collect_short_term_p(const dpb *const d, const int structure, sorted_frames *const f) {
    f->n = 0;
    for (int i = 0; i < d->n_frames; i++)
        if (has_mark(d->frames[i]->short_ref, structure))
            insert_ascending(f, d->frames[i], -d->frames[i]->FrameNumWrap);
}

/* 8.2.4.2.3, 8.2.4.2.4: list 0 has the past, nearest first, then the future; list 1 the other way
 * round. Non-existing frames have no PicOrderCnt when pic_order_cnt_type is 0. */
static void collect_short_term_b(const h264_decoder *const dec, const int structure, const int list,
                                 sorted_frames *const f) {
    const dpb *const d = &dec->dpb;
    const int32_t poc = h264_field_poc(dec->cur, structure);
    sorted_frames near = {.n = 0}, far = {.n = 0};
    for (int i = 0; i < d->n_frames; i++) {
        picture *const pic = d->frames[i];
        if (!has_mark(pic->short_ref, structure) ||
            (pic->non_existing && dec->active_sps.pic_order_cnt_type == 0))
            continue;
        // a first field is in the list of its second field by its own PicOrderCnt: (8-1) minds
        // fields_decoded
        const int32_t entry_poc =
            pic == dec->cur ? h264_field_poc(pic, FRAME ^ structure) : pic->PicOrderCnt;
        const bool past = structure == FRAME ? entry_poc < poc : entry_poc <= poc;
        insert_ascending(past == (list == 0) ? &near : &far, pic, past ? -entry_poc : entry_poc);
    }
    *f = near;
    for (int i = 0; i < far.n; i++, f->n++)
        f->pic[f->n] = far.pic[i];
}

static ref_entry entry_of(picture *const pic, const int structure, const bool long_term) {
    return (ref_entry){.pic = pic,
                       .structure = structure,
                       .poc = h264_field_poc(pic, structure),
                       .long_term = long_term};
}

static int append_frames(ref_entry *const list, int n, const sorted_frames *const f,
                         const bool long_term) {
    for (int i = 0; i < f->n && n < MAX_REFS; i++)
        list[n++] = entry_of(f->pic[i], FRAME, long_term);
    return n;
}

static int next_with_field(const sorted_frames *const f, int i, const int parity,
                           const bool long_term) {
    while (i < f->n && !((long_term ? f->pic[i]->long_ref : f->pic[i]->short_ref) & parity))
        i++;
    return i;
}

/* 8.2.4.2.5: fields alternate in parity, beginning with that of the current field, as long as both
 * kinds last. */
static int append_fields(ref_entry *const list, int n, const sorted_frames *const f,
                         const int current_parity, const bool long_term) {
    int parity = current_parity;
    int at[3] = {0, next_with_field(f, 0, TOP_FIELD, long_term),
                 next_with_field(f, 0, BOTTOM_FIELD, long_term)};
    while ((at[TOP_FIELD] < f->n || at[BOTTOM_FIELD] < f->n) && n < MAX_REFS) {
        if (at[parity] >= f->n)
            parity ^= FRAME;
        list[n++] = entry_of(f->pic[at[parity]], parity, long_term);
        at[parity] = next_with_field(f, at[parity] + 1, parity, long_term);
        if (at[parity ^ FRAME] < f->n)
            parity ^= FRAME;
    }
    return n;
}

static int append(ref_entry *const list, const int n, const sorted_frames *const f,
                  const int structure, const bool long_term) {
    return structure == FRAME ? append_frames(list, n, f, long_term)
                              : append_fields(list, n, f, structure, long_term);
}

/* 8.2.4.2: returns the number of entries */
static int initial_list(const h264_decoder *const dec, const int list,
                        ref_entry entries[MAX_REFS]) {
    const slice_header *const h = &dec->slice.hdr;
    sorted_frames f;
    if (h->slice_type == SLICE_B)
        collect_short_term_b(dec, h->structure, list, &f);
    else
        collect_short_term_p(&dec->dpb, h->structure, &f);
    const int n = append(entries, 0, &f, h->structure, false);
    collect_long_term(&dec->dpb, h->structure, &f);
    return append(entries, n, &f, h->structure, true);
}

static bool same_entry(const ref_entry *const a, const ref_entry *const b) {
    return a->pic == b->pic && a->structure == b->structure;
}

/* 8.2.4.2.3: a list 1 of more than one entry that equals list 0 has its first two exchanged. */
static void differ_from_list0(const ref_entry *const list0, const int n0, ref_entry *const list1,
                              const int n1) {
    if (n1 < 2 || n0 != n1)
        return;
    for (int i = 0; i < n1; i++)
        if (!same_entry(&list0[i], &list1[i]))
            return;
    const ref_entry first = list1[0];
    list1[0] = list1[1];
    list1[1] = first;
}

// ------------------------------------------------------------------------------------ substitution

static int64_t distance(const picture *const a, const picture *const b) {
    const int64_t d = (int64_t)a->PicOrderCnt - b->PicOrderCnt;
    return d < 0 ? -d : d;
}

/* A frame to stand in for one that is missing: that of the buffer nearest in output order, rather
 * one that was decoded; else a mid-grey one. */
static picture *substitute(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    picture *best = NULL;
    for (int i = 0; i < dec->dpb.n_frames; i++) {
        picture *const pic = dec->dpb.frames[i];
        if (pic == dec->cur)
            continue;
        if (best == NULL || (best->non_existing && !pic->non_existing) ||
            (best->non_existing == pic->non_existing &&
             distance(pic, dec->cur) < distance(best, dec->cur)))
            best = pic;
    }
    if (best != NULL)
        return best;
    if (s->substitute == NULL) {
        s->substitute = h264_picture_get(dec);
        if (s->substitute == NULL)
            return NULL;
        s->substitute->locked = s->substitute->non_existing = true;
        s->substitute->fields_decoded = FRAME;
        h264_picture_copy_samples(dec, s->substitute, NULL);
    }
    return s->substitute;
}

static int fill_missing(h264_decoder *const dec, ref_entry *const list, const int n) {
    for (int i = 0; i < n; i++) {
        if (list[i].pic != NULL) {
            list[i].missing = list[i].pic->non_existing;
            continue;
        }
        picture *const pic = substitute(dec);
        if (pic == NULL)
            return H264_NOMEM;
        list[i] = entry_of(pic, dec->slice.hdr.structure, false);
        list[i].missing = true;
    }
    return H264_OK;
}

// ------------------------------------------------------------------------------------ modification

/* The short-term picture with this picNumLX (8.2.4.1), or with this LongTermPicNum; pic is NULL
 * when there is none. */
static ref_entry find_picture(const h264_decoder *const dec, const int num, const bool long_term) {
    const int structure = dec->slice.hdr.structure;
    for (int i = 0; i < dec->dpb.n_frames; i++) {
        picture *const pic = dec->dpb.frames[i];
        const int marks = long_term ? pic->long_ref : pic->short_ref;
        const int frame = long_term ? pic->LongTermFrameIdx : pic->FrameNumWrap;
        if (structure == FRAME && marks == FRAME && frame == num)
            return entry_of(pic, FRAME, long_term);
        if (structure == FRAME)
            continue;
        if (marks & structure && 2 * frame + 1 == num)
            return entry_of(pic, structure, long_term);
        if (marks & (structure ^ FRAME) && 2 * frame == num)
            return entry_of(pic, structure ^ FRAME, long_term);
    }
    return (ref_entry){.pic = NULL, .long_term = long_term};
}

/* (8-37), (8-38): the entry goes to position `at`, what follows moves on, and its old place closes
 * up. */
static void move_to(ref_entry *const list, const int n, const int at,
                    const ref_entry *const entry) {
    ref_entry moved = *entry;
    for (int i = at; i < n; i++) {
        const ref_entry next = list[i];
        list[i] = moved;
        if (entry->pic != NULL && next.pic == entry->pic && next.structure == entry->structure)
            return;
        moved = next;
    }
}

/* 8.2.4.3 */
static void modify_list(h264_decoder *const dec, const int list, ref_entry *const entries) {
    const slice_header *const h = &dec->slice.hdr;
    const int MaxFrameNum = 1 << dec->active_sps.log2_max_frame_num;
    const int MaxPicNum = h->field_pic_flag ? 2 * MaxFrameNum : MaxFrameNum;
    const int CurrPicNum = h->field_pic_flag ? 2 * h->frame_num + 1 : h->frame_num;
    int picNumPred = CurrPicNum;
    for (int i = 0; i < h->n_mods[list]; i++) {
        const ref_list_mod *const mod = &h->mods[list][i];
        ref_entry entry;
        if (mod->idc == 2) {
            entry = find_picture(dec, (int)mod->value, true);
        } else {
            const int diff = (int)mod->value + 1;
            picNumPred += mod->idc == 0 ? -diff : diff; // (8-34), (8-35)
            if (picNumPred < 0)
                picNumPred += MaxPicNum;
            else if (picNumPred >= MaxPicNum)
                picNumPred -= MaxPicNum;
            entry = find_picture(dec, picNumPred > CurrPicNum ? picNumPred - MaxPicNum : picNumPred,
                                 false);
        }
        move_to(entries, h->num_ref_idx_active[list], i, &entry);
    }
}

/* 8.4.2.1: in MBAFF frames field macroblocks see each frame as two fields, that of their own parity
 * first. */
static void field_lists(slice_ctx *const c) {
    for (int parity = 0; parity < 2; parity++) {
        for (int list = 0; list < 2; list++) {
            for (int i = 0; i < c->hdr.num_ref_idx_active[list]; i++) {
                const ref_entry *const frame = &c->RefPicList[list][i];
                const int same = parity ? BOTTOM_FIELD : TOP_FIELD;
                for (int k = 0; k < 2; k++) {
                    ref_entry *const field = &c->field_list[parity][list][2 * i + k];
                    *field = entry_of(frame->pic, k ? same ^ FRAME : same, frame->long_term);
                    field->missing = frame->missing;
                }
            }
        }
    }
}

int h264_ref_lists(h264_decoder *const dec) {
    slice_ctx *const c = &dec->slice;
    const slice_header *const h = &c->hdr;
    ref_entry initial[2][MAX_REFS];
    int n[2] = {0, 0};
    if (h->num_ref_idx_active[0] == 0)
        return H264_OK;
    h264_frame_num_wrap(dec, h->frame_num);
    for (int list = 0; list < 2 && h->num_ref_idx_active[list] > 0; list++)
        n[list] = initial_list(dec, list, initial[list]);
    differ_from_list0(initial[0], n[0], initial[1], n[1]);
    for (int list = 0; list < 2; list++) {
        const int active = h->num_ref_idx_active[list];
        ref_entry *const entries = c->RefPicList[list];
        for (int i = 0; i < active; i++)
            entries[i] = i < n[list] ? initial[list][i] : (ref_entry){.pic = NULL};
        modify_list(dec, list, entries);
        if (fill_missing(dec, entries, active) < 0)
            return h264_error(dec, H264_NOMEM, "no memory for a reference frame");
    }
    if (h->MbaffFrameFlag)
        field_lists(c);
    return H264_OK;
}
