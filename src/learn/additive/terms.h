/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of an additive model while it is fitted: a feature by its bins, or two by coarser ones, and
 * the cell that each row of the bins is in.
 *
 * Threads: immutable once made; share freely. */
#ifndef QN_LEARN_ADDITIVE_TERMS_H
#define QN_LEARN_ADDITIVE_TERMS_H

#include "learn/tree/bins.h"

typedef struct qn_term {
    int32_t features[2]; /* the second is -1 where there is one */
    int32_t sizes[2];    /* bins of each; the second is 1 where there is one */
    int32_t n_cells;     /* sizes[0] × sizes[1] */
    bool nominal;        /* one feature, a category: its bins have no order */
    int64_t first;       /* its first cell in tables of all terms */
    uint16_t *cells; /* per row of the bins: bin, or bin of the first × sizes[1] + the second's */
} qn_term;

typedef struct qn_terms {
    int64_t n_features, n_rows, n_terms, room; /* the features are the first terms */
    qn_term *terms;
    int64_t n_cells;
    int32_t *n_coarse; /* per feature: its bins in pairs */
    int32_t **coarse;  /* per feature, per bin: its bin in pairs */
} qn_terms;            /* release with qn_terms_release() */

/* A term for each feature, and room for `pairs_max` of two, whose bins are at most `coarse_max` a
 * feature, the bin of missing values not counted. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_terms_create(const qn_bins *bins, int64_t pairs_max, int32_t coarse_max, qn_terms *out,
                          qn_error *err);
/* Appends the term of two features. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_terms_add_pair(qn_terms *terms, int32_t a, int32_t b, qn_error *err);
/* Describes the term of two features, but for `first`; fills its cells, which have room. */
void qn_terms_pair(const qn_terms *terms, int32_t a, int32_t b, uint16_t *cells, qn_term *out);
/* Adds what a table (k per cell) says of rows first … first + n - 1 of the bins to `scores`, k a
 * row, which begin at the first of them. */
void qn_term_add(const qn_term *term, const double *table, int32_t k, int64_t first, int64_t n,
                 double *scores);
void qn_terms_release(qn_terms *terms);

#endif
