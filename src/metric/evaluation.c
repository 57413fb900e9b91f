/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/evaluation.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/sort.h"
#include "metric/metrics_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLICATES = 200, REPLICATE_CELLS = 40000000, SAMPLE_POINTS = 200 };

void qn_evaluation_free(qn_evaluation *evaluation)
{
    if (!evaluation) return;
    qn_free(evaluation->values);
    qn_free(evaluation->confusion);
    qn_free(evaluation);
}

double qn_evaluation_value(const qn_evaluation *evaluation, const char *metric)
{
    for (int32_t i = 0; i < evaluation->n_values; i++) {
        if (strcmp(evaluation->values[i].metric->name, metric) == 0) {
            return evaluation->values[i].value;
        }
    }
    return QN_NA;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to evaluate");
}

/* Bootstrap. Long tables are drawn from with fewer rows than they have (m out of n); the spread is
 * then brought to n rows by sqrt(m / n) (Bickel, Götze & van Zwet 1997). */

struct bootstrap {
    const qn_metric_input *input;
    const qn_evaluation *evaluation;
    uint64_t seed;
    int64_t n_drawn;
    int64_t *query_starts; /* ranking: whole queries are drawn */
    int64_t n_queries;
    const qn_stop *stop;
    double *values; /* REPLICATES × n_values */
    qn_status *statuses;
};

static void copy_row(const qn_metric_input *from, int64_t row, int64_t to, double *target,
                     double *predicted, double *weights)
{
    const int32_t width = from->task == QN_TASK_MULTICLASS ? from->n_classes : 1;
    target[to] = from->target[row];
    memcpy(predicted + to * width, from->predicted + row * width, (size_t)width * sizeof(double));
    if (from->weights) weights[to] = from->weights[row];
}

static int64_t draw(const struct bootstrap *b, qn_rng *rng, double *target, double *predicted,
                    double *weights, int32_t *groups)
{
    int64_t n = 0;
    if (!b->query_starts) {
        for (; n < b->n_drawn; n++) {
            copy_row(b->input, qn_rng_below(rng, b->input->n_rows), n, target, predicted, weights);
        }
        return n;
    }
    for (int64_t q = 0; q < b->n_queries; q++) {
        const int64_t drawn = qn_rng_below(rng, b->n_queries);
        for (int64_t row = b->query_starts[drawn]; row < b->query_starts[drawn + 1]; row++) {
            if (n == 2 * b->input->n_rows) break;
            groups[n] = (int32_t)q;
            copy_row(b->input, row, n++, target, predicted, weights);
        }
    }
    return n;
}

static void replicate(void *context, int64_t r)
{
    struct bootstrap *b = context;
    if (qn_stop_requested(b->stop)) { /* this replicate is not counted */
        for (int32_t m = 0; m < b->evaluation->n_values; m++) {
            b->values[r * b->evaluation->n_values + m] = QN_NA;
        }
        return;
    }
    const int32_t width = b->input->task == QN_TASK_MULTICLASS ? b->input->n_classes : 1;
    const int64_t room = b->query_starts ? 2 * b->input->n_rows : b->n_drawn;
    double *target = qn_alloc_aligned(room, sizeof *target);
    double *predicted = qn_alloc_aligned(room * width, sizeof *predicted);
    double *weights = b->input->weights ? qn_alloc_aligned(room, sizeof *weights) : NULL;
    int32_t *groups = b->query_starts ? qn_alloc_aligned(room, sizeof *groups) : NULL;
    b->statuses[r] = QN_ERR_NOMEM;
    if (target && predicted && (!b->input->weights || weights) && (!b->query_starts || groups)) {
        qn_rng rng;
        qn_rng_init(&rng, b->seed, (uint64_t)r);
        qn_metric_input input = *b->input;
        input.n_rows = draw(b, &rng, target, predicted, weights, groups);
        input.target = target;
        input.predicted = predicted;
        input.weights = weights;
        input.groups = groups;
        b->statuses[r] = QN_OK;
        for (int32_t m = 0; m < b->evaluation->n_values && b->statuses[r] == QN_OK; m++) {
            b->statuses[r] = b->evaluation->values[m].metric->compute(
                &input, &b->values[r * b->evaluation->n_values + m], NULL);
        }
    }
    qn_free(target);
    qn_free(predicted);
    qn_free(weights);
    qn_free(groups);
}

