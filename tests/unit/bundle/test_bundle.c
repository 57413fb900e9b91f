/* SPDX-License-Identifier: Apache-2.0 */
/* A real model, made once by qn_fit() from a small generated table with numbers, categories, text
 * and dates, and what must hold of its file. */
#include "bundle/bundle.h"
#include "quern/quern.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-bundle-XXXXXX";
static char table_path[64], model_path[64], damaged_path[64];
static uint8_t *bytes;
static size_t n_bytes;

static void write_table(void)
{
    FILE *file = fopen(table_path, "w");
    fputs("size,colour,note,when,label\n", file);
    unsigned state = 1;
    for (int i = 0; i < 160; i++) {
        state = state * 1103515245 + 12345;
        const unsigned draw = state >> 16;
        if (i % 11 == 0) {
            fputs(",", file);
        } else {
            fprintf(file, "%u.%u,", draw % 50, draw % 7);
        }
        fprintf(file, "%s,\"word%u and word%u then, \"\"x\"\" %d\",2020-%02d-%02d,%s\n",
                (const char *[]){"red", "green", "blue", ""}[draw % 4], draw % 9, draw % 5, i,
                i % 12 + 1, i % 28 + 1, (draw % 50 > 25) != (draw % 13 == 0) ? "yes" : "no");
    }
    fclose(file);
}

static int make_model(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(table_path, sizeof table_path, "%s/table.csv", folder);
    snprintf(model_path, sizeof model_path, "%s/model.quern", folder);
    snprintf(damaged_path, sizeof damaged_path, "%s/damaged.quern", folder);
    write_table();
    const qn_fit_request request = {.table = table_path,
                                    .target = "label",
                                    .model = model_path,
                                    .report = "",
                                    .learners = "gbdt,logistic",
                                    .n_trials = 2,
                                    .n_folds = 2,
                                    .kinds = (const char *const[]){"note=text", NULL}};
    qn_fit_result result;
    qn_error err = {0};
    if (qn_fit(&request, &result, &err) != QN_OK) {
        print_error("%s\n", err.message);
        return -1;
    }
    qn_fit_result_release(&result);
    FILE *file = fopen(model_path, "rb");
    fseek(file, 0, SEEK_END);
    n_bytes = (size_t)ftell(file);
    rewind(file);
    bytes = malloc(n_bytes);
    const size_t n_read = fread(bytes, 1, n_bytes, file);
    fclose(file);
    return n_read == n_bytes ? 0 : -1;
}

static int remove_model(void **state)
{
    (void)state;
    free(bytes);
    unlink(table_path);
    unlink(model_path);
    unlink(damaged_path);
    return rmdir(folder);
}

static void rows_one_by_one_and_a_batch_agree_bit_for_bit(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_model *model = NULL;
    qn_frame *frame = NULL;
    qn_binding *binding = NULL;
    CHECK_OK(qn_model_open(model_path, &model, &err));
    CHECK_OK(qn_frame_read(table_path, 1, &frame, &err));
    CHECK_OK(qn_binding_create(qn_model_schema(model), frame, &binding, &err));
    const int64_t n = qn_frame_n_rows(frame), n_inputs = qn_model_n_inputs(model);
    double *batch = calloc((size_t)n, sizeof *batch);
    qn_cell *cells = calloc((size_t)n_inputs, sizeof *cells);
    char *texts = malloc(qn_binding_scratch_bytes(binding, 1) + 1);
    void *scratch = aligned_alloc(64, (qn_model_scratch_bytes(model) + 63) / 64 * 64);
    CHECK_OK(qn_model_predict(model, frame, 2, batch, &err));
    for (int64_t row = 0; row < n; row++) {
        double one;
        qn_binding_load(binding, NULL, row, 1, cells, texts);
        CHECK_OK(qn_model_predict_row(model, cells, &one, scratch, &err));
        CHECK(memcmp(&one, &batch[row], sizeof one) == 0);
        CHECK(one > 0 && one < 1);
    }
    free(batch);
    free(cells);
    free(texts);
    free(scratch);
    qn_binding_free(binding);
    qn_frame_free(frame);
    qn_model_close(model);
}

