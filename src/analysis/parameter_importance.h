/* SPDX-License-Identifier: Apache-2.0 */
/* Importance of parameters: how much of what came of the trials each parameter accounts for. What
 * callers see is in quern/tune.h; the methods are const structs, listed in parameter_importance.c.
 *
 * Threads: pure functions of a history that nothing changes meanwhile. */
#ifndef QN_ANALYSIS_PARAMETER_IMPORTANCE_H
#define QN_ANALYSIS_PARAMETER_IMPORTANCE_H

#include "search/study/history.h"

/* The trials an analysis looks at: complete ones whose loss is finite, by number. */
typedef struct qn_analysed {
    const qn_history *history;
    int64_t objective;
    int64_t n;
    const qn_trial_record **trials; /* [n] */
    double *losses;                 /* [n] */
} qn_analysed;                      /* release with qn_analysed_release(), also one all zero */

QN_MUST_CHECK
qn_status qn_analysed_init(const qn_history *history, int64_t objective, qn_analysed *out,
                           qn_error *err);
void qn_analysed_release(qn_analysed *analysed);

typedef struct qn_importance_method {
    const char *name, *help;
    /* Fills importances[space->n], none negative, of any size; all 0 when the trials say nothing.
     * Fails with QN_ERR_NOMEM. */
    qn_status (*evaluate)(const qn_analysed *analysed, double *importances, qn_error *err);
} qn_importance_method;

extern const qn_importance_method *const qn_importance_methods[]; /* ended by NULL */
extern const qn_importance_method qn_importance_fanova, qn_importance_ped_anova;
const qn_importance_method *qn_importance_find(const char *name); /* NULL if there is none */

/* By that method, in parts of 1: they add up to 1, or are all 0. */
QN_MUST_CHECK
qn_status qn_importance_evaluate(const qn_importance_method *method, const qn_analysed *analysed,
                                 double *importances, qn_error *err);

/* Parameters that can be told apart by importance: those with more than one value. */
static inline bool qn_parameter_varies(const qn_parameter *p)
{
    return p->high > p->low;
}

#endif
