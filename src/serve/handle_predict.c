/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/models/NAME: rows in, predictions out. Blocks of rows are read, predicted and written
 * one after another; between blocks the loop may turn to others. */
#include "base/alloc.h"
#include "base/clock.h"
#include "serve/handlers.h"
#include "serve/rows.h"

#include <string.h>

static const double slice_s = 0.001;

typedef struct job job;

/* How predictions are written: `begin` once, `rows` for each block, `end` once. */
typedef struct format {
    const char *content_type;
    bool keeps; /* `end` needs all outputs */
    void (*begin)(const job *j, qn_str *out);
    void (*rows)(const job *j, const double *outputs, int64_t first, int64_t n, qn_str *out);
    void (*end)(const job *j, qn_str *out);
} format;

struct job {
    qn_served_model *model;
    qn_model_counters *counters; /* of this loop */
    qn_rows rows;
    const format *format; /* NULL until the first block has told the form */
    double *kept;         /* all outputs so far, when the format keeps them */
    int64_t n_kept_max;
};

/* Formats. */

static void begin_nothing(const job *j, qn_str *out)
{
    (void)j;
    (void)out;
}

static void begin_object(const job *j, qn_str *out)
{
    qn_str_add(out, "{\"model\":\"");
    qn_str_add(out, j->model->name); /* names need no escapes */
    qn_str_add(out, "\",\"version\":\"");
    qn_str_add(out, j->model->version);
    qn_str_add(out, "\",");
}

static void one_row(const job *j, const double *outputs, int64_t first, int64_t n, qn_str *out)
{
    (void)first;
    if (n == 1) qn_prediction_add_json(j->model->text, outputs, out);
}

static void end_object(const job *j, qn_str *out)
{
    (void)j;
    qn_str_add(out, "}\n");
}

static void begin_list(const job *j, qn_str *out)
{
    begin_object(j, out);
    qn_str_add(out, "\"predictions\":[");
}

static void list_rows(const job *j, const double *outputs, int64_t first, int64_t n, qn_str *out)
{
    for (int64_t row = 0; row < n; row++) {
        qn_str_add(out, first + row > 0 ? ",{" : "{");
        qn_prediction_add_json(j->model->text, outputs + row * j->model->n_outputs, out);
        qn_str_add_char(out, '}');
    }
}

static void end_list(const job *j, qn_str *out)
{
    (void)j;
    qn_str_add(out, "]}\n");
}

static void no_rows(const job *j, const double *outputs, int64_t first, int64_t n, qn_str *out)
{
    (void)j;
    (void)outputs;
    (void)first;
    (void)n;
    (void)out;
}

static void begin_columns(const job *j, qn_str *out)
{
    begin_object(j, out);
    qn_str_add(out, "\"outputs\":{");
}

static void end_columns(const job *j, qn_str *out)
{
    qn_prediction_add_json_columns(j->model->text, j->kept, j->rows.n_rows, out);
    qn_str_add(out, "}}\n");
}

static void line_rows(const job *j, const double *outputs, int64_t first, int64_t n, qn_str *out)
{
    (void)first;
    for (int64_t row = 0; row < n; row++) {
        qn_str_add_char(out, '{');
        qn_prediction_add_json(j->model->text, outputs + row * j->model->n_outputs, out);
        qn_str_add(out, "}\n");
    }
}

static void begin_csv(const job *j, qn_str *out)
{
    qn_prediction_add_csv_header(j->model->text, out);
    qn_str_add_char(out, '\n');
}

static void csv_rows(const job *j, const double *outputs, int64_t first, int64_t n, qn_str *out)
{
    (void)first;
    for (int64_t row = 0; row < n; row++) {
        qn_prediction_add_csv(j->model->text, outputs + row * j->model->n_outputs, out);
        qn_str_add_char(out, '\n');
    }
}

