/* 8.2.5 marking of reference pictures with frame_num gaps, and C.4 output order.
 *
 * The buffer holds frames that are reference or wait for output. Frames are output by the bumping
 * process of C.4.5.3, and sooner when max_num_reorder_frames (or its inferred value) says that
 * nothing earlier can come any more: the order is the same. no_output_of_prior_pics_flag is not
 * obeyed: every decoded frame is output. */
#include "stream.h"

// ------------------------------------------------------------------------------------------ buffer

void h264_dpb_size_init(h264_decoder *const dec) {
    const sps *const s = &dec->active_sps;
    dpb *const d = &dec->dpb;
    int size = h264_max_dpb_frames(s);
    // A.3.1 (constraint_set3_flag in profiles without inter prediction): nothing waits
    const bool intra_only =
        s->constraint_flags & 0x10 &&
        (s->profile_idc == 44 || s->profile_idc == 86 || s->profile_idc == 100 ||
         s->profile_idc == 110 || s->profile_idc == 122 || s->profile_idc == 244);
    int reorder = intra_only ? 0 : size;
    if (s->bitstream_restriction_flag) {
        size = s->max_dec_frame_buffering;
        reorder = s->max_num_reorder_frames;
    }
    if (dec->settings.how & H264_PATIENT)
        size = reorder = MAX_DPB_FRAMES;
    if (s->pic_order_cnt_type == 2)
        reorder = 0; // output order is decoding order, 7.4.2.1.1
    d->size = imin(imax(imax(size, s->max_num_ref_frames), 1), MAX_DPB_FRAMES);
    d->reorder = reorder;
}

static void remove_at(h264_decoder *const dec, const int i) {
    dpb *const d = &dec->dpb;
    picture *const pic = d->frames[i];
    d->n_frames--;
    memmove(&d->frames[i], &d->frames[i + 1], (size_t)(d->n_frames - i) * sizeof d->frames[0]);
    pic->in_dpb = false;
    h264_picture_release(dec, pic);
}

static bool open_field(const h264_decoder *const dec, const picture *const pic) {
    return pic == dec->cur; // a first field whose frame is not complete
}

static void remove_unused(h264_decoder *const dec) {
    for (int i = dec->dpb.n_frames - 1; i >= 0; i--) {
        const picture *const pic = dec->dpb.frames[i];
        if (!pic->needed_for_output && !pic->short_ref && !pic->long_ref && !open_field(dec, pic))
            remove_at(dec, i);
    }
}

/* The frame to be output next; -1: none waits. *n_waiting counts them. */
static int first_in_output_order(const h264_decoder *const dec, int *const n_waiting) {
    const dpb *const d = &dec->dpb;
    int first = -1;
    *n_waiting = 0;
    for (int i = 0; i < d->n_frames; i++) {
        if (!d->frames[i]->needed_for_output || open_field(dec, d->frames[i]))
            continue;
        ++*n_waiting;
        if (first < 0 || d->frames[i]->PicOrderCnt < d->frames[first]->PicOrderCnt)
            first = i;
    }
    return first;
}

static void output(h264_decoder *const dec, const int i) {
    stream_state *const s = dec->stream;
    dpb *const d = &dec->dpb;
    picture *const pic = d->frames[i];
    if (pic->PicOrderCnt < d->last_output_poc) {
        d->reorder = d->size; // the stream's max_num_reorder_frames is wrong: trust only the size
                              // of the buffer
        dec->warnings[H264_WARN_LATE_PICTURE]++;
    }
    d->last_output_poc = pic->PicOrderCnt;
    pic->needed_for_output = false;
    pic->queued = true;
    pic->begun_before = h264_workers_begun(dec);
    memcpy(pic->warnings, dec->warnings, sizeof pic->warnings);
    memcpy(pic->encoder_text, dec->encoder_text, strlen(dec->encoder_text) + 1);
    s->queue[s->queue_length++] = pic;
}

/* C.4.5.3: the buffer holds no more than its size, and no more waiting frames than can still be
 * overtaken. */
