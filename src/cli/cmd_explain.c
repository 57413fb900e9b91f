/* SPDX-License-Identifier: Apache-2.0 */
/* quern explain: the part of each column in predictions, of one row or on average. */
#include "base/alloc.h"
#include "base/json.h"
#include "bundle/bundle.h"
#include "cli/commands.h"
#include "cli/explain_shapes.h"
#include "model/tree_model.h"
#include "quern/explain.h"
#include "source/source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct explain_request {
    const char *arguments[2];
    int64_t row, tree, n_threads;
    const char *output;
    bool json, shapes;
};

#define AT(member) offsetof(struct explain_request, member)

static const cli_option options[] = {
    {"row", CLI_COUNT, AT(row), "N", "explain row N of the table, counted from 1", NULL, false},
    {"tree", CLI_COUNT, AT(tree), "N",
     "with --row: its way through the N-th tree of each estimator of trees", NULL, false},
    {"shapes", CLI_FLAG, AT(shapes), NULL,
     "the terms of additive models (learner ebm), without a TABLE", NULL, false},
    {"o", CLI_TEXT, AT(output), "FILE", "with --shapes: every cell, as .csv or .json", NULL, false},
    {"json", CLI_FLAG, AT(json), NULL, "print one JSON object", NULL, false},
    {"threads", CLI_COUNT, AT(n_threads), "N", "threads (default: all cores)", NULL, false},
    {0}};

struct explanation {
    const qn_model *model;
    const qn_frame *frame;
    int64_t row, n_rows, n_inputs; /* rows explained, from `row` on */
    qn_parts parts;
    double *means;  /* per input: of the parts without sign */
    int64_t *order; /* inputs, those of the largest parts first */
};

static void release(struct explanation *e)
{
    qn_free(e->parts.outputs);
    qn_free(e->parts.classes);
    qn_free(e->parts.expected);
    qn_free(e->parts.columns);
    qn_free(e->means);
    qn_free(e->order);
}

/* By insertion: columns are few, and ties keep their order. */
static void put_in_order(struct explanation *e)
{
    for (int64_t i = 0; i < e->n_inputs; i++) {
        int64_t at = i;
        for (; at > 0 && e->means[e->order[at - 1]] < e->means[i]; at--) {
            e->order[at] = e->order[at - 1];
        }
        e->order[at] = i;
    }
}

static qn_status make(struct explanation *e, int n_threads, qn_error *err)
{
    e->n_inputs = qn_model_n_inputs(e->model);
    e->parts = (qn_parts){
        .outputs = qn_alloc_array(e->n_rows * qn_model_n_outputs(e->model), sizeof(double)),
        .classes = qn_alloc_array(e->n_rows, sizeof(int32_t)),
        .expected = qn_alloc_array(e->n_rows, sizeof(double)),
        .columns = qn_alloc_array(e->n_rows * e->n_inputs, sizeof(double))};
    e->means = qn_alloc_array(e->n_inputs, sizeof *e->means);
    e->order = qn_alloc_array(e->n_inputs, sizeof *e->order);
    if (!e->parts.outputs || !e->parts.classes || !e->parts.expected || !e->parts.columns ||
        !e->means || !e->order) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory to explain %lld rows", (long long)e->n_rows);
    }
    qn_explainer *explainer = NULL;
    QN_TRY(qn_explainer_create(e->model, &explainer, err));
    const qn_status status =
        qn_explainer_rows(explainer, e->frame, e->row, e->n_rows, n_threads, &e->parts, err);
    qn_explainer_free(explainer);
    for (int64_t row = 0; status == QN_OK && row < e->n_rows; row++) {
        for (int64_t i = 0; i < e->n_inputs; i++) {
            e->means[i] += fabs(e->parts.columns[row * e->n_inputs + i]) / (double)e->n_rows;
        }
    }
    if (status == QN_OK) put_in_order(e);
    return status;
}

/* What is divided up, in words. */
static void add_subject(const struct explanation *e, qn_str *out)
{
    const int32_t n_classes = qn_model_n_classes(e->model);
    if (n_classes == 0) {
        qn_str_add(out, "the prediction");
    } else if (n_classes > 2 && e->n_rows != 1) {
        qn_str_add(out, "the log-odds of the predicted class");
    } else {
        qn_str_addf(out, "the log-odds of '%s'", qn_model_class(e->model, e->parts.classes[0]));
    }
}

static double total_of(const struct explanation *e)
{
    double total = e->parts.expected[0];
    for (int64_t i = 0; i < e->n_inputs; i++) {
        total += e->parts.columns[i];
    }
    return total;
}

static void print_prediction(const struct explanation *e)
{
    const double *outputs = e->parts.outputs;
    const int32_t c = e->parts.classes[0];
    if (qn_model_n_classes(e->model) == 0) {
        printf("row %lld: prediction %.6g\n", (long long)e->row + 1, outputs[0]);
        return;
    }
    const double p = qn_model_n_outputs(e->model) == 1 ? outputs[0] : outputs[c];
    printf("row %lld: prediction %s, p of %s %.6g\n", (long long)e->row + 1,
           qn_model_class(e->model, qn_model_decide(e->model, outputs)),
           qn_model_class(e->model, c), p);
}

