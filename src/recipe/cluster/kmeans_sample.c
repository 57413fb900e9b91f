/* SPDX-License-Identifier: Apache-2.0 */
/* Where mini-batches begin: k-means of a sample of the rows, so that several beginnings together
 * cost less than a pass over a long table. */
#include "recipe/cluster/kmeans_internal.h"

#include "base/alloc.h"

#include <string.h>

enum { PASSES = 10 }; /* batches go on from there */

/* Rows that may be drawn: those with weight, or all where there are fewer of them than centres. */
static int64_t n_eligible(const qn_kmeans *m, bool *all)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->n; i++) {
        n += qn_kmeans_weight(m, i) > 0;
    }
    *all = n < m->k;
    return *all ? m->n : n;
}

/* One row at random out of each of sample->n_rows runs of equal length of the eligible rows. */
static void draw(const qn_kmeans *m, bool all, int64_t n_rows, uint64_t seed, qn_matrix *sample,
                 double *weights)
{
    const double run = (double)n_rows / (double)sample->n_rows;
    int64_t row = -1, passed = -1; /* eligible rows up to `row` but one */
    qn_rng rng;
    qn_rng_init(&rng, seed, 0x73616d706c65);
    for (int64_t i = 0; i < sample->n_rows; i++) {
        const int64_t drawn = (int64_t)(((double)i + qn_rng_uniform(&rng)) * run);
        const int64_t number = drawn < n_rows ? drawn : n_rows - 1;
        while (passed < number) {
            row++;
            passed += all || qn_kmeans_weight(m, row) > 0;
        }
        weights[i] = qn_kmeans_weight(m, row);
        for (int64_t f = 0; f < m->d; f++) {
            sample->dense[f * sample->stride + i] = (double)m->x[row * m->d + f];
        }
    }
}

static qn_status fit(qn_kmeans *m, const qn_matrix *sample, const double *weights, uint64_t seed,
                     double *seen, qn_error *err)
{
    const qn_kmeans_request *whole = m->request;
    const qn_kmeans_request request = {.rows = sample,
                                       .weights = m->weights ? weights : NULL,
                                       .k = m->k,
                                       .n_init = whole->n_init,
                                       .iterations_max = PASSES,
                                       .tolerance = whole->tolerance,
                                       .seed = seed,
                                       .stop = whole->stop,
                                       .pool = whole->pool};
    qn_kmeans_result result;
    QN_TRY(qn_kmeans_fit(&request, &result, err));
    memcpy(m->centres, result.centres, (size_t)(m->k * m->d) * sizeof *m->centres);
    memcpy(seen, result.sizes, (size_t)m->k * sizeof *seen);
    qn_kmeans_result_release(&result);
    return QN_OK;
}

qn_status qn_kmeans_begin_by_sample(qn_kmeans *m, int64_t n_rows, uint64_t seed, double *seen,
                                    qn_error *err)
{
    bool all;
    qn_matrix sample;
    const int64_t n = n_eligible(m, &all), n_sample = all || n < n_rows ? n : n_rows;
    double *weights = qn_alloc_array(n_sample, sizeof *weights);
    if (!weights) return qn_fail(err, QN_ERR_NOMEM, "no memory for a sample of rows");
    qn_status status = qn_matrix_init(&sample, n_sample, m->d, err);
    if (status == QN_OK) {
        draw(m, all, n, seed, &sample, weights);
        status = fit(m, &sample, weights, seed, seen, err);
        qn_matrix_release(&sample);
    }
    qn_free(weights);
    return status;
}
