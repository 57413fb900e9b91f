/* SPDX-License-Identifier: Apache-2.0 */
/* What the ways to write rows share. */
#ifndef QN_SERVE_ROWS_ROWS_INTERNAL_H
#define QN_SERVE_ROWS_ROWS_INTERNAL_H

#include "serve/rows/rows.h"

/* Where a value is about to be read. */
typedef struct qn_rows_place {
    int64_t row; /* from 1 */
    int64_t input;
} qn_rows_place;

/* A field of the object that was read last. */
struct qn_rows_field {
    int64_t input;
    qn_span before; /* from what precedes it to its value: the key and all around it; text NULL at
                       first */
    bool first;     /* no field stood before it */
};

/* Starts reading JSON; makes `fields` and `seen`. */
QN_MUST_CHECK
qn_status qn_rows_start_json(qn_rows *rows, const char *body, size_t bytes, qn_error *err);
/* Reads one JSON value into a cell of the place's input. */
QN_MUST_CHECK
qn_status qn_rows_read_any_cell(qn_rows *rows, qn_pull *pull, qn_rows_place place, qn_cell *out,
                                qn_error *err);
/* The same; without detours for what most tables are made of. */
QN_MUST_CHECK
static inline qn_status qn_rows_read_cell(qn_rows *rows, qn_pull *pull, qn_rows_place place,
                                          qn_cell *out, qn_error *err)
{
    if (rows->model->columns[place.input]->kind == QN_KIND_NUMERIC &&
        qn_pull_full_number(pull, &out->number)) {
        out->text = NULL;
        out->text_bytes = 0;
        return QN_OK;
    }
    return qn_rows_read_any_cell(rows, pull, place, out, err);
}
/* Makes what was given for the place's input what its kind asks for. */
QN_MUST_CHECK
qn_status qn_rows_normalise_cell(qn_rows *rows, qn_rows_place place, qn_cell *cell, qn_error *err);
/* Whether the digits of a number are a label of the place's input as they are. */
bool qn_rows_is_label(const qn_rows *rows, qn_rows_place place, qn_span digits);
/* The input called `name`, or -1. */
int64_t qn_rows_find_input(const qn_rows *rows, qn_span name);
/* qn_rows.read for a list that was entered: each item is a row, an object or a list in the order of
 * rows->order. */
qn_status qn_rows_read_items(qn_rows *rows, qn_rows_block *block, qn_error *err);
/* Whether an object with such a key may be a form. */
bool qn_rows_is_form_member(qn_span key);
/* Reads {"instances": …} and the other forms; the reader stands at the object. */
QN_MUST_CHECK
qn_status qn_rows_open_form(qn_rows *rows, qn_error *err);

/* Refuses a block with a category that training never saw, QN_ERR_DATA. Missing values pass, and so
 * does all in columns of more levels than a schema lists. */
QN_MUST_CHECK
qn_status qn_rows_check_known(qn_rows *rows, const qn_rows_block *block, qn_error *err);

/* How much of a cell's text a message shows. */
int qn_rows_shown_bytes(const qn_cell *cell);
/* What the reader found wrong, QN_ERR_ARG. */
qn_status qn_rows_fail_json(qn_rows *rows, const qn_pull *pull, qn_error *err);
/* "row N: column 'x' …", QN_ERR_DATA. */
qn_status qn_rows_fail_place(qn_rows *rows, qn_rows_place place, qn_error *err, const char *format,
                             ...) QN_PRINTF(4, 5);
qn_status qn_rows_fail_too_many(const qn_rows *rows, qn_error *err);
qn_status qn_rows_fail_memory(qn_error *err);

#endif
