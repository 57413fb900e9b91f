/* SPDX-License-Identifier: Apache-2.0 */
/* That samplers search: each must beat random draws by far on what it is for. */
#include "search/study/pareto.h"
#include "search/study/study.h"

#include "check.h"

enum { N_SEEDS = 5 };

static const char cube[] =
    "{parameters: {x0: {type: float, low: 0, high: 1},"
    " x1: {type: float, low: 0, high: 1}, x2: {type: float, low: 0, high: 1},"
    " x3: {type: float, low: 0, high: 1}, x4: {type: float, low: 0, high: 1}}}";

static const char mixed[] = "{parameters: {x: {type: float, low: 0, high: 1},"
                            " c: {type: categorical, choices: [a, b]}}}";

static qn_study *open_study(const char *sampler, const char *objectives, int64_t seed)
{
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(
        &(qn_study_request){
            .space = cube, .sampler = sampler, .objectives = objectives, .seed = seed},
        &study, &err));
    return study;
}

/* The best of n trials on a sphere whose middle is off the cube's, median of seeds. */
static double best_on_sphere(const char *sampler, int n)
{
    double best[N_SEEDS];
    for (int seed = 0; seed < N_SEEDS; seed++) {
        qn_error err = {0};
        qn_study *study = open_study(sampler, NULL, seed + 1);
        for (int i = 0; i < n; i++) {
            qn_trial *trial;
            double sum = 0;
            CHECK_OK(qn_study_ask(study, &trial, &err));
            const double *x = qn_trial_get_record(trial)->values;
            for (int d = 0; d < 5; d++) {
                sum += (x[d] - 0.3) * (x[d] - 0.3);
            }
            CHECK_OK(qn_trial_tell(trial, &sum, 1, &err));
        }
        best[seed] = qn_history_best(qn_study_history(study))->losses[0];
        qn_study_close(study);
    }
    for (int i = 1; i < N_SEEDS; i++) {
        for (int k = i; k > 0 && best[k] < best[k - 1]; k--) {
            const double other = best[k];
            best[k] = best[k - 1];
            best[k - 1] = other;
        }
    }
    return best[N_SEEDS / 2];
}

static void each_sampler_beats_random_draws_by_far(void **state)
{
    (void)state;
    static const char *const samplers[] = {
        "tpe",   "tpe:multivariate=false",      "evolution", "anneal", "nsga2:population=20",
        "cmaes", "cmaes:startup=30,restarts=1", "cfo"};
    const double random = best_on_sphere("random", 200);
    for (size_t i = 0; i < sizeof samplers / sizeof *samplers; i++) {
        const double best = best_on_sphere(samplers[i], 200);
        if (best > random / 3) fail_msg("%s: %g, random %g", samplers[i], best, random);
    }
    CHECK(best_on_sphere("sobol", 200) < 2 * random);
    CHECK(best_on_sphere("gp", 40) < random / 30);
}

/* A trial costs n, and n = 30 is best. The cost of 60 trials, and the best loss. */
static double cost_of_search(const char *sampler, int64_t seed, double *best)
{
    static const char space[] =
        "{parameters: {n: {type: int, low: 1, high: 10000, log: true, low_cost: 1},"
        " x: {type: float, low: 0, high: 1}}}";
    qn_error err = {0};
    qn_study *study;
    double cost = 0;
    CHECK_OK(qn_study_open(&(qn_study_request){.space = space, .sampler = sampler, .seed = seed},
                           &study, &err));
    for (int i = 0; i < 60; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        const double *values = qn_trial_get_record(trial)->values;
        const double lack = log(30 / values[0]), away = values[1] - 0.3;
        const double loss = lack * lack + 4 * away * away;
        CHECK(i > 0 || values[0] == 1 || strcmp(sampler, "cfo") != 0);
        cost += values[0];
        CHECK_OK(qn_trial_tell(trial, &loss, 1, &err));
    }
    *best = qn_history_best(qn_study_history(study))->losses[0];
    qn_study_close(study);
    return cost;
}

static void cfo_spends_little_on_dear_trials(void **state)
{
    (void)state;
    double cost = 0, random = 0;
    int n_near = 0; /* a local search may stop elsewhere */
    for (int64_t seed = 1; seed <= N_SEEDS; seed++) {
        double best, other;
        cost += cost_of_search("cfo", seed, &best);
        random += cost_of_search("random", seed, &other);
        n_near += best < 0.05;
    }
    if (!(cost < random / 5)) fail_msg("cfo: %g, random %g", cost, random);
    CHECK(n_near >= N_SEEDS - 1);
}

