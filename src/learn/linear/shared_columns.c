/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/shared_columns.h"

#include "base/alloc.h"

/* Turns counts of values into numbers of columns, -1 for those of one value. */
static void number_columns(qn_shared_columns *s, int32_t *counts, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        counts[c] = counts[c] > 1 ? (int32_t)(s->design.n_cols++ - s->design.width) : -1;
    }
}

static void copy_rows(qn_shared_columns *s, const qn_design *x, const int32_t *numbers)
{
    int64_t at = 0;
    for (int64_t i = 0; i < x->n_rows; i++) {
        for (int64_t j = x->starts[i]; j < x->starts[i + 1]; j++) {
            const int32_t number = numbers[x->cols[j]];
            if (number < 0) {
                s->alone[i] += (double)x->values[j] * (double)x->values[j];
                continue;
            }
            s->design.cols[at] = number;
            s->design.values[at++] = x->values[j];
        }
        s->design.starts[i + 1] = at;
    }
}

qn_status qn_shared_columns_init(qn_shared_columns *s, const qn_design *x, qn_error *err)
{
    const int64_t n = x->n_rows, n_sparse = x->n_cols - x->width, n_values = x->starts[n];
    *s = (qn_shared_columns){
        .design = {.n_rows = n, .width = x->width, .n_cols = x->width, .dense = x->dense}};
    s->design.intercept = x->intercept;
    s->design.starts = qn_alloc_array(n + 1, sizeof *s->design.starts);
    s->design.cols = qn_alloc_array(n_values, sizeof *s->design.cols);
    s->design.values = qn_alloc_array(n_values, sizeof *s->design.values);
    s->alone = qn_alloc_array(n, sizeof *s->alone);
    int32_t *counts = qn_alloc_array(n_sparse, sizeof *counts);
    if (!s->design.starts || !s->design.cols || !s->design.values || !s->alone || !counts) {
        qn_free(counts);
        qn_shared_columns_release(s);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the columns of a linear model");
    }
    for (int64_t j = 0; j < n_values; j++) {
        counts[x->cols[j]]++;
    }
    number_columns(s, counts, n_sparse);
    copy_rows(s, x, counts);
    qn_free(counts);
    return QN_OK;
}

void qn_shared_columns_release(qn_shared_columns *s)
{
    s->design.dense = NULL; /* the original's */
    qn_design_release(&s->design);
    qn_free(s->alone);
    *s = (qn_shared_columns){0};
}
