/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol, version 2 (KServe, Triton), but for inference itself: health and
 * what the models' tensors are. */
#include "base/json.h"
#include "serve/handlers/handlers.h"
#include "serve/security/gate.h"

#include <string.h>

static qn_step finish(qn_exchange *x, qn_json_writer *json)
{
    qn_json_end_object(json);
    qn_str_add_char(&x->out, '\n');
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}

qn_step qn_handle_v2_server(qn_exchange *x)
{
    qn_json_writer json = {.out = &x->out};
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "name", "quern");
    qn_json_put_text(&json, "version", qn_version());
    qn_json_key(&json, "extensions");
    qn_json_begin_array(&json);
    qn_json_text(&json, "binary_tensor_data");
    qn_json_text(&json, "statistics");
    qn_json_text(&json, "model_repository");
    qn_json_end_array(&json);
    return finish(x, &json);
}

static qn_step answer(qn_exchange *x, bool good, const char *key)
{
    qn_json_writer json = {.out = &x->out};
    qn_reply_begin(&x->reply, good ? 200 : 503, "application/json", NULL);
    qn_json_begin_object(&json);
    qn_json_put_bool(&json, key, good);
    return finish(x, &json);
}

qn_step qn_handle_v2_live(qn_exchange *x)
{
    return answer(x, true, "live");
}

qn_step qn_handle_v2_ready(qn_exchange *x)
{
    return answer(x, qn_server_get_state(x->worker->server) == QN_SERVER_READY, "ready");
}

static const char *datatype_of(const qn_schema_column *column)
{
    switch (column->kind) {
    case QN_KIND_CATEGORICAL:
    case QN_KIND_TEXT:
    case QN_KIND_DATETIME:
        return "BYTES";
    case QN_KIND_BOOLEAN:
        return "BOOL";
    case QN_KIND_NUMERIC:
    case QN_KIND_ID:
    case QN_KIND_CONSTANT:
        break;
    }
    return "FP64";
}

/* -1: any number of rows; `n_columns` 0: of one dimension. */
static void write_tensor(qn_json_writer *json, const char *name, const char *datatype,
                         int32_t n_columns)
{
    qn_json_put_text(json, "name", name);
    qn_json_put_text(json, "datatype", datatype);
    qn_json_key(json, "shape");
    qn_json_begin_array(json);
    qn_json_int(json, -1);
    if (n_columns > 0) qn_json_int(json, n_columns);
    qn_json_end_array(json);
}

static void write_labels(const qn_model *model, qn_json_writer *json)
{
    qn_json_key(json, "parameters");
    qn_json_begin_object(json);
    qn_json_key(json, "labels");
    qn_json_begin_array(json);
    for (int32_t c = 0; c < qn_model_n_classes(model); c++) {
        qn_json_text(json, qn_model_class(model, c));
    }
    qn_json_end_array(json);
    qn_json_end_object(json);
}

static void write_outputs(const qn_served_model *served, qn_json_writer *json)
{
    const bool has_labels = qn_model_n_classes(served->model) > 0;
    for (int i = 0; i < QN_TENSOR_OUTPUTS; i++) {
        const char *name = qn_tensor_output_name(served->text, i);
        const bool matrix = i != QN_TENSOR_PREDICTION;
        if (!name) continue;
        qn_json_begin_object(json);
        write_tensor(json, name, has_labels && !matrix ? "BYTES" : "FP64",
                     matrix ? qn_tensor_n_columns(served->text, i) : 0);
        if (matrix && has_labels) write_labels(served->model, json);
        qn_json_end_object(json);
    }
}

