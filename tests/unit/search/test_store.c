/* SPDX-License-Identifier: Apache-2.0 */
/* Studies that survive: what was told is there again, what was running waits, and who is at work on
 * a study is alone. */
#include "search/study.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-store-XXXXXX", url[96], path[64];

static const char space[] = "{parameters: {x: {type: float, low: -5, high: 5},"
                            " c: {type: categorical, choices: [a, b]},"
                            " y: {type: int, low: 1, high: 9, when: {c: b}}}}";

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/s.db", folder);
    snprintf(url, sizeof url, "sqlite:%s", path);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    static const char *const endings[] = {"", "-lock", "-wal", "-shm"};
    for (int i = 0; i < 4; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
    }
    return 0;
}

static int remove_folder(void **state)
{
    remove_file(state);
    return rmdir(folder);
}

static qn_study *open_store(const qn_study_request *request)
{
    qn_error err = {0};
    qn_study *study = NULL;
    qn_study_request own = *request;
    own.store = url;
    CHECK_OK(qn_study_open(&own, &study, &err));
    return study;
}

static double evaluate(const qn_study *study, const qn_trial *trial)
{
    const double *values = qn_trial_get_record(trial)->values;
    (void)study;
    return values[0] * values[0] + values[1] + (isnan(values[2]) ? 0 : fabs(values[2] - 3));
}

static void run(qn_study *study, int n, double *xs)
{
    qn_error err = {0};
    for (int i = 0; i < n; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        xs[i] = qn_trial_get_record(trial)->values[0];
        const double value = evaluate(study, trial);
        CHECK_OK(qn_trial_report(trial, 1, value + 1, NULL, &err));
        CHECK_OK(qn_trial_annotate(trial, "note", "{\"a\":[1,\"x\"]}", &err));
        CHECK_OK(i % 7 == 3   ? qn_trial_fail(trial, &err)
                 : i % 7 == 5 ? qn_trial_prune(trial, &err)
                              : qn_trial_tell(trial, &value, 1, &err));
    }
}

static void a_study_taken_up_again_goes_on_as_it_would_have(void **state)
{
    (void)state;
    qn_error err = {0};
    double whole[60], parts[60];
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(
        &(qn_study_request){.space = space, .sampler = "tpe", .seed = 3, .pruner = "median"},
        &study, &err));
    run(study, 60, whole);
    for (int begin = 0; begin < 60; begin += 20) {
        /* Only the first one says how. */
        qn_study *part = open_store(begin == 0 ? &(qn_study_request){.space = space,
                                                                     .sampler = "tpe",
                                                                     .seed = 3,
                                                                     .pruner = "median"}
                                               : &(qn_study_request){0});
        CHECK_INT(qn_study_history(part)->n_trials, begin);
        for (int i = begin; i < begin + 20; i++) {
            qn_trial *trial;
            CHECK_OK(qn_study_ask(part, &trial, &err));
            parts[i] = qn_trial_get_record(trial)->values[0];
            const double value = evaluate(part, trial);
            CHECK_OK(qn_trial_report(trial, 1, value + 1, NULL, &err));
            CHECK_OK(qn_trial_annotate(trial, "note", "{\"a\":[1,\"x\"]}", &err));
            CHECK_OK(i % 7 == 3   ? qn_trial_fail(trial, &err)
                     : i % 7 == 5 ? qn_trial_prune(trial, &err)
                                  : qn_trial_tell(trial, &value, 1, &err));
        }
        qn_study_close(part);
    }
    assert_memory_equal(whole, parts, sizeof whole);
    qn_study *again = open_store(&(qn_study_request){.read_only = true});
    for (int64_t i = 0; i < 60; i++) {
        qn_str a = {0}, b = {0};
        const qn_history *first = qn_study_history(study), *second = qn_study_history(again);
        qn_trial_write(first, first->trials[i], &(qn_json_writer){.out = &a});
        qn_trial_write(second, second->trials[i], &(qn_json_writer){.out = &b});
        CHECK_TEXT(a.text, b.text);
        qn_str_release(&a);
        qn_str_release(&b);
    }
    qn_study_close(study);
    qn_study_close(again);
}

static void trials_told_out_of_order_are_told_so_again(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_trial *trials[6];
    qn_study *study = open_store(&(qn_study_request){.space = space});
    for (int i = 0; i < 6; i++) {
        CHECK_OK(qn_study_ask(study, &trials[i], &err));
    }
    for (int i = 5; i >= 0; i--) {
        CHECK_OK(qn_trial_tell(trials[i], &(double){i}, 1, &err));
    }
    qn_study_close(study);
    study = open_store(&(qn_study_request){0});
    for (int i = 0; i < 6; i++) {
        CHECK_INT(qn_study_history(study)->told[i]->number, 5 - i);
    }
    qn_study_close(study);
}