static int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* 2.5 % and 97.5 % of the replicates, drawn towards the value by `shrink`. */
static void set_interval(const struct bootstrap *b, int64_t n_replicates, double shrink, int32_t m,
                         qn_metric_value *out)
{
    double sorted[REPLICATES];
    int n = 0;
    for (int64_t r = 0; r < n_replicates; r++) {
        const double value = b->values[r * b->evaluation->n_values + m];
        if (isfinite(value)) sorted[n++] = value;
    }
    out->low = out->high = QN_NA;
    if (n < 10 || isnan(out->value)) return;
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    double mean = 0;
    for (int i = 0; i < n; i++) {
        mean += sorted[i] / n;
    }
    out->low = out->value + shrink * (sorted[(int)(0.025 * (n - 1) + 0.5)] - mean);
    out->high = out->value + shrink * (sorted[(int)(0.975 * (n - 1) + 0.5)] - mean);
}

static bool find_queries(struct bootstrap *b)
{
    const qn_metric_input *input = b->input;
    if (input->task != QN_TASK_RANKING || !input->groups) return true;
    b->query_starts = qn_alloc_array(input->n_rows + 1, sizeof *b->query_starts);
    if (!b->query_starts) return false;
    for (int64_t i = 0; i < input->n_rows; i++) {
        if (i == 0 || input->groups[i] != input->groups[i - 1]) b->query_starts[b->n_queries++] = i;
    }
    b->query_starts[b->n_queries] = input->n_rows;
    return true;
}

/* DeLong, DeLong & Clarke-Pearson 1988, by midranks (Sun & Xu 2014): 95 % interval of roc_auc. */
static bool delong(const qn_metric_input *input, qn_metric_value *out)
{
    const int64_t n = input->n_rows;
    int32_t *order = qn_alloc_aligned(n, sizeof *order);
    double *rank = qn_alloc_aligned(2 * n, sizeof *rank), *own = rank ? rank + n : NULL;
    if (!order || !rank || !qn_sort_order(input->predicted, n, order)) {
        qn_free(order);
        qn_free(rank);
        return false;
    }
    int64_t n_class[2] = {0, 0}, seen[2] = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        n_class[input->target[i] == 1]++;
    }
    for (int64_t i = 0; i < n;) { /* midranks among all, and among the row's own class */
        int64_t next = i, tied[2] = {0, 0};
        do { /* at least one: what is not a number equals nothing */
            tied[input->target[order[next]] == 1]++;
        } while (++next < n && input->predicted[order[next]] == input->predicted[order[i]]);
        for (int64_t j = i; j < next; j++) {
            const int c = input->target[order[j]] == 1;
            rank[order[j]] = 0.5 * (double)(i + next + 1);
            own[order[j]] = (double)seen[c] + 0.5 * (double)(tied[c] + 1);
        }
        seen[0] += tied[0];
        seen[1] += tied[1];
        i = next;
    }
    double mean[2] = {0, 0}, variance[2] = {0, 0};
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < n; i++) {
            const int c = input->target[i] == 1;
            const double share = (rank[i] - own[i]) / (double)n_class[!c];
            const double placement = c ? share : 1 - share;
            if (pass == 0) {
                mean[c] += placement / (double)n_class[c];
            } else if (n_class[c] > 1) {
                variance[c] += (placement - mean[c]) * (placement - mean[c]) /
                               (double)(n_class[c] - 1) / (double)n_class[c];
            }
        }
    }
    const double se = sqrt(variance[0] + variance[1]);
    if (n_class[0] > 1 && n_class[1] > 1) {
        out->low = fmax(0, out->value - 1.959963984540054 * se);
        out->high = fmin(1, out->value + 1.959963984540054 * se);
    }
    qn_free(order);
    qn_free(rank);
    return true;
}

