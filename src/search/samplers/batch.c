/* SPDX-License-Identifier: Apache-2.0 */
#include "search/samplers/batch.h"

#include "base/alloc.h"

#include <string.h>

struct qn_batch_trial {
    qn_trial *trial;
    bool has_begun, has_ended;
    qn_outcome outcome; /* once it has ended */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a batch of trials");
}

qn_status qn_batch_init(qn_batch *batch, qn_study *study, int64_t size, int64_t n_max,
                        qn_error *err)
{
    *batch = (qn_batch){.study = study, .size = size, .n_max = n_max};
    qn_study_set_batch(study, size);
    if (size == 0) return QN_OK;
    batch->trials = qn_alloc_array(size, sizeof *batch->trials);
    batch->room = size;
    return batch->trials ? QN_OK : no_memory(err);
}

void qn_batch_release(qn_batch *batch)
{
    qn_free(batch->trials);
    *batch = (qn_batch){0};
}

/* Moves first_open to the first trial that has not ended, here or elsewhere. */
static void find_first_open(qn_batch *batch)
{
    const qn_history *history = qn_study_history(batch->study);
    qn_study_lock(batch->study);
    while (batch->first_open < history->n_trials &&
           history->trials[batch->first_open]->state >= QN_TRIAL_COMPLETE) {
        batch->first_open++;
    }
    qn_study_unlock(batch->study);
}

/* A place in the list, in the order of numbers. */
static qn_batch_trial *insert(qn_batch *batch, qn_trial *trial)
{
    int64_t at = batch->n;
    while (at > 0 && qn_trial_number(batch->trials[at - 1].trial) > qn_trial_number(trial)) {
        at--;
    }
    memmove(batch->trials + at + 1, batch->trials + at,
            (size_t)(batch->n - at) * sizeof *batch->trials);
    batch->n++;
    batch->trials[at] = (qn_batch_trial){.trial = trial};
    return &batch->trials[at];
}

static void remove_at(qn_batch *batch, int64_t at)
{
    batch->n--;
    memmove(batch->trials + at, batch->trials + at + 1,
            (size_t)(batch->n - at) * sizeof *batch->trials);
}

/* Asks for what the batch still lacks. */
static qn_status fill(qn_batch *batch, qn_error *err)
{
    find_first_open(batch);
    int64_t end = (batch->first_open / batch->size + 1) * batch->size;
    if (batch->n_max > 0 && end > batch->n_max) end = batch->n_max;
    while (batch->n < batch->room) {
        qn_trial *trial;
        QN_TRY(qn_study_ask_below(batch->study, end, &trial, err));
        if (!trial) break;
        insert(batch, trial);
    }
    return QN_OK;
}

qn_status qn_batch_next(qn_batch *batch, qn_trial **out, qn_error *err)
{
    *out = NULL;
    if (batch->size == 0) return qn_study_ask_below(batch->study, batch->n_max, out, err);
    QN_TRY(fill(batch, err));
    for (int64_t i = 0; i < batch->n && !*out; i++) {
        if (batch->trials[i].has_begun) continue;
        batch->trials[i].has_begun = true;
        *out = batch->trials[i].trial;
    }
    return QN_OK;
}

static bool reserve(qn_batch *batch)
{
    if (batch->n < batch->room) return true;
    const int64_t room = 2 * batch->room + 4;
    qn_batch_trial *more = qn_realloc_array(batch->trials, room, sizeof *more);
    if (!more) return false;
    batch->trials = more;
    batch->room = room;
    return true;
}

qn_status qn_batch_keep(qn_batch *batch, qn_trial *trial, const qn_outcome *outcome, qn_error *err)
{
    int64_t at = 0;
    while (at < batch->n && batch->trials[at].trial != trial) {
        at++;
    }
    if (at == batch->n && !reserve(batch)) return no_memory(err);
    qn_batch_trial *kept = at < batch->n ? &batch->trials[at] : insert(batch, trial);
    kept->has_begun = kept->has_ended = true;
    kept->outcome = *outcome;
    return QN_OK;
}

qn_trial *qn_batch_take(qn_batch *batch, qn_outcome *outcome)
{
    find_first_open(batch);
    for (int64_t i = 0; i < batch->n; i++) {
        const qn_batch_trial *kept = &batch->trials[i];
        if (!kept->has_ended) continue;
        const bool waits = kept->outcome.kind != QN_OUTCOME_TAKEN && batch->size > 0 &&
                           qn_trial_number(kept->trial) > batch->first_open;
        if (waits) continue;
        qn_trial *trial = kept->trial;
        *outcome = kept->outcome;
        remove_at(batch, i);
        return trial;
    }
    return NULL;
}
