/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/quadrature.h"

#include "check.h"

static void n_points_integrate_polynomials_of_degree_2n_minus_1(void **state)
{
    (void)state;
    for (int n = 1; n <= 64; n++) {
        double points[64], weights[64];
        qn_gauss_legendre(n, points, weights);
        for (int degree = 0; degree <= 2 * n - 1; degree++) {
            double sum = 0;
            for (int i = 0; i < n; i++) {
                sum += weights[i] * pow(points[i], degree);
            }
            CHECK_NEAR(sum, 1.0 / (degree + 1), 1e-14);
        }
        for (int i = 1; i < n; i++) {
            CHECK(points[i] > points[i - 1]);
        }
        CHECK(points[0] > 0 && points[n - 1] < 1);
    }
}

RUN_TESTS(TEST(n_points_integrate_polynomials_of_degree_2n_minus_1))
