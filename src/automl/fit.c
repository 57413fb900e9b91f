/* SPDX-License-Identifier: Apache-2.0 */
/* qn_fit(): the main job. Load → candidates → folds → trials → ensemble → predictor → evaluation →
 * bundle and report, each step a function on one `struct fit`. */
#include "quern/fit.h"

#include "automl/fit_record.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "bundle/bundle.h"
#include "evaluate/calibrate.h"
#include "evaluate/fit_intervals.h"
#include "explain/importance.h"
#include "recipe/derive.h"
#include "report/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double budget_default_s = 60;
/* Evaluating costs about this much for each row × output, intervals left out. */
static const double evaluation_s_per_cell = 4e-7;
enum { CANDIDATES_A_BATCH = 4, LEADERS = 3 };

enum { STAGES_MAX = 8 };

struct fit {
    qn_fit_request request; /* with the defaults filled in */
    qn_fit_result *result;
    double begun_s, deadline_s; /* the latter 0 when trials are counted */
    qn_stop stop;
    qn_preset preset;
    qn_derive_step steps[QN_DERIVED_MAX];
    int32_t n_steps;
    qn_cleaning cleaning;
    qn_pool *pool;
    qn_fit_inputs inputs;
    const qn_metric *metric;
    qn_candidates candidates;
    qn_constraints constraints;
    qn_fold_set folds;
    qn_trial_data data;
    qn_trial *trials;
    qn_str notes; /* warnings of the search */
    qn_ensemble ensemble;
    double ensemble_score, ensemble_std_error;
    qn_predictor *predictor;
    double *importance, *importance_error;
    qn_evaluation *test, *test_baseline, *cv;
    qn_record record;
    const char *best_name; /* for progress */
    double best_score;
    char *model_path, *report_path;
    qn_stage_time stages[STAGES_MAX];
    int32_t n_stages;
    double stage_begun_s;
};

/* What was done since the last call was the stage of this name. */
static void end_stage(struct fit *fit, const char *name)
{
    const double now = qn_clock_s();
    fit->stages[fit->n_stages++] = (qn_stage_time){name, now - fit->stage_begun_s};
    fit->stage_begun_s = now;
}

static void release(struct fit *fit)
{
    /* Profile and findings are the inputs'; the record only points to them. */
    fit->record.profile = NULL;
    fit->record.findings = (qn_findings){0};
    fit->record.test = fit->record.test_baseline = fit->record.cv = NULL;
    qn_record_release(&fit->record);
    qn_evaluation_free(fit->test);
    qn_evaluation_free(fit->test_baseline);
    qn_evaluation_free(fit->cv);
    qn_free(fit->importance);
    qn_free(fit->importance_error);
    qn_predictor_free(fit->predictor);
    qn_ensemble_release(&fit->ensemble);
    qn_str_release(&fit->notes);
    qn_trials_release(fit->trials, fit->candidates.n, fit->folds.n_folds);
    qn_free(fit->trials);
    qn_trial_data_release(&fit->data);
    qn_fold_set_release(&fit->folds);
    qn_candidates_release(&fit->candidates);
    qn_constraints_release(&fit->constraints);
    qn_fit_inputs_release(&fit->inputs);
    qn_pool_free(fit->pool);
    qn_free(fit->model_path);
    qn_free(fit->report_path);
}

static void tell_with(struct fit *fit, const char *message, const char *note, int64_t n_trials)
{
    if (!fit->request.progress) return;
    const qn_fit_progress progress = {
        .elapsed_s = qn_clock_s() - fit->begun_s,
        .budget_s = fit->request.n_trials > 0 ? 0 : fit->request.budget_s,
        .n_trials = n_trials,
        .n_trials_planned = fit->candidates.n > 0 ? fit->candidates.n - 1 : 0,
        .best_name = fit->best_name,
        .best_score = fit->best_score,
        .message = message,
        .note = note};
    fit->request.progress(&progress, fit->request.progress_context);
}

static void tell(struct fit *fit, const char *message, int64_t n_trials)
{
    tell_with(fit, message, NULL, n_trials);
}

