/* A deflate encoder for planes and maps. Encoders for everything look for matches at every byte,
 * which takes most of their time; in planes hardly any are worth it but two: where nothing happens
 * the next byte is the byte before, or the one a row above. So no others are tried, and word by
 * word. All else are literals, under one set of Huffman codes a stream. (The fastest library,
 * ISA-L, takes 1.8 times as long for decoded planes; files of real videos are between 8 % smaller
 * and 5 % larger than its.) */
#include "deflate.h"

#include <stdbool.h>
#include <string.h>

#include "../coding/bits.h"
#include "../coding/compiler.h"

// RFC 1951, 3.2.4 to 3.2.7
enum {
    END_OF_BLOCK = 256,
    FIRST_LENGTH = 257,
    SYMBOLS = 286, // literals, the end of the block, lengths
    DISTANCES = 30,
    SHORTEST = 3, // match
    LONGEST = 258,
    FARTHEST = 32768,
    STORED_BLOCK = 65535, // bytes
    LENGTH_SYMBOLS = 19,  // of code lengths
    SOME_ZEROS = 17,      // 3 to 10 code lengths of 0
    MANY_ZEROS = 18       // 11 to 138
};
enum {
    MOST_BITS = 12, // of a symbol: four fit into 64 bits beside what is left from before
    WORD = 8,       // bytes that are looked at together
    BLOCK = 32,
    HEADER = 168 // bytes before the first symbol, at most
};

// ---------------------------------------------------------------------------------- checksum

enum {
    ADLER_MODULUS = 65521,
    ADLER_BLOCKS = 173 // after which the sums of a and b still fit into 32 bits
};

/* RFC 1950, 8.2: a is 1 and all bytes together, b all values that a has. Both sums are made by
 * columns of blocks: vectors that wait for nothing. */
CORE_VECTORS static uint32_t adler32(const uint8_t *p, size_t size) {
    uint32_t a = 1, b = 0;
    while (size >= BLOCK) {
        const size_t blocks = size / BLOCK < ADLER_BLOCKS ? size / BLOCK : ADLER_BLOCKS;
        uint16_t column[BLOCK] = {0};
        uint32_t before[BLOCK] = {0}; // sum of the column's values, block by block
        for (size_t k = 0; k < blocks; k++, p += BLOCK)
            for (int i = 0; i < BLOCK; i++) {
                before[i] += column[i];
                column[i] = (uint16_t)(column[i] + p[i]);
            }
        b += (uint32_t)blocks * BLOCK * a;
        for (int i = 0; i < BLOCK; i++) {
            a += column[i];
            b += BLOCK * before[i] + (uint32_t)(BLOCK - i) * column[i];
        }
        a %= ADLER_MODULUS;
        b %= ADLER_MODULUS;
        size -= blocks * BLOCK;
    }
    for (; size > 0; size--) {
        a += *p++;
        b += a;
    }
    return b % ADLER_MODULUS << 16 | a % ADLER_MODULUS;
}

// ----------------------------------------------------------------------------------- matches

// Literals, and then bytes that are those at distance 1, or at the period, before them
typedef struct token {
    uint32_t literals;
    uint32_t matched; // 0 at the end; else made of matches of LONGEST and a rest that is one
    bool periodic;
} token;

// The first byte lowermost, whatever the processor's order is
CORE_INLINE uint64_t little_endian(const uint64_t word) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

CORE_INLINE uint64_t load(const uint8_t *const p) {
    uint64_t word;
    memcpy(&word, p, WORD);
    return little_endian(word);
}

// How many of a word's first bytes are 0
CORE_INLINE size_t zeros_first(uint64_t word) {
#if defined(__GNUC__)
    return word ? (size_t)__builtin_ctzll(word) >> 3 : WORD;
#else
    size_t n = 0;
    for (; n < WORD && !(word & 255); word >>= 8)
        n++;
    return n;
#endif
}

// How many of its last
CORE_INLINE size_t zeros_last(const uint64_t word) {
    const uint32_t high = (uint32_t)(word >> 32), low = (uint32_t)word;
    if (high)
        return (size_t)bits_leading_zeros(high) >> 3;
    return low ? 4 + ((size_t)bits_leading_zeros(low) >> 3) : WORD;
}

