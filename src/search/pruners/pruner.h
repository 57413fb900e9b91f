/* SPDX-License-Identifier: Apache-2.0 */
/* Pruner: says whether a running trial is worth going on, from its reports and those of the others.
 * Each is one const struct; the table of them is pruners.c. The answer is a function of the
 * history alone, so that a study taken up again decides as it would have.
 *
 * Threads: pure functions. */
#ifndef QN_SEARCH_PRUNERS_PRUNER_H
#define QN_SEARCH_PRUNERS_PRUNER_H

#include "search/space/setting.h"
#include "search/study/history.h"

typedef struct qn_pruner {
    const char *name, *help;
    const qn_setting *settings;
    size_t settings_bytes;
    /* The trial has just reported its last step. */
    bool (*should_stop)(const void *settings, const qn_history *history,
                        const qn_trial_record *trial);
    /* The first step, of those after the last report, at which it may say so; NULL: at any. */
    double (*next_look)(const void *settings, const qn_trial_record *trial);
} qn_pruner;

extern const qn_pruner *const qn_pruners[]; /* ended by NULL */

/* A pruner with its settings. */
typedef struct qn_pruning {
    const qn_pruner *pruner; /* NULL: never stops */
    void *settings;
} qn_pruning; /* release with qn_pruning_release() */

/* "median" or "asha:factor=3". Fails with QN_ERR_ARG or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_pruning_init(qn_pruning *pruning, const char *text, qn_error *err);
void qn_pruning_release(qn_pruning *pruning);

#endif
