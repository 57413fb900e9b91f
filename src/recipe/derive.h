/* SPDX-License-Identifier: Apache-2.0 */
/* Derivation: features made of all columns of the dense view together, as steps of a recipe:
 *   pca     principal components of its dense columns, in whose place they stand in the dense
 *           view; the tree view has them beside its own
 *   svd     truncated singular vectors of its words (latent semantic analysis), added to the dense
 *           columns of both views; the words stay for learners that read sparse columns
 *   kmeans  distances to the centres of clusters of its dense columns, added to both views
 * Each is made of the columns that the transforms of single columns give, not of another's. The
 * method table stands in derive.c.
 *
 * A list of steps is text, "pca=10,svd=50,kmeans=8": components, or, below 1, the share of the
 * variance that they are to explain; numbers of clusters. A name alone takes the default.
 *
 * Threads: immutable once fitted; share freely. */
#ifndef QN_RECIPE_DERIVE_H
#define QN_RECIPE_DERIVE_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/pool.h"
#include "recipe/recipe.h"

typedef struct qn_derivation qn_derivation;

enum { QN_DERIVED_MAX = 3 }; /* each method once */

/* A derivation, fitted. */
typedef struct qn_derived {
    const qn_derivation *method;
    int32_t n;      /* features it makes */
    int32_t n_base; /* columns it reads: the dense ones, or the words */
    int32_t n_inputs;
    double *numbers;      /* the method's own: components and origin, or centres */
    double *shares;       /* n × n_inputs: of each feature, by the columns of the schema */
    double explained;     /* share of the variance of what it reads */
    qn_feature *features; /* n: "pca 1", …; no input */
} qn_derived;             /* release with qn_derived_release() */

/* One step that is asked for. */
typedef struct qn_derive_step {
    const qn_derivation *method;
    double size; /* a number of features, or a share below 1 */
} qn_derive_step;

/* Reads a list of steps into `out`, QN_DERIVED_MAX entries; NULL and "" are none. Fails with
 * QN_ERR_ARG: unknown name, a step twice, a size out of range. */
QN_MUST_CHECK
qn_status qn_derive_parse(const char *text, qn_derive_step *out, int32_t *n, qn_error *err);

typedef struct qn_derive_request {
    const qn_matrix *rows;      /* training rows: the dense view of single columns */
    const qn_feature *features; /* of its columns, dense and sparse */
    int32_t n_inputs;
    uint64_t seed;
    qn_pool *pool;
    const qn_stop *stop;
} qn_derive_request;

/* Fails with QN_ERR_DATA (nothing to make them of), QN_ERR_INTERRUPTED, QN_ERR_NOMEM; `out` is
 * empty then. */
QN_MUST_CHECK
qn_status qn_derive_fit(const qn_derive_request *request, const qn_derive_step *step,
                        qn_derived *out, qn_error *err);
void qn_derived_release(qn_derived *derived);

/* The derivations of a recipe; borrowed. */
const qn_derived *qn_recipe_derived(const qn_recipe *recipe, int32_t *n);
const char *qn_derived_name(const qn_derived *derived); /* of its method */

/* Whether its features stand in the dense view instead of the columns they are made of. */
bool qn_derived_replaces(const qn_derived *derived);

/* Scratch for qn_derived_apply() on `n_rows` rows. */
size_t qn_derived_scratch_bytes(const qn_derived *derived, int64_t n_rows);
/* Writes its features of `rows`: feature c of row i at out[c * stride + i]. */
void qn_derived_apply(const qn_derived *derived, const qn_matrix *rows, double *out, int64_t stride,
                      void *scratch);

void qn_derived_write(const qn_derived *derived, qn_writer *writer);
/* `n_dense` and `n_sparse` are of the view it reads. Every number is checked: damaged bytes fail
 * with QN_ERR_DATA. */
QN_MUST_CHECK
qn_status qn_derived_read(qn_reader *reader, int64_t n_dense, int64_t n_sparse, int32_t n_inputs,
                          qn_derived *out, qn_error *err);
/* An object: transform, features, explained variance, and of each feature the columns that it is
 * mostly made of. */
void qn_derived_describe(const qn_derived *derived, const qn_schema *schema, qn_json_writer *json);

#endif
