/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/metrics_internal.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <float.h>
#include <math.h>
#include <string.h>

static double weight_of(const qn_metric_input *input, int64_t i)
{
    return input->weights ? input->weights[i] : 1;
}

static bool is_binary(const qn_metric_input *input)
{
    return input->task == QN_TASK_BINARY;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a metric");
}

/* Ranking of probabilities. */

enum curve_area { AREA_ROC, AREA_PRECISION };

/* One class against the rest. `scores` are read with the given stride; ties count as one step. */
static qn_status area(const qn_metric_input *input, int32_t positive, const double *scores,
                      int64_t stride, enum curve_area which, double *out, qn_error *err)
{
    const int64_t n = input->n_rows;
    double *keys = qn_alloc_aligned(n, sizeof *keys);
    int32_t *order = qn_alloc_aligned(n, sizeof *order);
    *out = QN_NA;
    if (!keys || !order) {
        qn_free(keys);
        qn_free(order);
        return no_memory(err);
    }
    for (int64_t i = 0; i < n; i++) {
        keys[i] = -scores[i * stride];
    }
    if (!qn_sort_order(keys, n, order)) {
        qn_free(keys);
        qn_free(order);
        return no_memory(err);
    }
    double hits = 0, misses = 0, roc = 0, precision = 0;
    for (int64_t i = 0; i < n;) {
        double more_hits = 0, more_misses = 0;
        const double key = keys[order[i]];
        do { /* at least one: what is not a number equals nothing */
            const double weight = weight_of(input, order[i]);
            if (input->target[order[i]] == positive) {
                more_hits += weight;
            } else {
                more_misses += weight;
            }
        } while (++i < n && keys[order[i]] == key);
        roc += more_misses * (hits + 0.5 * more_hits);
        hits += more_hits;
        misses += more_misses;
        if (more_hits > 0) precision += more_hits * hits / (hits + misses);
    }
    qn_free(keys);
    qn_free(order);
    if (which == AREA_ROC && hits > 0 && misses > 0) *out = roc / (hits * misses);
    if (which == AREA_PRECISION && hits > 0) *out = precision / hits;
    return QN_OK;
}

/* Binary, or the plain mean over classes of one against the rest. */
static qn_status mean_area(const qn_metric_input *input, enum curve_area which, double *out,
                           qn_error *err)
{
    if (is_binary(input)) return area(input, 1, input->predicted, 1, which, out, err);
    double sum = 0;
    int32_t n_known = 0;
    for (int32_t c = 0; c < input->n_classes; c++) {
        double value;
        QN_TRY(area(input, c, input->predicted + c, input->n_classes, which, &value, err));
        if (isnan(value)) continue;
        sum += value;
        n_known++;
    }
    *out = n_known > 0 ? sum / n_known : QN_NA;
    return QN_OK;
}

qn_status qn_metric_roc_auc(const qn_metric_input *input, double *out, qn_error *err)
{
    return mean_area(input, AREA_ROC, out, err);
}

qn_status qn_metric_average_precision(const qn_metric_input *input, double *out, qn_error *err)
{
    return mean_area(input, AREA_PRECISION, out, err);
}

/* Probabilities themselves. */

static double clip(double p)
{
    return fmin(fmax(p, DBL_EPSILON), 1 - DBL_EPSILON);
}

qn_status qn_metric_log_loss(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    double sum = 0, weights = 0;
    const int32_t k = input->n_classes;
    for (int64_t i = 0; i < input->n_rows; i++) {
        double p;
        if (is_binary(input)) {
            p = clip(input->predicted[i]);
            if (input->target[i] != 1) p = 1 - p;
        } else {
            double total = 0;
            for (int32_t c = 0; c < k; c++) {
                total += input->predicted[i * k + c];
            }
            p = clip(input->predicted[i * k + (int32_t)input->target[i]] / total);
        }
        sum -= weight_of(input, i) * log(p);
        weights += weight_of(input, i);
    }
    *out = weights > 0 ? sum / weights : QN_NA;
    return QN_OK;
}

