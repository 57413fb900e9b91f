/* SPDX-License-Identifier: Apache-2.0 */
/* Charts as inline SVG, coloured by the page's CSS, so that they follow light and dark and print.
 *
 * Threads: one thread at a time per string. */
#ifndef QN_REPORT_SVG_H
#define QN_REPORT_SVG_H

#include "base/str.h"

#include <stdint.h>

/* Small bars for a column's histogram: no axes. */
void qn_svg_spark(qn_str *out, const double *heights, int32_t n, const char *title);

typedef struct qn_svg_series {
    const double *x, *y;
    int32_t n;
    const char *name;
    bool points; /* dots rather than a line */
} qn_svg_series;

typedef struct qn_svg_plot {
    const char *title, *x_label, *y_label;
    double x_low, x_high, y_low, y_high; /* equal: from the series */
    bool diagonal;                       /* a thin line from corner to corner */
    const qn_svg_series *series;
    int32_t n_series;
} qn_svg_plot;

/* Lines or dots over axes with round ticks. */
void qn_svg_plot_write(qn_str *out, const qn_svg_plot *plot);
/* Bars between edges[i] and edges[i + 1]. */
void qn_svg_histogram(qn_str *out, const double *edges, const double *counts, int32_t n,
                      const char *title, const char *x_label);

#endif
