/* SPDX-License-Identifier: Apache-2.0 */
#include "search/study/history.h"

#include "base/alloc.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void qn_history_release(qn_history *history)
{
    qn_free(history->trials);
    qn_free(history->told);
    qn_free(history->running);
    qn_free(history->prior);
    qn_arena_release(&history->arena);
    *history = (qn_history){.space = history->space, .objectives = history->objectives};
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for another trial");
}

static bool reserve(void *list, int64_t n, int64_t *room)
{
    void **items;
    memcpy(&items, list, sizeof items);
    if (n < *room) return true;
    const int64_t more_room = *room ? 2 * *room : 64;
    items = qn_realloc_array(items, more_room, sizeof *items);
    if (!items) return false;
    memcpy(list, &items, sizeof items);
    *room = more_room;
    return true;
}

static bool reserve_running(qn_history *history)
{
    return reserve(&history->running, history->n_running, &history->running_room);
}

qn_status qn_history_add(qn_history *history, const double *values, qn_trial_state state,
                         qn_trial_record **out, qn_error *err)
{
    const int64_t n = history->space->n;
    *out = NULL;
    if (!reserve(&history->trials, history->n_trials, &history->trials_room) ||
        !reserve_running(history)) {
        return no_memory(err);
    }
    qn_trial_record *trial = qn_arena_array(&history->arena, 1, sizeof *trial);
    double *copy = trial ? qn_arena_array(&history->arena, n, sizeof *copy) : NULL;
    if (!copy) return no_memory(err);
    if (n > 0) memcpy(copy, values, (size_t)n * sizeof *copy);
    *trial = (qn_trial_record){
        .number = history->n_trials, .state = state, .n_values = n, .values = copy, .told = -1};
    history->trials[history->n_trials++] = trial;
    if (state == QN_TRIAL_RUNNING) history->running[history->n_running++] = trial;
    *out = trial;
    return QN_OK;
}

qn_status qn_history_start(qn_history *history, qn_trial_record *trial, qn_error *err)
{
    assert(trial->state == QN_TRIAL_WAITING);
    if (!reserve_running(history)) return no_memory(err);
    trial->state = QN_TRIAL_RUNNING;
    history->running[history->n_running++] = trial;
    return QN_OK;
}

static void remove_running(qn_history *history, const qn_trial_record *trial)
{
    int64_t at = 0;
    while (history->running[at] != trial) {
        at++;
    }
    history->n_running--;
    memmove(history->running + at, history->running + at + 1,
            (size_t)(history->n_running - at) * sizeof *history->running);
}

void qn_history_give_back(qn_history *history, qn_trial_record *trial)
{
    assert(trial->state == QN_TRIAL_RUNNING);
    remove_running(history, trial);
    trial->state = QN_TRIAL_WAITING;
    trial->n_reports = 0;
    trial->violation = 0;
}

qn_status qn_history_set_values(qn_history *history, qn_trial_record *trial, const double *values,
                                int64_t n, qn_error *err)
{
    const size_t bytes = (size_t)n * sizeof *values;
    if (n > trial->n_values) {
        double *more = qn_arena_array(&history->arena, n, sizeof *more);
        if (!more) return no_memory(err);
        trial->values = more;
    }
    if (n > 0) memcpy(trial->values, values, bytes);
    trial->n_values = n;
    return QN_OK;
}

qn_status qn_history_finish(qn_history *history, qn_trial_record *trial, qn_trial_state state,
                            const double *losses, qn_error *err)
{
    const int64_t n_objectives = history->objectives->n;
    const qn_curve_point *last =
        trial->n_reports > 0 ? &trial->reports[trial->n_reports - 1] : NULL;
    assert(trial->state == QN_TRIAL_RUNNING);
    if (state == QN_TRIAL_PRUNED && !last) state = QN_TRIAL_FAILED;
    if (state != QN_TRIAL_FAILED) {
        double *copy = qn_arena_array(&history->arena, n_objectives, sizeof *copy);
        if (!copy || !reserve(&history->told, history->n_told, &history->told_room)) {
            return no_memory(err);
        }
        for (int64_t i = 0; i < n_objectives; i++) {
            copy[i] = state == QN_TRIAL_PRUNED ? last->loss : losses[i];
        }
        trial->losses = copy;
        trial->told = history->n_told;
        history->told[history->n_told++] = trial;
    }
    trial->state = state;
    remove_running(history, trial);
    return QN_OK;
}

/* A copy in the arena; NULL when out of memory. */
static qn_trial_record *copy_prior(qn_history *history, const qn_trial_record *from)
{
    const int64_t n_objectives = history->objectives->n, n_reports = from->n_reports;
    qn_trial_record *trial = qn_arena_array(&history->arena, 1, sizeof *trial);
    double *values = qn_arena_array(&history->arena, from->n_values, sizeof *values);
    double *losses = qn_arena_array(&history->arena, n_objectives, sizeof *losses);
    qn_curve_point *last = qn_arena_array(&history->arena, 1, sizeof *last);
    if (!trial || !values || !losses || !last) return NULL;
    *trial = *from;
    trial->attributes = NULL;
    trial->values = values;
    trial->losses = losses;
    trial->reports = last;
    trial->reports_room = 1;
    trial->n_reports = from->state == QN_TRIAL_PRUNED;
    if (from->n_values > 0) memcpy(values, from->values, (size_t)from->n_values * sizeof *values);
    memcpy(losses, from->losses, (size_t)n_objectives * sizeof *losses);
    if (trial->n_reports > 0) *last = from->reports[n_reports - 1];
    return trial;
}

