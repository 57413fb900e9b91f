/* SPDX-License-Identifier: Apache-2.0 */
/* k-means: centres in the dense part of the dense view. A row's outputs are its distances to each,
 * in double and in one order, so that they do not depend on the rows beside it; the nearest centre
 * is its cluster.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_KMEANS_MODEL_H
#define QN_MODEL_KMEANS_MODEL_H

#include "model/estimator.h"

extern const qn_family qn_family_kmeans;

/* Copies the centres, k × n_dense. */
QN_MUST_CHECK
qn_status qn_kmeans_create(const double *centres, int32_t k, int64_t n_dense, qn_estimator **out,
                           qn_error *err);

#endif
