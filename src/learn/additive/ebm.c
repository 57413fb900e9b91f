/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/additive/ebm.h"

#include "base/alloc.h"
#include "learn/additive/boost_terms.h"
#include "learn/additive/fast_pairs.h"
#include "model/additive_model.h"

#include <math.h>
#include <string.h>

struct ebm_params {
    qn_bag_params bag;
    int64_t outer_bags, interactions, max_interaction_bins;
};

#define AT(member) offsetof(struct ebm_params, member)

static const qn_param params_table[] = {
    {"learning_rate", QN_PARAM_FLOAT, AT(bag.shape.learning_rate), 1e-4, 1, 0.01, 0.15, true, 0.04,
     NULL, "shrinkage of each step; low, so that features take turns fairly"},
    {"max_rounds", QN_PARAM_INT, AT(bag.max_rounds), 1, 1000000, 0, 0, false, 10000, NULL,
     "rounds over all terms at most; early stopping ends sooner"},
    {"early_stopping_rounds", QN_PARAM_INT, AT(bag.early_stopping_rounds), 1, 100000, 0, 0, false,
     50, NULL, "rounds without improvement before stopping"},
    {"outer_bags", QN_PARAM_INT, AT(outer_bags), 1, 256, 0, 0, false, 4, NULL,
     "models that are averaged, each without validation_size of the rows; more smooth the shapes"},
    {"validation_size", QN_PARAM_FLOAT, AT(bag.validation_size), 0, 0.9, 0, 0, false, 0.15, NULL,
     "share of the rows a bag leaves out, to stop by where there are no validation rows"},
    {"interactions", QN_PARAM_INT, AT(interactions), 0, 1000, 0, 0, false, 10, NULL,
     "pairs of features that get a shape of their own, found by FAST"},
    {"max_interaction_bins", QN_PARAM_INT, AT(max_interaction_bins), 2, 250, 0, 0, false, 32, NULL,
     "bins of a feature in pairs, beside that of missing values"},
    {"max_leaves", QN_PARAM_INT, AT(bag.shape.max_leaves), 2, QN_SHAPE_LEAVES_MAX, 2, 5, false, 3,
     NULL, "leaves of a step on one feature; the bin of missing values is one more"},
    {"min_data_in_leaf", QN_PARAM_INT, AT(bag.shape.min_data_in_leaf), 1, 1e9, 2, 64, true, 4, NULL,
     "rows in a leaf"},
    {"min_sum_hessian_in_leaf", QN_PARAM_FLOAT, AT(bag.shape.min_sum_hessian), 0, 1e9, 0, 0, false,
     1e-4, NULL, "weight of evidence in a leaf"},
    {"reg_lambda", QN_PARAM_FLOAT, AT(bag.shape.reg_lambda), 0, 1e6, 0, 0, false, 0, NULL,
     "L2 penalty of leaf values"},
    {"cat_smooth", QN_PARAM_FLOAT, AT(bag.shape.cat_smooth), 0, 1e6, 0, 0, false, 10, NULL,
     "evidence that a level's value is drawn to 0 by when levels are put in order"},
    {0}};

struct fit {
    const qn_learn_request *request;
    struct ebm_params params;
    qn_terms terms;
    int64_t n_bags;
    qn_bag *bags;
    int64_t first, n; /* terms of the stage */
    double *tables;   /* means over the bags, centred: n_outputs per cell */
    double *shares;   /* per cell: of the training rows, by weight */
    double *intercepts;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for an additive model");
}

static void release(struct fit *fit)
{
    for (int64_t b = 0; fit->bags && b < fit->n_bags; b++) {
        qn_bag_release(&fit->bags[b]);
    }
    qn_free(fit->bags);
    qn_free(fit->tables);
    qn_free(fit->shares);
    qn_free(fit->intercepts);
    qn_terms_release(&fit->terms);
}

