/* SPDX-License-Identifier: Apache-2.0 */
/* LightGBM's text format, versions 3 and 4: lines of key=value, first of the model, then of each
 * tree after "Tree=", up to "end of trees". Lists are separated by spaces.
 *
 * A node sends NaN like 0 (missing type None), like the default direction (NaN), or numbers near
 * zero too (Zero). The first is a default direction known beforehand: that of 0. */
#include "model/import_model.h"

#include "base/alloc.h"
#include "base/number.h"
#include "model/tree_model.h"

#include <math.h>
#include <string.h>

struct view {
    const char *text;
    size_t bytes;
};

enum key {
    NUM_LEAVES,
    NUM_CAT,
    SPLIT_FEATURE,
    THRESHOLD,
    DECISION_TYPE,
    LEFT_CHILD,
    RIGHT_CHILD,
    LEAF_VALUE,
    LEAF_COUNT,
    INTERNAL_COUNT,
    SPLIT_GAIN,
    CAT_BOUNDARIES,
    CAT_THRESHOLD,
    IS_LINEAR,
    LEAF_CONST,
    NUM_FEATURES,
    LEAF_FEATURES,
    LEAF_COEFF,
    N_KEYS
};
static const char *const keys[N_KEYS] = {
    "num_leaves",   "num_cat",        "split_feature", "threshold",  "decision_type",
    "left_child",   "right_child",    "leaf_value",    "leaf_count", "internal_count",
    "split_gain",   "cat_boundaries", "cat_threshold", "is_linear",  "leaf_const",
    "num_features", "leaf_features",  "leaf_coeff"};

enum { MISSING_NONE = 0, MISSING_ZERO = 1, IS_CATEGORY = 1, IS_DEFAULT_LEFT = 2, WORD_BITS = 32 };

struct reader {
    const char *name, *at, *end;
    int64_t line;
    qn_error *err;
    qn_imported *out;
    qn_tree_builder builder;
    int64_t n_trees, n_outputs;
    bool linear; /* some tree has linear leaves: then every leaf gets a line */
    bool averaged;
    struct view objective;
    struct view tree[N_KEYS];
    int64_t tree_line;
};

/* Text. */

static bool next_line(struct reader *r, struct view *line)
{
    if (r->at >= r->end) return false;
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    if (!end) end = r->end;
    *line = (struct view){r->at, (size_t)(end - r->at)};
    if (line->bytes > 0 && line->text[line->bytes - 1] == '\r') line->bytes--;
    r->at = end + (end < r->end);
    r->line++;
    return true;
}

static bool is(struct view view, const char *text)
{
    return view.bytes == strlen(text) && memcmp(view.text, text, view.bytes) == 0;
}

/* Splits "key=value"; false when there is no '='. */
static bool split(struct view line, struct view *key, struct view *value)
{
    const char *sign = memchr(line.text, '=', line.bytes);
    if (!sign) return false;
    *key = (struct view){line.text, (size_t)(sign - line.text)};
    *value = (struct view){sign + 1, line.bytes - key->bytes - 1};
    return true;
}

static bool next_token(struct view *rest, struct view *token)
{
    while (rest->bytes > 0 && rest->text[0] == ' ') {
        rest->text++;
        rest->bytes--;
    }
    const char *end = rest->bytes > 0 ? memchr(rest->text, ' ', rest->bytes) : NULL;
    *token = (struct view){rest->text, end ? (size_t)(end - rest->text) : rest->bytes};
    rest->text += token->bytes;
    rest->bytes -= token->bytes;
    return token->bytes > 0;
}

static bool number_of(struct view token, double *out)
{
    if (is(token, "inf") || is(token, "-inf")) {
        *out = token.text[0] == '-' ? -QN_INF : QN_INF;
        return true;
    }
    return qn_parse_double(token.text, token.bytes, out);
}

