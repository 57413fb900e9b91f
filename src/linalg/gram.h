/* SPDX-License-Identifier: Apache-2.0 */
/* Gram matrices of rows that stand one after the other. Every element takes the products of 128
 * rows (of a weight other than 0) at a time in their order, each by one fused multiply-add, and
 * adds them up in order: the same on any machine.
 *
 * Threads: a pure function. */
#ifndef QN_LINALG_GRAM_H
#define QN_LINALG_GRAM_H

#include <stdint.h>

/* Adds sum_i omega_i x_i x_i' to `out`, whose element (a, b) is at out[a * stride + b]: its lower
 * triangle, and what lies in the same 4 x 4 tiles. Row i stands at rows[i * width …]; `width` is a
 * multiple of 4. `omega`, n, NULL: all 1. */
void qn_gram_add(const double *rows, int64_t width, const double *omega, int64_t n, double *out,
                 int64_t stride);

#endif
