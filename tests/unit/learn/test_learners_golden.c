/* SPDX-License-Identifier: Apache-2.0 */
/* Learners on real tables against scikit-learn's predictions of rows they were not fitted on:
 * tests/golden/learners. */
#include "learn/learner.h"

#include "real_tables.h"

enum { EVERY = 5 }; /* of the test rows */

static void check_case(const real_table *t, qn_json_value golden)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    const char *name = case_text(golden, "name");
    const qn_learner *learner = qn_learner_find(case_text(golden, "learner"));
    CHECK(learner != NULL);
    void *params = qn_alloc_array(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, case_text(golden, "params"), &err));
    const qn_learn_request request = {.data = &t->data, .params = params, .seed = 1};
    CHECK_OK(learner->fit(&request, &result, &err));

    const int64_t k = t->data.n_outputs;
    const qn_json_value expected = qn_json_get(golden, "predictions");
    const double relative = qn_json_as_double(qn_json_get(golden, "tolerance"), 0);
    double *out = qn_alloc_array(t->test.n_rows * k, sizeof *out);
    CHECK_OK(qn_estimator_predict(result.estimator, &t->test, NULL, out, &err));
    CHECK_INT(qn_json_size(expected), (t->test.n_rows + EVERY - 1) / EVERY * k);
    for (int64_t i = 0; i < qn_json_size(expected); i++) {
        const double wanted = qn_json_as_double(qn_json_at(expected, i), QN_NA);
        const double given = out[i / k * EVERY * k + i % k];
        if (!(fabs(given - wanted) <= relative * fmax(1, fabs(wanted)))) {
            fail_msg("%s: prediction %d is %.10g, not %.10g", name, (int)i, given, wanted);
        }
    }
    qn_free(out);
    qn_free(params);
    qn_free(result.importance);
    qn_estimator_free(result.estimator);
}

static void learners_predict_what_scikit_learn_predicts(void **state)
{
    (void)state;
    check_real_tables("learners", check_case);
}

RUN_TESTS(TEST(learners_predict_what_scikit_learn_predicts))
