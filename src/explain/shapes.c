/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/shapes.h"

#include "base/alloc.h"
#include "model/additive_model.h"

#include <math.h>
#include <string.h>

/* One model of the candidate, with its recipe. */
struct model {
    const qn_recipe *recipe;
    const qn_feature *features;
    const qn_additive_parts *parts;
};

struct making {
    struct model *models;
    int32_t n_models;
    qn_shapes *out;
    int64_t room;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for shape functions");
}

static void release_axis(qn_shape_axis *axis)
{
    for (int32_t c = 0; axis->levels && c < axis->n_cells; c++) {
        qn_free(axis->levels[c]);
    }
    qn_free(axis->levels);
    qn_free(axis->edges);
    qn_free(axis->name);
}

void qn_shapes_release(qn_shapes *shapes)
{
    for (int64_t i = 0; i < shapes->n; i++) {
        qn_shape *shape = &shapes->items[i];
        release_axis(&shape->axes[0]);
        release_axis(&shape->axes[1]);
        qn_free(shape->scores);
        qn_free(shape->errors);
        qn_free(shape->shares);
    }
    qn_free(shapes->items);
    *shapes = (qn_shapes){0};
}

/* Choosing the models. */

static double weight_of(const qn_predictor *predictor, const char *name)
{
    double sum = 0;
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        if (strcmp(member->name, name) == 0) sum += member->weight;
    }
    return sum;
}

static void choose_candidate(const qn_predictor *predictor, qn_shapes *out)
{
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        if (!qn_additive_parts_of(member->estimator)) continue;
        const double weight = weight_of(predictor, member->name);
        if (out->candidate && weight <= out->weight) continue;
        out->candidate = member->name;
        out->weight = weight;
    }
}

static bool list_models(const qn_predictor *predictor, struct making *making)
{
    making->models = qn_alloc_array(predictor->n_members, sizeof *making->models);
    if (!making->models) return false;
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        int64_t n, n_dense;
        if (strcmp(member->name, making->out->candidate) != 0) continue;
        const qn_recipe *recipe = predictor->recipes[member->recipe];
        making->models[making->n_models++] =
            (struct model){.recipe = recipe,
                           .features = qn_recipe_features(recipe, QN_VIEW_TREE, &n, &n_dense),
                           .parts = qn_additive_parts_of(member->estimator)};
    }
    return true;
}

/* A term in a model, by the names of its features; -1: it has none such. */
static int64_t find_term(const struct model *model, const char *a, const char *b)
{
    for (int64_t t = 0; t < model->parts->n_terms; t++) {
        const int32_t *term = model->parts->term_features + 2 * t;
        if ((term[1] < 0) != (b == NULL)) continue;
        if (strcmp(model->features[term[0]].name, a) != 0) continue;
        if (!b || strcmp(model->features[term[1]].name, b) == 0) return t;
    }
    return -1;
}

/* Axes. */

/* The bins of a term's feature are its own cells, or coarse ones in a pair. */
static int32_t cell_of_bin(const qn_additive_parts *p, int32_t f, bool pair, int64_t bin)
{
    return pair ? p->coarse[p->bin_starts[f] + bin] : (int32_t)bin;
}

static bool name_levels(const struct model *model, int32_t f, bool pair, qn_shape_axis *axis)
{
    axis->levels = qn_alloc_array(axis->n_cells, sizeof *axis->levels);
    qn_str *texts = qn_alloc_array(axis->n_cells, sizeof *texts);
    bool complete = axis->levels && texts;
    for (int32_t code = 0; complete && code < model->parts->n_levels[f]; code++) {
        qn_str *text = &texts[cell_of_bin(model->parts, f, pair, 1 + (int64_t)code)];
        const char *level = qn_recipe_level(model->recipe, f, code);
        if (text->bytes > 0) qn_str_add(text, ", ");
        qn_str_add(text, level ? level : "");
    }
    for (int32_t c = 0; texts && c < axis->n_cells; c++) {
        if (complete && (c > 0 || texts[c].bytes > 0)) {
            axis->levels[c] = qn_str_take_text(&texts[c]);
            complete = axis->levels[c] != NULL;
        }
        qn_str_release(&texts[c]);
    }
    qn_free(texts);
    return complete;
}

