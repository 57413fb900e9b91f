/* SPDX-License-Identifier: Apache-2.0 */
/* Importances against Optuna's (tests/golden/importances) and against what is known. */
#include "analysis/parameter_importance.h"
#include "search/study/study.h"

#include "golden.h"

#include <stdlib.h>

static qn_json *golden;

static int load(void **state)
{
    (void)state;
    golden = read_golden("importances");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    qn_json_free(golden);
    return 0;
}

static char *text_of(qn_json_value value)
{
    qn_str text = {0};
    qn_json_write_value(&(qn_json_writer){.out = &text}, value);
    return qn_str_take_text(&text);
}

static qn_study *open_study(const char *space, const char *objectives)
{
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(
        &(qn_study_request){.space = space, .objectives = objectives, .sampler = "random"}, &study,
        &err));
    return study;
}

static void tell(qn_study *study, const char *params, const double *values, int64_t n)
{
    qn_error err = {0};
    qn_trial *trial;
    if (params) CHECK_OK(qn_study_enqueue(study, params, &err));
    CHECK_OK(qn_study_ask(study, &trial, &err));
    CHECK_OK(qn_trial_tell(trial, values, n, &err));
}

static qn_study *study_of(qn_json_value item)
{
    char *space = text_of(qn_json_get(item, "space"));
    qn_study *study = open_study(space, NULL);
    const qn_json_value trials = qn_json_get(item, "trials");
    CHECK(qn_json_size(trials) == 200);
    for (int64_t i = 0; i < qn_json_size(trials); i++) {
        char *params = text_of(qn_json_get(qn_json_at(trials, i), "params"));
        const double value = qn_json_as_double(qn_json_get(qn_json_at(trials, i), "value"), QN_NA);
        tell(study, params, &value, 1);
        qn_free(params);
    }
    qn_free(space);
    return study;
}

/* Compares one method on every case that has it. */
static void check_method(const char *method, double tolerance, const char *deviation)
{
    int n_compared = 0;
    for (int64_t i = 0; i < qn_json_size(qn_json_root(golden)); i++) {
        const qn_json_value item = qn_json_at(qn_json_root(golden), i);
        const qn_json_value expected = qn_json_get(item, method);
        if (!expected) continue;
        qn_error err = {0};
        qn_study *study = study_of(item);
        qn_parameter_importance *found;
        int64_t n;
        const double within =
            tolerance + (deviation ? 3 * qn_json_as_double(qn_json_get(item, deviation), 0) : 0);
        CHECK_OK(qn_study_importances(study, method, NULL, &found, &n, &err));
        CHECK_INT(n, qn_json_size(expected));
        for (int64_t k = 0; k < n; k++) {
            const double theirs = qn_json_as_double(qn_json_get(expected, found[k].name), QN_NA);
            if (getenv("QUERN_SHOW")) {
                printf("%s %s %.4f %.4f\n", method, found[k].name, found[k].importance, theirs);
            }
            CHECK_NEAR(found[k].importance, theirs, within);
            CHECK(k == 0 || found[k].importance <= found[k - 1].importance);
        }
        n_compared++;
        qn_importances_free(found);
        qn_study_close(study);
    }
    CHECK(n_compared >= 4);
}

static void ped_anova_is_optunas(void **state)
{
    (void)state;
    check_method("ped_anova", 1e-9, NULL);
}

/* Another forest: within what its seeds make of it, and a little for categories, which Optuna's
 * trees see as columns of their own. */
static void fanova_is_optunas_within_the_noise_of_its_seeds(void **state)
{
    (void)state;
    check_method("fanova", 0.015, "fanova_deviation");
}

static double importance_of(const qn_parameter_importance *list, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0) return list[i].importance;
    }
    return QN_NA;
}

/* y = x + c / 2 on a full grid: variances are known. */
static void fanova_finds_the_variances_of_a_sum(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_parameter_importance *found;
    int64_t n;
    qn_study *study =
        open_study("{parameters: {x: {type: int, low: 0, high: 7},"
                   " c: {type: categorical, choices: [p, q, r]}, z: {type: float, low: 0, high: 1},"
                   " one: {type: int, low: 3, high: 3}}}",
                   NULL);
    for (int i = 0; i < 480; i++) {
        char params[64];
        const int x = i % 8, c = i / 8 % 3;
        snprintf(params, sizeof params, "{\"x\": %d, \"c\": \"%c\"}", x, "pqr"[c]);
        const double value = x + 2 * c;
        tell(study, params, &value, 1);
    }
    CHECK_OK(qn_study_importances(study, NULL, NULL, &found, &n, &err));
    CHECK_INT(n, 4);
    const double of_x = 63.0 / 12, of_c = 4 * 8.0 / 12; /* (n² - 1) / 12 each */
    CHECK_TEXT(found[0].name, "x");
    CHECK_NEAR(importance_of(found, n, "x"), of_x / (of_x + of_c), 1e-6);
    CHECK_NEAR(importance_of(found, n, "c"), of_c / (of_x + of_c), 1e-6);
    CHECK_NEAR(importance_of(found, n, "z"), 0, 1e-9);
    CHECK(importance_of(found, n, "one") == 0);
    qn_importances_free(found);
    qn_study_close(study);
}

