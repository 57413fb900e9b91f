/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/cluster/kmeans_internal.h"

#include "base/alloc.h"
#include "base/number.h"
#include "linalg/gemm.h"
#include "linalg/kernels.h"

#include <math.h>
#include <string.h>

enum { ITERATIONS_MAX = 300, TILE_FLOATS = 4096 };
static const double tolerance_default = 1e-4;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for k-means");
}

void qn_kmeans_result_release(qn_kmeans_result *result)
{
    qn_free(result->centres);
    qn_free(result->sizes);
    *result = (qn_kmeans_result){0};
}

void qn_kmeans_pack(qn_kmeans *m)
{
    memset(m->panels, 0, (size_t)qn_panels_floats(m->d, m->k) * sizeof *m->panels);
    for (int32_t c = 0; c < m->k; c++) {
        const double *centre = m->centres + c * m->d;
        float *to = m->panels + c / QN_PANEL_COLS * QN_PANEL_COLS * m->d + c % QN_PANEL_COLS;
        for (int64_t f = 0; f < m->d; f++) {
            to[f * QN_PANEL_COLS] = (float)(-2 * centre[f]);
        }
        m->start[c] = (float)qn_dot(centre, centre, m->d);
    }
}

void qn_kmeans_assign(const qn_kmeans *m, int64_t first, int64_t n_rows, int32_t *labels,
                      float *nearest)
{
    float tile[TILE_FLOATS];
    const int64_t tile_rows = TILE_FLOATS / m->k;
    for (int64_t at = 0; at < n_rows; at += tile_rows) {
        const int64_t n = n_rows - at < tile_rows ? n_rows - at : tile_rows;
        const qn_gemm product = {.m = n,
                                 .n = m->k,
                                 .k = m->d,
                                 .a = m->x + (first + at) * m->d,
                                 .a_row_step = m->d,
                                 .a_col_step = 1,
                                 .panels = m->panels,
                                 .start = m->start,
                                 .c = tile,
                                 .c_row_step = m->k};
        qn_gemm_run(&product, NULL);
        for (int64_t i = 0; i < n; i++) {
            const float *row = tile + i * m->k;
            int32_t best = 0;
            for (int32_t c = 1; c < m->k; c++) {
                if (row[c] < row[best]) best = c;
            }
            labels[at + i] = best;
            nearest[at + i] = fmaxf(row[best] + m->squares[first + at + i], 0);
        }
    }
}

static void add_row(const qn_kmeans *m, int64_t row, double weight, double *sums)
{
    const float *x = m->x + row * m->d;
    for (int64_t f = 0; f < m->d; f++) {
        sums[f] += weight * (double)x[f];
    }
    sums[m->d] += weight;
}

/* One block of a pass: labels, and the sums of the rows that changed theirs. */
static void pass_block(void *context, int64_t block)
{
    qn_kmeans *m = context;
    enum { STEP = 256 };
    int32_t labels[STEP];
    const int64_t begin = block * m->block_rows, width = m->d + 1;
    const int64_t end = begin + m->block_rows < m->n ? begin + m->block_rows : m->n;
    double *sums = m->sums + block * m->k * width;
    m->n_changed[block] = 0;
    m->inertias[block] = 0;
    for (int64_t first = begin; first < end; first += STEP) {
        const int64_t n = end - first < STEP ? end - first : STEP;
        qn_kmeans_assign(m, first, n, labels, m->nearest + first);
        for (int64_t i = 0; i < n; i++) {
            const int64_t row = first + i;
            const double w = qn_kmeans_weight(m, row);
            m->inertias[block] += w * (double)m->nearest[row];
            if (labels[i] == m->labels[row]) continue;
            m->n_changed[block]++;
            if (m->labels[row] >= 0) add_row(m, row, -w, sums + m->labels[row] * width);
            add_row(m, row, w, sums + labels[i] * width);
            m->labels[row] = labels[i];
        }
    }
}

/* Rows to their centres; returns how many changed. */
static int64_t pass(qn_kmeans *m, double *inertia)
{
    int64_t n_changed = 0;
    *inertia = 0;
    qn_kmeans_pack(m);
    qn_pool_run(m->request->pool, m->n_blocks, pass_block, m);
    for (int64_t block = 0; block < m->n_blocks; block++) {
        n_changed += m->n_changed[block];
        *inertia += m->inertias[block];
    }
    return n_changed;
}

/* The row farthest from its centre that no empty centre has taken yet. */
static int64_t farthest_row(qn_kmeans *m)
{
    int64_t farthest = -1;
    for (int64_t i = 0; i < m->n; i++) {
        if (m->nearest[i] < 0 || qn_kmeans_weight(m, i) == 0) continue;
        if (farthest < 0 || m->nearest[i] > m->nearest[farthest]) farthest = i;
    }
    return farthest;
}

