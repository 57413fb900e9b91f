/* SPDX-License-Identifier: Apache-2.0 */
/* Fitting a recipe: transforms of single columns, all at a time; which of their features a view
 * keeps; then what is derived of them together. */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/rng.h"
#include "recipe/recipe_internal.h"

#include <string.h>

/* Share of a column's rows whose category stands there once, from which the pieces of its words
 * are looked at, too: tickets and cabins, streets, product codes. */
static const double single_share = 0.25;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the recipe");
}

struct fitting {
    const qn_recipe_request *request;
    const qn_binding *binding;
    qn_recipe *recipe;
    int64_t n_rows;
    double *target;
    int32_t *inner_fold;
    double prior_mean;
    qn_matrix *views; /* NULL while steps are fitted */
    qn_status *statuses;
    qn_error *errors;
};

/* One input's cells of all training rows. Texts of numbers need scratch, hence one column at a
 * time. */
static qn_status load_column(const struct fitting *fitting, int32_t input, qn_cell **cells,
                             char **scratch)
{
    *cells = qn_alloc_array(fitting->n_rows, sizeof **cells);
    *scratch = qn_alloc_array(fitting->n_rows, QN_VALUE_TEXT_BYTES);
    if (!*cells || !*scratch) return QN_ERR_NOMEM;
    qn_binding_load_feature(fitting->binding, input, fitting->request->rows, 0, fitting->n_rows,
                            *cells, *scratch);
    return QN_OK;
}

static int64_t column_of_input(const qn_schema *schema, int32_t input)
{
    return qn_schema_feature(schema, input);
}

static qn_status told_to_stop(qn_error *err)
{
    return qn_fail(err, QN_ERR_INTERRUPTED, "told to stop before the features were made");
}

static void fit_step(void *context, int64_t s)
{
    struct fitting *fitting = context;
    qn_step *step = &fitting->recipe->steps[s];
    const qn_schema *schema = fitting->request->schema;
    qn_cell *cells = NULL;
    char *scratch = NULL;
    if (qn_stop_requested(fitting->request->stop)) {
        fitting->statuses[s] = told_to_stop(&fitting->errors[s]);
        return;
    }
    qn_status status = load_column(fitting, step->input, &cells, &scratch);
    if (status == QN_OK) {
        const qn_fit_column column = {.request = fitting->request,
                                      .schema_column =
                                          &schema->columns[column_of_input(schema, step->input)],
                                      .input = step->input,
                                      .n_rows = fitting->n_rows,
                                      .cells = cells,
                                      .target = fitting->target,
                                      .inner_fold = fitting->inner_fold,
                                      .prior_mean = fitting->prior_mean};
        if (!fitting->views) {
            status = step->transform->fit(&column, step, &fitting->errors[s]);
        } else if (step->transform->refit_training) {
            for (int view = 0; view < QN_N_VIEWS && status == QN_OK; view++) {
                if (view == QN_VIEW_DENSE && fitting->recipe->skip_dense) continue;
                int64_t first = 0;
                for (int64_t before = 0; before < s; before++) {
                    first += fitting->recipe->steps[before].n_dense[view];
                }
                qn_matrix *out = &fitting->views[view];
                status = step->transform->refit_training(&column, step, (qn_view)view,
                                                         out->dense + first * out->stride,
                                                         out->stride, &fitting->errors[s]);
            }
        }
    } else {
        status = no_memory(&fitting->errors[s]);
    }
    fitting->statuses[s] = status;
    qn_free(cells);
    qn_free(scratch);
}

static qn_status run_steps(struct fitting *fitting, qn_error *err)
{
    qn_pool_run(fitting->request->pool, fitting->recipe->n_steps, fit_step, fitting);
    for (int32_t s = 0; s < fitting->recipe->n_steps; s++) {
        if (fitting->statuses[s] == QN_OK) continue;
        if (err) *err = fitting->errors[s];
        return fitting->statuses[s];
    }
    return QN_OK;
}

