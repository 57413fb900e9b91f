/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of ranked lists: the mean over queries of a figure of each. Gains are the grades
 * themselves, as in scikit-learn's ndcg_score; ties in the predictions keep the order of rows. */
#include "metric/metrics_internal.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <math.h>

typedef double query_metric(const double *grades, int64_t n, int32_t at);

/* `grades` in the order of predictions, best first. */
static double dcg(const double *grades, int64_t n, int32_t at)
{
    double sum = 0;
    for (int64_t i = 0; i < n && (at == 0 || i < at); i++) {
        sum += grades[i] / log2((double)i + 2);
    }
    return sum;
}

static double ndcg(const double *grades, int64_t n, int32_t at)
{
    double ideal[QN_QUERY_ROWS_MAX];
    if (n > QN_QUERY_ROWS_MAX) return QN_NA;
    for (int64_t i = 0; i < n; i++) {
        int64_t j = i;
        for (; j > 0 && grades[i] > ideal[j - 1]; j--) {
            ideal[j] = ideal[j - 1];
        }
        ideal[j] = grades[i];
    }
    const double best = dcg(ideal, n, at);
    return best > 0 ? dcg(grades, n, at) / best : QN_NA;
}

static double average_precision_at(const double *grades, int64_t n, int32_t at)
{
    double hits = 0, sum = 0, relevant = 0;
    for (int64_t i = 0; i < n; i++) {
        relevant += grades[i] > 0;
    }
    for (int64_t i = 0; i < n && (at == 0 || i < at); i++) {
        if (grades[i] <= 0) continue;
        hits += 1;
        sum += hits / (double)(i + 1);
    }
    if (at > 0) relevant = fmin(relevant, at);
    return relevant > 0 ? sum / relevant : QN_NA;
}

static double reciprocal_rank(const double *grades, int64_t n, int32_t at)
{
    (void)at;
    for (int64_t i = 0; i < n; i++) {
        if (grades[i] > 0) return 1 / (double)(i + 1);
    }
    return QN_NA;
}

static bool score_query(const qn_metric_input *input, int64_t first, int64_t n,
                        query_metric *metric, int32_t at, double *out)
{
    double *scores = qn_alloc_array(2 * n, sizeof *scores);
    int32_t *order = qn_alloc_array(n, sizeof *order);
    const bool complete = scores && order;
    for (int64_t i = 0; complete && i < n; i++) {
        scores[i] = -input->predicted[first + i];
    }
    const bool sorted = complete && qn_sort_order(scores, n, order);
    for (int64_t i = 0; sorted && i < n; i++) {
        scores[n + i] = input->target[first + order[i]];
    }
    if (sorted) *out = metric(scores + n, n, at);
    qn_free(scores);
    qn_free(order);
    return sorted;
}

/* Queries without a relevant row say nothing and are left out of the mean. */
static qn_status mean_of_queries(const qn_metric_input *input, query_metric *metric, int32_t at,
                                 double *out, qn_error *err)
{
    double sum = 0, n_queries = 0;
    for (int64_t first = 0; first < input->n_rows;) {
        int64_t next = first + 1;
        while (next < input->n_rows && input->groups &&
               input->groups[next] == input->groups[first]) {
            next++;
        }
        if (!input->groups) next = input->n_rows;
        double value = QN_NA;
        if (!score_query(input, first, next - first, metric, at, &value)) {
            return qn_fail(err, QN_ERR_NOMEM, "no memory for a metric");
        }
        const double weight = input->weights ? input->weights[first] : 1;
        if (!isnan(value)) {
            sum += weight * value;
            n_queries += weight;
        }
        first = next;
    }
    *out = n_queries > 0 ? sum / n_queries : QN_NA;
    return QN_OK;
}

qn_status qn_metric_ndcg(const qn_metric_input *input, double *out, qn_error *err)
{
    return mean_of_queries(input, ndcg, 0, out, err);
}

qn_status qn_metric_ndcg_5(const qn_metric_input *input, double *out, qn_error *err)
{
    return mean_of_queries(input, ndcg, 5, out, err);
}

qn_status qn_metric_ndcg_10(const qn_metric_input *input, double *out, qn_error *err)
{
    return mean_of_queries(input, ndcg, 10, out, err);
}

qn_status qn_metric_map_10(const qn_metric_input *input, double *out, qn_error *err)
{
    return mean_of_queries(input, average_precision_at, 10, out, err);
}

qn_status qn_metric_map(const qn_metric_input *input, double *out, qn_error *err)
{
    return mean_of_queries(input, average_precision_at, 0, out, err);
}

qn_status qn_metric_mrr(const qn_metric_input *input, double *out, qn_error *err)
{
    return mean_of_queries(input, reciprocal_rank, 0, out, err);
}
