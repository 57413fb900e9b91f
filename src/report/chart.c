/* SPDX-License-Identifier: Apache-2.0 */
#include "report/chart.h"

#include "base/alloc.h"
#include "base/number.h"
#include "report/html.h"

#include <string.h>

/* The margins of the picture. Names of categories need more room on the left than numbers. */
enum { WIDTH = 360, HEIGHT = 260, LEFT = 52, RIGHT = 10, TOP = 10, BOTTOM = 40 };
enum { LEFT_OF_CATEGORIES = 92, CATEGORIES_LABELLED = 12, CATEGORY_BYTES_MAX = 11 };

/* Axes. */

/* 0 at the low end, 1 at the high one; halves, because the range may overflow. */
static double share_of(const qn_axis *axis, double value)
{
    const double low = axis->log ? log(axis->low) : axis->low;
    const double high = axis->log ? log(axis->high) : axis->high;
    const double at = axis->log ? log(value) : value;
    const double share = (0.5 * at - 0.5 * low) / (0.5 * high - 0.5 * low);
    return axis->margin + (1 - 2 * axis->margin) * fmin(fmax(share, 0), 1);
}

static int32_t left_of(const qn_chart *chart)
{
    return chart->y.categories ? LEFT_OF_CATEGORIES : LEFT;
}

double qn_chart_x(const qn_chart *chart, double x)
{
    return left_of(chart) + share_of(&chart->x, x) * (chart->width - left_of(chart) - RIGHT);
}

double qn_chart_y(const qn_chart *chart, double y)
{
    return chart->height - BOTTOM - share_of(&chart->y, y) * (chart->height - TOP - BOTTOM);
}

/* A range of one value, or one too narrow to be halved, becomes a wider one. */
static void widen(qn_axis *axis)
{
    if (axis->categories) {
        axis->low = -0.5;
        axis->high = axis->n_categories - 0.5;
        axis->log = false;
        axis->margin = 0;
    }
    if (axis->log && !(axis->low > 0)) axis->log = false;
    if (axis->log && !(log(axis->low) < log(axis->high))) axis->log = false;
    if (!(0.5 * axis->low < 0.5 * axis->high)) {
        axis->high = axis->low + fmax(1, 1e-6 * fabs(axis->low));
    }
}

/* Ticks. */

struct ticks {
    double first, step; /* tick i stands at (first + i) * step, of a log axis at 10 to that */
    int n;
};

/* Ticks at a round step that cuts the range into four to eight parts; none where the range is too
 * narrow or too wide for arithmetic. */
static struct ticks ticks_of(double low, double high)
{
    const double rough = (0.5 * high - 0.5 * low) / 2.5; /* halves: the range may overflow */
    const double power = pow(10, floor(log10(rough))), share = rough / power;
    const double step = power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
    if (!(step > 0) || !isfinite(step)) return (struct ticks){0};
    const double first = ceil(low / step - 1e-9), last = floor(high / step + 1e-9);
    return (struct ticks){first, step, last - first < 20 ? (int)(last - first) + 1 : 0};
}

/* Whole powers of ten, or of a multiple of it. */
static struct ticks decades_of(double low, double high)
{
    const double from = log10(low), to = log10(high);
    const double step = fmax(1, ceil((to - from) / 6));
    const double first = ceil(from / step - 1e-9), last = floor(to / step + 1e-9);
    return (struct ticks){first, step, last >= first ? (int)(last - first) + 1 : 0};
}

static void add_number(qn_str *out, double value)
{
    if (fabs(value) >= 1e9) {
        qn_str_addf(out, "%.3g", value);
    } else if (fabs(value) >= 1e6) {
        qn_str_addf(out, "%.3gM", value / 1e6);
    } else if (fabs(value) >= 1e4) {
        qn_str_addf(out, "%.4gk", value / 1e3);
    } else {
        qn_str_addf(out, "%.6g", fabs(value) < 1e-12 ? 0 : value);
    }
}

static void add_power(qn_str *out, double exponent)
{
    if (exponent >= -3 && exponent <= 3) {
        qn_str_addf(out, "%g", pow(10, exponent));
    } else {
        qn_str_addf(out, "1e%.0f", exponent);
    }
}

