/* SPDX-License-Identifier: Apache-2.0 */
/* Additive: a score is an intercept and a sum of terms, each a table of scores by the bin of one
 * feature of the tree view, or of two (Lou, Caruana & Gehrke 2012; Lou et al. 2013):
 *     score_c = b_c + sum_t s_tc[bin of the row],   prediction = link(score)
 * Bin 0 of a feature is "missing or never seen"; the code c of a category has bin 1 + c; a number
 * has the bin 1 + the count of edges below it. Terms of two features use coarser bins, which are
 * unions of these.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_ADDITIVE_MODEL_H
#define QN_MODEL_ADDITIVE_MODEL_H

#include "model/tree_model.h"

enum { QN_ADDITIVE_BINS_MAX = 65536 }; /* of a feature, and cells of a term */

extern const qn_family qn_family_additive;

typedef struct qn_additive_parts {
    qn_link link; /* identity, logistic or softmax */
    int32_t n_outputs;
    int64_t n_features, n_terms;
    int32_t *n_levels;      /* per feature: of a category; 0: a number */
    int64_t *edge_starts;   /* n_features + 1: where the edges of numbers begin */
    double *edges;          /* increasing within a feature */
    int64_t *bin_starts;    /* n_features + 1: where the bins of features begin in `coarse` */
    int32_t *n_coarse;      /* per feature: coarse bins */
    int32_t *coarse;        /* per bin: its coarse bin */
    int32_t *term_features; /* two per term; the second is -1 where there is one */
    int64_t *term_starts;   /* n_terms + 1: where the cells of terms begin. Cells of a pair: coarse
                               bin of the first × coarse bins of the second + that of the second */
    double *scores;         /* n_outputs per cell */
    double *shares;         /* per cell: of the training rows, by weight; NULL: not known */
    double *intercepts;     /* n_outputs */
} qn_additive_parts;

/* Takes the arrays of `parts`, also on failure. They must be as read() would find them. */
QN_MUST_CHECK
qn_status qn_additive_create(qn_additive_parts *parts, qn_estimator **out, qn_error *err);
void qn_additive_parts_release(qn_additive_parts *parts);

/* What the model holds; NULL when the estimator is of another family. Borrowed. */
const qn_additive_parts *qn_additive_parts_of(const qn_estimator *estimator);

/* The bin of a feature's value, and the cell of a term for bins of its features; `b` is not looked
 * at where there is one. */
int32_t qn_additive_bin(const qn_additive_parts *parts, int64_t feature, double value);
int64_t qn_additive_cell(const qn_additive_parts *parts, int64_t term, int32_t a, int32_t b);

/* What features add to the scores of a row beside the intercepts: out[c * n_features + f]. A term
 * of two counts half for each. `scratch` is that of the family. */
void qn_additive_row_parts(const qn_estimator *estimator, const qn_matrix *features, int64_t row,
                           double *out, void *scratch);

#endif
