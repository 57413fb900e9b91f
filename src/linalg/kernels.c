/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/kernels.h"

double qn_dot(const double *restrict a, const double *restrict b, int64_t n)
{
    double lanes[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int lane = 0; lane < 8; lane++) {
            lanes[lane] += a[i + lane] * b[i + lane];
        }
    }
    for (int lane = 0; i < n; i++, lane++) {
        lanes[lane] += a[i] * b[i];
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

void qn_add_scaled(double scale, const double *restrict a, double *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] += scale * a[i];
    }
}
