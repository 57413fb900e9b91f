/* SPDX-License-Identifier: Apache-2.0 */
/* How the search went: history, distribution, timeline, intermediate values. */
#include "analysis/study_sections.h"

#include "report/html.h"

#include <math.h>

enum { CURVES_MAX = 150, MANY_TRIALS = 2000 };

void qn_figure_begin(qn_str *out, const char *caption)
{
    qn_str_add(out, "<figure><figcaption>");
    qn_html_text(out, caption);
    qn_str_add(out, "</figcaption>");
}

void qn_figure_end(qn_str *out)
{
    qn_str_add(out, "</figure>");
}

/* Optimisation history. */

/* Trials of an objective that break a limit, or that do not. */
static void add_trials(qn_study_view *view, const qn_objective_view *o, const qn_chart *chart,
                       bool infeasible, const char *css_class, qn_str *out)
{
    double *x = qn_view_numbers(view, o->analysed.n, out);
    double *y = qn_view_numbers(view, o->analysed.n, out);
    int64_t n = 0;
    if (!x || !y) return;
    for (int64_t i = 0; i < o->analysed.n; i++) {
        if ((o->analysed.trials[i]->violation > 0) != infeasible) continue;
        x[n] = (double)o->analysed.trials[i]->number;
        y[n++] = o->values[i];
    }
    qn_chart_dots(out, chart, css_class, x, y, n);
}

/* Those that the axis reaches: where a trial was stopped early says little. */
static void add_pruned(qn_study_view *view, const qn_objective_view *o, const qn_chart *chart,
                       qn_str *out)
{
    const qn_history *history = view->history;
    double *x = qn_view_numbers(view, history->n_told, out);
    double *y = qn_view_numbers(view, history->n_told, out);
    int64_t n = 0;
    if (!x || !y) return;
    for (int64_t i = 0; i < history->n_told; i++) {
        if (history->told[i]->state != QN_TRIAL_PRUNED || history->told[i]->number < 0) continue;
        const double loss = history->told[i]->losses[0], value = o->maximise ? -loss : loss;
        if (!(value >= o->axis.low && value <= o->axis.high)) continue;
        x[n] = (double)history->told[i]->number;
        y[n++] = value;
    }
    qn_chart_dots(out, chart, "dots pruned", x, y, n);
}

static void add_best_so_far(qn_study_view *view, const qn_objective_view *o, const qn_chart *chart,
                            qn_str *out)
{
    const int64_t room = o->analysed.n + 1;
    double *x = qn_view_numbers(view, room, out), *y = qn_view_numbers(view, room, out);
    double best = QN_INF;
    int64_t n = 0;
    if (!x || !y) return;
    for (int64_t i = 0; i < o->analysed.n; i++) {
        const double loss = o->analysed.losses[i];
        if (o->analysed.trials[i]->violation > 0 || !(loss < best)) continue;
        best = loss;
        x[n] = (double)o->analysed.trials[i]->number;
        y[n++] = o->values[i];
    }
    if (n == 0) return;
    x[n] = chart->x.high;
    y[n] = y[n - 1];
    qn_chart_steps(out, chart, "line best-line", x, y, n + 1);
}

static void history_chart(qn_study_view *view, const qn_objective_view *o, qn_str *out)
{
    qn_chart chart = {.title = "Optimisation history",
                      .x = {.label = "trial",
                            .high = fmax(1, (double)view->history->n_trials - 1),
                            .margin = 0.02},
                      .y = o->axis};
    qn_figure_begin(out, "Optimisation history, best so far");
    qn_chart_begin(out, &chart);
    const bool is_many = o->analysed.n > MANY_TRIALS;
    if (view->n_objectives == 1) add_pruned(view, o, &chart, out);
    add_trials(view, o, &chart, false, is_many ? "dots soft-dots small" : "dots soft-dots", out);
    add_trials(view, o, &chart, true, is_many ? "dots alert-dots small" : "dots alert-dots", out);
    add_best_so_far(view, o, &chart, out);
    qn_chart_end(out);
    qn_figure_end(out);
}

/* Empirical distribution function of the values. */
static void distribution_chart(qn_study_view *view, const qn_objective_view *o, qn_str *out)
{
    const int64_t n = o->analysed.n;
    double *x = qn_view_numbers(view, n, out), *y = qn_view_numbers(view, n, out);
    if (!x || !y) return;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = o->maximise ? n - 1 - i : i; /* values ascend */
        x[i] = o->values[o->ranked[at]];
        y[i] = (double)(i + 1) / (double)n;
    }
    qn_chart chart = {.title = "Distribution of the values",
                      .x = o->axis,
                      .y = {.label = "share of trials", .high = 1}};
    qn_figure_begin(out, "Distribution of the values (EDF)");
    qn_chart_begin(out, &chart);
    qn_chart_steps(out, &chart, "line", x, y, n);
    qn_chart_end(out);
    qn_figure_end(out);
}

