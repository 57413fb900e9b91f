/* SPDX-License-Identifier: Apache-2.0 */
/* Studies in a PostgreSQL database, for workers on many machines: the URL is all they need.
 *
 * A put is one statement and its own transaction; beginnings of trials do not wait for the disk, as
 * no end can be durable before them. Rows that another worker is just writing are skipped, not
 * waited for (FOR UPDATE SKIP LOCKED): the put is then refused, and its caller looks again.
 *
 * What has changed is found by transaction numbers: whatever was not visible in a snapshot has a
 * number not below its xmin, so the next look begins there; what is seen twice is known by its
 * revision. That there is something to look for is told by NOTIFY, in a transaction of its own that
 * waits for no disk: notifying transactions commit one after the other.
 *
 * A worker is alive as long as its session holds the advisory lock of its number.
 *
 * A connection that breaks is made anew for up to a minute, at growing intervals, and what failed
 * is done again. That is harmless: a put that had been done is refused when it comes again, but
 * then the row is what it wrote, to the byte. The lock is taken again before anything else; who
 * found it free meanwhile has given the worker's trials to others, which the worker learns when it
 * wants to end them. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "database/postgres.h"
#include "search/stores/store.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long a lost connection is tried to be made anew, and the pauses between. */
#define PATIENCE_S 60
#define PAUSE_MIN_S 0.05
#define PAUSE_MAX_S 2
/* How long after that other workers are given to come back, too. */
#define RETURN_S 10

struct postgres_store {
    qn_postgres *database;
    char *name;
    int64_t study, definition_revision; /* 0: not defined yet */
    int64_t worker;
    int64_t xmin; /* changes begin with this transaction */
    bool has_read, is_listening, has_news_to_tell;
    bool has_news;      /* heard of since the last look, or missed while the connection was lost */
    double connected_s; /* when the connection was made anew, on qn_clock_s(); 0: never */
    qn_str body;
};

/* Under a lock, as two sessions that make a table at the same time may both fail. */
static const char schema[] =
    "SELECT pg_advisory_xact_lock(hashtext('quern schema'));"
    "CREATE TABLE IF NOT EXISTS quern_study (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " name text NOT NULL UNIQUE, definition text NOT NULL, revision bigint NOT NULL);"
    "CREATE TABLE IF NOT EXISTS quern_worker (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " host text NOT NULL, pid bigint NOT NULL, began timestamptz NOT NULL DEFAULT now());"
    "CREATE SEQUENCE IF NOT EXISTS quern_revision;"
    "CREATE TABLE IF NOT EXISTS quern_trial (study bigint NOT NULL REFERENCES quern_study (id),"
    " number bigint NOT NULL, revision bigint NOT NULL, xact xid8 NOT NULL, state text NOT NULL,"
    " owner bigint NOT NULL, body bytea NOT NULL, PRIMARY KEY (study, number));"
    "CREATE INDEX IF NOT EXISTS quern_trial_xact ON quern_trial (study, xact)";

/* $6 is the setting of synchronous_commit for this transaction alone. */
static const char put_new_sql[] =
    "WITH how AS (SELECT set_config('synchronous_commit', coalesce(nullif($6::text, ''),"
    " current_setting('synchronous_commit')), true))"
    " INSERT INTO quern_trial (study, number, revision, xact, state, owner, body)"
    " SELECT $1::bigint, $2::bigint, nextval('quern_revision'), pg_current_xact_id(), $3::text,"
    " $4::bigint, $5::bytea FROM how ON CONFLICT DO NOTHING RETURNING revision";
static const char put_sql[] =
    "WITH how AS (SELECT set_config('synchronous_commit', coalesce(nullif($6::text, ''),"
    " current_setting('synchronous_commit')), true)),"
    " mine AS (SELECT t.study, t.number FROM quern_trial t, how WHERE t.study = $1::bigint"
    " AND t.number = $2::bigint AND t.revision = $7::bigint FOR UPDATE OF t SKIP LOCKED)"
    " UPDATE quern_trial t SET revision = nextval('quern_revision'), xact = pg_current_xact_id(),"
    " state = $3::text, owner = $4::bigint, body = $5::bytea FROM mine"
    " WHERE t.study = mine.study AND t.number = mine.number RETURNING t.revision";
