/* D.3.19: the hash of the decoded picture, against that of its SEI message. */
#include "internal.h"

// ---------------------------------------------------------------------------------- MD5 (RFC 1321)

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

// Sixteen steps of one round; f is the round's function of b, c, d, k the order of the words
#define ROUND(f, first, k, s0, s1, s2, s3)                                                         \
    for (int i = 0; i < 16; i += 4) {                                                              \
        a = b + turn(a + (f(b, c, d)) + md5_sines[first + i] + x[(k(i)) & 15], s0);                \
        d = a + turn(d + (f(a, b, c)) + md5_sines[first + i + 1] + x[(k(i + 1)) & 15], s1);        \
        c = d + turn(c + (f(d, a, b)) + md5_sines[first + i + 2] + x[(k(i + 2)) & 15], s2);        \
        b = c + turn(b + (f(c, d, a)) + md5_sines[first + i + 3] + x[(k(i + 3)) & 15], s3);        \
    }
#define F(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define G(b, c, d) ((c) ^ ((d) & ((b) ^ (c))))
#define H(b, c, d) ((b) ^ (c) ^ (d))
#define I(b, c, d) ((c) ^ ((b) | ~(d)))
#define K_F(i) (i)
#define K_G(i) (5 * (i) + 1)
#define K_H(i) (3 * (i) + 5)
#define K_I(i) (7 * (i))

static inline uint32_t turn(const uint32_t v, const int n) {
    return v << n | v >> (32 - n);
}

static void md5_block(md5 *const m, const uint8_t *const data) {
    uint32_t a = m->state[0], b = m->state[1], c = m->state[2], d = m->state[3], x[16];
    for (int i = 0; i < 16; i++)
        x[i] = (uint32_t)data[4 * i] | (uint32_t)data[4 * i + 1] << 8 |
               (uint32_t)data[4 * i + 2] << 16 | (uint32_t)data[4 * i + 3] << 24;
    ROUND(F, 0, K_F, 7, 12, 17, 22)
    ROUND(G, 16, K_G, 5, 9, 14, 20)
    ROUND(H, 32, K_H, 4, 11, 16, 23)
    ROUND(I, 48, K_I, 6, 10, 15, 21)
    m->state[0] += a;
    m->state[1] += b;
    m->state[2] += c;
    m->state[3] += d;
}

static void md5_add(md5 *const m, const uint8_t *data, size_t size) {
    size_t have = m->size % 64;
    m->size += size;
    while (size > 0) {
        if (have == 0 && size >= 64) {
            md5_block(m, data);
            data += 64;
            size -= 64;
            continue;
        }
        const size_t n = size < 64 - have ? size : 64 - have;
        memcpy(m->block + have, data, n);
        data += n;
        size -= n;
        have += n;
        if (have == 64) {
            md5_block(m, m->block);
            have = 0;
        }
    }
}

static void md5_end(md5 *const m, uint8_t digest[16]) {
    static const uint8_t padding[64] = {0x80};
    const uint64_t n = m->size * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(n >> 8 * i);
    md5_add(m, padding, 1 + (119 - (size_t)(m->size % 64)) % 64);
    md5_add(m, length, 8);
    for (int i = 0; i < 16; i++)
        digest[i] = (uint8_t)(m->state[i / 4] >> 8 * (i % 4));
}

// --------------------------------------------------------------------------------------- one plane

typedef struct plane {
    const uint8_t *data;
    ptrdiff_t stride;
    int width, height, sample_size, depth;
} plane;

static int sample(const plane *const p, const int x, const int y) {
    const uint8_t *const row = p->data + y * p->stride;
    return p->sample_size == 1 ? row[x] : ((const uint16_t *)(const void *)row)[x];
}

static void plane_md5(const plane *const p, uint8_t digest[16]) {
    md5 m = {.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
    for (int y = 0; y < p->height; y++) {
        const uint8_t *const row = p->data + y * p->stride;
        if (p->sample_size == 1) {
            md5_add(&m, row, (size_t)p->width);
            continue;
        }
        for (int x = 0; x < p->width; x++) {
            const int v = sample(p, x, y);
            const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
            md5_add(&m, bytes, p->depth > 8 ? 2 : 1);
        }
    }
    md5_end(&m, digest);
}

static uint32_t crc_bits(uint32_t crc, const int byte) {
    for (int i = 7; i >= 0; i--) {
        const uint32_t msb = crc >> 15 & 1;
        crc = (((crc << 1) + (uint32_t)(byte >> i & 1)) & 0xffff) ^ (msb * 0x1021);
    }
    return crc;
}

static uint32_t plane_crc(const plane *const p) {
    uint32_t crc = 0xffff;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            const int v = sample(p, x, y);
            crc = crc_bits(crc, v & 255);
            if (p->depth > 8)
                crc = crc_bits(crc, v >> 8);
        }
    return crc_bits(crc_bits(crc, 0), 0);
}

static uint32_t plane_checksum(const plane *const p) {
    uint32_t sum = 0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            const int mask = (x & 255) ^ (y & 255) ^ (x >> 8) ^ (y >> 8), v = sample(p, x, y);
            sum += (uint32_t)((v & 255) ^ mask);
            if (p->depth > 8)
                sum += (uint32_t)((v >> 8) ^ mask);
        }
    return sum;
}

static void plane_digest(const plane *const p, const int type, uint8_t digest[16]) {
    if (type == 0) {
        plane_md5(p, digest);
        return;
    }
    const uint32_t v = type == 1 ? plane_crc(p) : plane_checksum(p);
    const int bytes = type == 1 ? 2 : 4;
    for (int i = 0; i < bytes; i++)
        digest[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

void hevc_check_hash(hevc_decoder *const dec, picture *const pic) {
    static const size_t bytes[3] = {16, 2, 4};
    if (!dec->hash.present || pic->concealed_ctus > 0)
        return;
    bool right = true;
    for (int c = 0; c < 3 && dec->width[c] > 0; c++) {
        uint8_t digest[16];
        const plane p = {pic->plane[c],  pic->stride[c],      dec->width[c],
                         dec->height[c], dec->k->sample_size, hevc_depth(&dec->active_sps, c)};
        plane_digest(&p, dec->hash.type, digest);
        right &= memcmp(digest, dec->hash.digest[c], bytes[dec->hash.type]) == 0;
    }
    pic->hash = right ? HEVC_HASH_RIGHT : HEVC_HASH_WRONG;
    dec->warnings[HEVC_WARN_WRONG_HASH] += !right;
}
