/* SPDX-License-Identifier: Apache-2.0 */
#include "validate/understand.h"

#include "frames.h"

enum { ROWS = 60 };

/* Columns: key 100…, code (all different texts), note (words), town (3 levels), amount, same,
 * empty, mixed (numbers and blanks), y (two labels). */
static qn_frame *table(void)
{
    static int64_t keys[ROWS];
    static double amounts[ROWS], empty[ROWS];
    static char codes[ROWS][16], notes[ROWS][64], numbers[ROWS][16];
    static const char *code[ROWS], *note[ROWS], *town[ROWS], *mixed[ROWS], *y[ROWS], *same[ROWS];
    static const char *const towns[] = {"Rome", "Oslo", "Bern"};
    for (int i = 0; i < ROWS; i++) {
        snprintf(codes[i], sizeof codes[i], "A-%d", i * 7919 % 1000);
        snprintf(notes[i], sizeof notes[i], "note %d of a long story", i);
        snprintf(numbers[i], sizeof numbers[i], "%d.5", i % 9);
        keys[i] = 100 + (i * 7) % ROWS; /* in no order */
        amounts[i] = i * 1.25;
        empty[i] = QN_NA;
        code[i] = codes[i];
        note[i] = notes[i];
        town[i] = towns[i % 3 * (i % 2)];
        mixed[i] = i % 20 == 3 ? " " : numbers[i];
        same[i] = "x";
        y[i] = i % 4 ? "no" : "yes";
    }
    qn_frame *frame = frame_create(ROWS, 9);
    frame_ints(frame, 0, "key", keys);
    frame_texts(frame, 1, "code", code);
    frame_texts(frame, 2, "note", note);
    frame_texts(frame, 3, "town", town);
    frame_doubles(frame, 4, "amount", amounts);
    frame_texts(frame, 5, "same", same);
    frame_doubles(frame, 6, "empty", empty);
    frame_texts(frame, 7, "mixed", mixed);
    frame_texts(frame, 8, "y", y);
    return frame;
}

/* Completes the request with a profile of its rows. */
static qn_status ask(qn_understand_request request, qn_schema **out, qn_error *err)
{
    qn_profile *profile = NULL;
    *out = NULL;
    QN_TRY(qn_profile_create(request.frame, request.rows, request.n_rows, NULL, &profile, err));
    request.profile = profile;
    const qn_status status = qn_understand(&request, out, err);
    qn_profile_free(profile);
    return status;
}

static void check_kind(const qn_schema *schema, const char *name, qn_kind kind, qn_role role)
{
    const qn_schema_column *column = &schema->columns[qn_schema_find(schema, name)];
    CHECK_TEXT(qn_kind_name(column->kind), qn_kind_name(kind));
    CHECK_TEXT(qn_role_name(column->role), qn_role_name(role));
    if (role == QN_ROLE_DROPPED) CHECK(column->reason != NULL);
}

static void kinds_are_guessed(void **state)
{
    (void)state;
    qn_frame *frame = table();
    qn_schema *schema = NULL;
    qn_error err = {0};
    CHECK_OK(ask((qn_understand_request){.frame = frame}, &schema, &err));
    check_kind(schema, "key", QN_KIND_ID, QN_ROLE_DROPPED);
    check_kind(schema, "code", QN_KIND_ID, QN_ROLE_DROPPED);
    check_kind(schema, "note", QN_KIND_TEXT, QN_ROLE_FEATURE);
    check_kind(schema, "town", QN_KIND_CATEGORICAL, QN_ROLE_FEATURE);
    check_kind(schema, "amount", QN_KIND_NUMERIC, QN_ROLE_FEATURE);
    check_kind(schema, "same", QN_KIND_CONSTANT, QN_ROLE_DROPPED);
    check_kind(schema, "empty", QN_KIND_CONSTANT, QN_ROLE_DROPPED);
    check_kind(schema, "mixed", QN_KIND_NUMERIC, QN_ROLE_FEATURE);
    CHECK_INT(schema->target, 8); /* called y */
    CHECK_INT(schema->task, QN_TASK_BINARY);
    CHECK_TEXT(schema->classes[0], "no");
    CHECK_TEXT(schema->classes[1], "yes");
    const qn_schema_column *town = &schema->columns[3];
    CHECK_INT(town->n_levels, 3);
    CHECK_TEXT(town->levels[0], "Rome");
    qn_schema_free(schema);
    qn_frame_free(frame);
}

