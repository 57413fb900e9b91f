/* SPDX-License-Identifier: Apache-2.0 */
/* Shadow answers: what the version that answered predicted for the rows of a request, to be held
 * against what its shadow predicts for them: how many rows have the same decision – label, or
 * number to the last bit –, and how far the outputs lie apart: of a number the absolute difference,
 * of classes the mean of those of their probabilities.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_ROUTES_SHADOW_ANSWERS_H
#define QN_SERVE_ROUTES_SHADOW_ANSWERS_H

#include "serve/models/served_model.h"
#include "serve/telemetry/telemetry.h"

enum { QN_SHADOW_VALUES_MAX = 1 << 14 }; /* outputs kept of one request; others are not compared */

typedef struct qn_shadow_answers {
    qn_served_model *model; /* that answered */
    double *outputs;        /* n_rows × its outputs */
    int64_t n_rows, n_values_max;
    bool incomplete; /* too many, or no memory */
} qn_shadow_answers; /* zero-initialise; release with qn_shadow_answers_release() */

/* The rows that follow those added before. */
void qn_shadow_answers_add(qn_shadow_answers *answers, const double *outputs, int64_t n_rows);
/* Counts what `other` gave for n rows, the first being row `first` of the request, from 0. Rows
 * that have no answer, and versions with other classes, are not compared. */
void qn_shadow_answers_compare(const qn_shadow_answers *answers, const qn_served_model *other,
                               const double *outputs, int64_t first, int64_t n,
                               qn_model_counters *counters);
void qn_shadow_answers_release(qn_shadow_answers *answers);

#endif
