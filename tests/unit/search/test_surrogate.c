/* SPDX-License-Identifier: Apache-2.0 */
/* The model behind the sampler gp: what it promises, where limits are broken, and how it follows
 * the history. */
#include "search/samplers/surrogate.h"
#include "search/study/study.h"

#include "check.h"

static const char space[] = "{parameters: {x: {type: float, low: 0, high: 1},"
                            " c: {type: categorical, choices: [a, b, c]}}}";

static void log_improvement_is_exact_everywhere(void **state)
{
    (void)state;
    /* Values by mpmath with 50 digits. */
    CHECK_NEAR(qn_log_improvement(0), -0.91893853320467274, 1e-14);
    CHECK_NEAR(qn_log_improvement(2), log(2.0084907026168296), 1e-14);
    CHECK_NEAR(qn_log_improvement(-5), -16.74430116266099, 1e-12);
    /* On both sides of the change of formula. */
    CHECK_NEAR(qn_log_improvement(-25.0000001) - qn_log_improvement(-24.9999999), -5.0e-6, 1e-6);
    CHECK(qn_log_improvement(-1e3) > -1e6 && qn_log_improvement(-1e3) < -5e5);
}

static double loss_at(const double *values)
{
    return (values[0] - 0.3) * (values[0] - 0.3) + 0.2 * (values[1] != 1);
}

/* A study with n trials told, evenly along x; those beyond `limit` break one. */
static qn_study *told(int n, double limit)
{
    qn_error err = {0};
    qn_study *study;
    CHECK_OK(qn_study_open(&(qn_study_request){.space = space, .sampler = "random"}, &study, &err));
    for (int i = 0; i < n; i++) {
        char text[64];
        qn_trial *trial;
        snprintf(text, sizeof text, "{\"x\": %.3f, \"c\": \"%c\"}", (i + 0.5) / n, 'a' + i % 3);
        CHECK_OK(qn_study_enqueue(study, text, &err));
        CHECK_OK(qn_study_ask(study, &trial, &err));
        const double *values = qn_trial_get_record(trial)->values, loss = loss_at(values);
        CHECK_OK(qn_trial_violate(trial, values[0] > limit, &err));
        CHECK_OK(qn_trial_tell(trial, &loss, 1, &err));
    }
    return study;
}

static void the_promise_is_greatest_near_the_optimum(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_surrogate surrogate;
    qn_study *study = told(30, 2);
    const double at[] = {0.31, 1, 0.31, 0, 0.9, 1};
    double gains[3];
    CHECK_OK(qn_surrogate_init(&surrogate, qn_study_history(study), 1, &err));
    CHECK_OK(qn_surrogate_update(&surrogate, &err));
    CHECK_OK(qn_surrogate_gains(&surrogate, at, 3, gains, &err));
    CHECK(gains[0] > gains[1] && gains[0] > gains[2]);
    CHECK(surrogate.limits == NULL);
    qn_surrogate_release(&surrogate);
    qn_study_close(study);
}

static void broken_limits_promise_little(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_surrogate surrogate;
    qn_study *study = told(30, 0.2);
    const double at[] = {0.15, 1, 0.3, 1};
    double gains[2];
    CHECK_OK(qn_surrogate_init(&surrogate, qn_study_history(study), 1, &err));
    CHECK_OK(qn_surrogate_update(&surrogate, &err));
    CHECK(surrogate.limits != NULL);
    CHECK_OK(qn_surrogate_gains(&surrogate, at, 2, gains, &err));
    CHECK(gains[0] > gains[1]);
    qn_surrogate_release(&surrogate);
    qn_study_close(study);
}

/* Followed trial by trial or made at once: the same bits, running trials come and go. */
static void it_depends_on_what_was_told_alone(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_surrogate followed, made;
    qn_study *study = told(55, 2);
    const double at[] = {0.31, 1, 0.62, 2};
    double one[2], other[2];
    CHECK_OK(qn_surrogate_init(&followed, qn_study_history(study), 1, &err));
    for (int i = 0; i < 9; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        CHECK_OK(qn_surrogate_update(&followed, &err));
        const double loss = loss_at(qn_trial_get_record(trial)->values);
        CHECK_OK(qn_trial_tell(trial, &loss, 1, &err));
    }
    CHECK_OK(qn_surrogate_update(&followed, &err));
    CHECK_OK(qn_surrogate_init(&made, qn_study_history(study), 1, &err));
    CHECK_OK(qn_surrogate_update(&made, &err));
    CHECK_OK(qn_surrogate_gains(&followed, at, 2, one, &err));
    CHECK_OK(qn_surrogate_gains(&made, at, 2, other, &err));
    CHECK(memcmp(one, other, sizeof one) == 0);
    qn_surrogate_release(&followed);
    qn_surrogate_release(&made);
    qn_study_close(study);
}

RUN_TESTS(TEST(log_improvement_is_exact_everywhere), TEST(the_promise_is_greatest_near_the_optimum),
          TEST(broken_limits_promise_little), TEST(it_depends_on_what_was_told_alone))