void h264_dpb_bump(h264_decoder *const dec) {
    dpb *const d = &dec->dpb;
    remove_unused(dec);
    for (;;) {
        int waiting;
        const int first = first_in_output_order(dec, &waiting);
        if (first < 0 || (waiting <= d->reorder && d->n_frames <= d->size))
            return;
        output(dec, first);
        remove_unused(dec);
    }
}

void h264_dpb_insert(h264_decoder *const dec, picture *const pic) {
    dpb *const d = &dec->dpb;
    if (pic->in_dpb)
        return;
    d->frames[d->n_frames++] = pic;
    pic->in_dpb = true;
}

static void unmark_all(h264_decoder *const dec) {
    for (int i = 0; i < dec->dpb.n_frames; i++)
        dec->dpb.frames[i]->short_ref = dec->dpb.frames[i]->long_ref = 0;
}

static void output_all(h264_decoder *const dec) {
    int waiting;
    for (int first; (first = first_in_output_order(dec, &waiting)) >= 0;)
        output(dec, first);
    remove_unused(dec);
    dec->dpb.last_output_poc = INT32_MIN;
}

/* C.4.4: before an IDR picture, and at the end of the stream */
void h264_dpb_empty(h264_decoder *const dec) {
    unmark_all(dec);
    output_all(dec);
    dec->dpb.MaxLongTermFrameIdx = -1;
}

// ----------------------------------------------------------------------------------------- marking

static int count_references(const dpb *const d, const picture *const except) {
    int n = 0;
    for (int i = 0; i < d->n_frames; i++)
        n += d->frames[i] != except && (d->frames[i]->short_ref || d->frames[i]->long_ref);
    return n;
}

/* 8.2.5.3: frees short-term frames, oldest first, until there is room for one more reference frame.
 * A stream that has filled all room with long-term frames loses one of those. `cur`: the picture
 * that the room is for. */
static void sliding_window(h264_decoder *const dec, const picture *const cur, const int frame_num) {
    dpb *const d = &dec->dpb;
    const int max = imax(dec->active_sps.max_num_ref_frames, 1);
    h264_frame_num_wrap(dec, frame_num);
    while (count_references(d, cur) >= max) {
        picture *oldest = NULL;
        for (int i = 0; i < d->n_frames; i++) {
            picture *const pic = d->frames[i];
            if (pic != cur && pic->short_ref &&
                (oldest == NULL || pic->FrameNumWrap < oldest->FrameNumWrap))
                oldest = pic;
        }
        for (int i = 0; oldest == NULL; i++)
            if (d->frames[i] != cur && d->frames[i]->long_ref)
                oldest = d->frames[i];
        oldest->short_ref = oldest->long_ref = 0;
    }
}

typedef struct field_ref {
    picture *pic;
    int structure; // the fields meant
} field_ref;

/* 8.2.5.4.1: the picture with picNumX = CurrPicNum - (difference_of_pic_nums_minus1 + 1) */
static field_ref by_pic_num(const h264_decoder *const dec, const slice_header *const h,
                            const uint32_t diff_minus1) {
    const int CurrPicNum = h->field_pic_flag ? 2 * h->frame_num + 1 : h->frame_num;
    const int picNumX = CurrPicNum - (int)diff_minus1 - 1;
    for (int i = 0; i < dec->dpb.n_frames; i++) {
        picture *const pic = dec->dpb.frames[i];
        if (!h->field_pic_flag) {
            if (pic->short_ref == FRAME && pic->FrameNumWrap == picNumX)
                return (field_ref){pic, FRAME};
            continue;
        }
        if (pic->short_ref & h->structure && 2 * pic->FrameNumWrap + 1 == picNumX)
            return (field_ref){pic, h->structure};
        if (pic->short_ref & (h->structure ^ FRAME) && 2 * pic->FrameNumWrap == picNumX)
            return (field_ref){pic, h->structure ^ FRAME};
    }
    return (field_ref){NULL, 0};
}

