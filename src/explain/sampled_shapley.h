/* SPDX-License-Identifier: Apache-2.0 */
/* Shapley values of the columns of any estimator, by sampling: a column that is not known is
 * missing, which every recipe has an answer to. Columns become known one after the other, in a few
 * random orders and each of these also backwards (Strumbelj and Kononenko 2014; Mitchell, Cooper,
 * Frank and Holmes 2022, "Sampling Permutations for Shapley Value Estimation"); a column's value is
 * the mean of what its turn changes. They add up exactly, whatever the orders.
 *
 * Threads: immutable once created; share freely, each call with its own scratch. */
#ifndef QN_EXPLAIN_SAMPLED_SHAPLEY_H
#define QN_EXPLAIN_SAMPLED_SHAPLEY_H

#include "model/estimator.h"

/* Orders of n_inputs columns, the same for every row and model. */
typedef struct qn_column_orders {
    int64_t n_inputs, n_orders;
    int32_t *columns; /* n_orders × n_inputs */
    int32_t *places;  /* of each column in each order */
} qn_column_orders;   /* zero-initialise; release with qn_column_orders_release() */

QN_MUST_CHECK
qn_status qn_column_orders_init(int64_t n_inputs, qn_column_orders *out, qn_error *err);
void qn_column_orders_release(qn_column_orders *orders);

/* An estimator's scores, or its predictions where it has no scores. */
void qn_estimator_scores(const qn_estimator *estimator, const qn_matrix *features, double *out,
                         void *scratch);

/* An estimator on its recipe. */
typedef struct qn_sampled {
    const qn_recipe *recipe;
    const qn_estimator *estimator;
    const qn_column_orders *orders;
} qn_sampled;

size_t qn_sampled_scratch_bytes(const qn_sampled *sampled);
/* The scores of a row of which nothing is known: n_outputs. */
void qn_sampled_expected(const qn_sampled *sampled, double *expected, void *scratch);
/* values[c * n_inputs + column] of a row, whose cell of a column stands at cells[column * stride];
 * `expected` and `scores` are the estimator's for nothing and for the row. */
void qn_sampled_row(const qn_sampled *sampled, const qn_cell *cells, int64_t stride,
                    const double *expected, const double *scores, double *values, void *scratch);

#endif