/* One whose first trial fails, and then one in three. */
static void cfo_goes_on_after_failures(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study("cfo", NULL, 1);
    double first = 0, best = 1e9;
    for (int i = 0; i < 300; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        const double x = qn_trial_get_record(trial)->values[0] - 0.9;
        const double loss = x * x;
        if (i % 3 == 0) {
            CHECK_OK(qn_trial_fail(trial, &err));
            continue;
        }
        if (i == 1) first = loss;
        best = fmin(best, loss);
        CHECK_OK(qn_trial_tell(trial, &loss, 1, &err));
    }
    CHECK(best < first / 1000);
    qn_study_close(study);
}

/* Runs n trials of a space; the least loss. */
static double best_of(const char *space, const char *sampler, int64_t seed, int n,
                      double (*loss_of)(const double *values))
{
    qn_error err = {0};
    qn_study *study;
    CHECK_OK(qn_study_open(&(qn_study_request){.space = space, .sampler = sampler, .seed = seed},
                           &study, &err));
    for (int i = 0; i < n; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        const double loss = loss_of(qn_trial_get_record(trial)->values);
        CHECK_OK(qn_trial_tell(trial, &loss, 1, &err));
    }
    const double best = qn_history_best(qn_study_history(study))->losses[0];
    qn_study_close(study);
    return best;
}

/* How many of twenty decisions among four are wrong. */
static double wrong_decisions(const double *values)
{
    int n_wrong = 0;
    for (int i = 0; i < 20; i++) {
        n_wrong += (int)values[i] != i * 7 % 4;
    }
    return n_wrong;
}

static void reinforce_learns_a_sequence_of_decisions(void **state)
{
    (void)state;
    char space[2048] = "{parameters: {";
    for (int i = 0; i < 20; i++) {
        char one[64];
        snprintf(one, sizeof one, "d%d: {type: categorical, choices: [a, b, c, d]}%s", i,
                 i < 19 ? ", " : "}}");
        strcat(space, one);
    }
    for (int64_t seed = 1; seed <= N_SEEDS; seed++) {
        const double best = best_of(space, "reinforce", seed, 400, wrong_decisions);
        const double random = best_of(space, "random", seed, 400, wrong_decisions);
        if (!(best <= 1 && random >= 6)) fail_msg("reinforce: %g, random %g", best, random);
    }
}

/* Two ways, of which the better one has five decisions of its own. */
static double two_ways(const double *values)
{
    if (values[0] == 0) return 0.9 + 0.2 * values[1];
    double loss = 0;
    for (int i = 2; i < 7; i++) {
        loss += fabs(values[i] - 0.7) / 2;
    }
    return loss;
}

static void reinforce_learns_which_way_to_go(void **state)
{
    (void)state;
    static const char space[] = "{parameters: {way: {type: categorical, choices: [a, b]},"
                                " x: {type: float, low: 0, high: 1, when: {way: a}},"
                                " y1: {type: float, low: 0, high: 1, when: {way: b}},"
                                " y2: {type: float, low: 0, high: 1, when: {way: b}},"
                                " y3: {type: float, low: 0, high: 1, when: {way: b}},"
                                " y4: {type: float, low: 0, high: 1, when: {way: b}},"
                                " y5: {type: float, low: 0, high: 1, when: {way: b}}}}";
    double reinforce = 0, random = 0;
    for (int64_t seed = 1; seed <= N_SEEDS; seed++) {
        reinforce += best_of(space, "reinforce", seed, 400, two_ways);
        random += best_of(space, "random", seed, 400, two_ways);
    }
    if (!(reinforce < random / 1.5)) fail_msg("reinforce: %g, random %g", reinforce, random);
}

/* ZDT1 (Zitzler, Deb & Thiele 2000) in five dimensions; its front is f2 = 1 - sqrt(f1). */
static void zdt1(const double *x, double *values)
{
    double g = 0;
    for (int d = 1; d < 5; d++) {
        g += x[d];
    }
    g = 1 + 9 * g / 4;
    values[0] = x[0];
    values[1] = g * (1 - sqrt(x[0] / g));
}

/* The area between the trials and the corner (1.1, 1.1), by a sweep over f1. */
static double area(const qn_history *history)
{
    double sum = 0;
    for (int step = 0; step < 1100; step++) {
        double least = 1.1;
        for (int64_t i = 0; i < history->n_told; i++) {
            const double *losses = history->told[i]->losses;
            if (losses[0] <= step * 1e-3) least = fmin(least, losses[1]);
        }
        sum += 1e-3 * (1.1 - least);
    }
    return sum;
}

static double area_after(const char *sampler, int n)
{
    double sum = 0;
    for (int seed = 1; seed <= 3; seed++) {
        qn_error err = {0};
        qn_study *study = open_study(sampler, "a:minimize,b:minimize", seed);
        for (int i = 0; i < n; i++) {
            qn_trial *trial;
            double values[2];
            CHECK_OK(qn_study_ask(study, &trial, &err));
            zdt1(qn_trial_get_record(trial)->values, values);
            CHECK_OK(qn_trial_tell(trial, values, 2, &err));
        }
        sum += area(qn_study_history(study)) / 3;
        qn_study_close(study);
    }
    return sum;
}

