/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/reduce/decompose.h"

#include "base/alloc.h"
#include "base/number.h"
#include "linalg/cross_product.h"
#include "linalg/kernels.h"
#include "linalg/symmetric_eigen.h"
#include "recipe/reduce/krylov.h"
#include "recipe/reduce/row_operator.h"

#include <string.h>

enum { AT_ONCE = 64, FIRST_GUESS = 32 };
static const double rank_tolerance = 1e-13; /* squared singular values below this are rounding */

struct decomposing {
    const qn_decompose_request *request;
    qn_decomposition *out;
    qn_row_operator op;
    int64_t n, p, m; /* rows, features, the smaller */
    bool by_rows;    /* vectors are of rows: n < p */
    double *means;   /* p */
    double *squares; /* of dense columns: sum of squares about the mean */
    double *values;  /* squared singular values, decreasing */
    double *vectors; /* n_found × m */
    int64_t n_found;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the components");
}

void qn_decomposition_release(qn_decomposition *d)
{
    qn_free(d->components);
    qn_free(d->means);
    qn_free(d->singular);
    qn_free(d->variance);
    *d = (qn_decomposition){0};
}

/* Sum of (values - mean)^2 in eight fixed lanes, as qn_sum() has them. */
static double squares_about(const double *values, double mean, int64_t n)
{
    double lanes[8] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int lane = 0; lane < 8; lane++) {
            const double d = values[i + lane] - mean;
            lanes[lane] += d * d;
        }
    }
    for (int lane = 0; i < n; i++, lane++) {
        lanes[lane] += (values[i] - mean) * (values[i] - mean);
    }
    for (int lane = 0; lane < 8; lane++) {
        sum += lanes[lane];
    }
    return sum;
}

/* Whether the matrix to be decomposed has the columns' squares on its diagonal. */
static bool has_squares(const struct decomposing *d)
{
    return d->out->exact && d->request->centre && !d->by_rows && d->request->rows->n_sparse == 0;
}

static void measure_dense(void *context, int64_t f)
{
    struct decomposing *d = context;
    const qn_matrix *x = d->request->rows;
    const double *values = x->dense + f * x->stride;
    d->means[f] = qn_sum(values, d->n) / (double)d->n;
    if (!has_squares(d)) d->squares[f] = squares_about(values, d->means[f], d->n);
}

static qn_status set_total(struct decomposing *d, double total, qn_error *err)
{
    d->out->total_variance = total;
    if (isfinite(total) && total > 0) return QN_OK;
    return qn_fail(err, QN_ERR_DATA,
                   total == 0 ? "no column varies: there is nothing to reduce"
                              : "a value is missing or infinite");
}

/* Means and, unless the decomposed matrix tells it, the sum of variances; each divided by rows, or
 * by rows - 1 when centred. */
static qn_status measure_columns(struct decomposing *d, qn_error *err)
{
    const qn_matrix *x = d->request->rows;
    const double divisor = (double)(d->request->centre ? d->n - 1 : d->n);
    double total = 0;
    qn_pool_run(d->request->pool, x->n_dense, measure_dense, d);
    if (has_squares(d)) return QN_OK;
    for (int64_t f = 0; f < x->n_dense; f++) {
        total += d->squares[f] / divisor;
    }
    for (int64_t c = 0; c < x->n_sparse; c++) {
        const int64_t first = d->op.col_starts[c], end = d->op.col_starts[c + 1];
        double sum = 0, squares = 0;
        for (int64_t i = first; i < end; i++) {
            sum += (double)d->op.col_values[i];
        }
        const double mean = d->means[x->n_dense + c] = sum / (double)d->n;
        for (int64_t i = first; i < end; i++) {
            squares += ((double)d->op.col_values[i] - mean) * ((double)d->op.col_values[i] - mean);
        }
        total += (squares + (double)(d->n - (end - first)) * mean * mean) / divisor;
    }
    return set_total(d, total, err);
}

