/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/attribution.h"

#include "base/alloc.h"
#include "explain/sampled_shapley.h"
#include "explain/tree_shap.h"
#include "linalg/quadrature.h"
#include "model/additive_model.h"
#include "model/constant_model.h"
#include "model/linear_model.h"

#include <math.h>
#include <string.h>

enum { N_POINTS = 16 }; /* of the quadrature: 1e-9 where log-odds move by 10 */

/* How a member's scores are divided up. */
struct divider {
    qn_tree_shap *shap; /* trees */
    double scale;       /* of their sums */
    qn_linear_terms linear;
    const qn_additive_parts *additive; /* NULL: another family */
    qn_sampled sampled;
    bool is_linear, is_constant, is_sampled;
    double expected[QN_CLASSES_MAX]; /* scores */
};

struct qn_attribution {
    const qn_predictor *predictor;
    int64_t n_inputs;
    struct divider *dividers; /* of the members */
    qn_column_orders orders;
    double points[N_POINTS], weights[N_POINTS];
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to explain predictions");
}

void qn_attribution_free(qn_attribution *attribution)
{
    if (!attribution) return;
    for (int32_t m = 0; attribution->dividers && m < attribution->predictor->n_members; m++) {
        qn_tree_shap_free(attribution->dividers[m].shap);
    }
    qn_column_orders_release(&attribution->orders);
    qn_free(attribution->dividers);
    qn_free(attribution);
}

static qn_status sample(const qn_attribution *attribution, const qn_member *member,
                        struct divider *out, qn_error *err)
{
    out->is_sampled = true;
    out->sampled = (qn_sampled){.recipe = attribution->predictor->recipes[member->recipe],
                                .estimator = member->estimator,
                                .orders = &attribution->orders};
    void *scratch = qn_alloc_aligned((int64_t)qn_sampled_scratch_bytes(&out->sampled), 1);
    if (!scratch) return no_memory(err);
    qn_sampled_expected(&out->sampled, out->expected, scratch);
    qn_free(scratch);
    return QN_OK;
}

static qn_status make_divider(const qn_attribution *attribution, const qn_member *member,
                              struct divider *out, qn_error *err)
{
    const qn_estimator *estimator = member->estimator;
    const qn_tree_model *trees = qn_tree_model_of(estimator);
    const size_t bytes = (size_t)estimator->n_outputs * sizeof *out->expected;
    const bool is_constant = estimator->family == &qn_family_constant;
    const bool is_derived =
        qn_recipe_is_derived(attribution->predictor->recipes[member->recipe], estimator->view);
    if ((trees && trees->line_starts) || (is_derived && !is_constant)) {
        return sample(attribution, member, out, err);
    }
    if (trees) {
        const qn_status status = qn_tree_shap_create(trees, &out->shap, err);
        if (status != QN_OK) return qn_fail_context(err, status, "%s", member->name);
        out->scale = trees->scale;
        for (int32_t c = 0; c < estimator->n_outputs; c++) {
            out->expected[c] = out->scale * qn_tree_shap_expected(out->shap)[c];
        }
        return QN_OK;
    }
    out->additive = qn_additive_parts_of(estimator);
    if (out->additive) {
        memcpy(out->expected, out->additive->intercepts, bytes);
        return QN_OK;
    }
    out->is_linear = qn_linear_terms_of(estimator, &out->linear);
    out->is_constant = is_constant;
    if (out->is_linear) memcpy(out->expected, out->linear.intercepts, bytes);
    if (out->is_constant)
        estimator->family->scores(estimator, &(qn_matrix){.n_rows = 1}, out->expected, NULL);
    return out->is_linear || out->is_constant ? QN_OK : sample(attribution, member, out, err);
}

qn_status qn_attribution_create(const qn_predictor *predictor, qn_attribution **out, qn_error *err)
{
    *out = NULL;
    qn_attribution *attribution = qn_alloc_array(1, sizeof *attribution);
    if (!attribution) return no_memory(err);
    attribution->predictor = predictor;
    attribution->n_inputs = qn_schema_n_features(predictor->schema);
    attribution->dividers = qn_alloc_array(predictor->n_members, sizeof *attribution->dividers);
    qn_status status = attribution->dividers ? QN_OK : no_memory(err);
    if (status == QN_OK) {
        status = qn_column_orders_init(attribution->n_inputs, &attribution->orders, err);
    }
    for (int32_t m = 0; m < predictor->n_members && status == QN_OK; m++) {
        status = make_divider(attribution, &predictor->members[m], &attribution->dividers[m], err);
    }
    if (status != QN_OK) {
        qn_attribution_free(attribution);
        return status;
    }
    qn_gauss_legendre(N_POINTS, attribution->points, attribution->weights);
    *out = attribution;
    return QN_OK;
}

