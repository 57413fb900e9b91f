/* SPDX-License-Identifier: Apache-2.0 */
/* Turning rows into the codes that tree_codes.c describes, and adding up what trees say of them. */
#include "base/number.h"
#include "model/tree_codes_internal.h"

#include <math.h>
#include <string.h>

/* Ranks of up to QN_TREE_ROWS numbers, by binary searches that go on side by side. */
static void rank_rows(const double *thresholds, int64_t n, const double *values, int64_t n_rows,
                      int32_t *ranks)
{
    enum { ABREAST = 8 };
    for (int64_t first = 0; first < n_rows; first += ABREAST) {
        const double *x = values + first;
        const double *at[ABREAST];
        for (int i = 0; i < ABREAST; i++) {
            at[i] = thresholds;
        }
        int64_t left = n;
        while (left > 1) {
            const int64_t half = left / 2;
            for (int i = 0; i < ABREAST; i++) {
                const double *middle = at[i] + half;
                at[i] = middle[-1] < x[i] ? middle : at[i];
            }
            left -= half;
        }
        for (int i = 0; i < ABREAST; i++) {
            ranks[first + i] = (int32_t)(at[i] - thresholds) + (*at[i] < x[i]);
        }
    }
}

static void code_numbers(const qn_tree_codes *codes, const struct qn_tree_group *group,
                         const double *given, int64_t n_rows, uint8_t *out)
{
    double values[QN_TREE_ROWS] = {0};
    int32_t ranks[QN_TREE_ROWS];
    memcpy(values, given, (size_t)n_rows * sizeof *values);
    rank_rows(codes->thresholds + group->first_threshold, group->n_thresholds, values, n_rows,
              ranks);
    for (int32_t c = 0; c < group->n_columns; c++, out += QN_TREE_ROWS) {
        const struct qn_tree_column *column = &codes->columns[group->first_column + c];
        const int32_t below = column->chunk * QN_TREE_CHUNK;
        const int32_t missing = column->flags & QN_NODE_DEFAULT_LEFT ? 0 : QN_TREE_CHUNK;
        const double code_max = column->flags & QN_NODE_CODE ? QN_CODES_MAX : QN_INF;
        const double zero = column->flags & QN_NODE_ZERO_MISSING ? QN_ZERO : -1;
        for (int64_t row = 0; row < n_rows; row++) {
            const double x = values[row];
            int32_t code = ranks[row] - below;
            code = code < 0 ? 0 : code > QN_TREE_CHUNK ? QN_TREE_CHUNK : code;
            if (isnan(x) | (x >= code_max && code_max < QN_INF) | (fabs(x) <= zero)) code = missing;
            out[row] = (uint8_t)(code ^ QN_TREE_TOP_BIT);
        }
    }
}

/* Columns: place in the first half of a table and in the second, with the top bit set where it is
 * the other half; the bit within the byte there. */
static void code_categories(const struct qn_tree_group *group, const double *values, int64_t n_rows,
                            uint8_t *out)
{
    for (int64_t row = 0; row < n_rows; row++) {
        const unsigned code = qn_tree_code_of(values[row], group->strict);
        const unsigned byte = code / 8;
        out[row] = (uint8_t)(byte < 16 ? byte : QN_TREE_TOP_BIT);
        out[QN_TREE_ROWS + row] = (uint8_t)(byte < 16 ? QN_TREE_TOP_BIT : byte - 16);
        out[2 * QN_TREE_ROWS + row] = (uint8_t)(1u << (code & 7));
    }
}

static size_t columns_bytes(int64_t n_columns)
{
    return ((size_t)n_columns + 1) * QN_TREE_ROWS; /* one more for trees of one leaf */
}

static size_t scratch_bytes(int64_t n_columns, int32_t n_leaves)
{
    return columns_bytes(n_columns) + ((size_t)n_leaves + QN_TREE_LEAVES_AT) * QN_TREE_ROWS;
}

size_t qn_tree_codes_scratch_bytes(const qn_tree_codes *codes)
{
    return scratch_bytes(codes->n_columns, codes->n_leaves_max);
}

/* Each feature has at most one column that is not full for each way to treat what is missing, and
 * those of its codes. */