/* Timeline. */

struct clock {
    double from, to; /* seconds since 1970 */
    double unit_s;
    const char *unit;
};

static struct clock clock_of(const qn_history *history)
{
    struct clock clock = {.from = QN_INF, .to = -QN_INF};
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (!(trial->begun_s > 0)) continue;
        clock.from = fmin(clock.from, trial->begun_s);
        clock.to = fmax(clock.to, fmax(trial->begun_s, trial->ended_s));
    }
    const double all = clock.to - clock.from;
    clock.unit_s = all > 72000 ? 3600 : all > 600 ? 60 : all > 2 ? 1 : 1e-3;
    clock.unit = all > 72000 ? "hours" : all > 600 ? "minutes" : all > 2 ? "seconds" : "ms";
    return clock;
}

static void add_spans(qn_study_view *view, const qn_chart *chart, const struct clock *clock,
                      qn_trial_state state, const char *css_class, qn_str *out)
{
    const qn_history *history = view->history;
    const int64_t room = view->counts[state];
    double *begin = qn_view_numbers(view, room, out), *end = qn_view_numbers(view, room, out);
    double *y = qn_view_numbers(view, room, out);
    int64_t n = 0;
    if (!begin || !end || !y) return;
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (trial->state != state || !(trial->begun_s > 0)) continue;
        const double ended_s = trial->ended_s > 0 ? trial->ended_s : clock->to;
        begin[n] = (trial->begun_s - clock->from) / clock->unit_s;
        end[n] = (ended_s - clock->from) / clock->unit_s;
        y[n++] = (double)trial->number;
    }
    qn_chart_spans(out, chart, css_class, begin, end, y, n);
}

static void timeline_chart(qn_study_view *view, qn_str *out)
{
    const struct clock clock = clock_of(view->history);
    if (!(clock.from <= clock.to)) return;
    qn_chart chart = {.title = "Timeline",
                      .x = {.label = clock.unit, .high = (clock.to - clock.from) / clock.unit_s},
                      .y = {.label = "trial",
                            .high = fmax(1, (double)view->history->n_trials - 1),
                            .margin = 0.02}};
    qn_figure_begin(out, "Timeline: when each trial ran");
    qn_chart_begin(out, &chart);
    const char *size = view->history->n_trials > 80 ? "span thin" : "span";
    static const struct {
        qn_trial_state state;
        const char *css_class;
    } layers[] = {{QN_TRIAL_COMPLETE, ""},
                  {QN_TRIAL_PRUNED, " pruned"},
                  {QN_TRIAL_FAILED, " alert-dots"},
                  {QN_TRIAL_RUNNING, " running"}};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        qn_str css_class = {0};
        qn_str_addf(&css_class, "%s%s", size, layers[i].css_class);
        if (css_class.failed) out->failed = true;
        if (!css_class.failed) {
            add_spans(view, &chart, &clock, layers[i].state, css_class.text, out);
        }
        qn_str_release(&css_class);
    }
    qn_chart_end(out);
    qn_figure_end(out);
}

static void legend(const qn_study_view *view, qn_str *out)
{
    bool has_infeasible = false;
    for (int64_t i = 0; i < view->history->n_told; i++) {
        const qn_trial_record *trial = view->history->told[i];
        has_infeasible |= trial->violation > 0 && trial->number >= 0;
    }
    qn_str_add(out, "<p class=\"legend\"><i class=\"key\"></i>complete");
    if (view->counts[QN_TRIAL_PRUNED] > 0)
        qn_str_add(out, "<i class=\"key key-pruned\"></i>pruned");
    const bool has_failed = view->counts[QN_TRIAL_FAILED] > 0;
    if (has_failed || has_infeasible) {
        qn_str_addf(out, "<i class=\"key key-alert\"></i>%s%s%s", has_failed ? "failed" : "",
                    has_failed && has_infeasible ? ", or " : "",
                    has_infeasible ? "breaks a limit" : "");
    }
    if (view->counts[QN_TRIAL_RUNNING] > 0) {
        qn_str_add(out, "<i class=\"key key-running\"></i>running");
    }
    qn_str_add(out, "</p>");
    for (int64_t i = 0; i < view->n_objectives; i++) {
        const qn_objective_view *o = &view->objectives[i];
        if (o->n_beyond == 0) continue;
        qn_str_addf(out,
                    "<p class=\"soft\">%lld %s far worse than the rest; charts show %s at the "
                    "edge of the axis of ",
                    (long long)o->n_beyond, o->n_beyond == 1 ? "trial is" : "trials are",
                    o->n_beyond == 1 ? "it" : "them");
        qn_html_text(out, o->name);
        qn_str_add(out, ".</p>");
    }
}

