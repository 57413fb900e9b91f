/* SPDX-License-Identifier: Apache-2.0 */
#include "search/pruners/rung.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/sort.h"

#include <math.h>
#include <stdlib.h>

/* A trial at the rung. */
struct entry {
    double violation, loss;
    int32_t at; /* in history->told */
};

const qn_curve_point *qn_trial_report_at(const qn_trial_record *trial, double step)
{
    if (trial->n_reports == 0 || (double)trial->reports[trial->n_reports - 1].step < step) {
        return NULL;
    }
    int64_t i = trial->n_reports - 1;
    while (i > 0 && (double)trial->reports[i - 1].step >= step) {
        i--;
    }
    return &trial->reports[i];
}

double qn_trial_loss_at(const qn_trial_record *trial, double step)
{
    const qn_curve_point *report = qn_trial_report_at(trial, step);
    return report ? report->loss : QN_NA;
}

/* The last step of a trial that was stopped. */
static double reach_of(const qn_trial_record *trial)
{
    if (trial->state == QN_TRIAL_COMPLETE) return QN_INF;
    return (double)trial->reports[trial->n_reports - 1].step;
}

static double loss_at_rung(const qn_trial_record *trial, double rung)
{
    const double loss = qn_trial_loss_at(trial, rung);
    return trial->state == QN_TRIAL_COMPLETE && isnan(loss) ? trial->losses[0] : loss;
}

static int by_merit(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->violation != y->violation) return x->violation < y->violation ? -1 : 1;
    if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

qn_status qn_rung_rank(const qn_history *history, int64_t n_min, int32_t *ranked, int64_t *n,
                       qn_error *err)
{
    const int64_t n_told = history->n_told;
    double *reaches = qn_alloc_array(n_told, sizeof *reaches);
    struct entry *entries = qn_alloc_array(n_told, sizeof *entries);
    bool complete = reaches && entries;
    for (int64_t i = 0; complete && i < n_told; i++) {
        reaches[i] = reach_of(history->told[i]);
    }
    complete = complete && qn_sort_doubles(reaches, n_told);
    const double rung = complete ? reaches[n_told - n_min] : 0;
    *n = 0;
    for (int64_t i = 0; complete && i < n_told; i++) {
        const qn_trial_record *trial = history->told[i];
        if (reach_of(trial) < rung) continue;
        entries[(*n)++] = (struct entry){trial->violation, loss_at_rung(trial, rung), (int32_t)i};
    }
    if (complete) qsort(entries, (size_t)*n, sizeof *entries, by_merit);
    for (int64_t k = 0; k < *n; k++) {
        ranked[k] = entries[k].at;
    }
    qn_free(reaches);
    qn_free(entries);
    return complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to rank the trials");
}
