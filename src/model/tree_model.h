/* SPDX-License-Identifier: Apache-2.0 */
/* Trees: the family of boosted trees and forests. A model is a list of trees over the tree view;
 * each adds the values of one leaf to the row's sums, which a link turns into predictions. It can
 * say exactly what XGBoost's and LightGBM's trees say (import_xgboost.c, import_lightgbm.c).
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_TREE_MODEL_H
#define QN_MODEL_TREE_MODEL_H

#include "model/estimator.h"

enum {
    QN_NODE_DEFAULT_LEFT = 1, /* where a missing value goes */
    QN_NODE_CATEGORY = 2,     /* left when the code is in set number (int64_t)threshold */
    QN_NODE_CODE = 4,        /* a code split by order: codes of QN_CODES_MAX and more are missing */
    QN_NODE_OTHER_RIGHT = 8, /* with CATEGORY: a code the set has no bit for is not missing */
    QN_NODE_ZERO_MISSING = 16 /* numbers within QN_ZERO of zero are missing too */
};
enum { QN_CODES_MAX = 254, QN_SET_WORDS = 4, QN_NODE_FLAGS = 31 };
#define QN_ZERO ((double)1e-35F)

/* Children: a node's index, or ~leaf. */
typedef struct qn_tree_node {
    double threshold; /* value <= threshold goes left */
    int32_t feature;
    int32_t flags;
    int32_t left, right;
    float left_cover, right_cover; /* weight of the training rows that went there; 0: not known */
    float gain;                    /* by which the split lowered the training loss; 0: not known */
    int32_t reserved;              /* 0 */
} qn_tree_node;

/* A set of codes 0 … n_codes-1: code c is bit c % 64 of words[first_word + c / 64]. */
typedef struct qn_code_set {
    int64_t first_word, n_codes;
} qn_code_set;

typedef enum qn_link { /* applied to the sums times `scale`; stored in bundles: only append */
                       QN_LINK_IDENTITY,      /* regression */
                       QN_LINK_LOGISTIC,      /* binary boosting: sum is a log-odds */
                       QN_LINK_SOFTMAX,       /* multiclass boosting */
                       QN_LINK_MEAN,          /* forests: sums are divided by the number of trees */
                       QN_LINK_EXP,           /* Poisson, gamma, Tweedie */
                       QN_LINK_ONE_VS_REST,   /* a logistic for each class, not made to sum to 1 */
                       QN_LINK_SIGNED_SQUARE, /* trained on the signed square root */
                       QN_LINK_LOG1P_EXP,     /* intensity of a cross-entropy */
                       QN_LINK_STEP,          /* 1 where the sum is above 0 */
                       QN_LINK_SHARES,        /* a logistic for each class, divided by their sum */
                       QN_N_LINKS
} qn_link;

typedef struct qn_tree_model {
    qn_estimator head;
    qn_link link;
    bool vector_leaves; /* a leaf has n_outputs values; else tree t is for output t % n_outputs */
    bool averaged;      /* sums are divided by the number of trees of an output, before the link */
    double scale;       /* of the sums, before the link: LightGBM's sigmoid */
    int32_t n_trees;
    int64_t n_features;          /* at least 1 + the largest feature of a node */
    double init[QN_CLASSES_MAX]; /* first n_outputs: where the sums begin */
    /* Owned, or borrowed from a mapped bundle when `borrowed`. */
    bool borrowed;
    int64_t n_nodes, n_values, n_sets, n_words, n_terms;
    const int32_t *roots;      /* per tree: a node, or ~leaf for a tree of one leaf */
    const qn_tree_node *nodes; /* of all trees; children are indices into it */
    const double *values;      /* leaf i has values[i], or values[i * n_outputs …] */
    const qn_code_set *sets;
    const uint64_t *words; /* of the sets */
    /* Linear leaves: leaf i adds constants[i] + sum of coefficients × features over terms
     * line_starts[i] … line_starts[i+1]; values[i] where one of them is missing. NULL: none. */
    const int64_t *line_starts;
    const double *constants;
    const int32_t *term_features;
    const double *coefficients;
    struct qn_tree_forms *forms; /* owned: those for fast prediction (tree_forms.h), or NULL */
} qn_tree_model;

extern const qn_family qn_family_trees;

/* The model behind an estimator, or NULL when that is of another family. */
const qn_tree_model *qn_tree_model_of(const qn_estimator *estimator);
/* Whether blocks of rows are walked node by node, the trees being too large for a form. Each tree
 * should then see many rows while it is in the cache. */
bool qn_tree_model_is_large(const qn_estimator *estimator);
/* Whether every index of nodes, sets and roots stays within its array and every walk ends. */
bool qn_tree_model_is_good(const qn_tree_model *model);
/* The leaf that row `row` of `features` reaches in a tree. */
int64_t qn_tree_model_leaf(const qn_tree_model *model, int32_t tree, const qn_matrix *features,
                           int64_t row);
