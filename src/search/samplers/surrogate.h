/* SPDX-License-Identifier: Apache-2.0 */
/* Surrogate: what the told trials say of configurations not tried yet, by Gaussian processes with a
 * Matérn 5/2 covariance and a length for each coordinate (stats/gaussian_process.h).
 *
 * Coordinates. A parameter is its place on the unit interval; one without an order has a coordinate
 * per choice, 1/√2 or 0, so that two choices are a distance of 1 apart. An inactive parameter
 * stands in the middle, or at no choice.
 *
 * Losses are taken as log(1 + (loss - least)/(median - least)), standardised: what is worse than
 * the median matters less the worse it is. A pruned trial counts as no better than the median.
 * Limits that trials broke are a second process, of +1 where broken and -1 where kept.
 *
 * Hyperparameters depend on the first trials told alone, as many as a fixed schedule says (each up
 * to 50, then every twelfth more), never on earlier fits; those told since are added at the same
 * hyperparameters. Trials still running are believed to have the mean that is predicted for them
 * (Ginsbourger et al. 2010, "Kriging believer").
 *
 * Threads: one thread at a time. */
#ifndef QN_SEARCH_SAMPLERS_SURROGATE_H
#define QN_SEARCH_SAMPLERS_SURROGATE_H

#include "search/study/history.h"
#include "stats/gaussian_process.h"

typedef struct qn_surrogate {
    const qn_history *history;
    uint64_t seed;
    int64_t n_params, n_dims;
    int32_t *first;                       /* [n_params]: its first coordinate */
    qn_gaussian_process *losses, *limits; /* limits: NULL while all are kept */
    int64_t n_fitted, n_added;            /* told trials fitted, and looked at since */
    int64_t n_in;                         /* told trials in both processes */
    double least, spread, center, scale;  /* of the losses, when fitted */
    double best; /* least transformed loss of a feasible trial, or QN_INF */
    double *rows, *means, *variances, *scratch;
    int64_t rows_room, scratch_room;
} qn_surrogate; /* initialise with qn_surrogate_init(); release with qn_surrogate_release() */

/* Fails with QN_ERR_ARG (more than QN_COVARIANCE_DIMS_MAX coordinates) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_surrogate_init(qn_surrogate *surrogate, const qn_history *history, uint64_t seed,
                            qn_error *err);
void qn_surrogate_release(qn_surrogate *surrogate);

/* Brings it up to the trials told, at least 2, and those running. Fails with QN_ERR_NOMEM or
 * QN_ERR_DATA. */
QN_MUST_CHECK
qn_status qn_surrogate_update(qn_surrogate *surrogate, qn_error *err);

/* For n configurations (n × space->n), the log of the improvement to be expected over the best
 * (Ament et al. 2023, "Unexpected improvements to expected improvement", equation 9) and of the
 * probability that limits are kept. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_surrogate_gains(qn_surrogate *surrogate, const double *configurations, int64_t n,
                             double *gains, qn_error *err);

/* For n configurations, the lower end of the interval of so many standard deviations around the
 * mean, on the scale of the process; QN_INF where limits are broken by as many. Fails with
 * QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_surrogate_lower_ends(qn_surrogate *surrogate, const double *configurations, int64_t n,
                                  double deviations, double *ends, qn_error *err);
/* The loss that a number on that scale stands for. */
double qn_surrogate_loss(const qn_surrogate *surrogate, double scaled);

/* log(φ(z) + z Φ(z)), exact to some digits for any z. */
double qn_log_improvement(double z);

#endif
