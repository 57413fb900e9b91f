/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP values of tree models: how much each feature moves a row's sums away from what the model
 * expects of a training row. Exact, path-dependent (Lundberg, Erion and Lee 2018, "Consistent
 * Individualized Feature Attribution for Tree Ensembles", algorithm 2): a feature that is not known
 * sends a row both ways, in the proportion of the training rows that went there.
 *
 * How it is computed. Let a leaf of value v be reached over nodes that test d different features.
 * For feature j, o_j is 1 when the row passes all of them and else 0, and z_j is the product of the
 * shares of the training rows that passed. Feature i gets from that leaf, over all subsets S of the
 * other features,
 *
 *     v (o_i - z_i)  sum over S of  |S|! (d - 1 - |S|)! / d!  prod_S o_j  prod_not_S z_j
 *   = v (o_i - z_i)  integral over t in [0, 1] of  prod_{j != i} ((1 - t) z_j + t o_j)
 *
 * for t^s (1 - t)^(d-1-s) integrates to s! (d-1-s)! / d!. Under the integral stands a polynomial of
 * degree d - 1, which Gauss-Legendre quadrature with d / 2 points integrates exactly; every term is
 * positive, so nothing cancels. On the way down a tree the product is carried along at each point;
 * on the way up the leaves' products are added, and each edge gives its feature its part: that is
 * linear in leaves x depth (as in Yu, Xu, Zhang and Cui 2022, "Linear TreeSHAP", which uses other
 * polynomials), with eight rows in the lanes of a vector. Interactions are the same with two
 * features left out of the product.
 *
 * The sums of a row over its features, and what the model expects, give qn_tree_model_sums() to
 * within rounding, 1e-6 x trees at the very most. A node whose rows are not known (both covers 0)
 * counts as halves.
 *
 * Threads: immutable once created; share freely, each call with its own scratch. */
#ifndef QN_EXPLAIN_TREE_SHAP_H
#define QN_EXPLAIN_TREE_SHAP_H

#include "model/tree_model.h"

typedef struct qn_tree_shap qn_tree_shap; /* destroy with qn_tree_shap_free() */

/* `model` is borrowed, and must be good. Fails with QN_ERR_UNSUPPORTED (leaves are linear),
 * QN_ERR_DATA (trees share nodes), QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_tree_shap_create(const qn_tree_model *model, qn_tree_shap **out, qn_error *err);
void qn_tree_shap_free(qn_tree_shap *shap); /* accepts NULL */

/* What the model expects of a training row: n_outputs sums, before scale and link. Borrowed. */
const double *qn_tree_shap_expected(const qn_tree_shap *shap);

/* Rows of one call for which scratch is kept; more are taken in blocks of this many. */
enum { QN_SHAP_ROWS = 128 };
size_t qn_tree_shap_scratch_bytes(const qn_tree_shap *shap);
/* values[(row * n_outputs + c) * n_features + f], n_features as in the model. Allocates nothing;
 * `scratch` is aligned to 64 bytes. A row's values do not depend on the rows beside it. */
void qn_tree_shap_rows(const qn_tree_shap *shap, const qn_matrix *features, double *values,
                       void *scratch);
/* The same for many rows, in parallel. */
QN_MUST_CHECK
qn_status qn_tree_shap_values(const qn_tree_shap *shap, const qn_matrix *features, qn_pool *pool,
                              double *values, qn_error *err);

/* Interaction values (Lundberg et al. 2018, section 4): per row and output a symmetric matrix of
 * n_features x n_features, values[((row * n_outputs + c) * n_features + i) * n_features + j], whose
 * rows add up to the SHAP values. In parallel over blocks of rows. */
QN_MUST_CHECK
qn_status qn_tree_shap_interactions(const qn_tree_shap *shap, const qn_matrix *features,
                                    qn_pool *pool, double *values, qn_error *err);

#endif
