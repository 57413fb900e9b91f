/* SPDX-License-Identifier: Apache-2.0 */
/* Design matrix of a linear learner, row after row: what Newton's method, that of multipliers and
 * dual coordinate descent run over. Columns of the dense view that are mostly zero (indicators)
 * join the sparse ones, and a column of ones stands among the dense ones for the intercept, so that
 * no method treats it apart. A "point" has n_cols coefficients: dense ones (padded with columns of
 * zeros to a multiple of four), then sparse ones.
 *
 * Sums over rows run over fixed blocks, added up in order: the same on any number of threads.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_LEARN_LINEAR_DESIGN_H
#define QN_LEARN_LINEAR_DESIGN_H

#include "base/pool.h"
#include "linalg/shared_columns.h"
#include "recipe/matrix.h"

enum { QN_COLUMN_INTERCEPT = -1, QN_COLUMN_PADDING = -2 };

typedef struct qn_design {
    int64_t n_rows, n_cols;
    int64_t width;     /* dense columns, with intercept and padding; the rest are sparse */
    int64_t intercept; /* its column */
    int32_t *features; /* n_cols: which feature of the view a column is; or QN_COLUMN_… */
    double *dense;     /* n_rows × width */
    int64_t *starts;   /* n_rows + 1 */
    int32_t *cols;     /* from 0, increasing within a row */
    float *values;
} qn_design; /* release with qn_design_release() */

QN_MUST_CHECK
qn_status qn_design_init(qn_design *design, const qn_matrix *matrix, qn_pool *pool, qn_error *err);
/* n_features dense columns of zeros and the intercept: the caller writes feature f of row i to
 * dense[i * width + f] before anything else is asked of it. */
QN_MUST_CHECK
qn_status qn_design_init_dense(qn_design *design, int64_t n_rows, int64_t n_features,
                               qn_error *err);
void qn_design_release(qn_design *design);

/* For methods that live in the space of rows: the design without the columns that one row has
 * alone (linalg/shared_columns.h). `out` borrows from both; it has no `features`. */
QN_MUST_CHECK
qn_status qn_design_share(const qn_design *design, qn_shared_columns *shared, qn_design *out,
                          qn_error *err);

/* out[i] = x_i . point, intercept included. `out`: n_rows. */
void qn_design_multiply(const qn_design *design, const double *point, qn_pool *pool, double *out);
/* out = sum_i r_i x_i. `out`: n_cols. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_design_transposed(const qn_design *design, const double *r, qn_pool *pool, double *out,
                               qn_error *err);
/* Lower triangle of sum_i omega_i x_i x_i^T; `out`: n_cols × n_cols. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_design_gram(const qn_design *design, const double *omega, qn_pool *pool, double *out,
                         qn_error *err);

/* out[c] = sum_i omega_i x_ic^2, the diagonal of that. `out`: n_cols. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_design_diagonal(const qn_design *design, const double *omega, qn_pool *pool,
                             double *out, qn_error *err);

/* x_i . point, and point += scale × x_i. */
double qn_design_row_dot(const qn_design *design, int64_t row, const double *point);
void qn_design_row_add(const qn_design *design, int64_t row, double scale, double *point);

/* A point as the model has it: coefficients by the view's feature, and the intercept. */
void qn_design_unpack(const qn_design *design, const double *point, double *coefficients,
                      double *intercept);

#endif