static const char is_put_sql[] =
    "SELECT revision FROM quern_trial WHERE study = $1::bigint AND number = $2::bigint"
    " AND state = $3::text AND owner = $4::bigint AND body = $5::bytea";
static const char changes_sql[] =
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, t.number, t.revision, t.state,"
    " t.owner, t.body FROM (VALUES (1)) one LEFT JOIN quern_trial t ON t.study = $1::bigint"
    " AND t.xact >= $2::bigint::text::xid8 ORDER BY t.number";
static const char alive_sql[] =
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database()) AND objsubid = 2"
    " AND classid = 'quern_worker'::regclass::oid AND objid = ($1::bigint)::text::oid)";

static qn_postgres_value number_of(int64_t number)
{
    return (qn_postgres_value){.number = number};
}

static qn_postgres_value text_of(const char *text)
{
    return (qn_postgres_value){.bytes = text, .n_bytes = strlen(text)};
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "postgres: no memory for the study");
}

static int64_t first_int(qn_postgres_result *result)
{
    const int64_t number = qn_postgres_n_rows(result) > 0 ? qn_postgres_int(result, 0, 0) : 0;
    qn_postgres_result_free(result);
    return number;
}

/* Connecting again. */

static void pause_s(double seconds)
{
    const struct timespec time = {(time_t)seconds, (long)(1e9 * (seconds - floor(seconds)))};
    nanosleep(&time, NULL);
}

/* The old session may hold the lock until the server has noticed that it is gone. */
static qn_status take_lock(struct postgres_store *store, bool *taken, qn_error *err)
{
    qn_postgres_result *result;
    *taken = true;
    if (store->worker == 0) return QN_OK;
    QN_TRY(qn_postgres_query(store->database, "relock",
                             "SELECT pg_try_advisory_lock('quern_worker'::regclass::oid::int,"
                             " ($1::bigint)::int)",
                             (qn_postgres_value[]){number_of(store->worker)}, 1, &result, err));
    *taken = first_int(result) != 0;
    return QN_OK;
}

static qn_status reconnect(struct postgres_store *store, double until_s, qn_error *err)
{
    double wait_s = PAUSE_MIN_S;
    store->is_listening = false;
    store->has_news = true;
    for (;;) {
        bool taken = false;
        qn_status status = QN_OK;
        if (qn_postgres_is_lost(store->database)) {
            status = qn_postgres_reconnect(store->database, err);
        }
        if (status == QN_OK) status = take_lock(store, &taken, err);
        store->connected_s = qn_clock_s();
        if (status == QN_OK && taken) return QN_OK;
        const bool lost = qn_postgres_is_lost(store->database);
        if (status != QN_OK && !lost) return status;
        if (qn_clock_s() + wait_s > until_s) {
            return status != QN_OK
                       ? status
                       : qn_fail(err, QN_ERR_IO, "postgres: the server keeps the lost connection");
        }
        /* Many workers that lost it together come back one after the other. */
        pause_s(wait_s * (1 + (double)(store->worker % 16) / 16));
        wait_s = fmin(2 * wait_s, PAUSE_MAX_S);
    }
}

/* As qn_postgres_query(), on a new connection where the old one is lost; *again, unless NULL, then
 * says that it may have been done before. */
static qn_status query(struct postgres_store *store, const char *name, const char *sql,
                       const qn_postgres_value *values, int n_values, qn_postgres_result **out,
                       bool *again, qn_error *err)
{
    double until_s = 0;
    if (again) *again = false;
    for (;;) {
        const qn_status status =
            qn_postgres_query(store->database, name, sql, values, n_values, out, err);
        if (status != QN_ERR_IO || !qn_postgres_is_lost(store->database)) return status;
        if (until_s == 0) until_s = qn_clock_s() + PATIENCE_S;
        QN_TRY(reconnect(store, until_s, err));
        if (again) *again = true;
    }
}

