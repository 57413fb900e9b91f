/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tree_model.h"

#include "base/alloc.h"
#include "base/number.h"
#include "model/tree_forms.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const char *const link_names[QN_N_LINKS] = {
    "identity",    "logistic",      "softmax",   "mean", "exp",
    "one_vs_rest", "signed_square", "log1p_exp", "step", "shares"};

const qn_tree_model *qn_tree_model_of(const qn_estimator *estimator)
{
    return estimator->family == &qn_family_trees ? (const qn_tree_model *)estimator : NULL;
}

/* Predicting. */

static bool in_set(const qn_tree_model *model, const qn_tree_node *node, double value)
{
    const qn_code_set *set = &model->sets[(int64_t)node->threshold];
    const bool by_default = node->flags & QN_NODE_DEFAULT_LEFT;
    if (isnan(value)) return by_default;
    const bool strict = node->flags & QN_NODE_OTHER_RIGHT;
    if (!(value < (double)set->n_codes) || (strict ? value < 0 : value <= -1)) {
        return strict ? false : by_default;
    }
    const int64_t code = (int64_t)value;
    return model->words[set->first_word + code / 64] >> (code & 63) & 1;
}

bool qn_tree_model_goes_left(const qn_tree_model *model, const qn_tree_node *node, double value)
{
    if (node->flags & QN_NODE_CATEGORY) return in_set(model, node, value);
    if (isnan(value) || ((node->flags & QN_NODE_CODE) && value >= QN_CODES_MAX) ||
        ((node->flags & QN_NODE_ZERO_MISSING) && fabs(value) <= QN_ZERO)) {
        return node->flags & QN_NODE_DEFAULT_LEFT;
    }
    return value <= node->threshold;
}

/* The child that a value goes to. Numbers, the usual case, take no branch that depends on the data:
 * half of such branches would be guessed wrong. */
static inline int32_t step(const qn_tree_model *model, int32_t at, const double *row,
                           int64_t stride)
{
    const qn_tree_node *node = &model->nodes[at];
    const double value = row[node->feature * stride];
    int32_t left = (value <= node->threshold) | (isnan(value) & (node->flags & 1));
    if (__builtin_expect(node->flags & ~QN_NODE_DEFAULT_LEFT, 0)) {
        left = qn_tree_model_goes_left(model, node, value);
    }
    return node->right ^ ((node->left ^ node->right) & -left);
}

int64_t qn_tree_model_leaf(const qn_tree_model *model, int32_t tree, const qn_matrix *features,
                           int64_t row)
{
    int32_t at = model->roots[tree];
    while (at >= 0) {
        at = step(model, at, features->dense + row, features->stride);
    }
    return ~at;
}

static double line_value(const qn_tree_model *model, int64_t leaf, const double *row,
                         int64_t stride)
{
    double sum = model->constants[leaf];
    for (int64_t i = model->line_starts[leaf]; i < model->line_starts[leaf + 1]; i++) {
        const double value = row[model->term_features[i] * stride];
        if (isnan(value)) return model->values[leaf];
        sum += model->coefficients[i] * value;
    }
    return sum;
}

double qn_tree_model_leaf_value(const qn_tree_model *model, int64_t leaf, int32_t c,
                                const qn_matrix *features, int64_t row)
{
    if (model->line_starts) {
        return line_value(model, leaf, features->dense + row, features->stride);
    }
    return model->vector_leaves ? model->values[leaf * model->head.n_outputs + c]
                                : model->values[leaf];
}

enum { LANES = 8 };

/* Leaves of `n` rows at once: their walks are independent, so the processor overlaps them. */
static inline void find_leaves(const qn_tree_model *model, int32_t root, const double *rows,
                               int64_t stride, int n, int32_t *leaves)
{
    bool walking = root >= 0;
    for (int i = 0; i < n; i++) {
        leaves[i] = root;
    }
    while (walking) {
        walking = false;
        for (int i = 0; i < n; i++) {
            if (leaves[i] < 0) continue;
            leaves[i] = step(model, leaves[i], rows + i, stride);
            walking |= leaves[i] >= 0;
        }
    }
}

