/* SPDX-License-Identifier: Apache-2.0 */
/* Cells for k-NN: rows in groups of near rows, by k-means on a sample and then again within each
 * group until groups are small; and how many rows have to be looked at, from the nearest group on,
 * to find nearly all of the nearest ones. The latter is measured, so that it holds for any table.
 *
 * Threads: calls are independent; the same result on any number of threads. */
#ifndef QN_LEARN_KNN_CELLS_H
#define QN_LEARN_KNN_CELLS_H

#include "base/clock.h"
#include "base/pool.h"
#include "model/estimator.h"

typedef struct qn_knn_cells_request {
    const qn_matrix *rows;
    const int32_t *chosen; /* rows to group; NULL: all */
    int64_t n_rows;        /* of them */
    const float *scales;   /* per dense column: multiplies it; NULL: 1 */
    uint64_t seed;
    const qn_stop *stop;
    qn_pool *pool;
} qn_knn_cells_request;

typedef struct qn_knn_cells {
    int32_t *order;  /* n_rows: the chosen rows, cell by cell */
    int64_t *starts; /* n + 1: where cells begin in `order`; none is empty */
    int64_t n;
} qn_knn_cells; /* release with qn_knn_cells_release() */

/* Takes work proportional to n log n, and 4 bytes × rows × columns of memory. Fails with
 * QN_ERR_NOMEM, QN_ERR_INTERRUPTED. */
QN_MUST_CHECK
qn_status qn_knn_cells_create(const qn_knn_cells_request *request, qn_knn_cells *out,
                              qn_error *err);
void qn_knn_cells_release(qn_knn_cells *cells);

/* Sets the neighbours of a k-NN model with cells, and the rows to look at: the fewest by which 97 %
 * of the neighbours of 512 of its own rows are found, or rows as near. `rows` and `order` are those
 * it was made of. Fails as above. */
QN_MUST_CHECK
qn_status qn_knn_cells_tune(qn_estimator *model, int32_t n_neighbours,
                            const qn_knn_cells_request *request, const qn_knn_cells *cells,
                            qn_error *err);

#endif