static const format format_row = {"application/json", false, begin_object, one_row, end_object};
static const format format_list = {"application/json", false, begin_list, list_rows, end_list};
static const format format_columns = {"application/json", true, begin_columns, no_rows,
                                      end_columns};
static const format format_lines = {"application/x-ndjson", false, begin_nothing, line_rows,
                                    begin_nothing};
static const format format_csv = {"text/csv; charset=utf-8", false, begin_csv, csv_rows,
                                  begin_nothing};

static const format *format_of(qn_rows_form form)
{
    switch (form) {
    case QN_FORM_ROW:
        return &format_row;
    case QN_FORM_INPUTS:
        return &format_columns;
    case QN_FORM_LINES:
        return &format_lines;
    case QN_FORM_CSV:
        return &format_csv;
    case QN_FORM_LIST:
    case QN_FORM_INSTANCES:
        break;
    }
    return &format_list;
}

/* Opening. */

static bool is_type(qn_span type, const char *name)
{
    return strlen(name) == type.bytes && strncasecmp(type.text, name, type.bytes) == 0;
}

/* "text/csv" of "text/csv; charset=utf-8"; false for another charset. */
static bool media_type(qn_span header, qn_span *type)
{
    const char *semicolon = memchr(header.text, ';', header.bytes);
    *type = (qn_span){header.text, semicolon ? (size_t)(semicolon - header.text) : header.bytes};
    while (type->bytes > 0 && type->text[type->bytes - 1] == ' ') {
        type->bytes--;
    }
    if (!semicolon) return true;
    qn_span rest = {semicolon + 1, header.bytes - (size_t)(semicolon + 1 - header.text)};
    while (rest.bytes > 0 && *rest.text == ' ') {
        rest.text++;
        rest.bytes--;
    }
    return rest.bytes < 8 || strncasecmp(rest.text, "charset=", 8) != 0 ||
           is_type(rest, "charset=utf-8") || is_type(rest, "charset=\"utf-8\"");
}

typedef qn_status (*opener)(qn_rows *rows, const char *body, size_t bytes, qn_error *err);

static opener opener_of(const qn_exchange *x)
{
    const qn_span header = qn_http_header(&x->reader, "content-type");
    qn_span type;
    if (!header.text || !media_type(header, &type)) return NULL;
    if (is_type(type, "application/json")) return qn_rows_open_json;
    if (is_type(type, "text/csv")) return qn_rows_open_csv;
    if (is_type(type, "application/x-ndjson") || is_type(type, "application/jsonl")) {
        return qn_rows_open_lines;
    }
    return NULL;
}

static void release_job(void *job_of_exchange)
{
    job *j = job_of_exchange;
    qn_rows_release(&j->rows);
    qn_free(j->kept);
    qn_served_model_unref(j->model);
}

static qn_step fail(qn_exchange *x, const qn_error *err)
{
    const job *j = x->job;
    const bool invalid =
        err->status == QN_ERR_ARG || err->status == QN_ERR_DATA || err->status == QN_ERR_BUDGET;
    qn_count_add(&j->counters->requests[invalid ? QN_OUTCOME_INVALID : QN_OUTCOME_FAILED], 1);
    qn_exchange_fail(x, err, j->rows.bad_row, j->rows.bad_field);
    return QN_STEP_DONE;
}

