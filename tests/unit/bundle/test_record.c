/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/record.h"

#include "check.h"

static const char whole[] =
    "{\"version\":\"1.2\",\"created\":\"\",\"table\":\"t.csv\",\"target\":\"y\",\"metric\":"
    "\"rmse\",\"command\":\"quern fit\",\"split\":\"drawn\",\"folds_reason\":\"few\",\"data_hash\":"
    "\"00ff\",\"rows\":10,\"rows_train\":8,\"rows_test\":2,\"folds\":3,\"trials\":4,\"seed\":5,"
    "\"cv_score\":0.5,\"cv_std_error\":null,\"budget_s\":0,\"seconds\":0,\"interrupted\":true,"
    "\"leaderboard\":[{\"name\":\"gbdt_1\",\"learner\":\"gbdt\",\"params\":\"{}\",\"cv_score\":1,"
    "\"std_error\":2,\"fit_seconds\":3,\"predict_us_per_row\":4,\"weight\":0.25,\"rounds\":7}],"
    "\"importance\":[{\"column\":\"x\",\"importance\":0.125,\"std_error\":0.5}],"
    "\"warnings\":[\"first\",\"second\"],\"findings\":[{\"kind\":0,\"column\":\"x\",\"message\":"
    "\"about x\"},{\"kind\":1,\"column\":null,\"message\":\"about all\"}]}";

static qn_status read_text(const char *text, qn_record *out, qn_error *err)
{
    qn_json *json = NULL;
    QN_TRY(qn_json_parse(text, strlen(text), "record", &json, err));
    const qn_status status = qn_record_read_json(qn_json_root(json), out, err);
    qn_json_free(json);
    return status;
}

static void a_record_is_written_as_it_was_read(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_record record;
    CHECK_OK(read_text(whole, &record, &err));
    CHECK_INT(record.n_warnings, 2);
    CHECK_TEXT(record.findings.items[0].column, "x");
    CHECK(record.findings.items[1].column == NULL);
    CHECK_NEAR(record.leaderboard[0].weight, 0.25, 0);
    CHECK(isnan(record.cv_std_error) && record.interrupted);
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_record_write_json(&record, &json);
    CHECK_TEXT(text.text, whole);
    qn_str_release(&text);
    qn_record_release(&record);
}

/* What is missing or of another type is empty, and no text is NULL. */
static void what_is_absent_is_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", "[]", "null",
        "{\"leaderboard\":5,\"warnings\":\"x\",\"importance\":{},\"rows\":\"x\"}",
        "{\"leaderboard\":[5,null],\"warnings\":[1,2],\"importance\":[[]],\"findings\":[{\"kind\":"
        "99,"
        "\"column\":5},{\"kind\":-1},7]}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        qn_error err = {0};
        qn_record record;
        CHECK_OK(read_text(texts[i], &record, &err));
        CHECK_TEXT(record.version, "");
        CHECK_TEXT(record.folds_reason, "");
        CHECK_INT(record.n_rows, 0);
        for (int64_t k = 0; k < record.n_leaderboard; k++) {
            CHECK_TEXT(record.leaderboard[k].name, "");
        }
        for (int64_t k = 0; k < record.n_warnings; k++) {
            CHECK_TEXT(record.warnings[k], "");
        }
        for (int64_t k = 0; k < record.findings.n; k++) {
            CHECK_INT(record.findings.items[k].kind, QN_FINDING_GUESS);
            CHECK_TEXT(record.findings.items[k].message, "");
        }
        qn_str text = {0};
        qn_json_writer json = {.out = &text};
        qn_record_write_json(&record, &json);
        CHECK(!text.failed);
        qn_str_release(&text);
        qn_record_release(&record);
    }
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_record record;
    CHECK_SURVIVES_NO_MEMORY(read_text(whole, &record, NULL));
    CHECK_INT(record.n_leaderboard, 1);
    qn_record_release(&record);
}

RUN_TESTS(TEST(a_record_is_written_as_it_was_read), TEST(what_is_absent_is_empty),
          TEST(reading_survives_running_out_of_memory))
