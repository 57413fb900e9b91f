/* SPDX-License-Identifier: Apache-2.0 */
/* The pipe: each request has one answer, and what makes no sense harms nothing. */
#include "search/tuner/pipe.h"

#include "check.h"

static const char space[] = "{parameters: {x: {type: float, low: 0, high: 1}}}";

static qn_study *open_study(const char *objectives)
{
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(
        &(qn_study_request){.space = space, .objectives = objectives, .sampler = "random"}, &study,
        &err));
    return study;
}

static void check_answer(qn_study *study, const char *request, const char *expected)
{
    qn_error err = {0};
    qn_str answer = {0};
    CHECK_OK(qn_pipe_answer(study, request, strlen(request), &answer, &err));
    CHECK_CONTAINS(answer.text, expected);
    qn_json *parsed;
    CHECK_OK(qn_json_parse(answer.text, answer.bytes, "answer", &parsed, &err));
    qn_json_free(parsed);
    qn_str_release(&answer);
}

static void a_study_is_led_through_requests(void **state)
{
    (void)state;
    qn_study *study = open_study(NULL);
    check_answer(study, "{\"op\": \"best\"}", "{\"best\":null}");
    check_answer(study, "{\"op\": \"enqueue\", \"params\": {\"x\": 0.5}}", "{\"ok\":true}");
    check_answer(study, "{\"op\": \"ask\", \"id\": [1]}",
                 "{\"id\":[1],\"trial\":0,\"params\":{\"x\":0.5}}");
    check_answer(study, "{\"op\":\"report\",\"trial\":0,\"step\":1,\"value\":3}",
                 "{\"prune\":false}");
    check_answer(study, "{\"op\":\"annotate\",\"trial\":0,\"name\":\"n\",\"value\":{\"a\":1}}",
                 "{\"ok\":true}");
    check_answer(study, "{\"op\":\"retry\",\"trial\":0}", "{\"ok\":true}");
    check_answer(study, "{\"op\": \"ask\"}", "\"trial\":0");
    check_answer(study, "{\"op\":\"tell\",\"trial\":0,\"value\":0.25,\"violation\":0}",
                 "{\"ok\":true}");
    check_answer(study, "{\"op\":\"best\"}", "{\"best\":{\"number\":0,");
    check_answer(study, "{\"op\":\"ask\"}", "\"trial\":1");
    check_answer(study, "{\"op\":\"tell\",\"trial\":1,\"value\":null}", "{\"ok\":true}");
    CHECK_INT(qn_study_history(study)->trials[1]->state, QN_TRIAL_FAILED);
    check_answer(study, "{\"op\":\"ask\"}", "\"trial\":2");
    check_answer(study, "{\"op\":\"report\",\"trial\":2,\"step\":1,\"value\":3}", "prune");
    check_answer(study, "{\"op\":\"prune\",\"trial\":2}", "{\"ok\":true}");
    CHECK_INT(qn_study_history(study)->trials[2]->state, QN_TRIAL_PRUNED);
    qn_study_close(study);
}

static void the_next_look_is_told(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(
        &(qn_study_request){.space = space, .sampler = "random", .pruner = "asha:min_step=2"},
        &study, &err));
    check_answer(study, "{\"op\":\"enqueue\",\"params\":{\"x\":0.5}}", "{\"ok\":true}");
    check_answer(study, "{\"op\":\"ask\"}", "{\"trial\":0,\"params\":{\"x\":0.5},\"next_look\":2}");
    check_answer(study, "{\"op\":\"report\",\"trial\":0,\"step\":2,\"value\":3}",
                 "{\"prune\":false,\"next_look\":6}");
    check_answer(study, "{\"op\":\"ask\"}", "\"next_look\":2}");
    check_answer(study, "{\"op\":\"report\",\"trial\":1,\"step\":2,\"value\":4}",
                 "{\"prune\":true}");
    qn_study_close(study);
}

static void objectives_are_told_by_name(void **state)
{
    (void)state;
    qn_study *study = open_study("loss:minimize,size:maximize");
    check_answer(study, "{\"op\":\"ask\"}", "\"trial\":0");
    check_answer(study, "{\"op\":\"tell\",\"trial\":0,\"values\":{\"loss\":1}}",
                 "{\"error\":\"\\\"size\\\": expected a number\"}");
    check_answer(study, "{\"op\":\"tell\",\"trial\":0,\"values\":{\"size\":2,\"loss\":1}}",
                 "{\"ok\":true}");
    const qn_trial_record *record = qn_study_history(study)->trials[0];
    CHECK(record->losses[0] == 1 && record->losses[1] == -2);
    qn_study_close(study);
}