/* A parameter that exists in half of the space, and then says everything. */
static void fanova_takes_conditional_parameters_into_account(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_parameter_importance *found;
    int64_t n;
    qn_study *study = open_study("{parameters: {on: {type: bool},"
                                 " x: {type: float, low: 0, high: 1, when: {on: true}},"
                                 " y: {type: float, low: 0, high: 1}}}",
                                 NULL);
    for (int i = 0; i < 400; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        const double *values = qn_trial_get_record(trial)->values;
        const double value = values[0] != 0 ? 10 * values[1] : 5 + 0.1 * values[2];
        CHECK_OK(qn_trial_tell(trial, &value, 1, &err));
    }
    CHECK_OK(qn_study_importances(study, "fanova", NULL, &found, &n, &err));
    CHECK_TEXT(found[0].name, "x");
    CHECK(found[0].importance > 0.8);
    qn_importances_free(found);
    qn_study_close(study);
}

static void importances_are_of_the_objective_asked_for(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_parameter_importance *found;
    int64_t n;
    qn_study *study = open_study("{parameters: {x: {type: float, low: 0, high: 1},"
                                 " y: {type: float, low: 0, high: 1}}}",
                                 "first:minimize,second:maximize");
    for (int i = 0; i < 60; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        CHECK_OK(qn_trial_tell(trial, qn_trial_get_record(trial)->values, 2, &err));
    }
    for (int method = 0; method < 2; method++) {
        const char *name = qn_importance_methods[method]->name;
        CHECK_OK(qn_study_importances(study, name, "second", &found, &n, &err));
        CHECK_TEXT(found[0].name, "y");
        qn_importances_free(found);
        CHECK_OK(qn_study_importances(study, name, NULL, &found, &n, &err));
        CHECK_TEXT(found[0].name, "x");
        qn_importances_free(found);
    }
    CHECK_FAILS(QN_ERR_ARG, qn_study_importances(study, "fanova", "third", &found, &n, &err));
    CHECK_CONTAINS(err.message, "no objective 'third'");
    CHECK(found == NULL);
    CHECK_FAILS(QN_ERR_ARG, qn_study_importances(study, "anova", NULL, &found, &n, &err));
    CHECK_CONTAINS(err.message, "there are fanova and ped_anova");
    qn_study_close(study);
}

/* Trials from which nothing can be learned give zeros, not NaN. */
static void studies_that_say_nothing_give_zeros(void **state)
{
    (void)state;
    static const struct {
        int n_trials;
        double first, others;
        bool is_zero;
    } cases[] = {{0, 0, 0, true},
                 {1, 3, 3, true},
                 {30, 7, 7, true},
                 {2, 1, 2, false},
                 {40, 1e308, -1e308, false},
                 {40, 5e-324, 0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_study *study = open_study("{parameters: {x: {type: float, low: 0, high: 1},"
                                     " b: {type: categorical, choices: [u, v]}}}",
                                     NULL);
        for (int t = 0; t < cases[i].n_trials; t++) {
            tell(study, NULL, t == 0 ? &cases[i].first : &cases[i].others, 1);
        }
        for (int method = 0; method < 2; method++) {
            qn_error err = {0};
            qn_parameter_importance *found;
            int64_t n;
            double sum = 0;
            CHECK_OK(qn_study_importances(study, qn_importance_methods[method]->name, NULL, &found,
                                          &n, &err));
            for (int64_t k = 0; k < n; k++) {
                CHECK(found[k].importance >= 0);
                sum += found[k].importance;
            }
            if (cases[i].is_zero && method == 0) CHECK(sum == 0);
            CHECK(sum == 0 || fabs(sum - 1) < 1e-12);
            qn_importances_free(found);
        }
        qn_study_close(study);
    }
}

static void importances_survive_running_out_of_memory(void **state)
{
    (void)state;
    qn_parameter_importance *found;
    int64_t n;
    qn_study *study = open_study("{parameters: {x: {type: float, low: 0, high: 1},"
                                 " c: {type: categorical, choices: [u, v, w]}}}",
                                 NULL);
    for (int i = 0; i < 10; i++) {
        const double value = i % 4;
        tell(study, NULL, &value, 1);
    }
    CHECK_SURVIVES_NO_MEMORY(qn_study_importances(study, "fanova", NULL, &found, &n, NULL));
    qn_importances_free(found);
    CHECK_SURVIVES_NO_MEMORY(qn_study_importances(study, "ped_anova", NULL, &found, &n, NULL));
    qn_importances_free(found);
    qn_study_close(study);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ped_anova_is_optunas),
        TEST(fanova_is_optunas_within_the_noise_of_its_seeds),
        TEST(fanova_finds_the_variances_of_a_sum),
        TEST(fanova_takes_conditional_parameters_into_account),
        TEST(importances_are_of_the_objective_asked_for),
        TEST(studies_that_say_nothing_give_zeros),
        TEST(importances_survive_running_out_of_memory),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