/* A query for one bigint, 0 without a row. */
static qn_status query_int(struct postgres_store *store, const char *name, const char *sql,
                           const qn_postgres_value *values, int n_values, int64_t *out, bool *again,
                           qn_error *err)
{
    qn_postgres_result *result;
    QN_TRY(query(store, name, sql, values, n_values, &result, again, err));
    *out = first_int(result);
    return QN_OK;
}

/* Opening. */

/* Who may not make tables may use those that are there. */
static qn_status find_tables(struct postgres_store *store, qn_store_mode mode, qn_error *err)
{
    int64_t found;
    QN_TRY(query_int(store, "tables", "SELECT to_regclass('quern_trial_xact') IS NOT NULL", NULL, 0,
                     &found, NULL, err));
    if (found) return QN_OK;
    if (mode == QN_STORE_WORK) return qn_postgres_run(store->database, schema, err);
    return qn_fail(err, QN_ERR_DATA, "postgres: no store of studies in this database");
}

static qn_status begin_work(struct postgres_store *store, qn_error *err)
{
    char host[128] = "";
    gethostname(host, sizeof host - 1);
    QN_TRY(query_int(store, "worker",
                     "INSERT INTO quern_worker (host, pid) VALUES ($1::text, $2::bigint)"
                     " RETURNING id",
                     (qn_postgres_value[]){text_of(host), number_of((int64_t)getpid())}, 2,
                     &store->worker, NULL, err));
    return qn_postgres_query(store->database, "lock",
                             "SELECT pg_advisory_lock('quern_worker'::regclass::oid::int,"
                             " ($1::bigint)::int)",
                             (qn_postgres_value[]){number_of(store->worker)}, 1, NULL, err);
}

static void close_store(void *state)
{
    struct postgres_store *store = state;
    qn_postgres_close(store->database);
    qn_str_release(&store->body);
    qn_free(store->name);
    qn_free(store);
}

static qn_status open_store(const char *url, const char *study, qn_store_mode mode, void **state,
                            int64_t *worker, qn_error *err)
{
    *state = NULL;
    *worker = 0;
    struct postgres_store *store = qn_alloc_array(1, sizeof *store);
    if (!store) return no_memory(err);
    store->name = qn_strdup(study);
    qn_status status = store->name ? QN_OK : no_memory(err);
    if (status == QN_OK) status = qn_postgres_open(url, &store->database, err);
    if (status == QN_OK) status = find_tables(store, mode, err);
    if (status == QN_OK && mode == QN_STORE_WORK) status = begin_work(store, err);
    if (status == QN_OK) {
        *state = store;
        *worker = store->worker;
    } else {
        close_store(store);
    }
    return status;
}

/* Listening begins before the first look: what comes later is told. */
static qn_status listen_for_news(struct postgres_store *store, qn_error *err)
{
    char sql[64];
    if (store->is_listening || store->study == 0) return QN_OK;
    snprintf(sql, sizeof sql, "LISTEN quern_study_%" PRId64, store->study);
    for (;;) {
        const qn_status status = qn_postgres_run(store->database, sql, err);
        store->is_listening = status == QN_OK;
        if (status != QN_ERR_IO || !qn_postgres_is_lost(store->database)) return status;
        QN_TRY(reconnect(store, qn_clock_s() + PATIENCE_S, err));
    }
}

/* The definition. */

static qn_status take_definition(struct postgres_store *store, const qn_postgres_result *result,
                                 char **definition, qn_error *err)
{
    size_t bytes;
    if (qn_postgres_n_rows(result) == 0) return QN_OK;
    store->study = qn_postgres_int(result, 0, 0);
    store->definition_revision = qn_postgres_int(result, 0, 1);
    const char *text = qn_postgres_bytes(result, 0, 2, &bytes);
    *definition = qn_strndup(text, bytes);
    return *definition ? QN_OK : no_memory(err);
}

