/* SPDX-License-Identifier: Apache-2.0 */
/* The table of pruners, and what is common to all. */
#include "base/alloc.h"
#include "base/nearest.h"
#include "search/pruners/pruner.h"
#include "search/pruners/pruner_table.h"

#include <string.h>

const qn_pruner *const qn_pruners[] = {
    &qn_pruner_median,   &qn_pruner_percentile, &qn_pruner_threshold,
    &qn_pruner_patience, &qn_pruner_asha,       &qn_pruner_hyperband,
    &qn_pruner_wilcoxon, &qn_pruner_curve,      NULL};

static const qn_pruner *find(const char *name, size_t bytes)
{
    for (int i = 0; qn_pruners[i]; i++) {
        const char *known = qn_pruners[i]->name;
        if (strlen(known) == bytes && memcmp(known, name, bytes) == 0) return qn_pruners[i];
    }
    return NULL;
}

static qn_status unknown(const char *name, size_t bytes, qn_error *err)
{
    char wanted[64];
    const char *names[32];
    int64_t n = 0;
    const size_t kept = bytes < sizeof wanted ? bytes : sizeof wanted - 1;
    memcpy(wanted, name, kept);
    wanted[kept] = '\0';
    while (qn_pruners[n]) {
        names[n] = qn_pruners[n]->name;
        n++;
    }
    const char *near = qn_nearest_name(wanted, names, n);
    return qn_fail(err, QN_ERR_ARG, "there is no pruner '%s'%s%s%s", wanted,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

qn_status qn_pruning_init(qn_pruning *pruning, const char *text, qn_error *err)
{
    const size_t bytes = strcspn(text, ":");
    *pruning = (qn_pruning){0};
    const qn_pruner *pruner = find(text, bytes);
    if (!pruner) return unknown(text, bytes, err);
    void *settings = qn_alloc_array(1, pruner->settings_bytes);
    if (!settings) return qn_fail(err, QN_ERR_NOMEM, "no memory for the pruner");
    const char *given = text[bytes] ? text + bytes + 1 : "";
    const qn_status status = qn_settings_read(pruner->settings, given, pruner->name, settings, err);
    if (status != QN_OK) {
        qn_free(settings);
        return status;
    }
    *pruning = (qn_pruning){pruner, settings};
    return QN_OK;
}

void qn_pruning_release(qn_pruning *pruning)
{
    qn_free(pruning->settings);
    *pruning = (qn_pruning){0};
}
