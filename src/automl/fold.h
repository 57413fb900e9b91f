/* SPDX-License-Identifier: Apache-2.0 */
/* A fold made ready: recipe fitted on its training rows, both views, bins. Shared read-only by all
 * trials. Small tables have several rounds of folds (repeated cross-validation).
 *
 * Threads: immutable once prepared; share freely. */
#ifndef QN_AUTOML_FOLD_H
#define QN_AUTOML_FOLD_H

#include "automl/cleaning.h"
#include "automl/constraints.h"
#include "evaluate/split.h"
#include "learn/dataset.h"

typedef struct qn_fold {
    qn_recipe *recipe;
    qn_dataset data;
    qn_view_constraints constraints; /* of data */
    int64_t n_valid;
    int32_t *valid; /* positions of the validation rows in the rows given */
} qn_fold;

typedef struct qn_fold_set {
    int32_t n_folds;  /* all rounds together */
    int32_t n_rounds; /* of cross-validation */
    qn_fold *folds;
    char *reason; /* how the folds were chosen */
} qn_fold_set;    /* release with qn_fold_set_release() */

typedef struct qn_fold_request {
    const qn_frame *frame;
    const qn_schema *schema;
    const double *target;  /* per frame row */
    const double *weights; /* per frame row, or NULL */
    const int32_t *groups; /* per frame row: number of its query, or NULL: ranking */
    const int32_t *rows;   /* for training */
    int64_t n_rows;
    qn_split_kind kind;
    int64_t n_folds;  /* 0: chosen */
    int64_t n_rounds; /* 0: chosen */
    bool skip_dense;
    const char *steps;                 /* see qn_recipe_request */
    const qn_constraints *constraints; /* NULL: none */
    qn_cleaning cleaning;              /* of each fold's training rows */
    uint64_t seed;
    qn_pool *pool;
    const qn_stop *stop;
} qn_fold_request;

QN_MUST_CHECK
qn_status qn_fold_set_create(const qn_fold_request *request, qn_fold_set *out, qn_error *err);
void qn_fold_set_release(qn_fold_set *set);

#endif
