/* SPDX-License-Identifier: Apache-2.0 */
/* Model store: which file is served under which name and version, what is loaded now, and where
 * aliases lead. It makes catalogs.
 *
 * Each loop holds the catalog it works with and asks between requests, by one atomic load, whether
 * there is a newer one; so requests take no lock, and a model that was replaced lives until the
 * last request and loop have let go of it. It is then freed by qn_model_store_tidy(), because no
 * loop should stand still for that.
 *
 * Loading goes on beside the catalog in use: a file that is damaged, or half copied, leaves what
 * was loaded in place, and the reason is kept to be shown. The same holds for the routes: what
 * leads to a version that is not loaded is refused as a whole. What routes lead to cannot be
 * unloaded, and outlives its file.
 *
 * Threads: internally locked; a catalog is immutable. */
#ifndef QN_SERVE_MODELS_MODEL_STORE_H
#define QN_SERVE_MODELS_MODEL_STORE_H

#include "serve/models/catalog.h"
#include "serve/routes/routes_state.h"

typedef struct qn_model_store qn_model_store; /* destroy with qn_model_store_free() */

/* Where models come from. All may be NULL, but not specs and folder both. */
typedef struct qn_model_sources {
    const char *const *specs; /* "[NAME[@VERSION]=]PATH", ended by NULL */
    const char *folder;       /* see model_files.h */
    const char *const
        *aliases;           /* "NAME@ALIAS=VERSION", ended by NULL; the routes file goes first */
    const char *routes;     /* a file, see routing.h; it is written, too */
    qn_routes_state *state; /* what the first routes had learned; or NULL */
} qn_model_sources;

/* `sources` must outlive the store. Fails with QN_ERR_ARG (a name or version that cannot be, or is
 * given twice) or QN_ERR_NOMEM. Nothing is loaded yet. */
QN_MUST_CHECK
qn_status qn_model_store_create(const qn_model_sources *sources, int n_loops, qn_model_store **out,
                                qn_error *err);
void qn_model_store_free(qn_model_store *store);

typedef struct qn_reload {
    int64_t n_loaded, n_failed;
    bool answering;  /* models are in use: what is new is warmed up before it is put in place */
    bool changed;    /* there is a new catalog */
    qn_str messages; /* a line for each thing that was done, or failed */
} qn_reload;         /* release with qn_str_release(&reload.messages) */

/* Looks for files, opens every one that is not the one that was opened last (by device, number,
 * size, time), reads the routes if they have changed, and puts what is good in place, all at once.
 */
void qn_model_store_reload(qn_model_store *store, qn_reload *reload);

/* For administrators. Each does all of what it is asked, or (but for loading) nothing, and fails
 * with QN_ERR_ARG (names that cannot be), QN_ERR_DATA (what there is does not allow it),
 * QN_ERR_IO (the routes file cannot be written) or QN_ERR_NOMEM. */

/* As a reload of one name, or of one version (NULL: all, new ones too); what was unloaded is loaded
 * again. Fails with QN_ERR_DATA when there is no such file, or one could not be loaded. */
QN_MUST_CHECK
qn_status qn_model_store_load(qn_model_store *store, const char *name, const char *version,
                              qn_reload *reload, qn_error *err);
/* Until it is loaded again, whatever becomes of the file. */
QN_MUST_CHECK
qn_status qn_model_store_unload(qn_model_store *store, const char *name, const char *version,
                                qn_error *err);
/* `version` NULL takes the alias away. */
QN_MUST_CHECK
qn_status qn_model_store_set_alias(qn_model_store *store, const char *name, const char *alias,
                                   const char *version, qn_error *err);

/* Work for quiet moments: warms up the models a server has started with, frees what was replaced
 * and is not used any more, and gives its memory back to the system. True when there is more of
 * that, still in use. */
bool qn_model_store_tidy(qn_model_store *store);

/* Puts a whole routes file in the place of what there is; it is written as it is given. What was
 * rolled back begins anew. */
QN_MUST_CHECK
qn_status qn_model_store_set_routes(qn_model_store *store, const char *text, size_t bytes,
                                    qn_error *err);

/* Whether a newer catalog than `catalog` (may be NULL) is there; no lock. */
bool qn_model_store_is_newer(const qn_model_store *store, const qn_catalog *catalog);
/* The newest catalog, with a reference for the caller. */
qn_catalog *qn_model_store_acquire(qn_model_store *store);

#endif
