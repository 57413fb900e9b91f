/* SPDX-License-Identifier: Apache-2.0 */
/* Sections about how good the model is. */
#include "report/html.h"
#include "report/page.h"
#include "report/report_sections.h"
#include "report/svg.h"

#include "base/number.h"

#include <string.h>

enum { MATRIX_CLASSES_MAX = 26 };

const qn_evaluation *qn_report_evaluation(const qn_report_request *request, const char **what)
{
    if (request->evaluation) {
        *what = request->evaluated_table ? request->evaluated_table : "the table given";
        return request->evaluation;
    }
    *what = request->record->test ? "rows kept for testing" : "cross-validation";
    return request->record->test ? request->record->test : request->record->cv;
}

static const qn_metric_value *find_value(const qn_evaluation *evaluation, const char *name)
{
    for (int32_t i = 0; evaluation && i < evaluation->n_values; i++) {
        if (strcmp(evaluation->values[i].metric->name, name) == 0) return &evaluation->values[i];
    }
    return NULL;
}

void qn_report_headline(const qn_report_request *request, qn_str *out)
{
    const qn_record *r = request->record;
    const char *what;
    const qn_evaluation *evaluation = qn_report_evaluation(request, &what);
    const qn_metric_value *value = find_value(evaluation, r->metric);
    const qn_metric_value *base = find_value(r->test_baseline, r->metric);
    qn_str_add(out, "<header><p class=\"kicker\">Quern model report</p><h1>");
    qn_html_text(out, r->target);
    qn_str_add(out, "</h1><p class=\"verdict\">");
    if (value) {
        qn_str_add(out, "<b>");
        qn_html_text(out, r->metric);
        qn_str_add(out, " ");
        qn_html_number(out, value->value);
        qn_str_add(out, "</b>");
        if (isfinite(value->low)) {
            qn_str_add(out, " (95&nbsp;% interval ");
            qn_html_number(out, value->low);
            qn_str_add(out, " to ");
            qn_html_number(out, value->high);
            qn_str_add(out, ")");
        }
        qn_str_add(out, " on ");
        qn_html_text(out, what);
        if (base && !request->evaluation) {
            qn_str_add(out, "; the constant baseline reaches ");
            qn_html_number(out, base->value);
        }
        qn_str_add(out, ".");
    }
    qn_str_add(out, "</p></header><div class=\"tiles\">");
    qn_page_tile(out, "training rows", (double)r->n_rows_train, r->split_reason);
    qn_page_tile(out, evaluation == r->cv ? "validated rows" : "evaluated rows",
                 evaluation ? (double)evaluation->n_rows : QN_NA, what);
    qn_page_tile(out, "candidates tried", (double)r->n_trials, r->folds_reason);
    qn_page_tile(out, "cross-validation", r->cv_score, r->metric);
    if (isfinite(r->seconds)) qn_page_tile(out, "seconds", r->seconds, "reading to writing");
    qn_str_add(out, "</div>");
}

static void metric_row(const qn_metric_value *value, const qn_metric_value *base, qn_str *out)
{
    qn_str_add(out, "<tr><th scope=\"row\" title=\"");
    qn_html_text(out, value->metric->help);
    qn_str_add(out, "\">");
    qn_html_text(out, value->metric->name);
    qn_str_add(out, "</th><td>");
    qn_html_number(out, value->value);
    qn_str_add(out, "</td><td class=\"soft\">");
    qn_html_number(out, value->low);
    qn_str_add(out, " … ");
    qn_html_number(out, value->high);
    qn_str_add(out, "</td><td>");
    qn_html_number(out, base ? base->value : QN_NA);
    qn_str_addf(out, "</td><td class=\"soft\">%s</td></tr>",
                value->metric->greater_is_better ? "greater" : "smaller");
}

