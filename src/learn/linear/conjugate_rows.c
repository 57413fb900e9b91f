/* SPDX-License-Identifier: Apache-2.0 */
/* With weights W, penalty times total weight lambda and K = X X' (without a free intercept),
 *     point = X' W^1/2 u,   (W^1/2 K W^1/2 + lambda) u = W^1/2 (y - b),
 * and a free b makes u orthogonal to the roots of the weights. An iterate's objective is above the
 * least by at most half its residual's square. */
#include "learn/linear/conjugate.h"

#include "base/alloc.h"
#include "linalg/kernels.h"

#include <math.h>

enum { N_ROW_ARRAYS = 9, PARALLEL_VALUES_MIN = 1 << 20 };

struct rows {
    const qn_glm *glm;
    qn_shared_columns shared;
    qn_design design; /* without the columns that one row has alone */
    double lambda;
    bool is_free;     /* the intercept */
    double *roots;    /* n_rows, like the others: of the weights */
    double *diagonal; /* of the system */
    double *u, *right;
    double *residual, *scaled, *direction, *image;
    double *weighed; /* roots times a direction */
    double *sums;    /* of the columns shared */
};

static bool allocate(struct rows *r, double **memory)
{
    const int64_t n = r->glm->design->n_rows;
    *memory = qn_alloc_array(N_ROW_ARRAYS * n, sizeof **memory);
    if (!*memory) return false;
    double **const arrays[N_ROW_ARRAYS] = {&r->u,         &r->right,    &r->roots,
                                           &r->diagonal,  &r->residual, &r->scaled,
                                           &r->direction, &r->image,    &r->weighed};
    for (int64_t a = 0; a < N_ROW_ARRAYS; a++) {
        *arrays[a] = *memory + a * n;
    }
    return true;
}

/* The system's diagonal, and its right side as the residual of u = 0. */
static void begin(struct rows *r)
{
    const qn_design *x = &r->design;
    for (int64_t i = 0; i < x->n_rows; i++) {
        const double w = qn_glm_weight(r->glm, i), *dense = x->dense + i * x->width;
        double square = qn_dot(dense, dense, x->width) + r->shared.alone[i] - (r->is_free ? 1 : 0);
        for (int64_t j = x->starts[i]; j < x->starts[i + 1]; j++) {
            square += (double)x->values[j] * (double)x->values[j];
        }
        r->roots[i] = sqrt(w);
        r->diagonal[i] = w * square + r->lambda;
        r->residual[i] = r->right[i] = r->roots[i] * r->glm->target[i];
    }
}

/* The pool, where a product is worth waking it. */
static qn_pool *pool_of(const struct rows *r)
{
    const int64_t n = r->design.n_rows;
    return r->design.starts[n] + n * r->design.width < PARALLEL_VALUES_MIN ? NULL : r->glm->pool;
}

/* image = (W^1/2 K W^1/2 + lambda) direction. */
static qn_status apply(struct rows *r, qn_error *err)
{
    const int64_t n = r->design.n_rows;
    for (int64_t i = 0; i < n; i++) {
        r->weighed[i] = r->roots[i] * r->direction[i];
    }
    QN_TRY(qn_design_transposed(&r->design, r->weighed, pool_of(r), r->sums, err));
    if (r->is_free) r->sums[r->glm->design->intercept] = 0;
    qn_design_multiply(&r->design, r->sums, pool_of(r), r->image);
    for (int64_t i = 0; i < n; i++) {
        r->image[i] = r->roots[i] * (r->image[i] + r->shared.alone[i] * r->weighed[i]) +
                      r->lambda * r->direction[i];
    }
    return QN_OK;
}

/* scaled = residual / diagonal, orthogonal to the roots if the intercept is free; returns its
 * product with the residual. */
static double scale(struct rows *r)
{
    const int64_t n = r->design.n_rows;
    double along = 0, length = 0;
    for (int64_t i = 0; i < n; i++) {
        r->scaled[i] = r->residual[i] / r->diagonal[i];
        along += r->roots[i] * r->scaled[i];
        length += r->roots[i] * (r->roots[i] / r->diagonal[i]);
    }
    for (int64_t i = 0; i < n && r->is_free && length > 0; i++) {
        r->scaled[i] -= along / length * (r->roots[i] / r->diagonal[i]);
    }
    return qn_dot(r->scaled, r->residual, n);
}

/* Half the square of the residual, what a free intercept takes up left out. */
static double excess_of(const struct rows *r)
{
    const int64_t n = r->design.n_rows;
    const double along = qn_dot(r->roots, r->residual, n), total = r->glm->total;
    return 0.5 * (qn_dot(r->residual, r->residual, n) - (r->is_free ? along * along / total : 0));
}

/* Leaves W^1/2 u in `weighed`. */
static qn_status iterate(struct rows *r, int64_t *n_iterations, qn_error *err)
{
    const int64_t n = r->design.n_rows;
    double product = scale(r), ratio = 0;
    while (*n_iterations < r->glm->max_iter && !qn_stop_requested(r->glm->stop)) {
        const double value = 0.5 * r->lambda * qn_dot(r->u, r->right, n);
        if (excess_of(r) <= r->glm->tol * value || !(product > 0)) break;
        for (int64_t i = 0; i < n; i++) {
            r->direction[i] = r->scaled[i] + ratio * r->direction[i];
        }
        QN_TRY(apply(r, err));
        const double step = product / qn_dot(r->direction, r->image, n);
        qn_add_scaled(step, r->direction, r->u, n);
        qn_add_scaled(-step, r->image, r->residual, n);
        ++*n_iterations;
        const double next = scale(r);
        ratio = next / product;
        product = next;
    }
    for (int64_t i = 0; i < n; i++) {
        r->weighed[i] = r->roots[i] * r->u[i];
    }
    return QN_OK;
}

/* The point of all columns; a free intercept is the mean of what they leave. */
static qn_status write_point(struct rows *r, double *point, qn_error *err)
{
    const qn_glm *glm = r->glm;
    const qn_design *x = glm->design;
    QN_TRY(qn_design_transposed(x, r->weighed, glm->pool, point, err));
    if (!r->is_free) return QN_OK;
    double sum = 0;
    point[x->intercept] = 0;
    qn_design_multiply(x, point, glm->pool, r->image);
    for (int64_t i = 0; i < x->n_rows; i++) {
        sum += qn_glm_weight(glm, i) * (glm->target[i] - r->image[i]);
    }
    point[x->intercept] = sum / glm->total;
    return QN_OK;
}

qn_status qn_conjugate_minimise_rows(const qn_glm *glm, double *point, int64_t *n_iterations,
                                     qn_error *err)
{
    struct rows r = {
        .glm = glm, .lambda = glm->penalty * glm->total, .is_free = !glm->penalises_intercept};
    double *memory = NULL;
    QN_TRY(qn_design_share(glm->design, &r.shared, &r.design, err));
    r.sums = qn_alloc_array(r.design.n_cols, sizeof *r.sums);
    qn_status status = QN_OK;
    if (r.sums && allocate(&r, &memory)) {
        begin(&r);
        status = iterate(&r, n_iterations, err);
        if (status == QN_OK) status = write_point(&r, point, err);
    } else {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    qn_shared_columns_release(&r.shared);
    qn_free(r.sums);
    qn_free(memory);
    return status;
}
