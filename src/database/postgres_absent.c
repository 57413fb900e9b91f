/* SPDX-License-Identifier: Apache-2.0 */
/* postgres.h where libpq is not there: nothing can be opened, so nothing else is ever called. */
#include "database/postgres.h"

qn_status qn_postgres_open(const char *url, qn_postgres **out, qn_error *err)
{
    (void)url;
    *out = NULL;
    return qn_fail(err, QN_ERR_UNSUPPORTED,
                   "this build knows no PostgreSQL; install libpq-dev and build again");
}

void qn_postgres_close(qn_postgres *database)
{
    (void)database;
}

bool qn_postgres_is_lost(const qn_postgres *database)
{
    return !database;
}

qn_status qn_postgres_reconnect(qn_postgres *database, qn_error *err)
{
    return qn_postgres_open(NULL, &database, err);
}

qn_status qn_postgres_run(qn_postgres *database, const char *sql, qn_error *err)
{
    (void)sql;
    return qn_postgres_open(NULL, &database, err);
}

qn_status qn_postgres_query(qn_postgres *database, const char *name, const char *sql,
                            const qn_postgres_value *values, int n_values, qn_postgres_result **out,
                            qn_error *err)
{
    (void)name;
    (void)values;
    (void)n_values;
    if (out) *out = NULL;
    return qn_postgres_run(database, sql, err);
}

void qn_postgres_result_free(qn_postgres_result *result)
{
    (void)result;
}

int64_t qn_postgres_n_rows(const qn_postgres_result *result)
{
    (void)result;
    return 0;
}

bool qn_postgres_is_null(const qn_postgres_result *result, int64_t row, int column)
{
    (void)row;
    (void)column;
    return !result;
}

int64_t qn_postgres_int(const qn_postgres_result *result, int64_t row, int column)
{
    (void)column;
    return result ? row : 0;
}

const char *qn_postgres_bytes(const qn_postgres_result *result, int64_t row, int column,
                              size_t *bytes)
{
    (void)result;
    (void)row;
    (void)column;
    *bytes = 0;
    return "";
}

bool qn_postgres_was_notified(qn_postgres *database)
{
    (void)database;
    return false;
}

int qn_postgres_socket(const qn_postgres *database)
{
    (void)database;
    return -1;
}
