/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/recipe.h"

#include "base/alloc.h"
#include "recipe/recipe_internal.h"

#include <string.h>

enum { ROWS_A_TASK = 2048 };

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
    for (int32_t d = 0; d < recipe->n_derived; d++) {
        qn_derived_release(&recipe->derived[d]);
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

/* Derivations. */

static int32_t count_derived(const qn_recipe *recipe)
{
    int32_t n = 0;
    for (int32_t d = 0; d < recipe->n_derived; d++) {
        n += recipe->derived[d].n;
    }
    return n;
}

/* How many columns of single inputs the finished view has. */
static int64_t n_base_shown(const qn_recipe *recipe, qn_view view)
{
    for (int32_t d = 0; view == QN_VIEW_DENSE && d < recipe->n_derived; d++) {
        if (qn_derived_replaces(&recipe->derived[d])) return 0;
    }
    return recipe->n_base[view];
}

size_t qn_recipe_derive_scratch_bytes(const qn_recipe *recipe, int64_t n_rows)
{
    size_t most = 0;
    for (int32_t d = 0; d < recipe->n_derived; d++) {
        const size_t bytes = qn_derived_scratch_bytes(&recipe->derived[d], n_rows);
        if (bytes > most) most = bytes;
    }
    return most;
}

void qn_recipe_derive(const qn_recipe *recipe, const qn_matrix *rows, double *out, int64_t stride,
                      void *scratch)
{
    for (int32_t d = 0; d < recipe->n_derived; d++) {
        qn_derived_apply(&recipe->derived[d], rows, out, stride, scratch);
        out += recipe->derived[d].n * stride;
    }
}

const qn_derived *qn_recipe_derived(const qn_recipe *recipe, int32_t *n)
{
    *n = recipe->n_derived;
    return recipe->derived;
}

bool qn_recipe_is_derived(const qn_recipe *recipe, qn_view view)
{
    return recipe->n_derived > 0 && !(view == QN_VIEW_DENSE && recipe->skip_dense);
}

void qn_recipe_spread(const qn_recipe *recipe, qn_view view, int64_t f, double amount,
                      double *by_input)
{
    const int32_t input = recipe->features[view][f].input;
    if (input != QN_INPUT_DERIVED) {
        by_input[input] += amount;
        return;
    }
    int64_t c = f - n_base_shown(recipe, view);
    const qn_derived *derived = recipe->derived;
    for (; c >= derived->n; derived++) {
        c -= derived->n;
    }
    for (int32_t i = 0; i < recipe->n_inputs; i++) {
        by_input[i] += amount * derived->shares[c * recipe->n_inputs + i];
    }
}

/* The list of features. */

static void count_features(qn_recipe *recipe, qn_view view)
{
    recipe->n_made[view] = recipe->n_sparse[view] = 0;
    for (int32_t s = 0; s < recipe->n_steps; s++) {
        recipe->n_made[view] += recipe->steps[s].n_dense[view];
        if (view == QN_VIEW_DENSE) recipe->n_sparse[view] += recipe->steps[s].n_sparse;
    }
    recipe->n_base[view] = recipe->kept[view] ? recipe->n_kept[view] : recipe->n_made[view];
    recipe->n_dense[view] = n_base_shown(recipe, view) + count_derived(recipe);
    recipe->n_features[view] = recipe->n_dense[view] + recipe->n_sparse[view];
}

static qn_feature *list_base(const qn_recipe *recipe, qn_view view, qn_feature *out)
{
    const int32_t *kept = recipe->kept[view];
    const int64_t n_shown = n_base_shown(recipe, view);
    int64_t n = 0, n_made = 0;
    for (int32_t s = 0; s < recipe->n_steps; s++) {
        for (int32_t f = 0; f < recipe->steps[s].n_dense[view]; f++, n_made++) {
            if (n == n_shown || (kept && kept[n] != n_made)) continue;
            out[n++] = recipe->steps[s].features[view][f];
        }
    }
    return out + n;
}

static void list_words(const qn_recipe *recipe, qn_feature *out)
{
    for (int32_t s = 0; s < recipe->n_steps; s++) {
        for (int32_t f = 0; f < recipe->steps[s].n_sparse; f++) {
            *out++ = (qn_feature){.name = recipe->sparse_name, .input = recipe->steps[s].input};
        }
    }
}

qn_status qn_recipe_index(qn_recipe *recipe, qn_error *err)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        if (view == QN_VIEW_DENSE && recipe->skip_dense) continue;
        count_features(recipe, (qn_view)view);
        qn_free(recipe->features[view]);
        recipe->features[view] = qn_alloc_array(recipe->n_features[view], sizeof(qn_feature));
        if (!recipe->features[view]) return no_memory(err);
        qn_feature *at = list_base(recipe, (qn_view)view, recipe->features[view]);
        for (int32_t d = 0; d < recipe->n_derived; d++) {
            const qn_derived *derived = &recipe->derived[d];
            memcpy(at, derived->features, (size_t)derived->n * sizeof *at);
            at += derived->n;
        }
        if (view == QN_VIEW_DENSE) list_words(recipe, at);
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

/* The step that makes a feature's categories, or NULL. */
static const qn_step *step_of_levels(const qn_recipe *recipe, int64_t f)
{
    const qn_feature *feature = &recipe->features[QN_VIEW_TREE][f];
    for (int32_t s = 0; feature->categorical && s < recipe->n_steps; s++) {
        const qn_step *step = &recipe->steps[s];
        if (step->input == feature->input && step->transform->level) return step;
    }
    return NULL;
}

const char *qn_recipe_level(const qn_recipe *recipe, int64_t f, int32_t code)
{
    const qn_step *step = step_of_levels(recipe, f);
    return step ? step->transform->level(step, code) : NULL;
}

int32_t qn_recipe_level_code(const qn_recipe *recipe, int64_t f, const char *text)
{
    const qn_step *step = step_of_levels(recipe, f);
    return step ? step->transform->code(step, text) : -1;
}

/* Applying. */

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Layout of the scratch for a view of single inputs: dense | starts | sparse cols | sparse values |
 * a step's own. */
struct layout {
    size_t starts, cols, values, own, total;
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

/* With derived features: the finished dense columns | the dense view of single inputs | the tree
 * view of single inputs, if that is wanted | a derivation's own. */
struct derived_layout {
    size_t base, tree, own, total;
};

static struct derived_layout derived_layout_of(const qn_recipe *recipe, qn_view view,
                                               int64_t n_rows)
{
    struct derived_layout l;
    l.base = aligned((size_t)(n_rows * recipe->n_dense[view]) * sizeof(double));
    l.tree = l.base + layout_of(recipe, QN_VIEW_DENSE, n_rows).total;
    l.own = l.tree + (view == QN_VIEW_TREE ? layout_of(recipe, view, n_rows).total : 0);
    l.total = l.own + aligned(qn_recipe_derive_scratch_bytes(recipe, n_rows));
    return l;
}

size_t qn_recipe_scratch_bytes(const qn_recipe *recipe, qn_view view, int64_t n_rows)
{
    return qn_recipe_is_derived(recipe, view) ? derived_layout_of(recipe, view, n_rows).total
                                              : layout_of(recipe, view, n_rows).total;
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

void qn_recipe_keep_columns(const qn_recipe *recipe, qn_view view, qn_matrix *matrix)
{
    const int32_t *kept = recipe->kept[view];
    for (int64_t f = 0; kept && f < recipe->n_kept[view]; f++) {
        if (kept[f] == f) continue;
        memmove(matrix->dense + f * matrix->stride, matrix->dense + kept[f] * matrix->stride,
                (size_t)matrix->n_rows * sizeof(double));
    }
}

/* The view of single inputs. */
static void apply_base(const qn_recipe *recipe, qn_view view, const qn_cell *cells, int64_t n_rows,
                       char *memory, qn_matrix *out)
{
    const struct layout l = layout_of(recipe, view, n_rows);
    *out = (qn_matrix){.n_rows = n_rows,
                       .n_dense = recipe->n_base[view],
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
    qn_recipe_keep_columns(recipe, view, out);
    if (out->n_sparse == 0) return;
    out->sparse_starts = (int64_t *)(void *)(memory + l.starts);
    out->sparse_cols = (int32_t *)(void *)(memory + l.cols);
    out->sparse_values = (float *)(void *)(memory + l.values);
    apply_sparse(recipe, cells, n_rows, memory + l.own, out);
}

void qn_recipe_apply(const qn_recipe *recipe, qn_view view, const qn_cell *cells, int64_t n_rows,
                     void *scratch, qn_matrix *out)
{
    char *memory = scratch;
    if (!qn_recipe_is_derived(recipe, view)) {
        apply_base(recipe, view, cells, n_rows, memory, out);
        return;
    }
    const struct derived_layout l = derived_layout_of(recipe, view, n_rows);
    const int64_t n_before = n_base_shown(recipe, view);
    double *dense = (double *)(void *)memory;
    qn_matrix base, own;
    apply_base(recipe, QN_VIEW_DENSE, cells, n_rows, memory + l.base, &base);
    own = base;
    if (view == QN_VIEW_TREE) apply_base(recipe, view, cells, n_rows, memory + l.tree, &own);
    memcpy(dense, own.dense, (size_t)(n_before * n_rows) * sizeof *dense);
    qn_recipe_derive(recipe, &base, dense + n_before * n_rows, n_rows, memory + l.own);
    *out = own;
    out->n_dense = recipe->n_dense[view];
    out->dense = dense;
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

void qn_recipe_describe(const qn_recipe *recipe, const qn_schema *schema, qn_json_writer *json)
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
    for (int32_t d = 0; d < recipe->n_derived; d++) {
        qn_derived_describe(&recipe->derived[d], schema, json);
    }
    qn_json_end_array(json);
}
