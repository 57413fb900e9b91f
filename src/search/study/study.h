/* SPDX-License-Identifier: Apache-2.0 */
/* Study: a space, the history of its trials, a sampler and a pruner, behind the calls of
 * quern/tune.h. What the rest of the program needs beyond those calls stands here.
 *
 * Threads: as quern/tune.h says, but what is returned here may change with the next call. */
#ifndef QN_SEARCH_STUDY_STUDY_H
#define QN_SEARCH_STUDY_STUDY_H

#include "quern/tune.h"
#include "search/samplers/sampler.h"
#include "search/stores/store.h"
#include "search/study/history.h"

const qn_space *qn_study_space(const qn_study *study);
const qn_objectives *qn_study_objectives(const qn_study *study);
const qn_history *qn_study_history(const qn_study *study);
/* The sampler's name, and why it was chosen (NULL: it was asked for). */
const char *qn_study_sampler(const qn_study *study, const char **reason);

/* As qn_study_ask(), but begins no trial with a number of n_max or more (0: any): so several
 * processes that want n_max trials get as many. */
QN_MUST_CHECK
qn_status qn_study_ask_below(qn_study *study, int64_t n_max, qn_trial **out, qn_error *err);
/* Takes over what other processes have done, as asking does by itself. */
QN_MUST_CHECK
qn_status qn_study_refresh(qn_study *study, qn_error *err);
/* The pruner sees, of batches of so many trials, those before the batch of the trial it judges, and
 * that trial; 0: all there is. */
void qn_study_set_batch(qn_study *study, int64_t size);
/* Becomes readable when they have done something; -1: look from time to time. */
int qn_study_descriptor(const qn_study *study);
/* When it has become readable and nothing is asked for: stays in touch with the store. */
QN_MUST_CHECK
qn_status qn_study_stay(qn_study *study, qn_error *err);
/* A descriptor for what watches programs that evaluate trials: when this process has died, nobody
 * takes its trials over while a copy is open, but for no longer than two seconds. 0: none. */
int qn_study_tether(const qn_study *study);
/* Whether a store keeps it beyond this process. */
bool qn_study_lasts(const qn_study *study);
/* Trials running in other processes, as far as known. */
int64_t qn_study_n_elsewhere(qn_study *study);

/* What the rule of `stop_gain` last found that is to be gained; QN_INF before. */
double qn_study_gain_bound(const qn_study *study);

/* Held by every call; for longer looks at what is returned here. */
void qn_study_lock(qn_study *study);
void qn_study_unlock(qn_study *study);

/* The trial of that number; NULL if there is none. */
qn_trial *qn_study_trial(qn_study *study, int64_t number);
qn_study *qn_trial_study(const qn_trial *trial);
const qn_trial_record *qn_trial_get_record(const qn_trial *trial);
/* Whether it runs and is this process's to end. */
bool qn_trial_is_own(const qn_trial *trial);
/* What the user sees of a loss. */
double qn_objective_value(const qn_objective *objective, double loss);

/* Takes over all trials of another study of the same space, by number, into one without any:
 * the sampler then goes on as it would have. Trials that were running wait to be tried again, with
 * a note of it, unless the study keeps them running. */
QN_MUST_CHECK
qn_status qn_study_restore(qn_study *study, const qn_stored_trial *trials, int64_t n,
                           qn_error *err);

/* {"number", "state", "values" or "value", "params", …} */
void qn_trial_write(const qn_history *history, const qn_trial_record *trial, qn_json_writer *json);

#endif
