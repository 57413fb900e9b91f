/* SPDX-License-Identifier: Apache-2.0 */
/* A table without a target, made ready for what learns from features alone: read, its columns
 * understood, and a view of all rows; numbers of the dense one are scaled linearly. And the way
 * back: a bundle of that recipe with one estimator, which predicts new rows as any other bundle
 * does.
 *
 * Threads: immutable once loaded. */
#ifndef QN_AUTOML_UNLABELLED_H
#define QN_AUTOML_UNLABELLED_H

#include "base/clock.h"
#include "base/pool.h"
#include "model/estimator.h"
#include "validate/understand.h"

/* Zero means the default; lists as in quern/fit.h. */
typedef struct qn_unlabelled_request {
    const char *table, *drop, *id, *weight;
    const char *const *kinds;
    bool tree_view; /* the tree view is wanted, not the dense one */
    qn_pool *pool;
    const qn_stop *stop;
} qn_unlabelled_request;

typedef struct qn_unlabelled {
    qn_frame *frame;
    qn_profile *profile;
    qn_schema *schema; /* no target; its task is the caller's to set */
    qn_str warnings;   /* of reading, one line each */
    double *weights;   /* per row, or NULL */
    qn_recipe *recipe;
    qn_matrix view; /* with its sparse part */
} qn_unlabelled;    /* zero-initialise; release with qn_unlabelled_release() */

/* Fails as reading and understanding a table do, and with QN_ERR_DATA when no column is left to
 * learn from. */
QN_MUST_CHECK
qn_status qn_unlabelled_load(const qn_unlabelled_request *request, qn_unlabelled *out,
                             qn_error *err);
void qn_unlabelled_release(qn_unlabelled *table);

typedef struct qn_unlabelled_bundle {
    const char *path, *command, *table;
    const char *name; /* of the member: "kmeans" */
    int64_t seed;
    double threshold; /* of outliers' scores; 0: not looked at */
} qn_unlabelled_bundle;

/* The estimator stays the caller's. */
QN_MUST_CHECK
qn_status qn_unlabelled_write(const qn_unlabelled *table, const qn_unlabelled_bundle *bundle,
                              qn_estimator *estimator, qn_error *err);

#endif
