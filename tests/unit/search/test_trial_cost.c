/* SPDX-License-Identifier: Apache-2.0 */
/* What trials cost, and when the limit of it is reached. */
#include "search/tuner/trial_cost.h"

#include "check.h"

static const char space[] = "{parameters: {x: {type: float, low: 0, high: 1}}}";

static qn_study *open_study(void)
{
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(&(qn_study_request){.space = space}, &study, &err));
    return study;
}

static qn_trial *ask(qn_study *study)
{
    qn_error err = {0};
    qn_trial *trial = NULL;
    CHECK_OK(qn_study_ask(study, &trial, &err));
    return trial;
}

static void tell(qn_trial *trial, const char *cost)
{
    qn_error err = {0};
    CHECK_OK(qn_trial_annotate(trial, "cost", cost, &err));
    CHECK_OK(qn_trial_tell(trial, &(double){1}, 1, &err));
}

static void what_says_no_cost_costs_its_seconds(void **state)
{
    (void)state;
    qn_trial_attribute cost = {"cost", "2.5", NULL}, note = {"note", "7", NULL};
    qn_trial_record trial = {.begun_s = 10, .ended_s = 14};
    CHECK_NEAR(qn_trial_cost(&trial), 4, 0);
    trial.attributes = &note;
    CHECK_NEAR(qn_trial_cost(&trial), 4, 0);
    note.next = &cost;
    CHECK_NEAR(qn_trial_cost(&trial), 2.5, 0);
    cost.json = "\"much\"";
    CHECK_NEAR(qn_trial_cost(&trial), 4, 0);
    trial.ended_s = 9; /* a clock that was set back */
    CHECK_NEAR(qn_trial_cost(&trial), 0, 0);
}

static void the_limit_is_reached_by_what_has_ended(void **state)
{
    (void)state;
    qn_study *study = open_study();
    qn_cost_limit limit = {.max = 10}, none = {0};
    qn_trial *first = ask(study), *second = ask(study), *third = ask(study);
    CHECK(!qn_cost_limit_is_reached(&limit, study, 0));
    tell(second, "6");
    CHECK(!qn_cost_limit_is_reached(&limit, study, 0));
    tell(first, "3.5");
    CHECK(!qn_cost_limit_is_reached(&limit, study, 0));
    CHECK_INT(limit.first_open, 2);
    tell(third, "0.5");
    CHECK(qn_cost_limit_is_reached(&limit, study, 0));
    CHECK(qn_cost_limit_is_reached(&limit, study, 0));
    CHECK(!qn_cost_limit_is_reached(&none, study, 0));
    CHECK_NEAR(qn_study_cost(study), 10, 0);
    qn_study_close(study);
}

/* Whichever trial of a batch ends first: the next batch is begun or not by those before. */
static void batches_count_when_they_are_whole(void **state)
{
    (void)state;
    qn_study *study = open_study();
    qn_cost_limit limit = {.max = 10};
    qn_trial *trials[4];
    for (int i = 0; i < 4; i++) {
        trials[i] = ask(study);
    }
    tell(trials[0], "20");
    CHECK(!qn_cost_limit_is_reached(&limit, study, 2));
    tell(trials[2], "20");
    CHECK(!qn_cost_limit_is_reached(&limit, study, 2));
    tell(trials[1], "20");
    CHECK(qn_cost_limit_is_reached(&limit, study, 2));
    CHECK_NEAR(limit.before, 40, 0);
    qn_study_close(study);
}

RUN_TESTS(TEST(what_says_no_cost_costs_its_seconds), TEST(the_limit_is_reached_by_what_has_ended),
          TEST(batches_count_when_they_are_whole))
