/* SPDX-License-Identifier: Apache-2.0 */
/* Studies in an SQLite file, in write-ahead mode: readers never wait, and what was committed
 * survives the death of the process at any moment. Owning a study is a lock on one byte, named by
 * the study, of a file beside the database; the system lets go of it when the process dies. */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/str.h"
#include "database/sqlite.h"
#include "search/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT_VERSION = 1 };

struct sqlite_store {
    char *path, *name;
    int lock; /* descriptor of the lock file; -1: none */
    qn_sqlite *database;
    qn_sqlite_statement *save;
    int64_t study; /* its number; 0: not defined yet */
};

/* Numbers are kept as little-endian doubles, as every machine that this runs on has them. */
static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;"
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS study (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " definition TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS trial (study INTEGER NOT NULL REFERENCES study (id),"
    " number INTEGER NOT NULL, state TEXT NOT NULL, told INTEGER, begun REAL, ended REAL,"
    " violation REAL NOT NULL, retries INTEGER NOT NULL, params BLOB NOT NULL, losses BLOB,"
    " reports BLOB, attributes TEXT, PRIMARY KEY (study, number)) WITHOUT ROWID;"
    "PRAGMA user_version = 1;"
    "COMMIT";

static qn_status own(struct sqlite_store *store, const char *study, qn_error *err)
{
    qn_str name = {0};
    qn_str_addf(&name, "%s-lock", store->path);
    if (name.failed) {
        qn_str_release(&name);
        return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to open it", store->path);
    }
    store->lock = open(name.text, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    qn_status status = QN_OK;
    if (store->lock < 0) {
        status = qn_fail(err, QN_ERR_IO, "%s: %s", name.text, strerror(errno));
    } else {
        struct flock byte = {.l_type = F_WRLCK,
                             .l_whence = SEEK_SET,
                             .l_start = (off_t)(qn_hash64(study, strlen(study)) >> 2),
                             .l_len = 1};
        if (fcntl(store->lock, F_OFD_SETLK, &byte) != 0) {
            status = qn_fail(err, QN_ERR_IO,
                             "%s: another process is at work on the study '%s'; wait for it, or "
                             "give another name with --study",
                             store->path, study);
        }
    }
    qn_str_release(&name);
    return status;
}

static qn_status check_version(struct sqlite_store *store, qn_error *err)
{
    qn_sqlite_statement *statement;
    bool row;
    QN_TRY(qn_sqlite_prepare(store->database, "PRAGMA user_version", &statement, err));
    const qn_status status = qn_sqlite_step(statement, &row, err);
    const int64_t version = status == QN_OK && row ? qn_sqlite_column_int(statement, 0) : 0;
    qn_sqlite_finalize(statement);
    if (status != QN_OK || version == FORMAT_VERSION) return status;
    return qn_fail(err, QN_ERR_DATA, "no store of studies, or one of a newer version (%" PRId64 ")",
                   version);
}

static qn_status find_study(struct sqlite_store *store, const char *study, char **definition,
                            qn_error *err)
{
    qn_sqlite_statement *statement;
    bool row;
    size_t bytes;
    *definition = NULL;
    QN_TRY(qn_sqlite_prepare(store->database, "SELECT id, definition FROM study WHERE name = ?1",
                             &statement, err));
    qn_sqlite_bind_text(statement, 1, study);
    qn_status status = qn_sqlite_step(statement, &row, err);
    if (status == QN_OK && row) {
        store->study = qn_sqlite_column_int(statement, 0);
        const char *text = qn_sqlite_column_bytes(statement, 1, &bytes);
        *definition = qn_strndup(text, bytes);
        if (!*definition) status = qn_fail(err, QN_ERR_NOMEM, "no memory for the study");
    }
    qn_sqlite_finalize(statement);
    return status;
}

static const char save_sql[] =
    "INSERT OR REPLACE INTO trial (study, number, state, told, begun, ended, violation, retries,"
    " params, losses, reports, attributes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
    " ?12)";

static qn_status open_database(struct sqlite_store *store, const char *study, qn_store_mode mode,
                               char **definition, qn_error *err)
{
    const bool owns = mode == QN_STORE_OWN;
    QN_TRY(qn_sqlite_open(store->path, owns ? QN_SQLITE_CREATE : QN_SQLITE_READ, &store->database,
                          err));
    qn_status status = owns ? qn_sqlite_run(store->database, schema, err) : QN_OK;
    if (status == QN_OK) status = check_version(store, err);
    if (status == QN_OK) status = find_study(store, study, definition, err);
    if (status == QN_OK && !*definition && !owns) {
        status = qn_fail(err, QN_ERR_ARG, "there is no study '%s'", study);
    }
    if (status == QN_OK && owns) {
        status = qn_sqlite_prepare(store->database, save_sql, &store->save, err);
    }
    return status == QN_OK ? QN_OK : qn_fail_context(err, status, "%s", store->path);
}

static void close_store(void *state)
{
    struct sqlite_store *store = state;
    qn_sqlite_finalize(store->save);
    qn_sqlite_close(store->database);
    if (store->lock >= 0) close(store->lock);
    qn_free(store->path);
    qn_free(store->name);
    qn_free(store);
}

static qn_status open_store(const char *place, const char *study, qn_store_mode mode, void **state,
                            char **definition, qn_error *err)
{
    *state = NULL;
    *definition = NULL;
    struct sqlite_store *store = qn_alloc_array(1, sizeof *store);
    if (!store) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to open it", place);
    store->lock = -1;
    store->path = qn_strdup(place);
    store->name = qn_strdup(study);
    qn_status status = store->path && store->name
                           ? QN_OK
                           : qn_fail(err, QN_ERR_NOMEM, "%s: no memory to open it", place);
    if (status == QN_OK && mode == QN_STORE_OWN) status = own(store, study, err);
    if (status == QN_OK) status = open_database(store, study, mode, definition, err);
    if (status == QN_OK) {
        *state = store;
    } else {
        qn_free(*definition);
        *definition = NULL;
        close_store(store);
    }
    return status;
}

/* A new study gets its row, and with it its number. */
static qn_status upsert_definition(struct sqlite_store *store, const char *definition,
                                   qn_error *err)
{
    qn_sqlite_statement *statement;
    bool row;
    QN_TRY(qn_sqlite_prepare(store->database,
                             "INSERT INTO study (name, definition) VALUES (?1, ?2) ON CONFLICT "
                             "(name) DO UPDATE SET definition = ?2 RETURNING id",
                             &statement, err));
    qn_sqlite_bind_text(statement, 1, store->name);
    qn_sqlite_bind_text(statement, 2, definition);
    qn_status status = qn_sqlite_step(statement, &row, err);
    if (status == QN_OK && row) {
        store->study = qn_sqlite_column_int(statement, 0);
        status = qn_sqlite_step(statement, &row, err);
    }
    qn_sqlite_finalize(statement);
    return status;
}

static qn_status define(void *state, const char *definition, qn_error *err)
{
    struct sqlite_store *store = state;
    const qn_status status = upsert_definition(store, definition, err);
    return status == QN_OK ? QN_OK : qn_fail_context(err, status, "%s", store->path);
}

static void bind_doubles(qn_sqlite_statement *statement, int at, const double *values, int64_t n)
{
    if (values) qn_sqlite_bind_blob(statement, at, values, (size_t)n * sizeof *values);
}

static qn_status save(void *state, const qn_stored_trial *trial, int64_t n_objectives,
                      qn_error *err)
{
    static const double none;
    struct sqlite_store *store = state;
    const qn_trial_record *record = &trial->record;
    qn_sqlite_statement *statement = store->save;
    bool row;
    qn_sqlite_bind_int(statement, 1, store->study);
    qn_sqlite_bind_int(statement, 2, record->number);
    qn_sqlite_bind_text(statement, 3, qn_trial_state_name(record->state));
    if (record->told >= 0) qn_sqlite_bind_int(statement, 4, record->told);
    if (record->begun_s > 0) qn_sqlite_bind_double(statement, 5, record->begun_s);
    if (record->ended_s > 0) qn_sqlite_bind_double(statement, 6, record->ended_s);
    qn_sqlite_bind_double(statement, 7, record->violation);
    qn_sqlite_bind_int(statement, 8, record->n_retries);
    bind_doubles(statement, 9, record->n_values > 0 ? record->values : &none, record->n_values);
    bind_doubles(statement, 10, record->losses, n_objectives);
    if (record->n_reports > 0) {
        qn_sqlite_bind_blob(statement, 11, record->reports,
                            (size_t)record->n_reports * sizeof *record->reports);
    }
    if (trial->attributes) qn_sqlite_bind_text(statement, 12, trial->attributes);
    const qn_status status = qn_sqlite_step(statement, &row, err);
    return status == QN_OK ? QN_OK : qn_fail_context(err, status, "%s", store->path);
}

/* A copy of a blob of items, aligned as they must be. */
static qn_status take_items(const qn_sqlite_statement *statement, int column, size_t item_bytes,
                            qn_arena *arena, void **items, int64_t *n, qn_error *err)
{
    size_t bytes;
    const char *data = qn_sqlite_column_bytes(statement, column, &bytes);
    *items = NULL;
    *n = (int64_t)(bytes / item_bytes);
    if (bytes % item_bytes != 0) return qn_fail(err, QN_ERR_DATA, "a trial is damaged");
    if (bytes == 0) return QN_OK;
    *items = qn_arena_array(arena, *n, item_bytes);
    if (!*items) return qn_fail(err, QN_ERR_NOMEM, "no memory for a trial");
    memcpy(*items, data, bytes);
    return QN_OK;
}

static qn_status read_state(const qn_sqlite_statement *statement, int column, qn_trial_state *out,
                            qn_error *err)
{
    size_t bytes;
    const char *name = qn_sqlite_column_bytes(statement, column, &bytes);
    for (int state = QN_TRIAL_WAITING; state <= QN_TRIAL_FAILED; state++) {
        *out = (qn_trial_state)state;
        if (strcmp(qn_trial_state_name(*out), name) == 0) return QN_OK;
    }
    return qn_fail(err, QN_ERR_DATA, "a trial is in no state known here");
}

static qn_status read_trial(const qn_sqlite_statement *statement, qn_arena *arena,
                            qn_stored_trial *trial, qn_error *err)
{
    qn_trial_record *record = &trial->record;
    void *items;
    int64_t n;
    size_t bytes;
    record->number = qn_sqlite_column_int(statement, 0);
    QN_TRY(read_state(statement, 1, &record->state, err));
    const bool told = qn_sqlite_column_type(statement, 2) == QN_SQLITE_INT;
    record->told = told ? qn_sqlite_column_int(statement, 2) : -1;
    record->begun_s = qn_sqlite_column_double(statement, 3);
    record->ended_s = qn_sqlite_column_double(statement, 4);
    record->violation = qn_sqlite_column_double(statement, 5);
    record->n_retries = qn_sqlite_column_int(statement, 6);
    QN_TRY(take_items(statement, 7, sizeof(double), arena, &items, &record->n_values, err));
    record->values = items;
    QN_TRY(take_items(statement, 8, sizeof(double), arena, &items, &n, err));
    record->losses = items;
    QN_TRY(
        take_items(statement, 9, sizeof *record->reports, arena, &items, &record->n_reports, err));
    record->reports = items;
    const char *attributes = qn_sqlite_column_bytes(statement, 10, &bytes);
    trial->attributes = bytes > 0 ? attributes : NULL;
    return QN_OK;
}

static qn_status load(void *state, qn_store_visitor *visit, void *context, qn_error *err)
{
    struct sqlite_store *store = state;
    qn_sqlite_statement *statement = NULL;
    bool row = true;
    qn_status status = qn_sqlite_prepare(
        store->database,
        "SELECT number, state, told, begun, ended, violation, retries, params, losses, reports,"
        " attributes FROM trial WHERE study = ?1 ORDER BY number",
        &statement, err);
    if (status == QN_OK) qn_sqlite_bind_int(statement, 1, store->study);
    while (status == QN_OK) {
        qn_arena arena = {0};
        qn_stored_trial trial = {0};
        status = qn_sqlite_step(statement, &row, err);
        if (status != QN_OK || !row) break;
        status = read_trial(statement, &arena, &trial, err);
        if (status == QN_OK) status = visit(context, &trial, err);
        qn_arena_release(&arena);
    }
    qn_sqlite_finalize(statement);
    return status == QN_OK ? QN_OK : qn_fail_context(err, status, "%s", store->path);
}

static qn_status list(const char *place, void (*visit)(void *context, const char *study),
                      void *context, qn_error *err)
{
    struct sqlite_store store = {.lock = -1};
    qn_sqlite_statement *statement = NULL;
    bool row = true;
    size_t bytes;
    QN_TRY(qn_sqlite_open(place, QN_SQLITE_READ, &store.database, err));
    qn_status status = check_version(&store, err);
    if (status == QN_OK) {
        status = qn_sqlite_prepare(store.database, "SELECT name FROM study ORDER BY id", &statement,
                                   err);
    }
    while (status == QN_OK) {
        status = qn_sqlite_step(statement, &row, err);
        if (status != QN_OK || !row) break;
        visit(context, qn_sqlite_column_bytes(statement, 0, &bytes));
    }
    qn_sqlite_finalize(statement);
    qn_sqlite_close(store.database);
    return status == QN_OK ? QN_OK : qn_fail_context(err, status, "%s", place);
}

const qn_store_backend qn_store_sqlite = {.scheme = "sqlite:",
                                          .help = "an SQLite file",
                                          .open = open_store,
                                          .close = close_store,
                                          .define = define,
                                          .save = save,
                                          .load = load,
                                          .list = list};
