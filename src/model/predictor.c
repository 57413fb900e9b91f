/* SPDX-License-Identifier: Apache-2.0 */
#include "model/predictor.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum { FORMAT = 2, FORMAT_WITHOUT_INTERVALS = 1 };

void qn_predictor_free(qn_predictor *predictor)
{
    if (!predictor) return;
    for (int32_t m = 0; predictor->members && m < predictor->n_members; m++) {
        qn_free(predictor->members[m].name);
        qn_estimator_free(predictor->members[m].estimator);
    }
    for (int32_t r = 0; predictor->recipes && r < predictor->n_recipes; r++) {
        qn_recipe_free(predictor->recipes[r]);
    }
    qn_free(predictor->members);
    qn_free(predictor->recipes);
    qn_free(predictor->class_weights);
    qn_intervals_release(&predictor->intervals);
    qn_free(predictor);
}

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Which views of a recipe its members look at. */
static void views_used(const qn_predictor *predictor, int32_t recipe, bool used[QN_N_VIEWS])
{
    memset(used, 0, QN_N_VIEWS * sizeof *used);
    for (int32_t m = 0; m < predictor->n_members; m++) {
        if (predictor->members[m].recipe == recipe) {
            used[predictor->members[m].estimator->view] = true;
        }
    }
}

/* One recipe's views at a time stand in the scratch, behind one member's outputs. */
size_t qn_predictor_scratch_bytes(const qn_predictor *predictor, int64_t n_rows)
{
    size_t most_views = 0, most_own = 0;
    for (int32_t r = 0; r < predictor->n_recipes; r++) {
        bool used[QN_N_VIEWS];
        size_t bytes = 0;
        views_used(predictor, r, used);
        for (int view = 0; view < QN_N_VIEWS; view++) {
            if (!used[view]) continue;
            bytes += aligned(qn_recipe_scratch_bytes(predictor->recipes[r], (qn_view)view, n_rows));
        }
        if (bytes > most_views) most_views = bytes;
    }
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const size_t bytes = qn_estimator_scratch_bytes(predictor->members[m].estimator, n_rows);
        if (bytes > most_own) most_own = bytes;
    }
    return aligned((size_t)(n_rows * predictor->n_outputs) * sizeof(double)) + aligned(most_own) +
           most_views + 64;
}

void qn_temperature_apply(double temperature, double *outputs, int32_t n_outputs)
{
    if (temperature == 1) return;
    if (n_outputs == 1) {
        const double p = fmin(fmax(outputs[0], 1e-15), 1 - 1e-15);
        outputs[0] = 1 / (1 + exp(-log(p / (1 - p)) / temperature));
        return;
    }
    double most = -QN_INF, sum = 0;
    for (int32_t c = 0; c < n_outputs; c++) {
        outputs[c] = log(fmax(outputs[c], 1e-15)) / temperature;
        most = fmax(most, outputs[c]);
    }
    for (int32_t c = 0; c < n_outputs; c++) {
        sum += outputs[c] = exp(outputs[c] - most);
    }
    for (int32_t c = 0; c < n_outputs; c++) {
        outputs[c] /= sum;
    }
}

static bool is_classification(const qn_predictor *predictor)
{
    return predictor->schema->n_classes > 0;
}

static void finish_rows(const qn_predictor *predictor, int64_t n_rows, double *out)
{
    const int32_t k = predictor->n_outputs;
    for (int64_t row = 0; row < n_rows; row++) {
        double *outputs = out + row * k;
        if (is_classification(predictor)) {
            qn_temperature_apply(predictor->temperature, outputs, k);
        } else {
            if (outputs[0] < predictor->low) outputs[0] = predictor->low;
            if (outputs[0] > predictor->high) outputs[0] = predictor->high;
        }
    }
}

void qn_predictor_predict(const qn_predictor *predictor, const qn_cell *cells, int64_t n_rows,
                          double *out, void *scratch)
{
    const int64_t n = n_rows * predictor->n_outputs;
    char *memory = scratch;
    double *member_out = (double *)(void *)memory;
    memory += aligned((size_t)n * sizeof(double));
    size_t most_own = 0;
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const size_t bytes = qn_estimator_scratch_bytes(predictor->members[m].estimator, n_rows);
        if (bytes > most_own) most_own = bytes;
    }
    void *own = memory;
    memory += aligned(most_own);
    memset(out, 0, (size_t)n * sizeof *out);
    for (int32_t r = 0; r < predictor->n_recipes; r++) {
        bool used[QN_N_VIEWS];
        qn_matrix views[QN_N_VIEWS];
        char *at = memory;
        views_used(predictor, r, used);
        for (int view = 0; view < QN_N_VIEWS; view++) {
            if (!used[view]) continue;
            qn_recipe_apply(predictor->recipes[r], (qn_view)view, cells, n_rows, at, &views[view]);
            at += aligned(qn_recipe_scratch_bytes(predictor->recipes[r], (qn_view)view, n_rows));
        }
        for (int32_t m = 0; m < predictor->n_members; m++) {
            const qn_member *member = &predictor->members[m];
            if (member->recipe != r) continue;
            member->estimator->family->predict(member->estimator, &views[member->estimator->view],
                                               member_out, own);
            for (int64_t i = 0; i < n; i++) {
                out[i] += member->weight * member_out[i];
            }
        }
    }
    finish_rows(predictor, n_rows, out);
}

