/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the body of a prediction request: the first byte chooses how the rest is written and
 * whether categories must be known; of tensors, the next two bytes may say where binary data begin.
 * The model is fitted once, on a table with every kind of column. */
#include "base/alloc.h"
#include "fuzz.h"
#include "quern/quern.h"
#include "serve/rows/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static qn_served_model *model;

static void write_table(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file) abort();
    fputs("size,colour,when,open,label\n", file);
    for (int i = 0; i < 60; i++) {
        fprintf(file, "%d.5,%s,2020-%02d-01,%s,%s\n", i * 7 % 20, i % 3 ? "red" : "blue",
                i % 12 + 1, i % 5 ? "true" : "false", i * 7 % 20 > 9 ? "yes" : "no");
    }
    fclose(file);
}

static void fit_model(void)
{
    char folder[] = "/tmp/quern-fuzz-XXXXXX", table[64], path[64];
    qn_fit_result result;
    qn_error err;
    if (!mkdtemp(folder)) abort();
    snprintf(table, sizeof table, "%s/table.csv", folder);
    snprintf(path, sizeof path, "%s/model.quern", folder);
    write_table(table);
    const qn_fit_request request = {.table = table,
                                    .target = "label",
                                    .model = path,
                                    .report = "",
                                    .learners = "gbdt",
                                    .n_trials = 1,
                                    .n_folds = 2,
                                    .n_threads = 1};
    if (qn_fit(&request, &result, &err) != QN_OK ||
        qn_served_model_open("m", "1", path, &model, &err) != QN_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    qn_fit_result_release(&result);
    unlink(table);
    unlink(path);
    rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static qn_status (*const openers[])(qn_rows *, const char *, size_t, qn_error *) = {
        qn_rows_open_json, qn_rows_open_lines, qn_rows_open_csv, qn_rows_open_tensors};
    if (!model) fit_model();
    if (bytes == 0) return 0;
    qn_arena memory = {0};
    const uint8_t how = data[0];
    qn_rows rows = {.model = model, .memory = &memory, .n_rows_max = 1000, .known_only = how & 4};
    if (how & 8 && bytes > 2) {
        rows.json_bytes = data[1] + 256u * data[2];
        data += 2;
        bytes -= 2;
    }
    const int64_t n_cells = model->n_inputs * QN_BLOCK_ROWS;
    qn_rows_block block = {.cells = qn_alloc_array(n_cells, sizeof(qn_cell))};
    qn_cell *turned = qn_alloc_array(n_cells, sizeof *turned);
    double *outputs = qn_alloc_array(QN_BLOCK_ROWS * qn_model_n_outputs(model->model), 8);
    void *scratch =
        qn_alloc_aligned((int64_t)qn_predictor_scratch_bytes(model->predictor, QN_BLOCK_ROWS), 1);
    qn_error err;
    qn_status status = openers[how % 4](&rows, (const char *)data + 1, bytes - 1, &err);
    block.n_rows = QN_BLOCK_ROWS;
    while (status == QN_OK && block.n_rows == QN_BLOCK_ROWS) {
        status = qn_rows_next(&rows, &block, &err);
        if (status == QN_OK) qn_rows_predict(&rows, &block, turned, outputs, scratch);
    }
    qn_rows_release(&rows);
    qn_arena_release(&memory);
    qn_free(block.cells);
    qn_free(turned);
    qn_free(outputs);
    qn_free(scratch);
    return 0;
}
