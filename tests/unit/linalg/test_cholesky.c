/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/cholesky.h"

#include "base/rng.h"

#include "check.h"

enum { PADDING = 3 };

static const int64_t sizes[] = {1, 2, 5, 6, 7, 8, 9, 47, 48, 49, 50, 96, 130, 201};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static double *room(int64_t n)
{
    double *values = qn_alloc_array(n, sizeof *values);
    CHECK(values != NULL);
    return values;
}

/* exp(-|x_i - x_j|^2 / 2) of points in the plane, with `noise` on the diagonal: both triangles. */
static double *kernel_matrix(int64_t n, int64_t stride, double noise)
{
    double *a = room(n * stride), *points = room(2 * n);
    qn_rng rng;
    qn_rng_init(&rng, 11, 1);
    for (int64_t i = 0; i < 2 * n; i++) {
        points[i] = qn_rng_normal(&rng);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double dx = points[2 * i] - points[2 * j],
                         dy = points[2 * i + 1] - points[2 * j + 1];
            a[i * stride + j] = exp(-0.5 * (dx * dx + dy * dy)) + (i == j ? noise : 0);
        }
    }
    qn_free(points);
    return a;
}

/* The definition: row after row of L, products in the order of k, each fused. */
static double *plain_factor(const double *a, int64_t n, int64_t stride)
{
    double *l = room(n * n);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[j * stride + i];
            for (int64_t k = 0; k < j; k++) {
                sum = fma(-l[i * n + k], l[j * n + k], sum);
            }
            l[i * n + j] = i == j ? sqrt(sum) : sum / l[j * n + j];
        }
    }
    return l;
}

static void check_is_factor(const double *a, int64_t n, int64_t stride, const double *l)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            CHECK(a[i * stride + j] == l[i * n + j]);
            CHECK(a[j * stride + i] == l[i * n + j]);
        }
    }
}

static void a_factor_is_that_of_the_definition_bit_for_bit_on_any_threads(void **state)
{
    (void)state;
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        qn_pool *pool = qn_pool_create(n_threads);
        for (int s = 0; s < N_SIZES; s++) {
            const int64_t n = sizes[s], stride = n + PADDING;
            double *a = kernel_matrix(n, stride, 1e-3), *l = plain_factor(a, n, stride);
            CHECK(qn_cholesky_factor(a, n, stride, pool));
            check_is_factor(a, n, stride, l);
            qn_free(a);
            qn_free(l);
        }
        qn_pool_free(pool);
    }
}

/* min(i, j) + 1 has a factor of ones, the second differences for inverse, and determinant 1; all
 * of it exact in double. */
static void the_brownian_matrix_is_exact(void **state)
{
    (void)state;
    enum { N = 101 };
    double *a = room(N * N), *inverse = room(N * N);
    for (int64_t i = 0; i < N; i++) {
        for (int64_t j = 0; j < N; j++) {
            a[i * N + j] = (double)((i < j ? i : j) + 1);
        }
    }
    CHECK(qn_cholesky_factor(a, N, N, NULL));
    qn_cholesky_invert(a, N, N, inverse, NULL);
    for (int64_t i = 0; i < N; i++) {
        for (int64_t j = 0; j < N; j++) {
            const double diagonal = i == N - 1 ? 1 : 2;
            CHECK(a[i * N + j] == 1);
            CHECK(inverse[i * N + j] == (i == j ? diagonal : i - j == 1 || j - i == 1 ? -1 : 0));
        }
    }
    CHECK(qn_cholesky_log_det(a, N, N) == 0);
    qn_free(a);
    qn_free(inverse);
}

/* The Hilbert matrix of order 8: elimination in exact fractions. */
static void the_determinant_of_the_hilbert_matrix_is_known(void **state)
{
    (void)state;
    enum { N = 8 };
    double a[N * N];
    for (int64_t i = 0; i < N; i++) {
        for (int64_t j = 0; j < N; j++) {
            a[i * N + j] = 1 / (double)(i + j + 1);
        }
    }
    CHECK(qn_cholesky_factor(a, N, N, NULL));
    CHECK_NEAR(qn_cholesky_log_det(a, N, N), -74.97842732916048, 1e-6);
}

static void solutions_solve_and_do_not_depend_on_columns_beside_them(void **state)
{
    (void)state;
    enum { COLS = 37 };
    qn_pool *pool = qn_pool_create(2);
    for (int s = 0; s < N_SIZES; s++) {
        const int64_t n = sizes[s], stride = n + PADDING, b_stride = COLS + 2;
        double *a = kernel_matrix(n, stride, 1e-1), *factor = kernel_matrix(n, stride, 1e-1);
        double *x = room(n * b_stride), *b = room(n * b_stride), *alone = room(n);
        qn_rng rng;
        qn_rng_init(&rng, 12, (uint64_t)n);
        for (int64_t i = 0; i < n * b_stride; i++) {
            x[i] = b[i] = qn_rng_normal(&rng);
        }
        CHECK(qn_cholesky_factor(factor, n, stride, NULL));
        qn_cholesky_solve(factor, n, stride, x, COLS, b_stride, pool);
        for (int64_t col = 0; col < COLS; col++) {
            for (int64_t i = 0; i < n; i++) {
                double sum = 0;
                for (int64_t k = 0; k < n; k++) {
                    sum += a[i * stride + k] * x[k * b_stride + col];
                }
                CHECK_NEAR(sum, b[i * b_stride + col], 1e-11);
                alone[i] = b[i * b_stride + col];
            }
            qn_cholesky_solve(factor, n, stride, alone, 1, 1, NULL);
            for (int64_t i = 0; i < n; i++) {
                CHECK(alone[i] == x[i * b_stride + col]);
            }
        }
        for (int64_t i = 0; i < n; i++) { /* beyond the columns nothing is touched */
            CHECK(x[i * b_stride + COLS] == b[i * b_stride + COLS]);
        }
        qn_free(a);
        qn_free(factor);
        qn_free(x);
        qn_free(b);
        qn_free(alone);
    }
    qn_pool_free(pool);
}

