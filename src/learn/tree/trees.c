/* SPDX-License-Identifier: Apache-2.0 */
/* The public face of the engine: quern/trees.h. */
#include "quern/trees.h"

#include "base/alloc.h"
#include "bundle/bundle.h"
#include "learn/tree/bins.h"
#include "learn/tree/boosting.h"
#include "learn/tree/tree_learners.h"

#include <math.h>
#include <string.h>

struct qn_trees {
    qn_estimator *estimator;
    const qn_tree_model *model; /* the same */
    qn_task task;
    int32_t n_classes;
    int64_t n_features;
    char **names;
    int64_t n_rounds;
    double *importance;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to work with trees");
}

void qn_trees_free(qn_trees *trees)
{
    if (!trees) return;
    for (int64_t f = 0; trees->names && f < trees->n_features; f++) {
        qn_free(trees->names[f]);
    }
    qn_free(trees->names);
    qn_free(trees->importance);
    qn_estimator_free(trees->estimator);
    qn_free(trees);
}

static qn_status create_trees(qn_task task, int32_t n_classes, int64_t n_features,
                              const char *const *names, qn_trees **out, qn_error *err)
{
    qn_trees *trees = qn_alloc_array(1, sizeof *trees);
    bool complete = trees != NULL;
    if (complete) {
        *trees = (qn_trees){.task = task, .n_classes = n_classes, .n_features = n_features};
        trees->names = qn_alloc_array(n_features, sizeof *trees->names);
        trees->importance = qn_alloc_array(n_features, sizeof *trees->importance);
        complete = trees->names && trees->importance;
    }
    for (int64_t f = 0; complete && f < n_features; f++) {
        qn_str name = {0};
        if (names) {
            qn_str_add(&name, names[f]);
        } else {
            qn_str_addf(&name, "f%lld", (long long)f);
        }
        trees->names[f] = name.failed ? NULL : qn_strdup(name.text);
        complete = trees->names[f] != NULL;
        qn_str_release(&name);
    }
    *out = trees;
    if (complete) return QN_OK;
    qn_trees_free(trees);
    *out = NULL;
    return no_memory(err);
}

/* Rows. */

/* A view of the rows as columns; *owned is memory to free, if they had to be copied. */
static qn_status view_rows(const qn_trees_rows *rows, int64_t n_features, qn_matrix *view,
                           double **owned, qn_error *err)
{
    const int64_t n = rows->n_rows;
    *owned = NULL;
    *view = (qn_matrix){.n_rows = n, .n_dense = n_features, .stride = rows->feature_stride};
    if (n > INT32_MAX) return qn_fail(err, QN_ERR_ARG, "more than %d rows", INT32_MAX);
    if (rows->row_stride == 1) {
        view->dense = (double *)(uintptr_t)rows->values; /* only read */
        return QN_OK;
    }
    view->stride = n;
    view->dense = *owned = qn_alloc_aligned(n * n_features, sizeof **owned);
    if (!*owned) return no_memory(err);
    for (int64_t r = 0; r < n; r++) {
        for (int64_t f = 0; f < n_features; f++) {
            view->dense[f * n + r] = rows->values[r * rows->row_stride + f * rows->feature_stride];
        }
    }
    return QN_OK;
}

static qn_status check_rows(const qn_trees_rows *rows, qn_task task, int32_t n_classes,
                            const char *what, qn_error *err)
{
    const bool classes = task == QN_TASK_BINARY || task == QN_TASK_MULTICLASS;
    double weights = 0;
    if (!rows->target) return qn_fail(err, QN_ERR_ARG, "%s rows without a target", what);
    for (int64_t i = 0; i < rows->n_rows; i++) {
        const double y = rows->target[i];
        if (!isfinite(y) || (classes && (y != floor(y) || y < 0 || y >= n_classes))) {
            return qn_fail(err, QN_ERR_ARG, "%s row %lld: target %g is not %s", what, (long long)i,
                           y, classes ? "the number of a class" : "a number");
        }
        if (rows->weights && !(rows->weights[i] >= 0 && isfinite(rows->weights[i]))) {
            return qn_fail(err, QN_ERR_ARG, "%s row %lld: weight %g is not 0 or more", what,
                           (long long)i, rows->weights[i]);
        }
        if (rows->groups && rows->groups[i] < 0) {
            return qn_fail(err, QN_ERR_ARG, "%s row %lld: query %d is below 0", what, (long long)i,
                           rows->groups[i]);
        }
        weights += rows->weights ? rows->weights[i] : 1;
    }
    return weights > 0 ? QN_OK : qn_fail(err, QN_ERR_ARG, "%s rows: all weights are 0", what);
}

