/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/recipe.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/rng.h"
#include "recipe/transform.h"

#include <string.h>

/* Format 1 had no list of kept features. */
enum { FORMAT = 2, FORMAT_OLDEST = 1, ROWS_A_TASK = 2048, STEPS_AN_INPUT = 2 };
/* Share of a column's rows whose category stands there once, from which the pieces of its words
 * are looked at, too: tickets and cabins, streets, product codes. */
static const double single_share = 0.25;

struct qn_recipe {
    int32_t n_steps;
    qn_step *steps;
    int32_t n_inputs;
    bool skip_dense;
    int64_t n_made[QN_N_VIEWS]; /* dense columns that the steps make */
    int32_t *kept[QN_N_VIEWS];  /* which of them the view has, increasing; NULL: all */
    int64_t n_kept[QN_N_VIEWS];
    int64_t n_dense[QN_N_VIEWS], n_sparse[QN_N_VIEWS];
    qn_feature *features[QN_N_VIEWS]; /* of all steps; names borrowed from them */
    int64_t n_features[QN_N_VIEWS];
    char *sparse_name;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the recipe");
}

static void release_step(qn_step *step)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        for (int32_t f = 0; step->features[view] && f < step->n_dense[view]; f++) {
            qn_free(step->features[view][f].name);
        }
        qn_free(step->features[view]);
    }
    if (step->transform) step->transform->free_state(step->state);
}

void qn_recipe_free(qn_recipe *recipe)
{
    if (!recipe) return;
    for (int32_t s = 0; recipe->steps && s < recipe->n_steps; s++) {
        release_step(&recipe->steps[s]);
    }
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_free(recipe->features[view]);
        qn_free(recipe->kept[view]);
    }
    qn_free(recipe->steps);
    qn_free(recipe->sparse_name);
    qn_free(recipe);
}

qn_status qn_step_add_feature(qn_step *step, qn_view view, const char *column, const char *suffix,
                              int32_t n_levels, qn_error *err)
{
    const int32_t n = step->n_dense[view];
    if ((n & (n - 1)) == 0) { /* room doubles at powers of two */
        qn_feature *grown = qn_realloc_array(step->features[view], n ? 2 * n : 1, sizeof *grown);
        if (!grown) return no_memory(err);
        step->features[view] = grown;
    }
    qn_str name = {0};
    qn_str_add(&name, column);
    qn_str_add(&name, suffix);
    char *text = qn_str_take_text(&name);
    if (!text) return no_memory(err);
    step->features[view][n] = (qn_feature){
        .name = text, .input = step->input, .categorical = n_levels > 0, .n_levels = n_levels};
    step->n_dense[view] = n + 1;
    return QN_OK;
}

/* Gathers the features of all steps; called once they are complete, and again once it is known
 * which of them are kept. */
static qn_status index_features(qn_recipe *recipe, qn_error *err)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        if (view == QN_VIEW_DENSE && recipe->skip_dense) continue;
        int64_t n = 0, n_made = 0;
        recipe->n_made[view] = recipe->n_sparse[view] = 0;
        for (int32_t s = 0; s < recipe->n_steps; s++) {
            recipe->n_made[view] += recipe->steps[s].n_dense[view];
            if (view == QN_VIEW_DENSE) recipe->n_sparse[view] += recipe->steps[s].n_sparse;
        }
        const int32_t *kept = recipe->kept[view];
        recipe->n_dense[view] = kept ? recipe->n_kept[view] : recipe->n_made[view];
        recipe->n_features[view] = recipe->n_dense[view] + recipe->n_sparse[view];
        qn_free(recipe->features[view]);
        recipe->features[view] = qn_alloc_array(recipe->n_features[view], sizeof(qn_feature));
        if (!recipe->features[view]) return no_memory(err);
        for (int32_t s = 0; s < recipe->n_steps; s++) {
            for (int32_t f = 0; f < recipe->steps[s].n_dense[view]; f++, n_made++) {
                if (kept && (n == recipe->n_dense[view] || kept[n] != n_made)) continue;
                recipe->features[view][n++] = recipe->steps[s].features[view][f];
            }
        }
        for (int32_t s = 0; n < recipe->n_features[view] && s < recipe->n_steps; s++) {
            for (int32_t f = 0; f < recipe->steps[s].n_sparse; f++) {
                recipe->features[view][n++] =
                    (qn_feature){.name = recipe->sparse_name, .input = recipe->steps[s].input};
            }
        }
    }
    return QN_OK;
}

