/* SPDX-License-Identifier: Apache-2.0 */
/* The public explainer: an attribution of an open model. */
#include "quern/explain.h"

#include "base/alloc.h"
#include "base/pool.h"
#include "bundle/bundle.h"
#include "explain/attribution.h"

struct qn_explainer {
    const qn_model *model;
    qn_attribution *attribution;
};

void qn_explainer_free(qn_explainer *explainer)
{
    if (!explainer) return;
    qn_attribution_free(explainer->attribution);
    qn_free(explainer);
}

qn_status qn_explainer_create(const qn_model *model, qn_explainer **out, qn_error *err)
{
    *out = NULL;
    if (!qn_task_is_supervised(qn_model_schema(model)->task)) {
        return qn_fail(err, QN_ERR_UNSUPPORTED,
                       "%s: a model of %s has no prediction to explain; 'quern inspect' shows it",
                       qn_model_path(model), qn_task_name(qn_model_schema(model)->task));
    }
    qn_explainer *explainer = qn_alloc_array(1, sizeof *explainer);
    if (!explainer) return qn_fail(err, QN_ERR_NOMEM, "no memory to explain predictions");
    explainer->model = model;
    const qn_status status =
        qn_attribution_create(qn_model_predictor(model), &explainer->attribution, err);
    if (status != QN_OK) {
        qn_free(explainer);
        return qn_fail_context(err, status, "%s", qn_model_path(model));
    }
    *out = explainer;
    return QN_OK;
}

size_t qn_explainer_scratch_bytes(const qn_explainer *explainer)
{
    return qn_model_cells_bytes(explainer->model) +
           qn_attribution_scratch_bytes(explainer->attribution);
}

qn_status qn_explainer_row(const qn_explainer *explainer, const qn_cell *cells, const qn_parts *out,
                           void *scratch, qn_error *err)
{
    qn_cell *normal = scratch;
    QN_TRY(qn_model_normalise(explainer->model, cells, normal, err));
    qn_attribution_rows(explainer->attribution, normal, 1, out,
                        (char *)scratch + qn_model_cells_bytes(explainer->model));
    return QN_OK;
}

qn_status qn_explainer_rows(const qn_explainer *explainer, const qn_frame *frame, int64_t first,
                            int64_t n_rows, int n_threads, const qn_parts *out, qn_error *err)
{
    qn_binding *binding = NULL;
    QN_TRY(qn_binding_create(qn_model_schema(explainer->model), frame, &binding, err));
    qn_pool *pool = qn_pool_create(n_threads);
    const qn_status status =
        qn_attribution_transform(explainer->attribution, binding, first, n_rows, pool, out, err);
    qn_pool_free(pool);
    qn_binding_free(binding);
    return status;
}
