/* SPDX-License-Identifier: Apache-2.0 */
#include "database/sqlite.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAITS_MAX = 1000, WAIT_US_MAX = 20000 };

struct qn_sqlite {
    sqlite3 *handle;
    qn_rng waits;         /* of the busy handler alone: never part of a result */
    const char *log_path; /* of the write-ahead log; lives as long as the handle */
    int log;              /* its descriptor, for qn_sqlite_sync() alone; -1: not open */
};

struct qn_sqlite_statement {
    sqlite3_stmt *handle;
    qn_sqlite *database;
    int bind_code; /* the first failure of a bind */
};

/* Equal waits would make processes collide again and again. */
static int wait_at_random(void *context, int n_waits)
{
    qn_sqlite *database = context;
    const int64_t most_us = n_waits < 10 ? WAIT_US_MAX / 10 : WAIT_US_MAX;
    const struct timespec wait = {.tv_nsec = 1000 * (1 + qn_rng_below(&database->waits, most_us))};
    if (n_waits >= WAITS_MAX) return 0;
    nanosleep(&wait, NULL);
    return 1;
}

static qn_status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return QN_OK;
    case SQLITE_NOMEM:
        return QN_ERR_NOMEM;
    case SQLITE_ERROR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
    case SQLITE_AUTH:
    case SQLITE_READONLY: /* a table asked to change */
        return QN_ERR_DATA;
    default:
        return QN_ERR_IO;
    }
}

static qn_status check(const qn_sqlite *database, int code, qn_error *err)
{
    const qn_status status = status_of(code);
    return status == QN_OK ? QN_OK : qn_fail(err, status, "%s", sqlite3_errmsg(database->handle));
}

qn_status qn_sqlite_open(const char *path, qn_sqlite_mode mode, qn_sqlite **out, qn_error *err)
{
    static const int flags[] = {SQLITE_OPEN_READONLY, SQLITE_OPEN_READWRITE,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE};
    *out = NULL;
    qn_sqlite *database = qn_alloc_array(1, sizeof *database);
    if (!database) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to open it", path);
    database->log = -1;
    /* One thread at a time is our own promise: no locks inside. */
    const int how = flags[mode] | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &database->handle, how, NULL) != SQLITE_OK) {
        const qn_status status =
            qn_fail(err, QN_ERR_IO, "%s: %s", path,
                    database->handle ? sqlite3_errmsg(database->handle) : "no memory");
        qn_sqlite_close(database);
        return status;
    }
    qn_rng_init(&database->waits, (uint64_t)getpid(), (uint64_t)time(NULL));
    sqlite3_busy_handler(database->handle, wait_at_random, database);
    database->log_path = sqlite3_filename_wal(sqlite3_db_filename(database->handle, "main"));
    *out = database;
    return QN_OK;
}

void qn_sqlite_close(qn_sqlite *database)
{
    if (!database) return;
    if (database->log >= 0) close(database->log);
    sqlite3_close(database->handle);
    qn_free(database);
}

qn_status qn_sqlite_run(qn_sqlite *database, const char *sql, qn_error *err)
{
    return check(database, sqlite3_exec(database->handle, sql, NULL, NULL, NULL), err);
}

/* What synchronous = FULL does at the end of each commit, with the locks of the database held. The
 * log is the same file as long as anybody has the database open, and SQLite locks no part of it, so
 * that a descriptor more is harmless; that SQLite has written the log's name and head to the disk
 * before is synchronous = NORMAL. */
qn_status qn_sqlite_sync(qn_sqlite *database, qn_error *err)
{
    int failed;
    if (database->log < 0) database->log = open(database->log_path, O_RDONLY | O_CLOEXEC);
    do {
        failed = database->log < 0 || fdatasync(database->log) != 0;
    } while (failed && errno == EINTR);
    return failed ? qn_fail(err, QN_ERR_IO, "the write-ahead log: %s", strerror(errno)) : QN_OK;
}

