/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the study share: study.c, study_open.c and study_store.c. */
#ifndef QN_SEARCH_STUDY_INTERNAL_H
#define QN_SEARCH_STUDY_INTERNAL_H

#include "search/pruner.h"
#include "search/study.h"

#include <pthread.h>

struct qn_trial {
    qn_study *study;
    qn_trial_record *record;
    bool *asked; /* define-by-run: [record->n_values], which values the caller took */
    int64_t room;
};

struct qn_study {
    pthread_mutex_t lock;
    qn_space space;
    qn_objectives objectives;
    qn_history history;
    bool defines_by_run, keeps_running, is_read_only;
    int64_t seed;
    qn_store store;
    int64_t n_stored; /* parameters in the stored definition, and one for itself */
    char *sampler_text, *pruner_text;
    qn_json *definition; /* as the store had it */
    qn_sampling sampling;
    const char *reason; /* for the sampler */
    qn_pruning pruning;
    double *values; /* [values_room], where proposals are made */
    int64_t values_room;
    qn_trial **trials; /* by number */
    int64_t trials_room;
    int64_t first_waiting; /* no trial before it waits */
};

/* Streams of a study's seed. */
enum { QN_STREAM_ASK, QN_STREAM_NEW_PARAMETER, QN_STREAM_ENQUEUE, QN_STREAM_SAMPLER };

/* The lock is held by the caller of all of these, or the study is not open yet. */

bool qn_study_reserve_values(qn_study *study);
/* A trial with what is in study->values. */
QN_MUST_CHECK
qn_status qn_study_add_trial(qn_study *study, qn_trial_state state, qn_trial **out, qn_error *err);
/* Ends a running trial and tells the sampler; nothing is stored. */
QN_MUST_CHECK
qn_status qn_study_end_trial(qn_trial *trial, qn_trial_state state, const double *losses,
                             double ended_s, qn_error *err);

/* Opens the store, completes `request` with what it has of the study, and checks the rest. */
QN_MUST_CHECK
qn_status qn_study_open_store(qn_study *study, qn_study_request *request, qn_error *err);
/* Writes the definition, when it is new or has grown. */
QN_MUST_CHECK
qn_status qn_study_store_definition(qn_study *study, qn_error *err);
QN_MUST_CHECK
qn_status qn_study_load_trials(qn_study *study, qn_error *err);
/* Writes a trial; nothing without a store. */
QN_MUST_CHECK
qn_status qn_study_store_trial(const qn_trial *trial, qn_error *err);

#endif
