/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/routes_state.h"

#include "base/alloc.h"
#include "base/file.h"
#include "serve/models/model_store.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* Decisions are some 20 bytes each, so a file may come to a megabyte or more. */
enum { FORMAT = 1, INTERVAL_S = 1, BYTES_PER_S = 1 << 17 };

struct qn_routes_state {
    const char *path; /* borrowed */
    qn_json *json;    /* what the file had, until it is restored */
    qn_model_store *store;
    bool started, begun, ending;
    pthread_t thread;
    pthread_mutex_t lock; /* of begun and ending */
    pthread_cond_t news;
    qn_str written; /* what the file has; the thread's */
    _Atomic bool is_behind;
};

/* Text. */

void qn_routes_state_write(const qn_routing *routing, qn_str *out)
{
    qn_json_writer json = {.out = out, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_int(&json, "format", FORMAT);
    qn_json_key(&json, "routes");
    qn_json_begin_object(&json);
    for (int64_t i = 0; i < routing->n_models; i++) {
        qn_route_state *route = routing->models[i].route;
        qn_route_learned learned;
        qn_str decisions = {0};
        if (!route) continue;
        qn_route_get_learned(route, &decisions, &learned);
        qn_json_key(&json, routing->models[i].model);
        qn_json_begin_object(&json);
        qn_json_put_text(&json, "identity", qn_route_identity(route));
        qn_route_learned_write(&learned, &json);
        qn_json_end_object(&json);
        out->failed |= decisions.failed;
        qn_str_release(&decisions);
    }
    qn_json_end_object(&json);
    qn_json_end_object(&json);
    qn_str_add_char(out, '\n');
}

static qn_status refuse(const char *path, const char *what, qn_error *err)
{
    return qn_fail(
        err, QN_ERR_DATA,
        "%s: %s; put a good copy in its place, or remove it for the routes to begin anew", path,
        what);
}

/* One member of "routes": whose it is, and what it learned; false when it is damaged. */
static bool read_member(qn_json_value value, const char **identity, qn_route_learned *learned)
{
    *identity = qn_json_as_text(qn_json_get(value, "identity"), NULL);
    return *identity && qn_route_learned_read(value, learned);
}

qn_status qn_routes_state_check(const char *path, const qn_json *json, qn_error *err)
{
    qn_json_value root = qn_json_root(json), routes = qn_json_get(root, "routes");
    if (qn_json_as_int(qn_json_get(root, "format"), 0) != FORMAT || !qn_json_is_object(routes)) {
        return refuse(path, "it is no state of routes that this version knows", err);
    }
    for (int64_t i = 0; i < qn_json_size(routes); i++) {
        const char *name, *identity;
        qn_route_learned learned;
        qn_error wrong = {0};
        if (read_member(qn_json_member(routes, i, &name), &identity, &learned)) continue;
        qn_fail(&wrong, QN_ERR_DATA, "what it has of '%.100s' is damaged", name);
        return refuse(path, wrong.message, err);
    }
    return QN_OK;
}

/* Opening. */

static qn_status read_file(qn_routes_state *state, qn_error *err)
{
    qn_file_map file = {0};
    if (!qn_file_identify(state->path).known) return QN_OK;
    QN_TRY(qn_file_map_copy(state->path, &file, err));
    const qn_status status = qn_json_parse(file.data ? (const char *)file.data : "", file.bytes,
                                           state->path, &state->json, err);
    qn_file_unmap(&file);
    if (status == QN_ERR_DATA) return refuse(state->path, "it is no JSON", err);
    return status == QN_OK ? qn_routes_state_check(state->path, state->json, err) : status;
}

qn_status qn_routes_state_open(const char *path, qn_routes_state **out, qn_error *err)
{
    *out = NULL;
    qn_routes_state *state = qn_alloc_array(1, sizeof *state);
    if (!state) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory for it", path);
    state->path = path;
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->news, NULL);
    const qn_status status = read_file(state, err);
    if (status != QN_OK) {
        qn_routes_state_close(state);
        return status;
    }
    *out = state;
    return QN_OK;
}

void qn_routes_state_restore(qn_routes_state *state, const qn_routing *routing)
{
    qn_json_value routes = qn_json_get(state->json ? qn_json_root(state->json) : NULL, "routes");
    for (int64_t i = 0; i < qn_json_size(routes); i++) {
        const char *name, *identity;
        qn_route_learned learned;
        qn_json_value value = qn_json_member(routes, i, &name);
        const qn_model_routing *model = qn_routing_find(routing, (qn_span){name, strlen(name)});
        if (model && model->route && read_member(value, &identity, &learned) &&
            strcmp(qn_route_identity(model->route), identity) == 0) {
            qn_route_take_learned(model->route, &learned);
        }
    }
    qn_json_free(state->json);
    state->json = NULL;
}

/* The thread. */

static void write_if_new(qn_routes_state *state)
{
    qn_str text = {0};
    qn_catalog *catalog = qn_model_store_acquire(state->store);
    qn_routes_state_write(catalog->routing, &text);
    qn_catalog_unref(catalog);
    const bool is_new = !text.failed && (text.bytes != state->written.bytes ||
                                         memcmp(text.text, state->written.text, text.bytes) != 0);
    bool whole = !text.failed;
    if (is_new) whole = qn_file_write(state->path, text.text, text.bytes, NULL) == QN_OK;
    atomic_store_explicit(&state->is_behind, !whole, memory_order_relaxed);
    if (is_new && whole) {
        qn_str_release(&state->written);
        state->written = text;
    } else {
        qn_str_release(&text);
    }
}

static void *run(void *of_state)
{
    qn_routes_state *state = of_state;
    pthread_mutex_lock(&state->lock);
    for (bool last = false; !last;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += INTERVAL_S + (time_t)(state->written.bytes / BYTES_PER_S);
        if (!state->ending) pthread_cond_timedwait(&state->news, &state->lock, &until);
        last = state->ending;
        if (!state->begun) continue;
        pthread_mutex_unlock(&state->lock);
        write_if_new(state);
        pthread_mutex_lock(&state->lock);
    }
    pthread_mutex_unlock(&state->lock);
    return NULL;
}

qn_status qn_routes_state_start(qn_routes_state *state, qn_model_store *store, qn_error *err)
{
    state->store = store;
    const int code = pthread_create(&state->thread, NULL, run, state);
    if (code != 0) {
        return qn_fail(err, QN_ERR_NOMEM, "threads for the server: %s", strerror(code));
    }
    state->started = true;
    return QN_OK;
}

void qn_routes_state_begin(qn_routes_state *state)
{
    pthread_mutex_lock(&state->lock);
    state->begun = true;
    pthread_mutex_unlock(&state->lock);
}

bool qn_routes_state_is_behind(const qn_routes_state *state)
{
    return atomic_load_explicit(&((qn_routes_state *)(uintptr_t)state)->is_behind,
                                memory_order_relaxed);
}

void qn_routes_state_close(qn_routes_state *state)
{
    if (!state) return;
    if (state->started) {
        pthread_mutex_lock(&state->lock);
        state->ending = true;
        pthread_cond_signal(&state->news);
        pthread_mutex_unlock(&state->lock);
        pthread_join(state->thread, NULL);
    }
    pthread_cond_destroy(&state->news);
    pthread_mutex_destroy(&state->lock);
    qn_str_release(&state->written);
    qn_json_free(state->json);
    qn_free(state);
}
