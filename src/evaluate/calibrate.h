/* SPDX-License-Identifier: Apache-2.0 */
/* Calibration and decision thresholds, chosen on out-of-fold predictions.
 *
 * Threads: pure functions. */
#ifndef QN_EVALUATE_CALIBRATE_H
#define QN_EVALUATE_CALIBRATE_H

#include "metric/metric.h"

/* The temperature in [0.2, 5] of least weighted log-loss (golden section on its logarithm);
 * 1 unless it lowers the loss by more than 1e-4 of it. */
double qn_temperature_fit(const qn_metric_input *input);

/* Binary: the threshold of best `metric`, from the midpoints of sorted predictions; 0.5 when the
 * metric needs no label. */
QN_MUST_CHECK
qn_status qn_threshold_fit(const qn_metric_input *input, const qn_metric *metric, double *out,
                           qn_error *err);

#endif
