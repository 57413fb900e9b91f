/* SPDX-License-Identifier: Apache-2.0 */
/* New leaf values for trees that stand. */
#include "learn/tree/boosting.h"

#include "base/alloc.h"

#include <string.h>

enum { BLOCK_ROWS = 4096 };

struct refit {
    const qn_tree_model *model;
    const qn_dataset *data;
    const qn_gbdt_params *params;
    double decay;
    qn_pool *pool;
    qn_objective_rows rows;
    double *scores;              /* row after row, an entry per output */
    qn_derivatives *derivatives; /* output after output */
    int32_t *leaves;             /* per row: the leaf it reaches */
    int32_t tree;
    double *values; /* per leaf of the model: the new ones */
    /* Per leaf of the model. */
    double *g, *h;
    int64_t *starts; /* one more: rows by leaf */
    int32_t *by_leaf;
};

static void find_leaves(void *context, int64_t block)
{
    struct refit *r = context;
    const int64_t begin = block * BLOCK_ROWS;
    const int64_t end = begin + BLOCK_ROWS < r->rows.n ? begin + BLOCK_ROWS : r->rows.n;
    const qn_matrix *view = &r->data->train.views[QN_VIEW_TREE];
    for (int64_t row = begin; row < end; row++) {
        r->leaves[row] = (int32_t)qn_tree_model_leaf(r->model, r->tree, view, row);
    }
}

static double fresh_value(struct refit *r, int64_t leaf)
{
    const qn_grow_params *grow = &r->params->grow;
    if (r->rows.objective->quantile) {
        const int64_t begin = r->starts[leaf], n = r->starts[leaf + 1] - begin;
        return qn_objective_residual_quantile(&r->rows, r->scores,
                                              r->rows.objective->quantile(r->rows.params),
                                              r->by_leaf + begin, n, begin);
    }
    const qn_leaf_bounds bounds = {-QN_INF, QN_INF, 0};
    const double n = (double)(r->starts[leaf + 1] - r->starts[leaf]);
    const double value = qn_leaf_value(grow, &bounds, r->g[leaf], r->h[leaf], n);
    const double most = qn_objective_step_max(r->rows.objective, grow);
    return most > 0 ? fmin(fmax(value, -most), most) : value;
}

/* Counting sort of the rows by the leaf they reach, and the sums of their derivatives. */
static void sort_rows(struct refit *r, const qn_derivatives *derivatives)
{
    const int64_t n_leaves = r->model->n_values;
    memset(r->starts, 0, (size_t)(n_leaves + 1) * sizeof *r->starts);
    memset(r->g, 0, (size_t)n_leaves * sizeof *r->g);
    memset(r->h, 0, (size_t)n_leaves * sizeof *r->h);
    for (int64_t row = 0; row < r->rows.n; row++) {
        const int32_t leaf = r->leaves[row];
        r->starts[leaf + 1]++;
        r->g[leaf] += derivatives[row].gradient;
        r->h[leaf] += derivatives[row].hessian;
    }
    for (int64_t leaf = 0; leaf < n_leaves; leaf++) {
        r->starts[leaf + 1] += r->starts[leaf];
    }
    for (int64_t row = r->rows.n - 1; row >= 0; row--) { /* fills each leaf from its end */
        r->by_leaf[--r->starts[r->leaves[row] + 1]] = (int32_t)row;
    }
    for (int64_t leaf = 0; leaf < n_leaves; leaf++) { /* ends have become beginnings */
        r->starts[leaf] = r->starts[leaf + 1];
    }
    r->starts[n_leaves] = r->rows.n;
}