/* Binary: the mean square of p - y. Multiclass: its sum over classes, halved, as scikit-learn's
 * scale_by_half. */
qn_status qn_metric_brier(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    double sum = 0, weights = 0;
    const int32_t k = is_binary(input) ? 1 : input->n_classes;
    for (int64_t i = 0; i < input->n_rows; i++) {
        double loss = 0;
        for (int32_t c = 0; c < k; c++) {
            const double truth = input->target[i] == (is_binary(input) ? 1 : c);
            const double off = input->predicted[i * k + c] - truth;
            loss += off * off;
        }
        sum += weight_of(input, i) * (is_binary(input) ? loss : 0.5 * loss);
        weights += weight_of(input, i);
    }
    *out = weights > 0 ? sum / weights : QN_NA;
    return QN_OK;
}

/* Labels. */

int32_t qn_metric_label(const qn_metric_input *input, int64_t i)
{
    if (is_binary(input)) {
        return input->predicted[i] >= (input->threshold > 0 ? input->threshold : 0.5);
    }
    const double *p = input->predicted + i * input->n_classes;
    int32_t best = 0;
    double best_p = -QN_INF;
    for (int32_t c = 0; c < input->n_classes; c++) {
        const double weighted = input->class_weights ? p[c] * input->class_weights[c] : p[c];
        if (weighted > best_p) {
            best_p = weighted;
            best = c;
        }
    }
    return best;
}

void qn_confusion_fill(const qn_metric_input *input, double *counts)
{
    const int32_t k = input->n_classes;
    memset(counts, 0, (size_t)k * (size_t)k * sizeof *counts);
    for (int64_t i = 0; i < input->n_rows; i++) {
        counts[(int64_t)input->target[i] * k + qn_metric_label(input, i)] += weight_of(input, i);
    }
}

qn_status qn_metric_accuracy(const qn_metric_input *input, double *out, qn_error *err)
{
    (void)err;
    double hits = 0, weights = 0;
    for (int64_t i = 0; i < input->n_rows; i++) {
        weights += weight_of(input, i);
        if (qn_metric_label(input, i) == (int32_t)input->target[i]) hits += weight_of(input, i);
    }
    *out = weights > 0 ? hits / weights : QN_NA;
    return QN_OK;
}

/* What the label metrics need of each class. */
struct class_counts {
    double actual, predicted, hits;
};

typedef double from_counts(const struct class_counts *counts, const double *confusion, int32_t k);

