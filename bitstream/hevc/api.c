/* The public functions of hevc.h: packets in, frames out. */
#include <stdlib.h>

#include "internal.h"

enum {
    DEFAULT_MAX_PIXELS = 35651584 // MaxLumaPs of level 6.2
};

// Units before a picture are of the access unit that it begins; those of a discarded one of none.
static void count_bytes(hevc_decoder *const dec) {
    if (dec->cur != NULL)
        dec->cur->bytes += dec->pending_bytes;
    dec->pending_bytes = 0;
}

/* Decodes NAL units from *pos on until a frame is ready or the packet ends. *usable counts those
 * that were any good. */
static void decode_packet(hevc_decoder *const dec, const uint8_t *const data, const size_t size,
                          size_t *const pos, size_t *const usable) {
    const uint8_t *unit;
    size_t unit_size;
    while (dec->queue_length == 0 && dec->failure == 0 &&
           hevc_nal_next(dec, data, size, pos, &unit, &unit_size)) {
        nal_unit nal;
        int rc = hevc_nal_parse(dec, unit, unit_size, &nal);
        dec->pending_bytes += (uint32_t)unit_size;
        if (rc == HEVC_OK && hevc_ends_access_unit(nal.nal_unit_type))
            count_bytes(dec); // now: it may end the picture
        if (rc == HEVC_OK)
            rc = hevc_decode_nal(dec, &nal);
        if (dec->cur != NULL || (rc == HEVC_OK && nal.nal_unit_type < NAL_VPS))
            count_bytes(dec);
        *usable += rc == HEVC_OK;
        if (rc == HEVC_UNSUPPORTED || rc == HEVC_NOMEM) {
            dec->failure = rc;
            hevc_end_sequence(dec);
        }
    }
    dec->nal_unit_type = -1;
}

static void decode_rest(hevc_decoder *const dec) {
    size_t usable = 0;
    if (dec->rest_pos < dec->rest_size)
        decode_packet(dec, dec->rest, dec->rest_size, &dec->rest_pos, &usable);
    if (dec->failure != 0)
        dec->rest_pos = dec->rest_size;
    if (dec->flushing && dec->rest_pos >= dec->rest_size && dec->queue_length == 0)
        hevc_end_sequence(dec);
}

static int keep_rest(hevc_decoder *const dec, const uint8_t *const data, const size_t size) {
    if (dec->rest_capacity < size) {
        uint8_t *const grown = realloc(dec->rest, size);
        if (grown == NULL)
            return dec->failure =
                       hevc_error(dec, HEVC_NOMEM, "no memory for a packet of %zu bytes", size);
        dec->rest = grown;
        dec->rest_capacity = size;
    }
    memcpy(dec->rest, data, size);
    dec->rest_pos = 0;
    dec->rest_size = size;
    return HEVC_OK;
}

static void unlock_lent(hevc_decoder *const dec) {
    picture *const pic = dec->lent;
    dec->lent = NULL;
    if (pic != NULL) {
        pic->locked = false;
        hevc_picture_release(dec, pic);
    }
}

int hevc_open(hevc_decoder **const out, const hevc_settings *const settings) {
    if (out == NULL || settings == NULL)
        return HEVC_BADARG;
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return HEVC_NOMEM;
    (*out)->settings = *settings;
    if (settings->max_pixels == 0)
        (*out)->settings.max_pixels = DEFAULT_MAX_PIXELS;
    (*out)->nal_unit_type = -1;
    return HEVC_OK;
}

/* ISO/IEC 14496-15, 8.3.3.1 */
static int hvcc_record(hevc_decoder *const dec, const uint8_t *const data, const size_t size) {
    size_t pos = 23;
    for (int array = data[22]; array > 0; array--) {
        if (size - pos < 3 || pos > size)
            return hevc_error(dec, HEVC_CORRUPT, "hvcC record is cut off");
        int count = data[pos + 1] << 8 | data[pos + 2];
        pos += 3;
        for (; count > 0; count--) {
            if (size - pos < 2 || (size_t)(data[pos] << 8 | data[pos + 1]) > size - pos - 2)
                return hevc_error(dec, HEVC_CORRUPT, "hvcC record is cut off");
            const size_t length = (size_t)(data[pos] << 8 | data[pos + 1]);
            nal_unit nal;
            int rc = hevc_nal_parse(dec, data + pos + 2, length, &nal);
            if (rc == HEVC_OK && nal.nal_unit_type >= NAL_VPS)
                rc = hevc_decode_nal(dec, &nal);
            dec->nal_unit_type = -1;
            if (rc == HEVC_NOMEM)
                return rc;
            pos += 2 + length;
        }
    }
    return HEVC_OK;
}