static bool copy_edges(const qn_additive_parts *p, int32_t f, bool pair, qn_shape_axis *axis)
{
    const int64_t n = p->edge_starts[f + 1] - p->edge_starts[f];
    int32_t kept = 0;
    axis->edges = qn_alloc_array(n, sizeof *axis->edges);
    for (int64_t i = 0; axis->edges && i < n; i++) {
        if (cell_of_bin(p, f, pair, 1 + i) == cell_of_bin(p, f, pair, 2 + i)) continue;
        axis->edges[kept++] = p->edges[p->edge_starts[f] + i];
    }
    return axis->edges != NULL;
}

static bool make_axis(const struct model *model, int32_t f, bool pair, qn_shape_axis *axis)
{
    const qn_additive_parts *p = model->parts;
    axis->name = qn_strdup(model->features[f].name);
    axis->categorical = p->n_levels[f] > 0;
    axis->n_cells = pair ? p->n_coarse[f] : (int32_t)(p->bin_starts[f + 1] - p->bin_starts[f]);
    if (!axis->name) return false;
    return axis->categorical ? name_levels(model, f, pair, axis) : copy_edges(p, f, pair, axis);
}

/* The bin, in another model, of what stands in a cell of the axis: of the middle between its edges,
 * of the edge itself at the ends; of a category, or of the first of several. */
static int32_t bin_in(const struct model *model, int32_t f, const qn_shape_axis *axis, int32_t cell,
                      const struct model *first, int32_t first_f, bool pair)
{
    const int32_t n_edges = axis->n_cells - 2;
    if (cell == 0) return 0;
    if (axis->categorical) {
        const qn_additive_parts *p = first->parts;
        for (int32_t code = 0; code < p->n_levels[first_f]; code++) {
            if (cell_of_bin(p, first_f, pair, 1 + (int64_t)code) != cell) continue;
            const char *level = qn_recipe_level(first->recipe, first_f, code);
            return 1 + (level ? qn_recipe_level_code(model->recipe, f, level) : -1);
        }
        return 0;
    }
    if (n_edges <= 0) return qn_additive_bin(model->parts, f, 0);
    if (cell == 1) return qn_additive_bin(model->parts, f, axis->edges[0]);
    const double below = axis->edges[cell - 2];
    const double inside =
        cell - 1 < n_edges ? below + (axis->edges[cell - 1] - below) / 2 : nextafter(below, QN_INF);
    return qn_additive_bin(model->parts, f, inside);
}

/* Shapes. */

/* Adds to the means and, by Welford's method, to the squares of all cells. */
static bool add_model(struct making *making, int32_t index, const struct model *first,
                      int64_t first_term, qn_shape *shape)
{
    const int32_t k = making->out->n_outputs, n_models = index + 1;
    const struct model *model = &making->models[index];
    const int32_t *of_first = first->parts->term_features + 2 * first_term;
    const bool pair = shape->n_axes == 2;
    const int64_t term = find_term(model, shape->axes[0].name, pair ? shape->axes[1].name : NULL);
    const int32_t *f = term >= 0 ? model->parts->term_features + 2 * term : NULL;
    const int32_t n_b = pair ? shape->axes[1].n_cells : 1;
    int32_t *b = qn_alloc_array(n_b, sizeof *b);
    if (!b) return false;
    for (int32_t j = 0; pair && f && j < n_b; j++) {
        b[j] = bin_in(model, f[1], &shape->axes[1], j, first, of_first[1], pair);
    }
    for (int32_t i = 0; i < shape->axes[0].n_cells; i++) {
        const int32_t a = f ? bin_in(model, f[0], &shape->axes[0], i, first, of_first[0], pair) : 0;
        for (int32_t j = 0; j < n_b; j++) {
            const int64_t cell = f ? qn_additive_cell(model->parts, term, a, b[j]) : 0;
            for (int32_t c = 0; c < k; c++) {
                const int64_t at = ((int64_t)i * n_b + j) * k + c;
                const double score =
                    f ? model->parts->scores[(model->parts->term_starts[term] + cell) * k + c] : 0;
                const double step = score - shape->scores[at];
                shape->scores[at] += step / n_models;
                shape->errors[at] += step * (score - shape->scores[at]);
            }
        }
    }
    qn_free(b);
    return true;
}

