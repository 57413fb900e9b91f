/* SPDX-License-Identifier: Apache-2.0 */
/* The value of a column in the first row of a request, found before any model has read the rows:
 * whoever deals requests to models by it must know it first. The column need not be an input of a
 * model.
 *
 * Threads: pure functions. */
#ifndef QN_SERVE_ROUTES_ROUTE_KEY_H
#define QN_SERVE_ROUTES_ROUTE_KEY_H

#include "base/json_pull.h"

/* Where a model has the column: of n_columns, in their order. */
typedef struct qn_route_place {
    int64_t column; /* -1: it has none of that name */
    int64_t n_columns;
} qn_route_place;

/* Of a row as an object, of the first of a list, under "instances" or "dataframe_records", of
 * {"columns": {…}} and {"inputs": {…}}, of {"columns": […], "data": [[…], …]}, also under
 * "dataframe_split", of NDJSON; text NULL: there is none, or it is no text, number or truth value.
 * Numbers are as they are written. */
qn_span qn_route_key_in_json(qn_span body, const char *column, qn_arena *memory);
/* Of a tensor of that name in a request of the Open Inference Protocol, whose JSON is json_bytes
 * (0: all of it), or of the one tensor of all columns, by its place. Numbers of binary tensors are
 * in the fewest digits that read back. */
qn_span qn_route_key_in_tensors(qn_span body, size_t json_bytes, const char *column,
                                qn_route_place place, qn_arena *memory);
/* Of CSV: a header, then rows. A field in quotes is taken as it is between them. */
qn_span qn_route_key_in_csv(qn_span body, const char *column);

#endif
