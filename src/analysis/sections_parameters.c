/* SPDX-License-Identifier: Apache-2.0 */
/* What parameters do to the objectives: importances, slices, pairs (contour and rank). */
#include "analysis/study_sections.h"

#include "base/sort.h"
#include "report/html.h"

#include <math.h>
#include <stdio.h>

enum {
    BARS_MAX = 20,
    SLICES_MAX = 24,
    PAIRED_MAX = 4, /* parameters of which every two are shown */
    GRID = 24,      /* cells of a contour, along a parameter that is not of few choices */
    N_LEVELS = 8,   /* of a contour */
    OBJECTIVES_PAIRED = 2,
    CONTOUR_DOTS_MAX = 300
};

static const char *const dots_classes[QN_VIEW_CLASSES] = {"dots q0", "dots q1", "dots q2",
                                                          "dots q3", "dots q4"};

/* Importances. */

static void bars(const qn_study_view *view, const qn_objective_view *o, int method, qn_str *out)
{
    const double *importances = o->importances[method];
    double most = 1e-300;
    for (int64_t i = 0; i < o->n_parameters; i++) {
        most = fmax(most, importances[o->parameters[i]]);
    }
    qn_figure_begin(out, method == 0
                             ? "fANOVA: share of the variance over the whole space"
                             : "PED-ANOVA: what tells the best tenth of the trials from all");
    qn_str_add(out, "<table class=\"bars\">");
    for (int64_t i = 0; i < o->n_parameters && i < BARS_MAX; i++) {
        const double importance = importances[o->parameters[i]];
        qn_str_add(out, "<tr><th scope=\"row\">");
        qn_html_text(out, view->history->space->parameters[o->parameters[i]].name);
        qn_str_addf(out,
                    "</th><td class=\"bar\"><i style=\"width:%.1f%%\"></i></td><td>%.3f</td></tr>",
                    100 * importance / most, importance);
    }
    qn_str_add(out, "</table></figure>");
}

void qn_study_importance_bars(qn_study_view *view, qn_str *out)
{
    bool begun = false;
    for (int64_t i = 0; i < view->n_objectives; i++) {
        const qn_objective_view *o = &view->objectives[i];
        double sum = 0;
        for (int64_t k = 0; k < o->n_parameters; k++) {
            sum += o->importances[0][o->parameters[k]];
        }
        if (!(sum > 0)) continue;
        if (!begun) qn_str_add(out, "<section><h2>Importance of the parameters</h2>");
        begun = true;
        if (view->n_objectives > 1) qn_html_element(out, "h3", o->name);
        qn_str_add(out, "<div class=\"figures\">");
        for (int m = 0; m < QN_VIEW_METHODS; m++) {
            bars(view, o, m, out);
        }
        qn_str_add(out, "</div>");
        if (o->n_parameters > BARS_MAX) {
            qn_str_addf(out, "<p class=\"soft\">%lld more account for less.</p>",
                        (long long)o->n_parameters - BARS_MAX);
        }
    }
    if (begun) qn_str_add(out, "</section>");
}

static void note_choice(const qn_objective_view *o, qn_str *out)
{
    if (o->n_drawn == o->analysed.n) return;
    qn_str_addf(out, " %lld of %lld trials are drawn: the best, and an even choice of the others.",
                (long long)o->n_drawn, (long long)o->analysed.n);
}

/* Slices. */

/* The colour of a trial in slices: the later the darker. */
static int32_t class_by_age(const qn_study_view *view, const qn_trial_record *trial)
{
    return QN_VIEW_CLASSES - 1 - qn_view_class(trial->number, view->history->n_trials);
}

static void slice_chart(qn_study_view *view, const qn_objective_view *o, int64_t parameter,
                        double *x, double *y, qn_str *out)
{
    const qn_parameter *p = &view->history->space->parameters[parameter];
    qn_chart chart = {
        .title = p->name, .x = qn_view_parameter_axis(view, parameter, out), .y = o->axis};
    qn_str_add(out, "<figure>");
    qn_chart_begin(out, &chart);
    for (int32_t k = QN_VIEW_CLASSES - 1; k >= 0; k--) {
        int64_t n = 0;
        for (int64_t i = 0; i < o->n_drawn; i++) {
            const qn_trial_record *trial = o->analysed.trials[o->drawn[i]];
            if (class_by_age(view, trial) != k) continue;
            x[n] = qn_view_spread(p, qn_trial_value(trial, parameter), trial->number);
            y[n++] = o->values[o->drawn[i]];
        }
        qn_chart_dots(out, &chart, dots_classes[k], x, y, n);
    }
    const qn_trial_record *best = o->analysed.trials[o->ranked[0]];
    x[0] = qn_view_spread(p, qn_trial_value(best, parameter), best->number);
    y[0] = o->values[o->ranked[0]];
    qn_chart_dots(out, &chart, "dots best-dot", x, y, 1);
    qn_chart_end(out);
    qn_figure_end(out);
}