const qn_feature *qn_recipe_features(const qn_recipe *recipe, qn_view view, int64_t *n,
                                     int64_t *n_dense)
{
    *n = recipe->n_features[view];
    *n_dense = recipe->n_dense[view];
    return recipe->features[view];
}

/* Applying. */

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Layout of the scratch: dense | starts | sparse cols | sparse values | a step's own. */
struct layout {
    size_t dense, starts, cols, values, own, total;
};

static struct layout layout_of(const qn_recipe *recipe, qn_view view, int64_t n_rows)
{
    struct layout l = {0};
    size_t sparse_max = 0, own = 0;
    for (int32_t s = 0; view == QN_VIEW_DENSE && s < recipe->n_steps; s++) {
        sparse_max += (size_t)recipe->steps[s].sparse_max;
        if (recipe->steps[s].scratch_bytes > own) own = recipe->steps[s].scratch_bytes;
    }
    const size_t rows = (size_t)n_rows;
    l.starts = aligned(rows * (size_t)recipe->n_made[view] * sizeof(double));
    l.cols = l.starts + (recipe->n_sparse[view] ? aligned((rows + 1) * sizeof(int64_t)) : 0);
    l.values = l.cols + aligned(rows * sparse_max * sizeof(int32_t));
    l.own = l.values + aligned(rows * sparse_max * sizeof(float));
    l.total = l.own + aligned(own);
    return l;
}

size_t qn_recipe_scratch_bytes(const qn_recipe *recipe, qn_view view, int64_t n_rows)
{
    return layout_of(recipe, view, n_rows).total;
}

static void apply_sparse(const qn_recipe *recipe, const qn_cell *cells, int64_t n_rows, void *own,
                         qn_matrix *out)
{
    int64_t n = 0;
    out->sparse_starts[0] = 0;
    for (int64_t row = 0; row < n_rows; row++) {
        int32_t first_col = 0;
        for (int32_t s = 0; s < recipe->n_steps; s++) {
            const qn_step *step = &recipe->steps[s];
            if (step->n_sparse == 0) continue;
            const int32_t found =
                step->transform->apply_sparse(step, &cells[step->input * n_rows + row],
                                              out->sparse_cols + n, out->sparse_values + n, own);
            for (int32_t i = 0; i < found; i++) {
                out->sparse_cols[n + i] += first_col;
            }
            n += found;
            first_col += step->n_sparse;
        }
        out->sparse_starts[row + 1] = n;
    }
}

/* Moves the columns that the view has to the front. */
static void keep_columns(const qn_recipe *recipe, qn_view view, qn_matrix *matrix)
{
    const int32_t *kept = recipe->kept[view];
    for (int64_t f = 0; kept && f < recipe->n_kept[view]; f++) {
        if (kept[f] == f) continue;
        memmove(matrix->dense + f * matrix->stride, matrix->dense + kept[f] * matrix->stride,
                (size_t)matrix->n_rows * sizeof(double));
    }
}

void qn_recipe_apply(const qn_recipe *recipe, qn_view view, const qn_cell *cells, int64_t n_rows,
                     void *scratch, qn_matrix *out)
{
    const struct layout l = layout_of(recipe, view, n_rows);
    char *memory = scratch;
    *out = (qn_matrix){.n_rows = n_rows,
                       .n_dense = recipe->n_dense[view],
                       .n_sparse = recipe->n_sparse[view],
                       .stride = n_rows,
                       .dense = (double *)(void *)memory};
    if (view == QN_VIEW_DENSE && recipe->skip_dense) return;
    double *at = out->dense;
    for (int32_t s = 0; s < recipe->n_steps; s++) {
        const qn_step *step = &recipe->steps[s];
        if (step->n_dense[view] > 0) {
            step->transform->apply(step, view, cells + step->input * n_rows, n_rows, at, n_rows);
        }
        at += step->n_dense[view] * n_rows;
    }
    keep_columns(recipe, view, out);
    if (out->n_sparse == 0) return;
    out->sparse_starts = (int64_t *)(void *)(memory + l.starts);
    out->sparse_cols = (int32_t *)(void *)(memory + l.cols);
    out->sparse_values = (float *)(void *)(memory + l.values);
    apply_sparse(recipe, cells, n_rows, memory + l.own, out);
}

