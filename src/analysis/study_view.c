/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/study_view.h"

#include "base/sort.h"
#include "search/study/pareto.h"

#include <math.h>
#include <string.h>

static const double spread_width = 0.6; /* of a category */

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the report of the study");
}

double *qn_view_numbers(qn_study_view *view, int64_t n, qn_str *out)
{
    double *numbers = qn_arena_array(&view->arena, n + 1, sizeof *numbers);
    if (!numbers) out->failed = true;
    return numbers;
}

/* Axes. */

qn_axis qn_view_parameter_axis(qn_study_view *view, int64_t parameter, qn_str *out)
{
    static const char *const truths[] = {"false", "true"};
    const qn_parameter *p = &view->history->space->parameters[parameter];
    qn_axis axis = {
        .label = p->name, .low = p->low, .high = p->high, .log = p->log, .margin = 0.03};
    if (p->kind == QN_PARAMETER_BOOL) {
        axis.categories = truths;
        axis.n_categories = 2;
    } else if (p->n_choices > 0) {
        const char **names = qn_arena_array(&view->arena, p->n_choices, sizeof *names);
        if (!names) {
            out->failed = true;
            return axis;
        }
        for (int32_t i = 0; i < p->n_choices; i++) {
            names[i] = p->choices[i].text;
        }
        axis.categories = names;
        axis.n_categories = p->n_choices;
    }
    return axis;
}

double qn_view_spread(const qn_parameter *p, double value, int64_t trial)
{
    const double golden = 0.6180339887498949 * (double)trial;
    const bool is_choice = p->n_choices > 0 || p->kind == QN_PARAMETER_BOOL;
    return is_choice ? value + spread_width * (golden - floor(golden) - 0.5) : value;
}

bool qn_view_axis_of(double *values, int64_t n, bool maximise, qn_axis *axis)
{
    axis->margin = 0.03;
    if (n == 0) {
        axis->high = 1;
        return true;
    }
    if (!qn_sort_doubles(values, n)) return false;
    axis->low = values[0];
    axis->high = values[n - 1];
    axis->log = axis->low > 0 && axis->high / axis->low > 1000;
    if (axis->log) return true;
    const int64_t tenth = (n - 1) / 10;
    if (maximise) {
        const double most = axis->high, usual = values[tenth];
        if (usual < most) axis->low = fmax(axis->low, most - 4 * (most - usual));
    } else {
        const double least = axis->low, usual = values[n - 1 - tenth];
        if (usual > least) axis->high = fmin(axis->high, least + 4 * (usual - least));
    }
    return true;
}

static double height_of(const qn_objective_view *o, double value)
{
    const qn_axis *axis = &o->axis;
    const double low = axis->log ? log(axis->low) : axis->low;
    const double high = axis->log ? log(axis->high) : axis->high;
    const double at = axis->log ? log(value) : value;
    const double share = high > low ? (0.5 * at - 0.5 * low) / (0.5 * high - 0.5 * low) : 0;
    return fmin(fmax(o->maximise ? 1 - share : share, 0), 1);
}

/* One objective. */

/* The best third of what is drawn, and every so many-th of the others. */
static void choose_drawn(qn_objective_view *o)
{
    const int64_t n = o->analysed.n, n_best = QN_DRAWN_MAX / 3, n_others = QN_DRAWN_MAX - n_best;
    o->n_drawn = 0;
    for (int64_t i = n - 1; i >= 0; i--) {
        const int64_t at = i - n_best, n_rest = n - n_best;
        const bool is_chosen =
            n <= QN_DRAWN_MAX || at < 0 || at * n_others / n_rest != (at + 1) * n_others / n_rest;
        if (is_chosen) o->drawn[o->n_drawn++] = o->ranked[i];
    }
}

static bool rank_trials(qn_objective_view *o, double *scratch)
{
    const int64_t n = o->analysed.n;
    for (int64_t i = 0; i < n; i++) {
        o->values[i] = o->maximise ? -o->analysed.losses[i] : o->analysed.losses[i];
    }
    memcpy(scratch, o->values, (size_t)n * sizeof *scratch);
    if (!qn_view_axis_of(scratch, n, o->maximise, &o->axis)) return false;
    if (!qn_sort_order(o->analysed.losses, n, o->ranked)) return false;
    for (int64_t i = 0; i < n; i++) {
        o->ranks[o->ranked[i]] = (int32_t)i;
        o->heights[i] = height_of(o, o->values[i]);
        o->n_beyond += o->values[i] < o->axis.low || o->values[i] > o->axis.high;
    }
    choose_drawn(o);
    return true;
}

