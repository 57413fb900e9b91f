/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian processes for two classes against scikit-learn's numbers (tests/golden/gaussian_class),
 * finite differences and themselves. */
#include "stats/gaussian_class.h"

#include "base/rng.h"
#include "model/gaussian_classes_model.h"

#include "golden.h"

enum { TRAIN = 120, TEST = 12 };

static const char *const kind_names[] = {"rbf", "matern32", "matern52"};

static double number_of(qn_json_value golden, const char *key, int64_t i)
{
    return qn_json_as_double(qn_json_at(qn_json_get(golden, key), i), QN_NA);
}

static double *doubles_of(qn_json_value golden, const char *key, int64_t n)
{
    double *out = qn_alloc_array(n, sizeof *out);
    CHECK(out != NULL);
    CHECK_INT(qn_json_size(qn_json_get(golden, key)), n);
    for (int64_t i = 0; i < n; i++) {
        out[i] = number_of(golden, key, i);
    }
    return out;
}

static qn_covariance_kind kind_of(qn_json_value golden)
{
    const char *name = qn_json_as_text(qn_json_get(golden, "kind"), "");
    for (int k = 0; k < 3; k++) {
        if (strcmp(kind_names[k], name) == 0) return (qn_covariance_kind)k;
    }
    fail_msg("there is no kind %s", name);
    return QN_COVARIANCE_RBF;
}

/* The posterior of f and the probability at the last TEST rows, those through the model. */
static void check_predictions(const qn_gaussian_class_request *request, qn_json_value golden)
{
    qn_error err = {0};
    qn_gaussian_class process;
    qn_estimator *model;
    qn_matrix points;
    double out[TEST];
    const int64_t d = request->n_dims;
    CHECK_OK(qn_gaussian_class_fit(request, &process, &err));
    const qn_gaussian_classes_model from = {request->kind, 1, TRAIN, d, request->x, &process};
    CHECK_SURVIVES_NO_MEMORY(qn_gaussian_classes_create(&from, &model, &err));
    CHECK_OK(qn_matrix_init(&points, TEST, d, &err));
    for (int64_t i = 0; i < TEST; i++) {
        for (int64_t f = 0; f < d; f++) {
            points.dense[f * TEST + i] = request->x[(TRAIN + i) * d + f];
        }
    }
    CHECK_OK(qn_estimator_predict(model, &points, NULL, out, &err));
    for (int i = 0; i < TEST; i++) {
        CHECK_NEAR(out[i], number_of(golden, "probability", i), 1e-7);
    }
    qn_matrix_release(&points);
    qn_estimator_free(model);
    qn_gaussian_class_release(&process);
}

static void check_case(qn_json_value golden)
{
    qn_error err = {0};
    const int64_t d = (int64_t)qn_json_as_double(qn_json_get(golden, "n_dims"), 0);
    double *x = doubles_of(golden, "x", (TRAIN + TEST) * d);
    double *y = doubles_of(golden, "y", TRAIN + TEST);
    double *theta = doubles_of(golden, "hyperparameters", d + 1);
    double value, gradient[16];
    qn_gaussian_class_request request = {
        .kind = kind_of(golden), .n = TRAIN, .n_dims = d, .x = x, .y = y, .start = theta};
    CHECK_OK(qn_gaussian_class_evaluate(&request, theta, &value, gradient, &err));
    CHECK_NEAR(value, qn_json_as_double(qn_json_get(golden, "log_likelihood"), QN_NA), 1e-6);
    for (int64_t p = 0; p < d + 1; p++) {
        CHECK_NEAR(gradient[p], number_of(golden, "gradient", p), 1e-5);
    }
    check_predictions(&request, golden);

    qn_gaussian_class process;
    theta[0] = 0;
    for (int64_t f = 0; f < d; f++) {
        theta[1 + f] = 0.5 * log((double)d);
    }
    request.n_starts = 4; /* there are several maxima */
    request.iterations_max = 200;
    CHECK_OK(qn_gaussian_class_fit(&request, &process, &err));
    const double best = qn_json_as_double(qn_json_get(golden, "best_log_likelihood"), QN_NA);
    if (!(process.log_likelihood > best - 2e-2)) {
        fail_msg("a likelihood of %.8g, where %.8g can be reached", process.log_likelihood, best);
    }
    qn_gaussian_class_release(&process);
    qn_free(x);
    qn_free(y);
    qn_free(theta);
}

static void likelihoods_and_probabilities_equal_scikit_learn(void **state)
{
    (void)state;
    qn_json *json = read_golden("gaussian_class");
    const qn_json_value cases = qn_json_root(json);
    CHECK_INT(qn_json_size(cases), 3);
    for (int64_t c = 0; c < qn_json_size(cases); c++) {
        check_case(qn_json_at(cases, c));
    }
    qn_json_free(json);
}

enum { N = 60, DIMS = 3 };

struct rings {
    double x[N * DIMS], y[N], weights[N], theta[DIMS + 1];
    qn_gaussian_class_request request;
};

