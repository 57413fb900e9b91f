/* SPDX-License-Identifier: Apache-2.0 */
/* Trials, and the history of a study: what was tried, in the order it was asked, and what came of
 * it, in the order it was told. Samplers and pruners read nothing else.
 *
 * Inside the search every objective is a *loss*, to be minimised: what is maximised has its sign
 * turned where it comes in and where it goes out.
 *
 * Threads: one writer; any number of readers while nothing is written. */
#ifndef QN_SEARCH_STUDY_HISTORY_H
#define QN_SEARCH_STUDY_HISTORY_H

#include "search/space/space.h"

typedef enum qn_trial_state {
    QN_TRIAL_WAITING, /* enqueued, not yet asked for */
    QN_TRIAL_RUNNING,
    QN_TRIAL_COMPLETE,
    QN_TRIAL_PRUNED, /* stopped early: losses hold its last report */
    QN_TRIAL_FAILED
} qn_trial_state;

typedef struct qn_curve_point {
    int64_t step;
    double loss;
} qn_curve_point;

typedef struct qn_trial_attribute {
    const char *name, *json;
    struct qn_trial_attribute *next;
} qn_trial_attribute;

typedef struct qn_trial_record {
    int64_t number; /* from 0; of prior trials -1, -2 … */
    qn_trial_state state;
    int64_t n_values; /* parameters known when it was made; later ones are inactive */
    double *values;
    double *losses;   /* one per objective; NULL before it is told and when it failed */
    double violation; /* by how much it breaks what was asked of results; 0: feasible */
    int64_t n_reports, reports_room;
    qn_curve_point *reports; /* by step, ascending */
    qn_trial_attribute *attributes;
    double begun_s, ended_s; /* seconds since 1970; 0: not yet */
    int64_t n_retries;       /* how often it was begun before, by processes that died */
    int64_t told;            /* its place in the order of telling; -1: not told */
    int64_t revision;        /* its last one in the store, see store.h; 0: none */
    int64_t owner;           /* the worker at whom it runs; 0: it belongs to nobody */
} qn_trial_record;

typedef struct qn_history {
    const qn_space *space;
    const qn_objectives *objectives;
    int64_t n_trials, trials_room;
    qn_trial_record **trials; /* by number */
    int64_t n_told, told_room;
    const qn_trial_record **told; /* complete and pruned ones, in the order they were told */
    int64_t n_running, running_room;
    const qn_trial_record **running;
    int64_t n_prior, prior_room;
    qn_trial_record **prior; /* of other studies (study_prior.c): told, but none of this study's */
    qn_arena arena;
} qn_history; /* initialise with {.space, .objectives}; release with qn_history_release() */

void qn_history_release(qn_history *history);

/* A new trial in state WAITING or RUNNING with a copy of `values` (space->n). */
QN_MUST_CHECK
qn_status qn_history_add(qn_history *history, const double *values, qn_trial_state state,
                         qn_trial_record **out, qn_error *err);
/* WAITING → RUNNING. */
QN_MUST_CHECK
qn_status qn_history_start(qn_history *history, qn_trial_record *trial, qn_error *err);
/* RUNNING → WAITING, without what was reported. */
void qn_history_give_back(qn_history *history, qn_trial_record *trial);
/* Replaces the values of a trial that has not ended, by n that may be any number up to space->n. */
QN_MUST_CHECK
qn_status qn_history_set_values(qn_history *history, qn_trial_record *trial, const double *values,
                                int64_t n, qn_error *err);
/* RUNNING → a finished state. `losses`: one per objective for COMPLETE, NULL otherwise; a pruned
 * trial takes its last report, and fails when it has none. */
QN_MUST_CHECK
qn_status qn_history_finish(qn_history *history, qn_trial_record *trial, qn_trial_state state,
                            const double *losses, qn_error *err);
/* A trial of another study, COMPLETE or PRUNED: a copy of `from` with the next number below zero,
 * as the last one told. Of the reports the last is kept, as far as a pruned trial needs it. */
QN_MUST_CHECK
qn_status qn_history_add_prior(qn_history *history, const qn_trial_record *from,
                               qn_trial_record **out, qn_error *err);
/* Sets the loss at a step; a later report of the same step replaces it. */
QN_MUST_CHECK
qn_status qn_history_report(qn_history *history, qn_trial_record *trial, int64_t step, double loss,
                            qn_error *err);
/* Sets an attribute; `json` is any JSON value. */
QN_MUST_CHECK
qn_status qn_history_annotate(qn_history *history, qn_trial_record *trial, const char *name,
                              const char *json, qn_error *err);

/* The value of a parameter; QN_NA where it was inactive. */
static inline double qn_trial_value(const qn_trial_record *trial, int64_t at)
{
    return at < trial->n_values ? trial->values[at] : QN_NA;
}

/* Order from best to worst by one objective: feasible before not (then the smaller violation),
 * complete before pruned, then the loss; of pruned ones the later stopped first. Ties: the earlier
 * number. Never 0 for different trials. */
int qn_trial_compare(const qn_trial_record *a, const qn_trial_record *b);
/* Whether a is at least as good as b in everything and better in something; a feasible trial
 * dominates one that is not, and a smaller violation a greater one (Deb et al. 2002, section VI).
 */
bool qn_trial_dominates(const qn_trial_record *a, const qn_trial_record *b, int64_t n_objectives);

/* The best complete feasible trial of one objective, prior ones apart; NULL if there is none. */
const qn_trial_record *qn_history_best(const qn_history *history);

const char *qn_trial_state_name(qn_trial_state state);
/* False when there is no state of that name. */
bool qn_trial_state_find(const char *name, qn_trial_state *out);

#endif
