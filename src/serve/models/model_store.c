/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/model_store.h"

#include "base/alloc.h"
#include "serve/models/model_places.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <pthread.h>
#include <string.h>

struct qn_model_store {
    const qn_model_sources *sources;
    pthread_mutex_t loading; /* held while anything is changed */
    pthread_mutex_t lock;    /* held while `current` is taken or replaced */
    _Atomic(qn_catalog *) current;
    qn_catalog *replaced; /* with a reference each; under `lock` */
    int64_t generation;
    bool is_behind; /* there was no memory for a catalog of what the places are now */
    qn_model_places places;
    qn_routing *routing;
    qn_file_identity routes_read, routes_tried;
};

/* Catalogs. */

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

/* Of the present places; NULL when out of memory. */
static qn_catalog *make_catalog(const qn_model_store *store, qn_routing *routing)
{
    qn_catalog *catalog = qn_catalog_create(store->places.n, routing, store->generation + 1);
    bool whole = catalog != NULL;
    for (int64_t i = 0; whole && i < store->places.n; i++) {
        const qn_model_place *place = &store->places.list[i];
        whole = qn_catalog_add(catalog, place->slot, place->model, place->problem, place->unloaded);
    }
    if (!whole) {
        qn_catalog_unref(catalog);
        return NULL;
    }
    qn_catalog_finish(catalog);
    return catalog;
}

static void unref_all(qn_catalog *catalog)
{
    while (catalog) {
        qn_catalog *next = catalog->next;
        qn_catalog_unref(catalog);
        catalog = next;
    }
}

/* Takes the catalog. */
static void put_in_place(qn_model_store *store, qn_catalog *catalog)
{
    pthread_mutex_lock(&store->lock);
    store->generation = catalog->generation;
    qn_catalog *previous = atomic_exchange_explicit(&store->current, catalog, memory_order_acq_rel);
    if (previous) {
        previous->next = store->replaced;
        store->replaced = previous;
    }
    pthread_mutex_unlock(&store->lock);
}

static void warm_up(qn_model_store *store)
{
    qn_catalog *catalog = qn_model_store_acquire(store);
    for (int64_t i = 0; i < catalog->n_entries; i++) {
        if (catalog->entries[i].model) qn_served_model_warm_up(catalog->entries[i].model);
    }
    qn_catalog_unref(catalog);
}

/* Nobody takes a new reference to a catalog that was replaced: once there is but the store's, it
 * stays so. */
bool qn_model_store_tidy(qn_model_store *store)
{
    qn_catalog *unused = NULL;
    warm_up(store);
    pthread_mutex_lock(&store->lock);
    for (qn_catalog **link = &store->replaced; *link;) {
        qn_catalog *catalog = *link;
        if (atomic_load_explicit(&catalog->n_refs, memory_order_acquire) > 1) {
            link = &catalog->next;
            continue;
        }
        *link = catalog->next;
        catalog->next = unused;
        unused = catalog;
    }
    const bool more = store->replaced != NULL;
    pthread_mutex_unlock(&store->lock);
    if (unused) {
        unref_all(unused);
#if defined(__GLIBC__)
        malloc_trim(0); /* free() keeps what lies between pieces in use */
#endif
    }
    return more;
}

static bool publish(qn_model_store *store)
{
    qn_catalog *catalog = make_catalog(store, store->routing);
    if (catalog) put_in_place(store, catalog);
    store->is_behind = !catalog;
    return catalog != NULL;
}

/* Routes. */

static qn_status check_target(const qn_model_store *store, const char *model, const char *target,
                              const char *version, qn_error *err)
{
    const qn_model_place *place = qn_model_places_find(&store->places, model, version);
    if (place && place->model) return QN_OK;
    return qn_fail(err, QN_ERR_DATA,
                   "'%s' of '%s' would lead to version '%s', which is not loaded; load it first",
                   target, model, version);
}

