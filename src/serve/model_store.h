/* SPDX-License-Identifier: Apache-2.0 */
/* Model store: which file is served under which name and version, and what is loaded now.
 *
 * What is loaded is a catalog: immutable, counted by references, replaced as a whole. Each loop
 * holds the catalog it works with and asks between requests, by one atomic load, whether there is a
 * newer one; so requests take no lock, a request sees one state from beginning to end, and a model
 * that was replaced is freed when the last request and loop have let go of it.
 *
 * Loading goes on beside the catalog in use: a file that is damaged, or half copied, leaves what
 * was loaded in place, and the reason is kept to be shown.
 *
 * Threads: internally locked; a catalog is immutable. */
#ifndef QN_SERVE_MODEL_STORE_H
#define QN_SERVE_MODEL_STORE_H

#include "base/json_pull.h"
#include "serve/served_model.h"
#include "serve/telemetry.h"

typedef struct qn_model_store qn_model_store; /* destroy with qn_model_store_free() */

/* One version of one model. */
typedef struct qn_catalog_entry {
    const char *name, *version, *path; /* the store's */
    qn_served_model *model;            /* NULL: not loaded */
    bool is_default;                   /* the latest version of its name that is loaded */
    char *problem;                     /* why the file as it is now is not loaded, or NULL */
    qn_model_counters *counters;       /* one for each loop; the store's */
} qn_catalog_entry;

typedef struct qn_catalog {
    _Atomic int64_t n_refs;
    int64_t generation; /* 1, 2, … */
    int64_t n_entries;  /* ordered by name, then version: numbers by value, else by bytes */
    qn_catalog_entry *entries;
} qn_catalog;

/* The entry of that version (NULL: the default one), or NULL. */
const qn_catalog_entry *qn_catalog_find(const qn_catalog *catalog, qn_span name,
                                        const qn_span *version);
void qn_catalog_unref(qn_catalog *catalog);

/* `specs` are "[NAME[@VERSION]=]PATH"; the name is else the file's without folder and ending, the
 * version "1". Fails with QN_ERR_ARG (a name or version that cannot be, or is given twice) or
 * QN_ERR_NOMEM. Nothing is loaded yet. */
QN_MUST_CHECK
qn_status qn_model_store_create(const char *const *specs, int n_loops, qn_model_store **out,
                                qn_error *err);
void qn_model_store_free(qn_model_store *store);

typedef struct qn_reload {
    int64_t n_loaded, n_failed;
    qn_str messages; /* a line for each model loaded or not */
} qn_reload;         /* release with qn_str_release(&reload.messages) */

/* Opens every file that is not the one that was opened last (by device, number, size, time), and
 * puts what could be opened in place, all at once. */
void qn_model_store_reload(qn_model_store *store, qn_reload *reload);

/* Whether a newer catalog than `catalog` (may be NULL) is there; no lock. */
bool qn_model_store_is_newer(const qn_model_store *store, const qn_catalog *catalog);
/* The newest catalog, with a reference for the caller. */
qn_catalog *qn_model_store_acquire(qn_model_store *store);

#endif
