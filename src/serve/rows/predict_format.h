/* SPDX-License-Identifier: Apache-2.0 */
/* How predictions are written: one format for each form of rows.
 *
 * Threads: pure functions over the request's own memory. */
#ifndef QN_SERVE_ROWS_PREDICT_FORMAT_H
#define QN_SERVE_ROWS_PREDICT_FORMAT_H

#include "quern/explain.h"
#include "serve/rows/rows.h"

typedef struct qn_predictions {
    const qn_served_model *model;
    const qn_rows *rows;
    const double *kept; /* all outputs so far, rows->n_rows × n_outputs, if the format keeps them */
    const qn_parts *parts; /* of the block's rows; NULL: are not asked for */
    int level;             /* of intervals (model/intervals.h); below 0: are not asked for */
} qn_predictions;

/* `begin` is called once, `rows` for each block (of n rows, the first being row `first` from 0),
 * `end` once, and then `append` what follows the JSON (its length is told in a header). */
typedef struct qn_format {
    const char *content_type;
    bool keeps;    /* `end` needs all outputs */
    bool explains; /* has room for parts */
    void (*begin)(const qn_predictions *p, qn_str *out);
    void (*rows)(const qn_predictions *p, const double *outputs, int64_t first, int64_t n,
                 qn_str *out);
    void (*end)(const qn_predictions *p, qn_str *out);
    void (*append)(const qn_predictions *p, qn_str *out); /* NULL: nothing */
} qn_format;

const qn_format *qn_format_of(qn_rows_form form);

#endif
