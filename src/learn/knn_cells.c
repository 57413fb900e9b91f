/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/knn_cells.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "model/knn_model.h"
#include "recipe/cluster/kmeans.h"

#include <math.h>
#include <string.h>

enum {
    CELL_ROWS_MIN = 16,
    PARTS_MAX = 64,   /* of one group */
    SAMPLE_ROWS = 64, /* for each part */
    ITERATIONS = 10,
    LEVELS_MAX = 6, /* then rows must be alike, and are cut as they come */
    ASSIGN_ROWS = 1024,
    N_PROBES = 512, /* rows that recall is measured with */
    PROBES_AT_ONCE = 32
};
static const double recall_wanted = 0.97; /* of a sample: 0.95 of all */

/* Groups of the moment: rows order[ends[g - 1]] … order[ends[g] - 1]. */
struct grouping {
    const qn_knn_cells_request *request;
    int64_t n, d, cell_rows;
    float *x;                /* n × d, scaled: rows by their place among the chosen */
    int32_t *order, *next;   /* n: places */
    uint8_t *labels;         /* n: by position in `order` */
    int64_t *ends, n_groups; /* at most n */
    int64_t *parts;          /* n_groups × PARTS_MAX: rows of each part */
    qn_status *statuses;     /* n_groups */
    uint64_t seed;           /* of the level */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for cells of neighbours");
}

static int64_t begin_of(const struct grouping *g, int64_t group)
{
    return group > 0 ? g->ends[group - 1] : 0;
}

static void load_rows(void *context, int64_t block)
{
    struct grouping *g = context;
    const qn_knn_cells_request *request = g->request;
    const int64_t begin = block * ASSIGN_ROWS;
    const int64_t end = begin + ASSIGN_ROWS < g->n ? begin + ASSIGN_ROWS : g->n;
    for (int64_t i = begin; i < end; i++) {
        float *x = g->x + i * g->d;
        qn_matrix_gather(request->rows, request->chosen ? request->chosen[i] : i, 1, g->d, x);
        for (int64_t f = 0; f < g->d && request->scales; f++) {
            x[f] *= request->scales[f];
        }
        g->order[i] = (int32_t)i;
    }
}

/* Centres of k parts of a group, by k-means on rows at equal steps. */
static qn_status centres_of(const struct grouping *g, int64_t group, int32_t k,
                            qn_neighbours *centres, qn_error *err)
{
    const int64_t begin = begin_of(g, group), n_rows = g->ends[group] - begin;
    const int64_t n = n_rows < k * SAMPLE_ROWS ? n_rows : k * SAMPLE_ROWS;
    qn_matrix sample;
    qn_kmeans_result result = {0};
    QN_TRY(qn_matrix_init(&sample, n, g->d, err));
    for (int64_t i = 0; i < n; i++) {
        const float *x = g->x + g->order[begin + i * n_rows / n] * g->d;
        for (int64_t f = 0; f < g->d; f++) {
            sample.dense[f * sample.stride + i] = (double)x[f];
        }
    }
    const qn_kmeans_request request = {.rows = &sample,
                                       .k = k,
                                       .n_init = 1,
                                       .iterations_max = ITERATIONS,
                                       .seed = qn_seed_child(g->seed, (uint64_t)group),
                                       .stop = g->request->stop,
                                       .pool = g->request->pool};
    qn_status status = qn_kmeans_fit(&request, &result, err);
    float *x = qn_alloc_array(g->d, sizeof *x);
    if (status == QN_OK) status = x ? qn_neighbours_init(centres, k, err) : no_memory(err);
    for (int32_t c = 0; c < k && status == QN_OK; c++) {
        for (int64_t f = 0; f < g->d; f++) {
            x[f] = (float)result.centres[c * g->d + f];
        }
        qn_neighbours_set(centres, c, x);
    }
    qn_free(x);
    qn_kmeans_result_release(&result);
    qn_matrix_release(&sample);
    return status;
}

