/* SPDX-License-Identifier: Apache-2.0 */
/* Support vector machines against scikit-learn's objective and decisions on real tables
 * (tests/golden/svm, and nystroem for landmarks), and their solver and kernels against what is
 * known. */
#include "base/rng.h"
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

/* Solves a problem with a cache of its own. */
static qn_status solve(qn_smo_request request, double cache_bytes, qn_smo_result *result)
{
    qn_kernel_cache cache;
    const qn_status status = qn_kernel_cache_init(&cache, request.x, request.rows, request.n,
                                                  &request.kernel, cache_bytes, 1, NULL);
    if (status != QN_OK) return status;
    request.cache = &cache;
    const qn_status solved = qn_smo_solve(&request, result, NULL);
    qn_kernel_cache_release(&cache);
    return solved;
}

/* Decisions, whichever variables were set aside when the fit ended, are what coefficients make of
 * kernels. */
static void check_sums(const qn_smo_request *request, const qn_smo_result *result)
{
    qn_error err = {0};
    qn_kernel_cache cache;
    qn_kernel_reader reader;
    CHECK_OK(qn_kernel_cache_init(&cache, request->x, request->rows, request->n, &request->kernel,
                                  0, 1, &err));
    CHECK_OK(qn_kernel_reader_init(&reader, &cache, &err));
    for (int64_t i = 0; i < request->n; i += 1 + request->n / 50) {
        const float *row = qn_kernel_reader_row(&reader, i);
        double sum = result->bias;
        for (int64_t j = 0; j < request->n; j++) {
            sum += result->beta[j] * (double)row[j];
        }
        CHECK_NEAR(result->decisions[i], sum, 1e-9 * fmax(1, fabs(sum)));
    }
    qn_kernel_reader_release(&reader);
    qn_kernel_cache_release(&cache);
}

/* The dual objective of classes 0 and 1 with the default tolerance, whatever the cache holds. */
static void check_objective(const real_table *t, qn_json_value golden, double cache_bytes)
{
    const int64_t n_rows = t->data.train.n_rows;
    const double c = number_of(golden, "C"), wanted = number_of(golden, "objective");
    double *linear = qn_alloc_array(5 * n_rows, sizeof *linear);
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
                                    .tolerance = 1e-3};
    qn_smo_result result = {.beta = high + n_rows, .decisions = high + 2 * n_rows};
    CHECK_INT(solve(request, cache_bytes, &result), QN_OK);
    check_sums(&request, &result);
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
    check_objective(table, golden, 1e8); /* holds all rows */
    check_objective(table, golden, 1e5);
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

/* 40 points of a line, labelled by the sign of a wave. */
enum { N_WAVE = 40 };

struct wave {
    double values[N_WAVE], linear[N_WAVE], low[N_WAVE], high[N_WAVE];
    double beta[N_WAVE], decisions[N_WAVE];
    int32_t rows[N_WAVE];
    qn_matrix x;
    qn_smo_request problem;
};

static void wave_init(struct wave *w)
{
    for (int i = 0; i < N_WAVE; i++) {
        w->rows[i] = i;
        w->values[i] = (i % 20) * 0.3 + (i < 20 ? 0 : 0.9);
        w->linear[i] = i < 20 ? 1 : -1;
        w->low[i] = i < 20 ? 0 : -2;
        w->high[i] = i < 20 ? 2 : 0;
    }
    w->x = (qn_matrix){.n_rows = N_WAVE, .n_dense = 1, .stride = N_WAVE, .dense = w->values};
    w->problem = (qn_smo_request){.x = &w->x,
                                  .rows = w->rows,
                                  .n = N_WAVE,
                                  .copies = 1,
                                  .kernel = {.kind = QN_KERNEL_RBF, .degree = 1, .gamma = 1},
                                  .linear = w->linear,
                                  .low = w->low,
                                  .high = w->high,
                                  .tolerance = 1e-6};
}

/* Half of the points are landmarks. */
static void landmarks_survive_running_out_of_memory(void **state)
{
    (void)state;
    struct wave w;
    wave_init(&w);
    const qn_nystroem_request request = {.problem = &w.problem, .share = 0.25, .least = 10};
    qn_smo_result result = {.beta = w.beta, .decisions = w.decisions};
    CHECK_SURVIVES_NO_MEMORY(qn_nystroem_solve(&request, &result, NULL));
    int n_landmarks = 0;
    for (int i = 0; i < N_WAVE; i++) {
        n_landmarks += w.beta[i] != 0;
    }
    CHECK_INT(n_landmarks, 20);
}

