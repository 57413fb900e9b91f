/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/model_places.h"

#include "base/alloc.h"
#include "serve/models/model_files.h"

#include <stdlib.h>
#include <string.h>

static void release_place(qn_model_place *place)
{
    qn_served_model_unref(place->model);
    qn_model_slot_unref(place->slot);
    qn_free(place->problem);
    qn_free(place->path);
}

void qn_model_places_release(qn_model_places *places)
{
    for (int64_t i = 0; i < places->n; i++) {
        release_place(&places->list[i]);
    }
    qn_free(places->list);
    *places = (qn_model_places){.n_loops = places->n_loops};
}

bool qn_model_selects(const qn_model_selection *selection, const qn_model_place *place)
{
    return (!selection->name || strcmp(selection->name, place->slot->name) == 0) &&
           (!selection->version || strcmp(selection->version, place->slot->version) == 0);
}

static int compare_places(const void *a, const void *b)
{
    const qn_model_slot *x = ((const qn_model_place *)a)->slot,
                        *y = ((const qn_model_place *)b)->slot;
    const int names = strcmp(x->name, y->name);
    return names ? names : qn_version_compare(x->version, y->version);
}

qn_model_place *qn_model_places_find(const qn_model_places *places, const char *name,
                                     const char *version)
{
    for (int64_t i = 0; i < places->n; i++) {
        const qn_model_slot *slot = places->list[i].slot;
        if (strcmp(slot->name, name) == 0 && strcmp(slot->version, version) == 0) {
            return &places->list[i];
        }
    }
    return NULL;
}

/* A place for a file that is new; the order is made later. */
static bool add_place(qn_model_places *places, const qn_model_file *file)
{
    if (places->n == places->room) {
        const int64_t room = places->room ? 2 * places->room : 16;
        qn_model_place *wider = qn_realloc_array(places->list, room, sizeof *wider);
        if (!wider) return false;
        places->list = wider;
        places->room = room;
    }
    qn_model_place place = {.slot =
                                qn_model_slot_create(file->name, file->version, places->n_loops),
                            .path = qn_strdup(file->path),
                            .in_folder = file->in_folder};
    if (!place.slot || !place.path) {
        release_place(&place);
        return false;
    }
    places->list[places->n++] = place;
    return true;
}

/* The place of a file, which may have moved within its folder. */
static bool take_file(qn_model_places *places, const qn_model_file *file)
{
    qn_model_place *place = qn_model_places_find(places, file->name, file->version);
    if (!place) return add_place(places, file);
    place->gone = false;
    if (strcmp(place->path, file->path) == 0) return true;
    char *path = qn_strdup(file->path);
    if (!path) return false;
    qn_free(place->path);
    place->path = path;
    return true;
}

static qn_status list_files(const qn_model_sources *sources, const char *name,
                            qn_model_files *files, qn_error *err)
{
    for (int64_t i = 0; sources->specs && sources->specs[i]; i++) {
        QN_TRY(qn_model_files_add_spec(files, sources->specs[i], err));
    }
    if (sources->folder) {
        QN_TRY(qn_model_files_add_folder(files, sources->folder, name, err));
    }
    return qn_model_files_sort(files, err);
}

qn_status qn_model_places_take_files(qn_model_places *places, const qn_model_sources *sources,
                                     const qn_model_selection *selection, qn_error *err)
{
    qn_model_files files = {0};
    qn_status status = list_files(sources, selection->name, &files, err);
    for (int64_t i = 0; status == QN_OK && i < places->n; i++) {
        qn_model_place *place = &places->list[i];
        if (qn_model_selects(selection, place)) place->gone = place->in_folder;
    }
    for (int64_t i = 0; status == QN_OK && i < files.n; i++) {
        if (!take_file(places, &files.files[i])) {
            status = qn_fail(err, QN_ERR_NOMEM, "no memory for the list of models");
        }
    }
    qn_model_files_release(&files);
    if (places->n > 0) {
        qsort(places->list, (size_t)places->n, sizeof *places->list, compare_places);
    }
    return status;
}

/* Loading. */

/* Opens one file if it has changed. The identity is taken before the file is opened, so that a
 * change in between is seen the next time. */
void qn_model_place_reload(qn_model_place *place, qn_reload *reload)
{
    const qn_file_identity now = qn_file_identify(place->path);
    const char *name = place->slot->name, *version = place->slot->version;
    const bool tried = place->model || place->problem;
    if (place->gone || (tried && qn_file_is_same(&now, &place->opened))) return;
    qn_error err = {0};
    qn_served_model *model = NULL;
    place->opened = now;
    qn_free(place->problem);
    place->problem = NULL;
    reload->changed = true;
    if (qn_served_model_open(name, version, place->path, &model, &err) == QN_OK) {
        if (reload->answering) qn_served_model_warm_up(model);
        qn_served_model_unref(place->model);
        place->model = model;
        reload->n_loaded++;
        qn_str_addf(&reload->messages, "%s@%s: %s loaded, %s\n", name, version, place->path,
                    model->hash);
    } else {
        place->problem = qn_strdup(err.message);
        reload->n_failed++;
        qn_str_addf(&reload->messages, "%s@%s: %s%s\n", name, version, err.message,
                    place->model ? "; the model loaded before goes on" : "");
    }
}

/* What has no file any more is let go of, unless an alias leads to it. */
void qn_model_places_drop_gone(qn_model_places *places, const qn_routing *routing,
                               qn_reload *reload)
{
    int64_t n = 0;
    for (int64_t i = 0; i < places->n; i++) {
        qn_model_place *place = &places->list[i];
        const qn_model_slot *slot = place->slot;
        const char *alias =
            place->gone ? qn_routing_leads_to(routing, slot->name, slot->version) : NULL;
        if (!place->gone || alias) {
            places->list[n++] = *place;
            continue;
        }
        reload->changed = true;
        qn_str_addf(&reload->messages, "%s@%s: %s is gone, and so is the model\n", slot->name,
                    slot->version, place->path);
        release_place(place);
    }
    places->n = n;
}
