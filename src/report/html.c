/* SPDX-License-Identifier: Apache-2.0 */
#include "report/html.h"

#include "base/number.h"

#include <string.h>

void qn_html_text_bytes(qn_str *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '&') {
            qn_str_add(out, "&amp;");
        } else if (c == '<') {
            qn_str_add(out, "&lt;");
        } else if (c == '>') {
            qn_str_add(out, "&gt;");
        } else if (c == '"') {
            qn_str_add(out, "&quot;");
        } else if (c == '\'') {
            qn_str_add(out, "&#39;");
        } else if (c >= 0x20 || c == '\n' || c == '\t') {
            qn_str_add_char(out, (char)c);
        }
    }
}

void qn_html_text(qn_str *out, const char *text)
{
    qn_html_text_bytes(out, text, strlen(text));
}

static void add_grouped(qn_str *out, double value)
{
    char digits[QN_INT64_TEXT_BYTES];
    const size_t n = qn_format_int64((int64_t)value, digits);
    const size_t first = digits[0] == '-';
    if (first) qn_str_add(out, "−");
    for (size_t i = first; i < n; i++) {
        if (i > first && (n - i) % 3 == 0) qn_str_add(out, "\u202f");
        qn_str_add_char(out, digits[i]);
    }
}

void qn_html_number(qn_str *out, double value)
{
    const double size = fabs(value);
    if (!isfinite(value)) {
        qn_str_add(out, "–");
    } else if (size >= 1e15 || (size > 0 && size < 1e-4)) {
        qn_str_addf(out, "%.3g", value);
    } else if (size >= 10000 || (value == floor(value) && size >= 1)) {
        add_grouped(out, floor(value + 0.5));
    } else {
        qn_str_addf(out, "%.*f", size >= 1000 ? 1 : size >= 100 ? 2 : size >= 10 ? 2 : 4, value);
    }
}

void qn_html_element(qn_str *out, const char *tag, const char *text)
{
    qn_str_addf(out, "<%s>", tag);
    qn_html_text(out, text);
    qn_str_addf(out, "</%s>", tag);
}