/* Adds a leaf of tree `tree` to the sums of one row. */
static inline void add_leaf(const qn_tree_model *model, int32_t tree, int64_t leaf,
                            const double *row, int64_t stride, double *out)
{
    const int32_t k = model->head.n_outputs;
    if (!model->vector_leaves) {
        out[tree % k] +=
            model->line_starts ? line_value(model, leaf, row, stride) : model->values[leaf];
        return;
    }
    for (int32_t c = 0; c < k; c++) {
        out[c] += model->values[leaf * k + c];
    }
}

/* Adds one tree's leaves to the sums of up to LANES rows. */
static inline void add_tree(const qn_tree_model *model, int32_t tree, const double *rows,
                            int64_t stride, int n, double *out)
{
    int32_t leaves[LANES];
    find_leaves(model, model->roots[tree], rows, stride, n, leaves);
    for (int i = 0; i < n; i++) {
        add_leaf(model, tree, ~leaves[i], rows + i, stride, out + i * model->head.n_outputs);
    }
}

/* Tree by tree over the block: a tree's nodes stay in cache while the rows pass. Each row's sums
 * are made in the order of trees, whatever the block. */
static void walk_rows(const qn_tree_model *model, const qn_matrix *features, double *out)
{
    const int32_t k = model->head.n_outputs;
    for (int32_t t = 0; t < model->n_trees; t++) {
        int64_t row = 0;
        for (; row + LANES <= features->n_rows; row += LANES) {
            add_tree(model, t, features->dense + row, features->stride, LANES, out + row * k);
        }
        if (row < features->n_rows) {
            add_tree(model, t, features->dense + row, features->stride,
                     (int)(features->n_rows - row), out + row * k);
        }
    }
}

static int32_t trees_an_output(const qn_tree_model *model)
{
    const int32_t n =
        model->vector_leaves ? model->n_trees : model->n_trees / model->head.n_outputs;
    return n > 0 ? n : 1;
}

void qn_tree_model_sums(const qn_tree_model *model, const qn_matrix *features, double *out,
                        void *scratch)
{
    const int32_t k = model->head.n_outputs;
    for (int64_t row = 0; row < features->n_rows; row++) {
        memcpy(out + row * k, model->init, (size_t)k * sizeof *out);
    }
    const bool block = features->n_rows >= QN_TREE_CODES_ROWS_MIN;
    const qn_tree_codes *codes = block ? qn_tree_forms_codes(model) : NULL;
    const qn_tree_walk *walk = block ? NULL : qn_tree_forms_walk(model);
    if (codes) {
        qn_tree_codes_add(codes, model, features, out, scratch);
    } else if (walk) {
        for (int64_t row = 0; row < features->n_rows; row++) {
            qn_tree_walk_add(walk, model, features->dense + row, features->stride, out + row * k,
                             scratch);
        }
    } else {
        walk_rows(model, features, out);
    }
    if (!model->averaged) return;
    for (int64_t i = 0; i < features->n_rows * k; i++) {
        out[i] /= trees_an_output(model);
    }
}

static void softmax(int32_t k, double *out)
{
    double most = out[0], sum = 0;
    for (int32_t c = 1; c < k; c++) {
        most = fmax(most, out[c]);
    }
    for (int32_t c = 0; c < k; c++) {
        sum += out[c] = exp(out[c] - most);
    }
    for (int32_t c = 0; c < k; c++) {
        out[c] /= sum;
    }
}

static void divide_by_sum(int32_t k, double *out)
{
    double sum = 0;
    for (int32_t c = 0; c < k; c++) {
        sum += out[c];
    }
    for (int32_t c = 0; c < k; c++) {
        out[c] = sum > 0 ? out[c] / sum : 1.0 / k;
    }
}