/* 8.2.5.4.2: the picture with this LongTermPicNum */
static field_ref by_long_term_pic_num(const h264_decoder *const dec, const slice_header *const h,
                                      const int num) {
    for (int i = 0; i < dec->dpb.n_frames; i++) {
        picture *const pic = dec->dpb.frames[i];
        if (!h->field_pic_flag) {
            if (pic->long_ref == FRAME && pic->LongTermFrameIdx == num)
                return (field_ref){pic, FRAME};
            continue;
        }
        if (pic->long_ref & h->structure && 2 * pic->LongTermFrameIdx + 1 == num)
            return (field_ref){pic, h->structure};
        if (pic->long_ref & (h->structure ^ FRAME) && 2 * pic->LongTermFrameIdx == num)
            return (field_ref){pic, h->structure ^ FRAME};
    }
    return (field_ref){NULL, 0};
}

static void free_long_term_idx(h264_decoder *const dec, const int idx,
                               const picture *const except) {
    for (int i = 0; i < dec->dpb.n_frames; i++) {
        picture *const pic = dec->dpb.frames[i];
        if (pic != except && pic->long_ref && pic->LongTermFrameIdx == idx)
            pic->long_ref = 0;
    }
}

/* Marks fields of `pic` as long-term with this index; another index that its fields may have had is
 * lost. */
static void make_long_term(h264_decoder *const dec, picture *const pic, const int structure,
                           const int idx) {
    free_long_term_idx(dec, idx, pic);
    if (pic->long_ref && pic->LongTermFrameIdx != idx)
        pic->long_ref = 0;
    pic->short_ref &= ~structure;
    pic->long_ref |= structure;
    pic->LongTermFrameIdx = idx;
}

static void limit_long_term(h264_decoder *const dec, const int MaxLongTermFrameIdx) { // 8.2.5.4.4
    dec->dpb.MaxLongTermFrameIdx = MaxLongTermFrameIdx;
    for (int i = 0; i < dec->dpb.n_frames; i++)
        if (dec->dpb.frames[i]->LongTermFrameIdx > MaxLongTermFrameIdx)
            dec->dpb.frames[i]->long_ref = 0;
}

/* 8.2.5.4.5 and the end of 8.2.1: the picture becomes like an IDR picture. */
static void reset_all(h264_decoder *const dec, picture *const cur) {
    unmark_all(dec);
    output_all(dec);
    dec->dpb.MaxLongTermFrameIdx = -1;
    cur->mmco5 = true;
    cur->frame_num = cur->FrameNumWrap = 0;
    const int32_t tempPicOrderCnt = cur->PicOrderCnt;
    if (cur->fields_decoded & TOP_FIELD)
        cur->TopFieldOrderCnt = h264_limit_poc(cur->TopFieldOrderCnt - tempPicOrderCnt);
    if (cur->fields_decoded & BOTTOM_FIELD)
        cur->BottomFieldOrderCnt = h264_limit_poc(cur->BottomFieldOrderCnt - tempPicOrderCnt);
    cur->PicOrderCnt = 0;
    dec->stream->recovery_poc = INT32_MIN;
}

/* 8.2.5.4. Operations that name a picture which is not there do nothing. */
static void memory_management(h264_decoder *const dec, picture *const cur,
                              const slice_header *const h) {
    h264_frame_num_wrap(dec, h->frame_num);
    for (int i = 0; i < h->n_mmco; i++) {
        const mmco_op *const m = &h->mmco[i];
        field_ref ref;
        switch (m->op) {
        case 1:
            ref = by_pic_num(dec, h, m->difference_of_pic_nums_minus1);
            if (ref.pic != NULL)
                ref.pic->short_ref &= ~ref.structure;
            break;
        case 2:
            ref = by_long_term_pic_num(dec, h, (int)m->long_term_pic_num);
            if (ref.pic != NULL)
                ref.pic->long_ref &= ~ref.structure;
            break;
        case 3:
            ref = by_pic_num(dec, h, m->difference_of_pic_nums_minus1);
            if (ref.pic != NULL)
                make_long_term(dec, ref.pic, ref.structure, (int)m->long_term_frame_idx);
            break;
        case 4: limit_long_term(dec, (int)m->max_long_term_frame_idx_plus1 - 1); break;
        case 5: reset_all(dec, cur); break;
        default: // 6
            make_long_term(dec, cur, h->structure, (int)m->long_term_frame_idx);
            break;
        }
    }
}

