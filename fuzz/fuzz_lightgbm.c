/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a model of LightGBM: refused in one line, or a model that predicts within bounds. */
#include "fuzz.h"

#include "base/alloc.h"
#include "base/number.h"
#include "model/import_model.h"

static void predict(const qn_imported *imported)
{
    enum { ROWS = 9 }; /* enough for the coded form */
    const int64_t n = imported->n_features;
    const qn_estimator *estimator = imported->estimator;
    if (n > 1000) return;
    double *values = qn_alloc_array(n * ROWS, sizeof *values);
    double *out = qn_alloc_array((int64_t)estimator->n_outputs * ROWS, sizeof *out);
    void *scratch = qn_alloc_aligned((int64_t)qn_estimator_scratch_bytes(estimator, ROWS), 1);
    for (int64_t i = 0; values && i < n * ROWS; i++) {
        values[i] = i % 5 == 0 ? QN_NA : (double)(i % 7) - 2.5;
    }
    const qn_matrix all = {.n_rows = ROWS, .n_dense = n, .stride = ROWS, .dense = values};
    if (values && out && scratch) estimator->family->predict(estimator, &all, out, scratch);
    qn_free(values);
    qn_free(out);
    qn_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    qn_error err = {0};
    qn_imported imported;
    if (qn_import_lightgbm((const char *)data, bytes, "fuzz", &imported, &err) == QN_OK) {
        predict(&imported);
    }
    qn_imported_release(&imported);
    return 0;
}
