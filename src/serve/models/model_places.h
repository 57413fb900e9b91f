/* SPDX-License-Identifier: Apache-2.0 */
/* Places: one for each version there is or was – its file, and what was made of it. The working
 * state of a model store; requests see catalogs made from it.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_MODELS_MODEL_PLACES_H
#define QN_SERVE_MODELS_MODEL_PLACES_H

#include "base/file.h"
#include "serve/models/model_store.h"

typedef struct qn_model_place {
    qn_model_slot *slot;
    char *path;
    bool in_folder, gone; /* gone: the folder has it no more */
    bool unloaded;        /* by an administrator */
    qn_file_identity opened;
    qn_served_model *model; /* NULL: none yet, or unloaded */
    char *problem;
} qn_model_place;

typedef struct qn_model_places {
    int n_loops;
    int64_t n, room;
    qn_model_place *list; /* in a catalog's order */
} qn_model_places; /* zero-initialise but for n_loops; release with qn_model_places_release() */

/* What a change is about. */
typedef struct qn_model_selection {
    const char *name, *version; /* NULL: all names, all versions */
} qn_model_selection;

bool qn_model_selects(const qn_model_selection *selection, const qn_model_place *place);
/* NULL when there is none. */
qn_model_place *qn_model_places_find(const qn_model_places *places, const char *name,
                                     const char *version);
/* Looks which files there are: places for new ones, `gone` where one is no more. Fails as the
 * functions of model_files.h do; what was found until then stays. */
QN_MUST_CHECK
qn_status qn_model_places_take_files(qn_model_places *places, const qn_model_sources *sources,
                                     const qn_model_selection *selection, qn_error *err);
/* Opens the file if it is not the one that was opened last. */
void qn_model_place_reload(qn_model_place *place, qn_reload *reload);
/* Lets go of what is gone, unless something leads to it. */
void qn_model_places_drop_gone(qn_model_places *places, const qn_routing *routing,
                               qn_reload *reload);
void qn_model_places_release(qn_model_places *places);

#endif
