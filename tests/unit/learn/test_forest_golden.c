/* SPDX-License-Identifier: Apache-2.0 */
/* Forests on real tables against scikit-learn's: tests/golden/forest. Two libraries draw different
 * trees, so what is compared is the mean over seeds: losses to within the spread of a single seed
 * (three times the error of the mean), importances of columns by their differences. */
#include "base/alloc.h"
#include "learn/learner.h"

#include "real_tables.h"

enum { SEEDS = 12 };

struct forests {
    double losses[SEEDS], out_of_bag[SEEDS];
    double *importances; /* per column, the mean */
};

/* The mean squared error, of classes summed over their probabilities; of rows with predictions (a
 * row may be in every bag). */
static double squared_error(const qn_dataset *data, const double *out, const double *target,
                            int64_t n)
{
    const int32_t k = data->n_outputs;
    double sum = 0;
    int64_t n_known = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(out[i * k])) continue;
        n_known++;
        for (int32_t c = 0; c < k; c++) {
            const double wanted = k > 1 ? target[i] == c : target[i];
            const double miss = out[i * k + c] - wanted;
            sum += miss * miss * (data->task == QN_TASK_BINARY ? 2 : 1);
        }
    }
    return sum / (double)n_known;
}

static void grow(const real_table *t, const qn_dataset *data, const qn_learner *learner,
                 const void *params, int seed, struct forests *forests)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    const qn_learn_request request = {.data = data, .params = params, .seed = (uint64_t)seed};
    const int64_t n = data->train.n_rows;
    double *out = qn_alloc_array(t->test.n_rows * data->n_outputs, sizeof *out);
    CHECK_OK(learner->fit(&request, &result, &err));
    CHECK_OK(qn_estimator_predict(result.estimator, &t->test, NULL, out, &err));
    forests->losses[seed] = squared_error(data, out, data->train.target + n, t->test.n_rows);
    if (result.oob) {
        forests->out_of_bag[seed] = squared_error(data, result.oob, data->train.target, n);
    }
    for (int64_t f = 0; f < data->n_dense[QN_VIEW_DENSE]; f++) {
        forests->importances[f] += result.importance[f] / SEEDS;
    }
    qn_free(out);
    qn_free(result.oob);
    qn_free(result.importance);
    qn_estimator_free(result.estimator);
}

static void mean_and_spread(const double *values, double *mean, double *spread)
{
    double squares = 0;
    *mean = 0;
    for (int s = 0; s < SEEDS; s++) {
        *mean += values[s] / SEEDS;
    }
    for (int s = 0; s < SEEDS; s++) {
        squares += (values[s] - *mean) * (values[s] - *mean);
    }
    *spread = sqrt(squares / (SEEDS - 1));
}

static void check_losses(qn_json_value golden, const char *key, const double *own)
{
    const qn_json_value losses = qn_json_get(golden, key);
    double theirs[SEEDS], mean, spread, own_mean, own_spread;
    if (qn_json_size(losses) == 0) return; /* no rows are out of any bag */
    CHECK_INT(qn_json_size(losses), SEEDS);
    for (int s = 0; s < SEEDS; s++) {
        theirs[s] = qn_json_as_double(qn_json_at(losses, s), QN_NA);
    }
    mean_and_spread(theirs, &mean, &spread);
    mean_and_spread(own, &own_mean, &own_spread);
    print_message("%s: %s %.5g +- %.2g, ours %.5g +- %.2g\n", case_text(golden, "name"), key, mean,
                  spread, own_mean, own_spread);
    if (!(fabs(own_mean - mean) <= fmax(spread, own_spread))) {
        fail_msg("%s: %s differ by %.3g", case_text(golden, "name"), key, own_mean - mean);
    }
}

/* All differences are small beside the greatest importance. */
static void check_importances(qn_json_value golden, const double *own, int64_t n)
{
    const qn_json_value importances = qn_json_get(golden, "importances");
    double difference = 0, greatest = 0;
    CHECK_INT(qn_json_size(importances), n);
    for (int64_t f = 0; f < n; f++) {
        const double theirs = qn_json_as_double(qn_json_at(importances, f), QN_NA);
        difference = fmax(difference, fabs(own[f] - theirs));
        greatest = fmax(greatest, theirs);
    }
    print_message("%s: importances differ by %.3f at most, the greatest is %.3f\n",
                  case_text(golden, "name"), difference, greatest);
    if (!(difference <= greatest / 8)) fail_msg("an importance differs by %.3f", difference);
}

static void check_case(const real_table *t, qn_json_value golden)
{
    qn_error err = {0};
    qn_dataset data = t->data;
    const qn_learner *learner = qn_learner_find(case_text(golden, "learner"));
    const int64_t n = data.n_dense[QN_VIEW_DENSE];
    struct forests forests = {.importances = qn_alloc_array(n, sizeof(double))};
    void *params = qn_alloc_array(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, case_text(golden, "params"), &err));
    real_tree_view(&data);
    for (int seed = 0; seed < SEEDS; seed++) {
        grow(t, &data, learner, params, seed, &forests);
    }
    check_losses(golden, "losses", forests.losses);
    check_losses(golden, "out_of_bag", forests.out_of_bag);
    check_importances(golden, forests.importances, n);
    qn_bins_free(data.bins);
    qn_free(params);
    qn_free(forests.importances);
}

static void forests_are_like_those_of_scikit_learn(void **state)
{
    (void)state;
    check_real_tables("forest", check_case);
}

RUN_TESTS(TEST(forests_are_like_those_of_scikit_learn))
