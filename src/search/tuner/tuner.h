/* SPDX-License-Identifier: Apache-2.0 */
/* Tuner: evaluates the trials of a study by running a program for each.
 *
 * Threads: one thread at a time per study. */
#ifndef QN_SEARCH_TUNER_TUNER_H
#define QN_SEARCH_TUNER_TUNER_H

#include "search/study/study.h"

#include <signal.h>

typedef struct qn_tuner_request {
    char *const *command; /* {name} stands for a parameter's value (empty when inactive), {trial}
                             for the trial's number, {checkpoint} for its folder; ended by NULL */
    int64_t n_trials;     /* of the study, those done before included; 0: until nothing is left */
    int64_t n_workers;    /* programs at a time; default 1 */
    int64_t batch_size;   /* trials asked for and told together, see batch.h; 0: one by one */
    double timeout_s;     /* for all of it; 0: none */
    double cost_max;      /* no trial begins when those that have ended have cost so much, see
                             trial_cost.h; 0: any */
    double trial_timeout_s, grace_s; /* per program; from SIGTERM to SIGKILL (default 5) */
    int64_t memory_bytes;            /* per program; 0: no limit */
    int64_t n_retries;               /* how often a trial that failed is tried again */
    const char *log_folder;          /* N.out and N.err of trial N go there; NULL: nowhere */
    const char *checkpoint_folder;   /* a folder per trial is kept there while the trial may be run
                                        again, see checkpoint.h; NULL: none */
    const volatile sig_atomic_t *interrupted; /* may be NULL */
    /* A trial has ended; `failure` says why when it failed, otherwise NULL. */
    void (*progress)(void *context, const qn_trial *trial, const char *failure);
    /* Several times a second, and when something has happened; may be NULL. */
    void (*tick)(void *context);
    void *context;
    int error_descriptor; /* where programs print errors when no logs are kept; 0: where this one
                           * does
                           */
} qn_tuner_request;

/* Ends when all trials have ended, also those of other processes at work on the study; the trials
 * of those that die are done here. Environment of each program: QUERN_TRIAL, its number,
 * QUERN_PARAMS, the parameters as JSON, QUERN_CHECKPOINT, its folder if there is one, and
 * QUERN_FIRST_LOOK, qn_trial_next_look() unless 0. Trials cut off by the timeout or an interrupt
 * stay running; a store gives them back. Fails with QN_ERR_ARG (a {name} that is no parameter, a
 * program that cannot be run), QN_ERR_DATA (the first ten trials have failed), QN_ERR_IO,
 * QN_ERR_NOMEM or as asking does. */
QN_MUST_CHECK
qn_status qn_tuner_run(qn_study *study, const qn_tuner_request *request, qn_error *err);

#endif
