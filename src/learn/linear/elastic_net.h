/* SPDX-License-Identifier: Apache-2.0 */
/* Elastic net: penalties of absolute values and squares, fitted along a path of penalties. The
 * learner of that name, and logistic regression with l1_ratio above 0.
 *
 * Threads: fits may run in many threads at once on one dataset. */
#ifndef QN_LEARN_LINEAR_ELASTIC_NET_H
#define QN_LEARN_LINEAR_ELASTIC_NET_H

#include "learn/learner.h"

typedef struct qn_elastic_net_params {
    double alpha, l1_ratio; /* 0: alpha is chosen; l1_ratio in (0, 1] */
    bool alpha_is_sum;      /* for the sum of losses, not their mean */
    int64_t cv;             /* folds that choose alpha: qn_penalty_folds() */
    int64_t n_alphas;
    double eps;
    int32_t class_weight; /* qn_class_weight */
    int64_t max_iter;
    double tol;
} qn_elastic_net_params;

/* Fails with QN_ERR_NOMEM; QN_ERR_UNSUPPORTED: no dense view. */
QN_MUST_CHECK
qn_status qn_elastic_net_fit(const qn_learn_request *request, const qn_elastic_net_params *params,
                             qn_learn_result *result, qn_error *err);

#endif
