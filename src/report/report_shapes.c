/* SPDX-License-Identifier: Apache-2.0 */
/* The shape functions of additive models: lines over a histogram of the rows for numbers, bars for
 * levels, heat maps for pairs. */
#include "report/report_sections.h"

#include "base/alloc.h"
#include "explain/shapes.h"
#include "report/chart.h"
#include "report/html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    SHAPES_MAX = 24,
    LEVELS_MAX = 12,
    CLASSES_MAX = 5, /* lines of one chart */
    N_TINTS = 4,     /* of each colour of a heat map */
    LABELS_MAX = 5,  /* along an axis of one */
    LABEL_BYTES = 16
};
static const double histogram_height = 0.22; /* of the picture */
static const double log_from = 300;          /* greatest by least edge of an axis */

struct drawing {
    const qn_report_request *request;
    const qn_shapes *shapes;
    qn_str *out;
};

static const char *class_of(const struct drawing *d, int32_t output)
{
    const qn_schema *schema = d->request->schema;
    return schema->classes[d->shapes->n_outputs == 1 ? 1 : output];
}

static int32_t n_lines(const struct drawing *d)
{
    return d->shapes->n_outputs < CLASSES_MAX ? d->shapes->n_outputs : CLASSES_MAX;
}

static void begin_figure(const struct drawing *d, const qn_shape *shape)
{
    qn_str title = {0};
    qn_shape_title(shape, &title);
    qn_str_add(d->out, "<figure><figcaption>");
    qn_html_text(d->out, title.failed ? "" : title.text);
    qn_str_add(d->out, ", ");
    qn_html_number(d->out, shape->importance);
    qn_str_add(d->out, "</figcaption>");
    d->out->failed |= title.failed;
    qn_str_release(&title);
}

static void add_share(double share, qn_str *out)
{
    qn_str_addf(out, share < 0.001 ? "%.2f&nbsp;%%" : "%.1f&nbsp;%%", 100 * share);
}

/* What rows without a value get. */
static void note_missing(const struct drawing *d, const qn_shape *shape)
{
    if (!(shape->shares[0] > 0)) return;
    qn_str_add(d->out, "<small>missing: ");
    for (int32_t c = 0; c < n_lines(d); c++) {
        if (c) qn_str_add(d->out, ", ");
        qn_html_number(d->out, shape->scores[c]);
    }
    qn_str_add(d->out, " (");
    add_share(shape->shares[0], d->out);
    qn_str_add(d->out, " of the rows)</small>");
}

/* Numbers. */

/* A picture's arrays: the ends of cells, and what stands over them. */
struct line {
    int64_t n; /* cells 1 … of the axis */
    double *low, *high, *values, *heights;
};

static void release_line(struct line *line)
{
    qn_free(line->low);
    qn_free(line->high);
    qn_free(line->values);
    qn_free(line->heights);
}

/* The outer cells have no end: they are drawn as wide as the others are on average, but at least a
 * twentieth of the axis. */
static double outer_width(const qn_shape_axis *axis, bool is_log)
{
    const int32_t n_edges = axis->n_cells - 2;
    const double least = axis->edges[0], most = axis->edges[n_edges - 1];
    if (n_edges == 1) return least != 0 ? fmin(1, 0.5 * fabs(least)) : 1;
    const double share = fmax(0.05, 1.0 / (n_edges - 1));
    return is_log ? pow(most / least, share) : share * (most - least);
}

static bool make_line(const qn_shape_axis *axis, bool is_log, struct line *line)
{
    const int64_t n = axis->n_cells - 1;
    const double least = axis->edges[0], most = axis->edges[n - 2];
    const double wide = outer_width(axis, is_log);
    *line = (struct line){.n = n,
                          .low = qn_alloc_array(n + 1, sizeof *line->low),
                          .high = qn_alloc_array(n + 1, sizeof *line->high),
                          .values = qn_alloc_array(n + 1, sizeof *line->values),
                          .heights = qn_alloc_array(n + 1, sizeof *line->heights)};
    if (!line->low || !line->high || !line->values || !line->heights) return false;
    for (int64_t i = 0; i < n; i++) {
        line->low[i] = i > 0 ? axis->edges[i - 1] : is_log ? least / wide : least - wide;
        line->high[i] = i + 1 < n ? axis->edges[i] : is_log ? most * wide : most + wide;
    }
    line->low[n] = line->high[n - 1]; /* where the last step ends */
    return true;
}

