/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tree_forms.h"

#include "base/alloc.h"

#include <stdatomic.h>

/* Below so many nodes the form of blocks takes a few milliseconds at most. Scratch memory for one
 * that is still to be made is an upper bound, which must stay reasonable. */
enum { LATE_FROM_NODES = 1 << 16, LATE_SCRATCH_MAX = 16 << 20 };

enum state { DUE, MAKING, MADE };

struct qn_tree_forms {
    qn_tree_walk *walk;
    qn_tree_codes *codes;
    atomic_int state; /* of `codes`, which is not read before it is MADE */
};

static bool is_late(const qn_tree_model *model)
{
    return model->n_nodes >= LATE_FROM_NODES && qn_tree_codes_may_fit(model) &&
           qn_tree_codes_scratch_bound(model) <= LATE_SCRATCH_MAX;
}

bool qn_tree_forms_create(const qn_tree_model *model, qn_tree_forms **out)
{
    qn_tree_forms *forms = *out = qn_alloc_array(1, sizeof *forms);
    if (!forms) return false;
    const bool late = is_late(model);
    atomic_init(&forms->state, late ? DUE : MADE);
    if (qn_tree_walk_create(model, &forms->walk) &&
        (late || qn_tree_codes_create(model, &forms->codes))) {
        return true;
    }
    qn_tree_forms_free(forms);
    *out = NULL;
    return false;
}

void qn_tree_forms_free(qn_tree_forms *forms)
{
    if (!forms) return;
    qn_tree_walk_free(forms->walk);
    qn_tree_codes_free(forms->codes);
    qn_free(forms);
}

const qn_tree_walk *qn_tree_forms_walk(const qn_tree_model *model)
{
    return model->forms ? model->forms->walk : NULL;
}

static int state_of(const qn_tree_forms *forms)
{
    return atomic_load_explicit(&((qn_tree_forms *)(uintptr_t)forms)->state, memory_order_acquire);
}

const qn_tree_codes *qn_tree_forms_codes(const qn_tree_model *model)
{
    qn_tree_forms *forms = model->forms;
    int state = forms ? state_of(forms) : MAKING;
    if (state == DUE && atomic_compare_exchange_strong(&forms->state, &state, MAKING)) {
        const bool made = qn_tree_codes_create(model, &forms->codes);
        state = made ? MADE : DUE;
        atomic_store_explicit(&forms->state, state, memory_order_release);
    }
    return state == MADE ? forms->codes : NULL;
}

bool qn_tree_forms_lack_codes(const qn_tree_model *model)
{
    return !model->forms || (state_of(model->forms) == MADE && !model->forms->codes);
}

size_t qn_tree_forms_scratch_bytes(const qn_tree_model *model, int64_t n_rows)
{
    const qn_tree_forms *forms = model->forms;
    if (!forms) return 0;
    const size_t walk = forms->walk ? qn_tree_walk_scratch_bytes(forms->walk) : 0;
    size_t codes = 0;
    if (n_rows >= QN_TREE_CODES_ROWS_MIN && state_of(forms) != MADE) {
        codes = qn_tree_codes_scratch_bound(model);
    } else if (n_rows >= QN_TREE_CODES_ROWS_MIN && forms->codes) {
        codes = qn_tree_codes_scratch_bytes(forms->codes);
    }
    return codes > walk ? codes : walk;
}
