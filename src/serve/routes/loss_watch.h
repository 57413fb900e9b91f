/* SPDX-License-Identifier: Apache-2.0 */
/* Loss watch: whether a canary's predictions are worse than those of the version it is to replace,
 * from losses that come in one by one – 0 or 1 for labels, absolute errors for numbers. It looks
 * whenever the number of the canary's losses has doubled, beginning with a minimum, and says so
 * when the means differ by more than three standard errors (Welch). Looking at every loss would
 * find a difference in the end where there is none; twenty looks do so in less than 3 of 100
 * canaries that are just as good.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_ROUTES_LOSS_WATCH_H
#define QN_SERVE_ROUTES_LOSS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

typedef struct qn_loss_watch {
    int64_t n_min; /* of either arm, before the first look */
    int64_t next_look;
    struct {
        int64_t n;
        double mean, squares; /* sum of squared distances from the mean (Welford 1962) */
    } arms[2];
} qn_loss_watch; /* initialise n_min */

/* A loss of arm 0, or of the canary, arm 1. True when the canary is worse. */
bool qn_loss_watch_add(qn_loss_watch *watch, int arm, double loss);

#endif
