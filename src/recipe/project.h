/* SPDX-License-Identifier: Apache-2.0 */
/* What rows become on components and beside centres: the arithmetic that features of a recipe
 * (derive.h) and estimators of clusterings and reductions share. Every row's sums run over its
 * columns in order, in double, so that they do not depend on the rows beside it.
 *
 * Threads: pure functions. */
#ifndef QN_RECIPE_PROJECT_H
#define QN_RECIPE_PROJECT_H

#include "recipe/matrix.h"

/* out[row * k + c] = the row times column c of `columns` less origin[c]. `columns` is n × k, row
 * after row, n the dense and sparse columns of the matrix. */
void qn_project_rows(const double *columns, const double *origin, int64_t k, const qn_matrix *rows,
                     double *out);

/* out[row * k + c] = Euclidean distance of the first `n_dense` columns from centre c of the k ×
 * n_dense `centres`. `sums` is scratch for a double a row. */
void qn_centre_distances(const double *centres, int64_t k, int64_t n_dense, const qn_matrix *rows,
                         double *out, double *sums);

#endif
