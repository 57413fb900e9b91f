/* SPDX-License-Identifier: Apache-2.0 */
/* What was asked for: checked, completed, and where the files go. */
#include "automl/fit_run.h"

#include <string.h>
#include <unistd.h>

static const double budget_default_s = 60;

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

static qn_status choose_paths(qn_fit_run *fit, qn_error *err)
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

static qn_status check(qn_fit_run *fit, qn_error *err)
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

qn_status qn_fit_check_request(qn_fit_run *fit, qn_error *err)
{
    QN_TRY(check(fit, err));
    QN_TRY(choose_paths(fit, err));
    QN_TRY(check_writable(fit->model_path, err));
    return check_writable(fit->report_path, err);
}

qn_status qn_fit_choose_metric(qn_fit_run *fit, qn_error *err)
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
