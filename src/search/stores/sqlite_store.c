/* SPDX-License-Identifier: Apache-2.0 */
/* Studies in an SQLite file, in write-ahead mode: readers never wait, and what was committed
 * survives the death of the process at any moment; the end of a trial also a loss of power, unless
 * the URL ends in "?sync=normal".
 *
 * Who is alive is known from a file of locks beside the database (worker_lock.h). */
#include "base/alloc.h"
#include "base/str.h"
#include "database/sqlite.h"
#include "search/stores/store.h"
#include "search/stores/worker_lock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT_VERSION = 2 };

#define SCHEME "sqlite:"
#define SYNC_NORMAL "?sync=normal"

enum statement { PUT_NEW, PUT, NEWS, ALL, CHANGES, N_STATEMENTS };

struct sqlite_store {
    char *path, *name;
    qn_worker_lock lock; /* not open when only reading */
    qn_sqlite *database;
    qn_sqlite_statement *statements[N_STATEMENTS]; /* prepared when first needed */
    int64_t study, definition_revision;            /* 0: not defined yet */
    int64_t worker;
    int64_t seen, data_version; /* by changes(): the newest revision and SQLite's own */
    bool has_read;
    bool in_transaction;
    bool is_fast;         /* the URL says so: nothing waits for the disk */
    bool waits_in_commit; /* there can be no write-ahead log here, so sync() has nothing to do */
    qn_str body;
};

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS study (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " definition TEXT NOT NULL, revision INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS worker (id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER);"
    "CREATE TABLE IF NOT EXISTS trial (study INTEGER NOT NULL REFERENCES study (id),"
    " number INTEGER NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL,"
    " owner INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (study, number)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX IF NOT EXISTS trial_revision ON trial (study, revision);"
    "PRAGMA user_version = 2;"
    "COMMIT";

#define NEXT_REVISION "(SELECT coalesce(max(revision), 0) + 1 FROM trial WHERE study = ?1)"
#define TRIAL_COLUMNS "SELECT number, revision, state, owner, body FROM trial "

static const char *const statement_sql[N_STATEMENTS] = {
    [PUT_NEW] = "INSERT INTO trial (study, number, revision, state, owner, body) VALUES (?1, ?2, "
                "" NEXT_REVISION ", ?3, ?4, ?5) ON CONFLICT DO NOTHING RETURNING revision",
    [PUT] = "UPDATE trial SET revision = " NEXT_REVISION ", state = ?3, owner = ?4, body = ?5"
            " WHERE study = ?1 AND number = ?2 AND revision = ?6 RETURNING revision",
    [NEWS] = "PRAGMA data_version",
    [ALL] = TRIAL_COLUMNS "WHERE study = ?1 ORDER BY number",
    [CHANGES] = TRIAL_COLUMNS
    "INDEXED BY trial_revision WHERE study = ?1 AND revision > ?2 ORDER BY number",
};

static qn_status no_memory(const char *url, qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to open it", url);
}

static qn_status with_path(const struct sqlite_store *store, qn_status status, qn_error *err)
{
    return status == QN_OK ? QN_OK : qn_fail_context(err, status, "%s", store->path);
}

static qn_status get_statement(struct sqlite_store *store, enum statement which,
                               qn_sqlite_statement **out, qn_error *err)
{
    *out = store->statements[which];
    if (*out) return QN_OK;
    QN_TRY(qn_sqlite_prepare(store->database, statement_sql[which], out, err));
    store->statements[which] = *out;
    return QN_OK;
}

/* Opening. */

/* The first column of the first row; `fallback` without a row. */
static qn_status query_int(struct sqlite_store *store, const char *sql, int64_t fallback,
                           int64_t *out, qn_error *err)
{
    qn_sqlite_statement *statement;
    bool row;
    QN_TRY(qn_sqlite_prepare(store->database, sql, &statement, err));
    const qn_status status = qn_sqlite_step(statement, &row, err);
    *out = status == QN_OK && row ? qn_sqlite_column_int(statement, 0) : fallback;
    qn_sqlite_finalize(statement);
    return status;
}

static qn_status check_version(struct sqlite_store *store, qn_error *err)
{
    int64_t version;
    QN_TRY(query_int(store, "PRAGMA user_version", 0, &version, err));
    if (version == FORMAT_VERSION) return QN_OK;
    return qn_fail(err, QN_ERR_DATA,
                   "no store of studies, or one of another version (%" PRId64
                   " where %d is read); give another file",
                   version, FORMAT_VERSION);
}

/* A file that holds something else is left as it is. */
static qn_status make_tables(struct sqlite_store *store, qn_error *err)
{
    int64_t version, n_tables;
    QN_TRY(query_int(store, "PRAGMA user_version", 0, &version, err));
    QN_TRY(query_int(store, "SELECT count(*) FROM sqlite_schema", 0, &n_tables, err));
    if (version == 0 && n_tables == 0) QN_TRY(qn_sqlite_run(store->database, schema, err));
    return check_version(store, err);
}

/* A copy made by VACUUM INTO has no log, and file systems without shared memory cannot have one. */
static qn_status begin_log(struct sqlite_store *store, qn_error *err)
{
    qn_sqlite_statement *statement;
    bool row;
    size_t bytes;
    QN_TRY(qn_sqlite_prepare(store->database, "PRAGMA journal_mode = WAL", &statement, err));
    const qn_status status = qn_sqlite_step(statement, &row, err);
    store->waits_in_commit =
        status == QN_OK && row && strcmp(qn_sqlite_column_bytes(statement, 0, &bytes), "wal") != 0;
    qn_sqlite_finalize(statement);
    QN_TRY(status);
    return qn_sqlite_run(store->database,
                         store->waits_in_commit && !store->is_fast ? "PRAGMA synchronous = FULL"
                                                                   : "PRAGMA synchronous = NORMAL",
                         err);
}

static qn_status begin_work(struct sqlite_store *store, qn_error *err)
{
    QN_TRY(qn_worker_lock_open(store->path, &store->lock, err));
    QN_TRY(with_path(store, qn_worker_lock_enter(&store->lock, err), err));
    qn_status status = qn_sqlite_open(store->path, QN_SQLITE_CREATE, &store->database, err);
    if (status == QN_OK) status = with_path(store, make_tables(store, err), err);
    if (status == QN_OK) status = with_path(store, begin_log(store, err), err);
    const qn_status left = qn_worker_lock_leave(&store->lock, NULL);
    if (status == QN_OK) status = left;
    if (status != QN_OK) return status;
    char sql[96];
    snprintf(sql, sizeof sql, "INSERT INTO worker (pid) VALUES (%ld) RETURNING id", (long)getpid());
    QN_TRY(with_path(store, query_int(store, sql, 0, &store->worker, err), err));
    return with_path(store, qn_worker_lock_take(&store->lock, store->worker, err), err);
}

static qn_status begin_reading(struct sqlite_store *store, qn_error *err)
{
    QN_TRY(qn_sqlite_open(store->path, QN_SQLITE_READ, &store->database, err));
    return with_path(store, check_version(store, err), err);
}

static void close_store(void *state)
{
    struct sqlite_store *store = state;
    for (int i = 0; i < N_STATEMENTS; i++) {
        qn_sqlite_finalize(store->statements[i]);
    }
    qn_sqlite_close(store->database);
    qn_worker_lock_release(&store->lock);
    qn_str_release(&store->body);
    qn_free(store->path);
    qn_free(store->name);
    qn_free(store);
}

/* "sqlite:FILE" or "sqlite:FILE?sync=normal". */
static bool take_url(struct sqlite_store *store, const char *url)
{
    const char *path = url + strlen(SCHEME);
    const size_t bytes = strlen(path), ending = strlen(SYNC_NORMAL);
    store->is_fast = bytes > ending && strcmp(path + bytes - ending, SYNC_NORMAL) == 0;
    store->path = qn_strndup(path, bytes - (store->is_fast ? ending : 0));
    return store->path != NULL;
}

static qn_status open_store(const char *url, const char *study, qn_store_mode mode, void **state,
                            int64_t *worker, qn_error *err)
{
    *state = NULL;
    *worker = 0;
    struct sqlite_store *store = qn_alloc_array(1, sizeof *store);
    if (!store) return no_memory(url, err);
    store->name = qn_strdup(study);
    qn_status status = take_url(store, url) && store->name ? QN_OK : no_memory(url, err);
    if (status == QN_OK) {
        status = mode == QN_STORE_WORK ? begin_work(store, err) : begin_reading(store, err);
    }
    if (status == QN_OK) {
        *state = store;
        *worker = store->worker;
    } else {
        close_store(store);
    }
    return status;
}

/* The definition. */

static qn_status read_row(struct sqlite_store *store, qn_sqlite_statement *statement,
                          char **definition, qn_error *err)
{
    bool row;
    size_t bytes;
    qn_sqlite_bind_text(statement, 1, store->name);
    QN_TRY(qn_sqlite_step(statement, &row, err));
    if (!row) return QN_OK;
    store->study = qn_sqlite_column_int(statement, 0);
    store->definition_revision = qn_sqlite_column_int(statement, 1);
    const char *text = qn_sqlite_column_bytes(statement, 2, &bytes);
    *definition = qn_strndup(text, bytes);
    return *definition ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for the study");
}

static qn_status read_definition(void *state, char **definition, qn_error *err)
{
    struct sqlite_store *store = state;
    qn_sqlite_statement *statement;
    *definition = NULL;
    qn_status status = qn_sqlite_prepare(
        store->database, "SELECT id, revision, definition FROM study WHERE name = ?1", &statement,
        err);
    if (status == QN_OK) {
        status = read_row(store, statement, definition, err);
        qn_sqlite_finalize(statement);
    }
    return with_path(store, status, err);
}

/* A new study gets its row, and with it its number. */
static qn_status write_definition(struct sqlite_store *store, const char *definition, bool *done,
                                  qn_error *err)
{
    qn_sqlite_statement *statement;
    const char *sql = store->definition_revision == 0
                          ? "INSERT INTO study (name, definition, revision) VALUES (?1, ?2, ?3 + "
                            "1) ON CONFLICT DO NOTHING RETURNING id, revision"
                          : "UPDATE study SET definition = ?2, revision = ?3 + 1 WHERE name = ?1 "
                            "AND revision = ?3 RETURNING id, revision";
    QN_TRY(qn_sqlite_prepare(store->database, sql, &statement, err));
    qn_sqlite_bind_text(statement, 1, store->name);
    qn_sqlite_bind_text(statement, 2, definition);
    qn_sqlite_bind_int(statement, 3, store->definition_revision);
    qn_status status = qn_sqlite_step(statement, done, err);
    if (status == QN_OK && *done) {
        bool more;
        store->study = qn_sqlite_column_int(statement, 0);
        store->definition_revision = qn_sqlite_column_int(statement, 1);
        status = qn_sqlite_step(statement, &more, err);
    }
    qn_sqlite_finalize(statement);
    return status;
}

static qn_status commit(void *state, qn_error *err)
{
    struct sqlite_store *store = state;
    if (!store->in_transaction) return QN_OK;
    store->in_transaction = false;
    return with_path(store, qn_sqlite_run(store->database, "COMMIT", err), err);
}

static qn_status sync_log(void *state, qn_error *err)
{
    struct sqlite_store *store = state;
    if (store->is_fast || store->waits_in_commit) return QN_OK;
    return with_path(store, qn_sqlite_sync(store->database, err), err);
}

static qn_status define(void *state, const char *definition, bool *done, qn_error *err)
{
    struct sqlite_store *store = state;
    *done = false;
    QN_TRY(commit(store, err));
    return with_path(store, write_definition(store, definition, done, err), err);
}

/* Trials. */

static qn_status begin_transaction(struct sqlite_store *store, qn_error *err)
{
    if (store->in_transaction) return QN_OK;
    QN_TRY(qn_sqlite_run(store->database, "BEGIN IMMEDIATE", err));
    store->in_transaction = true;
    return QN_OK;
}

static qn_status write_trial(struct sqlite_store *store, const qn_trial_record *record,
                             int64_t *revision, qn_error *err)
{
    qn_sqlite_statement *statement;
    bool row;
    QN_TRY(get_statement(store, record->revision == 0 ? PUT_NEW : PUT, &statement, err));
    qn_sqlite_bind_int(statement, 1, store->study);
    qn_sqlite_bind_int(statement, 2, record->number);
    qn_sqlite_bind_text(statement, 3, qn_trial_state_name(record->state));
    qn_sqlite_bind_int(statement, 4, record->owner);
    qn_sqlite_bind_blob(statement, 5, store->body.text, store->body.bytes);
    if (record->revision > 0) qn_sqlite_bind_int(statement, 6, record->revision);
    QN_TRY(qn_sqlite_step(statement, &row, err));
    *revision = row ? qn_sqlite_column_int(statement, 0) : 0;
    return row ? qn_sqlite_step(statement, &row, err) : QN_OK;
}

static qn_status put(void *state, const qn_stored_trial *trial, int64_t n_objectives,
                     int64_t *revision, qn_error *err)
{
    struct sqlite_store *store = state;
    *revision = 0;
    qn_stored_trial_pack(trial, n_objectives, &store->body);
    if (store->body.failed) return qn_fail(err, QN_ERR_NOMEM, "no memory for a trial");
    qn_status status = begin_transaction(store, err);
    if (status == QN_OK) status = write_trial(store, &trial->record, revision, err);
    return with_path(store, status, err);
}

static qn_status read_state(const qn_sqlite_statement *statement, int column, qn_trial_state *out,
                            qn_error *err)
{
    size_t bytes;
    const char *name = qn_sqlite_column_bytes(statement, column, &bytes);
    return qn_trial_state_find(name, out)
               ? QN_OK
               : qn_fail(err, QN_ERR_DATA, "a trial is in no state known here");
}

static qn_status read_trial(struct sqlite_store *store, const qn_sqlite_statement *statement,
                            qn_arena *arena, qn_stored_trial *trial, qn_error *err)
{
    qn_trial_record *record = &trial->record;
    size_t bytes;
    const char *body = qn_sqlite_column_bytes(statement, 4, &bytes);
    QN_TRY(qn_stored_trial_unpack(body, bytes, arena, trial, err));
    record->number = qn_sqlite_column_int(statement, 0);
    record->revision = record->told = qn_sqlite_column_int(statement, 1);
    QN_TRY(read_state(statement, 2, &record->state, err));
    record->owner = qn_sqlite_column_int(statement, 3);
    if (record->revision > store->seen) store->seen = record->revision;
    return QN_OK;
}

static qn_status visit_trials(struct sqlite_store *store, qn_store_visitor *visit, void *context,
                              qn_error *err)
{
    qn_sqlite_statement *statement;
    qn_arena arena = {0};
    bool row = true;
    QN_TRY(get_statement(store, store->has_read ? CHANGES : ALL, &statement, err));
    qn_sqlite_bind_int(statement, 1, store->study);
    if (store->has_read) qn_sqlite_bind_int(statement, 2, store->seen);
    qn_status status = QN_OK;
    while (status == QN_OK) {
        qn_stored_trial trial = {0};
        status = qn_sqlite_step(statement, &row, err);
        if (status != QN_OK || !row) break;
        qn_arena_reset(&arena);
        status = read_trial(store, statement, &arena, &trial, err);
        if (status == QN_OK) status = visit(context, &trial, err);
    }
    if (status != QN_OK) qn_sqlite_reset(statement);
    qn_arena_release(&arena);
    store->has_read |= status == QN_OK;
    return status;
}

/* SQLite counts the commits of other connections. */
static qn_status look_for_news(struct sqlite_store *store, bool *news, qn_error *err)
{
    qn_sqlite_statement *statement;
    bool row;
    QN_TRY(get_statement(store, NEWS, &statement, err));
    QN_TRY(qn_sqlite_step(statement, &row, err));
    const int64_t version = row ? qn_sqlite_column_int(statement, 0) : 0;
    *news = version != store->data_version || !store->has_read;
    store->data_version = version;
    qn_sqlite_reset(statement);
    return QN_OK;
}

static qn_status changes(void *state, bool force, qn_store_visitor *visit, void *context,
                         qn_error *err)
{
    struct sqlite_store *store = state;
    bool news = false;
    if (store->study == 0) return QN_OK; /* not defined yet */
    qn_status status = look_for_news(store, &news, err);
    if (status == QN_OK && (news || force)) status = visit_trials(store, visit, context, err);
    return with_path(store, status, err);
}

static qn_status is_alive(void *state, int64_t worker, bool *alive, qn_error *err)
{
    const struct sqlite_store *store = state;
    return with_path(store, qn_worker_lock_look(&store->lock, worker, alive, err), err);
}

static int tether(const void *state)
{
    const struct sqlite_store *store = state;
    return store->lock.tether;
}

static int descriptor(const void *state)
{
    (void)state;
    return -1;
}

static qn_status visit_names(qn_sqlite *database, void (*visit)(void *context, const char *study),
                             void *context, qn_error *err)
{
    qn_sqlite_statement *statement;
    bool row = true;
    size_t bytes;
    QN_TRY(qn_sqlite_prepare(database, "SELECT name FROM study ORDER BY id", &statement, err));
    qn_status status = QN_OK;
    while (status == QN_OK) {
        status = qn_sqlite_step(statement, &row, err);
        if (status != QN_OK || !row) break;
        visit(context, qn_sqlite_column_bytes(statement, 0, &bytes));
    }
    qn_sqlite_finalize(statement);
    return status;
}

static qn_status list(const char *url, void (*visit)(void *context, const char *study),
                      void *context, qn_error *err)
{
    void *state;
    int64_t worker;
    QN_TRY(open_store(url, "", QN_STORE_READ, &state, &worker, err));
    struct sqlite_store *store = state;
    const qn_status status =
        with_path(store, visit_names(store->database, visit, context, err), err);
    close_store(store);
    return status;
}

const qn_store_backend qn_store_sqlite = {.scheme = SCHEME,
                                          .form = "sqlite:FILE",
                                          .open = open_store,
                                          .close = close_store,
                                          .read_definition = read_definition,
                                          .define = define,
                                          .put = put,
                                          .commit = commit,
                                          .sync = sync_log,
                                          .changes = changes,
                                          .is_alive = is_alive,
                                          .descriptor = descriptor,
                                          .tether = tether,
                                          .list = list};