/* The key has gaps among the training rows; it is an id all the same. */
static void an_id_is_seen_in_a_part_of_the_rows(void **state)
{
    (void)state;
    qn_frame *frame = table();
    qn_schema *schema = NULL;
    qn_error err = {0};
    int32_t rows[ROWS];
    int64_t n = 0;
    for (int32_t i = 0; i < ROWS; i++) {
        if (i % 5) rows[n++] = i;
    }
    CHECK_OK(
        ask((qn_understand_request){.frame = frame, .rows = rows, .n_rows = n}, &schema, &err));
    check_kind(schema, "key", QN_KIND_ID, QN_ROLE_DROPPED);
    qn_schema_free(schema);
    qn_frame_free(frame);
}

static void what_the_user_says_wins(void **state)
{
    (void)state;
    static const char *const kinds[] = {"key=numeric", "code=categorical", "town=text", NULL};
    qn_frame *frame = table();
    qn_schema *schema = NULL;
    qn_error err = {0};
    CHECK_OK(ask((qn_understand_request){.frame = frame,
                                         .drop = "amount, note",
                                         .group = "mixed",
                                         .positive = "no",
                                         .kinds = kinds},
                 &schema, &err));
    check_kind(schema, "key", QN_KIND_NUMERIC, QN_ROLE_FEATURE);
    check_kind(schema, "code", QN_KIND_CATEGORICAL, QN_ROLE_FEATURE);
    check_kind(schema, "town", QN_KIND_TEXT, QN_ROLE_FEATURE);
    check_kind(schema, "amount", QN_KIND_NUMERIC, QN_ROLE_DROPPED);
    check_kind(schema, "note", QN_KIND_TEXT, QN_ROLE_DROPPED);
    check_kind(schema, "mixed", QN_KIND_NUMERIC, QN_ROLE_GROUP);
    CHECK_INT(schema->columns[1].n_levels, ROWS); /* more than a profile lists */
    CHECK_TEXT(schema->classes[1], "no");
    CHECK_INT(schema->positive, 1);
    qn_schema_free(schema);
    qn_frame_free(frame);
}

static void bad_requests_say_what_is_wrong(void **state)
{
    (void)state;
    static const char *const dates[] = {"note=datetime", NULL},
                             *const flags[] = {"amount=boolean", NULL},
                             *const numbers[] = {"town=numeric", NULL},
                             *const odd[] = {"town=odd", NULL};
    qn_frame *frame = table();
    const struct {
        qn_understand_request request;
        const char *message;
    } cases[] = {
        {{.target = "yy"}, "there is no column 'yy'; did you mean 'y'?"},
        {{.drop = "amount,nota"}, "did you mean 'note'?"},
        {{.drop = "y"}, "column 'y' is the target and cannot be dropped too"},
        {{.time = "amount", .weight = "amount"}, "column 'amount' is the weight"},
        {{.kinds = dates},
         "--kind note=datetime: found 'note 0 of a long story', which is no date"},
        {{.kinds = flags}, "--kind amount=boolean: its values are not all 0 or 1"},
        {{.kinds = numbers}, "found 'Rome', which is no number"},
        {{.kinds = odd}, "expected COLUMN=KIND"},
        {{.task = "guessing"}, "--task guessing"},
        {{.positive = "maybe"}, "the classes are 'no' and 'yes'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_understand_request request = cases[i].request;
        qn_schema *schema = NULL;
        qn_error err = {0};
        request.frame = frame;
        CHECK_FAILS(QN_ERR_ARG, ask(request, &schema, &err));
        CHECK(schema == NULL);
        CHECK_CONTAINS(err.message, cases[i].message);
    }
    qn_frame_free(frame);
}

static qn_status ask_numbers(const double *target, const char *task, qn_schema **out, qn_error *err)
{
    qn_frame *frame = frame_create(ROWS, 1);
    frame_doubles(frame, 0, "y", target);
    const qn_status status = ask((qn_understand_request){.frame = frame, .task = task}, out, err);
    qn_frame_free(frame);
    return status;
}

static void targets_that_cannot_be_learned_are_refused(void **state)
{
    (void)state;
    double one[ROWS], holes[ROWS], infinite[ROWS], many[ROWS];
    qn_schema *schema = NULL;
    qn_error err = {0};
    for (int i = 0; i < ROWS; i++) {
        one[i] = 3;
        holes[i] = i == 4 || i == 9 ? QN_NA : i;
        infinite[i] = i ? i : (double)INFINITY;
        many[i] = i;
    }
    CHECK_FAILS(QN_ERR_DATA, ask_numbers(one, NULL, &schema, &err));
    CHECK_CONTAINS(err.message, "one value, '3', in every row");
    CHECK_FAILS(QN_ERR_DATA, ask_numbers(holes, NULL, &schema, &err));
    CHECK_CONTAINS(err.message, "missing in 2 of 60 rows, first in row 5");
    CHECK_FAILS(QN_ERR_DATA, ask_numbers(infinite, NULL, &schema, &err));
    CHECK_CONTAINS(err.message, "infinite");
    CHECK_FAILS(QN_ERR_DATA, ask_numbers(many, "multiclass", &schema, &err));
    CHECK_CONTAINS(err.message, "60 classes in 60 rows");
    CHECK_FAILS(QN_ERR_DATA, ask_numbers(many, "binary", &schema, &err));
    CHECK_CONTAINS(err.message, "binary needs two");
}

static void text_targets_have_limits_too(void **state)
{
    (void)state;
    qn_frame *frame = table();
    qn_schema *schema = NULL;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_DATA,
                ask((qn_understand_request){.frame = frame, .target = "town", .task = "regression"},
                    &schema, &err));
    CHECK_CONTAINS(err.message, "holds texts such as 'Rome'; regression needs numbers");
    CHECK_FAILS(QN_ERR_DATA,
                ask((qn_understand_request){.frame = frame, .target = "note"}, &schema, &err));
    CHECK_CONTAINS(err.message, "too many to learn; is it an id or a text?");
    qn_frame_free(frame);
}