struct assignment {
    struct grouping *g;
    const qn_neighbours *centres;
    int64_t begin, end;
};

static void assign_rows(void *context, int64_t block)
{
    const struct assignment *a = context;
    struct grouping *g = a->g;
    float tile[QN_NEIGHBOURS_TILE];
    const int64_t begin = a->begin + block * ASSIGN_ROWS;
    const int64_t end = begin + ASSIGN_ROWS < a->end ? begin + ASSIGN_ROWS : a->end;
    for (int64_t i = begin; i < end; i++) {
        qn_neighbours_tile(a->centres, g->x + g->order[i] * g->d, 1, 0, a->centres->n, tile);
        int best = 0;
        for (int c = 1; c < a->centres->n; c++) {
            if (tile[c] < tile[best]) best = c;
        }
        g->labels[i] = (uint8_t)best;
    }
}

/* Puts the rows of a group in the order of their parts; within one, they keep theirs. */
static void sort_by_part(struct grouping *g, int64_t group, int64_t *parts)
{
    const int64_t begin = begin_of(g, group), end = g->ends[group];
    int64_t at[PARTS_MAX] = {0};
    for (int64_t i = begin; i < end; i++) {
        parts[g->labels[i]]++;
    }
    for (int p = 1; p < PARTS_MAX; p++) {
        at[p] = at[p - 1] + parts[p - 1];
    }
    for (int64_t i = begin; i < end; i++) {
        g->next[begin + at[g->labels[i]]++] = g->order[i];
    }
    memcpy(g->order + begin, g->next + begin, (size_t)(end - begin) * sizeof *g->order);
}

/* Splits a group that is too large; the others are one part. */
static void split_group(void *context, int64_t group)
{
    struct grouping *g = context;
    int64_t *parts = g->parts + group * PARTS_MAX;
    const int64_t begin = begin_of(g, group), n = g->ends[group] - begin;
    const int64_t wanted = (n + g->cell_rows - 1) / g->cell_rows;
    memset(parts, 0, PARTS_MAX * sizeof *parts);
    if (n <= 2 * g->cell_rows) {
        parts[0] = n;
        return;
    }
    qn_neighbours centres = {.metric = QN_KNN_EUCLIDEAN, .n_dense = g->d};
    g->statuses[group] =
        centres_of(g, group, wanted < PARTS_MAX ? (int32_t)wanted : PARTS_MAX, &centres, NULL);
    if (g->statuses[group] != QN_OK) return;
    struct assignment a = {g, &centres, begin, begin + n};
    qn_pool_run(g->request->pool, (n + ASSIGN_ROWS - 1) / ASSIGN_ROWS, assign_rows, &a);
    sort_by_part(g, group, parts);
    qn_neighbours_release(&centres);
}

/* The parts become the groups. */
static void take_parts(struct grouping *g, int64_t *ends)
{
    int64_t n = 0, end = 0;
    for (int64_t i = 0; i < g->n_groups * PARTS_MAX; i++) {
        if (g->parts[i] == 0) continue;
        end += g->parts[i];
        ends[n++] = end;
    }
    memcpy(g->ends, ends, (size_t)n * sizeof *ends);
    g->n_groups = n;
}

static int64_t largest_group(const struct grouping *g)
{
    int64_t largest = 0;
    for (int64_t i = 0; i < g->n_groups; i++) {
        const int64_t n = g->ends[i] - begin_of(g, i);
        if (n > largest) largest = n;
    }
    return largest;
}

/* Splits every group that is too large once. */
static qn_status split_all(struct grouping *g, int level, qn_error *err)
{
    qn_status status = QN_OK;
    int64_t *ends = qn_alloc_array(g->n, sizeof *ends);
    g->parts = qn_alloc_array(g->n_groups * PARTS_MAX, sizeof *g->parts);
    g->statuses = qn_alloc_array(g->n_groups, sizeof *g->statuses);
    g->seed = qn_seed_child(g->request->seed, (uint64_t)level);
    if (ends && g->parts && g->statuses) {
        qn_pool_run(g->request->pool, g->n_groups, split_group, g);
        for (int64_t i = 0; i < g->n_groups && status == QN_OK; i++) {
            if (g->statuses[i] != QN_OK) status = no_memory(err);
        }
        if (status == QN_OK) take_parts(g, ends);
    } else {
        status = no_memory(err);
    }
    qn_free(ends);
    qn_free(g->parts);
    qn_free(g->statuses);
    g->parts = NULL;
    g->statuses = NULL;
    return status;
}

