/* SPDX-License-Identifier: Apache-2.0 */
/* Models trained elsewhere: LightGBM's text format, XGBoost's JSON and UBJSON, as estimators of the
 * family of trees whose predictions are the same.
 *
 * Threads: pure functions. */
#ifndef QN_MODEL_IMPORT_MODEL_H
#define QN_MODEL_IMPORT_MODEL_H

#include "model/estimator.h"

typedef struct qn_imported {
    const char *format; /* "LightGBM" or "XGBoost" */
    char *objective;    /* as the file calls it */
    qn_estimator *estimator;
    qn_task task;
    int32_t n_classes; /* 0 unless classification */
    int64_t n_features;
    char **features; /* names */
} qn_imported;       /* release with qn_imported_release() */

void qn_imported_release(qn_imported *imported);

/* `name` is what messages call the bytes (a file's path). The format is found from the bytes.
 * Fails with QN_ERR_DATA (damaged: the message says where), QN_ERR_UNSUPPORTED (linear boosters,
 * more than QN_CLASSES_MAX outputs), QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_import_model(const char *text, size_t bytes, const char *name, qn_imported *out,
                          qn_error *err);

/* The formats by themselves. */
QN_MUST_CHECK
qn_status qn_import_lightgbm(const char *text, size_t bytes, const char *name, qn_imported *out,
                             qn_error *err);
QN_MUST_CHECK
qn_status qn_import_xgboost(const char *text, size_t bytes, const char *name, qn_imported *out,
                            qn_error *err);

/* The t for which "x <= t", of doubles, is the same as "(float)x < threshold". */
double qn_xgboost_threshold(float threshold);

/* UBJSON as JSON text, so that both are read by one reader; floats become the shortest decimal that
 * reads back as the same. */
QN_MUST_CHECK
qn_status qn_ubjson_to_json(const uint8_t *data, size_t bytes, const char *name, qn_str *out,
                            qn_error *err);

#endif
