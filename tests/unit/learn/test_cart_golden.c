/* SPDX-License-Identifier: Apache-2.0 */
/* Decision trees, and forests of one, on real tables against scikit-learn's: tests/golden/cart. */
#include "base/alloc.h"
#include "learn/learner.h"
#include "model/tree_model.h"

#include "real_tables.h"

enum { EVERY = 25 }; /* of the training rows */

/* Every prediction, and the number of leaves. */
static void check_tree(const qn_dataset *data, qn_json_value golden, const qn_estimator *estimator)
{
    qn_error err = {0};
    const qn_tree_model *model = qn_tree_model_of(estimator);
    const qn_json_value expected = qn_json_get(golden, "predictions");
    const int64_t k = data->n_outputs, n = data->train.n_rows;
    double *out = qn_alloc_array(n * k, sizeof *out);
    CHECK_INT(model->n_nodes + 1, qn_json_as_int(qn_json_get(golden, "leaves"), 0));
    CHECK_OK(qn_estimator_predict(estimator, &data->train.views[QN_VIEW_DENSE], NULL, out, &err));
    CHECK_INT(qn_json_size(expected), (n + EVERY - 1) / EVERY * k);
    for (int64_t i = 0; i < qn_json_size(expected); i++) {
        const double wanted = qn_json_as_double(qn_json_at(expected, i), QN_NA);
        const double given = out[i / k * EVERY * k + i % k];
        if (!(fabs(given - wanted) <= 1e-6 * fmax(1, fabs(wanted)))) {
            fail_msg("%s: prediction %d is %.10g, not %.10g", case_text(golden, "name"), (int)i,
                     given, wanted);
        }
    }
    qn_free(out);
}

/* What makes a forest one plain tree. */
static const char *settings_of(const char *learner)
{
    return strcmp(learner, "decision_tree") == 0 ? "leaf_smoothing=0"
                                                 : "n_estimators=1,bootstrap=false,max_features=1";
}

static void check_learner(const qn_dataset *data, qn_json_value golden, const char *name)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    const qn_learner *learner = qn_learner_find(name);
    void *params = qn_alloc_array(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, case_text(golden, "params"), &err));
    CHECK_OK(qn_params_set(learner, params, settings_of(name), &err));
    const qn_learn_request request = {.data = data, .params = params, .seed = 1};
    CHECK_OK(learner->fit(&request, &result, &err));
    check_tree(data, golden, result.estimator);
    qn_free(params);
    qn_free(result.importance);
    qn_estimator_free(result.estimator);
}

static void check_case(const real_table *t, qn_json_value golden)
{
    qn_dataset data = t->data;
    const qn_json_value learners = qn_json_get(golden, "learners");
    real_tree_view(&data);
    CHECK(qn_json_size(learners) >= 2);
    for (int64_t i = 0; i < qn_json_size(learners); i++) {
        check_learner(&data, golden, qn_json_as_text(qn_json_at(learners, i), ""));
    }
    qn_bins_free(data.bins);
}

static void trees_are_those_of_scikit_learn(void **state)
{
    (void)state;
    check_real_tables("cart", check_case);
}

RUN_TESTS(TEST(trees_are_those_of_scikit_learn))
