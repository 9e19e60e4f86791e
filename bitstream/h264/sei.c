/* 7.3.2.3 and Annex D: supplemental enhancement information. Two messages matter here: the recovery
 * point, where a stream can be joined, and unregistered user data, where encoders sign. All others
 * are passed over. */
#include "stream.h"

enum {
    SEI_USER_DATA_UNREGISTERED = 5,
    SEI_RECOVERY_POINT = 6,
    UUID_BYTES = 16
};

/* D.1.7: after the 16 bytes of the UUID, text if it is text. */
static void user_data_unregistered(h264_decoder *const dec, const uint8_t *const data,
                                   const uint32_t size) {
    if (size <= UUID_BYTES)
        return;
    const uint8_t *const text = data + UUID_BYTES;
    size_t n = 0;
    while (n < size - UUID_BYTES && text[n] != 0) {
        if ((text[n] < 0x20 && text[n] != '\n' && text[n] != '\t') || text[n] > 0x7e)
            return;
        n++;
    }
    if (n == 0)
        return;
    if (n > sizeof dec->encoder_text - 1)
        n = sizeof dec->encoder_text - 1;
    memcpy(dec->encoder_text, text, n);
    dec->encoder_text[n] = 0;
}

/* D.1.8 */
static void recovery_point(h264_decoder *const dec, bits b) {
    const uint32_t recovery_frame_cnt = bits_ue(&b);
    if (recovery_frame_cnt >= 1u << 16 || bits_overrun(&b)) // 0..MaxFrameNum - 1
        return;
    dec->stream->recovery = (recovery_sei){.pending = true, .frame_cnt = recovery_frame_cnt};
}

static uint32_t ff_coded(bits *const b) {
    uint32_t value = 0, byte;
    do {
        byte = bits_u(b, 8);
        value += byte;
    } while (byte == 255 && !bits_overrun(b));
    return value;
}

void h264_parse_sei(h264_decoder *const dec, bits *const b) {
    while (bits_more_rbsp_data(b)) {
        const uint32_t type = ff_coded(b), size = ff_coded(b);
        if (bits_overrun(b) || size > (b->end - b->pos) / 8)
            return;
        if (type == SEI_USER_DATA_UNREGISTERED)
            user_data_unregistered(dec, b->data + b->pos / 8, size);
        else if (type == SEI_RECOVERY_POINT)
            recovery_point(dec, *b);
        bits_skip(b, size * 8);
    }
}
