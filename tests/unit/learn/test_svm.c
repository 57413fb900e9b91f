/* SPDX-License-Identifier: Apache-2.0 */
/* Support vector machines against scikit-learn's objective and decisions on real tables
 * (tests/golden/svm, and nystroem for landmarks), and their solver and kernels against what is
 * known. */
#include "learn/learner.h"
#include "learn/svm/nystroem.h"
#include "learn/svm/smo.h"
#include "model/svm_model.h"

#include "real_tables.h"

enum { EVERY = 5 }; /* of the test rows */

static double number_of(qn_json_value golden, const char *key)
{
    return qn_json_as_double(qn_json_get(golden, key), QN_NA);
}

static qn_kernel kernel_of(qn_json_value golden)
{
    const bool poly = strcmp(case_text(golden, "kernel"), "poly") == 0;
    return (qn_kernel){.kind = poly ? QN_KERNEL_POLY : QN_KERNEL_RBF,
                       .degree = (int32_t)number_of(golden, "degree"),
                       .gamma = (float)number_of(golden, "gamma"),
                       .coef0 = (float)number_of(golden, "coef0")};
}

/* The dual objective of classes 0 and 1 with the default tolerance, whatever the cache holds. */
static void check_objective(const real_table *t, qn_json_value golden, double cache_bytes)
{
    qn_error err = {0};
    const int64_t n_rows = t->data.train.n_rows;
    const double c = number_of(golden, "C"), wanted = number_of(golden, "objective");
    double *linear = qn_alloc_array(4 * n_rows, sizeof *linear);
    double *low = linear + n_rows, *high = low + n_rows;
    int32_t *rows = qn_alloc_array(n_rows, sizeof *rows);
    int64_t n = 0;
    for (int32_t i = 0; i < n_rows; i++) {
        const double y = t->data.train.target[i];
        if (y > 1) continue;
        linear[n] = y == 0 ? 1 : -1;
        low[n] = y == 0 ? 0 : -c;
        high[n] = y == 0 ? c : 0;
        rows[n++] = i;
    }
    const qn_smo_request request = {.x = &t->data.train.views[QN_VIEW_DENSE],
                                    .rows = rows,
                                    .n = n,
                                    .copies = 1,
                                    .kernel = kernel_of(golden),
                                    .linear = linear,
                                    .low = low,
                                    .high = high,
                                    .tolerance = 1e-3,
                                    .cache_bytes = cache_bytes};
    qn_smo_result result = {.beta = high + n_rows};
    CHECK_OK(qn_smo_solve(&request, &result, &err));
    CHECK_NEAR(result.objective / wanted, 1, 1e-4);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        CHECK(result.beta[i] >= low[i] && result.beta[i] <= high[i]);
        sum += result.beta[i];
    }
    CHECK_NEAR(sum, 0, 1e-9);
    qn_free(linear);
    qn_free(rows);
}

static qn_estimator *fit(const real_table *t, qn_json_value golden, const char *more, qn_pool *pool)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    const qn_learner *learner = qn_learner_find("svm");
    void *params = qn_alloc_array(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, case_text(golden, "params"), &err));
    CHECK_OK(qn_params_set(learner, params, more, &err));
    const qn_learn_request request = {.data = &t->data, .params = params, .seed = 1, .pool = pool};
    CHECK_OK(learner->fit(&request, &result, &err));
    qn_free(params);
    return result.estimator;
}

static void check_decisions(const real_table *t, qn_json_value golden, const char *more,
                            double tolerance)
{
    qn_estimator *estimator = fit(t, golden, more, NULL);
    const qn_json_value expected = qn_json_get(golden, "decisions");
    const bool is_number = t->data.task == QN_TASK_REGRESSION;
    const int64_t k = t->data.n_classes;
    const int64_t n_machines = is_number ? 1 : qn_svm_n_machines((int32_t)k);
    double *out = qn_alloc_array(t->test.n_rows * n_machines, sizeof *out);
    void *scratch =
        qn_alloc_aligned((int64_t)qn_estimator_scratch_bytes(estimator, t->test.n_rows), 1);
    qn_svm_decide(estimator, &t->test, out, scratch);
    CHECK_INT(qn_json_size(expected), (t->test.n_rows + EVERY - 1) / EVERY * n_machines);
    for (int64_t i = 0; i < qn_json_size(expected); i++) {
        CHECK_NEAR(out[i / n_machines * EVERY * n_machines + i % n_machines],
                   qn_json_as_double(qn_json_at(expected, i), QN_NA), tolerance);
    }
    qn_free(scratch);
    qn_free(out);
    qn_estimator_free(estimator);
}

static void check_machines(const real_table *table, qn_json_value golden)
{
    check_objective(table, golden, 1e8);
    check_objective(table, golden, 0);
    check_decisions(table, golden, "tol=1e-7", 1e-3);
}

static void objectives_and_decisions_equal_scikit_learn(void **state)
{
    (void)state;
    check_real_tables("svm", check_machines);
}

static void check_landmarks(const real_table *table, qn_json_value golden)
{
    static const char *const more = "max_rows=1000,n_components=150";
    check_decisions(table, golden, "max_rows=1000,n_components=150,tol=1e-7,platt_folds=2", 5e-3);
    qn_writer first = {0}, second = {0};
    qn_pool *pool = qn_pool_create(3);
    qn_estimator *alone = fit(table, golden, more, NULL),
                 *together = fit(table, golden, more, pool);
    qn_estimator_write(alone, &first);
    qn_estimator_write(together, &second);
    CHECK_INT(first.bytes, second.bytes);
    assert_memory_equal(first.data, second.data, first.bytes);
    qn_estimator_free(alone);
    qn_estimator_free(together);
    qn_writer_release(&first);
    qn_writer_release(&second);
    qn_pool_free(pool);
}

