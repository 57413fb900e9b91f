/* SPDX-License-Identifier: Apache-2.0 */
/* quern evaluate: how good a model is on a table that has the target. */
#include "base/alloc.h"
#include "base/file.h"
#include "bundle/bundle.h"
#include "cli/commands.h"
#include "evaluate/fairness.h"
#include "evaluate/fit_intervals.h"
#include "evaluate/queries.h"
#include "frame/labels.h"
#include "report/report.h"
#include "source/source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct evaluate_request {
    const char *arguments[2];
    const char *label_map, *strip, *report, *slice, *fairness;
    int64_t n_threads;
    bool json;
};

#define AT(member) offsetof(struct evaluate_request, member)

static const cli_option options[] = {
    {"label-map", CLI_TEXT, AT(label_map), "A=B,C=D", "rename labels of the target", NULL, false},
    {"strip", CLI_TEXT, AT(strip), "CHARS", "trim these characters off labels", NULL, false},
    {"slice", CLI_TEXT, AT(slice), "COLUMN", "also by the values of this column (the ten largest)",
     NULL, false},
    {"fairness", CLI_TEXT, AT(fairness), "COLUMN",
     "rates of the groups of this column, and their disparities (two classes)", NULL, false},
    {"report", CLI_TEXT, AT(report), "FILE", "HTML report to write", NULL, false},
    {"json", CLI_FLAG, AT(json), NULL, "print one JSON object", NULL, false},
    {"threads", CLI_COUNT, AT(n_threads), "N", "threads (default: all cores)", NULL, false},
    {0}};

struct evaluating {
    const struct evaluate_request *request;
    qn_pool *pool;
    qn_model *model;
    qn_frame *frame;
    double *target, *outputs;
    int32_t *groups;
    qn_evaluation *evaluation;
};

static void release(struct evaluating *e)
{
    qn_evaluation_free(e->evaluation);
    qn_free(e->groups);
    qn_free(e->target);
    qn_free(e->outputs);
    qn_frame_free(e->frame);
    qn_model_close(e->model);
    qn_pool_free(e->pool);
}

/* Ranking: numbers the queries and brings the rows of each together. */
static qn_status order_queries(struct evaluating *e, qn_error *err)
{
    const qn_schema *schema = qn_model_schema(e->model);
    if (schema->task != QN_TASK_RANKING) return QN_OK;
    int32_t *queries = NULL;
    QN_TRY(qn_queries_number(schema, e->frame, &queries, err));
    if (!queries) return qn_fail(err, QN_ERR_DATA, "the model does not know its query column");
    const int64_t n = e->frame->n_rows;
    int32_t *rows = qn_alloc_array(n, sizeof *rows);
    double *target = qn_alloc_array(n, sizeof *target);
    e->groups = qn_alloc_array(n, sizeof *e->groups);
    qn_frame *ordered = NULL;
    qn_status status = QN_OK;
    if (!rows || !target || !e->groups) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the queries");
    }
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        rows[i] = (int32_t)i;
    }
    if (status == QN_OK) status = qn_queries_sort(rows, n, queries, err);
    if (status == QN_OK) status = qn_frame_take(e->frame, rows, n, &ordered, err);
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        e->groups[i] = queries[rows[i]];
        target[i] = e->target[rows[i]];
    }
    if (status == QN_OK) {
        qn_frame_free(e->frame);
        qn_free(e->target);
        e->frame = ordered;
        e->target = target;
        target = NULL;
    }
    qn_free(rows);
    qn_free(queries);
    qn_free(target);
    return status;
}

