/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing a model for SHAP values, and taking rows by blocks. The walk is in tree_shap_walk.c. */
#include "explain/tree_shap_internal.h"

#include "base/alloc.h"
#include "linalg/quadrature.h"

#include <string.h>

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to explain the trees");
}

void qn_tree_shap_free(qn_tree_shap *shap)
{
    if (!shap) return;
    qn_free(shap->points);
    qn_free(shap->weights);
    qn_free(shap->ends);
    qn_free(shap);
}

/* Room for the largest tree and for walking it; `at` NULL only counts bytes. */
struct room {
    struct qn_shap_tree tree;
    struct qn_shap_lanes lanes;
    double *padded; /* a last, short block of lanes: n_features x lanes */
    double *values; /* of a block of rows */
};

static void *take(char *memory, size_t *used, int64_t count, size_t item_bytes)
{
    void *at = memory ? memory + *used : NULL;
    *used += aligned((size_t)count * item_bytes);
    return at;
}

static size_t lay_out_tree(const qn_tree_shap *shap, char *memory, struct qn_shap_tree *tree)
{
    size_t used = 0;
    const int64_t n_edges = shap->n_edges_max, n_depths = (int64_t)shap->depth_max + 1;
    tree->edges = take(memory, &used, n_edges, sizeof *tree->edges);
    tree->inverses = take(memory, &used, n_edges * shap->n_points_max, sizeof *tree->inverses);
    tree->pending = take(memory, &used, n_edges + 2, sizeof *tree->pending);
    tree->open = take(memory, &used, n_depths, sizeof *tree->open);
    tree->reach = take(memory, &used, n_depths, sizeof *tree->reach);
    tree->last_depth = take(memory, &used, shap->model->n_features, sizeof *tree->last_depth);
    return used;
}

/* n_values: of one row. */
static size_t lay_out(const qn_tree_shap *shap, char *memory, int64_t n_rows, int64_t n_values,
                      struct room *room)
{
    size_t used = lay_out_tree(shap, memory, &room->tree);
    const int64_t n_depths = (int64_t)shap->depth_max + 1;
    const int64_t n = n_depths * shap->n_points_max * QN_SHAP_LANES;
    room->lanes.products = take(memory, &used, n, sizeof(double));
    room->lanes.sums = take(memory, &used, n, sizeof(double));
    room->lanes.parts = take(memory, &used, n, sizeof(double));
    room->lanes.passes = take(memory, &used, n_depths * QN_SHAP_LANES, sizeof(int64_t));
    room->lanes.open = take(memory, &used, n_depths, sizeof(int64_t));
    room->padded = take(memory, &used, shap->model->n_features * QN_SHAP_LANES, sizeof(double));
    room->values = take(memory, &used, n_values * n_rows, sizeof(double));
    return used;
}

/* Creating. */

/* Edges of the largest tree, and the greatest depth. A tree of n nodes has 2n edges; more are met
 * when trees share nodes, and their number might have no end. */
static qn_status measure(qn_tree_shap *shap, qn_error *err)
{
    const qn_tree_model *model = shap->model;
    struct {
        int32_t node, depth;
    } *stack = qn_alloc_array(model->n_nodes + 1, sizeof *stack);
    if (!stack) return no_memory(err);
    int64_t n_left = model->n_nodes;
    for (int32_t t = 0; t < model->n_trees && n_left >= 0; t++) {
        int64_t n = 0, n_nodes = 0;
        if (model->roots[t] >= 0) stack[n++].node = model->roots[t];
        if (n > 0) stack[0].depth = 1;
        while (n > 0 && n_left > 0) {
            const qn_tree_node *node = &model->nodes[stack[--n].node];
            const int32_t depth = stack[n].depth;
            if (depth > shap->depth_max) shap->depth_max = depth;
            n_nodes++;
            n_left--;
            for (int side = 0; side < 2; side++) {
                const int32_t child = side ? node->left : node->right;
                if (child < 0) continue;
                stack[n].node = child;
                stack[n++].depth = depth + 1;
            }
        }
        if (n > 0) n_left = -1;
        if (2 * n_nodes > shap->n_edges_max) shap->n_edges_max = 2 * n_nodes;
    }
    qn_free(stack);
    return n_left < 0 ? qn_fail(err, QN_ERR_DATA, "trees that share nodes cannot be explained")
                      : QN_OK;
}

