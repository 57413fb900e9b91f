/* SPDX-License-Identifier: Apache-2.0 */
/* The search: a list of candidates, then batches near the best while the budget lasts. */
#include "automl/fit_run.h"

#include "base/alloc.h"

#include <math.h>

/* Evaluating costs about this much for each row × output, intervals left out. */
static const double evaluation_s_per_cell = 4e-7;
enum { CANDIDATES_A_BATCH = 4, LEADERS = 3 };

static void on_finished(const qn_trial *trial, int64_t n_complete, void *context)
{
    qn_fit_run *fit = context;
    if (trial->complete && (!fit->best_name || qn_metric_score(fit->metric, trial->score) >
                                                   qn_metric_score(fit->metric, fit->best_score))) {
        fit->best_name = trial->candidate->name;
        fit->best_score = trial->score;
    }
    qn_fit_tell(fit, NULL, n_complete > 0 ? n_complete - 1 : 0);
}

static qn_candidates_request candidates_request(const qn_fit_run *fit)
{
    const qn_schema *schema = fit->inputs.schema;
    return (qn_candidates_request){.task = schema->task,
                                   .n_classes = schema->n_classes,
                                   .n_rows = fit->inputs.n_train,
                                   .n_features = qn_schema_n_features(schema),
                                   .has_text = qn_fit_has_kind(schema, QN_KIND_TEXT),
                                   .preset = fit->preset,
                                   .learners = fit->request.learners,
                                   .params = fit->request.params,
                                   .constrained = qn_constraints_any(&fit->constraints),
                                   .n_wanted = fit->request.n_trials,
                                   .seed = (uint64_t)fit->request.seed};
}

qn_status qn_fit_create_candidates(qn_fit_run *fit, qn_error *err)
{
    if (qn_schema_n_features(fit->inputs.schema) == 0) {
        return qn_fail(err, QN_ERR_DATA,
                       "no column is left to learn from: every other column is constant, an id or "
                       "dropped");
    }
    QN_TRY(qn_constraints_read(fit->inputs.schema, fit->request.monotone, fit->request.interactions,
                               &fit->constraints, err));
    const qn_candidates_request question = candidates_request(fit);
    return qn_candidates_create(&question, &fit->candidates, err);
}

/* What is kept back for the evaluation, the importances and writing; selecting the ensemble and
 * predicting the test rows are measured as the trials go. */
static double closing_s(const qn_fit_run *fit)
{
    const double cells = (double)(fit->data.n_covered + fit->inputs.n_test) * fit->data.n_outputs;
    return fmax(0.4, fmin(8, 0.08 * fit->request.budget_s)) + cells * evaluation_s_per_cell;
}

static qn_status run_trials_from(qn_fit_run *fit, int64_t first, qn_error *err)
{
    qn_stop stop = fit->stop;
    if (stop.deadline_s > 0) stop.deadline_s -= closing_s(fit);
    const qn_trials_request question = {.data = &fit->data,
                                        .candidates = &fit->candidates,
                                        .first = first,
                                        .seed = (uint64_t)fit->request.seed,
                                        .pool = fit->pool,
                                        .stop = &stop,
                                        .n_rows_after = fit->inputs.n_test,
                                        .n_ensemble_steps = qn_fit_ensemble_steps(fit),
                                        .more_follow = fit->candidates.room > fit->candidates.n,
                                        .finished = on_finished,
                                        .context = fit};
    return qn_trials_run(&question, fit->trials, &fit->notes, err);
}

static int64_t find_leaders(const qn_fit_run *fit, int64_t leaders[LEADERS])
{
    int64_t n = 0;
    for (int64_t t = 1; t < fit->candidates.n; t++) {
        const qn_trial *trial = &fit->trials[t];
        if (!trial->complete || isnan(trial->score)) continue;
        int64_t at = n < LEADERS ? n++ : n;
        for (; at > 0 && qn_metric_score(fit->metric, trial->score) >
                             qn_metric_score(fit->metric, fit->trials[leaders[at - 1]].score);
             at--) {
            if (at < LEADERS) leaders[at] = leaders[at - 1];
        }
        if (at < LEADERS) leaders[at] = t;
    }
    return n;
}

/* The list, then, while a budget lasts, batches of candidates near the best. */
qn_status qn_fit_run_trials(qn_fit_run *fit, qn_error *err)
{
    fit->trials = qn_alloc_array(fit->candidates.room, sizeof *fit->trials);
    if (!fit->trials) return qn_fail(err, QN_ERR_NOMEM, "no memory for the trials");
    QN_TRY(run_trials_from(fit, 0, err));
    for (bool goes_on = true; goes_on;) {
        const qn_candidates_request question = candidates_request(fit);
        const int64_t first = fit->candidates.n;
        int64_t leaders[LEADERS];
        const int64_t n_leaders = find_leaders(fit, leaders);
        QN_TRY(qn_candidates_extend(&question, &fit->candidates, leaders, n_leaders,
                                    CANDIDATES_A_BATCH, err));
        QN_TRY(run_trials_from(fit, first, err));
        goes_on = false;
        for (int64_t t = first; t < fit->candidates.n; t++) {
            goes_on |= fit->trials[t].complete;
        }
    }
    return QN_OK;
}

int64_t qn_fit_n_complete(const qn_fit_run *fit)
{
    int64_t n = 0;
    for (int64_t t = 1; t < fit->candidates.n; t++) {
        n += fit->trials[t].complete;
    }
    return n;
}
