/* SPDX-License-Identifier: Apache-2.0 */
/* The distribution of CMA-ES: a normal on n numbers whose mean, size and covariance follow the
 * better points (Hansen 2016, "The CMA evolution strategy: a tutorial", arXiv 1604.00772, whose
 * formulas and defaults these are, with negative weights). Each number has a range of about 1.
 *
 * Margin (Hamano et al. 2022): where a number stands for few values, each within a cell, the mass
 * of the cells beside the mean's is kept above 1/(n × population), by a factor of the deviation and
 * a shift of the mean, so that no value is lost for good.
 *
 * Points need not come from the distribution: a longer step than it would make is shortened to the
 * length it would (Hansen 2011, "Injecting external solutions into CMA-ES", INRIA RR-7748).
 *
 * Threads: one thread at a time. */
#ifndef QN_SEARCH_SAMPLERS_CMA_H
#define QN_SEARCH_SAMPLERS_CMA_H

#include "base/error.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct qn_cma {
    int64_t n, population;
    double *mean;       /* [n] */
    double *factor;     /* [n] of the deviations, by the margin; 1 where there is none */
    double *covariance; /* [n][n] */
    double *axes;       /* [n][n], a unit vector a row */
    double *lengths;    /* [n] of the axes: roots of the eigenvalues */
    double *path;       /* [n] of the mean, for the covariance */
    double *size_path;  /* [n] of the mean, whitened, for the size */
    double sigma, sigma_first;
    int64_t n_updates;
    double *weights; /* [population], of ranks; those of the worse half are negative */
    double mu_eff, c_one, c_mu, c_path, c_sigma, damping, chi;
    double *lengths_of, *step, *white, *steps; /* while updating: [population], [n], [n],
                                                  [population][n] */
} qn_cma; /* initialise zeroed; release with qn_cma_release() */

/* A normal to begin with; covariance NULL: the identity. */
typedef struct qn_cma_start {
    int64_t n, population; /* 1 or more, 4 or more */
    const double *mean;
    double sigma;
    const double *covariance; /* [n][n] */
} qn_cma_start;

void qn_cma_release(qn_cma *cma);
/* Replaces what there was. Fails with QN_ERR_NOMEM or QN_ERR_DATA (a covariance that is none). */
QN_MUST_CHECK
qn_status qn_cma_begin(qn_cma *cma, const qn_cma_start *start, qn_error *err);
/* 4 + 3 ln n */
int64_t qn_cma_population(int64_t n);
void qn_cma_draw(const qn_cma *cma, qn_rng *rng, double *x);
/* The deviation of one number. */
double qn_cma_deviation(const qn_cma *cma, int64_t at);
/* Takes `population` points, the best first. Fails as qn_cma_begin(). */
QN_MUST_CHECK
qn_status qn_cma_update(qn_cma *cma, const double *const *points, qn_error *err);
/* Where number `at` stands for values in cells: the ends of the cell of the mean, -QN_INF and
 * QN_INF beyond the first and the last. Call it after each update. */
void qn_cma_keep_margin(qn_cma *cma, int64_t at, double cell_low, double cell_high);
/* Nothing more can come of it: too small to matter, or numerically singular. */
bool qn_cma_is_spent(const qn_cma *cma);

#endif