/* Trees of one output. */
static double trees_averaged(const qn_tree_model *model)
{
    const int32_t n =
        model->vector_leaves ? model->n_trees : model->n_trees / model->head.n_outputs;
    return model->averaged && n > 0 ? n : 1;
}

/* Goes through all trees once: what they expect, and how many points they need. */
static qn_status expect(qn_tree_shap *shap, qn_error *err)
{
    const qn_tree_model *model = shap->model;
    struct qn_shap_tree tree = {0};
    shap->n_points_max = 1;
    const size_t bytes = lay_out_tree(shap, NULL, &tree);
    char *memory = qn_alloc_aligned((int64_t)bytes, 1);
    if (!memory) return no_memory(err);
    (void)lay_out_tree(shap, memory, &tree);
    memset(tree.last_depth, 0, (size_t)model->n_features * sizeof *tree.last_depth);
    int n_points_max = 1;
    for (int32_t t = 0; t < model->n_trees; t++) {
        qn_shap_unfold(model, t, &tree, shap->expected);
        if (tree.n_points > n_points_max) n_points_max = tree.n_points;
    }
    shap->n_points_max = n_points_max;
    for (int32_t c = 0; c < model->head.n_outputs; c++) {
        shap->expected[c] = (model->init[c] + shap->expected[c]) / trees_averaged(model);
    }
    qn_free(memory);
    return QN_OK;
}

static qn_status put_points(qn_tree_shap *shap, qn_error *err)
{
    const int n_max = shap->n_points_max, total = n_max * (n_max + 1) / 2;
    shap->points = qn_alloc_array(total, sizeof *shap->points);
    shap->weights = qn_alloc_array(total, sizeof *shap->weights);
    shap->ends = qn_alloc_array(total, sizeof *shap->ends);
    if (!shap->points || !shap->weights || !shap->ends) return no_memory(err);
    for (int n = 1; n <= n_max; n++) {
        const int first = n * (n - 1) / 2;
        qn_gauss_legendre(n, shap->points + first, shap->weights + first);
        for (int q = 0; q < n; q++) {
            shap->ends[first + q] = 1 / (1 - shap->points[first + q]);
        }
    }
    return QN_OK;
}

qn_status qn_tree_shap_create(const qn_tree_model *model, qn_tree_shap **out, qn_error *err)
{
    *out = NULL;
    if (model->line_starts) {
        return qn_fail(err, QN_ERR_UNSUPPORTED,
                       "trees with linear leaves cannot be explained; use constant leaves");
    }
    qn_tree_shap *shap = qn_alloc_array(1, sizeof *shap);
    if (!shap) return no_memory(err);
    shap->model = model;
    shap->portable = !qn_shap_has_long_vectors();
    qn_status status = measure(shap, err);
    if (status == QN_OK) status = expect(shap, err);
    if (status == QN_OK) status = put_points(shap, err);
    if (status == QN_OK) {
        *out = shap;
    } else {
        qn_tree_shap_free(shap);
    }
    return status;
}

const double *qn_tree_shap_expected(const qn_tree_shap *shap)
{
    return shap->expected;
}

/* Rows. */

static int64_t values_a_row(const qn_tree_shap *shap)
{
    return shap->model->head.n_outputs * shap->model->n_features;
}

size_t qn_tree_shap_scratch_bytes(const qn_tree_shap *shap)
{
    struct room room;
    return lay_out(shap, NULL, QN_SHAP_ROWS, values_a_row(shap), &room);
}

/* Rows first … first + lanes - 1 as a walk wants them; rows beyond the last repeat it. */
static const double *lanes_of(const qn_tree_shap *shap, const qn_matrix *features, int64_t first,
                              double *padded, int64_t *stride)
{
    const int64_t n = features->n_rows - first;
    *stride = features->stride;
    if (n >= QN_SHAP_LANES) return features->dense + first;
    *stride = QN_SHAP_LANES;
    for (int64_t f = 0; f < shap->model->n_features; f++) {
        for (int64_t i = 0; i < QN_SHAP_LANES; i++) {
            padded[f * QN_SHAP_LANES + i] =
                features->dense[f * features->stride + first + (i < n ? i : n - 1)];
        }
    }
    return padded;
}

