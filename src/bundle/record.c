/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/record.h"

#include "base/alloc.h"

#include <string.h>

void qn_record_release(qn_record *record)
{
    qn_findings_release(&record->findings);
    qn_profile_free(record->profile);
    qn_evaluation_free(record->test);
    qn_evaluation_free(record->test_baseline);
    qn_evaluation_free(record->cv);
    qn_arena_release(&record->arena);
    *record = (qn_record){0};
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
        qn_json_put_text(json, "params", entry->params);
        qn_json_put_double(json, "cv_score", entry->cv_score);
        qn_json_put_double(json, "std_error", entry->std_error);
        if (!isnan(entry->oob_score)) qn_json_put_double(json, "oob_score", entry->oob_score);
        qn_json_put_double(json, "fit_seconds", entry->fit_seconds);
        qn_json_put_double(json, "predict_us_per_row", entry->predict_us_per_row);
        qn_json_put_double(json, "weight", entry->weight);
        qn_json_put_int(json, "rounds", entry->n_rounds);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}

static void write_lists(const qn_record *record, qn_json_writer *json)
{
    qn_json_key(json, "importance");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < record->n_importance; i++) {
        qn_json_begin_object(json);
        qn_json_put_text(json, "column", record->importance[i].column);
        qn_json_put_double(json, "importance", record->importance[i].importance);
        qn_json_put_double(json, "std_error", record->importance[i].std_error);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
    qn_json_key(json, "warnings");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < record->n_warnings; i++) {
        qn_json_text(json, record->warnings[i]);
    }
    qn_json_end_array(json);
    qn_json_key(json, "findings");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < record->findings.n; i++) {
        const qn_finding *finding = &record->findings.items[i];
        qn_json_begin_object(json);
        qn_json_put_int(json, "kind", finding->kind);
        qn_json_put_text(json, "column", finding->column);
        qn_json_put_text(json, "message", finding->message);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}

static void write_evaluation(qn_json_writer *json, const char *key, const qn_evaluation *evaluation)
{
    if (!evaluation) return;
    qn_json_key(json, key);
    qn_evaluation_write_json(evaluation, json);
}

void qn_record_write_json(const qn_record *record, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "version", record->version);
    qn_json_put_text(json, "created", record->created);
    qn_json_put_text(json, "table", record->table);
    qn_json_put_text(json, "target", record->target);
    qn_json_put_text(json, "metric", record->metric);
    qn_json_put_text(json, "command", record->command);
    qn_json_put_text(json, "split", record->split_reason);
    qn_json_put_text(json, "folds_reason", record->folds_reason);
    qn_json_put_text(json, "data_hash", record->data_hash);
    qn_json_put_int(json, "rows", record->n_rows);
    qn_json_put_int(json, "rows_train", record->n_rows_train);
    qn_json_put_int(json, "rows_test", record->n_rows_test);
    qn_json_put_int(json, "folds", record->n_folds);
    qn_json_put_int(json, "trials", record->n_trials);
    qn_json_put_int(json, "seed", record->seed);
    qn_json_put_double(json, "cv_score", record->cv_score);
    qn_json_put_double(json, "cv_std_error", record->cv_std_error);
    qn_json_put_double(json, "budget_s", record->budget_s);
    qn_json_put_double(json, "seconds", record->seconds);
    qn_json_put_bool(json, "interrupted", record->interrupted);
    write_leaderboard(record, json);
    write_lists(record, json);
    if (record->profile) {
        qn_json_key(json, "profile");
        qn_profile_write_json(record->profile, json);
    }
    write_evaluation(json, "test", record->test);
    write_evaluation(json, "test_baseline", record->test_baseline);
    write_evaluation(json, "cv", record->cv);
    qn_json_end_object(json);
}

/* Reading. A text that cannot be copied marks the whole as out of memory. */

struct reading {
    qn_record *record;
    bool failed;
};

static const char *text_at(struct reading *r, qn_json_value object, const char *key)
{
    const char *copy =
        qn_arena_strdup(&r->record->arena, qn_json_as_text(qn_json_get(object, key), ""));
    r->failed |= !copy;
    return copy;
}

static void *array_of(struct reading *r, int64_t n, size_t item_bytes)
{
    void *items = qn_arena_array(&r->record->arena, n, item_bytes);
    r->failed |= !items;
    return items;
}

static double number(qn_json_value object, const char *key)
{
    return qn_json_as_double(qn_json_get(object, key), QN_NA);
}

static void read_scalars(struct reading *r, qn_json_value value)
{
    qn_record *record = r->record;
    record->version = text_at(r, value, "version");
    record->created = text_at(r, value, "created");
    record->table = text_at(r, value, "table");
    record->target = text_at(r, value, "target");
    record->metric = text_at(r, value, "metric");
    record->command = text_at(r, value, "command");
    record->split_reason = text_at(r, value, "split");
    record->folds_reason = text_at(r, value, "folds_reason");
    record->data_hash = text_at(r, value, "data_hash");
    record->n_rows = qn_json_as_int(qn_json_get(value, "rows"), 0);
    record->n_rows_train = qn_json_as_int(qn_json_get(value, "rows_train"), 0);
    record->n_rows_test = qn_json_as_int(qn_json_get(value, "rows_test"), 0);
    record->n_folds = qn_json_as_int(qn_json_get(value, "folds"), 0);
    record->n_trials = qn_json_as_int(qn_json_get(value, "trials"), 0);
    record->seed = qn_json_as_int(qn_json_get(value, "seed"), 0);
    record->cv_score = number(value, "cv_score");
    record->cv_std_error = number(value, "cv_std_error");
    record->budget_s = number(value, "budget_s");
    record->seconds = number(value, "seconds");
    record->interrupted = qn_json_as_bool(qn_json_get(value, "interrupted"), false);
}

