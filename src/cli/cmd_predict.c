/* SPDX-License-Identifier: Apache-2.0 */
/* quern predict: predictions for every row of a table, as CSV or JSON lines. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "bundle/bundle.h"
#include "bundle/prediction_text.h"
#include "cli/commands.h"
#include "quern/explain.h"
#include "source/source.h"

#include <stdio.h>
#include <string.h>

struct predict_request {
    const char *arguments[2];
    const char *output, *keep, *interval;
    int64_t n_threads;
    bool json, explain;
};

#define AT(member) offsetof(struct predict_request, member)

static const cli_option options[] = {
    {"o", CLI_TEXT, AT(output), "FILE",
     "file to write, .csv or .jsonl (default: CSV to standard output)", NULL, false},
    {"keep", CLI_TEXT, AT(keep), "A,B", "columns of TABLE to copy in front", NULL, false},
    {"explain", CLI_FLAG, AT(explain), NULL, "the part of each column in each prediction", NULL,
     false},
    {"interval", CLI_TEXT, AT(interval), "LEVEL",
     "interval of a regression: 0.5, 0.8, 0.9, 0.95 or 0.99 of targets lie inside", NULL, false},
    {"json", CLI_FLAG, AT(json), NULL, "JSON lines rather than CSV", NULL, false},
    {"threads", CLI_COUNT, AT(n_threads), "N", "threads (default: all cores)", NULL, false},
    {0}};

struct output {
    const qn_model *model;
    const qn_frame *frame;
    qn_prediction_text *predictions;
    int64_t n_kept, *kept; /* columns of the frame */
    bool json;
    bool explained;
    int level; /* of intervals; -1: none */
    qn_parts parts;
    qn_str text;
};

static void add_header(struct output *out)
{
    for (int64_t i = 0; i < out->n_kept; i++) {
        const char *name = out->frame->columns[out->kept[i]].name;
        qn_csv_add_field(&out->text, name, strlen(name));
        qn_str_add_char(&out->text, ',');
    }
    qn_prediction_add_csv_header(out->predictions, &out->text);
    if (out->level >= 0) qn_prediction_add_csv_interval_header(&out->text);
    if (out->explained) qn_str_add(&out->text, ",explain_expected");
    for (int64_t i = 0; out->explained && i < qn_model_n_inputs(out->model); i++) {
        qn_str name = {0};
        qn_str_addf(&name, "explain_%s", qn_model_input_name(out->model, i));
        qn_str_add_char(&out->text, ',');
        if (!name.failed) qn_csv_add_field(&out->text, name.text, name.bytes);
        qn_str_release(&name);
    }
    qn_str_add_char(&out->text, '\n');
}

static void add_csv_row(struct output *out, int64_t row, const double *outputs)
{
    for (int64_t i = 0; i < out->n_kept; i++) {
        const qn_column *column = &out->frame->columns[out->kept[i]];
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        if (!qn_column_is_missing(column, row)) {
            const char *text = qn_column_text(column, row, scratch, &bytes);
            qn_csv_add_field(&out->text, text, bytes);
        }
        qn_str_add_char(&out->text, ',');
    }
    qn_prediction_add_csv(out->predictions, outputs, &out->text);
    if (out->level >= 0) {
        qn_prediction_add_csv_interval(out->predictions, out->level, outputs, &out->text);
    }
    const int64_t n_inputs = qn_model_n_inputs(out->model);
    for (int64_t i = -1; out->explained && i < n_inputs; i++) {
        qn_str_add_char(&out->text, ',');
        qn_str_add_double(&out->text, i < 0 ? out->parts.expected[row]
                                            : out->parts.columns[row * n_inputs + i]);
    }
    qn_str_add_char(&out->text, '\n');
}

