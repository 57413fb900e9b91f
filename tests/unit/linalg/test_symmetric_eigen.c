/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/symmetric_eigen.h"

#include "base/rng.h"
#include "linalg/kernels.h"

#include "check.h"
#include "real_tables.h"

/* As in tests/golden/eigen/generate.py. */
static double entry(const char *kind, int64_t i, int64_t j)
{
    if (strcmp(kind, "mixed") == 0) {
        return (double)((i * 7919 + j * 104729 + i * j * 31) % 2039 - 1019) / 1024;
    }
    if (strcmp(kind, "hilbert") == 0) return 1 / (double)(i + j + 1);
    if (strcmp(kind, "wilkinson") == 0) return i == j ? fabs((double)i - 10) : i - j == 1;
    if (strcmp(kind, "equal") == 0) return i == j ? 3 : 0.5;
    if (strcmp(kind, "graded") == 0) return ldexp(1 + (i == j), (int)(600 - 4 * (i + j)));
    return ldexp((double)(1 + (i * j) % 7), -700);
}

/* Nonsense above the diagonal: only what is below may be read. */
static double *make(const char *kind, int64_t n)
{
    double *a = qn_alloc_array(n * n, sizeof *a);
    CHECK(a != NULL);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            a[i * n + j] = j <= i ? entry(kind, i, j) : -77;
        }
    }
    return a;
}

static double distance(const double *a, const double *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs(a[i] - b[i]));
    }
    return most;
}

/* Unit vectors at right angles, each turned by the matrix into its multiple. */
static void check_decomposition(const char *kind, int64_t n, const double *vectors,
                                const double *values)
{
    const double scale = fmax(fabs(values[0]), fabs(values[n - 1])),
                 slack = 4e-15 * (double)(n + 8);
    for (int64_t v = 0; v < n; v++) {
        const double *x = vectors + v * n;
        for (int64_t u = 0; u <= v; u++) {
            CHECK_NEAR(qn_dot(x, vectors + u * n, n), u == v, slack);
        }
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t j = 0; j < n; j++) {
                sum += entry(kind, i > j ? i : j, i > j ? j : i) / scale * x[j];
            }
            CHECK_NEAR(sum, values[v] / scale * x[i], slack);
        }
    }
}

static void check_case(qn_json_value golden)
{
    qn_error err = {0};
    const char *kind = case_text(golden, "matrix");
    const int64_t n = qn_json_as_int(qn_json_get(golden, "n"), 0);
    double *a = make(kind, n), *values = qn_alloc_array(n, sizeof *values);
    CHECK_OK(qn_symmetric_eigen(a, n, NULL, values, &err));
    const qn_json_value expected = qn_json_get(golden, "values");
    const qn_json_value vectors = qn_json_get(golden, "vectors");
    CHECK_INT(qn_json_size(expected), n);
    for (int64_t i = 0; i < n; i++) {
        const double greatest = fmax(fabs(values[0]), fabs(values[n - 1]));
        CHECK_NEAR(values[i] / greatest, qn_json_as_double(qn_json_at(expected, i), 0) / greatest,
                   1e-14);
        CHECK(i == 0 || values[i] <= values[i - 1]);
    }
    for (int64_t i = 0; i < qn_json_size(vectors); i++) {
        CHECK_NEAR(a[i], qn_json_as_double(qn_json_at(vectors, i), 0), 1e-11);
    }
    check_decomposition(kind, n, a, values);
    qn_free(a);
    qn_free(values);
}

static void values_and_vectors_are_those_of_lapack(void **state)
{
    (void)state;
    qn_json *json = read_golden("eigen");
    const qn_json_value cases = qn_json_root(json);
    CHECK(qn_json_size(cases) > 10);
    for (int64_t c = 0; c < qn_json_size(cases); c++) {
        check_case(qn_json_at(cases, c));
    }
    qn_json_free(json);
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    enum { N = 301 };
    qn_error err = {0};
    double *alone = make("mixed", N), values[N], others[N];
    CHECK_OK(qn_symmetric_eigen(alone, N, NULL, values, &err));
    for (int n_threads = 2; n_threads <= 3; n_threads++) {
        double *a = make("mixed", N);
        qn_pool *pool = qn_pool_create(n_threads);
        CHECK_OK(qn_symmetric_eigen(a, N, pool, others, &err));
        CHECK(memcmp(a, alone, N * N * sizeof *a) == 0);
        CHECK(memcmp(values, others, sizeof values) == 0);
        qn_pool_free(pool);
        qn_free(a);
    }
    qn_free(alone);
}

/* Diagonal, zero and rank-one matrices leave reflections and sweeps nothing to do. */
static void plain_matrices_are_decomposed(void **state)
{
    (void)state;
    qn_error err = {0};
    double values[4];
    double diagonal[16] = {2, 0, 0, 0, 0, 7, 0, 0, 0, 0, -1, 0, 0, 0, 0, 5}, zero[9] = {0};
    double ones[16];
    CHECK_OK(qn_symmetric_eigen(diagonal, 4, NULL, values, &err));
    CHECK(distance(values, (double[]){7, 5, 2, -1}, 4) == 0);
    CHECK(distance(diagonal, (double[]){0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0}, 16) == 0);
    CHECK_OK(qn_symmetric_eigen(zero, 3, NULL, values, &err));
    CHECK(values[0] == 0 && values[2] == 0 && zero[0] == 1 && zero[4] == 1 && zero[8] == 1);
    for (int i = 0; i < 16; i++) {
        ones[i] = 1;
    }
    CHECK_OK(qn_symmetric_eigen(ones, 4, NULL, values, &err));
    CHECK(distance(values, (double[]){4, 0, 0, 0}, 4) < 4e-15);
    CHECK(distance(ones, (double[]){0.5, 0.5, 0.5, 0.5}, 4) < 1e-15);
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    const double bad[] = {QN_NA, QN_INF, -QN_INF};
    for (int i = 0; i < 3; i++) {
        qn_error err = {0};
        double a[4] = {1, 0, bad[i], 1}, values[2];
        CHECK_FAILS(QN_ERR_DATA, qn_symmetric_eigen(a, 2, NULL, values, &err));
        CHECK_CONTAINS(err.message, "no number");
    }
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    enum { N = 5 };
    double a[N * N], values[N];
    for (int64_t i = 0; i < N * N; i++) {
        a[i] = entry("mixed", i / N, i % N);
    }
    CHECK_SURVIVES_NO_MEMORY(qn_symmetric_eigen(a, N, NULL, values, NULL));
}

RUN_TESTS(TEST(values_and_vectors_are_those_of_lapack),
          TEST(any_number_of_threads_gives_the_same_bytes), TEST(plain_matrices_are_decomposed),
          TEST(what_is_no_number_is_refused), TEST(running_out_of_memory_leaves_nothing))