static qn_status create(struct fit *fit, qn_error *err)
{
    const int64_t n_features = fit->request->data->bins->n_features,
                  k = fit->request->data->n_outputs;
    const int64_t all_pairs = n_features * (n_features - 1) / 2;
    const int32_t coarse_max = (int32_t)fit->params.max_interaction_bins;
    if (fit->params.interactions > all_pairs) fit->params.interactions = all_pairs;
    const int64_t n_pairs = fit->params.interactions;
    QN_TRY(qn_terms_create(fit->request->data->bins, n_pairs, coarse_max, &fit->terms, err));
    int32_t term_max = n_pairs > 0 ? (coarse_max + 1) * (coarse_max + 1) : 1;
    const int64_t cells_max = fit->terms.n_cells + n_pairs * term_max;
    for (int64_t t = 0; t < fit->terms.n_terms; t++) {
        if (fit->terms.terms[t].n_cells > term_max) term_max = fit->terms.terms[t].n_cells;
    }
    fit->tables = qn_alloc_array(cells_max * k, sizeof *fit->tables);
    fit->shares = qn_alloc_array(cells_max, sizeof *fit->shares);
    fit->intercepts = qn_alloc_array(k, sizeof *fit->intercepts);
    fit->bags = qn_alloc_array(fit->n_bags, sizeof *fit->bags);
    if (!fit->tables || !fit->shares || !fit->intercepts || !fit->bags) return no_memory(err);
    for (int64_t b = 0; b < fit->n_bags; b++) {
        QN_TRY(qn_bag_create(fit->request, &fit->terms, &fit->params.bag, b, cells_max, term_max,
                             &fit->bags[b], err));
    }
    return QN_OK;
}

static void boost_bag(void *context, int64_t b)
{
    const struct fit *fit = context;
    qn_bag_boost(&fit->bags[b], fit->first, fit->n);
}

static void boost(struct fit *fit, int64_t first, int64_t n)
{
    fit->first = first;
    fit->n = n;
    qn_pool_run(fit->request->pool, fit->n_bags, boost_bag, fit);
}

/* The mean of the bags; of those with a round, when told to stop before all had one. */
static qn_status average(struct fit *fit, qn_learn_result *result, qn_error *err)
{
    const int32_t k = fit->request->data->n_outputs;
    const int64_t n = fit->terms.n_cells * k;
    int64_t n_used = 0;
    memset(fit->tables, 0, (size_t)n * sizeof *fit->tables);
    memset(fit->intercepts, 0, (size_t)k * sizeof *fit->intercepts);
    for (int64_t b = 0; b < fit->n_bags; b++) {
        const qn_bag *bag = &fit->bags[b];
        result->stopped |= bag->stopped;
        if (bag->n_rounds > result->n_rounds) result->n_rounds = bag->n_rounds;
        if (bag->stopped && bag->n_rounds == 0) continue;
        n_used++;
        for (int64_t i = 0; i < n; i++) {
            fit->tables[i] += (bag->tables[i] - fit->tables[i]) / (double)n_used;
        }
        for (int32_t c = 0; c < k; c++) {
            fit->intercepts[c] += (bag->init[c] - fit->intercepts[c]) / (double)n_used;
        }
    }
    if (n_used > 0) return QN_OK;
    return qn_fail(err, QN_ERR_INTERRUPTED, "stopped before the first round was done");
}

/* Every term's mean over the training rows becomes 0, that of its magnitudes its importance. Cells
 * without rows stay at 0, the mean, where the term has levels: nothing is known of them. */
static void centre(struct fit *fit, double *importance)
{
    memset(importance, 0,
           (size_t)fit->request->data->n_features[QN_VIEW_TREE] * sizeof *importance);
    const qn_dataset_part *train = &fit->request->data->train;
    const int32_t k = fit->request->data->n_outputs;
    double total = 0;
    memset(fit->shares, 0, (size_t)fit->terms.n_cells * sizeof *fit->shares);
    for (int64_t i = 0; i < train->n_rows; i++) {
        total += train->weights ? train->weights[i] : 1;
    }
    for (int64_t t = 0; t < fit->terms.n_terms; t++) {
        const qn_term *term = &fit->terms.terms[t];
        double *of_cell = fit->shares + term->first, *table = fit->tables + term->first * k;
        for (int64_t i = 0; i < train->n_rows; i++) {
            of_cell[term->cells[i]] += (train->weights ? train->weights[i] : 1) / total;
        }
        for (int32_t c = 0; c < k; c++) {
            double mean = 0, size = 0;
            for (int32_t cell = 0; cell < term->n_cells; cell++) {
                mean += of_cell[cell] * table[cell * k + c];
            }
            fit->intercepts[c] += mean;
            for (int32_t cell = 0; cell < term->n_cells; cell++) {
                const bool unknown = of_cell[cell] == 0 && (cell == 0 || term->nominal);
                table[cell * k + c] = unknown ? 0 : table[cell * k + c] - mean;
                size += of_cell[cell] * fabs(table[cell * k + c]);
            }
            const bool pair = term->features[1] >= 0;
            importance[term->features[0]] += pair ? size / 2 : size;
            if (pair) importance[term->features[1]] += size / 2;
        }
    }
}

