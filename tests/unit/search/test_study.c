/* SPDX-License-Identifier: Apache-2.0 */
#include "search/study/study.h"

#include "check.h"

static const char square[] = "{parameters: {x: {type: float, low: -5, high: 5},"
                             " k: {type: int, low: 0, high: 3}}}";

static qn_study *open_study(const qn_study_request *request)
{
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(request, &study, &err));
    return study;
}

static qn_trial *ask(qn_study *study)
{
    qn_error err = {0};
    qn_trial *trial = NULL;
    CHECK_OK(qn_study_ask(study, &trial, &err));
    CHECK(trial != NULL);
    return trial;
}

static void a_study_asks_and_tells_until_the_best_is_known(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){.space = square, .sampler = "random"});
    double best = QN_INF;
    for (int i = 0; i < 50; i++) {
        double x;
        int64_t k;
        qn_trial *trial = ask(study);
        CHECK_INT(qn_trial_number(trial), i);
        CHECK_OK(qn_trial_float(trial, "x", NULL, &x, &err));
        CHECK_OK(qn_trial_int(trial, "k", NULL, &k, &err));
        const double value = x * x + (double)k;
        best = fmin(best, value);
        CHECK_OK(qn_trial_tell(trial, &value, 1, &err));
        CHECK_FAILS(QN_ERR_ARG, qn_trial_tell(trial, &value, 1, &err));
        CHECK_CONTAINS(err.message, "is not running but complete");
    }
    char *json = NULL, text[64];
    CHECK_OK(qn_study_best(study, &json, &err));
    char number[QN_DOUBLE_TEXT_BYTES];
    qn_format_double(best, number);
    snprintf(text, sizeof text, "\"values\":{\"value\":%s}", number);
    CHECK_CONTAINS(json, text);
    qn_tune_free(json);
    qn_study_close(study);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        qn_study_request request;
        const char *message;
    } cases[] = {
        {{.sampler = "tpr"}, "there is no sampler 'tpr'; did you mean 'tpe'?"},
        {{.sampler = "tpe:statup=3"}, "tpe has no setting 'statup'; did you mean 'startup'?"},
        {{.sampler = "tpe:startup=0"}, "tpe: startup=0: expected a whole number from 1 to 1e+06"},
        {{.sampler = "tpe:startup=1.5"}, "expected a whole number"},
        {{.sampler = "tpe:group=2"}, "tpe: group=2: expected true or false"},
        {{.sampler = "tpe:group"}, "expected true or false"},
        {{.sampler = "grid"}, "the sampler 'grid' needs the space beforehand"},
        {{.sampler = "brute_force", .space = square}, "'x' has no step"},
        {{.sampler = "grid:points=1000000",
          .space = "{parameters: {x: {type: float, low: 0, high: 1}, y: {type: float, low: 0, "
                   "high: 1}}}"},
         "more than a billion points"},
        {{.pruner = "medain"}, "there is no pruner 'medain'; did you mean 'median'?"},
        {{.pruner = "median:percentile=3"}, "median has no setting 'percentile'"},
        {{.objectives = "up"}, "expected minimize or maximize, not 'up'"},
        {{.objectives = "a:minimize,b:"}, "expected minimize or maximize, not ''"},
        {{.objectives = "minimize,maximize", .pruner = "median"}, "pruning takes one objective"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_study *study;
        CHECK_FAILS(QN_ERR_ARG, qn_study_open(&cases[i].request, &study, &err));
        CHECK_CONTAINS(err.message, cases[i].message);
        CHECK(study == NULL);
    }
}

/* A space that depends on what it gives: the names asked for make it. */
static double run_by_run(qn_study *study, qn_trial *trial)
{
    static const char *const kinds[] = {"line", "curve", NULL};
    qn_error err = {0};
    int64_t kind, n;
    double x;
    bool flag;
    (void)study;
    CHECK_OK(qn_trial_choice(trial, "kind", kinds, &kind, &err));
    if (kind == 0) {
        CHECK_OK(qn_trial_float(trial, "slope", &(qn_range){.low = 0, .high = 2}, &x, &err));
        return 3 + x;
    }
    CHECK_OK(qn_trial_int(trial, "n", &(qn_range){.low = 1, .high = 9}, &n, &err));
    CHECK_OK(
        qn_trial_float(trial, "rate", &(qn_range){.low = 1e-4, .high = 1, .log = true}, &x, &err));
    CHECK_OK(qn_trial_bool(trial, "flag", &flag, &err));
    return fabs((double)n - 4) + fabs(log10(x) + 2) + flag;
}

