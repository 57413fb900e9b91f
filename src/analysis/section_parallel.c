/* SPDX-License-Identifier: Apache-2.0 */
/* Parallel coordinates: one upright axis for each parameter and objective, one line for each trial.
 * A trial without a parameter passes below its axis. */
#include "analysis/study_sections.h"

#include "base/number.h"
#include "report/html.h"

#include <math.h>
#include <stdio.h>

enum { AXES_MAX = 9, OBJECTIVES_SHOWN = 3, LINES_MAX = 250, NAME_CHARACTERS = 13 };
enum { WIDTH = 960, HEIGHT = 340, SIDE = 56, TOP = 34, BOTTOM = 300, ABSENT = 326 };

struct axes {
    int64_t n_objectives, n;   /* objectives first */
    const int32_t *parameters; /* [n - n_objectives] */
};

static double left_of(const struct axes *axes, int64_t i)
{
    return SIDE + (double)i * (WIDTH - 2 * SIDE) / (double)(axes->n > 1 ? axes->n - 1 : 1);
}

/* 0 at the foot of the axis, 1 at its top; NA where the trial has no value. */
static double share_of(const qn_study_view *view, const struct axes *axes, int64_t i,
                       const qn_trial_record *trial)
{
    if (i >= axes->n_objectives) {
        const int32_t at = axes->parameters[i - axes->n_objectives];
        const qn_parameter *p = &view->history->space->parameters[at];
        const double value = qn_trial_value(trial, at);
        const double spread = isnan(value) ? value : qn_view_spread(p, value, trial->number);
        return isnan(value) ? QN_NA : fmin(fmax(qn_parameter_to_unit(p, spread), 0), 1);
    }
    const qn_objective_view *o = &view->objectives[i];
    const double value = o->maximise ? -trial->losses[i] : trial->losses[i];
    const double low = o->axis.log ? log(o->axis.low) : o->axis.low;
    const double high = o->axis.log ? log(o->axis.high) : o->axis.high;
    if (!isfinite(value)) return QN_NA;
    const double at = o->axis.log ? log(value) : value;
    return high > low ? fmin(fmax((0.5 * at - 0.5 * low) / (0.5 * high - 0.5 * low), 0), 1) : 0.5;
}

static void add_line(const qn_study_view *view, const struct axes *axes,
                     const qn_trial_record *trial, qn_str *out)
{
    for (int64_t i = 0; i < axes->n; i++) {
        const double share = share_of(view, axes, i, trial);
        const double y = isnan(share) ? ABSENT : BOTTOM - share * (BOTTOM - TOP);
        qn_str_addf(out, "%c%.4g %.4g", i == 0 ? 'M' : 'L', left_of(axes, i), y);
    }
}

/* Trials from the worst to the best, so that the best lie on top. */
static void add_lines(const qn_study_view *view, const struct axes *axes, int32_t class,
                      qn_str *out)
{
    const qn_objective_view *o = &view->objectives[0];
    qn_str_addf(out, "<path class=\"trace q%d\" d=\"", class);
    for (int64_t i = 0; i < o->n_drawn; i++) {
        const bool is_chosen = o->n_drawn <= LINES_MAX ||
                               i * LINES_MAX / o->n_drawn != (i + 1) * LINES_MAX / o->n_drawn;
        if (!is_chosen || qn_view_class(o->ranks[o->drawn[i]], o->analysed.n) != class) continue;
        add_line(view, axes, o->analysed.trials[o->drawn[i]], out);
    }
    qn_str_add(out, "\"/>");
}

static void add_text(qn_str *out, double x, double y, const char *css_class, const char *text,
                     int32_t characters_max)
{
    size_t bytes = 0;
    int32_t n = 0;
    for (; text[bytes]; bytes++) {
        const bool is_begin = ((unsigned char)text[bytes] & 0xc0) != 0x80;
        if (is_begin && n++ == characters_max) break;
    }
    qn_str_addf(out, "<text class=\"%s\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">", css_class,
                x, y);
    qn_html_text_bytes(out, text, bytes);
    if (text[bytes]) qn_str_add(out, "…");
    qn_str_add(out, "</text>");
}

static const char *end_text(const qn_study_view *view, const struct axes *axes, int64_t i,
                            bool is_high, char *text)
{
    if (i < axes->n_objectives) {
        const qn_axis *axis = &view->objectives[i].axis;
        snprintf(text, QN_DOUBLE_TEXT_BYTES, "%.4g", is_high ? axis->high : axis->low);
        return text;
    }
    const qn_parameter *p =
        &view->history->space->parameters[axes->parameters[i - axes->n_objectives]];
    return qn_parameter_text(p, is_high ? p->high : p->low, text);
}

static void add_axis(const qn_study_view *view, const struct axes *axes, int64_t i, qn_str *out)
{
    const double x = left_of(axes, i);
    char text[QN_DOUBLE_TEXT_BYTES];
    const char *name =
        i < axes->n_objectives
            ? view->objectives[i].name
            : view->history->space->parameters[axes->parameters[i - axes->n_objectives]].name;
    qn_str_addf(out, "<path class=\"axis\" d=\"M%.4g %dV%d\"/>", x, TOP, BOTTOM);
    add_text(out, x, TOP - 20, "label strong", name, NAME_CHARACTERS);
    add_text(out, x, TOP - 6, "tick", end_text(view, axes, i, true, text), 10);
    add_text(out, x, BOTTOM + 14, "tick", end_text(view, axes, i, false, text), 10);
}

void qn_study_parallel(qn_study_view *view, qn_str *out)
{
    const qn_objective_view *o = &view->objectives[0];
    struct axes axes = {.parameters = o->parameters};
    if (o->analysed.n == 0 || o->n_parameters == 0) return;
    axes.n_objectives =
        view->n_objectives < OBJECTIVES_SHOWN ? view->n_objectives : OBJECTIVES_SHOWN;
    axes.n = axes.n_objectives + o->n_parameters;
    if (axes.n > AXES_MAX) axes.n = AXES_MAX;
    qn_str_add(out, "<section><h2>Parallel coordinates</h2><p>A line is a trial, of the strongest "
                    "colour the best fifth");
    if (view->n_objectives > 1) {
        qn_str_add(out, " by ");
        qn_html_text(out, o->name);
    }
    qn_str_add(out, ". It passes below the axes of parameters that it does not have.");
    if (axes.n < axes.n_objectives + o->n_parameters) {
        qn_str_add(out, " The most important parameters.");
    }
    qn_str_addf(out,
                "</p><div class=\"scroll wide-chart\"><svg class=\"plot parallel\" "
                "viewBox=\"0 0 %d %d\" role=\"img\"><title>Parallel coordinates</title>",
                WIDTH, HEIGHT);
    for (int32_t class = QN_VIEW_CLASSES - 1; class >= 0; class --) {
        add_lines(view, &axes, class, out);
    }
    for (int64_t i = 0; i < axes.n; i++) {
        add_axis(view, &axes, i, out);
    }
    qn_str_add(out, "</svg></div></section>");
}
