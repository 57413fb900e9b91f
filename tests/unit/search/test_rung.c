/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"
#include "search/pruners/rung.h"
#include "search/study/study.h"

#include "check.h"

enum { N = 6 };

/* Six trials: the numbers 0 … 5, and how far each came. */
struct told {
    qn_curve_point reports[N][3];
    double losses[N];
    qn_trial_record trials[N];
    const qn_trial_record *list[N];
    qn_history history;
};

static void fill(struct told *t)
{
    static const struct {
        qn_trial_state state;
        int64_t n_reports;
        double curve[3]; /* at the steps 1, 3, 9 */
        double violation;
    } rows[N] = {
        {QN_TRIAL_COMPLETE, 3, {5, 4, 1}, 0}, {QN_TRIAL_PRUNED, 1, {9, 0, 0}, 0},
        {QN_TRIAL_PRUNED, 2, {1, 2, 0}, 0},   {QN_TRIAL_PRUNED, 2, {4, 3, 0}, 0},
        {QN_TRIAL_COMPLETE, 0, {2.5}, 0},     {QN_TRIAL_PRUNED, 2, {0, 0, 0}, 1},
    };
    static const int64_t steps[] = {1, 3, 9};
    static const qn_objectives one = {.n = 1};
    *t = (struct told){0};
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 3; k++) {
            t->reports[i][k] = (qn_curve_point){steps[k], rows[i].curve[k]};
        }
        t->losses[i] = rows[i].curve[rows[i].n_reports ? rows[i].n_reports - 1 : 0];
        t->trials[i] = (qn_trial_record){.number = i,
                                         .state = rows[i].state,
                                         .losses = &t->losses[i],
                                         .violation = rows[i].violation,
                                         .n_reports = rows[i].n_reports,
                                         .reports = t->reports[i]};
        t->list[i] = &t->trials[i];
    }
    t->history = (qn_history){.objectives = &one, .n_told = N, .told = t->list};
}

static void the_loss_at_a_step_is_that_of_the_first_report_from_there_on(void **state)
{
    (void)state;
    struct told t;
    fill(&t);
    CHECK(qn_trial_loss_at(&t.trials[0], 1) == 5);
    CHECK(qn_trial_loss_at(&t.trials[0], 2) == 4);
    CHECK(qn_trial_loss_at(&t.trials[0], 9) == 1);
    CHECK(isnan(qn_trial_loss_at(&t.trials[2], 9)));
    CHECK(isnan(qn_trial_loss_at(&t.trials[4], 1)));
}

static void trials_are_ranked_where_enough_have_come(void **state)
{
    (void)state;
    static const struct {
        int64_t n_min, n;
        int32_t ranked[N];
    } cases[] = {
        {1, 2, {0, 4}},          /* two are complete: by their results */
        {2, 2, {0, 4}},          /* the same */
        {3, 5, {2, 4, 3, 0, 5}}, /* step 3, where the later winner is behind; a limit broken last */
        {5, 5, {2, 4, 3, 0, 5}}, {6, 6, {2, 4, 3, 0, 1, 5}}, /* step 1, which all have reached */
    };
    struct told t;
    fill(&t);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        qn_error err = {0};
        int32_t ranked[N];
        int64_t n;
        CHECK_OK(qn_rung_rank(&t.history, cases[c].n_min, ranked, &n, &err));
        CHECK_INT(n, cases[c].n);
        for (int64_t k = 0; k < n; k++) {
            CHECK_INT(ranked[k], cases[c].ranked[k]);
        }
    }
}

static void ranking_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct told t;
    int32_t ranked[N];
    int64_t n;
    fill(&t);
    CHECK_SURVIVES_NO_MEMORY(qn_rung_rank(&t.history, 3, ranked, &n, NULL));
    CHECK_INT(n, 5);
}

/* Nine in ten trials are stopped at step 1, by lot; the least loss at step 1 of all. */
static double best_at_first_step(const char *sampler, int64_t seed)
{
    static const char space[] = "{parameters: {x: {type: float, low: 0, high: 1},"
                                " y: {type: float, low: 0, high: 1},"
                                " z: {type: float, low: 0, high: 1}}}";
    qn_error err = {0};
    qn_study *study;
    double best = QN_INF;
    CHECK_OK(qn_study_open(&(qn_study_request){.space = space, .sampler = sampler, .seed = seed},
                           &study, &err));
    for (int i = 0; i < 150; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        double loss = 0;
        for (int d = 0; d < 3; d++) {
            const double away = qn_trial_get_record(trial)->values[d] - 0.7;
            loss += away * away;
        }
        best = fmin(best, loss);
        CHECK_OK(qn_trial_report(trial, 1, loss, NULL, &err));
        if (i % 10 == 3) {
            CHECK_OK(qn_trial_tell(trial, &loss, 1, &err));
        } else {
            CHECK_OK(qn_trial_prune(trial, &err));
        }
    }
    qn_study_close(study);
    return best;
}

static void tpe_learns_from_trials_stopped_by_lot(void **state)
{
    (void)state;
    double random = 0, tpe = 0;
    for (int seed = 1; seed <= 8; seed++) {
        random += best_at_first_step("random", seed);
        tpe += best_at_first_step("tpe", seed);
    }
    if (!(tpe < random / 3)) fail_msg("tpe: %g, random %g", tpe, random);
}

RUN_TESTS(TEST(the_loss_at_a_step_is_that_of_the_first_report_from_there_on),
          TEST(trials_are_ranked_where_enough_have_come),
          TEST(ranking_survives_running_out_of_memory), TEST(tpe_learns_from_trials_stopped_by_lot))
