/* SPDX-License-Identifier: Apache-2.0 */
/* Bundle: one .quern file. Header (magic, version, table of sections with a checksum each), then
 * little-endian sections aligned to 64 bytes: "schema" and "record" (JSON), "predictor" (binary).
 * Described in docs/bundle-format.md.
 *
 * Threads: an open model is immutable. */
#ifndef QN_BUNDLE_BUNDLE_H
#define QN_BUNDLE_BUNDLE_H

#include "bundle/record.h"
#include "model/import_model.h"
#include "model/predictor.h"
#include "quern/bundle.h"

/* Written whole or not at all. */
QN_MUST_CHECK
qn_status qn_bundle_write(const char *path, const qn_schema *schema, const qn_predictor *predictor,
                          const qn_record *record, qn_error *err);

/* A bundle around a model whose features are columns of numbers, as `quern import` makes it. The
 * estimator stays the caller's. */
QN_MUST_CHECK
qn_status qn_bundle_write_plain(const qn_imported *model, const qn_import_request *request,
                                const char *command, qn_error *err);

/* As qn_model_open(), with the file read into memory: what is done to it afterwards does not reach
 * the model. For processes that outlive their files. */
QN_MUST_CHECK
qn_status qn_model_open_copy(const char *path, qn_model **out, qn_error *err);

/* What an open model (qn_model_open) holds; borrowed. */
const qn_schema *qn_model_schema(const qn_model *model);
const qn_predictor *qn_model_predictor(const qn_model *model);
const qn_record *qn_model_record(const qn_model *model);
const char *qn_model_path(const qn_model *model);
int64_t qn_model_file_bytes(const qn_model *model);
uint64_t qn_model_file_hash(const qn_model *model); /* of all its bytes */

/* Fails with QN_ERR_UNSUPPORTED when the model knows no prediction intervals. */
QN_MUST_CHECK
qn_status qn_model_require_intervals(const qn_model *model, qn_error *err);

/* A row's cells as the model's columns want them; `out` has qn_model_n_inputs() cells and stands in
 * memory of qn_model_cells_bytes(), which holds their texts, too. */
size_t qn_model_cells_bytes(const qn_model *model);
QN_MUST_CHECK
qn_status qn_model_normalise(const qn_model *model, const qn_cell *cells, qn_cell *out,
                             qn_error *err);

#endif
