/* 7.3.2.4, Annex D: the decoded picture hash, and the text that encoders leave as user data. */
#include "internal.h"

enum {
    USER_DATA_UNREGISTERED = 5,
    DECODED_PICTURE_HASH = 132
};

static uint32_t ff_coded(bits *const b) { // 7.3.5: payload type and size
    uint32_t v = 0, byte;
    do {
        byte = bits_u(b, 8);
        v += byte;
    } while (byte == 255 && !bits_overrun(b));
    return v;
}

static void user_data(hevc_decoder *const dec, bits *const b, const uint32_t size) {
    char text[sizeof dec->encoder_text];
    size_t n = 0;
    for (uint32_t i = 0; i < size; i++) {
        const uint32_t c = bits_u(b, 8);
        if (i < 16) // uuid_iso_iec_11578
            continue;
        if (c == 0)
            break;
        if (c < 32 || c > 126)
            return;
        if (n < sizeof text - 1)
            text[n++] = (char)c;
    }
    text[n] = 0;
    if (n > 0)
        memcpy(dec->encoder_text, text, n + 1);
}

static void picture_hash(hevc_decoder *const dec, bits *const b) {
    static const int bytes[3] = {16, 2, 4};
    hash_sei *const h = &dec->hash;
    h->present = false;
    h->type = (int)bits_u(b, 8);
    if (h->type > 2)
        return;
    for (int c = 0; c < (dec->active_sps.chroma_format_idc == 0 ? 1 : 3); c++)
        for (int i = 0; i < bytes[h->type]; i++)
            h->digest[c][i] = (uint8_t)bits_u(b, 8);
    h->present = !bits_overrun(b);
}

void hevc_parse_sei(hevc_decoder *const dec, bits *const b, const bool suffix) {
    while (bits_more_rbsp_data(b)) {
        const uint32_t type = ff_coded(b), size = ff_coded(b);
        if (bits_overrun(b) || size > (b->end - b->pos) / 8)
            return;
        bits payload = *b;
        if (type == USER_DATA_UNREGISTERED && !suffix)
            user_data(dec, &payload, size);
        else if (type == DECODED_PICTURE_HASH && suffix && dec->cur != NULL)
            picture_hash(dec, &payload);
        b->pos += 8 * size;
    }
}
