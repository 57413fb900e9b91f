/* SPDX-License-Identifier: Apache-2.0 */
/* Bandits: the same choices for the same seed and rewards; chances as the Beta distributions have
 * them; the best arm found, at little cost. */
#include "serve/routes/bandit.h"

#include "base/rng.h"
#include "check.h"

static void choices_follow_from_seed_and_order(void **state)
{
    (void)state;
    int n_different = 0;
    qn_bandit one = {.n_arms = 4, .seed = 7}, two = one, other = {.n_arms = 4, .seed = 8};
    for (int i = 0; i < 1000; i++) {
        const int arm = qn_bandit_choose(&one);
        CHECK_INT(qn_bandit_choose(&two), arm);
        n_different += qn_bandit_choose(&other) != arm;
        if (i % 3 == 0) {
            qn_bandit_reward(&one, arm, arm * 0.25);
            qn_bandit_reward(&two, arm, arm * 0.25);
            qn_bandit_reward(&other, arm, arm * 0.25);
        }
    }
    CHECK(n_different > 50);
}

/* One success against nothing known: the chance that Beta(2, 1) is above Beta(1, 1) is 2/3. Half a
 * reward, Beta(1.5, 1.5), against nothing: 1/2. A flat one above
 * Beta(3, 1): 1 - 3/4. */
static void chances_are_those_of_the_beta_distribution(void **state)
{
    (void)state;
    enum { N = 100000 };
    static const struct {
        double n0, sum0, n1, sum1, chance;
    } cases[] = {{1, 1, 0, 0, 2.0 / 3}, {1, 0.5, 0, 0, 0.5}, {4, 3, 4, 3, 0.5}, {0, 0, 2, 2, 0.25}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        qn_bandit bandit = {.n_arms = 2, .seed = c};
        bandit.arms[0].n_rewards = (uint64_t)cases[c].n0;
        bandit.arms[0].sum = cases[c].sum0;
        bandit.arms[1].n_rewards = (uint64_t)cases[c].n1;
        bandit.arms[1].sum = cases[c].sum1;
        for (int i = 0; i < N; i++) {
            (void)qn_bandit_choose(&bandit);
        }
        const double p = cases[c].chance;
        CHECK_NEAR((double)bandit.arms[0].n_chosen / N, p, 4.5 * sqrt(p * (1 - p) / N));
    }
}

/* Arms that succeed with 0.2, 0.5 and 0.6; every reward comes ten choices late. */
static qn_bandit play(qn_bandit_policy policy, uint64_t seed, int n)
{
    static const double chances[] = {0.2, 0.5, 0.6};
    qn_bandit bandit = {.policy = policy, .n_arms = 3, .seed = seed};
    qn_rng rng;
    int late[10];
    qn_rng_init(&rng, seed, 99);
    for (int i = 0; i < n; i++) {
        if (i >= 10) {
            const int arm = late[i % 10];
            qn_bandit_reward(&bandit, arm, qn_rng_uniform(&rng) < chances[arm]);
        }
        late[i % 10] = qn_bandit_choose(&bandit);
    }
    return bandit;
}

static void the_best_arm_gets_most(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const qn_bandit thompson = play(QN_BANDIT_THOMPSON, seed, 10000);
        CHECK(thompson.arms[2].n_chosen > 7000);
        CHECK(thompson.arms[0].n_chosen > 0 && thompson.arms[0].n_chosen < 200);
        const qn_bandit ucb = play(QN_BANDIT_UCB, seed, 10000);
        CHECK(ucb.arms[2].n_chosen > 5000);
        CHECK(ucb.arms[0].n_chosen > 10 && ucb.arms[0].n_chosen < 400);
    }
}

static void without_rewards_all_arms_are_tried(void **state)
{
    (void)state;
    for (int policy = 0; policy < 2; policy++) {
        qn_bandit bandit = {.policy = (qn_bandit_policy)policy, .n_arms = 5, .seed = 3};
        for (int i = 0; i < 1000; i++) {
            (void)qn_bandit_choose(&bandit);
        }
        for (int arm = 0; arm < 5; arm++) {
            CHECK_NEAR((double)bandit.arms[arm].n_chosen, 200, 60);
        }
    }
}

RUN_TESTS(TEST(choices_follow_from_seed_and_order),
          TEST(chances_are_those_of_the_beta_distribution), TEST(the_best_arm_gets_most),
          TEST(without_rewards_all_arms_are_tried))
