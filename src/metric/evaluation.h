/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation: every metric of the task with a confidence interval, and the curves people look at.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_METRIC_EVALUATION_H
#define QN_METRIC_EVALUATION_H

#include "base/clock.h"
#include "base/pool.h"
#include "metric/metric.h"

enum { QN_CURVE_POINTS_MAX = 201, QN_CALIBRATION_BINS = 10, QN_RESIDUAL_BINS = 20 };

typedef struct qn_metric_value {
    const qn_metric *metric;
    double value, low, high; /* 95 % interval: DeLong for roc_auc, bootstrap (200, seeded,
                                by rows or groups) otherwise; QN_NA where undefined */
} qn_metric_value;

typedef struct qn_curve {
    int32_t n;
    double x[QN_CURVE_POINTS_MAX], y[QN_CURVE_POINTS_MAX], threshold[QN_CURVE_POINTS_MAX];
} qn_curve;

typedef struct qn_best_threshold {
    char metric[32]; /* f1, balanced_accuracy, mcc, accuracy */
    double threshold, value;
} qn_best_threshold;

typedef struct qn_evaluation {
    qn_task task;
    int32_t n_classes;
    int64_t n_rows;
    int32_t n_values;
    qn_metric_value *values;
    double *confusion; /* n_classes × n_classes weighted counts, [actual][predicted]; or NULL */
    qn_curve roc, precision_recall, calibration; /* binary; thinned to the points that matter */
    int32_t n_thresholds;
    qn_best_threshold thresholds[4];
    /* Regression: residual = target - prediction. */
    double residual_quantiles[7]; /* 1, 5, 25, 50, 75, 95, 99 % */
    double residual_edges[QN_RESIDUAL_BINS + 1];
    double residual_counts[QN_RESIDUAL_BINS];
    double interval_coverage, interval_width; /* of 95 % prediction intervals: the share of targets
                                                 inside, the mean width; QN_NA: not known. Set by
                                                 evaluate/fit_intervals.h */
    qn_curve predicted_actual;                /* a sample: x = prediction, y = target */
} qn_evaluation;

/* `seed` drives the bootstrap alone. */
QN_MUST_CHECK
qn_status qn_evaluation_create(const qn_metric_input *input, uint64_t seed, qn_pool *pool,
                               qn_evaluation **out, qn_error *err);
/* Once told to stop, what is left of the bootstrap is left out: intervals then rest on fewer
 * replicates, or are QN_NA. */
QN_MUST_CHECK
qn_status qn_evaluation_create_until(const qn_metric_input *input, uint64_t seed, qn_pool *pool,
                                     const qn_stop *stop, qn_evaluation **out, qn_error *err);
void qn_evaluation_free(qn_evaluation *evaluation);
/* QN_NA when the metric is not among the values. */
double qn_evaluation_value(const qn_evaluation *evaluation, const char *metric);
void qn_evaluation_write_json(const qn_evaluation *evaluation, qn_json_writer *json);
QN_MUST_CHECK
qn_status qn_evaluation_read_json(qn_json_value value, qn_evaluation **out, qn_error *err);

#endif
