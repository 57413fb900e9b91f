/* SPDX-License-Identifier: Apache-2.0 */
/* Black-box optimisation: a study proposes parameters, you evaluate them and tell the result.
 *
 *     qn_study *study;
 *     qn_study_open(&(qn_study_request){.n_trials = 100}, &study, &err);
 *     for (int i = 0; i < 100; i++) {
 *         qn_trial *trial;
 *         double x, loss;
 *         qn_study_ask(study, &trial, &err);
 *         qn_trial_float(trial, "x", &(qn_range){.low = -5, .high = 5}, &x, &err);
 *         loss = x * x;
 *         qn_trial_tell(trial, &loss, 1, &err);
 *     }
 *
 * The space is given beforehand (YAML or JSON, docs/tune.md), or appears as trials ask for its
 * parameters (define-by-run). The same seed and the same order of calls give the same proposals.
 *
 * Any number of processes may work on a study in a store. The store hands out the numbers of
 * trials; what one process tells, the others know when they next ask. Trials that ran in a process
 * that died are given to the next that asks, under their number and with a note; one that has
 * outlived twenty of its workers fails.
 *
 * Threads: a study and its trials are locked inside; any number of threads may ask and tell. */
#ifndef QUERN_TUNE_H
#define QUERN_TUNE_H

#include "quern/error.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qn_study qn_study; /* destroy with qn_study_close() */
typedef struct qn_trial qn_trial; /* lives as long as its study */

/* Called by the thread that has ended a trial – told, pruned or failed – when that is kept, with
 * nothing locked: it may ask, enqueue, or stop the study. */
typedef void qn_trial_ended(void *context, qn_study *study, qn_trial *trial);

/* Zero means the default, everywhere. Texts are borrowed for the call. */
typedef struct qn_study_request {
    const char *space;      /* YAML or JSON text; NULL: define by run */
    const char *space_name; /* what messages call that text, such as its path; default "space" */
    const char *objectives; /* "minimize" (default), "maximize", or names with directions:
                               "loss:minimize,auc:maximize"; NULL: as the space says */
    const char *sampler; /* "tpe", "cmaes:sigma=0.2" …; see 'quern tune --methods'; NULL: auto */
    const char *pruner;  /* "median", "asha:min_step=1" …; NULL: none */
    int64_t seed;        /* default 1 */
    int64_t n_trials;    /* planned; 0: unknown. Only 'auto' looks at it */
    int64_t n_workers;   /* how many trials run at a time; default 1. Only 'auto' looks at it */
    const char *store; /* "sqlite:FILE", "postgres://…": keeps the study there, or takes it up again
                          with what was given then wherever nothing is given now; NULL: memory */
    const char *name;        /* of the study in the store; default "study" */
    const char *const *from; /* warm start: "STORE" or "STORE#NAME" of other studies, ended by NULL.
                                Their complete and pruned trials are told to the sampler before the
                                first ask, as far as their parameters make a configuration of this
                                space. They have numbers below zero, are kept in the store, and
                                count neither as trials of this study nor for its best. Without a
                                space, theirs is taken over. Only looked at while the study has no
                                trial */
    double stop_gain; /* asking ends when less than this is to be gained: a Gaussian process of the
                         trials gives each configuration an interval of 95 %, whose least lower end
                         bounds the gain (Makarova et al. 2022); the bound must have been below
                         stop_gain since half of the trials, and these have gained less. From 40
                         trials and 10 per parameter on; one objective. 0: no such rule */
    qn_trial_ended *ended; /* may be NULL */
    void *ended_context;
    bool keep_running; /* trials begun here outlive this process, to be told by number from
                          another one; otherwise they are asked for again when it dies */
    bool read_only;    /* looks only */
    bool must_exist;   /* does not make a study that the store does not have */
} qn_study_request;

/* Fails with QN_ERR_ARG (unknown sampler or setting, another space than the store's, no trial in
 * `from` that fits …), QN_ERR_DATA
 * (the space, with line and column; a damaged store), QN_ERR_IO (the store, or another process at
 * work on the study) or QN_ERR_NOMEM. */
QN_API QN_MUST_CHECK qn_status qn_study_open(const qn_study_request *request, qn_study **out,
                                             qn_error *err);
QN_API void qn_study_close(qn_study *study); /* accepts NULL */

/* Starts a trial. *out is NULL when there is nothing left to try (grids end), and when the study
 * has been stopped. Fails with QN_ERR_ARG (constraints that leave nothing) or QN_ERR_NOMEM. */
QN_API QN_MUST_CHECK qn_status qn_study_ask(qn_study *study, qn_trial **out, qn_error *err);
QN_API int64_t qn_trial_number(const qn_trial *trial); /* from 0 */

/* No trial is begun here any more; those that run may end, and other processes go on. */
QN_API void qn_study_stop(qn_study *study);
/* Whether it was stopped by that call or by `stop_gain`. */
QN_API bool qn_study_is_stopped(qn_study *study);

/* Values by name. With a space given beforehand the range may be NULL; define-by-run must give the
 * same range whenever it asks for a name. Fail with QN_ERR_ARG: unknown or inactive parameter,
 * another kind or range than before. */
