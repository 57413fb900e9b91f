/* SPDX-License-Identifier: Apache-2.0 */
/* The public model: an open bundle. */
#include "bundle/bundle.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/pool.h"
#include "bundle/bundle_file.h"
#include "explain/importance.h"

#include <string.h>

struct qn_model {
    char *path;
    qn_bundle_file file;
    qn_schema *schema;
    qn_predictor *predictor;
    qn_record record;
    int64_t n_inputs;
    int64_t *inputs; /* schema column of each */
};

void qn_model_close(qn_model *model)
{
    if (!model) return;
    qn_predictor_free(model->predictor);
    qn_schema_free(model->schema);
    qn_record_release(&model->record);
    qn_bundle_file_close(&model->file);
    qn_free(model->inputs);
    qn_free(model->path);
    qn_free(model);
}

static qn_status missing_section(const char *path, const char *name, qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "%s: the model file has no section '%s'", path, name);
}

static qn_status read_schema(qn_model *model, qn_error *err)
{
    const qn_section *section = qn_bundle_file_section(&model->file, "schema");
    qn_json *json = NULL;
    if (!section) return missing_section(model->path, "schema", err);
    QN_TRY(qn_json_parse((const char *)section->data, section->bytes, model->path, &json, err));
    const qn_status status = qn_schema_read_json(qn_json_root(json), &model->schema, err);
    qn_json_free(json);
    return status;
}

static qn_status read_record(qn_model *model, qn_error *err)
{
    const qn_section *section = qn_bundle_file_section(&model->file, "record");
    qn_json *json = NULL;
    if (!section) return missing_section(model->path, "record", err);
    QN_TRY(qn_json_parse((const char *)section->data, section->bytes, model->path, &json, err));
    const qn_status status = qn_record_read_json(qn_json_root(json), &model->record, err);
    qn_json_free(json);
    return status;
}

static qn_status read_predictor(qn_model *model, qn_error *err)
{
    const qn_section *section = qn_bundle_file_section(&model->file, "predictor");
    if (!section) return missing_section(model->path, "predictor", err);
    qn_reader reader = {.data = section->data, .bytes = section->bytes};
    const qn_status status = qn_predictor_read(&reader, model->schema, &model->predictor, err);
    return status == QN_ERR_DATA ? qn_fail_context(err, status, "%s", model->path) : status;
}

static qn_status list_inputs(qn_model *model, qn_error *err)
{
    model->n_inputs = qn_schema_n_features(model->schema);
    model->inputs = qn_alloc_array(model->n_inputs, sizeof *model->inputs);
    if (!model->inputs) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory", model->path);
    int64_t col = -1;
    for (int64_t i = 0; i < model->n_inputs; i++) {
        model->inputs[i] = col = qn_schema_next_feature(model->schema, col);
    }
    return QN_OK;
}

static qn_status open_model(const char *path, bool copy, qn_model **out, qn_error *err)
{
    *out = NULL;
    qn_model *model = qn_alloc_array(1, sizeof *model);
    if (model) model->path = qn_strdup(path);
    if (!model || !model->path) {
        qn_model_close(model);
        return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to open it", path);
    }
    qn_status status = qn_bundle_file_open(path, copy, &model->file, err);
    if (status == QN_OK) status = read_schema(model, err);
    if (status == QN_OK) status = read_record(model, err);
    if (status == QN_OK) status = read_predictor(model, err);
    if (status == QN_OK) status = list_inputs(model, err);
    if (status != QN_OK) {
        qn_model_close(model);
        return status;
    }
    *out = model;
    return QN_OK;
}

qn_status qn_model_open(const char *path, qn_model **out, qn_error *err)
{
    return open_model(path, false, out, err);
}

qn_status qn_model_open_copy(const char *path, qn_model **out, qn_error *err)
{
    return open_model(path, true, out, err);
}

int64_t qn_model_n_inputs(const qn_model *model)
{
    return model->n_inputs;
}

const char *qn_model_input_name(const qn_model *model, int64_t input)
{
    return model->schema->columns[model->inputs[input]].name;
}

const char *qn_model_task(const qn_model *model)
{
    return qn_task_name(model->schema->task);
}

int32_t qn_model_n_classes(const qn_model *model)
{
    return model->schema->n_classes;
}

const char *qn_model_class(const qn_model *model, int32_t c)
{
    return model->schema->classes[c];
}

int32_t qn_model_n_outputs(const qn_model *model)
{
    return model->predictor->n_outputs;
}

int32_t qn_model_decide(const qn_model *model, const double *outputs)
{
    return qn_predictor_decide(model->predictor, outputs);
}

size_t qn_model_cells_bytes(const qn_model *model)
{
    const size_t one = sizeof(qn_cell) + QN_VALUE_TEXT_BYTES;
    return ((size_t)model->n_inputs * one + 63) / 64 * 64;
}

size_t qn_model_scratch_bytes(const qn_model *model)
{
    return qn_model_cells_bytes(model) + qn_predictor_scratch_bytes(model->predictor, 1);
}

qn_status qn_model_normalise(const qn_model *model, const qn_cell *cells, qn_cell *out,
                             qn_error *err)
{
    char *texts = (char *)(out + model->n_inputs);
    for (int64_t i = 0; i < model->n_inputs; i++) {
        QN_TRY(qn_cell_normalise(&model->schema->columns[model->inputs[i]], &cells[i],
                                 texts + i * QN_VALUE_TEXT_BYTES, &out[i], err));
    }
    return QN_OK;
}

