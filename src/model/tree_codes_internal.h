/* SPDX-License-Identifier: Apache-2.0 */
/* What tree_codes.c makes, tree_coding.c codes rows for and tree_kernels.c runs over. */
#ifndef QN_MODEL_TREE_CODES_INTERNAL_H
#define QN_MODEL_TREE_CODES_INTERNAL_H

#include "model/tree_codes.h"

#include <math.h>

enum {
    QN_TREE_ROWS = 128, /* rows at once; a column and a slot have so many bytes */
    QN_TREE_LEAVES_MAX = 256,
    QN_TREE_SLOTS = 10,   /* temporary results of one tree: log2 of the leaves, and one */
    QN_TREES_AT_ONCE = 8, /* whose leaf numbers are found before their values are added */
    QN_TREE_LEAVES_AT =
        QN_TREES_AT_ONCE + QN_TREE_SLOTS, /* slots: results, temporary ones, leaves */
    QN_TREE_LANES = 32,                   /* rows of one vector */
    QN_TREE_CHUNK = 255,                  /* thresholds that one column of bytes tells apart */
    QN_TREE_TOP_BIT = 0x80,
    QN_TREE_NUMBER_WAYS = 8,     /* to treat what is missing among numbers, by a node's flags */
    QN_TREE_CATEGORY_COLUMNS = 3 /* of a feature's codes and one of two rules */
};

/* out[row] = column[row] goes right ? right[row] : left[row], over bytes. A node of categories
 * has three columns and the 32 bytes of its table. */
struct qn_tree_op {
    uint32_t column;           /* offset into the block's columns */
    uint16_t left, right, out; /* offsets into its slots */
    int8_t threshold;
    uint8_t category;
    uint32_t table;
};

struct qn_tree_group { /* one feature's numbers, or its codes */
    int32_t feature;
    bool category, strict;
    int64_t first_threshold, n_thresholds;
    int32_t first_column, n_columns;
};

struct qn_tree_column {
    int32_t flags; /* of the nodes that use it: what is missing, and where it goes */
    int32_t chunk;
};

struct qn_tree_codes {
    int32_t n_trees, n_outputs;
    bool vector_leaves;
    int32_t n_groups, n_columns, n_leaves_max;
    struct qn_tree_group *groups;
    double *thresholds; /* of a group: increasing */
    struct qn_tree_column *columns;
    struct qn_tree_op *ops;
    int64_t *op_starts, *leaf_starts; /* n_trees + 1 */
    double *values;                   /* of leaves, by tree and local number */
    int32_t *leaves;                  /* with vector_leaves instead: their numbers in the model */
    uint8_t *tables;
};

/* Shared with tree_walk.c. A code as the tables have it: QN_TREE_CODE_BEYOND stands for every code
 * there is no bit for, QN_TREE_CODE_MISSING for a missing one. */
enum { QN_TREE_CODE_BEYOND = 254, QN_TREE_CODE_MISSING = 255, QN_TREE_TABLE_BYTES = 32 };
static inline unsigned qn_tree_code_of(double value, bool strict)
{
    if (isnan(value)) return QN_TREE_CODE_MISSING;
    const bool beyond = !(value < QN_TREE_CODE_BEYOND) || (strict ? value < 0 : value <= -1);
    return beyond ? QN_TREE_CODE_BEYOND : (unsigned)(int)value;
}
/* Whether all sets have bits for no more codes than a table. */
bool qn_tree_sets_fit(const qn_tree_model *model);
/* 256 bits, zero before: code c goes left. */
void qn_tree_put_table(const qn_tree_model *model, const qn_tree_node *node, uint8_t *table);

/* Runs ops over the first n_vectors × QN_TREE_LANES rows. Both give the same bytes. */
typedef void qn_tree_kernel(const struct qn_tree_op *ops, int64_t n_ops, const uint8_t *columns,
                            uint8_t *slots, const uint8_t *tables, int n_vectors);
qn_tree_kernel qn_tree_kernel_portable, qn_tree_kernel_avx2;
/* The best this processor has. */
qn_tree_kernel *qn_tree_kernel_choose(void);

#endif
