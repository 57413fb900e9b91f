/* SPDX-License-Identifier: Apache-2.0 */
/* Rows laid out for distances to many points, and heaps of the nearest. Distances are
 *   euclidean  root of the sum of squares
 *   manhattan  sum of absolute differences
 *   gower      the same, each difference scaled: see qn_neighbours.scales
 * A whole tile of rows is put in order in float, euclidean ones by a matrix product; the few that
 * come first are then put in order in double.
 *
 * Threads: immutable once filled; share freely. */
#ifndef QN_MODEL_NEIGHBOURS_H
#define QN_MODEL_NEIGHBOURS_H

#include "base/pool.h"
#include "recipe/matrix.h"

/* Stored in bundles: never renumber. */
typedef enum qn_knn_metric { QN_KNN_EUCLIDEAN, QN_KNN_MANHATTAN, QN_KNN_GOWER } qn_knn_metric;

/* Rows of one tile: whole panels (linalg/gemm.h). */
enum { QN_NEIGHBOURS_TILE = 512 };

typedef struct qn_neighbours {
    qn_knn_metric metric;
    int64_t n, n_dense;
    float *panels;  /* of the transposed rows, n_dense × n */
    float *squares; /* n: |x|², for QN_KNN_EUCLIDEAN */
    float *scales;  /* n_dense: weights of absolute differences, for the other metrics; borrowed */
} qn_neighbours;    /* release with qn_neighbours_release() unless its arrays are borrowed */

/* Room for n rows, all of which are then to be set. */
QN_MUST_CHECK
qn_status qn_neighbours_init(qn_neighbours *rows, int64_t n, qn_error *err);
void qn_neighbours_release(qn_neighbours *rows);
/* Row `row` becomes x, n_dense floats. */
void qn_neighbours_set(qn_neighbours *rows, int64_t row, const float *x);
/* Every row i becomes row chosen[i] of the matrix, row i with NULL; its dense part. */
void qn_neighbours_set_all(qn_neighbours *rows, const qn_matrix *matrix, const int32_t *chosen,
                           qn_pool *pool);

/* Writes what puts rows first … first + n - 1 in order by their distance to each point:
 * out[q * QN_NEIGHBOURS_TILE + i] of row first + i. `first` is a multiple of QN_PANEL_COLS, n at
 * most QN_NEIGHBOURS_TILE; points: n_points × n_dense. A point's numbers do not depend on the
 * points beside it. */
void qn_neighbours_tile(const qn_neighbours *rows, const float *points, int64_t n_points,
                        int64_t first, int64_t n, float *out);
/* The distance itself. */
double qn_neighbours_distance(const qn_neighbours *rows, const float *point, int64_t row);

/* A row and what puts it in order; among equals the smaller number is nearer. */
typedef struct qn_near {
    float distance;
    int32_t row;
} qn_near;

/* Keeps the `room` nearest that are offered; n, how many it holds, begins at 0. */
void qn_near_offer(qn_near *heap, int32_t *n, int32_t room, qn_near candidate);
/* Makes n items a heap whose nearest stands first. */
void qn_near_heapify(qn_near *items, int64_t n);
/* Takes the nearest off such a heap of n > 0 items: it then stands at items[n - 1]. */
qn_near qn_near_pop(qn_near *items, int64_t n);

#endif