/* Whether many training rows of a column of categories have one that no other row has. */
static qn_status has_many_singles(const qn_recipe_request *request, const char *name,
                                  int64_t n_rows, bool *out, qn_error *err)
{
    const int64_t col = qn_frame_find(request->frame, name);
    *out = false;
    if (col < 0 || request->frame->columns[col].type != QN_TYPE_STRING) return QN_OK;
    const qn_column *column = &request->frame->columns[col];
    int32_t *counts = qn_alloc_array(column->dictionary.n, sizeof *counts);
    if (!counts) return no_memory(err);
    int64_t n_present = 0, n_single = 0;
    for (int64_t i = 0; i < n_rows; i++) {
        const int64_t row = request->rows ? request->rows[i] : i;
        if (qn_column_is_missing(column, row)) continue;
        counts[column->data.codes[row]]++;
        n_present++;
    }
    for (int64_t code = 0; code < column->dictionary.n; code++) {
        n_single += counts[code] == 1;
    }
    qn_free(counts);
    *out = (double)n_single > single_share * (double)n_present;
    return QN_OK;
}

static qn_status plan_steps(const qn_recipe_request *request, int64_t n_rows, qn_recipe *recipe,
                            qn_error *err)
{
    const qn_schema *schema = request->schema;
    recipe->n_inputs = (int32_t)qn_schema_n_features(schema);
    recipe->steps =
        qn_alloc_array((int64_t)QN_STEPS_AN_INPUT * recipe->n_inputs, sizeof *recipe->steps);
    recipe->sparse_name = qn_strdup("words");
    if (!recipe->steps || !recipe->sparse_name) return no_memory(err);
    int64_t col = -1;
    for (int32_t input = 0; input < recipe->n_inputs; input++) {
        col = qn_schema_next_feature(schema, col);
        for (int t = 0; qn_transforms[t]; t++) {
            if (!(qn_transforms[t]->kinds >> schema->columns[col].kind & 1)) continue;
            recipe->steps[recipe->n_steps++] =
                (qn_step){.transform = qn_transforms[t], .input = input};
            break;
        }
        bool pieces = false;
        if (schema->columns[col].kind == QN_KIND_CATEGORICAL) {
            QN_TRY(has_many_singles(request, schema->columns[col].name, n_rows, &pieces, err));
        }
        if (pieces) {
            recipe->steps[recipe->n_steps++] =
                (qn_step){.transform = &qn_transform_text, .input = input};
        }
    }
    return QN_OK;
}

/* Inner folds are dealt at random; the same for every column. */
static qn_status prepare(struct fitting *fitting, qn_error *err)
{
    const qn_recipe_request *request = fitting->request;
    const int64_t n = fitting->n_rows;
    fitting->target = qn_alloc_array(n, sizeof *fitting->target);
    fitting->inner_fold = qn_alloc_array(n, sizeof *fitting->inner_fold);
    fitting->statuses = qn_alloc_array(fitting->recipe->n_steps, sizeof *fitting->statuses);
    fitting->errors = qn_alloc_array(fitting->recipe->n_steps, sizeof *fitting->errors);
    if (!fitting->target || !fitting->inner_fold || !fitting->statuses || !fitting->errors) {
        return no_memory(err);
    }
    qn_rng rng;
    qn_rng_init(&rng, request->seed, 0x696e6e6572);
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = request->rows ? request->rows[i] : i;
        fitting->target[i] = request->target ? request->target[row] : 0;
        fitting->prior_mean +=
            request->schema->n_classes == 0 ? fitting->target[i] : fitting->target[i] == 1;
        fitting->inner_fold[i] = (int32_t)qn_rng_below(&rng, QN_INNER_FOLDS);
    }
    fitting->prior_mean /= n > 0 ? (double)n : 1;
    return QN_OK;
}

static bool is_constant(const double *values, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        if (memcmp(&values[i], values, sizeof *values) != 0) return false;
    }
    return true;
}

/* Leaves out of a view what is the same in every training row, or the same as a column before it:
 * indicators of columns that are missing together, parts of dates that do not vary or vary as
 * one. A view of nothing else keeps it. */
