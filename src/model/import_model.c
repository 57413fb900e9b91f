/* SPDX-License-Identifier: Apache-2.0 */
#include "model/import_model.h"

#include "base/alloc.h"

#include <string.h>

void qn_imported_release(qn_imported *imported)
{
    qn_estimator_free(imported->estimator);
    for (int64_t i = 0; imported->features && i < imported->n_features; i++) {
        qn_free(imported->features[i]);
    }
    qn_free(imported->features);
    qn_free(imported->objective);
    *imported = (qn_imported){0};
}

/* XGBoost's file is an object, in text or in UBJSON; LightGBM's begins with the line "tree". */
qn_status qn_import_model(const char *text, size_t bytes, const char *name, qn_imported *out,
                          qn_error *err)
{
    *out = (qn_imported){0};
    size_t at = 0;
    while (at < bytes && strchr(" \t\r\n", text[at])) {
        at++;
    }
    if (at < bytes && text[at] == '{') return qn_import_xgboost(text, bytes, name, out, err);
    if (bytes - at >= 4 && memcmp(text + at, "tree", 4) == 0) {
        return qn_import_lightgbm(text, bytes, name, out, err);
    }
    if (bytes >= 4 && memcmp(text, "binf", 4) == 0) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: XGBoost's old binary format; save the model again as .json or .ubj",
                       name);
    }
    return qn_fail(err, QN_ERR_DATA,
                   "%s: neither a LightGBM text model nor an XGBoost .json or .ubj model", name);
}
