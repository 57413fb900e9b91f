/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the dense view as Gaussian processes take them, row after row.
 *
 * Threads: pure functions of their arguments. */
#ifndef QN_LEARN_GAUSSIAN_SAMPLE_H
#define QN_LEARN_GAUSSIAN_SAMPLE_H

#include "learn/learner.h"

typedef struct qn_gaussian_sample {
    int64_t n, n_dense;
    double *x;            /* n × n_dense */
    double *y, *weights;  /* n; weights > 0, or NULL */
    double offset, scale; /* what was taken off y: the caller's to set */
} qn_gaussian_sample;     /* release with qn_gaussian_sample_release() */

/* The training rows, or max_rows drawn from them. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_gaussian_sample_take(const qn_learn_request *request, int64_t max_rows,
                                  qn_gaussian_sample *s, qn_error *err);
/* n_part rows of `from` at equal steps, its offset and scale. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_gaussian_sample_thin(const qn_gaussian_sample *from, int64_t n_part,
                                  qn_gaussian_sample *s, qn_error *err);
void qn_gaussian_sample_release(qn_gaussian_sample *s);

#endif
