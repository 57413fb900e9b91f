/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/project.h"

#include "linalg/kernels.h"

#include <math.h>
#include <string.h>

void qn_project_rows(const double *columns, const double *origin, int64_t k, const qn_matrix *rows,
                     double *out)
{
    const int64_t n = rows->n_rows;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t c = 0; c < k; c++) {
            out[i * k + c] = -origin[c];
        }
    }
    for (int64_t f = 0; f < rows->n_dense; f++) {
        for (int64_t i = 0; i < n; i++) {
            qn_add_scaled(rows->dense[f * rows->stride + i], columns + f * k, out + i * k, k);
        }
    }
    for (int64_t i = 0; i < n && rows->n_sparse > 0; i++) {
        for (int64_t at = rows->sparse_starts[i]; at < rows->sparse_starts[i + 1]; at++) {
            qn_add_scaled((double)rows->sparse_values[at],
                          columns + (rows->n_dense + rows->sparse_cols[at]) * k, out + i * k, k);
        }
    }
}

/* Centre after centre, feature after feature: each row's sum grows in the same order. */
void qn_centre_distances(const double *centres, int64_t k, int64_t n_dense, const qn_matrix *rows,
                         double *out, double *sums)
{
    const int64_t n = rows->n_rows;
    for (int64_t c = 0; c < k; c++) {
        const double *centre = centres + c * n_dense;
        memset(sums, 0, (size_t)n * sizeof *sums);
        for (int64_t f = 0; f < n_dense; f++) {
            const double *values = rows->dense + f * rows->stride;
            for (int64_t i = 0; i < n; i++) {
                const double step = values[i] - centre[f];
                sums[i] += step * step;
            }
        }
        for (int64_t i = 0; i < n; i++) {
            out[i * k + c] = sqrt(sums[i]);
        }
    }
}