/* Rows by width, so that the area counts; the highest bar has the whole height. */
static void fill_heights(const qn_shape *shape, bool is_log, struct line *line)
{
    double most = 0;
    for (int64_t i = 0; i < line->n; i++) {
        const double wide =
            is_log ? log(line->high[i] / line->low[i]) : line->high[i] - line->low[i];
        line->heights[i] = shape->shares[1 + i] / wide;
        most = fmax(most, line->heights[i]);
    }
    for (int64_t i = 0; i < line->n; i++) {
        line->heights[i] = most > 0 ? histogram_height * line->heights[i] / most : 0;
    }
}

/* Scores of one output, `factor` errors off. */
static void fill_values(const struct drawing *d, const qn_shape *shape, int32_t output,
                        double factor, struct line *line)
{
    const int32_t k = d->shapes->n_outputs;
    for (int64_t i = 0; i <= line->n; i++) {
        const int64_t at = (1 + (i < line->n ? i : line->n - 1)) * k + output;
        line->values[i] = shape->scores[at] + (factor == 0 ? 0 : factor * shape->errors[at]);
    }
}

static void find_range(const struct drawing *d, const qn_shape *shape, qn_axis *axis)
{
    const int32_t k = d->shapes->n_outputs;
    axis->low = axis->high = 0;
    for (int64_t i = k; i < shape->n_cells * k; i++) {
        const double error = k == 1 && isfinite(shape->errors[i]) ? shape->errors[i] : 0;
        axis->low = fmin(axis->low, shape->scores[i] - error);
        axis->high = fmax(axis->high, shape->scores[i] + error);
    }
    axis->low -= histogram_height / (1 - histogram_height) * (axis->high - axis->low);
}

static void draw_layers(const struct drawing *d, const qn_shape *shape, qn_chart *chart,
                        bool is_log, struct line *line)
{
    char css_class[32];
    qn_chart_begin(d->out, chart);
    if (isfinite(shape->shares[0])) {
        fill_heights(shape, is_log, line);
        qn_chart_bars(d->out, chart, "density", line->low, line->high, line->heights, line->n);
    }
    const double ends[2] = {line->low[0], line->low[line->n]}, zeros[2] = {0, 0};
    qn_chart_line(d->out, chart, "zero", ends, zeros, 2);
    for (int side = -1; side <= 1 && d->shapes->n_outputs == 1; side += 2) {
        fill_values(d, shape, 0, side, line);
        qn_chart_steps(d->out, chart, "band", line->low, line->values, line->n + 1);
    }
    for (int32_t c = 0; c < n_lines(d); c++) {
        snprintf(css_class, sizeof css_class, d->shapes->n_outputs == 1 ? "line" : "trace axis q%d",
                 (int)c);
        fill_values(d, shape, c, 0, line);
        qn_chart_steps(d->out, chart, css_class, line->low, line->values, line->n + 1);
    }
    qn_chart_end(d->out);
}

static void draw_number(const struct drawing *d, const qn_shape *shape)
{
    const qn_shape_axis *axis = &shape->axes[0];
    if (axis->n_cells < 3) return;
    const double least = axis->edges[0], most = axis->edges[axis->n_cells - 3];
    const bool is_log = least > 0 && most / least > log_from;
    struct line line;
    begin_figure(d, shape);
    if (make_line(axis, is_log, &line)) {
        qn_chart chart = {
            .title = axis->name,
            .x = {.label = axis->name, .low = line.low[0], .high = line.low[line.n], .log = is_log},
            .y = {.label = "score"}};
        find_range(d, shape, &chart.y);
        draw_layers(d, shape, &chart, is_log, &line);
    } else {
        d->out->failed = true;
    }
    release_line(&line);
    note_missing(d, shape);
    qn_str_add(d->out, "</figure>");
}

/* Levels. */

static void level_row(const struct drawing *d, const qn_shape *shape, int32_t cell, double most)
{
    const char *name = shape->axes[0].levels[cell];
    const int32_t k = d->shapes->n_outputs;
    qn_str_add(d->out, "<tr><th scope=\"row\">");
    qn_html_text(d->out, name ? name : "missing or rare");
    qn_str_add(d->out, "</th>");
    if (k == 1) {
        const double score = shape->scores[cell], half = 50 * fabs(score) / most;
        qn_str_addf(d->out,
                    "<td class=\"bar\"><i %sstyle=\"margin-left:%.1f%%;width:%.1f%%\"></i></td>",
                    score < 0 ? "class=\"down\" " : "", score < 0 ? 50 - half : 50, half);
    }
    for (int32_t c = 0; c < n_lines(d); c++) {
        qn_str_add(d->out, "<td>");
        qn_html_number(d->out, shape->scores[cell * k + c]);
        qn_str_add(d->out, "</td>");
    }
    qn_str_add(d->out, "<td>");
    if (isfinite(shape->shares[cell])) add_share(shape->shares[cell], d->out);
    qn_str_add(d->out, "</td></tr>");
}

