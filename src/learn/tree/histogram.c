/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/histogram.h"

#include "learn/tree/bins.h"

#include <stddef.h>
#include <string.h>

enum {
    TILE_GROUPS = 32, /* cells of a tile take 64 kB: measured best between both cache levels */
    AHEAD_ROWS = 16   /* how far ahead of use rows are asked for */
};

/* Eight neighbouring groups: their codes come as one word. */
static inline void add_eight(const uint8_t *codes, int64_t packed, qn_cell_sum *restrict cells)
{
    uint64_t word;
    memcpy(&word, codes, sizeof word);
    cells[word & 255] += packed;
    cells[QN_GROUP_CODES + (word >> 8 & 255)] += packed;
    cells[2 * QN_GROUP_CODES + (word >> 16 & 255)] += packed;
    cells[3 * QN_GROUP_CODES + (word >> 24 & 255)] += packed;
    cells[4 * QN_GROUP_CODES + (word >> 32 & 255)] += packed;
    cells[5 * QN_GROUP_CODES + (word >> 40 & 255)] += packed;
    cells[6 * QN_GROUP_CODES + (word >> 48 & 255)] += packed;
    cells[7 * QN_GROUP_CODES + (word >> 56)] += packed;
}

static inline void add_row(const uint8_t *codes, int64_t packed, int64_t n,
                           qn_cell_sum *restrict cells)
{
    int64_t g = 0;
    for (; g + 8 <= n; g += 8) {
        add_eight(codes + g, packed, cells + g * QN_GROUP_CODES);
    }
    for (; g < n; g++) {
        cells[g * QN_GROUP_CODES + codes[g]] += packed;
    }
}

/* Groups first … first + n - 1. */
static void add_tile(const qn_row_block *block, const int32_t *rows, int64_t n_rows, int64_t first,
                     int64_t n, qn_cell_sum *restrict cells)
{
    const uint8_t *codes = block->codes + first;
    const int64_t *packed = block->packed;
    const int64_t stride = block->stride;
    cells += first * QN_GROUP_CODES;
    if (!rows) {
        for (int64_t i = 0; i < n_rows; i++) {
            add_row(codes + i * stride, packed[i], n, cells);
        }
        return;
    }
    int64_t i = 0;
    for (; i + AHEAD_ROWS < n_rows; i++) {
        const int64_t row = rows[i], later = rows[i + AHEAD_ROWS];
        __builtin_prefetch(codes + later * stride);
        __builtin_prefetch(packed + later);
        add_row(codes + row * stride, packed[row], n, cells);
    }
    for (; i < n_rows; i++) {
        add_row(codes + rows[i] * stride, packed[rows[i]], n, cells);
    }
}

static void add_some(const qn_row_block *block, const int32_t *rows, int64_t n_rows,
                     const int32_t *groups, int64_t n, qn_cell_sum *restrict cells)
{
    for (int64_t i = 0; i < n_rows; i++) {
        const int64_t row = rows ? rows[i] : i;
        const uint8_t *codes = block->codes + row * block->stride;
        const int64_t packed = block->packed[row];
        if (rows && i + AHEAD_ROWS < n_rows) {
            __builtin_prefetch(block->codes + rows[i + AHEAD_ROWS] * block->stride);
            __builtin_prefetch(block->packed + rows[i + AHEAD_ROWS]);
        }
        for (int64_t g = 0; g < n; g++) {
            cells[groups[g] * QN_GROUP_CODES + codes[groups[g]]] += packed;
        }
    }
}

void qn_histogram_add(const qn_row_block *block, const int32_t *rows, int64_t n,
                      const int32_t *groups, int64_t n_groups, qn_cell_sum *cells)
{
    if (groups) {
        add_some(block, rows, n, groups, n_groups, cells);
        return;
    }
    for (int64_t first = 0; first < n_groups; first += TILE_GROUPS) {
        const int64_t left = n_groups - first;
        add_tile(block, rows, n, first, left < TILE_GROUPS ? left : TILE_GROUPS, cells);
    }
}

void qn_histogram_add_wide(const qn_row_block *block, const int32_t *rows, int64_t n,
                           int64_t offset, qn_cell_sum *cells)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = rows ? rows[i] : i;
        uint16_t code;
        memcpy(&code, block->codes + row * block->stride + offset, sizeof code);
        cells[code] += block->packed[row];
    }
}
