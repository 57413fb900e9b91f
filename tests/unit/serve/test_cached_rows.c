/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that the cache knows in part: every row gets, bit for bit, what the model gives it alone.
 */
#include "serve/models/cached_rows.h"

#include "base/rng.h"

#include "served.h"

enum { N_KNOWN = 40, N_ROUNDS = 60 };

static char folder[] = "/tmp/quern-cached-XXXXXX";
static qn_served_model *model;
static qn_workspace workspace;

static int open_model(void **state)
{
    (void)state;
    qn_error err = {0};
    char path[128];
    if (!mkdtemp(folder)) return -1;
    served_fit(folder, "multiclass", 1, path, sizeof path);
    CHECK_OK(qn_served_model_open("m", "1", path, &model, &err));
    CHECK(qn_workspace_reserve(&workspace, model));
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    char command[160];
    qn_served_model_unref(model);
    qn_workspace_release(&workspace);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* The row of that number, into every `stride`-th cell. */
static void put_row(int64_t number, qn_cell *cells, int64_t stride)
{
    static const char *const colours[] = {"red", "green", "blue"};
    for (int64_t i = 0; i < model->n_inputs; i++) {
        qn_cell *cell = &cells[i * stride];
        *cell = (qn_cell){.number = QN_NA};
        if (strcmp(model->columns[i]->name, "size") == 0) {
            cell->number = 0.7 * (double)number;
        } else if (strcmp(model->columns[i]->name, "colour") == 0) {
            cell->text = colours[number % 3];
            cell->text_bytes = strlen(cell->text);
        }
    }
}

static void check_row(int64_t number, const double *outputs)
{
    qn_cell cells[8];
    double alone[3];
    CHECK(model->n_inputs <= 8 && model->n_outputs == 3);
    put_row(number, cells, 1);
    qn_predictor_predict(model->predictor, cells, 1, alone, workspace.scratch);
    CHECK(memcmp(outputs, alone, sizeof alone) == 0);
}

/* As the server does; how many rows the model predicted. */
static int64_t predict(qn_prediction_cache *cache, const qn_rows_block *block)
{
    qn_missed_rows missed;
    qn_cached_rows_find(cache, model, block, &workspace, &missed);
    if (missed.n > 0) qn_cached_rows_predict(model, block, &missed, &workspace);
    qn_cached_rows_put(cache, model, block, &missed, workspace.outputs, &workspace);
    return missed.n;
}

static void every_row_gets_what_it_gets_alone(void **state)
{
    (void)state;
    qn_prediction_cache *cache = qn_prediction_cache_create(QN_PREDICTION_CACHE_BYTES_MIN);
    qn_rng rng;
    int64_t n_rows = 0, n_missed = 0;
    CHECK(cache != NULL);
    qn_rng_init(&rng, 1, 0);
    for (int round = 0; round < N_ROUNDS; round++) {
        qn_rows_block block = {.cells = workspace.cells,
                               .n_rows = 1 + qn_rng_below(&rng, QN_BLOCK_ROWS),
                               .by_row = qn_rng_below(&rng, 2) == 0};
        int64_t numbers[QN_BLOCK_ROWS];
        for (int64_t row = 0; row < block.n_rows; row++) {
            numbers[row] =
                qn_rng_below(&rng, 4) > 0 ? qn_rng_below(&rng, N_KNOWN) : 1000 * (round + 1) + row;
            put_row(numbers[row], block.cells + (block.by_row ? row * model->n_inputs : row),
                    block.by_row ? 1 : block.n_rows);
        }
        n_missed += predict(cache, &block);
        n_rows += block.n_rows;
        for (int64_t row = 0; row < block.n_rows; row++) {
            check_row(numbers[row], workspace.outputs + row * model->n_outputs);
        }
    }
    CHECK(n_missed > n_rows / 5 && n_missed < n_rows / 2); /* a quarter is new */
    qn_prediction_cache_free(cache);
}

static void what_was_all_missed_is_all_known(void **state)
{
    (void)state;
    qn_prediction_cache *cache = qn_prediction_cache_create(QN_PREDICTION_CACHE_BYTES_MIN);
    const qn_rows_block block = {.cells = workspace.cells, .n_rows = 5, .by_row = true};
    qn_missed_rows missed;
    double outputs[5 * 3];
    CHECK(cache != NULL);
    for (int64_t row = 0; row < block.n_rows; row++) {
        put_row(row, block.cells + row * model->n_inputs, 1);
    }
    qn_cached_rows_find(cache, model, &block, &workspace, &missed);
    CHECK_INT(missed.n, 5);
    for (int64_t row = 0; row < 5; row++) {
        CHECK_INT(missed.rows[row], row);
    }
    for (int i = 0; i < 15; i++) {
        outputs[i] = i;
    }
    qn_cached_rows_put(cache, model, &block, NULL, outputs, &workspace);
    qn_cached_rows_find(cache, model, &block, &workspace, &missed);
    CHECK_INT(missed.n, 0);
    CHECK(memcmp(workspace.outputs, outputs, sizeof outputs) == 0);
    qn_prediction_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_row_gets_what_it_gets_alone),
                                       TEST(what_was_all_missed_is_all_known)};
    return cmocka_run_group_tests(tests, open_model, close_model);
}
