/* SPDX-License-Identifier: Apache-2.0 */
/* Projection: the dense view, dense and sparse columns less their means, on components: outputs are
 * (x - m) V. Each row's sums run over its columns in order, so that they do not depend on the rows
 * beside it.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_PROJECTION_MODEL_H
#define QN_MODEL_PROJECTION_MODEL_H

#include "model/estimator.h"

extern const qn_family qn_family_projection;

/* Copies: components n_outputs × n_features, row after row; means n_features. */
QN_MUST_CHECK
qn_status qn_projection_create(const double *components, const double *means, int32_t n_outputs,
                               int64_t n_features, qn_estimator **out, qn_error *err);

#endif
