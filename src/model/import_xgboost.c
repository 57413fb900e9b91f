/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost's JSON (and UBJSON) model, of versions 1.3 to 3: boosters gbtree and dart.
 *
 * XGBoost rounds a value to single precision and goes left when it is below the threshold t. The
 * doubles that round to something below t are those up to the middle between t and the float
 * before it, so the comparison becomes one of doubles, exactly, and no value need be rounded. */
#include "model/import_model.h"

#include "base/alloc.h"
#include "base/number.h"
#include "model/tree_model.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { FEATURES_MAX = 1 << 20, CATEGORIES_MAX = 1 << 24 };

struct reader {
    const char *name;
    qn_error *err;
    qn_imported *out;
    qn_tree_builder builder;
    int64_t n_outputs;
    bool vector_leaves;
    qn_link link, base; /* base: the function whose inverse base_score goes through */
    qn_json_value learner, trees, info, weight_drop;
    int64_t tree; /* at hand */
};

static qn_status no_memory(const struct reader *r)
{
    return qn_fail(r->err, QN_ERR_NOMEM, "%s: no memory for the model", r->name);
}

static qn_status damaged(const struct reader *r, const char *what)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s: %s", r->name, what);
}

static qn_status bad_tree(const struct reader *r, const char *what)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s: tree %lld: %s", r->name, (long long)r->tree, what);
}

double qn_xgboost_threshold(float t)
{
    const float before = nextafterf(t, -FLT_MAX * 2);
    if (isinf(before)) return -(double)FLT_MAX - ldexp(1, 103);
    const double middle = ((double)before + (double)t) / 2;
    const float rounded = (float)middle;
    return rounded == before ? middle : nextafter(middle, -QN_INF);
}

/* A whole number, given as one or as text. */
static int64_t whole(qn_json_value object, const char *key, int64_t otherwise)
{
    const qn_json_value value = qn_json_get(object, key);
    const char *text = qn_json_as_text(value, NULL);
    int64_t parsed;
    if (text) return qn_parse_int64(text, strlen(text), &parsed) ? parsed : otherwise;
    return qn_json_as_int(value, otherwise);
}

static float float_at(qn_json_value array, int64_t i, float otherwise)
{
    const double value = qn_json_as_double(qn_json_at(array, i), (double)otherwise);
    return value > (double)FLT_MAX || value < -(double)FLT_MAX ? otherwise : (float)value;
}

/* True for 1, true; booleans are written either way. */
static bool flag_at(qn_json_value array, int64_t i)
{
    const qn_json_value value = qn_json_at(array, i);
    return qn_json_as_int(value, 0) == 1 || qn_json_as_bool(value, false);
}

/* Trees. */

struct tree {
    int64_t n;
    qn_json_value left, right, features, conditions, default_left, hessian, gain, split_type;
    qn_json_value leaf_weights, base_weights;
    qn_json_value category_nodes, segments, sizes, categories;
    int64_t *set_of; /* per node: its place among category_nodes + 1 */
    int32_t *number; /* per node: 0 not reached, else its new number + 1, or ~leaf */
    int64_t *queue;
    qn_tree_node *nodes; /* in the order of the queue */
    double *values;      /* of one leaf */
};

static bool same_size(const struct tree *t, qn_json_value array)
{
    return qn_json_size(array) == t->n;
}

static qn_status open_tree(const struct reader *r, qn_json_value json, struct tree *t)
{
    *t = (struct tree){.left = qn_json_get(json, "left_children"),
                       .right = qn_json_get(json, "right_children"),
                       .features = qn_json_get(json, "split_indices"),
                       .conditions = qn_json_get(json, "split_conditions"),
                       .default_left = qn_json_get(json, "default_left"),
                       .hessian = qn_json_get(json, "sum_hessian"),
                       .gain = qn_json_get(json, "loss_changes"),
                       .split_type = qn_json_get(json, "split_type"),
                       .leaf_weights = qn_json_get(json, "leaf_weights"),
                       .base_weights = qn_json_get(json, "base_weights"),
                       .category_nodes = qn_json_get(json, "categories_nodes"),
                       .segments = qn_json_get(json, "categories_segments"),
                       .sizes = qn_json_get(json, "categories_sizes"),
                       .categories = qn_json_get(json, "categories")};
    t->n = qn_json_size(t->left);
    const int64_t width = whole(qn_json_get(json, "tree_param"), "size_leaf_vector", 1);
    if (t->n < 1 || t->n > INT32_MAX || !same_size(t, t->right) || !same_size(t, t->features) ||
        !same_size(t, t->conditions) || !same_size(t, t->default_left) ||
        (t->split_type && !same_size(t, t->split_type))) {
        return bad_tree(r, "its lists are not of one length");
    }
    if ((width > 1 ? width : 1) != (r->vector_leaves ? r->n_outputs : 1)) {
        return bad_tree(r, "its leaves are not as wide as the model's outputs");
    }
    if (!t->hessian || !same_size(t, t->hessian)) t->hessian = NULL;
    if (!t->gain || !same_size(t, t->gain)) t->gain = NULL;
    t->set_of = qn_alloc_array(t->n, sizeof *t->set_of);
    t->number = qn_alloc_array(t->n, sizeof *t->number);
    t->queue = qn_alloc_array(t->n, sizeof *t->queue);
    t->nodes = qn_alloc_array(t->n, sizeof *t->nodes);
    t->values = qn_alloc_array(r->n_outputs, sizeof *t->values);
    return t->set_of && t->number && t->queue && t->nodes && t->values ? QN_OK : no_memory(r);
}

