/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/fit_inputs.h"

#include "base/alloc.h"
#include "evaluate/queries.h"
#include "frame/cells.h"
#include "frame/labels.h"
#include "source/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double test_fraction_default = 0.2;

void qn_fit_inputs_release(qn_fit_inputs *inputs)
{
    qn_frame_free(inputs->frame);
    qn_frame_free(inputs->test_frame);
    qn_schema_free(inputs->schema);
    qn_profile_free(inputs->profile);
    qn_findings_release(&inputs->findings);
    qn_str_release(&inputs->warnings);
    qn_free(inputs->split_reason);
    qn_free(inputs->train);
    qn_free(inputs->test);
    qn_free(inputs->target);
    qn_free(inputs->weights);
    qn_free(inputs->groups);
    qn_free(inputs->test_target);
    qn_free(inputs->test_weights);
    qn_free(inputs->test_groups);
    *inputs = (qn_fit_inputs){0};
}

const qn_frame *qn_fit_inputs_test_frame(const qn_fit_inputs *inputs)
{
    return inputs->test_frame ? inputs->test_frame : inputs->frame;
}

/* Where the columns that steer the split are named: by --group, --time or within --split. */
struct split_columns {
    qn_split_kind kind;
    const char *group, *time, *column;
};

static qn_status parse_split(const qn_fit_request *request, struct split_columns *out,
                             qn_error *err)
{
    const char *split = request->split;
    *out = (struct split_columns){QN_SPLIT_AUTO, request->group, request->time, NULL};
    if (!split || strcmp(split, "auto") == 0) return QN_OK;
    if (strcmp(split, "random") == 0) {
        out->kind = QN_SPLIT_RANDOM;
    } else if (strcmp(split, "stratified") == 0) {
        out->kind = QN_SPLIT_STRATIFIED;
    } else if (strncmp(split, "group:", 6) == 0 && split[6]) {
        out->kind = QN_SPLIT_GROUP;
        out->group = split + 6;
    } else if (strncmp(split, "time:", 5) == 0 && split[5]) {
        out->kind = QN_SPLIT_TIME;
        out->time = split + 5;
    } else if (strncmp(split, "column:", 7) == 0 && split[7]) {
        out->kind = QN_SPLIT_COLUMN;
        out->column = split + 7;
    } else {
        return qn_fail(err, QN_ERR_ARG,
                       "--split %s: expected random, stratified, group:COLUMN, time:COLUMN or "
                       "column:COLUMN",
                       split);
    }
    return QN_OK;
}

/* Reads a table and renames labels of the target as asked. */
static qn_status read_table(const qn_fit_request *request, const char *uri, const char *target,
                            const qn_schema *schema, qn_pool *pool, const qn_stop *stop,
                            qn_str *warnings, qn_frame **out, qn_error *err)
{
    const qn_read_request read = {
        .uri = uri, .schema = schema, .named = target, .pool = pool, .stop = stop};
    QN_TRY(qn_source_read(&read, out, warnings, err));
    if (!request->label_map && !request->strip) return QN_OK;
    if (!target || qn_frame_find(*out, target) < 0) return QN_OK; /* reported by who needs it */
    qn_frame *renamed = NULL;
    const qn_status status = qn_frame_map_labels(*out, qn_frame_find(*out, target),
                                                 request->label_map, request->strip, &renamed, err);
    qn_frame_free(*out);
    *out = renamed;
    return status;
}

static qn_status understand(const qn_fit_request *request, const struct split_columns *split,
                            qn_fit_inputs *inputs, const int32_t *rows, int64_t n_rows,
                            qn_pool *pool, qn_error *err)
{
    qn_profile_free(inputs->profile);
    inputs->profile = NULL;
    QN_TRY(qn_profile_create(inputs->frame, rows, n_rows, pool, &inputs->profile, err));
    const qn_understand_request question = {.frame = inputs->frame,
                                            .profile = inputs->profile,
                                            .rows = rows,
                                            .n_rows = n_rows,
                                            .target = request->target,
                                            .task = request->task,
                                            .positive = request->positive,
                                            .drop = request->drop,
                                            .id = request->id,
                                            .weight = request->weight,
                                            .group = split->group,
                                            .time = split->time,
                                            .split = split->column,
                                            .kinds = request->kinds};
    qn_schema *schema = NULL;
    QN_TRY(qn_understand(&question, &schema, err));
    qn_schema_free(inputs->schema);
    inputs->schema = schema;
    return QN_OK;
}

static int64_t column_of_role(const qn_schema *schema, qn_role role)
{
    for (int64_t col = 0; col < schema->n_cols; col++) {
        if (schema->columns[col].role == role) return col;
    }
    return -1;
}

