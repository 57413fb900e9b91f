/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/fit_record.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

static const char *params_json(qn_arena *arena, const qn_candidate *candidate)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_json_begin_object(&json);
    qn_params_write_json(candidate->learner, candidate->params, &json);
    qn_json_end_object(&json);
    const char *copy = text.failed ? NULL : qn_arena_strndup(arena, text.text, text.bytes);
    qn_str_release(&text);
    return copy;
}

static bool trial_entry(qn_arena *arena, const qn_trial *trial, double weight, int32_t n_folds,
                        bool with_times, qn_leaderboard_entry *out)
{
    int64_t n_rounds = 0;
    double oob_score = 0; /* QN_NA where a fold has none */
    for (int32_t f = 0; f < n_folds; f++) {
        n_rounds += trial->n_rounds[f];
        oob_score += trial->oob_scores[f] / n_folds;
    }
    *out =
        (qn_leaderboard_entry){.name = qn_arena_strdup(arena, trial->candidate->name),
                               .learner = qn_arena_strdup(arena, trial->candidate->learner->name),
                               .params = params_json(arena, trial->candidate),
                               .cv_score = trial->score,
                               .std_error = trial->std_error,
                               .oob_score = oob_score,
                               .fit_seconds = with_times ? trial->fit_seconds : QN_NA,
                               .predict_us_per_row = with_times ? trial->predict_us_per_row : QN_NA,
                               .weight = weight,
                               .n_rounds = n_rounds / n_folds};
    return out->name && out->learner && out->params;
}

static bool ensemble_entry(qn_arena *arena, const qn_fit_outcome *outcome, bool with_times,
                           qn_leaderboard_entry *out)
{
    double fit_seconds = 0, predict_us = 0;
    for (int64_t t = 0; t < outcome->n_trials; t++) {
        if (outcome->ensemble->weights[t] == 0) continue;
        fit_seconds += outcome->trials[t].fit_seconds;
        predict_us += outcome->trials[t].predict_us_per_row;
    }
    *out = (qn_leaderboard_entry){.name = qn_arena_strdup(arena, "ensemble"),
                                  .learner = qn_arena_strdup(arena, "ensemble"),
                                  .params = qn_arena_strdup(arena, "{}"),
                                  .cv_score = outcome->ensemble_score,
                                  .oob_score = QN_NA,
                                  .std_error = outcome->ensemble_std_error,
                                  .fit_seconds = with_times ? fit_seconds : QN_NA,
                                  .predict_us_per_row = with_times ? predict_us : QN_NA,
                                  .weight = 1};
    return out->name && out->learner && out->params;
}

/* Best first by score; stable, so that the order of candidates breaks ties. */
static void sort_leaderboard(qn_leaderboard_entry *entries, int64_t n, const qn_metric *metric)
{
    for (int64_t i = 1; i < n; i++) {
        const qn_leaderboard_entry entry = entries[i];
        const double score = qn_metric_score(metric, entry.cv_score);
        int64_t at = i;
        while (at > 0 && score > qn_metric_score(metric, entries[at - 1].cv_score)) {
            entries[at] = entries[at - 1];
            at--;
        }
        entries[at] = entry;
    }
}

static bool fill_leaderboard(const qn_fit_outcome *outcome, bool with_times, qn_record *record)
{
    qn_arena *arena = &record->arena;
    record->leaderboard = qn_arena_array(arena, outcome->n_trials + 1, sizeof *record->leaderboard);
    if (!record->leaderboard) return false;
    int64_t n = 0, n_weighted = 0;
    for (int64_t t = 0; t < outcome->n_trials; t++) {
        n_weighted += outcome->ensemble->weights[t] > 0;
    }
    if (n_weighted > 1) {
        if (!ensemble_entry(arena, outcome, with_times, &record->leaderboard[n++])) return false;
    }
    for (int64_t t = 0; t < outcome->n_trials; t++) {
        const qn_trial *trial = &outcome->trials[t];
        if (trial->n_done == 0) continue;
        if (!trial->complete && outcome->ensemble->weights[t] == 0) continue;
        if (!trial_entry(arena, trial, outcome->ensemble->weights[t], outcome->data->folds->n_folds,
                         with_times, &record->leaderboard[n++])) {
            return false;
        }
        record->n_trials += t > 0 && trial->complete;
    }
    record->n_leaderboard = n;
    sort_leaderboard(record->leaderboard, n, outcome->data->metric);
    return true;
}