/* A long category ends in "…", between characters. */
static void add_category(qn_str *out, const char *text)
{
    size_t bytes = strlen(text);
    if (bytes <= CATEGORY_BYTES_MAX) {
        qn_html_text(out, text);
        return;
    }
    bytes = CATEGORY_BYTES_MAX - 2;
    while (bytes > 0 && ((unsigned char)text[bytes] & 0xc0) == 0x80) {
        bytes--;
    }
    qn_html_text_bytes(out, text, bytes);
    qn_str_add(out, "…");
}

static void begin_tick_x(qn_str *out, const qn_chart *chart, double x)
{
    qn_str_addf(out, "<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">",
                qn_chart_x(chart, x), chart->height - BOTTOM + 15);
}

static void begin_tick_y(qn_str *out, const qn_chart *chart, double y)
{
    const double at = qn_chart_y(chart, y);
    qn_str_addf(out,
                "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"tick\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">",
                left_of(chart), chart->width - RIGHT, at, at, left_of(chart) - 6, at + 4);
}

typedef void begin_tick(qn_str *out, const qn_chart *chart, double value);

static void add_categories(qn_str *out, const qn_chart *chart, const qn_axis *axis,
                           begin_tick *begin)
{
    const int32_t every = (axis->n_categories + CATEGORIES_LABELLED - 1) / CATEGORIES_LABELLED;
    for (int32_t i = 0; i < axis->n_categories; i += every) {
        begin(out, chart, i);
        add_category(out, axis->categories[i]);
        qn_str_add(out, "</text>");
    }
}

static void add_ticks(qn_str *out, const qn_chart *chart, const qn_axis *axis, begin_tick *begin)
{
    if (axis->categories) {
        add_categories(out, chart, axis, begin);
        return;
    }
    const struct ticks decades = axis->log ? decades_of(axis->low, axis->high) : (struct ticks){0};
    const struct ticks ticks = decades.n > 1 ? decades : ticks_of(axis->low, axis->high);
    for (int i = 0; i < ticks.n; i++) {
        const double at = (ticks.first + i) * ticks.step;
        if (decades.n > 1) {
            begin(out, chart, pow(10, at));
            add_power(out, at);
        } else {
            if (axis->log && !(at > 0)) continue;
            begin(out, chart, at);
            add_number(out, at);
        }
        qn_str_add(out, "</text>");
    }
}

void qn_chart_begin(qn_str *out, qn_chart *chart)
{
    if (chart->width == 0) chart->width = WIDTH;
    if (chart->height == 0) chart->height = HEIGHT;
    widen(&chart->x);
    widen(&chart->y);
    qn_str_addf(out, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\"><title>", chart->width,
                chart->height);
    qn_html_text(out, chart->title);
    qn_str_add(out, "</title>");
    add_ticks(out, chart, &chart->x, begin_tick_x);
    add_ticks(out, chart, &chart->y, begin_tick_y);
    qn_str_addf(out, "<text class=\"label\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">",
                (left_of(chart) + chart->width - RIGHT) / 2, chart->height - 6);
    qn_html_text(out, chart->x.label);
    qn_str_addf(out,
                "</text><text class=\"label\" text-anchor=\"middle\" transform=\"rotate(-90)\" "
                "x=\"%d\" y=\"12\">",
                -(TOP + chart->height - BOTTOM) / 2);
    qn_html_text(out, chart->y.label);
    qn_str_add(out, "</text>");
}

void qn_chart_end(qn_str *out)
{
    qn_str_add(out, "</svg>");
}

/* Layers. */

static bool is_drawn(const qn_axis *axis, double value)
{
    return isfinite(value) && !(axis->log && !(value > 0));
}

static bool are_drawn(const qn_chart *chart, double x, double y)
{
    return is_drawn(&chart->x, x) && is_drawn(&chart->y, y);
}

static void begin_path(qn_str *out, const char *css_class)
{
    qn_str_addf(out, "<path class=\"%s\" d=\"", css_class);
}

static void add_point(qn_str *out, char command, double x, double y)
{
    qn_str_addf(out, "%c%.4g %.4g", command, x, y);
}

