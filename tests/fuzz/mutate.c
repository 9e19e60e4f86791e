/* What libFuzzer does to a stream between runs: NAL units are dropped, doubled, moved, changed in
 * type, put in from another stream, or changed inside, each about as often. Parameter sets so come
 * to stand between slices, before output, and after the pictures that they replace. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_UNITS = 512
};

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max_size, unsigned seed);

// Where the NAL units of a stream begin, and after the last its size
typedef struct unit_list {
    size_t n, at[MAX_UNITS + 1];
} unit_list;

static uint32_t next_random(uint32_t *const state) { // xorshift32
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static size_t below(uint32_t *const state, const size_t n) {
    return n ? next_random(state) % n : 0;
}

static unit_list find_units(const uint8_t *const data, const size_t size) {
    unit_list u = {.n = 0};
    for (size_t i = 0; i + 3 < size && u.n < MAX_UNITS; i++)
        if (data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1) {
            u.at[u.n++] = i;
            i += 2;
        }
    u.at[u.n] = size;
    return u;
}

// Puts n bytes in at `at`; the size that results
static size_t insert(uint8_t *const data, const size_t size, const size_t max_size, const size_t at,
                     const uint8_t *const piece, const size_t n) {
    if (size + n > max_size)
        return size;
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, piece, n);
    return size + n;
}

static size_t erase(uint8_t *const data, const size_t size, const size_t at, const size_t n) {
    memmove(data + at, data + at + n, size - at - n);
    return size - n;
}

// Unit i once more before unit j, and with `move` no longer where it was
static size_t copy_unit(uint8_t *const data, size_t size, const size_t max_size,
                        const unit_list *const u, const size_t i, const size_t j, const int move) {
    const size_t n = u->at[i + 1] - u->at[i], before = size;
    uint8_t *const piece = malloc(n);
    if (piece == NULL)
        return size;
    memcpy(piece, data + u->at[i], n);
    size = insert(data, size, max_size, u->at[j], piece, n);
    free(piece);
    if (!move || size == before)
        return size;
    return erase(data, size, u->at[i] + (j <= i ? n : 0), n);
}

static size_t change_inside(uint8_t *const data, const size_t size, const size_t max_size,
                            const unit_list *const u, const size_t i) {
    const size_t start = u->at[i] + 4, end = u->at[i + 1];
    if (start >= end)
        return size;
    const size_t room = max_size - size + end - start;
    uint8_t *const piece = malloc(room);
    if (piece == NULL)
        return size;
    memcpy(piece, data + start, end - start);
    const size_t n = LLVMFuzzerMutate(piece, end - start, room);
    memmove(data + start + n, data + end, size - end);
    memcpy(data + start, piece, n);
    free(piece);
    return size - (end - start) + n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *const data, const size_t size, const size_t max_size,
                               const unsigned seed) {
    uint32_t state = seed * 2654435761u | 1;
    const unit_list u = find_units(data, size);
    if (u.n < 2 || next_random(&state) % 8 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    const size_t i = below(&state, u.n), j = below(&state, u.n);
    switch (next_random(&state) % 8) {
    case 0: return erase(data, size, u.at[i], u.at[i + 1] - u.at[i]);
    case 1: return copy_unit(data, size, max_size, &u, i, i, 0);
    case 2: return copy_unit(data, size, max_size, &u, i, j, 0);
    case 3: return copy_unit(data, size, max_size, &u, i, j, 1);
    case 4: data[u.at[i] + 3] = (uint8_t)next_random(&state); return size;
    default: return change_inside(data, size, max_size, &u, i);
    }
}

// Some NAL units of b, put in one after another anywhere in a
size_t LLVMFuzzerCustomCrossOver(const uint8_t *const a, const size_t a_size,
                                 const uint8_t *const b, const size_t b_size, uint8_t *const out,
                                 const size_t max_size, const unsigned seed) {
    uint32_t state = seed * 2654435761u | 1;
    size_t size = a_size < max_size ? a_size : max_size;
    memcpy(out, a, size);
    const unit_list from = find_units(b, b_size);
    for (size_t left = 1 + next_random(&state) % 4; left > 0 && from.n > 0; left--) {
        const unit_list to = find_units(out, size);
        const size_t i = below(&state, from.n), j = below(&state, to.n + 1);
        size = insert(out, size, max_size, to.at[j], b + from.at[i], from.at[i + 1] - from.at[i]);
    }
    return size;
}
