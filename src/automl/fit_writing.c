/* SPDX-License-Identifier: Apache-2.0 */
/* Bundle, report and summary: all of them or none. */
#include "automl/fit_run.h"

#include "automl/fit_record.h"
#include "base/alloc.h"
#include "base/file.h"
#include "bundle/bundle.h"
#include "report/report.h"

#include <unistd.h>

static void attach(qn_fit_run *fit, qn_record *record)
{
    record->profile = fit->inputs.profile;
    record->findings = fit->inputs.findings;
    record->test = fit->test;
    record->test_baseline = fit->test_baseline;
    record->cv = fit->cv;
}

static qn_status write_report(qn_fit_run *fit, const qn_record *record, qn_error *err)
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

qn_status qn_fit_write(qn_fit_run *fit, qn_error *err)
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
    qn_fit_end_stage(fit, "writing"); /* the report, which shows it, comes after */
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