/* Scratch. */

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

struct room {
    double *scores;  /* members × rows × outputs */
    double *weights; /* the same: of the parts of these scores */
    double *at;      /* members × outputs: scores of a point on the way */
    double *linked;  /* the same as predictions */
    double *slopes;  /* members × outputs: means along the way */
    double *values;  /* of one member: rows × outputs × features */
    char *own;       /* a member's, SHAP's or the predictor's */
    char *views;
};

static void *take(char *memory, size_t *used, size_t bytes)
{
    void *at = memory ? memory + *used : NULL;
    *used += aligned(bytes);
    return at;
}

static size_t lay_out(const qn_attribution *attribution, char *memory, struct room *room)
{
    const qn_predictor *predictor = attribution->predictor;
    const size_t k = (size_t)predictor->n_outputs, n_members = (size_t)predictor->n_members;
    size_t used = 0, values = 0, views = 0;
    size_t own = qn_predictor_scratch_bytes(predictor, QN_BLOCK_ROWS);
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        const qn_tree_shap *shap = attribution->dividers[m].shap;
        const size_t bytes = qn_estimator_scratch_bytes(member->estimator, QN_BLOCK_ROWS);
        const size_t view = qn_recipe_scratch_bytes(predictor->recipes[member->recipe],
                                                    member->estimator->view, QN_BLOCK_ROWS);
        if (bytes > own) own = bytes;
        if (view > views) views = view;
        if (attribution->dividers[m].is_sampled) {
            const size_t sampled = qn_sampled_scratch_bytes(&attribution->dividers[m].sampled);
            if (sampled > own) own = sampled;
            if (k * (size_t)attribution->n_inputs > values) {
                values = k * (size_t)attribution->n_inputs;
            }
        }
        const qn_additive_parts *additive = attribution->dividers[m].additive;
        if (additive && k * (size_t)additive->n_features > values) {
            values = k * (size_t)additive->n_features;
        }
        if (!shap) continue;
        const size_t n = k * (size_t)qn_tree_model_of(member->estimator)->n_features;
        if (qn_tree_shap_scratch_bytes(shap) > own) own = qn_tree_shap_scratch_bytes(shap);
        if (n > values) values = n;
    }
    room->scores = take(memory, &used, n_members * QN_BLOCK_ROWS * k * sizeof(double));
    room->weights = take(memory, &used, n_members * QN_BLOCK_ROWS * k * sizeof(double));
    room->at = take(memory, &used, n_members * k * sizeof(double));
    room->linked = take(memory, &used, n_members * k * sizeof(double));
    room->slopes = take(memory, &used, n_members * k * sizeof(double));
    room->values = take(memory, &used, values * QN_BLOCK_ROWS * sizeof(double));
    room->own = take(memory, &used, own);
    room->views = take(memory, &used, views);
    return used;
}

size_t qn_attribution_scratch_bytes(const qn_attribution *attribution)
{
    struct room room;
    return lay_out(attribution, NULL, &room);
}

/* From scores to what is divided up. */

/* The log-odds of class c, or the value; `slopes` gets its derivatives by the averaged predictions.
 * Calibration divides log-probabilities u by the temperature; with q their softmax, the log-odds
 * are u_c - log of the sum of the others' e^u, with derivatives 1 by u_c and -q_j / (1 - q_c). */
