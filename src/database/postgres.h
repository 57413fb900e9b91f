/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL under the conventions of this program: statuses and errors of one line, values and
 * results in binary. The only folder that includes libpq. Without libpq at build time opening fails
 * with QN_ERR_UNSUPPORTED.
 *
 * Connections are kept alive on both ends: a server forgets a machine that is gone within half a
 * minute.
 *
 * Threads: one thread at a time per connection and its results. */
#ifndef QN_DATABASE_POSTGRES_H
#define QN_DATABASE_POSTGRES_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn_postgres qn_postgres;               /* close with qn_postgres_close() */
typedef struct qn_postgres_result qn_postgres_result; /* free with qn_postgres_result_free() */

/* A "postgres://" URL or a connection string. Messages do not repeat it: it may hold a password.
 * Fails with QN_ERR_IO, QN_ERR_UNSUPPORTED or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_postgres_open(const char *url, qn_postgres **out, qn_error *err);
void qn_postgres_close(qn_postgres *database); /* accepts NULL */

/* Whether the connection is gone, which makes everything fail with QN_ERR_IO. */
bool qn_postgres_is_lost(const qn_postgres *database);
/* Makes it anew, as a session that holds and listens to nothing. What was going on when it broke
 * may have been done or not. Fails as opening. */
QN_MUST_CHECK
qn_status qn_postgres_reconnect(qn_postgres *database, qn_error *err);

/* The rest fail with QN_ERR_DATA (the statement or its values make no sense), QN_ERR_IO (the
 * connection, the server, a full disk …) or QN_ERR_NOMEM; messages are the server's. */

/* Runs any statements, in one transaction. */
QN_MUST_CHECK
qn_status qn_postgres_run(qn_postgres *database, const char *sql, qn_error *err);

/* A parameter: borrowed bytes (of a text or a bytea), or, where `bytes` is NULL, a bigint. */
typedef struct qn_postgres_value {
    const char *bytes;
    size_t n_bytes;
    int64_t number;
} qn_postgres_value;

enum { QN_POSTGRES_VALUES_MAX = 8 };

/* Runs one statement with the parameters $1, $2 …; it is prepared under `name` when it comes first.
 * `out` may be NULL. */
QN_MUST_CHECK
qn_status qn_postgres_query(qn_postgres *database, const char *name, const char *sql,
                            const qn_postgres_value *values, int n_values, qn_postgres_result **out,
                            qn_error *err);
void qn_postgres_result_free(qn_postgres_result *result); /* accepts NULL */

int64_t qn_postgres_n_rows(const qn_postgres_result *result);
bool qn_postgres_is_null(const qn_postgres_result *result, int64_t row, int column);
/* Of a bigint or a boolean. */
int64_t qn_postgres_int(const qn_postgres_result *result, int64_t row, int column);
/* Of a text or a bytea; terminated, borrowed from the result. */
const char *qn_postgres_bytes(const qn_postgres_result *result, int64_t row, int column,
                              size_t *bytes);

/* Whether another connection has sent a notification on a channel listened to since the last call.
 */
bool qn_postgres_was_notified(qn_postgres *database);
/* The socket: readable when something has come. */
int qn_postgres_socket(const qn_postgres *database);

#endif
