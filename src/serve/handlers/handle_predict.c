/* SPDX-License-Identifier: Apache-2.0 */
/* Rows in, predictions out, by any of the protocols. Blocks of rows are read, predicted and written
 * one after another; between blocks the loop may turn to others. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/number.h"
#include "serve/handlers/handlers.h"
#include "serve/models/cached_rows.h"
#include "serve/routes/choose_model.h"
#include "serve/rows/explained_block.h"
#include "serve/rows/predict_format.h"
#include "serve/security/gate.h"
#include "serve/telemetry/prediction_log.h"

#include <string.h>

static const double slice_s = 0.001;

typedef struct job job;

/* What differs between the protocols that predict. */
typedef struct protocol {
    /* Answers when there is none. */
    const qn_catalog_entry *(*find)(qn_exchange *x, qn_rows_opener open, qn_routed *routed);
    qn_rows_opener (*opener_of)(const qn_exchange *x); /* NULL: the content type is no good */
    bool explains;          /* ?explain=true and ?interval=LEVEL are looked at */
    bool rows_are_requests; /* a row that cannot be predicted is a bad request: 400, not 422 */
} protocol;

struct job {
    const protocol *protocol;
    qn_served_model *model;
    qn_model_slot *slot;
    qn_model_counters *counters; /* of the slot and this loop */
    qn_routed routed;
    qn_rows rows;
    const qn_format *format; /* NULL until the first block has told the form */
    double *kept;
    int64_t n_kept_max;
    bool logged; /* by the prediction log, in `lines` */
    qn_prediction_lines lines;
    qn_explained_block *explained; /* NULL: parts are not asked for */
    qn_micro_batch *batch;         /* the loop's */
    qn_gathered *gathered;         /* rows that are in it, or were; NULL: none */
    int level;                     /* of intervals; -1: are not asked for */
    qn_shadows *shadows;           /* who is given the request in the end, with what was answered */
    qn_shadow_task *shadow;        /* NULL: nobody */
};

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

static qn_rows_opener opener_by_type(const qn_exchange *x)
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
    if (j->gathered && !j->gathered->predicted) qn_micro_batch_remove(j->batch, j->gathered);
    if (j->shadow) qn_shadows_add(j->shadows, j->shadow);
    qn_rows_release(&j->rows);
    qn_explained_block_release(j->explained);
    qn_free(j->kept);
    qn_prediction_lines_release(&j->lines);
    qn_served_model_unref(j->model);
    qn_model_slot_unref(j->slot);
    qn_routed_release(&j->routed);
}

static void count_outcome(const qn_exchange *x, const job *j, qn_outcome outcome)
{
    const double seconds = qn_clock_s() - x->begun_s;
    qn_count_add(&j->counters->requests[outcome], 1);
    qn_durations_add(&j->counters->seconds[outcome], seconds);
    qn_routed_note(&j->routed, x, outcome != QN_OUTCOME_OK, seconds);
}

static qn_step fail(qn_exchange *x, qn_error *err)
{
    const job *j = x->job;
    if (err->status == QN_ERR_DATA && j->protocol->rows_are_requests) err->status = QN_ERR_ARG;
    const bool invalid =
        err->status == QN_ERR_ARG || err->status == QN_ERR_DATA || err->status == QN_ERR_BUDGET;
    count_outcome(x, j, invalid ? QN_OUTCOME_INVALID : QN_OUTCOME_FAILED);
    qn_exchange_fail(x, err, j->rows.bad_row, j->rows.bad_field);
    return QN_STEP_DONE;
}

static qn_status read_json_length(const qn_exchange *x, size_t *out, qn_error *err)
{
    const int64_t value = qn_exchange_json_length(x);
    if (value < 0) {
        return qn_fail(err, QN_ERR_ARG, "the header %s is no length", qn_json_length_header);
    }
    *out = (size_t)value;
    return QN_OK;
}

/* Rows of the body that no one has begun to read. */
static qn_rows rows_of(const qn_exchange *x, const job *j)
{
    return (qn_rows){.n_rows_max = x->worker->options->rows_max,
                     .known_only = x->worker->options->known_only,
                     .json_bytes = j->rows.json_bytes};
}