static void print_row(const struct explanation *e)
{
    qn_str subject = {0};
    add_subject(e, &subject);
    print_prediction(e);
    printf("\n%-28s%-24s%14s\n", "column", "value", "part");
    for (int64_t i = 0; i < e->n_inputs; i++) {
        const char *name = qn_model_input_name(e->model, e->order[i]);
        const qn_column *column = &e->frame->columns[qn_frame_find(e->frame, name)];
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes = 0;
        const char *text = qn_column_is_missing(column, e->row)
                               ? ""
                               : qn_column_text(column, e->row, scratch, &bytes);
        printf("%-28.27s%-24.*s%14.6g\n", name, bytes < 23 ? (int)bytes : 23, text,
               e->parts.columns[e->order[i]]);
    }
    printf("%-52s%14.6g\n%-52s%14.6g\n", "expected of any row", e->parts.expected[0],
           subject.failed ? "" : subject.text, total_of(e));
    qn_str_release(&subject);
}

static void print_means(const struct explanation *e)
{
    qn_str subject = {0};
    add_subject(e, &subject);
    printf("mean part, without sign, in %s over %lld rows\n\n%-28s%14s\n",
           subject.failed ? "" : subject.text, (long long)e->n_rows, "column", "part");
    for (int64_t i = 0; i < e->n_inputs; i++) {
        printf("%-28.27s%14.6g\n", qn_model_input_name(e->model, e->order[i]),
               e->means[e->order[i]]);
    }
    qn_str_release(&subject);
}

static qn_status print_json(const struct explanation *e, bool one_row, qn_error *err)
{
    qn_str text = {0}, subject = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    add_subject(e, &subject);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "of", subject.failed ? "" : subject.text);
    if (one_row) {
        qn_json_put_int(&json, "row", e->row + 1);
        qn_json_put_double(&json, "expected", e->parts.expected[0]);
        qn_json_put_double(&json, "total", total_of(e));
    } else {
        qn_json_put_int(&json, "rows", e->n_rows);
    }
    qn_json_key(&json, one_row ? "parts" : "mean_parts");
    qn_json_begin_object(&json);
    for (int64_t i = 0; i < e->n_inputs; i++) {
        qn_json_put_double(&json, qn_model_input_name(e->model, e->order[i]),
                           one_row ? e->parts.columns[e->order[i]] : e->means[e->order[i]]);
    }
    qn_json_end_object(&json);
    qn_json_end_object(&json);
    const bool failed = text.failed || subject.failed;
    if (!failed) puts(text.text);
    qn_str_release(&text);
    qn_str_release(&subject);
    return failed ? qn_fail(err, QN_ERR_NOMEM, "no memory to print the explanation") : QN_OK;
}

/* The way of a row through one tree of a member, by the names of its features. */
static qn_status add_path(const qn_predictor *predictor, const qn_member *member,
                          const qn_binding *binding, int64_t row, int64_t tree, qn_str *out,
                          qn_error *err)
{
    const qn_recipe *recipe = predictor->recipes[member->recipe];
    const int32_t at = (int32_t)row;
    int64_t n, n_dense;
    qn_matrix view = {0};
    const qn_feature *features = qn_recipe_features(recipe, QN_VIEW_TREE, &n, &n_dense);
    const char **names = qn_alloc_array(n_dense, sizeof *names);
    if (!names) return qn_fail(err, QN_ERR_NOMEM, "no memory for the names of features");
    for (int64_t f = 0; f < n_dense; f++) {
        names[f] = features[f].name;
    }
    const qn_status status =
        qn_recipe_transform(recipe, QN_VIEW_TREE, binding, &at, 1, NULL, &view, err);
    if (status == QN_OK) {
        qn_str_addf(out, "\n%s, fold %d, tree %lld\n", member->name, member->fold + 1,
                    (long long)tree + 1);
        qn_tree_model_path(qn_tree_model_of(member->estimator), (int32_t)tree, &view, 0, names,
                           out);
        qn_matrix_release(&view);
    }
    qn_free(names);
    return status;
}

static qn_status print_paths(const struct explanation *e, int64_t tree, qn_error *err)
{
    const qn_predictor *predictor = qn_model_predictor(e->model);
    qn_binding *binding = NULL;
    qn_str text = {0};
    qn_status status = qn_binding_create(qn_model_schema(e->model), e->frame, &binding, err);
    for (int32_t m = 0; m < predictor->n_members && status == QN_OK; m++) {
        const qn_tree_model *model = qn_tree_model_of(predictor->members[m].estimator);
        if (!model || tree > model->n_trees) continue;
        status = add_path(predictor, &predictor->members[m], binding, e->row, tree - 1, &text, err);
    }
    if (status == QN_OK && text.failed) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory to print the paths");
    }
    if (status == QN_OK) fputs(text.text, stdout);
    qn_str_release(&text);
    qn_binding_free(binding);
    return status;
}