static bool fill_importance(const qn_fit_outcome *outcome, qn_record *record)
{
    if (!outcome->importance) return true;
    const qn_schema *schema = outcome->inputs->schema;
    const int64_t n = qn_schema_n_features(schema);
    record->importance = qn_arena_array(&record->arena, n, sizeof *record->importance);
    if (!record->importance) return false;
    for (int64_t f = 0; f < n; f++) {
        const double importance = outcome->importance[f];
        if (isnan(importance)) continue;
        int64_t at = record->n_importance++;
        while (at > 0 && importance > record->importance[at - 1].importance) {
            record->importance[at] = record->importance[at - 1];
            at--;
        }
        const char *name = schema->columns[qn_schema_feature(schema, f)].name;
        record->importance[at] = (qn_importance_entry){qn_arena_strdup(&record->arena, name),
                                                       importance, outcome->importance_error[f]};
        if (!record->importance[at].column) return false;
    }
    return true;
}

/* One warning per line of the given text. */
static bool add_warnings(qn_record *record, const char *lines, const char **at, int64_t *n)
{
    while (lines && *lines) {
        const size_t bytes = strcspn(lines, "\n");
        if (bytes > 0) {
            at[*n] = qn_arena_strndup(&record->arena, lines, bytes);
            if (!at[(*n)++]) return false;
        }
        lines += bytes + (lines[bytes] == '\n');
    }
    return true;
}

static int64_t count_lines(const char *text)
{
    int64_t n = 1;
    for (; text && *text; text++) {
        n += *text == '\n';
    }
    return n;
}

static bool fill_warnings(const qn_fit_outcome *outcome, qn_record *record)
{
    const char *reading = outcome->inputs->warnings.text;
    const int64_t room = count_lines(reading) + count_lines(outcome->notes);
    record->warnings = qn_arena_array(&record->arena, room, sizeof *record->warnings);
    return record->warnings &&
           add_warnings(record, reading, record->warnings, &record->n_warnings) &&
           add_warnings(record, outcome->notes, record->warnings, &record->n_warnings);
}

static bool fill_texts(const qn_fit_outcome *outcome, qn_record *record)
{
    const qn_fit_request *request = outcome->request;
    const qn_schema *schema = outcome->inputs->schema;
    qn_arena *arena = &record->arena;
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)outcome->inputs->data_hash);
    record->version = qn_arena_strdup(arena, qn_version());
    record->created = qn_arena_strdup(arena, "");
    record->table = qn_arena_strdup(arena, request->table);
    record->target = qn_arena_strdup(arena, schema->columns[schema->target].name);
    record->metric = qn_arena_strdup(arena, outcome->data->metric->name);
    record->command = qn_arena_strdup(arena, request->command ? request->command : "");
    record->split_reason = qn_arena_strdup(arena, outcome->inputs->split_reason);
    record->folds_reason = qn_arena_strdup(arena, outcome->data->folds->reason);
    record->data_hash = qn_arena_strdup(arena, hash);
    return record->version && record->created && record->table && record->target &&
           record->metric && record->command && record->split_reason && record->folds_reason &&
           record->data_hash;
}

qn_status qn_fit_record_create(const qn_fit_outcome *outcome, bool for_bundle, qn_record *out,
                               qn_error *err)
{
    const qn_fit_inputs *inputs = outcome->inputs;
    const bool repeatable = outcome->request->n_trials > 0;
    const bool with_times = !(for_bundle && repeatable);
    *out = (qn_record){.n_rows = inputs->frame->n_rows,
                       .n_rows_train = inputs->n_train,
                       .n_rows_test = inputs->n_test,
                       .n_folds = outcome->data->folds->n_folds,
                       .seed = outcome->request->seed,
                       .cv_score = outcome->ensemble_score,
                       .cv_std_error = outcome->ensemble_std_error,
                       .budget_s = repeatable ? 0 : outcome->request->budget_s,
                       .seconds = with_times ? outcome->seconds : QN_NA,
                       .interrupted = outcome->interrupted};
    if (!fill_texts(outcome, out) || !fill_leaderboard(outcome, with_times, out) ||
        !fill_importance(outcome, out) || !fill_warnings(outcome, out)) {
        qn_record_release(out);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the record of the fit");
    }
    return QN_OK;
}