static double link_of(qn_link link, double sum)
{
    switch (link) {
    case QN_LINK_LOGISTIC:
    case QN_LINK_ONE_VS_REST:
    case QN_LINK_SHARES:
        return 1 / (1 + exp(-sum));
    case QN_LINK_EXP:
        return exp(sum);
    case QN_LINK_SIGNED_SQUARE:
        return copysign(sum * sum, sum);
    case QN_LINK_LOG1P_EXP:
        return log1p(exp(sum));
    case QN_LINK_STEP:
        return sum > 0;
    case QN_LINK_IDENTITY:
    case QN_LINK_MEAN:
    case QN_LINK_SOFTMAX:
    case QN_N_LINKS:
        break;
    }
    return sum;
}

void qn_link_apply(qn_link link, int64_t n_rows, int32_t k, double *out)
{
    if (link == QN_LINK_SOFTMAX) {
        for (int64_t row = 0; row < n_rows; row++) {
            softmax(k, out + row * k);
        }
    } else if (link != QN_LINK_IDENTITY) {
        for (int64_t i = 0; i < n_rows * k; i++) {
            out[i] = link_of(link, out[i]);
        }
    }
    for (int64_t row = 0; link == QN_LINK_SHARES && row < n_rows; row++) {
        divide_by_sum(k, out + row * k);
    }
}

static void scores(const qn_estimator *estimator, const qn_matrix *features, double *out,
                   void *scratch)
{
    const qn_tree_model *model = (const qn_tree_model *)estimator;
    qn_tree_model_sums(model, features, out, scratch);
    for (int64_t i = 0; model->scale != 1 && i < features->n_rows * estimator->n_outputs; i++) {
        out[i] *= model->scale;
    }
}

static void link_row(const qn_estimator *estimator, double *row)
{
    qn_link_apply(((const qn_tree_model *)estimator)->link, 1, estimator->n_outputs, row);
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    scores(estimator, features, out, scratch);
    qn_link_apply(((const qn_tree_model *)estimator)->link, features->n_rows, estimator->n_outputs,
                  out);
}

qn_status qn_tree_model_scores(const qn_tree_model *model, int32_t n_trees,
                               const qn_matrix *features, qn_pool *pool, double *out, qn_error *err)
{
    qn_tree_model raw = *model;
    raw.link = QN_LINK_IDENTITY;
    if (n_trees > 0 && n_trees < model->n_trees) {
        raw.n_trees = n_trees;
        raw.forms = NULL; /* they know all trees only */
    }
    return qn_estimator_predict(&raw.head, features, pool, out, err);
}

/* The slope of link_of(). A step has none: it counts as straight. */
static double slope_of(qn_link link, double score)
{
    const double logistic = 1 / (1 + exp(-score));
    switch (link) {
    case QN_LINK_LOGISTIC:
    case QN_LINK_ONE_VS_REST:
    case QN_LINK_SHARES:
        return logistic * (1 - logistic);
    case QN_LINK_EXP:
        return exp(score);
    case QN_LINK_SIGNED_SQUARE:
        return 2 * fabs(score);
    case QN_LINK_LOG1P_EXP:
        return logistic;
    case QN_LINK_STEP:
    case QN_LINK_IDENTITY:
    case QN_LINK_MEAN:
    case QN_LINK_SOFTMAX:
    case QN_N_LINKS:
        break;
    }
    return 1;
}

/* Softmax: the derivative of p_c by score k is p_c ([c = k] - p_k). Shares p_c = l_c / sum of l,
 * with l the logistic of a score: l'_k ([c = k] - p_c) / sum. */