static void predicting_a_row_allocates_nothing(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_model *model = NULL;
    CHECK_OK(qn_model_open(model_path, &model, &err));
    qn_cell cells[16];
    for (int64_t i = 0; i < qn_model_n_inputs(model); i++) {
        cells[i] = (qn_cell){.number = QN_NA};
    }
    void *scratch = aligned_alloc(64, (qn_model_scratch_bytes(model) + 63) / 64 * 64);
    double p;
    qn_alloc_fail_at(1, true);
    const qn_status status = qn_model_predict_row(model, cells, &p, scratch, &err);
    CHECK_INT(qn_alloc_fail_at(0, false), 0);
    CHECK_INT(status, QN_OK);
    free(scratch);
    qn_model_close(model);
}

static void opening_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_model *model = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_model_open(model_path, &model, NULL));
    qn_model_close(model);
}

static void open_damaged(size_t length)
{
    FILE *file = fopen(damaged_path, "wb");
    fwrite(bytes, 1, length, file);
    fclose(file);
    qn_error err = {0};
    qn_model *model = NULL;
    const qn_status status = qn_model_open(damaged_path, &model, &err);
    CHECK(status == QN_ERR_DATA);
    CHECK(model == NULL);
    CHECK_CONTAINS(err.message, "damaged.quern");
}

/* Every length there is, from the whole file down. */
static void every_truncation_is_refused(void **state)
{
    (void)state;
    FILE *file = fopen(damaged_path, "wb");
    CHECK(file && fwrite(bytes, 1, n_bytes, file) == n_bytes);
    fclose(file);
    for (size_t length = n_bytes; length-- > 0;) {
        qn_error err = {0};
        qn_model *model = NULL;
        CHECK_INT(truncate(damaged_path, (off_t)length), 0);
        CHECK_FAILS(QN_ERR_DATA, qn_model_open(damaged_path, &model, &err));
        CHECK(model == NULL);
        CHECK_CONTAINS(err.message, "damaged.quern");
        CHECK_CONTAINS(err.message, length < 8 ? "not a Quern model file" : "cut off");
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    uint64_t draw = 1;
    for (int i = 0; i < 10000; i++) {
        draw = draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const size_t at = (size_t)(draw >> 20) % n_bytes;
        const uint8_t bit = (uint8_t)(1u << (draw >> 60 & 7));
        bytes[at] ^= bit;
        open_damaged(n_bytes);
        bytes[at] ^= bit;
    }
}

static void a_file_that_is_no_model_is_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_model *model = NULL;
    CHECK_FAILS(QN_ERR_DATA, qn_model_open(table_path, &model, &err));
    CHECK_CONTAINS(err.message, "not a Quern model file");
    CHECK_FAILS(QN_ERR_IO, qn_model_open("/nowhere.quern", &model, &err));
    CHECK_CONTAINS(err.message, "/nowhere.quern");
}

static void a_model_describes_itself_as_json(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_model *model = NULL;
    char *text = NULL;
    qn_json *json = NULL;
    CHECK_OK(qn_model_open(model_path, &model, &err));
    CHECK_TEXT(qn_model_task(model), "binary");
    CHECK_TEXT(qn_model_class(model, 1), "yes");
    CHECK_OK(qn_model_describe(model, &text, &err));
    CHECK_OK(qn_json_parse(text, strlen(text), "describe", &json, &err));
    const qn_json_value record = qn_json_get(qn_json_root(json), "record");
    CHECK(qn_json_size(qn_json_get(record, "leaderboard")) >= 3);
    CHECK(qn_json_as_double(qn_json_get(record, "cv_score"), 0) > 0.5);
    qn_json_free(json);
    qn_text_free(text);
    qn_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(rows_one_by_one_and_a_batch_agree_bit_for_bit),
                                       TEST(predicting_a_row_allocates_nothing),
                                       TEST(opening_survives_running_out_of_memory),
                                       TEST(every_truncation_is_refused),
                                       TEST(every_flipped_bit_is_refused),
                                       TEST(a_file_that_is_no_model_is_refused),
                                       TEST(a_model_describes_itself_as_json)};
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
