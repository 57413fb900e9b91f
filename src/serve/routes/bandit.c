/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/bandit.h"

#include "base/rng.h"

#include <math.h>

/* Gamma of shape a >= 1 and scale 1 (Marsaglia & Tsang 2000). */
static double draw_gamma(qn_rng *rng, double a)
{
    const double d = a - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        const double x = qn_rng_normal(rng), root = 1 + c * x;
        if (root <= 0) continue;
        const double v = root * root * root, u = 1 - qn_rng_uniform(rng);
        if (log(u) < 0.5 * x * x + d * (1 - v + log(v))) return d * v;
    }
}

static double draw_beta(qn_rng *rng, double a, double b)
{
    const double x = draw_gamma(rng, a), y = draw_gamma(rng, b);
    return x / (x + y);
}

static double score(const qn_bandit *bandit, int arm, qn_rng *rng)
{
    const double n = (double)bandit->arms[arm].n_rewards, sum = bandit->arms[arm].sum;
    const double n_chosen = (double)bandit->arms[arm].n_chosen;
    if (bandit->policy == QN_BANDIT_THOMPSON) return draw_beta(rng, 1 + sum, 1 + n - sum);
    if (n_chosen == 0) return HUGE_VAL;
    return (n > 0 ? sum / n : 1) + sqrt(2 * log((double)bandit->n_choices) / n_chosen);
}

int qn_bandit_choose(qn_bandit *bandit)
{
    qn_rng rng;
    int best = 0;
    double best_score = -1;
    qn_rng_init(&rng, bandit->seed, bandit->n_choices);
    for (int arm = 0; arm < bandit->n_arms; arm++) {
        const double s = score(bandit, arm, &rng);
        if (s <= best_score) continue;
        best = arm;
        best_score = s;
    }
    bandit->n_choices++;
    bandit->arms[best].n_chosen++;
    return best;
}

void qn_bandit_reward(qn_bandit *bandit, int arm, double reward)
{
    bandit->arms[arm].n_rewards++;
    bandit->arms[arm].sum += reward;
}
