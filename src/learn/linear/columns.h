/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of a view one by one, dense ones in place, sparse ones in CSC form made from the rows:
 * what coordinate descent visits. Features are numbered dense first.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_LEARN_LINEAR_COLUMNS_H
#define QN_LEARN_LINEAR_COLUMNS_H

#include "recipe/matrix.h"

typedef struct qn_columns {
    const qn_matrix *matrix; /* borrowed */
    int64_t *starts;         /* n_sparse + 1 */
    int32_t *rows;           /* increasing within a column */
    float *values;
} qn_columns; /* release with qn_columns_release() */

QN_MUST_CHECK
qn_status qn_columns_init(qn_columns *columns, const qn_matrix *matrix, qn_error *err);
void qn_columns_release(qn_columns *columns);

/* sum_i w_i x_if (r_i + shift). Sums run in fixed lanes: the same on every machine. */
double qn_columns_dot(const qn_columns *columns, int64_t feature, const double *weights,
                      const double *r, double shift);
/* r_i += scale × x_if. */
void qn_columns_add(const qn_columns *columns, int64_t feature, double scale, double *r);
/* sum_i w_i x_if and sum_i w_i x_if^2. */
void qn_columns_moments(const qn_columns *columns, int64_t feature, const double *weights,
                        double *sum, double *squares);

#endif