static qn_status fill_intervals(const qn_metric_input *input, uint64_t seed, qn_pool *pool,
                                const qn_stop *stop, qn_evaluation *out, qn_error *err)
{
    struct bootstrap b = {.input = input, .evaluation = out, .seed = seed, .stop = stop};
    const int64_t width = input->task == QN_TASK_MULTICLASS ? input->n_classes : 1;
    const int64_t affordable = REPLICATE_CELLS / (width * out->n_values);
    int64_t n_replicates = affordable / (input->n_rows ? input->n_rows : 1);
    n_replicates = n_replicates > REPLICATES ? REPLICATES : n_replicates < 50 ? 50 : n_replicates;
    b.n_drawn =
        affordable / n_replicates < input->n_rows ? affordable / n_replicates : input->n_rows;
    if (b.n_drawn < 100) b.n_drawn = input->n_rows < 100 ? input->n_rows : 100;
    b.values = qn_alloc_array((int64_t)REPLICATES * out->n_values, sizeof *b.values);
    b.statuses = qn_alloc_array(REPLICATES, sizeof *b.statuses);
    qn_status status = b.values && b.statuses && find_queries(&b) ? QN_OK : no_memory(err);
    if (status == QN_OK && input->n_rows > 1) {
        qn_pool_run(pool, n_replicates, replicate, &b);
        for (int64_t r = 0; r < n_replicates && status == QN_OK; r++) {
            if (b.statuses[r] != QN_OK) status = no_memory(err);
        }
        const double shrink = sqrt((double)b.n_drawn / (double)input->n_rows);
        for (int32_t m = 0; m < out->n_values && status == QN_OK; m++) {
            set_interval(&b, n_replicates, b.query_starts ? 1 : shrink, m, &out->values[m]);
            const bool is_auc = strcmp(out->values[m].metric->name, "roc_auc") == 0;
            if (is_auc && input->task == QN_TASK_BINARY && !input->weights &&
                !delong(input, &out->values[m])) {
                status = no_memory(err);
            }
        }
    }
    qn_free(b.values);
    qn_free(b.statuses);
    qn_free(b.query_starts);
    return status;
}

/* Curves. */

static void add_point(qn_curve *curve, double x, double y, double threshold)
{
    if (curve->n == QN_CURVE_POINTS_MAX) return;
    curve->x[curve->n] = x;
    curve->y[curve->n] = y;
    curve->threshold[curve->n++] = threshold;
}

/* Scores of the label metrics at one threshold, from the four counts. */
static void offer_thresholds(double tp, double fp, double fn, double tn, double threshold,
                             qn_evaluation *out)
{
    const double total = tp + fp + fn + tn;
    const double recall = tp + fn > 0 ? tp / (tp + fn) : 0;
    const double specificity = fp + tn > 0 ? tn / (fp + tn) : 0;
    const double scale = sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn));
    const double values[4] = {
        2 * tp + fp + fn > 0 ? 2 * tp / (2 * tp + fp + fn) : 0, 0.5 * (recall + specificity),
        scale > 0 ? (tp * tn - fp * fn) / scale : 0, total > 0 ? (tp + tn) / total : 0};
    for (int m = 0; m < 4; m++) {
        if (values[m] <= out->thresholds[m].value) continue;
        out->thresholds[m].value = values[m];
        out->thresholds[m].threshold = threshold;
    }
}