qn_status qn_row_weights(const qn_schema *schema, const qn_frame *frame, double **out,
                         qn_error *err)
{
    *out = NULL;
    const int64_t role = column_of_role(schema, QN_ROLE_WEIGHT);
    if (role < 0) return QN_OK;
    const char *name = schema->columns[role].name;
    const int64_t col = qn_frame_find(frame, name);
    if (col < 0) return QN_OK; /* a test table need not carry weights */
    const qn_column *column = &frame->columns[col];
    double *weights = qn_alloc_array(frame->n_rows, sizeof *weights);
    if (!weights) return qn_fail(err, QN_ERR_NOMEM, "no memory for the sample weights");
    for (int64_t row = 0; row < frame->n_rows; row++) {
        weights[row] = qn_column_number(column, row);
        if (weights[row] >= 0 && isfinite(weights[row])) continue;
        qn_free(weights);
        return qn_fail(err, QN_ERR_DATA, "%s: row %lld: weight column '%s' holds no number >= 0",
                       frame->source ? frame->source : "table", (long long)row + 1, name);
    }
    *out = weights;
    return QN_OK;
}

/* Beyond the first, squares of numbers are not finite; of numbers closer together than the second,
 * they are 0. No loss tells models apart then. */
static const double target_largest = 1e150, target_spread_least = 1e-150;

/* What numbers to predict must be: `rows` of `target`. */
static qn_status check_numbers(const qn_schema *schema, const qn_frame *frame, const double *target,
                               const int32_t *rows, int64_t n_rows, qn_error *err)
{
    const char *name = schema->columns[schema->target].name;
    double low = QN_INF, high = -QN_INF;
    if (schema->task != QN_TASK_REGRESSION) return QN_OK;
    for (int64_t i = 0; i < n_rows; i++) {
        const double y = target[rows[i]];
        if (fabs(y) > target_largest) {
            return qn_fail(err, QN_ERR_DATA,
                           "%s: row %d: target '%s' is %g, whose square is no number; "
                           "divide the column, or drop such rows",
                           frame->source ? frame->source : "table", rows[i] + 1, name, y);
        }
        low = fmin(low, y);
        high = fmax(high, y);
    }
    if (high - low >= target_spread_least || high == low || n_rows == 0) return QN_OK;
    return qn_fail(err, QN_ERR_DATA,
                   "%s: values of target '%s' are at most %g apart, whose square is 0; "
                   "multiply the column",
                   frame->source ? frame->source : "table", name, high - low);
}

/* Some row must count, and all together no more than a number holds. */
static qn_status check_weights(const qn_fit_inputs *inputs, qn_error *err)
{
    double sum = 0;
    if (!inputs->weights) return QN_OK;
    for (int64_t i = 0; i < inputs->n_train; i++) {
        sum += inputs->weights[inputs->train[i]];
    }
    if (sum > 0 && isfinite(sum)) return QN_OK;
    return qn_fail(err, QN_ERR_DATA, "%s: weights of the training rows sum to %g: %s",
                   inputs->frame->source ? inputs->frame->source : "table", sum,
                   sum > 0 ? "divide the column" : "there is nothing to learn from");
}

static int32_t *all_rows(int64_t n)
{
    int32_t *rows = qn_alloc_array(n, sizeof *rows);
    for (int64_t row = 0; rows && row < n; row++) {
        rows[row] = (int32_t)row;
    }
    return rows;
}

/* Cuts the frame into training and test rows, or takes all for training. */
static qn_status split_rows(const qn_fit_request *request, const struct split_columns *columns,
                            qn_fit_inputs *inputs, qn_error *err)
{
    const bool keeps_all = request->test || request->no_test || request->test_fraction < 0;
    inputs->split_kind = columns->kind;
    if (keeps_all) {
        inputs->n_train = inputs->frame->n_rows;
        inputs->train = all_rows(inputs->n_train);
        inputs->split_reason =
            qn_strdup(request->test ? "a table of its own for testing"
                                    : "every row for training, none for testing");
        if (!inputs->train || !inputs->split_reason) {
            return qn_fail(err, QN_ERR_NOMEM, "no memory for the split");
        }
        return QN_OK;
    }
    const qn_split_request question = {.frame = inputs->frame,
                                       .schema = inputs->schema,
                                       .target = inputs->target,
                                       .n_rows = inputs->frame->n_rows,
                                       .kind = columns->kind,
                                       .test_fraction = request->test_fraction > 0
                                                            ? request->test_fraction
                                                            : test_fraction_default,
                                       .seed = (uint64_t)request->seed};
    qn_split split = {0};
    const qn_status status = qn_split_test(&question, &split, err);
    if (status == QN_ERR_DATA) return qn_fail_context(err, status, "%s", request->table);
    if (status != QN_OK) return status;
    inputs->n_train = split.n_train;
    inputs->n_test = split.n_test;
    inputs->train = split.train;
    inputs->test = split.test;
    inputs->split_reason = split.reason;
    return QN_OK;
}

static qn_status load_test_table(const qn_fit_request *request, qn_pool *pool, const qn_stop *stop,
                                 qn_fit_inputs *inputs, qn_error *err)
{
    const char *target = inputs->schema->columns[inputs->schema->target].name;
    QN_TRY(read_table(request, request->test, target, inputs->schema, pool, stop, &inputs->warnings,
                      &inputs->test_frame, err));
    inputs->n_test = inputs->test_frame->n_rows;
    inputs->test = all_rows(inputs->n_test);
    if (!inputs->test) return qn_fail(err, QN_ERR_NOMEM, "no memory for the test rows");
    return QN_OK;
}

