/* 7.3.1 and Annex B: from the bytes of a packet to the RBSP of one NAL unit after the other.
 *
 * Packets hold NAL units behind start codes, or behind lengths when an avcC record said so (ISO/IEC
 * 14496-15). */
#include <stdlib.h>

#include "../coding/nal.h"

#include "stream.h"

enum {
    MAX_NAL_SIZE = 1 << 27
};

bool h264_nal_next(h264_decoder *const dec, const uint8_t *const data, const size_t size,
                   size_t *const pos, const uint8_t **const nal, size_t *const nal_size) {
    if (dec->nal_length_size == 0)
        return nal_next_byte_stream(data, size, pos, nal, nal_size);
    bool cut = false;
    const bool found =
        nal_next_length_prefixed(data, size, dec->nal_length_size, pos, nal, nal_size, &cut);
    dec->warnings[H264_WARN_BAD_NAL] += cut;
    return found;
}

int h264_nal_parse(h264_decoder *const dec, const uint8_t *const data, const size_t size,
                   nal_unit *const nal) {
    stream_state *const s = dec->stream;
    if (size == 0 || size > MAX_NAL_SIZE || data[0] & 0x80) { // forbidden_zero_bit
        dec->warnings[H264_WARN_BAD_NAL]++;
        return H264_CORRUPT;
    }
    if (s->rbsp_capacity < size + BITS_PADDING) {
        const size_t capacity = size + size / 2 + BITS_PADDING;
        uint8_t *const grown = realloc(s->rbsp, capacity);
        if (grown == NULL)
            return h264_error(dec, H264_NOMEM, "no memory for a NAL unit of %zu bytes", size);
        s->rbsp = grown;
        s->rbsp_capacity = capacity;
    }
    nal->nal_ref_idc = data[0] >> 5 & 3;
    nal->nal_unit_type = data[0] & 31;
    nal->size = (uint32_t)size;
    while (nal->size > 1 && data[nal->size - 1] == 0) // trailing_zero_8bits
        nal->size--;
    const size_t n = nal_unescape(data + 1, size - 1, s->rbsp);
    memset(s->rbsp + n, 0, BITS_PADDING);
    bits_init(&nal->rbsp, s->rbsp, n);
    return H264_OK;
}