static double final_score(const qn_predictor *predictor, const double *p, int32_t c, double *slopes)
{
    const int32_t k = predictor->n_outputs;
    const double t = predictor->temperature, least = 1e-15;
    slopes[0] = 1;
    if (predictor->schema->n_classes == 0) return p[0];
    if (k == 1) {
        const double x = fmin(fmax(p[0], least), 1 - least);
        slopes[0] = 1 / (t * x * (1 - x));
        return log(x / (1 - x)) / t;
    }
    double most = -QN_INF, rest = 0;
    for (int32_t j = 0; j < k; j++) {
        slopes[j] = log(fmax(p[j], least)) / t;
        if (j != c) most = fmax(most, slopes[j]);
    }
    const double own = slopes[c];
    for (int32_t j = 0; j < k; j++) {
        slopes[j] = exp(slopes[j] - most);
        if (j != c) rest += slopes[j];
    }
    for (int32_t j = 0; j < k; j++) {
        slopes[j] = (j == c ? 1 : -slopes[j] / rest) / (t * fmax(p[j], least));
    }
    return own - most - log(rest);
}

static double *scores_of(const qn_attribution *attribution, const struct room *room, int32_t member,
                         int64_t row)
{
    const int32_t k = attribution->predictor->n_outputs;
    return room->scores + ((int64_t)member * QN_BLOCK_ROWS + row) * k;
}

static double *weights_of(const qn_attribution *attribution, const struct room *room,
                          int32_t member, int64_t row)
{
    const int32_t k = attribution->predictor->n_outputs;
    return room->weights + ((int64_t)member * QN_BLOCK_ROWS + row) * k;
}

/* The predictor's average at a share of the way from the expected scores to a row's. */
static void average_at(const qn_attribution *attribution, const struct room *room, int64_t row,
                       double share, double *average)
{
    const qn_predictor *predictor = attribution->predictor;
    const int32_t k = predictor->n_outputs;
    memset(average, 0, (size_t)k * sizeof *average);
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        const double *expected = attribution->dividers[m].expected,
                     *scores = scores_of(attribution, room, m, row);
        double *at = room->at + (int64_t)m * k, *linked = room->linked + (int64_t)m * k;
        for (int32_t c = 0; c < k; c++) {
            at[c] = linked[c] = expected[c] + share * (scores[c] - expected[c]);
        }
        if (member->estimator->family->scores) {
            member->estimator->family->link(member->estimator, linked);
        }
        for (int32_t c = 0; c < k; c++) {
            average[c] += member->weight * linked[c];
        }
    }
}

/* The weights of the parts of a row's scores: the mean slopes along the way. Quadrature leaves a
 * little over, which the weights share. */
static void weigh_scores(const qn_attribution *attribution, const struct room *room, int64_t row,
                         int32_t c, double *expected)
{
    const qn_predictor *predictor = attribution->predictor;
    const int32_t k = predictor->n_outputs, n = predictor->n_members;
    double average[QN_CLASSES_MAX], slopes[QN_CLASSES_MAX], pulled[QN_CLASSES_MAX];
    double *sums = room->slopes;
    memset(sums, 0, (size_t)n * (size_t)k * sizeof *sums);
    average_at(attribution, room, row, 0, average);
    *expected = final_score(predictor, average, c, slopes);
    average_at(attribution, room, row, 1, average);
    const double moved = final_score(predictor, average, c, slopes) - *expected;
    for (int q = 0; q < N_POINTS; q++) {
        average_at(attribution, room, row, attribution->points[q], average);
        (void)final_score(predictor, average, c, slopes);
        for (int32_t m = 0; m < n; m++) {
            const qn_member *member = &predictor->members[m];
            memcpy(pulled, slopes, (size_t)k * sizeof *pulled);
            if (member->estimator->family->scores) {
                member->estimator->family->pull_back(member->estimator, room->at + (int64_t)m * k,
                                                     room->linked + (int64_t)m * k, pulled);
            }
            for (int32_t j = 0; j < k; j++) {
                sums[m * k + j] += attribution->weights[q] * member->weight * pulled[j];
            }
        }
    }
    double found = 0;
    for (int32_t i = 0; i < n * k; i++) {
        found += sums[i] * (scores_of(attribution, room, i / k, row)[i % k] -
                            attribution->dividers[i / k].expected[i % k]);
    }
    const double factor = moved / found;
    for (int32_t i = 0; i < n * k; i++) {
        weights_of(attribution, room, i / k, row)[i % k] =
            factor > 0.5 && factor < 2 ? sums[i] * factor : sums[i];
    }
}

/* From features to columns. */

struct block {
    const qn_attribution *attribution;
    const qn_cell *cells;
    int64_t n_rows;
    const qn_parts *out;
    struct room room;
};

