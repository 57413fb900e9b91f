/* SPDX-License-Identifier: Apache-2.0 */
/* Objectives of boosting: the loss of a row by its score, its derivatives, where scores begin, and
 * what makes predictions of them. Names and parameters are LightGBM's. The table is in
 * objective.c; to add one, add a line there.
 *
 * Threads: functions write only to the rows they are given. */
#ifndef QN_LEARN_TREE_OBJECTIVE_H
#define QN_LEARN_TREE_OBJECTIVE_H

#include "learn/dataset.h"
#include "learn/tree/grow.h"
#include "model/tree_model.h"

/* An objective of the caller's: fills gradients and hessians (n_rows × n_outputs, as the scores) of
 * the training rows. Runs on the thread that trains. */
typedef struct qn_custom_objective {
    void (*derive)(void *context, int64_t n_rows, int32_t n_outputs, const double *scores,
                   double *gradients, double *hessians);
    void *context;
    qn_link link; /* identity, logistic, softmax or exp: what makes predictions of its scores */
} qn_custom_objective;

typedef struct qn_objective_params {
    const qn_custom_objective *custom; /* in place of one of the table; NULL: none */
    int32_t objective;                 /* index into qn_objective_names */
    double alpha;                      /* huber: the bend; quantile: the level */
    double tweedie_variance_power;     /* (1, 2) */
    int64_t lambdarank_truncation_level;
} qn_objective_params;

extern const char *const qn_objective_names[]; /* "auto", "regression" …, ended by NULL */

typedef struct qn_objective qn_objective; /* a row of the table */

/* Part of the rows that an objective works on. */
typedef struct qn_placed_row {
    double value;
    int32_t row;
} qn_placed_row;

typedef struct qn_objective_rows {
    const qn_objective *objective;
    const qn_objective_params *params;
    int32_t k; /* scores of a row */
    int64_t n;
    const double *target, *weights; /* weights may be NULL */
    /* Ranking: rows of query q are by_query[query_starts[q] … query_starts[q + 1] - 1]. */
    int64_t n_queries;
    int64_t *query_starts;
    int32_t *by_query;
    double *best_dcg; /* per query, at the truncation level */
    /* Room to work in. */
    qn_placed_row *places; /* per row, where rows are put in order */
    double *losses;        /* per block of rows */
    double *given;         /* custom: gradients, then hessians, of all rows and outputs */
} qn_objective_rows;       /* release with qn_objective_rows_release() */

struct qn_objective {
    const char *name;
    unsigned tasks;
    qn_link link;
    bool by_query;
    /* Scores that every row begins with: k of them. */
    void (*init)(const qn_objective_rows *rows, double *out);
    /* Derivatives of rows (of queries, if by_query) begin … end - 1: out[c * n + row]. */
    void (*derive)(const qn_objective_rows *rows, int64_t begin, int64_t end, const double *scores,
                   qn_derivatives *out);
    /* Sum of weighted losses of those rows (queries). */
    double (*loss)(const qn_objective_rows *rows, int64_t begin, int64_t end, const double *scores);
    /* Leaves hold this quantile of the residuals; -1: Newton steps. */
    double (*quantile)(const qn_objective_params *params);
};

/* Fails with QN_ERR_ARG when the task or the targets do not suit the objective. `auto` stands for
 * regression, binary, multiclass or lambdarank. */
QN_MUST_CHECK
qn_status qn_objective_choose(const qn_objective_params *params, const qn_dataset *data,
                              const qn_objective **out, qn_error *err);

QN_MUST_CHECK
qn_status qn_objective_rows_create(const qn_objective *objective, const qn_objective_params *params,
                                   const qn_dataset *data, const qn_dataset_part *part,
                                   qn_objective_rows *out, qn_error *err);
void qn_objective_rows_release(qn_objective_rows *rows);

/* Over all rows, in parallel; the result does not depend on the threads. False when a custom
 * objective gave a number that is not finite, or a hessian below 0. */
bool qn_objective_derive(const qn_objective_rows *rows, qn_pool *pool, const double *scores,
                         qn_derivatives *out);
/* Mean loss. */
double qn_objective_loss(const qn_objective_rows *rows, qn_pool *pool, const double *scores);

/* The largest leaf value before shrinkage, either way; 0: no limit. Where scores are logarithms and
 * max_delta_step says nothing it is 10, a factor of 22,000: the Newton step of a leaf of one class,
 * of which p is predicted, is 1 / p, far beyond where the quadratic form holds. Tables with rare
 * classes do not converge without. */
double qn_objective_step_max(const qn_objective *objective, const qn_grow_params *grow);

/* Weighted quantile of target - score over the rows `at` (NULL: rows 0 … n - 1); scores may be
 * NULL: 0. Calls at the same time need disjoint ranges place … place + n - 1 of rows->places. */
double qn_objective_residual_quantile(const qn_objective_rows *rows, const double *scores,
                                      double level, const int32_t *at, int64_t n, int64_t place);

#endif