void qn_study_slices(qn_study_view *view, qn_str *out)
{
    const int64_t shown = SLICES_MAX / (view->n_objectives < 3 ? view->n_objectives : 3);
    for (int64_t i = 0; i < view->n_objectives; i++) {
        const qn_objective_view *o = &view->objectives[i];
        double *x = qn_view_numbers(view, o->n_drawn + 1, out);
        double *y = qn_view_numbers(view, o->n_drawn + 1, out);
        if (o->analysed.n == 0 || o->n_parameters == 0 || !x || !y) continue;
        qn_str_add(out, "<section><h2>Slices: ");
        qn_html_text(out, o->name);
        qn_str_add(out, " by each parameter</h2><p>The stronger the colour, the later the trial; "
                        "the best one is orange.");
        note_choice(o, out);
        if (o->n_parameters > shown) {
            qn_str_addf(out, " The %lld most important of %lld parameters.", (long long)shown,
                        (long long)o->n_parameters);
        }
        qn_str_add(out, "</p><div class=\"figures\">");
        for (int64_t k = 0; k < o->n_parameters && k < shown; k++) {
            slice_chart(view, o, o->parameters[k], x, y, out);
        }
        qn_str_add(out, "</div></section>");
    }
}

/* Pairs of parameters. */

/* A parameter as the cells of a contour see it: choices apart, anything else on the axis. */
struct grid_side {
    int64_t parameter;
    const qn_parameter *p;
    qn_axis axis;
    bool is_of_choices;
    int64_t n_cells;
};

struct pair {
    const qn_objective_view *objective;
    struct grid_side x, y;
    double *at_x, *at_y;                 /* [n_drawn], marks of a layer */
    double *cells_x, *cells_y, *heights; /* [n_both] where trials stand, in cells */
    int64_t n_both;                      /* trials drawn that have both parameters */
};

static struct grid_side side_of(qn_study_view *view, int64_t parameter, qn_str *out)
{
    const qn_parameter *p = &view->history->space->parameters[parameter];
    struct grid_side side = {.parameter = parameter,
                             .p = p,
                             .axis = qn_view_parameter_axis(view, parameter, out),
                             .n_cells = GRID};
    side.is_of_choices = side.axis.categories && side.axis.n_categories <= GRID;
    if (side.is_of_choices) side.n_cells = side.axis.n_categories;
    return side;
}

/* 0 … n_cells along the axis. */
static double cell_at(const struct grid_side *side, double value)
{
    if (side->axis.categories) {
        return (value + 0.5) * (double)side->n_cells / side->axis.n_categories;
    }
    const double low = qn_parameter_scaled(side->p, side->p->low);
    const double high = qn_parameter_scaled(side->p, side->p->high);
    const double at = qn_parameter_scaled(side->p, value);
    return (0.5 * at - 0.5 * low) / (0.5 * high - 0.5 * low) * (double)side->n_cells;
}

static void place_trials(struct pair *pair)
{
    const qn_objective_view *o = pair->objective;
    pair->n_both = 0;
    for (int64_t i = 0; i < o->n_drawn; i++) {
        const qn_trial_record *trial = o->analysed.trials[o->drawn[i]];
        const double x = qn_trial_value(trial, pair->x.parameter);
        const double y = qn_trial_value(trial, pair->y.parameter);
        if (isnan(x) || isnan(y)) continue;
        pair->cells_x[pair->n_both] = cell_at(&pair->x, x);
        pair->cells_y[pair->n_both] = cell_at(&pair->y, y);
        pair->heights[pair->n_both++] = o->heights[o->drawn[i]];
    }
}

/* Squared distance in bandwidths; choices are near only to themselves. */
static double distance(const struct grid_side *side, double cell, double trial, double width)
{
    if (side->is_of_choices) return floor(trial) == cell ? 0 : QN_INF;
    const double off = (cell + 0.5 - trial) / (double)side->n_cells / width;
    return off * off;
}

/* The mean height of the trials nearby, by a normal kernel (Nadaraya 1964; Watson 1964) of Scott's
 * width for two dimensions; NA where there are none. */
static double height_near(const struct pair *pair, int64_t column, int64_t row)
{
    enum { NEAR = 4 }; /* squared, in bandwidths */
    const double width = 0.24 * pow((double)pair->n_both, -1.0 / 6);
    double weights = 0, sum = 0, nearest = QN_INF;
    for (int64_t i = 0; i < pair->n_both; i++) {
        const double squared = distance(&pair->x, (double)column, pair->cells_x[i], width) +
                               distance(&pair->y, (double)row, pair->cells_y[i], width);
        const double weight = exp(-0.5 * squared);
        nearest = fmin(nearest, squared);
        weights += weight;
        sum += weight * pair->heights[i];
    }
    return nearest < NEAR ? sum / weights : QN_NA;
}

/* Levels by the rank of a cell among those near trials, so that each shade covers as much of the
 * picture; -1 elsewhere. */
