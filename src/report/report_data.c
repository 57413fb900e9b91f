/* SPDX-License-Identifier: Apache-2.0 */
/* Sections about the table, and how to do it all again. */
#include "report/html.h"
#include "report/report_sections.h"
#include "report/svg.h"

#include "base/number.h"

#include <string.h>

enum { COLUMNS_SHOWN = 100 };

void qn_report_findings(const qn_report_request *request, qn_str *out)
{
    const qn_record *r = request->record;
    if (r->n_warnings + r->findings.n == 0) return;
    qn_str_add(out, "<section><h2>Worth knowing</h2><ul class=\"findings\">");
    for (int64_t i = 0; i < r->findings.n; i++) {
        const bool leak = r->findings.items[i].kind == QN_FINDING_LEAK_SUSPECT;
        qn_str_add(out, leak ? "<li class=\"alert\"><b>leak suspect</b> " : "<li>");
        qn_html_text(out, r->findings.items[i].message);
        qn_str_add(out, "</li>");
    }
    for (int64_t i = 0; i < r->n_warnings; i++) {
        qn_html_element(out, "li", r->warnings[i]);
    }
    qn_str_add(out, "</ul></section>");
}

static const qn_schema_column *schema_of(const qn_report_request *request, const char *name)
{
    const int64_t col = qn_schema_find(request->schema, name);
    return col < 0 ? NULL : &request->schema->columns[col];
}

static void chart(const qn_column_profile *p, qn_str *out)
{
    double heights[QN_PROFILE_BINS];
    int32_t n = 0;
    if (p->type != QN_TYPE_STRING && p->n_bins > 0) {
        for (; n < p->n_bins; n++) {
            heights[n] = (double)p->counts[n];
        }
    } else {
        for (; n < p->n_top && n < 12; n++) {
            heights[n] = (double)p->top[n].count;
        }
    }
    qn_svg_spark(out, heights, n, p->type == QN_TYPE_STRING ? "most frequent values" : "histogram");
}

static void describe_values(const qn_column_profile *p, qn_str *out)
{
    if (p->type == QN_TYPE_STRING || p->type == QN_TYPE_BOOL) {
        for (int32_t i = 0; i < p->n_top && i < 3; i++) {
            size_t bytes = strlen(p->top[i].text);
            if (i > 0) qn_str_add(out, ", ");
            if (bytes > 24) {
                bytes = 24;
                while (bytes > 0 && ((unsigned char)p->top[i].text[bytes] & 0xc0) == 0x80) {
                    bytes--;
                }
            }
            qn_html_text_bytes(out, p->top[i].text, bytes);
            if (p->top[i].text[bytes]) qn_str_add(out, "…");
        }
        return;
    }
    if (p->type == QN_TYPE_TIMESTAMP && isfinite(p->minimum)) {
        char low[QN_VALUE_TEXT_BYTES], high[QN_VALUE_TEXT_BYTES];
        qn_timestamp_format((int64_t)p->minimum, low);
        qn_timestamp_format((int64_t)p->maximum, high);
        qn_str_addf(out, "%s … %s", low, high);
        return;
    }
    qn_html_number(out, p->minimum);
    qn_str_add(out, " … ");
    qn_html_number(out, p->quantiles[3]);
    qn_str_add(out, " … ");
    qn_html_number(out, p->maximum);
}

void qn_report_columns(const qn_report_request *request, qn_str *out)
{
    const qn_profile *profile = request->record->profile;
    if (!profile) return;
    qn_str_add(out, "<section><h2>The table</h2><p>");
    qn_html_number(out, (double)profile->n_rows);
    qn_str_addf(out, " training rows, %lld columns, %lld duplicate rows.",
                (long long)profile->n_cols, (long long)profile->n_duplicate_rows);
    if (profile->n_cols > COLUMNS_SHOWN) {
        qn_str_addf(out, " The first %d columns are shown.", COLUMNS_SHOWN);
    }
    qn_str_add(out, "</p><div class=\"scroll\"><table class=\"columns\"><thead><tr>"
                    "<th scope=\"col\">column</th><th scope=\"col\" class=\"text\">kind</th>"
                    "<th scope=\"col\" class=\"text\">values</th><th scope=\"col\" "
                    "class=\"text\">min … median … max, or most "
                    "frequent</th><th scope=\"col\">missing</th><th scope=\"col\">distinct</th>"
                    "<th scope=\"col\" title=\"share of the target explained by this column alone, "
                    "out of sample\">target</th></tr></thead>");
    for (int64_t col = 0; col < profile->n_cols && col < COLUMNS_SHOWN; col++) {
        const qn_column_profile *p = &profile->columns[col];
        const qn_schema_column *s = schema_of(request, p->name);
        const bool used = s && (s->role == QN_ROLE_FEATURE || s->role == QN_ROLE_TIME);
        qn_str_addf(out, "<tr%s><th scope=\"row\">", used ? "" : " class=\"unused\"");
        qn_html_text(out, p->name);
        qn_str_add(out, "</th><td class=\"text\">");
        qn_html_text(out, s ? qn_kind_name(s->kind) : "");
        if (s && !used) {
            qn_str_add(out, "<small>");
            qn_html_text(out, qn_role_name(s->role));
            qn_str_add(out, "</small>");
        }
        qn_str_add(out, "</td><td>");
        chart(p, out);
        qn_str_add(out, "</td><td class=\"text\">");
        describe_values(p, out);
        qn_str_addf(out, "</td><td>%.1f&nbsp;%%</td><td>",
                    p->n_rows ? 100.0 * (double)p->n_missing / (double)p->n_rows : 0.0);
        qn_html_number(out, (double)p->n_distinct);
        qn_str_add(out, "</td><td>");
        qn_html_number(out, p->target_association);
        qn_str_add(out, "</td></tr>");
    }
    qn_str_add(out, "</table></div></section>");
}

static void pair(qn_str *out, const char *label, const char *value)
{
    qn_html_element(out, "dt", label);
    qn_html_element(out, "dd", value);
}

void qn_report_lineage(const qn_report_request *request, qn_str *out)
{
    const qn_record *r = request->record;
    qn_str_add(out, "<section><h2>How to reproduce</h2><pre>");
    qn_html_text(out, r->command && *r->command ? r->command : "qn_fit()");
    qn_str_add(out, "</pre><dl>");
    pair(out, "table", r->table);
    pair(out, "data hash (XXH3)", r->data_hash);
    pair(out, "split", r->split_reason);
    pair(out, "folds", r->folds_reason);
    qn_str_addf(out, "<dt>seed</dt><dd>%lld</dd>", (long long)r->seed);
    if (r->budget_s > 0) qn_str_addf(out, "<dt>budget</dt><dd>%g s</dd>", r->budget_s);
    qn_str_addf(out, "<dt>members</dt><dd>%d estimators on %d recipes</dd>",
                request->predictor->n_members, request->predictor->n_recipes);
    pair(out, "model", request->model_path ? request->model_path : "");
    pair(out, "quern", r->version);
    qn_str_add(out,
               "</dl><p class=\"soft\">With a number of trials instead of a budget "
               "(<code>--trials N</code>) the same command writes the same bytes.</p></section>");
}