static void tell_notes(struct fit *fit, const char *lines)
{
    for (const char *at = lines; at && *at;) {
        char note[600];
        const size_t bytes = strcspn(at, "\n");
        snprintf(note, sizeof note, "%.*s", (int)bytes, at);
        tell_with(fit, NULL, note, 0);
        at += bytes + (at[bytes] == '\n');
    }
}

static void tell_findings(struct fit *fit)
{
    tell_notes(fit, fit->inputs.warnings.text);
    for (int64_t i = 0; i < fit->inputs.findings.n; i++) {
        tell_with(fit, NULL, fit->inputs.findings.items[i].message, 0);
    }
}

/* Request and names. */

static qn_status check_request(struct fit *fit, qn_error *err)
{
    qn_fit_request *request = &fit->request;
    if (!request->table) return qn_fail(err, QN_ERR_ARG, "no table to learn from was given");
    if (request->n_trials < 0 || request->budget_s < 0) {
        return qn_fail(err, QN_ERR_ARG, "a budget or number of trials cannot be negative");
    }
    if (request->test_fraction >= 1) {
        return qn_fail(err, QN_ERR_ARG, "--test-fraction %g: expected a number below 1",
                       request->test_fraction);
    }
    if (request->budget_s == 0) request->budget_s = budget_default_s;
    if (request->seed == 0) request->seed = 1;
    const char *preset = request->preset ? request->preset : "balanced";
    fit->preset = QN_PRESET_BALANCED;
    if (strcmp(preset, "fast") == 0) {
        fit->preset = QN_PRESET_FAST;
    } else if (strcmp(preset, "best") == 0) {
        fit->preset = QN_PRESET_BEST;
    } else if (strcmp(preset, "balanced") != 0) {
        return qn_fail(err, QN_ERR_ARG, "--preset %s: expected fast, balanced or best", preset);
    }
    QN_TRY(qn_cleaning_parse(request->outliers, &fit->cleaning, err));
    QN_TRY(qn_derive_parse(request->steps, fit->steps, &fit->n_steps, err));
    if (fit->n_steps > 0 && (request->monotone || request->interactions)) {
        return qn_fail(err, QN_ERR_ARG,
                       "--steps makes features of several columns, which --monotone and "
                       "--interactions cannot hold: leave out one of them");
    }
    const qn_metric *metric;
    return request->metric ? qn_metric_require(request->metric, &metric, err) : QN_OK;
}

/* "data/credit.csv.gz" → "credit". */
static void add_stem(const char *table, qn_str *out)
{
    const char *slash = strrchr(table, '/');
    const char *name = slash ? slash + 1 : table;
    const size_t bytes = strcspn(name, ".?");
    if (bytes == 0 || strcmp(table, "-") == 0) {
        qn_str_add(out, "model");
    } else {
        qn_str_add_bytes(out, name, bytes);
    }
}

static qn_status choose_paths(struct fit *fit, qn_error *err)
{
    qn_str model = {0}, report = {0};
    if (fit->request.model) {
        qn_str_add(&model, fit->request.model);
    } else {
        add_stem(fit->request.table, &model);
        qn_str_add(&model, ".quern");
    }
    if (fit->request.report) {
        qn_str_add(&report, fit->request.report);
    } else if (!model.failed) {
        const size_t bytes = model.bytes;
        const bool suffixed = bytes > 6 && strcmp(model.text + bytes - 6, ".quern") == 0;
        qn_str_add_bytes(&report, model.text, suffixed ? bytes - 6 : bytes);
        qn_str_add(&report, ".html");
    }
    fit->model_path = qn_str_take_text(&model);
    fit->report_path = qn_str_take_text(&report);
    if (!fit->model_path || !fit->report_path) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for file names");
    }
    return QN_OK;
}

/* An hour's work must not end at a folder that does not exist. */
static qn_status check_writable(const char *path, qn_error *err)
{
    if (!*path) return QN_OK;
    const char *slash = strrchr(path, '/');
    qn_str folder = {0};
    if (slash) {
        qn_str_add_bytes(&folder, path, slash == path ? 1 : (size_t)(slash - path));
    } else {
        qn_str_add(&folder, ".");
    }
    qn_status status = QN_OK;
    if (folder.failed) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for file names");
    } else if (access(path, F_OK) == 0 ? access(path, W_OK) != 0 : access(folder.text, W_OK) != 0) {
        status = qn_fail(err, QN_ERR_IO, "%s: cannot be written; does the folder exist?", path);
    }
    qn_str_release(&folder);
    return status;
}