int hevc_set_extradata(hevc_decoder *const dec, const uint8_t *const data, const size_t size) {
    if (dec == NULL || (data == NULL && size > 0))
        return HEVC_BADARG;
    if (size >= 23 && (data[0] == 1 || data[0] == 0) && !(data[1] == 0 && data[2] == 1) &&
        !(data[1] == 0 && data[2] == 0 && data[3] == 1)) {
        dec->nal_length_size = (data[21] & 3) + 1;
        return hvcc_record(dec, data, size);
    }
    dec->nal_length_size = 0;
    size_t pos = 0, usable = 0;
    if (size > 0)
        decode_packet(dec, data, size, &pos, &usable);
    dec->pending_bytes = 0; // they are of no access unit
    if (dec->failure != 0)
        return dec->failure;
    return usable > 0 || size == 0
               ? HEVC_OK
               : hevc_error(dec, HEVC_CORRUPT, "no parameter sets in the extradata");
}

int hevc_send(hevc_decoder *const dec, const uint8_t *const data, const size_t size,
              const int64_t pts) {
    if (dec == NULL || (data == NULL && size > 0))
        return HEVC_BADARG;
    unlock_lent(dec);
    if (dec->failure != 0)
        return dec->failure;
    if (dec->flushing && dec->queue_length == 0)
        decode_rest(dec); // the end of the stream before comes first
    if (dec->rest_pos < dec->rest_size || dec->queue_length > 0)
        return HEVC_AGAIN;
    if (size == 0)
        return HEVC_OK;
    dec->flushing = false;
    dec->pts = pts;
    dec->error_text[0] = 0;
    size_t pos = 0, usable = 0;
    decode_packet(dec, data, size, &pos, &usable);
    if (dec->failure != 0)
        return dec->failure;
    if (pos < size)
        return keep_rest(dec, data + pos, size - pos);
    if (usable == 0) {
        if (dec->error_text[0] == 0)
            hevc_error(dec, HEVC_CORRUPT, "no NAL unit in %zu bytes", size);
        return HEVC_CORRUPT;
    }
    return HEVC_OK;
}

int hevc_flush(hevc_decoder *const dec) {
    if (dec == NULL)
        return HEVC_BADARG;
    unlock_lent(dec);
    dec->flushing = true;
    if (dec->queue_length == 0)
        decode_rest(dec);
    return HEVC_OK;
}

int hevc_receive(hevc_decoder *const dec, hevc_frame *const frame) {
    if (dec == NULL || frame == NULL)
        return HEVC_BADARG;
    unlock_lent(dec);
    if (dec->queue_length == 0)
        decode_rest(dec);
    if (dec->queue_length > 0) {
        picture *const pic = dec->queue[0];
        memmove(&dec->queue[0], &dec->queue[1], (size_t)--dec->queue_length * sizeof dec->queue[0]);
        pic->queued = false;
        pic->locked = true;
        dec->lent = pic;
        hevc_frame_fill(pic, frame);
        return HEVC_OK;
    }
    if (dec->failure != 0)
        return dec->failure;
    return dec->flushing ? HEVC_END : HEVC_AGAIN;
}

void *hevc_take_taps(hevc_decoder *const dec) {
    picture *const pic = dec == NULL ? NULL : dec->lent;
    return pic == NULL ? NULL : hevc_taps_take(pic);
}

void hevc_close(hevc_decoder *const dec) {
    if (dec == NULL)
        return;
    for (int i = 0; i < MAX_SPS; i++)
        free(dec->sps[i]);
    for (int i = 0; i < MAX_PPS; i++)
        free(dec->pps[i]);
    hevc_pictures_free(dec);
    free(dec->rbsp.data);
    free(dec->rest);
    free(dec);
}
