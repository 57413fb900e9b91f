/* SPDX-License-Identifier: Apache-2.0 */
/* Greedy k-means++: how centres begin. */
#include "recipe/cluster/kmeans_internal.h"

#include "base/alloc.h"
#include "base/number.h"
#include "linalg/gemm.h"

#include <math.h>
#include <string.h>

enum { DRAWS_MAX = QN_PANEL_COLS }; /* 2 + ln k is below it */

struct beginning {
    qn_kmeans *m;
    int32_t n_draws;
    int64_t draws[DRAWS_MAX]; /* rows that may become the next centre */
    float *panels;            /* of them, d × 16, times -2 */
    float start[QN_PANEL_COLS];
    float *distances;   /* n × n_draws: squared, to each */
    float *nearest;     /* n: squared, to the centres so far */
    double *potentials; /* n_blocks × n_draws: weighted sums of what would be nearest */
    double *block_sums; /* n_blocks: of weight × nearest */
};

static void measure_block(void *context, int64_t block)
{
    struct beginning *b = context;
    const qn_kmeans *m = b->m;
    const int64_t first = block * m->block_rows;
    const int64_t end = first + m->block_rows < m->n ? first + m->block_rows : m->n;
    if (first >= end) return;
    double sums[DRAWS_MAX] = {0};
    const qn_gemm product = {.m = end - first,
                             .n = b->n_draws,
                             .k = m->d,
                             .a = m->x + first * m->d,
                             .a_row_step = m->d,
                             .a_col_step = 1,
                             .panels = b->panels,
                             .start = b->start,
                             .c = b->distances + first * b->n_draws,
                             .c_row_step = b->n_draws};
    qn_gemm_run(&product, NULL);
    for (int64_t i = first; i < end; i++) {
        const double w = qn_kmeans_weight(m, i);
        for (int32_t c = 0; c < b->n_draws; c++) {
            float *to = &b->distances[i * b->n_draws + c];
            const float distance = *to + m->squares[i], before = b->nearest[i];
            *to = distance > 0 ? distance : 0;
            sums[c] += w * (double)(*to < before ? *to : before);
        }
    }
    memcpy(b->potentials + block * b->n_draws, sums, (size_t)b->n_draws * sizeof *sums);
}

static void measure_draws(struct beginning *b)
{
    const qn_kmeans *m = b->m;
    float *at = b->panels;
    memset(at, 0, (size_t)qn_panels_floats(m->d, 1) * sizeof *at);
    for (int32_t c = 0; c < b->n_draws; c++) {
        const float *row = m->x + b->draws[c] * m->d;
        for (int64_t f = 0; f < m->d; f++) {
            at[f * QN_PANEL_COLS + c] = -2 * row[f];
        }
        b->start[c] = m->squares[b->draws[c]];
    }
    qn_pool_run(m->request->pool, m->n_blocks, measure_block, b);
}

/* The draw that would leave the least to go becomes a centre. */
static void take_best(struct beginning *b, int32_t centre)
{
    qn_kmeans *m = b->m;
    int32_t best = 0;
    double least = 0;
    for (int32_t c = 0; c < b->n_draws; c++) {
        double sum = 0;
        for (int64_t block = 0; block < m->n_blocks; block++) {
            sum += b->potentials[block * b->n_draws + c];
        }
        if (c == 0 || sum < least) {
            least = sum;
            best = c;
        }
    }
    const float *row = m->x + b->draws[best] * m->d;
    for (int64_t f = 0; f < m->d; f++) {
        m->centres[centre * m->d + f] = (double)row[f];
    }
    for (int64_t block = 0; block < m->n_blocks; block++) {
        double sum = 0;
        const int64_t first = block * m->block_rows;
        for (int64_t i = first; i < first + m->block_rows && i < m->n; i++) {
            const float distance = b->distances[i * b->n_draws + best];
            if (distance < b->nearest[i]) b->nearest[i] = distance;
            sum += qn_kmeans_weight(m, i) * (double)b->nearest[i];
        }
        b->block_sums[block] = sum;
    }
}

/* A row with the chance of its weight, times its squared distance unless it is the first. */
static int64_t draw_row(const struct beginning *b, bool first_centre, qn_rng *rng)
{
    const qn_kmeans *m = b->m;
    double total = 0;
    for (int64_t block = 0; block < m->n_blocks && !first_centre; block++) {
        total += b->block_sums[block];
    }
    for (int64_t i = 0; i < m->n && first_centre; i++) {
        total += qn_kmeans_weight(m, i);
    }
    if (!(total > 0)) return qn_rng_below(rng, m->n); /* fewer different rows than centres */
    double left = qn_rng_uniform(rng) * total;
    int64_t block = 0, last = 0;
    while (!first_centre && block + 1 < m->n_blocks && left >= b->block_sums[block]) {
        left -= b->block_sums[block++];
    }
    for (int64_t i = block * m->block_rows; i < m->n; i++) {
        const double share = qn_kmeans_weight(m, i) * (first_centre ? 1 : (double)b->nearest[i]);
        if (share > 0) last = i;
        left -= share;
        if (left < 0) return i;
    }
    return last; /* rounding */
}

static void begin(struct beginning *b, qn_rng *rng)
{
    qn_kmeans *m = b->m;
    const int32_t n_draws = b->n_draws;
    for (int64_t i = 0; i < m->n; i++) {
        b->nearest[i] = (float)QN_INF;
    }
    b->n_draws = 1;
    b->draws[0] = draw_row(b, true, rng);
    measure_draws(b);
    take_best(b, 0);
    b->n_draws = n_draws;
    for (int32_t centre = 1; centre < m->k; centre++) {
        for (int32_t c = 0; c < n_draws; c++) {
            b->draws[c] = draw_row(b, false, rng);
        }
        measure_draws(b);
        take_best(b, centre);
    }
}

qn_status qn_kmeans_begin(qn_kmeans *m, qn_rng *rng, qn_error *err)
{
    struct beginning b = {.m = m, .n_draws = 2 + (int32_t)log((double)m->k)};
    b.panels = qn_alloc_aligned(qn_panels_floats(m->d, 1), sizeof *b.panels);
    b.distances = qn_alloc_aligned(m->n * b.n_draws, sizeof *b.distances);
    b.nearest = qn_alloc_aligned(m->n, sizeof *b.nearest);
    b.potentials = qn_alloc_array(m->n_blocks * b.n_draws, sizeof *b.potentials);
    b.block_sums = qn_alloc_array(m->n_blocks, sizeof *b.block_sums);
    const bool complete = b.panels && b.distances && b.nearest && b.potentials && b.block_sums;
    if (complete) begin(&b, rng);
    qn_free(b.panels);
    qn_free(b.distances);
    qn_free(b.nearest);
    qn_free(b.potentials);
    qn_free(b.block_sums);
    return complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for the centres of clusters");
}