/* S = AA' or A'A by products with unit vectors, some at a time: any rows. */
static bool square_by_products(struct decomposing *d, double *square)
{
    const int64_t m = d->m;
    const bool by_rows = d->by_rows;
    double *unit = qn_alloc_aligned(m * AT_ONCE, sizeof *unit);
    double *image = qn_alloc_aligned(m * AT_ONCE, sizeof *image);
    double *between = qn_alloc_aligned((by_rows ? d->p : d->n) * AT_ONCE, sizeof *between);
    bool complete = unit && image && between;
    for (int64_t first = 0; first < m && complete; first += AT_ONCE) {
        const int64_t width = m - first < AT_ONCE ? m - first : AT_ONCE;
        memset(unit, 0, (size_t)(m * width) * sizeof *unit);
        for (int64_t j = 0; j < width; j++) {
            unit[(first + j) * width + j] = 1;
        }
        complete = by_rows ? qn_row_operator_apply_transposed(&d->op, unit, width, between) &&
                                 qn_row_operator_apply(&d->op, between, width, image)
                           : qn_row_operator_apply(&d->op, unit, width, between) &&
                                 qn_row_operator_apply_transposed(&d->op, between, width, image);
        for (int64_t i = 0; i < m && complete; i++) {
            memcpy(square + i * m + first, image + i * width, (size_t)width * sizeof *square);
        }
    }
    qn_free(unit);
    qn_free(image);
    qn_free(between);
    return complete;
}

/* AA' of few dense rows: they are laid out as columns first, less the means. */
static bool square_of_rows(struct decomposing *d, double *square)
{
    const qn_matrix *x = d->request->rows;
    double *turned = qn_alloc_aligned(d->n * d->p, sizeof *turned);
    for (int64_t f = 0; turned && f < d->p; f++) {
        const double mean = d->request->centre ? d->means[f] : 0;
        for (int64_t i = 0; i < d->n; i++) {
            turned[i * d->p + f] = x->dense[f * x->stride + i] - mean;
        }
    }
    const bool complete =
        turned && qn_cross_product(turned, d->p, d->p, d->n, NULL, d->request->pool, square);
    qn_free(turned);
    return complete;
}

static qn_status find_exactly(struct decomposing *d, qn_error *err)
{
    const qn_matrix *x = d->request->rows;
    bool complete = true;
    d->values = qn_alloc_array(d->m, sizeof *d->values);
    d->vectors = qn_alloc_aligned(d->m * d->m, sizeof *d->vectors);
    if (!d->values || !d->vectors) return no_memory(err);
    if (x->n_sparse > 0) {
        complete = square_by_products(d, d->vectors);
    } else if (!d->by_rows) {
        complete =
            qn_cross_product(x->dense, x->stride, d->n, d->p, d->request->centre ? d->means : NULL,
                             d->request->pool, d->vectors);
    } else {
        complete = square_of_rows(d, d->vectors);
    }
    if (!complete) return no_memory(err);
    if (has_squares(d)) {
        double total = 0;
        for (int64_t f = 0; f < d->m; f++) {
            total += d->vectors[f * d->m + f] / (double)(d->n - 1);
        }
        QN_TRY(set_total(d, total, err));
    }
    d->n_found = d->m;
    return qn_symmetric_eigen(d->vectors, d->m, d->request->pool, d->values, err);
}

static qn_status find_largest(struct decomposing *d, int64_t k, qn_error *err)
{
    qn_free(d->values);
    qn_free(d->vectors);
    d->values = qn_alloc_array(k, sizeof *d->values);
    d->vectors = qn_alloc_aligned(k * d->m, sizeof *d->vectors);
    if (!d->values || !d->vectors) return no_memory(err);
    d->n_found = k;
    return qn_krylov_largest(&d->op, (int32_t)k, d->request->seed, d->request->stop, d->values,
                             d->vectors, err);
}

static void orient(double *component, int64_t p)
{
    int64_t largest = 0;
    for (int64_t f = 1; f < p; f++) {
        if (fabs(component[f]) > fabs(component[largest])) largest = f;
    }
    if (component[largest] >= 0) return;
    for (int64_t f = 0; f < p; f++) {
        component[f] = -component[f];
    }
}

/* V' = S^-1 U' A, some rows of it at a time, where the vectors are those of rows. */
static bool turn_to_features(const struct decomposing *d, int64_t n)
{
    const int64_t width_max = n < AT_ONCE ? n : AT_ONCE;
    double *u = qn_alloc_aligned(d->n * width_max, sizeof *u);
    double *v = qn_alloc_aligned(d->p * width_max, sizeof *v);
    bool complete = u && v;
    for (int64_t first = 0; first < n && complete; first += width_max) {
        const int64_t width = n - first < width_max ? n - first : width_max;
        for (int64_t j = 0; j < width; j++) {
            for (int64_t i = 0; i < d->n; i++) {
                u[i * width + j] = d->vectors[(first + j) * d->m + i];
            }
        }
        complete = qn_row_operator_apply_transposed(&d->op, u, width, v);
        for (int64_t j = 0; j < width && complete; j++) {
            const double scale = 1 / sqrt(d->values[first + j]);
            for (int64_t f = 0; f < d->p; f++) {
                d->out->components[(first + j) * d->p + f] = v[f * width + j] * scale;
            }
        }
    }
    qn_free(u);
    qn_free(v);
    return complete;
}