static qn_status fill_curves(const qn_metric_input *input, qn_evaluation *out, qn_error *err)
{
    static const char *const names[4] = {"f1", "balanced_accuracy", "mcc", "accuracy"};
    const int64_t n = input->n_rows;
    int32_t *order = qn_alloc_aligned(n, sizeof *order);
    if (!order || !qn_sort_order(input->predicted, n, order)) {
        qn_free(order);
        return no_memory(err);
    }
    double positives = 0, negatives = 0, tp = 0, fp = 0, last_x = 0, last_y = 0;
    for (int64_t i = 0; i < n; i++) {
        const double w = input->weights ? input->weights[i] : 1;
        positives += input->target[i] == 1 ? w : 0;
        negatives += input->target[i] == 1 ? 0 : w;
    }
    out->n_thresholds = 4;
    for (int m = 0; m < 4; m++) {
        snprintf(out->thresholds[m].metric, sizeof out->thresholds[m].metric, "%s", names[m]);
        out->thresholds[m].threshold = 0.5;
    }
    add_point(&out->roc, 0, 0, 1);
    for (int64_t i = n; i-- > 0;) {
        const double w = input->weights ? input->weights[order[i]] : 1;
        const double p = input->predicted[order[i]];
        tp += input->target[order[i]] == 1 ? w : 0;
        fp += input->target[order[i]] == 1 ? 0 : w;
        if (i > 0 && input->predicted[order[i - 1]] == p) continue;
        const double lower = i > 0 ? input->predicted[order[i - 1]] : 0;
        offer_thresholds(tp, fp, positives - tp, negatives - fp, 0.5 * (p + lower), out);
        const double x = negatives > 0 ? fp / negatives : 0, y = positives > 0 ? tp / positives : 0;
        /* Points a hundredth apart along the curve, and the last one. */
        if (fabs(x - last_x) + fabs(y - last_y) < 0.0101 && i > 0) continue;
        add_point(&out->roc, x, y, p);
        add_point(&out->precision_recall, y, tp / (tp + fp), p);
        last_x = x;
        last_y = y;
    }
    /* Reliability in ten parts of equal size. */
    for (int b = 0; b < QN_CALIBRATION_BINS && n >= QN_CALIBRATION_BINS; b++) {
        double weights = 0, p = 0, y = 0;
        for (int64_t i = n * b / QN_CALIBRATION_BINS; i < n * (b + 1) / QN_CALIBRATION_BINS; i++) {
            const double w = input->weights ? input->weights[order[i]] : 1;
            weights += w;
            p += w * input->predicted[order[i]];
            y += w * (input->target[order[i]] == 1);
        }
        if (weights > 0) add_point(&out->calibration, p / weights, y / weights, weights);
    }
    qn_free(order);
    return QN_OK;
}

static qn_status fill_residuals(const qn_metric_input *input, qn_evaluation *out, qn_error *err)
{
    static const double at[7] = {0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99};
    const int64_t n = input->n_rows;
    double *residuals = qn_alloc_aligned(n, sizeof *residuals);
    for (int64_t i = 0; residuals && i < n; i++) {
        residuals[i] = input->target[i] - input->predicted[i];
    }
    if (!residuals || !qn_sort_doubles(residuals, n)) {
        qn_free(residuals);
        return no_memory(err);
    }
    for (int q = 0; q < 7; q++) {
        out->residual_quantiles[q] = residuals[(int64_t)(at[q] * (double)(n - 1) + 0.5)];
    }
    const double low = out->residual_quantiles[0], high = out->residual_quantiles[6];
    for (int b = 0; b <= QN_RESIDUAL_BINS; b++) {
        out->residual_edges[b] = low + (high - low) * b / QN_RESIDUAL_BINS;
    }
    for (int64_t i = 0; i < n && high > low; i++) {
        const double bin = (residuals[i] - low) / (high - low) * QN_RESIDUAL_BINS;
        out->residual_counts[!(bin >= 0)               ? 0
                             : bin >= QN_RESIDUAL_BINS ? QN_RESIDUAL_BINS - 1
                                                       : (int)bin] += 1;
    }
    for (int64_t i = 0; i < SAMPLE_POINTS && i < n; i++) {
        const int64_t row = n <= SAMPLE_POINTS ? i : i * n / SAMPLE_POINTS;
        add_point(&out->predicted_actual, input->predicted[row], input->target[row], 0);
    }
    qn_free(residuals);
    return QN_OK;
}

/* All. */

static qn_status fill_values(const qn_metric_input *input, qn_evaluation *out, qn_error *err)
{
    int32_t n = 0;
    while (qn_metrics[n]) {
        n++;
    }
    out->values = qn_alloc_array(n, sizeof *out->values);
    if (!out->values) return no_memory(err);
    for (int32_t m = 0; m < n; m++) {
        if (!(qn_metrics[m]->tasks & (1u << input->task))) continue;
        qn_metric_value *value = &out->values[out->n_values++];
        *value = (qn_metric_value){qn_metrics[m], QN_NA, QN_NA, QN_NA};
        QN_TRY(qn_metrics[m]->compute(input, &value->value, err));
    }
    return QN_OK;
}

