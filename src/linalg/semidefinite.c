/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/semidefinite.h"

#include "linalg/kernels.h"

#include <math.h>

int64_t qn_semidefinite_factor(double *a, int64_t n, double tolerance)
{
    int64_t rank = 0;
    for (int64_t i = 0; i < n; i++) {
        double *row = a + i * n;
        for (int64_t j = 0; j < i; j++) {
            const double pivot = a[j * n + j];
            row[j] = pivot > 0 ? (row[j] - qn_dot(row, a + j * n, j)) / pivot : 0;
        }
        const double rest = row[i] - qn_dot(row, row, i);
        row[i] = rest > tolerance * row[i] ? sqrt(rest) : 0;
        rank += row[i] > 0;
    }
    return rank;
}

void qn_semidefinite_solve(const double *l, int64_t n, double *x)
{
    for (int64_t i = 0; i < n; i++) {
        const double pivot = l[i * n + i];
        x[i] = pivot > 0 ? (x[i] - qn_dot(l + i * n, x, i)) / pivot : 0;
    }
    for (int64_t i = n; i-- > 0;) {
        const double pivot = l[i * n + i];
        if (pivot > 0) x[i] /= pivot;
        if (x[i] != 0) qn_add_scaled(-x[i], l + i * n, x, i);
    }
}
