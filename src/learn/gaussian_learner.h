/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the learner gaussian_process share. */
#ifndef QN_LEARN_GAUSSIAN_LEARNER_H
#define QN_LEARN_GAUSSIAN_LEARNER_H

#include "learn/gaussian_sample.h"
#include "model/gaussian_classes_model.h"

typedef struct qn_gaussian_params {
    int32_t kernel;
    bool ard, return_std;
    double length_scale, noise;
    int64_t n_restarts, max_iter, max_rows, search_rows;
} qn_gaussian_params;

/* Adds the share of each column, summing to 1, to out: n_dense. */
void qn_gaussian_add_importance(const qn_gaussian_sample *s, const double *log_lengths,
                                double *out);

/* One process for two classes, or one for each of several against the rest. Fails with
 * QN_ERR_NOMEM, QN_ERR_DATA. */
QN_MUST_CHECK
qn_status qn_gaussian_classes_fit(const qn_gaussian_sample *s, const qn_learn_request *request,
                                  qn_learn_result *result, qn_error *err);

#endif
