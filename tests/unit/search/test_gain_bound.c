/* SPDX-License-Identifier: Apache-2.0 */
/* The bound of the gain, and the rule that stops a study by it: simulated studies, each run to its
 * end beside the one that is stopped. */
#include "search/study/gain_bound.h"
#include "search/study/study.h"

#include "check.h"

static const char space[] = "{parameters: {x: {type: float, low: -5, high: 10},"
                            " y: {type: float, low: 0, high: 15},"
                            " c: {type: categorical, choices: [a, b]}}}";

/* Branin's function, 0.397887 at best, or two more. */
static double loss_of(const qn_trial_record *trial)
{
    const double x = trial->values[0], y = trial->values[1], pi = 3.14159265358979323846;
    const double a = y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6;
    return a * a + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10 + (trial->values[2] == 1 ? 2 : 0);
}

static qn_study *open_study(const qn_study_request *request)
{
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(request, &study, &err));
    return study;
}

/* Up to n trials, as many as there are; returns their number. */
static int run(qn_study *study, int n)
{
    qn_error err = {0};
    for (int i = 0; i < n; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        if (!trial) return i;
        CHECK_OK(qn_trial_tell(trial, &(double){loss_of(qn_trial_get_record(trial))}, 1, &err));
    }
    return n;
}

static double best_of(const qn_study *study)
{
    return qn_history_best(qn_study_history(study))->losses[0];
}

static void the_schedule_grows_by_twentieths(void **state)
{
    (void)state;
    static const int64_t looks[] = {20, 21, 22, 39, 40, 42, 44, 60, 63};
    CHECK_INT(qn_gain_scheduled(19), 0);
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        CHECK_INT(qn_gain_scheduled(looks[i]), looks[i]);
    }
    CHECK_INT(qn_gain_scheduled(41), 40);
    CHECK_INT(qn_gain_scheduled(62), 60);
}

/* Too early: the rest of the trials would have gained more than was said. */
static void studies_are_stopped_in_time_and_not_too_early(void **state)
{
    (void)state;
    enum { N = 120, N_SEEDS = 6 };
    int n_stopped = 0, n_early = 0, n_saved = 0;
    for (int seed = 1; seed <= N_SEEDS; seed++) {
        qn_study_request request = {.space = space, .seed = seed, .sampler = "gp"};
        qn_study *whole = open_study(&request);
        request.stop_gain = 0.5;
        qn_study *stopped = open_study(&request);
        CHECK_INT(run(whole, N), N);
        const int n = run(stopped, N);
        CHECK(n >= 40);
        CHECK(qn_study_is_stopped(stopped) == (n < N));
        CHECK(n == N || qn_study_gain_bound(stopped) < 0.5);
        n_stopped += n < N;
        n_saved += N - n;
        n_early += best_of(stopped) - best_of(whole) >= 0.5;
        qn_study_close(whole);
        qn_study_close(stopped);
    }
    CHECK_INT(n_early, 0);
    CHECK(n_stopped >= N_SEEDS - 2);
    CHECK(n_saved >= N_SEEDS * N / 4);
}

/* Nothing but a lower and lower loss: there is always more to be gained. */
static void what_still_improves_is_not_stopped(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study =
        open_study(&(qn_study_request){.space = space, .sampler = "random", .stop_gain = 0.5});
    for (int i = 0; i < 150; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        CHECK(trial != NULL);
        CHECK_OK(qn_trial_tell(trial, &(double){-0.1 * i}, 1, &err));
    }
    qn_study_close(study);
}

/* Whoever takes a study up at any trial decides as one who has seen it all. */
static void a_look_depends_on_the_trials_alone(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){.space = space, .sampler = "tpe"});
    qn_gain_rule always = {.gain = 13.5, .seed = 3};
    int n_stops = 0, n_gos = 0;
    for (int i = 0; i < 90; i++) {
        run(study, 1);
        qn_gain_rule fresh = {.gain = 13.5, .seed = 3};
        bool stop, again;
        CHECK_OK(qn_gain_rule_look(&always, qn_study_history(study), &stop, &err));
        CHECK_OK(qn_gain_rule_look(&fresh, qn_study_history(study), &again, &err));
        CHECK(stop == again);
        if (i < 39) CHECK(!stop);
        n_stops += stop;
        n_gos += !stop;
    }
    CHECK(n_stops > 5 && n_gos > 40);
    qn_study_close(study);
}