static qn_status choose_metric(struct fit *fit, qn_error *err)
{
    const qn_task task = fit->inputs.schema->task;
    fit->metric =
        fit->request.metric ? qn_metric_find(fit->request.metric) : qn_metric_default(task);
    if (!(fit->metric->tasks & (1u << task))) {
        return qn_fail(err, QN_ERR_ARG, "metric %s is not defined for a %s target",
                       fit->metric->name, qn_task_name(task));
    }
    return QN_OK;
}

static bool has_kind(const qn_schema *schema, qn_kind kind)
{
    for (int64_t f = 0; f < qn_schema_n_features(schema); f++) {
        if (schema->columns[qn_schema_feature(schema, f)].kind == kind) return true;
    }
    return false;
}

/* Told to stop with no model to show for it. */
static qn_status nothing_ready(struct fit *fit, qn_error *err)
{
    if (qn_stop_interrupted(&fit->stop)) {
        return qn_fail(err, QN_ERR_INTERRUPTED, "interrupted before any model was ready");
    }
    return qn_fail(err, QN_ERR_BUDGET,
                   "%.3g s are too short to train any model on %lld rows: raise --budget",
                   fit->request.budget_s, (long long)fit->inputs.n_train);
}

/* Folds. */

/* One boosted model costs about this much for each row × feature × output. */
static const double fit_s_per_cell = 1.5e-6;
enum { FITS_AT_A_TIME = 2, CANDIDATES_WORTH_HAVING = 6, HOLDOUT_ROWS = 20000 };

/* As many folds as leave room for a handful of candidates in the budget. Depends on the sizes and
 * the budget asked for, not on the machine. 0 leaves the choice to the splitter. */
static int64_t choose_folds(const struct fit *fit, int64_t n_features)
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
static double fold_bytes(const struct fit *fit, int64_t n_features, int64_t n_folds,
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
static bool affords_linear(const struct fit *fit, int64_t n_features)
{
    if (fit->request.n_trials > 0 || has_kind(fit->inputs.schema, QN_KIND_TEXT)) return true;
    const double cells = 2 * (double)fit->inputs.n_train * (double)n_features * /* encoded: more */
                         qn_schema_n_outputs(fit->inputs.schema);
    return cells * linear_s_per_cell < 0.5 * fit->request.budget_s;
}

static double memory_allowed(const struct fit *fit)
{
    if (fit->request.memory_bytes > 0) return (double)fit->request.memory_bytes;
    const double free_bytes = (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    return 0.8 * free_bytes;
}

/* Features that the steps make, at most; they read the dense view. */
static int64_t n_derived_max(const struct fit *fit, int64_t n_features)
{
    double n = 0;
    for (int32_t s = 0; s < fit->n_steps; s++) {
        n += fit->steps[s].size < 1 ? (double)n_features : fit->steps[s].size;
    }
    return (int64_t)n;
}

static qn_status prepare_folds(struct fit *fit, qn_error *err)
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
    return status == QN_ERR_INTERRUPTED ? nothing_ready(fit, err) : status;
}

/* Per position of the training rows. */
static qn_status prepare_data(struct fit *fit, qn_error *err)
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

/* Trials. */

static void on_finished(const qn_trial *trial, int64_t n_complete, void *context)
{
    struct fit *fit = context;
    if (trial->complete && (!fit->best_name || qn_metric_score(fit->metric, trial->score) >
                                                   qn_metric_score(fit->metric, fit->best_score))) {
        fit->best_name = trial->candidate->name;
        fit->best_score = trial->score;
    }
    tell(fit, NULL, n_complete > 0 ? n_complete - 1 : 0);
}

static qn_candidates_request candidates_request(const struct fit *fit)
{
    const qn_schema *schema = fit->inputs.schema;
    return (qn_candidates_request){.task = schema->task,
                                   .n_classes = schema->n_classes,
                                   .n_rows = fit->inputs.n_train,
                                   .n_features = qn_schema_n_features(schema),
                                   .has_text = has_kind(schema, QN_KIND_TEXT),
                                   .preset = fit->preset,
                                   .learners = fit->request.learners,
                                   .params = fit->request.params,
                                   .constrained = qn_constraints_any(&fit->constraints),
                                   .n_wanted = fit->request.n_trials,
                                   .seed = (uint64_t)fit->request.seed};
}

static qn_status find_outliers(struct fit *fit, qn_error *err)
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

static qn_status create_candidates(struct fit *fit, qn_error *err)
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
static double closing_s(const struct fit *fit)
{
    const double cells = (double)(fit->data.n_covered + fit->inputs.n_test) * fit->data.n_outputs;
    return fmax(0.4, fmin(8, 0.08 * fit->request.budget_s)) + cells * evaluation_s_per_cell;
}

static int32_t ensemble_steps(const struct fit *fit)
{
    return fit->preset == QN_PRESET_FAST ? 1 : QN_ENSEMBLE_STEPS;
}

static qn_status run_trials_from(struct fit *fit, int64_t first, qn_error *err)
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
                                        .n_ensemble_steps = ensemble_steps(fit),
                                        .more_follow = fit->candidates.room > fit->candidates.n,
                                        .finished = on_finished,
                                        .context = fit};
    return qn_trials_run(&question, fit->trials, &fit->notes, err);
}

