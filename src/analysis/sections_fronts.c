/* SPDX-License-Identifier: Apache-2.0 */
/* Several objectives: the front of trials that none dominates, and the history of its hypervolume.
 */
#include "analysis/study_sections.h"

#include "base/alloc.h"
#include "report/html.h"
#include "search/study/pareto.h"

#include <math.h>
#include <string.h>

enum {
    FRONT_CHARTS_MAX = 6,
    MANY_TRIALS = 2000,
    N_CHECKPOINTS = 100,
    HYPERVOLUME_OBJECTIVES_MAX = 5 /* the work grows as points^(objectives - 1) */
};

static double value_of(const qn_study_view *view, const qn_trial_record *trial, int64_t objective)
{
    return qn_objective_value(&view->history->objectives->items[objective],
                              trial->losses[objective]);
}

static void add_trials(qn_study_view *view, const qn_chart *chart, int64_t across, int64_t up,
                       bool infeasible, const char *css_class, qn_str *out)
{
    const qn_history *history = view->history;
    double *x = qn_view_numbers(view, history->n_told, out);
    double *y = qn_view_numbers(view, history->n_told, out);
    int64_t n = 0;
    if (!x || !y) return;
    for (int64_t i = 0; i < history->n_told; i++) {
        if (history->told[i]->number < 0) continue; /* another study's */
        if ((history->told[i]->violation > 0) != infeasible) continue;
        x[n] = value_of(view, history->told[i], across);
        y[n++] = value_of(view, history->told[i], up);
    }
    qn_chart_dots(out, chart, css_class, x, y, n);
}

static void front_chart(qn_study_view *view, int64_t across, int64_t up, qn_str *out)
{
    double *x = qn_view_numbers(view, view->n_front, out);
    double *y = qn_view_numbers(view, view->n_front, out);
    if (!x || !y) return;
    qn_chart chart = {.title = "Pareto front",
                      .x = view->objectives[across].axis,
                      .y = view->objectives[up].axis};
    qn_figure_begin(out, "Pareto front (orange); grey trials break a limit");
    qn_chart_begin(out, &chart);
    const bool is_many = view->history->n_told > MANY_TRIALS;
    const char *css_class = is_many ? "dots soft-dots small" : "dots soft-dots";
    add_trials(view, &chart, across, up, true, is_many ? "dots pruned small" : "dots pruned", out);
    add_trials(view, &chart, across, up, false, css_class, out);
    for (int64_t i = 0; i < view->n_front; i++) {
        x[i] = value_of(view, view->front[i], across);
        y[i] = value_of(view, view->front[i], up);
    }
    qn_chart_dots(out, &chart, "dots best-dot", x, y, view->n_front);
    qn_chart_end(out);
    qn_figure_end(out);
}

/* Hypervolume, with each objective between its best (0) and its worst value (1). */
struct volumes {
    int64_t n_objectives;
    double *ideal, *nadir, *ones; /* [n_objectives], halved */
    const qn_trial_record **front;
    int64_t n_front;
    double *points; /* [most of the front at a time][n_objectives] */
    int64_t n_points_max;
};

static bool is_counted(const qn_trial_record *trial, int64_t n_objectives)
{
    bool counted = trial->state == QN_TRIAL_COMPLETE && !(trial->violation > 0);
    for (int64_t m = 0; counted && m < n_objectives; m++) {
        counted = isfinite(trial->losses[m]);
    }
    return counted;
}

static void find_box(const qn_history *history, struct volumes *v)
{
    for (int64_t m = 0; m < v->n_objectives; m++) {
        v->ideal[m] = QN_INF;
        v->nadir[m] = -QN_INF;
        v->ones[m] = 1;
    }
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (!is_counted(trial, v->n_objectives)) continue;
        for (int64_t m = 0; m < v->n_objectives; m++) {
            v->ideal[m] = fmin(v->ideal[m], 0.5 * trial->losses[m]);
            v->nadir[m] = fmax(v->nadir[m], 0.5 * trial->losses[m]);
        }
    }
}

