/* SPDX-License-Identifier: Apache-2.0 */
#include "database/postgres.h"

#include "base/alloc.h"
#include "base/str.h"

#include <endian.h>
#include <libpq-fe.h>
#include <string.h>

enum { STATEMENTS_MAX = 16 };

struct qn_postgres {
    PGconn *connection;
    const char *prepared[STATEMENTS_MAX]; /* names, as given */
    int n_prepared;
};

struct qn_postgres_result {
    PGresult *rows;
};

static void ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

/* The first line of a message of the library. */
static qn_status fail(qn_status status, const char *message, qn_error *err)
{
    const size_t bytes = strcspn(message, "\n");
    return qn_fail(err, status, "postgres: %.*s", (int)bytes, bytes ? message : "no answer");
}

static qn_status fail_to_connect(const PGconn *connection, qn_error *err)
{
    return connection ? fail(QN_ERR_IO, PQerrorMessage(connection), err)
                      : qn_fail(err, QN_ERR_NOMEM, "postgres: no memory to connect");
}

static qn_status begin_session(qn_postgres *database, qn_error *err)
{
    if (PQstatus(database->connection) != CONNECTION_OK) {
        return fail_to_connect(database->connection, err);
    }
    PQsetNoticeProcessor(database->connection, ignore_notice, NULL);
    return qn_postgres_run(database,
                           "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5;"
                           "SET tcp_keepalives_count = 3",
                           err);
}

qn_status qn_postgres_open(const char *url, qn_postgres **out, qn_error *err)
{
    /* The URL, last, prevails. */
    const char *const keywords[] = {
        "application_name",    "client_encoding",  "connect_timeout", "keepalives_idle",
        "keepalives_interval", "keepalives_count", "dbname",          NULL};
    const char *const values[] = {"quern", "UTF8", "10", "10", "5", "3", url, NULL};
    *out = NULL;
    qn_postgres *database = qn_alloc_array(1, sizeof *database);
    if (!database) return qn_fail(err, QN_ERR_NOMEM, "postgres: no memory to connect");
    database->connection = PQconnectdbParams(keywords, values, 1);
    const qn_status status = begin_session(database, err);
    if (status == QN_OK) {
        *out = database;
    } else {
        qn_postgres_close(database);
    }
    return status;
}

void qn_postgres_close(qn_postgres *database)
{
    if (!database) return;
    PQfinish(database->connection);
    qn_free(database);
}

bool qn_postgres_is_lost(const qn_postgres *database)
{
    return PQstatus(database->connection) != CONNECTION_OK;
}

qn_status qn_postgres_reconnect(qn_postgres *database, qn_error *err)
{
    database->n_prepared = 0;
    PQreset(database->connection);
    return begin_session(database, err);
}

/* By the class of the SQLSTATE: data, integrity, syntax and names are the statement's fault. */
static qn_status status_of(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!state) return QN_ERR_IO;
    return strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 ||
                   strncmp(state, "42", 2) == 0
               ? QN_ERR_DATA
               : QN_ERR_IO;
}

static qn_status check(const qn_postgres *database, const PGresult *result, qn_error *err)
{
    if (!result) return fail(QN_ERR_IO, PQerrorMessage(database->connection), err);
    const ExecStatusType how = PQresultStatus(result);
    if (how == PGRES_COMMAND_OK || how == PGRES_TUPLES_OK) return QN_OK;
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return fail(status_of(result), message ? message : PQerrorMessage(database->connection), err);
}

qn_status qn_postgres_run(qn_postgres *database, const char *sql, qn_error *err)
{
    PGresult *result = PQexec(database->connection, sql);
    const qn_status status = check(database, result, err);
    PQclear(result);
    return status;
}

static qn_status prepare(qn_postgres *database, const char *name, const char *sql, qn_error *err)
{
    for (int i = 0; i < database->n_prepared; i++) {
        if (strcmp(database->prepared[i], name) == 0) return QN_OK;
    }
    if (database->n_prepared == STATEMENTS_MAX) {
        return qn_fail(err, QN_ERR_IO, "postgres: too many statements");
    }
    PGresult *result = PQprepare(database->connection, name, sql, 0, NULL);
    const qn_status status = check(database, result, err);
    PQclear(result);
    if (status == QN_OK) database->prepared[database->n_prepared++] = name;
    return status;
}

qn_status qn_postgres_query(qn_postgres *database, const char *name, const char *sql,
                            const qn_postgres_value *values, int n_values, qn_postgres_result **out,
                            qn_error *err)
{
    uint64_t numbers[QN_POSTGRES_VALUES_MAX];
    const char *data[QN_POSTGRES_VALUES_MAX];
    int lengths[QN_POSTGRES_VALUES_MAX], formats[QN_POSTGRES_VALUES_MAX];
    if (out) *out = NULL;
    QN_TRY(prepare(database, name, sql, err));
    for (int i = 0; i < n_values; i++) {
        numbers[i] = htobe64((uint64_t)values[i].number);
        data[i] = values[i].bytes ? values[i].bytes : (const char *)&numbers[i];
        lengths[i] = (int)(values[i].bytes ? values[i].n_bytes : sizeof *numbers);
        formats[i] = 1;
    }
    PGresult *rows =
        PQexecPrepared(database->connection, name, n_values, data, lengths, formats, 1);
    qn_status status = check(database, rows, err);
    qn_postgres_result *result = status == QN_OK && out ? qn_alloc_array(1, sizeof *result) : NULL;
    if (status == QN_OK && out && !result) {
        status = qn_fail(err, QN_ERR_NOMEM, "postgres: no memory for a result");
    }
    if (result) {
        result->rows = rows;
        *out = result;
    } else {
        PQclear(rows);
    }
    return status;
}

void qn_postgres_result_free(qn_postgres_result *result)
{
    if (!result) return;
    PQclear(result->rows);
    qn_free(result);
}

int64_t qn_postgres_n_rows(const qn_postgres_result *result)
{
    return PQntuples(result->rows);
}

bool qn_postgres_is_null(const qn_postgres_result *result, int64_t row, int column)
{
    return PQgetisnull(result->rows, (int)row, column) != 0;
}

int64_t qn_postgres_int(const qn_postgres_result *result, int64_t row, int column)
{
    uint64_t number;
    const char *data = PQgetvalue(result->rows, (int)row, column);
    if (PQgetlength(result->rows, (int)row, column) == 1) return *data != 0;
    if (PQgetlength(result->rows, (int)row, column) != sizeof number) return 0;
    memcpy(&number, data, sizeof number);
    return (int64_t)be64toh(number);
}

const char *qn_postgres_bytes(const qn_postgres_result *result, int64_t row, int column,
                              size_t *bytes)
{
    *bytes = (size_t)PQgetlength(result->rows, (int)row, column);
    return PQgetvalue(result->rows, (int)row, column);
}

bool qn_postgres_was_notified(qn_postgres *database)
{
    bool notified = false;
    PGnotify *notification;
    PQconsumeInput(database->connection);
    while ((notification = PQnotifies(database->connection)) != NULL) {
        notified |= notification->be_pid != PQbackendPID(database->connection);
        PQfreemem(notification);
    }
    return notified;
}

int qn_postgres_socket(const qn_postgres *database)
{
    return PQsocket(database->connection);
}
