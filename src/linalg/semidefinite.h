/* SPDX-License-Identifier: Apache-2.0 */
/* Cholesky factors of symmetric positive semidefinite matrices in double, where cholesky.h needs
 * definite ones. Columns that depend on the ones before them are set aside (Higham 2002,
 * section 10.3, without exchanges), so that normal equations of aliased columns have a solution in
 * which those are zero.
 *
 * Threads: pure functions of their arguments. */
#ifndef QN_LINALG_SEMIDEFINITE_H
#define QN_LINALG_SEMIDEFINITE_H

#include <stdint.h>

/* Replaces the lower triangle of `a` (n × n, row after row) by L with A = L L^T. A pivot of at most
 * `tolerance` times its diagonal element becomes 0: its column is set aside. Returns the rank. */
int64_t qn_semidefinite_factor(double *a, int64_t n, double tolerance);
/* Solves L L^T x = b in place; elements set aside become 0. */
void qn_semidefinite_solve(const double *l, int64_t n, double *x);

#endif