qn_status qn_history_add_prior(qn_history *history, const qn_trial_record *from,
                               qn_trial_record **out, qn_error *err)
{
    *out = NULL;
    if (!reserve(&history->prior, history->n_prior, &history->prior_room) ||
        !reserve(&history->told, history->n_told, &history->told_room)) {
        return no_memory(err);
    }
    qn_trial_record *trial = copy_prior(history, from);
    if (!trial) return no_memory(err);
    trial->number = -1 - history->n_prior;
    trial->told = history->n_told;
    history->prior[history->n_prior++] = trial;
    history->told[history->n_told++] = trial;
    *out = trial;
    return QN_OK;
}

qn_status qn_history_report(qn_history *history, qn_trial_record *trial, int64_t step, double loss,
                            qn_error *err)
{
    int64_t at = trial->n_reports;
    while (at > 0 && trial->reports[at - 1].step >= step) {
        at--;
    }
    if (at < trial->n_reports && trial->reports[at].step == step) {
        trial->reports[at].loss = loss;
        return QN_OK;
    }
    if (trial->n_reports == trial->reports_room) {
        const int64_t room = trial->reports_room ? 2 * trial->reports_room : 8;
        qn_curve_point *more = qn_arena_array(&history->arena, room, sizeof *more);
        if (!more) return no_memory(err);
        if (trial->n_reports > 0) {
            memcpy(more, trial->reports, (size_t)trial->n_reports * sizeof *more);
        }
        trial->reports = more;
        trial->reports_room = room;
    }
    memmove(trial->reports + at + 1, trial->reports + at,
            (size_t)(trial->n_reports - at) * sizeof *trial->reports);
    trial->reports[at] = (qn_curve_point){step, loss};
    trial->n_reports++;
    return QN_OK;
}

qn_status qn_history_annotate(qn_history *history, qn_trial_record *trial, const char *name,
                              const char *json, qn_error *err)
{
    qn_trial_attribute **link = &trial->attributes;
    while (*link && strcmp((*link)->name, name) != 0) {
        link = &(*link)->next;
    }
    const char *copy = qn_arena_strdup(&history->arena, json);
    if (!copy) return no_memory(err);
    if (*link) {
        (*link)->json = copy;
        return QN_OK;
    }
    qn_trial_attribute *attribute = qn_arena_array(&history->arena, 1, sizeof *attribute);
    if (!attribute) return no_memory(err);
    attribute->name = qn_arena_strdup(&history->arena, name);
    if (!attribute->name) return no_memory(err);
    attribute->json = copy;
    *link = attribute;
    return QN_OK;
}

static int order(double a, double b)
{
    return (a > b) - (a < b);
}

int qn_trial_compare(const qn_trial_record *a, const qn_trial_record *b)
{
    int by = order(a->violation, b->violation);
    if (by == 0) by = (int)a->state - (int)b->state; /* COMPLETE < PRUNED */
    if (by == 0 && a->state == QN_TRIAL_PRUNED) {
        by = order((double)b->reports[b->n_reports - 1].step,
                   (double)a->reports[a->n_reports - 1].step);
    }
    if (by == 0) by = order(a->losses[0], b->losses[0]);
    return by ? by : (a->number > b->number) - (a->number < b->number);
}

bool qn_trial_dominates(const qn_trial_record *a, const qn_trial_record *b, int64_t n_objectives)
{
    if (a->violation != b->violation) return a->violation < b->violation;
    bool better = false;
    for (int64_t i = 0; i < n_objectives; i++) {
        if (a->losses[i] > b->losses[i]) return false;
        better |= a->losses[i] < b->losses[i];
    }
    return better;
}

const qn_trial_record *qn_history_best(const qn_history *history)
{
    const qn_trial_record *best = NULL;
    for (int64_t i = 0; i < history->n_told; i++) {
        const qn_trial_record *trial = history->told[i];
        if (trial->number < 0 || trial->state != QN_TRIAL_COMPLETE || trial->violation > 0)
            continue;
        if (!best || qn_trial_compare(trial, best) < 0) best = trial;
    }
    return best;
}

static const char *const state_names[] = {"waiting", "running", "complete", "pruned", "failed"};

const char *qn_trial_state_name(qn_trial_state state)
{
    return state_names[state];
}

bool qn_trial_state_find(const char *name, qn_trial_state *out)
{
    for (int state = QN_TRIAL_WAITING; state <= QN_TRIAL_FAILED; state++) {
        *out = (qn_trial_state)state;
        if (strcmp(state_names[state], name) == 0) return true;
    }
    return false;
}
