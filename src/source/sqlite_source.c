/* SPDX-License-Identifier: Apache-2.0 */
/* "sqlite:FILE?table=T" and "sqlite:FILE?query=SELECT …" → frame. */
#include "base/alloc.h"
#include "base/utf8.h"
#include "database/sqlite.h"
#include "source/column_builder.h"
#include "source/connectors.h"
#include "source/names.h"

#include <string.h>

struct place {
    char *path, *sql;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "%41" → "A"; '+' stays, since queries are full of it, and so does a '%' before anything else. */
static void decode(char *text)
{
    char *out = text;
    for (const char *at = text; *at; at++) {
        const int high = *at == '%' ? hex_digit(at[1]) : -1;
        const int low = high >= 0 ? hex_digit(at[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *out++ = (char)(high * 16 + low);
            at += 2;
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
}

static qn_status parse_uri(const char *uri, struct place *place, qn_error *err)
{
    const char *path = uri + strlen("sqlite:"), *question = strchr(path, '?');
    *place = (struct place){0};
    const bool table = question && strncmp(question, "?table=", 7) == 0;
    const bool query = question && strncmp(question, "?query=", 7) == 0;
    if (!table && !query) {
        return qn_fail(err, QN_ERR_ARG, "%s: expected sqlite:FILE?table=NAME or ?query=SELECT…",
                       uri);
    }
    place->path = qn_strndup(path, (size_t)(question - path));
    char *value = qn_strdup(question + 7);
    qn_str sql = {0};
    if (value) {
        decode(value);
        if (table) {
            qn_str_add(&sql, "SELECT * FROM \"");
            for (const char *c = value; *c; c++) {
                qn_str_add(&sql, *c == '"' ? "\"\"" : (char[]){*c, '\0'});
            }
            qn_str_add_char(&sql, '"');
        } else {
            qn_str_add(&sql, value);
        }
        place->sql = qn_str_take_text(&sql);
    }
    qn_free(value);
    if (!place->path || !place->sql) {
        qn_free(place->path);
        qn_free(place->sql);
        return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", uri);
    }
    return QN_OK;
}

/* Neither blobs nor texts need be UTF-8 here, and both may have zero bytes, which no text of a
 * frame has: U+FFFD stands for what is wrong. */
static void add_text(qn_column_builder *builder, const char *text, size_t bytes)
{
    if (!qn_utf8_first_invalid(text, bytes) && !memchr(text, '\0', bytes)) {
        qn_column_builder_add_text(builder, text, bytes);
        return;
    }
    char *copy = qn_strndup(text, bytes);
    for (size_t i = 0; copy && i < bytes; i++) {
        if (copy[i] == '\0') copy[i] = '\xff';
    }
    char *repaired = copy ? qn_utf8_repair(copy, bytes, &bytes) : NULL;
    if (repaired) {
        qn_column_builder_add_text(builder, repaired, bytes);
    } else {
        builder->failed = true;
    }
    qn_free(copy);
    qn_free(repaired);
}

static void add_value(const qn_sqlite_statement *statement, int col, qn_column_builder *builder)
{
    size_t bytes;
    switch (qn_sqlite_column_type(statement, col)) {
    case QN_SQLITE_INT:
        qn_column_builder_add_int(builder, qn_sqlite_column_int(statement, col));
        break;
    case QN_SQLITE_DOUBLE:
        qn_column_builder_add_double(builder, qn_sqlite_column_double(statement, col));
        break;
    case QN_SQLITE_BYTES: {
        const char *text = qn_sqlite_column_bytes(statement, col, &bytes);
        add_text(builder, text, bytes);
        break;
    }
    case QN_SQLITE_NULL:
        qn_column_builder_add_missing(builder);
        break;
    }
}

struct query {
    qn_sqlite *database;
    qn_sqlite_statement *statement;
    const char *uri;
    const qn_stop *stop;
    qn_str *warnings;
    int n_cols;
    qn_column_builder *builders;
    int64_t n_rows;
};

static qn_status no_memory(const struct query *q, qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", q->uri);
}

/* A query may give two columns of one name, and a name may be any bytes. */
static qn_status read_names(struct query *q, qn_error *err)
{
    qn_map *seen = qn_map_create(q->n_cols);
    bool complete = seen != NULL;
    for (int col = 0; complete && col < q->n_cols; col++) {
        const char *name = qn_sqlite_column_name(q->statement, col);
        size_t bytes;
        char *copy = name ? qn_utf8_repair(name, strlen(name), &bytes) : NULL;
        complete = copy && qn_name_make_unique(seen, q->uri, col, &copy, q->warnings) &&
                   qn_column_builder_init(&q->builders[col], copy, strlen(copy), 0);
        qn_free(copy);
    }
    qn_map_free(seen);
    return complete ? QN_OK : no_memory(q, err);
}

static qn_status read_rows(struct query *q, qn_error *err)
{
    for (bool row = true;;) {
        const qn_status status = qn_sqlite_step(q->statement, &row, err);
        if (status != QN_OK) {
            return qn_fail_context(err, status, "%s: row %" PRId64, q->uri, q->n_rows + 1);
        }
        if (!row) return QN_OK;
        for (int col = 0; col < q->n_cols; col++) {
            add_value(q->statement, col, &q->builders[col]);
        }
        if (++q->n_rows % 4096 == 0 && qn_stop_requested(q->stop)) {
            return qn_fail(err, QN_ERR_INTERRUPTED, "%s: stopped while reading", q->uri);
        }
    }
}

static qn_status read_query(struct query *q, const char *sql, const char *marker_list,
                            qn_frame **out, qn_error *err)
{
    const qn_status prepared = qn_sqlite_prepare(q->database, sql, &q->statement, err);
    if (prepared != QN_OK) return qn_fail_context(err, prepared, "%s", q->uri);
    q->n_cols = qn_sqlite_n_columns(q->statement);
    if (q->n_cols == 0) {
        return qn_fail(err, QN_ERR_DATA, "%s: the query gives no columns", q->uri);
    }
    qn_markers markers;
    QN_TRY(qn_markers_init(&markers, marker_list, err));
    q->builders = qn_alloc_array(q->n_cols, sizeof *q->builders);
    qn_status status = q->builders ? read_names(q, err) : no_memory(q, err);
    if (status == QN_OK) status = read_rows(q, err);
    if (status == QN_OK) {
        status = qn_column_builders_finish(q->builders, q->n_cols, q->n_rows, q->uri, &markers, out,
                                           err);
    }
    for (int col = 0; q->builders && col < q->n_cols; col++) {
        qn_column_builder_release(&q->builders[col]);
    }
    qn_free(q->builders);
    qn_markers_release(&markers);
    return status;
}

static qn_status read_sqlite(const qn_read_request *request, const char *uri, qn_frame **out,
                             qn_str *warnings, qn_error *err)
{
    struct place place;
    QN_TRY(parse_uri(uri, &place, err));
    struct query q = {.uri = uri, .stop = request->stop, .warnings = warnings};
    qn_status status = qn_sqlite_open(place.path, QN_SQLITE_READ, &q.database, err);
    if (status == QN_OK) status = read_query(&q, place.sql, request->markers, out, err);
    qn_sqlite_finalize(q.statement);
    qn_sqlite_close(q.database);
    qn_free(place.path);
    qn_free(place.sql);
    return status;
}

const qn_connector qn_connector_sqlite = {"sqlite", read_sqlite};