static void finish_shape(const qn_shapes *shapes, const struct model *first, int64_t term,
                         qn_shape *shape)
{
    const int32_t k = shapes->n_outputs, n = shapes->n_models;
    const double *known = first->parts->shares;
    for (int64_t i = 0; i < shape->n_cells * k; i++) {
        shape->errors[i] = n > 1 ? sqrt(shape->errors[i] / (n - 1)) : QN_NA;
    }
    for (int64_t i = 0; i < shape->n_cells; i++) {
        shape->shares[i] = known ? known[first->parts->term_starts[term] + i] : QN_NA;
        const double share = known ? shape->shares[i] : 1 / (double)shape->n_cells;
        for (int32_t c = 0; c < k; c++) {
            shape->importance += share * fabs(shape->scores[i * k + c]) / k;
        }
    }
}

static bool make_shape(struct making *making, const struct model *first, int64_t term)
{
    qn_shapes *out = making->out;
    const int32_t *f = first->parts->term_features + 2 * term, k = out->n_outputs;
    const bool pair = f[1] >= 0;
    if (out->n == making->room) {
        qn_shape *grown = qn_realloc_array(out->items, 2 * making->room + 8, sizeof *grown);
        if (!grown) return false;
        out->items = grown;
        making->room = 2 * making->room + 8;
    }
    qn_shape *shape = &out->items[out->n++];
    *shape = (qn_shape){.n_axes = 1 + pair};
    for (int32_t a = 0; a < shape->n_axes; a++) {
        if (!make_axis(first, f[a], pair, &shape->axes[a])) return false;
    }
    shape->n_cells = (int64_t)shape->axes[0].n_cells * (pair ? shape->axes[1].n_cells : 1);
    shape->scores = qn_alloc_array(shape->n_cells * k, sizeof *shape->scores);
    shape->errors = qn_alloc_array(shape->n_cells * k, sizeof *shape->errors);
    shape->shares = qn_alloc_array(shape->n_cells, sizeof *shape->shares);
    if (!shape->scores || !shape->errors || !shape->shares) return false;
    for (int32_t m = 0; m < making->n_models; m++) {
        if (!add_model(making, m, first, term, shape)) return false;
    }
    finish_shape(out, first, term, shape);
    return true;
}

static bool has_shape(const qn_shapes *shapes, const char *a, const char *b)
{
    for (int64_t i = 0; i < shapes->n; i++) {
        const qn_shape *shape = &shapes->items[i];
        if ((shape->n_axes == 1) != (b == NULL) || strcmp(shape->axes[0].name, a) != 0) continue;
        if (!b || strcmp(shape->axes[1].name, b) == 0) return true;
    }
    return false;
}

static bool make_shapes(struct making *making)
{
    for (int32_t m = 0; m < making->n_models; m++) {
        const struct model *model = &making->models[m];
        for (int64_t t = 0; t < model->parts->n_terms; t++) {
            const int32_t *f = model->parts->term_features + 2 * t;
            const char *a = model->features[f[0]].name,
                       *b = f[1] >= 0 ? model->features[f[1]].name : NULL;
            if (has_shape(making->out, a, b)) continue;
            if (!make_shape(making, model, t)) return false;
        }
    }
    return true;
}

/* By insertion: terms are few, and ties keep their order. */
static void put_in_order(qn_shapes *shapes)
{
    for (int64_t i = 1; i < shapes->n; i++) {
        const qn_shape shape = shapes->items[i];
        int64_t at = i;
        for (; at > 0 && shapes->items[at - 1].importance < shape.importance; at--) {
            shapes->items[at] = shapes->items[at - 1];
        }
        shapes->items[at] = shape;
    }
}

qn_status qn_shapes_create(const qn_predictor *predictor, qn_shapes *out, qn_error *err)
{
    *out = (qn_shapes){.n_outputs = predictor->n_outputs};
    choose_candidate(predictor, out);
    if (!out->candidate) return QN_OK;
    struct making making = {.out = out};
    bool complete = list_models(predictor, &making);
    out->n_models = making.n_models;
    for (int32_t m = 0; complete && m < making.n_models; m++) {
        for (int32_t c = 0; c < out->n_outputs; c++) {
            out->intercepts[c] += making.models[m].parts->intercepts[c] / making.n_models;
        }
    }
    complete = complete && make_shapes(&making);
    qn_free(making.models);
    if (!complete) {
        qn_shapes_release(out);
        return no_memory(err);
    }
    put_in_order(out);
    return QN_OK;
}

void qn_shape_title(const qn_shape *shape, qn_str *out)
{
    qn_str_add(out, shape->axes[0].name);
    if (shape->n_axes < 2) return;
    qn_str_add(out, " × ");
    qn_str_add(out, shape->axes[1].name);
}