/* A centre without rows moves to a row far from its own, which leaves that one's sums. */
static void fill_empty(qn_kmeans *m, double *sums)
{
    const int64_t width = m->d + 1;
    for (int32_t c = 0; c < m->k; c++) {
        if (sums[c * width + m->d] > 0) continue;
        const int64_t row = farthest_row(m);
        if (row < 0) return;
        const double w = qn_kmeans_weight(m, row);
        memset(sums + c * width, 0, (size_t)width * sizeof *sums);
        add_row(m, row, -w, sums + m->labels[row] * width);
        add_row(m, row, w, sums + c * width);
        m->nearest[row] = -1;
    }
}

/* Centres to the means of their rows; returns the sum of squared moves. `sums`: k × (d + 1). */
static double move_centres(qn_kmeans *m, double *sums)
{
    const int64_t width = m->d + 1, n = m->k * width;
    double moved = 0;
    memset(sums, 0, (size_t)n * sizeof *sums);
    for (int64_t block = 0; block < m->n_blocks; block++) {
        qn_add_scaled(1, m->sums + block * n, sums, n);
    }
    fill_empty(m, sums);
    for (int32_t c = 0; c < m->k; c++) {
        const double weight = sums[c * width + m->d];
        for (int64_t f = 0; f < m->d && weight > 0; f++) {
            const double mean = sums[c * width + f] / weight,
                         step = mean - m->centres[c * m->d + f];
            m->centres[c * m->d + f] = mean;
            moved += step * step;
        }
    }
    return moved;
}

static int64_t run_lloyd(qn_kmeans *m, double *sums, double *inertia)
{
    const int32_t limit =
        m->request->iterations_max > 0 ? m->request->iterations_max : ITERATIONS_MAX;
    for (int64_t i = 1;; i++) {
        const int64_t n_changed = pass(m, inertia);
        if (n_changed == 0 || i > limit || qn_stop_requested(m->request->stop)) return i;
        if (move_centres(m, sums) <= m->tolerance) {
            (void)pass(m, inertia);
            return i;
        }
    }
}

/* One beginning to its end; m->centres are the result. */
static qn_status run_once(qn_kmeans *m, int32_t number, double *sums, int64_t *n_iterations,
                          double *inertia, qn_error *err)
{
    const uint64_t seed = qn_seed_child(m->request->seed, (uint64_t)number);
    for (int64_t i = 0; i < m->n; i++) {
        m->labels[i] = -1;
    }
    memset(m->sums, 0, (size_t)(m->n_blocks * m->k * (m->d + 1)) * sizeof *m->sums);
    if (m->request->mini_batch) {
        QN_TRY(qn_kmeans_run_batches(m, seed, n_iterations, err));
        (void)pass(m, inertia);
        return QN_OK;
    }
    qn_rng rng;
    qn_rng_init(&rng, seed, 0x6b6d);
    QN_TRY(qn_kmeans_begin(m, &rng, err));
    *n_iterations = run_lloyd(m, sums, inertia);
    return QN_OK;
}

/* Rows as floats around their means; NaN would be near to nothing, and is refused. */
static qn_status load_rows(qn_kmeans *m, qn_error *err)
{
    const qn_matrix *rows = m->request->rows;
    double weight = 0, variance = 0;
    for (int64_t i = 0; i < m->n; i++) {
        weight += qn_kmeans_weight(m, i);
    }
    for (int64_t f = 0; f < m->d; f++) {
        const double *values = rows->dense + f * rows->stride;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < m->n; i++) {
            sum += qn_kmeans_weight(m, i) * values[i];
        }
        const double mean = m->column_means[f] = sum / weight;
        if (!isfinite(mean)) {
            return qn_fail(err, QN_ERR_DATA,
                           "k-means: feature %" PRId64 " has missing or infinite values", f);
        }
        for (int64_t i = 0; i < m->n; i++) {
            const double centred = values[i] - mean;
            squares += qn_kmeans_weight(m, i) * centred * centred;
            m->x[i * m->d + f] = (float)centred;
            m->squares[i] += (float)centred * (float)centred;
        }
        m->total += squares;
        variance += squares / weight / (double)m->d;
    }
    const double tolerance = m->request->tolerance > 0 ? m->request->tolerance : tolerance_default;
    m->tolerance = tolerance * variance;
    return QN_OK;
}

static qn_status prepare(qn_kmeans *m, qn_error *err)
{
    const int64_t n = m->n, d = m->d, k = m->k;
    m->x = qn_alloc_aligned(n * d, sizeof *m->x);
    m->squares = qn_alloc_array(n, sizeof *m->squares);
    m->column_means = qn_alloc_array(d, sizeof *m->column_means);
    m->centres = qn_alloc_array(k * d, sizeof *m->centres);
    m->panels = qn_alloc_aligned(qn_panels_floats(d, k), sizeof *m->panels);
    m->start = qn_alloc_array(k, sizeof *m->start);
    m->labels = qn_alloc_array(n, sizeof *m->labels);
    m->nearest = qn_alloc_array(n, sizeof *m->nearest);
    m->sums = qn_alloc_array(m->n_blocks * k, (size_t)(d + 1) * sizeof *m->sums);
    m->n_changed = qn_alloc_array(m->n_blocks, sizeof *m->n_changed);
    m->inertias = qn_alloc_array(m->n_blocks, sizeof *m->inertias);
    const bool complete = m->x && m->squares && m->column_means && m->centres && m->panels &&
                          m->start && m->labels && m->nearest && m->sums && m->n_changed &&
                          m->inertias;
    return complete ? load_rows(m, err) : no_memory(err);
}