static int64_t find_leaders(const struct fit *fit, int64_t leaders[LEADERS])
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
static qn_status run_trials(struct fit *fit, qn_error *err)
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

/* Ensemble and predictor. */

static int64_t count_complete(const struct fit *fit)
{
    int64_t n = 0;
    for (int64_t t = 1; t < fit->candidates.n; t++) {
        n += fit->trials[t].complete;
    }
    return n;
}

/* Stopped before any candidate had all its folds: the one with most folds done answers alone. */
static qn_status rescue(struct fit *fit, qn_error *err)
{
    int64_t best = -1;
    for (int64_t t = 0; t < fit->candidates.n; t++) {
        const int32_t n_done = fit->trials[t].n_done;
        if (n_done > 0 && (best <= 0 || n_done > fit->trials[best].n_done)) best = t;
    }
    if (best < 0) {
        if (fit->notes.bytes > 0 && !qn_stop_interrupted(&fit->stop)) {
            return qn_fail(err, QN_ERR_DATA, "no learner could be trained: %s", fit->notes.text);
        }
        return nothing_ready(fit, err);
    }
    if (fit->candidates.n > 1) { /* else the baseline is all that was asked for */
        qn_str_addf(&fit->notes,
                    "time was up before any candidate had all its folds: %s, trained on "
                    "%d of %d, answers alone; raise --budget\n",
                    fit->trials[best].candidate->name, fit->trials[best].n_done,
                    fit->folds.n_folds);
    }
    fit->ensemble.weights = qn_alloc_array(fit->candidates.n, sizeof(double));
    if (!fit->ensemble.weights) return qn_fail(err, QN_ERR_NOMEM, "no memory for the ensemble");
    fit->ensemble.weights[best] = 1;
    double sum = 0;
    for (int32_t f = 0; f < fit->folds.n_folds; f++) {
        if (fit->trials[best].estimators[f]) sum += fit->trials[best].fold_scores[f];
    }
    fit->ensemble_score = fit->trials[best].score = sum / fit->trials[best].n_done;
    fit->ensemble_std_error = QN_NA;
    return QN_OK;
}

static qn_status build_ensemble(struct fit *fit, qn_error *err)
{
    if (count_complete(fit) == 0) return rescue(fit, err);
    qn_ensemble chosen = {0};
    QN_TRY(qn_ensemble_select(&fit->data, fit->trials + 1, fit->candidates.n - 1,
                              ensemble_steps(fit), fit->pool, &chosen, err));
    fit->ensemble = chosen;
    /* The trials are counted with the baseline first. */
    double *weights = qn_alloc_array(fit->candidates.n, sizeof *weights);
    if (!weights) return qn_fail(err, QN_ERR_NOMEM, "no memory for the ensemble");
    memcpy(weights + 1, chosen.weights, (size_t)(fit->candidates.n - 1) * sizeof *weights);
    qn_free(chosen.weights);
    fit->ensemble.weights = weights;
    return qn_trial_data_fold_score(&fit->data, fit->ensemble.predictions, &fit->ensemble_score,
                                    &fit->ensemble_std_error, err);
}

