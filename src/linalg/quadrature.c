/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/quadrature.h"

#include <math.h>

/* P_n(x) and its derivative, by the three-term recurrence. */
static double legendre(int n, double x, double *slope)
{
    double before = 1, value = x;
    for (int k = 2; k <= n; k++) {
        const double next = ((2 * k - 1) * x * value - (k - 1) * before) / k;
        before = value;
        value = next;
    }
    *slope = n * (x * value - before) / (x * x - 1);
    return value;
}

void qn_gauss_legendre(int n, double *points, double *weights)
{
    const double pi = 3.14159265358979323846;
    for (int i = 0; i <= (n - 1) / 2; i++) { /* the rest mirrors these */
        double x = 2 * i + 1 == n ? 0 : cos(pi * (i + 0.75) / (n + 0.5)), slope = 1;
        for (int round = 0; round < 10; round++) {
            const double value = legendre(n, x, &slope);
            x -= value / slope;
        }
        (void)legendre(n, x, &slope);
        points[n - 1 - i] = (1 + x) / 2;
        points[i] = (1 - x) / 2;
        weights[i] = weights[n - 1 - i] = 1 / ((1 - x * x) * slope * slope);
    }
}