static void what_was_running_is_tried_again_and_marked(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_trial *trial;
    qn_study *study = open_store(&(qn_study_request){.space = space});
    CHECK_OK(qn_study_ask(study, &trial, &err));
    CHECK_OK(qn_study_ask(study, &trial, &err));
    const double x = qn_trial_get_record(trial)->values[0];
    CHECK_OK(qn_trial_tell(trial, &(double){1}, 1, &err));
    qn_study_close(study); /* trial 0 is lost */

    study = open_store(&(qn_study_request){.keep_running = true});
    CHECK_INT(qn_study_history(study)->trials[0]->state, QN_TRIAL_RUNNING);
    qn_study_close(study);
    study = open_store(&(qn_study_request){0});
    CHECK_INT(qn_study_history(study)->trials[0]->state, QN_TRIAL_WAITING);
    CHECK(qn_study_history(study)->trials[1]->values[0] == x);
    CHECK_OK(qn_study_ask(study, &trial, &err));
    CHECK_INT(qn_trial_number(trial), 0);
    CHECK_INT(qn_trial_get_record(trial)->n_retries, 1);
    qn_study_close(study);
}

static void define_by_run_spaces_are_kept_as_they_grow(void **state)
{
    (void)state;
    qn_error err = {0};
    for (int round = 0; round < 3; round++) {
        qn_study *study = open_store(&(qn_study_request){.sampler = round ? NULL : "tpe"});
        for (int i = 0; i < 10; i++) {
            qn_trial *trial;
            double x;
            char name[8];
            snprintf(name, sizeof name, "x%d", round);
            CHECK_OK(qn_study_ask(study, &trial, &err));
            CHECK_OK(qn_trial_float(trial, name, &(qn_range){.high = 1}, &x, &err));
            CHECK_OK(qn_trial_tell(trial, &x, 1, &err));
        }
        CHECK_INT(qn_study_space(study)->n, round + 1);
        CHECK_INT(qn_study_history(study)->n_trials, 10 * (round + 1));
        qn_study_close(study);
    }
}

static void only_one_process_works_on_a_study(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *other;
    qn_study *study = open_store(&(qn_study_request){.space = space});
    CHECK_FAILS(QN_ERR_IO, qn_study_open(&(qn_study_request){.store = url}, &other, &err));
    CHECK_CONTAINS(err.message, "another process is at work on the study 'study'");
    CHECK_OK(qn_study_open(&(qn_study_request){.store = url, .name = "b", .space = space}, &other,
                           &err));
    qn_study_close(other);
    CHECK_OK(qn_study_open(&(qn_study_request){.store = url, .read_only = true}, &other, &err));
    qn_trial *trial;
    CHECK_FAILS(QN_ERR_ARG, qn_study_ask(other, &trial, &err));
    CHECK_CONTAINS(err.message, "opened for reading");
    qn_study_close(other);
    qn_study_close(study);
}

static void what_does_not_fit_the_store_is_told(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_store(&(qn_study_request){.space = space});
    qn_study_close(study);
    CHECK_FAILS(QN_ERR_ARG, qn_study_open(&(qn_study_request){.store = url,
                                                              .space = "{parameters: {z: {type: "
                                                                       "bool}}}"},
                                          &study, &err));
    CHECK_CONTAINS(err.message, "the study 'study' has another space");
    CHECK_FAILS(QN_ERR_ARG, qn_study_open(&(qn_study_request){.store = "mysql:x"}, &study, &err));
    CHECK_CONTAINS(err.message, "expected sqlite:FILE");
    CHECK_FAILS(QN_ERR_ARG,
                qn_study_open(&(qn_study_request){.store = url, .name = "q", .must_exist = true},
                              &study, &err));
    CHECK_CONTAINS(err.message, "there is no study 'q'");
    CHECK_FAILS(QN_ERR_IO,
                qn_study_open(&(qn_study_request){.store = "sqlite:/none/x"}, &study, &err));
    FILE *file = fopen(path, "w");
    CHECK(file && fputs("this is no database, and long enough to be read as one", file) > 0);
    fclose(file);
    CHECK_FAILS(QN_ERR_DATA, qn_study_open(&(qn_study_request){.store = url}, &study, &err));
    CHECK_CONTAINS(err.message, "not a database");
}

static qn_status short_study(qn_error *err)
{
    qn_study *study = NULL;
    remove_file(NULL);
    qn_status status = QN_OK;
    for (int round = 0; status == QN_OK && round < 2; round++) {
        qn_trial *trial;
        status = qn_study_open(&(qn_study_request){.store = url, .space = space}, &study, err);
        for (int i = 0; status == QN_OK && i < 1; i++) {
            status = qn_study_ask(study, &trial, err);
            if (status == QN_OK) status = qn_trial_annotate(trial, "a", "[1]", err);
            if (status == QN_OK) status = qn_trial_report(trial, 1, 1, NULL, err);
            if (status == QN_OK) status = qn_trial_tell(trial, &(double){i}, 1, err);
        }
        qn_study_close(study);
        study = NULL;
    }
    return status;
}

static void a_store_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(short_study(NULL));
}

#define STORE_TEST(name) cmocka_unit_test_teardown(name, remove_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_study_taken_up_again_goes_on_as_it_would_have),
        STORE_TEST(trials_told_out_of_order_are_told_so_again),
        STORE_TEST(what_was_running_is_tried_again_and_marked),
        STORE_TEST(define_by_run_spaces_are_kept_as_they_grow),
        STORE_TEST(only_one_process_works_on_a_study),
        STORE_TEST(what_does_not_fit_the_store_is_told),
        STORE_TEST(a_store_survives_running_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