static qn_status load(struct evaluating *e, qn_error *err)
{
    const struct evaluate_request *request = e->request;
    QN_TRY(qn_model_open(request->arguments[0], &e->model, err));
    const qn_schema *schema = qn_model_schema(e->model);
    if (!qn_task_is_supervised(schema->task)) {
        return qn_fail(err, QN_ERR_UNSUPPORTED,
                       "%s: a model of %s has no target to be evaluated against",
                       request->arguments[0], qn_task_name(schema->task));
    }
    const qn_read_request read = {.uri = request->arguments[1], .schema = schema, .pool = e->pool};
    QN_TRY(qn_source_read(&read, &e->frame, NULL, err));
    const int64_t target = qn_frame_find(e->frame, schema->columns[schema->target].name);
    if (target >= 0 && (request->label_map || request->strip)) {
        qn_frame *renamed = NULL;
        QN_TRY(qn_frame_map_labels(e->frame, target, request->label_map, request->strip, &renamed,
                                   err));
        qn_frame_free(e->frame);
        e->frame = renamed;
    }
    QN_TRY(qn_schema_target(schema, e->frame, false, &e->target, err));
    for (int64_t row = 0; row < e->frame->n_rows; row++) {
        if (isnan(e->target[row])) {
            return qn_fail(err, QN_ERR_DATA, "%s: row %lld has no target value", e->frame->source,
                           (long long)row + 1);
        }
    }
    QN_TRY(order_queries(e, err));
    e->outputs = qn_alloc_array(e->frame->n_rows * qn_model_n_outputs(e->model), sizeof(double));
    if (!e->outputs) return qn_fail(err, QN_ERR_NOMEM, "no memory for the predictions");
    return qn_model_predict(e->model, e->frame, (int)request->n_threads, e->outputs, err);
}

static qn_metric_input input_of(const struct evaluating *e)
{
    const qn_schema *schema = qn_model_schema(e->model);
    return (qn_metric_input){.task = schema->task,
                             .n_classes = schema->n_classes,
                             .n_rows = e->frame->n_rows,
                             .target = e->target,
                             .predicted = e->outputs,
                             .groups = e->groups,
                             .threshold = qn_model_predictor(e->model)->threshold,
                             .class_weights = qn_model_predictor(e->model)->class_weights};
}

static void print_table(const struct evaluating *e)
{
    const qn_schema *schema = qn_model_schema(e->model);
    const qn_evaluation *v = e->evaluation;
    printf("%lld rows of %s\n\n%-22s%12s   95 %% interval\n", (long long)v->n_rows,
           e->request->arguments[1], "metric", "value");
    for (int32_t i = 0; i < v->n_values; i++) {
        const qn_metric_value *m = &v->values[i];
        if (isnan(m->value)) {
            printf("%-22s%12s\n", m->metric->name, "-");
            continue;
        }
        printf("%-22s%12.6g", m->metric->name, m->value);
        if (!isnan(m->low)) printf("   %.6g ... %.6g", m->low, m->high);
        putchar('\n');
    }
    if (!isnan(v->interval_coverage)) {
        printf("\n95 %% prediction intervals hold %.1f %% of the targets; mean width %.6g\n",
               100 * v->interval_coverage, v->interval_width);
    }
    if (!v->confusion || v->n_classes > 12) return;
    printf("\n%-16s", "actual\\predicted");
    for (int32_t c = 0; c < v->n_classes; c++) {
        printf("%12.11s", schema->classes[c]);
    }
    putchar('\n');
    for (int32_t a = 0; a < v->n_classes; a++) {
        printf("%-16.15s", schema->classes[a]);
        for (int32_t p = 0; p < v->n_classes; p++) {
            printf("%12.0f", v->confusion[a * v->n_classes + p]);
        }
        putchar('\n');
    }
}

static qn_status write_report(const struct evaluating *e, qn_error *err)
{
    if (!e->request->report) return QN_OK;
    qn_str html = {0};
    const qn_report_request question = {.schema = qn_model_schema(e->model),
                                        .predictor = qn_model_predictor(e->model),
                                        .record = qn_model_record(e->model),
                                        .model_path = qn_model_path(e->model),
                                        .evaluation = e->evaluation,
                                        .evaluated_table = e->request->arguments[1]};
    qn_report_write(&question, &html);
    const qn_status status = html.failed
                                 ? qn_fail(err, QN_ERR_NOMEM, "no memory for the report")
                                 : qn_file_write(e->request->report, html.text, html.bytes, err);
    qn_str_release(&html);
    return status;
}

