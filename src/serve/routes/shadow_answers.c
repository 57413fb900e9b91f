/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/shadow_answers.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

static bool reserve(qn_shadow_answers *answers, int64_t n_values)
{
    if (n_values <= answers->n_values_max) return true;
    if (n_values > QN_SHADOW_VALUES_MAX) return false;
    const int64_t twice = 2 * n_values;
    const int64_t wanted = twice < QN_SHADOW_VALUES_MAX ? twice : QN_SHADOW_VALUES_MAX;
    double *wider = qn_realloc_array(answers->outputs, wanted, sizeof *wider);
    if (!wider) return false;
    answers->outputs = wider;
    answers->n_values_max = wanted;
    return true;
}

void qn_shadow_answers_add(qn_shadow_answers *answers, const double *outputs, int64_t n_rows)
{
    const int64_t width = answers->model->n_outputs;
    answers->incomplete |= !reserve(answers, (answers->n_rows + n_rows) * width);
    if (answers->incomplete) return;
    memcpy(answers->outputs + answers->n_rows * width, outputs,
           (size_t)(n_rows * width) * sizeof *outputs);
    answers->n_rows += n_rows;
}

static bool are_comparable(const qn_schema *a, const qn_schema *b)
{
    if (a->task != b->task || a->n_classes != b->n_classes) return false;
    for (int32_t c = 0; c < a->n_classes; c++) {
        if (strcmp(a->classes[c], b->classes[c]) != 0) return false;
    }
    return true;
}

static bool is_equal(const qn_served_model *a, const double *outputs_a, const qn_served_model *b,
                     const double *outputs_b)
{
    const char *label_a = qn_tensor_label(a->text, outputs_a);
    const char *label_b = qn_tensor_label(b->text, outputs_b);
    if (label_a && label_b) return strcmp(label_a, label_b) == 0;
    return !label_a && !label_b && outputs_a[0] == outputs_b[0];
}

void qn_shadow_answers_compare(const qn_shadow_answers *answers, const qn_served_model *other,
                               const double *outputs, int64_t first, int64_t n,
                               qn_model_counters *counters)
{
    const qn_served_model *model = answers->model;
    if (!are_comparable(model->schema, other->schema)) return;
    const int64_t width = model->n_outputs; /* follows from task and classes */
    for (int64_t row = 0; row < n && first + row < answers->n_rows; row++) {
        const double *a = answers->outputs + (first + row) * width, *b = outputs + row * width;
        double difference = 0;
        for (int64_t i = 0; i < width; i++) {
            difference += fabs(a[i] - b[i]);
        }
        difference /= (double)width;
        if (!isfinite(difference)) continue;
        qn_count_add(&counters->compared_rows, 1);
        qn_count_add(&counters->equal_rows, is_equal(model, a, other, b));
        qn_sum_add(&counters->difference_sum, difference);
    }
}

void qn_shadow_answers_release(qn_shadow_answers *answers)
{
    qn_served_model_unref(answers->model);
    qn_free(answers->outputs);
    *answers = (qn_shadow_answers){0};
}