static void add_json_row(struct output *out, int64_t row, const double *outputs)
{
    qn_json_writer json = {.out = &out->text};
    qn_json_begin_object(&json);
    for (int64_t i = 0; i < out->n_kept; i++) {
        const qn_column *column = &out->frame->columns[out->kept[i]];
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        qn_json_key(&json, column->name);
        if (qn_column_is_missing(column, row)) {
            qn_json_null(&json);
        } else if (column->type == QN_TYPE_INT64 || column->type == QN_TYPE_FLOAT64) {
            qn_json_double(&json, qn_column_number(column, row));
        } else {
            const char *text = qn_column_text(column, row, scratch, &bytes);
            qn_json_text_bytes(&json, text, bytes);
        }
    }
    qn_json_raw(&json, ""); /* the members that follow are text already */
    qn_prediction_add_json(out->predictions, outputs, &out->text);
    if (out->level >= 0) {
        qn_prediction_add_json_interval(out->predictions, out->level, outputs, &out->text);
    }
    if (out->explained) {
        const int64_t n_inputs = qn_model_n_inputs(out->model);
        qn_json_put_double(&json, "explain_expected", out->parts.expected[row]);
        qn_json_key(&json, "explain");
        qn_json_begin_object(&json);
        for (int64_t i = 0; i < n_inputs; i++) {
            qn_json_put_double(&json, qn_model_input_name(out->model, i),
                               out->parts.columns[row * n_inputs + i]);
        }
        qn_json_end_object(&json);
    }
    qn_json_end_object(&json);
    qn_str_add_char(&out->text, '\n');
}

static qn_status find_kept(struct output *out, const char *list, qn_error *err)
{
    int64_t n = 1;
    for (const char *c = list; c && *c; c++) {
        n += *c == ',';
    }
    out->kept = qn_alloc_array(n, sizeof *out->kept);
    if (!out->kept) return qn_fail(err, QN_ERR_NOMEM, "no memory for the columns to keep");
    for (const char *at = list; at && *at;) {
        const size_t bytes = strcspn(at, ",");
        char *name = qn_strndup(at, bytes);
        if (!name) return qn_fail(err, QN_ERR_NOMEM, "no memory for the columns to keep");
        const qn_status status =
            qn_frame_require(out->frame, "--keep", name, &out->kept[out->n_kept++], err);
        qn_free(name);
        if (status != QN_OK) return status;
        at += bytes + (at[bytes] == ',');
    }
    return QN_OK;
}

static qn_status write_rows(struct output *out, const double *outputs, qn_error *err)
{
    const int64_t width = qn_model_n_outputs(out->model);
    if (!out->json) add_header(out);
    for (int64_t row = 0; row < out->frame->n_rows; row++) {
        if (out->json) {
            add_json_row(out, row, outputs + row * width);
        } else {
            add_csv_row(out, row, outputs + row * width);
        }
    }
    return out->text.failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for the predictions") : QN_OK;
}

/* Predictions, and the parts of columns if they are asked for, of all rows. */
static qn_status make_outputs(struct output *out, int n_threads, qn_error *err)
{
    const qn_model *model = out->model;
    const int64_t n = out->frame->n_rows;
    qn_parts *parts = &out->parts;
    parts->outputs = qn_alloc_array(n * qn_model_n_outputs(model), sizeof(double));
    if (!parts->outputs) return qn_fail(err, QN_ERR_NOMEM, "no memory for the predictions");
    if (!out->explained) return qn_model_predict(model, out->frame, n_threads, parts->outputs, err);
    parts->classes = qn_alloc_array(n, sizeof *parts->classes);
    parts->expected = qn_alloc_array(n, sizeof *parts->expected);
    parts->columns = qn_alloc_array(n * qn_model_n_inputs(model), sizeof *parts->columns);
    if (!parts->classes || !parts->expected || !parts->columns) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory to explain %lld rows", (long long)n);
    }
    qn_explainer *explainer = NULL;
    QN_TRY(qn_explainer_create(model, &explainer, err));
    const qn_status status = qn_explainer_rows(explainer, out->frame, 0, n, n_threads, parts, err);
    qn_explainer_free(explainer);
    return status;
}

