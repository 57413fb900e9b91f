/* SPDX-License-Identifier: Apache-2.0 */
/* From a table to a model: the main job, as `quern fit` does it.
 *
 * Threads: qn_fit() may be called from several threads at once; each call has its own pool. */
#ifndef QUERN_FIT_H
#define QUERN_FIT_H

#include "quern/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qn_fit_progress {
    double elapsed_s;
    double budget_s; /* 0 when trials are counted instead */
    int64_t n_trials, n_trials_planned;
    const char *best_name; /* of the best so far; NULL before the first is done */
    double best_score;     /* in the metric's own direction */
    const char *message;   /* a line worth telling, or NULL for a mere tick */
    const char *note;      /* a warning, told once, before training where possible; else NULL */
} qn_fit_progress;

/* Zero means the default, everywhere. Texts are borrowed for the call. Lists are comma-separated
 * column names. */
typedef struct qn_fit_request {
    const char *table;  /* URI, see qn_frame_read() */
    const char *target; /* column to predict; NULL: guessed, and the guess is reported */
    const char *model;  /* bundle to write; NULL: the table's name with .quern, here */
    const char *report; /* HTML file to write; NULL: the model's name with .html; "" for none */

    double budget_s;  /* seconds for everything, reading and writing included; default 60 */
    int64_t n_trials; /* candidates to try instead of a budget; same bytes on every machine load */
    const char *preset;   /* "fast", "balanced" (default), "best" */
    const char *task;     /* "binary", "multiclass", "regression", "ranking"; NULL: guessed */
    const char *metric;   /* a metric's name; NULL: roc_auc, log_loss, rmse or ndcg@10 by task */
    const char *learners; /* names, comma-separated; NULL: all that fit the task */
    const char *params;   /* "gbdt.objective=poisson,ridge.alpha=2": fixed for all candidates */
    const char *steps; /* features made of several columns, fitted inside each fold: "pca=10,svd=50,
                          kmeans=8": numbers of features, or shares of the variance below 1; NULL:
                          none */
    const char *outliers; /* among the rows that train: "flag", "weight" or "drop", perhaps with the
                             share of rows, "drop=0.02" (default 0.01); NULL: not looked for. Rows
                             that validate or test always stay */
    /* Constraints; only learners that can keep them are then tried. */
    const char *monotone;     /* "age=increasing,price=decreasing": numeric columns */
    const char *interactions; /* "age,sex;price,rooms": columns that may act together */

    const char *test;     /* a table kept for the final figures */
    double test_fraction; /* of the rows, kept for the final figures; default 0.2, < 0 for none */
    bool no_test;         /* no test part: every row is for training */
    const char *split;    /* "random", "stratified", "group:COL", "time:COL", "column:COL" */
    int64_t n_folds;      /* 2 … 20; default from rows and classes; 1: one holdout */

    const char *drop;         /* columns not to use */
    const char *id;           /* columns that name a row */
    const char *weight;       /* sample weights, >= 0 */
    const char *group;        /* rows of one group stay on one side of every split */
    const char *time;         /* rows are split in this order */
    const char *const *kinds; /* "COL=KIND", ended by NULL */
    const char *label_map;    /* "from=to,from=to": labels renamed in target columns */
    const char *strip;        /* characters removed from both ends of every label */
    const char *positive;     /* the class whose probability is p; default: the last in order */

    int64_t seed;         /* default 1 */
    int64_t n_threads;    /* default: as many as the process may use */
    int64_t memory_bytes; /* refuse work that would need more; default: 80 % of what is free */
    const char *command;  /* how this was asked for, kept for "how to reproduce" */

    const volatile sig_atomic_t *interrupted; /* set to stop early with the best so far */
    void (*progress)(const qn_fit_progress *progress, void *context); /* on any one thread */
    void *progress_context;
} qn_fit_request;

/* What was made: the path of the bundle, and the summary of `quern fit --json` as text. */
typedef struct qn_fit_result {
    char *model;
    char *report; /* NULL when none was written */
    char *json;   /* one object: model, task, metric, cv, test, leaderboard, trials, seconds … */
    bool interrupted;
} qn_fit_result; /* release with qn_fit_result_release() */

/* Reads, checks, splits, searches, ensembles, evaluates and writes. On failure nothing is left
 * behind. Fails with QN_ERR_ARG (unknown column, metric …), QN_ERR_DATA (unusable table or
 * target), QN_ERR_IO, QN_ERR_NOMEM, QN_ERR_BUDGET, QN_ERR_INTERRUPTED (before any model). */
QN_API QN_MUST_CHECK qn_status qn_fit(const qn_fit_request *request, qn_fit_result *result,
                                      qn_error *err);
QN_API void qn_fit_result_release(qn_fit_result *result);

#ifdef __cplusplus
}
#endif

#endif
