/* SPDX-License-Identifier: Apache-2.0 */
/* Eigenvalues and eigenvectors of a real symmetric matrix, all of them: reflections make it
 * tridiagonal, implicit QR sweeps with Wilkinson's shifts make that diagonal (Golub & Van Loan,
 * Matrix Computations, 4th edition, algorithms 8.3.1 to 8.3.3). Errors of values are a small
 * multiple of 2^-53 times the largest value. Time grows with n^3: some 0.1 s at 400 and 1.5 s at
 * 1,000 on one core.
 *
 * Threads: a pure function; the same bytes on any number of threads. */
#ifndef QN_LINALG_SYMMETRIC_EIGEN_H
#define QN_LINALG_SYMMETRIC_EIGEN_H

#include "base/error.h"
#include "base/pool.h"

#include <stdint.h>

/* `matrix`, n × n, row after row, n >= 1: only the part below the diagonal, and the diagonal, are
 * read. On success row i is the unit eigenvector of values[i], values decrease, and the entry of an
 * eigenvector that is largest in absolute value, the first of equals, is positive. `pool` NULL: on
 * this thread alone. Takes 8 n^2 bytes beside the matrix.
 * Fails with QN_ERR_DATA (an entry is not finite; no convergence, which no matrix is known to
 * cause) or QN_ERR_NOMEM; the matrix is then overwritten all the same. */
QN_MUST_CHECK
qn_status qn_symmetric_eigen(double *matrix, int64_t n, qn_pool *pool, double *values,
                             qn_error *err);

#endif