static void define_by_run_finds_its_space(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){.sampler = "tpe"});
    for (int i = 0; i < 150; i++) {
        qn_trial *trial = ask(study);
        const double value = run_by_run(study, trial);
        CHECK_OK(qn_trial_tell(trial, &value, 1, &err));
    }
    const qn_space *space = qn_study_space(study);
    CHECK_INT(space->n, 5);
    const qn_history *history = qn_study_history(study);
    const int64_t slope = qn_space_find(space, "slope"), n = qn_space_find(space, "n");
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        CHECK(isnan(qn_trial_value(trial, slope)) != isnan(qn_trial_value(trial, n)));
    }
    CHECK(qn_history_best(history)->losses[0] < 0.3);

    double x;
    qn_trial *trial = ask(study);
    CHECK_OK(qn_trial_float(trial, "slope", &(qn_range){.low = 0, .high = 2}, &x, &err));
    CHECK_FAILS(QN_ERR_ARG,
                qn_trial_float(trial, "slope", &(qn_range){.low = 0, .high = 3}, &x, &err));
    CHECK_CONTAINS(err.message, "another range");
    CHECK_FAILS(QN_ERR_ARG, qn_trial_float(trial, "n", &(qn_range){.low = 1, .high = 9}, &x, &err));
    CHECK_FAILS(QN_ERR_ARG, qn_trial_float(trial, "new", NULL, &x, &err));
    CHECK_CONTAINS(err.message, "low and high are needed");
    qn_study_close(study);
}

static void a_given_space_says_what_it_does_not_have(void **state)
{
    (void)state;
    qn_error err = {0};
    double x;
    int64_t k;
    qn_study *study = open_study(&(qn_study_request){
        .space =
            "{parameters: {a: {type: bool}, x: {type: float, low: 0, high: 1, when: {a: true}}}}"});
    CHECK_OK(qn_study_enqueue(study, "{\"a\": false}", &err));
    qn_trial *trial = ask(study);
    CHECK_FAILS(QN_ERR_ARG, qn_trial_float(trial, "x", NULL, &x, &err));
    CHECK_CONTAINS(err.message, "'x' is inactive in trial 0");
    CHECK_FAILS(QN_ERR_ARG, qn_trial_float(trial, "y", NULL, &x, &err));
    CHECK_CONTAINS(err.message, "there is no parameter 'y'");
    CHECK_FAILS(QN_ERR_ARG, qn_trial_int(trial, "a", NULL, &k, &err));
    CHECK_CONTAINS(err.message, "'a' is of type bool, not int");
    qn_study_close(study);
}

static void enqueued_trials_come_first(void **state)
{
    (void)state;
    qn_error err = {0};
    double x;
    int64_t k;
    qn_study *study = open_study(&(qn_study_request){.space = square});
    CHECK_OK(qn_study_enqueue(study, "{\"x\": 1.5, \"k\": 2}", &err));
    CHECK_OK(qn_study_enqueue(study, "{\"k\": 3}", &err));
    CHECK_FAILS(QN_ERR_DATA, qn_study_enqueue(study, "{\"k\": 4}", &err));
    CHECK_CONTAINS(err.message, "parameter 'k' is never '4'");
    CHECK_FAILS(QN_ERR_DATA, qn_study_enqueue(study, "{\"z\": 4}", &err));
    CHECK_FAILS(QN_ERR_DATA, qn_study_enqueue(study, "[1]", &err));
    CHECK_FAILS(QN_ERR_DATA, qn_study_enqueue(study, "{", &err));
    CHECK_OK(qn_trial_float(ask(study), "x", NULL, &x, &err));
    CHECK(x == 1.5);
    CHECK_OK(qn_trial_int(ask(study), "k", NULL, &k, &err));
    CHECK_INT(k, 3);
    CHECK_INT(qn_trial_number(ask(study)), 2);
    qn_study_close(study);
}

