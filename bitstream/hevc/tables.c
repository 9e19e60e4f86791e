/* 6.5: scan orders and conversions of addresses; 7.4.5: scaling factors; Table 8-10. */
#include <stdlib.h>

#include "internal.h"

const uint8_t hevc_scan_2x2[3][4][2] = {{{0, 0}, {0, 1}, {1, 0}, {1, 1}},
                                        {{0, 0}, {1, 0}, {0, 1}, {1, 1}},
                                        {{0, 0}, {0, 1}, {1, 0}, {1, 1}}};

const uint8_t hevc_scan_4x4[3][16][2] = {{{0, 0},
                                          {0, 1},
                                          {1, 0},
                                          {0, 2},
                                          {1, 1},
                                          {2, 0},
                                          {0, 3},
                                          {1, 2},
                                          {2, 1},
                                          {3, 0},
                                          {1, 3},
                                          {2, 2},
                                          {3, 1},
                                          {2, 3},
                                          {3, 2},
                                          {3, 3}},
                                         {{0, 0},
                                          {1, 0},
                                          {2, 0},
                                          {3, 0},
                                          {0, 1},
                                          {1, 1},
                                          {2, 1},
                                          {3, 1},
                                          {0, 2},
                                          {1, 2},
                                          {2, 2},
                                          {3, 2},
                                          {0, 3},
                                          {1, 3},
                                          {2, 3},
                                          {3, 3}},
                                         {{0, 0},
                                          {0, 1},
                                          {0, 2},
                                          {0, 3},
                                          {1, 0},
                                          {1, 1},
                                          {1, 2},
                                          {1, 3},
                                          {2, 0},
                                          {2, 1},
                                          {2, 2},
                                          {2, 3},
                                          {3, 0},
                                          {3, 1},
                                          {3, 2},
                                          {3, 3}}};

#define DIAGONAL_8x8                                                                               \
    {                                                                                              \
        {0, 0}, {0, 1}, {1, 0}, {0, 2}, {1, 1}, {2, 0}, {0, 3}, {1, 2}, {2, 1}, {3, 0}, {0, 4},    \
        {1, 3}, {2, 2}, {3, 1}, {4, 0}, {0, 5}, {1, 4}, {2, 3}, {3, 2}, {4, 1}, {5, 0}, {0, 6},    \
        {1, 5}, {2, 4}, {3, 3}, {4, 2}, {5, 1}, {6, 0}, {0, 7}, {1, 6}, {2, 5}, {3, 4}, {4, 3},    \
        {5, 2}, {6, 1}, {7, 0}, {1, 7}, {2, 6}, {3, 5}, {4, 4}, {5, 3}, {6, 2}, {7, 1}, {2, 7},    \
        {3, 6}, {4, 5}, {5, 4}, {6, 3}, {7, 2}, {3, 7}, {4, 6}, {5, 5}, {6, 4}, {7, 3}, {4, 7},    \
        {5, 6}, {6, 5}, {7, 4}, {5, 7}, {6, 6}, {7, 5}, {6, 7}, {7, 6}, {7, 7},                    \
    }

// Sub-blocks of a 32x32 block; those of smaller blocks are scanned by the tables above.
const uint8_t hevc_scan_8x8[3][64][2] = {DIAGONAL_8x8, DIAGONAL_8x8, DIAGONAL_8x8};

const motion hevc_no_motion = {.poc = {NO_POC, NO_POC}, .ref_idx = {-1, -1}};

const uint8_t hevc_QpC[58] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                              15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
                              29, 30, 31, 32, 33, 33, 34, 34, 35, 35, 36, 36, 37, 37, 38,
                              39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51};

// ------------------------------------------------------------------------- tiles, 6.5.1 and 6.5.2

static bool tile_bounds(int *const bound, const int n, const bool uniform,
                        const int *const size_minus1, const int total) {
    bound[0] = 0;
    for (int i = 0; i < n; i++) {
        if (uniform)
            bound[i + 1] = (i + 1) * total / n;
        else
            bound[i + 1] = i == n - 1 ? total : bound[i] + size_minus1[i] + 1;
        if (bound[i + 1] <= bound[i] || bound[i + 1] > total)
            return false;
    }
    return true;
}