static bool integer_of(struct view value, int64_t low, int64_t high, int64_t *out)
{
    return qn_parse_int64(value.text, value.bytes, out) && *out >= low && *out <= high;
}

static qn_status no_memory(const struct reader *r)
{
    return qn_fail(r->err, QN_ERR_NOMEM, "%s: no memory for the model", r->name);
}

static qn_status bad_tree(const struct reader *r, const char *what)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s:%lld: tree %lld: %s", r->name, (long long)r->tree_line,
                   (long long)r->n_trees, what);
}

static qn_status bad_list(const struct reader *r, enum key key, int64_t n)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s:%lld: tree %lld: '%s' is not a list of %lld numbers",
                   r->name, (long long)r->tree_line, (long long)r->n_trees, keys[key],
                   (long long)n);
}

/* A list of exactly n numbers, newly allocated; whole ones if asked for. Each takes two bytes of
 * text at least, so that a length that is a lie cannot cost memory. */
static qn_status list(const struct reader *r, enum key key, int64_t n, bool whole, double **out)
{
    struct view rest = r->tree[key], token;
    if ((uint64_t)n > rest.bytes / 2 + 1) return bad_list(r, key, n);
    double *values = qn_alloc_array(n, sizeof *values);
    if (!values) return no_memory(r);
    *out = values;
    for (int64_t i = 0; i < n; i++) {
        if (!next_token(&rest, &token) || !number_of(token, &values[i]) ||
            (whole && values[i] != trunc(values[i]))) {
            return bad_list(r, key, n);
        }
    }
    return next_token(&rest, &token) ? bad_list(r, key, n) : QN_OK;
}

/* Trees. */

struct lists {
    double *feature, *threshold, *decision, *left, *right, *value, *leaf_count, *node_count, *gain;
    double *boundaries, *words, *constants, *n_terms, *term_features, *coefficients;
};

static void lists_release(struct lists *l)
{
    double *const all[] = {l->gain,       l->feature,       l->threshold,   l->decision,
                           l->left,       l->right,         l->value,       l->leaf_count,
                           l->node_count, l->boundaries,    l->words,       l->constants,
                           l->n_terms,    l->term_features, l->coefficients};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        qn_free(all[i]);
    }
}

static qn_status read_lists(const struct reader *r, int64_t n_leaves, struct lists *l)
{
    const int64_t n = n_leaves - 1;
    QN_TRY(list(r, LEAF_VALUE, n_leaves, false, &l->value));
    if (n == 0) return QN_OK;
    QN_TRY(list(r, SPLIT_FEATURE, n, true, &l->feature));
    QN_TRY(list(r, THRESHOLD, n, false, &l->threshold));
    QN_TRY(list(r, DECISION_TYPE, n, true, &l->decision));
    QN_TRY(list(r, LEFT_CHILD, n, true, &l->left));
    QN_TRY(list(r, RIGHT_CHILD, n, true, &l->right));
    if (r->tree[LEAF_COUNT].text && r->tree[INTERNAL_COUNT].text) {
        QN_TRY(list(r, LEAF_COUNT, n_leaves, false, &l->leaf_count));
        QN_TRY(list(r, INTERNAL_COUNT, n, false, &l->node_count));
    }
    if (r->tree[SPLIT_GAIN].text) QN_TRY(list(r, SPLIT_GAIN, n, false, &l->gain));
    return QN_OK;
}

static qn_status read_category_lists(const struct reader *r, int64_t n_sets, struct lists *l)
{
    if (n_sets == 0) return QN_OK;
    QN_TRY(list(r, CAT_BOUNDARIES, n_sets + 1, true, &l->boundaries));
    for (int64_t i = 0; i <= n_sets; i++) {
        if (l->boundaries[i] < (i ? l->boundaries[i - 1] : 0) || l->boundaries[i] > INT32_MAX) {
            return bad_tree(r, "'cat_boundaries' does not increase");
        }
    }
    return list(r, CAT_THRESHOLD, (int64_t)l->boundaries[n_sets], true, &l->words);
}

