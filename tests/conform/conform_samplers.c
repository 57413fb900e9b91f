/* SPDX-License-Identifier: Apache-2.0 */
/* What every sampler must do, on every kind of space: only configurations of the space, the same
 * ones for the same seed, also when the study is interrupted and its trials told again in order,
 * several at a time, failures among them, and without memory. */
#include "base/alloc.h"
#include "search/study/study.h"

#include "check.h"

static const struct {
    const char *name, *space;
} spaces[] = {
    {"numbers", "{parameters: {x: {type: float, low: -1, high: 2},"
                " y: {type: float, low: 1.0e-6, high: 10, log: true},"
                " n: {type: int, low: -3, high: 40, low_cost: -3}, m: {type: int, low: 1, high: "
                "900, log: true},"
                " s: {type: float, low: 0, high: 1, step: 0.1},"
                " t: {type: int, low: 3, high: 90, step: 9}}}"},
    {"choices", "{parameters: {c: {type: categorical, choices: [a, b, c, d]}, b: {type: bool},"
                " o: {type: ordinal, choices: [s, m, l]}, f: {type: fixed, value: 3}}}"},
    {"mixed", "{parameters: {x: {type: float, low: 0, high: 1}, n: {type: int, low: 1, high: 6},"
              " c: {type: categorical, choices: [a, b, c]}}}"},
    {"one number", "{parameters: {x: {type: float, low: 0, high: 1}}}"},
    {"one value",
     "{parameters: {x: {type: float, low: 2, high: 2}, n: {type: int, low: 5, high: 5},"
     " c: {type: categorical, choices: [only]}}}"},
    {"conditional", "{parameters: {k: {type: categorical, choices: [a, b, c]},"
                    " x: {type: float, low: 0, high: 1, when: {k: a}},"
                    " n: {type: int, low: 1, high: 3, when: {k: [b, c]}},"
                    " deep: {type: bool, when: {n: [2, 3]}},"
                    " y: {type: float, low: 0.1, high: 9, log: true, when: {deep: true, k: c}}}}"},
    {"constrained",
     "{parameters: {a: {type: int, low: 0, high: 20}, b: {type: int, low: 0, high: 20},"
     " x: {type: float, low: 0, high: 1}}, constraints: [a + b <= 12, a >= b]}"},
};
enum { N_SPACES = sizeof spaces / sizeof *spaces, N_TRIALS = 60 };

/* A smooth value with a minimum inside, and a different one for a second objective. */
static void evaluate(const qn_space *space, const qn_trial_record *trial, double *values)
{
    values[0] = values[1] = 0;
    for (int64_t at = 0; at < space->n; at++) {
        const double value = qn_trial_value(trial, at);
        if (isnan(value)) continue;
        const double unit = qn_parameter_to_unit(&space->parameters[at], value);
        values[0] += (unit - 0.3) * (unit - 0.3);
        values[1] += fabs(unit - 0.7);
    }
}

static bool fails(int64_t number)
{
    return number % 9 == 4;
}

static void end(qn_study *study, qn_trial *trial)
{
    qn_error err = {0};
    double values[2];
    const int64_t number = qn_trial_number(trial);
    evaluate(qn_study_space(study), qn_trial_get_record(trial), values);
    if (fails(number)) {
        CHECK_OK(qn_trial_fail(trial, &err));
    } else if (number % 9 == 7 && qn_study_objectives(study)->n == 1) {
        CHECK_OK(qn_trial_report(trial, 1, values[0] + 1, NULL, &err));
        CHECK_OK(qn_trial_prune(trial, &err));
    } else {
        CHECK_OK(qn_trial_tell(trial, values, qn_study_objectives(study)->n, &err));
    }
}

/* The study, or NULL when the sampler says that the space is none for it. */
static qn_study *open_study(const qn_sampler *sampler, const char *space, int64_t n_objectives,
                            int64_t seed)
{
    qn_error err = {0};
    qn_study *study;
    const qn_study_request request = {.space = space,
                                      .sampler = sampler->name,
                                      .objectives =
                                          n_objectives > 1 ? "a:minimize,b:maximize" : NULL,
                                      .seed = seed};
    const qn_status status = qn_study_open(&request, &study, &err);
    if (status == QN_OK) return study;
    CHECK_INT(status, QN_ERR_ARG);
    CHECK(*err.message);
    return NULL;
}

