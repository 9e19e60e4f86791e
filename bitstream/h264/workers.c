/* Several pictures decoded at the same time: internal.h, Note [Pictures side by side].
 *
 * There are as many threads as settings.threads says, and twice as many places, each with what one
 * picture needs: an h264_decoder of its own, its layer, and the slices that have come for it. The
 * caller's thread parses headers and hands slices over as they come; a thread takes the oldest
 * picture that nobody has, decodes its slices one after the other, and ends it when it is told that
 * no more will come. It waits for nothing but rows of pictures that were taken before, so that the
 * oldest one always goes on, whatever is missing or broken. (Twice as many, because pictures take
 * unequal time and leave in order: with as many, threads were without work a third of the time.)
 *
 * What the caller's thread sees of a picture is taken over when its place is needed again, when a
 * frame is handed out that was queued after it, or where all must be waited for: never at a moment
 * that depends on time. So the same frames come in the same order with the same counts, and buffers
 * are used again in the same order too. Until then nobody else uses the pictures that it reads
 * (picture.users).
 *
 * Not given away: small pictures (H264_SMALL_PICTURE), pictures of sequences with fields, separate
 * colour planes or the Extended profile, and the rest of a picture from a slice on that is
 * redundant or has slice groups: these the caller decodes. */
#include <stdlib.h>

#include "../coding/memory.h"
#include "stream.h"

enum {
    MAX_ORDERS = 8, // slices and the like that may wait in a place
};

// What is to be done with a picture
typedef struct order {
    enum {
        BEGIN,
        SLICE,
        END
    } what;
    // SLICE
    rbsp_buffer rbsp;
    bits b; // in it
    slice_header hdr;
    pps pps; // as activated
    int slice_num;
    ref_entry RefPicList[2][MAX_REFS];
    picture *latest; // END: for h264_end_slices()
} order;

typedef struct place {
    h264_decoder layer;
    uint32_t geometry; // that layer.mb is allocated for
    // guarded by workers.progress.lock
    order orders[MAX_ORDERS]; // a ring; the caller fills what is not in use
    int first, n_orders;
    bool left; // the caller goes on with the picture himself
    bool empty;
    // of the caller's thread: pictures that are used
    picture *held[MAX_PICTURES];
    int n_held;
} place;

typedef struct workers {
    progress progress;
    thread_signal came, done; // orders
    int taken;                // pictures that a thread has, or had; guarded
    bool stop;                // guarded
    // What the caller waits for: a place with so many orders left, or with none and empty. He is
    // woken up for nothing less: he would take a core from a thread. Guarded
    const place *awaited; // NULL: he does not wait
    int awaited_orders;
    bool awaited_empty;
    // of the caller's thread
    unsigned long process;
    place *open;          // of the current picture
    int begun, collected; // pictures, from the beginning
    int n_threads, n_places;
    thread threads[H264_MAX_THREADS];
    place places[];
} workers;

// ------------------------------------------------------------------------------ in their threads

static void carry_out(h264_decoder *const layer, order *const o) {
    slice_ctx *const s = &layer->slice;
    if (o->what == BEGIN) {
        h264_begin_slices(layer);
    } else if (o->what == END) {
        h264_end_slices(layer, o->latest);
    } else {
        layer->active_pps = o->pps;
        s->hdr = o->hdr;
        s->b = o->b;
        s->slice_num = o->slice_num;
        for (int list = 0; list < 2; list++)
            memcpy(s->RefPicList[list], o->RefPicList[list],
                   (size_t)o->hdr.num_ref_idx_active[list] * sizeof o->RefPicList[list][0]);
        h264_decode_slice(layer);
    }
}

static bool has_come(const workers *const ws, const place *const p) {
    return p->n_orders <= ws->awaited_orders && (p->empty || !ws->awaited_empty);
}

