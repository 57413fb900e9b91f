/* SPDX-License-Identifier: Apache-2.0 */
/* Headline, best trials, failures, the space. */
#include "analysis/study_sections.h"

#include "report/html.h"
#include "report/page.h"

#include <math.h>
#include <string.h>

enum { BEST_SHOWN = 10, FRONT_SHOWN = 30, FAILURES_SHOWN = 12, COLUMNS_MAX = 10, ROWS_MAX = 100 };

static void add_value(const qn_parameter *p, double value, qn_str *out)
{
    char text[QN_DOUBLE_TEXT_BYTES];
    if (isnan(value)) {
        qn_str_add(out, "<span class=\"soft\">–</span>");
    } else if (p->kind == QN_PARAMETER_FLOAT) {
        qn_str_addf(out, "%.4g", value);
    } else {
        qn_html_text(out, qn_parameter_text(p, value, text));
    }
}

/* Headline. */

static void verdict(const qn_study_view *view, qn_str *out)
{
    const qn_trial_record *best = qn_history_best(view->history);
    qn_str_add(out, "<p class=\"verdict\">");
    if (!best) {
        qn_str_add(out, "No trial is complete yet.");
    } else if (view->n_objectives > 1) {
        qn_str_addf(out, "<b>%lld</b> trials on the Pareto front of %lld objectives.",
                    (long long)view->n_front, (long long)view->n_objectives);
    } else {
        qn_str_add(out, "<b>");
        qn_html_text(out, view->objectives[0].name);
        qn_str_add(out, " ");
        qn_html_number(out, view->objectives[0].maximise ? -best->losses[0] : best->losses[0]);
        qn_str_addf(out, "</b> at best, in trial %lld.", (long long)best->number);
    }
    qn_str_add(out, "</p>");
}

/* Seconds that trials took, together. */
static double seconds_of(const qn_history *history)
{
    double sum = 0;
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (trial->begun_s > 0 && trial->ended_s > trial->begun_s) {
            sum += trial->ended_s - trial->begun_s;
        }
    }
    return sum;
}

void qn_study_headline(qn_study_view *view, qn_str *out)
{
    const char *reason, *sampler = qn_study_sampler(view->study, &reason);
    const int64_t unfinished = view->counts[QN_TRIAL_RUNNING] + view->counts[QN_TRIAL_WAITING];
    qn_str_add(out, "<header><p class=\"kicker\">Quern study report</p>");
    qn_html_element(out, "h1", view->title);
    verdict(view, out);
    qn_str_add(out, "</header><div class=\"tiles\">");
    qn_page_tile(out, "trials", (double)view->history->n_trials, sampler);
    qn_page_tile(out, "complete", (double)view->counts[QN_TRIAL_COMPLETE], "");
    if (view->counts[QN_TRIAL_PRUNED] > 0) {
        qn_page_tile(out, "pruned", (double)view->counts[QN_TRIAL_PRUNED], "stopped early");
    }
    if (view->counts[QN_TRIAL_FAILED] > 0) {
        qn_page_tile(out, "failed", (double)view->counts[QN_TRIAL_FAILED], "see below");
    }
    if (unfinished > 0) qn_page_tile(out, "unfinished", (double)unfinished, "running or waiting");
    qn_page_tile(out, "parameters", (double)view->history->space->n, "");
    qn_page_tile(out, "seconds", seconds_of(view->history), "all trials together");
    qn_str_add(out, "</div>");
}

/* Best trials. */