static bool scan_ctbs(layout *const lay, const sps *const s, const pps *const p) {
    int column[MAX_TILE_COLUMNS + 1], row[MAX_TILE_ROWS + 1];
    const int w = s->PicWidthInCtbs, h = s->PicHeightInCtbs;
    if (!tile_bounds(column, p->num_tile_columns, p->uniform_spacing_flag, p->column_width_minus1,
                     w) ||
        !tile_bounds(row, p->num_tile_rows, p->uniform_spacing_flag, p->row_height_minus1, h))
        return false;
    int ts = 0, tile = 0;
    for (int j = 0; j < p->num_tile_rows; j++)
        for (int i = 0; i < p->num_tile_columns; i++, tile++)
            for (int y = row[j]; y < row[j + 1]; y++)
                for (int x = column[i]; x < column[i + 1]; x++, ts++) {
                    lay->CtbAddrTsToRs[ts] = y * w + x;
                    lay->CtbAddrRsToTs[y * w + x] = ts;
                    lay->TileId[ts] = tile;
                }
    return true;
}

static void scan_min_tbs(layout *const lay, const sps *const s) {
    const int d = s->CtbLog2SizeY - s->MinTbLog2SizeY;
    for (int y = 0; y < s->PicHeightInMinTbs; y++)
        for (int x = 0; x < s->PicWidthInMinTbs; x++) {
            const int ctb = s->PicWidthInCtbs * (y >> d) + (x >> d);
            int32_t v = lay->CtbAddrRsToTs[ctb] << (2 * d);
            for (int i = 0; i < d; i++)
                v += ((x >> i & 1) << (2 * i)) + ((y >> i & 1) << (2 * i + 1));
            lay->MinTbAddrZs[y * s->PicWidthInMinTbs + x] = v;
        }
}

// ------------------------------------------------------------------------- scaling factors, 7.4.5

static void scaling_factors(layout *const lay, const scaling_list *const list) {
    for (int m = 0; m < 6; m++) {
        for (int i = 0; i < 16; i++) {
            const uint8_t *const at = hevc_scan_4x4[0][i];
            lay->ScalingFactor[0][m][at[1] * 4 + at[0]] = list->list4x4[m][i];
        }
        for (int sizeId = 1; sizeId < 4; sizeId++) {
            uint8_t *const to = lay->ScalingFactor[sizeId][m];
            const int n = 4 << sizeId, ratio = n / 8;
            uint8_t raster[64];
            for (int i = 0; i < 64; i++)
                raster[hevc_scan_8x8[0][i][1] * 8 + hevc_scan_8x8[0][i][0]] =
                    list->list8x8[sizeId - 1][m][i];
            for (int y = 0; y < n; y++)
                for (int x = 0; x < n; x++)
                    to[y * n + x] = raster[y / ratio * 8 + x / ratio];
            if (sizeId > 1)
                to[0] = list->dc[sizeId - 2][m];
        }
    }
}

int hevc_layout_init(layout *const lay, const sps *const s, const pps *const p) {
    const size_t ctbs = (size_t)s->PicWidthInCtbs * (size_t)s->PicHeightInCtbs;
    const size_t tbs = (size_t)s->PicWidthInMinTbs * (size_t)s->PicHeightInMinTbs;
    int32_t *const memory = malloc((3 * ctbs + tbs) * sizeof *memory);
    if (memory == NULL)
        return HEVC_NOMEM;
    free(lay->memory);
    lay->memory = memory;
    lay->CtbAddrRsToTs = memory;
    lay->CtbAddrTsToRs = memory + ctbs;
    lay->TileId = memory + 2 * ctbs;
    lay->MinTbAddrZs = memory + 3 * ctbs;
    if (!scan_ctbs(lay, s, p))
        return HEVC_CORRUPT;
    scan_min_tbs(lay, s);
    if (s->scaling_list_enabled_flag)
        scaling_factors(lay, p->scaling_list_data_present_flag ? &p->scaling : &s->scaling);
    return HEVC_OK;
}

bool hevc_block_available(const hevc_decoder *const dec, const int ctb) {
    const int index = dec->ctb_slice[ctb];
    return index >= 0 && dec->filters[index].SliceAddrRs == dec->slice.hdr.SliceAddrRs &&
           dec->lay.TileId[dec->lay.CtbAddrRsToTs[ctb]] == dec->lay.TileId[dec->slice.CtbAddrInTs];
}