static bool find_levels(const struct pair *pair, int32_t *levels)
{
    double heights[GRID * GRID];
    int32_t cells[GRID * GRID], order[GRID * GRID];
    int64_t n_near = 0;
    for (int64_t i = 0; i < pair->x.n_cells * pair->y.n_cells; i++) {
        const double height = height_near(pair, i % pair->x.n_cells, i / pair->x.n_cells);
        levels[i] = -1;
        if (isnan(height)) continue;
        heights[n_near] = height;
        cells[n_near++] = (int32_t)i;
    }
    if (!qn_sort_order(heights, n_near, order)) return false;
    for (int64_t i = 0; i < n_near; i++) {
        levels[cells[order[i]]] = (int32_t)(i * N_LEVELS / n_near);
    }
    return true;
}

static void add_pair_dots(struct pair *pair, const qn_chart *chart, int32_t only_class,
                          const char *css_class, qn_str *out)
{
    const qn_objective_view *o = pair->objective;
    const int64_t first =
        only_class < 0 && o->n_drawn > CONTOUR_DOTS_MAX ? o->n_drawn - CONTOUR_DOTS_MAX : 0;
    int64_t n = 0;
    for (int64_t i = first; i < o->n_drawn; i++) {
        const qn_trial_record *trial = o->analysed.trials[o->drawn[i]];
        const int32_t class = qn_view_class(o->ranks[o->drawn[i]], o->analysed.n);
        if (only_class >= 0 && class != only_class) continue;
        pair->at_x[n] =
            qn_view_spread(pair->x.p, qn_trial_value(trial, pair->x.parameter), trial->number);
        pair->at_y[n++] =
            qn_view_spread(pair->y.p, qn_trial_value(trial, pair->y.parameter), trial->number + 1);
    }
    qn_chart_dots(out, chart, css_class, pair->at_x, pair->at_y, n);
}

static void contour_chart(struct pair *pair, qn_str *out)
{
    int32_t levels[GRID * GRID];
    qn_chart chart = {.title = "Contour", .x = pair->x.axis, .y = pair->y.axis};
    place_trials(pair);
    if (!find_levels(pair, levels)) {
        out->failed = true;
        return;
    }
    qn_str_add(out, "<figure>");
    qn_chart_begin(out, &chart);
    for (int32_t level = 0; level < N_LEVELS; level++) {
        char css_class[24];
        snprintf(css_class, sizeof css_class, "cells l%d", level);
        qn_chart_cells(out, &chart, css_class, levels, pair->x.n_cells, pair->y.n_cells, level);
    }
    add_pair_dots(pair, &chart, -1, "dots on-cells", out);
    qn_chart_end(out);
    qn_figure_end(out);
}

static void rank_chart(struct pair *pair, qn_str *out)
{
    qn_chart chart = {.title = "Rank", .x = pair->x.axis, .y = pair->y.axis};
    qn_str_add(out, "<figure>");
    qn_chart_begin(out, &chart);
    for (int32_t class = QN_VIEW_CLASSES - 1; class >= 0; class --) {
        add_pair_dots(pair, &chart, class, dots_classes[class], out);
    }
    qn_chart_end(out);
    qn_figure_end(out);
}

typedef void pair_chart(struct pair *pair, qn_str *out);

static void charts_of_pairs(qn_study_view *view, struct pair *pair, pair_chart *draw, qn_str *out)
{
    const qn_objective_view *o = pair->objective;
    const int64_t paired = view->n_objectives == 1 ? PAIRED_MAX : PAIRED_MAX - 1;
    qn_str_add(out, "<div class=\"figures\">");
    for (int64_t i = 0; i < o->n_parameters && i < paired; i++) {
        for (int64_t j = i + 1; j < o->n_parameters && j < paired; j++) {
            pair->x = side_of(view, o->parameters[i], out);
            pair->y = side_of(view, o->parameters[j], out);
            if (!out->failed) draw(pair, out);
        }
    }
    qn_str_add(out, "</div>");
}

void qn_study_pairs(qn_study_view *view, qn_str *out)
{
    for (int64_t i = 0; i < view->n_objectives && i < OBJECTIVES_PAIRED; i++) {
        const qn_objective_view *o = &view->objectives[i];
        struct pair pair = {.objective = o,
                            .at_x = qn_view_numbers(view, o->n_drawn, out),
                            .at_y = qn_view_numbers(view, o->n_drawn, out),
                            .cells_x = qn_view_numbers(view, o->n_drawn, out),
                            .cells_y = qn_view_numbers(view, o->n_drawn, out),
                            .heights = qn_view_numbers(view, o->n_drawn, out)};
        if (o->analysed.n < 2 || o->n_parameters < 2 || out->failed) continue;
        qn_str_add(out, "<section><h2>Two parameters at a time: ");
        qn_html_text(out, o->name);
        qn_str_add(out, "</h2><h3>Contour</h3><p>The mean of the trials nearby; the bluer, the "
                        "better. Dots are trials.</p>");
        charts_of_pairs(view, &pair, contour_chart, out);
        qn_str_add(
            out, "<h3>Rank</h3><p>Trials by their rank: the strongest colour is the best fifth's.");
        note_choice(o, out);
        qn_str_add(out, "</p>");
        charts_of_pairs(view, &pair, rank_chart, out);
        qn_str_add(out, "</section>");
    }
}