/* Moves the chosen estimators into a predictor; recipes of folds that nobody uses stay behind. */
static qn_status build_predictor(struct fit *fit, const double *weights, qn_predictor **out,
                                 qn_error *err)
{
    const int32_t n_folds = fit->folds.n_folds;
    int32_t n_members = 0;
    for (int64_t t = 0; t < fit->candidates.n; t++) {
        n_members += weights[t] > 0 ? fit->trials[t].n_done : 0;
    }
    qn_predictor *predictor = qn_alloc_array(1, sizeof *predictor);
    *out = predictor;
    if (!predictor) return qn_fail(err, QN_ERR_NOMEM, "no memory for the model");
    *predictor = (qn_predictor){.schema = fit->inputs.schema,
                                .n_outputs = fit->data.n_outputs,
                                .recipes = qn_alloc_array(n_folds, sizeof(qn_recipe *)),
                                .members = qn_alloc_array(n_members, sizeof(qn_member)),
                                .temperature = 1,
                                .threshold = 0.5,
                                .low = QN_NA,
                                .high = QN_NA};
    if (!predictor->recipes || !predictor->members) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the model");
    }
    for (int32_t f = 0; f < n_folds; f++) {
        int32_t recipe = -1;
        for (int64_t t = 0; t < fit->candidates.n; t++) {
            qn_trial *trial = &fit->trials[t];
            if (weights[t] == 0 || !trial->estimators[f]) continue;
            if (recipe < 0) {
                recipe = predictor->n_recipes++;
                predictor->recipes[recipe] = fit->folds.folds[f].recipe;
                fit->folds.folds[f].recipe = NULL;
            }
            char *name = qn_strdup(trial->candidate->name);
            if (!name) return qn_fail(err, QN_ERR_NOMEM, "no memory for the model");
            predictor->members[predictor->n_members++] =
                (qn_member){.name = name,
                            .fold = f,
                            .recipe = recipe,
                            .weight = weights[t] / trial->n_done,
                            .estimator = trial->estimators[f]};
            trial->estimators[f] = NULL;
        }
    }
    return QN_OK;
}

static bool is_classification(const struct fit *fit)
{
    return fit->data.task == QN_TASK_BINARY || fit->data.task == QN_TASK_MULTICLASS;
}

/* A part of what is left of the budget, writing spared; never when trials are counted. */
static qn_stop stop_after(const struct fit *fit, double share)
{
    qn_stop stop = fit->stop;
    const double now = qn_clock_s(), writing_s = fmax(0.1, 0.01 * fit->request.budget_s);
    if (stop.deadline_s > 0) stop.deadline_s = now + share * (stop.deadline_s - writing_s - now);
    return stop;
}

/* Temperature, threshold, range and intervals, from the validation predictions of the ensemble. */
static qn_status calibrate(struct fit *fit, qn_error *err)
{
    double *predictions = fit->ensemble.predictions;
    if (!predictions) return QN_OK;
    qn_metric_input input = qn_trial_data_input(&fit->data, predictions);
    if (is_classification(fit)) {
        const double temperature = qn_temperature_fit(&input);
        fit->predictor->temperature = temperature;
        for (int64_t i = 0; temperature != 1 && i < fit->data.n_covered; i++) {
            qn_temperature_apply(temperature, predictions + i * fit->data.n_outputs,
                                 fit->data.n_outputs);
        }
        if (fit->data.task == QN_TASK_BINARY && fit->metric->needs_label) {
            QN_TRY(qn_threshold_fit(&input, fit->metric, &fit->predictor->threshold, err));
            input.threshold = fit->predictor->threshold;
        }
    } else if (fit->data.task == QN_TASK_REGRESSION) {
        double low = QN_INF, high = -QN_INF;
        for (int64_t i = 0; i < fit->data.n_covered; i++) {
            low = fmin(low, fit->data.target[i]);
            high = fmax(high, fit->data.target[i]);
        }
        const double margin = 0.5 * (high - low); /* linear models may run far out of range */
        fit->predictor->low = low >= 0 ? fmax(0, low - margin) : low - margin;
        fit->predictor->high = high + margin;
        QN_TRY(qn_intervals_fit(&input, &fit->predictor->intervals, err));
    }
    const qn_stop stop = stop_after(fit, 0.3);
    return qn_evaluation_create_until(&input, (uint64_t)fit->request.seed, fit->pool, &stop,
                                      &fit->cv, err);
}

