/* SPDX-License-Identifier: Apache-2.0 */
/* Store: where a study survives its process. Backends are const structs, listed in stores.c and
 * told apart by the beginning of their URL ("sqlite:").
 *
 * A store keeps each study as its definition (a JSON object: space, objectives, sampler, pruner,
 * seed) and one record per trial, written whole when a trial begins and again when it ends. One
 * process at a time owns a study; others may read it.
 *
 * Threads: one thread at a time per store. */
#ifndef QN_SEARCH_STORE_H
#define QN_SEARCH_STORE_H

#include "search/history.h"

typedef struct qn_store_backend qn_store_backend;

typedef struct qn_store {
    const qn_store_backend *backend;
    void *state;
    char *definition; /* of the study found; NULL: it is new */
} qn_store;           /* close with qn_store_close(), also one all zero */

typedef enum qn_store_mode {
    QN_STORE_READ, /* the study must exist; it may be owned by another process */
    QN_STORE_OWN   /* made when it does not exist; fails when another process owns it */
} qn_store_mode;

/* A trial as a store keeps it. */
typedef struct qn_stored_trial {
    qn_trial_record record; /* without its attributes */
    const char *attributes; /* JSON object or NULL */
} qn_stored_trial;
/* What is given is borrowed for the call. */
typedef qn_status qn_store_visitor(void *context, const qn_stored_trial *trial, qn_error *err);

struct qn_store_backend {
    const char *scheme; /* "sqlite:" */
    const char *help;
    qn_status (*open)(const char *place, const char *study, qn_store_mode mode, void **state,
                      char **definition, qn_error *err);
    void (*close)(void *state);
    qn_status (*define)(void *state, const char *definition, qn_error *err);
    /* Inserts or replaces a trial. */
    qn_status (*save)(void *state, const qn_stored_trial *trial, int64_t n_objectives,
                      qn_error *err);
    /* Every trial, by number. */
    qn_status (*load)(void *state, qn_store_visitor *visit, void *context, qn_error *err);
    /* Names of the studies at a place, one call each. */
    qn_status (*list)(const char *place, void (*visit)(void *context, const char *study),
                      void *context, qn_error *err);
};

extern const qn_store_backend *const qn_store_backends[]; /* ended by NULL */
extern const qn_store_backend qn_store_sqlite;

/* "sqlite:FILE". Fails with QN_ERR_ARG (no such scheme; in mode READ no such study), QN_ERR_IO
 * (another process owns the study …), QN_ERR_DATA (no store) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_store_open(const char *url, const char *study, qn_store_mode mode, qn_store *out,
                        qn_error *err);
void qn_store_close(qn_store *store);
QN_MUST_CHECK
qn_status qn_store_list(const char *url, void (*visit)(void *context, const char *study),
                        void *context, qn_error *err);

#endif
