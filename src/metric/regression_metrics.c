/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/metrics_internal.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <float.h>
#include <math.h>

static double weight_of(const qn_metric_input *input, int64_t i)
{
    return input->weights ? input->weights[i] : 1;
}

typedef double row_loss(double target, double predicted);

static double squared(double target, double predicted)
{
    return (target - predicted) * (target - predicted);
}

static double absolute(double target, double predicted)
{
    return fabs(target - predicted);
}

static double relative(double target, double predicted)
{
    return fabs(target - predicted) / fmax(fabs(target), DBL_EPSILON);
}

static double squared_log(double target, double predicted)
{
    return squared(log1p(target), log1p(predicted));
}

static double mean_loss(const qn_metric_input *input, row_loss *loss)
{
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < input->n_rows; i++) {
        const double weight = weight_of(input, i);
        sum += weight * loss(input->target[i], input->predicted[i]);
        weights += weight;
    }
    return weights > 0 ? sum / weights : QN_NA;
}

qn_status qn_metric_mse(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    *out = mean_loss(input, squared);
    return QN_OK;
}

qn_status qn_metric_rmse(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    *out = sqrt(mean_loss(input, squared));
    return QN_OK;
}

qn_status qn_metric_mae(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    *out = mean_loss(input, absolute);
    return QN_OK;
}

qn_status qn_metric_mape(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    *out = mean_loss(input, relative);
    return QN_OK;
}

/* Defined where no value is at or below -1. */
qn_status qn_metric_rmsle(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    *out = QN_NA;
    for (int64_t i = 0; i < input->n_rows; i++) {
        if (input->target[i] <= -1 || input->predicted[i] <= -1) return QN_OK;
    }
    *out = sqrt(mean_loss(input, squared_log));
    return QN_OK;
}

qn_status qn_metric_max_error(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    *out = input->n_rows ? 0 : QN_NA;
    for (int64_t i = 0; i < input->n_rows; i++) {
        *out = fmax(*out, absolute(input->target[i], input->predicted[i]));
    }
    return QN_OK;
}

/* Median of absolute errors. With weights, as scikit-learn: the mean of the lower and the upper
 * weighted percentile, which differ only where half of the weight is reached exactly. */
qn_status qn_metric_medae(const qn_metric_input *input, double *out, qn_error *err)
{
    const int64_t n = input->n_rows;
    *out = QN_NA;
    double *errors = qn_alloc_array(n, sizeof *errors);
    int32_t *order = qn_alloc_array(n, sizeof *order);
    for (int64_t i = 0; errors && i < n; i++) {
        errors[i] = absolute(input->target[i], input->predicted[i]);
    }
    if (!errors || !order || !qn_sort_order(errors, n, order)) {
        qn_free(errors);
        qn_free(order);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a metric");
    }
    double total = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        total += weight_of(input, i);
    }
    for (int64_t i = 0; i < n && total > 0; i++) {
        sum += weight_of(input, order[i]);
        if (sum < 0.5 * total) continue;
        int64_t next = i;
        if (sum == 0.5 * total) {
            do {
                next++;
            } while (next < n - 1 && weight_of(input, order[next]) == 0);
        }
        *out = 0.5 * (errors[order[i]] + errors[order[next < n ? next : i]]);
        break;
    }
    qn_free(errors);
    qn_free(order);
    return QN_OK;
}

qn_status qn_metric_r2(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    double mean = 0, weights = 0, residual = 0, total = 0;
    for (int64_t i = 0; i < input->n_rows; i++) {
        mean += weight_of(input, i) * input->target[i];
        weights += weight_of(input, i);
    }
    mean /= weights;
    for (int64_t i = 0; i < input->n_rows; i++) {
        residual += weight_of(input, i) * squared(input->target[i], input->predicted[i]);
        total += weight_of(input, i) * squared(input->target[i], mean);
    }
    *out = input->n_rows < 2 || !(weights > 0) ? QN_NA
           : total > 0                         ? 1 - residual / total
           : residual > 0                      ? 0
                                               : 1;
    return QN_OK;
}
