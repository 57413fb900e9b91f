/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/parameter_importance.h"

#include "base/alloc.h"
#include "base/sort.h"
#include "search/study/study.h"

#include <math.h>
#include <string.h>

const qn_importance_method *const qn_importance_methods[] = {&qn_importance_fanova,
                                                             &qn_importance_ped_anova, NULL};

const qn_importance_method *qn_importance_find(const char *name)
{
    for (int i = 0; qn_importance_methods[i]; i++) {
        if (strcmp(qn_importance_methods[i]->name, name) == 0) return qn_importance_methods[i];
    }
    return NULL;
}

qn_status qn_analysed_init(const qn_history *history, int64_t objective, qn_analysed *out,
                           qn_error *err)
{
    *out = (qn_analysed){.history = history, .objective = objective};
    out->trials = qn_alloc_array(history->n_told, sizeof *out->trials);
    out->losses = qn_alloc_array(history->n_told, sizeof *out->losses);
    if (!out->trials || !out->losses) {
        qn_analysed_release(out);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to look at %" PRId64 " trials",
                       history->n_told);
    }
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (trial->state != QN_TRIAL_COMPLETE || !isfinite(trial->losses[objective])) continue;
        out->trials[out->n] = trial;
        out->losses[out->n++] = trial->losses[objective];
    }
    return QN_OK;
}

void qn_analysed_release(qn_analysed *analysed)
{
    qn_free(analysed->trials);
    qn_free(analysed->losses);
    *analysed = (qn_analysed){0};
}

qn_status qn_importance_evaluate(const qn_importance_method *method, const qn_analysed *analysed,
                                 double *importances, qn_error *err)
{
    const int64_t n = analysed->history->space->n;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        importances[i] = 0;
    }
    QN_TRY(method->evaluate(analysed, importances, err));
    for (int64_t i = 0; i < n; i++) {
        sum += importances[i];
    }
    for (int64_t i = 0; i < n && sum > 0; i++) {
        importances[i] /= sum;
    }
    return QN_OK;
}

/* The public face. */

static qn_status find_method(const char *name, const qn_importance_method **out, qn_error *err)
{
    *out = name ? qn_importance_find(name) : qn_importance_methods[0];
    if (*out) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "there is no measure of importance '%s'; there are %s and %s",
                   name, qn_importance_methods[0]->name, qn_importance_methods[1]->name);
}

static qn_status find_objective(const qn_objectives *objectives, const char *name, int64_t *out,
                                qn_error *err)
{
    for (*out = 0; name && *out < objectives->n; ++*out) {
        if (strcmp(objectives->items[*out].name, name) == 0) return QN_OK;
    }
    if (!name) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "the study has no objective '%s'; its first is '%s'", name,
                   objectives->items[0].name);
}

/* From the most important; equal ones in the order of the space. */
static qn_status list_importances(const qn_space *space, const double *importances,
                                  qn_parameter_importance **out, int64_t *n, qn_error *err)
{
    qn_parameter_importance *list = qn_alloc_array(space->n, sizeof *list);
    double *keys = qn_alloc_array(space->n, sizeof *keys);
    int32_t *order = qn_alloc_array(space->n, sizeof *order);
    bool complete = list && keys && order;
    for (int64_t i = 0; complete && i < space->n; i++) {
        keys[i] = -importances[i];
    }
    complete = complete && qn_sort_order(keys, space->n, order);
    for (int64_t i = 0; complete && i < space->n; i++) {
        list[i] =
            (qn_parameter_importance){space->parameters[order[i]].name, importances[order[i]]};
    }
    qn_free(keys);
    qn_free(order);
    if (!complete) {
        qn_free(list);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the importances");
    }
    *out = list;
    *n = space->n;
    return QN_OK;
}

static qn_status find_importances(const qn_history *history, const qn_importance_method *method,
                                  int64_t objective, qn_parameter_importance **out, int64_t *n,
                                  qn_error *err)
{
    qn_analysed analysed;
    QN_TRY(qn_analysed_init(history, objective, &analysed, err));
    double *importances = qn_alloc_array(history->space->n, sizeof *importances);
    qn_status status = importances ? qn_importance_evaluate(method, &analysed, importances, err)
                                   : qn_fail(err, QN_ERR_NOMEM, "no memory for the importances");
    if (status == QN_OK) status = list_importances(history->space, importances, out, n, err);
    qn_free(importances);
    qn_analysed_release(&analysed);
    return status;
}

qn_status qn_study_importances(qn_study *study, const char *method_name, const char *objective_name,
                               qn_parameter_importance **out, int64_t *n, qn_error *err)
{
    const qn_importance_method *method;
    int64_t objective;
    *out = NULL;
    *n = 0;
    QN_TRY(find_method(method_name, &method, err));
    QN_TRY(find_objective(qn_study_objectives(study), objective_name, &objective, err));
    qn_study_lock(study);
    const qn_status status =
        find_importances(qn_study_history(study), method, objective, out, n, err);
    qn_study_unlock(study);
    return status;
}

void qn_importances_free(qn_parameter_importance *importances)
{
    qn_free(importances);
}
