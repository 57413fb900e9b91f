/* SPDX-License-Identifier: Apache-2.0 */
/* The recipe as it stands in a bundle. */
#include "base/alloc.h"
#include "recipe/recipe_internal.h"

#include <string.h>

/* Format 1 had no list of kept features, format 2 none of derived ones. */
enum { FORMAT = 3, FORMAT_DERIVED = 3, FORMAT_KEPT = 2, FORMAT_OLDEST = 1 };

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the recipe");
}

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
    qn_write_i32(writer, recipe->n_derived);
    for (int32_t d = 0; d < recipe->n_derived; d++) {
        qn_derived_write(&recipe->derived[d], writer);
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

/* The base must be indexed: derivations read it. */
static qn_status read_derived(qn_reader *reader, qn_recipe *recipe, qn_error *err)
{
    const int32_t n = qn_read_i32(reader);
    if (reader->failed || n < 0 || n > QN_DERIVED_MAX || (n > 0 && recipe->skip_dense)) {
        return damaged(err);
    }
    for (int32_t d = 0; d < n; d++) {
        QN_TRY(qn_derived_read(reader, recipe->n_base[QN_VIEW_DENSE],
                               recipe->n_sparse[QN_VIEW_DENSE], recipe->n_inputs,
                               &recipe->derived[d], err));
        recipe->n_derived++;
    }
    return QN_OK;
}

static qn_status read_parts(qn_reader *reader, int32_t format, int32_t n_steps, qn_recipe *recipe,
                            qn_error *err)
{
    for (int32_t s = 0; s < n_steps; s++) {
        QN_TRY(read_step(reader, recipe, err));
    }
    QN_TRY(qn_recipe_index(recipe, err));
    if (format < FORMAT_KEPT) return QN_OK;
    QN_TRY(read_kept(reader, recipe, err));
    QN_TRY(qn_recipe_index(recipe, err));
    if (format < FORMAT_DERIVED) return QN_OK;
    QN_TRY(read_derived(reader, recipe, err));
    return recipe->n_derived > 0 ? qn_recipe_index(recipe, err) : QN_OK;
}

qn_status qn_recipe_read(qn_reader *reader, const qn_schema *schema, qn_recipe **out, qn_error *err)
{
    *out = NULL;
    const int32_t format = qn_read_i32(reader);
    const uint8_t skip_dense = qn_read_u8(reader);
    const int32_t n_inputs = qn_read_i32(reader), n_steps = qn_read_i32(reader);
    if (reader->failed || format < FORMAT_OLDEST || format > FORMAT || skip_dense > 1 ||
        n_steps < 0 || n_steps / QN_STEPS_AN_INPUT > n_inputs ||
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
    if (status == QN_OK) status = read_parts(reader, format, n_steps, recipe, err);
    if (status != QN_OK) {
        qn_recipe_free(recipe);
        return status;
    }
    *out = recipe;
    return QN_OK;
}
