/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"

#include "check.h"

static qn_status read_text(const char *text, qn_arena *arena, qn_yaml_pair **out, qn_error *err)
{
    return qn_yaml_read_pairs("f.yaml", text, strlen(text), arena, out, err);
}

static void scalars_and_lists_come_in_order_with_their_places(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_arena arena = {0};
    qn_yaml_pair *pair = NULL;
    CHECK_OK(read_text("# a comment\n"
                       "target: \"a: b\" # another\n"
                       "budget:   60s\n"
                       "drop: [x, 'y # z']\n"
                       "kind:\n  - a=text\n  - b=id\n"
                       "none: ~\n",
                       &arena, &pair, &err));
    CHECK_TEXT(pair->name, "target");
    CHECK_TEXT(pair->values[0], "a: b");
    CHECK_INT(pair->line, 2);
    CHECK_INT(pair->column, 1);
    CHECK_INT(pair->value_column, 9);
    pair = pair->next;
    CHECK_TEXT(pair->values[0], "60s");
    CHECK(!pair->is_list);
    CHECK_INT(pair->value_column, 11);
    pair = pair->next;
    CHECK(pair->is_list);
    CHECK_INT(pair->n_values, 2);
    CHECK_TEXT(pair->values[1], "y # z");
    pair = pair->next;
    CHECK_INT(pair->n_values, 2);
    CHECK_TEXT(pair->values[0], "a=text");
    CHECK_INT(pair->line, 5);
    pair = pair->next;
    CHECK_TEXT(pair->values[0], "");
    CHECK(pair->next == NULL);
    qn_arena_release(&arena);
}

static void an_empty_file_has_no_pairs(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "---\n", "---\n...\n"};
    for (int i = 0; i < 4; i++) {
        qn_error err = {0};
        qn_arena arena = {0};
        qn_yaml_pair *pair = NULL;
        CHECK_OK(read_text(texts[i], &arena, &pair, &err));
        CHECK(pair == NULL);
        qn_arena_release(&arena);
    }
}

static void what_is_wrong_is_told_with_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a: 1\nb: {c: 2}\n", "f.yaml:2:4: expected a value or a list of values"},
        {"a: 1\nb:\n  c: 2\n", "f.yaml:3:3: expected a value or a list of values"},
        {"a: [1, [2]]\n", "f.yaml:1:8: expected a value of the list"},
        {"- a\n- b\n", "f.yaml:1:1: expected 'name: value'"},
        {"just text\n", "f.yaml:1:1: expected 'name: value'"},
        {"a: 1\nb: 2\na: 3\n", "f.yaml:3:1: 'a' is given twice; the first is in line 1"},
        {"[a]: 1\n", "f.yaml:1:1: expected a name"},
        {"a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins"},
        {"a: \"open\nb: 2\n", "f.yaml:3:1: "},
        {"a: 1\n b: 2\n", "f.yaml:2:3: "},
        {"a: *b\n", "f.yaml:1:4: expected a value"},
        {"a: \"x\\0y\"\n", "f.yaml:1:4: a value holds the character NUL"},
        {"a: \xff\n", "f.yaml: byte 4: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_arena arena = {0};
        qn_yaml_pair *pair = NULL;
        CHECK_FAILS(QN_ERR_DATA, read_text(cases[i].text, &arena, &pair, &err));
        CHECK_CONTAINS(err.message, cases[i].message);
        CHECK(pair == NULL);
        qn_arena_release(&arena);
    }
}

static void a_tree_keeps_order_places_and_quotes(void **state)
{
    (void)state;
    static const char text[] = "a: {b: [1, '2'], c: ~}\n"
                               "d:\n  - x: null\n  - \"null\"\n";
    qn_error err = {0};
    qn_arena arena = {0};
    qn_yaml_node *root = NULL;
    CHECK_OK(qn_yaml_read("f.yaml", text, sizeof text - 1, &arena, &root, &err));
    CHECK_INT(root->kind, QN_YAML_MAP);
    CHECK_INT(root->n_items, 2);
    const qn_yaml_node *list = qn_yaml_get(qn_yaml_get(root, "a"), "b");
    CHECK_INT(list->kind, QN_YAML_LIST);
    CHECK_INT(list->key_column, 5);
    CHECK_INT(list->column, 8);
    CHECK(!list->first->quoted && list->last->quoted);
    CHECK_TEXT(list->last->text, "2");
    CHECK_TEXT(qn_yaml_get(root->first, "c")->text, "");
    CHECK_INT(root->last->first->kind, QN_YAML_MAP);
    CHECK_INT(root->last->last->line, 4);
    CHECK_TEXT(root->last->last->text, "null");
    CHECK(qn_yaml_get(list, "b") == NULL);
    CHECK(qn_yaml_get(NULL, "b") == NULL);
    qn_arena_release(&arena);
}

static void json_is_read_as_well(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": [1, \"x\\n\"],\n \"b\": {\"c\": true}}";
    qn_error err = {0};
    qn_arena arena = {0};
    qn_yaml_node *root = NULL;
    CHECK_OK(qn_yaml_read("f.json", text, sizeof text - 1, &arena, &root, &err));
    CHECK_TEXT(root->first->last->text, "x\n");
    CHECK_TEXT(qn_yaml_get(root->last, "c")->text, "true");
    CHECK_INT(root->last->key_line, 2);
    qn_arena_release(&arena);
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    char text[2 * QN_YAML_DEPTH_MAX + 3];
    for (int depth = QN_YAML_DEPTH_MAX; depth <= QN_YAML_DEPTH_MAX + 1; depth++) {
        qn_error err = {0};
        qn_arena arena = {0};
        qn_yaml_node *root = NULL;
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        const qn_status status =
            qn_yaml_read("f.yaml", text, (size_t)(2 * depth), &arena, &root, &err);
        CHECK_INT(status, depth > QN_YAML_DEPTH_MAX ? QN_ERR_DATA : QN_OK);
        if (status != QN_OK) CHECK_TEXT(err.message, "f.yaml:1:33: nested too deep");
        qn_arena_release(&arena);
    }
}

static qn_status read_and_release(void)
{
    qn_arena arena = {0};
    qn_yaml_pair *pair = NULL;
    const qn_status status = read_text("a: [1, 2, 3, 4, 5]\nb: 2\n", &arena, &pair, NULL);
    qn_arena_release(&arena);
    return status;
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(read_and_release());
}

RUN_TESTS(TEST(scalars_and_lists_come_in_order_with_their_places), TEST(an_empty_file_has_no_pairs),
          TEST(a_tree_keeps_order_places_and_quotes), TEST(json_is_read_as_well),
          TEST(nesting_has_a_limit), TEST(what_is_wrong_is_told_with_line_and_column),
          TEST(reading_survives_running_out_of_memory))