struct transformation {
    const qn_predictor *predictor;
    const qn_binding *binding;
    const int32_t *rows;
    int64_t n_rows;
    double *out;
    qn_status *statuses;
};

enum { BLOCKS_A_TASK = 8 };

static void transform_blocks(void *context, int64_t task)
{
    struct transformation *job = context;
    const qn_predictor *predictor = job->predictor;
    const int64_t n_inputs = qn_schema_n_features(predictor->schema);
    const size_t cells_bytes = aligned((size_t)(n_inputs * QN_BLOCK_ROWS) * sizeof(qn_cell));
    const size_t text_bytes = aligned(qn_binding_scratch_bytes(job->binding, QN_BLOCK_ROWS));
    const size_t own_bytes = qn_predictor_scratch_bytes(predictor, QN_BLOCK_ROWS);
    char *memory = qn_alloc_aligned((int64_t)(cells_bytes + text_bytes + own_bytes), 1);
    job->statuses[task] = memory ? QN_OK : QN_ERR_NOMEM;
    if (!memory) return;
    const int64_t end = (task + 1) * BLOCKS_A_TASK * QN_BLOCK_ROWS;
    for (int64_t first = task * BLOCKS_A_TASK * QN_BLOCK_ROWS; first < end && first < job->n_rows;
         first += QN_BLOCK_ROWS) {
        const int64_t n = job->n_rows - first < QN_BLOCK_ROWS ? job->n_rows - first : QN_BLOCK_ROWS;
        qn_cell *cells = (qn_cell *)(void *)memory;
        qn_binding_load(job->binding, job->rows, first, n, cells, memory + cells_bytes);
        qn_predictor_predict(predictor, cells, n, job->out + first * predictor->n_outputs,
                             memory + cells_bytes + text_bytes);
    }
    qn_free(memory);
}

qn_status qn_predictor_transform(const qn_predictor *predictor, const qn_binding *binding,
                                 const int32_t *rows, int64_t n_rows, qn_pool *pool, double *out,
                                 qn_error *err)
{
    const int64_t a_task = BLOCKS_A_TASK * QN_BLOCK_ROWS;
    const int64_t n_tasks = (n_rows + a_task - 1) / a_task;
    struct transformation job = {.predictor = predictor,
                                 .binding = binding,
                                 .rows = rows,
                                 .n_rows = n_rows,
                                 .out = out,
                                 .statuses = qn_alloc_array(n_tasks, sizeof *job.statuses)};
    if (!job.statuses) return qn_fail(err, QN_ERR_NOMEM, "no memory to predict");
    qn_pool_run(pool, n_tasks, transform_blocks, &job);
    qn_status status = QN_OK;
    for (int64_t t = 0; t < n_tasks && status == QN_OK; t++) {
        if (job.statuses[t] != QN_OK) status = qn_fail(err, QN_ERR_NOMEM, "no memory to predict");
    }
    qn_free(job.statuses);
    return status;
}

int32_t qn_predictor_decide(const qn_predictor *predictor, const double *outputs)
{
    if (predictor->n_outputs == 1) return outputs[0] >= predictor->threshold;
    int32_t best = 0;
    double most = -QN_INF;
    for (int32_t c = 0; c < predictor->n_outputs; c++) {
        double p = predictor->class_weights ? outputs[c] * predictor->class_weights[c] : outputs[c];
        if (predictor->schema->task == QN_TASK_CLUSTERING) p = -p; /* the nearest */
        if (p > most) {
            most = p;
            best = c;
        }
    }
    return best;
}

/* Bundle. */

void qn_predictor_interval(const qn_predictor *predictor, int level, const double *outputs,
                           double *low, double *high)
{
    qn_intervals_at(&predictor->intervals, level, outputs[0], low, high);
    if (*low < predictor->low) *low = predictor->low;
    if (*high > predictor->high) *high = predictor->high;
}

void qn_predictor_write(const qn_predictor *predictor, qn_writer *writer)
{
    qn_write_i32(writer, FORMAT);
    qn_write_i32(writer, predictor->n_outputs);
    qn_write_f64(writer, predictor->temperature);
    qn_write_f64(writer, predictor->threshold);
    qn_write_f64(writer, predictor->low);
    qn_write_f64(writer, predictor->high);
    qn_write_array(writer, predictor->class_weights,
                   predictor->class_weights ? predictor->n_outputs : 0, sizeof(double));
    qn_intervals_write(&predictor->intervals, writer);
    qn_write_i32(writer, predictor->n_recipes);
    for (int32_t r = 0; r < predictor->n_recipes; r++) {
        qn_recipe_write(predictor->recipes[r], writer);
    }
    qn_write_i32(writer, predictor->n_members);
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        qn_write_text(writer, member->name, strlen(member->name));
        qn_write_i32(writer, member->fold);
        qn_write_i32(writer, member->recipe);
        qn_write_f64(writer, member->weight);
        qn_estimator_write(member->estimator, writer);
    }
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the model");
}