// How many bytes from p on are those at a distance before them; a few at the end do not count
static size_t repeated(const uint8_t *const p, const size_t distance, const size_t most) {
    const uint8_t *const q = p - distance;
    size_t n = 0;
    for (; n + BLOCK <= most; n += BLOCK) {
        uint64_t differ = 0;
        for (size_t k = 0; k < BLOCK; k += WORD)
            differ |= load(p + n + k) ^ load(q + n + k);
        if (differ)
            break;
    }
    for (; n + WORD <= most; n += WORD) {
        const uint64_t differ = load(p + n) ^ load(q + n);
        if (differ)
            return n + zeros_first(differ);
    }
    return n;
}

/* Words are looked at one after the other; where a whole one is as before, the match is drawn out
 * to both sides. */
static size_t find_matches(const uint8_t *const from, const size_t size, const size_t period,
                           token *const tokens) {
    token *t = tokens;
    size_t done = 0, p = WORD;
    uint64_t run = UINT64_MAX, row = UINT64_MAX; // how a word differs from what is before it
    while (p + WORD <= size) {
        const uint64_t word = load(from + p), run_before = run, row_before = row;
        run = word ^ load(from + p - 1);
        row = p >= period ? word ^ load(from + p - period) : UINT64_MAX;
        if (run && row) {
            p += WORD;
            continue;
        }
        const bool periodic = run != 0;
        const size_t distance = periodic ? period : 1;
        size_t back = zeros_last(periodic ? row_before : run_before);
        if (back > p - done)
            back = p - done;
        if (periodic && back > p - period)
            back = p - period;
        size_t n = back + WORD + repeated(from + p + WORD, distance, size - p - WORD);
        if (n > LONGEST && n % LONGEST < SHORTEST)
            n -= n % LONGEST;
        p -= back;
        *t++ = (token){(uint32_t)(p - done), (uint32_t)n, periodic};
        p += n;
        done = p;
        run = row = UINT64_MAX;
    }
    *t++ = (token){(uint32_t)(size - done), 0, false};
    return (size_t)(t - tokens);
}

// ----------------------------------------------------------------------------------- symbols

// A number as a symbol and further bits
typedef struct coded {
    unsigned symbol, more, n;
} coded;

// Numbers from 0 on: the first 2 << low are symbols, then 1 << low symbols share each size
static coded coded_number(const unsigned number, const int low) {
    if (number < 2u << low)
        return (coded){number, 0, 0};
    const unsigned n = 31u - (unsigned)(bits_leading_zeros(number) + low);
    return (coded){(n << low) + (number >> n), number & ((1u << n) - 1), n};
}

static coded coded_length(const unsigned length) {
    if (length == LONGEST)
        return (coded){SYMBOLS - 1, 0, 0};
    coded c = coded_number(length - SHORTEST, 2);
    c.symbol += FIRST_LENGTH;
    return c;
}

typedef struct counts {
    uint32_t literal[4][256]; // by their place, so that none waits for the one before
    uint32_t length[LONGEST + 1];
    uint32_t symbol[SYMBOLS];
    uint32_t matches, periodic;
} counts;

static void count(counts *const c, const uint8_t *p, const token *const tokens, const size_t n) {
    memset(c, 0, sizeof *c);
    for (const token *t = tokens; t < tokens + n; t++) {
        uint32_t left = t->literals;
        for (; left >= WORD; left -= WORD, p += WORD)
            for (unsigned k = 0; k < WORD; k++)
                c->literal[k & 3][p[k]]++;
        for (unsigned k = 0; k < WORD; k++) // no branches: their number cannot be foreseen
            c->literal[k & 3][p[k]] += k < left;
        p += left + t->matched;
        const uint32_t whole = t->matched / LONGEST, rest = t->matched % LONGEST;
        c->length[LONGEST] += whole;
        c->length[rest]++;
        c->matches += whole + (rest > 0);
        c->periodic += t->periodic ? whole + (rest > 0) : 0;
    }
    for (int k = 0; k < END_OF_BLOCK; k++)
        c->symbol[k] = c->literal[0][k] + c->literal[1][k] + c->literal[2][k] + c->literal[3][k];
    c->symbol[END_OF_BLOCK] = 1;
    for (unsigned k = SHORTEST; k <= LONGEST; k++)
        if (c->length[k])
            c->symbol[coded_length(k).symbol] += c->length[k];
}

