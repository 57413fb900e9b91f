/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/boosting.h"

#include "base/alloc.h"
#include "learn/class_weight.h"
#include "metric/metric.h"

#include <math.h>
#include <string.h>

/* Life. */

void qn_boosting_release(qn_boosting *b)
{
    for (int32_t i = 0; b->growers && i < b->n_growers; i++) {
        qn_grower_free(b->growers[i]);
    }
    for (int32_t c = 0; c < b->k; c++) {
        if (b->builders) qn_tree_builder_release(&b->builders[c]);
        if (b->gains) qn_free(b->gains[c]);
    }
    qn_objective_rows_release(&b->train);
    qn_objective_rows_release(&b->valid);
    qn_dart_release(&b->dart);
    qn_free(b->weights[0]);
    qn_free(b->weights[1]);
    qn_free(b->growers);
    qn_free(b->builders);
    qn_free(b->gains);
    qn_free(b->grown);
    qn_free(b->scores);
    qn_free(b->valid_scores);
    qn_free(b->valid_predictions);
    qn_free(b->derivatives);
    qn_free(b->rows);
    qn_free(b->sampled);
    qn_free(b->magnitudes);
    qn_free(b->init);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to boost trees");
}

/* parts[] are the data's, with the weights of classes worked into the rows'. */
static qn_status weigh_rows(qn_boosting *b, qn_error *err)
{
    const qn_task task = b->data->task;
    const bool classes = task == QN_TASK_BINARY || task == QN_TASK_MULTICLASS;
    b->parts[0] = b->data->train;
    b->parts[1] = b->data->valid;
    double of_class[QN_CLASSES_MAX];
    const bool balanced = qn_class_weights(b->data, b->params->class_weight, of_class);
    if (!classes || (!balanced && b->params->scale_pos_weight == 1)) return QN_OK;
    if (task == QN_TASK_BINARY) of_class[1] *= b->params->scale_pos_weight;
    for (int i = 0; i < 2; i++) {
        qn_dataset_part *part = &b->parts[i];
        b->weights[i] = qn_alloc_aligned(part->n_rows, sizeof(double));
        if (!b->weights[i]) return no_memory(err);
        for (int64_t row = 0; row < part->n_rows; row++) {
            const double own = part->weights ? part->weights[row] : 1;
            b->weights[i][row] = own * of_class[(int32_t)part->target[row]];
        }
        part->weights = b->weights[i];
    }
    return QN_OK;
}

static qn_status choose_objective(qn_boosting *b, qn_error *err)
{
    const qn_objective *objective;
    const qn_objective_params *params = &b->params->objective;
    QN_TRY(qn_objective_choose(params, b->data, &objective, err));
    const bool own_loss = b->request->metric || (b->params->hooks && b->params->hooks->loss);
    if (params->custom && b->n_valid > 0 && !own_loss) {
        return qn_fail(
            err, QN_ERR_ARG,
            "a custom objective with validation rows needs a loss or a metric to stop by");
    }
    QN_TRY(qn_objective_rows_create(objective, params, b->data, &b->parts[0], &b->train, err));
    return qn_objective_rows_create(objective, params, b->data, &b->parts[1], &b->valid, err);
}

