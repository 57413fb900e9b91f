/* SPDX-License-Identifier: Apache-2.0 */
/* Quadrature: integrals over [0, 1] as weighted sums.
 *
 * Threads: pure functions. */
#ifndef QN_LINALG_QUADRATURE_H
#define QN_LINALG_QUADRATURE_H

/* The n >= 1 points, increasing, and weights of Gauss and Legendre, exact for polynomials of a
 * degree up to 2n - 1: Newton's method on the Legendre polynomial from Tricomi's guess (Abramowitz
 * and Stegun, 25.4.30 and 22.16.6). */
void qn_gauss_legendre(int n, double *points, double *weights);

#endif
