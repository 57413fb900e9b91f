/* SPDX-License-Identifier: Apache-2.0 */
/* Charts of any numbers are finite drawings of bounded size; text is escaped. */
#include "report/html.h"
#include "report/svg.h"

#include "check.h"

static qn_str plot_of(const double *x, const double *y, int32_t n, bool points)
{
    qn_str out = {0};
    const qn_svg_series series = {.x = x, .y = y, .n = n, .points = points};
    const qn_svg_plot plot = {.title = "title",
                              .x_label = "across",
                              .y_label = "up",
                              .diagonal = points,
                              .series = &series,
                              .n_series = 1};
    qn_svg_plot_write(&out, &plot);
    CHECK(!out.failed);
    return out;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    return n;
}

static void check_drawing(const char *svg)
{
    CHECK(strlen(svg) < 20000);
    CHECK(!strstr(svg, "nan") && !strstr(svg, "inf"));
    CHECK_INT(count(svg, "<svg"), 1);
    CHECK_INT(count(svg, "</svg>"), 1);
    CHECK_INT(count(svg, "<text"), count(svg, "</text>"));
}

static void numbers_of_any_size_are_drawn(void **state)
{
    (void)state;
    static const double pairs[][2] = {{0, 1},
                                      {0, 0},
                                      {5, 5},
                                      {-3, 4},
                                      {1e17, 1e17 + 16},
                                      {1e20, 1e20},
                                      {-1e300, 1e300},
                                      {1e-300, 2e-300},
                                      {-5e307, 5e307},
                                      {0, 5e-324},
                                      {1e9, 1e9 + 1},
                                      {-1e-9, 1e-9},
                                      {1e15, 1e15 + 0.125}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        for (size_t j = 0; j < sizeof pairs / sizeof *pairs; j++) {
            for (int points = 0; points < 2; points++) {
                qn_str out = plot_of(pairs[i], pairs[j], 2, points);
                check_drawing(out.text);
                qn_str_release(&out);
            }
        }
        qn_str out = {0};
        double edges[4];
        for (int e = 0; e < 4; e++) {
            edges[e] = pairs[i][0] * (3 - e) / 3 + pairs[i][1] * e / 3;
        }
        qn_svg_histogram(&out, edges, (const double[]){3, 0, 1e12}, 3, "title", "x");
        check_drawing(out.text);
        qn_str_release(&out);
    }
}

static void ticks_are_round_and_few(void **state)
{
    (void)state;
    qn_str out = plot_of((const double[]){0, 1}, (const double[]){0, 50}, 2, false);
    static const char *const expected[] = {">0<",  ">0.2<", ">0.4<", ">0.6<", ">0.8<", ">1<",
                                           ">10<", ">20<",  ">30<",  ">40<",  ">50<"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        CHECK_CONTAINS(out.text, expected[i]);
    }
    CHECK_INT(count(out.text, "class=\"tick\""), 12);
    qn_str_release(&out);
}

static void points_stand_where_their_numbers_say(void **state)
{
    (void)state;
    qn_str out = plot_of((const double[]){0, 1, 0.5}, (const double[]){0, 1, 0.25}, 3, true);
    CHECK_CONTAINS(out.text, "M52 220h0");    /* the lower left corner */
    CHECK_CONTAINS(out.text, "M350 10h0");    /* the upper right one */
    CHECK_CONTAINS(out.text, "M201 167.5h0"); /* half across, a quarter up */
    qn_str_release(&out);
}

static void bars_of_nothing_are_an_empty_chart(void **state)
{
    (void)state;
    qn_str out = {0};
    qn_svg_spark(&out, (const double[]){0, 0, 0}, 3, "<none>");
    CHECK_TEXT(out.text, "<svg class=\"spark\" viewBox=\"0 0 120 28\" role=\"img\"><title>&lt;none"
                         "&gt;</title></svg>");
    qn_str_clear(&out);
    qn_svg_spark(&out, NULL, 0, "");
    CHECK_INT(count(out.text, "<rect"), 0);
    qn_str_release(&out);
}

static void text_is_escaped_and_control_characters_dropped(void **state)
{
    (void)state;
    qn_str out = {0};
    qn_html_text(&out, "</script><b> & \"x\" 'y'\x01\x1f\x0b\ttab\n\xc3\xa9");
    CHECK_TEXT(out.text, "&lt;/script&gt;&lt;b&gt; &amp; &quot;x&quot; &#39;y&#39;\ttab\n\xc3\xa9");
    qn_str_clear(&out);
    qn_html_element(&out, "th", "<i>");
    CHECK_TEXT(out.text, "<th>&lt;i&gt;</th>");
    qn_str_clear(&out);
    qn_html_text_bytes(&out, "a<b", 2);
    CHECK_TEXT(out.text, "a&lt;");
    qn_str_release(&out);
}

static void numbers_are_written_for_people(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0.0000"},
                 {0.12345, "0.1235"},
                 {12.3456, "12.35"},
                 {123.456, "123.46"},
                 {7, "7"},
                 {1234.56, "1234.6"},
                 {1234567, "1\u202f234\u202f567"},
                 {-45678.9, "−45\u202f679"},
                 {1e-7, "1e-07"},
                 {1e20, "1e+20"},
                 {QN_NA, "–"},
                 {QN_INF, "–"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_str out = {0};
        qn_html_number(&out, cases[i].value);
        CHECK_TEXT(out.text, cases[i].text);
        qn_str_release(&out);
    }
}

RUN_TESTS(TEST(numbers_of_any_size_are_drawn), TEST(ticks_are_round_and_few),
          TEST(points_stand_where_their_numbers_say), TEST(bars_of_nothing_are_an_empty_chart),
          TEST(text_is_escaped_and_control_characters_dropped),
          TEST(numbers_are_written_for_people))