/* The whole front has 1.21 - 1/3 = 0.877. */
static void nsga2_comes_near_the_front_of_zdt1(void **state)
{
    (void)state;
    const double nsga2 = area_after("nsga2", 2000), random = area_after("random", 2000);
    if (!(nsga2 > 0.84 && nsga2 < 0.88)) fail_msg("nsga2: %g, random %g", nsga2, random);
    CHECK(nsga2 > random + 0.2);
    CHECK(area_after("tpe", 300) > area_after("random", 300) + 0.2);
}

/* DTLZ2 (Deb, Thiele, Laumanns & Zitzler 2005): its front is the part of the sphere where all
 * objectives are positive. */
static void dtlz2(const double *x, double *values)
{
    double g = 1;
    for (int d = 2; d < 5; d++) {
        g += (x[d] - 0.5) * (x[d] - 0.5);
    }
    const double a = x[0] * 1.57079632679489662, b = x[1] * 1.57079632679489662;
    values[0] = g * cos(a) * cos(b);
    values[1] = g * cos(a) * sin(b);
    values[2] = g * sin(a);
}

/* What the last hundred trials dominate: the population rather than all that was seen. */
static double volume_after(const char *sampler, int n)
{
    double sum = 0;
    for (int seed = 1; seed <= 3; seed++) {
        qn_error err = {0};
        double points[100][3], volume;
        qn_study *study = open_study(sampler, "a:minimize,b:minimize,c:minimize", seed);
        for (int i = 0; i < n; i++) {
            qn_trial *trial;
            CHECK_OK(qn_study_ask(study, &trial, &err));
            dtlz2(qn_trial_get_record(trial)->values, points[i % 100]);
            CHECK_OK(qn_trial_tell(trial, points[i % 100], 3, &err));
        }
        CHECK_OK(qn_hypervolume(*points, 100, 3, (double[]){1.1, 1.1, 1.1}, &volume, &err));
        sum += volume / 3;
        qn_study_close(study);
    }
    return sum;
}

/* The whole front has 1.331 - pi/6 = 0.807. */
static void nsga3_spreads_over_the_front_of_dtlz2(void **state)
{
    (void)state;
    const double nsga3 = volume_after("nsga3:population=91", 2000);
    const double random = volume_after("random", 2000);
    if (!(nsga3 > 0.6 && nsga3 < 0.807)) fail_msg("nsga3: %g, random %g", nsga3, random);
    CHECK(nsga3 > random + 0.1);
}

static void the_automatic_choice_has_a_reason(void **state)
{
    (void)state;
    static const struct {
        qn_study_request request;
        const char *sampler;
    } cases[] = {
        {{.space = cube}, "tpe"},
        {{.space = "{parameters: {k: {type: int, low: 1, high: 5}}}", .n_trials = 5},
         "brute_force"},
        {{.space = "{parameters: {k: {type: int, low: 1, high: 5}}}", .n_trials = 4}, "tpe"},
        {{.space = cube, .objectives = "minimize,minimize", .n_trials = 1000}, "nsga2"},
        {{.n_trials = 10}, "tpe"},
        {{.n_trials = 100}, "tpe"},
        {{.space = cube, .n_trials = 100}, "gp"},
        {{.space = cube, .n_trials = 100, .pruner = "asha"}, "tpe"},
        {{.space = cube, .n_trials = 100, .pruner = "none"}, "gp"},
        {{.space = cube, .n_trials = 100, .n_workers = 40}, "tpe"},
        {{.space = cube, .n_trials = 1000}, "cmaes"},
        {{.space = mixed, .n_trials = 100}, "gp"},
        {{.space = mixed, .n_trials = 1000}, "tpe"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_study *study;
        const char *reason;
        CHECK_OK(qn_study_open(&cases[i].request, &study, &err));
        CHECK_TEXT(qn_study_sampler(study, &reason), cases[i].sampler);
        CHECK(reason && *reason);
        qn_study_close(study);
    }
}

RUN_TESTS(TEST(each_sampler_beats_random_draws_by_far), TEST(cfo_spends_little_on_dear_trials),
          TEST(cfo_goes_on_after_failures), TEST(reinforce_learns_a_sequence_of_decisions),
          TEST(reinforce_learns_which_way_to_go), TEST(nsga2_comes_near_the_front_of_zdt1),
          TEST(nsga3_spreads_over_the_front_of_dtlz2), TEST(the_automatic_choice_has_a_reason))