void qn_study_progress(qn_study_view *view, qn_str *out)
{
    if (view->history->n_trials == 0) return;
    qn_str_add(out, "<section><h2>How the search went</h2>");
    legend(view, out);
    qn_str_add(out, "<div class=\"figures\">");
    for (int64_t i = 0; i < view->n_objectives; i++) {
        if (view->objectives[i].analysed.n > 0) history_chart(view, &view->objectives[i], out);
    }
    for (int64_t i = 0; i < view->n_objectives; i++) {
        if (view->objectives[i].analysed.n > 0) distribution_chart(view, &view->objectives[i], out);
    }
    timeline_chart(view, out);
    qn_str_add(out, "</div></section>");
}

/* Intermediate values. */

struct curves {
    const qn_objective_view *objective;
    qn_axis x, y;
    double *steps, *values; /* [the most reports of a trial] */
};

static bool find_curve_axes(qn_study_view *view, struct curves *curves, int64_t n_reports,
                            qn_str *out)
{
    const qn_history *history = view->history;
    double *all = qn_view_numbers(view, n_reports, out);
    int64_t n = 0, most = 0;
    curves->x = (qn_axis){.label = "step", .low = QN_INF, .high = -QN_INF, .margin = 0.02};
    if (!all) return false;
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (trial->n_reports > most) most = trial->n_reports;
        for (int64_t k = 0; k < trial->n_reports; k++) {
            curves->x.low = fmin(curves->x.low, (double)trial->reports[k].step);
            curves->x.high = fmax(curves->x.high, (double)trial->reports[k].step);
            const double loss = trial->reports[k].loss;
            if (isfinite(loss)) all[n++] = curves->objective->maximise ? -loss : loss;
        }
    }
    curves->y.label = curves->objective->name;
    curves->steps = qn_view_numbers(view, most, out);
    curves->values = qn_view_numbers(view, most, out);
    if (!qn_view_axis_of(all, n, curves->objective->maximise, &curves->y)) out->failed = true;
    return !out->failed;
}

static void add_curve(const struct curves *curves, const qn_chart *chart,
                      const qn_trial_record *trial, const char *css_class, qn_str *out)
{
    for (int64_t k = 0; k < trial->n_reports; k++) {
        const double loss = trial->reports[k].loss;
        curves->steps[k] = (double)trial->reports[k].step;
        curves->values[k] = curves->objective->maximise ? -loss : loss;
    }
    qn_chart_line(out, chart, css_class, curves->steps, curves->values, trial->n_reports);
}

/* Curves of one point, which have no line: many trials are stopped at their first. */
static void add_single_reports(qn_study_view *view, const struct curves *curves,
                               const qn_chart *chart, int64_t n_trials, qn_str *out)
{
    const qn_history *history = view->history;
    double *steps = qn_view_numbers(view, n_trials, out);
    double *values = qn_view_numbers(view, n_trials, out);
    int64_t n = 0;
    if (!steps || !values) return;
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (trial->n_reports != 1) continue;
        const double loss = trial->reports[0].loss;
        steps[n] = (double)trial->reports[0].step;
        values[n++] = curves->objective->maximise ? -loss : loss;
    }
    qn_chart_dots(out, chart, "dots pruned", steps, values, n);
}

void qn_study_curves(qn_study_view *view, qn_str *out)
{
    const qn_history *history = view->history;
    struct curves curves = {.objective = &view->objectives[0]};
    int64_t n_reports = 0, n_trials = 0, at = 0;
    for (int64_t i = 0; i < history->n_trials; i++) {
        n_reports += history->trials[i]->n_reports;
        n_trials += history->trials[i]->n_reports > 0;
    }
    if (n_reports == 0 || !find_curve_axes(view, &curves, n_reports, out)) return;
    qn_chart chart = {
        .title = "Intermediate values", .width = 720, .height = 300, .x = curves.x, .y = curves.y};
    qn_str_add(out, "<section><h2>Intermediate values</h2><p>");
    if (n_trials > CURVES_MAX) {
        qn_str_addf(out, "An even choice of %d of %lld trials. ", CURVES_MAX, (long long)n_trials);
    }
    qn_str_add(out, "Pruned trials end early; the best trial is the thick line.</p>"
                    "<div class=\"scroll wide-chart\">");
    qn_chart_begin(out, &chart);
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (trial->n_reports == 0) continue;
        const bool is_drawn = n_trials <= CURVES_MAX ||
                              at * CURVES_MAX / n_trials != (at + 1) * CURVES_MAX / n_trials;
        at++;
        if (!is_drawn) continue;
        const char *css_class = trial->state == QN_TRIAL_PRUNED ? "curve pruned" : "curve";
        if (trial->n_reports > 1) add_curve(&curves, &chart, trial, css_class, out);
    }
    add_single_reports(view, &curves, &chart, n_trials, out);
    const qn_trial_record *best = qn_history_best(history);
    if (best) add_curve(&curves, &chart, best, "line best-line", out);
    qn_chart_end(out);
    qn_str_add(out, "</div></section>");
}
