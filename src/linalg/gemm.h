/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix product in float: C = A B + start. Every element of C takes its products in the order of
 * k, each by one fused multiply-add, whatever the number of rows, the blocks, the threads or the
 * machine: a row predicted alone and in a batch, and a fit on one thread and on eight, give the
 * same bytes. B is first laid out in panels, which a model keeps and a training step makes anew.
 *
 * Threads: pure functions of their arguments. */
#ifndef QN_LINALG_GEMM_H
#define QN_LINALG_GEMM_H

#include "base/pool.h"

#include <stdbool.h>
#include <stdint.h>

enum { QN_PANEL_COLS = 16 };

/* Floats that the panels of a k × n matrix take: whole panels, the last one padded with zeros. */
int64_t qn_panels_floats(int64_t k, int64_t n);

/* Panels of B, whose element (i, j) stands at b[i * row_step + j * col_step]: a transposed matrix
 * only has its steps exchanged. `panels` is aligned to 32 bytes. */
void qn_panels_pack(const float *b, int64_t row_step, int64_t col_step, int64_t k, int64_t n,
                    float *panels);

typedef struct qn_gemm {
    int64_t m, n, k;
    const float *a; /* element (i, l) at a[i * a_row_step + l * a_col_step] */
    int64_t a_row_step, a_col_step;
    const float *panels; /* of B, k × n */
    const float *start;  /* n: every row of C starts from it; NULL: from zero */
    bool accumulate;     /* C starts from what it holds instead */
    float *c;            /* element (i, j) at c[i * c_row_step + j] */
    int64_t c_row_step;
} qn_gemm;

/* `pool` NULL: on this thread alone. Allocates nothing. */
void qn_gemm_run(const qn_gemm *product, qn_pool *pool);
/* The plain reading of the definition, for tests and machines without AVX2. */
void qn_gemm_plain(const qn_gemm *product);

#endif
