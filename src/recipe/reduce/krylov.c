/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/reduce/krylov.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "linalg/kernels.h"
#include "linalg/symmetric_eigen.h"

#include <math.h>
#include <string.h>

enum { SPARE = 10, POWERS = 4, ROUNDS_MAX = 50, CHUNK = 512 };
static const double residual_max = 1e-6; /* of a value, in units of the least that is wanted */
static const double dependent = 1e-10;   /* what is left of a unit vector that others span */

struct krylov {
    const qn_row_operator *op;
    bool by_rows;               /* vectors are of rows: S = AA' */
    int64_t m, k, block, room;  /* vectors of a block, of the basis */
    int64_t n, n_last;          /* in the basis; of them in its last block */
    double *basis, *images;     /* room × m: q, and S q */
    double *x, *y, *between;    /* blocks, row after row: m × block twice, and the larger side */
    double *ritz, *ritz_images; /* block × m */
    double *projected;          /* room × room */
    double *values;             /* room */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the components");
}

/* images of the basis' vectors first … first + n - 1. */
static bool multiply(struct krylov *s, int64_t first, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < s->m; i++) {
            s->x[i * n + j] = s->basis[(first + j) * s->m + i];
        }
    }
    const bool complete = s->by_rows
                              ? qn_row_operator_apply_transposed(s->op, s->x, n, s->between) &&
                                    qn_row_operator_apply(s->op, s->between, n, s->y)
                              : qn_row_operator_apply(s->op, s->x, n, s->between) &&
                                    qn_row_operator_apply_transposed(s->op, s->between, n, s->y);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < s->m; i++) {
            s->images[(first + j) * s->m + i] = s->y[i * n + j];
        }
    }
    return complete;
}

/* Takes off a new vector, of length 1 first, what the basis has of it; twice is enough, and once
 * where most of it is left (Parlett 1998, 6.9). */
static void part_task(void *context, int64_t j)
{
    const struct krylov *s = context;
    double *v = s->basis + (s->n + j) * s->m;
    const double norm = sqrt(qn_dot(v, v, s->m));
    for (int64_t i = 0; i < s->m && norm > 0; i++) {
        v[i] /= norm;
    }
    for (int round = 0; round < 2 && qn_dot(v, v, s->m) < (round == 0 ? 2 : 0.5); round++) {
        for (int64_t i = 0; i < s->n; i++) {
            const double *q = s->basis + i * s->m;
            qn_add_scaled(-qn_dot(q, v, s->m), q, v, s->m);
        }
    }
}

/* The n vectors behind the basis join it, at right angles and of length 1, but for those that
 * others span; returns how many did. */
static int64_t join(struct krylov *s, int64_t n)
{
    qn_pool_run(s->op->pool, n, part_task, s);
    const int64_t first = s->n;
    for (int64_t j = 0; j < n; j++) {
        double *v = s->basis + (first + j) * s->m, *to = s->basis + s->n * s->m;
        for (int round = 0; round < 2; round++) {
            for (int64_t i = first; i < s->n; i++) {
                const double *q = s->basis + i * s->m;
                qn_add_scaled(-qn_dot(q, v, s->m), q, v, s->m);
            }
        }
        const double norm = sqrt(qn_dot(v, v, s->m));
        if (!(norm > dependent)) continue;
        for (int64_t i = 0; i < s->m; i++) {
            to[i] = v[i] / norm;
        }
        s->n++;
    }
    return s->n - first;
}

/* Powers of S on the last block until the basis is full, or nothing new comes. */
static bool grow(struct krylov *s)
{
    while (s->n_last > 0 && s->n + s->n_last <= s->room) {
        const int64_t n = s->n_last;
        memcpy(s->basis + s->n * s->m, s->images + (s->n - n) * s->m,
               (size_t)(n * s->m) * sizeof *s->basis);
        const int64_t first = s->n;
        s->n_last = join(s, n);
        if (s->n_last > 0 && !multiply(s, first, s->n_last)) return false;
    }
    return true;
}

static void project_task(void *context, int64_t i)
{
    const struct krylov *s = context;
    for (int64_t j = 0; j <= i; j++) {
        s->projected[i * s->n + j] = qn_dot(s->basis + i * s->m, s->images + j * s->m, s->m);
    }
}