void qn_chart_dots(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                   const double *y, int64_t n)
{
    const int64_t across = 2 * chart->width + 2, cells = across * (2 * chart->height + 2);
    uint8_t *taken = n > 0 ? qn_alloc_array(cells, sizeof *taken) : NULL;
    if (n == 0) return;
    if (!taken) {
        out->failed = true;
        return;
    }
    begin_path(out, css_class);
    for (int64_t i = 0; i < n; i++) {
        if (!are_drawn(chart, x[i], y[i])) continue;
        const double left = qn_chart_x(chart, x[i]), top = qn_chart_y(chart, y[i]);
        uint8_t *cell = &taken[(int64_t)(2 * top + 0.5) * across + (int64_t)(2 * left + 0.5)];
        if (*cell) continue;
        *cell = 1;
        add_point(out, 'M', left, top);
        qn_str_add(out, "h0");
    }
    qn_str_add(out, "\"/>");
    qn_free(taken);
}

void qn_chart_line(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                   const double *y, int64_t n)
{
    bool is_begun = false;
    if (n == 0) return;
    begin_path(out, css_class);
    for (int64_t i = 0; i < n; i++) {
        if (are_drawn(chart, x[i], y[i])) {
            add_point(out, is_begun ? 'L' : 'M', qn_chart_x(chart, x[i]), qn_chart_y(chart, y[i]));
            is_begun = true;
        } else {
            is_begun = false;
        }
    }
    qn_str_add(out, "\"/>");
}

void qn_chart_steps(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                    const double *y, int64_t n)
{
    double last = QN_NA;
    if (n == 0) return;
    begin_path(out, css_class);
    for (int64_t i = 0; i < n; i++) {
        if (!are_drawn(chart, x[i], y[i])) continue;
        if (isnan(last)) {
            add_point(out, 'M', qn_chart_x(chart, x[i]), qn_chart_y(chart, y[i]));
        } else if (y[i] != last || i + 1 == n) {
            qn_str_addf(out, "H%.4gV%.4g", qn_chart_x(chart, x[i]), qn_chart_y(chart, y[i]));
        }
        last = y[i];
    }
    qn_str_add(out, "\"/>");
}

void qn_chart_spans(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                    const double *x_end, const double *y, int64_t n)
{
    if (n == 0) return;
    begin_path(out, css_class);
    for (int64_t i = 0; i < n; i++) {
        if (!are_drawn(chart, x[i], y[i]) || !is_drawn(&chart->x, x_end[i])) continue;
        const double left = qn_chart_x(chart, x[i]), right = qn_chart_x(chart, x_end[i]);
        add_point(out, 'M', left, qn_chart_y(chart, y[i]));
        qn_str_addf(out, "h%.4g", fmax(0.5, right - left));
    }
    qn_str_add(out, "\"/>");
}

void qn_chart_bars(qn_str *out, const qn_chart *chart, const char *css_class, const double *x,
                   const double *x_end, const double *heights, int64_t n)
{
    if (n == 0) return;
    begin_path(out, css_class);
    for (int64_t i = 0; i < n; i++) {
        if (!is_drawn(&chart->x, x[i]) || !is_drawn(&chart->x, x_end[i]) || !(heights[i] > 0)) {
            continue;
        }
        const double left = qn_chart_x(chart, x[i]), across = qn_chart_x(chart, x_end[i]) - left;
        const double high = heights[i] * (chart->height - TOP - BOTTOM);
        add_point(out, 'M', left, chart->height - BOTTOM);
        qn_str_addf(out, "v%.4gh%.4gv%.4gz", -high, fmax(0.5, across), high);
    }
    qn_str_add(out, "\"/>");
}

void qn_chart_cells(qn_str *out, const qn_chart *chart, const char *css_class,
                    const int32_t *levels, int64_t n_columns, int64_t n_rows, int32_t level)
{
    const double left = qn_chart_x(chart, chart->x.low), top = qn_chart_y(chart, chart->y.high);
    const double width = (qn_chart_x(chart, chart->x.high) - left) / (double)n_columns;
    const double height = (qn_chart_y(chart, chart->y.low) - top) / (double)n_rows;
    begin_path(out, css_class);
    for (int64_t row = 0; row < n_rows; row++) {
        const int32_t *cells = levels + (n_rows - 1 - row) * n_columns;
        for (int64_t begin = 0; begin < n_columns; begin++) {
            int64_t end = begin;
            while (end < n_columns && cells[end] == level) {
                end++;
            }
            if (end == begin) continue;
            const double across = (double)(end - begin) * width;
            qn_str_addf(out, "M%.5g %.5gh%.5gv%.5gh%.5gz", left + (double)begin * width,
                        top + (double)row * height, across, height, -across);
            begin = end;
        }
    }
    qn_str_add(out, "\"/>");
}