void qn_report_metrics(const qn_report_request *request, qn_str *out)
{
    const char *what;
    const qn_evaluation *evaluation = qn_report_evaluation(request, &what);
    if (!evaluation) return;
    const qn_evaluation *base = request->evaluation ? NULL : request->record->test_baseline;
    qn_str_add(out, "<section><h2>Metrics</h2><p>On ");
    qn_html_number(out, (double)evaluation->n_rows);
    qn_str_add(out, " rows: ");
    qn_html_text(out, what);
    qn_str_add(out, ".</p><div class=\"scroll\"><table><thead><tr><th scope=\"col\">metric</th>"
                    "<th scope=\"col\">model</th><th scope=\"col\">95&nbsp;% interval</th>"
                    "<th scope=\"col\">baseline</th><th scope=\"col\">better is</th></tr></thead>");
    for (int32_t i = 0; i < evaluation->n_values; i++) {
        metric_row(&evaluation->values[i], find_value(base, evaluation->values[i].metric->name),
                   out);
    }
    qn_str_add(out, "</table></div>");
    if (evaluation->n_thresholds > 0) {
        qn_str_add(out, "<h3>Best thresholds</h3><div class=\"scroll\"><table><thead><tr>"
                        "<th scope=\"col\">for</th><th scope=\"col\">threshold</th>"
                        "<th scope=\"col\">value</th></tr></thead>");
        for (int32_t i = 0; i < evaluation->n_thresholds; i++) {
            const qn_best_threshold *best = &evaluation->thresholds[i];
            qn_str_add(out, "<tr><th scope=\"row\">");
            qn_html_text(out, best->metric);
            qn_str_add(out, "</th><td>");
            qn_html_number(out, best->threshold);
            qn_str_add(out, "</td><td>");
            qn_html_number(out, best->value);
            qn_str_add(out, "</td></tr>");
        }
        qn_str_add(out, "</table></div>");
    }
    qn_str_add(out, "</section>");
}

static void confusion(const qn_report_request *request, const qn_evaluation *evaluation,
                      qn_str *out)
{
    const int32_t k = evaluation->n_classes;
    if (!evaluation->confusion || k > MATRIX_CLASSES_MAX || k != request->schema->n_classes) return;
    qn_str_add(out,
               "<figure class=\"wide\"><figcaption>Confusion: rows are actual, columns "
               "predicted</figcaption><div class=\"scroll\"><table class=\"matrix\"><tr><td></td>");
    for (int32_t c = 0; c < k; c++) {
        qn_html_element(out, "th", request->schema->classes[c]);
    }
    qn_str_add(out, "</tr>");
    for (int32_t a = 0; a < k; a++) {
        double total = 0;
        for (int32_t p = 0; p < k; p++) {
            total += evaluation->confusion[a * k + p];
        }
        qn_str_add(out, "<tr><th scope=\"row\">");
        qn_html_text(out, request->schema->classes[a]);
        qn_str_add(out, "</th>");
        for (int32_t p = 0; p < k; p++) {
            const double count = evaluation->confusion[a * k + p];
            qn_str_addf(out, "<td class=\"%s\" style=\"--share:%.0f%%\">", a == p ? "hit" : "miss",
                        total > 0 ? 100 * count / total : 0);
            qn_html_number(out, count);
            qn_str_add(out, "</td>");
        }
        qn_str_add(out, "</tr>");
    }
    qn_str_add(out, "</table></div></figure>");
}

static void curve_figure(qn_str *out, const qn_curve *curve, const char *title, const char *x_label,
                         const char *y_label, bool diagonal)
{
    if (curve->n < 2) return;
    const qn_svg_series series = {.x = curve->x, .y = curve->y, .n = curve->n, .name = title};
    const qn_svg_plot plot = {.title = title,
                              .x_label = x_label,
                              .y_label = y_label,
                              .x_high = 1,
                              .y_high = 1,
                              .diagonal = diagonal,
                              .series = &series,
                              .n_series = 1};
    qn_str_add(out, "<figure><figcaption>");
    qn_html_text(out, title);
    qn_str_add(out, "</figcaption>");
    qn_svg_plot_write(out, &plot);
    qn_str_add(out, "</figure>");
}

enum { BAND_POINTS = 60 };

/* The ends of the 95 % intervals over the range of the sample. */
struct band {
    double x[BAND_POINTS], low[BAND_POINTS], high[BAND_POINTS];
};

static void find_band(const qn_predictor *predictor, const qn_curve *sample, struct band *band)
{
    double least = sample->x[0], most = sample->x[0];
    for (int32_t i = 1; i < sample->n; i++) {
        least = fmin(least, sample->x[i]);
        most = fmax(most, sample->x[i]);
    }
    for (int32_t i = 0; i < BAND_POINTS; i++) {
        band->x[i] = least + (most - least) * i / (BAND_POINTS - 1);
        qn_predictor_interval(predictor, QN_INTERVAL_LEVEL_DEFAULT, &band->x[i], &band->low[i],
                              &band->high[i]);
    }
}