static void pull_back(const qn_estimator *estimator, const double *row_scores,
                      const double *predictions, double *gradient)
{
    const qn_tree_model *model = (const qn_tree_model *)estimator;
    const int32_t k = estimator->n_outputs;
    const bool shares = model->link == QN_LINK_SHARES;
    double mean = 0, sum = 0;
    for (int32_t c = 0; c < k; c++) {
        mean += gradient[c] * predictions[c];
        if (shares) sum += link_of(model->link, row_scores[c]);
    }
    for (int32_t c = 0; c < k; c++) {
        if (model->link == QN_LINK_SOFTMAX) {
            gradient[c] = predictions[c] * (gradient[c] - mean);
            continue;
        }
        if (shares) gradient[c] = sum > 0 ? (gradient[c] - mean) / sum : 0;
        gradient[c] *= slope_of(model->link, row_scores[c]);
    }
}

static size_t scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    return qn_tree_forms_scratch_bytes((const qn_tree_model *)estimator, n_rows);
}

/* Explaining. */

static void add_set(const qn_tree_model *model, const qn_tree_node *node, qn_str *out)
{
    const qn_code_set *set = &model->sets[(int64_t)node->threshold];
    int n = 0;
    for (int64_t code = 0; code < set->n_codes && n <= 8; code++) {
        if (!(model->words[set->first_word + code / 64] >> (code & 63) & 1)) continue;
        if (n == 8) {
            qn_str_add(out, ", ...");
        } else {
            qn_str_addf(out, "%s%lld", n ? ", " : "", (long long)code);
        }
        n++;
    }
}

void qn_tree_model_path(const qn_tree_model *model, int32_t tree, const qn_matrix *features,
                        int64_t row, const char *const *names, qn_str *out)
{
    int32_t at = model->roots[tree];
    while (at >= 0) {
        const qn_tree_node *node = &model->nodes[at];
        const double value = features->dense[node->feature * features->stride + row];
        const bool left = qn_tree_model_goes_left(model, node, value);
        qn_str_addf(out, "%s = ", names[node->feature]);
        if (isnan(value)) {
            qn_str_add(out, "missing");
        } else {
            qn_str_add_double(out, value);
        }
        if (node->flags & QN_NODE_CATEGORY) {
            qn_str_add(out, " in {");
            add_set(model, node, out);
            qn_str_add_char(out, '}');
        } else {
            qn_str_add(out, " <= ");
            qn_str_add_double(out, node->threshold);
        }
        qn_str_add(out, left ? ": left\n" : ": right\n");
        at = left ? node->left : node->right;
    }
    qn_str_addf(out, "leaf %lld", (long long)~at);
    const int32_t n = model->vector_leaves ? model->head.n_outputs : 1;
    for (int32_t c = 0; c < n; c++) {
        qn_str_add(out, c ? ", " : ": ");
        qn_str_add_double(out, qn_tree_model_leaf_value(model, ~at, c, features, row));
    }
    qn_str_add_char(out, '\n');
}

void qn_tree_model_importance(const qn_tree_model *model, double *gains, int64_t *n_splits)
{
    memset(gains, 0, (size_t)model->n_features * sizeof *gains);
    memset(n_splits, 0, (size_t)model->n_features * sizeof *n_splits);
    for (int64_t i = 0; i < model->n_nodes; i++) {
        gains[model->nodes[i].feature] += (double)model->nodes[i].gain;
        n_splits[model->nodes[i].feature]++;
    }
}

/* Bundle. */

enum { FORMAT = 3 };

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const qn_tree_model *model = (const qn_tree_model *)estimator;
    qn_write_i32(writer, FORMAT);
    qn_write_i32(writer, (int32_t)model->link);
    qn_write_u8(writer, model->vector_leaves);
    qn_write_u8(writer, model->averaged);
    qn_write_f64(writer, model->scale);
    qn_write_array(writer, model->init, estimator->n_outputs, sizeof *model->init);
    qn_write_array(writer, model->roots, model->n_trees, sizeof *model->roots);
    qn_write_array(writer, model->nodes, model->n_nodes, sizeof *model->nodes);
    qn_write_array(writer, model->values, model->n_values, sizeof *model->values);
    qn_write_array(writer, model->sets, model->n_sets, sizeof *model->sets);
    qn_write_array(writer, model->words, model->n_words, sizeof *model->words);
    const int64_t n_lines = model->line_starts ? model->n_values : 0;
    qn_write_array(writer, model->line_starts, n_lines ? n_lines + 1 : 0,
                   sizeof *model->line_starts);
    qn_write_array(writer, model->constants, n_lines, sizeof *model->constants);
    qn_write_array(writer, model->term_features, model->n_terms, sizeof *model->term_features);
    qn_write_array(writer, model->coefficients, model->n_terms, sizeof *model->coefficients);
}