static qn_status choose_kept(qn_recipe *recipe, qn_view view, qn_matrix *matrix, qn_error *err)
{
    const int64_t n_made = recipe->n_made[view], n_rows = matrix->n_rows;
    qn_map *seen = qn_map_create(n_made);
    int32_t *kept = qn_alloc_array(n_made, sizeof *kept);
    bool complete = seen && kept;
    int64_t n = 0;
    for (int64_t f = 0; complete && f < n_made; f++) {
        const double *values = matrix->dense + f * matrix->stride;
        const size_t bytes = (size_t)n_rows * sizeof *values;
        if (is_constant(values, n_rows)) continue;
        const bool is_codes = recipe->features[view][f].categorical;
        const uint64_t key[2] = {qn_hash64(values, bytes), is_codes};
        const int64_t *first = qn_map_slot(seen, (const char *)key, sizeof key, f);
        complete = first != NULL;
        if (complete && *first < f &&
            memcmp(values, matrix->dense + *first * matrix->stride, bytes) == 0) {
            continue;
        }
        kept[n++] = (int32_t)f;
    }
    qn_map_free(seen);
    if (!complete || n == 0 || n == n_made) {
        qn_free(kept);
        return complete ? QN_OK : no_memory(err);
    }
    recipe->kept[view] = kept;
    recipe->n_kept[view] = n;
    qn_recipe_keep_columns(recipe, view, matrix);
    matrix->n_dense = n;
    return QN_OK;
}

static qn_status fit_derived(const qn_recipe_request *request, const qn_matrix *base,
                             qn_recipe *recipe, qn_error *err)
{
    qn_derive_step steps[QN_DERIVED_MAX];
    int32_t n;
    QN_TRY(qn_derive_parse(request->steps, steps, &n, err));
    qn_derive_request question = {.rows = base,
                                  .features = recipe->features[QN_VIEW_DENSE],
                                  .n_inputs = recipe->n_inputs,
                                  .pool = request->pool,
                                  .stop = request->stop};
    for (int32_t d = 0; d < n; d++) {
        question.seed = qn_seed_child(request->seed, (uint64_t)d);
        QN_TRY(qn_derive_fit(&question, &steps[d], &recipe->derived[d], err));
        recipe->n_derived++;
    }
    return QN_OK;
}

struct derivation {
    const qn_recipe *recipe;
    const qn_matrix *base;
    qn_matrix *derived;
    qn_status *statuses;
};

enum { ROWS_A_TASK = 2048 };

static void derive_rows(void *context, int64_t task)
{
    const struct derivation *job = context;
    const int64_t first = task * ROWS_A_TASK, left = job->base->n_rows - first;
    qn_matrix rows = *job->base;
    rows.n_rows = left < ROWS_A_TASK ? left : ROWS_A_TASK;
    rows.dense += first;
    if (rows.n_sparse > 0) rows.sparse_starts += first;
    const size_t bytes = qn_recipe_derive_scratch_bytes(job->recipe, rows.n_rows);
    void *scratch = qn_alloc_aligned((int64_t)bytes, 1);
    job->statuses[task] = scratch ? QN_OK : QN_ERR_NOMEM;
    if (scratch) {
        qn_recipe_derive(job->recipe, &rows, job->derived->dense + first, job->derived->stride,
                         scratch);
    }
    qn_free(scratch);
}

/* The derived features of all training rows. */
static qn_status derive_training(const qn_recipe *recipe, const qn_matrix *base, qn_pool *pool,
                                 qn_matrix *out, qn_error *err)
{
    int64_t n = 0;
    for (int32_t d = 0; d < recipe->n_derived; d++) {
        n += recipe->derived[d].n;
    }
    QN_TRY(qn_matrix_init(out, base->n_rows, n, err));
    const int64_t n_tasks = (base->n_rows + ROWS_A_TASK - 1) / ROWS_A_TASK;
    struct derivation job = {.recipe = recipe,
                             .base = base,
                             .derived = out,
                             .statuses = qn_alloc_array(n_tasks, sizeof *job.statuses)};
    bool complete = job.statuses != NULL;
    if (complete) qn_pool_run(pool, n_tasks, derive_rows, &job);
    for (int64_t t = 0; complete && t < n_tasks; t++) {
        complete = job.statuses[t] == QN_OK;
    }
    qn_free(job.statuses);
    if (complete) return QN_OK;
    qn_matrix_release(out);
    return no_memory(err);
}

