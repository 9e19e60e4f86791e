/* 8.6.4.2: the inverse transforms of one block, by the matrices of the standard; see kernels.c. */
static int32_t clip16(const int64_t v) {
    return (int32_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

// One dimension: out[i] = sum over k of c[k * step] * matrix[k][i], the first `used` coefficients
// only. The even and odd rows of the cosine matrix are symmetric and antisymmetric.
static void dct(const int32_t *const c, const int step, const int used, const int log2,
                int32_t *const out) {
    const int n = 1 << log2, rows = 32 >> log2;
    int32_t even[16], odd[16];
    for (int i = 0; i < n / 2; i++)
        even[i] = odd[i] = 0;
    for (int k = 0; k < used; k++) {
        const int32_t v = c[k * step];
        if (v == 0)
            continue;
        const int16_t *const row = transMatrix[k * rows];
        int32_t *const sum = k % 2 == 0 ? even : odd;
        for (int i = 0; i < n / 2; i++)
            sum[i] += v * row[i];
    }
    for (int i = 0; i < n / 2; i++) {
        out[i] = even[i] + odd[i];
        out[n - 1 - i] = even[i] - odd[i];
    }
}

static inline void inverse_dct(const int32_t *const coeff, int32_t *const residual, const int log2,
                               const int columns, const int rows, const int depth) {
    const int n = 1 << log2, shift = 20 - depth;
    const int32_t round = 1 << (shift - 1);
    int32_t out[32], mid[32 * 32];
    for (int x = 0; x < columns; x++) { // first stage: columns
        dct(coeff + x, n, rows, log2, out);
        for (int y = 0; y < n; y++)
            mid[y * n + x] = clip16((out[y] + 64) >> 7);
    }
    for (int y = 0; y < n; y++) {
        dct(mid + y * n, 1, columns, log2, out);
        for (int x = 0; x < n; x++)
            residual[y * n + x] = (out[x] + round) >> shift;
    }
}

static void inverse_dst(const int32_t *const coeff, int32_t *const residual, const int depth) {
    const int shift = 20 - depth;
    const int32_t round = 1 << (shift - 1);
    int32_t mid[16];
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++) {
            int32_t sum = 64;
            for (int k = 0; k < 4; k++)
                sum += coeff[4 * k + x] * dst_matrix[k][y];
            mid[4 * y + x] = clip16(sum >> 7);
        }
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++) {
            int32_t sum = round;
            for (int k = 0; k < 4; k++)
                sum += mid[4 * y + k] * dst_matrix[k][x];
            residual[4 * y + x] = sum >> shift;
        }
}

#define INVERSE_DCT(log2)                                                                          \
    static void inverse_dct_##log2(const int32_t *const coeff, int32_t *const residual,            \
                                   const int columns, const int rows, const int depth) {           \
        inverse_dct(coeff, residual, log2, columns, rows, depth);                                  \
    }
INVERSE_DCT(2)
INVERSE_DCT(3)
INVERSE_DCT(4)
INVERSE_DCT(5)
#undef INVERSE_DCT

static void fill_transforms(kernels *const k) {
    k->inverse_dct[0] = inverse_dct_2;
    k->inverse_dct[1] = inverse_dct_3;
    k->inverse_dct[2] = inverse_dct_4;
    k->inverse_dct[3] = inverse_dct_5;
    k->inverse_dst = inverse_dst;
}