static void what_is_not_finite_fails_and_pruned_trials_keep_their_last_report(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){.space = square, .objectives = "maximize"});
    qn_trial *trial = ask(study);
    CHECK_OK(qn_trial_tell(trial, &(double){QN_NA}, 1, &err));
    CHECK_INT(qn_trial_get_record(trial)->state, QN_TRIAL_FAILED);
    trial = ask(study);
    CHECK_FAILS(QN_ERR_ARG, qn_trial_report(trial, 1, QN_NA, NULL, &err));
    CHECK_OK(qn_trial_report(trial, 3, 0.5, NULL, &err));
    CHECK_OK(qn_trial_report(trial, 1, 0.25, NULL, &err));
    CHECK_OK(qn_trial_report(trial, 3, 0.75, NULL, &err));
    CHECK_OK(qn_trial_prune(trial, &err));
    CHECK(qn_trial_get_record(trial)->losses[0] == -0.75);
    CHECK_INT(qn_trial_get_record(trial)->n_reports, 2);
    trial = ask(study);
    CHECK_OK(qn_trial_prune(trial, &err));
    CHECK_INT(qn_trial_get_record(trial)->state, QN_TRIAL_FAILED);
    trial = ask(study);
    CHECK_FAILS(QN_ERR_ARG, qn_trial_tell(trial, (double[]){1, 2}, 2, &err));
    CHECK_FAILS(QN_ERR_ARG, qn_trial_violate(trial, -1, &err));
    CHECK_OK(qn_trial_violate(trial, 2, &err));
    CHECK_OK(qn_trial_annotate(trial, "note", "{\"a\": [1]}", &err));
    CHECK_FAILS(QN_ERR_DATA, qn_trial_annotate(trial, "note", "{", &err));
    CHECK_OK(qn_trial_tell(trial, &(double){9}, 1, &err));
    CHECK(qn_history_best(qn_study_history(study)) == NULL); /* none is feasible */
    char *json = NULL;
    CHECK_OK(qn_study_best(study, &json, &err));
    CHECK(json == NULL);
    CHECK_OK(qn_trial_tell(ask(study), &(double){1}, 1, &err));
    CHECK(qn_history_best(qn_study_history(study))->losses[0] == -1);
    qn_study_close(study);
}

static void several_objectives_give_those_that_none_dominates(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(
        &(qn_study_request){.space = square, .objectives = "loss:minimize,gain:maximize"});
    static const double values[][2] = {{1, 1}, {2, 2}, {2, 1}, {3, 3}, {3, 2.5}};
    for (int i = 0; i < 5; i++) {
        CHECK_OK(qn_trial_tell(ask(study), values[i], 2, &err));
    }
    char *json = NULL;
    CHECK_OK(qn_study_best(study, &json, &err));
    CHECK_CONTAINS(json, "\"values\":{\"loss\":2,\"gain\":2}");
    CHECK_CONTAINS(json, "\"loss\":3,\"gain\":3");
    CHECK(!strstr(json, "2.5"));
    qn_tune_free(json);
    CHECK_FAILS(QN_ERR_ARG, qn_trial_report(ask(study), 1, 1, NULL, &err));
    qn_study_close(study);
}

static void constraints_that_leave_nothing_are_told(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_trial *trial;
    qn_study *study = open_study(&(qn_study_request){
        .space = "{parameters: {k: {type: int, low: 0, high: 3}}, constraints: [k > 5]}"});
    CHECK_FAILS(QN_ERR_ARG, qn_study_ask(study, &trial, &err));
    CHECK_CONTAINS(err.message, "the constraints allowed none");
    qn_study_close(study);
}

/* The four corners of what is asked: each curve is compared with those before it. */
static int64_t steps_until_pruned(qn_study *study, const double *curve, int64_t n)
{
    qn_error err = {0};
    qn_trial *trial = ask(study);
    for (int64_t step = 1; step <= n; step++) {
        bool prune;
        CHECK_OK(qn_trial_report(trial, step, curve[step - 1], &prune, &err));
        if (!prune) continue;
        CHECK_OK(qn_trial_prune(trial, &err));
        return step;
    }
    CHECK_OK(qn_trial_tell(trial, &curve[n - 1], 1, &err));
    return 0;
}