static qn_status fill(const qn_metric_input *input, uint64_t seed, qn_pool *pool,
                      const qn_stop *stop, qn_evaluation *out, qn_error *err)
{
    QN_TRY(fill_values(input, out, err));
    QN_TRY(fill_intervals(input, seed, pool, stop, out, err));
    if (input->n_classes > 0) {
        out->confusion =
            qn_alloc_array((int64_t)input->n_classes * input->n_classes, sizeof(double));
        if (!out->confusion) return no_memory(err);
        qn_confusion_fill(input, out->confusion);
    }
    if (input->n_rows == 0) return QN_OK;
    if (input->task == QN_TASK_BINARY) return fill_curves(input, out, err);
    if (input->task == QN_TASK_REGRESSION) return fill_residuals(input, out, err);
    return QN_OK;
}

qn_status qn_evaluation_create(const qn_metric_input *input, uint64_t seed, qn_pool *pool,
                               qn_evaluation **out, qn_error *err)
{
    return qn_evaluation_create_until(input, seed, pool, NULL, out, err);
}

qn_status qn_evaluation_create_until(const qn_metric_input *input, uint64_t seed, qn_pool *pool,
                                     const qn_stop *stop, qn_evaluation **out, qn_error *err)
{
    *out = NULL;
    qn_evaluation *evaluation = qn_alloc_array(1, sizeof *evaluation);
    if (!evaluation) return no_memory(err);
    evaluation->task = input->task;
    evaluation->n_classes = input->n_classes;
    evaluation->n_rows = input->n_rows;
    evaluation->interval_coverage = evaluation->interval_width = QN_NA;
    const qn_status status = fill(input, seed, pool, stop, evaluation, err);
    if (status != QN_OK) {
        qn_evaluation_free(evaluation);
        return status;
    }
    *out = evaluation;
    return QN_OK;
}

/* JSON. */

static void write_doubles(qn_json_writer *json, const char *key, const double *values, int64_t n)
{
    qn_json_key(json, key);
    qn_json_begin_array(json);
    for (int64_t i = 0; i < n; i++) {
        qn_json_double(json, values[i]);
    }
    qn_json_end_array(json);
}

static void write_curve(qn_json_writer *json, const char *key, const qn_curve *curve)
{
    if (curve->n == 0) return;
    qn_json_key(json, key);
    qn_json_begin_object(json);
    write_doubles(json, "x", curve->x, curve->n);
    write_doubles(json, "y", curve->y, curve->n);
    write_doubles(json, "threshold", curve->threshold, curve->n);
    qn_json_end_object(json);
}

void qn_evaluation_write_json(const qn_evaluation *e, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "task", qn_task_name(e->task));
    qn_json_put_int(json, "rows", e->n_rows);
    qn_json_put_int(json, "classes", e->n_classes);
    qn_json_key(json, "metrics");
    qn_json_begin_object(json);
    for (int32_t i = 0; i < e->n_values; i++) {
        const double values[3] = {e->values[i].value, e->values[i].low, e->values[i].high};
        write_doubles(json, e->values[i].metric->name, values, 3);
    }
    qn_json_end_object(json);
    if (e->confusion) {
        write_doubles(json, "confusion", e->confusion, (int64_t)e->n_classes * e->n_classes);
    }
    write_curve(json, "roc", &e->roc);
    write_curve(json, "precision_recall", &e->precision_recall);
    write_curve(json, "calibration", &e->calibration);
    write_curve(json, "predicted_actual", &e->predicted_actual);
    qn_json_key(json, "thresholds");
    qn_json_begin_object(json);
    for (int32_t i = 0; i < e->n_thresholds; i++) {
        const double values[2] = {e->thresholds[i].threshold, e->thresholds[i].value};
        write_doubles(json, e->thresholds[i].metric, values, 2);
    }
    qn_json_end_object(json);
    if (e->task == QN_TASK_REGRESSION) {
        write_doubles(json, "residual_quantiles", e->residual_quantiles, 7);
        write_doubles(json, "residual_edges", e->residual_edges, QN_RESIDUAL_BINS + 1);
        write_doubles(json, "residual_counts", e->residual_counts, QN_RESIDUAL_BINS);
    }
    if (!isnan(e->interval_coverage)) {
        qn_json_put_double(json, "interval_coverage", e->interval_coverage);
        qn_json_put_double(json, "interval_width", e->interval_width);
    }
    qn_json_end_object(json);
}