/* Evaluation. */

enum { COLUMNS_EXPLAINED = 500 }; /* beyond, permuting each would take longer than the fit */

static qn_metric_input test_input(const struct fit *fit, const double *predicted)
{
    return (qn_metric_input){.task = fit->data.task,
                             .n_classes = fit->data.n_classes,
                             .n_rows = fit->inputs.n_test,
                             .target = fit->inputs.test_target,
                             .predicted = predicted,
                             .weights = fit->inputs.test_weights,
                             .groups = fit->inputs.test_groups,
                             .threshold = fit->predictor->threshold};
}

/* The constant model's answer, from the first fold's baseline. */
static qn_status evaluate_baseline(struct fit *fit, double *predicted, qn_error *err)
{
    const qn_estimator *baseline = fit->trials[0].estimators[0];
    const int32_t n_outputs = fit->data.n_outputs;
    if (!baseline) return QN_OK; /* it is the model itself */
    double outputs[QN_CLASSES_MAX];
    const qn_matrix one = {.n_rows = 1, .stride = 1};
    baseline->family->predict(baseline, &one, outputs, NULL);
    for (int64_t i = 0; i < fit->inputs.n_test; i++) {
        memcpy(predicted + i * n_outputs, outputs, (size_t)n_outputs * sizeof *outputs);
    }
    qn_metric_input input = test_input(fit, predicted);
    input.threshold = 0.5;
    const qn_stop stop = stop_after(fit, 0.2);
    return qn_evaluation_create_until(&input, (uint64_t)fit->request.seed, fit->pool, &stop,
                                      &fit->test_baseline, err);
}

static qn_status explain(struct fit *fit, const qn_binding *binding, const int32_t *rows,
                         int64_t n_rows, const double *target, const double *weights, qn_error *err)
{
    const int64_t n = qn_schema_n_features(fit->inputs.schema);
    if (n > COLUMNS_EXPLAINED) {
        qn_str_addf(&fit->notes, "importances are left out: %lld columns are more than %d\n",
                    (long long)n, COLUMNS_EXPLAINED);
        return QN_OK;
    }
    fit->importance = qn_alloc_array(n, sizeof *fit->importance);
    fit->importance_error = qn_alloc_array(n, sizeof *fit->importance_error);
    if (!fit->importance || !fit->importance_error) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the importances");
    }
    const qn_stop stop = stop_after(fit, 1);
    const qn_importance_request question = {.predictor = fit->predictor,
                                            .binding = binding,
                                            .rows = rows,
                                            .n_rows = n_rows,
                                            .target = target,
                                            .weights = weights,
                                            .metric = fit->metric,
                                            .n_repeats = 2,
                                            .n_rows_max = 600,
                                            .seed = (uint64_t)fit->request.seed,
                                            .pool = fit->pool,
                                            .stop = &stop};
    QN_TRY(qn_permutation_importance(&question, fit->importance, fit->importance_error, err));
    int64_t n_left_out = 0;
    for (int64_t f = 0; f < n; f++) {
        n_left_out += isnan(fit->importance[f]);
    }
    if (n_left_out > 0) {
        qn_str_addf(&fit->notes, "importances of %lld of %lld columns are left out: time was up\n",
                    (long long)n_left_out, (long long)n);
    }
    return QN_OK;
}

/* Without test rows, importance is asked on the validation rows of the first fold; the models of
 * other folds have seen them, which flatters every column alike. */