static qn_status add_category(struct reader *r, const struct lists *l, int64_t n_sets,
                              qn_tree_node *node)
{
    if (!(node->threshold >= 0 && node->threshold < (double)n_sets)) {
        return bad_tree(r, "a node names a set of categories that is not there");
    }
    const int64_t set = (int64_t)node->threshold;
    const int64_t first = (int64_t)l->boundaries[set], end = (int64_t)l->boundaries[set + 1];
    uint64_t *words = qn_alloc_array((end - first + 1) / 2, sizeof *words);
    if (!words) return no_memory(r);
    int64_t n_codes = 0;
    bool good = true;
    for (int64_t i = first; i < end && good; i++) {
        good = l->words[i] >= 0 && l->words[i] <= UINT32_MAX;
        const uint64_t word = good ? (uint64_t)l->words[i] : 0;
        words[(i - first) / 2] |= word << ((i - first) % 2 * WORD_BITS);
        if (word) n_codes = (i - first) * WORD_BITS + 64 - __builtin_clzll(word);
    }
    node->flags = QN_NODE_CATEGORY;
    node->threshold = (double)qn_tree_builder_add_codes(&r->builder, words, n_codes);
    qn_free(words);
    return good ? QN_OK : bad_tree(r, "'cat_threshold' is not a list of sets");
}

static void set_missing(qn_tree_node *node, int64_t decision)
{
    const int missing = (int)(decision >> 2 & 3);
    bool left = decision & IS_DEFAULT_LEFT;
    if (missing == MISSING_NONE) left = 0 <= node->threshold;
    node->flags = left ? QN_NODE_DEFAULT_LEFT : 0;
    /* The numbers near zero go that way by comparison anyhow, unless the threshold says else. */
    const bool same = left ? node->threshold >= QN_ZERO : node->threshold < -QN_ZERO;
    if (missing == MISSING_ZERO && !same) node->flags |= QN_NODE_ZERO_MISSING;
}

static float cover_of(const struct lists *l, double child, int64_t n_leaves)
{
    if (!l->leaf_count) return 0;
    const double count =
        child >= 0 && child < (double)(n_leaves - 1) ? l->node_count[(int64_t)child]
        : child < 0 && -child <= (double)n_leaves    ? l->leaf_count[(int64_t)(-child - 1)]
                                                     : 0;
    return count >= 0 && count <= (double)INT64_MAX ? (float)count : 0;
}

static qn_status make_nodes(struct reader *r, const struct lists *l, int64_t n_leaves,
                            int64_t n_sets, int64_t first_leaf, qn_tree_node *nodes)
{
    for (int64_t i = 0; i < n_leaves - 1; i++) {
        qn_tree_node *node = &nodes[i];
        if (!(l->feature[i] >= 0 && l->feature[i] < (double)r->out->n_features)) {
            return bad_tree(r, "a node splits on a feature that is not there");
        }
        if (fabs(l->left[i]) > (double)n_leaves || fabs(l->right[i]) > (double)n_leaves ||
            -l->left[i] > (double)n_leaves || !(l->decision[i] >= 0 && l->decision[i] < 16)) {
            return bad_tree(r, "a node is damaged");
        }
        const int64_t left = (int64_t)l->left[i], right = (int64_t)l->right[i];
        *node = (qn_tree_node){.threshold = l->threshold[i],
                               .feature = (int32_t)l->feature[i],
                               .left = (int32_t)(left >= 0 ? left : left - first_leaf),
                               .right = (int32_t)(right >= 0 ? right : right - first_leaf),
                               .left_cover = cover_of(l, l->left[i], n_leaves),
                               .right_cover = cover_of(l, l->right[i], n_leaves),
                               .gain = l->gain ? qn_tree_gain(l->gain[i]) : 0};
        if ((int64_t)l->decision[i] & IS_CATEGORY) {
            QN_TRY(add_category(r, l, n_sets, node));
        } else {
            set_missing(node, (int64_t)l->decision[i]);
        }
    }
    return QN_OK;
}