// ------------------------------------------------------------------------------------- codes

typedef struct code {
    uint32_t bits; // the first lowermost
    uint32_t n;
} code;

// Symbols that occur, the rarest first; returns how many
static unsigned by_count(const uint32_t *const count, const unsigned symbols, uint16_t *order) {
    uint16_t other[SYMBOLS], *from = order, *to = other;
    uint32_t most = 0;
    unsigned used = 0;
    for (unsigned k = 0; k < symbols; k++)
        if (count[k]) {
            order[used++] = (uint16_t)k;
            most = count[k] > most ? count[k] : most;
        }
    for (unsigned shift = 0; shift < 32 && most >> shift; shift += 8) { // byte by byte
        unsigned first[257] = {0};
        for (unsigned k = 0; k < used; k++)
            first[1 + (count[from[k]] >> shift & 255)]++;
        for (unsigned k = 0; k < 256; k++)
            first[k + 1] += first[k];
        for (unsigned k = 0; k < used; k++)
            to[first[count[from[k]] >> shift & 255]++] = from[k];
        uint16_t *const swapped = from;
        from = to;
        to = swapped;
    }
    if (from != order)
        memcpy(order, from, used * sizeof *order);
    return used;
}

/* Huffman code lengths of at most MOST_BITS. In the tree, node `used` and the ones after it join
 * the two lightest that are not joined yet: leaves and joined nodes both come in order of weight.
 */
static void code_lengths(const uint32_t *const count, const unsigned symbols,
                         uint8_t *const length) {
    uint16_t order[SYMBOLS], parent[2 * SYMBOLS];
    uint32_t weight[2 * SYMBOLS];
    uint8_t depth[2 * SYMBOLS];
    unsigned n_of[MOST_BITS + 1] = {0};
    const unsigned used = by_count(count, symbols, order);
    memset(length, 0, symbols);
    for (unsigned k = 0; k < used; k++)
        weight[k] = count[order[k]];
    const unsigned root = 2 * used - 2;
    for (unsigned node = used, leaf = 0, joined = used; node <= root; node++) {
        weight[node] = 0;
        for (int side = 0; side < 2; side++) {
            const bool is_leaf = leaf < used && (joined == node || weight[leaf] <= weight[joined]);
            const unsigned child = is_leaf ? leaf++ : joined++;
            weight[node] += weight[child];
            parent[child] = (uint16_t)node;
        }
    }
    depth[root] = 0;
    for (unsigned k = root; k-- > 0;) {
        depth[k] = (uint8_t)(depth[parent[k]] + 1);
        if (k < used)
            n_of[depth[k] < MOST_BITS ? depth[k] : MOST_BITS]++;
    }
    // what was cut makes the sum of 2^-length too large: others are made longer, one bit at a time
    unsigned sum = 0;
    for (unsigned k = 1; k <= MOST_BITS; k++)
        sum += n_of[k] << (MOST_BITS - k);
    for (; sum > 1u << MOST_BITS; sum--) {
        unsigned k = MOST_BITS - 1;
        while (n_of[k] == 0)
            k--;
        n_of[k]--;
        n_of[k + 1] += 2;
        n_of[MOST_BITS]--;
    }
    for (unsigned k = MOST_BITS, i = 0; k > 0; k--)
        for (unsigned left = n_of[k]; left > 0; left--)
            length[order[i++]] = (uint8_t)k;
}

