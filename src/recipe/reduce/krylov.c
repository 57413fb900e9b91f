/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/reduce/krylov.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "linalg/kernels.h"
#include "linalg/shared_columns.h"
#include "linalg/symmetric_eigen.h"

#include <math.h>
#include <string.h>

/* Vectors kept beyond those wanted; of a block; the basis, in terms of those kept. */
enum { SPARE = 10, STEP = 4, POWERS = 3, ROUNDS_MAX = 200, CHUNK = 512 };
static const double risen = 1e-9;        /* by which a value rises that was not the right one */
static const double residual_max = 1e-6; /* of a value, in units of the least that is wanted */
static const double dependent = 1e-10;   /* what is left of a unit vector that others span */

struct krylov {
    const qn_row_operator *op; /* rows, or what follows */
    qn_shared_columns shared;  /* of the rows' sparse columns, where S = AA' */
    qn_matrix shared_rows;     /* of those, borrowed */
    qn_row_operator shared_op;
    bool by_rows;               /* vectors are of rows: S = AA' */
    int64_t m, k, kept, room;   /* vectors wanted, kept at a restart, of the basis */
    int64_t n, n_last;          /* in the basis; of them in its last block */
    int64_t n_new;              /* behind the basis, about to join */
    double *basis, *images;     /* room × m: q, and S q */
    double *x, *y, *between;    /* blocks, row after row: m × STEP twice, and the larger side */
    double *shares;             /* room × STEP: of the basis in new vectors */
    double *ritz, *ritz_images; /* kept × m */
    double *projected;          /* room × room */
    double *values, *before;    /* room: the present ones, and those of the last round */
    qn_rng rng;
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
    const double *alone = s->shared.alone;
    for (int64_t j = 0; j < n; j++) {
        double *image = s->images + (first + j) * s->m;
        for (int64_t i = 0; i < s->m; i++) {
            image[i] = s->y[i * n + j] + (alone ? alone[i] * s->x[i * n + j] : 0);
        }
    }
    return complete;
}

/* Words of one text are left out of the products: their squares are on the diagonal of S. With
 * means they would not be. */
static qn_status share_columns(struct krylov *s, qn_error *err)
{
    const qn_matrix *rows = s->op->rows;
    if (!s->by_rows || s->op->means || rows->n_sparse == 0) return QN_OK;
    const qn_sparse_rows sparse = {.n_rows = rows->n_rows,
                                   .n_cols = rows->n_sparse,
                                   .starts = rows->sparse_starts,
                                   .cols = rows->sparse_cols,
                                   .values = rows->sparse_values};
    QN_TRY(qn_shared_columns_init(&s->shared, &sparse, err));
    s->shared_rows = *rows;
    s->shared_rows.n_sparse = s->shared.n_cols;
    s->shared_rows.sparse_starts = s->shared.starts;
    s->shared_rows.sparse_cols = s->shared.cols;
    s->shared_rows.sparse_values = s->shared.values;
    QN_TRY(qn_row_operator_init(&s->shared_op, &s->shared_rows, NULL, s->op->pool, err));
    s->op = &s->shared_op;
    return QN_OK;
}

/* Shares of a vector of the basis in the new ones, taken off. */
static void share_task(void *context, int64_t i)
{
    const struct krylov *s = context;
    for (int64_t j = 0; j < s->n_new; j++) {
        s->shares[i * STEP + j] = -qn_dot(s->basis + i * s->m, s->basis + (s->n + j) * s->m, s->m);
    }
}

/* Some elements of the new ones. */
static void part_task(void *context, int64_t chunk)
{
    const struct krylov *s = context;
    const int64_t first = chunk * CHUNK, rest = s->m - first, n = rest < CHUNK ? rest : CHUNK;
    for (int64_t j = 0; j < s->n_new; j++) {
        qn_add_combination(s->shares + j, STEP, s->basis + first, s->m, s->n,
                           s->basis + (s->n + j) * s->m + first, n);
    }
}

/* Takes off the new vectors, of length 1 first, what the basis has of them; twice is enough, and
 * once where most of each is left (Parlett 1998, 6.9). */
static void part(struct krylov *s)
{
    for (int64_t j = 0; j < s->n_new; j++) {
        double *v = s->basis + (s->n + j) * s->m;
        const double norm = sqrt(qn_dot(v, v, s->m));
        for (int64_t i = 0; i < s->m && norm > 0; i++) {
            v[i] /= norm;
        }
    }
    for (int round = 0; round < 2; round++) {
        double least = 1;
        qn_pool_run(s->op->pool, s->n, share_task, s);
        qn_pool_run(s->op->pool, (s->m + CHUNK - 1) / CHUNK, part_task, s);
        for (int64_t j = 0; j < s->n_new; j++) {
            const double *v = s->basis + (s->n + j) * s->m;
            least = fmin(least, qn_dot(v, v, s->m));
        }
        if (least > 0.5) break;
    }
}

/* The n vectors behind the basis join it, at right angles and of length 1, but for those that
 * others span; returns how many did. */
