/* SPDX-License-Identifier: Apache-2.0 */
/* Cells: one value as it stands before any feature is computed, the same for a training row, a
 * batch, an HTTP request and the C API. A recipe sees nothing but cells, so the features of a row
 * cannot depend on where the row came from.
 *
 * In a block, cell (feature, row) stands at cells[feature * n_rows + row], the features numbered
 * as by qn_schema_feature().
 *
 * Threads: a binding is immutable; each thread loads into its own cells. */
#ifndef QN_FRAME_CELLS_H
#define QN_FRAME_CELLS_H

#include "frame/schema.h"
#include "quern/bundle.h"

/* After qn_cell_normalise(): numeric, datetime and boolean kinds have `number` (QN_NA missing)
 * and no text; categorical and text kinds have `text` (NULL missing). Datetimes are microseconds,
 * booleans 0 or 1. */

enum { QN_BLOCK_ROWS = 128 }; /* rows per block in batch work: fits L2 with its features */

/* Turns what a caller gave (number or text) into the form the column's kind asks for; `scratch`
 * (QN_VALUE_TEXT_BYTES) holds the text of a number given for a categorical column. Fails with
 * QN_ERR_DATA when a text is not a number or date and no missing marker of the schema. */
QN_MUST_CHECK
qn_status qn_cell_normalise(const qn_schema_column *column, const qn_cell *given, char *scratch,
                            qn_cell *out, qn_error *err);

typedef struct qn_binding qn_binding; /* destroy with qn_binding_free() */

/* Finds each feature of `schema` in `frame` and checks that its values can be used: a missing
 * column or a text in a numeric column fails with QN_ERR_DATA, naming column, row and value.
 * Both must outlive the binding. Category labels and numbers that reach an other type than in
 * training are converted through their text. */
QN_MUST_CHECK
qn_status qn_binding_create(const qn_schema *schema, const qn_frame *frame, qn_binding **out,
                            qn_error *err);
void qn_binding_free(qn_binding *binding);

/* Bytes of scratch for qn_binding_load(): texts of numbers in categorical columns. */
size_t qn_binding_scratch_bytes(const qn_binding *binding, int64_t n_rows);

/* Loads the given rows as a block (layout above). `rows` NULL: rows first … first+n_rows-1,
 * otherwise rows[first] … Texts are borrowed from the frame or stand in `scratch`. */
void qn_binding_load(const qn_binding *binding, const int32_t *rows, int64_t first, int64_t n_rows,
                     qn_cell *cells, void *scratch);

/* The same for one feature alone: cells[0 … n_rows); scratch of n_rows × QN_VALUE_TEXT_BYTES. */
void qn_binding_load_feature(const qn_binding *binding, int64_t feature, const int32_t *rows,
                             int64_t first, int64_t n_rows, qn_cell *cells, void *scratch);

/* The target of every row: class index or value; QN_NA where missing. `unknown_ok` makes labels
 * that training never saw QN_NA, otherwise they fail with QN_ERR_DATA naming them all. */
QN_MUST_CHECK
qn_status qn_schema_target(const qn_schema *schema, const qn_frame *frame, bool unknown_ok,
                           double **out, qn_error *err);

#endif
