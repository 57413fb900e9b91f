/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the study share: study.c, study_trial.c, study_open.c, study_definition.c,
 * study_store.c, study_load.c, study_prior.c. */
#ifndef QN_SEARCH_STUDY_STUDY_INTERNAL_H
#define QN_SEARCH_STUDY_STUDY_INTERNAL_H

#include "base/clock.h"
#include "search/pruners/pruner.h"
#include "search/study/gain_bound.h"
#include "search/study/study.h"

#include <pthread.h>
#include <stdatomic.h>

struct qn_trial {
    qn_study *study;
    qn_trial_record *record;
    bool *asked; /* define-by-run: [record->n_values], which values the caller took */
    int64_t room;
};

struct qn_study {
    pthread_mutex_t lock;
    pthread_cond_t committed;             /* n_committed has grown */
    pthread_cond_t synced[2];             /* n_synced has, or somebody has to see to it */
    atomic_int n_waiting;                 /* threads that want the lock */
    int64_t n_put, n_committed, n_synced; /* writes to the store so far */
    int64_t n_syncing;                    /* what n_synced becomes next */
    int64_t n_syncs;                      /* to the disk, which have ended */
    bool is_syncing;                      /* a thread is, without the lock */
    qn_error failure;                     /* of the store; status QN_OK: none */
    double next_care_s;                   /* on qn_clock_s(): when other workers are looked after */
    qn_space space;
    qn_objectives objectives;
    qn_history history;
    bool defines_by_run, keeps_running, is_read_only;
    bool is_outrun; /* in opening it, by another process */
    int64_t seed;
    qn_store store;
    char *sampler_text, *pruner_text;
    qn_json *definition; /* as the store had it */
    qn_sampling sampling;
    const char *reason; /* for the sampler */
    qn_pruning pruning;
    int64_t batch_size; /* of what the pruner sees; 0: no batches */
    qn_trial_ended *ended;
    void *ended_context;
    qn_gain_rule gain_rule;
    bool is_stopped;
    double *values; /* [values_room], where proposals are made */
    int64_t values_room;
    qn_trial **trials; /* by number */
    int64_t trials_room;
    int64_t first_waiting; /* no trial before it waits */
};

/* Streams of a study's seed. */
enum {
    QN_STREAM_ASK,
    QN_STREAM_NEW_PARAMETER,
    QN_STREAM_ENQUEUE,
    QN_STREAM_SAMPLER,
    QN_STREAM_STOP
};

/* Since 1970, as trials' times are. */
static inline double qn_study_now_s(void)
{
    return 1e-6 * (double)qn_clock_utc_us();
}

/* The lock is held by the caller of all of these, or the study is not open yet. */

bool qn_study_reserve_values(qn_study *study);
/* A trial with what is in study->values. */
QN_MUST_CHECK
qn_status qn_study_add_trial(qn_study *study, qn_trial_state state, qn_trial **out, qn_error *err);
/* Ends a running trial and tells the sampler; nothing is stored. */
QN_MUST_CHECK
qn_status qn_study_end_trial(qn_trial *trial, qn_trial_state state, const double *losses,
                             double ended_s, qn_error *err);

/* Writes the end of a running trial and then ends it; *done is false, and the trial as it was, when
 * it has been given to another. */
QN_MUST_CHECK
qn_status qn_study_finish_trial(qn_trial *trial, qn_trial_state state, const double *losses,
                                bool *done, qn_error *err);
/* Makes a running trial wait again, marked; *done as above. */
QN_MUST_CHECK
qn_status qn_study_give_back(qn_trial *trial, bool *done, qn_error *err);

/* Opens the store, completes `request` with what it has of the study, and checks the rest. */
QN_MUST_CHECK
qn_status qn_study_open_store(qn_study *study, qn_study_request *request, qn_error *err);
/* Writes the definition where it differs; *done is false when another process has written one. */
QN_MUST_CHECK
qn_status qn_study_store_definition(qn_study *study, bool *done, qn_error *err);
/* Takes parameters over that other processes have added. */
QN_MUST_CHECK
qn_status qn_study_read_growth(qn_study *study, qn_error *err);
/* Adds a parameter, here and in the store; it may be another process that has just done so. */
QN_MUST_CHECK
qn_status qn_study_grow(qn_study *study, const qn_parameter *parameter, qn_error *err);

/* Writes a trial, if the store has it as record->revision says, and renews that. Nothing without a
 * store. Committed by the call that unlocks the study. */
QN_MUST_CHECK
qn_status qn_study_put(qn_study *study, qn_trial_record *record, bool *done, qn_error *err);
/* Reads what has changed in the store; `force`: also without a sign of it. */
QN_MUST_CHECK
qn_status qn_study_load(qn_study *study, bool force, qn_error *err);
/* Tells the sampler a trial of another study, whose values are of this one's space. */
QN_MUST_CHECK
qn_status qn_study_tell_prior(qn_study *study, const qn_stored_trial *prior, qn_error *err);
/* Takes over the finished trials of other studies, "STORE" or "STORE#NAME" each. Fails with
 * QN_ERR_ARG (none fits, other objectives …) or as opening them does. */
QN_MUST_CHECK
qn_status qn_study_take_priors(qn_study *study, const char *const *from, qn_error *err);
/* As qn_study_put(), of a trial with its attributes as they are stored; its revision stays. */
QN_MUST_CHECK
qn_status qn_study_put_stored(qn_study *study, const qn_stored_trial *trial, bool *done,
                              qn_error *err);
/* Takes over what other processes have done, and looks after the trials of dead ones. */
QN_MUST_CHECK
qn_status qn_study_sync(qn_study *study, bool force, qn_error *err);
/* Unlocks the study when what was written is committed, and fails if that failed. */
QN_MUST_CHECK
qn_status qn_study_settle(qn_study *study, qn_status status, qn_error *err);
/* As qn_study_settle(), when what was written also outlives a loss of power. */
QN_MUST_CHECK
qn_status qn_study_settle_lasting(qn_study *study, qn_status status, qn_error *err);

#endif