static void print_rate(double value, int width)
{
    if (isnan(value)) {
        printf("%*s", width, "-");
    } else {
        printf("%*.4f", width, value);
    }
}

/* The model's own metric on the rows of each of the ten most frequent values of a column. */
static qn_status slice(const struct evaluating *e, qn_json_writer *json, qn_error *err)
{
    const int64_t col = qn_frame_find(e->frame, e->request->slice);
    const qn_metric *metric = qn_metric_find(qn_model_record(e->model)->metric);
    if (!metric) metric = qn_metric_default(qn_model_schema(e->model)->task);
    qn_profile *profile = NULL;
    QN_TRY(qn_profile_create(e->frame, NULL, e->frame->n_rows, e->pool, &profile, err));
    const qn_column_profile *p = &profile->columns[col];
    const int32_t width = qn_model_n_outputs(e->model);
    double *target = qn_alloc_array(e->frame->n_rows, sizeof *target);
    double *outputs = qn_alloc_array(e->frame->n_rows * width, sizeof *outputs);
    int32_t *groups = qn_alloc_array(e->frame->n_rows, sizeof *groups);
    qn_status status = QN_OK;
    if (!target || !outputs || !groups) status = qn_fail(err, QN_ERR_NOMEM, "no memory to slice");
    if (json) {
        qn_json_key(json, "slices");
        qn_json_begin_array(json);
    } else {
        printf("\n%-24s%10s%14s\n", e->request->slice, "rows", metric->name);
    }
    for (int32_t i = 0; i < p->n_top && i < 10 && status == QN_OK; i++) {
        int64_t n = 0;
        for (int64_t row = 0; row < e->frame->n_rows; row++) {
            char scratch[QN_VALUE_TEXT_BYTES];
            size_t bytes;
            if (qn_column_is_missing(&e->frame->columns[col], row)) continue;
            const char *text = qn_column_text(&e->frame->columns[col], row, scratch, &bytes);
            if (strlen(p->top[i].text) != bytes || memcmp(p->top[i].text, text, bytes) != 0)
                continue;
            target[n] = e->target[row];
            if (e->groups) groups[n] = e->groups[row];
            memcpy(outputs + n++ * width, e->outputs + row * width, (size_t)width * sizeof(double));
        }
        qn_metric_input input = input_of(e);
        input.n_rows = n;
        input.target = target;
        input.predicted = outputs;
        if (e->groups) input.groups = groups;
        double value;
        status = metric->compute(&input, &value, err);
        if (json) {
            qn_json_begin_object(json);
            qn_json_put_text(json, "value", p->top[i].text);
            qn_json_put_int(json, "rows", n);
            qn_json_put_double(json, metric->name, value);
            qn_json_end_object(json);
        } else {
            printf("%-24.23s%10lld%14.6g\n", p->top[i].text, (long long)n, value);
        }
    }
    if (json) qn_json_end_array(json);
    qn_free(target);
    qn_free(outputs);
    qn_free(groups);
    qn_profile_free(profile);
    return status;
}

