/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: the body of a prediction request as blocks of cells. Each way to write rows (objects,
 * lists, columns, CSV, tensors) is an opener that sets `read`; what follows is the same for all, so
 * that a row gives the same prediction however it was sent.
 *
 * JSON is pulled straight into cells: a block is all that is ever held. Rules for JSON values: null
 * is missing; a text in a column of numbers must be one; true and false are the texts "true" and
 * "false"; numbers beyond the doubles' range, lists and objects are refused. Every input of the
 * model must be there, none twice; other fields are ignored.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_ROWS_ROWS_H
#define QN_SERVE_ROWS_ROWS_H

#include "base/json_pull.h"
#include "serve/models/served_model.h"

typedef struct qn_rows qn_rows;

/* How the sender wants the answer: follows from how the rows were written. */
typedef enum qn_rows_form {
    QN_FORM_ROW,       /* {"a": 1, …} */
    QN_FORM_LIST,      /* [{…}, …], {"columns": …} */
    QN_FORM_INSTANCES, /* {"instances": […]} */
    QN_FORM_INPUTS,    /* {"inputs": {…}} */
    QN_FORM_LINES,     /* NDJSON */
    QN_FORM_CSV,
    QN_FORM_TENSORS,       /* Open Inference Protocol */
    QN_FORM_BINARY_TENSORS /* the same, with binary tensors in the answer */
} qn_rows_form;

typedef enum qn_choice { QN_CHOICE_OPEN, QN_CHOICE_YES, QN_CHOICE_NO } qn_choice;

/* Whether and how the sender wants an output tensor (bundle/prediction_text.h). */
typedef struct qn_rows_output {
    bool wanted;
    qn_choice binary;
    int level; /* of the interval */
} qn_rows_output;

/* Cells of up to QN_BLOCK_ROWS rows, normalised. */
typedef struct qn_rows_block {
    qn_cell *cells; /* the caller's: room for QN_BLOCK_ROWS × n_inputs */
    int64_t n_rows;
    bool by_row; /* cell (row, input) at cells[row * n_inputs + input]; else as in frame/cells.h */
} qn_rows_block;

struct qn_rows {
    const qn_served_model *model;
    qn_arena *memory; /* lives as long as the request */
    qn_arena texts;   /* lives as long as a block */
    int64_t n_rows_max;
    bool known_only;   /* a category that training never saw is refused, as a wrong type is */
    size_t json_bytes; /* of a body of tensors; binary data follow; 0: all is JSON */
    qn_rows_form form;
    qn_status (*read)(qn_rows *rows, qn_rows_block *block, qn_error *err);
    void (*close)(qn_rows *rows); /* NULL: nothing to close */
    int64_t n_rows;               /* given so far */
    qn_pull pull;
    bool first;
    int64_t *order; /* of a list's positions: input, or -1 to ignore; n_order of them */
    struct qn_rows_field *fields; /* an object's k-th field as it was last time; n_inputs */
    int64_t *seen;                /* of each input: the row that last gave it, from 1; n_inputs */
    int64_t n_order;
    struct qn_rows_column *columns; /* where reading goes on in each input's list of values */
    struct qn_rows_tensor *tensors; /* of each input; or one of them all, n_tensors being 1 */
    int64_t n_tensors, n_tensor_rows;
    qn_span binary; /* what no tensor has taken yet of the bytes behind the JSON */
    qn_rows_output outputs[QN_TENSOR_OUTPUTS];
    qn_span id;      /* of the request, to be said again; text NULL: it has none */
    qn_frame *frame; /* CSV */
    qn_binding *binding;
    char *formatted;       /* texts of numbers, for the binding */
    int64_t bad_row;       /* what a failure was about: row from 1, 0: none */
    const char *bad_field; /* and input, or NULL */
}; /* initialise with the members up to json_bytes; release with qn_rows_release() */

/* JSON by its first bytes: a row, a list of rows or a form of them. Fails with QN_ERR_ARG (not
 * JSON, no known form), QN_ERR_DATA (rows that the model cannot take; bad_row and bad_field tell
 * which), QN_ERR_BUDGET (too many rows) or QN_ERR_NOMEM, here or from qn_rows_next(). */
QN_MUST_CHECK
qn_status qn_rows_open_json(qn_rows *rows, const char *body, size_t bytes, qn_error *err);
/* One object a line. */
QN_MUST_CHECK
qn_status qn_rows_open_lines(qn_rows *rows, const char *body, size_t bytes, qn_error *err);
/* A header of names, then rows: read as `quern predict` reads a file. */
QN_MUST_CHECK
qn_status qn_rows_open_csv(qn_rows *rows, const char *body, size_t bytes, qn_error *err);
/* The Open Inference Protocol, version 2: {"inputs": [tensor, …]}, a tensor for each column, or one
 * of all columns in the model's order; the data of tensors may follow the JSON as raw bytes. */
QN_MUST_CHECK
qn_status qn_rows_open_tensors(qn_rows *rows, const char *body, size_t bytes, qn_error *err);
void qn_rows_release(qn_rows *rows);

/* Fills the next block, whose texts live until the call after. One of fewer than QN_BLOCK_ROWS rows
 * is the last. */
QN_MUST_CHECK
qn_status qn_rows_next(qn_rows *rows, qn_rows_block *block, qn_error *err);
/* Predicts a block that qn_rows_next() filled: n_rows × n_outputs. `turned` has room for as many
 * cells as the block, `scratch` for qn_predictor_scratch_bytes(predictor, QN_BLOCK_ROWS). */
void qn_rows_predict(const qn_rows *rows, const qn_rows_block *block, qn_cell *turned,
                     double *outputs, void *scratch);

#endif
