/* 7.3.1 and Annex B: from the bytes of a packet to the RBSP of one NAL unit after the other.
 *
 * Packets hold NAL units behind start codes, or behind lengths when an avcC record said so (ISO/IEC
 * 14496-15). */
#include <stdlib.h>

#include "stream.h"

enum {
    MAX_NAL_SIZE = 1 << 27
};

/* Annex B: from the first start code at or after *pos to the next, without leading and trailing
 * zeros. */
static bool next_byte_stream(const uint8_t *const data, const size_t size, size_t *const pos,
                             const uint8_t **const nal, size_t *const nal_size) {
    size_t at = *pos, begin = 0;
    bool inside = false;
    while (at < size) {
        const uint8_t *const one = memchr(data + at, 1, size - at);
        if (one == NULL)
            break;
        const size_t i = (size_t)(one - data);
        at = i + 1;
        if (i < *pos + 2 || data[i - 1] != 0 || data[i - 2] != 0)
            continue;
        if (inside && i - 2 > begin) {
            *nal = data + begin;
            *nal_size = i - 2 - begin;
            *pos = i - 2;
            return true;
        }
        inside = true;
        begin = at;
    }
    *pos = size;
    *nal = data + begin;
    *nal_size = size - begin;
    return inside && begin < size;
}

static bool next_length_prefixed(h264_decoder *const dec, const uint8_t *const data,
                                 const size_t size, size_t *const pos, const uint8_t **const nal,
                                 size_t *const nal_size) {
    const size_t n = (size_t)dec->nal_length_size;
    while (size - *pos > n) {
        size_t length = 0;
        for (size_t i = 0; i < n; i++)
            length = length << 8 | data[*pos + i];
        *pos += n;
        if (length > size - *pos) {
            dec->warnings[H264_WARN_BAD_NAL]++;
            length = size - *pos; // cut off: what there is of it may do
        }
        *nal = data + *pos;
        *nal_size = length;
        *pos += length;
        if (length > 0)
            return true;
    }
    *pos = size;
    return false;
}

bool h264_nal_next(h264_decoder *const dec, const uint8_t *const data, const size_t size,
                   size_t *const pos, const uint8_t **const nal, size_t *const nal_size) {
    if (dec->nal_length_size > 0)
        return next_length_prefixed(dec, data, size, pos, nal, nal_size);
    return next_byte_stream(data, size, pos, nal, nal_size);
}

/* 7.3.1: drops every emulation_prevention_three_byte. Eight bytes at a time while none of them is
 * zero. */
static size_t unescape(const uint8_t *const src, const size_t size, uint8_t *const dst) {
    size_t i = 0, n = 0;
    int zeros = 0;
    while (i < size) {
        if (zeros == 0 && i + 8 <= size) {
            uint64_t v;
            memcpy(&v, src + i, 8);
            if (((v - 0x0101010101010101u) & ~v & 0x8080808080808080u) == 0) {
                memcpy(dst + n, &v, 8);
                i += 8;
                n += 8;
                continue;
            }
        }
        const uint8_t byte = src[i++];
        if (zeros >= 2 && byte == 3) {
            zeros = 0;
            continue;
        }
        zeros = byte == 0 ? zeros + 1 : 0;
        dst[n++] = byte;
    }
    return n;
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
    const size_t n = unescape(data + 1, size - 1, s->rbsp);
    memset(s->rbsp + n, 0, BITS_PADDING);
    h264_bits_init(&nal->rbsp, s->rbsp, n);
    return H264_OK;
}