static qn_status fairness(const struct evaluating *e, qn_json_writer *json, qn_error *err)
{
    int64_t col;
    QN_TRY(qn_frame_require(e->frame, "--fairness", e->request->fairness, &col, err));
    const qn_metric_input input = input_of(e);
    qn_fairness f;
    QN_TRY(qn_fairness_create(&input, &e->frame->columns[col], &f, err));
    if (json) {
        qn_json_key(json, "fairness");
        qn_fairness_write_json(&f, json);
        qn_fairness_release(&f);
        return QN_OK;
    }
    printf("\n%-24s%10s%16s%10s%10s%10s%10s\n", e->request->fairness, "rows", "selection_rate",
           "TPR", "FPR", "accuracy", "roc_auc");
    for (int64_t g = 0; g < f.n_groups; g++) {
        const qn_group_rates *r = &f.groups[g];
        const double values[5] = {r->selection_rate, r->true_positive_rate, r->false_positive_rate,
                                  r->accuracy, r->roc_auc};
        printf("%-24.23s%10lld", r->group, (long long)r->n_rows);
        for (int i = 0; i < 5; i++) {
            print_rate(values[i], i == 0 ? 16 : 10);
        }
        putchar('\n');
    }
    const struct {
        const char *name;
        double value;
    } disparities[4] = {{"demographic_parity_difference", f.demographic_parity_difference},
                        {"demographic_parity_ratio", f.demographic_parity_ratio},
                        {"equalized_odds_difference", f.equalized_odds_difference},
                        {"equalized_odds_ratio", f.equalized_odds_ratio}};
    for (int i = 0; i < 4; i++) {
        printf("%s%-34s", i ? "" : "\n", disparities[i].name);
        print_rate(disparities[i].value, 16);
        putchar('\n');
    }
    qn_fairness_release(&f);
    return QN_OK;
}

static qn_status print_json(const struct evaluating *e, qn_error *err)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "model", e->request->arguments[0]);
    qn_json_put_text(&json, "table", e->request->arguments[1]);
    qn_json_put_int(&json, "rows", e->evaluation->n_rows);
    qn_json_key(&json, "metrics");
    qn_json_begin_object(&json);
    for (int32_t i = 0; i < e->evaluation->n_values; i++) {
        qn_json_put_double(&json, e->evaluation->values[i].metric->name,
                           e->evaluation->values[i].value);
    }
    qn_json_end_object(&json);
    qn_json_key(&json, "evaluation");
    qn_evaluation_write_json(e->evaluation, &json);
    qn_status status = e->request->slice ? slice(e, &json, err) : QN_OK;
    if (status == QN_OK && e->request->fairness) status = fairness(e, &json, err);
    qn_json_end_object(&json);
    if (status == QN_OK && !text.failed) puts(text.text);
    qn_str_release(&text);
    return status;
}

static qn_status evaluate(struct evaluating *e, qn_error *err)
{
    QN_TRY(load(e, err));
    int64_t sliced;
    if (e->request->slice) {
        QN_TRY(qn_frame_require(e->frame, "--slice", e->request->slice, &sliced, err));
    }
    const qn_metric_input input = input_of(e);
    QN_TRY(qn_evaluation_create(&input, (uint64_t)qn_model_record(e->model)->seed, e->pool,
                                &e->evaluation, err));
    qn_intervals_assess(qn_model_predictor(e->model), &input, e->evaluation);
    QN_TRY(write_report(e, err));
    if (e->request->json) return print_json(e, err);
    print_table(e);
    if (e->request->slice) QN_TRY(slice(e, NULL, err));
    return e->request->fairness ? fairness(e, NULL, err) : QN_OK;
}

static int evaluate_run(int argc, char **argv)
{
    struct evaluate_request request = {0};
    const int parsed = cli_parse(&cmd_evaluate, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    qn_error err = {0};
    struct evaluating e = {.request = &request, .pool = qn_pool_create((int)request.n_threads)};
    const qn_status status = evaluate(&e, &err);
    release(&e);
    return status == QN_OK ? CLI_OK : cli_fail(&cmd_evaluate, &err);
}

const cli_command cmd_evaluate = {
    .name = "evaluate",
    .summary = "measure a model on a table with the target",
    .synopsis = "MODEL TABLE [options]",
    .details = "Every metric of the task with a 95 % interval, and the confusion matrix.\n"
               "--fairness adds what Fairlearn calls selection rate, true and false positive rate\n"
               "of each group, demographic parity and equalized odds.",
    .examples = "    quern evaluate adult.quern adult_test.csv.gz --strip .\n"
                "    quern evaluate credit.quern new.csv --fairness personal_status",
    .options = options,
    .n_arguments_min = 2,
    .n_arguments_max = 2,
    .arguments_offset = AT(arguments),
    .run = evaluate_run};