/* Fails when anything leads to what is not loaded. */
static qn_status check_targets(const qn_model_store *store, const qn_routing *routing,
                               qn_error *err)
{
    for (int64_t i = 0; i < routing->n_models; i++) {
        const qn_model_routing *model = &routing->models[i];
        for (int64_t k = 0; k < model->n_aliases; k++) {
            const qn_alias *alias = &model->aliases[k];
            QN_TRY(check_target(store, model->model, alias->name, alias->version, err));
        }
        for (int k = 0; k < model->plan.n_arms; k++) {
            QN_TRY(check_target(store, model->model, model->plan.arms[k].target,
                                qn_routing_target(model, k), err));
        }
        if (model->plan.shadow) {
            QN_TRY(check_target(store, model->model, model->plan.shadow,
                                qn_routing_target(model, -1), err));
        }
    }
    return QN_OK;
}

/* Those of the command line count where the routes file does not say anything else. */
static qn_status add_aliases(const char *const *aliases, qn_routing **routing, qn_error *err)
{
    for (int64_t i = 0; aliases && aliases[i]; i++) {
        const char *text = aliases[i], *at = strchr(text, '@'), *sign = strchr(text, '=');
        if (!at || !sign || sign < at) {
            return qn_fail(err, QN_ERR_ARG, "--alias %s: expected NAME@ALIAS=VERSION", text);
        }
        char *name = qn_strndup(text, (size_t)(at - text));
        char *alias = qn_strndup(at + 1, (size_t)(sign - at - 1));
        const qn_span name_span = {text, (size_t)(at - text)};
        const qn_span alias_span = {at + 1, (size_t)(sign - at - 1)};
        const qn_model_routing *model = qn_routing_find(*routing, name_span);
        qn_routing *next = NULL;
        qn_status status = QN_OK;
        if (!name || !alias) {
            status = qn_fail(err, QN_ERR_NOMEM, "no memory for the routes");
        } else if (!model || !qn_routing_version(model, alias_span)) {
            status = qn_routing_with_alias(*routing, name, alias, sign + 1, &next, err);
            if (status == QN_ERR_ARG) status = qn_fail_context(err, status, "--alias %s", text);
        }
        qn_free(name);
        qn_free(alias);
        if (status != QN_OK) return status;
        if (!next) continue;
        qn_routing_unref(*routing);
        *routing = next;
    }
    return QN_OK;
}

/* The routes as the sources now have them. */
static qn_status read_routes(const qn_model_sources *sources, qn_routing **out, qn_error *err)
{
    qn_file_map file = {0};
    *out = NULL;
    if (sources->routes) QN_TRY(qn_file_map_copy(sources->routes, &file, err));
    qn_status status = qn_routing_read(sources->routes ? sources->routes : "the routes",
                                       (const char *)file.data, file.bytes, out, err);
    qn_file_unmap(&file);
    if (status == QN_OK) status = add_aliases(sources->aliases, out, err);
    if (status == QN_OK) return QN_OK;
    qn_routing_unref(*out);
    *out = NULL;
    return status;
}

/* Reads the routes if they have changed; what cannot be leaves the old ones in place. */
static void reload_routes(qn_model_store *store, qn_reload *reload)
{
    const qn_model_sources *sources = store->sources;
    const qn_file_identity now =
        sources->routes ? qn_file_identify(sources->routes) : (qn_file_identity){.known = true};
    qn_error err = {0};
    qn_routing *routing = NULL;
    if (qn_file_is_same(&now, &store->routes_read)) return;
    /* What was refused before may be good now that there are other models. */
    if (qn_file_is_same(&now, &store->routes_tried) && !reload->changed) return;
    store->routes_tried = now;
    qn_status status = read_routes(sources, &routing, &err);
    if (status == QN_OK) status = check_targets(store, routing, &err);
    if (status == QN_OK) {
        qn_routing_inherit(routing, store->routing, true);
        if (sources->state) qn_routes_state_restore(sources->state, routing);
        qn_routing_unref(store->routing);
        store->routing = routing;
        store->routes_read = now;
        reload->changed = true;
        if (sources->routes) qn_str_addf(&reload->messages, "%s: routes read\n", sources->routes);
    } else {
        qn_routing_unref(routing);
        reload->n_failed++;
        qn_str_addf(&reload->messages, "%s; the routes stay as they are\n", err.message);
    }
}

/* Reloading. */

