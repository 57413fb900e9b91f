/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/additive/boost_terms.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "learn/tree/boosting.h"

#include <math.h>
#include <string.h>

enum { BLOCK_ROWS = 2048 }; /* whose scores and derivatives stay in the cache */

static const double least_gain = 1e-5; /* of a round that counts as better, by the loss */
static const qn_objective_params objective_params = {0}; /* the task's own loss */

/* Life. */

void qn_bag_release(qn_bag *bag)
{
    qn_free(bag->weights);
    qn_free(bag->left_out);
    qn_objective_rows_release(&bag->train);
    qn_objective_rows_release(&bag->stop);
    qn_free(bag->scores);
    qn_free(bag->valid_scores);
    qn_free(bag->predictions);
    qn_free(bag->derivatives);
    qn_free(bag->tables);
    qn_free(bag->best);
    qn_free(bag->counts);
    qn_free(bag->sums);
    qn_free(bag->step);
    qn_shape_workspace_free(bag->workspace);
    qn_free(bag->init);
    *bag = (qn_bag){0};
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to boost an additive model");
}

/* Which rows are left out, drawn without replacement; one stays in, and all where those that stay
 * weigh nothing. */
static bool draw(qn_bag *bag, int64_t index)
{
    const qn_dataset_part *train = &bag->request->data->train;
    const int64_t n = train->n_rows;
    const int64_t n_out = (int64_t)(bag->params->validation_size * (double)n);
    int32_t *order = qn_alloc_array(n, sizeof *order);
    if (!order) return false;
    for (int64_t i = 0; i < n; i++) {
        order[i] = (int32_t)i;
        bag->weights[i] = train->weights ? train->weights[i] : 1;
    }
    qn_rng rng;
    qn_rng_init(&rng, qn_seed_child(bag->request->seed, 0x626167), (uint64_t)index);
    qn_rng_shuffle(&rng, order, n);
    double kept = 0;
    for (int64_t i = n_out; i < n; i++) {
        kept += bag->weights[order[i]];
    }
    for (int64_t i = 0; kept > 0 && i < n_out; i++) {
        bag->left_out[order[i]] = bag->weights[order[i]];
        bag->weights[order[i]] = 0;
    }
    qn_free(order);
    return true;
}

/* Without validation rows nor any left out, the bag's own rows say when nothing more is learnt. */
static qn_status choose_rows(qn_bag *bag, int64_t index, qn_error *err)
{
    const qn_dataset *data = bag->request->data;
    qn_dataset_part own = data->train;
    own.weights = bag->weights;
    if (!draw(bag, index)) return no_memory(err);
    bag->given = data->valid.n_rows > 0;
    bag->held_out = bag->given ? data->valid : own;
    double left_out = 0;
    for (int64_t i = 0; i < own.n_rows; i++) {
        left_out += bag->left_out[i];
    }
    if (!bag->given && left_out > 0) bag->held_out.weights = bag->left_out;
    QN_TRY(qn_objective_choose(&objective_params, data, &bag->objective, err));
    QN_TRY(
        qn_objective_rows_create(bag->objective, &objective_params, data, &own, &bag->train, err));
    return qn_objective_rows_create(bag->objective, &objective_params, data, &bag->held_out,
                                    &bag->stop, err);
}

static bool allocate(qn_bag *bag, int64_t cells_max, int32_t term_max)
{
    const qn_dataset *data = bag->request->data;
    const int64_t n = data->train.n_rows, k = bag->k;
    bag->weights = qn_alloc_array(n, sizeof *bag->weights);
    bag->left_out = qn_alloc_array(n, sizeof *bag->left_out);
    bag->scores = qn_alloc_aligned(n * k, sizeof *bag->scores);
    bag->valid_scores = qn_alloc_aligned(data->valid.n_rows * k, sizeof *bag->valid_scores);
    bag->predictions = qn_alloc_aligned(data->valid.n_rows * k, sizeof *bag->predictions);
    bag->derivatives = qn_alloc_aligned(n * k, sizeof *bag->derivatives);
    bag->tables = qn_alloc_array(cells_max * k, sizeof *bag->tables);
    bag->best = qn_alloc_array(cells_max * k, sizeof *bag->best);
    bag->counts = qn_alloc_array(cells_max, sizeof *bag->counts);
    bag->sums = qn_alloc_array(term_max * k, sizeof *bag->sums);
    bag->step = qn_alloc_array(term_max * k, sizeof *bag->step);
    bag->workspace = qn_shape_workspace_create(term_max);
    bag->init = qn_alloc_array(k, sizeof *bag->init);
    return bag->weights && bag->left_out && bag->scores && bag->valid_scores && bag->predictions &&
           bag->derivatives && bag->tables && bag->best && bag->counts && bag->sums && bag->step &&
           bag->workspace && bag->init;
}

qn_status qn_bag_create(const qn_learn_request *request, const qn_terms *terms,
                        const qn_bag_params *params, int64_t index, int64_t cells_max,
                        int32_t term_max, qn_bag *out, qn_error *err)
{
    *out = (qn_bag){
        .request = request, .terms = terms, .params = params, .k = request->data->n_outputs};
    qn_status status = allocate(out, cells_max, term_max) ? QN_OK : no_memory(err);
    if (status == QN_OK) status = choose_rows(out, index, err);
    if (status != QN_OK) {
        qn_bag_release(out);
        return status;
    }
    out->objective->init(&out->train, out->init);
    return QN_OK;
}

/* Scores. */