/* Pairs. */

/* Finds pairs by what the mean of the bags leaves of the training rows. */
static qn_status find_pairs(struct fit *fit, const double *importance, int32_t *pairs, int64_t *n,
                            qn_error *err)
{
    const qn_dataset *data = fit->request->data;
    const int32_t k = data->n_outputs;
    const qn_objective_params params = {0};
    qn_objective_rows rows;
    double *scores = qn_alloc_aligned(data->train.n_rows * k, sizeof *scores);
    if (!scores) return no_memory(err);
    for (int64_t i = 0; i < data->train.n_rows * k; i++) {
        scores[i] = fit->intercepts[i % k];
    }
    for (int64_t t = 0; t < fit->terms.n_features; t++) {
        const qn_term *term = &fit->terms.terms[t];
        qn_term_add(term, fit->tables + term->first * k, k, 0, data->train.n_rows, scores);
    }
    qn_status status =
        qn_objective_rows_create(fit->bags[0].objective, &params, data, &data->train, &rows, err);
    if (status == QN_OK) {
        const qn_fast_request request = {.terms = &fit->terms,
                                         .shape = &fit->params.bag.shape,
                                         .rows = &rows,
                                         .scores = scores,
                                         .importance = importance,
                                         .stop = fit->request->stop,
                                         .pool = fit->request->pool};
        status = qn_fast_pairs(&request, fit->params.interactions, pairs, n, err);
        qn_objective_rows_release(&rows);
    }
    qn_free(scores);
    return status;
}

/* The second stage, on the averaged first. */
static qn_status boost_pairs(struct fit *fit, const double *importance, qn_error *err)
{
    int64_t n = 0;
    int32_t *pairs = qn_alloc_array(2 * fit->params.interactions, sizeof *pairs);
    qn_status status = pairs ? find_pairs(fit, importance, pairs, &n, err) : no_memory(err);
    for (int64_t i = 0; i < n && status == QN_OK; i++) {
        status = qn_terms_add_pair(&fit->terms, pairs[2 * i], pairs[2 * i + 1], err);
    }
    qn_free(pairs);
    if (status == QN_OK) boost(fit, fit->terms.n_features, n);
    return status;
}

/* The model. */

static bool allocate_parts(const struct fit *fit, int64_t n_edges, qn_additive_parts *p)
{
    const int64_t n = p->n_features;
    int64_t n_bins = 0;
    for (int64_t f = 0; f < n; f++) {
        n_bins += fit->terms.terms[f].n_cells;
    }
    p->n_levels = qn_alloc_array(n, sizeof *p->n_levels);
    p->edge_starts = qn_alloc_array(n + 1, sizeof *p->edge_starts);
    p->edges = qn_alloc_array(n_edges, sizeof *p->edges);
    p->bin_starts = qn_alloc_array(n + 1, sizeof *p->bin_starts);
    p->n_coarse = qn_alloc_array(n, sizeof *p->n_coarse);
    p->coarse = qn_alloc_array(n_bins, sizeof *p->coarse);
    p->term_features = qn_alloc_array(2 * p->n_terms, sizeof *p->term_features);
    p->term_starts = qn_alloc_array(p->n_terms + 1, sizeof *p->term_starts);
    return p->n_levels && p->edge_starts && p->edges && p->bin_starts && p->n_coarse && p->coarse &&
           p->term_features && p->term_starts;
}

static int64_t n_edges_of(const qn_bin_feature *feature)
{
    return feature->categorical || feature->n_bins < 3 ? 0 : feature->n_bins - 2;
}

static void put_feature(const struct fit *fit, int64_t f, qn_additive_parts *p)
{
    const qn_bin_feature *feature = &fit->request->data->bins->features[f];
    const int64_t n_edges = n_edges_of(feature), n_bins = fit->terms.terms[f].n_cells;
    p->n_levels[f] = feature->categorical ? (int32_t)n_bins - 1 : 0;
    p->edge_starts[f + 1] = p->edge_starts[f] + n_edges;
    if (n_edges > 0) {
        memcpy(p->edges + p->edge_starts[f], feature->edges, (size_t)n_edges * sizeof *p->edges);
    }
    p->bin_starts[f + 1] = p->bin_starts[f] + n_bins;
    p->n_coarse[f] = fit->terms.n_coarse[f];
    memcpy(p->coarse + p->bin_starts[f], fit->terms.coarse[f], (size_t)n_bins * sizeof *p->coarse);
}

