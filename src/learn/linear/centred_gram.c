/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/centred_gram.h"

#include "base/alloc.h"
#include "learn/linear/design.h"

/* Element of the lower triangle, whichever comes first. */
static double element(const double *raw, int64_t n_cols, int64_t a, int64_t b)
{
    return a > b ? raw[a * n_cols + b] : raw[b * n_cols + a];
}

qn_status qn_centred_gram(const qn_matrix *x, const double *weights, double total, qn_pool *pool,
                          double *gram, double *means, qn_error *err)
{
    const int64_t p = x->n_dense + x->n_sparse;
    qn_design design;
    QN_TRY(qn_design_init(&design, x, pool, err));
    const int64_t n_cols = design.n_cols;
    double *raw = qn_alloc_array(n_cols * n_cols, sizeof *raw);
    qn_status status = raw ? qn_design_gram(&design, weights, pool, raw, err)
                           : qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    for (int64_t a = 0; a < n_cols && status == QN_OK; a++) {
        const int64_t f = design.features[a];
        if (f < 0) continue;
        const double sum = element(raw, n_cols, a, design.intercept);
        means[f] = sum / total;
        for (int64_t b = 0; b < n_cols; b++) {
            const int64_t g = design.features[b];
            if (g < 0) continue;
            gram[f * p + g] = element(raw, n_cols, a, b) -
                              sum * (element(raw, n_cols, b, design.intercept) / total);
        }
    }
    qn_free(raw);
    qn_design_release(&design);
    return status;
}
