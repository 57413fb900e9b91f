/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: what is asked for together, in which order it is told, and what a pruner sees. */
#include "search/samplers/batch.h"

#include "check.h"

static const char space[] = "{parameters: {x: {type: float, low: -5, high: 5}}}";

static qn_study *open_study(const char *pruner)
{
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(
        &(qn_study_request){.space = space, .sampler = "tpe:startup=2", .pruner = pruner}, &study,
        &err));
    return study;
}

static qn_trial *next(qn_batch *batch)
{
    qn_error err = {0};
    qn_trial *trial;
    CHECK_OK(qn_batch_next(batch, &trial, &err));
    return trial;
}

static void keep(qn_batch *batch, qn_trial *trial, qn_outcome_kind kind)
{
    qn_error err = {0};
    const qn_outcome outcome = {.kind = kind, .values = {(double)qn_trial_number(trial)}};
    CHECK_OK(qn_batch_keep(batch, trial, &outcome, &err));
}

/* Tells what has its turn; the numbers, as digits. */
static const char *tell(qn_batch *batch)
{
    static char numbers[16];
    qn_error err = {0};
    qn_outcome outcome;
    qn_trial *trial;
    int n = 0;
    while ((trial = qn_batch_take(batch, &outcome)) != NULL) {
        numbers[n++] = (char)('0' + qn_trial_number(trial));
        if (outcome.kind == QN_OUTCOME_TAKEN) continue;
        if (outcome.kind == QN_OUTCOME_RESULT) CHECK(outcome.values[0] == qn_trial_number(trial));
        CHECK_OK(outcome.kind == QN_OUTCOME_FAILED ? qn_trial_retry(trial, &err)
                                                   : qn_trial_tell(trial, outcome.values, 1, &err));
    }
    numbers[n] = '\0';
    return numbers;
}

static void results_are_told_in_the_order_of_numbers(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(NULL);
    qn_batch batch;
    qn_trial *trials[6];
    CHECK_OK(qn_batch_init(&batch, study, 4, 6, &err));
    for (int i = 0; i < 4; i++) {
        trials[i] = next(&batch);
        CHECK_INT(qn_trial_number(trials[i]), i);
        CHECK_INT(qn_study_history(study)->n_trials, 4); /* all at once */
    }
    CHECK(next(&batch) == NULL);
    keep(&batch, trials[3], QN_OUTCOME_RESULT);
    CHECK_TEXT(tell(&batch), "");
    keep(&batch, trials[0], QN_OUTCOME_RESULT);
    CHECK_TEXT(tell(&batch), "0");
    keep(&batch, trials[1], QN_OUTCOME_FAILED); /* to be tried again */
    keep(&batch, trials[2], QN_OUTCOME_RESULT);
    CHECK_TEXT(tell(&batch), "1");
    CHECK(next(&batch) == trials[1]);
    CHECK(next(&batch) == NULL);
    keep(&batch, trials[1], QN_OUTCOME_RESULT);
    CHECK_TEXT(tell(&batch), "123");
    CHECK_INT(qn_trial_number(next(&batch)), 4); /* the last batch is shorter */
    trials[5] = next(&batch);
    CHECK_INT(qn_trial_number(trials[5]), 5);
    CHECK(next(&batch) == NULL);
    keep(&batch, trials[5], QN_OUTCOME_TAKEN); /* another's: it waits for nothing */
    CHECK_TEXT(tell(&batch), "5");
    qn_batch_release(&batch);
    qn_study_close(study);
}

static void without_a_size_results_are_told_at_once(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(NULL);
    qn_batch batch;
    CHECK_OK(qn_batch_init(&batch, study, 0, 3, &err));
    qn_trial *first = next(&batch), *second = next(&batch);
    CHECK_INT(qn_study_history(study)->n_trials, 2);
    keep(&batch, second, QN_OUTCOME_RESULT);
    CHECK_TEXT(tell(&batch), "1");
    keep(&batch, first, QN_OUTCOME_RESULT);
    CHECK_TEXT(tell(&batch), "0");
    CHECK_INT(qn_trial_number(next(&batch)), 2);
    CHECK(next(&batch) == NULL);
    qn_batch_release(&batch);
    qn_study_close(study);
}

/* Of its own batch a trial is judged by itself alone, whatever the others have reported or told. */
static void a_pruner_sees_earlier_batches(void **state)
{
    (void)state;
    qn_error err = {0};
    bool prune;
    qn_study *study = open_study("asha:factor=2");
    qn_batch batch;
    CHECK_OK(qn_batch_init(&batch, study, 3, 6, &err));
    qn_trial *trials[3];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            trials[i] = next(&batch);
        }
        /* From the best to the worst: in the first batch nothing is compared. */
        for (int i = 0; i < 3; i++) {
            CHECK_OK(qn_trial_report(trials[i], 1, i, &prune, &err));
            CHECK(prune == (round == 1 && i == 2)); /* two of four go on */
            keep(&batch, trials[i], QN_OUTCOME_RESULT);
            CHECK(strlen(tell(&batch)) == 1);
        }
    }
    CHECK_INT(qn_study_history(study)->n_told, 6);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(qn_study_history(study)->trials[i]->number, i);
    }
    qn_batch_release(&batch);
    qn_study_close(study);
}

static qn_status short_batch(int64_t size)
{
    qn_study *study = NULL;
    qn_batch batch = {0};
    qn_status status =
        qn_study_open(&(qn_study_request){.space = space, .sampler = "random"}, &study, NULL);
    if (status == QN_OK) status = qn_batch_init(&batch, study, size, 0, NULL);
    for (int i = 0; status == QN_OK && i < 3; i++) {
        qn_trial *trial;
        qn_outcome outcome = {.kind = QN_OUTCOME_RESULT};
        status = qn_batch_next(&batch, &trial, NULL);
        if (status == QN_OK) status = qn_batch_keep(&batch, trial, &outcome, NULL);
        if (status != QN_OK) break;
        trial = qn_batch_take(&batch, &outcome);
        CHECK(trial != NULL);
        status = qn_trial_tell(trial, outcome.values, 1, NULL);
    }
    qn_batch_release(&batch);
    qn_study_close(study);
    return status;
}

static void a_batch_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(short_batch(0));
    CHECK_SURVIVES_NO_MEMORY(short_batch(2));
}

RUN_TESTS(TEST(results_are_told_in_the_order_of_numbers),
          TEST(without_a_size_results_are_told_at_once), TEST(a_pruner_sees_earlier_batches),
          TEST(a_batch_survives_running_out_of_memory))
