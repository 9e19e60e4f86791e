/* Packets to NAL units to raw byte sequence payloads, which H.264 (7.3.1, Annex B) and H.265
 * (7.3.1, Annex B) share: start codes, lengths, emulation prevention. */
#ifndef DAVD_CODING_NAL_H
#define DAVD_CODING_NAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bits.h"

enum {
    MAX_NAL_SIZE = 1 << 27
};

// Raw byte sequence payload of the NAL unit being decoded; grows as needed, `data` is for free().
typedef struct rbsp_buffer {
    uint8_t *data;
    size_t capacity;
} rbsp_buffer;

// The next NAL unit of a byte stream from *pos on, without start code; false: none left.
bool nal_next_byte_stream(const uint8_t *data, size_t size, size_t *pos, const uint8_t **nal,
                          size_t *nal_size);

// The same behind lengths of n bytes. *cut: the unit is longer than the packet; what there is of it
// is given.
bool nal_next_length_prefixed(const uint8_t *data, size_t size, int n, size_t *pos,
                              const uint8_t **nal, size_t *nal_size, bool *cut);

// The next NAL unit of a packet, behind lengths of length_size bytes, or start codes when it is 0.
bool nal_next(const uint8_t *data, size_t size, int length_size, size_t *pos, const uint8_t **nal,
              size_t *nal_size, bool *cut);

// Drops every emulation_prevention_three_byte; dst has room for size bytes. Bytes written.
size_t nal_unescape(const uint8_t *src, size_t size, uint8_t *dst);

// A reader over what is behind the header of a NAL unit of at most MAX_NAL_SIZE bytes, without
// emulation prevention; false: no memory.
bool nal_rbsp(rbsp_buffer *buffer, const uint8_t *src, size_t size, bits *b);

#endif
