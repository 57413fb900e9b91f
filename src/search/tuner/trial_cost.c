/* SPDX-License-Identifier: Apache-2.0 */
#include "search/tuner/trial_cost.h"

#include "base/number.h"

#include <string.h>

static bool has_ended(const qn_trial_record *trial)
{
    return trial->state >= QN_TRIAL_COMPLETE;
}

double qn_trial_cost(const qn_trial_record *trial)
{
    double cost;
    for (const qn_trial_attribute *a = trial->attributes; a; a = a->next) {
        if (strcmp(a->name, "cost") != 0) continue;
        if (qn_parse_double(a->json, strlen(a->json), &cost) && cost >= 0) return cost;
    }
    return trial->ended_s > trial->begun_s ? trial->ended_s - trial->begun_s : 0;
}

/* Of those of the trials [begin, end) that have ended. */
static double sum(const qn_history *history, int64_t begin, int64_t end)
{
    double total = 0;
    for (int64_t i = begin; i < end; i++) {
        if (has_ended(history->trials[i])) total += qn_trial_cost(history->trials[i]);
    }
    return total;
}

double qn_study_cost(qn_study *study)
{
    const qn_history *history = qn_study_history(study);
    qn_study_lock(study);
    const double total = sum(history, 0, history->n_trials);
    qn_study_unlock(study);
    return total;
}

/* Adds up what has ended, as far as nothing before it has not, or the end of its batch. */
static void advance(qn_cost_limit *limit, const qn_history *history, int64_t batch_size)
{
    int64_t end = limit->first_open;
    while (end < history->n_trials && has_ended(history->trials[end])) {
        end++;
    }
    if (batch_size > 0) end -= end % batch_size;
    if (end <= limit->first_open) return;
    limit->before += sum(history, limit->first_open, end);
    limit->first_open = end;
}

bool qn_cost_limit_is_reached(qn_cost_limit *limit, qn_study *study, int64_t batch_size)
{
    const qn_history *history = qn_study_history(study);
    if (limit->max <= 0) return false;
    qn_study_lock(study);
    advance(limit, history, batch_size);
    const double open = batch_size > 0 ? 0 : sum(history, limit->first_open, history->n_trials);
    qn_study_unlock(study);
    return limit->before + open >= limit->max;
}
