/* 7.3.1: NAL units of a packet, and their headers. */
#include "internal.h"

bool hevc_nal_next(hevc_decoder *const dec, const uint8_t *const data, const size_t size,
                   size_t *const pos, const uint8_t **const nal, size_t *const nal_size) {
    bool cut = false;
    const bool found = nal_next(data, size, dec->nal_length_size, pos, nal, nal_size, &cut);
    dec->warnings[HEVC_WARN_BAD_NAL] += cut;
    return found;
}

int hevc_nal_parse(hevc_decoder *const dec, const uint8_t *const data, const size_t size,
                   nal_unit *const nal) {
    if (size < 2 || size > MAX_NAL_SIZE || data[0] & 0x80 || (data[1] & 7) == 0) {
        dec->warnings[HEVC_WARN_BAD_NAL]++;
        return HEVC_CORRUPT;
    }
    nal->nal_unit_type = data[0] >> 1 & 63;
    nal->nuh_layer_id = (data[0] & 1) << 5 | data[1] >> 3;
    nal->TemporalId = (data[1] & 7) - 1;
    if (!nal_rbsp(&dec->rbsp, data + 2, size - 2, &nal->rbsp))
        return hevc_error(dec, HEVC_NOMEM, "no memory for a NAL unit of %zu bytes", size);
    return HEVC_OK;
}
