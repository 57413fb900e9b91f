/* SPDX-License-Identifier: Apache-2.0 */
/* --monotone, --interactions and --params: read, refused in words, and kept by what is fitted. */
#include "automl/constraints.h"
#include "base/rng.h"
#include "quern/bundle.h"
#include "quern/fit.h"

#include "tables.h"

#include <unistd.h>

static const char csv[] = "age,city,price,y\n30,Rome,1.5,1\n40,Oslo,2.5,0\n50,Rome,3.5,1\n"
                          "60,Oslo,2.25,0\n35,Rome,1.25,1\n45,Oslo,0.5,0\n";

static void texts_become_marks(void **state)
{
    (void)state;
    qn_error err = {0};
    const char *const kinds[] = {"age=numeric", "city=categorical", "price=numeric", NULL};
    table t = table_from_csv(csv, "y", "binary", kinds);
    qn_constraints c;
    CHECK_OK(qn_constraints_read(t.schema, NULL, NULL, &c, &err));
    CHECK(!qn_constraints_any(&c));
    CHECK_OK(qn_constraints_read(t.schema, "price=decreasing,age=increasing", "age,city;city,price",
                                 &c, &err));
    CHECK(c.monotone[0] == 1 && c.monotone[1] == 0 && c.monotone[2] == -1);
    CHECK(c.interaction_sets[0] == 1 && c.interaction_sets[1] == 3 && c.interaction_sets[2] == 2);
    qn_constraints_release(&c);
    const struct {
        const char *monotone, *interactions, *says;
    } wrong[] = {{"agee=increasing", NULL, "no feature is called 'agee'; did you mean 'age'?"},
                 {"city=increasing", NULL, "'city' is categorical, and only a number can be"},
                 {"age=up", NULL, "expected 'age=increasing' or 'age=decreasing'"},
                 {"age", NULL, "expected 'age=increasing' or 'age=decreasing'"},
                 {NULL, "age,cty", "--interactions: no feature is called 'cty'"},
                 {NULL, "y,age", "no feature is called 'y'"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_FAILS(QN_ERR_ARG, qn_constraints_read(t.schema, wrong[i].monotone,
                                                    wrong[i].interactions, &c, &err));
        CHECK_CONTAINS(err.message, wrong[i].says);
        CHECK(!qn_constraints_any(&c));
    }
    CHECK_SURVIVES_NO_MEMORY(qn_constraints_read(t.schema, "age=increasing", "age,city", &c, NULL));
    qn_constraints_release(&c);
    table_release(&t);
}

/* A table whose target rises with `a`, but for a dip in the middle. */
static void write_table(const char *path)
{
    qn_rng rng;
    qn_rng_init(&rng, 3, 0);
    FILE *file = fopen(path, "w");
    CHECK(file);
    fputs("a,b,y\n", file);
    for (int i = 0; i < 600; i++) {
        const double a = 10 * qn_rng_uniform(&rng), b = qn_rng_uniform(&rng);
        const double y = a - (a > 4 && a < 6 ? 3 : 0) + 4 * b + qn_rng_normal(&rng);
        fprintf(file, "%.6f,%.6f,%.6f\n", a, b, y);
    }
    CHECK_INT(fclose(file), 0);
}

static double predict(const qn_model *model, double a, double b, void *scratch)
{
    qn_error err = {0};
    const qn_cell cells[2] = {{.number = a}, {.number = b}};
    double out;
    CHECK_OK(qn_model_predict_row(model, cells, &out, scratch, &err));
    return out;
}

/* The most that predictions fall below an earlier one as `a` rises. */
static double deepest_fall(const char *path)
{
    qn_error err = {0};
    qn_model *model = NULL;
    CHECK_OK(qn_model_open(path, &model, &err));
    void *scratch = aligned_alloc(64, (qn_model_scratch_bytes(model) + 63) / 64 * 64);
    double most = 0;
    for (int b = 0; b < 10; b++) {
        double before = -QN_INF;
        for (int a = -100; a < 1200; a++) {
            const double now = predict(model, a * 0.01, b * 0.1, scratch);
            most = fmax(most, before - now);
            before = fmax(before, now);
        }
    }
    free(scratch);
    qn_model_close(model);
    return most;
}

static void a_fit_keeps_them(void **state)
{
    (void)state;
    qn_error err = {0};
    char path[64], model[64];
    snprintf(path, sizeof path, "constraints_%d.csv", (int)getpid());
    snprintf(model, sizeof model, "constraints_%d.quern", (int)getpid());
    write_table(path);
    qn_fit_request request = {
        .table = path, .target = "y", .model = model, .report = "", .n_trials = 2, .n_threads = 2};
    qn_fit_result result;
    CHECK_OK(qn_fit(&request, &result, &err));
    qn_fit_result_release(&result);
    CHECK(deepest_fall(model) > 1);
    request.monotone = "a=increasing";
    CHECK_OK(qn_fit(&request, &result, &err));
    CHECK(!strstr(result.json, "extra_trees_1")); /* it could not promise anything */
    qn_fit_result_release(&result);
    CHECK(deepest_fall(model) < 1e-12);
    request.learners = "gbdt,ridge";
    CHECK_FAILS(QN_ERR_ARG, qn_fit(&request, &result, &err));
    CHECK_CONTAINS(err.message, "learner 'ridge' cannot keep --monotone");
    unlink(path);
    unlink(model);
}

static void parameters_can_be_fixed(void **state)
{
    (void)state;
    qn_error err = {0};
    char path[64], model[64];
    snprintf(path, sizeof path, "params_%d.csv", (int)getpid());
    snprintf(model, sizeof model, "params_%d.quern", (int)getpid());
    write_table(path);
    qn_fit_request request = {.table = path,
                              .target = "y",
                              .model = model,
                              .report = "",
                              .n_trials = 3,
                              .params = "gbdt.num_leaves=7,extra_trees.n_estimators=11"};
    qn_fit_result result;
    CHECK_OK(qn_fit(&request, &result, &err));
    CHECK(strstr(result.json, "\"num_leaves\":7") || strstr(result.json, "\"num_leaves\": 7"));
    CHECK(!strstr(result.json, "\"num_leaves\": 31") && !strstr(result.json, "\"num_leaves\":31"));
    CHECK(strstr(result.json, "\"n_estimators\": 11") ||
          strstr(result.json, "\"n_estimators\":11"));
    qn_fit_result_release(&result);
    const char *const wrong[][2] = {{"gbdt.leaves=3", "gbdt has no parameter 'leaves'"},
                                    {"gbdt.num_leaves=1", "num_leaves"},
                                    {"num_leaves=3", "expected LEARNER.NAME=VALUE"},
                                    {"tree.num_leaves=3", "expected LEARNER.NAME=VALUE"},
                                    {"gbdt", "expected LEARNER.NAME=VALUE"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        request.params = wrong[i][0];
        CHECK_FAILS(QN_ERR_ARG, qn_fit(&request, &result, &err));
        CHECK_CONTAINS(err.message, wrong[i][1]);
    }
    unlink(path);
    unlink(model);
}

RUN_TESTS(TEST(texts_become_marks), TEST(a_fit_keeps_them), TEST(parameters_can_be_fixed))