static void pruners_stop_the_curves_they_should(void **state)
{
    (void)state;
    static const double good[] = {9, 8, 7, 6, 5, 4, 3, 2, 1}, bad[] = {9, 9, 9, 9, 9, 9, 9, 9, 9};
    static const double late[] = {8.5, 7.5, 6.5, 6.5, 6.5, 6.5, 6.5, 6.5, 6.5};
    static const struct {
        const char *pruner;
        int64_t bad, late; /* the step at which each is stopped; 0: never */
    } cases[] = {
        {"median:startup=3", 2, 4},
        {"median:startup=3,warmup=4", 4, 4},
        {"median:startup=3,warmup=3,interval=3", 3, 6},
        /* the bad curve goes on, and then is one to compare with */
        {"median:startup=4", 0, 4},
        {"percentile:percentile=0,startup=3", 2, 4},
        {"threshold:upper=8.9", 1, 0},
        {"threshold:lower=8.9", 0, 1},
        {"patience:patience=3", 4, 6},
        {"asha:factor=3", 3, 9},
        {"wilcoxon:startup=5", 5, 8},
        {"curve", 4, 4},
        {"curve:startup=4", 0, 4},
        {"curve:warmup=7", 7, 7},
        {"curve:max_step=4", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_study *study = open_study(
            &(qn_study_request){.space = square, .sampler = "random", .pruner = cases[i].pruner});
        for (int k = 0; k < 3; k++) {
            const bool threshold = strncmp(cases[i].pruner, "threshold", 9) == 0;
            if (!threshold) CHECK_INT(steps_until_pruned(study, good, 9), 0);
        }
        CHECK_INT(steps_until_pruned(study, bad, 9), cases[i].bad);
        CHECK_INT(steps_until_pruned(study, late, 9), cases[i].late);
        qn_study_close(study);
    }
}

/* Hyperband spends about the same on each bracket: most trials begin in the most eager one. */
static void hyperband_prunes_within_brackets(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){
        .space = square, .sampler = "random", .pruner = "hyperband:max_step=9,factor=3"});
    int64_t stopped[10] = {0};
    for (int i = 0; i < 300; i++) {
        double x, curve[9];
        qn_trial *trial = ask(study);
        CHECK_OK(qn_trial_float(trial, "x", NULL, &x, &err));
        bool prune = false;
        int64_t step = 1;
        for (; step <= 9 && !prune; step++) {
            curve[step - 1] = x * x + 1 / (double)step;
            CHECK_OK(qn_trial_report(trial, step, curve[step - 1], &prune, &err));
        }
        stopped[prune ? step - 1 : 0]++;
        CHECK_OK(prune ? qn_trial_prune(trial, &err) : qn_trial_tell(trial, &curve[8], 1, &err));
    }
    CHECK_INT(stopped[1] + stopped[3] + stopped[9] + stopped[0], 300);
    CHECK(stopped[1] > 80 && stopped[3] > 20 && stopped[0] > 20);
    qn_study_close(study);
}

/* Trials that go from look to look are stopped as those that report every step. */
static void trials_may_go_straight_to_the_next_look(void **state)
{
    (void)state;
    qn_error err = {0};
    const char *pruners[] = {"asha:factor=3", "hyperband:max_step=9,factor=3", "median"};
    for (int p = 0; p < 3; p++) {
        qn_study *study = open_study(
            &(qn_study_request){.space = square, .sampler = "random", .pruner = pruners[p]});
        int64_t firsts[10] = {0};
        for (int i = 0; i < 100; i++) {
            double x;
            bool prune = false;
            qn_trial *trial = ask(study);
            CHECK_OK(qn_trial_float(trial, "x", NULL, &x, &err));
            firsts[qn_trial_next_look(trial)]++;
            int64_t step = 1;
            for (; step <= 9 && !prune; step++) {
                const bool is_look = step >= qn_trial_next_look(trial);
                if (!is_look && i % 2 == 1) continue;
                CHECK_OK(qn_trial_report(trial, step, x * x + 1 / (double)step, &prune, &err));
                CHECK(is_look || !prune);
            }
            CHECK_OK(prune ? qn_trial_prune(trial, &err) : qn_trial_tell(trial, &x, 1, &err));
        }
        CHECK_INT(firsts[0], p == 2 ? 100 : 0);
        CHECK_INT(firsts[1] + firsts[3] + firsts[9], p == 2 ? 0 : 100);
        CHECK(p != 0 || firsts[1] == 100);
        CHECK(p != 1 || (firsts[1] > 30 && firsts[3] > 10 && firsts[9] > 5));
        qn_study_close(study);
    }
}