static qn_status explain_on_validation(struct fit *fit, qn_error *err)
{
    const qn_fold *fold = &fit->folds.folds[0];
    int32_t *rows = qn_alloc_array(fold->n_valid, sizeof *rows);
    qn_binding *binding = NULL;
    if (!rows) return qn_fail(err, QN_ERR_NOMEM, "no memory for the importances");
    for (int64_t i = 0; i < fold->n_valid; i++) {
        rows[i] = fit->inputs.train[fold->valid[i]];
    }
    qn_status status = qn_binding_create(fit->inputs.schema, fit->inputs.frame, &binding, err);
    if (status == QN_OK) {
        status = explain(fit, binding, rows, fold->n_valid, fold->data.valid.target,
                         fold->data.valid.weights, err);
    }
    qn_binding_free(binding);
    qn_free(rows);
    return status;
}

static qn_status evaluate(struct fit *fit, qn_error *err)
{
    const qn_fit_inputs *inputs = &fit->inputs;
    if (inputs->n_test == 0) {
        end_stage(fit, "evaluation");
        return fit->data.task == QN_TASK_RANKING ? QN_OK : explain_on_validation(fit, err);
    }
    qn_binding *binding = NULL;
    QN_TRY(qn_binding_create(inputs->schema, qn_fit_inputs_test_frame(inputs), &binding, err));
    double *predicted = qn_alloc_array(inputs->n_test * fit->data.n_outputs, sizeof *predicted);
    qn_status status = predicted ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to evaluate");
    if (status == QN_OK) {
        status = qn_predictor_transform(fit->predictor, binding, inputs->test, inputs->n_test,
                                        fit->pool, predicted, err);
    }
    if (status == QN_OK) {
        const qn_metric_input input = test_input(fit, predicted);
        const qn_stop stop = stop_after(fit, 0.4);
        status = qn_evaluation_create_until(&input, (uint64_t)fit->request.seed, fit->pool, &stop,
                                            &fit->test, err);
        if (status == QN_OK) qn_intervals_assess(fit->predictor, &input, fit->test);
    }
    if (status == QN_OK) status = evaluate_baseline(fit, predicted, err);
    end_stage(fit, "evaluation");
    if (status == QN_OK && fit->data.task != QN_TASK_RANKING) {
        status = explain(fit, binding, inputs->test, inputs->n_test, inputs->test_target,
                         inputs->test_weights, err);
    }
    qn_free(predicted);
    qn_binding_free(binding);
    return status;
}

/* Writing. */

static void attach(struct fit *fit, qn_record *record)
{
    record->profile = fit->inputs.profile;
    record->findings = fit->inputs.findings;
    record->test = fit->test;
    record->test_baseline = fit->test_baseline;
    record->cv = fit->cv;
}

static qn_status write_report(struct fit *fit, const qn_record *record, qn_error *err)
{
    if (!*fit->report_path) return QN_OK;
    qn_str html = {0};
    const qn_report_request question = {.schema = fit->inputs.schema,
                                        .predictor = fit->predictor,
                                        .record = record,
                                        .model_path = fit->model_path,
                                        .stages = fit->stages,
                                        .n_stages = fit->n_stages};
    qn_report_write(&question, &html);
    const qn_status status = html.failed
                                 ? qn_fail(err, QN_ERR_NOMEM, "no memory for the report")
                                 : qn_file_write(fit->report_path, html.text, html.bytes, err);
    qn_str_release(&html);
    return status;
}