static void close_tree(struct tree *t)
{
    qn_free(t->set_of);
    qn_free(t->number);
    qn_free(t->queue);
    qn_free(t->nodes);
    qn_free(t->values);
}

static qn_status index_sets(const struct reader *r, struct tree *t)
{
    const int64_t n = qn_json_size(t->category_nodes);
    if (qn_json_size(t->segments) != n || qn_json_size(t->sizes) != n) {
        return bad_tree(r, "its lists of categories are not of one length");
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t node = qn_json_as_int(qn_json_at(t->category_nodes, i), -1);
        if (node < 0 || node >= t->n) return bad_tree(r, "categories of a node that is not there");
        t->set_of[node] = i + 1;
    }
    return QN_OK;
}

/* Codes in the set go right there, so that the sides change places here. */
static qn_status read_set(struct reader *r, const struct tree *t, int64_t at, qn_tree_node *node)
{
    const int64_t i = t->set_of[at] - 1;
    const int64_t first = qn_json_as_int(qn_json_at(t->segments, i), -1);
    const int64_t n = qn_json_as_int(qn_json_at(t->sizes, i), -1);
    if (i < 0 || first < 0 || n < 0 || first > qn_json_size(t->categories) ||
        n > qn_json_size(t->categories) - first) {
        return bad_tree(r, "a node's categories are not there");
    }
    int64_t n_codes = 0;
    for (int64_t c = first; c < first + n; c++) {
        const int64_t code = qn_json_as_int(qn_json_at(t->categories, c), -1);
        if (code < 0 || code >= CATEGORIES_MAX) return bad_tree(r, "a category is out of range");
        if (code >= n_codes) n_codes = code + 1;
    }
    uint64_t *words = qn_alloc_array(n_codes / 64 + 1, sizeof *words);
    if (!words) return no_memory(r);
    for (int64_t c = first; c < first + n; c++) {
        const int64_t code = qn_json_as_int(qn_json_at(t->categories, c), 0);
        words[code / 64] |= (uint64_t)1 << (code & 63);
    }
    node->flags = QN_NODE_CATEGORY | QN_NODE_OTHER_RIGHT |
                  (flag_at(t->default_left, at) ? 0 : QN_NODE_DEFAULT_LEFT);
    node->threshold = (double)qn_tree_builder_add_codes(&r->builder, words, n_codes);
    qn_free(words);
    return QN_OK;
}

static qn_status read_leaf(struct reader *r, const struct tree *t, int64_t at, int32_t *out)
{
    const int32_t width = r->vector_leaves ? (int32_t)r->n_outputs : 1;
    const double weight = r->weight_drop ? (double)float_at(r->weight_drop, r->tree, NAN) : 1;
    for (int32_t c = 0; c < width; c++) {
        qn_json_value from = t->conditions;
        int64_t i = at;
        if (r->vector_leaves && t->leaf_weights) {
            from = t->leaf_weights;
            i = qn_json_as_int(qn_json_at(t->right, at), -1);
        } else if (r->vector_leaves) {
            from = t->base_weights;
        }
        if (i < 0 || i > INT32_MAX) return bad_tree(r, "a leaf's values are not there");
        t->values[c] = (double)float_at(from, i * width + c, NAN) * weight;
        if (isnan(t->values[c])) return bad_tree(r, "a leaf's value is not a number");
    }
    const int64_t leaf = qn_tree_builder_add_values(&r->builder, t->values, width);
    if (leaf >= INT32_MAX) return bad_tree(r, "too many leaves");
    *out = ~(int32_t)leaf;
    return QN_OK;
}

