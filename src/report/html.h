/* SPDX-License-Identifier: Apache-2.0 */
/* Text into HTML: everything that comes from a table is escaped here.
 *
 * Threads: one thread at a time per string. */
#ifndef QN_REPORT_HTML_H
#define QN_REPORT_HTML_H

#include "base/str.h"

/* Text with & < > " ' escaped and control characters dropped. */
void qn_html_text(qn_str *out, const char *text);
void qn_html_text_bytes(qn_str *out, const char *text, size_t bytes);
/* A number as people read it: four significant digits, thousands apart, "–" for NaN. */
void qn_html_number(qn_str *out, double value);
/* <tag>escaped text</tag> */
void qn_html_element(qn_str *out, const char *tag, const char *text);

#endif