static void write_leaderboard(const qn_record *record, qn_json_writer *json)
{
    qn_json_key(json, "leaderboard");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < record->n_leaderboard; i++) {
        const qn_leaderboard_entry *entry = &record->leaderboard[i];
        qn_json_begin_object(json);
        qn_json_put_text(json, "name", entry->name);
        qn_json_put_text(json, "learner", entry->learner);
        qn_json_put_double(json, "cv_score", entry->cv_score);
        qn_json_put_double(json, "std_error", entry->std_error);
        if (!isnan(entry->oob_score)) qn_json_put_double(json, "oob_score", entry->oob_score);
        qn_json_put_double(json, "fit_seconds", entry->fit_seconds);
        qn_json_put_double(json, "predict_us_per_row", entry->predict_us_per_row);
        qn_json_put_double(json, "weight", entry->weight);
        qn_json_put_int(json, "rounds", entry->n_rounds);
        qn_json_key(json, "params");
        qn_json_raw(json, entry->params);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}

static void write_test(const qn_evaluation *evaluation, const char *key, qn_json_writer *json)
{
    qn_json_key(json, key);
    if (!evaluation) {
        qn_json_null(json);
        return;
    }
    qn_json_begin_object(json);
    for (int32_t i = 0; i < evaluation->n_values; i++) {
        qn_json_put_double(json, evaluation->values[i].metric->name, evaluation->values[i].value);
    }
    if (!isnan(evaluation->interval_coverage)) {
        qn_json_put_double(json, "interval_coverage", evaluation->interval_coverage);
        qn_json_put_double(json, "interval_width", evaluation->interval_width);
    }
    qn_json_end_object(json);
}

static void write_warnings(const qn_fit_outcome *outcome, const qn_record *record,
                           qn_json_writer *json)
{
    qn_json_key(json, "warnings");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < record->n_warnings; i++) {
        qn_json_text(json, record->warnings[i]);
    }
    const qn_findings *findings =
        record->findings.n > 0 ? &record->findings : &outcome->inputs->findings;
    for (int64_t i = 0; i < findings->n; i++) {
        qn_json_text(json, findings->items[i].message);
    }
    qn_json_end_array(json);
}

static void write_timing(const qn_fit_outcome *outcome, qn_json_writer *json)
{
    qn_json_key(json, "timing");
    qn_json_begin_object(json);
    for (int32_t i = 0; i < outcome->n_stages; i++) {
        qn_json_put_double(json, outcome->stages[i].name, outcome->stages[i].seconds);
    }
    qn_json_end_object(json);
}

qn_status qn_fit_summary(const qn_fit_outcome *outcome, const qn_record *record,
                         const char *model_path, char **out, qn_error *err)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "model", model_path);
    qn_json_put_text(&json, "task", qn_task_name(outcome->data->task));
    qn_json_put_text(&json, "target", record->target);
    qn_json_put_text(&json, "metric", record->metric);
    qn_json_key(&json, "cv");
    qn_json_begin_object(&json);
    qn_json_put_double(&json, "score", record->cv_score);
    qn_json_put_double(&json, "std_error", record->cv_std_error);
    qn_json_put_int(&json, "folds", record->n_folds);
    qn_json_end_object(&json);
    write_test(record->test, "test", &json);
    write_test(record->test_baseline, "test_baseline", &json);
    write_leaderboard(record, &json);
    qn_json_put_int(&json, "trials", record->n_trials);
    qn_json_put_double(&json, "seconds", outcome->seconds);
    write_timing(outcome, &json);
    qn_json_put_int(&json, "seed", record->seed);
    qn_json_key(&json, "rows");
    qn_json_begin_object(&json);
    qn_json_put_int(&json, "train", record->n_rows_train);
    qn_json_put_int(&json, "test", record->n_rows_test);
    qn_json_end_object(&json);
    qn_json_put_bool(&json, "interrupted", record->interrupted);
    write_warnings(outcome, record, &json);
    qn_json_end_object(&json);
    *out = qn_str_take_text(&text);
    return *out ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for the summary");
}
