/* SPDX-License-Identifier: Apache-2.0 */
/* Prediction intervals of a regression: fitted on out-of-fold predictions, checked on others.
 *
 * Threads: pure functions. */
#ifndef QN_EVALUATE_FIT_INTERVALS_H
#define QN_EVALUATE_FIT_INTERVALS_H

#include "metric/evaluation.h"
#include "model/predictor.h"

/* Fewer rows leave `out` empty: not even one target in twenty could be told to lie outside. */
enum { QN_INTERVAL_ROWS_MIN = 20 };

/* Groups of about 250 rows, at most QN_INTERVAL_GROUPS_MAX, by prediction; the offsets are the
 * residuals' conformal quantiles, floor((n + 1) (1 - level) / 2) from either end and by weight
 * where rows have weights. With too few rows for a level its offsets are the group's largest
 * residuals. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_intervals_fit(const qn_metric_input *input, qn_intervals *out, qn_error *err);

/* Sets the evaluation's coverage and mean width of the 95 % intervals that the predictor gives for
 * the input's predictions; leaves them where it has none. */
void qn_intervals_assess(const qn_predictor *predictor, const qn_metric_input *input,
                         qn_evaluation *evaluation);

#endif
