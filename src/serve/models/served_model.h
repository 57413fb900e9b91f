/* SPDX-License-Identifier: Apache-2.0 */
/* A model as it is served: an open bundle with everything about it that a request needs and that
 * can be made once. The bundle is read into memory, not mapped, so that whatever happens to its
 * file later cannot reach requests.
 *
 * Threads: immutable but for its count of references and its explainer, which are atomic; share
 * freely. */
#ifndef QN_SERVE_MODELS_SERVED_MODEL_H
#define QN_SERVE_MODELS_SERVED_MODEL_H

#include "base/json_pull.h"
#include "base/map.h"
#include "bundle/bundle.h"
#include "bundle/prediction_text.h"

#include <stdatomic.h>

enum { QN_MODEL_NAME_BYTES_MAX = 128, QN_MODEL_HASH_BYTES = 16 };

typedef struct qn_served_model {
    _Atomic int64_t n_refs;
    char *name, *version;
    char hash[QN_MODEL_HASH_BYTES + 1]; /* of the file's bytes, as hex digits */
    char *header; /* the reply's line "quern-model: name@version hash", with its line end */
    qn_model *model;
    const qn_schema *schema;
    const qn_predictor *predictor;
    int64_t n_inputs;
    const qn_schema_column **columns; /* of each input */
    qn_span *names;                   /* of each input; .text NULL where JSON escapes part of it */
    qn_map *inputs;                   /* name → input */
    int32_t n_outputs;
    size_t scratch_bytes; /* to predict QN_BLOCK_ROWS rows */
    qn_prediction_text *text;
    double loaded_s;                          /* how long loading took */
    atomic_bool is_warm;                      /* see qn_served_model_warm_up() */
    _Atomic(struct qn_explainer *) explainer; /* made when it is first asked for */
} qn_served_model;                            /* let go with qn_served_model_unref() */

/* Whether `name` can stand in a path and a header: letters, digits, '.', '_' and '-', at most
 * QN_MODEL_NAME_BYTES_MAX, not beginning with a dot. Versions are named by the same rule. */
bool qn_served_name_is_valid(const char *name);

/* Reads and checks the bundle, predicts one row with it (so that its pages are there before the
 * first request), and returns it with one reference. Fails as qn_model_open() does. */
QN_MUST_CHECK
qn_status qn_served_model_open(const char *name, const char *version, const char *path,
                               qn_served_model **out, qn_error *err);
/* Makes what a large model would make when rows first come in blocks (tree_forms.h), so that no
 * request waits for it; once. */
void qn_served_model_warm_up(qn_served_model *served);
/* The explainer of the model, which lives as long as it. The first call makes it; of two at a time
 * one is thrown away, so that nobody waits. Fails with QN_ERR_NOMEM or QN_ERR_DATA. */
QN_MUST_CHECK
qn_status qn_served_model_explainer(qn_served_model *served, const struct qn_explainer **out,
                                    qn_error *err);
qn_served_model *qn_served_model_ref(qn_served_model *served);
void qn_served_model_unref(qn_served_model *served); /* accepts NULL */

#endif