static void residuals(const qn_report_request *request, const qn_evaluation *evaluation,
                      qn_str *out)
{
    const qn_curve *sample = &evaluation->predicted_actual;
    const bool has_band = sample->n > 0 && !isnan(evaluation->interval_coverage) &&
                          request->predictor->intervals.n_groups > 0;
    struct band band;
    if (has_band) find_band(request->predictor, sample, &band);
    const qn_svg_series series[] = {
        {.x = sample->x, .y = sample->y, .n = sample->n, .points = true},
        {.x = band.x, .y = band.low, .n = BAND_POINTS},
        {.x = band.x, .y = band.high, .n = BAND_POINTS}};
    const qn_svg_plot plot = {.title = "Predicted and actual",
                              .x_label = "predicted",
                              .y_label = "actual",
                              .diagonal = true,
                              .series = series,
                              .n_series = has_band ? 3 : 1};
    qn_str_add(out, "<figure><figcaption>Residuals (actual − predicted)</figcaption>");
    qn_svg_histogram(out, evaluation->residual_edges, evaluation->residual_counts, QN_RESIDUAL_BINS,
                     "Residuals", "residual");
    qn_str_add(out, "</figure><figure><figcaption>Predicted and actual, a sample");
    if (has_band) {
        qn_str_addf(out, "; 95 %% prediction intervals hold %.1f %% of all targets",
                    100 * evaluation->interval_coverage);
    }
    qn_str_add(out, "</figcaption>");
    qn_svg_plot_write(out, &plot);
    qn_str_add(out, "</figure>");
}

void qn_report_curves(const qn_report_request *request, qn_str *out)
{
    const char *what;
    const qn_evaluation *evaluation = qn_report_evaluation(request, &what);
    if (!evaluation || evaluation->task == QN_TASK_RANKING) return;
    qn_str_add(out, "<section><h2>Curves</h2><div class=\"figures\">");
    curve_figure(out, &evaluation->roc, "ROC", "false positive rate", "true positive rate", true);
    curve_figure(out, &evaluation->precision_recall, "Precision and recall", "recall", "precision",
                 false);
    curve_figure(out, &evaluation->calibration, "Calibration", "predicted probability",
                 "observed share", true);
    if (evaluation->task == QN_TASK_REGRESSION) residuals(request, evaluation, out);
    confusion(request, evaluation, out);
    qn_str_add(out, "</div></section>");
}

/* What says nothing is left empty: rounds of a model without, the weight of a model not chosen. */
static void leaderboard_numbers(const qn_leaderboard_entry *e, qn_str *out)
{
    qn_str_add(out, "<td>");
    qn_html_number(out, e->cv_score);
    qn_str_add(out, "</td><td>");
    qn_html_number(out, e->std_error);
    qn_str_add(out, "</td><td>");
    if (isfinite(e->fit_seconds)) qn_str_addf(out, "%.2f", e->fit_seconds);
    qn_str_add(out, "</td><td>");
    if (isfinite(e->predict_us_per_row)) qn_str_addf(out, "%.1f", e->predict_us_per_row);
    qn_str_add(out, "</td><td>");
    if (e->n_rounds > 0) qn_str_addf(out, "%lld", (long long)e->n_rounds);
    qn_str_add(out, "</td><td class=\"weight\">");
    if (e->weight > 0) {
        qn_str_addf(out, "<i style=\"width:%.0f%%\"></i>%.2f", 100 * e->weight, e->weight);
    }
    qn_str_add(out, "</td>");
}

void qn_report_leaderboard(const qn_report_request *request, qn_str *out)
{
    const qn_record *r = request->record;
    qn_str_add(out, "<section><h2>Leaderboard</h2><p>");
    qn_html_text(out, r->metric);
    qn_str_add(out, " by ");
    qn_html_text(out, r->folds_reason);
    qn_str_add(out,
               ". Weights are those of the final ensemble, which keeps the models of all "
               "folds.</p><div class=\"scroll\"><table><thead><tr><th scope=\"col\">model</th>"
               "<th scope=\"col\">score</th><th scope=\"col\">± s.e.</th><th scope=\"col\">fit "
               "s</th><th scope=\"col\">µs/row</th><th scope=\"col\">rounds</th>"
               "<th scope=\"col\">weight</th></tr></thead>");
    for (int64_t i = 0; i < r->n_leaderboard && i < 40; i++) {
        const qn_leaderboard_entry *e = &r->leaderboard[i];
        qn_str_addf(out, "<tr%s><th scope=\"row\" title=\"", i == 0 ? " class=\"best\"" : "");
        qn_html_text(out, e->params);
        qn_str_add(out, "\">");
        qn_html_text(out, e->name);
        qn_str_add(out, "</th>");
        leaderboard_numbers(e, out);
        qn_str_add(out, "</tr>");
    }
    qn_str_add(out, "</table></div>");
    if (r->n_leaderboard > 40) {
        qn_str_addf(out, "<p class=\"soft\">%lld more are in the model file.</p>",
                    (long long)r->n_leaderboard - 40);
    }
    qn_str_add(out, "</section>");
}

