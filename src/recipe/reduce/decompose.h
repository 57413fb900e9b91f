/* SPDX-License-Identifier: Apache-2.0 */
/* Principal components and truncated singular values: A = U S V' of rows (A less its column means
 * for principal components), the largest of S and their rows of V'. Let m be the smaller of rows
 * and columns.
 *     m <= 1000   exact: all eigenvalues of A'A or AA', whichever is m × m
 *     beyond      randomised block Krylov iteration (Musco & Musco 2015; Golub & Underwood 1977)
 *                 with thick restarts (Wu & Simon 2000) until residuals are below 1e-6 of the least
 *                 value wanted; then a random block is iterated beside what was found, to find none
 *                 better: values that come several times are not missed
 * The entry of a component that is largest in absolute value is positive.
 *
 * Threads: calls are independent; the same bytes on any number of threads. */
#ifndef QN_RECIPE_REDUCE_DECOMPOSE_H
#define QN_RECIPE_REDUCE_DECOMPOSE_H

#include "base/clock.h"
#include "base/pool.h"
#include "recipe/matrix.h"

enum { QN_COMPONENTS_MAX = 1000, QN_DECOMPOSE_EXACT_MAX = 1000 };

typedef struct qn_decompose_request {
    const qn_matrix *rows; /* dense and sparse columns; no missing values; at least two rows */
    bool centre;           /* take off the means of columns: principal components */
    int32_t n_components;  /* 1 … QN_COMPONENTS_MAX, cut to the rank; 0: as `share` asks */
    double share;          /* of the variance to be explained, 0 … 1 */
    uint64_t seed;
    const qn_stop *stop;
    qn_pool *pool;
} qn_decompose_request;

typedef struct qn_decomposition {
    int32_t n_components;
    int64_t n_features; /* dense, then sparse */
    double *components; /* n_components × n_features: rows of V' */
    double *means;      /* n_features: what was taken off; zeros if nothing was */
    double *singular;   /* n_components: decreasing */
    double *variance;   /* n_components: of the rows along each; divided by rows - 1 for principal
                           components, by rows otherwise */
    double total_variance; /* of all columns, likewise */
    bool exact;
} qn_decomposition; /* release with qn_decomposition_release() */

/* Fails with QN_ERR_DATA (a value is missing or not finite; nothing varies), QN_ERR_INTERRUPTED,
 * QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_decompose(const qn_decompose_request *request, qn_decomposition *out, qn_error *err);
void qn_decomposition_release(qn_decomposition *decomposition);

#endif
