/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/row_sample.h"

#include "base/alloc.h"
#include "base/rng.h"

qn_status qn_row_sample(int64_t n_rows, int64_t n_max, uint64_t seed, uint64_t stream,
                        int32_t **rows, int64_t *n, qn_error *err)
{
    *rows = NULL;
    *n = n_rows;
    if (n_rows <= n_max) return QN_OK;
    *rows = qn_alloc_array(n_max, sizeof **rows);
    if (!*rows) return qn_fail(err, QN_ERR_NOMEM, "no memory for a sample of rows");
    qn_rng rng;
    qn_rng_init(&rng, seed, stream);
    int64_t n_chosen = 0;
    for (int64_t i = 0; i < n_rows; i++) {
        if (qn_rng_below(&rng, n_rows - i) < n_max - n_chosen) {
            (*rows)[n_chosen++] = (int32_t)i;
        }
    }
    *n = n_chosen;
    return QN_OK;
}
