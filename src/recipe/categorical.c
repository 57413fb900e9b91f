/* SPDX-License-Identifier: Apache-2.0 */
/* Categories. Levels are numbered by how often training has them; rare ones, and those never seen,
 * have no number.
 * Tree view: the number as a category; with many levels also the mean target of the level
 * (Micci-Barreca 2001, smoothed by alpha = 10 rows of the overall mean) and its frequency; with
 * more than ten classes the frequency alone, since a column per class would be too many.
 * Dense view: one column per frequent level, one for rare or unseen, one for missing; with many
 * levels the target mean and frequency too. */
#include "recipe/transform.h"

#include "base/alloc.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEVELS_MAX = 10000,
    /* Levels with a dense column of their own: the 30 most frequent, and those after them with at
     * least 30 rows, whose mean is then known to a fifth of a standard deviation; at most 128, a
     * kilobyte a row. The others share one column, and have their target mean. */
    ONE_HOT_ALWAYS = 30,
    ONE_HOT_ROWS = 30,
    ONE_HOT_MAX = 128,
    ENCODED_FROM = 9,     /* levels from which the target mean is worth a column */
    ENCODED_CLASSES = 10, /* classes up to which each has its own */
    RARE_ROWS = 2
};
static const double smoothing = 10;

struct categorical {
    qn_map *levels; /* text → number */
    int32_t n_levels, n_hot;
    int32_t n_encoded; /* target columns: 0, 1, or one per class */
    bool has_count;    /* and one of the frequency */
    double *encoded;   /* n_levels × n_encoded */
    double *frequency; /* n_levels: log of the count */
    double priors[ENCODED_CLASSES];
    qn_scale scales[ENCODED_CLASSES + 1]; /* dense view: of the encoded columns and frequency */
};

static void free_state(void *memory)
{
    struct categorical *state = memory;
    if (!state) return;
    qn_map_free(state->levels);
    qn_free(state->encoded);
    qn_free(state->frequency);
    qn_free(state);
}

struct count {
    const char *text;
    size_t bytes;
    int64_t rows;
};