/* Every fourth row closed, against the problem that knows nothing of it. */
static void rows_left_out_are_only_decided(void **state)
{
    (void)state;
    struct wave all, rest;
    wave_init(&all);
    wave_init(&rest);
    rest.problem.n = 0;
    for (int i = 0; i < N_WAVE; i++) {
        if (i % 4 == 1) {
            all.low[i] = all.high[i] = 0;
            continue;
        }
        const int64_t at = rest.problem.n++;
        rest.rows[at] = i;
        rest.linear[at] = all.linear[i];
        rest.low[at] = all.low[i];
        rest.high[at] = all.high[i];
    }
    qn_smo_result decided = {.beta = all.beta, .decisions = all.decisions};
    qn_smo_result known = {.beta = rest.beta, .decisions = rest.decisions};
    CHECK_INT(solve(all.problem, 1e6, &decided), QN_OK);
    CHECK_INT(solve(rest.problem, 1e6, &known), QN_OK);
    for (int64_t at = 0; at < rest.problem.n; at++) {
        CHECK_NEAR(all.beta[rest.rows[at]], rest.beta[at], 1e-9);
        CHECK_NEAR(all.decisions[rest.rows[at]], rest.decisions[at], 1e-9);
    }
    for (int i = 1; i < N_WAVE; i += 4) {
        CHECK(all.beta[i] == 0);
    }
    check_sums(&all.problem, &decided);

    const qn_nystroem_request landmarks = {.problem = &all.problem, .share = 0.25, .least = 10};
    const qn_nystroem_request fewer = {.problem = &rest.problem, .share = 0.25, .least = 10};
    CHECK_INT(qn_nystroem_solve(&landmarks, &decided, NULL), QN_OK);
    CHECK_INT(qn_nystroem_solve(&fewer, &known, NULL), QN_OK);
    for (int64_t at = 0; at < rest.problem.n; at++) {
        CHECK_NEAR(all.decisions[rest.rows[at]], rest.decisions[at], 1e-4);
    }
    for (int i = 1; i < N_WAVE; i += 4) {
        CHECK(all.beta[i] == 0);
        CHECK_NEAR(all.decisions[i], (all.decisions[i - 1] + all.decisions[i + 1]) / 2, 0.2);
    }
}

/* What two readers ask of one cache, with room for a few rows only, is what a cache of all says. */
static void readers_of_a_cache_see_the_same_rows(void **state)
{
    (void)state;
    qn_error err = {0};
    struct wave w;
    wave_init(&w);
    qn_kernel_cache large, small;
    qn_kernel_reader whole, first, second;
    const double few = 8 * N_WAVE * sizeof(float);
    CHECK_SURVIVES_NO_MEMORY(
        qn_kernel_cache_init(&large, &w.x, w.rows, N_WAVE, &w.problem.kernel, 1e6, 1, &err));
    CHECK_OK(qn_kernel_cache_init(&small, &w.x, w.rows, N_WAVE, &w.problem.kernel, few, 2, &err));
    CHECK_SURVIVES_NO_MEMORY(qn_kernel_reader_init(&whole, &large, &err));
    CHECK_OK(qn_kernel_reader_init(&first, &small, &err));
    CHECK_OK(qn_kernel_reader_init(&second, &small, &err));
    for (int i = 0; i < 4 * N_WAVE; i++) {
        const int a = i * 7 % N_WAVE, b = i * 11 % N_WAVE;
        const float *row_a = qn_kernel_reader_row(&first, a);
        const float *row_b = qn_kernel_reader_row(i % 3 ? &first : &second, b);
        const float *known = qn_kernel_reader_row(&whole, a);
        assert_memory_equal(row_a, known, N_WAVE * sizeof *known);
        known = qn_kernel_reader_row(&whole, b);
        assert_memory_equal(row_b, known, N_WAVE * sizeof *known);
    }
    CHECK_NEAR(qn_kernel_cache_diagonal(&large, 3), 1, 1e-6);
    qn_kernel_reader_release(&whole);
    qn_kernel_reader_release(&first);
    qn_kernel_reader_release(&second);
    qn_kernel_cache_release(&large);
    qn_kernel_cache_release(&small);
}

