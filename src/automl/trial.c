/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/trial.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <pthread.h>
#include <string.h>

/* What the folds cover. */

void qn_trial_data_release(qn_trial_data *data)
{
    qn_free(data->covered_of);
    qn_free(data->n_predicted);
    qn_free(data->target);
    qn_free(data->weights);
    qn_free(data->groups);
    *data = (qn_trial_data){0};
}

static void count_covered(qn_trial_data *data, int64_t n_rows)
{
    for (int64_t row = 0; row < n_rows; row++) {
        data->covered_of[row] = -1;
    }
    for (int32_t f = 0; f < data->folds->n_folds; f++) {
        const qn_fold *fold = &data->folds->folds[f];
        for (int64_t i = 0; i < fold->n_valid; i++) {
            data->covered_of[fold->valid[i]] = 0;
        }
    }
    for (int64_t row = 0; row < n_rows; row++) {
        if (data->covered_of[row] == 0) data->covered_of[row] = data->n_covered++;
    }
}

qn_status qn_trial_data_create(const qn_fold_set *folds, const qn_schema *schema,
                               const qn_metric *metric, int64_t n_rows, const double *target,
                               const double *weights, const int32_t *groups, qn_trial_data *out,
                               qn_error *err)
{
    *out = (qn_trial_data){.folds = folds,
                           .task = schema->task,
                           .n_classes = schema->n_classes,
                           .n_outputs = qn_schema_n_outputs(schema),
                           .metric = metric};
    out->covered_of = qn_alloc_array(n_rows, sizeof *out->covered_of);
    if (out->covered_of) count_covered(out, n_rows);
    const int64_t n = out->n_covered;
    out->n_predicted = qn_alloc_array(n, sizeof *out->n_predicted);
    out->target = qn_alloc_array(n, sizeof *out->target);
    if (weights) out->weights = qn_alloc_array(n, sizeof *out->weights);
    if (groups) out->groups = qn_alloc_array(n, sizeof *out->groups);
    if (!out->covered_of || !out->n_predicted || !out->target || (weights && !out->weights) ||
        (groups && !out->groups)) {
        qn_trial_data_release(out);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the validation predictions");
    }
    for (int64_t row = 0; row < n_rows; row++) {
        const int64_t at = out->covered_of[row];
        if (at < 0) continue;
        out->target[at] = target[row];
        if (weights) out->weights[at] = weights[row];
        if (groups) out->groups[at] = groups[row];
    }
    for (int32_t f = 0; f < folds->n_folds; f++) {
        for (int64_t i = 0; i < folds->folds[f].n_valid; i++) {
            out->n_predicted[out->covered_of[folds->folds[f].valid[i]]]++;
        }
    }
    return QN_OK;
}

qn_metric_input qn_trial_data_input(const qn_trial_data *data, const double *predictions)
{
    return (qn_metric_input){.task = data->task,
                             .n_classes = data->n_classes,
                             .n_rows = data->n_covered,
                             .target = data->target,
                             .predicted = predictions,
                             .weights = data->weights,
                             .groups = data->groups};
}

/* Scores. */

static double mean_and_error(const double *values, int32_t n, double *std_error)
{
    double sum = 0, squares = 0;
    int32_t n_known = 0;
    for (int32_t i = 0; i < n; i++) {
        if (isnan(values[i])) continue;
        sum += values[i];
        n_known++;
    }
    *std_error = QN_NA;
    if (n_known == 0) return QN_NA;
    const double mean = sum / n_known;
    for (int32_t i = 0; i < n; i++) {
        if (!isnan(values[i])) squares += (values[i] - mean) * (values[i] - mean);
    }
    if (n_known > 1) *std_error = sqrt(squares / (n_known - 1) / n_known);
    return mean;
}