static int64_t join(struct krylov *s, int64_t n)
{
    const int64_t first = s->n;
    s->n_new = n;
    part(s);
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

/* Vectors of a block that still have room. */
static int64_t block_of(const struct krylov *s, int64_t n)
{
    return n < s->room - s->n ? n : s->room - s->n;
}

/* A block of random vectors joins the basis. */
static bool begin_anew(struct krylov *s)
{
    const int64_t first = s->n, n = block_of(s, STEP);
    for (int64_t i = 0; i < n * s->m; i++) {
        s->basis[first * s->m + i] = qn_rng_normal(&s->rng);
    }
    s->n_last = join(s, n);
    return multiply(s, first, s->n_last);
}

/* Powers of S on the last block until the basis is full; where nothing new comes, on new ones. */
static bool grow(struct krylov *s)
{
    while (s->n < s->room) {
        const int64_t n = block_of(s, s->n_last), first = s->n;
        memcpy(s->basis + first * s->m, s->images + (first - n) * s->m,
               (size_t)(n * s->m) * sizeof *s->basis);
        s->n_last = join(s, n);
        if (s->n_last == 0 ? !begin_anew(s) : !multiply(s, first, s->n_last)) return false;
        if (s->n_last == 0) break;
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
    for (int64_t i = 0; i < s->n && i < s->kept; i++) {
        double *vector = s->ritz + i * s->m + first, *image = s->ritz_images + i * s->m + first;
        memset(vector, 0, (size_t)n * sizeof *vector);
        memset(image, 0, (size_t)n * sizeof *image);
        const double *shares = s->projected + i * s->n;
        qn_add_combination(shares, 1, s->basis + first, s->m, s->n, vector, n);
        qn_add_combination(shares, 1, s->images + first, s->m, s->n, image, n);
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

/* Rayleigh and Ritz: the best of the basis, which it begins anew with; what is not right in them
 * all is in one block of directions, so the powers go on from the last of them. */
static qn_status restart(struct krylov *s, qn_error *err)
{
    const int64_t n = s->n < s->kept ? s->n : s->kept;
    memcpy(s->before, s->values, (size_t)s->k * sizeof *s->before);
    qn_pool_run(s->op->pool, s->n, project_task, s);
    QN_TRY(qn_symmetric_eigen(s->projected, s->n, s->op->pool, s->values, err));
    qn_pool_run(s->op->pool, (s->m + CHUNK - 1) / CHUNK, ritz_task, s);
    memcpy(s->basis, s->ritz, (size_t)(n * s->m) * sizeof *s->basis);
    memcpy(s->images, s->ritz_images, (size_t)(n * s->m) * sizeof *s->images);
    s->n = n;
    s->n_last = n < STEP ? n : STEP;
    return QN_OK;
}

static bool has_risen(const struct krylov *s)
{
    for (int64_t i = 0; i < s->k; i++) {
        if (s->values[i] > s->before[i] + risen * s->values[0]) return true;
    }
    return false;
}

/* One block has no more than its number of vectors of a value that comes several times. So vectors
 * that have converged are kept, and another random block is to find none better. */
static qn_status iterate(struct krylov *s, const qn_stop *stop, qn_error *err)
{
    bool is_trial = false;
    if (!begin_anew(s)) return no_memory(err);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (qn_stop_requested(stop)) {
            return qn_fail(err, QN_ERR_INTERRUPTED,
                           "told to stop before the components were found");
        }
        if (!grow(s)) return no_memory(err);
        QN_TRY(restart(s, err));
        const bool converged = has_converged(s);
        if (converged && is_trial && !has_risen(s)) break;
        is_trial = converged;
        if (is_trial && !begin_anew(s)) return no_memory(err);
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
        .op = op, .by_rows = by_rows, .m = m, .k = k, .kept = k + SPARE < m ? k + SPARE : m};
    s.room = s.kept * POWERS < m ? s.kept * POWERS : m;
    qn_rng_init(&s.rng, seed, 0x6b72796c);
    s.basis = qn_alloc_aligned(s.room * m, sizeof *s.basis);
    s.images = qn_alloc_aligned(s.room * m, sizeof *s.images);
    s.x = qn_alloc_aligned(STEP * m, sizeof *s.x);
    s.y = qn_alloc_aligned(STEP * m, sizeof *s.y);
    s.between = qn_alloc_aligned(STEP * larger, sizeof *s.between);
    s.ritz = qn_alloc_aligned(s.kept * m, sizeof *s.ritz);
    s.ritz_images = qn_alloc_aligned(s.kept * m, sizeof *s.ritz_images);
    s.projected = qn_alloc_aligned(s.room * s.room, sizeof *s.projected);
    s.values = qn_alloc_array(s.room, sizeof *s.values);
    s.before = qn_alloc_array(s.room, sizeof *s.before);
    s.shares = qn_alloc_array(s.room * STEP, sizeof *s.shares);
    void *const all[] = {s.basis,       s.images,    s.x,      s.y,      s.between, s.ritz,
                         s.ritz_images, s.projected, s.values, s.before, s.shares};
    qn_status status = QN_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i]) status = no_memory(err);
    }
    if (status == QN_OK) status = share_columns(&s, err);
    if (status == QN_OK) status = iterate(&s, stop, err);
    for (int64_t i = 0; i < k && status == QN_OK; i++) {
        values[i] = i < s.n ? s.values[i] : 0;
        memcpy(vectors + i * m, s.ritz + i * m, (size_t)m * sizeof *vectors);
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        qn_free(all[i]);
    }
    qn_row_operator_release(&s.shared_op);
    qn_shared_columns_release(&s.shared);
    return status;
}
