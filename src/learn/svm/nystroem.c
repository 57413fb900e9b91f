/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/svm/nystroem.h"

#include "base/alloc.h"
#include "learn/linear/glm.h"
#include "linalg/cholesky.h"
#include "linalg/kernels.h"

#include <string.h>

enum { BLOCK_ROWS = 64, JITTERS_MAX = 7, PASSES_MAX = 20000 };
/* Of the mean kernel of a landmark with itself, added to the diagonal: kernels are floats. */
static const double jitter_first = 1e-6;

struct state {
    const qn_nystroem_request *request;
    const qn_smo_request *problem;
    int64_t n, m;
    bool is_regression;
    int64_t *at;             /* m: positions of landmarks among the rows */
    int32_t *rows;           /* m: of the matrix */
    qn_kernel_rows laid_out; /* landmarks */
    double *factor;          /* m × m */
    qn_design features;      /* n × m */
    double *target, *cost;   /* n */
    qn_status *statuses;     /* of blocks */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM,
                   "no memory for landmarks; make n_components or max_rows less");
}

static qn_status interrupted(qn_error *err)
{
    return qn_fail(err, QN_ERR_INTERRUPTED, "stopped before a machine was fitted");
}

/* Landmarks among n rows of one class. */
static int64_t n_landmarks(const qn_nystroem_request *request, int64_t n)
{
    int64_t wanted = (int64_t)(request->share * (double)n + 0.5);
    if (wanted < request->least) wanted = request->least;
    return wanted < n ? wanted : n;
}

/* Positions of the rows learnt from; returns how many are of the first class, or all where there
 * are none. */
static int64_t list_rows(const struct state *s, int64_t *open, int64_t *n_open)
{
    const qn_smo_request *p = s->problem;
    int64_t first = 0;
    *n_open = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (p->low[i] == p->high[i]) continue;
        first += s->is_regression || p->linear[i] == p->linear[0];
        open[(*n_open)++] = i;
    }
    return first;
}

static qn_status choose_landmarks(struct state *s, qn_error *err)
{
    int64_t n_open, *open = qn_alloc_array(s->n, sizeof *open);
    if (!open) return no_memory(err);
    const int64_t first = list_rows(s, open, &n_open);
    const int64_t n[2] = {first, n_open - first};
    const int64_t m[2] = {n_landmarks(s->request, n[0]), n_landmarks(s->request, n[1])};
    s->m = m[0] + m[1];
    s->at = qn_alloc_array(s->m, sizeof *s->at);
    s->rows = qn_alloc_array(s->m, sizeof *s->rows);
    const bool complete = s->at && s->rows;
    for (int64_t k = 0; k < s->m && complete; k++) {
        s->at[k] = open[k < m[0] ? k * n[0] / m[0] : first + (k - m[0]) * n[1] / m[1]];
        s->rows[k] = s->problem->rows[s->at[k]];
    }
    qn_free(open);
    if (!complete) return no_memory(err);
    return qn_kernel_rows_fill(s->problem->x, s->rows, s->m, &s->laid_out, err);
}

/* Kernels of a row with the landmarks; room: n_dense + n_sparse floats, the last ones 0. */
static void kernels_of(const struct state *s, int32_t row, float *room, float *out)
{
    const qn_matrix *x = s->problem->x;
    qn_kernel_point point = {.dense = room, .sparse = room + x->n_dense};
    point.square = qn_kernel_point_spread(x, row, room, room + x->n_dense);
    qn_kernel_rows_apply(&s->laid_out, &s->problem->kernel, &point, 0, s->m, out);
    qn_kernel_point_clear(x, row, room + x->n_dense);
}

/* Fills both triangles and the diagonal, with so much added to it. */
static void fill_kernels(struct state *s, double jitter, float *room, float *values)
{
    double trace = 0;
    for (int64_t i = 0; i < s->m; i++) {
        kernels_of(s, s->rows[i], room, values);
        for (int64_t j = 0; j < s->m; j++) {
            s->factor[i * s->m + j] = (double)values[j];
        }
        trace += (double)values[i];
    }
    for (int64_t i = 0; i < s->m; i++) {
        s->factor[i * (s->m + 1)] += jitter * (trace > 0 ? trace / (double)s->m : 1);
    }
}

static qn_status factor_landmarks(struct state *s, qn_error *err)
{
    const qn_matrix *x = s->problem->x;
    s->factor = qn_alloc_aligned(s->m * s->m, sizeof *s->factor);
    float *room = qn_alloc_array(x->n_dense + x->n_sparse, sizeof *room);
    float *values = qn_alloc_array(s->m, sizeof *values);
    qn_status status = s->factor && room && values ? QN_OK : no_memory(err);
    bool is_factored = false;
    double jitter = jitter_first;
    for (int i = 0; i < JITTERS_MAX && status == QN_OK && !is_factored; i++, jitter *= 10) {
        fill_kernels(s, jitter, room, values);
        is_factored = qn_cholesky_factor(s->factor, s->m, s->m, s->request->pool);
    }
    if (status == QN_OK && !is_factored) {
        status = qn_fail(err, QN_ERR_DATA, "the kernel of landmarks is not positive definite");
    }
    qn_free(room);
    qn_free(values);
    return status;
}

