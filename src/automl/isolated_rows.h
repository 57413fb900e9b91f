/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a tree view scored by an isolation forest (learn/tree/isolation.h): which of them are
 * outliers, and which columns isolate one. For `quern outliers` and for cleaning what trains.
 *
 * Threads: immutable once made, but for qn_isolated_shares(): one thread at a time. */
#ifndef QN_AUTOML_ISOLATED_ROWS_H
#define QN_AUTOML_ISOLATED_ROWS_H

#include "base/clock.h"
#include "base/pool.h"
#include "model/estimator.h"

typedef struct qn_isolated_request {
    const qn_schema *schema; /* the recipe's */
    const qn_recipe *recipe;
    const qn_matrix *view;             /* its tree view of the rows */
    int64_t n_estimators, max_samples; /* 0: the defaults of isolation.h */
    double contamination; /* share of outliers, up to 0.5; 0: all that score above 0.5 */
    uint64_t seed;
    qn_pool *pool;
    const qn_stop *stop;
} qn_isolated_request;

typedef struct qn_isolated_rows {
    const qn_schema *schema;
    const qn_feature *features; /* of the view; both borrowed */
    const qn_matrix *view;      /* likewise */
    qn_estimator *estimator;    /* owned: the forest, whose output is the score */
    double *scores;             /* per row */
    double threshold;           /* outliers are the rows whose score reaches it */
    int64_t n_outliers;
    int32_t *order;  /* rows by score, the greatest first; equal ones as they stand */
    double *savings; /* per feature: room for qn_isolated_shares() */
    double *shares;  /* per column of the schema: likewise */
} qn_isolated_rows;  /* release with qn_isolated_rows_release() */

/* Fails with QN_ERR_DATA (fewer than two rows; no column of the view varies), QN_ERR_INTERRUPTED
 * (no tree done), QN_ERR_NOMEM; `out` is empty then. */
QN_MUST_CHECK
qn_status qn_isolated_rows_create(const qn_isolated_request *request, qn_isolated_rows *out,
                                  qn_error *err);
void qn_isolated_rows_release(qn_isolated_rows *rows);

/* Of what the columns that isolate a row save, the share of each, by columns of the schema; all 0
 * where none does. Overwritten by the next call. */
const double *qn_isolated_shares(qn_isolated_rows *rows, int64_t row);
/* The columns of the largest shares, the largest first: up to n_max of them, none of a share of 0;
 * returns how many. Call after qn_isolated_shares(). */
int qn_isolated_columns(const qn_isolated_rows *rows, int64_t *columns, int n_max);

#endif