/* A cover or a gain; 0 where there is none. */
static float weight_at(qn_json_value list, int64_t node)
{
    return qn_tree_gain((double)float_at(list, node, 0));
}

/* Puts a child into the queue, or its leaf into the model. */
static qn_status reach(struct reader *r, struct tree *t, int64_t child, int64_t *n, int32_t *out)
{
    if (child < 0 || child >= t->n || t->number[child]) return bad_tree(r, "it is not a tree");
    if (qn_json_as_int(qn_json_at(t->left, child), -2) == -1) {
        QN_TRY(read_leaf(r, t, child, out));
        t->number[child] = *out;
        return QN_OK;
    }
    *out = (int32_t)*n;
    t->queue[(*n)++] = child;
    t->number[child] = (int32_t)*n;
    return QN_OK;
}

static qn_status read_node(struct reader *r, struct tree *t, int64_t place, int64_t *n)
{
    const int64_t at = t->queue[place];
    const int64_t left = qn_json_as_int(qn_json_at(t->left, at), -2);
    const int64_t right = qn_json_as_int(qn_json_at(t->right, at), -2);
    const int64_t feature = qn_json_as_int(qn_json_at(t->features, at), -1);
    const float condition = float_at(t->conditions, at, NAN);
    const bool is_category = qn_json_as_int(qn_json_at(t->split_type, at), 0) == 1;
    qn_tree_node *node = &t->nodes[place];
    if (feature < 0 || feature >= r->out->n_features) {
        return bad_tree(r, "a node splits on a feature that is not there");
    }
    if (isnan(condition) && !is_category) {
        return bad_tree(r, "a node's threshold is not a number");
    }
    node->feature = (int32_t)feature;
    QN_TRY(reach(r, t, left, n, is_category ? &node->right : &node->left));
    QN_TRY(reach(r, t, right, n, is_category ? &node->left : &node->right));
    node->left_cover = weight_at(t->hessian, is_category ? right : left);
    node->right_cover = weight_at(t->hessian, is_category ? left : right);
    node->gain = weight_at(t->gain, at);
    if (is_category) return read_set(r, t, at, node);
    node->flags = flag_at(t->default_left, at) ? QN_NODE_DEFAULT_LEFT : 0;
    node->threshold = qn_xgboost_threshold(condition);
    return QN_OK;
}

static qn_status convert_tree(struct reader *r, struct tree *t)
{
    int64_t n = 0;
    int32_t root;
    QN_TRY(index_sets(r, t));
    QN_TRY(reach(r, t, 0, &n, &root));
    if (root < 0) {
        qn_tree_builder_add_tree(&r->builder, root);
        return QN_OK;
    }
    for (int64_t place = 0; place < n; place++) {
        QN_TRY(read_node(r, t, place, &n));
    }
    const int64_t width = r->vector_leaves ? r->n_outputs : 1;
    if (!qn_tree_builder_add_whole(&r->builder, t->nodes, n, r->builder.n_values / width)) {
        return bad_tree(r, "it is not a tree");
    }
    return QN_OK;
}

static qn_status add_tree(struct reader *r, int64_t tree)
{
    struct tree t;
    r->tree = tree;
    qn_status status = open_tree(r, qn_json_at(r->trees, tree), &t);
    if (status == QN_OK) status = convert_tree(r, &t);
    close_tree(&t);
    return status == QN_OK && r->builder.failed ? no_memory(r) : status;
}

/* Trees stand by round and output; with several a round and output, by output first. The model
 * wants tree t to be of output t % n_outputs, which keeps the order within each output. */
static qn_status add_trees(struct reader *r)
{
    const int64_t n = qn_json_size(r->trees), k = r->vector_leaves ? 1 : r->n_outputs;
    if (qn_json_size(r->info) != n || n % k != 0 || n > INT32_MAX) {
        return damaged(r, "'tree_info' does not fit the trees");
    }
    int64_t *order = qn_alloc_array(n, sizeof *order), *counts = qn_alloc_array(k, sizeof *counts);
    qn_status status = order && counts ? QN_OK : no_memory(r);
    for (int64_t t = 0; t < n && status == QN_OK; t++) {
        const int64_t c = r->vector_leaves ? 0 : qn_json_as_int(qn_json_at(r->info, t), -1);
        if (c < 0 || c >= k || counts[c] >= n / k) {
            status = damaged(r, "'tree_info' does not fit the trees");
        } else {
            order[counts[c]++ * k + c] = t;
        }
    }
    for (int64_t i = 0; i < n && status == QN_OK; i++) {
        status = add_tree(r, order[i]);
    }
    qn_free(order);
    qn_free(counts);
    return status;
}

/* The learner. */