static void refit_tree(struct refit *r, int32_t c)
{
    const int64_t n = r->rows.n;
    qn_pool_run(r->pool, (n + BLOCK_ROWS - 1) / BLOCK_ROWS, find_leaves, r);
    sort_rows(r, r->derivatives + c * n);
    for (int64_t leaf = 0; leaf < r->model->n_values; leaf++) {
        if (r->starts[leaf + 1] == r->starts[leaf]) continue;
        const double fresh = fresh_value(r, leaf) * r->params->grow.learning_rate;
        r->values[leaf] = r->decay * r->model->values[leaf] + (1 - r->decay) * fresh;
    }
    for (int64_t row = 0; row < n; row++) {
        r->scores[row * r->rows.k + c] += r->values[r->leaves[row]];
    }
}

static bool allocate(struct refit *r)
{
    const int64_t n = r->rows.n, k = r->rows.k, n_leaves = r->model->n_values;
    r->scores = qn_alloc_aligned(n * k, sizeof *r->scores);
    r->derivatives = qn_alloc_aligned(n * k, sizeof *r->derivatives);
    r->leaves = qn_alloc_aligned(n, sizeof *r->leaves);
    r->by_leaf = qn_alloc_aligned(n, sizeof *r->by_leaf);
    r->values = qn_alloc_array(n_leaves, sizeof *r->values);
    r->g = qn_alloc_array(n_leaves, sizeof *r->g);
    r->h = qn_alloc_array(n_leaves, sizeof *r->h);
    r->starts = qn_alloc_array(n_leaves + 1, sizeof *r->starts);
    return r->scores && r->derivatives && r->leaves && r->by_leaf && r->values && r->g && r->h &&
           r->starts;
}

static void release(struct refit *r)
{
    qn_objective_rows_release(&r->rows);
    qn_free(r->scores);
    qn_free(r->derivatives);
    qn_free(r->leaves);
    qn_free(r->by_leaf);
    qn_free(r->values);
    qn_free(r->g);
    qn_free(r->h);
    qn_free(r->starts);
}

/* The model's trees with r->values. */
static qn_status build(const struct refit *r, qn_estimator **out, qn_error *err)
{
    qn_tree_builder builder = {0};
    qn_tree_builder_add_model(&builder, r->model);
    if (!builder.failed && builder.n_values > 0) {
        memcpy(builder.values, r->values, (size_t)builder.n_values * sizeof *builder.values);
    }
    const qn_status status = qn_tree_builder_finish(&builder, r->model->n_trees, r->model->link,
                                                    false, r->model->init, r->rows.k, out, err);
    qn_tree_builder_release(&builder);
    return status;
}

qn_status qn_gbdt_refit(const qn_tree_model *model, const qn_dataset *data,
                        const qn_gbdt_params *params, double decay, qn_pool *pool,
                        qn_estimator **out, qn_error *err)
{
    const qn_objective *objective;
    struct refit r = {.model = model, .data = data, .params = params, .decay = decay, .pool = pool};
    *out = NULL;
    QN_TRY(qn_objective_choose(&params->objective, data, &objective, err));
    const int32_t k = data->task == QN_TASK_MULTICLASS ? data->n_classes : 1;
    QN_TRY(qn_boosting_check_model(model, objective, k, data->n_features[QN_VIEW_TREE], err));
    qn_status status =
        qn_objective_rows_create(objective, &params->objective, data, &data->train, &r.rows, err);
    if (status == QN_OK && !allocate(&r)) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory to refit a model");
    }
    if (status == QN_OK) {
        memcpy(r.values, model->values, (size_t)model->n_values * sizeof *r.values);
        for (int64_t i = 0; i < r.rows.n * k; i++) {
            r.scores[i] = data->train.init_scores ? data->train.init_scores[i] : 0;
            r.scores[i] += model->init[i % k];
        }
        for (r.tree = 0; r.tree < model->n_trees; r.tree++) {
            const int32_t c = r.tree % k;
            if (c == 0) (void)qn_objective_derive(&r.rows, pool, r.scores, r.derivatives);
            refit_tree(&r, c);
        }
        status = build(&r, out, err);
    }
    release(&r);
    return status;
}