/* φ of a block of rows. */
static void fill_block(void *context, int64_t block)
{
    struct state *s = context;
    const qn_matrix *x = s->problem->x;
    const int64_t first = block * BLOCK_ROWS;
    const int64_t n = s->n - first < BLOCK_ROWS ? s->n - first : BLOCK_ROWS;
    if (qn_stop_requested(s->problem->stop)) {
        s->statuses[block] = QN_ERR_INTERRUPTED;
        return;
    }
    float *room = qn_alloc_array(x->n_dense + x->n_sparse + s->m, sizeof *room);
    double *columns = qn_alloc_aligned(s->m * n, sizeof *columns);
    s->statuses[block] = room && columns ? QN_OK : QN_ERR_NOMEM;
    for (int64_t q = 0; q < n && s->statuses[block] == QN_OK; q++) {
        float *values = room + x->n_dense + x->n_sparse;
        kernels_of(s, s->problem->rows[first + q], room, values);
        for (int64_t k = 0; k < s->m; k++) {
            columns[k * n + q] = (double)values[k];
        }
    }
    if (s->statuses[block] == QN_OK) {
        qn_cholesky_forward(s->factor, s->m, s->m, columns, n, n, NULL);
        for (int64_t q = 0; q < n; q++) {
            double *row = s->features.dense + (first + q) * s->features.width;
            for (int64_t k = 0; k < s->m; k++) {
                row[k] = columns[k * n + q];
            }
        }
    }
    qn_free(room);
    qn_free(columns);
}

static qn_status fill_features(struct state *s, qn_error *err)
{
    const int64_t n_blocks = (s->n + BLOCK_ROWS - 1) / BLOCK_ROWS;
    s->statuses = qn_alloc_array(n_blocks, sizeof *s->statuses);
    if (!s->statuses) return no_memory(err);
    QN_TRY(qn_design_init_dense(&s->features, s->n, s->m, err));
    qn_pool_run(s->request->pool, n_blocks, fill_block, s);
    for (int64_t b = 0; b < n_blocks; b++) {
        if (s->statuses[b] == QN_ERR_INTERRUPTED) return interrupted(err);
        if (s->statuses[b] != QN_OK) return no_memory(err);
    }
    return QN_OK;
}

/* The dual's terms as a loss of each row: t, and how much it costs to miss it. */
static qn_status set_targets(struct state *s, double *total, double *epsilon, qn_error *err)
{
    const qn_smo_request *p = s->problem;
    s->target = qn_alloc_array(s->n, sizeof *s->target);
    s->cost = qn_alloc_array(s->n, sizeof *s->cost);
    if (!s->target || !s->cost) return no_memory(err);
    for (int64_t i = 0; i < s->n; i++) {
        s->target[i] =
            s->is_regression ? 0.5 * (p->linear[i] + p->linear[s->n + i]) : p->linear[i] > 0;
        s->cost[i] = p->high[i] - p->low[i];
        *total += s->cost[i];
    }
    *epsilon = s->is_regression ? 0.5 * (p->linear[s->n] - p->linear[0]) : 0;
    return QN_OK;
}

/* β = L⁻ᵀ w = K_zz⁻¹ L w. */
static void write_beta(const struct state *s, const double *w, double *room, qn_smo_result *result)
{
    for (int64_t i = 0; i < s->m; i++) {
        room[i] = qn_dot(s->factor + i * s->m, w, i + 1);
    }
    qn_cholesky_solve(s->factor, s->m, s->m, room, 1, 1, NULL);
    memset(result->beta, 0, (size_t)s->n * sizeof *result->beta);
    for (int64_t k = 0; k < s->m; k++) {
        result->beta[s->at[k]] = room[k];
    }
}

static qn_status solve_linear(struct state *s, qn_smo_result *result, qn_error *err)
{
    double total = 0, epsilon = 0;
    const qn_design *design = &s->features;
    QN_TRY(set_targets(s, &total, &epsilon, err));
    qn_glm glm = {.design = design,
                  .target = s->target,
                  .weights = s->cost,
                  .total = total,
                  .loss = s->is_regression ? QN_GLM_INSENSITIVE : QN_GLM_HINGE,
                  .shape = epsilon,
                  .n_outputs = 1,
                  .penalty = 1 / total,
                  .penalises_intercept = true,
                  .dual = true,
                  .max_iter = PASSES_MAX,
                  .tol = s->problem->tolerance,
                  .seed = s->request->seed,
                  .stop = s->problem->stop};
    double *point = qn_alloc_array(design->n_cols + 2 * s->m, sizeof *point);
    qn_status status = point ? qn_glm_minimise(&glm, point, &result->n_steps, err) : no_memory(err);
    if (status == QN_OK && result->n_steps == 0 && qn_stop_requested(glm.stop)) {
        status = interrupted(err); /* without a pass there is nothing yet */
    }
    if (status == QN_OK) {
        double *w = point + design->n_cols;
        qn_design_unpack(design, point, w, &result->bias);
        write_beta(s, w, w + s->m, result);
        qn_design_multiply(design, point, s->request->pool, result->decisions);
    }
    qn_free(point);
    return status;
}

qn_status qn_nystroem_solve(const qn_nystroem_request *request, qn_smo_result *result,
                            qn_error *err)
{
    struct state s = {.request = request,
                      .problem = request->problem,
                      .n = request->problem->n,
                      .is_regression = request->problem->copies == 2};
    result->n_steps = 0;
    result->objective = 0;
    if (qn_stop_requested(request->problem->stop)) return interrupted(err);
    qn_status status = choose_landmarks(&s, err);
    if (status == QN_OK) status = factor_landmarks(&s, err);
    if (status == QN_OK) status = fill_features(&s, err);
    if (status == QN_OK) status = solve_linear(&s, result, err);
    result->stopped = qn_stop_requested(request->problem->stop);
    qn_free(s.at);
    qn_free(s.rows);
    qn_kernel_rows_release(&s.laid_out);
    qn_free(s.factor);
    qn_design_release(&s.features);
    qn_free(s.statuses);
    qn_free(s.target);
    qn_free(s.cost);
    return status;
}