/* The metric on one fold's validation rows, given its predictions in their order. */
static qn_status score_fold(const qn_trial_data *data, int32_t f, const double *predictions,
                            double *out, qn_error *err)
{
    const qn_fold *fold = &data->folds->folds[f];
    qn_metric_input input = qn_trial_data_input(data, predictions);
    input.n_rows = fold->n_valid;
    input.target = fold->data.valid.target;
    input.weights = fold->data.valid.weights;
    input.groups = fold->data.valid.groups;
    return data->metric->compute(&input, out, err);
}

qn_status qn_trial_data_fold_score(const qn_trial_data *data, const double *predictions,
                                   double *mean, double *std_error, qn_error *err)
{
    const int32_t n_outputs = data->n_outputs, n_folds = data->folds->n_folds;
    qn_status status = QN_OK;
    double *scores = qn_alloc_array(n_folds, sizeof *scores);
    if (!scores) return qn_fail(err, QN_ERR_NOMEM, "no memory to score the folds");
    for (int32_t f = 0; f < n_folds && status == QN_OK; f++) {
        const qn_fold *fold = &data->folds->folds[f];
        double *part = qn_alloc_array(fold->n_valid * n_outputs, sizeof *part);
        if (!part) {
            status = qn_fail(err, QN_ERR_NOMEM, "no memory to score the folds");
            break;
        }
        for (int64_t i = 0; i < fold->n_valid; i++) {
            memcpy(part + i * n_outputs, predictions + data->covered_of[fold->valid[i]] * n_outputs,
                   (size_t)n_outputs * sizeof *part);
        }
        status = score_fold(data, f, part, &scores[f], err);
        qn_free(part);
    }
    *mean = mean_and_error(scores, n_folds, std_error);
    qn_free(scores);
    return status;
}

/* Running. */

enum { FIRST_ROWS = 1024 };
/* Predictions are asked for in parts of so many seconds; nobody minds so much more of them. */
static const double part_s = 0.25, late_s = 0.2;

struct run {
    const qn_trials_request *request;
    qn_trial *trials;
    int32_t n_folds;
    pthread_mutex_t lock;
    qn_str *warnings;
    int64_t n_complete;
    double metric_s; /* longest time to compute the metric over all covered rows */
    bool out_of_memory;
};

/* Time that selecting the ensemble and predicting the rows kept for testing will take, and the
 * validation rows of the fit at hand before that, as the trials done so far let it be guessed: the
 * next model is no quicker than the slowest, and the ensemble, of at most as many models as it has
 * steps, takes the slowest of them. */
static double closing_s(const struct run *run)
{
    const qn_trials_request *request = run->request;
    const double threads = qn_pool_n_threads(request->pool);
    double sum = 0, most = 0;
    int64_t n_predicting = 0;
    for (int64_t i = 0; i < request->candidates->n; i++) {
        sum += run->trials[i].predict_us_per_row;
        most = fmax(most, run->trials[i].predict_us_per_row);
        n_predicting += run->trials[i].n_done > 0;
    }
    const double all = fmin(0.8 * sum + most, (double)request->n_ensemble_steps * most);
    const double n_valid = (double)request->data->folds->folds[0].n_valid;
    return 1e-6 * (all * (double)request->n_rows_after / threads + most / run->n_folds * n_valid) +
           run->metric_s * (request->n_ensemble_steps * ceil((double)n_predicting / threads) + 1);
}

/* How long one fit may take. A fit that gains from more time is given a fair share of what is
 * left, so that one expensive candidate cannot take the budget of all; without a deadline there is
 * no limit. Returns the deadline, or 0 to skip: what is left is far less than such fits need. */
