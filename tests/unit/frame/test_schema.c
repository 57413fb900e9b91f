/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/schema.h"

#include "check.h"

static const char good[] =
    "{\"task\":\"binary\",\"target\":2,\"classes\":[\"no\",\"yes\"],\"positive\":1,\"columns\":["
    "{\"name\":\"id\",\"type\":\"int64\",\"kind\":\"id\",\"kind_given\":false,\"role\":\"dropped\","
    "\"reason\":\"counts\",\"missing_markers\":null,\"missing_fraction\":0,\"minimum\":1,"
    "\"maximum\":9},"
    "{\"name\":\"city\",\"type\":\"string\",\"kind\":\"categorical\",\"kind_given\":true,\"role\":"
    "\"feature\",\"reason\":null,\"missing_markers\":\"?\",\"missing_fraction\":0.1,\"minimum\":"
    "null,\"maximum\":null,\"levels\":[\"Rome\",\"Oslo\"]},"
    "{\"name\":\"y\",\"type\":\"string\",\"kind\":\"categorical\",\"kind_given\":false,\"role\":"
    "\"target\",\"reason\":null,\"missing_markers\":null,\"missing_fraction\":0,\"minimum\":null,"
    "\"maximum\":null}]}";

static qn_status read_text(const char *text, qn_schema **out, qn_error *err)
{
    qn_json *json = NULL;
    *out = NULL;
    QN_TRY(qn_json_parse(text, strlen(text), "text", &json, err));
    const qn_status status = qn_schema_read_json(qn_json_root(json), out, err);
    qn_json_free(json);
    return status;
}

static void what_is_written_reads_back_byte_for_byte(void **state)
{
    (void)state;
    qn_schema *schema = NULL;
    qn_error err = {0};
    CHECK_OK(read_text(good, &schema, &err));
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_schema_write_json(schema, &json);
    CHECK_TEXT(text.text, good);
    qn_str_release(&text);
    qn_schema_free(schema);
}

static void ids_and_the_target_are_no_features(void **state)
{
    (void)state;
    qn_schema *schema = NULL;
    qn_error err = {0};
    CHECK_OK(read_text(good, &schema, &err));
    CHECK_INT(qn_schema_n_features(schema), 1);
    CHECK_INT(qn_schema_feature(schema, 0), 1);
    CHECK_INT(qn_schema_feature(schema, 1), -1);
    CHECK_INT(qn_schema_next_feature(schema, -1), 1);
    CHECK_INT(qn_schema_next_feature(schema, 1), -1);
    CHECK_INT(qn_schema_find(schema, "y"), 2);
    CHECK_INT(qn_schema_find(schema, "Y"), -1);
    CHECK_INT(qn_schema_n_outputs(schema), 1);
    qn_schema_free(schema);
}

/* Each replaces the first text by the second in the good schema. */
static void contradictions_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } damages[] = {{"\"binary\"", "\"martian\""},
                   {"\"target\":2", "\"target\":3"},
                   {"\"target\":2", "\"target\":1"},
                   {"\"target\":2", "\"target\":-2"},
                   {"\"positive\":1", "\"positive\":7"},
                   {"[\"no\",\"yes\"]", "[\"no\"]"},
                   {"[\"no\",\"yes\"]", "[\"no\",5]"},
                   {"\"binary\"", "\"regression\""},
                   {"\"kind\":\"id\"", "\"kind\":\"\""},
                   {"\"int64\"", "\"int65\""},
                   {"\"Rome\"", "{}"},
                   {"\"columns\"", "\"colonnes\""}};
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char text[2000];
        const char *at = strstr(good, damages[i].from);
        CHECK(at != NULL);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, damages[i].to,
                 at + strlen(damages[i].from));
        qn_schema *schema = NULL;
        qn_error err = {0};
        CHECK_FAILS(QN_ERR_DATA, read_text(text, &schema, &err));
        CHECK(schema == NULL);
        CHECK_CONTAINS(err.message, "schema");
    }
}

static void names_and_values_are_inverse(void **state)
{
    (void)state;
    for (int i = 0; i <= QN_KIND_CONSTANT; i++) {
        qn_kind kind;
        CHECK(qn_kind_from_name(qn_kind_name((qn_kind)i), &kind) && (int)kind == i);
    }
    for (int i = 0; i <= QN_ROLE_DROPPED; i++) {
        qn_role role;
        CHECK(qn_role_from_name(qn_role_name((qn_role)i), &role) && (int)role == i);
    }
    for (int i = 0; i <= QN_TASK_RANKING; i++) {
        qn_task task;
        CHECK(qn_task_from_name(qn_task_name((qn_task)i), &task) && (int)task == i);
    }
    qn_type type;
    CHECK(!qn_type_from_name("Bool", &type));
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_schema *schema = NULL;
    CHECK_SURVIVES_NO_MEMORY(read_text(good, &schema, NULL));
    qn_schema_free(schema);
}

RUN_TESTS(TEST(what_is_written_reads_back_byte_for_byte), TEST(ids_and_the_target_are_no_features),
          TEST(contradictions_are_refused), TEST(names_and_values_are_inverse),
          TEST(reading_survives_running_out_of_memory))