static void refresh(qn_model_store *store, const qn_model_selection *selection, qn_reload *reload)
{
    qn_error err = {0};
    for (int64_t i = 0; i < store->places.n; i++) {
        reload->answering |= store->places.list[i].model != NULL;
    }
    const bool listed =
        qn_model_places_take_files(&store->places, store->sources, selection, &err) == QN_OK;
    if (!listed) {
        reload->n_failed++;
        qn_str_addf(&reload->messages, "%s\n", err.message);
    }
    for (int64_t i = 0; i < store->places.n; i++) {
        qn_model_place *place = &store->places.list[i];
        if (!qn_model_selects(selection, place) || place->unloaded) continue;
        if (listed || !place->in_folder) qn_model_place_reload(place, reload);
    }
    if (!selection->name) reload_routes(store, reload);
    qn_model_places_drop_gone(&store->places, store->routing, reload);
    reload->changed |= store->is_behind;
    if (reload->changed && !publish(store)) {
        qn_str_add(&reload->messages, "no memory to put the models in place\n");
        reload->n_failed++;
    }
}

void qn_model_store_reload(qn_model_store *store, qn_reload *reload)
{
    *reload = (qn_reload){0};
    pthread_mutex_lock(&store->loading);
    refresh(store, &(qn_model_selection){0}, reload);
    pthread_mutex_unlock(&store->loading);
}

/* Administration. */

static qn_status check_loaded(const qn_model_store *store, const qn_model_selection *selection,
                              qn_error *err)
{
    int64_t n = 0;
    for (int64_t i = 0; i < store->places.n; i++) {
        const qn_model_place *place = &store->places.list[i];
        if (!qn_model_selects(selection, place)) continue;
        n++;
        if (place->problem) return qn_fail(err, QN_ERR_DATA, "%s", place->problem);
        if (!place->model) return qn_fail(err, QN_ERR_NOMEM, "no memory to load the model");
    }
    if (n > 0) return QN_OK;
    return qn_fail(err, QN_ERR_DATA, "there is no file of model '%s'%s%s", selection->name,
                   selection->version ? " in version " : "",
                   selection->version ? selection->version : "");
}

qn_status qn_model_store_load(qn_model_store *store, const char *name, const char *version,
                              qn_reload *reload, qn_error *err)
{
    const qn_model_selection selection = {name, version};
    *reload = (qn_reload){0};
    pthread_mutex_lock(&store->loading);
    for (int64_t i = 0; i < store->places.n; i++) {
        qn_model_place *place = &store->places.list[i];
        if (!qn_model_selects(&selection, place) || !place->unloaded) continue;
        place->unloaded = false;
        reload->changed = true;
    }
    refresh(store, &selection, reload);
    qn_status status = check_loaded(store, &selection, err);
    if (status == QN_OK && reload->n_failed > 0) {
        const char *why = reload->messages.text ? reload->messages.text : "no memory to load it";
        status = qn_fail(err, QN_ERR_DATA, "%.*s", (int)strcspn(why, "\n"), why);
    }
    pthread_mutex_unlock(&store->loading);
    return status;
}

/* Fails when an alias leads to any of them, or there is none. */
static qn_status check_free(const qn_model_store *store, const qn_model_selection *selection,
                            qn_error *err)
{
    int64_t n = 0;
    for (int64_t i = 0; i < store->places.n; i++) {
        const qn_model_place *place = &store->places.list[i];
        if (!qn_model_selects(selection, place)) continue;
        const char *target =
            qn_routing_leads_to(store->routing, selection->name, place->slot->version);
        n++;
        if (!target) continue;
        return qn_fail(err, QN_ERR_DATA,
                       "'%s' of '%s' leads to version '%s'; let it lead elsewhere first", target,
                       selection->name, place->slot->version);
    }
    return n > 0 ? QN_OK : qn_fail(err, QN_ERR_DATA, "there is no such model or version");
}

static void unload_places(qn_model_store *store, const qn_model_selection *selection)
{
    for (int64_t i = 0; i < store->places.n; i++) {
        qn_model_place *place = &store->places.list[i];
        if (!qn_model_selects(selection, place)) continue;
        qn_served_model_unref(place->model);
        qn_free(place->problem);
        place->model = NULL;
        place->problem = NULL;
        place->unloaded = true;
    }
}

qn_status qn_model_store_unload(qn_model_store *store, const char *name, const char *version,
                                qn_error *err)
{
    const qn_model_selection selection = {name, version};
    pthread_mutex_lock(&store->loading);
    qn_status status = check_free(store, &selection, err);
    if (status == QN_OK) {
        unload_places(store, &selection);
        if (!publish(store)) {
            status = qn_fail(err, QN_ERR_NOMEM, "no memory to take the model away; try it again");
        }
    }
    pthread_mutex_unlock(&store->loading);
    return status;
}