static qn_status allocate(qn_boosting *b, qn_error *err)
{
    const int32_t k = b->k;
    b->scores = qn_alloc_aligned(b->n_train * k, sizeof(double));
    b->valid_scores = qn_alloc_aligned(b->n_valid * k, sizeof(double));
    b->valid_predictions = qn_alloc_aligned(b->n_valid * k, sizeof(double));
    b->derivatives = qn_alloc_aligned(b->n_train * k, sizeof *b->derivatives);
    b->rows = qn_alloc_aligned(b->n_train, sizeof *b->rows);
    b->sampled = qn_alloc_array(b->n_train, 1);
    if (b->params->goss) b->magnitudes = qn_alloc_aligned(b->n_train * 2, sizeof(double));
    b->init = qn_alloc_array(k, sizeof *b->init);
    b->growers = qn_alloc_array(b->n_growers, sizeof *b->growers);
    b->builders = qn_alloc_array(k, sizeof *b->builders);
    b->gains = qn_alloc_array(k, sizeof *b->gains);
    b->grown = qn_alloc_array(k, sizeof *b->grown);
    bool complete = b->scores && b->valid_scores && b->valid_predictions && b->derivatives &&
                    b->rows && b->sampled && b->init && b->growers && b->builders && b->gains &&
                    b->grown && (b->magnitudes || !b->params->goss);
    for (int32_t c = 0; complete && c < k; c++) {
        b->gains[c] = qn_alloc_array(b->data->bins->n_features, sizeof **b->gains);
        complete = b->gains[c] != NULL;
    }
    if (!complete) return no_memory(err);
    for (int32_t i = 0; i < b->n_growers; i++) {
        QN_TRY(qn_grower_create(b->data->bins, &b->params->grow,
                                b->n_growers == 1 ? b->request->pool : NULL, &b->growers[i], err));
    }
    return QN_OK;
}

/* Where scores begin. */

qn_status qn_boosting_check_model(const qn_tree_model *model, const qn_objective *objective,
                                  int32_t k, int64_t n_features, qn_error *err)
{
    if (!model || model->vector_leaves || model->averaged || model->line_starts ||
        model->scale != 1 || model->link != objective->link || model->head.n_outputs != k) {
        return qn_fail(err, QN_ERR_ARG,
                       "the model was not boosted with objective %s on such a target",
                       objective->name);
    }
    if (model->n_features > n_features) {
        return qn_fail(err, QN_ERR_ARG, "the model knows %lld features, the rows have %lld",
                       (long long)model->n_features, (long long)n_features);
    }
    return QN_OK;
}

static qn_status begin(qn_boosting *b, qn_error *err)
{
    double *const scores[2] = {b->scores, b->valid_scores};
    const qn_tree_model *before = NULL;
    bool given = false; /* scores to begin with: no constant is fitted beside them */
    for (int i = 0; i < 2; i++) {
        given |= b->parts[i].init_scores != NULL;
    }
    if (b->request->from) {
        before = qn_tree_model_of(b->request->from);
        QN_TRY(qn_boosting_check_model(before, b->train.objective, b->k,
                                       b->data->n_features[QN_VIEW_TREE], err));
        if (!b->parts[0].views[QN_VIEW_TREE].dense) {
            return qn_fail(err, QN_ERR_ARG, "to go on from a model takes the rows, not only bins");
        }
        b->n_before = before->n_trees / b->k;
        memcpy(b->init, before->init, (size_t)b->k * sizeof *b->init);
    } else if (!given) {
        b->train.objective->init(&b->train, b->init);
    }
    for (int i = 0; i < 2; i++) {
        const qn_dataset_part *part = &b->parts[i];
        for (int64_t at = 0; at < part->n_rows * b->k; at++) {
            scores[i][at] = b->init[at % b->k];
        }
        if (before) {
            QN_TRY(qn_tree_model_scores(before, 0, &part->views[QN_VIEW_TREE], b->request->pool,
                                        scores[i], err));
        }
        for (int64_t at = 0; part->init_scores && at < part->n_rows * b->k; at++) {
            scores[i][at] += part->init_scores[at];
        }
    }
    b->n_sampled = b->n_train;
    memset(b->sampled, 1, (size_t)b->n_train);
    return QN_OK;
}

qn_status qn_boosting_create(const qn_learn_request *request, const qn_gbdt_params *params,
                             qn_boosting *out, qn_error *err)
{
    const qn_dataset *data = request->data;
    *out = (qn_boosting){.request = request,
                         .data = data,
                         .params = params,
                         .k = data->task == QN_TASK_MULTICLASS ? data->n_classes : 1,
                         .n_train = data->train.n_rows,
                         .n_valid = data->valid.n_rows};
    const int n_threads = qn_pool_n_threads(request->pool);
    out->n_growers = out->k < n_threads ? out->k : n_threads;
    if (out->k == 1) out->n_growers = 1;
    qn_status status = weigh_rows(out, err);
    if (status == QN_OK) status = choose_objective(out, err);
    if (status == QN_OK) status = allocate(out, err);
    if (status == QN_OK) status = begin(out, err);
    if (status != QN_OK) qn_boosting_release(out);
    return status;
}

