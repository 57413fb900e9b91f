/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/isolated_rows.h"

#include "base/alloc.h"
#include "base/sort.h"
#include "learn/tree/isolation.h"

#include <string.h>

/* Rows that are as deep as expected score 0.5: above that, but for rounding. */
static const double threshold_auto = 0.5 + 1e-9;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the outliers");
}

void qn_isolated_rows_release(qn_isolated_rows *rows)
{
    qn_estimator_free(rows->estimator);
    qn_free(rows->scores);
    qn_free(rows->order);
    qn_free(rows->savings);
    qn_free(rows->shares);
    *rows = (qn_isolated_rows){0};
}

static qn_status score(const qn_isolated_request *request, qn_isolated_rows *rows, qn_error *err)
{
    const qn_isolation_request forest = {.features = request->view,
                                         .described = rows->features,
                                         .n_estimators = request->n_estimators,
                                         .max_samples = request->max_samples,
                                         .seed = request->seed,
                                         .pool = request->pool,
                                         .stop = request->stop};
    QN_TRY(qn_isolation_fit(&forest, &rows->estimator, err));
    const int64_t n = request->view->n_rows;
    rows->scores = qn_alloc_aligned(n, sizeof *rows->scores);
    rows->order = qn_alloc_array(n, sizeof *rows->order);
    rows->savings = qn_alloc_array(request->view->n_dense, sizeof *rows->savings);
    rows->shares = qn_alloc_array(request->schema->n_cols, sizeof *rows->shares);
    if (!rows->scores || !rows->order || !rows->savings || !rows->shares) return no_memory(err);
    return qn_estimator_predict(rows->estimator, request->view, request->pool, rows->scores, err);
}

/* Stable both ways: negated, the greatest are the least. */
static qn_status put_in_order(qn_isolated_rows *rows, int64_t n, qn_error *err)
{
    double *negated = qn_alloc_aligned(n, sizeof *negated);
    bool complete = negated != NULL;
    for (int64_t i = 0; complete && i < n; i++) {
        negated[i] = -rows->scores[i];
    }
    complete = complete && qn_sort_order(negated, n, rows->order);
    qn_free(negated);
    return complete ? QN_OK : no_memory(err);
}

static qn_status settle_threshold(qn_isolated_rows *rows, int64_t n, double contamination,
                                  qn_error *err)
{
    rows->threshold = threshold_auto;
    if (contamination > 0) {
        double *sorted = qn_alloc_aligned(n, sizeof *sorted);
        if (!sorted) return no_memory(err);
        memcpy(sorted, rows->scores, (size_t)n * sizeof *sorted);
        const qn_status status =
            qn_isolation_threshold(sorted, n, contamination, &rows->threshold, err);
        qn_free(sorted);
        QN_TRY(status);
    }
    for (int64_t i = 0; i < n; i++) {
        rows->n_outliers += rows->scores[i] >= rows->threshold;
    }
    return QN_OK;
}

qn_status qn_isolated_rows_create(const qn_isolated_request *request, qn_isolated_rows *out,
                                  qn_error *err)
{
    int64_t n, n_dense;
    *out = (qn_isolated_rows){.schema = request->schema,
                              .view = request->view,
                              .features =
                                  qn_recipe_features(request->recipe, QN_VIEW_TREE, &n, &n_dense)};
    if (n_dense == 0) {
        return qn_fail(err, QN_ERR_DATA,
                       "no column has two values that rows share: nothing to cut");
    }
    n = request->view->n_rows;
    qn_status status = score(request, out, err);
    if (status == QN_OK) status = put_in_order(out, n, err);
    if (status == QN_OK) status = settle_threshold(out, n, request->contamination, err);
    if (status != QN_OK) qn_isolated_rows_release(out);
    return status;
}

const double *qn_isolated_shares(qn_isolated_rows *rows, int64_t row)
{
    const qn_schema *schema = rows->schema;
    double total = 0;
    qn_isolation_savings(rows->estimator, rows->view, row, rows->savings);
    memset(rows->shares, 0, (size_t)schema->n_cols * sizeof *rows->shares);
    for (int64_t f = 0; f < rows->view->n_dense; f++) {
        rows->shares[qn_schema_feature(schema, rows->features[f].input)] += rows->savings[f];
    }
    for (int64_t col = 0; col < schema->n_cols; col++) {
        if (rows->shares[col] < 0) rows->shares[col] = 0;
        total += rows->shares[col];
    }
    for (int64_t col = 0; total > 0 && col < schema->n_cols; col++) {
        rows->shares[col] /= total;
    }
    return rows->shares;
}

int qn_isolated_columns(const qn_isolated_rows *rows, int64_t *columns, int n_max)
{
    int n = 0;
    for (int64_t col = 0; col < rows->schema->n_cols; col++) {
        const double share = rows->shares[col];
        int at = n;
        while (at > 0 && share > rows->shares[columns[at - 1]]) {
            at--;
        }
        if (share <= 0 || at == n_max) continue;
        if (n < n_max) n++;
        memmove(columns + at + 1, columns + at, (size_t)(n - 1 - at) * sizeof *columns);
        columns[at] = col;
    }
    return n;
}