static qn_status read_names(struct reader *r, int64_t n)
{
    const qn_json_value names = qn_json_get(r->learner, "feature_names");
    const int64_t n_names = qn_json_size(names);
    if (n < 1 || n > FEATURES_MAX || (n_names != 0 && n_names != n)) {
        return damaged(r, "'num_feature' does not fit 'feature_names'");
    }
    r->out->features = qn_alloc_array(n, sizeof *r->out->features);
    if (!r->out->features) return no_memory(r);
    r->out->n_features = n;
    for (int64_t i = 0; i < n; i++) {
        qn_str name = {0};
        if (n_names > 0) {
            qn_str_add(&name, qn_json_as_text(qn_json_at(names, i), ""));
        } else {
            qn_str_addf(&name, "f%lld", (long long)i);
        }
        r->out->features[i] = qn_str_take_text(&name);
        if (!r->out->features[i]) return no_memory(r);
    }
    return QN_OK;
}

static qn_status read_objective(struct reader *r)
{
    static const struct {
        const char *name;
        qn_link link, base;
        qn_task task;
    } known[] = {{"reg:squarederror", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"reg:linear", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"reg:squaredlogerror", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"reg:pseudohubererror", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"reg:absoluteerror", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"reg:quantileerror", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"reg:expectileerror", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"reg:logistic", QN_LINK_LOGISTIC, QN_LINK_LOGISTIC, QN_TASK_REGRESSION},
                 {"reg:gamma", QN_LINK_EXP, QN_LINK_EXP, QN_TASK_REGRESSION},
                 {"reg:tweedie", QN_LINK_EXP, QN_LINK_EXP, QN_TASK_REGRESSION},
                 {"count:poisson", QN_LINK_EXP, QN_LINK_EXP, QN_TASK_REGRESSION},
                 {"survival:cox", QN_LINK_EXP, QN_LINK_EXP, QN_TASK_REGRESSION},
                 {"survival:aft", QN_LINK_EXP, QN_LINK_EXP, QN_TASK_REGRESSION},
                 {"binary:logistic", QN_LINK_LOGISTIC, QN_LINK_LOGISTIC, QN_TASK_BINARY},
                 {"binary:logitraw", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"binary:hinge", QN_LINK_STEP, QN_LINK_IDENTITY, QN_TASK_BINARY},
                 {"multi:softprob", QN_LINK_SOFTMAX, QN_LINK_IDENTITY, QN_TASK_MULTICLASS},
                 {"multi:softmax", QN_LINK_SOFTMAX, QN_LINK_IDENTITY, QN_TASK_MULTICLASS},
                 {"rank:ndcg", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_RANKING},
                 {"rank:map", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_RANKING},
                 {"rank:pairwise", QN_LINK_IDENTITY, QN_LINK_IDENTITY, QN_TASK_RANKING}};
    const char *name =
        qn_json_as_text(qn_json_get(qn_json_get(r->learner, "objective"), "name"), "");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) != 0) continue;
        r->link = known[i].link;
        r->base = known[i].base;
        r->out->task = known[i].task;
        r->out->objective = qn_strdup(name);
        return r->out->objective ? QN_OK : no_memory(r);
    }
    return qn_fail(r->err, QN_ERR_UNSUPPORTED, "%s: objective '%.60s' is not known", r->name, name);
}

static qn_status read_outputs(struct reader *r, qn_json_value param)
{
    const int64_t n_classes = whole(param, "num_class", 0),
                  n_targets = whole(param, "num_target", 1);
    r->n_outputs = n_classes > 0 ? n_classes : n_targets > 0 ? n_targets : 1;
    if (r->n_outputs > QN_CLASSES_MAX || (n_classes > 0 && n_targets > 1)) {
        return qn_fail(r->err, QN_ERR_UNSUPPORTED, "%s: more than %d outputs", r->name,
                       QN_CLASSES_MAX);
    }
    r->out->n_classes = r->out->task == QN_TASK_BINARY       ? 2
                        : r->out->task == QN_TASK_MULTICLASS ? (int32_t)r->n_outputs
                                                             : 0;
    if (r->out->task == QN_TASK_MULTICLASS && n_classes < 2) {
        return damaged(r, "the objective and 'num_class' contradict each other");
    }
    if (r->out->task == QN_TASK_BINARY && r->n_outputs > 1) {
        return qn_fail(r->err, QN_ERR_UNSUPPORTED, "%s: several binary targets in one model",
                       r->name);
    }
    return QN_OK;
}

static double margin_of(qn_link base, double score)
{
    if (base == QN_LINK_LOGISTIC) return log(score / (1 - score));
    return base == QN_LINK_EXP ? log(score) : score;
}