/* Many rows. */

struct piece {
    int32_t *cols;
    float *values;
    int64_t n;
};

struct transformation {
    const qn_recipe *recipe;
    qn_view view;
    const qn_binding *binding;
    const int32_t *rows;
    int64_t n_rows;
    qn_matrix *out;
    struct piece *pieces; /* per task */
    qn_status *statuses;
};

static bool append_sparse(const qn_matrix *block, int64_t first, const qn_matrix *out,
                          struct piece *piece)
{
    if (out->n_sparse == 0) return true;
    const int64_t n = block->sparse_starts[block->n_rows];
    int32_t *cols = qn_realloc_array(piece->cols, piece->n + n, sizeof *cols);
    if (cols) piece->cols = cols;
    float *values = cols ? qn_realloc_array(piece->values, piece->n + n, sizeof *values) : NULL;
    if (!values) return false;
    piece->values = values;
    memcpy(cols + piece->n, block->sparse_cols, (size_t)n * sizeof *cols);
    memcpy(values + piece->n, block->sparse_values, (size_t)n * sizeof *values);
    piece->n += n;
    for (int64_t row = 0; row < block->n_rows; row++) { /* lengths; summed up afterwards */
        out->sparse_starts[first + row + 1] =
            block->sparse_starts[row + 1] - block->sparse_starts[row];
    }
    return true;
}

static void transform_rows(void *context, int64_t task)
{
    struct transformation *job = context;
    const int64_t n_features = job->recipe->n_inputs;
    const size_t cells_bytes = (size_t)(n_features * QN_BLOCK_ROWS) * sizeof(qn_cell);
    const size_t text_bytes = qn_binding_scratch_bytes(job->binding, QN_BLOCK_ROWS);
    const size_t view_bytes = qn_recipe_scratch_bytes(job->recipe, job->view, QN_BLOCK_ROWS);
    char *memory =
        qn_alloc_aligned((int64_t)(aligned(cells_bytes) + aligned(text_bytes) + view_bytes), 1);
    job->statuses[task] = memory ? QN_OK : QN_ERR_NOMEM;
    if (!memory) return;
    qn_cell *cells = (qn_cell *)(void *)memory;
    char *texts = memory + aligned(cells_bytes), *view = texts + aligned(text_bytes);
    const int64_t end =
        (task + 1) * ROWS_A_TASK < job->n_rows ? (task + 1) * ROWS_A_TASK : job->n_rows;
    for (int64_t first = task * ROWS_A_TASK; first < end; first += QN_BLOCK_ROWS) {
        const int64_t n = end - first < QN_BLOCK_ROWS ? end - first : QN_BLOCK_ROWS;
        qn_matrix block;
        qn_binding_load(job->binding, job->rows, first, n, cells, texts);
        qn_recipe_apply(job->recipe, job->view, cells, n, view, &block);
        for (int64_t f = 0; f < block.n_dense; f++) {
            memcpy(job->out->dense + f * job->out->stride + first, block.dense + f * n,
                   (size_t)n * sizeof(double));
        }
        if (!append_sparse(&block, first, job->out, &job->pieces[task])) {
            job->statuses[task] = QN_ERR_NOMEM;
            break;
        }
    }
    qn_free(memory);
}

static bool join_pieces(struct transformation *job, int64_t n_tasks)
{
    qn_matrix *out = job->out;
    if (out->n_sparse == 0) return true;
    for (int64_t row = 0; row < out->n_rows; row++) {
        out->sparse_starts[row + 1] += out->sparse_starts[row];
    }
    const int64_t n = out->sparse_starts[out->n_rows];
    out->sparse_cols = qn_alloc_aligned(n, sizeof *out->sparse_cols);
    out->sparse_values = qn_alloc_aligned(n, sizeof *out->sparse_values);
    if (!out->sparse_cols || !out->sparse_values) return false;
    int64_t at = 0;
    for (int64_t t = 0; t < n_tasks; t++) {
        const struct piece *piece = &job->pieces[t];
        if (piece->n == 0) continue;
        memcpy(out->sparse_cols + at, piece->cols, (size_t)piece->n * sizeof *piece->cols);
        memcpy(out->sparse_values + at, piece->values, (size_t)piece->n * sizeof *piece->values);
        at += piece->n;
    }
    return true;
}