/* Levels are numbered by frequency: the first are shown. */
static void draw_levels(const struct drawing *d, const qn_shape *shape)
{
    const int32_t n = shape->axes[0].n_cells, k = d->shapes->n_outputs;
    const int32_t shown = n - 1 < LEVELS_MAX ? n - 1 : LEVELS_MAX;
    double most = 1e-300;
    for (int32_t cell = 0; cell <= shown; cell++) {
        if (cell > 0 || shape->shares[0] > 0) most = fmax(most, fabs(shape->scores[cell * k]));
    }
    begin_figure(d, shape);
    qn_str_add(d->out,
               "<div class=\"scroll\"><table class=\"bars levels\"><thead><tr><th>level</th>");
    if (k == 1) qn_str_add(d->out, "<th></th><th>score</th>");
    for (int32_t c = 0; k > 1 && c < n_lines(d); c++) {
        qn_html_element(d->out, "th", class_of(d, c));
    }
    qn_str_add(d->out, "<th>rows</th></tr></thead>");
    for (int32_t cell = 1; cell <= shown; cell++) {
        level_row(d, shape, cell, most);
    }
    if (shape->shares[0] > 0) level_row(d, shape, 0, most);
    qn_str_add(d->out, "</table></div>");
    if (n - 1 > shown) {
        qn_str_addf(d->out, "<small>%d rarer levels are not shown</small>", (int)(n - 1 - shown));
    }
    qn_str_add(d->out, "</figure>");
}

/* Pairs. */

/* Labels of cells 1 … of an axis: the level, or the upper edge; "" for most of many. */
static const char **make_labels(const qn_shape_axis *axis, char *room)
{
    const int32_t n = axis->n_cells - 1, every = (n + LABELS_MAX - 1) / LABELS_MAX;
    const char **labels = qn_alloc_array(n, sizeof *labels);
    for (int32_t i = 0; labels && i < n; i++) {
        char *text = room + (size_t)i * LABEL_BYTES;
        labels[i] = "";
        if (i % every != 0) continue;
        if (axis->categorical) {
            labels[i] = axis->levels[1 + i] ? axis->levels[1 + i] : "";
        } else if (i + 1 < n) {
            const double edge = axis->edges[i];
            const bool whole = fabs(edge) >= 1000 && fabs(edge) < 1e6;
            snprintf(text, LABEL_BYTES, whole ? "%.0f" : "%.3g", edge);
            labels[i] = text;
        }
    }
    return labels;
}

/* Levels of tint, the strongest first: 0 … N_TINTS - 1 where a score raises, the next N_TINTS where
 * it lowers; cells missing on an axis are left out. */
static double fill_tints(const qn_shape *shape, int32_t *tints)
{
    const int32_t n_a = shape->axes[0].n_cells, n_b = shape->axes[1].n_cells;
    double most = 1e-300;
    for (int64_t i = 0; i < shape->n_cells; i++) {
        if (i / n_b > 0 && i % n_b > 0) most = fmax(most, fabs(shape->scores[i]));
    }
    for (int32_t b = 1; b < n_b; b++) {
        for (int32_t a = 1; a < n_a; a++) {
            const double score = shape->scores[(int64_t)a * n_b + b];
            const int32_t step = (int32_t)fmin(N_TINTS, N_TINTS * fabs(score) / most + 0.5);
            tints[(int64_t)(b - 1) * (n_a - 1) + a - 1] =
                step == 0 ? -1 : (score < 0 ? N_TINTS : 0) + N_TINTS - step;
        }
    }
    return most;
}

static void draw_cells(const struct drawing *d, const qn_shape *shape, const char *const *a_labels,
                       const char *const *b_labels, int32_t *tints)
{
    static const char *const classes[2 * N_TINTS] = {"l0", "l2", "l4", "l6",
                                                     "n0", "n1", "n2", "n3"};
    const qn_shape_axis *a = &shape->axes[0], *b = &shape->axes[1];
    qn_chart chart = {
        .title = "pair",
        .x = {.label = a->name, .categories = a_labels, .n_categories = a->n_cells - 1},
        .y = {.label = b->name, .categories = b_labels, .n_categories = b->n_cells - 1}};
    const double most = fill_tints(shape, tints);
    qn_chart_begin(d->out, &chart);
    for (int32_t tint = 0; tint < 2 * N_TINTS; tint++) {
        qn_chart_cells(d->out, &chart, classes[tint], tints, a->n_cells - 1, b->n_cells - 1, tint);
    }
    qn_chart_end(d->out);
    qn_str_add(d->out, "<small>the strongest colours: ±");
    qn_html_number(d->out, most);
    qn_str_add(d->out, "</small>");
}