/* A child comes after its parent: no walk can go round in a circle, or out of the arrays. */
static bool good_child(const qn_tree_model *model, int64_t n_leaves, int64_t parent, int32_t child)
{
    return child >= 0 ? child > parent && child < model->n_nodes : ~child < n_leaves;
}

static bool good_weight(float weight)
{
    return weight >= 0 && weight <= FLT_MAX;
}

static bool good_node(const qn_tree_model *model, int64_t n_leaves, int64_t i)
{
    const qn_tree_node *node = &model->nodes[i];
    if (node->feature < 0 || node->feature >= model->n_features || node->flags < 0 ||
        node->flags > QN_NODE_FLAGS || !good_child(model, n_leaves, i, node->left) ||
        !good_child(model, n_leaves, i, node->right) || isnan(node->threshold) ||
        !good_weight(node->left_cover) || !good_weight(node->right_cover) ||
        !good_weight(node->gain) || node->reserved != 0) {
        return false;
    }
    return !(node->flags & QN_NODE_CATEGORY) ||
           (node->threshold >= 0 && node->threshold < (double)model->n_sets);
}

static bool good_sets(const qn_tree_model *model)
{
    for (int64_t i = 0; i < model->n_sets; i++) {
        const qn_code_set *set = &model->sets[i];
        if (set->first_word < 0 || set->first_word > model->n_words || set->n_codes < 0 ||
            set->n_codes / 64 + (set->n_codes % 64 > 0) > model->n_words - set->first_word) {
            return false;
        }
    }
    return true;
}

static bool good_lines(const qn_tree_model *model, int64_t n_starts, int64_t n_constants,
                       int64_t n_coefficients)
{
    if (n_starts == 0) return n_constants == 0 && model->n_terms == 0 && n_coefficients == 0;
    if (model->vector_leaves || n_starts != model->n_values + 1 || n_constants != model->n_values ||
        n_coefficients != model->n_terms || model->line_starts[0] != 0 ||
        model->line_starts[model->n_values] != model->n_terms) {
        return false;
    }
    for (int64_t i = 0; i < model->n_values; i++) {
        if (model->line_starts[i + 1] < model->line_starts[i]) return false;
    }
    for (int64_t i = 0; i < model->n_terms; i++) {
        if (model->term_features[i] < 0 || model->term_features[i] >= model->n_features) {
            return false;
        }
    }
    return true;
}

bool qn_tree_model_is_good(const qn_tree_model *model)
{
    const int64_t width = model->vector_leaves ? model->head.n_outputs : 1;
    const int64_t n_leaves = model->n_values / width;
    if (model->n_nodes > INT32_MAX || n_leaves > INT32_MAX || !good_sets(model)) return false;
    for (int32_t t = 0; t < model->n_trees; t++) {
        if (!good_child(model, n_leaves, -1, model->roots[t])) return false;
    }
    for (int64_t i = 0; i < model->n_nodes; i++) {
        if (!good_node(model, n_leaves, i)) return false;
    }
    return true;
}