qn_status qn_recipe_transform(const qn_recipe *recipe, qn_view view, const qn_binding *binding,
                              const int32_t *rows, int64_t n_rows, qn_pool *pool, qn_matrix *out,
                              qn_error *err)
{
    QN_TRY(qn_matrix_init(out, n_rows, recipe->n_dense[view], err));
    const int64_t n_tasks = (n_rows + ROWS_A_TASK - 1) / ROWS_A_TASK;
    struct transformation job = {.recipe = recipe,
                                 .view = view,
                                 .binding = binding,
                                 .rows = rows,
                                 .n_rows = n_rows,
                                 .out = out,
                                 .pieces = qn_alloc_array(n_tasks, sizeof *job.pieces),
                                 .statuses = qn_alloc_array(n_tasks, sizeof *job.statuses)};
    out->n_sparse = recipe->n_sparse[view];
    bool complete = job.pieces && job.statuses;
    if (out->n_sparse > 0) {
        out->sparse_starts = qn_alloc_array(n_rows + 1, sizeof *out->sparse_starts);
        complete = complete && out->sparse_starts;
    }
    if (complete) qn_pool_run(pool, n_tasks, transform_rows, &job);
    for (int64_t t = 0; complete && t < n_tasks; t++) {
        complete = job.statuses[t] == QN_OK;
    }
    complete = complete && join_pieces(&job, n_tasks);
    for (int64_t t = 0; job.pieces && t < n_tasks; t++) {
        qn_free(job.pieces[t].cols);
        qn_free(job.pieces[t].values);
    }
    qn_free(job.pieces);
    qn_free(job.statuses);
    if (complete) return QN_OK;
    qn_matrix_release(out);
    return no_memory(err);
}

/* Fitting. */

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
        qn_alloc_array((int64_t)STEPS_AN_INPUT * recipe->n_inputs, sizeof *recipe->steps);
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
    keep_columns(recipe, view, matrix);
    matrix->n_dense = n;
    return QN_OK;
}

static qn_status fit_all(struct fitting *fitting, qn_matrix *views, qn_error *err)
{
    const qn_recipe_request *request = fitting->request;
    qn_recipe *recipe = fitting->recipe;
    QN_TRY(plan_steps(request, fitting->n_rows, recipe, err));
    QN_TRY(prepare(fitting, err));
    QN_TRY(run_steps(fitting, err));
    QN_TRY(index_features(recipe, err));
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
    return index_features(recipe, err);
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

/* Bundle. */

static void write_step(const qn_step *step, qn_writer *writer)
{
    qn_write_text(writer, step->transform->name, strlen(step->transform->name));
    qn_write_i32(writer, step->input);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_write_i32(writer, step->n_dense[view]);
        for (int32_t f = 0; f < step->n_dense[view]; f++) {
            const qn_feature *feature = &step->features[view][f];
            qn_write_text(writer, feature->name, strlen(feature->name));
            qn_write_i32(writer, feature->n_levels);
        }
    }
    step->transform->write(step, writer);
}

void qn_recipe_write(const qn_recipe *recipe, qn_writer *writer)
{
    qn_write_i32(writer, FORMAT);
    qn_write_u8(writer, recipe->skip_dense);
    qn_write_i32(writer, recipe->n_inputs);
    qn_write_i32(writer, recipe->n_steps);
    for (int32_t s = 0; s < recipe->n_steps; s++) {
        write_step(&recipe->steps[s], writer);
    }
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_write_array(writer, recipe->kept[view], recipe->n_kept[view], sizeof(int32_t));
    }
}

static qn_status damaged(qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "recipe: its bytes are damaged");
}

static qn_status read_features(qn_reader *reader, qn_step *step, qn_view view, qn_error *err)
{
    const int32_t n = qn_read_i32(reader);
    if (reader->failed || n < 0 || n > 1 << 20) return damaged(err);
    for (int32_t f = 0; f < n; f++) {
        size_t bytes;
        const char *name = qn_read_text(reader, &bytes);
        const int32_t n_levels = qn_read_i32(reader);
        /* The category codes of a column stand first in its tree view, and nowhere else. */
        const bool may_be_codes =
            step->transform == &qn_transform_categorical && view == QN_VIEW_TREE && f == 0;
        if (reader->failed || n_levels < 0 || (n_levels > 0 && !may_be_codes)) return damaged(err);
        char *copy = qn_strndup(name, bytes);
        const qn_status status =
            copy ? qn_step_add_feature(step, view, copy, "", n_levels, err) : no_memory(err);
        qn_free(copy);
        QN_TRY(status);
    }
    return QN_OK;
}

