/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/cells.h"

#include "frames.h"

static char age[] = "age", city[] = "city", when[] = "when", label[] = "label", markers[] = "?,NA";
static char no[] = "no", yes[] = "yes";
static char *classes[] = {no, yes};

/* age (numeric), city (categorical, was bool or int or text in training), when, label. */
static qn_schema_column columns[4];
static qn_schema schema_of(qn_type city_type)
{
    columns[0] = (qn_schema_column){.name = age, .type = QN_TYPE_FLOAT64, .markers = markers};
    columns[1] = (qn_schema_column){
        .name = city, .type = city_type, .kind = QN_KIND_CATEGORICAL, .markers = markers};
    columns[2] =
        (qn_schema_column){.name = when, .type = QN_TYPE_TIMESTAMP, .kind = QN_KIND_DATETIME};
    columns[3] = (qn_schema_column){
        .name = label, .type = QN_TYPE_STRING, .kind = QN_KIND_CATEGORICAL, .role = QN_ROLE_TARGET};
    return (qn_schema){.n_cols = 4,
                       .columns = columns,
                       .target = 3,
                       .task = QN_TASK_BINARY,
                       .n_classes = 2,
                       .classes = classes,
                       .positive = 1};
}

static qn_frame *people(const char *const *ages)
{
    qn_frame *frame = frame_create(3, 4);
    frame_texts(frame, 0, "label", (const char *const[]){"yes", "no", " yes "});
    frame_texts(frame, 1, "when", (const char *const[]){"2011-01-02", NULL, "2011-01-02T12:00"});
    frame_texts(frame, 2, "city", (const char *const[]){"Rome", "?", "Oslo"});
    frame_texts(frame, 3, "age", ages);
    return frame;
}

static qn_cell normalised(const qn_schema_column *column, const qn_cell *given, char *scratch)
{
    qn_error err = {0};
    qn_cell cell;
    CHECK_OK(qn_cell_normalise(column, given, scratch, &cell, &err));
    return cell;
}

static void a_row_and_a_table_give_the_same_cells(void **state)
{
    (void)state;
    const qn_schema schema = schema_of(QN_TYPE_STRING);
    qn_frame *frame = people((const char *const[]){"30", " 41.5 ", "NA"});
    qn_binding *binding = NULL;
    qn_error err = {0};
    qn_cell cells[9];
    CHECK_OK(qn_binding_create(&schema, frame, &binding, &err));
    CHECK_INT(qn_binding_scratch_bytes(binding, 3), 0);
    qn_binding_load(binding, NULL, 0, 3, cells, NULL);

    static const char *const names[] = {"age", "city", "when"};
    for (int f = 0; f < 3; f++) {
        const qn_column *column = &frame->columns[qn_frame_find(frame, names[f])];
        for (int64_t row = 0; row < 3; row++) {
            qn_cell given = {.number = QN_NA};
            if (!qn_column_is_missing(column, row)) {
                given.text = qn_column_text(column, row, NULL, &given.text_bytes);
            }
            char scratch[QN_VALUE_TEXT_BYTES];
            const qn_cell cell = normalised(&schema.columns[f], &given, scratch);
            const qn_cell *loaded = &cells[f * 3 + row];
            CHECK(memcmp(&cell.number, &loaded->number, sizeof cell.number) == 0 ||
                  (isnan(cell.number) && isnan(loaded->number)));
            CHECK((cell.text == NULL) == (loaded->text == NULL));
            CHECK_INT(cell.text_bytes, loaded->text_bytes);
            if (cell.text) CHECK(memcmp(cell.text, loaded->text, cell.text_bytes) == 0);
        }
    }
    CHECK_NEAR(cells[1].number, 41.5, 0);
    CHECK(isnan(cells[2].number));
    CHECK(cells[4].text == NULL); /* "?" is a marker of the training table */
    CHECK_NEAR(cells[8].number - cells[6].number, 12 * 3600e6, 0);

    qn_binding_free(binding);
    qn_frame_free(frame);
}

