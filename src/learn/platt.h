/* SPDX-License-Identifier: Apache-2.0 */
/* Platt's scaling: probabilities 1 / (1 + exp(a score + b)) from scores of classifiers that have
 * none, by maximum likelihood with smoothed targets (Platt 1999), in the numerically sound form of
 * Lin, Lin & Weng 2007, algorithm 1.
 *
 * Threads: pure function. */
#ifndef QN_LEARN_PLATT_H
#define QN_LEARN_PLATT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct qn_platt {
    double a, b;
} qn_platt;

/* `positive[i]`: whether row i is of the class; `weights`: n, >= 0, or NULL. With rows of one class
 * only, the probabilities are those of the smoothed prior. */
qn_platt qn_platt_fit(const double *scores, const bool *positive, const double *weights, int64_t n);

#endif
