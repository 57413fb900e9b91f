/* SPDX-License-Identifier: Apache-2.0 */
#include "validate/findings_internal.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    ROOM = 16,           /* grown by */
    SAID_ONE_BY_ONE = 5, /* columns of one kind of finding; more are said together */
    NAMED = 12           /* columns named when said together */
};

static const char *const kind_names[] = {"id_like",      "constant",       "duplicate_column",
                                         "leak_suspect", "duplicate_rows", "imbalance",
                                         "rare_class",   "mostly_missing", "high_cardinality",
                                         "guess",        "outlier"};

const char *qn_finding_kind_name(qn_finding_kind kind)
{
    return kind_names[kind];
}

static void finding_release(qn_finding *finding)
{
    qn_free(finding->column);
    qn_free(finding->message);
}

void qn_findings_release(qn_findings *findings)
{
    for (int64_t i = 0; i < findings->n; i++) {
        finding_release(&findings->items[i]);
    }
    qn_free(findings->items);
    *findings = (qn_findings){0};
}

qn_status qn_findings_add(qn_findings *findings, qn_finding_kind kind, const char *column,
                          qn_error *err, const char *format, ...)
{
    char message[600];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (findings->n % ROOM == 0) {
        qn_finding *items =
            qn_realloc_array(findings->items, findings->n + ROOM, sizeof *findings->items);
        if (!items) return qn_fail(err, QN_ERR_NOMEM, "no memory for the findings");
        findings->items = items;
    }
    qn_finding *finding = &findings->items[findings->n++];
    *finding = (qn_finding){
        .kind = kind, .column = column ? qn_strdup(column) : NULL, .message = qn_strdup(message)};
    if (!finding->message || (column && !finding->column)) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the findings");
    }
    return QN_OK;
}

/* What many columns have in common; NULL for kinds that are never said together. */
static const char *joint_text(qn_finding_kind kind)
{
    switch (kind) {
    case QN_FINDING_ID_LIKE:
        return "columns look like ids and are not used; --kind COLUMN=categorical or numeric uses "
               "one";
    case QN_FINDING_CONSTANT:
        return "columns are not used: constant, or all missing";
    case QN_FINDING_DUPLICATE_COLUMN:
        return "columns repeat another one in every row and could be dropped";
    case QN_FINDING_MOSTLY_MISSING:
        return "columns are missing in more than half of the rows";
    case QN_FINDING_HIGH_CARDINALITY:
        return "columns have more than 1000 levels; rare ones are pooled. --kind COLUMN=text uses "
               "their words instead";
    case QN_FINDING_LEAK_SUSPECT:
    case QN_FINDING_DUPLICATE_ROWS:
    case QN_FINDING_IMBALANCE:
    case QN_FINDING_RARE_CLASS:
    case QN_FINDING_GUESS:
    case QN_FINDING_OUTLIER:
        break;
    }
    return NULL;
}

/* The message for all findings of the kind of the first one, of which there are n. */
static char *joint_message(const qn_findings *findings, int64_t first, int64_t n)
{
    const qn_finding_kind kind = findings->items[first].kind;
    qn_str text = {0};
    qn_str_addf(&text, "%lld %s: ", (long long)n, joint_text(kind));
    int64_t named = 0;
    for (int64_t i = first; named < n && named < NAMED; i++) {
        if (findings->items[i].kind != kind) continue;
        qn_str_addf(&text, "%s'%s'", named > 0 ? ", " : "", findings->items[i].column);
        named++;
    }
    if (named < n) qn_str_add(&text, ", …");
    return qn_str_take_text(&text);
}

static qn_status gather_kind(qn_findings *findings, qn_finding_kind kind, qn_error *err)
{
    int64_t first = findings->n, n = 0;
    for (int64_t i = findings->n - 1; i >= 0; i--) {
        if (findings->items[i].kind != kind) continue;
        first = i;
        n++;
    }
    if (n <= SAID_ONE_BY_ONE) return QN_OK;
    char *message = joint_message(findings, first, n);
    if (!message) return qn_fail(err, QN_ERR_NOMEM, "no memory for the findings");
    int64_t kept = first + 1;
    for (int64_t i = first + 1; i < findings->n; i++) {
        if (findings->items[i].kind == kind) {
            finding_release(&findings->items[i]);
        } else {
            findings->items[kept++] = findings->items[i];
        }
    }
    finding_release(&findings->items[first]);
    findings->items[first] = (qn_finding){.kind = kind, .message = message};
    findings->n = kept;
    return QN_OK;
}

qn_status qn_findings_gather(qn_findings *findings, qn_error *err)
{
    for (int kind = 0; kind < QN_N_FINDING_KINDS; kind++) {
        if (joint_text((qn_finding_kind)kind)) {
            QN_TRY(gather_kind(findings, (qn_finding_kind)kind, err));
        }
    }
    return QN_OK;
}
