/* 7.3.1 and Annex B: from the bytes of a packet to the RBSP of one NAL unit after the other.
 *
 * Packets hold NAL units behind start codes, or behind lengths when an avcC record said so (ISO/IEC
 * 14496-15). */
#include "stream.h"

bool h264_nal_next(h264_decoder *const dec, const uint8_t *const data, const size_t size,
                   size_t *const pos, const uint8_t **const nal, size_t *const nal_size) {
    bool cut = false;
    const bool found = nal_next(data, size, dec->nal_length_size, pos, nal, nal_size, &cut);
    dec->warnings[H264_WARN_BAD_NAL] += cut;
    return found;
}

int h264_nal_parse(h264_decoder *const dec, const uint8_t *const data, const size_t size,
                   nal_unit *const nal) {
    if (size == 0 || size > MAX_NAL_SIZE || data[0] & 0x80) { // forbidden_zero_bit
        dec->warnings[H264_WARN_BAD_NAL]++;
        return H264_CORRUPT;
    }
    nal->nal_ref_idc = data[0] >> 5 & 3;
    nal->nal_unit_type = data[0] & 31;
    nal->size = (uint32_t)size;
    while (nal->size > 1 && data[nal->size - 1] == 0) // trailing_zero_8bits
        nal->size--;
    if (!nal_rbsp(&dec->stream->rbsp, data + 1, size - 1, &nal->rbsp))
        return h264_error(dec, H264_NOMEM, "no memory for a NAL unit of %zu bytes", size);
    return H264_OK;
}