static qn_status add_lines(struct reader *r, struct lists *l, int64_t n_leaves)
{
    if (!r->linear) return QN_OK;
    if (!is(r->tree[IS_LINEAR], "1")) {
        for (int64_t i = 0; i < n_leaves; i++) {
            qn_tree_builder_add_line(&r->builder, l->value[i], NULL, NULL, 0);
        }
        return QN_OK;
    }
    QN_TRY(list(r, LEAF_CONST, n_leaves, false, &l->constants));
    QN_TRY(list(r, NUM_FEATURES, n_leaves, true, &l->n_terms));
    int64_t n = 0;
    for (int64_t i = 0; i < n_leaves; i++) {
        if (l->n_terms[i] < 0 || l->n_terms[i] > (double)r->out->n_features) {
            return bad_tree(r, "'num_features' is out of range");
        }
        n += (int64_t)l->n_terms[i];
    }
    QN_TRY(list(r, LEAF_FEATURES, n, true, &l->term_features));
    QN_TRY(list(r, LEAF_COEFF, n, false, &l->coefficients));
    int32_t *features = qn_alloc_array(n, sizeof *features);
    if (!features) return no_memory(r);
    bool good = true;
    for (int64_t i = 0; i < n && good; i++) {
        good = l->term_features[i] >= 0 && l->term_features[i] < (double)r->out->n_features;
        if (good) features[i] = (int32_t)l->term_features[i];
    }
    for (int64_t i = 0, at = 0; i < n_leaves && good; at += (int64_t)l->n_terms[i++]) {
        qn_tree_builder_add_line(&r->builder, l->constants[i], features + at, l->coefficients + at,
                                 (int64_t)l->n_terms[i]);
    }
    qn_free(features);
    return good ? QN_OK : bad_tree(r, "a linear leaf uses a feature that is not there");
}

static qn_status convert_tree(struct reader *r, int64_t n_leaves, int64_t n_sets, struct lists *l)
{
    QN_TRY(read_lists(r, n_leaves, l));
    QN_TRY(read_category_lists(r, n_sets, l));
    QN_TRY(add_lines(r, l, n_leaves));
    const int64_t first_leaf = r->builder.n_values;
    if (first_leaf + n_leaves > INT32_MAX) return bad_tree(r, "too many leaves");
    for (int64_t i = 0; i < n_leaves; i++) {
        qn_tree_builder_add_values(&r->builder, &l->value[i], 1);
    }
    if (n_leaves == 1) {
        qn_tree_builder_add_tree(&r->builder, ~(int32_t)first_leaf);
        return QN_OK;
    }
    qn_tree_node *nodes = qn_alloc_array(n_leaves - 1, sizeof *nodes);
    if (!nodes) return no_memory(r);
    qn_status status = make_nodes(r, l, n_leaves, n_sets, first_leaf, nodes);
    if (status == QN_OK &&
        !qn_tree_builder_add_whole(&r->builder, nodes, n_leaves - 1, r->builder.n_values)) {
        status = bad_tree(r, "its nodes are not a tree");
    }
    qn_free(nodes);
    return status;
}

static qn_status end_tree(struct reader *r)
{
    int64_t n_leaves, n_sets = 0;
    if (!integer_of(r->tree[NUM_LEAVES], 1, INT32_MAX, &n_leaves)) {
        return bad_tree(r, "'num_leaves' is not a number of leaves");
    }
    if (r->tree[NUM_CAT].text && !integer_of(r->tree[NUM_CAT], 0, INT32_MAX - 1, &n_sets)) {
        return bad_tree(r, "'num_cat' is not a number of sets");
    }
    struct lists l = {0};
    const qn_status status = convert_tree(r, n_leaves, n_sets, &l);
    lists_release(&l);
    if (status == QN_OK && r->builder.failed) return no_memory(r);
    r->n_trees++;
    return status;
}