/* Of the front so far; a longer one than is affordable is thinned evenly. */
static bool measure(const struct volumes *v, double *volume)
{
    const int64_t n = v->n_front < v->n_points_max ? v->n_front : v->n_points_max;
    for (int64_t i = 0; i < n; i++) {
        const double *losses = v->front[i * v->n_front / n]->losses;
        for (int64_t m = 0; m < v->n_objectives; m++) {
            const double extent = v->nadir[m] - v->ideal[m];
            v->points[i * v->n_objectives + m] =
                extent > 0 ? (0.5 * losses[m] - v->ideal[m]) / extent : 0;
        }
    }
    return qn_hypervolume(v->points, n, v->n_objectives, v->ones, volume, NULL) == QN_OK;
}

static int64_t points_max(int64_t n_objectives, int64_t n)
{
    const int64_t most = n_objectives == 2   ? n
                         : n_objectives == 3 ? 1000
                         : n_objectives == 4 ? 150
                                             : 40;
    return n < most ? n : most;
}

/* The hypervolume after each checkpoint's trials; how many there are. */
static int64_t find_volumes(const qn_history *history, struct volumes *v, double *x, double *y,
                            qn_str *out)
{
    int64_t n = 0;
    for (int64_t i = 0; i < history->n_trials; i++) {
        const int64_t of = history->n_trials;
        if (is_counted(history->trials[i], v->n_objectives)) {
            qn_pareto_insert(v->front, &v->n_front, history->trials[i], v->n_objectives);
        }
        if (of > N_CHECKPOINTS && i * N_CHECKPOINTS / of == (i + 1) * N_CHECKPOINTS / of) continue;
        if (v->n_front == 0) continue;
        x[n] = (double)i;
        if (!measure(v, &y[n++])) out->failed = true;
    }
    return n;
}

static void hypervolume_chart(qn_study_view *view, qn_str *out)
{
    const int64_t m = view->n_objectives, n_trials = view->history->n_trials;
    struct volumes v = {.n_objectives = m,
                        .ideal = qn_view_numbers(view, m, out),
                        .nadir = qn_view_numbers(view, m, out),
                        .ones = qn_view_numbers(view, m, out),
                        .n_points_max = points_max(m, n_trials)};
    double *x = qn_view_numbers(view, N_CHECKPOINTS + 1, out);
    double *y = qn_view_numbers(view, N_CHECKPOINTS + 1, out);
    v.points = qn_view_numbers(view, v.n_points_max * m, out);
    v.front = qn_arena_array(&view->arena, n_trials + 1, sizeof *v.front);
    if (!v.front) out->failed = true;
    if (out->failed) return;
    find_box(view->history, &v);
    qn_chart chart = {.title = "Hypervolume history",
                      .x = {.label = "trial", .high = (double)n_trials - 1, .margin = 0.02},
                      .y = {.label = "hypervolume", .high = 1}};
    const int64_t n = find_volumes(view->history, &v, x, y, out);
    qn_figure_begin(out, "Hypervolume: the share that the front dominates of the box between the "
                         "best and the worst values");
    qn_chart_begin(out, &chart);
    qn_chart_steps(out, &chart, "line best-line", x, y, n);
    qn_chart_end(out);
    qn_figure_end(out);
}

void qn_study_fronts(qn_study_view *view, qn_str *out)
{
    int64_t n_charts = 0;
    if (view->n_objectives < 2 || view->n_front == 0) return;
    qn_str_addf(out,
                "<section><h2>Pareto front</h2><p>%lld %s none better in one objective without "
                "being worse in another.</p><div class=\"figures\">",
                (long long)view->n_front, view->n_front == 1 ? "trial has" : "trials have");
    for (int64_t i = 0; i < view->n_objectives; i++) {
        for (int64_t j = i + 1; j < view->n_objectives && n_charts < FRONT_CHARTS_MAX; j++) {
            front_chart(view, i, j, out);
            n_charts++;
        }
    }
    if (view->n_objectives <= HYPERVOLUME_OBJECTIVES_MAX) hypervolume_chart(view, out);
    qn_str_add(out, "</div></section>");
}
