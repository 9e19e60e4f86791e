/* How far pictures are that other threads decode: Note [Pictures side by side]. */
#include "internal.h"

enum {
    NOBODY = INT_MAX // picture.awaited
};

/* Who has to wait waits for a part of the picture more: else he would have to again soon. */
void h264_await_rows(const h264_decoder *const dec, picture *const pic, const int rows) {
    const int wanted = imin(rows + dec->height[0] / 6, imax(rows, dec->height[0]));
    progress *const p = dec->progress;
    thread_lock_take(&p->lock);
    while (shared_load(&pic->ready) < wanted) {
        pic->awaited = imin(pic->awaited, wanted);
        thread_signal_wait(&p->moved, &p->lock);
    }
    thread_lock_give(&p->lock);
}

void h264_rows_begin(const h264_decoder *const dec) {
    dec->cur->awaited = NOBODY;
    shared_store(&dec->cur->ready, 0);
}

void h264_rows_ready(const h264_decoder *const dec, const int rows) {
    progress *const p = dec->progress;
    if (p == NULL || shared_load(&dec->cur->ready) >= rows)
        return;
    thread_lock_take(&p->lock);
    shared_store(&dec->cur->ready, rows);
    if (dec->cur->awaited <= rows) { // to wake up threads for nothing costs both sides
        dec->cur->awaited = NOBODY;
        thread_signal_all(&p->moved);
    }
    thread_lock_give(&p->lock);
}