static void release_output(struct output *out)
{
    qn_str_release(&out->text);
    qn_prediction_text_free(out->predictions);
    qn_free(out->kept);
    qn_free(out->parts.outputs);
    qn_free(out->parts.classes);
    qn_free(out->parts.expected);
    qn_free(out->parts.columns);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* A name that promises another form than what would be written is refused. */
static qn_status check_output(const char *path, qn_error *err)
{
    static const char *const others[] = {".parquet", ".tsv", ".gz", ".zst", ".arrow", ".xlsx"};
    for (size_t i = 0; path && i < sizeof others / sizeof *others; i++) {
        if (!ends_with(path, others[i])) continue;
        return qn_fail(err, QN_ERR_ARG, "-o %s: predictions are written as .csv or .jsonl", path);
    }
    return QN_OK;
}

static qn_status predict(const struct predict_request *request, qn_error *err)
{
    struct output out = {.level = -1};
    const char *interval = request->interval;
    QN_TRY(check_output(request->output, err));
    if (interval) QN_TRY(qn_interval_level_read(interval, strlen(interval), &out.level, err));
    qn_model *model = NULL;
    qn_frame *frame = NULL;
    qn_pool *pool = qn_pool_create((int)request->n_threads);
    qn_status status = qn_model_open(request->arguments[0], &model, err);
    if (status == QN_OK && interval) status = qn_model_require_intervals(model, err);
    if (status == QN_OK) {
        const qn_read_request read = {
            .uri = request->arguments[1], .schema = qn_model_schema(model), .pool = pool};
        status = qn_source_read(&read, &frame, NULL, err);
    }
    if (status == QN_OK) {
        out.model = model;
        out.frame = frame;
        out.explained = request->explain;
        out.json = request->json || (request->output && (ends_with(request->output, ".jsonl") ||
                                                         ends_with(request->output, ".ndjson")));
        status = find_kept(&out, request->keep, err);
    }
    if (status == QN_OK) status = qn_prediction_text_create(model, &out.predictions, err);
    if (status == QN_OK) status = make_outputs(&out, (int)request->n_threads, err);
    if (status == QN_OK) status = write_rows(&out, out.parts.outputs, err);
    if (status == QN_OK && request->output && strcmp(request->output, "-") != 0) {
        status = qn_file_write(request->output, out.text.text, out.text.bytes, err);
    } else if (status == QN_OK) {
        fwrite(out.text.text, 1, out.text.bytes, stdout);
    }
    release_output(&out);
    qn_frame_free(frame);
    qn_model_close(model);
    qn_pool_free(pool);
    return status;
}

static int predict_run(int argc, char **argv)
{
    struct predict_request request = {0};
    const int parsed = cli_parse(&cmd_predict, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    qn_error err = {0};
    return predict(&request, &err) == QN_OK ? CLI_OK : cli_fail(&cmd_predict, &err);
}

const cli_command cmd_predict = {
    .name = "predict",
    .summary = "predict every row of a table",
    .synopsis = "MODEL TABLE [-o FILE] [options]",
    .details =
        "Writes a column 'prediction' and, for classes, one 'p_<class>' each. Columns are\n"
        "found by name; the target need not be there. --explain adds 'explain_<column>', the\n"
        "column's part in the prediction: for classes in the log-odds of class 1, or of the\n"
        "predicted one of several, else in the prediction's own unit. With\n"
        "'explain_expected' they add up to it. --interval adds 'lower_bound' and 'upper_bound'\n"
        "to the predictions of a regression: how far held-out targets lay from predictions\n"
        "there, whatever the learner, a Gaussian process too.",
    .examples = "    quern predict credit.quern new.csv -o predictions.csv --keep id\n"
                "    quern predict houses.quern new.csv --interval 0.9",
    .options = options,
    .n_arguments_min = 2,
    .n_arguments_max = 2,
    .arguments_offset = AT(arguments),
    .run = predict_run};