// RFC 1951, 3.2.2
static void make_codes(const uint8_t *const length, const unsigned symbols, code *const codes) {
    unsigned n_of[MOST_BITS + 1] = {0}, next[MOST_BITS + 1] = {0};
    for (unsigned k = 0; k < symbols; k++)
        n_of[length[k]]++;
    n_of[0] = 0;
    for (unsigned k = 1; k <= MOST_BITS; k++)
        next[k] = (next[k - 1] + n_of[k - 1]) << 1;
    for (unsigned k = 0; k < symbols; k++) {
        const unsigned n = length[k];
        unsigned v = next[n]++;
        v = (v >> 1 & 0x5555) | (v & 0x5555) << 1; // the 16 bits in reverse
        v = (v >> 2 & 0x3333) | (v & 0x3333) << 2;
        v = (v >> 4 & 0x0f0f) | (v & 0x0f0f) << 4;
        v = (v >> 8 & 0x00ff) | (v & 0x00ff) << 8;
        codes[k] = (code){n ? v >> (16 - n) : 0, n};
    }
}

// ----------------------------------------------------------------------------------- writing

typedef struct writer {
    uint8_t *to;
    uint64_t held; // bits
    unsigned n;    // how many; below 8 after spill()
} writer;

CORE_INLINE void put(writer *const w, const code c) {
    w->held |= (uint64_t)c.bits << w->n;
    w->n += c.n;
}

CORE_INLINE void spill(writer *const w) {
    const uint64_t bytes = little_endian(w->held);
    memcpy(w->to, &bytes, WORD);
    w->to += w->n >> 3;
    w->held >>= w->n & ~7u;
    w->n &= 7;
}

CORE_INLINE void put_bits(writer *const w, const uint32_t bits, const unsigned n) {
    put(w, (code){bits, n});
    spill(w);
}

// Four at once wait less for each other
CORE_INLINE void put_four(writer *const w, const code a, const code b, const code c, const code d) {
    const uint64_t ab = a.bits | b.bits << a.n, cd = c.bits | d.bits << c.n;
    w->held |= (ab | cd << (a.n + b.n)) << w->n;
    w->n += a.n + b.n + c.n + d.n;
    spill(w);
}

CORE_INLINE code if_any(const code c, const bool any) {
    return (code){any ? c.bits : 0, any ? c.n : 0};
}

CORE_SHIFTS static writer write_symbols(writer w, const uint8_t *p, const token *const tokens,
                                        const size_t n, const code *const literal,
                                        const code *const length, const code *const distance) {
    for (const token *t = tokens; t < tokens + n; t++) {
        uint32_t left = t->literals;
        for (; left >= WORD; left -= WORD, p += WORD) {
            put_four(&w, literal[p[0]], literal[p[1]], literal[p[2]], literal[p[3]]);
            put_four(&w, literal[p[4]], literal[p[5]], literal[p[6]], literal[p[7]]);
        }
        put_four(&w, if_any(literal[p[0]], left > 0), if_any(literal[p[1]], left > 1),
                 if_any(literal[p[2]], left > 2), if_any(literal[p[3]], left > 3));
        put_four(&w, if_any(literal[p[4]], left > 4), if_any(literal[p[5]], left > 5),
                 if_any(literal[p[6]], left > 6), (code){0, 0});
        p += left + t->matched;
        for (uint32_t whole = t->matched / LONGEST; whole > 0; whole--) {
            put(&w, length[LONGEST]);
            put(&w, distance[t->periodic]);
            spill(&w);
        }
        const uint32_t rest = t->matched % LONGEST;
        put(&w, length[rest]);
        put(&w, if_any(distance[t->periodic], rest > 0));
        spill(&w);
    }
    put(&w, literal[END_OF_BLOCK]);
    spill(&w);
    return w;
}