static void chosen_rows_come_in_the_order_asked(void **state)
{
    (void)state;
    const qn_schema schema = schema_of(QN_TYPE_STRING);
    qn_frame *frame = people((const char *const[]){"1", "2", "3"});
    qn_binding *binding = NULL;
    qn_error err = {0};
    qn_cell cells[6], alone[2];
    CHECK_OK(qn_binding_create(&schema, frame, &binding, &err));
    qn_binding_load(binding, (const int32_t[]){9, 2, 0}, 1, 2, cells, NULL);
    CHECK_NEAR(cells[0].number, 3, 0);
    CHECK_NEAR(cells[1].number, 1, 0);
    CHECK_INT(cells[2].text_bytes, 4);
    qn_binding_load_feature(binding, 0, (const int32_t[]){9, 2, 0}, 1, 2, alone, NULL);
    CHECK_NEAR(alone[0].number, 3, 0);
    qn_binding_free(binding);
    qn_frame_free(frame);
}

static void numbers_become_the_labels_that_training_had(void **state)
{
    (void)state;
    static const struct {
        qn_type trained;
        double number;
        const char *text;
    } cases[] = {
        {QN_TYPE_BOOL, 1, "true"},     {QN_TYPE_BOOL, 0, "false"},
        {QN_TYPE_INT64, 3, "3"},       {QN_TYPE_INT64, 1234567890123456, "1234567890123456"},
        {QN_TYPE_FLOAT64, 2.5, "2.5"}, {QN_TYPE_TIMESTAMP, 0, "1970-01-01"},
        {QN_TYPE_STRING, 7, "7"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const qn_schema schema = schema_of(cases[i].trained);
        char scratch[QN_VALUE_TEXT_BYTES];
        const qn_cell given = {.number = cases[i].number};
        const qn_cell cell = normalised(&schema.columns[1], &given, scratch);
        CHECK_INT(cell.text_bytes, strlen(cases[i].text));
        CHECK(memcmp(cell.text, cases[i].text, cell.text_bytes) == 0);

        /* The same from a table in which the column is of doubles. */
        qn_frame *frame = frame_create(1, 3);
        qn_binding *binding = NULL;
        qn_error err = {0};
        qn_cell cells[3];
        char room[QN_VALUE_TEXT_BYTES];
        frame_doubles(frame, 0, "age", (const double[]){1});
        frame_doubles(frame, 1, "city", &cases[i].number);
        frame_texts(frame, 2, "when", (const char *const[]){NULL});
        CHECK_OK(qn_binding_create(&schema, frame, &binding, &err));
        CHECK_INT(qn_binding_scratch_bytes(binding, 1), QN_VALUE_TEXT_BYTES);
        qn_binding_load(binding, NULL, 0, 1, cells, room);
        CHECK_INT(cells[1].text_bytes, cell.text_bytes);
        CHECK(memcmp(cells[1].text, cell.text, cell.text_bytes) == 0);
        qn_binding_free(binding);
        qn_frame_free(frame);
    }
}

static void a_bare_number_is_no_date(void **state)
{
    (void)state;
    const qn_schema schema = schema_of(QN_TYPE_STRING);
    const qn_cell given = {.number = QN_NA, .text = "20110102", .text_bytes = 8};
    qn_error err = {0};
    qn_cell cell;
    CHECK_FAILS(QN_ERR_DATA, qn_cell_normalise(&schema.columns[2], &given, NULL, &cell, &err));
    CHECK_CONTAINS(err.message, "column 'when': found '20110102', expected a date");
}

static void a_text_among_numbers_is_named_with_its_row(void **state)
{
    (void)state;
    const qn_schema schema = schema_of(QN_TYPE_STRING);
    qn_frame *frame = people((const char *const[]){"30", "forty", "50"});
    qn_binding *binding = NULL;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_DATA, qn_binding_create(&schema, frame, &binding, &err));
    CHECK(binding == NULL);
    CHECK_CONTAINS(err.message, "table.csv: row 2: column 'age': found 'forty'");
    qn_frame_free(frame);
}

static void a_missing_column_is_named_with_the_nearest(void **state)
{
    (void)state;
    const qn_schema schema = schema_of(QN_TYPE_STRING);
    qn_frame *frame = frame_create(1, 1);
    qn_binding *binding = NULL;
    qn_error err = {0};
    frame_doubles(frame, 0, "aged", (const double[]){1});
    CHECK_FAILS(QN_ERR_DATA, qn_binding_create(&schema, frame, &binding, &err));
    CHECK_CONTAINS(err.message, "'age' is missing");
    CHECK_CONTAINS(err.message, "'aged'");
    qn_frame_free(frame);
}

