/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that a round of boosting sees. */
#include "learn/tree/boosting.h"

#include <math.h>

static void list_sampled(qn_boosting *b)
{
    b->n_sampled = 0;
    for (int64_t i = 0; i < b->n_train; i++) {
        if (b->sampled[i]) b->rows[b->n_sampled++] = (int32_t)i;
    }
    if (b->n_sampled == 0) {
        b->sampled[0] = 1;
        b->rows[b->n_sampled++] = 0;
    }
}

void qn_boosting_draw_rows(qn_boosting *b, qn_rng *rng)
{
    const double fraction = b->params->bagging_fraction;
    if (b->params->goss || fraction >= 1 || b->params->bagging_freq == 0) return;
    if (b->round % b->params->bagging_freq != 0) return;
    for (int64_t i = 0; i < b->n_train; i++) {
        b->sampled[i] = qn_rng_uniform(rng) < fraction;
    }
    list_sampled(b);
}

/* The k-th largest of n values, which are reordered (Hoare 1961). */
static double select_largest(double *values, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const double pivot = values[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] > pivot) {
                i++;
            }
            while (values[j] < pivot) {
                j--;
            }
            if (i > j) break;
            const double swap = values[i];
            values[i++] = values[j];
            values[j--] = swap;
        }
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            break;
        }
    }
    return values[k];
}

/* Keeps rows of large gradient × hessian, draws from the others and weighs those up. The first
 * 1 / learning_rate rounds see every row: their gradients say little yet. */
void qn_boosting_draw_by_gradient(qn_boosting *b, qn_rng *rng)
{
    const double top = b->params->top_rate, other = b->params->other_rate;
    const int64_t n = b->n_train;
    if (top + other >= 1 || (double)b->round < 1 / b->params->grow.learning_rate) return;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int32_t c = 0; c < b->k; c++) {
            const qn_derivatives *d = &b->derivatives[c * n + i];
            sum += fabs(d->gradient * d->hessian);
        }
        b->magnitudes[i] = b->magnitudes[n + i] = sum;
    }
    int64_t n_top = (int64_t)(top * (double)n);
    if (n_top < 1) n_top = 1;
    const double border = select_largest(b->magnitudes + n, n, n_top - 1);
    const double weight = (1 - top) / other;
    for (int64_t i = 0; i < n; i++) {
        b->sampled[i] = 1;
        if (b->magnitudes[i] >= border) continue;
        b->sampled[i] = qn_rng_uniform(rng) < other / (1 - top);
        for (int32_t c = 0; c < b->k && b->sampled[i]; c++) {
            b->derivatives[c * n + i].gradient *= weight;
            b->derivatives[c * n + i].hessian *= weight;
        }
    }
    list_sampled(b);
}