static int by_rows(const void *left, const void *right)
{
    const struct count *a = left, *b = right;
    if (a->rows != b->rows) return a->rows > b->rows ? -1 : 1;
    const int order = memcmp(a->text, b->text, a->bytes < b->bytes ? a->bytes : b->bytes);
    return order ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static qn_status number_levels(const qn_fit_column *column, struct categorical *state,
                               qn_error *err)
{
    qn_map *all = qn_map_create(256);
    bool complete = all != NULL;
    for (int64_t i = 0; complete && i < column->n_rows; i++) {
        const qn_cell *cell = &column->cells[i];
        if (!cell->text) continue;
        int64_t *slot = qn_map_slot(all, cell->text, cell->text_bytes, 0);
        complete = slot != NULL;
        if (slot) ++*slot;
    }
    const int64_t n = complete ? qn_map_n(all) : 0;
    struct count *counts = qn_alloc_array(n, sizeof *counts);
    state->levels = qn_map_create(n < LEVELS_MAX ? n : LEVELS_MAX);
    state->frequency = qn_alloc_array(n, sizeof *state->frequency);
    complete = complete && counts && state->levels && state->frequency;
    for (int64_t i = 0; complete && i < n; i++) {
        counts[i].text = qn_map_key(all, i, &counts[i].bytes);
        counts[i].rows = qn_map_value(all, i);
    }
    if (complete) qsort(counts, (size_t)n, sizeof *counts, by_rows);
    for (int64_t i = 0; complete && i < n && i < LEVELS_MAX; i++) {
        if (counts[i].rows < RARE_ROWS) break;
        complete = qn_map_set(state->levels, counts[i].text, counts[i].bytes, i);
        state->frequency[i] = log((double)counts[i].rows);
        state->n_levels = (int32_t)(i + 1);
        if (i < ONE_HOT_ALWAYS || (i < ONE_HOT_MAX && counts[i].rows >= ONE_HOT_ROWS)) {
            state->n_hot = state->n_levels;
        }
    }
    qn_free(counts);
    qn_map_free(all);
    return complete ? QN_OK
                    : qn_fail(err, QN_ERR_NOMEM, "no memory for the levels of '%s'",
                              column->schema_column->name);
}

static int32_t level_of(const struct categorical *state, const qn_cell *cell)
{
    if (!cell->text) return -1;
    return (int32_t)qn_map_get(state->levels, cell->text, cell->text_bytes, -1);
}

/* The k-th target of a row: the value, whether it is class 1, or whether it is class k. */
static double target_of(const qn_fit_column *column, int32_t k, int64_t i)
{
    const qn_schema *schema = column->request->schema;
    if (schema->n_classes == 0) return column->target[i];
    return column->target[i] == (schema->n_classes == 2 ? 1 : k);
}

/* Smoothed means per level over the rows of all inner folds but `left_out`. */
static void encode(const qn_fit_column *column, const struct categorical *state,
                   const int32_t *levels, int32_t left_out, double *sums, double *counts,
                   double *priors)
{
    const int32_t n_encoded = state->n_encoded;
    double total[ENCODED_CLASSES] = {0}, n_rows = 0;
    memset(sums, 0, (size_t)state->n_levels * (size_t)n_encoded * sizeof *sums);
    memset(counts, 0, (size_t)state->n_levels * sizeof *counts);
    for (int64_t i = 0; i < column->n_rows; i++) {
        if (column->inner_fold[i] == left_out) continue;
        n_rows += 1;
        const int32_t level = levels[i];
        if (level >= 0) counts[level] += 1;
        for (int32_t k = 0; k < n_encoded; k++) {
            const double y = target_of(column, k, i);
            total[k] += y;
            if (level >= 0) sums[level * n_encoded + k] += y;
        }
    }
    for (int32_t k = 0; k < n_encoded; k++) {
        priors[k] = n_rows > 0 ? total[k] / n_rows : 0;
        for (int32_t level = 0; level < state->n_levels; level++) {
            double *sum = &sums[level * n_encoded + k];
            *sum = (*sum + smoothing * priors[k]) / (counts[level] + smoothing);
        }
    }
}

static int32_t *levels_of_rows(const qn_fit_column *column, const struct categorical *state)
{
    int32_t *levels = qn_alloc_array(column->n_rows, sizeof *levels);
    for (int64_t i = 0; levels && i < column->n_rows; i++) {
        levels[i] = level_of(state, &column->cells[i]);
    }
    return levels;
}

static qn_status fit_encoding(const qn_fit_column *column, struct categorical *state, qn_error *err)
{
    const int32_t n_classes = column->request->schema->n_classes;
    if (state->n_levels < ENCODED_FROM || !column->request->target) return QN_OK;
    state->has_count = true;
    state->n_encoded = n_classes > ENCODED_CLASSES ? 0 : n_classes > 2 ? n_classes : 1;
    int32_t *levels = levels_of_rows(column, state);
    double *counts = qn_alloc_array(state->n_levels, sizeof *counts);
    double *values = qn_alloc_array(column->n_rows, sizeof *values);
    state->encoded = qn_alloc_array((int64_t)state->n_levels * state->n_encoded, sizeof(double));
    qn_status status = levels && counts && values && state->encoded
                           ? QN_OK
                           : qn_fail(err, QN_ERR_NOMEM, "no memory for the levels of '%s'",
                                     column->schema_column->name);
    if (status == QN_OK) encode(column, state, levels, -1, state->encoded, counts, state->priors);
    for (int32_t k = 0; k <= state->n_encoded && status == QN_OK; k++) {
        for (int64_t i = 0; i < column->n_rows; i++) {
            const int32_t level = levels[i];
            if (k == state->n_encoded) {
                values[i] = level < 0 ? 0 : state->frequency[level];
            } else {
                values[i] =
                    level < 0 ? state->priors[k] : state->encoded[level * state->n_encoded + k];
            }
        }
        status = qn_scale_fit(values, column->n_rows, false, &state->scales[k], err);
    }
    qn_free(levels);
    qn_free(counts);
    qn_free(values);
    return status;
}

static qn_status add_encoded(const qn_fit_column *column, const struct categorical *state,
                             qn_step *step, qn_view view, qn_error *err)
{
    const char *name = column->schema_column->name;
    for (int32_t k = 0; k < state->n_encoded; k++) {
        qn_str suffix = {0};
        qn_str_add(&suffix, "~target");
        if (state->n_encoded > 1) {
            qn_str_addf(&suffix, "=%s", column->request->schema->classes[k]);
        }
        const qn_status status = suffix.failed
                                     ? qn_fail(err, QN_ERR_NOMEM, "no memory for feature names")
                                     : qn_step_add_feature(step, view, name, suffix.text, 0, err);
        qn_str_release(&suffix);
        QN_TRY(status);
    }
    return state->has_count ? qn_step_add_feature(step, view, name, "~count", 0, err) : QN_OK;
}

static qn_status add_features(const qn_fit_column *column, const struct categorical *state,
                              qn_step *step, qn_error *err)
{
    const char *name = column->schema_column->name;
    QN_TRY(qn_step_add_feature(step, QN_VIEW_TREE, name, "",
                               state->n_levels > 0 ? state->n_levels : 1, err));
    QN_TRY(add_encoded(column, state, step, QN_VIEW_TREE, err));
    for (int32_t level = 0; level < state->n_hot; level++) {
        qn_str suffix = {0};
        qn_str_addf(&suffix, "=%s", qn_map_key(state->levels, level, NULL));
        const qn_status status =
            suffix.failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for feature names")
                          : qn_step_add_feature(step, QN_VIEW_DENSE, name, suffix.text, 0, err);
        qn_str_release(&suffix);
        QN_TRY(status);
    }
    QN_TRY(qn_step_add_feature(step, QN_VIEW_DENSE, name, "~rare", 0, err));
    QN_TRY(qn_step_add_feature(step, QN_VIEW_DENSE, name, " is missing", 0, err));
    return add_encoded(column, state, step, QN_VIEW_DENSE, err);
}

static qn_status fit(const qn_fit_column *column, qn_step *step, qn_error *err)
{
    struct categorical *state = qn_alloc_array(1, sizeof *state);
    step->state = state;
    if (!state) return qn_fail(err, QN_ERR_NOMEM, "no memory for a column of categories");
    QN_TRY(number_levels(column, state, err));
    QN_TRY(fit_encoding(column, state, err));
    return add_features(column, state, step, err);
}

static void apply(const qn_step *step, qn_view view, const qn_cell *cells, int64_t n_rows,
                  double *out, int64_t stride)
{
    const struct categorical *state = step->state;
    const bool dense = view == QN_VIEW_DENSE;
    const int64_t first_encoded = dense ? state->n_hot + 2 : 1;
    for (int64_t i = 0; i < n_rows; i++) {
        const int32_t level = level_of(state, &cells[i]);
        if (!dense) {
            out[i] = level < 0 ? QN_NA : level;
        } else {
            for (int32_t hot = 0; hot < state->n_hot; hot++) {
                out[hot * stride + i] = hot == level;
            }
            out[state->n_hot * stride + i] = cells[i].text && (level < 0 || level >= state->n_hot);
            out[(state->n_hot + 1) * stride + i] = !cells[i].text;
        }
        for (int32_t k = 0; k < state->n_encoded + state->has_count; k++) {
            double value;
            if (k == state->n_encoded) {
                value = level < 0 ? 0 : state->frequency[level];
            } else {
                value = level < 0 ? state->priors[k] : state->encoded[level * state->n_encoded + k];
            }
            out[(first_encoded + k) * stride + i] =
                dense ? qn_scale_apply(&state->scales[k], value) : value;
        }
    }
}

/* Training rows get the encoding of the inner folds they are not in. */
static qn_status refit_training(const qn_fit_column *column, const qn_step *step, qn_view view,
                                double *out, int64_t stride, qn_error *err)
{
    const struct categorical *state = step->state;
    const int32_t n_encoded = state->n_encoded;
    if (n_encoded == 0) return QN_OK;
    int32_t *levels = levels_of_rows(column, state);
    double *means = qn_alloc_array((int64_t)state->n_levels * n_encoded, sizeof *means);
    double *counts = qn_alloc_array(state->n_levels, sizeof *counts);
    const bool complete = levels && means && counts;
    const int64_t first = view == QN_VIEW_DENSE ? state->n_hot + 2 : 1;
    for (int32_t fold = 0; complete && fold < QN_INNER_FOLDS; fold++) {
        double priors[ENCODED_CLASSES];
        encode(column, state, levels, fold, means, counts, priors);
        for (int64_t i = 0; i < column->n_rows; i++) {
            if (column->inner_fold[i] != fold) continue;
            for (int32_t k = 0; k < n_encoded; k++) {
                const double value = levels[i] < 0 ? priors[k] : means[levels[i] * n_encoded + k];
                out[(first + k) * stride + i] =
                    view == QN_VIEW_DENSE ? qn_scale_apply(&state->scales[k], value) : value;
            }
        }
    }
    qn_free(levels);
    qn_free(means);
    qn_free(counts);
    return complete ? QN_OK
                    : qn_fail(err, QN_ERR_NOMEM, "no memory to encode '%s'",
                              column->schema_column->name);
}

static const char *level_text(const qn_step *step, int32_t code)
{
    const struct categorical *state = step->state;
    return code >= 0 && code < state->n_levels ? qn_map_key(state->levels, code, NULL) : NULL;
}

static int32_t code_of(const qn_step *step, const char *text)
{
    const struct categorical *state = step->state;
    return (int32_t)qn_map_get(state->levels, text, strlen(text), -1);
}

static void write_state(const qn_step *step, qn_writer *writer)
{
    const struct categorical *state = step->state;
    qn_write_i32(writer, state->n_levels);
    qn_write_i32(writer, state->n_encoded);
    for (int32_t level = 0; level < state->n_levels; level++) {
        size_t bytes;
        const char *text = qn_map_key(state->levels, level, &bytes);
        qn_write_text(writer, text, bytes);
    }
    qn_write_array(writer, state->frequency, state->n_levels, sizeof *state->frequency);
    qn_write_array(writer, state->encoded, (int64_t)state->n_levels * state->n_encoded,
                   sizeof *state->encoded);
    qn_write_array(writer, state->priors, ENCODED_CLASSES, sizeof *state->priors);
    for (int32_t k = 0; k < state->n_encoded + state->has_count; k++) {
        qn_scale_write(&state->scales[k], writer);
    }
}

static qn_status damaged(qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "recipe: a column of categories is damaged");
}