static void a_bound_takes_what_it_can(void **state)
{
    (void)state;
    qn_error err = {0};
    double bound;
    qn_study *study = open_study(&(qn_study_request){.space = space, .sampler = "random"});
    for (int i = 0; i < 400; i++) { /* more than count; pruned, failed and infeasible ones too */
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        CHECK_OK(qn_trial_report(trial, 1, 300, NULL, &err));
        const double loss = loss_of(qn_trial_get_record(trial));
        if (i % 5 == 1) CHECK_OK(qn_trial_violate(trial, 1, &err));
        CHECK_OK(i % 7 == 3   ? qn_trial_prune(trial, &err)
                 : i % 7 == 5 ? qn_trial_fail(trial, &err)
                              : qn_trial_tell(trial, &loss, 1, &err));
    }
    const qn_history *history = qn_study_history(study);
    CHECK_OK(qn_gain_bound(history, history->n_told, 1, &bound, &err));
    CHECK(bound >= best_of(study) - 0.3979 && bound < 60);
    qn_history none = *history;
    none.n_told = 1;
    none.told = history->told + 1; /* an infeasible one */
    CHECK_OK(qn_gain_bound(&none, 1, 1, &bound, &err));
    CHECK(bound == QN_INF);
    qn_study_close(study);
}

/* A space without parameters yet, and one whose constraint only enqueued trials are known to keep.
 */
static void spaces_that_cannot_be_modelled_say_nothing(void **state)
{
    (void)state;
    static const char narrow[] = "{parameters: {x: {type: float, low: 0, high: 1},"
                                 " y: {type: float, low: 0, high: 1}},"
                                 " constraints: ['(x - 0.5) ** 2 + (y - 0.5) ** 2 <= 1e-24']}";
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){.stop_gain = 1});
    for (int i = 0; i < 60; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        CHECK(trial != NULL);
        CHECK_OK(qn_trial_tell(trial, &(double){1}, 1, &err));
    }
    qn_study_close(study);
    study = open_study(&(qn_study_request){.space = narrow, .sampler = "random"});
    for (int i = 0; i < 21; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_enqueue(study, "{\"x\": 0.5, \"y\": 0.5}", &err));
        CHECK_OK(qn_study_ask(study, &trial, &err));
        CHECK_OK(qn_trial_tell(trial, &(double){i}, 1, &err));
    }
    double bound;
    CHECK_OK(qn_gain_bound(qn_study_history(study), 21, 1, &bound, &err));
    CHECK(bound == QN_INF);
    qn_study_close(study);
}

static void rules_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study;
    qn_study_request request = {.space = space, .stop_gain = -1};
    CHECK_FAILS(QN_ERR_ARG, qn_study_open(&request, &study, &err));
    CHECK_CONTAINS(err.message, "the gain to stop at is a number above 0, not -1");
    request.stop_gain = 1;
    request.objectives = "a:minimize,b:minimize";
    CHECK_FAILS(QN_ERR_ARG, qn_study_open(&request, &study, &err));
    CHECK_CONTAINS(err.message, "one objective");
}

static qn_status look(const qn_study *study)
{
    qn_gain_rule rule = {.gain = 1, .seed = 1};
    bool stop;
    return qn_gain_rule_look(&rule, qn_study_history(study), &stop, NULL);
}

static void a_look_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_study *study = open_study(&(qn_study_request){.space = space, .sampler = "random"});
    run(study, 21);
    CHECK_SURVIVES_NO_MEMORY(look(study));
    qn_study_close(study);
}

RUN_TESTS(TEST(the_schedule_grows_by_twentieths),
          TEST(studies_are_stopped_in_time_and_not_too_early),
          TEST(what_still_improves_is_not_stopped), TEST(a_look_depends_on_the_trials_alone),
          TEST(spaces_that_cannot_be_modelled_say_nothing), TEST(a_bound_takes_what_it_can),
          TEST(rules_that_make_no_sense_are_refused), TEST(a_look_survives_running_out_of_memory))
