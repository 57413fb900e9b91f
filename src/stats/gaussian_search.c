/* SPDX-License-Identifier: Apache-2.0 */
/* The search for hyperparameters, of processes of numbers and of classes alike. */
#include "stats/gaussian_internal.h"

#include "base/alloc.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

int64_t qn_gaussian_n_lengths(const qn_gaussian_search *search)
{
    return search->isotropic ? 1 : search->n_dims;
}

static int64_t n_searched(const qn_gaussian_search *search)
{
    return 1 + qn_gaussian_n_lengths(search) + search->has_noise;
}

/* Both are in the order of the hyperparameters: variance, lengths, noise. */
void qn_gaussian_expand(const qn_gaussian_search *search, const double *searched, double *theta)
{
    theta[0] = searched[0] * search->unit;
    for (int64_t f = 0; f < search->n_dims; f++) {
        theta[1 + f] = searched[search->isotropic ? 1 : 1 + f] * search->unit;
    }
    if (!search->has_noise) return;
    theta[1 + search->n_dims] = searched[1 + qn_gaussian_n_lengths(search)] * search->unit;
}

double qn_gaussian_gather(const qn_gaussian_search *search, const double *theta,
                          const double *by_theta, double value, double *gradient)
{
    const int64_t n_lengths = qn_gaussian_n_lengths(search), n_dims = search->n_dims;
    memset(gradient, 0, (size_t)n_searched(search) * sizeof *gradient);
    gradient[0] = -by_theta[0];
    for (int64_t f = 0; f < n_dims; f++) {
        gradient[search->isotropic ? 1 : 1 + f] -= by_theta[1 + f];
    }
    value += qn_gaussian_penalty(NULL, search->offset, qn_gaussian_variance_range, theta[0],
                                 &gradient[0]);
    for (int64_t f = 0; f < n_lengths; f++) {
        value += qn_gaussian_penalty(&search->length, 0, qn_gaussian_length_range, theta[1 + f],
                                     &gradient[1 + f]);
    }
    if (search->has_noise) {
        gradient[1 + n_lengths] = -by_theta[1 + n_dims];
        value += qn_gaussian_penalty(&search->noise, search->offset, qn_gaussian_noise_range,
                                     theta[1 + n_dims], &gradient[1 + n_lengths]);
    }
    for (int64_t p = 0; p < n_searched(search); p++) {
        gradient[p] *= search->unit;
    }
    return value;
}

qn_status qn_gaussian_maximise(const qn_gaussian_search *search, double *theta, qn_error *err)
{
    const int64_t n = n_searched(search);
    double *searched = qn_alloc_array(2 * n, sizeof *searched), best = QN_INF;
    qn_status status = QN_OK;
    if (!searched) return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    const qn_minimise_request request = {.objective = search->objective,
                                         .context = search->context,
                                         .n = n,
                                         .iterations_max = search->iterations_max,
                                         .tolerance = search->tolerance,
                                         .stop = search->stop};
    for (int start = 0; start < (search->n_starts > 1 ? search->n_starts : 1); start++) {
        int64_t n_iterations;
        if (search->iterations_max == 0 || qn_stop_requested(search->stop)) break;
        search->choose_start(search->context, start, searched);
        status = qn_minimise(&request, searched, &n_iterations, err);
        if (status != QN_OK) break;
        const double value =
            search->n_starts > 1 ? search->objective(search->context, searched, searched + n) : 0;
        if (value < best) {
            best = value;
            qn_gaussian_expand(search, searched, theta);
        }
    }
    qn_free(searched);
    return status;
}