static void view_of(const struct block *block, const qn_member *member, qn_matrix *view)
{
    qn_recipe_apply(block->attribution->predictor->recipes[member->recipe], member->estimator->view,
                    block->cells, block->n_rows, block->room.views, view);
}

static void add_trees(const struct block *block, int32_t m, const qn_matrix *view,
                      const qn_feature *features)
{
    const qn_attribution *attribution = block->attribution;
    const struct divider *divider = &attribution->dividers[m];
    const qn_estimator *estimator = attribution->predictor->members[m].estimator;
    const int64_t n = qn_tree_model_of(estimator)->n_features;
    const double *value = block->room.values;
    qn_tree_shap_rows(divider->shap, view, block->room.values, block->room.own);
    for (int64_t row = 0; row < block->n_rows; row++) {
        const double *weights = weights_of(attribution, &block->room, m, row);
        double *columns = block->out->columns + row * attribution->n_inputs;
        for (int32_t c = 0; c < estimator->n_outputs; c++) {
            const double weight = weights[c] * divider->scale;
            for (int64_t f = 0; f < n; f++) {
                columns[features[f].input] += weight * *value++;
            }
        }
    }
}

static void add_additive(const struct block *block, int32_t m, const qn_matrix *view,
                         const qn_feature *features)
{
    const qn_attribution *attribution = block->attribution;
    const qn_estimator *estimator = attribution->predictor->members[m].estimator;
    const int64_t n = attribution->dividers[m].additive->n_features;
    for (int64_t row = 0; row < block->n_rows; row++) {
        const double *weights = weights_of(attribution, &block->room, m, row);
        double *columns = block->out->columns + row * attribution->n_inputs;
        qn_additive_row_parts(estimator, view, row, block->room.values, block->room.own);
        for (int64_t i = 0; i < n * estimator->n_outputs; i++) {
            columns[features[i % n].input] += weights[i / n] * block->room.values[i];
        }
    }
}

static void add_linear(const struct block *block, int32_t m, const qn_matrix *view,
                       const qn_feature *features)
{
    const qn_attribution *attribution = block->attribution;
    const qn_linear_terms *terms = &attribution->dividers[m].linear;
    const int32_t k = attribution->predictor->n_outputs;
    for (int64_t row = 0; row < block->n_rows; row++) {
        const double *weights = weights_of(attribution, &block->room, m, row);
        double *columns = block->out->columns + row * attribution->n_inputs;
        for (int32_t c = 0; c < k; c++) {
            const double *w = terms->coefficients + c * (terms->n_dense + terms->n_sparse);
            for (int64_t f = 0; f < terms->n_dense; f++) {
                columns[features[f].input] +=
                    weights[c] * w[f] * view->dense[f * view->stride + row];
            }
            if (view->n_sparse == 0) continue;
            for (int64_t i = view->sparse_starts[row]; i < view->sparse_starts[row + 1]; i++) {
                const int64_t f = terms->n_dense + view->sparse_cols[i];
                columns[features[f].input] += weights[c] * w[f] * (double)view->sparse_values[i];
            }
        }
    }
}

static void add_sampled(const struct block *block, int32_t m)
{
    const qn_attribution *attribution = block->attribution;
    const struct divider *divider = &attribution->dividers[m];
    const int64_t n_inputs = attribution->n_inputs;
    const int32_t k = attribution->predictor->n_outputs;
    double *values = block->room.values;
    for (int64_t row = 0; row < block->n_rows; row++) {
        const double *weights = weights_of(attribution, &block->room, m, row);
        double *columns = block->out->columns + row * n_inputs;
        qn_sampled_row(&divider->sampled, block->cells + row, block->n_rows, divider->expected,
                       scores_of(attribution, &block->room, m, row), values, block->room.own);
        for (int64_t i = 0; i < k * n_inputs; i++) {
            columns[i % n_inputs] += weights[i / n_inputs] * values[i];
        }
    }
}

static void put_scores(const struct block *block)
{
    const qn_attribution *attribution = block->attribution;
    const qn_predictor *predictor = attribution->predictor;
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        qn_matrix view;
        view_of(block, member, &view);
        qn_estimator_scores(member->estimator, &view, scores_of(attribution, &block->room, m, 0),
                            block->room.own);
    }
}