/* Some elements of all vectors and their images: those of the basis stay in cache meanwhile. */
static void ritz_task(void *context, int64_t chunk)
{
    const struct krylov *s = context;
    const int64_t first = chunk * CHUNK;
    const int64_t n = s->m - first < CHUNK ? s->m - first : CHUNK;
    for (int64_t i = 0; i < s->n && i < s->block; i++) {
        double *vector = s->ritz + i * s->m + first, *image = s->ritz_images + i * s->m + first;
        memset(vector, 0, (size_t)n * sizeof *vector);
        memset(image, 0, (size_t)n * sizeof *image);
        for (int64_t j = 0; j < s->n; j++) {
            const double share = s->projected[i * s->n + j];
            qn_add_scaled(share, s->basis + j * s->m + first, vector, n);
            qn_add_scaled(share, s->images + j * s->m + first, image, n);
        }
    }
}

/* Whether the wanted vectors are eigenvectors, near enough. */
static bool has_converged(const struct krylov *s)
{
    const double least = s->values[s->k - 1];
    for (int64_t i = 0; i < s->k; i++) {
        const double *v = s->ritz + i * s->m, *image = s->ritz_images + i * s->m;
        double sum = 0;
        for (int64_t r = 0; r < s->m; r++) {
            const double rest = image[r] - s->values[i] * v[r];
            sum += rest * rest;
        }
        if (sqrt(sum) > residual_max * least + 1e-13 * s->values[0]) return false;
    }
    return true;
}

/* Rayleigh and Ritz: the best of the basis, which it begins anew with. */
static qn_status restart(struct krylov *s, qn_error *err)
{
    const int64_t n = s->n < s->block ? s->n : s->block;
    qn_pool_run(s->op->pool, s->n, project_task, s);
    QN_TRY(qn_symmetric_eigen(s->projected, s->n, s->op->pool, s->values, err));
    qn_pool_run(s->op->pool, (s->m + CHUNK - 1) / CHUNK, ritz_task, s);
    memcpy(s->basis, s->ritz, (size_t)(n * s->m) * sizeof *s->basis);
    memcpy(s->images, s->ritz_images, (size_t)(n * s->m) * sizeof *s->images);
    s->n = s->n_last = n;
    return QN_OK;
}

static qn_status iterate(struct krylov *s, uint64_t seed, const qn_stop *stop, qn_error *err)
{
    qn_rng rng;
    qn_rng_init(&rng, seed, 0x6b72796c);
    for (int64_t i = 0; i < s->block * s->m; i++) {
        s->basis[i] = qn_rng_normal(&rng);
    }
    s->n_last = join(s, s->block);
    if (!multiply(s, 0, s->n_last)) return no_memory(err);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (qn_stop_requested(stop)) {
            return qn_fail(err, QN_ERR_INTERRUPTED,
                           "told to stop before the components were found");
        }
        if (!grow(s)) return no_memory(err);
        QN_TRY(restart(s, err));
        if (has_converged(s)) break;
    }
    return QN_OK;
}

qn_status qn_krylov_largest(const qn_row_operator *op, int32_t k, uint64_t seed,
                            const qn_stop *stop, double *values, double *vectors, qn_error *err)
{
    const bool by_rows = op->n_rows < op->n_features;
    const int64_t m = by_rows ? op->n_rows : op->n_features;
    const int64_t larger = by_rows ? op->n_features : op->n_rows;
    struct krylov s = {
        .op = op, .by_rows = by_rows, .m = m, .k = k, .block = k + SPARE < m ? k + SPARE : m};
    s.room = s.block * POWERS < m ? s.block * POWERS : m;
    s.basis = qn_alloc_aligned(s.room * m, sizeof *s.basis);
    s.images = qn_alloc_aligned(s.room * m, sizeof *s.images);
    s.x = qn_alloc_aligned(s.block * m, sizeof *s.x);
    s.y = qn_alloc_aligned(s.block * m, sizeof *s.y);
    s.between = qn_alloc_aligned(s.block * larger, sizeof *s.between);
    s.ritz = qn_alloc_aligned(s.block * m, sizeof *s.ritz);
    s.ritz_images = qn_alloc_aligned(s.block * m, sizeof *s.ritz_images);
    s.projected = qn_alloc_aligned(s.room * s.room, sizeof *s.projected);
    s.values = qn_alloc_array(s.room, sizeof *s.values);
    void *const all[] = {s.basis, s.images,      s.x,         s.y,     s.between,
                         s.ritz,  s.ritz_images, s.projected, s.values};
    qn_status status = QN_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i]) status = no_memory(err);
    }
    if (status == QN_OK) status = iterate(&s, seed, stop, err);
    for (int64_t i = 0; i < k && status == QN_OK; i++) {
        values[i] = i < s.n ? s.values[i] : 0;
        memcpy(vectors + i * m, s.ritz + i * m, (size_t)m * sizeof *vectors);
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        qn_free(all[i]);
    }
    return status;
}