typedef struct qn_range {
    double low, high; /* both may be taken */
    double step;      /* low, low + step …; 0: any (of whole numbers: 1) */
    bool log;         /* search on a logarithmic scale */
} qn_range;
QN_API QN_MUST_CHECK qn_status qn_trial_float(qn_trial *trial, const char *name,
                                              const qn_range *range, double *out, qn_error *err);
QN_API QN_MUST_CHECK qn_status qn_trial_int(qn_trial *trial, const char *name,
                                            const qn_range *range, int64_t *out, qn_error *err);
QN_API QN_MUST_CHECK qn_status qn_trial_bool(qn_trial *trial, const char *name, bool *out,
                                             qn_error *err);
/* Index into `choices`, ended by NULL. */
QN_API QN_MUST_CHECK qn_status qn_trial_choice(qn_trial *trial, const char *name,
                                               const char *const *choices, int64_t *out,
                                               qn_error *err);

/* Tells an intermediate value; *prune, unless NULL, says whether the trial should stop. Steps are
 * counted by the caller, from any number up. One objective only. */
QN_API QN_MUST_CHECK qn_status qn_trial_report(qn_trial *trial, int64_t step, double value,
                                               bool *prune, qn_error *err);
/* The next step at which the pruner may stop the trial, above the last one reported; 0: each, or
 * there is no pruner. Where a long run cannot go on from a short one (on more rows, say), go
 * straight to this step, or to the last if that is less. */
QN_API int64_t qn_trial_next_look(const qn_trial *trial);
/* How far the result breaks a limit set to it (sum of the excesses); 0: it does not. Before
 * telling. */
QN_API QN_MUST_CHECK qn_status qn_trial_violate(qn_trial *trial, double violation, qn_error *err);
/* Keeps any JSON value with the trial. */
QN_API QN_MUST_CHECK qn_status qn_trial_annotate(qn_trial *trial, const char *name,
                                                 const char *json, qn_error *err);

/* Ends a trial with one value per objective; a value that is not finite makes it a failed one.
 * Fails with QN_ERR_ARG when the trial has ended or the number of values is wrong. */
QN_API QN_MUST_CHECK qn_status qn_trial_tell(qn_trial *trial, const double *values, int64_t n,
                                             qn_error *err);
/* Ends a trial early: its last report counts. */
QN_API QN_MUST_CHECK qn_status qn_trial_prune(qn_trial *trial, qn_error *err);
/* Ends a trial that came to nothing. */
QN_API QN_MUST_CHECK qn_status qn_trial_fail(qn_trial *trial, qn_error *err);

/* Gives a running trial back: it waits to be asked for again, under its number and with a note. */
QN_API QN_MUST_CHECK qn_status qn_trial_retry(qn_trial *trial, qn_error *err);

/* Puts a configuration, {"name": value, …}, before what the sampler would propose; parameters left
 * out are drawn at random. Fails with QN_ERR_DATA. */
QN_API QN_MUST_CHECK qn_status qn_study_enqueue(qn_study *study, const char *json, qn_error *err);

/* The best trial, as an object {"number", "values", "params", …}; of several objectives an array of
 * those that none dominates. NULL in *json when no trial is complete. Free with qn_tune_free(). */
QN_API QN_MUST_CHECK qn_status qn_study_best(qn_study *study, char **json, qn_error *err);
/* A trial as such an object. Free with qn_tune_free(). Fails with QN_ERR_NOMEM. */
QN_API QN_MUST_CHECK qn_status qn_trial_describe(qn_trial *trial, char **json, qn_error *err);
QN_API void qn_tune_free(char *text);

/* How much each parameter accounts for, from the most important; together 1, or all 0 when the
 * complete trials say nothing (fewer than two, or all the same). */
typedef struct qn_parameter_importance {
    const char *name; /* lives as long as the study */
    double importance;
} qn_parameter_importance;
/* `method`: "fanova" (default), how much of the variance over the whole space is due to a parameter
 * alone (Hutter et al. 2014); "ped_anova", how far the best tenth of the trials have other values
 * of it than all have (Watanabe et al. 2023). `objective`: its name; NULL: the first. The study is
 * locked meanwhile: about a second for 10,000 trials of 10 parameters. Free *out with
 * qn_importances_free(). Fails with QN_ERR_ARG (no such method or objective) or QN_ERR_NOMEM. */
QN_API QN_MUST_CHECK qn_status qn_study_importances(qn_study *study, const char *method,
                                                    const char *objective,
                                                    qn_parameter_importance **out, int64_t *n,
                                                    qn_error *err);
QN_API void qn_importances_free(qn_parameter_importance *importances); /* accepts NULL */

/* Writes what the study has found as one HTML page that needs nothing else, whole or not at all.
 * `title`: its headline, default "study". The study is locked meanwhile. Fails with QN_ERR_IO (the
 * file) or QN_ERR_NOMEM. */
QN_API QN_MUST_CHECK qn_status qn_study_report(qn_study *study, const char *title, const char *path,
                                               qn_error *err);

#ifdef __cplusplus
}
#endif

#endif