/* Borrows everything but what view_rows() copies. */
static qn_status fill_part(const qn_trees_rows *rows, qn_dataset *data, qn_dataset_part *part,
                           const char *what, double **owned, qn_error *err)
{
    *owned = NULL;
    if (rows->n_rows == 0) return QN_OK;
    const int32_t n_classes = data->task == QN_TASK_BINARY ? 2 : data->n_classes;
    QN_TRY(check_rows(rows, data->task, n_classes, what, err));
    part->n_rows = rows->n_rows;
    part->target = (double *)(uintptr_t)rows->target;
    part->weights = (double *)(uintptr_t)rows->weights;
    part->groups = (int32_t *)(uintptr_t)rows->groups;
    part->init_scores = rows->init_scores;
    return view_rows(rows, data->n_dense[QN_VIEW_TREE], &part->views[QN_VIEW_TREE], owned, err);
}

static qn_status find_task(const char *name, int32_t n_classes, qn_task *task, qn_error *err)
{
    const qn_task tasks[] = {QN_TASK_REGRESSION, QN_TASK_BINARY, QN_TASK_MULTICLASS,
                             QN_TASK_RANKING};
    *task = QN_TASK_REGRESSION;
    for (int i = 0; name && i < 4; i++) {
        if (strcmp(qn_task_name(tasks[i]), name) == 0) {
            *task = tasks[i];
            name = NULL;
        }
    }
    if (name) {
        return qn_fail(err, QN_ERR_ARG, "no task '%s': regression, binary, multiclass or ranking",
                       name);
    }
    if (*task == QN_TASK_MULTICLASS && (n_classes < 2 || n_classes > QN_CLASSES_MAX)) {
        return qn_fail(err, QN_ERR_ARG, "n_classes %d is not 2 … %d", n_classes, QN_CLASSES_MAX);
    }
    return QN_OK;
}

/* Training. */

/* What a training works with beside the caller's. */
struct training {
    qn_dataset data;
    qn_feature *features;
    int32_t *columns;
    double *owned[2];
    qn_pool *pool;
    qn_gbdt_params params;
    qn_gbdt_hooks hooks;
    qn_custom_objective custom;
};

static void release_training(struct training *t)
{
    qn_bins_free(t->data.bins);
    qn_free(t->features);
    qn_free(t->columns);
    qn_free(t->owned[0]);
    qn_free(t->owned[1]);
    qn_pool_free(t->pool);
}

static qn_status describe_features(const qn_trees_request *r, struct training *t, qn_error *err)
{
    qn_dataset *data = &t->data;
    if (r->n_features < 1)
        return qn_fail(err, QN_ERR_ARG, "n_features %lld is not 1 or more",
                       (long long)r->n_features);
    t->features = qn_alloc_array(r->n_features, sizeof *t->features);
    t->columns = qn_alloc_array(r->n_features, sizeof *t->columns);
    if (!t->features || !t->columns) return no_memory(err);
    for (int64_t f = 0; f < r->n_features; f++) {
        const int32_t n_levels = r->n_levels ? r->n_levels[f] : 0;
        if (n_levels < 0 || n_levels > QN_CODES_MAX) {
            return qn_fail(err, QN_ERR_ARG, "feature %lld: %d levels are not 0 … %d", (long long)f,
                           n_levels, QN_CODES_MAX);
        }
        t->features[f] = (qn_feature){.categorical = n_levels > 0, .n_levels = n_levels};
        t->columns[f] = (int32_t)f;
        if (n_levels > 0 && r->monotone_constraints && r->monotone_constraints[f] != 0) {
            return qn_fail(err, QN_ERR_ARG, "feature %lld is a category: it cannot be monotone",
                           (long long)f);
        }
    }
    data->n_features[QN_VIEW_TREE] = data->n_dense[QN_VIEW_TREE] = r->n_features;
    data->features[QN_VIEW_TREE] = t->features;
    data->monotone = r->monotone_constraints;
    data->interaction_sets = r->interaction_constraints;
    data->columns = t->columns;
    return QN_OK;
}

