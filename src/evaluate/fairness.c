/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/fairness.h"

#include "base/alloc.h"
#include "base/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char missing_name[] = "(missing)";

struct named_group {
    const char *name;
    size_t bytes;
    int64_t code; /* in order of first appearance */
};

static int by_name(const void *left, const void *right)
{
    const struct named_group *a = left, *b = right;
    const int order = memcmp(a->name, b->name, a->bytes < b->bytes ? a->bytes : b->bytes);
    return order ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* Group of each row, numbered in order of appearance; -1: missing. */
static qn_status number_groups(const qn_metric_input *input, const qn_column *column,
                               qn_map *numbers, int64_t *codes, qn_error *err)
{
    for (int64_t row = 0; row < input->n_rows; row++) {
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        codes[row] = -1;
        if (qn_column_is_missing(column, row)) continue;
        const char *text = qn_column_text(column, row, scratch, &bytes);
        const int64_t *slot = qn_map_slot(numbers, text, bytes, qn_map_n(numbers));
        if (!slot) return qn_fail(err, QN_ERR_NOMEM, "no memory for the groups");
        codes[row] = *slot;
        if (qn_map_n(numbers) > QN_FAIRNESS_GROUPS_MAX) {
            return qn_fail(err, QN_ERR_ARG,
                           "column '%s' has more than %d values; groups need one with few",
                           column->name, QN_FAIRNESS_GROUPS_MAX);
        }
    }
    return QN_OK;
}

static qn_status name_groups(const qn_map *numbers, bool has_missing, qn_fairness *out,
                             int64_t *place_of, qn_error *err)
{
    const int64_t n = qn_map_n(numbers);
    struct named_group sorted[QN_FAIRNESS_GROUPS_MAX];
    for (int64_t i = 0; i < n; i++) {
        sorted[i].name = qn_map_key(numbers, i, &sorted[i].bytes);
        sorted[i].code = i;
    }
    if (n > 1) qsort(sorted, (size_t)n, sizeof *sorted, by_name);
    out->n_groups = n + has_missing;
    out->groups = qn_arena_array(&out->arena, out->n_groups, sizeof *out->groups);
    if (!out->groups) return qn_fail(err, QN_ERR_NOMEM, "no memory for the groups");
    for (int64_t i = 0; i < out->n_groups; i++) {
        out->groups[i].group =
            i < n ? qn_arena_strndup(&out->arena, sorted[i].name, sorted[i].bytes) : missing_name;
        if (!out->groups[i].group) return qn_fail(err, QN_ERR_NOMEM, "no memory for the groups");
        if (i < n) place_of[sorted[i].code] = i;
    }
    return QN_OK;
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : QN_NA;
}

/* The rows of one group, gathered into `rows`, measured. */
static qn_status measure(const qn_metric_input *rows, qn_group_rates *out, qn_error *err)
{
    double counts[4]; /* [actual][predicted] */
    qn_confusion_fill(rows, counts);
    const double tn = counts[0], fp = counts[1], fn = counts[2], tp = counts[3];
    out->n_rows = rows->n_rows;
    out->selection_rate = ratio(tp + fp, tn + fp + fn + tp);
    out->true_positive_rate = ratio(tp, tp + fn);
    out->false_positive_rate = ratio(fp, fp + tn);
    out->accuracy = ratio(tp + tn, tn + fp + fn + tp);
    return qn_metric_find("roc_auc")->compute(rows, &out->roc_auc, err);
}

static qn_status measure_all(const qn_metric_input *input, const int64_t *codes,
                             const int64_t *place_of, qn_fairness *out, qn_error *err)
{
    double *target = qn_alloc_array(input->n_rows, sizeof *target);
    double *predicted = qn_alloc_array(input->n_rows, sizeof *predicted);
    double *weights = qn_alloc_array(input->n_rows, sizeof *weights);
    qn_status status = target && predicted && weights
                           ? QN_OK
                           : qn_fail(err, QN_ERR_NOMEM, "no memory for the groups");
    for (int64_t g = 0; g < out->n_groups && status == QN_OK; g++) {
        qn_metric_input rows = *input;
        rows.n_rows = 0;
        rows.target = target;
        rows.predicted = predicted;
        if (input->weights) rows.weights = weights;
        for (int64_t row = 0; row < input->n_rows; row++) {
            const int64_t place = codes[row] < 0 ? out->n_groups - 1 : place_of[codes[row]];
            if (place != g) continue;
            target[rows.n_rows] = input->target[row];
            predicted[rows.n_rows] = input->predicted[row];
            if (input->weights) weights[rows.n_rows] = input->weights[row];
            rows.n_rows++;
        }
        status = measure(&rows, &out->groups[g], err);
    }
    qn_free(target);
    qn_free(predicted);
    qn_free(weights);
    return status;
}

/* Largest less smallest, and smallest by largest, of one rate over the groups. */
static void compare(const qn_fairness *fairness, size_t offset, double *difference,
                    double *quotient)
{
    double low = QN_NA, high = QN_NA;
    for (int64_t g = 0; g < fairness->n_groups; g++) {
        double rate;
        memcpy(&rate, (const char *)&fairness->groups[g] + offset, sizeof rate);
        low = fmin(low, rate); /* fmin and fmax pass over QN_NA */
        high = fmax(high, rate);
    }
    *difference = high - low;
    *quotient = ratio(low, high);
}

static void set_disparities(qn_fairness *f)
{
    double differences[2], quotients[2];
    compare(f, offsetof(qn_group_rates, selection_rate), &f->demographic_parity_difference,
            &f->demographic_parity_ratio);
    compare(f, offsetof(qn_group_rates, true_positive_rate), &differences[0], &quotients[0]);
    compare(f, offsetof(qn_group_rates, false_positive_rate), &differences[1], &quotients[1]);
    f->equalized_odds_difference = fmax(differences[0], differences[1]);
    f->equalized_odds_ratio = fmin(quotients[0], quotients[1]);
}

qn_status qn_fairness_create(const qn_metric_input *input, const qn_column *column,
                             qn_fairness *out, qn_error *err)
{
    *out = (qn_fairness){0};
    if (input->task != QN_TASK_BINARY) {
        return qn_fail(err, QN_ERR_ARG,
                       "fairness is measured for two classes, and this model is for %s",
                       qn_task_name(input->task));
    }
    int64_t place_of[QN_FAIRNESS_GROUPS_MAX + 1];
    bool has_missing = false;
    qn_map *numbers = qn_map_create(QN_FAIRNESS_GROUPS_MAX);
    int64_t *codes = qn_alloc_array(input->n_rows, sizeof *codes);
    qn_status status =
        numbers && codes ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for the groups");
    if (status == QN_OK) status = number_groups(input, column, numbers, codes, err);
    for (int64_t row = 0; row < input->n_rows && status == QN_OK; row++) {
        has_missing |= codes[row] < 0;
    }
    if (status == QN_OK) status = name_groups(numbers, has_missing, out, place_of, err);
    if (status == QN_OK) status = measure_all(input, codes, place_of, out, err);
    if (status == QN_OK) set_disparities(out);
    qn_map_free(numbers);
    qn_free(codes);
    if (status != QN_OK) qn_fairness_release(out);
    return status;
}

void qn_fairness_release(qn_fairness *fairness)
{
    qn_arena_release(&fairness->arena);
    *fairness = (qn_fairness){0};
}

void qn_fairness_write_json(const qn_fairness *fairness, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_double(json, "demographic_parity_difference",
                       fairness->demographic_parity_difference);
    qn_json_put_double(json, "demographic_parity_ratio", fairness->demographic_parity_ratio);
    qn_json_put_double(json, "equalized_odds_difference", fairness->equalized_odds_difference);
    qn_json_put_double(json, "equalized_odds_ratio", fairness->equalized_odds_ratio);
    qn_json_key(json, "groups");
    qn_json_begin_array(json);
    for (int64_t g = 0; g < fairness->n_groups; g++) {
        const qn_group_rates *rates = &fairness->groups[g];
        qn_json_begin_object(json);
        qn_json_put_text(json, "group", rates->group);
        qn_json_put_int(json, "rows", rates->n_rows);
        qn_json_put_double(json, "selection_rate", rates->selection_rate);
        qn_json_put_double(json, "true_positive_rate", rates->true_positive_rate);
        qn_json_put_double(json, "false_positive_rate", rates->false_positive_rate);
        qn_json_put_double(json, "accuracy", rates->accuracy);
        qn_json_put_double(json, "roc_auc", rates->roc_auc);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
    qn_json_end_object(json);
}
