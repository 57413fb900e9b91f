/* SPDX-License-Identifier: Apache-2.0 */
/* Prediction intervals: how far targets lay from predictions of models that had not seen them, by
 * where the prediction lies. An interval of level L holds the target of a new row in a share L of
 * the cases, if new rows come as the training rows came, whatever the model: split conformal
 * prediction within groups of the prediction (Vovk, Gammerman, Shafer 2005, section 4.5; Boström,
 * Johansson 2020, "Mondrian conformal regressors"), the two tails apart, since errors are mostly
 * skewed. Between the groups' centres the offsets are interpolated, so that no interval jumps.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_INTERVALS_H
#define QN_MODEL_INTERVALS_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    QN_INTERVAL_LEVELS = 5,
    QN_INTERVAL_LEVEL_DEFAULT = 3, /* 0.95, as most services and papers give */
    QN_INTERVAL_GROUPS_MAX = 16
};

extern const double qn_interval_levels[QN_INTERVAL_LEVELS]; /* 0.5, 0.8, 0.9, 0.95, 0.99 */

typedef struct qn_intervals {
    int32_t n_groups; /* 0: nothing is known */
    double *centres;  /* of each group: its median prediction; ascending */
    double *offsets;  /* target − prediction: n_groups × QN_INTERVAL_LEVELS × {lower, upper} */
} qn_intervals;       /* zero-initialise; release with qn_intervals_release() */

void qn_intervals_release(qn_intervals *intervals);
/* Zero groups. False: no memory. */
QN_MUST_CHECK
bool qn_intervals_reserve(qn_intervals *intervals, int32_t n_groups);

/* The index of a level, or -1: it is none of them. */
int qn_interval_level_find(double level);
/* The same from text: "0.9", "90%", or "" and "true" for the default. Fails with QN_ERR_ARG. */
QN_MUST_CHECK
qn_status qn_interval_level_read(const char *text, size_t bytes, int *level, qn_error *err);

/* The interval around a prediction, which it always holds; NaN for one that is not finite. There
 * must be groups. */
void qn_intervals_at(const qn_intervals *intervals, int level, double prediction, double *low,
                     double *high);

void qn_intervals_write(const qn_intervals *intervals, qn_writer *writer);
/* Fails with QN_ERR_DATA (damaged) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_intervals_read(qn_reader *reader, qn_intervals *out, qn_error *err);

#endif