static void draw_pair(const struct drawing *d, const qn_shape *shape)
{
    const qn_shape_axis *a = &shape->axes[0], *b = &shape->axes[1];
    if (a->n_cells < 2 || b->n_cells < 2) return;
    char *room = qn_alloc_array((int64_t)a->n_cells + b->n_cells, LABEL_BYTES);
    const char **a_labels = room ? make_labels(a, room) : NULL;
    const char **b_labels =
        a_labels ? make_labels(b, room + (size_t)a->n_cells * LABEL_BYTES) : NULL;
    int32_t *tints = qn_alloc_array(shape->n_cells, sizeof *tints);
    begin_figure(d, shape);
    if (b_labels && tints) {
        draw_cells(d, shape, a_labels, b_labels, tints);
    } else {
        d->out->failed = true;
    }
    qn_str_add(d->out, "</figure>");
    qn_free(tints);
    qn_free(a_labels);
    qn_free(b_labels);
    qn_free(room);
}

/* The section. */

static void introduce(const struct drawing *d)
{
    const qn_shapes *s = d->shapes;
    const bool classes = d->request->schema->n_classes > 0;
    qn_str_add(d->out, "<section><h2>Shape functions</h2><p>");
    qn_html_text(d->out, s->candidate);
    qn_str_addf(d->out, " (weight %.2f) adds up one score for each term: ", s->weight);
    if (classes && s->n_outputs == 1) {
        qn_str_add(d->out, "log-odds of ");
        qn_html_text(d->out, class_of(d, 0));
    } else {
        qn_str_add(d->out, classes ? "log-odds of each class" : "units of the target");
    }
    qn_str_add(d->out, ", from ");
    qn_html_number(d->out, s->intercepts[0]);
    qn_str_addf(d->out, " on. Mean of %d models", (int)s->n_models);
    if (s->n_outputs == 1 && s->n_models > 1) {
        qn_str_add(d->out, "; thin lines are a standard deviation between them away");
    }
    qn_str_add(d->out,
               ". Grey: where the rows are. Beside each term: the mean size of its "
               "score. In maps blue raises, orange lowers; labels are the cells' upper ends.");
    for (int32_t c = 0; s->n_outputs > 1 && c < n_lines(d); c++) {
        qn_str_addf(d->out, "%s<b style=\"color:var(--q%d)\">", c ? ", " : " Lines: ", (int)c);
        qn_html_text(d->out, class_of(d, c));
        qn_str_add(d->out, "</b>");
    }
    qn_str_add(d->out, "</p><div class=\"figures\">");
}

static void draw_shapes(const struct drawing *d)
{
    int64_t n_drawn = 0;
    introduce(d);
    for (int64_t i = 0; i < d->shapes->n && n_drawn < SHAPES_MAX; i++) {
        const qn_shape *shape = &d->shapes->items[i];
        const bool pair = shape->n_axes == 2;
        if (!(shape->importance > 0) || (pair && d->shapes->n_outputs > 1)) continue;
        n_drawn++;
        if (pair) {
            draw_pair(d, shape);
        } else if (shape->axes[0].categorical) {
            draw_levels(d, shape);
        } else {
            draw_number(d, shape);
        }
    }
    qn_str_add(d->out, "</div>");
    if (d->shapes->n > n_drawn) {
        qn_str_addf(d->out,
                    "<p class=\"soft\">%lld more terms: <code>quern explain MODEL --shapes</code>"
                    "</p>",
                    (long long)(d->shapes->n - n_drawn));
    }
    qn_str_add(d->out, "</section>");
}

void qn_report_shapes(const qn_report_request *request, qn_str *out)
{
    qn_shapes shapes;
    if (qn_shapes_create(request->predictor, &shapes, NULL) != QN_OK) {
        out->failed = true;
        return;
    }
    const struct drawing drawing = {.request = request, .shapes = &shapes, .out = out};
    if (shapes.n > 0) draw_shapes(&drawing);
    qn_shapes_release(&shapes);
}