static qn_status take_hooks(const qn_trees_hooks *hooks, struct training *t, qn_error *err)
{
    static const struct {
        const char *name;
        qn_link link;
    } links[] = {{"identity", QN_LINK_IDENTITY},
                 {"logistic", QN_LINK_LOGISTIC},
                 {"softmax", QN_LINK_SOFTMAX},
                 {"exp", QN_LINK_EXP}};
    if (!hooks) return QN_OK;
    t->hooks = (qn_gbdt_hooks){hooks->context, hooks->after_round, hooks->loss};
    t->params.hooks = &t->hooks;
    if (!hooks->derive) return QN_OK;
    t->custom = (qn_custom_objective){hooks->derive, hooks->context, QN_LINK_IDENTITY};
    t->params.objective.custom = &t->custom;
    for (size_t i = 0; hooks->link && i < sizeof links / sizeof *links; i++) {
        if (strcmp(links[i].name, hooks->link) != 0) continue;
        t->custom.link = links[i].link;
        return QN_OK;
    }
    if (!hooks->link) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "no link '%s': identity, logistic, softmax or exp",
                   hooks->link);
}

static qn_status begin_training(const qn_trees_request *r, struct training *t, qn_error *err)
{
    const int64_t max_bin = r->max_bin ? r->max_bin : QN_NARROW_BINS_MAX;
    if (max_bin < 3 || max_bin > QN_BINS_MAX) {
        return qn_fail(err, QN_ERR_ARG, "max_bin %lld is not 3 … %d", (long long)max_bin,
                       QN_BINS_MAX);
    }
    if (r->train.n_rows < 1) return qn_fail(err, QN_ERR_ARG, "no rows to train on");
    qn_dataset *data = &t->data;
    QN_TRY(find_task(r->task, r->n_classes, &data->task, err));
    data->n_classes = data->task == QN_TASK_BINARY       ? 2
                      : data->task == QN_TASK_MULTICLASS ? r->n_classes
                                                         : 0;
    data->n_outputs = data->task == QN_TASK_MULTICLASS ? r->n_classes : 1;
    qn_params_init(&qn_learner_gbdt, &t->params);
    QN_TRY(qn_params_set(&qn_learner_gbdt, &t->params, r->params ? r->params : "", err));
    QN_TRY(take_hooks(r->hooks, t, err));
    QN_TRY(describe_features(r, t, err));
    QN_TRY(fill_part(&r->train, data, &data->train, "training", &t->owned[0], err));
    QN_TRY(fill_part(&r->valid, data, &data->valid, "validation", &t->owned[1], err));
    t->pool = qn_pool_create((int)r->n_threads);
    if (!t->pool) return no_memory(err);
    return qn_bins_create(data, (int)max_bin, t->pool, &data->bins, err);
}

static qn_status fit(const qn_trees_request *r, const struct training *t, qn_trees *trees,
                     qn_error *err)
{
    const qn_stop stop = {.deadline_s = r->time_limit_s > 0 ? qn_clock_s() + r->time_limit_s : 0,
                          .interrupted = r->interrupted};
    const qn_metric *metric = r->metric ? qn_metric_find(r->metric) : NULL;
    if (r->metric && (!metric || !(metric->tasks & (1u << t->data.task)))) {
        return qn_fail(err, QN_ERR_ARG, "no metric '%s' for %s; see 'quern metrics'", r->metric,
                       qn_task_name(t->data.task));
    }
    const qn_learn_request request = {.data = &t->data,
                                      .params = &t->params,
                                      .seed = r->seed ? (uint64_t)r->seed : 1,
                                      .from = r->from ? r->from->estimator : NULL,
                                      .metric = metric,
                                      .stop = &stop,
                                      .pool = t->pool};
    qn_learn_result result;
    QN_TRY(qn_learner_gbdt.fit(&request, &result, err));
    trees->estimator = result.estimator;
    trees->model = qn_tree_model_of(result.estimator);
    trees->n_rounds = result.n_rounds;
    for (int64_t f = 0; result.importance && f < trees->n_features; f++) {
        trees->importance[f] = result.importance[f];
    }
    qn_free(result.importance);
    return QN_OK;
}