static qn_status damaged(qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "model: its bytes are damaged");
}

static qn_status read_member(qn_reader *reader, qn_predictor *predictor, qn_error *err)
{
    qn_member *member = &predictor->members[predictor->n_members];
    size_t bytes;
    const char *name = qn_read_text(reader, &bytes);
    member->fold = qn_read_i32(reader);
    member->recipe = qn_read_i32(reader);
    member->weight = qn_read_f64(reader);
    if (reader->failed || member->recipe < 0 || member->recipe >= predictor->n_recipes ||
        !(member->weight >= 0 && member->weight <= 1 + 1e-9)) { /* some were summed up */
        return damaged(err);
    }
    member->name = qn_strndup(name, bytes);
    predictor->n_members++;
    if (!member->name) return no_memory(err);
    return qn_estimator_read(reader, predictor->recipes[member->recipe], predictor->n_outputs,
                             &member->estimator, err);
}

static qn_status read_into(qn_reader *reader, qn_predictor *predictor, qn_error *err)
{
    const int32_t format = qn_read_i32(reader);
    int64_t n_weights;
    predictor->n_outputs = qn_read_i32(reader);
    predictor->temperature = qn_read_f64(reader);
    predictor->threshold = qn_read_f64(reader);
    predictor->low = qn_read_f64(reader);
    predictor->high = qn_read_f64(reader);
    const double *weights = qn_read_array(reader, sizeof *weights, &n_weights);
    if (format == FORMAT) QN_TRY(qn_intervals_read(reader, &predictor->intervals, err));
    const int32_t n_recipes = qn_read_i32(reader);
    if (reader->failed || (format != FORMAT && format != FORMAT_WITHOUT_INTERVALS) ||
        predictor->n_outputs != qn_schema_n_outputs(predictor->schema) ||
        !(predictor->temperature > 0) || (n_weights != 0 && n_weights != predictor->n_outputs) ||
        n_recipes < 1 || n_recipes > 10000) {
        return damaged(err);
    }
    if (n_weights > 0) {
        predictor->class_weights = qn_alloc_array(n_weights, sizeof *weights);
        if (!predictor->class_weights) return no_memory(err);
        memcpy(predictor->class_weights, weights, (size_t)n_weights * sizeof *weights);
    }
    predictor->recipes = qn_alloc_array(n_recipes, sizeof *predictor->recipes);
    if (!predictor->recipes) return no_memory(err);
    for (int32_t r = 0; r < n_recipes; r++) {
        QN_TRY(qn_recipe_read(reader, predictor->schema, &predictor->recipes[r], err));
        predictor->n_recipes++;
    }
    const int32_t n_members = qn_read_i32(reader);
    if (reader->failed || n_members < 1 || n_members > 1000000) return damaged(err);
    predictor->members = qn_alloc_array(n_members, sizeof *predictor->members);
    if (!predictor->members) return no_memory(err);
    for (int32_t m = 0; m < n_members; m++) {
        QN_TRY(read_member(reader, predictor, err));
    }
    return reader->failed ? damaged(err) : QN_OK;
}

qn_status qn_predictor_read(qn_reader *reader, const qn_schema *schema, qn_predictor **out,
                            qn_error *err)
{
    *out = NULL;
    qn_predictor *predictor = qn_alloc_array(1, sizeof *predictor);
    if (!predictor) return no_memory(err);
    predictor->schema = schema;
    const qn_status status = read_into(reader, predictor, err);
    if (status != QN_OK) {
        qn_predictor_free(predictor);
        return status;
    }
    *out = predictor;
    return QN_OK;
}

void qn_predictor_describe(const qn_predictor *predictor, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_double(json, "temperature", predictor->temperature);
    qn_json_put_double(json, "threshold", predictor->threshold);
    qn_json_key(json, "recipes");
    qn_json_begin_array(json);
    for (int32_t r = 0; r < predictor->n_recipes; r++) {
        qn_recipe_describe(predictor->recipes[r], predictor->schema, json);
    }
    qn_json_end_array(json);
    qn_json_key(json, "members");
    qn_json_begin_array(json);
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        qn_json_begin_object(json);
        qn_json_put_text(json, "name", member->name);
        qn_json_put_text(json, "family", member->estimator->family->name);
        qn_json_put_int(json, "fold", member->fold);
        qn_json_put_int(json, "recipe", member->recipe);
        qn_json_put_double(json, "weight", member->weight);
        member->estimator->family->describe(member->estimator, json);
        if (member->estimator->family->describe_features) {
            int64_t n, n_dense;
            member->estimator->family->describe_features(
                member->estimator,
                qn_recipe_features(predictor->recipes[member->recipe], member->estimator->view, &n,
                                   &n_dense),
                json);
        }
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
    qn_json_end_object(json);
}