static void read_doubles(qn_json_value value, double *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = qn_json_as_double(qn_json_at(value, i), QN_NA);
    }
}

static void read_curve(qn_json_value value, qn_curve *out)
{
    const int64_t n = qn_json_size(qn_json_get(value, "x"));
    out->n = n > QN_CURVE_POINTS_MAX ? QN_CURVE_POINTS_MAX : (int32_t)n;
    read_doubles(qn_json_get(value, "x"), out->x, out->n);
    read_doubles(qn_json_get(value, "y"), out->y, out->n);
    read_doubles(qn_json_get(value, "threshold"), out->threshold, out->n);
}

static bool read_into(qn_json_value value, qn_evaluation *out)
{
    const qn_json_value metrics = qn_json_get(value, "metrics");
    const qn_json_value confusion = qn_json_get(value, "confusion");
    const qn_json_value thresholds = qn_json_get(value, "thresholds");
    const int64_t n = qn_json_size(metrics);
    out->n_rows = qn_json_as_int(qn_json_get(value, "rows"), 0);
    const int64_t k = qn_json_as_int(qn_json_get(value, "classes"), 0);
    out->n_classes = k >= 0 && k <= QN_CLASSES_MAX ? (int32_t)k : 0;
    out->values = qn_alloc_array(n, sizeof *out->values);
    if (!out->values) return false;
    for (int64_t i = 0; i < n; i++) {
        const char *name;
        const qn_json_value triple = qn_json_member(metrics, i, &name);
        const qn_metric *metric = qn_metric_find(name);
        if (!metric) continue; /* of a later version: not known here */
        double values[3];
        read_doubles(triple, values, 3);
        out->values[out->n_values++] = (qn_metric_value){metric, values[0], values[1], values[2]};
    }
    if (confusion && qn_json_size(confusion) == (int64_t)out->n_classes * out->n_classes) {
        out->confusion = qn_alloc_array(qn_json_size(confusion), sizeof *out->confusion);
        if (!out->confusion) return false;
        read_doubles(confusion, out->confusion, qn_json_size(confusion));
    }
    read_curve(qn_json_get(value, "roc"), &out->roc);
    read_curve(qn_json_get(value, "precision_recall"), &out->precision_recall);
    read_curve(qn_json_get(value, "calibration"), &out->calibration);
    read_curve(qn_json_get(value, "predicted_actual"), &out->predicted_actual);
    for (int64_t i = 0; i < qn_json_size(thresholds) && i < 4; i++) {
        const char *name;
        const qn_json_value pair = qn_json_member(thresholds, i, &name);
        qn_best_threshold *best = &out->thresholds[out->n_thresholds++];
        snprintf(best->metric, sizeof best->metric, "%s", name);
        best->threshold = qn_json_as_double(qn_json_at(pair, 0), 0.5);
        best->value = qn_json_as_double(qn_json_at(pair, 1), QN_NA);
    }
    read_doubles(qn_json_get(value, "residual_quantiles"), out->residual_quantiles, 7);
    read_doubles(qn_json_get(value, "residual_edges"), out->residual_edges, QN_RESIDUAL_BINS + 1);
    read_doubles(qn_json_get(value, "residual_counts"), out->residual_counts, QN_RESIDUAL_BINS);
    out->interval_coverage = qn_json_as_double(qn_json_get(value, "interval_coverage"), QN_NA);
    out->interval_width = qn_json_as_double(qn_json_get(value, "interval_width"), QN_NA);
    return true;
}

qn_status qn_evaluation_read_json(qn_json_value value, qn_evaluation **out, qn_error *err)
{
    *out = NULL;
    qn_evaluation *evaluation = qn_alloc_array(1, sizeof *evaluation);
    if (!evaluation) return no_memory(err);
    if (!qn_task_from_name(qn_json_as_text(qn_json_get(value, "task"), ""), &evaluation->task)) {
        qn_evaluation_free(evaluation);
        return qn_fail(err, QN_ERR_DATA, "record: an evaluation has no task");
    }
    if (!read_into(value, evaluation)) {
        qn_evaluation_free(evaluation);
        return no_memory(err);
    }
    *out = evaluation;
    return QN_OK;
}
