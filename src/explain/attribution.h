/* SPDX-License-Identifier: Apache-2.0 */
/* Attribution: which part each column has in a prediction of the whole predictor.
 *
 * What is divided up is, for classes, the log-odds of one class against the rest after calibration
 * (of class 1 where there are two, of the predicted one where there are more); for numbers, the
 * prediction before it is kept within its range. Its parts and what is expected of a row that
 * nothing is known of add up to it.
 *
 * Each member first divides up its own scores: trees by their SHAP values (tree_shap.h), against
 * what they expect of a training row; linear models by coefficient times feature, against a row of
 * average numbers with no category or word; additive models by their terms, which average 0, half
 * of a pair's for each column; any other, and any on features made of several columns
 * (recipe/derive.h), by sampled Shapley values, against a row of which
 * everything is missing (sampled_shapley.h). Scores then pass through links, are averaged and
 * calibrated; the straight way from the expected scores to the row's is walked, and each score's
 * parts are weighted with the mean slope along it (Aumann and Shapley 1974; Sundararajan, Taly and
 * Yan 2017, "Axiomatic Attribution for Deep Networks"), by Gauss-Legendre quadrature. For a single
 * member these are its parts unchanged, but for the temperature. Features made of a column -- date
 * parts, words, indicators of missing -- add up to the column's part.
 *
 * Threads: immutable once created; share freely, each call with its own scratch. */
#ifndef QN_EXPLAIN_ATTRIBUTION_H
#define QN_EXPLAIN_ATTRIBUTION_H

#include "model/predictor.h"
#include "quern/explain.h"

typedef struct qn_attribution qn_attribution; /* destroy with qn_attribution_free() */

/* `predictor` is borrowed. Fails with QN_ERR_DATA (trees that share nodes), QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_attribution_create(const qn_predictor *predictor, qn_attribution **out, qn_error *err);
void qn_attribution_free(qn_attribution *attribution); /* accepts NULL */

/* Scratch for blocks of up to QN_BLOCK_ROWS rows. */
size_t qn_attribution_scratch_bytes(const qn_attribution *attribution);
/* Divides up the predictions of a block of at most QN_BLOCK_ROWS rows of normalised cells.
 * Allocates nothing. A row's parts do not depend on the rows beside it. */
void qn_attribution_rows(const qn_attribution *attribution, const qn_cell *cells, int64_t n_rows,
                         const qn_parts *out, void *scratch);
/* The same for rows first … first + n_rows - 1 of a bound frame, in parallel. */
QN_MUST_CHECK
qn_status qn_attribution_transform(const qn_attribution *attribution, const qn_binding *binding,
                                   int64_t first, int64_t n_rows, qn_pool *pool,
                                   const qn_parts *out, qn_error *err);

#endif
