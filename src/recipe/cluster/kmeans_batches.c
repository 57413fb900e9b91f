/* SPDX-License-Identifier: Apache-2.0 */
/* Mini-batch k-means (Sculley 2010). Begins with the centres of a sample, which count as if its
 * rows had been the first batches. Stops when the inertia of batches, smoothed over as many rows as
 * the table has, has not fallen for ten of them. */
#include "recipe/cluster/kmeans_internal.h"

#include "base/alloc.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

enum { BATCH_ROWS = 1024, PASSES_MAX = 100, PATIENCE = 10 };
enum { SAMPLE_BATCHES = 4, SAMPLE_ROWS_A_CENTRE = 20 };

struct batches {
    qn_kmeans *m;
    int64_t batch_rows;
    float *x;        /* batch_rows × d: the rows drawn */
    float *squares;  /* batch_rows */
    double *weights; /* batch_rows */
    int32_t *labels; /* batch_rows */
    float *nearest;  /* batch_rows */
    double *seen;    /* k: the weight each centre has met */
};

/* Draws a batch, with replacement, and returns its inertia for a row. */
static double draw_and_assign(struct batches *b, qn_rng *rng)
{
    const qn_kmeans *m = b->m;
    double inertia = 0, weight = 0;
    for (int64_t i = 0; i < b->batch_rows; i++) {
        const int64_t row = qn_rng_below(rng, m->n);
        memcpy(b->x + i * m->d, m->x + row * m->d, (size_t)m->d * sizeof *b->x);
        b->squares[i] = m->squares[row];
        b->weights[i] = qn_kmeans_weight(m, row);
    }
    qn_kmeans batch = *m;
    batch.x = b->x;
    batch.squares = b->squares;
    qn_kmeans_assign(&batch, 0, b->batch_rows, b->labels, b->nearest);
    for (int64_t i = 0; i < b->batch_rows; i++) {
        inertia += b->weights[i] * (double)b->nearest[i];
        weight += b->weights[i];
    }
    return weight > 0 ? inertia / weight : 0;
}

/* Each row draws its centre by its weight over all the centre has seen: the mean of them. */
static void move_centres(struct batches *b)
{
    qn_kmeans *m = b->m;
    for (int64_t i = 0; i < b->batch_rows; i++) {
        const int32_t c = b->labels[i];
        if (b->weights[i] == 0) continue;
        b->seen[c] += b->weights[i];
        const double rate = b->weights[i] / b->seen[c];
        double *centre = m->centres + c * m->d;
        const float *x = b->x + i * m->d;
        for (int64_t f = 0; f < m->d; f++) {
            centre[f] += rate * ((double)x[f] - centre[f]);
        }
    }
    qn_kmeans_pack(m);
}

static int64_t run(struct batches *b, qn_rng *rng)
{
    const qn_kmeans *m = b->m;
    const int64_t passes = m->request->iterations_max > 0 ? m->request->iterations_max : PASSES_MAX;
    const int64_t n_batches = (passes * m->n + b->batch_rows - 1) / b->batch_rows;
    const double memory = fmin(1, 2.0 * (double)b->batch_rows / (double)(m->n + 1));
    double smoothed = 0, least = QN_INF;
    int waited = 0;
    qn_kmeans_pack(b->m);
    for (int64_t i = 0; i < n_batches; i++) {
        if (qn_stop_requested(m->request->stop)) return i;
        const double inertia = draw_and_assign(b, rng);
        move_centres(b);
        smoothed = i == 0 ? inertia : smoothed + memory * (inertia - smoothed);
        waited = smoothed < least ? 0 : waited + 1;
        least = fmin(least, smoothed);
        if (waited == PATIENCE) return i + 1;
    }
    return n_batches;
}

qn_status qn_kmeans_run_batches(qn_kmeans *m, uint64_t seed, int64_t *n_iterations, qn_error *err)
{
    int64_t rows = m->request->batch_rows > 0 ? m->request->batch_rows : BATCH_ROWS;
    if (rows > m->n) rows = m->n;
    struct batches b = {.m = m, .batch_rows = rows};
    b.x = qn_alloc_aligned(rows * m->d, sizeof *b.x);
    b.squares = qn_alloc_array(rows, sizeof *b.squares);
    b.weights = qn_alloc_array(rows, sizeof *b.weights);
    b.labels = qn_alloc_array(rows, sizeof *b.labels);
    b.nearest = qn_alloc_array(rows, sizeof *b.nearest);
    b.seen = qn_alloc_array(m->k, sizeof *b.seen);
    const bool complete = b.x && b.squares && b.weights && b.labels && b.nearest && b.seen;
    qn_status status =
        complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for batches of k-means");
    if (status == QN_OK) {
        const int64_t few = SAMPLE_ROWS_A_CENTRE * (int64_t)m->k, some = SAMPLE_BATCHES * rows;
        status = qn_kmeans_begin_by_sample(m, some > few ? some : few, seed, b.seen, err);
    }
    if (status == QN_OK) {
        qn_rng rng;
        qn_rng_init(&rng, seed, 0x6261746368);
        *n_iterations = run(&b, &rng);
    }
    qn_free(b.x);
    qn_free(b.squares);
    qn_free(b.weights);
    qn_free(b.labels);
    qn_free(b.nearest);
    qn_free(b.seen);
    return status;
}