/* A ring around the middle, with a few labels wrong. */
static void make_rings(struct rings *r)
{
    qn_rng rng;
    qn_rng_init(&rng, 4, 4);
    for (int i = 0; i < N; i++) {
        for (int f = 0; f < DIMS; f++) {
            r->x[i * DIMS + f] = 2 * qn_rng_uniform(&rng) - 1;
        }
        const double *at = r->x + i * DIMS;
        r->y[i] = (at[0] * at[0] + at[1] * at[1] > 0.6) != (i % 11 == 0);
        r->weights[i] = i % 4;
    }
    memcpy(r->theta, (double[]){0.9, -0.5, 0.2, 1.1}, sizeof r->theta);
    r->request = (qn_gaussian_class_request){.kind = QN_COVARIANCE_MATERN52,
                                             .n = N,
                                             .n_dims = DIMS,
                                             .x = r->x,
                                             .y = r->y,
                                             .weights = r->weights,
                                             .start = r->theta,
                                             .n_starts = 2,
                                             .iterations_max = 30,
                                             .length = qn_length_prior(DIMS),
                                             .seed = 1};
}

static void gradients_are_those_of_finite_differences(void **state)
{
    (void)state;
    struct rings r;
    qn_error err = {0};
    make_rings(&r);
    for (int k = 0; k < 3; k++) {
        double value, gradient[DIMS + 1], unused[DIMS + 1];
        r.request.kind = (qn_covariance_kind)k;
        CHECK_OK(qn_gaussian_class_evaluate(&r.request, r.theta, &value, gradient, &err));
        for (int p = 0; p < DIMS + 1; p++) {
            double moved[DIMS + 1], up, down;
            memcpy(moved, r.theta, sizeof moved);
            moved[p] = r.theta[p] + 1e-4;
            CHECK_OK(qn_gaussian_class_evaluate(&r.request, moved, &up, unused, &err));
            moved[p] = r.theta[p] - 1e-4;
            CHECK_OK(qn_gaussian_class_evaluate(&r.request, moved, &down, unused, &err));
            CHECK_NEAR(gradient[p], (up - down) / 2e-4, 1e-5 * fmax(1, fabs(gradient[p])));
        }
    }
}

/* A row of weight 2 counts as two rows, one of weight 0 not at all. */
static void weights_are_numbers_of_rows(void **state)
{
    (void)state;
    struct rings r;
    qn_error err = {0};
    make_rings(&r);
    static double x[4 * N * DIMS], y[4 * N];
    int64_t n = 0;
    for (int i = 0; i < N; i++) {
        for (int copy = 0; copy < (int)r.weights[i]; copy++, n++) {
            memcpy(x + n * DIMS, r.x + i * DIMS, DIMS * sizeof *x);
            y[n] = r.y[i];
        }
    }
    qn_gaussian_class_request repeated = r.request;
    repeated.n = n;
    repeated.x = x;
    repeated.y = y;
    repeated.weights = NULL;
    double a, b, by_a[DIMS + 1], by_b[DIMS + 1];
    CHECK_OK(qn_gaussian_class_evaluate(&r.request, r.theta, &a, by_a, &err));
    CHECK_OK(qn_gaussian_class_evaluate(&repeated, r.theta, &b, by_b, &err));
    CHECK_NEAR(a, b, 1e-7);
    for (int p = 0; p < DIMS + 1; p++) {
        CHECK_NEAR(by_a[p], by_b[p], 1e-5);
    }
}

static void a_fit_is_the_same_on_any_number_of_threads(void **state)
{
    (void)state;
    struct rings r;
    qn_error err = {0};
    qn_gaussian_class first = {0};
    make_rings(&r);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        qn_gaussian_class process;
        r.request.pool = qn_pool_create(n_threads);
        CHECK_OK(qn_gaussian_class_fit(&r.request, &process, &err));
        qn_pool_free(r.request.pool);
        if (n_threads == 1) {
            first = process;
            continue;
        }
        assert_memory_equal(process.hyperparameters, first.hyperparameters,
                            (DIMS + 1) * sizeof(double));
        assert_memory_equal(process.factor, first.factor, N * N * sizeof(double));
        qn_gaussian_class_release(&process);
    }
    qn_gaussian_class_release(&first);
    r.request.pool = NULL;
    r.request.iterations_max = 2;
    CHECK_SURVIVES_NO_MEMORY(qn_gaussian_class_fit(&r.request, &first, &err));
    qn_gaussian_class_release(&first);
}

/* By the midpoint rule in many steps. */
static void logistic_normal_means_are_integrals(void **state)
{
    (void)state;
    const double means[] = {-30, -3, -0.2, 0, 1.5, 8}, sds[] = {1e-6, 0.3, 0.99, 1, 1.01, 4, 90};
    for (size_t m = 0; m < sizeof means / sizeof *means; m++) {
        for (size_t s = 0; s < sizeof sds / sizeof *sds; s++) {
            double sum = 0, total = 0;
            for (int i = 0; i < 200000; i++) {
                const double u = (i + 0.5) / 10000 - 10, w = exp(-0.5 * u * u);
                sum += w / (1 + exp(-(means[m] + sds[s] * u)));
                total += w;
            }
            CHECK_NEAR(qn_logistic_normal_mean(means[m], sds[s] * sds[s]), sum / total, 1e-8);
        }
    }
}

RUN_TESTS(TEST(likelihoods_and_probabilities_equal_scikit_learn),
          TEST(gradients_are_those_of_finite_differences), TEST(weights_are_numbers_of_rows),
          TEST(a_fit_is_the_same_on_any_number_of_threads),
          TEST(logistic_normal_means_are_integrals))