qn_status qn_trees_train(const qn_trees_request *request, qn_trees **out, qn_error *err)
{
    struct training training = {0};
    qn_trees *trees = NULL;
    *out = NULL;
    qn_status status = begin_training(request, &training, err);
    if (status == QN_OK) {
        status = create_trees(training.data.task, training.data.n_classes, request->n_features,
                              request->feature_names, &trees, err);
    }
    if (status == QN_OK) status = fit(request, &training, trees, err);
    release_training(&training);
    if (status == QN_OK) {
        *out = trees;
    } else {
        qn_trees_free(trees);
    }
    return status;
}

int64_t qn_trees_n_rounds(const qn_trees *trees)
{
    return trees->n_rounds;
}

int64_t qn_trees_n_trees(const qn_trees *trees)
{
    return trees->model->n_trees;
}

int32_t qn_trees_n_outputs(const qn_trees *trees)
{
    return trees->estimator->n_outputs;
}

const double *qn_trees_importance(const qn_trees *trees)
{
    return trees->importance;
}

/* Use. */

enum { BLOCK_ROWS = 1024 };

struct use {
    const qn_tree_model *model;
    const qn_matrix *view;
    int32_t *leaves;
    const int64_t *first_leaves; /* per tree */
};

static qn_matrix block_of(const qn_matrix *view, int64_t block)
{
    qn_matrix part = *view;
    const int64_t begin = block * BLOCK_ROWS, left = view->n_rows - begin;
    part.dense += begin;
    part.n_rows = left < BLOCK_ROWS ? left : BLOCK_ROWS;
    return part;
}

qn_status qn_trees_predict(const qn_trees *trees, const qn_trees_rows *rows, int64_t n_rounds,
                           bool raw, int64_t n_threads, double *out, qn_error *err)
{
    qn_matrix view;
    double *owned;
    if (n_rounds < 0 || n_rounds > trees->n_rounds) {
        return qn_fail(err, QN_ERR_ARG, "%lld rounds are not 0 … %lld", (long long)n_rounds,
                       (long long)trees->n_rounds);
    }
    QN_TRY(view_rows(rows, trees->n_features, &view, &owned, err));
    qn_pool *pool = qn_pool_create((int)n_threads);
    qn_status status = pool ? QN_OK : no_memory(err);
    if (status == QN_OK && !raw && n_rounds == 0) {
        status = qn_estimator_predict(trees->estimator, &view, pool, out, err);
    } else if (status == QN_OK) {
        const qn_tree_model *model = trees->model;
        status = qn_tree_model_scores(model, (int32_t)n_rounds * model->head.n_outputs, &view, pool,
                                      out, err);
        if (status == QN_OK && !raw) {
            qn_link_apply(model->link, view.n_rows, model->head.n_outputs, out);
        }
    }
    qn_pool_free(pool);
    qn_free(owned);
    return status;
}

static void find_leaves(void *context, int64_t block)
{
    const struct use *use = context;
    const qn_matrix part = block_of(use->view, block);
    const int64_t n_trees = use->model->n_trees;
    int32_t *out = use->leaves + block * BLOCK_ROWS * n_trees;
    for (int64_t row = 0; row < part.n_rows; row++) {
        for (int32_t t = 0; t < n_trees; t++) {
            const int64_t leaf = qn_tree_model_leaf(use->model, t, &part, row);
            out[row * n_trees + t] = (int32_t)(leaf - use->first_leaves[t]);
        }
    }
}

