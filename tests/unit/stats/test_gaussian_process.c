/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian processes against scikit-learn's numbers (tests/golden/gaussian_process), finite
 * differences and themselves. */
#include "stats/gaussian_process.h"

#include "base/rng.h"

#include "golden.h"

enum { TRAIN = 120, TEST = 12 };

static const char *const kind_names[] = {"rbf", "matern32", "matern52"};
static const qn_covariance_kind kinds[] = {QN_COVARIANCE_RBF, QN_COVARIANCE_MATERN32,
                                           QN_COVARIANCE_MATERN52};

static double *doubles_of(qn_json_value object, const char *key, int64_t n)
{
    const qn_json_value list = qn_json_get(object, key);
    double *out = qn_alloc_array(n, sizeof *out);
    CHECK(out != NULL);
    CHECK_INT(qn_json_size(list), n);
    for (int64_t i = 0; i < n; i++) {
        out[i] = qn_json_as_double(qn_json_at(list, i), QN_NA);
    }
    return out;
}

static qn_covariance_kind kind_of(const char *name)
{
    for (int k = 0; k < 3; k++) {
        if (strcmp(kind_names[k], name) == 0) return kinds[k];
    }
    fail_msg("there is no kind %s", name);
    return QN_COVARIANCE_RBF;
}

/* Means and standard deviations of f at the last TEST rows. */
static void check_predictions(const qn_gaussian_process_request *request, const double *x,
                              const double *mean, const double *sd)
{
    qn_error err = {0};
    qn_gaussian_process *process;
    double means[TEST], variances[TEST];
    CHECK_OK(qn_gaussian_process_fit(request, &process, &err));
    double *scratch = qn_alloc_array(qn_gaussian_process_scratch_doubles(process, TEST), 8);
    qn_gaussian_process_predict(process, x, TEST, means, variances, scratch);
    for (int i = 0; i < TEST; i++) {
        double alone;
        CHECK_NEAR(means[i], mean[i], 1e-8);
        CHECK_NEAR(sqrt(variances[i]), sd[i], 1e-8);
        qn_gaussian_process_predict(process, x + i * request->n_dims, 1, &alone, NULL, scratch);
        CHECK(alone == means[i]);
    }
    qn_free(scratch);
    qn_gaussian_process_free(process);
}

static void check_case(qn_json_value golden)
{
    qn_error err = {0};
    const int64_t d = (int64_t)qn_json_as_double(qn_json_get(golden, "n_dims"), 0);
    double *x = doubles_of(golden, "x", (TRAIN + TEST) * d);
    double *y = doubles_of(golden, "y", TRAIN + TEST);
    double *theta = doubles_of(golden, "hyperparameters", d + 2);
    double *wanted = doubles_of(golden, "gradient", d + 2);
    double *mean = doubles_of(golden, "mean", TEST), *sd = doubles_of(golden, "sd", TEST);
    double value, gradient[16];
    qn_gaussian_process_request request = {
        .kind = kind_of(qn_json_as_text(qn_json_get(golden, "kind"), "")),
        .n = TRAIN,
        .n_dims = d,
        .x = x,
        .y = y,
        .start = theta};
    CHECK_OK(qn_gaussian_process_evaluate(&request, theta, &value, gradient, &err));
    CHECK_NEAR(value, qn_json_as_double(qn_json_get(golden, "log_likelihood"), QN_NA), 1e-8);
    for (int64_t p = 0; p < d + 2; p++) {
        CHECK_NEAR(gradient[p], wanted[p], 1e-7);
    }
    check_predictions(&request, x + TRAIN * d, mean, sd);

    qn_gaussian_process *process;
    request.start = NULL;
    request.n_starts = 10; /* there are several maxima */
    request.iterations_max = 200;
    request.tolerance = 1e-5;
    CHECK_OK(qn_gaussian_process_fit(&request, &process, &err));
    const double best = qn_json_as_double(qn_json_get(golden, "best_log_likelihood"), QN_NA);
    if (!(qn_gaussian_process_log_likelihood(process) > best - 1e-3)) {
        fail_msg("a likelihood of %.8g, where %.8g can be reached",
                 qn_gaussian_process_log_likelihood(process), best);
    }
    qn_gaussian_process_free(process);
    double *const all[] = {x, y, theta, wanted, mean, sd};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        qn_free(all[i]);
    }
}

static void likelihoods_and_predictions_equal_scikit_learn(void **state)
{
    (void)state;
    qn_json *json = read_golden("gaussian_process");
    const qn_json_value cases = qn_json_root(json);
    CHECK_INT(qn_json_size(cases), 3);
    for (int64_t c = 0; c < qn_json_size(cases); c++) {
        check_case(qn_json_at(cases, c));
    }
    qn_json_free(json);
}

/* A wave in two of DIMS dimensions with a little noise. */
enum { N = 90, DIMS = 3 };

