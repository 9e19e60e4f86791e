/* C.5.2: the decoded picture buffer in its output order ("bumping"). */
#include "internal.h"

static int waiting(const hevc_decoder *const dec) {
    int n = 0;
    for (int i = 0; i < dec->n_dpb; i++)
        n += dec->dpb[i]->needed_for_output;
    return n;
}

static void remove_unneeded(hevc_decoder *const dec) {
    int n = 0;
    for (int i = 0; i < dec->n_dpb; i++) {
        picture *const pic = dec->dpb[i];
        if (pic->needed_for_output || pic->reference != UNUSED || pic->current) {
            dec->dpb[n++] = pic;
        } else {
            pic->in_dpb = false;
            hevc_picture_release(dec, pic);
        }
    }
    dec->n_dpb = n;
}

// C.5.2.4
static void bump(hevc_decoder *const dec) {
    picture *first = NULL;
    for (int i = 0; i < dec->n_dpb; i++) {
        picture *const pic = dec->dpb[i];
        if (pic->needed_for_output && (first == NULL || pic->poc < first->poc))
            first = pic;
    }
    if (first == NULL)
        return;
    first->needed_for_output = false;
    first->queued = true;
    dec->queue[dec->queue_length++] = first;
    remove_unneeded(dec);
}

// How many frames may wait for others
static int most_waiting(const hevc_decoder *const dec) {
    return dec->settings.how & HEVC_PATIENT ? MAX_REFS : dec->active_sps.max_num_reorder_pics;
}

static bool too_late(const hevc_decoder *const dec) {
    const sps *const s = &dec->active_sps;
    if (s->max_latency_increase_plus1 == 0 || dec->settings.how & HEVC_PATIENT)
        return false;
    const int most = s->max_num_reorder_pics + s->max_latency_increase_plus1 - 1;
    for (int i = 0; i < dec->n_dpb; i++)
        if (dec->dpb[i]->needed_for_output && dec->dpb[i]->latency >= most)
            return true;
    return false;
}

void hevc_dpb_flush(hevc_decoder *const dec, const bool output) {
    for (int i = 0; i < dec->n_dpb; i++) {
        dec->dpb[i]->reference = UNUSED;
        if (!output)
            dec->dpb[i]->needed_for_output = false;
    }
    remove_unneeded(dec);
    while (waiting(dec) > 0)
        bump(dec);
    remove_unneeded(dec);
}

void hevc_dpb_before(hevc_decoder *const dec) {
    const int size =
        dec->settings.how & HEVC_PATIENT ? MAX_PICTURES / 2 : dec->active_sps.max_dec_pic_buffering;
    remove_unneeded(dec);
    while (waiting(dec) > 0 &&
           (waiting(dec) > most_waiting(dec) || too_late(dec) || dec->n_dpb >= size))
        bump(dec);
}

void hevc_dpb_after(hevc_decoder *const dec) {
    picture *const pic = dec->cur;
    if (pic->needed_for_output) {
        for (int i = 0; i < dec->n_dpb; i++)
            if (dec->dpb[i] != pic && dec->dpb[i]->needed_for_output)
                dec->dpb[i]->latency++;
        pic->latency = 0;
    }
    while (waiting(dec) > most_waiting(dec) || too_late(dec))
        bump(dec);
}