qn_step qn_handle_v2_model(qn_exchange *x)
{
    const qn_catalog_entry *entry = qn_exchange_find_model(x);
    if (!entry) return QN_STEP_DONE;
    qn_json_writer json = {.out = &x->out};
    qn_reply_begin(&x->reply, 200, "application/json", entry->model->header);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "name", entry->name);
    qn_json_key(&json, "versions");
    qn_json_begin_array(&json);
    for (int64_t i = 0; i < x->worker->catalog->n_entries; i++) {
        const qn_catalog_entry *other = &x->worker->catalog->entries[i];
        if (strcmp(other->name, entry->name) == 0) qn_json_text(&json, other->version);
    }
    qn_json_end_array(&json);
    qn_json_put_text(&json, "platform", "quern");
    qn_json_key(&json, "inputs");
    qn_json_begin_array(&json);
    for (int64_t i = 0; i < entry->model->n_inputs; i++) {
        qn_json_begin_object(&json);
        write_tensor(&json, entry->model->columns[i]->name, datatype_of(entry->model->columns[i]),
                     0);
        qn_json_end_object(&json);
    }
    qn_json_end_array(&json);
    qn_json_key(&json, "outputs");
    qn_json_begin_array(&json);
    write_outputs(entry->model, &json);
    qn_json_end_array(&json);
    return finish(x, &json);
}

qn_step qn_handle_v2_model_ready(qn_exchange *x)
{
    const qn_catalog_entry *entry = qn_exchange_find_model(x);
    if (!entry) return QN_STEP_DONE;
    qn_json_writer json = {.out = &x->out};
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "name", entry->name);
    qn_json_put_bool(&json, "ready", true);
    return finish(x, &json);
}

/* Statistics, by Triton's words for them. */

static void write_figure(qn_json_writer *json, const char *name, uint64_t count, uint64_t ns)
{
    qn_json_key(json, name);
    qn_json_begin_object(json);
    qn_json_put_int(json, "count", (int64_t)count);
    qn_json_put_int(json, "ns", (int64_t)ns);
    qn_json_end_object(json);
}

/* Summed over the loops. */
static void write_statistics(const qn_catalog_entry *entry, int n_loops, qn_json_writer *json)
{
    uint64_t good = 0, good_ns = 0, bad = 0, bad_ns = 0, rows = 0;
    for (int i = 0; i < n_loops; i++) {
        const qn_model_counters *counters = &entry->counters[i];
        good += qn_count_get(&counters->requests[QN_OUTCOME_OK]);
        good_ns += qn_count_get(&counters->seconds[QN_OUTCOME_OK].sum_ns);
        for (qn_outcome o = QN_OUTCOME_INVALID; o < QN_N_OUTCOMES; o++) {
            bad += qn_count_get(&counters->requests[o]);
            bad_ns += qn_count_get(&counters->seconds[o].sum_ns);
        }
        rows += qn_count_get(&counters->rows);
    }
    qn_json_begin_object(json);
    qn_json_put_text(json, "name", entry->name);
    qn_json_put_text(json, "version", entry->version);
    qn_json_put_int(json, "inference_count", (int64_t)rows);
    qn_json_put_int(json, "execution_count", (int64_t)good);
    qn_json_key(json, "inference_stats");
    qn_json_begin_object(json);
    write_figure(json, "success", good, good_ns);
    write_figure(json, "fail", bad, bad_ns);
    qn_json_end_object(json);
    qn_json_end_object(json);
}

/* Of all versions of `name`, or of that one; NULL: of all models that the client may read. */
static qn_step answer_statistics(qn_exchange *x, const char *name, const char *version)
{
    const qn_catalog *catalog = x->worker->catalog;
    qn_json_writer json = {.out = &x->out};
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_json_begin_object(&json);
    qn_json_key(&json, "model_stats");
    qn_json_begin_array(&json);
    for (int64_t i = 0; i < catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &catalog->entries[i];
        if (name ? strcmp(entry->name, name) != 0 : !qn_gate_shows(x, entry->name)) continue;
        if (version && strcmp(entry->version, version) != 0) continue;
        write_statistics(entry, qn_server_n_loops(x->worker->server), &json);
    }
    qn_json_end_array(&json);
    return finish(x, &json);
}

qn_step qn_handle_v2_statistics(qn_exchange *x)
{
    return answer_statistics(x, NULL, NULL);
}

qn_step qn_handle_v2_model_statistics(qn_exchange *x)
{
    const qn_catalog_entry *entry = qn_exchange_find_model(x);
    if (!entry) return QN_STEP_DONE;
    return answer_statistics(x, entry->name, x->params[1].text ? entry->version : NULL);
}