static qn_status read_definition(void *state, char **definition, qn_error *err)
{
    struct postgres_store *store = state;
    qn_postgres_result *result;
    *definition = NULL;
    QN_TRY(query(store, "definition",
                 "SELECT id, revision, definition FROM quern_study WHERE name = $1::text",
                 (qn_postgres_value[]){text_of(store->name)}, 1, &result, NULL, err));
    const qn_status status = take_definition(store, result, definition, err);
    qn_postgres_result_free(result);
    return status;
}

static qn_status define(void *state, const char *definition, bool *done, qn_error *err)
{
    struct postgres_store *store = state;
    const qn_postgres_value values[] = {text_of(store->name), text_of(definition),
                                        number_of(store->definition_revision)};
    const bool is_new = store->definition_revision == 0;
    const char *sql = is_new ? "INSERT INTO quern_study (name, definition, revision) VALUES"
                               " ($1::text, $2::text, 1 + $3::bigint) ON CONFLICT DO NOTHING"
                               " RETURNING id"
                             : "UPDATE quern_study SET definition = $2::text, revision = 1 +"
                               " $3::bigint WHERE name = $1::text AND revision = $3::bigint"
                               " RETURNING id";
    int64_t study;
    bool again;
    QN_TRY(query_int(store, is_new ? "define" : "redefine", sql, values, 3, &study, &again, err));
    if (study == 0 && again) {
        QN_TRY(query_int(store, "defined",
                         "SELECT id FROM quern_study WHERE name = $1::text AND definition ="
                         " $2::text AND revision = 1 + $3::bigint",
                         values, 3, &study, NULL, err));
    }
    *done = study > 0;
    if (!*done) return QN_OK;
    store->study = study;
    store->definition_revision++;
    return QN_OK;
}

/* Trials. */

static qn_status put(void *state, const qn_stored_trial *trial, int64_t n_objectives,
                     int64_t *revision, qn_error *err)
{
    struct postgres_store *store = state;
    const qn_trial_record *record = &trial->record;
    const bool is_new = record->revision == 0,
               ends = record->state >= QN_TRIAL_COMPLETE && record->number >= 0;
    *revision = 0;
    qn_stored_trial_pack(trial, n_objectives, &store->body);
    if (store->body.failed) return no_memory(err);
    const qn_postgres_value values[] = {number_of(store->study),
                                        number_of(record->number),
                                        text_of(qn_trial_state_name(record->state)),
                                        number_of(record->owner),
                                        {.bytes = store->body.text, .n_bytes = store->body.bytes},
                                        text_of(ends ? "" : "off"),
                                        number_of(record->revision)};
    bool again;
    QN_TRY(query_int(store, is_new ? "put_new" : "put", is_new ? put_new_sql : put_sql, values,
                     is_new ? 6 : 7, revision, &again, err));
    if (*revision == 0 && again) {
        QN_TRY(query_int(store, "is_put", is_put_sql, values, 5, revision, NULL, err));
    }
    store->has_news_to_tell |= *revision > 0;
    return QN_OK;
}

/* Everything is committed; the others are told. */
static qn_status commit(void *state, qn_error *err)
{
    struct postgres_store *store = state;
    if (!store->has_news_to_tell) return QN_OK;
    store->has_news_to_tell = false;
    return query(store, "tell",
                 "SELECT set_config('synchronous_commit', 'off', true),"
                 " pg_notify('quern_study_' || $1::bigint, '')",
                 (qn_postgres_value[]){number_of(store->study)}, 1, NULL, NULL, err);
}

/* Hears what has come, and connects again when it is the end of the connection. */
static qn_status stay(void *state, qn_error *err)
{
    struct postgres_store *store = state;
    store->has_news |= qn_postgres_was_notified(store->database);
    if (!qn_postgres_is_lost(store->database)) return QN_OK;
    return reconnect(store, qn_clock_s() + PATIENCE_S, err);
}