/* Scores of all rows by the tables of terms 0 … n_terms - 1. */
static void score_rows(qn_bag *bag, int64_t n_terms)
{
    const int64_t n_train = bag->train.n, n_valid = bag->request->data->valid.n_rows;
    const int32_t k = bag->k;
    for (int64_t i = 0; i < n_train * k; i++) {
        bag->scores[i] = bag->init[i % k];
    }
    for (int64_t i = 0; i < n_valid * k; i++) {
        bag->valid_scores[i] = bag->init[i % k];
    }
    for (int64_t t = 0; t < n_terms; t++) {
        const qn_term *term = &bag->terms->terms[t];
        const double *table = bag->tables + term->first * k;
        qn_term_add(term, table, k, 0, n_train, bag->scores);
        qn_term_add(term, table, k, n_train, n_valid, bag->valid_scores);
    }
}

/* Less is better. */
static double loss_of(const qn_bag *bag)
{
    const qn_learn_request *request = bag->request;
    const double *scores = bag->given ? bag->valid_scores : bag->scores;
    if (!bag->given || !request->metric) return qn_objective_loss(&bag->stop, NULL, scores);
    return qn_boosting_metric_loss(request->data, &bag->held_out, bag->objective->link,
                                   request->metric, scores, bag->predictions);
}

/* Steps. */

static void count_rows(qn_bag *bag, const qn_term *term)
{
    int32_t *counts = bag->counts + term->first;
    memset(counts, 0, (size_t)term->n_cells * sizeof *counts);
    for (int64_t row = 0; row < bag->train.n; row++) {
        counts[term->cells[row]] += bag->weights[row] > 0;
    }
}

/* Sums of derivatives by cell. The step of the term before is still to be added to the scores: it
 * is done on the way, block by block. */
static void sum_cells(qn_bag *bag, const qn_term *term, const qn_term *before)
{
    const int64_t n = bag->train.n;
    const int32_t k = bag->k, n_cells = term->n_cells;
    for (int32_t i = 0; i < n_cells * k; i++) {
        bag->sums[i] = (qn_shape_sums){.n_rows = bag->counts[term->first + i % n_cells]};
    }
    for (int64_t first = 0; first < n; first += BLOCK_ROWS) {
        const int64_t end = first + BLOCK_ROWS < n ? first + BLOCK_ROWS : n;
        if (before) {
            qn_term_add(before, bag->step, k, first, end - first, bag->scores + first * k);
        }
        bag->objective->derive(&bag->train, first, end, bag->scores, bag->derivatives);
        for (int32_t c = 0; c < k; c++) {
            const qn_derivatives *derivatives = bag->derivatives + c * n;
            qn_shape_sums *sums = bag->sums + (int64_t)c * n_cells;
            for (int64_t row = first; row < end; row++) {
                sums[term->cells[row]].gradient += derivatives[row].gradient;
                sums[term->cells[row]].hessian += derivatives[row].hessian;
            }
        }
    }
}

static void make_step(qn_bag *bag, const qn_term *term)
{
    const int32_t k = bag->k;
    const int64_t n_train = bag->train.n;
    double *table = bag->tables + term->first * k;
    for (int32_t c = 0; c < k; c++) {
        (void)qn_shape_step(term, &bag->params->shape, bag->sums + (int64_t)c * term->n_cells,
                            bag->workspace, bag->step + c, k);
    }
    for (int64_t i = 0; i < (int64_t)term->n_cells * k; i++) {
        table[i] += bag->step[i];
    }
    qn_term_add(term, bag->step, k, n_train, bag->request->data->valid.n_rows, bag->valid_scores);
}

/* False when told to stop in the middle. */
static bool add_round(qn_bag *bag, int64_t first, int64_t n)
{
    const qn_term *before = NULL;
    for (int64_t t = first; t < first + n; t++) {
        const qn_term *term = &bag->terms->terms[t];
        if (qn_stop_requested(bag->request->stop)) return false;
        sum_cells(bag, term, before);
        make_step(bag, term);
        before = term;
    }
    qn_term_add(before, bag->step, bag->k, 0, bag->train.n, bag->scores);
    return true;
}

void qn_bag_boost(qn_bag *bag, int64_t first, int64_t n)
{
    const double fidelity = bag->request->fidelity > 0 ? bag->request->fidelity : 1;
    const int64_t n_rounds = (int64_t)ceil(fidelity * (double)bag->params->max_rounds);
    if (n == 0 || bag->stopped) return;
    const qn_term *last = &bag->terms->terms[first + n - 1];
    const int64_t begin = bag->terms->terms[first].first * bag->k;
    const size_t bytes =
        (size_t)((last->first + last->n_cells) * bag->k - begin) * sizeof *bag->tables;
    for (int64_t t = first; t < first + n; t++) {
        count_rows(bag, &bag->terms->terms[t]);
    }
    score_rows(bag, first);
    double best = loss_of(bag);
    int64_t best_round = 0;
    for (int64_t round = 1; round <= n_rounds; round++) {
        bag->stopped = !add_round(bag, first, n);
        if (bag->stopped) break;
        const double loss = loss_of(bag);
        if (loss < best - least_gain * fabs(best == QN_INF ? 0 : best)) {
            best = loss;
            best_round = round;
            memcpy(bag->best + begin, bag->tables + begin, bytes);
        } else if (round - best_round >= bag->params->early_stopping_rounds) {
            break;
        }
    }
    memcpy(bag->tables + begin, bag->best + begin, bytes);
    bag->n_rounds += best_round;
}
