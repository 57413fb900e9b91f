/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/model_store.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/number.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MODELS_MAX = 4096 };

struct model_spec {
    char *name, *version, *path;
    qn_file_identity opened;
    qn_served_model *model; /* what the store's catalogs hold; NULL: none yet */
    char *problem;
    qn_model_counters *counters;
};

struct qn_model_store {
    pthread_mutex_t loading; /* held while files are opened: one reload at a time */
    pthread_mutex_t lock;    /* held while `current` is taken or replaced */
    _Atomic(qn_catalog *) current;
    int64_t generation;
    int n_loops;
    int64_t n_specs;
    struct model_spec *specs;
};

/* Catalogs. */

void qn_catalog_unref(qn_catalog *catalog)
{
    if (!catalog || atomic_fetch_sub_explicit(&catalog->n_refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (int64_t i = 0; i < catalog->n_entries; i++) {
        qn_served_model_unref(catalog->entries[i].model);
        qn_free(catalog->entries[i].problem);
    }
    qn_free(catalog->entries);
    qn_free(catalog);
}

static bool equals(const char *text, qn_span span)
{
    return strncmp(text, span.text, span.bytes) == 0 && text[span.bytes] == '\0';
}

const qn_catalog_entry *qn_catalog_find(const qn_catalog *catalog, qn_span name,
                                        const qn_span *version)
{
    for (int64_t i = 0; i < catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &catalog->entries[i];
        if (!equals(entry->name, name)) continue;
        if (version ? equals(entry->version, *version) : entry->is_default) return entry;
    }
    return NULL;
}

/* The default of each name is its last version that is loaded, else its last. */
static void choose_defaults(qn_catalog *catalog)
{
    qn_catalog_entry *entries = catalog->entries;
    for (int64_t first = 0, next; first < catalog->n_entries; first = next) {
        int64_t chosen = -1;
        for (next = first; next < catalog->n_entries; next++) {
            if (strcmp(entries[next].name, entries[first].name) != 0) break;
            if (entries[next].model) chosen = next;
        }
        entries[chosen >= 0 ? chosen : next - 1].is_default = true;
    }
}

static qn_catalog *make_catalog(const qn_model_store *store)
{
    qn_catalog *catalog = qn_alloc_array(1, sizeof *catalog);
    if (catalog) catalog->entries = qn_alloc_array(store->n_specs, sizeof *catalog->entries);
    if (!catalog || !catalog->entries) {
        qn_free(catalog);
        return NULL;
    }
    atomic_init(&catalog->n_refs, 1);
    catalog->generation = store->generation + 1;
    catalog->n_entries = store->n_specs;
    for (int64_t i = 0; i < store->n_specs; i++) {
        const struct model_spec *spec = &store->specs[i];
        catalog->entries[i] =
            (qn_catalog_entry){.name = spec->name,
                               .version = spec->version,
                               .path = spec->path,
                               .model = spec->model ? qn_served_model_ref(spec->model) : NULL,
                               .problem = spec->problem ? qn_strdup(spec->problem) : NULL,
                               .counters = spec->counters};
    }
    choose_defaults(catalog);
    return catalog;
}

bool qn_model_store_is_newer(const qn_model_store *store, const qn_catalog *catalog)
{
    qn_model_store *mutable = (qn_model_store *)(uintptr_t)store;
    return atomic_load_explicit(&mutable->current, memory_order_acquire) != catalog;
}

qn_catalog *qn_model_store_acquire(qn_model_store *store)
{
    pthread_mutex_lock(&store->lock);
    qn_catalog *catalog = atomic_load_explicit(&store->current, memory_order_relaxed);
    atomic_fetch_add_explicit(&catalog->n_refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&store->lock);
    return catalog;
}

/* Puts the specs' present state in place of the catalog; false when out of memory. */
static bool publish(qn_model_store *store)
{
    qn_catalog *catalog = make_catalog(store);
    if (!catalog) return false;
    pthread_mutex_lock(&store->lock);
    store->generation = catalog->generation;
    qn_catalog *previous = atomic_exchange_explicit(&store->current, catalog, memory_order_acq_rel);
    pthread_mutex_unlock(&store->lock);
    qn_catalog_unref(previous);
    return true;
}

/* Loading. */

/* Opens one file if it has changed. The identity is taken before the file is opened, so that a
 * change in between is seen the next time. Returns whether anything is to be told. */
static bool reload_spec(struct model_spec *spec, qn_reload *reload)
{
    const qn_file_identity now = qn_file_identify(spec->path);
    const bool tried = spec->model || spec->problem;
    if (tried && qn_file_is_same(&now, &spec->opened)) return false;
    qn_error err = {0};
    qn_served_model *model = NULL;
    spec->opened = now;
    qn_free(spec->problem);
    spec->problem = NULL;
    if (qn_served_model_open(spec->name, spec->version, spec->path, &model, &err) == QN_OK) {
        qn_served_model_unref(spec->model);
        spec->model = model;
        reload->n_loaded++;
        qn_str_addf(&reload->messages, "%s@%s: %s loaded, %s\n", spec->name, spec->version,
                    spec->path, model->hash);
    } else {
        spec->problem = qn_strdup(err.message);
        reload->n_failed++;
        qn_str_addf(&reload->messages, "%s@%s: %s%s\n", spec->name, spec->version, err.message,
                    spec->model ? "; the model loaded before goes on" : "");
    }
    return true;
}

void qn_model_store_reload(qn_model_store *store, qn_reload *reload)
{
    *reload = (qn_reload){0};
    bool changed = false;
    pthread_mutex_lock(&store->loading);
    for (int64_t i = 0; i < store->n_specs; i++) {
        changed |= reload_spec(&store->specs[i], reload);
    }
    if (changed && !publish(store)) {
        qn_str_add(&reload->messages, "no memory to put the models in place\n");
        reload->n_failed++;
    }
    pthread_mutex_unlock(&store->loading);
}

/* Specs. */

static void release_spec(struct model_spec *spec)
{
    qn_served_model_unref(spec->model);
    qn_free(spec->counters);
    qn_free(spec->problem);
    qn_free(spec->name);
    qn_free(spec->version);
    qn_free(spec->path);
}

void qn_model_store_free(qn_model_store *store)
{
    if (!store) return;
    qn_catalog_unref(atomic_load(&store->current));
    for (int64_t i = 0; store->specs && i < store->n_specs; i++) {
        release_spec(&store->specs[i]);
    }
    qn_free(store->specs);
    pthread_mutex_destroy(&store->loading);
    pthread_mutex_destroy(&store->lock);
    qn_free(store);
}

/* "credit" of "models/credit.quern". */
static char *name_of_path(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    return qn_strndup(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

static qn_status parse_spec(const char *text, int n_loops, struct model_spec *spec, qn_error *err)
{
    const char *equals_sign = strchr(text, '='), *slash = strchr(text, '/');
    const bool named = equals_sign && !(slash && slash < equals_sign);
    const char *path = named ? equals_sign + 1 : text;
    const char *at = named ? memchr(text, '@', (size_t)(equals_sign - text)) : NULL;
    const char *name_end = at ? at : equals_sign;
    spec->path = qn_strdup(path);
    spec->name = named ? qn_strndup(text, (size_t)(name_end - text)) : name_of_path(path);
    spec->version = at ? qn_strndup(at + 1, (size_t)(equals_sign - at - 1)) : qn_strdup("1");
    spec->counters = qn_alloc_aligned(n_loops, sizeof *spec->counters);
    if (!spec->path || !spec->name || !spec->version || !spec->counters) {
        return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to serve it", text);
    }
    memset(spec->counters, 0, (size_t)n_loops * sizeof *spec->counters);
    if (qn_served_name_is_valid(spec->name) && qn_served_name_is_valid(spec->version)) return QN_OK;
    return qn_fail(err, QN_ERR_ARG,
                   "%s: '%s@%s' is no name to serve a model by; give one of letters, digits, '.', "
                   "'_' and '-' as NAME=%s",
                   text, spec->name, spec->version, path);
}

static int compare_versions(const char *a, const char *b)
{
    int64_t x, y;
    const bool numbers = qn_parse_int64(a, strlen(a), &x) && qn_parse_int64(b, strlen(b), &y);
    if (numbers && x != y) return x < y ? -1 : 1;
    return strcmp(a, b);
}

static int compare_specs(const void *a, const void *b)
{
    const struct model_spec *x = a, *y = b;
    const int names = strcmp(x->name, y->name);
    return names ? names : compare_versions(x->version, y->version);
}

static qn_status parse_specs(qn_model_store *store, const char *const *specs, qn_error *err)
{
    for (int64_t i = 0; specs[i]; i++) {
        store->n_specs++;
        QN_TRY(parse_spec(specs[i], store->n_loops, &store->specs[i], err));
    }
    qsort(store->specs, (size_t)store->n_specs, sizeof *store->specs, compare_specs);
    for (int64_t i = 1; i < store->n_specs; i++) {
        const struct model_spec *one = &store->specs[i - 1], *two = &store->specs[i];
        if (compare_specs(one, two) != 0) continue;
        return qn_fail(err, QN_ERR_ARG,
                       "%s and %s would both be '%s@%s'; tell them apart as NAME@VERSION=PATH",
                       one->path, two->path, two->name, two->version);
    }
    return QN_OK;
}

qn_status qn_model_store_create(const char *const *specs, int n_loops, qn_model_store **out,
                                qn_error *err)
{
    *out = NULL;
    int64_t n = 0;
    while (specs[n]) {
        n++;
    }
    if (n > MODELS_MAX) {
        return qn_fail(err, QN_ERR_ARG, "%" PRId64 " models; a server takes %d", n, MODELS_MAX);
    }
    qn_model_store *store = qn_alloc_array(1, sizeof *store);
    if (!store) return qn_fail(err, QN_ERR_NOMEM, "no memory for the models");
    pthread_mutex_init(&store->loading, NULL);
    pthread_mutex_init(&store->lock, NULL);
    store->n_loops = n_loops;
    store->specs = qn_alloc_array(n, sizeof *store->specs);
    qn_status status = QN_OK;
    if (store->specs) status = parse_specs(store, specs, err);
    if (!store->specs || (status == QN_OK && !publish(store))) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the models");
    }
    if (status != QN_OK) {
        qn_model_store_free(store);
        return status;
    }
    *out = store;
    return QN_OK;
}
