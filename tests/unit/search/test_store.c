/* SPDX-License-Identifier: Apache-2.0 */
/* Stores that are none: what does not fit, damaged files, no memory. What every store must do is in
 * tests/conform/conform_stores.c. */
#include "search/study/study.h"

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
    snprintf(url, sizeof url, "sqlite:%s?sync=normal", path);
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

/* Rows that no study of one objective writes, each wrong in one way. */
static void damaged_trials_are_refused(void **state)
{
    (void)state;
    double values[] = {0, 0, QN_NA}, losses[] = {1, 2}, none[] = {QN_NA};
    qn_curve_point nowhere = {1, QN_NA};
    const qn_stored_trial good = {.record = {.state = QN_TRIAL_COMPLETE,
                                             .n_values = 3,
                                             .values = values,
                                             .losses = losses,
                                             .begun_s = 1}};
    qn_stored_trial trials[] = {good, good, good, good, good, good};
    trials[1].n_losses = 2;
    trials[2].record.losses = none;
    trials[3].record.violation = QN_NA;
    trials[4].record.n_reports = 1;
    trials[4].record.reports = &nowhere;
    trials[5].record.state = QN_TRIAL_PRUNED; /* and nothing reported */
    for (int i = 0; i < 6; i++) {
        qn_error err = {0};
        qn_study *study = NULL;
        CHECK_OK(qn_study_open(&(qn_study_request){.space = space}, &study, &err));
        const qn_status status = qn_study_restore(study, &trials[i], 1, &err);
        CHECK_INT(status, i == 0 ? QN_OK : QN_ERR_DATA);
        if (i > 0) CHECK_CONTAINS(err.message, "trial 0 of the store is damaged");
        qn_study_close(study);
    }
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
        STORE_TEST(what_does_not_fit_the_store_is_told),
        STORE_TEST(damaged_trials_are_refused),
        STORE_TEST(a_store_survives_running_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