static void read_leaderboard(struct reading *r, qn_json_value list)
{
    const int64_t n = qn_json_size(list);
    r->record->leaderboard = array_of(r, n, sizeof *r->record->leaderboard);
    for (int64_t i = 0; !r->failed && i < n; i++) {
        const qn_json_value entry = qn_json_at(list, i);
        r->record->leaderboard[i] =
            (qn_leaderboard_entry){.name = text_at(r, entry, "name"),
                                   .learner = text_at(r, entry, "learner"),
                                   .params = text_at(r, entry, "params"),
                                   .cv_score = number(entry, "cv_score"),
                                   .std_error = number(entry, "std_error"),
                                   .oob_score = number(entry, "oob_score"),
                                   .fit_seconds = number(entry, "fit_seconds"),
                                   .predict_us_per_row = number(entry, "predict_us_per_row"),
                                   .weight = number(entry, "weight"),
                                   .n_rounds = qn_json_as_int(qn_json_get(entry, "rounds"), 0)};
        r->record->n_leaderboard = i + 1;
    }
}

static void read_importance(struct reading *r, qn_json_value list)
{
    const int64_t n = qn_json_size(list);
    r->record->importance = array_of(r, n, sizeof *r->record->importance);
    for (int64_t i = 0; !r->failed && i < n; i++) {
        const qn_json_value entry = qn_json_at(list, i);
        r->record->importance[i] = (qn_importance_entry){.column = text_at(r, entry, "column"),
                                                         .importance = number(entry, "importance"),
                                                         .std_error = number(entry, "std_error")};
        r->record->n_importance = i + 1;
    }
}

static void read_warnings(struct reading *r, qn_json_value list)
{
    const int64_t n = qn_json_size(list);
    r->record->warnings = array_of(r, n, sizeof *r->record->warnings);
    for (int64_t i = 0; !r->failed && i < n; i++) {
        r->record->warnings[i] =
            qn_arena_strdup(&r->record->arena, qn_json_as_text(qn_json_at(list, i), ""));
        r->failed |= !r->record->warnings[i];
        r->record->n_warnings = i + 1;
    }
}

static void read_findings(struct reading *r, qn_json_value list)
{
    const int64_t n = qn_json_size(list);
    qn_findings *findings = &r->record->findings;
    findings->items = qn_alloc_array(n, sizeof *findings->items);
    r->failed |= !findings->items;
    for (int64_t i = 0; !r->failed && i < n; i++) {
        const qn_json_value entry = qn_json_at(list, i);
        const int64_t kind = qn_json_as_int(qn_json_get(entry, "kind"), QN_FINDING_GUESS);
        const char *column = qn_json_as_text(qn_json_get(entry, "column"), NULL);
        findings->items[i] =
            (qn_finding){.kind = kind >= 0 && kind < QN_N_FINDING_KINDS ? (qn_finding_kind)kind
                                                                        : QN_FINDING_GUESS,
                         .column = column ? qn_strdup(column) : NULL,
                         .message = qn_strdup(qn_json_as_text(qn_json_get(entry, "message"), ""))};
        findings->n = i + 1;
        r->failed |= !findings->items[i].message || (column && !findings->items[i].column);
    }
}

static qn_status read_evaluation(qn_json_value value, qn_evaluation **out, qn_error *err)
{
    return value ? qn_evaluation_read_json(value, out, err) : QN_OK;
}

qn_status qn_record_read_json(qn_json_value value, qn_record *out, qn_error *err)
{
    *out = (qn_record){0};
    struct reading r = {.record = out};
    read_scalars(&r, value);
    read_leaderboard(&r, qn_json_get(value, "leaderboard"));
    read_importance(&r, qn_json_get(value, "importance"));
    read_warnings(&r, qn_json_get(value, "warnings"));
    read_findings(&r, qn_json_get(value, "findings"));
    qn_status status =
        r.failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for the record of a fit") : QN_OK;
    const qn_json_value profile = qn_json_get(value, "profile");
    if (status == QN_OK && profile) status = qn_profile_read_json(profile, &out->profile, err);
    if (status == QN_OK) status = read_evaluation(qn_json_get(value, "test"), &out->test, err);
    if (status == QN_OK) {
        status = read_evaluation(qn_json_get(value, "test_baseline"), &out->test_baseline, err);
    }
    if (status == QN_OK) status = read_evaluation(qn_json_get(value, "cv"), &out->cv, err);
    if (status != QN_OK) qn_record_release(out);
    return status;
}