/* Takes the tables, shares and intercepts. */
static qn_status make_model(struct fit *fit, qn_estimator **out, qn_error *err)
{
    const qn_bins *bins = fit->request->data->bins;
    qn_additive_parts p = {.link = fit->bags[0].objective->link,
                           .n_outputs = fit->request->data->n_outputs,
                           .n_features = fit->terms.n_features,
                           .n_terms = fit->terms.n_terms,
                           .scores = fit->tables,
                           .shares = fit->shares,
                           .intercepts = fit->intercepts};
    fit->tables = fit->shares = fit->intercepts = NULL;
    int64_t n_edges = 0;
    for (int64_t f = 0; f < p.n_features; f++) {
        n_edges += n_edges_of(&bins->features[f]);
    }
    if (!allocate_parts(fit, n_edges, &p)) {
        qn_additive_parts_release(&p);
        return no_memory(err);
    }
    for (int64_t f = 0; f < p.n_features; f++) {
        put_feature(fit, f, &p);
    }
    for (int64_t t = 0; t < p.n_terms; t++) {
        const qn_term *term = &fit->terms.terms[t];
        memcpy(p.term_features + 2 * t, term->features, sizeof term->features);
        p.term_starts[t + 1] = p.term_starts[t] + term->n_cells;
    }
    return qn_additive_create(&p, out, err);
}

/* Shares of the sum; NULL when out of memory, which is no reason to fail. */
static void share_out(double *importance, int64_t n)
{
    double sum = 0;
    for (int64_t f = 0; f < n; f++) {
        sum += importance[f];
    }
    for (int64_t f = 0; sum > 0 && f < n; f++) {
        importance[f] /= sum;
    }
}

static qn_status fit_model(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    struct fit fit = {.request = request, .params = *(const struct ebm_params *)request->params};
    const int64_t n_features = request->data->n_features[QN_VIEW_TREE];
    const qn_objective *objective;
    *result = (qn_learn_result){0};
    QN_TRY(qn_objective_choose(&(qn_objective_params){0}, request->data, &objective, err));
    fit.n_bags = fit.params.outer_bags;
    fit.params.bag.shape.step_max = qn_objective_step_max(objective, &(qn_grow_params){0});
    double *importance = qn_alloc_array(n_features, sizeof *importance);
    qn_status status = importance ? create(&fit, err) : no_memory(err);
    if (status == QN_OK) {
        boost(&fit, 0, fit.terms.n_features);
        status = average(&fit, result, err);
    }
    if (status == QN_OK) centre(&fit, importance);
    if (status == QN_OK && fit.params.interactions > 0 && !result->stopped) {
        status = boost_pairs(&fit, importance, err);
        if (status == QN_OK) status = average(&fit, result, err);
        if (status == QN_OK) centre(&fit, importance);
    }
    if (status == QN_OK) status = make_model(&fit, &result->estimator, err);
    release(&fit);
    if (status != QN_OK) {
        qn_free(importance);
        return status;
    }
    share_out(importance, n_features);
    result->importance = importance;
    return QN_OK;
}

static void cost(const qn_dataset *data, const void *params, double *bytes, double *work)
{
    const struct ebm_params *p = params;
    const double n = (double)(data->train.n_rows + data->valid.n_rows), k = data->n_outputs;
    const double columns = (double)data->n_dense[QN_VIEW_TREE];
    *bytes = n * columns * 2 + (double)p->outer_bags * k * (n * 48 + columns * 256 * 48);
    *work = n * columns * k * (double)p->outer_bags * 20 / p->bag.shape.learning_rate;
}

const qn_learner qn_learner_ebm = {
    .name = "ebm",
    .help =
        "explainable boosting: a sum of boosted shape functions of a feature, and of a few pairs",
    .source = "Lou, Caruana & Gehrke 2012, Lou et al. 2013 (FAST), Nori et al. 2019 (InterpretML)",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION,
    .capabilities =
        QN_LEARNER_WEIGHTS | QN_LEARNER_EARLY_STOP | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS,
    .view = QN_VIEW_TREE,
    .params = params_table,
    .params_bytes = sizeof(struct ebm_params),
    .fit = fit_model,
    .cost = cost,
};
