/* Checks of the bit reader (7.2, 9.1) and of NAL units (7.3.1, Annex B), each against the
 * definition taken literally, bit by bit and byte by byte, on random data rich in zeros. */
#include <stdlib.h>
#include <string.h>

#include "core_test.h"
#include "stream.h"

enum {
    MAX_BYTES = 400
};

static int bit_at(const uint8_t *const data, const size_t size, const size_t i) {
    return i / 8 < size ? data[i / 8] >> (7 - i % 8) & 1 : 0;
}

// Bytes of which many are 0 to 3, with a seed of start codes and emulation prevention in them
static size_t random_bytes(uint8_t *const data) {
    const size_t size = (size_t)rnd(MAX_BYTES);
    const int kind = rnd(3);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(kind == 0 || rnd(4) == 0 ? rnd(256) : rnd(4) == 0 ? rnd(4) : 0);
    return size;
}

static void test_fixed_length(void) {
    uint8_t data[MAX_BYTES + BITS_PADDING] = {0};
    bool same = true;
    for (int round = 0; round < 200; round++) {
        const size_t size = random_bytes(data);
        memset(data + size, 0, BITS_PADDING);
        bits b;
        bits_init(&b, data, size);
        for (size_t at = 0; at < size * 8 + 40;) {
            const int n = 1 + rnd(32);
            uint32_t want = 0;
            for (int i = 0; i < n; i++)
                want = want << 1 | (uint32_t)bit_at(data, size, at + (size_t)i);
            same &= bits_u(&b, n) == want;
            at += (size_t)n;
        }
    }
    check_true("bits_u", same);
}

// Writes value + 1 with one zero before it for each bit after its first (9.1); returns the next
// position
static size_t put_ue(uint8_t *const data, size_t at, const uint32_t value) {
    const uint64_t code = (uint64_t)value + 1;
    int n = 0;
    while (code >> (n + 1) != 0)
        n++;
    at += (size_t)n;
    for (int i = n; i >= 0; i--, at++)
        data[at / 8] = (uint8_t)(data[at / 8] | (code >> i & 1) << (7 - at % 8));
    return at;
}

static void test_exp_golomb(void) {
    bool same = true;
    for (int round = 0; round < 2000; round++) {
        uint8_t data[64 + BITS_PADDING] = {0};
        uint32_t values[6];
        size_t at = (size_t)rnd(8);
        const size_t start = at;
        for (int i = 0; i < 6; i++) {
            values[i] = (uint32_t)rnd(1 << 16) << 16 | (uint32_t)rnd(1 << 16);
            values[i] >>= rnd(32);
            if (values[i] == UINT32_MAX)
                values[i]--;
            at = put_ue(data, at, values[i]);
        }
        data[at / 8] = (uint8_t)(data[at / 8] | 1 << (7 - at % 8));
        bits b;
        bits_init(&b, data, sizeof data - BITS_PADDING);
        bits_skip(&b, (uint32_t)start);
        for (int i = 0; i < 6; i++) {
            bits again = b;
            same &= bits_ue(&b) == values[i];
            const int64_t k = values[i], want = k % 2 ? k / 2 + 1 : -(k / 2); // Table 9-3
            same &= bits_se(&again) == want && again.pos == b.pos;
        }
        same &= b.pos == at && !bits_overrun(&b);
    }
    check_true("bits_ue, bits_se", same);
}

static void test_beyond_the_end(void) {
    const uint8_t data[6 + BITS_PADDING] = {0, 0, 1, 0, 0, 1};
    bits b;
    bits_init(&b, data, 3);
    bits_ue(&b);
    check_true("a code that ends beyond the data", bits_overrun(&b));
    bits_init(&b, data + 3, 3);
    bits_skip(&b, 24);
    check_true("no code at all", bits_ue(&b) > 1u << 31 && bits_overrun(&b));
    for (int i = 0; i < 100; i++)
        bits_u(&b, 32);
    check_true("the reader stands still", b.pos == b.limit && bits_u1(&b) == 0);
    bits_init(&b, data + 3, 2);
    check_true("nothing but zeros is nothing", !bits_more_rbsp_data(&b) && b.end == 0);
}