static qn_status split_until_small(struct grouping *g, qn_error *err)
{
    for (int level = 0; level < LEVELS_MAX && largest_group(g) > 2 * g->cell_rows; level++) {
        QN_TRY(split_all(g, level, err));
        if (qn_stop_requested(g->request->stop)) {
            return qn_fail(err, QN_ERR_INTERRUPTED, "stopped before the neighbours had cells");
        }
    }
    return QN_OK;
}

/* Groups to cells; what k-means could not split is cut as it comes. */
static qn_status write_cells(const struct grouping *g, qn_knn_cells *out, qn_error *err)
{
    out->starts = qn_alloc_array(g->n_groups + g->n / g->cell_rows + 1, sizeof *out->starts);
    if (!out->starts) return no_memory(err);
    for (int64_t i = 0; i < g->n_groups; i++) {
        int64_t begin = begin_of(g, i);
        while (g->ends[i] - begin > 2 * g->cell_rows) {
            begin += g->cell_rows;
            out->starts[++out->n] = begin;
        }
        out->starts[++out->n] = g->ends[i];
    }
    for (int64_t i = 0; i < g->n; i++) {
        const int32_t place = g->order[i];
        out->order[i] = g->request->chosen ? g->request->chosen[place] : place;
    }
    return QN_OK;
}

qn_status qn_knn_cells_create(const qn_knn_cells_request *request, qn_knn_cells *out, qn_error *err)
{
    const int64_t n = request->n_rows, d = request->rows->n_dense;
    int64_t n_floats;
    *out = (qn_knn_cells){0};
    if (__builtin_mul_overflow(n, d, &n_floats)) return no_memory(err);
    struct grouping g = {.request = request, .n = n, .d = d, .n_groups = 1};
    g.cell_rows = (int64_t)(sqrt((double)n) / 2);
    if (g.cell_rows < CELL_ROWS_MIN) g.cell_rows = CELL_ROWS_MIN;
    g.x = qn_alloc_aligned(n_floats, sizeof *g.x);
    g.order = qn_alloc_array(n, sizeof *g.order);
    g.next = qn_alloc_array(n, sizeof *g.next);
    g.labels = qn_alloc_array(n, sizeof *g.labels);
    g.ends = qn_alloc_array(n, sizeof *g.ends);
    out->order = qn_alloc_array(n, sizeof *out->order);
    qn_status status = QN_OK;
    if (!g.x || !g.order || !g.next || !g.labels || !g.ends || !out->order) {
        status = no_memory(err);
    } else {
        g.ends[0] = n;
        qn_pool_run(request->pool, (n + ASSIGN_ROWS - 1) / ASSIGN_ROWS, load_rows, &g);
        status = split_until_small(&g, err);
    }
    if (status == QN_OK) status = write_cells(&g, out, err);
    qn_free(g.x);
    qn_free(g.order);
    qn_free(g.next);
    qn_free(g.labels);
    qn_free(g.ends);
    if (status != QN_OK) qn_knn_cells_release(out);
    return status;
}

void qn_knn_cells_release(qn_knn_cells *cells)
{
    qn_free(cells->order);
    qn_free(cells->starts);
    *cells = (qn_knn_cells){0};
}

/* Rows of the model as points, and how far the farthest of their neighbours is. */
struct probing {
    const qn_estimator *model;
    int64_t n, d;
    int32_t k;         /* neighbours, the point itself among them */
    float *points;     /* n × d */
    double *distances; /* n × k: of those found at last */
    double *farthest;  /* n: of those there are */
    qn_status *statuses;
};

