/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/calibrate.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <math.h>

/* One number needs no more than some ten thousand rows: longer tables are read with a stride. */
enum { SECTIONS = 24, THRESHOLDS_TRIED = 200, CELLS_MAX = 400000 };
static const double log_low = -1.6094379124341003,
                    log_high = 1.6094379124341003; /* log 0.2, log 5 */

/* Weighted log-loss when log p is divided by the temperature. */
static double loss_at(const qn_metric_input *input, double temperature)
{
    double sum = 0, weights = 0;
    const int32_t k = input->n_classes;
    const int64_t stride = 1 + input->n_rows * (input->task == QN_TASK_BINARY ? 1 : k) / CELLS_MAX;
    for (int64_t i = 0; i < input->n_rows; i += stride) {
        const double w = input->weights ? input->weights[i] : 1, y = input->target[i];
        if (input->task == QN_TASK_BINARY) {
            const double p = fmin(fmax(input->predicted[i], 1e-15), 1 - 1e-15);
            const double margin = (y == 1 ? 1 : -1) * log(p / (1 - p)) / temperature;
            sum += w * (margin > 0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin);
        } else {
            const double *p = input->predicted + i * k;
            double total = 0;
            for (int32_t c = 0; c < k; c++) {
                total += pow(fmax(p[c], 1e-15), 1 / temperature);
            }
            sum += w * (log(total) - log(fmax(p[(int32_t)y], 1e-15)) / temperature);
        }
        weights += w;
    }
    return sum / weights;
}

double qn_temperature_fit(const qn_metric_input *input)
{
    const double ratio = 0.6180339887498949;
    double low = log_low, high = log_high;
    double a = high - ratio * (high - low), b = low + ratio * (high - low);
    double loss_a = loss_at(input, exp(a)), loss_b = loss_at(input, exp(b));
    for (int i = 0; i < SECTIONS; i++) {
        if (loss_a < loss_b) {
            high = b;
            b = a;
            loss_b = loss_a;
            a = high - ratio * (high - low);
            loss_a = loss_at(input, exp(a));
        } else {
            low = a;
            a = b;
            loss_a = loss_b;
            b = low + ratio * (high - low);
            loss_b = loss_at(input, exp(b));
        }
    }
    const double best = exp(0.5 * (low + high)), plain = loss_at(input, 1);
    return loss_at(input, best) < plain * (1 - 1e-4) ? best : 1;
}

qn_status qn_threshold_fit(const qn_metric_input *input, const qn_metric *metric, double *out,
                           qn_error *err)
{
    *out = 0.5;
    if (!metric->needs_label || input->task != QN_TASK_BINARY || input->n_rows < 2) return QN_OK;
    double *sorted = qn_alloc_aligned(input->n_rows, sizeof *sorted);
    if (!sorted) return qn_fail(err, QN_ERR_NOMEM, "no memory to choose a threshold");
    for (int64_t i = 0; i < input->n_rows; i++) {
        sorted[i] = input->predicted[i];
    }
    if (!qn_sort_doubles(sorted, input->n_rows)) {
        qn_free(sorted);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to choose a threshold");
    }
    double best = -QN_INF;
    qn_status status = QN_OK;
    qn_metric_input trial = *input;
    int64_t n_tried = 0; /* rows below the last threshold */
    for (int t = 0; t < THRESHOLDS_TRIED && status == QN_OK; t++) {
        int64_t at = (input->n_rows - 1) * (t + 1) / (THRESHOLDS_TRIED + 1);
        if (at < n_tried) continue;
        while (at + 1 < input->n_rows && sorted[at] == sorted[at + 1]) { /* ties stay together */
            at++;
        }
        if (at + 1 >= input->n_rows) break;
        n_tried = at + 1;
        trial.threshold = 0.5 * (sorted[at] + sorted[at + 1]);
        double value;
        status = metric->compute(&trial, &value, err);
        const double score = qn_metric_score(metric, value);
        if (status == QN_OK && score > best) {
            best = score;
            *out = trial.threshold;
        }
    }
    qn_free(sorted);
    return status;
}