static void copy_for_shadow(const qn_exchange *x, job *j, qn_rows_opener open)
{
    const qn_server *server = x->worker->server;
    if (!j->routed.shadow) return;
    j->shadows = qn_server_shadows(server);
    j->shadow = qn_shadows_copy(
        j->shadows,
        &(qn_shadow_request){.entry = j->routed.shadow,
                             .open = open,
                             .rows = rows_of(x, j),
                             .body = qn_exchange_body(x),
                             .trace = &x->trace,
                             .answering = j->model,
                             .log = j->logged ? qn_server_logs_of(server)->predictions : NULL,
                             .counters = qn_server_n_loops(server)});
}

/* What the query asks for besides predictions. */
static qn_status read_query(qn_exchange *x, job *j, qn_error *err)
{
    const qn_span interval = qn_exchange_query(x, "interval");
    if (interval.text) {
        QN_TRY(qn_interval_level_read(interval.text, interval.bytes, &j->level, err));
        if (qn_model_require_intervals(j->model->model, NULL) != QN_OK) {
            return qn_fail(err, QN_ERR_ARG,
                           "interval: %s has none; regressions have that quern fit has made",
                           j->model->name);
        }
    }
    return qn_exchange_asks_for(x, "explain")
               ? qn_explained_block_create(j->model, &x->memory, &j->explained, err)
               : QN_OK;
}

/* Whether a request has waited for so long that who sent it may have given up. To refuse it is
 * quicker than to predict it, and lets those behind it be in time. */
static bool is_too_late(const qn_exchange *x)
{
    const qn_worker *worker = x->worker;
    const double queue_s = worker->options->queue_s;
    return qn_clock_s() - worker->waiting_since_s > queue_s && qn_peer_silent_s(x->peer) > queue_s;
}