size_t qn_tree_codes_scratch_bound(const qn_tree_model *model)
{
    const int64_t not_full = QN_TREE_NUMBER_WAYS + 2 * QN_TREE_CATEGORY_COLUMNS;
    const int64_t full = QN_TREE_NUMBER_WAYS * (model->n_nodes / QN_TREE_CHUNK);
    return scratch_bytes(model->n_features * not_full + full, QN_TREE_LEAVES_MAX);
}

/* Adds the values of n trees, step apart, to the sums of one output. */
static void add_values(const qn_tree_codes *codes, int32_t first, int32_t step, int32_t n,
                       const uint8_t *results, int64_t n_rows, double *out)
{
    const double *values[QN_TREES_AT_ONCE];
    for (int32_t i = 0; i < n; i++) {
        values[i] = codes->values + codes->leaf_starts[first + i * step];
    }
    for (int64_t row = 0; row < n_rows; row++) {
        double sum = out[row * step];
        if (n == QN_TREES_AT_ONCE) {
            for (int32_t i = 0; i < QN_TREES_AT_ONCE; i++) {
                sum += values[i][results[i * QN_TREE_ROWS + row]];
            }
        } else {
            for (int32_t i = 0; i < n; i++) {
                sum += values[i][results[i * QN_TREE_ROWS + row]];
            }
        }
        out[row * step] = sum;
    }
}

static void add_vectors(const qn_tree_codes *codes, const qn_tree_model *model, int32_t tree,
                        const uint8_t *results, int64_t n_rows, double *out)
{
    const int32_t k = codes->n_outputs;
    const int32_t *leaves = codes->leaves + codes->leaf_starts[tree];
    for (int64_t row = 0; row < n_rows; row++) {
        const double *values = model->values + (int64_t)leaves[results[row]] * k;
        for (int32_t c = 0; c < k; c++) {
            out[row * k + c] += values[c];
        }
    }
}

static void add_block(const qn_tree_codes *codes, const qn_tree_model *model,
                      qn_tree_kernel *kernel, uint8_t *columns, uint8_t *slots, int64_t n_rows,
                      double *out)
{
    const int n_vectors = (int)((n_rows + QN_TREE_LANES - 1) / QN_TREE_LANES);
    const uint8_t *results = slots;
    const int32_t step = codes->vector_leaves ? 1 : codes->n_outputs;
    const int32_t at_once = codes->vector_leaves ? 1 : QN_TREES_AT_ONCE;
    for (int32_t c = 0; c < step; c++) {
        for (int32_t t = c; t < codes->n_trees; t += step * at_once) {
            int32_t n = 0;
            for (int32_t tree = t; n < at_once && tree < codes->n_trees; tree += step, n++) {
                const int64_t first = codes->op_starts[tree];
                kernel(codes->ops + first, codes->op_starts[tree + 1] - first, columns, slots,
                       codes->tables, n_vectors);
            }
            if (codes->vector_leaves) {
                add_vectors(codes, model, t, results, n_rows, out);
            } else {
                add_values(codes, t, step, n, results, n_rows, out + c);
            }
        }
    }
}

void qn_tree_codes_add(const qn_tree_codes *codes, const qn_tree_model *model,
                       const qn_matrix *features, double *out, void *scratch)
{
    qn_tree_kernel *kernel = qn_tree_kernel_choose();
    uint8_t *columns = scratch, *slots = columns + columns_bytes(codes->n_columns);
    memset(columns, 0, columns_bytes(codes->n_columns));
    for (int32_t leaf = 0; leaf < codes->n_leaves_max; leaf++) {
        memset(slots + (QN_TREE_LEAVES_AT + leaf) * QN_TREE_ROWS, leaf, QN_TREE_ROWS);
    }
    for (int64_t first = 0; first < features->n_rows; first += QN_TREE_ROWS) {
        const int64_t n =
            features->n_rows - first < QN_TREE_ROWS ? features->n_rows - first : QN_TREE_ROWS;
        for (int32_t g = 0; g < codes->n_groups; g++) {
            const struct qn_tree_group *group = &codes->groups[g];
            const double *values = features->dense + group->feature * features->stride + first;
            uint8_t *at = columns + (size_t)group->first_column * QN_TREE_ROWS;
            if (group->category) {
                code_categories(group, values, n, at);
            } else {
                code_numbers(codes, group, values, n, at);
            }
        }
        add_block(codes, model, kernel, columns, slots, n, out + first * codes->n_outputs);
    }
}
