/* SPDX-License-Identifier: Apache-2.0 */
#include "report/svg.h"

#include "base/number.h"
#include "report/chart.h"
#include "report/html.h"

void qn_svg_spark(qn_str *out, const double *heights, int32_t n, const char *title)
{
    double most = 0;
    for (int32_t i = 0; i < n; i++) {
        most = fmax(most, heights[i]);
    }
    qn_str_add(out, "<svg class=\"spark\" viewBox=\"0 0 120 28\" role=\"img\"><title>");
    qn_html_text(out, title);
    qn_str_add(out, "</title>");
    for (int32_t i = 0; i < n && most > 0; i++) {
        const double height = 26 * heights[i] / most, width = 120.0 / n;
        qn_str_addf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", i * width,
                    27 - height, fmax(1, width - 1), height + 1);
    }
    qn_str_add(out, "</svg>");
}

/* A range that leaves nothing to find out, or that of the series. */
static void find_ranges(const qn_svg_plot *plot, qn_axis *x, qn_axis *y)
{
    *x = (qn_axis){.label = plot->x_label, .low = plot->x_low, .high = plot->x_high};
    *y = (qn_axis){.label = plot->y_label, .low = plot->y_low, .high = plot->y_high};
    if (x->low < x->high && y->low < y->high) return;
    x->low = y->low = 1e300;
    x->high = y->high = -1e300;
    for (int32_t s = 0; s < plot->n_series; s++) {
        for (int32_t i = 0; i < plot->series[s].n; i++) {
            x->low = fmin(x->low, plot->series[s].x[i]);
            x->high = fmax(x->high, plot->series[s].x[i]);
            y->low = fmin(y->low, plot->series[s].y[i]);
            y->high = fmax(y->high, plot->series[s].y[i]);
        }
    }
    if (plot->diagonal) {
        x->low = y->low = fmin(x->low, y->low);
        x->high = y->high = fmax(x->high, y->high);
    }
}

void qn_svg_plot_write(qn_str *out, const qn_svg_plot *plot)
{
    qn_chart chart = {.title = plot->title};
    find_ranges(plot, &chart.x, &chart.y);
    qn_chart_begin(out, &chart);
    if (plot->diagonal) {
        const double x[] = {chart.x.low, chart.x.high}, y[] = {chart.y.low, chart.y.high};
        qn_chart_line(out, &chart, "diagonal", x, y, 2);
    }
    for (int32_t i = 0; i < plot->n_series; i++) {
        const qn_svg_series *series = &plot->series[i];
        if (series->points) {
            qn_chart_dots(out, &chart, "dots soft-dots", series->x, series->y, series->n);
        } else {
            qn_chart_line(out, &chart, "line", series->x, series->y, series->n);
        }
    }
    qn_chart_end(out);
}

void qn_svg_histogram(qn_str *out, const double *edges, const double *counts, int32_t n,
                      const char *title, const char *x_label)
{
    qn_chart chart = {.title = title,
                      .x = {.label = x_label, .low = edges[0], .high = edges[n]},
                      .y = {.label = "rows", .high = 1}};
    for (int32_t i = 0; i < n; i++) {
        chart.y.high = fmax(chart.y.high, counts[i]);
    }
    qn_chart_begin(out, &chart);
    const double bottom = qn_chart_y(&chart, 0);
    for (int32_t i = 0; i < n; i++) {
        const double x = qn_chart_x(&chart, edges[i]), y = qn_chart_y(&chart, counts[i]);
        qn_str_addf(out,
                    "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", x,
                    y, fmax(1, qn_chart_x(&chart, edges[i + 1]) - x - 1), bottom - y);
    }
    qn_chart_end(out);
}