/* The job of a request; NULL when it is answered already. */
static job *open_job(qn_exchange *x, const protocol *spoken)
{
    if (is_too_late(x)) {
        qn_reply_error(&x->reply, 503, "the server is behind; send the request again later", 0,
                       NULL, NULL);
        return NULL;
    }
    job *j = qn_arena_array(&x->memory, 1, sizeof *j);
    if (!j) {
        qn_reply_error(&x->reply, 503, "no memory to predict", 0, NULL, NULL);
        return NULL;
    }
    x->job = j;
    x->release = release_job;
    const qn_rows_opener open = spoken->opener_of(x);
    const qn_catalog_entry *entry = spoken->find(x, open, &j->routed);
    if (!entry) return NULL;
    if (!open) {
        qn_reply_error(&x->reply, 415,
                       "send a header 'Content-Type: application/json' (or application/x-ndjson, "
                       "or text/csv; in UTF-8)",
                       0, NULL, NULL);
        return NULL;
    }
    if (!qn_workspace_reserve(&x->worker->workspace, entry->model)) {
        qn_reply_error(&x->reply, 503, "no memory to predict", 0, NULL, NULL);
        return NULL;
    }
    j->protocol = spoken;
    j->model = qn_served_model_ref(entry->model);
    x->model = j->model;
    j->slot = qn_model_slot_ref(entry->slot);
    j->counters = &entry->counters[x->worker->index];
    j->rows = rows_of(x, j);
    j->rows.model = j->model;
    j->rows.memory = &x->memory;
    j->logged = qn_server_logs_of(x->worker->server)->predictions != NULL &&
                qn_prediction_log_takes(x->trace.id, x->worker->options->prediction_share);
    qn_error err = {0};
    const qn_span body = qn_exchange_body(x);
    j->level = -1;
    if (spoken->explains && read_query(x, j, &err) != QN_OK) {
        fail(x, &err);
        return NULL;
    }
    if ((open != qn_rows_open_tensors || read_json_length(x, &j->rows.json_bytes, &err) == QN_OK) &&
        open(&j->rows, body.text, body.bytes, &err) == QN_OK) {
        copy_for_shadow(x, j, open);
        return j;
    }
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

/* The first block tells the form of the answer. */
static qn_status begin_reply(qn_exchange *x, job *j, qn_error *err)
{
    const qn_predictions predictions = {.model = j->model, .rows = &j->rows, .level = j->level};
    j->format = qn_format_of(j->rows.form);
    if (j->explained && !j->format->explains) {
        return qn_fail(err, QN_ERR_ARG,
                       "explain: send rows as objects or lists, or by application/x-ndjson");
    }
    x->reply.in_parts = j->format->append != NULL;
    qn_reply_begin(&x->reply, 200, j->format->content_type, j->model->header);
    j->format->begin(&predictions, &x->out);
    return QN_OK;
}

static qn_status read_block(qn_exchange *x, job *j, qn_rows_block *block, qn_error *err)
{
    QN_TRY(qn_rows_next(&j->rows, block, err));
    return j->format ? QN_OK : begin_reply(x, j, err);
}

static qn_status write_block(qn_exchange *x, job *j, const qn_rows_block *block,
                             const double *outputs, qn_error *err)
{
    const int64_t first = j->rows.n_rows - block->n_rows;
    const qn_predictions predictions = {.model = j->model,
                                        .rows = &j->rows,
                                        .parts = j->explained ? &j->explained->parts : NULL,
                                        .level = j->level};
    if (j->format->keeps) QN_TRY(keep(j, outputs, block->n_rows, err));
    j->format->rows(&predictions, outputs, first, block->n_rows, &x->out);
    if (j->logged) qn_prediction_lines_add(&j->lines, &x->trace, j->model, block, outputs, first);
    qn_routed_remember(&j->routed, x, j->model, outputs, first, block->n_rows);
    if (j->shadow) qn_shadow_task_answer(j->shadow, outputs, block->n_rows);
    qn_count_add(&j->counters->rows, (uint64_t)block->n_rows);
    x->n_rows += block->n_rows;
    return x->out.failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for the reply") : QN_OK;
}

/* Looks the rows up where there is a cache; how many are to be predicted. */
static int64_t find_known(const qn_exchange *x, const job *j, const qn_rows_block *block,
                          qn_missed_rows *missed)
{
    qn_prediction_cache *cache = x->worker->cache;
    if (!cache) return block->n_rows;
    qn_cached_rows_find(cache, j->model, block, &x->worker->workspace, missed);
    qn_count_add(&j->counters->cache_hits, (uint64_t)(block->n_rows - missed->n));
    return missed->n;
}

/* `missed` NULL: all rows were predicted. */
static void remember(const qn_exchange *x, const job *j, const qn_rows_block *block,
                     const qn_missed_rows *missed, const double *outputs)
{
    qn_prediction_cache *cache = x->worker->cache;
    if (!cache) return;
    qn_cached_rows_put(cache, j->model, block, missed, outputs, &x->worker->workspace);
    qn_count_add(&j->counters->cache_misses, (uint64_t)(missed ? missed->n : block->n_rows));
}

/* Whether the last rows of a request can go into the micro-batch: others may join them, and they
 * are few. */
static bool gather(qn_exchange *x, job *j, const qn_rows_block *block)
{
    qn_worker *worker = x->worker;
    if (block->n_rows > QN_GATHERED_ROWS_MAX || (worker->n_ahead == 0 && !worker->batch.first)) {
        return false;
    }
    j->batch = &worker->batch;
    j->gathered = qn_micro_batch_add(j->batch, j->model, block, &x->memory);
    return j->gathered != NULL;
}

/* Reads, predicts and writes one block; *last when there is no other. One that is gathered is
 * predicted and written in the request's next step. */
static qn_status predict_block(qn_exchange *x, job *j, bool *last, qn_error *err)
{
    const qn_workspace *workspace = &x->worker->workspace;
    qn_rows_block block = {.cells = workspace->cells};
    qn_missed_rows missed;
    QN_TRY(read_block(x, j, &block, err));
    *last = block.n_rows < QN_BLOCK_ROWS;
    if (block.n_rows == 0) return QN_OK;
    const int64_t n = find_known(x, j, &block, &missed);
    if (n == block.n_rows) {
        if (*last && gather(x, j, &block)) return QN_OK;
        qn_rows_predict(&j->rows, &block, workspace->turned, workspace->outputs,
                        workspace->scratch);
        remember(x, j, &block, NULL, workspace->outputs);
    } else if (n > 0) {
        qn_cached_rows_predict(j->model, &block, &missed, workspace);
        remember(x, j, &block, &missed, workspace->outputs);
    }
    return write_block(x, j, &block, workspace->outputs, err);
}

/* The same, with parts: a block may take several calls. */
static qn_status explain_block(qn_exchange *x, job *j, double until_s, bool *last, qn_error *err)
{
    qn_explained_block *explained = j->explained;
    if (!qn_explained_block_goes_on(explained)) {
        explained->n_explained = 0;
        QN_TRY(read_block(x, j, &explained->block, err));
    }
    if (explained->block.n_rows > 0) {
        QN_TRY(qn_explained_block_step(explained, until_s, err));
        if (qn_explained_block_goes_on(explained)) return QN_OK;
        QN_TRY(write_block(x, j, &explained->block, explained->parts.outputs, err));
    }
    *last = explained->block.n_rows < QN_BLOCK_ROWS;
    return QN_OK;
}

static void log_lines(const qn_exchange *x, const qn_prediction_lines *lines)
{
    qn_line_log *log = qn_server_logs_of(x->worker->server)->predictions;
    if (lines->too_many) {
        qn_line_log_drop(log, lines->n);
    } else if (lines->n > 0) {
        qn_line_log_append(log, lines->text.text, lines->text.bytes, lines->n);
    }
}

static qn_step finish(qn_exchange *x, const job *j)
{
    const qn_predictions predictions = {
        .model = j->model, .rows = &j->rows, .kept = j->kept, .level = j->level};
    j->format->end(&predictions, &x->out);
    if (j->format->append) {
        qn_reply_end_json(&x->reply);
        j->format->append(&predictions, &x->out);
    }
    qn_reply_end(&x->reply);
    if (j->logged) log_lines(x, &j->lines);
    count_outcome(x, j, QN_OUTCOME_OK);
    return QN_STEP_DONE;
}

/* The rows that were gathered, with all others that were: the last of this request. */
static qn_step predict_gathered(qn_exchange *x, job *j)
{
    qn_error err = {0};
    const qn_gathered *gathered = j->gathered;
    if (!gathered->predicted) qn_micro_batch_predict(j->batch, &x->worker->workspace);
    remember(x, j, &gathered->block, NULL, gathered->outputs);
    const qn_status status = write_block(x, j, &gathered->block, gathered->outputs, &err);
    return status == QN_OK ? finish(x, j) : fail(x, &err);
}

static qn_step predict(qn_exchange *x, const protocol *spoken)
{
    qn_error err = {0};
    if (!x->job && !open_job(x, spoken)) return QN_STEP_DONE;
    job *j = x->job;
    if (j->gathered) return predict_gathered(x, j);
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
        const qn_status status = j->explained ? explain_block(x, j, begun_s + slice_s, &last, &err)
                                              : predict_block(x, j, &last, &err);
        if (status != QN_OK) return fail(x, &err);
        if (j->gathered) return QN_STEP_GATHER;
        if (last) return finish(x, j);
    }
    return QN_STEP_MORE;
}