/* The model's own lines. */

static qn_status bad_head(const struct reader *r, const char *what)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s:%lld: %s", r->name, (long long)r->line, what);
}

static qn_status read_names(struct reader *r, struct view names)
{
    struct view token;
    qn_imported *out = r->out;
    out->features = qn_alloc_array(out->n_features, sizeof *out->features);
    if (!out->features) return no_memory(r);
    for (int64_t i = 0; i < out->n_features; i++) {
        if (!next_token(&names, &token)) return bad_head(r, "feature_names has too few names");
        out->features[i] = qn_strndup(token.text, token.bytes);
        if (!out->features[i]) return no_memory(r);
    }
    return next_token(&names, &token) ? bad_head(r, "feature_names has too many names") : QN_OK;
}

static qn_status read_head(struct reader *r, struct view key, struct view value,
                           int64_t *n_expected)
{
    if (is(key, "num_tree_per_iteration")) {
        if (!integer_of(value, 1, QN_CLASSES_MAX, &r->n_outputs)) {
            return bad_head(r, "num_tree_per_iteration is not between 1 and 1000");
        }
    } else if (is(key, "max_feature_idx")) {
        int64_t most;
        if (r->out->features || !integer_of(value, 0, (r->end - r->at), &most)) {
            return bad_head(r, "max_feature_idx is not a number of features");
        }
        r->out->n_features = most + 1;
    } else if (is(key, "objective")) {
        r->objective = value;
    } else if (is(key, "feature_names")) {
        if (r->out->n_features == 0 || r->out->features) {
            return bad_head(r, "feature_names without max_feature_idx");
        }
        return read_names(r, value);
    } else if (is(key, "tree_sizes")) {
        struct view token;
        for (*n_expected = 0; next_token(&value, &token);) {
            ++*n_expected;
        }
    }
    return QN_OK;
}

/* The link, and what the objective means; false for one that is not known. */
static bool objective_means(struct reader *r, struct view name, bool square, qn_link *link)
{
    static const struct {
        const char *name;
        qn_link link;
        qn_task task;
    } known[] = {{"regression", QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"regression_l1", QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"huber", QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"fair", QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"quantile", QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"mape", QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"poisson", QN_LINK_EXP, QN_TASK_REGRESSION},
                 {"gamma", QN_LINK_EXP, QN_TASK_REGRESSION},
                 {"tweedie", QN_LINK_EXP, QN_TASK_REGRESSION},
                 {"binary", QN_LINK_LOGISTIC, QN_TASK_BINARY},
                 {"multiclass", QN_LINK_SOFTMAX, QN_TASK_MULTICLASS},
                 {"multiclassova", QN_LINK_ONE_VS_REST, QN_TASK_MULTICLASS},
                 {"cross_entropy", QN_LINK_LOGISTIC, QN_TASK_REGRESSION},
                 {"cross_entropy_lambda", QN_LINK_LOG1P_EXP, QN_TASK_REGRESSION},
                 {"lambdarank", QN_LINK_IDENTITY, QN_TASK_RANKING},
                 {"rank_xendcg", QN_LINK_IDENTITY, QN_TASK_RANKING},
                 {"custom", QN_LINK_IDENTITY, QN_TASK_REGRESSION},
                 {"none", QN_LINK_IDENTITY, QN_TASK_REGRESSION}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!is(name, known[i].name)) continue;
        *link = square && known[i].link == QN_LINK_IDENTITY ? QN_LINK_SIGNED_SQUARE : known[i].link;
        r->out->task = known[i].task;
        return true;
    }
    return false;
}

