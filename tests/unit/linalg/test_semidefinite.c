/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/semidefinite.h"

#include "check.h"

enum { N = 7 };

/* B B^T of a B with entries of sines, plus a diagonal. */
static void make_matrix(double *a, double diagonal)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            double sum = i == j ? diagonal : 0;
            for (int k = 0; k < N; k++) {
                sum += sin(3 * i + k * k) * sin(3 * j + k * k);
            }
            a[i * N + j] = sum;
        }
    }
}

static void solutions_satisfy_their_equations(void **state)
{
    (void)state;
    double a[N * N], l[N * N], x[N];
    make_matrix(a, 0.5);
    memcpy(l, a, sizeof l);
    CHECK_INT(qn_semidefinite_factor(l, N, 1e-13), N);
    for (int i = 0; i < N; i++) {
        x[i] = i - 2.5;
    }
    qn_semidefinite_solve(l, N, x);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) {
            sum += a[i * N + j] * x[j];
        }
        CHECK_NEAR(sum, i - 2.5, 1e-12);
    }
}

static void columns_that_depend_on_others_are_set_aside(void **state)
{
    (void)state;
    double a[N * N], x[N];
    make_matrix(a, 0.5);
    for (int i = 0; i < N; i++) {
        a[4 * N + i] = a[1 * N + i]; /* row and column 4 repeat 1; 5 is zero */
        a[5 * N + i] = 0;
    }
    for (int i = 0; i < N; i++) {
        a[i * N + 4] = a[i * N + 1];
        a[i * N + 5] = 0;
    }
    double l[N * N];
    memcpy(l, a, sizeof l);
    CHECK_INT(qn_semidefinite_factor(l, N, 1e-13), N - 2);
    for (int i = 0; i < N; i++) {
        x[i] = i == 4 ? 1 : i == 5 ? 0 : i; /* as element 1 has it */
    }
    qn_semidefinite_solve(l, N, x);
    CHECK_NEAR(x[4], 0, 0);
    CHECK_NEAR(x[5], 0, 0);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) {
            sum += a[i * N + j] * x[j];
        }
        CHECK_NEAR(sum, i == 4 ? 1 : i == 5 ? 0 : i, 1e-12);
    }
}

RUN_TESTS(TEST(solutions_satisfy_their_equations),
          TEST(columns_that_depend_on_others_are_set_aside))
