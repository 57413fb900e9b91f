/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/class_weight.h"

const char *const qn_class_weight_names[] = {"none", "balanced", NULL};

bool qn_class_weights(const qn_dataset *data, int32_t class_weight, double *out)
{
    const qn_dataset_part *train = &data->train;
    const bool is_class = data->task == QN_TASK_BINARY || data->task == QN_TASK_MULTICLASS;
    const bool balanced = class_weight == QN_CLASS_WEIGHT_BALANCED && is_class;
    const int32_t n_classes = data->task == QN_TASK_BINARY ? 2 : data->n_classes;
    double totals[QN_CLASSES_MAX] = {0}, all = 0;
    for (int64_t row = 0; balanced && row < train->n_rows; row++) {
        const double w = train->weights ? train->weights[row] : 1;
        totals[(int32_t)train->target[row]] += w;
        all += w;
    }
    for (int32_t c = 0; c < QN_CLASSES_MAX; c++) {
        out[c] = totals[c] > 0 ? all / (n_classes * totals[c]) : 1;
    }
    return balanced;
}
