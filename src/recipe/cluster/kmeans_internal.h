/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of k-means share: the rows as floats, in fixed blocks whose sums are added in
 * order, and the centres of the moment. */
#ifndef QN_RECIPE_CLUSTER_KMEANS_INTERNAL_H
#define QN_RECIPE_CLUSTER_KMEANS_INTERNAL_H

#include "recipe/cluster/kmeans.h"

#include "base/rng.h"

/* Blocks are few enough to keep the sums of each. */
enum { QN_KMEANS_BLOCKS_MAX = 64, QN_KMEANS_BLOCK_ROWS_MIN = 1024 };

enum { QN_KMEANS_BEGINNINGS = 10 };

typedef struct qn_kmeans {
    const qn_kmeans_request *request;
    int64_t n, d;
    int32_t k;
    int64_t n_blocks, block_rows;
    float *x;              /* n × d, centred */
    float *squares;        /* n: |x|^2 */
    double *column_means;  /* d */
    const double *weights; /* n, or NULL */
    double total, tolerance;
    /* Of one beginning: */
    double *centres;    /* k × d, centred */
    float *panels;      /* of -2 centres', d × k: see linalg/gemm.h */
    float *start;       /* k: |c|^2 */
    int32_t *labels;    /* n; -1: none yet */
    float *nearest;     /* n: squared distance to the centre of `labels` */
    double *sums;       /* n_blocks × k × (d + 1): rows of each centre, and their weight */
    int64_t *n_changed; /* n_blocks */
    double *inertias;   /* n_blocks */
} qn_kmeans;

static inline double qn_kmeans_weight(const qn_kmeans *m, int64_t row)
{
    return m->weights ? m->weights[row] : 1;
}

/* Writes m->centres. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_kmeans_begin(qn_kmeans *m, qn_rng *rng, qn_error *err);

/* Lays the centres out for products. */
void qn_kmeans_pack(qn_kmeans *m);

/* Gives rows first … first + n_rows - 1 their nearest centre, the first of equals: labels[i] and
 * squared distances nearest[i], i from 0. */
void qn_kmeans_assign(const qn_kmeans *m, int64_t first, int64_t n_rows, int32_t *labels,
                      float *nearest);

/* Sets m->centres by mini-batches; returns their number. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_kmeans_run_batches(qn_kmeans *m, uint64_t seed, int64_t *n_iterations, qn_error *err);

/* Sets m->centres to those of a sample of about n_rows rows, and seen[c] to the weight of its rows
 * next to centre c. Rows without weight are left out. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_kmeans_begin_by_sample(qn_kmeans *m, int64_t n_rows, uint64_t seed, double *seen,
                                    qn_error *err);

#endif
