/* SPDX-License-Identifier: Apache-2.0 */
/* Gain bound: how much better than its best trial a study can still become, if what a Gaussian
 * process (surrogate.h) says of the trials so far is so. The process gives for every configuration
 * an interval that holds its result; nothing can be better than the least lower end, so the bound
 * is how far that lies below the best result (Makarova et al. 2022, "Automatic termination for
 * hyperparameter optimization", equation 6, with the best result in place of its upper end). The
 * least lower end is looked for by climbing (climb.h).
 *
 * Of more than QN_GAIN_TRIALS_MAX trials, the best and an even choice of the others count: fewer
 * trials mean wider intervals, so the bound errs to the safe side.
 *
 * A process can be sure of what is wrong: with few trials it takes a local optimum for the global
 * one. So the rule built on it believes a bound that was below the limit at every look since half
 * of the trials, which must have gained less than the limit, too (bench/search has what that costs
 * and prevents).
 *
 * Threads: one thread at a time per history. */
#ifndef QN_SEARCH_STUDY_GAIN_BOUND_H
#define QN_SEARCH_STUDY_GAIN_BOUND_H

#include "search/study/history.h"

enum { QN_GAIN_TRIALS_MIN = 20, QN_GAIN_TRIALS_MAX = 300 };

/* Told when the bound is looked at. */
typedef struct qn_gain_rule {
    double gain; /* the limit; 0: there is none */
    uint64_t seed;
    int64_t n;     /* own trials told at the last look */
    int64_t since; /* the look from which on the bound was below the limit; 0: it is not */
    double bound;  /* at the last look; QN_INF before */
} qn_gain_rule;

/* Looks, as often as trials were told since; *stop says whether less than the limit is to be
 * gained. That depends on the trials up to the last look alone, not on earlier calls. Fails as
 * qn_gain_bound(). */
QN_MUST_CHECK
qn_status qn_gain_rule_look(qn_gain_rule *rule, const qn_history *history, bool *stop,
                            qn_error *err);

/* The greatest number of trials up to n at which a study looks at its bound: from
 * QN_GAIN_TRIALS_MIN on, then each twentieth more; 0 before. */
int64_t qn_gain_scheduled(int64_t n);

/* The bound from the first n trials told, n >= 2; QN_INF where none of this study's is complete and
 * feasible, where the space has no parameter, or no configuration is found that may be had. One
 * objective. Fails with QN_ERR_ARG (too many coordinates for a process), QN_ERR_DATA
 * or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_gain_bound(const qn_history *history, int64_t n, uint64_t seed, double *bound,
                        qn_error *err);

#endif
