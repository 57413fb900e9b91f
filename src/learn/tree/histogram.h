/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms: per group and code, the sum of gradients and hessians of a leaf's rows.
 *
 * Both are fixed-point halves of one 64-bit integer: gradient above, hessian below. A cell takes
 * one integer add for a row; the sum does not depend on the order of rows, so any number of threads
 * gives the same bytes; and a child's histogram is its parent's less its sibling's, exactly.
 *
 * Threads: pure functions of their arguments. */
#ifndef QN_LEARN_TREE_HISTOGRAM_H
#define QN_LEARN_TREE_HISTOGRAM_H

#include <stdint.h>

/* Cells of group g begin at qn_bins_first_cell(). */
typedef int64_t qn_cell_sum;

static inline int64_t qn_sum_gradient(int64_t packed)
{
    return packed >> 32;
}

static inline int64_t qn_sum_hessian(int64_t packed)
{
    return (int64_t)(packed & INT64_C(0xffffffff));
}

/* Rows that stand together: codes (stride bytes a row) and packed gradients. */
typedef struct qn_row_block {
    const uint8_t *codes;
    int64_t stride;
    const int64_t *packed;
} qn_row_block;

/* Adds the rows to the cells of groups[0 … n_groups-1], in increasing order, of a byte a row;
 * groups NULL: all of 0 … n_groups-1. `rows` are numbers within the block; NULL: 0 … n-1. */
void qn_histogram_add(const qn_row_block *block, const int32_t *rows, int64_t n,
                      const int32_t *groups, int64_t n_groups, qn_cell_sum *cells);

/* The same for one group of two-byte codes, which begin at `offset` of each row. */
void qn_histogram_add_wide(const qn_row_block *block, const int32_t *rows, int64_t n,
                           int64_t offset, qn_cell_sum *cells);

#endif
