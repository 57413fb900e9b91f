/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels against plain loops; the minimiser on functions whose minimum is known. */
#include "linalg/kernels.h"

#include "base/rng.h"

#include "check.h"

enum { N_MAX = 67 };

static void fill(double *values, int64_t n, uint64_t seed)
{
    qn_rng rng;
    qn_rng_init(&rng, seed, 0);
    for (int64_t i = 0; i < n; i++) {
        values[i] = qn_rng_normal(&rng) * pow(10, (double)qn_rng_below(&rng, 7) - 3);
    }
}

/* The order of additions that kernels.h promises. */
static double dot_by_lanes(const double *a, const double *b, int64_t n)
{
    volatile double lanes[8] = {0}; /* volatile: one rounding after each operation */
    for (int64_t i = 0; i < n; i++) {
        const volatile double product = a[i] * b[i];
        lanes[i % 8] = lanes[i % 8] + product;
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

static void dot_adds_in_eight_lanes_whatever_the_length_and_alignment(void **state)
{
    (void)state;
    double a[N_MAX + 8], b[N_MAX + 8];
    fill(a, N_MAX + 8, 1);
    fill(b, N_MAX + 8, 2);
    for (int64_t n = 0; n <= N_MAX; n++) {
        for (int offset = 0; offset < 8; offset++) {
            const double expected = dot_by_lanes(a + offset, b + 7 - offset, n);
            const double actual = qn_dot(a + offset, b + 7 - offset, n);
            assert_memory_equal(&actual, &expected, sizeof actual);
        }
    }
}

static void sum_is_the_dot_with_ones_and_least_the_least(void **state)
{
    (void)state;
    double a[N_MAX], ones[N_MAX];
    fill(a, N_MAX, 7);
    for (int64_t n = 0; n <= N_MAX; n++) {
        double least = QN_INF;
        for (int64_t i = 0; i < n; i++) {
            ones[i] = 1;
            least = fmin(least, a[i]);
        }
        CHECK(qn_sum(a, n) == qn_dot(a, ones, n));
        CHECK(qn_least(a, n) == least);
    }
    CHECK(qn_least((double[]){3, QN_NA, 2, QN_NA}, 4) == 2);
}

static void dot_is_the_sum_of_products(void **state)
{
    (void)state;
    double a[N_MAX], b[N_MAX];
    fill(a, N_MAX, 3);
    fill(b, N_MAX, 4);
    for (int64_t n = 0; n <= N_MAX; n++) {
        long double exact = 0, size = 0;
        for (int64_t i = 0; i < n; i++) {
            exact += (long double)a[i] * (long double)b[i];
            size += fabsl((long double)a[i] * (long double)b[i]);
        }
        CHECK_NEAR(qn_dot(a, b, n), (double)exact, 1e-14 * (double)size);
    }
}

static void add_scaled_rounds_each_element_once_per_operation(void **state)
{
    (void)state;
    double a[N_MAX], before[N_MAX], out[N_MAX];
    fill(a, N_MAX, 5);
    fill(before, N_MAX, 6);
    for (int64_t n = 0; n <= N_MAX; n++) {
        memcpy(out, before, sizeof out);
        qn_add_scaled(0.7, a, out, n);
        for (int64_t i = 0; i < N_MAX; i++) {
            const volatile double product = 0.7 * a[i]; /* a fused operation would not round here */
            CHECK(out[i] == (i < n ? before[i] + product : before[i]));
        }
    }
}

/* sum_i scale_i (x_i - i)^2 / 2 with scales over four orders of magnitude. */
static double quadratic(void *context, const double *x, double *gradient)
{
    const int64_t n = *(const int64_t *)context;
    double value = 0;
    for (int64_t i = 0; i < n; i++) {
        const double scale = pow(10, 4.0 * (double)i / (double)n), d = x[i] - (double)i;
        value += 0.5 * scale * d * d;
        gradient[i] = scale * d;
    }
    return value;
}

static double rosenbrock(void *context, const double *x, double *gradient)
{
    (void)context;
    const double a = 1 - x[0], b = x[1] - x[0] * x[0];
    gradient[0] = -2 * a - 400 * x[0] * b;
    gradient[1] = 200 * b;
    return a * a + 100 * b * b;
}

/* x - log x, infinite from zero down: the line search must come back from there. */
static double barrier(void *context, const double *x, double *gradient)
{
    (void)context;
    gradient[0] = x[0] > 0 ? 1 - 1 / x[0] : QN_NA;
    return x[0] > 0 ? x[0] - log(x[0]) : QN_INF;
}

static qn_status minimise(qn_function objective, void *context, int64_t n, double *x,
                          int64_t iterations_max, int64_t *n_iterations)
{
    const qn_minimise_request request = {.objective = objective,
                                         .context = context,
                                         .n = n,
                                         .iterations_max = iterations_max,
                                         .tolerance = 1e-10};
    return qn_minimise(&request, x, n_iterations, NULL);
}

static void an_ill_conditioned_quadratic_is_solved(void **state)
{
    (void)state;
    int64_t n = 40, n_iterations;
    double x[40] = {0};
    CHECK_INT(minimise(quadratic, &n, n, x, 2000, &n_iterations), QN_OK);
    for (int64_t i = 0; i < n; i++) {
        CHECK_NEAR(x[i], (double)i, 1e-5);
    }
    CHECK(n_iterations > 5 && n_iterations < 2000);
}

static void rosenbrocks_valley_is_followed_to_its_end(void **state)
{
    (void)state;
    int64_t n_iterations;
    double x[2] = {-1.2, 1};
    CHECK_INT(minimise(rosenbrock, NULL, 2, x, 1000, &n_iterations), QN_OK);
    CHECK_NEAR(x[0], 1, 1e-5);
    CHECK_NEAR(x[1], 1, 1e-5);
}

static void a_step_into_the_undefined_is_taken_back(void **state)
{
    (void)state;
    int64_t n_iterations;
    for (double start = 0.01; start < 100; start *= 3) {
        double x = start;
        CHECK_INT(minimise(barrier, NULL, 1, &x, 1000, &n_iterations), QN_OK);
        CHECK_NEAR(x, 1, 1e-6);
    }
}

static void the_minimum_itself_needs_no_iteration(void **state)
{
    (void)state;
    int64_t n_iterations = -1;
    double x[2] = {1, 1};
    CHECK_INT(minimise(rosenbrock, NULL, 2, x, 1000, &n_iterations), QN_OK);
    CHECK_INT(n_iterations, 0);
    CHECK(x[0] == 1 && x[1] == 1);
}

static void iterations_are_bounded_and_each_helps(void **state)
{
    (void)state;
    double before = QN_INF, gradient[2];
    for (int64_t most = 0; most < 10; most++) {
        int64_t n_iterations;
        double x[2] = {-1.2, 1};
        CHECK_INT(minimise(rosenbrock, NULL, 2, x, most, &n_iterations), QN_OK);
        CHECK_INT(n_iterations, most);
        const double value = rosenbrock(NULL, x, gradient);
        CHECK(value < before);
        before = value;
    }
}

static void a_raised_flag_leaves_the_point_where_it_is(void **state)
{
    (void)state;
    const volatile sig_atomic_t raised = 1;
    const qn_stop stop = {.interrupted = &raised};
    double x[2] = {-1.2, 1};
    int64_t n_iterations = -1;
    const qn_minimise_request request = {
        .objective = rosenbrock, .n = 2, .iterations_max = 100, .tolerance = 1e-9, .stop = &stop};
    CHECK_INT(qn_minimise(&request, x, &n_iterations, NULL), QN_OK);
    CHECK_INT(n_iterations, 0);
    CHECK(x[0] == -1.2 && x[1] == 1);
}

static void minimising_survives_running_out_of_memory(void **state)
{
    (void)state;
    int64_t n_iterations;
    double x[2] = {-1.2, 1};
    CHECK_SURVIVES_NO_MEMORY(minimise(rosenbrock, NULL, 2, x, 10, &n_iterations));
}

RUN_TESTS(TEST(dot_adds_in_eight_lanes_whatever_the_length_and_alignment),
          TEST(sum_is_the_dot_with_ones_and_least_the_least), TEST(dot_is_the_sum_of_products),
          TEST(add_scaled_rounds_each_element_once_per_operation),
          TEST(an_ill_conditioned_quadratic_is_solved),
          TEST(rosenbrocks_valley_is_followed_to_its_end),
          TEST(a_step_into_the_undefined_is_taken_back),
          TEST(the_minimum_itself_needs_no_iteration), TEST(iterations_are_bounded_and_each_helps),
          TEST(a_raised_flag_leaves_the_point_where_it_is),
          TEST(minimising_survives_running_out_of_memory))
