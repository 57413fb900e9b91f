/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/bins.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/sort.h"
#include "model/tree_model.h"

#include <math.h>
#include <string.h>

enum { SAMPLE_ROWS = 200000 };

void qn_bins_free(qn_bins *bins)
{
    if (!bins) return;
    for (int64_t f = 0; bins->features && f < bins->n_features; f++) {
        qn_free(bins->features[f].edges);
    }
    qn_free(bins->features);
    qn_free(bins->codes);
    qn_free(bins);
}

struct job {
    const qn_dataset *dataset;
    qn_bins *bins;
    int max_bin;
    const int32_t *sample; /* training rows that edges are cut from; NULL: all */
    int64_t n_sample;
    qn_status *statuses;
};

/* Edges between distinct values where few are; otherwise so that bins hold equal shares, and no
 * value is cut in two. */
static int32_t cut(const double *sorted, int64_t n, int32_t n_most, double *edges)
{
    int64_t n_distinct = n > 0;
    for (int64_t i = 1; i < n; i++) {
        n_distinct += sorted[i] != sorted[i - 1];
    }
    int32_t n_edges = 0;
    int64_t in_bin = 0, left = n;
    int32_t bins_left = n_most;
    for (int64_t i = 0; i + 1 < n; i++) {
        in_bin++;
        if (sorted[i] == sorted[i + 1]) continue;
        const bool full = n_distinct <= n_most || (double)in_bin * bins_left >= (double)left;
        if (!full || n_edges >= n_most - 1) continue;
        double edge = 0.5 * sorted[i] + 0.5 * sorted[i + 1];
        if (!(edge < sorted[i + 1])) edge = sorted[i];
        edges[n_edges++] = edge;
        left -= in_bin;
        in_bin = 0;
        bins_left--;
    }
    return n_edges;
}

static qn_status cut_feature(const struct job *job, int64_t f, qn_bin_feature *out)
{
    const qn_matrix *train = &job->dataset->train.views[QN_VIEW_TREE];
    const double *column = train->dense + f * train->stride;
    const int64_t n = job->sample ? job->n_sample : train->n_rows;
    double *values = qn_alloc_aligned(n, sizeof *values);
    out->edges = qn_alloc_array(job->max_bin, sizeof *out->edges);
    if (!values || !out->edges) {
        qn_free(values);
        return QN_ERR_NOMEM;
    }
    int64_t n_known = 0;
    for (int64_t i = 0; i < n; i++) {
        const double value = column[job->sample ? job->sample[i] : i];
        if (!isnan(value)) values[n_known++] = value;
    }
    const bool sorted = n_known == 0 || qn_sort_doubles(values, n_known);
    if (sorted) out->n_bins = cut(values, n_known, job->max_bin - 1, out->edges) + 2;
    qn_free(values);
    return sorted ? QN_OK : QN_ERR_NOMEM;
}

static void fill_codes(const struct job *job, int64_t f, const qn_matrix *view, int64_t first_row)
{
    const qn_bin_feature *feature = &job->bins->features[f];
    const double *column = view->dense + f * view->stride;
    uint8_t *codes = job->bins->codes + first_row * job->bins->n_features + f;
    for (int64_t i = 0; i < view->n_rows; i++, codes += job->bins->n_features) {
        const double value = column[i];
        if (feature->categorical) {
            *codes = value >= 0 && value < QN_CODES_MAX ? (uint8_t)(1 + (int32_t)value) : 0;
            continue;
        }
        if (isnan(value)) {
            *codes = 0;
            continue;
        }
        int32_t low = 0, n = feature->n_bins - 2;
        while (n > 0) {
            const int32_t half = n / 2;
            const bool right = value > feature->edges[low + half];
            low = right ? low + half + 1 : low;
            n = right ? n - half - 1 : half;
        }
        *codes = (uint8_t)(1 + low);
    }
}

static void bin_feature(void *context, int64_t f)
{
    struct job *job = context;
    qn_bin_feature *feature = &job->bins->features[f];
    const qn_feature *described = &job->dataset->features[QN_VIEW_TREE][f];
    feature->categorical = described->categorical;
    job->statuses[f] = QN_OK;
    if (feature->categorical) {
        const int32_t n = described->n_levels < QN_CODES_MAX ? described->n_levels : QN_CODES_MAX;
        feature->n_bins = 1 + n;
    } else {
        job->statuses[f] = cut_feature(job, f, feature);
        if (job->statuses[f] != QN_OK) return;
    }
    fill_codes(job, f, &job->dataset->train.views[QN_VIEW_TREE], 0);
    if (job->dataset->valid.n_rows > 0) {
        fill_codes(job, f, &job->dataset->valid.views[QN_VIEW_TREE], job->dataset->train.n_rows);
    }
}

/* Edges of long columns come from a sample: the same rows for every feature. */
static bool draw_sample(struct job *job, int32_t **out)
{
    const int64_t n = job->dataset->train.n_rows;
    *out = NULL;
    if (n <= SAMPLE_ROWS) return true;
    int32_t *rows = qn_alloc_array(SAMPLE_ROWS, sizeof *rows);
    if (!rows) return false;
    qn_rng rng;
    qn_rng_init(&rng, 0x62696e73, (uint64_t)n);
    for (int64_t i = 0; i < SAMPLE_ROWS; i++) { /* one row of each of equal stretches */
        const int64_t begin = i * n / SAMPLE_ROWS, end = (i + 1) * n / SAMPLE_ROWS;
        rows[i] = (int32_t)(begin + qn_rng_below(&rng, end - begin));
    }
    job->sample = *out = rows;
    job->n_sample = SAMPLE_ROWS;
    return true;
}

qn_status qn_bins_create(const qn_dataset *dataset, int max_bin, qn_pool *pool, qn_bins **out,
                         qn_error *err)
{
    *out = NULL;
    const int64_t n_features = dataset->n_dense[QN_VIEW_TREE];
    qn_bins *bins = qn_alloc_array(1, sizeof *bins);
    struct job job = {.dataset = dataset,
                      .bins = bins,
                      .max_bin = max_bin < 3     ? 3
                                 : max_bin > 255 ? 255
                                                 : max_bin,
                      .statuses = qn_alloc_array(n_features, sizeof *job.statuses)};
    int32_t *sample = NULL;
    bool complete = bins && job.statuses && draw_sample(&job, &sample);
    if (complete) {
        bins->n_train = dataset->train.n_rows;
        bins->n_rows = dataset->train.n_rows + dataset->valid.n_rows;
        bins->n_features = n_features;
        bins->features = qn_alloc_array(n_features, sizeof *bins->features);
        bins->codes = qn_alloc_aligned(bins->n_rows * n_features + 64, 1);
        complete = bins->features && bins->codes;
    }
    if (complete) qn_pool_run(pool, n_features, bin_feature, &job);
    for (int64_t f = 0; complete && f < n_features; f++) {
        complete = job.statuses[f] == QN_OK;
        bins->features[f].first = (int32_t)bins->n_bins;
        bins->n_bins += bins->features[f].n_bins;
    }
    qn_free(sample);
    qn_free(job.statuses);
    if (!complete) {
        qn_bins_free(bins);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the bins");
    }
    *out = bins;
    return QN_OK;
}