qn_status qn_model_predict_row(const qn_model *model, const qn_cell *cells, double *outputs,
                               void *scratch, qn_error *err)
{
    qn_cell *normal = scratch;
    QN_TRY(qn_model_normalise(model, cells, normal, err));
    qn_predictor_predict(model->predictor, normal, 1, outputs,
                         (char *)scratch + qn_model_cells_bytes(model));
    return QN_OK;
}

qn_status qn_model_require_intervals(const qn_model *model, qn_error *err)
{
    if (model->predictor->intervals.n_groups > 0) return QN_OK;
    if (model->schema->task != QN_TASK_REGRESSION) {
        return qn_fail(err, QN_ERR_UNSUPPORTED,
                       "%s: intervals are for regression; the task of this model is %s",
                       model->path, qn_task_name(model->schema->task));
    }
    return qn_fail(err, QN_ERR_UNSUPPORTED,
                   "%s: it holds no intervals: they need held-out predictions of 20 rows and more; "
                   "fit it again from such a table",
                   model->path);
}

qn_status qn_model_interval(const qn_model *model, double level, const double *outputs, double *low,
                            double *high, qn_error *err)
{
    const int found = qn_interval_level_find(level);
    QN_TRY(qn_model_require_intervals(model, err));
    if (found < 0) {
        return qn_fail(err, QN_ERR_ARG, "interval: %g is none of 0.5, 0.8, 0.9, 0.95, 0.99", level);
    }
    qn_predictor_interval(model->predictor, found, outputs, low, high);
    return QN_OK;
}

qn_status qn_model_predict(const qn_model *model, const qn_frame *frame, int n_threads,
                           double *outputs, qn_error *err)
{
    qn_binding *binding = NULL;
    QN_TRY(qn_binding_create(model->schema, frame, &binding, err));
    qn_pool *pool = qn_pool_create(n_threads);
    const qn_status status =
        qn_predictor_transform(model->predictor, binding, NULL, frame->n_rows, pool, outputs, err);
    qn_pool_free(pool);
    qn_binding_free(binding);
    return status;
}

static qn_status write_split_importance(const qn_model *model, qn_json_writer *json, qn_error *err)
{
    double *gains = qn_alloc_array(model->n_inputs, sizeof *gains);
    int64_t *n_splits = qn_alloc_array(model->n_inputs, sizeof *n_splits);
    qn_status status = gains && n_splits
                           ? qn_split_importance(model->predictor, gains, n_splits, err)
                           : qn_fail(err, QN_ERR_NOMEM, "no memory to describe the model");
    qn_json_key(json, "split_importance");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < model->n_inputs && status == QN_OK; i++) {
        qn_json_begin_object(json);
        qn_json_put_text(json, "column", qn_model_input_name(model, i));
        qn_json_put_double(json, "gain", gains[i]);
        qn_json_put_int(json, "splits", n_splits[i]);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
    qn_free(gains);
    qn_free(n_splits);
    return status;
}

qn_status qn_model_describe(const qn_model *model, char **json_text, qn_error *err)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "model", model->path);
    qn_json_put_int(&json, "bytes", (int64_t)model->file.map.bytes);
    qn_json_put_int(&json, "format", QN_BUNDLE_VERSION);
    qn_json_key(&json, "schema");
    qn_schema_write_json(model->schema, &json);
    qn_json_key(&json, "predictor");
    qn_predictor_describe(model->predictor, &json);
    const qn_status status = write_split_importance(model, &json, err);
    qn_json_key(&json, "record");
    qn_record_write_json(&model->record, &json);
    qn_json_end_object(&json);
    if (status != QN_OK) {
        qn_str_release(&text);
        return status;
    }
    *json_text = qn_str_take_text(&text);
    return *json_text ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to describe the model");
}

void qn_text_free(char *text)
{
    qn_free(text);
}

const qn_schema *qn_model_schema(const qn_model *model)
{
    return model->schema;
}

const qn_predictor *qn_model_predictor(const qn_model *model)
{
    return model->predictor;
}

const qn_record *qn_model_record(const qn_model *model)
{
    return &model->record;
}

const char *qn_model_path(const qn_model *model)
{
    return model->path;
}

int64_t qn_model_file_bytes(const qn_model *model)
{
    return (int64_t)model->file.map.bytes;
}

uint64_t qn_model_file_hash(const qn_model *model)
{
    return qn_hash64(model->file.map.data, model->file.map.bytes);
}

static qn_section section_of(const char *name, const void *data, size_t bytes)
{
    qn_section section = {.data = data, .bytes = bytes};
    memcpy(section.name, name, strlen(name));
    return section;
}

qn_status qn_bundle_write(const char *path, const qn_schema *schema, const qn_predictor *predictor,
                          const qn_record *record, qn_error *err)
{
    qn_str schema_text = {0}, record_text = {0};
    qn_json_writer schema_json = {.out = &schema_text}, record_json = {.out = &record_text};
    qn_writer writer = {0};
    qn_schema_write_json(schema, &schema_json);
    qn_record_write_json(record, &record_json);
    qn_predictor_write(predictor, &writer);
    qn_status status;
    if (schema_text.failed || record_text.failed || writer.failed) {
        status = qn_fail(err, QN_ERR_NOMEM, "%s: no memory to write it", path);
    } else {
        const qn_section sections[] = {section_of("schema", schema_text.text, schema_text.bytes),
                                       section_of("record", record_text.text, record_text.bytes),
                                       section_of("predictor", writer.data, writer.bytes)};
        status = qn_bundle_file_write(path, sections, 3, err);
    }
    qn_str_release(&schema_text);
    qn_str_release(&record_text);
    qn_writer_release(&writer);
    return status;
}