/* Of the rows along component i: what its square says, less that of their mean. */
static double variance_along(const struct decomposing *d, int64_t i)
{
    if (d->request->centre) return d->values[i] / (double)(d->n - 1);
    const double mean = qn_dot(d->means, d->out->components + i * d->p, d->p);
    return fmax(d->values[i] / (double)d->n - mean * mean, 0);
}

/* Fills `out` with up to `n_max` components of those found. */
static qn_status take_components(struct decomposing *d, int64_t n_max, qn_error *err)
{
    qn_decomposition *out = d->out;
    int64_t n = 0;
    while (n < d->n_found && n < n_max && d->values[n] > rank_tolerance * d->values[0]) {
        n++;
    }
    qn_free(out->components);
    qn_free(out->singular);
    qn_free(out->variance);
    out->components = qn_alloc_array(n, (size_t)d->p * sizeof *out->components);
    out->singular = qn_alloc_array(n, sizeof *out->singular);
    out->variance = qn_alloc_array(n, sizeof *out->variance);
    if (!out->components || !out->singular || !out->variance) return no_memory(err);
    out->n_components = (int32_t)n;
    if (!d->by_rows) {
        memcpy(out->components, d->vectors, (size_t)(n * d->p) * sizeof *out->components);
    } else if (!turn_to_features(d, n)) {
        return no_memory(err);
    }
    for (int64_t i = 0; i < n; i++) {
        orient(out->components + i * d->p, d->p);
        out->singular[i] = sqrt(d->values[i]);
        out->variance[i] = variance_along(d, i);
    }
    return QN_OK;
}

/* How many components explain the share asked for; one more than there are when all do not. */
static int64_t number_for_share(const struct decomposing *d)
{
    const double wanted = d->request->share * d->out->total_variance;
    double sum = 0;
    for (int64_t i = 0; i < d->out->n_components; i++) {
        sum += d->out->variance[i];
        if (sum >= wanted * (1 - 1e-12)) return i + 1;
    }
    return d->out->n_components + 1;
}

static qn_status find(struct decomposing *d, qn_error *err)
{
    const int64_t asked = d->request->n_components;
    const int64_t most = d->m < QN_COMPONENTS_MAX ? d->m : QN_COMPONENTS_MAX;
    if (d->out->exact) {
        QN_TRY(find_exactly(d, err));
        QN_TRY(take_components(d, asked > 0 ? asked : most, err));
    } else {
        for (int64_t k = asked > 0 ? asked : FIRST_GUESS;; k *= 2) {
            QN_TRY(find_largest(d, k < most ? k : most, err));
            QN_TRY(take_components(d, k, err));
            if (asked > 0 || k >= most || number_for_share(d) <= d->out->n_components) break;
        }
    }
    if (asked > 0) return QN_OK;
    const int64_t n = number_for_share(d);
    if (n <= d->out->n_components) d->out->n_components = (int32_t)n;
    return QN_OK;
}

static qn_status run(struct decomposing *d, qn_error *err)
{
    const qn_decompose_request *request = d->request;
    d->means = qn_alloc_array(d->p + request->rows->n_dense, sizeof *d->means);
    d->out->means = qn_alloc_array(d->p, sizeof *d->means);
    if (!d->means || !d->out->means) return no_memory(err);
    d->squares = d->means + d->p;
    d->out->n_features = d->p;
    d->out->exact = d->m <= QN_DECOMPOSE_EXACT_MAX;
    QN_TRY(qn_row_operator_init(&d->op, request->rows, NULL, request->pool, err));
    QN_TRY(measure_columns(d, err));
    if (request->centre) {
        d->op.means = d->means;
        memcpy(d->out->means, d->means, (size_t)d->p * sizeof *d->means);
    }
    return find(d, err);
}

qn_status qn_decompose(const qn_decompose_request *request, qn_decomposition *out, qn_error *err)
{
    const int64_t n = request->rows->n_rows, p = request->rows->n_dense + request->rows->n_sparse;
    *out = (qn_decomposition){0};
    if (n < 2 || p < 1) {
        return qn_fail(err, QN_ERR_DATA,
                       "%" PRId64 " rows of %" PRId64 " features: nothing to reduce", n, p);
    }
    struct decomposing d = {
        .request = request, .out = out, .n = n, .p = p, .by_rows = n < p, .m = n < p ? n : p};
    const qn_status status = run(&d, err);
    qn_row_operator_release(&d.op);
    qn_free(d.means);
    qn_free(d.values);
    qn_free(d.vectors);
    if (status != QN_OK) qn_decomposition_release(out);
    return status;
}
