/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/cart_internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

void qn_cart_plan_free(qn_cart_plan *plan)
{
    if (!plan) return;
    qn_free(plan->prior);
    qn_free(plan->weights);
    qn_free(plan->places);
    qn_free(plan->bin_places);
    qn_free(plan->n_places);
    qn_free(plan->first_set);
    qn_free(plan);
}

static double weight_of(const qn_cart_plan *plan, int64_t row)
{
    return plan->weights ? (double)plan->weights[row] : 1;
}

/* Weights of rows times those of their classes; none when all are 1. */
static bool make_weights(qn_cart_plan *plan, const double *class_weights)
{
    const qn_dataset_part *train = &plan->data->train;
    if (!train->weights && !class_weights) return true;
    plan->weights = qn_alloc_array(train->n_rows, sizeof *plan->weights);
    for (int64_t row = 0; plan->weights && row < train->n_rows; row++) {
        const double w = train->weights ? train->weights[row] : 1;
        plan->weights[row] =
            (float)(class_weights ? w * class_weights[(int32_t)train->target[row]] : w);
    }
    return plan->weights;
}

static void find_prior(qn_cart_plan *plan)
{
    const qn_dataset_part *train = &plan->data->train;
    double all = 0;
    for (int64_t row = 0; row < train->n_rows; row++) {
        const double w = weight_of(plan, row);
        all += w;
        if (plan->k == 0) {
            plan->prior[0] += w * train->target[row];
        } else {
            plan->prior[(int32_t)train->target[row]] += w;
        }
    }
    for (int32_t c = 0; all > 0 && c < plan->n_outputs; c++) {
        plan->prior[c] /= all;
    }
}

/* What levels are ordered by: the target, or whether it is the most frequent class. */
static double leading(const qn_cart_plan *plan, int32_t most, int64_t row)
{
    const double y = plan->data->train.target[row];
    return plan->k == 0 ? y : (int32_t)y == most;
}

struct level {
    double mean;
    int32_t bin;
};

static int by_mean(const void *a, const void *b)
{
    const struct level *x = a, *y = b;
    return x->mean != y->mean ? (x->mean > y->mean) - (x->mean < y->mean) : x->bin - y->bin;
}

/* Places of a category's bins: levels in the order of their mean, that of few rows drawn to the
 * mean of all by one row. */
static void order_levels(qn_cart_plan *plan, int64_t f, int32_t most, double mean)
{
    const qn_bin_feature *feature = &plan->bins->features[f];
    const uint8_t *codes = plan->bins->columns + feature->group * plan->bins->n_rows;
    struct level levels[QN_CART_PLACES];
    double weights[QN_CART_PLACES], sums[QN_CART_PLACES];
    for (int32_t b = 0; b < feature->n_bins; b++) {
        weights[b] = 1;
        sums[b] = mean;
    }
    for (int64_t row = 0; row < plan->data->train.n_rows; row++) {
        const double w = weight_of(plan, row);
        weights[feature->decode[codes[row]]] += w;
        sums[feature->decode[codes[row]]] += w * leading(plan, most, row);
    }
    for (int32_t b = 0; b < feature->n_bins; b++) {
        levels[b] = (struct level){sums[b] / weights[b], b};
    }
    qsort(levels, (size_t)feature->n_bins, sizeof *levels, by_mean);
    for (int32_t place = 0; place < feature->n_bins; place++) {
        plan->bin_places[f * QN_CART_PLACES + levels[place].bin] = (uint8_t)place;
    }
}

static void make_places(qn_cart_plan *plan)
{
    int32_t most = 0, n_sets = 0;
    for (int32_t c = 1; c < plan->k; c++) {
        if (plan->prior[c] > plan->prior[most]) most = c;
    }
    for (int64_t f = 0; f < plan->bins->n_features; f++) {
        const qn_bin_feature *feature = &plan->bins->features[f];
        uint8_t *of_bins = plan->bin_places + f * QN_CART_PLACES;
        plan->n_places[f] = feature->n_bins;
        plan->first_set[f] = n_sets;
        if (feature->categorical) {
            order_levels(plan, f, most, plan->prior[most]);
            n_sets += feature->n_bins;
        } else {
            for (int32_t b = 0; b < feature->n_bins; b++) {
                of_bins[b] = (uint8_t)b;
            }
        }
        for (int32_t code = 0; code < QN_GROUP_CODES; code++) {
            plan->places[f * QN_CART_PLACES + code] = of_bins[feature->decode[code]];
        }
    }
}

void qn_cart_plan_add_sets(const qn_cart_plan *plan, qn_tree_builder *builder)
{
    for (int64_t f = 0; f < plan->bins->n_features; f++) {
        const qn_bin_feature *feature = &plan->bins->features[f];
        for (int32_t place = 0; feature->categorical && place < feature->n_bins; place++) {
            uint64_t set[QN_SET_WORDS] = {0};
            for (int32_t bin = 1; bin < feature->n_bins; bin++) {
                const bool left = plan->bin_places[f * QN_CART_PLACES + bin] <= place;
                set[(bin - 1) >> 6] |= (uint64_t)left << ((bin - 1) & 63);
            }
            qn_tree_builder_add_set(builder, set);
        }
    }
}

static qn_status check(const qn_dataset *data, const qn_cart_params *params, qn_error *err)
{
    const bool classes = data->n_classes > 0;
    if (data->bins->n_groups > data->bins->n_narrow) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "forests work on up to %d bins; set max_bin",
                       QN_NARROW_BINS_MAX);
    }
    if (!classes &&
        (params->criterion == QN_CRITERION_GINI || params->criterion == QN_CRITERION_ENTROPY)) {
        return qn_fail(err, QN_ERR_ARG,
                       "criterion gini or entropy is for classes; numbers have squared_error");
    }
    if (classes && params->criterion == QN_CRITERION_SQUARED_ERROR) {
        return qn_fail(err, QN_ERR_ARG,
                       "criterion squared_error is for numbers; classes have gini and entropy");
    }
    return QN_OK;
}

qn_status qn_cart_plan_create(const qn_dataset *data, const qn_cart_params *params,
                              const double *class_weights, qn_cart_plan **out, qn_error *err)
{
    *out = NULL;
    QN_TRY(check(data, params, err));
    const int64_t n = data->bins->n_features;
    const bool classes = data->n_classes > 0;
    qn_cart_plan *plan = qn_alloc_array(1, sizeof *plan);
    if (plan) {
        plan->data = data;
        plan->bins = data->bins;
        plan->params = *params;
        plan->n_outputs = data->n_outputs;
        plan->k = classes && data->n_outputs > 1 ? data->n_classes : 0;
        plan->entropy = params->criterion == QN_CRITERION_ENTROPY;
        plan->gain_scale = classes && plan->k == 0 && !plan->entropy ? 2 : 1;
        plan->prior = qn_alloc_array(data->n_outputs, sizeof *plan->prior);
        plan->places = qn_alloc_array(n * QN_CART_PLACES, 1);
        plan->bin_places = qn_alloc_array(n * QN_CART_PLACES, 1);
        plan->n_places = qn_alloc_array(n, sizeof *plan->n_places);
        plan->first_set = qn_alloc_array(n, sizeof *plan->first_set);
    }
    if (!plan || !plan->prior || !plan->places || !plan->bin_places || !plan->n_places ||
        !plan->first_set || !make_weights(plan, class_weights)) {
        qn_cart_plan_free(plan);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to grow trees");
    }
    find_prior(plan);
    make_places(plan);
    *out = plan;
    return QN_OK;
}
