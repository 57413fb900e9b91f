/* SPDX-License-Identifier: Apache-2.0 */
/* "sqlite:FILE?table=T" and "sqlite:FILE?query=SELECT …" → frame. */
#include "base/alloc.h"
#include "source/column_builder.h"
#include "source/connectors.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

struct place {
    char *path, *sql;
};

/* "%41" → "A"; '+' stays, since queries are full of it. */
static void decode(char *text)
{
    char *out = text;
    for (const char *at = text; *at; at++) {
        unsigned value;
        if (*at == '%' && at[1] && at[2] && sscanf(at + 1, "%2x", &value) == 1) {
            *out++ = (char)value;
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

static void add_value(sqlite3_stmt *statement, int col, qn_column_builder *builder)
{
    switch (sqlite3_column_type(statement, col)) {
    case SQLITE_INTEGER:
        qn_column_builder_add_int(builder, sqlite3_column_int64(statement, col));
        break;
    case SQLITE_FLOAT:
        qn_column_builder_add_double(builder, sqlite3_column_double(statement, col));
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB: {
        const char *text = (const char *)sqlite3_column_blob(statement, col);
        qn_column_builder_add_text(builder, text ? text : "",
                                   (size_t)sqlite3_column_bytes(statement, col));
        break;
    }
    default:
        qn_column_builder_add_missing(builder);
        break;
    }
}

static qn_status read_rows(sqlite3 *database, sqlite3_stmt *statement, const char *uri,
                           const qn_read_request *request, qn_column_builder *builders, int n_cols,
                           int64_t *n_rows, qn_error *err)
{
    for (int col = 0; col < n_cols; col++) {
        const char *name = sqlite3_column_name(statement, col);
        if (!name || !qn_column_builder_init(&builders[col], name, strlen(name), 0)) {
            return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", uri);
        }
    }
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int col = 0; col < n_cols; col++) {
            add_value(statement, col, &builders[col]);
        }
        if (++*n_rows % 4096 == 0 && qn_stop_requested(request->stop)) {
            return qn_fail(err, QN_ERR_INTERRUPTED, "%s: stopped while reading", uri);
        }
    }
    if (code == SQLITE_DONE) return QN_OK;
    return qn_fail(err, QN_ERR_DATA, "%s: row %" PRId64 ": %s", uri, *n_rows + 1,
                   sqlite3_errmsg(database));
}

static qn_status read_query(sqlite3 *database, const char *sql, const char *uri,
                            const qn_read_request *request, qn_frame **out, qn_error *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK || !statement) {
        return qn_fail(err, QN_ERR_DATA, "%s: %s", uri, sqlite3_errmsg(database));
    }
    const int n_cols = sqlite3_column_count(statement);
    int64_t n_rows = 0;
    qn_markers markers = {0};
    qn_column_builder *builders = qn_alloc_array(n_cols, sizeof *builders);
    qn_status status = builders ? qn_markers_init(&markers, request->markers, err)
                                : qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", uri);
    if (status == QN_OK && n_cols == 0) {
        status = qn_fail(err, QN_ERR_DATA, "%s: the query gives no columns", uri);
    }
    if (status == QN_OK) {
        status = read_rows(database, statement, uri, request, builders, n_cols, &n_rows, err);
    }
    if (status == QN_OK) {
        status = qn_column_builders_finish(builders, n_cols, n_rows, uri, &markers, out, err);
    }
    for (int col = 0; builders && col < n_cols; col++) {
        qn_column_builder_release(&builders[col]);
    }
    qn_free(builders);
    qn_markers_release(&markers);
    sqlite3_finalize(statement);
    return status;
}

static qn_status read_sqlite(const qn_read_request *request, const char *uri, qn_frame **out,
                             qn_str *warnings, qn_error *err)
{
    (void)warnings;
    struct place place;
    QN_TRY(parse_uri(uri, &place, err));
    sqlite3 *database = NULL;
    qn_status status;
    if (sqlite3_open_v2(place.path, &database, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
        status = qn_fail(err, QN_ERR_IO, "%s: %s", place.path,
                         database ? sqlite3_errmsg(database) : "no memory");
    } else {
        sqlite3_busy_timeout(database, 5000);
        status = read_query(database, place.sql, uri, request, out, err);
    }
    sqlite3_close(database);
    qn_free(place.path);
    qn_free(place.sql);
    return status;
}

const qn_connector qn_connector_sqlite = {"sqlite", read_sqlite};