/* Protocols. */

qn_step qn_handle_predict(qn_exchange *x)
{
    static const protocol native = {qn_exchange_choose_model, opener_by_type, true, false};
    return predict(x, &native);
}

/* Paths without a name mean the one model there is. */
static const qn_catalog_entry *find_only_model(qn_exchange *x, qn_rows_opener open,
                                               qn_routed *routed)
{
    const qn_catalog *catalog = x->worker->catalog;
    if (catalog->n_entries == 0) {
        qn_reply_error(&x->reply, 404, "no model is served", 0, NULL, NULL);
        return NULL;
    }
    const char *name = catalog->entries[0].name;
    if (!qn_gate_demand(x, name)) return NULL;
    if (strcmp(name, catalog->entries[catalog->n_entries - 1].name) != 0) {
        qn_reply_error(&x->reply, 404, "several models are served; name one: POST /v1/models/NAME",
                       0, NULL, NULL);
        return NULL;
    }
    x->params[0] = (qn_span){name, strlen(name)};
    return qn_exchange_choose_model(x, open, routed);
}

qn_step qn_handle_invocations(qn_exchange *x)
{
    static const protocol mlflow = {find_only_model, opener_by_type, true, true};
    return predict(x, &mlflow);
}

/* Binary tensors behind the JSON are told by a header; Triton's client sends no content type. */
static qn_rows_opener opener_of_tensors(const qn_exchange *x)
{
    const qn_span header = qn_http_header(&x->reader, "content-type");
    const bool binary = qn_http_header(&x->reader, qn_json_length_header).text != NULL;
    qn_span type;
    if (!header.text) return qn_rows_open_tensors;
    if (!media_type(header, &type)) return NULL;
    if (is_type(type, "application/json")) return qn_rows_open_tensors;
    return binary && is_type(type, "application/octet-stream") ? qn_rows_open_tensors : NULL;
}

qn_step qn_handle_infer(qn_exchange *x)
{
    static const protocol open_inference = {qn_exchange_choose_model, opener_of_tensors, false,
                                            true};
    return predict(x, &open_inference);
}
