/* The public functions of h264.h: packets in, frames out. What a NAL unit does is decoder.c's
 * business. */
#include <stdlib.h>

#include "stream.h"

enum {
    DEFAULT_MAX_PIXELS = 36864 * 256
};

// ----------------------------------------------------------------------------------------- packets

/* Decodes NAL units from *pos on until a frame is queued or the packet ends. *usable counts those
 * that were any good. */
static void decode_packet(h264_decoder *const dec, const uint8_t *const data, const size_t size,
                          size_t *const pos, size_t *const usable) {
    stream_state *const s = dec->stream;
    const int before = s->queue_length;
    const uint8_t *unit;
    size_t unit_size;
    while (s->queue_length == before && s->failure == 0 &&
           h264_nal_next(dec, data, size, pos, &unit, &unit_size)) {
        nal_unit nal;
        int rc = h264_nal_parse(dec, unit, unit_size, &nal);
        if (rc == H264_OK)
            rc = h264_decode_nal(dec, &nal);
        *usable += rc == H264_OK;
        if (rc == H264_UNSUPPORTED || rc == H264_NOMEM) {
            s->failure = rc;
            s->partitions[0].present = false;
            h264_end_sequence(dec);
        }
    }
    s->nal_unit_type = 0;
}

static bool has_rest(const stream_state *const s) {
    return s->rest_pos < s->rest_size;
}

/* Is there a frame to hand out? With workers it may have to wait for others to be begun. */
static bool frame_waits(const h264_decoder *const dec) {
    const stream_state *const s = dec->stream;
    return s->queue_length > 0 && (s->failure != 0 || (s->flushing && !has_rest(s)) ||
                                   h264_workers_allow(dec, s->queue[0]->begun_before));
}

static void decode_rest(h264_decoder *const dec) {
    stream_state *const s = dec->stream;
    size_t usable = 0;
    while (has_rest(s) && !frame_waits(dec)) {
        decode_packet(dec, s->rest, s->rest_size, &s->rest_pos, &usable);
        if (s->failure != 0)
            s->rest_pos = s->rest_size;
    }
    if (s->flushing && !has_rest(s) && s->queue_length == 0) {
        (void)h264_decode_partitions(dec); // the end of the stream is near anyway
        h264_end_sequence(dec);
    }
}

static int keep_rest(h264_decoder *const dec, const uint8_t *const data, const size_t size) {
    stream_state *const s = dec->stream;
    if (s->rest_capacity < size) {
        uint8_t *const grown = realloc(s->rest, size);
        if (grown == NULL)
            return s->failure =
                       h264_error(dec, H264_NOMEM, "no memory for a packet of %zu bytes", size);
        s->rest = grown;
        s->rest_capacity = size;
    }
    if (size > 0)
        memcpy(s->rest, data, size);
    s->rest_pos = 0;
    s->rest_size = size;
    return H264_OK;
}

static int other_process(h264_decoder *const dec) {
    return h264_error(dec, H264_BADARG, "a decoder with threads does not cross a fork");
}

static void unlock_lent(h264_decoder *const dec) {
    picture *const pic = dec->stream->lent;
    dec->stream->lent = NULL;
    if (pic != NULL) {
        pic->locked = false;
        h264_picture_release(dec, pic);
    }
}

// -------------------------------------------------------------------------------------- public API

int h264_open(h264_decoder **const out, const h264_settings *const settings) {
    if (out == NULL || settings == NULL)
        return H264_BADARG;
    *out = NULL;
    h264_decoder *const dec = calloc(1, sizeof *dec);
    if (dec == NULL)
        return H264_NOMEM;
    dec->stream = calloc(1, sizeof *dec->stream);
    if (dec->stream == NULL) {
        free(dec);
        return H264_NOMEM;
    }
    dec->settings = *settings;
    if (dec->settings.max_pixels == 0)
        dec->settings.max_pixels = DEFAULT_MAX_PIXELS;
    dec->stream->next_artificial_uid = -2;
    dec->dpb.MaxLongTermFrameIdx = -1;
    dec->dpb.last_output_poc = INT32_MIN;
    *out = dec;
    return H264_OK;
}

static int avcc_record(h264_decoder *const dec, const uint8_t *const data, const size_t size) {
    size_t pos = 5;
    for (int kind = 0; kind < 2; kind++) { // SPS, then PPS
        if (pos >= size)
            return h264_error(dec, H264_CORRUPT, "avcC record is cut off");
        const int count = kind == 0 ? data[pos] & 31 : data[pos];
        pos++;
        for (int i = 0; i < count; i++) {
            if (size - pos < 2 || (size_t)(data[pos] << 8 | data[pos + 1]) > size - pos - 2)
                return h264_error(dec, H264_CORRUPT, "avcC record is cut off");
            const size_t length = (size_t)(data[pos] << 8 | data[pos + 1]);
            nal_unit nal;
            int rc = h264_nal_parse(dec, data + pos + 2, length, &nal);
            if (rc == H264_OK && (nal.nal_unit_type == NAL_SPS || nal.nal_unit_type == NAL_PPS))
                rc = h264_decode_nal(dec, &nal);
            dec->stream->nal_unit_type = 0;
            dec->stream->unit_bytes = 0; // of no access unit
            if (rc == H264_NOMEM)
                return rc;
            pos += 2 + length;
        }
    }
    return H264_OK;
}