static void targets_are_class_numbers(void **state)
{
    (void)state;
    const qn_schema schema = schema_of(QN_TYPE_STRING);
    qn_frame *frame = people((const char *const[]){"1", "2", "3"});
    qn_error err = {0};
    double *target = NULL;
    CHECK_OK(qn_schema_target(&schema, frame, false, &target, &err));
    CHECK_NEAR(target[0], 1, 0);
    CHECK_NEAR(target[1], 0, 0);
    CHECK_NEAR(target[2], 1, 0); /* blanks around a label do not count */
    qn_free(target);
    qn_frame_free(frame);
}

static void unknown_labels_are_all_named(void **state)
{
    (void)state;
    const qn_schema schema = schema_of(QN_TYPE_STRING);
    qn_frame *texts = frame_create(3, 1), *numbers = frame_create(3, 1);
    qn_error err = {0};
    double *target = NULL;
    frame_texts(texts, 0, "label", (const char *const[]){"yes.", "no.", "yes."});
    frame_ints(numbers, 0, "label", (const int64_t[]){4, 5, 4});

    CHECK_FAILS(QN_ERR_DATA, qn_schema_target(&schema, texts, false, &target, &err));
    CHECK(target == NULL);
    CHECK_CONTAINS(err.message, "'yes.', 'no.' (known: 'no', 'yes')");
    CHECK_CONTAINS(err.message, "--label-map");
    CHECK_CONTAINS(err.message, "--strip");
    CHECK_FAILS(QN_ERR_DATA, qn_schema_target(&schema, numbers, false, &target, &err));
    CHECK_CONTAINS(err.message, "'4', '5' (known");
    CHECK_OK(qn_schema_target(&schema, numbers, true, &target, &err));
    CHECK(isnan(target[0]) && isnan(target[2]));

    qn_free(target);
    qn_frame_free(texts);
    qn_frame_free(numbers);
}

static void a_number_label_may_be_written_another_way(void **state)
{
    (void)state;
    static char one[] = "1", two[] = "2";
    static char *numbers[] = {one, two};
    qn_schema schema = schema_of(QN_TYPE_STRING);
    schema.classes = numbers;
    qn_frame *frame = frame_create(2, 1);
    qn_error err = {0};
    double *target = NULL;
    frame_texts(frame, 0, "label", (const char *const[]){"2.0", "1"});
    CHECK_OK(qn_schema_target(&schema, frame, false, &target, &err));
    CHECK_NEAR(target[0], 1, 0);
    CHECK_NEAR(target[1], 0, 0);
    qn_free(target);
    qn_frame_free(frame);
}

static qn_status bind_and_read(const qn_schema *schema, const qn_frame *frame)
{
    qn_binding *binding = NULL;
    double *target = NULL;
    qn_status status = qn_binding_create(schema, frame, &binding, NULL);
    if (status == QN_OK) status = qn_schema_target(schema, frame, false, &target, NULL);
    qn_free(target);
    qn_binding_free(binding);
    return status;
}

static void binding_survives_running_out_of_memory(void **state)
{
    (void)state;
    const qn_schema schema = schema_of(QN_TYPE_STRING);
    qn_frame *frame = people((const char *const[]){"1", "2", "?"});
    CHECK_SURVIVES_NO_MEMORY(bind_and_read(&schema, frame));
    qn_frame_free(frame);
}

RUN_TESTS(TEST(a_row_and_a_table_give_the_same_cells), TEST(chosen_rows_come_in_the_order_asked),
          TEST(numbers_become_the_labels_that_training_had), TEST(a_bare_number_is_no_date),
          TEST(a_text_among_numbers_is_named_with_its_row),
          TEST(a_missing_column_is_named_with_the_nearest), TEST(targets_are_class_numbers),
          TEST(unknown_labels_are_all_named), TEST(a_number_label_may_be_written_another_way),
          TEST(binding_survives_running_out_of_memory))
