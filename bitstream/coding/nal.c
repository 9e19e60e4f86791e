/* NAL units in packets: see nal.h. */
#include "nal.h"

#include <stdlib.h>
#include <string.h>

bool nal_next_byte_stream(const uint8_t *const data, const size_t size, size_t *const pos,
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

bool nal_next_length_prefixed(const uint8_t *const data, const size_t size, const int n,
                              size_t *const pos, const uint8_t **const nal, size_t *const nal_size,
                              bool *const cut) {
    while (size - *pos > (size_t)n) {
        size_t length = 0;
        for (int i = 0; i < n; i++)
            length = length << 8 | data[*pos + (size_t)i];
        *pos += (size_t)n;
        if (length > size - *pos) {
            *cut = true;
            length = size - *pos;
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

bool nal_next(const uint8_t *const data, const size_t size, const int length_size,
              size_t *const pos, const uint8_t **const nal, size_t *const nal_size,
              bool *const cut) {
    return length_size == 0
               ? nal_next_byte_stream(data, size, pos, nal, nal_size)
               : nal_next_length_prefixed(data, size, length_size, pos, nal, nal_size, cut);
}

size_t nal_unescape(const uint8_t *const src, const size_t size, uint8_t *const dst) {
    size_t i = 0, n = 0;
    int zeros = 0;
    while (i < size) {
        if (zeros == 0 && i + 8 <= size) { // eight bytes at a time while none of them is zero
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

bool nal_rbsp(rbsp_buffer *const buffer, const uint8_t *const src, const size_t size,
              bits *const b) {
    if (buffer->capacity < size + BITS_PADDING) {
        const size_t capacity = size + size / 2 + BITS_PADDING;
        uint8_t *const grown = realloc(buffer->data, capacity);
        if (grown == NULL)
            return false;
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    const size_t n = nal_unescape(src, size, buffer->data);
    memset(buffer->data + n, 0, BITS_PADDING);
    bits_init(b, buffer->data, n);
    return true;
}