// RFC 1951, 3.2.7, for two codes of distances of one bit each, the first and a last one
static writer write_header(writer w, uint8_t *const length, const unsigned last_distance) {
    static const uint8_t ORDER[LENGTH_SYMBOLS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                  11, 4,  12, 3, 13, 2, 14, 1, 15};
    // always the same: one of 3 bits for 0, fourteen of 4 for the other lengths and for zeros
    uint8_t own[LENGTH_SYMBOLS] = {3};
    memset(own + 1, 4, MOST_BITS);
    own[SOME_ZEROS] = own[MANY_ZEROS] = 4;
    code codes[LENGTH_SYMBOLS];
    make_codes(own, LENGTH_SYMBOLS, codes);

    put_bits(&w, 1, 1); // BFINAL
    put_bits(&w, 2, 2); // BTYPE
    put_bits(&w, SYMBOLS - FIRST_LENGTH, 5);
    put_bits(&w, last_distance, 5);
    put_bits(&w, LENGTH_SYMBOLS - 1 - 4, 4); // all but that of 15
    for (unsigned k = 0; k < LENGTH_SYMBOLS - 1; k++)
        put_bits(&w, own[ORDER[k]], 3);

    uint8_t *const distances = length + SYMBOLS;
    memset(distances, 0, DISTANCES);
    distances[0] = distances[last_distance] = 1;
    const unsigned all = SYMBOLS + last_distance + 1;
    for (unsigned k = 0, zeros; k < all; k += zeros) {
        for (zeros = 0; k + zeros < all && length[k + zeros] == 0 && zeros < 138;)
            zeros++;
        if (zeros >= 11) {
            put(&w, codes[MANY_ZEROS]);
            put_bits(&w, zeros - 11, 7);
        } else if (zeros >= 3) {
            put(&w, codes[SOME_ZEROS]);
            put_bits(&w, zeros - 3, 3);
        } else {
            put(&w, codes[length[k]]);
            spill(&w);
            zeros = 1; // one code at any rate
        }
    }
    return w;
}

// RFC 1951, 3.2.4
static uint8_t *write_stored(uint8_t *to, const uint8_t *from, size_t size) {
    do {
        const size_t n = size < STORED_BLOCK ? size : STORED_BLOCK;
        size -= n;
        *to++ = size == 0;
        for (int k = 0; k < 4; k++)
            *to++ = (uint8_t)((k < 2 ? n : ~n) >> 8 * (k & 1));
        memcpy(to, from, n);
        to += n;
        from += n;
    } while (size > 0);
    return to;
}

size_t davd_deflate_bound(const size_t size) {
    return size + (size / STORED_BLOCK + 1) * 5 + HEADER + WORD;
}

size_t davd_deflate_room(const size_t size) {
    return (size / WORD + 2) * sizeof(token);
}

size_t davd_deflate(const uint8_t *const from, const size_t size, size_t period, uint8_t *const to,
                    void *const room) {
    token *const tokens = room;
    counts c;
    uint8_t lengths[SYMBOLS + DISTANCES];
    code codes[SYMBOLS], matches[LONGEST + 1];
    if (period < 2 || period > FARTHEST)
        period = SIZE_MAX;
    const size_t n = find_matches(from, size, period, tokens);
    count(&c, from, tokens, n);
    code_lengths(c.symbol, SYMBOLS, lengths);
    make_codes(lengths, SYMBOLS, codes);

    const coded far = period == SIZE_MAX ? (coded){1, 0, 0} : coded_number((unsigned)period - 1, 1);
    const code distances[2] = {{0, 1}, {1 | far.more << 1, 1 + far.n}};
    uint64_t bits = c.matches + (uint64_t)c.periodic * far.n;
    matches[0] = (code){0, 0};
    for (unsigned k = SHORTEST; k <= LONGEST; k++)
        if (c.length[k]) {
            const coded l = coded_length(k);
            matches[k] =
                (code){codes[l.symbol].bits | l.more << codes[l.symbol].n, codes[l.symbol].n + l.n};
            bits += (uint64_t)c.length[k] * l.n;
        }
    for (unsigned k = 0; k < SYMBOLS; k++)
        bits += (uint64_t)c.symbol[k] * codes[k].n;

    uint8_t *end = to;
    *end++ = 0x78; // deflate, a window of 32768 bytes
    *end++ = 0x01; // fastest; the sixteen bits are a multiple of 31
    if (bits / 8 + HEADER < size) {
        writer w = write_header((writer){end, 0, 0}, lengths, far.symbol);
        w = write_symbols(w, from, tokens, n, codes, matches, distances);
        end = w.to + (w.n > 0);
    } else
        end = write_stored(end, from, size);
    const uint32_t sum = adler32(from, size);
    for (int k = 24; k >= 0; k -= 8)
        *end++ = (uint8_t)(sum >> k);
    return (size_t)(end - to);
}