static void test_more_rbsp_data(void) {
    uint8_t data[MAX_BYTES + BITS_PADDING];
    bool same = true;
    for (int round = 0; round < 300; round++) {
        const size_t size = random_bytes(data);
        memset(data + size, 0, BITS_PADDING);
        size_t last = 0; // one behind the last bit that is 1
        for (size_t i = 0; i < size * 8; i++)
            if (bit_at(data, size, i))
                last = i + 1;
        bits b;
        bits_init(&b, data, size);
        for (size_t at = 0; at < size * 8 && at <= last; at++, bits_skip(&b, 1))
            same &= bits_more_rbsp_data(&b) == (at + 1 < last);
    }
    check_true("more_rbsp_data", same);
}

// 7.3.1: every 3 behind two zeros is left out
static size_t plain_unescape(const uint8_t *const data, const size_t size, uint8_t *const out) {
    size_t n = 0, zeros = 0;
    for (size_t i = 0; i < size; i++) {
        if (zeros >= 2 && data[i] == 3) {
            zeros = 0;
            continue;
        }
        zeros = data[i] == 0 ? zeros + 1 : 0;
        out[n++] = data[i];
    }
    return n;
}

static void test_emulation_prevention(h264_decoder *const dec) {
    uint8_t data[MAX_BYTES], want[MAX_BYTES];
    bool same = true;
    for (int round = 0; round < 2000; round++) {
        const size_t size = random_bytes(data);
        if (size == 0)
            continue;
        data[0] &= 0x7f;
        uint8_t *const exact = malloc(size); // so that a read beyond it is found
        memcpy(exact, data, size);
        nal_unit nal;
        const int rc = h264_nal_parse(dec, exact, size, &nal);
        free(exact);
        const size_t n = plain_unescape(data + 1, size - 1, want);
        same &=
            rc == H264_OK && nal.nal_unit_type == data[0] % 32 && nal.nal_ref_idc == data[0] / 32;
        for (size_t i = 0; i < n + BITS_PADDING; i++)
            same &= nal.rbsp.data[i] == (i < n ? want[i] : 0);
    }
    check_true("emulation prevention", same);
}

// Annex B: NAL units lie behind 0 0 1 and end before the next 0 0 1, or at the end
static void test_start_codes(h264_decoder *const dec) {
    uint8_t data[MAX_BYTES];
    bool same = true;
    for (int round = 0; round < 2000; round++) {
        const size_t size = random_bytes(data);
        size_t pos = 0, begin = 0, found;
        const uint8_t *unit;
        bool inside = false;
        for (size_t i = 0; i <= size; i++) {
            const bool code = i + 3 <= size && data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1;
            if ((code || i == size) && inside && i > begin) {
                same &= h264_nal_next(dec, data, size, &pos, &unit, &found);
                same &= unit == data + begin && found == i - begin;
            }
            if (code) {
                inside = true;
                begin = i + 3;
                i += 2;
            }
        }
        same &= !h264_nal_next(dec, data, size, &pos, &unit, &found) && pos == size;
    }
    check_true("start codes", same);
}

// POC of field and frame stay where their differences can be taken
static void test_poc_limits(void) {
    const int64_t values[] = {0, 7, -7, POC_LIMIT, -POC_LIMIT};
    bool same = true;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        same &= h264_limit_poc(values[i]) == values[i];
    same &= h264_limit_poc(INT64_MAX) == POC_LIMIT && h264_limit_poc(INT64_MIN) == -POC_LIMIT;
    check_true("PicOrderCnt limits", same);
}

void test_stream(void) {
    const h264_settings settings = {.taps = 0};
    h264_decoder *dec;
    if (h264_open(&dec, &settings) != H264_OK)
        abort();
    test_fixed_length();
    test_exp_golomb();
    test_beyond_the_end();
    test_more_rbsp_data();
    test_emulation_prevention(dec);
    test_start_codes(dec);
    test_poc_limits();
    h264_close(dec);
}