static void best_head(const qn_study_view *view, int64_t n_columns, qn_str *out)
{
    qn_str_add(out, "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">trial</th>");
    for (int64_t m = 0; m < view->n_objectives; m++) {
        qn_str_add(out, "<th scope=\"col\">");
        qn_html_text(out, view->objectives[m].name);
        qn_str_add(out, "</th>");
    }
    for (int64_t k = 0; k < n_columns; k++) {
        const int32_t at = view->objectives[0].parameters[k];
        qn_str_add(out, "<th scope=\"col\">");
        qn_html_text(out, view->history->space->parameters[at].name);
        qn_str_add(out, "</th>");
    }
    qn_str_add(out, "</tr></thead>");
}

static void best_row(const qn_study_view *view, const qn_trial_record *trial, int64_t n_columns,
                     bool is_first, qn_str *out)
{
    qn_str_addf(out, "<tr%s><th scope=\"row\">%lld</th>", is_first ? " class=\"best\"" : "",
                (long long)trial->number);
    for (int64_t m = 0; m < view->n_objectives; m++) {
        qn_str_add(out, "<td>");
        qn_html_number(out, view->objectives[m].maximise ? -trial->losses[m] : trial->losses[m]);
        qn_str_add(out, "</td>");
    }
    for (int64_t k = 0; k < n_columns; k++) {
        const int32_t at = view->objectives[0].parameters[k];
        qn_str_add(out, "<td>");
        add_value(&view->history->space->parameters[at], qn_trial_value(trial, at), out);
        qn_str_add(out, "</td>");
    }
    qn_str_add(out, "</tr>");
}

void qn_study_best_trials(qn_study_view *view, qn_str *out)
{
    const qn_objective_view *o = &view->objectives[0];
    const bool is_front = view->n_objectives > 1;
    const int64_t n_columns = o->n_parameters < COLUMNS_MAX ? o->n_parameters : COLUMNS_MAX;
    int64_t shown = 0;
    if (!qn_history_best(view->history)) return;
    qn_str_add(out, is_front ? "<section><h2>Trials on the front</h2>"
                             : "<section><h2>Best trials</h2>");
    best_head(view, n_columns, out);
    for (int64_t i = 0; is_front && i < view->n_front && shown < FRONT_SHOWN; i++, shown++) {
        best_row(view, view->front[i], n_columns, false, out);
    }
    for (int64_t i = 0; !is_front && i < o->analysed.n && shown < BEST_SHOWN; i++) {
        const qn_trial_record *trial = o->analysed.trials[o->ranked[i]];
        if (trial->violation > 0) continue;
        best_row(view, trial, n_columns, shown == 0, out);
        shown++;
    }
    qn_str_add(out, "</table></div>");
    if (n_columns < o->n_parameters) {
        qn_str_addf(out, "<p class=\"soft\">The %d most important of %lld parameters.</p>",
                    COLUMNS_MAX, (long long)o->n_parameters);
    }
    if (is_front && shown < view->n_front) {
        qn_str_addf(out, "<p class=\"soft\">%lld more: <code>quern study best</code>.</p>",
                    (long long)(view->n_front - shown));
    }
    qn_str_add(out, "</section>");
}

/* Failures. */

/* The JSON of an attribute; a text without its quotation marks. */
static void add_attribute(const qn_trial_attribute *attribute, qn_str *out)
{
    const size_t bytes = strlen(attribute->json);
    const bool is_text = bytes >= 2 && attribute->json[0] == '"';
    qn_html_text(out, attribute->name);
    qn_str_add(out, ": ");
    qn_html_text_bytes(out, attribute->json + is_text, bytes - 2 * is_text);
}

static void failure_row(const qn_study_view *view, const qn_trial_record *trial, qn_str *out)
{
    const qn_space *space = view->history->space;
    qn_str_addf(out, "<tr><th scope=\"row\">%lld</th><td class=\"text\">",
                (long long)trial->number);
    for (const qn_trial_attribute *a = trial->attributes; a; a = a->next) {
        add_attribute(a, out);
        if (a->next) qn_str_add(out, "<br>");
    }
    qn_str_add(out, "</td><td class=\"text\">");
    for (int64_t at = 0, n = 0; at < space->n && n < COLUMNS_MAX; at++) {
        const double value = qn_trial_value(trial, at);
        if (isnan(value)) continue;
        if (n++ > 0) qn_str_add(out, ", ");
        qn_html_text(out, space->parameters[at].name);
        qn_str_add(out, " ");
        add_value(&space->parameters[at], value, out);
    }
    qn_str_add(out, "</td></tr>");
}

void qn_study_failures(qn_study_view *view, qn_str *out)
{
    const qn_history *history = view->history;
    const int64_t n = view->counts[QN_TRIAL_FAILED];
    int64_t shown = 0;
    if (n == 0) return;
    qn_str_add(out, "<section><h2>Failures</h2><div class=\"scroll\"><table><thead><tr>"
                    "<th scope=\"col\">trial</th><th scope=\"col\" class=\"text\">what is known"
                    "</th><th scope=\"col\" class=\"text\">parameters</th></tr></thead>");
    for (int64_t i = history->n_trials - 1; i >= 0 && shown < FAILURES_SHOWN; i--) {
        if (history->trials[i]->state != QN_TRIAL_FAILED) continue;
        failure_row(view, history->trials[i], out);
        shown++;
    }
    qn_str_add(out, "</table></div>");
    if (shown < n) {
        qn_str_addf(out,
                    "<p class=\"soft\">The last %d of %lld; <code>quern study export</code> "
                    "has all.</p>",
                    FAILURES_SHOWN, (long long)n);
    }
    qn_str_add(out, "</section>");
}

/* The space. */

static void range_cell(const qn_parameter *p, qn_str *out)
{
    enum { CHOICES_SHOWN = 12 };
    if (p->kind == QN_PARAMETER_BOOL) {
        qn_str_add(out, "false, true");
    } else if (p->n_choices == 0) {
        qn_str_addf(out, "%.6g … %.6g", p->low, p->high);
        if (p->log) qn_str_add(out, ", logarithmic");
        const double whole = p->kind == QN_PARAMETER_INT ? 1 : 0;
        if (p->step != whole) qn_str_addf(out, ", step %.6g", p->step);
    }
    for (int32_t i = 0; i < p->n_choices && i < CHOICES_SHOWN; i++) {
        if (i > 0) qn_str_add(out, ", ");
        qn_html_text(out, p->choices[i].text);
    }
    if (p->n_choices > CHOICES_SHOWN) qn_str_add(out, ", …");
}

static void condition_cell(const qn_space *space, const qn_parameter *p, qn_str *out)
{
    for (int32_t i = 0; i < p->n_conditions; i++) {
        const qn_parameter *parent = &space->parameters[p->conditions[i].parent];
        if (i > 0) qn_str_add(out, " and ");
        qn_html_text(out, parent->name);
        qn_str_add(out, " is ");
        for (int32_t k = 0; k < p->conditions[i].n_values; k++) {
            if (k > 0) qn_str_add(out, " or ");
            add_value(parent, p->conditions[i].values[k], out);
        }
    }
}

void qn_study_space_table(qn_study_view *view, qn_str *out)
{
    const qn_space *space = view->history->space;
    const char *reason, *sampler = qn_study_sampler(view->study, &reason);
    qn_str_add(out, "<section><h2>Space and method</h2><p>Sampler ");
    qn_html_text(out, sampler);
    if (reason) {
        qn_str_add(out, ": ");
        qn_html_text(out, reason);
    }
    qn_str_add(out, ".</p><div class=\"scroll\"><table><thead><tr><th scope=\"col\">parameter</th>"
                    "<th scope=\"col\" class=\"text\">kind</th><th scope=\"col\" class=\"text\">"
                    "values</th>");
    const bool is_conditional = qn_space_is_conditional(space);
    if (is_conditional) qn_str_add(out, "<th scope=\"col\" class=\"text\">exists when</th>");
    qn_str_add(out, "</tr></thead>");
    for (int64_t at = 0; at < space->n && at < ROWS_MAX; at++) {
        const qn_parameter *p = &space->parameters[at];
        qn_str_add(out, "<tr><th scope=\"row\">");
        qn_html_text(out, p->name);
        qn_str_add(out, "</th><td class=\"text\">");
        qn_html_text(out, qn_parameter_kind_name(p->kind));
        qn_str_add(out, "</td><td class=\"text\">");
        range_cell(p, out);
        if (is_conditional) qn_str_add(out, "</td><td class=\"text\">");
        condition_cell(space, p, out);
        qn_str_add(out, "</td></tr>");
    }
    qn_str_add(out, "</table></div>");
    if (space->n > ROWS_MAX) {
        qn_str_addf(out, "<p class=\"soft\">%lld more: <code>quern study show</code>.</p>",
                    (long long)space->n - ROWS_MAX);
    }
    for (int64_t i = 0; i < space->n_constraints; i++) {
        qn_str_add(out, i == 0 ? "<p>Constraints: <code>" : ", <code>");
        qn_html_text(out, space->constraints[i].text);
        qn_str_add(out, "</code>");
    }
    qn_str_add(out, space->n_constraints > 0 ? "</p></section>" : "</section>");
}
