/* SPDX-License-Identifier: Apache-2.0 */
/* Boosted trees on a matrix of numbers: the engine of `quern fit` by itself, for programs that
 * make their own features. Parameters are those of `quern learners gbdt`, and LightGBM's.
 *
 * Same rows, parameters and seed give the same model, byte for byte, on any number of threads.
 *
 * Threads: trained trees are immutable; any number of threads may predict with them at once. */
#ifndef QUERN_TREES_H
#define QUERN_TREES_H

#include "quern/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qn_trees qn_trees; /* destroy with qn_trees_free() */

/* Rows, borrowed for the call. Feature f of row r is values[r * row_stride + f * feature_stride];
 * NaN is missing. Column after column (row_stride 1) is read in place, other orders are copied. */
typedef struct qn_trees_rows {
    int64_t n_rows;
    const double *values;
    int64_t row_stride, feature_stride;
    const double *target;      /* class index from 0, or value; not used to predict */
    const double *weights;     /* >= 0; NULL: all 1 */
    const double *init_scores; /* n_rows × n_outputs: where boosting begins, before the link, in
                                  place of a constant; not part of the model. NULL: none */
    const int32_t *groups;     /* ranking: number of the row's query, from 0 */
} qn_trees_rows;

/* Functions of the caller's, called on the thread that trains, one at a time. Arrays of scores are
 * n_rows × n_outputs, row after row, before the link. NULL: not wanted. */
typedef struct qn_trees_hooks {
    void *context;
    /* An objective: gradients and hessians (>= 0) of the training rows, as the scores. Boosting
     * then begins at 0 (or init_scores). */
    void (*derive)(void *context, int64_t n_rows, int32_t n_outputs, const double *scores,
                   double *gradients, double *hessians);
    const char *link; /* of that objective: "identity" (default), "logistic", "softmax", "exp" */
    /* Loss of the validation rows, for early stopping; less is better. */
    double (*loss)(void *context, int64_t n_rows, int32_t n_outputs, const double *scores);
    /* After each round, counted from 1, with the validation loss (NaN if there are no such rows).
     * False ends the training with what there is. */
    bool (*after_round)(void *context, int64_t round, double loss);
} qn_trees_hooks;

/* Zero means the default, everywhere. Texts and arrays are borrowed for the call. */
typedef struct qn_trees_request {
    const char *task;  /* "regression" (default), "binary", "multiclass", "ranking" */
    int32_t n_classes; /* multiclass */
    int64_t n_features;
    const char *const *feature_names; /* NULL: f0, f1 … */
    const int32_t *n_levels; /* per feature: n > 0: a category of codes 0 … n-1 (254 at most); 0: a
                                number. NULL: all numbers */
    qn_trees_rows train;
    qn_trees_rows valid; /* n_rows > 0: early stopping keeps the rounds best on these */
    const char *params;  /* "num_leaves=63,learning_rate=0.1,objective=poisson" */
    int64_t max_bin;     /* 3 … 65,535; default 255. More than 255 take two bytes a value */
    const char *metric;  /* early stopping goes by this one (`quern metrics`), not by the loss */
    /* Per feature: 1: the prediction may only rise with it, -1: only fall, 0: free. NULL: none. */
    const int8_t *monotone_constraints;
    /* Per feature: bit i: it is in set i, of 63 at most. Features meet on a path only within a set;
     * those of no set meet none. NULL: all may meet. */
    const uint64_t *interaction_constraints;
    const qn_trees *from;                     /* go on from this model, trained on these features */
    int64_t seed;                             /* default 1 */
    int64_t n_threads;                        /* default: as many as the process may use */
    double time_limit_s;                      /* stop between rounds; 0: none */
    const volatile sig_atomic_t *interrupted; /* set to stop with the rounds so far */
    const qn_trees_hooks *hooks;
} qn_trees_request;

/* Fails with QN_ERR_ARG (a parameter, or a target that does not suit), QN_ERR_DATA (a hook gave
 * numbers that are not finite), QN_ERR_NOMEM, QN_ERR_INTERRUPTED (before the first round). */
QN_API QN_MUST_CHECK qn_status qn_trees_train(const qn_trees_request *request, qn_trees **out,
                                              qn_error *err);
QN_API void qn_trees_free(qn_trees *trees); /* accepts NULL */

QN_API int64_t qn_trees_n_rounds(const qn_trees *trees);
QN_API int64_t qn_trees_n_trees(const qn_trees *trees);
/* Numbers of a prediction: n_classes for multiclass, else 1. */
QN_API int32_t qn_trees_n_outputs(const qn_trees *trees);
/* Per feature: share of the gain of all splits of the last training, summing to 1. Borrowed. */
QN_API const double *qn_trees_importance(const qn_trees *trees);

/* Predictions, n_rows × n_outputs: p of class 1, p of each class, or the value; with `raw`, scores
 * before the link. n_rounds: only the first so many rounds ("staged"); 0: all.
 * Fails with QN_ERR_ARG (rounds that there are not), QN_ERR_NOMEM. */
QN_API QN_MUST_CHECK qn_status qn_trees_predict(const qn_trees *trees, const qn_trees_rows *rows,
                                                int64_t n_rounds, bool raw, int64_t n_threads,
                                                double *out, qn_error *err);
/* The leaf that each row reaches in each tree: n_rows × n_trees, leaves of a tree from 0. */
QN_API QN_MUST_CHECK qn_status qn_trees_leaves(const qn_trees *trees, const qn_trees_rows *rows,
                                               int64_t n_threads, int32_t *out, qn_error *err);

/* The same trees with leaf values of new rows: decay × the old value + (1 - decay) × the value
 * that `rows` would give the leaf; leaves that none of them reaches stay. `params` as in training:
 * objective, learning_rate, reg_lambda … count here. */
QN_API QN_MUST_CHECK qn_status qn_trees_refit(const qn_trees *trees, const qn_trees_rows *rows,
                                              double decay, const char *params, int64_t n_threads,
                                              qn_trees **out, qn_error *err);

/* Writes a model file for `quern predict`, `quern inspect` and qn_model_open(), whose columns are
 * the features. `labels`: names of the classes, comma-separated; NULL: 0, 1 … */
QN_API QN_MUST_CHECK qn_status qn_trees_save(const qn_trees *trees, const char *path,
                                             const char *labels, qn_error *err);

#ifdef __cplusplus
}
#endif

#endif