/* Runs trials, `batch` at a time; `hashes` gets what was proposed. Returns how many there were. */
static int64_t run(qn_study *study, int64_t n_trials, int64_t batch, uint64_t *hashes)
{
    qn_error err = {0};
    qn_trial *trials[8];
    int64_t n = 0, n_running = 0;
    for (bool more = true; more || n_running > 0;) {
        qn_trial *trial = NULL;
        while (more && n_running < batch) {
            CHECK_OK(qn_study_ask(study, &trial, &err));
            more = trial && n + 1 < n_trials;
            if (!trial) break;
            const double *values = qn_trial_get_record(trial)->values;
            if (!qn_space_allows(qn_study_space(study), values)) {
                fail_msg("trial %d is none of the space", (int)n);
            }
            hashes[n++] = qn_space_hash(qn_study_space(study), values);
            trials[n_running++] = trial;
        }
        if (n_running == 0) break;
        end(study, trials[0]);
        memmove(trials, trials + 1, (size_t)--n_running * sizeof *trials);
    }
    return n;
}

static void for_each(void (*check)(const qn_sampler *sampler, const char *space,
                                   int64_t n_objectives))
{
    for (int i = 0; qn_samplers[i]; i++) {
        for (int s = 0; s < N_SPACES; s++) {
            check(qn_samplers[i], spaces[s].space, 1);
            if (qn_samplers[i]->capabilities & QN_SAMPLER_OBJECTIVES) {
                check(qn_samplers[i], spaces[s].space, 2);
            }
        }
    }
}

static void check_repeats(const qn_sampler *sampler, const char *space, int64_t n_objectives)
{
    for (int64_t batch = 1; batch <= 3; batch += 2) {
        uint64_t first[N_TRIALS], second[N_TRIALS];
        qn_study *study = open_study(sampler, space, n_objectives, 7);
        if (!study) return;
        const int64_t n = run(study, N_TRIALS, batch, first);
        qn_study_close(study);
        study = open_study(sampler, space, n_objectives, 7);
        CHECK_INT(run(study, N_TRIALS, batch, second), n);
        qn_study_close(study);
        if (memcmp(first, second, (size_t)n * sizeof *first) != 0) {
            fail_msg("%s: not the same twice on %s", sampler->name, space);
        }
    }
}

static void the_same_seed_gives_the_same_valid_trials(void **state)
{
    (void)state;
    for_each(check_repeats);
}

/* A history written by one study and told to the sampler of another, trial by trial, leads to the
 * same next proposal: the promise that resuming rests on. */
static void check_resumes(const qn_sampler *sampler, const char *space, int64_t n_objectives)
{
    uint64_t whole[N_TRIALS], resumed[N_TRIALS];
    qn_error err = {0};
    qn_study *study = open_study(sampler, space, n_objectives, 5);
    if (!study) return;
    const int64_t n = run(study, N_TRIALS, 1, whole);
    qn_study *second = open_study(sampler, space, n_objectives, 5);
    qn_stored_trial stored[N_TRIALS];
    for (int64_t k = 0; k < n / 2; k++) {
        stored[k] = (qn_stored_trial){.record = *qn_trial_get_record(qn_study_trial(study, k))};
    }
    CHECK_OK(qn_study_restore(second, stored, n / 2, &err));
    const int64_t rest = run(second, n - n / 2, 1, resumed);
    CHECK_INT(rest, n - n / 2);
    if (memcmp(whole + n / 2, resumed, (size_t)rest * sizeof *whole) != 0) {
        fail_msg("%s: goes on differently after a resume on %s", sampler->name, space);
    }
    qn_study_close(study);
    qn_study_close(second);
}

static void a_resumed_study_goes_on_as_it_would_have(void **state)
{
    (void)state;
    for_each(check_resumes);
}

static qn_status short_study(const qn_sampler *sampler, const char *space)
{
    qn_error err = {0};
    qn_study *study;
    qn_status status =
        qn_study_open(&(qn_study_request){.space = space, .sampler = sampler->name, .n_trials = 30},
                      &study, &err);
    for (int i = 0; status == QN_OK && i < 30; i++) {
        qn_trial *trial;
        double values[2];
        status = qn_study_ask(study, &trial, &err);
        if (status != QN_OK || !trial) break;
        evaluate(qn_study_space(study), qn_trial_get_record(trial), values);
        status = qn_trial_tell(trial, values, 1, &err);
    }
    qn_study_close(study);
    return status;
}

static void running_out_of_memory_is_told(void **state)
{
    (void)state;
    for (int i = 0; qn_samplers[i]; i++) {
        const char *space = spaces[2].space;
        qn_study *study = open_study(qn_samplers[i], space, 1, 1);
        if (!study) space = spaces[1].space; /* finite */
        qn_study_close(study);
        CHECK_SURVIVES_NO_MEMORY_RELEASING(short_study(qn_samplers[i], space), (void)0);
    }
}

RUN_TESTS(TEST(the_same_seed_gives_the_same_valid_trials),
          TEST(a_resumed_study_goes_on_as_it_would_have), TEST(running_out_of_memory_is_told))