static qn_status read_objective(struct reader *r, qn_link *link)
{
    struct view rest = r->objective, name, token;
    if (!next_token(&rest, &name)) name = (struct view){"none", 4};
    bool square = false;
    while (next_token(&rest, &token)) {
        square |= is(token, "sqrt");
        if (token.bytes > 8 && memcmp(token.text, "sigmoid:", 8) == 0) {
            const struct view value = {token.text + 8, token.bytes - 8};
            if (!number_of(value, &r->builder.scale) || !isfinite(r->builder.scale) ||
                r->builder.scale == 0) {
                return bad_head(r, "the objective's sigmoid is not a number");
            }
        }
    }
    if (!objective_means(r, name, square, link)) {
        return qn_fail(r->err, QN_ERR_UNSUPPORTED, "%s: objective '%.*s' is not known", r->name,
                       (int)(name.bytes < 60 ? name.bytes : 60), name.text);
    }
    r->out->n_classes = r->out->task == QN_TASK_BINARY       ? 2
                        : r->out->task == QN_TASK_MULTICLASS ? (int32_t)r->n_outputs
                                                             : 0;
    const bool one = r->out->task == QN_TASK_BINARY || r->out->task == QN_TASK_RANKING;
    if ((one && r->n_outputs != 1) || (r->out->task == QN_TASK_MULTICLASS && r->n_outputs < 2)) {
        return bad_head(r, "the objective and num_tree_per_iteration contradict each other");
    }
    r->out->objective = qn_strndup(name.text, name.bytes);
    return r->out->objective ? QN_OK : no_memory(r);
}

static qn_status finish(struct reader *r, bool ended, int64_t n_expected)
{
    qn_link link = QN_LINK_IDENTITY;
    const double init[QN_CLASSES_MAX] = {0};
    if (!ended || (n_expected >= 0 && n_expected != r->n_trees)) {
        return qn_fail(r->err, QN_ERR_DATA, "%s: the file is cut: %lld of %lld trees are there",
                       r->name, (long long)r->n_trees, (long long)n_expected);
    }
    if (r->n_trees % r->n_outputs != 0 || !r->out->features) {
        return qn_fail(r->err, QN_ERR_DATA, "%s: the lines about the model are damaged", r->name);
    }
    QN_TRY(read_objective(r, &link));
    r->builder.averaged = r->averaged;
    r->out->format = "LightGBM";
    return qn_tree_builder_finish(&r->builder, (int32_t)r->n_trees, link, false, init,
                                  (int32_t)r->n_outputs, &r->out->estimator, r->err);
}

static qn_status read_all(struct reader *r)
{
    struct view line, key, value;
    bool in_tree = false, ended = false;
    int64_t n_expected = -1;
    while (!ended && next_line(r, &line)) {
        const bool pair = split(line, &key, &value);
        ended = is(line, "end of trees");
        const bool begins = pair && is(key, "Tree");
        if ((begins || ended) && in_tree) QN_TRY(end_tree(r));
        if (begins) {
            if (!r->out->features) return bad_head(r, "a tree before feature_names");
            in_tree = true;
            memset(r->tree, 0, sizeof r->tree);
            r->tree_line = r->line;
        } else if (in_tree && pair) {
            for (int k = 0; k < N_KEYS; k++) {
                if (is(key, keys[k])) r->tree[k] = value;
            }
        } else if (pair) {
            QN_TRY(read_head(r, key, value, &n_expected));
        } else if (is(line, "average_output")) {
            r->averaged = true;
        }
    }
    return finish(r, ended, n_expected);
}

qn_status qn_import_lightgbm(const char *text, size_t bytes, const char *name, qn_imported *out,
                             qn_error *err)
{
    static const char linear[] = "is_linear=1";
    *out = (qn_imported){0};
    struct reader r = {
        .name = name, .at = text, .end = text + bytes, .err = err, .out = out, .n_outputs = 1};
    r.linear = memmem(text, bytes, linear, sizeof linear - 1) != NULL;
    const qn_status status = read_all(&r);
    qn_tree_builder_release(&r.builder);
    if (status != QN_OK) qn_imported_release(out);
    return status;
}