/* A late trial is no rival at a rung that it left out. */
static void rungs_left_out_do_not_count(void **state)
{
    (void)state;
    qn_error err = {0};
    bool prune = true;
    qn_study *study = open_study(
        &(qn_study_request){.space = square, .sampler = "random", .pruner = "asha:factor=3"});
    qn_trial *straight = ask(study), *early = ask(study), *late = ask(study);
    CHECK_OK(qn_trial_report(straight, 9, 0, &prune, &err));
    CHECK_OK(qn_trial_report(early, 1, 5, &prune, &err));
    CHECK(!prune);
    CHECK_INT(qn_trial_next_look(early), 3);
    CHECK_OK(qn_trial_report(late, 10, 5, &prune, &err));
    CHECK(prune);
    CHECK_INT(qn_trial_next_look(late), 27);
    qn_study_close(study);
}

struct seen {
    int n, last;
    char states[64];
};

static void see_end(void *context, qn_study *study, qn_trial *trial)
{
    struct seen *seen = context;
    qn_error err = {0};
    char *json;
    CHECK_OK(qn_trial_describe(trial, &json, &err));
    seen->states[seen->n++] = strstr(json, "\"state\":\"complete\"") ? 'c'
                              : strstr(json, "\"state\":\"pruned\"") ? 'p'
                                                                     : 'f';
    qn_tune_free(json);
    if (qn_trial_number(trial) == 3) CHECK_OK(qn_study_enqueue(study, "{\"k\": 2}", &err));
    if (seen->n == seen->last) qn_study_stop(study);
}

static void the_end_of_each_trial_is_told_and_may_stop_the_study(void **state)
{
    (void)state;
    qn_error err = {0};
    struct seen seen = {.last = 8};
    int n = 0;
    qn_study *study =
        open_study(&(qn_study_request){.space = square, .ended = see_end, .ended_context = &seen});
    qn_trial *trial, *running = ask(study);
    for (;; n++) {
        CHECK_OK(qn_study_ask(study, &trial, &err));
        if (!trial) break;
        CHECK(!qn_study_is_stopped(study));
        if (n == 3) CHECK(qn_trial_get_record(trial)->values[1] == 2); /* enqueued by the call */
        CHECK_OK(qn_trial_report(trial, 1, 1, NULL, &err));
        CHECK_OK(n == 5   ? qn_trial_prune(trial, &err)
                 : n == 6 ? qn_trial_fail(trial, &err)
                          : qn_trial_tell(trial, &(double){n}, 1, &err));
        CHECK_FAILS(QN_ERR_ARG, qn_trial_tell(trial, &(double){n}, 1, &err));
    }
    CHECK_INT(n, 8);
    CHECK_TEXT(seen.states, "cccccpfc");
    CHECK(qn_study_is_stopped(study));
    CHECK_OK(qn_trial_tell(running, &(double){1}, 1, &err)); /* what runs may end */
    CHECK_INT(seen.n, 9);
    qn_study_close(study);
}

static qn_status whole_study(qn_error *err)
{
    qn_study *study = NULL;
    qn_status status = qn_study_open(
        &(qn_study_request){.space = square, .sampler = "tpe:startup=2", .pruner = "median"},
        &study, err);
    if (status == QN_OK) status = qn_study_enqueue(study, "{\"k\": 1}", err);
    for (int i = 0; status == QN_OK && i < 5; i++) {
        qn_trial *trial = NULL;
        bool prune;
        status = qn_study_ask(study, &trial, err);
        if (status == QN_OK) status = qn_trial_annotate(trial, "a", "1", err);
        if (status == QN_OK) status = qn_trial_report(trial, 1, i, &prune, err);
        if (status == QN_OK) status = qn_trial_tell(trial, &(double){i}, 1, err);
    }
    char *json = NULL;
    if (status == QN_OK) status = qn_study_best(study, &json, err);
    qn_tune_free(json);
    qn_study_close(study);
    return status;
}

static void a_study_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(whole_study(NULL));
}

RUN_TESTS(TEST(a_study_asks_and_tells_until_the_best_is_known),
          TEST(requests_that_make_no_sense_are_refused), TEST(define_by_run_finds_its_space),
          TEST(a_given_space_says_what_it_does_not_have), TEST(enqueued_trials_come_first),
          TEST(what_is_not_finite_fails_and_pruned_trials_keep_their_last_report),
          TEST(several_objectives_give_those_that_none_dominates),
          TEST(constraints_that_leave_nothing_are_told), TEST(pruners_stop_the_curves_they_should),
          TEST(hyperband_prunes_within_brackets), TEST(trials_may_go_straight_to_the_next_look),
          TEST(rungs_left_out_do_not_count),
          TEST(the_end_of_each_trial_is_told_and_may_stop_the_study),
          TEST(a_study_survives_running_out_of_memory))
