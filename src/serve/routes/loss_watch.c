/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/loss_watch.h"

#include <math.h>

static const double standard_errors = 3;

static bool is_worse(const qn_loss_watch *watch)
{
    double variance = 0; /* of the difference of the means */
    for (int arm = 0; arm < 2; arm++) {
        const double n = (double)watch->arms[arm].n;
        variance += watch->arms[arm].squares / (n - 1) / n;
    }
    return watch->arms[1].mean - watch->arms[0].mean > standard_errors * sqrt(variance);
}

bool qn_loss_watch_add(qn_loss_watch *watch, int arm, double loss)
{
    const double distance = loss - watch->arms[arm].mean;
    watch->arms[arm].n++;
    watch->arms[arm].mean += distance / (double)watch->arms[arm].n;
    watch->arms[arm].squares += distance * (loss - watch->arms[arm].mean);
    const int64_t due = watch->next_look > 0 ? watch->next_look : watch->n_min;
    if (watch->arms[1].n < due || watch->arms[0].n < watch->n_min) return false;
    watch->next_look = 2 * watch->arms[1].n;
    return is_worse(watch);
}