static double fit_deadline(const struct run *run, int64_t candidate)
{
    const double now = qn_clock_s();
    const double left = run->request->stop->deadline_s - closing_s(run) - now;
    const double threads = qn_pool_n_threads(run->request->pool);
    const double fits = run->n_folds;
    const int64_t n_after = run->request->candidates->n - candidate;
    double share = candidate <= 1 ? 0.4 : candidate == 2 ? 0.35 : 0.3; /* 0 is the baseline */
    if (n_after <= 2 && !run->request->more_follow) share = 1.0 / (double)n_after;
    double allowed = left * fmin(1, share * threads / fits);
    if (fits <= threads) allowed = left * share;

    double usual = 0;
    for (int64_t i = 0; i < candidate; i++) {
        const qn_trial *other = &run->trials[i];
        if (other->candidate->learner != run->request->candidates->items[candidate].learner) {
            continue;
        }
        if (other->n_done > 0) usual = fmax(usual, other->fit_seconds / other->n_done);
    }
    if (allowed < 0.5 * usual) {
        /* Perhaps everything that is left is enough for it. */
        allowed = left * fmin(1, threads / fits);
        if (run->n_complete > 0 && allowed < 0.7 * usual) return 0;
    }
    return now + allowed;
}

static void warn(struct run *run, const qn_candidate *candidate, const qn_error *err)
{
    qn_str_addf(run->warnings, "%s was left out: %s\n", candidate->name, err->message);
}

static void finish_trial(struct run *run, qn_trial *trial)
{
    const qn_trial_data *data = run->request->data;
    trial->score = mean_and_error(trial->fold_scores, run->n_folds, &trial->std_error);
    qn_metric_input input = qn_trial_data_input(data, trial->predictions);
    qn_error err;
    const double begun = qn_clock_s();
    if (data->metric->compute(&input, &trial->value, &err) != QN_OK) run->out_of_memory = true;
    run->metric_s = fmax(run->metric_s, qn_clock_s() - begun);
    trial->complete = true;
    run->n_complete++;
}

/* Predictions of every fold into the mean per covered row; in fold order, whichever finished
 * first, so that the sums are the same on any number of threads. */
static bool collect(struct run *run, qn_trial *trial, double **parts)
{
    const qn_trial_data *data = run->request->data;
    const int32_t n_outputs = data->n_outputs;
    trial->predictions = qn_alloc_array(data->n_covered * n_outputs, sizeof(double));
    if (!trial->predictions) return false;
    for (int32_t f = 0; f < run->n_folds; f++) {
        const qn_fold *fold = &data->folds->folds[f];
        for (int64_t i = 0; i < fold->n_valid; i++) {
            const int64_t row = data->covered_of[fold->valid[i]];
            for (int32_t k = 0; k < n_outputs; k++) {
                trial->predictions[row * n_outputs + k] +=
                    parts[f][i * n_outputs + k] / data->n_predicted[row];
            }
        }
    }
    return true;
}

struct job {
    struct run *run;
    double ***parts; /* [candidate][fold]: predictions of the fold's validation rows */
};

/* Rows from `first` on. */
static qn_matrix rows_of(const qn_matrix *x, int64_t first, int64_t n_rows)
{
    qn_matrix part = *x;
    part.n_rows = n_rows;
    part.dense = x->dense + first;
    if (x->sparse_starts) part.sparse_starts = x->sparse_starts + first;
    return part;
}

/* Whether there is no time to predict n_rows more at so many seconds each, and after them what the
 * ensemble has to. Who asks to stop at once waits no longer than a second. */
static bool is_too_slow(const struct run *run, double row_s, int64_t n_rows)
{
    const qn_trials_request *request = run->request;
    const double rest_s = row_s * (double)n_rows;
    const double after_s =
        row_s * run->n_folds * (double)request->n_rows_after / qn_pool_n_threads(request->pool);
    if (qn_stop_interrupted(request->stop)) return rest_s > 1;
    return request->stop->deadline_s > 0 && rest_s + after_s > late_s &&
           qn_clock_s() + rest_s + after_s > request->stop->deadline_s;
}

/* Predictions of the fold's validation rows, in parts of a quarter of a second: some models take
 * longer to predict than to fit. */