static void release(qn_kmeans *m)
{
    void *const all[] = {m->x,      m->squares, m->column_means, m->centres,   m->panels,  m->start,
                         m->labels, m->nearest, m->sums,         m->n_changed, m->inertias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        qn_free(all[i]);
    }
}

/* The inertia of the best in doubles: products of floats decide which centre is nearest, not how
 * far it is. `labels`: of the rows. */
static double exact_inertia(const qn_kmeans *m, const double *centres, const int32_t *labels)
{
    const qn_matrix *rows = m->request->rows;
    double inertia = 0;
    for (int64_t f = 0; f < m->d; f++) {
        const double *values = rows->dense + f * rows->stride, mean = m->column_means[f];
        for (int64_t i = 0; i < m->n; i++) {
            const double step = (values[i] - mean) - centres[labels[i] * m->d + f];
            inertia += qn_kmeans_weight(m, i) * step * step;
        }
    }
    return inertia;
}

/* Sums: k × (d + 1); labels: n, of the best so far. */
static qn_status fit(qn_kmeans *m, double *sums, int32_t *labels, qn_kmeans_result *result,
                     qn_error *err)
{
    const int32_t asked = m->request->n_init > 0 ? m->request->n_init : QN_KMEANS_BEGINNINGS;
    const int32_t n_init = m->request->mini_batch ? 1 : asked; /* its sample has them all */
    double least = QN_INF;
    for (int32_t i = 0; i < n_init; i++) {
        int64_t n_iterations;
        double inertia;
        if (i > 0 && qn_stop_requested(m->request->stop)) break;
        QN_TRY(run_once(m, i, sums, &n_iterations, &inertia, err));
        if (i > 0 && inertia >= least) continue;
        least = inertia;
        result->n_iterations = n_iterations;
        memcpy(result->centres, m->centres, (size_t)(m->k * m->d) * sizeof *m->centres);
        memcpy(labels, m->labels, (size_t)m->n * sizeof *labels);
    }
    result->inertia = exact_inertia(m, result->centres, labels);
    for (int64_t i = 0; i < m->n; i++) {
        result->sizes[labels[i]] += qn_kmeans_weight(m, i);
    }
    for (int32_t c = 0; c < m->k; c++) {
        qn_add_scaled(1, m->column_means, result->centres + c * m->d, m->d);
    }
    result->total = m->total;
    result->stopped = qn_stop_requested(m->request->stop);
    return QN_OK;
}

qn_status qn_kmeans_fit(const qn_kmeans_request *request, qn_kmeans_result *result, qn_error *err)
{
    const int64_t n = request->rows->n_rows, d = request->rows->n_dense;
    *result = (qn_kmeans_result){0};
    if (d == 0) return qn_fail(err, QN_ERR_UNSUPPORTED, "there are no dense columns to cluster by");
    if (request->k < 1 || request->k > QN_CLUSTERS_MAX || request->k > n) {
        return qn_fail(err, QN_ERR_ARG, "%d clusters of %" PRId64 " rows: ask for 1 to %" PRId64,
                       request->k, n, n < QN_CLUSTERS_MAX ? n : (int64_t)QN_CLUSTERS_MAX);
    }
    int64_t block_rows = (n + QN_KMEANS_BLOCKS_MAX - 1) / QN_KMEANS_BLOCKS_MAX;
    if (block_rows < QN_KMEANS_BLOCK_ROWS_MIN) block_rows = QN_KMEANS_BLOCK_ROWS_MIN;
    qn_kmeans m = {.request = request,
                   .n = n,
                   .d = d,
                   .k = request->k,
                   .weights = request->weights,
                   .block_rows = block_rows,
                   .n_blocks = (n + block_rows - 1) / block_rows};
    double *sums = qn_alloc_array(m.k * (d + 1), sizeof *sums);
    int32_t *labels = qn_alloc_array(n, sizeof *labels);
    result->centres = qn_alloc_array(m.k * d, sizeof *result->centres);
    result->sizes = qn_alloc_array(m.k, sizeof *result->sizes);
    const bool complete = sums && labels && result->centres && result->sizes;
    qn_status status = complete ? prepare(&m, err) : no_memory(err);
    if (status == QN_OK) status = fit(&m, sums, labels, result, err);
    qn_free(sums);
    qn_free(labels);
    release(&m);
    if (status != QN_OK) qn_kmeans_result_release(result);
    return status;
}
