/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/served_model.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "model/tree_codes.h"
#include "quern/explain.h"

#include <stdio.h>
#include <string.h>

bool qn_served_name_is_valid(const char *name)
{
    const size_t bytes = strlen(name);
    const size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789._-");
    return bytes > 0 && bytes <= QN_MODEL_NAME_BYTES_MAX && good == bytes && name[0] != '.';
}

static void close_served(qn_served_model *served)
{
    qn_explainer_free(atomic_load(&served->explainer));
    qn_prediction_text_free(served->text);
    qn_map_free(served->inputs);
    qn_free(served->columns);
    qn_free(served->names);
    qn_free(served->header);
    qn_free(served->name);
    qn_free(served->version);
    qn_model_close(served->model);
    qn_free(served);
}

qn_status qn_served_model_explainer(qn_served_model *served, const qn_explainer **out,
                                    qn_error *err)
{
    qn_explainer *there = atomic_load_explicit(&served->explainer, memory_order_acquire);
    if (!there) {
        qn_explainer *made = NULL;
        QN_TRY(qn_explainer_create(served->model, &made, err));
        if (atomic_compare_exchange_strong(&served->explainer, &there, made)) {
            there = made;
        } else {
            qn_explainer_free(made);
        }
    }
    *out = there;
    return QN_OK;
}

qn_served_model *qn_served_model_ref(qn_served_model *served)
{
    atomic_fetch_add_explicit(&served->n_refs, 1, memory_order_relaxed);
    return served;
}

void qn_served_model_unref(qn_served_model *served)
{
    if (!served) return;
    if (atomic_fetch_sub_explicit(&served->n_refs, 1, memory_order_acq_rel) == 1) {
        close_served(served);
    }
}

static qn_status no_memory(const char *path, qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to serve it", path);
}

static bool is_plain(const char *name)
{
    for (; *name; name++) {
        if ((unsigned char)*name < 0x20 || *name == '"' || *name == '\\') return false;
    }
    return true;
}

static bool list_inputs(qn_served_model *served)
{
    served->n_inputs = qn_model_n_inputs(served->model);
    served->columns = qn_alloc_array(served->n_inputs, sizeof *served->columns);
    served->names = qn_alloc_array(served->n_inputs, sizeof *served->names);
    served->inputs = qn_map_create(served->n_inputs);
    if (!served->columns || !served->names || !served->inputs) return false;
    int64_t col = -1;
    for (int64_t i = 0; i < served->n_inputs; i++) {
        col = qn_schema_next_feature(served->schema, col);
        const qn_schema_column *column = &served->schema->columns[col];
        const size_t bytes = strlen(column->name);
        served->columns[i] = column;
        if (is_plain(column->name)) served->names[i] = (qn_span){column->name, bytes};
        if (!qn_map_set(served->inputs, column->name, bytes, i)) return false;
    }
    return true;
}

/* Predicts rows of missing values. False: out of memory. */
static bool predict_nothing(const qn_served_model *served, int64_t n_rows)
{
    const int64_t n_outputs = qn_model_n_outputs(served->model);
    const size_t bytes = qn_predictor_scratch_bytes(served->predictor, n_rows);
    void *scratch = qn_alloc_aligned((int64_t)bytes, 1);
    qn_cell *cells = qn_alloc_array(n_rows * served->n_inputs, sizeof *cells);
    double *outputs = qn_alloc_array(n_rows * n_outputs, sizeof *outputs);
    const bool whole = scratch && cells && outputs;
    for (int64_t i = 0; whole && i < n_rows * served->n_inputs; i++) {
        cells[i].number = QN_NA;
    }
    if (whole) qn_predictor_predict(served->predictor, cells, n_rows, outputs, scratch);
    qn_free(scratch);
    qn_free(cells);
    qn_free(outputs);
    return whole;
}

void qn_served_model_warm_up(qn_served_model *served)
{
    if (atomic_load_explicit(&served->is_warm, memory_order_acquire)) return;
    if (predict_nothing(served, QN_TREE_CODES_ROWS_MIN)) {
        atomic_store_explicit(&served->is_warm, true, memory_order_release);
    }
}

static qn_status fill(qn_served_model *served, const char *name, const char *version,
                      const char *path, qn_error *err)
{
    qn_str header = {0};
    QN_TRY(qn_model_open_copy(path, &served->model, err));
    served->schema = qn_model_schema(served->model);
    if (!qn_task_is_supervised(served->schema->task)) {
        return qn_fail(err, QN_ERR_UNSUPPORTED,
                       "%s: a model of %s is not served; use 'quern predict'", path,
                       qn_task_name(served->schema->task));
    }
    served->predictor = qn_model_predictor(served->model);
    served->n_outputs = qn_model_n_outputs(served->model);
    served->scratch_bytes = qn_predictor_scratch_bytes(served->predictor, QN_BLOCK_ROWS);
    snprintf(served->hash, sizeof served->hash, "%016" PRIx64, qn_model_file_hash(served->model));
    qn_str_addf(&header, "quern-model: %s@%s %s\r\n", name, version, served->hash);
    served->header = qn_str_take_text(&header);
    served->name = qn_strdup(name);
    served->version = qn_strdup(version);
    if (!served->header || !served->name || !served->version || !list_inputs(served)) {
        return no_memory(path, err);
    }
    QN_TRY(qn_prediction_text_create(served->model, &served->text, err));
    return predict_nothing(served, 1) ? QN_OK : no_memory(path, err);
}

qn_status qn_served_model_open(const char *name, const char *version, const char *path,
                               qn_served_model **out, qn_error *err)
{
    *out = NULL;
    const double begun = qn_clock_s();
    qn_served_model *served = qn_alloc_array(1, sizeof *served);
    if (!served) return no_memory(path, err);
    atomic_init(&served->n_refs, 1);
    const qn_status status = fill(served, name, version, path, err);
    if (status != QN_OK) {
        close_served(served);
        return status;
    }
    served->loaded_s = qn_clock_s() - begun;
    *out = served;
    return QN_OK;
}