/* The job of a request; NULL when it is answered already. */
static job *open_job(qn_exchange *x)
{
    const qn_catalog_entry *entry = qn_exchange_find_model(x);
    if (!entry) return NULL;
    const qn_span encoding = qn_http_header(&x->reader, "content-encoding");
    const opener open = opener_of(x);
    if (!open || (encoding.text && !is_type(encoding, "identity"))) {
        qn_reply_error(&x->reply, 415,
                       open ? "send the body as it is, without Content-Encoding"
                            : "send a header 'Content-Type: application/json' (or "
                              "application/x-ndjson, or text/csv; in UTF-8)",
                       0, NULL, NULL);
        return NULL;
    }
    job *j = qn_arena_array(&x->memory, 1, sizeof *j);
    if (!j || !qn_workspace_reserve(&x->worker->workspace, entry->model)) {
        qn_reply_error(&x->reply, 503, "no memory to predict", 0, NULL, NULL);
        return NULL;
    }
    j->model = qn_served_model_ref(entry->model);
    j->counters = &entry->counters[x->worker->index];
    j->rows = (qn_rows){
        .model = j->model, .memory = &x->memory, .n_rows_max = x->worker->options->rows_max};
    x->job = j;
    x->release = release_job;
    qn_error err = {0};
    const qn_span body = qn_http_body(&x->reader);
    if (open(&j->rows, body.text, body.bytes, &err) == QN_OK) return j;
    fail(x, &err);
    return NULL;
}

/* Steps. */

static qn_status keep(job *j, const double *outputs, int64_t n, qn_error *err)
{
    const int64_t before = (j->rows.n_rows - n) * j->model->n_outputs;
    const int64_t values = n * j->model->n_outputs;
    if (before + values > j->n_kept_max) {
        const int64_t wanted = (before + values) * 2;
        double *kept = qn_realloc_array(j->kept, wanted, sizeof *kept);
        if (!kept) return qn_fail(err, QN_ERR_NOMEM, "no memory for the predictions");
        j->kept = kept;
        j->n_kept_max = wanted;
    }
    if (values > 0) memcpy(j->kept + before, outputs, (size_t)values * sizeof *outputs);
    return QN_OK;
}

/* Reads, predicts and writes one block; *last when there is no other. */
static qn_status predict_block(qn_exchange *x, job *j, bool *last, qn_error *err)
{
    const qn_workspace *workspace = &x->worker->workspace;
    qn_rows_block block = {.cells = workspace->cells};
    QN_TRY(qn_rows_next(&j->rows, &block, err));
    *last = block.n_rows < QN_BLOCK_ROWS;
    if (!j->format) {
        j->format = format_of(j->rows.form);
        qn_reply_begin(&x->reply, 200, j->format->content_type, j->model->header);
        j->format->begin(j, &x->out);
    }
    if (block.n_rows == 0) return QN_OK;
    qn_rows_predict(&j->rows, &block, workspace->turned, workspace->outputs, workspace->scratch);
    if (j->format->keeps) QN_TRY(keep(j, workspace->outputs, block.n_rows, err));
    j->format->rows(j, workspace->outputs, j->rows.n_rows - block.n_rows, block.n_rows, &x->out);
    qn_count_add(&j->counters->rows, (uint64_t)block.n_rows);
    return x->out.failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for the reply") : QN_OK;
}

static qn_step finish(qn_exchange *x, const job *j)
{
    j->format->end(j, &x->out);
    qn_reply_end(&x->reply);
    qn_count_add(&j->counters->requests[QN_OUTCOME_OK], 1);
    qn_durations_add(&j->counters->seconds, qn_clock_s() - x->begun_s);
    return QN_STEP_DONE;
}

qn_step qn_handle_predict(qn_exchange *x)
{
    qn_error err = {0};
    if (!x->job && !open_job(x)) return QN_STEP_DONE;
    job *j = x->job;
    /* The workspace is the loop's: another request may have had it since, but none keeps it small.
     */
    const double begun_s = qn_clock_s();
    for (double now_s = begun_s; now_s - begun_s < slice_s; now_s = qn_clock_s()) {
        bool last = false;
        if (now_s - x->begun_s > x->worker->options->request_s) {
            qn_fail(&err, QN_ERR_INTERRUPTED,
                    "the request took too long; send fewer rows at a time");
            return fail(x, &err);
        }
        if (predict_block(x, j, &last, &err) != QN_OK) return fail(x, &err);
        if (last) return finish(x, j);
    }
    return QN_STEP_MORE;
}
