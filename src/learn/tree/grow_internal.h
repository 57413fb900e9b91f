/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that grow a tree share: grow.c (the order of growth), grow_rows.c (the rows of
 * leaves) and grow_splits.c (their splits). */
#ifndef QN_LEARN_TREE_GROW_INTERNAL_H
#define QN_LEARN_TREE_GROW_INTERNAL_H

#include "learn/tree/bin_tree.h"
#include "learn/tree/grow.h"

enum {
    RANGES_MAX = 8,   /* of features that are worked on in parallel */
    THREADS_MAX = 16, /* that share the counting of one leaf */
    N_COPIES = 2      /* times that a leaf's rows are copied together */
};

#define UNITS_MAX 1e6 /* of the fixed point: more would bring no other splits */

/* A leaf; once split and its turn has come, a node. */
struct leaf {
    int64_t begin, n; /* of the rows */
    int64_t g, h;     /* sums, in units */
    uint64_t key;     /* where in the tree: what its draws are seeded by */
    int32_t depth;
    int32_t number;      /* of the leaf; of the node once `is_node` */
    int32_t left, right; /* leaves it falls into, worked out ahead; 0: not yet */
    bool is_node;
    int8_t side;         /* which of the two row arrays has its rows */
    bool in_order;       /* its rows are 0 … n-1 of its block: no need to look */
    int8_t copy;         /* 0: rows stand in the bins; i: in copies[i - 1] */
    int64_t block_begin; /* of the copy that its row numbers count from */
    int64_t block_n;
    qn_cell_sum *cells; /* NULL: cannot be split, or not needed any more */
    qn_leaf_bounds bounds;
    qn_allowance allowance;
    qn_split split;
};

struct copy {
    uint8_t *codes;
    int64_t *packed;
    int32_t *origin; /* training row */
};

struct qn_grower {
    const qn_bins *bins;
    qn_grow_params params;
    qn_pool *pool;
    int64_t *packed;  /* per training row: gradient and hessian in units */
    int32_t *rows[2]; /* partitions go from one to the other */
    uint8_t *marks;   /* per position: goes left */
    struct copy copies[N_COPIES];
    struct leaf *leaves;
    int64_t n_leaves, leaves_room;
    int32_t *heap; /* leaves that can be split, the next one first */
    int64_t n_heap;
    qn_bin_tree tree;  /* as it grows; its values are shrunk */
    int32_t *ends;     /* per leaf number: which of leaves it is */
    int32_t *split_up; /* the same per node number */
    int64_t n_ends;
    qn_cell_sum **cells; /* all that were ever allocated */
    int64_t n_cells;
    qn_cell_sum **idle; /* those that are free */
    int64_t n_idle;
    int32_t *features; /* of this tree */
    int64_t n_features;
    int32_t *groups; /* of those features; all when n_groups is the bins' */
    int64_t n_groups;
    double unit_g, unit_h; /* what one step of the fixed point is worth */
    uint64_t seed;
    /* Symmetric trees only. */
    int32_t *level; /* leaves of it */
    qn_split_request *level_requests;
    double *level_room; /* RANGES_MAX × 2 × bins of the widest feature */
    int64_t n_widest;
};

/* Fixed point: chooses the units so that no sum over the rows can leave its half of a cell, packs
 * the derivatives, and returns their sum. */
int64_t qn_grow_pack(qn_grower *grower, const qn_grow_request *request);

/* Memory for one histogram; NULL when there is none left. */
qn_cell_sum *qn_grow_take_cells(qn_grower *grower);
void qn_grow_give_cells(qn_grower *grower, qn_cell_sum **cells);

/* Rows of a leaf. */

/* Room for the copies of leaves' rows. False when out of memory. */
bool qn_grow_create_copies(qn_grower *grower);
/* Copies its rows together if they now fit a cache level that their block does not. */
void qn_grow_gather(qn_grower *grower, struct leaf *leaf, qn_pool *pool);
/* Moves the rows that its split sends left to the front of the other array; returns how many. */
int64_t qn_grow_partition(qn_grower *grower, struct leaf *leaf, qn_pool *pool);
/* Counts its rows into `cells`; with a pool, each thread into its own and then summed. */
void qn_grow_count(qn_grower *grower, struct leaf *leaf, qn_cell_sum *cells, qn_pool *pool);
/* Takes the cells of one child from those of its parent: what is left are the other's. */
void qn_grow_subtract(const qn_grower *grower, qn_cell_sum *from, const qn_cell_sum *what);
/* Writes the training rows of the leaf, `leaf->n` of them. */
void qn_grow_originals(const qn_grower *grower, const struct leaf *leaf, int32_t *out);

/* Splits. */

bool qn_grow_may_split(const qn_grower *grower, const struct leaf *leaf);
/* Looks for the splits of one leaf (right NULL) or two. */
void qn_grow_find_splits(qn_grower *grower, struct leaf *left, struct leaf *right, qn_pool *pool);
/* Gives the leaves level[0 … n-1] the one test that gains most over them together. */
void qn_grow_find_shared(qn_grower *grower, int64_t n, qn_pool *pool);
/* The value it would have as a leaf, by its sums in units. */
double qn_grow_value(const qn_grower *grower, const struct leaf *leaf);
/* What its children's values may be and which features they may use. */
void qn_grow_set_bounds(const qn_grower *grower, const struct leaf *leaf, struct leaf *left,
                        struct leaf *right);

#endif