static void machines_of_landmarks_decide_as_scikit_learn(void **state)
{
    (void)state;
    check_real_tables("nystroem", check_landmarks);
}

/* 40 points of a line, labelled by the sign of a wave; half of them are landmarks. */
static void landmarks_survive_running_out_of_memory(void **state)
{
    (void)state;
    double values[40], beta[40], linear[40], low[40], high[40];
    int32_t rows[40];
    for (int i = 0; i < 40; i++) {
        rows[i] = i;
        values[i] = (i % 20) * 0.3 + (i < 20 ? 0 : 0.9);
        linear[i] = i < 20 ? 1 : -1;
        low[i] = i < 20 ? 0 : -2;
        high[i] = i < 20 ? 2 : 0;
    }
    const qn_matrix x = {.n_rows = 40, .n_dense = 1, .stride = 40, .dense = values};
    const qn_smo_request problem = {.x = &x,
                                    .rows = rows,
                                    .n = 40,
                                    .copies = 1,
                                    .kernel = {.kind = QN_KERNEL_RBF, .degree = 1, .gamma = 1},
                                    .linear = linear,
                                    .low = low,
                                    .high = high,
                                    .tolerance = 1e-6};
    const qn_nystroem_request request = {.problem = &problem, .share = 0.25, .least = 10};
    qn_smo_result result = {.beta = beta};
    CHECK_SURVIVES_NO_MEMORY(qn_nystroem_solve(&request, &result, NULL));
    int n_landmarks = 0;
    for (int i = 0; i < 40; i++) {
        n_landmarks += beta[i] != 0;
    }
    CHECK_INT(n_landmarks, 20);
}

/* Two points of either class: the margin stands between them, with vectors of 2 / distance². */
static void two_points_have_the_margin_between_them(void **state)
{
    (void)state;
    qn_error err = {0};
    double values[2] = {1, 4}, beta[2];
    const int32_t rows[2] = {0, 1};
    const qn_matrix x = {.n_rows = 2, .n_dense = 1, .stride = 2, .dense = values};
    const double linear[2] = {-1, 1}, low[2] = {-100, 0}, high[2] = {0, 100};
    const qn_smo_request request = {.x = &x,
                                    .rows = rows,
                                    .n = 2,
                                    .copies = 1,
                                    .kernel = {.kind = QN_KERNEL_LINEAR, .degree = 1},
                                    .linear = linear,
                                    .low = low,
                                    .high = high,
                                    .tolerance = 1e-9};
    qn_smo_result result = {.beta = beta};
    CHECK_OK(qn_smo_solve(&request, &result, &err));
    CHECK_NEAR(beta[0], -2.0 / 9, 1e-12);
    CHECK_NEAR(beta[1], 2.0 / 9, 1e-12);
    CHECK_NEAR(result.bias, -5.0 / 3, 1e-9);
    CHECK_NEAR(result.objective, -2.0 / 9, 1e-12);
    CHECK_SURVIVES_NO_MEMORY(qn_smo_solve(&request, &result, NULL));
}

/* The kernels as their definitions have them, also with a sparse part. */
static void kernels_are_those_of_their_definitions(void **state)
{
    (void)state;
    qn_error err = {0};
    double dense[6] = {1, 2, -1, 0.5, 0, 3}; /* 3 rows of 2 columns */
    int64_t starts[4] = {0, 1, 1, 3};
    int32_t cols[3] = {2, 0, 2}, chosen[3] = {0, 1, 2};
    float values[3] = {2, 1, 0.5F};
    const double rows[3][5] = {{1, 0.5, 0, 0, 2}, {2, 0, 0, 0, 0}, {-1, 3, 1, 0, 0.5}};
    const qn_matrix x = {3, 2, 3, 3, dense, starts, cols, values};
    qn_kernel_rows laid_out;
    CHECK_SURVIVES_NO_MEMORY(qn_kernel_rows_fill(&x, chosen, 3, &laid_out, &err));
    for (int kind = 0; kind < 4; kind++) {
        const qn_kernel kernel = {(qn_kernel_kind)kind, 3, 0.25F, 0.5F};
        for (int a = 0; a < 3; a++) {
            float point_dense[2], sparse[3] = {0}, out[3];
            qn_kernel_point point = {.dense = point_dense, .sparse = sparse};
            point.square = qn_kernel_point_spread(&x, a, point_dense, sparse);
            qn_kernel_rows_apply(&laid_out, &kernel, &point, 0, 3, out);
            qn_kernel_point_clear(&x, a, sparse);
            for (int b = 0; b < 3; b++) {
                double product = 0, distance = 0;
                for (int f = 0; f < 5; f++) {
                    const double d = rows[a][f] - rows[b][f];
                    product += rows[a][f] * rows[b][f];
                    distance += d * d;
                }
                const double inner = 0.25 * product + 0.5;
                const double wanted[4] = {product, inner * inner * inner, exp(-0.25 * distance),
                                          tanh(inner)};
                CHECK_NEAR((double)out[b], wanted[kind], 2e-6 * fmax(1, fabs(wanted[kind])));
            }
            CHECK(sparse[0] == 0 && sparse[1] == 0 && sparse[2] == 0);
        }
    }
    qn_kernel_rows_release(&laid_out);
}

RUN_TESTS(TEST(objectives_and_decisions_equal_scikit_learn),
          TEST(machines_of_landmarks_decide_as_scikit_learn),
          TEST(landmarks_survive_running_out_of_memory),
          TEST(two_points_have_the_margin_between_them),
          TEST(kernels_are_those_of_their_definitions))
