/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/fit_intervals.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <math.h>

enum { GROUP_ROWS = 250 }; /* the ends of 99 % need 199 */

/* Rows of one group, by residual. */
struct residuals {
    int64_t n;
    double *values, *weights; /* as given */
    int32_t *order;
};

static bool reserve(struct residuals *r, int64_t n)
{
    r->values = qn_alloc_array(n, sizeof *r->values);
    r->weights = qn_alloc_array(n, sizeof *r->weights);
    r->order = qn_alloc_array(n, sizeof *r->order);
    return r->values && r->weights && r->order;
}

static void release(struct residuals *r)
{
    qn_free(r->values);
    qn_free(r->weights);
    qn_free(r->order);
}

/* The residual that stands as far from its end as `mass` of the weights. */
static double end_of(const struct residuals *r, bool upper, double mass)
{
    const int32_t *order = r->order;
    int64_t best = 0;
    double sum = 0;
    for (int64_t k = 0; k < r->n; k++) {
        sum += r->weights[order[upper ? r->n - 1 - k : k]];
        if (sum > mass * (1 + 1e-12)) break;
        best = k;
    }
    return r->values[order[upper ? r->n - 1 - best : best]];
}

static void fit_group(const struct residuals *r, double *offsets)
{
    double total = 0;
    for (int64_t i = 0; i < r->n; i++) {
        total += r->weights[i];
    }
    const double with_the_new_one = total * (1 + 1 / (double)r->n);
    for (int level = 0; level < QN_INTERVAL_LEVELS; level++) {
        const double mass = with_the_new_one * (1 - qn_interval_levels[level]) / 2;
        offsets[2 * level] = end_of(r, false, mass);
        offsets[2 * level + 1] = end_of(r, true, mass);
    }
}

static bool fit_groups(const qn_metric_input *input, const int32_t *by_prediction,
                       struct residuals *r, qn_intervals *out)
{
    const int64_t n = input->n_rows;
    for (int64_t g = 0; g < out->n_groups; g++) {
        const int64_t first = g * n / out->n_groups, end = (g + 1) * n / out->n_groups;
        r->n = end - first;
        for (int64_t i = 0; i < r->n; i++) {
            const int32_t row = by_prediction[first + i];
            r->values[i] = input->target[row] - input->predicted[row];
            r->weights[i] = input->weights ? input->weights[row] : 1;
        }
        if (!qn_sort_order(r->values, r->n, r->order)) return false;
        out->centres[g] = input->predicted[by_prediction[first + r->n / 2]];
        fit_group(r, out->offsets + g * 2 * QN_INTERVAL_LEVELS);
    }
    return true;
}

static bool are_finite(const qn_metric_input *input)
{
    for (int64_t i = 0; i < input->n_rows; i++) {
        if (!isfinite(input->predicted[i]) || !isfinite(input->target[i])) return false;
    }
    return true;
}

qn_status qn_intervals_fit(const qn_metric_input *input, qn_intervals *out, qn_error *err)
{
    const int64_t n = input->n_rows;
    *out = (qn_intervals){0};
    if (n < QN_INTERVAL_ROWS_MIN || !are_finite(input)) return QN_OK;
    const int64_t wanted = n / GROUP_ROWS;
    const int64_t n_groups = wanted < 1                        ? 1
                             : wanted > QN_INTERVAL_GROUPS_MAX ? QN_INTERVAL_GROUPS_MAX
                                                               : wanted;
    struct residuals residuals = {0};
    int32_t *by_prediction = qn_alloc_array(n, sizeof *by_prediction);
    const bool whole = by_prediction && reserve(&residuals, n / n_groups + 1) &&
                       qn_intervals_reserve(out, (int32_t)n_groups) &&
                       qn_sort_order(input->predicted, n, by_prediction) &&
                       fit_groups(input, by_prediction, &residuals, out);
    release(&residuals);
    qn_free(by_prediction);
    if (whole) return QN_OK;
    qn_intervals_release(out);
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the prediction intervals");
}

void qn_intervals_assess(const qn_predictor *predictor, const qn_metric_input *input,
                         qn_evaluation *evaluation)
{
    double inside = 0, width = 0, total = 0;
    if (predictor->intervals.n_groups == 0) return;
    for (int64_t i = 0; i < input->n_rows; i++) {
        const double weight = input->weights ? input->weights[i] : 1;
        double low, high;
        qn_predictor_interval(predictor, QN_INTERVAL_LEVEL_DEFAULT, &input->predicted[i], &low,
                              &high);
        inside += low <= input->target[i] && input->target[i] <= high ? weight : 0;
        width += weight * (high - low);
        total += weight;
    }
    evaluation->interval_coverage = inside / total;
    evaluation->interval_width = width / total;
}