/* Up to QN_SHAP_ROWS rows: tree by tree, so that a tree is unfolded once for all of them. */
static void explain_block(const qn_tree_shap *shap, const qn_matrix *features, struct room *room,
                          double *values)
{
    const qn_tree_model *model = shap->model;
    const int64_t n_features = model->n_features, n = features->n_rows;
    const int32_t k = model->head.n_outputs;
    const int64_t last = (n - 1) / QN_SHAP_LANES * QN_SHAP_LANES;
    int64_t last_stride = 0;
    const double *last_rows = lanes_of(shap, features, last, room->padded, &last_stride);
    memset(room->values, 0, (size_t)(k * n_features) * QN_SHAP_ROWS * sizeof *values);
    for (int32_t t = 0; t < model->n_trees; t++) {
        qn_shap_unfold(model, t, &room->tree, NULL);
        qn_shap_put_inverses(shap, &room->tree);
        const int32_t c_first = model->vector_leaves ? 0 : t % k;
        const int32_t c_last = model->vector_leaves ? k - 1 : t % k;
        for (int32_t c = c_first; c <= c_last; c++) {
            double *out = room->values + c * n_features * QN_SHAP_ROWS;
            for (int64_t row = 0; row < last; row += QN_SHAP_LANES) {
                qn_shap_walk(shap, &room->tree, c, features->dense + row, features->stride,
                             &room->lanes, out + row);
            }
            qn_shap_walk(shap, &room->tree, c, last_rows, last_stride, &room->lanes, out + last);
        }
    }
    const double n_averaged = trees_averaged(model);
    for (int64_t row = 0; row < n; row++) {
        for (int64_t i = 0; i < k * n_features; i++) {
            values[row * k * n_features + i] = room->values[i * QN_SHAP_ROWS + row] / n_averaged;
        }
    }
}

static qn_matrix part_of(const qn_matrix *all, int64_t first, int64_t n_rows)
{
    qn_matrix part = *all;
    part.n_rows = all->n_rows - first < n_rows ? all->n_rows - first : n_rows;
    part.dense = all->dense + first;
    return part;
}

static void clear_tree(const qn_tree_shap *shap, struct room *room)
{
    memset(room->tree.last_depth, 0,
           (size_t)shap->model->n_features * sizeof *room->tree.last_depth);
}

void qn_tree_shap_rows(const qn_tree_shap *shap, const qn_matrix *features, double *values,
                       void *scratch)
{
    struct room room;
    (void)lay_out(shap, scratch, QN_SHAP_ROWS, values_a_row(shap), &room);
    clear_tree(shap, &room);
    for (int64_t first = 0; first < features->n_rows; first += QN_SHAP_ROWS) {
        const qn_matrix part = part_of(features, first, QN_SHAP_ROWS);
        explain_block(shap, &part, &room, values + first * values_a_row(shap));
    }
}

/* Eight rows' interactions of different features become their matrices; the diagonal is what is
 * left of the feature's own value. `own` has the values of the rows. */
static void put_matrices(const qn_tree_shap *shap, const double *pairs, const double *own,
                         int64_t n_rows, double *values)
{
    const int64_t n = shap->model->n_features, n_all = shap->model->head.n_outputs * n;
    const double n_averaged = trees_averaged(shap->model);
    for (int64_t row = 0; row < n_rows; row++) {
        for (int64_t i = 0; i < n_all; i++) {
            const int64_t first = i / n * n, f = i % n;
            double *line = values + (row * n_all + i) * n, rest = own[row * n_all + i];
            for (int64_t g = 0; g < n; g++) {
                if (g == f) continue;
                const int64_t larger = f > g ? f : g, smaller = f > g ? g : f;
                line[g] =
                    pairs[((first + larger) * n + smaller) * QN_SHAP_LANES + row] / n_averaged;
                rest -= line[g];
            }
            line[f] = rest;
        }
    }
}