struct wave {
    double x[N * DIMS], y[N], weights[N];
    qn_gaussian_process_request request;
};

static void make_wave(struct wave *w)
{
    qn_rng rng;
    qn_rng_init(&rng, 4, 4);
    for (int i = 0; i < N; i++) {
        for (int f = 0; f < DIMS; f++) {
            w->x[i * DIMS + f] = qn_rng_uniform(&rng);
        }
        w->y[i] = sin(6 * w->x[i * DIMS]) + w->x[i * DIMS + 1] + 0.1 * qn_rng_normal(&rng);
        w->weights[i] = 0.5 + qn_rng_uniform(&rng);
    }
    w->request = (qn_gaussian_process_request){.kind = QN_COVARIANCE_MATERN52,
                                               .n = N,
                                               .n_dims = DIMS,
                                               .x = w->x,
                                               .y = w->y,
                                               .weights = w->weights,
                                               .n_starts = 2,
                                               .iterations_max = 50,
                                               .length = qn_length_prior(DIMS),
                                               .seed = 1};
}

static void gradients_are_those_of_finite_differences(void **state)
{
    (void)state;
    struct wave w;
    qn_error err = {0};
    make_wave(&w);
    for (int k = 0; k < 3; k++) {
        const double theta[DIMS + 2] = {0.3, -0.5, 0.2, 1.1, -3};
        double value, gradient[DIMS + 2];
        w.request.kind = kinds[k];
        CHECK_OK(qn_gaussian_process_evaluate(&w.request, theta, &value, gradient, &err));
        for (int p = 0; p < DIMS + 2; p++) {
            const double step = 1e-5;
            double there[DIMS + 2], above, below;
            memcpy(there, theta, sizeof there);
            there[p] = theta[p] + step;
            CHECK_OK(qn_gaussian_process_evaluate(&w.request, there, &above, NULL, &err));
            there[p] = theta[p] - step;
            CHECK_OK(qn_gaussian_process_evaluate(&w.request, there, &below, NULL, &err));
            CHECK_NEAR(gradient[p], (above - below) / (2 * step), 1e-5);
        }
    }
}

/* The coordinate that says nothing gets a long length, and the noise is found. */
static void a_fit_finds_what_matters(void **state)
{
    (void)state;
    struct wave w;
    qn_error err = {0};
    qn_gaussian_process *process;
    make_wave(&w);
    CHECK_OK(qn_gaussian_process_fit(&w.request, &process, &err));
    const double *theta = qn_gaussian_process_hyperparameters(process);
    CHECK(theta[1] < theta[2] && theta[1] + 1 < theta[3]);
    CHECK_NEAR(exp(0.5 * theta[DIMS + 1]), 0.1, 0.03);
    qn_gaussian_process_free(process);
}

/* A weight of two is the same row twice. */
static void weights_count_rows(void **state)
{
    (void)state;
    struct wave w;
    qn_error err = {0};
    qn_gaussian_process *heavy, *twice;
    double x[2 * N * DIMS], y[2 * N], means[2];
    const double start[DIMS + 2] = {0, 0, 0, 0, -2};
    make_wave(&w);
    w.request.start = start;
    w.request.iterations_max = 0;
    for (int i = 0; i < N; i++) {
        w.weights[i] = 2;
    }
    memcpy(x, w.x, sizeof w.x);
    memcpy(x + N * DIMS, w.x, sizeof w.x);
    memcpy(y, w.y, sizeof w.y);
    memcpy(y + N, w.y, sizeof w.y);
    CHECK_OK(qn_gaussian_process_fit(&w.request, &heavy, &err));
    qn_gaussian_process_request request = w.request;
    request.n = 2 * N;
    request.x = x;
    request.y = y;
    request.weights = NULL;
    CHECK_OK(qn_gaussian_process_fit(&request, &twice, &err));
    double *scratch = qn_alloc_array(qn_gaussian_process_scratch_doubles(twice, 1), 8);
    const double point[DIMS] = {0.3, 0.9, 0.1};
    qn_gaussian_process_predict(heavy, point, 1, &means[0], NULL, scratch);
    qn_gaussian_process_predict(twice, point, 1, &means[1], NULL, scratch);
    CHECK_NEAR(means[0], means[1], 1e-9);
    qn_free(scratch);
    qn_gaussian_process_free(heavy);
    qn_gaussian_process_free(twice);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    struct wave w;
    qn_error err = {0};
    double first[DIMS + 2];
    make_wave(&w);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        qn_gaussian_process *process;
        w.request.pool = qn_pool_create(n_threads);
        CHECK_OK(qn_gaussian_process_fit(&w.request, &process, &err));
        if (n_threads == 1)
            memcpy(first, qn_gaussian_process_hyperparameters(process), sizeof first);
        assert_memory_equal(qn_gaussian_process_hyperparameters(process), first, sizeof first);
        qn_gaussian_process_free(process);
        qn_pool_free(w.request.pool);
    }
}

