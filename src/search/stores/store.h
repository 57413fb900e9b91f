/* SPDX-License-Identifier: Apache-2.0 */
/* Store: where a study lives when several processes work on it, or when it is to survive them.
 * Backends are const structs, listed in stores.c and told apart by the beginning of their URL.
 *
 * A store keeps each study as its definition (a JSON object: space, objectives, sampler, pruner,
 * seed) and one row per trial. Everything that processes must agree on rests on one operation:
 * put() writes a trial if it is still at the revision that the caller knows, and says whether it
 * was. So
 *   - a new trial is put at revision 0 (no row): of two that want a number one gets it;
 *   - a waiting trial is begun by putting it as running: of two that want it one gets it;
 *   - a trial is ended by whoever it still belongs to, once;
 *   - a trial whose worker died is put back as waiting, once.
 * Revisions of a study only grow, so that ends have an order, which is the order of telling.
 *
 * Who works on a study is a *worker*: a number that is never given out again, and that is_alive()
 * exactly as long as its process (or the way to it) is. No clock is involved.
 *
 * Puts are collected in a transaction until commit(), and commits that wait for no disk until
 * sync(): several tellings cost one write to the disk.
 *
 * Threads: one thread at a time per store, but for sync(). */
#ifndef QN_SEARCH_STORES_STORE_H
#define QN_SEARCH_STORES_STORE_H

#include "search/study/history.h"

typedef struct qn_store_backend qn_store_backend;

typedef struct qn_store {
    const qn_store_backend *backend;
    void *state;
    char *definition; /* as it was last read or written; NULL: the study is new */
    int64_t worker;   /* this process; 0 when only looking */
} qn_store;           /* close with qn_store_close(), also one all zero */

typedef enum qn_store_mode {
    QN_STORE_READ, /* the study must exist */
    QN_STORE_WORK  /* the place is made when it does not exist */
} qn_store_mode;

/* A trial as a store keeps it. */
typedef struct qn_stored_trial {
    qn_trial_record record; /* without its attributes */
    const char *attributes; /* JSON object or NULL */
    int64_t n_losses;       /* as unpacked; 0: as many as the study has objectives, or none */
} qn_stored_trial;
/* What is given is borrowed for the call. record.told orders ends among each other. */
typedef qn_status qn_store_visitor(void *context, const qn_stored_trial *trial, qn_error *err);

/* After a failure a store is good for nothing but closing: what was not committed is lost. */
struct qn_store_backend {
    const char *scheme, *form; /* "sqlite:", and how such URLs look */
    qn_status (*open)(const char *url, const char *study, qn_store_mode mode, void **state,
                      int64_t *worker, qn_error *err);
    void (*close)(void *state);
    /* Reads the definition; NULL: there is none. The caller owns it. */
    qn_status (*read_definition)(void *state, char **definition, qn_error *err);
    /* Replaces the definition that was last read; *done is false when another was written since.
     * Commits. */
    qn_status (*define)(void *state, const char *definition, bool *done, qn_error *err);
    /* Writes a trial whose row is at record.revision (0: there is none) and gives it a new
     * *revision, or 0 when the row is at another. The end of a trial is kept even if the power
     * fails after commit() and, where there is one, sync(). */
    qn_status (*put)(void *state, const qn_stored_trial *trial, int64_t n_objectives,
                     int64_t *revision, qn_error *err);
    qn_status (*commit)(void *state, qn_error *err);
    /* Writes to the disk what was committed before. One thread may be in it beside any other call
     * but close(). NULL: commit() does. */
    qn_status (*sync)(void *state, qn_error *err);
    /* Visits, by number, all trials the first time, then those changed since the last time, own
     * changes among them. `force`: also when there is no sign of any change. */
    qn_status (*changes)(void *state, bool force, qn_store_visitor *visit, void *context,
                         qn_error *err);
    qn_status (*is_alive)(void *state, int64_t worker, bool *alive, qn_error *err);
    /* Becomes readable when others have changed something; -1: look from time to time. */
    int (*descriptor)(const void *state);
    /* A descriptor for what watches programs of this worker: is_alive() waits, up to two seconds,
     * until all copies of it are closed, too. May be NULL. */
    int (*tether)(const void *state);
    /* When it has become readable, and changes() is not called: keeps this worker alive. May be
     * NULL. */
    qn_status (*stay)(void *state, qn_error *err);
    /* Names of the studies at a place, one call each. */
    qn_status (*list)(const char *url, void (*visit)(void *context, const char *study),
                      void *context, qn_error *err);
};

extern const qn_store_backend *const qn_store_backends[]; /* ended by NULL */
extern const qn_store_backend qn_store_sqlite;
extern const qn_store_backend qn_store_postgres;

/* Fails with QN_ERR_ARG (no such scheme; in mode READ no such study), QN_ERR_IO, QN_ERR_DATA (no
 * store) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_store_open(const char *url, const char *study, qn_store_mode mode, qn_store *out,
                        qn_error *err);
void qn_store_close(qn_store *store);
QN_MUST_CHECK
qn_status qn_store_list(const char *url, void (*visit)(void *context, const char *study),
                        void *context, qn_error *err);

/* A trial as the bytes of one column, little-endian; number, state, owner and revision stand in
 * columns of their own. */
void qn_stored_trial_pack(const qn_stored_trial *trial, int64_t n_objectives, qn_str *out);
/* Into records whose arrays live in the arena; attributes point into the data. Fails with
 * QN_ERR_DATA or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_stored_trial_unpack(const char *data, size_t bytes, qn_arena *arena,
                                 qn_stored_trial *out, qn_error *err);

#endif