int h264_set_extradata(h264_decoder *const dec, const uint8_t *const data, const size_t size) {
    if (dec == NULL || (data == NULL && size > 0))
        return H264_BADARG;
    if (size >= 7 && data[0] == 1) { // configurationVersion
        dec->nal_length_size = (data[4] & 3) + 1;
        return avcc_record(dec, data, size);
    }
    dec->nal_length_size = 0;
    size_t pos = 0, usable = 0;
    decode_packet(dec, data, size, &pos, &usable);
    dec->stream->unit_bytes = 0; // of no access unit
    if (dec->stream->failure != 0)
        return dec->stream->failure;
    return usable > 0 || size == 0
               ? H264_OK
               : h264_error(dec, H264_CORRUPT, "no parameter sets in the extradata");
}

int h264_send(h264_decoder *const dec, const uint8_t *const data, const size_t size,
              const int64_t pts) {
    if (dec == NULL || (data == NULL && size > 0))
        return H264_BADARG;
    stream_state *const s = dec->stream;
    unlock_lent(dec);
    if (h264_workers_lost(dec))
        return other_process(dec);
    if (s->failure != 0)
        return s->failure;
    decode_rest(dec); // the packet before, and the end of the stream before, come first
    if (frame_waits(dec))
        return H264_AGAIN;
    if (size == 0)
        return H264_OK;
    s->flushing = false;
    s->pts = pts;
    s->unit_boundary |= (dec->settings.how & H264_UNITS) != 0;
    dec->error_text[0] = 0;
    size_t pos = 0, usable = 0;
    decode_packet(dec, data, size, &pos, &usable);
    if (s->failure != 0)
        return s->failure;
    if (pos < size)
        return keep_rest(dec, data + pos, size - pos);
    if (usable == 0) {
        if (dec->error_text[0] == 0)
            h264_error(dec, H264_CORRUPT, "no NAL unit in %zu bytes", size);
        return H264_CORRUPT;
    }
    return H264_OK;
}

int h264_flush(h264_decoder *const dec) {
    if (dec == NULL)
        return H264_BADARG;
    unlock_lent(dec);
    if (h264_workers_lost(dec))
        return other_process(dec);
    dec->stream->flushing = true;
    decode_rest(dec);
    return H264_OK;
}

int h264_receive(h264_decoder *const dec, h264_frame *const frame) {
    if (dec == NULL || frame == NULL)
        return H264_BADARG;
    stream_state *const s = dec->stream;
    unlock_lent(dec);
    if (h264_workers_lost(dec))
        return other_process(dec);
    decode_rest(dec);
    if (frame_waits(dec)) {
        picture *const pic = s->queue[0];
        h264_workers_wait(dec, pic->begun_before);
        memmove(&s->queue[0], &s->queue[1], (size_t)--s->queue_length * sizeof s->queue[0]);
        pic->queued = false;
        pic->locked = true;
        s->lent = pic;
        h264_frame_fill(pic, frame);
        return H264_OK;
    }
    if (s->failure != 0)
        return s->failure;
    return s->flushing ? H264_END : H264_AGAIN;
}

void *h264_take_taps(h264_decoder *const dec) {
    picture *const pic = dec == NULL ? NULL : dec->stream->lent;
    return pic == NULL ? NULL : h264_taps_take(pic);
}

uint64_t h264_warning_count(const h264_decoder *const dec, const int warning) {
    if (dec == NULL || warning < 0 || warning >= H264_N_WARNINGS)
        return 0;
    if (dec->stream->lent != NULL)
        return dec->stream->lent->warnings[warning];
    return dec->warnings[warning] + h264_workers_warnings(dec, warning);
}

void h264_close(h264_decoder *const dec) {
    if (dec == NULL)
        return;
    h264_workers_free(dec);
    for (int i = 0; i < MAX_PPS; i++)
        free(dec->stream->pps[i].slice_group_id);
    free(dec->active_pps.slice_group_id);
    h264_pictures_free(dec);
    free(dec->stream->rbsp.data);
    for (int i = 0; i < 3; i++)
        free(dec->stream->partitions[i].rbsp);
    free(dec->stream->rest);
    free(dec->stream);
    free(dec);
}
