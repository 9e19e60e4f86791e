/* Boundary filtering strengths between inter macroblocks (8.7.2.1), all 32 quarters of edges of a
 * macroblock at once: bit 4 * row + column of a mask stands for the 4x4 block there and the edge
 * before it (to its left, or above).
 *
 * Strength 1 asks whether two blocks use other reference pictures, another number of vectors, or
 * vectors at least one frame sample apart. With references p0 p1 and q0 q1 on the two sides ("none"
 * counts as a picture, and its vectors are 0), that is (not straight, or vectors far apart
 * straight) and (not crossed, or vectors far apart crossed) where straight is p0 = q0 and p1 = q1,
 * crossed is p0 = q1 and p1 = q0. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#if H264_X86_SIMD
#include <emmintrin.h>
#endif

enum {
    FIRST_COLUMN = 0x1111,
    FIRST_ROW = 0x000f
};

// References of the four quarters of a macroblock, comparable: by picture, and by parity where
// fields are referred to
typedef struct reference_keys {
    int32_t list[2][4];
} reference_keys;

static reference_keys keys_of(const mb_motion *const m, const bool field) {
    reference_keys k;
    memcpy(k.list, m->uid, sizeof(k.list));
    for (int i = 0; i < 8 && field; i++)
        k.list[i / 4][i % 4] = k.list[i / 4][i % 4] * 4 + m->ref_parity[i / 4][i % 4];
    return k;
}

// Quarters of which a and b differ, as a mask of their blocks' first columns or rows; `spread` says
// which bits.
CORE_INLINE unsigned differing(const int32_t a[4], const int32_t b[4], const uint16_t spread[4]) {
    unsigned mask = 0;
    for (int i = 0; i < 4; i++)
        mask |= a[i] != b[i] ? spread[i] : 0u;
    return mask;
}

// Blocks at the left edge, or the upper edge, of each quarter
static const uint16_t left_blocks[4] = {0x0011, 0x0044, 0x1100, 0x4400};
static const uint16_t upper_blocks[4] = {0x0003, 0x000c, 0x0300, 0x0c00};

// What stands before each quarter: in the macroblock itself or in its neighbour
CORE_INLINE void before_left(const int32_t own[4], const int32_t left[4], int32_t out[4]) {
    out[0] = left[1];
    out[1] = own[0];
    out[2] = left[3];
    out[3] = own[2];
}

CORE_INLINE void before_top(const int32_t own[4], const int32_t top[4], int32_t out[4]) {
    out[0] = top[2];
    out[1] = top[3];
    out[2] = own[0];
    out[3] = own[1];
}

#if H264_X86_SIMD

// Blocks of a row whose vectors are 4 or more apart in x, or limit_y in y
CORE_INLINE unsigned row_apart(const __m128i a, const __m128i b, const int limit_y) {
    const __m128i limit = _mm_set1_epi32((limit_y - 1) << 16 | 3), d = _mm_subs_epi16(a, b);
    const __m128i apart =
        _mm_or_si128(_mm_cmpgt_epi16(d, limit), _mm_cmpgt_epi16(_mm_subs_epi16(b, a), limit));
    const __m128i near = _mm_cmpeq_epi32(apart, _mm_setzero_si128());
    return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(near)) ^ 15u;
}

CORE_INLINE __m128i load_two(const int16_t a[2], const int16_t b[2]) {
    int32_t first, second;
    memcpy(&first, a, 4);
    memcpy(&second, b, 4);
    return _mm_unpacklo_epi32(_mm_cvtsi32_si128(first), _mm_cvtsi32_si128(second));
}

// Is one of two vectors that far from its counterpart?
CORE_INLINE bool pair_apart(const int16_t a0[2], const int16_t a1[2], const int16_t b0[2],
                            const int16_t b1[2], const int limit_y) {
    return row_apart(load_two(a0, a1), load_two(b0, b1), limit_y) & 3;
}

CORE_INLINE __m128i load_row(const int16_t (*const mv)[2]) {
    return _mm_loadu_si128((const __m128i *)mv);
}

// A row moved right by one block, with the block before it
CORE_INLINE __m128i row_before(const int16_t (*const mv)[2], const int16_t left[2]) {
    int32_t first;
    memcpy(&first, left, 4);
    return _mm_or_si128(_mm_slli_si128(load_row(mv), 4), _mm_cvtsi32_si128(first));
}

// Vectors q of a macroblock against those of the blocks to the left of them: p in the same one,
// left in its neighbour
static unsigned apart_left(const int16_t (*const q)[2], const int16_t (*const p)[2],
                           const int16_t (*const left)[2], const int limit_y) {
    unsigned mask = 0;
    for (int i = 0; i < 4; i++)
        mask |= row_apart(load_row(q + 4 * i), row_before(p + 4 * i, left[4 * i + 3]), limit_y)
                << 4 * i;
    return mask;
}

// The same for the blocks above
static unsigned apart_top(const int16_t (*const q)[2], const int16_t (*const p)[2],
                          const int16_t (*const top)[2], const int limit_y) {
    unsigned mask = row_apart(load_row(q), load_row(top + 12), limit_y);
    for (int i = 1; i < 4; i++)
        mask |= row_apart(load_row(q + 4 * i), load_row(p + 4 * i - 4), limit_y) << 4 * i;
    return mask;
}

#else

CORE_INLINE bool vectors_apart(const int16_t a[2], const int16_t b[2], const int limit_y) {
    return abs(a[0] - b[0]) >= 4 || abs(a[1] - b[1]) >= limit_y;
}

CORE_INLINE bool pair_apart(const int16_t a0[2], const int16_t a1[2], const int16_t b0[2],
                            const int16_t b1[2], const int limit_y) {
    return vectors_apart(a0, b0, limit_y) || vectors_apart(a1, b1, limit_y);
}

static unsigned apart_left(const int16_t (*const q)[2], const int16_t (*const p)[2],
                           const int16_t (*const left)[2], const int limit_y) {
    unsigned mask = 0;
    for (int i = 0; i < 16; i++)
        mask |= (unsigned)vectors_apart(q[i], i % 4 ? p[i - 1] : left[i + 3], limit_y) << i;
    return mask;
}

static unsigned apart_top(const int16_t (*const q)[2], const int16_t (*const p)[2],
                          const int16_t (*const top)[2], const int limit_y) {
    unsigned mask = 0;
    for (int i = 0; i < 16; i++)
        mask |= (unsigned)vectors_apart(q[i], i < 4 ? top[i + 12] : p[i - 4], limit_y) << i;
    return mask;
}

#endif

enum {
    LEFT,
    TOP
};

CORE_INLINE unsigned apart(const int dir, const int16_t (*const q)[2], const int16_t (*const p)[2],
                           const int16_t (*const other)[2], const int limit_y) {
    return dir == LEFT ? apart_left(q, p, other, limit_y) : apart_top(q, p, other, limit_y);
}

CORE_INLINE void before(const int dir, const int32_t own[4], const int32_t other[4],
                        int32_t out[4]) {
    if (dir == LEFT)
        before_left(own, other, out);
    else
        before_top(own, other, out);
}

// Edges of one direction across which motion differs; `other` is the neighbour in that direction.
CORE_INLINE unsigned motion_mask(const int dir, const mb_motion *const own,
                                 const mb_motion *const other, const bool field,
                                 const bool two_lists) {
    const uint16_t *const spread = dir == LEFT ? left_blocks : upper_blocks;
    const int inner =
        dir == LEFT ? 1 : 4;           // from the first blocks of a quarter to the others, in bits
    const int limit_y = field ? 2 : 4; // quarter rows of the field are half rows of the frame
    const reference_keys k = keys_of(own, field), o = keys_of(other, field);
    reference_keys p;
    before(dir, k.list[0], o.list[0], p.list[0]);
    unsigned straight = differing(k.list[0], p.list[0], spread) |
                        apart(dir, own->mv[0], own->mv[0], other->mv[0], limit_y);
    if (!two_lists)
        return straight;
    before(dir, k.list[1], o.list[1], p.list[1]);
    straight |= differing(k.list[1], p.list[1], spread) |
                apart(dir, own->mv[1], own->mv[1], other->mv[1], limit_y);
    if (!straight)
        return 0;
    return straight &
           (differing(k.list[0], p.list[1], spread) | differing(k.list[1], p.list[0], spread) |
            differing(k.list[0], k.list[1], spread) << inner |
            apart(dir, own->mv[0], own->mv[1], other->mv[1], limit_y) |
            apart(dir, own->mv[1], own->mv[0], other->mv[0], limit_y));
}

static bool uses_list1(const mb_motion *const m) {
    static const int32_t none[4] = {NO_UID, NO_UID, NO_UID, NO_UID};
    return memcmp(m->uid[1], none, sizeof(none)) != 0;
}

// Bit 4 * row + column becomes bit 4 * column + row, in both halves.
CORE_INLINE uint32_t transposed(uint32_t m) {
    uint32_t t = (m ^ m >> 3) & 0x0a0a0a0a;
    m ^= t ^ t << 3;
    t = (m ^ m >> 6) & 0x00cc00cc;
    return m ^ t ^ t << 6;
}

// An int, since clang warns of | between truth values, which is meant here: no branch
CORE_INLINE int other_references(const whole_motion *const a, const int list_a,
                                 const whole_motion *const b, const int list_b) {
    return a->key[list_a] != b->key[list_b];
}

// Strength 1 between macroblocks that move as one each
CORE_INLINE bool differ_as_wholes(const whole_motion *const a, const whole_motion *const b,
                                  const bool field) {
    const int limit_y = field ? 2 : 4;
    const bool straight = other_references(a, 0, b, 0) | other_references(a, 1, b, 1) |
                          pair_apart(a->mv[0], a->mv[1], b->mv[0], b->mv[1], limit_y);
    return straight && (other_references(a, 0, b, 1) | other_references(a, 1, b, 0) |
                        pair_apart(a->mv[0], a->mv[1], b->mv[1], b->mv[0], limit_y));
}

// motion_mask of macroblocks that move in parts: kept apart, because most do not
static CORE_NOINLINE unsigned mask_of_blocks(const int dir, const mb_motion *const own,
                                             const mb_motion *const other, const bool field) {
    const bool two_lists = uses_list1(own) || uses_list1(other);
    if (dir == LEFT)
        return two_lists ? motion_mask(LEFT, own, other, field, true)
                         : motion_mask(LEFT, own, other, field, false);
    return two_lists ? motion_mask(TOP, own, other, field, true)
                     : motion_mask(TOP, own, other, field, false);
}

// motion_mask, block by block only where that is needed. first: blocks at the edge to the
// neighbour.
CORE_INLINE unsigned direction_mask(const h264_decoder *const dec, const int dir, const int addr,
                                    const int neighbour, const bool field, const unsigned first) {
    const mb_motion *const own = &dec->cur->motion[addr];
    const mb_info *const mb = &dec->mb[addr], *const other =
                                                  &dec->mb[neighbour < 0 ? addr : neighbour];
    if (neighbour < 0)
        return mb->moves_as_one ? 0 : mask_of_blocks(dir, own, own, field) & ~first;
    if (!mb->moves_as_one || !other->moves_as_one)
        return mask_of_blocks(dir, own, &dec->cur->motion[neighbour], field);
    return differ_as_wholes(&mb->whole, &other->whole, field) ? first : 0;
}

void h264_edge_masks(const h264_decoder *const dec, const int addr, const int left, const int top,
                     const bool field, edge_masks *const out) {
    const mb_info *const mb = dec->mb;
    const unsigned own = mb[addr].nonzero;
    const unsigned from_left = left < 0 ? 0 : mb[left].nonzero >> 3 & FIRST_COLUMN;
    const unsigned from_top = top < 0 ? 0 : (unsigned)mb[top].nonzero >> 12;
    const unsigned v = own | (own << 1 & (0xffff ^ FIRST_COLUMN)) | from_left;
    const unsigned h = own | (own << 4 & (0xffff ^ FIRST_ROW)) | from_top;
    const unsigned two[2] = {left < 0 ? v & (0xffff ^ FIRST_COLUMN) : v,
                             top < 0 ? h & (0xffff ^ FIRST_ROW) : h};
    const unsigned one[2] = {direction_mask(dec, LEFT, addr, left, field, FIRST_COLUMN) & ~two[0],
                             direction_mask(dec, TOP, addr, top, field, FIRST_ROW) & ~two[1]};
    const uint32_t columns = transposed(two[0] | one[0] << 16);
    out->coefficients[0] = (uint16_t)columns;
    out->coefficients[1] = (uint16_t)two[1];
    out->motion[0] = (uint16_t)(columns >> 16);
    out->motion[1] = (uint16_t)one[1];
}