/* False when something is out of place. */
static bool read_arrays(qn_reader *reader, qn_tree_model *model)
{
    int64_t n_init, n_trees, n_starts, n_constants, n_coefficients;
    const int32_t link = qn_read_i32(reader);
    const uint8_t vector_leaves = qn_read_u8(reader), averaged = qn_read_u8(reader);
    model->scale = qn_read_f64(reader);
    const double *init = qn_read_array(reader, sizeof *init, &n_init);
    model->roots = qn_read_array(reader, sizeof *model->roots, &n_trees);
    model->nodes = qn_read_array(reader, sizeof *model->nodes, &model->n_nodes);
    model->values = qn_read_array(reader, sizeof *model->values, &model->n_values);
    model->sets = qn_read_array(reader, sizeof *model->sets, &model->n_sets);
    model->words = qn_read_array(reader, sizeof *model->words, &model->n_words);
    model->line_starts = qn_read_array(reader, sizeof *model->line_starts, &n_starts);
    model->constants = qn_read_array(reader, sizeof *model->constants, &n_constants);
    model->term_features = qn_read_array(reader, sizeof *model->term_features, &model->n_terms);
    model->coefficients = qn_read_array(reader, sizeof *model->coefficients, &n_coefficients);
    if (reader->failed || n_init < 1 || n_init > QN_CLASSES_MAX || link < 0 || link >= QN_N_LINKS ||
        vector_leaves > 1 || averaged > 1 || n_trees > INT32_MAX || !isfinite(model->scale)) {
        return false;
    }
    model->head.n_outputs = (int32_t)n_init;
    model->link = (qn_link)link;
    model->vector_leaves = vector_leaves;
    model->averaged = averaged;
    model->n_trees = (int32_t)n_trees;
    memcpy(model->init, init, (size_t)n_init * sizeof *init);
    const bool good =
        good_lines(model, n_starts, n_constants, n_coefficients) && qn_tree_model_is_good(model);
    if (n_starts == 0) model->line_starts = NULL;
    return good;
}

static void free_model(qn_estimator *estimator)
{
    qn_tree_model *model = (qn_tree_model *)estimator;
    const void *const owned[] = {model->roots,     model->nodes,         model->values,
                                 model->sets,      model->words,         model->line_starts,
                                 model->constants, model->term_features, model->coefficients};
    for (size_t i = 0; !model->borrowed && i < sizeof owned / sizeof *owned; i++) {
        qn_free((void *)(uintptr_t)owned[i]);
    }
    qn_tree_forms_free(model->forms);
    qn_free(model);
}

bool qn_tree_model_is_large(const qn_estimator *estimator)
{
    const qn_tree_model *model = qn_tree_model_of(estimator);
    return model && qn_tree_forms_lack_codes(model);
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    *out = NULL;
    const int32_t format = qn_read_i32(reader);
    if (!reader->failed && format != FORMAT) {
        return qn_fail(err, QN_ERR_DATA,
                       "model: its trees have format %d and this program reads %d: use the version "
                       "that wrote it, or fit again",
                       format, FORMAT);
    }
    qn_tree_model *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for the trees");
    model->borrowed = true;
    model->n_features = n_features;
    if (!read_arrays(reader, model)) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: its trees are damaged");
    }
    if (!qn_tree_forms_create(model, &model->forms)) {
        free_model(&model->head);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the trees");
    }
    model->head.n_dense = n_features;
    *out = (qn_estimator *)model;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const qn_tree_model *model = (const qn_tree_model *)estimator;
    qn_json_put_int(json, "trees", model->n_trees);
    qn_json_put_int(json, "nodes", model->n_nodes);
    qn_json_put_text(json, "link", link_names[model->link]);
    if (model->averaged) qn_json_put_bool(json, "averaged", true);
    if (model->line_starts) qn_json_put_bool(json, "linear_leaves", true);
}

const qn_family qn_family_trees = {.name = "trees",
                                   .predict = predict,
                                   .scratch_bytes = scratch_bytes,
                                   .write = write_model,
                                   .read = read_model,
                                   .scores = scores,
                                   .link = link_row,
                                   .pull_back = pull_back,
                                   .describe = describe,
                                   .free = free_model};