/* `*out` is the state's from the first, so that it is released whatever follows. */
static qn_status copy_doubles(qn_reader *reader, int64_t n_wanted, double **out, qn_error *err)
{
    int64_t n;
    const double *values = qn_read_array(reader, sizeof *values, &n);
    if (reader->failed || n != n_wanted) return damaged(err);
    *out = qn_alloc_array(n, sizeof **out);
    if (!*out) return qn_fail(err, QN_ERR_NOMEM, "no memory for levels");
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return damaged(err);
        (*out)[i] = values[i];
    }
    return QN_OK;
}

static qn_status read_state(qn_reader *reader, qn_step *step, qn_error *err)
{
    struct categorical *state = qn_alloc_array(1, sizeof *state);
    step->state = state;
    if (!state) return qn_fail(err, QN_ERR_NOMEM, "no memory for a column of categories");
    state->n_levels = qn_read_i32(reader);
    state->n_encoded = qn_read_i32(reader);
    if (reader->failed || state->n_levels < 0 || state->n_levels > LEVELS_MAX ||
        state->n_encoded < 0 || state->n_encoded > ENCODED_CLASSES) {
        return damaged(err);
    }
    /* The numbers of features tell how many levels have a column, and whether there is a count. */
    state->has_count = step->n_dense[QN_VIEW_TREE] == 2 + state->n_encoded;
    const int32_t n_extra = state->n_encoded + state->has_count;
    state->n_hot = step->n_dense[QN_VIEW_DENSE] - 2 - n_extra;
    if (step->n_dense[QN_VIEW_TREE] != 1 + n_extra || state->n_hot < 0 ||
        state->n_hot > state->n_levels || (state->n_encoded > 0 && !state->has_count)) {
        return damaged(err);
    }
    state->levels = qn_map_create(state->n_levels);
    if (!state->levels) return qn_fail(err, QN_ERR_NOMEM, "no memory for levels");
    for (int32_t level = 0; level < state->n_levels && !reader->failed; level++) {
        size_t bytes;
        const char *text = qn_read_text(reader, &bytes);
        if (!qn_map_set(state->levels, text, bytes, level)) {
            return qn_fail(err, QN_ERR_NOMEM, "no memory for levels");
        }
    }
    if (reader->failed || qn_map_n(state->levels) != state->n_levels) return damaged(err);
    QN_TRY(copy_doubles(reader, state->n_levels, &state->frequency, err));
    QN_TRY(copy_doubles(reader, (int64_t)state->n_levels * state->n_encoded, &state->encoded, err));
    double *priors = NULL;
    const qn_status status = copy_doubles(reader, ENCODED_CLASSES, &priors, err);
    if (status == QN_OK) memcpy(state->priors, priors, sizeof state->priors);
    qn_free(priors);
    if (status != QN_OK) return status;
    for (int32_t k = 0; k < n_extra; k++) {
        if (!qn_scale_read(reader, &state->scales[k])) return damaged(err);
    }
    /* Learners and models size tables by n_levels: no code may reach it. */
    const int32_t n_codes = state->n_levels > 0 ? state->n_levels : 1;
    return step->features[QN_VIEW_TREE][0].n_levels == n_codes ? QN_OK : damaged(err);
}

const qn_transform qn_transform_categorical = {
    .name = "categorical",
    .kinds = 1u << QN_KIND_CATEGORICAL,
    .fit = fit,
    .apply = apply,
    .refit_training = refit_training,
    .level = level_text,
    .code = code_of,
    .write = write_state,
    .read = read_state,
    .free_state = free_state,
};