/* |L⁻¹ b|² = b' A⁻¹ b. */
static void forward_is_half_of_a_solution(void **state)
{
    (void)state;
    enum { N = 61 };
    double *a = kernel_matrix(N, N, 1e-2), b[N], half[N], whole[N], left = 0, right = 0;
    for (int64_t i = 0; i < N; i++) {
        b[i] = half[i] = whole[i] = sin((double)i);
    }
    CHECK(qn_cholesky_factor(a, N, N, NULL));
    qn_cholesky_forward(a, N, N, half, 1, 1, NULL);
    qn_cholesky_solve(a, N, N, whole, 1, 1, NULL);
    for (int64_t i = 0; i < N; i++) {
        left += half[i] * half[i];
        right += b[i] * whole[i];
    }
    CHECK_NEAR(left / right, 1, 1e-12);
    qn_free(a);
}

static void the_inverse_is_the_solution_for_unit_vectors(void **state)
{
    (void)state;
    qn_pool *pool = qn_pool_create(2);
    for (int s = 0; s < N_SIZES; s++) {
        const int64_t n = sizes[s];
        double *a = kernel_matrix(n, n, 1e-1), *inverse = room(n * n), *units = room(n * n);
        CHECK(qn_cholesky_factor(a, n, n, NULL));
        for (int64_t i = 0; i < n; i++) {
            units[i * (n + 1)] = 1;
        }
        qn_cholesky_solve(a, n, n, units, n, n, NULL);
        qn_cholesky_invert(a, n, n, inverse, pool);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j <= i; j++) {
                CHECK_NEAR(inverse[i * n + j], units[i * n + j], 1e-12);
                CHECK(inverse[j * n + i] == inverse[i * n + j]);
            }
        }
        qn_free(a);
        qn_free(inverse);
        qn_free(units);
    }
    qn_pool_free(pool);
}

static void a_factor_extended_row_by_row_is_that_of_the_whole(void **state)
{
    (void)state;
    enum { N = 101, STRIDE = N + PADDING };
    double *whole = kernel_matrix(N, STRIDE, 1e-3), *grown = kernel_matrix(N, STRIDE, 1e-3);
    CHECK(qn_cholesky_factor(whole, N, STRIDE, NULL));
    CHECK(qn_cholesky_factor(grown, 1, STRIDE, NULL));
    for (int64_t n = 1; n < N; n++) {
        CHECK(qn_cholesky_extend(grown, n, STRIDE));
    }
    for (int64_t i = 0; i < N; i++) {
        for (int64_t j = 0; j < N; j++) {
            CHECK(grown[i * STRIDE + j] == whole[i * STRIDE + j]);
        }
    }
    qn_free(whole);
    qn_free(grown);
}

static void what_is_not_positive_definite_is_refused(void **state)
{
    (void)state;
    enum { N = 70 };
    const double bad[] = {0, -1, QN_NA, QN_INF};
    for (int64_t at = 0; at < N; at += 23) {
        for (int b = 0; b < 4; b++) {
            double *a = kernel_matrix(N, N, 1);
            a[at * (N + 1)] = bad[b];
            CHECK(!qn_cholesky_factor(a, N, N, NULL));
            qn_free(a);
        }
    }
    double twice[9] = {4, 0, 4, 0, 9, 0, 0, 0, 4}; /* its last row is its first */
    double good[9] = {4, 0, 4, 0, 9, 0, 0, 0, 5};
    CHECK(qn_cholesky_factor(twice, 2, 3, NULL));
    CHECK(!qn_cholesky_extend(twice, 2, 3));
    CHECK(twice[0] == 2 && twice[4] == 3);
    CHECK(qn_cholesky_factor(good, 2, 3, NULL));
    CHECK(qn_cholesky_extend(good, 2, 3));
    CHECK(good[8] == 1 && good[6] == 2 && good[2] == 2);
}

RUN_TESTS(TEST(a_factor_is_that_of_the_definition_bit_for_bit_on_any_threads),
          TEST(the_brownian_matrix_is_exact), TEST(the_determinant_of_the_hilbert_matrix_is_known),
          TEST(solutions_solve_and_do_not_depend_on_columns_beside_them),
          TEST(forward_is_half_of_a_solution), TEST(the_inverse_is_the_solution_for_unit_vectors),
          TEST(a_factor_extended_row_by_row_is_that_of_the_whole),
          TEST(what_is_not_positive_definite_is_refused))