qn_status qn_sqlite_prepare(qn_sqlite *database, const char *sql, qn_sqlite_statement **out,
                            qn_error *err)
{
    *out = NULL;
    qn_sqlite_statement *statement = qn_alloc_array(1, sizeof *statement);
    if (!statement) return qn_fail(err, QN_ERR_NOMEM, "no memory for a statement");
    statement->database = database;
    const qn_status status = check(
        database, sqlite3_prepare_v2(database->handle, sql, -1, &statement->handle, NULL), err);
    if (status == QN_OK) {
        *out = statement;
    } else {
        qn_free(statement);
    }
    return status;
}

void qn_sqlite_finalize(qn_sqlite_statement *statement)
{
    if (!statement) return;
    sqlite3_finalize(statement->handle);
    qn_free(statement);
}

static void keep_code(qn_sqlite_statement *statement, int code)
{
    if (statement->bind_code == SQLITE_OK) statement->bind_code = code;
}

void qn_sqlite_bind_int(qn_sqlite_statement *statement, int at, int64_t value)
{
    keep_code(statement, sqlite3_bind_int64(statement->handle, at, value));
}

void qn_sqlite_bind_double(qn_sqlite_statement *statement, int at, double value)
{
    keep_code(statement, sqlite3_bind_double(statement->handle, at, value));
}

void qn_sqlite_bind_text(qn_sqlite_statement *statement, int at, const char *text)
{
    keep_code(statement, sqlite3_bind_text(statement->handle, at, text, -1, SQLITE_STATIC));
}

void qn_sqlite_bind_blob(qn_sqlite_statement *statement, int at, const void *data, size_t bytes)
{
    keep_code(statement, sqlite3_bind_blob64(statement->handle, at, data, (sqlite3_uint64)bytes,
                                             SQLITE_STATIC));
}

qn_status qn_sqlite_step(qn_sqlite_statement *statement, bool *row, qn_error *err)
{
    const int code = statement->bind_code ? statement->bind_code : sqlite3_step(statement->handle);
    const qn_status status = check(statement->database, code, err);
    *row = code == SQLITE_ROW;
    if (!*row) qn_sqlite_reset(statement);
    return status;
}

void qn_sqlite_reset(qn_sqlite_statement *statement)
{
    sqlite3_reset(statement->handle);
    sqlite3_clear_bindings(statement->handle);
    statement->bind_code = SQLITE_OK;
}

int qn_sqlite_n_columns(const qn_sqlite_statement *statement)
{
    return sqlite3_column_count(statement->handle);
}

const char *qn_sqlite_column_name(const qn_sqlite_statement *statement, int column)
{
    return sqlite3_column_name(statement->handle, column);
}

qn_sqlite_type qn_sqlite_column_type(const qn_sqlite_statement *statement, int column)
{
    switch (sqlite3_column_type(statement->handle, column)) {
    case SQLITE_INTEGER:
        return QN_SQLITE_INT;
    case SQLITE_FLOAT:
        return QN_SQLITE_DOUBLE;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        return QN_SQLITE_BYTES;
    default:
        return QN_SQLITE_NULL;
    }
}

int64_t qn_sqlite_column_int(const qn_sqlite_statement *statement, int column)
{
    return sqlite3_column_int64(statement->handle, column);
}

double qn_sqlite_column_double(const qn_sqlite_statement *statement, int column)
{
    return sqlite3_column_double(statement->handle, column);
}

const char *qn_sqlite_column_bytes(const qn_sqlite_statement *statement, int column, size_t *bytes)
{
    const char *text = sqlite3_column_type(statement->handle, column) == SQLITE_TEXT
                           ? (const char *)sqlite3_column_text(statement->handle, column)
                           : sqlite3_column_blob(statement->handle, column);
    *bytes = (size_t)sqlite3_column_bytes(statement->handle, column);
    return text ? text : "";
}
