/* SPDX-License-Identifier: Apache-2.0 */
/* Chart: two axes with round ticks – linear, logarithmic or of categories – and layers of marks
 * over them, as inline SVG. A layer has a CSS class (page.h has the colours) and is one path
 * however many marks it has, so that thousands of them stay small. Marks that are not finite are
 * left out; those beyond the axes stand at their ends.
 *
 *     qn_chart chart = {.title = "history", .x = {…}, .y = {…}};
 *     qn_chart_begin(out, &chart);
 *     qn_chart_dots(out, &chart, "dots", x, y, n);
 *     qn_chart_end(out);
 *
 * Threads: one thread at a time per string. */
#ifndef QN_REPORT_CHART_H
#define QN_REPORT_CHART_H

#include "base/str.h"

#include <stdint.h>

typedef struct qn_axis {
    const char *label;
    double low, high; /* at the ends, finite; log: above 0 */
    bool log;
    double margin;                 /* free at both ends, as a share of the axis */
    const char *const *categories; /* values are their indices; sets low and high; or NULL */
    int32_t n_categories;
} qn_axis;

typedef struct qn_chart {
    const char *title;     /* for those who cannot see it */
    int32_t width, height; /* of the picture's coordinates; 0: 360 × 260 */
    qn_axis x, y;
} qn_chart;

/* Widens axes of one value, then draws them. */
void qn_chart_begin(qn_str *out, qn_chart *chart);
void qn_chart_end(qn_str *out);

/* Where a value stands in the picture, after qn_chart_begin(). */
double qn_chart_x(const qn_chart *chart, double x);
double qn_chart_y(const qn_chart *chart, double y);

/* Dots; of those on the same half of a pixel, one. */
void qn_chart_dots(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                   const double *y, int64_t n);
/* A line from point to point, interrupted where one is not finite. */
void qn_chart_line(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                   const double *y, int64_t n);
/* A line that keeps its height until the next point. */
void qn_chart_steps(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                    const double *y, int64_t n);
/* Level bars from x[i] to x_end[i] at y[i]. */
void qn_chart_spans(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                    const double *x_end, const double *y, int64_t n);
/* Filled bars from x[i] to x_end[i], standing on the lower axis, heights[i] (0 … 1) of the picture
 * high. */
void qn_chart_bars(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                   const double *x_end, const double *heights, int64_t n);
/* Those of n_columns × n_rows equal cells between the margins, from the lower left and row by row,
 * whose level it is. */
void qn_chart_cells(qn_str *out, const qn_chart *chart, const char *css_class,
                    const int32_t *levels, int64_t n_columns, int64_t n_rows, int32_t level);

#endif