// One picture to its end. The lock is held but while an order is carried out.
static void decode_picture(workers *const ws, place *const p) {
    while (!p->empty) {
        while (p->n_orders == 0 && !p->left)
            thread_signal_wait(&ws->came, &ws->progress.lock);
        if (p->n_orders > 0) {
            order *const o = &p->orders[p->first];
            thread_lock_give(&ws->progress.lock);
            carry_out(&p->layer, o);
            thread_lock_take(&ws->progress.lock);
            p->first = (p->first + 1) % MAX_ORDERS;
            p->n_orders--;
            p->empty = o->what == END;
        } else {
            p->empty = true;
        }
        if (ws->awaited == p && has_come(ws, p))
            thread_signal_all(&ws->done);
    }
}

static void work(void *const argument) {
    workers *const ws = argument;
    thread_lock_take(&ws->progress.lock);
    for (;;) {
        while (ws->taken == ws->begun && !ws->stop)
            thread_signal_wait(&ws->came, &ws->progress.lock);
        if (ws->taken == ws->begun)
            break;
        decode_picture(ws, &ws->places[ws->taken++ % ws->n_places]);
    }
    thread_lock_give(&ws->progress.lock);
}

// ------------------------------------------------------------------------- in the caller's thread

// Waits until no more than n orders are left in a place. The lock is held.
static void wait_for_place(workers *const ws, const place *const p, const int n, const bool empty) {
    ws->awaited_orders = n;
    ws->awaited_empty = empty;
    ws->awaited = p;
    while (!has_come(ws, p))
        thread_signal_wait(&ws->done, &ws->progress.lock);
    ws->awaited = NULL;
}

// The same; returns where the next one goes.
static order *wait_for_orders(workers *const ws, place *const p, const int n) {
    thread_lock_take(&ws->progress.lock);
    if (p->n_orders > n)
        thread_signal_all(&ws->came); // of those left some may have woken up nobody
    wait_for_place(ws, p, n, false);
    order *const next = &p->orders[(p->first + p->n_orders) % MAX_ORDERS];
    thread_lock_give(&ws->progress.lock);
    return next;
}

// The place of the next order. Nobody else looks at it before give_order().
static order *next_order(workers *const ws, place *const p) {
    return wait_for_orders(ws, p, MAX_ORDERS - 1);
}

// One that beginning alone would wake up would have to wait for a slice.
static void give_order(workers *const ws, place *const p, const bool wakes) {
    thread_lock_take(&ws->progress.lock);
    p->n_orders++;
    if (wakes)
        thread_signal_all(&ws->came);
    thread_lock_give(&ws->progress.lock);
}

static void hold(place *const p, picture *const pic) {
    for (int i = 0; i < p->n_held; i++)
        if (p->held[i] == pic)
            return;
    p->held[p->n_held++] = pic;
    pic->users++;
}

// The oldest picture not collected: waits for it, and takes over what was counted.
static void collect(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    workers *const ws = s->workers;
    place *const p = &ws->places[ws->collected % ws->n_places];
    thread_lock_take(&ws->progress.lock);
    wait_for_place(ws, p, 0, true);
    thread_lock_give(&ws->progress.lock);
    ws->collected++;
    for (int k = 0; k < H264_N_WARNINGS; k++) {
        const uint64_t n = p->layer.warnings[k];
        p->layer.warnings[k] = 0;
        dec->warnings[k] += n;
        for (int i = 0; i < s->queue_length && n > 0; i++)
            if (s->queue[i]->begun_before >= ws->collected)
                s->queue[i]->warnings[k] += n;
    }
    for (int i = 0; i < p->n_held; i++) {
        p->held[i]->users--;
        h264_picture_release(dec, p->held[i]);
    }
    p->n_held = 0;
}

void h264_workers_wait(h264_decoder *const dec, const int pictures) {
    workers *const ws = dec->stream->workers;
    while (ws != NULL && ws->collected < pictures)
        collect(dec);
}

void h264_workers_wait_for_all(h264_decoder *const dec) {
    h264_workers_wait(dec, h264_workers_begun(dec));
}

int h264_workers_begun(const h264_decoder *const dec) {
    const workers *const ws = dec->stream->workers;
    return ws == NULL ? 0 : ws->begun;
}