/* base_score: a number, or text of one, or text of a list with one per output. */
static qn_status read_base(struct reader *r, qn_json_value param, double *init)
{
    const qn_json_value value = qn_json_get(param, "base_score");
    const char *text = qn_json_as_text(value, NULL);
    int64_t n = 0;
    if (!text) {
        init[n++] = qn_json_as_double(value, 0.5);
    } else {
        const char *at = text + (*text == '[');
        while (n < r->n_outputs) {
            const size_t bytes = strcspn(at, ",]");
            if (!qn_parse_double(at, bytes, &init[n++]))
                return damaged(r, "'base_score' is no number");
            at += bytes;
            if (*at != ',') break;
            at++;
        }
    }
    if (n != 1 && n != r->n_outputs) return damaged(r, "'base_score' does not fit the outputs");
    for (int64_t c = 0; c < r->n_outputs; c++) {
        init[c] = c < n ? margin_of(r->base, init[c]) : init[0];
        if (!isfinite(init[c])) return damaged(r, "'base_score' is out of range");
    }
    return QN_OK;
}

static qn_status read_booster(struct reader *r)
{
    qn_json_value booster = qn_json_get(r->learner, "gradient_booster");
    const char *name = qn_json_as_text(qn_json_get(booster, "name"), "");
    if (strcmp(name, "gblinear") == 0) {
        return qn_fail(r->err, QN_ERR_UNSUPPORTED,
                       "%s: booster 'gblinear' is a linear model, not trees", r->name);
    }
    if (strcmp(name, "dart") == 0) {
        r->weight_drop = qn_json_get(booster, "weight_drop");
        booster = qn_json_get(booster, "gbtree");
        if (!r->weight_drop) return damaged(r, "'weight_drop' is missing");
    } else if (strcmp(name, "gbtree") != 0) {
        return qn_fail(r->err, QN_ERR_DATA, "%s: booster '%.60s' is not known", r->name, name);
    }
    const qn_json_value model = qn_json_get(booster, "model");
    r->trees = qn_json_get(model, "trees");
    r->info = qn_json_get(model, "tree_info");
    if (!qn_json_is_array(r->trees)) return damaged(r, "'trees' is missing");
    if (r->weight_drop && qn_json_size(r->weight_drop) != qn_json_size(r->trees)) {
        return damaged(r, "'weight_drop' does not fit the trees");
    }
    const qn_json_value first = qn_json_get(qn_json_at(r->trees, 0), "tree_param");
    r->vector_leaves = whole(first, "size_leaf_vector", 1) > 1;
    return QN_OK;
}

static qn_status read_learner(struct reader *r, qn_json_value root)
{
    double init[QN_CLASSES_MAX] = {0};
    r->learner = qn_json_get(root, "learner");
    if (!qn_json_is_object(r->learner)) return damaged(r, "no XGBoost model: 'learner' is missing");
    const qn_json_value param = qn_json_get(r->learner, "learner_model_param");
    QN_TRY(read_booster(r));
    QN_TRY(read_objective(r));
    QN_TRY(read_outputs(r, param));
    QN_TRY(read_names(r, whole(param, "num_feature", 0)));
    QN_TRY(read_base(r, param, init));
    QN_TRY(add_trees(r));
    r->out->format = "XGBoost";
    return qn_tree_builder_finish(&r->builder, r->builder.n_trees, r->link, r->vector_leaves, init,
                                  (int32_t)r->n_outputs, &r->out->estimator, r->err);
}

/* UBJSON shows by the marker after the opening brace: there JSON has a quote or space. */
static bool is_ubjson(const char *text, size_t bytes)
{
    return bytes > 1 && text[0] == '{' && strchr("iUIlL#$", text[1]);
}

qn_status qn_import_xgboost(const char *text, size_t bytes, const char *name, qn_imported *out,
                            qn_error *err)
{
    *out = (qn_imported){0};
    struct reader r = {.name = name, .err = err, .out = out};
    qn_str converted = {0};
    qn_json *json = NULL;
    qn_status status = QN_OK;
    if (is_ubjson(text, bytes)) {
        status = qn_ubjson_to_json((const uint8_t *)text, bytes, name, &converted, err);
        text = converted.text;
        bytes = converted.bytes;
    }
    if (status == QN_OK) status = qn_json_parse(text, bytes, name, &json, err);
    qn_str_release(&converted);
    if (status == QN_OK) status = read_learner(&r, qn_json_root(json));
    qn_tree_builder_release(&r.builder);
    qn_json_free(json);
    if (status != QN_OK) qn_imported_release(out);
    return status;
}
