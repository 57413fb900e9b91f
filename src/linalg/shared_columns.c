/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/shared_columns.h"

#include "base/alloc.h"

/* Turns counts of values into numbers of columns, -1 for those of one value. */
static void number_columns(qn_shared_columns *s, int32_t *counts, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        counts[c] = counts[c] > 1 ? (int32_t)s->n_cols++ : -1;
    }
}

static void copy_rows(qn_shared_columns *s, const qn_sparse_rows *x, const int32_t *numbers)
{
    int64_t at = 0;
    for (int64_t i = 0; i < x->n_rows; i++) {
        for (int64_t j = x->starts[i]; j < x->starts[i + 1]; j++) {
            const int32_t number = numbers[x->cols[j]];
            if (number < 0) {
                s->alone[i] += (double)x->values[j] * (double)x->values[j];
                continue;
            }
            s->cols[at] = number;
            s->values[at++] = x->values[j];
        }
        s->starts[i + 1] = at;
    }
}

qn_status qn_shared_columns_init(qn_shared_columns *s, const qn_sparse_rows *x, qn_error *err)
{
    const int64_t n = x->n_rows, first = n > 0 ? x->starts[0] : 0;
    const int64_t end = n > 0 ? x->starts[n] : 0;
    *s = (qn_shared_columns){0};
    s->starts = qn_alloc_array(n + 1, sizeof *s->starts);
    s->cols = qn_alloc_array(end - first, sizeof *s->cols);
    s->values = qn_alloc_array(end - first, sizeof *s->values);
    s->alone = qn_alloc_array(n, sizeof *s->alone);
    int32_t *counts = qn_alloc_array(x->n_cols, sizeof *counts);
    if (!s->starts || !s->cols || !s->values || !s->alone || !counts) {
        qn_free(counts);
        qn_shared_columns_release(s);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for %" PRId64 " sparse columns", x->n_cols);
    }
    for (int64_t j = first; j < end; j++) {
        counts[x->cols[j]]++;
    }
    number_columns(s, counts, x->n_cols);
    copy_rows(s, x, counts);
    qn_free(counts);
    return QN_OK;
}

void qn_shared_columns_release(qn_shared_columns *s)
{
    qn_free(s->starts);
    qn_free(s->cols);
    qn_free(s->values);
    qn_free(s->alone);
    *s = (qn_shared_columns){0};
}
