/* SPDX-License-Identifier: Apache-2.0 */
#include "report/svg.h"

#include "base/number.h"
#include "report/html.h"

enum { WIDTH = 360, HEIGHT = 260, LEFT = 52, RIGHT = 10, TOP = 10, BOTTOM = 40 };

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

struct ticks {
    double first, step; /* tick i stands at (first + i) * step */
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

struct frame {
    double x_low, x_high, y_low, y_high;
};

static double place_x(const struct frame *f, double x)
{
    const double share = (0.5 * x - 0.5 * f->x_low) / (0.5 * f->x_high - 0.5 * f->x_low);
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double place_y(const struct frame *f, double y)
{
    const double share = (0.5 * y - 0.5 * f->y_low) / (0.5 * f->y_high - 0.5 * f->y_low);
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
}

static void add_tick(qn_str *out, double value)
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

static void begin(qn_str *out, const struct frame *f, const char *title, const char *x_label,
                  const char *y_label)
{
    qn_str_addf(out, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\"><title>", WIDTH,
                HEIGHT);
    qn_html_text(out, title);
    qn_str_add(out, "</title>");
    const struct ticks across = ticks_of(f->x_low, f->x_high), up = ticks_of(f->y_low, f->y_high);
    for (int i = 0; i < across.n; i++) {
        const double x = (across.first + i) * across.step;
        qn_str_addf(out, "<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">",
                    place_x(f, x), HEIGHT - BOTTOM + 15);
        add_tick(out, x);
        qn_str_add(out, "</text>");
    }
    for (int i = 0; i < up.n; i++) {
        const double y = (up.first + i) * up.step;
        qn_str_addf(out,
                    "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                    "<text class=\"tick\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">",
                    LEFT, WIDTH - RIGHT, place_y(f, y), place_y(f, y), LEFT - 6, place_y(f, y) + 4);
        add_tick(out, y);
        qn_str_add(out, "</text>");
    }
    qn_str_addf(out, "<text class=\"label\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">",
                (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6);
    qn_html_text(out, x_label);
    qn_str_addf(out,
                "</text><text class=\"label\" text-anchor=\"middle\" transform=\"rotate(-90)\" "
                "x=\"%d\" y=\"12\">",
                -(TOP + HEIGHT - BOTTOM) / 2);
    qn_html_text(out, y_label);
    qn_str_add(out, "</text>");
}

/* A range of one value, or one too narrow to be halved, becomes a wider one. */
static void widen(const double *low, double *high)
{
    if (!(0.5 * *low < 0.5 * *high)) *high = *low + fmax(1, 1e-6 * fabs(*low));
}

static void find_range(const qn_svg_plot *plot, struct frame *f)
{
    *f = (struct frame){plot->x_low, plot->x_high, plot->y_low, plot->y_high};
    if (f->x_low < f->x_high && f->y_low < f->y_high) return;
    *f = (struct frame){1e300, -1e300, 1e300, -1e300};
    for (int32_t s = 0; s < plot->n_series; s++) {
        for (int32_t i = 0; i < plot->series[s].n; i++) {
            f->x_low = fmin(f->x_low, plot->series[s].x[i]);
            f->x_high = fmax(f->x_high, plot->series[s].x[i]);
            f->y_low = fmin(f->y_low, plot->series[s].y[i]);
            f->y_high = fmax(f->y_high, plot->series[s].y[i]);
        }
    }
    if (plot->diagonal) {
        f->x_low = f->y_low = fmin(f->x_low, f->y_low);
        f->x_high = f->y_high = fmax(f->x_high, f->y_high);
    }
    widen(&f->x_low, &f->x_high);
    widen(&f->y_low, &f->y_high);
}

void qn_svg_plot_write(qn_str *out, const qn_svg_plot *plot)
{
    struct frame f;
    find_range(plot, &f);
    begin(out, &f, plot->title, plot->x_label, plot->y_label);
    if (plot->diagonal) {
        qn_str_addf(out,
                    "<line class=\"diagonal\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
                    place_x(&f, f.x_low), place_y(&f, f.y_low), place_x(&f, f.x_high),
                    place_y(&f, f.y_high));
    }
    for (int32_t s = 0; s < plot->n_series; s++) {
        const qn_svg_series *series = &plot->series[s];
        if (series->n == 0) continue;
        if (!series->points) qn_str_addf(out, "<polyline class=\"line s%d\" points=\"", s);
        for (int32_t i = 0; i < series->n; i++) {
            const double x = place_x(&f, series->x[i]), y = place_y(&f, series->y[i]);
            if (series->points) {
                qn_str_addf(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\"/>", x, y);
            } else {
                qn_str_addf(out, "%.1f,%.1f ", x, y);
            }
        }
        if (!series->points) qn_str_add(out, "\"/>");
    }
    qn_str_add(out, "</svg>");
}

void qn_svg_histogram(qn_str *out, const double *edges, const double *counts, int32_t n,
                      const char *title, const char *x_label)
{
    double most = 1;
    for (int32_t i = 0; i < n; i++) {
        most = fmax(most, counts[i]);
    }
    struct frame f = {edges[0], edges[n], 0, most};
    widen(&f.x_low, &f.x_high);
    begin(out, &f, title, x_label, "rows");
    for (int32_t i = 0; i < n; i++) {
        const double x = place_x(&f, edges[i]), y = place_y(&f, counts[i]);
        qn_str_addf(out,
                    "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", x,
                    y, fmax(1, place_x(&f, edges[i + 1]) - x - 1), HEIGHT - BOTTOM - y);
    }
    qn_str_add(out, "</svg>");
}