/* Puts derived columns behind the first `n_before` of a view; sparse ones stay. */
static qn_status widen(qn_matrix *view, int64_t n_before, const qn_matrix *derived, qn_error *err)
{
    qn_matrix wide;
    QN_TRY(qn_matrix_init(&wide, view->n_rows, n_before + derived->n_dense, err));
    for (int64_t f = 0; f < wide.n_dense; f++) {
        const double *from = f < n_before ? view->dense + f * view->stride
                                          : derived->dense + (f - n_before) * derived->stride;
        memcpy(wide.dense + f * wide.stride, from, (size_t)view->n_rows * sizeof *from);
    }
    double *narrow = view->dense;
    view->dense = wide.dense;
    view->stride = wide.stride;
    view->n_dense = wide.n_dense;
    wide.dense = narrow;
    qn_matrix_release(&wide);
    return QN_OK;
}

/* Derived features are made of the finished dense view of single columns, in which target means
 * are out of fold. */
static qn_status add_derived(const struct fitting *fitting, qn_error *err)
{
    qn_recipe *recipe = fitting->recipe;
    qn_matrix *views = fitting->views, derived = {0};
    QN_TRY(fit_derived(fitting->request, &views[QN_VIEW_DENSE], recipe, err));
    if (recipe->n_derived == 0) return QN_OK;
    QN_TRY(derive_training(recipe, &views[QN_VIEW_DENSE], fitting->request->pool, &derived, err));
    qn_status status = qn_recipe_index(recipe, err);
    for (int view = 0; view < QN_N_VIEWS && status == QN_OK; view++) {
        status = widen(&views[view], recipe->n_dense[view] - derived.n_dense, &derived, err);
    }
    qn_matrix_release(&derived);
    return status;
}

static qn_status fit_all(struct fitting *fitting, qn_matrix *views, qn_error *err)
{
    const qn_recipe_request *request = fitting->request;
    qn_recipe *recipe = fitting->recipe;
    QN_TRY(plan_steps(request, fitting->n_rows, recipe, err));
    QN_TRY(prepare(fitting, err));
    QN_TRY(run_steps(fitting, err));
    QN_TRY(qn_recipe_index(recipe, err));
    if (!views) return QN_OK;
    for (int view = 0; view < QN_N_VIEWS; view++) {
        if (view == QN_VIEW_DENSE && recipe->skip_dense) continue;
        if (qn_stop_requested(request->stop)) return told_to_stop(err);
        QN_TRY(qn_recipe_transform(recipe, (qn_view)view, fitting->binding, request->rows,
                                   fitting->n_rows, request->pool, &views[view], err));
    }
    fitting->views = views;
    QN_TRY(run_steps(fitting, err));
    for (int view = 0; view < QN_N_VIEWS; view++) {
        if (view == QN_VIEW_DENSE && recipe->skip_dense) continue;
        QN_TRY(choose_kept(recipe, (qn_view)view, &views[view], err));
    }
    QN_TRY(qn_recipe_index(recipe, err));
    return request->steps ? add_derived(fitting, err) : QN_OK;
}

qn_status qn_recipe_fit(const qn_recipe_request *request, qn_recipe **out, qn_matrix *views,
                        qn_error *err)
{
    *out = NULL;
    qn_binding *binding = NULL;
    qn_recipe *recipe = qn_alloc_array(1, sizeof *recipe);
    if (!recipe) return no_memory(err);
    recipe->skip_dense = request->skip_dense;
    for (int view = 0; views && view < QN_N_VIEWS; view++) {
        views[view] = (qn_matrix){0};
    }
    struct fitting fitting = {.request = request,
                              .recipe = recipe,
                              .n_rows = request->rows ? request->n_rows : request->frame->n_rows};
    qn_status status = qn_binding_create(request->schema, request->frame, &binding, err);
    fitting.binding = binding;
    if (status == QN_OK) status = fit_all(&fitting, views, err);
    qn_binding_free(binding);
    qn_free(fitting.target);
    qn_free(fitting.inner_fold);
    qn_free(fitting.statuses);
    qn_free(fitting.errors);
    if (status != QN_OK) {
        for (int view = 0; views && view < QN_N_VIEWS; view++) {
            qn_matrix_release(&views[view]);
        }
        qn_recipe_free(recipe);
        return status;
    }
    *out = recipe;
    return QN_OK;
}
