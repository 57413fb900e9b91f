/* SPDX-License-Identifier: Apache-2.0 */
/* Parzen estimator over some parameters of a space, as TPE uses it: a mixture of one kernel per
 * observation and a broad prior (Bergstra et al. 2011; Watanabe 2023, arXiv 2304.11127, whose
 * formulas these are).
 *
 * A kernel is a product over the dimensions. Along a numeric parameter it is a normal on the
 * parameter's scale, cut at the ends of the range; kernels share Scott's bandwidth
 * 0.15 R n^(-1/(d+4)), or each reaches its farther neighbour. Where a parameter has few values the
 * normal is summed over each value's cell, with Scott's bandwidth. Along a categorical parameter a
 * kernel puts 1 on its choice and prior/(n + 1) on all, normalised. The prior is a normal about the
 * middle with the range as deviation, and uniform over choices.
 *
 * Threads: one thread at a time. */
#ifndef QN_SEARCH_SAMPLERS_PARZEN_H
#define QN_SEARCH_SAMPLERS_PARZEN_H

#include "search/space/space.h"

enum { QN_PARZEN_TABLE_MAX = 16 }; /* values of an ordered parameter summed over cells */

typedef struct qn_parzen_dim {
    const qn_parameter *parameter;
    double low, high; /* on its scale */
    int64_t n_values; /* of a table; 0: smooth */
    bool is_ordered;
    bool is_shared; /* one sigma for all kernels */
    double sigma;
    double scale;       /* 1 / (sigma √2) */
    double *means;      /* [n_kernels]; smooth: times scale where sigma is shared; categorical: the
                           choice */
    double *scales;     /* smooth with sigmas of their own: [n_kernels] */
    int32_t *codes;     /* ordered table: [n_kernels], the value's index */
    double *table;      /* ordered: [x × n_values + code]: -log of what a kernel at code gives x */
    double *prior;      /* ordered: [n_values], -log of what the prior gives */
    double match, miss; /* categorical: -log of what a kernel gives its choice, and another */
    double prior_bias;  /* smooth: -log of the prior's normalisation */
} qn_parzen_dim;

typedef struct qn_parzen {
    int64_t n_dims, n_kernels;
    qn_parzen_dim *dims;
    double *energies; /* [n_kernels]: -log of weight and of normalisation */
    double *weights;  /* [n_kernels], summing to 1 with prior_weight */
    double prior_weight;
    double *scratch; /* [n_kernels] */
    int64_t dims_room, kernels_room;
} qn_parzen; /* initialise zeroed; release with qn_parzen_release() */

typedef struct qn_parzen_request {
    int64_t n_dims;
    const qn_parameter *const *parameters; /* [n_dims] */
    int64_t n_kernels;
    const double *const *values; /* [n_dims][n_kernels], on the parameters' scales; table
                                    dimensions: indices of values */
    const double *weights;       /* [n_kernels], above 0 */
    double prior_weight;
    int64_t n_observed; /* at least n_kernels: bandwidths are those of so many */
    bool neighbours;    /* bandwidths of smooth dimensions from neighbouring kernels */
    /* Per dimension and kernel, what qn_parzen_log_mass() gives for the shared sigma; NULL:
     * computed here. */
    const double *const *log_masses;
} qn_parzen_request;

void qn_parzen_release(qn_parzen *parzen);
/* Replaces what the estimator held. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_parzen_fit(qn_parzen *parzen, const qn_parzen_request *request, qn_error *err);

/* Whether the estimator sees a parameter as a table of values. */
bool qn_parzen_is_table(const qn_parameter *parameter);
/* A parameter's value as the estimator takes it. */
double qn_parzen_value(const qn_parameter *parameter, double value);
/* The shared bandwidth of a parameter among n_dims, after n observations. It changes in steps, with
 * n falling to a power of 1.05, so that what depends on it can be kept. */
double qn_parzen_sigma(const qn_parameter *parameter, int64_t n_dims, int64_t n);
/* log of the mass that a normal about `mean` has within the range. */
double qn_parzen_log_mass(const qn_parameter *parameter, double mean, double sigma);

/* One draw: a value of the parameter per dimension, and as the estimator takes it. */
void qn_parzen_draw(const qn_parzen *parzen, qn_rng *rng, double *values, double *points);
/* log density of a point (as the estimator takes it); masses for tables, densities on the scale
 * otherwise. */
double qn_parzen_log_density(const qn_parzen *parzen, const double *point);

#endif