/* Rows added one by one give what all of them give at once, bit for bit; and taking some away gives
 * what was before them. */
static void adding_rows_is_fitting_them(void **state)
{
    (void)state;
    struct wave w;
    qn_error err = {0};
    qn_gaussian_process *whole, *grown;
    const double start[DIMS + 2] = {0, 0, 0, 0, -4};
    make_wave(&w);
    w.request.start = start;
    w.request.iterations_max = 0;
    CHECK_OK(qn_gaussian_process_fit(&w.request, &whole, &err));
    w.request.n = 2;
    CHECK_OK(qn_gaussian_process_fit(&w.request, &grown, &err));
    for (int i = 2; i < N; i++) {
        CHECK_OK(qn_gaussian_process_add(grown, w.x + i * DIMS, w.y[i], w.weights[i], &err));
    }
    CHECK_INT(qn_gaussian_process_n(grown), N);
    CHECK(qn_gaussian_process_log_likelihood(grown) == qn_gaussian_process_log_likelihood(whole));
    assert_memory_equal(qn_gaussian_process_alpha(grown), qn_gaussian_process_alpha(whole),
                        N * sizeof(double));
    qn_gaussian_process_free(whole);
    w.request.n = N / 2;
    CHECK_OK(qn_gaussian_process_fit(&w.request, &whole, &err));
    qn_gaussian_process_truncate(grown, N / 2);
    CHECK(qn_gaussian_process_log_likelihood(grown) == qn_gaussian_process_log_likelihood(whole));
    qn_gaussian_process_free(whole);
    qn_gaussian_process_free(grown);
}

/* Rows that repeat, columns that are constant, one row, a constant target: all are fitted; numbers
 * that are not finite are refused. */
static void degenerate_data_is_fitted_or_refused(void **state)
{
    (void)state;
    struct wave w;
    qn_error err = {0};
    qn_gaussian_process *process;
    make_wave(&w);
    memset(w.y, 0, sizeof w.y);
    CHECK_OK(qn_gaussian_process_fit(&w.request, &process, &err));
    qn_gaussian_process_free(process);
    memset(w.x, 0, sizeof w.x);
    w.y[0] = 1;
    CHECK_OK(qn_gaussian_process_fit(&w.request, &process, &err));
    qn_gaussian_process_free(process);
    w.request.n = 1;
    CHECK_OK(qn_gaussian_process_fit(&w.request, &process, &err));
    CHECK_OK(qn_gaussian_process_add(process, w.x, 1, 1, &err));
    qn_gaussian_process_free(process);
    w.request.n = N;
    w.x[5] = QN_NA;
    CHECK_FAILS(QN_ERR_DATA, qn_gaussian_process_fit(&w.request, &process, &err));
    CHECK(process == NULL);
    CHECK_CONTAINS(err.message, "finite");
}

static void a_raised_flag_ends_the_search(void **state)
{
    (void)state;
    const volatile sig_atomic_t raised = 1;
    const qn_stop stop = {.interrupted = &raised};
    struct wave w;
    qn_error err = {0};
    qn_gaussian_process *process;
    make_wave(&w);
    w.request.stop = &stop;
    CHECK_OK(qn_gaussian_process_fit(&w.request, &process, &err));
    CHECK_NEAR(qn_gaussian_process_hyperparameters(process)[1], qn_length_prior(DIMS).mean, 0);
    qn_gaussian_process_free(process);
}

static void fitting_and_adding_survive_running_out_of_memory(void **state)
{
    (void)state;
    struct wave w;
    qn_gaussian_process *process;
    make_wave(&w);
    w.request.n = 20;
    CHECK_SURVIVES_NO_MEMORY(qn_gaussian_process_fit(&w.request, &process, NULL));
    CHECK_INT(qn_gaussian_process_add(process, w.x, 1, 1, NULL), QN_OK);
    const double before = qn_gaussian_process_log_likelihood(process);
    qn_alloc_fail_at(1, false);
    CHECK_FAILS(QN_ERR_NOMEM, qn_gaussian_process_add(process, w.x, 1, 1, NULL));
    qn_alloc_fail_at(0, false);
    CHECK_INT(qn_gaussian_process_n(process), 21);
    CHECK(qn_gaussian_process_log_likelihood(process) == before);
    CHECK_INT(qn_gaussian_process_add(process, w.x, 1, 1, NULL), QN_OK);
    qn_gaussian_process_free(process);
}

RUN_TESTS(TEST(likelihoods_and_predictions_equal_scikit_learn),
          TEST(gradients_are_those_of_finite_differences), TEST(a_fit_finds_what_matters),
          TEST(weights_count_rows), TEST(threads_change_nothing), TEST(adding_rows_is_fitting_them),
          TEST(degenerate_data_is_fitted_or_refused), TEST(a_raised_flag_ends_the_search),
          TEST(fitting_and_adding_survive_running_out_of_memory))
