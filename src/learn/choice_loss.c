/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/choice_loss.h"

#include <math.h>

static const double least_probability = 1e-3;

double qn_choice_loss(const qn_dataset *data, int64_t row, const double *predicted)
{
    const qn_dataset_part *valid = &data->valid;
    const double y = valid->target[row], w = valid->weights ? valid->weights[row] : 1;
    if (data->task == QN_TASK_BINARY) {
        return -w * log(fmax(y == 1 ? predicted[0] : 1 - predicted[0], least_probability));
    }
    if (data->task == QN_TASK_MULTICLASS) {
        return -w * log(fmax(predicted[(int32_t)y], least_probability));
    }
    return w * (predicted[0] - y) * (predicted[0] - y);
}