static qn_status read_trial(const qn_postgres_result *result, int64_t row, qn_arena *arena,
                            qn_stored_trial *trial, qn_error *err)
{
    size_t bytes, name_bytes;
    const char *body = qn_postgres_bytes(result, row, 5, &bytes);
    qn_trial_record *record = &trial->record;
    QN_TRY(qn_stored_trial_unpack(body, bytes, arena, trial, err));
    record->number = qn_postgres_int(result, row, 1);
    record->revision = record->told = qn_postgres_int(result, row, 2);
    record->owner = qn_postgres_int(result, row, 4);
    if (qn_trial_state_find(qn_postgres_bytes(result, row, 3, &name_bytes), &record->state)) {
        return QN_OK;
    }
    return qn_fail(err, QN_ERR_DATA, "a trial is in no state known here");
}

static qn_status visit_rows(const qn_postgres_result *result, qn_store_visitor *visit,
                            void *context, qn_error *err)
{
    qn_arena arena = {0};
    qn_status status = QN_OK;
    for (int64_t row = 0; status == QN_OK && row < qn_postgres_n_rows(result); row++) {
        qn_stored_trial trial = {0};
        if (qn_postgres_is_null(result, row, 1)) continue; /* nothing has changed */
        qn_arena_reset(&arena);
        status = read_trial(result, row, &arena, &trial, err);
        if (status == QN_OK) status = visit(context, &trial, err);
    }
    qn_arena_release(&arena);
    return status;
}

static qn_status changes(void *state, bool force, qn_store_visitor *visit, void *context,
                         qn_error *err)
{
    struct postgres_store *store = state;
    qn_postgres_result *result;
    if (store->study == 0) return QN_OK; /* not defined yet */
    QN_TRY(listen_for_news(store, err));
    QN_TRY(stay(store, err));
    if (store->has_read && !store->has_news && !force) return QN_OK;
    QN_TRY(query(store, "changes", changes_sql,
                 (qn_postgres_value[]){number_of(store->study), number_of(store->xmin)}, 2, &result,
                 NULL, err));
    store->has_news = !store->is_listening; /* lost just now: look again when listening */
    const int64_t xmin = qn_postgres_int(result, 0, 0);
    const qn_status status = visit_rows(result, visit, context, err);
    qn_postgres_result_free(result);
    if (status != QN_OK) return status;
    store->xmin = xmin;
    store->has_read = true;
    return QN_OK;
}

static qn_status is_alive(void *state, int64_t worker, bool *alive, qn_error *err)
{
    struct postgres_store *store = state;
    int64_t found = 0;
    *alive = worker == store->worker ||
             (store->connected_s > 0 && qn_clock_s() < store->connected_s + RETURN_S);
    if (*alive) return QN_OK;
    QN_TRY(query_int(store, "alive", alive_sql, (qn_postgres_value[]){number_of(worker)}, 1, &found,
                     NULL, err));
    *alive = found != 0;
    return QN_OK;
}

static int descriptor(const void *state)
{
    const struct postgres_store *store = state;
    return qn_postgres_socket(store->database);
}

static qn_status list(const char *url, void (*visit)(void *context, const char *study),
                      void *context, qn_error *err)
{
    void *state;
    int64_t worker;
    qn_postgres_result *result;
    size_t bytes;
    QN_TRY(open_store(url, "", QN_STORE_READ, &state, &worker, err));
    struct postgres_store *store = state;
    const qn_status status = qn_postgres_query(
        store->database, "list", "SELECT name FROM quern_study ORDER BY id", NULL, 0, &result, err);
    for (int64_t row = 0; status == QN_OK && row < qn_postgres_n_rows(result); row++) {
        visit(context, qn_postgres_bytes(result, row, 0, &bytes));
    }
    qn_postgres_result_free(result);
    close_store(store);
    return status;
}

const qn_store_backend qn_store_postgres = {.scheme = "postgres",
                                            .form = "postgres://HOST/DATABASE",
                                            .open = open_store,
                                            .close = close_store,
                                            .read_definition = read_definition,
                                            .define = define,
                                            .put = put,
                                            .commit = commit,
                                            .changes = changes,
                                            .is_alive = is_alive,
                                            .descriptor = descriptor,
                                            .stay = stay,
                                            .list = list};