/* Trees of a round. */

static double renew(void *context, const int32_t *rows, int64_t n, int64_t place)
{
    const qn_boosting *b = context;
    const double level = b->train.objective->quantile(b->train.params);
    return qn_objective_residual_quantile(&b->train, b->scores, level, rows, n, place);
}

static void grow_output(qn_boosting *b, qn_grower *grower, int32_t c)
{
    qn_tree_builder *builder = &b->builders[c];
    qn_pool *pool = b->n_growers == 1 ? b->request->pool : NULL;
    const qn_grow_request request = {
        .rows = b->n_sampled < b->n_train ? b->rows : NULL,
        .n_rows = b->n_sampled,
        .derivatives = b->derivatives + c * b->n_train,
        .shrinkage = b->params->grow.learning_rate / (double)(1 + b->dart.n_dropped),
        .step_max = qn_objective_step_max(b->train.objective, &b->params->grow),
        .seed = qn_seed_child(b->request->seed, (uint64_t)(b->round * b->k + c)),
        .stop = b->request->stop,
        .renew = b->train.objective->quantile ? renew : NULL,
        .renew_context = b};
    b->grown[c] = qn_grower_grow(grower, &request, builder, b->scores + c, b->k, b->gains[c]);
    if (!b->grown[c] || builder->failed) return;
    const qn_bin_tree *tree = qn_grower_tree(grower);
    if (b->n_sampled < b->n_train) {
        qn_bin_tree_add(tree, b->data->bins, 0, b->n_train, b->sampled, 1, b->scores + c, b->k,
                        pool);
    }
    qn_bin_tree_add(tree, b->data->bins, b->n_train, b->n_valid, NULL, 1, b->valid_scores + c, b->k,
                    pool);
    if (b->params->dart &&
        qn_bin_tree_copy(tree, &b->dart.trees[b->dart.n_trees + c], NULL) != QN_OK) {
        builder->failed = true;
    }
}

static void grow_outputs(void *context, int64_t i)
{
    qn_boosting *b = context;
    for (int32_t c = (int32_t)i; c < b->k; c += b->n_growers) {
        grow_output(b, b->growers[i], c);
    }
}

/* One round: its trees are added to the model and to the scores. Fails with QN_ERR_INTERRUPTED
 * (told to stop; the model is as it was), QN_ERR_DATA (a custom objective), QN_ERR_NOMEM. */
static qn_status add_round(qn_boosting *b, qn_rng *rng, qn_tree_builder *model)
{
    if (qn_stop_requested(b->request->stop)) return QN_ERR_INTERRUPTED;
    qn_boosting_draw_rows(b, rng);
    if (b->params->dart && !qn_dart_drop(b, rng)) return QN_ERR_NOMEM;
    if (!qn_objective_derive(&b->train, b->request->pool, b->scores, b->derivatives)) {
        return QN_ERR_DATA;
    }
    if (b->params->goss) qn_boosting_draw_by_gradient(b, rng);
    qn_pool_run(b->request->pool, b->n_growers, grow_outputs, b);
    for (int32_t c = 0; c < b->k; c++) {
        if (!b->grown[c]) return QN_ERR_INTERRUPTED;
    }
    for (int32_t c = 0; c < b->k; c++) {
        qn_tree_builder_take(model, &b->builders[c]);
    }
    if (model->failed) return QN_ERR_NOMEM;
    if (b->params->dart) qn_dart_restore(b, model);
    return QN_OK;
}

/* Stopping. */

