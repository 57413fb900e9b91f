/* SPDX-License-Identifier: Apache-2.0 */
/* The data of one tensor of the Open Inference Protocol, value by value: a list in the JSON, or raw
 * little-endian bytes behind it (the protocol's extension for binary tensors, as Triton has it;
 * texts are a length of four bytes each and their UTF-8). Both give the same cells.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_ROWS_TENSOR_DATA_H
#define QN_SERVE_ROWS_TENSOR_DATA_H

#include "serve/rows/rows_internal.h"

typedef enum qn_tensor_kind {
    QN_TENSOR_BOOL,
    QN_TENSOR_UINT,
    QN_TENSOR_INT,
    QN_TENSOR_FLOAT,
    QN_TENSOR_TEXT
} qn_tensor_kind;

typedef struct qn_datatype {
    const char *name;
    qn_tensor_kind kind;
    size_t bytes; /* of a value; 0: values tell their length */
} qn_datatype;

/* The protocol's datatype of that name, or NULL. */
const qn_datatype *qn_datatype_find(qn_span name);

/* Where reading goes on. */
typedef struct qn_rows_tensor {
    bool given;
    const qn_datatype *type; /* of binary data; NULL: the data are JSON */
    const char *at, *end;    /* binary */
    qn_pull pull;            /* JSON */
    int depth;               /* of nested lists: 0 or 1 */
    bool first[2];
} qn_rows_tensor;

/* `data` stands at a list. */
qn_rows_tensor qn_tensor_of_json(qn_pull data);
qn_rows_tensor qn_tensor_of_bytes(const qn_datatype *type, const char *data, size_t bytes);

/* Reads the next value into a cell of the place's input. Texts are borrowed from the body or stand
 * in rows->texts. Fails with QN_ERR_DATA when there is none or it does not suit the column,
 * QN_ERR_ARG or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_tensor_read(qn_rows *rows, qn_rows_tensor *tensor, qn_rows_place place, qn_cell *out,
                         qn_error *err);
/* A value of binary data as text, counted from 0: a text itself, numbers in the fewest digits that
 * read back. `digits` (QN_DOUBLE_TEXT_BYTES) may hold it. Text NULL: there is none, or it is
 * missing. */
qn_span qn_tensor_text(const qn_datatype *type, const char *data, size_t bytes, int64_t index,
                       char *digits);
/* Whether nothing is left; false, too, where the JSON is wrong. */
bool qn_tensor_is_at_end(qn_rows_tensor *tensor);

#endif
