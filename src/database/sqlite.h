/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite under the conventions of this program: statuses and errors, a busy handler that waits at
 * random so that many processes on one file take turns. The only folder that includes sqlite3.h.
 *
 * Threads: one thread at a time per database and its statements, but for qn_sqlite_sync(). */
#ifndef QN_DATABASE_SQLITE_H
#define QN_DATABASE_SQLITE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn_sqlite qn_sqlite;                     /* close with qn_sqlite_close() */
typedef struct qn_sqlite_statement qn_sqlite_statement; /* free with qn_sqlite_finalize() */

typedef enum qn_sqlite_mode {
    QN_SQLITE_READ,  /* fails when the file is not there */
    QN_SQLITE_WRITE, /* likewise */
    QN_SQLITE_CREATE /* makes the file when it is not there */
} qn_sqlite_mode;

/* Fails with QN_ERR_IO "path: …" or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_sqlite_open(const char *path, qn_sqlite_mode mode, qn_sqlite **out, qn_error *err);
void qn_sqlite_close(qn_sqlite *database); /* accepts NULL */

/* The rest fail with QN_ERR_DATA (the statement or the file makes no sense), QN_ERR_IO (locked for
 * longer than ten seconds, disk full …) or QN_ERR_NOMEM; messages are SQLite's, without the path.
 */

/* Runs statements that give no rows. */
QN_MUST_CHECK
qn_status qn_sqlite_run(qn_sqlite *database, const char *sql, qn_error *err);

QN_MUST_CHECK
qn_status qn_sqlite_prepare(qn_sqlite *database, const char *sql, qn_sqlite_statement **out,
                            qn_error *err);
void qn_sqlite_finalize(qn_sqlite_statement *statement); /* accepts NULL */

/* Returns when all that was committed so far, by whomever, outlives a loss of power: for databases
 * in write-ahead mode with synchronous = NORMAL, whose commits do not wait for the disk. One thread
 * may call it beside any other call on the database but qn_sqlite_close(). Fails with QN_ERR_IO. */
QN_MUST_CHECK
qn_status qn_sqlite_sync(qn_sqlite *database, qn_error *err);

/* Values of the parameters ?1, ?2 …, borrowed until the next reset; failures are told by the next
 * step. A blob of NULL is null. */
void qn_sqlite_bind_int(qn_sqlite_statement *statement, int at, int64_t value);
void qn_sqlite_bind_double(qn_sqlite_statement *statement, int at, double value);
void qn_sqlite_bind_text(qn_sqlite_statement *statement, int at, const char *text);
void qn_sqlite_bind_blob(qn_sqlite_statement *statement, int at, const void *data, size_t bytes);

/* The next row, or *row = false and the statement is reset. */
QN_MUST_CHECK
qn_status qn_sqlite_step(qn_sqlite_statement *statement, bool *row, qn_error *err);
void qn_sqlite_reset(qn_sqlite_statement *statement);

typedef enum qn_sqlite_type {
    QN_SQLITE_NULL,
    QN_SQLITE_INT,
    QN_SQLITE_DOUBLE,
    QN_SQLITE_BYTES /* text or blob */
} qn_sqlite_type;

/* Columns of the current row, from 0; what is borrowed lives until the next step. */
int qn_sqlite_n_columns(const qn_sqlite_statement *statement);
const char *qn_sqlite_column_name(const qn_sqlite_statement *statement, int column);
qn_sqlite_type qn_sqlite_column_type(const qn_sqlite_statement *statement, int column);
int64_t qn_sqlite_column_int(const qn_sqlite_statement *statement, int column);
double qn_sqlite_column_double(const qn_sqlite_statement *statement, int column);
/* Never NULL; terminated when it is a text. */
const char *qn_sqlite_column_bytes(const qn_sqlite_statement *statement, int column, size_t *bytes);

#endif