bool h264_workers_allow(const h264_decoder *const dec, const int begun_before) {
    const workers *const ws = dec->stream->workers;
    return ws == NULL || ws->collected >= begun_before ||
           ws->begun - begun_before >= ws->n_places - 1;
}

bool h264_workers_have_it(const h264_decoder *const dec) {
    const workers *const ws = dec->stream->workers;
    return ws != NULL && ws->open != NULL;
}

uint64_t h264_workers_warnings(const h264_decoder *const dec, const int warning) {
    workers *const ws = dec->stream->workers;
    uint64_t n = 0;
    for (int i = ws == NULL ? 0 : ws->collected; ws != NULL && i < ws->begun; i++) {
        (void)wait_for_orders(ws, &ws->places[i % ws->n_places], 0);
        n += ws->places[i % ws->n_places].layer.warnings[warning];
    }
    return n;
}

// ---------------------------------------------------------------------------------------- pictures

static workers *hire(const h264_decoder *const dec) {
    const int n = imin(abs(dec->settings.threads), H264_MAX_THREADS);
    workers *const ws = calloc(1, sizeof *ws + 2 * (size_t)n * sizeof ws->places[0]);
    if (ws == NULL)
        return NULL;
    ws->n_places = 2 * n;
    for (int i = 0; i < ws->n_places; i++)
        ws->places[i].empty = true;
    thread_lock_init(&ws->progress.lock);
    thread_signal_init(&ws->progress.moved);
    thread_signal_init(&ws->came);
    thread_signal_init(&ws->done);
    ws->process = thread_process();
    while (ws->n_threads < n && thread_start(&ws->threads[ws->n_threads], work, ws))
        ws->n_threads++;
    return ws;
}

static bool may_have_it(const h264_decoder *const dec) {
    const sps *const s = &dec->active_sps;
    const int threads = dec->settings.threads;
    const bool small = dec->PicWidthInMbs * dec->FrameHeightInMbs < H264_SMALL_PICTURE;
    return (small ? threads < -1 : abs(threads) > 1) && !(dec->settings.how & H264_HEADERS) &&
           s->frame_mbs_only_flag && s->profile_idc != 88 && h264_colour_planes(dec) == 1;
}

// The arrays of a layer. False: no memory.
static bool fit(const h264_decoder *const dec, place *const p) {
    const stream_state *const s = dec->stream;
    h264_decoder *const layer = &p->layer;
    if (layer->mb != NULL && p->geometry == s->geometry)
        return true;
    memory_free(layer->luma_mb);
    layer->mb = layer->luma_mb = h264_new_macroblocks(dec);
    p->geometry = s->geometry;
    return layer->mb != NULL;
}

// What the macroblock layer uses
static void prepare(h264_decoder *const dec, place *const p) {
    h264_decoder *const layer = &p->layer;
    layer->settings = dec->settings;
    layer->active_sps = dec->active_sps;
    layer->k = dec->k;
    memcpy(layer->width, dec->width, sizeof layer->width);
    memcpy(layer->height, dec->height, sizeof layer->height);
    layer->PicWidthInMbs = dec->PicWidthInMbs;
    layer->FrameHeightInMbs = dec->FrameHeightInMbs;
    layer->mb_width_c = dec->mb_width_c;
    layer->mb_height_c = dec->mb_height_c;
    layer->stream = dec->stream;
    layer->progress = dec->progress;
    layer->cur = dec->cur;
    slice_ctx *const s = &layer->slice;
    s->hdr = dec->slice.hdr;
    s->sps = &layer->active_sps;
    s->pps = &layer->active_pps;
    s->pic = dec->cur;
    s->MbToSliceGroupMap = NULL;
    s->residual = &s->b;
    s->mb.inter_counts_as_0 = false;
    s->partitioned = false;
    s->replaces = -1;
}