static qn_status predict_valid(const struct run *run, const qn_estimator *estimator,
                               const qn_matrix *x, double *out, qn_error *err)
{
    const int64_t k = estimator->n_outputs;
    int64_t n_part = FIRST_ROWS;
    const double begun = qn_clock_s();
    for (int64_t first = 0, n; first < x->n_rows; first += n) {
        n = x->n_rows - first < n_part ? x->n_rows - first : n_part;
        const qn_matrix part = rows_of(x, first, n);
        QN_TRY(qn_estimator_predict(estimator, &part, NULL, out + first * k, err));
        for (int64_t i = first * k; i < (first + n) * k; i++) {
            if (isfinite(out[i])) continue;
            return qn_fail(err, QN_ERR_DATA, "what it predicts is not finite");
        }
        const double row_s = (qn_clock_s() - begun) / (double)(first + n);
        if (is_too_slow(run, row_s, x->n_rows - first - n)) {
            return qn_fail(err, QN_ERR_INTERRUPTED, "no time is left for what it predicts");
        }
        n_part =
            row_s * (double)FIRST_ROWS > part_s ? FIRST_ROWS : (int64_t)fmin(part_s / row_s, 1e9);
    }
    return QN_OK;
}

static qn_status fit_and_predict(struct run *run, int64_t c, int32_t f, const qn_stop *stop,
                                 qn_learn_result *result, double **predictions, double *predict_s,
                                 qn_error *err)
{
    const qn_candidate *candidate = &run->request->candidates->items[c];
    const qn_fold *fold = &run->request->data->folds->folds[f];
    const qn_learn_request request = {
        .data = &fold->data,
        .params = candidate->params,
        .seed = qn_seed_child(qn_seed_child(run->request->seed, (uint64_t)c), (uint64_t)f),
        .oob_metric = run->request->data->metric,
        .stop = stop,
        .pool = run->request->pool};
    QN_TRY(candidate->learner->fit(&request, result, err));
    if (!result->oob) result->oob_score = QN_NA;
    qn_free(result->importance);
    qn_free(result->oob);
    result->importance = result->oob = NULL;

    *predictions =
        qn_alloc_array(fold->n_valid * run->request->data->n_outputs, sizeof **predictions);
    if (!*predictions) return qn_fail(err, QN_ERR_NOMEM, "no memory for its predictions");
    const double begun = qn_clock_cpu_s();
    QN_TRY(predict_valid(run, result->estimator, &fold->data.valid.views[candidate->learner->view],
                         *predictions, err));
    *predict_s = qn_clock_cpu_s() - begun;
    return QN_OK;
}

static void run_one(void *context, int64_t index)
{
    struct job *job = context;
    struct run *run = job->run;
    const qn_trials_request *request = run->request;
    const int64_t c = request->first + index / run->n_folds;
    const int32_t f = (int32_t)(index % run->n_folds);
    qn_trial *trial = &run->trials[c];

    qn_stop stop = *request->stop;
    if (qn_stop_requested(&stop)) return;
    if (stop.deadline_s > 0) {
        pthread_mutex_lock(&run->lock);
        const double deadline = fit_deadline(run, c), closing = closing_s(run);
        pthread_mutex_unlock(&run->lock);
        if (deadline == 0 && f == 0) return;
        /* A candidate once begun is carried through, if only to the time that is left. */
        stop.deadline_s =
            fmin(stop.deadline_s - closing, deadline > 0 ? deadline : stop.deadline_s);
        if (qn_stop_requested(&stop)) return;
    }

    qn_error err = {0};
    qn_learn_result result = {0};
    double *predictions = NULL, predict_s = 0, score = QN_NA;
    const double begun = qn_clock_s();
    qn_status status = fit_and_predict(run, c, f, &stop, &result, &predictions, &predict_s, &err);
    const double seconds = qn_clock_s() - begun;
    if (status == QN_OK) status = score_fold(request->data, f, predictions, &score, &err);

    pthread_mutex_lock(&run->lock);
    if (status != QN_OK) {
        if (status == QN_ERR_NOMEM) run->out_of_memory = true;
        if (status != QN_ERR_INTERRUPTED) warn(run, trial->candidate, &err);
        qn_estimator_free(result.estimator);
        qn_free(predictions);
    } else {
        const double us = predict_s * 1e6 / (double)request->data->folds->folds[f].n_valid;
        trial->estimators[f] = result.estimator;
        trial->fold_scores[f] = score;
        trial->oob_scores[f] = result.oob_score;
        trial->n_rounds[f] = result.n_rounds;
        trial->fit_seconds += seconds;
        trial->predict_us_per_row += us; /* a prediction asks the models of all folds */
        job->parts[c][f] = predictions;
        if (++trial->n_done == run->n_folds) {
            if (collect(run, trial, job->parts[c])) {
                finish_trial(run, trial);
            } else {
                run->out_of_memory = true;
            }
        }
        if (request->finished) request->finished(trial, run->n_complete, request->context);
    }
    pthread_mutex_unlock(&run->lock);
}