void qn_report_importance(const qn_report_request *request, qn_str *out)
{
    const qn_record *r = request->record;
    if (r->n_importance == 0) return;
    const double most = fmax(r->importance[0].importance, 1e-300);
    qn_str_add(out, "<section><h2>What the model looks at</h2><p>How much ");
    qn_html_text(out, r->metric);
    qn_str_add(out, " is lost when a column is shuffled among the rows.</p><table class=\"bars\">");
    for (int64_t i = 0; i < r->n_importance && i < 40; i++) {
        const qn_importance_entry *e = &r->importance[i];
        qn_str_add(out, "<tr><th scope=\"row\">");
        qn_html_text(out, e->column);
        qn_str_addf(out, "</th><td class=\"bar\"><i style=\"width:%.1f%%\"></i></td><td>",
                    100 * fmax(0, e->importance) / most);
        qn_html_number(out, e->importance);
        qn_str_add(out, "</td></tr>");
    }
    qn_str_add(out, "</table></section>");
}

static void time_bar(const char *name, double seconds, double most, qn_str *out)
{
    qn_str_add(out, "<tr><th scope=\"row\">");
    qn_html_text(out, name);
    qn_str_addf(out, "</th><td class=\"bar\"><i style=\"width:%.1f%%\"></i></td><td>%.2f</td></tr>",
                100 * seconds / fmax(most, 1e-9), seconds);
}

/* Candidates longest first: those that a next fit could leave out. */
static void candidate_times(const qn_record *r, qn_str *out)
{
    enum { CANDIDATES_SHOWN = 12 };
    const qn_leaderboard_entry *longest[CANDIDATES_SHOWN];
    int32_t n = 0;
    for (int64_t i = 0; i < r->n_leaderboard; i++) {
        const qn_leaderboard_entry *e = &r->leaderboard[i];
        if (!isfinite(e->fit_seconds) || strcmp(e->learner, "ensemble") == 0) continue;
        int32_t at = n < CANDIDATES_SHOWN ? n++ : n;
        for (; at > 0 && e->fit_seconds > longest[at - 1]->fit_seconds; at--) {
            if (at < CANDIDATES_SHOWN) longest[at] = longest[at - 1];
        }
        if (at < CANDIDATES_SHOWN) longest[at] = e;
    }
    if (n == 0) return;
    qn_str_add(out, "<figure><figcaption>Candidates, the longest first: seconds of one thread, all "
                    "folds</figcaption><table class=\"bars\">");
    for (int32_t i = 0; i < n; i++) {
        time_bar(longest[i]->name, longest[i]->fit_seconds, longest[0]->fit_seconds, out);
    }
    qn_str_add(out, "</table></figure>");
}

void qn_report_timing(const qn_report_request *request, qn_str *out)
{
    if (request->n_stages == 0) return;
    double most = 0, sum = 0;
    for (int32_t i = 0; i < request->n_stages; i++) {
        most = fmax(most, request->stages[i].seconds);
        sum += request->stages[i].seconds;
    }
    qn_str_addf(out, "<section><h2>Where the time went</h2><p>%.1f seconds", sum);
    if (request->record->budget_s > 0) {
        qn_str_addf(out, " of a budget of %g", request->record->budget_s);
    }
    qn_str_add(out, ".</p><div class=\"figures\"><figure><figcaption>Stages, in seconds"
                    "</figcaption><table class=\"bars\">");
    for (int32_t i = 0; i < request->n_stages; i++) {
        time_bar(request->stages[i].name, request->stages[i].seconds, most, out);
    }
    qn_str_add(out, "</table></figure>");
    candidate_times(request->record, out);
    qn_str_add(out, "</div></section>");
}
