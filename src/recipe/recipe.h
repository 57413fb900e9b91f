/* SPDX-License-Identifier: Apache-2.0 */
/* Recipe: the fitted transforms that turn cells into features. One recipe has two views:
 *   tree   raw numbers with QN_NA for missing, category codes, datetime parts, target encodings,
 *          text counts – for trees;
 *   dense  imputed with indicators, scaled, one-hot and target encoded, TF-IDF as the sparse
 *          part – for linear models, and later neural networks, k-NN, SVM.
 * Features made of several columns (derive.h) stand in both. Fitted on training rows only; applied
 * to a block of cells without allocating. Features that do not vary in the training rows, or repeat
 * another there, are left out of a view.
 *
 * Threads: immutable once fitted; share freely. */
#ifndef QN_RECIPE_RECIPE_H
#define QN_RECIPE_RECIPE_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/pool.h"
#include "frame/cells.h"
#include "recipe/matrix.h"

typedef enum qn_view { QN_VIEW_TREE, QN_VIEW_DENSE, QN_N_VIEWS } qn_view;

enum { QN_INPUT_DERIVED = -1 };

/* One column of a view. Sparse columns have one entry each, after the dense ones. */
typedef struct qn_feature {
    char *name;       /* "age", "city=Rome", "when.hour", "text~free" … */
    int32_t input;    /* which feature of the schema it comes from; QN_INPUT_DERIVED: several */
    bool categorical; /* values are codes 0 … n_levels-1; QN_NA = missing or never seen */
    int32_t n_levels;
} qn_feature;

typedef struct qn_recipe qn_recipe; /* destroy with qn_recipe_free() */

/* Zero means the default. */
typedef struct qn_recipe_request {
    const qn_frame *frame;
    const qn_schema *schema;
    const int32_t *rows; /* training rows of `frame`; NULL: all */
    int64_t n_rows;
    const double *target; /* one per frame row; NULL: none, nothing is encoded by it */
    uint64_t seed;        /* of the inner folds of target encoding */
    bool linear;          /* numbers are scaled as they are, however skewed: distances and variances
                             of the dense view are then those of the columns */
    bool skip_dense;      /* only the tree view is wanted: the dense view has no columns */
    const char *steps; /* features made of several columns, "pca=10,svd": see derive.h; NULL: none.
                          They need the dense view, and `views` of qn_recipe_fit() */
    qn_pool *pool;
    const qn_stop *stop; /* asked between columns: QN_ERR_INTERRUPTED */
} qn_recipe_request;

/* Fits, and gives both views of the training rows themselves, in the order of `rows`. Target
 * encodings of training rows are out-of-fold (5 inner folds, alpha = 10), so these matrices differ
 * from what qn_recipe_apply() gives for the same rows. `views` has QN_N_VIEWS entries, owned by
 * the caller on success; NULL when only the recipe is wanted, which then keeps every feature. */
QN_MUST_CHECK
qn_status qn_recipe_fit(const qn_recipe_request *request, qn_recipe **out, qn_matrix *views,
                        qn_error *err);
void qn_recipe_free(qn_recipe *recipe);

/* Dense columns, then sparse ones; *n counts both, *n_dense the former. Borrowed. */
const qn_feature *qn_recipe_features(const qn_recipe *recipe, qn_view view, int64_t *n,
                                     int64_t *n_dense);

/* The text of a category's code in the tree view, borrowed, and the way back; NULL and -1 where
 * feature `f` has no such code or level. */
const char *qn_recipe_level(const qn_recipe *recipe, int64_t f, int32_t code);
int32_t qn_recipe_level_code(const qn_recipe *recipe, int64_t f, const char *text);

/* Whether a view has features made of several columns. */
bool qn_recipe_is_derived(const qn_recipe *recipe, qn_view view);
/* Adds `amount` to the schema's feature that feature `f` of a view comes from, or to several by
 * their shares in it. */
void qn_recipe_spread(const qn_recipe *recipe, qn_view view, int64_t f, double amount,
                      double *by_input);

/* Scratch for qn_recipe_apply() on `n_rows` rows: it holds the view itself and what making it
 * needs. Text longer than QN_TEXT_BYTES_MAX is cut, at training too, so the size is fixed. */
enum { QN_TEXT_BYTES_MAX = 2048 };
size_t qn_recipe_scratch_bytes(const qn_recipe *recipe, qn_view view, int64_t n_rows);

/* The view of a block of cells (layout in frame/cells.h). *out points into `scratch`, aligned to
 * 64 bytes. The same for a row whatever block it stands in. */
void qn_recipe_apply(const qn_recipe *recipe, qn_view view, const qn_cell *cells, int64_t n_rows,
                     void *scratch, qn_matrix *out);

/* The view of many rows of a bound frame, by blocks and in parallel; the caller owns *out. */
QN_MUST_CHECK
qn_status qn_recipe_transform(const qn_recipe *recipe, qn_view view, const qn_binding *binding,
                              const int32_t *rows, int64_t n_rows, qn_pool *pool, qn_matrix *out,
                              qn_error *err);

void qn_recipe_write(const qn_recipe *recipe, qn_writer *writer);
/* `schema` must be the one it was fitted with. Every number is checked: damaged bytes fail with
 * QN_ERR_DATA. What it reads is copied. */
QN_MUST_CHECK
qn_status qn_recipe_read(qn_reader *reader, const qn_schema *schema, qn_recipe **out,
                         qn_error *err);
/* The list of transforms, for people: an array of {"transform", "columns", …}. `schema` is the one
 * it was fitted with. */
void qn_recipe_describe(const qn_recipe *recipe, const qn_schema *schema, qn_json_writer *json);

#endif