static void explain_pairs(const qn_tree_shap *shap, const qn_matrix *features, struct room *room)
{
    const qn_tree_model *model = shap->model;
    const int64_t n_features = model->n_features;
    const int32_t k = model->head.n_outputs;
    int64_t stride = 0;
    const double *rows = lanes_of(shap, features, 0, room->padded, &stride);
    memset(room->values, 0, (size_t)(k * n_features * n_features) * QN_SHAP_LANES * sizeof(double));
    for (int32_t t = 0; t < model->n_trees; t++) {
        qn_shap_unfold(model, t, &room->tree, NULL);
        qn_shap_put_inverses(shap, &room->tree);
        const int32_t c_first = model->vector_leaves ? 0 : t % k;
        const int32_t c_last = model->vector_leaves ? k - 1 : t % k;
        for (int32_t c = c_first; c <= c_last; c++) {
            qn_shap_walk_pairs(shap, &room->tree, c, rows, stride, &room->lanes,
                               room->values + c * n_features * n_features * QN_SHAP_LANES);
        }
    }
}

/* Many rows in parallel. */

struct job {
    const qn_tree_shap *shap;
    const qn_matrix *features;
    double *values;
    qn_status *statuses; /* per block */
};

static void explain_rows(void *context, int64_t block)
{
    const struct job *job = context;
    const qn_matrix part = part_of(job->features, block * QN_SHAP_ROWS, QN_SHAP_ROWS);
    void *scratch = qn_alloc_aligned((int64_t)qn_tree_shap_scratch_bytes(job->shap), 1);
    job->statuses[block] = scratch ? QN_OK : QN_ERR_NOMEM;
    if (!scratch) return;
    qn_tree_shap_rows(job->shap, &part,
                      job->values + block * QN_SHAP_ROWS * values_a_row(job->shap), scratch);
    qn_free(scratch);
}

static void explain_rows_pairs(void *context, int64_t block)
{
    const struct job *job = context;
    const qn_tree_shap *shap = job->shap;
    const int64_t n_a_row = values_a_row(shap), first = block * QN_SHAP_LANES;
    const qn_matrix part = part_of(job->features, first, QN_SHAP_LANES);
    struct room room;
    const size_t bytes =
        lay_out(shap, NULL, QN_SHAP_LANES, n_a_row * shap->model->n_features, &room);
    char *memory = qn_alloc_aligned((int64_t)bytes, 1);
    void *scratch = qn_alloc_aligned((int64_t)qn_tree_shap_scratch_bytes(shap), 1);
    double *own = qn_alloc_array(part.n_rows * n_a_row, sizeof *own);
    job->statuses[block] = memory && scratch && own ? QN_OK : QN_ERR_NOMEM;
    if (job->statuses[block] == QN_OK) {
        (void)lay_out(shap, memory, QN_SHAP_LANES, n_a_row * shap->model->n_features, &room);
        clear_tree(shap, &room);
        qn_tree_shap_rows(shap, &part, own, scratch);
        explain_pairs(shap, &part, &room);
        put_matrices(shap, room.values, own, part.n_rows,
                     job->values + first * n_a_row * shap->model->n_features);
    }
    qn_free(memory);
    qn_free(scratch);
    qn_free(own);
}

static qn_status run(struct job *job, int64_t rows_a_block, qn_pool_task task, qn_pool *pool,
                     qn_error *err)
{
    const int64_t n_blocks = (job->features->n_rows + rows_a_block - 1) / rows_a_block;
    job->statuses = qn_alloc_array(n_blocks, sizeof *job->statuses);
    if (!job->statuses) return no_memory(err);
    qn_pool_run(pool, n_blocks, task, job);
    qn_status status = QN_OK;
    for (int64_t b = 0; b < n_blocks && status == QN_OK; b++) {
        if (job->statuses[b] != QN_OK) status = no_memory(err);
    }
    qn_free(job->statuses);
    return status;
}

qn_status qn_tree_shap_values(const qn_tree_shap *shap, const qn_matrix *features, qn_pool *pool,
                              double *values, qn_error *err)
{
    struct job job = {.shap = shap, .features = features, .values = values};
    return run(&job, QN_SHAP_ROWS, explain_rows, pool, err);
}

qn_status qn_tree_shap_interactions(const qn_tree_shap *shap, const qn_matrix *features,
                                    qn_pool *pool, double *values, qn_error *err)
{
    struct job job = {.shap = shap, .features = features, .values = values};
    return run(&job, QN_SHAP_LANES, explain_rows_pairs, pool, err);
}