/* What a leaf adds to output c of that row. */
double qn_tree_model_leaf_value(const qn_tree_model *model, int64_t leaf, int32_t c,
                                const qn_matrix *features, int64_t row);
/* The way of that row through a tree, a line a node: "age = 41 <= 45.5: left". `names` has one
 * text per feature. */
void qn_tree_model_path(const qn_tree_model *model, int32_t tree, const qn_matrix *features,
                        int64_t row, const char *const *names, qn_str *out);
/* Importance by feature (n_features, as in the model): the sum of the gains of its nodes, and how
 * many nodes test it. */
void qn_tree_model_importance(const qn_tree_model *model, double *gains, int64_t *n_splits);
/* Whether a value goes left at a node. */
bool qn_tree_model_goes_left(const qn_tree_model *model, const qn_tree_node *node, double value);
/* Sums of all trees, `init` and averaging included, before scale and link: n_rows × n_outputs. */
void qn_tree_model_sums(const qn_tree_model *model, const qn_matrix *features, double *out,
                        void *scratch);

/* Scores, before the link, of all rows, by blocks and in parallel: n_rows × n_outputs. n_trees:
 * only of the first so many, whole rounds of outputs; 0: all. Fails for want of memory alone. */
QN_MUST_CHECK
qn_status qn_tree_model_scores(const qn_tree_model *model, int32_t n_trees,
                               const qn_matrix *features, qn_pool *pool, double *out,
                               qn_error *err);

/* Makes predictions of sums: n_rows × n_outputs, in place. */
void qn_link_apply(qn_link link, int64_t n_rows, int32_t n_outputs, double *out);

/* Grows while trees are added; finishing makes the model. */
typedef struct qn_tree_builder {
    int32_t n_trees, trees_room;
    int64_t n_nodes, nodes_room, n_values, values_room, n_sets, sets_room, words_room;
    int64_t n_lines, lines_room, n_terms, terms_room;
    int32_t *roots;
    qn_tree_node *nodes;
    double *values;
    uint64_t *sets; /* words of the sets; set i of qn_tree_builder_add_set() begins at i × 4 */
    qn_code_set *set_index;
    int64_t *line_ends; /* per leaf; all or no leaves have a line */
    double *constants, *coefficients;
    int32_t *term_features;
    double scale;  /* 0 means 1 */
    bool averaged; /* as in the model */
    bool failed;   /* out of memory; later additions do nothing */
} qn_tree_builder; /* zero-initialise; release with qn_tree_builder_release() */

/* A gain as nodes have it: 0 unless it is above 0. */
float qn_tree_gain(double gain);
/* Each returns the index of what was added (0 after a failure). */
int64_t qn_tree_builder_add_node(qn_tree_builder *builder, const qn_tree_node *node);
int64_t qn_tree_builder_add_values(qn_tree_builder *builder, const double *values, int32_t n);
/* A set of QN_SET_WORDS words and QN_CODES_MAX codes, or of any number of codes. */
int64_t qn_tree_builder_add_set(qn_tree_builder *builder, const uint64_t *set);
int64_t qn_tree_builder_add_codes(qn_tree_builder *builder, const uint64_t *words, int64_t n_codes);
/* The line of the next leaf without one, in the order of leaves. */
void qn_tree_builder_add_line(qn_tree_builder *builder, double constant, const int32_t *features,
                              const double *coefficients, int64_t n_terms);
void qn_tree_builder_add_tree(qn_tree_builder *builder, int32_t root);
/* Adds a tree whose n_nodes > 0 nodes name their children by index into `nodes`, in any order, or
 * as ~leaf of the builder; nodes[0] is the root. False, with nothing added, when some node is
 * reached twice or points nowhere. */
bool qn_tree_builder_add_whole(qn_tree_builder *builder, const qn_tree_node *nodes, int64_t n_nodes,
                               int64_t n_leaves);
/* Moves all trees of `from` to the end of the builder; `from` keeps its memory for new ones. Its
 * sets are those of qn_tree_builder_add_set(), and no leaf has a line. */
void qn_tree_builder_take(qn_tree_builder *builder, qn_tree_builder *from);
/* Adds the trees of a model whose leaves have as many values as the builder's, and no line. */
void qn_tree_builder_add_model(qn_tree_builder *builder, const qn_tree_model *model);
void qn_tree_builder_release(qn_tree_builder *builder);
/* Takes the builder's arrays; keeps the first n_trees. */
QN_MUST_CHECK
qn_status qn_tree_builder_finish(qn_tree_builder *builder, int32_t n_trees, qn_link link,
                                 bool vector_leaves, const double *init, int32_t n_outputs,
                                 qn_estimator **out, qn_error *err);

#endif