/* Two points of either class: the margin stands between them, with vectors of 2 / distance². */
static void two_points_have_the_margin_between_them(void **state)
{
    (void)state;
    double values[2] = {1, 4}, beta[2], decisions[2];
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
    qn_smo_result result = {.beta = beta, .decisions = decisions};
    CHECK_INT(solve(request, 0, &result), QN_OK);
    CHECK_NEAR(beta[0], -2.0 / 9, 1e-12);
    CHECK_NEAR(beta[1], 2.0 / 9, 1e-12);
    CHECK_NEAR(result.bias, -5.0 / 3, 1e-9);
    CHECK_NEAR(result.objective, -2.0 / 9, 1e-12);
    CHECK_NEAR(decisions[0], -1, 1e-9);
    CHECK_NEAR(decisions[1], 1, 1e-9);
    CHECK_SURVIVES_NO_MEMORY(solve(request, 0, &result));
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

/* By landmarks a fit takes its time before the first pass, which there is no need to wait for. */
static void told_to_stop_landmarks_are_given_up_soon(void **state)
{
    (void)state;
    enum { N = 6000, D = 20 };
    static double x[D][N], y[N];
    qn_rng rng;
    qn_rng_init(&rng, 12, 0);
    for (int i = 0; i < N; i++) {
        for (int f = 0; f < D; f++) {
            x[f][i] = qn_rng_normal(&rng);
        }
        y[i] = x[0][i] * x[1][i] > 0;
    }
    const qn_dataset data = {
        .task = QN_TASK_BINARY,
        .n_classes = 2,
        .n_outputs = 1,
        .train =
            {.n_rows = N,
             .views = {[QN_VIEW_DENSE] = {.n_rows = N, .n_dense = D, .stride = N, .dense = x[0]}},
             .target = y},
        .n_features = {[QN_VIEW_DENSE] = D},
        .n_dense = {[QN_VIEW_DENSE] = D}};
    const qn_learner *learner = qn_learner_find("svm");
    void *params = calloc(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_INT(qn_params_set(learner, params, "max_rows=2000,n_components=800", NULL), QN_OK);
    qn_learn_result result = {0};
    qn_learn_request request = {.data = &data, .params = params, .seed = 5};
    double begun = qn_clock_cpu_s();
    CHECK_INT(learner->fit(&request, &result, NULL), QN_OK);
    const double whole = qn_clock_cpu_s() - begun;
    qn_estimator_free(result.estimator);
    const qn_stop stop = {.deadline_s = qn_clock_s() + whole / 50};
    request.stop = &stop;
    begun = qn_clock_cpu_s();
    CHECK_INT(learner->fit(&request, &result, NULL), QN_ERR_INTERRUPTED);
    CHECK(result.estimator == NULL);
    const double cut = qn_clock_cpu_s() - begun;
    if (cut > whole / 3) fail_msg("%.3g s of %.3g, told to stop at once", cut, whole);
    free(params);
}

/* A wave of one column with noise: rows 0 … n_train - 1 to learn from, the others to choose by. */
enum { N_CHOOSE = 200, N_MANY = 4100 };

static void noisy_wave(double noise, int64_t n_train, qn_dataset *data)
{
    qn_error err = {0};
    *data = (qn_dataset){.task = QN_TASK_REGRESSION, .n_outputs = 1};
    qn_dataset_part *const parts[] = {&data->train, &data->valid};
    qn_rng rng;
    qn_rng_init(&rng, 1, 1);
    data->n_features[QN_VIEW_DENSE] = data->n_dense[QN_VIEW_DENSE] = 1;
    for (int p = 0; p < 2; p++) {
        const int64_t n = p == 0 ? n_train : N_CHOOSE;
        parts[p]->n_rows = n;
        parts[p]->target = qn_alloc_array(n, sizeof(double));
        CHECK_OK(qn_matrix_init(&parts[p]->views[QN_VIEW_DENSE], n, 1, &err));
        for (int64_t i = 0; i < n; i++) {
            const double x = 4 * qn_rng_uniform(&rng) - 2;
            parts[p]->views[QN_VIEW_DENSE].dense[i] = x;
            parts[p]->target[i] = sin(3 * x) + noise * (qn_rng_uniform(&rng) - 0.5);
        }
    }
}

/* The machine of a cost, in bytes, and its squared error on the validation rows. */
static double fit_wave(const qn_dataset *data, const char *params, qn_writer *out)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    double predicted[N_CHOOSE], loss = 0;
    const qn_learner *learner = qn_learner_find("svm");
    void *own = qn_alloc_array(1, learner->params_bytes);
    qn_params_init(learner, own);
    CHECK_OK(qn_params_set(learner, own, params, &err));
    const qn_learn_request request = {.data = data, .params = own, .seed = 1};
    CHECK_OK(learner->fit(&request, &result, &err));
    const qn_matrix *x = &data->valid.views[QN_VIEW_DENSE];
    CHECK_OK(qn_estimator_predict(result.estimator, x, NULL, predicted, &err));
    for (int64_t i = 0; i < data->valid.n_rows; i++) {
        const double d = predicted[i] - data->valid.target[i];
        loss += d * d;
    }
    qn_estimator_write(result.estimator, out);
    qn_estimator_free(result.estimator);
    qn_free(own);
    return loss;
}

static bool same_bytes(const qn_writer *a, const qn_writer *b)
{
    return a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* Among much noise a low cost is best, without any a high one. Validation rows tell. */
static void the_cost_is_chosen_on_validation_rows(void **state)
{
    (void)state;
    static const char *const costs[] = {"C=0.1", "C=0.3", "C=1", "C=3", "C=10", "C=30"};
    static const double noises[] = {20, 0};
    int chosen[2];
    for (int w = 0; w < 2; w++) {
        qn_dataset data;
        double least = QN_INF;
        qn_writer best = {0}, one = {0}, own = {0};
        noisy_wave(noises[w], 150, &data);
        for (int c = 0; c < 6; c++) {
            qn_writer machine = {0};
            const double loss = fit_wave(&data, costs[c], &machine);
            if (c == 2) fit_wave(&data, costs[c], &one);
            if (loss < least) {
                qn_writer_release(&best);
                best = machine;
                least = loss;
                chosen[w] = c;
            } else {
                qn_writer_release(&machine);
            }
        }
        CHECK_NEAR(fit_wave(&data, "", &own), least, 0);
        CHECK(same_bytes(&own, &best));
        qn_writer_release(&own);
        qn_writer_release(&best);
        own = (qn_writer){0};
        const int64_t n_valid = data.valid.n_rows;
        data.valid.n_rows = 0;
        fit_wave(&data, "", &own);
        CHECK(same_bytes(&own, &one));
        data.valid.n_rows = n_valid;
        qn_writer_release(&own);
        qn_writer_release(&one);
        qn_dataset_release(&data);
    }
    CHECK(chosen[0] < 2 && chosen[1] > 2);
}

/* Many rows: a sample chooses, and all are learnt from. */
static void a_cost_chosen_by_a_sample_is_for_all_rows(void **state)
{
    (void)state;
    qn_dataset data;
    qn_writer own = {0}, all = {0};
    noisy_wave(0, N_MANY, &data);
    fit_wave(&data, "epsilon=0.5", &own);
    fit_wave(&data, "epsilon=0.5,C=0.1", &all);
    bool is_of_all = same_bytes(&own, &all);
    static const char *const costs[] = {"C=0.3", "C=1", "C=3", "C=10", "C=30"};
    for (int c = 0; c < 5 && !is_of_all; c++) {
        char params[32];
        snprintf(params, sizeof params, "epsilon=0.5,%s", costs[c]);
        qn_writer_release(&all);
        all = (qn_writer){0};
        fit_wave(&data, params, &all);
        is_of_all = same_bytes(&own, &all);
    }
    CHECK(is_of_all);
    qn_writer_release(&own);
    qn_writer_release(&all);
    qn_dataset_release(&data);
}

RUN_TESTS(TEST(told_to_stop_landmarks_are_given_up_soon),
          TEST(objectives_and_decisions_equal_scikit_learn),
          TEST(machines_of_landmarks_decide_as_scikit_learn),
          TEST(landmarks_survive_running_out_of_memory), TEST(rows_left_out_are_only_decided),
          TEST(readers_of_a_cache_see_the_same_rows), TEST(two_points_have_the_margin_between_them),
          TEST(kernels_are_those_of_their_definitions), TEST(the_cost_is_chosen_on_validation_rows),
          TEST(a_cost_chosen_by_a_sample_is_for_all_rows))