static qn_status check_tree(const qn_model *model, int64_t tree, qn_error *err)
{
    const qn_predictor *predictor = qn_model_predictor(model);
    int64_t most = 0;
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_tree_model *trees = qn_tree_model_of(predictor->members[m].estimator);
        if (trees && trees->n_trees > most) most = trees->n_trees;
    }
    return tree <= most
               ? QN_OK
               : qn_fail(err, QN_ERR_ARG, "--tree %lld: no estimator has more than %lld trees",
                         (long long)tree, (long long)most);
}

static qn_status check_request(const struct explain_request *request, const qn_frame *frame,
                               qn_error *err)
{
    if (request->tree > 0 && (request->row == 0 || request->json)) {
        return qn_fail(err, QN_ERR_ARG, "--tree goes with --row, and prints text only");
    }
    if (request->row > frame->n_rows) {
        return qn_fail(err, QN_ERR_ARG, "--row %lld: %s has %lld rows", (long long)request->row,
                       request->arguments[1], (long long)frame->n_rows);
    }
    return frame->n_rows == 0
               ? qn_fail(err, QN_ERR_DATA, "%s has no rows to explain", request->arguments[1])
               : QN_OK;
}

static qn_status explain(const struct explain_request *request, qn_error *err)
{
    qn_model *model = NULL;
    qn_frame *frame = NULL;
    struct explanation e = {0};
    qn_pool *pool = qn_pool_create((int)request->n_threads);
    qn_status status = qn_model_open(request->arguments[0], &model, err);
    if (status == QN_OK) {
        const qn_read_request read = {
            .uri = request->arguments[1], .schema = qn_model_schema(model), .pool = pool};
        status = qn_source_read(&read, &frame, NULL, err);
    }
    qn_pool_free(pool);
    if (status == QN_OK) status = check_request(request, frame, err);
    if (status == QN_OK) status = check_tree(model, request->tree, err);
    if (status == QN_OK) {
        e.model = model;
        e.frame = frame;
        e.row = request->row > 0 ? request->row - 1 : 0;
        e.n_rows = request->row > 0 ? 1 : frame->n_rows;
        status = make(&e, (int)request->n_threads, err);
    }
    if (status == QN_OK && request->json) {
        status = print_json(&e, request->row > 0, err);
    } else if (status == QN_OK && request->row > 0) {
        print_row(&e);
        if (request->tree > 0) status = print_paths(&e, request->tree, err);
    } else if (status == QN_OK) {
        print_means(&e);
    }
    release(&e);
    qn_frame_free(frame);
    qn_model_close(model);
    return status;
}

static qn_status check_arguments(const struct explain_request *request, qn_error *err)
{
    if (request->shapes && (request->arguments[1] || request->row > 0)) {
        return qn_fail(err, QN_ERR_ARG,
                       "--shapes shows what is in the model: leave out TABLE and --row");
    }
    if (!request->shapes && !request->arguments[1]) {
        return qn_fail(err, QN_ERR_ARG, "no TABLE was given; see 'quern help explain'");
    }
    return request->output && !request->shapes ? qn_fail(err, QN_ERR_ARG, "-o goes with --shapes")
                                               : QN_OK;
}

static int explain_run(int argc, char **argv)
{
    struct explain_request request = {0};
    const int parsed = cli_parse(&cmd_explain, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    qn_error err = {0};
    if (check_arguments(&request, &err) != QN_OK) return cli_fail(&cmd_explain, &err);
    if (request.shapes) {
        return cli_explain_shapes(request.arguments[0], request.output, request.json, &err) == QN_OK
                   ? CLI_OK
                   : cli_fail(&cmd_explain, &err);
    }
    return explain(&request, &err) == QN_OK ? CLI_OK : cli_fail(&cmd_explain, &err);
}

const cli_command cmd_explain = {
    .name = "explain",
    .summary = "show which part each column has in predictions",
    .synopsis = "MODEL TABLE [--row N] [options] | MODEL --shapes [-o FILE]",
    .details =
        "Divides up the log-odds of class 1 (of several classes: of the predicted one), or\n"
        "the predicted number. The parts of the columns and what is expected of any row add\n"
        "up to it. Without --row: their mean without sign, over all rows.\n"
        "\n"
        "Trees are explained by exact SHAP values, linear models by coefficients, additive ones\n"
        "by their terms, other estimators by sampled Shapley values.",
    .examples = "    quern explain credit.quern new.csv --row 3\n"
                "    quern explain credit.quern --shapes -o shapes.csv",
    .options = options,
    .n_arguments_min = 1,
    .n_arguments_max = 2,
    .arguments_offset = AT(arguments),
    .run = explain_run};