static qn_status allocate(const qn_trials_request *request, int32_t n_folds, qn_trial *trials,
                          double ***parts, qn_error *err)
{
    for (int64_t c = request->first; c < request->candidates->n; c++) {
        qn_trial *trial = &trials[c];
        trial->candidate = &request->candidates->items[c];
        trial->value = trial->score = trial->std_error = QN_NA;
        trial->estimators = qn_alloc_array(n_folds, sizeof(qn_estimator *));
        trial->fold_scores = qn_alloc_array(n_folds, sizeof *trial->fold_scores);
        trial->oob_scores = qn_alloc_array(n_folds, sizeof *trial->oob_scores);
        trial->n_rounds = qn_alloc_array(n_folds, sizeof *trial->n_rounds);
        parts[c] = qn_alloc_array(n_folds, sizeof *parts[c]);
        if (!trial->estimators || !trial->fold_scores || !trial->oob_scores || !trial->n_rounds ||
            !parts[c]) {
            return qn_fail(err, QN_ERR_NOMEM, "no memory for the trials");
        }
    }
    return QN_OK;
}

/* Whether a candidate is complete that is no mere baseline, which stands first. */
static bool any_complete(const qn_trial *trials, int64_t n)
{
    bool any = n == 1 && trials[0].complete;
    for (int64_t c = 1; c < n; c++) {
        any |= trials[c].complete;
    }
    return any;
}

qn_status qn_trials_run(const qn_trials_request *request, qn_trial *trials, qn_str *warnings,
                        qn_error *err)
{
    const int32_t n_folds = request->data->folds->n_folds;
    const int64_t n = request->candidates->n;
    struct run run = {
        .request = request, .trials = trials, .n_folds = n_folds, .warnings = warnings};
    double ***parts = qn_alloc_array(n, sizeof *parts);
    if (!parts) return qn_fail(err, QN_ERR_NOMEM, "no memory for the trials");
    for (int64_t c = 0; c < request->first; c++) {
        run.n_complete += trials[c].complete;
    }

    qn_status status = allocate(request, n_folds, trials, parts, err);
    if (status == QN_OK) {
        struct job job = {&run, parts};
        pthread_mutex_init(&run.lock, NULL);
        qn_pool_run(request->pool, (n - request->first) * n_folds, run_one, &job);
        pthread_mutex_destroy(&run.lock);
        if (run.out_of_memory && !any_complete(trials, n)) {
            status = qn_fail(err, QN_ERR_NOMEM, "no memory for the trials");
        }
    }
    for (int64_t c = 0; c < n; c++) {
        for (int32_t f = 0; parts[c] && f < n_folds; f++) {
            qn_free(parts[c][f]);
        }
        qn_free(parts[c]);
    }
    qn_free(parts);
    return status;
}

void qn_trials_release(qn_trial *trials, int64_t n_trials, int32_t n_folds)
{
    for (int64_t c = 0; trials && c < n_trials; c++) {
        for (int32_t f = 0; trials[c].estimators && f < n_folds; f++) {
            qn_estimator_free(trials[c].estimators[f]);
        }
        qn_free(trials[c].estimators);
        qn_free(trials[c].fold_scores);
        qn_free(trials[c].oob_scores);
        qn_free(trials[c].n_rounds);
        qn_free(trials[c].predictions);
    }
}
