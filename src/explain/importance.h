/* SPDX-License-Identifier: Apache-2.0 */
/* Permutation importance (Breiman 2001; Fisher et al. 2019): how much the score falls when one
 * column's values are shuffled among the rows. On raw columns, through the whole predictor.
 *
 * Threads: calls are independent. */
#ifndef QN_EXPLAIN_IMPORTANCE_H
#define QN_EXPLAIN_IMPORTANCE_H

#include "metric/metric.h"
#include "model/predictor.h"

typedef struct qn_importance_request {
    const qn_predictor *predictor;
    const qn_binding *binding;
    const int32_t *rows; /* of the bound frame; NULL: the first n_rows */
    int64_t n_rows;
    const double *target;  /* n_rows, in the order of `rows` */
    const double *weights; /* n_rows or NULL */
    const qn_metric *metric;
    int32_t n_repeats;  /* default 3 */
    int64_t n_rows_max; /* a seeded sample above this; default 2,000 */
    uint64_t seed;
    qn_pool *pool;
    const qn_stop *stop;
} qn_importance_request;

/* importance[f] and std_error[f] per feature of the schema, as loss of score (positive = useful).
 * When stopped early, columns not reached hold QN_NA. */
QN_MUST_CHECK
qn_status qn_permutation_importance(const qn_importance_request *request, double *importance,
                                    double *std_error, qn_error *err);

/* What the trees of the members say by themselves, per feature of the schema: the share of the gain
 * of their splits, each member's shares weighted as the member (0 where gains are not known), and
 * how many splits look at it. Training rows only: kinder to columns of many values than the
 * permutation importance. */
QN_MUST_CHECK
qn_status qn_split_importance(const qn_predictor *predictor, double *gains, int64_t *n_splits,
                              qn_error *err);

#endif
