/* 8.6.4.2: the inverse transforms of one block, by the matrices of the standard; see kernels.c. */
static int32_t clip16(const int64_t v) {
    return (int32_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

// One dimension: out[i] = sum over k of c[k] * matrix[k][i], the first `used` coefficients only.
// The even and odd rows of the cosine matrix are symmetric and antisymmetric.
static void inverse_dct(const int32_t *const c, const int step, const int used, const int log2,
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

static void inverse_dst(const int32_t *const c, const int step, int32_t *const out) {
    for (int i = 0; i < 4; i++) {
        out[i] = 0;
        for (int k = 0; k < 4; k++)
            out[i] += c[k * step] * dst_matrix[k][i];
    }
}

static void inverse_transform(int32_t *const coeff, int32_t *const residual, const int log2,
                              const bool is_dst, const int depth) {
    const int n = 1 << log2, shift = 20 - depth;
    const int32_t round = 1 << (shift - 1);
    int32_t out[32];
    int rows = 0, columns = 0; // that hold coefficients
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            if (coeff[y * n + x] != 0) {
                rows = y + 1;
                columns = imax(columns, x + 1);
            }
    for (int x = 0; x < columns; x++) { // first stage: columns
        if (is_dst)
            inverse_dst(coeff + x, n, out);
        else
            inverse_dct(coeff + x, n, rows, log2, out);
        for (int y = 0; y < n; y++)
            coeff[y * n + x] = clip16((out[y] + 64) >> 7);
    }
    for (int y = 0; y < n; y++) {
        if (is_dst)
            inverse_dst(coeff + y * n, 1, out);
        else
            inverse_dct(coeff + y * n, 1, columns, log2, out);
        for (int x = 0; x < n; x++)
            residual[y * n + x] = (out[x] + round) >> shift;
    }
}