static qn_status weigh_parameters(qn_objective_view *o, const qn_space *space, double *keys,
                                  qn_error *err)
{
    int64_t kept = 0;
    for (int m = 0; m < QN_VIEW_METHODS; m++) {
        QN_TRY(
            qn_importance_evaluate(qn_importance_methods[m], &o->analysed, o->importances[m], err));
    }
    for (int64_t i = 0; i < space->n; i++) {
        keys[i] = -o->importances[0][i];
    }
    if (!qn_sort_order(keys, space->n, o->parameters)) return no_memory(err);
    for (int64_t i = 0; i < space->n; i++) {
        if (!qn_parameter_varies(&space->parameters[o->parameters[i]])) continue;
        o->parameters[kept++] = o->parameters[i];
    }
    o->n_parameters = kept;
    return QN_OK;
}

static qn_status look_at(qn_study_view *view, int64_t objective, qn_error *err)
{
    const qn_space *space = view->history->space;
    qn_objective_view *o = &view->objectives[objective];
    o->name = view->history->objectives->items[objective].name;
    o->maximise = view->history->objectives->items[objective].maximise;
    QN_TRY(qn_analysed_init(view->history, objective, &o->analysed, err));
    const int64_t n = o->analysed.n, most = n > space->n ? n : space->n;
    double *scratch = qn_arena_array(&view->arena, most + 1, sizeof *scratch);
    o->values = qn_arena_array(&view->arena, n + 1, sizeof *o->values);
    o->heights = qn_arena_array(&view->arena, n + 1, sizeof *o->heights);
    o->ranked = qn_arena_array(&view->arena, n + 1, sizeof *o->ranked);
    o->ranks = qn_arena_array(&view->arena, n + 1, sizeof *o->ranks);
    o->drawn = qn_arena_array(&view->arena, n + 1, sizeof *o->drawn);
    o->parameters = qn_arena_array(&view->arena, space->n + 1, sizeof *o->parameters);
    bool complete =
        scratch && o->values && o->heights && o->ranked && o->ranks && o->drawn && o->parameters;
    for (int m = 0; m < QN_VIEW_METHODS; m++) {
        o->importances[m] = qn_arena_array(&view->arena, space->n + 1, sizeof **o->importances);
        complete = complete && o->importances[m];
    }
    o->axis.label = o->name;
    if (!complete || !rank_trials(o, scratch)) return no_memory(err);
    return weigh_parameters(o, space, scratch, err);
}

/* The study. */

static void find_front(qn_study_view *view)
{
    const qn_history *history = view->history;
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (trial->state != QN_TRIAL_COMPLETE || trial->violation > 0) continue;
        qn_pareto_insert(view->front, &view->n_front, trial, view->n_objectives);
    }
}

static qn_status look(qn_study_view *view, qn_error *err)
{
    const qn_history *history = view->history;
    for (int64_t i = 0; i < history->n_trials; i++) {
        view->counts[history->trials[i]->state]++;
    }
    view->n_objectives = history->objectives->n;
    view->objectives = qn_arena_array(&view->arena, view->n_objectives, sizeof *view->objectives);
    view->front = qn_arena_array(&view->arena, history->n_trials + 1, sizeof *view->front);
    if (!view->objectives || !view->front) return no_memory(err);
    for (int64_t i = 0; i < view->n_objectives; i++) {
        QN_TRY(look_at(view, i, err));
    }
    if (view->n_objectives > 1) find_front(view);
    return QN_OK;
}

qn_status qn_study_view_init(qn_study *study, const char *title, qn_study_view *out, qn_error *err)
{
    *out = (qn_study_view){.study = study, .history = qn_study_history(study), .title = title};
    const qn_status status = look(out, err);
    if (status != QN_OK) qn_study_view_release(out);
    return status;
}

void qn_study_view_release(qn_study_view *view)
{
    for (int64_t i = 0; view->objectives && i < view->n_objectives; i++) {
        qn_analysed_release(&view->objectives[i].analysed);
    }
    qn_arena_release(&view->arena);
    *view = (qn_study_view){0};
}