bool h264_workers_begin(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    if (!may_have_it(dec))
        return false;
    if (s->workers == NULL)
        s->workers = hire(dec);
    workers *const ws = s->workers;
    if (ws == NULL || ws->n_threads == 0)
        return false;
    dec->progress = &ws->progress;
    if (ws->begun - ws->collected == ws->n_places)
        collect(dec);
    place *const p = &ws->places[ws->begun % ws->n_places];
    if (!fit(dec, p))
        return false;
    prepare(dec, p);
    h264_tap_rows_fit(&p->layer);
    h264_rows_begin(dec);
    hold(p, dec->cur);
    next_order(ws, p)->what = BEGIN;
    thread_lock_take(&ws->progress.lock);
    p->left = p->empty = false;
    ws->begun++;
    thread_lock_give(&ws->progress.lock);
    give_order(ws, p, false);
    ws->open = p;
    return true;
}

void h264_workers_slice(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    const slice_ctx *const c = &dec->slice;
    workers *const ws = s->workers;
    place *const p = ws->open;
    order *const o = next_order(ws, p);
    o->what = SLICE;
    const rbsp_buffer old = o->rbsp;
    o->rbsp = s->rbsp; // c->b reads from it
    s->rbsp = old;
    o->b = c->b;
    o->hdr = c->hdr;
    o->pps = dec->active_pps;
    o->slice_num = c->slice_num;
    for (int list = 0; list < 2; list++) {
        for (int i = 0; i < c->hdr.num_ref_idx_active[list]; i++) {
            o->RefPicList[list][i] = c->RefPicList[list][i];
            hold(p, c->RefPicList[list][i].pic);
        }
    }
    give_order(ws, p, true);
}

void h264_workers_end(h264_decoder *const dec, picture *const latest) {
    workers *const ws = dec->stream->workers;
    place *const p = ws->open;
    order *const o = next_order(ws, p);
    o->what = END;
    o->latest = latest;
    if (latest != NULL)
        hold(p, latest);
    give_order(ws, p, true);
    ws->open = NULL;
}

void h264_workers_give_back(h264_decoder *const dec) {
    workers *const ws = dec->stream->workers;
    h264_decoder *const layer = &ws->open->layer;
    (void)wait_for_orders(ws, ws->open, 0);
    thread_lock_take(&ws->progress.lock);
    ws->open->left = true;
    thread_signal_all(&ws->came);
    thread_lock_give(&ws->progress.lock);
    mb_info *const mb = dec->mb;
    dec->mb = dec->luma_mb = layer->mb;
    layer->mb = layer->luma_mb = mb;
    dec->rows = layer->rows;
    dec->broken = layer->broken;
    h264_tap_rows_fit(dec);
    ws->open = NULL;
}

bool h264_workers_lost(const h264_decoder *const dec) {
    const workers *const ws = dec->stream->workers;
    return ws != NULL && ws->process != thread_process();
}

static void dismiss(workers *const ws) {
    thread_lock_take(&ws->progress.lock);
    ws->stop = true;
    thread_signal_all(&ws->came);
    thread_lock_give(&ws->progress.lock);
    for (int i = 0; i < ws->n_threads; i++)
        thread_join(&ws->threads[i]);
    thread_signal_free(&ws->done);
    thread_signal_free(&ws->came);
    thread_signal_free(&ws->progress.moved);
    thread_lock_free(&ws->progress.lock);
}

void h264_workers_free(h264_decoder *const dec) {
    workers *const ws = dec->stream->workers;
    if (ws == NULL)
        return;
    if (!h264_workers_lost(dec)) {
        if (ws->open != NULL) // others may wait for its rows
            h264_workers_end(dec, NULL);
        h264_workers_wait_for_all(dec);
        dismiss(ws);
    }
    for (int i = 0; i < ws->n_places; i++) {
        for (int k = 0; k < MAX_ORDERS; k++)
            free(ws->places[i].orders[k].rbsp.data);
        memory_free(ws->places[i].layer.luma_mb);
        h264_tap_rows_free(&ws->places[i].layer);
    }
    free(ws);
    dec->stream->workers = NULL;
}
