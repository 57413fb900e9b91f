/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/silhouette.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/rng.h"

#include <string.h>

enum { TASK_ROWS = 32 };

struct silhouette {
    int64_t n, d;
    int32_t k;
    double *x;       /* n × d: the sample */
    int32_t *labels; /* n */
    int64_t *sizes;  /* k: rows of the sample in each cluster */
    double *sums;    /* n × k: distances to each cluster */
};

static inline __attribute__((always_inline)) double
squared_distance(const double *restrict a, const double *restrict b, int64_t n)
{
    double lanes[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int lane = 0; lane < 8; lane++) {
            const double step = a[i + lane] - b[i + lane];
            lanes[lane] += step * step;
        }
    }
    for (int lane = 0; i < n; i++, lane++) {
        lanes[lane] += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

static inline __attribute__((always_inline)) void sum_distances(struct silhouette *s, int64_t task)
{
    const int64_t end = (task + 1) * TASK_ROWS < s->n ? (task + 1) * TASK_ROWS : s->n;
    for (int64_t i = task * TASK_ROWS; i < end; i++) {
        double *sums = s->sums + i * s->k;
        for (int64_t j = 0; j < s->n; j++) {
            sums[s->labels[j]] += sqrt(squared_distance(s->x + i * s->d, s->x + j * s->d, s->d));
        }
    }
}

/* Compiled twice: same operations, same results. */
#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2"))) static void sum_distances_wide(struct silhouette *s, int64_t task)
{
    sum_distances(s, task);
}
#endif

static void task_run(void *context, int64_t task)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2")) {
        sum_distances_wide(context, task);
        return;
    }
#endif
    sum_distances(context, task);
}

static double value_of(const struct silhouette *s, int64_t i)
{
    const int32_t own = s->labels[i];
    const double *sums = s->sums + i * s->k;
    double nearest = QN_INF;
    if (s->sizes[own] < 2) return 0;
    for (int32_t c = 0; c < s->k; c++) {
        if (c == own || s->sizes[c] == 0) continue;
        nearest = fmin(nearest, sums[c] / (double)s->sizes[c]);
    }
    const double inner = sums[own] / (double)(s->sizes[own] - 1), most = fmax(inner, nearest);
    return most > 0 ? (nearest - inner) / most : 0;
}

/* Knuth's selection sampling: rows in order of the table. */
static void take_sample(struct silhouette *s, const qn_matrix *rows, const int32_t *labels,
                        uint64_t seed)
{
    qn_rng rng;
    qn_rng_init(&rng, seed, 0x73696c68);
    int64_t taken = 0;
    for (int64_t row = 0; row < rows->n_rows && taken < s->n; row++) {
        if (qn_rng_below(&rng, rows->n_rows - row) >= s->n - taken) continue;
        for (int64_t f = 0; f < s->d; f++) {
            s->x[taken * s->d + f] = rows->dense[f * rows->stride + row];
        }
        s->labels[taken] = labels[row];
        s->sizes[labels[row]]++;
        taken++;
    }
}

qn_status qn_silhouette(const qn_matrix *rows, const int32_t *labels, int32_t k, uint64_t seed,
                        qn_pool *pool, double *out, qn_error *err)
{
    struct silhouette s = {.n = rows->n_rows < QN_SILHOUETTE_ROWS_MAX ? rows->n_rows
                                                                      : QN_SILHOUETTE_ROWS_MAX,
                           .d = rows->n_dense,
                           .k = k};
    s.x = qn_alloc_aligned(s.n * s.d, sizeof *s.x);
    s.labels = qn_alloc_array(s.n, sizeof *s.labels);
    s.sizes = qn_alloc_array(k, sizeof *s.sizes);
    s.sums = qn_alloc_array(s.n * k, sizeof *s.sums);
    const bool complete = s.x && s.labels && s.sizes && s.sums;
    int32_t n_clusters = 0;
    double sum = 0;
    if (complete) {
        take_sample(&s, rows, labels, seed);
        qn_pool_run(pool, (s.n + TASK_ROWS - 1) / TASK_ROWS, task_run, &s);
    }
    for (int32_t c = 0; complete && c < k; c++) {
        n_clusters += s.sizes[c] > 0;
    }
    for (int64_t i = 0; complete && n_clusters > 1 && i < s.n; i++) {
        sum += value_of(&s, i);
    }
    *out = n_clusters > 1 ? sum / (double)s.n : QN_NA;
    qn_free(s.x);
    qn_free(s.labels);
    qn_free(s.sizes);
    qn_free(s.sums);
    return complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for the silhouette");
}