/* "a" and "a " are one class: what looks like two is one. */
static void labels_that_differ_in_blanks_are_one_class(void **state)
{
    (void)state;
    const char *texts[ROWS];
    qn_schema *schema = NULL;
    qn_error err = {0};
    for (int i = 0; i < ROWS; i++) {
        texts[i] = i % 2 ? "a" : "a ";
    }
    qn_frame *frame = frame_create(ROWS, 1);
    frame_texts(frame, 0, "y", texts);
    CHECK_FAILS(QN_ERR_DATA,
                ask((qn_understand_request){.frame = frame, .positive = "a"}, &schema, &err));
    CHECK_CONTAINS(err.message, "one value, 'a'");
    qn_frame_free(frame);
}

static void tasks_are_guessed_from_the_target(void **state)
{
    (void)state;
    int64_t two[ROWS], four[ROWS], many[ROWS];
    for (int i = 0; i < ROWS; i++) {
        two[i] = i % 2;
        four[i] = i % 4 * 5;
        many[i] = i * i;
    }
    const int64_t *const targets[] = {two, four, many};
    static const qn_task tasks[] = {QN_TASK_BINARY, QN_TASK_MULTICLASS, QN_TASK_REGRESSION};
    for (int i = 0; i < 3; i++) {
        qn_frame *frame = frame_create(ROWS, 1);
        qn_schema *schema = NULL;
        qn_error err = {0};
        frame_ints(frame, 0, "y", targets[i]);
        CHECK_OK(ask((qn_understand_request){.frame = frame}, &schema, &err));
        CHECK_TEXT(qn_task_name(schema->task), qn_task_name(tasks[i]));
        if (i == 1) CHECK_TEXT(schema->classes[3], "15"); /* by value: 0 5 10 15 */
        qn_schema_free(schema);
        qn_frame_free(frame);
    }
}

static void understanding_survives_running_out_of_memory(void **state)
{
    (void)state;
    static const char *const kinds[] = {"key=numeric", NULL};
    qn_frame *frame = table();
    qn_schema *schema = NULL;
    const qn_understand_request request = {.frame = frame, .drop = "amount", .kinds = kinds};
    CHECK_SURVIVES_NO_MEMORY(ask(request, &schema, NULL));
    qn_schema_free(schema);
    qn_frame_free(frame);
}

RUN_TESTS(TEST(kinds_are_guessed), TEST(an_id_is_seen_in_a_part_of_the_rows),
          TEST(what_the_user_says_wins), TEST(bad_requests_say_what_is_wrong),
          TEST(targets_that_cannot_be_learned_are_refused), TEST(text_targets_have_limits_too),
          TEST(labels_that_differ_in_blanks_are_one_class), TEST(tasks_are_guessed_from_the_target),
          TEST(understanding_survives_running_out_of_memory))
