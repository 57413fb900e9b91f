/* SPDX-License-Identifier: Apache-2.0 */
/* Catalog: what is served at one moment – models by name and version, and the aliases that lead to
 * them. It is immutable, counted by references and replaced as a whole, so a request that works
 * with one catalog sees one state from beginning to end.
 *
 * Threads: immutable but for its count of references, which is atomic; share freely. */
#ifndef QN_SERVE_MODELS_CATALOG_H
#define QN_SERVE_MODELS_CATALOG_H

#include "base/json_pull.h"
#include "serve/models/served_model.h"
#include "serve/routes/routing.h"
#include "serve/telemetry/telemetry.h"

/* A name and version, with what is counted about it. It outlives catalogs: counters go on when its
 * model is replaced, and a request may count after its version was taken away. */
typedef struct qn_model_slot {
    _Atomic int64_t n_refs;
    char *name, *version;
    qn_model_counters *counters; /* one for each loop, then that of shadows */
} qn_model_slot;                 /* let go with qn_model_slot_unref() */

/* With one reference; NULL when out of memory. */
qn_model_slot *qn_model_slot_create(const char *name, const char *version, int n_loops);
qn_model_slot *qn_model_slot_ref(qn_model_slot *slot);
void qn_model_slot_unref(qn_model_slot *slot); /* accepts NULL */

/* One version of one model. */
typedef struct qn_catalog_entry {
    qn_model_slot *slot;
    const char *name, *version;  /* the slot's */
    qn_served_model *model;      /* NULL: not loaded */
    bool is_default;             /* the first of its name's route, or the latest that is loaded */
    bool unloaded;               /* by an administrator, until they load it again */
    char *problem;               /* why the file as it is now is not loaded, or NULL */
    qn_model_counters *counters; /* the slot's */
    const qn_model_routing *routing; /* of its name; the catalog's; NULL: none */
} qn_catalog_entry;

typedef struct qn_catalog {
    _Atomic int64_t n_refs;
    int64_t generation; /* 1, 2, … */
    int64_t n_entries;  /* ordered by name, then version: see qn_version_compare() */
    qn_catalog_entry *entries;
    qn_routing *routing;
    struct qn_catalog *next; /* of those that were replaced; the store's */
} qn_catalog;                /* let go with qn_catalog_unref() */

/* Room for so many entries, to be filled in their order; takes a reference to `routing`. NULL when
 * out of memory. */
qn_catalog *qn_catalog_create(int64_t n_entries, qn_routing *routing, int64_t generation);
/* Adds an entry, with references of its own; false when out of memory. */
bool qn_catalog_add(qn_catalog *catalog, qn_model_slot *slot, qn_served_model *model,
                    const char *problem, bool unloaded);
/* After the last entry: finds out the default versions and the routing of each name. */
void qn_catalog_finish(qn_catalog *catalog);
void qn_catalog_unref(qn_catalog *catalog); /* accepts NULL */

/* The first entry of that name; n_entries when there is none. */
int64_t qn_catalog_first(const qn_catalog *catalog, qn_span name);
/* The entry of that alias or else version (NULL: the default one), or NULL. */
const qn_catalog_entry *qn_catalog_find(const qn_catalog *catalog, qn_span name,
                                        const qn_span *version);

/* Versions that are numbers in the order of their values, others as bytes. */
int qn_version_compare(const char *a, const char *b);

#endif
