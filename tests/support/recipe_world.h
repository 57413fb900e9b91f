/* SPDX-License-Identifier: Apache-2.0 */
/* A table and a recipe that is fitted to it, with what it makes of the training rows. */
#ifndef TESTS_SUPPORT_RECIPE_WORLD_H
#define TESTS_SUPPORT_RECIPE_WORLD_H

#include "tables.h"

struct world {
    table table;
    qn_recipe_request request;
    qn_recipe *recipe;
    qn_matrix views[QN_N_VIEWS]; /* of the training rows */
};

static inline void fit(struct world *w)
{
    qn_error err = {0};
    CHECK_OK(qn_recipe_fit(&w->request, &w->recipe, w->views, &err));
}

static inline void unfit(struct world *w)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix_release(&w->views[view]);
    }
    qn_recipe_free(w->recipe);
    w->recipe = NULL;
}

#endif