static qn_status by_counts(const qn_metric_input *input, from_counts *metric, double *out,
                           qn_error *err)
{
    const int32_t k = input->n_classes;
    double *confusion = qn_alloc_array((int64_t)k * k, sizeof *confusion);
    struct class_counts *counts = qn_alloc_array(k, sizeof *counts);
    if (!confusion || !counts) {
        qn_free(confusion);
        qn_free(counts);
        return no_memory(err);
    }
    qn_confusion_fill(input, confusion);
    for (int32_t a = 0; a < k; a++) {
        for (int32_t p = 0; p < k; p++) {
            counts[a].actual += confusion[(int64_t)a * k + p];
            counts[p].predicted += confusion[(int64_t)a * k + p];
        }
        counts[a].hits = confusion[(int64_t)a * k + a];
    }
    *out = input->n_rows > 0 ? metric(counts, confusion, k) : QN_NA;
    qn_free(confusion);
    qn_free(counts);
    return QN_OK;
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static double precision_of(const struct class_counts *c)
{
    return ratio(c->hits, c->predicted);
}

static double recall_of(const struct class_counts *c)
{
    return ratio(c->hits, c->actual);
}

static double f1_of(const struct class_counts *c)
{
    return ratio(2 * c->hits, c->actual + c->predicted);
}

/* Mean over the classes that occur, actual or predicted; plain or by actual weight. */
static double mean_of(const struct class_counts *counts, int32_t k,
                      double (*figure)(const struct class_counts *), bool weighted)
{
    double sum = 0, weights = 0;
    for (int32_t c = 0; c < k; c++) {
        if (counts[c].actual == 0 && counts[c].predicted == 0) continue;
        const double weight = weighted ? counts[c].actual : 1;
        sum += weight * figure(&counts[c]);
        weights += weight;
    }
    return ratio(sum, weights);
}

static double balanced_accuracy(const struct class_counts *counts, const double *confusion,
                                int32_t k)
{
    (void)confusion;
    double sum = 0, n = 0;
    for (int32_t c = 0; c < k; c++) {
        if (counts[c].actual == 0) continue;
        sum += recall_of(&counts[c]);
        n += 1;
    }
    return ratio(sum, n);
}

static double precision(const struct class_counts *counts, const double *confusion, int32_t k)
{
    (void)confusion;
    return precision_of(&counts[k - 1]);
}

static double recall(const struct class_counts *counts, const double *confusion, int32_t k)
{
    (void)confusion;
    return recall_of(&counts[k - 1]);
}

static double f1(const struct class_counts *counts, const double *confusion, int32_t k)
{
    (void)confusion;
    return f1_of(&counts[k - 1]);
}

static double precision_macro(const struct class_counts *counts, const double *confusion, int32_t k)
{
    (void)confusion;
    return mean_of(counts, k, precision_of, false);
}

static double recall_macro(const struct class_counts *counts, const double *confusion, int32_t k)
{
    (void)confusion;
    return mean_of(counts, k, recall_of, false);
}

static double f1_macro(const struct class_counts *counts, const double *confusion, int32_t k)
{
    (void)confusion;
    return mean_of(counts, k, f1_of, false);
}

static double precision_weighted(const struct class_counts *counts, const double *confusion,
                                 int32_t k)
{
    (void)confusion;
    return mean_of(counts, k, precision_of, true);
}

static double recall_weighted(const struct class_counts *counts, const double *confusion, int32_t k)
{
    (void)confusion;
    return mean_of(counts, k, recall_of, true);
}

static double f1_weighted(const struct class_counts *counts, const double *confusion, int32_t k)
{
    (void)confusion;
    return mean_of(counts, k, f1_of, true);
}

/* Gorodkin 2004, the correlation of two class assignments. */
static double mcc(const struct class_counts *counts, const double *confusion, int32_t k)
{
    (void)confusion;
    double total = 0, hits = 0, cross = 0, actual = 0, predicted = 0;
    for (int32_t c = 0; c < k; c++) {
        total += counts[c].actual;
        hits += counts[c].hits;
        cross += counts[c].actual * counts[c].predicted;
        actual += counts[c].actual * counts[c].actual;
        predicted += counts[c].predicted * counts[c].predicted;
    }
    const double scale = (total * total - actual) * (total * total - predicted);
    return scale > 0 ? (hits * total - cross) / sqrt(scale) : 0;
}

qn_status qn_metric_balanced_accuracy(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, balanced_accuracy, out, err);
}

qn_status qn_metric_precision(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, precision, out, err);
}

qn_status qn_metric_recall(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, recall, out, err);
}

qn_status qn_metric_f1(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, f1, out, err);
}

qn_status qn_metric_precision_macro(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, precision_macro, out, err);
}

qn_status qn_metric_recall_macro(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, recall_macro, out, err);
}

qn_status qn_metric_f1_macro(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, f1_macro, out, err);
}

qn_status qn_metric_precision_weighted(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, precision_weighted, out, err);
}

qn_status qn_metric_recall_weighted(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, recall_weighted, out, err);
}

qn_status qn_metric_f1_weighted(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, f1_weighted, out, err);
}

qn_status qn_metric_mcc(const qn_metric_input *input, double *out, qn_error *err)
{
    return by_counts(input, mcc, out, err);
}