static void put_parts(const struct block *block)
{
    const qn_attribution *attribution = block->attribution;
    const qn_predictor *predictor = attribution->predictor;
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        const struct divider *divider = &attribution->dividers[m];
        int64_t n, n_dense;
        qn_matrix view;
        if (divider->is_constant) continue;
        if (divider->is_sampled) {
            add_sampled(block, m);
            continue;
        }
        view_of(block, member, &view);
        const qn_feature *features = qn_recipe_features(predictor->recipes[member->recipe],
                                                        member->estimator->view, &n, &n_dense);
        if (divider->shap) {
            add_trees(block, m, &view, features);
        } else if (divider->additive) {
            add_additive(block, m, &view, features);
        } else {
            add_linear(block, m, &view, features);
        }
    }
}

void qn_attribution_rows(const qn_attribution *attribution, const qn_cell *cells, int64_t n_rows,
                         const qn_parts *out, void *scratch)
{
    const qn_predictor *predictor = attribution->predictor;
    const int32_t k = predictor->n_outputs;
    struct block block = {.attribution = attribution, .cells = cells, .n_rows = n_rows, .out = out};
    (void)lay_out(attribution, scratch, &block.room);
    qn_predictor_predict(predictor, cells, n_rows, out->outputs, block.room.own);
    put_scores(&block);
    for (int64_t row = 0; row < n_rows; row++) {
        out->classes[row] = predictor->schema->n_classes == 0 ? 0
                            : k == 1                          ? 1
                                     : qn_predictor_decide(predictor, out->outputs + row * k);
        weigh_scores(attribution, &block.room, row, out->classes[row], &out->expected[row]);
    }
    memset(out->columns, 0, (size_t)(n_rows * attribution->n_inputs) * sizeof *out->columns);
    put_parts(&block);
}

/* Many rows. */

struct job {
    const qn_attribution *attribution;
    const qn_binding *binding;
    int64_t first, n_rows;
    const qn_parts *out;
    qn_status *statuses; /* per block */
};

static void explain_block(void *context, int64_t index)
{
    const struct job *job = context;
    const qn_attribution *attribution = job->attribution;
    const int64_t n_inputs = attribution->n_inputs, first = index * QN_BLOCK_ROWS;
    const int64_t n = job->n_rows - first < QN_BLOCK_ROWS ? job->n_rows - first : QN_BLOCK_ROWS;
    const size_t cells_bytes = aligned((size_t)(n_inputs * n) * sizeof(qn_cell));
    const size_t text_bytes = aligned(qn_binding_scratch_bytes(job->binding, n));
    const size_t own_bytes = qn_attribution_scratch_bytes(attribution);
    char *memory = qn_alloc_aligned((int64_t)(cells_bytes + text_bytes + own_bytes), 1);
    job->statuses[index] = memory ? QN_OK : QN_ERR_NOMEM;
    if (!memory) return;
    qn_cell *cells = (qn_cell *)(void *)memory;
    const qn_parts part = {.outputs = job->out->outputs + first * attribution->predictor->n_outputs,
                           .classes = job->out->classes + first,
                           .expected = job->out->expected + first,
                           .columns = job->out->columns + first * n_inputs};
    qn_binding_load(job->binding, NULL, job->first + first, n, cells, memory + cells_bytes);
    qn_attribution_rows(attribution, cells, n, &part, memory + cells_bytes + text_bytes);
    qn_free(memory);
}

qn_status qn_attribution_transform(const qn_attribution *attribution, const qn_binding *binding,
                                   int64_t first, int64_t n_rows, qn_pool *pool,
                                   const qn_parts *out, qn_error *err)
{
    const int64_t n_blocks = (n_rows + QN_BLOCK_ROWS - 1) / QN_BLOCK_ROWS;
    struct job job = {.attribution = attribution,
                      .binding = binding,
                      .first = first,
                      .n_rows = n_rows,
                      .out = out,
                      .statuses = qn_alloc_array(n_blocks, sizeof *job.statuses)};
    if (!job.statuses) return no_memory(err);
    qn_pool_run(pool, n_blocks, explain_block, &job);
    qn_status status = QN_OK;
    for (int64_t b = 0; b < n_blocks && status == QN_OK; b++) {
        if (job.statuses[b] != QN_OK) status = no_memory(err);
    }
    qn_free(job.statuses);
    return status;
}