static qn_status read_step(qn_reader *reader, qn_recipe *recipe, qn_error *err)
{
    size_t bytes;
    const char *name = qn_read_text(reader, &bytes);
    qn_step *step = &recipe->steps[recipe->n_steps];
    for (int t = 0; qn_transforms[t]; t++) {
        if (strlen(qn_transforms[t]->name) == bytes &&
            memcmp(qn_transforms[t]->name, name, bytes) == 0) {
            step->transform = qn_transforms[t];
        }
    }
    step->input = qn_read_i32(reader);
    if (reader->failed || !step->transform || step->input < 0 || step->input >= recipe->n_inputs) {
        step->transform = NULL;
        return damaged(err);
    }
    recipe->n_steps++;
    for (int view = 0; view < QN_N_VIEWS; view++) {
        QN_TRY(read_features(reader, step, (qn_view)view, err));
    }
    return step->transform->read(reader, step, err);
}

/* An empty list keeps all. */
static qn_status read_kept(qn_reader *reader, qn_recipe *recipe, qn_error *err)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        int64_t n;
        const int32_t *kept = qn_read_array(reader, sizeof *kept, &n);
        if (reader->failed || n > recipe->n_made[view]) return damaged(err);
        for (int64_t i = 0; i < n; i++) {
            if (kept[i] <= (i ? kept[i - 1] : -1) || kept[i] >= recipe->n_made[view]) {
                return damaged(err);
            }
        }
        if (n == 0) continue;
        recipe->kept[view] = qn_alloc_array(n, sizeof *kept);
        if (!recipe->kept[view]) return no_memory(err);
        memcpy(recipe->kept[view], kept, (size_t)n * sizeof *kept);
        recipe->n_kept[view] = n;
    }
    return QN_OK;
}

qn_status qn_recipe_read(qn_reader *reader, const qn_schema *schema, qn_recipe **out, qn_error *err)
{
    *out = NULL;
    const int32_t format = qn_read_i32(reader);
    const uint8_t skip_dense = qn_read_u8(reader);
    const int32_t n_inputs = qn_read_i32(reader), n_steps = qn_read_i32(reader);
    if (reader->failed || format < FORMAT_OLDEST || format > FORMAT || skip_dense > 1 ||
        n_steps < 0 || n_steps / STEPS_AN_INPUT > n_inputs ||
        n_inputs != qn_schema_n_features(schema)) {
        return damaged(err);
    }
    qn_recipe *recipe = qn_alloc_array(1, sizeof *recipe);
    if (recipe) {
        recipe->n_inputs = n_inputs;
        recipe->skip_dense = skip_dense;
        recipe->steps = qn_alloc_array(n_steps, sizeof *recipe->steps);
        recipe->sparse_name = qn_strdup("words");
    }
    qn_status status = recipe && recipe->steps && recipe->sparse_name ? QN_OK : no_memory(err);
    for (int32_t s = 0; s < n_steps && status == QN_OK; s++) {
        status = read_step(reader, recipe, err);
    }
    if (status == QN_OK) status = index_features(recipe, err);
    if (status == QN_OK && format > FORMAT_OLDEST) {
        status = read_kept(reader, recipe, err);
        if (status == QN_OK) status = index_features(recipe, err);
    }
    if (status != QN_OK) {
        qn_recipe_free(recipe);
        return status;
    }
    *out = recipe;
    return QN_OK;
}

void qn_recipe_describe(const qn_recipe *recipe, qn_json_writer *json)
{
    qn_json_begin_array(json);
    for (int32_t s = 0; s < recipe->n_steps; s++) {
        const qn_step *step = &recipe->steps[s];
        qn_json_begin_object(json);
        qn_json_put_text(json, "transform", step->transform->name);
        qn_json_put_int(json, "input", step->input);
        qn_json_put_int(json, "tree_features", step->n_dense[QN_VIEW_TREE]);
        qn_json_put_int(json, "dense_features", step->n_dense[QN_VIEW_DENSE]);
        qn_json_put_int(json, "sparse_features", step->n_sparse);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}
