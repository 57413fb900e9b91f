/* SPDX-License-Identifier: Apache-2.0 */
/* Page: the frame of every HTML report – one file, no script, nothing from elsewhere, light and
 * dark – and the style of what stands in it.
 *
 * Threads: one thread at a time per string. */
#ifndef QN_REPORT_PAGE_H
#define QN_REPORT_PAGE_H

#include "base/str.h"

/* Everything before the first section, and after the last. */
void qn_page_begin(qn_str *out, const char *title);
void qn_page_end(qn_str *out);
/* A number of the headline, within <div class="tiles">. */
void qn_page_tile(qn_str *out, const char *label, double value, const char *below);

#endif