double qn_boosting_metric_loss(const qn_dataset *data, const qn_dataset_part *part, qn_link link,
                               const qn_metric *metric, const double *scores, double *predictions)
{
    const int32_t k = data->task == QN_TASK_MULTICLASS ? data->n_classes : 1;
    memcpy(predictions, scores, (size_t)(part->n_rows * k) * sizeof *predictions);
    qn_link_apply(link, part->n_rows, k, predictions);
    const qn_metric_input input = {.task = data->task,
                                   .n_classes = data->n_classes,
                                   .n_rows = part->n_rows,
                                   .target = part->target,
                                   .predicted = predictions,
                                   .weights = part->weights,
                                   .groups = part->groups};
    double value = QN_NA;
    if (metric->compute(&input, &value, NULL) != QN_OK || isnan(value)) return QN_INF;
    return -qn_metric_score(metric, value);
}

/* Of the validation rows; less is better. */
static double loss_of(const qn_boosting *b)
{
    const qn_gbdt_hooks *hooks = b->params->hooks;
    const qn_metric *metric = b->request->metric;
    if (hooks && hooks->loss) {
        return hooks->loss(hooks->context, b->n_valid, b->k, b->valid_scores);
    }
    if (!metric) return qn_objective_loss(&b->valid, b->request->pool, b->valid_scores);
    return qn_boosting_metric_loss(b->data, &b->parts[1], b->train.objective->link, metric,
                                   b->valid_scores, b->valid_predictions);
}

/* Rounds to wait for an improvement: more when steps are small, and the later the best came. */
static int64_t patience_of(const qn_boosting *b, int64_t best_round)
{
    if (b->params->early_stopping_rounds > 0) return b->params->early_stopping_rounds;
    const double steps = 0.05 / b->params->grow.learning_rate;
    const double base = 40 * fmin(fmax(steps, 0.4), 2);
    return (int64_t)(base + 0.15 * (double)best_round);
}

static bool go_on(const qn_boosting *b, double loss)
{
    const qn_gbdt_hooks *hooks = b->params->hooks;
    if (!hooks || !hooks->after_round) return true;
    return hooks->after_round(hooks->context, b->n_before + b->round + 1, loss);
}

qn_status qn_boosting_run(qn_boosting *b, qn_tree_builder *model, qn_boosting_end *end,
                          qn_error *err)
{
    const double fidelity = b->request->fidelity > 0 ? b->request->fidelity : 1;
    const int64_t n_rounds = (int64_t)ceil(fidelity * (double)b->params->n_estimators);
    double best = QN_INF;
    *end = (qn_boosting_end){.n_kept = b->n_before};
    if (b->n_before > 0) {
        qn_tree_builder_add_model(model, qn_tree_model_of(b->request->from));
        if (b->n_valid > 0) best = loss_of(b);
    }
    int64_t best_round = 0;
    qn_rng rng;
    qn_rng_init(&rng, b->request->seed, UINT64_MAX - (uint64_t)b->n_before);
    for (b->round = 0; b->round < n_rounds; b->round++) {
        const qn_status status = add_round(b, &rng, model);
        end->stopped = status == QN_ERR_INTERRUPTED;
        if (end->stopped) break;
        if (status == QN_ERR_NOMEM) return no_memory(err);
        if (status != QN_OK) {
            return qn_fail(
                err, status,
                "round %lld: the custom objective gave a gradient or hessian that is not "
                "finite, or a hessian below 0",
                (long long)(b->n_before + b->round + 1));
        }
        const double loss = b->n_valid > 0 ? loss_of(b) : QN_NA;
        if (b->n_valid == 0 || loss < best - 1e-9 * fabs(best == QN_INF ? 0 : best)) {
            best = loss;
            best_round = b->round + 1;
            end->n_kept = b->n_before + best_round;
            if (b->params->dart) qn_dart_keep_best(b);
        } else if (b->round + 1 - best_round >= patience_of(b, best_round)) {
            break;
        }
        if (!go_on(b, loss)) break;
    }
    if (end->n_kept == 0 && end->stopped) {
        return qn_fail(err, QN_ERR_INTERRUPTED, "stopped before the first round was done");
    }
    if (b->params->dart) qn_dart_finish(b, model);
    return QN_OK;
}
