/* SPDX-License-Identifier: Apache-2.0 */
/* Bandit: deals requests to arms so that those with better rewards get more of them, and none is
 * given up too early. Rewards are from 0 to 1 and may come late, or never.
 *
 * - Thompson sampling: each arm draws from the Beta distribution of what its mean may be, and the
 *   largest draw wins (Thompson 1933; Agrawal & Goyal 2012). A reward r counts as r of a success.
 * - UCB1: the largest mean plus sqrt(2 ln t / n) wins, n of t requests having gone to the arm
 *   (Auer, Cesa-Bianchi & Fischer 2002). An arm without rewards yet counts as if its mean were 1.
 *
 * What is chosen is a function of the seed and of the order of choices and rewards.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_ROUTES_BANDIT_H
#define QN_SERVE_ROUTES_BANDIT_H

#include "serve/routes/route_plan.h"

typedef struct qn_bandit {
    qn_bandit_policy policy;
    int n_arms;
    uint64_t seed, n_choices;
    struct {
        uint64_t n_chosen, n_rewards;
        double sum; /* of rewards */
    } arms[QN_ARMS_MAX];
} qn_bandit; /* initialise the first three members, and seed */

int qn_bandit_choose(qn_bandit *bandit);
void qn_bandit_reward(qn_bandit *bandit, int arm, double reward);

#endif