/* The smallest leaf below a node: where the leaves of its tree begin. */
static int64_t first_leaf(const qn_tree_model *model, int32_t root, int32_t next_root)
{
    if (root < 0) return ~root;
    int64_t least = model->n_values;
    const int64_t end = next_root >= 0 ? next_root : model->n_nodes;
    for (int64_t i = root; i < end; i++) {
        const int32_t children[2] = {model->nodes[i].left, model->nodes[i].right};
        for (int side = 0; side < 2; side++) {
            if (children[side] < 0 && ~children[side] < least) least = ~children[side];
        }
    }
    return least;
}

qn_status qn_trees_leaves(const qn_trees *trees, const qn_trees_rows *rows, int64_t n_threads,
                          int32_t *out, qn_error *err)
{
    const qn_tree_model *model = trees->model;
    qn_matrix view;
    double *owned;
    QN_TRY(view_rows(rows, trees->n_features, &view, &owned, err));
    qn_pool *pool = qn_pool_create((int)n_threads);
    int64_t *firsts = qn_alloc_array(model->n_trees, sizeof *firsts);
    const qn_status status = pool && firsts ? QN_OK : no_memory(err);
    if (status == QN_OK) {
        int32_t next_root = -1;
        for (int32_t t = model->n_trees - 1; t >= 0; t--) {
            firsts[t] = first_leaf(model, model->roots[t], next_root);
            if (model->roots[t] >= 0) next_root = model->roots[t];
        }
        struct use use = {.model = model, .view = &view, .leaves = out, .first_leaves = firsts};
        qn_pool_run(pool, (view.n_rows + BLOCK_ROWS - 1) / BLOCK_ROWS, find_leaves, &use);
    }
    qn_free(firsts);
    qn_pool_free(pool);
    qn_free(owned);
    return status;
}

qn_status qn_trees_refit(const qn_trees *trees, const qn_trees_rows *rows, double decay,
                         const char *params, int64_t n_threads, qn_trees **out, qn_error *err)
{
    *out = NULL;
    if (!(decay >= 0 && decay <= 1)) {
        return qn_fail(err, QN_ERR_ARG, "decay %g is not 0 … 1", decay);
    }
    qn_gbdt_params p = {0};
    double *owned = NULL;
    qn_dataset data = {.task = trees->task,
                       .n_classes = trees->n_classes,
                       .n_outputs = trees->estimator->n_outputs};
    data.n_features[QN_VIEW_TREE] = data.n_dense[QN_VIEW_TREE] = trees->n_features;
    qn_params_init(&qn_learner_gbdt, &p);
    QN_TRY(qn_params_set(&qn_learner_gbdt, &p, params ? params : "", err));
    qn_trees *made = NULL;
    qn_pool *pool = qn_pool_create((int)n_threads);
    qn_status status = pool ? QN_OK : no_memory(err);
    if (status == QN_OK) status = fill_part(rows, &data, &data.train, "new", &owned, err);
    if (status == QN_OK) {
        status = create_trees(trees->task, trees->n_classes, trees->n_features,
                              (const char *const *)trees->names, &made, err);
    }
    if (status == QN_OK) {
        status = qn_gbdt_refit(trees->model, &data, &p, decay, pool, &made->estimator, err);
    }
    qn_free(owned);
    qn_pool_free(pool);
    if (status != QN_OK) {
        qn_trees_free(made);
        return status;
    }
    made->model = qn_tree_model_of(made->estimator);
    made->n_rounds = trees->n_rounds;
    memcpy(made->importance, trees->importance,
           (size_t)trees->n_features * sizeof *made->importance);
    *out = made;
    return QN_OK;
}

qn_status qn_trees_save(const qn_trees *trees, const char *path, const char *labels, qn_error *err)
{
    char objective[] = "boosted trees";
    const qn_imported model = {.format = "quern/trees.h",
                               .objective = objective,
                               .estimator = trees->estimator,
                               .task = trees->task,
                               .n_classes = trees->n_classes,
                               .n_features = trees->n_features,
                               .features = trees->names};
    const qn_import_request request = {.source = path, .model = path, .labels = labels};
    return qn_bundle_write_plain(&model, &request, "qn_trees_save()", err);
}
