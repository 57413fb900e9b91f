/* SPDX-License-Identifier: Apache-2.0 */
/* Splits: which rows train and which test, once for the final figures and k times for
 * cross-validation.
 *
 * Threads: calls are independent; a split is immutable. */
#ifndef QN_EVALUATE_SPLIT_H
#define QN_EVALUATE_SPLIT_H

#include "frame/schema.h"

typedef enum qn_split_kind {
    QN_SPLIT_AUTO, /* time if a time column is given, group if a group is, stratified for classes */
    QN_SPLIT_RANDOM,
    QN_SPLIT_STRATIFIED,
    QN_SPLIT_GROUP,
    QN_SPLIT_TIME,  /* the latest rows test; folds are expanding windows */
    QN_SPLIT_COLUMN /* the split column says train, validate/validation/valid or test */
} qn_split_kind;

typedef struct qn_split_request {
    const qn_frame *frame;
    const qn_schema *schema; /* says which columns are group, time, split */
    const double *target;    /* one per frame row */
    const int32_t *rows;     /* the rows to divide; NULL: all */
    int64_t n_rows;
    qn_split_kind kind;
    double test_fraction; /* of the rows; for the first cut */
    int64_t n_folds;      /* for the second; 0: chosen, 1: one holdout */
    uint64_t seed;
} qn_split_request;

typedef struct qn_split {
    qn_split_kind kind;
    int64_t n_train, n_test;
    int32_t *train, *test; /* frame rows, increasing */
    char *reason;          /* one clause: what was chosen and why */
} qn_split;                /* release with qn_split_release() */

/* Fails with QN_ERR_ARG or QN_ERR_DATA when a part would be empty or lack a class. */
QN_MUST_CHECK
qn_status qn_split_test(const qn_split_request *request, qn_split *out, qn_error *err);
void qn_split_release(qn_split *split);

typedef struct qn_folds {
    int32_t n_folds;
    int32_t *fold_of;  /* per entry of `rows`: the fold that validates it, -1: in no validation */
    int32_t *first_of; /* time folds: the first fold that may train on it; NULL otherwise */
    char *reason;
} qn_folds; /* release with qn_folds_release() */

/* Default number: 10 to 1,000 rows, 8 to 10,000, 5 to 100,000 (and below 60), one holdout above
 * (min(10 %, rows that give a standard error small enough)). Classes with fewer rows than folds are
 * spread over as many folds as they have rows, so every class is trained on in every fold where
 * that is possible; a class of one row is always in training. */
QN_MUST_CHECK
qn_status qn_folds_create(const qn_split_request *request, qn_folds *out, qn_error *err);
void qn_folds_release(qn_folds *folds);
/* Positions in `rows` that train (`validates` false) or validate in `fold`. */
QN_MUST_CHECK
qn_status qn_folds_rows(const qn_folds *folds, int64_t n_rows, int32_t fold, bool validates,
                        int32_t **out, int64_t *n_out, qn_error *err);

#endif
