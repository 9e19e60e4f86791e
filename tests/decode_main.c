/* Decodes Annex B files with every tap on and prints the MD5 of all cropped frames, for runs under
 * sanitizers:
 *
 *     decode_main [-p] [-t THREADS] [-s SEED] FILE...
 *
 * -p: packets of one NAL unit; -s: damage the data first.
 *
 * One line a file: MD5, frames, concealed macroblocks, result, digest of all that frames carry and
 * of the warnings, name. Exit status 0 unless a file
 * cannot be read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h264.h"

// ------------------------------------------------------------------------------------------------
// MD5 (RFC 1321)

typedef struct md5 {
    uint32_t state[4];
    uint64_t size;
    uint8_t block[64];
} md5;

static const uint32_t md5_sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

static void md5_block(md5 *const m) {
    static const uint8_t turns[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = m->state[0], b = m->state[1], c = m->state[2], d = m->state[3];
    for (int i = 0; i < 64; i++) {
        static const int step[4] = {1, 5, 3, 7}, start[4] = {0, 1, 5, 0};
        const int round = i / 16, word = (step[round] * i + start[round]) % 16;
        const uint32_t f = round == 0   ? (b & c) | (~b & d)
                           : round == 1 ? (d & b) | (~d & c)
                           : round == 2 ? b ^ c ^ d
                                        : c ^ (b | ~d);
        uint32_t x = 0;
        for (int k = 3; k >= 0; k--)
            x = x << 8 | m->block[4 * word + k];
        const uint32_t sum = a + f + md5_sines[i] + x;
        const int turn = turns[round][i % 4];
        a = d;
        d = c;
        c = b;
        b += sum << turn | sum >> (32 - turn);
    }
    m->state[0] += a;
    m->state[1] += b;
    m->state[2] += c;
    m->state[3] += d;
}

static void md5_init(md5 *const m) {
    *m = (md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

static void md5_add(md5 *const m, const uint8_t *data, size_t size) {
    while (size > 0) {
        const size_t used = (size_t)(m->size % 64), n = size < 64 - used ? size : 64 - used;
        memcpy(m->block + used, data, n);
        m->size += n;
        data += n;
        size -= n;
        if (used + n == 64)
            md5_block(m);
    }
}

static void md5_print(md5 *const m) {
    const uint64_t bits = m->size * 8;
    const uint8_t one = 0x80, zero = 0;
    md5_add(m, &one, 1);
    while (m->size % 64 != 56)
        md5_add(m, &zero, 1);
    for (int i = 0; i < 8; i++) {
        const uint8_t byte = (uint8_t)(bits >> (8 * i));
        md5_add(m, &byte, 1);
    }
    for (int i = 0; i < 16; i++)
        printf("%02x", (unsigned)(m->state[i / 4] >> (8 * (i % 4)) & 255));
}

// --------------------------------------------------------------------------------------------------------
// frames

typedef struct totals {
    md5 md5;
    unsigned long frames, concealed;
    uint64_t digest; // of everything that frames carry, and of the warnings
} totals;

static void add(totals *const t, const void *const data, const size_t size) { // FNV-1a
    for (size_t i = 0; i < size && data != NULL; i++)
        t->digest = (t->digest ^ ((const uint8_t *)data)[i]) * 1099511628211u;
}

static void add_maps(totals *const t, const h264_frame *const f) {
    const size_t mbs = (size_t)(f->info.coded_width / 16) * (size_t)(f->info.coded_height / 16);
    const int32_t facts[] = {
        f->decode_order,   f->poc,           f->picture_type,  f->keyframe,
        f->recovery_point, f->concealed_mbs, (int32_t)f->bits, (int32_t)f->bytes};
    add(t, facts, sizeof facts);
    add(t, &f->pts, sizeof f->pts);
    add(t, f->scaling4x4, sizeof f->scaling4x4);
    add(t, f->scaling8x8, sizeof f->scaling8x8);
    for (int p = 0; p < 3 && f->width[p] > 0; p++)
        add(t, f->qp[p], mbs);
    const void *const bytes[] = {f->mb_type, f->cbp, f->field, f->concealed, f->intra_chroma};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        add(t, bytes[i], mbs);
    add(t, f->slice, mbs * sizeof *f->slice);
    add(t, f->tu, mbs * 16);
    add(t, f->intra_luma, mbs * 16);
    add(t, f->mv, mbs * 2 * 16 * 2 * sizeof *f->mv);
    add(t, f->ref, mbs * 2 * 4 * sizeof *f->ref);
    add(t, f->mb_bits, mbs * sizeof *f->mb_bits);
    for (int part = 0; part < 5; part++)
        add(t, f->part_bits[part], mbs * sizeof *f->part_bits[part]);
}

static void add_warnings(totals *const t, const h264_decoder *const dec) {
    for (int w = 0; w < H264_N_WARNINGS; w++)
        add(t, &(uint64_t){h264_warning_count(dec, w)}, sizeof(uint64_t));
}

static void add_frame(totals *const t, const h264_frame *const f) {
    const size_t sample = f->info.bit_depth_luma > 8 || f->info.bit_depth_chroma > 8 ? 2 : 1;
    for (int p = 0; p < 3 && f->width[p] > 0; p++) {
        const int sx = f->info.coded_width / f->width[p], sy = f->info.coded_height / f->height[p];
        const size_t left = (size_t)(f->info.crop_left / sx), top = (size_t)(f->info.crop_top / sy);
        const size_t w = (size_t)(f->width[p] - f->info.crop_right / sx) - left;
        const size_t bottom = (size_t)(f->height[p] - f->info.crop_bottom / sy);
        const size_t n = (size_t)f->width[p] * (size_t)f->height[p];
        for (size_t y = top; y < bottom; y++)
            md5_add(&t->md5,
                    (const uint8_t *)f->decoded[p] + (ptrdiff_t)y * f->decoded_stride[p] +
                        left * sample,
                    w * sample);
        add(t, f->prediction[p], n * sample);
        add(t, f->residual[p], 2 * n * sample);
        add(t, f->level[p], 2 * n * sample);
    }
    add_maps(t, f);
    t->frames++;
    t->concealed += (unsigned long)f->concealed_mbs;
}

static int take_frames(h264_decoder *const dec, totals *const t) {
    h264_frame frame;
    int rc;
    while ((rc = h264_receive(dec, &frame)) == H264_OK) {
        add_frame(t, &frame);
        add_warnings(t, dec);
    }
    return rc;
}

// Where the NAL unit after the one at `pos` begins: Annex B start codes.
static size_t next_unit(const uint8_t *const data, const size_t size, const size_t pos) {
    for (size_t i = pos + 3; i + 3 <= size; i++)
        if (data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1)
            return i;
    return size;
}

static uint32_t next_random(uint32_t *const state) { // xorshift32
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

// Flips some bits, and overwrites a stretch of the data with another.
static void damage(uint8_t *const data, const size_t size, uint32_t seed) {
    seed = seed * 2654435761u | 1;
    const uint32_t flips = 1 + next_random(&seed) % 40;
    for (uint32_t i = 0; i < flips; i++) {
        const uint32_t bit = next_random(&seed) % 8;
        data[next_random(&seed) % size] ^= (uint8_t)(1u << bit);
    }
    if (seed & 1 && size > 2048) {
        const size_t n = next_random(&seed) % 1024;
        const size_t to = next_random(&seed) % (size - n), from = next_random(&seed) % (size - n);
        memmove(data + to, data + from, n);
    }
}

static int decode(const uint8_t *const data, const size_t size, const int by_unit,
                  const int threads, totals *const t) {
    const h264_settings settings = {.threads = -threads, // small pictures too
                                    .taps = H264_TAP_PREDICTION | H264_TAP_RESIDUAL |
                                            H264_TAP_LEVEL | H264_TAP_MOTION | H264_TAP_MODES |
                                            H264_TAP_BITS};
    h264_decoder *dec;
    int rc = h264_open(&dec, &settings);
    for (size_t pos = 0; rc == H264_OK && pos < size;) {
        const size_t end = by_unit ? next_unit(data, size, pos) : size;
        // a copy of just this size, so that reading past its end is found
        uint8_t *const packet = malloc(end - pos);
        if (packet == NULL)
            break;
        memcpy(packet, data + pos, end - pos);
        rc = h264_send(dec, packet, end - pos, (int64_t)pos);
        free(packet);
        const int taken = take_frames(dec, t);
        if (rc == H264_CORRUPT || rc == H264_AGAIN)
            rc = H264_OK;
        if (taken < H264_AGAIN)
            rc = taken;
        pos = end;
    }
    if (rc == H264_OK) {
        h264_flush(dec);
        rc = take_frames(dec, t);
    }
    add_warnings(t, dec);
    fflush(stdout);
    if (rc != H264_END)
        fprintf(stderr, "%s\n", h264_error_text(dec));
    if (getenv("DECODE_WARNINGS") != NULL)
        for (int w = 0; w < H264_N_WARNINGS; w++)
            if (h264_warning_count(dec, w) > 0)
                fprintf(stderr, "  %s %llu\n", h264_warning_name(w),
                        (unsigned long long)h264_warning_count(dec, w));
    h264_close(dec);
    return rc;
}

static uint8_t *read_file(const char *const name, size_t *const size) {
    FILE *const f = fopen(name, "rb");
    if (f == NULL)
        return NULL;
    uint8_t *data = NULL;
    size_t used = 0, capacity = 0, n;
    do {
        if (capacity - used < 1 << 16) {
            capacity = 2 * capacity + (1 << 16);
            uint8_t *const grown = realloc(data, capacity);
            if (grown == NULL)
                break;
            data = grown;
        }
        n = fread(data + used, 1, capacity - used, f);
        used += n;
    } while (n > 0);
    fclose(f);
    *size = used;
    return data;
}

int main(const int argc, char **const argv) {
    int by_unit = 0, threads = 1, status = 0;
    uint32_t seed = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-p") == 0) {
            by_unit = 1;
            continue;
        }
        if (strcmp(argv[i], "-t") == 0 && i + 1 < argc) {
            threads = atoi(argv[++i]);
            continue;
        }
        if (strcmp(argv[i], "-s") == 0 && i + 1 < argc) {
            seed = (uint32_t)strtoul(argv[++i], NULL, 10);
            continue;
        }
        size_t size = 0;
        uint8_t *const data = read_file(argv[i], &size);
        if (data == NULL || size == 0) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            free(data);
            status = 1;
            continue;
        }
        totals t = {.digest = 14695981039346656037u};
        md5_init(&t.md5);
        if (seed != 0)
            damage(data, size, seed);
        const int rc = decode(data, size, by_unit, threads, &t);
        md5_print(&t.md5);
        printf(" %lu %lu %d %016llx %s\n", t.frames, t.concealed, rc, (unsigned long long)t.digest,
               argv[i]);
        free(data);
    }
    return status;
}