/* Takes the routing, also when it fails; then all stays as it was. `text` is the file's, to be
 * written before anybody sees what it says. */
static qn_status adopt(qn_model_store *store, qn_routing *routing, const char *text, size_t bytes,
                       qn_error *err)
{
    const char *path = store->sources->routes;
    qn_catalog *catalog = NULL;
    qn_status status = check_targets(store, routing, err);
    if (status == QN_OK) {
        catalog = make_catalog(store, routing);
        if (!catalog) status = qn_fail(err, QN_ERR_NOMEM, "no memory for the routes");
    }
    if (status == QN_OK && path) status = qn_file_write(path, text, bytes, err);
    if (status != QN_OK) {
        qn_catalog_unref(catalog);
        qn_routing_unref(routing);
        return status;
    }
    if (path) store->routes_read = qn_file_identify(path);
    qn_routing_unref(store->routing);
    store->routing = routing;
    put_in_place(store, catalog);
    return QN_OK;
}

qn_status qn_model_store_set_alias(qn_model_store *store, const char *name, const char *alias,
                                   const char *version, qn_error *err)
{
    qn_routing *routing = NULL;
    qn_str text = {0};
    pthread_mutex_lock(&store->loading);
    qn_status status = qn_routing_with_alias(store->routing, name, alias, version, &routing, err);
    if (status == QN_OK) {
        qn_routing_inherit(routing, store->routing, false);
        qn_routing_write(routing, &text);
        if (text.failed) {
            qn_routing_unref(routing);
            status = qn_fail(err, QN_ERR_NOMEM, "no memory for the routes");
        } else {
            status = adopt(store, routing, text.text, text.bytes, err);
        }
    }
    pthread_mutex_unlock(&store->loading);
    qn_str_release(&text);
    return status;
}

qn_status qn_model_store_set_routes(qn_model_store *store, const char *text, size_t bytes,
                                    qn_error *err)
{
    qn_routing *routing = NULL;
    qn_error wrong = {0};
    pthread_mutex_lock(&store->loading);
    qn_status status = qn_routing_read("routes", text, bytes, &routing, &wrong);
    if (status == QN_OK) {
        qn_routing_inherit(routing, store->routing, true);
        status = adopt(store, routing, text, bytes, err);
    } else {
        status = qn_fail(err, status == QN_ERR_DATA ? QN_ERR_ARG : status, "%s", wrong.message);
    }
    pthread_mutex_unlock(&store->loading);
    return status;
}

/* Stores. */

void qn_model_store_free(qn_model_store *store)
{
    if (!store) return;
    qn_catalog_unref(atomic_load(&store->current));
    unref_all(store->replaced);
    qn_model_places_release(&store->places);
    qn_routing_unref(store->routing);
    pthread_mutex_destroy(&store->loading);
    pthread_mutex_destroy(&store->lock);
    qn_free(store);
}

/* What is named one by one has its place from the beginning, so that it is "being loaded". */
static qn_status begin(qn_model_store *store, qn_error *err)
{
    const qn_model_sources named = {.specs = store->sources->specs};
    const qn_model_selection all = {0};
    QN_TRY(qn_routing_read("the routes", "", 0, &store->routing, err));
    QN_TRY(qn_model_places_take_files(&store->places, &named, &all, err));
    return publish(store) ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for the models");
}

qn_status qn_model_store_create(const qn_model_sources *sources, int n_loops, qn_model_store **out,
                                qn_error *err)
{
    *out = NULL;
    qn_model_store *store = qn_alloc_array(1, sizeof *store);
    if (!store) return qn_fail(err, QN_ERR_NOMEM, "no memory for the models");
    pthread_mutex_init(&store->loading, NULL);
    pthread_mutex_init(&store->lock, NULL);
    store->sources = sources;
    store->places.n_loops = n_loops;
    store->routes_read.bytes = store->routes_tried.bytes = UINT64_MAX; /* no file: not even none */
    const qn_status status = begin(store, err);
    if (status != QN_OK) {
        qn_model_store_free(store);
        return status;
    }
    *out = store;
    return QN_OK;
}
