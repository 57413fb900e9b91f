/* SPDX-License-Identifier: Apache-2.0 */
/* k-NN: the training rows themselves, and a vote of the k nearest (Fix & Hodges 1951; Cover & Hart
 * 1967). Distances are over the dense part of the dense view:
 *   euclidean  root of the sum of squares
 *   manhattan  sum of absolute differences
 *   gower      the same, each number divided by its range and an indicator by two, so that a
 *              differing category counts as a number at the other end (Gower 1971)
 * Exact: by blocks of rows, euclidean distances with a matrix product that only preselects.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_KNN_MODEL_H
#define QN_MODEL_KNN_MODEL_H

#include "model/estimator.h"

extern const qn_family qn_family_knn;

/* Stored in bundles: never renumber. */
typedef enum qn_knn_metric { QN_KNN_EUCLIDEAN, QN_KNN_MANHATTAN, QN_KNN_GOWER } qn_knn_metric;

enum { QN_NEIGHBOURS_MAX = 1000 };

typedef struct qn_knn_request {
    qn_task task;
    int32_t n_outputs;
    qn_knn_metric metric;
    int32_t n_neighbours; /* 1 … QN_NEIGHBOURS_MAX */
    bool by_distance;     /* votes weigh 1 / distance; neighbours at distance 0 then vote alone */
    const qn_matrix *rows;
    const int32_t *chosen; /* rows to keep; NULL: all */
    int64_t n_rows;        /* of them */
    const double *target;  /* per row of `rows`: class index or value */
    const double *weights; /* likewise, or NULL */
} qn_knn_request;

/* Copies the rows. */
QN_MUST_CHECK
qn_status qn_knn_create(const qn_knn_request *request, qn_estimator **out, qn_error *err);

/* How many neighbours vote: 1 … those it was made with. For choosing their number without making
 * the model anew. */
void qn_knn_set_neighbours(qn_estimator *estimator, int32_t n_neighbours);

#endif