/* Values of the test rows, in their order. */
static qn_status gather_test(qn_fit_inputs *inputs, qn_error *err)
{
    if (inputs->n_test == 0) return QN_OK;
    const qn_frame *frame = qn_fit_inputs_test_frame(inputs);
    const bool own = inputs->test_frame != NULL;
    double *target = inputs->target, *weights = inputs->weights;
    int32_t *groups = inputs->groups;
    qn_status status = QN_OK;
    if (own) {
        target = weights = NULL;
        groups = NULL;
        status = qn_schema_target(inputs->schema, frame, false, &target, err);
        if (status == QN_OK) status = qn_row_weights(inputs->schema, frame, &weights, err);
        if (status == QN_OK && inputs->groups) {
            status = qn_queries_number(inputs->schema, frame, &groups, err);
        }
    }
    if (status == QN_OK && groups) {
        status = qn_queries_sort(inputs->test, inputs->n_test, groups, err);
    }
    const int64_t n = inputs->n_test;
    inputs->test_target = qn_alloc_array(n, sizeof(double));
    if (weights) inputs->test_weights = qn_alloc_array(n, sizeof(double));
    if (groups) inputs->test_groups = qn_alloc_array(n, sizeof(int32_t));
    if (status == QN_OK && (!inputs->test_target || (weights && !inputs->test_weights) ||
                            (groups && !inputs->test_groups))) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the test rows");
    }
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        const int32_t row = inputs->test[i];
        inputs->test_target[i] = target[row];
        if (weights) inputs->test_weights[i] = weights[row];
        if (groups) inputs->test_groups[i] = groups[row];
        if (isnan(target[row])) {
            status = qn_fail(err, QN_ERR_DATA, "%s: row %d has no target value",
                             frame->source ? frame->source : "test table", row + 1);
        }
    }
    if (status == QN_OK) {
        status = check_numbers(inputs->schema, frame, target, inputs->test, n, err);
    }
    if (own) {
        qn_free(target);
        qn_free(weights);
        qn_free(groups);
    }
    return status;
}

static qn_status load(const qn_fit_request *request, qn_pool *pool, const qn_stop *stop,
                      qn_fit_inputs *inputs, qn_error *err)
{
    struct split_columns columns;
    const double begun_s = qn_clock_s();
    QN_TRY(parse_split(request, &columns, err));
    QN_TRY(read_table(request, request->table, request->target, NULL, pool, stop, &inputs->warnings,
                      &inputs->frame, err));
    inputs->data_hash = qn_frame_hash(inputs->frame);
    inputs->read_s = qn_clock_s() - begun_s;

    /* The split needs the target and the roles; kinds are then guessed anew from what trains. */
    QN_TRY(understand(request, &columns, inputs, NULL, inputs->frame->n_rows, pool, err));
    QN_TRY(qn_schema_target(inputs->schema, inputs->frame, false, &inputs->target, err));
    QN_TRY(split_rows(request, &columns, inputs, err));
    if (inputs->n_test > 0) {
        const int32_t n_classes = inputs->schema->n_classes;
        QN_TRY(understand(request, &columns, inputs, inputs->train, inputs->n_train, pool, err));
        if (inputs->schema->n_classes != n_classes) { /* a class that only test rows have */
            return qn_fail(err, QN_ERR_DATA,
                           "a class of target '%s' has no row for training; use another --seed, a "
                           "smaller --test-fraction or --no-test",
                           inputs->schema->columns[inputs->schema->target].name);
        }
    }
    QN_TRY(check_numbers(inputs->schema, inputs->frame, inputs->target, inputs->train,
                         inputs->n_train, err));
    QN_TRY(qn_row_weights(inputs->schema, inputs->frame, &inputs->weights, err));
    QN_TRY(check_weights(inputs, err));
    if (inputs->schema->task == QN_TASK_RANKING) {
        QN_TRY(qn_queries_number(inputs->schema, inputs->frame, &inputs->groups, err));
        if (!inputs->groups) {
            return qn_fail(err, QN_ERR_ARG,
                           "ranking needs the column that names the query: --group COLUMN");
        }
        QN_TRY(qn_queries_sort(inputs->train, inputs->n_train, inputs->groups, err));
    }
    if (request->test) QN_TRY(load_test_table(request, pool, stop, inputs, err));
    QN_TRY(gather_test(inputs, err));
    return qn_screen(inputs->frame, inputs->schema, inputs->profile, inputs->train, inputs->n_train,
                     inputs->target, pool, &inputs->findings, err);
}

qn_status qn_fit_inputs_load(const qn_fit_request *request, qn_pool *pool, const qn_stop *stop,
                             qn_fit_inputs *inputs, qn_error *err)
{
    *inputs = (qn_fit_inputs){0};
    const qn_status status = load(request, pool, stop, inputs, err);
    if (status != QN_OK) qn_fit_inputs_release(inputs);
    return status;
}
