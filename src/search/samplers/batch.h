/* SPDX-License-Identifier: Apache-2.0 */
/* Batch: which trial is run next, and which result is told next.
 *
 * With a size N the trials 0 … N-1, N … 2N-1 and so on are batches: all of one are asked for before
 * any of it is told, and told, in the order of their numbers, before any of the next is asked for.
 * So what a trial is based on depends on its number alone, not on how many run at a time and which
 * ends first, and a study taken up again goes on with the batch it was in. Results wait here for
 * those of lower numbers. Two pieces are the study's: it hands out the trials below a number, and
 * its pruner is shown earlier batches alone (qn_study_set_batch()).
 *
 * Without a size trials are asked for one by one and told as they end.
 *
 * Threads: one thread at a time. */
#ifndef QN_SEARCH_SAMPLERS_BATCH_H
#define QN_SEARCH_SAMPLERS_BATCH_H

#include "search/study/study.h"

/* What came of a trial. */
typedef enum qn_outcome_kind {
    QN_OUTCOME_RESULT,
    QN_OUTCOME_PRUNED,
    QN_OUTCOME_FAILED,
    QN_OUTCOME_TAKEN /* it is another worker's now, or was ended by hand: nothing to tell */
} qn_outcome_kind;

typedef struct qn_outcome {
    qn_outcome_kind kind;
    double values[QN_OBJECTIVES_MAX], violation;
    double cost;       /* QN_NA: nothing was said of it */
    char failure[512]; /* why it failed */
} qn_outcome;

typedef struct qn_batch_trial qn_batch_trial;

typedef struct qn_batch {
    qn_study *study;
    int64_t size;  /* 0: no batches */
    int64_t n_max; /* no trial of this number or above; 0: any */
    int64_t n, room;
    qn_batch_trial *trials; /* [n] asked for here and not yet told, by number */
    int64_t first_open;     /* trials before it have ended */
} qn_batch;                 /* initialise with qn_batch_init(); release with qn_batch_release() */

QN_MUST_CHECK
qn_status qn_batch_init(qn_batch *batch, qn_study *study, int64_t size, int64_t n_max,
                        qn_error *err);
void qn_batch_release(qn_batch *batch); /* also one all zero */

/* The next trial to run; NULL in *out when there is none now. Fails as asking does. */
QN_MUST_CHECK
qn_status qn_batch_next(qn_batch *batch, qn_trial **out, qn_error *err);
/* Keeps what came of a trial. */
QN_MUST_CHECK
qn_status qn_batch_keep(qn_batch *batch, qn_trial *trial, const qn_outcome *outcome, qn_error *err);
/* Gives back a trial whose turn to be told has come; NULL when there is none. */
qn_trial *qn_batch_take(qn_batch *batch, qn_outcome *outcome);

#endif
