/* SPDX-License-Identifier: Apache-2.0 */
/* k-NN: the training rows themselves, and a vote of the k nearest (Fix & Hodges 1951; Cover & Hart
 * 1967). Distances are over the dense part of the dense view: see model/neighbours.h.
 *   Exact: every row is looked at, by tiles.
 *   Cells: rows stand in groups of near rows. The groups whose means are nearest are looked at, one
 *   after the other, until they have held a given number of rows (an inverted file: Sivic &
 *   Zisserman 2003; Jégou, Douze & Schmid 2011, without their codes).
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_KNN_MODEL_H
#define QN_MODEL_KNN_MODEL_H

#include "model/estimator.h"
#include "model/neighbours.h"

extern const qn_family qn_family_knn;

enum { QN_NEIGHBOURS_MAX = 1000 };

typedef struct qn_knn_request {
    qn_task task;
    int32_t n_outputs;
    qn_knn_metric metric;
    int32_t n_neighbours; /* 1 … QN_NEIGHBOURS_MAX */
    bool by_distance;     /* votes weigh 1 / distance; neighbours at distance 0 then vote alone */
    const qn_matrix *rows;
    const int32_t *chosen;      /* rows to keep, those of a cell together; NULL: all */
    int64_t n_rows;             /* of them */
    const float *scales;        /* per column: what differences count, unless euclidean; NULL: 1 */
    const double *target;       /* per row of `rows`: class index or value */
    const double *weights;      /* likewise, or NULL */
    int64_t n_cells;            /* 0: exact */
    const int64_t *cell_starts; /* n_cells + 1, among `chosen`, no cell empty */
    qn_pool *pool;              /* to lay them out; may be NULL */
} qn_knn_request;

/* Copies the rows. With cells, all of them are looked at. */
QN_MUST_CHECK
qn_status qn_knn_create(const qn_knn_request *request, qn_estimator **out, qn_error *err);

/* How many neighbours vote: 1 … those it was made with. For choosing their number without making
 * the model anew. */
void qn_knn_set_neighbours(qn_estimator *estimator, int32_t n_neighbours);
/* Rows that the cells looked at shall hold at least. */
void qn_knn_set_probe_rows(qn_estimator *estimator, int64_t n_rows);
/* The distances by which neighbours vote, increasing: n_points × n_neighbours, QN_INF where there
 * are fewer. `scratch`: qn_estimator_scratch_bytes() for as many points. */
void qn_knn_distances(const qn_estimator *estimator, const float *points, int64_t n_points,
                      double *distances, void *scratch);

#endif
