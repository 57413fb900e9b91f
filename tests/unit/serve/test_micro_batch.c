/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/micro_batch.h"

#include "base/rng.h"

#include "served.h"

enum { N_MODELS = 2, ROWS_MAX = 3, N_REQUESTS = QN_BLOCK_ROWS / ROWS_MAX };

static char folder[] = "/tmp/quern-batch-XXXXXX";
static qn_served_model *models[N_MODELS];
static qn_workspace workspace;

static int open_models(void **state)
{
    (void)state;
    static const char *const tasks[N_MODELS] = {"binary", "multiclass"};
    if (!mkdtemp(folder)) return -1;
    for (int m = 0; m < N_MODELS; m++) {
        qn_error err = {0};
        char path[128];
        served_fit(folder, tasks[m], 1, path, sizeof path);
        CHECK_OK(qn_served_model_open("m", "1", path, &models[m], &err));
        CHECK(qn_workspace_reserve(&workspace, models[m]));
    }
    return 0;
}

static int close_models(void **state)
{
    (void)state;
    char command[160];
    for (int m = 0; m < N_MODELS; m++) {
        qn_served_model_unref(models[m]);
    }
    qn_workspace_release(&workspace);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* Rows of which each is different. */
static void draw_block(qn_rng *rng, const qn_served_model *model, int64_t n_rows, qn_cell *cells,
                       qn_rows_block *block)
{
    static const char *const colours[] = {"red", "green", "blue"};
    *block = (qn_rows_block){.cells = cells, .n_rows = n_rows, .by_row = qn_rng_below(rng, 2) == 0};
    for (int64_t row = 0; row < n_rows; row++) {
        for (int64_t i = 0; i < model->n_inputs; i++) {
            qn_cell *cell = &cells[block->by_row ? row * model->n_inputs + i : i * n_rows + row];
            *cell = (qn_cell){.number = QN_NA};
            if (strcmp(model->columns[i]->name, "size") == 0) {
                cell->number = 50 * qn_rng_uniform(rng);
            } else if (strcmp(model->columns[i]->name, "colour") == 0) {
                cell->text = colours[qn_rng_below(rng, 3)];
                cell->text_bytes = strlen(cell->text);
            }
        }
    }
}

static void predict_alone(const qn_served_model *model, const qn_rows_block *block, double *outputs)
{
    const qn_rows rows = {.model = model};
    qn_rows_predict(&rows, block, workspace.turned, outputs, workspace.scratch);
}

static void requests_get_what_they_get_alone(void **state)
{
    (void)state;
    qn_rng rng;
    qn_arena memory = {0};
    qn_micro_batch batch = {0};
    qn_gathered *gathered[N_REQUESTS];
    double expected[N_REQUESTS][3 * ROWS_MAX];
    qn_rng_init(&rng, 3, 0);
    for (int round = 0; round < 20; round++) {
        for (int r = 0; r < N_REQUESTS; r++) {
            qn_cell cells[ROWS_MAX * 5];
            qn_rows_block block;
            const qn_served_model *model = models[qn_rng_below(&rng, N_MODELS)];
            CHECK(model->n_inputs == 5 && model->n_outputs <= 3);
            draw_block(&rng, model, 1 + qn_rng_below(&rng, ROWS_MAX), cells, &block);
            predict_alone(model, &block, expected[r]);
            gathered[r] = qn_micro_batch_add(&batch, model, &block, &memory);
            CHECK(gathered[r] && !gathered[r]->predicted);
            memset(cells, 0xff, sizeof cells); /* the batch has its own */
        }
        bool gone[N_REQUESTS] = {false};
        for (int r = 0; r < N_REQUESTS; r++) {
            gone[r] = qn_rng_below(&rng, 4) == 0;
            if (gone[r]) qn_micro_batch_remove(&batch, gathered[r]);
        }
        qn_micro_batch_predict(&batch, &workspace);
        CHECK(!batch.first && !batch.last && batch.n_rows == 0);
        for (int r = 0; r < N_REQUESTS; r++) {
            const qn_gathered *g = gathered[r];
            const size_t bytes = (size_t)(g->block.n_rows * g->model->n_outputs) * sizeof(double);
            CHECK_INT(g->predicted, !gone[r]);
            if (!gone[r]) CHECK(memcmp(g->outputs, expected[r], bytes) == 0);
        }
        qn_arena_reset(&memory);
    }
    qn_arena_release(&memory);
}

static void a_full_batch_takes_no_more(void **state)
{
    (void)state;
    qn_rng rng;
    qn_arena memory = {0};
    qn_micro_batch batch = {0};
    qn_cell cells[QN_GATHERED_ROWS_MAX * 5];
    qn_rows_block block;
    qn_rng_init(&rng, 4, 0);
    draw_block(&rng, models[0], QN_GATHERED_ROWS_MAX, cells, &block);
    for (int i = 0; i < QN_BLOCK_ROWS / QN_GATHERED_ROWS_MAX; i++) {
        CHECK(qn_micro_batch_add(&batch, models[0], &block, &memory) != NULL);
    }
    block.n_rows = 1;
    CHECK(!qn_micro_batch_add(&batch, models[0], &block, &memory));
    qn_micro_batch_predict(&batch, &workspace);
    CHECK(qn_micro_batch_add(&batch, models[0], &block, &memory) != NULL);
    qn_micro_batch_predict(&batch, &workspace);
    qn_arena_release(&memory);
}

/* An arena that cannot grow leaves the batch as it was. */
static void without_memory_nothing_is_added(void **state)
{
    (void)state;
    qn_rng rng;
    qn_cell cells[5];
    qn_rows_block block;
    qn_rng_init(&rng, 5, 0);
    draw_block(&rng, models[0], 1, cells, &block);
    for (int64_t nth = 1;; nth++) {
        qn_arena memory = {0};
        qn_micro_batch batch = {0};
        qn_alloc_fail_at(nth, false);
        const qn_gathered *added = qn_micro_batch_add(&batch, models[0], &block, &memory);
        qn_alloc_fail_at(0, false);
        CHECK_INT(batch.n_rows, added ? 1 : 0);
        CHECK(batch.first == added && batch.last == added);
        qn_arena_release(&memory);
        if (added) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(requests_get_what_they_get_alone),
                                       TEST(a_full_batch_takes_no_more),
                                       TEST(without_memory_nothing_is_added)};
    return cmocka_run_group_tests(tests, open_models, close_models);
}
