/* SPDX-License-Identifier: Apache-2.0 */
/* Encoder: the first stage of a neural network, from the dense view's columns to its inputs. A
 * list of fields, each of which turns some columns into some inputs:
 *   copy       the columns as they are
 *   quantile   one number, by its place among training quantiles, on a scale of variance one
 *   piecewise  one number into a vector: input t rises from 0 to 1 between knots t and t + 1
 *              (piecewise linear encoding, Gorishniy, Rubachev & Babenko 2022, section 3.2)
 *   embed      the indicators of one category into a learned vector: the sum of x_f E_f
 *   bag        all sparse columns likewise: the mean of words of a text, weighted as in the view
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_ENCODER_H
#define QN_MODEL_ENCODER_H

#include "base/bytes.h"
#include "recipe/matrix.h"

/* Stored in bundles: never renumber. */
typedef enum qn_field_kind {
    QN_FIELD_COPY,
    QN_FIELD_QUANTILE,
    QN_FIELD_PIECEWISE,
    QN_FIELD_EMBED,
    QN_FIELD_BAG,
    QN_N_FIELD_KINDS
} qn_field_kind;

typedef struct qn_field {
    int32_t kind;
    int32_t first, n;   /* columns of the view; BAG: sparse ones, from 0 */
    int32_t n_knots;    /* QUANTILE, PIECEWISE: at least 2, increasing */
    int32_t width;      /* inputs it makes */
    int32_t first_knot; /* set by qn_encoder_plan(), like what follows */
    int32_t first_input;
    int32_t first_param; /* EMBED, BAG: n × width of them */
} qn_field;

typedef struct qn_encoder {
    int32_t n_dense, n_sparse; /* columns of the view */
    int32_t n_fields, n_knots;
    qn_field *fields;
    float *knots;
    int32_t n_inputs; /* set by qn_encoder_plan(), like what follows */
    int32_t n_params;
} qn_encoder; /* zero-initialise; release with qn_encoder_release() */

/* Rows of the view: the dense part row after row, the sparse part in place. */
typedef struct qn_encoder_rows {
    int64_t n_rows;
    const float *dense;      /* n_rows × n_dense */
    const qn_matrix *sparse; /* NULL: none */
    const int32_t *rows;     /* row i is row rows[i] of `sparse`; NULL: i */
} qn_encoder_rows;

/* Numbers knots, inputs and parameters in the order of the fields. False when a field is not
 * within the view, has too few or unordered knots, or no width. */
bool qn_encoder_plan(qn_encoder *encoder);
/* out: n_rows × n_inputs; `params`: n_params. */
void qn_encoder_apply(const qn_encoder *encoder, const float *params, const qn_encoder_rows *rows,
                      float *out);
/* Adds to `gradient` (n_params) what `delta` (n_rows × n_inputs, the loss by the inputs) gives. */
void qn_encoder_backward(const qn_encoder *encoder, const qn_encoder_rows *rows, const float *delta,
                         float *gradient);
QN_MUST_CHECK
qn_status qn_encoder_copy(const qn_encoder *from, qn_encoder *out, qn_error *err);
void qn_encoder_release(qn_encoder *encoder);

void qn_encoder_write(const qn_encoder *encoder, qn_writer *writer);
/* Fails with QN_ERR_DATA unless the view has `n_features` columns. What it reads is copied. */
QN_MUST_CHECK
qn_status qn_encoder_read(qn_reader *reader, int64_t n_features, qn_encoder *out, qn_error *err);

#endif