static void what_makes_no_sense_is_answered(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "\"error\""},
        {"{", "\"error\""},
        {"[]", "\\\"op\\\": expected ask"},
        {"3", "\"error\""},
        {"{\"op\":\"ask\"} {", "\"error\""},
        {"{\"op\":\"ask\",\"op\":\"ask\"}", "\"error\""},
        {"{\"op\":7}", "expected ask"},
        {"{\"op\":\"ASK\",\"id\":\"x\"}", "{\"id\":\"x\",\"error\":"},
        {"{\"op\":\"tell\"}", "\\\"trial\\\": expected the number of a trial"},
        {"{\"op\":\"tell\",\"trial\":1}", "expected the number of a trial"},
        {"{\"op\":\"tell\",\"trial\":-1}", "expected the number of a trial"},
        {"{\"op\":\"tell\",\"trial\":1e300}", "expected the number of a trial"},
        {"{\"op\":\"tell\",\"trial\":\"0\"}", "expected the number of a trial"},
        {"{\"op\":\"tell\",\"trial\":0}", "\\\"value\\\": expected a number"},
        {"{\"op\":\"tell\",\"trial\":0,\"value\":\"1\"}", "expected a number"},
        {"{\"op\":\"tell\",\"trial\":0,\"value\":NaN}", "\"error\""},
        {"{\"op\":\"tell\",\"trial\":0,\"value\":1,\"violation\":-1}", "violation"},
        {"{\"op\":\"report\",\"trial\":0,\"step\":0.5,\"value\":1}", "expected a whole number"},
        {"{\"op\":\"report\",\"trial\":0,\"value\":1}", "expected a whole number"},
        {"{\"op\":\"report\",\"trial\":0,\"step\":1,\"value\":null}", "not a number"},
        {"{\"op\":\"annotate\",\"trial\":0,\"value\":1}", "\\\"name\\\": expected a text"},
        {"{\"op\":\"annotate\",\"trial\":0,\"name\":\"n\"}", "\\\"value\\\" is missing"},
        {"{\"op\":\"enqueue\"}", "\\\"params\\\" is missing"},
        {"{\"op\":\"enqueue\",\"params\":{\"y\":1}}", "there is no parameter 'y'"},
        {"{\"op\":\"enqueue\",\"params\":3}", "expected an object"},
    };
    qn_study *study = open_study(NULL);
    check_answer(study, "{\"op\":\"ask\"}", "\"trial\":0");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_answer(study, cases[i][0], cases[i][1]);
    }
    CHECK_INT(qn_study_history(study)->n_trials, 1);
    check_answer(study, "{\"op\":\"tell\",\"trial\":0,\"value\":1}", "{\"ok\":true}");
    check_answer(study, "{\"op\":\"tell\",\"trial\":0,\"value\":1}", "is not running but complete");
    qn_study_close(study);
}

static qn_status short_talk(qn_error *err)
{
    static const char *const requests[] = {
        "{\"op\":\"ask\",\"id\":3}",
        "{\"op\":\"annotate\",\"trial\":0,\"name\":\"n\",\"value\":[1]}",
        "{\"op\":\"tell\",\"trial\":0,\"value\":1}", "{\"op\":\"best\"}", "{"};
    qn_study *study = NULL;
    qn_str answer = {0};
    qn_status status =
        qn_study_open(&(qn_study_request){.space = space, .sampler = "random"}, &study, err);
    for (size_t i = 0; status == QN_OK && i < sizeof requests / sizeof *requests; i++) {
        qn_str_clear(&answer);
        status = qn_pipe_answer(study, requests[i], strlen(requests[i]), &answer, err);
    }
    qn_str_release(&answer);
    qn_study_close(study);
    return status;
}

static void a_pipe_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(short_talk(NULL));
}

RUN_TESTS(TEST(a_study_is_led_through_requests), TEST(the_next_look_is_told),
          TEST(objectives_are_told_by_name), TEST(what_makes_no_sense_is_answered),
          TEST(a_pipe_survives_running_out_of_memory))
