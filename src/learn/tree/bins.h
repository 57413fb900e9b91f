/* SPDX-License-Identifier: Apache-2.0 */
/* Bins: the tree view as one byte a value, row after row. Bin 0 of a feature is "missing"; numbers
 * have up to 254 more, cut where the training rows' order says; the code c of a category has bin
 * 1 + c. Made once per fold and shared by all trials. Numbers may have up to 65,535 bins: those of
 * more than 255 are "wide" and take two bytes.
 *
 * Features of few bins share a byte: a group's code numbers the combinations of their bins that
 * occur, so one-hot columns cost no more than the category they came from, and nothing is lost
 * (unlike the bundles of LightGBM, Ke et al. 2017 section 4, there are no conflicts).
 *
 * Threads: immutable once made; share freely. */
#ifndef QN_LEARN_TREE_BINS_H
#define QN_LEARN_TREE_BINS_H

#include "learn/dataset.h"

#include <string.h>

enum { QN_GROUP_CODES = 256 };

typedef struct qn_bin_feature {
    bool categorical;
    bool alone;     /* in its group: codes are bins */
    int32_t n_bins; /* with bin 0 */
    int32_t group;
    double *edges;   /* numbers: bin b holds values <= edges[b - 1]; n_bins - 2 of them */
    uint8_t *decode; /* QN_GROUP_CODES: bin by the group's code; not of wide ones */
} qn_bin_feature;

struct qn_bins {
    int64_t n_rows; /* training rows, then validation rows */
    int64_t n_train;
    int64_t n_features;
    qn_bin_feature *features;
    int64_t n_groups;
    int64_t n_narrow;       /* groups of a byte a row; the others, after them, are wide */
    int32_t *group_codes;   /* per group: how many codes it uses */
    int64_t *wide_cells;    /* per wide group: its first cell in a histogram */
    int64_t n_cells;        /* of a histogram */
    int64_t wide_offset;    /* bytes of a row before the wide codes */
    int64_t stride;         /* bytes of a row of codes, in whole words */
    uint8_t *codes;         /* n_rows × stride, row after row: for histograms */
    uint8_t *columns;       /* narrow ones again, column after column: for looking at one feature */
    uint16_t *wide_columns; /* wide ones again */
};

enum { QN_BINS_MAX = 65535, QN_NARROW_BINS_MAX = 255 };

static inline bool qn_bins_is_wide(const qn_bins *bins, int32_t group)
{
    return group >= bins->n_narrow;
}

/* The code that a row, whose codes begin at `codes`, has in a wide group. */
static inline int32_t qn_bins_wide_code(const qn_bins *bins, const uint8_t *codes, int32_t group)
{
    uint16_t code;
    memcpy(&code, codes + bins->wide_offset + 2 * (group - bins->n_narrow), sizeof code);
    return code;
}

static inline int64_t qn_bins_first_cell(const qn_bins *bins, int32_t group)
{
    return qn_bins_is_wide(bins, group) ? bins->wide_cells[group - bins->n_narrow]
                                        : (int64_t)group * QN_GROUP_CODES;
}

/* max_bin counts bin 0; 3 … QN_BINS_MAX. */
QN_MUST_CHECK
qn_status qn_bins_create(const qn_dataset *dataset, int max_bin, qn_pool *pool, qn_bins **out,
                         qn_error *err);
void qn_bins_free(qn_bins *bins); /* accepts NULL */

#endif
