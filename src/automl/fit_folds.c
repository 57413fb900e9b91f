/* SPDX-License-Identifier: Apache-2.0 */
/* How many folds the budget and the memory allow, and their rows as trials want them. */
#include "automl/fit_run.h"

#include "base/alloc.h"

#include <unistd.h>

/* One boosted model costs about this much for each row × feature × output. */
static const double fit_s_per_cell = 1.5e-6;
enum { FITS_AT_A_TIME = 2, CANDIDATES_WORTH_HAVING = 6, HOLDOUT_ROWS = 20000 };

/* As many folds as leave room for a handful of candidates in the budget. Depends on the sizes and
 * the budget asked for, not on the machine. 0 leaves the choice to the splitter. */
static int64_t choose_folds(const qn_fit_run *fit, int64_t n_features)
{
    if (fit->request.n_folds > 0) return fit->request.n_folds;
    const double rows = (double)fit->inputs.n_train;
    const double cells = rows * (double)n_features * qn_schema_n_outputs(fit->inputs.schema);
    const double seconds = fit->request.budget_s * FITS_AT_A_TIME / CANDIDATES_WORTH_HAVING;
    const double affordable = seconds / (cells * fit_s_per_cell);
    if (affordable >= 8 || fit->inputs.split_kind == QN_SPLIT_COLUMN) return 0;
    if (affordable >= 5) return 5;
    if (affordable >= 2 || rows < HOLDOUT_ROWS) return 3;
    return 1;
}

/* Bytes that folds of a table need at their peak: both views of each fold, and the bins. */
static double fold_bytes(const qn_fit_run *fit, int64_t n_features, int64_t n_folds,
                         bool with_dense)
{
    const double cells = (double)fit->inputs.n_train * (double)n_features;
    const double in_work = qn_pool_n_threads(fit->pool);
    return cells * ((double)n_folds * (with_dense ? 1 + 2 * 8 : 1) + in_work * 8 + 8);
}

/* A linear model costs about this much for each row × feature × output: some hundred passes. */
static const double linear_s_per_cell = 1e-7;

/* Where one linear model would take more than half of the budget, the dense view that only such
 * models look at is not worth making either; with text it is, since they do best there. */
static bool affords_linear(const qn_fit_run *fit, int64_t n_features)
{
    if (fit->request.n_trials > 0 || qn_fit_has_kind(fit->inputs.schema, QN_KIND_TEXT)) return true;
    const double cells = 2 * (double)fit->inputs.n_train * (double)n_features * /* encoded: more */
                         qn_schema_n_outputs(fit->inputs.schema);
    return cells * linear_s_per_cell < 0.5 * fit->request.budget_s;
}

static double memory_allowed(const qn_fit_run *fit)
{
    if (fit->request.memory_bytes > 0) return (double)fit->request.memory_bytes;
    const double free_bytes = (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    return 0.8 * free_bytes;
}

/* Features that the steps make, at most; they read the dense view. */
static int64_t n_derived_max(const qn_fit_run *fit, int64_t n_features)
{
    double n = 0;
    for (int32_t s = 0; s < fit->n_steps; s++) {
        n += fit->steps[s].size < 1 ? (double)n_features : fit->steps[s].size;
    }
    return (int64_t)n;
}

qn_status qn_fit_find_outliers(qn_fit_run *fit, qn_error *err)
{
    qn_fit_inputs *inputs = &fit->inputs;
    const qn_cleaning_request question = {.cleaning = fit->cleaning,
                                          .frame = inputs->frame,
                                          .schema = inputs->schema,
                                          .target = inputs->target,
                                          .seed = (uint64_t)fit->request.seed,
                                          .pool = fit->pool,
                                          .stop = &fit->stop};
    return qn_cleaning_tell(&question, inputs->train, inputs->n_train, &inputs->findings, err);
}

qn_status qn_fit_prepare_folds(qn_fit_run *fit, qn_error *err)
{
    const int64_t n_features = qn_schema_n_features(fit->inputs.schema);
    int64_t n_folds = choose_folds(fit, n_features);
    bool with_dense = false;
    for (int64_t i = 1; i < fit->candidates.n; i++) {
        with_dense |= fit->candidates.items[i].learner->view == QN_VIEW_DENSE;
    }
    with_dense = (with_dense && affords_linear(fit, n_features)) || fit->n_steps > 0;
    const int64_t n_made = n_features + n_derived_max(fit, n_features);
    const double allowed = memory_allowed(fit);
    if (fold_bytes(fit, n_made, n_folds ? n_folds : 8, with_dense) > allowed) n_folds = 1;
    if (fold_bytes(fit, n_made, n_folds ? n_folds : 8, with_dense) > allowed) {
        with_dense = fit->n_steps > 0;
    }
    const double needed = fold_bytes(fit, n_made, n_folds ? n_folds : 8, with_dense);
    if (needed > allowed) {
        return qn_fail(err, QN_ERR_BUDGET,
                       "%lld rows × %lld columns need about %.1f MB and %.1f MB are allowed: raise "
                       "--memory, or drop columns",
                       (long long)fit->inputs.n_train, (long long)n_features, needed / 1e6,
                       allowed / 1e6);
    }
    const qn_fold_request question = {.frame = fit->inputs.frame,
                                      .schema = fit->inputs.schema,
                                      .target = fit->inputs.target,
                                      .weights = fit->inputs.weights,
                                      .groups = fit->inputs.groups,
                                      .rows = fit->inputs.train,
                                      .n_rows = fit->inputs.n_train,
                                      .kind = fit->inputs.split_kind,
                                      .n_folds = n_folds,
                                      .skip_dense = !with_dense,
                                      .steps = fit->request.steps,
                                      .constraints = &fit->constraints,
                                      .cleaning = fit->cleaning,
                                      .seed = (uint64_t)fit->request.seed,
                                      .pool = fit->pool,
                                      .stop = &fit->stop};
    const qn_status status = qn_fold_set_create(&question, &fit->folds, err);
    return status == QN_ERR_INTERRUPTED ? qn_fit_nothing_ready(fit, err) : status;
}

/* Per position of the training rows. */
qn_status qn_fit_prepare_data(qn_fit_run *fit, qn_error *err)
{
    const qn_fit_inputs *inputs = &fit->inputs;
    const int64_t n = inputs->n_train;
    double *target = qn_alloc_array(n, sizeof *target);
    double *weights = inputs->weights ? qn_alloc_array(n, sizeof *weights) : NULL;
    int32_t *groups = inputs->groups ? qn_alloc_array(n, sizeof *groups) : NULL;
    qn_status status = QN_OK;
    if (!target || (inputs->weights && !weights) || (inputs->groups && !groups)) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the training rows");
    }
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        target[i] = inputs->target[inputs->train[i]];
        if (weights) weights[i] = inputs->weights[inputs->train[i]];
        if (groups) groups[i] = inputs->groups[inputs->train[i]];
    }
    if (status == QN_OK) {
        status = qn_trial_data_create(&fit->folds, inputs->schema, fit->metric, n, target, weights,
                                      groups, &fit->data, err);
    }
    qn_free(target);
    qn_free(weights);
    qn_free(groups);
    return status;
}
