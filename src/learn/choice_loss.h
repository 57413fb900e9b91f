/* SPDX-License-Identifier: Apache-2.0 */
/* The loss by which learners choose a parameter on validation rows.
 *
 * Threads: a pure function. */
#ifndef QN_LEARN_CHOICE_LOSS_H
#define QN_LEARN_CHOICE_LOSS_H

#include "learn/dataset.h"

/* Of one validation row, times its weight: log-loss, where no probability counts below 0.001, since
 * few votes often give none; or squared error. `predicted` has n_outputs entries. */
double qn_choice_loss(const qn_dataset *data, int64_t row, const double *predicted);

#endif