/* 8.2.5.1, for the field or frame that dec->stream->first describes */
void h264_dpb_mark(h264_decoder *const dec) {
    picture *const cur = dec->cur;
    const slice_header *const h = &dec->stream->first;
    if (h->nal_ref_idc == 0)
        return;
    if (h->IdrPicFlag) {
        if (h->long_term_reference_flag)
            make_long_term(dec, cur, h->structure, 0);
        dec->dpb.MaxLongTermFrameIdx = h->long_term_reference_flag ? 0 : -1;
    } else if (h->adaptive_ref_pic_marking_mode_flag) {
        memory_management(dec, cur, h);
    }
    const bool second_field = (cur->short_ref | cur->long_ref) & (h->structure ^ FRAME);
    if (!second_field || h->adaptive_ref_pic_marking_mode_flag)
        sliding_window(dec, cur,
                       cur->frame_num); // after memory management only if that left no room
    if (!(cur->long_ref & h->structure))
        cur->short_ref |= h->structure;
}

// ---------------------------------------------------------------------------------- frame_num gaps

static int insert_non_existing(h264_decoder *const dec, const int frame_num,
                               const picture *const like) {
    picture *const pic = h264_picture_get(dec);
    if (pic == NULL)
        return H264_NOMEM;
    sliding_window(dec, NULL, frame_num);
    pic->non_existing = pic->is_reference = true;
    pic->frame_num = pic->FrameNumWrap = frame_num;
    pic->fields_decoded = pic->short_ref = FRAME;
    pic->uid = dec->stream->next_artificial_uid--;
    h264_picture_copy_samples(dec, pic, like);
    if (dec->active_sps.pic_order_cnt_type != 0) {
        const slice_header h = {.frame_num = frame_num, .structure = FRAME, .nal_ref_idc = 1};
        h264_poc_decode(dec, pic, &h);
        h264_poc_done(dec, pic, &h);
    } else if (like != NULL) { // only concealment asks: 8.2.1 gives them none
        pic->TopFieldOrderCnt = like->TopFieldOrderCnt;
        pic->BottomFieldOrderCnt = like->BottomFieldOrderCnt;
        pic->PicOrderCnt = like->PicOrderCnt;
    }
    h264_dpb_insert(dec, pic);
    h264_dpb_bump(dec);
    return H264_OK;
}

/* 8.2.5.2. Only the last max_num_ref_frames of the missing frames can still be reference
 * afterwards. They get the samples of the frame before the gap, for streams that refer to them all
 * the same. */
int h264_dpb_fill_gap(h264_decoder *const dec, const slice_header *const h) {
    stream_state *const s = dec->stream;
    const int MaxFrameNum = 1 << dec->active_sps.log2_max_frame_num;
    const int missing = (h->frame_num - s->PrevRefFrameNum - 1 + MaxFrameNum) % MaxFrameNum;
    const int n = imin(missing, imax(dec->active_sps.max_num_ref_frames, 1));
    if (!dec->active_sps.gaps_in_frame_num_value_allowed_flag)
        dec->warnings[H264_WARN_FRAME_NUM_GAP]++;
    for (int i = n; i > 0; i--) {
        const picture *const like =
            dec->dpb.n_frames > 0 ? dec->dpb.frames[dec->dpb.n_frames - 1] : NULL;
        const int rc =
            insert_non_existing(dec, (h->frame_num - i + MaxFrameNum) % MaxFrameNum, like);
        if (rc < 0)
            return h264_error(dec, rc, "no memory for a frame");
    }
    s->PrevRefFrameNum = (h->frame_num - 1 + MaxFrameNum) % MaxFrameNum;
    return H264_OK;
}