static void find_block(void *context, int64_t block)
{
    struct probing *p = context;
    const int64_t first = block * PROBES_AT_ONCE;
    const int64_t n = p->n - first < PROBES_AT_ONCE ? p->n - first : PROBES_AT_ONCE;
    void *scratch = qn_alloc_aligned((int64_t)qn_estimator_scratch_bytes(p->model, n), 1);
    p->statuses[block] = scratch ? QN_OK : QN_ERR_NOMEM;
    if (scratch) {
        qn_knn_distances(p->model, p->points + first * p->d, n, p->distances + first * p->k,
                         scratch);
    }
    qn_free(scratch);
}

static qn_status find_all(struct probing *p, qn_estimator *model, int64_t probe_rows,
                          const qn_knn_cells_request *request, qn_error *err)
{
    const int64_t n_blocks = (p->n + PROBES_AT_ONCE - 1) / PROBES_AT_ONCE;
    if (qn_stop_requested(request->stop)) {
        return qn_fail(err, QN_ERR_INTERRUPTED, "stopped before the neighbours had cells");
    }
    qn_knn_set_probe_rows(model, probe_rows);
    qn_pool_run(request->pool, n_blocks, find_block, p);
    for (int64_t b = 0; b < n_blocks; b++) {
        if (p->statuses[b] != QN_OK) return no_memory(err);
    }
    return QN_OK;
}

/* The share of neighbours found, each point's first aside: itself. */
static double recall_of(const struct probing *p)
{
    int64_t n_found = 0;
    for (int64_t q = 0; q < p->n; q++) {
        for (int32_t i = 1; i < p->k; i++) {
            n_found += p->distances[q * p->k + i] <= p->farthest[q];
        }
    }
    return (double)n_found / (double)(p->n * (p->k - 1));
}

/* Half as many rows again, until they are enough. */
static qn_status widen(struct probing *p, qn_estimator *model, int64_t first,
                       const qn_knn_cells_request *request, qn_error *err)
{
    const int64_t n_rows = request->n_rows;
    QN_TRY(find_all(p, model, n_rows, request, err));
    for (int64_t q = 0; q < p->n; q++) {
        p->farthest[q] = p->distances[q * p->k + p->k - 1];
    }
    for (int64_t n = first; n < n_rows; n += n / 2) {
        QN_TRY(find_all(p, model, n, request, err));
        if (recall_of(p) >= recall_wanted) return QN_OK;
    }
    qn_knn_set_probe_rows(model, n_rows);
    return QN_OK;
}

qn_status qn_knn_cells_tune(qn_estimator *model, int32_t n_neighbours,
                            const qn_knn_cells_request *request, const qn_knn_cells *cells,
                            qn_error *err)
{
    const int64_t n_rows = request->n_rows, d = request->rows->n_dense;
    struct probing p = {
        .model = model, .n = n_rows < N_PROBES ? n_rows : N_PROBES, .d = d, .k = n_neighbours + 1};
    p.points = qn_alloc_aligned(p.n * d, sizeof *p.points);
    p.distances = qn_alloc_array(p.n * p.k, sizeof *p.distances);
    p.farthest = qn_alloc_array(p.n, sizeof *p.farthest);
    p.statuses = qn_alloc_array(p.n, sizeof *p.statuses);
    qn_status status = QN_OK;
    if (p.points && p.distances && p.farthest && p.statuses) {
        for (int64_t q = 0; q < p.n; q++) {
            qn_matrix_gather(request->rows, cells->order[q * n_rows / p.n], 1, d, p.points + q * d);
        }
        qn_knn_set_neighbours(model, p.k);
        status = widen(&p, model, 4 * p.k, request, err);
    } else {
        status = no_memory(err);
    }
    qn_knn_set_neighbours(model, n_neighbours);
    qn_free(p.points);
    qn_free(p.distances);
    qn_free(p.farthest);
    qn_free(p.statuses);
    return status;
}
