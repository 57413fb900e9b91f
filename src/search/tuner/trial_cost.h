/* SPDX-License-Identifier: Apache-2.0 */
/* What trials cost, and how much they may cost together. A cost is a number from 0 up in a unit of
 * the user's – seconds, money, gradient steps – which a program prints as "cost" in a line of JSON,
 * and which is kept as the trial's attribute "cost". Without one it is the seconds that the trial
 * took.
 *
 * Threads: one thread at a time per limit. */
#ifndef QN_SEARCH_TUNER_TRIAL_COST_H
#define QN_SEARCH_TUNER_TRIAL_COST_H

#include "search/study/study.h"

/* Of a trial that has ended. */
double qn_trial_cost(const qn_trial_record *trial);
/* Of all trials of a study that have ended. */
double qn_study_cost(qn_study *study);

typedef struct qn_cost_limit {
    double max; /* 0: none */
    /* Trials below `first_open` have ended, and have cost `before`: they are added once. */
    int64_t first_open;
    double before;
} qn_cost_limit; /* all zero but for `max` at first */

/* Whether what has ended has cost the limit. In batches of so many (0: none) those before the batch
 * at work count alone, so that the answer does not depend on which of it end first. */
bool qn_cost_limit_is_reached(qn_cost_limit *limit, qn_study *study, int64_t batch_size);

#endif
