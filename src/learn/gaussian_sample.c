/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/gaussian_sample.h"

#include "base/alloc.h"
#include "learn/row_sample.h"

#include <math.h>
#include <string.h>

void qn_gaussian_sample_release(qn_gaussian_sample *s)
{
    qn_free(s->x);
    qn_free(s->y);
    qn_free(s->weights);
}

/* Rows of weight 0 say nothing, and their noise would be infinite. */
static const double weight_least = 1e-6;

qn_status qn_gaussian_sample_take(const qn_learn_request *request, int64_t max_rows,
                                  qn_gaussian_sample *s, qn_error *err)
{
    const qn_dataset_part *train = &request->data->train;
    const qn_matrix *x = &train->views[QN_VIEW_DENSE];
    int32_t *rows;
    *s = (qn_gaussian_sample){.n_dense = x->n_dense};
    QN_TRY(qn_row_sample(train->n_rows, max_rows, request->seed, 0x6770, &rows, &s->n, err));
    s->x = qn_alloc_array(s->n * s->n_dense, sizeof *s->x);
    s->y = qn_alloc_array(s->n, sizeof *s->y);
    s->weights = train->weights ? qn_alloc_array(s->n, sizeof *s->weights) : NULL;
    if (!s->x || !s->y || (train->weights && !s->weights)) {
        qn_free(rows);
        qn_gaussian_sample_release(s);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows of a Gaussian process");
    }
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t row = rows ? rows[i] : i;
        for (int64_t f = 0; f < s->n_dense; f++) {
            s->x[i * s->n_dense + f] = x->dense[f * x->stride + row];
        }
        s->y[i] = train->target[row];
        if (s->weights) s->weights[i] = fmax(train->weights[row], weight_least);
    }
    qn_free(rows);
    return QN_OK;
}

qn_status qn_gaussian_sample_thin(const qn_gaussian_sample *from, int64_t n_part,
                                  qn_gaussian_sample *s, qn_error *err)
{
    const int64_t d = from->n_dense;
    *s = *from;
    s->n = n_part;
    s->x = qn_alloc_array(n_part * d, sizeof *s->x);
    s->y = qn_alloc_array(n_part, sizeof *s->y);
    s->weights = from->weights ? qn_alloc_array(n_part, sizeof *s->weights) : NULL;
    if (!s->x || !s->y || (from->weights && !s->weights)) {
        qn_gaussian_sample_release(s);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows of a Gaussian process");
    }
    for (int64_t i = 0; i < n_part; i++) {
        const int64_t row = i * from->n / n_part;
        memcpy(s->x + i * d, from->x + row * d, (size_t)d * sizeof *s->x);
        s->y[i] = from->y[row];
        if (s->weights) s->weights[i] = from->weights[row];
    }
    return QN_OK;
}