static qn_status write_all(struct fit *fit, qn_error *err)
{
    const bool interrupted = qn_stop_interrupted(&fit->stop);
    qn_fit_outcome outcome = {.request = &fit->request,
                              .inputs = &fit->inputs,
                              .data = &fit->data,
                              .trials = fit->trials,
                              .n_trials = fit->candidates.n,
                              .ensemble = &fit->ensemble,
                              .ensemble_score = fit->ensemble_score,
                              .ensemble_std_error = fit->ensemble_std_error,
                              .notes = fit->notes.text,
                              .importance = fit->importance,
                              .importance_error = fit->importance_error,
                              .stages = fit->stages,
                              .seconds = qn_clock_s() - fit->begun_s,
                              .interrupted = interrupted};
    QN_TRY(qn_fit_record_create(&outcome, true, &fit->record, err));
    attach(fit, &fit->record);
    const bool new_model = access(fit->model_path, F_OK) != 0,
               new_report = *fit->report_path && access(fit->report_path, F_OK) != 0;
    QN_TRY(qn_bundle_write(fit->model_path, fit->inputs.schema, fit->predictor, &fit->record, err));
    end_stage(fit, "writing"); /* the report, which shows it, comes after */
    outcome.n_stages = fit->n_stages;

    qn_record full = {0};
    qn_status status = qn_fit_record_create(&outcome, false, &full, err);
    if (status == QN_OK) {
        attach(fit, &full);
        status = write_report(fit, &full, err);
    }
    outcome.seconds = qn_clock_s() - fit->begun_s;
    if (status == QN_OK) {
        status = qn_fit_summary(&outcome, &full, fit->model_path, &fit->result->json, err);
    }
    full.profile = NULL;
    full.findings = (qn_findings){0};
    full.test = full.test_baseline = full.cv = NULL;
    qn_record_release(&full);
    if (status != QN_OK) {
        if (new_model) unlink(fit->model_path);
        if (new_report) unlink(fit->report_path);
        return status;
    }
    fit->result->model = fit->model_path;
    fit->model_path = NULL;
    if (*fit->report_path) {
        fit->result->report = fit->report_path;
        fit->report_path = NULL;
    }
    fit->result->interrupted = interrupted;
    return QN_OK;
}

static qn_status run(struct fit *fit, qn_error *err)
{
    QN_TRY(check_request(fit, err));
    QN_TRY(choose_paths(fit, err));
    QN_TRY(check_writable(fit->model_path, err));
    QN_TRY(check_writable(fit->report_path, err));
    fit->stop.interrupted = fit->request.interrupted;
    if (fit->request.n_trials == 0) fit->stop.deadline_s = fit->begun_s + fit->request.budget_s;
    fit->pool = qn_pool_create((int)fit->request.n_threads);
    if (!fit->pool) return qn_fail(err, QN_ERR_NOMEM, "no memory for the threads");

    QN_TRY(qn_fit_inputs_load(&fit->request, fit->pool, &fit->stop, &fit->inputs, err));
    end_stage(fit, "understanding");
    fit->stages[1] = (qn_stage_time){"understanding", fit->stages[0].seconds - fit->inputs.read_s};
    fit->stages[0] = (qn_stage_time){"reading", fit->inputs.read_s};
    fit->n_stages = 2;
    QN_TRY(choose_metric(fit, err));
    QN_TRY(create_candidates(fit, err));
    QN_TRY(find_outliers(fit, err));
    tell(fit, "table read and checked", 0);
    tell_findings(fit);
    QN_TRY(prepare_folds(fit, err));
    QN_TRY(prepare_data(fit, err));
    end_stage(fit, "folds");
    tell(fit, "folds prepared", 0);
    QN_TRY(run_trials(fit, err));
    end_stage(fit, "trials");
    tell(fit, "search done", count_complete(fit));
    QN_TRY(build_ensemble(fit, err));
    QN_TRY(build_predictor(fit, fit->ensemble.weights, &fit->predictor, err));
    end_stage(fit, "ensemble");
    QN_TRY(calibrate(fit, err));
    QN_TRY(evaluate(fit, err));
    end_stage(fit, "importance");
    tell_notes(fit, fit->notes.text);
    return write_all(fit, err);
}

qn_status qn_fit(const qn_fit_request *request, qn_fit_result *result, qn_error *err)
{
    *result = (qn_fit_result){0};
    struct fit fit = {.request = *request, .result = result, .begun_s = qn_clock_s()};
    fit.stage_begun_s = fit.begun_s;
    const qn_status status = run(&fit, err);
    release(&fit);
    if (status != QN_OK) qn_fit_result_release(result);
    return status;
}

void qn_fit_result_release(qn_fit_result *result)
{
    qn_free(result->model);
    qn_free(result->report);
    qn_free(result->json);
    *result = (qn_fit_result){0};
}
